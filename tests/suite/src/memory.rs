//! The tests of operations in flight under address sanitizer and under valgrind: neither may see a use of freed memory.

use std::process::Command;

use crate::{run, tools};

/// What is tested: the tests of `wsk`, and the abuse of its handles and by its buffers, wakers and completions.
const TESTS: [&[&str]; 3] = [
    &["--package", "wsk", "--tests"],
    &["--package", "wsk-schedules", "--test", "abuse"],
    &["--package", "wsk-schedules", "--test", "promises"],
];

/// Runs the tests with address sanitizer.
pub(crate) fn address_sanitizer() -> Result<(), String> {
    TESTS.into_iter().try_for_each(sanitize)
}

fn sanitize(tests: &[&str]) -> Result<(), String> {
    let mut command = Command::new(tools::cargo());
    command.arg("test").args(tests).args([
        "--target",
        &tools::host(),
        "--target-dir",
        "target/asan",
    ]);
    // The sanitizer's runtime comes with stable toolchains; only the option is still unstable.
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address");
    // What is leaked on purpose is judged by the host kernel.
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    run(&mut command)
}

/// Runs the tests under valgrind.
pub(crate) fn valgrind() -> Result<(), String> {
    TESTS.into_iter().try_for_each(run_on_valgrind)
}

fn run_on_valgrind(tests: &[&str]) -> Result<(), String> {
    let runner = format!(
        "CARGO_TARGET_{}_RUNNER",
        tools::host().replace('-', "_").to_uppercase()
    );
    let mut command = Command::new(tools::cargo());
    command
        .arg("test")
        .args(tests)
        .args(["--target-dir", "target/valgrind"]);
    command.env(
        runner,
        "valgrind --quiet --error-exitcode=9 --fair-sched=yes",
    );
    run(&mut command)
}
