//! Lookaside lists. Stands for `ExInitializeLookasideListEx` and its kin, and for the pool's own functions behind them.
//!
//! As under Driver Verifier no block is kept: the depth is zero, so that each that is freed goes back to the pool, where its use
//! afterwards is noticed.

use core::ffi::c_void;

use wsk_sys::{
    GENERAL_LOOKASIDE, GENERAL_LOOKASIDE_POOL, LOOKASIDE_LIST_EX, NPAGED_LOOKASIDE_LIST, NTSTATUS,
    PALLOCATE_FUNCTION, PALLOCATE_FUNCTION_EX, PFREE_FUNCTION, PFREE_FUNCTION_EX, POOL_TYPE,
    STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};

use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::origin::{Origin, Whose};
use crate::pool;
use crate::table::Table;

/// The lists that are there, by address.
static LISTS: Table<Origin> = Table::new();

pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    let mut lines = Vec::new();
    LISTS.each(|address, origin| {
        if !whose.is(origin.driver()) {
            return;
        }
        lines.push(format!(
            "lookaside list at {address:#x}, which was not deleted\n    initialised by {origin}"
        ));
    });
    lines
}

pub(crate) fn reset() {
    LISTS.clear();
}

/// Notes a new list, in memory of this many bytes.
fn begin(function: &'static str, address: usize, bytes: usize, alignment: usize) {
    if !address.is_multiple_of(alignment) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, address, alignment, 0),
            [pool::story(address)],
            "{function} was given memory that isn't aligned to {alignment} bytes"
        )
    }
    require_nonpaged(function, address as *const u8, "a lookaside list");
    if let Some(end) = pool::containing(address, |block| block.range().end)
        && end < address + bytes
    {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, address, bytes, 0),
            [pool::story(address)],
            "{function} was given memory that is too small for a lookaside list"
        )
    }
    let before = LISTS.lock(address).insert(address, Origin::here(function));
    if let Some(before) = before {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::MULTIPLE_INITIALIZATION, address, 0, 0),
            [before],
            "{function} was called for a lookaside list that is initialised already"
        )
    }
}

/// Forgets a list.
fn end(function: &'static str, address: usize) {
    if LISTS.lock(address).remove(address).is_none() {
        require(function, address)
    }
}

#[cold]
fn require(function: &'static str, address: usize) -> ! {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::UNINITIALIZED_RESOURCE, address, 0, 0),
        [pool::story(address)],
        "{function} was given something that isn't an initialised lookaside list (any more)"
    )
}

/// What a list uses once it is deleted.
unsafe extern "system" fn deleted(_: POOL_TYPE, _: usize, _: u32) -> *mut c_void {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::UNINITIALIZED_RESOURCE, 0, 0, 0),
        [],
        "a block was allocated from a lookaside list that was deleted"
    )
}

unsafe extern "system" fn deleted_ex(
    _: POOL_TYPE,
    _: usize,
    _: u32,
    list: *mut LOOKASIDE_LIST_EX,
) -> *mut c_void {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::UNINITIALIZED_RESOURCE, list as usize, 0, 0),
        [],
        "a block was allocated from a lookaside list that was deleted"
    )
}

unsafe extern "system" fn freed_to_deleted(block: *mut c_void) {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::UNINITIALIZED_RESOURCE, 0, block as usize, 0),
        [pool::story(block as usize)],
        "a block was freed to a lookaside list that was deleted"
    )
}

unsafe extern "system" fn freed_to_deleted_ex(block: *mut c_void, list: *mut LOOKASIDE_LIST_EX) {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(
            violation::UNINITIALIZED_RESOURCE,
            list as usize,
            block as usize,
            0
        ),
        [pool::story(block as usize)],
        "a block was freed to a lookaside list that was deleted"
    )
}

unsafe extern "system" fn allocate(kind: POOL_TYPE, bytes: usize, tag: u32) -> *mut c_void {
    // SAFETY: the list's pool, size and tag are what the driver gave.
    unsafe { wsk_sys::ExAllocatePoolWithTag(kind, bytes, tag) }
}

unsafe extern "system" fn free(block: *mut c_void) {
    // SAFETY: the driver frees a block of the list, which came from the pool.
    unsafe { wsk_sys::ExFreePool(block) };
}

unsafe extern "system" fn allocate_ex(
    kind: POOL_TYPE,
    bytes: usize,
    tag: u32,
    _: *mut LOOKASIDE_LIST_EX,
) -> *mut c_void {
    // SAFETY: the list's pool, size and tag are what the driver gave.
    unsafe { wsk_sys::ExAllocatePoolWithTag(kind, bytes, tag) }
}

unsafe extern "system" fn free_ex(block: *mut c_void, _: *mut LOOKASIDE_LIST_EX) {
    // SAFETY: the driver frees a block of the list, which came from the pool.
    unsafe { wsk_sys::ExFreePool(block) };
}

/// Blocks are large enough for the link of a list.
fn block_size(size: usize) -> u32 {
    u32::try_from(size.max(size_of::<usize>())).unwrap_or(u32::MAX)
}

export! {
    /// Initialises a list of nonpaged blocks.
    fn ExInitializeNPagedLookasideList(
        Lookaside: *mut NPAGED_LOOKASIDE_LIST,
        Allocate: PALLOCATE_FUNCTION,
        Free: PFREE_FUNCTION,
        Flags: u32,
        Size: usize,
        Tag: u32,
        Depth: u16,
    ), at most DISPATCH_LEVEL {
        let _ = Depth;
        let function = "ExInitializeNPagedLookasideList";
        begin(function, Lookaside as usize, size_of::<NPAGED_LOOKASIDE_LIST>(), align_of::<NPAGED_LOOKASIDE_LIST>());
        let mut list = GENERAL_LOOKASIDE {
            // POOL_NX_ALLOCATION and POOL_RAISE_IF_ALLOCATION_FAILURE are bits of the pool's type.
            Type: POOL_TYPE(Flags.cast_signed()),
            Tag,
            Size: block_size(Size),
            ..GENERAL_LOOKASIDE::default()
        };
        list.Anonymous1.Allocate = Allocate.or(Some(allocate));
        list.Anonymous2.Free = Free.or(Some(free));
        // SAFETY: the driver gives the memory.
        unsafe { (&raw mut (*Lookaside).L).write(list) };
    }
}

export! {
    /// Ends a list of nonpaged blocks.
    fn ExDeleteNPagedLookasideList(Lookaside: *mut NPAGED_LOOKASIDE_LIST), at most DISPATCH_LEVEL {
        end("ExDeleteNPagedLookasideList", Lookaside as usize);
        // SAFETY: the driver gives its list. No block is ever kept in it.
        unsafe {
            (*Lookaside).L.Anonymous1.Allocate = Some(deleted);
            (*Lookaside).L.Anonymous2.Free = Some(freed_to_deleted);
        }
    }
}

export! {
    /// Initialises a list.
    fn ExInitializeLookasideListEx(
        Lookaside: *mut LOOKASIDE_LIST_EX,
        Allocate: PALLOCATE_FUNCTION_EX,
        Free: PFREE_FUNCTION_EX,
        PoolType: POOL_TYPE,
        Flags: u32,
        Size: usize,
        Tag: u32,
        Depth: u16,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let _ = Depth;
        // Raising and not raising at once, and what isn't defined.
        if Flags & !3 != 0 || Flags & 3 == 3 {
            return STATUS_INVALID_PARAMETER;
        }
        let function = "ExInitializeLookasideListEx";
        begin(function, Lookaside as usize, size_of::<LOOKASIDE_LIST_EX>(), align_of::<LOOKASIDE_LIST_EX>());
        let mut list = GENERAL_LOOKASIDE_POOL {
            Type: PoolType,
            Tag,
            Size: block_size(Size),
            ..GENERAL_LOOKASIDE_POOL::default()
        };
        list.Anonymous1.AllocateEx = Allocate.or(Some(allocate_ex));
        list.Anonymous2.FreeEx = Free.or(Some(free_ex));
        // SAFETY: the driver gives the memory.
        unsafe { (&raw mut (*Lookaside).L).write(list) };
        STATUS_SUCCESS
    }
}

export! {
    /// Ends a list.
    fn ExDeleteLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX), at most DISPATCH_LEVEL {
        end("ExDeleteLookasideListEx", Lookaside as usize);
        // SAFETY: the driver gives its list. No block is ever kept in it.
        unsafe {
            (*Lookaside).L.Anonymous1.AllocateEx = Some(deleted_ex);
            (*Lookaside).L.Anonymous2.FreeEx = Some(freed_to_deleted_ex);
        }
    }
}

export! {
    /// Frees the blocks that a list keeps: none are.
    fn ExFlushLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX), at most DISPATCH_LEVEL {
        if LISTS.lock(Lookaside as usize).get(Lookaside as usize).is_none() {
            require("ExFlushLookasideListEx", Lookaside as usize)
        }
    }
}
