//! What WSK tells of what has arrived, as lists of indications (`WSK_DATAGRAM_INDICATION`, `WSK_DATA_INDICATION`), until they are given
//! back (`WskRelease`).

use core::marker::PhantomData;
use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, NTSTATUS, SOCKADDR, WSK_BUF, WSK_DATA_INDICATION, WSK_DATAGRAM_INDICATION,
    WSK_SOCKET,
};

use crate::address;
use crate::buffer::{DriverMdl, Extent, Pieces};
use crate::error::Error;
use crate::memory::shared::Shared;
use crate::socket::{Committed, ConnectionCategory, DatagramCategory, Handle, Socket};

/// A category of sockets to which something arrives that is indicated.
///
/// # Safety
///
/// The members are those of the structure; `release` is `WskRelease`.
pub(crate) unsafe trait Arrives: Committed {
    /// WSK's structure.
    type Indication: 'static;

    /// What comes after it in its list.
    fn next(indication: &Self::Indication) -> *mut Self::Indication;

    /// Ends a list with it; what came after it.
    fn cut(indication: &mut Self::Indication) -> *mut Self::Indication;

    /// Where the payload lies.
    fn buffer(indication: &Self::Indication) -> &WSK_BUF;

    /// # Safety
    ///
    /// As `WskRelease` asks.
    unsafe fn release(
        dispatch: Self::Dispatch,
        socket: NonNull<WSK_SOCKET>,
        list: NonNull<Self::Indication>,
    ) -> Result<NTSTATUS, DispatchError>;
}

macro_rules! arrives {
    ($Category:ident: $Indication:ident) => {
        // SAFETY: so they are.
        unsafe impl Arrives for $Category {
            type Indication = $Indication;

            fn next(indication: &$Indication) -> *mut $Indication {
                indication.Next
            }

            fn cut(indication: &mut $Indication) -> *mut $Indication {
                core::mem::replace(&mut indication.Next, core::ptr::null_mut())
            }

            fn buffer(indication: &$Indication) -> &WSK_BUF {
                &indication.Buffer
            }

            unsafe fn release(
                dispatch: Self::Dispatch,
                socket: NonNull<WSK_SOCKET>,
                list: NonNull<$Indication>,
            ) -> Result<NTSTATUS, DispatchError> {
                // SAFETY: the caller does what `WskRelease` asks.
                unsafe { dispatch.wsk_release(socket, list) }
            }
        }
    };
}

arrives!(DatagramCategory: WSK_DATAGRAM_INDICATION);
arrives!(ConnectionCategory: WSK_DATA_INDICATION);

/// A list of indications that is the driver's.
///
/// # Invariants
///
/// `first` heads a list of valid indications, which nothing else refers to and WSK leaves alone until they are released, or the event
/// that brought them returns; neither happens while this is borrowed. They have arrived at `socket`.
pub(crate) struct List<C: Arrives> {
    first: NonNull<C::Indication>,
    socket: NonNull<WSK_SOCKET>,
}

impl<C: Arrives> List<C> {
    /// The list of an event.
    ///
    /// # Safety
    ///
    /// As the invariant asks.
    pub(crate) unsafe fn new(first: NonNull<C::Indication>, socket: &Socket<C>) -> Self {
        // INVARIANT: the caller says so.
        Self {
            first,
            socket: socket.as_ptr(),
        }
    }

    /// The indications, in the order in which they arrived.
    pub(crate) const fn iter(&self) -> Indications<'_, C> {
        // INVARIANT: the list is valid as long as this is borrowed.
        Indications {
            next: self.first.as_ptr(),
            list: PhantomData,
        }
    }

    /// The first of them.
    pub(crate) const fn first(&self) -> Indicated<'_, C> {
        // SAFETY: by the invariant the indication is valid as long as this is borrowed.
        // INVARIANT: the same.
        Indicated(unsafe { self.first.as_ref() })
    }

    /// Takes all but the first out, if there are others.
    fn split(&mut self) -> Option<Self> {
        // SAFETY: by the invariant the indication is valid, and nothing else refers to it.
        let next = C::cut(unsafe { self.first.as_mut() });
        // INVARIANT: what comes next is a list, to which nothing leads from here any more.
        Some(Self {
            first: NonNull::new(next)?,
            socket: self.socket,
        })
    }
}

/// Iterates over indications.
///
/// # Invariants
///
/// `next` is null, or a list of indications that are valid for `'i`.
pub(crate) struct Indications<'i, C: Arrives> {
    next: *const C::Indication,
    list: PhantomData<&'i List<C>>,
}

impl<C: Arrives> Indications<'_, C> {
    /// None.
    pub(crate) const fn none() -> Self {
        // INVARIANT: null.
        Self {
            next: core::ptr::null(),
            list: PhantomData,
        }
    }
}

impl<C: Arrives> Clone for Indications<'_, C> {
    fn clone(&self) -> Self {
        // INVARIANT: the same.
        Self {
            next: self.next,
            list: PhantomData,
        }
    }
}

impl<'i, C: Arrives> Iterator for Indications<'i, C> {
    type Item = Indicated<'i, C>;

    fn next(&mut self) -> Option<Indicated<'i, C>> {
        // SAFETY: by the invariant it is null or valid for `'i`.
        let indication = unsafe { self.next.as_ref() }?;
        self.next = C::next(indication);
        // INVARIANT: valid for `'i`.
        Some(Indicated(indication))
    }
}

/// An indication.
///
/// # Invariants
///
/// With its MDL chain, and its address and control information if it has any, it is valid for `'i`.
#[derive(Clone, Copy)]
pub(crate) struct Indicated<'i, C: Arrives>(&'i C::Indication);

impl<'i, C: Arrives> Indicated<'i, C> {
    /// The number of bytes.
    pub(crate) fn len(self) -> usize {
        C::buffer(self.0).Length
    }

    /// The payload, piece by piece as it lies in the MDL chain.
    pub(crate) fn pieces(self) -> Pieces<'i> {
        // SAFETY: by the invariant the chain is valid for `'i`.
        unsafe { Pieces::of(C::buffer(self.0)) }
    }
}

impl<'i> Indicated<'i, DatagramCategory> {
    /// Who sent it.
    pub(crate) fn remote_address(self) -> Result<SocketAddr, Error> {
        // INVARIANT: this is a socket address, or null, for `'i`.
        let address = Brought {
            place: self.0.RemoteAddress,
            event: PhantomData,
        };
        address.read()
    }

    /// The control information.
    pub(crate) const fn control(self) -> &'i [u8] {
        let (bytes, length) = (self.0.ControlInfo, self.0.ControlInfoLength);
        if bytes.is_null() {
            return &[];
        }
        // SAFETY: by the invariant there are that many bytes, for `'i`.
        unsafe { core::slice::from_raw_parts(bytes.cast(), length as usize) }
    }
}

/// Indications that are kept after the event that brought them. Dropping it gives them back, at any IRQL up to `DISPATCH_LEVEL`.
///
/// # Invariants
///
/// What is in the list was retained from the socket, and not released; each indication has MDLs of its own. It is not `Sync`: to look at
/// the bytes may be to map their MDLs, which writes them.
pub(crate) struct Kept<C: Arrives> {
    list: List<C>,
    socket: Handle<C>,
}

// SAFETY: the indications, with all that they point at, are memory that belongs to this value, not to a thread.
unsafe impl<C: Arrives> Send for Kept<C> {}

impl<C: Arrives> Kept<C> {
    /// Takes out of the hands of a callback what has arrived at the socket, unless that is being closed: whoever finds nothing left tells
    /// WSK that it was retained.
    pub(crate) fn of(list: &mut Option<List<C>>, socket: &Shared<Socket<C>>) -> Option<Self> {
        if list.as_ref()?.socket != socket.as_ptr() {
            return None;
        }
        let socket = Handle::from_open(socket)?;
        // INVARIANT: it has arrived there, and the callback says that it is retained.
        let list = list.take()?;
        Some(Self { list, socket })
    }

    /// What is kept.
    pub(crate) const fn list(&self) -> &List<C> {
        &self.list
    }

    /// The socket to which it came.
    pub(crate) const fn socket(&self) -> &Handle<C> {
        &self.socket
    }

    /// Takes all but the first out, if there are others.
    pub(crate) fn split(&mut self) -> Option<Self> {
        // INVARIANT: they were retained from this socket, and each is in one list.
        Some(Self {
            list: self.list.split()?,
            socket: self.socket.clone(),
        })
    }
}

impl<C: Arrives> Drop for Kept<C> {
    fn drop(&mut self) {
        let socket = &self.socket;
        // SAFETY: by the invariant what is in the list was retained from this socket, which is open while there is a handle, and is
        // released this once. A provider without the entry gave no indications.
        let _ = unsafe { C::release(socket.dispatch(), socket.as_ptr(), self.list.first) };
    }
}

/// The owner of an indication that is kept.
///
/// # Safety
///
/// It is the same as long as the owner is there, and nothing else uses its MDLs.
pub(crate) unsafe trait Owns: Send + 'static {
    fn kept(&self) -> &Kept<DatagramCategory>;
}

/// The payload from byte `from` on, to be sent, with its owner.
///
/// # Errors
///
/// [`Error::OutOfBounds`] when there are not that many bytes, with the owner.
pub(crate) fn into_mdl<O: Owns>(owner: O, from: usize) -> Result<DriverMdl<O>, (Error, O)> {
    let buffer = *DatagramCategory::buffer(owner.kept().list.first().0);
    let length = buffer.Length;
    if from > length {
        return Err((Error::OutOfBounds { end: from, length }, owner));
    }
    // SAFETY: by the invariant of what is kept the indication's chain is valid, locked or nonpaged, and used by nothing else until it is
    // released, which as the owner it is last; it may be so on any thread.
    Ok(unsafe { DriverMdl::of(Extent::from_wsk_buf(buffer).rest(from), owner) })
}

/// Bytes that are there as long as a callback runs, and no longer than what it has been given.
///
/// # Invariants
///
/// They are there while this is borrowed. No reference: they may go before the callback returns, with what was retained.
pub(crate) struct Meanwhile(Option<NonNull<[u8]>>);

impl Meanwhile {
    /// # Safety
    ///
    /// As the invariant asks.
    pub(crate) const unsafe fn new(bytes: Option<NonNull<[u8]>>) -> Self {
        // INVARIANT: the caller says so.
        Self(bytes)
    }

    pub(crate) const fn get(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: by the invariant they are there while this is borrowed.
            Some(bytes) => unsafe { bytes.as_ref() },
            None => &[],
        }
    }
}

/// An address that an event brings, or none.
///
/// # Invariants
///
/// `place` is null, or a socket address that is valid for `'i`.
pub(crate) struct Brought<'i> {
    place: *const SOCKADDR,
    event: PhantomData<&'i SOCKADDR>,
}

impl Brought<'_> {
    /// # Safety
    ///
    /// As the invariant asks.
    pub(crate) unsafe fn new(place: Option<NonNull<SOCKADDR>>) -> Self {
        // INVARIANT: the caller says so.
        Self {
            place: place.map_or(core::ptr::null(), |place| place.as_ptr()),
            event: PhantomData,
        }
    }

    pub(crate) fn read(&self) -> Result<SocketAddr, Error> {
        // SAFETY: by the invariant it is a socket address, or null.
        unsafe { address::read_raw(self.place) }
    }
}
