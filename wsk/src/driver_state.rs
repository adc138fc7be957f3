//! What a driver keeps while it is loaded, in a static: `DriverUnload` is given nothing but the driver object, so this is where
//! sockets and the registration stay between the two. Stands for the global variables of drivers in C, and for the rundown protection
//! (`EX_RUNDOWN_REF`) that keeps them while they are used.

use core::fmt;
use core::mem::MaybeUninit;
use core::ops::Deref;

use crate::Error;
use crate::irql::at_passive_level;
use crate::memory::atomic::{AtomicPtr, AtomicUsize, Cell, Ordering};
use crate::memory::event::Event;

/// A place in a static for what a driver keeps from `DriverEntry` to `DriverUnload`, and uses in between.
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
///
/// # Invariants
///
/// - In the phases `FULL` and `LEAVING` there is a value, which is shared and not moved: by the uses that are counted, and by
///   nobody else. A use is counted in `FULL` only, so that in `LEAVING` they become fewer.
/// - In `MOVING`, and in `LEAVING` without uses, who has changed the phase to it has the value's place alone.
/// - In `LEAVING`, until no use is counted, `taker` is the event of the call that has changed the phase, or that call has a use
///   itself. That call waits for the event, which who ends the last use sets, once.
pub struct DriverState<T> {
    /// The phase, and the uses, times `USE`.
    word: AtomicUsize,
    taker: AtomicPtr<Event>,
    value: Cell<MaybeUninit<T>>,
}

const EMPTY: usize = 0;
const MOVING: usize = 1;
const FULL: usize = 2;
const LEAVING: usize = 3;
const PHASE: usize = 3;
const USE: usize = 4;
/// More uses than this are refused, so that their number never runs over: each could be forgotten.
const MOST: usize = usize::MAX / 2;

// SAFETY: what is not shared only moves in and out, which by the invariant one thread at a time does; to share it takes `T: Sync`. The
// event is used by way of the kernel.
unsafe impl<T: Send> Sync for DriverState<T> {}

impl<T> DriverState<T> {
    /// An empty place.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            word: AtomicUsize::new(EMPTY),
            taker: AtomicPtr::new(core::ptr::null_mut()),
            value: Cell::new(MaybeUninit::uninit()),
        }
    }

    /// Puts the state here. IRQL: any, but what was given back is dropped where that is allowed.
    ///
    /// # Errors
    ///
    /// Gives the state back when there is one already, or another thread puts or takes one at this moment.
    pub fn put(&self, state: T) -> Result<(), T> {
        let moving =
            self.word
                .compare_exchange(EMPTY, MOVING, Ordering::Acquire, Ordering::Relaxed);
        if moving.is_err() {
            return Err(state);
        }
        // SAFETY: by the invariant the place is this call's alone.
        self.value
            .with_mut(|place| unsafe { (*place).write(state) });
        // INVARIANT: there is a value, which nobody uses.
        self.word.store(FULL, Ordering::Release);
        Ok(())
    }

    /// Takes the state out: [`get`](Self::get) and [`with`](Self::with) find nothing from here on, and this call waits until
    /// everybody who has found it before is done. `None` where there is no state, or another thread puts or takes it at this moment.
    ///
    /// A thread must not take what it uses itself: it would wait for itself. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`]; the state stays where it is.
    pub fn take(&self) -> Result<Option<T>, Error> {
        // What is taken out may be a registration, which is dropped at that level only.
        let may_wait = at_passive_level()?.may_wait();
        let event;
        // SAFETY: it is initialised where it stays, before it is used. A kernel stack is not paged out while its thread waits in
        // kernel mode.
        let place = unsafe {
            event = Event::room();
            let place = (&raw const event).cast_mut();
            Event::initialise(place, true);
            place
        };
        let leaving = |word| (word & PHASE == FULL).then(|| word - FULL + LEAVING + USE);
        // INVARIANT: a use more, which is this call's, until the event can be found.
        if self
            .word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, leaving)
            .is_err()
        {
            return Ok(None);
        }
        self.taker.store(place, Ordering::Relaxed);
        if !self.end_use() {
            event.wait(may_wait, None);
        }
        // SAFETY: by the invariant there was a value, the place is this call's alone now, and the value counts as gone.
        let state = self
            .value
            .with_mut(|place| unsafe { (*place).assume_init_read() });
        self.word.store(EMPTY, Ordering::Release);
        Ok(Some(state))
    }

    /// Counts a use off; whether it was the last of a state that is to be taken.
    fn end_use(&self) -> bool {
        self.word.fetch_sub(USE, Ordering::AcqRel) == LEAVING + USE
    }
}

impl<T: Sync> DriverState<T> {
    /// Uses the state, if there is one. [`take`](Self::take) waits until `f` has returned. IRQL: `<= DISPATCH_LEVEL`.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.get().map(|state| f(&state))
    }

    /// The state to use, if there is one. [`take`](Self::take) waits until what this gives is dropped, and for ever where it is
    /// forgotten. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn get(&self) -> Option<DriverStateRef<'_, T>> {
        let used = |word| (word & PHASE == FULL && word < MOST).then(|| word + USE);
        // INVARIANT: counted while the phase is `FULL`.
        self.word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, used)
            .ok()?;
        Some(DriverStateRef { of: self })
    }
}

impl<T> Drop for DriverState<T> {
    fn drop(&mut self) {
        // Uses that are still counted were forgotten: they have borrowed what is dropped here.
        if self.word.load(Ordering::Acquire) & PHASE == FULL {
            // SAFETY: by the invariant there is a value, and nobody else has the place.
            self.value
                .with_mut(|place| unsafe { (*place).assume_init_drop() });
        }
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
            .field("full", &(self.word.load(Ordering::Relaxed) & PHASE == FULL))
            .finish_non_exhaustive()
    }
}

/// The state of a driver, which stays while this is there: what [`DriverState::get`] gives. IRQL of dropping: `<= DISPATCH_LEVEL`.
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
///
/// # Invariants
///
/// It is a use that is counted, and that ends once, when this is dropped. `T` is `Sync`.
#[must_use = "the state may be taken as soon as this is dropped"]
pub struct DriverStateRef<'a, T> {
    of: &'a DriverState<T>,
}

impl<T> Deref for DriverStateRef<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: by the invariants there is a value, which is shared and not moved as long as this use is counted.
        self.of
            .value
            .with(|place| unsafe { (*place).assume_init_ref() })
    }
}

impl<T> Drop for DriverStateRef<'_, T> {
    fn drop(&mut self) {
        if self.of.end_use() {
            // SAFETY: by the invariant the event is there until it is set, which happens here and nowhere else.
            unsafe { (*self.of.taker.load(Ordering::Relaxed)).set() };
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for DriverStateRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
