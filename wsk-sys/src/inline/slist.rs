//! Singly linked lists that any thread may use without a lock. Stands for the names that `wdm.h` gives to functions of
//! `ntoskrnl.exe`.

use crate::{
    ExpInterlockedFlushSList, ExpInterlockedPopEntrySList, ExpInterlockedPushEntrySList,
    SLIST_ENTRY, SLIST_HEADER,
};

/// Puts an entry at the start of a sequenced list, and gives the one that was there, or null.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedpushentryslist).
///
/// # Safety
///
/// The head is that of an initialised list, and the entry is aligned to 16, in no list, and stays valid until it was taken out.
#[inline]
#[doc(alias = "ExInterlockedPushEntrySList")]
pub unsafe fn InterlockedPushEntrySList(
    ListHead: *mut SLIST_HEADER,
    ListEntry: *mut SLIST_ENTRY,
) -> *mut SLIST_ENTRY {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { ExpInterlockedPushEntrySList(ListHead, ListEntry) }
}

/// Takes the first entry out of a sequenced list, or gives null.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedpopentryslist).
///
/// # Safety
///
/// The head is that of an initialised list.
#[inline]
#[doc(alias = "ExInterlockedPopEntrySList")]
pub unsafe fn InterlockedPopEntrySList(ListHead: *mut SLIST_HEADER) -> *mut SLIST_ENTRY {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { ExpInterlockedPopEntrySList(ListHead) }
}

/// Takes all entries out of a sequenced list: gives the first, which links to the others, or null.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedflushslist).
///
/// # Safety
///
/// The head is that of an initialised list.
#[inline]
#[doc(alias = "ExInterlockedFlushSList")]
pub unsafe fn InterlockedFlushSList(ListHead: *mut SLIST_HEADER) -> *mut SLIST_ENTRY {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { ExpInterlockedFlushSList(ListHead) }
}
