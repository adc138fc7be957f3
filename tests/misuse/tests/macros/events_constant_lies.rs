//! A constant for a method that does not exist: only a constant written by hand can be wrong.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::{Dispatch, dispatch_events};

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(client)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(In)] Value: u32))]
    pub XEvent: Option<unsafe extern "system" fn(u32)>,
}

struct Driver;

// SAFETY: it has no method.
#[dispatch_events]
unsafe impl XDispatchEvents for Driver {
    const HAS_X_EVENT: bool = true;
}

fn main() {
    assert!(x_dispatch_table::<Driver>().XEvent.is_none());
}
