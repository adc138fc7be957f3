//! Tests of the derived code: what the calls of providers' tables pass, what the methods for clients' tables receive, and the
//! messages of errors.

mod client;
mod error;
mod provider;
mod tables;
