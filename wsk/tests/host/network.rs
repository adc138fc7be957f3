//! A network that loses, duplicates and reorders datagrams, and adapters that indicate them in pieces.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use wsk::events::{Indication, ReceiveFromEvent, Retained, Verdict};
use wsk::{DatagramSocket, Error, Family, NonPagedBuffer};
use wsk_host::{Completion, Kernel, Network, Resource};

use crate::setting::{LOOPBACK, PATIENCE, bound, client};

const COUNT: u32 = 100;

/// Sends numbered datagrams, and returns the numbers of those that arrive.
fn received(network: Network, seed: u64) -> Vec<u32> {
    let kernel = Kernel::builder().network(network).seed(seed).boot();
    let (registration, provider) = client();
    let socket = bound(&provider, Family::V4, LOOPBACK);
    let to = socket.local_address().unwrap();
    let peer = UdpSocket::bind(LOOPBACK).unwrap();
    for number in 0..COUNT {
        peer.send_to(&number.to_ne_bytes(), to).unwrap();
    }
    let mut numbers = Vec::new();
    let mut buffer = NonPagedBuffer::new(8).unwrap();
    loop {
        match socket
            .receive_from(&mut buffer)
            .wait_timeout(Duration::from_millis(200))
        {
            Ok(datagram) => {
                assert_eq!(
                    datagram.remote_address().unwrap(),
                    peer.local_addr().unwrap()
                );
                let bytes = buffer.as_slice()[..datagram.length()].try_into().unwrap();
                numbers.push(u32::from_ne_bytes(bytes));
            }
            Err(Error::TimedOut { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    drop((socket, provider, registration, buffer));
    kernel.shutdown();
    numbers
}

#[test]
fn the_seed_says_what_becomes_of_datagrams() {
    let whole: Vec<u32> = (0..COUNT).collect();
    assert_eq!(received(Network::default(), 1), whole);
    let lossy = Network {
        lost: 30,
        ..Network::default()
    };
    let numbers = received(lossy, 1);
    assert!((30..95).contains(&numbers.len()), "{numbers:?}");
    assert!(numbers.is_sorted());
    assert_eq!(
        received(lossy, 1),
        numbers,
        "the same seed loses the same datagrams"
    );
    assert_ne!(received(lossy, 2), numbers, "another seed");
    let duplicating = Network {
        duplicated: 30,
        ..Network::default()
    };
    let mut numbers = received(duplicating, 1);
    assert!(numbers.len() > 105 && numbers.is_sorted(), "{numbers:?}");
    numbers.dedup();
    assert_eq!(numbers, whole);
    let reordering = Network {
        reordered: 30,
        ..Network::default()
    };
    let mut numbers = received(reordering, 1);
    assert!(!numbers.is_sorted());
    numbers.sort_unstable();
    assert_eq!(numbers, whole);
}

#[test]
fn what_is_sent_may_not_arrive() {
    let network = Network {
        lost: 40,
        duplicated: 20,
        reordered: 0,
    };
    let kernel = Kernel::builder().network(network).seed(5).boot();
    let (registration, provider) = client();
    let socket = bound(&provider, Family::V4, LOOPBACK);
    let peer = UdpSocket::bind(LOOPBACK).unwrap();
    peer.set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    for number in 0..COUNT {
        let to = peer.local_addr().unwrap();
        assert_eq!(socket.send_to(&number.to_ne_bytes(), to).wait().unwrap(), 4);
    }
    let mut numbers = Vec::new();
    let mut bytes = [0; 4];
    while peer.recv(&mut bytes).is_ok() {
        numbers.push(u32::from_ne_bytes(bytes));
    }
    let all = numbers.len();
    numbers.dedup();
    assert!(numbers.len() < all, "no datagram arrived twice");
    assert!((30..90).contains(&numbers.len()), "{numbers:?}");
    drop((socket, provider, registration));
    kernel.shutdown();
}

/// Sends the bytes of each piece of each datagram to the test, or retains the datagrams first.
struct Handler {
    pieces: Mutex<Sender<Vec<Vec<u8>>>>,
    retained: Option<Mutex<Sender<Retained>>>,
}

impl ReceiveFromEvent for Handler {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        if let Some(retained) = &self.retained {
            if let Some(kept) = indication.retain() {
                retained.lock().unwrap().send(kept).unwrap();
            }
            return Verdict::Consumed;
        }
        for datagram in indication.datagrams() {
            let pieces: Vec<_> = datagram.pieces().map(<[u8]>::to_vec).collect();
            let mut copy = vec![0; datagram.len()];
            let copied = datagram.copy_to(&mut copy);
            // A mapping that failed before may succeed now.
            assert!(copy[..copied].starts_with(&pieces.concat()));
            assert_eq!(copied, datagram.len());
            self.pieces.lock().unwrap().send(pieces).unwrap();
        }
        Verdict::Consumed
    }
}

#[test]
fn datagrams_in_pieces_are_whole() {
    for policy in [Completion::Inline, Completion::Deferred] {
        let kernel = Kernel::builder()
            .completion(policy)
            .scattered_indications()
            .boot();
        let (registration, provider) = client();
        let (pieces, told) = channel();
        let (kept, retained) = channel();
        for keep in [false, true] {
            let handler = Handler {
                pieces: Mutex::new(pieces.clone()),
                retained: keep.then(|| Mutex::new(kept.clone())),
            };
            let socket = DatagramSocket::open_with_events(&provider, Family::V4, handler).unwrap();
            socket
                .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
                .unwrap();
            socket.enable_receive_events().unwrap();
            let peer = UdpSocket::bind(LOOPBACK).unwrap();
            let to = socket.local_address().unwrap();
            for length in [0, 1, 2, 3, 100, 1472, 60_000] {
                let sent: Vec<u8> = (0..length).map(|n: u32| n.to_le_bytes()[0]).collect();
                peer.send_to(&sent, to).unwrap();
                let got: Vec<Vec<u8>> = if keep {
                    let retained = retained.recv_timeout(PATIENCE).unwrap();
                    let datagram = retained.datagrams().next().unwrap();
                    // The first call maps the pieces, the second finds them mapped.
                    assert_eq!(datagram.pieces().count(), datagram.pieces().count());
                    datagram.pieces().map(<[u8]>::to_vec).collect()
                } else {
                    told.recv_timeout(PATIENCE).unwrap()
                };
                assert_eq!(got.concat(), sent);
                assert!(length < 3 || got.len() == 3, "{length}: {}", got.len());
            }
            if !keep {
                // A datagram ends before a piece that cannot be mapped.
                kernel.fail_nth(Resource::Mapping, 2);
                peer.send_to(b"abcdef", to).unwrap();
                assert_eq!(told.recv_timeout(PATIENCE).unwrap(), [b"ab"]);
            }
            socket.close().unwrap();
        }
        drop((provider, registration));
        kernel.shutdown();
    }
}
