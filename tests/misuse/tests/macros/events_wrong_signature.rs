//! A method has the parameters of C instead of those of the trait.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::{Dispatch, dispatch_events};

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(client)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(In)] Socket: *mut u8) -> i32)]
    pub Entry: Option<unsafe extern "system" fn(*mut u8) -> i32>,
}

struct Driver;

// SAFETY: does nothing.
#[dispatch_events]
unsafe impl XDispatchEvents for Driver {
    unsafe fn entry(_: *mut u8) -> i32 {
        0
    }
}

fn main() {}
