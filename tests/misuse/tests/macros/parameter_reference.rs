//! Pointers are raw.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(In)] Socket: &u8))]
    pub Entry: Option<unsafe extern "system" fn(&u8)>,
}

fn main() {}
