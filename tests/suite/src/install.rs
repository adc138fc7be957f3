//! Installs what checks need beyond Rust: Debian's packages, and a nightly Rust by rustup.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use wsk_drivers::toolchain;

use crate::command::{of_rustup, output, run};

/// Debian packages, and what tells that they are there already, from them or from elsewhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tool {
    pub(crate) packages: Vec<String>,
    present: Vec<String>,
}

impl Tool {
    fn is_present(&self) -> bool {
        self.present
            .iter()
            .any(|sign| match sign.strip_prefix('$') {
                Some(variable) => std::env::var_os(variable).is_some(),
                None if sign == "{windows}" => toolchain::windows(),
                None if sign.starts_with('/') => Path::new(sign).exists(),
                None => is_there(sign),
            })
    }
}

/// Installs what is missing.
pub(crate) fn all<'a>(tools: impl Iterator<Item = &'a Tool>) -> Result<()> {
    let missing: Vec<_> = tools.filter(|tool| !tool.is_present()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing
        .iter()
        .flat_map(|tool| tool.packages.clone())
        .collect();
    let list = packages.join(" ");
    println!("missing: {list}");
    ensure!(
        Path::new("/usr/bin/apt-get").exists(),
        "install these, or what provides them on this system, and run again: {list}"
    );
    let root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let apt = |line: &str| {
        let mut command = Command::new(if root { "apt-get" } else { "sudo" });
        command
            .args((!root).then_some("apt-get"))
            .args(line.split(' '));
        run(command.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt("update -qq")?;
    apt(&format!("install -y -qq --no-install-recommends {list}"))
        .with_context(|| format!("install by hand and run again: {list}"))?;
    for tool in missing {
        let packages = &tool.packages;
        ensure!(
            tool.is_present(),
            "{packages:?} was installed and what it provides is still not found"
        );
    }
    Ok(())
}

/// Whether a program is there, which tells its version.
pub(crate) fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Whether rustup is there; where it is not, it is said what is not run.
pub(crate) fn rustup(what: &str) -> bool {
    let there = is_there("rustup");
    if !there {
        println!("NOT RUN: rustup is not here, which alone installs {what}");
    }
    there
}

/// Installs a nightly Rust with these components; `false` where there can be none, which is said.
pub(crate) fn nightly(components: &[String]) -> Result<bool> {
    if !rustup("a nightly Rust") {
        return Ok(false);
    }
    let listed = output(Command::new("rustup").args(["toolchain", "list"]))?;
    if !listed.lines().any(|line| line.starts_with("nightly-")) {
        let mut command = Command::new("rustup");
        run(command.args(["toolchain", "install", "nightly", "--profile", "minimal"]))?;
    }
    let mut command = Command::new("rustup");
    of_rustup(&mut command);
    command.args(["component", "add", "--toolchain", "nightly"]);
    run(command.args(components))?;
    Ok(true)
}
