//! Calls of dispatch tables through the typed wrappers. `raw.rs` has the same calls by hand.

use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, IRP, NTSTATUS, SOCKADDR, STATUS_BUFFER_OVERFLOW, STATUS_NOT_IMPLEMENTED,
    STATUS_NOT_SUPPORTED, WSK_BUF, WSK_PROVIDER_DATAGRAM_DISPATCH, WSK_SOCKET,
    WskProviderDatagramDispatch,
};

fn status(result: Result<NTSTATUS, DispatchError>) -> NTSTATUS {
    match result {
        Ok(status) => status,
        Err(DispatchError::Absent { .. }) => STATUS_NOT_IMPLEMENTED,
        Err(DispatchError::TooLong { .. }) => STATUS_BUFFER_OVERFLOW,
        Err(_) => STATUS_NOT_SUPPORTED,
    }
}

/// `WskSendTo` without control information.
///
/// # Safety
///
/// The caller keeps the contract of `WskSendTo`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn send_to(
    table: NonNull<WSK_PROVIDER_DATAGRAM_DISPATCH>,
    socket: NonNull<WSK_SOCKET>,
    buffer: NonNull<WSK_BUF>,
    address: Option<NonNull<SOCKADDR>>,
    irp: NonNull<IRP>,
) -> NTSTATUS {
    // SAFETY: the caller vouches for the table and the call.
    unsafe {
        let table = WskProviderDatagramDispatch::new(table, 0);
        status(table.wsk_send_to(socket, buffer, address, None, irp))
    }
}

/// `WskSendTo` with control information.
///
/// # Safety
///
/// The caller keeps the contract of `WskSendTo`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn send_to_with_control(
    table: NonNull<WSK_PROVIDER_DATAGRAM_DISPATCH>,
    socket: NonNull<WSK_SOCKET>,
    buffer: NonNull<WSK_BUF>,
    address: Option<NonNull<SOCKADDR>>,
    control: NonNull<u8>,
    length: u32,
    irp: NonNull<IRP>,
) -> NTSTATUS {
    let control = NonNull::slice_from_raw_parts(control, length as usize);
    // SAFETY: the caller vouches for the table and the call.
    unsafe {
        let table = WskProviderDatagramDispatch::new(table, 0);
        status(table.wsk_send_to(socket, buffer, address, Some(control), irp))
    }
}
