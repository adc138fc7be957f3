//! Requests to sockets and to the client that have no type here, and descriptors that are given by pointer: the caller vouches for their
//! input and output.

use core::ffi::c_void;
use core::ptr::NonNull;

use crate::error::Error;
use crate::ioctl::ControlRequest;
use crate::irql::may_touch_pageable;
use crate::registration::{
    AtOnce, ClientCode, OfDriver, Provider, SecurityDescriptor, StaticEvents, Vouched,
};
use crate::request::{self, ControlClientRaw, ControlRaw, Raw, Request};
use crate::socket::calls::RawRequest;
use crate::socket::{
    BasicCategory, BasicSocket, ConnectedSocket, ConnectionCategory, ConnectionSocket,
    DatagramCategory, DatagramSocket, ListenCategory, ListenSocket, StreamCategory, StreamSocket,
};

/// Writes the method by which every socket is asked for what has no type here: its caller vouches for the code.
macro_rules! controlled_raw {
    ($Socket:ident, $Category:ident) => {
        impl $Socket {
            /// Sets or reads an option, or runs an I/O control operation, that has no type here. The result is the number of
            /// bytes written to `output`.
            ///
            /// Input and output are copied to and from nonpaged pool, aligned to 16 bytes, which is allocated for the request.
            ///
            /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
            ///
            /// # Errors
            ///
            /// Of the request: [`Error::NoMemory`](crate::Error::NoMemory), or the error of WSK.
            ///
            /// # Safety
            ///
            /// * WSK touches, for this request, no memory but the input, the output, and what pointers in the input lead to; the
            ///   last stays valid until the request is over, and for ever when it ends in
            ///   [`Error::Abandoned`](crate::Error::Abandoned) or WSK keeps such a pointer.
            /// * The input is what the request asks for. WSK is given an IRP, always.
            /// * The request changes nothing that this crate keeps account of: it enables or disables no event callback
            ///   (`SO_WSK_EVENT_CALLBACK`) and no conditional accept (`SO_CONDITIONAL_ACCEPT`), fixes no remote address or
            ///   destination (`SIO_WSK_SET_REMOTE_ADDRESS`, `SIO_WSK_SET_SENDTO_ADDRESS`), and registers no extension whose
            ///   callbacks would outlive the driver.
            #[doc(alias = "WskControlSocket")]
            pub unsafe fn control_raw<'s, 'b>(
                &'s self,
                request: ControlRequest,
                input: &'b [u8],
                output: &'b mut [u8],
            ) -> Request<'s, ControlRaw<$Category>, Raw<'b>> {
                // SAFETY: the caller keeps the method's contract, which asks for this.
                let request = RawRequest::Vouched(unsafe { Vouched::new(request) });
                request::control_raw(&self.handle, request, input, output)
            }
        }
    };
}

controlled_raw!(DatagramSocket, DatagramCategory);
controlled_raw!(ConnectionSocket, ConnectionCategory);
controlled_raw!(ConnectedSocket, ConnectionCategory);
controlled_raw!(ListenSocket, ListenCategory);
controlled_raw!(BasicSocket, BasicCategory);
controlled_raw!(StreamSocket, StreamCategory);

impl Provider {
    /// Runs an operation on the client that has no method here, with an IRP. The result is the number of bytes written to `output`.
    ///
    /// Input and output are copied to and from nonpaged pool, aligned to 16 bytes, which is allocated for the request. Dropping an
    /// operation that was started cancels it. For operations that take no IRP there is
    /// [`control_client_raw`](Self::control_client_raw).
    ///
    /// [`WskControlClient`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_client).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NoMemory`](crate::Error::NoMemory), or the error of WSK.
    ///
    /// # Safety
    ///
    /// * The operation takes an IRP, and completes it when it is cancelled; it asks for such an input, and for room of such a size.
    /// * WSK touches, for this request, no memory but the input, the output, and what pointers in the input lead to; the last stays
    ///   valid until the request is over, and for ever when it ends in [`Error::Abandoned`](crate::Error::Abandoned) or WSK keeps such
    ///   a pointer.
    /// * What [`control_client_raw`](Self::control_client_raw) asks of security descriptors and event callbacks.
    #[doc(alias = "WskControlClient")]
    pub unsafe fn control_client_raw_request<'s, 'b>(
        &'s self,
        code: u32,
        input: &'b [u8],
        output: &'b mut [u8],
    ) -> Request<'s, ControlClientRaw, Raw<'b>> {
        // SAFETY: the caller keeps the method's contract, which asks for this.
        let code = unsafe { Vouched::new(ClientCode(code)) };
        request::control_client_raw(self, code, input, output)
    }

    /// Has WSK cache a security descriptor for sockets. IRQL: `PASSIVE_LEVEL`.
    ///
    /// Allocates the handle. WSK makes a copy: the driver may free the descriptor afterwards.
    ///
    /// [`WSK_CACHE_SD`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-cache-sd).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of WSK.
    ///
    /// # Safety
    ///
    /// `descriptor` points at a valid security descriptor (`SECURITY_DESCRIPTOR`), absolute or self-relative, which nobody changes
    /// during the call.
    #[doc(alias("WskControlClient", "WSK_CACHE_SD"))]
    pub unsafe fn cache_security_descriptor(
        &self,
        descriptor: NonNull<c_void>,
    ) -> Result<SecurityDescriptor, Error> {
        // SAFETY: the caller gives a valid descriptor, which is used in this call alone.
        let descriptor = unsafe { Vouched::new(OfDriver(descriptor)) };
        SecurityDescriptor::cache(self.capture(), descriptor)
    }

    /// Enables event callbacks on every socket that is made for the client from now on, until that is closed. IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// This is for sockets that a driver makes without this crate, by the [NPI](Self::npi). For those of this crate there are methods
    /// that enable events one by one. Call it before the client has a socket: it cannot be taken back.
    ///
    /// `events` are flags: [`WSK_EVENT_RECEIVE_FROM`](wsk_sys::WSK_EVENT_RECEIVE_FROM), [`WSK_EVENT_ACCEPT`](wsk_sys::WSK_EVENT_ACCEPT),
    /// [`WSK_EVENT_RECEIVE`](wsk_sys::WSK_EVENT_RECEIVE), [`WSK_EVENT_DISCONNECT`](wsk_sys::WSK_EVENT_DISCONNECT) and
    /// [`WSK_EVENT_SEND_BACKLOG`](wsk_sys::WSK_EVENT_SEND_BACKLOG).
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// let registration = wsk::Registration::new()?;
    /// let provider = registration.capture(wsk::Wait::Milliseconds(10_000))?;
    /// // SAFETY: this driver makes all its sockets by `WskSocket` itself, with a table that has this callback.
    /// unsafe { provider.enable_static_event_callbacks(wsk_sys::WSK_EVENT_RECEIVE_FROM) }?;
    /// # drop((provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WSK_SET_STATIC_EVENT_CALLBACKS`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-set-static-event-callbacks).
    ///
    /// # Errors
    ///
    /// The error of WSK, as when there are sockets already.
    ///
    /// # Safety
    ///
    /// Of the kinds of sockets that have these events, none that this crate has made for this client is there, and the driver makes every one
    /// without this crate from then on, with a table that has the callbacks: what this crate makes has no such callbacks, or counts on being
    /// able to disable them.
    #[doc(alias("WskControlClient", "WSK_SET_STATIC_EVENT_CALLBACKS"))]
    pub unsafe fn enable_static_event_callbacks(&self, events: u32) -> Result<(), Error> {
        // SAFETY: the caller sees to these sockets.
        let events = unsafe { Vouched::new(StaticEvents(events)) };
        AtOnce::StaticEvents(events).carry_out(self.capture(), &mut 0)
    }

    /// Carries out an operation on the client that has no method here, without an IRP: the number of bytes of `output` that were
    /// written, as far as WSK says. IRQL: `<= APC_LEVEL`, and what the operation asks.
    ///
    /// For operations that take an IRP there is [`control_client_raw_request`](Self::control_client_raw_request).
    ///
    /// [`WskControlClient`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_client).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], or the error of WSK.
    ///
    /// # Safety
    ///
    /// * The operation takes no IRP, and asks for such an input and for room of such a size.
    /// * WSK touches, for this operation, no memory but the input, the output, and what pointers in the input lead to, which stays
    ///   valid as long as the operation asks.
    /// * A security descriptor that it caches or releases is none of a [`SecurityDescriptor`].
    /// * Of event callbacks that it enables for every socket: what
    ///   [`enable_static_event_callbacks`](Self::enable_static_event_callbacks) asks.
    #[doc(alias = "WskControlClient")]
    pub unsafe fn control_client_raw(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, Error> {
        may_touch_pageable()?;
        let mut size = 0_usize;
        // SAFETY: the caller vouches for the operation, without an IRP.
        let code = unsafe { Vouched::new(ClientCode(code)) };
        AtOnce::Raw(code, input, &mut *output).carry_out(self.capture(), &mut size)?;
        Ok(size.min(output.len()))
    }
}
