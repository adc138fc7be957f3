//! Buffers that WSK can send from and receive into: nonpaged memory described by an MDL chain.

use core::alloc::Layout;
use core::fmt;
use core::ops::{Bound, RangeBounds};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use wsk_sys::{
    IoAllocateMdl, IoFreeMdl, MDL, MmBuildMdlForNonPagedPool, MmGetMdlByteCount, WSK_BUF,
};

use crate::error::{Error, Memory};
use crate::memory;

/// A part of an MDL chain, as WSK takes it.
///
/// # Invariants
///
/// With a length of zero the MDL may be NULL; else it heads a chain of locked or nonpaged memory, the offset lies inside its
/// first MDL, and offset and length together inside the chain.
#[derive(Clone, Copy)]
pub struct Extent {
    buffer: WSK_BUF,
}

impl Extent {
    /// The part of the chain at `mdl` that starts at `offset` and is `length` bytes long.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the offset is not inside the first MDL, or the chain ends before the part does.
    ///
    /// # Safety
    ///
    /// `mdl` heads a valid chain of MDLs over locked or nonpaged memory, which outlives the extent's use.
    pub unsafe fn new(mdl: NonNull<MDL>, offset: usize, length: usize) -> Result<Self, Error> {
        // SAFETY: the caller vouches for the chain.
        let first = unsafe { MmGetMdlByteCount(mdl.as_ptr()) } as usize;
        let end = offset.checked_add(length).ok_or(Error::OutOfBounds {
            end: usize::MAX,
            length: first,
        })?;
        if offset > first || (offset == first && length > 0) {
            return Err(Error::OutOfBounds {
                end: offset,
                length: first,
            });
        }
        let mut total = first;
        // SAFETY: the caller vouches for the chain.
        let mut next = unsafe { (*mdl.as_ptr()).Next };
        while total < end {
            let Some(mdl) = NonNull::new(next) else {
                return Err(Error::OutOfBounds { end, length: total });
            };
            // SAFETY: the caller vouches for the chain.
            unsafe {
                total += MmGetMdlByteCount(mdl.as_ptr()) as usize;
                next = (*mdl.as_ptr()).Next;
            }
        }
        // An offset inside one MDL fits its 32-bit byte count.
        #[allow(clippy::cast_possible_truncation)]
        let buffer = WSK_BUF {
            Mdl: mdl.as_ptr(),
            Offset: offset as u32,
            Length: length,
        };
        // INVARIANT: checked above.
        Ok(Self { buffer })
    }

    /// No bytes at all, as for an empty datagram.
    #[must_use]
    pub const fn empty() -> Self {
        // INVARIANT: the length is zero.
        Self {
            buffer: WSK_BUF {
                Mdl: core::ptr::null_mut(),
                Offset: 0,
                Length: 0,
            },
        }
    }

    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.buffer.Length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.buffer.Length == 0
    }

    /// The structure that WSK takes.
    #[must_use]
    pub const fn as_wsk_buf(&self) -> WSK_BUF {
        self.buffer
    }
}

impl fmt::Debug for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extent")
            .field("offset", &self.buffer.Offset)
            .field("length", &self.buffer.Length)
            .finish()
    }
}

/// Memory that a datagram can be sent from.
///
/// # Safety
///
/// Until the borrow that [`extent`](Self::extent) was called through ends, the extent stays valid: its MDL chain is neither
/// changed nor unlocked nor freed, and the bytes it describes are not written.
///
/// After [`abandon`](Self::abandon) that holds for ever: the provider has broken its contract and may still read.
pub unsafe trait SendBuffer {
    /// The bytes to send.
    fn extent(&self) -> Extent;

    /// Told when the provider may go on reading for ever.
    fn abandon(&self);
}

/// Memory that a datagram can be received into.
///
/// # Safety
///
/// Until the borrow that [`extent_mut`](Self::extent_mut) was called through ends, the extent stays valid: its MDL chain is
/// neither changed nor unlocked nor freed, and nothing else reads or writes the bytes it describes, which may be written.
///
/// After [`abandon_mut`](Self::abandon_mut) that holds for ever: the provider has broken its contract and may still write.
pub unsafe trait ReceiveBuffer {
    /// The room to receive into.
    fn extent_mut(&mut self) -> Extent;

    /// Told when the provider may go on writing for ever.
    fn abandon_mut(&mut self);
}

/// Bytes in nonpaged pool with their MDL, built once and used any number of times.
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
/// # Invariants
///
/// With a length of zero there is neither block nor MDL. Else `block` is a pool block of `length` initialised bytes, and
/// `mdl` describes exactly these and is alone in its chain. Both are this buffer's own; once `lent_for_ever` is set the
/// provider may read them, and they are neither written nor freed.
pub struct NonPagedBuffer {
    block: NonNull<u8>,
    length: usize,
    mdl: *mut MDL,
    lent_for_ever: AtomicBool,
}

// SAFETY: the buffer owns its block and MDL, which are not bound to a thread.
unsafe impl Send for NonPagedBuffer {}
// SAFETY: through `&NonPagedBuffer` the bytes are only read, by this side and by the provider.
unsafe impl Sync for NonPagedBuffer {}

impl NonPagedBuffer {
    /// Allocates `length` bytes of zeroes. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] when there is no memory for the bytes or for the MDL, or `length` is more than one MDL can
    /// describe.
    pub fn new(length: usize) -> Result<Self, Error> {
        let mut buffer = Self {
            block: NonNull::dangling(),
            length: 0,
            mdl: core::ptr::null_mut(),
            lent_for_ever: AtomicBool::new(false),
        };
        if length == 0 {
            return Ok(buffer);
        }
        let (Ok(layout), Ok(described)) = (Layout::array::<u8>(length), u32::try_from(length))
        else {
            return Err(Error::NoMemory(Memory::Buffer));
        };
        let block = memory::allocate(layout).ok_or(Error::NoMemory(Memory::Buffer))?;
        // SAFETY: the block is `length` bytes, ours alone, and nonpaged, as the MDL functions here ask; a failed allocation
        // of the MDL leaves the block to be freed.
        unsafe {
            block.write_bytes(0, length);
            let mdl = IoAllocateMdl(
                block.as_ptr().cast(),
                described,
                0,
                0,
                core::ptr::null_mut(),
            );
            if mdl.is_null() {
                memory::free(block);
                return Err(Error::NoMemory(Memory::Mdl));
            }
            MmBuildMdlForNonPagedPool(mdl);
            // INVARIANT: a block of `length` initialised bytes, and the MDL over it.
            buffer.block = block;
            buffer.length = length;
            buffer.mdl = mdl;
        }
        Ok(buffer)
    }

    /// Allocates a buffer that holds a copy of `bytes`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn copy_of(bytes: &[u8]) -> Result<Self, Error> {
        let mut buffer = Self::new(bytes.len())?;
        buffer.as_mut_slice().copy_from_slice(bytes);
        Ok(buffer)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes.
    #[must_use]
    pub const fn as_slice(&self) -> &[u8] {
        // SAFETY: by the invariant there are `length` initialised bytes (none at a dangling pointer), and nothing writes
        // them while the buffer is borrowed.
        unsafe { core::slice::from_raw_parts(self.block.as_ptr(), self.length) }
    }

    /// The bytes, to be written.
    ///
    /// The slice is empty when a provider that broke its contract has kept the buffer; see [`Error::Abandoned`].
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.forsake_if_lent();
        // SAFETY: as for `as_slice`; the buffer is borrowed exclusively, and no provider has kept it.
        unsafe { core::slice::from_raw_parts_mut(self.block.as_ptr(), self.length) }
    }

    /// The part of the buffer in `range`, to be sent.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the range is not inside the buffer.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<BufferSlice<'_>, Error> {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.length,
        };
        if start > end || end > self.length {
            return Err(Error::OutOfBounds {
                end: end.max(start),
                length: self.length,
            });
        }
        // INVARIANT: the range was checked.
        Ok(BufferSlice {
            buffer: self,
            start,
            length: end - start,
        })
    }

    fn part(&self, start: usize, length: usize) -> Extent {
        match NonNull::new(self.mdl) {
            // SAFETY: by the invariant the MDL describes the bytes; callers keep the buffer borrowed.
            Some(mdl) if length > 0 => {
                unsafe { Extent::new(mdl, start, length) }.unwrap_or(Extent::empty())
            }
            _ => Extent::empty(),
        }
    }

    /// Lets go of memory that a provider keeps; the buffer is empty from then on.
    fn forsake_if_lent(&mut self) {
        if *self.lent_for_ever.get_mut() {
            // INVARIANT: no block, no MDL. What they were is leaked on purpose.
            self.block = NonNull::dangling();
            self.length = 0;
            self.mdl = core::ptr::null_mut();
            *self.lent_for_ever.get_mut() = false;
        }
    }
}

impl Drop for NonPagedBuffer {
    fn drop(&mut self) {
        self.forsake_if_lent();
        if !self.mdl.is_null() {
            // SAFETY: by the invariant the MDL and the block are the buffer's own; nothing has kept them. An MDL built for
            // nonpaged pool has nothing to unlock.
            unsafe {
                IoFreeMdl(self.mdl);
                memory::free(self.block);
            }
        }
    }
}

impl fmt::Debug for NonPagedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonPagedBuffer")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

// SAFETY: while the buffer is borrowed its MDL and bytes stay as they are, and after `abandon` they are never written or
// freed.
unsafe impl SendBuffer for NonPagedBuffer {
    fn extent(&self) -> Extent {
        self.part(0, self.length)
    }

    fn abandon(&self) {
        self.lent_for_ever.store(true, Ordering::Relaxed);
    }
}

// SAFETY: the exclusive borrow keeps everything else away from the bytes; after `abandon_mut` the buffer has forgotten them.
unsafe impl ReceiveBuffer for NonPagedBuffer {
    fn extent_mut(&mut self) -> Extent {
        self.forsake_if_lent();
        self.part(0, self.length)
    }

    fn abandon_mut(&mut self) {
        *self.lent_for_ever.get_mut() = true;
        self.forsake_if_lent();
    }
}

/// A part of a [`NonPagedBuffer`], to be sent.
///
/// # Invariants
///
/// `start` and `length` lie inside the buffer.
#[derive(Debug, Clone, Copy)]
pub struct BufferSlice<'b> {
    buffer: &'b NonPagedBuffer,
    start: usize,
    length: usize,
}

impl BufferSlice<'_> {
    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

// SAFETY: the slice borrows the buffer, whose promise it passes on.
unsafe impl SendBuffer for BufferSlice<'_> {
    fn extent(&self) -> Extent {
        self.buffer.part(self.start, self.length)
    }

    fn abandon(&self) {
        self.buffer.abandon();
    }
}
