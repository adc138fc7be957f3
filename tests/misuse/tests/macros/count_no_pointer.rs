//! A count that is not a pointer has no `*`.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(In_reads_bytes(*Length))] Data: *const u8, #[sal(In)] Length: u32))]
    pub Entry: Option<unsafe extern "system" fn(*const u8, u32)>,
}

fn main() {}
