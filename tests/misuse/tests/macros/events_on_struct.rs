//! The attribute is for implementations of a trait.
#![allow(non_camel_case_types, non_snake_case)]

use wsk_macros::dispatch_events;

#[dispatch_events]
struct Driver;

fn main() {}
