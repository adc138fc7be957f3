//! The environment of the programs in `tests/programs` and of their correct forms in `tests/twins`: a machine, which is the host
//! kernel with a bound WSK socket, and threads like those that a driver starts with `PsCreateSystemThread`.

use std::marker::PhantomData;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ptr::NonNull;

use wsk::{
    ConnectedSocket, DatagramSocket, Error, Family, ListenSocket, NonPagedBuffer, Provider,
    Registration, Wait,
};
use wsk_host::{Completion, Kernel};
use wsk_sys::{IoAllocateMdl, IoFreeMdl, MDL, MmBuildMdlForNonPagedPool};

/// The machine for a program.
pub struct Machine {
    /// A bound socket.
    pub socket: DatagramSocket,
    /// A connection to a peer that reads nothing.
    pub connected: ConnectedSocket,
    /// A listening socket to which a peer has connected.
    pub listening: ListenSocket,
    /// The provider, to open other sockets.
    pub provider: Provider,
    /// An address to send to.
    pub to: SocketAddr,
}

/// Runs `body` on a machine whose provider completes IRPs at once, and on one whose provider completes them later. `body` must
/// leave nothing behind.
///
/// # Panics
///
/// When `body` fails, or leaves something behind.
pub fn on_each_machine(body: impl Fn(&Machine) -> Result<(), Error>) {
    for policy in [Completion::Inline, Completion::Deferred] {
        let kernel = Kernel::builder()
            .completion(policy)
            .backtraces(false)
            .boot();
        on_one_machine(&body).unwrap_or_else(|error| panic!("{policy:?}: {error}"));
        kernel.shutdown();
    }
}

fn on_one_machine(body: impl Fn(&Machine) -> Result<(), Error>) -> Result<(), Error> {
    let peer = UdpSocket::bind("127.0.0.1:0").expect("the host has a loopback interface");
    let registration = Registration::new()?;
    let provider = registration.capture(Wait::Forever)?;
    let socket = DatagramSocket::open(&provider, Family::V4)?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().expect("an address"))?;
    let to = peer.local_addr().expect("it was bound");
    let server = TcpListener::bind("127.0.0.1:0").expect("the host has TCP");
    let remote = server.local_addr().expect("it was bound");
    let connected = ConnectedSocket::connect(&provider, remote).wait()?;
    let _server = server.accept().expect("it was connected to");
    let listening = ListenSocket::open(&provider, Family::V4)?;
    listening.bind("127.0.0.1:0".parse::<SocketAddr>().expect("an address"))?;
    let _client = TcpStream::connect(listening.local_address()?).expect("it listens");
    let machine = Machine {
        socket,
        connected,
        listening,
        provider,
        to,
    };
    let done = body(&machine);
    // The machine is dropped before the registration, which waits for everything that was made with it.
    drop(machine);
    done
}

/// An MDL of the driver, over nonpaged pool.
///
/// # Invariants
///
/// It was built for nonpaged pool that outlives this value, and nobody else frees it.
pub struct DriversMdl<'b> {
    mdl: NonNull<MDL>,
    over: PhantomData<&'b NonPagedBuffer>,
}

impl<'b> DriversMdl<'b> {
    /// An MDL over all of a buffer.
    ///
    /// # Panics
    ///
    /// When there is no memory for it.
    #[must_use]
    pub fn over(buffer: &'b NonPagedBuffer) -> Self {
        let length = u32::try_from(buffer.len()).expect("a length");
        let start = buffer.as_slice().as_ptr().cast_mut().cast();
        // SAFETY: the MDL belongs to this function, and describes nonpaged pool.
        let mdl = unsafe {
            let mdl = IoAllocateMdl(start, length, 0, 0, std::ptr::null_mut());
            MmBuildMdlForNonPagedPool(mdl);
            mdl
        };
        // INVARIANT: built above, over the borrowed buffer.
        Self {
            mdl: NonNull::new(mdl).expect("an MDL"),
            over: PhantomData,
        }
    }

    /// The MDL, without others in its chain.
    #[must_use]
    pub const fn first(&self) -> NonNull<MDL> {
        self.mdl
    }
}

impl Drop for DriversMdl<'_> {
    fn drop(&mut self) {
        // SAFETY: by the invariant it is freed only here.
        unsafe { IoFreeMdl(self.mdl.as_ptr()) };
    }
}

/// Runs `body` on another thread, which ends before this returns.
///
/// # Panics
///
/// When `body` panics.
pub fn on_another_thread<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| threads.spawn(body).join().expect("the thread's body"))
}

/// Runs `one` and `other` at the same time, each on a thread of its own; both have ended when this returns.
///
/// # Panics
///
/// When one of them panics.
pub fn on_two_threads<T: Send>(
    one: impl FnOnce() -> T + Send,
    other: impl FnOnce() -> T + Send,
) -> (T, T) {
    std::thread::scope(|threads| {
        let (one, other) = (threads.spawn(one), threads.spawn(other));
        let one = one.join().expect("the thread's body");
        (one, other.join().expect("the thread's body"))
    })
}

/// Runs `body` on two threads at the same time, which have ended when this returns. Returns the result of the first.
///
/// # Panics
///
/// When `body` panics.
pub fn within_threads<T: Send>(body: impl Fn() -> T + Sync) -> T {
    on_two_threads(&body, &body).0
}

/// Compiles the examples of the repository's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
