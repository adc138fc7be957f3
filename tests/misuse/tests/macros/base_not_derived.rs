//! A base table derives `Dispatch`, too.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
pub struct Y_DISPATCH {
    pub Value: u8,
}

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(base)]
    pub Basic: Y_DISPATCH,
}

fn main() {}
