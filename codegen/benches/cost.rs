//! Compares the cost of generating with that of bindgen alone on the same headers: the CPU time of whole processes (the best of
//! several alternating runs), and the most memory that a process takes. `WSK_TEST_WDK=ROOT` or `ROOT:SDKROOT` names a kit.
//! Without a kit, the repository's headers are laid out as one, among as many other declarations as a kit has. Exits with 1 if a
//! limit is exceeded.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use wsk_codegen::{Arch, Error, Language, Options, Source, kit};

const RUNS: usize = 5;

/// The limits of CPU time for one architecture and for both, in multiples of a bindgen run for one.
const ONE: f64 = 1.0;
const BOTH: f64 = 1.5;
const MEGABYTES: f64 = 250.0;

/// Tells a child process what to run while its time and memory are measured.
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
    if let Some(what) = env::var_os(CHILD) {
        let source = named(&env::var_os("WSK_TEST_WDK").unwrap_or_default())?;
        match what.to_str() {
            Some("plain") => plain(&source, Arch::X86_64)?,
            Some("one") => generate(&source, &[Arch::X86_64])?,
            _ => generate(&source, &Arch::ALL)?,
        }
        println!("{}", peak_megabytes().unwrap_or(0.0));
        return Ok(ExitCode::SUCCESS);
    }
    let folder = stand_in().map_err(|error| Error::Io {
        path: env::temp_dir(),
        error,
    })?;
    let kit = env::var_os("WSK_TEST_WDK").unwrap_or_else(|| folder.path().into());
    println!("headers: {}", named(&kit)?.name());
    let mut best = [f64::MAX; 3];
    let mut most = [0.0_f64; 3];
    for _ in 0..RUNS {
        for (what, (best, most)) in ["plain", "one", "both"]
            .iter()
            .zip(best.iter_mut().zip(&mut most))
        {
            let (seconds, megabytes) = child(what, &kit);
            *best = best.min(seconds);
            *most = most.max(megabytes);
        }
    }
    let [plain, one, both] = best;
    let say = |what: &str, seconds: f64, limit: f64| {
        println!(
            "{what}{:7.1} ms of CPU time, {:.2} times plain, of at most {limit:.2}",
            seconds * 1000.0,
            seconds / plain
        );
    };
    say("plain bindgen, one architecture:     ", plain, 1.0);
    say("generate, one architecture:          ", one, ONE);
    say("generate, both architectures:        ", both, BOTH);
    println!(
        "generate, both architectures:        {:7.1} MB of at most {MEGABYTES:.1}",
        most[2]
    );
    let good = one / plain <= ONE && both / plain <= BOTH && most[2] <= MEGABYTES;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The CPU time of a process that does only `what`, and the most memory that it took.
fn child(what: &str, kit: &std::ffi::OsStr) -> (f64, f64) {
    let before = seconds_of_children();
    let this = env::current_exe().expect("this program has a path");
    let output = Command::new(this)
        .env(CHILD, what)
        .env("WSK_TEST_WDK", kit)
        .output()
        .expect("this program can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let megabytes = text.trim().parse().unwrap_or(0.0);
    (seconds_of_children() - before, megabytes)
}

/// The elapsed time, on systems where the CPU time is not known.
#[cfg(not(unix))]
fn seconds_of_children() -> f64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.map_or(0.0, |time| time.as_secs_f64())
}

/// The CPU time of the child processes that this process has waited for.
#[cfg(unix)]
fn seconds_of_children() -> f64 {
    // SAFETY: a structure of integers may be zero.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a local variable that outlives the call.
    let result = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    assert_eq!(result, 0);
    #[expect(clippy::cast_precision_loss, reason = "a few seconds, in microseconds")]
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The kit at `ROOT`, or at `ROOT:SDKROOT`.
fn named(roots: &std::ffi::OsStr) -> Result<Source, Error> {
    let mut roots = env::split_paths(roots);
    let root: PathBuf = roots.next().unwrap_or_default();
    Source::kit(&kit::choose(&root, None)?, roots.next().as_deref())
}

/// How many unrelated structures, functions and enumerations the stand-in declares. With this number bindgen takes as long as on
/// a kit.
const OTHERS: usize = 1000;

/// Some functions are declared for one architecture only, as in a kit.
const OF_ONE_ARCHITECTURE: &str = "#ifdef _ARM64_\n#define KeLowerIrql KfLowerIrql\n#endif\n";

/// A stand-in for a kit: the repository's headers among other declarations.
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
        if name == "wdm.h" {
            text.insert_str(0, OF_ONE_ARCHITECTURE);
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

fn generate(source: &Source, arches: &[Arch]) -> Result<(), Error> {
    let options = Options {
        arches: arches.to_vec(),
        ..Options::default()
    };
    let output = wsk_codegen::generate(source, &options)?;
    assert!(output.files().count() > 5, "something was generated");
    Ok(())
}

/// Runs bindgen with only the options that it needs to parse the headers.
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

fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
