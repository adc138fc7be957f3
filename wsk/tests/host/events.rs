//! Receive events on the host kernel: an indication is a value, and returns to WSK exactly once.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsk::events::{Indication, ReceiveFromEvent, Retained, RetainedDatagram, Verdict};
use wsk::operation::Operations;
use wsk::{DatagramSocket, Error, Family, NonPagedBuffer, Provider};
use wsk_host::Kernel;

use crate::setting::{LOOPBACK, PATIENCE, client, on_each_kernel, peer, until};

/// Copies or retains what arrives, as the test has set.
struct Handler {
    datagrams: Mutex<Sender<(Vec<u8>, SocketAddr)>>,
    retain: bool,
    closed: Arc<AtomicUsize>,
    drops: Arc<AtomicUsize>,
}

impl ReceiveFromEvent for Handler {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        assert!(!indication.broadcast() && !indication.multicast());
        assert!(indication.at_dispatch_level());
        for datagram in indication.datagrams() {
            let mut bytes = vec![0; datagram.len()];
            assert_eq!(datagram.copy_to(&mut bytes), bytes.len());
            assert_eq!(
                datagram.pieces().flatten().copied().collect::<Vec<_>>(),
                bytes
            );
            self.datagrams
                .lock()
                .unwrap()
                .send((bytes, datagram.remote_address().unwrap()))
                .unwrap();
        }
        if self.retain {
            let retained = indication.retain();
            if retained.is_some() {
                assert!(indication.retain().is_none(), "once");
                assert_eq!(
                    indication.datagrams().count(),
                    0,
                    "retained datagrams are not shown"
                );
            }
            // Released before the callback returns.
            drop(retained);
        }
        Verdict::Consumed
    }

    fn closed(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

struct Observed {
    datagrams: Receiver<(Vec<u8>, SocketAddr)>,
    closed: Arc<AtomicUsize>,
    drops: Arc<AtomicUsize>,
}

fn open(provider: &Provider, retain: bool) -> (DatagramSocket, Observed) {
    let (sender, datagrams) = channel();
    let (closed, drops) = (Arc::default(), Arc::default());
    let observed = Observed {
        datagrams,
        closed: Arc::clone(&closed),
        drops: Arc::clone(&drops),
    };
    let handler = Handler {
        datagrams: Mutex::new(sender),
        retain,
        closed,
        drops,
    };
    let socket = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
    socket
        .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
        .unwrap();
    (socket, observed)
}

fn with_peer(test: impl Fn(&Provider, &UdpSocket)) {
    on_each_kernel(|_, provider| test(provider, &peer(LOOPBACK).0));
}

#[test]
fn datagrams_are_indicated_once_events_are_enabled() {
    with_peer(|provider, peer| {
        let (socket, observed) = open(provider, false);
        let to = socket.local_address().unwrap();
        socket.enable_receive_events().unwrap();
        for n in 0..20_u8 {
            peer.send_to(&[n; 5], to).unwrap();
            let (bytes, from) = observed.datagrams.recv_timeout(PATIENCE).unwrap();
            assert_eq!((bytes, from), (vec![n; 5], peer.local_addr().unwrap()));
        }
        socket.disable_receive_events().unwrap();
        peer.send_to(b"received", to).unwrap();
        let mut room = NonPagedBuffer::new(16).unwrap();
        assert_eq!(
            socket.receive_from(&mut room).wait().unwrap().length(),
            8,
            "with events disabled, a receive gets the datagram"
        );
        assert!(observed.datagrams.try_recv().is_err());
        assert_eq!(observed.drops.load(Ordering::SeqCst), 0);
        socket.close().unwrap();
        assert_eq!(
            observed.drops.load(Ordering::SeqCst),
            1,
            "closing drops the handler"
        );
    });
}

/// Retains every indication, and sends it to the test.
struct Keeper(Mutex<Sender<Retained>>);

impl ReceiveFromEvent for Keeper {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        if let Some(retained) = indication.retain() {
            let _ = self.0.lock().unwrap().send(retained);
        }
        // Retained datagrams belong to the driver, whatever the answer is.
        Verdict::NotAccepted
    }
}

#[test]
fn what_is_retained_stays_and_is_released_once() {
    with_peer(|provider, peer| {
        let (socket, kept) = keeping(provider);
        socket.enable_receive_events().unwrap();
        let to = socket.local_address().unwrap();
        let kept: Vec<Retained> = (0..4_u8)
            .map(|n| {
                peer.send_to(&[n; 100], to).unwrap();
                kept.recv_timeout(PATIENCE).unwrap()
            })
            .collect();
        for (n, retained) in kept.iter().enumerate() {
            let datagrams: Vec<_> = retained.datagrams().collect();
            assert_eq!(datagrams.len(), 1);
            assert!(
                datagrams[0]
                    .pieces()
                    .flatten()
                    .all(|byte| usize::from(*byte) == n)
            );
            assert_eq!(
                datagrams[0].remote_address().unwrap(),
                peer.local_addr().unwrap()
            );
        }
        assert_eq!(
            socket.close().unwrap_err(),
            Error::InUse,
            "retained datagrams keep the socket open"
        );
        // Another thread releases them, at DISPATCH_LEVEL. The last release closes the socket.
        std::thread::spawn(move || wsk_host::at_irql(2, || drop(kept)))
            .join()
            .unwrap();
    });
}

#[test]
fn a_dead_socket_is_told() {
    on_each_kernel(|kernel, provider| {
        let (socket, observed) = open(provider, false);
        socket.enable_receive_events().unwrap();
        kernel.force_close_sockets();
        until("the event of a dead socket", || {
            observed.closed.load(Ordering::SeqCst) == 1
        });
        socket.close().unwrap();
        assert_eq!(observed.drops.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn closing_while_datagrams_arrive() {
    with_peer(|provider, peer| {
        for retain in [false, true] {
            let (socket, observed) = open(provider, retain);
            socket.enable_receive_events().unwrap();
            let to = socket.local_address().unwrap();
            std::thread::scope(|threads| {
                threads.spawn(|| (0..200).for_each(|_| drop(peer.send_to(b"many", to))));
                std::thread::sleep(Duration::from_millis(2));
                drop(socket);
            });
            until("the drop of the handler", || {
                observed.drops.load(Ordering::SeqCst) == 1
            });
        }
    });
}

#[test]
fn a_closure_is_a_handler() {
    with_peer(|provider, peer| {
        let (sender, lengths) = channel();
        let sender = Mutex::new(sender);
        let handler = move |indication: &mut Indication<'_>| {
            for datagram in indication.datagrams() {
                sender.lock().unwrap().send(datagram.len()).unwrap();
            }
            Verdict::Consumed
        };
        let socket = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
        let local = LOOPBACK.parse::<SocketAddr>().unwrap();
        socket.bind(local).unwrap();
        socket.enable_receive_events().unwrap();
        let to = socket.local_address().unwrap();
        for length in 1..9 {
            peer.send_to(&[7; 9][..length], to).unwrap();
            assert_eq!(lengths.recv_timeout(PATIENCE).unwrap(), length);
        }
    });
}

#[test]
fn a_socket_gives_its_handler() {
    with_peer(|provider, _| {
        let (socket, observed) = open(provider, true);
        let another = socket.clone();
        let handler = socket.handler::<Handler>().unwrap();
        assert!(handler.retain);
        assert!(
            socket.handler::<Keeper>().is_none(),
            "the handler has another type"
        );
        let same = another.handler::<Handler>().unwrap();
        assert!(std::ptr::eq(handler, same));
        drop(another);
        assert_eq!(observed.drops.load(Ordering::SeqCst), 0);
        // A socket without events has no handler.
        let plain = DatagramSocket::open(provider, Family::V4).unwrap();
        assert!(plain.handler::<Handler>().is_none());
    });
}

#[test]
fn events_need_a_handler() {
    on_each_kernel(|_, provider| {
        let socket = DatagramSocket::open(provider, Family::V4).unwrap();
        assert_eq!(socket.enable_receive_events().unwrap_err(), Error::NoEvents);
        assert_eq!(
            socket.disable_receive_events().unwrap_err(),
            Error::NoEvents
        );
    });
}

#[test]
fn what_the_network_has_coalesced_comes_apart_as_it_was_sent() {
    with_peer(|provider, peer| {
        let (socket, kept) = keeping(provider);
        let option = wsk::option::MaxCoalescedSize(1000);
        socket.set_option(option).wait().unwrap();
        let to = socket.local_address().unwrap();
        let sent = [8, 8, 8, 8, 3, 8, 5].map(|length| vec![length; length.into()]);
        for bytes in &sent {
            peer.send_to(bytes, to).unwrap();
        }
        socket.enable_receive_events().unwrap();
        let (mut segments, mut coalesced) = (Vec::new(), 0);
        while segments.len() < sent.len() {
            let retained = kept.recv_timeout(PATIENCE).unwrap();
            for one in retained.into_datagrams() {
                let datagram = one.datagram();
                if let Some(size) = datagram.segment_size() {
                    assert_eq!(size, 8);
                    coalesced += datagram.segments().len();
                }
                for segment in datagram.segments() {
                    let mut bytes = vec![0; segment.len()];
                    assert_eq!(segment.copy_to(&mut bytes), bytes.len());
                    segments.push(bytes);
                }
            }
        }
        assert_eq!(segments, sent);
        assert!(coalesced > 1, "nothing was coalesced");
        socket.close().unwrap();
    });
}

/// A socket whose handler retains indications and sends them to the returned channel.
fn keeping(provider: &Provider) -> (DatagramSocket, Receiver<Retained>) {
    let (sender, kept) = channel();
    let handler = Keeper(Mutex::new(sender));
    let socket = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
    socket
        .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
        .unwrap();
    (socket, kept)
}

/// Datagrams `0..count`, retained in the lists that the kernel indicated.
fn numbered(
    socket: &DatagramSocket,
    kept: &Receiver<Retained>,
    peer: &UdpSocket,
    count: u8,
) -> Vec<Retained> {
    let to = socket.local_address().unwrap();
    // Sent before events are enabled, so that the kernel indicates several at once.
    for n in 0..count {
        peer.send_to(&[n; 9], to).unwrap();
    }
    socket.enable_receive_events().unwrap();
    let (mut lists, mut seen) = (Vec::new(), 0);
    while seen < usize::from(count) {
        let list = kept.recv_timeout(PATIENCE).unwrap();
        seen += list.datagrams().count();
        lists.push(list);
    }
    lists
}

#[test]
fn retained_datagrams_go_to_threads_and_release_themselves() {
    const COUNT: u8 = 12;
    on_each_kernel(|kernel, provider| {
        let (peer, from) = peer(LOOPBACK);
        let (socket, kept) = keeping(provider);
        let lists = numbered(&socket, &kept, &peer, COUNT);
        assert!(
            lists.len() < usize::from(COUNT),
            "no list has several datagrams"
        );
        let allocations = kernel.counts().allocations();
        let datagrams: Vec<RetainedDatagram> = lists
            .into_iter()
            .flat_map(Retained::into_datagrams)
            .collect();
        assert_eq!(kernel.counts().allocations(), allocations);
        assert_eq!(datagrams.len(), usize::from(COUNT));
        let threads: Vec<_> = datagrams
            .into_iter()
            .enumerate()
            .map(|(n, retained)| {
                std::thread::spawn(move || {
                    let datagram = retained.datagram();
                    let mut bytes = [0; 16];
                    assert_eq!(datagram.copy_to(&mut bytes), 9);
                    assert!(bytes[..9].iter().all(|&byte| usize::from(byte) == n));
                    assert_eq!(datagram.remote_address().unwrap(), from);
                    let socket = retained.socket();
                    wsk_host::at_irql(2, || drop(retained));
                    drop(socket);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        // Each datagram was released, with its socket handle. Otherwise the kernel would report it here.
        socket.close().unwrap();
    });
}

#[test]
fn a_retained_datagram_is_sent_where_it_lies() {
    for kernel in whole_and_scattered() {
        let (registration, provider) = client();
        let (peer, from) = peer(LOOPBACK);
        let (socket, kept) = keeping(&provider);
        let operations = Operations::new(&provider, 1).unwrap();
        socket.enable_receive_events().unwrap();
        let to = socket.local_address().unwrap();
        let bytes: Vec<u8> = (1..=30).collect();
        // Also across MDLs, and with no bytes at all.
        for start in [0, 1, 10, 11, 29, 30] {
            peer.send_to(&bytes, to).unwrap();
            let mut lists = kept.recv_timeout(PATIENCE).unwrap().into_datagrams();
            let retained = lists.next().unwrap();
            let (error, retained) = retained.into_mdl(31).unwrap_err();
            let length = 30;
            assert_eq!(error, Error::OutOfBounds { end: 31, length });
            let before = kernel.counts().allocations();
            let part = retained.into_mdl(start).unwrap();
            assert_eq!((part.len(), part.is_empty()), (30 - start, start == 30));
            let (done, told) = channel();
            let sending = socket.send_to(part, from).from(&operations);
            let sending = sending.start_with(move |finished| {
                // The datagram is released here, on any thread, at any IRQL.
                done.send(finished.result).unwrap();
            });
            sending.map_err(|refused| refused.error).unwrap();
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), Ok(30 - start));
            operations.wait_until_idle().unwrap();
            assert_eq!(kernel.counts().allocations(), before);
            let mut got = [0; 32];
            assert_eq!(peer.recv(&mut got).unwrap(), 30 - start);
            assert_eq!(got[..30 - start], bytes[start..]);
        }
        // By reference, by one operation at a time. Afterwards the MDL returns its datagram.
        peer.send_to(&bytes, to).unwrap();
        let mut lists = kept.recv_timeout(PATIENCE).unwrap().into_datagrams();
        let part = lists.next().unwrap().into_mdl(4).unwrap();
        assert_eq!(socket.send_to(&part, from).wait().unwrap(), 26);
        let retained = part.into_owner();
        assert_eq!(retained.datagram().len(), 30);
        drop(retained);
        // Each datagram was released, with its socket handle. Otherwise the kernel would report it here.
        socket.close().unwrap();
        drop((operations, provider, registration));
        kernel.shutdown();
    }
}

#[test]
fn what_is_not_taken_out_of_a_retained_list_goes_together() {
    with_peer(|provider, peer| {
        let (socket, kept) = keeping(provider);
        for list in numbered(&socket, &kept, peer, 8) {
            let count = list.datagrams().count();
            let mut datagrams = list.into_datagrams();
            let first = datagrams.next().unwrap();
            // The others are released, and this one stays.
            drop(datagrams);
            assert_eq!(first.datagram().len(), 9, "of {count}");
        }
        socket.close().unwrap();
    });
}

/// Kernels that indicate datagrams in one piece, and in several.
fn whole_and_scattered() -> impl Iterator<Item = Kernel> {
    let builders = [Kernel::builder(), Kernel::builder().scattered_indications()];
    builders.into_iter().map(wsk_host::Builder::boot)
}

#[test]
fn bytes_are_copied_from_any_offset() {
    for kernel in whole_and_scattered() {
        let (registration, provider) = client();
        let (peer, _) = peer(LOOPBACK);
        let (socket, kept) = keeping(&provider);
        socket.enable_receive_events().unwrap();
        let sent: Vec<u8> = (0..100).collect();
        peer.send_to(&sent, socket.local_address().unwrap())
            .unwrap();
        let retained = kept.recv_timeout(PATIENCE).unwrap();
        let datagram = retained.datagrams().next().unwrap();
        for offset in 0..=sent.len() {
            for room in [0, 1, 33, 34, 35, 200] {
                let mut bytes = vec![0xFF; room];
                let copied = datagram.copy_from(offset, &mut bytes);
                assert_eq!(copied, room.min(sent.len() - offset));
                assert_eq!(bytes[..copied], sent[offset..offset + copied]);
                assert!(bytes[copied..].iter().all(|&byte| byte == 0xFF));
            }
        }
        for beyond in [sent.len() + 1, usize::MAX] {
            assert_eq!(datagram.copy_from(beyond, &mut [0; 4]), 0);
        }
        drop((retained, socket, provider, registration));
        kernel.shutdown();
    }
}

#[test]
fn coalesced_datagrams_are_cut_into_segments() {
    for kernel in whole_and_scattered() {
        let (registration, provider) = client();
        let (peer, _) = peer(LOOPBACK);
        let (socket, kept) = keeping(&provider);
        socket.enable_receive_events().unwrap();
        for length in [0_u8, 1, 7, 20, 21] {
            let sent: Vec<u8> = (0..length).collect();
            peer.send_to(&sent, socket.local_address().unwrap())
                .unwrap();
            let retained = kept.recv_timeout(PATIENCE).unwrap();
            let datagram = retained.datagrams().next().unwrap();
            for size in [0_usize, 1, 7, 10, 30, usize::MAX] {
                let segments = datagram.segments_of(size);
                let expected: Vec<&[u8]> = if length == 0 || size == 0 {
                    vec![&sent]
                } else {
                    sent.chunks(size.min(64)).collect()
                };
                assert_eq!(segments.len(), expected.len(), "{length} by {size}");
                for (segment, expected) in segments.zip(&expected) {
                    let mut bytes = [0; 32];
                    assert_eq!(segment.len(), expected.len());
                    assert_eq!(segment.copy_to(&mut bytes), expected.len());
                    assert_eq!(&bytes[..expected.len()], *expected);
                    let pieces: Vec<u8> = segment.pieces().flatten().copied().collect();
                    assert_eq!(pieces, *expected);
                    let rest = expected.len().saturating_sub(1);
                    assert_eq!(segment.copy_from(1, &mut bytes), rest);
                    assert_eq!(segment.is_empty(), expected.is_empty());
                }
            }
            // Nothing was coalesced: the datagram is a single segment.
            assert_eq!(datagram.segment_size(), None);
            assert_eq!(datagram.segments().len(), 1);
        }
        drop((kept, socket, provider, registration));
        kernel.shutdown();
    }
}
