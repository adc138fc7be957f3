//! An output parameter is a pointer.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(Out)] Length: u32, #[sal(Inout)] Irp: PIRP))]
    pub Entry: Option<unsafe extern "system" fn(u32, *mut u8)>,
}

fn main() {}
