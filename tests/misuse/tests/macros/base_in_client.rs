//! Only a provider table can begin with another table.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

pub struct Y_DISPATCH;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(client)]
pub struct X_DISPATCH {
    #[dispatch(base)]
    pub Basic: Y_DISPATCH,
}

fn main() {}
