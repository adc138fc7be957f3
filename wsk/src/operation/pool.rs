//! [`Operations`]: a pool of operations. A request that uses one is started without allocating. Corresponds to the preallocated IRPs of C
//! drivers.

#![forbid(unsafe_code)]

use core::fmt;
use core::future::IntoFuture;
use core::time::Duration;

use crate::cancel::Cancel;
use crate::error::Error;
use crate::irp::Block;
use crate::memory::Shared;
use crate::memory::arena::{self, ArenaHandle, FillingArena};
use crate::operation::carried::{
    Carried, Completion, Pooled, Unladen, WayOf, refuse_large, refuse_large_completion,
};
use crate::operation::in_flight::{FinishedOf, InFlight, NotStartedOf, Run};
use crate::registration::{Capture, Provider};
use crate::request::{Function, Operation, Request, Way};

/// The arena of operations that carry `B`. It holds one reference to the capture for all of them.
type OperationArena<B> = ArenaHandle<Block<Carried<B>>, Shared<Capture>>;

/// A pool with a fixed number of operations, for any request with a buffer `B`. The buffer moves into the operation, and may belong to
/// another component. When the operation has completed, it gives the buffer back and returns to the pool.
///
/// This is a handle. Clones refer to the same pool, whose memory is freed with the last handle and the last operation. Taking an operation and
/// giving it back take no lock. It may be dropped at any IRQL up to `DISPATCH_LEVEL`, and keeps the provider captured.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// use wsk::NonPagedBuffer;
/// use wsk::operation::Operations;
///
/// let operations = Operations::new(&provider, 16)?;
/// for number in 0..3 {
///     let packet = NonPagedBuffer::copy_of(&[number])?;
///     socket.send_to(packet, to).from(&operations).start_with(|finished| {
///         // The packet's owner gets it back here, with the result.
///         drop(finished.buffer);
///     })?;
/// }
/// // Before the driver unloads, say:
/// operations.wait_until_idle()?;
/// # for _ in 0..3 { assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 1); }
/// # drop((operations, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias = "IoAllocateIrp")]
pub struct Operations<B> {
    arena: OperationArena<B>,
}

impl<B: Send + 'static> Operations<B> {
    /// Makes a pool of `depth` operations. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoOperations`] for a depth of 0, [`Error::NoMemory`].
    pub fn new(provider: &Provider, depth: u32) -> Result<Self, Error> {
        const { refuse_large::<B>() };
        let mut filling = FillingArena::new(depth)?;
        for _ in 0..depth {
            filling.add(|slot| Ok::<_, Error>(Block::fill(slot)))?;
        }
        Ok(Self {
            arena: filling.finish(provider.capture().clone()),
        })
    }

    /// Takes an operation, for [`from`](Request::from), if one is there. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn take(&self) -> Option<PooledOperation<B>> {
        self.arena.take().map(PooledOperation::of)
    }

    /// Takes an operation, for [`from`](Request::from), waiting until one is there or `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when the time ran out; [`Error::WrongIrql`].
    pub fn take_timeout(&self, limit: Duration) -> Result<PooledOperation<B>, Error> {
        self.arena
            .take_within(Some(limit), None)
            .map(PooledOperation::of)
    }

    /// Takes an operation, for [`from`](Request::from), waiting until one is there or another thread [cancels](Cancel::cancel). IRQL:
    /// `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when it was cancelled; [`Error::WrongIrql`].
    pub fn take_until(&self, cancel: &Cancel) -> Result<PooledOperation<B>, Error> {
        let taken = self.arena.take_within(None, Some(cancel.event()));
        taken.map(PooledOperation::of)
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
    ) -> Result<PooledOperation<B>, Error> {
        let taken = self.arena.take_within(Some(limit), Some(cancel.event()));
        taken.map(PooledOperation::of)
    }

    /// Takes an operation, for [`from`](Request::from), waiting until one is there. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn take_or_wait(&self) -> Result<PooledOperation<B>, Error> {
        self.arena.take_within(None, None).map(PooledOperation::of)
    }

    /// Waits until every operation is back in the pool: all of them have completed, and their buffers were given back. IRQL:
    /// `<= APC_LEVEL`.
    ///
    /// While a handle is kept, or if it was forgotten, its operation is not back.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn wait_until_idle(&self) -> Result<(), Error> {
        self.arena.wait_until_idle(None).map(|_| ())
    }

    /// [`wait_until_idle`](Self::wait_until_idle), at most for `limit`. Returns whether every operation is back. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn wait_until_idle_timeout(&self, limit: Duration) -> Result<bool, Error> {
        self.arena.wait_until_idle(Some(limit))
    }

    /// Whether every operation is back at this moment. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.arena.is_idle()
    }

    /// The number of operations, taken or not.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.arena.depth()
    }
}

impl<B> Clone for Operations<B> {
    fn clone(&self) -> Self {
        Self {
            arena: self.arena.clone(),
        }
    }
}

impl<B> fmt::Debug for Operations<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations")
            .field("depth", &self.arena.depth())
            .finish_non_exhaustive()
    }
}

/// An operation that was taken from a pool, for a request. Dropping it gives it back.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::NonPagedBuffer;
/// use wsk::operation::Operations;
///
/// let operations = Operations::new(&provider, 8)?;
/// // With an operation at hand, the request cannot fail because the pool is empty.
/// if let Some(taken) = operations.take() {
///     let packet = NonPagedBuffer::copy_of(b"hello")?;
///     drop(socket.send_to(packet, to).from(taken).start()?);
/// }
/// # assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
/// # drop((operations, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct PooledOperation<B> {
    operation: Unladen<B, Completion, Pooled>,
}

impl<B> PooledOperation<B> {
    #[inline]
    fn of(block: arena::Taken<Block<Carried<B>>, Shared<Capture>>) -> Self {
        let operation = Unladen::taken(block);
        Self { operation }
    }
}

impl<B> fmt::Debug for PooledOperation<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledOperation").finish_non_exhaustive()
    }
}

mod sealed {
    pub trait Sealed {}
}

/// The source of a request's operation: a pool, which may be empty, or an operation that was [taken](Operations::take) from one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no operations that carry `{B}`",
    label = "not a pool of such operations",
    note = "give a reference to `Operations` for the buffer type of the request, or an operation taken from them"
)]
pub trait Source<B>: sealed::Sealed {
    /// The operation.
    #[doc(hidden)]
    fn operation(self) -> Option<PooledOperation<B>>;
}

impl<B> sealed::Sealed for &Operations<B> {}

impl<B: Send + 'static> Source<B> for &Operations<B> {
    #[inline]
    fn operation(self) -> Option<PooledOperation<B>> {
        self.take()
    }
}

impl<B> sealed::Sealed for PooledOperation<B> {}

impl<B> Source<B> for PooledOperation<B> {
    #[inline]
    fn operation(self) -> Option<Self> {
        Some(self)
    }
}

impl<'s, F: Function<B>, B> Request<'s, F, B> {
    /// Takes the operation for the request from a pool: [`start`](RequestFrom::start) and [`start_with`](RequestFrom::start_with) then allocate
    /// nothing.
    ///
    /// `wait` is not here, because a socket keeps [operations for that](Request::wait). `start_in` is not here, because an
    /// operation in a scope may carry borrowed memory, which an operation of a pool cannot.
    #[inline]
    pub fn from<S: Source<B>>(self, source: S) -> RequestFrom<'s, F, B, S>
    where
        B: Send + 'static,
    {
        RequestFrom {
            request: self,
            source,
        }
    }
}

/// A request that uses an operation of a pool. It does nothing before it is started.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// use wsk::operation::Operations;
/// use wsk::{Error, NonPagedBuffer};
///
/// let operations = Operations::new(&provider, 1)?;
/// let first = socket.send_to(NonPagedBuffer::copy_of(b"one")?, to).from(&operations).start()?;
/// // The only operation stays taken until its result is.
/// let second = socket.send_to(NonPagedBuffer::copy_of(b"two")?, to).from(&operations).start();
/// assert_eq!(second.map(drop).unwrap_err().error, Error::PoolEmpty);
/// # drop(first);
/// # drop((operations, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[must_use = "a request does nothing until it is started"]
pub struct RequestFrom<'s, F: Function<B>, B, S> {
    request: Request<'s, F, B>,
    source: S,
}

impl<F: Function<B>, B: Send + 'static, S: Source<B>> RequestFrom<'_, F, B, S> {
    /// [`Request::start`], with an operation of a pool. IRQL: as for `Request::start`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`], and those of [`Request::start`] except for lack of memory; each with the buffer.
    #[inline]
    pub fn start(self) -> Result<InFlight<F::Operation, B>, NotStartedOf<F, B>> {
        self.begin()
            .map_err(|(error, carried)| WayOf::<F::Operation, B>::not_started(error, carried))
    }

    #[inline]
    fn begin(self) -> Result<InFlight<F::Operation, B>, (Error, B)> {
        match self.source.operation() {
            Some(taken) => self.request.begin_with(taken.operation),
            None => Err((Error::PoolEmpty, self.request.carried)),
        }
    }

    /// [`Request::start_with`], with an operation of a pool, which goes back when `completion` has returned. IRQL: as for
    /// `Request::start_with`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`], and those of [`Request::start_with`] except for lack of memory; each with the buffer.
    #[inline]
    pub fn start_with<C>(self, completion: C) -> Result<(), NotStartedOf<F, B>>
    where
        C: FnOnce(FinishedOf<F::Operation, B>) + Send + 'static,
    {
        const { refuse_large_completion::<C>() };
        let begun = match self.source.operation() {
            Some(taken) => self
                .request
                .call_back_with::<_, Pooled>(taken.operation, completion),
            None => Err((Error::PoolEmpty, self.request.carried)),
        };
        begun.map_err(|(error, carried)| WayOf::<F::Operation, B>::not_started(error, carried))
    }
}

/// A request that `into_future` starts.
impl<F: Function<B>, B: Send + 'static, S: Source<B>> IntoFuture for RequestFrom<'_, F, B, S> {
    type Output = FinishedOf<F::Operation, B>;
    type IntoFuture = Run<F::Operation, B>;

    fn into_future(self) -> Run<F::Operation, B> {
        Run::of(self.begin())
    }
}

impl<F: Function<B>, B, S> fmt::Debug for RequestFrom<'_, F, B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestFrom")
            .field("call", &<F::Operation as Operation<B>>::CALL)
            .finish_non_exhaustive()
    }
}
