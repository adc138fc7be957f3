//! The first pass: finds the headers, and clang.

pub(crate) mod checksum;
pub mod corrections;
pub mod kit;
pub(crate) mod libclang;
pub mod ntddi;
mod overlay;
pub(crate) mod shipped;
pub(crate) mod source;
