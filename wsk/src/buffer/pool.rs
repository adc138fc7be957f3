//! [`BufferPool`]: buffers that are made once and used again and again. Stands for the lookaside lists of C drivers, with a bound.

#![forbid(unsafe_code)]

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use crate::cancel::Cancel;
use crate::error::Error;
use crate::memory::arena::{ArenaHandle, Exchangeable, FillingArena, Taken};

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
    buffers: ArenaHandle<B, Exchangeable>,
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
        let mut filling = FillingArena::new(depth)?;
        for number in 0..depth {
            filling.push(make(number)?);
        }
        Ok(Self {
            buffers: filling.finish(Exchangeable),
        })
    }

    /// Takes a buffer, if one is there. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn take(&self) -> Option<PooledBuffer<B>> {
        self.buffers.take().map(PooledBuffer)
    }

    /// Takes a buffer, waiting until one is there or `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when the time ran out; [`Error::WrongIrql`].
    pub fn take_timeout(&self, limit: Duration) -> Result<PooledBuffer<B>, Error> {
        let taken = self.buffers.take_within(Some(limit), None);
        taken.map(PooledBuffer)
    }

    /// Takes a buffer, waiting until one is there or another thread [cancels](Cancel::cancel). IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when it was cancelled; [`Error::WrongIrql`].
    pub fn take_until(&self, cancel: &Cancel) -> Result<PooledBuffer<B>, Error> {
        let taken = self.buffers.take_within(None, Some(cancel.event()));
        taken.map(PooledBuffer)
    }

    /// [`take_until`](Self::take_until), or until `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when it was cancelled or the time ran out; [`Error::WrongIrql`].
    pub fn take_until_or_timeout(
        &self,
        cancel: &Cancel,
        limit: Duration,
    ) -> Result<PooledBuffer<B>, Error> {
        let taken = self.buffers.take_within(Some(limit), Some(cancel.event()));
        taken.map(PooledBuffer)
    }

    /// Takes a buffer, waiting until one is there. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn take_or_wait(&self) -> Result<PooledBuffer<B>, Error> {
        self.buffers.take_within(None, None).map(PooledBuffer)
    }

    /// Waits until every buffer is back in the pool: no operation has one, and nobody holds one. IRQL: `<= APC_LEVEL`.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// # let to = peer.local_addr().unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
    /// # socket.bind(wsk::Family::V4.any())?;
    /// use wsk::{BufferPool, NonPagedBuffer};
    ///
    /// let buffers = BufferPool::new(16, |_| NonPagedBuffer::new(1500))?;
    /// for _ in 0..3 {
    ///     let buffer = buffers.take_or_wait()?;
    ///     socket.send_to(buffer, to).start_with(|_finished| ())?;
    /// }
    /// // Before the driver unloads: all sends have completed, though their operations came from no pool.
    /// buffers.wait_until_idle()?;
    /// assert!(buffers.is_idle());
    /// # drop((buffers, socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn wait_until_idle(&self) -> Result<(), Error> {
        self.buffers.wait_until_idle(None).map(|_| ())
    }

    /// [`wait_until_idle`](Self::wait_until_idle), at most for `limit`. Returns whether every buffer is back. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn wait_until_idle_timeout(&self, limit: Duration) -> Result<bool, Error> {
        self.buffers.wait_until_idle(Some(limit))
    }

    /// Whether every buffer is back at this moment. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.buffers.is_idle()
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
pub struct PooledBuffer<B>(pub(super) Taken<B>);

impl<B> Deref for PooledBuffer<B> {
    type Target = B;

    #[inline]
    fn deref(&self) -> &B {
        &self.0
    }
}

impl<B> DerefMut for PooledBuffer<B> {
    #[inline]
    fn deref_mut(&mut self) -> &mut B {
        &mut self.0
    }
}

impl<B: fmt::Debug> fmt::Debug for PooledBuffer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledBuffer").field(&**self).finish()
    }
}
