//! The trait is unsafe: its implementation makes a promise.
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

#[dispatch_events]
impl XDispatchEvents for Driver {}

fn main() {}
