//! A table within a table is a pointer.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

pub struct Y_DISPATCH;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(client)]
pub struct X_DISPATCH {
    #[dispatch(table)]
    pub Listen: *mut Y_DISPATCH,
}

fn main() {}
