//! What WSK tells of what has arrived, as lists of indications (`WSK_DATAGRAM_INDICATION`, `WSK_DATA_INDICATION`), until they are given
//! back (`WskRelease`).

#![forbid(unsafe_code)]

use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, NTSTATUS, WSK_DATA_INDICATION, WSK_DATAGRAM_INDICATION, WSK_SOCKET,
    WskProviderConnectionDispatch, WskProviderDatagramDispatch,
};

use crate::address::Brought;
use crate::buffer::Payload;
use crate::memory::list::Linked;
use crate::socket::category::{Committed, ConnectionCategory, DatagramCategory};

/// A category of sockets to which something arrives that is indicated.
pub(crate) trait Arrives: Committed {
    /// WSK's structure.
    type Indication: Linked;

    /// `WskRelease`.
    const RELEASE: Release<Self::Dispatch, Self::Indication>;
}

/// A function of a table that takes back a list of indications.
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
    /// Who sent it.
    pub(crate) remote: Brought<'i>,
}
