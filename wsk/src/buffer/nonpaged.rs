//! [`NonPagedBuffer`]: bytes in nonpaged pool with their MDL (`MmBuildMdlForNonPagedPool`).

#![forbid(unsafe_code)]

use core::fmt;
use core::ops::{Bound, RangeBounds};
use core::ptr::NonNull;

use wsk_sys::MDL;

use crate::buffer::Extent;
use crate::buffer::mdl::OwnMdl;
use crate::error::{Error, Memory};
use crate::memory::atomic::{AtomicBool, Ordering};
use crate::memory::{self, Row};

/// A buffer in nonpaged pool, with an MDL that is built once. It may be dropped at any IRQL up to `DISPATCH_LEVEL`.
///
/// The value is as large as a pointer, so moving it into an operation and back costs nothing.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// let mut buffer = wsk::NonPagedBuffer::new(1500)?;
/// buffer.as_mut_slice()[..5].copy_from_slice(b"hello");
/// assert_eq!(buffer.slice(1..5)?.len(), 4);
/// # drop(buffer);
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// After [`Error::Abandoned`] a provider may use the memory for ever. The buffer then [is lost](Self::is_lost) and has no bytes, and every
/// use of it fails with [`Error::BufferLost`].
///
/// # Invariants
///
/// With a capacity of zero there is no MDL; else the MDL describes all the bytes that there is room for, and is alone in its chain, unless
/// the buffer is part of a chain. The extent is the bytes of the row. Once `lost` is set a provider may use the whole block for ever, and
/// this crate neither touches nor frees it.
#[doc(alias("ExAllocatePool2", "ExAllocatePoolWithTag", "IoAllocateMdl"))]
pub struct NonPagedBuffer {
    block: Row<BufferHead, u8>,
}

/// The head of the block of a [`NonPagedBuffer`]. The bytes lie behind it.
struct BufferHead {
    extent: Extent,
    mdl: Option<OwnMdl>,
    lost: AtomicBool,
}

impl memory::RowHead for BufferHead {
    #[inline]
    fn is_left(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

impl NonPagedBuffer {
    /// Allocates `length` bytes of zeroes. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] when there is no memory for the bytes or for the MDL, or `length` is more than one MDL can
    /// describe.
    pub fn new(length: usize) -> Result<Self, Error> {
        let none = Error::NoMemory(Memory::Buffer);
        if u32::try_from(length).is_err() {
            return Err(none);
        }
        let head = BufferHead {
            extent: Extent::empty(),
            mdl: None,
            lost: AtomicBool::new(false),
        };
        let mut block = Row::zeroed(head, length).ok_or(none)?;
        if length > 0 {
            // INVARIANT: the MDL describes all of the bytes.
            let mdl = OwnMdl::over_row(&block)?;
            block.extent = Extent::of(mdl.place().as_ptr(), 0, length);
            block.mdl = Some(mdl);
        }
        Ok(Self { block })
    }

    /// Allocates a buffer that holds a copy of `bytes`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn copy_of(bytes: &[u8]) -> Result<Self, Error> {
        let mut buffer = Self::new(bytes.len())?;
        buffer.assign(bytes)?;
        Ok(buffer)
    }

    /// Whether a provider that broke its contract may still use the memory: see [`Error::Abandoned`].
    #[must_use]
    #[inline]
    pub fn is_lost(&self) -> bool {
        memory::RowHead::is_left(&*self.block)
    }

    /// The number of bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        if self.is_lost() {
            0
        } else {
            self.block.extent.len()
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of bytes that were allocated.
    #[must_use]
    pub fn capacity(&self) -> usize {
        if self.is_lost() {
            0
        } else {
            self.block.capacity()
        }
    }

    /// Sets the length: the number of bytes to send, or to receive into, up to the capacity. The bytes do not change.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// let mut buffer = wsk::NonPagedBuffer::new(1500)?;
    /// buffer.as_mut_slice()[..5].copy_from_slice(b"short");
    /// buffer.set_len(5)?;
    /// assert_eq!(buffer.as_slice(), b"short");
    /// buffer.set_len(buffer.capacity())?;
    /// # drop(buffer);
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] beyond the capacity; [`Error::BufferLost`].
    pub fn set_len(&mut self, length: usize) -> Result<(), Error> {
        if self.is_lost() {
            return Err(Error::BufferLost);
        }
        let capacity = self.block.capacity();
        if length > capacity {
            return Err(Error::OutOfBounds {
                end: length,
                length: capacity,
            });
        }
        // INVARIANT: no more than the capacity.
        self.block.set_length(length);
        self.block.extent = Extent::of(self.raw_mdl(), 0, length);
        Ok(())
    }

    /// Copies `bytes` into the buffer, and sets the length to theirs. Allocates nothing.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// let mut buffer = wsk::NonPagedBuffer::new(1500)?;
    /// buffer.assign(b"hello")?;
    /// assert_eq!(buffer.as_slice(), b"hello");
    /// # drop(buffer);
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] for more than the capacity; [`Error::BufferLost`].
    pub fn assign(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.set_len(bytes.len())?;
        memory::copy(bytes, self.as_mut_slice());
        Ok(())
    }

    /// The bytes; an empty slice when the buffer [is lost](Self::is_lost).
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        if self.is_lost() {
            return &[];
        }
        self.block.values()
    }

    /// The bytes, to be written; an empty slice when the buffer [is lost](Self::is_lost).
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        if self.is_lost() {
            return &mut [];
        }
        self.block.values_mut()
    }

    /// The part of the buffer in `range`, to send.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the range is not inside the buffer; [`Error::BufferLost`].
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<BufferSlice<'_>, Error> {
        if self.is_lost() {
            return Err(Error::BufferLost);
        }
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.len(),
        };
        if start > end || end > self.len() {
            return Err(Error::OutOfBounds {
                end: end.max(start),
                length: self.len(),
            });
        }
        // No more than the capacity, which fits 32 bits.
        #[allow(clippy::cast_possible_truncation)]
        let extent = Extent::of(self.raw_mdl(), start as u32, end - start);
        // INVARIANT: the range was checked.
        Ok(BufferSlice {
            buffer: self,
            extent,
        })
    }

    /// The MDL, for WSK: null if there is none.
    fn raw_mdl(&self) -> *mut MDL {
        let mdl = self.block.mdl.as_ref();
        mdl.map_or(core::ptr::null_mut(), |mdl| mdl.place().as_ptr())
    }

    /// The MDL and the number of bytes, if there are bytes.
    pub(super) fn mdl(&self) -> Option<(NonNull<MDL>, usize)> {
        let mdl = self.block.mdl.as_ref().filter(|_| !self.is_empty())?;
        Some((mdl.place(), self.len()))
    }

    /// The MDL to be changed. `None` if there is none, or if the buffer is lost.
    #[inline]
    fn mdl_mut(&mut self) -> Option<&mut OwnMdl> {
        if self.is_lost() {
            return None;
        }
        self.block.mdl.as_mut()
    }

    /// Makes the MDL describe only the bytes up to the length, and links it to `next`. Returns the MDL and the length. Returns `None`, and
    /// does nothing, if there are no bytes.
    ///
    /// Until [`unchain`](Self::unchain) the callers let nothing use the buffer alone.
    ///
    /// # Errors
    ///
    /// [`Error::BufferLost`].
    #[inline]
    pub(super) fn chain_to(
        &mut self,
        next: *mut MDL,
    ) -> Result<Option<(NonNull<MDL>, usize)>, Error> {
        if self.is_lost() {
            return Err(Error::BufferLost);
        }
        let length = self.block.extent.len();
        if length == 0 {
            return Ok(None);
        }
        let mdl = self.describe(next, length);
        Ok(mdl.map(|mdl| (mdl, length)))
    }

    /// Undoes [`chain_to`](Self::chain_to).
    #[inline]
    pub(super) fn unchain(&mut self) {
        // INVARIANT: the MDL describes the whole capacity, and is alone.
        self.describe(core::ptr::null_mut(), self.block.capacity());
    }

    /// Makes the MDL describe the first `count` bytes, and links it to `next`. Does nothing if there is no MDL, or the buffer is lost.
    #[inline]
    fn describe(&mut self, next: *mut MDL, count: usize) -> Option<NonNull<MDL>> {
        let mdl = self.mdl_mut()?;
        mdl.set_next(next);
        // The MDL was made for the whole capacity, which fits 32 bits.
        #[allow(clippy::cast_possible_truncation)]
        mdl.set_count(count as u32);
        Some(mdl.place())
    }

    /// Leaves the whole buffer to a provider that may use it for ever.
    pub(super) fn lose(&self) {
        self.block.lost.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn extent(&self) -> Result<&Extent, Error> {
        if self.is_lost() {
            return Err(Error::BufferLost);
        }
        Ok(&self.block.extent)
    }
}

impl AsRef<[u8]> for NonPagedBuffer {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsMut<[u8]> for NonPagedBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self.as_mut_slice()
    }
}

impl fmt::Debug for NonPagedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonPagedBuffer")
            .field("length", &self.len())
            .field("lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

/// A part of a [`NonPagedBuffer`], to send.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::NonPagedBuffer;
///
/// let buffer = NonPagedBuffer::copy_of(b"header and body")?;
/// let body = buffer.slice(11..)?;
/// assert_eq!(socket.send_to(&body, to).wait()?, 4);
/// # assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 4);
/// # drop((buffer, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The extent lies inside the buffer.
#[derive(Debug, Clone, Copy)]
pub struct BufferSlice<'b> {
    buffer: &'b NonPagedBuffer,
    extent: Extent,
}

impl BufferSlice<'_> {
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
    #[inline]
    pub(super) fn extent(&self) -> Result<Extent, Error> {
        self.buffer.extent()?;
        Ok(self.extent)
    }

    /// Leaves the buffer to a provider that may use it for ever.
    pub(super) fn lose(&self) {
        self.buffer.lose();
    }
}
