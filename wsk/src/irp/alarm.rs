//! A timer for futures of operations whose provider has answered with an error: nobody tells when its time to complete the IRP is
//! up, so their wakers are woken then. Stands for `KeSetTimer` with a DPC.
//!
//! One for the whole driver, because the operations that need it are those of a provider that breaks its contract. It runs only
//! while a client is registered: the last [`leave`] cancels it, and waits for its DPC before the driver may be unloaded.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::task::Waker;
use core::time::Duration;

use wsk_sys::{
    KDPC, KTIMER, KeAcquireSpinLock, KeCancelTimer, KeFlushQueuedDpcs, KeInitializeDpc,
    KeInitializeTimerEx, KeReleaseSpinLock, KeSetTimer, TIMER_TYPE,
};

use crate::irql::MayWait;
use crate::time::interval;

/// How many wakers wait at once. One that finds no room is woken at once, and asks again.
const ROOM: usize = 16;

struct Alarm {
    lock: UnsafeCell<usize>,
    inside: UnsafeCell<Inside>,
    // Apart, because the kernel keeps pointers to both: they are never borrowed.
    timer: UnsafeCell<MaybeUninit<KTIMER>>,
    dpc: UnsafeCell<MaybeUninit<KDPC>>,
}

/// What is changed with the lock held.
///
/// # Invariants
///
/// While it is `running` timer and DPC are initialised.
struct Inside {
    registered: usize,
    /// How many of them are about to leave. They count until no DPC is on its way: before that, timer and DPC must not be initialised
    /// anew for somebody who comes.
    leaving: usize,
    /// Since a client has first asked to be woken.
    running: Option<&'static Running>,
    wakers: [Option<Waker>; ROOM],
}

// SAFETY: what is inside is touched with the spin lock held only; timer and DPC are the kernel's, which synchronises that.
unsafe impl Sync for Alarm {}

static ALARM: Alarm = Alarm {
    lock: UnsafeCell::new(0),
    inside: UnsafeCell::new(Inside {
        registered: 0,
        leaving: 0,
        running: None,
        wakers: [const { None }; ROOM],
    }),
    timer: UnsafeCell::new(MaybeUninit::zeroed()),
    dpc: UnsafeCell::new(MaybeUninit::zeroed()),
};

impl Alarm {
    const fn timer(&self) -> *mut KTIMER {
        self.timer.get().cast()
    }

    const fn dpc(&self) -> *mut KDPC {
        self.dpc.get().cast()
    }

    /// Gives what is inside to `change`, with the lock held: at `DISPATCH_LEVEL`. IRQL: `<= DISPATCH_LEVEL`.
    fn locked<R>(&self, change: impl FnOnce(&mut Inside) -> R) -> R {
        let mut irql = 0;
        // SAFETY: the lock is a static of zero, which is free; callers are at `DISPATCH_LEVEL` at most and do not hold it. What is inside
        // is this call's as long as it does; what is called neither unwinds nor locks.
        unsafe {
            KeAcquireSpinLock(self.lock.get(), &raw mut irql);
            let result = change(&mut *self.inside.get());
            KeReleaseSpinLock(self.lock.get(), irql);
            result
        }
    }
}

/// A client has registered: the alarm may run. IRQL: `<= DISPATCH_LEVEL`.
pub(crate) fn enter() {
    ALARM.locked(|inside| inside.registered += 1);
}

/// A client has deregistered: with the last of them the alarm stops. When this returns no DPC of the driver is on its way.
pub(crate) fn leave(_: MayWait) {
    let running = ALARM.locked(|inside| {
        inside.leaving += 1;
        if inside.registered != inside.leaving {
            return None;
        }
        if let Some(running) = &inside.running {
            (running.stop)();
        }
        inside.running
    });
    // SAFETY: the IRQL allows to wait, as the proof says.
    unsafe { KeFlushQueuedDpcs() };
    ALARM.locked(|inside| {
        inside.leaving -= 1;
        inside.registered -= 1;
        if inside.registered == 0 {
            // INVARIANT: no DPC is on its way, and nobody is registered who would set the timer: they may be initialised anew.
            inside.running = None;
        }
    });
    if let Some(running) = running {
        (running.wake_all)();
    }
}

/// What stops an alarm that runs.
struct Running {
    /// Called with the lock held.
    stop: fn(),
    /// Called without it.
    wake_all: fn(),
}

/// Stops the timer. By way of a pointer, as `wake_all`: in a driver that polls no future there is neither.
fn stop() {
    // SAFETY: who calls this has seen in what is inside that the timer is initialised.
    unsafe { KeCancelTimer(ALARM.timer()) };
}

/// Wakes everybody who is there, and perhaps some who come meanwhile; those that come again are not waited for.
fn wake_all() {
    for index in 0..ROOM {
        let waker = ALARM.locked(|inside| inside.wakers.get_mut(index).and_then(Option::take));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Wakes a waker when some time has passed, or before. IRQL: `<= DISPATCH_LEVEL`.
#[cold]
pub(crate) fn wake_after(time: Duration, waker: &Waker) {
    // Cloned, and woken, without the lock: both are somebody else's code.
    let mut waker = Some(waker.clone());
    ALARM.locked(|inside| {
        if inside.registered == inside.leaving {
            return;
        }
        let Some(room) = inside.wakers.iter_mut().find(|room| room.is_none()) else {
            return;
        };
        core::mem::swap(room, &mut waker);
        let (timer, dpc) = (ALARM.timer(), ALARM.dpc());
        let time = interval(time.saturating_add(Duration::from_millis(10)));
        // SAFETY: timer and DPC are statics, which nobody uses before the alarm runs or after the last client has left; as long as it runs
        // they are initialised. To set it anew only puts it off.
        unsafe {
            if inside.running.is_none() {
                KeInitializeTimerEx(timer, TIMER_TYPE::NotificationTimer);
                KeInitializeDpc(dpc, Some(ring), core::ptr::null_mut());
                // INVARIANT: initialised.
                inside.running = Some(&Running { stop, wake_all });
            }
            KeSetTimer(timer, time, dpc);
        }
    });
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The DPC: wakes everybody.
unsafe extern "system" fn ring(_: *mut KDPC, _: *mut c_void, _: *mut c_void, _: *mut c_void) {
    wake_all();
}
