//! Pools of operations: IRP, buffer and MDL made once, then sent and received with for as long as the driver runs, without
//! allocating. They stand for the lookaside lists of C drivers, with a bound.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use crate::buffer::{Inside, Lock, ReceiveBuffer, SendBuffer};
use crate::error::{Error, Memory};
use crate::in_flight::Carried;
use crate::operation::Block;
use crate::shared::{Counted, Shared};
use crate::slots::{Linked, Slots};

/// A fixed number of buffers `B`, each with an operation of its own.
///
/// A handle: clones stand for the same pool, whose memory goes with the last of them and of its buffers. Taking and giving
/// back take no lock. May be dropped at any IRQL up to `DISPATCH_LEVEL`, if the buffers may be.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind("127.0.0.1:0".parse().unwrap())?;
/// use wsk::{NonPagedBuffer, Pool};
///
/// let pool = Pool::new(16, |_| NonPagedBuffer::new(1500))?;
/// if let Some(mut buffer) = pool.take() {
///     buffer.as_mut_slice().fill(7);
///     // The buffer goes back to the pool when the datagram has been sent.
///     drop(socket.start_send_to(buffer, to)?);
/// }
/// # peer.recv(&mut [0; 1500]).unwrap();
/// # drop((pool, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct Pool<B> {
    slots: Shared<Slots<Slot<B>>>,
}

impl<B: Send + 'static> Pool<B> {
    /// Makes a pool of `depth` buffers, each made by `make`, which is told its number. IRQL: `<= DISPATCH_LEVEL`, if `make` may
    /// be called there.
    ///
    /// # Errors
    ///
    /// [`Error::NoBuffers`] for a depth of 0, [`Error::NoMemory`], or what `make` says.
    pub fn new(depth: u32, make: impl FnMut(u32) -> Result<B, Error>) -> Result<Self, Error> {
        let mut make = make;
        let mut slots = Slots::reserve(depth)?;
        for index in 0..depth {
            let buffer = make(index)?;
            // SAFETY: all of the slot is initialised, in memory that nothing refers to yet.
            unsafe { slots.add(|slot, _| Slot::initialise(slot, buffer)) };
        }
        let slots = Shared::new(slots).map_err(|_| Error::NoMemory(Memory::Socket))?;
        // SAFETY: the slots are in pool memory that no longer moves, and nobody waits yet.
        unsafe { slots.settle() };
        Ok(Self { slots })
    }

    /// Takes a buffer, if one is there. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn take(&self) -> Option<Pooled<B>> {
        let index = self.slots.pop()?;
        // INVARIANT: the slot was popped.
        Some(Pooled {
            slots: self.slots.clone(),
            index,
            buffer: PhantomData,
        })
    }

    /// Takes a buffer, waiting until one is there or `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when the time ran out; [`Error::WrongIrql`].
    pub fn take_timeout(&self, limit: Duration) -> Result<Pooled<B>, Error> {
        self.take_within(Some(limit))
    }

    /// Takes a buffer, waiting until one is there. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn take_or_wait(&self) -> Result<Pooled<B>, Error> {
        self.take_within(None)
    }

    fn take_within(&self, limit: Option<Duration>) -> Result<Pooled<B>, Error> {
        self.slots.take_within(limit, || self.take())
    }

    /// The number of buffers, taken or not.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.slots.depth()
    }
}

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self {
            slots: self.slots.clone(),
        }
    }
}

impl<B> fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("depth", &self.slots.depth())
            .finish_non_exhaustive()
    }
}

/// A buffer from a [`Pool`], to which it returns when it is dropped, at any IRQL up to `DISPATCH_LEVEL`.
///
/// # Invariants
///
/// The slot `index` was popped, and this is its only holder.
pub struct Pooled<B> {
    slots: Shared<Slots<Slot<B>>>,
    index: u32,
    /// What it derefs to, and is shared between threads as.
    buffer: PhantomData<B>,
}

impl<B> Pooled<B> {
    fn slot(&self) -> &Slot<B> {
        // SAFETY: by the invariant the number was popped.
        unsafe { self.slots.slot(self.index) }
    }
}

impl<B> Deref for Pooled<B> {
    type Target = B;

    fn deref(&self) -> &B {
        // SAFETY: by the invariant this is the slot's only holder, and it is borrowed.
        unsafe { &*self.slot().buffer.get() }
    }
}

impl<B> DerefMut for Pooled<B> {
    fn deref_mut(&mut self) -> &mut B {
        // SAFETY: by the invariant this is the slot's only holder, and it is borrowed exclusively.
        unsafe { &mut *self.slot().buffer.get() }
    }
}

impl<B> Drop for Pooled<B> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant this is the slot's only holder, and gone after this.
        unsafe { self.slots.push(self.index, self.slot()) };
    }
}

impl<B: fmt::Debug> fmt::Debug for Pooled<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&**self).finish()
    }
}

// SAFETY: the buffer's promise is passed on. The block is the slot's, idle since its last operation was finished or discarded,
// which is before the buffer was given back, and the slot's only holder is the payload of its next operation.
unsafe impl<B: SendBuffer> SendBuffer for Pooled<B> {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        (**self).lock()
    }

    fn operation(&mut self, _: Inside) -> Option<NonNull<()>> {
        Some(NonNull::from(&self.slot().block).cast())
    }
}

// SAFETY: the buffer's promise is passed on. The block is the slot's, as it is for sending.
unsafe impl<B: ReceiveBuffer> ReceiveBuffer for Pooled<B> {
    fn lock_mut(&mut self) -> Result<Lock<'_>, Error> {
        (**self).lock_mut()
    }

    fn operation(&mut self, _: Inside) -> Option<NonNull<()>> {
        Some(NonNull::from(&self.slot().block).cast())
    }
}

/// One buffer with its operation.
///
/// # Invariants
///
/// What is in cells is touched by the slot's one holder only.
#[repr(C)]
struct Slot<B> {
    block: UnsafeCell<Block<Carried<Pooled<B>>>>,
    buffer: UnsafeCell<B>,
    /// The link of this slot in the list of free ones.
    link: AtomicU32,
}

// SAFETY: by the invariant the buffer is on one thread at a time, which may be any for a `B` that is `Send`; the block may be used
// on any thread.
unsafe impl<B: Send> Send for Slot<B> {}
// SAFETY: by the invariant a shared slot is touched by its one holder only, but for the link, which is atomic.
unsafe impl<B: Send> Sync for Slot<B> {}

impl<B> Slot<B> {
    /// Makes a slot with an idle operation.
    ///
    /// # Safety
    ///
    /// `slot` is nonpaged memory for a slot, aligned to 16, which nothing else refers to.
    unsafe fn initialise(slot: NonNull<Self>, buffer: B) {
        let slot = slot.as_ptr();
        // SAFETY: the caller gives the memory; the block begins where the slot does.
        unsafe {
            let block = NonNull::new_unchecked(&raw mut (*slot).block);
            Block::<Carried<Pooled<B>>>::initialise(block.cast(), false);
            (&raw mut (*slot).buffer).write(UnsafeCell::new(buffer));
            (&raw mut (*slot).link).write(AtomicU32::new(0));
        }
    }
}

impl<B> Linked for Slot<B> {
    fn link(&self) -> &AtomicU32 {
        &self.link
    }
}

impl<B> Counted for Slots<Slot<B>> {
    type Last = ();
    unsafe fn last(&mut self) {}
}
