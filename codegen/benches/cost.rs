//! What generating costs, beside what bindgen costs by itself on the same headers: time in one process, best of several
//! runs in turn, and the most memory that a process takes for it. `WSK_TEST_WDK=ROOT` or `ROOT:SDKROOT` names a kit;
//! without one the repository's headers are read, which are so small that only the start of clang counts. Exits with 1 where
//! generating from a kit takes more than twice the time, or anything 500 MB.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use wsk_codegen::{Arch, Error, Options, Source, kit};

const RUNS: usize = 5;
const TIMES: f64 = 2.0;
const MEGABYTES: f64 = 500.0;

/// What the child process does whose memory is measured.
const CHILD: &str = "WSK_BENCH_ONE";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, Error> {
    let source = source()?;
    if env::var_os(CHILD).is_some() {
        generate(&source, &Arch::ALL)?;
        println!("{}", peak_megabytes().unwrap_or(0.0));
        return Ok(ExitCode::SUCCESS);
    }
    println!("headers: {}", source.name());
    let one = &[Arch::X86_64];
    let mut best = [Duration::MAX; 3];
    for _ in 0..RUNS {
        let times = [
            timed(|| plain(&source, one[0]))?,
            timed(|| generate(&source, one))?,
            timed(|| generate(&source, &Arch::ALL))?,
        ];
        for (best, time) in best.iter_mut().zip(times) {
            *best = (*best).min(time);
        }
    }
    let [plain, one, both] = best.map(|time| time.as_secs_f64());
    println!(
        "plain bindgen, one architecture:     {:7.1} ms",
        plain * 1000.0
    );
    println!(
        "generate, one architecture:          {:7.1} ms, {:.2} times",
        one * 1000.0,
        one / plain
    );
    println!(
        "generate, both architectures:        {:7.1} ms, {:.2} times",
        both * 1000.0,
        both / plain
    );
    let memory = child_megabytes();
    match memory {
        Some(memory) => println!("generate, both architectures:        {memory:7.1} MB at most"),
        None => println!("memory: not known on this system"),
    }
    let quick = !source.is_kit() || one / plain <= TIMES;
    let good = quick && memory.is_none_or(|memory| memory < MEGABYTES);
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn source() -> Result<Source, Error> {
    let Some(named) = env::var_os("WSK_TEST_WDK") else {
        return Source::headers(&Source::shipped());
    };
    let mut roots = env::split_paths(&named);
    let root: PathBuf = roots.next().unwrap_or_default();
    Source::kit(&kit::choose(&root, None)?, roots.next().as_deref())
}

fn timed(run: impl FnOnce() -> Result<(), Error>) -> Result<Duration, Error> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed())
}

fn generate(source: &Source, arches: &[Arch]) -> Result<(), Error> {
    let options = Options {
        arches: arches.to_vec(),
        ..Options::default()
    };
    let output = wsk_codegen::generate(source, &options)?;
    assert!(output.files().count() > 5, "something was generated");
    Ok(())
}

/// bindgen as it comes, with no more than it needs to parse the headers.
fn plain(source: &Source, arch: Arch) -> Result<(), Error> {
    let bindings = bindgen::Builder::default()
        .header_contents("plain.hpp", source.root())
        .clang_args(source.arguments(arch)?)
        .use_core()
        .formatter(bindgen::Formatter::None)
        .generate()
        .map_err(|error| Error::Bindgen(error.to_string()))?;
    assert!(!bindings.to_string().is_empty(), "something was generated");
    Ok(())
}

/// The most memory that a process took which did nothing but generate.
fn child_megabytes() -> Option<f64> {
    let this = env::current_exe().ok()?;
    let output = Command::new(this).env(CHILD, "1").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().parse().ok().filter(|memory| *memory > 0.0)
}

fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
