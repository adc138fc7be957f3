//! What is derived: what the calls of providers' tables pass, what the methods for clients' tables get, and what the errors say.

mod client;
mod error;
mod provider;
mod tables;
