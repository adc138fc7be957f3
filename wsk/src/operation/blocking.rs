//! Waiting in the call: [`wait`](Request::wait) and [`wait_timeout`](Request::wait_timeout). Nothing outlives the call, so a request
//! that is waited for may borrow anything.

#![forbid(unsafe_code)]

use core::time::Duration;

use crate::buffer::carry::Ingredient;
use crate::cancel::Cancel;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Flight, Idle, Outcome};
use crate::irql::{MayWait, may_wait};
use crate::operation::carried::{Patience, TargetOf, Unladen, Waited, WayOf, run_in_place};
use crate::request::{CutShort, Function, Operation, Own, Request, Way};
use crate::socket::calls::CallParameters as _;
use crate::time::{Deadline, GRACE};

impl<F: Function<B>, B> Request<'_, F, B>
where
    <F::Operation as Operation<B>>::Run: Blocking<F, B>,
{
    /// Starts the request, and waits until it has completed. IRQL: `<= APC_LEVEL`.
    ///
    /// A buffer that you pass by reference is yours again afterwards. One that you pass by value is dropped: pass a reference to keep it.
    /// A request of a socket uses an operation that the socket keeps: nothing is allocated for it, unless more than two threads wait for
    /// requests of the socket at this moment. Other requests allocate an operation: those of a provider, those that make or connect a
    /// socket, the answer to an inspection, and those for a security descriptor. A slice needs an MDL, which is allocated.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// # let to = peer.local_addr().unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
    /// # socket.bind(wsk::Family::V4.any())?;
    /// assert_eq!(socket.send_to(b"on the stack", to).wait()?, 12);
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Before WSK is called: [`Error::WrongIrql`], [`Error::NoMemory`], and the errors that the request's method lists. Afterwards the error
    /// from WSK. [`Error::Abandoned`] if the provider keeps the IRP against its contract, after two seconds; over borrowed memory, such as a
    /// slice, the call waits as long as it takes. An abandoned buffer that was passed by value is never freed, even if the IRP completes
    /// later; one that was [started](Self::start) is dropped then.
    #[inline]
    pub fn wait(self) -> Waited<F, B> {
        <F::Operation as Operation<B>>::Run::run(self, Unlimited)
    }

    /// [`wait`](Self::wait), until `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// Then the call cancels the request and waits for its completion, so that nothing is in flight afterwards. If the request succeeds at
    /// the last moment, so does the call. (A graceful disconnect aborts the connection. Not every provider can cancel a lookup, so the call does
    /// not wait for it: the lookup goes on by itself, and dropping the [`Registration`](crate::Registration) waits for it.)
    ///
    /// # Errors
    ///
    /// Those of `wait`, and [`Error::TimedOut`]. [`Error::Abandoned`] if the provider does not complete the cancelled request within
    /// two seconds.
    pub fn wait_timeout(self, limit: Duration) -> Waited<F, B> {
        <F::Operation as Operation<B>>::Run::run(self, Deadline::after(limit, Self::GOES_ON))
    }

    /// [`wait`](Self::wait), until another thread [cancels](Cancel::cancel). IRQL: `<= APC_LEVEL`.
    ///
    /// Then the call cancels the request as [`wait_timeout`](Self::wait_timeout) does. If `cancel` is cancelled already, the call makes no
    /// request. Nothing more is allocated than by `wait`.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let listener = wsk::ListenSocket::open(&provider, wsk::Family::V4)?;
    /// # listener.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    /// # let unloading = wsk::Cancel::new()?;
    /// # unloading.cancel();
    /// // Until another thread calls `unloading.cancel()`:
    /// while let Ok((client, _)) = listener.accept().wait_until(&unloading) {
    ///     client.send(b"hello").wait_until(&unloading)?;
    /// }
    /// # drop((listener, unloading, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `wait`, and [`Error::Cancelled`]. [`Error::Abandoned`] if the provider does not complete the cancelled request within
    /// two seconds.
    #[doc(alias("KeWaitForMultipleObjects", "IoCancelIrp"))]
    pub fn wait_until(self, cancel: &Cancel) -> Waited<F, B> {
        <F::Operation as Operation<B>>::Run::run(self, Stopped::by(cancel))
    }

    /// [`wait_until`](Self::wait_until), or until `limit` runs out. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `wait_until`, [`Error::TimedOut`].
    #[doc(alias("KeWaitForMultipleObjects", "IoCancelIrp"))]
    pub fn wait_until_or_timeout(self, cancel: &Cancel, limit: Duration) -> Waited<F, B> {
        let stopped = Stopped::by_or_after(cancel, limit, Self::GOES_ON);
        <F::Operation as Operation<B>>::Run::run(self, stopped)
    }
}

impl<F: Function<B>, B> Request<'_, F, B> {
    const GOES_ON: bool = <F::Operation as Operation<B>>::Parameters::GOES_ON;
}

/// A limit of a wait, which ends it before the request is over. Each limit is compiled into functions of its own, so that a wait without
/// one has nothing to check.
pub trait Limit {
    /// Whether this limits anything.
    #[doc(hidden)]
    const LIMITS: bool = true;

    /// Waits until the flight has completed, or the limit ends the wait. Returns whether the flight has completed.
    #[doc(hidden)]
    fn wait<P>(&self, flight: &Flight<P>, may_wait: MayWait) -> bool;

    /// The reason why the wait was ended.
    #[doc(hidden)]
    fn reason(&self) -> CutShort {
        CutShort::OutOfTime
    }

    /// Checks whether the wait may begin.
    #[doc(hidden)]
    #[inline]
    fn begin(&self, call: Call) -> Result<MayWait, Error> {
        let _ = call;
        may_wait()
    }
}

/// No limit: the wait lasts as long as the request.
pub(super) struct Unlimited;

impl Limit for Unlimited {
    const LIMITS: bool = false;

    #[inline]
    fn wait<P>(&self, flight: &Flight<P>, may_wait: MayWait) -> bool {
        flight.wait(may_wait, None)
    }
}

impl Limit for Deadline {
    #[inline]
    fn wait<P>(&self, flight: &Flight<P>, may_wait: MayWait) -> bool {
        flight.wait(may_wait, Some(self.left()))
    }
}

/// A limit that another thread, or the time, sets.
pub(super) struct Stopped<'c> {
    cancel: &'c Cancel,
    deadline: Option<Deadline>,
}

impl<'c> Stopped<'c> {
    /// A limit that another thread sets, or the time. `goes_on` is as for [`Deadline::after`].
    pub(super) fn by_or_after(cancel: &'c Cancel, limit: Duration, goes_on: bool) -> Self {
        let deadline = Some(Deadline::after(limit, goes_on));
        Self { cancel, deadline }
    }

    /// A limit that only another thread sets.
    pub(super) const fn by(cancel: &'c Cancel) -> Self {
        let deadline = None;
        Self { cancel, deadline }
    }
}

impl Limit for Stopped<'_> {
    fn wait<P>(&self, flight: &Flight<P>, may_wait: MayWait) -> bool {
        let left = self.deadline.as_ref().map(Deadline::left);
        flight.wait_or(self.cancel.event(), may_wait, left)
    }

    fn reason(&self) -> CutShort {
        // A wait without a deadline was cancelled, even if `cancel` was reset meanwhile.
        if self.cancel.is_cancelled() || self.deadline.is_none() {
            CutShort::Cancelled
        } else {
            CutShort::OutOfTime
        }
    }

    fn begin(&self, call: Call) -> Result<MayWait, Error> {
        let may_wait = may_wait()?;
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled { call });
        }
        Ok(may_wait)
    }
}

/// A way to wait for a request.
pub trait Blocking<F: Function<B>, B> {
    /// Makes the request, and waits until it is over or `limit` ends it.
    #[doc(hidden)]
    fn run<L: Limit>(request: Request<'_, F, B>, limit: L) -> Waited<F, B>;
}

pub use crate::request::{InPlace, Owning};

impl<F: Function<B>, B> Blocking<F, B> for InPlace {
    #[inline]
    fn run<L: Limit>(request: Request<'_, F, B>, limit: L) -> Waited<F, B> {
        match limit.begin(F::Operation::CALL) {
            Ok(may_wait) => run_in_place(request, limit, may_wait),
            Err(error) => WayOf::<F::Operation, B>::waited(Err(error), request.carried),
        }
    }
}

/// The means to end a request before it is over.
pub(crate) struct Ending<L> {
    limit: L,
    /// The operation that ending the request takes, if it takes one.
    means: Option<Idle<()>>,
    /// The reason why the request was asked to end, if it was.
    cut_short: Option<CutShort>,
}

impl<O: Operation<B>, B, L: Limit> Patience<O, B> for L {
    const ENDS: bool = L::LIMITS;
    type Means = Ending<L>;

    /// Allocates before anything is in flight, because ending the request must not fail.
    #[inline]
    fn get_ready(self, target: TargetOf<'_, O, B>) -> Result<Ending<L>, Error> {
        Ok(Ending {
            means: O::before_time_out(target)?,
            limit: self,
            cut_short: None,
        })
    }

    fn outlast(
        target: TargetOf<'_, O, B>,
        flight: &Flight<()>,
        ending: Option<&mut Ending<L>>,
        may_wait: MayWait,
    ) -> bool {
        let mut asked = false;
        if let Some(ending) = ending
            && !ending.limit.wait(flight, may_wait)
        {
            // If a request goes on several times, the first reason is kept.
            ending.cut_short.get_or_insert(ending.limit.reason());
            O::time_out(target, flight, ending.means.take());
            asked = true;
        }
        // A provider that has returned an error, or was asked to cancel, gets a limited time to complete the IRP.
        let grace = (asked || flight.returned().is_error()).then_some(GRACE);
        flight.wait(may_wait, grace)
    }

    #[inline]
    fn read(
        ending: Option<Ending<L>>,
        outcome: Outcome,
        arguments: &mut Arguments,
        carried: &mut B,
    ) -> Result<O::Output, Error> {
        let cut_short = if L::LIMITS {
            ending.and_then(|ending| ending.cut_short)
        } else {
            None
        };
        if let Some(why) = cut_short
            && O::is_timed_out(outcome.status)
        {
            O::unread(outcome, carried);
            Err(O::cut_short(why, outcome, arguments))
        } else {
            O::read(outcome, arguments, carried)
        }
    }
}

impl<F: Function<B>, B: Ingredient> Blocking<F, B> for Owning
where
    F::Operation: Operation<B, Way = Own>,
{
    // The load moves once, into the operation, where it is dropped.
    fn run<L: Limit>(request: Request<'_, F, B>, limit: L) -> Waited<F, B> {
        let may_wait = limit.begin(F::Operation::CALL)?;
        // First: the request would move once more to the receiver of the call below.
        let operation = Unladen::new()?;
        let in_flight = request.begin_with::<_, Error>(operation)?;
        let over = if L::LIMITS {
            in_flight.drop_after(&limit, may_wait)?
        } else {
            in_flight.wait_longer(may_wait)?
        };
        over.result()
    }
}
