//! A base table is the first member.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct Y_DISPATCH {}

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(value)]
    pub Version: u16,
    #[dispatch(base)]
    pub Basic: Y_DISPATCH,
}

fn main() {}
