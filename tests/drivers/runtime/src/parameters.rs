//! The parameters that an administrator sets for a driver: values of the key `Parameters` of its service. It replaces `ZwOpenKey`
//! and `ZwQueryValueKey` in C drivers.

use core::ffi::c_void;
use core::mem::offset_of;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::ptr::{NonNull, null_mut};

use wsk::NTSTATUS;
use wsk_sys::{
    InitializeObjectAttributes, KEY_READ, KEY_VALUE_INFORMATION_CLASS,
    KEY_VALUE_PARTIAL_INFORMATION, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES,
    REG_DWORD, REG_SZ, RTL_CONSTANT_STRING, RtlIpv4StringToAddressExW, STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH, UNICODE_STRING, ZwClose, ZwOpenKey,
    ZwQueryValueKey,
};

/// The greatest length of a name, and of the text of a value.
const LONGEST: usize = 128;

/// The parameters of a driver. If one is not set, the driver uses its default.
///
/// ```
/// # use wsk_host::{Kernel, RegistryValue};
/// use core::net::{Ipv4Addr, SocketAddrV4};
/// use wsk::NTSTATUS;
/// use wsk_driver::Parameters;
/// use wsk_sys::{DRIVER_OBJECT, STATUS_SUCCESS, UNICODE_STRING};
///
/// fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
///     let default = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7);
///     let listen = parameters.address("Listen", default)?;
///     let count = parameters.number("Count", 10)?;
///     # assert_eq!((listen.port(), count), (7777, 10));
///     Ok(())
/// }
///
/// unsafe extern "system" fn driver_entry(
///     driver: &mut DRIVER_OBJECT,
///     registry_path: &UNICODE_STRING,
/// ) -> NTSTATUS {
///     // SAFETY: the system gave the path.
///     let parameters = unsafe { Parameters::open(registry_path) };
///     # driver.DriverUnload = Some(unload);
///     load(&parameters).err().unwrap_or(STATUS_SUCCESS)
/// }
/// # unsafe extern "system" fn unload(_: *mut DRIVER_OBJECT) {}
/// # let kernel = Kernel::boot();
/// # let listen = RegistryValue::String("127.0.0.1:7777".to_owned());
/// # let driver = kernel.driver("first-driver").parameter("Listen", listen);
/// # driver.load(driver_entry).unwrap().unload();
/// # kernel.shutdown();
/// ```
#[derive(Debug)]
pub struct Parameters {
    key: Option<Key>,
}

/// A text among the parameters.
///
/// ```
/// # use wsk_host::{Kernel, RegistryValue};
/// # use wsk_sys::{DRIVER_OBJECT, STATUS_SUCCESS, UNICODE_STRING};
/// use wsk::NTSTATUS;
/// use wsk_driver::{Parameters, Text};
///
/// /// Where a driver keeps the name of a server, if it was given one.
/// struct Settings {
///     server: Option<Text>,
/// }
///
/// fn load(parameters: &Parameters) -> Result<Settings, NTSTATUS> {
///     Ok(Settings { server: parameters.text("Server")? })
/// }
/// # unsafe extern "system" fn unload(_: *mut DRIVER_OBJECT) {}
/// # unsafe extern "system" fn driver_entry(driver: &mut DRIVER_OBJECT, registry_path: &UNICODE_STRING) -> NTSTATUS {
/// #     let parameters = unsafe { Parameters::open(registry_path) };
/// #     driver.DriverUnload = Some(unload);
/// #     assert_eq!(load(&parameters).unwrap().server.unwrap().as_str(), "time.example");
/// #     STATUS_SUCCESS
/// # }
/// # let kernel = Kernel::boot();
/// # let server = RegistryValue::String("time.example".to_owned());
/// # kernel.driver("first-driver").parameter("Server", server).load(driver_entry).unwrap().unload();
/// # kernel.shutdown();
/// ```
///
/// # Invariants
///
/// The first `length` bytes are ASCII, and the others 0.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

/// An open registry key.
///
/// # Invariants
///
/// The handle is open, and belongs to this value alone.
#[derive(Debug)]
struct Key(NonNull<c_void>);

/// A value in the registry's form: [`KEY_VALUE_PARTIAL_INFORMATION`] with room for data.
///
/// # Invariants
///
/// The last unit of the data is 0, so that each text ends with a zero.
#[repr(C)]
struct Value {
    index: u32,
    kind: u32,
    length: u32,
    data: [u16; LONGEST + 1],
}

const _: () = assert!(offset_of!(Value, data) == offset_of!(KEY_VALUE_PARTIAL_INFORMATION, Data));

impl Parameters {
    /// Opens the parameters of the driver whose service's key is `registry_path`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Safety
    ///
    /// `registry_path` is the path that the system passed to `DriverEntry`, which has not returned.
    #[must_use]
    pub unsafe fn open(registry_path: &UNICODE_STRING) -> Self {
        let name = RTL_CONSTANT_STRING!("Parameters");
        // SAFETY: the caller passes a valid string, and the other one is static.
        let key = unsafe {
            Key::open(registry_path, null_mut())
                .and_then(|service| Key::open(&name, service.0.as_ptr()))
        };
        Self { key }
    }

    /// The number with this name. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_OBJECT_TYPE_MISMATCH` if it is not a `REG_DWORD`, or the error of the registry.
    pub fn number(&self, name: &str, default: u32) -> Result<u32, NTSTATUS> {
        let mut value = Value::room();
        if !is_set(self.read(name, REG_DWORD, &mut value))? {
            return Ok(default);
        }
        let [low, high, ..] = value.data;
        Ok(u32::from(low) | u32::from(high) << 16)
    }

    /// The text with this name. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_OBJECT_TYPE_MISMATCH` if it is not a `REG_SZ`, `STATUS_INVALID_PARAMETER` if it is not ASCII, or the error of the
    /// registry.
    pub fn text(&self, name: &str) -> Result<Option<Text>, NTSTATUS> {
        let mut value = Value::room();
        if !is_set(self.read(name, REG_SZ, &mut value))? {
            return Ok(None);
        }
        let mut text = Text {
            bytes: [0; LONGEST],
            length: 0,
        };
        let units = value.data.iter().take(value.length as usize / 2);
        for (byte, unit) in text.bytes.iter_mut().zip(units) {
            match u8::try_from(*unit) {
                Ok(0) => break,
                Ok(ascii) if ascii.is_ascii() => *byte = ascii,
                _ => return Err(STATUS_INVALID_PARAMETER),
            }
            text.length += 1;
        }
        Ok(Some(text))
    }

    /// The address and port with this name, such as `192.0.2.1:7`, as
    /// [`RtlIpv4StringToAddressExW`](https://learn.microsoft.com/windows/win32/api/ip2string/nf-ip2string-rtlipv4stringtoaddressexw)
    /// reads them: the port is 0 if it is missing. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_OBJECT_TYPE_MISMATCH` if it is not a `REG_SZ`, `STATUS_INVALID_PARAMETER` if it is not an address, or the error of
    /// the registry.
    pub fn address(&self, name: &str, default: SocketAddrV4) -> Result<SocketAddrV4, NTSTATUS> {
        let mut value = Value::room();
        if !is_set(self.read(name, REG_SZ, &mut value))? {
            return Ok(default);
        }
        let (mut address, mut port) = (0, 0);
        // SAFETY: the text ends with a zero, at the latest by the invariant of the value, and the function writes to both places.
        let status = unsafe {
            // Requires four decimal numbers.
            let strict = true.into();
            let address = (&raw mut address).cast();
            RtlIpv4StringToAddressExW(value.data.as_ptr(), strict, address, &raw mut port)
        };
        if !status.is_success() {
            return Err(status);
        }
        // Both are in network order.
        let address = Ipv4Addr::from(u32::from_be(address));
        Ok(SocketAddrV4::new(address, u16::from_be(port)))
    }

    /// Reads the value with this name, which must be of this kind, into `value`. If it is not set, the status is
    /// `STATUS_OBJECT_NAME_NOT_FOUND`. The value is not returned, because the compiler would move its few hundred bytes several times.
    fn read(&self, name: &str, kind: u32, value: &mut Value) -> NTSTATUS {
        let Some(key) = &self.key else {
            return STATUS_OBJECT_NAME_NOT_FOUND;
        };
        let status = key.read(name, value);
        if status.is_success() && value.kind != kind {
            return STATUS_OBJECT_TYPE_MISMATCH;
        }
        status
    }
}

/// Whether the value is set that was [read](Parameters::read) with this status. Inlined: a result that is returned costs more code than the status.
#[inline]
fn is_set(status: NTSTATUS) -> Result<bool, NTSTATUS> {
    match status {
        STATUS_OBJECT_NAME_NOT_FOUND => Ok(false),
        status if !status.is_success() => Err(status),
        _ => Ok(true),
    }
}

impl Value {
    /// Room for a value.
    const fn room() -> Self {
        // INVARIANT: all units are 0.
        Self {
            index: 0,
            kind: 0,
            length: 0,
            data: [0; LONGEST + 1],
        }
    }
}

impl Text {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        // SAFETY: by the invariant the bytes are ASCII. (To check that again would need much of a small driver's code.)
        unsafe { str::from_utf8_unchecked(bytes) }
    }
}

impl Key {
    /// Opens the key `name` under `root`.
    ///
    /// # Safety
    ///
    /// `name` is a readable string, and `root` an open key or null.
    unsafe fn open(name: &UNICODE_STRING, root: *mut c_void) -> Option<Self> {
        let mut attributes = OBJECT_ATTRIBUTES::default();
        let flags = OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE;
        let mut key = null_mut();
        // SAFETY: the caller promises that name and root are valid during the call; the name is only read.
        let status = unsafe {
            let name = core::ptr::from_ref(name).cast_mut();
            InitializeObjectAttributes(&raw mut attributes, name, flags, root, null_mut());
            ZwOpenKey(&raw mut key, KEY_READ, &raw mut attributes)
        };
        // INVARIANT: the handle is open, and nobody else has it.
        NonNull::new(key).filter(|_| status.is_success()).map(Self)
    }

    /// Reads a value. Returns the status of the registry.
    fn read(&self, name: &str, value: &mut Value) -> NTSTATUS {
        #[allow(clippy::cast_possible_truncation, reason = "it is a few hundred")]
        // All units except the last.
        const SIZE: u32 = (offset_of!(Value, data) + size_of::<[u16; LONGEST]>()) as u32;
        let mut units = [0; LONGEST];
        let mut count = 0;
        for (unit, from) in units.iter_mut().zip(name.encode_utf16()) {
            *unit = from;
            count += 2;
        }
        let mut name = UNICODE_STRING {
            Length: count,
            MaximumLength: count,
            Buffer: units.as_mut_ptr(),
        };
        let mut written = 0;
        // SAFETY: by the invariant the key is open; the name is a readable string, and the value has the stated room.
        // INVARIANT: the room ends before the last unit.
        unsafe {
            ZwQueryValueKey(
                self.0.as_ptr(),
                &raw mut name,
                KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
                core::ptr::from_mut(value).cast(),
                SIZE,
                &raw mut written,
            )
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: by the invariant the handle is open and belongs to this value alone.
        let _ = unsafe { ZwClose(self.0.as_ptr()) };
    }
}
