//! Tests of the unchanged driver, on the host kernel, over real sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::DriverEntry;
use wsk_host::{Completion, Kernel, LoadedDriver, RegistryValue};
use wsk_sys::{STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER};

const POLICIES: [Completion; 3] = [Completion::Inline, Completion::Deferred, Completion::Seeded];

/// An address that is free at this moment.
fn free() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

/// Loads the driver. Returns a socket that talks to it.
fn load(kernel: &Kernel) -> (LoadedDriver<'_>, UdpSocket) {
    let address = free();
    let listen = RegistryValue::String(address.to_string());
    let driver = kernel.driver("udp-segments").parameter("Listen", listen);
    let driver = driver.load(DriverEntry).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    sender.connect(address).unwrap();
    (driver, sender)
}

fn datagram(number: u32, length: usize) -> Vec<u8> {
    let mut datagram = vec![0x55; length];
    datagram[..4].copy_from_slice(&number.to_be_bytes());
    datagram
}

/// The next acknowledgement: number, ECN bits, length.
fn acknowledged(sender: &UdpSocket) -> (u32, u8, u16) {
    let mut bytes = [0; 64];
    let length = sender.recv(&mut bytes).unwrap();
    assert_eq!(length, 8);
    let number = u32::from_be_bytes(bytes[..4].try_into().unwrap());
    (number, bytes[4], u16::from_be_bytes([bytes[6], bytes[7]]))
}

#[test]
fn each_datagram_is_acknowledged() {
    for policy in POLICIES {
        let kernel = Kernel::builder().completion(policy).seed(1).boot();
        let (driver, sender) = load(&kernel);
        for (number, length) in [(0, 4), (7, 5), (0x0102_0304, 1200), (u32::MAX, 1472)] {
            sender.send(&datagram(number, length)).unwrap();
            let length = u16::try_from(length).unwrap();
            assert_eq!(acknowledged(&sender), (number, 0, length));
        }
        driver.unload();
        kernel.shutdown();
    }
}

#[test]
fn ecn_bits_are_told_and_answered() {
    let kernel = Kernel::boot();
    let (driver, sender) = load(&kernel);
    let marked = socket2::SockRef::from(&sender);
    for mark in [0, 1, 2, 3] {
        marked.set_tos_v4(mark).unwrap();
        sender.send(&datagram(mark, 100)).unwrap();
        assert_eq!(
            acknowledged(&sender),
            (mark, u8::try_from(mark).unwrap(), 100)
        );
    }
    driver.unload();
    kernel.shutdown();
}

/// Datagrams that arrive while the handler runs are received as one, acknowledged as one, and split again on the way.
#[test]
fn what_arrives_together_is_acknowledged_together() {
    for policy in POLICIES {
        let kernel = Kernel::builder().completion(policy).seed(3).boot();
        let (driver, sender) = load(&kernel);
        // No more at a time than the driver has buffers.
        for burst in 0..10 {
            let numbers = burst * 40..burst * 40 + 40;
            let mut expected: Vec<_> = numbers.map(|number| (number, 0, 100)).collect();
            // The last datagram of several may be shorter.
            expected.push((0xFFFF, 0, 50));
            for &(number, _, length) in &expected {
                sender.send(&datagram(number, length.into())).unwrap();
            }
            let mut got: Vec<_> = expected.iter().map(|_| acknowledged(&sender)).collect();
            got.sort_unstable();
            assert_eq!(got, expected);
        }
        driver.unload();
        kernel.shutdown();
    }
}

#[test]
fn acknowledging_allocates_nothing() {
    for policy in POLICIES {
        let kernel = Kernel::builder().completion(policy).seed(2).boot();
        let (driver, sender) = load(&kernel);
        let exchange = || {
            sender.send(&datagram(1, 100)).unwrap();
            acknowledged(&sender);
        };
        exchange();
        let before = kernel.counts().allocations();
        (0..100).for_each(|_| exchange());
        assert_eq!(kernel.counts().allocations(), before);
        driver.unload();
        kernel.shutdown();
    }
}

/// The driver is unloaded in the middle of its work, with completions in any order. Shutting the kernel down finds leaks.
#[test]
fn nothing_is_left_behind_on_any_schedule() {
    for policy in POLICIES {
        for seed in 0..1000 {
            let kernel = Kernel::builder().completion(policy).seed(seed).boot();
            let (driver, sender) = load(&kernel);
            if seed % 4 == 0 {
                sender.send(&datagram(1, 8)).unwrap();
                acknowledged(&sender);
            }
            for number in 0..seed % 9 {
                let number = u32::try_from(number).unwrap();
                sender.send(&datagram(number, 100)).unwrap();
            }
            driver.unload();
            kernel.shutdown();
        }
    }
}

#[test]
fn unloads_under_load() {
    for policy in POLICIES {
        let kernel = Kernel::builder().completion(policy).seed(7).boot();
        let (driver, sender) = load(&kernel);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..2000).for_each(|number| drop(sender.send(&datagram(number, 100)))));
            std::thread::sleep(Duration::from_millis(5));
            driver.unload();
        });
        kernel.shutdown();
    }
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    let kernel = Kernel::boot();
    let wrong = RegistryValue::String("nowhere".to_owned());
    let driver = kernel.driver("udp-segments").parameter("Listen", wrong);
    let status = driver.load(DriverEntry).unwrap_err();
    assert_eq!(status, STATUS_INVALID_PARAMETER);
    kernel.shutdown();

    // Each allocation fails once.
    for nth in 1.. {
        let kernel = Kernel::boot();
        let listen = RegistryValue::String(free().to_string());
        let driver = kernel.driver("udp-segments").parameter("Listen", listen);
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
