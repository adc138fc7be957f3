//! Datagrams that come as events, and one that a callback has kept.

use core::ffi::c_void;
use core::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use wsk_sys::*;

use super::{Buffer, Callbacks, Client, Socket, wait_until};

/// A socket to which a datagram comes.
///
/// # Safety
///
/// The callback doesn't look at its context.
pub unsafe fn socket_with_events(table: &'static WSK_CLIENT_DATAGRAM_DISPATCH) -> Socket {
    let client = Client::new();
    // SAFETY: the caller says so.
    let callbacks = unsafe { Callbacks::new(&(), table) };
    let socket = client.socket_with(AF_INET, callbacks);
    assert_eq!(socket.bind("127.0.0.1:0".parse().unwrap()), STATUS_SUCCESS);
    assert_eq!(socket.events(WSK_EVENT_RECEIVE_FROM), STATUS_SUCCESS);
    let buffer = Buffer::of(b"x");
    assert_eq!(
        socket.send(&buffer, Some(socket.local().unwrap())).0,
        STATUS_SUCCESS
    );
    socket
}

/// A socket, and the list of one datagram that its callback has retained.
pub fn retained_indication() -> (Socket, *mut WSK_DATAGRAM_INDICATION) {
    static LIST: AtomicPtr<WSK_DATAGRAM_INDICATION> = AtomicPtr::new(ptr::null_mut());
    unsafe extern "system" fn keeps(
        _context: *mut c_void,
        _flags: u32,
        list: *mut WSK_DATAGRAM_INDICATION,
    ) -> NTSTATUS {
        LIST.store(list, Ordering::SeqCst);
        STATUS_PENDING
    }
    static TABLE: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
        WskReceiveFromEvent: Some(keeps),
    };
    LIST.store(ptr::null_mut(), Ordering::SeqCst);
    // SAFETY: the callback has no use for a context.
    let socket = unsafe { socket_with_events(&TABLE) };
    wait_until("an indication", || !LIST.load(Ordering::SeqCst).is_null());
    (socket, LIST.load(Ordering::SeqCst))
}
