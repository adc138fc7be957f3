//! Paged pool that isn't always there: its blocks become inaccessible when a thread raises its IRQL to `DISPATCH_LEVEL`, and come
//! back when they are accessed below that. Stands for what Driver Verifier does with pageable memory when it forces IRQL checking.
//!
//! Pages are protected for all threads at once: what one thread has brought back another can reach at `DISPATCH_LEVEL`, until
//! the level is raised, or a callback called at it, the next time.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use region::Protection;

use super::pages::{self, Place};

struct Paged {
    place: Place,
    present: bool,
    /// How many MDLs have locked pages of it.
    locks: usize,
}

/// Blocks with pages of their own, by the address of the first.
static BLOCKS: Mutex<BTreeMap<usize, Paged>> = Mutex::new(BTreeMap::new());
/// How many blocks of paged pool there are, wherever they lie.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// How many of those with pages of their own are present and not locked.
static PAGEABLE: AtomicUsize = AtomicUsize::new(0);

/// Whether there is any paged pool.
#[inline]
pub(crate) fn any() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}

/// A block was allocated.
pub(crate) fn add(place: Option<Place>) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    if let Some(place) = place {
        PAGEABLE.fetch_add(1, Ordering::Relaxed);
        let paged = Paged {
            place,
            present: true,
            locks: 0,
        };
        BLOCKS.lock().insert(place.range().start, paged);
    }
}

/// A block is going to be freed: it is present from now on.
pub(crate) fn remove(place: Option<Place>) {
    COUNT.fetch_sub(1, Ordering::Relaxed);
    let removed = place.and_then(|place| BLOCKS.lock().remove(&place.range().start));
    match removed {
        Some(paged) if !paged.present => {
            pages::protect(paged.place, Protection::READ_WRITE);
        }
        Some(paged) if paged.locks == 0 => {
            PAGEABLE.fetch_sub(1, Ordering::Relaxed);
        }
        _ => {}
    }
}

/// The IRQL of this thread has become `DISPATCH_LEVEL` or higher, or code of the driver's is going to run at such a level.
#[inline]
pub(crate) fn trim() {
    if PAGEABLE.load(Ordering::Relaxed) > 0 {
        page_out();
    }
}

#[cold]
fn page_out() {
    for paged in BLOCKS.lock().values_mut() {
        if paged.present && paged.locks == 0 && pages::protect(paged.place, Protection::NONE) {
            paged.present = false;
            PAGEABLE.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What an access to an inaccessible address was.
pub(crate) enum Touched {
    /// To paged pool that wasn't present, and is now.
    Returned,
    /// To paged pool that isn't present, above the level at which it can come back.
    TooHigh,
    /// To something else.
    Other,
}

/// An address wasn't accessible: brings it back if it is in paged pool and `may_wait` says so.
pub(crate) fn page_in(address: usize, may_wait: bool) -> Touched {
    let mut blocks = BLOCKS.lock();
    let Some((_, paged)) = blocks.range_mut(..=address).next_back() else {
        return Touched::Other;
    };
    if !paged.place.range().contains(&address) {
        return Touched::Other;
    }
    if paged.present {
        // Another thread has brought it back meanwhile.
        return Touched::Returned;
    }
    if may_wait && paged.bring_back() {
        return Touched::Returned;
    }
    Touched::TooHigh
}

impl Paged {
    fn bring_back(&mut self) -> bool {
        self.present = self.present || pages::protect(self.place, Protection::READ_WRITE);
        if self.present && self.locks == 0 {
            PAGEABLE.fetch_add(1, Ordering::Relaxed);
        }
        self.present
    }
}

/// An MDL locks pages: what is in paged pool of them is present until they are unlocked.
pub(crate) fn lock(pages: &Range<usize>) {
    each(pages, |paged| {
        if !paged.present {
            paged.bring_back();
        }
        if paged.present && paged.locks == 0 {
            PAGEABLE.fetch_sub(1, Ordering::Relaxed);
        }
        paged.locks += 1;
    });
}

/// An MDL unlocks pages.
pub(crate) fn unlock(pages: &Range<usize>) {
    each(pages, |paged| {
        paged.locks = paged.locks.saturating_sub(1);
        if paged.present && paged.locks == 0 {
            PAGEABLE.fetch_add(1, Ordering::Relaxed);
        }
    });
}

fn each(pages: &Range<usize>, mut change: impl FnMut(&mut Paged)) {
    if !any() {
        return;
    }
    let mut blocks = BLOCKS.lock();
    for paged in blocks.range_mut(..pages.end).rev().map(|(_, paged)| paged) {
        if paged.place.range().end <= pages.start {
            break;
        }
        change(paged);
    }
}

/// Forgets everything. Blocks that were left behind are present from now on.
pub(crate) fn reset() {
    COUNT.store(0, Ordering::Relaxed);
    PAGEABLE.store(0, Ordering::Relaxed);
    for paged in core::mem::take(&mut *BLOCKS.lock()).into_values() {
        if !paged.present {
            pages::protect(paged.place, Protection::READ_WRITE);
        }
    }
}
