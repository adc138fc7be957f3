//! The oldest Rust that each published package says it compiles with: it does.

use std::collections::BTreeMap;
use std::process::Command;

use crate::{publishing, run};

/// Checks the published packages with the Rust that their `rust-version` names.
pub(crate) fn rust() -> Result<(), String> {
    if Command::new("rustup").arg("--version").output().is_err() {
        println!(
            "NOT RUN: this Rust was not installed by rustup, which alone installs an older one"
        );
        return Ok(());
    }
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in publishing::published()? {
        let version = package
            .rust_version
            .ok_or_else(|| format!("{} names no Rust", package.name))?;
        versions
            .entry(version.to_string())
            .or_default()
            .push(package.name.to_string());
    }
    for (version, packages) in versions {
        let rust = |program: &str| {
            let mut command = Command::new("rustup");
            command.args(["run", &version, program]);
            // Those of the cargo that runs this are for another Rust.
            for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
                command.env_remove(variable);
            }
            command
        };
        let here = rust("rustc").arg("--version").output();
        if !here.is_ok_and(|output| output.status.success()) {
            let mut install = Command::new("rustup");
            install.args(["toolchain", "install", &version, "--profile", "minimal"]);
            run(&mut install)?;
        }
        let mut check = rust("cargo");
        check.args(["check", "--all-features"]);
        check.args(["--target-dir", "target/oldest"]);
        for package in &packages {
            check.args(["--package", package]);
        }
        run(&mut check)?;
    }
    Ok(())
}
