//! Tests of the unchanged driver, on the host kernel, over real sockets.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::DriverEntry;
use wsk_host::{Kernel, LoadedDriver, RegistryValue, What};
use wsk_sys::{STATUS_FILE_FORCED_CLOSED, STATUS_INSUFFICIENT_RESOURCES, STATUS_NOT_SUPPORTED};

/// Boots a kernel. Also returns the lines that drivers print there.
fn boot() -> (Kernel, Arc<Mutex<Vec<String>>>) {
    let kernel = Kernel::boot();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let to = lines.clone();
    kernel.on_event(move |event| {
        if let What::Print { text, .. } = &event.what {
            to.lock().unwrap().push(text.clone());
        }
    });
    (kernel, lines)
}

fn receiver() -> (UdpSocket, RegistryValue) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let target = RegistryValue::String(receiver.local_addr().unwrap().to_string());
    (receiver, target)
}

#[test]
fn every_datagram_arrives() {
    let (kernel, lines) = boot();
    let (receiver, target) = receiver();
    let driver = kernel.driver("udp-send").parameter("Target", target);
    let driver = driver.parameter("Count", RegistryValue::Dword(25));
    let driver = driver.load(DriverEntry).unwrap();
    for number in 0..25_u32 {
        let mut bytes = [0; 16];
        let length = receiver.recv(&mut bytes).unwrap();
        assert_eq!(bytes[..length], number.to_be_bytes());
    }
    driver.unload();
    kernel.shutdown();
    assert_eq!(
        *lines.lock().unwrap(),
        ["udp-send: 25 of 25 datagrams sent\n"]
    );
}

#[test]
fn it_says_what_failed() {
    let (kernel, lines) = boot();
    let (_receiver, target) = receiver();
    let driver = kernel.driver("udp-send").parameter("Target", target);
    kernel.provider_down();
    assert!(driver.load(DriverEntry).is_err());
    kernel.shutdown();
    let lines = lines.lock().unwrap();
    assert_eq!(
        *lines,
        ["udp-send: WskCaptureProviderNPI failed: 0xC00000A3\n"]
    );
}

#[test]
fn it_names_the_entry_that_is_not_there() {
    let (kernel, lines) = boot();
    let entry = "WskSendTo";
    let status = wsk_driver::report(c"udp-send", wsk::Error::NoEntry { entry });
    assert_eq!(status, STATUS_NOT_SUPPORTED);
    kernel.shutdown();
    let lines = lines.lock().unwrap();
    assert_eq!(*lines, ["udp-send: WskSendTo failed: 0xC00000BB\n"]);
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    for nth in 1.. {
        let (kernel, _) = boot();
        let (_receiver, target) = receiver();
        let driver = kernel.driver("udp-send").parameter("Target", target);
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

#[test]
fn a_dead_socket_ends_it() {
    let kernel = Arc::new(Kernel::boot());
    let (_receiver, target) = receiver();
    let driver = kernel.driver("udp-send").parameter("Target", target);
    let once = std::sync::Once::new();
    let weak = Arc::downgrade(&kernel);
    kernel.on_event(move |event| {
        if event.to_string().contains("WskSendTo") {
            once.call_once(|| weak.upgrade().unwrap().force_close_sockets());
        }
    });
    assert_eq!(
        driver.load(DriverEntry).unwrap_err(),
        STATUS_FILE_FORCED_CLOSED
    );
    Arc::into_inner(kernel).unwrap().shutdown();
}
