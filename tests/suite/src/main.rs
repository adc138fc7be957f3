//! `cargo ci`: every check and test of the repository, in two lanes, each in the order in which its checks are quickest to fail. It installs
//! what it needs on Debian and its kin, prints each command before it runs it, and ends with the count of what passed and failed.

mod dependencies;
mod fuzz;
mod memory;
mod nightly;
mod oldest;
mod programs;
mod publishing;
mod search;
mod tools;
mod windows;
mod without_wdk;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;

/// Runs every check and test of the repository.
#[derive(Parser)]
#[command(name = "cargo ci")]
struct Cli {
    /// Only the checks whose names contain one of these words
    words: Vec<String>,
    /// Print the names of the checks
    #[arg(long)]
    list: bool,
    /// Run the check of this very name, and nothing else
    #[arg(long, hide = true)]
    only: Option<String>,
}

/// Checks of one lane run one after the other, the lanes at the same time. Cargo lets one build at a time into a target folder:
/// the second lane begins with checks that have folders of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    First,
    Second,
}

/// A check: its name, and what it runs.
struct Check {
    name: &'static str,
    lane: Lane,
    run: fn() -> Result<(), String>,
}

/// What became of a check.
struct Outcome {
    name: &'static str,
    time: Duration,
    passed: bool,
    said: Vec<u8>,
}

impl Outcome {
    const fn verdict(&self) -> &'static str {
        if self.passed { "passed" } else { "FAILED" }
    }
}

const CHECKS: &[Check] = &[
    Check {
        name: "format",
        lane: Lane::First,
        run: || cargo(&["fmt", "--all", "--check"]),
    },
    Check {
        name: "generated",
        lane: Lane::First,
        run: || cargo(&["codegen", "check"]),
    },
    Check {
        name: "lints",
        lane: Lane::First,
        run: || {
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ])
        },
    },
    Check {
        name: "tests",
        lane: Lane::First,
        run: || cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]),
    },
    Check {
        name: "dependencies",
        lane: Lane::First,
        run: dependencies::only_proc_macros,
    },
    Check {
        name: "address-sanitizer",
        lane: Lane::Second,
        run: memory::address_sanitizer,
    },
    Check {
        name: "valgrind",
        lane: Lane::Second,
        run: memory::valgrind,
    },
    Check {
        name: "miri",
        lane: Lane::Second,
        run: nightly::miri,
    },
    Check {
        name: "thread-sanitizer",
        lane: Lane::Second,
        run: nightly::thread_sanitizer,
    },
    Check {
        name: "fuzz",
        lane: Lane::Second,
        run: fuzz::targets,
    },
    Check {
        name: "windows",
        lane: Lane::Second,
        run: windows::check,
    },
    Check {
        name: "oldest-rust",
        lane: Lane::Second,
        run: oldest::rust,
    },
    Check {
        name: "packages",
        lane: Lane::Second,
        run: publishing::packages,
    },
    Check {
        name: "docs-rs",
        lane: Lane::Second,
        run: publishing::documentation,
    },
    Check {
        name: "beside-wdk",
        lane: Lane::Second,
        run: windows::beside_wdk,
    },
    Check {
        name: "without-wdk",
        lane: Lane::Second,
        run: without_wdk::page,
    },
    Check {
        name: "drivers",
        lane: Lane::Second,
        run: windows::drivers,
    },
    Check {
        name: "wine",
        lane: Lane::Second,
        run: windows::wine,
    },
    Check {
        name: "programs-for-windows",
        lane: Lane::Second,
        run: programs::check,
    },
    Check {
        name: "elsewhere",
        lane: Lane::Second,
        run: programs::elsewhere,
    },
    Check {
        name: "documentation",
        lane: Lane::Second,
        run: documentation,
    },
    Check {
        name: "demo",
        lane: Lane::Second,
        run: demo,
    },
    Check {
        name: "generator-cost",
        lane: Lane::Second,
        // Not optimised: that takes longer to compile than to run. Optimised, one architecture takes a little more than bindgen.
        run: || {
            cargo(&[
                "bench",
                "--profile",
                "dev",
                "--package",
                "wsk-codegen",
                "--bench",
                "cost",
            ])
        },
    },
];

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(name) = &cli.only {
        return only(name);
    }
    let wanted = |check: &&Check| {
        cli.words.is_empty()
            || cli
                .words
                .iter()
                .any(|word| check.name.contains(word.as_str()))
    };
    let checks: Vec<&Check> = CHECKS.iter().filter(wanted).collect();
    if cli.list {
        for check in checks {
            println!("{}", check.name);
        }
        return ExitCode::SUCCESS;
    }
    if checks.is_empty() {
        eprintln!("error: no check is named like that: `cargo ci --list` names them");
        return ExitCode::from(2);
    }
    if let Err(problem) = tools::install() {
        eprintln!("error: {problem}");
        return ExitCode::from(2);
    }
    let start = Instant::now();
    let results = run_all(&checks);
    println!("\n==== summary");
    for result in &results {
        println!(
            "{}  {}  ({} s)",
            result.verdict(),
            result.name,
            result.time.as_secs()
        );
    }
    for result in results.iter().filter(|result| !result.passed) {
        let said = String::from_utf8_lossy(&result.said);
        let telling = telling_lines(&said);
        if !telling.is_empty() {
            println!("\n{} said, among other things:", result.name);
        }
        for line in telling {
            println!("    {line}");
        }
    }
    let failed = results.iter().filter(|result| !result.passed).count();
    let passed = results.len() - failed;
    println!(
        "{passed} passed, {failed} failed, in {} s",
        start.elapsed().as_secs()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs one check in this process.
fn only(name: &str) -> ExitCode {
    let Some(check) = CHECKS.iter().find(|check| check.name == name) else {
        eprintln!("error: no check has the name {name}");
        return ExitCode::from(2);
    };
    match (check.run)() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the checks of both lanes at the same time, those of a lane one after the other. What a check prints is shown when it is
/// done, or as it comes where there is one lane only.
fn run_all(checks: &[&Check]) -> Vec<Outcome> {
    let alone = checks.iter().all(|check| check.lane == checks[0].lane);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for lane in [Lane::First, Lane::Second] {
            let results = &results;
            scope.spawn(move || {
                for check in checks.iter().filter(|check| check.lane == lane) {
                    println!("\n==== {} begins", check.name);
                    let start = Instant::now();
                    let (passed, said) = run_apart(check.name, alone);
                    let outcome = Outcome {
                        name: check.name,
                        time: start.elapsed(),
                        passed,
                        said,
                    };
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push(outcome);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|result| CHECKS.iter().position(|check| check.name == result.name));
    results
}

/// Runs a check in a process of its own; whether it passed, and what it said, unless that was shown as it came.
fn run_apart(name: &str, shown: bool) -> (bool, Vec<u8>) {
    let program = std::env::current_exe().unwrap_or_else(|_| "wsk-suite".into());
    let mut command = Command::new(program);
    command.args(["--only", name]);
    if shown {
        let passed = command.status().is_ok_and(|status| status.success());
        return (passed, Vec::new());
    }
    let output = std::io::pipe().and_then(|(mut said, say)| {
        command.stdout(say.try_clone()?).stderr(say);
        let mut child = command.spawn()?;
        // Ends when nobody can say anything any more: this process neither.
        drop(command);
        let mut text = Vec::new();
        said.read_to_end(&mut text)?;
        Ok((text, child.wait()?))
    });
    match output {
        Ok((text, status)) => {
            let mut here = std::io::stdout().lock();
            let verdict = if status.success() { "passed" } else { "FAILED" };
            let _ = writeln!(here, "\n==== {name} {verdict}, and said:");
            let _ = here.write_all(&text);
            (status.success(), text)
        }
        Err(error) => {
            let problem = format!("error: the check {name} could not be run: {error}");
            eprintln!("{problem}");
            (false, problem.into_bytes())
        }
    }
}

/// The lines of a failed check that most likely tell why, without all that was said around them.
fn telling_lines(said: &str) -> Vec<&str> {
    const SIGNS: [&str; 8] = [
        "panicked at",
        "FAILED",
        "error",
        "*** STOP",
        "rule broken",
        "left behind",
        "AddressSanitizer",
        "ThreadSanitizer",
    ];
    const MOST: usize = 16;
    let lines: Vec<&str> = said.lines().collect();
    let mut telling: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|&(index, line)| {
            SIGNS.iter().any(|sign| line.contains(sign))
                // What a panic says is on the line behind.
                || index > 0 && lines[index - 1].contains("panicked at")
        })
        .map(|(_, line)| *line)
        .collect();
    // The last: what comes first is what others said on their way.
    telling.drain(..telling.len().saturating_sub(MOST));
    telling
}

/// The demo as the README has it, with and without arguments.
fn demo() -> Result<(), String> {
    cargo(&["demo"])?;
    cargo(&["demo", "--", "--to", "127.0.0.1:9000", "--message", "hello"])
}

fn documentation() -> Result<(), String> {
    let mut command = Command::new(tools::cargo());
    command
        .args(["doc", "--workspace", "--all-features", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    run(&mut command)?;
    search::finds_the_names_of_c()
}

/// Runs cargo in the repository.
fn cargo(arguments: &[&str]) -> Result<(), String> {
    run(Command::new(tools::cargo()).args(arguments))
}

/// Prints a command and runs it in the repository.
fn run(command: &mut Command) -> Result<(), String> {
    run_in(command, &tools::repository())
}

/// Prints a command and runs it in a folder.
fn run_in(command: &mut Command, folder: &Path) -> Result<(), String> {
    let words: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let line = format!(
        "{} {}",
        command.get_program().to_string_lossy(),
        words.join(" ")
    );
    println!("$ {line}");
    match command.current_dir(folder).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` ended with {status}")),
        Err(error) => Err(format!("`{line}` could not be run: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{CHECKS, telling_lines, tools};

    #[test]
    fn each_folder_of_tests_is_explained() {
        let tests = tools::repository().join("tests");
        let page = fs::read_to_string(tests.join("README.md")).unwrap();
        let mut folders = 0;
        for entry in fs::read_dir(&tests).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_dir() {
                continue;
            }
            folders += 1;
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(page.contains(&format!("`{name}`")), "{name}");
            let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
            if let Some(package) = manifest
                .lines()
                .find_map(|line| line.strip_prefix("name = "))
            {
                let package = package.replace('"', "`");
                assert!(
                    name == "suite" || page.contains(&package),
                    "{name} is {package}"
                );
            }
        }
        assert!(folders > 10, "{folders} folders");
    }

    #[test]
    fn each_check_has_a_name_of_its_own() {
        for check in CHECKS {
            let same = CHECKS.iter().filter(|other| other.name == check.name);
            assert_eq!(same.count(), 1, "{}", check.name);
        }
    }

    #[test]
    fn what_tells_why_a_check_failed_is_repeated() {
        let said = "test one ... ok\n\
                    test two ... FAILED\n\
                    thread 'two' panicked at two.rs:1:2:\n\
                    left and right differ\n\
                    note: a backtrace\n\
                    test result: FAILED. 1 passed; 1 failed\n";
        assert_eq!(
            telling_lines(said),
            [
                "test two ... FAILED",
                "thread 'two' panicked at two.rs:1:2:",
                "left and right differ",
                "test result: FAILED. 1 passed; 1 failed"
            ]
        );
        let much = "error: n\n".repeat(100);
        assert_eq!(telling_lines(&much).len(), 16);
        assert!(telling_lines("all is well").is_empty());
    }
}
