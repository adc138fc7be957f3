//! Finds the compiler for the C side. The build script includes this file, too.

use std::path::PathBuf;
use std::process::Command;

/// A clang that compiles C: the one in `WSK_CLANG`, or the newest that is installed.
#[must_use]
pub fn clang() -> Option<PathBuf> {
    let named = std::env::var_os("WSK_CLANG").map(PathBuf::from);
    let versions = (16..30)
        .rev()
        .map(|version| PathBuf::from(format!("clang-{version}")));
    let mut candidates = named
        .into_iter()
        .chain(versions)
        .chain([PathBuf::from("clang")]);
    candidates.find(|clang| {
        Command::new(clang)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    })
}
