//! The tests of operations in flight under address sanitizer and under valgrind: neither may see a use of freed memory.

use std::process::Command;

use crate::{run, tools};

/// Runs the tests of `wsk`, and the abuse of its handles, with address sanitizer.
pub(crate) fn address_sanitizer() -> Result<(), String> {
    let mut command = Command::new(tools::cargo());
    command.args([
        "test",
        "--package",
        "wsk",
        "--tests",
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

/// Runs the tests of `wsk` under valgrind.
pub(crate) fn valgrind() -> Result<(), String> {
    let runner = format!(
        "CARGO_TARGET_{}_RUNNER",
        tools::host().replace('-', "_").to_uppercase()
    );
    let mut command = Command::new(tools::cargo());
    command.args([
        "test",
        "--package",
        "wsk",
        "--tests",
        "--target-dir",
        "target/valgrind",
    ]);
    command.env(
        runner,
        "valgrind --quiet --error-exitcode=9 --fair-sched=yes",
    );
    run(&mut command)
}
