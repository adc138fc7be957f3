//! The crates and the sample drivers compile for Windows, where they are meant to run; the drivers' binaries are what Windows
//! loads; and Wine, whose kernel nobody here wrote, loads them.

use std::fs;
use std::path::Path;

use wsk_drivers::build::{self, DRIVERS};
use wsk_drivers::exports::Exports;
use wsk_drivers::image::{self, Driver};
use wsk_drivers::wine::{Fate, Wine};
use wsk_drivers::{mutation, toolchain};

use crate::{run, run_in};

/// The most that a driver may weigh, in bytes, where it is not said otherwise.
const LIMIT: usize = 32 * 1024;
/// The most that the echo driver may weigh.
const ECHO_LIMIT: usize = 24 * 1024;
/// The most that the client of a network block device may weigh, which does most.
const NBD_LIMIT: usize = 40 * 1024;

/// The most that the driver with three crates of others may weigh, of which the client of MQTT has most.
const OTHERS_LIMIT: usize = 232 * 1024;

/// The files of the template of a driver that is built with a WDK.
const TEMPLATE: [&str; 4] = ["Cargo.toml", ".cargo/config.toml", "build.rs", "src/lib.rs"];

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

/// Checks the template of a driver built with a WDK, with stand-ins for the crates that need one, and that the page about it shows it
/// as it is.
pub(crate) fn beside_wdk() -> Result<(), String> {
    let drivers = toolchain::repository().join("tests/drivers");
    let template = drivers.join("templates/beside-wdk");
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let page = read(&toolchain::repository().join("wsk/src/guide/beside_wdk.md"))?;
    for file in TEMPLATE {
        if !page.contains(&read(&template.join(file))?) {
            return Err(format!(
                "wsk/src/guide/beside_wdk.md shows another {file} than the template's"
            ));
        }
    }
    // Apart from the repository, so that no lock file is left there.
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    for (from, file) in TEMPLATE
        .map(|file| (template.join(file), file))
        .into_iter()
        .chain([(toolchain::repository().join("Cargo.lock"), "Cargo.lock")])
    {
        let to = folder.path().join(file);
        let made = to.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::copy(from, to))
            .map_err(|error| format!("{file} cannot be copied: {error}"))?;
    }
    let directory = toolchain::windows_directory();
    let directory = std::path::absolute(directory).map_err(|error| error.to_string())?;
    let mut command = toolchain::cargo("check", toolchain::X86_64, &directory);
    command.arg("--offline").env("RUSTFLAGS", "-D warnings");
    let ours =
        ["wsk", "wsk-sys", "wsk-macros"].map(|name| (name, toolchain::repository().join(name)));
    let theirs = ["wdk", "wdk-sys", "wdk-alloc", "wdk-panic", "wdk-build"];
    let theirs = theirs.map(|name| (name, drivers.join("stand-ins").join(name)));
    for (name, path) in ours.iter().chain(&theirs) {
        let path = path.display().to_string().replace('\\', "/");
        command.args([
            "--config",
            &format!("patch.crates-io.{name}.path=\"{path}\""),
        ]);
    }
    run_in(&mut command, folder.path())
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
            limit: match built.name {
                "udp-echo" => ECHO_LIMIT,
                "nbd-client" => NBD_LIMIT,
                "sntp-http-mqtt" => OTHERS_LIMIT,
                _ => LIMIT,
            },
            has_crates_of_others: built.name == "sntp-http-mqtt",
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

/// The program that raises exceptions where `wsk-sys` catches them, and what it ends with when it does.
const EXCEPTIONS: (&str, i32) = ("wsk-exceptions", 42);

/// Has Wine raise exceptions, and load the drivers.
pub(crate) fn wine() -> Result<(), String> {
    let wine = Wine::new()?;
    let (program, well) = EXCEPTIONS;
    let directory = toolchain::windows_directory();
    let mut command = toolchain::cargo("build", toolchain::X86_64, &directory);
    run(command.args(["--profile", "driver", "--package", program]))?;
    let path = directory
        .join(toolchain::X86_64)
        .join("driver")
        .join(format!("{program}.exe"));
    let code = wine.exit_code(&path)?;
    if code != Some(well) {
        return Err(format!(
            "{program} ended with {code:?}: exceptions are not caught"
        ));
    }
    println!("{program}: all exceptions were caught");
    for built in build::all()? {
        let fate = match built.name {
            "udp-send" => wine.udp_send(&built)?,
            "udp-echo" => wine.udp_echo(&built)?,
            "udp-tunnel" => wine.udp_tunnel(&built)?,
            "udp-segments" => wine.udp_segments(&built)?,
            "http-head" => wine.http_head(&built)?,
            "nbd-client" => wine.nbd_client(&built)?,
            "sntp-http-mqtt" => wine.sntp_http_mqtt(&built)?,
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
