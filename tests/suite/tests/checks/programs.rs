//! The tests of the host kernel, of `wsk`, of the sample drivers and of the driver in C, and the examples of the documentation, as programs for
//! Windows in Wine. There the panic strategy of a compilation unit decides whether `wsk-sys` imports from the kernel's modules or leaves its
//! functions to the host kernel, so it is checked too.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Error, Result, ensure};
use serde_json::{Value, json};
use wsk_drivers::build::DRIVERS;
use wsk_drivers::wine::Wine;
use wsk_drivers::{image, toolchain};
use xshell::Shell;

use crate::packages::list;
use crate::{shell, shown};

/// Where Rust links without Microsoft's tools.
const TARGET: &str = toolchain::X86_64_GNU;
/// The packages whose tests are run. The driver of the last is compiled by clang for Windows, as it is for this system.
const PACKAGES: &str = "wsk-host wsk wsk-sys wsk-driver wsk-driver-in-c";
/// Rust's check of pointers finds that Wine's lists of addresses aren't aligned; reading them is fine on this processor.
const UNALIGNED: &str = "profile.dev.package.dns-lookup.debug-assertions=false";
/// A sample driver that needs the ECN bits of datagrams, which Wine's sockets do not tell: its tests run elsewhere.
const ALONG: &str = "udp-segments";

/// The facts about the compilation units of a driver, and about those of its tests.
const OF_DRIVERS: &str = "abort, has wsk-sys, links a driver";
const OF_TESTS: &str = "has wsk-host, has wsk-sys, unwind";

#[test]
#[ignore = "`cargo ci programs-for-windows`"]
fn tests_pass_as_programs_for_windows() -> Result<()> {
    let shell = shell()?;
    units(&shell)?;
    let wine = Wine::new().map_err(Error::msg)?;
    // Rust's standard library gets random numbers from this DLL, which an earlier command of the check has made.
    let file = wine.system_folder().join("bcryptprimitives.dll");
    if !file.exists() {
        let made = toolchain::windows_directory().join("bcryptprimitives.dll");
        shell.copy_file(std::path::absolute(made)?, file)?;
    }
    let names = shown(&shell, &tests(&wine, &["--list"])).read()?;
    let listed: Vec<_> = self::names(&names).collect();
    // Cargo has run the examples of the documentation for other systems since version 1.89 only.
    let examples = listed.iter().any(|test| test.contains(" (line "));
    ensure!(examples, "the examples of the documentation are missing");
    imports(&shell, &wine)?;
    let lacking: Value = toml::from_str(include_str!("../../wine.toml"))?;
    let left_out = || list(&lacking, "/lacking").flat_map(|it| list(it, "/tests"));
    let mut arguments = vec!["--exact"];
    for test in left_out().filter_map(Value::as_str) {
        let there = listed.contains(&test);
        ensure!(there, "{test}, for which Wine lacks something, is no test");
        arguments.extend(["--skip", test]);
    }
    shown(&shell, &tests(&wine, &arguments)).run()?;
    let (left_out, listed) = (left_out().count(), listed.len());
    println!("{left_out} of {listed} tests are left out, for what Wine lacks:");
    for it in list(&lacking, "/lacking") {
        println!("    {}: {}", it["tests"], it["reason"]);
    }
    Ok(())
}

/// `cargo` for tests as programs for Windows.
fn cargo<'a>(subcommand: &str, packages: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = toolchain::cargo(subcommand, TARGET, &toolchain::windows_directory());
    command.args(["--config", UNALIGNED]);
    for package in packages {
        command.args(["--package", package]);
    }
    command
}

/// The tests, with arguments for their programs.
fn tests(wine: &Wine, arguments: &[&str]) -> Command {
    let drivers = DRIVERS.iter().filter(|driver| **driver != ALONG);
    let mut command = cargo("test", PACKAGES.split(' ').chain(drivers.copied()));
    command.args(["--no-fail-fast", "--"]).args(arguments);
    wine.runs(&mut command);
    command
}

/// The names in a list of tests.
pub(crate) fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter_map(|line| line.strip_suffix(": test"))
}

/// Checks the compilation units of a driver, of its tests, and of its tests with the profile that drivers are built with.
fn units(shell: &Shell) -> Result<()> {
    for driver in DRIVERS.iter().copied() {
        for (what, profile, asked) in [
            ("build", "driver", OF_DRIVERS),
            ("test", "test", OF_TESTS),
            ("test", "driver", OF_TESTS),
        ] {
            let mut command = cargo(what, [driver]);
            command.args(["--profile", profile, "--unit-graph", "-Zunstable-options"]);
            command.env("RUSTC_BOOTSTRAP", "1");
            let graph = shown(shell, &command).quiet().read()?;
            let facts = facts(&serde_json::from_str(&graph)?);
            let told = format!("cargo {what} -p {driver} --profile {profile}: {facts}");
            ensure!(facts == asked, told);
        }
    }
    println!("drivers: {OF_DRIVERS}; their tests, whatever the profile says: {OF_TESTS}");
    Ok(())
}

/// The facts about the compilation units for Windows: the panic strategies first of all.
fn facts(graph: &Value) -> String {
    let mut facts = BTreeSet::new();
    let ours = |it: &&Value| it["platform"] == TARGET && it["mode"] != "run-custom-build";
    for unit in list(graph, "/units").filter(ours) {
        let [package, panic, kinds] = ["/pkg_id", "/profile/panic", "/target/crate_types"]
            .map(|at| unit.pointer(at).unwrap_or_default().to_string());
        facts.insert(panic.trim_matches('"').to_owned());
        for (fact, holds) in [
            ("has wsk-sys", package.contains("/wsk-sys#")),
            ("has wsk-host", package.contains("/host#wsk-host@")),
            (
                "links a driver",
                unit["mode"] == "build" && kinds.contains("cdylib"),
            ),
        ] {
            facts.extend(holds.then(|| fact.to_owned()));
        }
    }
    facts.into_iter().collect::<Vec<_>>().join(", ")
}

/// Checks from which files the tests of the drivers import.
fn imports(shell: &Shell, wine: &Wine) -> Result<()> {
    let mut command = cargo("test", DRIVERS.iter().copied());
    command.args(["--lib", "--no-run", "--message-format", "json"]);
    wine.runs(&mut command);
    let said = shown(shell, &command).read()?;
    let messages = said.lines().flat_map(serde_json::from_str::<Value>);
    let mut programs = 0;
    for message in messages {
        if let Some(program) = message["executable"].as_str() {
            programs += 1;
            let image = shell.read_binary_file(program)?;
            let files = image::imported_files(&image).map_err(Error::msg)?;
            let good = files.contains("kernel32.dll") && !files.iter().any(|it| of_the_kernel(it));
            ensure!(good, "{program} imports from {files:?}");
        }
    }
    ensure!(programs == DRIVERS.len(), "{programs} tests of {DRIVERS:?}");
    Ok(())
}

/// Whether a file is one that only drivers import from.
fn of_the_kernel(file: &str) -> bool {
    let ends = [".sys", "ntoskrnl.exe", "hal.dll"];
    ends.iter().any(|end| file.ends_with(end))
}

#[test]
fn units_of_another_strategy_are_found() {
    let unit = |text: &str| {
        let (name, panic) = text.split_once(' ').unwrap();
        let (package, mode, kind) = match name {
            "sys" => ("path/wsk-sys#0.1.0", "build", "lib"),
            "host" => ("path/host#wsk-host@0.1.0", "build", "lib"),
            "driver" => ("path/udp-echo#0.1.0", "build", "cdylib"),
            _ => ("path/udp-echo#0.1.0", "test", "cdylib"),
        };
        let (profile, target) = (json!({ "panic": panic }), json!({ "crate_types": [kind] }));
        json!({
            "pkg_id": package, "platform": TARGET, "mode": mode,
            "profile": profile, "target": target,
        })
    };
    for (units, of) in [
        ("sys abort,driver abort", OF_DRIVERS),
        ("sys unwind,host unwind,tests unwind", OF_TESTS),
        ("sys unwind,driver abort", ""),
        ("driver abort", ""),
        ("sys abort,host abort,driver abort", ""),
        ("sys abort", ""),
        ("sys abort,host unwind,tests unwind", ""),
        ("sys unwind,tests unwind", ""),
        ("sys unwind,host unwind,driver unwind", ""),
    ] {
        let units: Vec<_> = units.split(',').map(unit).collect();
        let facts = facts(&json!({ "units": units }));
        let known = [OF_DRIVERS, OF_TESTS].into_iter().find(|it| *it == facts);
        assert_eq!(known.unwrap_or_default(), of, "{facts}");
    }
}

#[test]
fn what_only_drivers_import_from_is_known() {
    assert!(of_the_kernel("ntoskrnl.exe") && of_the_kernel("netio.sys"));
    assert!(!of_the_kernel("kernel32.dll"));
}

#[test]
fn tests_are_listed() {
    let list = "a::b: test\nc: benchmark\n\n1 test, 1 benchmark\n";
    assert!(names(list).eq(["a::b"]));
}
