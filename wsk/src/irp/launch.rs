//! How an [`Idle`] operation becomes a [`Flight`].

use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, IRP, IoReuseIrp, IoSetCompletionRoutine, NTSTATUS, STATUS_UNSUCCESSFUL,
};

use crate::error::Error;
use crate::irp::block::Idle;
use crate::irp::flight::{Flight, Passed};
use crate::irp::observer::Observer;
use crate::irp::routine::{Routine, Unheld, completed, completed_observed, completed_unheld};

impl<P> Idle<P> {
    /// Makes a request: has `invoke` pass the IRP on. IRQL: that of the call.
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
        invoke: impl FnOnce(NonNull<IRP>) -> Result<NTSTATUS, DispatchError>,
    ) -> Result<Flight<P>, NotLaunched<P>> {
        let mut operation = self;
        operation.arm();
        // SAFETY: the caller vouches for the call; it was just armed.
        unsafe { operation.launch_armed(invoke) }.map(Passed::flight)
    }

    /// Makes the IRP ready for [`launch_armed`](Self::launch_armed), before what is passed on with it is known: then less has to be
    /// remembered over the calls of the kernel.
    #[inline]
    pub(crate) fn arm(&mut self) {
        self.set_routine(completed);
    }

    /// As [`launch`](Self::launch), for an operation that was armed.
    ///
    /// # Safety
    ///
    /// As for `launch`; and it was [armed](Self::arm), or made ready for another routine, and not in flight since.
    #[inline]
    pub(crate) unsafe fn launch_armed(
        self,
        invoke: impl FnOnce(NonNull<IRP>) -> Result<NTSTATUS, DispatchError>,
    ) -> Result<Passed<P>, NotLaunched<P>> {
        self.header().state.start();
        match invoke(self.as_irp()) {
            Ok(returned) => {
                // INVARIANT: the IRP was passed on, and nobody else holds the block.
                Ok(Passed::of(Flight::of(self.into_block()), returned))
            }
            Err(error) => Err(self.not_launched(error)),
        }
    }

    /// As [`launch`](Self::launch), with an observer, who is told once in any case.
    ///
    /// # Safety
    ///
    /// As for `launch`.
    #[inline]
    pub(crate) unsafe fn launch_observed(
        self,
        observer: Observer,
        invoke: impl FnOnce(NonNull<IRP>) -> Result<NTSTATUS, DispatchError>,
    ) -> Result<Flight<P>, NotLaunched<P>> {
        let mut operation = self;
        operation.observe(observer);
        operation.set_routine(completed_observed);
        // SAFETY: the caller vouches for the call; the routine was just set.
        unsafe { operation.launch_armed(invoke) }.map(Passed::flight)
    }

    /// As [`launch`](Self::launch), leaving the block to the routine from the start, which ends it as `E` says; so the observer, if there
    /// is one, which `E` says too, is told last of all.
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
            operation.observe(observer);
        }
        operation.set_routine(completed_unheld::<E>);
        let irp = operation.as_irp();
        // The routine may have it from the call on.
        let this = ManuallyDrop::new(operation);
        match invoke(irp) {
            Ok(_) => Ok(()),
            Err(error) => Err(ManuallyDrop::into_inner(this).not_launched(error)),
        }
    }

    /// Sets the observer, for a routine that tells observers.
    #[inline]
    fn observe(&mut self, observer: Observer) {
        // There is none left from before.
        *self.parts().observer = Some(observer);
    }

    /// Makes the IRP ready for its next request, whose completion is seen by this routine.
    #[inline]
    fn set_routine(&mut self, routine: Routine) {
        let irp = self.as_irp().as_ptr();
        // SAFETY: by the invariant the block is ours, at rest, its IRP initialised with one stack location and not in use. Routine and
        // context stay until the IRP has completed.
        unsafe {
            IoReuseIrp(irp, STATUS_UNSUCCESSFUL);
            IoSetCompletionRoutine(irp, Some(routine), irp.cast(), true, true, true);
        }
    }

    /// The operation is at rest, because nothing was passed on; its observer is told.
    #[cold]
    #[inline(never)]
    fn not_launched(self, error: DispatchError) -> NotLaunched<P> {
        let mut operation = self;
        operation.header().state.rest();
        if let Some(observer) = operation.take_observer() {
            observer.tell(STATUS_UNSUCCESSFUL);
        }
        NotLaunched {
            operation,
            error: error.into(),
        }
    }
}

/// A request that could not be made: nothing is in flight.
pub(crate) struct NotLaunched<P> {
    pub(crate) operation: Idle<P>,
    pub(crate) error: Error,
}
