//! A required pointer is not optional.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[repr(C)]
#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    #[dispatch(entry = fn(#[sal(In)] Socket: *mut u8) -> i32)]
    pub Entry: Option<unsafe extern "system" fn(*mut u8) -> i32>,
}

/// # Safety
///
/// The table is valid.
pub unsafe fn call(table: XDispatch) {
    // SAFETY: the entry asks for a valid socket, which NULL is not.
    let _ = unsafe { table.entry(None) };
}

fn main() {}
