//! Installs what checks need beyond the active Rust: Debian's packages, and other Rusts by rustup.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use wsk_drivers::toolchain;

use crate::command::{Log, rustup};

/// Debian packages, and the files or programs of which one shows that they are not needed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tool {
    packages: Vec<String>,
    present: Vec<String>,
}

impl Tool {
    fn is_present(&self) -> bool {
        let there = |sign: &String| match sign.strip_prefix('$') {
            Some(variable) => std::env::var_os(variable).is_some(),
            None if sign == "{windows}" => toolchain::windows(),
            None if sign.starts_with('/') => Path::new(sign).exists(),
            None => is_there(sign),
        };
        self.present.iter().any(there)
    }
}

/// Installs what is missing.
pub(crate) fn all<'a>(tools: impl Iterator<Item = &'a Tool>) -> Result<()> {
    let missing: Vec<_> = tools.filter(|tool| !tool.is_present()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().flat_map(|tool| &tool.packages).collect();
    let list = packages.into_iter().cloned().collect::<Vec<_>>().join(" ");
    println!("missing: {list}");
    ensure!(
        Path::new("/usr/bin/apt-get").exists(),
        "install these, or what provides them on this system, and run again: {list}"
    );
    let root = printed(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut log = Log::new(true);
    let mut apt = |line: &str| {
        let mut command = Command::new(if root { "apt-get" } else { "sudo" });
        command.args((!root).then_some("apt-get"));
        command.args(line.split(' '));
        log.run(command.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt("update -qq")?;
    apt(&format!("install -y -qq --no-install-recommends {list}"))
        .with_context(|| format!("install by hand and run again: {list}"))?;
    let lacking = missing.iter().find(|tool| !tool.is_present());
    let lacking = lacking.map(|tool| &tool.packages);
    ensure!(
        lacking.is_none(),
        "what {lacking:?} provide is still not found"
    );
    Ok(())
}

/// Whether a program can be run.
pub(crate) fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Installs a Rust with these components. Returns `false` and says so if there is no rustup.
pub(crate) fn rust(log: &mut Log, version: &str, components: &[String]) -> Result<bool> {
    if !is_there("rustup") {
        log.note(&format!("NOT RUN: it needs rustup, for Rust {version}"));
        return Ok(false);
    }
    let listed = printed(rustup().args(["toolchain", "list"]))?;
    let named = format!("{version}-");
    if !listed.lines().any(|line| line.starts_with(&named)) {
        log.run(rustup().args(["toolchain", "install", version, "--profile", "minimal"]))?;
    }
    let mut command = rustup();
    command.args(["component", "add", "--toolchain", version]);
    log.run(command.args(components))?;
    Ok(true)
}

/// The standard output of a command.
fn printed(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(command.output()?.stdout)?)
}
