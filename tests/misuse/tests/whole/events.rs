//! A client without a method has a table without its entry.
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
unsafe impl XDispatchEvents for Driver {}

fn main() {
    assert!(x_dispatch_table::<Driver>().XEvent.is_none());
}
