//! Datagram sockets on the host kernel: what arrives at real sockets, and the result of each mistake and failure.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use wsk::{
    Call, DatagramSocket, Error, Family, Memory, NTSTATUS, NonPagedBuffer, Registration, Wait,
};
use wsk_host::{Completion, Kernel};

use crate::setting::{LOOPBACK, bound, client, on_each_kernel, peer};

const V6: &str = "[::1]:0";

#[test]
fn datagrams_go_both_ways() {
    on_each_kernel(|_, provider| {
        for (family, local) in [(Family::V4, LOOPBACK), (Family::V6, V6)] {
            let socket = bound(provider, family, local);
            let (peer, to) = peer(local);
            let message = NonPagedBuffer::copy_of(b"question").unwrap();
            assert_eq!(socket.send_to(&message, to).wait().unwrap(), 8);
            let mut bytes = [0; 64];
            let (length, from) = peer.recv_from(&mut bytes).unwrap();
            assert_eq!(
                (&bytes[..length], from),
                (&b"question"[..], socket.local_address().unwrap())
            );

            peer.send_to(b"the answer", from).unwrap();
            let mut room = NonPagedBuffer::new(64).unwrap();
            let received = socket.receive_from(&mut room).wait().unwrap();
            assert_eq!(&room.as_slice()[..received.length()], b"the answer");
            assert_eq!(received.remote_address().unwrap(), to);
            assert!(
                !received.is_truncated() && !received.is_broadcast() && !received.is_multicast()
            );
            socket.close().unwrap();
        }
    });
}

#[test]
fn a_dual_mode_socket_carries_both_families() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::Dual, "0.0.0.0:0");
        let port = socket.local_address().unwrap().port();
        for local in [LOOPBACK, V6] {
            let (peer, to) = peer(local);
            let message = NonPagedBuffer::copy_of(b"both").unwrap();
            assert_eq!(socket.send_to(&message, to).wait().unwrap(), 4);
            let mut bytes = [0; 8];
            let (length, from) = peer.recv_from(&mut bytes).unwrap();
            assert_eq!(
                (&bytes[..length], from.port(), from.ip()),
                (&b"both"[..], port, to.ip())
            );
            peer.send_to(b"back", from).unwrap();
            let mut room = NonPagedBuffer::new(8).unwrap();
            assert_eq!(
                socket
                    .receive_from(&mut room)
                    .wait()
                    .unwrap()
                    .remote_address()
                    .unwrap(),
                to,
                "the address of an IPv4 sender is an IPv4 address"
            );
        }
    });
}

#[test]
fn empty_and_maximal_datagrams() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let (peer, to) = peer(LOOPBACK);
        let mut bytes = vec![0; 70_000];

        assert_eq!(
            socket
                .send_to(&NonPagedBuffer::new(0).unwrap(), to)
                .wait()
                .unwrap(),
            0
        );
        assert_eq!(peer.recv(&mut bytes).unwrap(), 0);

        let mut largest = NonPagedBuffer::new(65_507).unwrap();
        largest
            .as_mut_slice()
            .iter_mut()
            .zip(0..)
            .for_each(|(byte, n): (_, u32)| *byte = n.to_le_bytes()[0]);
        assert_eq!(socket.send_to(&largest, to).wait().unwrap(), 65_507);
        assert_eq!(peer.recv(&mut bytes).unwrap(), 65_507);
        assert_eq!(&bytes[..65_507], largest.as_slice());

        peer.send_to(&bytes[..65_507], socket.local_address().unwrap())
            .unwrap();
        let mut room = NonPagedBuffer::new(65_507).unwrap();
        assert_eq!(
            socket.receive_from(&mut room).wait().unwrap().length(),
            65_507
        );
        assert_eq!(room.as_slice(), largest.as_slice());

        let too_long = NonPagedBuffer::new(65_508).unwrap();
        let error = socket.send_to(&too_long, to).wait().unwrap_err();
        assert_eq!(
            error,
            Error::DatagramTooLong {
                length: 65_508,
                limit: 65_507
            }
        );
    });
}

#[test]
fn part_of_a_buffer() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let (peer, to) = peer(LOOPBACK);
        let mut bytes = [0; 8];
        // Across a page boundary, where the MDL's offset and the page's differ.
        let mut large = NonPagedBuffer::new(10_000).unwrap();
        large.as_mut_slice()[5_000..5_004].copy_from_slice(b"here");
        assert_eq!(
            socket
                .send_to(&large.slice(5_000..5_004).unwrap(), to)
                .wait()
                .unwrap(),
            4
        );
        assert_eq!(peer.recv(&mut bytes).unwrap(), 4);
        assert_eq!(&bytes[..4], b"here");
        assert_eq!(
            socket
                .send_to(&large.slice(10_000..).unwrap(), to)
                .wait()
                .unwrap(),
            0
        );
        assert_eq!(
            large.slice(9_999..10_001).unwrap_err(),
            Error::OutOfBounds {
                end: 10_001,
                length: 10_000
            }
        );
        assert!(large.slice(..=usize::MAX).is_err());
    });
}

#[test]
fn a_datagram_longer_than_the_room_is_truncated() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let (peer, _) = peer(LOOPBACK);
        peer.send_to(b"0123456789", socket.local_address().unwrap())
            .unwrap();
        let mut room = NonPagedBuffer::new(4).unwrap();
        let received = socket.receive_from(&mut room).wait().unwrap();
        assert!(received.is_truncated());
        assert_eq!((received.length(), room.as_slice()), (4, &b"0123"[..]));
    });
}

#[test]
fn mistakes_are_errors_of_their_own() {
    on_each_kernel(|kernel, provider| {
        let buffer = NonPagedBuffer::copy_of(b"x").unwrap();
        let (v4, v6): (SocketAddr, SocketAddr) =
            ("127.0.0.1:9".parse().unwrap(), "[::1]:9".parse().unwrap());

        let unbound = DatagramSocket::open(provider, Family::V4).unwrap();
        assert_eq!(
            unbound.send_to(&buffer, v4).wait().unwrap_err(),
            Error::NotBound
        );
        assert_eq!(
            unbound
                .receive_from(&mut NonPagedBuffer::new(1).unwrap())
                .wait()
                .unwrap_err(),
            Error::NotBound
        );
        assert_eq!(unbound.local_address().unwrap_err(), Error::NotBound);
        assert_eq!(
            unbound.bind(v6).unwrap_err(),
            Error::WrongFamily {
                socket: Family::V4,
                address: Family::V6
            }
        );

        let socket = bound(provider, Family::V4, LOOPBACK);
        assert_eq!(
            socket.send_to(&buffer, v6).wait().unwrap_err(),
            Error::WrongFamily {
                socket: Family::V4,
                address: Family::V6
            }
        );
        assert_eq!(
            socket
                .send_to(&buffer, "127.0.0.1:0".parse::<SocketAddr>().unwrap())
                .wait()
                .unwrap_err(),
            Error::PortZero
        );
        assert!(matches!(
            socket
                .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
                .unwrap_err(),
            Error::Call {
                call: Call::WskBind,
                ..
            }
        ));

        let v6_only = bound(provider, Family::V6, V6);
        assert_eq!(
            v6_only.send_to(&buffer, v4).wait().unwrap_err(),
            Error::WrongFamily {
                socket: Family::V6,
                address: Family::V4
            }
        );

        let before = kernel.counts();
        let raised = wsk_host::at_irql(2, || {
            [
                socket.send_to(&buffer, v4).wait().unwrap_err(),
                socket.local_address().unwrap_err(),
                DatagramSocket::open(provider, Family::V4)
                    .map(drop)
                    .unwrap_err(),
                Registration::new().map(drop).unwrap_err(),
            ]
        });
        // Registering requires PASSIVE_LEVEL.
        let wrong = |limit| Error::WrongIrql { current: 2, limit };
        assert_eq!(raised, [wrong(1), wrong(1), wrong(1), wrong(0)]);
        assert_eq!(
            before,
            kernel.counts(),
            "a mistake must not allocate anything"
        );
    });
}

#[test]
fn an_address_in_use_is_what_wsk_says() {
    on_each_kernel(|_, provider| {
        let first = bound(provider, Family::V4, LOOPBACK);
        let taken = first.local_address().unwrap();
        let second = DatagramSocket::open(provider, Family::V4).unwrap();
        let error = second.bind(taken).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Call {
                    call: Call::WskBind,
                    ..
                }
            ),
            "{error}"
        );
        assert!(!error.must_close());
    });
}

#[test]
fn a_provider_that_is_not_there() {
    let kernel = Kernel::boot();
    let registration = Registration::new().unwrap();
    kernel.provider_down();
    for wait in [Wait::No, Wait::Milliseconds(20)] {
        let error = registration.capture(wait).map(drop).unwrap_err();
        assert_eq!(
            error,
            Error::Call {
                call: Call::WskCaptureProviderNPI,
                status: wsk_sys::STATUS_DEVICE_NOT_READY
            }
        );
        assert!(error.is_transient());
    }
    kernel.provider_up();
    drop(registration.capture(Wait::Milliseconds(60_000)).unwrap());
    drop(registration);
    kernel.shutdown();
}

#[test]
fn a_forced_close_says_that_the_socket_is_dead() {
    on_each_kernel(|kernel, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        kernel.force_close_sockets();
        let error = socket
            .send_to(
                &NonPagedBuffer::copy_of(b"x").unwrap(),
                "127.0.0.1:9".parse::<SocketAddr>().unwrap(),
            )
            .wait()
            .unwrap_err();
        assert_eq!(
            error,
            Error::Call {
                call: Call::WskSendTo,
                status: wsk_sys::STATUS_FILE_FORCED_CLOSED
            }
        );
        assert!(error.must_close() && error.to_string().ends_with("the socket is dead, close it"));
        socket.close().unwrap();
    });
}

#[test]
fn of_handles_that_are_closed_at_once_one_waits() {
    on_each_kernel(|_, provider| {
        for _ in 0..200 {
            let socket = DatagramSocket::open(provider, Family::V4).unwrap();
            let ready = AtomicUsize::new(0);
            let close = |socket: DatagramSocket| {
                // At the same moment: a barrier would wake one of them later.
                ready.fetch_add(1, Ordering::SeqCst);
                while ready.load(Ordering::SeqCst) < 2 {
                    std::hint::spin_loop();
                }
                socket.close()
            };
            let other = socket.clone();
            let closed = std::thread::scope(|scope| {
                let other = scope.spawn(|| close(other));
                [close(socket), other.join().unwrap()]
            });
            let waited = closed.iter().filter(|result| result.is_ok()).count();
            assert_eq!(waited, 1, "{closed:?}");
            assert!(closed.contains(&Err(Error::InUse)));
        }
    });
}

#[test]
fn handles_share_a_socket_and_the_last_closes_it() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let other = socket.clone();
        let address = socket.local_address().unwrap();
        assert_eq!(socket.close().unwrap_err(), Error::InUse);
        assert_eq!(
            other.local_address().unwrap(),
            address,
            "the other handle still works"
        );
        // Closing without waiting, where waiting is not allowed.
        wsk_host::at_irql(2, || drop(other));
    });
}

#[test]
fn handles_go_to_other_threads() {
    on_each_kernel(|_, provider| {
        let socket = bound(provider, Family::V4, LOOPBACK);
        let (peer, to) = peer(LOOPBACK);
        std::thread::scope(|threads| {
            for n in 0..4_u8 {
                let socket = socket.clone();
                threads.spawn(move || {
                    let buffer = NonPagedBuffer::copy_of(&[n]).unwrap();
                    for _ in 0..50 {
                        assert_eq!(socket.send_to(&buffer, to).wait().unwrap(), 1);
                    }
                });
            }
            let mut counts = [0; 4];
            for _ in 0..200 {
                let mut byte = [0];
                peer.recv(&mut byte).unwrap();
                counts[usize::from(byte[0])] += 1;
            }
            assert_eq!(counts, [50; 4]);
        });
    });
}

/// Everything that a driver does from registering to deregistering. It returns the first failure.
fn everything(to: SocketAddr) -> Result<(), Error> {
    let registration = Registration::new()?;
    let provider = registration.capture(Wait::Forever)?;
    let socket = DatagramSocket::open(&provider, Family::Dual)?;
    socket.bind("0.0.0.0:0".parse::<SocketAddr>().unwrap())?;
    let message = NonPagedBuffer::copy_of(b"message")?;
    assert_eq!(socket.send_to(&message, to).wait()?, 7);
    socket.local_address()?;
    Ok(())
}

#[test]
fn every_allocation_and_call_may_fail() {
    let (peer, to) = peer(LOOPBACK);
    for policy in [Completion::Inline, Completion::Deferred] {
        for fail in [Kernel::fail_nth_allocation, Kernel::fail_nth_call] {
            let mut failures = Vec::new();
            for nth in 1.. {
                let kernel = Kernel::builder().completion(policy).boot();
                fail(&kernel, nth);
                let result = everything(to);
                kernel.shutdown();
                match result {
                    Ok(()) => break,
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        failures.push(error);
                    }
                }
                assert!(nth < 100, "still failing: {failures:?}");
            }
            assert!(!failures.is_empty());
        }
    }
    drop(peer);
}

#[test]
fn no_memory_says_for_what() {
    let kernel = Kernel::boot();
    kernel.fail_nth_allocation(1);
    assert_eq!(
        NonPagedBuffer::new(8).map(drop).unwrap_err(),
        Error::NoMemory(Memory::Buffer)
    );
    kernel.fail_nth_allocation(2);
    assert_eq!(
        NonPagedBuffer::new(8).map(drop).unwrap_err(),
        Error::NoMemory(Memory::Mdl)
    );
    kernel.fail_nth_allocation(1);
    assert_eq!(
        Registration::new().map(drop).unwrap_err(),
        Error::NoMemory(Memory::Registration)
    );
    let (registration, provider) = client();
    // The operation for closing was allocated with the socket.
    kernel.fail_nth_allocation(2);
    assert_eq!(
        DatagramSocket::open(&provider, Family::V4)
            .map(drop)
            .unwrap_err(),
        Error::NoMemory(Memory::Socket)
    );
    kernel.fail_nth_allocation(1);
    let error = DatagramSocket::open(&provider, Family::V4)
        .map(drop)
        .unwrap_err();
    assert_eq!(error, Error::NoMemory(Memory::Irp));
    assert_eq!(
        error.status(),
        Some(NTSTATUS(0xC000_009A_u32.cast_signed()))
    );
    assert!(error.is_transient());
    drop((provider, registration));
    kernel.shutdown();
}
