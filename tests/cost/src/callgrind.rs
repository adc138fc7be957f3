//! Runs scenarios under callgrind, and reads its output.
//!
//! The format is that of <https://valgrind.org/docs/manual/cl-format.html>, without compressed names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artifacts::Artifacts;
use crate::{Calls, Completion, Cost, Error, OPERATIONS, Run, Side};

/// Fails with advice if valgrind is missing.
pub(crate) fn find() -> Result<(), Error> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(Error(
            "instructions are counted by valgrind's callgrind: install valgrind (Debian: apt-get install valgrind)"
                .to_owned(),
        )),
    }
}

/// Measures the cost of a scenario's operations.
pub(crate) fn run(artifacts: &Artifacts, run: Run) -> Result<Cost, Error> {
    let Run {
        side,
        number,
        depth,
        completion,
    } = run;
    let symbols = match side {
        Side::Lean | Side::Careful => "clang",
        Side::Rust => "rust",
    };
    let completion = match completion {
        Completion::Inline => "inline",
        Completion::Deferred => "deferred",
    };
    let name = format!("{number}-{symbols}-{depth}-{completion}");
    let what = format!("scenario {number} in {side}");
    let written = artifacts.folder.join(name);
    std::fs::create_dir_all(&artifacts.folder)
        .map_err(|error| Error(format!("{}: {error}", artifacts.folder.display())))?;

    let mut command = Command::new("valgrind");
    // The environment is the same each time, because it is part of the memory that the program sees.
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command
        .args(["--tool=callgrind", "--quiet", "--error-exitcode=99"])
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg("--dump-before=wsk_cost_mark")
        .arg(format!("--callgrind-out-file={}", written.display()));
    command
        .arg(&artifacts.runner)
        .arg(&artifacts.kernel)
        .arg(&artifacts.driver)
        .args([symbols, &number.to_string()])
        .args([depth.to_string(), OPERATIONS.to_string()])
        .arg(completion);
    let output = command
        .output()
        .map_err(|error| Error(format!("valgrind could not be run: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let allocations = said.trim().parse();
    let (true, Ok(allocations)) = (output.status.success(), allocations) else {
        return Err(Error(format!(
            "{what} ended with {}: {said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )));
    };

    // Dump 1 ends at the first mark: loading and warming up. Dumps 2 and 3 are the two phases.
    let phase = |number: u32| {
        let mut file = written.clone().into_os_string();
        file.push(format!(".{number}"));
        Profile::read(&PathBuf::from(file), artifacts)
    };
    let (once, twice) = (phase(2)?, phase(3)?);
    let mut calls = BTreeMap::new();
    for (name, more) in twice.calls {
        let fewer = once.calls.get(&name).copied().unwrap_or_default();
        let count = more.count.saturating_sub(fewer.count);
        if count > 0 {
            let instructions = more.instructions.saturating_sub(fewer.instructions);
            calls.insert(
                name,
                Calls {
                    count,
                    instructions,
                },
            );
        }
    }
    Ok(Cost {
        operations: OPERATIONS,
        all: twice.all.saturating_sub(once.all),
        own: twice.own.saturating_sub(once.own),
        calls,
        allocations,
    })
}

/// The counts of one dump.
#[derive(Debug, Default, PartialEq)]
struct Profile {
    /// All instructions.
    all: u64,
    /// The instructions of the driver, and of what it calls outside the kernel.
    own: u64,
    /// Calls from the driver to the kernel.
    calls: BTreeMap<String, Calls>,
}

impl Profile {
    fn read(file: &Path, artifacts: &Artifacts) -> Result<Self, Error> {
        let problem = |problem: String| Error(format!("{}: {problem}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|error| problem(error.to_string()))?;
        let (kernel, driver) = (&artifacts.kernel, &artifacts.driver);
        let profile = Self::parse(&text, &stem(kernel), &stem(driver)).map_err(problem)?;
        if profile.own == 0 || profile.calls.is_empty() {
            return Err(problem("it contains nothing of the driver".to_owned()));
        }
        Ok(profile)
    }

    /// Adds up the costs of functions and of calls. Names of objects that contain `kernel` and `driver` are those of the kernel
    /// and the driver.
    fn parse(text: &str, kernel: &str, driver: &str) -> Result<Self, String> {
        let mut profile = Self::default();
        let (mut object, mut callee_object, mut callee) = ("", None, "");
        // The number of calls whose cost is on the next line.
        let mut pending = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("ob=") {
                object = name;
            } else if let Some(name) = line.strip_prefix("cob=") {
                callee_object = Some(name);
            } else if let Some(name) = line.strip_prefix("cfn=") {
                callee = name;
            } else if let Some(numbers) = line.strip_prefix("calls=") {
                let count = numbers.split(' ').next().unwrap_or_default();
                pending = Some(count.parse::<u64>().map_err(|_| bad(line))?);
            } else if line.starts_with(|first: char| first.is_ascii_digit()) {
                let cost = line.split(' ').nth(1).unwrap_or("0");
                let cost: u64 = cost.parse().map_err(|_| bad(line))?;
                let own = object.contains(driver);
                let Some(count) = pending.take() else {
                    profile.all += cost;
                    profile.own += if own { cost } else { 0 };
                    continue;
                };
                let to = callee_object.take().unwrap_or(object);
                if own && to.contains(kernel) {
                    let calls = profile.calls.entry(short(callee)).or_default();
                    calls.count += count;
                    calls.instructions += cost;
                } else if own && !to.contains(driver) {
                    profile.own += cost;
                }
            }
        }
        Ok(profile)
    }
}

fn bad(line: &str) -> String {
    format!("unexpected line: {line}")
}

fn stem(file: &Path) -> String {
    file.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The function's own name, without its path, its hash, and callgrind's mark for recursion.
fn short(name: &str) -> String {
    let name = name.split('\'').next().unwrap_or(name);
    let is_hash = |word: &&str| word.len() == 17 && word.starts_with('h');
    name.rsplit("::")
        .find(|word| !is_hash(word))
        .unwrap_or(name)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A driver that calls the kernel, which calls back into the driver and calls a library. The driver calls the library, too.
    const DUMP: &str = "\
events: Ir
ob=/x/libdriver.so
fl=d.c
fn=Send
10 5
cob=/x/libkernel.so
cfi=k.c
cfn=wsk_host::irp::IoReuseIrp::h0123456789abcdef
calls=2 1
11 100
cob=/usr/lib/libc.so
cfn=memcpy
calls=1 1
12 30

fn=Completed
20 7

ob=/x/libkernel.so
fn=IoReuseIrp
1 60
cob=/x/libdriver.so
cfn=Completed
calls=1 20
2 7
cob=/usr/lib/libc.so
cfn=memcpy
calls=1 1
3 33

ob=/usr/lib/libc.so
fn=memcpy
1 63
";

    #[test]
    fn what_the_driver_causes_is_its_own_and_what_the_kernel_does_is_not() {
        let profile = Profile::parse(DUMP, "libkernel", "libdriver").unwrap();
        assert_eq!(profile.all, 5 + 7 + 60 + 63);
        assert_eq!(profile.own, 5 + 7 + 30);
        let calls = Calls {
            count: 2,
            instructions: 100,
        };
        assert_eq!(
            profile.calls,
            BTreeMap::from([("IoReuseIrp".to_owned(), calls)])
        );
    }

    #[test]
    fn a_dump_of_another_form_is_an_error() {
        assert!(Profile::parse("fn=f\n10 many\n", "kernel", "driver").is_err());
        assert!(Profile::parse("cfn=f\ncalls=some 1\n1 1\n", "kernel", "driver").is_err());
    }
}
