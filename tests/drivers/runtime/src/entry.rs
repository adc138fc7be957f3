//! `DriverEntry`: where the system begins with a driver.

use wsk::NTSTATUS;
use wsk_sys::{DRIVER_OBJECT, STATUS_SUCCESS, UNICODE_STRING};

use crate::Parameters;

/// Defines `DriverEntry`, which the system calls when the driver is loaded, and the routine that it calls before it unloads the driver,
/// both at `PASSIVE_LEVEL`.
///
/// `load` is given the driver's parameters; the driver is not loaded where it fails, and has to leave nothing behind then. `unload` is
/// called once, after a `load` that has succeeded, and leaves nothing behind either.
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
        /// It is called by the system, which gives the driver's object and the path of its service's key.
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn DriverEntry(
            driver: &mut $crate::private::DRIVER_OBJECT,
            registry_path: &$crate::private::UNICODE_STRING,
        ) -> $crate::private::NTSTATUS {
            // Where nothing unsafe can be done or called: what the driver gives is not vouched for here.
            const LOAD_OF_DRIVER: fn(
                &$crate::Parameters,
            ) -> ::core::result::Result<(), $crate::private::NTSTATUS> = $load;
            const UNLOAD_OF_DRIVER: fn() = $unload;
            /// The system calls this before it unloads the driver, at `PASSIVE_LEVEL`.
            unsafe extern "system" fn before_unloading(_: *mut $crate::private::DRIVER_OBJECT) {
                UNLOAD_OF_DRIVER();
            }
            // SAFETY: the system gave both.
            unsafe {
                $crate::private::enter(driver, registry_path, LOAD_OF_DRIVER, before_unloading)
            }
        }
    };
}

/// What `DriverEntry` does.
///
/// # Safety
///
/// The system has given object and path to `DriverEntry`, which has not returned, and may call `unload` before it unloads the driver.
#[inline]
pub unsafe fn enter(
    driver: &mut DRIVER_OBJECT,
    registry_path: &UNICODE_STRING,
    load: impl FnOnce(&Parameters) -> Result<(), NTSTATUS>,
    unload: unsafe extern "system" fn(*mut DRIVER_OBJECT),
) -> NTSTATUS {
    // SAFETY: the caller says so.
    let parameters = unsafe { Parameters::open(registry_path) };
    if let Err(status) = load(&parameters) {
        return status;
    }
    driver.DriverUnload = Some(unload);
    STATUS_SUCCESS
}
