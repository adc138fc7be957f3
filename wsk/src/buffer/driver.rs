//! [`DriverMdl`], [`DriverMdlMut`], [`DriverList`]: MDL chains, and lists of them, that a driver gets from elsewhere, for example with an
//! IRP or a packet. The driver vouches for them.

use core::fmt;
use core::ptr::NonNull;

use wsk_sys::WSK_BUF_LIST;

use crate::buffer::{Alone, Control, ControlMessage, Extent, LockedList};
use crate::error::Error;

/// A driver's own MDL chain to send from: for example of an IRP or of a packet.
///
/// There are two kinds. [`from_raw`](Self::from_raw) maps the chain, and several operations at a time may send from it.
/// [`with_owner`](DriverMdl::with_owner) does not map it, and is for one operation at a time. It keeps the owner of the memory, a
/// `NET_BUFFER_LIST` or a `WDFREQUEST` for example, which comes back when the operation has completed.
///
/// To receive into a chain, use a [`DriverMdlMut`]; to put a header before it, a [`DriverChain`](crate::DriverChain).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// # use core::ptr::NonNull;
/// # struct Packet { mdl: NonNull<wsk_sys::MDL>, length: usize }
/// # unsafe fn complete(packet: *mut Packet) {
/// #     unsafe {
/// #         wsk_sys::IoFreeMdl((*packet).mdl.as_ptr());
/// #         drop(Box::from_raw(packet));
/// #     }
/// # }
/// # let bytes = wsk::NonPagedBuffer::copy_of(b"a packet")?;
/// # let mdl = unsafe {
/// #     let mdl = wsk_sys::IoAllocateMdl(bytes.as_slice().as_ptr().cast_mut().cast(), 8, 0, 0, core::ptr::null_mut());
/// #     wsk_sys::MmBuildMdlForNonPagedPool(mdl);
/// #     NonNull::new(mdl).unwrap()
/// # };
/// # let packet = Box::into_raw(Box::new(Packet { mdl, length: 8 }));
/// use wsk::{DriverMdl, Extent};
///
/// // SAFETY: the packet is this driver's until it completes it, on any thread; its MDLs are locked and in no other use.
/// let carried = unsafe {
///     let bytes = Extent::new((*packet).mdl, 0, (*packet).length)?;
///     DriverMdl::with_owner(bytes, packet)
/// };
/// let request = socket.send_to(carried, to);
/// let started = request.start_with(|done| {
///     if let Some(carried) = done.buffer {
///         // SAFETY: whether it was sent or not, the packet is this driver's again.
///         unsafe { complete(carried.into_owner()) };
///     }
/// });
/// started?;
/// # let mut got = [0; 16];
/// # assert_eq!(peer.recv(&mut got).unwrap(), 8);
/// # drop((socket, provider, registration, bytes));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The extent and its chain satisfy one of two contracts. [`from_raw`](Self::from_raw): on any thread; through a shared reference the
/// chain, which is mapped, is only read. [`with_owner`](Self::with_owner): on any thread; `alone` is for one operation, and only the
/// operation that has claimed it uses the chain. The owner is not reached through a shared reference.
#[doc(alias("IoAllocateMdl", "MDL", "NET_BUFFER_LIST", "WDFREQUEST"))]
pub struct DriverMdl<O = ()> {
    alone: Alone,
    owner: O,
}

// SAFETY: by the contracts of the constructors the chain and the owner may be on any thread.
unsafe impl<O> Send for DriverMdl<O> {}
// SAFETY: through `&DriverMdl` the extent is read, and a flag changed, which is atomic; the owner is not reached.
unsafe impl<O> Sync for DriverMdl<O> {}

impl DriverMdl {
    /// These bytes. The MDLs that are not mapped yet are mapped. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] when an MDL is not mapped and cannot be.
    ///
    /// # Safety
    ///
    /// The extent is of a chain of MDLs whose pages are locked for reading, or which were built for nonpaged pool. No MDL of the chain was
    /// changed or linked elsewhere since the extent was made. From now until
    /// the result is dropped, which the completion of the last operation that owns it may do on any thread at up to
    /// `DISPATCH_LEVEL`:
    ///
    /// * no MDL of the chain is changed, linked elsewhere, unlocked, unmapped or freed;
    /// * the bytes of the extent are not written;
    /// * nobody else maps the MDLs in the meantime, unless they are mapped already;
    /// * nothing else uses the MDLs while the result is in a [`DriverChain`](crate::DriverChain), which links them.
    ///
    /// A result that is forgotten, or that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    pub unsafe fn from_raw(extent: Extent) -> Result<Self, Error> {
        // INVARIANT: by the contract of this function.
        let alone = Alone::shared(extent);
        alone.map()?;
        // INVARIANT: the chain is mapped.
        Ok(Self { alone, owner: () })
    }
}

impl<O> DriverMdl<O> {
    /// These bytes, with the owner of the chain. One operation at a time may send from them. IRQL: any.
    ///
    /// # Safety
    ///
    /// The extent is of a chain of MDLs whose pages are locked for reading, or which were built for nonpaged pool. No MDL of the chain was
    /// changed or linked elsewhere since the extent was made. From now until
    /// the result is dropped, or [gives its owner back](Self::into_owner), which the completion of the operation that owns it may do
    /// on any thread at up to `DISPATCH_LEVEL`:
    ///
    /// * no MDL of the chain is used by anything else, changed, linked elsewhere, mapped, unlocked, unmapped or freed;
    /// * the bytes of the extent are not written.
    ///
    /// The owner may be given to any thread, and dropped there, even where its type does not say so. A result that is forgotten, or
    /// that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    #[must_use]
    pub unsafe fn with_owner(extent: Extent, owner: O) -> Self {
        // INVARIANT: by the contract of this function.
        Self {
            alone: Alone::new(extent),
            owner,
        }
    }

    /// Gives the owner back. The chain is not used any more.
    #[must_use]
    pub fn into_owner(self) -> O {
        self.owner
    }

    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.extent().len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.extent().is_empty()
    }

    pub(super) const fn extent(&self) -> Extent {
        self.alone.extent()
    }

    #[inline]
    pub(super) const fn alone(&self) -> &Alone {
        &self.alone
    }
}

impl<O> fmt::Debug for DriverMdl<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverMdl")
            .field("extent", &self.extent())
            .finish_non_exhaustive()
    }
}

/// A driver's own MDL chain to receive into.
///
/// One operation at a time uses it, so it need not be mapped. It can keep [the owner](Self::with_owner) of the memory, which comes back when the
/// operation has completed.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// # let bytes = wsk::NonPagedBuffer::copy_of(b"a request's memory")?;
/// # let mdl = unsafe {
/// #     let mdl = wsk_sys::IoAllocateMdl(bytes.as_slice().as_ptr().cast_mut().cast(), 18, 0, 0, core::ptr::null_mut());
/// #     wsk_sys::MmBuildMdlForNonPagedPool(mdl);
/// #     core::ptr::NonNull::new(mdl).unwrap()
/// # };
/// use wsk::{DriverMdlMut, Extent};
///
/// # let request = 7;
/// // SAFETY: the MDL is locked for writing. Nothing else uses it until this driver completes the request, which is the owner.
/// let mut room = unsafe { DriverMdlMut::with_owner(Extent::new(mdl, 0, 18)?, request) };
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// let received = socket.receive_from(&mut room).wait()?;
/// assert_eq!(received.length(), 5);
/// let request = room.into_owner();
/// // Now the request can be completed.
/// # assert_eq!((request, &bytes.as_slice()[..5]), (7, &b"hello"[..]));
/// # drop(bytes);
/// # unsafe { wsk_sys::IoFreeMdl(mdl.as_ptr()) };
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The extent, and its chain, are as [`from_raw`](Self::from_raw) or [`with_owner`](Self::with_owner) asks, whatever thread has this;
/// through a shared reference neither the chain nor the owner is used.
#[doc(alias("WDFREQUEST", "MDL"))]
pub struct DriverMdlMut<O = ()> {
    extent: Extent,
    owner: O,
}

// SAFETY: by the contracts of the constructors the chain and the owner may be on any thread.
unsafe impl<O> Send for DriverMdlMut<O> {}
// SAFETY: through `&DriverMdlMut` the extent is read; the owner is not reached.
unsafe impl<O> Sync for DriverMdlMut<O> {}

impl DriverMdlMut {
    /// These bytes. IRQL: any.
    ///
    /// # Safety
    ///
    /// The extent is of a chain of MDLs whose pages are locked for writing, or which were built for nonpaged pool. No MDL of the chain was
    /// changed or linked elsewhere since the extent was made. From now until
    /// the result is dropped, which the completion of an operation that owns it may do on any thread at up to
    /// `DISPATCH_LEVEL`:
    ///
    /// * no MDL of the chain is changed, linked elsewhere, mapped, unlocked, unmapped or freed by anything
    ///   else;
    /// * nothing else looks at the MDLs while the result is in a [`DriverChain`](crate::DriverChain), which links them;
    /// * the bytes of the extent are neither read nor written while an operation has it.
    ///
    /// A result that is forgotten, or that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    #[must_use]
    pub unsafe fn from_raw(extent: Extent) -> Self {
        // INVARIANT: by the contract of this function. There is no owner.
        Self { extent, owner: () }
    }
}

impl<O> DriverMdlMut<O> {
    /// As [`from_raw`](DriverMdlMut::from_raw), with the owner of the chain. IRQL: any.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](DriverMdlMut::from_raw), until the result is dropped or [gives its owner back](Self::into_owner). The owner
    /// may be given to any thread, and dropped there, even where its type does not say so.
    #[must_use]
    pub unsafe fn with_owner(extent: Extent, owner: O) -> Self {
        // INVARIANT: by the contract of this function.
        Self { extent, owner }
    }

    /// Gives the owner back. The chain is not used any more.
    #[must_use]
    pub fn into_owner(self) -> O {
        self.owner
    }

    pub(super) const fn extent(&self) -> Extent {
        self.extent
    }

    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.extent.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.extent.is_empty()
    }
}

impl<O> fmt::Debug for DriverMdlMut<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverMdlMut")
            .field("extent", &self.extent)
            .finish_non_exhaustive()
    }
}

/// A driver's own `WSK_BUF_LIST` to send, for one operation at a time.
///
/// It keeps the owner of the list, which [comes back](Self::into_owner) when the operation has completed, and has
/// [control information](Self::control_mut) for all of the datagrams. To make a list from buffers, use [`Messages`](crate::Messages).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// # let bytes = wsk::NonPagedBuffer::copy_of(b"two packets")?;
/// # let mdl = unsafe {
/// #     let mdl = wsk_sys::IoAllocateMdl(bytes.as_slice().as_ptr().cast_mut().cast(), 11, 0, 0, core::ptr::null_mut());
/// #     wsk_sys::MmBuildMdlForNonPagedPool(mdl);
/// #     mdl
/// # };
/// use core::ptr::NonNull;
/// use wsk::DriverList;
/// use wsk_sys::{WSK_BUF, WSK_BUF_LIST};
///
/// let mut second = WSK_BUF_LIST {
///     Next: core::ptr::null_mut(),
///     Buffer: WSK_BUF { Mdl: mdl, Offset: 4, Length: 7 },
/// };
/// let mut first = WSK_BUF_LIST {
///     Next: &raw mut second,
///     Buffer: WSK_BUF { Mdl: mdl, Offset: 0, Length: 3 },
/// };
/// // SAFETY: the list and its MDL, which is built for nonpaged pool, stay as they are until the list was sent.
/// let list = unsafe { DriverList::from_raw(NonNull::from(&mut first), ()) };
/// let mut list = list.map_err(|(error, ())| error)?;
/// assert_eq!(socket.send_messages(&mut list, to).wait()?, 10);
/// # let mut got = [0; 16];
/// # assert_eq!(peer.recv(&mut got).unwrap(), 3);
/// # assert_eq!(peer.recv(&mut got).unwrap(), 7);
/// # unsafe { wsk_sys::IoFreeMdl(mdl) };
/// # drop((bytes, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The list, and the memory that it describes, satisfy the contract of [`from_raw`](Self::from_raw), on any thread. Through a shared
/// reference neither the list nor the owner is used.
#[doc(alias = "WSK_BUF_LIST")]
pub struct DriverList<O = ()> {
    list: LockedList,
    control: Control<{ ControlMessage::SPACE_FOR_ALL }>,
    owner: O,
}

// SAFETY: by the contract of the constructor the list and the owner may be on any thread.
unsafe impl<O> Send for DriverList<O> {}
// SAFETY: through `&DriverList` neither the list nor the owner is used.
unsafe impl<O> Sync for DriverList<O> {}

impl<O> DriverList<O> {
    /// The list that begins at `first`, with the owner of the list. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// With the owner: [`Error::OutOfBounds`] when the offset of a datagram is not inside its first MDL, or its chain ends before the
    /// datagram does.
    ///
    /// # Safety
    ///
    /// `first` begins a list in nonpaged memory whose last `Next` is NULL. Each `Buffer` in it has a length of 0, or `Mdl` heads a chain
    /// of MDLs whose pages are locked for reading, or which were built for nonpaged pool; only the latter, and those that are mapped,
    /// are in more than one `Buffer`. From now until the result is dropped, or [gives its owner back](Self::into_owner), which
    /// the completion of the operation that owns it may do on any thread at up to `DISPATCH_LEVEL`:
    ///
    /// * neither the list nor an MDL is changed, linked elsewhere, mapped, unlocked, unmapped or freed by anything else;
    /// * the bytes are not written.
    ///
    /// The owner may be given to any thread, and dropped there, even where its type does not say so. A result that is forgotten, or
    /// that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    pub unsafe fn from_raw(first: NonNull<WSK_BUF_LIST>, owner: O) -> Result<Self, (Error, O)> {
        // INVARIANT: by the contract of this function.
        match (LockedList { first, longest: 0 }).checked() {
            // INVARIANT: the same.
            Ok(list) => Ok(Self {
                list,
                control: Control::new(),
                owner,
            }),
            Err(error) => Err((error, owner)),
        }
    }

    /// Gives the owner back. The list is not used any more.
    #[must_use]
    pub fn into_owner(self) -> O {
        self.owner
    }

    /// The control information that goes with each of the datagrams; none at first.
    #[must_use]
    pub const fn control_mut(&mut self) -> &mut Control<{ ControlMessage::SPACE_FOR_ALL }> {
        &mut self.control
    }

    /// The bytes of the control information.
    pub(super) fn control(&self) -> &[u8] {
        self.control.as_bytes()
    }

    /// The list, for WSK.
    pub(super) const fn list(&self) -> LockedList {
        self.list
    }
}

impl<O> fmt::Debug for DriverList<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverList")
            .field("longest", &self.list.longest)
            .finish_non_exhaustive()
    }
}
