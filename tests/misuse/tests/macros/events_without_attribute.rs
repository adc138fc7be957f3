//! Without the attribute, no constants name the methods of the implementation.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(client)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(In)] Socket: *mut u8) -> i32)]
    pub Entry: Option<unsafe extern "system" fn(*mut u8) -> i32>,
}

struct Driver;

// SAFETY: does nothing.
unsafe impl XDispatchEvents for Driver {
    unsafe fn entry(_: core::ptr::NonNull<u8>) -> i32 {
        0
    }
}

fn main() {}
