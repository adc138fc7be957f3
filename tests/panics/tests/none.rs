//! Reads which functions `wsk`, and the uses of its generic functions, call: none that panics.

use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSymbol};

/// Compiles like a driver: optimised, and aborting instead of unwinding.
fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("panics");
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", "wsk-panics"])
        .args(["--config", "profile.release.panic=\"abort\""])
        .arg("--target-dir")
        .arg(&target)
        .env_remove("RUSTFLAGS")
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "cargo build failed"
    );
    target.join("release").join("deps")
}

/// The library of a crate.
fn library(folder: &Path, name: &str) -> PathBuf {
    let prefix = format!("lib{name}-");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "rlib")
        })
        .filter(|path| {
            path.file_name()
                .is_some_and(|file| file.to_string_lossy().starts_with(&prefix))
        })
        .collect();
    // The last of several builds.
    found.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
    found
        .pop()
        .unwrap_or_else(|| panic!("no {prefix}*.rlib in {}", folder.display()))
}

/// The symbols that the object files of a library import.
fn undefined(library: &Path) -> Vec<String> {
    let bytes =
        std::fs::read(library).unwrap_or_else(|error| panic!("{}: {error}", library.display()));
    let archive = ArchiveFile::parse(&*bytes).unwrap();
    let mut names = Vec::new();
    for member in archive.members() {
        let data = member.unwrap().data(&*bytes).unwrap();
        // The archive also contains the crate's metadata.
        let Ok(file) = object::File::parse(data) else {
            continue;
        };
        let taken = file.symbols().filter(ObjectSymbol::is_undefined);
        names.extend(taken.filter_map(|symbol| {
            Some(format!(
                "{:#}",
                rustc_demangle::demangle(symbol.name().ok()?)
            ))
        }));
    }
    names
}

/// Whether a function with this name panics. Those of the core library have telling names.
fn panics(name: &str) -> bool {
    name.starts_with("core::")
        && ["panic", "unwrap_failed", "expect_failed", "_fail"]
            .iter()
            .any(|part| name.contains(part))
}

#[test]
fn nothing_of_wsk_panics() {
    let built = build();
    for (name, known) in [("wsk", "IoReuseIrp"), ("wsk_panics", "KeGetCurrentIrql")] {
        let names = undefined(&library(&built, name));
        assert!(
            names.iter().any(|name| name.contains(known)),
            "{name} does not call {known}: the test reads the wrong file"
        );
        let panicking: Vec<_> = names.iter().filter(|name| panics(name)).collect();
        assert!(panicking.is_empty(), "{name} calls {panicking:#?}");
    }
}

#[test]
fn a_panic_would_be_noticed() {
    for name in [
        "core::panicking::panic_fmt",
        "core::slice::index::slice_index_fail",
        "core::option::unwrap_failed",
        "core::option::expect_failed",
    ] {
        assert!(panics(name), "{name}");
    }
    for name in [
        "IoReuseIrp",
        "core::fmt::write",
        "wsk::prepared::read_failed",
    ] {
        assert!(!panics(name), "{name}");
    }
}
