//! A driver in C for Winsock Kernel: `c/echo.c`, compiled against the headers and linked with the host kernel. The crate exports
//! its entry point. Its tests load the driver and talk to it over sockets of the host. `c/exceptions.c` is beside it: its tests
//! show how structured exceptions behave there.

#[cfg(not(without_clang))]
unsafe extern "system" {
    /// The driver's entry point.
    ///
    /// # Safety
    ///
    /// A kernel is booted, and the driver is not loaded.
    pub fn DriverEntry(
        driver: &mut wsk_sys::DRIVER_OBJECT,
        registry_path: &wsk_sys::UNICODE_STRING,
    ) -> wsk_sys::NTSTATUS;
}

// Linked for its symbols.
use wsk_host as _;
