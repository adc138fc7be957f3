//! Requests to sockets and to the client that have no type here: the caller vouches for their input and output.

use crate::ioctl::ControlRequest;
use crate::registration::Provider;
use crate::request::{self, ControlClientRaw, ControlRaw, Raw, Request};
use crate::socket::calls::Vouched;
use crate::socket::{
    BasicCategory, BasicSocket, ConnectedSocket, ConnectionCategory, ConnectionSocket,
    DatagramCategory, DatagramSocket, ListenCategory, ListenSocket, StreamCategory, StreamSocket,
};

/// A request that the caller of the method vouches for, whose documentation asks more than WSK does.
macro_rules! vouched {
    ($request:expr) => {
        // SAFETY: the caller keeps the method's contract, which asks for this.
        unsafe { Vouched::new($request) }
    };
}

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
                request::control_raw(&self.handle, vouched!(request), input, output)
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
        request::control_client_raw(self, vouched!(code), input, output)
    }
}
