//! Holds `wsk-sys` against other witnesses: the facts read off a real WDK, and the C of the headers compiled by clang.
//!
//! The checks are tests; the library is what they share with the build script and with the runner of all checks.

mod clang;
pub mod declared;
pub mod facts;
pub mod layout;

pub use clang::clang;
