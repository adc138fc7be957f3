//! Runs the commands of a check.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use wait4::Wait4;
use wsk_drivers::build::DRIVERS;
use wsk_drivers::toolchain::{cargo_for, has, host, repository, target_directory};

use crate::install;
use crate::table::{Check, Judged, Step};

/// What the commands of a check say, and how long processors are busy with them.
pub(crate) struct Log {
    shown: bool,
    pub(crate) said: Vec<u8>,
    pub(crate) processors: Duration,
}

impl Log {
    /// A log that is shown as it comes, or kept.
    pub(crate) fn new(shown: bool) -> Self {
        let (said, processors) = (Vec::new(), Duration::ZERO);
        Self {
            shown,
            said,
            processors,
        }
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

    /// Runs a command that has to fail, with something in what it says.
    fn fails(&mut self, command: &mut Command, asked: &str) -> Result<()> {
        let (ended, said) = self.end_of(command, true)?;
        let (line, said) = (line(command), String::from_utf8_lossy(&said));
        ensure!(
            !ended.success() && said.contains(asked),
            "`{line}` ended with {ended}, and not with `{asked}`:\n{said}"
        );
        Ok(())
    }

    /// How a command ends, and what it says if that is kept.
    fn end_of(&mut self, command: &mut Command, kept: bool) -> Result<(ExitStatus, Vec<u8>)> {
        let line = line(command);
        self.note(&format!("$ {line}"));
        let told = || format!("`{line}` could not be run");
        let mut said = Vec::new();
        let child = if kept {
            let (mut reader, writer) = std::io::pipe()?;
            command.stdout(writer.try_clone()?).stderr(writer);
            let child = command.spawn();
            // Reading ends when nobody can say anything any more: this process neither.
            command.stdout(Stdio::null()).stderr(Stdio::null());
            reader.read_to_end(&mut said)?;
            child
        } else {
            command.spawn()
        };
        let used = child.with_context(told)?.wait4()?;
        self.processors += used.rusage.utime + used.rusage.stime;
        Ok((used.status, said))
    }
}

/// Runs what a check consists of.
pub(crate) fn run_check(check: &Check, log: &mut Log) -> Result<()> {
    for (version, components) in &check.rust {
        if !install::rust(log, version, components)? {
            return Ok(());
        }
    }
    for target in check.targets.iter().filter(|target| !has(target)) {
        log.run(Command::new("rustup").args(["target", "add", target]))?;
    }
    for step in &check.commands {
        let (run, step) = match step {
            Step::Line(run) => (run, &Judged::default()),
            Step::Table(step) => (&step.run, step),
        };
        let mut command = made(run, &check.env, &step.env);
        match (&step.optional, &step.fails) {
            (Some(program), _) if !install::is_there(program) => {
                log.note(&format!(
                    "NOT RUN: {program} is not here, which `{run}` needs"
                ));
            }
            (_, Some(asked)) => log.fails(&mut command, asked)?,
            _ => log.run(&mut command)?,
        }
    }
    Ok(())
}

/// The command that a line of the table stands for, with two sets of variables.
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
    // Most is built once: to note what could be kept for the next time takes a third of the compiler's time.
    command.env("CARGO_INCREMENTAL", "0");
    let variables = of_all.iter().chain(own);
    command.envs(variables.map(|(name, value)| (name, filled(value))));
    command.args(words).current_dir(repository());
    command
}

/// `rustup`, without what cargo tells the programs that it runs: that is for another Rust than the one that rustup is asked for.
pub(crate) fn rustup() -> Command {
    let mut command = Command::new("rustup");
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

fn filled(text: &str) -> String {
    if !text.contains('{') {
        return text.to_owned();
    }
    // The newest compiler of C++ beside clang.
    let mut clangs = (16..30).rev().map(|version| format!("clang++-{version}"));
    let mut clang = || clangs.find(|name| install::is_there(name));
    let drivers: Vec<_> = DRIVERS.iter().map(|name| format!("-p {name}")).collect();
    text.replace("{host}", &host())
        .replace("{target}", &target_directory().to_string_lossy())
        .replace("{drivers}", &drivers.join(" "))
        .replace(
            "{clang++}",
            &clang().unwrap_or_else(|| "clang++".to_owned()),
        )
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
    use crate::table::{Check, Judged, Step, read};

    fn first(step: Step) -> Check {
        let mut check = read().check.swap_remove(0);
        check.commands = vec![step];
        check
    }

    #[test]
    fn a_command_that_does_not_do_what_is_asked_is_told() {
        for (run, fails, good) in [
            ("rustc --nothing", Some("Unrecognized option"), true),
            ("rustc --nothing", Some("something else"), false),
            ("rustc --version", Some("rustc"), false),
            ("rustc --version", None, true),
            ("rustc --nothing", None, false),
            ("a-program-that-there-is-not", None, false),
        ] {
            let (run, fails) = (run.to_owned(), fails.map(str::to_owned));
            let step = Judged {
                run,
                fails,
                ..Judged::default()
            };
            let ended = run_check(&first(Step::Table(step)), &mut Log::new(false));
            assert_eq!(ended.is_ok(), good, "{ended:?}");
        }
    }

    #[test]
    fn what_is_not_run_is_said() {
        let step = Judged {
            run: "rustc --nothing".to_owned(),
            optional: Some("a-program-that-there-is-not".to_owned()),
            ..Judged::default()
        };
        let mut log = Log::new(false);
        run_check(&first(Step::Table(step)), &mut log).unwrap();
        assert!(log.said.starts_with(b"NOT RUN: a-program"));
    }

    #[test]
    fn what_a_command_says_is_kept_with_the_time_that_it_takes() {
        let mut log = Log::new(false);
        run_check(&first(Step::Line("rustc --version".to_owned())), &mut log).unwrap();
        let said = String::from_utf8(log.said).unwrap();
        assert!(said.starts_with("$ rustc --version\nrustc "), "{said}");
        assert!(!log.processors.is_zero());
    }

    #[test]
    fn what_is_for_another_system_has_its_compiler() {
        let words = "check --target aarch64-apple-darwin --target-dir a/b --tests -p wsk";
        let env = BTreeMap::from([("RUNNER".to_owned(), "{host}".to_owned())]);
        let command = made(&format!("cargo {words}"), &env, &BTreeMap::new());
        assert!(line(&command).ends_with(words), "{}", line(&command));
        let variables: Vec<_> = command.get_envs().collect();
        let filled = |value: &std::ffi::OsStr| !value.to_string_lossy().contains('{');
        assert!(variables.iter().all(|(_, value)| value.is_none_or(filled)));
        assert!(variables.iter().any(|(name, _)| *name == "RUNNER"));
    }
}
