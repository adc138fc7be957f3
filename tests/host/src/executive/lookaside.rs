//! Lookaside lists. Stands for `ExInitializeLookasideListEx` and its kin, and for the pool's own functions behind them.
//!
//! As under Driver Verifier, lists keep no blocks. Their depth is zero, so each freed block goes back to the pool, which notices
//! later uses of it. The host kernel remembers the list of each block.

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeMap;

use parking_lot::Mutex;
use wsk_sys::{
    EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL, GENERAL_LOOKASIDE, GENERAL_LOOKASIDE_POOL,
    LOOKASIDE_LIST_EX, NPAGED_LOOKASIDE_LIST, NTSTATUS, PAGED_LOOKASIDE_LIST, PALLOCATE_FUNCTION,
    PALLOCATE_FUNCTION_EX, PFREE_FUNCTION, PFREE_FUNCTION_EX, POOL_RAISE_IF_ALLOCATION_FAILURE,
    POOL_TYPE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};

use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::origin::{Origin, Whose};
use crate::pool;
use crate::table::Table;

/// The initialised lists, by address.
static LISTS: Mutex<BTreeMap<usize, Origin>> = Mutex::new(BTreeMap::new());

/// The list of each block that a driver has, by the block's address; 0 when the list is unknown.
static BLOCKS: Table<usize> = Table::new();

/// The list of each pair of functions in [`PLACES`]; 0 where there is none.
static PLACED: [AtomicUsize; PLACES.len()] = [const { AtomicUsize::new(0) }; PLACES.len()];

pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    let lists = LISTS.lock();
    let left = lists.iter().filter(|(_, origin)| whose.is(origin.driver()));
    left.map(|(address, origin)| {
        format!(
            "lookaside list at {address:#x}, which was not deleted\n    initialised by {origin}"
        )
    })
    .collect()
}

pub(crate) fn reset() {
    LISTS.lock().clear();
    BLOCKS.clear();
    for place in &PLACED {
        place.store(0, Ordering::Relaxed);
    }
}

/// Forgets a block that is being freed, by any function. Stops when it holds a list, because Windows links its lists with each
/// other.
pub(crate) fn memory_freed(block: &pool::Block) {
    let range = block.range();
    let list = LISTS
        .lock()
        .range(range.clone())
        .next()
        .map(|(&address, origin)| (address, origin.to_string()));
    if let Some((address, origin)) = list {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, address, range.start, 0),
            [block, format!("initialised by {origin}")],
            "memory was freed that holds a lookaside list, at {address:#x}, which was not deleted"
        )
    }
    let address = range.start;
    BLOCKS.lock(address).remove(address);
}

/// Records a new list, which takes `bytes` bytes of memory.
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
    let before = LISTS.lock().insert(address, Origin::here(function));
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
    if LISTS.lock().remove(&address).is_none() {
        require(function, address)
    }
    for place in &PLACED {
        let _ = place.compare_exchange(address, 0, Ordering::Relaxed, Ordering::Relaxed);
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

/// The allocation function of a deleted list.
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

/// Allocates a block for a list.
fn allocate_for(list: usize, kind: POOL_TYPE, bytes: usize, tag: u32) -> *mut c_void {
    // SAFETY: the list's pool, size and tag are what the driver gave.
    let block = unsafe { wsk_sys::ExAllocatePoolWithTag(kind, bytes, tag) };
    if !block.is_null() {
        BLOCKS.lock(block as usize).insert(block as usize, list);
    }
    block
}

/// Frees a block to a list. Stops when the block is from another list. 0 stands for an unknown list.
fn free_to(list: usize, block: *mut c_void) {
    let address = block as usize;
    let from = BLOCKS.lock(address).get(address).copied();
    let foreign = match from {
        Some(from) => from != 0 && list != 0 && from != list,
        // If there is no block, the pool reports that.
        None => pool::containing(address, |_| ()).is_some(),
    };
    if foreign {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::OTHER_CONTRACT,
                list,
                address,
                from.unwrap_or(0)
            ),
            [pool::story(address)],
            "a block was freed to a lookaside list that it isn't from"
        )
    }
    // SAFETY: the driver frees a block of the list, which came from the pool.
    unsafe { wsk_sys::ExFreePool(block) };
}

/// The functions of one list. They don't get the list as an argument, so each list has its own pair.
type Place = (
    unsafe extern "system" fn(POOL_TYPE, usize, u32) -> *mut c_void,
    unsafe extern "system" fn(*mut c_void),
);

unsafe extern "system" fn allocate<const PLACE: usize>(
    kind: POOL_TYPE,
    bytes: usize,
    tag: u32,
) -> *mut c_void {
    allocate_for(PLACED[PLACE].load(Ordering::Relaxed), kind, bytes, tag)
}

unsafe extern "system" fn free<const PLACE: usize>(block: *mut c_void) {
    free_to(PLACED[PLACE].load(Ordering::Relaxed), block);
}

/// The functions of lists for which no pair was left.
const UNPLACED: Place = (allocate_unplaced, free_unplaced);

unsafe extern "system" fn allocate_unplaced(
    kind: POOL_TYPE,
    bytes: usize,
    tag: u32,
) -> *mut c_void {
    allocate_for(0, kind, bytes, tag)
}

unsafe extern "system" fn free_unplaced(block: *mut c_void) {
    free_to(0, block);
}

macro_rules! places {
    ($($number:literal)*) => {
        [$((allocate::<$number>, free::<$number>)),*]
    };
}

/// The pairs of functions. So many lists can be told apart at a time.
static PLACES: [Place; 32] = places! {
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
};

/// The functions for a new list.
fn place(list: usize) -> Place {
    let free = PLACED.iter().position(|place| {
        place
            .compare_exchange(0, list, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    });
    free.map_or(UNPLACED, |free| PLACES[free])
}

unsafe extern "system" fn allocate_ex(
    kind: POOL_TYPE,
    bytes: usize,
    tag: u32,
    list: *mut LOOKASIDE_LIST_EX,
) -> *mut c_void {
    allocate_for(list as usize, kind, bytes, tag)
}

unsafe extern "system" fn free_ex(block: *mut c_void, list: *mut LOOKASIDE_LIST_EX) {
    free_to(list as usize, block);
}

/// A list whose functions don't get the list as an argument.
fn general(
    list: usize,
    kind: i32,
    size: usize,
    tag: u32,
    allocate: PALLOCATE_FUNCTION,
    free: PFREE_FUNCTION,
) -> GENERAL_LOOKASIDE {
    let mut general = GENERAL_LOOKASIDE {
        Type: POOL_TYPE(kind),
        Tag: tag,
        Size: block_size(size),
        ..GENERAL_LOOKASIDE::default()
    };
    // Only the driver knows the lists of blocks that it allocates or frees itself.
    let (ours, ours_free) = match (allocate, free) {
        (None, None) => place(list),
        _ => (from_the_pool as _, to_the_pool as _),
    };
    general.Anonymous1.Allocate = allocate.or(Some(ours));
    general.Anonymous2.Free = free.or(Some(ours_free));
    general
}

/// Makes later uses of a deleted list stop the system. The list holds no blocks.
///
/// # Safety
///
/// It is the list of a driver that has it deleted.
unsafe fn say_deleted(list: *mut GENERAL_LOOKASIDE) {
    // SAFETY: the caller gives the list.
    unsafe {
        (*list).Anonymous1.Allocate = Some(deleted);
        (*list).Anonymous2.Free = Some(freed_to_deleted);
    }
}

unsafe extern "system" fn from_the_pool(kind: POOL_TYPE, bytes: usize, tag: u32) -> *mut c_void {
    // SAFETY: the list's pool, size and tag are what the driver gave.
    unsafe { wsk_sys::ExAllocatePoolWithTag(kind, bytes, tag) }
}

unsafe extern "system" fn to_the_pool(block: *mut c_void) {
    // SAFETY: the driver frees a block of the list, which came from the pool.
    unsafe { wsk_sys::ExFreePool(block) };
}

unsafe extern "system" fn from_the_pool_ex(
    kind: POOL_TYPE,
    bytes: usize,
    tag: u32,
    _: *mut LOOKASIDE_LIST_EX,
) -> *mut c_void {
    // SAFETY: the list's pool, size and tag are what the driver gave.
    unsafe { wsk_sys::ExAllocatePoolWithTag(kind, bytes, tag) }
}

unsafe extern "system" fn to_the_pool_ex(block: *mut c_void, _: *mut LOOKASIDE_LIST_EX) {
    // SAFETY: the driver frees a block of the list, which came from the pool.
    unsafe { wsk_sys::ExFreePool(block) };
}

/// The size of a list's blocks: at least that of the link of a list.
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
        // POOL_NX_ALLOCATION and POOL_RAISE_IF_ALLOCATION_FAILURE are bits of the pool's type.
        let list = general(Lookaside as usize, Flags.cast_signed(), Size, Tag, Allocate, Free);
        // SAFETY: the driver gives the memory.
        unsafe { (&raw mut (*Lookaside).L).write(list) };
    }
}

export! {
    /// Ends a list of nonpaged blocks.
    fn ExDeleteNPagedLookasideList(Lookaside: *mut NPAGED_LOOKASIDE_LIST), at most DISPATCH_LEVEL {
        end("ExDeleteNPagedLookasideList", Lookaside as usize);
        // SAFETY: the driver gives its list.
        unsafe { say_deleted(&raw mut (*Lookaside).L) };
    }
}

export! {
    /// Initialises a list of paged blocks.
    fn ExInitializePagedLookasideList(
        Lookaside: *mut PAGED_LOOKASIDE_LIST,
        Allocate: PALLOCATE_FUNCTION,
        Free: PFREE_FUNCTION,
        Flags: u32,
        Size: usize,
        Tag: u32,
        Depth: u16,
    ), at most APC_LEVEL {
        let _ = Depth;
        let function = "ExInitializePagedLookasideList";
        // Only the blocks are paged, not the list.
        begin(function, Lookaside as usize, size_of::<PAGED_LOOKASIDE_LIST>(), align_of::<PAGED_LOOKASIDE_LIST>());
        let kind = Flags.cast_signed() | POOL_TYPE::PagedPool.0;
        let list = general(Lookaside as usize, kind, Size, Tag, Allocate, Free);
        // SAFETY: the driver gives the memory.
        unsafe { (&raw mut (*Lookaside).L).write(list) };
    }
}

export! {
    /// Ends a list of paged blocks.
    fn ExDeletePagedLookasideList(Lookaside: *mut PAGED_LOOKASIDE_LIST), at most APC_LEVEL {
        end("ExDeletePagedLookasideList", Lookaside as usize);
        // SAFETY: the driver gives its list.
        unsafe { say_deleted(&raw mut (*Lookaside).L) };
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
        // The flags contradict each other, or are undefined.
        if Flags & !3 != 0 || Flags & 3 == 3 {
            return STATUS_INVALID_PARAMETER;
        }
        let function = "ExInitializeLookasideListEx";
        begin(function, Lookaside as usize, size_of::<LOOKASIDE_LIST_EX>(), align_of::<LOOKASIDE_LIST_EX>());
        let raises = if Flags & EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL == 0 {
            0
        } else {
            POOL_RAISE_IF_ALLOCATION_FAILURE
        };
        let mut list = GENERAL_LOOKASIDE_POOL {
            Type: POOL_TYPE(PoolType.0 | raises.cast_signed()),
            Tag,
            Size: block_size(Size),
            ..GENERAL_LOOKASIDE_POOL::default()
        };
        let (ours, ours_free): (PALLOCATE_FUNCTION_EX, PFREE_FUNCTION_EX) = match (Allocate, Free) {
            (None, None) => (Some(allocate_ex), Some(free_ex)),
            _ => (Some(from_the_pool_ex), Some(to_the_pool_ex)),
        };
        list.Anonymous1.AllocateEx = Allocate.or(ours);
        list.Anonymous2.FreeEx = Free.or(ours_free);
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
    /// Frees the blocks that a list keeps. Lists of the host kernel keep none.
    fn ExFlushLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX), at most DISPATCH_LEVEL {
        if !LISTS.lock().contains_key(&(Lookaside as usize)) {
            require("ExFlushLookasideListEx", Lookaside as usize)
        }
    }
}
