//! Tests of the unchanged driver, on the host kernel, over real sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::DriverEntry;
use wsk_host::{Completion, Kernel, LoadedDriver, RegistryValue};
use wsk_sys::{STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER};

/// An address that is free at this moment.
fn free() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    client
}

fn text(address: SocketAddr) -> RegistryValue {
    RegistryValue::String(address.to_string())
}

#[test]
fn each_datagram_comes_back() {
    let kernel = Kernel::builder().completion(Completion::Deferred).boot();
    let address = free();
    let driver = kernel.driver("udp-echo").parameter("Listen", text(address));
    let driver = driver.load(DriverEntry).unwrap();
    let client = client();
    let mut answer = [0; 2048];
    for length in [0, 1, 5, 100, 1472] {
        let question: Vec<u8> = (0..=250).cycle().take(length).collect();
        client.send_to(&question, address).unwrap();
        let (received, from) = client.recv_from(&mut answer).unwrap();
        assert_eq!((from, &answer[..received]), (address, question.as_slice()));
    }
    driver.unload();
    kernel.shutdown();
    // The address is free again.
    drop(UdpSocket::bind(address).unwrap());
}

#[test]
fn what_is_too_long_is_not_answered() {
    let kernel = Kernel::boot();
    let address = free();
    let driver = kernel.driver("udp-echo").parameter("Listen", text(address));
    let driver = driver.load(DriverEntry).unwrap();
    let client = client();
    client.send_to(&[1; 1473], address).unwrap();
    client.send_to(b"next", address).unwrap();
    let mut answer = [0; 2048];
    assert_eq!(client.recv(&mut answer).unwrap(), 4);
    driver.unload();
    kernel.shutdown();
}

#[test]
fn steady_echoing_allocates_nothing() {
    let kernel = Kernel::builder().completion(Completion::Deferred).boot();
    let address = free();
    let driver = kernel.driver("udp-echo").parameter("Listen", text(address));
    let driver = driver.load(DriverEntry).unwrap();
    let client = client();
    let echo = || {
        client.send_to(b"steady", address).unwrap();
        client.recv(&mut [0; 16]).unwrap();
    };
    echo();
    let before = kernel.counts().allocations();
    (0..100).for_each(|_| echo());
    assert_eq!(kernel.counts().allocations(), before);
    driver.unload();
    kernel.shutdown();
}

#[test]
fn unloads_under_load() {
    let kernel = Kernel::builder()
        .completion(Completion::Seeded)
        .seed(7)
        .boot();
    let address = free();
    let driver = kernel.driver("udp-echo").parameter("Listen", text(address));
    let driver = driver.load(DriverEntry).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            for _ in 0..2000 {
                let _ = client.send_to(b"load", address);
            }
        });
        std::thread::sleep(Duration::from_millis(5));
        driver.unload();
        sender.join().unwrap();
    });
    kernel.shutdown();
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    let kernel = Kernel::boot();
    let longest = format!("127.0.0.1:7{}", "x".repeat(116));
    for wrong in ["nowhere", "", "127.0.0", "127.0.0.1:65536", &longest] {
        let driver = kernel.driver("udp-echo");
        let wrong = driver.parameter("Listen", RegistryValue::String(wrong.to_owned()));
        assert_eq!(
            wrong.load(DriverEntry).unwrap_err(),
            STATUS_INVALID_PARAMETER
        );
    }
    kernel.shutdown();

    // Each allocation fails once.
    for nth in 1.. {
        let kernel = Kernel::boot();
        let driver = kernel.driver("udp-echo").parameter("Listen", text(free()));
        kernel.fail_nth_allocation(nth);
        let loaded = driver.load(DriverEntry).map(LoadedDriver::unload);
        kernel.shutdown();
        if loaded.is_ok() {
            assert!(nth > 100, "only {nth} allocations");
            break;
        }
        assert_eq!(loaded, Err(STATUS_INSUFFICIENT_RESOURCES));
    }
}
