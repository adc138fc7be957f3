//! What a driver keeps while it is loaded, in a static: `DriverUnload` is given nothing but the driver object, so this is where
//! sockets and the registration stay between the two. Stands for the global variables of drivers in C.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};

/// A place in a static for what a driver keeps from `DriverEntry` to `DriverUnload`.
///
/// Nothing drops a static: a driver takes its state out and drops it when it is unloaded, at `PASSIVE_LEVEL`. Fields are dropped
/// in the order in which they are declared, so the [`Registration`](crate::Registration) is the last.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// use wsk::{DatagramSocket, DriverState, Error, Family, Registration, Wait};
///
/// struct State {
///     socket: DatagramSocket,
///     registration: Registration,
/// }
///
/// static STATE: DriverState<State> = DriverState::new();
///
/// fn load() -> Result<(), Error> {
///     let registration = Registration::new()?;
///     let provider = registration.capture(Wait::No)?;
///     let socket = DatagramSocket::open(&provider, Family::V4)?;
///     STATE.put(State { socket, registration });
///     Ok(())
/// }
///
/// fn unload() {
///     drop(STATE.take());
/// }
/// # load()?;
/// # unload();
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// With `lock` at `FULL` there is a value. Who changed it to `BUSY` has the value's place alone.
pub struct DriverState<T> {
    lock: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const FULL: u8 = 2;

// SAFETY: the value is never shared, it only moves in and out, and by the invariant one thread at a time does that.
unsafe impl<T: Send> Sync for DriverState<T> {}

impl<T> DriverState<T> {
    /// An empty place.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lock: AtomicU8::new(EMPTY),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Puts the state here, and gives `None`; gives the state back when there is one already, or another thread puts or takes one at
    /// this moment. IRQL: any, but what was given back is dropped where that is allowed.
    pub fn put(&self, state: T) -> Option<T> {
        if !self.become_busy(EMPTY) {
            return Some(state);
        }
        // SAFETY: by the invariant the place is this call's alone.
        unsafe { (*self.value.get()).write(state) };
        // INVARIANT: there is a value.
        self.lock.store(FULL, Ordering::Release);
        None
    }

    /// Takes the state out, if there is one and no other thread is at it. IRQL: any; dropping it is for where that is allowed.
    pub fn take(&self) -> Option<T> {
        if !self.become_busy(FULL) {
            return None;
        }
        // SAFETY: by the invariant there was a value, which is this call's alone, and which counts as gone from here on.
        let state = unsafe { (*self.value.get()).assume_init_read() };
        self.lock.store(EMPTY, Ordering::Release);
        Some(state)
    }

    fn become_busy(&self, from: u8) -> bool {
        self.lock
            .compare_exchange(from, BUSY, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }
}

impl<T> Drop for DriverState<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T> Default for DriverState<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for DriverState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverState")
            .field("full", &(self.lock.load(Ordering::Relaxed) == FULL))
            .finish_non_exhaustive()
    }
}
