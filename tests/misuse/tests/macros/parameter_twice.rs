//! No two parameters have the same name.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(Flags: u32, Flags: u32))]
    pub Entry: Option<unsafe extern "system" fn(u32, u32)>,
}

fn main() {}
