//! The functions by which drivers allocate and free pool memory: `ExAllocatePoolWithTag`, `ExFreePoolWithTag` and their kin.

use core::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

use wsk_sys::{
    NTSTATUS, POOL_FLAG_NON_PAGED, POOL_FLAG_NON_PAGED_EXECUTE, POOL_FLAG_PAGED,
    POOL_FLAG_RAISE_ON_FAILURE, POOL_FLAG_UNINITIALIZED, POOL_RAISE_IF_ALLOCATION_FAILURE,
    POOL_TYPE, STATUS_INSUFFICIENT_RESOURCES,
};

use super::{BLOCKS, PoolTag, Use, allocate, containing, release, story, take, was_freed};
use crate::bugcheck::{bugcheck, violation};
use crate::executive::{lookaside, rundown};
use crate::faults::{self, Resource};
use crate::irql::{self, APC_LEVEL};
use crate::origin::Origin;
use crate::{event, irp, kernel, lock_order, mdl, nmr, schedule, wsk};

/// The bit of a `POOL_TYPE` for paged pool, in all variants. Paged pool is never executable.
const PAGED: i32 = 1;
/// The bit of a `POOL_TYPE` for `NonPagedPoolNx` and its variants.
const NO_EXECUTE: i32 = 0x200;

/// Whether drivers may allocate executable pool.
static MAY_BE_EXECUTABLE: AtomicBool = AtomicBool::new(false);

/// Chooses whether drivers may allocate executable pool.
pub(crate) fn allow_executable(allow: bool) {
    MAY_BE_EXECUTABLE.store(allow, Ordering::Relaxed);
}

/// Stops the system unless drivers may allocate executable pool.
fn executable(function: &str, instead: &str, length: usize, tag: u32) {
    if !MAY_BE_EXECUTABLE.load(Ordering::Relaxed) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::EXECUTABLE_POOL, length, tag as usize, 0),
            [],
            "{function} was asked for executable pool, tag '{}': drivers need {instead} (`Builder::executable_pool` allows it)",
            PoolTag(tag)
        )
    }
}

/// Stops when a driver must not allocate this now.
fn require_allocation(function: &str, paged: bool, length: usize, tag: u32) {
    let level = irql::current();
    if length == 0 {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::ZERO_BYTE_ALLOCATION,
                usize::from(level),
                usize::from(paged),
                0
            ),
            [],
            "{function} was asked for zero bytes"
        )
    }
    if tag == 0 {
        bugcheck!(
            BAD_POOL_CALLER(0x9B, usize::from(paged), length, 0),
            [],
            "{function} was called with a tag of zero"
        )
    }
    if paged && level > APC_LEVEL {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::PAGED_ALLOCATION_IRQL,
                usize::from(level),
                1,
                length
            ),
            [],
            "paged pool was allocated above APC_LEVEL"
        )
    }
    if level > irql::DISPATCH_LEVEL {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::NONPAGED_ALLOCATION_IRQL,
                usize::from(level),
                0,
                length
            ),
            [],
            "nonpaged pool was allocated above DISPATCH_LEVEL"
        )
    }
}

fn allocate_for_driver(
    function: &'static str,
    paged: bool,
    length: usize,
    tag: u32,
    zeroed: bool,
) -> *mut c_void {
    require_allocation(function, paged, length, tag);
    if faults::strikes(Resource::Pool) {
        return core::ptr::null_mut();
    }
    let usage = if paged { Use::Paged } else { Use::Nonpaged };
    match allocate(length, tag, usage, zeroed, Origin::here(function)) {
        Some(block) => {
            BLOCKS.up();
            block.cast()
        }
        None => core::ptr::null_mut(),
    }
}

fn free_for_driver(function: &'static str, address: usize, tag: u32) {
    let Some(block) = take(address, |block| {
        matches!(block.usage, Use::Nonpaged | Use::Paged)
    }) else {
        bad_free(function, address);
    };
    let level = irql::current();
    if block.usage == Use::Paged && level > APC_LEVEL {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::PAGED_FREE_IRQL,
                usize::from(level),
                1,
                address
            ),
            [block],
            "paged pool was freed above APC_LEVEL"
        )
    }
    if tag != 0 && tag != block.tag {
        bugcheck!(
            BAD_POOL_CALLER(0x0A, address, block.tag as usize, tag as usize),
            [block],
            "pool with tag '{}' was freed with tag '{}'",
            PoolTag(block.tag),
            PoolTag(tag)
        )
    }
    irp::memory_freed(&block);
    mdl::memory_freed(&block);
    wsk::memory_freed(&block);
    nmr::memory_freed(&block);
    schedule::memory_freed(&block);
    event::memory_freed(&block);
    lock_order::memory_freed(&block);
    lookaside::memory_freed(&block);
    rundown::memory_freed(&block);
    BLOCKS.down();
    release(block, function);
}

#[cold]
fn bad_free(function: &'static str, address: usize) -> ! {
    let story = story(address);
    match containing(address, |block| (block.address == address, block.usage)) {
        Some((true, Use::Irp)) => bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::POOL_FREE_OF_IRP, address, 0, 0),
            [story],
            "{function} was called for an IRP of IoAllocateIrp, which IoFreeIrp frees"
        ),
        Some((true, usage)) => bugcheck!(
            BAD_POOL_CALLER(0x46, address, 0, 0),
            [story],
            "{function} was called for {}",
            match usage {
                Use::Mdl => "an MDL of IoAllocateMdl, which IoFreeMdl frees",
                Use::AddressInfo => "a result of WskGetAddressInfo, which WskFreeAddressInfo frees",
                Use::SecurityDescriptor =>
                    "a cached security descriptor, which WSK_RELEASE_SD of WskControlClient releases",
                Use::Socket => "a socket, which WskCloseSocket closes",
                _ => "an indication, which WskRelease releases",
            }
        ),
        Some((false, _)) => bugcheck!(
            BAD_POOL_CALLER(0x46, address, 0, 0),
            [story],
            "{function} was called for an address inside a block instead of its start"
        ),
        None if was_freed(address) => bugcheck!(
            BAD_POOL_CALLER(0x07, 0, 0, address),
            [story],
            "{function} was called for memory that is freed already"
        ),
        None => bugcheck!(
            BAD_POOL_CALLER(0x42, address, 0, 0),
            [story],
            "{function} was called for an address that was never in any pool"
        ),
    }
}

/// Allocates memory. Returns the status to raise when the allocation fails and the driver wants an exception instead of NULL.
fn allocate_or_raise(
    raises: bool,
    allocate: impl FnOnce() -> *mut c_void,
) -> Result<*mut c_void, NTSTATUS> {
    let block = allocate();
    if raises && block.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    Ok(block)
}

raising! {
    /// Allocates pool memory.
    fn ExAllocatePoolWithTag(PoolType: POOL_TYPE, NumberOfBytes: usize, Tag: u32) -> *mut c_void, at most DISPATCH_LEVEL {
        if PoolType.0 & (PAGED | NO_EXECUTE) == 0 {
            executable("ExAllocatePoolWithTag", "NonPagedPoolNx", NumberOfBytes, Tag);
        }
        allocate_or_raise(PoolType.0 & POOL_RAISE_IF_ALLOCATION_FAILURE.cast_signed() != 0, || {
            allocate_for_driver(
                "ExAllocatePoolWithTag",
                PoolType.0 & PAGED != 0,
                NumberOfBytes,
                Tag,
                false,
            )
        })
    }
}

/// The tag of memory that was allocated without a tag: `None`, as in NT.
const NO_TAG: u32 = u32::from_le_bytes(*b"None");

export! {
    /// Allocates pool memory without a tag.
    fn ExAllocatePool(PoolType: POOL_TYPE, NumberOfBytes: usize) -> *mut c_void, at most DISPATCH_LEVEL {
        // SAFETY: what the driver asks for.
        unsafe { wsk_sys::ExAllocatePoolWithTag(PoolType, NumberOfBytes, NO_TAG) }
    }
}

raising! {
    /// Allocates pool memory, zeroed unless the flags say otherwise. Windows has it since 10.0.19041.
    fn ExAllocatePool2(Flags: u64, NumberOfBytes: usize, Tag: u32) -> *mut c_void, at most DISPATCH_LEVEL {
        let (major, minor, build) = kernel::windows_version();
        if (major, minor, build) < (10, 0, 19041) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, build as usize, 0, 0),
                [],
                "ExAllocatePool2 is no export of Windows {major}.{minor}.{build}: a driver that imports it doesn't load there"
            )
        }
        let kinds = Flags & (POOL_FLAG_NON_PAGED | POOL_FLAG_NON_PAGED_EXECUTE | POOL_FLAG_PAGED);
        if kinds.count_ones() != 1 {
            // Documented: the driver has to give exactly one of these flags.
            return Ok(core::ptr::null_mut());
        }
        if kinds == POOL_FLAG_NON_PAGED_EXECUTE {
            executable("ExAllocatePool2", "POOL_FLAG_NON_PAGED", NumberOfBytes, Tag);
        }
        allocate_or_raise(Flags & POOL_FLAG_RAISE_ON_FAILURE != 0, || {
            allocate_for_driver(
                "ExAllocatePool2",
                kinds == POOL_FLAG_PAGED,
                NumberOfBytes,
                Tag,
                Flags & POOL_FLAG_UNINITIALIZED == 0,
            )
        })
    }
}

export! {
    /// Frees pool memory; the tag has to be the one that it was allocated with.
    fn ExFreePoolWithTag(P: *mut c_void, Tag: u32), at most DISPATCH_LEVEL {
        free_for_driver("ExFreePoolWithTag", P as usize, Tag);
    }
}

export! {
    /// Frees pool memory.
    fn ExFreePool(P: *mut c_void), at most DISPATCH_LEVEL {
        free_for_driver("ExFreePool", P as usize, 0);
    }
}
