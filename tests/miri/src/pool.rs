//! Pool: blocks of uninitialised memory, which are counted.

use core::ffi::c_void;
use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::sync::Mutex;

use wsk_sys::POOL_TYPE;

use crate::lock;

/// The sizes of the blocks that are there, by address.
static BLOCKS: Mutex<Option<HashMap<usize, usize>>> = Mutex::new(None);

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("no block is that large")
}

/// `ExAllocatePoolWithTag`.
///
/// # Safety
///
/// That of the function.
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
/// That of the function.
#[unsafe(no_mangle)]
unsafe extern "system" fn ExFreePoolWithTag(block: *mut c_void, _: u32) {
    let size = lock(&BLOCKS)
        .get_or_insert_default()
        .remove(&block.addr())
        .expect("a block of pool that is there");
    // SAFETY: it was allocated with this layout, and is in the table no more.
    unsafe { dealloc(block.cast(), layout(size)) };
}

/// Forgets the blocks that are left; how many there are.
pub(crate) fn clear() -> usize {
    lock(&BLOCKS).take().map_or(0, |blocks| blocks.len())
}
