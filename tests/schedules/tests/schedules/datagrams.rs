//! Datagrams that are sent and received by many threads, in every way there is but the prepared one.

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsk::{
    DatagramSocket, Error, Finished, InFlight, Messages, Operation, Pool, Pooled, Provider,
    ReceiveFrom, SendMessages, SendTo,
};
use wsk_schedules::{Counted, CountedChain, Dice, Ledger, bound};
use wsk_sys::STATUS_CANCELLED;

use crate::underway::{act_and_check, anywhere, at_once, closed, exchange, pick, uniform};

/// An operation or a buffer of a pool, somebody's.
enum Held {
    Send(SendTo<Counted>),
    Receive(ReceiveFrom<Counted>),
    PooledSend(SendTo<Pooled<Counted>>),
    PooledReceive(ReceiveFrom<Pooled<Counted>>),
    Messages(SendMessages<Counted, 2>),
    ChainSend(SendTo<CountedChain>),
    ChainReceive(ReceiveFrom<CountedChain>),
    Buffer(Pooled<Counted>),
}

/// What the threads of a schedule share.
struct Common {
    pool: Pool<Counted>,
    ledger: Arc<Ledger>,
    /// Through which operations go from thread to thread.
    table: Mutex<Vec<Held>>,
    address: std::net::SocketAddr,
}

pub(crate) fn schedule(dice: &mut Dice, provider: &Provider) {
    let (socket, address) = bound(provider).unwrap();
    let ledger = Ledger::new();
    let depth = 1 + u32::try_from(dice.below(3)).unwrap();
    let pool = Pool::new(depth, |number| {
        Counted::new(24, u8::try_from(number).unwrap(), &ledger)
    })
    .unwrap();
    let common = Common {
        pool,
        ledger: ledger.clone(),
        table: Mutex::default(),
        address,
    };
    let threads = 2 + dice.index(2);
    let others = (1..threads).map(|number| Actor::new(&common, socket.clone(), dice, number));
    let others = others.collect();
    let first = Actor::new(&common, socket, dice, 0);
    let run = |mut actor: Actor<'_>| actor.run();
    at_once(others, run, || run(first));
    drop(common);
    ledger.settle(0);
}

/// One thread of a schedule.
struct Actor<'c> {
    common: &'c Common,
    socket: Option<DatagramSocket>,
    dice: Dice,
    held: Vec<Held>,
    number: u8,
}

impl<'c> Actor<'c> {
    fn new(common: &'c Common, socket: DatagramSocket, dice: &mut Dice, number: usize) -> Self {
        Self {
            common,
            socket: Some(socket),
            dice: Dice::new(dice.throw()),
            held: Vec::new(),
            number: u8::try_from(number).unwrap() + 100,
        }
    }

    fn run(&mut self) {
        for _ in 0..4 + self.dice.below(8) {
            self.step();
        }
        // Whatever is left goes as it is, before or behind the handle.
        if self.dice.toss() {
            self.socket = None;
        }
        self.held.clear();
    }

    fn step(&mut self) {
        match self.dice.below(16) {
            0..=3 => self.start(),
            4..=8 => self.act(),
            9 => self.exchange(),
            10 => self.take(),
            11 => self.wait_for_calls(),
            12 => self.scope(),
            13 => {
                let socket = self.socket.clone();
                self.anywhere(|_| drop(socket));
            }
            14 => self.leave(),
            _ => drop(self.pick()),
        }
    }

    /// Does it at `PASSIVE_LEVEL`, or at `DISPATCH_LEVEL`.
    fn anywhere<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> T {
        let mut dice = self.dice.clone();
        self.dice.throw();
        anywhere(&mut dice, || body(self))
    }

    fn pick(&mut self) -> Option<Held> {
        pick(&mut self.dice, &mut self.held)
    }

    fn buffer(&mut self) -> Counted {
        let length = 1 + self.dice.index(48);
        Counted::new(length, self.number, &self.common.ledger).unwrap()
    }

    fn chain(&mut self) -> CountedChain {
        let lengths = [1 + self.dice.index(24), self.dice.index(24)];
        let mut chain = CountedChain::new(lengths, self.number, &self.common.ledger).unwrap();
        if self.dice.toss() {
            chain.set_range(self.dice.index(lengths[0]));
        }
        chain
    }

    /// Starts an operation.
    fn start(&mut self) {
        let Some(socket) = self.socket.clone() else {
            return;
        };
        let to = self.common.address;
        let kind = self.dice.below(9);
        let started = self.anywhere(|this| {
            Some(match kind {
                0 | 1 => Held::Send(socket.start_send_to(this.buffer(), to).unwrap()),
                2 | 3 => Held::Receive(socket.start_receive_from(this.buffer()).unwrap()),
                4 => {
                    let mut buffer = this.common.pool.take()?;
                    let number = buffer.number();
                    buffer.bytes_mut().fill(number);
                    Held::PooledSend(socket.start_send_to(buffer, to).unwrap())
                }
                5 => {
                    let messages = Messages::new([this.buffer(), this.buffer()]).unwrap();
                    Held::Messages(socket.start_send_messages(messages, to).unwrap())
                }
                6 => Held::ChainSend(socket.start_send_to(this.chain(), to).unwrap()),
                7 => Held::ChainReceive(socket.start_receive_from(this.chain()).unwrap()),
                _ => {
                    let buffer = this.common.pool.take()?;
                    Held::PooledReceive(socket.start_receive_from(buffer).unwrap())
                }
            })
        });
        self.held.extend(started);
    }

    /// Does something with one of the operations.
    fn act(&mut self) {
        let Some(held) = self.pick() else {
            return self.start();
        };
        let left = match held {
            Held::Send(operation) => self.act_on(operation).map(Held::Send),
            Held::Receive(operation) => self.act_on(operation).map(Held::Receive),
            Held::PooledSend(operation) => self.act_on(operation).map(Held::PooledSend),
            Held::PooledReceive(operation) => self.act_on(operation).map(Held::PooledReceive),
            Held::Messages(operation) => self.act_on(operation).map(Held::Messages),
            Held::ChainSend(operation) => self.act_on(operation).map(Held::ChainSend),
            Held::ChainReceive(operation) => self.act_on(operation).map(Held::ChainReceive),
            Held::Buffer(buffer) => {
                self.anywhere(|_| drop(buffer));
                None
            }
        };
        self.held.extend(left);
    }

    fn act_on<O, T: Check, B: Contents>(&mut self, operation: InFlight<O>) -> Option<InFlight<O>>
    where
        O: Operation<Output = Finished<T, B>>,
    {
        act_and_check(&mut self.dice, operation, !T::NEEDS_OTHERS, check)
    }

    /// Lays an operation on the table, and takes one from there.
    fn exchange(&mut self) {
        let mine = self.pick();
        self.held.extend(exchange(&self.common.table, mine));
    }

    /// Takes a buffer from the pool.
    fn take(&mut self) {
        let taken = if self.dice.toss() {
            self.anywhere(|this| this.common.pool.take())
        } else {
            let limit = Duration::from_micros(self.dice.below(500));
            match self.common.pool.take_timeout(limit) {
                Ok(buffer) => Some(buffer),
                Err(error) => {
                    assert_eq!(error, Error::PoolEmpty);
                    None
                }
            }
        };
        if let Some(mut buffer) = taken {
            // It is this thread's alone.
            let number = self.number;
            buffer.bytes_mut().fill(number);
            assert!(buffer.bytes().iter().all(|&byte| byte == number));
            self.held.push(Held::Buffer(buffer));
        }
    }

    /// The calls that wait.
    fn wait_for_calls(&mut self) {
        let Some(socket) = self.socket.clone() else {
            return;
        };
        let bytes = [self.number; 20];
        let limit = Duration::from_micros(self.dice.below(400));
        match self.dice.below(4) {
            0 => assert_eq!(socket.send_to(&bytes, self.common.address), Ok(20)),
            1 => match socket.send_to_timeout(&bytes, self.common.address, limit) {
                Ok(20) | Err(Error::TimedOut { .. }) => {}
                other => panic!("{other:?}"),
            },
            2 => {
                let mut room = [0; 30];
                match socket.receive_from_timeout(&mut room, limit) {
                    Ok(received) => uniform(&room[..received.length]),
                    Err(Error::TimedOut { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            _ => assert_eq!(socket.local_address(), Ok(self.common.address)),
        }
    }

    /// Operations over this frame's memory.
    fn scope(&mut self) {
        let Some(socket) = self.socket.clone() else {
            return;
        };
        let message = [self.number; 10];
        let mut rooms = [[0; 40]; 2];
        let (wait, forget) = (self.dice.toss(), self.dice.toss());
        wsk::scope(|s| {
            let send = s.send_to(&socket, &message, self.common.address).unwrap();
            let [first, second] = &mut rooms;
            let first = s.receive_from(&socket, first).unwrap();
            let second = s.receive_from(&socket, second).unwrap();
            first.cancel();
            second.cancel();
            if forget {
                let _ = ManuallyDrop::new(first);
            } else if wait {
                match first.wait() {
                    Ok((received, room)) => uniform(&room[..received.length]),
                    Err(error) => assert_eq!(error.status(), Some(STATUS_CANCELLED)),
                }
            }
            drop(second);
            if wait {
                assert_eq!(send.wait(), Ok(10));
            }
        })
        .unwrap();
    }

    /// Gives up the handle, and perhaps the socket with it.
    fn leave(&mut self) {
        if self.dice.below(3) > 0 {
            return;
        }
        match (self.socket.take(), self.dice.toss()) {
            (Some(socket), true) => closed(socket.close()),
            (socket, _) => self.anywhere(|_| drop(socket)),
        }
    }
}

/// A result that can be checked.
trait Check {
    /// Whether it may not come without somebody else's doing.
    const NEEDS_OTHERS: bool;
    fn check(self, buffer: &impl Contents);
}

impl Check for usize {
    const NEEDS_OTHERS: bool = false;

    fn check(self, buffer: &impl Contents) {
        assert_eq!(self, buffer.length());
        let number = buffer.number();
        buffer.pieces(|bytes| assert!(bytes.iter().all(|&byte| byte == number)));
    }
}

impl Check for wsk::Received {
    const NEEDS_OTHERS: bool = true;

    fn check(self, buffer: &impl Contents) {
        let mut all = Vec::new();
        buffer.pieces(|bytes| all.extend_from_slice(bytes));
        assert!(self.length <= buffer.length());
        uniform(&all[buffer.start()..][..self.length]);
    }
}

/// A buffer that is, or has, counted ones.
trait Contents {
    /// The number that it is made of.
    fn number(&self) -> u8;
    /// How many bytes are sent, or may be received.
    fn length(&self) -> usize;
    /// Which byte is the first of them.
    fn start(&self) -> usize {
        0
    }
    /// All the bytes.
    fn pieces(&self, each: impl FnMut(&[u8]));
}

impl Contents for Counted {
    fn number(&self) -> u8 {
        self.number()
    }

    fn length(&self) -> usize {
        self.bytes().len()
    }

    fn pieces(&self, each: impl FnMut(&[u8])) {
        let mut each = each;
        each(self.bytes());
    }
}

impl Contents for Pooled<Counted> {
    fn number(&self) -> u8 {
        (**self).number()
    }

    fn length(&self) -> usize {
        self.bytes().len()
    }

    fn pieces(&self, each: impl FnMut(&[u8])) {
        let mut each = each;
        each(self.bytes());
    }
}

impl Contents for Messages<Counted, 2> {
    fn number(&self) -> u8 {
        self.buffers()[0].number()
    }

    fn length(&self) -> usize {
        self.buffers()
            .iter()
            .map(|buffer| buffer.bytes().len())
            .sum()
    }

    fn pieces(&self, each: impl FnMut(&[u8])) {
        self.buffers().iter().map(Counted::bytes).for_each(each);
    }
}

impl Contents for CountedChain {
    fn number(&self) -> u8 {
        self.number()
    }

    fn length(&self) -> usize {
        self.length()
    }

    fn start(&self) -> usize {
        self.start()
    }

    fn pieces(&self, each: impl FnMut(&[u8])) {
        self.parts().into_iter().for_each(each);
    }
}

/// The buffer is back, and the result is one that a good network gives.
fn check<T: Check, B: Contents>(finished: Finished<T, B>) {
    let buffer = finished.buffer.expect("the buffer comes back");
    match finished.result {
        Ok(result) => result.check(&buffer),
        Err(error) => assert_eq!(error.status(), Some(STATUS_CANCELLED), "{error}"),
    }
}
