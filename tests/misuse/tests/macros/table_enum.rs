//! A table is a struct.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub enum X_DISPATCH {
    Entry,
}

fn main() {}
