//! Only entries have `since` and `irql`.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(value, since = 0x0A000003)]
    pub Version: u16,
    #[dispatch(irql = "PASSIVE_LEVEL", reserved)]
    pub Reserved: u16,
}

fn main() {}
