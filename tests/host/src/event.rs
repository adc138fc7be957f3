//! Objects that can be waited for: events, timers, threads. Stands for the dispatcher (`KeSetEvent`,
//! `KeWaitForSingleObject`).
//!
//! The `SignalState` in an object's header says whether the object is signalled. Waiting threads sleep in parking places, which are
//! chosen by the object's address and do not lie in its memory. A thread that signals an object does not touch it afterwards, because
//! the thread that waited may free it at once. A thread that slept does not touch it either, because the other may free it too.

use core::cell::Cell;
use core::ffi::c_void;
use core::mem::offset_of;
use core::ops::Range;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use wsk_sys::{
    DISPATCHER_HEADER, EVENT_TYPE, FAST_MUTEX, KEVENT, KWAIT_REASON, LARGE_INTEGER, NTSTATUS,
    STATUS_SUCCESS, STATUS_TIMEOUT,
};

use crate::address_space::{is_on_stack, require_nonpaged};
use crate::bugcheck::{bugcheck, violation};
use crate::irql::{self, APC_LEVEL, DISPATCH_LEVEL};
use crate::origin::Thread;
use crate::parking::{Limit, Parking, Sleeper};
use crate::pool::Block;
use crate::{clock, lock_order, pool, range, thread};

/// The kinds of dispatcher objects, with the numbers that their headers hold.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    NotificationEvent = 0,
    SynchronizationEvent = 1,
    Thread = 6,
    NotificationTimer = 8,
    SynchronizationTimer = 9,
}

/// The number in the header of an object that is gone. Windows has no such kind.
pub(crate) const GONE: u8 = 0xFF;

impl Kind {
    /// The kind of the object with this header, or the number in the header if no kind has it.
    ///
    /// # Safety
    ///
    /// `header` is readable.
    #[inline]
    pub(crate) unsafe fn of(header: *const DISPATCHER_HEADER) -> Result<Self, u8> {
        // SAFETY: the caller says so.
        match unsafe { (*header).Anonymous1.Anonymous1.Type } {
            0 => Ok(Self::NotificationEvent),
            1 => Ok(Self::SynchronizationEvent),
            6 => Ok(Self::Thread),
            8 => Ok(Self::NotificationTimer),
            9 => Ok(Self::SynchronizationTimer),
            other => Err(other),
        }
    }

    pub(crate) fn is_event(self) -> bool {
        matches!(self, Self::NotificationEvent | Self::SynchronizationEvent)
    }

    pub(crate) fn is_timer(self) -> bool {
        matches!(self, Self::NotificationTimer | Self::SynchronizationTimer)
    }

    /// Whether a signal of the object releases only one thread.
    fn releases_one(self) -> bool {
        matches!(
            self,
            Self::SynchronizationEvent | Self::SynchronizationTimer
        )
    }
}

/// `KernelMode`
const KERNEL_MODE: i8 = 0;

/// The objects that a thread sleeps for.
struct Several {
    objects: Vec<usize>,
    /// Whether the thread waits for all of them. It takes their signals itself then.
    all: bool,
    /// The `WaitBlockArray` that the driver gave, if it did.
    blocks: Range<usize>,
}

impl Several {
    /// Stops when another thread that sleeps has the same wait blocks.
    fn require_free(&self, asleep: &[Sleeper<Self>]) {
        let blocks = &self.blocks;
        let mut asleep = asleep.iter();
        if let Some(other) = asleep.find(|other| range::overlap(&other.objects.blocks, blocks)) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::OTHER_CONTRACT,
                    blocks.start,
                    blocks.len(),
                    0
                ),
                [pool::story(blocks.start)],
                "KeWaitForMultipleObjects was given a WaitBlockArray that {} is waiting with",
                Thread(other.thread)
            )
        }
    }
}

const PLACES: usize = 64;
/// Where threads sleep that wait for one object, with its address.
static PARKING: [Parking<usize>; PLACES] = [const { Parking::new() }; PLACES];
/// Where threads sleep that wait for several objects. Every signal looks here too.
static SEVERAL: Parking<Several> = Parking::new();

fn place(object: *mut c_void) -> &'static Parking<usize> {
    &PARKING[(object as usize >> 4).wrapping_mul(0x9E37_79B9) >> 8 & (PLACES - 1)]
}

/// Writes the header of an object.
///
/// # Safety
///
/// `header` is writable.
pub(crate) unsafe fn initialize(
    header: *mut DISPATCHER_HEADER,
    kind: Kind,
    bytes: usize,
    signalled: bool,
) {
    // SAFETY: the caller says so; the list is empty, that is, it points at itself.
    unsafe {
        header
            .cast::<u8>()
            .write_bytes(0, size_of::<DISPATCHER_HEADER>());
        (*header).Anonymous1.Anonymous1.Type = kind as u8;
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

/// Signals an object, releases the threads that wait for it, and returns the former state. After that neither this thread nor the
/// released threads touch the object: it may be freed.
///
/// # Safety
///
/// `header` starts a dispatcher object.
#[inline]
pub(crate) unsafe fn signal(header: *mut DISPATCHER_HEADER) -> i32 {
    let place = place(header.cast());
    if place.has_sleepers() || SEVERAL.has_sleepers() {
        // SAFETY: the caller says so.
        return unsafe { signal_sleepers(place, header) };
    }
    // SAFETY: the caller says so. This is the last access.
    let old = unsafe { state(header) }.swap(1, Ordering::SeqCst);
    // A thread counts itself as a sleeper before it looks at the state for the last time. So either it is counted here, or it has
    // seen the new state.
    place.wake();
    SEVERAL.wake();
    old
}

/// The slow path of [`signal`], for when threads sleep that may wait for the object.
///
/// # Safety
///
/// As for [`signal`].
#[cold]
unsafe fn signal_sleepers(place: &Parking<usize>, header: *mut DISPATCHER_HEADER) -> i32 {
    let object = header as usize;
    let mut asleep = place.lock();
    let mut several = SEVERAL.lock();
    // SAFETY: the caller says so.
    let (kind, state) = unsafe { (Kind::of(header), state(header)) };
    let ones = asleep
        .iter_mut()
        .filter(|sleeper| sleeper.objects == object && sleeper.released.is_none())
        .map(|sleeper| sleeper.released = Some(0));
    let anys = several
        .iter_mut()
        .filter(|sleeper| !sleeper.objects.all && sleeper.released.is_none())
        .filter_map(|sleeper| {
            let mut objects = sleeper.objects.objects.iter();
            let index = objects.position(|&other| other == object)?;
            sleeper.released = Some(index as u32);
            Some(())
        });
    let mut released = ones.chain(anys);
    let taken = if kind.is_ok_and(Kind::releases_one) {
        released.next().is_some()
    } else {
        released.for_each(drop);
        false
    };
    let old = if taken {
        state.load(Ordering::SeqCst)
    } else {
        // The last access.
        state.swap(1, Ordering::SeqCst)
    };
    drop(several);
    drop(asleep);
    place.notify();
    SEVERAL.notify();
    old
}

/// A thread that waits for an object in `range`, which is readable, and the object.
pub(crate) fn waiting_for(range: &Range<usize>) -> Option<(Thread, usize)> {
    let one = PARKING.iter().find_map(|place| {
        place.find(|sleeper| {
            let object = sleeper.objects;
            range.contains(&object).then_some((sleeper.thread, object))
        })
    });
    let found = one.or_else(|| {
        SEVERAL.find(|sleeper| {
            let Several { objects, all, .. } = &sleeper.objects;
            let object = objects.iter().copied().find(|object| {
                // SAFETY: it is an object that a thread waits for, and the caller says that it is readable.
                range.contains(object)
                    && !(*all && unsafe { is_signalled(*object as *mut DISPATCHER_HEADER) })
            })?;
            Some((sleeper.thread, object))
        })
    });
    found.map(|(thread, object)| (Thread(thread), object))
}

/// Stops when a thread waits for an object in a block that is being freed, or with wait blocks in it.
pub(crate) fn memory_freed(block: &Block) {
    if let Some((thread, object)) = waiting_for(&block.range()) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, object, 0, 0),
            [block],
            "memory was freed that holds an object which {thread} waits for, at {object:#x}"
        )
    }
    let with_blocks = SEVERAL.find(|sleeper| {
        let blocks = &sleeper.objects.blocks;
        range::overlap(blocks, &block.range()).then_some((sleeper.thread, blocks.start))
    });
    if let Some((thread, blocks)) = with_blocks {
        bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(blocks, 0, 0, 0),
            [block],
            "memory was freed that holds the WaitBlockArray which {} waits with",
            Thread(thread)
        )
    }
}

/// Puts a signal back that [`acquire`] has taken.
///
/// # Safety
///
/// `header` starts a dispatcher object that was acquired.
pub(crate) unsafe fn give_back(header: *mut DISPATCHER_HEADER) {
    // SAFETY: the caller says so.
    unsafe {
        if Kind::of(header).is_ok_and(Kind::releases_one) {
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

/// Waits for one of several objects, or for all. Returns the number of the object that released this thread, or what `end` returns,
/// which is called whenever an object is signalled; `None` after the deadline.
pub(crate) fn wait_for_several(
    objects: &[*mut c_void],
    all: bool,
    blocks: Range<usize>,
    deadline: Option<Instant>,
    mut end: impl FnMut() -> Option<u32>,
) -> Option<u32> {
    end().or_else(|| {
        let first = objects.first().map_or(0, |&object| object as usize);
        let limit = Limit::new("KeWaitForMultipleObjects", first, deadline);
        let several = Several {
            objects: objects.iter().map(|&object| object as usize).collect(),
            all,
            blocks,
        };
        SEVERAL.sleep(several, &limit, Several::require_free, end)
    })
}

/// Whether the object is signalled. Takes the signal, if it is for one thread only.
///
/// # Safety
///
/// `header` starts a dispatcher object.
#[inline]
pub(crate) unsafe fn acquire(header: *mut DISPATCHER_HEADER) -> bool {
    // SAFETY: the caller says so.
    let (state, kind) = unsafe { (state(header), Kind::of(header)) };
    if kind.is_ok_and(Kind::releases_one) {
        let taken = state.compare_exchange(1, 0, Ordering::SeqCst, Ordering::SeqCst);
        taken.is_ok()
    } else {
        state.load(Ordering::SeqCst) > 0
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
    let (object, place) = (header as usize, place(header.cast()));
    let limit = Limit::new("KeWaitForSingleObject", object, deadline);
    let end = || {
        // SAFETY: the caller gives an object that lives until the wait is over, which it is not before this thread is released.
        unsafe { acquire(header) }.then_some(0)
    };
    place.sleep(object, &limit, |_, _| {}, end).is_some()
}

std::thread_local! {
    /// Whether this thread has called `KeSetEvent` with `Wait` TRUE, so that its next call must be a wait.
    static WAIT_FOLLOWS: Cell<bool> = const { Cell::new(false) };
}

/// Called whenever this thread calls the kernel. Stops when a wait must follow and `function` is none. Returns whether the wait is still
/// to come.
pub(crate) fn require_wait(function: &str) -> bool {
    // On Windows this is not a call, but a read of a register.
    if function == "KeGetCurrentIrql" {
        return WAIT_FOLLOWS.get();
    }
    let waits = matches!(
        function,
        "KeWaitForSingleObject" | "KeWaitForMultipleObjects"
    );
    if WAIT_FOLLOWS.replace(false) && !waits {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, 0, 0, 0),
            [],
            "KeSetEvent was called with Wait TRUE, and then {function} instead of a wait: Windows leaves the dispatcher's lock held until the wait"
        )
    }
    false
}

/// Stops when a thread waits for the object that `function` is about to initialise.
pub(crate) fn require_unused(function: &str, object: usize, what: &str) {
    if !place(object as *mut c_void).has_sleepers() && !SEVERAL.has_sleepers() {
        return;
    }
    if let Some((thread, object)) = waiting_for(&(object..object + 1)) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, object, 0, 0),
            [pool::story(object)],
            "{function} was called for {what} that {thread} waits for"
        )
    }
}

/// The number in a header that [`Kind::of`] has read.
pub(crate) fn number(kind: Result<Kind, u8>) -> u8 {
    kind.map_or_else(|other| other, |kind| kind as u8)
}

/// Stops when there is no event at `event`.
#[inline]
fn require_event(function: &str, event: *mut KEVENT) {
    // SAFETY: the driver gives an event. One that is freed can't be read, or stays allocated in quarantine.
    let kind = unsafe { Kind::of(&raw const (*event).Header) };
    if !kind.is_ok_and(Kind::is_event) {
        bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(event as usize, 0, 0, 0),
            [pool::story(event as usize)],
            "{function} was given something that isn't an event (any more): the type in its header is {:#x}",
            number(kind)
        )
    }
}

export! {
    /// Initialises an event.
    fn KeInitializeEvent(Event: *mut KEVENT, Type: EVENT_TYPE, State: u8), at most HIGH_LEVEL {
        let kind = if Type == EVENT_TYPE::NotificationEvent {
            Kind::NotificationEvent
        } else {
            Kind::SynchronizationEvent
        };
        require_nonpaged("KeInitializeEvent", Event, "an event");
        require_unused("KeInitializeEvent", Event as usize, "an event");
        // `ExInitializeFastMutex` is inline, and calls this function for the event in the mutex.
        let mutex = (Event as usize).wrapping_sub(offset_of!(FAST_MUTEX, Event));
        lock_order::require_not_held("ExInitializeFastMutex", mutex, lock_order::FAST_MUTEX);
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
    /// Signals an event and returns its former state.
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
        if Wait != 0 {
            WAIT_FOLLOWS.set(true);
            irql::attend();
        }
        // SAFETY: the driver gives an event.
        unsafe { signal(&raw mut (*Event).Header) }
    }
}

export! {
    /// Makes an event not signalled and returns its former state.
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
        let timeout = unsafe { clock::timeout(Timeout) };
        require_waitable("KeWaitForSingleObject", Object, WaitMode, timeout);
        if timeout.is_none() {
            thread::require_another("KeWaitForSingleObject", Object);
        }
        let header = Object.cast::<DISPATCHER_HEADER>();
        // SAFETY: the driver gives an object that lives until the wait is over.
        if unsafe { wait(header, clock::deadline(timeout)) } {
            STATUS_SUCCESS
        } else {
            STATUS_TIMEOUT
        }
    }
}

/// Stops when `function` must not wait for `object`, or not with this time-out.
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
    if let Err(kind) = unsafe { Kind::of(header) } {
        bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(object as usize, 0, 0, 0),
            [thread::story(object as usize).unwrap_or_else(|| pool::story(object as usize))],
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

#[cfg(test)]
mod tests {
    use core::ffi::c_void;
    use core::ptr;
    use std::time::Duration;

    use wsk_sys::{
        EVENT_TYPE, ExAllocatePoolWithTag, ExFreePoolWithTag, KEVENT, KWAIT_REASON,
        KeInitializeEvent, KeSetEvent, KeWaitForMultipleObjects, KeWaitForSingleObject, POOL_TYPE,
        STATUS_SUCCESS, WAIT_TYPE,
    };

    use super::waiting_for;
    use crate::Kernel;

    /// Waits for one event at a place, by either function.
    fn wait(event: usize, several: bool) {
        let mut objects = [event as *mut c_void];
        // SAFETY: the event is there until it is signalled.
        let status = unsafe {
            if several {
                KeWaitForMultipleObjects(
                    1,
                    objects.as_mut_ptr(),
                    WAIT_TYPE::WaitAny,
                    KWAIT_REASON::Executive,
                    0,
                    0,
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            } else {
                KeWaitForSingleObject(objects[0], KWAIT_REASON::Executive, 0, 0, ptr::null_mut())
            }
        };
        assert_eq!(status, STATUS_SUCCESS);
    }

    #[test]
    fn who_signals_an_event_may_free_it_while_who_waited_has_not_woken_up() {
        let kernel = Kernel::boot();
        for kind in [
            EVENT_TYPE::NotificationEvent,
            EVENT_TYPE::SynchronizationEvent,
        ] {
            for several in [false, true] {
                let length = size_of::<KEVENT>();
                // SAFETY: the block has room for an event, which is freed last.
                unsafe {
                    let event: *mut KEVENT =
                        ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, length, 1).cast();
                    KeInitializeEvent(event, kind, 0);
                    let address = event as usize;
                    let waiter = std::thread::spawn(move || wait(address, several));
                    while waiting_for(&(address..address + length)).is_none() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    assert_eq!(KeSetEvent(event, 0, 0), 0);
                    ExFreePoolWithTag(event.cast(), 1);
                    waiter.join().unwrap();
                }
            }
        }
        kernel.shutdown();
    }
}
