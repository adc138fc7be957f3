//! A key appears once in all attributes of a member.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(irql = "PASSIVE_LEVEL", irql = "<= APC_LEVEL", entry = fn() -> i32)]
    pub Entry: Option<unsafe extern "system" fn() -> i32>,
    #[dispatch(entry = fn() -> i32)]
    #[dispatch(entry = fn() -> i32)]
    pub Other: Option<unsafe extern "system" fn() -> i32>,
}

fn main() {}
