//! The part of `wsk-sys` that derived code names.
#![no_std]

#[path = "../../../../wsk-sys/src/dispatch.rs"]
mod dispatch;

pub use dispatch::DispatchError;
