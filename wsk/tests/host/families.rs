//! Address families other than IP: `AF_UNIX` over the host's sockets, and errors for the others.

use wsk::{
    Call, ConnectedSocket, ConnectionSocket, DatagramSocket, Endpoint, Error, Family,
    HypervAddress, ListenSocket, OtherFamily, UnixAddress,
};
use wsk_sys::{AF_HYPERV, AF_INET, AF_UNIX, STATUS_NOT_SUPPORTED};

use crate::setting::on_each_kernel;
#[cfg(unix)]
use crate::setting::{PATIENCE, on_each_seeded_kernel};

#[test]
fn addresses_are_taken_apart() {
    let unix = UnixAddress::new(b"/tmp/a").unwrap();
    let endpoint = Endpoint::from(unix);
    assert_eq!(endpoint.family(), AF_UNIX);
    assert_eq!(&endpoint.as_bytes().unwrap()[..9], b"\x01\x00/tmp/a\x00");
    assert_eq!(UnixAddress::of(&endpoint), Some(unix));
    assert_eq!(HypervAddress::of(&endpoint), None);
    assert_eq!(format!("{unix:?}"), "/tmp/a");
    for wrong in [&b""[..], b"a\0b", &[b'x'; 108]] {
        assert_eq!(UnixAddress::new(wrong), None);
    }
    assert!(UnixAddress::new(&[b'x'; 107]).is_some());
    let hyperv = HypervAddress {
        partition: HypervAddress::PARENT,
        service: [7; 16],
    };
    let endpoint = Endpoint::from(hyperv);
    let bytes = endpoint.as_bytes().unwrap();
    assert_eq!(bytes.len(), 36);
    assert_eq!(bytes[..6], [34, 0, 0, 0, 0xDA, 0x7C]);
    assert_eq!(bytes[20..], [7; 16]);
    assert_eq!(HypervAddress::of(&endpoint), Some(hyperv));
    assert_eq!(UnixAddress::of(&endpoint), None);
    let ip: std::net::SocketAddr = "127.0.0.1:9".parse().unwrap();
    assert_eq!(Endpoint::from(ip).ip(), Some(ip));
    assert_eq!(Endpoint::from(ip).as_bytes(), None);
    assert_eq!(
        Endpoint::from_bytes(&[2, 0, 0, 9, 127, 0, 0, 1]),
        None,
        "of IP"
    );
    assert_eq!(Endpoint::from_bytes(&[9]), None);
    assert_eq!(Endpoint::from_bytes(&[40; 129]), None);
    let other = Endpoint::from_bytes(&[40, 0, 1]).unwrap();
    assert_eq!(
        (other.family(), other.as_bytes()),
        (40, Some(&[40, 0, 1][..]))
    );
    assert_eq!(OtherFamily::new(AF_INET, 6), None);
    assert_eq!(Family::HYPERV.to_string(), "address family 34");
}

#[test]
fn what_is_checked_of_ip_is_checked_of_other_families_too() {
    on_each_kernel(|_, provider| {
        let hyperv = HypervAddress {
            partition: HypervAddress::ANY,
            service: [1; 16],
        };
        let v4 = ListenSocket::open(provider, Family::V4).unwrap();
        let wrong = |socket, number| Error::WrongFamily {
            socket,
            address: Family::Other(OtherFamily::new(number, 0).unwrap()),
        };
        assert_eq!(v4.bind_to(hyperv), Err(wrong(Family::V4, AF_HYPERV)));
        let ip: std::net::SocketAddr = "[::1]:0".parse().unwrap();
        let v6_to_v4 = Error::WrongFamily {
            socket: Family::V4,
            address: Family::V6,
        };
        assert_eq!(v4.bind_to(ip), Err(v6_to_v4));
        let any = Family::V4.any();
        assert_eq!(v4.bind_to(any), Ok(()));
        assert_eq!(v4.local_endpoint().unwrap().ip(), v4.local_address().ok());
        let refused = ConnectedSocket::connect_to(provider, Family::V4, hyperv).wait();
        assert_eq!(refused.unwrap_err(), wrong(Family::V4, AF_HYPERV));
        let port = ConnectedSocket::connect_to(provider, Family::V4, any).wait();
        assert_eq!(port.unwrap_err(), Error::PortZero);
        let datagrams = DatagramSocket::open(provider, Family::V4).unwrap();
        datagrams.bind(any).unwrap();
        let sent = datagrams.send_to(b"x", Endpoint::from(hyperv)).wait();
        assert_eq!(sent, Err(wrong(Family::V4, AF_HYPERV)));
        let to = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let there = Endpoint::from(to.local_addr().unwrap());
        assert_eq!(datagrams.send_to(b"x", there).wait(), Ok(1));
        // Hosts have no such sockets.
        let none = ConnectionSocket::open(provider, Family::HYPERV).map(drop);
        let refused = Error::Call {
            call: Call::WskSocket,
            status: STATUS_NOT_SUPPORTED,
        };
        assert_eq!(none, Err(refused));
        let none = ConnectedSocket::connect_to(provider, Family::HYPERV, hyperv).wait();
        assert!(matches!(
            none,
            Err(Error::Call {
                status: STATUS_NOT_SUPPORTED,
                ..
            })
        ));
    });
}

/// A path that does not exist.
#[cfg(unix)]
struct Path(std::path::PathBuf);

#[cfg(unix)]
impl Path {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("wsk-{}-{number}.sock", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn address(&self) -> UnixAddress {
        UnixAddress::new(self.0.to_str().unwrap().as_bytes()).unwrap()
    }
}

#[cfg(unix)]
impl Drop for Path {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(unix)]
#[test]
fn sockets_with_names_of_files_talk() {
    on_each_seeded_kernel(|_, provider| {
        let path = Path::new();
        let listener = ListenSocket::open(provider, Family::UNIX).unwrap();
        listener.bind_to(path.address()).unwrap();
        let local = listener.local_endpoint().unwrap();
        assert_eq!(UnixAddress::of(&local), Some(path.address()));
        assert_eq!(
            listener.local_address(),
            Err(Error::UnknownAddress { family: AF_UNIX })
        );
        let accepting = listener.accept_from_any().start().unwrap();
        let client = ConnectedSocket::connect_to(provider, Family::UNIX, path.address());
        let client = client.wait_timeout(PATIENCE).unwrap();
        let (server, from) = accepting.wait_timeout(PATIENCE).unwrap().unwrap();
        assert_eq!(
            (from.family(), UnixAddress::of(&from)),
            (AF_UNIX, None),
            "the peer has no name"
        );
        let remote = client.remote_endpoint().unwrap();
        assert_eq!(UnixAddress::of(&remote), Some(path.address()));
        client.send(b"ping").wait().unwrap();
        let mut room = [0; 4];
        server.receive_all(&mut room).wait().unwrap();
        assert_eq!(&room, b"ping");
        server.send(b"pong").wait().unwrap();
        client.receive_all(&mut room).wait().unwrap();
        assert_eq!(&room, b"pong");
        client.disconnect().wait_timeout(PATIENCE).unwrap();
        assert_eq!(server.receive(&mut room).wait_timeout(PATIENCE), Ok(0));
    });
}

#[cfg(unix)]
#[test]
fn a_socket_connects_to_one_of_the_hosts() {
    use std::io::{Read, Write};
    on_each_kernel(|_, provider| {
        let path = Path::new();
        let nobody = ConnectionSocket::open(provider, Family::UNIX).unwrap();
        nobody
            .bind_to(Endpoint::unnamed(OtherFamily::UNIX))
            .unwrap();
        let refused = nobody.connect_to(path.address()).wait_timeout(PATIENCE);
        assert!(matches!(refused.unwrap_err().error, Error::Call { .. }));
        let listener = std::os::unix::net::UnixListener::bind(&path.0).unwrap();
        let socket = ConnectionSocket::open(provider, Family::UNIX).unwrap();
        socket
            .bind_to(Endpoint::unnamed(OtherFamily::UNIX))
            .unwrap();
        let socket = socket
            .connect_to(path.address())
            .wait_timeout(PATIENCE)
            .unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        socket.send(b"hello").wait().unwrap();
        let mut room = [0; 5];
        peer.read_exact(&mut room).unwrap();
        peer.write_all(&room).unwrap();
        let mut back = [0; 5];
        socket.receive_all(&mut back).wait().unwrap();
        assert_eq!(&back, b"hello");
    });
}
