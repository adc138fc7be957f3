//! Sequenced singly linked lists. Stands for `ExpInterlockedPushEntrySList` and its kin.
//!
//! The head has the layout of x64: the depth and the number of changes in the first word, the first entry in the second. A lock
//! orders the threads that use a list, so that no thread reads an entry that another has taken out and freed.

use parking_lot::{Mutex, MutexGuard};
use wsk_sys::{SLIST_ENTRY, SLIST_HEADER};

use crate::bugcheck::{bugcheck, violation};
use crate::pool;

const LOCKS: usize = 32;
static ORDER: [Mutex<()>; LOCKS] = [const { Mutex::new(()) }; LOCKS];

/// The bits of the first word that hold the depth.
const DEPTH: u64 = 0xFFFF;

/// The contents of a head.
#[derive(Clone, Copy)]
struct Head {
    depth: u64,
    changes: u64,
    first: *mut SLIST_ENTRY,
}

/// Orders this thread after others that use the list.
fn order(head: *const SLIST_HEADER) -> MutexGuard<'static, ()> {
    ORDER[(head as usize >> 4).wrapping_mul(0x9E37_79B9) >> 8 & (LOCKS - 1)].lock()
}

/// Reads the head, and checks it as far as possible.
///
/// # Safety
///
/// `head` is readable, and nobody writes it meanwhile.
unsafe fn read(function: &'static str, head: *const SLIST_HEADER) -> Head {
    if !head.addr().is_multiple_of(16) {
        misaligned(function, head.addr(), "head")
    }
    // SAFETY: the caller says so.
    let words = unsafe { (*head).Anonymous1 };
    let read = Head {
        depth: words.Alignment & DEPTH,
        changes: words.Alignment >> 16,
        first: core::ptr::with_exposed_provenance_mut(words.Region as usize),
    };
    if read.first.is_null() != (read.depth == 0) || !read.first.addr().is_multiple_of(16) {
        bugcheck!(
            KERNEL_SECURITY_CHECK_FAILURE(3, head as usize, 0, 0),
            [pool::story(head as usize)],
            "{function} was given a head that isn't that of an initialised list (any more): depth {}, first entry {:p}",
            read.depth,
            read.first
        )
    }
    read
}

/// Writes the head after a change.
///
/// # Safety
///
/// `head` is writable, and nobody else touches it.
unsafe fn write(head: *mut SLIST_HEADER, new: Head) {
    // SAFETY: the caller says so.
    unsafe {
        (*head).Anonymous1.Alignment = new.changes.wrapping_add(1) << 16 | new.depth & DEPTH;
        (*head).Anonymous1.Region = new.first.expose_provenance() as u64;
    }
}

#[cold]
fn misaligned(function: &'static str, address: usize, what: &str) -> ! {
    bugcheck!(
        KMODE_EXCEPTION_NOT_HANDLED(0x8000_0002, address, 0, 0),
        [pool::story(address)],
        "{function} was given a list {what} that isn't aligned to 16 bytes: on x64 it raises STATUS_DATATYPE_MISALIGNMENT"
    )
}

export! {
    /// Makes a list empty.
    fn InitializeSListHead(SListHead: *mut SLIST_HEADER), at most HIGH_LEVEL {
        if !SListHead.addr().is_multiple_of(16) {
            misaligned("InitializeSListHead", SListHead.addr(), "head")
        }
        let _ordered = order(SListHead);
        // SAFETY: the driver gives the memory.
        unsafe {
            (*SListHead).Anonymous1.Alignment = 0;
            (*SListHead).Anonymous1.Region = 0;
        }
    }
}

export! {
    /// The first entry.
    fn FirstEntrySList(SListHead: *const SLIST_HEADER) -> *mut SLIST_ENTRY, at most HIGH_LEVEL {
        let _ordered = order(SListHead);
        // SAFETY: the driver gives its list, and others are held off.
        unsafe { read("FirstEntrySList", SListHead) }.first
    }
}

export! {
    /// The number of entries.
    fn ExQueryDepthSList(SListHead: *mut SLIST_HEADER) -> u16, at most HIGH_LEVEL {
        let _ordered = order(SListHead);
        // SAFETY: the driver gives its list, and others are held off.
        unsafe { read("ExQueryDepthSList", SListHead) }.depth as u16
    }
}

export! {
    /// Inserts an entry at the start.
    fn ExpInterlockedPushEntrySList(
        ListHead: *mut SLIST_HEADER,
        ListEntry: *mut SLIST_ENTRY,
    ) -> *mut SLIST_ENTRY, at most DISPATCH_LEVEL {
        let function = "InterlockedPushEntrySList";
        if !ListEntry.addr().is_multiple_of(16) {
            misaligned(function, ListEntry.addr(), "entry")
        }
        let _ordered = order(ListHead);
        // SAFETY: the driver gives its list and an entry, and others are held off. Entries of a list stay until they are taken out.
        unsafe {
            let head = read(function, ListHead);
            let mut listed = head.first;
            for _ in 0..head.depth {
                if listed == ListEntry {
                    bugcheck!(
                        DRIVER_VERIFIER_DETECTED_VIOLATION(
                            violation::OTHER_CONTRACT,
                            ListHead as usize,
                            ListEntry as usize,
                            0
                        ),
                        [pool::story(ListEntry as usize)],
                        "{function} was given an entry that is in the list already: the list would be a circle"
                    )
                }
                listed = (*listed).Next;
            }
            (*ListEntry).Next = head.first;
            write(
                ListHead,
                Head {
                    depth: head.depth + 1,
                    first: ListEntry,
                    ..head
                },
            );
            head.first
        }
    }
}

export! {
    /// Takes the first entry out.
    fn ExpInterlockedPopEntrySList(ListHead: *mut SLIST_HEADER) -> *mut SLIST_ENTRY, at most DISPATCH_LEVEL {
        let _ordered = order(ListHead);
        // SAFETY: the driver gives its list, and others are held off. Entries of a list stay until they are taken out.
        unsafe {
            let head = read("InterlockedPopEntrySList", ListHead);
            if !head.first.is_null() {
                write(
                    ListHead,
                    Head {
                        depth: head.depth - 1,
                        first: (*head.first).Next,
                        ..head
                    },
                );
            }
            head.first
        }
    }
}

export! {
    /// Takes all entries out.
    fn ExpInterlockedFlushSList(ListHead: *mut SLIST_HEADER) -> *mut SLIST_ENTRY, at most DISPATCH_LEVEL {
        let _ordered = order(ListHead);
        // SAFETY: the driver gives its list, and others are held off.
        unsafe {
            let head = read("InterlockedFlushSList", ListHead);
            write(
                ListHead,
                Head {
                    depth: 0,
                    first: core::ptr::null_mut(),
                    ..head
                },
            );
            head.first
        }
    }
}
