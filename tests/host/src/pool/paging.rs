//! Paged pool that isn't always present. Its blocks become inaccessible when a thread raises its IRQL to `DISPATCH_LEVEL`, and
//! become present again when code accesses them below that level. Stands for what Driver Verifier does with pageable memory when it
//! forces IRQL checking.
//!
//! The protection of pages holds for all threads at once: when one thread has brought a page back, another thread can access it at
//! `DISPATCH_LEVEL`, until the next time that a thread raises its level or a callback is called at that level.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use region::Protection;

use super::pages::{self, Place};

struct Paged {
    place: Place,
    present: bool,
    /// The number of MDLs that have locked pages of this block.
    locks: usize,
}

/// The blocks with pages of their own, by the address of their first page.
static BLOCKS: Mutex<BTreeMap<usize, Paged>> = Mutex::new(BTreeMap::new());
/// The number of all blocks of paged pool, with pages of their own or in the heap.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The number of blocks in [`BLOCKS`] that are present and not locked.
static PAGEABLE: AtomicUsize = AtomicUsize::new(0);

/// Whether there is any paged pool.
#[inline]
pub(crate) fn any() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}

/// Records an allocated block of paged pool.
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

/// Forgets a block that is about to be freed, and makes it present.
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

/// Makes paged pool inaccessible: the IRQL of this thread has become `DISPATCH_LEVEL` or higher, or code of the driver is about to
/// run at such a level.
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

/// The kinds of accesses to an inaccessible address.
pub(crate) enum Touched {
    /// To paged pool that was not present, and now is.
    Returned,
    /// To paged pool that is not present, at a level too high to bring it back.
    TooHigh,
    /// To something else.
    Other,
}

/// Handles an access to an inaccessible address. Brings the block back if the address lies in paged pool and `may_wait` allows it.
pub(crate) fn page_in(address: usize, may_wait: bool) -> Touched {
    let mut blocks = BLOCKS.lock();
    let Some((_, paged)) = blocks.range_mut(..=address).next_back() else {
        return Touched::Other;
    };
    if !paged.place.range().contains(&address) {
        return Touched::Other;
    }
    if paged.present {
        // Another thread has brought the block back meanwhile.
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

/// An MDL locks pages: blocks of paged pool among them stay present until the MDL unlocks them.
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

/// Forgets all blocks, and makes those that a test has left behind present.
pub(crate) fn reset() {
    COUNT.store(0, Ordering::Relaxed);
    PAGEABLE.store(0, Ordering::Relaxed);
    for paged in core::mem::take(&mut *BLOCKS.lock()).into_values() {
        if !paged.present {
            pages::protect(paged.place, Protection::READ_WRITE);
        }
    }
}
