//! The crates and the sample drivers compile for Windows, where they are meant to run; the drivers' binaries are what Windows
//! loads; and Wine, whose kernel nobody here wrote, loads them.

use std::fs;

use wsk_drivers::build::{self, DRIVERS};
use wsk_drivers::exports::Exports;
use wsk_drivers::image::{self, Driver};
use wsk_drivers::wine::{Fate, Wine};
use wsk_drivers::{mutation, toolchain};

use crate::run;

/// The most that a driver may weigh, in bytes, where it is not said otherwise.
const LIMIT: usize = 32 * 1024;
/// The most that the echo driver may weigh.
const ECHO_LIMIT: usize = 24 * 1024;

/// Checks `wsk-sys`, `wsk` and the drivers for both kinds of Windows.
pub(crate) fn check() -> Result<(), String> {
    for target in [toolchain::X86_64, toolchain::AARCH64] {
        let mut command = toolchain::cargo("check", target, &toolchain::windows_directory());
        // `--package wsk` is not enough: features of wsk-sys that wsk does not use count too.
        command.args([
            "--profile",
            "driver",
            "--package",
            "wsk",
            "--package",
            "wsk-sys",
        ]);
        command.arg("--all-features");
        for driver in DRIVERS {
            command.args(["--package", driver]);
        }
        run(&mut command)?;
    }
    Ok(())
}

/// Builds the drivers and examines them.
pub(crate) fn drivers() -> Result<(), String> {
    let exports = Exports::read()?;
    let mut problems = exports.problems_of_declarations()?;
    for built in build::all()? {
        let read = |error: std::io::Error| format!("{}: {error}", built.name);
        let driver = Driver {
            image: fs::read(&built.image).map_err(read)?,
            map: fs::read_to_string(&built.map).map_err(read)?,
            limit: if built.name == "udp-echo" {
                ECHO_LIMIT
            } else {
                LIMIT
            },
        };
        let found = image::problems(&driver, &exports)?;
        println!("{}: {} bytes", built.name, driver.image.len());
        if found.is_empty() {
            let rules = mutation::every_rule_can_be_broken(&driver, &exports)?;
            println!(
                "{}: {rules} rules kept; each noticed when broken",
                built.name
            );
        }
        problems.extend(
            found
                .iter()
                .map(|problem| format!("{}: {problem}", built.name)),
        );
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

/// Has Wine load the drivers.
pub(crate) fn wine() -> Result<(), String> {
    let wine = Wine::new()?;
    for built in build::all()? {
        let fate = match built.name {
            "udp-send" => wine.udp_send(&built)?,
            "udp-echo" => wine.udp_echo(&built)?,
            "http-head" => wine.http_head(&built)?,
            "tcp-hello" => wine.tcp_hello(&built)?,
            other => return Err(format!("nothing is known about {other}")),
        };
        match fate {
            Fate::Worked => println!("{}: did what it is for", built.name),
            Fate::NotImplemented => println!(
                "{}: Wine has no datagrams for drivers; it said so, left nothing behind, and was unloaded",
                built.name
            ),
        }
    }
    Ok(())
}
