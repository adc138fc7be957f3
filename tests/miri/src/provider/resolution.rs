//! Names: each has two addresses, except the name that nobody has.

use core::ffi::c_void;

use wsk_sys::{
    ADDRINFOEXW, EPROCESS, ETHREAD, GUID, IRP, NTSTATUS, SOCKADDR_IN, STATUS_NOT_FOUND,
    STATUS_SUCCESS, UNICODE_STRING,
};

use crate::provider::request::{complete, take_on};
use crate::provider::{Place, address, world};

/// One address of a list. The entry is the first field, so that its address is that of the whole.
#[repr(C)]
struct Entry {
    info: ADDRINFOEXW,
    address: SOCKADDR_IN,
}

/// The text of a name of the client.
///
/// # Safety
///
/// It is null, or points at a string.
unsafe fn text(string: Place<UNICODE_STRING>) -> String {
    if string.0.is_null() {
        return String::new();
    }
    // SAFETY: the caller promises this.
    let units: Vec<u16> = unsafe {
        let (first, length) = ((*string.0).Buffer, (*string.0).Length / 2);
        (0..length)
            .map(|index| first.add(index.into()).read())
            .collect()
    };
    String::from_utf16_lossy(&units)
}

/// `WskGetAddressInfo`.
pub(super) unsafe extern "system" fn get(
    _: *mut c_void,
    name: *mut UNICODE_STRING,
    service: *mut UNICODE_STRING,
    _: u32,
    _: *mut GUID,
    hints: *mut ADDRINFOEXW,
    result: *mut *mut ADDRINFOEXW,
    _: *mut EPROCESS,
    _: *mut ETHREAD,
    irp: *mut IRP,
) -> NTSTATUS {
    let (name, service) = (Place(name), Place(service));
    let (hints, result) = (Place(hints), Place(result));
    take_on(0, irp, move |irp| {
        let (name, service, hints, result) = (name, service, hints, result);
        // SAFETY: the client keeps all of this until the request has completed.
        let (name, service, kind) = unsafe { (text(name), text(service), (*hints.0).ai_socktype) };
        if name == "nobody" {
            complete(irp, 0, STATUS_NOT_FOUND, 0);
            return;
        }
        let port = service.parse().unwrap_or(0);
        let second = entry(port, kind, core::ptr::null_mut());
        let first = entry(port, kind, second);
        world().lists += 1;
        // SAFETY: as above.
        unsafe { result.0.write(first) };
        complete(irp, 0, STATUS_SUCCESS, 0);
    })
}

fn entry(port: u16, kind: i32, next: *mut ADDRINFOEXW) -> *mut ADDRINFOEXW {
    let entry = Box::into_raw(Box::new(Entry {
        info: ADDRINFOEXW {
            ai_family: wsk_sys::AF_INET.into(),
            ai_socktype: kind,
            ai_addrlen: size_of::<SOCKADDR_IN>(),
            ai_next: next,
            ..ADDRINFOEXW::default()
        },
        address: address(port),
    }));
    // SAFETY: the entry belongs to this function until it is passed on.
    unsafe { (*entry).info.ai_addr = (&raw mut (*entry).address).cast() };
    entry.cast()
}

/// `WskFreeAddressInfo`.
pub(super) unsafe extern "system" fn free(_: *mut c_void, list: *mut ADDRINFOEXW) {
    let mut next = list;
    while !next.is_null() {
        // SAFETY: the client returns the list.
        next = unsafe { Box::from_raw(next.cast::<Entry>()) }.info.ai_next;
    }
    world().lists -= 1;
}
