//! `cargo ci`: the checks of `checks.toml`, several at a time, each command printed before it runs; at the end what passed and failed, and
//! where the time went. Installs what a check needs on Debian and its kin.

mod command;
mod drivers;
mod install;
mod programs;
mod publishing;
mod search;
mod without_wdk;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Deserialize;
use wait4::Wait4;

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
    /// Run the check of this very name here and now
    #[arg(long, hide = true)]
    only: Option<String>,
}

/// What `checks.toml` has, which says what the fields mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    check: Vec<Check>,
    install: BTreeMap<String, install::Tool>,
    lacking: Vec<programs::Lacking>,
    names: BTreeMap<String, String>,
}

/// A check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    name: String,
    shows: String,
    folder: Option<String>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    nightly: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    commands: Vec<command::Step>,
}

/// What became of a check.
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

/// The table of checks.
fn table() -> Table {
    toml::from_str(include_str!("../checks.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn main() -> ExitCode {
    match run() {
        Ok(passed) => ExitCode::from(u8::from(!passed)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Does what is asked for; whether all is well.
fn run() -> Result<bool> {
    let (cli, table) = (Cli::parse(), table());
    if let Some(name) = cli.only {
        let check = table.check.iter().find(|check| check.name == name);
        command::run_check(check.context("no check has this name")?)?;
        return Ok(true);
    }
    let wanted = wanted(&table.check, &cli.words);
    ensure!(
        !wanted.is_empty(),
        "no check is named like that: `cargo ci --list` names them"
    );
    if cli.list || cli.explain {
        for check in wanted {
            let shows = if cli.explain { &*check.shows } else { "" };
            let line = format!("{:<22}{shows}", check.name);
            // Nobody reads any more, as behind `cargo ci --list | head`.
            if writeln!(std::io::stdout(), "{}", line.trim_end()).is_err() {
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
    results.sort_by_key(|result| (result.passed, std::cmp::Reverse(result.seconds)));
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

/// The checks that words ask for.
fn wanted<'a>(checks: &'a [Check], words: &[String]) -> Vec<&'a Check> {
    let asked = |check: &&Check, word: &String| {
        let exact = checks.iter().any(|check| check.name == *word);
        check.name == *word || !exact && check.name.contains(word.as_str())
    };
    let wanted = checks
        .iter()
        .filter(|check| words.is_empty() || words.iter().any(|word| asked(check, word)));
    wanted.collect()
}

/// What waits, and the folders that those that run build in.
struct Queue<'a> {
    waiting: Vec<&'a Check>,
    folders: Vec<Option<&'a str>>,
}

impl<'a> Queue<'a> {
    /// The next check: the first that builds in a folder where no other does, or the first.
    fn next(&mut self) -> Option<&'a Check> {
        let free = |check: &&Check| !self.folders.contains(&check.folder.as_deref());
        let index = self.waiting.iter().position(free).unwrap_or(0);
        let check = (index < self.waiting.len()).then(|| self.waiting.remove(index))?;
        self.folders.push(check.folder.as_deref());
        Some(check)
    }

    fn done(&mut self, check: &Check) {
        let folder = check.folder.as_deref();
        let index = self.folders.iter().position(|it| *it == folder);
        index.map(|index| self.folders.swap_remove(index));
    }
}

/// Runs checks, so many at a time. What one prints is shown when it is done, or as it comes where there is no other.
fn run_all<'a>(checks: &[&'a Check], jobs: usize) -> Vec<Outcome<'a>> {
    let queue = Mutex::new(Queue {
        waiting: checks.to_vec(),
        folders: Vec::new(),
    });
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = queue.lock().unwrap().next();
            let Some(check) = next else { break };
            println!("\n==== {} begins", check.name);
            let outcome = run_apart(&check.name, checks.len() == 1);
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

/// Runs a check in a process of its own, and says what became of it.
fn run_apart(name: &str, shown: bool) -> Outcome<'_> {
    let start = Instant::now();
    let ran = process(name, shown);
    let (said, passed, processors) = ran.unwrap_or_else(|error| {
        let problem = format!("error: the check {name} could not be run: {error}\n");
        (problem.into_bytes(), false, Duration::ZERO)
    });
    let seconds = [start.elapsed(), processors].map(|time| time.as_secs());
    let outcome = Outcome {
        name,
        passed,
        said,
        seconds,
    };
    let (verdict, [time, processors]) = (outcome.verdict(), seconds);
    let mut here = std::io::stdout().lock();
    let _ = writeln!(
        here,
        "\n==== {name} {verdict} in {time} s ({processors} s of processors), and said:"
    );
    let _ = here.write_all(&outcome.said);
    outcome
}

/// Runs a check in a process: what it says, if that is not shown, whether it passes, and how long processors are busy with it.
fn process(name: &str, shown: bool) -> std::io::Result<(Vec<u8>, bool, Duration)> {
    // By this name it is there too when it was built anew meanwhile.
    let running = PathBuf::from("/proc/self/exe");
    let mut command = Command::new(if running.exists() {
        running
    } else {
        std::env::current_exe()?
    });
    command.args(["--only", name]);
    // Most is built once: to note what could be kept for the next time takes a third of the compiler's time.
    command.env("CARGO_INCREMENTAL", "0");
    let mut said = Vec::new();
    let child = if shown {
        command.spawn()?
    } else {
        let (mut told, tell) = std::io::pipe()?;
        let child = command.stdout(tell.try_clone()?).stderr(tell).spawn()?;
        // Ends when nobody can say anything any more: this process neither.
        drop(command);
        told.read_to_end(&mut said)?;
        child
    };
    let used = child.wait4()?;
    let processors = used.rusage.utime + used.rusage.stime;
    Ok((said, used.status.success(), processors))
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

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::{Queue, command, table, telling_lines, wanted};

    #[test]
    fn each_folder_of_tests_is_explained() {
        let tests = command::repository().join("tests");
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
            let named = manifest
                .lines()
                .find_map(|line| line.strip_prefix("name = "));
            let package = named.map(|package| package.replace('"', "`"));
            let explained = package.is_none_or(|package| page.contains(&package));
            assert!(name == "suite" || explained, "{manifest}");
        }
        assert!(folders > 8, "{folders} folders");
    }

    #[test]
    fn each_check_has_a_name_of_its_own() {
        let table = table();
        for check in &table.check {
            let same = table.check.iter().filter(|it| it.name == check.name);
            assert_eq!(same.count(), 1, "{}", check.name);
            assert!(!check.shows.is_empty() && !check.commands.is_empty());
            for need in &check.needs {
                assert!(table.install.contains_key(need), "{need}");
            }
        }
    }

    #[test]
    fn a_whole_name_is_that_check_alone() {
        let table = table();
        let named = |word: &str| {
            let words = [word.to_owned()];
            let wanted = wanted(&table.check, &words);
            wanted.iter().map(|it| it.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(named("windows"), ["windows"]);
        assert_eq!(
            named("sanitizer"),
            ["address-sanitizer", "thread-sanitizer"]
        );
        assert!(named("nothing of the kind").is_empty());
        assert_eq!(wanted(&table.check, &[]).len(), table.check.len());
    }

    #[test]
    fn checks_that_build_in_one_folder_do_not_wait_for_each_other() {
        let table = table();
        let named = |name: &str| table.check.iter().find(|it| it.name == name).unwrap();
        let mut queue = Queue {
            waiting: vec![named("lints"), named("tests"), named("miri"), named("demo")],
            folders: Vec::new(),
        };
        let mut next = || queue.next().map(|check| check.name.as_str());
        assert_eq!(
            [next(), next(), next()],
            [Some("lints"), Some("miri"), Some("tests")]
        );
        queue.done(named("lints"));
        queue.done(named("tests"));
        assert_eq!(queue.folders, [Some("miri")]);
        assert!(queue.next().is_some() && queue.next().is_none());
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
