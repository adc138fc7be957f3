//! Operations that own what they use: started without waiting, they carry the buffer until the IRP has completed.

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};
use core::time::Duration;

use crate::buffer::{Held, Lock, ReceiveBuffer, SendBuffer};
use crate::datagram::{Received, received, sent};
use crate::error::{Call, Error};
use crate::irql::require_passive;
use crate::operation::{Arguments, Flight, Outcome, Payload, Refused};

/// A datagram being sent.
pub type SendTo<B> = InFlight<usize, B>;

/// A datagram being waited for.
pub type ReceiveFrom<B> = InFlight<Received, B>;

/// An operation in flight that owns its buffer `B` and ends in a `T`.
///
/// It is a [`Future`], and needs no particular executor: its waker is woken by the completion routine, at up to
/// `DISPATCH_LEVEL`. It may be dropped or forgotten at any moment, at any IRQL up to `DISPATCH_LEVEL`: the buffer stays with
/// the kernel until the IRP has completed, and is then dropped at up to `DISPATCH_LEVEL` (or, when forgotten, never). Dropping
/// a [`ReceiveFrom`] cancels it; dropping a [`SendTo`] lets the datagram go.
#[must_use = "dropping a receive cancels it"]
pub struct InFlight<T: Answer, B> {
    flight: Option<Flight<Carried<B>>>,
    call: Call,
    answer: PhantomData<fn() -> T>,
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

mod sealed {
    pub trait Sealed {}
    impl Sealed for usize {}
    impl Sealed for crate::datagram::Received {}
}

/// What an operation ends in: the bytes that were sent, or the datagram that was [`Received`].
pub trait Answer: sealed::Sealed + Sized {
    #[doc(hidden)]
    const CANCEL_ON_DROP: bool;
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn read(outcome: Outcome, arguments: &Arguments) -> Result<Self, Error>;
}

impl Answer for usize {
    const CANCEL_ON_DROP: bool = false;
    #[allow(private_interfaces)]
    fn read(outcome: Outcome, _: &Arguments) -> Result<Self, Error> {
        sent(outcome)
    }
}

impl Answer for Received {
    const CANCEL_ON_DROP: bool = true;
    #[allow(private_interfaces)]
    fn read(outcome: Outcome, arguments: &Arguments) -> Result<Self, Error> {
        received(outcome, arguments)
    }
}

/// What an operation in flight owns. Dropped in this order.
///
/// # Invariants
///
/// `lock` borrows from `buffer`, which is neither moved nor touched as long as it is there.
pub(crate) struct Carried<B> {
    lock: Option<Lock<'static>>,
    buffer: B,
}

impl<B> Carried<B> {
    pub(crate) fn new(buffer: B) -> Self {
        Self { lock: None, buffer }
    }
}

impl<B> Payload for Carried<B> {
    fn settle(&mut self, arguments: &Arguments) {
        // INVARIANT: unlocked before the buffer moves.
        if let Some(lock) = self.lock.take() {
            lock.settle(arguments);
        }
    }
}

impl<B: SendBuffer + 'static> Carried<B> {
    /// Locks the buffer in place.
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
            let place: &mut Option<Lock<'static>> = &mut (*this.as_ptr()).lock;
            Ok(place.insert(lock))
        }
    }
}

impl<B: ReceiveBuffer + 'static> Carried<B> {
    /// Locks the buffer in place.
    ///
    /// # Safety
    ///
    /// As for [`lock`](Self::lock).
    pub(crate) unsafe fn lock_mut<'l>(this: NonNull<Self>) -> Result<&'l Lock<'static>, Error> {
        // SAFETY: as for `lock`.
        unsafe {
            let buffer: &'static mut B = &mut (*this.as_ptr()).buffer;
            let lock = buffer.lock_mut()?;
            let place: &mut Option<Lock<'static>> = &mut (*this.as_ptr()).lock;
            Ok(place.insert(lock))
        }
    }
}

impl<T: Answer, B> InFlight<T, B> {
    pub(crate) fn new(
        started: Result<Flight<Carried<B>>, Refused<Carried<B>>>,
        call: Call,
    ) -> Result<Self, NotStarted<B>> {
        match started {
            // Also with an error: "the IRP will be completed with failure status" does not say that it has been already.
            Ok(flight) => Ok(Self {
                flight: Some(flight),
                call,
                answer: PhantomData,
            }),
            Err(Refused {
                operation,
                payload,
                error,
            }) => {
                // The operation first: the buffer may be what it is part of.
                drop(operation);
                Err(NotStarted {
                    error,
                    buffer: Some(payload.buffer),
                })
            }
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
    pub fn wait(self) -> Result<Finished<T, B>, (Error, Self)> {
        let mut this = self;
        if let Err(error) = require_passive() {
            return Err((error, this));
        }
        if let Some(flight) = this.flight.take_if(|flight| !flight.wait_or_give_up()) {
            // The provider has answered with an error and keeps the IRP, against its contract. Should it complete the IRP after
            // all, the routine drops what it carries.
            let status = flight.returned();
            flight.detach();
            return Ok(Finished {
                result: Err(Error::Abandoned {
                    call: this.call,
                    status,
                }),
                buffer: None,
            });
        }
        Ok(this.finish())
    }

    /// Waits until the operation has completed, at most for `limit`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] or [`Error::WrongIrql`], with the operation, which goes on.
    pub fn wait_timeout(self, limit: Duration) -> Result<Finished<T, B>, (Error, Self)> {
        let mut this = self;
        if let Err(error) = require_passive() {
            return Err((error, this));
        }
        if this
            .flight
            .as_ref()
            .is_none_or(|flight| flight.wait(Some(limit)))
        {
            Ok(this.finish())
        } else {
            Err((Error::TimedOut { call: this.call }, this))
        }
    }

    /// The end of the operation, if it has completed; else the operation. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The operation, which is still in flight.
    pub fn try_take(self) -> Result<Finished<T, B>, Self> {
        let mut this = self;
        if this.is_completed() {
            Ok(this.finish())
        } else {
            Err(this)
        }
    }

    /// Takes everything back from the completed operation.
    fn finish(&mut self) -> Finished<T, B> {
        let Some(flight) = self.flight.take() else {
            return Finished {
                result: Err(Error::Taken),
                buffer: None,
            };
        };
        // SAFETY: callers have seen that it has completed.
        let (mut operation, carried, outcome) = unsafe { flight.finish() };
        let result = T::read(outcome, operation.arguments());
        // The operation first: the buffer may be what it is part of.
        drop(operation);
        Finished {
            result,
            buffer: Some(carried.buffer),
        }
    }
}

impl<T: Answer, B> Future for InFlight<T, B> {
    type Output = Finished<T, B>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(flight) = &mut this.flight
            && flight.poll(context).is_pending()
        {
            return Poll::Pending;
        }
        Poll::Ready(this.finish())
    }
}

// SAFETY: shared, an operation can be looked at and cancelled, which the kernel allows on any thread; all else needs it whole.
unsafe impl<T: Answer, B: Send> Sync for InFlight<T, B> {}

// Nothing in an `InFlight` is pinned: the buffer is in the operation's block, not in the handle.
impl<T: Answer, B> Unpin for InFlight<T, B> {}

impl<T: Answer, B> Drop for InFlight<T, B> {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            if T::CANCEL_ON_DROP {
                flight.cancel();
            }
            flight.detach();
        }
    }
}

impl<T: Answer, B> fmt::Debug for InFlight<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight")
            .field("call", &self.call)
            .field("completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}
