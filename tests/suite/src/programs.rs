//! Tests as programs for Windows: those of the host kernel, of `wsk`, of the sample drivers and of the driver in C, and the examples of the
//! documentation, run in Wine. And what decides there whether `wsk-sys` imports from the kernel's modules or leaves its functions to the host
//! kernel: the panic strategy of each compilation unit.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use wsk_drivers::build::DRIVERS;
use wsk_drivers::wine::Wine;
use wsk_drivers::{image, toolchain};

use crate::command::{output, repository, run};

/// Where Rust links without Microsoft's tools.
const TARGET: &str = toolchain::X86_64_GNU;
/// The packages whose tests are run.
const PACKAGES: [&str; 4] = ["wsk-host", "wsk", "wsk-sys", "wsk-driver"];
/// A package whose driver clang compiles for Windows, as it does for this system.
const DRIVER_IN_C: &str = "wsk-driver-in-c";
/// Rust's check of pointers finds that Wine's lists of addresses aren't aligned; reading them is fine on this processor.
const UNALIGNED: &str = "profile.dev.package.dns-lookup.debug-assertions=false";
/// Where the host kernel is optimised, programs for Windows do not tell which of its functions a fault was in.
const TOLD: &str = "profile.dev.package.wsk-host.opt-level=0";

/// Sample drivers that need the ECN bits of datagrams, which Wine's sockets do not tell: their tests run elsewhere.
const ALONG: [&str; 1] = ["udp-segments"];

/// Tests that Wine 8 lacks something for, and what.
const LACKING: &[(&str, &[&str])] = &[
    (
        "a connection is ended in good order where it is to be reset",
        &[
            "a_reset_by_the_peer",
            "an_abortive_disconnect",
            "cancelling_sends",
            "closing_with_everything_in_flight",
            "disconnect_events",
            "how_a_close_looks_to_the_peer",
            "accept_events",
            "accepts_are_cancelled_and_closed_and_forced",
            "inspection",
            "a_pended_inspection_is_aborted_by_the_peer",
            "wrong_answer_to_an_abort_event",
            "connection::a_disconnect_that_takes_too_long_aborts",
            "connection::a_reset_by_the_peer_is_an_error",
            "connection::an_abort_resets_the_connection_and_ends_what_is_in_flight",
            "connection::closing_without_a_disconnect_resets",
            "inspection::a_handler_may_close_its_listener_while_it_inspects",
            "inspection::a_listener_closes_though_connections_are_pended",
            "inspection::a_peer_that_gives_up_is_told",
            "inspection::connections_are_accepted_or_rejected_before_they_are_made",
            "inspection::what_is_pended_is_answered_from_anywhere",
            "inspection::without_memory_a_connection_is_rejected",
            "listening::a_connection_that_nobody_takes_is_closed",
            "listening::connections_come_as_events",
            "listening::the_connecting_side_has_events_too",
            "requests::inspections_are_ended_with_every_finisher",
            "requests::requests_of_a_connection_with_every_finisher",
            "stream::events_are_those_of_what_the_socket_has_become",
            "waiting::bytes_that_came_before_the_connection_broke_are_given_back",
        ],
    ),
    (
        "a connection that the other side has closed meanwhile cannot be accepted",
        &[
            "connection::a_connection_that_nobody_takes_is_closed",
            "connection_ex::first_data_goes_with_the_connection",
            "requests::connecting_and_accepting_with_every_finisher",
        ],
    ),
    (
        "SIO_TCP_INFO, which tells what a peer has not acknowledged",
        &[
            "a_graceful_disconnect_waits_for_what_the_host_has_taken",
            "stream::one_listens_and_another_connects",
        ],
    ),
    (
        "TCP_KEEPCNT",
        &[
            "options_and_queries",
            "connection::options_of_connections_are_set_and_read",
        ],
    ),
    (
        "IP_MTU_DISCOVER and IPV6_MTU_DISCOVER",
        &["network_options::the_largest_packet_is_found_out_as_told"],
    ),
    (
        "WSASendMsg leaves out control information",
        &[
            "control::what_is_sent_along_arrives_over_ipv4",
            "control::what_is_sent_along_arrives_over_ipv6",
            "control::ecn_of_a_prepared_send_changes_between_its_runs",
            "control::a_prepared_sender_tells_what_goes_along",
            "control::the_source_address_is_chosen",
            "control::a_prepared_sender_chooses_its_address_and_is_cut",
            "control::bytes_length_control_and_address_of_a_prepared_send_change_between_its_runs",
        ],
    ),
    (
        "cargo, which builds the demo and runs it",
        &[
            "it_shows_the_life_of_each_irp",
            "it_sends_to_an_address_of_the_user",
            "a_wrong_address_is_told_what_is_wrong",
            "help_says_what_can_be_asked",
            "a_message_that_does_not_fit_is_told_the_limit",
            "a_reader_that_has_seen_enough_ends_it",
        ],
    ),
    (
        "IP_HOPLIMIT: datagrams over IPv4 come without their time to live",
        &[
            "control::a_receive_tells_what_came_along",
            "control::an_event_tells_what_came_along",
            "control::room_that_is_too_small_is_told",
        ],
    ),
    (
        "bind takes addresses that are not this machine's",
        &["binding"],
    ),
    (
        "a socket whose events are waited for gives its port back a little after it is closed",
        &["a_listener_binds_again_while_its_port_has_connections_in_time_wait"],
    ),
    (
        "leaving a group that was not joined is WSAEINVAL, not WSAEADDRNOTAVAIL",
        &["multicast"],
    ),
];

/// Adds the packages whose tests are run.
fn of_the_packages(command: &mut Command) {
    let drivers = DRIVERS.iter().filter(|driver| !ALONG.contains(driver));
    for package in PACKAGES.iter().chain(drivers) {
        command.args(["--package", package]);
    }
}

/// Runs the check.
pub(crate) fn check() -> Result<(), String> {
    units()?;
    needs_unwinding()?;
    let wine = Wine::new()?;
    random_numbers(&wine)?;
    let listed: Vec<String> = names(&output(&mut tests(&wine, &["--list"]))?).collect();
    if !listed.iter().any(|test| is_of_the_documentation(test)) {
        return Err("the examples of the documentation are not among the tests".to_owned());
    }
    let lacking: Vec<&str> = LACKING
        .iter()
        .flat_map(|(_, tests)| tests.iter().copied())
        .collect();
    if let Some(gone) = lacking
        .iter()
        .find(|test| !listed.iter().any(|it| it == *test))
    {
        return Err(format!(
            "Wine lacks something for {gone}, which is no test (any more)"
        ));
    }
    imports(&wine)?;
    let mut arguments = vec!["--exact"];
    for test in &lacking {
        arguments.extend(["--skip", test]);
    }
    run(&mut tests(&wine, &arguments))?;
    println!(
        "{} of {} tests are left out, for what Wine lacks:",
        lacking.len(),
        listed.len()
    );
    for (reason, tests) in LACKING {
        println!("    {}: {reason}", tests.join(", "));
    }
    Ok(())
}

/// `cargo` for tests as programs for Windows.
fn cargo(subcommand: &str) -> Command {
    let mut command = toolchain::cargo(subcommand, TARGET, &toolchain::windows_directory());
    command.args(["--config", UNALIGNED, "--config", TOLD]);
    command
}

/// The tests, with arguments for their programs.
fn tests(wine: &Wine, arguments: &[&str]) -> Command {
    let mut command = cargo("test");
    command.args(["--no-fail-fast", "--package", DRIVER_IN_C]);
    of_the_packages(&mut command);
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
fn random_numbers(wine: &Wine) -> Result<(), String> {
    let source = repository().join("tests/suite/windows/bcryptprimitives.rs");
    let file = wine.system_folder().join("bcryptprimitives.dll");
    if file.exists() {
        return Ok(());
    }
    let mut rustc = Command::new("rustc");
    rustc
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "cdylib",
            "--target",
            TARGET,
        ])
        .args(["-O", "-C", "panic=abort", "-C", "link-arg=-nostartfiles"])
        .args(["-C", "link-arg=-Wl,--entry=DllMain", "-o"])
        .arg(file)
        .arg(source);
    run(&mut rustc)
}

/// Looks at the compilation units of a driver, of its tests, and of its tests with the profile that drivers are built with.
fn units() -> Result<(), String> {
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
            let graph = output(&mut command)?;
            let graph: Value = serde_json::from_str(&graph).map_err(|error| error.to_string())?;
            problem_of_units(&graph, of_driver).map_or(Ok(()), |problem| {
                Err(format!(
                    "cargo {subcommand} --package {driver} --profile {profile}: {problem}"
                ))
            })?;
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
fn imports(wine: &Wine) -> Result<(), String> {
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
    if programs.len() != DRIVERS.len() {
        return Err(format!("{programs:?} are not the tests of {DRIVERS:?}"));
    }
    for program in programs {
        let bytes = fs::read(Path::new(&program)).map_err(|error| format!("{program}: {error}"))?;
        let files = image::imported_files(&bytes)?;
        if !files.contains("kernel32.dll") || files.iter().any(|file| of_the_kernel(file)) {
            return Err(format!("{program} imports from {files:?}"));
        }
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

/// The host kernel says so where it is built without unwinding.
fn needs_unwinding() -> Result<(), String> {
    let mut command = cargo("check");
    command.args(["--package", "wsk-host", "--profile", "driver"]);
    match output(&mut command) {
        Err(said) if said.contains("wsk-host is for programs that unwind") => Ok(()),
        Err(said) => Err(format!(
            "wsk-host without unwinding fails for another reason: {said}"
        )),
        Ok(_) => {
            Err("wsk-host can be built without unwinding, and stands in for nothing".to_owned())
        }
    }
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
