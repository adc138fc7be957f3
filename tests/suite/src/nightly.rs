//! Checks that only a nightly Rust can do: Miri, and thread sanitizer, for which the standard library is built too.

use std::process::Command;

use crate::{run, tools};

/// The models of aliasing that Miri knows.
const MODELS: [&str; 2] = ["", "-Zmiri-tree-borrows"];
/// With which seeds: of the scheduler, of addresses, and of how the small kernel ends requests.
const SEEDS: &str = "-Zmiri-many-seeds=0..2";
/// A client gets sockets as numbers. What is forgotten leaks; the small kernel counts what must not.
const MIRI: &str = "-Zmiri-permissive-provenance -Zmiri-ignore-leaks";

/// Installs a nightly Rust with these components; `false` where there can be none, which is said.
fn install(components: &[&str]) -> Result<bool, String> {
    if Command::new("rustup").arg("--version").output().is_err() {
        println!(
            "NOT RUN: this Rust was not installed by rustup, which alone installs a nightly one with {}",
            components.join(" and ")
        );
        return Ok(false);
    }
    let listed = Command::new("rustup").args(["toolchain", "list"]).output();
    let listed = listed.map_or_else(|_| Vec::new(), |output| output.stdout);
    if !String::from_utf8_lossy(&listed)
        .lines()
        .any(|line| line.starts_with("nightly-"))
    {
        let mut command = Command::new("rustup");
        run(command.args(["toolchain", "install", "nightly", "--profile", "minimal"]))?;
    }
    let mut command = Command::new("rustup");
    command.args(["component", "add", "--toolchain", "nightly"]);
    run(command.args(components))?;
    Ok(true)
}

/// Cargo of the nightly Rust, whatever runs this.
fn cargo() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]);
    // Those of the cargo that runs this are for another Rust.
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

/// Runs the code of `wsk` under Miri, over a small kernel in Rust.
pub(crate) fn miri() -> Result<(), String> {
    if !install(&["miri", "rust-src"])? {
        return Ok(());
    }
    for model in MODELS {
        let mut command = cargo();
        command.args(["miri", "test", "--package", "wsk-miri", "--test", "over"]);
        command.args(["--target-dir", "target/miri"]);
        command.env("MIRIFLAGS", format!("{MIRI} {SEEDS} {model}"));
        run(&mut command)?;
    }
    Ok(())
}

/// What is tested under thread sanitizer: the tests in which threads meet. Not the failures, which are many runs of one thread.
const THREADED: [&[&str]; 3] = [
    &[
        "--package",
        "wsk-schedules",
        "--test",
        "abuse",
        "--test",
        "schedules",
    ],
    &["--package", "wsk-host", "--test", "dispatcher"],
    &[
        "--package",
        "wsk",
        "--test",
        "host",
        "--",
        "--skip",
        MANY_MEGABYTES[0],
        "--skip",
        MANY_MEGABYTES[1],
    ],
];
/// What sends 32 MiB at once: the sanitizer looks at each byte, for minutes, or longer than a provider has to cancel.
const MANY_MEGABYTES: [&str; 2] = [
    "connection::a_send_that_runs_out_of_time_is_cancelled",
    "connection::a_send_ends_when_all_of_it_is_sent",
];
/// How many schedules are run: a fraction of what the test runs otherwise, which takes minutes under the sanitizer.
const SCHEDULES: &str = "1000";

/// Runs tests with thread sanitizer.
pub(crate) fn thread_sanitizer() -> Result<(), String> {
    if !install(&["rust-src"])? {
        return Ok(());
    }
    for tests in THREADED {
        let mut command = cargo();
        command.args(["test", "--target", &tools::host(), "-Zbuild-std"]);
        command.args(["--target-dir", "target/tsan"]).args(tests);
        command.env("RUSTFLAGS", "-Zsanitizer=thread");
        command.env("WSK_SCHEDULES", SCHEDULES);
        run(&mut command)?;
    }
    Ok(())
}
