//! What the programs in `tests/programs` and their right forms in `tests/twins` have around them: a machine to run on, which
//! is the host kernel with a bound WSK socket, and threads as a driver starts them with `PsCreateSystemThread`.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use wsk::{
    ConnectedSocket, DatagramSocket, Error, Family, ListenSocket, Provider, Registration, Wait,
};
use wsk_host::{Completion, Kernel};

/// A machine as a program finds it.
pub struct Machine {
    /// A socket that is bound.
    pub socket: DatagramSocket,
    /// A connection to somebody who reads nothing.
    pub connected: ConnectedSocket,
    /// A socket that listens, to which somebody has connected.
    pub listening: ListenSocket,
    /// What opens others.
    pub provider: Provider,
    /// Somebody who may be sent to.
    pub to: SocketAddr,
}

/// Runs `body` on a machine whose provider completes IRPs at once, and on one where it does so later. Both must be left as they
/// were found.
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
    socket.bind("127.0.0.1:0".parse().expect("an address"))?;
    let to = peer.local_addr().expect("it was bound");
    let server = TcpListener::bind("127.0.0.1:0").expect("the host has TCP");
    let remote = server.local_addr().expect("it was bound");
    let connected = ConnectedSocket::connect(&provider, remote)?;
    let _server = server.accept().expect("it was connected to");
    let listening = ListenSocket::open(&provider, Family::V4)?;
    listening.bind("127.0.0.1:0".parse().expect("an address"))?;
    let _client = TcpStream::connect(listening.local_address()?).expect("it listens");
    let machine = Machine {
        socket,
        connected,
        listening,
        provider,
        to,
    };
    let done = body(&machine);
    // The machine before the registration, which waits for what is left of it.
    drop(machine);
    done
}

/// Runs `body` on another thread, which ends before this returns.
///
/// # Panics
///
/// When `body` does.
pub fn on_another_thread<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| threads.spawn(body).join().expect("the thread's body"))
}

/// Runs `one` and `other` at the same time, each on a thread of its own; both have ended when this returns.
///
/// # Panics
///
/// When one of them does.
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

/// Runs `body` on two threads at the same time, which have ended when this returns; what the first gave.
///
/// # Panics
///
/// When `body` does.
pub fn within_threads<T: Send>(body: impl Fn() -> T + Sync) -> T {
    on_two_threads(&body, &body).0
}
