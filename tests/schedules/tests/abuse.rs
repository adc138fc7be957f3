//! What safe code can do to operations although the compiler accepts it: it may leak memory, but never break a rule of the
//! kernel. Each test has its own kernel, which would stop the system, and states exactly what is left behind.

use std::cell::RefCell;
use std::future::Future;
use std::mem::{ManuallyDrop, forget, swap};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::Duration;

use wsk::operation::{InFlight, Operations, PreparedPool, Started};
use wsk::request::{Looking, ReceivingFrom, Resolving};
use wsk::{
    AddressInfo, BufferPool, ConnectedSocket, ConnectionSocket, Error, Family, ListenSocket,
    Messages, NonPagedBuffer,
};
use wsk_host::{DISPATCH_LEVEL, at_irql};
use wsk_schedules::{
    Counted, CountedChain, Driver, Ledger, PATIENCE, bound, connection, kernels, listener, until,
};

/// Runs `abuse` on a kernel for each completion policy. Nothing may be left behind.
fn harmless(abuse: impl Fn(&Driver, &Arc<Ledger>)) {
    for kernel in kernels(7) {
        let driver = Driver::load().unwrap();
        let ledger = Ledger::new();
        abuse(&driver, &ledger);
        drop(driver);
        ledger.settle(0);
        kernel.shutdown();
    }
}

/// Runs `abuse` in the same way. Exactly `operations` of its operations, with their buffers, are never freed, and also what
/// `more` lists. Everything else is freed, and the driver unloads.
fn leaks(operations: usize, more: &[(&str, usize)], abuse: impl Fn(&Driver, &Arc<Ledger>)) {
    for kernel in kernels(7) {
        let driver = Driver::load().unwrap();
        let ledger = Ledger::new();
        abuse(&driver, &ledger);
        drop(driver);
        ledger.settle(operations);
        let leaks = kernel.finish().unwrap_err();
        // The block of each operation, the bytes of each buffer, and the buffer's MDL.
        let mut expected = [("nonpaged pool", 2 * operations), ("MDL", operations)];
        for (what, number) in &mut expected {
            *number += more
                .iter()
                .filter(|(more, _)| more == what)
                .map(|(_, more)| more)
                .sum::<usize>();
            let entries = leaks.entries().iter();
            assert_eq!(
                entries.filter(|entry| entry.starts_with(*what)).count(),
                *number,
                "{what}: {leaks}"
            );
        }
        let all: usize = expected.iter().map(|(_, number)| number).sum();
        assert_eq!(leaks.entries().len(), all, "{leaks}");
    }
}

fn buffer(ledger: &Arc<Ledger>) -> Counted {
    Counted::new(16, 7, ledger).unwrap()
}

fn receive(driver: &Driver, ledger: &Arc<Ledger>) -> InFlight<ReceivingFrom, Counted> {
    driver.socket.receive_from(buffer(ledger)).start().unwrap()
}

#[test]
fn forget_operations() {
    leaks(3, &[], |driver, ledger| {
        forget(receive(driver, ledger));
        forget(
            driver
                .socket
                .send_to(buffer(ledger), driver.address)
                .start()
                .unwrap(),
        );
        let mut polled = receive(driver, ledger);
        assert!(
            Pin::new(&mut polled)
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
                || polled.is_completed()
        );
        forget(polled);
    });
}

#[test]
fn leak_boxes() {
    leaks(2, &[], |driver, ledger| {
        let operation = Box::leak(Box::new(receive(driver, ledger)));
        operation.cancel();
        let operation: &'static InFlight<ReceivingFrom, Counted> =
            Box::leak(Box::new(receive(driver, ledger)));
        assert!(!operation.is_completed());
    });
}

struct Node<O> {
    next: RefCell<Option<Rc<Self>>>,
    _operation: O,
}

#[test]
fn cycles_of_rc() {
    leaks(1, &[], |driver, ledger| {
        let node = Rc::new(Node {
            next: RefCell::default(),
            _operation: receive(driver, ledger),
        });
        *node.next.borrow_mut() = Some(node.clone());
    });
}

#[test]
fn manually_never_dropped() {
    leaks(1, &[], |driver, ledger| {
        let operation = ManuallyDrop::new(receive(driver, ledger));
        operation.cancel();
    });
}

#[test]
fn statics() {
    static PLACE: Mutex<Option<InFlight<ReceivingFrom, Counted>>> = Mutex::new(None);
    // It stays in the static until the next kernel's replaces it. Dropping it then would use a kernel that is gone.
    leaks(1, &[], |driver, ledger| {
        forget(PLACE.lock().unwrap().replace(receive(driver, ledger)));
    });
    forget(PLACE.lock().unwrap().take());
    // Taken out again after its socket has been closed.
    harmless(|driver, ledger| {
        let (socket, _) = bound(&driver.provider).unwrap();
        *PLACE.lock().unwrap() = Some(socket.receive_from(buffer(ledger)).start().unwrap());
        drop(socket);
        let operation = PLACE.lock().unwrap().take().unwrap();
        let finished = operation.wait().unwrap();
        assert_eq!(
            finished.result.unwrap_err().status(),
            Some(wsk_sys::STATUS_CANCELLED)
        );
        assert_eq!(finished.buffer.unwrap().bytes(), [7; 16]);
    });
}

/// A forgotten pooled operation keeps its pool. The pool's other buffers still work.
#[test]
fn forget_pooled_operations() {
    // The pool's slots, its state, and the other buffer.
    leaks(1, &[("nonpaged pool", 3), ("MDL", 1)], |driver, ledger| {
        let pool = BufferPool::new(2, |number| {
            if number == 0 {
                Ok(Either::Counted(buffer(ledger)))
            } else {
                Ok(Either::Plain(NonPagedBuffer::new(16)?))
            }
        })
        .unwrap();
        let held = (pool.take().unwrap(), pool.take().unwrap());
        forget(driver.socket.receive_from(held.0).start().unwrap());
        drop(held.1);
        for _ in 0..10 {
            let taken = pool.take_timeout(PATIENCE).unwrap();
            drop(
                driver
                    .socket
                    .send_to(taken, driver.address)
                    .start()
                    .unwrap(),
            );
        }
    });
}

/// Forgotten operations of a pool keep their pool, and so the provider captured: deregistering would wait for ever. The other
/// operations still work.
#[test]
fn forget_operations_of_a_pool() {
    for kernel in kernels(7) {
        let driver = Driver::load().unwrap();
        let ledger = Ledger::new();
        let operations = Operations::new(&driver.provider, 3).unwrap();
        let receive = |buffer| driver.socket.receive_from(buffer).from(&operations);
        forget(receive(buffer(&ledger)).start().unwrap());
        forget(operations.take().unwrap());
        for _ in 0..10 {
            let taken = operations.take_timeout(PATIENCE).unwrap();
            let send = driver.socket.send_to(buffer(&ledger), driver.address);
            drop(send.from(taken).start().unwrap());
        }
        let last = operations.take_timeout(PATIENCE).unwrap();
        assert!(operations.take().is_none() && !operations.is_idle());
        drop(last);
        let limit = Duration::from_millis(1);
        assert_eq!(operations.wait_until_idle_timeout(limit), Ok(false));
        drop(operations);
        driver.socket.close().unwrap();
        drop(driver.provider);
        ledger.settle(1);
        forget(driver.registration);
        let leaks = kernel.finish().unwrap_err();
        let captured = |entry: &String| entry.contains("1 captures of the provider");
        assert!(leaks.entries().iter().any(captured), "{leaks}");
    }
}

enum Either {
    Counted(Counted),
    Plain(NonPagedBuffer),
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl wsk::SendBuffer for Either {
    unsafe fn lock<'l>(&'l self, lock: &'l mut wsk::Lock) -> Result<&'l wsk::Extent, Error> {
        match self {
            // SAFETY: the caller keeps the same contract.
            Self::Counted(buffer) => unsafe { buffer.lock(lock) },
            // SAFETY: as above.
            Self::Plain(buffer) => unsafe { buffer.lock(lock) },
        }
    }
}

// SAFETY: as above.
unsafe impl wsk::ReceiveBuffer for Either {
    unsafe fn lock_mut<'l>(
        &'l mut self,
        lock: &'l mut wsk::Lock,
    ) -> Result<&'l wsk::Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        match self {
            // SAFETY: the caller keeps the same contract.
            Self::Counted(buffer) => unsafe { buffer.lock_mut(lock) },
            // SAFETY: as above.
            Self::Plain(buffer) => unsafe { buffer.lock_mut(lock) },
        }
    }
}

/// Handles of a scope may be forgotten, leaked or in a cycle: the scope waits nevertheless, and nothing is lost.
#[test]
fn forget_scoped_operations() {
    harmless(|driver, _| {
        let message = [1; 16];
        let mut rooms = [[0; 16]; 3];
        wsk::scope(|s| {
            let _ = ManuallyDrop::new(
                driver
                    .socket
                    .send_to(&message, driver.address)
                    .start_in(s)
                    .unwrap(),
            );
            Box::leak(Box::new(
                driver
                    .socket
                    .send_to(&message, driver.address)
                    .start_in(s)
                    .unwrap(),
            ));
            let [first, second, third] = &mut rooms;
            let receives = (
                driver.socket.receive_from(first).start_in(s).unwrap(),
                driver.socket.receive_from(second).start_in(s).unwrap(),
            );
            receives.0.cancel();
            receives.1.cancel();
            let _ = ManuallyDrop::new(receives.0);
            let node = Rc::new(Node {
                next: RefCell::default(),
                _operation: receives.1,
            });
            *node.next.borrow_mut() = Some(node.clone());
            let last = driver.socket.receive_from(third).start_in(s).unwrap();
            last.cancel();
        })
        .unwrap();
        // The borrows have ended, and the memory belongs to this frame again.
        rooms = [[9; 16]; 3];
        assert_eq!((message, rooms), ([1; 16], [[9; 16]; 3]));
    });
}

#[test]
fn panics_unwind() {
    harmless(|driver, ledger| {
        let pool = BufferPool::new(2, |_| Ok(buffer(ledger))).unwrap();
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let mut polled = pin!(receive(driver, ledger));
            let _ = polled
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            let _receive = receive(driver, ledger);
            let _send = driver
                .socket
                .send_to(buffer(ledger), driver.address)
                .start()
                .unwrap();
            let _pooled = driver
                .socket
                .receive_from(pool.take().unwrap())
                .start()
                .unwrap();
            let _taken = pool.take().unwrap();
            resume_unwind(Box::new("a bug of the driver's"));
        }));
        assert!(unwound.is_err());
        drop((
            pool.take_timeout(PATIENCE).unwrap(),
            pool.take_timeout(PATIENCE).unwrap(),
        ));
    });
}

/// A scope that unwinds waits, too: its buffers are on the stack that is being unwound.
#[test]
fn panics_unwind_through_scopes() {
    harmless(|driver, _| {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let mut room = [0; 64];
            let message = [5; 64];
            wsk::scope(|s| {
                let receive = driver.socket.receive_from(&mut room).start_in(s).unwrap();
                let _send = driver
                    .socket
                    .send_to(&message, driver.address)
                    .start_in(s)
                    .unwrap();
                receive.cancel();
                let _ = ManuallyDrop::new(receive);
                resume_unwind(Box::new("a bug of the driver's"));
            })
            .unwrap();
        }));
        assert!(unwound.is_err());
    });
}

/// Futures are dropped before the first poll, after several polls, and after their end.
#[test]
fn drop_futures_half_polled() {
    harmless(|driver, ledger| {
        for polls in 0..4 {
            let mut operation = Box::pin(receive(driver, ledger));
            for _ in 0..polls {
                // Each poll has a new waker.
                let waker = Waker::from(Arc::new(Nothing));
                assert!(
                    operation
                        .as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_pending()
                );
            }
            if polls % 2 == 0 {
                drop(operation);
            } else {
                at_irql(DISPATCH_LEVEL, || drop(operation));
            }
        }
        let operation = async {
            let first = receive(driver, ledger).await;
            let _never = receive(driver, ledger).await;
            first
        };
        let mut operation = Box::pin(operation);
        let mut context = Context::from_waker(Waker::noop());
        assert!(operation.as_mut().poll(&mut context).is_pending());
        drop(operation);
        let mut ended = receive(driver, ledger);
        ended.cancel();
        until("the completion", || ended.is_completed());
        assert!(Pin::new(&mut ended).poll(&mut context).is_ready());
        drop(ended);
    });
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

/// A waker that owns the operation that wakes it: the wake in the completion routine drops the operation's handle.
#[test]
fn wakers_that_drop_their_operation() {
    #[derive(Default)]
    struct Owner {
        operation: Mutex<Option<InFlight<ReceivingFrom, Counted>>>,
        wakes: AtomicUsize,
    }
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {
            self.wakes.fetch_add(1, Ordering::SeqCst);
            let operation = self
                .operation
                .try_lock()
                .ok()
                .and_then(|mut place| place.take());
            drop(operation);
        }
    }
    harmless(|driver, ledger| {
        let owner = Arc::new(Owner::default());
        let waker = Waker::from(owner.clone());
        let mut operation = receive(driver, ledger);
        assert!(
            Pin::new(&mut operation)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(waker);
        operation.cancel();
        *owner.operation.lock().unwrap() = Some(operation);
        until("the wake", || owner.wakes.load(Ordering::SeqCst) == 1);
        drop(owner.operation.lock().unwrap().take());
        // Only the cancelled operations below have it: nothing keeps the owner.
        until("the drop of the waker", || Arc::strong_count(&owner) == 1);

        // This time the handle surely exists at the wake.
        let mut operation = receive(driver, ledger);
        let waker = Waker::from(owner.clone());
        assert!(
            Pin::new(&mut operation)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(waker);
        *owner.operation.lock().unwrap() = Some(operation);
        assert_eq!(driver.socket.send_to(&[1; 4], driver.address).wait(), Ok(4));
        until("the wake", || owner.wakes.load(Ordering::SeqCst) == 2);
        until("the drop of the waker", || Arc::strong_count(&owner) == 1);
    });
}

/// A waker that panics when it is cloned leaves the operation unchanged.
#[test]
fn wakers_that_panic() {
    fn clone(_: *const ()) -> RawWaker {
        resume_unwind(Box::new("cannot be cloned"))
    }
    fn nothing(_: *const ()) {}
    static TABLE: RawWakerVTable = RawWakerVTable::new(clone, nothing, nothing, nothing);
    harmless(|driver, ledger| {
        // SAFETY: the table's functions use no data.
        let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) };
        let mut operation = receive(driver, ledger);
        for _ in 0..2 {
            let polled = catch_unwind(AssertUnwindSafe(|| {
                Pin::new(&mut operation)
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready()
            }));
            assert!(polled.is_err());
        }
        assert!(!operation.is_completed());
        let polled = Pin::new(&mut operation).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        operation.cancel();
        let finished = operation.wait().unwrap();
        assert!(finished.result.is_err() && finished.buffer.is_some());
    });
}

/// Operations are moved after a poll, swapped, and ended on other threads while their socket closes.
#[test]
fn move_operations_about() {
    harmless(|driver, ledger| {
        let (socket, _) = bound(&driver.provider).unwrap();
        let mut operations: Vec<_> = (0..8)
            .map(|_| socket.receive_from(buffer(ledger)).start().unwrap())
            .collect();
        for operation in &mut operations {
            let _ = Pin::new(operation).poll(&mut Context::from_waker(Waker::noop()));
        }
        let (first, rest) = operations.split_first_mut().unwrap();
        for other in rest {
            swap(first, other);
        }
        std::thread::scope(|threads| {
            for (number, operation) in operations.into_iter().enumerate() {
                threads.spawn(move || match number % 4 {
                    0 => drop(operation),
                    1 => drop(operation.wait().unwrap()),
                    2 => {
                        operation.cancel();
                        drop(operation.try_take());
                    }
                    _ => drop(operation.wait_timeout(Duration::from_micros(100))),
                });
            }
            threads.spawn(move || drop(socket));
        });
    });
}

/// The result of a completed operation is taken once.
#[test]
fn poll_after_the_end() {
    harmless(|driver, ledger| {
        let mut operation = driver
            .socket
            .send_to(buffer(ledger), driver.address)
            .start()
            .unwrap();
        let mut context = Context::from_waker(Waker::noop());
        until("the completion", || operation.is_completed());
        let Poll::Ready(finished) = Pin::new(&mut operation).poll(&mut context) else {
            panic!("pending after its completion")
        };
        assert_eq!((finished.result, finished.buffer.is_some()), (Ok(16), true));
        operation.cancel();
        assert!(operation.is_completed());
        let finished = operation.wait().unwrap();
        assert!(matches!(finished.result, Err(Error::Taken)) && finished.buffer.is_none());
    });
}

/// Room for a prepared operation.
fn room() -> NonPagedBuffer {
    NonPagedBuffer::new(16).unwrap()
}

/// What a prepared operation that never returns leaves behind: its home, with the slots, their buffers, and a handle of the
/// socket. So the socket stays open, and the driver loaded. That is the consequence of forgetting a handle. No rule is broken,
/// and everything that is not forgotten still works.
fn keeps_the_driver(abuse: impl Fn(&Driver)) {
    for kernel in kernels(7) {
        let driver = Driver::load().unwrap();
        abuse(&driver);
        assert_eq!(driver.socket.close(), Err(Error::InUse));
        drop(driver.provider);
        // Deregistering would wait for the socket for ever, as documented.
        forget(driver.registration);
        let leaks = kernel.finish().unwrap_err();
        assert!(
            leaks.entries().iter().any(|entry| entry.contains("socket")),
            "{leaks}"
        );
    }
}

#[test]
fn forget_prepared_operations() {
    keeps_the_driver(|driver| {
        forget(
            driver
                .socket
                .receive_from(room())
                .prepare()
                .unwrap()
                .start()
                .unwrap(),
        );
        let sender = driver
            .socket
            .send_to(room(), driver.address)
            .prepare()
            .unwrap();
        forget(sender.start().unwrap());
        let send = |_| Ok(driver.socket.send_to(room(), driver.address));
        let senders = PreparedPool::new(2, send).unwrap();
        forget(senders.take().unwrap());
        forget(senders.clone());
        // The other operation can be used as before.
        for _ in 0..10 {
            let sender = senders.take_timeout(PATIENCE).unwrap();
            assert!(senders.take().is_none());
            drop(sender.start().unwrap());
        }
        drop(senders.take_timeout(PATIENCE).unwrap());
        let mut polled = driver
            .socket
            .receive_from(room())
            .prepare()
            .unwrap()
            .start()
            .unwrap();
        let _ = Pin::new(&mut polled).poll(&mut Context::from_waker(Waker::noop()));
        forget(polled);
    });
}

#[test]
fn leak_prepared_operations_in_boxes_and_cycles() {
    keeps_the_driver(|driver| {
        let receiving = Box::leak(Box::new(
            driver
                .socket
                .receive_from(room())
                .prepare()
                .unwrap()
                .start()
                .unwrap(),
        ));
        receiving.cancel();
        until("the completion", || receiving.is_completed());
        let receiver = Box::leak(Box::new(
            driver.socket.receive_from(room()).prepare().unwrap(),
        ));
        let _ = receiver.wait_timeout(Duration::from_millis(1));
        let node = Rc::new(Node {
            next: RefCell::default(),
            _operation: driver
                .socket
                .receive_from(room())
                .prepare()
                .unwrap()
                .start()
                .unwrap(),
        });
        *node.next.borrow_mut() = Some(node.clone());
        let sending = driver
            .socket
            .send_to(room(), driver.address)
            .prepare()
            .unwrap()
            .start();
        let _ = ManuallyDrop::new(sending.unwrap());
    });
}

#[test]
fn prepared_operations_in_statics() {
    static PLACE: Mutex<Option<Started<ReceivingFrom, NonPagedBuffer>>> = Mutex::new(None);
    keeps_the_driver(|driver| {
        let receiving = driver
            .socket
            .receive_from(room())
            .prepare()
            .unwrap()
            .start()
            .unwrap();
        forget(PLACE.lock().unwrap().replace(receiving));
    });
    forget(PLACE.lock().unwrap().take());
    // Taken out again when its socket has no other handle.
    harmless(|driver, _| {
        let (socket, _) = bound(&driver.provider).unwrap();
        let receiving = socket
            .receive_from(room())
            .prepare()
            .unwrap()
            .start()
            .unwrap();
        *PLACE.lock().unwrap() = Some(receiving);
        drop(socket);
        let receiving = PLACE.lock().unwrap().take().unwrap();
        assert!(!receiving.is_completed());
        receiving.cancel();
        let ended = receiving.wait().unwrap();
        assert!(ended.result().is_err() && ended.into_operation().is_some());
    });
}

/// Prepared operations are half-polled, moved, swapped, and dropped by wakers and by unwinding panics. All return to their pools.
#[test]
fn prepared_operations_half_polled_and_unwound() {
    harmless(|driver, _| {
        let receive = |_| Ok(driver.socket.receive_from(room()));
        let receivers = PreparedPool::new(4, receive).unwrap();
        for polls in 0..4 {
            let mut receiving = Box::pin(receivers.take_or_wait().unwrap().start().unwrap());
            for _ in 0..polls {
                let waker = Waker::from(Arc::new(Nothing));
                let mut context = Context::from_waker(&waker);
                assert!(receiving.as_mut().poll(&mut context).is_pending());
            }
            if polls % 2 == 0 {
                drop(receiving);
            } else {
                at_irql(DISPATCH_LEVEL, || drop(receiving));
            }
        }
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let mut polled = pin!(receivers.take_or_wait().unwrap().start().unwrap());
            let mut context = Context::from_waker(Waker::noop());
            let _ = polled.as_mut().poll(&mut context);
            let _started = receivers.take_or_wait().unwrap().start().unwrap();
            let _taken = receivers.take_or_wait().unwrap();
            resume_unwind(Box::new("a bug of the driver's"));
        }));
        assert!(unwound.is_err());
        // Swapped after a poll, each still has its own result.
        let mut pair = [(); 2].map(|()| receivers.take_or_wait().unwrap().start().unwrap());
        for receiving in &mut pair {
            let mut context = Context::from_waker(Waker::noop());
            let _ = Pin::new(receiving).poll(&mut context);
        }
        let [first, second] = &mut pair;
        swap(first, second);
        for receiving in pair {
            receiving.cancel();
            let ended = receiving.wait().unwrap();
            assert!(ended.result().is_err() && ended.into_operation().is_some());
        }
        let all = [(); 4].map(|()| receivers.take_timeout(PATIENCE).unwrap());
        assert!(receivers.take().is_none());
        drop(all);
    });
}

/// The completion routine drops the handle of the operation that it completes, and with it the last reference to the memory that
/// contains both.
#[test]
fn wakers_that_drop_their_prepared_operation() {
    #[derive(Default)]
    struct Owner {
        operation: Mutex<Option<Started<ReceivingFrom, NonPagedBuffer>>>,
        wakes: AtomicUsize,
    }
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {
            drop(self.operation.lock().unwrap().take());
            self.wakes.fetch_add(1, Ordering::SeqCst);
        }
    }
    harmless(|driver, _| {
        let owner = Arc::new(Owner::default());
        let waker = Waker::from(owner.clone());
        let (socket, address) = bound(&driver.provider).unwrap();
        let mut receiving = socket
            .receive_from(room())
            .prepare()
            .unwrap()
            .start()
            .unwrap();
        // The operation has the last handle of its socket.
        drop(socket);
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut receiving).poll(&mut context).is_pending());
        drop(waker);
        *owner.operation.lock().unwrap() = Some(receiving);
        assert_eq!(driver.socket.send_to(&[1; 4], address).wait(), Ok(4));
        until("the wake", || owner.wakes.load(Ordering::SeqCst) == 1);
        until("the drop of the waker", || Arc::strong_count(&owner) == 1);
    });
}

/// The handles of a connection's operations are forgotten. Closing completes the operations, and their buffers stay.
#[test]
fn forget_operations_of_connections() {
    leaks(4, &[("nonpaged pool", 2)], |driver, ledger| {
        let (client, server) = connection(&driver.provider).unwrap();
        let mut polled = server.receive(buffer(ledger)).start().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut polled).poll(&mut context).is_pending());
        let _ = ManuallyDrop::new(polled);
        forget(client.receive(buffer(ledger)).start().unwrap());
        forget(client.send(buffer(ledger)).start().unwrap());
        let node = Rc::new(Node {
            next: RefCell::default(),
            _operation: server.send(buffer(ledger)).start().unwrap(),
        });
        *node.next.borrow_mut() = Some(node.clone());
        // Two operations without a buffer.
        forget(client.disconnect().start().unwrap());
        forget(server.abort().start().unwrap());
    });
}

/// Connections that are being made or accepted are dropped, unwound, polled and left. The resulting sockets close.
#[test]
fn connections_that_nobody_waits_for() {
    harmless(|driver, _| {
        let (listener, local) = listener(&driver.provider).unwrap();
        for round in 0..6 {
            let mut accept = listener.accept().start().unwrap();
            let mut open = ConnectedSocket::connect(&driver.provider, local)
                .start()
                .unwrap();
            let mut context = Context::from_waker(Waker::noop());
            if round % 2 == 0 {
                let _ = Pin::new(&mut accept).poll(&mut context);
                let _ = Pin::new(&mut open).poll(&mut context);
            }
            match round {
                0 | 1 => drop((accept, open)),
                2 | 3 => at_irql(DISPATCH_LEVEL, || drop((open, accept))),
                _ => {
                    let unwound = catch_unwind(AssertUnwindSafe(|| {
                        let _both = (accept, open);
                        resume_unwind(Box::new("a bug of the driver's"));
                    }));
                    assert!(unwound.is_err());
                }
            }
        }
        drop(listener);
    });
}

/// A scope that unwinds waits for sends and receives on a connection, too.
#[test]
fn panics_unwind_through_scopes_of_connections() {
    harmless(|driver, _| {
        let (client, server) = connection(&driver.provider).unwrap();
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let mut room = [0; 64];
            let message = [5; 64];
            wsk::scope(|s| {
                let receive = server.receive_all(&mut room).start_in(s).unwrap();
                let send = client.send(&message).start_in(s).unwrap();
                let _ = ManuallyDrop::new(send);
                let _ = ManuallyDrop::new(receive);
                resume_unwind(Box::new("a bug of the driver's"));
            })
            .unwrap();
        }));
        assert!(unwound.is_err());
        drop((client, server));
    });
}

/// Forgotten: a connection in the making, a lookup, the result of one, or a receive that may continue with its connection. The
/// provider stays captured, so that deregistering would wait for ever. Nothing else happens.
#[test]
fn forget_what_is_being_made() {
    type Forget = fn(&Driver, &ListenSocket, SocketAddr);
    let forgets: [(&str, Forget); 7] = [
        ("accept", |_, listener, _| {
            forget(listener.accept().start().unwrap());
        }),
        ("open", |driver, _, local| {
            let mut open = ConnectedSocket::connect(&driver.provider, local)
                .start()
                .unwrap();
            let polled = Pin::new(&mut open).poll(&mut Context::from_waker(Waker::noop()));
            // The connection may exist already. It is forgotten, too.
            forget((polled, open));
        }),
        ("connect", |driver, _, local| {
            let socket = ConnectionSocket::open(&driver.provider, Family::V4).unwrap();
            socket.bind(Family::V4.any()).unwrap();
            Box::leak(Box::new(socket.connect(local).start().unwrap())).cancel();
        }),
        ("resolve", |driver, _, _| {
            let _ = ManuallyDrop::new(driver.provider.resolve("127.0.0.1").start().unwrap());
        }),
        ("found", |driver, _, _| {
            forget(driver.provider.resolve("127.0.0.1").wait().unwrap());
        }),
        ("accept, never run", |_, listener, _| {
            forget(listener.accept());
        }),
        ("receive all", |driver, _, _| {
            let (client, server) = connection(&driver.provider).unwrap();
            let receive = server.receive_all(room()).start().unwrap();
            Box::leak(Box::new(receive)).cancel();
            client.close().unwrap();
            server.close().unwrap();
        }),
    ];
    for (name, abuse) in forgets {
        for kernel in kernels(7) {
            let driver = Driver::load().unwrap();
            let (listener, local) = listener(&driver.provider).unwrap();
            abuse(&driver, &listener, local);
            drop(listener);
            driver.socket.close().unwrap();
            drop(driver.provider);
            forget(driver.registration);
            let leaks = kernel.finish().unwrap_err();
            let captured = |entry: &String| entry.contains("1 captures of the provider");
            assert!(leaks.entries().iter().any(captured), "{name}: {leaks}");
        }
    }
}

/// Lists of datagrams and chains are forgotten, in flight or not.
#[test]
fn forget_messages_and_chains() {
    // For the list: its nodes, and a second buffer with its MDL. For each chain: a second buffer with its MDL.
    leaks(3, &[("nonpaged pool", 3), ("MDL", 2)], |driver, ledger| {
        let chain = || CountedChain::new([8, 8], 7, ledger).unwrap();
        forget(
            driver
                .socket
                .send_to(chain(), driver.address)
                .start()
                .unwrap(),
        );
        let receive = Box::new(driver.socket.receive_from(chain()).start().unwrap());
        Box::leak(receive).cancel();
        let messages = Messages::new([Either::Counted(buffer(ledger))]).unwrap();
        let sent = driver
            .socket
            .send_messages(messages, driver.address)
            .start();
        let _ = ManuallyDrop::new(sent.unwrap());
    });
}

/// Lookups are dropped in flight, half-polled and unwound. Their results are dropped in statics and on other threads.
#[test]
fn lookups_that_nobody_waits_for() {
    static PLACE: Mutex<Option<AddressInfo>> = Mutex::new(None);
    harmless(|driver, _| {
        let resolve = || -> InFlight<Resolving, Looking> {
            driver.provider.resolve("127.0.0.1").start().unwrap()
        };
        drop(resolve());
        at_irql(DISPATCH_LEVEL, || drop(PLACE.lock().unwrap().take()));
        let mut polled = resolve();
        let _ = Pin::new(&mut polled).poll(&mut Context::from_waker(Waker::noop()));
        at_irql(DISPATCH_LEVEL, || drop(polled));
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _found = resolve().wait().unwrap().unwrap();
            let _resolve = resolve();
            resume_unwind(Box::new("a bug of the driver's"));
        }));
        assert!(unwound.is_err());
        *PLACE.lock().unwrap() = Some(resolve().wait().unwrap().unwrap());
        let found = PLACE.lock().unwrap().take();
        std::thread::scope(|threads| {
            threads.spawn(|| at_irql(DISPATCH_LEVEL, || drop(found)));
        });
    });
}
