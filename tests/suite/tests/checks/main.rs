//! Checks that take more than a command. Tests that take long are ignored in an ordinary run: a command of `checks.toml` runs each of them.

#![allow(missing_docs)]

mod packages;
mod pages;
mod programs;
mod search;

use std::process::Command;
use std::sync::LazyLock;

use anyhow::Result;
use serde_json::Value;
use wsk_drivers::toolchain::repository;
use xshell::{Cmd, Shell};

use packages::list;

/// A shell in the repository's root.
fn shell() -> Result<Shell> {
    let shell = Shell::new()?;
    shell.change_dir(std::fs::canonicalize(repository())?);
    Ok(shell)
}

/// The cargo that runs this.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// A command in the form of the shell, which prints it when it runs.
fn shown<'a>(shell: &'a Shell, command: &Command) -> Cmd<'a> {
    let shown = shell.cmd(command.get_program()).args(command.get_args());
    { command.get_envs() }.fold(shown, |shown, (name, value)| match value {
        Some(value) => shown.env(name, value),
        None => shown.env_remove(name),
    })
}

/// The table of checks.
static TABLE: LazyLock<Value> =
    LazyLock::new(|| toml::from_str(include_str!("../../checks.toml")).unwrap());

/// The commands of checks: of all, or of one.
fn commands(of: Option<&str>) -> Vec<String> {
    let checks = list(&TABLE, "/check").filter(|check| of.is_none_or(|of| check["name"] == of));
    let steps = checks.flat_map(|check| list(check, "/commands"));
    let line = |step: &Value| step.get("run").unwrap_or(step).as_str().map(str::to_owned);
    steps.filter_map(line).collect()
}

/// The words of a command that follow `word`.
fn after<'a>(word: &str, command: &'a str) -> Vec<&'a str> {
    let words: Vec<_> = command.split(' ').collect();
    let pairs = words.windows(2).filter(|pair| pair[0] == word);
    pairs.map(|pair| pair[1]).collect()
}

#[test]
fn each_test_is_run_by_one_command() {
    const ALL: &str = "cargo test --profile suite -p wsk-suite";
    let own = std::env::current_exe().unwrap();
    let list = Command::new(own).args(["--list", "--ignored"]).output();
    let list = String::from_utf8(list.unwrap().stdout).unwrap();
    let mut ignored: Vec<_> = programs::names(&list).collect();
    let commands = commands(None);
    let one = format!("{ALL} --test checks -- --ignored --nocapture --exact ");
    let run = commands.iter().filter_map(|line| line.strip_prefix(&one));
    let mut run: Vec<_> = run.collect();
    ignored.sort_unstable();
    run.sort_unstable();
    assert_eq!(ignored, run);
    assert!(run.len() > 5 && commands.iter().any(|line| line == ALL));
}

#[test]
fn packages_left_out_of_a_check_are_tested_by_another_command() {
    let tests = commands(Some("tests"));
    let excluded = after("--exclude", &tests[0]);
    assert!(excluded.len() > 1, "{tests:?}");
    for package in excluded {
        let whole = |line: &String| {
            let all = line.starts_with("cargo test ") && !line.contains(" --test ");
            all && after("-p", line).contains(&package)
        };
        assert!(commands(None).iter().any(whole), "{package}");
    }
}
