//! `cargo drivers` lists the drivers that it can build.

#![allow(missing_docs)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use wsk_drivers::build::DRIVERS;

fn drivers(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_wsk-drivers");
    Command::new(program).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(text).unwrap()
}

#[test]
fn help_names_the_drivers() {
    let output = drivers(&["--help"]);
    assert!(output.status.success());
    for name in DRIVERS {
        assert!(said(&output).contains(name), "{}", said(&output));
    }
}

#[test]
fn the_list_is_that_of_the_drivers() {
    assert!(
        said(&drivers(&["--list"]))
            .lines()
            .eq(DRIVERS.iter().copied())
    );
    assert_eq!(
        said(&drivers(&["--list", DRIVERS[1]])),
        format!("{}\n", DRIVERS[1])
    );
}

#[test]
fn a_driver_that_there_is_not_is_told() {
    let output = drivers(&["udp-ecko"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("udp-echo"), "{}", said(&output));
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsk-drivers"))
        .arg("--list")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
}
