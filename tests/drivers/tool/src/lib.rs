//! Builds and examines the sample drivers in the form that Windows loads, and loads them in Wine, whose Winsock Kernel is
//! independent of this project.

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
