//! Brings what is new or different in a new kit's `wsk.h` into our own headers.

mod draft;
mod edit;
pub mod plan;
