//! Events, waits, timers, deferred procedure calls, threads: the dispatcher, from raw code.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use driver::*;
use wsk_host::{DISPATCH_LEVEL, Kernel, RegistryValue, at_irql, current_irql};
use wsk_sys::*;

#[test]
fn states() {
    let kernel = Kernel::boot();
    for (kind, after_wait) in [
        (EVENT_TYPE::NotificationEvent, 1),
        (EVENT_TYPE::SynchronizationEvent, 0),
    ] {
        let event = Event::new(kind, false);
        assert_eq!(event.read(), 0);
        assert_eq!(event.wait(Some(0)), STATUS_TIMEOUT);
        assert_eq!(event.set(), 0);
        assert_eq!(event.set(), 1);
        assert_eq!(event.wait(None), STATUS_SUCCESS);
        assert_eq!(event.read(), after_wait);
        assert_eq!(event.reset(), after_wait);
        event.set();
        event.clear();
        assert_eq!(event.read(), 0);
        let event = Event::new(kind, true);
        assert_eq!(
            at_irql(DISPATCH_LEVEL, || event.wait(Some(0))),
            STATUS_SUCCESS
        );
    }
    kernel.shutdown();
}

#[test]
fn timeouts() {
    let kernel = Kernel::boot();
    let event = Event::new(EVENT_TYPE::SynchronizationEvent, false);
    let started = Instant::now();
    assert_eq!(event.wait(Some(-500_000)), STATUS_TIMEOUT);
    assert!(started.elapsed() >= Duration::from_millis(50));
    // Absolute times long past are over at once.
    assert_eq!(event.wait(Some(1)), STATUS_TIMEOUT);
    let started = Instant::now();
    // SAFETY: the time lives until the call returns.
    let delayed =
        unsafe { KeDelayExecutionThread(0, 0, &mut LARGE_INTEGER { QuadPart: -300_000 }) };
    assert_eq!(delayed, STATUS_SUCCESS);
    assert!(started.elapsed() >= Duration::from_millis(30));
    kernel.shutdown();
}

#[test]
fn a_synchronization_event_lets_one_thread_through() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 2_000;
    let kernel = Kernel::boot();
    let (go, gone) = (
        Event::new(EVENT_TYPE::SynchronizationEvent, false),
        Event::new(EVENT_TYPE::SynchronizationEvent, false),
    );
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    assert_eq!(go.wait(None), STATUS_SUCCESS);
                    passed.fetch_add(1, Ordering::SeqCst);
                    gone.set();
                }
            });
        }
        for round in 1..=THREADS * ROUNDS {
            assert_eq!(go.set(), 0);
            assert_eq!(gone.wait(None), STATUS_SUCCESS);
            assert_eq!(passed.load(Ordering::SeqCst), round);
        }
    });
    kernel.shutdown();
}

#[test]
fn a_notification_event_lets_all_threads_through() {
    let kernel = Kernel::boot();
    let event = Event::new(EVENT_TYPE::NotificationEvent, false);
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(event.wait(None), STATUS_SUCCESS);
                passed.fetch_add(1, Ordering::SeqCst);
            });
        }
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(passed.load(Ordering::SeqCst), 0);
        event.set();
    });
    assert_eq!(passed.load(Ordering::SeqCst), 8);
    kernel.shutdown();
}

#[test]
fn an_event_may_be_freed_as_soon_as_the_wait_is_over() {
    let kernel = Kernel::builder().backtraces(false).boot();
    std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel::<Event>();
        scope.spawn(move || {
            for event in receiver {
                event.set();
            }
        });
        for _ in 0..5_000 {
            let memory = pool(size_of::<KEVENT>());
            // SAFETY: the block has room for an event. It is freed when the wait for the one call of `set` is over:
            // that the kernel doesn't touch the event any more then is what is tested here.
            let event = unsafe {
                KeInitializeEvent(memory.cast(), EVENT_TYPE::SynchronizationEvent, 0);
                Event::at(memory.cast())
            };
            sender.send(event).unwrap();
            assert_eq!(event.wait(None), STATUS_SUCCESS);
            // SAFETY: nobody uses the event any more. Freed memory is poisoned, and checked at the end: a late access
            // by KeSetEvent would be seen.
            unsafe { ExFreePoolWithTag(memory, TAG) };
        }
        drop(sender);
    });
    kernel.shutdown();
}

/// How often a DPC was called, at which IRQL, and with which argument.
type Seen = [AtomicUsize; 3];

/// A DPC that tells what it has seen. Both are leaked: it may be late.
fn deferred_call() -> (*mut KDPC, &'static Seen) {
    let seen: &'static Seen = Box::leak(Box::default());
    let dpc = Box::into_raw(Box::new(KDPC::default()));
    // SAFETY: the memory is that of a DPC, and its routine takes its context for this type.
    unsafe { KeInitializeDpc(dpc, Some(deferred), ptr::from_ref(seen).cast_mut().cast()) };
    (dpc, seen)
}

unsafe extern "system" fn deferred(
    _dpc: *mut KDPC,
    context: *mut c_void,
    first: *mut c_void,
    _second: *mut c_void,
) {
    // SAFETY: the context of every DPC here.
    let seen = unsafe { &*context.cast::<Seen>() };
    seen[0].fetch_add(1, Ordering::SeqCst);
    seen[1].store(usize::from(current_irql()), Ordering::SeqCst);
    seen[2].store(first.addr(), Ordering::SeqCst);
}

#[test]
fn deferred_procedure_calls() {
    let kernel = Kernel::boot();
    let (dpc, seen) = deferred_call();
    // SAFETY: the DPC is initialised, and never freed.
    unsafe {
        let first = ptr::without_provenance_mut(42);
        assert_eq!(KeInsertQueueDpc(dpc, first, ptr::null_mut()), 1);
        KeFlushQueuedDpcs();
    }
    let seen = seen.each_ref().map(|value| value.load(Ordering::SeqCst));
    assert_eq!(seen, [1, usize::from(DISPATCH_LEVEL), 42]);
    kernel.shutdown();
}

#[test]
fn timers() {
    let kernel = Kernel::boot();
    let (dpc, seen) = deferred_call();
    let timer: *mut KTIMER = Box::leak(Box::default());
    let soon = LARGE_INTEGER { QuadPart: -200_000 };
    let late = LARGE_INTEGER {
        QuadPart: -36_000_000_000,
    };
    // SAFETY: the timer is initialised before anything else is done with it; neither it nor the DPC is ever freed.
    unsafe {
        KeInitializeTimerEx(timer, TIMER_TYPE::NotificationTimer);
        assert_eq!(KeSetTimer(timer, late, dpc), 0);
        let started = Instant::now();
        assert_eq!(KeSetTimer(timer, soon, dpc), 1, "it was set");
        assert_eq!(wait(timer.cast(), Some(-100_000_000)), STATUS_SUCCESS);
        assert!(started.elapsed() >= Duration::from_millis(20));
        KeFlushQueuedDpcs();
        assert_eq!(seen[0].load(Ordering::SeqCst), 1);
        assert_eq!(KeSetTimer(timer, late, ptr::null_mut()), 0);
        assert_eq!(KeCancelTimer(timer), 1);
        assert_eq!(KeCancelTimer(timer), 0);
        assert_eq!(wait(timer.cast(), Some(0)), STATUS_TIMEOUT);
    }
    kernel.shutdown();
}

unsafe extern "system" fn counts(context: *mut c_void) {
    // SAFETY: the context of every thread here.
    unsafe { &*context.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "system" fn counts_and_ends(context: *mut c_void) {
    // SAFETY: the context is the one for `counts`. The thread has nothing to drop.
    unsafe {
        counts(context);
        let _ = PsTerminateSystemThread(STATUS_SUCCESS);
    }
    unreachable!("the thread has ended");
}

#[test]
fn system_threads() {
    let kernel = Kernel::boot();
    let count: &'static AtomicUsize = Box::leak(Box::default());
    for routine in [counts, counts_and_ends] {
        let context = ptr::from_ref(count).cast_mut().cast();
        let mut thread = ptr::null_mut();
        // SAFETY: the routines take their context for this type, and it is never freed.
        let handle = unsafe { start_thread(routine, context) };
        // SAFETY: the place lives until the call returns; the kernel knows which handles are open.
        let status = unsafe {
            ObReferenceObjectByHandle(
                handle,
                0,
                ptr::null_mut(),
                0,
                &raw mut thread,
                ptr::null_mut(),
            )
        };
        assert_eq!(status, STATUS_SUCCESS);
        assert_eq!(close_handle(handle), STATUS_SUCCESS);
        // SAFETY: the reference keeps the thread, and is given back last.
        unsafe {
            assert_eq!(wait(thread, None), STATUS_SUCCESS);
            assert_eq!(wait(thread, None), STATUS_SUCCESS, "it stays signalled");
            ObfDereferenceObject(thread);
        }
    }
    assert_eq!(count.load(Ordering::SeqCst), 2);
    assert_eq!(close_handle(ptr::null_mut()), STATUS_INVALID_HANDLE);
    kernel.shutdown();
}

unsafe extern "system" {
    /// `headers/ntifs.h` declares it, for drivers in C alone.
    fn ZwWaitForSingleObject(
        handle: *mut c_void,
        alertable: u8,
        timeout: *mut LARGE_INTEGER,
    ) -> NTSTATUS;
}

unsafe extern "system" fn waits(event: *mut c_void) {
    // SAFETY: the context of every thread here.
    let _ = unsafe { wait(event, None) };
}

#[test]
fn a_thread_is_waited_for_by_its_handle() {
    let kernel = Kernel::boot();
    let event = Event::new(EVENT_TYPE::NotificationEvent, false);
    // SAFETY: the routine takes an event, which is never freed.
    let handle = unsafe { start_thread(waits, event.raw()) };
    let wait = |handle, timeout: Option<i64>| {
        let mut timeout = timeout.map(|timeout| LARGE_INTEGER { QuadPart: timeout });
        let timeout = timeout.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        // SAFETY: the time lives until the call returns; the kernel knows which handles are open.
        unsafe { ZwWaitForSingleObject(handle, 0, timeout) }
    };
    assert_eq!(wait(handle, Some(0)), STATUS_TIMEOUT);
    event.set();
    assert_eq!(wait(handle, None), STATUS_SUCCESS);
    assert_eq!(close_handle(handle), STATUS_SUCCESS);
    assert_eq!(wait(handle, None), STATUS_INVALID_HANDLE);
    kernel.shutdown();
}

/// # Invariants
///
/// The lock is used as a spin lock only, and the value by who has it.
struct Locked {
    lock: AtomicUsize,
    value: UnsafeCell<u64>,
}

// SAFETY: by the invariant, one thread at a time uses the value.
unsafe impl Sync for Locked {}

impl Locked {
    fn add_one(&self) {
        // SAFETY: the lock is there, and this thread has it while it uses the value.
        unsafe {
            let level = KeAcquireSpinLockRaiseToDpc(self.lock.as_ptr());
            assert_eq!(current_irql(), DISPATCH_LEVEL);
            *self.value.get() += 1;
            KeReleaseSpinLock(self.lock.as_ptr(), level);
            assert_eq!(current_irql(), 0);
        }
    }
}

#[test]
fn spin_locks_exclude() {
    let kernel = Kernel::boot();
    let locked = Locked {
        lock: AtomicUsize::new(0),
        value: UnsafeCell::new(0),
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    locked.add_one();
                }
            });
        }
    });
    let value = locked.value.into_inner();
    assert_eq!(value, 20_000);
    kernel.shutdown();
}

fn unicode(text: &str) -> (Vec<u16>, UNICODE_STRING) {
    let wide: Vec<u16> = text.encode_utf16().chain([0]).collect();
    let mut string = UNICODE_STRING::default();
    // SAFETY: the text ends with a zero.
    unsafe { RtlInitUnicodeString(&raw mut string, wide.as_ptr()) };
    (wide, string)
}

#[test]
fn the_system_tells_about_itself() {
    let kernel = Kernel::builder().windows(10, 0, 14393).boot();
    let mut version = OSVERSIONINFOW::default();
    // SAFETY: the place lives until the call returns.
    let status = unsafe { RtlGetVersion(&raw mut version) };
    assert_eq!(status, STATUS_SUCCESS);
    assert_eq!(
        (
            version.dwMajorVersion,
            version.dwMinorVersion,
            version.dwBuildNumber
        ),
        (10, 0, 14393)
    );
    // SAFETY: nothing is asked of the caller.
    let now = || unsafe { KeQueryUnbiasedInterruptTime() };
    let before = now();
    std::thread::sleep(Duration::from_millis(2));
    assert!(now() - before >= 20_000);
    let mut number = PROCESSOR_NUMBER::default();
    // SAFETY: the place lives until the call returns.
    let index = unsafe { KeGetCurrentProcessorNumberEx(&raw mut number) };
    assert_eq!(index, u32::from(number.Number));
    // SAFETY: the arguments are what the formats ask for.
    unsafe {
        DbgPrint(c"%s\n".as_ptr().cast(), c"hello".as_ptr());
        DbgPrintEx(77, 0, c"%d\n".as_ptr().cast(), 1_i32);
    }
    let (wide, string) = unicode("abc");
    assert_eq!((string.Length, string.MaximumLength), (6, 8));
    assert_eq!(string.Buffer.cast_const(), wide.as_ptr());
    kernel.shutdown();
}

#[test]
fn the_registry() {
    let kernel = Kernel::boot();
    let key = r"\Registry\Machine\System\Parameters";
    kernel.set_registry_value(key, "Port", RegistryValue::Dword(9000));
    kernel.set_registry_value(key, "Name", RegistryValue::String("x".into()));
    let open = |path: &str| {
        let (_wide, mut name) = unicode(path);
        let mut attributes = OBJECT_ATTRIBUTES {
            ObjectName: &raw mut name,
            ..Default::default()
        };
        let mut handle = ptr::null_mut();
        // SAFETY: the place, the attributes and the name live until the call returns.
        let status = unsafe { ZwOpenKey(&raw mut handle, KEY_READ, &raw mut attributes) };
        (status, handle)
    };
    assert_eq!(
        open(r"\Registry\Machine\Nothing").0,
        STATUS_OBJECT_NAME_NOT_FOUND
    );
    let (status, handle) = open(&key.to_uppercase());
    assert_eq!(status, STATUS_SUCCESS);
    let query = |name: &str, room: u32| {
        let (_wide, mut name) = unicode(name);
        let mut out = [0_u32; 8];
        assert!(room as usize <= size_of_val(&out));
        let mut length = 0;
        let class = KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation;
        // SAFETY: the handle is open; the name and the places live until the call returns, and have as much room.
        let status = unsafe {
            ZwQueryValueKey(
                handle,
                &raw mut name,
                class,
                out.as_mut_ptr().cast(),
                room,
                &raw mut length,
            )
        };
        (status, length, out)
    };
    let (status, length, out) = query("port", 32);
    assert_eq!(
        (status, length, &out[..4]),
        (STATUS_SUCCESS, 16, &[0, REG_DWORD, 4, 9000][..])
    );
    let (status, length, out) = query("name", 32);
    assert_eq!(
        (status, length, &out[1..4]),
        (STATUS_SUCCESS, 16, &[REG_SZ, 4, u32::from(b'x')][..])
    );
    assert_eq!(query("port", 4).0, STATUS_BUFFER_TOO_SMALL);
    assert_eq!(query("port", 14).0, STATUS_BUFFER_OVERFLOW);
    assert_eq!(query("other", 32).0, STATUS_OBJECT_NAME_NOT_FOUND);
    assert_eq!(close_handle(handle), STATUS_SUCCESS);
    kernel.shutdown();
}
