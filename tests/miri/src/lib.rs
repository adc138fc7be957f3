//! A small kernel in Rust, with a WSK provider that has no network. It has the functions that `wsk` imports, so that the code of
//! `wsk` runs under Miri, which runs Rust only. It replaces the parts of `ntoskrnl.exe` and `netio.sys` that the crate calls.
//!
//! It checks no rules itself, because Miri does. It uses the pointers that it was given, makes no references to the memory behind
//! them, and frees its own memory when the documentation says so.
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

/// A running kernel. There is one at a time: other threads wait until it is shut down.
#[derive(Debug)]
pub struct Kernel {
    _alone: MutexGuard<'static, ()>,
}

static BOOTED: Mutex<()> = Mutex::new(());

impl Kernel {
    /// Starts a kernel whose provider completes requests in this manner.
    #[must_use]
    pub fn boot(manner: Manner) -> Self {
        let alone = lock(&BOOTED);
        provider::boot(manner);
        Self { _alone: alone }
    }

    /// Changes the manner for later requests.
    pub fn set_manner(&self, manner: Manner) {
        provider::set_manner(manner);
    }

    /// Has each call of `WskReceive` take this much longer from now on, after it has dealt with the request.
    pub fn set_length_of_receives(&self, time: Duration) {
        provider::set_length_of_receives(time);
    }

    /// Continues the requests that are [held](Manner::Held). Returns their number.
    #[must_use]
    pub fn release(&self) -> usize {
        provider::release()
    }

    /// Completes the requests that were refused and [kept](Manner::Kept). Returns their number.
    #[must_use]
    pub fn complete_kept(&self) -> usize {
        provider::complete_kept()
    }

    /// Waits for all threads of the kernel, and shuts it down.
    ///
    /// # Panics
    ///
    /// When memory, sockets or registrations are left.
    pub fn shutdown(self) {
        self.shutdown_with(0);
    }

    /// Waits for the kernel's threads, and ignores what is left.
    pub fn leave(self) {
        provider::leave();
        pool::clear();
    }

    /// Like [`shutdown`](Self::shutdown), for tests that leave `blocks` blocks of pool behind on purpose.
    ///
    /// # Panics
    ///
    /// When another number of blocks is left, or anything else.
    pub fn shutdown_with(self, blocks: usize) {
        provider::shutdown();
        timer::shutdown();
        assert_eq!(pool::clear(), blocks, "blocks of pool are left");
    }
}

/// How many times faster than the clock the kernel's time runs. Under Miri waiting costs nothing. Without Miri, the tests would
/// mostly wait.
const SPEED: u32 = if cfg!(miri) { 1 } else { 16 };

/// Sleeps in the kernel's time.
pub fn sleep(time: Duration) {
    std::thread::sleep(time / SPEED);
}

/// The moment at which this much of the kernel's time has passed. `None` for never.
fn after(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time / SPEED)
}

/// Takes a lock, even if a test has failed while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
