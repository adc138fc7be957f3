//! Runs the fuzz targets for a while, with the coverage instrumentation that libFuzzer reads.

use std::process::Command;

use crate::{run, tools};

const TARGETS: [&str; 1] = ["control"];

/// The compiler's part of `cargo fuzz`, which is a matter of code generation options.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Fuzzes each target for 20 seconds.
pub(crate) fn targets() -> Result<(), String> {
    let clang = tools::clang().ok_or("there is no clang")?;
    let plus_plus = clang.to_string_lossy().replacen("clang", "clang++", 1);
    for target in TARGETS {
        let mut command = Command::new(tools::cargo());
        command.args(["run", "--package", "wsk-fuzz", "--bin", target, "--release"]);
        command.args(["--target", &tools::host(), "--target-dir", "target/fuzz"]);
        command.args([
            "--",
            "-max_total_time=20",
            "-max_len=512",
            "-print_final_stats=1",
        ]);
        command
            .env("RUSTFLAGS", INSTRUMENTATION)
            .env("CXX", &plus_plus);
        run(&mut command)?;
    }
    Ok(())
}
