//! A small driver in raw `wsk-sys` code, as the tests of the host kernel need it: registration, sockets, buffers, and
//! calls that wait for their IRP.
//!
//! It is safe to use, though it lets a test break the rules of Windows. Two things make it so, and the comments here
//! and in the tests refer to them:
//!
//! - *The kernel knows.* The host kernel finds IRPs, blocks of pool, MDLs to free, sockets, clients, registrations,
//!   lists that it gave out, handles and objects by their address. It looks there before it touches what a pointer
//!   leads to; what it doesn't know, or knows to be in use, ends the process. So they may be named after they are gone.
//! - *Nothing goes too early.* Memory that the kernel may still use is freed by a function of the kernel, which stops
//!   when a call in flight uses it, or is leaked: events, registrations, addresses, contexts. What lies on the stack is
//!   given to calls only that are over before it is.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test program uses a part of what is here"
)]

mod address;
mod call;
mod client;
mod indication;
mod memory;
mod sockets;

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use wsk_host::{Completion, Kernel};
use wsk_sys::WSK_CLIENT_CONNECTION_DISPATCH;

pub use address::{Address, any};
pub use call::{
    Call, Event, allocate_irp, close_handle, conclude, set_routine, start_thread, wait,
};
pub use client::{CLIENT_DISPATCH, Callbacks, Client, Kind, Provider, Registration};
pub use indication::{retained_indication, socket_with_events};
pub use memory::{Buffer, Chain, Data, TAG, indicated_bytes, mdl_of, paged_pool, pool};
pub use sockets::{Accepting, Connection, Listener, Received, Socket, Stream};

/// Bug checks, by the names that a report has.
pub const VERIFIER: &str = "DRIVER_VERIFIER_DETECTED_VIOLATION";
pub const IO_VERIFIER: &str = "DRIVER_VERIFIER_IOMANAGER_VIOLATION";
pub const POOL: &str = "BAD_POOL_CALLER";
pub const FREED: &str = "PAGE_FAULT_IN_FREED_SPECIAL_POOL";

/// Runs `body` with a client on a kernel of each completion policy.
pub fn each_policy(body: impl Fn(&Kernel, &Client)) {
    let policies = [
        Kernel::builder().completion(Completion::Inline),
        Kernel::builder().completion(Completion::Deferred),
        Kernel::builder().completion(Completion::Seeded).seed(1),
        Kernel::builder().completion(Completion::Seeded).seed(2),
        Kernel::builder().completion(Completion::Seeded).seed(3),
        Kernel::builder().completion(Completion::Seeded).seed(4),
    ];
    for policy in policies {
        let kernel = policy.boot();
        let client = Client::new();
        body(&kernel, &client);
        client.leave();
        kernel.shutdown();
    }
}

#[track_caller]
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A socket of the host that datagrams go to and come from.
pub fn datagram_peer(address: &str) -> UdpSocket {
    let peer = UdpSocket::bind(address).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

/// The host's end of a connection, which doesn't wait for ever.
pub fn patient(peer: TcpStream) -> TcpStream {
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

/// A connection socket, and the host's end of its connection.
pub fn pair(client: &Client) -> (Connection, TcpStream) {
    pair_with(client, Callbacks::none())
}

pub fn pair_with(
    client: &Client,
    callbacks: Callbacks<WSK_CLIENT_CONNECTION_DISPATCH>,
) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = client.connected_with(listener.local_addr().unwrap(), callbacks);
    (socket, patient(listener.accept().unwrap().0))
}

/// Makes the host send a reset.
pub fn reset(peer: TcpStream) {
    let peer = socket2::Socket::from(peer);
    peer.set_linger(Some(Duration::ZERO)).unwrap();
}
