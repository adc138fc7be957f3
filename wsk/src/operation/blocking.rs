//! Waiting in the call: [`wait`](Request::wait) and [`wait_timeout`](Request::wait_timeout). Nothing outlives the call, so a request
//! that is waited for may borrow anything.

use core::ptr::NonNull;
use core::time::Duration;

use crate::buffer::Lock;
use crate::error::Error;
use crate::irp::{Flight, Idle};
use crate::irql::{MayWait, may_wait};
use crate::operation::carried::{WayOf, go_on, lend_and_put};
use crate::registration::hold;
use crate::request::{Function, Operation, Request, Way};
use crate::time::{Deadline, GRACE};

/// What waiting for a request gives.
type Waited<F, B> = <WayOf<<F as Function<B>>::Operation, B> as Way<B>>::Waited<
    <<F as Function<B>>::Operation as Operation<B>>::Output,
>;

impl<F: Function<B>, B> Request<'_, F, B>
where
    <F::Operation as Operation<B>>::Run: Blocking<F, B>,
{
    /// Makes the request and waits until it is over. IRQL: `PASSIVE_LEVEL`.
    ///
    /// What was given by reference is the caller's again; what was given by value is dropped: use a reference to keep it. Nothing is
    /// allocated for the operation, unless more than two threads wait for requests of the socket at this moment; memory that has no
    /// MDL gets one.
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
    /// Before WSK is called: [`Error::WrongIrql`], [`Error::NoMemory`], and what is wrong with the request. Else what WSK says.
    /// [`Error::Abandoned`] where the provider breaks its contract, after two seconds; memory that is only borrowed is waited for
    /// as long as it takes.
    #[inline]
    pub fn wait(self) -> Waited<F, B> {
        <F::Operation as Operation<B>>::Run::run(self, None)
    }

    /// [`wait`](Self::wait), until `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// The request is then cancelled, and waited for too, so that nothing is in flight afterwards; if it was done at the last moment
    /// that is no error. (A graceful disconnect aborts the connection. A lookup, which not every provider can cancel, is not waited
    /// for: it goes on by itself, with all that it uses, and dropping the [`Registration`](crate::Registration) waits for it.)
    ///
    /// # Errors
    ///
    /// Besides those of `wait`, [`Error::TimedOut`]. [`Error::Abandoned`] where the provider does not complete what was cancelled within
    /// two seconds.
    pub fn wait_timeout(self, limit: Duration) -> Waited<F, B> {
        <F::Operation as Operation<B>>::Run::run(self, Some(limit))
    }
}

/// How a request is waited for.
pub trait Blocking<F: Function<B>, B> {
    /// Makes it and waits.
    #[doc(hidden)]
    fn run(request: Request<'_, F, B>, limit: Option<Duration>) -> Waited<F, B>;
}

pub use crate::request::{InPlace, Owning};

impl<F: Function<B>, B> Blocking<F, B> for InPlace {
    #[inline]
    fn run(request: Request<'_, F, B>, limit: Option<Duration>) -> Waited<F, B> {
        type WayIn<F, B> = WayOf<<F as Function<B>>::Operation, B>;
        let Request {
            target,
            function,
            carried,
        } = request;
        let mut carried = carried;
        let place = NonNull::from(&mut carried);
        // What is usual goes straight through; whatever else happens leaves by a way of its own.
        let may_wait = match may_wait() {
            Ok(may_wait) => may_wait,
            Err(error) => return WayIn::<F, B>::waited(Err(error), carried),
        };
        let mut operation = match F::Operation::operation(target) {
            Ok(operation) => operation,
            Err(error) => return WayIn::<F, B>::waited(Err(error), carried),
        };
        let parameters = match lend_and_put(&mut operation, place, target, function) {
            Ok(parameters) => parameters,
            Err(error) => {
                F::Operation::give_back(target, operation);
                return WayIn::<F, B>::waited(Err(error), carried);
            }
        };
        let mut means = None;
        if limit.is_some() {
            // Before anything is in flight, so that it cannot fail later.
            match F::Operation::before_time_out(target) {
                Ok(got) => means = got,
                Err(error) => {
                    take_back::<F::Operation, B>(target, operation, place);
                    return WayIn::<F, B>::waited(Err(error), carried);
                }
            }
        }
        // SAFETY: what the parameters point at is in the arguments, or was lent, until the completion is seen; else the block stays behind.
        let launched = unsafe { operation.launch(|irp| F::Operation::submit(&parameters, irp)) };
        let flight = match launched {
            Ok(flight) => flight,
            Err(refused) => {
                take_back::<F::Operation, B>(target, refused.operation, place);
                return WayIn::<F, B>::waited(Err(refused.error), carried);
            }
        };
        if !flight.is_completed() {
            return match finish::<F::Operation, B>(target, flight, means, place, may_wait, limit) {
                Ok(result) => WayIn::<F, B>::waited(result, carried),
                Err(error) => WayIn::<F, B>::lost(error, carried),
            };
        }
        // SAFETY: it has completed; what is carried lies at its place, and is read once.
        let ended = match unsafe { go_on::<F::Operation, B, ()>(flight, place, hold) } {
            Err(ended) => ended,
            Ok(flight) => {
                return match finish::<F::Operation, B>(
                    target, flight, means, place, may_wait, limit,
                ) {
                    Ok(result) => WayIn::<F, B>::waited(result, carried),
                    Err(error) => WayIn::<F, B>::lost(error, carried),
                };
            }
        };
        let mut operation = ended.operation;
        // SAFETY: as above.
        let result = unsafe { F::Operation::read(ended.outcome, operation.arguments(), place) };
        take_back::<F::Operation, B>(target, operation, place);
        WayIn::<F, B>::waited(result, carried)
    }
}

/// Takes back what was lent, and gives the operation back.
#[inline]
fn take_back<O: Operation<B>, B>(target: O::Target<'_>, operation: Idle<()>, place: NonNull<B>) {
    let mut operation = operation;
    // SAFETY: it was lent, and the operation is over, or was not begun.
    unsafe { O::Way::take_back(place, Lock::of(operation.locked())) };
    O::give_back(target, operation);
}

/// Waits for a request that had not completed when the call returned, and reads what has come of it.
///
/// # Errors
///
/// [`Error::Abandoned`], when what it carries was left to the provider.
#[inline(never)]
fn finish<O: Operation<B>, B>(
    target: O::Target<'_>,
    flight: Flight<()>,
    means: Option<Idle<()>>,
    place: NonNull<B>,
    may_wait: MayWait,
    limit: Option<Duration>,
) -> Result<Result<O::Output, Error>, Error> {
    let (mut flight, mut means, mut timed_out) = (flight, means, false);
    let limit = limit.map(Deadline::after);
    let ended = loop {
        if !flight.is_completed() {
            let (completed, late) = outlast::<O, B>(
                target,
                flight,
                means.take(),
                place,
                may_wait,
                limit.as_ref(),
            )?;
            (flight, timed_out) = (completed, timed_out || late);
        }
        // SAFETY: it has completed.
        match unsafe { go_on::<O, B, ()>(flight, place, hold) } {
            Ok(next) => flight = next,
            Err(ended) => break ended,
        }
    };
    let mut operation = ended.operation;
    // SAFETY: it has completed; what is carried lies at its place, and is read once.
    let result = unsafe { O::read(ended.outcome, operation.arguments(), place) };
    take_back::<O, B>(target, operation, place);
    if timed_out && O::is_timed_out(ended.outcome.status) {
        return Ok(Err(Error::TimedOut { call: O::CALL }));
    }
    Ok(result)
}

/// Waits for a request that had not completed when the call returned: the completed flight, and whether the time ran out.
///
/// # Errors
///
/// [`Error::Abandoned`], when what it carries was left to the provider.
fn outlast<O: Operation<B>, B>(
    target: O::Target<'_>,
    flight: Flight<()>,
    means: Option<Idle<()>>,
    place: NonNull<B>,
    may_wait: MayWait,
    limit: Option<&Deadline>,
) -> Result<(Flight<()>, bool), Error> {
    let mut timed_out = false;
    if let Some(limit) = limit
        && !flight.wait(may_wait, Some(limit.left()))
    {
        O::time_out(target, &flight, means);
        timed_out = true;
    }
    // A provider that has answered with an error, or was asked to cancel, has a while to complete the IRP.
    let grace = (timed_out || flight.returned().is_error()).then_some(GRACE);
    if !flight.wait(may_wait, grace) {
        // SAFETY: what is carried lies there. The provider may use its memory, which is not looked at.
        let carried = unsafe { place.as_ref() };
        // Waits should the buffer's own code unwind: what is only borrowed must not go before the IRP has completed.
        let outlasted = Outlasted(&flight, may_wait);
        let abandoned = O::Way::abandon(carried);
        core::mem::forget(outlasted);
        if abandoned {
            let (call, status) = (O::CALL, flight.returned());
            // Whenever the IRP completes, if it does, the routine is run: the driver has to be there.
            flight.leave_observed(hold(O::capture(target, carried)));
            return Err(Error::Abandoned { call, status });
        }
        flight.wait(may_wait, None);
    }
    Ok((flight, timed_out))
}

/// Waits for a flight when it is dropped.
struct Outlasted<'f>(&'f Flight<()>, MayWait);

impl Drop for Outlasted<'_> {
    fn drop(&mut self) {
        self.0.wait(self.1, None);
    }
}

impl<F: Function<B>, B: Send + 'static> Blocking<F, B> for Owning {
    fn run(request: Request<'_, F, B>, limit: Option<Duration>) -> Waited<F, B> {
        type WayIn<F, B> = WayOf<<F as Function<B>>::Operation, B>;
        let finished = match may_wait() {
            Err(error) => WayIn::<F, B>::finished(Err(error), Some(request.carried)),
            Ok(may_wait) => match request.begin() {
                Err((error, carried)) => WayIn::<F, B>::finished(Err(error), Some(carried)),
                Ok(in_flight) => match limit {
                    None => in_flight.wait_or_lose(may_wait),
                    Some(limit) => in_flight.cancel_after(limit),
                },
            },
        };
        WayIn::<F, B>::into_waited(finished)
    }
}
