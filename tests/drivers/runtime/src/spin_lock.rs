//! A spin lock around what it protects. Stands for `KSPIN_LOCK` and the comment in drivers in C that says what it is for.

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
/// The value is touched with the lock taken only.
#[derive(Default)]
pub struct SpinLock<T> {
    lock: UnsafeCell<usize>,
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time has the value, by the invariant; none has a reference of another.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A lock that nobody has.
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
        // SAFETY: the lock is one, and stays where it is while it is borrowed.
        let irql = unsafe { KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        let _taken = Taken {
            lock: &self.lock,
            irql,
        };
        // SAFETY: the lock is taken, until after the last use.
        f(unsafe { &mut *self.value.get() })
    }
}

impl<T> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock").finish_non_exhaustive()
    }
}

/// A lock that was taken. Gives it back when it is dropped, where a test unwinds too.
struct Taken<'l> {
    lock: &'l UnsafeCell<usize>,
    irql: u8,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // SAFETY: it was taken by this thread, at the IRQL that this goes back to.
        unsafe { KeReleaseSpinLock(self.lock.get(), self.irql) };
    }
}
