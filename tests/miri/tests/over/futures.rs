//! Futures that borrow their buffers and are dropped while they wait; streams; and buffers of the global allocator.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use embedded_io_async::{Read, Write};
use futures_core::Stream;
use wsk::NonPagedBuffer;
use wsk::buffered::BufferedConnection;
use wsk_miri::Manner;

use crate::connections::pair;
use crate::{block_on, everywhere, poll_once, socket, waker, within};

/// Polls a future once, and drops it.
fn begin(future: impl Future) {
    let _ = pin!(future).poll(&mut Context::from_waker(&waker()));
}

#[test]
fn borrowed_for_a_while() {
    everywhere(|_, provider| {
        let (client, server) = pair(provider);
        let mut client = BufferedConnection::new(client, 4, 4).unwrap();
        let mut server = BufferedConnection::new(server, 4, 4).unwrap();
        {
            // The buffer is freed with the future, so nobody may write to it later.
            let mut room = vec![0; 8];
            begin(server.read(&mut room));
            let mut forgotten = Box::pin(server.read(vec![0; 8].leak()));
            let _ = poll_once(&mut forgotten);
            std::mem::forget(forgotten);
        }
        block_on(async {
            let mut room = [0; 6];
            client.write_all(b"stream").await.unwrap();
            client.flush().await.unwrap();
            server.read_exact(&mut room).await.unwrap();
            assert_eq!(&room, b"stream");
            begin(client.write(b"taken, if it had room"));
            begin(client.flush());
            let (mut reader, mut writer) = server.split();
            writer.write_all(b"back").await.unwrap();
            writer.flush().await.unwrap();
            begin(reader.read(&mut room));
            client.read_exact(&mut room[..4]).await.unwrap();
            assert_eq!(&room[..4], b"back");
        });
    });
}

#[test]
fn left_to_a_provider() {
    within(Manner::Mixed(0), |_, provider| {
        let (client, _server) = pair(provider);
        let mut client = BufferedConnection::new(client, 4, 4).unwrap();
        begin(client.read(&mut [0; 4]));
        // In flight, and cancelled when the last handle is dropped.
        drop(client);
    });
}

#[test]
fn streamed() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let mut datagrams = other.datagrams(|| NonPagedBuffer::new(8));
        for number in 0..2 {
            begin(poll_fn(|context| {
                Pin::new(&mut datagrams).poll_next(context)
            }));
            one.send_to(&[number; 3], to).wait().unwrap();
            let next = poll_fn(|context| Pin::new(&mut datagrams).poll_next(context));
            let (received, buffer) = block_on(next).unwrap().unwrap();
            assert_eq!(&buffer.as_slice()[..received.length()], [number; 3]);
        }
    });
}

#[test]
fn from_the_global_allocator() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let sent = block_on(one.send_to(b"vector".to_vec(), to));
        assert_eq!(sent.result, Ok(6));
        assert_eq!(sent.buffer.unwrap(), b"vector");
        let room: Box<[u8]> = vec![0; 8].into();
        let received = block_on(other.receive_from(room));
        assert_eq!(received.result.unwrap().length(), 6);
        assert_eq!(&received.buffer.unwrap()[..6], b"vector");
        // In flight when the last handle is dropped.
        let mut receive = other.receive_from(vec![0; 8]).start().unwrap();
        let _ = poll_once(&mut receive);
        drop(receive);
        // The cancelled one may take the first datagram.
        for _ in 0..2 {
            let boxed = Box::<[u8]>::from(&b"box"[..]);
            assert_eq!(one.send_to(boxed, to).wait(), Ok(3));
        }
        let mut room = vec![0; 8];
        let received = other.receive_from(&mut room).wait().unwrap();
        assert_eq!(&room[..received.length()], b"box");
    });
}

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waker, and how often it was woken.
fn counting() -> (Arc<Wakes>, Waker) {
    let count = Arc::new(Wakes::default());
    (count.clone(), Waker::from(count))
}

/// Somebody is woken when the time of his provider is up, whoever else polls meanwhile.
#[test]
fn others_do_not_put_off_a_wake() {
    within(Manner::Kept, |kernel, provider| {
        let (socket, _) = socket(provider);
        let (count, waker) = counting();
        let mut first = socket.receive_from(packet()).start().unwrap();
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut first).poll(&mut context).is_pending());
        let mut others = Vec::new();
        while count.0.load(Ordering::SeqCst) == 0 {
            let mut other = socket.receive_from(packet()).start().unwrap();
            assert!(poll_once(&mut other).is_pending());
            others.push(other);
            assert!(others.len() < 6, "the wake is put off");
            wsk_miri::sleep(Duration::from_secs(1));
        }
        while Pin::new(&mut first).poll(&mut context).is_pending() {
            wsk_miri::sleep(Duration::from_millis(10));
        }
        drop(first);
        let kept = 1 + others.len();
        drop(others);
        assert_eq!(kernel.complete_kept(), kept);
    });
}

/// A future that is polled often, for other reasons, is woken once.
#[test]
#[cfg_attr(
    miri,
    ignore = "Miri gives a static several addresses, so that a waker is not the same as its clone"
)]
fn polling_often_wakes_once() {
    within(Manner::Kept, |kernel, provider| {
        let (socket, _) = socket(provider);
        let (count, waker) = counting();
        let mut receive = socket.receive_from(packet()).start().unwrap();
        for _ in 0..40 {
            let polled = Pin::new(&mut receive).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        wsk_miri::sleep(Duration::from_secs(3));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        drop(receive);
        assert_eq!(kernel.complete_kept(), 1);
    });
}

fn packet() -> NonPagedBuffer {
    NonPagedBuffer::copy_of(b"lost").unwrap()
}
