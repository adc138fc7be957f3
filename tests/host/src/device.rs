//! Device objects and symbolic links. Stands for the I/O manager's `IoCreateDevice` and `IoCreateSymbolicLink`, and for the names
//! that the object manager keeps.

use core::ptr;
use std::collections::BTreeMap;

use parking_lot::Mutex;
use wsk_sys::{
    DEVICE_OBJECT, DO_DEVICE_INITIALIZING, DO_EXCLUSIVE, DRIVER_OBJECT, IO_TYPE_DEVICE, NTSTATUS,
    POOL_TYPE, STATUS_INSUFFICIENT_RESOURCES, STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS, UNICODE_STRING,
};

use crate::bugcheck::{bugcheck, violation};
use crate::origin::{Origin, Whose};
use crate::pool;

/// `Devi`, as in NT.
const TAG: u32 = u32::from_le_bytes(*b"Devi");

/// The record of a device object.
struct Device {
    name: Option<String>,
    origin: Origin,
}

/// The record of a symbolic link.
struct Link {
    to: String,
    origin: Origin,
}

/// Devices by address.
static DEVICES: Mutex<BTreeMap<usize, Device>> = Mutex::new(BTreeMap::new());
/// Symbolic links by name, in lower case: names that differ only by case are the same.
static LINKS: Mutex<BTreeMap<String, Link>> = Mutex::new(BTreeMap::new());

pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    let named = |device: &Device| {
        device
            .name
            .as_ref()
            .map_or(String::new(), |name| format!(" {name}"))
    };
    let mut lines: Vec<String> = DEVICES
        .lock()
        .iter()
        .filter(|(_, device)| whose.is(device.origin.driver()))
        .map(|(address, device)| {
            let name = named(device);
            format!(
                "device object{name} at {address:#x}\n    created by {}",
                device.origin
            )
        })
        .collect();
    for (name, link) in LINKS.lock().iter() {
        if !whose.is(link.origin.driver()) {
            continue;
        }
        lines.push(format!(
            "symbolic link {name} to {}\n    created by {}",
            link.to, link.origin
        ));
    }
    lines
}

pub(crate) fn reset() {
    DEVICES.lock().clear();
    LINKS.lock().clear();
}

/// The text of a counted string.
///
/// # Safety
///
/// `string` is a counted string, or null.
unsafe fn text(string: *const UNICODE_STRING) -> Option<String> {
    // SAFETY: the caller says so.
    unsafe {
        let string = string.as_ref()?;
        let units = usize::from(string.Length) / 2;
        if units == 0 {
            return None;
        }
        Some(String::from_utf16_lossy(core::slice::from_raw_parts(
            string.Buffer,
            units,
        )))
    }
}

export! {
    /// Makes a device object, with the device extension behind it.
    fn IoCreateDevice(
        DriverObject: *mut DRIVER_OBJECT,
        DeviceExtensionSize: u32,
        DeviceName: *mut UNICODE_STRING,
        DeviceType: u32,
        DeviceCharacteristics: u32,
        Exclusive: u8,
        DeviceObject: *mut *mut DEVICE_OBJECT,
    ) -> NTSTATUS, at most APC_LEVEL {
        // SAFETY: the driver gives a name, or NULL.
        let name = unsafe { text(DeviceName) };
        let taken = |device: &Device| {
            device
                .name
                .as_ref()
                .zip(name.as_ref())
                .is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
        };
        if DEVICES.lock().values().any(taken) {
            return STATUS_OBJECT_NAME_COLLISION;
        }
        let extension = size_of::<DEVICE_OBJECT>();
        // SAFETY: nonpaged pool, of a size that isn't zero.
        let device = unsafe {
            wsk_sys::ExAllocatePoolWithTag(
                POOL_TYPE::NonPagedPoolNx,
                extension + DeviceExtensionSize as usize,
                TAG,
            )
        }
        .cast::<DEVICE_OBJECT>();
        if device.is_null() {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        // SAFETY: so many bytes were allocated just now; zeroes are a value of every member.
        unsafe {
            device
                .cast::<u8>()
                .write_bytes(0, extension + DeviceExtensionSize as usize);
            (*device).Type = IO_TYPE_DEVICE as i16;
            (*device).Size = (extension + DeviceExtensionSize as usize) as u16;
            (*device).DriverObject = DriverObject;
            (*device).Flags = DO_DEVICE_INITIALIZING as u32;
            if Exclusive != 0 {
                (*device).Flags |= DO_EXCLUSIVE as u32;
            }
            (*device).DeviceType = DeviceType;
            (*device).Characteristics = DeviceCharacteristics;
            (*device).StackSize = 1;
            (*device).DeviceExtension = if DeviceExtensionSize == 0 {
                ptr::null_mut()
            } else {
                device.add(1).cast()
            };
            (*device).NextDevice = (*DriverObject).DeviceObject;
            (*DriverObject).DeviceObject = device;
            DeviceObject.write(device);
        }
        let origin = Origin::here("IoCreateDevice");
        DEVICES
            .lock()
            .insert(device as usize, Device { name, origin });
        STATUS_SUCCESS
    }
}

export! {
    /// Deletes a device object.
    fn IoDeleteDevice(DeviceObject: *mut DEVICE_OBJECT), at most APC_LEVEL {
        if DEVICES.lock().remove(&(DeviceObject as usize)).is_none() {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::BAD_REFERENCE, DeviceObject as usize, 0, 0),
                [pool::story(DeviceObject as usize)],
                "IoDeleteDevice was called for something that isn't a device object of IoCreateDevice (any more)"
            )
        }
        // SAFETY: the device is there, and its driver object with it; every device of its list is.
        unsafe {
            let mut place = &raw mut (*(*DeviceObject).DriverObject).DeviceObject;
            while !(*place).is_null() && *place != DeviceObject {
                place = &raw mut (**place).NextDevice;
            }
            if *place == DeviceObject {
                *place = (*DeviceObject).NextDevice;
            }
            wsk_sys::ExFreePoolWithTag(DeviceObject.cast(), TAG);
        }
    }
}

export! {
    /// Makes a symbolic link to a device.
    fn IoCreateSymbolicLink(
        SymbolicLinkName: *mut UNICODE_STRING,
        DeviceName: *mut UNICODE_STRING,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        // SAFETY: the driver gives both names.
        let (name, to) = unsafe { (text(SymbolicLinkName), text(DeviceName)) };
        let (Some(name), Some(to)) = (name, to) else {
            return wsk_sys::STATUS_INVALID_PARAMETER;
        };
        let mut links = LINKS.lock();
        if links.contains_key(&name.to_lowercase()) {
            return STATUS_OBJECT_NAME_COLLISION;
        }
        let origin = Origin::here("IoCreateSymbolicLink");
        links.insert(name.to_lowercase(), Link { to, origin });
        STATUS_SUCCESS
    }
}

export! {
    /// Deletes a symbolic link to a device.
    fn IoDeleteSymbolicLink(SymbolicLinkName: *mut UNICODE_STRING) -> NTSTATUS, at most PASSIVE_LEVEL {
        // SAFETY: the driver gives the name.
        let name = unsafe { text(SymbolicLinkName) };
        let known = name.and_then(|name| LINKS.lock().remove(&name.to_lowercase()));
        if known.is_some() {
            STATUS_SUCCESS
        } else {
            STATUS_OBJECT_NAME_NOT_FOUND
        }
    }
}
