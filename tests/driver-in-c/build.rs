//! Compiles the driver with clang against the headers and links it. Without clang the crate builds, and its tests say what is
//! missing.

use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let headers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../headers");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=c");
    println!("cargo::rerun-if-changed={}", headers.display());
    println!("cargo::rerun-if-env-changed=WSK_CLANG");
    println!("cargo::rustc-check-cfg=cfg(without_clang)");
    let Some(clang) = wsk_conformance::clang() else {
        println!("cargo::rustc-cfg=without_clang");
        // A file that never exists makes cargo run this again next time.
        println!(
            "cargo::rerun-if-changed={}",
            out.join("clang-is-missing").display()
        );
        return Ok(());
    };
    cc::Build::new()
        .compiler(clang)
        .file("c/echo.c")
        .file("c/exceptions.c")
        .include(&headers)
        // The kernel's functions are linked, not imported.
        .define("_NTSYSTEM_", None)
        .flag("-std=c11")
        // Uses no header of the host's C library.
        .flag("-nostdinc")
        .flag("-ffreestanding")
        // Keywords of Microsoft's compiler, and L"..." in UTF-16.
        .flag("-fms-extensions")
        .flag("-fshort-wchar")
        // Lets __except see the current values of variables.
        .opt_level(0)
        .extra_warnings(true)
        .warnings_into_errors(true)
        .try_compile("echo")?;
    Ok(())
}
