//! What sockets do at the edges: bad addresses and sizes, cancelling and closing, options, events, failures on demand.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use driver::*;
use wsk_host::{Completion, Kernel, Resource};
use wsk_sys::*;

const IPV6: u32 = IPPROTO::IPPROTO_IPV6.0.cast_unsigned();

fn address_of(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn binding() {
    each_policy(|_, client| {
        let first = client.socket(AF_INET);
        assert_eq!(first.local(), Err(STATUS_INVALID_DEVICE_STATE));
        assert_eq!(first.bind(address_of("[::1]:0")), STATUS_INVALID_ADDRESS);
        assert_eq!(
            first.bind(address_of("192.0.2.1:0")),
            STATUS_INVALID_ADDRESS_COMPONENT
        );
        assert_eq!(first.bind(address_of("127.0.0.1:0")), STATUS_SUCCESS);
        assert_eq!(
            first.bind(address_of("127.0.0.1:0")),
            STATUS_ADDRESS_ALREADY_ASSOCIATED
        );
        let second = client.socket(AF_INET);
        assert_eq!(
            second.bind(first.local().unwrap()),
            STATUS_ADDRESS_ALREADY_EXISTS
        );
        // The address is free once the first socket is closed.
        let address = first.local().unwrap();
        first.close();
        assert_eq!(second.bind(address), STATUS_SUCCESS);
        second.close();
    });
}

#[test]
fn kinds_of_sockets() {
    each_policy(|_, client| {
        let cases = [
            (
                99,
                SOCK_DGRAM,
                17,
                WSK_FLAG_DATAGRAM_SOCKET,
                STATUS_NOT_SUPPORTED,
            ),
            (
                AF_INET,
                SOCK_DGRAM,
                6,
                WSK_FLAG_DATAGRAM_SOCKET,
                STATUS_INVALID_PARAMETER,
            ),
            (AF_INET, SOCK_DGRAM, 17, 3, STATUS_INVALID_PARAMETER),
            (
                AF_INET,
                SOCK_STREAM,
                17,
                WSK_FLAG_CONNECTION_SOCKET,
                STATUS_INVALID_PARAMETER,
            ),
            (
                AF_INET,
                SOCK_DGRAM,
                6,
                WSK_FLAG_LISTEN_SOCKET,
                STATUS_INVALID_PARAMETER,
            ),
        ];
        for (family, kind, protocol, flags, expected) in cases {
            let kind = Kind {
                family,
                kind,
                protocol,
                flags,
            };
            let call = Call::new();
            let _ = client.start_socket(&call, kind);
            assert_eq!(call.finish(), (expected, 0));
        }
    });
}

#[test]
fn sizes_of_datagrams() {
    each_policy(|_, client| {
        for (local, maximum) in [("127.0.0.1:0", 65_507), ("[::1]:0", 65_507)] {
            let peer = datagram_peer(local);
            let to = peer.local_addr().unwrap();
            let socket = client.bound(local);
            let largest = Buffer::new(maximum);
            assert_eq!(socket.send(&largest, Some(to)), (STATUS_SUCCESS, maximum));
            let mut bytes = vec![0; 65_536];
            assert_eq!(peer.recv(&mut bytes).unwrap(), maximum);
            let none = Buffer::of(b"");
            assert_eq!(socket.send(&none, Some(to)), (STATUS_SUCCESS, 0));
            assert_eq!(peer.recv(&mut bytes).unwrap(), 0);
            let too_large = Buffer::new(65_528);
            assert_eq!(
                socket.send(&too_large, Some(to)),
                (STATUS_INVALID_BUFFER_SIZE, 0)
            );
            if to.is_ipv4() {
                let one_more = Buffer::new(65_508);
                assert_eq!(
                    socket.send(&one_more, Some(to)),
                    (STATUS_INVALID_BUFFER_SIZE, 0)
                );
                one_more.free();
            }
            [largest, none, too_large]
                .into_iter()
                .for_each(Buffer::free);
            socket.close();
        }
    });
}

#[test]
fn sending_that_fails() {
    each_policy(|_, client| {
        let buffer = Buffer::of(b"x");
        let socket = client.socket(AF_INET);
        let to = address_of("127.0.0.1:9");
        assert_eq!(
            socket.send(&buffer, Some(to)),
            (STATUS_INVALID_DEVICE_STATE, 0),
            "not bound"
        );
        assert_eq!(socket.bind(address_of("127.0.0.1:0")), STATUS_SUCCESS);
        assert_eq!(
            socket.send(&buffer, None),
            (STATUS_INVALID_PARAMETER, 0),
            "no address"
        );
        assert_eq!(
            socket.send(&buffer, Some(address_of("[::1]:9"))),
            (STATUS_INVALID_ADDRESS, 0)
        );
        assert_eq!(
            socket.send(&buffer, Some(address_of("127.0.0.1:0"))),
            (STATUS_INVALID_ADDRESS_COMPONENT, 0)
        );
        let broadcast = address_of("255.255.255.255:9");
        assert_eq!(
            socket.send(&buffer, Some(broadcast)),
            (STATUS_ACCESS_DENIED, 0),
            "broadcast without the option"
        );
        buffer.free();
        socket.close();
    });
}

#[test]
fn chains_are_gathered_and_scattered() {
    each_policy(|_, client| {
        let peer = datagram_peer("127.0.0.1:0");
        let socket = client.bound("127.0.0.1:0");
        // An MDL may describe no bytes at all.
        let chain = Chain::of(&[b"..one", b"", b"two", b"three.."]);
        let to = peer.local_addr().unwrap();
        let call = Call::new();
        let _ = socket.start_send(&call, chain.part(2, 11), Some(to));
        assert_eq!(call.finish(), (STATUS_SUCCESS, 11));
        let mut bytes = [0; 64];
        let (length, from) = peer.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"onetwothree");

        peer.send_to(b"ABCDEFGHIJ", from).unwrap();
        let call = Call::new();
        let _ = socket.start_receive(&call, chain.part(2, 11));
        assert_eq!(call.finish(), (STATUS_SUCCESS, 10));
        assert_eq!(chain.bytes(), b"..ABCDEFGHIJe..");
        chain.free();
        socket.close();
    });
}

#[test]
fn several_messages_at_once() {
    each_policy(|_, client| {
        let peer = datagram_peer("127.0.0.1:0");
        let socket = client.bound("127.0.0.1:0");
        let (first, second) = (Buffer::of(b"first"), Buffer::of(b"and second"));
        let to = peer.local_addr().unwrap();
        assert_eq!(socket.send_two(&first, &second, to), (STATUS_SUCCESS, 15));
        let mut bytes = [0; 64];
        assert_eq!(peer.recv(&mut bytes).unwrap(), 5);
        assert_eq!(peer.recv(&mut bytes).unwrap(), 10);
        first.free();
        second.free();
        socket.close();
    });
}

#[test]
fn a_datagram_that_does_not_fit() {
    each_policy(|_, client| {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = client.bound("127.0.0.1:0");
        peer.send_to(b"0123456789", socket.local().unwrap())
            .unwrap();
        peer.send_to(b"next", socket.local().unwrap()).unwrap();
        let small = Buffer::new(4);
        let (status, length, received) = socket.receive(&small);
        assert_eq!((status, length), (STATUS_BUFFER_OVERFLOW, 4));
        assert_eq!(small.bytes(), b"0123");
        assert_eq!(received.flags, MSG_TRUNC);
        let (status, length, received) = socket.receive(&small);
        assert_eq!((status, length, received.flags), (STATUS_SUCCESS, 4, 0));
        assert_eq!(small.bytes(), b"next");
        small.free();
        socket.close();
    });
}

#[test]
fn cancelling_a_receive() {
    each_policy(|kernel, client| {
        let socket = client.bound("127.0.0.1:0");
        let buffers = [Buffer::new(8), Buffer::new(8), Buffer::new(8)];
        let mut calls = [Call::new(), Call::new(), Call::new()];
        for (call, buffer) in calls.iter().zip(&buffers) {
            assert_eq!(socket.start_receive(call, buffer.all()), STATUS_PENDING);
        }
        assert_eq!(kernel.counts().in_flight, 3);
        calls[1].cancel();
        assert_eq!(calls[1].wait(), (STATUS_CANCELLED, 0));
        // Cancelling what is done does nothing.
        assert_eq!(calls[1].cancel(), 0);
        // The others are served in order.
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"a", socket.local().unwrap()).unwrap();
        assert_eq!(calls[0].wait(), (STATUS_SUCCESS, 1));
        peer.send_to(b"bc", socket.local().unwrap()).unwrap();
        assert_eq!(calls[2].wait(), (STATUS_SUCCESS, 2));
        calls.into_iter().for_each(Call::free);
        buffers.into_iter().for_each(Buffer::free);
        socket.close();
    });
}

#[test]
fn an_irp_that_was_cancelled_before() {
    each_policy(|_, client| {
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::new(8);
        let call = Call::new();
        call.cancel();
        assert_eq!(socket.start_receive(&call, buffer.all()), STATUS_PENDING);
        assert_eq!(call.finish(), (STATUS_CANCELLED, 0));
        buffer.free();
        socket.close();
    });
}

#[test]
fn cancelling_a_send_lets_it_complete_once() {
    each_policy(|_, client| {
        let socket = client.bound("127.0.0.1:0");
        let to = socket.local().unwrap();
        let buffer = Buffer::of(b"x");
        for _ in 0..100 {
            let call = Call::new();
            let _ = socket.start_send(&call, buffer.all(), Some(to));
            call.cancel();
            assert_eq!(call.finish(), (STATUS_SUCCESS, 1));
        }
        buffer.free();
        socket.close();
    });
}

#[test]
fn cancelling_races_with_arrival() {
    for seed in 0..20 {
        let kernel = Kernel::builder()
            .completion(Completion::Seeded)
            .seed(seed)
            .backtraces(false)
            .boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local().unwrap();
        let buffer = Buffer::new(8);
        let mut call = Call::new();
        for _ in 0..50 {
            let status = socket.start_receive(&call, buffer.all());
            std::thread::scope(|scope| {
                scope.spawn(|| peer.send_to(b"x", to).unwrap());
                if status == STATUS_PENDING {
                    call.cancel();
                }
                let outcome = call.wait();
                assert!(
                    matches!(outcome, (STATUS_SUCCESS, 1) | (STATUS_CANCELLED, 0)),
                    "{outcome:?}"
                );
            });
            call.again();
        }
        call.free();
        buffer.free();
        socket.close();
        client.leave();
        kernel.shutdown();
    }
}

#[test]
fn closing_cancels_what_is_pending() {
    each_policy(|kernel, client| {
        let socket = client.bound("127.0.0.1:0");
        let buffers: Vec<Buffer> = (0..10).map(|_| Buffer::new(8)).collect();
        let calls: Vec<Call> = buffers
            .iter()
            .map(|buffer| {
                let call = Call::new();
                assert_eq!(socket.start_receive(&call, buffer.all()), STATUS_PENDING);
                call
            })
            .collect();
        let mut close = Call::new();
        let _ = socket.start_close(&close);
        assert_eq!(close.wait(), (STATUS_SUCCESS, 0));
        for mut call in calls {
            assert!(call.is_done(), "the close completes after what it cancels");
            assert_eq!(call.wait(), (STATUS_CANCELLED, 0));
            call.free();
        }
        close.free();
        buffers.into_iter().for_each(Buffer::free);
        assert_eq!(kernel.counts().sockets.live, 0);
    });
}

#[test]
fn sockets_forced_closed() {
    each_policy(|kernel, client| {
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::new(8);
        let call = Call::new();
        assert_eq!(socket.start_receive(&call, buffer.all()), STATUS_PENDING);
        let local = socket.local().unwrap();
        kernel.force_close_sockets();
        assert_eq!(call.finish(), (STATUS_FILE_FORCED_CLOSED, 0));
        // The port is free, though the driver has not closed its socket yet. Another program may use it for a moment.
        wait_until("the port is free", || UdpSocket::bind(local).is_ok());
        assert_eq!(
            socket.send(&buffer, Some(local)),
            (STATUS_FILE_FORCED_CLOSED, 0)
        );
        assert_eq!(socket.receive(&buffer).0, STATUS_FILE_FORCED_CLOSED);
        assert_eq!(socket.local(), Err(STATUS_FILE_FORCED_CLOSED));
        assert_eq!(
            socket.set_option(SOL_SOCKET, SO_BROADCAST, 1),
            STATUS_FILE_FORCED_CLOSED
        );
        socket.close();
        // New ones work.
        client.bound("127.0.0.1:0").close();
        buffer.free();
    });
}

#[test]
fn fixed_addresses() {
    each_policy(|_, client| {
        let (one, other) = (datagram_peer("127.0.0.1:0"), datagram_peer("127.0.0.1:0"));
        let (to_one, to_other) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let socket = client.socket(AF_INET);
        assert_eq!(
            socket.fix(SIO_WSK_SET_REMOTE_ADDRESS, Some(to_one)),
            STATUS_INVALID_DEVICE_STATE,
            "not bound"
        );
        assert_eq!(socket.bind(address_of("127.0.0.1:0")), STATUS_SUCCESS);
        let local = socket.local().unwrap();
        let buffer = Buffer::of(b"hello");
        let mut bytes = [0; 8];

        assert_eq!(
            socket.fix(SIO_WSK_SET_SENDTO_ADDRESS, Some(to_other)),
            STATUS_SUCCESS
        );
        assert_eq!(socket.send(&buffer, None), (STATUS_SUCCESS, 5));
        assert_eq!(other.recv(&mut bytes).unwrap(), 5);
        assert_eq!(
            socket.fix(SIO_WSK_SET_REMOTE_ADDRESS, Some(to_one)),
            STATUS_SUCCESS
        );
        assert_eq!(socket.send(&buffer, None), (STATUS_SUCCESS, 5));
        assert_eq!(one.recv(&mut bytes).unwrap(), 5);
        // An address that is given goes before the fixed one; what comes from there is discarded all the same.
        assert_eq!(socket.send(&buffer, Some(to_other)), (STATUS_SUCCESS, 5));
        assert_eq!(other.recv(&mut bytes).unwrap(), 5);
        other.send_to(b"other", local).unwrap();
        one.send_to(b"one", local).unwrap();
        let (status, length, received) = socket.receive(&buffer);
        assert_eq!(
            (status, length, received.from()),
            (STATUS_SUCCESS, 3, to_one)
        );
        // Cleared again.
        assert_eq!(socket.fix(SIO_WSK_SET_REMOTE_ADDRESS, None), STATUS_SUCCESS);
        assert_eq!(socket.fix(SIO_WSK_SET_SENDTO_ADDRESS, None), STATUS_SUCCESS);
        assert_eq!(socket.send(&buffer, None), (STATUS_INVALID_PARAMETER, 0));
        assert_eq!(
            socket
                .control(
                    WSK_CONTROL_SOCKET_TYPE::WskIoctl,
                    0,
                    SIO_WSK_SET_REMOTE_ADDRESS,
                    &mut [],
                    &mut []
                )
                .0,
            STATUS_INVALID_PARAMETER,
            "an IRP is required"
        );
        buffer.free();
        socket.close();
    });
}

#[test]
fn options() {
    each_policy(|_, client| {
        let socket = client.socket(AF_INET);
        for (level, code, value) in [
            (SOL_SOCKET, SO_REUSEADDR, 1),
            (SOL_SOCKET, SO_EXCLUSIVEADDRUSE.cast_unsigned(), 1),
            (SOL_SOCKET, SO_BROADCAST, 1),
            (SOL_SOCKET, SO_RCVBUF, 100_000),
            (SOL_SOCKET, SO_SNDBUF, 50_000),
            (IPPROTO_IP, IP_TTL, 33),
            (IPPROTO_IP, IP_TOS, 0x10),
            (IPPROTO_IP, IP_MULTICAST_TTL, 3),
            (IPPROTO_IP, IP_MULTICAST_LOOP, 0),
        ] {
            assert!(
                socket.get_option(level, code).is_ok(),
                "{level:#x} {code:#x}"
            );
            assert_eq!(
                socket.set_option(level, code, value),
                STATUS_SUCCESS,
                "{level:#x} {code:#x}"
            );
            assert_eq!(
                socket.get_option(level, code),
                Ok(value),
                "{level:#x} {code:#x}"
            );
        }
        assert_eq!(
            socket.get_option(SOL_SOCKET, SO_TYPE),
            Ok(u32::from(SOCK_DGRAM))
        );
        assert_eq!(
            socket.set_option(SOL_SOCKET, 0x7777, 1),
            STATUS_NOT_SUPPORTED
        );
        assert_eq!(
            socket.get_option(SOL_SOCKET, 0x7777),
            Err(STATUS_NOT_SUPPORTED)
        );
        let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
        assert_eq!(
            socket
                .control(set, SOL_SOCKET, SO_BROADCAST, &mut [0, 0], &mut [])
                .0,
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            socket
                .control(set, SOL_SOCKET, SO_BROADCAST, &mut [0], &mut [])
                .0,
            STATUS_SUCCESS,
            "a BOOLEAN"
        );
        let get = WSK_CONTROL_SOCKET_TYPE::WskGetOption;
        assert_eq!(
            socket
                .control(get, SOL_SOCKET, SO_BROADCAST, &mut [], &mut [0])
                .0,
            STATUS_BUFFER_TOO_SMALL
        );
        socket.close();
        let socket = client.socket(AF_INET6);
        assert_eq!(socket.get_option(IPV6, IPV6_V6ONLY), Ok(1));
        assert_eq!(
            socket.set_option(IPV6, IPV6_UNICAST_HOPS, 7),
            STATUS_SUCCESS
        );
        assert_eq!(socket.get_option(IPV6, IPV6_UNICAST_HOPS), Ok(7));
        socket.close();
    });
}

#[test]
fn multicast() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let socket = client.socket(AF_INET);
    let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
    let mut group = [239, 1, 2, 3, 127, 0, 0, 1];
    assert_eq!(
        socket
            .control(set, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mut group, &mut [])
            .0,
        STATUS_SUCCESS
    );
    assert_eq!(
        socket
            .control(set, IPPROTO_IP, IP_DROP_MEMBERSHIP, &mut group, &mut [])
            .0,
        STATUS_SUCCESS
    );
    let left_already = socket
        .control(set, IPPROTO_IP, IP_DROP_MEMBERSHIP, &mut group, &mut [])
        .0;
    assert_eq!(left_already, STATUS_INVALID_ADDRESS_COMPONENT);
    assert_eq!(
        socket
            .control(set, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mut [1], &mut [])
            .0,
        STATUS_INVALID_PARAMETER
    );
    socket.close();
    client.leave();
    kernel.shutdown();
}

/// What the event callback does, and has seen.
#[derive(Default)]
struct Events {
    answer: AtomicI32,
    datagrams: Mutex<Vec<(Vec<u8>, SocketAddr)>>,
    retained: Mutex<Vec<usize>>,
    dead: AtomicUsize,
    slow: AtomicUsize,
}

impl Events {
    /// Leaked: a callback may be late.
    fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn callbacks(&'static self) -> Callbacks<WSK_CLIENT_DATAGRAM_DISPATCH> {
        // SAFETY: `received` is the one callback, and takes its context for this type.
        unsafe { Callbacks::new(self, &TABLE) }
    }

    #[track_caller]
    fn wait_for(&self, count: usize) -> Vec<(Vec<u8>, SocketAddr)> {
        wait_until("datagrams", || {
            self.datagrams.lock().unwrap().len() >= count
        });
        core::mem::take(&mut *self.datagrams.lock().unwrap())
    }
}

unsafe extern "system" fn received(
    context: *mut c_void,
    flags: u32,
    mut list: *mut WSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    // SAFETY: the context of every socket with `TABLE`, see `Events::callbacks`.
    let events = unsafe { &*context.cast::<Events>() };
    assert_eq!(
        flags & u32::from(WSK_FLAG_AT_DISPATCH_LEVEL),
        u32::from(WSK_FLAG_AT_DISPATCH_LEVEL)
    );
    assert_eq!(wsk_host::current_irql(), wsk_host::DISPATCH_LEVEL);
    if list.is_null() {
        events.dead.fetch_add(1, Ordering::SeqCst);
        return STATUS_SUCCESS;
    }
    let answer = NTSTATUS(events.answer.load(Ordering::SeqCst));
    if answer == STATUS_PENDING {
        events
            .retained
            .lock()
            .unwrap()
            .push(list.expose_provenance());
    }
    while !list.is_null() {
        // SAFETY: the kernel tells a list of indications, each with its datagram in one mapped piece and with an
        // address.
        let (indication, mdl, bytes, from) = unsafe {
            let indication = &*list;
            let mdl = &*indication.Buffer.Mdl;
            let start = mdl.MappedSystemVa.cast::<u8>();
            let bytes = core::slice::from_raw_parts(start, indication.Buffer.Length);
            (
                indication,
                mdl,
                bytes,
                Address::read(indication.RemoteAddress),
            )
        };
        assert_eq!(mdl.ByteCount as usize, indication.Buffer.Length);
        // Who sees the last datagram may release the list.
        list = indication.Next;
        events
            .datagrams
            .lock()
            .unwrap()
            .push((bytes.to_vec(), from));
    }
    std::thread::sleep(Duration::from_millis(
        events.slow.load(Ordering::SeqCst) as u64
    ));
    answer
}

static TABLE: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
    WskReceiveFromEvent: Some(received),
};

#[test]
fn receive_events() {
    each_policy(|_, client| {
        let events = Events::new();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let from = peer.local_addr().unwrap();
        let socket = client.socket_with(AF_INET, events.callbacks());
        assert_eq!(
            socket.events(WSK_EVENT_RECEIVE_FROM),
            STATUS_INVALID_DEVICE_STATE,
            "not bound"
        );
        assert_eq!(socket.bind(address_of("127.0.0.1:0")), STATUS_SUCCESS);
        let to = socket.local().unwrap();
        assert_eq!(socket.events(WSK_EVENT_RECEIVE), STATUS_INVALID_PARAMETER);
        // What has arrived before is indicated too.
        peer.send_to(b"early", to).unwrap();
        assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
        assert_eq!(events.wait_for(1), [(b"early".to_vec(), from)]);
        peer.send_to(b"one", to).unwrap();
        peer.send_to(b"two", to).unwrap();
        assert_eq!(
            events.wait_for(2),
            [(b"one".to_vec(), from), (b"two".to_vec(), from)]
        );

        // Refused datagrams come again once the callback is enabled again.
        events
            .answer
            .store(STATUS_DATA_NOT_ACCEPTED.0, Ordering::SeqCst);
        peer.send_to(b"unwelcome", to).unwrap();
        events.wait_for(1);
        events.answer.store(0, Ordering::SeqCst);
        peer.send_to(b"later", to).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(
            events.datagrams.lock().unwrap().is_empty(),
            "refusing disables the callback"
        );
        // The callback that refused may return only now, which disables it once more.
        wait_until("datagrams", || {
            assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
            events.datagrams.lock().unwrap().len() >= 2
        });
        assert_eq!(
            events.wait_for(2),
            [(b"unwelcome".to_vec(), from), (b"later".to_vec(), from)]
        );

        // Retained ones stay until they are released.
        events.answer.store(STATUS_PENDING.0, Ordering::SeqCst);
        peer.send_to(b"kept", to).unwrap();
        events.wait_for(1);
        events.answer.store(0, Ordering::SeqCst);
        assert!(
            socket
                .events(WSK_EVENT_RECEIVE_FROM | WSK_EVENT_DISABLE)
                .is_success()
        );
        for list in events.retained.lock().unwrap().drain(..) {
            let list: *mut WSK_DATAGRAM_INDICATION = ptr::with_exposed_provenance_mut(list);
            // SAFETY: it is retained until it is released, below.
            assert_eq!(unsafe { (*list).Buffer.Length }, 4);
            assert_eq!(socket.release(list), STATUS_SUCCESS);
        }
        // A pending receive goes before the callback.
        assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
        let (call, buffer) = (Call::new(), Buffer::new(8));
        assert_eq!(socket.start_receive(&call, buffer.all()), STATUS_PENDING);
        peer.send_to(b"mine", to).unwrap();
        assert_eq!(call.finish(), (STATUS_SUCCESS, 4));
        assert!(events.datagrams.lock().unwrap().is_empty());
        buffer.free();
        socket.close();
    });
}

#[test]
fn disabling_and_closing_wait_for_a_callback() {
    each_policy(|_, client| {
        let events = Events::new();
        events.slow.store(50, Ordering::SeqCst);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = client.socket_with(AF_INET, events.callbacks());
        assert_eq!(socket.bind(address_of("127.0.0.1:0")), STATUS_SUCCESS);
        let to = socket.local().unwrap();
        assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
        peer.send_to(b"slow", to).unwrap();
        events.wait_for(1);
        assert_eq!(
            socket.events(WSK_EVENT_RECEIVE_FROM | WSK_EVENT_DISABLE),
            STATUS_EVENT_PENDING
        );
        let mut close = Call::new();
        assert_eq!(socket.start_close(&close), STATUS_PENDING);
        assert!(!close.is_done());
        assert_eq!(close.wait(), (STATUS_SUCCESS, 0));
        close.free();
    });
}

#[test]
fn forcing_closed_tells_the_callback() {
    each_policy(|kernel, client| {
        let events = Events::new();
        let socket = client.socket_with(AF_INET, events.callbacks());
        assert_eq!(socket.bind(address_of("127.0.0.1:0")), STATUS_SUCCESS);
        assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
        kernel.force_close_sockets();
        socket.close();
        assert_eq!(events.dead.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn static_event_callbacks() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let events = Events::new();
    assert_eq!(client.static_events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
    let socket = client.socket_with(AF_INET, events.callbacks());
    assert_eq!(
        client.static_events(WSK_EVENT_RECEIVE_FROM),
        STATUS_INVALID_DEVICE_STATE,
        "there is a socket"
    );
    assert_eq!(socket.bind(address_of("127.0.0.1:0")), STATUS_SUCCESS);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    events
        .answer
        .store(STATUS_DATA_NOT_ACCEPTED.0, Ordering::SeqCst);
    for _ in 0..3 {
        peer.send_to(b"x", socket.local().unwrap()).unwrap();
        events.wait_for(1);
    }
    socket.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn capturing_waits_for_the_provider() {
    let kernel = Kernel::boot();
    kernel.provider_down();
    let registration = Registration::new();
    assert_eq!(registration.register(), STATUS_SUCCESS);
    assert_eq!(
        registration.capture(WSK_NO_WAIT).err(),
        Some(STATUS_DEVICE_NOT_READY)
    );
    assert_eq!(
        registration.characteristics().err(),
        Some(STATUS_DEVICE_NOT_READY)
    );
    let started = Instant::now();
    assert_eq!(
        registration.capture(30).err(),
        Some(STATUS_DEVICE_NOT_READY)
    );
    assert!(started.elapsed() >= Duration::from_millis(30));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            kernel.provider_up();
        });
        assert!(registration.capture(WSK_INFINITE_WAIT).is_ok());
    });
    let characteristics = registration.characteristics().unwrap();
    assert_eq!(
        (
            characteristics.LowestVersion,
            characteristics.HighestVersion
        ),
        (0x100, 0x100)
    );
    registration.release();
    registration.deregister();
    kernel.shutdown();
}

#[test]
fn another_version_is_refused() {
    let kernel = Kernel::boot();
    let registration = Registration::of_another_version();
    assert_eq!(registration.register(), STATUS_SUCCESS);
    assert_eq!(
        registration.capture(WSK_NO_WAIT).err(),
        Some(STATUS_NOINTERFACE)
    );
    registration.deregister();
    kernel.shutdown();
}

#[test]
fn a_client_that_has_deregistered_captures_nothing() {
    let kernel = Kernel::boot();
    let registration = Registration::new();
    assert_eq!(registration.register(), STATUS_SUCCESS);
    registration.deregister();
    // As a worker thread may that comes too late; the memory is still there.
    for timeout in [WSK_NO_WAIT, WSK_INFINITE_WAIT] {
        let captured = registration.capture(timeout).map(|_| ());
        assert_eq!(captured, Err(STATUS_DEVICE_NOT_READY));
    }
    // It may register again.
    assert_eq!(registration.register(), STATUS_SUCCESS);
    registration.deregister();
    kernel.shutdown();
}

#[test]
fn deregistering_waits_for_releases_and_sockets() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let socket = client.socket(AF_INET);
    let registration = client.registration();
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            registration.deregister();
            done.store(1, Ordering::SeqCst);
        });
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(done.load(Ordering::SeqCst), 0);
        // Meanwhile nothing can be captured.
        assert_eq!(
            registration.capture(WSK_INFINITE_WAIT).err(),
            Some(STATUS_DEVICE_NOT_READY)
        );
        registration.release();
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(done.load(Ordering::SeqCst), 0);
        socket.close();
    });
    assert_eq!(done.load(Ordering::SeqCst), 1);
    kernel.shutdown();
}

/// The context of [`finish_slowly`].
static SLOWLY_CLOSED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "system" fn finish_slowly(
    _device: *mut DEVICE_OBJECT,
    _irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    std::thread::sleep(Duration::from_millis(30));
    // SAFETY: the context of this routine is a static counter.
    unsafe { &*context.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
    STATUS_MORE_PROCESSING_REQUIRED
}

#[test]
fn deregistering_waits_for_the_completion_routine_of_the_last_close() {
    each_policy(|_, _| {
        let client = Client::new();
        let socket = client.socket(AF_INET);
        let before = SLOWLY_CLOSED.load(Ordering::SeqCst);
        let context = (&raw const SLOWLY_CLOSED).cast_mut().cast();
        // SAFETY: the routine wants such a context.
        let call = unsafe { Call::completed_by(finish_slowly, context) };
        let _ = socket.start_close(&call);
        client.leave();
        assert_eq!(SLOWLY_CLOSED.load(Ordering::SeqCst), before + 1);
        call.free();
    });
}

#[test]
fn the_transports_are_listed() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let mut transports = [WSK_TRANSPORT::default(); 4];
    let needed = 4 * size_of::<WSK_TRANSPORT>();
    assert_eq!(
        client.transports(&mut transports, needed - 1),
        (STATUS_BUFFER_OVERFLOW, needed)
    );
    assert_eq!(
        client.transports(&mut transports, needed),
        (STATUS_SUCCESS, needed)
    );
    assert_eq!(
        transports.map(|transport| transport.AddressFamily),
        [AF_INET, AF_INET6, AF_INET, AF_INET6]
    );
    client.leave();
    kernel.shutdown();
}

#[test]
fn failures_on_demand() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let local = socket.local().unwrap();
    let buffer = Buffer::of(b"x");
    kernel.fail_next_irp();
    assert!(allocate_irp(1).is_null());
    kernel.fail_nth_allocation(2);
    let memory = pool(8);
    assert!(!memory.is_null());
    assert!(mdl_of(memory, 8).is_null());
    // SAFETY: the block is used by nobody.
    unsafe { ExFreePool(memory) };
    kernel.fail_nth(Resource::Pool, 1);
    // SAFETY: nothing is asked of the caller.
    assert!(unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, 8, TAG) }.is_null());
    kernel.fail_nth_call(2);
    assert_eq!(socket.send(&buffer, Some(local)), (STATUS_SUCCESS, 1));
    assert_eq!(
        socket.send(&buffer, Some(local)),
        (STATUS_INSUFFICIENT_RESOURCES, 0)
    );
    assert_eq!(socket.send(&buffer, Some(local)), (STATUS_SUCCESS, 1));
    kernel.fail_nth(Resource::Registration, 1);
    assert_eq!(
        Registration::new().register(),
        STATUS_INSUFFICIENT_RESOURCES
    );
    assert_eq!(kernel.counts().faults, 5);
    buffer.free();
    socket.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn the_null_provider_completes_at_once() {
    let kernel = Kernel::builder().null_provider().boot();
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let buffer = Buffer::new(100);
    for _ in 0..10 {
        assert_eq!(
            socket.send(&buffer, Some(address_of("127.0.0.1:9"))),
            (STATUS_SUCCESS, 100)
        );
        assert_eq!(socket.receive(&buffer).1, 100);
    }
    buffer.free();
    socket.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn many_in_flight_under_every_seed() {
    let seeds = std::env::var("SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(30);
    for seed in 0..seeds {
        let kernel = Kernel::builder()
            .completion(Completion::Seeded)
            .seed(seed)
            .backtraces(false)
            .boot();
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let to = socket.local().unwrap();
        let receives: Vec<(Call, Buffer)> =
            (0..16).map(|_| (Call::new(), Buffer::new(16))).collect();
        for (call, buffer) in &receives {
            let _ = socket.start_receive(call, buffer.all());
        }
        std::thread::scope(|scope| {
            for thread in 0..2_u8 {
                scope.spawn(move || {
                    let sends: Vec<(Call, Buffer)> = (0..8)
                        .map(|n| (Call::new(), Buffer::of(&[thread, n])))
                        .collect();
                    for (call, buffer) in &sends {
                        let _ = socket.start_send(call, buffer.all(), Some(to));
                    }
                    for (call, buffer) in sends {
                        assert_eq!(call.finish(), (STATUS_SUCCESS, 2));
                        buffer.free();
                    }
                });
            }
        });
        let mut seen: Vec<[u8; 2]> = receives
            .into_iter()
            .map(|(call, buffer)| {
                assert_eq!(call.finish(), (STATUS_SUCCESS, 2));
                let bytes = [buffer.bytes()[0], buffer.bytes()[1]];
                buffer.free();
                bytes
            })
            .collect();
        seen.sort_unstable();
        let expected: Vec<[u8; 2]> = (0..2)
            .flat_map(|thread| (0..8).map(move |n| [thread, n]))
            .collect();
        assert_eq!(seen, expected, "seed {seed}");
        socket.close();
        client.leave();
        kernel.shutdown();
    }
}
