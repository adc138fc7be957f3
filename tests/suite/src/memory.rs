//! The tests of operations in flight under address sanitizer and under valgrind: neither may see a use of freed memory.

use std::process::Command;

use crate::{run, tools};

/// What is tested: the tests of `wsk`, and the abuse of its handles and by its buffers, wakers and completions.
const TESTS: [&[&str]; 3] = [
    &["--package", "wsk", "--tests"],
    &["--package", "wsk-schedules", "--test", "abuse"],
    &["--package", "wsk-schedules", "--test", "promises"],
];

/// A test that reads freed pool, which passes where nobody watches: the host kernel has to tell the tool what is freed.
const FREED_READ: &[&str] = &[
    "--package",
    "wsk-host",
    "--test",
    "memory",
    "--",
    "--ignored",
    "--exact",
    "freed_heap_read",
];

/// Runs the tests with address sanitizer.
pub(crate) fn address_sanitizer() -> Result<(), String> {
    TESTS
        .into_iter()
        .try_for_each(|tests| run(&mut sanitized(tests)))?;
    run_and_see(&mut sanitized(FREED_READ), "use-after-poison")
}

/// Runs a command that has to fail, with a text in what it prints.
fn run_and_see(command: &mut Command, text: &str) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?} could not be run: {error}"))?;
    let printed =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() || !printed.iter().any(|printed| printed.contains(text)) {
        return Err(format!(
            "{command:?} has not told of {text}, though freed memory was read:\n{}\n{}",
            printed[0], printed[1]
        ));
    }
    Ok(())
}

fn sanitized(tests: &[&str]) -> Command {
    let mut command = Command::new(tools::cargo());
    command
        .args(["test", "--target", &tools::host()])
        .args(["--target-dir", "target/asan"])
        .args(tests);
    // The sanitizer's runtime comes with stable toolchains; only the option is still unstable.
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address");
    // What is leaked on purpose is judged by the host kernel.
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    command
}

/// Runs the tests under valgrind.
pub(crate) fn valgrind() -> Result<(), String> {
    TESTS
        .into_iter()
        .try_for_each(|tests| run(&mut on_valgrind(tests)))?;
    run_and_see(&mut on_valgrind(FREED_READ), "Invalid read of size 1")
}

fn on_valgrind(tests: &[&str]) -> Command {
    let runner = format!(
        "CARGO_TARGET_{}_RUNNER",
        tools::host().replace('-', "_").to_uppercase()
    );
    let mut command = Command::new(tools::cargo());
    command
        .args(["test", "--target-dir", "target/valgrind"])
        .args(tests);
    command.env(
        runner,
        "valgrind --quiet --error-exitcode=9 --fair-sched=yes",
    );
    command
}
