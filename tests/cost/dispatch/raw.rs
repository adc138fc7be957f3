//! Handwritten calls of dispatch tables, as in driver code without the typed wrappers.

use core::ptr::{NonNull, null_mut};

use wsk_sys::{
    IRP, NTSTATUS, SOCKADDR, STATUS_NOT_IMPLEMENTED, WSK_BUF, WSK_PROVIDER_DATAGRAM_DISPATCH,
    WSK_SOCKET,
};

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
    let address = address.map_or(null_mut(), NonNull::as_ptr);
    // SAFETY: the caller vouches for the table and the call.
    unsafe {
        let Some(send_to) = (*table.as_ptr()).WskSendTo else {
            return STATUS_NOT_IMPLEMENTED;
        };
        send_to(
            socket.as_ptr(),
            buffer.as_ptr(),
            0,
            address,
            0,
            null_mut(),
            irp.as_ptr(),
        )
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
    let address = address.map_or(null_mut(), NonNull::as_ptr);
    // The documentation requires NULL if there is no control information.
    let control = if length == 0 {
        null_mut()
    } else {
        control.as_ptr().cast()
    };
    // SAFETY: the caller vouches for the table and the call.
    unsafe {
        let Some(send_to) = (*table.as_ptr()).WskSendTo else {
            return STATUS_NOT_IMPLEMENTED;
        };
        send_to(
            socket.as_ptr(),
            buffer.as_ptr(),
            0,
            address,
            length,
            control,
            irp.as_ptr(),
        )
    }
}
