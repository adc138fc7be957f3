//! Functions from numbers to numbers: control codes, versions, status values, classes of addresses, sizes by count, atomic
//! operations.

use std::ffi::c_void;
use std::ptr::without_provenance_mut;

use proptest::prelude::*;
use wsk_sys::{_IOR, _IOW, NTSTATUS};

use crate::mdl::edgy;
use crate::{agree, agree_on, c};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn control_codes(x: u32, y: u32, method in 0..4_u32, access in 0..4_u32) {
        // C shifts bits out of the word; the remaining bits are the same.
        agree!(CTL_CODE(x, y, method, access));
        agree!(_IO(x, y));
        agree!(_WSAIO(x, y));
        agree!(_WSAIOR(x, y));
        agree!(_WSAIOW(x, y));
        agree!(_WSAIORW(x, y));
        // SAFETY: these functions only compute.
        unsafe {
            prop_assert_eq!([_IOR::<u32>(x, y), _IOR::<[u8; 100]>(x, y), _IOR::<[u8; 200]>(x, y)], [0, 1, 2].map(|which| c::_IOR(which, x, y)));
            prop_assert_eq!([_IOW::<u32>(x, y), _IOW::<[u8; 100]>(x, y), _IOW::<[u8; 200]>(x, y)], [0, 1, 2].map(|which| c::_IOW(which, x, y)));
        }
    }

    #[test]
    fn versions(number: u32, version: u16, major: u8, minor: u8) {
        agree!(OSVER(number));
        agree!(SPVER(number));
        agree!(SUBVER(number));
        agree!(MAKE_WSK_VERSION(major, minor));
        agree!(WSK_MAJOR_VERSION(version));
        agree!(WSK_MINOR_VERSION(version));
        let made = wsk_sys::MAKE_WSK_VERSION(major, minor);
        prop_assert_eq!((wsk_sys::WSK_MAJOR_VERSION(made), wsk_sys::WSK_MINOR_VERSION(made)), (major, minor));
    }

    #[test]
    fn status_values(number: i32) {
        let status = NTSTATUS(number);
        agree!(NT_SUCCESS(status));
        agree!(NT_INFORMATION(status));
        agree!(NT_WARNING(status));
        agree!(NT_ERROR(status));
    }

    #[test]
    fn classes(address: u32) {
        agree!(IN_CLASSA(address));
        agree!(IN_CLASSB(address));
        agree!(IN_CLASSC(address));
        agree!(IN_CLASSD(address));
        agree!(IN_MULTICAST(address));
        agree!(IN4_CLASSA(address));
        agree!(IN4_CLASSB(address));
        agree!(IN4_CLASSC(address));
        agree!(IN4_CLASSD(address));
        agree!(IN4_MULTICAST(address));
        prop_assert_eq!(wsk_sys::IN_CLASSB(address), wsk_sys::IN4_CLASSB(address.to_be()));
    }

    #[test]
    fn bytes_in_reverse(small: u16, middle: u32, large: u64) {
        agree!(RtlUshortByteSwap(small));
        agree!(RtlUlongByteSwap(middle));
        agree!(RtlUlonglongByteSwap(large));
    }

    #[test]
    fn sizes_by_count(count in edgy()) {
        if count < 1 << 50 {
            agree!(SIZEOF_SOCKET_ADDRESS_LIST(count));
            agree!(IP_MSFILTER_SIZE(count));
            agree!(GROUP_FILTER_SIZE(count));
        }
        // Where C wraps, Rust never returns too little.
        let least = |each| count.saturating_mul(each);
        prop_assert!(wsk_sys::SIZEOF_SOCKET_ADDRESS_LIST(count) >= least(16));
        prop_assert!(wsk_sys::IP_MSFILTER_SIZE(count) >= least(4));
        prop_assert!(wsk_sys::GROUP_FILTER_SIZE(count) >= least(128));
    }

    #[test]
    fn atomic_numbers(old: [u8; 4], value: i32, same: bool) {
        agree_on!(&old, |at| InterlockedIncrement(at.cast()));
        agree_on!(&old, |at| InterlockedDecrement(at.cast()));
        agree_on!(&old, |at| InterlockedExchangeAdd(at.cast(), value));
        agree_on!(&old, |at| InterlockedAdd(at.cast(), value));
        agree_on!(&old, |at| InterlockedExchange(at.cast(), value));
        agree_on!(&old, |at| InterlockedOr(at.cast(), value));
        agree_on!(&old, |at| InterlockedAnd(at.cast(), value));
        let expected = if same { i32::from_ne_bytes(old) } else { !i32::from_ne_bytes(old) };
        agree_on!(&old, |at| InterlockedCompareExchange(at.cast(), value, expected));
    }

    #[test]
    fn atomic_numbers_of_64_bits(old: [u8; 8], value: i64, same: bool) {
        agree_on!(&old, |at| InterlockedIncrement64(at.cast()));
        agree_on!(&old, |at| InterlockedDecrement64(at.cast()));
        agree_on!(&old, |at| InterlockedExchangeAdd64(at.cast(), value));
        agree_on!(&old, |at| InterlockedAdd64(at.cast(), value));
        agree_on!(&old, |at| InterlockedExchange64(at.cast(), value));
        agree_on!(&old, |at| InterlockedOr64(at.cast(), value));
        agree_on!(&old, |at| InterlockedAnd64(at.cast(), value));
        agree_on!(&old, |at| InterlockedXor64(at.cast(), value));
        agree_on!(&old, |at| InterlockedIncrementNoFence64(at.cast()));
        agree_on!(&old, |at| InterlockedDecrementNoFence64(at.cast()));
        agree_on!(&old, |at| InterlockedExchangeAddNoFence64(at.cast(), value));
        let expected = if same { i64::from_ne_bytes(old) } else { !i64::from_ne_bytes(old) };
        agree_on!(&old, |at| InterlockedCompareExchange64(at.cast(), value, expected));
    }

    #[test]
    fn more_atomic_numbers(old: [u8; 4], value: i32, small: i16, same: bool) {
        agree_on!(&old, |at| InterlockedXor(at.cast(), value));
        agree_on!(&old, |at| InterlockedIncrementNoFence(at.cast()));
        agree_on!(&old, |at| InterlockedDecrementNoFence(at.cast()));
        agree_on!(&old, |at| InterlockedExchangeAddNoFence(at.cast(), value));
        agree_on!(&old, |at| InterlockedIncrement16(at.cast()));
        agree_on!(&old, |at| InterlockedDecrement16(at.cast()));
        let first = i16::from_ne_bytes([old[0], old[1]]);
        let expected = if same { first } else { !first };
        agree_on!(&old, |at| InterlockedCompareExchange16(at.cast(), small, expected));
    }

    #[test]
    fn bits(old: [u8; 32], bit in 0..128_i32) {
        // In the second half, so that there are numbers before it.
        let signed = bit - 64;
        agree_on!(&old, |at| BitTest(at.add(16).cast(), signed));
        agree_on!(&old, |at| BitTestAndSet(at.add(16).cast(), signed));
        agree_on!(&old, |at| BitTestAndReset(at.add(16).cast(), signed));
        agree_on!(&old, |at| BitTestAndComplement(at.add(16).cast(), signed));
        agree_on!(&old, |at| InterlockedBitTestAndSet(at.add(16).cast(), signed));
        agree_on!(&old, |at| InterlockedBitTestAndReset(at.add(16).cast(), signed));
        agree_on!(&old, |at| InterlockedBitTestAndSet64(at.add(16).cast(), signed.into()));
        agree_on!(&old, |at| InterlockedBitTestAndReset64(at.add(16).cast(), signed.into()));
        let byte = 16 + usize::try_from(bit / 8).unwrap() - 8;
        let (set, after) = agree_on!(&old, |at| BitTestAndComplement(at.add(16).cast(), signed));
        prop_assert_eq!(set, old[byte] >> (bit % 8) & 1 != 0);
        prop_assert_eq!(after[byte], old[byte] ^ 1 << (bit % 8));
    }

    #[test]
    fn products(left: i32, right: i32) {
        agree!(Int32x32To64(left, right));
        agree!(UInt32x32To64(left.cast_unsigned(), right.cast_unsigned()));
    }

    #[test]
    fn atomic_pointers(old: [u8; 8], value: usize, same: bool) {
        let value: *mut c_void = without_provenance_mut(value);
        agree_on!(&old, |at| InterlockedExchangePointer(at.cast(), value));
        let number = usize::from_ne_bytes(old);
        let expected: *mut c_void = without_provenance_mut(if same { number } else { !number });
        agree_on!(&old, |at| InterlockedCompareExchangePointer(at.cast(), value, expected));
    }
}

#[test]
fn the_largest_numbers_wrap() {
    let (result, _) = agree_on!(&i32::MAX.to_ne_bytes(), |at| InterlockedIncrement(
        at.cast()
    ));
    assert_eq!(result, i32::MIN);
    let (result, _) = agree_on!(&i32::MIN.to_ne_bytes(), |at| InterlockedDecrement(
        at.cast()
    ));
    assert_eq!(result, i32::MAX);
}

#[test]
fn version_of_windows_10() {
    // SAFETY: the function only computes.
    assert_eq!(wsk_sys::NTDDI_VERSION_FROM_WIN32_WINNT(0x0A00), unsafe {
        c::NTDDI_VERSION_FROM_WIN32_WINNT()
    });
}
