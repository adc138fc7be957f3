//! Memory descriptor lists with random contents, and the arithmetic of pages at random and extreme addresses.

use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use std::ptr::without_provenance_mut;

use proptest::prelude::*;
use wsk_sys::MDL;

use crate::{agree, agree_on};

/// Any number, often one next to a boundary of the arithmetic: zero, a page, 32 bits, the end.
pub(crate) fn edgy() -> impl Strategy<Value = usize> {
    let edges = prop::sample::select(vec![
        0_usize,
        0x1000,
        0x2000,
        1 << 31,
        1 << 32,
        1 << 44,
        1 << 63,
        usize::MAX,
    ]);
    prop_oneof![
        any::<usize>(),
        (edges, -9_isize..=9).prop_map(|(edge, by)| edge.wrapping_add_signed(by))
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn pages(address in edgy(), size in edgy()) {
        let address: *mut c_void = without_provenance_mut(address);
        agree!(BYTE_OFFSET(address));
        agree!(PAGE_ALIGN(address));
        agree!(ADDRESS_AND_SIZE_TO_SPAN_PAGES(address, size));
        agree!(BYTES_TO_PAGES(size));
        let offset = address.addr() % 4096;
        if let Some(end) = size.checked_add(offset + 4095) {
            prop_assert_eq!(wsk_sys::ADDRESS_AND_SIZE_TO_SPAN_PAGES(address, size), end / 4096);
        }
        prop_assert_eq!(wsk_sys::BYTES_TO_PAGES(size), size.div_ceil(4096));
        agree!(ROUND_TO_PAGES(size));
    }

    #[test]
    fn initialising(noise in any::<[[u8; 24]; 2]>(), address in edgy(), size in edgy()) {
        let address: *mut c_void = without_provenance_mut(address);
        agree_on!(noise.as_flattened(), |mdl| MmInitializeMdl(mdl.cast(), address, size));
    }

    #[test]
    fn reading(noise in any::<[[u8; 24]; 2]>(), flags in prop::sample::select(vec![0_u16, 1, 4, 5, 0x20, 0x30, 0x7FFA, 0xFFFF])) {
        let mut bytes = noise.as_flattened().to_vec();
        assert_eq!(bytes.len(), size_of::<MDL>());
        let at = offset_of!(MDL, MdlFlags);
        bytes[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
        agree_on!(&bytes, |mdl| MmGetMdlByteCount(mdl.cast()));
        agree_on!(&bytes, |mdl| MmGetMdlByteOffset(mdl.cast()));
        agree_on!(&bytes, |mdl| MmGetMdlBaseVa(mdl.cast()));
        agree_on!(&bytes, |mdl| MmGetMdlVirtualAddress(mdl.cast()));
        agree_on!(&bytes, |mdl| MmGetMdlPfnArray(mdl.cast()));
        for priority in [0, 16, 32, 0xC000_0010] {
            agree_on!(&bytes, |mdl| MmGetSystemAddressForMdlSafe(mdl.cast(), priority));
        }
        agree_on!(&bytes, |mdl| MmPrepareMdlForReuse(mdl.cast()));
    }
}

#[test]
fn span_of_a_page_and_of_none() {
    let at =
        |address| wsk_sys::ADDRESS_AND_SIZE_TO_SPAN_PAGES(without_provenance_mut(address), 4096);
    assert_eq!((at(0x1000), at(0x1001), at(0x1FFF)), (1, 2, 2));
    assert_eq!(
        wsk_sys::ADDRESS_AND_SIZE_TO_SPAN_PAGES(without_provenance_mut(0x1000), 0),
        0
    );
}
