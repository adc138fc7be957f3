//! Options and control messages about the network, on the host kernel: errors of sent datagrams, coalesced datagrams, interfaces,
//! path MTU, and statistics of connections.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::ioctl::{RssProcessor, RssScalability, TcpInfo, TcpInfoWithLimits};
use wsk::option::{
    DontFragmentV4, DontFragmentV6, KeepAlive, MaxCoalescedSize, MaxRetransmitTime, MtuDiscovery,
    MtuDiscoveryV4, MtuDiscoveryV6, Other, ProtectionLevel, ProtectionLevelV4, ProtectionLevelV6,
    RandomPort, ReadableOption, ReceiveErrorsV4, ReceiveErrorsV6, SocketOption, UnicastInterfaceV4,
    UnicastInterfaceV6, UserMtuV4, UserMtuV6,
};
use wsk::{
    Call, ConnectedSocket, ConnectionSocket, Control, ControlMessage, DatagramSocket, Error,
    Family, IcmpError, NonPagedBuffer, WithControl,
};
use wsk_sys::{
    IP_OPTIONS, IP_TTL, IPPROTO_IP, NTSTATUS, SO_KEEPALIVE, SOL_SOCKET,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED,
};

use crate::setting::{LOOPBACK, PATIENCE, on_each_kernel, on_each_seeded_kernel};

fn refused<T>(status: NTSTATUS) -> Result<T, Error> {
    Err(Error::Call {
        call: Call::WskControlSocket,
        status,
    })
}

/// Sets an option and reads it back.
fn is_kept<O>(socket: &DatagramSocket, option: O)
where
    O: SocketOption + ReadableOption + Copy + PartialEq + std::fmt::Debug + 'static,
{
    assert_eq!(socket.set_option(option).wait(), Ok(()), "{option:?}");
    assert_eq!(socket.option::<O>().wait(), Ok(option));
}

#[test]
fn options_of_the_network_layer_have_types() {
    on_each_kernel(|_, provider| {
        let v4 = DatagramSocket::open(provider, Family::V4).unwrap();
        let v6 = DatagramSocket::open(provider, Family::V6).unwrap();
        assert_eq!(v4.option().wait(), Ok(RandomPort(false)));
        for on in [true, false] {
            is_kept(&v4, RandomPort(on));
            is_kept(&v4, DontFragmentV4(on));
            is_kept(&v6, DontFragmentV6(on));
        }
        assert_eq!(v4.option().wait(), Ok(UserMtuV4(None)));
        for mtu in [Some(1280), None] {
            is_kept(&v4, UserMtuV4(mtu));
            is_kept(&v6, UserMtuV6(mtu));
        }
        assert_eq!(
            v4.option().wait(),
            Ok(ProtectionLevelV4(ProtectionLevel::Default))
        );
        for level in [
            ProtectionLevel::Unrestricted,
            ProtectionLevel::EdgeRestricted,
            ProtectionLevel::Restricted,
        ] {
            is_kept(&v4, ProtectionLevelV4(level));
            is_kept(&v6, ProtectionLevelV6(level));
        }
        assert_eq!(
            v6.set_option(ProtectionLevelV6(ProtectionLevel::Default))
                .wait(),
            refused(STATUS_INVALID_PARAMETER)
        );
    });
}

#[test]
fn the_largest_packet_is_found_out_as_told() {
    on_each_kernel(|_, provider| {
        let v4 = DatagramSocket::open(provider, Family::V4).unwrap();
        let v6 = DatagramSocket::open(provider, Family::V6).unwrap();
        assert_eq!(v4.option().wait(), Ok(MtuDiscoveryV4(MtuDiscovery::NotSet)));
        for way in [
            MtuDiscovery::Always,
            MtuDiscovery::Never,
            MtuDiscovery::Probe,
            MtuDiscovery::NotSet,
        ] {
            is_kept(&v4, MtuDiscoveryV4(way));
            is_kept(&v6, MtuDiscoveryV6(way));
        }
        // In the C form, which reads the value that was set by type.
        v4.set_option(MtuDiscoveryV4(MtuDiscovery::Probe))
            .wait()
            .unwrap();
        assert_eq!(v4.option().wait(), Ok(Other::<0, 71, u32>(3)));
        assert_eq!(
            v4.set_option(Other::<0, 71, u32>(4)).wait(),
            refused(STATUS_INVALID_PARAMETER)
        );
    });
}

#[test]
fn no_options_of_ip_are_set_and_read() {
    type Options = Other<IPPROTO_IP, IP_OPTIONS, [u8; 0]>;
    on_each_kernel(|_, provider| {
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        assert_eq!(
            socket
                .set_option(Other::<IPPROTO_IP, IP_OPTIONS, _>([]))
                .wait(),
            Ok(())
        );
        assert_eq!(socket.option::<Options>().wait(), Ok(Other([])));
        let some = Other::<IPPROTO_IP, IP_OPTIONS, _>([1_u8; 4]);
        assert_eq!(
            socket.set_option(some).wait(),
            refused(STATUS_NOT_SUPPORTED)
        );
    });
}

#[test]
fn any_option_is_set_by_level_and_name() {
    on_each_kernel(|_, provider| {
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        socket
            .set_option(Other::<IPPROTO_IP, IP_TTL, u32>(9))
            .wait()
            .unwrap();
        assert_eq!(
            socket.option().wait(),
            Ok(Other::<IPPROTO_IP, IP_TTL, i32>(9))
        );
        let bytes = socket.option::<Other<IPPROTO_IP, IP_TTL, [u8; 4]>>().wait();
        assert_eq!(bytes, Ok(Other(9_u32.to_ne_bytes())));
        let unknown = socket
            .set_option(Other::<IPPROTO_IP, 999, bool>(true))
            .wait();
        assert_eq!(unknown, refused(STATUS_NOT_SUPPORTED));
    });
}

#[test]
fn keep_alive_is_one_byte() {
    assert_eq!(<KeepAlive as ReadableOption>::SIZE, 1);
    on_each_kernel(|_, provider| {
        let socket = ConnectionSocket::open(provider, Family::V4).unwrap();
        for on in [true, false] {
            socket.set_option(KeepAlive(on)).wait().unwrap();
            assert_eq!(socket.option().wait(), Ok(KeepAlive(on)));
            let byte = socket
                .option::<Other<SOL_SOCKET, SO_KEEPALIVE, u8>>()
                .wait();
            assert_eq!(byte, Ok(Other(u8::from(on))));
        }
        assert_eq!(socket.option().wait(), Ok(MaxRetransmitTime(Some(0))));
        for seconds in [Some(30), None] {
            socket
                .set_option(MaxRetransmitTime(seconds))
                .wait()
                .unwrap();
            assert_eq!(socket.option().wait(), Ok(MaxRetransmitTime(seconds)));
        }
    });
}

/// The index of the interface with the loopback addresses.
fn loopback_index() -> u32 {
    let text = std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap();
    text.trim().parse().unwrap()
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "asks what this host does not tell")]
fn datagrams_leave_by_an_interface() {
    on_each_kernel(|_, provider| {
        let index = loopback_index();
        let v4 = DatagramSocket::open(provider, Family::V4).unwrap();
        let v6 = DatagramSocket::open(provider, Family::V6).unwrap();
        is_kept(&v4, UnicastInterfaceV4(index));
        is_kept(&v6, UnicastInterfaceV6(index));
        v4.bind(LOOPBACK.parse::<SocketAddr>().unwrap()).unwrap();
        let peer = UdpSocket::bind(LOOPBACK).unwrap();
        v4.send_to(b"out", peer.local_addr().unwrap())
            .wait()
            .unwrap();
        assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 3);
        let nowhere = v4.set_option(UnicastInterfaceV4(0xFF_FFFF)).wait();
        assert!(matches!(nowhere, Err(Error::Call { .. })), "{nowhere:?}");
        is_kept(&v4, UnicastInterfaceV4(0));
    });
}

type Received = WithControl<NonPagedBuffer, { ControlMessage::space(12) + 64 }>;

fn room() -> Received {
    WithControl::new(NonPagedBuffer::new(4096).unwrap(), Control::new())
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "asks what this host does not tell")]
fn errors_of_the_network_are_received() {
    on_each_seeded_kernel(|_, provider| {
        for (family, any) in [(Family::V4, LOOPBACK), (Family::V6, "[::1]:0")] {
            let socket = DatagramSocket::open(provider, family).unwrap();
            if family == Family::V4 {
                is_kept(&socket, ReceiveErrorsV4(true));
            } else {
                is_kept(&socket, ReceiveErrorsV6(true));
            }
            socket.bind(any.parse::<SocketAddr>().unwrap()).unwrap();
            // A port that no socket has.
            let gone = UdpSocket::bind(any).unwrap();
            let to = gone.local_addr().unwrap();
            drop(gone);
            socket.send_to(b"anyone", to).wait().unwrap();
            let mut room = room();
            let received = socket
                .receive_from(&mut room)
                .wait_timeout(PATIENCE)
                .unwrap();
            assert_eq!(
                received.remote_address(),
                Ok(to),
                "the address that the failed datagram was sent to"
            );
            let error = room.control.messages().find_map(|message| match message {
                ControlMessage::ErrorV4(error) if family == Family::V4 => Some(error),
                ControlMessage::ErrorV6(error) if family == Family::V6 => Some(error),
                _ => None,
            });
            let error = error.expect("the error of the failed datagram");
            assert!(error.is_unreachable() && !error.is_too_big());
            let port = if family == Family::V4 { 3 } else { 4 };
            assert_eq!(error.code, port);
        }
    });
}

#[test]
fn errors_are_control_messages_both_ways() {
    let error = IcmpError {
        protocol: 1,
        info: 1400,
        kind: 3,
        code: 4,
    };
    assert!(error.is_unreachable() && error.is_too_big());
    let big = IcmpError {
        protocol: 58,
        info: 1280,
        kind: 2,
        code: 0,
    };
    assert!(big.is_too_big() && !big.is_unreachable());
    let mut control = Control::<256>::new();
    for message in [
        ControlMessage::ErrorV4(error),
        ControlMessage::ErrorV6(big),
        ControlMessage::RedirectRecordsV4(b"records"),
        ControlMessage::RedirectContextV6(b"context"),
    ] {
        control.push(message).unwrap();
        assert_eq!(control.messages().last(), Some(message));
    }
    assert_eq!(control.messages().count(), 4);
    // In the form of Windows: protocol, information, type and code.
    let bytes = &control.as_bytes()[16..26];
    assert_eq!(bytes, [1, 0, 0, 0, 0x78, 5, 0, 0, 3, 4]);
}

#[test]
fn datagrams_of_one_size_are_received_as_one() {
    on_each_seeded_kernel(|_, provider| {
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        is_kept(&socket, MaxCoalescedSize(1000));
        socket
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let to = socket.local_address().unwrap();
        let peer = UdpSocket::bind(LOOPBACK).unwrap();
        for text in ["aaaa", "bbbb", "cc", "dddd", "eeeee", "f"] {
            peer.send_to(text.as_bytes(), to).unwrap();
        }
        // All have arrived: on the loopback interface a datagram arrives when it is sent.
        let mut pieces = Vec::new();
        while pieces.len() < 3 {
            let mut room = room();
            let received = socket
                .receive_from(&mut room)
                .wait_timeout(PATIENCE)
                .unwrap();
            let size = room.control.messages().find_map(|message| match message {
                ControlMessage::CoalescedSize(size) => Some(size),
                _ => None,
            });
            let bytes = room.buffer.as_slice()[..received.length()].to_vec();
            pieces.push((String::from_utf8(bytes).unwrap(), size));
        }
        let expected = [("aaaabbbbcc", Some(4)), ("dddd", None), ("eeeeef", Some(5))];
        assert_eq!(pieces, expected.map(|(text, size)| (text.to_owned(), size)));
    });
}

#[test]
fn datagrams_of_one_size_are_indicated_as_one() {
    struct Told(Sender<(usize, Option<u32>)>);

    impl ReceiveFromEvent for Told {
        fn received(&self, indication: &mut Indication<'_>) -> Verdict {
            for datagram in indication.datagrams() {
                let size = datagram.control().find_map(|message| match message {
                    ControlMessage::CoalescedSize(size) => Some(size),
                    _ => None,
                });
                let length = datagram.pieces().map(<[u8]>::len).sum();
                self.0.send((length, size)).unwrap();
            }
            Verdict::Consumed
        }
    }

    on_each_seeded_kernel(|_, provider| {
        let (sender, told) = channel();
        let socket = DatagramSocket::open_with_events(provider, Family::V4, Told(sender)).unwrap();
        is_kept(&socket, MaxCoalescedSize(65_000));
        socket
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let to = socket.local_address().unwrap();
        let peer = UdpSocket::bind(LOOPBACK).unwrap();
        for _ in 0..10 {
            peer.send_to(&[7; 1200], to).unwrap();
        }
        peer.send_to(&[7; 100], to).unwrap();
        socket.enable_receive_events().unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok((12_100, Some(1200))));
        peer.send_to(b"alone", to).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok((5, None)));
    });
}

#[test]
fn no_more_is_received_as_one_than_was_asked_for() {
    on_each_seeded_kernel(|_, provider| {
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        is_kept(&socket, MaxCoalescedSize(10));
        socket
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let to = socket.local_address().unwrap();
        let (peer, other) = (
            UdpSocket::bind(LOOPBACK).unwrap(),
            UdpSocket::bind(LOOPBACK).unwrap(),
        );
        for from in [&peer, &peer, &peer, &other] {
            from.send_to(b"four", to).unwrap();
        }
        let mut lengths = Vec::new();
        for _ in 0..3 {
            let mut room = room();
            let received = socket
                .receive_from(&mut room)
                .wait_timeout(PATIENCE)
                .unwrap();
            lengths.push(received.length());
        }
        assert_eq!(lengths, [8, 4, 4]);
        let zero = socket.set_option(MaxCoalescedSize(0)).wait();
        assert_eq!(zero, Ok(()));
        for _ in 0..2 {
            peer.send_to(b"four", to).unwrap();
        }
        for _ in 0..2 {
            let mut room = room();
            let received = socket
                .receive_from(&mut room)
                .wait_timeout(PATIENCE)
                .unwrap();
            assert_eq!(received.length(), 4, "each datagram arrives on its own");
        }
    });
}

#[test]
fn processors_are_asked_for() {
    on_each_kernel(|_, provider| {
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        assert_eq!(
            socket.ioctl(RssScalability).wait(),
            Ok(false),
            "hosts do not support it"
        );
        let of_connections = socket.ioctl(RssProcessor).wait().map(drop);
        assert_eq!(of_connections, refused(STATUS_NOT_SUPPORTED));
        let unconnected = ConnectionSocket::open(provider, Family::V4).unwrap();
        let error = unconnected.ioctl(RssProcessor).wait().map(drop);
        assert_eq!(error, refused(STATUS_INVALID_DEVICE_STATE));
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let to = listener.local_addr().unwrap();
        let connected = ConnectedSocket::connect(provider, to).wait().unwrap();
        let affinity = connected.ioctl(RssProcessor).wait().unwrap();
        assert_eq!(
            (affinity.group, affinity.number, affinity.numa_node),
            (0, 0, 0)
        );
    });
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "asks what this host does not tell")]
fn connections_tell_how_they_are_doing() {
    on_each_kernel(|_, provider| {
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let to = listener.local_addr().unwrap();
        let connected = ConnectedSocket::connect(provider, to).wait().unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"hello").unwrap();
        connected.receive_all(&mut [0; 5]).wait().unwrap();
        std::thread::sleep(Duration::from_millis(2));
        let info = connected.ioctl(TcpInfo).wait().unwrap();
        assert_eq!(info.state, 4, "established");
        assert!(info.largest_segment > 500, "{info:?}");
        assert!(info.round_trip > Duration::ZERO && info.round_trip < PATIENCE);
        assert!(info.connected_for > Duration::ZERO && info.connected_for < PATIENCE);
        assert!(info.congestion_window >= info.largest_segment);
        let (again, limits) = connected.ioctl(TcpInfoWithLimits).wait().unwrap();
        assert_eq!(again.largest_segment, info.largest_segment);
        assert!(again.connected_for >= info.connected_for);
        // Hosts do not report these.
        assert_eq!(limits.by_peer, 0);
        let unconnected = ConnectionSocket::open(provider, Family::V4).unwrap();
        let error = unconnected.ioctl(TcpInfo).wait().map(drop);
        assert_eq!(error, refused(STATUS_INVALID_DEVICE_STATE));
    });
}

#[test]
fn redirections_are_handed_on() {
    on_each_kernel(|_, provider| {
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let to = listener.local_addr().unwrap();
        let connected = ConnectedSocket::connect(provider, to).wait().unwrap();
        let mut bytes = [0; 64];
        let none = connected.redirect_records(&mut bytes).wait();
        assert_eq!(
            none,
            refused(STATUS_NOT_FOUND),
            "no connection is redirected here"
        );
        let none = connected.redirect_context(&mut bytes).wait();
        assert_eq!(none, refused(STATUS_NOT_FOUND));
        let next = ConnectionSocket::open(provider, Family::V4).unwrap();
        assert_eq!(next.set_redirect_records(b"opaque").wait(), Ok(0));
        let nothing = next.set_redirect_records(b"").wait();
        assert_eq!(nothing, refused(STATUS_INVALID_PARAMETER));
    });
}
