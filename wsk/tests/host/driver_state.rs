//! The state that a driver keeps in a static while it is loaded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use wsk::{DatagramSocket, DriverState, Error, Family, Registration, Wait};
use wsk_host::{DISPATCH_LEVEL, Kernel, at_irql};

#[test]
fn one_state_at_a_time() {
    let kernel = Kernel::boot();
    let state = DriverState::new();
    assert!(state.get().is_none());
    assert_eq!(state.take(), Ok(None));
    assert_eq!(state.put(1), Ok(()));
    assert_eq!(state.put(2), Err(2));
    assert_eq!(state.with(|state| *state), Some(1));
    assert_eq!(state.take(), Ok(Some(1)));
    assert_eq!(state.with(|state| *state), None);
    assert_eq!(state.put(3), Ok(()));
    assert_eq!(state.take(), Ok(Some(3)));
    kernel.shutdown();
}

#[test]
fn it_is_used_at_dispatch_level_and_taken_at_passive_level() {
    let kernel = Kernel::boot();
    let state = DriverState::new();
    state.put(1).unwrap();
    at_irql(DISPATCH_LEVEL, || {
        let (one, other) = (state.get().unwrap(), state.get().unwrap());
        assert_eq!((*one, *other), (1, 1));
        let wrong = Error::WrongIrql {
            current: DISPATCH_LEVEL,
            limit: 0,
        };
        assert_eq!(state.take(), Err(wrong));
    });
    // The state is still there.
    assert_eq!(state.with(|state| *state), Some(1));
    assert_eq!(state.take(), Ok(Some(1)));
    kernel.shutdown();
}

#[test]
fn taking_waits_for_who_uses_it_and_nobody_else_finds_it() {
    let kernel = Kernel::boot();
    let state = DriverState::new();
    state.put(1).unwrap();
    let used = state.get().unwrap();
    std::thread::scope(|scope| {
        let (done, says) = mpsc::channel();
        let taker = scope.spawn({
            let state = &state;
            move || {
                let got = state.take();
                done.send(()).unwrap();
                got
            }
        });
        while state.get().is_some() {
            std::thread::yield_now();
        }
        // While `take` waits, nobody finds the state, and nobody can put another one. A thread that found it before still has it.
        assert_eq!(state.put(2), Err(2));
        assert_eq!(state.take(), Ok(None));
        says.recv_timeout(Duration::from_millis(50)).unwrap_err();
        assert_eq!(*used, 1);
        at_irql(DISPATCH_LEVEL, || drop(used));
        assert_eq!(taker.join().unwrap(), Ok(Some(1)));
    });
    assert_eq!(state.put(2), Ok(()));
    kernel.shutdown();
}

#[test]
fn what_unwinds_has_used_it() {
    let kernel = Kernel::boot();
    let state = DriverState::new();
    state.put(1).unwrap();
    let used = std::panic::AssertUnwindSafe(|| state.with(|_| panic!("a user of the state")));
    std::panic::catch_unwind(used).unwrap_err();
    assert_eq!(state.take(), Ok(Some(1)));
    kernel.shutdown();
}

#[test]
fn what_is_left_in_it_is_dropped_with_it() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    let kernel = Kernel::boot();
    let state = DriverState::new();
    assert!(state.put(Counted).is_ok());
    // `take` would wait for ever for a forgotten reference. The state is taken with exclusive access instead.
    std::mem::forget(state.get());
    assert_eq!(DROPS.load(Ordering::Relaxed), 0);
    drop(state);
    assert_eq!(DROPS.load(Ordering::Relaxed), 1);
    kernel.shutdown();
}

#[test]
fn a_driver_is_unloaded_while_it_is_used() {
    struct Driver {
        socket: DatagramSocket,
        _registration: Registration,
    }
    static DRIVER: DriverState<Driver> = DriverState::new();
    let kernel = Kernel::boot();
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = peer.local_addr().unwrap();
    let registration = Registration::new().unwrap();
    let provider = registration.capture(Wait::No).unwrap();
    let socket = DatagramSocket::open(&provider, Family::V4).unwrap();
    socket.bind(Family::V4.any()).unwrap();
    drop(provider);
    let driver = Driver {
        socket,
        _registration: registration,
    };
    assert!(DRIVER.put(driver).is_ok());
    let send = || DRIVER.with(|driver| driver.socket.send_to(b"used", to).wait());
    assert_eq!(send(), Some(Ok(4)));
    std::thread::scope(|scope| {
        let users: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    core::iter::from_fn(send)
                        .inspect(|sent| assert_eq!(*sent, Ok(4)))
                        .count()
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20));
        drop(DRIVER.take());
        let count: usize = users.into_iter().map(|user| user.join().unwrap()).sum();
        assert!(count > 0, "no thread has used the state");
    });
    kernel.shutdown();
}
