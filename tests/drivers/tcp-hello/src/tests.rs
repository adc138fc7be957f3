//! Tests of the unchanged driver, on the host kernel, over real sockets.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::DriverEntry;
use wsk_host::{Completion, Kernel, LoadedDriver, RegistryValue};
use wsk_sys::STATUS_INSUFFICIENT_RESOURCES;

/// An address that is free at this moment.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn text(address: SocketAddr) -> RegistryValue {
    RegistryValue::String(address.to_string())
}

/// The greeting that a client receives.
fn greeting(address: SocketAddr) -> String {
    let mut client = TcpStream::connect(address).unwrap();
    client
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let mut told = String::new();
    client.read_to_string(&mut told).unwrap();
    told
}

#[test]
fn whoever_connects_is_greeted() {
    let kernel = Kernel::builder().completion(Completion::Deferred).boot();
    let address = free();
    let driver = kernel
        .driver("tcp-hello")
        .parameter("Listen", text(address));
    let driver = driver.load(DriverEntry).unwrap();
    for _ in 0..5 {
        assert_eq!(greeting(address), "Hello from the kernel!\r\n");
    }
    driver.unload();
    kernel.shutdown();
    // Nobody listens there any more.
    TcpStream::connect(address).unwrap_err();
}

#[test]
fn it_unloads_when_nobody_has_connected() {
    let kernel = Kernel::boot();
    let driver = kernel.driver("tcp-hello").parameter("Listen", text(free()));
    driver.load(DriverEntry).unwrap().unload();
    kernel.shutdown();
}

/// The thread is woken when it should end, and does not poll. If it polled every 100 ms, unloading would have to wait for most of
/// that time.
#[test]
fn unloading_does_not_wait_for_the_thread_to_look() {
    let kernel = Kernel::boot();
    let waits = [(); 5].map(|()| {
        let driver = kernel.driver("tcp-hello").parameter("Listen", text(free()));
        let driver = driver.load(DriverEntry).unwrap();
        std::thread::sleep(Duration::from_millis(110));
        let begun = Instant::now();
        driver.unload();
        begun.elapsed()
    });
    // The quickest of several, because the machine may be busy.
    let quickest = waits.into_iter().min().unwrap();
    assert!(quickest < Duration::from_millis(50), "{quickest:?}");
    kernel.shutdown();
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    for nth in 1.. {
        let kernel = Kernel::boot();
        let driver = kernel.driver("tcp-hello").parameter("Listen", text(free()));
        kernel.fail_nth_allocation(nth);
        let loaded = driver.load(DriverEntry).map(LoadedDriver::unload);
        kernel.shutdown();
        if loaded.is_ok() {
            assert!(nth > 4, "only {nth} allocations");
            break;
        }
        assert_eq!(loaded, Err(STATUS_INSUFFICIENT_RESOURCES));
    }
}
