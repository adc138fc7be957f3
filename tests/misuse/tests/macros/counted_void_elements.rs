//! Elements of `c_void` have no size, so they cannot be counted.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(In_reads(Length))] Data: *const core::ffi::c_void, #[sal(In)] Length: u32))]
    pub Entry: Option<unsafe extern "system" fn(*const u8, u32)>,
}

fn main() {}
