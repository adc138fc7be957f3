//! Doubly linked lists, whose links lie in the entries. Stands for the list functions of `wdm.h`.
//!
//! A list is its head and the entries that can be reached from it. All of them must be valid to read and write, and stay
//! where they are, while they are linked; nobody else uses the list meanwhile.

use crate::LIST_ENTRY;

/// Makes a list empty.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-initializelisthead).
///
/// # Safety
///
/// `ListHead` points to memory for a head that the caller may write, and that stays there while the list is used.
#[inline]
pub unsafe fn InitializeListHead(ListHead: *mut LIST_ENTRY) {
    // SAFETY: the caller may write the head.
    unsafe {
        ListHead.write(LIST_ENTRY {
            Flink: ListHead,
            Blink: ListHead,
        });
    }
}

/// Whether a list has no entries.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-islistempty).
///
/// # Safety
///
/// `ListHead` points to an initialised head.
#[inline]
#[must_use]
pub unsafe fn IsListEmpty(ListHead: *const LIST_ENTRY) -> bool {
    // SAFETY: the caller's head is initialised.
    unsafe { (*ListHead).Flink.cast_const() == ListHead }
}

/// Puts an entry at the end of a list.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-inserttaillist).
///
/// # Safety
///
/// `ListHead` is the head of a valid list that the caller alone uses. `Entry` is in no list, may be written, and stays
/// valid while it is in this one.
#[inline]
pub unsafe fn InsertTailList(ListHead: *mut LIST_ENTRY, Entry: *mut LIST_ENTRY) {
    // SAFETY: the head, its last entry and the new one are valid and the caller's.
    unsafe {
        let last = (*ListHead).Blink;
        Entry.write(LIST_ENTRY {
            Flink: ListHead,
            Blink: last,
        });
        (*last).Flink = Entry;
        (*ListHead).Blink = Entry;
    }
}

/// Puts an entry at the start of a list.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-insertheadlist).
///
/// # Safety
///
/// `ListHead` is the head of a valid list that the caller alone uses. `Entry` is in no list, may be written, and stays
/// valid while it is in this one.
#[inline]
pub unsafe fn InsertHeadList(ListHead: *mut LIST_ENTRY, Entry: *mut LIST_ENTRY) {
    // SAFETY: the head, its first entry and the new one are valid and the caller's.
    unsafe {
        let first = (*ListHead).Flink;
        Entry.write(LIST_ENTRY {
            Flink: first,
            Blink: ListHead,
        });
        (*first).Blink = Entry;
        (*ListHead).Flink = Entry;
    }
}

/// Takes an entry out of its list, and returns whether the list is then empty.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-removeentrylist).
///
/// # Safety
///
/// `Entry` is in a valid list that the caller alone uses.
#[inline]
pub unsafe fn RemoveEntryList(Entry: *mut LIST_ENTRY) -> bool {
    // SAFETY: the entry and its neighbours are valid and the caller's.
    unsafe {
        let LIST_ENTRY {
            Flink: after,
            Blink: before,
        } = *Entry;
        (*before).Flink = after;
        (*after).Blink = before;
        before == after
    }
}

/// Takes the first entry out of a list; of an empty list it gives the head.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-removeheadlist).
///
/// # Safety
///
/// `ListHead` is the head of a valid list that the caller alone uses.
#[inline]
pub unsafe fn RemoveHeadList(ListHead: *mut LIST_ENTRY) -> *mut LIST_ENTRY {
    // SAFETY: the first entry, or the head itself, is in the caller's list.
    unsafe {
        let first = (*ListHead).Flink;
        RemoveEntryList(first);
        first
    }
}

/// Takes the last entry out of a list; of an empty list it gives the head.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-removetaillist).
///
/// # Safety
///
/// `ListHead` is the head of a valid list that the caller alone uses.
#[inline]
pub unsafe fn RemoveTailList(ListHead: *mut LIST_ENTRY) -> *mut LIST_ENTRY {
    // SAFETY: the last entry, or the head itself, is in the caller's list.
    unsafe {
        let last = (*ListHead).Blink;
        RemoveEntryList(last);
        last
    }
}
