//! [`DriverMdl`], [`DriverMdlMut`]: MDL chains that a driver gets from elsewhere, for example with an IRP or a packet.

use core::fmt;
use core::ptr::NonNull;

use wsk_sys::{MDL, MM_PAGE_PRIORITY, MdlMappingNoExecute, MmGetSystemAddressForMdlSafe};

use crate::buffer::{Alone, Extent};
use crate::error::{Error, Memory};

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
/// use wsk::DriverMdl;
///
/// // SAFETY: the packet is this driver's until it completes it, on any thread; its MDLs are locked and in no other use.
/// let carried = unsafe { DriverMdl::with_owner((*packet).mdl, 0, (*packet).length, packet) };
/// let carried = carried?;
/// let request = socket.send_to(carried, to);
/// let started = request.start_with(|done| {
///     if let Some(carried) = done.buffer {
///         // SAFETY: it was sent, or not; either way it is this driver's again.
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
/// The extent, and its chain, are as [`from_raw`](Self::from_raw) asks, whatever thread has this, and through a shared reference the
/// chain, which is mapped, is only read; or as [`with_owner`](Self::with_owner) asks, and `alone` is for one operation: then the one that has
/// claimed it is the only one that uses the chain. The owner is not reached through a shared reference.
#[doc(alias("IoAllocateMdl", "MDL", "NET_BUFFER_LIST", "WDFREQUEST"))]
pub struct DriverMdl<O = ()> {
    alone: Alone,
    owner: O,
}

// SAFETY: whoever made this has said that the chain and the owner may be on any thread.
unsafe impl<O> Send for DriverMdl<O> {}
// SAFETY: through `&DriverMdl` the extent is read, and a flag changed, which is atomic; the owner is not reached.
unsafe impl<O> Sync for DriverMdl<O> {}

impl DriverMdl {
    /// The part of the chain at `mdl` that starts at `offset` and is `length` bytes long. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the offset is not inside the first MDL, or the chain ends before the part does;
    /// [`Error::NoMemory`] when the chain is not mapped and cannot be.
    ///
    /// # Safety
    ///
    /// `mdl` heads a chain of MDLs whose pages are locked for reading, or which were built for nonpaged pool. From now until
    /// the result is dropped, which the completion of the last operation that owns it may do on any thread at up to
    /// `DISPATCH_LEVEL`:
    ///
    /// * no MDL of the chain is changed, linked elsewhere, unlocked, unmapped or freed;
    /// * the bytes of the part are not written;
    /// * nobody else maps the MDLs in the meantime, unless they are mapped already;
    /// * nothing else uses the MDLs while the result is in a [`DriverChain`](crate::DriverChain), which links them.
    ///
    /// A result that is forgotten, or that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    pub unsafe fn from_raw(mdl: NonNull<MDL>, offset: usize, length: usize) -> Result<Self, Error> {
        let priority = MM_PAGE_PRIORITY::NormalPagePriority.0.cast_unsigned() | MdlMappingNoExecute;
        let (mut next, end) = (mdl.as_ptr(), offset.saturating_add(length));
        let mut seen = 0_usize;
        // SAFETY: the caller vouches for the chain as long as the result exists, which is how long the extent is used, and that nobody
        // else maps it now.
        let extent = unsafe {
            let extent = Extent::new(mdl, offset, length)?;
            while seen < end && !next.is_null() {
                if MmGetSystemAddressForMdlSafe(next, priority).is_null() {
                    return Err(Error::NoMemory(Memory::Mapping));
                }
                seen = seen.saturating_add((*next).ByteCount as usize);
                next = (*next).Next;
            }
            extent
        };
        // INVARIANT: mapped.
        Ok(Self {
            alone: Alone::shared(extent),
            owner: (),
        })
    }
}

impl<O> DriverMdl<O> {
    /// The part of the chain at `mdl` that starts at `offset` and is `length` bytes long, to be sent from by one operation at a time,
    /// with what owns it. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// With the owner: [`Error::OutOfBounds`] when the offset is not inside the first MDL, or the chain ends before the part does.
    ///
    /// # Safety
    ///
    /// `mdl` heads a chain of MDLs whose pages are locked for reading, or which were built for nonpaged pool. From now until
    /// the result is dropped, or [gives its owner back](Self::into_owner), which the completion of the operation that owns it may do
    /// on any thread at up to `DISPATCH_LEVEL`:
    ///
    /// * no MDL of the chain is used by anything else, changed, linked elsewhere, mapped, unlocked, unmapped or freed;
    /// * the bytes of the part are not written.
    ///
    /// The owner may be given to any thread, and dropped there, even where its type does not say so. A result that is forgotten, or
    /// that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    pub unsafe fn with_owner(
        mdl: NonNull<MDL>,
        offset: usize,
        length: usize,
        owner: O,
    ) -> Result<Self, (Error, O)> {
        // SAFETY: the caller vouches for the chain as long as the result exists, which is how long the extent is used.
        unsafe {
            match Extent::new(mdl, offset, length) {
                Ok(extent) => Ok(Self::of(extent, owner)),
                Err(error) => Err((error, owner)),
            }
        }
    }

    /// The extent of a chain that was checked, with what owns it.
    ///
    /// # Safety
    ///
    /// As for [`with_owner`](Self::with_owner).
    pub(crate) unsafe fn of(extent: Extent, owner: O) -> Self {
        // INVARIANT: the caller says so.
        Self {
            alone: Alone::new(extent),
            owner,
        }
    }

    /// Gives the owner back: the chain is no longer used.
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

    #[inline]
    pub(super) const fn is_for_one(&self) -> bool {
        self.alone.is_for_one()
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
/// use wsk::DriverMdlMut;
///
/// # let request = 7;
/// // SAFETY: the MDL is locked for writing, and this driver's alone until it completes the request, which is the owner.
/// let mut room = unsafe { DriverMdlMut::with_owner(mdl, 0, 18, request) }.map_err(|(error, _)| error)?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// let received = socket.receive_from(&mut room).wait()?;
/// assert_eq!(received.length(), 5);
/// let request = room.into_owner();
/// // Now it is completed.
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

// SAFETY: whoever made this has said that the chain and the owner may be on any thread.
unsafe impl<O> Send for DriverMdlMut<O> {}
// SAFETY: through `&DriverMdlMut` the extent is read; the owner is not reached.
unsafe impl<O> Sync for DriverMdlMut<O> {}

impl DriverMdlMut {
    /// The part of the chain at `mdl` that starts at `offset` and is `length` bytes long. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the offset is not inside the first MDL, or the chain ends before the part does.
    ///
    /// # Safety
    ///
    /// `mdl` heads a chain of MDLs whose pages are locked for writing, or which were built for nonpaged pool. From now until
    /// the result is dropped, which the completion of an operation that owns it may do on any thread at up to
    /// `DISPATCH_LEVEL`:
    ///
    /// * no MDL of the chain is changed, linked elsewhere, mapped, unlocked, unmapped or freed by anything
    ///   else;
    /// * nothing else looks at the MDLs while the result is in a [`DriverChain`](crate::DriverChain), which links them;
    /// * the bytes of the part are neither read nor written while an operation has it.
    ///
    /// A result that is forgotten, or that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    pub unsafe fn from_raw(mdl: NonNull<MDL>, offset: usize, length: usize) -> Result<Self, Error> {
        // SAFETY: the caller keeps the same contract; there is no owner.
        unsafe { Self::with_owner(mdl, offset, length, ()) }.map_err(|(error, ())| error)
    }
}

impl<O> DriverMdlMut<O> {
    /// As [`from_raw`](DriverMdlMut::from_raw), with what owns the chain. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// Those of [`from_raw`](DriverMdlMut::from_raw), with the owner.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](DriverMdlMut::from_raw), until the result is dropped or [gives its owner back](Self::into_owner). The owner
    /// may be given to any thread, and dropped there, even where its type does not say so.
    pub unsafe fn with_owner(
        mdl: NonNull<MDL>,
        offset: usize,
        length: usize,
        owner: O,
    ) -> Result<Self, (Error, O)> {
        // SAFETY: the caller vouches for the chain as long as the result exists, which is how long the extent is used.
        match unsafe { Extent::new(mdl, offset, length) } {
            // INVARIANT: the caller says so.
            Ok(extent) => Ok(Self { extent, owner }),
            Err(error) => Err((error, owner)),
        }
    }

    /// Gives the owner back: the chain is no longer used.
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
