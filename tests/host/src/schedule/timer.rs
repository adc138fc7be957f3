//! Timers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use wsk_sys::{KDPC, KTIMER, LARGE_INTEGER, TIMER_TYPE};

use super::dpc::{DPC, queue_dpc};
use super::{Queued, When, push};
use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::clock;
use crate::event::{self, Kind};
use crate::origin::{self, Whose};
use crate::pool::{self, Block};
use crate::stack_places::{self, User};

/// Identifies one setting of a timer: a timer that was set anew or cancelled must not expire for an earlier setting.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Setting {
    number: u64,
    /// The driver that has set it.
    driver: u32,
    /// The deferred procedure call that is queued when it expires, or 0.
    dpc: usize,
}

/// The timers that are set.
static TIMERS: Mutex<BTreeMap<usize, Setting>> = Mutex::new(BTreeMap::new());
static SETTINGS: AtomicU64 = AtomicU64::new(0);

export! {
    /// Initialises a timer.
    fn KeInitializeTimerEx(Timer: *mut KTIMER, Type: TIMER_TYPE), at most DISPATCH_LEVEL {
        let kind = if Type == TIMER_TYPE::NotificationTimer {
            Kind::NotificationTimer
        } else {
            Kind::SynchronizationTimer
        };
        require_nonpaged("KeInitializeTimer", Timer, "a timer");
        event::require_unused("KeInitializeTimer", Timer as usize, "a timer");
        if TIMERS.lock().contains_key(&(Timer as usize)) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, Timer as usize, 0, 0),
                [pool::story(Timer as usize)],
                "KeInitializeTimer was called for a timer that is set"
            )
        }
        // SAFETY: the driver gives the memory; zero is fine for every member.
        unsafe {
            Timer.cast::<u8>().write_bytes(0, size_of::<KTIMER>());
            event::initialize(&raw mut (*Timer).Header, kind, size_of::<KTIMER>(), false);
        }
    }
}

/// Sets a timer; returns whether it was set already.
///
/// # Safety
///
/// The caller keeps what the documentation of the routine asks for.
#[unsafe(no_mangle)]
#[allow(
    non_snake_case,
    reason = "name and parameters are those of the routine"
)]
pub(crate) unsafe extern "system" fn KeSetTimer(
    Timer: *mut KTIMER,
    DueTime: LARGE_INTEGER,
    Dpc: *mut KDPC,
) -> u8 {
    {
        crate::export::enter!(KeSetTimer(Timer, Dpc), DISPATCH_LEVEL);
        // SAFETY: the driver gives a timer.
        unsafe { require_timer("KeSetTimer", Timer) };
        // SAFETY: every member of the union covers the 64 bits; the driver gives an initialised timer, which isn't
        // signalled from now on.
        let delay = unsafe {
            (*Timer).Header.SignalState = 0;
            (*Timer).Dpc = Dpc;
            clock::until(DueTime.QuadPart)
        };
        let setting = Setting {
            number: SETTINGS.fetch_add(1, Ordering::Relaxed),
            driver: origin::driver(),
            dpc: Dpc as usize,
        };
        let was_set = TIMERS.lock().insert(Timer as usize, setting).is_some();
        let user = User::Timer {
            address: Timer as usize,
            setting: setting.number,
        };
        for (place, what) in [(Timer as usize, "the timer"), (Dpc as usize, DPC)] {
            stack_places::watch(user, "KeSetTimer", place, what);
        }
        let queued = (Queued(Timer), Queued(Dpc));
        push(
            When { delay, rank: 0 },
            true,
            Box::new(move || {
                let (Queued(timer), Queued(dpc)) = { queued };
                let mut timers = TIMERS.lock();
                if timers.get(&(timer as usize)) != Some(&setting) {
                    return;
                }
                timers.remove(&(timer as usize));
                // SAFETY: the driver keeps the timer alive while it is set, and the lock keeps it set until here; its deferred
                // procedure call too.
                unsafe {
                    if !dpc.is_null() {
                        queue_dpc(dpc, core::ptr::null_mut(), core::ptr::null_mut());
                    }
                    event::signal(&raw mut (*timer).Header);
                }
            }),
        );
        u8::from(was_set)
    }
}

export! {
    /// Cancels a timer; returns whether it was set.
    fn KeCancelTimer(Timer: *mut KTIMER) -> u8, at most DISPATCH_LEVEL {
        // SAFETY: the driver gives a timer, or memory that may be read.
        unsafe {
            // A zeroed timer looks like a notification event. Windows takes it for a timer that isn't set.
            if Kind::of(&raw const (*Timer).Header) != Ok(Kind::NotificationEvent) {
                require_timer("KeCancelTimer", Timer);
            }
        }
        u8::from(TIMERS.lock().remove(&(Timer as usize)).is_some())
    }
}

/// Stops unless this is a timer that was initialised.
///
/// # Safety
///
/// The driver gives `timer`.
unsafe fn require_timer(function: &str, timer: *mut KTIMER) {
    // SAFETY: what the driver gives and is freed, or no memory, can't be read, which is a report, or stays allocated in quarantine.
    let kind = unsafe { Kind::of(&raw const (*timer).Header) };
    if !kind.is_ok_and(Kind::is_timer) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::UNINITIALIZED_RESOURCE,
                timer as usize,
                0,
                0
            ),
            [pool::story(timer as usize)],
            "{function} was given something that isn't an initialised timer (any more): the type in its header is {:#x}",
            event::number(kind)
        )
    }
}

/// Whether a timer is set, and still by this setting.
pub(crate) fn is_set(timer: usize, setting: u64) -> bool {
    TIMERS
        .lock()
        .get(&timer)
        .is_some_and(|now| now.number == setting)
}

/// Stops when a block is being freed that holds a timer that is set, or its deferred procedure call.
pub(super) fn memory_freed(block: &Block) {
    let range = block.range();
    let (timer, with_dpc) = {
        let timers = TIMERS.lock();
        let timer = timers.range(range.clone()).next().map(|(&timer, _)| timer);
        let mut all = timers.iter();
        let with_dpc = all.find(|(_, setting)| range.contains(&setting.dpc));
        (
            timer,
            with_dpc.map(|(&timer, setting)| (timer, setting.dpc)),
        )
    };
    if let Some(timer) = timer {
        bugcheck!(
            TIMER_OR_DPC_INVALID(0, timer, range.start, range.len()),
            [block],
            "memory was freed that holds a timer that is set"
        )
    }
    if let Some((timer, dpc)) = with_dpc {
        bugcheck!(
            TIMER_OR_DPC_INVALID(1, dpc, range.start, range.len()),
            [block],
            "memory was freed that holds the deferred procedure call of a timer that is set, at {timer:#x}"
        )
    }
}
/// Timers that are set, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    TIMERS
        .lock()
        .iter()
        .filter(|(_, setting)| whose.is(setting.driver))
        .map(|(timer, _)| format!("timer at {timer:#x} that is still set"))
        .collect()
}

/// Forgets the timers.
pub(super) fn reset() {
    TIMERS.lock().clear();
}
