//! Writes the files that the tests include: measurements for the table of facts, imports of the inline functions, and
//! measurements of the records. Compiles the C side of the tests with clang. If that is not possible, only the tests that need it
//! do not build, and their message says why.

#[path = "src/clang.rs"]
#[allow(unreachable_pub)]
mod clang;
#[path = "src/declared.rs"]
#[allow(dead_code, unreachable_pub)]
mod declared;
#[path = "src/facts.rs"]
#[allow(dead_code, unreachable_pub)]
mod facts;
#[path = "src/layout.rs"]
#[allow(unreachable_pub)]
mod layout;

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let headers = declared::headers();
    let generated = headers.join("../wsk-sys/src/generated");
    let own = ["build.rs", "src", "facts", "c"].map(Path::new);
    for watched in own
        .into_iter()
        .chain([headers.as_path(), generated.as_path()])
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
    let imports = format!(
        "pub(crate) use wsk_sys::{{\n    {},\n}};\n",
        names.join(",\n    ")
    );
    std::fs::write(out.join("imports.rs"), imports)?;

    let records =
        ["records.rs", "dispatch.rs"].map(|file| std::fs::read_to_string(generated.join(file)));
    let records = records.into_iter().collect::<Result<String, _>>()?;
    let mut rust = String::from("&[\n");
    let mut c =
        String::from("#include <ntddk.h>\n#include <wsk.h>\n\nconst SIZE_T c_layout[] = {\n");
    for number in layout::measurements(&records) {
        writeln!(rust, "    ({:?}, {}),", number.name, number.rust)?;
        writeln!(c, "    {},", number.c)?;
    }
    rust.push_str("]\n");
    c.push_str("};\nconst SIZE_T c_layout_length = sizeof(c_layout) / sizeof(c_layout[0]);\n");
    std::fs::write(out.join("layout.rs"), rust)?;
    std::fs::write(out.join("layout.c"), c)?;

    println!("cargo::rustc-check-cfg=cfg(without_c)");
    if let Err(problem) = compile(&headers, &out) {
        println!("cargo::rustc-cfg=without_c");
        for line in problem.to_string().lines() {
            println!("cargo::warning={line}");
        }
        // A file that never exists makes cargo run this again next time.
        println!(
            "cargo::rerun-if-changed={}",
            out.join("not-compiled").display()
        );
    }
    Ok(())
}

/// Compiles the C side into a library for the tests.
fn compile(headers: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=WSK_CLANG");
    let clang = clang::clang().ok_or("there is no clang")?;
    cc::Build::new()
        .compiler(clang)
        .cargo_metadata(false)
        .file("c/inline.c")
        .file(out.join("layout.c"))
        .include(headers)
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
