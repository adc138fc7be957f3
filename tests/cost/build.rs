//! Compiles the C side with clang and links it into the driver. Without clang everything builds, and the measurement says what is
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
        .cargo_metadata(false)
        .files(["c/driver.c", "c/lean.c", "c/careful.c"])
        .include(&headers)
        .define("_NTSYSTEM_", None)
        .opt_level(2)
        .debug(true)
        .pic(true)
        .flag("-std=c11")
        .flag("-nostdinc")
        .flag("-ffreestanding")
        .flag("-fomit-frame-pointer")
        // Calls imported functions through a table of addresses, as on Windows and as rustc does.
        .flag("-fno-plt")
        .extra_warnings(true)
        .warnings_into_errors(true)
        .try_compile("wsk_cost_in_c")?;
    println!("cargo::rustc-link-search=native={}", out.display());
    Ok(())
}
