//! Dispatch tables for the tests of `wsk-macros`: some are like WSK's, with small types behind the pointers, and two have every
//! SAL annotation.

#![allow(
    clippy::upper_case_acronyms,
    dead_code,
    non_camel_case_types,
    non_snake_case,
    unreachable_pub
)]

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
