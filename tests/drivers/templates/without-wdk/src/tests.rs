//! Tests of the unchanged driver, on the host kernel, over real sockets.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;

use wsk_host::{Kernel, RegistryValue};
use wsk_sys::STATUS_CONNECTION_REFUSED;

use crate::DriverEntry;

#[test]
fn the_server_is_told() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = RegistryValue::String(server.local_addr().unwrap().to_string());
    let kernel = Kernel::boot();
    let driver = kernel
        .driver("{{project-name}}")
        .parameter("Server", address);
    let driver = driver.load(DriverEntry).unwrap();
    let (client, _) = server.accept().unwrap();
    let mut lines = BufReader::new(client).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "loaded");
    driver.unload();
    assert_eq!(lines.next().unwrap().unwrap(), "unloaded");
    // Panics if the driver has left anything behind.
    kernel.shutdown();
}

#[test]
fn without_a_server_it_is_not_loaded() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let kernel = Kernel::boot();
    let driver = kernel.driver("{{project-name}}");
    let driver = driver.parameter("Server", RegistryValue::String(nobody.to_string()));
    assert_eq!(
        driver.load(DriverEntry).unwrap_err(),
        STATUS_CONNECTION_REFUSED
    );
    kernel.shutdown();
}
