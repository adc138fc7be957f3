//! The crates compile for Windows, where they are meant to run: with the active toolchain if it has the targets, else with
//! Debian's, which builds `core` from source.

use std::process::Command;

use crate::{run, tools};

const TARGETS: [&str; 2] = ["x86_64-pc-windows-msvc", "aarch64-pc-windows-msvc"];

/// Checks `wsk-sys` and `wsk` for both targets.
pub(crate) fn check() -> Result<(), String> {
    for target in TARGETS {
        let mut command = if tools::windows_target() {
            Command::new(tools::cargo())
        } else {
            let mut command = Command::new(tools::DEBIAN_CARGO);
            command
                .env("RUSTC", tools::DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env_remove("RUSTUP_TOOLCHAIN");
            command
        };
        // `check --package wsk` is not enough: features of wsk-sys that wsk does not use count too.
        command.args([
            "check",
            "--package",
            "wsk",
            "--package",
            "wsk-sys",
            "--all-features",
            "--target",
            target,
        ]);
        command.args(["--target-dir", "target/windows"]);
        if !tools::windows_target() {
            command.arg("-Zbuild-std=core,compiler_builtins");
        }
        run(&mut command)?;
    }
    Ok(())
}
