//! A stand-in for wdk-alloc, which needs a WDK to build. It has only the items that the template uses.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};

pub struct WdkAllocator;

// SAFETY: it allocates no memory.
unsafe impl GlobalAlloc for WdkAllocator {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
