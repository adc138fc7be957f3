//! A small kernel in Rust, with a WSK provider that has no network: what `wsk` imports, so that its code can run where nothing but
//! Rust can, under Miri. Stands for the parts of `ntoskrnl.exe` and `netio.sys` that the crate calls.
//!
//! It judges nothing by itself: Miri does. What it points at it points at with the pointers that it was given, it makes no reference
//! to any of it, and what it gives is memory that goes when the documentation says so.
//!
//! ```
//! let kernel = wsk_miri::Kernel::boot(wsk_miri::Manner::Inline);
//! // What uses `wsk` goes here.
//! kernel.shutdown();
//! ```

#![allow(non_snake_case)]

mod dispatcher;
mod irp;
mod mdl;
mod pool;
mod provider;
mod timer;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use dispatcher::raised;
pub use provider::Manner;

/// A kernel that has started. One at a time: others wait until it is shut down.
#[derive(Debug)]
pub struct Kernel {
    _alone: MutexGuard<'static, ()>,
}

static BOOTED: Mutex<()> = Mutex::new(());

impl Kernel {
    /// Starts a kernel whose provider ends requests in this manner.
    #[must_use]
    pub fn boot(manner: Manner) -> Self {
        let alone = lock(&BOOTED);
        provider::boot(manner);
        Self { _alone: alone }
    }

    /// Changes the manner for the requests that come.
    pub fn set_manner(&self, manner: Manner) {
        provider::set_manner(manner);
    }

    /// Goes on with the requests that are [held](Manner::Held); how many there were.
    #[must_use]
    pub fn release(&self) -> usize {
        provider::release()
    }

    /// Completes, after all, the requests that were [kept](Manner::Kept) though they were refused; how many there were.
    #[must_use]
    pub fn complete_kept(&self) -> usize {
        provider::complete_kept()
    }

    /// Waits for every thread of the kernel, which shuts down.
    ///
    /// # Panics
    ///
    /// When something is left: memory, sockets, registrations.
    pub fn shutdown(self) {
        self.shutdown_with(0);
    }

    /// Leaves the kernel as it is, whatever is left, when its threads have ended.
    pub fn leave(self) {
        provider::leave();
        pool::clear();
    }

    /// As [`shutdown`](Self::shutdown), where so many blocks of pool are left behind on purpose.
    ///
    /// # Panics
    ///
    /// When there are more, or less, and when anything else is left.
    pub fn shutdown_with(self, blocks: usize) {
        provider::shutdown();
        timer::shutdown();
        assert_eq!(pool::clear(), blocks, "blocks of pool are left");
    }
}

/// How many times faster the kernel's time runs than the clock. Waiting costs Miri nothing; without Miri, these tests do nothing else.
const SPEED: u32 = if cfg!(miri) { 1 } else { 16 };

/// Sleeps, by the kernel's time.
pub fn sleep(time: Duration) {
    std::thread::sleep(time / SPEED);
}

/// The moment when so much of the kernel's time will have passed; `None` for never.
fn after(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time / SPEED)
}

/// Takes a lock, whether or not a test has failed meanwhile.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
