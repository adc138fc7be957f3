//! What a new kit's `wsk.h` has more or otherwise, taken over into our own headers.

mod draft;
mod edit;
pub mod plan;
