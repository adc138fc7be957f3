//! Links a driver where there is no WDK to say how.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_some() {
        let arguments = [
            "/DRIVER",
            "/SUBSYSTEM:NATIVE",
            "/ENTRY:DriverEntry",
            "/NODEFAULTLIB",
            // Windows checks the checksum of a driver.
            "/RELEASE",
        ];
        for argument in arguments {
            println!("cargo::rustc-link-arg-cdylib={argument}");
        }
    }
}
