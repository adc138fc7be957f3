//! The CPU time that a clean build of `wsk` costs a driver's author. The derive and its parser take most of it.
//!
//! Machines differ, and so does their load. So the unit of the limit is another build in the same run: that of syn with all of
//! its syntax trees, which the derive does not need. At first a build of `wsk` cost 0.85 of these units, and 1.3 with the syntax
//! trees.

#![cfg(unix)]
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::MetadataCommand;

/// The limit in builds of syn. A build costs about 1. The load of the machine changes that by a few hundredths.
const MOST: f64 = 1.2;

/// The limit in CPU seconds.
const SECONDS: f64 = 10.0;

/// How often each package is built. The least time counts.
const RUNS: usize = 2;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The CPU time in seconds of the processes that this process has waited for.
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

/// The CPU time of a build in a folder of its own.
fn cost(package: &str, folder: &Path) -> f64 {
    let target = tempfile::tempdir().unwrap();
    let before = seconds_of_children();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--offline", "--package", package])
        .arg("--target-dir")
        .arg(target.path())
        .current_dir(folder)
        .env_remove("CARGO_INCREMENTAL")
        .env_remove("RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "{package} does not build");
    seconds_of_children() - before
}

/// A package that depends on syn with all features, in the version that the derive uses.
fn everything_of_syn() -> tempfile::TempDir {
    let metadata = MetadataCommand::new().current_dir(repository()).exec();
    let metadata = metadata.unwrap();
    let version = metadata
        .packages
        .iter()
        .filter(|package| package.name == "syn")
        .map(|package| package.version.clone())
        .max()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let manifest = format!(
        "[package]\nname = \"measure\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nsyn = {{ version = \"={version}\", features = [\"full\", \"extra-traits\", \"visit\", \"visit-mut\"] }}\n"
    );
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), "").unwrap();
    fs::copy(
        repository().join("Cargo.lock"),
        folder.path().join("Cargo.lock"),
    )
    .unwrap();
    folder
}

#[test]
fn a_clean_build_of_wsk_is_cheap() {
    let measure = everything_of_syn();
    let (mut wsk, mut syn) = (f64::MAX, f64::MAX);
    for _ in 0..RUNS {
        wsk = wsk.min(cost("wsk", &repository()));
        syn = syn.min(cost("measure", measure.path()));
    }
    let times = wsk / syn;
    println!(
        "cargo build -p wsk: {wsk:.1} CPU seconds of at most {SECONDS:.1}; {times:.2} times a build of syn with everything \
         ({syn:.1}), of at most {MOST:.2}"
    );
    assert!(
        wsk <= SECONDS && times <= MOST,
        "{wsk:.1} CPU seconds, {times:.2} times a build of syn"
    );
}
