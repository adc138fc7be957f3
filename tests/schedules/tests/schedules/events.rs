//! Datagrams that arrive through events.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use wsk::events::{Indication, ReceiveFromEvent, Retained, Verdict};
use wsk::{DatagramSocket, Family, Provider};
use wsk_host::{DISPATCH_LEVEL, at_irql};
use wsk_schedules::{Dice, LOOPBACK, bound, until};

use crate::underway::uniform;

/// Consumes, refuses or retains what is indicated.
struct Handler {
    dice: AtomicU64,
    retained: Arc<Mutex<Vec<Retained>>>,
    _alive: Arc<()>,
}

impl ReceiveFromEvent for Handler {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        let mut bytes = [0; 64];
        for datagram in indication.datagrams() {
            let length = datagram.copy_to(&mut bytes);
            uniform(&bytes[..length]);
        }
        match Dice::new(self.dice.fetch_add(1, Ordering::Relaxed)).below(4) {
            0 => Verdict::NotAccepted,
            1 | 2 => {
                if let Some(retained) = indication.retain() {
                    self.retained.lock().unwrap().push(retained);
                }
                Verdict::Consumed
            }
            _ => Verdict::Consumed,
        }
    }
}

/// Datagrams arrive through events while these are switched on and off. Retained datagrams are dropped anywhere.
pub(crate) fn schedule(dice: &mut Dice, provider: &Provider) {
    let (sender, _) = bound(provider).unwrap();
    let (retained, alive) = (Arc::new(Mutex::new(Vec::new())), Arc::new(()));
    let handler = Handler {
        dice: AtomicU64::new(dice.throw()),
        retained: retained.clone(),
        _alive: alive.clone(),
    };
    let socket = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
    socket
        .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
        .unwrap();
    let to = socket.local_address().unwrap();
    let seeds = [dice.throw(), dice.throw()];
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut dice = Dice::new(seeds[0]);
            for number in 0..2 + u8::try_from(dice.below(4)).unwrap() {
                let bytes = [number; 32];
                assert_eq!(sender.send_to(&bytes, to).wait(), Ok(32));
            }
        });
        threads.spawn(|| {
            let mut dice = Dice::new(seeds[1]);
            for _ in 0..6 {
                let one = retained.lock().unwrap().pop();
                if dice.toss() {
                    at_irql(DISPATCH_LEVEL, || drop(one));
                }
            }
        });
        for _ in 0..2 + dice.below(4) {
            if dice.toss() {
                socket.enable_receive_events().unwrap();
            } else {
                socket.disable_receive_events().unwrap();
            }
        }
    });
    // From here on nothing is retained any more. The last retained datagram closes the socket, if this does not.
    socket.disable_receive_events().unwrap();
    if dice.toss() {
        drop(socket);
        retained.lock().unwrap().clear();
    } else {
        retained.lock().unwrap().clear();
        socket.close().unwrap();
    }
    sender.close().unwrap();
    until("the drop of the handler", || Arc::strong_count(&alive) == 1);
    assert!(retained.lock().unwrap().is_empty());
}
