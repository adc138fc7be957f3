//! Writes the measurements of the table of facts and the imports of the inline functions, which the tests include, and
//! compiles the C side of the tests with clang. Without clang only the tests cannot be built, and say so.

#[path = "src/clang.rs"]
mod clang;
#[path = "src/declared.rs"]
#[allow(dead_code)]
mod declared;
#[path = "src/facts.rs"]
#[allow(dead_code)]
mod facts;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let headers = declared::headers();
    for watched in ["build.rs", "src", "facts", "c"]
        .map(Path::new)
        .into_iter()
        .chain([headers.as_path()])
    {
        println!("cargo::rerun-if-changed={}", watched.display());
    }

    let mut measured = String::from("[\n");
    for row in facts::rows(facts::TABLE) {
        writeln!(measured, "    ({row:?}, {}),", facts::measurement(row)?)?;
    }
    measured.push_str("]\n");
    std::fs::write(out.join("measured.rs"), measured)?;

    let names: Vec<String> = declared::expected(&headers)?.into_iter().collect();
    std::fs::write(
        out.join("imports.rs"),
        format!("pub use wsk_sys::{{{}}};\n", names.join(", ")),
    )?;

    println!("cargo::rustc-check-cfg=cfg(without_clang)");
    println!("cargo::rerun-if-env-changed=WSK_CLANG");
    let Some(clang) = clang::clang() else {
        println!("cargo::rustc-cfg=without_clang");
        // A file that is never there makes cargo look again next time.
        println!(
            "cargo::rerun-if-changed={}",
            out.join("clang-is-missing").display()
        );
        return Ok(());
    };
    cc::Build::new()
        .compiler(clang)
        .cargo_metadata(false)
        .file("c/inline.c")
        .include(&headers)
        .define("_NTSYSTEM_", None)
        .flag("-std=c11")
        .flag("-nostdinc")
        .flag("-ffreestanding")
        .extra_warnings(true)
        .warnings_into_errors(true)
        .try_compile("wsk_headers_in_c")?;
    println!(
        "cargo::rustc-link-arg-tests={}",
        out.join("libwsk_headers_in_c.a").display()
    );
    Ok(())
}
