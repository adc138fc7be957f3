//! Control information end to end: what a driver sends with a datagram arrives at the other end, and what arrives with one is
//! told to the driver, by a receive and by an event.

#![cfg_attr(
    not(target_os = "linux"),
    allow(
        unused_imports,
        dead_code,
        reason = "what looks at ancillary data as one host tells it is left out on others"
    )
)]

use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use socket2::{MaybeUninitSlice, MsgHdrMut};
use wsk::option::{
    ReceiveEcnV4, ReceiveEcnV6, ReceiveHopLimit, ReceivePacketInfoV4, ReceivePacketInfoV6,
    ReceiveTimeToLive, ReceiveTrafficClass, ReceiveTypeOfService, SegmentSize,
};
use wsk::{
    Call, Control, ControlMessage, DatagramSocket, Error, Family, Indication, NTSTATUS,
    NonPagedBuffer, ReceiveFromEvent, Verdict, WithControl,
};

use crate::setting::{self, LOOPBACK, PATIENCE, bound, on_each_kernel};

const STATUS_INVALID_PARAMETER: NTSTATUS = NTSTATUS(0xC000_000D_u32.cast_signed());
const STATUS_NOT_SUPPORTED: NTSTATUS = NTSTATUS(0xC000_00BB_u32.cast_signed());
const ALL: usize = ControlMessage::SPACE_FOR_ALL;

fn control<const N: usize>(messages: &[ControlMessage<'_>]) -> Control<N> {
    let mut control = Control::new();
    for message in messages {
        control.push(*message).unwrap();
    }
    control
}

fn peer(local: &str) -> (socket2::Socket, SocketAddr) {
    let (peer, address) = setting::peer(local);
    (peer.into(), address)
}

/// The ancillary data of one datagram, as the host tells it: level, type, data.
#[cfg(not(windows))]
fn ancillary(peer: &socket2::Socket) -> Vec<(i32, i32, Vec<u8>)> {
    let mut room = [MaybeUninit::<u64>::uninit(); 32];
    let mut data = [MaybeUninit::uninit(); 64];
    // SAFETY: the same memory as bytes.
    let bytes = unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), 256) };
    let mut slices = [MaybeUninitSlice::new(&mut data)];
    let mut header = MsgHdrMut::new()
        .with_buffers(&mut slices)
        .with_control(bytes);
    peer.recvmsg(&mut header, 0).unwrap();
    let mut rest = header.control_len();
    let mut at = room.as_ptr().cast::<u8>();
    let mut messages = Vec::new();
    while rest > 0 {
        // SAFETY: the host has written whole messages up to the length that it gave.
        unsafe {
            let message = at.cast::<libc::cmsghdr>().read_unaligned();
            let skip = libc::CMSG_LEN(0) as usize;
            #[allow(clippy::unnecessary_cast)]
            let length = message.cmsg_len as usize - skip;
            let data = core::slice::from_raw_parts(at.add(skip), length).to_vec();
            messages.push((message.cmsg_level, message.cmsg_type, data));
            let space = libc::CMSG_SPACE(u32::try_from(length).unwrap()) as usize;
            at = at.add(space);
            rest = rest.saturating_sub(space);
        }
    }
    messages
}

#[cfg(not(windows))]
fn turn_on(peer: &socket2::Socket, level: i32, option: i32) {
    use std::os::fd::AsRawFd as _;
    let on: libc::c_int = 1;
    // SAFETY: the socket is open, and the value is an int.
    let failed =
        unsafe { libc::setsockopt(peer.as_raw_fd(), level, option, (&raw const on).cast(), 4) };
    assert_eq!(failed, 0);
}

#[test]
#[cfg(not(windows))]
fn what_is_sent_along_arrives_over_ipv4() {
    on_each_kernel(|_, provider| {
        let (peer, to) = peer(LOOPBACK);
        turn_on(&peer, libc::IPPROTO_IP, libc::IP_RECVTOS);
        turn_on(&peer, libc::IPPROTO_IP, libc::IP_RECVTTL);
        let socket = bound(provider, Family::V4, "0.0.0.0:0");
        let sent = |messages: &[ControlMessage<'_>]| {
            let buffer = WithControl::new(*b"bytes", control::<ALL>(messages));
            assert_eq!(socket.send_to(&buffer, to).unwrap(), 5);
            let numbers = ancillary(&peer).into_iter().map(|(level, kind, data)| {
                assert_eq!(level, libc::IPPROTO_IP);
                let number = data
                    .iter()
                    .rev()
                    .fold(0, |sum, byte| sum << 8 | i32::from(*byte));
                (kind == libc::IP_TTL || kind == libc::IP_RECVTTL, number)
            });
            let mut numbers: Vec<_> = numbers.collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(
            sent(&[
                ControlMessage::TypeOfService(0xB8),
                ControlMessage::TimeToLive(17)
            ]),
            [(false, 0xB8), (true, 17)]
        );
        assert_eq!(sent(&[ControlMessage::EcnV4(2)])[0], (false, 2));
        assert_eq!(
            sent(&[
                ControlMessage::EcnV4(1),
                ControlMessage::TypeOfService(0x10)
            ])[0],
            (false, 0x11)
        );
        // The next one has nothing of it.
        assert_eq!(sent(&[])[0], (false, 0));
        // Nothing around a buffer that has its own leaves that.
        let inner = WithControl::new(*b"bytes", control::<ALL>(&[ControlMessage::EcnV4(1)]));
        let buffer = WithControl::new(inner, Control::<0>::new());
        assert_eq!(socket.send_to(&buffer, to).unwrap(), 5);
        assert!(ancillary(&peer).contains(&(libc::IPPROTO_IP, libc::IP_TOS, vec![1])));
    });
}

#[test]
#[cfg(not(windows))]
fn what_is_sent_along_arrives_over_ipv6() {
    on_each_kernel(|_, provider| {
        let (peer, to) = peer("[::1]:0");
        turn_on(&peer, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS);
        turn_on(&peer, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT);
        let socket = bound(provider, Family::V6, "[::]:0");
        let messages = [
            ControlMessage::TrafficClass(0x20),
            ControlMessage::EcnV6(1),
            ControlMessage::HopLimit(9),
        ];
        let buffer = NonPagedBuffer::copy_of(b"bytes").unwrap();
        let buffer = WithControl::new(buffer, control::<ALL>(&messages));
        let sent = socket.start_send_to(buffer, to).unwrap().wait().unwrap();
        assert_eq!(sent.result.unwrap(), 5);
        let mut told = ancillary(&peer);
        told.sort_unstable();
        let mut expected = [
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS, vec![0x21, 0, 0, 0]),
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, vec![9, 0, 0, 0]),
        ];
        expected.sort_unstable();
        assert_eq!(told, expected);
    });
}

#[test]
fn the_source_address_is_chosen() {
    on_each_kernel(|_, provider| {
        let (peer, to) = peer(LOOPBACK);
        let socket = bound(provider, Family::V4, "0.0.0.0:0");
        let port = socket.local_address().unwrap().port();
        for source in [Ipv4Addr::new(127, 0, 0, 5), Ipv4Addr::LOCALHOST] {
            let info = ControlMessage::PacketInfoV4 {
                address: source,
                interface: 0,
            };
            let buffer = WithControl::new(*b"x", control::<ALL>(&[info]));
            // In a scope as well as in a call that waits.
            wsk::scope(|s| s.send_to(&socket, &buffer, to)?.wait())
                .unwrap()
                .unwrap();
            let (_, from) = peer.recv_from(&mut [MaybeUninit::uninit(); 8]).unwrap();
            assert_eq!(from.as_socket().unwrap(), SocketAddr::from((source, port)));
        }
    });
}

#[test]
fn a_long_buffer_is_cut_into_datagrams() {
    on_each_kernel(|_, provider| {
        let (peer, to) = peer(LOOPBACK);
        let socket = bound(provider, Family::V4, LOOPBACK);
        let lengths = |count: usize| -> Vec<usize> {
            let mut room = [MaybeUninit::uninit(); 4096];
            (0..count).map(|_| peer.recv(&mut room).unwrap()).collect()
        };
        let cut = WithControl::new(
            [3; 2500],
            control::<ALL>(&[ControlMessage::SegmentSize(1000)]),
        );
        assert_eq!(socket.send_to(&cut, to).unwrap(), 2500);
        assert_eq!(lengths(3), [1000, 1000, 500]);
        socket.set_option(SegmentSize(1200)).unwrap();
        assert_eq!(socket.send_to(&[3; 2400], to).unwrap(), 2400);
        assert_eq!(lengths(2), [1200, 1200]);
        socket.set_option(SegmentSize(0)).unwrap();
        assert_eq!(socket.send_to(&[3; 2400], to).unwrap(), 2400);
        assert_eq!(lengths(1), [2400]);
    });
}

#[test]
fn what_the_transport_does_not_take_is_an_error() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let to = socket.local_address().unwrap();
        let refused = |message| {
            let buffer = WithControl::new(*b"x", control::<ALL>(&[message]));
            socket.send_to(&buffer, to).unwrap_err()
        };
        let error = |status| Error::Call {
            call: Call::WskSendTo,
            status,
        };
        assert_eq!(
            refused(ControlMessage::EcnV4(4)),
            error(STATUS_INVALID_PARAMETER)
        );
        assert_eq!(
            refused(ControlMessage::EcnV6(1)),
            error(STATUS_INVALID_PARAMETER),
            "on an IPv4 socket"
        );
        let odd = ControlMessage::Other {
            level: 77,
            kind: 1,
            data: &[],
        };
        assert_eq!(refused(odd), error(STATUS_NOT_SUPPORTED));
    });
}

/// Everything that an IPv4 datagram on the loopback interface is told with.
fn expected_v4(interface: u32, tos: i32, hops: i32) -> Vec<ControlMessage<'static>> {
    vec![
        ControlMessage::PacketInfoV4 {
            address: Ipv4Addr::LOCALHOST,
            interface,
        },
        ControlMessage::TypeOfService(tos),
        ControlMessage::EcnV4(tos & 3),
        ControlMessage::TimeToLive(hops),
    ]
}

fn sorted<'c>(messages: impl Iterator<Item = ControlMessage<'c>>) -> Vec<String> {
    let mut messages: Vec<_> = messages.map(|message| format!("{message:?}")).collect();
    messages.sort();
    messages
}

#[cfg(not(windows))]
fn loopback() -> u32 {
    // SAFETY: the name is a string of C.
    let index = unsafe { libc::if_nametoindex(c"lo".as_ptr()) };
    assert_ne!(index, 0, "the loopback interface of Linux");
    index
}

fn tell_all(socket: &DatagramSocket) {
    socket.set_option(ReceivePacketInfoV4(true)).unwrap();
    socket.set_option(ReceiveTypeOfService(true)).unwrap();
    socket.set_option(ReceiveEcnV4(true)).unwrap();
    socket.set_option(ReceiveTimeToLive(true)).unwrap();
    assert_eq!(socket.option::<ReceiveEcnV4>().unwrap(), ReceiveEcnV4(true));
}

#[test]
#[cfg(target_os = "linux")]
fn a_receive_tells_what_came_along() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let to = socket.local_address().unwrap();
        let (peer, from) = peer(LOOPBACK);
        peer.set_tos_v4(0x2A).unwrap();
        peer.set_ttl_v4(33).unwrap();
        let expected = sorted(expected_v4(loopback(), 0x2A, 33).into_iter());
        let mut buffer = WithControl::new([0; 64], Control::<ALL>::new());
        // Nothing is told unasked.
        peer.send_to(b"plain", &to.into()).unwrap();
        let received = socket.receive_from_timeout(&mut buffer, PATIENCE).unwrap();
        assert!(!received.control_truncated);
        assert_eq!(buffer.control.messages().count(), 0);
        tell_all(&socket);
        peer.send_to(b"told", &to.into()).unwrap();
        let received = socket.receive_from_timeout(&mut buffer, PATIENCE).unwrap();
        assert_eq!((received.length, received.from), (4, from));
        assert!(!received.control_truncated && !received.truncated);
        assert_eq!(sorted(buffer.control.messages()), expected);
        // With an operation of its own.
        let owned = WithControl::new(NonPagedBuffer::new(64).unwrap(), Control::<ALL>::new());
        let receive = socket.start_receive_from(owned).unwrap();
        peer.send_to(b"owned", &to.into()).unwrap();
        let finished = receive.wait_timeout(PATIENCE).unwrap();
        assert_eq!(finished.result.unwrap().length, 5);
        let owned = finished.buffer.unwrap();
        assert_eq!(sorted(owned.control.messages()), expected);
        // And in a scope.
        wsk::scope(|s| {
            let receive = s.receive_from(&socket, &mut buffer).unwrap();
            peer.send_to(b"scoped", &to.into()).unwrap();
            let (received, buffer) = receive.wait().unwrap();
            assert_eq!(received.length, 6);
            assert_eq!(sorted(buffer.control.messages()), expected);
        })
        .unwrap();
        socket.set_option(ReceiveTypeOfService(false)).unwrap();
        peer.send_to(b"less", &to.into()).unwrap();
        socket.receive_from_timeout(&mut buffer, PATIENCE).unwrap();
        assert_eq!(buffer.control.messages().count(), 3);
    });
}

#[test]
fn a_receive_that_fails_tells_of_nothing() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let told = || control::<32>(&[ControlMessage::TimeToLive(3)]);
        let empty = |control: &Control<32>| control.as_bytes().is_empty();
        let mut buffer = WithControl::new(NonPagedBuffer::new(8).unwrap(), told());
        let soon = Duration::from_millis(20);
        let refused = socket.receive_from_timeout(&mut buffer, soon);
        assert!(matches!(refused, Err(Error::TimedOut { .. })));
        assert!(empty(&buffer.control), "{:?}", buffer.control.as_bytes());
        buffer.control = told();
        wsk::scope(|s| {
            let receive = s.receive_from(&socket, &mut buffer).unwrap();
            receive.cancel();
            assert!(receive.wait().is_err());
        })
        .unwrap();
        assert!(empty(&buffer.control), "{:?}", buffer.control.as_bytes());
        buffer.control = told();
        let receive = socket.start_receive_from(buffer).unwrap();
        receive.cancel();
        let mut buffer = receive.wait().unwrap().buffer.unwrap();
        assert!(empty(&buffer.control), "{:?}", buffer.control.as_bytes());
        // There is room for what is sent along next.
        buffer.control.push(ControlMessage::TimeToLive(4)).unwrap();
        assert_eq!(buffer.control.messages().count(), 1);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn room_that_is_too_small_is_told() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let to = socket.local_address().unwrap();
        let (peer, _) = peer(LOOPBACK);
        tell_all(&socket);
        let mut buffer = WithControl::new([0; 64], Control::<50>::new());
        peer.send_to(b"told in part", &to.into()).unwrap();
        let received = socket.receive_from_timeout(&mut buffer, PATIENCE).unwrap();
        assert!(received.control_truncated && !received.truncated);
        assert_eq!(received.length, 12);
        assert_eq!(buffer.control.messages().count(), 2, "those that fit");
        let mut none = WithControl::new([0; 4], Control::<0>::new());
        peer.send_to(b"data too", &to.into()).unwrap();
        let received = socket.receive_from_timeout(&mut none, PATIENCE).unwrap();
        assert!(received.truncated);
        assert_eq!(received.length, 4);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn ipv6_receives_tell_what_came_along() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V6, "[::1]:0");
        let to = socket.local_address().unwrap();
        let (peer, _) = peer("[::1]:0");
        peer.set_tclass_v6(0x31).unwrap();
        peer.set_unicast_hops_v6(44).unwrap();
        socket.set_option(ReceivePacketInfoV6(true)).unwrap();
        socket.set_option(ReceiveTrafficClass(true)).unwrap();
        socket.set_option(ReceiveEcnV6(true)).unwrap();
        socket.set_option(ReceiveHopLimit(true)).unwrap();
        let mut buffer = WithControl::new([0; 64], Control::<ALL>::new());
        peer.send_to(b"told", &to.into()).unwrap();
        socket.receive_from_timeout(&mut buffer, PATIENCE).unwrap();
        let expected = [
            ControlMessage::PacketInfoV6 {
                address: Ipv6Addr::LOCALHOST,
                interface: loopback(),
            },
            ControlMessage::TrafficClass(0x31),
            ControlMessage::EcnV6(1),
            ControlMessage::HopLimit(44),
        ];
        assert_eq!(
            sorted(buffer.control.messages()),
            sorted(expected.into_iter())
        );
    });
}

struct Handler(Mutex<Sender<Vec<String>>>);

impl ReceiveFromEvent for Handler {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        for datagram in indication.datagrams() {
            let messages = sorted(datagram.control());
            self.0.lock().unwrap().send(messages).unwrap();
        }
        Verdict::Consumed
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_event_tells_what_came_along() {
    on_each_kernel(|_, provider| {
        let (sender, told): (_, Receiver<Vec<String>>) = channel();
        let handler = Handler(Mutex::new(sender));
        let socket = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
        socket.bind(LOOPBACK.parse().unwrap()).unwrap();
        let to = socket.local_address().unwrap();
        let (peer, _) = peer(LOOPBACK);
        peer.set_tos_v4(0x2B).unwrap();
        peer.set_ttl_v4(3).unwrap();
        tell_all(&socket);
        socket.enable_receive_events().unwrap();
        peer.send_to(b"indicated", &to.into()).unwrap();
        let expected = sorted(expected_v4(loopback(), 0x2B, 3).into_iter());
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), expected);
        socket.disable_receive_events().unwrap();
    });
}
