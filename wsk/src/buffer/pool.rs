//! [`BufferPool`]: buffers that are made once and used again and again. Stands for the lookaside lists of C drivers, with a bound.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::time::Duration;

use crate::buffer::{Extent, Lock, ReceiveBuffer, SendBuffer};
use crate::cancel::Cancel;
use crate::error::Error;
use crate::memory::arena::{Filling, Handle};

/// A pool with a fixed number of buffers `B`, or of anything else that a driver takes and gives back.
///
/// This is a handle: clones refer to the same pool, whose memory is freed with the last handle and the last buffer. Taking a buffer and
/// giving it back take no lock. Drop the pool at an IRQL where its buffers may be dropped, up to `DISPATCH_LEVEL`.
///
/// Buffers that belong to somebody else need no pool of buffers: [operations of a pool](crate::operation::Operations) carry any buffer.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// use wsk::operation::Operations;
/// use wsk::{BufferPool, NonPagedBuffer};
///
/// let buffers = BufferPool::new(16, |_| NonPagedBuffer::new(1500))?;
/// let operations = Operations::new(&provider, 16)?;
/// if let Some(mut buffer) = buffers.take() {
///     buffer.as_mut_slice().fill(7);
///     // When the datagram has been sent the buffer goes back to its pool, and the operation to its.
///     drop(socket.send_to(buffer, to).from(&operations).start()?);
/// }
/// # peer.recv(&mut [0; 1500]).unwrap();
/// # drop((buffers, operations, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias = "ExInitializeLookasideListEx")]
pub struct BufferPool<B> {
    buffers: Handle<B, ()>,
}

impl<B: Send + 'static> BufferPool<B> {
    /// Makes a pool of `depth` buffers. `make` makes each buffer, and gets its number. IRQL: `<= DISPATCH_LEVEL`, if `make` may be called
    /// there.
    ///
    /// # Errors
    ///
    /// [`Error::NoOperations`] for a depth of 0, [`Error::NoMemory`], or the error of `make`.
    pub fn new(depth: u32, make: impl FnMut(u32) -> Result<B, Error>) -> Result<Self, Error> {
        let mut make = make;
        let mut filling = Filling::new(depth)?;
        for number in 0..depth {
            filling.push(make(number)?);
        }
        Ok(Self {
            buffers: filling.finish(()),
        })
    }

    /// Takes a buffer, if one is there. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn take(&self) -> Option<PooledBuffer<B>> {
        // INVARIANT: just taken.
        self.buffers.take().map(PooledBuffer::of)
    }

    /// Takes a buffer, waiting until one is there or `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when the time ran out; [`Error::WrongIrql`].
    pub fn take_timeout(&self, limit: Duration) -> Result<PooledBuffer<B>, Error> {
        let taken = self.buffers.take_within(Some(limit), None);
        taken.map(PooledBuffer::of)
    }

    /// Takes a buffer, waiting until one is there or another thread [cancels](Cancel::cancel). IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when it was cancelled; [`Error::WrongIrql`].
    pub fn take_until(&self, cancel: &Cancel) -> Result<PooledBuffer<B>, Error> {
        let taken = self.buffers.take_within(None, Some(cancel.event()));
        taken.map(PooledBuffer::of)
    }

    /// Takes a buffer, waiting until one is there. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn take_or_wait(&self) -> Result<PooledBuffer<B>, Error> {
        self.buffers.take_within(None, None).map(PooledBuffer::of)
    }

    /// The number of buffers, taken or not.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.buffers.depth()
    }
}

impl<B> Clone for BufferPool<B> {
    fn clone(&self) -> Self {
        Self {
            buffers: self.buffers.clone(),
        }
    }
}

impl<B> fmt::Debug for BufferPool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("depth", &self.buffers.depth())
            .finish_non_exhaustive()
    }
}

/// A buffer from a [`BufferPool`], to which it returns when it is dropped, at any IRQL up to `DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// use wsk::{BufferPool, Error, NonPagedBuffer, PooledBuffer};
///
/// let buffers = BufferPool::new(1, |_| NonPagedBuffer::new(8))?;
/// let mut buffer: PooledBuffer<NonPagedBuffer> = buffers.take().ok_or(Error::PoolEmpty)?;
/// buffer.as_mut_slice().fill(7);
/// assert!(buffers.take().is_none());
/// drop(buffer);
/// // It has gone back, as it is.
/// assert_eq!(buffers.take().ok_or(Error::PoolEmpty)?.as_slice(), [7; 8]);
/// # drop(buffers);
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The buffer was taken from a pool, and this is its only holder.
pub struct PooledBuffer<B> {
    buffer: NonNull<B>,
    owned: PhantomData<B>,
}

// SAFETY: it is the buffer's only holder, and so sent with it.
unsafe impl<B: Send> Send for PooledBuffer<B> {}
// SAFETY: shared, it gives out the buffer as shared.
unsafe impl<B: Sync> Sync for PooledBuffer<B> {}

impl<B> PooledBuffer<B> {
    const fn of(buffer: NonNull<B>) -> Self {
        Self {
            buffer,
            owned: PhantomData,
        }
    }
}

impl<B> Deref for PooledBuffer<B> {
    type Target = B;

    #[inline]
    fn deref(&self) -> &B {
        // SAFETY: by the invariant the buffer is this holder's, which is borrowed.
        unsafe { self.buffer.as_ref() }
    }
}

impl<B> DerefMut for PooledBuffer<B> {
    #[inline]
    fn deref_mut(&mut self) -> &mut B {
        // SAFETY: by the invariant the buffer is this holder's, which is borrowed exclusively.
        unsafe { self.buffer.as_mut() }
    }
}

impl<B> Drop for PooledBuffer<B> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant this is the buffer's only holder, and gone after this.
        unsafe { Handle::<B, ()>::give_back(self.buffer) };
    }
}

impl<B: fmt::Debug> fmt::Debug for PooledBuffer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledBuffer").field(&**self).finish()
    }
}

// SAFETY: the buffer's promise is passed on.
unsafe impl<B: SendBuffer> SendBuffer for PooledBuffer<B> {
    const LOCKS: bool = B::LOCKS;

    #[inline]
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { (**self).lock(lock) }
    }

    #[inline]
    fn control(&self) -> &[u8] {
        (**self).control()
    }

    fn abandon(&self) -> bool {
        (**self).abandon()
    }

    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        // SAFETY: the caller gives the holder, whose the buffer is.
        unsafe { B::abandon_at(this.as_ref().buffer) }
    }
}

// SAFETY: the buffer's promise is passed on.
unsafe impl<B: ReceiveBuffer> ReceiveBuffer for PooledBuffer<B> {
    const LOCKS: bool = B::LOCKS;

    #[inline]
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { (**self).lock_mut(lock) }
    }

    #[inline]
    fn control_room(&self) -> usize {
        (**self).control_room()
    }

    fn set_control(&mut self, control: &[u8]) {
        (**self).set_control(control);
    }

    fn abandon(&self) -> bool {
        (**self).abandon()
    }

    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        // SAFETY: the caller gives the holder, whose the buffer is.
        unsafe { B::abandon_at(this.as_ref().buffer) }
    }

    #[inline]
    fn was_abandoned(&self) -> bool {
        (**self).was_abandoned()
    }
}
