//! Connections as streams of the crate `embedded-io-async`: what happens to bytes when futures are dropped, forgotten, or fail.

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::task::Context;

use embedded_io_async::{BufRead, Read, ReadExactError, ReadReady, Write, WriteReady};
use wsk::buffered::{BufferedConnection, ReadHalf};
use wsk::{ConnectedSocket, Error, Provider};
use wsk_host::{Completion, DISPATCH_LEVEL, Deviation, Kernel, Resource, at_irql};
use wsk_sys::STATUS_INSUFFICIENT_RESOURCES;

use crate::setting::client;
use crate::setting::{LOOPBACK, Wakes, block_on, kernels, on_each_kernel, on_each_seeded_kernel};

/// A connection with buffers of `room` bytes, and its peer.
fn connected(provider: &Provider, room: usize) -> (BufferedConnection, TcpStream) {
    let server = TcpListener::bind(LOOPBACK).unwrap();
    let address = server.local_addr().unwrap();
    let socket = ConnectedSocket::connect(provider, address).wait().unwrap();
    let (peer, _) = server.accept().unwrap();
    peer.set_nodelay(true).unwrap();
    (BufferedConnection::new(socket, room, room).unwrap(), peer)
}

/// Polls a future once, and drops it. Returns its output, if it was ready.
fn once<F: Future>(future: F) -> Option<F::Output> {
    let (_, waker) = Wakes::new();
    match pin!(future).poll(&mut Context::from_waker(&waker)) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// Polls a future once, and forgets it.
fn forget(future: impl Future) {
    let mut future = Box::pin(future);
    let (_, waker) = Wakes::new();
    assert!(
        future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    // The memory that it borrows is used again. Its own memory leaks.
    std::mem::forget(future);
}

#[test]
fn bytes_go_both_ways_until_the_end() {
    on_each_seeded_kernel(|_, provider| {
        let (mut connection, mut peer) = connected(provider, 5);
        block_on(async {
            assert_eq!(connection.read(&mut []).await, Ok(0));
            assert_eq!(connection.write(&[]).await, Ok(0));
            // More than the buffer holds.
            connection.write_all(b"a question").await.unwrap();
            connection.flush().await.unwrap();
            let mut got = [0; 10];
            peer.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"a question");

            peer.write_all(b"an answer").unwrap();
            let mut answer = [0; 9];
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"an answer");

            connection.write_all(b"bye").await.unwrap();
            connection.disconnect().await.unwrap();
            let mut rest = Vec::new();
            peer.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"bye");
            peer.write_all(b"good").unwrap();
            drop(peer);
            assert_eq!(
                connection.read_exact(&mut answer).await,
                Err(ReadExactError::UnexpectedEof)
            );
            assert_eq!(&answer[..4], b"good");
            // Reads after the end return the end again.
            assert_eq!(connection.read(&mut answer).await, Ok(0));
        });
    });
}

#[test]
fn a_read_that_is_dropped_or_forgotten_loses_nothing_and_writes_nothing() {
    on_each_seeded_kernel(|kernel, provider| {
        let (mut connection, mut peer) = connected(provider, 64);
        let mut room = [7; 8];
        assert_eq!(once(connection.read(&mut room)), None);
        forget(connection.read(&mut room));
        let calls = kernel.counts().calls;
        assert_eq!(once(connection.read(&mut room)), None);
        assert_eq!(
            kernel.counts().calls,
            calls,
            "the reads share their operation"
        );
        peer.write_all(b"not lost").unwrap();
        while !connection.read_ready().unwrap() {
            std::thread::yield_now();
        }
        // The future borrowed this memory while it waited. The owner can use it again, and nobody changes it.
        assert_eq!(room, [7; 8]);
        assert_eq!(block_on(connection.read(&mut room[..3])), Ok(3));
        assert_eq!(block_on(connection.read(&mut room[3..])), Ok(5));
        assert_eq!(&room, b"not lost");
    });
}

/// However many futures are dropped, no bytes are lost or repeated: the reads return what the peer sent, and the peer gets what
/// the writes took.
#[test]
fn streams_are_whole_however_many_futures_are_dropped() {
    for (seed, kernel) in (1_u32..).zip(kernels()) {
        let (registration, provider) = client();
        let (connection, mut peer) = connected(&provider, 37);
        let (mut reader, mut writer) = connection.split();
        let sent: Vec<u8> = (0..20_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        let mut random = seed;
        let mut chance = move || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 16
        };
        std::thread::scope(|threads| {
            let mut from = peer.try_clone().unwrap();
            let bytes = &sent;
            threads.spawn(move || {
                for piece in bytes.chunks(101) {
                    from.write_all(piece).unwrap();
                }
            });
            let came = threads.spawn(move || {
                let mut came = Vec::new();
                peer.read_to_end(&mut came).unwrap();
                came
            });
            let (mut got, mut taken) = (Vec::<u8>::new(), Vec::<u8>::new());
            let mut dropped = 0;
            while got.len() < sent.len() || taken.len() < sent.len() {
                let mut room = [0; 64];
                let most = 1 + chance() as usize % 64;
                match once(reader.read(&mut room[..most])) {
                    Some(length) => got.extend(&room[..length.unwrap()]),
                    None => dropped += 1,
                }
                let rest = &sent[taken.len()..];
                let most = rest.len().min(chance() as usize % 64);
                match once(writer.write(&rest[..most])) {
                    Some(length) => taken.extend(&rest[..length.unwrap()]),
                    None => dropped += 1,
                }
            }
            assert!(got == sent, "the reads returned other bytes than were sent");
            assert!(dropped > 0, "no future was dropped");
            block_on(writer.disconnect()).unwrap();
            assert!(
                came.join().unwrap() == sent,
                "the peer received other bytes than were written"
            );
        });
        drop((reader, writer, provider, registration));
        kernel.shutdown();
    }
}

#[test]
fn a_read_ahead_is_looked_at_without_a_copy() {
    on_each_kernel(|_, provider| {
        let (mut connection, mut peer) = connected(provider, 16);
        peer.write_all(b"line\nrest").unwrap();
        drop(peer);
        block_on(async {
            let mut line = Vec::<u8>::new();
            loop {
                let bytes = connection.fill_buf().await.unwrap();
                let end = bytes.iter().position(|byte| *byte == b'\n');
                let length = end.map_or(bytes.len(), |end| end + 1);
                line.extend(&bytes[..length]);
                connection.consume(length);
                if end.is_some() {
                    break;
                }
            }
            assert_eq!(line, b"line\n");
            let mut rest = [0; 4];
            connection.read_exact(&mut rest).await.unwrap();
            assert_eq!(&rest, b"rest");
            // Consuming more than the buffer has does no harm.
            connection.consume(100);
            assert_eq!(connection.fill_buf().await, Ok(&[][..]));
        });
    });
}

#[test]
fn everything_works_at_dispatch_level_and_allocates_nothing_once_it_is_made() {
    on_each_kernel(|kernel, provider| {
        let (connection, mut peer) = connected(provider, 16);
        let (mut reader, mut writer) = connection.split();
        let before = kernel.counts();
        peer.write_all(b"ping").unwrap();
        let mut room = [0; 4];
        let read = |reader: &mut ReadHalf, room: &mut [u8; 4]| {
            at_irql(DISPATCH_LEVEL, || once(reader.read(room)))
        };
        while read(&mut reader, &mut room).is_none() {
            std::thread::yield_now();
        }
        assert_eq!(&room, b"ping");
        let sent = at_irql(DISPATCH_LEVEL, || {
            assert_eq!(writer.write_ready(), Ok(true));
            let sent = once(writer.write(b"pong"));
            // The flush continues without the future.
            let _ = once(writer.flush());
            sent
        });
        assert_eq!(sent, Some(Ok(4)));
        peer.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"pong");
        let after = kernel.counts();
        assert_eq!(after.pool.total, before.pool.total);
        assert_eq!(after.irps.total, before.irps.total);
        assert_eq!(after.mdls.total, before.mdls.total);
        at_irql(DISPATCH_LEVEL, || drop((reader, writer)));
    });
}

#[test]
fn small_pieces_go_out_as_one_when_they_are_flushed_or_an_answer_is_waited_for() {
    on_each_kernel(|kernel, provider| {
        let (mut connection, mut peer) = connected(provider, 16);
        block_on(async {
            let before = kernel.counts().calls;
            for byte in b"a message" {
                connection.write_all(&[*byte]).await.unwrap();
            }
            assert_eq!(kernel.counts().calls, before);
            connection.flush().await.unwrap();
            // There is nothing left to flush.
            connection.flush().await.unwrap();
            assert_eq!(kernel.counts().calls, before + 1);
            let mut got = [0; 9];
            peer.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"a message");
        });
        assert_eq!(block_on(connection.write(b"question")), Ok(8));
        let mut room = [0; 8];
        assert_eq!(once(connection.read(&mut room)), None);
        let mut got = [0; 8];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"question");
        // A full buffer is sent without a flush. The rest waits.
        assert_eq!(block_on(connection.write(&[7; 20])), Ok(16));
        let mut got = [0; 16];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(got, [7; 16]);
    });
}

#[test]
fn a_write_that_is_dropped_has_taken_nothing() {
    on_each_kernel(|_, provider| {
        let (mut connection, mut peer) = connected(provider, 64 * 1024);
        let bytes = vec![1; 64 * 1024];
        let mut taken = 0_usize;
        // The peer does not read, so that the buffers fill up.
        while let Some(length) = once(connection.write(&bytes)) {
            taken += length.unwrap();
            assert!(taken < 1 << 30, "the buffers never fill up");
        }
        assert_eq!(once(connection.write(b"never taken")), None);
        forget(connection.write(b"never taken"));
        let reader = std::thread::spawn(move || {
            let mut count = 0_usize;
            let mut room = vec![0; 1 << 16];
            loop {
                let length = peer.read(&mut room).unwrap();
                assert!(room[..length].iter().all(|byte| *byte == 1));
                count += length;
                if length == 0 {
                    return count;
                }
            }
        });
        block_on(connection.disconnect()).unwrap();
        assert_eq!(reader.join().unwrap(), taken);
    });
}

#[test]
fn what_a_provider_has_not_sent_is_sent_after_it() {
    for completion in [Completion::Inline, Completion::Deferred] {
        let kernel = Kernel::builder().completion(completion);
        let kernel = kernel.deviation(Deviation::ShortSends).boot();
        let (registration, provider) = client();
        let (mut connection, mut peer) = connected(&provider, 16);
        let calls = kernel.counts().calls;
        block_on(connection.write_all(b"more than sixteen bytes")).unwrap();
        block_on(connection.flush()).unwrap();
        // 16 bytes in pieces of 8, 4, 2, 1 and 1, and 7 in pieces of 4, 2 and 1.
        assert_eq!(kernel.counts().calls, calls + 8);
        let mut got = [0; 23];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"more than sixteen bytes");
        drop((connection, provider, registration));
        kernel.shutdown();
    }
}

#[test]
fn what_has_failed_stays_failed() {
    on_each_kernel(|kernel, provider| {
        let (mut connection, mut peer) = connected(provider, 16);
        kernel.fail_nth_call(1);
        let failed = |result: Result<_, Error>| {
            assert_eq!(
                result.unwrap_err().status(),
                Some(STATUS_INSUFFICIENT_RESOURCES)
            );
        };
        // The write has taken the bytes. The next call reports that they could not be sent.
        assert_eq!(block_on(connection.write(b"lost")), Ok(4));
        failed(block_on(connection.flush()));
        failed(block_on(connection.write(b"more")).map(|_| ()));
        failed(block_on(connection.disconnect()));
        // The other direction still works.
        peer.write_all(b"still").unwrap();
        let mut room = [0; 5];
        block_on(connection.read_exact(&mut room)).unwrap();
        assert_eq!(&room, b"still");
    });
}

#[test]
fn without_memory_there_is_no_connection() {
    on_each_kernel(|kernel, provider| {
        let (connection, _peer) = connected(provider, 16);
        let socket = connection.socket().clone();
        drop(connection);
        let mut failures = 0;
        for nth in 1.. {
            kernel.fail_nth_allocation(nth);
            let made = BufferedConnection::new(socket.clone(), 16, 16);
            kernel.fail_nth_allocation(u64::MAX);
            match made {
                Ok(_) => break,
                Err(error) => assert!(matches!(error, Error::NoMemory(_)), "{error}"),
            }
            failures += 1;
        }
        assert!(failures >= 4, "only {failures} allocations");
    });
}

#[test]
fn a_provider_that_keeps_an_irp_takes_the_direction_with_it() {
    for kernel in crate::setting::kernels_at(crate::setting::FAST) {
        let (registration, provider) = client();
        let (mut connection, mut peer) = connected(&provider, 16);
        kernel.fail_nth(Resource::Completion, 1);
        let mut room = [0; 4];
        for _ in 0..2 {
            let error = block_on(connection.read(&mut room)).unwrap_err();
            assert!(matches!(error, Error::Abandoned { .. }), "{error}");
        }
        block_on(connection.write_all(b"sent")).unwrap();
        block_on(connection.flush()).unwrap();
        peer.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"sent");
        assert_eq!(kernel.complete_withheld(), 1);
        drop((connection, provider, registration));
        kernel.shutdown();
    }
}

/// Polls a future to its end, and once more.
fn once_more<T: PartialEq + core::fmt::Debug>(
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut future = pin!(future);
    let output = block_on(future.as_mut());
    let (_, waker) = Wakes::new();
    let again = future.poll(&mut Context::from_waker(&waker));
    assert_eq!(again, std::task::Poll::Ready(Err(Error::Taken)));
    output
}

#[test]
fn a_future_that_is_polled_after_its_end_says_so_and_does_nothing() {
    on_each_seeded_kernel(|kernel, provider| {
        let (mut connection, mut peer) = connected(provider, 8);
        peer.write_all(b"once").unwrap();
        let mut room = [0; 2];
        assert_eq!(once_more(connection.read(&mut room)), Ok(2));
        assert_eq!(&room, b"on", "no byte is read twice");
        assert_eq!(once_more(connection.fill_buf()), Ok(&b"ce"[..]));
        connection.consume(2);
        assert_eq!(once_more(connection.write(b"one")), Ok(3));
        let calls = kernel.counts().calls;
        assert_eq!(once_more(connection.flush()), Ok(()));
        assert_eq!(kernel.counts().calls, calls + 1, "one send");
        assert_eq!(once_more(connection.write(b"two")), Ok(3));
        assert_eq!(once_more(connection.disconnect()), Ok(()));
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"onetwo");
        let (mut reader, mut writer) = connection.split();
        drop(peer);
        assert_eq!(once_more(reader.read(&mut room)), Ok(0));
        assert_eq!(once_more(reader.fill_buf()), Ok(&b""[..]));
        assert_eq!(once_more(writer.flush()), Ok(()));
    });
}
