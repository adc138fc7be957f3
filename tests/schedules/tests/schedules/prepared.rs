//! Prepared operations and their pools, used by many threads: those that made them, and those that received them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsk::operation::{Ended, Prepared, PreparedPool, Started};
use wsk::request::{ReceivingFrom, Repeat, SendingTo};
use wsk::{DatagramSocket, Error, NonPagedBuffer, Provider};
use wsk_schedules::{Dice, bound, dawdle};
use wsk_sys::STATUS_CANCELLED;

use crate::underway::{Told, act, anywhere, at_once, closed, exchange, pick, uniform};

/// The length of every datagram.
const ROOM: usize = 24;

type Sender = Prepared<SendingTo, NonPagedBuffer>;
type Receiver = Prepared<ReceivingFrom, NonPagedBuffer>;
type Senders = PreparedPool<SendingTo, NonPagedBuffer>;
type Receivers = PreparedPool<ReceivingFrom, NonPagedBuffer>;

enum Held {
    Sender(Sender),
    Sending(Started<SendingTo, NonPagedBuffer>),
    Receiver(Receiver),
    Receiving(Started<ReceivingFrom, NonPagedBuffer>),
}

/// The shared state of the threads of a schedule.
struct Common {
    /// Moves operations from thread to thread.
    table: Arc<Mutex<Vec<Held>>>,
    address: SocketAddr,
    told: Arc<Told>,
}

fn buffer(length: usize) -> Result<NonPagedBuffer, Error> {
    dawdle();
    NonPagedBuffer::new(length)
}

pub(crate) fn schedule(dice: &mut Dice, provider: &Provider) {
    let (socket, address) = bound(provider).unwrap();
    let mut depth = || 1 + u32::try_from(dice.below(3)).unwrap();
    let send = |_| Ok(socket.send_to(buffer(ROOM)?, address));
    let senders = PreparedPool::new(depth(), send).unwrap();
    let receive = |_| Ok(socket.receive_from(buffer(ROOM)?));
    let receivers = PreparedPool::new(depth(), receive).unwrap();
    let common = Common {
        table: Arc::default(),
        address,
        told: Arc::default(),
    };
    let threads = 2 + dice.index(2);
    let actor = |number| Actor {
        common: &common,
        socket: Some(socket.clone()),
        senders: Some(senders.clone()),
        receivers: Some(receivers.clone()),
        dice: Dice::new(dice.throw()),
        held: Vec::new(),
        number: u8::try_from(number).unwrap() + 100,
    };
    let actors = (0..threads).map(actor).collect();
    // The last thread closes the socket.
    let own = Some((socket, senders, receivers));
    let (early, late) = if dice.toss() {
        (own, None)
    } else {
        (None, own)
    };
    at_once(actors, |mut actor| actor.run(), || drop(early));
    drop(late);
    let told = common.told.clone();
    drop(common);
    told.settle();
}

/// One thread of a schedule.
struct Actor<'c> {
    common: &'c Common,
    socket: Option<DatagramSocket>,
    senders: Option<Senders>,
    receivers: Option<Receivers>,
    dice: Dice,
    held: Vec<Held>,
    number: u8,
}

impl Actor<'_> {
    fn run(&mut self) {
        for _ in 0..6 + self.dice.below(12) {
            self.step();
        }
        if self.dice.toss() {
            (self.senders, self.receivers, self.socket) = (None, None, None);
        }
        while let Some(held) = self.held.pop() {
            anywhere(&mut self.dice, || drop(held));
        }
    }

    fn step(&mut self) {
        match self.dice.below(16) {
            0..=4 => {
                let taken = self.take();
                self.held.extend(taken);
            }
            5 => {
                let made = self.make();
                self.held.extend(made);
            }
            6 => self.exchange(),
            7 => {
                let (senders, receivers) = (self.senders.clone(), self.receivers.clone());
                if let (Some(senders), true) = (&senders, self.dice.toss()) {
                    let limit = Duration::from_micros(self.dice.below(300));
                    let _ = senders.wait_until_idle_timeout(limit).unwrap();
                }
                anywhere(&mut self.dice, || drop((senders, receivers)));
            }
            8 => self.leave(),
            _ => self.act(),
        }
    }

    /// Takes an operation from one of the pools.
    fn take(&mut self) -> Option<Held> {
        if self.dice.toss() {
            let senders = self.senders.clone()?;
            self.take_from(&senders).map(Held::Sender)
        } else {
            let receivers = self.receivers.clone()?;
            self.take_from(&receivers).map(Held::Receiver)
        }
    }

    fn take_from<O: Repeat<NonPagedBuffer>>(
        &mut self,
        pool: &PreparedPool<O, NonPagedBuffer>,
    ) -> Option<Prepared<O, NonPagedBuffer>> {
        if self.dice.below(3) > 0 {
            return anywhere(&mut self.dice, || pool.take());
        }
        let limit = Duration::from_micros(self.dice.below(500));
        match pool.take_timeout(limit) {
            Ok(taken) => Some(taken),
            Err(error) => {
                assert_eq!(error, Error::PoolEmpty);
                None
            }
        }
    }

    /// Makes an operation without a pool.
    fn make(&mut self) -> Option<Held> {
        let (socket, to) = (self.socket.clone()?, self.common.address);
        let sender = self.dice.toss();
        anywhere(&mut self.dice, || {
            let buffer = buffer(ROOM).unwrap();
            Some(if sender {
                Held::Sender(socket.send_to(buffer, to).prepare().unwrap())
            } else {
                Held::Receiver(socket.receive_from(buffer).prepare().unwrap())
            })
        })
    }

    fn pick(&mut self) -> Option<Held> {
        pick(&mut self.dice, &mut self.held)
    }

    /// Puts an operation on the table, and takes one from it.
    fn exchange(&mut self) {
        let mine = self.pick();
        self.held.extend(exchange(&self.common.table, mine));
    }

    /// Drops handles.
    fn leave(&mut self) {
        match self.dice.below(6) {
            0 => self.senders = None,
            1 => self.receivers = None,
            2 => {
                if let Some(socket) = self.socket.take() {
                    closed(socket.close());
                }
            }
            _ => {}
        }
    }

    /// Does something with one of the operations.
    fn act(&mut self) {
        let Some(held) = self.pick() else { return };
        let left = match held {
            Held::Sender(sender) => self.use_sender(sender),
            Held::Receiver(receiver) => self.use_receiver(receiver),
            Held::Sending(sending) => match act(&mut self.dice, sending, true) {
                Ok(ended) => ended.map(|ended| Held::Sender(sent(ended))),
                Err(sending) => Some(Held::Sending(sending)),
            },
            Held::Receiving(receiving) => match act(&mut self.dice, receiving, false) {
                Ok(ended) => ended.map(|ended| Held::Receiver(received(ended))),
                Err(receiving) => Some(Held::Receiving(receiving)),
            },
        };
        self.held.extend(left);
    }

    fn use_sender(&mut self, sender: Sender) -> Option<Held> {
        let mut sender = sender;
        // It belongs to this thread alone, in the state in which its last holder left it.
        uniform(sender.as_slice());
        sender.set_len(1 + self.dice.index(ROOM)).unwrap();
        sender.as_mut_slice().fill(self.number);
        let length = sender.as_slice().len();
        match self.dice.below(10) {
            0 => assert_eq!(sender.wait(), Ok(length)),
            1 => {
                let limit = Duration::from_micros(self.dice.below(400));
                match sender.wait_timeout(limit) {
                    Ok(sent) => assert_eq!(sent, length),
                    Err(Error::TimedOut { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            2 => sender.set_remote_address(self.common.address).unwrap(),
            4 => {
                // Another buffer, for the next run.
                let mut new = buffer(ROOM).unwrap();
                new.as_mut_slice().fill(self.number);
                *sender.buffer_mut().unwrap() = new;
                assert_eq!(sender.buffer().map(NonPagedBuffer::len), Some(ROOM));
            }
            5 => {
                // The closure passes it on if somebody is there. Otherwise it drops it, perhaps with the last handle of the
                // socket.
                let table = self.common.table.clone();
                let told = self.common.told.one(|()| ());
                let started = anywhere(&mut self.dice, || {
                    sender.start_with(move |ended| {
                        let sender = sent(ended);
                        table.lock().unwrap().push(Held::Sender(sender));
                        drop(table);
                        told(());
                    })
                });
                started.unwrap();
                return None;
            }
            3 => {
                anywhere(&mut self.dice, || drop(sender));
                return None;
            }
            _ => {
                let started = anywhere(&mut self.dice, || sender.start());
                return Some(Held::Sending(started.unwrap()));
            }
        }
        uniform(sender.as_slice());
        Some(Held::Sender(sender))
    }

    fn use_receiver(&mut self, receiver: Receiver) -> Option<Held> {
        let mut receiver = receiver;
        receiver.as_mut_slice().fill(self.number);
        match self.dice.below(6) {
            0 | 1 => {
                let limit = Duration::from_micros(self.dice.below(400));
                match receiver.wait_timeout(limit) {
                    Ok(arrival) => {
                        uniform(arrival.bytes());
                        assert!(arrival.is_from(&self.common.address));
                    }
                    Err(Error::TimedOut { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            2 => {
                anywhere(&mut self.dice, || drop(receiver));
                return None;
            }
            _ => {
                let started = anywhere(&mut self.dice, || receiver.start());
                return Some(Held::Receiving(started.unwrap()));
            }
        }
        Some(Held::Receiver(receiver))
    }
}

fn sent(ended: Ended<SendingTo, NonPagedBuffer>) -> Sender {
    let result = ended.result();
    let sender = ended.into_operation().expect("the sender comes back");
    match result {
        Ok(length) => assert_eq!(length, sender.as_slice().len()),
        Err(error) => assert_eq!(error.status(), Some(STATUS_CANCELLED), "{error}"),
    }
    uniform(sender.as_slice());
    sender
}

fn received(ended: Ended<ReceivingFrom, NonPagedBuffer>) -> Receiver {
    match ended.result() {
        Ok(arrival) => {
            uniform(arrival.bytes());
            assert!(!arrival.is_truncated());
        }
        Err(error) => assert_eq!(error.status(), Some(STATUS_CANCELLED), "{error}"),
    }
    ended.into_operation().expect("the receiver comes back")
}
