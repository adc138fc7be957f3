//! Objects of the dispatcher in unusual hands: initialised, freed or given back while they are in use, which is told, and close to
//! that, which is allowed. And what a processor itself stops at.
//!
//! A call that breaks a rule is argued for as in `judges`: the kernel stops before it does what it was asked for.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

use driver::*;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{DISPATCH_LEVEL, Kernel, at_irql};
use wsk_sys::*;

const UNHANDLED: &str = "KMODE_EXCEPTION_NOT_HANDLED";

/// A block of nonpaged pool for a value of some type.
fn block<T>() -> *mut T {
    pool(size_of::<T>()).cast()
}

fn free<T>(block: *mut T) {
    // SAFETY: the kernel knows what is allocated, and stops where it may not be freed.
    unsafe { ExFreePoolWithTag(block.cast(), TAG) };
}

fn seconds(seconds: i64) -> LARGE_INTEGER {
    LARGE_INTEGER {
        QuadPart: -10_000_000 * seconds,
    }
}

// Threads.

unsafe extern "system" fn waits(event: *mut c_void) {
    // SAFETY: the context of every thread here is an event, which is there until it is signalled, or a rule is broken.
    let _ = unsafe { wait(event, None) };
}

unsafe extern "system" fn returns(_context: *mut c_void) {}

/// A thread that waits for an event, or soon will.
fn waiting_thread(event: *mut c_void) -> *mut c_void {
    // SAFETY: the routine takes an event.
    let thread = unsafe { start_thread(waits, event) };
    std::thread::sleep(Duration::from_millis(200));
    thread
}

/// The object of a thread, with a reference.
fn object_of(thread: *mut c_void) -> *mut c_void {
    let mut object = ptr::null_mut();
    let none = ptr::null_mut::<c_void>();
    // SAFETY: the place is there for the call; the kernel knows which handles are open.
    let status = unsafe {
        ObReferenceObjectByHandle(thread, 0, none.cast(), 0, &raw mut object, none.cast())
    };
    assert_eq!(status, STATUS_SUCCESS);
    object
}

fn dereference(object: *mut c_void) {
    // SAFETY: the kernel knows its objects, and who has references.
    unsafe { ObfDereferenceObject(object) };
}

#[test]
fn a_thread_dereferenced_too_often() {
    expect_bugcheck("REFERENCE_BY_POINTER", || {
        let _kernel = Kernel::boot();
        let event = Event::new(EVENT_TYPE::NotificationEvent, false);
        let object = object_of(waiting_thread(event.raw()));
        dereference(object);
        dereference(object);
    })
    .tells("created by PsCreateSystemThread");
}

#[test]
fn a_thread_waited_for_that_is_gone() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        // SAFETY: the routine takes any context.
        let thread = unsafe { start_thread(returns, ptr::null_mut()) };
        let object = object_of(thread);
        // SAFETY: the reference keeps the object.
        let _ = unsafe { wait(object, None) };
        let _ = close_handle(thread);
        dereference(object);
        std::thread::sleep(Duration::from_millis(200));
        // SAFETY: breaks the rule; the kernel keeps objects for a while that are gone.
        let _ = unsafe { wait(object, None) };
    })
    .tells("whose last reference was given back");
}

// Events.

#[test]
fn an_event_initialised_that_a_thread_waits_for() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let event = block::<KEVENT>();
        // SAFETY: the block has room for an event. The second time breaks the rule.
        unsafe {
            KeInitializeEvent(event, EVENT_TYPE::NotificationEvent, 0);
            waiting_thread(event.cast());
            KeInitializeEvent(event, EVENT_TYPE::NotificationEvent, 0);
        }
    })
    .tells("KeInitializeEvent was called for an event that thread");
}

#[test]
fn an_event_freed_that_a_thread_waits_for() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let event = block::<KEVENT>();
        // SAFETY: the block has room for an event.
        unsafe { KeInitializeEvent(event, EVENT_TYPE::NotificationEvent, 0) };
        waiting_thread(event.cast());
        free(event);
    })
    .tells("memory was freed that holds an object which thread");
}

/// The body of a thread that waits for itself, once its object is told.
unsafe extern "system" fn waits_for_itself(object: *mut c_void) {
    // SAFETY: the context is the place for the object, which lives as long as the program.
    let object = unsafe { &*object.cast::<AtomicPtr<c_void>>() };
    wait_until("the object is told", || {
        !object.load(Ordering::SeqCst).is_null()
    });
    // SAFETY: breaks the rule; the object is that of this thread, and so is there.
    let _ = unsafe { wait(object.load(Ordering::SeqCst), None) };
}

#[test]
fn a_thread_that_waits_for_itself() {
    expect_bugcheck(VERIFIER, || {
        static OBJECT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
        let _kernel = Kernel::boot();
        // SAFETY: the routine takes the place for the object.
        let thread =
            unsafe { start_thread(waits_for_itself, (&raw const OBJECT).cast_mut().cast()) };
        let object = object_of(thread);
        OBJECT.store(object, Ordering::SeqCst);
        // SAFETY: the reference keeps the object.
        let _ = unsafe { wait(object, None) };
    })
    .tells("KeWaitForSingleObject was called by a thread for itself");
}

/// Four events in a row, which another thread waits for with these wait blocks. It waits, or soon will.
fn wait_with(blocks: *mut KWAIT_BLOCK) -> (std::thread::JoinHandle<()>, [Event; 4]) {
    let events = [(); 4].map(|()| Event::new(EVENT_TYPE::NotificationEvent, false));
    let blocks = blocks as usize;
    let waiter = std::thread::spawn(move || {
        let mut objects = events.map(Event::raw);
        // SAFETY: the events are never freed. The blocks are there until the wait is over, or a rule is broken.
        let status = unsafe {
            KeWaitForMultipleObjects(
                4,
                objects.as_mut_ptr(),
                WAIT_TYPE::WaitAll,
                KWAIT_REASON::Executive,
                0,
                0,
                ptr::null_mut(),
                blocks as *mut KWAIT_BLOCK,
            )
        };
        assert_eq!(status, STATUS_SUCCESS);
    });
    std::thread::sleep(Duration::from_millis(200));
    (waiter, events)
}

#[test]
fn wait_blocks_that_are_freed_during_the_wait() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let blocks = block::<[KWAIT_BLOCK; 4]>();
        let _waiter = wait_with(blocks.cast());
        free(blocks);
    })
    .tells("memory was freed that holds the WaitBlockArray which thread");
}

#[test]
fn wait_blocks_of_two_waits() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let blocks = block::<[KWAIT_BLOCK; 8]>().cast::<KWAIT_BLOCK>();
        let _one = wait_with(blocks);
        let (other, _) = wait_with(blocks.wrapping_add(3));
        let _ = other.join();
    })
    .tells("KeWaitForMultipleObjects was given a WaitBlockArray that thread");
}

#[test]
fn wait_blocks_are_used_again_and_side_by_side() {
    let kernel = Kernel::boot();
    let blocks = block::<[KWAIT_BLOCK; 8]>();
    for _ in 0..2 {
        let waits = [0, 4].map(|first| wait_with(blocks.cast::<KWAIT_BLOCK>().wrapping_add(first)));
        for (waiter, events) in waits {
            for event in events {
                event.set();
            }
            waiter.join().unwrap();
        }
    }
    free(blocks);
    kernel.shutdown();
}

#[test]
fn a_wait_that_was_announced_and_does_not_come() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let event = Event::new(EVENT_TYPE::NotificationEvent, false);
        // SAFETY: the event is never freed.
        unsafe { KeSetEvent(event.raw().cast(), 0, 1) };
        let _ = event.read();
    })
    .tells("KeSetEvent was called with Wait TRUE, and then KeReadStateEvent instead of a wait");
}

#[test]
fn a_wait_that_was_announced_comes() {
    let kernel = Kernel::boot();
    let [first, second] = [false, true].map(|set| Event::new(EVENT_TYPE::NotificationEvent, set));
    // SAFETY: the events are never freed.
    unsafe {
        KeSetEvent(first.raw().cast(), 0, 1);
        // Looking at the level is no call on Windows.
        assert_eq!(KeGetCurrentIrql(), 0);
    }
    assert_eq!(second.wait(None), STATUS_SUCCESS);
    assert_eq!(first.read(), 1);
    kernel.shutdown();
}

// Timers and deferred procedure calls.

#[test]
fn a_timer_initialised_that_is_set() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let timer = block::<KTIMER>();
        // SAFETY: the block has room for a timer. The second time breaks the rule.
        unsafe {
            KeInitializeTimerEx(timer, TIMER_TYPE::NotificationTimer);
            KeSetTimer(timer, seconds(100), ptr::null_mut());
            KeInitializeTimerEx(timer, TIMER_TYPE::NotificationTimer);
        }
    })
    .tells("KeInitializeTimer was called for a timer that is set");
}

#[test]
fn a_timer_set_that_was_not_initialised() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel looks at the type first, which is what it fills blocks with.
        unsafe { KeSetTimer(block(), seconds(100), ptr::null_mut()) };
    })
    .tells("KeSetTimer was given something that isn't an initialised timer");
}

#[test]
fn a_timer_cancelled_that_was_not_initialised() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel looks at the type first, which is what it fills blocks with.
        unsafe { KeCancelTimer(block()) };
    })
    .tells("KeCancelTimer was given something that isn't an initialised timer");
}

#[test]
fn a_timer_on_the_stack_of_a_function_that_has_returned() {
    #[inline(never)]
    fn sets_a_timer() {
        let mut timer = KTIMER::default();
        // SAFETY: breaks the rule: the timer is set longer than it lives. The kernel stops before it touches it again.
        unsafe {
            KeInitializeTimerEx(&raw mut timer, TIMER_TYPE::NotificationTimer);
            KeSetTimer(&raw mut timer, seconds(100), ptr::null_mut());
        }
        core::hint::black_box(&mut timer);
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        sets_a_timer();
        Event::new(EVENT_TYPE::NotificationEvent, false);
    })
    .tells("lies on the stack, in a function that has returned while the timer that is set");
}

#[test]
fn timers_on_the_stack_that_are_over_when_the_function_returns() {
    #[inline(never)]
    fn uses_a_timer() {
        let mut timer = KTIMER::default();
        let place = &raw mut timer;
        // SAFETY: the timer is cancelled, or has expired, before it is gone.
        unsafe {
            KeInitializeTimerEx(place, TIMER_TYPE::NotificationTimer);
            KeSetTimer(place, seconds(100), ptr::null_mut());
            assert_eq!(KeCancelTimer(place), 1);
            KeInitializeTimerEx(place, TIMER_TYPE::SynchronizationTimer);
            KeSetTimer(place, LARGE_INTEGER { QuadPart: -10_000 }, ptr::null_mut());
            assert_eq!(wait(place.cast(), None), STATUS_SUCCESS);
            KeInitializeTimerEx(place, TIMER_TYPE::NotificationTimer);
        }
    }
    let kernel = Kernel::boot();
    for _ in 0..3 {
        uses_a_timer();
        Event::new(EVENT_TYPE::NotificationEvent, false).set();
    }
    kernel.shutdown();
}

unsafe extern "system" fn does_nothing(
    _dpc: *mut KDPC,
    _context: *mut c_void,
    _first: *mut c_void,
    _second: *mut c_void,
) {
}

/// A timer in pool that is set for long, with a deferred procedure call.
///
/// # Safety
///
/// The call is initialised, and stays until the timer is cancelled, or a rule is broken.
unsafe fn timer_with(dpc: *mut KDPC) -> *mut KTIMER {
    let timer = block::<KTIMER>();
    // SAFETY: the block has room for a timer; the caller answers for the call.
    unsafe {
        KeInitializeTimerEx(timer, TIMER_TYPE::NotificationTimer);
        KeSetTimer(timer, seconds(100), dpc);
    }
    timer
}

/// A deferred procedure call in pool that does nothing.
fn dpc() -> *mut KDPC {
    let dpc = block::<KDPC>();
    // SAFETY: the block has room for it.
    unsafe { KeInitializeDpc(dpc, Some(does_nothing), ptr::null_mut()) };
    dpc
}

#[test]
fn a_dpc_freed_whose_timer_is_set() {
    expect_bugcheck("TIMER_OR_DPC_INVALID", || {
        let _kernel = Kernel::boot();
        let dpc = dpc();
        // SAFETY: the call is initialised. To free it while the timer is set breaks the rule.
        unsafe { timer_with(dpc) };
        free(dpc);
    })
    .tells("memory was freed that holds the deferred procedure call of a timer that is set");
}

#[test]
fn a_dpc_on_the_stack_of_a_function_that_has_returned() {
    #[inline(never)]
    fn leaves_its_call(timer: bool) {
        let mut dpc = KDPC::default();
        let place = &raw mut dpc;
        // SAFETY: breaks the rule: the call is queued, or going to be, when it is gone. The kernel stops before it touches it.
        unsafe {
            KeInitializeDpc(place, Some(does_nothing), ptr::null_mut());
            if timer {
                timer_with(place);
            } else {
                KeInsertQueueDpc(place, ptr::null_mut(), ptr::null_mut());
            }
        }
        core::hint::black_box(&mut dpc);
    }
    for (timer, told) in [
        (true, "the timer that is set (KeSetTimer)"),
        (false, "the queue of deferred procedure calls"),
    ] {
        expect_bugcheck(VERIFIER, || {
            let _kernel = Kernel::boot();
            let busy = dpc();
            // SAFETY: the call is initialised. As long as it runs, another one is queued.
            unsafe {
                KeInitializeDpc(busy, Some(takes_its_time), ptr::null_mut());
                KeInsertQueueDpc(busy, ptr::null_mut(), ptr::null_mut());
            }
            leaves_its_call(timer);
            Event::new(EVENT_TYPE::NotificationEvent, false);
        })
        .tells("the deferred procedure call at")
        .tells(told);
    }
}

#[test]
fn calls_that_are_over_when_they_go() {
    #[inline(never)]
    fn waits_for_its_call() {
        let mut dpc = KDPC::default();
        let place = &raw mut dpc;
        // SAFETY: the call has run when it is gone.
        unsafe {
            KeInitializeDpc(place, Some(does_nothing), ptr::null_mut());
            KeInsertQueueDpc(place, ptr::null_mut(), ptr::null_mut());
            KeFlushQueuedDpcs();
        }
    }
    let kernel = Kernel::boot();
    for _ in 0..3 {
        waits_for_its_call();
        Event::new(EVENT_TYPE::NotificationEvent, false).set();
    }
    let (first, second) = (dpc(), dpc());
    // SAFETY: the calls are initialised; one is freed when its timer is set with the other, which is freed when it is cancelled. A
    // timer of zeroes is one that isn't set.
    unsafe {
        let timer = timer_with(first);
        KeSetTimer(timer, seconds(100), second);
        free(first);
        assert_eq!(KeCancelTimer(timer), 1);
        free(second);
        timer.write_bytes(0, 1);
        assert_eq!(KeCancelTimer(timer), 0);
        free(timer);
    }
    kernel.shutdown();
}

unsafe extern "system" fn lowers_the_irql(
    _dpc: *mut KDPC,
    _context: *mut c_void,
    _first: *mut c_void,
    _second: *mut c_void,
) {
    // SAFETY: breaks the rule; the kernel knows at which level the routine was called.
    unsafe {
        KeLowerIrql(0);
        KfRaiseIrql(DISPATCH_LEVEL);
    }
}

#[test]
fn the_irql_lowered_below_that_of_the_call() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let dpc = block::<KDPC>();
        // SAFETY: the block has room for the call.
        unsafe {
            KeInitializeDpc(dpc, Some(lowers_the_irql), ptr::null_mut());
            KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut());
            KeFlushQueuedDpcs();
        }
    })
    .tells("lower the IRQL to PASSIVE_LEVEL by code that was called at DISPATCH_LEVEL");
}

#[test]
fn a_dpc_initialised_that_is_queued() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let [first, second] = [block::<KDPC>(), block()];
        // SAFETY: the blocks have room for them. The last call breaks the rule: the first one is still being run, so that the other
        // is queued.
        unsafe {
            KeInitializeDpc(first, Some(takes_its_time), ptr::null_mut());
            KeInitializeDpc(second, Some(does_nothing), ptr::null_mut());
            KeInsertQueueDpc(first, ptr::null_mut(), ptr::null_mut());
            KeInsertQueueDpc(second, ptr::null_mut(), ptr::null_mut());
            KeInitializeDpc(second, Some(does_nothing), ptr::null_mut());
        }
    })
    .tells("KeInitializeDpc was called for a deferred procedure call that is queued");
}

unsafe extern "system" fn takes_its_time(
    _dpc: *mut KDPC,
    _context: *mut c_void,
    _first: *mut c_void,
    _second: *mut c_void,
) {
    std::thread::sleep(Duration::from_secs(5));
}

#[test]
fn a_dpc_queued_that_was_not_initialised() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel looks at the type first, which is what it fills blocks with.
        unsafe { KeInsertQueueDpc(block(), ptr::null_mut(), ptr::null_mut()) };
    })
    .tells("isn't an initialised deferred procedure call");
}

#[repr(C)]
struct TimerWithDpc {
    timer: KTIMER,
    dpc: KDPC,
}

unsafe extern "system" fn frees(
    _dpc: *mut KDPC,
    block: *mut c_void,
    _first: *mut c_void,
    _second: *mut c_void,
) {
    free(block);
}

#[test]
fn a_timer_is_freed_by_its_own_dpc() {
    let kernel = Kernel::boot();
    for _ in 0..10 {
        let both = block::<TimerWithDpc>();
        // SAFETY: the block has room for both, and is freed when they are over.
        unsafe {
            KeInitializeTimerEx(&raw mut (*both).timer, TIMER_TYPE::NotificationTimer);
            KeInitializeDpc(&raw mut (*both).dpc, Some(frees), both.cast());
            let soon = LARGE_INTEGER { QuadPart: -1_000 };
            KeSetTimer(&raw mut (*both).timer, soon, &raw mut (*both).dpc);
        }
    }
    wait_until("all are freed", || kernel.counts().pool.live == 0);
    kernel.shutdown();
}

static QUEUED: AtomicU32 = AtomicU32::new(0);

unsafe extern "system" fn queues_itself(
    dpc: *mut KDPC,
    _context: *mut c_void,
    _first: *mut c_void,
    _second: *mut c_void,
) {
    if QUEUED.fetch_add(1, Ordering::SeqCst) < 4 {
        // SAFETY: it is freed when it was run for the last time.
        unsafe { KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut()) };
    }
}

#[test]
fn a_dpc_queues_itself() {
    let kernel = Kernel::boot();
    let dpc = block::<KDPC>();
    // SAFETY: the block has room for it, and is freed when it was run for the last time.
    unsafe {
        KeInitializeDpc(dpc, Some(queues_itself), ptr::null_mut());
        KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut());
        wait_until("it was run", || QUEUED.load(Ordering::SeqCst) == 5);
        KeFlushQueuedDpcs();
        KeInitializeDpc(dpc, Some(does_nothing), ptr::null_mut());
    }
    free(dpc);
    kernel.shutdown();
}

// Locks.

#[test]
fn a_fast_mutex_initialised_that_is_held() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mutex = block::<FAST_MUTEX>();
        // SAFETY: the block has room for a mutex. The second time breaks the rule.
        unsafe {
            ExInitializeFastMutex(mutex);
            ExAcquireFastMutex(mutex);
            ExInitializeFastMutex(mutex);
        }
    })
    .tells("ExInitializeFastMutex was called for a fast mutex that thread");
}

/// A spin lock with an event as far behind it as a fast mutex has its event.
#[repr(C)]
struct Shared {
    lock: usize,
    between: [usize; 2],
    event: KEVENT,
}

/// Runs `take` on another thread, which stays.
fn elsewhere(take: impl FnOnce() + Send + 'static) {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        take();
        tell.send(()).unwrap();
        loop {
            std::thread::park();
        }
    });
    told.recv().unwrap();
}

/// Locks in pool that another thread holds: each with its name.
fn held_elsewhere(kind: usize) -> (*mut c_void, &'static str) {
    let lock = block::<FAST_MUTEX>().cast::<c_void>();
    let shared = lock as usize;
    // SAFETY: the block has room for any lock. Its memory is zero at first, which is an executive spin lock.
    unsafe {
        lock.cast::<FAST_MUTEX>().write_bytes(0, 1);
        match kind {
            0 => {
                KeInitializeSpinLock(lock.cast());
                elsewhere(move || {
                    KeAcquireSpinLockRaiseToDpc(shared as *mut usize);
                });
                (lock, "spin lock")
            }
            1 => {
                elsewhere(move || {
                    ExAcquireSpinLockShared(shared as *mut i32);
                });
                (lock, "executive spin lock")
            }
            2 => {
                ExInitializeFastMutex(lock.cast());
                elsewhere(move || ExAcquireFastMutex(shared as *mut FAST_MUTEX));
                (lock, "fast mutex")
            }
            _ => {
                ExInitializePushLock(lock.cast());
                elsewhere(move || {
                    KeEnterCriticalRegion();
                    ExAcquirePushLockSharedEx(shared as *mut usize, 0);
                });
                (lock, "push lock")
            }
        }
    }
}

#[test]
fn locks_freed_that_another_thread_holds() {
    for (kind, told) in [
        "spin lock",
        "executive spin lock",
        "fast mutex",
        "push lock",
    ]
    .into_iter()
    .enumerate()
    {
        expect_bugcheck(VERIFIER, || {
            let _kernel = Kernel::boot();
            let (lock, name) = held_elsewhere(kind);
            assert_eq!(name, told);
            free(lock);
        })
        .tells(&format!(
            "memory was freed that holds a {told} which thread"
        ));
    }
}

#[test]
fn locks_initialised_that_another_thread_holds() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel knows who holds the mutex.
        unsafe { ExInitializeFastMutex(held_elsewhere(2).0.cast()) };
    })
    .tells("ExInitializeFastMutex was called for a fast mutex that thread");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: breaks the rule; the kernel knows who holds the lock.
        unsafe { ExInitializePushLock(held_elsewhere(3).0.cast()) };
    })
    .tells("ExInitializePushLock was called for a push lock that thread");
}

#[test]
fn a_lock_on_the_stack_of_a_function_that_has_returned() {
    #[inline(never)]
    fn keeps_its_lock() {
        let mut lock = 0;
        // SAFETY: breaks the rule: the lock is gone before it is given back.
        unsafe {
            KeInitializeSpinLock(&raw mut lock);
            KeAcquireSpinLockRaiseToDpc(&raw mut lock);
        }
        core::hint::black_box(&mut lock);
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        keeps_its_lock();
        Event::new(EVENT_TYPE::NotificationEvent, false);
    })
    .tells("a lock at")
    .tells("in a function that has returned while the thread that holds it");
}

#[test]
fn a_lock_is_freed_that_another_thread_has_given_back() {
    #[inline(never)]
    fn uses_a_lock() {
        let mut lock = 0;
        // SAFETY: the lock is given back before it is gone.
        unsafe {
            KeInitializeSpinLock(&raw mut lock);
            let level = KeAcquireSpinLockRaiseToDpc(&raw mut lock);
            KeReleaseSpinLock(&raw mut lock, level);
        }
    }
    let kernel = Kernel::boot();
    let [lock, other] = locks();
    let shared = lock as usize;
    // SAFETY: the lock is one, and given back before it is freed.
    let give_back = std::thread::spawn(move || unsafe {
        let level = KeAcquireSpinLockRaiseToDpc(shared as *mut usize);
        KeReleaseSpinLock(shared as *mut usize, level);
    });
    give_back.join().unwrap();
    free(lock);
    free(other);
    for _ in 0..3 {
        uses_a_lock();
        Event::new(EVENT_TYPE::NotificationEvent, false).set();
    }
    kernel.shutdown();
}

#[test]
fn an_event_is_initialised_behind_a_lock_that_is_held() {
    let kernel = Kernel::boot();
    let shared = block::<Shared>();
    // SAFETY: the block has room for both.
    unsafe {
        KeInitializeSpinLock(&raw mut (*shared).lock);
        let level = KeAcquireSpinLockRaiseToDpc(&raw mut (*shared).lock);
        KeInitializeEvent(&raw mut (*shared).event, EVENT_TYPE::NotificationEvent, 0);
        KeReleaseSpinLock(&raw mut (*shared).lock, level);
    }
    free(shared);
    kernel.shutdown();
}

/// Two spin locks.
fn locks() -> [*mut usize; 2] {
    [(); 2].map(|()| {
        let lock = block::<usize>();
        // SAFETY: the block has room for a lock.
        unsafe { KeInitializeSpinLock(lock) };
        lock
    })
}

#[test]
fn the_irql_lowered_while_a_spin_lock_is_held() {
    expect_bugcheck("IRQL_NOT_LESS_OR_EQUAL", || {
        let _kernel = Kernel::boot();
        let [lock, _] = locks();
        // SAFETY: the lock is one. Lowering the level breaks the rule.
        unsafe {
            let level = KeAcquireSpinLockRaiseToDpc(lock);
            KeLowerIrql(level);
        }
    })
    .tells("KeLowerIrql was called to lower the IRQL to PASSIVE_LEVEL while this thread holds the spin lock");
}

#[test]
fn a_spin_lock_given_back_with_the_irql_of_another() {
    expect_bugcheck("IRQL_NOT_LESS_OR_EQUAL", || {
        let _kernel = Kernel::boot();
        let [outer, inner] = locks();
        // SAFETY: the locks are such. The level that goes with the outer one breaks the rule.
        unsafe {
            let level = KeAcquireSpinLockRaiseToDpc(outer);
            KeAcquireSpinLockRaiseToDpc(inner);
            KeReleaseSpinLock(inner, level);
        }
    })
    .tells("KeReleaseSpinLock was called to lower the IRQL to PASSIVE_LEVEL");
}

#[test]
fn an_executive_spin_lock_given_back_with_the_irql_of_another() {
    expect_bugcheck("IRQL_NOT_LESS_OR_EQUAL", || {
        let _kernel = Kernel::boot();
        let [outer, inner] = [(); 2].map(|()| {
            let lock = block::<i32>();
            // SAFETY: the block has room for a lock, of which zero is a free one.
            unsafe { lock.write(0) };
            lock
        });
        // SAFETY: the locks are such. The level that goes with the outer one breaks the rule.
        unsafe {
            let level = ExAcquireSpinLockExclusive(outer);
            ExAcquireSpinLockExclusive(inner);
            ExReleaseSpinLockExclusive(inner, level);
        }
    })
    .tells("ExReleaseSpinLockExclusive was called to lower the IRQL to PASSIVE_LEVEL");
}

#[test]
fn the_cancel_lock_given_back_with_the_irql_of_another() {
    expect_bugcheck("IRQL_NOT_LESS_OR_EQUAL", || {
        let _kernel = Kernel::boot();
        let [outer, _] = locks();
        let mut dispatch = 0;
        // SAFETY: the lock is one. The level that goes with it breaks the rule.
        unsafe {
            let level = KeAcquireSpinLockRaiseToDpc(outer);
            IoAcquireCancelSpinLock(&raw mut dispatch);
            IoReleaseCancelSpinLock(level);
        }
    })
    .tells("IoReleaseCancelSpinLock was called to lower the IRQL to PASSIVE_LEVEL");
}

#[test]
fn spin_locks_are_given_back_in_any_order() {
    let kernel = Kernel::boot();
    let [first, second] = locks();
    // SAFETY: the locks are such, and are given back with the level for each.
    unsafe {
        let level = KeAcquireSpinLockRaiseToDpc(first);
        let dispatch = KeAcquireSpinLockRaiseToDpc(second);
        KeReleaseSpinLock(first, dispatch);
        KeReleaseSpinLock(second, level);
        at_irql(DISPATCH_LEVEL, || {
            KeAcquireSpinLockAtDpcLevel(first);
            KeAcquireSpinLockAtDpcLevel(second);
            KeReleaseSpinLockFromDpcLevel(first);
            KeReleaseSpinLockFromDpcLevel(second);
        });
    }
    free(first);
    free(second);
    kernel.shutdown();
}

// MDLs.

#[test]
fn an_mdl_initialised_anew_and_freed_that_has_locked_pages() {
    expect_bugcheck("DRIVER_LEFT_LOCKED_PAGES_IN_SYSTEM", || {
        let _kernel = Kernel::boot();
        let memory = paged_pool(64);
        let mdl = mdl_of(memory, 64);
        // SAFETY: the MDL describes the block. What locks its pages is forgotten, which breaks the rule.
        unsafe {
            MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess);
            MmInitializeMdl(mdl, memory, 64);
            IoFreeMdl(mdl);
        }
    })
    .tells("IoFreeMdl was called for an MDL whose pages are still locked");
}

/// An MDL for a block of paged pool, and one that has room for a part of it.
fn whole_and_part() -> ([*mut MDL; 2], *mut c_void) {
    let memory = paged_pool(64);
    ([mdl_of(memory, 64), mdl_of(memory, 64)], memory)
}

#[test]
fn a_partial_mdl_of_pages_that_are_not_locked() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let ([whole, part], memory) = whole_and_part();
        // SAFETY: breaks the rule; the kernel looks at the flags of the MDL first.
        unsafe { IoBuildPartialMdl(whole, part, memory, 32) };
    })
    .tells("IoBuildPartialMdl was given an MDL whose pages are neither locked");
}

fn map(mdl: *mut MDL) {
    let cached = MEMORY_CACHING_TYPE::MmCached;
    // SAFETY: the kernel looks at the flags of the MDL.
    unsafe { MmMapLockedPagesSpecifyCache(mdl, 0, cached, ptr::null_mut(), 0, 0) };
}

#[test]
fn a_partial_mdl_built_again_that_is_mapped() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let ([whole, part], memory) = whole_and_part();
        // SAFETY: the MDLs are new. What is mapped stays so for ever, which breaks the rule.
        unsafe {
            MmProbeAndLockPages(whole, 0, LOCK_OPERATION::IoReadAccess);
            IoBuildPartialMdl(whole, part, memory, 32);
            map(part);
            IoBuildPartialMdl(whole, part, memory, 16);
        }
    })
    .tells("MmPrepareMdlForReuse comes first");
}

#[test]
fn a_partial_mdl_is_made_ready_and_built_again() {
    let kernel = Kernel::boot();
    let ([whole, part], memory) = whole_and_part();
    // SAFETY: the MDLs are new, and freed when they are unmapped and unlocked.
    unsafe {
        MmProbeAndLockPages(whole, 0, LOCK_OPERATION::IoReadAccess);
        for length in [32, 16] {
            IoBuildPartialMdl(whole, part, memory, length);
            map(part);
            MmPrepareMdlForReuse(part);
        }
        // What the parent has mapped needs not be unmapped, and one that isn't mapped needs nothing.
        map(whole);
        IoBuildPartialMdl(whole, part, memory, 8);
        IoBuildPartialMdl(whole, part, memory, 4);
        IoFreeMdl(part);
        MmUnlockPages(whole);
        IoFreeMdl(whole);
    }
    free(memory);
    kernel.shutdown();
}

// Exceptions of the processor.

#[test]
fn an_instruction_that_there_is_none_like() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        // SAFETY: the instruction does nothing but fail.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            core::arch::asm!("ud2");
            #[cfg(target_arch = "aarch64")]
            core::arch::asm!("udf #0");
        }
    })
    .tells("(0xC000001D,");
}

#[test]
fn a_breakpoint_without_a_debugger() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        // SAFETY: the instruction does nothing but fail.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            core::arch::asm!("int3");
            #[cfg(target_arch = "aarch64")]
            core::arch::asm!("brk #1");
        }
    })
    .tells("(0x80000003,");
}

// Dividing by zero gives zero on Arm.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_division_by_zero() {
    expect_bugcheck(UNHANDLED, || {
        let _kernel = Kernel::boot();
        // SAFETY: the instruction does nothing but fail.
        unsafe { core::arch::asm!("div {0}", in(reg) 0_u64, inout("rax") 5_u64 => _, inout("rdx") 0_u64 => _) };
    })
    .tells("the driver divided by zero");
}

// Indications and sockets.

static SOCKET: Mutex<Option<Socket>> = Mutex::new(None);
static CLOSING: Mutex<Option<Call>> = Mutex::new(None);
static RELEASED: AtomicBool = AtomicBool::new(false);

/// Gives back what it is told of, before it says that it keeps it.
unsafe extern "system" fn releases(
    _context: *mut c_void,
    _flags: u32,
    list: *mut WSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    match *SOCKET.lock().unwrap() {
        Some(socket) if !list.is_null() => {
            let _ = socket.release(list);
            RELEASED.store(true, Ordering::SeqCst);
            STATUS_PENDING
        }
        _ => STATUS_SUCCESS,
    }
}

/// Closes its own socket, and doesn't wait for that.
unsafe extern "system" fn closes(
    _context: *mut c_void,
    _flags: u32,
    _list: *mut WSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    if let Some(socket) = SOCKET.lock().unwrap().take() {
        let call = Call::new();
        assert_eq!(socket.start_close(&call), STATUS_PENDING);
        *CLOSING.lock().unwrap() = Some(call);
    }
    STATUS_SUCCESS
}

/// Sends a datagram to a socket with this callback.
fn tell(client: &Client, table: &'static WSK_CLIENT_DATAGRAM_DISPATCH) -> Socket {
    // SAFETY: the callbacks have no use for a context.
    let callbacks = unsafe { Callbacks::new(&(), table) };
    let socket = client.socket_with(AF_INET, callbacks);
    assert_eq!(socket.bind("127.0.0.1:0".parse().unwrap()), STATUS_SUCCESS);
    let own = socket.local().unwrap();
    *SOCKET.lock().unwrap() = Some(socket);
    assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"x", own).unwrap();
    socket
}

#[test]
fn an_indication_is_given_back_within_its_callback() {
    static TABLE: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
        WskReceiveFromEvent: Some(releases),
    };
    let kernel = Kernel::boot();
    let client = Client::new();
    let socket = tell(&client, &TABLE);
    wait_until("it was told", || RELEASED.load(Ordering::SeqCst));
    socket.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn a_socket_is_closed_within_its_callback() {
    static TABLE: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
        WskReceiveFromEvent: Some(closes),
    };
    let kernel = Kernel::boot();
    let client = Client::new();
    tell(&client, &TABLE);
    wait_until("it is being closed", || CLOSING.lock().unwrap().is_some());
    let call = CLOSING.lock().unwrap().take().unwrap();
    assert_eq!(call.finish(), (STATUS_SUCCESS, 0));
    client.leave();
    kernel.shutdown();
}

unsafe extern "system" fn frees_the_irp(
    _device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    event: *mut c_void,
) -> NTSTATUS {
    // SAFETY: the context is an event, and the IRP belongs to its driver again.
    unsafe {
        IoFreeIrp(irp);
        KeSetEvent(event.cast(), 0, 0);
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

#[test]
fn one_mdl_is_sent_by_several_calls_whose_routines_free_their_irps() {
    each_policy(|_, client| {
        let socket = client.bound("127.0.0.1:0");
        let own = socket.local().unwrap();
        let buffer = Buffer::of(b"hello");
        let events = [(); 3].map(|()| {
            let event = Event::new(EVENT_TYPE::NotificationEvent, false);
            // SAFETY: the routine takes an event.
            let call = unsafe { Call::completed_by(frees_the_irp, event.raw()) };
            let _ = socket.start_send(&call, buffer.all(), Some(own));
            event
        });
        for event in events {
            assert_eq!(event.wait(None), STATUS_SUCCESS);
        }
        socket.close();
        buffer.free();
    });
}
