//! The completion routines, in which an IRP comes back. They run at up to `DISPATCH_LEVEL`, on any thread, never allocate, and
//! touch nothing of a block after they have published its completion, unless it is theirs.

use core::ffi::c_void;
use core::ptr::NonNull;

use wsk_sys::{DEVICE_OBJECT, IRP, NTSTATUS, STATUS_MORE_PROCESSING_REQUIRED};

use crate::irp::block::Header;
use crate::irp::state::Notify;

/// A completion routine.
pub(crate) type Routine =
    unsafe extern "system" fn(*mut DEVICE_OBJECT, *mut IRP, *mut c_void) -> NTSTATUS;

/// The routine of an operation without observer.
pub(crate) unsafe extern "system" fn completed(
    _: *mut DEVICE_OBJECT,
    _: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    let header = context.cast::<Header>();
    // SAFETY: the context is the block of an operation in flight, which stays until the completion is published. Who is notified is
    // what the state gives.
    unsafe {
        let notify = (*header).state.complete();
        if notify != Notify::Nobody {
            notify_holder(header, notify);
        }
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

/// The routine of an operation with an observer, who is told after the state, and so may outlive the block.
pub(crate) unsafe extern "system" fn completed_observed(
    _: *mut DEVICE_OBJECT,
    _: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    let header = context.cast::<Header>();
    // SAFETY: the context is the block of an operation in flight, which stays until the completion is published. The observer is the
    // routine's while it is in flight, and the IRP has its status. Who is notified is what the state gives.
    let (observer, status) = unsafe {
        let observer = (*header).observer.with_mut(|observer| (*observer).take());
        let status = (*header).outcome().status;
        let notify = (*header).state.complete();
        if notify == Notify::Spurious {
            // There was none to take: it was told of the true completion.
            return STATUS_MORE_PROCESSING_REQUIRED;
        }
        if notify != Notify::Nobody {
            notify_holder(header, notify);
        }
        (observer, status)
    };
    if let Some(observer) = observer {
        observer.tell(status);
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

/// What an operation that nobody holds ends with: it is its routine's from the start. A type by itself, so that the routine has it
/// inside.
pub(crate) trait Unheld {
    /// Whether there is an observer.
    const OBSERVED: bool;

    /// Ends the operation.
    ///
    /// # Safety
    ///
    /// As for [`Discard`](super::block::Discard), of the block of an operation that was [made so](super::Idle::launch_unheld).
    unsafe fn end(block: NonNull<Header>);
}

/// The routine of an operation that nobody holds.
pub(crate) unsafe extern "system" fn completed_unheld<E: Unheld>(
    _: *mut DEVICE_OBJECT,
    _: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    let header = context.cast::<Header>();
    // SAFETY: the context is the block of an operation in flight, which is the routine's. The observer is told when everything else
    // is done, after the block, perhaps, is gone.
    unsafe {
        let observer = if E::OBSERVED {
            let observer = (*header).observer.with_mut(|observer| (*observer).take());
            observer.map(|observer| (observer, (*header).outcome().status))
        } else {
            None
        };
        E::end(NonNull::new_unchecked(header));
        if let Some((observer, status)) = observer {
            observer.tell(status);
        }
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

/// Ends a block that nobody has any more.
///
/// # Safety
///
/// `header` begins a block that has completed and is the caller's; it is not used again.
pub(crate) unsafe fn discard(header: NonNull<Header>) {
    // SAFETY: the caller gives the block, whose place for this is the holder's.
    unsafe { (header.as_ref().discard.with(|discard| *discard))(header) };
}

/// Tells the holder of a completion that was published, or does the holder's part.
///
/// # Safety
///
/// `header` begins the block of the completed operation, whose state gave `notify`, once.
#[inline(never)]
unsafe fn notify_holder(header: *mut Header, notify: Notify) {
    match notify {
        // The block is the holder's.
        Notify::Nobody | Notify::Spurious => {}
        // SAFETY: a waiter leaves the block alone until the event is set, and nothing is done with it after.
        Notify::Event => unsafe { (*header).event.set() },
        // SAFETY: the waker was announced, and is the routine's until `waking_done`; after that the block is not touched unless
        // it is the routine's to discard. What is woken is the driver's: it stays until then.
        Notify::Waker => unsafe {
            // The driver is kept from being unloaded until that is told. Of an operation without observer: those that have one are
            // kept by it.
            let held = (*header).hold;
            let held = held.map(|hold| hold(NonNull::new_unchecked(header)));
            let waker = (*header).waker.with_mut(|waker| (*waker).take());
            if (*header).state.waking_done() == Notify::Free {
                discard(NonNull::new_unchecked(header));
            }
            if let Some(waker) = waker {
                waker.wake();
            }
            if let Some(held) = held {
                held.tell(wsk_sys::STATUS_SUCCESS);
            }
        },
        // SAFETY: a detached block has no holder: it is the routine's to discard, the last that it does.
        Notify::Free => unsafe { discard(NonNull::new_unchecked(header)) },
    }
}
