//! The host kernel as a shared object of its own, like `ntoskrnl.exe` and `netio.sys`. It is booted with a provider that only
//! completes each IRP, at once or in deferred procedure calls.

use std::sync::Mutex;

use wsk_host::{Completion, Counts, Kernel};

static KERNEL: Mutex<Option<Kernel>> = Mutex::new(None);

fn counts() -> Option<Counts> {
    Some(KERNEL.lock().ok()?.as_ref()?.counts())
}

/// Boots the kernel.
#[unsafe(no_mangle)]
pub extern "C" fn wsk_cost_boot(deferred: bool) {
    let completion = if deferred {
        Completion::Deferred
    } else {
        Completion::Inline
    };
    let kernel = Kernel::builder()
        .null_provider()
        .completion(completion)
        .backtraces(false)
        .special_pool(false)
        .boot();
    if let Ok(mut place) = KERNEL.lock() {
        *place = Some(kernel);
    }
}

/// Waits until no IRP is in flight.
#[unsafe(no_mangle)]
pub extern "C" fn wsk_cost_settle() {
    while counts().is_some_and(|counts| counts.in_flight > 0) {
        std::thread::yield_now();
    }
}

/// The number of allocations of pool, IRPs and MDLs since the kernel was booted.
#[unsafe(no_mangle)]
pub extern "C" fn wsk_cost_allocations() -> u64 {
    counts().map_or(u64::MAX, |counts| counts.allocations())
}

/// Shuts the kernel down. Returns whether nothing was left behind.
#[unsafe(no_mangle)]
pub extern "C" fn wsk_cost_shutdown() -> bool {
    let kernel = KERNEL.lock().ok().and_then(|mut kernel| kernel.take());
    match kernel.map(Kernel::finish) {
        Some(Err(leaks)) => {
            eprintln!("{leaks}");
            false
        }
        Some(Ok(())) => true,
        None => false,
    }
}
