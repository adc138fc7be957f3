//! Runs the commands of a check.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use wsk_drivers::build::DRIVERS;
use wsk_drivers::toolchain;

use crate::{Check, drivers, install, programs, publishing, search, without_wdk};

/// A command of a check.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Step {
    Line(String),
    Table(Judged),
}

/// A command, and what is asked of it besides success.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Judged {
    run: String,
    fails: Option<String>,
    prints: Option<BTreeSet<String>>,
    optional: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// Runs what a check consists of.
pub(crate) fn run_check(check: &Check) -> Result<()> {
    if !check.nightly.is_empty() && !install::nightly(&check.nightly)? {
        return Ok(());
    }
    for target in check
        .targets
        .iter()
        .filter(|target| !toolchain::has(target))
    {
        run(Command::new("rustup").args(["target", "add", target]))?;
    }
    for step in &check.commands {
        match step {
            Step::Line(line) => plain(line, &check.env)?,
            Step::Table(step) => {
                let mut env = check.env.clone();
                env.extend(step.env.clone());
                judged(step, &env)?;
            }
        }
    }
    Ok(())
}

fn plain(line: &str, env: &BTreeMap<String, String>) -> Result<()> {
    match line.strip_prefix("suite ") {
        Some("programs") => programs::check(),
        Some("without-wdk") => without_wdk::page(),
        Some("beside-wdk") => drivers::beside_wdk(),
        Some("build-scripts") => drivers::build_scripts(),
        Some("docs-rs") => publishing::documentation(),
        Some("oldest-rust") => publishing::oldest_rust(),
        Some("packages") => publishing::packages(),
        Some("search") => search::finds_the_names_of_c(),
        Some(other) => bail!("the suite has no {other}"),
        None => run(&mut made(line, env)),
    }
}

fn judged(step: &Judged, env: &BTreeMap<String, String>) -> Result<()> {
    if let Some(program) = &step.optional
        && !install::is_there(program)
    {
        println!("NOT RUN: {program} is not here, which `{}` needs", step.run);
        return Ok(());
    }
    if step.fails.is_none() && step.prints.is_none() {
        return plain(&step.run, env);
    }
    let mut command = made(&step.run, env);
    println!("$ {}", line(&command));
    let output = command.current_dir(repository()).output()?;
    let (printed, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let succeeded = output.status.success();
    let as_asked = if let Some(asked) = &step.fails {
        !succeeded && (printed.contains(asked) || told.contains(asked))
    } else {
        let lines = printed.lines().filter(|line| !line.is_empty());
        let lines: BTreeSet<_> = lines.map(str::to_owned).collect();
        succeeded && step.prints.as_ref() == Some(&lines)
    };
    let (run, status) = (&step.run, output.status);
    ensure!(
        as_asked,
        "`{run}` ended with {status}, and not as was asked:\n{printed}\n{told}"
    );
    Ok(())
}

/// The command that a line of the table stands for.
fn made(line: &str, env: &BTreeMap<String, String>) -> Command {
    let text = filled(line);
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let program = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let value = |name: &str| {
        let index = words.iter().position(|word| *word == name)?;
        words.get(index + 1).copied()
    };
    let mut command = match (program, value("--target"), value("--target-dir")) {
        // With the compiler and the linker for that.
        ("cargo", Some(target), Some(folder)) if target != host() => {
            toolchain::cargo(words[0], target, Path::new(folder))
        }
        ("cargo", ..) => Command::new(cargo()),
        _ => Command::new(program),
    };
    if program == "rustup" {
        of_rustup(&mut command);
    }
    // What it has been given already is not given again.
    let begun = command.get_args().next().is_some();
    let mut words = words.iter().skip(usize::from(begun));
    while let Some(word) = words.next() {
        if begun && ["--target", "--target-dir"].contains(word) {
            words.next();
        } else {
            command.arg(word);
        }
    }
    command.envs(
        env.iter()
            .map(|(name, value)| (filled(name), filled(value))),
    );
    command
}

/// What cargo tells the programs that it runs is for another Rust than the one that rustup is asked for.
pub(crate) fn of_rustup(command: &mut Command) {
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
}

fn filled(line: &str) -> String {
    if !line.contains('{') {
        return line.to_owned();
    }
    let (host, target) = (host(), toolchain::target_directory());
    let drivers: Vec<_> = DRIVERS.iter().map(|name| format!("-p {name}")).collect();
    line.replace("{host}", &host)
        .replace("{HOST}", &host.replace('-', "_").to_uppercase())
        .replace("{target}", &target.to_string_lossy())
        .replace("{drivers}", &drivers.join(" "))
        .replace("{clang++}", &clang_plus_plus())
}

/// The compiler of C++ beside clang: the newest.
fn clang_plus_plus() -> String {
    let versions = (16..30).rev().map(|version| format!("clang++-{version}"));
    { versions }
        .find(|name| install::is_there(name))
        .unwrap_or_else(|| "clang++".to_owned())
}

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    toolchain::repository()
}

/// The cargo that runs this.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// The triple that the active toolchain builds for.
pub(crate) fn host() -> String {
    let text = output(Command::new("rustc").arg("-vV")).unwrap_or_default();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap_or("x86_64-unknown-linux-gnu").to_owned()
}

fn line(command: &Command) -> String {
    let program = [command.get_program()].into_iter();
    let words: Vec<_> = program.chain(command.get_args()).collect();
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

/// Writes a file, in a folder that is made for it.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    path.parent().map_or(Ok(()), fs_err::create_dir_all)?;
    Ok(fs_err::write(path, text)?)
}

/// Prints a command and runs it in the repository.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    run_in(command, &repository())
}

/// Prints a command and runs it in a folder.
pub(crate) fn run_in(command: &mut Command, folder: &Path) -> Result<()> {
    let line = line(command);
    println!("$ {line}");
    let status = command.current_dir(folder).status();
    let status = status.with_context(|| format!("`{line}` could not be run"))?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}

/// What a command prints, once it has succeeded.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command.current_dir(repository()).output();
    let output = output.with_context(|| format!("{line} could not be run"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{line} ended with {}:\n{said}",
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Judged, Step, judged, made, run_check};
    use crate::table;

    fn asked(run: &str, fails: Option<&str>, prints: &[&str]) -> anyhow::Result<()> {
        let prints = prints.iter().map(|line| (*line).to_owned()).collect();
        let step = Judged {
            run: run.to_owned(),
            fails: fails.map(str::to_owned),
            prints: fails.is_none().then_some(prints),
            optional: None,
            env: BTreeMap::new(),
        };
        judged(&step, &step.env)
    }

    #[test]
    fn a_command_that_does_not_do_what_is_asked_is_told() {
        asked("rustc --nothing", Some("Unrecognized option"), &[]).unwrap();
        asked("rustc --nothing", Some("something else"), &[]).unwrap_err();
        asked("rustc --version", Some("rustc"), &[]).unwrap_err();
        asked("rustc --print sysroot --nothing", None, &[]).unwrap_err();
        asked(
            "rustc --print crate-name --crate-name a wsk/src/lib.rs",
            None,
            &["a"],
        )
        .unwrap();
        asked(
            "rustc --print crate-name --crate-name a wsk/src/lib.rs",
            None,
            &["a", "b"],
        )
        .unwrap_err();
        let mut check = table().check.swap_remove(0);
        check.commands = vec![Step::Line("suite nothing".to_owned())];
        let told = run_check(&check).unwrap_err().to_string();
        assert_eq!(told, "the suite has no nothing");
    }

    #[test]
    fn what_is_for_another_system_has_its_compiler() {
        let env = BTreeMap::from([("RUNNER_{HOST}".to_owned(), "x".to_owned())]);
        let line = "cargo check --target aarch64-apple-darwin --target-dir a/b --tests -p wsk";
        let command = made(line, &env);
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy())
            .collect();
        assert_eq!(
            words.join(" "),
            "check --target aarch64-apple-darwin --target-dir a/b --tests -p wsk"
        );
        let mut names = command.get_envs().map(|(name, _)| name.to_string_lossy());
        assert!(names.all(|name| !name.contains('{') && !name.contains('-')));
        let here = made(
            "cargo test -p wsk --test host -- --skip x",
            &BTreeMap::new(),
        );
        assert_eq!(here.get_args().count(), 8);
    }
}
