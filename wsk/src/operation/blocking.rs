//! Waiting in the call: [`wait`](Request::wait) and [`wait_timeout`](Request::wait_timeout). Nothing outlives the call, so a request
//! that is waited for may borrow anything.

use core::ptr::NonNull;
use core::time::Duration;

use crate::buffer::carry::{Carry as _, Ingredient};
use crate::cancel::Cancel;
use crate::error::{Call, Error};
use crate::irp::{Flight, Idle, Spares};
use crate::irql::{MayWait, may_wait};
use crate::operation::carried::{CarryOf, Completed, Kept, Unladen, WayOf, lend_and_put};
use crate::registration::hold;
use crate::request::{CutShort, Function, Operation, Own, Request, Way};
use crate::socket::calls::{self, Asked, Call as _};
use crate::time::{Deadline, GRACE};

/// The result of waiting for a request.
type Waited<F, B> = <WayOf<<F as Function<B>>::Operation, B> as Way<B>>::Waited<
    <<F as Function<B>>::Operation as Operation<B>>::Output,
>;

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
        let deadline = Some(Deadline::after(limit, Self::GOES_ON));
        <F::Operation as Operation<B>>::Run::run(self, Stopped { cancel, deadline })
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
    // The usual path, in one piece.
    #[expect(clippy::too_many_lines, reason = "errors leave where they arise")]
    #[inline]
    fn run<L: Limit>(request: Request<'_, F, B>, limit: L) -> Waited<F, B> {
        type WayIn<F, B> = WayOf<<F as Function<B>>::Operation, B>;

        const {
            assert!(
                !<<F::Operation as Operation<B>>::Parameters as calls::Call<B>>::POINTS_INTO_CARRIED,
                "a provider may keep what points into this call's stack: wait for an operation that owns it"
            );
        }
        let (target, function, mut carried) = (request.target, request.function, request.carried);
        let place = NonNull::from(&mut carried);
        // The usual path goes straight through. Everything else leaves it early.
        let may_wait = match limit.begin(F::Operation::CALL) {
            Ok(may_wait) => may_wait,
            Err(error) => return WayIn::<F, B>::waited(Err(error), carried),
        };
        let near = <F::Operation as Operation<B>>::Asked::near(target);
        let target = <F::Operation as Operation<B>>::Asked::far(&near);
        // The operation goes back to the place that it came from.
        let spares = <F::Operation as Operation<B>>::Asked::spares(target);
        let mut operation = match spares.and_then(Spares::take).map_or_else(Idle::new, Ok) {
            Ok(operation) => operation,
            Err(error) => return WayIn::<F, B>::waited(Err(error), carried),
        };
        operation.arm(None);
        // SAFETY: `carried` lies there, and is not used before it is taken back.
        let mut parameters = match unsafe { lend_and_put(&mut operation, place, target, function) }
        {
            Ok(bound) => bound.into_call(),
            Err(error) => {
                give_back_after_error(spares, operation);
                return WayIn::<F, B>::waited(Err(error), carried);
            }
        };
        let mut ending = None;
        if L::LIMITS {
            parameters.may_end_early();
            // Allocates before anything is in flight, because ending the request must not fail.
            match F::Operation::before_time_out(target) {
                Ok(means) => {
                    ending = Some(Ending {
                        means,
                        limit,
                        cut_short: None,
                    });
                }
                Err(error) => {
                    take_back::<F::Operation, B>(&mut operation, place);
                    give_back_after_error(spares, operation);
                    return WayIn::<F, B>::waited(Err(error), carried);
                }
            }
        }
        // SAFETY: what the parameters point at is in the arguments, or was lent, until the completion is seen; otherwise the block is left
        // behind. The block was armed above.
        let launched = unsafe { operation.launch_armed(|irp| parameters.submit(irp)) };
        let passed = match launched {
            Ok(passed) => passed,
            Err(refused) => {
                let mut operation = refused.operation;
                take_back::<F::Operation, B>(&mut operation, place);
                give_back_after_error(spares, operation);
                return WayIn::<F, B>::waited(Err(refused.error), carried);
            }
        };
        let mut end = passed.end();
        let over = loop {
            let operation = match end {
                Ok(operation) => operation,
                Err(flight) => {
                    let ending = if L::LIMITS { ending.as_mut() } else { None };
                    match outlast::<F::Operation, B, L>(
                        near.clone(),
                        flight,
                        ending,
                        place,
                        may_wait,
                    ) {
                        Ok(operation) => operation,
                        Err(error) => return WayIn::<F, B>::lost(error, carried),
                    }
                }
            };
            // SAFETY: the operation has completed; `carried` lies at its place, and was lent.
            let completed =
                unsafe { Completed::<F::Operation, B, _>::of(operation, Kept::at(place)) };
            // No observer, as before: the caller keeps the driver loaded. If the operation is left behind, `outlast` gives it an observer.
            match completed.go_on(|_| None) {
                Ok(over) => break over,
                Err(next) => end = next.into_flight().end(),
            }
        };
        let (result, operation) = over.read_in_place(|outcome, arguments, carried| {
            let cut_short = if L::LIMITS {
                ending.and_then(|ending| ending.cut_short)
            } else {
                None
            };
            if let Some(why) = cut_short
                && F::Operation::is_timed_out(outcome.status)
            {
                Err(F::Operation::cut_short(why, outcome, arguments, carried))
            } else {
                F::Operation::read(outcome, arguments, carried)
            }
        });
        match result {
            Ok(output) => {
                let waited = WayIn::<F, B>::waited(Ok(output), carried);
                give_back(spares, operation);
                waited
            }
            Err(error) => {
                give_back_after_error(spares, operation);
                WayIn::<F, B>::waited(Err(error), carried)
            }
        }
    }
}

/// The means to end a request before it is over.
struct Ending<L> {
    limit: L,
    /// The operation that ending the request takes, if it takes one.
    means: Option<Idle<()>>,
    /// The reason why the request was asked to end, if it was.
    cut_short: Option<CutShort>,
}

/// Takes back what was lent.
#[inline]
fn take_back<O: Operation<B>, B>(operation: &mut Idle<()>, place: NonNull<B>) {
    // SAFETY: the value was lent, and the operation is over, or its request was not made.
    unsafe { CarryOf::<O, B>::take_back::<false>(place, operation.locked()) };
}

/// Gives an operation back.
#[inline]
fn give_back(spares: Option<&Spares<2>>, operation: Idle<()>) {
    match spares {
        Some(spares) => spares.put(operation),
        None => drop(operation),
    }
}

/// As [`give_back`].
#[cold]
#[inline(never)]
fn give_back_after_error(spares: Option<&Spares<2>>, operation: Idle<()>) {
    give_back(spares, operation);
}

/// Waits for a request that had not completed when the call returned, and returns its operation when it has completed.
///
/// # Errors
///
/// The error that says that the buffer was left to the provider.
#[expect(
    clippy::needless_pass_by_value,
    reason = "else it would lie in memory also where nothing is outlasted"
)]
#[inline(never)]
fn outlast<O: Operation<B>, B, L: Limit>(
    near: <O::Asked as Asked<B>>::Near<'_>,
    flight: Flight<()>,
    ending: Option<&mut Ending<L>>,
    place: NonNull<B>,
    may_wait: MayWait,
) -> Result<Idle<()>, Error> {
    let target = O::Asked::far(&near);
    let mut asked = false;
    if let Some(ending) = ending
        && !ending.limit.wait(&flight, may_wait)
    {
        // If a request goes on several times, the first reason is kept.
        ending.cut_short.get_or_insert(ending.limit.reason());
        O::time_out(target, &flight, ending.means.take());
        asked = true;
    }
    // A provider that has returned an error, or was asked to cancel, gets a limited time to complete the IRP.
    let grace = (asked || flight.returned().is_error()).then_some(GRACE);
    if !flight.wait(may_wait, grace) {
        // If the buffer's own code unwinds, this waits: borrowed memory must not go before the IRP has completed.
        let outlasted = Outlasted(&flight, may_wait);
        // SAFETY: the `B` lies there, and was lent; the memory that is left to the provider is not inside it.
        let abandoned = unsafe {
            if CarryOf::<O, B>::abandon(place) {
                Some(place.as_ref())
            } else {
                None
            }
        };
        core::mem::forget(outlasted);
        if let Some(carried) = abandoned {
            let (call, status) = (O::CALL, flight.returned());
            // The completion routine runs when the IRP completes, if it ever does. The driver must still be loaded then.
            flight.leave_observed(hold(O::Asked::capture(target, carried)));
            return Err(Error::Abandoned { call, status });
        }
    }
    let mut flight = flight;
    loop {
        match flight.end() {
            Ok(operation) => return Ok(operation),
            Err(again) => flight = again,
        }
        flight.wait(may_wait, None);
    }
}

/// Waits for a flight when it is dropped.
struct Outlasted<'f>(&'f Flight<()>, MayWait);

impl Drop for Outlasted<'_> {
    fn drop(&mut self) {
        self.0.wait(self.1, None);
    }
}

impl<F: Function<B>, B: Ingredient> Blocking<F, B> for Owning
where
    F::Operation: Operation<B, Way = Own>,
{
    // The load moves once, into the operation, where it is dropped.
    fn run<L: Limit>(request: Request<'_, F, B>, limit: L) -> Waited<F, B> {
        let may_wait = limit.begin(F::Operation::CALL)?;
        let in_flight = request.begin_with::<_, Error>(Unladen::new()?)?;
        let over = if L::LIMITS {
            in_flight.drop_after(&limit, may_wait)?
        } else {
            in_flight.wait_until_over(may_wait)?
        };
        over.result()
    }
}
