//! Winsock Kernel (WSK) sockets for Windows drivers, safe to use.
//!
//! A driver that sends or receives through WSK hands the kernel an IRP, a locked MDL chain, an address and perhaps control
//! information, and must keep all of them untouched until the IRP has completed. The types of this crate make it impossible
//! to do otherwise.
//!
//! ```
//! # // Runs on the host kernel instead of Windows.
//! # let kernel = wsk_host::Kernel::boot();
//! # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
//! # let to = peer.local_addr().unwrap();
//! use core::net::{Ipv4Addr, SocketAddr};
//! use wsk::{DatagramSocket, Family, NonPagedBuffer, Registration, Wait};
//!
//! let registration = Registration::new()?;
//! let provider = registration.capture(Wait::Forever)?;
//! let socket = DatagramSocket::open(&provider, Family::V4)?;
//! socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
//!
//! let buffer = NonPagedBuffer::copy_of(b"hello")?;
//! let sent = socket.send_to(&buffer, to)?;
//! assert_eq!(sent, 5);
//! # let mut got = [0; 16];
//! # assert_eq!(peer.recv(&mut got).unwrap(), 5);
//! # drop((buffer, socket, provider, registration));
//! # kernel.shutdown();
//! # Ok::<(), wsk::Error>(())
//! ```
//!
//! # What holds everywhere
//!
//! * No allocator is needed; the crate is `no_std` and allocates nonpaged pool only where its documentation says so. Running
//!   out is an error.
//! * Nothing panics.
//! * Functions that wait say so, check that they run at `PASSIVE_LEVEL`, and return [`Error::WrongIrql`] elsewhere.
//! * Sockets close when their last handle is dropped, at any IRQL up to `DISPATCH_LEVEL`.

#![no_std]

mod address;
mod buffer;
mod control;
mod datagram;
mod error;
mod events;
mod in_flight;
mod irql;
mod memory;
mod messages;
mod operation;
pub mod option;
mod pool;
mod registration;
mod scope;
mod shared;
mod socket;
mod stack;
mod state;

pub use address::Family;
pub use buffer::{BufferSlice, Extent, Lock, NonPagedBuffer, ReceiveBuffer, SendBuffer};
pub use control::{Control, ControlMessage, ControlMessages, WithControl};
pub use datagram::{DatagramSocket, FixedDatagramSocket, Received};
pub use error::{Call, Error, Memory};
pub use events::{Datagram, Datagrams, Indication, Pieces, ReceiveFromEvent, Retained, Verdict};
pub use in_flight::{Answer, Finished, InFlight, NotStarted, ReceiveFrom, SendTo};
pub use messages::Messages;
pub use pool::{Pool, Pooled};
pub use registration::{Provider, Registration, Wait};
pub use scope::{Scope, ScopedReceive, ScopedSend, scope};
pub use wsk_sys::NTSTATUS;

/// The example of the README, which compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
