//! Whatever senseless arguments a driver gives, the host kernel answers with a status or with a report: it never crashes, panics or hangs.

#![allow(missing_docs)]
#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

#[path = "../src/testing/child.rs"]
mod child;
mod driver;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use child::Ended;
use driver::{Client, pool};
use wsk_host::Kernel;
use wsk_sys::AF_INET;

/// Names the function that a run of this program calls, and the arguments.
const VARIABLE: &str = "WSK_HOST_SENSELESS";

/// The time limit of a run.
const PATIENCE: Duration = Duration::from_secs(60);
/// In place of a function: a run that does not end.
const HANGS: &str = "hangs";

/// As many machine words as the longest parameter list has, and more: a function does not look at what it does not take.
type Function = extern "C" fn(
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
) -> usize;

/// Where no memory is, and nothing fits behind it.
const NOWHERE: usize = usize::MAX - 15;

macro_rules! table {
    ($($name:ident)*) => { [$((stringify!($name), wsk_sys::$name as *const () as usize)),*] };
}

/// Every function that `wsk-sys` declares, but those with a variable number of arguments.
#[rustfmt::skip]
fn exported() -> Vec<(&'static str, usize)> {
    table! {
        KeQueryPerformanceCounter NmrClientAttachProvider NmrClientDetachProviderComplete NmrDeregisterClient NmrDeregisterProvider
        NmrProviderDetachClientComplete NmrRegisterClient NmrRegisterProvider NmrWaitForClientDeregisterComplete
        NmrWaitForProviderDeregisterComplete WskCaptureProviderNPI WskDeregister WskQueryProviderCharacteristics WskRegister
        WskReleaseProviderNPI ExAcquireFastMutex ExAcquirePushLockExclusiveEx ExAcquirePushLockSharedEx ExAcquireRundownProtection
        ExAcquireSpinLockExclusive ExAcquireSpinLockExclusiveAtDpcLevel ExAcquireSpinLockShared ExAcquireSpinLockSharedAtDpcLevel
        ExAllocatePool ExAllocatePool2 ExAllocatePoolWithTag ExDeleteLookasideListEx ExDeleteNPagedLookasideList
        ExDeletePagedLookasideList ExFlushLookasideListEx ExFreePool ExFreePoolWithTag ExInitializeLookasideListEx
        ExInitializeNPagedLookasideList ExInitializePagedLookasideList ExInitializePushLock ExInitializeRundownProtection
        ExQueryDepthSList ExRaiseAccessViolation ExRaiseDatatypeMisalignment ExRaiseStatus ExReInitializeRundownProtection
        ExReleaseFastMutex ExReleasePushLockExclusiveEx ExReleasePushLockSharedEx ExReleaseRundownProtection
        ExReleaseSpinLockExclusive ExReleaseSpinLockExclusiveFromDpcLevel ExReleaseSpinLockShared ExReleaseSpinLockSharedFromDpcLevel
        ExRundownCompleted ExTryConvertSharedSpinLockExclusive ExTryToAcquireFastMutex ExWaitForRundownProtectionRelease
        ExpInterlockedFlushSList ExpInterlockedPopEntrySList ExpInterlockedPushEntrySList FirstEntrySList InitializeSListHead
        IoAcquireCancelSpinLock IoAllocateIrp IoAllocateMdl IoBuildPartialMdl IoCancelIrp IoCleanupIrp IoCreateDevice
        IoCreateSymbolicLink IoDeleteDevice IoDeleteSymbolicLink IoFreeIrp IoFreeMdl IoInitializeIrp IoReleaseCancelSpinLock
        IoReuseIrp IofCallDriver IofCompleteRequest KeAcquireSpinLockAtDpcLevel KeAcquireSpinLockRaiseToDpc KeBugCheckEx KeCancelTimer
        KeClearEvent KeDelayExecutionThread KeEnterCriticalRegion KeFlushQueuedDpcs KeGetCurrentIrql KeGetCurrentProcessorNumberEx
        KeInitializeDpc KeInitializeEvent KeInitializeTimerEx KeInsertQueueDpc KeLeaveCriticalRegion KeLowerIrql
        KeQuerySystemTimePrecise KeQueryUnbiasedInterruptTime KeReadStateEvent KeReleaseSpinLock KeReleaseSpinLockFromDpcLevel
        KeResetEvent KeSetEvent KeSetTimer KeWaitForMultipleObjects KeWaitForSingleObject KfRaiseIrql MmBuildMdlForNonPagedPool
        MmMapLockedPagesSpecifyCache MmProbeAndLockPages MmSizeOfMdl MmUnlockPages MmUnmapLockedPages ObReferenceObjectByHandle
        ObfDereferenceObject ObfReferenceObject ProbeForRead ProbeForWrite PsCreateSystemThread PsTerminateSystemThread
        RtlAnsiStringToUnicodeString RtlCopyUnicodeString RtlDeleteElementGenericTableAvl RtlEnumerateGenericTableAvl
        RtlFreeAnsiString RtlFreeUnicodeString RtlGetElementGenericTableAvl RtlGetVersion RtlInitAnsiString RtlInitAnsiStringEx
        RtlInitString RtlInitUnicodeString RtlInitUnicodeStringEx RtlInitializeGenericTableAvl RtlInsertElementGenericTableAvl
        RtlIpv4AddressToStringA RtlIpv4AddressToStringExA RtlIpv4AddressToStringExW RtlIpv4AddressToStringW RtlIpv4StringToAddressA
        RtlIpv4StringToAddressExA RtlIpv4StringToAddressExW RtlIpv4StringToAddressW RtlIpv6AddressToStringA RtlIpv6AddressToStringExA
        RtlIpv6AddressToStringExW RtlIpv6AddressToStringW RtlIpv6StringToAddressA RtlIpv6StringToAddressExA RtlIpv6StringToAddressExW
        RtlIpv6StringToAddressW RtlIsGenericTableEmptyAvl RtlLookupElementGenericTableAvl RtlNumberGenericTableElementsAvl
        RtlRunOnceBeginInitialize RtlRunOnceComplete RtlRunOnceExecuteOnce RtlRunOnceInitialize RtlUTF8ToUnicodeN
        RtlUnicodeStringToAnsiString ZwClose ZwOpenKey ZwQueryValueKey
    }
    .to_vec()
}

/// A function to call: its name, its address, and a first argument that makes sense, if there is one.
type Entry = (String, usize, Option<usize>);

/// The functions in the tables of the provider and of sockets of each category.
fn dispatched(client: &Client) -> Vec<Entry> {
    fn entries<T>(of: &str, table: &T, first: usize) -> Vec<Entry> {
        let words = size_of::<T>() / size_of::<usize>();
        // SAFETY: a dispatch table has pointers to functions, and at most a version before them.
        let words =
            unsafe { std::slice::from_raw_parts((&raw const *table).cast::<usize>(), words) };
        let functions = words.iter().enumerate().filter(|(_, word)| **word > 0xFFFF);
        functions
            .map(|(index, word)| (format!("{of} {index}"), *word, Some(first)))
            .collect()
    }
    let datagram = client.bound("127.0.0.1:0");
    let connection = client.bound_connection("127.0.0.1:0");
    let listener = client.listening("127.0.0.1:0");
    let stream = client.stream(AF_INET);
    let tables = [
        entries("provider", client.table(), client.client() as usize),
        entries("datagram", datagram.table(), datagram.raw() as usize),
        entries("connection", connection.table(), connection.raw() as usize),
        entries("listen", listener.table(), listener.raw() as usize),
        entries("stream", stream.table(), stream.raw() as usize),
    ];
    tables.concat()
}

/// All functions, in an order that is always the same.
fn all(client: &Client) -> Vec<Entry> {
    let exported = exported().into_iter();
    let mut all: Vec<Entry> = exported
        .map(|(name, function)| (name.to_owned(), function, None))
        .collect();
    all.extend(dispatched(client));
    all
}

/// Calls a function, in a process of its own.
fn call(wanted: &str) {
    if wanted == HANGS {
        loop {
            std::thread::park();
        }
    }
    // Looking functions up for the report takes longer than all else.
    let _kernel = Kernel::builder().backtraces(false).boot();
    let (name, how) = wanted.split_once(':').unwrap();
    // Only functions of a table need sockets.
    let exported = exported().into_iter().find(|(of, _)| *of == name);
    let (function, first) = exported.map_or_else(
        || {
            let mut all = dispatched(&Client::new()).into_iter();
            let (_, function, first) = all.find(|(of, ..)| of == name).unwrap();
            (function, first)
        },
        |(_, function)| (function, None),
    );
    let first = first.unwrap_or_else(|| pool(4096) as usize);
    let (first, others) = match how {
        "null" => (0, 0),
        "nowhere" => (first, NOWHERE),
        other => panic!("{other}"),
    };
    // SAFETY: a function of the kernel, with as many words as it may take and more. It breaks a rule, if it can.
    let function: Function = unsafe { core::mem::transmute(function) };
    let o = others;
    function(first, o, o, o, o, o, o, o, o, o, o, o);
    println!("returned");
    std::process::exit(0);
}

/// What went wrong in such a process, if something did.
fn wrong(test: &str, wanted: &str, limit: Duration) -> Option<String> {
    let Ended {
        status,
        output,
        errors,
    } = child::run(test, VARIABLE, wanted, limit);
    let Some(status) = status else {
        return Some(format!("{wanted} did not end within {limit:?}: {errors}"));
    };
    let returned = output.contains("returned");
    let stopped = errors.trim_start().starts_with("*** STOP");
    (!returned && !stopped).then(|| format!("{wanted}: {status}: {errors}"))
}

#[test]
fn senseless_arguments_are_answered() {
    let test = "senseless_arguments_are_answered";
    if let Ok(wanted) = std::env::var(VARIABLE) {
        call(&wanted);
    }
    let kernel = Kernel::boot();
    let client = Client::new();
    let names: Vec<String> = all(&client).into_iter().map(|(name, ..)| name).collect();
    // What was opened stays open.
    core::mem::forget(kernel);
    assert!(names.len() > 190, "only {names:?} are called");
    // On Windows a process takes long to start: some functions have to do.
    let step = if cfg!(windows) { 16 } else { 1 };
    let names: Vec<String> = names.into_iter().step_by(step).collect();
    let share = names.len().div_ceil(2);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let shares: Vec<_> = names
            .chunks(share)
            .map(|names| {
                scope.spawn(move || {
                    let each = |name: &String| {
                        ["null", "nowhere"]
                            .map(|how| wrong(test, &format!("{name}:{how}"), PATIENCE))
                    };
                    names.iter().flat_map(each).flatten().collect::<Vec<_>>()
                })
            })
            .collect();
        shares
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_call_that_hangs_is_told() {
    if let Ok(wanted) = std::env::var(VARIABLE) {
        call(&wanted);
    }
    let (begin, limit) = (Instant::now(), Duration::from_millis(100));
    let told = wrong("a_call_that_hangs_is_told", HANGS, limit);
    let told = told.expect("a run that does not end is wrong");
    assert!(told.starts_with("hangs did not end within 100ms"), "{told}");
    assert!(begin.elapsed() < PATIENCE, "the run is ended at its limit");
}

#[test]
fn every_declared_function_is_called() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text =
        std::fs::read_to_string(root.join("../../wsk-sys/src/generated/functions.rs")).unwrap();
    let declared = text.split("    pub fn ").skip(1);
    let declared: BTreeSet<&str> = declared
        .filter(|function| !function[..function.find(';').unwrap()].contains("..."))
        .filter_map(|function| function.split('(').next())
        // For Arm alone.
        .filter(|name| *name != "KfLowerIrql")
        .collect();
    let called: BTreeSet<&str> = exported().into_iter().map(|(name, _)| name).collect();
    let missing: Vec<_> = declared.symmetric_difference(&called).collect();
    assert!(
        missing.is_empty(),
        "these are not called, or not declared: {missing:?}"
    );
}
