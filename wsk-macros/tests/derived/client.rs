//! Tables made from implementations: which entries they have, and what the methods receive when C calls them.

use core::ptr::NonNull;
use core::{cell::RefCell, ffi::c_void, ptr};

use crate::tables::{
    CMSGHDR, NTSTATUS, SOCKADDR, WSK_INSPECT_ACTION, WSK_SOCKET,
    client::{
        SAL_CLIENT_DISPATCH, SalClientDispatchEvents, WSK_CLIENT_DISPATCH,
        WSK_CLIENT_LISTEN_DISPATCH, WSK_CLIENT_STREAM_DISPATCH, WskClientDispatchEvents,
        WskClientListenDispatchEvents, WskClientStreamDispatchEvents, sal_client_dispatch_table,
        wsk_client_dispatch_table, wsk_client_listen_dispatch_table,
        wsk_client_stream_dispatch_table,
    },
};
use wsk_macros::dispatch_events;

thread_local! {
    /// The calls of the methods below, as text.
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn see(what: String) {
    SEEN.with_borrow_mut(|seen| seen.push(what));
}

fn address<T>(pointer: Option<NonNull<T>>) -> usize {
    pointer.map_or(0, |pointer| pointer.addr().get())
}

fn extent<T>(buffer: Option<NonNull<[T]>>) -> Option<(usize, usize)> {
    buffer.map(|buffer| (buffer.addr().get(), buffer.len()))
}

/// A pointer that the methods only pass on and never dereference.
fn at<T>(address: usize) -> *mut T {
    ptr::without_provenance_mut(address)
}

struct Everything;

// SAFETY: no pointer is dereferenced or kept.
#[dispatch_events]
unsafe impl WskClientDispatchEvents for Everything {
    const VERSION: u16 = 0x0100;

    unsafe fn wsk_client_event(
        client_context: Option<NonNull<c_void>>,
        event_type: u32,
        information: Option<NonNull<[u8]>>,
    ) -> NTSTATUS {
        see(format!(
            "{:x} {event_type} {:x?}",
            address(client_context),
            extent(information)
        ));
        NTSTATUS(-1)
    }
}

// SAFETY: no pointer is dereferenced or kept.
#[dispatch_events]
unsafe impl WskClientListenDispatchEvents for Everything {
    unsafe fn wsk_accept_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
        local_address: NonNull<SOCKADDR>,
        remote_address: NonNull<SOCKADDR>,
        accept_socket: Option<NonNull<WSK_SOCKET>>,
        accept_socket_context: NonNull<*mut c_void>,
        accept_socket_dispatch: NonNull<*const WSK_CLIENT_DISPATCH>,
    ) -> NTSTATUS {
        // SAFETY: the caller below gives places for both.
        unsafe {
            accept_socket_context.write(at(0x77));
            accept_socket_dispatch.write(wsk_client_dispatch_table::<Self>());
        }
        see(format!(
            "{:x} {flags} {local_address:?} {remote_address:?} {:x}",
            address(socket_context),
            address(accept_socket)
        ));
        NTSTATUS(0)
    }

    unsafe fn wsk_inspect_event(
        _: Option<NonNull<c_void>>,
        _: NonNull<SOCKADDR>,
    ) -> WSK_INSPECT_ACTION {
        WSK_INSPECT_ACTION(1)
    }
}

struct Less;

// SAFETY: no pointer is dereferenced or kept.
#[dispatch_events]
unsafe impl WskClientDispatchEvents for Less {
    const VERSION: u16 = 7;
}

// SAFETY: no pointer is dereferenced or kept.
#[dispatch_events]
unsafe impl WskClientListenDispatchEvents for Less {
    unsafe fn wsk_inspect_event(
        _: Option<NonNull<c_void>>,
        local_address: NonNull<SOCKADDR>,
    ) -> WSK_INSPECT_ACTION {
        see(format!("{local_address:?}"));
        WSK_INSPECT_ACTION(2)
    }

    #[cfg(any())]
    unsafe fn wsk_accept_event(never: compiled) {}
}

// SAFETY: both tables are of the kinds that a stream socket needs.
#[dispatch_events]
unsafe impl WskClientStreamDispatchEvents for Less {
    const LISTEN: Option<&'static WSK_CLIENT_LISTEN_DISPATCH> =
        Some(wsk_client_listen_dispatch_table::<Everything>());
}

// The tables are constants.
static EVERYTHING: &WSK_CLIENT_DISPATCH = wsk_client_dispatch_table::<Everything>();
static LESS: &WSK_CLIENT_DISPATCH = wsk_client_dispatch_table::<Less>();

#[test]
fn present_methods_are_entries_and_absent_ones_null() {
    assert_eq!((EVERYTHING.Version, EVERYTHING.Reserved), (0x0100, 0));
    assert!(EVERYTHING.WskClientEvent.is_some());
    assert_eq!((LESS.Version, LESS.Reserved), (7, 0));
    assert!(LESS.WskClientEvent.is_none());

    let everything = wsk_client_listen_dispatch_table::<Everything>();
    assert!(everything.WskAcceptEvent.is_some() && everything.WskInspectEvent.is_some());
    let less = wsk_client_listen_dispatch_table::<Less>();
    assert!(less.WskAcceptEvent.is_none() && less.WskInspectEvent.is_some());
}

#[test]
fn inner_tables_are_pointers_or_null() {
    let table: &WSK_CLIENT_STREAM_DISPATCH = wsk_client_stream_dispatch_table::<Less>();
    assert!(table.Connect.is_null());
    // SAFETY: not null, so it is the table of `Everything`.
    let listen = unsafe { table.Listen.as_ref() }.unwrap();
    assert!(listen.WskAcceptEvent.is_some());
}

#[test]
fn callbacks_get_contexts_and_counted_buffers() {
    let event = EVERYTHING.WskClientEvent.unwrap();
    // SAFETY: the method follows no pointer.
    let statuses = unsafe {
        [
            event(at(0x10), 2, at(0x20), 5),
            event(ptr::null_mut(), 3, at(0x20), 0),
            event(ptr::null_mut(), 4, ptr::null_mut(), 0),
            event(ptr::null_mut(), 5, ptr::null_mut(), 9),
        ]
    };
    assert_eq!(statuses, [NTSTATUS(-1); 4]);
    assert_eq!(
        SEEN.take(),
        [
            "10 2 Some((20, 5))",
            "0 3 Some((20, 0))",
            "0 4 None",
            "0 5 None"
        ]
    );
}

#[test]
fn callbacks_write_through_their_pointers_and_return() {
    let accept = wsk_client_listen_dispatch_table::<Everything>()
        .WskAcceptEvent
        .unwrap();
    let mut context = ptr::null_mut();
    let mut dispatch = ptr::null();
    // SAFETY: the method writes to the two places and follows nothing else.
    let status = unsafe {
        accept(
            at(0x10),
            3,
            at(0x20),
            at(0x30),
            ptr::null_mut(),
            &raw mut context,
            &raw mut dispatch,
        )
    };
    assert_eq!(status, NTSTATUS(0));
    assert_eq!(context.addr(), 0x77);
    // SAFETY: the method wrote the table of `Everything`.
    assert_eq!(unsafe { dispatch.as_ref() }.unwrap().Version, 0x0100);
    assert_eq!(SEEN.take(), ["10 3 0x20 0x30 0"]);

    let inspect = wsk_client_listen_dispatch_table::<Less>()
        .WskInspectEvent
        .unwrap();
    // SAFETY: the method follows no pointer.
    let action = unsafe { inspect(ptr::null_mut(), at(0x40)) };
    assert_eq!(action, WSK_INSPECT_ACTION(2));
    assert_eq!(SEEN.take(), ["0x40"]);
}

/// Generic over a type of the driver, like the layer above.
struct Generic<T>(T);

// SAFETY: no pointer is dereferenced or kept.
#[dispatch_events]
unsafe impl<T> SalClientDispatchEvents for Generic<T> {
    unsafe fn pointers(
        r#in: NonNull<u32>,
        inout: NonNull<u32>,
        out_opt: Option<NonNull<u32>>,
        in_opt: Option<NonNull<u32>>,
    ) {
        see(format!(
            "{} {in:?} {inout:?} {:x} {:x}",
            size_of::<T>(),
            address(out_opt),
            address(in_opt),
            in = r#in,
        ));
    }

    unsafe fn buffers(
        r#in: NonNull<[u32]>,
        out: Option<NonNull<[u32]>>,
        bytes: NonNull<[u8]>,
        more_bytes: Option<NonNull<[u8]>>,
        e: Option<NonNull<u32>>,
        indirect: Option<NonNull<CMSGHDR>>,
    ) -> u64 {
        see(format!(
            "{:x?} {:x?} {:x?} {:x?} {:x} {:x}",
            extent(Some(r#in)),
            extent(out),
            extent(Some(bytes)),
            extent(more_bytes),
            address(e),
            address(indirect),
        ));
        u64::MAX
    }
}

#[test]
fn every_annotation_reaches_the_method() {
    let table: &SAL_CLIENT_DISPATCH = sal_client_dispatch_table::<Generic<[u8; 3]>>();
    let (pointers, buffers) = (table.Pointers.unwrap(), table.Buffers.unwrap());
    // SAFETY: the methods do not dereference pointers.
    let result = unsafe {
        pointers(at(4), at(8), ptr::null_mut(), at(12), 5, at(6));
        pointers(at(4), at(8), at(16), ptr::null(), 5, at(6));
        buffers(
            at(4),
            255,
            at(8),
            2,
            at(16),
            u32::MAX,
            at(24),
            4,
            at(32),
            at(40),
        );
        buffers(
            at(4),
            0,
            ptr::null_mut(),
            0,
            at(16),
            0,
            ptr::null_mut(),
            0,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    assert_eq!(result, u64::MAX);
    assert_eq!(
        SEEN.take(),
        [
            "3 0x4 0x8 0 c",
            "3 0x4 0x8 10 0",
            "Some((4, ff)) Some((8, 2)) Some((10, ffffffff)) Some((18, 4)) 20 28",
            "Some((4, 0)) None Some((10, 0)) None 0 0",
        ]
    );
}
