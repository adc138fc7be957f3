//! Copies the guarded call of `wsk-sys`, but with another DLL for the handler: programs import it from elsewhere.

use std::path::Path;

fn main() {
    let source = "../../wsk-sys/src/inline/guarded.rs";
    println!("cargo::rerun-if-changed={source}");
    println!("cargo::rerun-if-changed=build.rs");
    let text = std::fs::read_to_string(source).expect("the source of wsk-sys is there");
    let text = text.replace("ntoskrnl.exe", "ntdll.dll");
    // Included text cannot have inner documentation.
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("//!"))
        .collect();
    let out = std::env::var_os("OUT_DIR").expect("cargo says where to");
    std::fs::write(Path::new(&out).join("guarded.rs"), lines.join("\n"))
        .expect("the folder can be written to");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_some() {
        for argument in ["/SUBSYSTEM:CONSOLE", "/ENTRY:start", "/NODEFAULTLIB"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
