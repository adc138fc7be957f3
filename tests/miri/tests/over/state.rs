//! The state that a driver keeps in a static.

use std::thread;

use wsk::{DatagramSocket, DriverState, Registration};

use crate::{everywhere, socket};

struct Driver {
    socket: DatagramSocket,
    _registration: Registration,
}

static DRIVER: DriverState<Driver> = DriverState::new();

/// Threads send with the driver's socket until the driver is unloaded.
#[test]
fn used_and_unloaded() {
    everywhere(|_, provider| {
        let (other, to) = socket(provider);
        let registration = Registration::new().unwrap();
        let (socket, _) = socket(&registration.capture(wsk::Wait::Forever).unwrap());
        let driver = Driver {
            socket,
            _registration: registration,
        };
        assert!(DRIVER.put(driver).is_ok());
        let used = DRIVER.get().unwrap();
        thread::scope(|scope| {
            let send = || DRIVER.with(|driver| driver.socket.send_to(b"used", to).wait());
            scope.spawn(move || assert!(matches!(send(), None | Some(Ok(4)))));
            let taker = scope.spawn(|| DRIVER.take().unwrap());
            while DRIVER.get().is_some() {
                thread::yield_now();
            }
            used.socket.send_to(b"the last", to).wait().unwrap();
            drop(used);
            assert!(taker.join().unwrap().is_some());
        });
        assert!(DRIVER.get().is_none());
        drop(other);
    });
}
