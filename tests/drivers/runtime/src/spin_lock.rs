//! A spin lock that contains the value it protects. It replaces `KSPIN_LOCK`, and the comment in C drivers that says what the
//! lock is for.

use core::cell::UnsafeCell;
use core::fmt;

use wsk_sys::{KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock};

/// A value that one thread at a time uses, at `DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// use wsk_driver::SpinLock;
///
/// static PEERS: SpinLock<[u32; 4]> = SpinLock::new([0; 4]);
///
/// PEERS.with(|peers| peers[0] += 1);
/// assert_eq!(PEERS.with(|peers| peers[0]), 1);
/// # kernel.shutdown();
/// ```
///
/// # Invariants
///
/// The value is only touched while the lock is held.
#[derive(Default)]
pub struct SpinLock<T> {
    lock: UnsafeCell<usize>,
    value: UnsafeCell<T>,
}

// SAFETY: by the invariant one thread at a time uses the value, and no reference to it outlives that.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A lock that nobody holds.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Uses the value. IRQL: `<= DISPATCH_LEVEL`; `f` runs at `DISPATCH_LEVEL`, and should be short. It must not take the same lock:
    /// the thread would wait for itself.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the lock is initialised, and stays in place while it is borrowed.
        let irql = unsafe { KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        let _taken = Taken {
            lock: &self.lock,
            irql,
        };
        // SAFETY: the lock is held until after the last use.
        f(unsafe { &mut *self.value.get() })
    }
}

impl<T> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock").finish_non_exhaustive()
    }
}

/// A held lock. Dropping it releases the lock, also when a test unwinds.
struct Taken<'l> {
    lock: &'l UnsafeCell<usize>,
    irql: u8,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread acquired the lock, at the IRQL that is restored here.
        unsafe { KeReleaseSpinLock(self.lock.get(), self.irql) };
    }
}
