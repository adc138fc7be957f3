//! The functions of the provider that aren't about one socket: `WSK_PROVIDER_DISPATCH`.

use core::ffi::c_void;
use core::ptr;
use std::sync::atomic::Ordering;

use wsk_sys::{
    IRP, NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED,
    STATUS_SUCCESS, WSK_EVENT_CALLBACK_CONTROL, WSK_EVENT_DISABLE, WSK_PROVIDER_DISPATCH,
    WSK_SET_STATIC_EVENT_CALLBACKS, WSK_TRANSPORT, WSK_TRANSPORT_LIST_QUERY,
};

use super::connection;
use super::registration::{self, VERSION};
use super::request::{Request, Uses};
use super::{resolution, socket};
use crate::trace;

/// What `WskCaptureProviderNPI` gives out.
pub(crate) static PROVIDER_DISPATCH: WSK_PROVIDER_DISPATCH = WSK_PROVIDER_DISPATCH {
    Version: VERSION,
    Reserved: 0,
    WskSocket: Some(socket::WskSocket),
    WskSocketConnect: Some(connection::WskSocketConnect),
    WskControlClient: Some(WskControlClient),
    WskGetAddressInfo: Some(resolution::WskGetAddressInfo),
    WskFreeAddressInfo: Some(resolution::WskFreeAddressInfo),
    WskGetNameInfo: Some(resolution::WskGetNameInfo),
};

dispatched! {
    /// Carries out an operation on a client: `WSK_TRANSPORT_LIST_QUERY` and `WSK_SET_STATIC_EVENT_CALLBACKS`.
    fn WskControlClient(
        Client: *mut c_void,
        ControlCode: u32,
        InputSize: usize,
        InputBuffer: *mut c_void,
        OutputSize: usize,
        OutputBuffer: *mut c_void,
        OutputSizeReturned: *mut usize,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let client = registration::client("WskControlClient", Client);
        let (status, information) = match ControlCode {
            WSK_SET_STATIC_EVENT_CALLBACKS
                if InputSize >= size_of::<WSK_EVENT_CALLBACK_CONTROL>()
                    && !InputBuffer.is_null() =>
            {
                if client.sockets.load(Ordering::SeqCst) > 0 {
                    // Documented: it has to be done before the first socket is made.
                    (wsk_sys::STATUS_INVALID_DEVICE_STATE, 0)
                } else {
                    // SAFETY: the driver gives as many bytes.
                    let mask =
                        unsafe { (*InputBuffer.cast::<WSK_EVENT_CALLBACK_CONTROL>()).EventMask };
                    if mask & WSK_EVENT_DISABLE == 0 {
                        client.static_events.store(mask, Ordering::SeqCst);
                        (STATUS_SUCCESS, 0)
                    } else {
                        (STATUS_INVALID_PARAMETER, 0)
                    }
                }
            }
            WSK_SET_STATIC_EVENT_CALLBACKS => (STATUS_INVALID_PARAMETER, 0),
            WSK_TRANSPORT_LIST_QUERY => {
                let transports = socket::transports();
                let needed = size_of_val(&transports);
                if OutputSize < needed || OutputBuffer.is_null() {
                    (STATUS_BUFFER_OVERFLOW, needed)
                } else {
                    // SAFETY: the driver gives as many bytes.
                    unsafe {
                        ptr::copy_nonoverlapping(
                            transports.as_ptr(),
                            OutputBuffer.cast::<WSK_TRANSPORT>(),
                            transports.len(),
                        );
                    };
                    (STATUS_SUCCESS, needed)
                }
            }
            _ => (STATUS_NOT_SUPPORTED, 0),
        };
        if !OutputSizeReturned.is_null() {
            // SAFETY: the driver gives the place, if it wants the size there.
            unsafe { OutputSizeReturned.write(information) };
        }
        if Irp.is_null() {
            return trace::returned("WskControlClient", status);
        }
        let uses = Uses::nothing("WskControlClient").memory(InputBuffer, InputSize, "the input");
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, uses, None) };
        trace::returned("WskControlClient", request.conclude(status, information))
    }
}
