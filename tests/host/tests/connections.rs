//! Connection sockets against ordinary TCP sockets of the host: connecting, sending, receiving, disconnecting, closing,
//! events, cancelling, failures on demand.

#![allow(
    clippy::pedantic,
    clippy::field_reassign_with_default,
    clippy::type_complexity,
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc,
    reason = "raw driver code, as a test"
)]

mod driver;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use driver::*;
use wsk_host::{Completion, Kernel};
use wsk_sys::*;

/// Runs `body` with a client on a kernel of each completion policy.
fn each_policy(body: impl Fn(&Kernel, &Client)) {
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

/// A connected socket and its peer.
fn pair(client: &Client) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = client.connected(listener.local_addr().unwrap());
    (socket, accept(&listener))
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    peer
}

/// Makes the host send a reset.
fn reset(peer: TcpStream) {
    let peer = socket2::Socket::from(peer);
    peer.set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_conversation() {
    each_policy(|kernel, client| {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(local).unwrap();
            let to = listener.local_addr().unwrap();
            let socket = client.bound_connection(local);
            assert_eq!(socket.remote(), Err(STATUS_INVALID_DEVICE_STATE));
            assert_eq!(socket.connect(to), STATUS_SUCCESS);
            let mut peer = accept(&listener);
            assert_eq!(socket.remote(), Ok(to));
            assert_eq!(socket.local(), Ok(peer.peer_addr().unwrap()));

            let request = Buffer::of(b"request");
            assert_eq!(socket.send(&request), (STATUS_SUCCESS, 7));
            let mut bytes = [0; 7];
            peer.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"request");
            peer.write_all(b"answer").unwrap();
            let answer = Buffer::new(64);
            assert_eq!(socket.receive(&answer), (STATUS_SUCCESS, 6));
            assert_eq!(&answer.bytes()[..6], b"answer");

            assert_eq!(socket.disconnect(None, 0), STATUS_SUCCESS);
            assert_eq!(peer.read(&mut bytes).unwrap(), 0, "a graceful end");
            // The other direction still works.
            peer.write_all(b"more").unwrap();
            assert_eq!(socket.receive(&answer), (STATUS_SUCCESS, 4));
            drop(peer);
            assert_eq!(socket.receive(&answer), (STATUS_SUCCESS, 0));
            assert_eq!(socket.receive(&answer), (STATUS_SUCCESS, 0));
            request.free();
            answer.free();
            socket.close();
        }
        assert_eq!(kernel.counts().sockets.live, 0);
    });
}

#[test]
fn a_reset_by_the_peer() {
    each_policy(|_, client| {
        let (socket, peer) = pair(client);
        let buffer = Buffer::new(8);
        let call = Call::new();
        assert_eq!(
            socket.start_receive(&call, &mut buffer.all(), 0),
            STATUS_PENDING
        );
        reset(peer);
        assert_eq!(call.finish(), (STATUS_CONNECTION_RESET, 0));
        assert_eq!(socket.receive(&buffer), (STATUS_CONNECTION_RESET, 0));
        assert_eq!(socket.send(&buffer), (STATUS_CONNECTION_RESET, 0));
        assert_eq!(socket.disconnect(None, 0), STATUS_CONNECTION_RESET);
        buffer.free();
        socket.close();
    });
}

#[test]
fn nobody_listens() {
    each_policy(|kernel, client| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        drop(listener);
        let socket = client.bound_connection("127.0.0.1:0");
        assert_eq!(socket.connect(to), STATUS_CONNECTION_REFUSED);
        let local = "127.0.0.1:0".parse().unwrap();
        assert_eq!(
            client.socket_connect(local, to).err(),
            Some(STATUS_CONNECTION_REFUSED)
        );
        assert_eq!(kernel.counts().sockets.live, 1);
        // Another attempt can succeed.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(
            socket.connect(listener.local_addr().unwrap()),
            STATUS_SUCCESS
        );
        socket.close();
    });
}
