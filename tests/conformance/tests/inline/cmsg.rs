//! Control information: random and extreme lengths, and walks over random bytes.

use std::mem::size_of;
use std::ptr::null_mut;

use proptest::prelude::*;
use wsk_sys::{WSABUF, WSACMSGHDR, WSAMSG};

use crate::mdl::edgy;
use crate::memory::Memory;
use crate::{agree, c};

/// Up to this length, neither C's arithmetic nor its pointers wrap.
const DEFINED: usize = 1 << 40;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn lengths(length in edgy()) {
        if length <= usize::MAX - 64 {
            agree!(WSA_CMSGHDR_ALIGN(length));
            agree!(WSA_CMSGDATA_ALIGN(length));
            agree!(WSA_CMSG_SPACE(length));
            agree!(WSA_CMSG_LEN(length));
        }
        // Where C wraps, Rust never returns too little.
        prop_assert!(wsk_sys::WSA_CMSGHDR_ALIGN(length) >= length);
        prop_assert!(wsk_sys::WSA_CMSGDATA_ALIGN(length) >= length);
        prop_assert!(wsk_sys::WSA_CMSG_LEN(length) >= length);
        prop_assert!(wsk_sys::WSA_CMSG_SPACE(length) >= wsk_sys::WSA_CMSG_LEN(length).min(usize::MAX - 7));
    }

    #[test]
    fn walks(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        lengths in prop::collection::vec((0_usize..24, prop_oneof![0_usize..64, edgy()]), 0..8),
        short in 0_usize..40,
    ) {
        // Random bytes, with some plausible and some extreme lengths where headers may be.
        let mut bytes = noise;
        for (at, length) in lengths {
            if let Some(place) = bytes.get_mut(at * 8..at * 8 + 8) {
                place.copy_from_slice(&length.to_ne_bytes());
            }
        }
        let mut memory = Memory::new(&bytes);
        let start = memory.start();
        let len = bytes.len().saturating_sub(short);
        let control = WSABUF { len: u32::try_from(len).unwrap(), buf: start.cast() };
        let mut message = WSAMSG { Control: control, ..WSAMSG::default() };
        let message = &raw mut message;
        agree!(WSA_CMSG_FIRSTHDR(message));
        agree!(WSA_CMSG_NXTHDR(message, null_mut()));
        // SAFETY: the message describes memory that may be read.
        let mut at = unsafe { wsk_sys::WSA_CMSG_FIRSTHDR(message) };
        for _ in 0..64 {
            if at.is_null() {
                break;
            }
            let offset = at.addr() - start.addr();
            prop_assert!(offset + size_of::<WSACMSGHDR>() <= len, "a header at {offset} of {len}");
            agree!(WSA_CMSG_DATA(at));
            // SAFETY: the header lies in the memory, as asserted.
            let length = unsafe { (*at).cmsg_len };
            if length < DEFINED {
                agree!(WSA_CMSG_NXTHDR(message, at));
            }
            // SAFETY: the header lies in the control information of the message.
            at = unsafe { wsk_sys::WSA_CMSG_NXTHDR(message, at) };
        }
    }
}

#[test]
fn what_is_built_is_found_again() {
    let sizes = [0, 1, 4, 8, 9, 24];
    let total: usize = sizes
        .iter()
        .map(|size| wsk_sys::WSA_CMSG_SPACE(*size))
        .sum();
    let mut memory = Memory::new(&vec![0; total]);
    let mut at = memory.start();
    for size in sizes {
        // SAFETY: the memory has room for each piece with its padding, one after the other.
        unsafe {
            (*at.cast::<WSACMSGHDR>()).cmsg_len = wsk_sys::WSA_CMSG_LEN(size);
            at = at.add(wsk_sys::WSA_CMSG_SPACE(size));
        }
    }
    let control = WSABUF {
        len: u32::try_from(total).unwrap(),
        buf: memory.start().cast(),
    };
    let mut message = WSAMSG {
        Control: control,
        ..WSAMSG::default()
    };
    let message = &raw mut message;
    let mut found = Vec::new();
    // SAFETY: the message describes memory that may be read, and headers are found in it.
    unsafe {
        let mut header = c::WSA_CMSG_NXTHDR(message, null_mut());
        while !header.is_null() {
            found.push((*header).cmsg_len - 16);
            header = wsk_sys::WSA_CMSG_NXTHDR(message, header);
        }
    }
    assert_eq!(found, sizes);
}
