//! Control information end to end: what a driver sends with a datagram arrives at the peer, and the driver gets what arrives with
//! a datagram, from a receive and from an event.

use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::operation::{Operations, Prepared};
use wsk::option::{
    ReceiveEcnV4, ReceiveEcnV6, ReceiveHopLimit, ReceivePacketInfoV4, ReceivePacketInfoV6,
    ReceiveTimeToLive, ReceiveTrafficClass, ReceiveTypeOfService, SegmentSize,
};
use wsk::request::SendingTo;
use wsk::{
    Call, Control, ControlMessage, DatagramSocket, Error, Family, NTSTATUS, NonPagedBuffer,
    Provider, WithControl,
};
use wsk_host::{Deviation, Kernel};

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

/// A socket that reports what arrived with a datagram: the class of service, and the hop limit.
///
/// It is a socket of the host, so that this crate is not needed to see what was sent. On Windows it is a socket of Winsock
/// Kernel, because an ordinary socket would first have to look up the function that reports it.
struct Witness {
    #[cfg(not(windows))]
    socket: socket2::Socket,
    #[cfg(windows)]
    socket: DatagramSocket,
}

#[cfg(not(windows))]
impl Witness {
    fn new(_: &Provider, local: &str) -> (Self, SocketAddr) {
        let (socket, address) = peer(local);
        let turn_on = |level, option| {
            use std::os::fd::AsRawFd as _;
            let on: libc::c_int = 1;
            let value = (&raw const on).cast();
            // SAFETY: the socket is open, and the value is an int.
            let failed = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, 4) };
            assert_eq!(failed, 0);
        };
        if address.is_ipv4() {
            turn_on(libc::IPPROTO_IP, libc::IP_RECVTOS);
            turn_on(libc::IPPROTO_IP, libc::IP_RECVTTL);
        } else {
            turn_on(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS);
            turn_on(libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT);
        }
        (Self { socket }, address)
    }

    /// The class of service and the hop limit of the next datagram.
    fn told(&self) -> (Option<i32>, Option<i32>) {
        let mut room = [MaybeUninit::<u64>::uninit(); 32];
        let mut data = [MaybeUninit::uninit(); 64];
        // SAFETY: the bytes are the memory of `room`.
        let bytes = unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), 256) };
        let mut slices = [socket2::MaybeUninitSlice::new(&mut data)];
        let mut header = socket2::MsgHdrMut::new()
            .with_buffers(&mut slices)
            .with_control(bytes);
        self.socket.recvmsg(&mut header, 0).unwrap();
        let mut rest = header.control_len();
        let mut at = room.as_ptr().cast::<u8>();
        let (mut service, mut hops) = (None, None);
        while rest > 0 {
            // SAFETY: the host has written whole messages up to the length that it returned.
            unsafe {
                let message = at.cast::<libc::cmsghdr>().read_unaligned();
                let skip = libc::CMSG_LEN(0) as usize;
                #[allow(clippy::unnecessary_cast)]
                let length = message.cmsg_len as usize - skip;
                // The value is a byte, or an int in the order of this machine.
                let number = i32::from(at.add(skip).read());
                match (message.cmsg_level, message.cmsg_type) {
                    (libc::IPPROTO_IP, libc::IP_TTL | libc::IP_RECVTTL)
                    | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => hops = Some(number),
                    (libc::IPPROTO_IP, libc::IP_TOS | libc::IP_RECVTOS)
                    | (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => service = Some(number),
                    other => panic!("{other:?}"),
                }
                let space = libc::CMSG_SPACE(u32::try_from(length).unwrap()) as usize;
                at = at.add(space);
                rest = rest.saturating_sub(space);
            }
        }
        (service, hops)
    }
}

#[cfg(windows)]
impl Witness {
    fn new(provider: &Provider, local: &str) -> (Self, SocketAddr) {
        let family = if local.starts_with('[') {
            Family::V6
        } else {
            Family::V4
        };
        let socket = bound(provider, family, local);
        if family == Family::V4 {
            socket
                .set_option(ReceiveTypeOfService(true))
                .wait()
                .unwrap();
            socket.set_option(ReceiveTimeToLive(true)).wait().unwrap();
        } else {
            socket.set_option(ReceiveTrafficClass(true)).wait().unwrap();
            socket.set_option(ReceiveHopLimit(true)).wait().unwrap();
        }
        let address = socket.local_address().unwrap();
        (Self { socket }, address)
    }

    /// The class of service and the hop limit of the next datagram.
    fn told(&self) -> (Option<i32>, Option<i32>) {
        let mut buffer = WithControl::new([0; 64], Control::<ALL>::new());
        let receive = self.socket.receive_from(&mut buffer);
        receive.wait_timeout(PATIENCE).unwrap();
        let (mut service, mut hops) = (None, None);
        for message in buffer.control.messages() {
            match message {
                ControlMessage::TypeOfService(number) | ControlMessage::TrafficClass(number) => {
                    service = Some(number);
                }
                ControlMessage::TimeToLive(number) | ControlMessage::HopLimit(number) => {
                    hops = Some(number);
                }
                other => panic!("{other:?}"),
            }
        }
        (service, hops)
    }
}

#[test]
fn what_is_sent_along_arrives_over_ipv4() {
    on_each_kernel(|_, provider| {
        let (witness, to) = Witness::new(provider, LOOPBACK);
        let socket = bound(provider, Family::V4, "0.0.0.0:0");
        let sent = |messages: &[ControlMessage<'_>]| {
            let buffer = WithControl::new(*b"bytes", control::<ALL>(messages));
            assert_eq!(socket.send_to(&buffer, to).wait().unwrap(), 5);
            witness.told()
        };
        assert_eq!(
            sent(&[
                ControlMessage::TypeOfService(0xB8),
                ControlMessage::TimeToLive(17)
            ]),
            (Some(0xB8), Some(17))
        );
        assert_eq!(sent(&[ControlMessage::EcnV4(2)]).0, Some(2));
        assert_eq!(
            sent(&[
                ControlMessage::EcnV4(1),
                ControlMessage::TypeOfService(0x10)
            ])
            .0,
            Some(0x11)
        );
        // The next datagram does not have it.
        assert_eq!(sent(&[]).0, Some(0));
        // A wrapper without control information keeps that of the inner buffer.
        let inner = WithControl::new(*b"bytes", control::<ALL>(&[ControlMessage::EcnV4(1)]));
        let buffer = WithControl::new(inner, Control::<0>::new());
        assert_eq!(socket.send_to(&buffer, to).wait().unwrap(), 5);
        assert_eq!(witness.told().0, Some(1));
    });
}

#[test]
fn what_is_sent_along_arrives_over_ipv6() {
    on_each_kernel(|_, provider| {
        let (witness, to) = Witness::new(provider, "[::1]:0");
        let socket = bound(provider, Family::V6, "[::]:0");
        let messages = [
            ControlMessage::TrafficClass(0x20),
            ControlMessage::EcnV6(1),
            ControlMessage::HopLimit(9),
        ];
        let buffer = NonPagedBuffer::copy_of(b"bytes").unwrap();
        let buffer = WithControl::new(buffer, control::<ALL>(&messages));
        let sent = socket.send_to(buffer, to).start().unwrap().wait().unwrap();
        assert_eq!(sent.result.unwrap(), 5);
        assert_eq!(witness.told(), (Some(0x21), Some(9)));
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
            // In a scope, and in a call that waits.
            wsk::scope(|s| socket.send_to(&buffer, to).start_in(s)?.wait())
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
        assert_eq!(socket.send_to(&cut, to).wait().unwrap(), 2500);
        assert_eq!(lengths(3), [1000, 1000, 500]);
        socket.set_option(SegmentSize(1200)).wait().unwrap();
        assert_eq!(socket.send_to(&[3; 2400], to).wait().unwrap(), 2400);
        assert_eq!(lengths(2), [1200, 1200]);
        socket.set_option(SegmentSize(0)).wait().unwrap();
        assert_eq!(socket.send_to(&[3; 2400], to).wait().unwrap(), 2400);
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
            socket.send_to(&buffer, to).wait().unwrap_err()
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

/// Whether ordinary sockets of the host send the class of service that is set, and receive it. Those of Windows do not. On macOS
/// nobody has checked it.
const TELLS_CLASS: bool = cfg!(target_os = "linux");

/// All control messages of an IPv4 datagram on the loopback interface.
fn expected_v4(interface: u32, tos: i32, hops: i32) -> Vec<ControlMessage<'static>> {
    let mut expected = vec![
        ControlMessage::PacketInfoV4 {
            address: Ipv4Addr::LOCALHOST,
            interface,
        },
        ControlMessage::TimeToLive(hops),
    ];
    if TELLS_CLASS {
        expected.extend([
            ControlMessage::TypeOfService(tos),
            ControlMessage::EcnV4(tos & 3),
        ]);
    }
    expected
}

/// The number of these messages.
const ALL_MESSAGES: usize = if TELLS_CLASS { 4 } else { 2 };

/// Room for half of them.
const ROOM_FOR_HALF: usize = if TELLS_CLASS { 50 } else { 30 };

/// Checks that all messages that were asked for have arrived, or at least some, on a host that may lack one.
fn assert_told(count: usize) {
    if TELLS_CLASS {
        assert_eq!(count, ALL_MESSAGES);
    } else {
        assert!((1..=ALL_MESSAGES).contains(&count), "{count}");
    }
}

fn sorted<'c>(messages: impl Iterator<Item = ControlMessage<'c>>) -> Vec<String> {
    let mut messages: Vec<_> = messages.map(|message| format!("{message:?}")).collect();
    messages.sort();
    messages
}

#[cfg(not(windows))]
fn loopback() -> u32 {
    let name = if cfg!(target_os = "linux") {
        c"lo"
    } else {
        c"lo0"
    };
    // SAFETY: the name is a C string.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert_ne!(index, 0, "the loopback interface");
    index
}

/// The first interface is the loopback interface.
#[cfg(windows)]
fn loopback() -> u32 {
    1
}

fn tell_all(socket: &DatagramSocket) {
    socket.set_option(ReceivePacketInfoV4(true)).wait().unwrap();
    socket.set_option(ReceiveTimeToLive(true)).wait().unwrap();
    if !TELLS_CLASS {
        return;
    }
    socket
        .set_option(ReceiveTypeOfService(true))
        .wait()
        .unwrap();
    socket.set_option(ReceiveEcnV4(true)).wait().unwrap();
    assert_eq!(
        socket.option::<ReceiveEcnV4>().wait().unwrap(),
        ReceiveEcnV4(true)
    );
}

#[test]
fn a_receive_tells_what_came_along() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let to = socket.local_address().unwrap();
        let (peer, from) = peer(LOOPBACK);
        peer.set_tos_v4(0x2A).unwrap();
        peer.set_ttl_v4(33).unwrap();
        let expected = sorted(expected_v4(loopback(), 0x2A, 33).into_iter());
        let mut buffer = WithControl::new([0; 64], Control::<ALL>::new());
        // Without the options, nothing arrives.
        peer.send_to(b"plain", &to.into()).unwrap();
        let received = socket
            .receive_from(&mut buffer)
            .wait_timeout(PATIENCE)
            .unwrap();
        assert!(!received.is_control_truncated());
        assert_eq!(buffer.control.messages().count(), 0);
        tell_all(&socket);
        peer.send_to(b"told", &to.into()).unwrap();
        let received = socket
            .receive_from(&mut buffer)
            .wait_timeout(PATIENCE)
            .unwrap();
        assert_eq!(
            (received.length(), received.remote_address().unwrap()),
            (4, from)
        );
        assert!(!received.is_control_truncated() && !received.is_truncated());
        assert_eq!(sorted(buffer.control.messages()), expected);
        // An owned operation.
        let owned = WithControl::new(NonPagedBuffer::new(64).unwrap(), Control::<ALL>::new());
        let receive = socket.receive_from(owned).start().unwrap();
        peer.send_to(b"owned", &to.into()).unwrap();
        let finished = receive.wait_timeout(PATIENCE).unwrap();
        assert_eq!(finished.result.unwrap().length(), 5);
        let owned = finished.buffer.unwrap();
        assert_eq!(sorted(owned.control.messages()), expected);
        // In a scope.
        wsk::scope(|s| {
            let receive = socket.receive_from(&mut buffer).start_in(s).unwrap();
            peer.send_to(b"scoped", &to.into()).unwrap();
            let (received, buffer) = receive.wait().unwrap();
            assert_eq!(received.length(), 6);
            assert_eq!(sorted(buffer.control.messages()), expected);
        })
        .unwrap();
        socket.set_option(ReceiveTimeToLive(false)).wait().unwrap();
        peer.send_to(b"less", &to.into()).unwrap();
        socket
            .receive_from(&mut buffer)
            .wait_timeout(PATIENCE)
            .unwrap();
        assert_eq!(buffer.control.messages().count(), ALL_MESSAGES - 1);
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
        let refused = socket.receive_from(&mut buffer).wait_timeout(soon);
        assert!(matches!(refused, Err(Error::TimedOut { .. })));
        assert!(empty(&buffer.control), "{:?}", buffer.control.as_bytes());
        buffer.control = told();
        wsk::scope(|s| {
            let receive = socket.receive_from(&mut buffer).start_in(s).unwrap();
            receive.cancel();
            assert!(receive.wait().is_err());
        })
        .unwrap();
        assert!(empty(&buffer.control), "{:?}", buffer.control.as_bytes());
        buffer.control = told();
        let receive = socket.receive_from(buffer).start().unwrap();
        receive.cancel();
        let mut buffer = receive.wait().unwrap().buffer.unwrap();
        assert!(empty(&buffer.control), "{:?}", buffer.control.as_bytes());
        // The buffer has room for new messages.
        buffer.control.push(ControlMessage::TimeToLive(4)).unwrap();
        assert_eq!(buffer.control.messages().count(), 1);
    });
}

#[test]
fn room_that_is_too_small_is_told() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let to = socket.local_address().unwrap();
        let (peer, _) = peer(LOOPBACK);
        tell_all(&socket);
        let mut buffer = WithControl::new([0; 64], Control::<ROOM_FOR_HALF>::new());
        peer.send_to(b"told in part", &to.into()).unwrap();
        let received = socket
            .receive_from(&mut buffer)
            .wait_timeout(PATIENCE)
            .unwrap();
        assert!(received.is_control_truncated() && !received.is_truncated());
        assert_eq!(received.length(), 12);
        let fitting = buffer.control.messages().count();
        assert_eq!(fitting, ALL_MESSAGES / 2, "the messages that fit");
        let mut none = WithControl::new([0; 4], Control::<0>::new());
        peer.send_to(b"data too", &to.into()).unwrap();
        let received = socket
            .receive_from(&mut none)
            .wait_timeout(PATIENCE)
            .unwrap();
        assert!(received.is_truncated());
        assert_eq!(received.length(), 4);
    });
}

#[test]
fn ipv6_receives_tell_what_came_along() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V6, "[::1]:0");
        let to = socket.local_address().unwrap();
        let (peer, _) = peer("[::1]:0");
        peer.set_unicast_hops_v6(44).unwrap();
        socket.set_option(ReceivePacketInfoV6(true)).wait().unwrap();
        socket.set_option(ReceiveHopLimit(true)).wait().unwrap();
        let mut expected = vec![
            ControlMessage::PacketInfoV6 {
                address: Ipv6Addr::LOCALHOST,
                interface: loopback(),
            },
            ControlMessage::HopLimit(44),
        ];
        if TELLS_CLASS {
            #[cfg(not(windows))]
            peer.set_tclass_v6(0x31).unwrap();
            socket.set_option(ReceiveTrafficClass(true)).wait().unwrap();
            socket.set_option(ReceiveEcnV6(true)).wait().unwrap();
            expected.extend([ControlMessage::TrafficClass(0x31), ControlMessage::EcnV6(1)]);
        }
        let mut buffer = WithControl::new([0; 64], Control::<ALL>::new());
        peer.send_to(b"told", &to.into()).unwrap();
        socket
            .receive_from(&mut buffer)
            .wait_timeout(PATIENCE)
            .unwrap();
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
fn an_event_tells_what_came_along() {
    on_each_kernel(|_, provider| {
        let (sender, told): (_, Receiver<Vec<String>>) = channel();
        let handler = Handler(Mutex::new(sender));
        let socket = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
        socket
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
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

/// A send with control information, prepared.
fn sender(socket: &DatagramSocket, to: SocketAddr) -> Prepared<SendingTo, Told> {
    let buffer = WithControl::new(NonPagedBuffer::new(16).unwrap(), Control::new());
    socket.send_to(buffer, to).prepare().unwrap()
}

type Told = WithControl<NonPagedBuffer, ALL>;

#[test]
fn bytes_length_control_and_address_of_a_prepared_send_change_between_its_runs() {
    on_each_kernel(|kernel, provider| {
        let (first, to) = setting::peer(LOOPBACK);
        let (second, other) = setting::peer(LOOPBACK);
        let socket = bound(provider, Family::V4, "0.0.0.0:0");
        let port = socket.local_address().unwrap().port();
        let mut sender = sender(&socket, to);
        let from = |last: u8| ControlMessage::PacketInfoV4 {
            address: Ipv4Addr::new(127, 0, 0, last),
            interface: 0,
        };
        let hears = |peer: &std::net::UdpSocket, bytes: &[u8], last: u8| {
            let mut room = [0; 32];
            let (length, source) = peer.recv_from(&mut room).unwrap();
            let expected = SocketAddr::from(([127, 0, 0, last], port));
            assert_eq!((&room[..length], source), (bytes, expected));
        };
        assert_eq!(sender.wait(), Ok(16));
        hears(&first, &[0; 16], 1);
        // From here on nothing is allocated.
        let before = kernel.counts().allocations();
        for (round, last) in (1..).zip([5, 1, 7]) {
            let buffer = sender.buffer_mut().unwrap();
            buffer
                .buffer
                .assign(&[round; 9][..usize::from(round) * 3])
                .unwrap();
            buffer.control.clear();
            buffer.control.push(from(last)).unwrap();
            assert_eq!(sender.wait(), Ok(usize::from(round) * 3));
            hears(&first, &[round; 9][..usize::from(round) * 3], last);
        }
        // The source stays the same if only the bytes or only the address change.
        sender.buffer_mut().unwrap().buffer.assign(b"same").unwrap();
        assert_eq!(sender.wait(), Ok(4));
        hears(&first, b"same", 7);
        sender.set_remote_address(other).unwrap();
        assert_eq!(sender.wait(), Ok(4));
        hears(&second, b"same", 7);
        // The data is cut into datagrams, which all come from that source.
        let control = &mut sender.buffer_mut().unwrap().control;
        control.push(ControlMessage::SegmentSize(3)).unwrap();
        assert_eq!(sender.wait(), Ok(4));
        hears(&second, b"sam", 7);
        hears(&second, b"e", 7);
        // A wrong message is an error of the run, and the next run can correct it.
        let control = &mut sender.buffer_mut().unwrap().control;
        control.clear();
        control.push(ControlMessage::EcnV4(4)).unwrap();
        assert!(matches!(sender.wait(), Err(Error::Call { .. })));
        sender.buffer_mut().unwrap().control.clear();
        let ended = sender.start().unwrap().wait().unwrap();
        assert_eq!(ended.result(), Ok(4));
        hears(&second, b"same", 1);
        assert_eq!(kernel.counts().allocations(), before);
        // A failed change of the address leaves the old one, also after another change.
        let mut sender = ended.into_operation().unwrap();
        sender.buffer_mut().unwrap().buffer.assign(b"last").unwrap();
        let v6: SocketAddr = "[::1]:9".parse().unwrap();
        assert!(matches!(
            sender.set_remote_address(v6),
            Err(Error::WrongFamily { .. })
        ));
        assert_eq!(sender.remote_address(), Some(other));
        assert_eq!(sender.wait(), Ok(4));
        hears(&second, b"last", 1);
    });
}

#[test]
fn ecn_of_a_prepared_send_changes_between_its_runs() {
    on_each_kernel(|_, provider| {
        let (witness, to) = Witness::new(provider, LOOPBACK);
        let socket = bound(provider, Family::V4, "0.0.0.0:0");
        let mut sender = sender(&socket, to);
        for ecn in [1, 2, 3, 0, 2] {
            let control = &mut sender.buffer_mut().unwrap().control;
            control.clear();
            if ecn > 0 {
                control.push(ControlMessage::EcnV4(ecn)).unwrap();
            }
            assert_eq!(sender.wait(), Ok(16));
            assert_eq!(witness.told().0, Some(ecn));
        }
    });
}

#[test]
fn control_information_that_does_not_fit_is_an_error_of_the_next_run() {
    on_each_kernel(|_, provider| {
        let (peer, to) = setting::peer(LOOPBACK);
        let socket = bound(provider, Family::V4, LOOPBACK);
        let buffer = WithControl::new(
            NonPagedBuffer::copy_of(b"fits").unwrap(),
            Control::<600>::new(),
        );
        let mut sender = socket.send_to(buffer, to).prepare().unwrap();
        let control = &mut sender.buffer_mut().unwrap().control;
        while control.push(ControlMessage::TimeToLive(9)).is_ok() {}
        for _ in 0..2 {
            assert!(matches!(sender.wait(), Err(Error::ControlFull { .. })));
        }
        let refused = sender.start().unwrap_err();
        assert!(matches!(refused.error, Error::ControlFull { .. }));
        let mut sender = refused.buffer;
        let refused = sender.set_remote_address(to);
        assert!(matches!(refused, Err(Error::ControlFull { .. })));
        sender.buffer_mut().unwrap().control.clear();
        assert_eq!(sender.wait(), Ok(4));
        setting::arrives(&peer, b"fits");
    });
}

#[test]
fn what_came_along_with_one_datagram_is_not_told_of_the_next() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let to = socket.local_address().unwrap();
        let (peer, from) = peer(LOOPBACK);
        let says = |bytes: &[u8]| assert_eq!(peer.send_to(bytes, &to.into()).unwrap(), bytes.len());
        let room = || WithControl::new(NonPagedBuffer::new(16).unwrap(), Control::<ALL>::new());
        let mut receiver = socket.receive_from(room()).prepare().unwrap();
        let operations = Operations::new(provider, 1).unwrap();
        for _ in 0..2 {
            tell_all(&socket);
            says(b"told");
            let arrival = receiver.wait().unwrap();
            assert_eq!((arrival.length(), arrival.remote_address()), (4, Ok(from)));
            assert_told(arrival.control().count());
            says(b"told");
            let receive = socket.receive_from(room()).from(&operations).start();
            let told = receive.unwrap().wait().unwrap();
            let told = told.buffer.unwrap();
            assert_told(told.control.messages().count());

            tell_nothing(&socket);
            says(b"plain");
            let arrival = receiver.wait().unwrap();
            assert_eq!(arrival.length(), 5);
            assert_eq!(arrival.control().count(), 0, "{arrival:?}");
            // An operation of a pool keeps no control information of an earlier run, whether the new run succeeds or fails.
            says(b"plain");
            let receive = socket.receive_from(room()).from(&operations).start();
            let plain = receive.unwrap().wait().unwrap();
            assert_eq!(plain.result.unwrap().length(), 5);
            assert_eq!(plain.buffer.unwrap().control.messages().count(), 0);
            let receive = socket
                .receive_from(room())
                .from(&operations)
                .start()
                .unwrap();
            receive.cancel();
            let cancelled = receive.wait().unwrap();
            assert!(cancelled.result.is_err());
            assert_eq!(cancelled.buffer.unwrap().control.messages().count(), 0);
        }
        // A cancelled run reports none, and so does a run with less room than the messages need.
        tell_all(&socket);
        says(b"told");
        assert_told(receiver.wait().unwrap().control().count());
        assert!(receiver.wait_timeout(Duration::from_millis(10)).is_err());
        assert!(receiver.seen().is_err());
    });
}

fn tell_nothing(socket: &DatagramSocket) {
    socket
        .set_option(ReceivePacketInfoV4(false))
        .wait()
        .unwrap();
    socket.set_option(ReceiveTimeToLive(false)).wait().unwrap();
    if TELLS_CLASS {
        socket
            .set_option(ReceiveTypeOfService(false))
            .wait()
            .unwrap();
        socket.set_option(ReceiveEcnV4(false)).wait().unwrap();
    }
}

#[test]
fn a_stream_receive_with_an_operation_that_received_a_datagram_is_told_nothing_of_that() {
    use std::io::Write;

    let test = |_: &Kernel, provider: &Provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        tell_all(&socket);
        let to = socket.local_address().unwrap();
        let listener = std::net::TcpListener::bind(LOOPBACK).unwrap();
        let remote = listener.local_addr().unwrap();
        let connection = wsk::ConnectedSocket::connect(provider, remote)
            .wait()
            .unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let (peer, _) = peer(LOOPBACK);
        let operations = Operations::new(provider, 1).unwrap();
        let room = || WithControl::new(NonPagedBuffer::new(16).unwrap(), Control::<ALL>::new());
        for waits in [true, false] {
            peer.send_to(b"datagram", &to.into()).unwrap();
            let receive = socket.receive_from(room()).from(&operations).start();
            let finished = receive.unwrap().wait().unwrap();
            assert_eq!(finished.result.unwrap().length(), 8);
            let told = finished.buffer.unwrap();
            assert_told(told.control.messages().count());

            stream.write_all(b"bytes").unwrap();
            let receive = connection.receive(room()).from(&operations);
            let finished = if waits {
                receive.start().unwrap().wait().unwrap()
            } else {
                let (sender, told) = channel();
                receive
                    .start_with(move |finished| sender.send(finished).unwrap())
                    .unwrap();
                told.recv_timeout(PATIENCE).unwrap()
            };
            assert_eq!(finished.result, Ok(5));
            let received = finished.buffer.unwrap();
            assert_eq!(&received.buffer.as_slice()[..5], b"bytes");
            // Zeros, if the provider says nothing of control information.
            assert!(
                received.control.as_bytes().iter().all(|&byte| byte == 0),
                "control information of an earlier datagram"
            );
        }
    };
    let silent = || {
        Kernel::builder()
            .deviation(Deviation::LeavesControlLength)
            .boot()
    };
    let kernels = setting::kernels().chain(std::iter::once_with(silent));
    kernels.for_each(|kernel| setting::on(kernel, test));
}

/// A prepared sender sends its control information with each run. The driver can change it between runs.
#[test]
fn a_prepared_sender_tells_what_goes_along() {
    on_each_kernel(|kernel, provider| {
        let (peer, to) = Witness::new(provider, LOOPBACK);
        let (other, elsewhere) = Witness::new(provider, LOOPBACK);
        let tos = |witness: &Witness| witness.told().0.unwrap();
        let socket = bound(provider, Family::V4, "0.0.0.0:0");
        let buffer = NonPagedBuffer::copy_of(b"bytes").unwrap();
        let buffer = WithControl::new(buffer, control::<ALL>(&[ControlMessage::EcnV4(1)]));
        let mut sender = socket.send_to(buffer, to).prepare().unwrap();
        let before = kernel.counts().allocations();
        for _ in 0..2 {
            assert_eq!(sender.wait(), Ok(5));
            assert_eq!(tos(&peer), 1);
        }
        sender.set_remote_address(elsewhere).unwrap();
        assert_eq!(sender.wait(), Ok(5));
        assert_eq!(tos(&other), 1, "as before");
        let buffer = sender.buffer_mut().unwrap();
        buffer.control.clear();
        buffer.control.push(ControlMessage::EcnV4(2)).unwrap();
        let sender = sender.start().unwrap().wait().unwrap().into_operation();
        assert_eq!(tos(&other), 2);
        let mut sender = sender.unwrap();
        sender.buffer_mut().unwrap().control.clear();
        assert_eq!(sender.wait(), Ok(5));
        assert_eq!(tos(&other), 0, "none");
        if cfg!(not(windows)) {
            // On Windows, the witness receives with allocations of its own.
            assert_eq!(kernel.counts().allocations(), before);
        }
    });
}

/// Other control information: the source address, and the size of the segments of a long buffer.
#[test]
fn a_prepared_sender_chooses_its_address_and_is_cut() {
    on_each_kernel(|_, provider| {
        let (peer, to) = peer(LOOPBACK);
        let socket = bound(provider, Family::V4, "0.0.0.0:0");
        let port = socket.local_address().unwrap().port();
        let source = |last| ControlMessage::PacketInfoV4 {
            address: Ipv4Addr::new(127, 0, 0, last),
            interface: 0,
        };
        let buffer = NonPagedBuffer::new(2500).unwrap();
        let buffer = WithControl::new(buffer, control::<ALL>(&[source(5)]));
        let mut sender = socket.send_to(buffer, to).prepare().unwrap();
        let mut room = [MaybeUninit::uninit(); 4096];
        assert_eq!(sender.wait(), Ok(2500));
        let (length, from) = peer.recv_from(&mut room).unwrap();
        assert_eq!(length, 2500);
        assert_eq!(
            from.as_socket(),
            Some(SocketAddr::from(([127, 0, 0, 5], port)))
        );
        let buffer = sender.buffer_mut().unwrap();
        buffer.control = control(&[source(6), ControlMessage::SegmentSize(1000)]);
        assert_eq!(sender.wait(), Ok(2500));
        for expected in [1000, 1000, 500] {
            let (length, from) = peer.recv_from(&mut room).unwrap();
            assert_eq!(length, expected);
            assert_eq!(
                from.as_socket(),
                Some(SocketAddr::from(([127, 0, 0, 6], port)))
            );
        }
        // A mistake is found in the run, and can be corrected.
        let buffer = sender.buffer_mut().unwrap();
        buffer.control = control(&[ControlMessage::EcnV4(4)]);
        assert!(matches!(sender.wait(), Err(Error::Call { .. })));
        sender.buffer_mut().unwrap().control.clear();
        assert_eq!(sender.wait(), Ok(2500));
        assert_eq!(peer.recv(&mut room).unwrap(), 2500);
    });
}
