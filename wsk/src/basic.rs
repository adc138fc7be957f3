//! Basic sockets: the category behind `WSK_PROVIDER_BASIC_DISPATCH`. A driver uses them to ask about a transport, or to configure
//! it.

#![forbid(unsafe_code)]

use crate::address::Family;
use crate::error::Error;
use crate::methods::{closed, open_socket};
use crate::registration::Provider;
use crate::socket::{BasicSocket, Making, OverStreams};

closed!(BasicSocket);

impl BasicSocket {
    /// Opens a socket over the transport of datagrams, UDP. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// Allocates the socket's state and operations, one of them for closing, which can therefore not fail for lack of memory.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of WSK.
    #[doc(alias = "WskSocket")]
    pub fn open_datagram(provider: &Provider, family: Family) -> Result<Self, Error> {
        let handle = open_socket(Making::of(provider, family, false, None))?;
        Ok(Self { handle })
    }

    /// Opens a socket over the transport of connections, TCP. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// Allocates what [`open_datagram`](Self::open_datagram) does.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// As for [`open_datagram`](Self::open_datagram).
    #[doc(alias = "WskSocket")]
    pub fn open_stream(provider: &Provider, family: Family) -> Result<Self, Error> {
        let mut making = Making::of(provider, family, false, None);
        making.own = OverStreams(true);
        let handle = open_socket(making)?;
        Ok(Self { handle })
    }
}
