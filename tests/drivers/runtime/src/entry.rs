//! `DriverEntry`, the function with which the system starts a driver.

use wsk::NTSTATUS;
use wsk_sys::{DRIVER_OBJECT, STATUS_SUCCESS, UNICODE_STRING};

use crate::Parameters;

/// Defines `DriverEntry`, which the system calls when the driver is loaded, and the routine that it calls before it unloads the driver,
/// both at `PASSIVE_LEVEL`.
///
/// `load` gets the driver's parameters. If it fails, the driver is not loaded, so `load` must leave nothing behind. `unload` is
/// called once, after a successful `load`, and must leave nothing behind either.
///
/// ```
/// use wsk::NTSTATUS;
/// use wsk_driver::{Parameters, driver_entry};
///
/// driver_entry!(load, unload);
///
/// fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
///     let _count = parameters.number("Count", 10)?;
///     Ok(())
/// }
///
/// fn unload() {}
///
/// // In a test:
/// let kernel = wsk_host::Kernel::boot();
/// kernel.driver("first-driver").load(DriverEntry).unwrap().unload();
/// kernel.shutdown();
/// ```
#[doc(alias("DriverEntry", "DriverUnload", "DRIVER_INITIALIZE", "DRIVER_UNLOAD"))]
#[macro_export]
macro_rules! driver_entry {
    ($load:path, $unload:path) => {
        /// The system calls this when the driver is loaded, at `PASSIVE_LEVEL`.
        ///
        /// # Safety
        ///
        /// The system calls it, with the driver's object and the path of its service's key.
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn DriverEntry(
            driver: &mut $crate::private::DRIVER_OBJECT,
            registry_path: &$crate::private::UNICODE_STRING,
        ) -> $crate::private::NTSTATUS {
            // In a safe function, because this macro does not vouch for the driver's own expressions.
            const LOAD_OF_DRIVER: fn(
                &$crate::Parameters,
            ) -> ::core::result::Result<(), $crate::private::NTSTATUS> = $load;
            const UNLOAD_OF_DRIVER: fn() = $unload;
            /// The system calls this before it unloads the driver, at `PASSIVE_LEVEL`.
            unsafe extern "system" fn before_unloading(_: *mut $crate::private::DRIVER_OBJECT) {
                UNLOAD_OF_DRIVER();
            }
            // SAFETY: both come from the system.
            unsafe {
                $crate::private::enter(driver, registry_path, LOAD_OF_DRIVER, before_unloading)
            }
        }
    };
}

/// The body of `DriverEntry`.
///
/// # Safety
///
/// The system has passed object and path to `DriverEntry`, which has not returned, and may call `unload` before it unloads the
/// driver.
#[inline]
pub unsafe fn enter(
    driver: &mut DRIVER_OBJECT,
    registry_path: &UNICODE_STRING,
    load: impl FnOnce(&Parameters) -> Result<(), NTSTATUS>,
    unload: unsafe extern "system" fn(*mut DRIVER_OBJECT),
) -> NTSTATUS {
    // SAFETY: the caller promises this.
    let parameters = unsafe { Parameters::open(registry_path) };
    if let Err(status) = load(&parameters) {
        return status;
    }
    driver.DriverUnload = Some(unload);
    STATUS_SUCCESS
}
