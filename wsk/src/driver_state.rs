//! [`DriverState`]: a static for the state of a driver while it is loaded. `DriverUnload` gets only the driver object, so the
//! sockets and the registration stay here until then. It replaces the global variables of drivers in C, and the rundown
//! protection (`EX_RUNDOWN_REF`) that keeps them while they are used.

#![forbid(unsafe_code)]

use core::fmt;
use core::ops::Deref;

use crate::Error;
use crate::irql::at_passive_level;
use crate::memory::{Rundown, Used};

/// A static for the state of a driver, from `DriverEntry` to `DriverUnload`.
///
/// | to | by | IRQL |
/// |---|---|---|
/// | put the state there | [`put`](Self::put) | any |
/// | use it, from any number of threads at a time | [`with`](Self::with), [`get`](Self::get) | `<= DISPATCH_LEVEL` |
/// | take it out, once nobody uses it | [`take`](Self::take) | `PASSIVE_LEVEL` |
///
/// Nothing drops a static: a driver takes its state out and drops it when it is unloaded. Fields are dropped in the order in which
/// they are declared, so the [`Registration`](crate::Registration) is the last.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// use core::net::SocketAddr;
/// use wsk::{DatagramSocket, DriverState, Family, NTSTATUS, Registration, Wait};
/// use wsk_sys::{STATUS_DEVICE_BUSY, STATUS_DEVICE_NOT_READY, STATUS_SUCCESS};
///
/// struct State {
///     socket: DatagramSocket,
///     registration: Registration,
/// }
///
/// static STATE: DriverState<State> = DriverState::new();
///
/// /// What `DriverEntry` does.
/// fn load() -> Result<(), NTSTATUS> {
///     let registration = Registration::new()?;
///     let provider = registration.capture(Wait::No)?;
///     let socket = DatagramSocket::open(&provider, Family::V4)?;
///     socket.bind(Family::V4.any())?;
///     let state = State { socket, registration };
///     STATE.put(state).map_err(|_| STATUS_DEVICE_BUSY)
/// }
///
/// /// What a dispatch routine does, say, on any thread.
/// fn announce(to: SocketAddr) -> NTSTATUS {
///     match STATE.with(|state| state.socket.send_to(b"here", to).wait()) {
///         None => STATUS_DEVICE_NOT_READY,
///         Some(Err(error)) => error.into(),
///         Some(Ok(_)) => STATUS_SUCCESS,
///     }
/// }
///
/// /// What `DriverUnload` does.
/// fn unload() {
///     drop(STATE.take());
/// }
/// # assert_eq!(announce(to), STATUS_DEVICE_NOT_READY);
/// # load()?;
/// # assert_eq!(announce(to), STATUS_SUCCESS);
/// # unload();
/// # kernel.shutdown();
/// # Ok::<(), NTSTATUS>(())
/// ```
pub struct DriverState<T> {
    state: Rundown<T>,
}

impl<T> DriverState<T> {
    /// A static without a state.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: Rundown::new(),
        }
    }

    /// Puts a state into the static. IRQL: any, but drop a state that comes back only where dropping it is allowed.
    ///
    /// # Errors
    ///
    /// Gives the state back when there is one already, or another thread puts or takes one at this moment.
    pub fn put(&self, state: T) -> Result<(), T> {
        self.state.put(state)
    }

    /// Takes the state out. [`get`](Self::get) and [`with`](Self::with) no longer find it. This call waits until nobody uses the
    /// state any more. `None` if there is no state, or another thread puts or takes it at this moment.
    ///
    /// A thread that uses the state must not take it: it would wait for itself. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`]; the state stays where it is.
    pub fn take(&self) -> Result<Option<T>, Error> {
        // The state may contain a registration, which may only be dropped at this level.
        let may_wait = at_passive_level()?.may_wait();
        Ok(self.state.take(may_wait))
    }
}

impl<T: Sync> DriverState<T> {
    /// Uses the state, if there is one. [`take`](Self::take) waits until `f` has returned. IRQL: `<= DISPATCH_LEVEL`.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.get().map(|state| f(&state))
    }

    /// A reference to the state, if there is one. [`take`](Self::take) waits until the reference is dropped; if it is forgotten, for
    /// ever. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn get(&self) -> Option<DriverStateRef<'_, T>> {
        let state = self.state.get()?;
        Some(DriverStateRef { state })
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
            .field("full", &self.state.is_full())
            .finish_non_exhaustive()
    }
}

/// A reference to the state of a driver, from [`DriverState::get`]. The state stays while there is one. IRQL of dropping: `<= DISPATCH_LEVEL`.
///
/// ```
/// use wsk::DriverState;
///
/// static STATE: DriverState<[u8; 4]> = DriverState::new();
///
/// # let kernel = wsk_host::Kernel::boot();
/// assert!(STATE.get().is_none());
/// STATE.put(*b"here").unwrap();
/// let state = STATE.get().unwrap();
/// assert_eq!(state[0], b'h');
/// // Without this, `take` would wait for ever.
/// drop(state);
/// assert_eq!(STATE.take()?, Some(*b"here"));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[must_use = "the state may be taken as soon as this is dropped"]
pub struct DriverStateRef<'a, T> {
    state: Used<'a, T>,
}

impl<T> Deref for DriverStateRef<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T: fmt::Debug> fmt::Debug for DriverStateRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
