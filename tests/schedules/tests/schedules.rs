//! Many threads do to operations, pools and sockets whatever the interface allows, in an order that follows from a seed, while
//! completions come when they like. What they started with comes back or is dropped, once each, and nothing is left behind.
//!
//! Each run begins at another seed, which it prints. `WSK_SEED=n` runs schedule `n`, alone and again and again if
//! `WSK_SCHEDULES=n` asks for more; that variable also changes the count of an ordinary run.
//!
//! The choices of each thread follow from the seed, and so do the completion policy and its choices when one schedule is
//! replayed alone; how the host's threads are interleaved does not.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::{Duration, Instant, SystemTime};

use wsk::{
    DatagramSocket, Error, Family, Finished, InFlight, Indication, Operation, Pool, Pooled,
    Provider, ReceiveFrom, ReceiveFromEvent, Registration, Retained, SendTo, Verdict, Wait,
};
use wsk_host::{Completion, DISPATCH_LEVEL, Kernel, What, at_irql};
use wsk_schedules::{Counted, Dice, LOOPBACK, Ledger, PATIENCE, bound, dawdle, until};
use wsk_sys::STATUS_CANCELLED;

/// How many schedules a run consists of.
const SCHEDULES: u64 = 100_000;
/// How many of them share a kernel.
const BATCH: u64 = 2_000;
/// How many of them go on at the same time: most of the time they wait for a completion.
const LANES: usize = 12;

#[test]
fn schedules() {
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(
            value
                .parse::<u64>()
                .unwrap_or_else(|error| panic!("{name}: {error}")),
        )
    };
    let start = Instant::now();
    let seed = number("WSK_SEED");
    let count = number("WSK_SCHEDULES");
    if let Some(seed) = seed {
        let count = count.unwrap_or(1);
        for _ in 0..count {
            batch(seed..seed + 1, policy(seed));
        }
        return;
    }
    let count = count.unwrap_or(SCHEDULES);
    let first = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        * 1_000_000;
    say(&format!("{count} schedules from seed {first}"));
    let mut next = first;
    while next < first + count {
        let end = (next + BATCH).min(first + count);
        batch(next..end, policy(next));
        next = end;
    }
    say(&format!("{count} schedules in {:?}", start.elapsed()));
}

/// When completions come: most often at any moment.
fn policy(seed: u64) -> Completion {
    match Dice::new(seed / BATCH).below(6) {
        0 => Completion::Inline,
        1 => Completion::Deferred,
        _ => Completion::Seeded,
    }
}

/// Past the capture of the test harness, so that it is there too when the process is stopped by a bug check.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Runs the schedules on a kernel of their own.
fn batch(seeds: std::ops::Range<u64>, policy: Completion) {
    say(&format!(
        "schedules {} to {}, {policy:?}",
        seeds.start,
        seeds.end - 1
    ));
    let kernel = Kernel::builder()
        .completion(policy)
        .seed(seeds.start)
        .backtraces(false)
        .boot();
    if (seeds.start / BATCH).is_multiple_of(2) {
        // Between a completion and the event that tells of it, above all. Listening costs time: not always.
        kernel.on_event(|event| match event.what {
            What::Called {
                function: "KeSetEvent" | "KeWaitForSingleObject",
                ..
            } => {
                (0..8).for_each(|_| dawdle());
            }
            _ => dawdle(),
        });
    }
    let registration = Registration::new().unwrap();
    let provider = registration.capture(Wait::Forever).unwrap();
    let next = AtomicU64::new(seeds.start);
    let lanes = LANES.min(usize::try_from(seeds.end - seeds.start).unwrap());
    // What each lane does now; zero for nothing.
    let doing: Vec<AtomicU64> = (0..lanes).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|threads| {
        let lanes: Vec<_> = doing
            .iter()
            .map(|doing| {
                threads.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            break;
                        }
                        doing.store(seed, Ordering::Relaxed);
                        if catch_unwind(AssertUnwindSafe(|| schedule(seed, &provider))).is_err() {
                            say(&format!(
                                "schedule {seed} failed; WSK_SEED={seed} replays it"
                            ));
                            std::process::exit(101);
                        }
                    }
                    doing.store(0, Ordering::Relaxed);
                })
            })
            .collect();
        // What has not gone on for as long as anything may take hangs.
        let mut seen = (Instant::now(), Vec::new());
        while lanes.iter().any(|lane| !lane.is_finished()) {
            std::thread::sleep(Duration::from_millis(5));
            let now: Vec<_> = doing
                .iter()
                .map(|doing| doing.load(Ordering::Relaxed))
                .collect();
            if seen.1 != now {
                seen = (Instant::now(), now);
            } else if seen.0.elapsed() > 2 * PATIENCE {
                say(&format!("of these, some hang: {now:?}"));
                std::process::exit(101);
            }
        }
    });
    drop(provider);
    drop(registration);
    if let Err(leaks) = kernel.finish() {
        panic!("schedules {seeds:?}: {leaks}");
    }
}

/// Runs one schedule.
fn schedule(seed: u64, provider: &Provider) {
    let mut dice = Dice::new(seed);
    if dice.below(8) == 0 {
        events(&mut dice, provider);
    } else {
        operations(&mut dice, provider);
    }
}

/// An operation or a buffer of a pool, somebody's.
enum Held {
    Send(SendTo<Counted>),
    Receive(ReceiveFrom<Counted>),
    PooledSend(SendTo<Pooled<Counted>>),
    PooledReceive(ReceiveFrom<Pooled<Counted>>),
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

fn operations(dice: &mut Dice, provider: &Provider) {
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
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        for number in 1..threads {
            let mut actor = Actor::new(&common, socket.clone(), dice, number);
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                actor.run();
            });
        }
        let mut actor = Actor::new(&common, socket, dice, 0);
        barrier.wait();
        actor.run();
    });
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
        if self.dice.toss() {
            at_irql(DISPATCH_LEVEL, || body(self))
        } else {
            body(self)
        }
    }

    fn pick(&mut self) -> Option<Held> {
        if self.held.is_empty() {
            return None;
        }
        let place = self.dice.index(self.held.len());
        Some(self.held.swap_remove(place))
    }

    fn buffer(&mut self) -> Counted {
        let length = 1 + self.dice.index(48);
        Counted::new(length, self.number, &self.common.ledger).unwrap()
    }

    /// Starts an operation.
    fn start(&mut self) {
        let Some(socket) = self.socket.clone() else {
            return;
        };
        let to = self.common.address;
        let kind = self.dice.below(6);
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
        let mut operation = operation;
        match self.dice.below(8) {
            0 => {
                let limit = Duration::from_micros(self.dice.below(300));
                match operation.wait_timeout(limit) {
                    Ok(finished) => check(finished),
                    Err((error, operation)) => {
                        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
                        return Some(operation);
                    }
                }
            }
            1 => {
                if T::NEEDS_OTHERS || self.dice.toss() {
                    operation.cancel();
                }
                check(operation.wait().unwrap());
            }
            2 => match self.anywhere(|_| operation.try_take()) {
                Ok(finished) => check(finished),
                Err(operation) => return Some(operation),
            },
            3 => {
                self.anywhere(|_| operation.cancel());
                return Some(operation);
            }
            4 => self.anywhere(|_| drop(operation)),
            5 => {
                // Who has polled is woken, with the last of the wakers.
                let counts = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
                for count in &counts {
                    let waker = count.waker();
                    let polled = self.anywhere(|_| {
                        Pin::new(&mut operation).poll(&mut Context::from_waker(&waker))
                    });
                    if let Poll::Ready(finished) = polled {
                        check(finished);
                        return None;
                    }
                }
                operation.cancel();
                let waker = counts[1].waker();
                loop {
                    until("a wake", || counts[1].0.load(Ordering::SeqCst) > 0);
                    counts[1].0.store(0, Ordering::SeqCst);
                    let polled = Pin::new(&mut operation).poll(&mut Context::from_waker(&waker));
                    if let Poll::Ready(finished) = polled {
                        check(finished);
                        return None;
                    }
                }
            }
            _ => {
                let waker = Arc::new(Wakes::default()).waker();
                let polled = self
                    .anywhere(|_| Pin::new(&mut operation).poll(&mut Context::from_waker(&waker)));
                match polled {
                    Poll::Ready(finished) => check(finished),
                    Poll::Pending => return Some(operation),
                }
            }
        }
        None
    }

    /// Lays an operation on the table, and takes one from there.
    fn exchange(&mut self) {
        let mine = self.pick();
        let mut table = self.common.table.lock().unwrap();
        let others = table.pop();
        table.extend(mine);
        drop(table);
        self.held.extend(others);
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
            (Some(socket), true) => match socket.close() {
                Ok(()) | Err(Error::InUse) => {}
                Err(error) => panic!("{error}"),
            },
            (socket, _) => self.anywhere(|_| drop(socket)),
        }
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    /// A waker that takes its time, when it is cloned above all.
    fn waker(self: &Arc<Self>) -> Waker {
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |count| {
                dawdle();
                // SAFETY: the waker has a reference, and so will its clone.
                unsafe { Arc::increment_strong_count(count.cast::<Wakes>()) };
                RawWaker::new(count, &TABLE)
            },
            |count| {
                dawdle();
                // SAFETY: the waker has a reference, which goes with it.
                let count = unsafe { Arc::from_raw(count.cast::<Wakes>()) };
                count.0.fetch_add(1, Ordering::SeqCst);
            },
            |count| {
                // SAFETY: the waker has a reference, and so the count is there.
                unsafe { (*count.cast::<Wakes>()).0.fetch_add(1, Ordering::SeqCst) };
            },
            |count| {
                dawdle();
                // SAFETY: the waker has a reference, which goes with it.
                drop(unsafe { Arc::from_raw(count.cast::<Wakes>()) });
            },
        );
        let count = Arc::into_raw(self.clone()).cast();
        // SAFETY: the table keeps the count's references, which may be used on any thread.
        unsafe { Waker::from_raw(RawWaker::new(count, &TABLE)) }
    }
}

/// A result that can be checked.
trait Check {
    /// Whether it may not come without somebody else's doing.
    const NEEDS_OTHERS: bool;
    fn check(self, buffer: &Counted);
}

impl Check for usize {
    const NEEDS_OTHERS: bool = false;

    fn check(self, buffer: &Counted) {
        assert_eq!(self, buffer.bytes().len());
        assert!(buffer.bytes().iter().all(|&byte| byte == buffer.number()));
    }
}

impl Check for wsk::Received {
    const NEEDS_OTHERS: bool = true;

    fn check(self, buffer: &Counted) {
        uniform(&buffer.bytes()[..self.length]);
    }
}

/// A buffer that is, or has, a counted one.
trait Contents {
    fn counted(&self) -> &Counted;
}

impl Contents for Counted {
    fn counted(&self) -> &Counted {
        self
    }
}

impl Contents for Pooled<Counted> {
    fn counted(&self) -> &Counted {
        self
    }
}

/// The buffer is back, and the result is one that a good network gives.
fn check<T: Check, B: Contents>(finished: Finished<T, B>) {
    let buffer = finished.buffer.expect("the buffer comes back");
    match finished.result {
        Ok(result) => result.check(buffer.counted()),
        Err(error) => assert_eq!(error.status(), Some(STATUS_CANCELLED), "{error}"),
    }
}

/// Every datagram here consists of one number.
fn uniform(bytes: &[u8]) {
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "{bytes:?}");
}

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

/// Datagrams arrive by events, while these are switched, and what was retained is dropped anywhere.
fn events(dice: &mut Dice, provider: &Provider) {
    let (sender, _) = bound(provider).unwrap();
    let (retained, alive) = (Arc::new(Mutex::new(Vec::new())), Arc::new(()));
    let handler = Handler {
        dice: AtomicU64::new(dice.throw()),
        retained: retained.clone(),
        _alive: alive.clone(),
    };
    let socket = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
    socket.bind(LOOPBACK.parse().unwrap()).unwrap();
    let to = socket.local_address().unwrap();
    let seeds = [dice.throw(), dice.throw()];
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut dice = Dice::new(seeds[0]);
            for number in 0..2 + u8::try_from(dice.below(4)).unwrap() {
                let bytes = [number; 32];
                assert_eq!(sender.send_to(&bytes, to), Ok(32));
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
    // From here on nothing is retained any more; the last of those that were closes the socket, if it is not closed here.
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
