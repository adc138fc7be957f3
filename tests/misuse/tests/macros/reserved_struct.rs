//! The macro knows no value to pass for a reserved structure.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
pub struct GUID(u128);

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(Reserved)] Id: GUID))]
    pub Entry: Option<unsafe extern "system" fn(GUID)>,
}

fn main() {}
