//! Scenarios with operations and pools. Each asserts what must hold in every interleaving. Loom itself reports races and
//! deadlocks with a panic.

use std::future::Future;
use std::mem::forget;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::thread::{self, JoinHandle};
use wsk_model::events::{Indication, ReceiveFromEvent, Verdict};
use wsk_model::operation::{
    Ended, Finished, InFlight, Operations, Prepared, PreparedPool, Started,
};
use wsk_model::request::SendingTo;
use wsk_model::{
    BufferPool, DatagramSocket, DriverState, Error, Extent, Family, Lock, NonPagedBuffer, Provider,
    ReceiveBuffer, Received, Registration, SendBuffer, Signal, Wait, be_impatient, closed, left,
    next_request, tell,
};

type Drops = Arc<AtomicUsize>;
type Receiving = wsk_model::request::ReceivingFrom;

/// A wait that may end at any moment.
const NOW: Duration = Duration::from_millis(1);

fn to() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

fn dropped(drops: &Drops) -> usize {
    drops.load(Ordering::Relaxed)
}

/// A buffer that the provider writes. Its drops are counted.
struct Payload {
    buffer: NonPagedBuffer,
    drops: Drops,
}

impl Payload {
    fn new(drops: &Drops) -> Self {
        Self {
            buffer: NonPagedBuffer::new(1).unwrap(),
            drops: drops.clone(),
        }
    }

    /// The byte that the provider has written, read by the party that owns it.
    fn value(&self) -> u8 {
        let bytes = self.buffer.as_slice();
        wsk_model::read(bytes.as_ptr().addr(), || bytes[0])
    }

    /// Writes the byte, as the party that owns it.
    fn set(&mut self, value: u8) {
        let bytes = self.buffer.as_mut_slice();
        wsk_model::write(bytes.as_ptr().addr(), || bytes[0] = value);
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        // At the end, the party that owns the buffer uses it.
        self.set(0);
        // Not one of loom's atomics, because it must not order anything.
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Payload {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { SendBuffer::lock(&self.buffer, lock) }
    }

    fn abandon(&self) -> bool {
        SendBuffer::abandon(&self.buffer)
    }
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl ReceiveBuffer for Payload {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { ReceiveBuffer::lock_mut(&mut self.buffer, lock) }
    }

    fn abandon(&self) -> bool {
        ReceiveBuffer::abandon(&self.buffer)
    }
}

/// A registered driver with a socket.
struct Driver {
    socket: DatagramSocket,
    provider: Provider,
    registration: Registration,
}

fn driver() -> Driver {
    let registration = Registration::new().unwrap();
    let provider = registration.capture(Wait::Forever).unwrap();
    let socket = DatagramSocket::open(&provider, Family::V4).unwrap();
    socket.bind(to()).unwrap();
    Driver {
        socket,
        provider,
        registration,
    }
}

impl Driver {
    fn send(&self, drops: &Drops) -> InFlight<SendingTo, Payload> {
        let started = self.socket.send_to(Payload::new(drops), to()).start();
        started.map_err(|refused| refused.error).unwrap()
    }

    fn receive(&self, drops: &Drops) -> InFlight<Receiving, Payload> {
        let started = self.socket.receive_from(Payload::new(drops)).start();
        started.map_err(|refused| refused.error).unwrap()
    }

    /// Unloads the driver. Exactly `blocks` blocks of pool are left.
    fn unload(self, blocks: usize) {
        let Self {
            socket,
            provider,
            registration,
        } = self;
        drop((socket, provider));
        assert_eq!(closed(), 1);
        drop(registration);
        assert_eq!(left(), blocks, "blocks of pool are left");
    }
}

/// Starts a thread on which the provider completes the last request.
fn completing() -> JoinHandle<()> {
    let made = next_request();
    thread::spawn(move || made.succeed())
}

/// Like [`completing`], for a request that can be cancelled.
fn completing_unless_cancelled() -> JoinHandle<()> {
    let made = next_request().cancellable();
    thread::spawn(move || made.succeed_unless_cancelled())
}

/// Starts a send, and the thread on which the provider completes it.
fn started(drops: &Drops) -> (Driver, InFlight<SendingTo, Payload>, JoinHandle<()>) {
    let driver = driver();
    let flight = driver.send(drops);
    (driver, flight, completing())
}

/// Starts a receive that can be cancelled.
fn cancellable(drops: &Drops) -> (Driver, InFlight<Receiving, Payload>, JoinHandle<()>) {
    let driver = driver();
    let flight = driver.receive(drops);
    (driver, flight, completing_unless_cancelled())
}

fn taken(finished: Finished<usize, Payload>, drops: &Drops) {
    assert_eq!(finished.result.unwrap(), 1);
    assert_eq!(finished.buffer.unwrap().value(), 1);
    assert_eq!(dropped(drops), 1);
}

/// Takes the result of a completed send.
fn take(flight: InFlight<SendingTo, Payload>, drops: &Drops) {
    let Ok(finished) = flight.try_take() else {
        panic!("the operation must have completed");
    };
    taken(finished, drops);
}

/// The end of a scenario with one request: everything happened once.
fn gone(driver: Driver, provider: JoinHandle<()>, drops: &Drops) {
    provider.join().unwrap();
    assert_eq!(dropped(drops), 1);
    driver.unload(0);
}

/// A task that sleeps until it is woken.
struct Task(Signal);

impl Task {
    fn new() -> Arc<Self> {
        Arc::new(Self(Signal::new(true)))
    }

    fn sleep(&self) {
        self.0.wait(false);
    }

    fn was_woken(&self) -> bool {
        self.0.wait(true)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.set();
    }
}

fn poll<F: Future + Unpin>(future: &mut F, task: &Arc<Task>) -> Poll<F::Output> {
    let waker = Waker::from(task.clone());
    pin!(future).poll(&mut Context::from_waker(&waker))
}

/// Polls once, with its own task.
fn poll_once<F: Future + Unpin>(future: &mut F) -> (Option<F::Output>, Arc<Task>) {
    let task = Task::new();
    match poll(future, &task) {
        Poll::Ready(output) => (Some(output), task),
        Poll::Pending => (None, task),
    }
}

fn sleep_until<F: Future + Unpin>(future: &mut F, task: &Arc<Task>) -> F::Output {
    loop {
        if let Poll::Ready(output) = poll(future, task) {
            return output;
        }
        task.sleep();
        // A future that wakes itself polls again and again: let the others run.
        thread::yield_now();
    }
}

/// Waits like an executor, with its own task.
fn block_on_it<F: Future + Unpin>(future: F) -> F::Output {
    let mut future = future;
    sleep_until(&mut future, &Task::new())
}

pub(crate) fn inline_and_take() {
    let drops = Drops::default();
    let driver = driver();
    let flight = driver.send(&drops);
    assert!(!flight.is_completed());
    next_request().succeed();
    assert!(flight.is_completed());
    take(flight, &drops);
    driver.unload(0);
}

pub(crate) fn look_and_take() {
    let drops = Drops::default();
    let (driver, flight, provider) = started(&drops);
    while !flight.is_completed() {
        thread::yield_now();
    }
    take(flight, &drops);
    gone(driver, provider, &drops);
}

pub(crate) fn look_and_leave() {
    let drops = Drops::default();
    let (driver, flight, provider) = started(&drops);
    if flight.is_completed() {
        take(flight, &drops);
    } else {
        drop(flight);
    }
    gone(driver, provider, &drops);
}

pub(crate) fn wait() {
    let drops = Drops::default();
    let (driver, flight, provider) = started(&drops);
    taken(flight.wait().unwrap(), &drops);
    gone(driver, provider, &drops);
}

/// A blocking call, with an operation that is used again: the event of the first request must not end the second.
pub(crate) fn wait_in_the_call() {
    let drops = Drops::default();
    let driver = driver();
    let mut payload = Payload::new(&drops);
    let provider = thread::spawn(|| {
        for _ in 0..2 {
            next_request().succeed();
        }
    });
    for value in 1..3 {
        assert_eq!(driver.socket.send_to(&payload, to()).wait().unwrap(), 1);
        assert_eq!(payload.value(), value, "completed once");
        payload.set(value);
    }
    drop(payload);
    gone(driver, provider, &drops);
}

/// Waits with a timeout, then without, and uses the operation again: the event of the first request must not end the second.
pub(crate) fn wait_give_up_and_reuse() {
    let drops = Drops::default();
    let driver = driver();
    let operations = Operations::new(&driver.provider, 1).unwrap();
    let start = || {
        let request = driver.socket.send_to(Payload::new(&drops), to());
        let started = request.from(&operations).start();
        started.map_err(|refused| refused.error).unwrap()
    };
    let (flight, first) = (start(), completing());
    let finished = match flight.wait_timeout(NOW) {
        Ok(finished) => finished,
        Err((_, flight)) => flight.wait().unwrap(),
    };
    assert_eq!(finished.buffer.unwrap().value(), 1);
    let (flight, second) = (start(), completing());
    let finished = flight.wait().unwrap();
    assert_eq!(finished.result.unwrap(), 1);
    assert_eq!(finished.buffer.unwrap().value(), 1);
    first.join().unwrap();
    second.join().unwrap();
    assert_eq!(dropped(&drops), 2);
    drop(operations);
    driver.unload(0);
}

pub(crate) fn give_up_and_take_or_leave() {
    let drops = Drops::default();
    let (driver, flight, provider) = started(&drops);
    match flight.wait_timeout(NOW) {
        Ok(finished) => taken(finished, &drops),
        Err((_, flight)) => drop(flight),
    }
    gone(driver, provider, &drops);
}

fn received(result: &Result<Received, Error>, payload: &Payload) {
    assert_eq!(payload.value(), 1, "completed once");
    assert!(matches!(
        result,
        Ok(_) | Err(Error::TimedOut { .. } | Error::Call { .. })
    ));
}

/// A blocking call: a timeout cancels the request, and the call waits for the completion.
pub(crate) fn time_out_and_cancel() {
    let drops = Drops::default();
    let driver = driver();
    let mut payload = Payload::new(&drops);
    let provider = thread::spawn(|| next_request().cancellable().succeed_unless_cancelled());
    let result = driver.socket.receive_from(&mut payload).wait_timeout(NOW);
    received(&result, &payload);
    drop(payload);
    gone(driver, provider, &drops);
}

pub(crate) fn block_on() {
    let drops = Drops::default();
    let (driver, flight, provider) = started(&drops);
    taken(block_on_it(flight), &drops);
    gone(driver, provider, &drops);
}

/// A second waker replaces the first one, and is woken.
pub(crate) fn two_wakers() {
    let drops = Drops::default();
    let (driver, mut flight, provider) = started(&drops);
    match poll_once(&mut flight).0 {
        Some(finished) => taken(finished, &drops),
        None => taken(block_on_it(flight), &drops),
    }
    gone(driver, provider, &drops);
}

/// A waker that stays is woken, whoever else looks at the operation.
pub(crate) fn poll_and_sleep() {
    let drops = Drops::default();
    let (driver, mut flight, provider) = started(&drops);
    match poll_once(&mut flight) {
        (Some(finished), _) => taken(finished, &drops),
        (None, task) => {
            task.sleep();
            while !flight.is_completed() {
                thread::yield_now();
            }
            take(flight, &drops);
        }
    }
    gone(driver, provider, &drops);
}

pub(crate) fn poll_and_wait() {
    let drops = Drops::default();
    let (driver, mut flight, provider) = started(&drops);
    let (finished, task) = poll_once(&mut flight);
    match finished {
        Some(finished) => taken(finished, &drops),
        None => taken(flight.wait().unwrap(), &drops),
    }
    gone(driver, provider, &drops);
    // Nothing has kept the waker: only this test has the task.
    assert_eq!(Arc::strong_count(&task), 1, "a waker was left in its place");
}

/// A task that polled is woken although somebody has waited for a while since.
pub(crate) fn poll_wait_a_while_and_sleep() {
    let drops = Drops::default();
    let (driver, mut flight, provider) = started(&drops);
    let (finished, task) = poll_once(&mut flight);
    if let Some(finished) = finished {
        taken(finished, &drops);
    } else {
        match flight.wait_timeout(NOW) {
            Ok(finished) => taken(finished, &drops),
            Err((_, flight)) => {
                task.sleep();
                while !flight.is_completed() {
                    thread::yield_now();
                }
                take(flight, &drops);
            }
        }
    }
    gone(driver, provider, &drops);
}

pub(crate) fn poll_give_up_and_leave() {
    let drops = Drops::default();
    let (driver, mut flight, provider) = started(&drops);
    match poll_once(&mut flight).0 {
        Some(finished) => taken(finished, &drops),
        None => match flight.wait_timeout(NOW) {
            Ok(finished) => taken(finished, &drops),
            Err((_, mut flight)) => drop((poll_once(&mut flight), flight)),
        },
    }
    gone(driver, provider, &drops);
}

pub(crate) fn leave() {
    let drops = Drops::default();
    let (driver, flight, provider) = started(&drops);
    drop(flight);
    gone(driver, provider, &drops);
}

pub(crate) fn poll_and_leave() {
    let drops = Drops::default();
    let (driver, mut flight, provider) = started(&drops);
    let (finished, task) = poll_once(&mut flight);
    drop((finished, flight));
    gone(driver, provider, &drops);
    assert_eq!(Arc::strong_count(&task), 1, "a waker was left in its place");
}

/// The handle is forgotten: the operation's memory is never freed.
pub(crate) fn forget_it() {
    let drops = Drops::default();
    let (driver, mut flight, provider) = started(&drops);
    let (finished, task) = poll_once(&mut flight);
    let ready = finished.is_some();
    drop(finished);
    forget(flight);
    provider.join().unwrap();
    assert!(ready != task.was_woken(), "woken exactly if it was pending");
    assert_eq!(dropped(&drops), usize::from(ready));
    // The operation and its buffer are left.
    driver.unload(if ready { 0 } else { 2 });
}

pub(crate) fn cancel_and_wait() {
    let drops = Drops::default();
    let (driver, flight, provider) = cancellable(&drops);
    flight.cancel();
    flight.cancel();
    let finished = flight.wait().unwrap();
    received(&finished.result, finished.buffer.as_ref().unwrap());
    drop(finished);
    gone(driver, provider, &drops);
}

/// Cancelling a request that has completed meanwhile does not affect the next one with the same IRP.
pub(crate) fn cancel_and_reuse() {
    let drops = Drops::default();
    let driver = driver();
    let operations = Operations::new(&driver.provider, 1).unwrap();
    let start = || {
        let request = driver.socket.receive_from(Payload::new(&drops));
        let started = request.from(&operations).start();
        let flight = started.map_err(|refused| refused.error).unwrap();
        (flight, completing_unless_cancelled())
    };
    let (flight, first) = start();
    flight.cancel();
    let finished = flight.wait().unwrap();
    received(&finished.result, finished.buffer.as_ref().unwrap());
    drop(finished);
    let (flight, second) = start();
    first.join().unwrap();
    drop(flight);
    second.join().unwrap();
    assert_eq!(dropped(&drops), 2);
    drop(operations);
    driver.unload(0);
}

/// A receive is dropped: it is cancelled, and then left.
pub(crate) fn cancel_and_leave() {
    let drops = Drops::default();
    let (driver, mut flight, provider) = cancellable(&drops);
    let polled = poll_once(&mut flight);
    drop((polled, flight));
    gone(driver, provider, &drops);
}

/// A pooled operation is dropped while another thread waits for it, and uses it as soon as it is back.
pub(crate) fn cancel_and_leave_pooled() {
    let drops = Drops::default();
    let driver = driver();
    let operations = Operations::new(&driver.provider, 1).unwrap();
    let request = driver.socket.receive_from(Payload::new(&drops));
    let Ok(flight) = request.from(&operations).start() else {
        panic!("the pool must have an operation");
    };
    let provider = completing_unless_cancelled();
    let next = {
        let (socket, operations, drops) =
            (driver.socket.clone(), operations.clone(), drops.clone());
        thread::spawn(move || {
            let request = socket.receive_from(Payload::new(&drops));
            let Ok(flight) = request.from(&operations).start() else {
                return;
            };
            next_request().succeed();
            let Ok(finished) = flight.try_take() else {
                panic!("the result must be that of its own request");
            };
            assert_eq!(finished.buffer.unwrap().value(), 1, "completed once");
        })
    };
    drop(flight);
    provider.join().unwrap();
    next.join().unwrap();
    assert_eq!(dropped(&drops), 2);
    assert!(operations.is_idle(), "the slot is back");
    drop(operations);
    driver.unload(0);
}

/// A pooled operation that was polled is dropped. Its next holder waits for its own request.
pub(crate) fn leave_pooled() {
    let drops = Drops::default();
    let driver = driver();
    let operations = Operations::new(&driver.provider, 1).unwrap();
    let request = driver.socket.send_to(Payload::new(&drops), to());
    let Ok(mut flight) = request.from(&operations).start() else {
        panic!("the pool must have an operation");
    };
    assert!(operations.take().is_none());
    let provider = completing();
    let polled = poll_once(&mut flight);
    drop((polled, flight));
    let operation = operations.take_or_wait().unwrap();
    let request = driver.socket.send_to(Payload::new(&drops), to());
    let Ok(flight) = request.from(operation).start() else {
        panic!("the start must succeed");
    };
    next_request().succeed();
    assert!(flight.is_completed());
    drop(flight);
    provider.join().unwrap();
    assert_eq!(dropped(&drops), 2);
    assert!(operations.is_idle(), "the slot is back");
    drop(operations);
    driver.unload(0);
}

/// The pool is dropped while its operation is in flight: the last party frees it.
pub(crate) fn pool_closed() {
    let drops = Drops::default();
    let driver = driver();
    let operations = Operations::new(&driver.provider, 2).unwrap();
    let kept = operations.take();
    let request = driver.socket.send_to(Payload::new(&drops), to());
    let Ok(flight) = request.from(&operations).start() else {
        panic!("the pool must have an operation");
    };
    let provider = completing();
    let pools = thread::spawn(move || drop(operations));
    drop(flight);
    drop(kept);
    pools.join().unwrap();
    gone(driver, provider, &drops);
}

/// A thread that waits until a pool is idle sees that everything in flight has ended.
pub(crate) fn pool_idle() {
    let drops = Drops::default();
    let driver = driver();
    let operations = Operations::new(&driver.provider, 1).unwrap();
    let request = driver.socket.send_to(Payload::new(&drops), to());
    let Ok(flight) = request.from(&operations).start() else {
        panic!("the pool must have an operation");
    };
    let provider = completing();
    drop(flight);
    operations.wait_until_idle().unwrap();
    assert_eq!(dropped(&drops), 1, "the buffer must be dropped");
    drop(operations);
    gone(driver, provider, &drops);
}

/// One thread waits for an operation, another until all are back.
pub(crate) fn pool_idle_and_taken() {
    let driver = driver();
    let operations = Operations::<Payload>::new(&driver.provider, 1).unwrap();
    let held = operations.take();
    let waiters = [true, false].map(|idle| {
        let operations = operations.clone();
        thread::spawn(move || {
            if idle {
                operations.wait_until_idle().unwrap();
            } else {
                drop(operations.take_or_wait().unwrap());
            }
        })
    });
    drop(held);
    for waiter in waiters {
        waiter.join().unwrap();
    }
    drop(operations);
    driver.unload(0);
}

/// A closure is called once, with what its operation carried. The operation returns afterwards.
pub(crate) fn told() {
    let drops = Drops::default();
    let driver = driver();
    let operations = Operations::new(&driver.provider, 1).unwrap();
    let calls = Drops::default();
    let request = driver.socket.send_to(Payload::new(&drops), to());
    let count = calls.clone();
    let started = request.from(&operations).start_with(move |finished| {
        assert_eq!(finished.buffer.unwrap().value(), 1);
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert!(started.is_ok());
    let provider = completing();
    operations.wait_until_idle().unwrap();
    assert_eq!(dropped(&calls), 1);
    drop(operations);
    gone(driver, provider, &drops);
}

/// The driver unloads while a completion that nobody waits for is about to run.
pub(crate) fn told_and_unloaded() {
    let drops = Drops::default();
    let driver = driver();
    let calls = Drops::default();
    let count = calls.clone();
    let request = driver.socket.receive_from(Payload::new(&drops));
    let started = request.start_with(move |finished| {
        assert_eq!(finished.buffer.unwrap().value(), 1);
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert!(started.is_ok());
    let provider = completing_unless_cancelled();
    driver.unload(0);
    assert_eq!((dropped(&calls), dropped(&drops)), (1, 1));
    provider.join().unwrap();
}

/// A prepared operation calls its closure, and returns to its pool.
pub(crate) fn prepared_told() {
    let (driver, pool, prepared) = one_prepared();
    let calls = Drops::default();
    let count = calls.clone();
    let started = prepared.start_with(move |ended: Ended<SendingTo, Payload>| {
        assert_eq!(ended.result().unwrap(), 1);
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert!(started.is_ok());
    let provider = completing();
    pool.wait_until_idle().unwrap();
    assert_eq!(dropped(&calls), 1);
    all_back(driver, pool, vec![provider]);
}

/// Two handles of one socket: dropping the last one closes the socket, which completes what is in flight, whatever happens to the
/// handles.
pub(crate) fn close() {
    let drops = Drops::default();
    let driver = driver();
    let flights = [driver.receive(&drops), driver.receive(&drops)];
    let _ = (next_request().cancellable(), next_request().cancellable());
    let [mut mine, other] = flights;
    let other = {
        let socket = driver.socket.clone();
        thread::spawn(move || {
            drop(socket);
            let finished = other.wait().unwrap();
            assert_eq!(finished.buffer.unwrap().value(), 1);
        })
    };
    let polled = poll_once(&mut mine);
    driver.unload_closing(mine, polled);
    other.join().unwrap();
    assert_eq!(dropped(&drops), 2);
}

impl Driver {
    fn unload_closing<T>(self, flight: InFlight<Receiving, Payload>, polled: T) {
        let Self {
            socket,
            provider,
            registration,
        } = self;
        drop(socket);
        drop((polled, flight, provider, registration));
    }
}

/// Operations of a closing socket are polled and dropped.
pub(crate) fn close_and_poll() {
    let drops = Drops::default();
    let driver = driver();
    let (flight, left) = (driver.receive(&drops), driver.receive(&drops));
    let _ = (next_request().cancellable(), next_request().cancellable());
    let Driver {
        socket,
        provider,
        registration,
    } = driver;
    let closing = thread::spawn(move || drop(socket));
    drop(left);
    let finished = block_on_it(flight);
    assert!(finished.result.is_err());
    assert_eq!(finished.buffer.unwrap().value(), 1);
    closing.join().unwrap();
    drop((provider, registration));
    assert_eq!(dropped(&drops), 2);
}

struct Handler(Drops);

impl ReceiveFromEvent for Handler {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        if let Some(socket) = indication.socket() {
            let receive = socket.receive_from(Payload::new(&self.0)).start();
            let Ok(flight) = receive else {
                panic!("the socket must be open");
            };
            let _ = next_request().cancellable();
            drop(flight);
        }
        Verdict::Consumed
    }
}

/// An event callback makes a handle while the last one is dropped: either the socket is open for it, or there is no handle.
pub(crate) fn close_and_call_back() {
    let drops = Drops::default();
    let registration = Registration::new().unwrap();
    let provider = registration.capture(Wait::Forever).unwrap();
    let handler = Handler(drops.clone());
    let socket = DatagramSocket::open_with_events(&provider, Family::V4, handler).unwrap();
    socket.bind(to()).unwrap();
    let callback = thread::spawn(tell);
    drop(socket);
    callback.join().unwrap();
    drop((provider, registration));
    assert!(dropped(&drops) <= 1);
    assert_eq!((closed(), left()), (1, 0));
}

/// The end of the scope waits for operations whose handles are gone, and for the completion routine of one whose result was
/// taken.
pub(crate) fn scope() {
    let drops = Drops::default();
    let driver = driver();
    let (first, second) = (Payload::new(&drops), Payload::new(&drops));
    let providers = wsk_model::scope(|s| {
        let taken = driver.socket.send_to(&first, to()).start_in(s).unwrap();
        let one = completing();
        let left = driver.socket.send_to(&second, to()).start_in(s).unwrap();
        let other = completing();
        drop(left);
        assert_eq!(taken.wait().unwrap().0, 1);
        [one, other]
    })
    .unwrap();
    assert_eq!(
        (first.value(), second.value()),
        (1, 1),
        "the scope has ended"
    );
    drop((first, second));
    for provider in providers {
        provider.join().unwrap();
    }
    driver.unload(0);
    assert_eq!(dropped(&drops), 2);
}

/// A scope leaves a refused operation to its provider, which completes it after all, at any moment.
pub(crate) fn scope_given_up() {
    let drops = Drops::default();
    let driver = driver();
    let buffer = NonPagedBuffer::new(1).unwrap();
    be_impatient();
    let provider = wsk_model::scope(|s| {
        let _ = driver.socket.send_to(&buffer, to()).start_in(s).unwrap();
        let made = next_request();
        thread::spawn(move || made.fail())
    })
    .unwrap();
    let lost = buffer.is_lost();
    drop(buffer);
    provider.join().unwrap();
    // The lost memory stays for ever.
    driver.unload(usize::from(lost));
    assert_eq!(dropped(&drops), 0);
}

fn buffers(depth: u32, drops: &Drops) -> BufferPool<Payload> {
    BufferPool::new(depth, |_| Ok(Payload::new(drops))).unwrap()
}

/// The end of a scenario with buffers: each is back once.
fn buffers_back(pool: BufferPool<Payload>, depth: usize, drops: &Drops) {
    let all: Vec<_> = (0..=depth).map_while(|_| pool.take()).collect();
    assert_eq!(all.len(), depth, "every slot is back, once");
    drop((pool, all));
    assert_eq!(dropped(drops), depth);
    assert_eq!(left(), 0);
}

/// Slots move between threads. A slot that was read is noticed to have been taken and returned.
pub(crate) fn pool_aba() {
    let drops = Drops::default();
    let pool = buffers(2, &drops);
    let other = {
        let pool = pool.clone();
        thread::spawn(move || {
            // Takes both, returns the first, and keeps the second.
            let first = pool.take();
            let second = pool.take();
            drop(first);
            second
        })
    };
    let mine = pool.take();
    let others = other.join().unwrap();
    let next = pool.take();
    let held = [&mine, &next, &others].into_iter().flatten().count();
    assert!(held <= 2, "{held} holders of two slots");
    drop((mine, next, others));
    buffers_back(pool, 2, &drops);
}

fn use_one(pool: &BufferPool<Payload>) {
    if let Some(mut buffer) = pool.take() {
        buffer.set(1);
    }
}

pub(crate) fn pool_of_three_threads() {
    let drops = Drops::default();
    let pool = buffers(2, &drops);
    let others = [0, 1].map(|_| {
        let pool = pool.clone();
        thread::spawn(move || use_one(&pool))
    });
    use_one(&pool);
    for other in others {
        other.join().unwrap();
    }
    buffers_back(pool, 2, &drops);
}

/// Two threads wait for the only slot. Each gets it.
pub(crate) fn pool_waiters_one_slot() {
    let drops = Drops::default();
    let pool = buffers(1, &drops);
    let held = pool.take();
    let waiters = [0, 1].map(|_| {
        let pool = pool.clone();
        thread::spawn(move || pool.take_or_wait().unwrap().set(1))
    });
    drop(held);
    for waiter in waiters {
        waiter.join().unwrap();
    }
    buffers_back(pool, 1, &drops);
}

/// Two slots return at once while two threads wait: each thread gets one and keeps it.
pub(crate) fn pool_waiters_two_slots() {
    let drops = Drops::default();
    let pool = buffers(2, &drops);
    let held = (pool.take(), pool.take());
    let waiters = [0, 1].map(|_| {
        let pool = pool.clone();
        thread::spawn(move || {
            let mut buffer = pool.take_or_wait().unwrap();
            buffer.set(1);
            buffer
        })
    });
    drop(held);
    let kept = waiters.map(|waiter| waiter.join().unwrap());
    assert!(pool.take().is_none());
    drop(kept);
    buffers_back(pool, 2, &drops);
}

/// One waiting thread gives up at any moment. The other one still gets the slot.
pub(crate) fn pool_waiter_gives_up() {
    let drops = Drops::default();
    let pool = buffers(1, &drops);
    let held = pool.take();
    let waiters = [true, false].map(|gives_up| {
        let pool = pool.clone();
        thread::spawn(move || {
            if gives_up {
                drop(pool.take_timeout(NOW));
            } else {
                pool.take_or_wait().unwrap().set(1);
            }
        })
    });
    drop(held);
    for waiter in waiters {
        waiter.join().unwrap();
    }
    buffers_back(pool, 1, &drops);
}

type Sender = Prepared<SendingTo, Payload>;
type Senders = PreparedPool<SendingTo, Payload>;

/// A pool of one prepared send, which is taken from it.
fn one_prepared() -> (Driver, Senders, Sender) {
    let driver = driver();
    let drops = Drops::default();
    let make = |_| Ok(driver.socket.send_to(Payload::new(&drops), to()));
    let pool = PreparedPool::new(1, make).unwrap();
    let prepared = pool.take().unwrap();
    (driver, pool, prepared)
}

/// Starts a prepared operation, as its holder may. The provider completes it on a thread.
fn start(prepared: Sender) -> (Started<SendingTo, Payload>, JoinHandle<()>) {
    let mut prepared = prepared;
    prepared.set(7);
    let started = prepared.start();
    let started = started.map_err(|refused| refused.error).unwrap();
    (started, completing())
}

trait Set {
    fn set(&mut self, value: u8);
}

impl Set for Sender {
    fn set(&mut self, value: u8) {
        let place = self.buffer().unwrap().buffer.as_slice().as_ptr();
        wsk_model::write(place.addr(), || {
            // SAFETY: the buffer is at rest, and belongs to the holder.
            unsafe { place.cast_mut().write(value) };
        });
    }
}

/// An operation that has ended has done so once.
fn ended(ended: Ended<SendingTo, Payload>) -> Sender {
    let prepared = ended.into_operation().unwrap();
    assert_eq!(prepared.buffer().unwrap().value(), 8, "completed once");
    prepared
}

/// Uses an operation, as its holder may.
fn use_it(prepared: Sender) -> Sender {
    let mut prepared = prepared;
    prepared.set(7);
    let Ok(started) = prepared.start() else {
        panic!("the start must succeed");
    };
    next_request().succeed();
    let Ok(end) = started.try_take() else {
        panic!("the result must be that of its own request");
    };
    ended(end)
}

/// The end of a scenario: every operation is back once, and the memory is freed with the pool.
fn all_back(driver: Driver, pool: Senders, providers: Vec<JoinHandle<()>>) {
    for provider in providers {
        provider.join().unwrap();
    }
    let all = (pool.take(), pool.take());
    assert!(
        all.0.is_some() && all.1.is_none(),
        "every slot is back, once"
    );
    drop(pool);
    drop(all);
    driver.unload(0);
}

/// One request after the other with the same operation, which is not reset in between. When the completion of a request is
/// visible, its completion routine no longer uses the operation, and the next request starts.
pub(crate) fn prepared_again() {
    let (driver, pool, prepared) = one_prepared();
    let (started, provider) = start(prepared);
    while !started.is_completed() {
        thread::yield_now();
    }
    let Ok(end) = started.try_take() else {
        panic!("the operation must have completed");
    };
    let (started, next) = start(ended(end));
    let Ok(end) = started.wait() else {
        panic!("waiting must be allowed");
    };
    let prepared = use_it(ended(end));
    drop(prepared);
    all_back(driver, pool, vec![provider, next]);
}

/// A blocking call: a timeout cancels the request, and the call waits for the completion. The next request has nothing of the
/// first.
pub(crate) fn prepared_time_out() {
    let (driver, pool, mut prepared) = one_prepared();
    let provider = thread::spawn(|| {
        for _ in 0..2 {
            next_request().cancellable().succeed_unless_cancelled();
        }
    });
    for limited in [true, false] {
        prepared.set(7);
        let result = if limited {
            prepared.wait_timeout(NOW)
        } else {
            prepared.wait()
        };
        assert!(result.is_ok() || limited);
        assert_eq!(prepared.buffer().unwrap().value(), 8, "completed once");
    }
    drop(prepared);
    all_back(driver, pool, vec![provider]);
}

/// A prepared operation is awaited again and again, by different tasks.
pub(crate) fn prepared_await() {
    let (driver, pool, prepared) = one_prepared();
    let (mut started, provider) = start(prepared);
    let (first_end, first) = poll_once(&mut started);
    let task = Task::new();
    let end = first_end.unwrap_or_else(|| sleep_until(&mut started, &task));
    let (mut started, next) = start(ended(end));
    let end = sleep_until(&mut started, &task);
    drop(ended(end));
    drop(started);
    provider.join().unwrap();
    next.join().unwrap();
    // The operation has kept none of the wakers.
    assert_eq!(
        Arc::strong_count(&first),
        1,
        "a waker was left in its place"
    );
    assert_eq!(Arc::strong_count(&task), 1, "a waker was left in its place");
    all_back(driver, pool, Vec::new());
}

/// A task polls, and then a thread waits instead.
pub(crate) fn prepared_poll_and_wait() {
    let (driver, pool, prepared) = one_prepared();
    let (mut started, provider) = start(prepared);
    let (end, task) = poll_once(&mut started);
    let end = end.unwrap_or_else(|| started.wait().expect("waiting must be allowed"));
    drop(ended(end));
    provider.join().unwrap();
    assert_eq!(Arc::strong_count(&task), 1, "a waker was left in its place");
    all_back(driver, pool, Vec::new());
}

/// An operation that was polled is dropped, and another thread uses it as soon as it is back.
pub(crate) fn prepared_poll_and_leave() {
    let (driver, pool, prepared) = one_prepared();
    let (mut started, provider) = start(prepared);
    let (end, task) = poll_once(&mut started);
    drop((end, started));
    drop(use_it(pool.take_or_wait().unwrap()));
    provider.join().unwrap();
    assert_eq!(Arc::strong_count(&task), 1, "a waker was left in its place");
    all_back(driver, pool, Vec::new());
}

/// An operation that was dropped is started again as soon as it is back, and waited for: its completion routine no longer uses
/// the first flight by then.
pub(crate) fn prepared_leave_and_start() {
    let (driver, pool, prepared) = one_prepared();
    let (started, provider) = start(prepared);
    drop(started);
    let (started, next) = start(pool.take_or_wait().unwrap());
    let Ok(end) = started.wait() else {
        panic!("waiting must be allowed");
    };
    drop(ended(end));
    all_back(driver, pool, vec![provider, next]);
}

/// A dropped operation returns to the pool on one thread or another, while a third thread waits for it.
pub(crate) fn prepared_leave_and_wait_for() {
    let (driver, pool, prepared) = one_prepared();
    let (started, provider) = start(prepared);
    let next = {
        let pool = pool.clone();
        thread::spawn(move || drop(use_it(pool.take_or_wait().unwrap())))
    };
    drop(started);
    all_back(driver, pool, vec![provider, next]);
}

type Receivers = PreparedPool<Receiving, Payload>;

fn receivers(driver: &Driver) -> Receivers {
    let drops = Drops::default();
    let make = |_| Ok(driver.socket.receive_from(Payload::new(&drops)));
    PreparedPool::new(1, make).unwrap()
}

/// A receive is dropped while another thread takes whatever is in the pool.
pub(crate) fn prepared_cancel_and_leave() {
    let driver = driver();
    let pool = receivers(&driver);
    let Ok(mut started) = pool.take().unwrap().start() else {
        panic!("the start must succeed");
    };
    let provider = completing_unless_cancelled();
    let (end, task) = poll_once(&mut started);
    let next = {
        let pool = pool.clone();
        thread::spawn(move || {
            let Some(Ok(started)) = pool.take().map(Prepared::start) else {
                return;
            };
            next_request().succeed();
            assert!(
                started.is_completed(),
                "the result must be that of its own request"
            );
        })
    };
    drop((end, started));
    provider.join().unwrap();
    next.join().unwrap();
    assert_eq!(Arc::strong_count(&task), 1, "a waker was left in its place");
    let all = (pool.take(), pool.take());
    assert!(
        all.0.is_some() && all.1.is_none(),
        "every slot is back, once"
    );
    drop((all, pool));
    driver.unload(0);
}

/// The handle is forgotten: its slot never returns, and the memory stays.
pub(crate) fn prepared_forget() {
    let (driver, pool, prepared) = one_prepared();
    let (mut started, provider) = start(prepared);
    let (end, task) = poll_once(&mut started);
    let ready = end.is_some();
    forget((end, started));
    provider.join().unwrap();
    assert!(pool.take().is_none());
    drop(pool);
    assert!(ready != task.was_woken(), "woken exactly if it was pending");
    assert!(left() > 2);
    // It keeps the socket open, and so the registration.
    let Driver {
        socket,
        provider,
        registration,
    } = driver;
    drop((socket, provider));
    assert_eq!(closed(), 0);
    forget(registration);
}

/// The handles of the pool, of the operation, and of the completion routine: the last one frees the memory, and then closes the
/// socket.
pub(crate) fn prepared_close() {
    let driver = driver();
    let drops = Drops::default();
    let make = |_| Ok(driver.socket.receive_from(Payload::new(&drops)));
    let pool = PreparedPool::new(2, make).unwrap();
    let Driver {
        socket,
        provider,
        registration,
    } = driver;
    drop(socket);
    let other = pool.take().unwrap();
    let Ok(started) = pool.take().unwrap().start() else {
        panic!("the start must succeed");
    };
    let completes = completing_unless_cancelled();
    let pools = thread::spawn(move || drop(pool));
    drop(other);
    drop(started);
    completes.join().unwrap();
    pools.join().unwrap();
    assert_eq!(closed(), 1);
    drop((provider, registration));
    assert_eq!(left(), 0);
}

/// A provider has refused a request, and completes it nevertheless. That is too late for the thread that waited, but the slot
/// returns, and works like any other.
pub(crate) fn prepared_given_up() {
    let (driver, pool, mut prepared) = one_prepared();
    be_impatient();
    let provider = thread::spawn(|| next_request().succeed());
    prepared.set(7);
    match prepared.wait() {
        Ok(_) => assert_eq!(prepared.buffer().unwrap().value(), 8, "completed once"),
        Err(_) => assert!(prepared.is_abandoned() && prepared.buffer().is_none()),
    }
    let next = {
        let pool = pool.clone();
        thread::spawn(move || drop(use_it(pool.take_or_wait().unwrap())))
    };
    drop(prepared);
    all_back(driver, pool, vec![provider, next]);
}

/// The state that a driver keeps, and the uses of it.
struct Kept(Box<u8>);

impl Kept {
    fn new(value: u8) -> Self {
        let mut kept = Self(Box::new(0));
        kept.set(value);
        kept
    }

    /// Uses it, as every thread that shares it may.
    fn value(&self) -> u8 {
        wsk_model::read(core::ptr::from_ref(&*self.0).addr(), || *self.0)
    }

    /// Changes it, as only its owner may.
    fn set(&mut self, value: u8) {
        let place = core::ptr::from_ref(&*self.0).addr();
        wsk_model::write(place, || *self.0 = value);
    }
}

fn full() -> Arc<DriverState<Kept>> {
    let state = Arc::new(DriverState::new());
    assert!(state.put(Kept::new(7)).is_ok());
    state
}

/// Uses a state, if there is one, on its own thread.
fn using(state: &Arc<DriverState<Kept>>) -> JoinHandle<Option<u8>> {
    let state = state.clone();
    thread::spawn(move || state.with(Kept::value))
}

/// The thread that takes the state has it alone, whoever has used it before, and as often as one was put.
pub(crate) fn state_used_and_taken() {
    let state = full();
    let users = [using(&state), using(&state)];
    let mut kept = state.take().unwrap().expect("nobody else takes it");
    kept.set(9);
    assert!(state.get().is_none());
    for user in users {
        assert!(matches!(user.join().unwrap(), None | Some(7)));
    }
    assert!(state.take().unwrap().is_none());
    assert!(state.put(kept).is_ok());
    assert_eq!(state.with(Kept::value), Some(9));
}

/// A thread that finds the state finds all of it.
pub(crate) fn state_put_and_used() {
    let state = Arc::new(DriverState::new());
    let user = using(&state);
    assert!(state.put(Kept::new(7)).is_ok());
    assert!(state.put(Kept::new(8)).is_err_and(|kept| kept.value() == 8));
    assert!(matches!(user.join().unwrap(), None | Some(7)));
}

/// Two threads take the state, and one gets it, while a third one uses it.
pub(crate) fn state_taken_twice() {
    let state = full();
    let user = using(&state);
    let other = {
        let state = state.clone();
        thread::spawn(move || state.take().unwrap())
    };
    let mine = state.take().unwrap();
    let others = other.join().unwrap();
    assert_eq!(u8::from(mine.is_some()) + u8::from(others.is_some()), 1);
    mine.or(others).expect("one has it").set(9);
    assert!(matches!(user.join().unwrap(), None | Some(7)));
}

/// A waker that lies in a frame of its executor, as a temporary one: a clone of it is a `Waker` of the task.
mod framed {
    use super::Task;
    use std::sync::Arc;
    use std::task::{RawWaker, RawWakerVTable, Waker};

    pub(super) struct Frame(pub(super) Arc<Task>);

    static VTABLE: RawWakerVTable = RawWakerVTable::new(
        // A clone does not need the frame any more.
        |data| {
            // SAFETY: the frame is there as long as the waker that is in it.
            let frame = unsafe { &*data.cast::<Frame>() };
            let owned = std::mem::ManuallyDrop::new(Waker::from(frame.0.clone()));
            RawWaker::new(owned.data(), owned.vtable())
        },
        |_| {},
        |data| {
            use std::task::Wake;
            // SAFETY: as above.
            unsafe { &*data.cast::<Frame>() }.0.clone().wake();
        },
        |_| {},
    );

    impl Frame {
        /// The waker; it is used as long as it is borrowed.
        pub(super) fn with<R>(&self, body: impl FnOnce(&Waker) -> R) -> R {
            // SAFETY: the frame outlives the call, and clones do not refer to it.
            let waker =
                unsafe { Waker::from_raw(RawWaker::new(std::ptr::from_ref(self).cast(), &VTABLE)) };
            body(&waker)
        }
    }
}

/// An operation moves from one task to another, whose frame is at the same address. The second task is woken.
pub(crate) fn two_tasks_in_one_frame() {
    let drops = Drops::default();
    let (driver, mut flight, provider) = started(&drops);
    let mut frame = framed::Frame(Task::new());
    let first = frame.with(|waker| pin!(&mut flight).poll(&mut Context::from_waker(waker)));
    let finished = match first {
        Poll::Ready(finished) => finished,
        Poll::Pending => {
            // The first task is over. The second one polls until it is told.
            let task = Task::new();
            frame = framed::Frame(task.clone());
            loop {
                let polled =
                    frame.with(|waker| pin!(&mut flight).poll(&mut Context::from_waker(waker)));
                if let Poll::Ready(finished) = polled {
                    break finished;
                }
                task.sleep();
                thread::yield_now();
            }
        }
    };
    taken(finished, &drops);
    gone(driver, provider, &drops);
}
