//! `cargo ci`: the checks of `checks.toml`, several at a time; at the end what passed and failed, and where the time went.

mod command;
mod install;
mod table;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;

use command::{Lacking, Log};
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
    verdict: Verdict,
    said: Vec<u8>,
    /// By the clock, and of all processors.
    seconds: [u64; 2],
}

/// Whether a check passed. In the order of the summary.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Failed,
    /// Not run, or not all of it, because this machine lacks something that the table does not let it lack.
    Lacking(String),
    /// As above, but the table says that the machine may lack it.
    NotRun(String),
    Passed,
}

impl Verdict {
    /// The verdict of a check that ended so.
    fn of(check: &Check, ended: &Result<Lacking>) -> Self {
        let Ok(lacking) = ended else {
            return Self::Failed;
        };
        let reason = || {
            let lacking: Vec<_> = lacking.iter().map(String::as_str).collect();
            lacking.join(", ")
        };
        if lacking.is_empty() {
            Self::Passed
        } else if lacking.iter().all(|it| check.may_lack.contains(it)) {
            Self::NotRun(reason())
        } else {
            Self::Lacking(reason())
        }
    }

    /// Whether the checks as a whole can pass.
    const fn is_good(&self) -> bool {
        matches!(self, Self::Passed | Self::NotRun(_))
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::NotRun(_) => "not run",
            Self::Lacking(_) => "NOT RUN",
            Self::Failed => "FAILED",
        }
    }

    /// Why the check was not run, if it was not.
    fn reason(&self) -> String {
        match self {
            Self::Passed | Self::Failed => String::new(),
            Self::NotRun(lacking) => format!("  not here: {lacking}"),
            Self::Lacking(lacking) => {
                format!("  not here: {lacking}; install it, or name it in the check's `may_lack`")
            }
        }
    }
}

/// The summary of all checks, and whether they passed as a whole.
fn summary(results: &[Outcome<'_>], time: u64) -> (String, bool) {
    let mut text = String::new();
    for Outcome {
        name,
        verdict,
        seconds: [time, processors],
        ..
    } in results
    {
        let (word, reason) = (verdict.word(), verdict.reason());
        let _ = writeln!(text, "{word:<8}{name:<22}{time:>6}{processors:>6}{reason}");
    }
    let count = |wanted: fn(&Verdict) -> bool| {
        let wanted = results.iter().filter(|result| wanted(&result.verdict));
        wanted.count()
    };
    let passed = count(|verdict| *verdict == Verdict::Passed);
    let failed = count(|verdict| *verdict == Verdict::Failed);
    let not_run = results.len() - passed - failed;
    let processors: u64 = results.iter().map(|result| result.seconds[1]).sum();
    let _ = write!(
        text,
        "{passed} passed, {failed} failed, {not_run} not run, in {time} s and {processors} s of processors"
    );
    (text, count(|verdict| !verdict.is_good()) == 0)
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
    results.sort_by(|one, other| {
        let seconds = other.seconds.cmp(&one.seconds);
        one.verdict.cmp(&other.verdict).then(seconds)
    });
    let failed = { results.iter() }.filter(|result| result.verdict == Verdict::Failed);
    for result in failed {
        println!("\n{} said, among other things:", result.name);
        for line in telling_lines(&String::from_utf8_lossy(&result.said)) {
            println!("    {line}");
        }
    }
    println!("\n==== summary: seconds by the clock, and of all processors together");
    let (text, passed) = summary(&results, start.elapsed().as_secs());
    println!("{text}");
    Ok(passed)
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
        verdict: Verdict::of(check, &ended),
        said: log.said,
        seconds: [start.elapsed(), log.processors].map(|time| time.as_secs()),
    };
    let (name, verdict, [time, processors]) =
        (outcome.name, outcome.verdict.word(), outcome.seconds);
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
    use std::collections::BTreeMap;

    use super::{Outcome, Verdict, judge, summary, telling_lines};
    use crate::table::{Judged, Step, read};

    #[test]
    fn a_check_that_this_machine_cannot_run_fails_unless_the_table_allows_that() {
        let mut check = read().check.swap_remove(0);
        check.name = "one".to_owned();
        let line = |optional: &str| {
            Step::Table(Judged {
                run: "rustc --version".to_owned(),
                optional: Some(optional.to_owned()),
                fails: None,
                env: BTreeMap::new(),
            })
        };
        for (optional, may_lack, told, good) in [
            (
                ["no-such-program", "rustc"],
                &["no-such-program"][..],
                "not run ",
                true,
            ),
            (["no-such-program", "rustc"], &[], "NOT RUN ", false),
            (
                ["no-such-program", "nor-such"],
                &["no-such-program"],
                "NOT RUN ",
                false,
            ),
            (["rustc", "rustc"], &[], "passed  ", true),
        ] {
            check.commands = optional.map(line).into();
            check.may_lack = may_lack.iter().map(ToString::to_string).collect();
            let (text, passed) = summary(&[judge(&check, false)], 7);
            assert_eq!(passed, good, "{text}");
            assert!(text.starts_with(&format!("{told}one ")), "{text}");
            for program in optional.iter().filter(|name| **name != "rustc") {
                assert!(text.contains(program), "{text}");
            }
            let counts = if told.starts_with('p') {
                "1 passed, 0 failed, 0 not run, in 7 s"
            } else {
                "0 passed, 0 failed, 1 not run, in 7 s"
            };
            assert!(text.contains(counts), "{text}");
        }
    }

    #[test]
    fn one_check_that_failed_is_enough() {
        let outcome = |verdict| Outcome {
            name: "one",
            verdict,
            said: Vec::new(),
            seconds: [1, 2],
        };
        let both = [outcome(Verdict::Failed), outcome(Verdict::Passed)];
        let (text, passed) = summary(&both, 3);
        assert!(!passed && text.contains("1 passed, 1 failed, 0 not run, in 3 s and 4 s"));
        assert!(summary(&both[1..], 3).1);
    }

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
