//! Only client tables point to other tables.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

pub struct Y_DISPATCH;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(table)]
    pub Listen: *const Y_DISPATCH,
}

fn main() {}
