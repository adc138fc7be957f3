//! IRPs in raw code: stack locations, completion routines, cancelling, sending to a device.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::sync::Mutex;

use driver::*;
use wsk_host::{Completion, DISPATCH_LEVEL, IrpStep, Kernel, What, at_irql, current_irql};
use wsk_sys::*;

#[test]
fn the_layout_is_that_of_windows() {
    let kernel = Kernel::boot();
    let irp = allocate_irp(3);
    // SAFETY: the IRP is new, and used by nobody else; its locations lie behind it.
    unsafe {
        assert_eq!((*irp).Type, IO_TYPE_IRP as i16);
        assert_eq!(
            usize::from((*irp).Size),
            size_of::<IRP>() + 3 * size_of::<IO_STACK_LOCATION>()
        );
        assert_eq!(((*irp).StackCount, (*irp).CurrentLocation), (3, 4));
        let beyond = irp
            .cast::<u8>()
            .add(usize::from((*irp).Size))
            .cast::<IO_STACK_LOCATION>();
        assert_eq!((*irp).Tail.Overlay.Anonymous2.CurrentStackLocation, beyond);
        let list = &raw mut (*irp).ThreadListEntry;
        assert_eq!(((*list).Flink, (*list).Blink), (list, list));
        IoFreeIrp(irp);
    }
    kernel.shutdown();
}

/// What a completion routine saw.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Seen {
    level: u8,
    device: usize,
    pending_returned: u8,
    current_location: i8,
}

type Log = Mutex<Vec<Seen>>;

/// A place for what `records` tells, leaked, and the context that it is for completion routines.
fn log() -> (&'static Log, *mut c_void) {
    let log: &'static Log = Box::leak(Box::default());
    (log, context(log))
}

fn context(log: &'static Log) -> *mut c_void {
    ptr::from_ref(log).cast_mut().cast()
}

/// A device of a driver whose dispatch routine is `routine`.
///
/// # Invariants
///
/// The device and its driver are leaked. What the dispatch routine wants to find in the device is there.
#[derive(Clone, Copy)]
struct Device(*mut DEVICE_OBJECT);

impl Device {
    /// # Safety
    ///
    /// The routine wants to find nothing in the device but itself.
    unsafe fn new(
        routine: unsafe extern "system" fn(*mut DEVICE_OBJECT, *mut IRP) -> NTSTATUS,
    ) -> Self {
        // SAFETY: the caller says so.
        unsafe { Self::with(routine, DEVICE_OBJECT::default()) }
    }

    /// A device that passes IRPs on to the one below, with a routine of its own when there is a log for that.
    fn above(below: Self, log: Option<&'static Log>) -> Self {
        // SAFETY: this is what `forwards` wants to find, in places that nobody else uses.
        unsafe {
            Self::with(
                forwards,
                DEVICE_OBJECT {
                    DeviceExtension: below.0.cast(),
                    CurrentIrp: log.map_or(ptr::null_mut(), context).cast(),
                    ..DEVICE_OBJECT::default()
                },
            )
        }
    }

    /// # Safety
    ///
    /// What the routine wants to find in the device is there.
    unsafe fn with(
        routine: unsafe extern "system" fn(*mut DEVICE_OBJECT, *mut IRP) -> NTSTATUS,
        device: DEVICE_OBJECT,
    ) -> Self {
        let driver = Box::new(DRIVER_OBJECT {
            Type: IO_TYPE_DRIVER as i16,
            MajorFunction: [Some(routine); 28],
            ..DRIVER_OBJECT::default()
        });
        // INVARIANT: nobody frees them; the caller says the rest.
        Self(Box::into_raw(Box::new(DEVICE_OBJECT {
            Type: IO_TYPE_DEVICE as i16,
            DriverObject: Box::into_raw(driver),
            ..device
        })))
    }

    /// `IoCallDriver`.
    ///
    /// # Safety
    ///
    /// The IRP belongs to the caller, and its locations down from the current one are set up for the device.
    unsafe fn call(self, irp: *mut IRP) -> NTSTATUS {
        // SAFETY: the device is one by the invariant; the caller says the rest.
        unsafe { IofCallDriver(self.0, irp) }
    }
}

unsafe extern "system" fn records(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: the context is always one of `log`, and the IRP has come back to the routine.
    let (seen, irp) = unsafe { (&*context.cast::<Log>(), &*irp) };
    seen.lock().unwrap().push(Seen {
        level: current_irql(),
        device: device as usize,
        pending_returned: irp.PendingReturned,
        current_location: irp.CurrentLocation,
    });
    STATUS_SUCCESS
}

unsafe extern "system" fn keeps(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: it is given what this routine was given.
    let _ = unsafe { records(device, irp, context) };
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "system" fn never(
    _device: *mut DEVICE_OBJECT,
    _irp: *mut IRP,
    _context: *mut c_void,
) -> NTSTATUS {
    panic!("not to be called");
}

/// # Safety
///
/// The IRP is alive and has a stack location left.
unsafe fn next(irp: *mut IRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: the caller says so.
    unsafe { (*irp).Tail.Overlay.Anonymous2.CurrentStackLocation.sub(1) }
}

/// Completes with a status from `IoStatus.Information`.
unsafe extern "system" fn completes(_device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a driver owns the IRP that it is sent, until it completes it.
    unsafe {
        let status = NTSTATUS((*irp).IoStatus.Information as u32 as i32);
        (*irp).IoStatus.Anonymous1.Status = status;
        IofCompleteRequest(irp, 0);
        status
    }
}

/// Marks the IRP pending and completes it.
unsafe extern "system" fn pends(_device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a driver owns the IRP that it is sent, until it completes it.
    unsafe {
        (*(*irp).Tail.Overlay.Anonymous2.CurrentStackLocation).Control |= SL_PENDING_RETURNED;
        (*irp).IoStatus.Anonymous1.Status = STATUS_SUCCESS;
        IofCompleteRequest(irp, 0);
        STATUS_PENDING
    }
}

/// Passes the IRP on to the device below, which is the device extension.
unsafe extern "system" fn forwards(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a driver owns the IRP that it is sent. The tests send it IRPs with a location left. The device is one of
    // `Device::above`.
    unsafe {
        let next = next(irp);
        next.write_bytes(0, 1);
        if !(*device).CurrentIrp.is_null() {
            // The test's place for a context.
            (*next).CompletionRoutine = Some(records);
            (*next).Context = (*device).CurrentIrp.cast();
            (*next).Control = SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR;
        }
        IofCallDriver((*device).DeviceExtension.cast(), irp)
    }
}

#[test]
fn completion_walks_up_the_stack() {
    let kernel = Kernel::boot();
    let (seen, context) = log();
    // SAFETY: the routine wants nothing of its device.
    let bottom = unsafe { Device::new(pends) };
    let top = Device::above(bottom, Some(seen));
    let irp = allocate_irp(2);
    // SAFETY: the IRP is new, with a location for each device; it has come back when the call returns.
    unsafe {
        set_routine(irp, Some(keeps), context);
        assert_eq!(at_irql(DISPATCH_LEVEL, || top.call(irp)), STATUS_PENDING);
        IoFreeIrp(irp);
    }
    assert_eq!(
        *seen.lock().unwrap(),
        [
            // The upper driver's routine, with its own device, and the lower driver's mark.
            Seen {
                level: DISPATCH_LEVEL,
                device: top.0 as usize,
                pending_returned: 1,
                current_location: 2
            },
            // The routine of who made the IRP. The upper driver's routine hasn't passed the mark on.
            Seen {
                level: DISPATCH_LEVEL,
                device: 0,
                pending_returned: 0,
                current_location: 3
            },
        ]
    );
    kernel.shutdown();
}

#[test]
fn the_pending_mark_rises_past_drivers_without_a_routine() {
    let kernel = Kernel::boot();
    let (seen, context) = log();
    // SAFETY: the routine wants nothing of its device.
    let bottom = unsafe { Device::new(pends) };
    let top = Device::above(bottom, None);
    let irp = allocate_irp(2);
    // SAFETY: the IRP is new, with a location for each device; it has come back when the call returns.
    unsafe {
        set_routine(irp, Some(keeps), context);
        assert_eq!(top.call(irp), STATUS_PENDING);
        IoFreeIrp(irp);
    }
    assert_eq!(
        *seen.lock().unwrap(),
        [Seen {
            level: 0,
            device: 0,
            pending_returned: 1,
            current_location: 3
        }]
    );
    kernel.shutdown();
}

#[test]
fn routines_are_invoked_on_what_they_were_set_for() {
    let kernel = Kernel::boot();
    let (seen, context) = log();
    // SAFETY: the routine wants nothing of its device.
    let device = unsafe { Device::new(completes) };
    // (bits of the inner location, cancelled, status, whether the inner routine is called)
    let cases = [
        (SL_INVOKE_ON_SUCCESS, false, STATUS_SUCCESS, true),
        (SL_INVOKE_ON_SUCCESS, false, STATUS_UNSUCCESSFUL, false),
        (SL_INVOKE_ON_ERROR, false, STATUS_UNSUCCESSFUL, true),
        (SL_INVOKE_ON_ERROR, false, STATUS_BUFFER_OVERFLOW, true),
        (SL_INVOKE_ON_ERROR, false, STATUS_SUCCESS, false),
        (SL_INVOKE_ON_CANCEL, false, STATUS_CANCELLED, false),
        (SL_INVOKE_ON_CANCEL, true, STATUS_CANCELLED, true),
        (SL_INVOKE_ON_CANCEL, true, STATUS_SUCCESS, true),
        (0, true, STATUS_SUCCESS, false),
    ];
    for (bits, cancelled, status, called) in cases {
        seen.lock().unwrap().clear();
        let irp = allocate_irp(2);
        // SAFETY: the IRP is new, with a location for each of the two drivers; it has come back when the call returns.
        unsafe {
            set_routine(irp, Some(keeps), context);
            // As a driver in the middle does: its own location, then that of the one below.
            (*irp).CurrentLocation -= 1;
            (*irp).Tail.Overlay.Anonymous2.CurrentStackLocation = next(irp);
            (*next(irp)).CompletionRoutine = Some(if called { records } else { never });
            (*next(irp)).Context = context;
            (*next(irp)).Control = bits;
            (*irp).Cancel = u8::from(cancelled);
            (*irp).IoStatus.Information = status.0 as u32 as usize;
            assert_eq!(device.call(irp), status);
            assert_eq!((*irp).IoStatus.Anonymous1.Status, status);
            IoFreeIrp(irp);
        }
        assert_eq!(
            seen.lock().unwrap().len(),
            1 + usize::from(called),
            "{bits:#x} {cancelled} {status:?}"
        );
    }
    kernel.shutdown();
}

#[test]
fn an_irp_in_place_is_used_again_and_again() {
    let kernel = Kernel::builder().completion(Completion::Deferred).boot();
    let client = Client::new();
    let size = size_of::<IRP>() + size_of::<IO_STACK_LOCATION>();
    let memory = pool(size);
    // SAFETY: the block has room for an IRP with one location, and is freed when the call isn't used any more.
    let mut call = unsafe {
        IoInitializeIrp(memory.cast(), size as u16, 1);
        Call::with(memory.cast())
    };
    let before = kernel.counts().allocations();
    for _ in 0..100 {
        assert_eq!(
            client.start_socket(&call, Kind::datagram(AF_INET)),
            STATUS_PENDING
        );
        let (status, socket) = call.wait();
        assert_eq!(status, STATUS_SUCCESS);
        call.again();
        // SAFETY: the socket was made just now.
        let socket = unsafe { Socket::of(socket) };
        assert_eq!(socket.start_close(&call), STATUS_PENDING);
        assert_eq!(call.wait(), (STATUS_SUCCESS, 0));
        call.again();
    }
    assert_eq!(kernel.counts().allocations(), before);
    // SAFETY: the last call has come back.
    unsafe { ExFreePoolWithTag(memory, TAG) };
    client.leave();
    kernel.shutdown();
}

static CANCELLED: Mutex<Vec<(u8, usize)>> = Mutex::new(Vec::new());

unsafe extern "C" {
    fn IoReleaseCancelSpinLock(irql: u8);
}

unsafe extern "system" fn cancels(_device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    CANCELLED
        .lock()
        .unwrap()
        .push((current_irql(), irp as usize));
    // SAFETY: a cancel routine is called with the lock, which it gives back. The IRP is the driver's that queued it.
    unsafe {
        IoReleaseCancelSpinLock((*irp).CancelIrql);
        (*irp).IoStatus.Anonymous1.Status = STATUS_CANCELLED;
        IofCompleteRequest(irp, 0);
    }
}

unsafe extern "system" fn queues(_device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a driver owns the IRP that it is sent, until it completes it.
    unsafe {
        (*(*irp).Tail.Overlay.Anonymous2.CurrentStackLocation).Control |= SL_PENDING_RETURNED;
        (*irp).CancelRoutine = Some(cancels);
    }
    STATUS_PENDING
}

#[test]
fn cancelling_calls_the_routine_at_dispatch_level() {
    let kernel = Kernel::boot();
    // SAFETY: the routine wants nothing of its device.
    let device = unsafe { Device::new(queues) };
    let mut call = Call::new();
    // SAFETY: the IRP is new, with a location for the device.
    assert_eq!(unsafe { device.call(call.irp()) }, STATUS_PENDING);
    assert_eq!(call.cancel(), 1);
    assert_eq!(current_irql(), 0);
    assert_eq!(
        *CANCELLED.lock().unwrap(),
        [(DISPATCH_LEVEL, call.irp() as usize)]
    );
    assert_eq!(call.wait().0, STATUS_CANCELLED);
    // SAFETY: the IRP has come back.
    assert_eq!(unsafe { (*call.irp()).Cancel }, 1);
    assert_eq!(call.cancel(), 0, "there is no routine any more");
    call.free();
    kernel.shutdown();
}

#[test]
fn the_trace_tells_the_life_of_an_irp() {
    let kernel = Kernel::builder().completion(Completion::Deferred).boot();
    let events = std::sync::Arc::new(Mutex::new(Vec::new()));
    let sink = events.clone();
    kernel.on_event(move |event| sink.lock().unwrap().push(event.clone()));
    let client = Client::new();
    client.socket(AF_INET).close();
    client.leave();
    kernel.shutdown();
    let events = events.lock().unwrap();
    let of_second: Vec<IrpStep> = events
        .iter()
        .filter_map(|event| match &event.what {
            // A routine returns when it likes: the thread that it woke may be faster.
            What::Irp {
                step: IrpStep::RoutineReturned(status),
                ..
            } => {
                assert_eq!(*status, STATUS_MORE_PROCESSING_REQUIRED);
                None
            }
            What::Irp {
                number: 2, step, ..
            } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(
        of_second,
        [
            IrpStep::Allocated,
            IrpStep::Started("WskCloseSocket"),
            IrpStep::Pending,
            IrpStep::Completed(STATUS_SUCCESS, 0),
            IrpStep::RoutineCalled,
            IrpStep::Freed,
        ]
    );
    let calls: Vec<&str> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Called { function, .. } if function.starts_with("Wsk") => Some(*function),
            _ => None,
        })
        .collect();
    let expected = [
        "WskRegister",
        "WskCaptureProviderNPI",
        "WskSocket",
        "WskCloseSocket",
        "WskReleaseProviderNPI",
        "WskDeregister",
    ];
    assert_eq!(calls, expected);
    let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("WskSocket(Client=0x")
                && line.contains("AddressFamily=AF_INET,")),
        "{lines:#?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("DISPATCH")
                && line.contains("irp#2 completed: STATUS_SUCCESS")),
        "{lines:#?}"
    );
}
