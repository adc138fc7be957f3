//! What the checks need beyond Rust: clang and libclang, a Rust that can compile for Windows, Wine, and lists of what Windows
//! exports. Installed from Debian's packages where they are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use wsk_drivers::toolchain;

use crate::run;

/// A Debian package and a file that tells that it is there already, from it or from elsewhere.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    present: fn() -> bool,
}

pub(crate) const PACKAGES: &[Package] = &[
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
        present: || Path::new("/usr/bin/lld-link-19").exists(),
    },
    Package {
        name: "rustc-web",
        present: || toolchain::windows() || Path::new(toolchain::DEBIAN_RUSTC).exists(),
    },
    Package {
        name: "cargo-web",
        present: || toolchain::windows() || Path::new(toolchain::DEBIAN_CARGO).exists(),
    },
    Package {
        name: "rust-web-src",
        present: || toolchain::windows() || toolchain::debian_sources(),
    },
    Package {
        name: "mingw-w64-x86-64-dev",
        present: wsk_drivers::exports::present,
    },
    Package {
        name: "gcc-mingw-w64-x86-64",
        present: || {
            Command::new("x86_64-w64-mingw32-gcc")
                .arg("--version")
                .output()
                .is_ok()
        },
    },
    Package {
        name: "osslsigncode",
        present: || {
            Command::new("osslsigncode")
                .arg("--version")
                .output()
                .is_ok()
        },
    },
    Package {
        name: "wine64",
        present: || wsk_drivers::wine::program().is_some(),
    },
];

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
