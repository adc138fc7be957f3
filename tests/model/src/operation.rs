//! Operations, by the rules of `wsk/src/operation.rs`: the handle on one side, the completion routine on the other. Stands for
//! an IRP with its completion routine.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use loom::sync::Mutex;

use crate::kernel::{Cell, Event, Irp, Limit, Memory, Status, Task};
use crate::pool::Pooled;
use crate::prepared::Home;
use crate::rules::{Number, Rules};
use crate::scope::Pending;
use crate::state::{Notify, Retract, State};

/// What an operation carries: a buffer, which the provider writes.
#[derive(Debug)]
pub struct Payload<R: Rules> {
    /// What the provider has written.
    pub value: u32,
    drops: Arc<AtomicUsize>,
    /// The slot that the operation's block is part of, given back when the payload is dropped.
    pub slot: Option<Pooled<R>>,
}

impl<R: Rules> Payload<R> {
    /// A payload that counts its drop.
    #[must_use]
    pub fn new(drops: &Arc<AtomicUsize>) -> Self {
        Self {
            value: 0,
            drops: drops.clone(),
            slot: None,
        }
    }
}

impl<R: Rules> Drop for Payload<R> {
    fn drop(&mut self) {
        // Not loom's: it orders nothing.
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// The memory of an operation.
#[derive(Debug)]
pub struct Block<R: Rules> {
    /// That of the block, or of what it is part of.
    pub memory: Memory,
    own: bool,
    /// Its IRP.
    pub irp: Irp,
    state: Word<R>,
    event: Event,
    /// Empty unless a waker is announced.
    waker: Cell<Option<Waker>>,
    /// The waker that was announced last: the holder's, only to be compared with.
    announced: Cell<Option<Identity>>,
    observer: Cell<Option<Arc<Pending>>>,
    payload: Cell<Option<Payload<R>>>,
    /// Where the provider's cancel routine finds the request.
    queue: Cell<Option<Arc<Queue<R>>>>,
    /// Of a block that is used again and again in its place: to whom the routine gives it back, and its number there. Such a
    /// block has its payload, the buffer, for good.
    home: Option<(Weak<Home<R>>, u32)>,
}

/// What two wakers are compared by: the pointers that they consist of.
type Identity = (usize, usize);

fn identity(waker: &Waker) -> Identity {
    (
        waker.data().addr(),
        core::ptr::from_ref(waker.vtable()).addr(),
    )
}

/// A provider's queue of one request, from which it is taken once: by who completes it or by who cancels it. Only as long as it
/// is there does the provider touch the IRP.
#[derive(Debug)]
pub struct Queue<R: Rules> {
    request: Mutex<Option<Arc<Block<R>>>>,
}

impl<R: Rules> Queue<R> {
    /// Takes a request on, which can be cancelled from now on.
    #[must_use]
    pub fn of(block: &Arc<Block<R>>) -> Arc<Self> {
        let queue = Arc::new(Self {
            request: Mutex::new(Some(block.clone())),
        });
        block.replace(&block.queue, Some(queue.clone()));
        block.irp.set_cancellable();
        queue
    }

    /// Completes the request, unless it is being cancelled.
    ///
    /// # Panics
    ///
    /// Never: no thread panics with the lock.
    pub fn complete(&self) {
        let mut request = self.request.lock().unwrap();
        let Some(block) = request.take() else { return };
        block.memory.touch();
        if block.irp.take_cancel_routine() {
            drop(request);
            drop(block.replace(&block.queue, None));
            block.complete(Status::Success);
        } else {
            // The cancel routine is on its way.
            *request = Some(block);
        }
    }

    /// The cancel routine.
    fn cancelled(&self) {
        let block = self.request.lock().unwrap().take();
        block
            .expect("left to the cancel routine")
            .complete(Status::Cancelled);
    }
}

struct Word<R: Rules>(State<Number<R>>);

impl<R: Rules> core::fmt::Debug for Word<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("State")
    }
}

impl<R: Rules> Block<R> {
    /// An idle block, of its own or part of a pool.
    #[must_use]
    pub fn new(own: bool) -> Arc<Self> {
        Arc::new(Self::with(own, None, None))
    }

    /// A block at rest, which is used again and again: number `index` of what is behind `home`.
    pub(crate) fn at_rest(home: Weak<Home<R>>, index: u32, buffer: Payload<R>) -> Arc<Self> {
        let block = Self::with(false, Some(buffer), Some((home, index)));
        block.state.0.rest();
        Arc::new(block)
    }

    fn with(own: bool, payload: Option<Payload<R>>, home: Option<(Weak<Home<R>>, u32)>) -> Self {
        Self {
            memory: Memory::default(),
            own,
            irp: Irp::default(),
            state: Word(State::default()),
            event: Event::notification(),
            waker: Cell::new(None),
            announced: Cell::new(None),
            observer: Cell::new(None),
            payload: Cell::new(payload),
            queue: Cell::new(None),
            home,
        }
    }

    pub(crate) fn state(&self) -> &State<Number<R>> {
        self.memory.touch();
        &self.state.0
    }

    /// The buffer of a block that has it for good, to be used as only its holder may.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub(crate) fn buffer<T>(&self, use_it: impl FnOnce(&mut u32) -> T) -> T {
        self.memory.touch();
        self.payload
            .write(|payload| use_it(&mut payload.as_mut().expect("a buffer").value))
    }

    /// Nobody has the block any more: no waker may be left in it.
    fn assert_without_waker(&self) {
        self.memory.touch();
        let without = self.waker.read(Option::is_none);
        assert!(without, "a waker was left in its place");
    }

    /// Takes what is in a cell and puts something else there.
    fn replace<T>(&self, cell: &Cell<T>, value: T) -> T {
        self.memory.touch();
        cell.replace(value)
    }

    /// Holder: starts a request, as `Idle::start`. The provider gets the block by whatever way it hands things on.
    ///
    /// # Panics
    ///
    /// When the block is not idle.
    pub fn start(
        self: &Arc<Self>,
        payload: Payload<R>,
        observer: Option<Arc<Pending>>,
    ) -> Flight<R> {
        assert!(
            self.replace(&self.payload, Some(payload)).is_none(),
            "the block was not idle"
        );
        self.replace(&self.observer, observer);
        self.irp.reuse();
        self.state().start();
        Flight {
            block: self.clone(),
        }
    }

    /// Holder: makes another request with a block at rest, as `Block::launch`.
    ///
    /// # Panics
    ///
    /// When a request before this one has left a waker.
    pub(crate) fn launch(self: &Arc<Self>) -> Flight<R> {
        self.assert_without_waker();
        self.irp.reuse();
        self.state().start();
        Flight {
            block: self.clone(),
        }
    }

    /// The flight of a block, in place of the one that it was given up with.
    pub(crate) fn flight(self: &Arc<Self>) -> Flight<R> {
        Flight {
            block: self.clone(),
        }
    }

    /// Provider: writes the buffer and completes the request.
    ///
    /// # Panics
    ///
    /// When there is no request.
    pub fn complete(self: &Arc<Self>, status: Status) {
        self.memory.touch();
        self.payload.write(|payload| {
            payload.as_mut().expect("a request has a payload").value += 1;
        });
        self.irp.end(status);
        self.completed();
    }

    /// The status of a request that has completed.
    pub(crate) fn status(&self) -> Status {
        self.memory.touch();
        self.irp.status()
    }

    /// `IoCancelIrp`: has the provider's cancel routine complete the request, on this thread.
    pub(crate) fn cancel(&self) {
        self.memory.touch();
        let _ = self.irp.generation();
        if self.irp.take_cancel_routine() {
            let queue = self
                .replace(&self.queue, None)
                .expect("set with the routine");
            queue.cancelled();
        }
    }

    /// The completion routine.
    fn completed(self: &Arc<Self>) {
        let observer = || self.replace(&self.observer, None);
        let read = R::OBSERVER_READ_FIRST.then(observer);
        let notify = self.state().complete();
        match notify {
            Notify::Spurious => return,
            Notify::Nobody if R::EVENT_FOR_WAITER_ONLY => {}
            Notify::Nobody | Notify::Event => {
                self.memory.touch();
                self.event.set();
            }
            Notify::Waker => {
                let take = || self.replace(&self.waker, None);
                let (waker, done) = if R::WAKER_TAKEN_FIRST {
                    let waker = take();
                    (waker, self.state().waking_done())
                } else {
                    let done = self.state().waking_done();
                    (take(), done)
                };
                if done == Notify::Free {
                    self.discard();
                }
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Notify::Free => self.discard(),
        }
        if let Some(observer) = read.unwrap_or_else(observer) {
            observer.one_less();
        }
    }

    /// Drops the payload of a block that nobody has any more, and frees the block if it is one of its own.
    fn discard(&self) {
        self.assert_without_waker();
        if let Some((home, index)) = &self.home {
            let home = home.upgrade().expect("kept by the scenario");
            home.discard(*index);
            if !R::SLOT_LAST {
                self.state().rest();
            }
            return;
        }
        let payload = self.replace(&self.payload, None);
        assert!(payload.is_some(), "the payload was taken twice");
        let payload = if R::PAYLOAD_LAST {
            payload
        } else {
            drop(payload);
            None
        };
        self.state().reset();
        if self.own {
            self.memory.free();
        }
        drop(payload);
    }
}

/// A request that was made.
#[derive(Debug)]
#[must_use]
pub struct Flight<R: Rules> {
    block: Arc<Block<R>>,
}

impl<R: Rules> Flight<R> {
    /// Whether the request has completed.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.block.state().is_completed()
    }

    /// Asks the provider to cancel the request.
    pub fn cancel(&self) {
        self.block.cancel();
    }

    /// Waits until the request has completed, or the limit; says whether it has.
    #[must_use]
    pub fn wait(&self, limit: Limit) -> bool {
        if self.is_completed() {
            return true;
        }
        match self.block.state().retract() {
            Retract::InFlight => {
                if R::WAKER_DROPPED_BEFORE_WAITING {
                    drop(self.block.replace(&self.block.waker, None));
                }
            }
            Retract::Completed => return true,
            Retract::Waking => return self.yield_to_routine(),
        }
        if !self.block.state().wait() || self.await_event(limit) {
            return true;
        }
        if self.block.state().give_up() {
            return false;
        }
        if R::LATE_WAITER_SEES_EVENT {
            self.await_event(Limit::Never);
        }
        true
    }

    /// Whether the request has completed; if not, the waker is woken when it has.
    pub fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let new = identity(context.waker());
        if R::WAKER_RETRACTED {
            match self.block.state().retract() {
                Retract::Completed => return Poll::Ready(()),
                Retract::Waking => {
                    self.block.memory.touch();
                    let same = self
                        .block
                        .announced
                        .read(|announced| *announced == Some(new));
                    if !same && R::ANOTHER_WAKER_WOKEN {
                        context.waker().wake_by_ref();
                    }
                    return Poll::Pending;
                }
                Retract::InFlight => {}
            }
        }
        let put = || {
            self.block.memory.touch();
            self.block.waker.write(|slot| {
                if !slot
                    .as_ref()
                    .is_some_and(|waker| waker.will_wake(context.waker()))
                {
                    *slot = Some(context.waker().clone());
                }
            });
        };
        if R::WAKER_BEFORE_ANNOUNCEMENT {
            put();
        }
        self.block.replace(&self.block.announced, Some(new));
        let announced = self.block.state().wake();
        if !R::WAKER_BEFORE_ANNOUNCEMENT {
            put();
        }
        if announced {
            return Poll::Pending;
        }
        if !R::WAKER_RETRACTED && !self.is_completed() {
            return Poll::Pending;
        }
        if R::WAKER_DROPPED_WHEN_READY {
            drop(self.block.replace(&self.block.waker, None));
        }
        Poll::Ready(())
    }

    /// Takes everything back from a request that has completed.
    ///
    /// # Panics
    ///
    /// When there is no payload.
    #[must_use]
    pub fn finish(self) -> (Arc<Block<R>>, Payload<R>, Status) {
        let status = self.block.irp.status();
        self.block.assert_without_waker();
        self.block.state().reset();
        let payload = self.block.replace(&self.block.payload, None);
        (
            self.block,
            payload.expect("the payload is taken once"),
            status,
        )
    }

    /// [`finish`](Self::finish), and frees the block.
    #[must_use]
    pub fn finish_and_free(self) -> (Payload<R>, Status) {
        let (block, payload, status) = self.finish();
        block.memory.free();
        (payload, status)
    }

    /// Leaves the block to the completion routine, or ends it, where that has been.
    pub fn detach(self) {
        if !self.leave() {
            self.block.discard();
        }
    }

    /// Leaves the block to the completion routine; `false` when the request has completed and the block is the holder's.
    #[must_use]
    pub(crate) fn leave(&self) -> bool {
        if !R::LEAVES_IN_FLIGHT || self.is_completed() {
            return false;
        }
        let retracted = self.silence();
        let state = self.block.state();
        if R::LEAVES_WAKING {
            state.detach()
        } else {
            retracted == Retract::InFlight && state.detach()
        }
    }

    /// Has the completion wake nobody any more, unless it is about to.
    pub(crate) fn silence(&self) -> Retract {
        let retracted = self.block.state().retract();
        if retracted == Retract::InFlight && R::WAKER_DROPPED_BEFORE_LEAVING {
            drop(self.block.replace(&self.block.waker, None));
        }
        retracted
    }

    /// Drops a receive: cancels it and leaves it.
    pub fn cancel_and_detach(self) {
        let block = self.block.clone();
        let completed = self.is_completed();
        if !completed && R::CANCELS_FIRST {
            self.silence();
            block.cancel();
        }
        self.detach();
        if !completed && !R::CANCELS_FIRST {
            block.cancel();
        }
    }

    /// Waits as an executor does, with a task of its own.
    pub fn block_on(mut self) -> Self {
        let task = Task::new();
        let waker = Waker::from(task.clone());
        let context = Context::from_waker(&waker);
        while self.poll(&context).is_pending() {
            task.sleep();
            // Woken by itself it looks again and again: let the others run.
            loom::thread::yield_now();
        }
        self
    }

    fn yield_to_routine(&self) -> bool {
        while !self.is_completed() {
            loom::thread::yield_now();
        }
        true
    }

    fn await_event(&self, limit: Limit) -> bool {
        if !self.block.event.wait(limit) {
            return false;
        }
        if R::EVENT_CLEARED {
            self.block.event.clear();
        }
        true
    }
}

impl<R: Rules> Future for Flight<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Flight::poll(self.get_mut(), context)
    }
}

impl<R: Rules> Unpin for Flight<R> {}
