//! Scoped operations on the host kernel: the scope waits for each one, whatever happens to its handle.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wsk::{Error, NonPagedBuffer};

use crate::setting::with_sockets;

#[test]
fn operations_share_a_scope() {
    with_sockets(|_, socket, peer, to| {
        let local = socket.local_address().unwrap();
        let question = *b"from the stack";
        let mut rooms = [[0_u8; 32]; 4];
        let lengths = wsk::scope(|s| {
            let sends: Vec<_> = (0..4)
                .map(|_| socket.send_to(&question, to).start_in(s).unwrap())
                .collect();
            let receives: Vec<_> = rooms
                .iter_mut()
                .map(|room| socket.receive_from(room).start_in(s).unwrap())
                .collect();
            for send in sends {
                assert_eq!(send.wait().unwrap(), (question.len(), &question));
            }
            for n in 0..4_usize {
                let mut bytes = [0; 32];
                let (length, from) = peer.recv_from(&mut bytes).unwrap();
                assert_eq!((&bytes[..length], from), (&question[..], local));
                peer.send_to(&bytes[..=n], local).unwrap();
            }
            let mut lengths: Vec<_> = receives
                .into_iter()
                .map(|receive| {
                    let (datagram, room) = receive.wait().unwrap();
                    assert_eq!(room[..datagram.length()], question[..datagram.length()]);
                    datagram.length()
                })
                .collect();
            lengths.sort_unstable();
            lengths
        });
        assert_eq!(lengths.unwrap(), [1, 2, 3, 4]);
        assert!(rooms.iter().all(|room| room[0] == b'f'));
    });
}

#[test]
fn handles_may_be_dropped_forgotten_and_unwound_past() {
    with_sockets(|_, socket, peer, to| {
        let buffer = NonPagedBuffer::copy_of(b"kept").unwrap();
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let bytes = *b"on a stack that unwinds";
            wsk::scope(|s| {
                drop(socket.send_to(&buffer, to).start_in(s).unwrap());
                let _ = Box::leak(Box::new(socket.send_to(&bytes, to).start_in(s).unwrap()));
                let mut room = [0_u8; 8];
                let _: Result<(), Error> = wsk::scope(|inner| {
                    let receive = socket.receive_from(&mut room).start_in(inner).unwrap();
                    receive.cancel();
                    let _ = Box::leak(Box::new(receive));
                });
                panic!("unwinds past operations in flight");
            })
        }));
        assert!(unwound.is_err());
        let mut bytes = [0; 32];
        let mut lengths = [
            peer.recv(&mut bytes).unwrap(),
            peer.recv(&mut bytes).unwrap(),
        ];
        lengths.sort_unstable();
        assert_eq!(lengths, [4, 23], "both were sent before the scope ended");
    });
}

#[test]
fn mistakes_leave_nothing_in_flight() {
    with_sockets(|_, socket, _, to| {
        let raised = wsk_host::at_irql(2, || wsk::scope(|_| ()));
        assert_eq!(
            raised.unwrap_err(),
            Error::WrongIrql {
                current: 2,
                limit: 1
            }
        );
        let long = NonPagedBuffer::new(65_508).unwrap();
        wsk::scope(|s| {
            let error = socket.send_to(&long, to).start_in(s).map(drop).unwrap_err();
            assert_eq!(
                error,
                Error::DatagramTooLong {
                    length: 65_508,
                    limit: 65_507
                }
            );
            let error = socket
                .send_to(b"x", "127.0.0.1:0".parse::<SocketAddr>().unwrap())
                .start_in(s)
                .map(drop)
                .unwrap_err();
            assert_eq!(error, Error::PortZero);
            // Pageable memory cannot be locked at this IRQL.
            let error = wsk_host::at_irql(2, || {
                socket.send_to(b"x", to).start_in(s).map(drop).unwrap_err()
            });
            assert_eq!(
                error,
                Error::WrongIrql {
                    current: 2,
                    limit: 1
                }
            );
        })
        .unwrap();
    });
}
