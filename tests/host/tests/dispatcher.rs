//! Events, waits, timers, deferred procedure calls, threads: the dispatcher, from raw code.

#![allow(
    clippy::pedantic,
    clippy::field_reassign_with_default,
    clippy::type_complexity,
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc,
    reason = "raw driver code, as a test"
)]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use driver::TAG;
use wsk_host::{DISPATCH_LEVEL, Kernel, RegistryValue, at_irql, current_irql};
use wsk_sys::*;

/// An event on the heap that threads share.
#[derive(Clone, Copy)]
struct Event(*mut KEVENT);

unsafe impl Send for Event {}
unsafe impl Sync for Event {}

impl Event {
    fn new(kind: EVENT_TYPE, state: bool) -> Self {
        let event = Box::into_raw(Box::new(KEVENT::default()));
        unsafe { KeInitializeEvent(event, kind, u8::from(state)) };
        Self(event)
    }

    fn set(self) -> i32 {
        unsafe { KeSetEvent(self.0, 0, 0) }
    }

    fn read(self) -> i32 {
        unsafe { KeReadStateEvent(self.0) }
    }

    fn wait(self, timeout: Option<i64>) -> NTSTATUS {
        wait(self.0.cast(), timeout)
    }

    fn free(self) {
        drop(unsafe { Box::from_raw(self.0) });
    }
}

fn wait(object: *mut c_void, timeout: Option<i64>) -> NTSTATUS {
    let mut timeout = timeout.map(|timeout| LARGE_INTEGER { QuadPart: timeout });
    let timeout = timeout
        .as_mut()
        .map_or(ptr::null_mut(), |timeout| &raw mut *timeout);
    unsafe { KeWaitForSingleObject(object, KWAIT_REASON::Executive, 0, 0, timeout) }
}

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
        assert_eq!(unsafe { KeResetEvent(event.0) }, after_wait);
        event.set();
        unsafe { KeClearEvent(event.0) };
        assert_eq!(event.read(), 0);
        event.free();
        let event = Event::new(kind, true);
        assert_eq!(
            at_irql(DISPATCH_LEVEL, || event.wait(Some(0))),
            STATUS_SUCCESS
        );
        event.free();
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
    assert_eq!(
        unsafe { KeDelayExecutionThread(0, 0, &mut LARGE_INTEGER { QuadPart: -300_000 }) },
        STATUS_SUCCESS
    );
    assert!(started.elapsed() >= Duration::from_millis(30));
    event.free();
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
                    assert_eq!({ go }.wait(None), STATUS_SUCCESS);
                    passed.fetch_add(1, Ordering::SeqCst);
                    { gone }.set();
                }
            });
        }
        for round in 1..=THREADS * ROUNDS {
            assert_eq!(go.set(), 0);
            assert_eq!(gone.wait(None), STATUS_SUCCESS);
            assert_eq!(passed.load(Ordering::SeqCst), round);
        }
    });
    go.free();
    gone.free();
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
                assert_eq!({ event }.wait(None), STATUS_SUCCESS);
                passed.fetch_add(1, Ordering::SeqCst);
            });
        }
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(passed.load(Ordering::SeqCst), 0);
        event.set();
    });
    assert_eq!(passed.load(Ordering::SeqCst), 8);
    event.free();
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
            unsafe {
                let memory =
                    ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, size_of::<KEVENT>(), TAG);
                let event = Event(memory.cast());
                KeInitializeEvent(event.0, EVENT_TYPE::SynchronizationEvent, 0);
                sender.send(event).unwrap();
                assert_eq!(event.wait(None), STATUS_SUCCESS);
                // Freed memory is poisoned, and checked at the end: a late access by KeSetEvent would be seen.
                ExFreePoolWithTag(memory, TAG);
            }
        }
        drop(sender);
    });
    kernel.shutdown();
}

unsafe extern "system" fn deferred(
    _dpc: *mut KDPC,
    context: *mut c_void,
    first: *mut c_void,
    _second: *mut c_void,
) {
    let seen = unsafe { &*context.cast::<[AtomicUsize; 3]>() };
    seen[0].fetch_add(1, Ordering::SeqCst);
    seen[1].store(usize::from(current_irql()), Ordering::SeqCst);
    seen[2].store(first as usize, Ordering::SeqCst);
}

#[test]
fn deferred_procedure_calls() {
    let kernel = Kernel::boot();
    let seen = [const { AtomicUsize::new(0) }; 3];
    let mut dpc = Box::new(KDPC::default());
    unsafe {
        KeInitializeDpc(
            &raw mut *dpc,
            Some(deferred),
            (&raw const seen).cast_mut().cast(),
        );
        assert_eq!(
            KeInsertQueueDpc(
                &raw mut *dpc,
                ptr::without_provenance_mut(42),
                ptr::null_mut()
            ),
            1
        );
        KeFlushQueuedDpcs();
    }
    let seen = seen.each_ref().map(|value| value.load(Ordering::SeqCst));
    assert_eq!(seen, [1, usize::from(DISPATCH_LEVEL), 42]);
    kernel.shutdown();
}

#[test]
fn timers() {
    let kernel = Kernel::boot();
    let seen = [const { AtomicUsize::new(0) }; 3];
    let mut dpc = Box::new(KDPC::default());
    let mut timer = Box::new(KTIMER::default());
    let soon = LARGE_INTEGER { QuadPart: -200_000 };
    let late = LARGE_INTEGER {
        QuadPart: -36_000_000_000,
    };
    unsafe {
        let (timer, dpc): (*mut KTIMER, *mut KDPC) = (&raw mut *timer, &raw mut *dpc);
        KeInitializeDpc(dpc, Some(deferred), (&raw const seen).cast_mut().cast());
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
    unsafe { &*context.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "system" fn counts_and_ends(context: *mut c_void) {
    unsafe {
        counts(context);
        let _ = PsTerminateSystemThread(STATUS_SUCCESS);
    }
    unreachable!("the thread has ended");
}

#[test]
fn system_threads() {
    let kernel = Kernel::boot();
    let count = AtomicUsize::new(0);
    for routine in [counts, counts_and_ends] {
        unsafe {
            let mut handle = ptr::null_mut();
            let none = ptr::null_mut::<c_void>();
            let context = (&raw const count).cast_mut().cast();
            let status = PsCreateSystemThread(
                &raw mut handle,
                0,
                none.cast(),
                none,
                none.cast(),
                Some(routine),
                context,
            );
            assert_eq!(status, STATUS_SUCCESS);
            let mut thread = ptr::null_mut();
            assert_eq!(
                ObReferenceObjectByHandle(
                    handle,
                    0,
                    ptr::null_mut(),
                    0,
                    &raw mut thread,
                    ptr::null_mut()
                ),
                STATUS_SUCCESS
            );
            assert_eq!(ZwClose(handle), STATUS_SUCCESS);
            assert_eq!(ZwClose(handle), STATUS_INVALID_HANDLE);
            assert_eq!(wait(thread, None), STATUS_SUCCESS);
            assert_eq!(wait(thread, None), STATUS_SUCCESS, "it stays signalled");
            ObfDereferenceObject(thread);
        }
    }
    assert_eq!(count.load(Ordering::SeqCst), 2);
    kernel.shutdown();
}

#[test]
fn spin_locks_exclude() {
    let kernel = Kernel::boot();
    let lock = AtomicUsize::new(0);
    let mut value = 0_u64;
    let shared = (
        lock.as_ptr().expose_provenance(),
        (&raw mut value).expose_provenance(),
    );
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let lock = ptr::with_exposed_provenance_mut::<usize>(shared.0);
                let value = ptr::with_exposed_provenance_mut::<u64>(shared.1);
                for _ in 0..5_000 {
                    unsafe {
                        let level = KeAcquireSpinLockRaiseToDpc(lock);
                        assert_eq!(current_irql(), DISPATCH_LEVEL);
                        *value += 1;
                        KeReleaseSpinLock(lock, level);
                        assert_eq!(current_irql(), 0);
                    }
                }
            });
        }
    });
    assert_eq!(value, 20_000);
    kernel.shutdown();
}

fn unicode(text: &str) -> (Vec<u16>, UNICODE_STRING) {
    let wide: Vec<u16> = text.encode_utf16().chain([0]).collect();
    let mut string = UNICODE_STRING::default();
    unsafe { RtlInitUnicodeString(&raw mut string, wide.as_ptr()) };
    (wide, string)
}

#[test]
fn the_system_tells_about_itself() {
    let kernel = Kernel::builder().windows(10, 0, 14393).boot();
    let mut version = OSVERSIONINFOW::default();
    unsafe {
        assert_eq!(RtlGetVersion(&raw mut version), STATUS_SUCCESS);
        assert_eq!(
            (
                version.dwMajorVersion,
                version.dwMinorVersion,
                version.dwBuildNumber
            ),
            (10, 0, 14393)
        );
        let before = KeQueryUnbiasedInterruptTime();
        std::thread::sleep(Duration::from_millis(2));
        let after = KeQueryUnbiasedInterruptTime();
        assert!(after - before >= 20_000);
        let mut number = PROCESSOR_NUMBER::default();
        assert_eq!(
            KeGetCurrentProcessorNumberEx(&raw mut number),
            u32::from(number.Number)
        );
        DbgPrint(c"%s\n".as_ptr(), c"hello".as_ptr());
        DbgPrintEx(77, 0, c"%d\n".as_ptr(), 1_i32);
        let (wide, string) = unicode("abc");
        assert_eq!((string.Length, string.MaximumLength), (6, 8));
        assert_eq!(string.Buffer.cast_const(), wide.as_ptr());
    }
    kernel.shutdown();
}

#[test]
fn the_registry() {
    let kernel = Kernel::boot();
    let key = r"\Registry\Machine\System\Parameters";
    kernel.set_registry_value(key, "Port", RegistryValue::Dword(9000));
    kernel.set_registry_value(key, "Name", RegistryValue::String("x".into()));
    let open = |path: &str| unsafe {
        let (_wide, mut name) = unicode(path);
        let mut attributes = OBJECT_ATTRIBUTES {
            ObjectName: &raw mut name,
            ..Default::default()
        };
        let mut handle = ptr::null_mut();
        (
            ZwOpenKey(&raw mut handle, KEY_READ, &raw mut attributes),
            handle,
        )
    };
    assert_eq!(
        open(r"\Registry\Machine\Nothing").0,
        STATUS_OBJECT_NAME_NOT_FOUND
    );
    let (status, handle) = open(&key.to_uppercase());
    assert_eq!(status, STATUS_SUCCESS);
    let query = |name: &str, room: u32| unsafe {
        let (_wide, mut name) = unicode(name);
        let mut out = [0_u32; 8];
        let mut length = 0;
        let class = KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation;
        let status = ZwQueryValueKey(
            handle,
            &raw mut name,
            class,
            out.as_mut_ptr().cast(),
            room,
            &raw mut length,
        );
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
    assert_eq!(unsafe { ZwClose(handle) }, STATUS_SUCCESS);
    kernel.shutdown();
}
