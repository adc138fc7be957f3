//! The demo does what its page says, and a wrong address leads to a clear error.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

fn demo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "run",
        "--quiet",
        "--package",
        "wsk",
        "--example",
        "demo",
        "--",
    ]);
    command
}

/// Runs the demo. Returns whether it succeeded, its output, and its error messages.
fn ran(arguments: &[&str]) -> (bool, String, String) {
    let output = demo().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Runs the demo, which must fail with this message.
fn refused(arguments: &[&str], complaint: &str) {
    let (success, _, complaints) = ran(arguments);
    assert!(!success && complaints.contains(complaint), "{complaints}");
}

#[test]
fn it_shows_the_life_of_each_irp() {
    let (success, printed, complaints) = ran(&[]);
    assert!(success, "{complaints}");
    for text in [
        "WskRegister",
        "WskSendTo",
        "WskReceiveFrom",
        "marked pending",
        "completed: STATUS_SUCCESS",
        "HELLO FROM A DRIVER",
    ] {
        assert!(printed.contains(text), "{text}: {printed}");
    }
}

#[test]
fn it_sends_to_an_address_of_the_user() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let to = peer.local_addr().unwrap().to_string();
    let (success, printed, complaints) = ran(&["--to", &to, "--message", "grüße"]);
    assert!(success && printed.contains("7 bytes sent"), "{complaints}");
    let mut bytes = [0; 64];
    let length = peer.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], "grüße".as_bytes());
}

#[test]
fn a_wrong_address_is_told_what_is_wrong() {
    refused(&["--to", "localhost"], "give an IP address and a port");
    refused(&["--to", "127.0.0.1:0"], "port 0 cannot be sent to");
}

#[test]
fn help_says_what_can_be_asked() {
    let (success, printed, _) = ran(&["--help"]);
    assert!(
        success && printed.contains("--to ADDRESS:PORT"),
        "{printed}"
    );
    refused(&["--nothing"], "--nothing");
}

#[test]
fn a_message_that_does_not_fit_is_told_the_limit() {
    let message = "x".repeat(65_508);
    let limit = "65508 bytes is too long: at most 65507 fit";
    refused(&["--to", "127.0.0.1:9", "--message", &message], limit);
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    let mut child = demo()
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
