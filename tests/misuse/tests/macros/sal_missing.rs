//! The macro does not guess the annotation of a pointer.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(Socket: *mut u8) -> i32)]
    pub Entry: Option<unsafe extern "system" fn(*mut u8) -> i32>,
}

fn main() {}
