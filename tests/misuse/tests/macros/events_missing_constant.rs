//! The table needs a constant that the implementation does not have.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::{Dispatch, dispatch_events};

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(client)]
pub struct X_DISPATCH {
    #[dispatch(value)]
    pub Version: u16,
}

struct Driver;

// SAFETY: does nothing.
#[dispatch_events]
unsafe impl XDispatchEvents for Driver {}

fn main() {}
