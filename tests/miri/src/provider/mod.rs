//! A WSK provider without a network: data that is sent to a port arrives at the socket with that port.

mod basic;
mod connection;
mod datagram;
mod listening;
mod registration;
mod request;
mod resolution;

use core::ffi::c_void;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;

use wsk_sys::{PFN_WSK_RECEIVE_EX_EVENT, SOCKADDR, SOCKADDR_IN, WSK_SOCKET};

use crate::irp::Irp;
use crate::lock;

pub(crate) use request::{complete_kept, release};

/// How requests for data, connections and names complete. All other requests complete inside their calls or on another thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Inside the call.
    Inline,
    /// On a thread of its own.
    Thread,
    /// Inside the call or on another thread, chosen with this seed.
    Mixed(u64),
    /// When the test says so.
    Held,
    /// Inside the call, with an error, which the call returns, too.
    Refused,
    /// Never: the call returns an error, and the IRP is kept, against the contract.
    Kept,
    /// Like [`Kept`](Self::Kept), and the provider keeps writing to the buffer of a receive.
    KeptAndWritten,
}

/// The kind of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Datagram,
    Connection,
    Listening,
    /// For both, until it connects or listens.
    Stream,
}

/// A pointer of the client.
#[derive(Debug)]
struct Place<T>(*mut T);

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}

// SAFETY: during a request, the memory at a place belongs to the provider, on any thread.
unsafe impl<T> Send for Place<T> {}

/// A socket. Its number is the address of its `WSK_SOCKET`.
#[allow(clippy::struct_excessive_bools)]
struct Socket {
    memory: Place<WSK_SOCKET>,
    kind: Kind,
    context: Place<c_void>,
    callbacks: Place<c_void>,
    /// The enabled events.
    events: u32,
    port: u16,
    /// The port for datagrams without an address.
    fixed: u16,
    /// How many requests and callbacks use it.
    busy: usize,
    closing: Option<Irp>,
    /// Datagrams that nobody has received yet, with the ports of their senders.
    datagrams: VecDeque<(u16, Vec<u8>)>,
    /// Bytes that nobody has received yet.
    bytes: VecDeque<u8>,
    /// Whether the peer sends no more bytes.
    ended: bool,
    reset: bool,
    peer: Option<usize>,
    /// `WskReceiveExEvent`, if it replaces `WskReceiveEvent`.
    receive_ex: PFN_WSK_RECEIVE_EX_EVENT,
    /// Whether a thread serves the socket, and whether another thread has found more to do.
    serving: bool,
    more: bool,
    /// Connections that nobody has accepted yet.
    backlog: VecDeque<usize>,
    /// Whether connections are inspected before they are made.
    conditional: bool,
    /// Connections that are being inspected.
    pended: Vec<usize>,
}

#[derive(Default)]
pub(crate) struct World {
    manner: Option<Manner>,
    random: u64,
    sockets: BTreeMap<usize, Socket>,
    /// Waiting requests, in the order of their arrival.
    waiting: VecDeque<request::Waiting>,
    /// IRPs of requests that were refused and not completed.
    kept: Vec<Irp>,
    /// How many of those were completed after all.
    completions_of_kept: usize,
    threads: Vec<JoinHandle<()>>,
    last_port: u16,
    /// How much longer a call of `WskReceive` takes.
    receives_take: Duration,
    registered: usize,
    captured: usize,
    lists: usize,
}

static WORLD: Mutex<Option<World>> = Mutex::new(None);

/// The world, locked.
struct Locked(MutexGuard<'static, Option<World>>);

impl core::ops::Deref for Locked {
    type Target = World;

    fn deref(&self) -> &World {
        self.0.as_ref().expect("the kernel has started")
    }
}

impl core::ops::DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut World {
        self.0.as_mut().expect("the kernel has started")
    }
}

fn world() -> Locked {
    Locked(lock(&WORLD))
}

impl World {
    /// A number that depends on the seed.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn socket(&mut self, number: usize) -> &mut Socket {
        self.sockets.get_mut(&number).expect("an open socket")
    }

    fn next_port(&mut self) -> u16 {
        self.last_port += 1;
        self.last_port
    }

    /// The socket of this kind with a port.
    fn at_port(&self, kind: Kind, port: u16) -> Option<usize> {
        self.sockets
            .iter()
            .find(|(_, socket)| {
                socket.kind == kind && socket.port == port && socket.closing.is_none()
            })
            .map(|(number, _)| *number)
    }
}

pub(crate) fn boot(manner: Manner) {
    *lock(&WORLD) = Some(World {
        last_port: 1000,
        ..World::default()
    });
    set_manner(manner);
}

pub(crate) fn set_manner(manner: Manner) {
    let mut world = world();
    world.manner = Some(manner);
    if let Manner::Mixed(seed) = manner {
        world.random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    }
}

pub(crate) fn set_length_of_receives(time: Duration) {
    world().receives_take = time;
}

/// Waits for all threads. Nothing may be left.
pub(crate) fn shutdown() {
    let world = leave();
    assert!(world.waiting.is_empty(), "requests are left");
    assert_eq!(world.sockets.len(), 0, "sockets are left");
    assert_eq!(
        (world.registered, world.captured, world.lists),
        (0, 0, 0),
        "registrations, captures and lists are left"
    );
}

/// Waits for all threads. Returns what is left.
pub(crate) fn leave() -> World {
    loop {
        let threads = core::mem::take(&mut world().threads);
        if threads.is_empty() {
            break;
        }
        for thread in threads {
            thread.join().expect("no request has failed");
        }
    }
    lock(&WORLD).take().expect("the kernel has started")
}

/// The port of an address of the client.
///
/// # Safety
///
/// It points at an IPv4 or IPv6 address, or is null.
unsafe fn port_of(address: *const SOCKADDR) -> Option<u16> {
    if address.is_null() {
        return None;
    }
    // SAFETY: the port is at the same offset in both.
    Some(u16::from_be(unsafe {
        (*address.cast::<c_void>().cast::<SOCKADDR_IN>()).sin_port
    }))
}

/// Writes an IPv4 address with this port, unless the pointer is null.
///
/// # Safety
///
/// It is null, or has room for the address.
unsafe fn write_address(place: *mut SOCKADDR, port: u16) {
    if !place.is_null() {
        let place = place.cast::<c_void>().cast::<SOCKADDR_IN>();
        // SAFETY: the caller promises this.
        unsafe { place.write(address(port)) };
    }
}

fn address(port: u16) -> SOCKADDR_IN {
    let mut address = SOCKADDR_IN {
        sin_family: wsk_sys::AF_INET,
        sin_port: port.to_be(),
        ..SOCKADDR_IN::default()
    };
    address.sin_addr.S_un.S_addr = u32::from_ne_bytes([127, 0, 0, 1]);
    address
}
