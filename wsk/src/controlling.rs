//! Options and I/O control operations of every socket, through `WskControlSocket`, and those operations on the client that take
//! an IRP, through `WskControlClient`.

#![forbid(unsafe_code)]

use crate::methods::{controlled, secured};
use crate::registration::{Provider, RawClientControl};
use crate::request::{self, ControlClientRaw, ControlRaw, Raw, Request, TransportChange};
use crate::socket::calls::{RawControl, Redirection};
use crate::socket::{
    BasicCategory, BasicSocket, ConnectedSocket, ConnectionCategory, ConnectionSocket,
    DatagramCategory, DatagramSocket, ListenCategory, ListenSocket, StreamCategory, StreamSocket,
};

controlled!(BasicSocket, BasicCategory);
controlled!(DatagramSocket, DatagramCategory);
controlled!(ConnectionSocket, ConnectionCategory);
controlled!(ConnectedSocket, ConnectionCategory);
controlled!(ListenSocket, ListenCategory);
controlled!(StreamSocket, StreamCategory);

secured!(DatagramSocket, DatagramCategory, set);
secured!(ConnectionSocket, ConnectionCategory, set);
secured!(ConnectedSocket, ConnectionCategory);
secured!(ListenSocket, ListenCategory, set);

/// Redirected connections of the Windows Filtering Platform (WFP): a driver in between accepts a connection that was redirected
/// to it, and passes its records to the connection that it makes instead.
impl ConnectedSocket {
    /// Reads the redirect records of an accepted connection. The result is the number of bytes written to `records`. A driver only
    /// [passes them on](ConnectionSocket::set_redirect_records).
    ///
    /// The bytes are copied from nonpaged pool, which is allocated for the request.
    ///
    /// [`SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS`](https://learn.microsoft.com/windows/win32/winsock/sio-query-wfp-connection-redirect-records).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NoMemory`](crate::Error::NoMemory), or the error of WSK, as when there are none or there is too little room.
    #[doc(alias = "SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS")]
    pub fn redirect_records<'s, 'b>(
        &'s self,
        records: &'b mut [u8],
    ) -> Request<'s, ControlRaw<ConnectionCategory>, Raw<'b>> {
        let control = RawControl::redirection(Redirection::Records, &[]);
        request::control_raw(&self.handle, control, records)
    }

    /// Reads the redirect context of an accepted connection, which the driver that redirected it has set. The result is the number of
    /// bytes written to `context`.
    ///
    /// The bytes are copied from nonpaged pool, which is allocated for the request.
    ///
    /// [`SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT`](https://learn.microsoft.com/windows/win32/winsock/sio-query-wfp-connection-redirect-context).
    ///
    /// # Errors
    ///
    /// As for [`redirect_records`](Self::redirect_records).
    #[doc(alias = "SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT")]
    pub fn redirect_context<'s, 'b>(
        &'s self,
        context: &'b mut [u8],
    ) -> Request<'s, ControlRaw<ConnectionCategory>, Raw<'b>> {
        let control = RawControl::redirection(Redirection::Context, &[]);
        request::control_raw(&self.handle, control, context)
    }
}

impl ConnectionSocket {
    /// Sets the redirect records of a connection before it is connected: those [of the redirected
    /// connection](ConnectedSocket::redirect_records) that it continues. Without them it would be redirected again. The result is 0.
    ///
    /// The bytes are copied to nonpaged pool, which is allocated for the request.
    ///
    /// [`SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS`](https://learn.microsoft.com/windows/win32/winsock/sio-set-wfp-connection-redirect-records).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NoMemory`](crate::Error::NoMemory), or the error of WSK.
    #[doc(alias = "SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS")]
    pub fn set_redirect_records<'s, 'b>(
        &'s self,
        records: &'b [u8],
    ) -> Request<'s, ControlRaw<ConnectionCategory>, Raw<'b>> {
        let control = RawControl::redirection(Redirection::SetRecords, records);
        request::control_raw(&self.handle, control, &mut [])
    }
}

impl Provider {
    /// Waits for a change of the list of [transports](Self::transports).
    ///
    /// Dropping an operation that was started cancels it. One that is kept keeps the [`Registration`](crate::Registration) from being
    /// dropped.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// let change = provider.transport_change().start()?;
    /// # kernel.change_transports();
    /// change.wait().unwrap()?;
    /// assert!(provider.transport_count()? > 0);
    /// # drop((provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WSK_TRANSPORT_LIST_CHANGE`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-transport-list-change).
    ///
    /// # Errors
    ///
    /// Of the request: the error of WSK.
    #[doc(alias("WskControlClient", "WSK_TRANSPORT_LIST_CHANGE"))]
    pub fn transport_change(&self) -> Request<'_, TransportChange, ()> {
        request::transport_change(self)
    }

    /// Runs an operation on the client that has no method in this crate, with an IRP. The result is the number of bytes written to `output`.
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
    #[doc(alias = "WskControlClient")]
    pub fn control_client_raw_request<'s, 'b>(
        &'s self,
        control: RawClientControl<'b>,
        output: &'b mut [u8],
    ) -> Request<'s, ControlClientRaw, Raw<'b>> {
        request::control_client_raw(self, control, output)
    }
}
