//! Objects of the dispatcher in unusual hands: initialised, freed or given back while they are in use, which is told, and close to
//! that, which is allowed. And what a processor itself stops at.
//!
//! A call that breaks a rule is argued for as in `judges`: the kernel stops before it does what it was asked for.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
    .tells("ExInitializeFastMutex was called for a fast mutex that this thread holds");
}

/// A spin lock with an event as far behind it as a fast mutex has its event.
#[repr(C)]
struct Shared {
    lock: usize,
    between: [usize; 2],
    event: KEVENT,
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
