//! A timer for futures whose provider has answered with an error, but has not completed the IRP. Nobody notifies them when the provider's
//! time is up, so the timer wakes them. Stands for `KeSetTimer` with a DPC.
//!
//! The whole driver has one timer, because only a provider that breaks its contract makes it necessary. It runs only while a client is
//! registered: the last [`leave`] cancels it, and waits for its DPC before the driver may be unloaded.

#![forbid(unsafe_code)]

use core::ffi::c_void;
use core::task::Waker;
use core::time::Duration;

use wsk_sys::KDPC;

use crate::irql::MayWait;
use crate::system::{SpinLocked, flush, units};
use crate::time::now;

/// How many wakers can wait. One that finds no room is woken at once, and its future polls again.
const WAKERS: usize = 16;

/// How much later than it was asked to the timer rings: by then the time of who asked is over by any clock.
const LATER: Duration = Duration::from_millis(10);

/// The clients, and the wakers that wait for the timer.
struct Alarm {
    /// The clients that are registered.
    registered: usize,
    /// How many of them are about to leave. They count until no DPC is on its way.
    leaving: usize,
    /// Wakes everybody, once a client has asked to be woken. By way of a pointer, so that it is not in a driver that polls no future.
    wake_all: Option<fn()>,
    wakers: [Option<Waker>; WAKERS],
    /// When the timer rings, for every waker that is there.
    rings: Option<u64>,
}

static ALARM: SpinLocked<Alarm> = SpinLocked::new(Alarm {
    registered: 0,
    leaving: 0,
    wake_all: None,
    wakers: [const { None }; WAKERS],
    rings: None,
});

/// Notes that a client has registered: the alarm may run. IRQL: `<= DISPATCH_LEVEL`.
pub(crate) fn enter() {
    ALARM.with(|alarm, _| alarm.registered += 1);
}

/// Notes that a client has deregistered. The last one stops the alarm. When this returns no DPC of the driver is on its way.
pub(crate) fn leave(may_wait: MayWait) {
    let (stopped, wake_all) = ALARM.with(|alarm, mut timer| {
        alarm.leaving += 1;
        if alarm.registered == alarm.leaving {
            alarm.rings = None;
            (Some(timer.stop()), alarm.wake_all.take())
        } else {
            (None, None)
        }
    });
    let flushed = flush(may_wait, stopped);
    ALARM.with(|alarm, mut timer| {
        alarm.leaving -= 1;
        alarm.registered -= 1;
        if let Some(flushed) = &flushed {
            timer.end(flushed);
        }
    });
    if let Some(wake_all) = wake_all {
        wake_all();
    }
}

/// Wakes every waker that waits. Some that come meanwhile may be woken too; it does not wait for them.
fn wake_all() {
    for index in 0..WAKERS {
        let waker = ALARM.with(|alarm, _| alarm.wakers.get_mut(index).and_then(Option::take));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Wakes a waker when `time` has passed, or earlier. IRQL: `<= DISPATCH_LEVEL`.
#[cold]
pub(crate) fn wake_after(time: Duration, waker: &Waker) {
    // Cloned, and woken, without the lock: both are somebody else's code.
    let mut new = Some(waker.clone());
    let time = time.saturating_add(LATER);
    let due = now().saturating_add(units(time));
    let waits = ALARM.with(|alarm, mut timer| {
        if alarm.registered == alarm.leaving {
            return false;
        }
        // A task that polls often needs one room, not all.
        if !alarm
            .wakers
            .iter()
            .flatten()
            .any(|there| there.will_wake(waker))
        {
            let Some(room) = alarm.wakers.iter_mut().find(|room| room.is_none()) else {
                return false;
            };
            core::mem::swap(room, &mut new);
        }
        alarm.wake_all = Some(wake_all);
        // Nobody who waits already is put off. Who is woken too early asks again.
        if alarm.rings.is_none_or(|rings| due < rings) {
            alarm.rings = Some(due);
            timer.set(time, ring);
        }
        true
    });
    if let Some(new) = new
        && !waits
    {
        new.wake();
    }
}

/// The DPC: wakes everybody.
extern "system" fn ring(_: *mut KDPC, _: *mut c_void, _: *mut c_void, _: *mut c_void) {
    // Before the wakers are taken out: who comes from now on sets the timer again.
    ALARM.with(|alarm, _| alarm.rings = None);
    wake_all();
}
