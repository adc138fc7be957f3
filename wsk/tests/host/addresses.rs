//! An encoded address in the place of a `SocketAddr`: it sends the same datagrams, and leads to the same errors.

#![allow(
    clippy::needless_borrows_for_generic_args,
    reason = "functions are given references, too"
)]

use std::net::{SocketAddr, TcpListener, UdpSocket};

use wsk::ioctl::RoutingInterface;
use wsk::operation::Operations;
use wsk::{
    ConnectedSocket, ConnectionSocket, DatagramSocket, Endpoint, Error, Family, ListenSocket,
    Messages, NonPagedBuffer, Provider, RemoteAddress, StreamSocket,
};

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
    let endpoint = Endpoint::from(to);
    assert_eq!(socket.send_to(b"bytes", endpoint).wait(), Ok(5));
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
            is_fixed(provider, (family, local), &encoded, &peer);
            is_compared(&socket, &encoded, &peer);
            is_looked_up(provider, &socket, &encoded);
            is_encoded(&encoded);
            is_connected_to(provider, (family, local), remote);
            is_bound_to(provider, family, &encoded, remote);
        }
    });
}

/// Fixes an address as the destination, and as the remote address, of a socket, and checks that a datagram arrives there.
fn is_fixed(
    provider: &Provider,
    (family, local): (Family, &str),
    to: &RemoteAddress,
    peer: &UdpSocket,
) {
    let socket = || bound(provider, family, local);
    for fixed in [
        socket().fix_destination(to).unwrap(),
        socket().fix_destination(*to).unwrap(),
        socket().fix_remote_address(to).unwrap(),
        socket().fix_remote_address(*to).unwrap(),
    ] {
        assert_eq!(fixed.remote_address(), to.address().unwrap());
        assert_eq!(fixed.send(b"bytes").wait(), Ok(5));
        arrives(peer, b"bytes");
    }
}

/// Compares the sender of a datagram with the address that it comes from, and with others.
fn is_compared(socket: &DatagramSocket, from: &RemoteAddress, peer: &UdpSocket) {
    let plain = from.address().unwrap();
    let own = SocketAddr::new(plain.ip(), socket.local_address().unwrap().port());
    let other = SocketAddr::new(plain.ip(), plain.port() ^ 1);
    let others = [other, address("[2001:db8::1]:9"), address("192.0.2.7:9")].map(|other| {
        (
            other,
            RemoteAddress::new(Family::of(&other), other).unwrap(),
        )
    });
    peer.send_to(b"ask", own).unwrap();
    let received = socket.receive_from(&mut [0; 8]).wait().unwrap();
    peer.send_to(b"ask", own).unwrap();
    let mut prepared = socket.receive_from(buffer()).prepare().unwrap();
    let arrival = prepared.wait().unwrap();
    assert!(received.is_from(from) && received.is_from(&from) && received.is_from(&plain));
    assert!(arrival.is_from(from) && arrival.is_from(&from) && arrival.is_from(&plain));
    for (plain, encoded) in others {
        assert!(!received.is_from(&plain) && !received.is_from(&encoded));
        assert!(!arrival.is_from(&plain) && !arrival.is_from(&encoded));
    }
}

/// Asks for the names of an address, and for the interface that leads there.
fn is_looked_up(provider: &Provider, socket: &DatagramSocket, to: &RemoteAddress) {
    let plain = to.address().unwrap();
    for names in [
        provider.name_of(to).numeric().wait().unwrap(),
        provider.name_of(*to).numeric().wait().unwrap(),
    ] {
        let port = plain.port().to_string();
        let expected = format!("{}:{port}", plain.ip());
        assert_eq!(names.to_string(), expected);
    }
    let interface = socket.ioctl(RoutingInterface(*to)).wait().unwrap();
    assert_eq!(interface.ip(), plain.ip());
}

/// Encodes an encoded address for other families.
fn is_encoded(address: &RemoteAddress) {
    let plain = address.address().unwrap();
    for family in [Family::V4, Family::V6, Family::Dual] {
        let expected = RemoteAddress::new(family, plain);
        assert_eq!(RemoteAddress::new(family, address), expected);
        assert_eq!(RemoteAddress::new(family, *address), expected);
    }
    assert_eq!(Endpoint::from(address), Endpoint::from(plain));
    assert_eq!(Endpoint::from(*address), Endpoint::from(plain));
}

/// Connects to an address in each way.
fn is_connected_to(provider: &Provider, (family, local): (Family, &str), remote: &str) {
    let listener = TcpListener::bind(remote).unwrap();
    let plain = listener.local_addr().unwrap();
    let to = RemoteAddress::new(family, plain).unwrap();
    let socket = || {
        let socket = ConnectionSocket::open(provider, family).unwrap();
        socket.bind(address(local)).unwrap();
        socket
    };
    let stream = || {
        let socket = StreamSocket::open(provider, family).unwrap();
        socket.bind(address(local)).unwrap();
        socket
    };
    let connected = |socket: ConnectedSocket| {
        let local = socket.local_address().unwrap();
        let (_, from) = listener.accept().unwrap();
        assert_eq!(from.port(), local.port());
        assert_eq!(socket.remote_address(), Ok(plain));
    };
    connected(socket().connect(to).wait().unwrap());
    connected(socket().connect(&to).wait().unwrap());
    connected(socket().connect_to(to).wait().unwrap());
    connected(socket().connect_to(&to).wait().unwrap());
    connected(stream().connect(to).wait().unwrap());
    connected(stream().connect(&to).wait().unwrap());
    connected(stream().connect_to(to).wait().unwrap());
    connected(stream().connect_to(&to).wait().unwrap());
    connected(ConnectedSocket::connect(provider, to).wait().unwrap());
    connected(ConnectedSocket::connect(provider, &to).wait().unwrap());
    let connect_to = |remote: Endpoint| {
        let result = ConnectedSocket::connect_to(provider, family, remote).wait();
        result.map(&connected)
    };
    // A socket of both families connects to IPv6 only, when it is created connected.
    let expected = connect_to(plain.into());
    assert_eq!(connect_to(to.into()), expected);
    assert_eq!(connect_to((&to).into()), expected);
}

/// Binds sockets to an address that is in use, so that the result says which address was given.
fn is_bound_to(provider: &Provider, family: Family, used: &RemoteAddress, remote: &str) {
    let plain = used.address().unwrap();
    let datagrams = || DatagramSocket::open(provider, family).unwrap();
    let expected = datagrams().bind(plain);
    assert!(matches!(expected, Err(Error::Call { .. })));
    assert_eq!(datagrams().bind(used), expected);
    assert_eq!(datagrams().bind(*used), expected);
    assert_eq!(datagrams().bind_to(used), expected);
    assert_eq!(datagrams().bind_to(*used), expected);

    let listener = TcpListener::bind(remote).unwrap();
    let plain = listener.local_addr().unwrap();
    let used = RemoteAddress::new(family, plain).unwrap();
    let connection = || ConnectionSocket::open(provider, family).unwrap();
    let stream = || StreamSocket::open(provider, family).unwrap();
    let listening = || ListenSocket::open(provider, family).unwrap();
    let expected = connection().bind(plain);
    assert!(matches!(expected, Err(Error::Call { .. })));
    assert_eq!(connection().bind(used), expected);
    assert_eq!(connection().bind_to(&used), expected);
    assert_eq!(stream().bind(used), expected);
    assert_eq!(stream().bind_to(&used), expected);
    assert_eq!(listening().bind(used), expected);
    assert_eq!(listening().bind_to(&used), expected);
    let connect = || ConnectedSocket::connect_to(provider, family, used);
    let expected = connect().bound_to(plain).wait().map(drop);
    assert!(expected.is_err(), "the local address is in use");
    assert_eq!(connect().bound_to(used).wait().map(drop), expected);
    assert_eq!(connect().bound_to(&used).wait().map(drop), expected);
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
