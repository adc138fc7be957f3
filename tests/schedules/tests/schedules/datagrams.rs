//! Many threads send and receive datagrams in every way except with prepared operations.

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsk::operation::{Finished, InFlight, NotStarted, Operations, PooledOperation};
use wsk::request::{Operation, ReceivingFrom, SendingMessages, SendingTo};
use wsk::{BufferPool, DatagramSocket, Error, Messages, PooledBuffer, Provider};
use wsk_schedules::{Counted, CountedChain, Dice, Ledger, bound};
use wsk_sys::STATUS_CANCELLED;

use crate::underway::{Told, act_and_check, anywhere, at_once, closed, exchange, pick, uniform};

/// An operation or a buffer of a pool that a thread holds.
enum Held {
    Send(InFlight<SendingTo, Counted>),
    Receive(InFlight<ReceivingFrom, Counted>),
    PooledSend(InFlight<SendingTo, PooledBuffer<Counted>>),
    PooledReceive(InFlight<ReceivingFrom, PooledBuffer<Counted>>),
    Messages(InFlight<SendingMessages, Messages<Counted>>),
    ChainSend(InFlight<SendingTo, CountedChain>),
    ChainReceive(InFlight<ReceivingFrom, CountedChain>),
    Buffer(PooledBuffer<Counted>),
    Operation(PooledOperation<Counted>),
}

/// The shared state of the threads of a schedule.
struct Common {
    pool: BufferPool<Counted>,
    /// Operations with closures, some of them from a pool.
    told: Arc<Told>,
    ledger: Arc<Ledger>,
    /// Moves operations from thread to thread.
    table: Mutex<Vec<Held>>,
    address: std::net::SocketAddr,
}

pub(crate) fn schedule(dice: &mut Dice, provider: &Provider) {
    let (socket, address) = bound(provider).unwrap();
    let ledger = Ledger::new();
    let depth = 1 + u32::try_from(dice.below(3)).unwrap();
    let pool = BufferPool::new(depth, |number| {
        Counted::new(24, u8::try_from(number).unwrap(), &ledger)
    })
    .unwrap();
    let operations = Operations::new(provider, depth).unwrap();
    let told = Arc::new(Told::default());
    let common = Common {
        pool,
        told: told.clone(),
        ledger: ledger.clone(),
        table: Mutex::default(),
        address,
    };
    let threads = 2 + dice.index(2);
    let others = (1..threads)
        .map(|number| Actor::new(&common, socket.clone(), operations.clone(), dice, number));
    let others = others.collect();
    let first = Actor::new(&common, socket, operations.clone(), dice, 0);
    // The last handle of the pool is dropped before its operations, or waits for them.
    let last = dice.toss().then_some(operations);
    let run = |mut actor: Actor<'_>| actor.run();
    at_once(others, run, || run(first));
    drop(common);
    if let Some(operations) = last {
        operations.wait_until_idle().unwrap();
        assert!(operations.is_idle());
    }
    ledger.settle(0);
    told.settle();
}

/// One thread of a schedule.
struct Actor<'c> {
    common: &'c Common,
    socket: Option<DatagramSocket>,
    operations: Option<Operations<Counted>>,
    dice: Dice,
    held: Vec<Held>,
    number: u8,
}

impl<'c> Actor<'c> {
    fn new(
        common: &'c Common,
        socket: DatagramSocket,
        operations: Operations<Counted>,
        dice: &mut Dice,
        number: usize,
    ) -> Self {
        Self {
            common,
            socket: Some(socket),
            operations: Some(operations),
            dice: Dice::new(dice.throw()),
            held: Vec::new(),
            number: u8::try_from(number).unwrap() + 100,
        }
    }

    fn run(&mut self) {
        for _ in 0..4 + self.dice.below(8) {
            self.step();
        }
        // What is left is dropped in this state, before or after the handle.
        if self.dice.toss() {
            self.socket = None;
        }
        if self.dice.toss() {
            self.operations = None;
        }
        self.held.clear();
    }

    fn step(&mut self) {
        match self.dice.below(16) {
            0..=2 => self.start(),
            3 => self.start_from_a_pool(),
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

    /// Runs `f` at `PASSIVE_LEVEL` or at `DISPATCH_LEVEL`.
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
                0 | 1 => Held::Send(socket.send_to(this.buffer(), to).start().unwrap()),
                2 | 3 => Held::Receive(socket.receive_from(this.buffer()).start().unwrap()),
                4 => {
                    let mut buffer = this.common.pool.take()?;
                    let number = buffer.number();
                    buffer.bytes_mut().fill(number);
                    Held::PooledSend(socket.send_to(buffer, to).start().unwrap())
                }
                5 => {
                    let messages = Messages::new([this.buffer(), this.buffer()]).unwrap();
                    Held::Messages(socket.send_messages(messages, to).start().unwrap())
                }
                6 => Held::ChainSend(socket.send_to(this.chain(), to).start().unwrap()),
                7 => Held::ChainReceive(socket.receive_from(this.chain()).start().unwrap()),
                _ => {
                    let buffer = this.common.pool.take()?;
                    Held::PooledReceive(socket.receive_from(buffer).start().unwrap())
                }
            })
        });
        self.held.extend(started);
    }

    /// Starts an operation of the pool, or one with a closure, with a buffer that does not belong to the pool.
    fn start_from_a_pool(&mut self) {
        let (Some(socket), Some(operations)) = (self.socket.clone(), self.operations.clone())
        else {
            return;
        };
        let (to, kind) = (self.common.address, self.dice.below(6));
        let taken = match self.pick() {
            Some(Held::Operation(taken)) => Some(taken),
            other => {
                self.held.extend(other);
                None
            }
        };
        let started = self.anywhere(|this| {
            let (buffer, told) = (this.buffer(), this.common.told.clone());
            let not_told = |not_started: NotStarted<Counted>| {
                assert_eq!(not_started.error, Error::PoolEmpty);
                told.not_started();
            };
            match (kind, taken) {
                (0, Some(taken)) => {
                    let send = socket.send_to(buffer, to).from(taken).start();
                    Some(Held::Send(send.unwrap()))
                }
                (0, None) => {
                    let send = socket.send_to(buffer, to).from(&operations).start();
                    send.map(Held::Send).ok()
                }
                (1, _) => {
                    let receive = socket.receive_from(buffer).from(&operations).start();
                    receive.map(Held::Receive).ok()
                }
                (2, _) => {
                    let told = told.one(check);
                    socket.send_to(buffer, to).start_with(told).unwrap();
                    None
                }
                (3, _) => {
                    let told = told.one(check);
                    socket.receive_from(buffer).start_with(told).unwrap();
                    None
                }
                (4, _) => {
                    let completion = told.one(check);
                    let send = socket.send_to(buffer, to).from(&operations);
                    send.start_with(completion).unwrap_or_else(not_told);
                    None
                }
                _ => {
                    let completion = told.one(check);
                    let receive = socket.receive_from(buffer).from(&operations);
                    receive.start_with(completion).unwrap_or_else(not_told);
                    None
                }
            }
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
            Held::Operation(taken) => {
                self.anywhere(|_| drop(taken));
                None
            }
        };
        self.held.extend(left);
    }

    fn act_on<O, T: Check, B: Contents>(
        &mut self,
        operation: InFlight<O, B>,
    ) -> Option<InFlight<O, B>>
    where
        O: Operation<B>,
        InFlight<O, B>: std::future::Future<Output = Finished<T, B>>,
    {
        act_and_check(&mut self.dice, operation, !T::NEEDS_OTHERS, check)
    }

    /// Puts an operation on the table, and takes one from it.
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
            // It belongs to this thread alone.
            let number = self.number;
            buffer.bytes_mut().fill(number);
            assert!(buffer.bytes().iter().all(|&byte| byte == number));
            self.held.push(Held::Buffer(buffer));
        }
    }

    /// The blocking calls.
    fn wait_for_calls(&mut self) {
        let Some(socket) = self.socket.clone() else {
            return;
        };
        let bytes = [self.number; 20];
        let limit = Duration::from_micros(self.dice.below(400));
        match self.dice.below(6) {
            4 => {
                if let Some(operations) = self.operations.clone() {
                    let _ = operations.wait_until_idle_timeout(limit).unwrap();
                }
            }
            5 => {
                let operations = self.operations.clone();
                let taken = operations.and_then(|operations| operations.take_timeout(limit).ok());
                self.held.extend(taken.map(Held::Operation));
            }
            0 => assert_eq!(socket.send_to(&bytes, self.common.address).wait(), Ok(20)),
            1 => match socket
                .send_to(&bytes, self.common.address)
                .wait_timeout(limit)
            {
                Ok(20) | Err(Error::TimedOut { .. }) => {}
                other => panic!("{other:?}"),
            },
            2 => {
                let mut room = [0; 30];
                match socket.receive_from(&mut room).wait_timeout(limit) {
                    Ok(received) => uniform(&room[..received.length()]),
                    Err(Error::TimedOut { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            _ => assert_eq!(socket.local_address(), Ok(self.common.address)),
        }
    }

    /// Operations with memory of this frame.
    fn scope(&mut self) {
        let Some(socket) = self.socket.clone() else {
            return;
        };
        let message = [self.number; 10];
        let mut rooms = [[0; 40]; 2];
        let (wait, forget) = (self.dice.toss(), self.dice.toss());
        wsk::scope(|s| {
            let send = socket
                .send_to(&message, self.common.address)
                .start_in(s)
                .unwrap();
            let [first, second] = &mut rooms;
            let first = socket.receive_from(first).start_in(s).unwrap();
            let second = socket.receive_from(second).start_in(s).unwrap();
            first.cancel();
            second.cancel();
            if forget {
                let _ = ManuallyDrop::new(first);
            } else if wait {
                match first.wait() {
                    Ok((received, room)) => uniform(&room[..received.length()]),
                    Err(error) => assert_eq!(error.status(), Some(STATUS_CANCELLED)),
                }
            }
            drop(second);
            if wait {
                assert_eq!(send.wait().map(|(sent, _)| sent), Ok(10));
            }
        })
        .unwrap();
    }

    /// Drops a handle, and perhaps the socket with it.
    fn leave(&mut self) {
        if self.dice.below(3) > 0 {
            let operations = self.operations.take_if(|_| self.dice.toss());
            self.anywhere(|_| drop(operations));
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
    /// Whether it needs the action of another thread to end.
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
        assert!(self.length() <= buffer.length());
        uniform(&all[buffer.start()..][..self.length()]);
    }
}

/// A buffer that is, or contains, counted ones.
trait Contents {
    /// The number with which it was made.
    fn number(&self) -> u8;
    /// The number of bytes that are sent, or can be received.
    fn length(&self) -> usize;
    /// The offset of the first of them.
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

impl Contents for PooledBuffer<Counted> {
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

impl Contents for Messages<Counted> {
    fn number(&self) -> u8 {
        self.get(0).expect("the first").number()
    }

    fn length(&self) -> usize {
        self.iter().map(|buffer| buffer.bytes().len()).sum()
    }

    fn pieces(&self, each: impl FnMut(&[u8])) {
        self.iter().map(Counted::bytes).for_each(each);
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

/// The buffer must be returned, and the result must be possible on a good network.
fn check<T: Check, B: Contents>(finished: Finished<T, B>) {
    let buffer = finished.buffer.expect("the buffer comes back");
    match finished.result {
        Ok(result) => result.check(&buffer),
        Err(error) => assert_eq!(error.status(), Some(STATUS_CANCELLED), "{error}"),
    }
}
