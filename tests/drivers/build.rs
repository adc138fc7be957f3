//! Passes the linker the options for a driver, which a WDK would otherwise set.

fn main() {
    println!("cargo::rerun-if-changed=../build.rs");
    let arguments: &[&str] = match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("windows") => &[
            "/DRIVER",
            "/SUBSYSTEM:NATIVE",
            "/ENTRY:DriverEntry",
            "/NODEFAULTLIB",
            // Windows checks the checksum of a driver.
            "/RELEASE",
            // The table of functions for unwinding is constant: among the other constants it needs no page of its own.
            "/MERGE:.pdata=.rdata",
        ],
        // In tests, the host kernel defines the functions that are undefined here.
        Ok("macos") => &["-Wl,-undefined,dynamic_lookup"],
        _ => &[],
    };
    for argument in arguments {
        println!("cargo::rustc-link-arg-cdylib={argument}");
    }
}
