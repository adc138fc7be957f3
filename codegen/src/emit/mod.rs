//! The fourth pass: writes Rust.

pub(crate) mod constant_types;
mod constants;
mod dispatch;
pub(crate) mod document;
mod emitter;
mod enumerations;
pub(crate) mod files;
pub(crate) mod function_macros;
mod functions;
pub(crate) mod generate;
pub mod output;
mod records;
pub mod releases;
mod tidy;
pub(crate) mod types;
