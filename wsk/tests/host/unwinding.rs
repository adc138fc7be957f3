//! Driver code that unwinds, where that is possible, leaves nothing in flight, held or locked. Each test ends by dropping the
//! registration, which would wait for anything that is held, and by checking for leaks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use wsk::operation::{Operations, PreparedPool};
use wsk::{Error, Extent, Lock, Messages, ReceiveBuffer, SendBuffer};
use wsk_host::Kernel;

use crate::setting::{
    Counted, MOMENT, PATIENCE, Setting, arrives, block_on, in_settings_of, seeded_kernels, until,
};

/// The state that the buffers of a test share.
#[derive(Default)]
struct Plan {
    /// How many more locks succeed. The one after them unwinds.
    locks: AtomicUsize,
    drops: Arc<AtomicUsize>,
}

/// A buffer whose lock unwinds when its plan says so: before or after it has locked its pages.
struct Unwinds {
    bytes: Pages,
    _counted: Counted,
    plan: Arc<Plan>,
    after: bool,
}

type Pages = [u8; 5];

impl Plan {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn buffer(self: &Arc<Self>, after: bool) -> Unwinds {
        Unwinds {
            bytes: *b"bytes",
            _counted: Counted::new(b"counted", &self.drops),
            plan: self.clone(),
            after,
        }
    }

    /// Lets `locks` locks succeed.
    fn lets(&self, locks: usize) {
        self.locks.store(locks, Ordering::SeqCst);
    }

    fn lock(&self) {
        let one_less = |locks: usize| locks.checked_sub(1);
        let order = Ordering::SeqCst;
        assert!(
            self.locks.fetch_update(order, order, one_less).is_ok(),
            "as told"
        );
    }
}

// SAFETY: the array keeps the promise.
unsafe impl SendBuffer for Unwinds {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        if !self.after {
            self.plan.lock();
        }
        // SAFETY: the caller's promise holds for the array.
        let extent = unsafe { SendBuffer::lock(&self.bytes, lock) };
        if self.after {
            self.plan.lock();
        }
        extent
    }
}

// SAFETY: as above.
unsafe impl ReceiveBuffer for Unwinds {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        if !self.after {
            self.plan.lock();
        }
        // SAFETY: the caller's promise holds for the array.
        let extent = unsafe { self.bytes.lock_mut(lock) };
        if self.after {
            self.plan.lock();
        }
        extent
    }
}

/// Runs code that unwinds. Afterwards nothing is locked, and what the operation carried has been dropped.
#[track_caller]
fn unwinds<T>(kernel: &Kernel, plan: &Plan, dropped: usize, body: impl FnOnce() -> T) {
    let before = plan.drops.load(Ordering::SeqCst);
    let unwound = catch_unwind(AssertUnwindSafe(|| drop(body())));
    assert!(unwound.is_err());
    assert_eq!(kernel.counts().locked_mdls, 0);
    assert_eq!(kernel.counts().in_flight, 0);
    assert_eq!(plan.drops.load(Ordering::SeqCst) - before, dropped);
}

#[test]
fn a_lock_that_unwinds_leaves_nothing_behind_in_any_finisher() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        for after in [false, true] {
            let plan = Plan::new();
            let operations = Operations::new(&s.provider, 1).unwrap();
            let send = || s.socket.send_to(plan.buffer(after), s.to);
            let receive = || s.socket.receive_from(plan.buffer(after));
            let held = Arc::new(());
            let kept = || {
                let held = held.clone();
                move |_| drop(held)
            };
            let unwinds = |body: &dyn Fn()| {
                unwinds(kernel, &plan, 1, body);
                assert_eq!(Arc::strong_count(&held), 1, "the closure is dropped, too");
                assert!(operations.is_idle());
            };
            unwinds(&|| _ = send().wait());
            unwinds(&|| _ = send().wait_timeout(PATIENCE));
            unwinds(&|| _ = send().start());
            unwinds(&|| _ = block_on(async { send().await }));
            unwinds(&|| _ = wsk::scope(|scope| drop(send().start_in(scope))));
            unwinds(&|| _ = send().start_with(kept()));
            unwinds(&|| _ = send().from(&operations).start());
            unwinds(&|| _ = block_on(async { send().from(&operations).await }));
            unwinds(&|| _ = send().from(&operations).start_with(kept()));
            unwinds(&|| _ = send().prepare());
            unwinds(&|| _ = receive().wait());
            unwinds(&|| _ = receive().wait_timeout(PATIENCE));
            unwinds(&|| _ = receive().start());
            unwinds(&|| _ = block_on(async { receive().await }));
            unwinds(&|| _ = wsk::scope(|scope| drop(receive().start_in(scope))));
            unwinds(&|| _ = receive().start_with(drop));
            unwinds(&|| _ = receive().from(&operations).start());
            unwinds(&|| _ = receive().prepare());
            // Everything still works afterwards.
            plan.lets(2);
            assert_eq!(send().wait(), Ok(5));
            arrives(&s.peer, b"bytes");
            assert_eq!(
                send()
                    .from(&operations)
                    .start()
                    .unwrap()
                    .wait()
                    .unwrap()
                    .result,
                Ok(5)
            );
            arrives(&s.peer, b"bytes");
        }
    });
}

#[test]
fn a_prepared_operation_whose_lock_unwinds_is_as_it_was_or_gone() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        for after in [false, true] {
            let plan = Plan::new();
            let changed = || {
                plan.lets(1);
                let request = s.socket.send_to(plan.buffer(after), s.to);
                let mut sender = request.prepare().unwrap();
                sender.buffer_mut().unwrap();
                sender
            };
            // A borrowed operation is unchanged, and runs when its buffer can be locked.
            let mut sender = changed();
            unwinds(kernel, &plan, 0, || sender.wait());
            unwinds(kernel, &plan, 0, || sender.wait_timeout(PATIENCE));
            unwinds(kernel, &plan, 0, || sender.set_remote_address(s.to));
            plan.lets(1);
            assert_eq!(sender.wait(), Ok(5));
            arrives(&s.peer, b"bytes");
            // An operation that was moved in is dropped.
            sender.buffer_mut().unwrap();
            unwinds(kernel, &plan, 1, || sender.start());
            let sender = changed();
            let held = Arc::new(());
            let told = held.clone();
            unwinds(kernel, &plan, 1, || sender.start_with(move |_| drop(told)));
            assert_eq!(Arc::strong_count(&held), 1);

            // If one of several unwinds, those already made are dropped, too. An operation of a pool returns.
            plan.lets(2);
            unwinds(kernel, &plan, 3, || {
                PreparedPool::new(4, |_| Ok(s.socket.send_to(plan.buffer(after), s.to)))
            });
            plan.lets(2);
            let pool = PreparedPool::new(2, |_| Ok(s.socket.send_to(plan.buffer(after), s.to)));
            let pool = pool.unwrap();
            let mut sender = pool.take().unwrap();
            sender.buffer_mut().unwrap();
            let unwound = catch_unwind(AssertUnwindSafe(|| drop(sender.start())));
            assert!(unwound.is_err());
            assert_eq!(pool.wait_until_idle_timeout(MOMENT), Ok(true));
            drop(pool);
            assert_eq!(kernel.counts().locked_mdls, 0);
        }
    });
}

#[test]
fn a_list_whose_lock_unwinds_leaves_nothing_behind_in_any_finisher() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let plan = Plan::new();
        let operations = Operations::new(&s.provider, 1).unwrap();
        // The last of three is locked first. Two succeed, and the third unwinds.
        let send = || {
            plan.lets(2);
            let list = Messages::new([false, true, false].map(|after| plan.buffer(after)));
            s.socket.send_messages(list.unwrap(), s.to)
        };
        let unwinds = |body: &dyn Fn()| {
            unwinds(kernel, &plan, 3, body);
            assert!(operations.is_idle());
        };
        unwinds(&|| _ = send().wait());
        unwinds(&|| _ = send().wait_timeout(PATIENCE));
        unwinds(&|| _ = send().start());
        unwinds(&|| _ = block_on(async { send().await }));
        unwinds(&|| _ = wsk::scope(|scope| drop(send().start_in(scope))));
        unwinds(&|| _ = send().start_with(drop));
        unwinds(&|| _ = send().from(&operations).start());
        unwinds(&|| _ = send().from(&operations).start_with(drop));
        unwinds(&|| _ = send().prepare());
    });
}

/// A buffer whose drop unwinds.
struct UnwindsWhenDropped(Counted);

impl Drop for UnwindsWhenDropped {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "as told");
    }
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for UnwindsWhenDropped {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller's promise holds for the buffer inside.
        unsafe { self.0.lock(lock) }
    }
}

#[test]
fn a_buffer_whose_drop_unwinds_leaves_nothing_behind() {
    in_settings_of(seeded_kernels(), |kernel, s: &Setting| {
        let drops = Arc::new(AtomicUsize::new(0));
        let operations = Operations::new(&s.provider, 1).unwrap();
        let send = || {
            let buffer = UnwindsWhenDropped(Counted::new(b"bytes", &drops));
            s.socket.send_to(buffer, s.to)
        };
        let unwinds = |body: &dyn Fn()| {
            let before = drops.load(Ordering::SeqCst);
            assert!(catch_unwind(AssertUnwindSafe(body)).is_err());
            arrives(&s.peer, b"bytes");
            assert_eq!(drops.load(Ordering::SeqCst), before + 1);
            assert_eq!(kernel.counts().in_flight, 0);
            assert_eq!(operations.wait_until_idle_timeout(PATIENCE), Ok(true));
        };
        unwinds(&|| _ = send().wait());
        unwinds(&|| _ = send().start().unwrap().wait());
        unwinds(&|| _ = send().from(&operations).start().unwrap().wait());
        unwinds(&|| {
            // Dropped with the handle, after the completion.
            let started = send().from(&operations).start().unwrap();
            until("the end", || started.is_completed());
            drop(started);
        });
        unwinds(&|| {
            let started = send().start().unwrap();
            until("the end", || started.is_completed());
            drop(started);
        });
        unwinds(&|| {
            // Dropped by the scope.
            let _ = wsk::scope(|scope| drop(send().start_in(scope).unwrap()));
        });
        unwinds(&|| {
            let mut prepared = send().prepare().unwrap();
            let _ = prepared.wait();
            drop(prepared);
        });
        // In a list, whose other buffers are dropped, too, and in a pool.
        unwinds(&|| {
            let once = Mutex::new(Some(UnwindsWhenDropped(Counted::new(b"bytes", &drops))));
            let list = Messages::new([None, once.lock().unwrap().take()].map(Maybe)).unwrap();
            assert_eq!(list.len(), 2);
            assert_eq!(s.socket.send_to(b"bytes", s.to).wait(), Ok(5));
            drop(list);
        });
        unwinds(&|| {
            let mut once = Some(UnwindsWhenDropped(Counted::new(b"bytes", &drops)));
            let pool = PreparedPool::new(3, |_| Ok(s.socket.send_to(Maybe(once.take()), s.to)));
            let pool = pool.unwrap();
            assert_eq!(pool.take().unwrap().wait().map(drop), Ok(()));
            drop(pool);
        });
    });
}

/// A buffer whose drop unwinds, or an empty one.
struct Maybe(Option<UnwindsWhenDropped>);

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Maybe {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller's promise holds for the buffer inside.
        unsafe {
            match &self.0 {
                Some(buffer) => buffer.lock(lock),
                None => SendBuffer::lock(b"bytes", lock),
            }
        }
    }
}

/// A buffer whose owner unwinds when it receives control information.
struct UnwindsWhenTold {
    bytes: Pages,
    _counted: Counted,
}

// SAFETY: the array keeps the promise.
unsafe impl ReceiveBuffer for UnwindsWhenTold {
    const CONTROL_ROOM: usize = 64;

    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller's promise holds for the array.
        unsafe { self.bytes.lock_mut(lock) }
    }

    fn set_control(&mut self, _: &[u8]) {
        panic!("as told");
    }
}

#[test]
fn a_buffer_that_unwinds_when_it_is_given_control_information_leaves_nothing_behind() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let plan = Plan::new();
        let operations = Operations::new(&s.provider, 1).unwrap();
        let receive = || {
            s.hears(b"bytes");
            s.socket.receive_from(UnwindsWhenTold {
                bytes: [0; 5],
                _counted: Counted::new(b"counted", &plan.drops),
            })
        };
        let unwinds = |body: &dyn Fn()| {
            unwinds(kernel, &plan, 1, body);
            assert!(operations.is_idle());
        };
        unwinds(&|| _ = receive().wait());
        unwinds(&|| _ = receive().wait_timeout(PATIENCE));
        unwinds(&|| _ = receive().start().unwrap().wait());
        unwinds(&|| _ = receive().start().unwrap().wait_timeout(PATIENCE));
        unwinds(&|| _ = block_on(async { receive().await }));
        unwinds(&|| _ = receive().from(&operations).start().unwrap().wait());
        unwinds(&|| _ = wsk::scope(|scope| _ = receive().start_in(scope).unwrap().wait()));
    });
}
