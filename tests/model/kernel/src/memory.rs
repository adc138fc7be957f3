//! Pool, and the order of its uses. Using memory while it is freed is a data race; using it later is a panic.

use core::ffi::c_void;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use loom::cell::UnsafeCell;
use real::POOL_TYPE;

/// A block of pool. Freeing it counts as a write, and using it as a read.
struct Block {
    size: usize,
    freed: std::cell::Cell<bool>,
    used: UnsafeCell<()>,
}

#[derive(Default)]
struct Memory {
    blocks: BTreeMap<usize, Rc<Block>>,
    /// Places that one thread at a time may write, by address.
    places: HashMap<usize, Rc<UnsafeCell<()>>>,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("no block is that large")
}

/// Frees what the last execution has left.
pub(crate) fn begin() {
    let memory = MEMORY.take();
    for (address, block) in memory.blocks {
        let place = core::ptr::with_exposed_provenance_mut(address);
        // SAFETY: it was allocated with this layout, and the execution that used it has ended.
        unsafe { dealloc(place, layout(block.size)) };
    }
}

/// The number of blocks that were not freed.
#[must_use]
pub fn left() -> usize {
    MEMORY.with_borrow(|memory| {
        let blocks = memory.blocks.values();
        blocks.filter(|block| !block.freed.get()).count()
    })
}

/// `ExAllocatePoolWithTag`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[must_use]
pub unsafe fn ExAllocatePoolWithTag(_: POOL_TYPE, size: usize, _: u32) -> *mut c_void {
    assert!(size > 0, "a block of no bytes");
    // SAFETY: the size is not zero.
    let block = unsafe { alloc_zeroed(layout(size)) };
    let state = Block {
        size,
        freed: std::cell::Cell::new(false),
        used: UnsafeCell::new(()),
    };
    MEMORY.with_borrow_mut(|memory| {
        memory
            .blocks
            .insert(block.expose_provenance(), Rc::new(state))
    });
    block.cast()
}

/// `ExFreePoolWithTag`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn ExFreePoolWithTag(block: *mut c_void, _: u32) {
    let state = block_of(block.addr()).expect("a block of pool");
    assert!(!state.freed.get(), "memory was freed twice");
    state.used.with_mut(|_| state.freed.set(true));
}

fn block_of(address: usize) -> Option<Rc<Block>> {
    MEMORY.with_borrow(|memory| {
        let (start, block) = memory.blocks.range(..=address).next_back()?;
        (address < start + block.size).then(|| block.clone())
    })
}

/// Uses the memory at an address.
///
/// # Panics
///
/// When it was freed.
pub fn touch(address: usize) {
    if let Some(block) = block_of(address) {
        block.used.with(|_| {});
        assert!(!block.freed.get(), "memory was used after it was freed");
    }
}

fn place(address: usize) -> Rc<UnsafeCell<()>> {
    touch(address);
    MEMORY.with_borrow_mut(|memory| {
        let new = || Rc::new(UnsafeCell::new(()));
        memory.places.entry(address).or_insert_with(new).clone()
    })
}

/// Reads a place that nobody writes meanwhile.
pub fn read<R>(address: usize, read: impl FnOnce() -> R) -> R {
    place(address).with(|_| read())
}

/// Writes a place that nobody else uses meanwhile.
pub fn write<R>(address: usize, write: impl FnOnce() -> R) -> R {
    place(address).with_mut(|_| write())
}
