//! A user-mode stand-in for the part of the Windows kernel that Winsock Kernel (WSK) clients use.
//!
//! A driver that uses WSK calls `ntoskrnl.exe` for IRPs, MDLs, events and memory, and `netio.sys` for sockets. This crate
//! exports the same symbols with the same layouts and the same manners, over the real sockets of the host: link it into
//! `cargo test`, and driver code, in Rust through `wsk-sys` or `wsk` or in C, runs unchanged on any machine.
//!
//! ```
//! use wsk_host::Kernel;
//!
//! let kernel = Kernel::boot();
//! kernel.on_event(|event| println!("{event}"));
//! // ... code that registers with WSK, opens sockets, sends and receives ...
//! kernel.shutdown();
//! ```
//!
//! # It is suspicious
//!
//! As Driver Verifier does, the host kernel stops the system at the first broken rule, with the bug check that Windows
//! would raise, the rule in words, and the history of the objects involved:
//!
//! - Memory: each block of pool, IRP, MDL, indication and socket has [pages of its own](Builder::special_pool) and is
//!   inaccessible beyond its end, and once it is freed. A pointer to nothing is told in the same way.
//! - Memory of the wrong kind: what isn't nonpaged and has to be, what can't be locked or written, paged pool at
//!   `DISPATCH_LEVEL`, the stack of a function that has returned.
//! - What is in flight: an IRP completed twice, freed, reused or sent again; an MDL freed, unlocked, rebuilt or changed, and
//!   pages unlocked that are used through a partial one; memory freed or written.
//! - What WSK keeps pointers to: registrations, dispatch tables and contexts that are freed or changed.
//! - IRQL, spin locks and the order in which they are taken; answers of event callbacks; waits that never end, while
//!   nothing else happens for the [patience](Builder::patience) of the kernel.
//! - What a driver leaves behind when it is unloaded.
//!
//! The `README` has the table of all rules. A test that expects a bug check uses [`testing::expect_bugcheck`]. What is left
//! behind in the end is listed by [`Kernel::shutdown`].
//!
//! # It is hostile on demand
//!
//! [`Builder::completion`] chooses when IRPs complete; [`Kernel::fail_nth_allocation`] and its kin make things fail;
//! [`Kernel::force_close_sockets`] makes sockets useless; [`Builder::network`] loses, duplicates and reorders datagrams, and
//! [`Builder::scattered_indications`] gives what arrives in pieces.
//!
//! # What its sockets do
//!
//! They are real sockets of the host, and other programs talk to them:
//!
//! - **Datagram** sockets over UDP: binding, sending (control information included), receiving, `WskReceiveFromEvent`,
//!   fixed remote addresses.
//! - **Connection** sockets over TCP: `WskBind`, `WskConnect`, `WskConnectEx`, `WskSocketConnect`, `WskSend`, `WskReceive`
//!   (`WSK_FLAG_WAITALL`, `WSK_FLAG_DRAIN`), `WskSendEx` and `WskReceiveEx`, graceful and abortive `WskDisconnect`,
//!   `WskReceiveEvent`, its extended form and `WskDisconnectEvent`, `WskRelease`. TCP has no control information, unless
//!   [the test](Builder::control_on_connections) has some. The ideal send backlog is how much the host's socket keeps, or what
//!   [the test](Kernel::set_ideal_send_backlog) says; changes call `WskSendBacklogEvent`. Urgent data is sent with
//!   `WSK_FLAG_OOB`, and received inline. `SIO_WSK_SET_TCP_SILENT_MODE`, where there is
//!   [no loopback](Builder::loopback_is_remote); the host still acknowledges what the peer sends.
//! - **Listening** sockets: `WskAccept`, `WskAcceptEvent` with the events that accepted sockets inherit, conditional
//!   acceptance (`SO_CONDITIONAL_ACCEPT`, `WskInspectEvent`, `WskInspectComplete`). Hosts finish the handshake by
//!   themselves, so a rejected peer sees a connection that is reset, and `WskAbortEvent` comes when the peer resets it.
//! - **Stream** sockets, which become connection or listening sockets, from Windows 10, version 1703 on.
//! - **Basic** sockets: options and I/O control operations of UDP or TCP.
//! - **Names**: `WskGetAddressInfo`, `WskFreeAddressInfo` and `WskGetNameInfo` by the host's resolver. Numbers, `localhost`
//!   and names under `invalid` are answered without it, so that tests don't need a network.
//!
//! Sends complete when the host has taken all data; a graceful disconnect completes when the peer has acknowledged all of
//! it. Cancelling a send that the host has taken a part of aborts the connection. Where the documentation names no status:
//! `STATUS_CONNECTION_DISCONNECTED` for sending after a graceful disconnect, `STATUS_CONNECTION_ABORTED` after an abortive
//! one, `STATUS_CONNECTION_RESET` after one by the peer, `STATUS_INVALID_DEVICE_STATE` before the socket is connected.
//!
//! # Whole drivers
//!
//! [`Kernel::driver`] loads a driver by its `DriverEntry`, with parameters in its registry key, and unloads it by its
//! `DriverUnload`. What it prints with `DbgPrint` is told as [`What::Print`], filled in.
//!
//! # Linking
//!
//! A build with unwinding is a test, and `wsk-sys` leaves its functions to this crate. A build with `panic = "abort"` is a driver, and imports
//! from the kernel. Cargo builds tests with unwinding, whatever the profile says, so there is nothing to switch.
//!
//! Cargo links no crate that is only named in `Cargo.toml`: a test that uses nothing else of this one has `use wsk_host as _;`. Otherwise the
//! linker lists functions that are missing, one of them with a name that says so: `wsk_host_is_missing__...`.
//!
//! # Hosts
//!
//! Linux is where it is used most. On Windows, 10 version 1703 or later, control information of datagrams is what Windows' own sockets
//! make of it; an option that they lack fails with `STATUS_NOT_SUPPORTED`. Hosts with the sockets of BSD, macOS among them, have
//! ancillary data of their own, which is translated.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_ptr_alignment,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "memory and numbers here have the widths and the looseness of the C interface"
)]
#![allow(
    clippy::similar_names,
    reason = "irp and irql, mdl and mdls are the words of the trade"
)]

#[cfg(all(windows, not(panic = "unwind")))]
compile_error!(
    "wsk-host is for programs that unwind: with panic = \"abort\" wsk-sys imports from the kernel of Windows, which wsk-host stands \
     in for. It is a dev-dependency of a driver, and tests are built with unwinding"
);

#[macro_use]
mod export;

mod address_space;
mod bugcheck;
mod clock;
mod data;
mod debug_print;
mod device;
mod driver;
mod event;
mod exceptions;
mod executive;
mod faults;
mod flight;
mod irp;
mod irql;
mod kernel;
mod lock_order;
mod mdl;
mod names;
mod nmr;
mod origin;
mod overlap;
mod page_fault;
mod parking;
mod pool;
mod range;
mod registry;
mod rtl;
mod schedule;
mod spinlock;
mod stack_places;
mod system;
mod table;
pub mod testing;
mod thread;
mod trace;
mod upcall;
mod wait_several;
mod waits;
mod wsk;

pub use bugcheck::BugCheckCode;
pub use driver::{Driver, DriverEntry, LoadedDriver};
pub use faults::{Network, Resource};
pub use irql::{
    APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL, at_irql, current as current_irql,
};
pub use kernel::{Builder, Counts, Kernel, Leaks};
pub use pool::Count;
pub use registry::RegistryValue;
pub use schedule::Completion;
pub use trace::{Event, IrpStep, What};
pub use wsk::{Deviation, UnknownName};
