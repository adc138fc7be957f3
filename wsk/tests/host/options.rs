//! Options, fixed addresses, control information and lists of datagrams, on the host kernel.

use std::net::SocketAddr;
use std::sync::mpsc::channel;

use wsk::ioctl::{ControlRequest, CpuAffinity, ReceiveBacklog, RoutingInterface};
use wsk::operation::Finished;
use wsk::option::{
    Broadcast, HopLimit, JoinV4, LeaveV4, ReceiveBufferSize, ReuseAddress, TimeToLive, V6Only,
};
use wsk::raw::RawControl;
use wsk::{
    Call, Control, ControlMessage, ControlMessages, DatagramSocket, Error, Family, Messages,
    NonPagedBuffer,
};
use wsk_sys::{
    IP_TTL, IPPROTO_IP, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED,
};

use crate::setting::{LOOPBACK, PATIENCE, arrives, bound, on_each_kernel, peer};

#[test]
fn options_are_set_and_read() {
    on_each_kernel(|_, provider| {
        let v4 = DatagramSocket::open(provider, Family::V4).unwrap();
        for on in [true, false] {
            v4.set_option(ReuseAddress(on)).wait().unwrap();
            assert_eq!(
                v4.option::<ReuseAddress>().wait().unwrap(),
                ReuseAddress(on)
            );
            v4.set_option(Broadcast(on)).wait().unwrap();
            assert_eq!(v4.option::<Broadcast>().wait().unwrap(), Broadcast(on));
        }
        v4.set_option(TimeToLive(7)).wait().unwrap();
        assert_eq!(v4.option::<TimeToLive>().wait().unwrap(), TimeToLive(7));
        v4.set_option(ReceiveBufferSize(100_000)).wait().unwrap();
        assert!(v4.option::<ReceiveBufferSize>().wait().unwrap().0 >= 100_000);
        let v6 = DatagramSocket::open(provider, Family::V6).unwrap();
        v6.set_option(HopLimit(9)).wait().unwrap();
        assert_eq!(v6.option::<HopLimit>().wait().unwrap(), HopLimit(9));
        assert_eq!(v6.option::<V6Only>().wait().unwrap(), V6Only(true));
        let dual = DatagramSocket::open(provider, Family::Dual).unwrap();
        assert_eq!(dual.option::<V6Only>().wait().unwrap(), V6Only(false));
    });
}

#[test]
fn control_operations_have_types() {
    on_each_kernel(|_, provider| {
        let v4 = DatagramSocket::open(provider, Family::V4).unwrap();
        let near: SocketAddr = "127.0.0.1:9".parse().unwrap();
        assert_eq!(
            v4.ioctl(RoutingInterface(near)).wait().unwrap().ip(),
            near.ip()
        );
        let v6: SocketAddr = "[::1]:9".parse().unwrap();
        let error = v4.ioctl(RoutingInterface(v6)).wait().unwrap_err();
        assert!(matches!(error, Error::WrongFamily { .. }));
        let dual = DatagramSocket::open(provider, Family::Dual).unwrap();
        assert_eq!(
            dual.ioctl(RoutingInterface(v6)).wait().unwrap().ip(),
            v6.ip()
        );
        assert_eq!(
            dual.ioctl(RoutingInterface(near)).wait().unwrap().ip(),
            near.ip()
        );
        v4.ioctl(CpuAffinity(0)).wait().unwrap();
        let invalid = |status| {
            Err(Error::Call {
                call: Call::WskControlSocket,
                status,
            })
        };
        assert_eq!(
            v4.ioctl(CpuAffinity(u16::MAX)).wait(),
            invalid(STATUS_INVALID_PARAMETER)
        );
        v4.bind(LOOPBACK.parse::<SocketAddr>().unwrap()).unwrap();
        assert_eq!(
            v4.ioctl(CpuAffinity(0)).wait(),
            invalid(STATUS_INVALID_DEVICE_STATE),
            "bound already"
        );
        assert_eq!(
            v4.ioctl(ReceiveBacklog).wait(),
            invalid(STATUS_NOT_SUPPORTED).map(|()| 0),
            "of connections"
        );
    });
}

#[test]
fn the_value_of_a_prepared_request_can_be_changed() {
    on_each_kernel(|kernel, provider| {
        let v4 = DatagramSocket::open(provider, Family::V4).unwrap();
        let mut setting = v4.set_option(TimeToLive(7)).prepare().unwrap();
        let mut reading = v4.option::<TimeToLive>().prepare().unwrap();
        let before = kernel.counts().allocations();
        for hops in [8, 1, 255] {
            setting.set_value(TimeToLive(hops)).unwrap();
            assert_eq!((setting.wait(), setting.wait()), (Ok(()), Ok(())));
            assert_eq!(reading.wait(), Ok(TimeToLive(hops)));
        }
        // An option with a value of another size.
        setting.set_value(ReuseAddress(true)).unwrap();
        assert_eq!(setting.wait(), Ok(()));
        assert_eq!(kernel.counts().allocations(), before);
        assert_eq!(v4.option().wait(), Ok(ReuseAddress(true)));
        assert_eq!(reading.wait(), Ok(TimeToLive(255)));

        let near: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let v6: SocketAddr = "[::1]:9".parse().unwrap();
        let mut query = v4.ioctl(RoutingInterface(near)).prepare().unwrap();
        assert_eq!(query.wait().unwrap().ip(), near.ip());
        let wrong = Error::WrongFamily {
            socket: Family::V4,
            address: Family::V6,
        };
        assert_eq!(query.set_value(RoutingInterface(v6)), Err(wrong));
        assert_eq!(query.seen().unwrap().ip(), near.ip(), "nothing has changed");
        assert_eq!(query.wait().unwrap().ip(), near.ip());

        let dual = DatagramSocket::open(provider, Family::Dual).unwrap();
        let mut query = dual.ioctl(RoutingInterface(near)).prepare().unwrap();
        for to in [near, v6, near] {
            query.set_value(RoutingInterface(to)).unwrap();
            assert_eq!(query.wait().unwrap().ip(), to.ip());
            let started = query.start().unwrap();
            let ended = started.wait().map_err(|(error, _)| error).unwrap();
            assert_eq!(ended.result().unwrap().ip(), to.ip());
            query = ended.into_operation().unwrap();
        }
    });
}

#[test]
fn requests_without_a_type() {
    on_each_kernel(|_, provider| {
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        let (level, option) = (IPPROTO_IP, IP_TTL);
        // SAFETY: plain numbers in and out.
        unsafe {
            let set = ControlRequest::SetOption { level, option };
            let get = ControlRequest::GetOption { level, option };
            assert_eq!(
                socket
                    .control_raw(RawControl::new(set, &9_u32.to_ne_bytes()), &mut [])
                    .wait(),
                Ok(0)
            );
            let mut output = [0xEE; 7];
            assert_eq!(
                socket
                    .control_raw(RawControl::new(get, &[]), &mut output)
                    .wait(),
                Ok(4)
            );
            assert_eq!(output, [9, 0, 0, 0, 0, 0, 0], "unused room");
            assert_eq!(socket.option::<TimeToLive>().wait().unwrap(), TimeToLive(9));
            let unknown = ControlRequest::Ioctl { code: 0x4F00_7777 };
            let mut output = [];
            let error = socket
                .control_raw(RawControl::new(unknown, &[1, 2]), &mut output)
                .wait();
            assert!(matches!(error, Err(Error::Call { .. })));
        }
    });
}

#[test]
fn a_multicast_group_is_joined_and_left() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, "0.0.0.0:0");
        let (group, interface) = ("239.1.2.3".parse().unwrap(), "127.0.0.1".parse().unwrap());
        socket
            .set_option(JoinV4 { group, interface })
            .wait()
            .unwrap();
        socket
            .set_option(LeaveV4 { group, interface })
            .wait()
            .unwrap();
        assert!(
            socket
                .set_option(LeaveV4 { group, interface })
                .wait()
                .is_err(),
            "left already"
        );
    });
}

#[test]
fn a_fixed_remote_address_sends_and_filters() {
    on_each_kernel(|_, provider| {
        let (friend, to) = peer(LOOPBACK);
        let (stranger, _) = peer(LOOPBACK);
        let socket = bound(provider, Family::V4, LOOPBACK)
            .fix_remote_address(to)
            .unwrap();
        assert_eq!(socket.remote_address(), to);
        assert_eq!(socket.send(b"without an address").wait().unwrap(), 18);
        let buffer = NonPagedBuffer::copy_of(b"in flight").unwrap();
        assert_eq!(
            socket
                .send(buffer)
                .start()
                .unwrap()
                .wait()
                .unwrap()
                .result
                .unwrap(),
            9
        );
        let mut bytes = [0; 32];
        assert_eq!(friend.recv(&mut bytes).unwrap(), 18);
        assert_eq!(friend.recv(&mut bytes).unwrap(), 9);
        let local = socket.local_address().unwrap();
        stranger.send_to(b"not wanted", local).unwrap();
        friend.send_to(b"wanted", local).unwrap();
        let mut room = [0; 32];
        assert_eq!(
            socket
                .receive_from(&mut room)
                .wait_timeout(PATIENCE)
                .unwrap()
                .remote_address()
                .unwrap(),
            to
        );
    });
}

/// A socket with a fixed address sends lists, in scopes and with closures, like other sockets.
#[test]
fn a_fixed_socket_sends_whatever_others_do() {
    on_each_kernel(|_, provider| {
        let (friend, to) = peer(LOOPBACK);
        let (stranger, elsewhere) = peer(LOOPBACK);
        let socket = bound(provider, Family::V4, LOOPBACK);
        let socket = socket.fix_remote_address(to).unwrap();
        let list = || Messages::new([b"one".as_slice(), b"three"].map(copy)).unwrap();
        let mut messages = list();
        assert_eq!(socket.send_all(&mut messages).wait(), Ok(8));
        arrives(&friend, b"one");
        arrives(&friend, b"three");
        let finished = socket.send_all(messages).start().unwrap().wait().unwrap();
        assert_eq!(finished.result, Ok(8));
        arrives(&friend, b"one");
        arrives(&friend, b"three");
        // An address of the request takes precedence over the fixed one.
        let mut messages = finished.buffer.unwrap();
        let sent = socket.send_messages(&mut messages, elsewhere).wait();
        assert_eq!(sent, Ok(8));
        arrives(&stranger, b"one");
        arrives(&stranger, b"three");

        let bytes = *b"scoped";
        let sent = wsk::scope(|scope| {
            let one = socket.send(&bytes).start_in(scope)?;
            let two = socket.send_all(&mut messages).start_in(scope)?;
            Ok::<_, Error>((one.wait()?.0, two.wait()?.0))
        });
        assert_eq!(sent.unwrap().unwrap(), (6, 8));
        arrives(&friend, b"scoped");
        arrives(&friend, b"one");
        arrives(&friend, b"three");

        let (sender, told) = channel();
        let tell = move |finished: Finished<usize, NonPagedBuffer>| {
            sender.send(finished).unwrap();
        };
        socket.send(copy(b"told")).start_with(tell).unwrap();
        let finished = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(finished.result, Ok(4));
        assert_eq!(finished.buffer.unwrap().as_slice(), b"told");
        arrives(&friend, b"told");
    });
}

fn copy(bytes: &[u8]) -> NonPagedBuffer {
    NonPagedBuffer::copy_of(bytes).unwrap()
}

#[test]
fn a_fixed_destination_receives_from_anywhere() {
    on_each_kernel(|_, provider| {
        let (friend, to) = peer(LOOPBACK);
        let (stranger, from) = peer(LOOPBACK);
        let socket = bound(provider, Family::V4, LOOPBACK)
            .fix_destination(to)
            .unwrap();
        assert_eq!(socket.send(b"x").wait_timeout(PATIENCE).unwrap(), 1);
        assert_eq!(friend.recv(&mut [0; 4]).unwrap(), 1);
        stranger
            .send_to(b"welcome", socket.local_address().unwrap())
            .unwrap();
        let mut room = [0; 32];
        assert_eq!(
            socket
                .receive_from(&mut room)
                .wait_timeout(PATIENCE)
                .unwrap()
                .remote_address()
                .unwrap(),
            from
        );
        // An address of the request takes precedence over the fixed one.
        assert_eq!(socket.send_to(b"to you", from).wait().unwrap(), 6);
        assert_eq!(stranger.recv(&mut [0; 8]).unwrap(), 6);
    });
}

#[test]
fn fixing_a_wrong_address_gives_the_socket_back() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let v6: SocketAddr = "[::1]:9".parse().unwrap();
        let (error, socket) = socket.fix_remote_address(v6).unwrap_err();
        assert_eq!(
            error,
            Error::WrongFamily {
                socket: Family::V4,
                address: Family::V6
            }
        );
        let (error, socket) = socket
            .fix_destination("127.0.0.1:0".parse::<SocketAddr>().unwrap())
            .unwrap_err();
        assert_eq!(error, Error::PortZero);
        assert!(socket.local_address().is_ok());
        let unbound = DatagramSocket::open(provider, Family::V4).unwrap();
        assert_eq!(
            unbound
                .fix_destination("127.0.0.1:9".parse::<SocketAddr>().unwrap())
                .unwrap_err()
                .0,
            Error::NotBound
        );
    });
}

#[test]
fn several_datagrams_in_one_request() {
    on_each_kernel(|_, provider| {
        let (peer, to) = peer(LOOPBACK);
        let socket = bound(provider, Family::V4, LOOPBACK);
        let buffers = [b"one".as_slice(), b"two and", b"", b"four"]
            .map(|bytes| NonPagedBuffer::copy_of(bytes).unwrap());
        let mut messages = Messages::new(buffers).unwrap();
        for _ in 0..2 {
            assert_eq!(socket.send_messages(&mut messages, to).wait().unwrap(), 14);
            for expected in [b"one".as_slice(), b"two and", b"", b"four"] {
                arrives(&peer, expected);
            }
        }
        assert_eq!(
            socket
                .send_messages(&mut Messages::new([b"locked"]).unwrap(), to)
                .wait_timeout(PATIENCE)
                .unwrap(),
            6
        );
        assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 6);
        let mut none = Messages::<NonPagedBuffer>::new([]).unwrap();
        assert_eq!(
            socket.send_messages(&mut none, to).wait().unwrap_err(),
            Error::NoMessages
        );
        let mut long = Messages::new([
            NonPagedBuffer::new(1).unwrap(),
            NonPagedBuffer::new(65_508).unwrap(),
        ])
        .unwrap();
        let error = socket.send_messages(&mut long, to).wait().unwrap_err();
        assert_eq!(
            error,
            Error::DatagramTooLong {
                length: 65_508,
                limit: 65_507
            }
        );
        assert_eq!(long.pop().unwrap().len(), 65_508);
    });
}

#[test]
fn control_information_round_trips() {
    let messages = [
        ControlMessage::PacketInfoV4 {
            address: "10.1.2.3".parse().unwrap(),
            interface: 4,
        },
        ControlMessage::PacketInfoV6 {
            address: "fe80::1".parse().unwrap(),
            interface: 5,
        },
        ControlMessage::EcnV4(1),
        ControlMessage::EcnV6(2),
        ControlMessage::TypeOfService(0x10),
        ControlMessage::TrafficClass(0x20),
        ControlMessage::TimeToLive(3),
        ControlMessage::HopLimit(4),
        ControlMessage::SegmentSize(1200),
        ControlMessage::CoalescedSize(1300),
    ];
    let mut control = Control::<{ ControlMessage::SPACE_FOR_ALL }>::new();
    for message in messages {
        control.push(message).unwrap();
    }
    assert_eq!(control.messages().collect::<Vec<_>>(), messages);
    assert_eq!(control.as_bytes().len(), ControlMessage::SPACE_FOR_ALL);
    assert_eq!(control.as_bytes().as_ptr().addr() % 8, 0);
    let error = control.push(ControlMessage::EcnV4(0)).unwrap_err();
    assert_eq!(
        error,
        Error::ControlFull {
            needed: control.as_bytes().len() + 24,
            room: control.as_bytes().len()
        }
    );

    let mut other = Control::<64>::new();
    let odd = ControlMessage::Other {
        level: 99,
        kind: -1,
        data: b"seven b",
    };
    other.push(odd).unwrap();
    other.push(ControlMessage::EcnV4(7)).unwrap();
    assert_eq!(
        other.messages().collect::<Vec<_>>(),
        [odd, ControlMessage::EcnV4(7)]
    );
    other.clear();
    assert_eq!(other.messages().count(), 0);
}

#[test]
fn hostile_control_information_ends_the_iteration() {
    let mut control = Control::<96>::new();
    control.push(ControlMessage::EcnV4(1)).unwrap();
    control.push(ControlMessage::HopLimit(2)).unwrap();
    let whole = control.as_bytes();
    // Cut anywhere, whole messages are reported, and nothing else.
    for end in 0..whole.len() {
        let count = ControlMessages::new(&whole[..end]).count();
        assert_eq!(
            count,
            usize::from(end >= 20) + usize::from(end >= 44),
            "cut at {end}"
        );
    }
    // Every length that a header can have.
    for length in (0..200_usize).chain([usize::MAX, usize::MAX - 7, usize::MAX / 2, 1 << 32]) {
        let mut bytes = whole.to_vec();
        bytes[..8].copy_from_slice(&length.to_ne_bytes());
        let told: usize = ControlMessages::new(&bytes).map(|_| 1).sum();
        assert!(told <= 2);
        if length < 16 || length > bytes.len() {
            assert_eq!(told, 0, "a length of {length}");
        }
    }
    // At any alignment.
    let mut bytes = vec![0];
    bytes.extend(whole);
    assert_eq!(
        ControlMessages::new(&bytes[1..]).next(),
        Some(ControlMessage::EcnV4(1))
    );
}
