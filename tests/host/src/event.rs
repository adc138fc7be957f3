//! Objects that can be waited for: events, timers, threads. Stands for the dispatcher (`KeSetEvent`,
//! `KeWaitForSingleObject`).
//!
//! An object is signalled when the `SignalState` in its header says so. Threads that wait sleep in one of some parking
//! places chosen by the object's address, never in the object's memory: whoever signals an object doesn't touch it after
//! its state has changed, since the thread that waited may free it at once.

use core::ffi::c_void;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use wsk_sys::{
    DISPATCHER_HEADER, EVENT_TYPE, KEVENT, KWAIT_REASON, LARGE_INTEGER, NTSTATUS, STATUS_SUCCESS,
    STATUS_TIMEOUT,
};

use crate::address_space::{is_on_stack, require_nonpaged};
use crate::bugcheck::{bugcheck, violation};
use crate::irql::{self, APC_LEVEL, DISPATCH_LEVEL};
use crate::waits::{self, Waiting};
use crate::{clock, pool};

/// Types of dispatcher objects, as their headers hold them.
pub(crate) mod kind {
    pub(crate) const NOTIFICATION_EVENT: u8 = 0;
    pub(crate) const SYNCHRONIZATION_EVENT: u8 = 1;
    pub(crate) const THREAD: u8 = 6;
    pub(crate) const NOTIFICATION_TIMER: u8 = 8;
    pub(crate) const SYNCHRONIZATION_TIMER: u8 = 9;
}

/// `KernelMode`
const KERNEL_MODE: i8 = 0;

struct Place {
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

const PLACES: usize = 64;
static PARKING: [Place; PLACES] = [const {
    Place {
        sleepers: AtomicUsize::new(0),
        lock: Mutex::new(()),
        wake: Condvar::new(),
    }
}; PLACES];

/// Where threads sleep that wait for several objects: whoever signals any object looks here too.
static SEVERAL: Place = Place {
    sleepers: AtomicUsize::new(0),
    lock: Mutex::new(()),
    wake: Condvar::new(),
};

fn place(object: *mut c_void) -> &'static Place {
    &PARKING[(object as usize >> 4).wrapping_mul(0x9E37_79B9) >> 8 & (PLACES - 1)]
}

/// Writes the header of an object.
///
/// # Safety
///
/// `header` is writable.
pub(crate) unsafe fn initialize(
    header: *mut DISPATCHER_HEADER,
    kind: u8,
    bytes: usize,
    signalled: bool,
) {
    // SAFETY: the caller says so; the list is empty, that is, it points at itself.
    unsafe {
        header
            .cast::<u8>()
            .write_bytes(0, size_of::<DISPATCHER_HEADER>());
        (*header).Anonymous1.Anonymous1.Type = kind;
        #[allow(
            clippy::cast_possible_truncation,
            reason = "dispatcher objects are small"
        )]
        {
            (*header).Anonymous1.Anonymous1.Size = (bytes / 4) as u8;
        }
        let list = &raw mut (*header).WaitListHead;
        (*list).Flink = list;
        (*list).Blink = list;
        (*header).SignalState = i32::from(signalled);
    }
}

/// The state of an object.
///
/// # Safety
///
/// `header` is valid for the time of the reference, and its state is only touched atomically meanwhile.
unsafe fn state<'h>(header: *mut DISPATCHER_HEADER) -> &'h AtomicI32 {
    // SAFETY: the caller says so.
    unsafe { AtomicI32::from_ptr(&raw mut (*header).SignalState) }
}

/// Signals an object and wakes who waits for it; gives the former state. The object isn't touched after that.
///
/// # Safety
///
/// `header` starts a dispatcher object.
#[inline]
pub(crate) unsafe fn signal(header: *mut DISPATCHER_HEADER) -> i32 {
    let place = place(header.cast());
    // SAFETY: the caller says so. This is the last access.
    let old = unsafe { state(header) }.swap(1, Ordering::SeqCst);
    // A thread that goes to sleep counts itself before it looks at the state for the last time, so it is seen here or
    // sees the new state there.
    for place in [place, &SEVERAL] {
        if place.sleepers.load(Ordering::SeqCst) > 0 {
            drop(place.lock.lock());
            place.wake.notify_all();
        }
    }
    old
}

/// Gives the signal of an object back that was taken a moment ago, and not used.
///
/// # Safety
///
/// `header` starts a dispatcher object that was acquired.
pub(crate) unsafe fn give_back(header: *mut DISPATCHER_HEADER) {
    // SAFETY: the caller says so.
    unsafe {
        if matches!(
            (*header).Anonymous1.Anonymous1.Type,
            kind::SYNCHRONIZATION_EVENT | kind::SYNCHRONIZATION_TIMER
        ) {
            signal(header);
        }
    }
}

/// Whether the object is signalled.
///
/// # Safety
///
/// `header` starts a dispatcher object.
pub(crate) unsafe fn is_signalled(header: *mut DISPATCHER_HEADER) -> bool {
    // SAFETY: the caller says so.
    unsafe { state(header) }.load(Ordering::SeqCst) > 0
}

/// Waits until `end` gives something, which is asked whenever an object is signalled; `None` when the time is over. `first` is one
/// of the objects.
pub(crate) fn wait_for_several<R>(
    first: *mut c_void,
    deadline: Option<Instant>,
    mut end: impl FnMut() -> Option<R>,
) -> Option<R> {
    if let Some(ended) = end() {
        return Some(ended);
    }
    let waiting = deadline
        .is_none()
        .then(|| Waiting::begin("KeWaitForMultipleObjects", first as usize));
    let mut guard = SEVERAL.lock.lock();
    SEVERAL.sleepers.fetch_add(1, Ordering::SeqCst);
    let ended = loop {
        if let Some(ended) = end() {
            break Some(ended);
        }
        match (deadline, &waiting) {
            (Some(deadline), _) => {
                if SEVERAL.wake.wait_until(&mut guard, deadline).timed_out() {
                    break end();
                }
            }
            (None, Some(waiting)) => {
                let look = waiting.next_look();
                if SEVERAL.wake.wait_until(&mut guard, look).timed_out() {
                    waiting.give_up_when_hopeless(String::new);
                }
            }
            (None, None) => SEVERAL.wake.wait(&mut guard),
        }
    };
    SEVERAL.sleepers.fetch_sub(1, Ordering::SeqCst);
    ended
}

/// Whether the object is signalled; takes the signal of an object that lets one thread through only.
///
/// # Safety
///
/// `header` starts a dispatcher object.
#[inline]
pub(crate) unsafe fn acquire(header: *mut DISPATCHER_HEADER) -> bool {
    // SAFETY: the caller says so.
    let (state, kind) = unsafe { (state(header), (*header).Anonymous1.Anonymous1.Type) };
    match kind {
        kind::SYNCHRONIZATION_EVENT | kind::SYNCHRONIZATION_TIMER => state
            .compare_exchange(1, 0, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok(),
        _ => state.load(Ordering::SeqCst) > 0,
    }
}

/// Waits for an object; `None` waits for ever.
///
/// # Safety
///
/// `header` starts a dispatcher object that lives until the wait is over.
#[inline]
pub(crate) unsafe fn wait(header: *mut DISPATCHER_HEADER, deadline: Option<Instant>) -> bool {
    // SAFETY: the caller says so.
    if unsafe { acquire(header) } {
        return true;
    }
    // SAFETY: the caller says so, and the wait is not over.
    unsafe { sleep(header, deadline) }
}

/// # Safety
///
/// As for [`wait`].
#[cold]
unsafe fn sleep(header: *mut DISPATCHER_HEADER, deadline: Option<Instant>) -> bool {
    let place = place(header.cast());
    let mut guard = place.lock.lock();
    place.sleepers.fetch_add(1, Ordering::SeqCst);
    let waiting = deadline
        .is_none()
        .then(|| Waiting::begin("KeWaitForSingleObject", header as usize));
    let signalled = loop {
        // SAFETY: the caller gives an object that lives until the wait is over, which is after this.
        if unsafe { acquire(header) } {
            break true;
        }
        match deadline {
            None => {
                let look = waiting.as_ref().map(Waiting::next_look);
                let look = look.unwrap_or_else(|| Instant::now() + waits::patience());
                if place.wake.wait_until(&mut guard, look).timed_out()
                    && let Some(waiting) = &waiting
                {
                    waiting.give_up_when_hopeless(String::new);
                }
            }
            Some(deadline) => {
                if place.wake.wait_until(&mut guard, deadline).timed_out() {
                    // SAFETY: the caller gives an object that lives until the wait is over, which is after this.
                    break unsafe { acquire(header) };
                }
            }
        }
    };
    place.sleepers.fetch_sub(1, Ordering::SeqCst);
    signalled
}

fn is_event(kind: u8) -> bool {
    matches!(kind, kind::NOTIFICATION_EVENT | kind::SYNCHRONIZATION_EVENT)
}

/// Stops when there is no event at `event`.
#[inline]
fn require_event(function: &str, event: *mut KEVENT) {
    // SAFETY: the driver gives an event. One that is freed can't be read, or stays allocated in quarantine.
    let kind = unsafe { (*event).Header.Anonymous1.Anonymous1.Type };
    if !is_event(kind) {
        bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(event as usize, 0, 0, 0),
            [pool::story(event as usize)],
            "{function} was given something that isn't an event (any more): the type in its header is {kind:#x}"
        )
    }
}

export! {
    /// Initialises an event.
    fn KeInitializeEvent(Event: *mut KEVENT, Type: EVENT_TYPE, State: u8), at most HIGH_LEVEL {
        let kind = if Type == EVENT_TYPE::NotificationEvent {
            kind::NOTIFICATION_EVENT
        } else {
            kind::SYNCHRONIZATION_EVENT
        };
        require_nonpaged("KeInitializeEvent", Event, "an event");
        // SAFETY: the driver gives the memory.
        unsafe {
            initialize(
                &raw mut (*Event).Header,
                kind,
                size_of::<KEVENT>(),
                State != 0,
            );
        };
    }
}

export! {
    /// Signals an event and gives its former state.
    fn KeSetEvent(Event: *mut KEVENT, Increment: i32, Wait: u8) -> i32, at most HIGH_LEVEL {
        let _ = Increment;
        let level = irql::current();
        if level > DISPATCH_LEVEL {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::SET_EVENT_IRQL,
                    usize::from(level),
                    Event as usize,
                    0
                ),
                [],
                "KeSetEvent was called above DISPATCH_LEVEL"
            )
        }
        if Wait != 0 && level > APC_LEVEL {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::SET_EVENT_IRQL,
                    usize::from(level),
                    Event as usize,
                    1
                ),
                [],
                "KeSetEvent was called with Wait TRUE above APC_LEVEL, where the wait that has to follow isn't allowed"
            )
        }
        require_event("KeSetEvent", Event);
        // SAFETY: the driver gives an event.
        unsafe { signal(&raw mut (*Event).Header) }
    }
}

export! {
    /// Makes an event not signalled and gives its former state.
    fn KeResetEvent(Event: *mut KEVENT) -> i32, at most DISPATCH_LEVEL {
        require_event("KeResetEvent", Event);
        // SAFETY: the driver gives an event.
        unsafe { state(&raw mut (*Event).Header) }.swap(0, Ordering::SeqCst)
    }
}

export! {
    /// Makes an event not signalled.
    fn KeClearEvent(Event: *mut KEVENT), at most DISPATCH_LEVEL {
        require_event("KeClearEvent", Event);
        // SAFETY: the driver gives an event.
        unsafe { state(&raw mut (*Event).Header) }.store(0, Ordering::SeqCst);
    }
}

export! {
    /// The state of an event.
    fn KeReadStateEvent(Event: *mut KEVENT) -> i32, at most DISPATCH_LEVEL {
        require_event("KeReadStateEvent", Event);
        // SAFETY: the driver gives an event.
        unsafe { state(&raw mut (*Event).Header) }.load(Ordering::SeqCst)
    }
}

export! {
    /// Waits until an object is signalled or a time has passed.
    fn KeWaitForSingleObject(
        Object: *mut c_void,
        WaitReason: KWAIT_REASON,
        WaitMode: i8,
        Alertable: u8,
        Timeout: *mut LARGE_INTEGER,
    ) -> NTSTATUS, at most HIGH_LEVEL {
        let _ = (WaitReason, Alertable);
        // SAFETY: the driver gives a time-out or NULL.
        let timeout = (!Timeout.is_null()).then(|| unsafe { clock::value(Timeout) });
        require_waitable("KeWaitForSingleObject", Object, WaitMode, timeout);
        let header = Object.cast::<DISPATCHER_HEADER>();
        let deadline =
            timeout.and_then(|timeout| Instant::now().checked_add(clock::until(timeout)));
        // SAFETY: the driver gives an object that lives until the wait is over.
        if unsafe { wait(header, deadline) } {
            STATUS_SUCCESS
        } else {
            STATUS_TIMEOUT
        }
    }
}

/// Stops where `function` may not wait so long for what is at `object`.
pub(crate) fn require_waitable(
    function: &'static str,
    object: *mut c_void,
    mode: i8,
    timeout: Option<i64>,
) {
    if mode != KERNEL_MODE && is_on_stack(object as usize) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::PAGED_OBJECT, object as usize, 0, 0),
            [],
            "{function} was called with WaitMode UserMode for an object on the stack, which may be paged out meanwhile"
        )
    }
    require_nonpaged(function, object, "an object");
    let level = irql::current();
    if level > APC_LEVEL && (timeout != Some(0) || level > DISPATCH_LEVEL) {
        wait_too_high(function, level, object, timeout);
    }
    let header = object.cast::<DISPATCHER_HEADER>();
    // SAFETY: the driver gives an object. One that is freed can't be read, or stays allocated in quarantine.
    let kind = unsafe { (*header).Anonymous1.Anonymous1.Type };
    if !is_event(kind)
        && !matches!(
            kind,
            kind::THREAD | kind::NOTIFICATION_TIMER | kind::SYNCHRONIZATION_TIMER
        )
    {
        bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(object as usize, 0, 0, 0),
            [pool::story(object as usize)],
            "{function} was given something that can't be waited for (any more): the type in its header is {kind:#x}"
        )
    }
}

#[cold]
fn wait_too_high(function: &str, level: u8, object: *mut c_void, timeout: Option<i64>) -> ! {
    let subcode = match timeout {
        _ if level > DISPATCH_LEVEL => violation::WAIT_ABOVE_DISPATCH,
        None => violation::WAIT_FOREVER_AT_DISPATCH,
        Some(_) => violation::WAIT_AT_DISPATCH,
    };
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(subcode, usize::from(level), object as usize, 0),
        [],
        "{function} was called at {}: a wait that may last is allowed at IRQL <= APC_LEVEL, one with a time-out of zero up to DISPATCH_LEVEL",
        irql::name(level)
    )
}

export! {
    /// Lets time pass.
    fn KeDelayExecutionThread(
        WaitMode: i8,
        Alertable: u8,
        Interval: *mut LARGE_INTEGER,
    ) -> NTSTATUS, at most APC_LEVEL {
        let _ = (WaitMode, Alertable);
        // SAFETY: the driver gives the time.
        std::thread::sleep(clock::until(unsafe { clock::value(Interval) }));
        STATUS_SUCCESS
    }
}
