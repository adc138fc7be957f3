//! The two ends of a connection, used by many threads while it is disconnected, aborted and closed.

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsk::events::{ConnectionEvent, RetainedBytes, StreamIndication, StreamVerdict};
use wsk::operation::{Finished, InFlight};
use wsk::request::{
    Aborting, All, Disconnecting, DisconnectingAfter, Receiving, ReceivingAll, Sending,
};
use wsk::{ConnectedSocket, Provider};
use wsk_schedules::{Counted, CountedChain, Dice, Ledger, PATIENCE, listener, until};

use crate::underway::{Told, act_and_check, anywhere, at_once, closed, exchange, pick, plausible};

/// The least number that is sent. Receive buffers contain smaller ones.
const SENT: u8 = 100;

enum Held {
    Send(InFlight<Sending, Counted>),
    ChainSend(InFlight<Sending, CountedChain>),
    Receive(InFlight<Receiving, Counted>),
    ReceiveAll(InFlight<ReceivingAll, All<Counted>>),
    Disconnect(InFlight<Disconnecting, ()>),
    Abort(InFlight<Aborting, ()>),
    DisconnectAfter(InFlight<DisconnectingAfter, Counted>),
    Retained(RetainedBytes),
}

/// The shared state of the threads of a schedule.
struct Common {
    ledger: Arc<Ledger>,
    /// Moves operations from thread to thread.
    table: Mutex<Vec<Held>>,
    /// What the event handlers have retained.
    retained: Arc<Mutex<Vec<RetainedBytes>>>,
    told: Arc<Told>,
}

/// Consumes, refuses or retains what is indicated.
struct Handler {
    dice: Mutex<Dice>,
    retained: Arc<Mutex<Vec<RetainedBytes>>>,
}

impl ConnectionEvent for Handler {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        let mut bytes = [SENT; 64];
        let length = indication.copy_to(&mut bytes);
        sent(&bytes[..length]);
        match self.dice.lock().unwrap().below(5) {
            0 => StreamVerdict::NotAccepted,
            1 => StreamVerdict::ConsumedPart(1),
            2 => {
                if let Some(retained) = indication.retain() {
                    self.retained.lock().unwrap().push(retained);
                }
                StreamVerdict::Consumed
            }
            _ => StreamVerdict::Consumed,
        }
    }
}

/// The bytes that arrive must have been sent.
fn sent(bytes: &[u8]) {
    assert!(bytes.iter().all(|&byte| byte >= SENT), "{bytes:?}");
}

pub(crate) fn schedule(dice: &mut Dice, provider: &Provider) {
    let common = Common {
        ledger: Ledger::new(),
        table: Mutex::default(),
        retained: Arc::default(),
        told: Arc::default(),
    };
    let (listener, local) = listener(provider).unwrap();
    let with_events = dice.toss();
    let client = if with_events {
        let handler = Handler {
            dice: Mutex::new(Dice::new(dice.throw())),
            retained: common.retained.clone(),
        };
        ConnectedSocket::connect(provider, local)
            .with_events(handler)
            .wait()
            .unwrap()
    } else {
        ConnectedSocket::connect(provider, local).wait().unwrap()
    };
    let (server, from) = listener.accept().wait_timeout(PATIENCE).unwrap();
    assert_eq!(from, client.local_address().unwrap());
    if dice.toss() {
        listener.close().unwrap();
    } else {
        drop(listener);
    }
    let threads = 2 + dice.index(2);
    let actor = |number| {
        let ends = match dice.below(4) {
            0 => [Some(client.clone()), None],
            1 => [None, Some(server.clone())],
            _ => [Some(client.clone()), Some(server.clone())],
        };
        Actor {
            common: &common,
            ends,
            with_events,
            dice: Dice::new(dice.throw()),
            held: Vec::new(),
            number: u8::try_from(number).unwrap(),
        }
    };
    let actors = (0..threads).map(actor).collect();
    at_once(actors, |mut actor| actor.run(), || drop((client, server)));
    common.table.lock().unwrap().clear();
    // Retained bytes keep the connection open. The last handle may belong to an event that is still running.
    until("the end of the connection", || {
        common.retained.lock().unwrap().clear();
        Arc::strong_count(&common.retained) == 1
    });
    let (ledger, told) = (common.ledger.clone(), common.told.clone());
    drop(common);
    ledger.settle(0);
    told.settle();
}

/// One thread of a schedule.
struct Actor<'c> {
    common: &'c Common,
    ends: [Option<ConnectedSocket>; 2],
    with_events: bool,
    dice: Dice,
    held: Vec<Held>,
    number: u8,
}

impl Actor<'_> {
    fn run(&mut self) {
        for _ in 0..4 + self.dice.below(8) {
            self.step();
        }
        if self.dice.toss() {
            self.ends = [None, None];
        }
        while let Some(held) = self.held.pop() {
            anywhere(&mut self.dice, || drop(held));
        }
    }

    fn step(&mut self) {
        match self.dice.below(16) {
            0..=4 => {
                let started = self.start();
                self.held.extend(started);
            }
            5..=8 => self.act(),
            9 => self.exchange(),
            10 | 11 => self.wait_for_calls(),
            12 => self.scope(),
            13 => self.events(),
            14 => self.leave(),
            _ => drop(self.pick()),
        }
    }

    fn end(&mut self) -> Option<ConnectedSocket> {
        self.ends[self.dice.index(2)].clone()
    }

    fn pick(&mut self) -> Option<Held> {
        pick(&mut self.dice, &mut self.held)
    }

    fn buffer(&mut self, number: u8) -> Counted {
        let length = 1 + self.dice.index(24);
        Counted::new(length, number, &self.common.ledger).unwrap()
    }

    /// Starts an operation.
    fn start(&mut self) -> Option<Held> {
        let socket = self.end()?;
        let (from, into) = (SENT + self.number, self.number);
        let kind = self.dice.below(20);
        let mut dice = self.dice.clone();
        self.dice.throw();
        anywhere(&mut dice, || {
            Some(match kind {
                0..=5 => Held::Send(socket.send(self.buffer(from)).start().unwrap()),
                6 | 7 => {
                    let ledger = &self.common.ledger;
                    let chain = CountedChain::new([9, 5], from, ledger).unwrap();
                    Held::ChainSend(socket.send(chain).start().unwrap())
                }
                8..=10 => Held::Receive(socket.receive(self.buffer(into)).start().unwrap()),
                11 | 12 => Held::ReceiveAll(socket.receive_all(self.buffer(into)).start().unwrap()),
                13 => Held::Disconnect(socket.disconnect().start().unwrap()),
                14 => {
                    let last = self.buffer(from);
                    Held::DisconnectAfter(socket.disconnect_after(last).start().unwrap())
                }
                15 => Held::Abort(socket.abort().start().unwrap()),
                16 => {
                    let told = self.common.told.one(was_sent_whole);
                    socket.send(self.buffer(from)).start_with(told).unwrap();
                    return None;
                }
                17 => {
                    let told = self.common.told.one(was_received);
                    socket.receive(self.buffer(into)).start_with(told).unwrap();
                    return None;
                }
                18 => {
                    let told = self.common.told.one(was_received);
                    let receive = socket.receive_all(self.buffer(into));
                    receive.start_with(told).unwrap();
                    return None;
                }
                _ => {
                    let told = self.common.told.one(|result: Result<(), _>| {
                        plausible(result);
                    });
                    socket.drain().start_with(told).unwrap();
                    return None;
                }
            })
        })
    }

    /// Does something with one of the operations.
    fn act(&mut self) {
        let dice = &mut self.dice;
        let left = match self.held.pop() {
            None => return,
            Some(Held::Send(operation)) => act_and_check(dice, operation, false, |finished| {
                was_sent(finished, |buffer| buffer.bytes().len());
            })
            .map(Held::Send),
            Some(Held::ChainSend(operation)) => act_and_check(dice, operation, false, |finished| {
                was_sent(finished, CountedChain::length);
            })
            .map(Held::ChainSend),
            Some(Held::Receive(operation)) => {
                act_and_check(dice, operation, false, was_received).map(Held::Receive)
            }
            Some(Held::ReceiveAll(operation)) => {
                act_and_check(dice, operation, false, was_received).map(Held::ReceiveAll)
            }
            Some(Held::Disconnect(operation)) => act_and_check(dice, operation, false, |result| {
                plausible(result);
            })
            .map(Held::Disconnect),
            Some(Held::Abort(operation)) => act_and_check(dice, operation, false, |result| {
                plausible(result);
            })
            .map(Held::Abort),
            Some(Held::DisconnectAfter(operation)) => {
                act_and_check(dice, operation, false, |finished| {
                    assert!(finished.buffer.is_some(), "the buffer comes back");
                    plausible(finished.result);
                })
                .map(Held::DisconnectAfter)
            }
            Some(Held::Retained(retained)) => {
                let mut bytes = [SENT; 32];
                let length = retained.copy_to(&mut bytes);
                sent(&bytes[..length]);
                anywhere(dice, || drop(retained));
                None
            }
        };
        if let Some(left) = left {
            let place = self.dice.index(self.held.len() + 1);
            self.held.insert(place, left);
        }
    }

    /// Puts an operation on the table, and takes one from it.
    fn exchange(&mut self) {
        let mine = self.pick();
        self.held.extend(exchange(&self.common.table, mine));
    }

    /// The blocking calls.
    fn wait_for_calls(&mut self) {
        let Some(socket) = self.end() else { return };
        let limit = Duration::from_micros(self.dice.below(400));
        let bytes = [SENT + self.number; 20];
        let mut room = [0; 30];
        match self.dice.below(8) {
            0 | 1 => drop(plausible(socket.send(&bytes).wait_timeout(limit))),
            2 => {
                if let Some(length) = plausible(socket.receive(&mut room).wait_timeout(limit)) {
                    sent(&room[..length]);
                }
            }
            3 => {
                if let Some(length) = plausible(socket.receive_all(&mut room).wait_timeout(limit)) {
                    sent(&room[..length]);
                }
            }
            4 => drop(plausible(
                socket.disconnect_after(&bytes).wait_timeout(limit),
            )),
            5 => drop(plausible(socket.disconnect().wait_timeout(limit))),
            6 => drop(plausible(socket.drain().wait_timeout(limit))),
            _ => drop(plausible(socket.remote_address())),
        }
    }

    /// Operations with memory of this frame.
    fn scope(&mut self) {
        let Some(socket) = self.end() else { return };
        let message = [SENT + self.number; 10];
        let mut rooms = [[0; 40]; 2];
        let (wait, forget) = (self.dice.toss(), self.dice.toss());
        wsk::scope(|s| {
            let send = socket.send(&message).start_in(s).unwrap();
            let [first, second] = &mut rooms;
            let first = socket.receive(first).start_in(s).unwrap();
            let second = socket.receive_all(second).start_in(s).unwrap();
            first.cancel();
            second.cancel();
            send.cancel();
            if forget {
                let _ = ManuallyDrop::new(first);
            } else if wait && let Some((length, room)) = plausible(first.wait()) {
                sent(&room[..length]);
            }
            drop(second);
            if wait {
                plausible(send.wait());
            }
        })
        .unwrap();
    }

    /// Switches the events of the end that has a handler, and takes from what the handler has retained.
    fn events(&mut self) {
        if let (true, Some(client)) = (self.with_events, self.ends[0].clone()) {
            match self.dice.below(3) {
                0 => drop(plausible(client.disable_events())),
                1 => drop(plausible(client.resume_events())),
                _ => drop(plausible(client.enable_events())),
            }
        }
        let retained = self.common.retained.lock().unwrap().pop();
        self.held.extend(retained.map(Held::Retained));
    }

    /// Drops a handle of an end.
    fn leave(&mut self) {
        let end = self.dice.index(2);
        match (self.ends[end].take(), self.dice.toss()) {
            (Some(socket), true) => closed(socket.close()),
            (socket, _) => anywhere(&mut self.dice, || drop(socket)),
        }
    }
}

fn was_sent<B>(finished: Finished<usize, B>, length: impl Fn(&B) -> usize) {
    let buffer = finished.buffer.expect("the buffer comes back");
    if let Some(sent) = plausible(finished.result) {
        assert!(sent <= length(&buffer));
    }
}

fn was_sent_whole(finished: Finished<usize, Counted>) {
    was_sent(finished, |buffer| buffer.bytes().len());
}

fn was_received(finished: Finished<usize, Counted>) {
    let buffer = finished.buffer.expect("the buffer comes back");
    if let Some(length) = plausible(finished.result) {
        let (bytes, rest) = buffer.bytes().split_at(length);
        sent(bytes);
        assert!(rest.iter().all(|&byte| byte == buffer.number()));
    }
}
