//! What is asked of every socket by way of `WskControlSocket`: options and I/O control operations; and of the client by way of
//! `WskControlClient`, where that takes an IRP.

use crate::methods::controlled;
use crate::registration::Provider;
use crate::request::{self, ControlClientRaw, Raw, Request, TransportChange};
use crate::socket::{
    ConnectedSocket, ConnectionCategory, ConnectionSocket, DatagramCategory, DatagramSocket,
    ListenCategory, ListenSocket,
};

controlled!(DatagramSocket, DatagramCategory);
controlled!(ConnectionSocket, ConnectionCategory);
controlled!(ConnectedSocket, ConnectionCategory);
controlled!(ListenSocket, ListenCategory);

impl Provider {
    /// Waits for a transport to come or go: the request is over when the list of [transports](Self::transports) has changed.
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
    /// Of the request: what WSK says.
    #[doc(alias("WskControlClient", "WSK_TRANSPORT_LIST_CHANGE"))]
    pub fn transport_change(&self) -> Request<'_, TransportChange, ()> {
        request::transport_change(self)
    }

    /// Carries out an operation on the client that has no method here, with an IRP: the request gives the number of bytes of `output`
    /// that were written.
    ///
    /// Input and output are copied to and from nonpaged pool, aligned to 16 bytes, which is allocated for the request. Dropping an
    /// operation that was started cancels it. For operations that take no IRP there is
    /// [`control_client_raw`](Self::control_client_raw).
    ///
    /// [`WskControlClient`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_client).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NoMemory`](crate::Error::NoMemory), or what WSK says.
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
        request::control_client_raw(self, code, input, output)
    }
}
