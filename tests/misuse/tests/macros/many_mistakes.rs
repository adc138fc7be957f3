//! All mistakes of a table are reported at once.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::Dispatch;

#[derive(Dispatch)]
#[dispatch(provider)]
pub struct X_DISPATCH {
    pub Version: u16,
    #[dispatch(entry = fn(Socket: *mut u8, #[sal(Reserved)] Id: f64))]
    pub Entry: usize,
    #[dispatch(entry = fn(u32, #[sal(Inn)] Socket: *mut u8))]
    pub Other: usize,
}

fn main() {}
