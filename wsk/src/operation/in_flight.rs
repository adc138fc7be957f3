//! Operations that own their buffer: [`start`](Request::start) does not wait, and the operation keeps the buffer until the IRP has
//! completed.

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
use crate::operation::carried::{
    Completion, Home, Loaded, Over, Rejected, Running, Unladen, WayOf, refuse_large,
};
use crate::registration::hold;
use crate::request::{Function, Operation, Request, Way};
use crate::socket::calls::CallParameters as _;
use crate::time::{Deadline, GRACE};

/// The end of an operation.
pub(crate) type FinishedOf<O, B> = <WayOf<O, B> as Way<B>>::Finished<<O as Operation<B>>::Output>;

/// The error of an operation that was not started, with the buffer.
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
            Ok(operation) => self.begin_with(operation),
            Err(error) => Err((error, self.carried)),
        }
    }

    /// Makes the request with an operation, which holds the capture itself unless its [home](Home) does.
    // Inlined into its few callers. Otherwise the compiler makes one function of it, in which each caller pays for the others.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn begin_with<H: Home<B>, E: Rejected<B>>(
        self,
        operation: Unladen<B, Completion, H>,
    ) -> Result<InFlight<F::Operation, B>, E> {
        let loaded = Loaded::of::<_, E>(operation.by_itself(), self)?;
        let observer = H::HOLDS.then(|| hold(loaded.capture()));
        Ok(InFlight {
            running: Some(loaded.launch_to_be_left::<E>(observer)?),
        })
    }
}

/// A request that `into_future` makes, and that is polled for its result.
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
/// // Do something else meanwhile, and then wait for a limited time only.
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
    /// `None` once it was taken out.
    running: Option<Running<O, B>>,
}

// SAFETY: a shared operation can be looked at, which only reads its state, an atomic, and cancelled, which the kernel allows on any thread.
// Everything else needs the operation itself, and with it its buffer, which is `Send`.
unsafe impl<O: Operation<B>, B: Send> Sync for InFlight<O, B> {}

// Nothing is pinned: the buffer is in the operation's block, not in the handle.
impl<O: Operation<B>, B> Unpin for InFlight<O, B> {}

impl<O: Operation<B>, B> InFlight<O, B> {
    /// Whether the operation has completed. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn is_completed(&self) -> bool {
        let flight = self.running.as_ref().map(Running::flight);
        flight.is_none_or(Flight::is_completed)
    }

    /// Asks the provider to cancel the operation. The operation then completes soon, perhaps with success all the same. IRQL:
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
            // The result is read in one place.
            Ok(may_wait) => Ok(match self.wait_until_over(may_wait) {
                Ok(over) => finish(over),
                Err(error) => WayOf::<O, B>::finished(Err(error), None),
            }),
            Err(error) => Err((error, self)),
        }
    }

    /// As [`wait`](Self::wait). The caller has checked the IRQL.
    #[inline]
    fn wait_until_over(self, may_wait: MayWait) -> Result<Over<O, B>, Error> {
        // The usual path goes straight through.
        let mut this = ManuallyDrop::new(self);
        match this
            .running
            .take()
            .map(|running| running.end(|capture| Some(hold(capture))))
        {
            Some(Ok(over)) => Ok(over),
            Some(Err(running)) => Self {
                running: Some(running),
            }
            .wait_longer(may_wait),
            None => Err(Error::Taken),
        }
    }

    /// As [`wait`](Self::wait), for an operation that may take longer, or go on.
    #[inline(never)]
    pub(super) fn wait_longer(self, may_wait: MayWait) -> Result<Over<O, B>, Error> {
        let mut this = self;
        while let Some(running) = &this.running {
            // A waker may unwind. So the operation stays in `this`, which drops it.
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

    /// Waits until the operation is over or `limit` ends the wait; then drops the operation.
    pub(super) fn drop_after(
        self,
        limit: &impl Limit,
        may_wait: MayWait,
    ) -> Result<Over<O, B>, Error> {
        match self.wait_within(limit, may_wait) {
            Ok(over) => over.ok_or(Error::Taken),
            Err((error, _)) => Err(error),
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
        let limit = Deadline::after(limit, O::Parameters::GOES_ON);
        self.wait_within(&limit, may_wait).map(finish_or_taken)
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
            Ok(may_wait) => {
                let over = self.wait_within(&Stopped::by(cancel), may_wait);
                over.map(finish_or_taken)
            }
            Err(error) => Err((error, self)),
        }
    }

    /// [`wait_until`](Self::wait_until), or until `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `wait_until`, [`Error::TimedOut`], with the operation, which goes on.
    #[doc(alias = "KeWaitForMultipleObjects")]
    pub fn wait_until_or_timeout(
        self,
        cancel: &Cancel,
        limit: Duration,
    ) -> Result<FinishedOf<O, B>, (Error, Self)> {
        let may_wait = match may_wait() {
            Ok(may_wait) => may_wait,
            Err(error) => return Err((error, self)),
        };
        let stopped = Stopped::by_or_after(cancel, limit, O::Parameters::GOES_ON);
        self.wait_within(&stopped, may_wait).map(finish_or_taken)
    }

    /// Waits until the operation is over, or `limit` ends the wait. `None` if its end was taken before.
    fn wait_within(
        self,
        limit: &impl Limit,
        may_wait: MayWait,
    ) -> Result<Option<Over<O, B>>, (Error, Self)> {
        let mut this = self;
        let mut polled_with = None;
        if O::Parameters::GOES_ON {
            // The flight that was polled may not be the last.
            let running = this.running.as_ref();
            polled_with = running.and_then(|running| running.flight().take_waker());
        }
        while let Some(running) = &this.running {
            // A waker may unwind. So the operation stays in `this`, which drops it.
            if !limit.wait(running.flight(), may_wait) {
                // Who polled it before polls it again.
                if let Some(waker) = polled_with {
                    waker.wake();
                }
                return Err((limit.reason().error(O::CALL), this));
            }
            let Some(running) = this.running.take() else {
                break;
            };
            match running.end(|capture| Some(hold(capture))) {
                Ok(over) => {
                    drop(polled_with);
                    return Ok(Some(over));
                }
                Err(running) => this.running = Some(running),
            }
        }
        Ok(None)
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
                None => taken_before::<O, B>(),
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
            return Ok(taken_before::<O, B>());
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
// Inlined into the code that looks at the result. Otherwise the result is moved once more.
#[expect(clippy::inline_always, reason = "thirteen instructions of a receive")]
#[inline(always)]
fn finish<O: Operation<B>, B>(over: Over<O, B>) -> FinishedOf<O, B> {
    let (result, carried, operation) = over.unload();
    // Each branch gives the operation back itself, so that the result need not be stored in memory.
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

/// The end of an operation, unless it was taken before.
fn finish_or_taken<O: Operation<B>, B>(over: Option<Over<O, B>>) -> FinishedOf<O, B> {
    match over {
        Some(over) => finish(over),
        None => taken_before::<O, B>(),
    }
}

/// The end of an operation whose end was taken before.
#[cold]
fn taken_before<O: Operation<B>, B>() -> FinishedOf<O, B> {
    WayOf::<O, B>::finished(Err(Error::Taken), None)
}

/// Gives up a flight whose provider keeps the IRP, against its contract, and returns the error that says so. If the provider completes the
/// IRP after all, the completion routine drops the buffer.
#[cold]
fn give_up<O: Operation<B>, B>(running: Running<O, B>) -> Error {
    let flight = running.into_flight();
    let (call, status) = (O::CALL, flight.returned());
    flight.detach();
    Error::Abandoned { call, status }
}

/// The end of an operation that is [given up](give_up).
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
        Poll::Ready(taken_before::<O, B>())
    }
}

impl<O: Operation<B>, B> Drop for InFlight<O, B> {
    #[inline]
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let flight = running.into_flight();
            if O::CANCEL_ON_DROP {
                flight.cancel_and_detach();
            } else {
                flight.detach();
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

/// The future of a request: an operation in flight, or the error that kept it from starting.
///
/// `into_future` starts the request, not the first poll. Dropping the future has the same effect as dropping an [`InFlight`], even before
/// the first poll.
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
/// // This is the future that `request.await` polls. The datagram is on its way already.
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
                None => taken_before::<O, B>(),
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
