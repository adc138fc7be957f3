//! Tests as programs for Windows: those of the host kernel, of `wsk`, of the sample drivers and of the driver in C, and the examples of the
//! documentation, run in Wine. And what decides there whether `wsk-sys` imports from the kernel's modules or leaves its functions to the host
//! kernel: the panic strategy of each compilation unit.

use std::path::Path;
use std::process::Command;

use anyhow::{Error, Result, bail, ensure};
use fs_err as fs;
use serde::Deserialize;
use serde_json::Value;
use wsk_drivers::build::DRIVERS;
use wsk_drivers::wine::Wine;
use wsk_drivers::{image, toolchain};

use crate::command::{output, repository, run};
use crate::table;

/// Where Rust links without Microsoft's tools.
const TARGET: &str = toolchain::X86_64_GNU;
/// The packages whose tests are run. The driver of the last is compiled by clang for Windows, as it is for this system.
const PACKAGES: [&str; 5] = [
    "wsk-host",
    "wsk",
    "wsk-sys",
    "wsk-driver",
    "wsk-driver-in-c",
];
/// Rust's check of pointers finds that Wine's lists of addresses aren't aligned; reading them is fine on this processor.
const UNALIGNED: &str = "profile.dev.package.dns-lookup.debug-assertions=false";

/// Sample drivers that need the ECN bits of datagrams, which Wine's sockets do not tell: their tests run elsewhere.
const ALONG: [&str; 1] = ["udp-segments"];

/// What Wine lacks, and the tests that need it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lacking {
    reason: String,
    tests: Vec<String>,
}

/// Runs the check.
pub(crate) fn check() -> Result<()> {
    units()?;
    let wine = Wine::new().map_err(Error::msg)?;
    random_numbers(&wine)?;
    let listed: Vec<String> = names(&output(&mut tests(&wine, &["--list"]))?).collect();
    ensure!(
        listed.iter().any(|test| is_of_the_documentation(test)),
        "the examples of the documentation are not among the tests"
    );
    imports(&wine)?;
    let lacking = table().lacking;
    let left_out: Vec<_> = lacking.iter().flat_map(|it| &it.tests).collect();
    let mut arguments = vec!["--exact"];
    for test in &left_out {
        let gone = !listed.contains(test);
        ensure!(!gone, "Wine lacks something for {test}, which is no test");
        arguments.extend(["--skip", test]);
    }
    run(&mut tests(&wine, &arguments))?;
    let (left_out, listed) = (left_out.len(), listed.len());
    println!("{left_out} of {listed} tests are left out, for what Wine lacks:");
    for Lacking { reason, tests } in lacking {
        println!("    {}: {reason}", tests.join(", "));
    }
    Ok(())
}

/// `cargo` for tests as programs for Windows.
fn cargo(subcommand: &str) -> Command {
    let mut command = toolchain::cargo(subcommand, TARGET, &toolchain::windows_directory());
    command.args(["--config", UNALIGNED]);
    command
}

/// The tests, with arguments for their programs.
fn tests(wine: &Wine, arguments: &[&str]) -> Command {
    let mut command = cargo("test");
    command.arg("--no-fail-fast");
    let drivers = DRIVERS.iter().filter(|driver| !ALONG.contains(driver));
    for package in PACKAGES.iter().chain(drivers) {
        command.args(["--package", package]);
    }
    command.arg("--").args(arguments);
    wine.runs(&mut command);
    command
}

/// The names in a list of tests.
fn names(list: &str) -> impl Iterator<Item = String> {
    list.lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
}

/// Whether a test is an example of the documentation, which cargo has run for other systems since version 1.89 only.
fn is_of_the_documentation(test: &str) -> bool {
    test.contains(" (line ")
}

/// Gives Wine the DLL that Rust's standard library gets random numbers from.
fn random_numbers(wine: &Wine) -> Result<()> {
    let source = repository().join("tests/suite/windows/bcryptprimitives.rs");
    let file = wine.system_folder().join("bcryptprimitives.dll");
    if file.exists() {
        return Ok(());
    }
    let options = "--edition 2024 --crate-type cdylib -O -C panic=abort -C link-arg=-nostartfiles -C link-arg=-Wl,--entry=DllMain";
    let mut rustc = Command::new("rustc");
    rustc.args(options.split(' ')).args(["--target", TARGET]);
    run(rustc.arg("-o").arg(file).arg(source))
}

/// Looks at the compilation units of a driver, of its tests, and of its tests with the profile that drivers are built with.
fn units() -> Result<()> {
    for driver in DRIVERS {
        for (subcommand, profile, of_driver) in [
            ("build", "driver", true),
            ("test", "test", false),
            ("test", "driver", false),
        ] {
            let mut command = cargo(subcommand);
            command.args(["--package", driver, "--profile", profile]);
            command.args(["--unit-graph", "-Z", "unstable-options"]);
            command.env("RUSTC_BOOTSTRAP", "1");
            let graph: Value = serde_json::from_str(&output(&mut command)?)?;
            if let Some(problem) = problem_of_units(&graph, of_driver) {
                bail!("cargo {subcommand} --package {driver} --profile {profile}: {problem}");
            }
        }
    }
    println!(
        "drivers abort and do without the host kernel; their tests unwind and have it, whatever the profile says"
    );
    Ok(())
}

/// What is wrong with the units for Windows, of a driver or of its tests.
fn problem_of_units(graph: &Value, of_driver: bool) -> Option<String> {
    let all = graph["units"].as_array()?;
    let units = || {
        all.iter()
            .filter(|unit| unit["platform"] == TARGET && unit["mode"] != "run-custom-build")
    };
    let package = |unit: &Value| unit["pkg_id"].as_str().unwrap_or_default().to_owned();
    let has = |name: &str| units().any(|unit| package(unit).contains(name));
    let strategy = if of_driver { "abort" } else { "unwind" };
    if let Some(unit) = units().find(|unit| unit["profile"]["panic"] != strategy) {
        return Some(format!("{} does not {strategy}", package(unit)));
    }
    if !has("/wsk-sys#") {
        return Some("wsk-sys is missing".to_owned());
    }
    if has("/host#wsk-host@") == of_driver {
        return Some(format!("the host kernel is there: {}", !of_driver));
    }
    let linked = units().any(|unit| {
        unit["mode"] == "build"
            && unit["target"]["crate_types"]
                .as_array()
                .is_some_and(|types| types.contains(&"cdylib".into()))
    });
    (linked != of_driver).then(|| format!("a driver is linked: {linked}"))
}

/// Looks at what the tests of the drivers import.
fn imports(wine: &Wine) -> Result<()> {
    let mut command = cargo("test");
    command.args(["--lib", "--no-run", "--message-format", "json"]);
    for driver in DRIVERS {
        command.args(["--package", driver]);
    }
    wine.runs(&mut command);
    let said = output(&mut command)?;
    let programs: Vec<String> = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(str::to_owned))
        .collect();
    ensure!(
        programs.len() == DRIVERS.len(),
        "{programs:?} are not the tests of {DRIVERS:?}"
    );
    for program in programs {
        let files = image::imported_files(&fs::read(&program)?).map_err(Error::msg)?;
        ensure!(
            files.contains("kernel32.dll") && !files.iter().any(|file| of_the_kernel(file)),
            "{program} imports from {files:?}"
        );
    }
    Ok(())
}

/// Whether a file is one that only drivers import from.
fn of_the_kernel(file: &str) -> bool {
    Path::new(file)
        .extension()
        .is_some_and(|extension| extension == "sys")
        || ["ntoskrnl.exe", "hal.dll"].contains(&file)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{TARGET, is_of_the_documentation, names, of_the_kernel, problem_of_units};

    fn unit(package: &str, panic: &str, mode: &str, kind: &str) -> Value {
        json!({
            "pkg_id": package, "platform": TARGET, "mode": mode,
            "profile": { "panic": panic }, "target": { "crate_types": [kind] },
        })
    }

    fn problem(units: &[Value], of_driver: bool) -> String {
        problem_of_units(&json!({ "units": units }), of_driver).unwrap_or_default()
    }

    #[test]
    fn units_of_another_strategy_are_found() {
        let sys = |panic| unit("path/wsk-sys#0.1.0", panic, "build", "lib");
        let host = |panic| unit("path/host#wsk-host@0.1.0", panic, "build", "lib");
        let echo = |panic, mode| unit("path/udp-echo#0.1.0", panic, mode, "cdylib");
        assert_eq!(problem(&[sys("abort"), echo("abort", "build")], true), "");
        assert_eq!(
            problem(
                &[sys("unwind"), host("unwind"), echo("unwind", "test")],
                false
            ),
            ""
        );
        for (units, of_driver, told) in [
            (
                vec![sys("unwind"), echo("abort", "build")],
                true,
                "wsk-sys#0.1.0 does not abort",
            ),
            (vec![echo("abort", "build")], true, "wsk-sys is missing"),
            (
                vec![sys("abort"), host("abort"), echo("abort", "build")],
                true,
                "the host kernel is there",
            ),
            (vec![sys("abort")], true, "a driver is linked: false"),
            (
                vec![sys("abort"), host("unwind"), echo("unwind", "test")],
                false,
                "does not unwind",
            ),
            (
                vec![sys("unwind"), echo("unwind", "test")],
                false,
                "the host kernel is there",
            ),
            (
                vec![sys("unwind"), host("unwind"), echo("unwind", "build")],
                false,
                "a driver is linked: true",
            ),
        ] {
            let problem = problem(&units, of_driver);
            assert!(problem.contains(told), "{problem:?} instead of {told:?}");
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
        assert!(names(list).eq(["a::b".to_owned()]));
    }

    #[test]
    fn examples_of_the_documentation_are_known() {
        let list = "wsk/src/socket/option.rs - socket::option (line 6): test\na::b: test\n";
        let mut known = names(list).map(|test| is_of_the_documentation(&test));
        assert_eq!(known.next().zip(known.next()), Some((true, false)));
    }
}
