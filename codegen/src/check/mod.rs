//! The last pass: compares the generated files with the headers and with other releases.

pub mod coverage;
pub mod diff;
pub mod interface;
pub mod report;
pub mod verify;
