//! The functions of the provider that don't belong to a socket: `WSK_PROVIDER_DISPATCH`.

use core::ffi::c_void;
use core::ptr;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use wsk_sys::{
    IRP, NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_CANCELLED,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_PENDING,
    STATUS_SUCCESS, WSK_CACHE_SD, WSK_EVENT_CALLBACK_CONTROL, WSK_EVENT_DISABLE,
    WSK_PROVIDER_DISPATCH, WSK_RELEASE_SD, WSK_SET_STATIC_EVENT_CALLBACKS, WSK_TDI_BEHAVIOR,
    WSK_TDI_BEHAVIOR_BYPASS_TDI, WSK_TDI_DEVICENAME_MAPPING, WSK_TDI_MAP_INFO,
    WSK_TRANSPORT_LIST_CHANGE, WSK_TRANSPORT_LIST_QUERY,
};

use super::connection;
use super::pending::{Pending, complete_all, waiting};
use super::registration::{self, Client, VERSION};
use super::request::{Request, Uses};
use super::{resolution, security, socket};
use crate::irql;
use crate::schedule::SOON;
use crate::trace;

/// The table that `WskCaptureProviderNPI` gives to clients.
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

/// A request that waits for a change of the transports, and the address of its client.
struct Change {
    request: Request,
    client: usize,
}

waiting!(Change);

static CHANGES: Mutex<Pending<Change>> = Mutex::new(Pending::new());

/// Takes out the request of an IRP that is being cancelled.
pub(super) fn cancelled(irp: *mut IRP) -> Option<Request> {
    Some(CHANGES.lock().take(irp)?.request)
}

/// Completes the requests that wait for a change of the transports; returns their number.
pub(crate) fn change_transports() -> usize {
    let changes = CHANGES.lock().claim_all();
    let count = changes.len();
    complete_all(changes, STATUS_SUCCESS);
    count
}

/// Cancels the waiting requests of a client that deregisters.
pub(super) fn cancel_changes(client: usize) {
    let mut claimed = Vec::new();
    let mut changes = CHANGES.lock();
    while let Some(change) = changes.claim_that(|change| change.client == client) {
        claimed.push(change);
    }
    drop(changes);
    complete_all(claimed, STATUS_CANCELLED);
}

/// Forgets the waiting requests.
pub(super) fn reset() {
    core::mem::forget(CHANGES.lock().abandon());
}

/// The parameters of a call of `WskControlClient`.
struct Control<'c> {
    client: &'c Client,
    code: u32,
    input: *const c_void,
    input_size: usize,
    output: *mut c_void,
    output_size: usize,
}

impl Control<'_> {
    /// The input as the structure that the operation takes.
    fn input<T: Copy>(&self) -> Result<T, NTSTATUS> {
        if self.input.is_null() || self.input_size < size_of::<T>() {
            return Err(STATUS_INVALID_PARAMETER);
        }
        // SAFETY: the driver gives as many bytes, for an operation that takes this structure.
        Ok(unsafe { self.input.cast::<T>().read_unaligned() })
    }

    /// Documented: the driver has to choose settings for all sockets before it makes the first one.
    fn before_sockets(&self) -> Result<(), NTSTATUS> {
        if self.client.sockets.load(Ordering::SeqCst) > 0 {
            Err(STATUS_INVALID_DEVICE_STATE)
        } else {
            Ok(())
        }
    }

    /// Carries out the operation; returns the status, and the number of bytes that it gives or would need.
    fn carry_out(&self) -> (NTSTATUS, usize) {
        let done = match self.code {
            WSK_TRANSPORT_LIST_QUERY => return self.list_transports(),
            WSK_CACHE_SD => return self.cache(),
            WSK_RELEASE_SD => self.input().map(security::release),
            WSK_SET_STATIC_EVENT_CALLBACKS => self.enable_events(),
            WSK_TDI_BEHAVIOR => self.set_tdi_behavior(),
            WSK_TDI_DEVICENAME_MAPPING => self.map_devices(),
            _ => Err(STATUS_NOT_SUPPORTED),
        };
        (done.err().unwrap_or(STATUS_SUCCESS), 0)
    }

    fn list_transports(&self) -> (NTSTATUS, usize) {
        let transports = socket::transports();
        let needed = size_of_val(&transports);
        if self.output_size < needed || self.output.is_null() {
            return (STATUS_BUFFER_OVERFLOW, needed);
        }
        // As bytes: the room of a driver need not be aligned.
        // SAFETY: the driver gives as many bytes.
        unsafe {
            ptr::copy_nonoverlapping(transports.as_ptr().cast::<u8>(), self.output.cast(), needed);
        };
        (STATUS_SUCCESS, needed)
    }

    fn cache(&self) -> (NTSTATUS, usize) {
        // Cached descriptors are pageable.
        irql::require("WskControlClient with WSK_CACHE_SD", irql::PASSIVE_LEVEL);
        let descriptor = match self.input::<*const c_void>() {
            Ok(descriptor) => descriptor,
            Err(status) => return (status, 0),
        };
        if self.output.is_null() || self.output_size < size_of::<*mut c_void>() {
            return (STATUS_BUFFER_TOO_SMALL, 0);
        }
        // SAFETY: the driver gives a descriptor, and room for a pointer.
        unsafe {
            match security::cache(descriptor) {
                Ok(cached) => {
                    self.output.cast::<*mut c_void>().write_unaligned(cached);
                    (STATUS_SUCCESS, size_of::<*mut c_void>())
                }
                Err(status) => (status, 0),
            }
        }
    }

    fn enable_events(&self) -> Result<(), NTSTATUS> {
        let control = self.input::<WSK_EVENT_CALLBACK_CONTROL>()?;
        self.before_sockets()?;
        if control.EventMask & WSK_EVENT_DISABLE != 0 {
            return Err(STATUS_INVALID_PARAMETER);
        }
        self.client
            .static_events
            .store(control.EventMask, Ordering::SeqCst);
        Ok(())
    }

    /// The host kernel has no TDI to bypass.
    fn set_tdi_behavior(&self) -> Result<(), NTSTATUS> {
        let flags = self.input::<u32>()?;
        self.before_sockets()?;
        if flags & !WSK_TDI_BEHAVIOR_BYPASS_TDI != 0 {
            return Err(STATUS_INVALID_PARAMETER);
        }
        Ok(())
    }

    /// Checks the device names, which have no effect: the host kernel has no TDI devices.
    fn map_devices(&self) -> Result<(), NTSTATUS> {
        let info = self.input::<WSK_TDI_MAP_INFO>()?;
        self.before_sockets()?;
        if info.Map.is_null() && info.ElementCount > 0 {
            return Err(STATUS_INVALID_PARAMETER);
        }
        for index in 0..info.ElementCount as usize {
            // SAFETY: the driver gives as many, each with a name that ends in a zero.
            unsafe {
                let name = (*info.Map.add(index)).TdiDeviceName;
                if name.is_null() || name.read() == 0 {
                    return Err(STATUS_INVALID_PARAMETER);
                }
            }
        }
        Ok(())
    }
}

dispatched! {
    /// Carries out an operation on a client.
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
        if !Irp.is_null() {
            let uses = Uses::nothing("WskControlClient").memory(InputBuffer, InputSize, "the input");
            // SAFETY: the driver gives the IRP.
            let request = unsafe { Request::start(Irp, uses, None) };
            let status = match ControlCode {
                WSK_TRANSPORT_LIST_CHANGE => match request.refusal() {
                    Some(status) => request.conclude(status, 0),
                    None => wait_for_change(request, std::sync::Arc::as_ptr(&client) as usize),
                },
                WSK_TRANSPORT_LIST_QUERY
                | WSK_CACHE_SD
                | WSK_RELEASE_SD
                | WSK_SET_STATIC_EVENT_CALLBACKS
                | WSK_TDI_BEHAVIOR
                // Documented: these operations take no IRP.
                | WSK_TDI_DEVICENAME_MAPPING => request.conclude(STATUS_INVALID_PARAMETER, 0),
                _ => request.conclude(STATUS_NOT_SUPPORTED, 0),
            };
            return trace::returned("WskControlClient", status);
        }
        if ControlCode == WSK_TRANSPORT_LIST_CHANGE {
            super::require_irp("WskControlClient with WSK_TRANSPORT_LIST_CHANGE", Irp);
        }
        let control = Control {
            client: &client,
            code: ControlCode,
            input: InputBuffer,
            input_size: InputSize,
            output: OutputBuffer,
            output_size: OutputSize,
        };
        let (status, information) = control.carry_out();
        if !OutputSizeReturned.is_null() {
            // SAFETY: the driver gives the place, if it wants the size there.
            unsafe { OutputSizeReturned.write(information) };
        }
        trace::returned("WskControlClient", status)
    }
}

/// Queues a request until the transports change.
fn wait_for_change(request: Request, client: usize) -> NTSTATUS {
    let refused = CHANGES.lock().push(None, Change { request, client });
    if let Some(change) = refused {
        change.request.complete_later(SOON, STATUS_CANCELLED, 0);
    }
    STATUS_PENDING
}
