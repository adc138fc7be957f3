//! Passes the linker the options for a driver, which a WDK would otherwise set.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=../build.rs");
    let arguments: &[&str] = match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("windows") => {
            without_dos_program();
            &[
                "/DRIVER",
                "/SUBSYSTEM:NATIVE",
                "/ENTRY:DriverEntry",
                "/NODEFAULTLIB",
                // Windows checks the checksum of a driver.
                "/RELEASE",
                // The table of functions for unwinding is constant: among the other constants it needs no page of its own.
                "/MERGE:.pdata=.rdata",
            ]
        }
        // In tests, the host kernel defines the functions that are undefined here.
        Ok("macos") => &["-Wl,-undefined,dynamic_lookup"],
        _ => &[],
    };
    for argument in arguments {
        println!("cargo::rustc-link-arg-cdylib={argument}");
    }
}

/// Has Rust's own linker begin the file with a header for MS-DOS alone, without the program that tells an MS-DOS user that this is none. Then
/// all headers fit into one sector of 512 bytes. Other linkers keep the program: not every version can do without.
fn without_dos_program() {
    let linker = env::var("RUSTC_LINKER").unwrap_or_default();
    let is_own = Path::new(&linker).file_stem() == Some("rust-lld".as_ref());
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_LINKER");
    if let (true, Ok(folder)) = (is_own, env::var("OUT_DIR")) {
        let stub = Path::new(&folder).join("dos-header");
        // The linker fills in the rest.
        let mut header = [0; 64];
        header[..2].copy_from_slice(b"MZ");
        std::fs::write(&stub, header).expect("the output folder can be written to");
        println!("cargo::rustc-link-arg-cdylib=/STUB:{}", stub.display());
    }
}
