//! How an [`Idle`] operation becomes a [`Flight`]: its IRP is made ready, and passed on by a call of WSK.

use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_sys::{DispatchError, IRP, NTSTATUS, STATUS_UNSUCCESSFUL};

use crate::error::Error;
use crate::irp::block::{EndedBy, Flight, Idle, Observed, Observer, Plain, Unheld};
use crate::irp::flight::Passed;

impl<P> Idle<P> {
    /// Makes a request: has `invoke` pass the IRP on. The observer, if there is one, is notified once in any case. IRQL: that of the call.
    ///
    /// # Errors
    ///
    /// When `invoke` fails nothing is in flight.
    ///
    /// # Safety
    ///
    /// `invoke` passes the IRP on to WSK by one call, or fails. What the call's parameters point at is in the arguments, or is
    /// kept alive and untouched by the payload until that is taken out, or for as long as the caller makes sure that the
    /// completion was seen.
    #[inline]
    pub(crate) unsafe fn launch(
        self,
        observer: Option<Observer>,
        invoke: impl FnOnce(NonNull<IRP>) -> Result<NTSTATUS, DispatchError>,
    ) -> Result<Flight<P>, NotLaunched<P>> {
        let mut operation = self;
        operation.arm(observer);
        // INVARIANT: just armed; the caller vouches for the call.
        Armed(operation)
            .pass_on(PassingOn(invoke))
            .map(Passed::flight)
    }

    /// Makes the IRP ready for [`launch_armed`](Self::launch_armed), before the parameters are known: then fewer values live across the
    /// calls of the kernel. The observer, if there is one, is notified of the completion.
    #[inline]
    pub(crate) fn arm(&mut self, observer: Option<Observer>) {
        if let Some(observer) = observer {
            self.set_observer(observer);
            self.set_routine::<Observed>();
        } else {
            self.set_routine::<Plain>();
        }
    }

    /// As [`launch`](Self::launch), for an operation that was armed.
    ///
    /// # Safety
    ///
    /// As for `launch`; and it was [armed](Self::arm), and not in flight since.
    #[inline]
    pub(crate) unsafe fn launch_armed(
        self,
        invoke: impl FnOnce(NonNull<IRP>) -> Result<NTSTATUS, DispatchError>,
    ) -> Result<Passed<P>, NotLaunched<P>> {
        // INVARIANT: the caller says that it was armed, and vouches for the call.
        Armed(self).pass_on(PassingOn(invoke))
    }

    /// As [`launch`](Self::launch), but leaves the block to the routine from the start, which ends it as `E` says. `E` also says whether
    /// there is an observer, who is notified last of all.
    ///
    /// # Safety
    ///
    /// As for `launch`; what `E` does with the block may be done as soon as the IRP is passed on.
    #[inline]
    pub(crate) unsafe fn launch_unheld<E: Unheld>(
        self,
        observer: Option<Observer>,
        invoke: impl FnOnce(NonNull<IRP>) -> Result<NTSTATUS, DispatchError>,
    ) -> Result<(), NotLaunched<P>> {
        let mut operation = self;
        if let Some(observer) = observer {
            operation.set_observer(observer);
        }
        if E::GOES_ON {
            operation.end_when_left_by::<E>();
        }
        operation.set_routine::<EndedBy<E>>();
        let irp = operation.as_irp();
        // The routine may have it from the call on.
        let this = ManuallyDrop::new(operation);
        match invoke(irp) {
            Ok(_) => Ok(()),
            Err(error) => Err(ManuallyDrop::into_inner(this).not_launched(error)),
        }
    }

    /// Puts the operation at rest, because nothing was passed on, and notifies its observer.
    #[cold]
    #[inline(never)]
    fn not_launched(self, error: DispatchError) -> NotLaunched<P> {
        let mut operation = self;
        operation.header().state.rest();
        if let Some(observer) = operation.take_observer() {
            observer.notify(STATUS_UNSUCCESSFUL);
        }
        NotLaunched {
            operation,
            error: error.into(),
        }
    }
}

/// A call that passes an IRP on.
///
/// # Invariants
///
/// It is as [`Idle::launch`] asks.
struct PassingOn<F>(F);

/// An operation whose IRP is ready for its request.
///
/// # Invariants
///
/// Its routine was set, and it was not in flight since. An observer was set if the routine notifies one.
struct Armed<P>(Idle<P>);

impl<P> Armed<P> {
    /// Has the call pass the IRP on.
    #[inline]
    fn pass_on<F: FnOnce(NonNull<IRP>) -> Result<NTSTATUS, DispatchError>>(
        self,
        call: PassingOn<F>,
    ) -> Result<Passed<P>, NotLaunched<P>> {
        let (Self(operation), PassingOn(invoke)) = (self, call);
        operation.header().state.start();
        match invoke(operation.as_irp()) {
            Ok(returned) => {
                // INVARIANT: the IRP was passed on, with what the payload keeps.
                Ok(Passed::of(operation.into_flight(), returned))
            }
            Err(error) => Err(operation.not_launched(error)),
        }
    }
}

/// The error of a request that could not be made. Nothing is in flight.
pub(crate) struct NotLaunched<P> {
    pub(crate) operation: Idle<P>,
    pub(crate) error: Error,
}
