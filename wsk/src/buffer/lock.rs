//! [`Lock`]: the description of a buffer for one operation, and the pages that are locked for it (`MmProbeAndLockPages`).

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_sys::{IoAllocateMdl, IoFreeMdl, LOCK_OPERATION, MDL, MmUnlockPages, TryProbeAndLockPages};

use crate::buffer::Extent;
use crate::error::{Call, Error, Memory};
pub use crate::irp::Lock;
use crate::irql::may_touch_pageable;
use crate::memory::atomic::{AtomicBool, Ordering};
use crate::memory::objects::KERNEL_MODE;

impl Lock {
    /// A lock that holds nothing.
    pub(crate) const fn new() -> Self {
        Self {
            buffer: Extent::empty().as_wsk_buf(),
            pages: core::ptr::null_mut(),
            claimed: core::ptr::null(),
        }
    }

    /// Describes memory that stays locked or is nonpaged.
    ///
    /// # Safety
    ///
    /// The extent is valid until the operation is over.
    #[inline]
    pub unsafe fn describe(&mut self, extent: Extent) -> &Extent {
        self.put(extent)
    }

    /// The extent, in the operation: whoever gives it to WSK vouches for what it says.
    #[inline]
    pub(super) fn put(&mut self, extent: Extent) -> &Extent {
        self.buffer = extent.as_wsk_buf();
        Extent::at(&self.buffer)
    }

    /// Claims a buffer that one operation at a time may use, for this one.
    ///
    /// # Errors
    ///
    /// [`Error::BufferInUse`] while another one has it.
    ///
    /// # Safety
    ///
    /// The flag, which is for nothing else, is there until the lock is unlocked.
    #[inline]
    pub(super) unsafe fn claim(&mut self, in_use: &AtomicBool) -> Result<(), Error> {
        if in_use.swap(true, Ordering::Acquire) {
            return Err(Error::BufferInUse);
        }
        // INVARIANT: the caller keeps the flag.
        self.claimed = in_use;
        Ok(())
    }

    /// Locks the bytes of several places, each given by start and length, as one chain, of which `length` bytes from `offset` on
    /// are used. IRQL: `<= APC_LEVEL`.
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
        // From the last to the first. Nothing is locked for nothing.
        let places = places.filter(|place| length > 0 && place.1 > 0);
        for (start, length) in places.rev() {
            // SAFETY: the caller vouches for the memory of each place.
            let pages = unsafe { Pages::lock(start, length, access, chain) }?;
            (chain, first, total) = (Some(pages), length, total.saturating_add(length));
        }
        let extent = match &chain {
            Some(pages) => Extent::within(pages.first.as_ptr(), first, total, offset, length)?,
            None => Extent::empty(),
        };
        // INVARIANT: the chain is this lock's own.
        self.pages = chain.map_or(core::ptr::null_mut(), Pages::into_raw);
        Ok(self.put(extent))
    }

    /// Unlocks what was locked. The operation is over, or was not begun.
    #[inline]
    pub(crate) fn unlock(&mut self) {
        let pages = NonNull::new(self.pages);
        if pages.is_some() {
            self.pages = core::ptr::null_mut();
        }
        let claimed = core::mem::replace(&mut self.claimed, core::ptr::null());
        // SAFETY: by the invariant the chain is this lock's own, and no longer is in it; and the flag is null, or still there.
        let (pages, claimed) = unsafe {
            let pages = pages.map(|pages| Pages::from_raw(pages));
            (pages, claimed.as_ref())
        };
        drop(pages);
        if let Some(in_use) = claimed {
            in_use.store(false, Ordering::Release);
        }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// Unlocks when dropped: for code of others that may fail, or unwind.
///
/// # Invariants
///
/// The lock is borrowed exclusively for `'l`. It is not held by reference: to move one would end what an extent in the lock is
/// pointed at by.
pub(crate) struct Undo<'l> {
    lock: NonNull<Lock>,
    locks: bool,
    borrowed: PhantomData<&'l mut Lock>,
}

impl<'l> Undo<'l> {
    /// Of a buffer that may have locked something, or has not.
    #[inline]
    pub(crate) fn new(lock: &'l mut Lock, locks: bool) -> Self {
        Self {
            lock: NonNull::from(lock),
            locks,
            borrowed: PhantomData,
        }
    }

    /// The lock.
    #[inline]
    pub(crate) fn lock(&mut self) -> &mut Lock {
        // SAFETY: by the invariant the lock is borrowed exclusively, and this is.
        unsafe { self.lock.as_mut() }
    }

    /// Leaves the lock as it is.
    #[inline]
    pub(crate) fn done(self) {
        core::mem::forget(self);
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.locks {
            self.lock().unlock();
        }
    }
}

/// Locked pages, described by MDLs of their own. Dropped, they are unlocked: who unlocks them is done with them.
///
/// # Invariants
///
/// `first` heads a chain of MDLs that were allocated for this, which nobody else has, each with its pages locked.
struct Pages {
    first: NonNull<MDL>,
}

impl Pages {
    /// Locks some bytes, in front of others.
    ///
    /// # Safety
    ///
    /// As for [`Lock::pages`], as long as the result is there.
    unsafe fn lock(
        start: NonNull<u8>,
        length: usize,
        access: LOCK_OPERATION,
        behind: Option<Self>,
    ) -> Result<Self, Error> {
        may_touch_pageable()?;
        let described = u32::try_from(length).map_err(|_| Error::NoMemory(Memory::Mdl))?;
        // SAFETY: the MDL is this function's own, and describes memory that the caller vouches for; it is locked at an IRQL that was
        // checked. Where that fails it is as it was before, has nothing to unlock, and is freed once.
        unsafe {
            let start = start.as_ptr().cast();
            let mdl = IoAllocateMdl(start, described, 0, 0, core::ptr::null_mut());
            let mdl = NonNull::new(mdl).ok_or(Error::NoMemory(Memory::Mdl))?;
            let status = TryProbeAndLockPages(mdl.as_ptr(), KERNEL_MODE, access);
            if status.is_success() {
                (*mdl.as_ptr()).Next = behind.map_or(core::ptr::null_mut(), Self::into_raw);
                return Ok(Self { first: mdl });
            }
            IoFreeMdl(mdl.as_ptr());
            Err(Error::Call {
                call: Call::MmProbeAndLockPages,
                status,
            })
        }
    }

    /// Gives the chain away: [`from_raw`](Self::from_raw) takes it back.
    fn into_raw(self) -> *mut MDL {
        ManuallyDrop::new(self).first.as_ptr()
    }

    /// Takes a chain back.
    ///
    /// # Safety
    ///
    /// It came from [`into_raw`](Self::into_raw), and is taken back once.
    const unsafe fn from_raw(first: NonNull<MDL>) -> Self {
        // INVARIANT: the caller says so.
        Self { first }
    }
}

impl Drop for Pages {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        let mut next = self.first.as_ptr();
        while !next.is_null() {
            let mdl = next;
            // SAFETY: by the invariant the MDL is this one's, locked and not freed yet; its `Next` is read before it is.
            unsafe {
                next = (*mdl).Next;
                MmUnlockPages(mdl);
                IoFreeMdl(mdl);
            }
        }
    }
}

/// An extent that one operation at a time may use, which claims it, unless it may be shared.
pub(super) struct Alone {
    extent: Extent,
    /// Whether it is for one operation at a time.
    for_one: bool,
    in_use: AtomicBool,
}

impl Alone {
    /// An extent that no operation uses.
    pub(super) fn new(extent: Extent) -> Self {
        Self {
            extent,
            for_one: true,
            in_use: AtomicBool::new(false),
        }
    }

    /// An extent that any number of operations may use.
    pub(super) fn shared(extent: Extent) -> Self {
        Self {
            for_one: false,
            ..Self::new(extent)
        }
    }

    #[inline]
    pub(super) const fn is_for_one(&self) -> bool {
        self.for_one
    }

    pub(super) const fn extent(&self) -> Extent {
        self.extent
    }

    /// Where it lies, for an operation that nobody else can use it beside.
    pub(super) const fn owned(&self) -> &Extent {
        &self.extent
    }

    /// Another extent, while no operation uses this.
    pub(super) const fn set(&mut self, extent: Extent) {
        self.extent = extent;
    }

    /// Whether an operation uses it.
    #[inline]
    pub(super) const fn in_use(&self) -> &AtomicBool {
        &self.in_use
    }
}
