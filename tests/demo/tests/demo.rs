//! The demo does what it says, and a wrong address gets a clear error.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::Stdio;
use std::time::Duration;

use assert_cmd::Command;
use predicates::str::contains;

fn demo() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wsk-demo"))
}

#[test]
fn it_shows_the_life_of_each_irp() {
    let mut output = demo().assert().success();
    for text in [
        "WskRegister",
        "WskSendTo",
        "WskReceiveFrom",
        "marked pending",
        "completed: STATUS_SUCCESS",
        "HELLO FROM A DRIVER",
    ] {
        output = output.stdout(contains(text));
    }
}

#[test]
fn it_sends_to_an_address_of_the_user() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let to = peer.local_addr().unwrap().to_string();
    demo()
        .args(["--to", &to, "--message", "grüße"])
        .assert()
        .success()
        .stdout(contains("7 bytes sent"));
    let mut bytes = [0; 64];
    let length = peer.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], "grüße".as_bytes());
}

#[test]
fn a_wrong_address_is_told_what_is_wrong() {
    demo()
        .args(["--to", "localhost"])
        .assert()
        .failure()
        .stderr(contains("give an IP address and a port"));
    demo()
        .args(["--to", "127.0.0.1:0"])
        .assert()
        .failure()
        .stderr(contains("port 0 cannot be sent to"));
}

#[test]
fn a_message_that_does_not_fit_is_told_the_limit() {
    let message = "x".repeat(65_508);
    let output = demo()
        .args(["--to", "127.0.0.1:9", "--message", &message])
        .assert()
        .failure();
    output.stderr(contains("65508 bytes is too long: at most 65507 fit"));
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_wsk-demo"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
