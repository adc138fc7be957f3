//! [`Extent`]: the bytes of an MDL chain that an operation uses (`WSK_BUF`).

use core::fmt;
use core::ptr::NonNull;

use wsk_sys::{MDL, MmGetMdlByteCount, WSK_BUF};

use crate::error::Error;

/// A part of an MDL chain, as WSK takes it: a `WSK_BUF`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let bytes = wsk::NonPagedBuffer::copy_of(b"a request's memory")?;
/// # let mdl = unsafe {
/// #     let mdl = wsk_sys::IoAllocateMdl(bytes.as_slice().as_ptr().cast_mut().cast(), 18, 0, 0, core::ptr::null_mut());
/// #     wsk_sys::MmBuildMdlForNonPagedPool(mdl);
/// #     core::ptr::NonNull::new(mdl).unwrap()
/// # };
/// use wsk::{Error, Extent};
///
/// // SAFETY: the MDL is over nonpaged pool, and is freed after the extent's last use.
/// let extent = unsafe { Extent::new(mdl, 2, 7) }?;
/// assert_eq!(extent.len(), 7);
/// assert_eq!(extent.as_wsk_buf().Offset, 2);
/// // SAFETY: as above.
/// let beyond = unsafe { Extent::new(mdl, 2, 17) };
/// assert_eq!(beyond.unwrap_err(), Error::OutOfBounds { end: 19, length: 18 });
/// # drop(bytes);
/// # unsafe { wsk_sys::IoFreeMdl(mdl.as_ptr()) };
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// It says where memory is, and whoever gives it to WSK vouches for that: with a length of zero the MDL is NULL; else it heads a chain of
/// locked or nonpaged memory, the offset lies inside its first MDL, and offset and length together inside the chain.
#[doc(alias = "WSK_BUF")]
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Extent {
    buffer: WSK_BUF,
}

// SAFETY: an extent says where memory is; who uses it vouches for that, on whatever thread.
unsafe impl Send for Extent {}
// SAFETY: through `&Extent` it is only read.
unsafe impl Sync for Extent {}

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
        // SAFETY: the caller vouches for the chain, of which this MDL is one; it is initialised, and its `Next` NULL or another one of
        // the chain.
        let look = |mdl: NonNull<MDL>| unsafe {
            let count = MmGetMdlByteCount(mdl.as_ptr()) as usize;
            (count, (*mdl.as_ptr()).Next)
        };
        let (first, mut next) = look(mdl);
        let Some(end) = offset.checked_add(length) else {
            return Err(Error::OutOfBounds {
                end: usize::MAX,
                length: first,
            });
        };
        if offset > first || (offset == first && length > 0) {
            return Err(Error::OutOfBounds {
                end: offset,
                length: first,
            });
        }
        let mut total = first;
        while total < end {
            let Some(mdl) = NonNull::new(next) else {
                return Err(Error::OutOfBounds { end, length: total });
            };
            let (count, after) = look(mdl);
            total += count;
            next = after;
        }
        // An offset inside one MDL fits its 32-bit byte count.
        #[allow(clippy::cast_possible_truncation)]
        let offset = offset as u32;
        // INVARIANT: checked above.
        Ok(Self::of(mdl.as_ptr(), offset, length))
    }

    /// The part of a chain at `mdl` of whose bytes, `total` in all, the first MDL has `first`, that starts at `offset` and is `length` bytes
    /// long.
    pub(super) fn within(
        mdl: *mut MDL,
        first: usize,
        total: usize,
        offset: usize,
        length: usize,
    ) -> Result<Self, Error> {
        let out_of_bounds = |end, length| Err(Error::OutOfBounds { end, length });
        let Some(end) = offset.checked_add(length) else {
            return out_of_bounds(usize::MAX, first);
        };
        if offset > first || (offset == first && length > 0) {
            return out_of_bounds(if first > 0 { offset } else { end }, first);
        }
        if end > total {
            return out_of_bounds(end, total);
        }
        // An offset inside one MDL fits its 32-bit byte count.
        #[allow(clippy::cast_possible_truncation)]
        // INVARIANT: checked above.
        Ok(Self::of(mdl, offset as u32, length))
    }

    /// The extent that begins as this one does, and has so many bytes, which was checked; there are some.
    pub(super) const fn of_length(self, length: usize) -> Self {
        let buffer = WSK_BUF {
            Length: length,
            ..self.buffer
        };
        Self { buffer }
    }

    /// The extent of what was checked. Where nothing is used the chain stays its owner's, whatever becomes of the operation.
    pub(super) const fn of(mdl: *mut MDL, offset: u32, length: usize) -> Self {
        if length == 0 {
            return Self::empty();
        }
        Self {
            buffer: WSK_BUF {
                Mdl: mdl,
                Offset: offset,
                Length: length,
            },
        }
    }

    /// The extent that a structure is.
    #[inline]
    pub(super) const fn at(buffer: &WSK_BUF) -> &Self {
        // SAFETY: the same layout, by `transparent`. What it says is vouched for by whoever uses it.
        unsafe { &*core::ptr::from_ref(buffer).cast() }
    }

    /// An extent without bytes, as of an empty datagram.
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

    /// The extent of a structure that came from one.
    ///
    /// # Safety
    ///
    /// The chain is there as long as the result is used.
    pub(crate) const unsafe fn from_wsk_buf(buffer: WSK_BUF) -> Self {
        // INVARIANT: it came from an extent.
        Self { buffer }
    }

    /// The part of the extent from byte `from` on: what is left to receive into.
    ///
    /// # Safety
    ///
    /// Its chain is there.
    pub(crate) unsafe fn rest(&self, from: usize) -> Self {
        let left = self.buffer.Length.saturating_sub(from);
        let (mut mdl, mut offset) = (self.buffer.Mdl, self.buffer.Offset as usize + from);
        while left > 0 && !mdl.is_null() {
            // SAFETY: by the invariant the chain, which the caller says is there, has the bytes of the extent, and so this MDL.
            let (count, next) = unsafe { (MmGetMdlByteCount(mdl) as usize, (*mdl).Next) };
            if offset < count {
                break;
            }
            offset -= count;
            mdl = next;
        }
        // INVARIANT: inside the MDL that was found, and the extent's end is the same. It fits 32 bits, as any offset inside an MDL does.
        #[allow(clippy::cast_possible_truncation)]
        Self::of(mdl, offset as u32, left)
    }

    /// The number of bytes.
    #[must_use]
    #[inline]
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

    /// The structure, where it lies.
    #[inline]
    pub(crate) fn place(&self) -> NonNull<WSK_BUF> {
        NonNull::from(self).cast()
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
