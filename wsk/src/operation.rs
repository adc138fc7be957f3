//! One request to WSK: its IRP and everything the provider may touch until the IRP has completed, in one block of nonpaged
//! pool.
//!
//! The owner of the operation and the completion routine agree on who may touch it through [`State`].

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use wsk_sys::{
    DEVICE_OBJECT, EVENT_TYPE, IO_NO_INCREMENT, IRP, IoInitializeIrp, IoReuseIrp,
    IoSetCompletionRoutine, IoSizeOfIrp, KEVENT, KWAIT_REASON, KeClearEvent, KeInitializeEvent,
    KeSetEvent, KeWaitForSingleObject, LARGE_INTEGER, MODE, NTSTATUS, SOCKADDR_STORAGE,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS, STATUS_UNSUCCESSFUL, WSK_BUF,
};

use crate::error::{Call, Error, Memory};
use crate::memory;
use crate::state::{Notify, State};

/// How long a provider that has answered with an error may take to complete the IRP, in the kernel's unit of 100
/// nanoseconds; it should have done so before it returned.
const GRACE: i64 = 2 * 10_000_000;

/// What a completed IRP says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) status: NTSTATUS,
    pub(crate) information: usize,
}

impl Outcome {
    /// Whether the request succeeded.
    pub(crate) fn check(self, call: Call) -> Result<(), Error> {
        if self.status.is_success() {
            Ok(())
        } else {
            Err(Error::Call {
                call,
                status: self.status,
            })
        }
    }
}

/// The memory of a request.
///
/// # Invariants
///
/// * The block is nonpaged and at least 16-aligned; `irp` is its first member and followed by its one stack location.
/// * In `Idle` and `Completed` only the owner of the [`Operation`] touches the block. In `InFlight` and `Waiting` the
///   provider owns the IRP and may read or write every other `UnsafeCell` member; the owner touches only `state`, and the
///   event in `Waiting`. In `Detached` there is no owner.
#[repr(C)]
struct Block {
    irp: UnsafeCell<Irp>,
    event: UnsafeCell<KEVENT>,
    state: State<AtomicU32>,
    /// What the completion routine does with a detached block besides freeing it.
    release: UnsafeCell<Option<Release>>,
    arguments: UnsafeCell<Arguments>,
}

/// An IRP with room for one stack location behind it.
#[repr(C)]
struct Irp {
    irp: IRP,
    stack: [wsk_sys::IO_STACK_LOCATION; 1],
}

const _: () = assert!(size_of::<Irp>() >= IoSizeOfIrp(1) as usize);
const _: () = assert!(core::mem::offset_of!(Irp, stack) == size_of::<IRP>());

/// What a request's parameters point at.
pub(crate) struct Arguments {
    pub(crate) buffer: WSK_BUF,
    pub(crate) address: SOCKADDR_STORAGE,
    pub(crate) control_length: u32,
    pub(crate) control_flags: u32,
    pub(crate) value: u32,
}

/// What is done when a detached operation completes: a function and what it is called with.
#[derive(Clone, Copy)]
pub(crate) struct Release {
    pub(crate) run: unsafe fn(NonNull<c_void>),
    pub(crate) context: NonNull<c_void>,
}

/// An operation that is not in flight: it can be started, or dropped.
///
/// # Invariants
///
/// `block` is a live [`Block`] in the state `Idle`, which nothing else refers to.
pub(crate) struct Operation {
    block: NonNull<Block>,
}

// SAFETY: an idle block is memory that nothing else refers to; whichever thread owns the operation may use it.
unsafe impl Send for Operation {}

impl Operation {
    /// Allocates an operation. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn new() -> Result<Self, Error> {
        let block = memory::allocate(Layout::new::<Block>())
            .ok_or(Error::NoMemory(Memory::Irp))?
            .cast::<Block>();
        let irp = block.as_ptr().cast::<IRP>();
        // SAFETY: the block is ours alone and as large as `Block`, for which all-zero bytes are a valid value (`None` is the
        // zero of an optional function pointer with its context; the state zero is `Idle`). The IRP is first in it, with room
        // for one stack location behind, which is the size that is passed on.
        unsafe {
            block.write_bytes(0, 1);
            IoInitializeIrp(irp, IoSizeOfIrp(1), 1);
            KeInitializeEvent(
                (&raw mut (*block.as_ptr()).event).cast(),
                EVENT_TYPE::NotificationEvent,
                0,
            );
        }
        // INVARIANT: the block is live, `Idle` (zero), and nothing refers to it.
        Ok(Self { block })
    }

    /// What the parameters of the next request point at.
    pub(crate) fn arguments(&mut self) -> &mut Arguments {
        // SAFETY: by the invariant nothing else refers to the block, and the borrow of `self` keeps it so.
        unsafe { &mut *self.block().arguments.get() }
    }

    /// Makes the request `call` by `invoke`, and waits until its IRP has completed. IRQL: `PASSIVE_LEVEL`.
    ///
    /// `invoke` gets the IRP and the arguments to point the parameters at. When the provider breaks its contract by returning
    /// an error without completing the IRP, the operation stays behind for it and the error is [`Error::Abandoned`].
    ///
    /// # Safety
    ///
    /// `invoke` passes the IRP to WSK, once, by a call which completes it, or returns an error without passing it on. All that
    /// the call's parameters point at other than the arguments stays valid until the IRP has completed, also after
    /// `Abandoned`.
    pub(crate) unsafe fn run(
        self,
        call: Call,
        invoke: impl FnOnce(NonNull<IRP>, NonNull<Arguments>) -> Result<NTSTATUS, Error>,
    ) -> Result<(Self, Outcome), Error> {
        // SAFETY: the caller vouches for `invoke` and for what the parameters point at.
        let (flight, status) = unsafe { self.start(None, invoke) }?;
        match flight.wait(status) {
            Ok(completed) => Ok(completed),
            Err(flight) => {
                if let Err(flight) = flight.detach() {
                    // It completed at the last moment.
                    return Ok(flight.finish());
                }
                Err(Error::Abandoned { call, status })
            }
        }
    }

    /// Makes a request by `invoke` without waiting; `release` runs when it has completed, at up to `DISPATCH_LEVEL`, and the
    /// operation frees itself. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); and `release` may be called once, on any thread, with its context.
    pub(crate) unsafe fn run_detached(
        self,
        release: Release,
        invoke: impl FnOnce(NonNull<IRP>, NonNull<Arguments>) -> Result<NTSTATUS, Error>,
    ) -> Result<(), Error> {
        // SAFETY: the caller vouches for `invoke` and for what the parameters point at.
        let (flight, _) = unsafe { self.start(Some(release), invoke) }?;
        if let Err(flight) = flight.detach() {
            // Completed already: what the routine would have done is left to us.
            let (operation, _) = flight.finish();
            drop(operation);
            // SAFETY: the routine found no detached operation, so this is the one call; the caller allows it.
            unsafe { (release.run)(release.context) };
        }
        Ok(())
    }

    /// Makes a request by `invoke`.
    ///
    /// # Safety
    ///
    /// As for [`run_detached`](Self::run_detached).
    unsafe fn start(
        self,
        release: Option<Release>,
        invoke: impl FnOnce(NonNull<IRP>, NonNull<Arguments>) -> Result<NTSTATUS, Error>,
    ) -> Result<(Flight, NTSTATUS), Error> {
        let block = self.block;
        // From here on the completion routine may be what frees the block.
        let operation = ManuallyDrop::new(self);
        let irp = block.cast::<IRP>();
        // SAFETY: the block is idle and ours; its IRP was initialised with one stack location and is not in use.
        unsafe {
            *operation.block().release.get() = release;
            IoReuseIrp(irp.as_ptr(), STATUS_UNSUCCESSFUL);
            IoSetCompletionRoutine(
                irp.as_ptr(),
                Some(completed),
                block.as_ptr().cast(),
                true,
                true,
                true,
            );
        }
        operation.block().state.start();
        // INVARIANT: the IRP is on its way, or `invoke` says that it is not.
        let flight = Flight { block };
        let arguments = NonNull::from(&operation.block().arguments).cast();
        match invoke(irp, arguments) {
            Ok(status) => Ok((flight, status)),
            Err(error) => {
                // Nothing was passed on: the block is idle again.
                operation.block().state.reset();
                drop(ManuallyDrop::into_inner(operation));
                let _ = ManuallyDrop::new(flight);
                Err(error)
            }
        }
    }

    fn block(&self) -> &Block {
        // SAFETY: by the invariant the block is live; members that the provider may write are behind `UnsafeCell`.
        unsafe { self.block.as_ref() }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        // SAFETY: by the invariant the block is live and nothing refers to it; it came from `allocate`.
        unsafe { memory::free(self.block.cast()) };
    }
}

/// A place for one idle operation, from which any thread may take it and put one back.
///
/// # Invariants
///
/// The pointer is null, or the block of an [`Operation`] that was put here and not taken since.
pub(crate) struct Spare {
    block: AtomicPtr<Block>,
}

impl Spare {
    pub(crate) fn new(operation: Option<Operation>) -> Self {
        let spare = Self {
            block: AtomicPtr::new(core::ptr::null_mut()),
        };
        if let Some(operation) = operation {
            spare.put(operation);
        }
        spare
    }

    /// Takes the operation, if it is there.
    pub(crate) fn take(&self) -> Option<Operation> {
        let block = self.block.swap(core::ptr::null_mut(), Ordering::Acquire);
        // INVARIANT: what was put here was idle, and no longer is here.
        NonNull::new(block).map(|block| Operation { block })
    }

    /// Puts the operation here; the one that was here is freed.
    pub(crate) fn put(&self, operation: Operation) {
        let block = ManuallyDrop::new(operation).block;
        let before = self.block.swap(block.as_ptr(), Ordering::AcqRel);
        // INVARIANT: what was put here was idle, and no longer is here.
        drop(NonNull::new(before).map(|block| Operation { block }));
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// An operation whose IRP is with the provider, or has come back.
///
/// Dropping it leaks the block: it is always consumed by [`wait`](Self::wait), [`detach`](Self::detach) or
/// [`finish`](Self::finish).
///
/// # Invariants
///
/// `block` is a live [`Block`] in the state `InFlight`, `Waiting` or `Completed`, and this is its only owner.
#[must_use]
struct Flight {
    block: NonNull<Block>,
}

impl Flight {
    /// Waits for the completion; gives up after [`GRACE`] when the call returned an error and the IRP did not complete.
    /// IRQL: `PASSIVE_LEVEL`.
    fn wait(self, returned: NTSTATUS) -> Result<(Operation, Outcome), Self> {
        let state = &self.block().state;
        if state.is_completed() || !state.wait() {
            return Ok(self.finish());
        }
        let limit = returned.is_error().then_some(GRACE);
        if self.await_event(limit) {
            return Ok(self.finish());
        }
        if self.block().state.give_up() {
            return Err(self);
        }
        // It completed at the last moment: the operation is the routine's until it has set the event.
        self.await_event(None);
        Ok(self.finish())
    }

    /// Leaves the block to the completion routine; gives it back when the IRP has completed already.
    fn detach(self) -> Result<(), Self> {
        if self.block().state.detach() { Ok(()) } else { Err(self) }
    }

    /// Takes the operation back, with what the IRP says.
    fn finish(self) -> (Operation, Outcome) {
        // SAFETY: the IRP has completed and the routine has published that, so the provider is done with the IRP and the
        // routine with the block; by the invariant nobody else has it.
        let io_status = unsafe { (*self.block.cast::<IRP>().as_ptr()).IoStatus };
        let outcome = Outcome {
            status: io_status.status(),
            information: io_status.Information,
        };
        self.block().state.reset();
        // INVARIANT: idle, and nothing refers to the block.
        (Operation { block: self.block }, outcome)
    }

    /// Waits for the event, and clears it; `false` when `limit`, in units of 100 nanoseconds, ran out first.
    fn await_event(&self, limit: Option<i64>) -> bool {
        let event = self.block().event.get();
        // Negative is relative to now.
        let timeout = limit.map(|limit| LARGE_INTEGER { QuadPart: -limit });
        let timeout = timeout
            .as_ref()
            .map_or(core::ptr::null(), core::ptr::from_ref)
            .cast_mut();
        // SAFETY: the event is initialised and in nonpaged memory that lives as long as `self`. Callers are at PASSIVE_LEVEL.
        unsafe {
            let status = KeWaitForSingleObject(
                event.cast(),
                KWAIT_REASON::Executive,
                MODE::KernelMode.0 as i8,
                0,
                timeout,
            );
            if status != STATUS_SUCCESS {
                return false;
            }
            KeClearEvent(event);
        }
        true
    }

    fn block(&self) -> &Block {
        // SAFETY: by the invariant the block is live; members that the provider may write are behind `UnsafeCell`.
        unsafe { self.block.as_ref() }
    }
}

/// The completion routine of every operation. Runs at up to `DISPATCH_LEVEL`, on any thread.
unsafe extern "system" fn completed(
    _: *mut DEVICE_OBJECT,
    _: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    let block = context.cast::<Block>();
    // SAFETY: the context is the block of an operation in flight, which is not freed before this routine has published the
    // completion.
    match unsafe { (*block).state.complete() } {
        // The block is the owner's.
        Notify::Nobody => {}
        // SAFETY: a waiter leaves the block alone until the event is set, and nothing is done with it after.
        Notify::Event => unsafe {
            KeSetEvent((*block).event.get(), IO_NO_INCREMENT.into(), 0);
        },
        // SAFETY: a detached block has no owner: it is ours to free, and `release` is called this once. No operation of this
        // module announces a waker, so there is none to take out.
        Notify::Waker | Notify::Free => unsafe {
            let release = *(*block).release.get();
            memory::free(NonNull::new_unchecked(block.cast()));
            if let Some(release) = release {
                (release.run)(release.context);
            }
        },
    }
    STATUS_MORE_PROCESSING_REQUIRED
}
