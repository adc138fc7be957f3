//! The linker tells the author of a test that the test does not link `wsk-host`.

#![allow(missing_docs)]
// Wine has no compiler.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A test as a driver's author writes it, without `use wsk_host`.
const TEST: &str = "
    #[test]
    fn registers() {
        let registration = wsk::Registration::new().unwrap();
        registration.capture(wsk::Wait::No).unwrap();
    }
";

/// The library of a crate with which this test was built.
fn library(deps: &Path, name: &str) -> PathBuf {
    let prefix = format!("lib{name}-");
    let built = std::fs::read_dir(deps).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let file = path.file_name()?.to_str()?;
        let wanted = file.starts_with(&prefix) && path.extension()? == "rlib";
        wanted.then_some(path)
    });
    // If there are several, the last one.
    built
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap())
        .unwrap()
}

/// Links a test. Returns whether that succeeded, and the compiler's messages.
fn link(name: &str, test: &str) -> (bool, String) {
    let deps = std::env::current_exe().unwrap();
    let deps = deps.parent().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("linking");
    std::fs::create_dir_all(&folder).unwrap();
    let source = folder.join(format!("{name}.rs"));
    std::fs::write(&source, test).unwrap();
    let library = |name| format!("{name}={}", library(deps, name).display());
    let told = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--test", "--out-dir"])
        .arg(&folder)
        .arg(&source)
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .args([
            "--extern",
            &library("wsk"),
            "--extern",
            &library("wsk_host"),
        ])
        .output()
        .unwrap();
    (
        told.status.success(),
        String::from_utf8(told.stderr).unwrap(),
    )
}

#[test]
fn a_test_without_the_host_kernel_is_told_so() {
    let (linked, told) = link("without", TEST);
    assert!(!linked);
    let message = "wsk_host_is_missing__a_test_needs_it_in_dev_dependencies_and_use_wsk_host_as_underscore__a_driver_needs_panic_abort";
    // Linkers differ in their wording, and in how many symbols they list.
    let missed = told
        .lines()
        .filter(|line| line.to_lowercase().contains("undefined") || line.contains(message));
    assert!(missed.take(5).any(|line| line.contains(message)), "{told}");
}

#[test]
fn a_test_that_names_the_host_kernel_links() {
    let (linked, told) = link("with", &format!("use wsk_host as _;\n{TEST}"));
    assert!(linked, "{told}");
}
