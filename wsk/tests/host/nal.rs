//! WSK as a network of the crate `embedded-nal-async`.

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::pin::pin;
use std::task::Context;

use embedded_io_async::{Read, Write};
use embedded_nal_async::{AddrType, ConnectedUdp, Dns, TcpConnect, UdpStack, UnconnectedUdp};
use wsk::{Error, Network};
use wsk_sys::{STATUS_BUFFER_OVERFLOW, STATUS_CONNECTION_REFUSED};

use crate::setting::{LOOPBACK, Wakes, arrives, block_on, on_each_kernel, peer};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Polls a future once, and drops it. Returns whether it was ready.
fn once(future: impl Future) -> bool {
    let (_, waker) = Wakes::new();
    pin!(future)
        .poll(&mut Context::from_waker(&waker))
        .is_ready()
}

#[test]
fn connections_are_made_and_refused() {
    on_each_kernel(|_, provider| {
        let network = Network::new(provider).with_buffers(8, 8);
        let server = TcpListener::bind(LOOPBACK).unwrap();
        let address = server.local_addr().unwrap();
        block_on(async {
            let mut connection = TcpConnect::connect(&network, address).await.unwrap();
            let (mut peer, _) = server.accept().unwrap();
            connection.write_all(b"more than its buffer").await.unwrap();
            connection.flush().await.unwrap();
            let mut got = [0; 20];
            peer.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"more than its buffer");
            peer.write_all(&got).unwrap();
            let mut back = [0; 20];
            connection.read_exact(&mut back).await.unwrap();
            assert_eq!(back, got);
        });
        drop(server);
        let error = block_on(TcpConnect::connect(&network, address)).unwrap_err();
        assert_eq!(error.status(), Some(STATUS_CONNECTION_REFUSED));
    });
}

#[test]
fn a_connected_socket_talks_to_one_peer() {
    on_each_kernel(|_, provider| {
        let network = Network::new(provider).with_buffers(16, 16);
        let (peer, address) = peer(LOOPBACK);
        let (stranger, _) = crate::setting::peer(LOOPBACK);
        block_on(async {
            let (local, mut socket) = network
                .connect_from(LOOPBACK.parse().unwrap(), address)
                .await
                .unwrap();
            assert_eq!((local.ip(), local), (LOCALHOST, socket.local_address()));
            assert_ne!(local.port(), 0);
            ConnectedUdp::send(&mut socket, b"hello").await.unwrap();
            arrives(&peer, b"hello");
            // More than the buffer of the caller.
            let long = ConnectedUdp::send(&mut socket, &[0; 17]).await;
            assert!(matches!(long, Err(Error::OutOfBounds { .. })), "{long:?}");

            // After a receive is dropped, the next one gets its datagram.
            let mut room = [0; 4];
            assert!(!once(ConnectedUdp::receive_into(&mut socket, &mut room)));
            stranger.send_to(b"from elsewhere", local).unwrap();
            peer.send_to(b"answer", local).unwrap();
            // The length is that of the datagram, not of the bytes that fit.
            let length = ConnectedUdp::receive_into(&mut socket, &mut room).await;
            assert_eq!((length, &room), (Ok(6), b"answ"));
            peer.send_to(&[0; 17], local).unwrap();
            let error = ConnectedUdp::receive_into(&mut socket, &mut room)
                .await
                .unwrap_err();
            assert_eq!(error.status(), Some(STATUS_BUFFER_OVERFLOW));
            peer.send_to(b"next", local).unwrap();
            let length = ConnectedUdp::receive_into(&mut socket, &mut room).await;
            assert_eq!((length, &room), (Ok(4), b"next"));
        });
    });
}

#[test]
fn an_unconnected_socket_talks_to_anybody() {
    on_each_kernel(|_, provider| {
        let network = Network::new(provider);
        let (one, first) = peer(LOOPBACK);
        let (other, second) = peer(LOOPBACK);
        block_on(async {
            let any: SocketAddr = LOOPBACK.parse().unwrap();
            let (local, mut socket) = network.bind_single(any).await.unwrap();
            for (peer, address) in [(&one, first), (&other, second)] {
                UnconnectedUdp::send(&mut socket, local, address, b"to you")
                    .await
                    .unwrap();
                arrives(peer, b"to you");
                peer.send_to(b"thanks", local).unwrap();
                let mut room = [0; 16];
                let came = UnconnectedUdp::receive_into(&mut socket, &mut room).await;
                assert_eq!(came, Ok((6, local, address)));
                assert_eq!(&room[..6], b"thanks");
            }
            let nobody = SocketAddr::new(LOCALHOST, 0);
            let error = UnconnectedUdp::send(&mut socket, local, nobody, b"x").await;
            assert_eq!(error, Err(Error::PortZero));
            drop(network.bind_multiple(any).await.unwrap());
        });
    });
}

#[test]
fn names_are_looked_up() {
    on_each_kernel(|_, provider| {
        let network = Network::new(provider);
        block_on(async {
            let found = network.get_host_by_name("localhost", AddrType::IPv4).await;
            assert_eq!(found, Ok(LOCALHOST));
            let found = network.get_host_by_name("::1", AddrType::Either).await;
            assert_eq!(found, Ok("::1".parse().unwrap()));
            network
                .get_host_by_name("no such name.invalid", AddrType::Either)
                .await
                .unwrap_err();
            let mut name = [0; 255];
            let length = network.get_host_by_address(LOCALHOST, &mut name).await;
            assert!(
                length.is_ok_and(|length| length > 0 && name[length..].iter().all(|b| *b == 0))
            );
            let error = network.get_host_by_address(LOCALHOST, &mut []).await;
            assert!(
                matches!(error, Err(Error::OutOfBounds { length: 0, .. })),
                "{error:?}"
            );
        });
    });
}

/// Polls a future to its end, and once more. Returns its output.
fn once_more<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut future = pin!(future);
    let output = block_on(future.as_mut());
    let (_, waker) = Wakes::new();
    let again = future.poll(&mut Context::from_waker(&waker));
    assert!(matches!(again, std::task::Poll::Ready(Err(Error::Taken))));
    output
}

#[test]
fn a_future_that_is_polled_after_its_end_says_so() {
    on_each_kernel(|_, provider| {
        let network = Network::new(provider).with_buffers(16, 16);
        let local: SocketAddr = LOOPBACK.parse().unwrap();
        let server = TcpListener::bind(LOOPBACK).unwrap();
        let address = server.local_addr().unwrap();
        once_more(TcpConnect::connect(&network, address)).unwrap();
        let (_, mut other) = once_more(network.bind_single(local)).unwrap();
        let to = other.local_address();
        let (_, mut socket) = once_more(network.connect_from(local, to)).unwrap();
        once_more(ConnectedUdp::send(&mut socket, b"hello")).unwrap();
        let mut room = [0; 8];
        let received = once_more(UnconnectedUdp::receive_into(&mut other, &mut room));
        let (length, from, at) = received.unwrap();
        assert_eq!(
            (&room[..length], from, at),
            (&b"hello"[..], to, socket.local_address())
        );
        let back = UnconnectedUdp::send(&mut other, to, socket.local_address(), b"back");
        once_more(back).unwrap();
        let received = once_more(ConnectedUdp::receive_into(&mut socket, &mut room));
        assert_eq!(received, Ok(4));
        once_more(network.bind_multiple(local)).unwrap();
        let found = once_more(network.get_host_by_name("127.0.0.1", AddrType::IPv4));
        assert_eq!(found, Ok(LOCALHOST));
        once_more(network.get_host_by_address(LOCALHOST, &mut [0; 256])).unwrap();
    });
}
