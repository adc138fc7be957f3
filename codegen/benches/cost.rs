//! What generating costs, beside what bindgen costs by itself on the same headers: time in one process, best of several
//! runs in turn, and the most memory that a process takes for it. `WSK_TEST_WDK=ROOT` or `ROOT:SDKROOT` names a kit;
//! without one, the repository's headers are laid out as a kit, among as many other declarations as a kit has. Exits with 1
//! where generating for both architectures takes more than twice the time of bindgen for one, or more than 500 MB.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use wsk_codegen::{Arch, Error, Language, Options, Source, kit};

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
    let (source, _folder) = source()?;
    if env::var_os(CHILD).is_some() {
        generate(&source, &Arch::ALL)?;
        println!("{}", peak_megabytes().unwrap_or(0.0));
        return Ok(ExitCode::SUCCESS);
    }
    let stand_in = env::var_os("WSK_TEST_WDK").is_none();
    println!(
        "headers: {}",
        if stand_in {
            "the repository's, as a kit"
        } else {
            source.name()
        }
    );
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
    let good = both / plain <= TIMES && memory.is_none_or(|memory| memory < MEGABYTES);
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The headers to measure on, and the folder that holds them until the end, if they were made for it.
fn source() -> Result<(Source, Option<tempfile::TempDir>), Error> {
    let Some(named) = env::var_os("WSK_TEST_WDK") else {
        let folder = stand_in().map_err(|error| Error::Io {
            path: env::temp_dir(),
            error,
        })?;
        let source = Source::kit(&kit::choose(folder.path(), None)?, None)?;
        return Ok((source, Some(folder)));
    };
    let mut roots = env::split_paths(&named);
    let root: PathBuf = roots.next().unwrap_or_default();
    let source = Source::kit(&kit::choose(&root, None)?, roots.next().as_deref())?;
    Ok((source, None))
}

/// How many structures, functions and enumerations of no interest the stand-in declares: bindgen takes as long as on a kit.
const OTHERS: usize = 1000;

/// A kit of the repository's headers, among other declarations.
fn stand_in() -> std::io::Result<tempfile::TempDir> {
    let root = tempfile::tempdir()?;
    let version = root.path().join("Include").join("10.0.22621.0");
    let (km, shared) = (version.join("km"), version.join("shared"));
    fs::create_dir_all(&km)?;
    fs::create_dir_all(&shared)?;
    for entry in fs::read_dir(shipped())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let of_the_kit = ["wsk.h", "wdm.h", "ntddk.h", "netioddk.h"];
        let folder = if of_the_kit.iter().any(|known| name == *known) {
            &km
        } else {
            &shared
        };
        let mut text = fs::read_to_string(&path)?;
        if name == "ntddk.h" {
            text.push_str(&others());
        }
        fs::write(folder.join(name), text)?;
    }
    Ok(root)
}

fn shipped() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../headers"))
}

fn others() -> String {
    let mut text = String::new();
    for number in 0..OTHERS {
        let _ = writeln!(
            text,
            "// The structure of number {number}, which nothing that is bound mentions.\n\
             #define OTHER_FLAG_{number} 0x{number:08X}\n\
             #define OTHER_SIZE_{number}(x) ((x) + OTHER_FLAG_{number})\n\
             typedef enum _OTHER_KIND_{number} {{ OtherOne{number}, OtherTwo{number} }} OTHER_KIND_{number};\n\
             typedef struct _OTHER_{number} {{\n\
                 ULONG Size;\n\
                 OTHER_KIND_{number} Kind;\n\
                 union {{ PVOID Pointer; struct {{ ULONG Low; ULONG High; }} Parts; }} Value;\n\
                 struct _OTHER_{number} *Next;\n\
             }} OTHER_{number}, *POTHER_{number};\n\
             NTSTATUS NTAPI OtherFunction{number}(_In_ POTHER_{number} Other, _Inout_ PVOID Context);\n"
        );
    }
    text
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
        .clang_args(source.arguments(arch, Language::Cpp)?)
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
