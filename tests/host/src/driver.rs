//! Loading and unloading whole drivers. Stands for the I/O manager's part of `NtLoadDriver`: the driver object, the path of the
//! service's registry key, `DriverEntry` and `DriverUnload`.

use core::fmt;
use core::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use wsk_sys::{DRIVER_EXTENSION, DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};

use crate::kernel::{self, Kernel};
use crate::origin;
use crate::registry::{self, RegistryValue};
use crate::upcall::{self, Code};

/// The entry point of a driver, `DRIVER_INITIALIZE`.
pub type DriverEntry = unsafe extern "system" fn(
    driver: &mut DRIVER_OBJECT,
    registry_path: &UNICODE_STRING,
) -> NTSTATUS;

/// The number of the next driver; 0 stands for no driver.
static NUMBERS: AtomicU32 = AtomicU32::new(1);

/// `IO_TYPE_DRIVER`.
const TYPE: i16 = 4;

/// A driver that is going to be loaded.
///
/// ```
/// # use wsk_sys::{DRIVER_OBJECT, NTSTATUS, STATUS_SUCCESS, UNICODE_STRING};
/// # unsafe extern "system" fn unload(_: *mut DRIVER_OBJECT) {}
/// # #[allow(non_snake_case)]
/// # unsafe extern "system" fn DriverEntry(driver: &mut DRIVER_OBJECT, _: &UNICODE_STRING) -> NTSTATUS {
/// #     driver.DriverUnload = Some(unload);
/// #     STATUS_SUCCESS
/// # }
/// use wsk_host::{Driver, Kernel, RegistryValue};
///
/// /// The driver with the parameters that every test has.
/// fn driver(kernel: &Kernel) -> Driver<'_> {
///     kernel.driver("echo").parameter("Port", RegistryValue::Dword(7))
/// }
///
/// let kernel = Kernel::boot();
/// driver(&kernel).load(DriverEntry)?.unload();
/// kernel.shutdown();
/// # Ok::<(), NTSTATUS>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing happens until `load` is called"]
pub struct Driver<'k> {
    kernel: &'k Kernel,
    name: String,
}

/// A driver that is loaded. Dropping it unloads it.
///
/// ```
/// # use wsk_sys::{DRIVER_OBJECT, NTSTATUS, STATUS_SUCCESS, UNICODE_STRING};
/// # unsafe extern "system" fn unload(_: *mut DRIVER_OBJECT) {}
/// # #[allow(non_snake_case)]
/// # unsafe extern "system" fn DriverEntry(driver: &mut DRIVER_OBJECT, _: &UNICODE_STRING) -> NTSTATUS {
/// #     driver.DriverUnload = Some(unload);
/// #     STATUS_SUCCESS
/// # }
/// use wsk_host::{Kernel, LoadedDriver};
///
/// let kernel = Kernel::boot();
/// let driver: LoadedDriver<'_> = kernel.driver("echo").load(DriverEntry)?;
/// assert!(driver.object().DriverUnload.is_some());
/// // Stops the test if the driver leaves anything behind.
/// driver.unload();
/// kernel.shutdown();
/// # Ok::<(), NTSTATUS>(())
/// ```
#[must_use = "the driver is unloaded when this is dropped"]
pub struct LoadedDriver<'k> {
    parts: Box<Parts>,
    /// The number by which records identify the driver's objects.
    number: u32,
    patience: Duration,
    kernel: PhantomData<&'k Kernel>,
}

/// The system's memory for a driver.
struct Parts {
    object: DRIVER_OBJECT,
    extension: DRIVER_EXTENSION,
    /// `\Driver\…`.
    driver_name: Vec<u16>,
    /// The name of the service.
    service: Vec<u16>,
}

impl Kernel {
    /// A driver whose service has this name.
    ///
    /// ```
    /// # use wsk_sys::{DRIVER_OBJECT, NTSTATUS, STATUS_SUCCESS, UNICODE_STRING};
    /// # unsafe extern "system" fn unload(_: *mut DRIVER_OBJECT) {}
    /// # #[allow(non_snake_case)]
    /// # unsafe extern "system" fn DriverEntry(driver: &mut DRIVER_OBJECT, _: &UNICODE_STRING) -> NTSTATUS {
    /// #     driver.DriverUnload = Some(unload);
    /// #     STATUS_SUCCESS
    /// # }
    /// use wsk_host::{Kernel, RegistryValue};
    ///
    /// let kernel = Kernel::boot();
    /// let driver = kernel
    ///     .driver("echo")
    ///     .parameter("Port", RegistryValue::Dword(7))
    ///     .load(DriverEntry)
    ///     .expect("DriverEntry succeeds");
    /// // ... what the driver is there for ...
    /// driver.unload();
    /// kernel.shutdown(); // Tells what the driver left behind.
    /// ```
    pub fn driver(&self, name: &str) -> Driver<'_> {
        Driver {
            kernel: self,
            name: name.to_owned(),
        }
    }
}

impl<'k> Driver<'k> {
    /// Sets a value of the `Parameters` key of the driver's service.
    pub fn parameter(self, name: &str, value: RegistryValue) -> Self {
        let key = format!("{}\\Parameters", self.key());
        self.kernel.set_registry_value(&key, name, value);
        self
    }

    /// Calls the driver's entry point.
    ///
    /// # Errors
    ///
    /// The status that it returned, if that is not a success.
    pub fn load(self, entry: DriverEntry) -> Result<LoadedDriver<'k>, NTSTATUS> {
        let utf16 = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        let mut parts = Box::new(Parts {
            // SAFETY: null pointers, zeroes and absent functions are values of every member.
            object: unsafe { core::mem::zeroed() },
            // SAFETY: null pointers, zeroes and absent functions are values of every member.
            extension: unsafe { core::mem::zeroed() },
            driver_name: utf16(&format!(r"\Driver\{}", self.name)),
            service: utf16(&self.name),
        });
        parts.object.Type = TYPE;
        parts.object.Size = i16::try_from(size_of::<DRIVER_OBJECT>()).unwrap_or(i16::MAX);
        parts.object.DriverName = counted(&mut parts.driver_name);
        parts.object.DriverExtension = &raw mut parts.extension;
        parts.extension.DriverObject = &raw mut parts.object;
        parts.extension.ServiceKeyName = counted(&mut parts.service);
        registry::create(&self.key());
        // As on Windows, the path exists only during the call.
        let mut path = utf16(&self.key());
        let registry_path = counted(&mut path);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let status = call(number, "DriverEntry", || {
            // SAFETY: a driver object of its own and a path, as the entry point of a driver is given.
            unsafe { entry(&mut parts.object, &registry_path) }
        });
        path.fill(0xDEAD);
        if status.is_success() {
            Ok(LoadedDriver {
                parts,
                number,
                patience: self.kernel.patience(),
                kernel: PhantomData,
            })
        } else {
            kernel::require_nothing_left(number, &self.name, self.kernel.patience());
            Err(status)
        }
    }

    /// The path of the service's key.
    fn key(&self) -> String {
        format!(
            r"\Registry\Machine\System\CurrentControlSet\Services\{}",
            self.name
        )
    }
}

impl LoadedDriver<'_> {
    /// Calls the driver's unload routine. What the driver leaves behind stops the system: memory, sockets, threads, timers, calls
    /// in flight. So it does when `DriverEntry` fails.
    ///
    /// # Panics
    ///
    /// When the driver has none: it can't be unloaded.
    #[track_caller]
    pub fn unload(self) {
        assert!(
            self.parts.object.DriverUnload.is_some(),
            "the driver has set no DriverUnload: it can't be unloaded"
        );
    }

    /// The driver object, as `DriverEntry` left it.
    #[must_use]
    pub fn object(&self) -> &DRIVER_OBJECT {
        &self.parts.object
    }
}

impl Drop for LoadedDriver<'_> {
    fn drop(&mut self) {
        if let Some(unload) = self.parts.object.DriverUnload
            && !std::thread::panicking()
        {
            // SAFETY: the routine is the driver's, which is loaded, and is called this once, at PASSIVE_LEVEL.
            call(self.number, "DriverUnload", || unsafe {
                unload(&raw mut self.parts.object);
            });
            let name = String::from_utf16_lossy(&self.parts.service);
            kernel::require_nothing_left(self.number, &name, self.patience);
        }
    }
}

impl fmt::Debug for LoadedDriver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedDriver")
            .field("name", &String::from_utf16_lossy(&self.parts.service))
            .finish_non_exhaustive()
    }
}

/// Calls a routine of a driver.
fn call<R>(driver: u32, routine: &str, body: impl FnOnce() -> R) -> R {
    upcall::call(Code::Routine(routine), || origin::for_driver(driver, body))
}

/// A counted string over units that stay in place.
fn counted(units: &mut [u16]) -> UNICODE_STRING {
    let bytes = u16::try_from(units.len() * 2).unwrap_or(u16::MAX - 1);
    UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: units.as_mut_ptr(),
    }
}
