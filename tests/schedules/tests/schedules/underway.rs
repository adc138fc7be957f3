//! What any thread may do with an operation in flight, of any kind.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use wsk::Error;
use wsk::operation::{InFlight, Started};
use wsk::request::{Operation, Repeat};
use wsk_host::{DISPATCH_LEVEL, at_irql};
use wsk_schedules::{Dice, dawdle, until};

/// An operation in flight.
pub(crate) trait Underway: Future<Output = Self::End> + Unpin + Sized {
    type End;
    fn wait(self) -> Result<Self::End, (Error, Self)>;
    fn wait_timeout(self, limit: Duration) -> Result<Self::End, (Error, Self)>;
    fn try_take(self) -> Result<Self::End, Self>;
    fn cancel(&self);
}

impl<O: Operation<B>, B> Underway for InFlight<O, B> {
    type End = <Self as Future>::Output;

    fn wait(self) -> Result<Self::End, (Error, Self)> {
        self.wait()
    }

    fn wait_timeout(self, limit: Duration) -> Result<Self::End, (Error, Self)> {
        self.wait_timeout(limit)
    }

    fn try_take(self) -> Result<Self::End, Self> {
        self.try_take()
    }

    fn cancel(&self) {
        self.cancel();
    }
}

impl<O: Repeat<B>, B> Underway for Started<O, B> {
    type End = <Self as Future>::Output;

    fn wait(self) -> Result<Self::End, (Error, Self)> {
        self.wait()
    }

    fn wait_timeout(self, limit: Duration) -> Result<Self::End, (Error, Self)> {
        self.wait_timeout(limit)
    }

    fn try_take(self) -> Result<Self::End, Self> {
        self.try_take()
    }

    fn cancel(&self) {
        self.cancel();
    }
}

/// Runs `f` at `PASSIVE_LEVEL` or at `DISPATCH_LEVEL`.
pub(crate) fn anywhere<T>(dice: &mut Dice, body: impl FnOnce() -> T) -> T {
    if dice.toss() {
        at_irql(DISPATCH_LEVEL, body)
    } else {
        body()
    }
}

/// Does something with an operation. Returns its new state. If it `ends_by_itself`, it needs no other thread to end.
pub(crate) fn act<U: Underway>(
    dice: &mut Dice,
    operation: U,
    ends_by_itself: bool,
) -> Result<Option<U::End>, U> {
    let mut operation = operation;
    match dice.below(8) {
        0 => {
            let limit = Duration::from_micros(dice.below(300));
            match operation.wait_timeout(limit) {
                Ok(end) => Ok(Some(end)),
                Err((error, operation)) => {
                    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
                    Err(operation)
                }
            }
        }
        1 => {
            if !ends_by_itself || dice.toss() {
                operation.cancel();
            }
            Ok(operation
                .wait()
                .map(Some)
                .map_err(|(error, _)| error)
                .unwrap())
        }
        2 => anywhere(dice, || operation.try_take()).map(Some),
        3 => {
            anywhere(dice, || operation.cancel());
            Err(operation)
        }
        4 => {
            anywhere(dice, || drop(operation));
            Ok(None)
        }
        5 => {
            // A task that has polled is woken, with the last of its wakers.
            let counts = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
            for count in &counts {
                let waker = count.waker();
                let polled = anywhere(dice, || {
                    Pin::new(&mut operation).poll(&mut Context::from_waker(&waker))
                });
                if let Poll::Ready(end) = polled {
                    return Ok(Some(end));
                }
            }
            operation.cancel();
            let waker = counts[1].waker();
            loop {
                until("a wake", || counts[1].0.load(Ordering::SeqCst) > 0);
                counts[1].0.store(0, Ordering::SeqCst);
                let polled = Pin::new(&mut operation).poll(&mut Context::from_waker(&waker));
                if let Poll::Ready(end) = polled {
                    return Ok(Some(end));
                }
            }
        }
        _ => {
            let waker = Arc::new(Wakes::default()).waker();
            let polled = anywhere(dice, || {
                Pin::new(&mut operation).poll(&mut Context::from_waker(&waker))
            });
            match polled {
                Poll::Ready(end) => Ok(Some(end)),
                Poll::Pending => Err(operation),
            }
        }
    }
}

/// Does something with an operation, and checks its end. Returns the operation if it is still there.
pub(crate) fn act_and_check<U: Underway>(
    dice: &mut Dice,
    operation: U,
    ends_by_itself: bool,
    check: impl FnOnce(U::End),
) -> Option<U> {
    match act(dice, operation, ends_by_itself) {
        Ok(end) => {
            if let Some(end) = end {
                check(end);
            }
            None
        }
        Err(operation) => Some(operation),
    }
}

/// Each of `actors` runs on its own thread, all starting at the same moment. `meanwhile` runs here.
pub(crate) fn at_once<A: Send>(actors: Vec<A>, act: impl Fn(A) + Sync, meanwhile: impl FnOnce()) {
    let barrier = Barrier::new(actors.len() + 1);
    std::thread::scope(|scope| {
        for actor in actors {
            scope.spawn(|| {
                barrier.wait();
                act(actor);
            });
        }
        barrier.wait();
        meanwhile();
    });
}

/// Takes one of the items that a thread holds.
pub(crate) fn pick<H>(dice: &mut Dice, held: &mut Vec<H>) -> Option<H> {
    if held.is_empty() {
        return None;
    }
    let place = dice.index(held.len());
    Some(held.swap_remove(place))
}

/// Puts one on the table on which threads exchange what they hold, and takes one from it.
pub(crate) fn exchange<H>(table: &Mutex<Vec<H>>, mine: Option<H>) -> Option<H> {
    let mut table = table.lock().unwrap();
    let others = table.pop();
    table.extend(mine);
    others
}

/// Closing must work, unless others have the socket, too.
pub(crate) fn closed(result: Result<(), Error>) {
    assert!(matches!(result, Ok(()) | Err(Error::InUse)), "{result:?}");
}

/// A result that is possible on connections and listeners that other threads disconnect, abort and close.
pub(crate) fn plausible<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(result) => Some(result),
        Err(Error::Call { .. } | Error::TimedOut { .. } | Error::Short { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Every datagram here repeats one number.
pub(crate) fn uniform(bytes: &[u8]) {
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "{bytes:?}");
}

/// Counts operations with closures, and the closures that were called: each once.
#[derive(Debug, Default)]
pub(crate) struct Told {
    started: AtomicUsize,
    told: AtomicUsize,
}

impl Told {
    /// Starts one more. Returns its closure, which calls `check` at the end.
    pub(crate) fn one<E: 'static>(
        self: &Arc<Self>,
        check: fn(E),
    ) -> impl FnOnce(E) + Send + 'static {
        self.started.fetch_add(1, Ordering::SeqCst);
        let this = self.clone();
        move |end| {
            dawdle();
            check(end);
            this.told.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The operation of a closure was not started.
    pub(crate) fn not_started(&self) {
        self.started.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits until every closure was called.
    pub(crate) fn settle(&self) {
        until("every completion", || {
            let told = self.told.load(Ordering::SeqCst);
            let started = self.started.load(Ordering::SeqCst);
            assert!(told <= started, "told twice");
            told == started
        });
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    /// A slow waker, mostly when it is cloned.
    fn waker(self: &Arc<Self>) -> Waker {
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |count| {
                dawdle();
                // SAFETY: the waker has a reference, and so does its clone.
                unsafe { Arc::increment_strong_count(count.cast::<Wakes>()) };
                RawWaker::new(count, &TABLE)
            },
            |count| {
                dawdle();
                // SAFETY: the waker has a reference, which is dropped with it.
                let count = unsafe { Arc::from_raw(count.cast::<Wakes>()) };
                count.0.fetch_add(1, Ordering::SeqCst);
            },
            |count| {
                // SAFETY: the waker has a reference, so the count exists.
                unsafe { (*count.cast::<Wakes>()).0.fetch_add(1, Ordering::SeqCst) };
            },
            |count| {
                dawdle();
                // SAFETY: the waker has a reference, which is dropped with it.
                drop(unsafe { Arc::from_raw(count.cast::<Wakes>()) });
            },
        );
        let count = Arc::into_raw(self.clone()).cast();
        // SAFETY: the functions keep the references to the count, which may be used on any thread.
        unsafe { Waker::from_raw(RawWaker::new(count, &TABLE)) }
    }
}
