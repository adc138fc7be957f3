//! What the methods derived for a provider's table pass to its functions, and when they pass nothing.

use core::{cell::RefCell, ffi::c_void, mem::offset_of, ptr::NonNull};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

use crate::tables::{
    CMSGHDR, IRP, NTSTATUS, SOCKADDR, WSK_SOCKET,
    provider::{
        SAL_PROVIDER_DISPATCH, SalProviderDispatch, WSK_PROVIDER_BASIC_DISPATCH,
        WSK_PROVIDER_DATAGRAM_DISPATCH, WSK_PROVIDER_DISPATCH, WskProviderDatagramDispatch,
        WskProviderDispatch,
    },
};
use wsk_sys::DispatchError;

const NEWEST: u32 = 0x0A00_000C;
/// An older Windows than `WskListen`, which exists since 0x0A000003.
const OLD: u32 = 0x0A00_0002;

thread_local! {
    /// The calls of the functions below: name and arguments, with pointers as addresses.
    static CALLS: RefCell<Vec<(&'static str, Vec<usize>)>> = const { RefCell::new(Vec::new()) };
}

fn record(name: &'static str, arguments: &[usize]) {
    CALLS.with_borrow_mut(|calls| calls.push((name, arguments.to_vec())));
}

fn calls() -> Vec<(&'static str, Vec<usize>)> {
    CALLS.take()
}

/// A pointer that the functions only pass on and never dereference.
fn at<T>(address: usize) -> NonNull<T> {
    NonNull::new(core::ptr::without_provenance_mut(address)).unwrap()
}

/// A buffer that the functions only pass on and never dereference, so that a buffer of any length needs no memory.
fn buffer<T>(address: usize, length: usize) -> NonNull<[T]> {
    NonNull::slice_from_raw_parts(at(address), length)
}

unsafe extern "system" fn control_socket(
    socket: *mut WSK_SOCKET,
    code: u32,
    input_size: usize,
    input: *mut c_void,
    output_size: usize,
    output: *mut c_void,
    returned: *mut usize,
    irp: *mut IRP,
) -> NTSTATUS {
    record(
        "WskControlSocket",
        &[
            socket.addr(),
            code as usize,
            input_size,
            input.addr(),
            output_size,
            output.addr(),
            returned.addr(),
            irp.addr(),
        ],
    );
    NTSTATUS(1)
}

unsafe extern "system" fn close_socket(socket: *mut WSK_SOCKET, irp: *mut IRP) -> NTSTATUS {
    record("WskCloseSocket", &[socket.addr(), irp.addr()]);
    NTSTATUS(2)
}

unsafe extern "system" fn send_to(
    socket: *mut WSK_SOCKET,
    buffer: *mut u8,
    flags: u32,
    address: *mut SOCKADDR,
    control_length: u32,
    control: *mut CMSGHDR,
    irp: *mut IRP,
) -> NTSTATUS {
    record(
        "WskSendTo",
        &[
            socket.addr(),
            buffer.addr(),
            flags as usize,
            address.addr(),
            control_length as usize,
            control.addr(),
            irp.addr(),
        ],
    );
    NTSTATUS(-3)
}

unsafe extern "system" fn receive_from(
    socket: *mut WSK_SOCKET,
    control_length: *mut u32,
    control: *mut CMSGHDR,
    flags: *mut u32,
    irp: *mut IRP,
) -> NTSTATUS {
    record(
        "WskReceiveFrom",
        &[
            socket.addr(),
            control_length.addr(),
            control.addr(),
            flags.addr(),
            irp.addr(),
        ],
    );
    NTSTATUS(0)
}

unsafe extern "system" fn listen(socket: *mut WSK_SOCKET, irp: *mut IRP) -> NTSTATUS {
    record("WskListen", &[socket.addr(), irp.addr()]);
    NTSTATUS(4)
}

const DATAGRAM: WSK_PROVIDER_DATAGRAM_DISPATCH = WSK_PROVIDER_DATAGRAM_DISPATCH {
    Basic: WSK_PROVIDER_BASIC_DISPATCH {
        WskControlSocket: Some(control_socket),
        WskCloseSocket: Some(close_socket),
    },
    WskSendTo: Some(send_to),
    WskReceiveFrom: Some(receive_from),
    WskListen: Some(listen),
};

fn datagram(
    table: &'static WSK_PROVIDER_DATAGRAM_DISPATCH,
    ntddi: u32,
) -> WskProviderDatagramDispatch {
    // SAFETY: the table is whole and never changes.
    unsafe { WskProviderDatagramDispatch::new(NonNull::from(table), ntddi) }
}

/// Sends with this address and control information. Returns the arguments that were passed for them.
fn send_with(address: Option<NonNull<SOCKADDR>>, control: Option<NonNull<[u8]>>) -> [usize; 3] {
    // SAFETY: `send_to` follows no pointer.
    let status = unsafe {
        datagram(&DATAGRAM, NEWEST).wsk_send_to(at(0x10), at(0x20), address, control, at(0x30))
    };
    assert_eq!(status, Ok(NTSTATUS(-3)));
    let [("WskSendTo", arguments)] = &calls()[..] else {
        panic!("one call of WskSendTo was expected");
    };
    let [0x10, 0x20, 0, address, length, control, 0x30] = arguments[..] else {
        panic!("wrong arguments: {arguments:x?}");
    };
    [address, length, control]
}

#[test]
fn optional_parameters_are_null_when_absent() {
    assert_eq!(send_with(None, None), [0, 0, 0]);
    assert_eq!(send_with(Some(at(0x40)), None), [0x40, 0, 0]);
    assert_eq!(send_with(None, Some(buffer(0x50, 24))), [0, 24, 0x50]);
}

#[test]
fn an_empty_optional_buffer_is_none() {
    assert_eq!(send_with(None, Some(buffer(0x50, 0))), [0, 0, 0]);
}

#[test]
fn the_longest_length_passes_and_the_next_does_not() {
    let longest = u32::MAX as usize;
    assert_eq!(
        send_with(None, Some(buffer(0x50, longest))),
        [0, longest, 0x50]
    );

    // SAFETY: nothing is called.
    let result = unsafe {
        datagram(&DATAGRAM, NEWEST).wsk_send_to(
            at(0x10),
            at(0x20),
            None,
            Some(buffer(0x50, longest + 1)),
            at(0x30),
        )
    };
    assert_eq!(
        result,
        Err(DispatchError::TooLong {
            entry: "WskSendTo",
            parameter: "ControlInfo",
            length: longest + 1,
        })
    );
    assert!(calls().is_empty());
}

#[test]
fn a_null_entry_is_absent() {
    static TABLE: WSK_PROVIDER_DATAGRAM_DISPATCH = WSK_PROVIDER_DATAGRAM_DISPATCH {
        WskSendTo: None,
        WskListen: None,
        ..DATAGRAM
    };
    let table = datagram(&TABLE, NEWEST);
    // SAFETY: nothing is called.
    let (send, listen) = unsafe {
        (
            table.wsk_send_to(at(0x10), at(0x20), None, None, at(0x30)),
            table.wsk_listen(at(0x10), at(0x30)),
        )
    };
    assert_eq!(send, Err(DispatchError::Absent { entry: "WskSendTo" }));
    assert_eq!(listen, Err(DispatchError::Absent { entry: "WskListen" }));
    assert!(calls().is_empty());
}

const TOO_NEW: DispatchError = DispatchError::TooNew {
    entry: "WskListen",
    since: 0x0A00_0003,
    running: OLD,
};

#[test]
fn a_newer_entry_is_called_from_its_version_on() {
    // SAFETY: `listen` follows no pointer.
    let [old, first] = unsafe {
        [OLD, 0x0A00_0003].map(|ntddi| datagram(&DATAGRAM, ntddi).wsk_listen(at(0x10), at(0x30)))
    };
    assert_eq!(old, Err(TOO_NEW));
    assert_eq!(first, Ok(NTSTATUS(4)));
    assert_eq!(calls(), [("WskListen", vec![0x10, 0x30])]);
}

/// Memory with exactly the older layout, so that valgrind, Miri or a sanitizer reports any access past it.
#[test]
fn an_older_table_is_not_read_past_its_end() {
    let size = offset_of!(WSK_PROVIDER_DATAGRAM_DISPATCH, WskListen);
    assert!(size < size_of::<WSK_PROVIDER_DATAGRAM_DISPATCH>());
    let layout =
        Layout::from_size_align(size, align_of::<WSK_PROVIDER_DATAGRAM_DISPATCH>()).unwrap();
    // SAFETY: the size isn't zero.
    let memory = unsafe { alloc(layout) };
    let Some(short) = NonNull::new(memory) else {
        handle_alloc_error(layout)
    };
    let whole = DATAGRAM;
    // SAFETY: both are `size` bytes, and do not overlap.
    unsafe {
        (&raw const whole)
            .cast::<u8>()
            .copy_to_nonoverlapping(short.as_ptr(), size);
    }

    // SAFETY: `short` has what a Windows of version `OLD` has, until the end of this function.
    let table = unsafe { WskProviderDatagramDispatch::new(short.cast(), OLD) };
    // SAFETY: the functions follow no pointer.
    let (listen, send, close) = unsafe {
        (
            table.wsk_listen(at(0x10), at(0x30)),
            table.wsk_send_to(at(0x10), at(0x20), None, None, at(0x30)),
            table.basic().wsk_close_socket(at(0x10), at(0x30)),
        )
    };
    assert_eq!(listen, Err(TOO_NEW));
    assert_eq!(send, Ok(NTSTATUS(-3)));
    assert_eq!(close, Ok(NTSTATUS(2)));
    assert_eq!(calls().len(), 2);

    // SAFETY: allocated above with this layout, and not used any more.
    unsafe { dealloc(short.as_ptr(), layout) };
}

#[test]
fn the_base_table_is_where_the_table_begins() {
    let table = datagram(&DATAGRAM, NEWEST);
    let basic = table.basic();
    assert_eq!(basic.as_ptr().addr(), table.as_ptr().addr());

    // SAFETY: `control_socket` follows no pointer.
    let status = unsafe {
        basic.wsk_control_socket(
            at(0x10),
            7,
            Some(buffer(0x20, 4)),
            Some(buffer(0x30, usize::MAX)),
            Some(at(0x40)),
            None,
        )
    };
    assert_eq!(status, Ok(NTSTATUS(1)));
    // SAFETY: as above.
    let status = unsafe { basic.wsk_control_socket(at(0x10), 8, None, None, None, Some(at(0x50))) };
    assert_eq!(status, Ok(NTSTATUS(1)));
    assert_eq!(
        calls(),
        [
            (
                "WskControlSocket",
                vec![0x10, 7, 4, 0x20, usize::MAX, 0x30, 0x40, 0]
            ),
            ("WskControlSocket", vec![0x10, 8, 0, 0, 0, 0, 0, 0x50]),
        ]
    );
}

#[test]
fn a_count_behind_a_pointer_stays_the_callers() {
    let table = datagram(&DATAGRAM, NEWEST);
    // SAFETY: `receive_from` follows no pointer.
    unsafe {
        table
            .wsk_receive_from(at(0x10), at(0x20), Some(at::<CMSGHDR>(0x40)), at(0x30))
            .unwrap();
        table
            .wsk_receive_from(at(0x10), at(0x20), None, at(0x30))
            .unwrap();
    }
    assert_eq!(
        calls(),
        [
            ("WskReceiveFrom", vec![0x10, 0x20, 0x40, 0, 0x30]),
            ("WskReceiveFrom", vec![0x10, 0x20, 0, 0, 0x30]),
        ]
    );
}

#[test]
fn data_is_read_and_results_pass_through() {
    unsafe extern "system" fn get(name_space: u32, result: *mut *mut SOCKADDR) -> NTSTATUS {
        record("WskGetAddressInfo", &[name_space as usize, result.addr()]);
        NTSTATUS(5)
    }
    unsafe extern "system" fn free(info: *const SOCKADDR) {
        record("WskFreeAddressInfo", &[info.addr()]);
    }
    static TABLE: WSK_PROVIDER_DISPATCH = WSK_PROVIDER_DISPATCH {
        Version: 0x0102,
        Reserved: 0xFFFF,
        WskGetAddressInfo: Some(get),
        WskFreeAddressInfo: Some(free),
    };
    // SAFETY: the table is whole and never changes.
    let table = unsafe { WskProviderDispatch::new(NonNull::from(&TABLE), NEWEST) };
    assert_eq!(table.version(), 0x0102);
    // SAFETY: the functions follow no pointer.
    let (status, freed): (_, Result<(), _>) = unsafe {
        (
            table.wsk_get_address_info(9, at::<*mut SOCKADDR>(0x10)),
            table.wsk_free_address_info(at(0x20)),
        )
    };
    assert_eq!((status, freed), (Ok(NTSTATUS(5)), Ok(())));
    assert_eq!(
        calls(),
        [
            ("WskGetAddressInfo", vec![9, 0x10]),
            ("WskFreeAddressInfo", vec![0x20]),
        ]
    );
}

#[allow(clippy::many_single_char_names)] // as the tables have them
mod every_annotation {
    use super::*;

    unsafe extern "system" fn five(
        a: *const u32,
        b: *mut u32,
        c: *mut u32,
        d: *mut *mut u32,
        e: *mut *const u32,
    ) {
        record(
            "pointers",
            &[a.addr(), b.addr(), c.addr(), d.addr(), e.addr()],
        );
    }

    unsafe extern "system" fn counted<A, C: TryInto<usize>>(
        a: *const A,
        a_length: u8,
        b: *mut u32,
        b_length: u16,
        c: *mut u32,
        c_length: C,
    ) {
        record(
            "buffers",
            &[
                a.addr(),
                a_length.into(),
                b.addr(),
                b_length.into(),
                c.addr(),
                c_length.try_into().unwrap_or(usize::MAX),
            ],
        );
    }

    unsafe extern "system" fn values(
        a: u8,
        b: i64,
        c: *const u32,
        d: *mut c_void,
        e: u32,
        f: u64,
    ) -> u64 {
        record(
            "values",
            &[
                a.into(),
                usize::try_from(b).unwrap(),
                c.addr(),
                d.addr(),
                e as usize,
                usize::try_from(f).unwrap(),
            ],
        );
        u64::MAX
    }

    static TABLE: SAL_PROVIDER_DISPATCH = SAL_PROVIDER_DISPATCH {
        Required: Some(five),
        Optional: Some(five),
        Elements: Some(counted::<u32, u32>),
        OptionalElements: Some(counted::<u32, usize>),
        Bytes: Some(counted::<c_void, u32>),
        OptionalBytes: Some(counted::<c_void, usize>),
        Values: Some(values),
    };

    fn table() -> SalProviderDispatch {
        // SAFETY: the table is whole and never changes.
        unsafe { SalProviderDispatch::new(NonNull::from(&TABLE), NEWEST) }
    }

    fn one_call() -> Vec<usize> {
        let mut calls = calls();
        assert_eq!(calls.len(), 1);
        calls.remove(0).1
    }

    #[test]
    fn pointers() {
        // SAFETY: the functions follow no pointer.
        unsafe {
            table()
                .required(
                    at::<u32>(1),
                    at(2),
                    at(3),
                    at::<*mut u32>(8),
                    at::<*const u32>(16),
                )
                .unwrap();
        }
        assert_eq!(one_call(), [1, 2, 3, 8, 16]);
        // SAFETY: as above.
        unsafe {
            table()
                .optional(
                    Some(at(1)),
                    Some(at(2)),
                    Some(at(3)),
                    Some(at(8)),
                    Some(at(16)),
                )
                .unwrap();
        }
        assert_eq!(one_call(), [1, 2, 3, 8, 16]);
        // SAFETY: as above.
        unsafe { table().optional(None, None, None, None, None).unwrap() };
        assert_eq!(one_call(), [0, 0, 0, 0, 0]);
    }

    #[test]
    fn elements_are_counted_in_elements() {
        // SAFETY: the functions follow no pointer.
        unsafe {
            table()
                .elements(buffer::<u32>(4, 1), buffer(8, 2), buffer(12, 3))
                .unwrap();
        }
        assert_eq!(one_call(), [4, 1, 8, 2, 12, 3]);
        // SAFETY: as above.
        unsafe {
            table()
                .optional_elements(Some(buffer::<u32>(4, 255)), None, Some(buffer(12, 0)))
                .unwrap();
        }
        assert_eq!(one_call(), [4, 255, 0, 0, 0, 0]);
    }

    #[test]
    fn bytes_are_counted_in_bytes() {
        // SAFETY: the functions follow no pointer.
        unsafe {
            table()
                .bytes(buffer::<u8>(4, 1), buffer::<u8>(8, 2), buffer::<u8>(12, 3))
                .unwrap();
        }
        assert_eq!(one_call(), [4, 1, 8, 2, 12, 3]);
        // SAFETY: as above.
        unsafe {
            table()
                .optional_bytes(None, Some(buffer(8, 65535)), Some(buffer(12, usize::MAX)))
                .unwrap();
        }
        assert_eq!(one_call(), [0, 0, 8, 65535, 12, usize::MAX]);
    }

    #[test]
    fn a_required_empty_buffer_keeps_its_address() {
        // SAFETY: the functions follow no pointer.
        unsafe {
            table()
                .bytes(buffer(4, 0), buffer(8, 0), buffer(12, 0))
                .unwrap();
        }
        assert_eq!(one_call(), [4, 0, 8, 0, 12, 0]);
    }

    #[test]
    fn each_width_of_count_is_checked() {
        let too_long = |entry, parameter, length| {
            Err(DispatchError::TooLong {
                entry,
                parameter,
                length,
            })
        };
        // SAFETY: nothing is called.
        unsafe {
            assert_eq!(
                table().elements(buffer(4, 256), buffer(8, 0), buffer(12, 0)),
                too_long("Elements", "In", 256)
            );
            assert_eq!(
                table().optional_elements(None, Some(buffer(8, 65536)), None),
                too_long("OptionalElements", "Out", 65536)
            );
            assert_eq!(
                table().bytes(buffer(4, 1), buffer(8, 1), buffer(12, 1 << 32)),
                too_long("Bytes", "Inout", 1 << 32)
            );
        }
        assert!(calls().is_empty());
    }

    #[test]
    fn reserved_is_zero_and_values_pass() {
        // SAFETY: the functions follow no pointer.
        let result = unsafe { table().values(7, 1 << 40) };
        assert_eq!(result, Ok(u64::MAX));
        assert_eq!(one_call(), [0, 0, 0, 0, 7, 1 << 40]);
    }
}
