//! The run-time library: strings, addresses as text, what runs once, trees; from raw code, as it is meant and with its rules broken.
//!
//! A call that breaks a rule is argued for by what makes it harmless: the kernel stops the process, a child of the test, before it
//! does what it was asked for.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::{CStr, c_void};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use driver::*;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{DISPATCH_LEVEL, Kernel, at_irql};
use wsk_sys::*;

// Strings.

fn ansi(text: &CStr) -> STRING {
    let mut string = STRING::default();
    // SAFETY: the text ends with a zero.
    unsafe { RtlInitAnsiString(&mut string, text.as_ptr().cast()) };
    string
}

/// What a counted string says.
fn text(string: &UNICODE_STRING) -> String {
    // SAFETY: the string has so many units.
    String::from_utf16(unsafe {
        core::slice::from_raw_parts(string.Buffer, usize::from(string.Length) / 2)
    })
    .unwrap()
}

#[test]
fn byte_strings_become_utf_16_and_come_back() {
    let kernel = Kernel::boot();
    // The euro, in code page 1252, and a letter with an accent.
    let source = ansi(c"Gr\xFC\xDFe \x80");
    assert_eq!((source.Length, source.MaximumLength), (7, 8));
    let mut wide = UNICODE_STRING::default();
    let mut back = STRING::default();
    // SAFETY: strings of the functions' own, freed once.
    unsafe {
        assert_eq!(
            RtlAnsiStringToUnicodeString(&mut wide, &source, 1),
            STATUS_SUCCESS
        );
        assert_eq!(text(&wide), "Grüße €");
        assert_eq!((wide.MaximumLength, *wide.Buffer.add(7)), (16, 0));
        assert_eq!(
            RtlUnicodeStringToAnsiString(&mut back, &wide, 1),
            STATUS_SUCCESS
        );
        let bytes = core::slice::from_raw_parts(back.Buffer.cast::<u8>(), 8);
        assert_eq!(bytes, b"Gr\xFC\xDFe \x80\0");
        assert_eq!(kernel.counts().pool.live, 2);
        RtlFreeUnicodeString(&mut wide);
        RtlFreeAnsiString(&mut back);
        RtlFreeAnsiString(&mut back);
        assert!(wide.Buffer.is_null());

        // In memory of the caller's own: what fits.
        let mut units = [0xAAAA_u16; 7];
        RtlInitEmptyUnicodeString(&mut wide, units.as_mut_ptr(), 12);
        assert_eq!(
            RtlAnsiStringToUnicodeString(&mut wide, &source, 0),
            STATUS_BUFFER_OVERFLOW
        );
        RtlInitEmptyUnicodeString(&mut wide, units.as_mut_ptr(), 14);
        assert_eq!(
            RtlAnsiStringToUnicodeString(&mut wide, &source, 0),
            STATUS_SUCCESS
        );
        let mut bytes = [0x55_i8; 4];
        RtlInitEmptyAnsiString(&mut back, bytes.as_mut_ptr(), 4);
        assert_eq!(
            RtlUnicodeStringToAnsiString(&mut back, &wide, 0),
            STATUS_BUFFER_OVERFLOW
        );
        assert_eq!(
            (
                back.Length,
                CStr::from_ptr(bytes.as_ptr().cast()).to_bytes()
            ),
            (3, &b"Gr\xFC"[..])
        );

        kernel.fail_nth_allocation(1);
        assert_eq!(
            RtlAnsiStringToUnicodeString(&mut wide, &source, 1),
            STATUS_NO_MEMORY
        );
    }
    kernel.shutdown();
}

#[test]
fn counted_strings_over_others() {
    let kernel = Kernel::boot();
    let long = vec![b'a'; 70_000];
    let long = [long.as_slice(), &[0]].concat();
    let wide: Vec<u16> = long.iter().map(|byte| u16::from(*byte)).collect();
    let (mut bytes, mut units) = (STRING::default(), UNICODE_STRING::default());
    // SAFETY: the texts end with a zero.
    unsafe {
        assert_eq!(
            RtlInitAnsiStringEx(&mut bytes, long.as_ptr().cast()),
            STATUS_NAME_TOO_LONG
        );
        assert_eq!(
            RtlInitUnicodeStringEx(&mut units, wide.as_ptr()),
            STATUS_NAME_TOO_LONG
        );
        RtlInitString(&mut bytes, long.as_ptr().cast());
        assert_eq!(bytes.Length, 0xFFFE);
        assert_eq!(
            RtlInitAnsiStringEx(&mut bytes, c"abc".as_ptr().cast()),
            STATUS_SUCCESS
        );
        assert_eq!((bytes.Length, bytes.MaximumLength), (3, 4));
        assert_eq!(
            RtlInitUnicodeStringEx(&mut units, wide[69_997..].as_ptr()),
            STATUS_SUCCESS
        );
        assert_eq!((text(&units).as_str(), units.MaximumLength), ("aaa", 8));
        assert_eq!(
            RtlInitUnicodeStringEx(&mut units, ptr::null()),
            STATUS_SUCCESS
        );
        assert_eq!((units.Length, units.MaximumLength), (0, 0));

        let mut room = [0xAAAA_u16; 4];
        let mut copy = UNICODE_STRING {
            Length: 0,
            MaximumLength: 8,
            Buffer: room.as_mut_ptr(),
        };
        RtlCopyUnicodeString(&mut copy, &RTL_CONSTANT_STRING!("abc"));
        assert_eq!((text(&copy).as_str(), room[3]), ("abc", 0));
        RtlCopyUnicodeString(&mut copy, &RTL_CONSTANT_STRING!("abcdef"));
        assert_eq!(text(&copy), "abcd");
        RtlCopyUnicodeString(&mut copy, ptr::null());
        assert_eq!(copy.Length, 0);
    }
    kernel.shutdown();
}

#[test]
fn utf_8_becomes_utf_16() {
    let kernel = Kernel::boot();
    let convert = |source: &[u8], room: usize| {
        let mut units = vec![0_u16; room];
        let mut bytes = 0;
        // SAFETY: the memory is there.
        let status = unsafe {
            RtlUTF8ToUnicodeN(
                units.as_mut_ptr(),
                room as u32 * 2,
                &mut bytes,
                source.as_ptr().cast(),
                source.len() as u32,
            )
        };
        (
            status,
            String::from_utf16_lossy(&units[..bytes as usize / 2]),
        )
    };
    assert_eq!(
        convert("aß€😀".as_bytes(), 8),
        (STATUS_SUCCESS, "aß€😀".to_owned())
    );
    assert_eq!(
        convert("aß€😀".as_bytes(), 4),
        (STATUS_BUFFER_TOO_SMALL, "aß€".to_owned())
    );
    assert_eq!(
        convert(b"a\xFFb", 8),
        (STATUS_SOME_NOT_MAPPED, "a\u{FFFD}b".to_owned())
    );
    let mut bytes = 0;
    // SAFETY: only the length is asked for.
    let status =
        unsafe { RtlUTF8ToUnicodeN(ptr::null_mut(), 0, &mut bytes, "€😀".as_ptr().cast(), 7) };
    assert_eq!((status, bytes), (STATUS_SUCCESS, 6));
    kernel.shutdown();
}

#[test]
fn strings_that_are_freed_wrongly() {
    expect_bugcheck("BAD_POOL_CALLER", || {
        let _kernel = Kernel::boot();
        let mut units = [0_u16; 4];
        let mut string = UNICODE_STRING {
            Length: 0,
            MaximumLength: 8,
            Buffer: units.as_mut_ptr(),
        };
        // SAFETY: breaks the rule; the kernel knows that the memory isn't pool.
        unsafe { RtlFreeUnicodeString(&mut string) };
    });
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut wide = UNICODE_STRING::default();
        // SAFETY: breaks the rule; the kernel looks at the level first.
        let _ = at_irql(DISPATCH_LEVEL, || unsafe {
            RtlAnsiStringToUnicodeString(&mut wide, &ansi(c"a"), 1)
        });
    })
    .tells("RtlAnsiStringToUnicodeString may be called at IRQL <= PASSIVE_LEVEL only");
}

// Addresses.

fn v4(address: &str) -> IN_ADDR {
    // SAFETY: an address is four bytes in network order.
    unsafe { core::mem::transmute(address.parse::<Ipv4Addr>().unwrap().octets()) }
}

fn v6(address: &str) -> IN6_ADDR {
    // SAFETY: an address is sixteen bytes in network order.
    unsafe { core::mem::transmute(address.parse::<Ipv6Addr>().unwrap().octets()) }
}

fn bytes4(address: IN_ADDR) -> Ipv4Addr {
    // SAFETY: an address is four bytes in network order.
    Ipv4Addr::from(unsafe { core::mem::transmute::<IN_ADDR, [u8; 4]>(address) })
}

fn bytes6(address: IN6_ADDR) -> Ipv6Addr {
    // SAFETY: an address is sixteen bytes in network order.
    Ipv6Addr::from(unsafe { core::mem::transmute::<IN6_ADDR, [u8; 16]>(address) })
}

#[test]
fn addresses_become_text() {
    let kernel = Kernel::boot();
    let mut bytes = [0x55_i8; 66];
    let mut units = [0x5555_u16; 66];
    let said = |bytes: &[i8]| {
        let bytes: Vec<u8> = bytes.iter().map(|byte| byte.cast_unsigned()).collect();
        CStr::from_bytes_until_nul(&bytes)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    // SAFETY: there is room for every text.
    unsafe {
        let end = RtlIpv4AddressToStringA(&v4("192.0.2.1"), bytes.as_mut_ptr());
        assert_eq!(
            (said(&bytes).as_str(), end.offset_from(bytes.as_ptr())),
            ("192.0.2.1", 9)
        );
        let end = RtlIpv4AddressToStringW(&v4("192.0.2.1"), units.as_mut_ptr());
        assert_eq!(
            (
                String::from_utf16_lossy(&units[..9]).as_str(),
                end.offset_from(units.as_ptr())
            ),
            ("192.0.2.1", 9)
        );
        for (address, expected) in [
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("::192.0.2.1", "::192.0.2.1"),
            ("fe80::5efe:192.0.2.1", "fe80::5efe:192.0.2.1"),
            ("::1", "::1"),
            ("::", "::"),
        ] {
            RtlIpv6AddressToStringA(&v6(address), bytes.as_mut_ptr());
            assert_eq!(said(&bytes), expected);
        }
        let mut length = 66;
        assert_eq!(
            RtlIpv4AddressToStringExA(
                &v4("192.0.2.1"),
                80_u16.to_be(),
                bytes.as_mut_ptr(),
                &mut length
            ),
            STATUS_SUCCESS
        );
        assert_eq!((said(&bytes).as_str(), length), ("192.0.2.1:80", 13));
        let mut length = 66;
        assert_eq!(
            RtlIpv6AddressToStringExA(
                &v6("fe80::1"),
                3,
                80_u16.to_be(),
                bytes.as_mut_ptr(),
                &mut length
            ),
            STATUS_SUCCESS
        );
        assert_eq!((said(&bytes).as_str(), length), ("[fe80::1%3]:80", 15));
        let mut length = 12;
        assert_eq!(
            RtlIpv4AddressToStringExW(
                &v4("192.0.2.1"),
                80_u16.to_be(),
                units.as_mut_ptr(),
                &mut length
            ),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(length, 13);
    }
    kernel.shutdown();
}

#[test]
fn text_becomes_addresses() {
    let kernel = Kernel::boot();
    let read4 = |text: &CStr, strict: u8| {
        let (mut end, mut address) = (ptr::null(), IN_ADDR::default());
        // SAFETY: the text ends with a zero.
        let status = unsafe {
            RtlIpv4StringToAddressA(text.as_ptr().cast(), strict, &mut end, &mut address)
        };
        // SAFETY: the end lies in the text.
        let read = unsafe { end.offset_from(text.as_ptr().cast()) };
        (
            status.is_success().then(|| bytes4(address).to_string()),
            read,
        )
    };
    let some = |address: &str| Some(address.to_owned());
    assert_eq!(read4(c"192.0.2.1 and more", 1), (some("192.0.2.1"), 9));
    assert_eq!(read4(c"192.0.2", 1).0, None);
    assert_eq!(read4(c"192.0.2.256", 1).0, None);
    assert_eq!(read4(c"192.513", 0), (some("192.0.2.1"), 7));
    assert_eq!(read4(c"0xC0.0.02.1", 0), (some("192.0.2.1"), 11));
    assert_eq!(read4(c"nothing", 0), (None, 0));
    let wide: Vec<u16> = "[2001:db8::1%7]:443\0".encode_utf16().collect();
    let (mut address, mut scope, mut port) = (IN6_ADDR::default(), 0, 0);
    // SAFETY: the texts end with a zero.
    unsafe {
        assert_eq!(
            RtlIpv6StringToAddressExW(wide.as_ptr(), &mut address, &mut scope, &mut port),
            STATUS_SUCCESS
        );
        assert_eq!(
            (
                bytes6(address).to_string().as_str(),
                scope,
                u16::from_be(port)
            ),
            ("2001:db8::1", 7, 443)
        );
        let mut v4 = IN_ADDR::default();
        assert_eq!(
            RtlIpv4StringToAddressExA(c"192.0.2.1:80".as_ptr().cast(), 1, &mut v4, &mut port),
            STATUS_SUCCESS
        );
        assert_eq!(
            (bytes4(v4).to_string().as_str(), u16::from_be(port)),
            ("192.0.2.1", 80)
        );
        for wrong in [c"192.0.2.1:", c"192.0.2.1:99999", c"192.0.2.1 "] {
            assert_eq!(
                RtlIpv4StringToAddressExA(wrong.as_ptr().cast(), 1, &mut v4, &mut port),
                STATUS_INVALID_PARAMETER,
                "{wrong:?}"
            );
        }
        let mut end = ptr::null();
        let text = c"2001:db8::1/64";
        assert_eq!(
            RtlIpv6StringToAddressA(text.as_ptr().cast(), &mut end, &mut address),
            STATUS_SUCCESS
        );
        assert_eq!(end.offset_from(text.as_ptr().cast()), 11);
        assert_eq!(
            RtlIpv6StringToAddressA(c"x".as_ptr().cast(), &mut end, &mut address),
            STATUS_INVALID_PARAMETER
        );
    }
    kernel.shutdown();
}

// What runs once.

static RUNS: AtomicU32 = AtomicU32::new(0);

unsafe extern "system" fn initialises(
    _: *mut RTL_RUN_ONCE,
    parameter: *mut c_void,
    context: *mut *mut c_void,
) -> u32 {
    RUNS.fetch_add(1, Ordering::SeqCst);
    std::thread::sleep(std::time::Duration::from_millis(2));
    // SAFETY: the kernel gives the place.
    unsafe { context.write(parameter) };
    u32::from(!parameter.is_null())
}

#[test]
fn what_runs_once_runs_once() {
    let kernel = Kernel::boot();
    let once = AtomicU32::new(0).into_inner();
    assert_eq!(once, 0);
    let place = Box::into_raw(Box::new(RTL_RUN_ONCE {
        Ptr: ptr::null_mut(),
    })) as usize;
    let run = |parameter: usize| {
        let mut made = ptr::null_mut();
        // SAFETY: the structure stays, and is initialised.
        let status = unsafe {
            RtlRunOnceExecuteOnce(
                place as *mut RTL_RUN_ONCE,
                Some(initialises),
                parameter as *mut c_void,
                &mut made,
            )
        };
        (status, made as usize)
    };
    // One that fails may be tried again.
    assert_eq!(run(0).0, STATUS_UNSUCCESSFUL);
    RUNS.store(0, Ordering::SeqCst);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(run(0x40), (STATUS_SUCCESS, 0x40)));
        }
    });
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
    // SAFETY: the structure stays.
    unsafe {
        let place = place as *mut RTL_RUN_ONCE;
        let mut made = ptr::null_mut();
        assert_eq!(
            RtlRunOnceBeginInitialize(place, RTL_RUN_ONCE_CHECK_ONLY, &mut made),
            STATUS_SUCCESS
        );
        RtlRunOnceInitialize(place);
        assert_eq!(
            RtlRunOnceBeginInitialize(place, RTL_RUN_ONCE_CHECK_ONLY, &mut made),
            STATUS_UNSUCCESSFUL
        );
        assert_eq!(
            RtlRunOnceBeginInitialize(place, 0, &mut made),
            STATUS_PENDING
        );
        assert_eq!(
            RtlRunOnceComplete(place, RTL_RUN_ONCE_INIT_FAILED, ptr::null_mut()),
            STATUS_SUCCESS
        );
        assert_eq!(
            RtlRunOnceBeginInitialize(place, RTL_RUN_ONCE_ASYNC, &mut made),
            STATUS_PENDING
        );
        assert_eq!(
            RtlRunOnceBeginInitialize(place, RTL_RUN_ONCE_ASYNC, &mut made),
            STATUS_PENDING
        );
        assert_eq!(
            RtlRunOnceComplete(place, RTL_RUN_ONCE_ASYNC, 0x80 as *mut c_void),
            STATUS_SUCCESS
        );
        assert_eq!(
            RtlRunOnceComplete(place, RTL_RUN_ONCE_ASYNC, 0xC0 as *mut c_void),
            STATUS_OBJECT_NAME_COLLISION
        );
        assert_eq!(
            RtlRunOnceBeginInitialize(place, 0, &mut made),
            STATUS_SUCCESS
        );
        assert_eq!(made as usize, 0x80);
    }
    kernel.shutdown();
}

#[test]
fn initialisation_that_breaks_its_rules() {
    unsafe extern "system" fn again(
        once: *mut RTL_RUN_ONCE,
        _: *mut c_void,
        _: *mut *mut c_void,
    ) -> u32 {
        // SAFETY: breaks the rule; the kernel knows who runs the initialisation.
        let _ =
            unsafe { RtlRunOnceExecuteOnce(once, Some(again), ptr::null_mut(), ptr::null_mut()) };
        1
    }
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut once = RTL_RUN_ONCE {
            Ptr: ptr::null_mut(),
        };
        // SAFETY: the structure is initialised.
        let _ = unsafe {
            RtlRunOnceExecuteOnce(&mut once, Some(again), ptr::null_mut(), ptr::null_mut())
        };
    })
    .tells("(0x1000,");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut once = RTL_RUN_ONCE {
            Ptr: ptr::null_mut(),
        };
        // SAFETY: the structure is initialised; what is made breaks the rule.
        let _ = unsafe {
            RtlRunOnceExecuteOnce(
                &mut once,
                Some(initialises),
                0x41 as *mut c_void,
                ptr::null_mut(),
            )
        };
    })
    .tells("its low two bits have to be zero");
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let mut once = RTL_RUN_ONCE {
            Ptr: ptr::null_mut(),
        };
        // SAFETY: breaks the rule; the kernel looks at the state.
        let _ = unsafe { RtlRunOnceComplete(&mut once, 0, ptr::null_mut()) };
    })
    .tells("was not begun");
}

// Trees.

unsafe extern "system" fn compare(
    _: *mut RTL_AVL_TABLE,
    one: *mut c_void,
    other: *mut c_void,
) -> RTL_GENERIC_COMPARE_RESULTS {
    // SAFETY: elements are numbers.
    match unsafe { (*one.cast::<u32>()).cmp(&*other.cast::<u32>()) } {
        core::cmp::Ordering::Less => RTL_GENERIC_COMPARE_RESULTS::GenericLessThan,
        core::cmp::Ordering::Greater => RTL_GENERIC_COMPARE_RESULTS::GenericGreaterThan,
        core::cmp::Ordering::Equal => RTL_GENERIC_COMPARE_RESULTS::GenericEqual,
    }
}

unsafe extern "system" fn allocate(_: *mut RTL_AVL_TABLE, bytes: u32) -> *mut c_void {
    pool(bytes as usize)
}

unsafe extern "system" fn free(_: *mut RTL_AVL_TABLE, block: *mut c_void) {
    // SAFETY: the tree frees what it allocated.
    unsafe { ExFreePool(block) };
}

#[test]
fn trees_keep_their_elements_in_order() {
    let kernel = Kernel::boot();
    let mut table = Box::new(RTL_AVL_TABLE::default());
    let table: *mut RTL_AVL_TABLE = &mut *table;
    // SAFETY: the tree is initialised, and used by this thread.
    unsafe {
        RtlInitializeGenericTableAvl(
            table,
            Some(compare),
            Some(allocate),
            Some(free),
            ptr::null_mut(),
        );
        assert_eq!(RtlIsGenericTableEmptyAvl(table), 1);
        let number = |element: *mut c_void| (!element.is_null()).then(|| *element.cast::<u32>());
        for mut value in (0..100_u32).map(|value| value * 37 % 100) {
            let mut new = 0;
            let element =
                RtlInsertElementGenericTableAvl(table, (&raw mut value).cast(), 4, &mut new);
            assert_eq!((number(element), new), (Some(value), 1));
        }
        let mut value = 50_u32;
        let mut new = 7;
        let there = RtlInsertElementGenericTableAvl(table, (&raw mut value).cast(), 4, &mut new);
        assert_eq!(
            (there, new),
            (
                RtlLookupElementGenericTableAvl(table, (&raw mut value).cast()),
                0
            )
        );
        assert_eq!(
            (
                RtlNumberGenericTableElementsAvl(table),
                (*table).DepthOfTree
            ),
            (100, 7)
        );
        for index in 0..100 {
            assert_eq!(
                number(RtlGetElementGenericTableAvl(table, index)),
                Some(index)
            );
        }
        assert_eq!(number(RtlGetElementGenericTableAvl(table, 100)), None);
        // Enumerating, and deleting meanwhile.
        let mut seen = Vec::new();
        let mut element = RtlEnumerateGenericTableAvl(table, 1);
        while let Some(mut value) = number(element) {
            seen.push(value);
            if value % 2 == 0 {
                assert_eq!(
                    RtlDeleteElementGenericTableAvl(table, (&raw mut value).cast()),
                    1
                );
            }
            element = RtlEnumerateGenericTableAvl(table, 0);
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        assert_eq!(
            RtlDeleteElementGenericTableAvl(table, (&raw mut value).cast()),
            0
        );
        while let Some(mut first) = number(RtlGetElementGenericTableAvl(table, 0)) {
            assert_eq!(
                RtlDeleteElementGenericTableAvl(table, (&raw mut first).cast()),
                1
            );
        }
        kernel.fail_nth_allocation(1);
        assert!(
            RtlInsertElementGenericTableAvl(table, (&raw mut value).cast(), 4, &mut new).is_null()
        );
        assert_eq!(new, 0);
    }
    kernel.shutdown();
}

#[test]
fn trees_that_are_none() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let table = pool(size_of::<RTL_AVL_TABLE>());
        // SAFETY: breaks the rule; fresh pool is no tree.
        unsafe { RtlNumberGenericTableElementsAvl(table.cast()) };
    })
    .tells("isn't an initialised RTL_AVL_TABLE");
    expect_bugcheck("KERNEL_SECURITY_CHECK_FAILURE", || {
        let _kernel = Kernel::boot();
        let mut table = Box::new(RTL_AVL_TABLE::default());
        let table: *mut RTL_AVL_TABLE = &mut *table;
        // SAFETY: breaks the rule; the tree says other than its links.
        unsafe {
            RtlInitializeGenericTableAvl(
                table,
                Some(compare),
                Some(allocate),
                Some(free),
                ptr::null_mut(),
            );
            (*table).NumberGenericTableElements = 3;
            RtlIsGenericTableEmptyAvl(table);
        }
    })
    .tells("whose links were overwritten");
}
