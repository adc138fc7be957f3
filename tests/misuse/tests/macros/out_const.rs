//! A pointer for output is not `*const`.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(Out)] Length: *const u32))]
    pub Entry: Option<unsafe extern "system" fn(*const u32)>,
}

fn main() {}
