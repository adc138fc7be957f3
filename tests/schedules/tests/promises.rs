//! What pools and scopes promise while user code does its worst in the middle of an operation: memory is freed once, after its last
//! use, and everything that was taken comes back.

use std::sync::Arc;

use wsk::operation::{Operations, PreparedPool};
use wsk::{BufferPool, NonPagedBuffer};
use wsk_schedules::{Counted, Driver, Ledger, kernels};

/// Runs `body` on a kernel of each completion policy, in which nothing may be left behind.
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

/// The operations come back to a pool that nobody has any more, one after the other: the last of them takes the memory along.
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
