//! A registry that tests fill and drivers read. Stands for the configuration manager's `ZwOpenKey` and `ZwQueryValueKey`.

use core::ffi::c_void;
use core::fmt::{self, Display};
use std::collections::BTreeMap;

use parking_lot::Mutex;
use wsk_sys::{
    KEY_VALUE_INFORMATION_CLASS, KEY_VALUE_PARTIAL_INFORMATION, NTSTATUS, OBJECT_ATTRIBUTES,
    REG_BINARY, REG_DWORD, REG_SZ, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS,
    UNICODE_STRING,
};

use crate::thread::{self, Handle};

/// The data of a registry value.
///
/// ```
/// use wsk_host::{Kernel, RegistryValue};
///
/// let kernel = Kernel::boot();
/// let key = r"\Registry\Machine\System\CurrentControlSet\Services\echo\Parameters";
/// kernel.set_registry_value(key, "Port", RegistryValue::Dword(7));
/// kernel.shutdown();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryValue {
    /// `REG_DWORD`.
    Dword(u32),
    /// `REG_SZ`.
    String(String),
    /// `REG_BINARY`.
    Binary(Vec<u8>),
}

impl RegistryValue {
    fn encode(&self) -> (u32, Vec<u8>) {
        #[allow(
            clippy::unnecessary_cast,
            reason = "the type of a C macro's constant is the generator's choice"
        )]
        match self {
            Self::Dword(value) => (REG_DWORD as u32, value.to_le_bytes().to_vec()),
            Self::String(text) => (
                REG_SZ as u32,
                text.encode_utf16()
                    .chain([0])
                    .flat_map(u16::to_le_bytes)
                    .collect(),
            ),
            Self::Binary(bytes) => (REG_BINARY as u32, bytes.clone()),
        }
    }
}

/// The full path of a key, in lower case, because names are compared without regard to case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(String);

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Key {
    fn new(path: &str) -> Self {
        Self(path.trim_end_matches('\\').to_lowercase())
    }
}

static KEYS: Mutex<BTreeMap<Key, BTreeMap<String, RegistryValue>>> = Mutex::new(BTreeMap::new());

/// Sets a value, and makes its key if needed.
pub(crate) fn set(path: &str, name: &str, value: RegistryValue) {
    KEYS.lock()
        .entry(Key::new(path))
        .or_default()
        .insert(name.to_lowercase(), value);
}

/// Makes a key.
pub(crate) fn create(path: &str) {
    KEYS.lock().entry(Key::new(path)).or_default();
}

/// Whether the key exists: it was made, or a key below it was made.
fn exists(key: &Key) -> bool {
    let above = format!("{key}\\");
    KEYS.lock()
        .keys()
        .any(|known| known == key || known.0.starts_with(&above))
}

/// Forgets all keys and values.
pub(crate) fn reset() {
    KEYS.lock().clear();
}

/// # Safety
///
/// `string` is a readable counted string.
unsafe fn read(string: *const UNICODE_STRING) -> String {
    // SAFETY: the caller says so; an empty string needn't have a buffer.
    unsafe {
        if string.is_null() || (*string).Length == 0 || (*string).Buffer.is_null() {
            return String::new();
        }
        String::from_utf16_lossy(core::slice::from_raw_parts(
            (*string).Buffer,
            usize::from((*string).Length) / 2,
        ))
    }
}

/// The key that a handle stands for.
fn key_of(handle: *mut c_void) -> Option<Key> {
    thread::with_handle(handle, |handle| match handle {
        Handle::Key(key) => Some(key.clone()),
        Handle::Thread(_) => None,
    })?
}

export! {
    /// Opens a registry key.
    fn ZwOpenKey(
        KeyHandle: *mut *mut c_void,
        DesiredAccess: u32,
        ObjectAttributes: *mut OBJECT_ATTRIBUTES,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        let _ = DesiredAccess;
        // SAFETY: the driver gives the attributes.
        let (name, root) = unsafe {
            (
                read((*ObjectAttributes).ObjectName),
                (*ObjectAttributes).RootDirectory,
            )
        };
        let key = if root.is_null() {
            Key::new(&name)
        } else {
            let Some(base) = key_of(root) else {
                return STATUS_INVALID_HANDLE;
            };
            Key::new(&format!("{base}\\{name}"))
        };
        if !exists(&key) {
            return STATUS_OBJECT_NAME_NOT_FOUND;
        }
        // SAFETY: the driver gives the place.
        unsafe { KeyHandle.write(thread::open(Handle::Key(key))) };
        STATUS_SUCCESS
    }
}

export! {
    /// Reads a registry value. Only the class `KeyValuePartialInformation` is supported.
    fn ZwQueryValueKey(
        KeyHandle: *mut c_void,
        ValueName: *mut UNICODE_STRING,
        KeyValueInformationClass: KEY_VALUE_INFORMATION_CLASS,
        KeyValueInformation: *mut c_void,
        Length: u32,
        ResultLength: *mut u32,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        const HEADER: usize = core::mem::offset_of!(KEY_VALUE_PARTIAL_INFORMATION, Data);
        let Some(key) = key_of(KeyHandle) else {
            return STATUS_INVALID_HANDLE;
        };
        if KeyValueInformationClass != KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation {
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: the driver gives the name.
        let name = unsafe { read(ValueName) }.to_lowercase();
        let Some((kind, data)) = KEYS
            .lock()
            .get(&key)
            .and_then(|values| values.get(&name))
            .map(RegistryValue::encode)
        else {
            return STATUS_OBJECT_NAME_NOT_FOUND;
        };
        let length = Length as usize;
        // SAFETY: the driver gives `Length` writable bytes and a place for the result's length.
        unsafe {
            ResultLength.write(u32::try_from(HEADER + data.len()).unwrap_or(u32::MAX));
            if length < HEADER {
                return STATUS_BUFFER_TOO_SMALL;
            }
            let out = KeyValueInformation.cast::<u8>();
            let header = [0, kind, u32::try_from(data.len()).unwrap_or(u32::MAX)];
            core::ptr::copy_nonoverlapping(header.as_ptr().cast::<u8>(), out, HEADER);
            let fits = data.len().min(length - HEADER);
            core::ptr::copy_nonoverlapping(data.as_ptr(), out.add(HEADER), fits);
            if fits < data.len() {
                STATUS_BUFFER_OVERFLOW
            } else {
                STATUS_SUCCESS
            }
        }
    }
}
