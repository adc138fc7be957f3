//! The last pass: holds what was generated against the headers, and against other releases.

pub mod coverage;
pub mod diff;
pub mod interface;
pub mod report;
pub mod verify;
