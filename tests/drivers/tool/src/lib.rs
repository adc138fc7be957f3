//! The sample drivers as Windows loads them: built, examined, and loaded by Wine, whose Winsock Kernel nobody here wrote.

pub mod build;
pub mod exports;
pub mod image;
pub mod mutation;
pub mod toolchain;
pub mod wine;
