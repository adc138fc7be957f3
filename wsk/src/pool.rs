//! Pools of operations: IRP, buffer and MDL made once, then sent and received with for as long as the driver runs, without
//! allocating. They stand for the lookaside lists of C drivers, with a bound.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use crate::buffer::{Inside, Lock, ReceiveBuffer, SendBuffer};
use crate::error::{Error, Memory};
use crate::free_list::FreeList;
use crate::in_flight::Carried;
use crate::memory;
use crate::operation::Block;
use crate::shared::{Counted, Shared};

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
    slots: Shared<Slots<B>>,
}

impl<B: Send + 'static> Pool<B> {
    /// Makes a pool of `depth` buffers, each made by `make`, which is told its number. IRQL: `<= DISPATCH_LEVEL`, if `make` may
    /// be called there.
    ///
    /// # Errors
    ///
    /// [`Error::NoBuffers`] for a depth of 0, [`Error::NoMemory`], or what `make` says.
    pub fn new(depth: u32, make: impl FnMut(u32) -> Result<B, Error>) -> Result<Self, Error> {
        if depth == 0 {
            return Err(Error::NoBuffers);
        }
        let mut make = make;
        let mut slots = Slots::<B>::reserve(depth)?;
        for index in 0..depth {
            slots.add(make(index)?);
        }
        let slots = Shared::new(slots).map_err(|_| Error::NoMemory(Memory::Socket))?;
        // SAFETY: the list is in pool memory that no longer moves, and nobody waits yet.
        unsafe { slots.free.settle() };
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
        self.slots.free.take_within(limit, || self.take())
    }

    /// The number of buffers, taken or not.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.slots.depth
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
            .field("depth", &self.slots.depth)
            .finish_non_exhaustive()
    }
}

/// A buffer from a [`Pool`], to which it returns when it is dropped, at any IRQL up to `DISPATCH_LEVEL`.
///
/// # Invariants
///
/// The slot `index` was popped, and this is its only holder.
pub struct Pooled<B> {
    slots: Shared<Slots<B>>,
    index: u32,
    /// What it derefs to, and is shared between threads as.
    buffer: PhantomData<B>,
}

impl<B> Pooled<B> {
    fn slot(&self) -> &Slot<B> {
        self.slots.slot(self.index)
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
        self.slots.push(self.index);
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

// SAFETY: as for `SendBuffer`.
unsafe impl<B: ReceiveBuffer> ReceiveBuffer for Pooled<B> {
    fn lock_mut(&mut self) -> Result<Lock<'_>, Error> {
        (**self).lock_mut()
    }

    fn operation(&mut self, _: Inside) -> Option<NonNull<()>> {
        Some(NonNull::from(&self.slot().block).cast())
    }
}

/// One buffer with its operation.
#[repr(C)]
struct Slot<B> {
    block: UnsafeCell<Block<Carried<Pooled<B>>>>,
    buffer: UnsafeCell<B>,
    /// The link of this slot in the stack of free ones.
    link: AtomicU32,
}

/// The slots of a pool, and which of them are free.
///
/// # Invariants
///
/// `slots` is an array of room for `depth`, of which the first `made` are initialised. Each slot is either in `free` or has
/// one holder.
struct Slots<B> {
    slots: NonNull<Slot<B>>,
    depth: u32,
    made: u32,
    free: FreeList,
}

// SAFETY: slots change hands through the stack; a buffer is touched by the slot's one holder only.
unsafe impl<B: Send> Send for Slots<B> {}
// SAFETY: as above.
unsafe impl<B: Send> Sync for Slots<B> {}

impl<B> Slots<B> {
    fn reserve(depth: u32) -> Result<Self, Error> {
        let slots = if depth == 0 {
            NonNull::dangling()
        } else {
            let _ = memory::layout::<Slot<B>>();
            let layout = Layout::array::<Slot<B>>(depth as usize)
                .map_err(|_| Error::NoMemory(Memory::Irp))?;
            memory::allocate(layout)
                .ok_or(Error::NoMemory(Memory::Irp))?
                .cast()
        };
        // INVARIANT: room for `depth`, none of them made.
        Ok(Self {
            slots,
            depth,
            made: 0,
            free: FreeList::new(),
        })
    }

    /// Makes the next slot, free.
    fn add(&mut self, buffer: B) {
        let index = self.made;
        // SAFETY: callers add no more than `depth`, so there is room, which nothing refers to yet.
        unsafe {
            let slot = self.slots.add(index as usize).as_ptr();
            let block = NonNull::new_unchecked(&raw mut (*slot).block);
            Block::<Carried<Pooled<B>>>::initialise(block.cast(), false);
            (&raw mut (*slot).buffer).write(UnsafeCell::new(buffer));
            (&raw mut (*slot).link).write(AtomicU32::new(0));
        }
        self.made += 1;
        self.push(index);
    }

    fn slot(&self, index: u32) -> &Slot<B> {
        // SAFETY: indices come from `add` and from the stack, so the slot is made; it is borrowed shared, and what changes in
        // it is in cells.
        unsafe { self.slots.add(index as usize).as_ref() }
    }

    #[inline]
    fn pop(&self) -> Option<u32> {
        self.free.pop(|index| &self.slot(index).link)
    }

    #[inline]
    fn push(&self, index: u32) {
        self.free.push(index, &self.slot(index).link);
    }
}

impl<B> Drop for Slots<B> {
    fn drop(&mut self) {
        for index in 0..self.made {
            // SAFETY: the slot is made, and has no holder: each holder keeps the pool. Its block is idle and has no payload.
            unsafe { core::ptr::drop_in_place(self.slot(index).buffer.get()) };
        }
        if self.depth > 0 {
            // SAFETY: the array came from `allocate`, and nothing is left in it.
            unsafe { memory::free(self.slots.cast()) };
        }
    }
}

impl<B> Counted for Slots<B> {
    type Last = ();
    unsafe fn last(&mut self) {}
}
