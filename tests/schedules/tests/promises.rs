//! What pools and scopes promise, even if a driver's code does its worst in the middle of an operation: memory is freed once,
//! after its last use, and everything that was taken returns.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use wsk::operation::{Operations, PreparedPool, Scope, Scoped};
use wsk::request::SendingTo;
use wsk::{
    BufferPool, DatagramSocket, Error, Extent, Lock, NonPagedBuffer, ReceiveBuffer, SendBuffer,
};
use wsk_schedules::{Counted, Driver, Ledger, bound, kernels, until};

/// Runs `body` on a kernel for each completion policy. Nothing may be left behind.
fn on_each_kernel(body: impl Fn(&Driver, &Arc<Ledger>)) {
    for kernel in kernels(5) {
        let driver = Driver::load().unwrap();
        let ledger = Ledger::new();
        body(&driver, &ledger);
        drop(driver);
        ledger.settle(0);
        kernel.shutdown();
    }
}

fn buffer(ledger: &Arc<Ledger>) -> Counted {
    Counted::new(16, 7, ledger).unwrap()
}

/// The operations return one after the other to a pool without handles. The last one frees its memory.
#[test]
fn pools_go_with_the_last_of_many_operations() {
    on_each_kernel(|driver, ledger| {
        let operations = Operations::<Counted>::new(&driver.provider, 4).unwrap();
        let receives = [(); 4].map(|()| {
            let request = driver.socket.receive_from(buffer(ledger));
            request.from(&operations).start().unwrap()
        });
        drop(operations);
        drop(receives);
    });
    on_each_kernel(|driver, _| {
        let prepare = |_| Ok(driver.socket.receive_from(NonPagedBuffer::new(16)?));
        let receivers = PreparedPool::new(4, prepare).unwrap();
        let started = [(); 4].map(|()| receivers.take().unwrap().start().unwrap());
        drop(receivers);
        drop(started);
    });
    on_each_kernel(|_, ledger| {
        let buffers = BufferPool::new(4, |_| Ok(buffer(ledger))).unwrap();
        let taken = [(); 4].map(|()| buffers.take().unwrap());
        drop(buffers);
        drop(taken);
    });
}

/// A buffer that runs code when it is dropped.
struct Last<F: FnMut()> {
    bytes: NonPagedBuffer,
    at_last: F,
}

impl<F: FnMut()> Last<F> {
    fn new(at_last: F) -> Self {
        let bytes = NonPagedBuffer::copy_of(&[7; 16]).unwrap();
        Self { bytes, at_last }
    }
}

impl<F: FnMut()> Drop for Last<F> {
    fn drop(&mut self) {
        (self.at_last)();
    }
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl<F: FnMut()> SendBuffer for Last<F> {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.bytes.lock(lock) }
    }
}

// SAFETY: as above.
unsafe impl<F: FnMut()> ReceiveBuffer for Last<F> {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.bytes.lock_mut(lock) }
    }
}

/// A value that the end of the scope drops starts another operation in the scope. Nothing is in flight when the scope is over.
#[test]
fn what_a_scope_drops_starts_nothing_in_it() {
    fn more<'scope>(driver: &'scope Driver, s: &'scope Scope<'scope, '_>, room: &'scope mut [u8]) {
        let refused = driver.socket.receive_from(room).start_in(s).err();
        assert_eq!(refused, Some(Error::ScopeEnded));
    }
    on_each_kernel(|driver, _| {
        let mut room = [0; 16];
        wsk::scope(|s| {
            let mut room = Some(&mut room);
            let last = Last::new(move || {
                if let Some(room) = room.take() {
                    more(driver, s, room);
                }
            });
            drop(driver.socket.send_to(last, driver.address).start_in(s));
        })
        .unwrap();
        room.fill(9);
    });
}

/// A value that the end of the scope drops has the handle of another operation of the scope, which has already ended.
#[test]
fn what_a_scope_drops_uses_handles_of_it() {
    type Handle<'scope, 'b> = Scoped<'scope, SendingTo, &'b [u8; 16]>;
    on_each_kernel(|driver, _| {
        for what in 0..4 {
            let message = [3; 16];
            wsk::scope(|s| {
                let place = Rc::new(RefCell::new(None::<Handle<'_, '_>>));
                let used = place.clone();
                let last = Last::new(move || {
                    let handle = used.borrow_mut().take().unwrap();
                    match what {
                        0 => assert!(handle.is_completed()),
                        1 => handle.cancel(),
                        2 => assert_eq!(handle.wait().err(), Some(Error::Taken)),
                        _ => {
                            let taken = handle.try_take().unwrap();
                            assert_eq!(taken.err(), Some(Error::Taken));
                        }
                    }
                });
                drop(
                    driver
                        .socket
                        .send_to(last, driver.address)
                        .start_in(s)
                        .unwrap(),
                );
                let other = driver.socket.send_to(&message, driver.address).start_in(s);
                *place.borrow_mut() = Some(other.unwrap());
            })
            .unwrap();
        }
    });
}

/// A value that the scope drops unwinds. Everything else is freed nevertheless.
#[test]
fn what_a_scope_drops_unwinds() {
    on_each_kernel(|driver, ledger| {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            wsk::scope(|s| {
                let send = |buffer| driver.socket.send_to(buffer, driver.address).start_in(s);
                drop(send(buffer(ledger)).unwrap());
                let last = Last::new(|| resume_unwind(Box::new("a bug of the driver's")));
                drop(
                    driver
                        .socket
                        .send_to(last, driver.address)
                        .start_in(s)
                        .unwrap(),
                );
                drop(send(buffer(ledger)).unwrap());
            })
        }));
        assert!(unwound.is_err());
    });
}

/// A waker that others may have, too.
#[derive(Default)]
struct Noted(AtomicBool);

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// When an operation was polled and is then waited for, its waker is dropped with it.
#[test]
fn wakers_go_with_an_operation_that_is_waited_for() {
    on_each_kernel(|driver, ledger| {
        let noted = Arc::new(Noted::default());
        let waker = Waker::from(noted.clone());
        let mut context = Context::from_waker(&waker);
        let mut receive = driver.socket.receive_from(buffer(ledger)).start().unwrap();
        assert!(Pin::new(&mut receive).poll(&mut context).is_pending());
        let limit = Duration::from_millis(1);
        let Err((Error::TimedOut { .. }, receive)) = receive.wait_timeout(limit) else {
            panic!("no datagram was sent");
        };
        receive.cancel();
        assert!(receive.wait().unwrap().result.is_err());

        let room = NonPagedBuffer::new(16).unwrap();
        let prepared = driver.socket.receive_from(room).prepare().unwrap();
        let mut started = prepared.start().unwrap();
        assert!(Pin::new(&mut started).poll(&mut context).is_pending());
        started.cancel();
        let ended = started.wait().unwrap();
        drop(waker);
        assert_eq!(
            Arc::strong_count(&noted),
            1,
            "nobody else may have the waker"
        );
        drop(ended);
    });
}

/// A waker whose clone completes the very request that it waits for: the completion is not missed, and no clone is left.
#[test]
fn operations_complete_while_their_waker_is_cloned() {
    use std::task::{RawWaker, RawWakerVTable};
    struct Completes {
        driver: *const Driver,
        clones: std::sync::atomic::AtomicIsize,
    }
    fn table() -> &'static RawWakerVTable {
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |data| {
                // SAFETY: the test keeps both for longer than any waker.
                let this = unsafe { &*data.cast::<Completes>() };
                // SAFETY: as above.
                let driver = unsafe { &*this.driver };
                this.clones.fetch_add(1, Ordering::SeqCst);
                let sent = driver.socket.send_to(&[1; 4], driver.address).wait();
                assert_eq!(sent, Ok(4));
                std::thread::sleep(Duration::from_millis(20));
                RawWaker::new(data, table())
            },
            |data| {
                // SAFETY: as above.
                unsafe { &*data.cast::<Completes>() }
                    .clones
                    .fetch_sub(1, Ordering::SeqCst);
            },
            |_| {},
            |data| {
                // SAFETY: as above.
                unsafe { &*data.cast::<Completes>() }
                    .clones
                    .fetch_sub(1, Ordering::SeqCst);
            },
        );
        &TABLE
    }
    on_each_kernel(|driver, ledger| {
        let completes = Completes {
            driver,
            clones: 1.into(),
        };
        // SAFETY: the data outlives the waker, and the functions count.
        let waker =
            unsafe { Waker::from_raw(RawWaker::new((&raw const completes).cast(), table())) };
        let mut context = Context::from_waker(&waker);
        let mut receive = driver.socket.receive_from(buffer(ledger)).start().unwrap();
        let polled = Pin::new(&mut receive).poll(&mut context);
        let finished = match polled {
            std::task::Poll::Ready(finished) => finished,
            std::task::Poll::Pending => receive.wait().unwrap(),
        };
        assert_eq!(finished.result.unwrap().length(), 4);
        drop(waker);
        assert_eq!(completes.clones.load(Ordering::SeqCst), 0);
    });
}

/// A buffer whose lock may unwind.
struct Moody {
    bytes: Counted,
    unwinds: bool,
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Moody {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        if self.unwinds {
            resume_unwind(Box::new("a bug of the driver's"));
        }
        // SAFETY: the caller keeps the same contract.
        unsafe { self.bytes.lock(lock) }
    }
}

/// A buffer that unwinds when it is locked leaves nothing behind, whatever the finisher.
#[test]
fn locks_that_unwind_leave_nothing() {
    on_each_kernel(|driver, ledger| {
        let operations = Operations::new(&driver.provider, 1).unwrap();
        let moody = |unwinds| Moody {
            bytes: buffer(ledger),
            unwinds,
        };
        for way in 0..12 {
            let (socket, to) = (&driver.socket, driver.address);
            let request = socket.send_to(moody(true), to);
            let prepared = || {
                let mut prepared = socket.send_to(moody(false), to).prepare().unwrap();
                prepared.buffer_mut().unwrap().unwinds = true;
                prepared
            };
            let unwound = catch_unwind(AssertUnwindSafe(|| match way {
                0 => drop(request.wait()),
                1 => drop(request.wait_timeout(Duration::from_secs(1))),
                2 => drop(request.start()),
                3 => drop(request.start_with(drop)),
                4 => drop(request.from(&operations).start()),
                5 => drop(request.from(&operations).start_with(drop)),
                6 => drop(request.prepare()),
                7 => drop(wsk::scope(|s| drop(request.start_in(s)))),
                8 => drop(prepared().wait()),
                9 => drop(prepared().start()),
                10 => drop(prepared().start_with(drop)),
                _ => drop(PreparedPool::new(2, |number| {
                    Ok(socket.send_to(moody(number == 1), to))
                })),
            }));
            assert!(unwound.is_err(), "way {way}");
            assert!(operations.is_idle(), "way {way}");
            ledger.settle(0);
        }
    });
}

/// A waker that unwinds when it is dropped, in the middle of a wait.
#[test]
fn wakers_that_unwind_when_dropped_leave_nothing() {
    use std::task::{RawWaker, RawWakerVTable};
    fn same(data: *const ()) -> RawWaker {
        RawWaker::new(data, &TABLE)
    }
    fn nothing(_: *const ()) {}
    fn unwind(_: *const ()) {
        resume_unwind(Box::new("a bug of the driver's"))
    }
    static TABLE: RawWakerVTable = RawWakerVTable::new(same, nothing, nothing, unwind);
    fn polled<F: Future + Unpin>(future: &mut F) {
        // SAFETY: the table's functions use no data.
        let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) };
        let waker = std::mem::ManuallyDrop::new(waker);
        let polled = Pin::new(future).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    on_each_kernel(|driver, ledger| {
        let operations = Operations::new(&driver.provider, 1).unwrap();
        for way in 0..5 {
            let request = driver.socket.receive_from(buffer(ledger));
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                if way == 4 {
                    let mut receive = request.prepare().unwrap().start().unwrap();
                    polled(&mut receive);
                    receive.cancel();
                    drop(receive.wait());
                    return;
                }
                let mut receive = if way % 2 == 0 {
                    request.start().unwrap()
                } else {
                    request.from(&operations).start().unwrap()
                };
                polled(&mut receive);
                if way < 2 {
                    receive.cancel();
                    drop(receive.wait());
                } else {
                    drop(receive);
                }
            }));
            // If the completion was quicker, the waker was woken instead.
            drop(unwound);
            until("the end of the operation", || operations.is_idle());
            ledger.settle(0);
        }
    });
}

/// A closure has the last handles of its operation's pool and of the socket.
#[test]
fn completions_that_drop_the_last_of_everything() {
    on_each_kernel(|driver, ledger| {
        for depth in [1, 3] {
            let (socket, _) = bound(&driver.provider).unwrap();
            let operations = Operations::new(&driver.provider, depth).unwrap();
            let (own, pool) = (socket.clone(), operations.clone());
            let send = socket.send_to(buffer(ledger), driver.address);
            send.from(&pool)
                .start_with(move |finished| {
                    assert_eq!(finished.result, Ok(16));
                    drop((operations, own));
                })
                .unwrap();
            drop((pool, socket));
            ledger.settle(0);

            let (socket, _) = bound(&driver.provider).unwrap();
            let request = |_| Ok(socket.send_to(buffer(ledger), driver.address));
            let senders = PreparedPool::new(depth, request).unwrap();
            let sender = senders.take().unwrap();
            drop(socket);
            sender
                .start_with(move |ended| {
                    assert_eq!(ended.result(), Ok(16));
                    drop(senders);
                    drop(ended);
                })
                .unwrap();
            ledger.settle(0);
        }
    });
}

/// Each completion starts the next operation with what it received. Another thread waits until they are over.
#[test]
fn completions_that_start_the_next() {
    /// The destination: a closure has no room for it.
    static TO: Mutex<Option<SocketAddr>> = Mutex::new(None);
    fn next(socket: &DatagramSocket, operations: &Operations<Counted>, buffer: Counted) {
        let (own, pool) = (socket.clone(), operations.clone());
        let to = TO.lock().unwrap().unwrap();
        let send = socket.send_to(buffer, to).from(operations);
        send.start_with(move |finished| {
            assert_eq!(finished.result, Ok(16));
            let mut buffer = finished.buffer.unwrap();
            let left = buffer.bytes()[0];
            if left > 0 {
                buffer.bytes_mut().fill(left - 1);
                next(&own, &pool, buffer);
            }
        })
        .unwrap();
    }
    on_each_kernel(|driver, ledger| {
        *TO.lock().unwrap() = Some(driver.address);
        // Operations whose closures run inside each other are not back yet.
        let operations = Operations::new(&driver.provider, 60).unwrap();
        let mut first = buffer(ledger);
        first.bytes_mut().fill(50);
        next(&driver.socket, &operations, first);
        ledger.settle(0);
        operations.wait_until_idle().unwrap();
    });
}
