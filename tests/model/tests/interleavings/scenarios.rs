//! What is done with operations and pools, each under the rules `R`. Each scenario asserts what must hold in every
//! interleaving; what loom finds wrong by itself (races, deadlocks) it reports by a panic.

use std::mem::forget;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use loom::thread::{self, JoinHandle};
use wsk_model::Rules;
use wsk_model::kernel::{Limit, Status, Task};
use wsk_model::operation::{Block, Flight, Payload, Queue};
use wsk_model::pool::Pool;
use wsk_model::prepared::{Prepared, PreparedPool, Started};
use wsk_model::scope::Pending;
use wsk_model::socket::Socket;

type Drops = Arc<AtomicUsize>;

fn drops() -> Drops {
    Drops::default()
}

fn dropped(drops: &Drops) -> usize {
    drops.load(Ordering::Relaxed)
}

/// A request, and the thread on which the provider completes it.
fn request<R: Rules>(drops: &Drops) -> (Arc<Block<R>>, Flight<R>, JoinHandle<()>) {
    let block = Block::<R>::new(true);
    let flight = block.start(Payload::new(drops), None);
    let provider = {
        let block = block.clone();
        thread::spawn(move || block.complete(Status::Success))
    };
    (block, flight, provider)
}

/// A request that can be cancelled.
fn cancellable<R: Rules>(drops: &Drops) -> (Arc<Block<R>>, Flight<R>, JoinHandle<()>) {
    let block = Block::<R>::new(true);
    let flight = block.start(Payload::new(drops), None);
    let queue = Queue::of(&block);
    let provider = thread::spawn(move || queue.complete());
    (block, flight, provider)
}

fn take<R: Rules>(flight: Flight<R>, drops: &Drops) {
    let (payload, status) = flight.finish_and_free();
    assert_eq!((payload.value, status), (1, Status::Success));
    assert_eq!(dropped(drops), 0);
}

/// The end of a scenario with one request: everything went once.
fn gone<R: Rules>(block: &Block<R>, drops: &Drops) {
    assert!(block.memory.is_freed());
    assert_eq!(dropped(drops), 1);
}

fn poll_once<R: Rules>(flight: &mut Flight<R>) -> (bool, Arc<Task>) {
    let task = Task::new();
    let waker = Waker::from(task.clone());
    let ready = flight.poll(&Context::from_waker(&waker)).is_ready();
    (ready, task)
}

pub(crate) fn inline_and_take<R: Rules>() {
    let drops = drops();
    let block = Block::<R>::new(true);
    let mut flight = block.start(Payload::new(&drops), None);
    assert!(!flight.is_completed());
    block.complete(Status::Success);
    assert!(flight.is_completed() && flight.wait(Limit::Now) && poll_once(&mut flight).0);
    take(flight, &drops);
    gone(&block, &drops);
}

pub(crate) fn look_and_take<R: Rules>() {
    let drops = drops();
    let (block, flight, provider) = request::<R>(&drops);
    while !flight.is_completed() {
        thread::yield_now();
    }
    take(flight, &drops);
    provider.join().unwrap();
    gone(&block, &drops);
}

pub(crate) fn look_and_leave<R: Rules>() {
    let drops = drops();
    let (block, flight, provider) = request::<R>(&drops);
    if flight.is_completed() {
        take(flight, &drops);
    } else {
        flight.detach();
    }
    provider.join().unwrap();
    gone(&block, &drops);
}

pub(crate) fn wait<R: Rules>() {
    let drops = drops();
    let (block, flight, provider) = request::<R>(&drops);
    assert!(flight.wait(Limit::Never));
    take(flight, &drops);
    provider.join().unwrap();
    gone(&block, &drops);
}

/// Waits with a time-out, then without, and uses the block again: the event of the first request is not that of the second.
pub(crate) fn wait_give_up_and_reuse<R: Rules>() {
    let drops = drops();
    let (block, flight, provider) = request::<R>(&drops);
    if !flight.wait(Limit::Now) {
        assert!(flight.wait(Limit::Never));
    }
    let (block_again, payload, status) = flight.finish();
    assert_eq!((payload.value, status), (1, Status::Success));
    drop(payload);
    let again = block_again.start(Payload::new(&drops), None);
    let second = thread::spawn(move || block_again.complete(Status::Success));
    assert!(again.wait(Limit::Never));
    let (payload, status) = again.finish_and_free();
    assert_eq!((payload.value, status), (1, Status::Success));
    drop(payload);
    provider.join().unwrap();
    second.join().unwrap();
    assert!(block.memory.is_freed());
    assert_eq!(dropped(&drops), 2);
}

pub(crate) fn give_up_and_take_or_leave<R: Rules>() {
    let drops = drops();
    let (block, flight, provider) = request::<R>(&drops);
    if flight.wait(Limit::Now) {
        take(flight, &drops);
    } else {
        flight.detach();
    }
    provider.join().unwrap();
    gone(&block, &drops);
}

/// The call that waits: a time-out cancels, and the completion is waited for.
pub(crate) fn time_out_and_cancel<R: Rules>() {
    let drops = drops();
    let (block, flight, provider) = cancellable::<R>(&drops);
    if !flight.wait(Limit::Now) {
        flight.cancel();
        assert!(flight.wait(Limit::Never));
    }
    let (payload, status) = flight.finish_and_free();
    assert_eq!(payload.value, 1, "completed once");
    assert_ne!(status, Status::Unsuccessful);
    drop(payload);
    provider.join().unwrap();
    gone(&block, &drops);
}

pub(crate) fn block_on<R: Rules>() {
    let drops = drops();
    let (block, flight, provider) = request::<R>(&drops);
    take(flight.block_on(), &drops);
    provider.join().unwrap();
    gone(&block, &drops);
}

/// A second waker takes the place of the first, and is the one that is woken.
pub(crate) fn two_wakers<R: Rules>() {
    let drops = drops();
    let (block, mut flight, provider) = request::<R>(&drops);
    if poll_once(&mut flight).0 {
        take(flight, &drops);
    } else {
        take(flight.block_on(), &drops);
    }
    provider.join().unwrap();
    gone(&block, &drops);
}

/// A waker that stays is woken, whoever looks at the operation besides.
pub(crate) fn poll_and_sleep<R: Rules>() {
    let drops = drops();
    let (block, mut flight, provider) = request::<R>(&drops);
    let (ready, task) = poll_once(&mut flight);
    if !ready {
        task.sleep();
        while !flight.is_completed() {
            thread::yield_now();
        }
    }
    take(flight, &drops);
    provider.join().unwrap();
    gone(&block, &drops);
}

pub(crate) fn poll_and_wait<R: Rules>() {
    let drops = drops();
    let (block, mut flight, provider) = request::<R>(&drops);
    poll_once(&mut flight);
    assert!(flight.wait(Limit::Never));
    take(flight, &drops);
    provider.join().unwrap();
    gone(&block, &drops);
}

pub(crate) fn poll_give_up_and_leave<R: Rules>() {
    let drops = drops();
    let (block, mut flight, provider) = request::<R>(&drops);
    poll_once(&mut flight);
    if flight.wait(Limit::Now) {
        take(flight, &drops);
    } else {
        poll_once(&mut flight);
        flight.detach();
    }
    provider.join().unwrap();
    gone(&block, &drops);
}

pub(crate) fn leave<R: Rules>() {
    let drops = drops();
    let (block, flight, provider) = request::<R>(&drops);
    flight.detach();
    provider.join().unwrap();
    gone(&block, &drops);
}

pub(crate) fn poll_and_leave<R: Rules>() {
    let drops = drops();
    let (block, mut flight, provider) = request::<R>(&drops);
    let (_, task) = poll_once(&mut flight);
    flight.detach();
    provider.join().unwrap();
    gone(&block, &drops);
    // Nothing has kept the waker: only this test has the task.
    assert_eq!(Arc::strong_count(&task), 1);
}

/// The handle is forgotten: what the operation has is never freed, early or late.
pub(crate) fn forget_it<R: Rules>() {
    for polled in [false, true] {
        let drops = drops();
        let (block, mut flight, provider) = request::<R>(&drops);
        let woken = polled.then(|| poll_once(&mut flight));
        forget(flight);
        provider.join().unwrap();
        assert!(!block.memory.is_freed());
        assert_eq!(dropped(&drops), 0);
        if let Some((ready, task)) = woken {
            assert!(ready != task.was_woken(), "woken exactly if it was pending");
        }
    }
}

pub(crate) fn cancel_and_wait<R: Rules>() {
    let drops = drops();
    let (block, flight, provider) = cancellable::<R>(&drops);
    flight.cancel();
    flight.cancel();
    assert!(flight.wait(Limit::Never));
    let (payload, status) = flight.finish_and_free();
    assert_eq!(payload.value, 1, "completed once");
    assert_ne!(status, Status::Unsuccessful);
    drop(payload);
    provider.join().unwrap();
    gone(&block, &drops);
}

/// Cancelling a request that has completed meanwhile does nothing to the next one with the same IRP.
pub(crate) fn cancel_and_reuse<R: Rules>() {
    let drops = drops();
    let (block, flight, provider) = cancellable::<R>(&drops);
    flight.cancel();
    assert!(flight.wait(Limit::Never));
    let (again, payload, _) = flight.finish();
    drop(payload);
    let flight = again.start(Payload::new(&drops), None);
    let queue = Queue::of(&again);
    provider.join().unwrap();
    let provider = thread::spawn(move || queue.complete());
    flight.cancel_and_detach();
    provider.join().unwrap();
    assert!(block.memory.is_freed());
    assert_eq!(dropped(&drops), 2);
    assert_eq!(block.irp.generation(), 2);
}

/// A receive that is dropped: cancelled, then left.
pub(crate) fn cancel_and_leave<R: Rules>() {
    let drops = drops();
    let (block, mut flight, provider) = cancellable::<R>(&drops);
    poll_once(&mut flight);
    flight.cancel_and_detach();
    provider.join().unwrap();
    gone(&block, &drops);
}

/// A pooled operation is dropped while another thread waits for its slot, and uses it as soon as it is back.
pub(crate) fn cancel_and_leave_pooled<R: Rules>() {
    let drops = drops();
    let pool = Pool::<R>::new(1);
    let pooled = pool.take().unwrap();
    let block = pooled.block();
    let flight = pooled.start(Payload::new(&drops));
    let queue = Queue::of(&block);
    let provider = thread::spawn(move || queue.complete());
    let next = {
        let (pool, drops) = (pool.clone(), drops.clone());
        thread::spawn(move || {
            let Some(mut pooled) = pool.take() else {
                return false;
            };
            pooled.write();
            let block = pooled.block();
            let flight = pooled.start(Payload::new(&drops));
            block.complete(Status::Success);
            let (_, mut payload, status) = flight.finish();
            assert_eq!((payload.value, status), (1, Status::Success));
            payload.slot.as_mut().unwrap().write();
            true
        })
    };
    flight.cancel_and_detach();
    provider.join().unwrap();
    let used = next.join().unwrap();
    assert_eq!(dropped(&drops), 1 + usize::from(used));
    assert!(pool.take().is_some(), "the slot is back");
}

/// A pooled operation that was polled is dropped; the next holder of the slot waits for its own.
pub(crate) fn leave_pooled<R: Rules>() {
    let drops = drops();
    let pool = Pool::<R>::new(1);
    let pooled = pool.take().unwrap();
    let block = pooled.block();
    let mut flight = pooled.start(Payload::new(&drops));
    assert!(pool.take().is_none());
    let provider = thread::spawn(move || block.complete(Status::Success));
    poll_once(&mut flight);
    flight.detach();
    let mut pooled = pool.take_within(Limit::Never).unwrap();
    pooled.write();
    let block = pooled.block();
    let flight = pooled.start(Payload::new(&drops));
    block.complete(Status::Success);
    assert!(flight.is_completed());
    let (_, payload, _) = flight.finish();
    drop(payload);
    provider.join().unwrap();
    assert_eq!(dropped(&drops), 2);
    assert!(pool.take().is_some(), "the slot is back");
}

/// Two handles of one socket: the last one to go closes it, and that completes what is in flight, whatever becomes of it.
pub(crate) fn close<R: Rules>() {
    let drops = drops();
    let socket = Socket::<R>::open();
    let other = {
        let (socket, drops) = (socket.clone(), drops.clone());
        thread::spawn(move || {
            let flight = socket.start(Payload::new(&drops));
            drop(socket);
            assert!(flight.wait(Limit::Never));
            let (payload, status) = flight.finish_and_free();
            assert_eq!((payload.value, status), (1, Status::Cancelled));
        })
    };
    let mut flight = socket.start(Payload::new(&drops));
    poll_once(&mut flight);
    drop(socket);
    flight.detach();
    other.join().unwrap();
    assert_eq!(dropped(&drops), 2);
}

/// An event callback makes itself a handle while the last one goes: the socket is either open for it, or not there.
pub(crate) fn close_and_call_back<R: Rules>() {
    let drops = drops();
    let socket = Socket::<R>::open();
    let callback = {
        let (callback, drops) = (socket.callback(), drops.clone());
        thread::spawn(move || {
            let Some(socket) = callback.handle() else {
                return 0;
            };
            socket.start(Payload::new(&drops)).detach();
            1
        })
    };
    socket.start(Payload::new(&drops)).detach();
    drop(socket);
    let started = callback.join().unwrap();
    assert_eq!(dropped(&drops), 1 + started);
}

/// Operations of a closing socket are polled, and dropped.
pub(crate) fn close_and_poll<R: Rules>() {
    let drops = drops();
    let socket = Socket::<R>::open();
    let flight = socket.start(Payload::new(&drops));
    let left = socket.start(Payload::new(&drops));
    let closing = thread::spawn(move || drop(socket));
    left.detach();
    let (payload, status) = flight.block_on().finish_and_free();
    assert_eq!((payload.value, status), (1, Status::Cancelled));
    drop(payload);
    closing.join().unwrap();
    assert_eq!(dropped(&drops), 2);
}

/// The scope's end waits for operations whose handles are gone, and for the routine of one that a handle has taken.
pub(crate) fn scope<R: Rules>() {
    let drops = drops();
    let pending = Pending::new();
    let blocks = [Block::<R>::new(true), Block::<R>::new(true)];
    let flights = blocks.each_ref().map(|block| {
        pending.one_more();
        block.start(Payload::new(&drops), Some(pending.clone()))
    });
    let providers = blocks
        .clone()
        .map(|block| thread::spawn(move || block.complete(Status::Success)));
    let [taken, left] = flights;
    assert!(taken.wait(Limit::Never));
    drop(taken.finish_and_free());
    pending.settle();
    assert!(left.is_completed(), "the scope has ended");
    drop(left.finish_and_free());
    for provider in providers {
        provider.join().unwrap();
    }
    assert!(pending.memory.is_freed());
    assert_eq!(dropped(&drops), 2);
}

/// Slots change hands between threads; what was read of a slot that went and came back is noticed.
pub(crate) fn pool_aba<R: Rules>() {
    let pool = Pool::<R>::new(2);
    let other = {
        let pool = pool.clone();
        thread::spawn(move || {
            // Takes both, gives the first back, and keeps the second.
            let first = pool.take();
            let second = pool.take();
            drop(first);
            second
        })
    };
    let mut mine = pool.take();
    if let Some(mine) = &mut mine {
        mine.write();
    }
    let mut next = pool.take();
    if let Some(next) = &mut next {
        next.write();
    }
    let mut others = other.join().unwrap();
    if let Some(others) = &mut others {
        others.write();
    }
    let held = [&mine, &next, &others].into_iter().flatten().count();
    assert!(held <= 2, "{held} holders of two slots");
    drop((mine, next, others));
    let all = [pool.take(), pool.take(), pool.take()];
    assert_eq!(all.iter().flatten().count(), 2, "every slot is back, once");
}

pub(crate) fn pool_of_three_threads<R: Rules>() {
    let pool = Pool::<R>::new(2);
    let others = [0, 1].map(|_| {
        let pool = pool.clone();
        thread::spawn(move || {
            if let Some(mut pooled) = pool.take() {
                pooled.write();
            }
        })
    });
    if let Some(mut pooled) = pool.take() {
        pooled.write();
    }
    for other in others {
        other.join().unwrap();
    }
    let all = [pool.take(), pool.take(), pool.take()];
    assert_eq!(all.iter().flatten().count(), 2, "every slot is back, once");
}

/// Two threads wait for the one slot; each gets it.
pub(crate) fn pool_waiters_one_slot<R: Rules>() {
    let pool = Pool::<R>::new(1);
    let held = pool.take();
    let waiters = [0, 1].map(|_| {
        let pool = pool.clone();
        thread::spawn(move || pool.take_within(Limit::Never).unwrap().write())
    });
    drop(held);
    for waiter in waiters {
        waiter.join().unwrap();
    }
}

/// Two slots come back at once, and two threads wait: neither is forgotten, and what they get they keep.
pub(crate) fn pool_waiters_two_slots<R: Rules>() {
    let pool = Pool::<R>::new(2);
    let held = (pool.take(), pool.take());
    let waiters = [0, 1].map(|_| {
        let pool = pool.clone();
        thread::spawn(move || {
            let mut pooled = pool.take_within(Limit::Never).unwrap();
            pooled.write();
            forget(pooled);
        })
    });
    drop(held);
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert!(pool.take().is_none());
}

/// One waiter gives up at any moment; the other one still gets the slot.
pub(crate) fn pool_waiter_gives_up<R: Rules>() {
    let pool = Pool::<R>::new(1);
    let held = pool.take();
    let impatient = {
        let pool = pool.clone();
        thread::spawn(move || drop(pool.take_within(Limit::Now)))
    };
    let patient = {
        let pool = pool.clone();
        thread::spawn(move || pool.take_within(Limit::Never).unwrap().write())
    };
    drop(held);
    impatient.join().unwrap();
    patient.join().unwrap();
    assert!(pool.take().is_some());
}

/// A prepared operation of a pool of one, started, and the thread on which the provider completes it.
fn prepared<R: Rules>() -> (PreparedPool<R>, Started<R>, JoinHandle<()>) {
    let pool = PreparedPool::<R>::new(1, None);
    let (started, provider) = start(pool.take().unwrap());
    (pool, started, provider)
}

fn start<R: Rules>(prepared: Prepared<R>) -> (Started<R>, JoinHandle<()>) {
    let mut prepared = prepared;
    prepared.write(7);
    let block = prepared.block();
    let started = prepared.start();
    let provider = thread::spawn(move || block.complete(Status::Success));
    (started, provider)
}

/// As [`start`], with a request that can be cancelled.
fn start_cancellable<R: Rules>(prepared: Prepared<R>) -> (Started<R>, JoinHandle<()>) {
    let mut prepared = prepared;
    prepared.write(7);
    let block = prepared.block();
    let started = prepared.start();
    let queue = Queue::of(&block);
    let provider = thread::spawn(move || queue.complete());
    (started, provider)
}

/// The request has completed, once.
fn ended<R: Rules>(started: Started<R>) -> Prepared<R> {
    let prepared = started.finish();
    let (value, status) = prepared.read();
    assert_eq!(value, 8, "completed once");
    assert_ne!(status, Status::Unsuccessful);
    prepared
}

/// Uses an operation as whoever has it may.
fn use_it<R: Rules>(prepared: Prepared<R>) -> Prepared<R> {
    let mut prepared = prepared;
    prepared.write(7);
    let block = prepared.block();
    let mut started = prepared.start();
    block.complete(Status::Success);
    assert!(started.flight().is_completed(), "its own completion");
    ended(started)
}

/// The end of a scenario: every operation is back, once, and the memory goes with the pool.
fn all_back<R: Rules>(pool: PreparedPool<R>, depth: usize) {
    let all: Vec<_> = (0..=depth).map_while(|_| pool.take()).collect();
    assert_eq!(all.len(), depth, "every slot is back, once");
    let gone = pool.observer();
    drop(pool);
    assert!(!gone());
    drop(all);
    assert!(gone());
}

/// One request after the other with the same block, which is not reset in between: the routine of one is done with it when its
/// completion is seen, and the next starts.
pub(crate) fn prepared_again<R: Rules>() {
    let (pool, mut started, provider) = prepared::<R>();
    while !started.flight().is_completed() {
        thread::yield_now();
    }
    let (mut started, next) = start(ended(started));
    assert!(started.flight().wait(Limit::Never));
    let prepared = use_it(ended(started));
    provider.join().unwrap();
    next.join().unwrap();
    drop(prepared);
    all_back(pool, 1);
}

/// The call that waits: a time-out cancels, and the completion is waited for. The next one has nothing of the first.
pub(crate) fn prepared_time_out<R: Rules>() {
    let pool = PreparedPool::<R>::new(1, None);
    let mut prepared = pool.take().unwrap();
    let mut providers = Vec::new();
    for limit in [Limit::Now, Limit::Never] {
        prepared.write(1);
        let flight = prepared.launch();
        let queue = Queue::of(&prepared.block());
        providers.push(thread::spawn(move || queue.complete()));
        if !flight.wait(limit) {
            assert_eq!(limit, Limit::Now);
            flight.cancel();
            assert!(flight.wait(Limit::Never));
        }
        let (value, status) = prepared.read();
        assert_eq!(value, 2, "completed once");
        assert!(status == Status::Success || limit == Limit::Now);
    }
    for provider in providers {
        provider.join().unwrap();
    }
    drop(prepared);
    all_back(pool, 1);
}

/// A prepared operation is awaited, again and again, by tasks that change.
pub(crate) fn prepared_await<R: Rules>() {
    let (pool, mut started, provider) = prepared::<R>();
    let (ready, first) = poll_once(started.flight());
    let task = Task::new();
    let waker = Waker::from(task.clone());
    let context = Context::from_waker(&waker);
    let sleep = |started: &mut Started<R>| {
        while started.flight().poll(&context).is_pending() {
            task.sleep();
            thread::yield_now();
        }
    };
    if !ready {
        sleep(&mut started);
    }
    let (mut started, next) = start(ended(started));
    sleep(&mut started);
    drop(ended(started));
    provider.join().unwrap();
    next.join().unwrap();
    drop(waker);
    // The block has kept none of the wakers.
    assert_eq!(Arc::strong_count(&first), 1);
    assert_eq!(Arc::strong_count(&task), 1);
    all_back(pool, 1);
}

/// A task polls, and then somebody waits instead.
pub(crate) fn prepared_poll_and_wait<R: Rules>() {
    let (pool, mut started, provider) = prepared::<R>();
    let (_, task) = poll_once(started.flight());
    assert!(started.flight().wait(Limit::Never));
    drop(ended(started));
    provider.join().unwrap();
    assert_eq!(Arc::strong_count(&task), 1);
    all_back(pool, 1);
}

/// What was polled is dropped, and used by another as soon as it is back.
pub(crate) fn prepared_poll_and_leave<R: Rules>() {
    let (pool, mut started, provider) = prepared::<R>();
    let (_, task) = poll_once(started.flight());
    drop(started);
    drop(use_it(pool.take_within(Limit::Never).unwrap()));
    provider.join().unwrap();
    assert_eq!(Arc::strong_count(&task), 1);
    all_back(pool, 1);
}

/// What is dropped is started again as soon as it is back, and waited for: by then the routine is done with its first flight.
pub(crate) fn prepared_leave_and_start<R: Rules>() {
    let (pool, started, provider) = prepared::<R>();
    drop(started);
    let (mut started, next) = start(pool.take_within(Limit::Never).unwrap());
    assert!(started.flight().wait(Limit::Never));
    drop(ended(started));
    provider.join().unwrap();
    next.join().unwrap();
    all_back(pool, 1);
}

/// What is dropped goes back to the pool on one thread or the other, where a third waits for it.
pub(crate) fn prepared_leave_and_wait_for<R: Rules>() {
    let (pool, started, provider) = prepared::<R>();
    let next = {
        let pool = pool.clone();
        thread::spawn(move || drop(use_it(pool.take_within(Limit::Never).unwrap())))
    };
    drop(started);
    provider.join().unwrap();
    next.join().unwrap();
    all_back(pool, 1);
}

/// A receive is dropped, while another thread takes whatever is in the pool.
pub(crate) fn prepared_cancel_and_leave<R: Rules>() {
    let pool = PreparedPool::<R>::new(1, None);
    let (mut started, provider) = start_cancellable(pool.take().unwrap());
    let (_, task) = poll_once(started.flight());
    let next = {
        let pool = pool.clone();
        thread::spawn(move || drop(pool.take().map(use_it)))
    };
    started.cancel_and_drop();
    provider.join().unwrap();
    next.join().unwrap();
    assert_eq!(Arc::strong_count(&task), 1);
    all_back(pool, 1);
}

/// The handle is forgotten: its slot never comes back, and the memory stays.
pub(crate) fn prepared_forget<R: Rules>() {
    for polled in [false, true] {
        let (pool, mut started, provider) = prepared::<R>();
        let woken = polled.then(|| poll_once(started.flight()));
        forget(started);
        provider.join().unwrap();
        assert!(pool.take().is_none());
        let gone = pool.observer();
        drop(pool);
        assert!(!gone());
        if let Some((ready, task)) = woken {
            assert!(ready != task.was_woken(), "woken exactly if it was pending");
        }
    }
}

/// The pool's handle, the operation's, and the routine's: the last to go frees the memory, and then closes the socket.
pub(crate) fn prepared_close<R: Rules>() {
    let socket = Socket::<R>::open();
    let closed = socket.observer();
    let pool = PreparedPool::<R>::new(2, Some(socket));
    let gone = pool.observer();
    let other = pool.take().unwrap();
    let (started, provider) = start_cancellable(pool.take().unwrap());
    let pools = thread::spawn(move || drop(pool));
    drop(other);
    started.cancel_and_drop();
    provider.join().unwrap();
    pools.join().unwrap();
    assert!(gone() && closed());
}

/// A provider has refused a request, and completes it all the same: too late for the one who waited, but the slot comes back,
/// and is as any other.
pub(crate) fn prepared_given_up<R: Rules>() {
    let pool = PreparedPool::<R>::new(1, None);
    let mut prepared = pool.take().unwrap();
    prepared.write(7);
    let block = prepared.block();
    let flight = prepared.launch();
    let provider = thread::spawn(move || block.complete(Status::Success));
    if flight.wait(Limit::Now) {
        assert_eq!(prepared.read(), (8, Status::Success));
    } else {
        prepared.give_up(flight);
    }
    let next = {
        let pool = pool.clone();
        thread::spawn(move || drop(use_it(pool.take_within(Limit::Never).unwrap())))
    };
    drop(prepared);
    provider.join().unwrap();
    next.join().unwrap();
    all_back(pool, 1);
}
