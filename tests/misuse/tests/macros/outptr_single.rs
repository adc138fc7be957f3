//! A parameter that receives a pointer is a pointer to a pointer.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(Outptr)] Result: *mut u32))]
    pub Entry: Option<unsafe extern "system" fn(*mut u32)>,
}

fn main() {}
