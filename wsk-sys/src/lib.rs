//! Raw bindings to Winsock Kernel (WSK), the socket interface of the Windows kernel, and to the parts of WDM and Winsock
//! that its clients need.
//!
//! `wsk-codegen` writes everything under `generated` from the headers, and the result is committed: building this crate needs
//! neither a WDK nor libclang, on any host. Functions that are macros or inline functions in C are here in Rust, under the same
//! names. For sockets that are safe to use see the crate `wsk`.
//!
//! # Names and types
//!
//! Names are those of the C headers' typedefs (`WSK_BUF`, not `_WSK_BUF`). Integers have the widths that Windows gives them
//! whatever the host, pointer typedefs also exist as aliases (`PWSK_SOCKET`), enumerations are newtypes with associated
//! constants, and [`NTSTATUS`] is a newtype that knows the name and meaning of its values.
//!
//! # Linking
//!
//! In a driver, which is built for Windows with `panic = "abort"`, the functions are imported by `raw-dylib` from
//! `netio.sys`, `ntoskrnl.exe` and `hal.dll`: no import library is needed. A build with unwinding is an ordinary program, on Windows too. There
//! the functions are left to the linker, and the crate `wsk-host` provides them, so that driver code runs in ordinary tests.
//!
//! # Features
//!
//! `dispatch` derives typed wrappers of the dispatch tables with `wsk-macros`: a method for each entry, with references to
//! counted buffers as slices, optional pointers as `Option`, reserved parameters gone, and an error where a provider has no
//! such entry.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "wsk-sys binds the 64-bit Windows kernel: build for a 64-bit target such as x86_64-pc-windows-msvc"
);

// Derived code refers to this crate by its name.
#[cfg(feature = "dispatch")]
extern crate self as wsk_sys;

#[cfg(feature = "dispatch")]
mod dispatch;
#[allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    clippy::pedantic,
    clippy::missing_safety_doc,
    clippy::upper_case_acronyms,
    clippy::undocumented_unsafe_blocks
)]
#[rustfmt::skip]
mod generated;
mod guid;
mod host_kernel;
#[allow(non_snake_case)]
mod inline;
mod ntstatus;
#[allow(non_upper_case_globals)]
mod object_type;
mod version;

#[cfg(feature = "dispatch")]
pub use dispatch::DispatchError;
pub use generated::*;
pub use guid::NPI_WSK_INTERFACE_ID;
#[doc(hidden)]
pub use host_kernel::host_kernel;
pub use inline::*;
pub use ntstatus::NTSTATUS;
pub use object_type::PsThreadType;
pub use version::{ntddi_of_build, tables_of_build};

/// Implements `Default` for C structures, with all bytes zero.
macro_rules! zeroed_default {
    ($($record:ident),* $(,)?) => {$(
        impl Default for $record {
            /// The structure with every byte zero, as after C's `= { 0 }`.
            fn default() -> Self {
                // SAFETY: the generator calls this for records of the C headers only. Their members are integers, raw
                // pointers, optional function pointers, newtypes of integers, and arrays and records of these; all of them
                // may be zero.
                unsafe { core::mem::zeroed() }
            }
        }
    )*};
}
pub(crate) use zeroed_default;
