//! For each rule about event callbacks, locks, waits and the unloading of drivers: raw code that breaks it, and is caught.
//!
//! A bug check ends the process, which is a child of the test: nothing comes after it. What a driver leaves behind here is left
//! by one that is called by the host kernel alone, and that touches nothing once it is unloaded.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use driver::*;
use wsk_host::testing::{BugCheck, expect_bugcheck};
use wsk_host::{DISPATCH_LEVEL, DriverEntry, Kernel, at_irql};
use wsk_sys::*;

/// A bug check that tells of a wait.
const HOPELESS: &str = "MANUALLY_INITIATED_CRASH";
const UNLOADED: &str = "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS";

/// A kernel that doesn't wait long.
fn impatient() -> Kernel {
    Kernel::builder().patience(Duration::from_millis(50)).boot()
}

// Event callbacks.

/// What [`answers`] answers.
static ANSWER: AtomicI32 = AtomicI32::new(0);

unsafe extern "system" fn answers(
    _context: *mut c_void,
    _flags: u32,
    _list: *mut WSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    NTSTATUS(ANSWER.load(Ordering::SeqCst))
}

unsafe extern "system" fn raises(
    _context: *mut c_void,
    _flags: u32,
    _list: *mut WSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    // SAFETY: the kernel checks the level. Not lowering it again breaks the rule, and harms no memory.
    unsafe { KfRaiseIrql(3) };
    STATUS_SUCCESS
}

static ANSWERS: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
    WskReceiveFromEvent: Some(answers),
};
static RAISES: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
    WskReceiveFromEvent: Some(raises),
};

/// A socket whose event callback is enabled, and which it can be sent to.
fn listening_to_datagrams(table: &'static WSK_CLIENT_DATAGRAM_DISPATCH) -> Socket {
    let client = Client::new();
    // SAFETY: the callbacks have no use for a context.
    let callbacks = unsafe { Callbacks::new(&(), table) };
    let socket = client.socket_with(AF_INET, callbacks);
    assert_eq!(socket.bind("127.0.0.1:0".parse().unwrap()), STATUS_SUCCESS);
    assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
    socket
}

fn send_to_itself(socket: Socket) {
    let buffer = Buffer::of(b"x");
    let own = socket.local().unwrap();
    let _ = socket.send(&buffer, Some(own));
    std::thread::sleep(Duration::from_secs(50));
}

#[test]
fn wrong_answer_to_a_receive_from_event() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        ANSWER.store(STATUS_UNSUCCESSFUL.0, Ordering::SeqCst);
        send_to_itself(listening_to_datagrams(&ANSWERS));
    })
    .tells("WskReceiveFromEvent returned something else than STATUS_SUCCESS, STATUS_PENDING")
    .tells("socket#1 made by WskSocket");
}

#[test]
fn wrong_answer_of_a_callback_that_is_told_of_the_end() {
    expect_bugcheck(VERIFIER, || {
        let kernel = Kernel::boot();
        ANSWER.store(STATUS_PENDING.0, Ordering::SeqCst);
        let _ = listening_to_datagrams(&ANSWERS);
        // There is nothing that it could keep.
        kernel.force_close_sockets();
        std::thread::sleep(Duration::from_secs(50));
    })
    .tells("WskReceiveFromEvent returned something else than STATUS_SUCCESS or STATUS_DATA_NOT_ACCEPTED");
}

#[test]
fn callback_that_changes_the_irql() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        send_to_itself(listening_to_datagrams(&RAISES));
    })
    .tells("WskReceiveFromEvent returned at another IRQL than it was called at");
}

#[test]
fn wrong_answer_to_the_detaching_of_a_module() {
    unsafe extern "system" fn attach(
        binding: *mut c_void,
        context: *mut c_void,
        _instance: *const NPI_REGISTRATION_INSTANCE,
    ) -> NTSTATUS {
        let (mut provider, mut dispatch) = (ptr::null_mut(), ptr::null());
        // SAFETY: the binding is the one that is offered, the places are there, and the table is a static.
        unsafe {
            let own = (&raw const CLIENT_DISPATCH).cast();
            NmrClientAttachProvider(binding, context, own, &raw mut provider, &raw mut dispatch)
        }
    }
    unsafe extern "system" fn detach(_context: *mut c_void) -> NTSTATUS {
        STATUS_UNSUCCESSFUL
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let characteristics = Box::leak(Box::new(NPI_CLIENT_CHARACTERISTICS {
            ClientAttachProvider: Some(attach),
            ClientDetachProvider: Some(detach),
            ClientRegistrationInstance: NPI_REGISTRATION_INSTANCE {
                NpiId: &raw const NPI_WSK_INTERFACE_ID,
                ..Default::default()
            },
            ..Default::default()
        }));
        let mut handle = ptr::null_mut();
        // SAFETY: the characteristics are never freed, and their callbacks have no use for a context.
        unsafe {
            let status = NmrRegisterClient(characteristics, ptr::null_mut(), &raw mut handle);
            assert_eq!(status, STATUS_SUCCESS);
            let _ = NmrDeregisterClient(handle);
        }
    })
    .tells("ClientDetachProvider answered STATUS_UNSUCCESSFUL");
}

// Executable pool.

#[test]
fn executable_pool() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: nothing is asked of the caller.
        unsafe { ExAllocatePoolWithTag(POOL_TYPE::NonPagedPool, 64, TAG) };
    })
    .tells("(0x2000,")
    .tells("drivers need NonPagedPoolNx");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        // SAFETY: nothing is asked of the caller.
        unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED_EXECUTE, 64, TAG) };
    })
    .tells("(0x2000,")
    .tells("drivers need POOL_FLAG_NON_PAGED");
}

#[test]
fn executable_pool_that_is_allowed() {
    let kernel = Kernel::builder().executable_pool(true).boot();
    // SAFETY: the block is used by nobody.
    unsafe {
        let block = ExAllocatePoolWithTag(POOL_TYPE::NonPagedPool, 64, TAG);
        ExFreePoolWithTag(block, TAG);
    }
    kernel.shutdown();
}

// Locks.

/// A lock in a block of its own.
fn lock() -> *mut usize {
    let lock = pool(size_of::<usize>()).cast::<usize>();
    // SAFETY: the block has room for a lock.
    unsafe { KeInitializeSpinLock(lock) };
    lock
}

/// Takes two locks, one after the other, and gives them back.
///
/// # Safety
///
/// Both are locks.
unsafe fn take_both(first: *mut usize, second: *mut usize) {
    // SAFETY: the caller says so.
    unsafe {
        let level = KeAcquireSpinLockRaiseToDpc(first);
        KeAcquireSpinLockAtDpcLevel(second);
        KeReleaseSpinLockFromDpcLevel(second);
        KeReleaseSpinLock(first, level);
    }
}

#[test]
fn locks_taken_in_inverted_order() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let (first, second) = (lock(), lock());
        // SAFETY: both are locks. The last call breaks the rule, and harms no memory.
        unsafe {
            take_both(first, second);
            take_both(second, first);
        }
    })
    .tells("(0x1001,")
    .tells("elsewhere they are taken in the opposite order")
    .tells("was taken while")
    .tells("locks_taken_in_inverted_order");
}

#[test]
fn locks_taken_in_a_circle() {
    static THIRD: AtomicUsize = AtomicUsize::new(0);
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let (first, second) = (lock(), lock());
        // SAFETY: all are locks. The last call breaks the rule, and harms no memory.
        unsafe {
            take_both(first, second);
            take_both(second, THIRD.as_ptr());
            take_both(THIRD.as_ptr(), first);
        }
    })
    .tells("(0x1001,");
}

#[test]
fn locks_of_other_blocks_at_the_same_address() {
    let kernel = Kernel::builder().special_pool(false).boot();
    let held = lock();
    for round in 0..2000 {
        let other = lock();
        // SAFETY: both are locks, and used by nobody when they are freed.
        unsafe {
            if round % 2 == 0 {
                take_both(held, other);
            } else {
                take_both(other, held);
            }
            ExFreePoolWithTag(other.cast(), TAG);
        }
    }
    // SAFETY: the lock is used by nobody.
    unsafe { ExFreePoolWithTag(held.cast(), TAG) };
    kernel.shutdown();
}

#[test]
fn lock_freed_that_is_held() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let lock = lock();
        // SAFETY: it is a lock. The last call breaks the rule; the kernel knows what this thread holds.
        unsafe {
            KeAcquireSpinLockRaiseToDpc(lock);
            ExFreePoolWithTag(lock.cast(), TAG);
        }
    })
    .tells("memory was freed that holds a spin lock which thread");
}

#[test]
fn lock_that_was_never_initialized() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let lock = pool(size_of::<usize>()).cast::<usize>();
        // SAFETY: the block has room for a lock. Breaks the rule; the kernel knows which numbers threads have.
        unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
    })
    .tells("(0x1002,")
    .tells("memory that isn't an initialised lock: it holds 0xcdcdcdcdcdcdcdcd");
}

#[test]
fn lock_that_is_never_given_back() {
    expect_bugcheck(HOPELESS, || {
        let _kernel = impatient();
        let lock = lock();
        let address = lock as usize;
        // SAFETY: it is a lock.
        unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
        let other = std::thread::Builder::new().name("other".into());
        let other = other.spawn(move || {
            // SAFETY: it is a lock, which stays.
            unsafe { KeAcquireSpinLockRaiseToDpc(address as *mut usize) };
        });
        let _ = other.unwrap().join();
    })
    .tells("KeAcquireSpinLock has waited while nothing happened for 50ms")
    .tells("the lock is held by thread 1 (lock_that_is_never_given_back)")
    .tells("(other) waits for");
}

unsafe extern "system" fn takes_a_lock(
    _context: *mut c_void,
    _flags: u32,
    _list: *mut WSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    // SAFETY: it is a lock, in a block that is never freed.
    unsafe { KeAcquireSpinLockAtDpcLevel(lock()) };
    STATUS_SUCCESS
}

#[test]
fn callback_that_keeps_a_lock() {
    static TAKES: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
        WskReceiveFromEvent: Some(takes_a_lock),
    };
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        send_to_itself(listening_to_datagrams(&TAKES));
    })
    .tells("the driver's WskReceiveFromEvent returned with the lock at");
}

#[test]
fn completion_routine_that_keeps_a_lock() {
    unsafe extern "system" fn keeps(
        _device: *mut DEVICE_OBJECT,
        _irp: *mut IRP,
        _context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: it is a lock, in a block that is never freed. It is kept.
        at_irql(DISPATCH_LEVEL, || unsafe {
            KeAcquireSpinLockAtDpcLevel(lock())
        });
        STATUS_MORE_PROCESSING_REQUIRED
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        // SAFETY: the routine has no use for a context.
        let call = unsafe { Call::completed_by(keeps, ptr::null_mut()) };
        let _ = client.start_socket(&call, Kind::datagram(AF_INET));
    })
    .tells("a completion routine returned with the lock at");
}

#[test]
fn dpc_that_returns_otherwise_than_it_was_called() {
    unsafe extern "system" fn keeps(
        _dpc: *mut KDPC,
        _context: *mut c_void,
        _first: *mut c_void,
        _second: *mut c_void,
    ) {
        // SAFETY: it is a lock, in a block that is never freed.
        unsafe { KeAcquireSpinLockAtDpcLevel(lock()) };
    }
    unsafe extern "system" fn raises(
        _dpc: *mut KDPC,
        _context: *mut c_void,
        _first: *mut c_void,
        _second: *mut c_void,
    ) {
        // SAFETY: the kernel checks the level. Not lowering it again breaks the rule, and harms no memory.
        unsafe { KfRaiseIrql(DISPATCH_LEVEL + 1) };
    }
    for (routine, code, told) in [
        (
            keeps as unsafe extern "system" fn(*mut KDPC, *mut c_void, *mut c_void, *mut c_void),
            VERIFIER,
            "a deferred procedure call returned with the lock at",
        ),
        (
            raises,
            "IRQL_UNEXPECTED_VALUE",
            "a deferred procedure call returned at another IRQL",
        ),
    ] {
        expect_bugcheck(code, || {
            let _kernel = Kernel::boot();
            let dpc = pool(size_of::<KDPC>()).cast();
            // SAFETY: the block has room for a DPC, whose routine has no use for a context.
            unsafe {
                KeInitializeDpc(dpc, Some(routine), ptr::null_mut());
                KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut());
                KeFlushQueuedDpcs();
            }
        })
        .tells(told);
    }
}

#[test]
fn driver_entry_that_returns_at_another_level() {
    unsafe extern "system" fn raises(_: &mut DRIVER_OBJECT, _: &UNICODE_STRING) -> NTSTATUS {
        // SAFETY: the kernel checks the level. Not lowering it again breaks the rule, and harms no memory.
        unsafe { KfRaiseIrql(1) };
        STATUS_SUCCESS
    }
    expect_when_unloaded("IRQL_UNEXPECTED_VALUE", raises)
        .tells("DriverEntry returned at another IRQL than it was called at (PASSIVE_LEVEL)");
}

// Waits.

#[test]
fn event_that_is_never_set() {
    expect_bugcheck(HOPELESS, || {
        let _kernel = impatient();
        let event = pool(size_of::<KEVENT>()).cast::<KEVENT>();
        // SAFETY: the block has room for an event, and stays.
        unsafe {
            KeInitializeEvent(event, EVENT_TYPE::NotificationEvent, 0);
            let _ = wait(event.cast(), None);
        }
    })
    .tells("KeWaitForSingleObject has waited while nothing happened for 50ms")
    .tells("nonpaged pool at")
    .tells("(event_that_is_never_set) waits for");
}

#[test]
fn provider_that_never_comes() {
    expect_bugcheck(HOPELESS, || {
        let kernel = impatient();
        kernel.provider_down();
        let registration = Registration::new();
        assert_eq!(registration.register(), STATUS_SUCCESS);
        let _ = registration.capture(WSK_INFINITE_WAIT);
    })
    .tells("WskCaptureProviderNPI has waited while nothing happened for 50ms")
    .tells("the provider isn't available");
}

#[test]
fn dpc_that_never_ends() {
    unsafe extern "system" fn stays(
        _dpc: *mut KDPC,
        _context: *mut c_void,
        _first: *mut c_void,
        _second: *mut c_void,
    ) {
        std::thread::sleep(Duration::from_secs(50));
    }
    expect_bugcheck(HOPELESS, || {
        let _kernel = impatient();
        let dpc = pool(size_of::<KDPC>()).cast();
        // SAFETY: the block has room for a DPC, whose routine has no use for a context.
        unsafe {
            KeInitializeDpc(dpc, Some(stays), ptr::null_mut());
            KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut());
            KeFlushQueuedDpcs();
        }
    })
    .tells("KeFlushQueuedDpcs has waited while nothing happened for 50ms");
}

#[test]
fn deferred_work_that_never_ends() {
    unsafe extern "system" fn stays(
        _dpc: *mut KDPC,
        _context: *mut c_void,
        _first: *mut c_void,
        _second: *mut c_void,
    ) {
        std::thread::sleep(Duration::from_secs(50));
    }
    expect_bugcheck(HOPELESS, || {
        let kernel = impatient();
        let dpc = pool(size_of::<KDPC>()).cast();
        // SAFETY: the block has room for a DPC, whose routine has no use for a context.
        unsafe {
            KeInitializeDpc(dpc, Some(stays), ptr::null_mut());
            KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut());
        }
        let _ = kernel.finish();
    })
    .tells("the kernel is shut down, and a deferred procedure call, a completion routine or a timer has run for 50ms");
}

#[test]
fn event_callback_that_never_ends() {
    unsafe extern "system" fn stays(
        _context: *mut c_void,
        _flags: u32,
        _list: *mut WSK_DATAGRAM_INDICATION,
    ) -> NTSTATUS {
        ENTERED.store(true, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(50));
        STATUS_SUCCESS
    }
    static ENTERED: AtomicBool = AtomicBool::new(false);
    static STAYS: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
        WskReceiveFromEvent: Some(stays),
    };
    expect_bugcheck(HOPELESS, || {
        let kernel = impatient();
        let socket = listening_to_datagrams(&STAYS);
        let buffer = Buffer::of(b"x");
        let _ = socket.send(&buffer, Some(socket.local().unwrap()));
        wait_until("the callback", || ENTERED.load(Ordering::SeqCst));
        let _ = kernel.finish();
    })
    .tells("the kernel is shut down, and an event callback has run for 50ms");
}

#[test]
fn wait_while_others_are_at_work() {
    // Three times the patience, in which something happens.
    let kernel = Kernel::builder()
        .patience(Duration::from_millis(200))
        .boot();
    let event = Event::new(EVENT_TYPE::NotificationEvent, false);
    let working = std::thread::spawn(move || {
        for _ in 0..60 {
            std::thread::sleep(Duration::from_millis(10));
            let block = pool(8);
            // SAFETY: the block is used by nobody.
            unsafe { ExFreePoolWithTag(block, TAG) };
        }
        event.set();
    });
    assert_eq!(event.wait(None), STATUS_SUCCESS);
    working.join().unwrap();
    kernel.shutdown();
}

unsafe extern "system" fn waits(context: *mut c_void) {
    // SAFETY: the context of this routine is an event, which is never freed.
    unsafe {
        let _ = wait(context, None);
    }
}

#[test]
fn system_thread_that_waits_in_the_end() {
    let kernel = impatient();
    let event = Event::new(EVENT_TYPE::NotificationEvent, false);
    // SAFETY: the routine wants an event that is never freed.
    let handle = unsafe { start_thread(waits, event.raw()) };
    assert_eq!(close_handle(handle), STATUS_SUCCESS);
    // That it waits for long is no sign of anything.
    std::thread::sleep(Duration::from_millis(200));
    let leaks = kernel.finish().unwrap_err().to_string();
    assert!(leaks.contains("system thread at"), "{leaks}");
    assert!(
        leaks.contains(&format!(
            "it waits for {:#x} in KeWaitForSingleObject",
            event.raw() as usize
        )),
        "{leaks}"
    );
}

#[test]
fn lookup_that_is_forgotten() {
    // The kernel is shut down nevertheless, and says what is left.
    let kernel = Kernel::builder()
        .completion(wsk_host::Completion::Deferred)
        .patience(Duration::from_millis(50))
        .boot();
    let client = Client::new();
    let name: &'static [u16] = Box::leak("host.invalid".encode_utf16().collect());
    let bytes = (name.len() * 2) as u16;
    let name = Box::leak(Box::new(UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: name.as_ptr().cast_mut(),
    }));
    let found: *mut *mut ADDRINFOEXW = Box::into_raw(Box::new(ptr::null_mut()));
    let call = Call::new();
    // SAFETY: the name and the place for the result are never freed; all else is optional.
    let status = unsafe {
        client.table().WskGetAddressInfo.unwrap()(
            client.client(),
            name,
            ptr::null_mut(),
            NS_ALL,
            ptr::null_mut(),
            ptr::null_mut(),
            found,
            ptr::null_mut(),
            ptr::null_mut(),
            call.irp(),
        )
    };
    assert_eq!(status, STATUS_PENDING);
    let leaks = kernel.finish().unwrap_err().to_string();
    assert!(leaks.contains("IRP at"), "{leaks}");
    assert!(leaks.contains("WSK registration"), "{leaks}");
}

// Unloading.

unsafe extern "system" fn unload(_driver: *mut DRIVER_OBJECT) {}

macro_rules! leaving {
    ($name:ident, $leave:expr) => {
        unsafe extern "system" fn $name(
            driver: &mut DRIVER_OBJECT,
            _: &UNICODE_STRING,
        ) -> NTSTATUS {
            driver.DriverUnload = Some(unload);
            let leave: fn() = $leave;
            leave();
            STATUS_SUCCESS
        }
    };
}

leaving!(leaves_nothing, || {
    let block = pool(8);
    // SAFETY: the block is used by nobody.
    unsafe { ExFreePoolWithTag(block, TAG) };
});
leaving!(leaves_pool, || {
    pool(100);
});
leaving!(leaves_an_irp, || {
    allocate_irp(1);
});
leaving!(leaves_locked_pages, || {
    let mdl = mdl_of(paged_pool(8), 8);
    // SAFETY: the MDL is new, and the memory there.
    unsafe { MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess) };
});
leaving!(leaves_a_socket, || {
    Client::new().socket(AF_INET);
});
leaving!(leaves_a_registration, || {
    assert_eq!(Registration::new().register(), STATUS_SUCCESS);
});
leaving!(leaves_a_thread, || {
    let event = Event::new(EVENT_TYPE::NotificationEvent, false);
    // SAFETY: the routine wants an event that is never freed.
    let handle = unsafe { start_thread(waits, event.raw()) };
    assert_eq!(close_handle(handle), STATUS_SUCCESS);
});
leaving!(leaves_a_handle, || {
    unsafe extern "system" fn nothing(_context: *mut c_void) {}
    // SAFETY: the routine has no use for a context.
    unsafe { start_thread(nothing, ptr::null_mut()) };
});
leaving!(leaves_a_timer, || {
    let timer = Box::leak(Box::<KTIMER>::default());
    let hour = LARGE_INTEGER {
        QuadPart: -36_000_000_000,
    };
    // SAFETY: the timer is never freed, and has no DPC.
    unsafe {
        KeInitializeTimerEx(timer, TIMER_TYPE::NotificationTimer);
        KeSetTimer(timer, hour, ptr::null_mut());
    }
});
leaving!(leaves_a_dpc, || {
    static STARTED: AtomicBool = AtomicBool::new(false);
    unsafe extern "system" fn stays(
        _dpc: *mut KDPC,
        _context: *mut c_void,
        _first: *mut c_void,
        _second: *mut c_void,
    ) {
        STARTED.store(true, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(50));
    }
    for _ in 0..2 {
        let dpc = Box::leak(Box::<KDPC>::default());
        // SAFETY: the DPC is never freed, and its routine has no use for a context. The first keeps the second waiting.
        unsafe {
            KeInitializeDpc(dpc, Some(stays), ptr::null_mut());
            KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut());
        }
        wait_until("the first DPC", || STARTED.load(Ordering::SeqCst));
    }
});
leaving!(leaves_a_call, || {
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let buffer = Buffer::new(8);
    assert_eq!(
        socket.start_receive(&Call::new(), buffer.all()),
        STATUS_PENDING
    );
});
leaving!(has_a_worker_that_leaves_pool, || {
    unsafe extern "system" fn allocates(_context: *mut c_void) {
        pool(200);
    }
    // SAFETY: the routine has no use for a context. The object is the thread's, until it has ended.
    unsafe {
        let handle = start_thread(allocates, ptr::null_mut());
        let mut thread = ptr::null_mut();
        let status = ObReferenceObjectByHandle(
            handle,
            0,
            ptr::null_mut(),
            0,
            &raw mut thread,
            ptr::null_mut(),
        );
        assert_eq!(status, STATUS_SUCCESS);
        assert_eq!(close_handle(handle), STATUS_SUCCESS);
        assert_eq!(wait(thread, None), STATUS_SUCCESS);
        ObfDereferenceObject(thread);
    }
});

unsafe extern "system" fn fails_and_leaves_pool(
    _: &mut DRIVER_OBJECT,
    _: &UNICODE_STRING,
) -> NTSTATUS {
    pool(100);
    STATUS_UNSUCCESSFUL
}

#[track_caller]
fn expect_when_unloaded(code: &str, entry: DriverEntry) -> BugCheck {
    expect_bugcheck(code, || {
        let kernel = impatient();
        if let Ok(driver) = kernel.driver("forgetful").load(entry) {
            driver.unload();
        }
    })
}

#[test]
fn memory_left_when_unloaded() {
    for (entry, told) in [
        (leaves_pool as DriverEntry, "nonpaged pool at"),
        (leaves_an_irp, "IRP at"),
        (leaves_locked_pages, "locked pages of the MDL"),
        (has_a_worker_that_leaves_pool, "200 bytes"),
        (fails_and_leaves_pool, "100 bytes"),
    ] {
        expect_when_unloaded(VERIFIER, entry)
            .tells("(0x62,")
            .tells("the driver forgetful was unloaded")
            .tells(told);
    }
}

#[test]
fn running_when_unloaded() {
    for (entry, told) in [
        (leaves_a_socket as DriverEntry, "socket#1"),
        (leaves_a_registration, "WSK registration"),
        (leaves_a_thread, "system thread at"),
        (leaves_a_handle, "handle"),
        (leaves_a_timer, "timer at"),
        (leaves_a_dpc, "that is still queued"),
        (leaves_a_call, "in flight: WskReceiveFrom"),
    ] {
        expect_when_unloaded(UNLOADED, entry)
            .tells("the driver forgetful was unloaded")
            .tells(told);
    }
}

#[test]
fn what_others_have_is_no_leak_of_a_driver() {
    let kernel = Kernel::boot();
    let own = pool(8);
    let other = kernel.driver("other").load(leaves_nothing).unwrap();
    kernel
        .driver("first")
        .load(leaves_nothing)
        .unwrap()
        .unload();
    other.unload();
    // SAFETY: the block is used by nobody.
    unsafe { ExFreePoolWithTag(own, TAG) };
    kernel.shutdown();
}
