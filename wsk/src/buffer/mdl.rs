//! [`Extent`]: the bytes of an MDL chain that an operation uses (`WSK_BUF`). And types for MDLs: the MDLs of a chain, those that this crate
//! allocates or locks pages with, and the last one of a part, which is linked to the next part.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_sys::{
    IoAllocateMdl, IoFreeMdl, LOCK_OPERATION, MDL, MM_PAGE_PRIORITY, MdlMappingNoExecute,
    MmBuildMdlForNonPagedPool, MmGetMdlByteCount, MmGetSystemAddressForMdlSafe, MmUnlockPages,
    TryProbeAndLockPages, WSK_BUF,
};

use crate::error::{Call, Error, Memory};
use crate::irp::Lock;
use crate::irql::may_touch_pageable;
use crate::memory::atomic::Ordering;
use crate::memory::{Row, RowHead};
use crate::system::KERNEL_MODE;

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
/// An extent only contains an address; whoever passes it to WSK vouches for the memory. With a length of zero the MDL is NULL; else it
/// heads a chain of locked or nonpaged memory, the offset lies inside its first MDL, and offset and length together inside the chain.
#[doc(alias = "WSK_BUF")]
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Extent {
    buffer: WSK_BUF,
}

// SAFETY: an extent only contains an address; whoever uses it vouches for the memory, on whatever thread.
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
        // SAFETY: the caller vouches for the chain, which is there for this call.
        let (first, mut next) = unsafe { Mdl::of(mdl) }.look();
        Self::within(mdl.as_ptr(), first, offset, length, |end| {
            let mut total = first;
            while total < end
                && let Some(mdl) = next
            {
                let (count, behind) = mdl.look();
                total += count;
                next = behind;
            }
            total
        })
    }

    /// The structure as an extent.
    #[inline]
    pub(super) const fn at(buffer: &WSK_BUF) -> &Self {
        // SAFETY: the same layout, by `transparent`. Whoever uses the extent vouches for what it describes.
        unsafe { &*core::ptr::from_ref(buffer).cast() }
    }

    /// The part of a chain at `mdl` that starts at `offset` and is `length` bytes long. The first MDL has `first` bytes. `total` returns
    /// the number of bytes in the chain; it may stop counting at its argument.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the offset is not inside the first MDL, or the chain ends before the part does.
    pub(super) fn within(
        mdl: *mut MDL,
        first: usize,
        offset: usize,
        length: usize,
        total: impl FnOnce(usize) -> usize,
    ) -> Result<Self, Error> {
        let out_of_bounds = |end, length| Err(Error::OutOfBounds { end, length });
        let Some(end) = offset.checked_add(length) else {
            return out_of_bounds(usize::MAX, first);
        };
        if offset > first || (offset == first && length > 0) {
            return out_of_bounds(if first > 0 { offset } else { end }, first);
        }
        let total = total(end);
        if end > total {
            return out_of_bounds(end, total);
        }
        // An offset inside an MDL fits its 32-bit byte count.
        #[allow(clippy::cast_possible_truncation)]
        // INVARIANT: checked above.
        Ok(Self::of(mdl, offset as u32, length))
    }

    /// The extent with the same beginning and this length, which must be checked and not zero.
    pub(super) const fn of_length(self, length: usize) -> Self {
        let buffer = WSK_BUF {
            Length: length,
            ..self.buffer
        };
        Self { buffer }
    }

    /// The extent of checked values. Without bytes it does not refer to the chain, which stays its owner's whatever becomes of the
    /// operation.
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

    /// The place of the structure.
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

/// An MDL of a chain.
///
/// # Invariants
///
/// The MDL and those behind it are there for `'c`. Nothing changes their `Next` or their number of bytes meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mdl<'c> {
    place: NonNull<MDL>,
    chain: PhantomData<&'c MDL>,
}

impl Mdl<'_> {
    /// The MDL at a place.
    ///
    /// # Safety
    ///
    /// As the invariant asks.
    const unsafe fn of(place: NonNull<MDL>) -> Self {
        // INVARIANT: by the contract of this function.
        Self {
            place,
            chain: PhantomData,
        }
    }

    /// The number of bytes of the MDL, and the MDL behind it, if there is one.
    fn look(self) -> (usize, Option<Self>) {
        let mdl = self.place.as_ptr();
        // SAFETY: by the invariant the MDL is there, and nothing changes what is read.
        let (count, next) = unsafe { (MmGetMdlByteCount(mdl), (*mdl).Next) };
        // INVARIANT: `Next` is null, or points to another MDL of the chain.
        let next = NonNull::new(next).map(|place| Self {
            place,
            chain: PhantomData,
        });
        (count as usize, next)
    }
}

/// An MDL of a chain whose bytes can be read.
///
/// # Invariants
///
/// As for [`Mdl`]. For `'c` the pages of the MDL and of those behind it are locked or nonpaged, nothing else maps these MDLs, and nothing
/// writes their bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readable<'c>(Mdl<'c>);

impl<'c> Readable<'c> {
    /// The MDL at a place.
    ///
    /// # Safety
    ///
    /// As the invariant asks.
    pub(crate) const unsafe fn of(place: NonNull<MDL>) -> Self {
        // INVARIANT: by the contract of this function.
        Self(Mdl {
            place,
            chain: PhantomData,
        })
    }

    /// The number of bytes of the MDL, and the MDL behind it, if there is one.
    pub(super) fn look(self) -> (usize, Option<Self>) {
        let (count, next) = self.0.look();
        // INVARIANT: the next MDL is another one of the chain.
        (count, next.map(Self))
    }

    /// Maps the MDL, unless it is mapped, and returns the address of its first byte. `None` if it cannot be mapped.
    pub(super) fn map(self, flags: u32) -> Option<NonNull<u8>> {
        let priority = MM_PAGE_PRIORITY::NormalPagePriority.0.cast_unsigned() | MdlMappingNoExecute;
        // SAFETY: by the invariant the pages are locked or nonpaged, and nothing else maps the MDL.
        let start =
            unsafe { MmGetSystemAddressForMdlSafe(self.0.place.as_ptr(), priority | flags) };
        NonNull::new(start.cast())
    }

    /// At most `length` bytes from `from` on. `None` if the MDL cannot be mapped.
    pub(super) fn bytes(self, from: usize, length: usize, flags: u32) -> Option<&'c [u8]> {
        let (count, _) = self.look();
        let from = from.min(count);
        let length = length.min(count - from);
        let start = self.map(flags)?;
        // SAFETY: the MDL describes `count` bytes from `start` on, and these are some of them; by the invariant nothing writes them.
        Some(unsafe { core::slice::from_raw_parts(start.as_ptr().add(from), length) })
    }
}

/// The bytes of a chain that a `WSK_BUF` describes.
///
/// # Invariants
///
/// The structure is that of an extent. Its chain is there for `'c` as the invariant of [`Mdl`] says.
#[derive(Clone, Copy)]
pub(crate) struct Described<'c> {
    buffer: WSK_BUF,
    chain: PhantomData<&'c MDL>,
}

impl<'c> Described<'c> {
    /// The bytes that a structure describes.
    ///
    /// # Safety
    ///
    /// As the invariant asks.
    pub(crate) const unsafe fn of(buffer: WSK_BUF) -> Self {
        // INVARIANT: by the contract of this function.
        Self {
            buffer,
            chain: PhantomData,
        }
    }

    /// The bytes from byte `from` on, which are left to receive into.
    pub(crate) fn rest(self, from: usize) -> Extent {
        let left = self.buffer.Length.saturating_sub(from);
        let mut offset = self.buffer.Offset as usize + from;
        // INVARIANT: the chain is there.
        let mut next = NonNull::new(self.buffer.Mdl).map(|place| Mdl::<'c> {
            place,
            chain: PhantomData,
        });
        while let Some(mdl) = next
            && left > 0
        {
            let (count, behind) = mdl.look();
            if offset < count {
                break;
            }
            offset -= count;
            next = behind;
        }
        let mdl = next.map_or(core::ptr::null_mut(), |mdl| mdl.place.as_ptr());
        // INVARIANT: the offset lies inside the MDL that was found, and the extent's end is the same. It fits 32 bits, as any offset inside
        // an MDL does.
        #[allow(clippy::cast_possible_truncation)]
        Extent::of(mdl, offset as u32, left)
    }
}

/// Indicated bytes, as a `WSK_BUF` describes them.
///
/// # Invariants
///
/// As for [`Described`]. The first MDL, if there is one, is as the invariant of [`Readable`] says: the indicated bytes belong to one
/// callback, or to one value that is not `Sync`.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'d>(Described<'d>);

impl<'d> Payload<'d> {
    /// The bytes that a structure describes.
    ///
    /// # Safety
    ///
    /// As the invariant asks.
    #[inline]
    pub(crate) const unsafe fn of(buffer: WSK_BUF) -> Self {
        // INVARIANT: by the contract of this function.
        Self(Described {
            buffer,
            chain: PhantomData,
        })
    }

    /// The number of bytes.
    #[inline]
    pub(crate) const fn len(self) -> usize {
        self.0.buffer.Length
    }

    /// The structure.
    pub(super) const fn buffer(self) -> WSK_BUF {
        self.0.buffer
    }

    /// The first MDL.
    pub(super) fn first(self) -> Option<Readable<'d>> {
        // INVARIANT: by the invariant of `Payload`.
        NonNull::new(self.0.buffer.Mdl).map(|place| {
            Readable(Mdl {
                place,
                chain: PhantomData,
            })
        })
    }

    /// The bytes from byte `from` on.
    pub(crate) fn rest(self, from: usize) -> Extent {
        self.0.rest(from)
    }
}

/// An MDL that nothing else uses.
///
/// # Invariants
///
/// The MDL is there as long as this is used, and nothing else uses it while this is borrowed exclusively.
struct Exclusive(NonNull<MDL>);

impl Exclusive {
    #[inline]
    fn get(&mut self) -> &mut MDL {
        // SAFETY: by the invariant the MDL is there, and nothing else uses it.
        unsafe { self.0.as_mut() }
    }
}

/// An MDL that this crate has allocated. It is freed when it is dropped.
///
/// # Invariants
///
/// The MDL came from `IoAllocateMdl`, and nobody else has it. Whatever was locked with it is unlocked before this is dropped.
pub(super) struct OwnMdl(Exclusive);

// SAFETY: nobody else has the MDL, which lies in memory that is bound to no thread.
unsafe impl Send for OwnMdl {}
// SAFETY: `&OwnMdl` only gives out the place of the MDL.
unsafe impl Sync for OwnMdl {}

impl OwnMdl {
    /// An MDL over some bytes. Does not access their pages. IRQL: `<= DISPATCH_LEVEL`.
    fn over(start: NonNull<u8>, length: u32) -> Result<Self, Error> {
        let start = start.as_ptr().cast();
        // SAFETY: without an IRP nothing but the new MDL is written, and the address is only computed with.
        let mdl = unsafe { IoAllocateMdl(start, length, 0, 0, core::ptr::null_mut()) };
        // INVARIANT: freshly allocated.
        let mdl = NonNull::new(mdl).ok_or(Error::NoMemory(Memory::Mdl))?;
        Ok(Self(Exclusive(mdl)))
    }

    /// An MDL over all bytes of a row, built for nonpaged pool. IRQL: `<= DISPATCH_LEVEL`.
    pub(super) fn over_row<H: RowHead>(row: &Row<H, u8>) -> Result<Self, Error> {
        let length = u32::try_from(row.capacity()).map_err(|_| Error::NoMemory(Memory::Mdl))?;
        let mdl = Self::over(row.place().cast(), length)?;
        // SAFETY: only this function has the MDL, which describes the bytes of a row, which lies in nonpaged pool.
        unsafe { MmBuildMdlForNonPagedPool(mdl.place().as_ptr()) };
        Ok(mdl)
    }

    /// The place of the MDL, for WSK.
    #[inline]
    pub(super) const fn place(&self) -> NonNull<MDL> {
        self.0.0
    }

    /// Links the MDL to another one, or to none.
    #[inline]
    pub(super) fn set_next(&mut self, next: *mut MDL) {
        self.0.get().Next = next;
    }

    /// Sets how many of the bytes that the MDL was made for it describes.
    #[inline]
    pub(super) fn set_count(&mut self, count: u32) {
        self.0.get().ByteCount = count;
    }
}

impl Drop for OwnMdl {
    fn drop(&mut self) {
        // SAFETY: by the invariant the MDL was allocated, nobody else has it, and it has nothing to unlock; this is its end.
        unsafe { IoFreeMdl(self.place().as_ptr()) };
    }
}

/// Locked pages, described by MDLs of their own. Dropping this unlocks them: nothing may use them then.
///
/// # Invariants
///
/// `first` heads a chain of MDLs that were allocated for this, which nobody else has, each with its pages locked.
struct Pages {
    first: NonNull<MDL>,
}

impl Pages {
    /// Locks some bytes, and puts their MDL in front of `behind`.
    ///
    /// # Safety
    ///
    /// As for [`Lock::pages`], as long as the result exists.
    unsafe fn lock(
        start: NonNull<u8>,
        length: usize,
        access: LOCK_OPERATION,
        behind: Option<Self>,
    ) -> Result<Self, Error> {
        may_touch_pageable()?;
        let described = u32::try_from(length).map_err(|_| Error::NoMemory(Memory::Mdl))?;
        let mut mdl = OwnMdl::over(start, described)?;
        // SAFETY: only this function has the MDL, which describes memory that the caller vouches for; the IRQL was checked. If locking
        // fails, the MDL is as it was before, and has nothing to unlock.
        let status = unsafe { TryProbeAndLockPages(mdl.place().as_ptr(), KERNEL_MODE, access) };
        if !status.is_success() {
            return Err(Error::Call {
                call: Call::MmProbeAndLockPages,
                status,
            });
        }
        mdl.set_next(behind.map_or(core::ptr::null_mut(), Self::into_raw));
        // INVARIANT: the MDL is locked, and so are those behind it.
        let first = ManuallyDrop::new(mdl).place();
        Ok(Self { first })
    }

    /// Gives the chain away.
    fn into_raw(self) -> *mut MDL {
        ManuallyDrop::new(self).first.as_ptr()
    }
}

impl Drop for Pages {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        let mut next = Some(self.first);
        while let Some(first) = next {
            // INVARIANT: by the invariant of the pages the MDL was allocated for them, nobody else has it, and it is unlocked before it is
            // freed.
            let mut mdl = OwnMdl(Exclusive(first));
            next = NonNull::new(mdl.0.get().Next);
            // SAFETY: by the invariant its pages are locked.
            unsafe { MmUnlockPages(first.as_ptr()) };
        }
    }
}

impl Lock {
    /// Locks the bytes of several places as one chain, of which `length` bytes from `offset` on are used. Each place is given by its start
    /// and length. IRQL: `<= APC_LEVEL`.
    ///
    /// # Safety
    ///
    /// Until the lock is unlocked the memory of each place is valid for reads, for writes too with `IoWriteAccess`, and is neither freed
    /// nor unmapped.
    pub(super) unsafe fn pages(
        &mut self,
        places: impl DoubleEndedIterator<Item = (NonNull<u8>, usize)>,
        access: LOCK_OPERATION,
        offset: usize,
        length: usize,
    ) -> Result<&Extent, Error> {
        let (mut chain, mut first, mut total) = (None, 0, 0_usize);
        // From the last place to the first. An empty place is not locked, and neither is any place if no bytes are used.
        let places = places.filter(|place| length > 0 && place.1 > 0);
        for (start, length) in places.rev() {
            // SAFETY: the caller vouches for the memory of each place.
            let pages = unsafe { Pages::lock(start, length, access, chain) }?;
            (chain, first, total) = (Some(pages), length, total.saturating_add(length));
        }
        let extent = match &chain {
            Some(pages) => Extent::within(pages.first.as_ptr(), first, offset, length, |_| total)?,
            None => Extent::empty(),
        };
        // INVARIANT: the lock owns the chain.
        self.pages = chain.map_or(core::ptr::null_mut(), Pages::into_raw);
        Ok(self.put(extent))
    }

    /// Unlocks everything that was locked. The operation must be over, or its request not made.
    #[inline]
    pub(crate) fn unlock(&mut self) {
        if let Some(first) = NonNull::new(self.pages) {
            self.pages = core::ptr::null_mut();
            // INVARIANT: by the invariant of the lock it owned the chain, which is not in it any more.
            drop(Pages { first });
        }
        let claimed = core::mem::replace(&mut self.claimed, core::ptr::null());
        // SAFETY: by the invariant it is null, or points to a flag that is still there.
        if let Some(in_use) = unsafe { claimed.as_ref() } {
            in_use.store(false, Ordering::Release);
        }
    }
}

/// A part of a chain.
///
/// # Safety
///
/// As long as the part exists, wherever it is moved, the MDLs of its extent are there. While the part is [linked](LinkedParts) nothing else
/// uses them, and the extent stays the same.
pub(super) unsafe trait Part {
    /// The bytes of the part.
    fn extent(&self) -> Result<Extent, Error>;

    /// Whether the last MDL may describe fewer bytes than before, for as long as the part is linked.
    fn may_be_cut(&self) -> bool;

    /// The bytes of the part to be written, if they are in memory of this crate. Their place stays the same.
    fn own_bytes_mut(&mut self) -> Option<&mut [u8]>;
}

/// Parts of a chain, each perhaps linked to an MDL behind it. When this is dropped the MDLs of all parts are restored before any part is
/// dropped.
pub(super) struct LinkedParts<P: Part, const N: usize> {
    /// Dropped before the parts, whose MDLs the links have changed: before all of them, because one part may own the MDLs of another.
    links: [Option<Link>; N],
    parts: [P; N],
}

// SAFETY: the links point to MDLs of the parts, which may be sent.
unsafe impl<P: Part + Send, const N: usize> Send for LinkedParts<P, N> {}
// SAFETY: through `&LinkedParts` the parts are only shared, and the links are not used.
unsafe impl<P: Part + Sync, const N: usize> Sync for LinkedParts<P, N> {}

impl<P: Part, const N: usize> LinkedParts<P, N> {
    /// Parts that are not linked.
    pub(super) const fn new(parts: [P; N]) -> Self {
        Self {
            links: [const { None }; N],
            parts,
        }
    }

    /// A part.
    pub(super) fn get(&self, index: usize) -> Option<&P> {
        self.parts.get(index)
    }

    /// Gives the parts back, unlinked.
    pub(super) fn into_parts(self) -> [P; N] {
        self.parts
    }

    /// The bytes of a part to be written, if they are in memory of this crate.
    pub(super) fn own_bytes_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        self.parts.get_mut(index)?.own_bytes_mut()
    }

    /// Links the end of a part, which must have bytes, to an MDL behind it.
    ///
    /// # Errors
    ///
    /// Those of [`Link::of`]; then the part is not linked.
    pub(super) fn link_to(&mut self, index: usize, next: NonNull<MDL>) -> Result<(), Error> {
        if let Some((link, part)) = self.links.get_mut(index).zip(self.parts.get(index)) {
            // Undoes the link before.
            *link = None;
            // INVARIANT: the link is dropped before the part.
            *link = Some(Link::of(part, next.as_ptr())?);
        }
        Ok(())
    }
}

/// A part whose end is linked to an MDL, or to none. When this is dropped the MDLs of the part are restored.
pub(super) struct Leading<P: Part> {
    /// Dropped before the part, whose MDL the link has changed.
    link: Link,
    part: P,
}

// SAFETY: as for `LinkedParts`.
unsafe impl<P: Part + Send> Send for Leading<P> {}
// SAFETY: as for `LinkedParts`.
unsafe impl<P: Part + Sync> Sync for Leading<P> {}

impl<P: Part> Leading<P> {
    /// A part, which must have bytes, linked to no MDL.
    ///
    /// # Errors
    ///
    /// Those of [`Link::of`].
    pub(super) fn new(part: P) -> Result<Self, Error> {
        // INVARIANT: the link is dropped before the part.
        let link = Link::of(&part, core::ptr::null_mut())?;
        Ok(Self { link, part })
    }

    /// The part.
    pub(super) const fn part(&self) -> &P {
        &self.part
    }

    /// The bytes of the part to be written, if they are in memory of this crate.
    #[inline]
    pub(super) fn own_bytes_mut(&mut self) -> Option<&mut [u8]> {
        self.part.own_bytes_mut()
    }

    /// Links the part to another MDL, or to none.
    #[inline]
    pub(super) fn lead_to(&mut self, next: *mut MDL) {
        self.link.tail.get().Next = next;
    }
}

/// The last MDL that a part uses, linked to another one. When this is dropped the MDL is restored.
///
/// # Invariants
///
/// `next` and `count` are what the `Next` of the MDL and its number of bytes were.
struct Link {
    tail: Exclusive,
    next: *mut MDL,
    count: u32,
}

impl Link {
    /// Links the end of a part, which must have bytes, to an MDL or to none. If the part ends inside an MDL that may be cut, the MDL
    /// describes no bytes behind that end while the link exists. The callers keep the link no longer than the part.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] if the part ends inside an MDL that may not be cut: the rest of that MDL would come before the next part.
    /// Then nothing is linked. Also those of the part.
    fn of<P: Part>(part: &P, next: *mut MDL) -> Result<Self, Error> {
        let extent = part.extent()?;
        let length = extent.len();
        let inside = Error::OutOfBounds {
            end: length,
            length,
        };
        // SAFETY: by the promise of the part the MDLs of its extent are there.
        let bytes = unsafe { Described::of(extent.as_wsk_buf()) };
        let last = bytes.rest(length.saturating_sub(1)).as_wsk_buf();
        // INVARIANT: by the promise of the part nothing else uses the MDL, as long as the part is linked.
        let mut tail = Exclusive(NonNull::new(last.Mdl).ok_or(inside)?);
        let mdl = tail.get();
        let count = mdl.ByteCount;
        let end = last.Offset.saturating_add(1);
        if end != count && !part.may_be_cut() {
            return Err(inside);
        }
        mdl.ByteCount = end;
        let next = core::mem::replace(&mut mdl.Next, next);
        // INVARIANT: these are the values from before.
        Ok(Self { tail, next, count })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let (next, count) = (self.next, self.count);
        let mdl = self.tail.get();
        mdl.Next = next;
        mdl.ByteCount = count;
    }
}
