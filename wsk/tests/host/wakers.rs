//! Wakers of operations: which one is woken, and when. The operation keeps no waker, and leaves none behind when a waker's code
//! unwinds.

use std::future::Future;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::{Duration, Instant};

use wsk::{Call, Cancel, Error, NonPagedBuffer};
use wsk_host::{Completion, Deviation, Kernel, Resource};
use wsk_sys::STATUS_NOT_IMPLEMENTED;

use crate::connection;
use crate::setting::{
    Counted, FAST, MOMENT, PATIENCE, Setting, Wakes, in_each_setting, in_settings_of, kernels_at,
    until,
};

fn buffer(length: usize) -> NonPagedBuffer {
    NonPagedBuffer::new(length).unwrap()
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Sends a datagram after this thread has begun to wait.
fn hears_soon<'t>(s: &'t Setting, threads: &'t std::thread::Scope<'t, '_>) {
    threads.spawn(|| {
        std::thread::sleep(MOMENT);
        s.hears(b"soon");
    });
}

#[test]
fn a_timeout_leaves_the_waker_of_an_earlier_poll_where_it_is() {
    in_each_setting(|_, s| {
        let (count, waker) = Wakes::new();
        let mut receive = s.socket.receive_from(buffer(8)).start().unwrap();
        assert!(poll(&mut receive, &waker).is_pending());
        let (error, mut receive) = receive.wait_timeout(MOMENT).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }));
        s.hears(b"wake");
        until("the wake", || count.get() == 1);
        let Poll::Ready(finished) = poll(&mut receive, &waker) else {
            panic!("woken, but not ready")
        };
        assert_eq!(finished.result.unwrap().length(), 4);

        let receiver = s.socket.receive_from(buffer(8)).prepare().unwrap();
        let mut receiving = receiver.start().unwrap();
        assert!(poll(&mut receiving, &waker).is_pending());
        for _ in 0..3 {
            (_, receiving) = receiving.wait_timeout(MOMENT / 10).unwrap_err();
        }
        s.hears(b"again");
        until("the wake", || count.get() == 2);
        assert_eq!(receiving.wait().unwrap().result().unwrap().length(), 5);
    });
}

/// A wait that has gone on with the operation has waited for the IRP that was polled. The later IRPs do not know the waker.
#[test]
fn a_timeout_after_a_piece_wakes_who_has_polled_before() {
    for policy in [Completion::Inline, Completion::Deferred, Completion::Seeded] {
        let kernel = Kernel::builder()
            .completion(policy)
            .deviation(Deviation::ShortReceives(NonZeroUsize::new(3).unwrap()))
            .boot();
        let s = connection::Setting::new();
        let (socket, peer) = s.connection();
        let cancel = Cancel::new().unwrap();
        for by_time in [false, true] {
            let (count, waker) = Wakes::new();
            // A piece arrives while a thread waits, and then the wait ends.
            let piece = || {
                let mut peer = peer.try_clone().unwrap();
                let cancel = cancel.clone();
                std::thread::spawn(move || {
                    std::thread::sleep(MOMENT);
                    peer.write_all(b"abc").unwrap();
                    std::thread::sleep(MOMENT);
                    if !by_time {
                        cancel.cancel();
                    }
                })
            };

            let mut receive = socket.receive_all(buffer(6)).start().unwrap();
            assert!(poll(&mut receive, &waker).is_pending());
            let pieces = piece();
            (_, receive) = if by_time {
                receive.wait_timeout(MOMENT * 3).unwrap_err()
            } else {
                receive.wait_until(&cancel).unwrap_err()
            };
            pieces.join().unwrap();
            (&peer).write_all(b"def").unwrap();
            until("the wake", || count.get() > 0);
            assert_eq!(receive.wait().unwrap().result, Ok(6));
            assert_eq!(Arc::strong_count(&count), 2);

            cancel.reset();
            let (count, waker) = Wakes::new();
            let prepared = socket.receive_all(buffer(6)).prepare().unwrap();
            let mut started = prepared.start().unwrap();
            assert!(poll(&mut started, &waker).is_pending());
            let pieces = piece();
            (_, started) = if by_time {
                started.wait_timeout(MOMENT * 3).unwrap_err()
            } else {
                started.wait_until(&cancel).unwrap_err()
            };
            pieces.join().unwrap();
            (&peer).write_all(b"def").unwrap();
            until("the wake", || count.get() > 0);
            let ended = started.wait().unwrap();
            assert_eq!(ended.result().unwrap().bytes(), b"abcdef");
            assert_eq!(Arc::strong_count(&count), 2);
            cancel.reset();
        }
        drop((socket, s, cancel));
        kernel.shutdown();
    }
}

#[test]
fn a_waker_is_let_go_of_by_what_is_waited_for() {
    in_each_setting(|_, s| {
        for started in 0..3 {
            let (count, waker) = Wakes::new();
            let receive = s.socket.receive_from(buffer(8));
            std::thread::scope(|threads| {
                if started == 2 {
                    let mut receiving = receive.prepare().unwrap().start().unwrap();
                    assert!(poll(&mut receiving, &waker).is_pending());
                    hears_soon(s, threads);
                    let ended = receiving.wait().unwrap();
                    assert_eq!(ended.result().unwrap().length(), 4);
                    assert_eq!(
                        Arc::strong_count(&count),
                        2,
                        "the operation keeps one clone"
                    );
                } else {
                    let mut receive = receive.start().unwrap();
                    assert!(poll(&mut receive, &waker).is_pending());
                    hears_soon(s, threads);
                    let finished = if started == 0 {
                        receive.wait().unwrap()
                    } else {
                        receive.wait_timeout(PATIENCE).unwrap()
                    };
                    assert_eq!(finished.result.unwrap().length(), 4);
                }
            });
            // The two of this test.
            assert_eq!(Arc::strong_count(&count), 2);
            assert_eq!(count.get(), 0, "only the waiting thread must be woken");
        }
    });
}

/// A waker whose clone or drop unwinds once, when the test says so.
struct Unwinding {
    in_clone: AtomicBool,
    in_drop: AtomicBool,
    clones: AtomicUsize,
}

impl Unwinding {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            in_clone: AtomicBool::new(false),
            in_drop: AtomicBool::new(false),
            clones: AtomicUsize::new(0),
        })
    }

    fn waker(self: &Arc<Self>) -> Waker {
        self.clones.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the functions keep the contract of wakers over an `Arc`.
        unsafe { Waker::from_raw(RawWaker::new(Arc::into_raw(self.clone()).cast(), &VTABLE)) }
    }

    /// The number of clones of its waker.
    fn live(&self) -> usize {
        self.clones.load(Ordering::SeqCst)
    }
}

const VTABLE: RawWakerVTable = {
    unsafe fn clone(data: *const ()) -> RawWaker {
        // SAFETY: the pointer is that of an `Arc`, which the waker keeps.
        unsafe {
            let this = &*data.cast::<Unwinding>();
            assert!(!this.in_clone.swap(false, Ordering::SeqCst), "as told");
            this.clones.fetch_add(1, Ordering::SeqCst);
            Arc::increment_strong_count(data.cast::<Unwinding>());
        }
        RawWaker::new(data, &VTABLE)
    }
    unsafe fn wake(data: *const ()) {
        // SAFETY: the waker gives up its `Arc`.
        let this = unsafe { Arc::from_raw(data.cast::<Unwinding>()) };
        this.clones.fetch_sub(1, Ordering::SeqCst);
    }
    unsafe fn wake_by_ref(_: *const ()) {}
    unsafe fn drop_it(data: *const ()) {
        // SAFETY: the waker gives up its `Arc`.
        let this = unsafe { Arc::from_raw(data.cast::<Unwinding>()) };
        this.clones.fetch_sub(1, Ordering::SeqCst);
        assert!(!this.in_drop.swap(false, Ordering::SeqCst), "as told");
    }
    RawWakerVTable::new(clone, wake, wake_by_ref, drop_it)
};

#[test]
fn a_clone_that_unwinds_leaves_the_earlier_waker_announced() {
    in_each_setting(|_, s| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (count, earlier) = Wakes::new();
        let receive = s.socket.receive_from(Counted::new(&[0; 8], &drops));
        let mut receive = receive.start().unwrap();
        assert!(poll(&mut receive, &earlier).is_pending());
        let unwinding = Unwinding::new();
        let waker = unwinding.waker();
        unwinding.in_clone.store(true, Ordering::SeqCst);
        let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut receive, &waker).is_pending()));
        assert!(polled.is_err());
        s.hears(b"wake");
        until("the wake", || count.get() == 1);
        let finished = receive.wait().unwrap();
        assert_eq!(finished.result.unwrap().length(), 4);
        drop((finished.buffer, waker));
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        assert_eq!((unwinding.live(), Arc::strong_count(&count)), (0, 2));

        // The same for the first waker.
        let waker = unwinding.waker();
        unwinding.in_clone.store(true, Ordering::SeqCst);
        let receive = s.socket.receive_from(Counted::new(&[0; 8], &drops));
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let mut receive = receive.start().unwrap();
            poll(&mut receive, &waker).is_pending()
        }));
        assert!(unwound.is_err());
        until("the drop", || drops.load(Ordering::SeqCst) == 2);
    });
}

#[test]
fn a_waker_whose_drop_unwinds_leaves_nothing_behind() {
    // The actions that release the waker.
    let ends = [
        "drop",
        "replaced",
        "wait",
        "timeout",
        "prepared drop",
        "prepared wait",
        "prepared replaced",
        "dropped send",
    ];
    for end in ends {
        in_each_setting(|_, s| {
            let unwinding = Unwinding::new();
            let waker = unwinding.waker();
            let drops = Arc::new(AtomicUsize::new(0));
            let counted = || Counted::new(&[0; 8], &drops);
            let other = Waker::noop();
            let tell = || unwinding.in_drop.store(true, Ordering::SeqCst);
            std::thread::scope(|threads| {
                let unwound = catch_unwind(AssertUnwindSafe(|| match end {
                    "prepared drop" | "prepared wait" | "prepared replaced" => {
                        let receiver = s.socket.receive_from(counted()).prepare().unwrap();
                        let mut receiving = receiver.start().unwrap();
                        assert!(poll(&mut receiving, &waker).is_pending());
                        tell();
                        match end {
                            "prepared drop" => drop(receiving),
                            "prepared replaced" => drop(poll(&mut receiving, other).is_pending()),
                            _ => {
                                hears_soon(s, threads);
                                drop(receiving.wait());
                            }
                        }
                    }
                    "dropped send" => {
                        let mut send = s.socket.send_to(counted(), s.to).start().unwrap();
                        if poll(&mut send, &waker).is_pending() {
                            tell();
                        }
                        drop(send);
                    }
                    _ => {
                        let mut receive = s.socket.receive_from(counted()).start().unwrap();
                        assert!(poll(&mut receive, &waker).is_pending());
                        tell();
                        match end {
                            "drop" => drop(receive),
                            "replaced" => drop(poll(&mut receive, other).is_pending()),
                            "wait" => {
                                hears_soon(s, threads);
                                drop(receive.wait());
                            }
                            _ => {
                                hears_soon(s, threads);
                                drop(receive.wait_timeout(PATIENCE));
                            }
                        }
                    }
                }));
                assert!(unwound.is_err() || end == "dropped send", "{end}");
            });
            unwinding.in_drop.store(false, Ordering::SeqCst);
            drop(waker);
            until("the drop of the buffer", || {
                drops.load(Ordering::SeqCst) == 1
            });
            until("the wakers", || unwinding.live() == 0);
        });
    }
}

/// Polls like an executor that runs at this IRQL: only when woken. Returns the number of polls.
fn polls_at<F: Future>(irql: u8, future: F) -> (F::Output, usize) {
    let mut future = pin!(future);
    let (count, waker) = Wakes::new();
    let deadline = Instant::now() + PATIENCE;
    for polls in 1.. {
        let mut context = Context::from_waker(&waker);
        let polled = wsk_host::at_irql(irql, || future.as_mut().poll(&mut context));
        if let Poll::Ready(output) = polled {
            return (output, polls);
        }
        while count.get() < polls {
            assert!(Instant::now() < deadline, "never woken again");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    unreachable!()
}

#[test]
fn a_future_at_dispatch_level_is_told_that_its_operation_was_abandoned() {
    in_settings_of(kernels_at(FAST), |kernel, s| {
        for irql in [2, 0] {
            let abandoned = Error::Abandoned {
                call: Call::WskSendTo,
                status: STATUS_NOT_IMPLEMENTED,
            };
            kernel.fail_nth(Resource::Completion, 1);
            let send = s.socket.send_to(buffer(4), s.to).start().unwrap();
            let (finished, polls) = polls_at(irql, send);
            assert_eq!(finished.result.unwrap_err(), abandoned);
            assert!(finished.buffer.is_none());
            assert!(
                polls <= 4,
                "{polls} polls: it must be woken only when something has changed"
            );

            kernel.fail_nth(Resource::Completion, 1);
            let sender = s.socket.send_to(buffer(4), s.to).prepare().unwrap();
            let (ended, polls) = polls_at(irql, sender.start().unwrap());
            assert_eq!(ended.result().unwrap_err(), abandoned);
            assert!(ended.into_operation().is_none());
            assert!(
                polls <= 4,
                "{polls} polls: it must be woken only when something has changed"
            );
            assert_eq!(kernel.complete_withheld(), 2);
        }
    });
}
