//! Objects, identifiers, levels and locks, memory, records and strings.

use std::ffi::c_void;
use std::mem::size_of;
use std::ptr::without_provenance_mut;

use proptest::prelude::*;
use wsk_sys::{
    GENERAL_LOOKASIDE, GUID, IRP, LOOKASIDE_LIST_EX, MDL, NPI_MODULEID, OBJECT_ATTRIBUTES,
    POOL_TYPE, SLIST_ENTRY, SOCKADDR_STORAGE, UNICODE_STRING,
};

use crate::{agree, agree_on, c, kernel};

proptest! {
    #[test]
    fn attributes(noise in any::<[[u8; 16]; 3]>(), name: usize, flags: u32, root: usize, security: usize) {
        let mut noise = noise.as_flattened().to_vec();
        prop_assert_eq!(noise.len(), size_of::<OBJECT_ATTRIBUTES>());
        // Each compiler treats padding as it likes.
        let padding = [4..8, 28..32];
        padding.clone().into_iter().for_each(|range| noise[range].fill(0));
        let clear = move |at: *mut u8| {
            for range in padding.clone() {
                // SAFETY: the range is in the memory of the attributes.
                unsafe { at.add(range.start).write_bytes(0, range.len()) }
            }
        };
        let (root, security): (*mut c_void, *mut c_void) = (without_provenance_mut(root), without_provenance_mut(security));
        let name: *mut UNICODE_STRING = without_provenance_mut(name);
        crate::memory::both(
            "InitializeObjectAttributes",
            &noise,
            // SAFETY: the memory is that of the attributes.
            |at| unsafe {
                wsk_sys::InitializeObjectAttributes(at.cast(), name, flags, root, security);
                clear(at);
            },
            // SAFETY: as above.
            |at| unsafe {
                c::InitializeObjectAttributes(at.cast(), name, flags, root, security);
                clear(at);
            },
        );
    }

    #[test]
    fn identifiers(left: [u8; 16], changed in 0..=16_usize) {
        let mut bytes = [left, left].concat();
        if let Some(byte) = bytes[16..].get_mut(changed) {
            *byte ^= 0x10;
        }
        let (same, _) = crate::memory::both(
            "IsEqualGUID",
            &bytes,
            // SAFETY: the memory holds two identifiers, for which any bytes are valid.
            |at| unsafe { wsk_sys::IsEqualGUID(&*at.cast(), &*at.cast::<GUID>().add(1)) },
            // SAFETY: as above.
            |at| unsafe { c::IsEqualGUID(at.cast(), at.cast::<GUID>().add(1)) },
        );
        prop_assert_eq!(same, changed == 16);
        crate::memory::both(
            "InlineIsEqualGUID",
            &bytes,
            // SAFETY: as above.
            |at| unsafe { wsk_sys::InlineIsEqualGUID(&*at.cast(), &*at.cast::<GUID>().add(1)) },
            // SAFETY: as above.
            |at| unsafe { c::InlineIsEqualGUID(at.cast(), at.cast::<GUID>().add(1)) },
        );
    }

    #[test]
    fn modules(left: [u8; 16], kinds in prop::array::uniform2(0..4_i32), changed in 0..=16_usize) {
        let mut bytes = Vec::new();
        for kind in kinds {
            bytes.extend([24_u16.to_ne_bytes(), [0, 0]].concat());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(left);
        }
        prop_assert_eq!(bytes.len(), 2 * size_of::<NPI_MODULEID>());
        if let Some(byte) = bytes[32..].get_mut(changed) {
            *byte ^= 0x10;
        }
        agree_on!(&bytes, |at| NmrIsEqualNpiModuleId(at.cast(), at.cast::<NPI_MODULEID>().add(1)));
    }

    #[test]
    fn memory(bytes: [u8; 32], from in 0..=16_usize, to in 0..=16_usize, length in 0..=16_usize, fill: u8) {
        agree_on!(&bytes, |at| RtlMoveMemory(at.add(to).cast(), at.add(from).cast(), length));
        let half = length / 2;
        agree_on!(&bytes, |at| RtlCopyMemory(at.cast(), at.add(16).cast(), half));
        agree_on!(&bytes, |at| RtlFillMemory(at.add(to).cast(), length, fill));
        agree_on!(&bytes, |at| RtlZeroMemory(at.add(to).cast(), length));
        agree_on!(&bytes, |at| RtlEqualMemory(at.add(from).cast(), at.add(to).cast(), length));
        let twice = [&bytes[..16], &bytes[..16]].concat();
        let (same, _) = agree_on!(&twice, |at| RtlEqualMemory(at.cast(), at.add(16).cast(), length));
        prop_assert!(same);
    }

    #[test]
    fn levels_and_locks(noise: [u8; 16], level in 0..16_u8) {
        agree_on!(&noise, |at| KeRaiseIrql(level, at));
        agree_on!(&noise, |at| KeInitializeSpinLock(at.cast()));
        agree_on!(&noise, |at| KeAcquireSpinLock(at.cast(), at.add(8)));
        agree_on!(&noise, |at| ObReferenceObject(at.cast()));
        agree_on!(&noise, |at| ObDereferenceObject(at.cast()));
    }
}

/// The list's own functions to allocate and free. Their calls are recorded, too.
unsafe extern "system" fn allocate(kind: POOL_TYPE, size: usize, tag: u32) -> *mut c_void {
    // SAFETY: the function is part of this program.
    unsafe { wsk_sys::ExAllocatePoolWithTag(kind, size, tag) }
}

unsafe extern "system" fn free(block: *mut c_void) {
    // SAFETY: the function is part of this program, and only records the call.
    unsafe { wsk_sys::ObfDereferenceObject(block) };
}

unsafe extern "system" fn allocate_ex(
    kind: POOL_TYPE,
    size: usize,
    tag: u32,
    list: *mut LOOKASIDE_LIST_EX,
) -> *mut c_void {
    // SAFETY: the functions are part of this program, and only record the calls.
    unsafe {
        wsk_sys::ObfReferenceObject(list.cast());
        wsk_sys::ExAllocatePoolWithTag(kind, size, tag)
    }
}

unsafe extern "system" fn free_ex(block: *mut c_void, list: *mut LOOKASIDE_LIST_EX) {
    // SAFETY: the functions are part of this program, and only record the calls.
    unsafe {
        wsk_sys::ObfReferenceObject(list.cast());
        wsk_sys::ObfDereferenceObject(block);
    }
}

/// A function that allocates, on either side.
trait Allocate {
    fn block(&self, kind: POOL_TYPE, size: usize, tag: u32) -> *mut c_void;
}

struct Rust(unsafe fn(POOL_TYPE, usize, u32) -> *mut c_void);
struct C(unsafe extern "C" fn(POOL_TYPE, usize, u32) -> *mut c_void);

impl Allocate for Rust {
    fn block(&self, kind: POOL_TYPE, size: usize, tag: u32) -> *mut c_void {
        // SAFETY: the pool is part of this program.
        unsafe { self.0(kind, size, tag) }
    }
}

impl Allocate for C {
    fn block(&self, kind: POOL_TYPE, size: usize, tag: u32) -> *mut c_void {
        // SAFETY: the pool is part of this program.
        unsafe { self.0(kind, size, tag) }
    }
}

proptest! {
    #[test]
    fn lists_and_locks(noise: [u8; 64], entry: usize) {
        let entry: *mut SLIST_ENTRY = without_provenance_mut(entry);
        agree_on!(&noise, |at| InterlockedPushEntrySList(at.cast(), entry));
        agree_on!(&noise, |at| InterlockedPopEntrySList(at.cast()));
        agree_on!(&noise, |at| InterlockedFlushSList(at.cast()));
        agree_on!(&noise, |at| ExInitializeFastMutex(at.cast()));
        agree_on!(&noise, |at| ExAcquirePushLockShared(at.cast()));
        agree_on!(&noise, |at| ExAcquirePushLockExclusive(at.cast()));
        agree_on!(&noise, |at| ExReleasePushLockShared(at.cast()));
        agree_on!(&noise, |at| ExReleasePushLockExclusive(at.cast()));
        agree_on!(&noise, |at| KeQuerySystemTime(at.cast()));
    }

    #[test]
    fn empty_strings(noise: [u8; 16], buffer: usize, size: u16) {
        agree_on!(&noise, |at| RtlInitEmptyUnicodeString(at.cast(), without_provenance_mut(buffer), size));
        agree_on!(&noise, |at| RtlInitEmptyAnsiString(at.cast(), without_provenance_mut(buffer), size));
    }

    #[test]
    fn pool(fill: u8, kind: i32, size in 0..=128_usize, tag: u32) {
        let kind = POOL_TYPE(kind);
        let gives = |allocate: &dyn Allocate| {
            kernel::fill_pool(fill);
            kernel::forget_calls();
            let block = allocate.block(kind, size, tag);
            (block, kernel::pool(), kernel::calls())
        };
        prop_assert_eq!(gives(&Rust(wsk_sys::ExAllocatePoolZero)), gives(&C(c::ExAllocatePoolZero)));
        prop_assert_eq!(gives(&Rust(wsk_sys::ExAllocatePoolUninitialized)), gives(&C(c::ExAllocatePoolUninitialized)));
    }

    #[test]
    fn lookaside(counts: [u32; 4], depth in 0..4_u16, most in 0..4_u16, size in 0..64_u32, tag: u32, entry: usize) {
        let entry: *mut c_void = without_provenance_mut(entry);
        let mut list = GENERAL_LOOKASIDE::default();
        list.ListHead.Anonymous1.Alignment = depth.into();
        list.Depth = most;
        [list.TotalAllocates, list.AllocateMisses, list.TotalFrees, list.FreeMisses] = counts;
        (list.Size, list.Tag) = (size, tag);
        list.Anonymous1.Allocate = Some(allocate);
        list.Anonymous2.Free = Some(free);
        // SAFETY: C structures may be read as bytes; this one was zeroed, including its padding.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const list).cast::<u8>(), size_of::<GENERAL_LOOKASIDE>()) };
        agree_on!(bytes, |at| ExAllocateFromNPagedLookasideList(at.cast()));
        agree_on!(bytes, |at| ExFreeToNPagedLookasideList(at.cast(), entry));
        agree_on!(bytes, |at| ExAllocateFromPagedLookasideList(at.cast()));
        agree_on!(bytes, |at| ExFreeToPagedLookasideList(at.cast(), entry));

        list.Anonymous1.AllocateEx = Some(allocate_ex);
        list.Anonymous2.FreeEx = Some(free_ex);
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const list).cast::<u8>(), size_of::<LOOKASIDE_LIST_EX>()) };
        agree_on!(bytes, |at| ExAllocateFromLookasideListEx(at.cast()));
        agree_on!(bytes, |at| ExFreeToLookasideListEx(at.cast(), entry));
    }
}

#[test]
fn handles_of_the_current() {
    agree!(NtCurrentProcess());
    agree!(NtCurrentThread());
}

#[test]
fn members() {
    // SAFETY: these functions only compute.
    unsafe {
        assert_eq!(
            wsk_sys::FIELD_OFFSET!(IRP, Tail.Overlay.ListEntry),
            c::FIELD_OFFSET()
        );
        assert_eq!(
            wsk_sys::UFIELD_OFFSET!(IRP, Tail.Overlay.ListEntry),
            c::UFIELD_OFFSET()
        );
        assert_eq!(
            wsk_sys::RTL_FIELD_SIZE!(SOCKADDR_STORAGE, __ss_pad2),
            c::RTL_FIELD_SIZE()
        );
        assert_eq!(
            wsk_sys::FIELD_SIZE!(SOCKADDR_STORAGE, __ss_pad2),
            c::FIELD_SIZE()
        );
        assert_eq!(
            wsk_sys::RTL_SIZEOF_THROUGH_FIELD!(MDL, ByteCount),
            c::RTL_SIZEOF_THROUGH_FIELD()
        );
    }
    let mut irp = IRP::default();
    let whole = &raw mut irp;
    // SAFETY: the pointer is to a whole IRP.
    let entry = unsafe { &raw mut (*whole).Tail.Overlay.ListEntry };
    let rust: *mut IRP = wsk_sys::CONTAINING_RECORD!(entry, IRP, Tail.Overlay.ListEntry);
    // SAFETY: the entry is in a whole IRP.
    let c = unsafe { c::CONTAINING_RECORD(entry) };
    assert_eq!((rust, c), (whole, whole));
}

/// The first and last character of each length in UTF-8.
const EDGES: &str = "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}";

#[test]
fn constant_strings() {
    let units = |string: UNICODE_STRING| {
        // SAFETY: the buffer has as many bytes as the string says, with the zero at its end.
        unsafe { std::slice::from_raw_parts(string.Buffer, usize::from(string.MaximumLength) / 2) }
            .to_vec()
    };
    let rust: UNICODE_STRING = wsk_sys::RTL_CONSTANT_STRING!("\\Device\\\u{e9}\u{20ac}\u{1F600}");
    let mut c = UNICODE_STRING::default();
    // SAFETY: the string may be written.
    unsafe { c::RTL_CONSTANT_STRING(&raw mut c) };
    assert_eq!(
        (rust.Length, rust.MaximumLength),
        (c.Length, c.MaximumLength)
    );
    assert_eq!(units(rust), units(c));
    let expected: Vec<u16> = EDGES.encode_utf16().chain([0]).collect();
    assert_eq!(units(wsk_sys::RTL_CONSTANT_STRING!(EDGES)), expected);
    assert_eq!(units(wsk_sys::RTL_CONSTANT_STRING!("")), [0]);
}
