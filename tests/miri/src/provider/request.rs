//! How requests are accepted, wait, are cancelled and complete.

use core::ffi::c_void;

use wsk_sys::{
    CMSGHDR, DEVICE_OBJECT, IRP, IoSetCancelRoutine, MDL, NTSTATUS, SOCKADDR, STATUS_CANCELLED,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_PENDING, WSK_BUF,
};

use crate::dispatcher::raised;
use crate::irp::Irp;
use crate::provider::{Locked, Manner, Place, world};

/// A waiting request.
pub(super) struct Waiting {
    pub(super) irp: Irp,
    /// Its socket; 0 for the provider.
    pub(super) socket: usize,
    pub(super) what: What,
}

/// What a request waits for.
pub(super) enum What {
    /// A release by the test.
    Release(Box<dyn FnOnce(Irp) + Send>),
    /// A datagram.
    Datagram {
        buffer: Place<WSK_BUF>,
        from: Place<SOCKADDR>,
        control_length: Place<u32>,
        flags: Place<u32>,
    },
    /// Bytes, and perhaps control information.
    Bytes {
        buffer: Place<WSK_BUF>,
        control: Option<(Place<u32>, Place<CMSGHDR>)>,
    },
    /// The end of a connection.
    End,
    /// A connection.
    Connection {
        context: Place<c_void>,
        callbacks: Place<c_void>,
        from: Place<SOCKADDR>,
    },
}

impl core::fmt::Debug for What {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Release(_) => "Release",
            Self::Datagram { .. } => "Datagram",
            Self::Bytes { .. } => "Bytes",
            Self::End => "End",
            Self::Connection { .. } => "Connection",
        })
    }
}

/// Accepts a request to which the manner applies. `end` completes it, on any thread.
pub(super) fn take_on(
    socket: usize,
    irp: *mut IRP,
    end: impl FnOnce(Irp) + Send + 'static,
) -> NTSTATUS {
    let irp = Irp(irp);
    let mut here = world();
    let manner = here.manner.unwrap_or(Manner::Inline);
    match manner {
        Manner::Kept | Manner::KeptAndWritten => {
            here.kept.push(irp);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        Manner::Refused => {
            drop(here);
            irp.complete(STATUS_INSUFFICIENT_RESOURCES, 0);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        _ => {}
    }
    begin(&mut here, socket);
    if manner == Manner::Held {
        wait(here, irp, socket, What::Release(Box::new(end)));
        return STATUS_PENDING;
    }
    drop(here);
    run(irp, end)
}

/// Accepts a request that is never refused or held.
pub(super) fn take_on_always(
    socket: usize,
    irp: *mut IRP,
    end: impl FnOnce(Irp) + Send + 'static,
) -> NTSTATUS {
    begin(&mut world(), socket);
    run(Irp(irp), end)
}

fn run(irp: Irp, end: impl FnOnce(Irp) + Send + 'static) -> NTSTATUS {
    let mut here = world();
    let on_thread = match here.manner {
        Some(Manner::Thread) => true,
        Some(Manner::Mixed(_)) => here.random().is_multiple_of(2),
        _ => false,
    };
    if on_thread {
        let thread = std::thread::spawn(move || {
            let irp = irp;
            raised(|| end(irp));
        });
        here.threads.push(thread);
    } else {
        drop(here);
        raised(|| end(irp));
    }
    STATUS_PENDING
}

fn begin(here: &mut Locked, socket: usize) {
    if socket != 0 {
        here.socket(socket).busy += 1;
    }
}

/// Completes a request.
pub(super) fn complete(irp: Irp, socket: usize, status: NTSTATUS, information: usize) {
    irp.complete(status, information);
    done(socket);
}

/// A request or callback of a socket has ended. After the last one, the socket can be closed.
pub(super) fn done(number: usize) {
    if number == 0 {
        return;
    }
    let mut here = world();
    let socket = here.socket(number);
    socket.busy -= 1;
    if socket.busy > 0 {
        return;
    }
    if let Some(irp) = socket.closing {
        super::basic::finish_closing(here, number, irp);
    }
}

/// Lets a request wait. It can be cancelled from now on.
pub(super) fn wait(here: Locked, irp: Irp, socket: usize, what: What) {
    let mut here = here;
    here.waiting.push_back(Waiting { irp, socket, what });
    // SAFETY: the provider owns the IRP.
    unsafe { IoSetCancelRoutine(irp.0, Some(cancelled)) };
    if irp.is_cancelled() && take_cancel_routine(irp) {
        remove(&mut here, irp);
        drop(here);
        complete(irp, socket, STATUS_CANCELLED, 0);
    }
}

/// Takes the cancel routine away. Returns whether there was one: if not, the cancel routine completes the IRP.
fn take_cancel_routine(irp: Irp) -> bool {
    // SAFETY: the IRP waits, and so it exists: before its cancel routine completes it, the routine takes the lock that is held
    // here.
    unsafe { IoSetCancelRoutine(irp.0, None) }.is_some()
}

fn remove(here: &mut Locked, irp: Irp) -> Waiting {
    let index = here.waiting.iter().position(|waiting| waiting.irp == irp);
    index
        .and_then(|index| here.waiting.remove(index))
        .expect("a waiting request")
}

/// The cancel routine.
///
/// # Safety
///
/// The contract of a cancel routine.
unsafe extern "system" fn cancelled(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    let waiting = remove(&mut world(), Irp(irp));
    complete(waiting.irp, waiting.socket, STATUS_CANCELLED, 0);
}

/// The first of the requests that waits for something, unless it is being cancelled.
pub(super) fn claim(here: &mut Locked, is_wanted: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
    let irps: Vec<Irp> = here
        .waiting
        .iter()
        .filter(|waiting| is_wanted(waiting))
        .map(|waiting| waiting.irp)
        .collect();
    let irp = irps.into_iter().find(|irp| take_cancel_routine(*irp))?;
    Some(remove(here, irp))
}

/// Continues the requests that are held.
pub(crate) fn release() -> usize {
    let mut count = 0;
    loop {
        let held = claim(&mut world(), |waiting| {
            matches!(waiting.what, What::Release(_))
        });
        let Some(Waiting {
            irp,
            what: What::Release(end),
            ..
        }) = held
        else {
            return count;
        };
        count += 1;
        raised(|| end(irp));
    }
}

/// Completes the requests that were kept.
pub(crate) fn complete_kept() -> usize {
    let kept = {
        let mut here = world();
        here.completions_of_kept += 1;
        core::mem::take(&mut here.kept)
    };
    let count = kept.len();
    for irp in kept {
        irp.complete(STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    count
}

/// A buffer of the provider with bytes for an indication.
pub(super) struct Described {
    pub(super) mdl: MDL,
    pub(super) bytes: Vec<u8>,
}

impl Described {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let mut bytes = bytes;
        let mut mdl = MDL::default();
        // SAFETY: the list exists; the bytes stay in place as long as the vector.
        unsafe {
            wsk_sys::MmInitializeMdl(&raw mut mdl, bytes.as_mut_ptr().cast(), bytes.len());
            mdl.MdlFlags |= wsk_sys::MDL_SOURCE_IS_NONPAGED_POOL;
            mdl.MappedSystemVa = bytes.as_mut_ptr().cast();
        }
        Self { mdl, bytes }
    }
}
