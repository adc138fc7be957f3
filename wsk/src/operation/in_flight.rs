//! Operations that own what they use: [`start`](Request::start)ed without waiting, they carry it until the IRP has completed.

use core::fmt;
use core::future::{Future, IntoFuture};
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use crate::cancel::Cancel;
use crate::error::Error;
use crate::irp::{Flight, Polled};
use crate::irql::{MayWait, may_wait};
use crate::operation::blocking::{Limit, Stopped};
use crate::operation::carried::{Loaded, Over, Running, Unladen, WayOf, refuse_large};
use crate::registration::hold;
use crate::request::{Function, Operation, Request, Way};
use crate::socket::calls::Call as _;
use crate::time::{Deadline, GRACE};

/// What an operation ends in.
pub(crate) type FinishedOf<O, B> = <WayOf<O, B> as Way<B>>::Finished<<O as Operation<B>>::Output>;

/// What is given back when an operation is not started.
pub(crate) type NotStartedOf<F, B> =
    <WayOf<<F as Function<B>>::Operation, B> as Way<B>>::NotStarted;

impl<F: Function<B>, B> Request<'_, F, B> {
    /// Starts the request, without waiting. IRQL: `<= DISPATCH_LEVEL`; `<= APC_LEVEL` for memory whose pages have to be locked, and
    /// `PASSIVE_LEVEL` for a lookup.
    ///
    /// The buffer moves into the operation and comes back with the result. The operation is a future; you can also wait for it, poll, cancel,
    /// drop or forget it. Allocates the operation; with [`from`](Self::from) it comes from a pool.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], and the errors that the request's method lists; each with the buffer.
    #[inline]
    pub fn start(self) -> Result<InFlight<F::Operation, B>, NotStartedOf<F, B>>
    where
        B: Send + 'static,
    {
        const { refuse_large::<B>() };
        self.begin()
            .map_err(|(error, carried)| WayOf::<F::Operation, B>::not_started(error, carried))
    }
}

impl<F: Function<B>, B: Send + 'static> Request<'_, F, B> {
    #[inline]
    pub(super) fn begin(self) -> Result<InFlight<F::Operation, B>, (Error, B)> {
        match Unladen::new() {
            Ok(operation) => self.begin_with::<true>(operation),
            Err(error) => Err((error, self.carried)),
        }
    }

    /// Makes the request with an operation, which `HOLDS` the capture by itself unless its pool does.
    // Only the two finishers call it, for which the compiler else makes one function of it, with what each does not need.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn begin_with<const HOLDS: bool>(
        self,
        operation: Unladen<B>,
    ) -> Result<InFlight<F::Operation, B>, (Error, B)> {
        let loaded = Loaded::of(operation, self)?;
        let observer = HOLDS.then(|| hold(loaded.capture()));
        Ok(InFlight {
            running: Some(loaded.launch_to_be_left(observer)?),
        })
    }
}

/// A request that is made when it is awaited, and waited for by being polled.
impl<F: Function<B>, B: Send + 'static> IntoFuture for Request<'_, F, B> {
    type Output = FinishedOf<F::Operation, B>;
    type IntoFuture = Run<F::Operation, B>;

    fn into_future(self) -> Run<F::Operation, B> {
        const { refuse_large::<B>() };
        Run::of(self.begin())
    }
}

/// An operation `O` in flight that owns `B`.
///
/// It is a [`Future`], and needs no particular executor: its waker is woken by the completion routine, at up to
/// `DISPATCH_LEVEL`. It may be dropped or forgotten at any moment, at any IRQL up to `DISPATCH_LEVEL`: what it owns stays with
/// the kernel until the IRP has completed, and is then dropped at up to `DISPATCH_LEVEL` (or, when forgotten, never). Dropping
/// a send or a disconnect lets it go on; dropping anything else cancels it.
///
/// Some operations that are forgotten keep their [`Registration`](crate::Registration) waiting: [closing](crate::guide::closing)
/// lists them.
///
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use std::time::Duration;
/// use wsk::{Error, NonPagedBuffer};
///
/// let receiving = socket.receive_from(NonPagedBuffer::new(1500)?).start()?;
/// // Meanwhile something else is done; and then nobody waits for ever.
/// let finished = match receiving.wait_timeout(Duration::from_millis(20)) {
///     Ok(finished) => finished,
///     Err((Error::TimedOut { .. }, receiving)) => receiving.give_up()?,
///     Err((error, _)) => return Err(error),
/// };
/// assert!(finished.result.is_err(), "nothing has come");
/// assert!(finished.buffer.is_some(), "the buffer has come back");
/// # drop((finished, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[must_use = "dropping anything but a send or a disconnect cancels it"]
pub struct InFlight<O: Operation<B>, B> {
    /// Until it is taken out.
    running: Option<Running<O, B>>,
}

// SAFETY: shared, an operation can be looked at, which is to read its state, an atomic, and cancelled, which the kernel allows on any
// thread. All else needs it whole, and with it what it carries, which is `Send`.
unsafe impl<O: Operation<B>, B: Send> Sync for InFlight<O, B> {}

// Nothing is pinned: what is carried is in the operation's block, not in the handle.
impl<O: Operation<B>, B> Unpin for InFlight<O, B> {}

impl<O: Operation<B>, B> InFlight<O, B> {
    /// Whether the operation has completed. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn is_completed(&self) -> bool {
        let flight = self.running.as_ref().map(Running::flight);
        flight.is_none_or(Flight::is_completed)
    }

    /// Asks the provider to cancel the operation, which then completes soon, perhaps with success all the same. IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// [`IoCancelIrp`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocancelirp).
    #[doc(alias = "IoCancelIrp")]
    pub fn cancel(&self) {
        if let Some(running) = &self.running {
            running.flight().cancel();
        }
    }

    /// Waits until the operation has completed. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`] above `APC_LEVEL`, with the operation, which goes on.
    #[inline]
    pub fn wait(self) -> Result<FinishedOf<O, B>, (Error, Self)> {
        match may_wait() {
            Ok(may_wait) => Ok(self.wait_until_over(may_wait)),
            Err(error) => Err((error, self)),
        }
    }

    /// As [`wait`](Self::wait); the IRQL was checked.
    #[inline]
    pub(super) fn wait_until_over(self, may_wait: MayWait) -> FinishedOf<O, B> {
        // What is usual goes straight through, and what comes of it is read in one place.
        let mut this = ManuallyDrop::new(self);
        let over = match this
            .running
            .take()
            .map(|running| running.end(|capture| Some(hold(capture))))
        {
            Some(Ok(over)) => Ok(over),
            Some(Err(running)) => Self::wait_longer(running, may_wait),
            None => Err(Error::Taken),
        };
        match over {
            Ok(over) => finish(over),
            Err(error) => WayOf::<O, B>::finished(Err(error), None),
        }
    }

    /// As [`wait`](Self::wait), for what has not completed, or goes on.
    #[inline(never)]
    fn wait_longer(running: Running<O, B>, may_wait: MayWait) -> Result<Over<O, B>, Error> {
        let mut this = Self {
            running: Some(running),
        };
        while let Some(running) = &this.running {
            // A waker may unwind: the operation stays where it is dropped.
            let completed = running.flight().wait_or_give_up(may_wait);
            let Some(running) = this.running.take() else {
                break;
            };
            if !completed {
                return Err(give_up(running));
            }
            match running.end(|capture| Some(hold(capture))) {
                Ok(over) => return Ok(over),
                Err(running) => this.running = Some(running),
            }
        }
        Err(Error::Taken)
    }

    /// Waits until it is over or `limit` ends it, and drops the operation then.
    pub(super) fn drop_after(self, limit: &impl Limit, may_wait: MayWait) -> FinishedOf<O, B> {
        match self.wait_within(limit, may_wait) {
            Ok(finished) => finished,
            Err((error, _)) => WayOf::<O, B>::finished(Err(error), None),
        }
    }

    /// Waits until the operation has completed, at most for `limit`. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] or [`Error::WrongIrql`], with the operation, which goes on: [`cancel`](Self::cancel) it and wait for it, or
    /// [give it up](Self::give_up).
    pub fn wait_timeout(self, limit: Duration) -> Result<FinishedOf<O, B>, (Error, Self)> {
        let may_wait = match may_wait() {
            Ok(may_wait) => may_wait,
            Err(error) => return Err((error, self)),
        };
        self.wait_within(&Deadline::after(limit, O::Parameters::GOES_ON), may_wait)
    }

    /// Waits until the operation has completed, or another thread [cancels](Cancel::cancel). IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] or [`Error::WrongIrql`], with the operation, which goes on: [`cancel`](Self::cancel) it and wait for it, or
    /// [give it up](Self::give_up).
    #[doc(alias = "KeWaitForMultipleObjects")]
    pub fn wait_until(self, cancel: &Cancel) -> Result<FinishedOf<O, B>, (Error, Self)> {
        match may_wait() {
            Ok(may_wait) => self.wait_within(&Stopped::by(cancel), may_wait),
            Err(error) => Err((error, self)),
        }
    }

    /// Waits until the operation has completed, or `limit` ends the wait.
    fn wait_within(
        self,
        limit: &impl Limit,
        may_wait: MayWait,
    ) -> Result<FinishedOf<O, B>, (Error, Self)> {
        let mut this = self;
        while let Some(running) = &this.running {
            // A waker may unwind: the operation stays where it is dropped.
            if !limit.wait(running.flight(), may_wait) {
                return Err((limit.reason().error(O::CALL), this));
            }
            let Some(running) = this.running.take() else {
                break;
            };
            match next_or_end(running) {
                Ok(running) => this.running = Some(running),
                Err(finished) => return Ok(finished),
            }
        }
        Ok(lose::<O, B>())
    }

    /// Cancels the operation, and waits at most the two seconds that a provider has to complete it. After that the operation is left to
    /// the provider, with everything that it owns. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`] above `APC_LEVEL`, with the operation, which goes on.
    pub fn give_up(self) -> Result<FinishedOf<O, B>, (Error, Self)> {
        self.cancel();
        match self.wait_timeout(GRACE) {
            Err((Error::TimedOut { .. }, mut this)) => Ok(match this.running.take() {
                Some(running) => abandon(running),
                None => lose::<O, B>(),
            }),
            other => other,
        }
    }

    /// The end of the operation, if it has completed; else the operation. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The operation, which is still in flight.
    pub fn try_take(self) -> Result<FinishedOf<O, B>, Self> {
        let mut this = self;
        let Some(running) = this.running.take() else {
            return Ok(lose::<O, B>());
        };
        let mut running = match next_or_end(running) {
            Ok(running) => running,
            Err(finished) => return Ok(finished),
        };
        if running.flight_mut().is_given_up() {
            return Ok(abandon(running));
        }
        this.running = Some(running);
        Err(this)
    }
}

/// Reads the end of an operation.
// With what looks at the result, which else is moved once more.
#[expect(clippy::inline_always, reason = "thirteen instructions of a receive")]
#[inline(always)]
fn finish<O: Operation<B>, B>(over: Over<O, B>) -> FinishedOf<O, B> {
    let (result, carried, operation) = over.unload();
    // The operation goes back in either case, each by itself: so the result need not lie in memory.
    match result {
        Ok(output) => {
            drop(operation);
            WayOf::<O, B>::finished(Ok(output), Some(carried))
        }
        Err(error) => {
            give_back_after_error(operation);
            WayOf::<O, B>::finished(Err(error), Some(carried))
        }
    }
}

#[cold]
#[inline(never)]
fn give_back_after_error<B>(operation: Unladen<B>) {
    drop(operation);
}

/// The end of an operation, if it has completed and does not go on.
fn next_or_end<O: Operation<B>, B>(
    running: Running<O, B>,
) -> Result<Running<O, B>, FinishedOf<O, B>> {
    match running.end(|capture| Some(hold(capture))) {
        Ok(over) => Err(finish(over)),
        Err(running) => Ok(running),
    }
}

/// What is told of an operation that was taken before.
#[cold]
fn lose<O: Operation<B>, B>() -> FinishedOf<O, B> {
    WayOf::<O, B>::finished(Err(Error::Taken), None)
}

/// Gives up a flight whose provider keeps the IRP, against its contract; says so. Should it complete the IRP after all, the routine
/// drops what it carries.
#[cold]
fn give_up<O: Operation<B>, B>(running: Running<O, B>) -> Error {
    let flight = running.into_flight();
    let (call, status) = (O::CALL, flight.returned());
    flight.leave();
    Error::Abandoned { call, status }
}

/// What is told of an operation that is [given up](give_up).
#[cold]
fn abandon<O: Operation<B>, B>(running: Running<O, B>) -> FinishedOf<O, B> {
    WayOf::<O, B>::finished(Err(give_up(running)), None)
}

impl<O: Operation<B>, B> Future for InFlight<O, B> {
    type Output = FinishedOf<O, B>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        while let Some(running) = &mut this.running {
            let polled = running.flight_mut().poll(context);
            if polled == Polled::Pending {
                return Poll::Pending;
            }
            let Some(running) = this.running.take() else {
                break;
            };
            if polled == Polled::GivenUp {
                return Poll::Ready(abandon(running));
            }
            match next_or_end(running) {
                Ok(running) => this.running = Some(running),
                Err(finished) => return Poll::Ready(finished),
            }
        }
        Poll::Ready(lose::<O, B>())
    }
}

impl<O: Operation<B>, B> Drop for InFlight<O, B> {
    #[inline]
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let flight = running.into_flight();
            if O::CANCEL_ON_DROP {
                flight.abort();
            } else {
                flight.leave();
            }
        }
    }
}

impl<O: Operation<B>, B> fmt::Debug for InFlight<O, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight")
            .field("call", &O::CALL)
            .field("completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}

/// The future of a request: an operation in flight, or the error why there is none.
///
/// `into_future` starts the request, not the first poll. Dropping the future is dropping an [`InFlight`], even before it was polled.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// # struct Unpark(std::thread::Thread);
/// # impl std::task::Wake for Unpark {
/// #     fn wake(self: std::sync::Arc<Self>) { self.0.unpark() }
/// # }
/// # fn block_on<F: Future>(future: F) -> F::Output {
/// #     let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
/// #     let mut context = std::task::Context::from_waker(&waker);
/// #     let mut future = std::pin::pin!(future);
/// #     loop {
/// #         match future.as_mut().poll(&mut context) {
/// #             std::task::Poll::Ready(output) => return output,
/// #             std::task::Poll::Pending => std::thread::park(),
/// #         }
/// #     }
/// # }
/// use wsk::NonPagedBuffer;
/// use wsk::operation::Run;
/// use wsk::request::SendingTo;
///
/// let request = socket.send_to(NonPagedBuffer::copy_of(b"hello")?, to);
/// // What `request.await` polls. The datagram is on its way already.
/// let run: Run<SendingTo, NonPagedBuffer> = request.into_future();
/// # assert_eq!(peer.recv(&mut [0; 16]).unwrap(), 5);
/// assert_eq!(block_on(run).result, Ok(5));
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[must_use = "the request is started already; dropping anything but a send or a disconnect cancels it"]
pub struct Run<O: Operation<B>, B> {
    run: Result<InFlight<O, B>, Option<(Error, B)>>,
}

impl<O: Operation<B>, B> Run<O, B> {
    pub(super) fn of(begun: Result<InFlight<O, B>, (Error, B)>) -> Self {
        Self {
            run: begun.map_err(Some),
        }
    }
}

// Nothing is pinned.
impl<O: Operation<B>, B> Unpin for Run<O, B> {}

impl<O: Operation<B>, B> Future for Run<O, B> {
    type Output = FinishedOf<O, B>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().run {
            Ok(in_flight) => Pin::new(in_flight).poll(context),
            Err(refused) => Poll::Ready(match refused.take() {
                Some((error, carried)) => WayOf::<O, B>::finished(Err(error), Some(carried)),
                None => lose::<O, B>(),
            }),
        }
    }
}

impl<O: Operation<B>, B> fmt::Debug for Run<O, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("call", &O::CALL)
            .finish_non_exhaustive()
    }
}
