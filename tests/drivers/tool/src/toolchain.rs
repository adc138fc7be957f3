//! The compiler for Windows: the active toolchain if it has the target, otherwise Debian's, which builds `core` from source.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's Rust compiler, whose packages contain the sources of `core` for any target.
pub const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Debian's cargo.
pub const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// The target of drivers.
pub const X86_64: &str = "x86_64-pc-windows-msvc";
/// The target of tests that run in Wine.
pub const X86_64_GNU: &str = "x86_64-pc-windows-gnu";
/// A second target for which drivers are checked.
pub const AARCH64: &str = "aarch64-pc-windows-msvc";

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Cargo's target folder.
#[must_use]
pub fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// Whether the active toolchain has the standard library of a target.
#[must_use]
pub fn has(target: &str) -> bool {
    sysroot("rustc").is_some_and(|root| root.join("lib/rustlib").join(target).join("lib").is_dir())
}

/// Whether the active toolchain compiles for both kinds of Windows.
#[must_use]
pub fn windows() -> bool {
    has(X86_64) && has(AARCH64)
}

/// Whether Debian's compiler has the sources of `core`.
#[must_use]
pub fn debian_sources() -> bool {
    sysroot(DEBIAN_RUSTC).is_some_and(|root| {
        root.join("lib/rustlib/src/rust/library/core/src/lib.rs")
            .exists()
    })
}

/// The target folder for Windows. It differs from that of this system, so that neither build waits for the other.
#[must_use]
pub fn windows_directory() -> PathBuf {
    target_directory().join("windows")
}

/// A cargo command that compiles for `target` in `directory`.
#[must_use]
pub fn cargo(subcommand: &str, target: &str, directory: &Path) -> Command {
    let mut command = cargo_for(target);
    command.args([subcommand, "--target", target, "--target-dir"]);
    command.arg(directory);
    command
}

/// The triple of this system.
#[must_use]
pub fn host() -> String {
    let host = printed("rustc", "host-tuple");
    host.unwrap_or_else(|| "x86_64-unknown-linux-gnu".to_owned())
}

/// A cargo command that can compile for `target`, run in the root of the repository. It is the active cargo, with a linker if
/// `target` needs one, or Debian's cargo.
#[must_use]
pub fn cargo_for(target: &str) -> Command {
    let active = !target.contains("windows") || has(target);
    let mut command = Command::new(if active {
        std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
    } else {
        DEBIAN_CARGO.to_owned()
    });
    command.current_dir(repository());
    if !active {
        command.arg("-Zbuild-std=core,alloc,compiler_builtins");
        command.env("RUSTC", DEBIAN_RUSTC);
        command.env("RUSTDOC", "/usr/bin/rustdoc");
        command.env("RUSTC_BOOTSTRAP", "1");
        command.env_remove("RUSTUP_TOOLCHAIN");
    }
    if !cfg!(windows)
        && target.ends_with("windows-msvc")
        && let Some(linker) = linker(active)
    {
        let variable = target.replace('-', "_").to_uppercase();
        command.env(format!("CARGO_TARGET_{variable}_LINKER"), linker);
    }
    command
}

/// LLVM's linker for Windows: Rust's own if the active toolchain compiles, which finds it. Otherwise the newest of Debian's packages, or the
/// one on the path.
fn linker(active: bool) -> Option<String> {
    let own = sysroot("rustc").map(|root| root.join("lib/rustlib").join(host()).join("bin"));
    if active && own.is_some_and(|folder| folder.join("rust-lld").is_file()) {
        return Some("rust-lld".to_owned());
    }
    let debian = (14..40).rev().map(|version| format!("lld-link-{version}"));
    debian
        .chain(["lld-link".to_owned(), "rust-lld".to_owned()])
        .find(|name| on_path(name))
}

fn on_path(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

fn sysroot(rustc: &str) -> Option<PathBuf> {
    printed(rustc, "sysroot").map(PathBuf::from)
}

/// What a compiler prints about itself.
fn printed(rustc: &str, what: &str) -> Option<String> {
    let output = Command::new(rustc).args(["--print", what]).output();
    let output = output.ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned())
}
