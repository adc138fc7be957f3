//! Tests of the unchanged driver, on the host kernel, over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::DriverEntry;
use wsk_host::{Kernel, LoadedDriver, RegistryValue, What};
use wsk_sys::{STATUS_CONNECTION_REFUSED, STATUS_INSUFFICIENT_RESOURCES};

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

/// A server that answers one request, and returns it.
fn server(answer: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            // A client that fails closes the connection.
            if !matches!(socket.read(&mut byte), Ok(1)) {
                break;
            }
            asked.push(byte[0]);
        }
        let _ = socket.write_all(answer.as_bytes());
        String::from_utf8(asked).unwrap()
    });
    (address, thread)
}

fn text(text: &str) -> RegistryValue {
    RegistryValue::String(text.to_owned())
}

#[test]
fn the_first_line_is_printed() {
    let (kernel, lines) = boot();
    let (address, server) = server("HTTP/1.1 204 No Content\r\nServer: test\r\n\r\n");
    let driver = kernel
        .driver("http-head")
        .parameter("Host", text("localhost"));
    let driver = driver.parameter("Port", text(&address.port().to_string()));
    driver.load(DriverEntry).unwrap().unload();
    assert_eq!(
        server.join().unwrap(),
        "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    );
    kernel.shutdown();
    assert_eq!(
        *lines.lock().unwrap(),
        ["http-head: HTTP/1.1 204 No Content\n"]
    );
}

#[test]
fn a_line_without_end_is_cut_off() {
    let (kernel, lines) = boot();
    let endless: &'static str = Box::leak("x".repeat(5000).into_boxed_str());
    let (address, server) = server(endless);
    let driver = kernel
        .driver("http-head")
        .parameter("Host", text("127.0.0.1"));
    let driver = driver.parameter("Port", text(&address.port().to_string()));
    driver.load(DriverEntry).unwrap().unload();
    server.join().unwrap();
    kernel.shutdown();
    let line = format!("http-head: {}\n", "x".repeat(100));
    assert_eq!(*lines.lock().unwrap(), [line]);
}

#[test]
fn it_says_what_failed() {
    let (kernel, lines) = boot();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port().to_string();
    drop(nobody);
    let driver = kernel
        .driver("http-head")
        .parameter("Host", text("127.0.0.1"));
    let loaded = driver.parameter("Port", text(&port)).load(DriverEntry);
    assert_eq!(
        loaded.map(LoadedDriver::unload),
        Err(STATUS_CONNECTION_REFUSED)
    );
    kernel.shutdown();
    let lines = lines.lock().unwrap();
    assert_eq!(*lines, ["http-head: WskConnect failed: 0xC0000236\n"]);
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    for nth in 1.. {
        let (kernel, _) = boot();
        let (address, _server) = server("HTTP/1.1 200 OK\r\n\r\n");
        let driver = kernel
            .driver("http-head")
            .parameter("Host", text("127.0.0.1"));
        let driver = driver.parameter("Port", text(&address.port().to_string()));
        kernel.fail_nth_allocation(nth);
        let loaded = driver.load(DriverEntry).map(LoadedDriver::unload);
        kernel.shutdown();
        if loaded.is_ok() {
            assert!(nth > 8, "only {nth} allocations");
            break;
        }
        assert_eq!(loaded, Err(STATUS_INSUFFICIENT_RESOURCES));
    }
}
