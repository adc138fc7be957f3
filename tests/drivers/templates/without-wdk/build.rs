//! Passes the linker the options for a driver, which otherwise a WDK would set.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("windows") {
        for option in [
            "/DRIVER",
            "/SUBSYSTEM:NATIVE",
            "/ENTRY:DriverEntry",
            "/NODEFAULTLIB",
            // Windows checks the checksum of a driver.
            "/RELEASE",
            // The table of functions for unwinding is constant: among the other constants it needs no page of its own.
            "/MERGE:.pdata=.rdata",
        ] {
            println!("cargo::rustc-link-arg-cdylib={option}");
        }
    }
}
