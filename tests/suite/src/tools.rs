//! What the checks need beyond Rust: clang and libclang, and a Rust that can compile for Windows. Installed from Debian's
//! packages where they are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

/// A Debian package and a file that tells that it is there already, from it or from elsewhere.
struct Package {
    name: &'static str,
    present: fn() -> bool,
}

const PACKAGES: &[Package] = &[
    Package {
        name: "valgrind",
        present: || Command::new("valgrind").arg("--version").output().is_ok(),
    },
    Package {
        name: "clang-19",
        present: || clang().is_some(),
    },
    Package {
        name: "libclang-19-dev",
        present: libclang,
    },
    Package {
        name: "lld-19",
        present: || windows_target() || Path::new("/usr/bin/lld-link-19").exists(),
    },
    Package {
        name: "rustc-web",
        present: || windows_target() || Path::new(DEBIAN_RUSTC).exists(),
    },
    Package {
        name: "cargo-web",
        present: || windows_target() || Path::new(DEBIAN_CARGO).exists(),
    },
    Package {
        name: "rust-web-src",
        present: || windows_target() || debian_sources(),
    },
];

/// Debian's Rust compiler, which comes with the sources of `core` for any target.
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Debian's cargo.
pub(crate) const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// Installs what is missing.
pub(crate) fn install() -> Result<(), String> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|package| !(package.present)())
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    println!("missing: {list}");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!(
            "install these, or what provides them on this system, and run again: {list}"
        ));
    }
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let apt = |arguments: &[&str]| {
        let mut command = if root {
            Command::new("apt-get")
        } else {
            Command::new("sudo")
        };
        if !root {
            command.arg("apt-get");
        }
        run(command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments)
        .map_err(|problem| format!("{problem}\n  install by hand and run again: {list}"))?;
    match PACKAGES.iter().find(|package| !(package.present)()) {
        Some(package) => Err(format!(
            "{} was installed and what it provides is still not found",
            package.name
        )),
        None => Ok(()),
    }
}

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The cargo that runs this.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Whether the active toolchain has a standard library for Windows.
pub(crate) fn windows_target() -> bool {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    sysroot.is_ok_and(|output| {
        let root = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let has = |target: &str| root.join("lib/rustlib").join(target).join("lib").is_dir();
        has("x86_64-pc-windows-msvc") && has("aarch64-pc-windows-msvc")
    })
}

/// The triple that the active toolchain builds for.
pub(crate) fn host() -> String {
    let version = Command::new("rustc").arg("-vV").output();
    let text = version.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or("x86_64-unknown-linux-gnu")
        .to_owned()
}

/// A clang for the C side of the tests: `WSK_CLANG`, or the newest that is installed.
pub(crate) fn clang() -> Option<PathBuf> {
    wsk_conformance::clang()
}

fn libclang() -> bool {
    let named = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .any(|name| {
                name.starts_with("libclang.so")
                    || name.starts_with("libclang-")
                        && name.contains(".so")
                        && !name.contains("cpp")
            })
    };
    if let Some(path) = std::env::var_os("LIBCLANG_PATH") {
        return Path::new(&path).is_file() || named(Path::new(&path));
    }
    // Debian keeps versions apart; older ones than the generator can use do not count.
    (16..30).any(|version| named(Path::new(&format!("/usr/lib/llvm-{version}/lib"))))
}

fn debian_sources() -> bool {
    Command::new(DEBIAN_RUSTC)
        .args(["--print", "sysroot"])
        .output()
        .is_ok_and(|output| {
            let root = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
            root.join("lib/rustlib/src/rust/library/core/src/lib.rs")
                .exists()
        })
}
