//! What safe code can do to operations without the compiler's objecting: it may leak, never break a rule of the kernel. Each
//! test has a kernel of its own, which would stop the system, and says exactly what is left behind.

use std::cell::RefCell;
use std::mem::{ManuallyDrop, forget};
use std::rc::Rc;
use wsk::ReceiveFrom;
use wsk_host::{Completion, Kernel};
use wsk_schedules::{Counted, Driver, Ledger};

#[test]
fn forgotten() {
    let kernel = Kernel::builder().boot();
    let driver = Driver::load().unwrap();
    let ledger = Ledger::new();
    forget(driver.socket.start_receive_from(Counted::new(8, 1, &ledger).unwrap()).unwrap());
    drop(driver);
    println!("{}", kernel.finish().unwrap_err());
}
