//! An entry is a function pointer.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(In)] Socket: *mut u8) -> i32)]
    pub Entry: usize,
}

fn main() {}
