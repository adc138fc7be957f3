//! The examples of the repository's README, which compile as they stand.

#![cfg(doctest)]
#![doc = include_str!("../../../README.md")]
