//! Several pieces of memory as one buffer: MDL chains, for scatter and gather.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use wsk_sys::{
    LOCK_OPERATION, MDL, MM_PAGE_PRIORITY, MdlMappingNoExecute, MmGetSystemAddressForMdlSafe,
};

use crate::buffer::{Extent, Lock, NonPagedBuffer, ReceiveBuffer, SendBuffer};
use crate::error::{Error, Memory};

/// `N` nonpaged buffers as one: their MDLs form a chain, which is linked once and used any number of times.
///
/// To link MDLs is to write them, so the chain takes the buffers for itself; [`into_parts`](Self::into_parts) gives them back,
/// each alone again. A part is as long as its buffer's length when it is taken. May be dropped at any IRQL up to
/// `DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind("127.0.0.1:0".parse().unwrap())?;
/// use wsk::{MdlChain, NonPagedBuffer};
///
/// let (header, body) = (NonPagedBuffer::copy_of(b"head")?, NonPagedBuffer::copy_of(b"and body")?);
/// let mut chain = MdlChain::new([header, body]);
/// assert_eq!(socket.send_to(&chain, to)?, 12);
/// chain.set_range(2, 5)?;
/// assert_eq!(socket.send_to(&chain, to)?, 5);
/// # let mut bytes = [0; 16];
/// # assert_eq!(peer.recv(&mut bytes).unwrap(), 12);
/// # assert_eq!(&bytes[..12], b"headand body");
/// # assert_eq!(peer.recv(&mut bytes).unwrap(), 5);
/// # assert_eq!(&bytes[..5], b"adand");
/// let [header, _body] = chain.into_parts();
/// assert_eq!(header.as_slice(), b"head");
/// # drop((header, _body, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The MDLs of the parts that are not empty are linked in order, with a null `Next` at the end, and each describes its
/// part's length. The extent lies in this chain. Once `kept` is set a provider may use the chain for ever, and this side
/// neither touches nor frees it.
pub struct MdlChain<const N: usize> {
    parts: [NonPagedBuffer; N],
    extent: Extent,
    kept: AtomicBool,
}

// SAFETY: the chain owns its buffers, and the extent points into them.
unsafe impl<const N: usize> Send for MdlChain<N> {}
// SAFETY: through `&MdlChain` bytes and MDLs are only read, by this side and by the provider, and the flag is atomic.
unsafe impl<const N: usize> Sync for MdlChain<N> {}

impl<const N: usize> MdlChain<N> {
    /// Links the buffers in this order; all of their bytes are in range. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn new(parts: [NonPagedBuffer; N]) -> Self {
        // INVARIANT: the empty extent is valid; the links are made below.
        let mut chain = Self {
            parts,
            extent: Extent::empty(),
            kept: AtomicBool::new(false),
        };
        let mut next = core::ptr::null_mut();
        for part in chain.parts.iter_mut().rev() {
            if let Some(mdl) = part.chain_to(next) {
                next = mdl.as_ptr();
            }
        }
        let length = chain.capacity();
        // The whole chain is always in range.
        let _ = chain.set_range(0, length);
        chain
    }

    /// Chooses the bytes to send, or to receive into: `length` of them, from `offset` on. All of them after
    /// [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the offset is not inside the first part that has bytes, as WSK asks, or the chain ends
    /// before the range does. The range is as it was.
    pub fn set_range(&mut self, offset: usize, length: usize) -> Result<(), Error> {
        let kept = *self.kept.get_mut();
        let mut parts = self.parts.iter().filter(|_| !kept);
        let first = parts.find_map(NonPagedBuffer::mdl);
        self.extent = match first {
            // SAFETY: by the invariant this heads a chain over nonpaged memory, which this owns.
            Some(mdl) => unsafe { Extent::new(mdl, offset, length) }?,
            None if offset == 0 && length == 0 => Extent::empty(),
            None => {
                return Err(Error::OutOfBounds {
                    end: offset.saturating_add(length),
                    length: 0,
                });
            }
        };
        Ok(())
    }

    /// The number of bytes in range.
    #[must_use]
    pub fn len(&self) -> usize {
        self.extent().len()
    }

    /// Whether there are no bytes in range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.extent().is_empty()
    }

    /// The number of bytes of all parts.
    #[must_use]
    pub fn capacity(&self) -> usize {
        if self.kept.load(Ordering::Relaxed) {
            return 0;
        }
        self.parts.iter().map(NonPagedBuffer::len).sum()
    }

    /// What is in range: nothing any more once the chain was kept.
    #[inline]
    fn extent(&self) -> Extent {
        if self.kept.load(Ordering::Relaxed) {
            return Extent::empty();
        }
        self.extent
    }

    /// The bytes of a part, whether in range or not; `None` when there are not so many parts.
    ///
    /// There are no bytes any more when a provider that broke its contract has kept the chain; see [`Error::Abandoned`].
    #[must_use]
    pub fn part(&self, index: usize) -> Option<&[u8]> {
        let part = self.parts.get(index)?;
        Some(if self.kept.load(Ordering::Relaxed) {
            &[]
        } else {
            part.as_slice()
        })
    }

    /// The bytes of a part, to be written; as [`part`](Self::part).
    #[must_use]
    pub fn part_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let part = self.parts.get_mut(index)?;
        Some(if *self.kept.get_mut() {
            &mut []
        } else {
            part.as_mut_slice()
        })
    }

    /// Gives the buffers back, each alone again.
    #[must_use]
    pub fn into_parts(self) -> [NonPagedBuffer; N] {
        let mut this = ManuallyDrop::new(self);
        this.unlink();
        // SAFETY: `this` is neither dropped nor used again, so the parts are moved out once; nothing else of it needs to be dropped.
        unsafe { core::ptr::read(&raw const this.parts) }
    }

    /// Makes each MDL what it was before it was linked, or leaves them all to the provider that has kept them.
    fn unlink(&mut self) {
        let kept = *self.kept.get_mut();
        for part in &mut self.parts {
            if kept {
                part.leave();
            } else {
                part.unchain();
            }
        }
    }
}

impl<const N: usize> Drop for MdlChain<N> {
    fn drop(&mut self) {
        self.unlink();
    }
}

impl<const N: usize> fmt::Debug for MdlChain<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MdlChain")
            .field("parts", &N)
            .field("extent", &self.extent)
            .finish_non_exhaustive()
    }
}

// SAFETY: while the chain is borrowed its MDLs, which were built for nonpaged pool, and its bytes stay as they are; those that are
// kept stay for ever.
unsafe impl<const N: usize> SendBuffer for MdlChain<N> {
    #[inline]
    fn lock(&self) -> Result<Lock<'_>, Error> {
        // SAFETY: the extent lies in the chain, which is borrowed with the flag; `unlink` leaves it alone once that is set.
        Ok(unsafe { Lock::keeping(self.extent(), &self.kept) })
    }
}

// SAFETY: the exclusive borrow keeps everything else away from the bytes; those that are kept are not looked at again.
unsafe impl<const N: usize> ReceiveBuffer for MdlChain<N> {
    #[inline]
    fn lock_mut(&mut self) -> Result<Lock<'_>, Error> {
        // SAFETY: as for sending: the extent lies in the chain, which `unlink` leaves alone once the flag is set.
        Ok(unsafe { Lock::keeping(self.extent(), &self.kept) })
    }
}

/// Bytes in `N` places anywhere, as one buffer: `&[u8]` to send, `&mut [u8]` to receive into. Each place's pages are locked for
/// the operation, at up to `APC_LEVEL`, and described by an MDL of its own.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind("127.0.0.1:0".parse().unwrap())?;
/// use wsk::SliceChain;
///
/// let (header, body) = ([1, 2, 3], [4; 100]);
/// assert_eq!(socket.send_to(&SliceChain::new([&header[..], &body]), to)?, 103);
/// # assert_eq!(peer.recv(&mut [0; 200]).unwrap(), 103);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// `offset` lies in the first slice that is not empty, and offset and length together in all of them; or both are 0.
#[derive(Debug)]
pub struct SliceChain<S, const N: usize> {
    slices: [S; N],
    offset: usize,
    length: usize,
}

impl<S: AsRef<[u8]>, const N: usize> SliceChain<S, N> {
    /// The slices in this order; all of their bytes are in range.
    #[must_use]
    pub fn new(slices: [S; N]) -> Self {
        let lengths = slices.iter().map(|slice| slice.as_ref().len());
        let length = lengths.fold(0, usize::saturating_add);
        // INVARIANT: all of them.
        Self {
            slices,
            offset: 0,
            length,
        }
    }

    /// Chooses the bytes to send, or to receive into: `length` of them, from `offset` on. All of them after
    /// [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As [`MdlChain::set_range`].
    pub fn set_range(&mut self, offset: usize, length: usize) -> Result<(), Error> {
        let mut lengths = self.slices.iter().map(|slice| slice.as_ref().len());
        let first = lengths.find(|&length| length > 0).unwrap_or(0);
        let total = lengths.fold(first, usize::saturating_add);
        if offset > first || (offset == first && length > 0) {
            return Err(Error::OutOfBounds {
                end: offset,
                length: first,
            });
        }
        let end = offset.saturating_add(length);
        if end > total {
            return Err(Error::OutOfBounds { end, length: total });
        }
        // INVARIANT: checked above.
        (self.offset, self.length) = (offset, length);
        Ok(())
    }

    /// The number of bytes in range.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes in range.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Gives the slices back.
    #[must_use]
    pub fn into_parts(self) -> [S; N] {
        self.slices
    }
}

// SAFETY: the slices are borrowed as long as the lock exists, so nothing writes or frees them; their pages are locked, by MDLs of
// the lock's own.
unsafe impl<const N: usize> SendBuffer for SliceChain<&[u8], N> {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        let parts = self
            .slices
            .iter()
            .map(|slice| (NonNull::from(*slice).cast(), slice.len()));
        // SAFETY: slices are valid for reads while they are borrowed, which is as long as the lock exists.
        unsafe {
            Lock::pages_of(
                parts,
                LOCK_OPERATION::IoReadAccess,
                self.offset,
                self.length,
            )
        }
    }
}

// SAFETY: the slices are borrowed exclusively as long as the lock exists; their pages are locked, by MDLs of the lock's own.
unsafe impl<const N: usize> ReceiveBuffer for SliceChain<&mut [u8], N> {
    fn lock_mut(&mut self) -> Result<Lock<'_>, Error> {
        let (offset, length) = (self.offset, self.length);
        let parts = self.slices.iter_mut().map(|slice| {
            let length = slice.len();
            (NonNull::from(&mut **slice).cast(), length)
        });
        // SAFETY: slices are valid for reads and writes while they are borrowed exclusively, which is as long as the lock exists.
        unsafe { Lock::pages_of(parts, LOCK_OPERATION::IoWriteAccess, offset, length) }
    }
}

/// An MDL chain of the driver's own to send from: of an IRP that was passed to it, say, or of a packet.
///
/// It may be sent from by several operations at once, each of which reads the chain, so all of it is mapped when this is made. To
/// receive into a chain takes a [`DriverMdlMut`].
#[derive(Debug)]
pub struct DriverMdl {
    extent: Extent,
}

// SAFETY: who calls `from_raw` vouches for the chain whatever thread has the result.
unsafe impl Send for DriverMdl {}
// SAFETY: through `&DriverMdl` the chain is only read: nothing writes its bytes, by the contract of `from_raw`, nor its MDLs, which
// are mapped.
unsafe impl Sync for DriverMdl {}

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
    /// * nobody else maps the MDLs in the meantime, unless they are mapped already.
    ///
    /// A result that is forgotten, or that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    pub unsafe fn from_raw(mdl: NonNull<MDL>, offset: usize, length: usize) -> Result<Self, Error> {
        // SAFETY: the caller vouches for the chain as long as the result exists, which is how long the extent is used.
        let extent = unsafe { Extent::new(mdl, offset, length) }?;
        let priority = MM_PAGE_PRIORITY::NormalPagePriority.0.cast_unsigned() | MdlMappingNoExecute;
        let (mut next, end) = (mdl.as_ptr(), offset.saturating_add(length));
        let mut seen = 0_usize;
        while seen < end && !next.is_null() {
            // SAFETY: the caller vouches for the chain, and that nobody else maps it now.
            unsafe {
                if MmGetSystemAddressForMdlSafe(next, priority).is_null() {
                    return Err(Error::NoMemory(Memory::Mapping));
                }
                seen = seen.saturating_add((*next).ByteCount as usize);
                next = (*next).Next;
            }
        }
        Ok(Self { extent })
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

// SAFETY: by the contract of `from_raw` the chain and its bytes stay as they are until this is dropped, and so while it is borrowed;
// it is mapped, and may be shared.
unsafe impl SendBuffer for DriverMdl {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        // SAFETY: the lock borrows from this, and until this is dropped the extent is valid by the contract of `from_raw`.
        Ok(unsafe { Lock::none(self.extent) })
    }
}

/// An MDL chain of the driver's own to receive into.
///
/// One operation at a time uses it, so it need not be mapped.
#[derive(Debug)]
pub struct DriverMdlMut {
    extent: Extent,
}

// SAFETY: who calls `from_raw` vouches for the chain whatever thread has the result.
unsafe impl Send for DriverMdlMut {}
// SAFETY: through `&DriverMdlMut` the chain is not used.
unsafe impl Sync for DriverMdlMut {}

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
    /// * no MDL of the chain is changed, linked elsewhere, mapped, unlocked, unmapped or freed;
    /// * the bytes of the part are neither read nor written while an operation has it.
    ///
    /// A result that is forgotten, or that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    pub unsafe fn from_raw(mdl: NonNull<MDL>, offset: usize, length: usize) -> Result<Self, Error> {
        // SAFETY: the caller vouches for the chain as long as the result exists, which is how long the extent is used.
        let extent = unsafe { Extent::new(mdl, offset, length) }?;
        Ok(Self { extent })
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

// SAFETY: by the contract of `from_raw` the chain stays as it is until this is dropped, and nothing else uses its bytes while an
// operation has it, which borrows it exclusively.
unsafe impl ReceiveBuffer for DriverMdlMut {
    fn lock_mut(&mut self) -> Result<Lock<'_>, Error> {
        // SAFETY: the lock borrows from this, and until this is dropped the extent is valid by the contract of `from_raw`.
        Ok(unsafe { Lock::none(self.extent) })
    }
}
