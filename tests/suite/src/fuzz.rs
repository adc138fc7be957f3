//! Runs the fuzz targets for a while, with the coverage instrumentation that libFuzzer reads.

use std::process::Command;

use crate::{run, tools};

/// A fuzz target: the crate that has it, its name, and the length of the inputs that are worth trying.
struct Target {
    manifest: &'static str,
    name: &'static str,
    length: usize,
}

const TARGETS: [Target; 2] = [
    Target {
        manifest: "tests/fuzz/Cargo.toml",
        name: "control",
        length: 512,
    },
    Target {
        manifest: "codegen/fuzz/Cargo.toml",
        name: "text",
        length: 1024,
    },
];

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
        command.args(["run", "--manifest-path", target.manifest]);
        command.args(["--bin", target.name]);
        command.args(["--target", &tools::host(), "--target-dir", "target/fuzz"]);
        let length = format!("-max_len={}", target.length);
        command.args([
            "--",
            "-max_total_time=20",
            &length,
            "-print_final_stats=1",
            "-verbosity=0",
        ]);
        command
            .env("RUSTFLAGS", INSTRUMENTATION)
            // Compiled in a fraction of the time that release builds take, and fast enough.
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .env("CXX", &plus_plus);
        run(&mut command)?;
    }
    Ok(())
}
