//! Pool: blocks of uninitialised memory, which are counted.

use core::ffi::c_void;
use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::sync::Mutex;

use wsk_sys::POOL_TYPE;

use crate::lock;

/// The sizes of the blocks that exist, by address.
static BLOCKS: Mutex<Option<HashMap<usize, usize>>> = Mutex::new(None);

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("no block is that large")
}

/// `ExAllocatePoolWithTag`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn ExAllocatePoolWithTag(_: POOL_TYPE, size: usize, _: u32) -> *mut c_void {
    assert!(size > 0, "a block of no bytes");
    // SAFETY: the size is not zero.
    let block = unsafe { alloc(layout(size)) };
    lock(&BLOCKS)
        .get_or_insert_default()
        .insert(block.addr(), size);
    block.cast()
}

/// `ExFreePoolWithTag`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn ExFreePoolWithTag(block: *mut c_void, _: u32) {
    let size = lock(&BLOCKS)
        .get_or_insert_default()
        .remove(&block.addr())
        .expect("a block of pool that exists");
    // SAFETY: it was allocated with this layout, and was removed from the table.
    unsafe { dealloc(block.cast(), layout(size)) };
}

/// Forgets the blocks that are left. Returns their number.
pub(crate) fn clear() -> usize {
    lock(&BLOCKS).take().map_or(0, |blocks| blocks.len())
}
