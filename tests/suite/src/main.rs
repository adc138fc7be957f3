//! `cargo ci`: the checks of `checks.toml`, several at a time; at the end what passed and failed, and where the time went.

mod command;
mod install;
mod table;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;

use command::Log;
use table::{Check, Queue};

/// Runs every check and test of the repository.
#[derive(Parser)]
#[command(name = "cargo ci")]
struct Cli {
    /// Only the check of this name, or those whose names contain one of these words
    words: Vec<String>,
    /// Print the names of the checks
    #[arg(long)]
    list: bool,
    /// Print what each check shows
    #[arg(long)]
    explain: bool,
    /// How many checks run at the same time [default: one more than half the processors]
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
}

/// The result of a check.
struct Outcome<'a> {
    name: &'a str,
    passed: bool,
    said: Vec<u8>,
    /// By the clock, and of all processors.
    seconds: [u64; 2],
}

impl Outcome<'_> {
    const fn verdict(&self) -> &'static str {
        if self.passed { "passed" } else { "FAILED" }
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(passed) => ExitCode::from(u8::from(!passed)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Does what the command line asks for, and returns whether all checks passed.
fn run(cli: &Cli) -> Result<bool> {
    let table = table::read();
    let wanted = table.wanted(&cli.words);
    ensure!(
        !wanted.is_empty(),
        "no check is named like that: `cargo ci --list` names them"
    );
    if cli.list || cli.explain {
        for check in wanted {
            let shows = if cli.explain { &*check.shows } else { "" };
            let line = format!("{:<22}{shows}", check.name);
            // Nobody reads any more, as behind `cargo ci --list | head`.
            if writeln!(stdout(), "{}", line.trim_end()).is_err() {
                break;
            }
        }
        return Ok(true);
    }
    let needs: BTreeSet<_> = wanted.iter().flat_map(|check| &check.needs).collect();
    install::all(needs.into_iter().map(|name| &table.install[name]))?;
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let start = Instant::now();
    let mut results = run_all(&wanted, cli.jobs.unwrap_or(processors / 2 + 1));
    results.sort_by_key(|result| (result.passed, Reverse(result.seconds)));
    for result in results.iter().filter(|result| !result.passed) {
        println!("\n{} said, among other things:", result.name);
        for line in telling_lines(&String::from_utf8_lossy(&result.said)) {
            println!("    {line}");
        }
    }
    println!("\n==== summary: seconds by the clock, and of all processors together");
    for result in &results {
        let (name, [time, processors]) = (result.name, result.seconds);
        println!("{} {name:<22}{time:>6}{processors:>6}", result.verdict());
    }
    let failed = results.iter().filter(|result| !result.passed).count();
    let passed = results.len() - failed;
    let time = start.elapsed().as_secs();
    let processors: u64 = results.iter().map(|result| result.seconds[1]).sum();
    println!("{passed} passed, {failed} failed, in {time} s and {processors} s of processors");
    Ok(failed == 0)
}

/// Runs checks, `jobs` at a time. The output of a check is shown when it ends; that of a single check is shown as it comes.
fn run_all<'a>(checks: &[&'a Check], jobs: usize) -> Vec<Outcome<'a>> {
    let queue = Mutex::new(Queue::new(checks));
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = queue.lock().unwrap().next();
            let Some(check) = next else { break };
            println!("\n==== {} begins", check.name);
            let outcome = judge(check, checks.len() == 1);
            queue.lock().unwrap().done(check);
            results.lock().unwrap().push(outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, checks.len()) {
            scope.spawn(work);
        }
    });
    results.into_inner().unwrap()
}

/// Runs a check and prints its result.
fn judge(check: &Check, shown: bool) -> Outcome<'_> {
    let (start, mut log) = (Instant::now(), Log::new(shown));
    let ended = command::run_check(check, &mut log);
    if let Err(error) = &ended {
        log.note(&format!("error: {error:#}"));
    }
    let outcome = Outcome {
        name: &check.name,
        passed: ended.is_ok(),
        said: log.said,
        seconds: [start.elapsed(), log.processors].map(|time| time.as_secs()),
    };
    let (name, verdict, [time, processors]) = (outcome.name, outcome.verdict(), outcome.seconds);
    let mut here = stdout().lock();
    let end = format!("==== {name} {verdict} in {time} s ({processors} s of processors)");
    let _ = writeln!(here, "\n{end}{}", if shown { "" } else { ", and said:" });
    let _ = here.write_all(if shown { &[] } else { &outcome.said });
    outcome
}

/// The lines in the output of a failed check that most likely say why it failed.
fn telling_lines(said: &str) -> Vec<&str> {
    const SIGNS: &str = "panicked at|FAILED|error|Error: |*** STOP|rule broken|left behind|AddressSanitizer|ThreadSanitizer";
    const MOST: usize = 16;
    let mut panicked = false;
    let mut telling: Vec<_> = said.lines().collect();
    telling.retain(|line| {
        // The message of a panic is on the next line.
        let behind = std::mem::replace(&mut panicked, line.contains("panicked at"));
        behind || SIGNS.split('|').any(|sign| line.contains(sign))
    });
    // The last ones: earlier lines are more often of tests that passed.
    telling.split_off(telling.len().saturating_sub(MOST))
}

#[cfg(test)]
mod tests {
    use super::telling_lines;

    #[test]
    fn what_tells_why_a_check_failed_is_repeated() {
        let said = "test one ... ok\ntest two ... FAILED\nthread 'two' panicked at two.rs:1:2:\n\
            left and right differ\nnote: a backtrace\ntest result: FAILED. 1 passed; 1 failed\n";
        let told = ["test one ... ok\n", "note: a backtrace\n"];
        let told = told
            .iter()
            .fold(said.to_owned(), |said, line| said.replace(line, ""));
        assert!(telling_lines(said).into_iter().eq(told.lines()));
        assert_eq!(telling_lines(&"error: n\n".repeat(100)).len(), 16);
        assert!(telling_lines("all is well").is_empty());
    }
}
