//! An encoded address in the place of a `SocketAddr`: it sends the same datagrams, and leads to the same errors.

use std::net::{SocketAddr, UdpSocket};

use wsk::operation::Operations;
use wsk::{DatagramSocket, Error, Family, Messages, NonPagedBuffer, Provider, RemoteAddress};

use crate::setting::{arrives, block_on, bound, on_each_kernel, peer};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn buffer() -> NonPagedBuffer {
    NonPagedBuffer::copy_of(b"bytes").unwrap()
}

/// Sends to an address in each way in which an encoded address can be given, and checks that the datagram arrives.
fn sends(provider: &Provider, socket: &DatagramSocket, to: &RemoteAddress, peer: &UdpSocket) {
    let operations = Operations::new(provider, 1).unwrap();
    let arrived = || arrives(peer, b"bytes");
    assert_eq!(socket.send_to(b"bytes", *to).wait(), Ok(5));
    arrived();
    assert_eq!(socket.send_to(b"bytes", to).wait(), Ok(5));
    arrived();
    assert_eq!(
        socket
            .send_to(buffer(), to)
            .start()
            .unwrap()
            .wait()
            .unwrap()
            .result,
        Ok(5)
    );
    arrived();
    assert_eq!(
        block_on(async { socket.send_to(buffer(), *to).await }).result,
        Ok(5)
    );
    arrived();
    let sent = wsk::scope(|scope| socket.send_to(b"bytes", to).start_in(scope)?.wait());
    assert_eq!(sent.unwrap().unwrap().0, 5);
    arrived();
    let request = socket.send_to(buffer(), to).from(&operations);
    request
        .start_with(|finished| assert_eq!(finished.result, Ok(5)))
        .unwrap();
    arrived();
    operations.wait_until_idle().unwrap();
    let mut list = Messages::new([b"bytes", b"bytes"]).unwrap();
    assert_eq!(socket.send_messages(&mut list, to).wait(), Ok(10));
    arrived();
    arrived();
    let mut sender = socket.send_to(buffer(), to).prepare().unwrap();
    assert_eq!(sender.remote_address(), Some(to.address().unwrap()));
    assert_eq!(sender.wait(), Ok(5));
    arrived();
    sender.set_remote_address(to).unwrap();
    assert_eq!(sender.wait(), Ok(5));
    arrived();
}

const SETTINGS: [(Family, &str, &str); 4] = [
    (Family::V4, "127.0.0.1:0", "127.0.0.1:0"),
    (Family::V6, "[::1]:0", "[::1]:0"),
    (Family::Dual, "[::]:0", "[::1]:0"),
    (Family::Dual, "[::]:0", "127.0.0.1:0"),
];

#[test]
fn an_encoded_address_is_given_wherever_a_socket_address_can_be() {
    on_each_kernel(|_, provider| {
        for (family, local, remote) in SETTINGS {
            let socket = bound(provider, family, local);
            let (peer, to) = peer(remote);
            let encoded = RemoteAddress::new(family, to).unwrap();
            assert_eq!(encoded.address(), Ok(to));
            assert_eq!(encoded, encoded.clone());
            sends(provider, &socket, &encoded, &peer);
        }
    });
}

#[test]
fn an_answer_goes_to_the_address_as_it_came() {
    on_each_kernel(|_, provider| {
        for (family, local, remote) in SETTINGS {
            let socket = bound(provider, family, local);
            let (peer, from) = peer(remote);
            let own = SocketAddr::new(from.ip(), socket.local_address().unwrap().port());
            peer.send_to(b"ask", own).unwrap();
            let received = socket.receive_from(&mut [0; 8]).wait().unwrap();
            assert_eq!(received.remote().address(), Ok(from));
            assert_eq!(received.remote(), RemoteAddress::new(family, from).unwrap());
            sends(provider, &socket, &received.remote(), &peer);

            let mut prepared = socket.receive_from(buffer()).prepare().unwrap();
            peer.send_to(b"again", own).unwrap();
            let arrival = prepared.wait().unwrap();
            assert_eq!(arrival.remote(), received.remote());
            assert_eq!(
                socket.send_to(arrival.bytes(), arrival.remote()).wait(),
                Ok(5)
            );
            arrives(&peer, b"again");
        }
    });
}

#[test]
fn an_address_that_was_encoded_for_one_family_is_used_with_others_like_a_socket_address() {
    on_each_kernel(|_, provider| {
        let families = [
            (Family::V4, "127.0.0.1:0"),
            (Family::V6, "[::1]:0"),
            (Family::Dual, "[::]:0"),
        ];
        let peers = [peer("127.0.0.1:0"), peer("[::1]:0")];
        let mut used = 0;
        for (encoded_for, _) in families {
            for (peer, to) in &peers {
                let Ok(encoded) = RemoteAddress::new(encoded_for, *to) else {
                    continue;
                };
                for (family, local) in families {
                    let socket = bound(provider, family, local);
                    let plain = socket.send_to(b"bytes", to).wait();
                    assert_eq!(
                        socket.send_to(b"bytes", encoded).wait(),
                        plain,
                        "{encoded_for} for {family}"
                    );
                    if plain.is_ok() {
                        arrives(peer, b"bytes");
                        arrives(peer, b"bytes");
                        used += 1;
                    }
                    // Length errors and unbound sockets also lead to the same errors.
                    for length in [65_507, 65_508, 65_527, 65_528] {
                        let long = vec![0; length];
                        let unbound = DatagramSocket::open(provider, family).unwrap();
                        for socket in [&socket, &unbound] {
                            let plain = socket.send_to(&long[..], to).wait();
                            let same = socket.send_to(&long[..], encoded).wait();
                            assert_eq!(same, plain, "{encoded_for} for {family}, {length}");
                            if plain.is_ok() {
                                let mut room = vec![0; length + 1];
                                assert_eq!(peer.recv(&mut room).unwrap(), length);
                                assert_eq!(peer.recv(&mut room).unwrap(), length);
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(
            used, 8,
            "V4 and mapped: each by V4 and Dual sockets; V6 and Dual: each by V6 and Dual sockets"
        );
    });
}

#[test]
fn what_cannot_be_sent_to_cannot_be_encoded() {
    on_each_kernel(|_, provider| {
        let wrong = |socket, address| Error::WrongFamily { socket, address };
        for (family, to, expected) in [
            (Family::V4, "[::1]:9", wrong(Family::V4, Family::V6)),
            (Family::V6, "127.0.0.1:9", wrong(Family::V6, Family::V4)),
            (Family::V4, "127.0.0.1:0", Error::PortZero),
            (Family::V6, "[::1]:0", Error::PortZero),
            (Family::Dual, "127.0.0.1:0", Error::PortZero),
            (Family::Dual, "[::1]:0", Error::PortZero),
        ] {
            let to = address(to);
            assert_eq!(RemoteAddress::new(family, to).unwrap_err(), expected);
            let local = if family == Family::V4 {
                "0.0.0.0:0"
            } else {
                "[::]:0"
            };
            let socket = bound(provider, family, local);
            assert_eq!(
                socket.send_to(b"bytes", to).wait(),
                Err(expected),
                "the same"
            );
        }
    });
}

#[test]
fn a_mapped_address_is_an_ipv4_address() {
    on_each_kernel(|_, provider| {
        let (peer, to) = peer("127.0.0.1:0");
        let SocketAddr::V4(v4) = to else { panic!() };
        let mapped = SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port()));
        let socket = bound(provider, Family::Dual, "[::]:0");
        let encoded = RemoteAddress::new(Family::Dual, mapped).unwrap();
        assert_eq!(encoded.address(), Ok(to));
        assert_eq!(encoded, RemoteAddress::new(Family::Dual, to).unwrap());
        for destination in [encoded, RemoteAddress::new(Family::Dual, to).unwrap()] {
            assert_eq!(socket.send_to(b"bytes", destination).wait(), Ok(5));
            arrives(&peer, b"bytes");
        }
        assert_eq!(socket.send_to(b"bytes", mapped).wait(), Ok(5));
        arrives(&peer, b"bytes");
        // The limit of IPv4 holds for it in either form.
        let long = vec![0; 65_508];
        let too_long = Error::DatagramTooLong {
            length: 65_508,
            limit: 65_507,
        };
        assert_eq!(socket.send_to(&long[..], to).wait(), Err(too_long));
        assert_eq!(socket.send_to(&long[..], encoded).wait(), Err(too_long));
        assert_eq!(socket.send_to(&long[..], mapped).wait(), Err(too_long));
        // An IPv6-only socket cannot send there, in whatever form the address is.
        let v6 = bound(provider, Family::V6, "[::1]:0");
        let wrong = Error::WrongFamily {
            socket: Family::V6,
            address: Family::V4,
        };
        assert_eq!(v6.send_to(b"bytes", encoded).wait(), Err(wrong));
        assert_eq!(v6.send_to(b"bytes", mapped).wait(), Err(wrong));
        assert_eq!(RemoteAddress::new(Family::V6, mapped), Err(wrong));
    });
}

#[test]
fn a_prepared_send_to_a_fixed_address_can_be_given_another() {
    on_each_kernel(|_, provider| {
        let (first, to) = peer("127.0.0.1:0");
        let (second, other) = peer("127.0.0.1:0");
        let fixed = bound(provider, Family::V4, "127.0.0.1:0")
            .fix_destination(to)
            .unwrap();
        let mut sender = fixed.send(buffer()).prepare().unwrap();
        assert_eq!(sender.remote_address(), Some(to));
        assert_eq!(sender.wait(), Ok(5));
        arrives(&first, b"bytes");
        sender.set_remote_address(other).unwrap();
        assert_eq!(sender.remote_address(), Some(other));
        assert_eq!(sender.wait(), Ok(5));
        arrives(&second, b"bytes");
        // The same holds after its buffer was changed.
        sender.buffer_mut().unwrap().as_mut_slice().reverse();
        assert_eq!(sender.wait(), Ok(5));
        arrives(&second, b"setyb");
        sender
            .set_remote_address(RemoteAddress::new(Family::V4, to).unwrap())
            .unwrap();
        assert_eq!(sender.wait(), Ok(5));
        arrives(&first, b"setyb");
    });
}
