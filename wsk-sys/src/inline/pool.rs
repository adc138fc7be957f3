//! Pool memory, and lists that keep some of it. Stands for those functions of `wdm.h` that are inline.

use core::ffi::c_void;

use crate::{
    ExAllocatePoolWithTag, ExQueryDepthSList, ExpInterlockedPopEntrySList,
    ExpInterlockedPushEntrySList, GENERAL_LOOKASIDE, LOOKASIDE_LIST_EX, NPAGED_LOOKASIDE_LIST,
    PAGED_LOOKASIDE_LIST, POOL_TYPE,
};

/// Allocates memory from a pool and fills it with zeroes, or gives null.
///
/// IRQL: `<= DISPATCH_LEVEL`, for paged memory `<= APC_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatepoolzero).
///
/// # Safety
///
/// That of `ExAllocatePoolWithTag`.
#[inline]
#[must_use]
pub unsafe fn ExAllocatePoolZero(
    PoolType: POOL_TYPE,
    NumberOfBytes: usize,
    Tag: u32,
) -> *mut c_void {
    // SAFETY: the caller's promise is that of the imported function, which gives so many bytes.
    unsafe {
        let memory = ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag);
        if !memory.is_null() {
            memory.write_bytes(0, NumberOfBytes);
        }
        memory
    }
}

/// Allocates memory from a pool without clearing it. Returns null on failure.
///
/// IRQL: `<= DISPATCH_LEVEL`, for paged memory `<= APC_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatepooluninitialized).
///
/// # Safety
///
/// That of `ExAllocatePoolWithTag`.
#[inline]
#[must_use]
pub unsafe fn ExAllocatePoolUninitialized(
    PoolType: POOL_TYPE,
    NumberOfBytes: usize,
    Tag: u32,
) -> *mut c_void {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag) }
}

/// Takes a block from a list whose functions do not receive the list, or allocates one. Returns null on failure.
///
/// # Safety
///
/// `list` points to an initialised list.
#[inline]
unsafe fn take(list: *mut GENERAL_LOOKASIDE) -> *mut c_void {
    // SAFETY: the caller passes an initialised list. Its counts are statistics: threads may overwrite each other's.
    unsafe {
        (*list).TotalAllocates = (*list).TotalAllocates.wrapping_add(1);
        let block = ExpInterlockedPopEntrySList(&raw mut (*list).ListHead);
        if !block.is_null() {
            return block.cast();
        }
        (*list).AllocateMisses = (*list).AllocateMisses.wrapping_add(1);
        match (*list).Anonymous1.Allocate {
            Some(allocate) => allocate((*list).Type, (*list).Size as usize, (*list).Tag),
            None => core::ptr::null_mut(),
        }
    }
}

/// Returns a block to such a list, which keeps or frees it.
///
/// # Safety
///
/// `list` points to an initialised list, and `block` to a block that it gave, which is not used any more.
#[inline]
unsafe fn give_back(list: *mut GENERAL_LOOKASIDE, block: *mut c_void) {
    // SAFETY: the caller passes an initialised list and a block of it, which is aligned and large enough for an entry. The counts
    // are statistics: threads may overwrite each other's.
    unsafe {
        (*list).TotalFrees = (*list).TotalFrees.wrapping_add(1);
        if ExQueryDepthSList(&raw mut (*list).ListHead) < (*list).Depth {
            ExpInterlockedPushEntrySList(&raw mut (*list).ListHead, block.cast());
            return;
        }
        (*list).FreeMisses = (*list).FreeMisses.wrapping_add(1);
        if let Some(free) = (*list).Anonymous2.Free {
            free(block);
        }
    }
}

/// Takes a block out of a lookaside list, or allocates one, or gives null.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatefromnpagedlookasidelist).
///
/// # Safety
///
/// `Lookaside` points to an initialised list.
#[inline]
#[must_use]
pub unsafe fn ExAllocateFromNPagedLookasideList(
    Lookaside: *mut NPAGED_LOOKASIDE_LIST,
) -> *mut c_void {
    // SAFETY: the caller gives an initialised list.
    unsafe { take(&raw mut (*Lookaside).L) }
}

/// Gives a block back to its lookaside list, which keeps or frees it.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exfreetonpagedlookasidelist).
///
/// # Safety
///
/// `Lookaside` points to an initialised list, and `Entry` to a block that it gave, which is not used any more.
#[inline]
pub unsafe fn ExFreeToNPagedLookasideList(
    Lookaside: *mut NPAGED_LOOKASIDE_LIST,
    Entry: *mut c_void,
) {
    // SAFETY: the caller gives an initialised list and a block of it.
    unsafe { give_back(&raw mut (*Lookaside).L, Entry) }
}

/// Takes a block out of a lookaside list of paged blocks, or allocates one, or gives null.
///
/// IRQL: `<= APC_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatefrompagedlookasidelist).
///
/// # Safety
///
/// `Lookaside` points to an initialised list.
#[inline]
#[must_use]
pub unsafe fn ExAllocateFromPagedLookasideList(
    Lookaside: *mut PAGED_LOOKASIDE_LIST,
) -> *mut c_void {
    // SAFETY: the caller gives an initialised list.
    unsafe { take(&raw mut (*Lookaside).L) }
}

/// Gives a block back to its lookaside list of paged blocks, which keeps or frees it.
///
/// IRQL: `<= APC_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exfreetopagedlookasidelist).
///
/// # Safety
///
/// `Lookaside` points to an initialised list, and `Entry` to a block that it gave, which is not used any more.
#[inline]
pub unsafe fn ExFreeToPagedLookasideList(Lookaside: *mut PAGED_LOOKASIDE_LIST, Entry: *mut c_void) {
    // SAFETY: the caller gives an initialised list and a block of it.
    unsafe { give_back(&raw mut (*Lookaside).L, Entry) }
}

/// Takes a block out of a lookaside list, or allocates one, or gives null.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatefromlookasidelistex).
///
/// # Safety
///
/// `Lookaside` points to an initialised list.
#[inline]
#[must_use]
pub unsafe fn ExAllocateFromLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX) -> *mut c_void {
    // SAFETY: the caller passes an initialised list. Its counts are statistics: threads may overwrite each other's.
    unsafe {
        let list = &raw mut (*Lookaside).L;
        (*list).TotalAllocates = (*list).TotalAllocates.wrapping_add(1);
        let block = ExpInterlockedPopEntrySList(&raw mut (*list).ListHead);
        if !block.is_null() {
            return block.cast();
        }
        (*list).AllocateMisses = (*list).AllocateMisses.wrapping_add(1);
        match (*list).Anonymous1.AllocateEx {
            Some(allocate) => allocate((*list).Type, (*list).Size as usize, (*list).Tag, Lookaside),
            None => core::ptr::null_mut(),
        }
    }
}

/// Gives a block back to its lookaside list, which keeps or frees it.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exfreetolookasidelistex).
///
/// # Safety
///
/// `Lookaside` points to an initialised list, and `Entry` to a block that it gave, which is not used any more.
#[inline]
pub unsafe fn ExFreeToLookasideListEx(Lookaside: *mut LOOKASIDE_LIST_EX, Entry: *mut c_void) {
    // SAFETY: the caller passes an initialised list and a block of it, which is aligned and large enough for an entry. The counts
    // are statistics: threads may overwrite each other's.
    unsafe {
        let list = &raw mut (*Lookaside).L;
        (*list).TotalFrees = (*list).TotalFrees.wrapping_add(1);
        if ExQueryDepthSList(&raw mut (*list).ListHead) < (*list).Depth {
            ExpInterlockedPushEntrySList(&raw mut (*list).ListHead, Entry.cast());
            return;
        }
        (*list).FreeMisses = (*list).FreeMisses.wrapping_add(1);
        if let Some(free) = (*list).Anonymous2.FreeEx {
            free(Entry, Lookaside);
        }
    }
}
