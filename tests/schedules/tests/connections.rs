//! Threads do to connections, listening sockets and their operations whatever the interface allows, in an order that follows from
//! a seed, while completions come at any time. Every buffer returns or is dropped, once, and nothing is left behind.
//!
//! Each run starts at another seed, which it prints. `WSK_SEED=n` runs schedule `n` alone, or `WSK_SCHEDULES=n` times if that is
//! set, too. By itself, `WSK_SCHEDULES=n` sets the number of schedules of an ordinary run.

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use wsk::events::{
    AcceptEvent, ConnectionEvent, Disconnection, Incoming, InspectId, Inspection, Pended,
    RetainedBytes, StreamIndication, StreamVerdict,
};
use wsk::operation::{Finished, InFlight};
use wsk::request::{
    Accepting, All, ConnectingWithData, DisconnectingAfter, FirstData, Looking, NewConnection,
    OpeningConnected, Operation, Receiving, ReceivingAll, Resolving, Sending,
};
use wsk::{ConnectedSocket, ConnectionSocket, Error, Family, ListenSocket, Provider, StreamSocket};
use wsk_host::{Completion, DISPATCH_LEVEL, Deviation, Kernel, at_irql};
use wsk_schedules::{Counted, Dice, LOOPBACK, Ledger, client, new_seed, number};

/// The number of schedules in a run.
const SCHEDULES: u64 = 1_000;
/// How many schedules share a kernel.
const BATCH: u64 = 50;
/// The most bytes that some providers receive at a time.
const PIECE: NonZeroUsize = NonZeroUsize::new(500).expect("it is not zero");
/// How many schedules run at the same time.
const LANES: usize = 6;
/// The number of steps in each.
const STEPS: usize = 60;

#[test]
fn schedules() {
    let count = number("WSK_SCHEDULES");
    if let Some(seed) = number("WSK_SEED") {
        for _ in 0..count.unwrap_or(1) {
            batch(seed..seed + 1);
        }
        return;
    }
    let first = new_seed();
    let end = first + count.unwrap_or(SCHEDULES);
    eprintln!("schedules of connections from seed {first}");
    let mut next = first;
    while next < end {
        batch(next..(next + BATCH).min(end));
        next += BATCH;
    }
}

/// Runs schedules on their own kernel.
fn batch(seeds: std::ops::Range<u64>) {
    let policy = match Dice::new(seeds.start).below(4) {
        0 => Completion::Inline,
        1 => Completion::Deferred,
        _ => Completion::Seeded,
    };
    let mut kernel = Kernel::builder()
        .completion(policy)
        .seed(seeds.start)
        .backtraces(false);
    if Dice::new(!seeds.start).toss() {
        // Requests to fill a buffer continue piece by piece.
        kernel = kernel.deviation(Deviation::ShortReceives(PIECE));
    }
    let kernel = kernel.boot();
    let (registration, provider) = client().unwrap();
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|threads| {
        for _ in 0..LANES {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    schedule(seed, &provider);
                }
            });
        }
    });
    drop(provider);
    drop(registration);
    if let Err(leaks) = kernel.finish() {
        panic!("schedules {seeds:?}: {leaks}");
    }
}

/// Consumes, refuses or retains what is indicated. Answers requests for connections at once, later, or never.
struct Handler {
    seed: AtomicU64,
    kept: Mutex<Vec<Pended>>,
}

impl Handler {
    fn new(seed: u64) -> Self {
        Self {
            seed: AtomicU64::new(seed),
            kept: Mutex::new(Vec::new()),
        }
    }

    fn below(&self, limit: u64) -> u64 {
        Dice::new(self.seed.fetch_add(1, Ordering::Relaxed)).below(limit)
    }

    /// Takes a retained item: the first one, or the one with an identifier. It is dropped or answered outside the lock.
    fn take(&self, id: Option<InspectId>) -> Option<Pended> {
        let mut kept = self.kept.lock().unwrap();
        let index = match id {
            Some(id) => kept.iter().position(|pended| pended.id() == id)?,
            None if kept.is_empty() => return None,
            None => 0,
        };
        Some(kept.swap_remove(index))
    }
}

impl ConnectionEvent for Handler {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        let length: usize = indication.pieces().map(<[u8]>::len).sum();
        assert_eq!(length, indication.len());
        match self.below(5) {
            0 => StreamVerdict::NotAccepted,
            1 => StreamVerdict::ConsumedPart(length / 2),
            2 => {
                let kept: Option<RetainedBytes> = indication.retain();
                assert!(kept.is_none_or(|kept| kept.len() == length));
                StreamVerdict::Consumed
            }
            3 => {
                // This may drop the last handle inside the callback.
                drop(indication.socket());
                StreamVerdict::Consumed
            }
            _ => StreamVerdict::Consumed,
        }
    }

    fn disconnected(&self, disconnection: &Disconnection<'_>) {
        if let Some(socket) = disconnection.socket() {
            drop(socket.disconnect().start());
        }
    }
}

impl AcceptEvent for Handler {
    fn inspect(&self, inspection: Inspection<'_>) {
        match self.below(8) {
            0 => {}
            1 => inspection.reject(),
            2 => drop(inspection.pend()),
            3 => drop(inspection.pend().unwrap().reject().start()),
            4 => drop(inspection.pend().unwrap().accept().start()),
            5 => {
                let pended = inspection.pend().unwrap();
                self.kept.lock().unwrap().push(pended);
                if let Some(other) = self.take(None) {
                    drop(other.accept().start());
                }
            }
            6 => self.kept.lock().unwrap().push(inspection.pend().unwrap()),
            _ => inspection.accept(),
        }
    }

    fn aborted(&self, id: InspectId) {
        drop(self.take(Some(id)));
    }

    fn accepted(&self, incoming: Incoming<'_>) {
        match self.below(5) {
            0 => {}
            1 => drop(incoming.accept()),
            // Its handler is dropped before WSK calls it for the first time.
            2 => drop(incoming.accept_with_events(Self::new(2))),
            choice => {
                let handler = Self::new(choice);
                let socket = incoming.accept_with_events(handler).unwrap();
                let _ = socket.enable_events();
                drop(socket.disconnect().start());
            }
        }
    }
}

/// The state of a schedule.
struct Lane<'p> {
    dice: Dice,
    provider: &'p Provider,
    ledger: Arc<Ledger>,
    listener: ListenSocket,
    local: SocketAddr,
    sockets: Vec<ConnectedSocket>,
    held: Vec<Held>,
}

/// An operation in flight.
enum Held {
    Send(InFlight<Sending, Counted>),
    Receive(InFlight<Receiving, Counted>),
    ReceiveAll(InFlight<ReceivingAll, All<Counted>>),
    Disconnect(InFlight<DisconnectingAfter, Counted>),
    Accept(InFlight<Accepting, NewConnection>),
    Open(InFlight<OpeningConnected, NewConnection>),
    First(InFlight<ConnectingWithData, FirstData<Counted>>),
    Resolve(InFlight<Resolving, Looking>),
}

fn schedule(seed: u64, provider: &Provider) {
    let mut dice = Dice::new(seed);
    let handler = Handler::new(seed);
    let listener = if dice.toss() {
        ListenSocket::open_conditional(provider, Family::V4, handler).unwrap()
    } else {
        ListenSocket::open_with_events(provider, Family::V4, handler).unwrap()
    };
    listener
        .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
        .unwrap();
    let local = listener.local_address().unwrap();
    if dice.toss() {
        listener.enable_accept_events().unwrap();
    }
    let ledger = Ledger::new();
    let mut lane = Lane {
        dice,
        provider,
        ledger: ledger.clone(),
        listener,
        local,
        sockets: Vec::new(),
        held: Vec::new(),
    };
    for _ in 0..STEPS {
        lane.step();
    }
    // In any order.
    if lane.dice.toss() {
        lane.sockets.clear();
    }
    drop(lane);
    ledger.settle(0);
}

impl Lane<'_> {
    fn step(&mut self) {
        match self.dice.below(12) {
            0 => self
                .held
                .extend(self.listener.accept().start().map(Held::Accept)),
            1 if self.dice.toss() => self.first(),
            1 | 2 => {
                let open = ConnectedSocket::connect(self.provider, self.local);
                let open = if self.dice.toss() {
                    open.start()
                } else {
                    let handler = Handler::new(self.dice.throw());
                    open.with_events(handler).start()
                };
                self.held.push(Held::Open(open.unwrap()));
            }
            3 if self.dice.below(4) == 0 => {
                let resolve = self.provider.resolve("127.0.0.1").start().unwrap();
                self.held.push(Held::Resolve(resolve));
            }
            4 | 5 => self.socket(|lane, socket| {
                let buffer = lane.buffer();
                let send = lane.anywhere(|| socket.send(buffer).start()).unwrap();
                lane.held.push(Held::Send(send));
            }),
            6 | 7 => self.socket(|lane, socket| {
                let buffer = lane.buffer();
                let receive = if lane.dice.toss() {
                    Held::Receive(lane.anywhere(|| socket.receive(buffer).start()).unwrap())
                } else {
                    Held::ReceiveAll(
                        lane.anywhere(|| socket.receive_all(buffer).start())
                            .unwrap(),
                    )
                };
                lane.held.push(receive);
            }),
            8 => self.socket(Self::end),
            9 => self.socket(|lane, socket| match lane.dice.below(7) {
                0 => drop(socket.enable_events()),
                1 => drop(socket.disable_events()),
                2 => drop(socket.resume_events()),
                3 | 4 => {
                    let on = lane.dice.toss();
                    drop(socket.indicate_control(on).start());
                }
                5 => lane.sockets.push(socket.clone()),
                _ => lane.scope(socket),
            }),
            10 => {
                if !self.sockets.is_empty() {
                    let index = self.dice.index(self.sockets.len());
                    let socket = self.sockets.swap_remove(index);
                    if self.dice.below(4) == 0 {
                        let closed = socket.close();
                        assert!(matches!(closed, Ok(()) | Err(Error::InUse)), "{closed:?}");
                    } else {
                        self.anywhere(|| drop(socket));
                    }
                }
            }
            _ => self.act(),
        }
    }

    /// Does something with one of the sockets.
    fn socket(&mut self, body: impl FnOnce(&mut Self, &ConnectedSocket)) {
        if !self.sockets.is_empty() {
            let index = self.dice.index(self.sockets.len());
            let socket = self.sockets.swap_remove(index);
            body(self, &socket);
            self.sockets.push(socket);
        }
    }

    fn buffer(&mut self) -> Counted {
        let length = 1 + self.dice.index(3_000);
        Counted::new(length, 7, &self.ledger).unwrap()
    }

    /// Runs `f` at an IRQL at which nothing may wait.
    fn anywhere<T>(&mut self, body: impl FnOnce() -> T) -> T {
        if self.dice.toss() {
            at_irql(DISPATCH_LEVEL, body)
        } else {
            body()
        }
    }

    /// Connects a socket with first data, either a connection socket or a stream socket; or makes a listening socket.
    fn first(&mut self) {
        let local: SocketAddr = LOOPBACK.parse().unwrap();
        let seed = self.dice.throw();
        let socket = if self.dice.toss() {
            let handler = Handler::new(seed);
            let socket =
                StreamSocket::open_with_events(self.provider, Family::V4, handler).unwrap();
            socket.bind(local).unwrap();
            if self.dice.below(4) == 0 {
                let listener = socket.listen().map_err(|(error, _)| error).unwrap();
                listener.enable_accept_events().unwrap();
                let to = listener.local_address().unwrap();
                let open = ConnectedSocket::connect(self.provider, to).start();
                self.held.push(Held::Open(open.unwrap()));
                return self.anywhere(|| drop(listener));
            }
            socket.into_connection()
        } else {
            let socket = ConnectionSocket::open(self.provider, Family::V4).unwrap();
            socket.bind(local).unwrap();
            socket
        };
        let data = self.buffer();
        let connect = socket.connect(self.local).with_first_data(data);
        let connecting = self.anywhere(|| connect.start()).unwrap();
        self.held.push(Held::First(connecting));
    }

    /// Ends a connection in one of several ways.
    fn end(&mut self, socket: &ConnectedSocket) {
        match self.dice.below(5) {
            0 => drop(socket.abort().wait()),
            1 => drop(socket.disconnect().wait_timeout(Duration::from_micros(200))),
            2 => drop(socket.abort().start()),
            3 => drop(socket.disconnect().start()),
            _ => {
                let last = self.buffer();
                let disconnect = socket.disconnect_after(last).start().unwrap();
                self.held.push(Held::Disconnect(disconnect));
            }
        }
    }

    /// Sends and receives in a scope, which waits for both.
    fn scope(&mut self, socket: &ConnectedSocket) {
        let bytes = [1; 64];
        let mut room = [0; 64];
        let wait = self.dice.toss();
        wsk::scope(|s| {
            let receive = socket.receive(&mut room).start_in(s).unwrap();
            let send = socket.send(&bytes).start_in(s).unwrap();
            receive.cancel();
            if wait {
                drop((receive.wait(), send.wait()));
            } else {
                // The scope waits for it.
                send.cancel();
            }
        })
        .unwrap();
    }

    /// Does something with one of the operations.
    fn act(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let index = self.dice.index(self.held.len());
        let held = self.held.swap_remove(index);
        match held {
            Held::Send(operation) => {
                let left = self.act_on(operation, |_, finished| back(finished));
                self.held.extend(left.map(Held::Send));
            }
            Held::Receive(operation) => {
                let left = self.act_on(operation, |_, finished| back(finished));
                self.held.extend(left.map(Held::Receive));
            }
            Held::ReceiveAll(operation) => {
                let left = self.act_on(operation, |_, finished| back(finished));
                self.held.extend(left.map(Held::ReceiveAll));
            }
            Held::Disconnect(operation) => {
                let left = self.act_on(operation, |_, finished| back(finished));
                self.held.extend(left.map(Held::Disconnect));
            }
            Held::Accept(operation) => {
                let left = self.act_on(operation, |lane, accepted| {
                    lane.sockets.extend(accepted.map(|(socket, _)| socket));
                });
                self.held.extend(left.map(Held::Accept));
            }
            Held::Open(operation) => {
                let left = self.act_on(operation, |lane, opened| lane.sockets.extend(opened));
                self.held.extend(left.map(Held::Open));
            }
            Held::First(operation) => {
                let left = self.act_on(operation, |lane, connected| match connected {
                    Ok((socket, data)) => {
                        lane.sockets.push(socket);
                        drop(data);
                    }
                    Err(refused) => drop(refused.buffer.expect("the data comes back")),
                });
                self.held.extend(left.map(Held::First));
            }
            Held::Resolve(operation) => {
                let left = self.act_on(operation, |lane, found| lane.anywhere(|| drop(found)));
                self.held.extend(left.map(Held::Resolve));
            }
        }
    }

    fn act_on<O: Operation<B>, B>(
        &mut self,
        operation: InFlight<O, B>,
        end: impl FnOnce(&mut Self, <InFlight<O, B> as Future>::Output),
    ) -> Option<InFlight<O, B>> {
        let mut operation = operation;
        match self.dice.below(6) {
            0 => match operation.wait_timeout(Duration::from_micros(self.dice.below(300))) {
                Ok(output) => end(self, output),
                Err((error, operation)) => {
                    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
                    return Some(operation);
                }
            },
            1 => {
                operation.cancel();
                let output = operation.wait().map_err(|(error, _)| error).unwrap();
                end(self, output);
            }
            2 => match operation.try_take() {
                Ok(output) => end(self, output),
                Err(operation) => return Some(operation),
            },
            3 => {
                let mut context = Context::from_waker(Waker::noop());
                match Pin::new(&mut operation).poll(&mut context) {
                    std::task::Poll::Ready(output) => end(self, output),
                    std::task::Poll::Pending => return Some(operation),
                }
            }
            4 => self.anywhere(|| drop(operation)),
            _ => return Some(operation),
        }
        None
    }
}

/// The buffer must be returned, whatever happened to the operation.
fn back<T>(finished: Finished<T, Counted>) {
    drop(finished.buffer.expect("the buffer comes back"));
}
