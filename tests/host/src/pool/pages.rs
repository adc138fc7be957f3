//! Pages of their own for blocks of the pool. A block ends where its last page ends, the next page is inaccessible, and freeing the
//! block makes its pages inaccessible too. Stands for Driver Verifier's special pool.
//!
//! The host maps places in groups and never gets them back: when a block is freed, a later block reuses its place. An inaccessible
//! page separates each place from the next.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use region::Protection;

/// The most places with accessible pages at a time. Each takes two entries of the host's table of a process's memory, which has
/// some 65,000 entries on Linux.
const OPEN_AT_ONCE: usize = 16_384;
/// About how many pages one mapping has.
const GROUP: usize = 256;

/// Pages for one block, followed by a page that is never accessible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    start: usize,
    length: usize,
}

impl Place {
    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.start + self.length
    }

    /// The pages and the inaccessible page behind them.
    pub(crate) fn whole(self) -> Range<usize> {
        self.start..self.start + self.length + region::page::size()
    }
}

/// Places without a block, by their length.
static FREE: Mutex<BTreeMap<usize, Vec<usize>>> = Mutex::new(BTreeMap::new());
static OPEN: AtomicUsize = AtomicUsize::new(0);
/// All places lie between these two addresses.
static LOWEST: AtomicUsize = AtomicUsize::new(usize::MAX);
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

/// Takes a place with room for `length` bytes and makes its pages accessible; `None` where the host has no more.
pub(crate) fn open(length: usize) -> Option<Place> {
    if OPEN.fetch_add(1, Ordering::Relaxed) >= OPEN_AT_ONCE {
        OPEN.fetch_sub(1, Ordering::Relaxed);
        return None;
    }
    let opened = take(length).and_then(|place| {
        let accessible = protect(place, Protection::READ_WRITE);
        if !accessible {
            give_back(place);
        }
        accessible.then_some(place)
    });
    if opened.is_none() {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
    opened
}

/// Makes the pages of a place inaccessible.
pub(crate) fn close(place: Place) {
    let _ = protect(place, Protection::NONE);
    OPEN.fetch_sub(1, Ordering::Relaxed);
}

/// Makes the pages of an open place inaccessible for a while, or accessible again. Returns whether the host agreed.
pub(crate) fn protect(place: Place, protection: Protection) -> bool {
    #[cfg(test)]
    tests::CHANGES.set(tests::CHANGES.get() + 1);
    // SAFETY: the pages are those of a place, which holds nothing but a block of a driver's. Whoever accesses one that must not be
    // accessed is stopped.
    unsafe { region::protect(place.start as *const u8, place.length, protection) }.is_ok()
}

/// Returns a closed place to the free ones, for another block.
pub(crate) fn give_back(place: Place) {
    FREE.lock()
        .entry(place.length)
        .or_default()
        .push(place.start);
}

/// Whether an address may lie in a place. If not, there is no need to look for a block.
#[inline]
pub(crate) fn may_hold(address: usize) -> bool {
    (LOWEST.load(Ordering::Relaxed)..HIGHEST.load(Ordering::Relaxed)).contains(&address)
}

fn take(length: usize) -> Option<Place> {
    let page = region::page::size();
    let length = length.checked_next_multiple_of(page)?;
    let mut free = FREE.lock();
    let places = free.entry(length).or_default();
    if places.is_empty() {
        let whole = length.checked_add(page)?;
        let count = (GROUP * page / whole).max(1);
        // An inaccessible page separates the first place from the host's memory before it.
        let size = whole.checked_mul(count)?.checked_add(page)?;
        // The pages are first mapped accessible: Windows only reserves memory that is mapped inaccessible, and then has no pages to
        // make accessible.
        let mapped = region::alloc(size, Protection::READ_WRITE).ok()?;
        let (base, size) = mapped.into_raw_parts::<u8>();
        // SAFETY: nobody knows these pages yet.
        unsafe { region::protect(base, size, Protection::NONE) }.ok()?;
        let base = base.expose_provenance();
        LOWEST.fetch_min(base, Ordering::Relaxed);
        HIGHEST.fetch_max(base + size, Ordering::Relaxed);
        // The first place goes to the end, because `pop` takes the last.
        places.extend((0..count).rev().map(|index| base + page + index * whole));
    }
    let start = places.pop()?;
    Some(Place { start, length })
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use wsk_sys::{
        ExAllocatePoolWithTag, ExFreePoolWithTag, IoAllocateIrp, IoAllocateMdl, IoFreeIrp,
        IoFreeMdl, POOL_TYPE,
    };

    use crate::Kernel;

    std::thread_local! {
        /// How often this thread has changed the protection of pages.
        pub(super) static CHANGES: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn an_object_costs_two_changes_of_protection() {
        let kernel = Kernel::boot();
        let before = CHANGES.get();
        for _ in 0..100 {
            // SAFETY: each is freed once, by the function for it.
            unsafe {
                let block = ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, 100, 1);
                let mdl = IoAllocateMdl(block, 100, 0, 0, core::ptr::null_mut());
                let irp = IoAllocateIrp(1, 0);
                IoFreeIrp(irp);
                IoFreeMdl(mdl);
                ExFreePoolWithTag(block, 1);
            }
        }
        assert_eq!(CHANGES.get() - before, 100 * 3 * 2);
        kernel.shutdown();
    }
}
