//! Dispatch tables for the tests of `wsk-macros`: some shaped as WSK's are, with little behind the pointers, and two
//! that have every SAL annotation. What is derived for them is public, so every lint for libraries sees it.
//!
//! A constant that says that there is a method has to be right. It is only wrong when written by hand, and then the table
//! can't be built:
//!
//! ```compile_fail,E0080
//! use wsk_macros::dispatch_events;
//! use wsk_macros_tests::client::{WskClientListenDispatchEvents, wsk_client_listen_dispatch_table};
//!
//! struct Driver;
//!
//! // SAFETY: has no method.
//! #[dispatch_events]
//! unsafe impl WskClientListenDispatchEvents for Driver {
//!     const HAS_WSK_INSPECT_EVENT: bool = true;
//! }
//!
//! wsk_client_listen_dispatch_table::<Driver>();
//! ```
//!
//! The same without the constant builds:
//!
//! ```
//! use wsk_macros::dispatch_events;
//! use wsk_macros_tests::client::{WskClientListenDispatchEvents, wsk_client_listen_dispatch_table};
//!
//! struct Driver;
//!
//! // SAFETY: has no method.
//! #[dispatch_events]
//! unsafe impl WskClientListenDispatchEvents for Driver {}
//!
//! assert!(wsk_client_listen_dispatch_table::<Driver>().WskInspectEvent.is_none());
//! ```
#![no_std]
#![allow(non_camel_case_types, non_snake_case)]

pub mod client;
pub mod provider;

use core::ffi::c_void;

/// Status of a call.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NTSTATUS(pub i32);

/// Decision on a connection.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WSK_INSPECT_ACTION(pub i32);

/// Socket.
#[repr(C)]
pub struct WSK_SOCKET {
    /// The table that goes with it.
    pub Dispatch: *const c_void,
}

/// I/O request packet.
#[repr(C)]
pub struct IRP {
    /// Bytes transferred.
    pub Information: usize,
}

/// Address.
#[repr(C)]
pub struct SOCKADDR {
    /// Address family.
    pub sa_family: u16,
}

/// Header of control information.
#[repr(C)]
pub struct CMSGHDR {
    /// Bytes with the data.
    pub cmsg_len: usize,
}
