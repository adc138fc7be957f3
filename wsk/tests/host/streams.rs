//! Streams of datagrams and of connections: the order of items, dropped futures, errors, and the end.

use std::future::poll_fn;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use wsk::{BufferPool, Error, Family, ListenSocket, NonPagedBuffer};
use wsk_sys::STATUS_FILE_FORCED_CLOSED;

use crate::setting::{LOOPBACK, Wakes, block_on, in_each_setting, on_each_kernel, until};

/// Waits for the next item.
fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    block_on(poll_fn(|context| Pin::new(&mut *stream).poll_next(context)))
}

#[test]
fn datagrams_come_in_order_each_in_its_own_buffer() {
    in_each_setting(|kernel, s| {
        let pool = BufferPool::new(2, |_| NonPagedBuffer::new(16)).unwrap();
        let mut datagrams = s.socket.datagrams(|| pool.take().ok_or(Error::PoolEmpty));
        // The future that waits for the next item may be dropped when it arrives.
        let (count, waker) = Wakes::new();
        for _ in 0..2 {
            let mut context = Context::from_waker(&waker);
            assert!(
                Pin::new(&mut datagrams)
                    .poll_next(&mut context)
                    .is_pending()
            );
        }
        s.hears(b"one");
        until("the wake", || count.get() == 1);
        let mut kept = Vec::new();
        for expected in [&b"one"[..], b"two"] {
            if expected == b"two" {
                s.hears(expected);
            }
            let (received, buffer) = next(&mut datagrams).unwrap().unwrap();
            assert_eq!(received.remote_address(), Ok(s.to));
            assert_eq!(&buffer.as_slice()[..received.length()], expected);
            kept.push(buffer);
        }
        // Both buffers are in use. The stream reports an error, and continues after one is returned.
        s.hears(b"three");
        let empty = next(&mut datagrams).unwrap().map(|_| ());
        assert_eq!(empty, Err(Error::PoolEmpty));
        kept.pop();
        let (received, _) = next(&mut datagrams).unwrap().unwrap();
        assert_eq!(received.length(), 5);
        assert!(!datagrams.is_terminated());

        // A dead socket ends the stream.
        kernel.force_close_sockets();
        let error = next(&mut datagrams).unwrap().map(|_| ()).unwrap_err();
        assert_eq!(error.status(), Some(STATUS_FILE_FORCED_CLOSED));
        assert!(datagrams.is_terminated());
        assert!(next(&mut datagrams).is_none());
    });
}

#[test]
fn a_stream_of_datagrams_that_is_dropped_cancels_its_receive() {
    in_each_setting(|kernel, s| {
        let mut datagrams = s.socket.datagrams(|| NonPagedBuffer::new(16));
        let (_, waker) = Wakes::new();
        let polled = Pin::new(&mut datagrams).poll_next(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(datagrams);
        until("the cancellation", || kernel.counts().in_flight == 0);
    });
}

#[test]
fn connections_come_in_order() {
    on_each_kernel(|kernel, provider| {
        let listener = ListenSocket::open(provider, Family::V4).unwrap();
        listener
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let address = listener.local_address().unwrap();
        let mut connections = listener.connections();
        let (_, waker) = Wakes::new();
        let mut context = Context::from_waker(&waker);
        assert!(matches!(
            Pin::new(&mut connections).poll_next(&mut context),
            Poll::Pending
        ));
        for _ in 0..2 {
            let peer = TcpStream::connect(address).unwrap();
            let (socket, from) = next(&mut connections).unwrap().unwrap();
            assert_eq!(from, peer.local_addr().unwrap());
            assert_eq!(socket.remote_address(), Ok(from));
        }
        kernel.force_close_sockets();
        let error = next(&mut connections).unwrap().map(|_| ()).unwrap_err();
        assert_eq!(error.status(), Some(STATUS_FILE_FORCED_CLOSED));
        assert!(connections.is_terminated());
        assert!(next(&mut connections).is_none());
    });
}
