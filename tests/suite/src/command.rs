//! Runs the commands of a check.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use wait4::Wait4;
use wsk_drivers::build::DRIVERS;
use wsk_drivers::toolchain::{cargo_for, has, host, repository, target_directory};
use wsk_drivers::wine;

use crate::install;
use crate::table::{Check, Judged, Step};

/// The output of a check's commands, which is shown as it comes or kept, and the processor time that they take.
#[derive(Default)]
pub(crate) struct Log {
    shown: bool,
    pub(crate) said: Vec<u8>,
    pub(crate) processors: Duration,
}

impl Log {
    pub(crate) fn new(shown: bool) -> Self {
        let empty = Self::default();
        Self { shown, ..empty }
    }

    pub(crate) fn note(&mut self, line: &str) {
        if self.shown {
            println!("{line}");
        } else {
            self.said.extend([line.as_bytes(), b"\n"].concat());
        }
    }

    /// Runs a command.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<()> {
        let (ended, said) = self.end_of(command, !self.shown)?;
        self.said.extend(said);
        ensure!(ended.success(), "`{}` ended with {ended}", line(command));
        Ok(())
    }

    /// Runs a command that has to fail, with `asked` in its output.
    fn fails(&mut self, command: &mut Command, asked: &str) -> Result<()> {
        let (ended, said) = self.end_of(command, true)?;
        let (line, said) = (line(command), String::from_utf8_lossy(&said));
        let good = !ended.success() && said.contains(asked);
        ensure!(good, "`{line}` ended with {ended}, not `{asked}`:\n{said}");
        Ok(())
    }

    /// Runs a command, and returns its status, and its output if that is kept.
    fn end_of(&mut self, command: &mut Command, kept: bool) -> Result<(ExitStatus, Vec<u8>)> {
        let line = line(command);
        self.note(&format!("$ {line}"));
        let (mut reader, writer) = std::io::pipe()?;
        if kept {
            command.stdout(writer.try_clone()?).stderr(writer);
        }
        let child = command.spawn();
        let mut said = Vec::new();
        if kept {
            // Reading ends when the last writer is closed, so this process closes its own.
            command.stdout(Stdio::null()).stderr(Stdio::null());
            reader.read_to_end(&mut said)?;
        }
        let child = child.with_context(|| format!("`{line}` could not be run"))?;
        let used = { child }.wait4()?;
        self.processors += used.rusage.utime + used.rusage.stime;
        Ok((used.status, said))
    }
}

/// The programs that this machine lacks, without which a check was not run, or not all of it.
pub(crate) type Lacking = BTreeSet<String>;

/// Runs the commands of a check, as far as this machine can.
pub(crate) fn run_check(check: &Check, log: &mut Log) -> Result<Lacking> {
    for (version, components) in &check.rust {
        if !install::rust(log, version, components)? {
            return Ok(Lacking::from(["rustup".to_owned()]));
        }
    }
    for target in check.targets.iter().filter(|target| !has(target)) {
        log.run(Command::new("rustup").args(["target", "add", target]))?;
    }
    let mut lacking = Lacking::new();
    for step in &check.commands {
        let (run, step) = match step {
            Step::Line(run) => (run, &Judged::default()),
            Step::Table(step) => (&step.run, step),
        };
        let mut command = made(run, &check.env, &step.env);
        match (&step.optional, &step.fails) {
            (Some(program), _) if !install::is_there(program) => {
                log.note(&format!("NOT RUN: `{run}`, for {program} is not here"));
                lacking.insert(program.clone());
            }
            (_, Some(asked)) => log.fails(&mut command, asked)?,
            _ => log.run(&mut command)?,
        }
    }
    Ok(lacking)
}

/// Makes the command of a line, with the variables of its check and its own.
fn made(text: &str, of_all: &BTreeMap<String, String>, own: &BTreeMap<String, String>) -> Command {
    let text = filled(text);
    let mut words = text.split_whitespace();
    let program = words.next().unwrap_or_default();
    let target = words.clone().skip_while(|word| *word != "--target").nth(1);
    let mut command = match program {
        "cargo" => cargo_for(target.unwrap_or_default()),
        "rustup" => rustup(),
        _ => Command::new(program),
    };
    // Most is built once, and incremental compilation would take a third of the compiler's time.
    command.env("CARGO_INCREMENTAL", "0");
    let variables = of_all.iter().chain(own);
    command.envs(variables.map(|(name, value)| (name, filled(value))));
    command.args(words).current_dir(repository());
    command
}

/// `rustup`, without the variables that cargo sets for the programs that it runs: they name the active Rust.
pub(crate) fn rustup() -> Command {
    let mut command = Command::new("rustup");
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

fn filled(text: &str) -> String {
    /// Each is asked for once, and only by a line that has it.
    static HOST: LazyLock<String> = LazyLock::new(host);
    /// The newest compiler of C++ beside clang.
    static CLANG: LazyLock<String> = LazyLock::new(|| {
        let mut clangs = (16..30).rev().map(|version| format!("clang++-{version}"));
        let newest = clangs.find(|name| install::is_there(name));
        newest.unwrap_or_else(|| "clang++".to_owned())
    });
    static WINE: LazyLock<String> = LazyLock::new(|| {
        let program = wine::program().unwrap_or_else(|| "wine".into());
        program.to_string_lossy().into_owned()
    });
    let mut text = text.to_owned();
    for (name, value) in [("{host}", &HOST), ("{clang++}", &CLANG), ("{wine}", &WINE)] {
        if text.contains(name) {
            text = text.replace(name, value);
        }
    }
    let drivers: Vec<_> = DRIVERS.iter().map(|name| format!("-p {name}")).collect();
    text.replace("{target}", &target_directory().to_string_lossy())
        .replace("{drivers}", &drivers.join(" "))
}

fn line(command: &Command) -> String {
    let program = [command.get_program()].into_iter();
    let words: Vec<_> = program.chain(command.get_args()).collect();
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Log, line, made, run_check};
    use crate::table::{Judged, Step, read};

    #[test]
    fn a_command_that_does_not_do_what_is_asked_is_told() {
        for (run, fails, optional, told) in [
            ("rustc --version", "", "", "$ rustc --version\nrustc 1."),
            ("rustc --nothing", "", "", ""),
            ("rustc --nothing", "Unrecognized option", "", "$ rustc"),
            ("rustc --nothing", "something else", "", ""),
            ("rustc --version", "rustc", "", ""),
            ("no-such-program", "", "", ""),
            ("rustc --nothing", "", "no-such-program", "NOT RUN: `rustc"),
        ] {
            let asked = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let step = Judged {
                run: run.to_owned(),
                fails: asked(fails),
                optional: asked(optional),
                env: BTreeMap::new(),
            };
            let (mut check, mut log) = (read().check.swap_remove(0), Log::default());
            check.commands = vec![Step::Table(step)];
            let ended = run_check(&check, &mut log);
            assert_eq!(ended.is_ok(), !told.is_empty(), "{run}: {ended:?}");
            let lacking = ended.map_or(0, |lacking| lacking.len());
            assert_eq!(lacking, usize::from(!optional.is_empty()), "{run}");
            assert!(log.said.starts_with(told.as_bytes()), "{run}");
            let ran = !run.starts_with("no") && optional.is_empty();
            assert_eq!(log.processors.is_zero(), !ran, "{run}");
        }
    }

    #[test]
    fn what_is_for_another_system_has_its_compiler() {
        let words = "check --target aarch64-apple-darwin --target-dir a/b --tests -p wsk";
        let env = BTreeMap::from([("RUNNER".to_owned(), "{host}".to_owned())]);
        let command = made(&format!("cargo {words}"), &env, &BTreeMap::new());
        assert!(line(&command).ends_with(words), "{}", line(&command));
        let mut runner = command.get_envs().filter(|(name, _)| *name == "RUNNER");
        let runner = runner.next().and_then(|(_, value)| value?.to_str());
        assert!(
            runner.is_some_and(|value| value.contains('-')),
            "{runner:?}"
        );
    }
}
