//! [`Rundown`]: a place for a value that any number of threads use until one takes it out. That one waits for the others. Stands for
//! rundown protection (`EX_RUNDOWN_REF`), with the value that it protects.

use core::ops::Deref;

use crate::irql::MayWait;
use crate::memory::atomic::{AtomicPtr, AtomicUsize, Cell, Ordering};
use crate::memory::objects::Event;

/// A place for a value that is put there, used, and taken out.
///
/// # Invariants
///
/// - In the phases `FULL` and `LEAVING` there is a value, which is shared and not moved: by the uses that are counted, and by
///   nobody else. A use is counted in `FULL` only, so that in `LEAVING` they become fewer.
/// - In `MOVING`, and in `LEAVING` without uses, who has changed the phase to it has the value's place alone.
/// - In `LEAVING`, until no use is counted, `taker` is the event of the call that has changed the phase, or that call has a use
///   itself. That call waits for the event, which who ends the last use sets, once.
pub(crate) struct Rundown<T> {
    /// The phase, and the uses, times `USE`.
    word: AtomicUsize,
    taker: AtomicPtr<Event>,
    value: Cell<Option<T>>,
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
unsafe impl<T: Send> Sync for Rundown<T> {}

impl<T> Rundown<T> {
    /// An empty place.
    pub(crate) const fn new() -> Self {
        Self {
            word: AtomicUsize::new(EMPTY),
            taker: AtomicPtr::new(core::ptr::null_mut()),
            value: Cell::new(None),
        }
    }

    /// Puts a value here. Gives it back when there is one already, or another thread puts or takes one at this moment.
    pub(crate) fn put(&self, value: T) -> Result<(), T> {
        let moving =
            self.word
                .compare_exchange(EMPTY, MOVING, Ordering::Acquire, Ordering::Relaxed);
        if moving.is_err() {
            return Err(value);
        }
        // INVARIANT: who has changed the phase to `MOVING` has the place.
        Moving(self).replace(Some(value));
        // INVARIANT: there is a value, which nobody uses.
        self.word.store(FULL, Ordering::Release);
        Ok(())
    }

    /// Takes the value out, once nobody uses it. Gives nothing when there is none, or another thread puts or takes it at this moment.
    pub(crate) fn take(&self, may_wait: MayWait) -> Option<T> {
        Event::on_stack(|event| self.take_told(event, may_wait))
    }

    /// As [`take`](Self::take), with the event that who ends the last use sets.
    fn take_told(&self, event: &Event, may_wait: MayWait) -> Option<T> {
        let leaving = |word| (word & PHASE == FULL).then(|| word - FULL + LEAVING + USE);
        // INVARIANT: a use more, which is this call's, until the event can be found.
        self.word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, leaving)
            .ok()?;
        let place = core::ptr::from_ref(event).cast_mut();
        self.taker.store(place, Ordering::Relaxed);
        if !self.end_use() {
            event.wait(may_wait, None);
        }
        // INVARIANT: this call has changed the phase to `LEAVING`, and no use is left.
        let value = Moving(self).replace(None);
        self.word.store(EMPTY, Ordering::Release);
        value
    }

    /// Counts a use off. Says whether it was the last one of a value that is to be taken.
    fn end_use(&self) -> bool {
        self.word.fetch_sub(USE, Ordering::AcqRel) == LEAVING + USE
    }

    /// Whether there is a value that nobody is about to take.
    pub(crate) fn is_full(&self) -> bool {
        self.word.load(Ordering::Relaxed) & PHASE == FULL
    }
}

/// The place of the value, for who moves the value in or out.
///
/// # Invariants
///
/// Whoever has this has the place alone.
struct Moving<'a, T>(&'a Rundown<T>);

impl<T> Moving<'_, T> {
    /// Puts a value there, or none. Gives the value that was there.
    fn replace(self, value: Option<T>) -> Option<T> {
        // SAFETY: by the invariant nobody else has the place.
        (self.0.value).with_mut(|place| core::mem::replace(unsafe { &mut *place }, value))
    }
}

impl<T: Sync> Rundown<T> {
    /// Begins a use of the value, if there is one. Who takes the value waits until the use is dropped.
    pub(crate) fn get(&self) -> Option<Used<'_, T>> {
        let used = |word| (word & PHASE == FULL && word < MOST).then(|| word + USE);
        // INVARIANT: counted while the phase is `FULL`.
        self.word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, used)
            .ok()?;
        Some(Used { of: self })
    }
}

/// A use of a value.
///
/// # Invariants
///
/// The use is counted, and ends once, when this is dropped. `T` is `Sync`.
pub(crate) struct Used<'a, T> {
    of: &'a Rundown<T>,
}

impl<T> Deref for Used<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: by the invariants there is a value, which is shared and not moved as long as this use is counted.
        self.of
            .value
            .with(|place| unsafe { (*place).as_ref().unwrap_unchecked() })
    }
}

impl<T> Drop for Used<'_, T> {
    fn drop(&mut self) {
        if self.of.end_use() {
            // SAFETY: by the invariant the event is there until it is set, which happens here and nowhere else.
            unsafe { (*self.of.taker.load(Ordering::Relaxed)).set() };
        }
    }
}
