//! `cargo ci`: every check and test of the repository, in the order in which they are quickest to fail. It installs what it
//! needs on Debian and its kin, prints each command before it runs it, and ends with the count of what passed and failed.

mod dependencies;
mod fuzz;
mod memory;
mod publishing;
mod tools;
mod windows;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

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
}

/// A check: its name, and what it runs.
struct Check {
    name: &'static str,
    run: fn() -> Result<(), String>,
}

const CHECKS: &[Check] = &[
    Check {
        name: "format",
        run: || cargo(&["fmt", "--all", "--check"]),
    },
    Check {
        name: "generated",
        run: || cargo(&["codegen", "check"]),
    },
    Check {
        name: "lints",
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
        run: || cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]),
    },
    Check {
        name: "documentation",
        run: documentation,
    },
    Check {
        name: "demo",
        run: demo,
    },
    Check {
        name: "dependencies",
        run: dependencies::only_proc_macros,
    },
    Check {
        name: "address-sanitizer",
        run: memory::address_sanitizer,
    },
    Check {
        name: "valgrind",
        run: memory::valgrind,
    },
    Check {
        name: "fuzz",
        run: fuzz::targets,
    },
    Check {
        name: "generator-cost",
        // Not optimised: that takes longer to compile than to run, and favours neither side.
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
    Check {
        name: "windows",
        run: windows::check,
    },
    Check {
        name: "packages",
        run: publishing::packages,
    },
    Check {
        name: "docs-rs",
        run: publishing::documentation,
    },
    Check {
        name: "beside-wdk",
        run: windows::beside_wdk,
    },
    Check {
        name: "drivers",
        run: windows::drivers,
    },
    Check {
        name: "wine",
        run: windows::wine,
    },
];

fn main() -> ExitCode {
    let cli = Cli::parse();
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
    let mut results = Vec::new();
    for check in checks {
        println!("\n==== {}", check.name);
        let start = Instant::now();
        let result = (check.run)();
        if let Err(problem) = &result {
            eprintln!("error: {problem}");
        }
        results.push((check.name, start.elapsed(), result));
    }
    println!("\n==== summary");
    for (name, time, result) in &results {
        let verdict = if result.is_ok() { "passed" } else { "FAILED" };
        println!("{verdict}  {name}  ({} s)", time.as_secs());
    }
    let failed = results
        .iter()
        .filter(|(_, _, result)| result.is_err())
        .count();
    println!("{} passed, {failed} failed", results.len() - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
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
    run(&mut command)
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
