//! Finds the compiler of the C side. Also part of the build script.

use std::path::PathBuf;
use std::process::Command;

/// A clang to compile C with: the one that `WSK_CLANG` names, or the newest that is installed.
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
