//! Indications: the structures in which WSK describes what has arrived at a socket (`WSK_DATAGRAM_INDICATION`, `WSK_DATA_INDICATION`), and
//! the function that releases them (`WskRelease`).

#![forbid(unsafe_code)]

use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, NTSTATUS, WSK_DATA_INDICATION, WSK_DATAGRAM_INDICATION, WSK_SOCKET,
    WskProviderConnectionDispatch, WskProviderDatagramDispatch,
};

use crate::buffer::Payload;
use crate::memory::list::Linked;
use crate::registration::Brought;
use crate::socket::category::{Committed, ConnectionCategory, DatagramCategory};

/// A category of sockets whose events have indications.
pub(crate) trait Arrives: Committed {
    /// WSK's structure.
    type Indication: Linked;

    /// `WskRelease`.
    const RELEASE: Release<Self::Dispatch, Self::Indication>;
}

/// A function of a table that releases a list of indications.
type Release<D, I> =
    unsafe fn(D, NonNull<WSK_SOCKET>, NonNull<I>) -> Result<NTSTATUS, DispatchError>;

macro_rules! arrives {
    ($Category:ident: $Indication:ident, $Dispatch:ident) => {
        impl Arrives for $Category {
            type Indication = $Indication;

            const RELEASE: Release<$Dispatch, $Indication> = $Dispatch::wsk_release;
        }
    };
}

arrives!(DatagramCategory: WSK_DATAGRAM_INDICATION, WskProviderDatagramDispatch);
arrives!(ConnectionCategory: WSK_DATA_INDICATION, WskProviderConnectionDispatch);

/// An indicated datagram.
#[derive(Clone, Copy)]
pub(crate) struct Indicated<'i> {
    pub(crate) payload: Payload<'i>,
    pub(crate) control: &'i [u8],
    /// The address of the sender.
    pub(crate) remote: Brought<'i>,
}
