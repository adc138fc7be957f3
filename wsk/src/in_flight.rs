//! Operations that own what they use: started without waiting, they carry it until the IRP has completed.

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};
use core::time::Duration;

use crate::buffer::{Held, Lock, ReceiveBuffer, SendBuffer};
use crate::datagram::{Received, received, sent};
use crate::error::{Call, Error};
use crate::irql::{require_apc, require_passive};
use crate::operation::{Arguments, Flight, Idle, Outcome, Payload, Refused};

/// A datagram being sent.
pub type SendTo<B> = InFlight<SendingTo<B>>;

/// A datagram being waited for.
pub type ReceiveFrom<B> = InFlight<ReceivingFrom<B>>;

/// An operation in flight that owns what it uses, such as the buffer of a [`SendTo`] or [`ReceiveFrom`].
///
/// It is a [`Future`], and needs no particular executor: its waker is woken by the completion routine, at up to
/// `DISPATCH_LEVEL`. It may be dropped or forgotten at any moment, at any IRQL up to `DISPATCH_LEVEL`: what it owns stays with
/// the kernel until the IRP has completed, and is then dropped at up to `DISPATCH_LEVEL` (or, when forgotten, never). Dropping
/// a send or a disconnect lets it go on; dropping anything else cancels it.
///
/// An [`Accept`](crate::Accept), [`Connect`](crate::Connect), [`Open`](crate::Open) or [`Resolve`](crate::Resolve) that is
/// forgotten keeps its [`Registration`](crate::Registration) waiting for ever, whatever comes of it.
#[must_use = "dropping anything but a send or a disconnect cancels it"]
pub struct InFlight<O: Operation> {
    flight: Option<Flight<O::Payload>>,
    operation: PhantomData<fn() -> O>,
}

/// The end of an operation: its result, and its buffer.
#[derive(Debug)]
pub struct Finished<T, B> {
    /// What became of it.
    pub result: Result<T, Error>,
    /// The buffer; `None` only after [`Error::Abandoned`], when the provider may still use it.
    pub buffer: Option<B>,
}

/// An operation that was not started.
pub struct NotStarted<B> {
    /// Why.
    pub error: Error,
    /// The buffer; `None` only after [`Error::Abandoned`], when the provider may still use it.
    pub buffer: Option<B>,
}

impl<B> NotStarted<B> {
    pub(crate) fn new(error: Error, buffer: B) -> Self {
        Self {
            error,
            buffer: Some(buffer),
        }
    }
}

// Buffers need no `Debug` for the error to be shown.
impl<B> fmt::Debug for NotStarted<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotStarted")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<B> fmt::Display for NotStarted<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B> core::error::Error for NotStarted<B> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<NotStarted<B>> for Error {
    fn from(not_started: NotStarted<B>) -> Self {
        not_started.error
    }
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// What can be [`InFlight`].
pub trait Operation: sealed::Sealed {
    /// What it ends in.
    type Output;

    /// What it owns meanwhile.
    #[doc(hidden)]
    type Payload: Payload;

    /// The function that was called.
    #[doc(hidden)]
    const CALL: Call;

    #[doc(hidden)]
    const CANCEL_ON_DROP: bool;

    /// The end of an operation whose IRP has completed.
    #[doc(hidden)]
    fn end(
        payload: Self::Payload,
        call: Call,
        outcome: Outcome,
        arguments: &Arguments,
    ) -> Self::Output;

    /// The end of an operation that has nothing to give back.
    #[doc(hidden)]
    fn lost(error: Error) -> Self::Output;
}

/// Declares operations that send from or receive into a buffer.
macro_rules! transfers {
    ($($(#[$doc:meta])* $name:ident by $call:ident -> $result:ty, cancelled on drop: $cancel:literal, $read:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name<B>(::core::marker::PhantomData<fn() -> B>);

        impl<B> $crate::in_flight::sealed::Sealed for $name<B> {}

        impl<B> $crate::in_flight::Operation for $name<B> {
            type Output = $crate::in_flight::Finished<$result, B>;
            type Payload = $crate::in_flight::Carried<B>;
            const CALL: $crate::error::Call = $crate::error::Call::$call;
            const CANCEL_ON_DROP: bool = $cancel;

            #[inline]
            fn end(
                payload: Self::Payload,
                call: $crate::error::Call,
                outcome: $crate::operation::Outcome,
                arguments: &$crate::operation::Arguments,
            ) -> Self::Output {
                let read: fn(
                    $crate::error::Call,
                    $crate::operation::Outcome,
                    &$crate::operation::Arguments,
                ) -> Result<$result, $crate::error::Error> = $read;
                $crate::in_flight::Finished {
                    result: read(call, outcome, arguments),
                    buffer: Some(payload.into_buffer()),
                }
            }

            fn lost(error: $crate::error::Error) -> Self::Output {
                $crate::in_flight::Finished {
                    result: Err(error),
                    buffer: None,
                }
            }
        }

        impl<B> ::core::fmt::Debug for $name<B> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

pub(crate) use transfers;

transfers! {
    /// [`SendTo`] as an [`Operation`].
    SendingTo by WskSendTo -> usize, cancelled on drop: false, |_, outcome, _| sent(outcome);
    /// [`ReceiveFrom`] as an [`Operation`].
    ReceivingFrom by WskReceiveFrom -> Received, cancelled on drop: true, |_, outcome, arguments| received(outcome, arguments);
}

/// What an operation in flight owns. Dropped in this order.
///
/// # Invariants
///
/// `lock` borrows from `buffer`, which is neither moved nor touched as long as it is there.
pub struct Carried<B> {
    lock: Option<Lock<'static>>,
    buffer: B,
}

impl<B> Carried<B> {
    pub(crate) fn new(buffer: B) -> Self {
        Self { lock: None, buffer }
    }

    /// The operation for a buffer: its own, if it brings one, or a new one.
    ///
    /// # Safety
    ///
    /// `own` is what `operation` of the buffer that the payload will carry has just given.
    pub(crate) unsafe fn operation(own: Option<NonNull<()>>) -> Result<Idle<Self>, Error> {
        // SAFETY: it is the block that the buffer's `operation` promises: of this payload type, idle, and for this operation alone.
        let own = own.map(|block| unsafe { Idle::from_block(block.cast()) });
        own.map_or_else(Idle::new, Ok)
    }

    /// The buffer of an operation that is over.
    pub(crate) fn into_buffer(self) -> B {
        self.buffer
    }
}

impl<B> Payload for Carried<B> {
    unsafe fn settle(this: NonNull<Self>, outcome: Option<Outcome>, arguments: &Arguments) {
        // SAFETY: the caller gives the payload, which nothing else uses. Only the lock is borrowed: it may write to the buffer beside it.
        let lock = unsafe { &mut (*this.as_ptr()).lock };
        if let (Some(lock), Some(outcome)) = (&*lock, outcome) {
            lock.settle(outcome, arguments);
        }
        // INVARIANT: unlocked before the buffer moves.
        *lock = None;
    }
}

impl<B: SendBuffer + 'static> Carried<B> {
    /// Locks the buffer in place, once.
    ///
    /// # Safety
    ///
    /// `this` is where the payload stays until the lock is dropped, and nothing else refers to it. The result is not used longer.
    pub(crate) unsafe fn lock<'l>(this: NonNull<Self>) -> Result<&'l Lock<'static>, Error> {
        // SAFETY: the caller gives the place. The lock borrows from the buffer beside it, which by the invariant neither moves
        // nor goes before the lock.
        unsafe {
            let buffer: &'static B = &(*this.as_ptr()).buffer;
            let lock = buffer.lock()?;
            // There is none before, so nothing has to be dropped.
            let place = &raw mut (*this.as_ptr()).lock;
            place.write(Some(lock));
            (*place).as_ref().ok_or(Error::Taken)
        }
    }
}

impl<B: ReceiveBuffer + 'static> Carried<B> {
    /// Locks the buffer in place, once.
    ///
    /// # Safety
    ///
    /// As for [`lock`](Self::lock).
    pub(crate) unsafe fn lock_mut<'l>(this: NonNull<Self>) -> Result<&'l Lock<'static>, Error> {
        // SAFETY: the caller gives the place, and the buffer to be borrowed exclusively. The lock borrows from the buffer beside it,
        // which by the invariant neither moves, nor goes before the lock, nor is touched.
        unsafe {
            let buffer: &'static mut B = &mut (*this.as_ptr()).buffer;
            let lock = buffer.lock_mut()?;
            // There is none before, so nothing has to be dropped.
            let place = &raw mut (*this.as_ptr()).lock;
            place.write(Some(lock));
            (*place).as_ref().ok_or(Error::Taken)
        }
    }
}

impl<B, O: Operation<Payload = Carried<B>>> InFlight<O> {
    pub(crate) fn new(
        started: Result<Flight<Carried<B>>, Refused<Carried<B>>>,
    ) -> Result<Self, NotStarted<B>> {
        match started {
            Ok(flight) => Ok(Self::started(flight)),
            Err(Refused {
                operation,
                payload,
                error,
            }) => {
                // The operation first: the buffer may be what it is part of.
                drop(operation);
                Err(NotStarted::new(error, payload.buffer))
            }
        }
    }
}

impl<O: Operation> InFlight<O> {
    /// An operation that was started; also with an error: "the IRP will be completed with failure status" does not say that it
    /// has been already.
    #[inline]
    pub(crate) fn started(flight: Flight<O::Payload>) -> Self {
        Self {
            flight: Some(flight),
            operation: PhantomData,
        }
    }

    /// Whether the operation has completed. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.flight.as_ref().is_none_or(Flight::is_completed)
    }

    /// Asks the provider to cancel the operation, which then completes soon, perhaps with success all the same. IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// [`IoCancelIrp`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocancelirp).
    #[doc(alias = "IoCancelIrp")]
    pub fn cancel(&self) {
        if let Some(flight) = &self.flight {
            flight.cancel();
        }
    }

    /// Waits until the operation has completed. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`] above `PASSIVE_LEVEL`, with the operation, which goes on.
    #[inline]
    pub fn wait(self) -> Result<O::Output, (Error, Self)> {
        if let Err(error) = require_passive() {
            return Err((error, self));
        }
        Ok(match self.into_flight() {
            // SAFETY: the wait said that it has completed.
            Some(flight) if flight.wait_or_give_up() => unsafe { end::<O>(flight) },
            Some(flight) => abandon::<O>(flight),
            None => O::lost(Error::Taken),
        })
    }

    /// Waits until the operation has completed, at most for `limit`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] or [`Error::WrongIrql`], with the operation, which goes on.
    pub fn wait_timeout(self, limit: Duration) -> Result<O::Output, (Error, Self)> {
        if let Err(error) = require_passive() {
            return Err((error, self));
        }
        if self
            .flight
            .as_ref()
            .is_none_or(|flight| flight.wait(Some(limit)))
        {
            // SAFETY: the wait said that it has completed.
            Ok(unsafe { self.into_end() })
        } else {
            Err((Error::TimedOut { call: O::CALL }, self))
        }
    }

    /// The end of the operation, if it has completed; else the operation. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The operation, which is still in flight.
    pub fn try_take(self) -> Result<O::Output, Self> {
        if self.is_completed() {
            // SAFETY: it has completed.
            return Ok(unsafe { self.into_end() });
        }
        let mut this = self;
        match this.flight.take_if(Flight::is_given_up) {
            Some(flight) => Ok(abandon::<O>(flight)),
            None => Err(this),
        }
    }

    /// Polls when the provider has answered with an error and not completed the IRP yet, of which it may never tell.
    #[cold]
    fn poll_refused(&mut self, context: &Context<'_>) -> Poll<O::Output> {
        if let Some(flight) = self.flight.take_if(Flight::is_given_up) {
            return Poll::Ready(abandon::<O>(flight));
        }
        // Asked again at once, so that the time is looked at; not in a DPC, which might keep the completion from coming.
        if require_apc().is_ok() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Takes the flight out, after which nothing is left to drop.
    #[inline]
    fn into_flight(self) -> Option<Flight<O::Payload>> {
        ManuallyDrop::new(self).flight.take()
    }

    /// Takes everything back from an operation that has completed.
    ///
    /// # Safety
    ///
    /// As for [`end`], unless the operation has ended before.
    unsafe fn into_end(self) -> O::Output {
        match self.into_flight() {
            // SAFETY: the caller has seen that it has completed.
            Some(flight) => unsafe { end::<O>(flight) },
            None => O::lost(Error::Taken),
        }
    }
}

/// Takes everything back from a flight that has completed.
///
/// # Safety
///
/// As for [`Flight::finish`]: something said that it has completed.
#[inline]
unsafe fn end<O: Operation>(flight: Flight<O::Payload>) -> O::Output {
    // SAFETY: the caller has seen that it has completed.
    let (mut operation, payload, outcome) = unsafe { flight.finish() };
    // The operation goes first: the buffer may be what it is part of. The arguments are read before.
    let output = O::end(payload, O::CALL, outcome, operation.arguments());
    drop(operation);
    output
}

/// Gives up a flight whose provider has answered with an error and keeps the IRP, against its contract. Should it complete the
/// IRP after all, the routine drops what it carries.
#[cold]
fn abandon<O: Operation>(flight: Flight<O::Payload>) -> O::Output {
    let status = flight.returned();
    flight.detach();
    O::lost(Error::Abandoned {
        call: O::CALL,
        status,
    })
}

impl<O: Operation> Future for InFlight<O> {
    type Output = O::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(flight) = &mut this.flight
            && flight.poll(context).is_pending()
        {
            if !flight.returned().is_error() {
                return Poll::Pending;
            }
            return this.poll_refused(context);
        }
        Poll::Ready(match this.flight.take() {
            // SAFETY: polling it said that it has completed.
            Some(flight) => unsafe { end::<O>(flight) },
            None => O::lost(Error::Taken),
        })
    }
}

// SAFETY: shared, an operation can be looked at, which is to read its state, an atomic, and cancelled, which the kernel allows on any
// thread. All else needs it whole, and with it the payload, which is `Send`.
unsafe impl<O: Operation> Sync for InFlight<O> where O::Payload: Send {}

// Nothing in an `InFlight` is pinned: the buffer is in the operation's block, not in the handle.
impl<O: Operation> Unpin for InFlight<O> {}

impl<O: Operation> Drop for InFlight<O> {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            // Where it has completed there is nothing to cancel.
            if O::CANCEL_ON_DROP && !flight.is_completed() {
                flight.silence();
                flight.cancel();
            }
            flight.detach();
        }
    }
}

impl<O: Operation> fmt::Debug for InFlight<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight")
            .field("call", &O::CALL)
            .field("completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}
