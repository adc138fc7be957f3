//! Stands in for wdk-alloc, which needs a WDK to build: what the template names of it, and no more.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};

pub struct WdkAllocator;

// SAFETY: there is no memory.
unsafe impl GlobalAlloc for WdkAllocator {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
