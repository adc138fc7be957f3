//! Raw driver code sends to and receives from ordinary sockets of the host, with every completion policy.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use std::net::SocketAddr;

use driver::*;
use wsk_sys::*;

fn there_and_back(
    local: &str,
    remote: &str,
    as_sent_to: impl Fn(SocketAddr) -> SocketAddr,
    configure: impl Fn(&Socket),
) {
    each_policy(|_, client| {
        let peer = datagram_peer(remote);
        let local: SocketAddr = local.parse().unwrap();
        let socket = client.socket(if local.is_ipv4() { AF_INET } else { AF_INET6 });
        configure(&socket);
        assert_eq!(socket.bind(local), STATUS_SUCCESS);
        let own = socket.local().unwrap();
        assert_ne!(own.port(), 0);

        let hello = Buffer::of(b"hello");
        let to = as_sent_to(peer.local_addr().unwrap());
        assert_eq!(socket.send(&hello, Some(to)), (STATUS_SUCCESS, 5));
        let mut bytes = [0; 64];
        let (length, from) = peer.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"hello");
        assert_eq!(from.port(), own.port());

        let answer = Buffer::new(64);
        peer.send_to(b"good morning", from).unwrap();
        let (status, length, received) = socket.receive(&answer);
        assert_eq!((status, length), (STATUS_SUCCESS, 12));
        assert_eq!(&answer.bytes()[..length], b"good morning");
        assert_eq!(received.from(), to);
        assert_eq!((received.control_length, received.flags), (0, 0));

        hello.free();
        answer.free();
        socket.close();
    });
}

#[test]
fn ipv4() {
    there_and_back("127.0.0.1:0", "127.0.0.1:0", |to| to, |_| {});
}

#[test]
fn ipv6() {
    there_and_back("[::1]:0", "[::1]:0", |to| to, |_| {});
}

#[test]
fn dual_mode() {
    let mapped = |to: SocketAddr| match to {
        SocketAddr::V4(to) => SocketAddr::new(to.ip().to_ipv6_mapped().into(), to.port()),
        SocketAddr::V6(_) => unreachable!(),
    };
    there_and_back("[::]:0", "127.0.0.1:0", mapped, |socket| {
        assert_eq!(
            socket.get_option(IPPROTO::IPPROTO_IPV6.0.cast_unsigned(), IPV6_V6ONLY),
            Ok(1)
        );
        assert_eq!(
            socket.set_option(IPPROTO::IPPROTO_IPV6.0.cast_unsigned(), IPV6_V6ONLY, 0),
            STATUS_SUCCESS
        );
    });
}
