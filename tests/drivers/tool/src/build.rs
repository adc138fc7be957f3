//! Builds the sample drivers.

use std::fs;
use std::path::PathBuf;

use crate::toolchain::{self, X86_64};

/// The packages of the sample drivers.
pub const DRIVERS: &[&str] = &[
    "udp-echo",
    "udp-send",
    "udp-tunnel",
    "udp-segments",
    "http-head",
    "tcp-hello",
    "nbd-client",
    "sntp-http-mqtt",
];

/// A driver after its build.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its package.
    pub name: &'static str,
    /// The `.sys` file.
    pub image: PathBuf,
    /// The linker's map, with every symbol in the driver.
    pub map: PathBuf,
}

/// Builds every driver.
///
/// # Errors
///
/// The error in words.
pub fn all() -> Result<Vec<Built>, String> {
    DRIVERS.iter().map(|name| driver(name)).collect()
}

/// Builds one of the [`DRIVERS`].
///
/// # Errors
///
/// The error in words.
pub fn driver(name: &'static str) -> Result<Built, String> {
    let folder = toolchain::windows_directory();
    let folder = fs::create_dir_all(&folder)
        .and_then(|()| std::path::absolute(&folder))
        .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let map = folder.join(format!("{name}.map"));
    let mut command = toolchain::cargo("rustc", X86_64, &folder);
    command.args(["--package", name, "--lib"]);
    command.args(["--profile", "driver", "--", "-C"]);
    command.arg(format!("link-arg=/MAP:{}", map.display()));
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(_) => return Err(format!("{name} cannot be built; {NEEDED}")),
        Err(error) => return Err(format!("cargo cannot be run: {error}; {NEEDED}")),
    }
    let dll = format!("{}.dll", name.replace('-', "_"));
    let dll = folder.join(X86_64).join("driver").join(dll);
    let image = folder.join(format!("{name}.sys"));
    fs::copy(&dll, &image).map_err(|error| format!("{} is not there: {error}", dll.display()))?;
    Ok(Built { name, image, map })
}

const NEEDED: &str = "what is needed is `rustup target add x86_64-pc-windows-msvc` and a linker (link.exe, rust-lld or lld-link), or \
    Debian's packages rustc-web, cargo-web, rust-web-src and lld-19";
