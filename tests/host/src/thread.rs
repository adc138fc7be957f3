//! System threads, and their objects and handles. Stands for `PsCreateSystemThread` and for the parts of the object manager that it
//! needs.

use core::ffi::c_void;
use core::ptr;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use wsk_sys::{
    CLIENT_ID, DISPATCHER_HEADER, LARGE_INTEGER, NTSTATUS, OBJECT_ATTRIBUTES,
    OBJECT_HANDLE_INFORMATION, OBJECT_TYPE, PKSTART_ROUTINE, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS, STATUS_TIMEOUT,
};

use crate::bugcheck::{bugcheck, violation};
use crate::data;
use crate::event::{self, Kind};
use crate::faults::{self, Resource};
use crate::irql;
use crate::origin::{self, Origin, Whose};
use crate::registry::Key;
use crate::table::Table;
use crate::{clock, page_fault, stack_places, waits};

/// A thread object. Its memory starts with a dispatcher header, so that it can be waited for.
#[repr(C)]
struct Thread {
    header: DISPATCHER_HEADER,
    references: AtomicI64,
    /// The number of references that belong to the running thread and its handle. The driver must not release those.
    own: AtomicI64,
    routine: PKSTART_ROUTINE,
    context: *mut c_void,
    /// The number that the running thread has; 0 before it runs.
    number: AtomicU32,
    origin: Origin,
}

/// The object of a handle.
pub(crate) enum Handle {
    Thread(*mut c_void),
    Key(Key),
}

// SAFETY: what it points at is the driver's, and isn't looked at through the object.
unsafe impl Send for Thread {}

// SAFETY: a handle to a thread holds a reference to it, which keeps the object; the object may be used from any thread.
unsafe impl Send for Handle {}

/// Objects by address, so that a wrong pointer is noticed.
static OBJECTS: Table<()> = Table::new();
/// Objects that are gone, the latest last, so that a use of one is reported.
static GONE: Mutex<VecDeque<Box<Thread>>> = Mutex::new(VecDeque::new());
/// The most objects to keep in [`GONE`].
const QUARANTINE: usize = 256;
/// Handles, each with the driver that has opened it.
static HANDLES: Mutex<std::collections::BTreeMap<usize, (Handle, u32)>> =
    Mutex::new(std::collections::BTreeMap::new());
static NEXT_HANDLE: AtomicUsize = AtomicUsize::new(0);

std::thread_local! {
    static CURRENT: core::cell::Cell<*mut Thread> = const { core::cell::Cell::new(ptr::null_mut()) };
}

/// Whether the running thread is a system thread.
pub(crate) fn is_system_thread() -> bool {
    !CURRENT.get().is_null()
}

/// Stops when `object` is that of the running thread, which would wait for its own end.
pub(crate) fn require_another(function: &str, object: *mut c_void) {
    if is_system_thread() && object == CURRENT.get().cast() {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::SELF_DEADLOCK, object as usize, 0, 0),
            [],
            "{function} was called by a thread for itself, without a time-out: it ends when the wait has ended"
        )
    }
}

/// Makes a handle.
pub(crate) fn open(handle: Handle) -> *mut c_void {
    // Kernel handles have their top bit set and are multiples of four.
    let value = 0x8000_0000_usize + NEXT_HANDLE.fetch_add(4, Ordering::Relaxed) + 4;
    HANDLES.lock().insert(value, (handle, origin::driver()));
    ptr::without_provenance_mut(value)
}

/// Calls `look` with the object of a handle.
pub(crate) fn with_handle<R>(handle: *mut c_void, look: impl FnOnce(&Handle) -> R) -> Option<R> {
    let handles = HANDLES.lock();
    handles
        .get(&(handle as usize))
        .map(|(handle, _)| look(handle))
}

/// Waits for threads that are about to run their last instructions. Returns whether there were any.
pub(crate) fn settle(deadline: Instant) -> bool {
    let mut waited = false;
    loop {
        let ending = OBJECTS.find(|address, ()| {
            let thread = ptr::with_exposed_provenance_mut::<Thread>(address);
            // SAFETY: objects in the table are alive; the state is read atomically.
            unsafe { event::wait(&raw mut (*thread).header, Some(Instant::now())) }.then_some(())
        });
        if ending.is_none() || Instant::now() >= deadline {
            return waited;
        }
        waited = true;
        std::thread::yield_now();
    }
}

/// Open handles and living threads, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    let mut lines: Vec<String> = HANDLES
        .lock()
        .iter()
        .filter(|(_, (_, driver))| whose.is(*driver))
        .map(|(value, (handle, _))| match handle {
            Handle::Thread(_) => format!("handle {value:#x} of a system thread"),
            Handle::Key(key) => format!("handle {value:#x} of the registry key {key}"),
        })
        .collect();
    OBJECTS.each(|address, ()| {
        let thread = ptr::with_exposed_provenance::<Thread>(address);
        // SAFETY: objects in the table are alive.
        let (references, number, origin) = unsafe {
            (
                (*thread).references.load(Ordering::SeqCst),
                (*thread).number.load(Ordering::Relaxed),
                &(*thread).origin,
            )
        };
        if whose.is(origin.driver()) {
            let waits = waits::of_thread(number)
                .map_or_else(String::new, |waits| format!("\n    {waits}"));
            lines.push(format!(
                "system thread at {address:#x} with {references} references{waits}\n    created by {origin}"
            ));
        }
    });
    lines
}

/// Forgets handles and objects. Objects that are still referenced stay in memory.
pub(crate) fn reset() {
    HANDLES.lock().clear();
    OBJECTS.clear();
}

fn reference(object: *mut c_void, function: &str) -> i64 {
    require_object(object, function);
    // SAFETY: objects in the table are alive.
    unsafe {
        (*object.cast::<Thread>())
            .references
            .fetch_add(1, Ordering::SeqCst)
            + 1
    }
}

fn dereference(object: *mut c_void, function: &str) -> i64 {
    require_object(object, function);
    let thread = object.cast::<Thread>();
    // SAFETY: objects in the table are alive.
    let (all, own) = unsafe {
        (
            (*thread).references.load(Ordering::SeqCst),
            (*thread).own.load(Ordering::SeqCst),
        )
    };
    if all <= own {
        bugcheck!(
            REFERENCE_BY_POINTER(0, object as usize, 2, 0),
            // SAFETY: as above.
            [format!("created by {}", unsafe { &(*thread).origin })],
            "{function} was called for a system thread that the driver has given all its references back of: those that are left are the running thread's and its handle's"
        )
    }
    // SAFETY: objects in the table are alive, and the caller gives up one reference.
    unsafe { release(thread) }
}

/// Gives up a reference; with the last one the object is gone.
///
/// # Safety
///
/// The caller has a reference to the object, which it doesn't use any more.
unsafe fn release(thread: *mut Thread) -> i64 {
    // SAFETY: a reference keeps the object alive.
    let left = unsafe { (*thread).references.fetch_sub(1, Ordering::SeqCst) - 1 };
    if left == 0 {
        let _ = OBJECTS.lock(thread as usize).remove(thread as usize);
        // SAFETY: the last reference is gone, and the object came from a box. A driver may still look at its header.
        let gone = unsafe {
            (*thread).header.Anonymous1.Anonymous1.Type = event::GONE;
            Box::from_raw(thread)
        };
        let mut quarantine = GONE.lock();
        if quarantine.len() >= QUARANTINE {
            quarantine.pop_front();
        }
        quarantine.push_back(gone);
    }
    left
}

/// Gives up a reference that is the running thread's or the handle's.
///
/// # Safety
///
/// As for [`release`].
unsafe fn release_own(thread: *mut Thread) -> i64 {
    // SAFETY: the caller says so.
    unsafe {
        (*thread).own.fetch_sub(1, Ordering::SeqCst);
        release(thread)
    }
}

/// Describes an object that is gone, for a report.
pub(crate) fn story(object: usize) -> Option<String> {
    let quarantine = GONE.lock();
    let gone = quarantine
        .iter()
        .rfind(|gone| &raw const ***gone as usize == object)?;
    Some(format!(
        "system thread at {object:#x}, whose last reference was given back; created by {}",
        gone.origin
    ))
}

fn require_object(object: *mut c_void, function: &str) {
    if OBJECTS.lock(object as usize).get(object as usize).is_none() {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::BAD_REFERENCE, object as usize, 0, 0),
            [],
            "{function} was called for {object:p}, which isn't an object (any more)"
        )
    }
}

fn end(thread: *mut Thread) {
    if irql::current() != irql::PASSIVE_LEVEL {
        bugcheck!(
            IRQL_NOT_LESS_OR_EQUAL(thread as usize, usize::from(irql::current()), 0, 0),
            [],
            "a system thread ended above PASSIVE_LEVEL"
        )
    }
    crate::executive::thread_ends();
    stack_places::thread_ends();
    // SAFETY: the running thread holds a reference to its object.
    unsafe { event::signal(&raw mut (*thread).header) };
    // SAFETY: this is the running thread's reference. A kernel that was shut down meanwhile has forgotten the object, but
    // not freed it.
    unsafe { release_own(thread) };
}

export! {
    /// Starts a system thread.
    fn PsCreateSystemThread(
        ThreadHandle: *mut *mut c_void,
        DesiredAccess: u32,
        ObjectAttributes: *mut OBJECT_ATTRIBUTES,
        ProcessHandle: *mut c_void,
        ClientId: *mut CLIENT_ID,
        StartRoutine: PKSTART_ROUTINE,
        StartContext: *mut c_void,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        let _ = (DesiredAccess, ObjectAttributes, ProcessHandle);
        if faults::strikes(Resource::Thread) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let thread = Box::into_raw(Box::new(Thread {
            header: DISPATCHER_HEADER::default(),
            // One for the running thread, one for the handle.
            references: AtomicI64::new(2),
            own: AtomicI64::new(2),
            routine: StartRoutine,
            context: StartContext,
            number: AtomicU32::new(0),
            origin: Origin::here("PsCreateSystemThread"),
        }));
        // SAFETY: the box was made just now.
        unsafe {
            event::initialize(
                &raw mut (*thread).header,
                Kind::Thread,
                size_of::<Thread>(),
                false,
            );
        };
        let address = thread.expose_provenance();
        let _ = OBJECTS.lock(address).insert(address, ());
        let started = std::thread::Builder::new()
            .name("system thread".into())
            .spawn(move || {
                let thread = ptr::with_exposed_provenance_mut::<Thread>(address);
                CURRENT.set(thread);
                page_fault::prepare_thread();
                // SAFETY: the running thread holds a reference to its object; the driver gave the routine and its context.
                unsafe {
                    (*thread)
                        .number
                        .store(origin::thread_number(), Ordering::Relaxed);
                    let driver = (*thread).origin.driver();
                    if let Some(routine) = (*thread).routine {
                        origin::for_driver(driver, || routine((*thread).context));
                    }
                }
                end(thread);
            });
        if started.is_err() {
            let _ = OBJECTS.lock(address).remove(address);
            // SAFETY: nobody else knows the object.
            drop(unsafe { Box::from_raw(thread) });
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let handle = open(Handle::Thread(thread.cast()));
        // SAFETY: the driver gives the places.
        unsafe {
            ThreadHandle.write(handle);
            if !ClientId.is_null() {
                ClientId.write(CLIENT_ID {
                    UniqueProcess: ptr::without_provenance_mut(4),
                    UniqueThread: handle,
                });
            }
        }
        STATUS_SUCCESS
    }
}

export! {
    /// Ends the calling system thread.
    ///
    /// The stack isn't unwound and the host's thread sleeps for good: there is no portable way to end a thread in the
    /// middle. A start routine that returns ends its thread fully.
    fn PsTerminateSystemThread(ExitStatus: NTSTATUS) -> NTSTATUS, at most PASSIVE_LEVEL {
        let _ = ExitStatus;
        let thread = CURRENT.get();
        if thread.is_null() {
            // As in NT for a thread that isn't a system thread.
            return wsk_sys::STATUS_INVALID_PARAMETER;
        }
        end(thread);
        loop {
            std::thread::park();
        }
    }
}

export! {
    /// Returns the object of a handle, with a reference to it.
    fn ObReferenceObjectByHandle(
        Handle: *mut c_void,
        DesiredAccess: u32,
        ObjectType: *mut OBJECT_TYPE,
        AccessMode: i8,
        Object: *mut *mut c_void,
        HandleInformation: *mut OBJECT_HANDLE_INFORMATION,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        let _ = (DesiredAccess, AccessMode, HandleInformation);
        let found = with_handle(Handle, |handle| match handle {
            self::Handle::Thread(object) => Some(*object),
            self::Handle::Key(_) => None,
        });
        match found {
            Some(Some(_)) if !ObjectType.is_null() && ObjectType != data::thread_type() => {
                STATUS_OBJECT_TYPE_MISMATCH
            }
            Some(Some(object)) => {
                reference(object, "ObReferenceObjectByHandle");
                // SAFETY: the driver gives the place.
                unsafe { Object.write(object) };
                STATUS_SUCCESS
            }
            Some(None) => wsk_sys::STATUS_NOT_SUPPORTED,
            None => bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::BAD_HANDLE, Handle as usize, 0, 0),
                [],
                "ObReferenceObjectByHandle was called for a handle that isn't open"
            ),
        }
    }
}

export! {
    /// Takes a reference to an object.
    fn ObfReferenceObject(Object: *mut c_void) -> isize, at most DISPATCH_LEVEL {
        reference(Object, "ObReferenceObject") as isize
    }
}

export! {
    /// Releases a reference; the last release frees the object.
    fn ObfDereferenceObject(Object: *mut c_void) -> isize, at most DISPATCH_LEVEL {
        dereference(Object, "ObDereferenceObject") as isize
    }
}

export! {
    /// Closes a handle.
    fn ZwClose(Handle: *mut c_void) -> NTSTATUS, at most PASSIVE_LEVEL {
        let closed = HANDLES.lock().remove(&(Handle as usize));
        match closed {
            Some((self::Handle::Thread(object), _)) => {
                require_object(object, "ZwClose");
                // SAFETY: objects in the table are alive, and the handle gives up its reference.
                unsafe { release_own(object.cast()) };
                STATUS_SUCCESS
            }
            Some((self::Handle::Key(_), _)) => STATUS_SUCCESS,
            // Windows does not stop the system for a NULL handle.
            None if Handle.is_null() => STATUS_INVALID_HANDLE,
            None => bugcheck!(
                INVALID_KERNEL_HANDLE(Handle as usize, 1, 0, 0),
                [],
                "ZwClose was called for a handle that isn't open (any more)"
            ),
        }
    }
}

export_to_c! {
    /// Waits until the object of a handle is signalled or a time has passed.
    fn ZwWaitForSingleObject(Handle: *mut c_void, Alertable: u8, Timeout: *mut LARGE_INTEGER) -> NTSTATUS, at most PASSIVE_LEVEL {
        let _ = Alertable;
        let object = with_handle(Handle, |handle| match handle {
            self::Handle::Thread(object) => {
                reference(*object, "ZwWaitForSingleObject");
                Some(*object)
            }
            self::Handle::Key(_) => None,
        });
        match object {
            None => STATUS_INVALID_HANDLE,
            Some(None) => STATUS_OBJECT_TYPE_MISMATCH,
            Some(Some(object)) => {
                // SAFETY: the driver gives a time-out or NULL.
                let deadline = clock::deadline(unsafe { clock::timeout(Timeout) });
                // SAFETY: the reference keeps the object alive.
                let signalled = unsafe { event::wait(object.cast(), deadline) };
                dereference(object, "ZwWaitForSingleObject");
                if signalled { STATUS_SUCCESS } else { STATUS_TIMEOUT }
            }
        }
    }
}
