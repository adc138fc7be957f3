//! The sample drivers as Windows loads them: built, examined, and loaded by Wine, whose Winsock Kernel nobody here wrote.

pub mod build;
pub mod examine;
pub mod exports;
pub mod image;
pub mod interrupt;
pub mod machine;
pub mod mutation;
pub mod toolchain;
pub mod trial;
pub mod wine;
