//! The second pass: reads the headers with clang.

pub(crate) mod corrections;
mod describe;
pub(crate) mod directives;
pub(crate) mod facts;
pub(crate) mod fields;
mod language;
pub(crate) mod macros;
pub(crate) mod names;
pub(crate) mod parse;
pub(crate) mod reader;
pub(crate) mod sal;
mod shape;
mod spell;
pub(crate) mod tables;
