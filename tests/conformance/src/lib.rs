//! Compares `wsk-sys` with other sources: the facts from a real WDK, and the C code of the headers compiled by clang.
//!
//! The checks are tests. The library contains the code that they share with the build script and with the runner of all checks.

mod clang;
pub mod declared;
pub mod facts;
pub mod layout;

pub use clang::clang;
