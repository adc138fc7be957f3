//! What the programs in `tests/programs` and their right forms in `tests/twins` have around them: a machine to run on, which
//! is the host kernel with a bound WSK socket, and threads as a driver starts them with `PsCreateSystemThread`.

use std::net::{SocketAddr, UdpSocket};

use wsk::{DatagramSocket, Error, Family, Provider, Registration, Wait};
use wsk_host::{Completion, Kernel};

/// Runs `body` on a machine whose provider completes IRPs at once, and on one where it does so later. Both must be left as they
/// were found.
///
/// `body` gets a bound socket, the provider to open others, and the address of somebody who may be sent to.
///
/// # Panics
///
/// When `body` fails, or leaves something behind.
pub fn on_each_machine(body: impl Fn(&DatagramSocket, &Provider, SocketAddr) -> Result<(), Error>) {
    for policy in [Completion::Inline, Completion::Deferred] {
        let kernel = Kernel::builder()
            .completion(policy)
            .backtraces(false)
            .boot();
        on_one_machine(&body).unwrap_or_else(|error| panic!("{policy:?}: {error}"));
        kernel.shutdown();
    }
}

fn on_one_machine(
    body: &impl Fn(&DatagramSocket, &Provider, SocketAddr) -> Result<(), Error>,
) -> Result<(), Error> {
    let peer = UdpSocket::bind("127.0.0.1:0").expect("the host has a loopback interface");
    let to = peer.local_addr().expect("it was bound");
    let registration = Registration::new()?;
    let provider = registration.capture(Wait::Forever)?;
    let socket = DatagramSocket::open(&provider, Family::V4)?;
    socket.bind("127.0.0.1:0".parse().expect("an address"))?;
    body(&socket, &provider, to)
}

/// Runs `body` on a thread that outlives its caller, as system threads may, and waits for it.
///
/// # Panics
///
/// When `body` does.
pub fn on_a_system_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(body).join().expect("the thread's body")
}

/// Runs `body` on two threads at once, which end before this returns.
///
/// # Panics
///
/// When `body` does.
pub fn within_threads<T: Send>(body: impl Fn() -> T + Sync) -> T {
    std::thread::scope(|threads| {
        let (one, other) = (threads.spawn(&body), threads.spawn(&body));
        drop(other.join().expect("the thread's body"));
        one.join().expect("the thread's body")
    })
}
