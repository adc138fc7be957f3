//! Security descriptors that a client has cached: `WSK_CACHE_SD` and `WSK_RELEASE_SD`. Stands for the object manager's cache of
//! security descriptors.

use core::ffi::c_void;
use core::ptr;

use wsk_sys::{NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER};

use crate::bugcheck::{bugcheck, violation};
use crate::faults::{self, Resource};
use crate::origin::Origin;
use crate::pool::{self, Use};

/// The only revision of security descriptors.
const REVISION: u8 = 1;
/// The descriptor has offsets instead of pointers.
const SELF_RELATIVE: u16 = 0x8000;
/// The size of the header of a self-relative descriptor.
const RELATIVE_HEADER: usize = 20;

/// Copies the part of a descriptor at an address: the owner or group (a SID), or a list (an ACL). Empty for address 0.
///
/// # Safety
///
/// There is such a part.
unsafe fn part(address: usize, is_list: bool) -> Vec<u8> {
    if address == 0 {
        return Vec::new();
    }
    let start = address as *const u8;
    // SAFETY: the caller says so: a list has its size in its second word, a SID has the number of its words of 32 bits in its second
    // byte, after eight bytes that every SID has.
    unsafe {
        let length = if is_list {
            usize::from(start.add(2).cast::<u16>().read_unaligned())
        } else {
            8 + 4 * usize::from(start.add(1).read())
        };
        core::slice::from_raw_parts(start, length).to_vec()
    }
}

/// Makes a self-relative copy of a descriptor; `None` if its revision is unknown.
///
/// # Safety
///
/// There is a valid descriptor, unless its revision says that it is none.
unsafe fn copy(descriptor: *const u8) -> Option<Vec<u8>> {
    // SAFETY: the caller gives a descriptor; how long it is its control word says.
    let (control, addresses) = unsafe {
        if descriptor.read() != REVISION {
            return None;
        }
        let control = descriptor.add(2).cast::<u16>().read_unaligned();
        let address = |index: usize| {
            if control & SELF_RELATIVE == 0 {
                descriptor
                    .add(8 + 8 * index)
                    .cast::<usize>()
                    .read_unaligned()
            } else {
                let offset = descriptor.add(4 + 4 * index).cast::<u32>().read_unaligned();
                if offset == 0 {
                    0
                } else {
                    (descriptor as usize).saturating_add(offset as usize)
                }
            }
        };
        (control, [0, 1, 2, 3].map(address))
    };
    let mut whole = vec![0; RELATIVE_HEADER];
    whole[0] = REVISION;
    whole[2..4].copy_from_slice(&(control | SELF_RELATIVE).to_ne_bytes());
    for (index, address) in addresses.into_iter().enumerate() {
        // SAFETY: the caller gives a valid descriptor; the lists come last.
        let part = unsafe { part(address, index >= 2) };
        if !part.is_empty() {
            let offset = u32::try_from(whole.len()).ok()?;
            whole[4 + 4 * index..8 + 4 * index].copy_from_slice(&offset.to_ne_bytes());
            whole.extend(part);
            whole.resize(whole.len().next_multiple_of(4), 0);
        }
    }
    Some(whole)
}

/// Caches a descriptor.
///
/// # Safety
///
/// The driver gives a valid one.
pub(super) unsafe fn cache(descriptor: *const c_void) -> Result<*mut c_void, NTSTATUS> {
    if descriptor.is_null() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    if faults::strikes(Resource::Call) {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    // SAFETY: the caller says so.
    let copy = unsafe { copy(descriptor.cast()) }.ok_or(STATUS_INVALID_PARAMETER)?;
    cached(&copy, "WSK_CACHE_SD")
}

/// The descriptor of a socket that was given none: an empty one, which shares nothing.
fn default_descriptor() -> Vec<u8> {
    let mut whole = vec![0; RELATIVE_HEADER];
    whole[0] = REVISION;
    whole[2..4].copy_from_slice(&SELF_RELATIVE.to_ne_bytes());
    whole
}

/// The bytes of a cached descriptor; `None` for NULL. Stops the system when the address isn't that of a cached descriptor.
pub(super) fn read(function: &str, descriptor: *mut c_void) -> Option<Vec<u8>> {
    match require_cached(function, descriptor) {
        0 => None,
        // SAFETY: it is a cached one of this length, which the driver must not release meanwhile.
        length => Some(unsafe { core::slice::from_raw_parts(descriptor.cast(), length) }.to_vec()),
    }
}

/// Caches a socket's descriptor, or the default.
pub(super) fn cache_again(descriptor: Option<&[u8]>) -> Result<*mut c_void, NTSTATUS> {
    if faults::strikes(Resource::Call) {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    match descriptor {
        Some(bytes) => cached(bytes, "SO_WSK_SECURITY"),
        None => cached(&default_descriptor(), "SO_WSK_SECURITY"),
    }
}

fn cached(bytes: &[u8], function: &'static str) -> Result<*mut c_void, NTSTATUS> {
    let block = pool::allocate(
        bytes.len(),
        u32::from_le_bytes(*b"WskD"),
        Use::SecurityDescriptor,
        true,
        Origin::here(function),
    )
    .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    // SAFETY: the block has as many bytes, and is nobody's yet.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), block, bytes.len()) };
    Ok(block.cast())
}

/// Releases a cached descriptor.
pub(super) fn release(descriptor: *mut c_void) {
    require_cached("WSK_RELEASE_SD", descriptor);
    super::free(
        vec![descriptor as usize],
        Use::SecurityDescriptor,
        "WSK_RELEASE_SD",
    );
}

/// The length of a cached descriptor; 0 for NULL. Stops the system when the address isn't that of a cached descriptor.
pub(super) fn require_cached(function: &str, descriptor: *mut c_void) -> usize {
    if descriptor.is_null() {
        return 0;
    }
    let address = descriptor as usize;
    let length = pool::containing(address, |block| {
        let whole = block.usage() == Use::SecurityDescriptor && block.range().start == address;
        whole.then(|| block.range().len())
    });
    match length.flatten() {
        Some(length) => length,
        None => bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, address, 0, 0),
            [pool::story(address)],
            "{function} was given a security descriptor at {descriptor:p} that WSK_CACHE_SD has not cached, or that was released"
        ),
    }
}
