//! The macro compares the signature with the type of the member.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(client)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(In)] Socket: *mut u32) -> i32)]
    pub Entry: Option<unsafe extern "system" fn(*mut u8) -> i32>,
}

fn main() {}
