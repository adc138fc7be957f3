//! [`Lock`]: the extent of a buffer for one operation, and what the operation holds for it: locked pages, or a claim.

use core::fmt;

use crate::buffer::Extent;
use crate::error::Error;
pub use crate::irp::Lock;
use crate::memory::atomic::{AtomicBool, Ordering};

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

    /// Keeps the extent in the operation. Whoever passes it to WSK vouches for what it describes.
    #[inline]
    pub(super) fn put(&mut self, extent: Extent) -> &Extent {
        self.buffer = extent.as_wsk_buf();
        Extent::at(&self.buffer)
    }

    /// Claims a buffer that one operation at a time may use, for the operation of this lock.
    ///
    /// # Errors
    ///
    /// [`Error::BufferInUse`] while another operation has it.
    ///
    /// # Safety
    ///
    /// The flag serves this purpose only, and is there until the lock is unlocked.
    #[inline]
    pub(super) unsafe fn claim(&mut self, in_use: &AtomicBool) -> Result<(), Error> {
        if in_use.swap(true, Ordering::Acquire) {
            return Err(Error::BufferInUse);
        }
        // INVARIANT: the caller keeps the flag.
        self.claimed = in_use;
        Ok(())
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// Unlocks when dropped: for foreign code that may fail, or unwind.
///
/// It must not be moved once it has locked something, unless the extent was copied: moving the reference would invalidate pointers to the
/// extent in the lock.
pub(crate) struct UndoLock<'l> {
    lock: &'l mut Lock,
    locks: bool,
}

impl<'l> UndoLock<'l> {
    /// For a lock that may lock something if `locks`.
    #[inline]
    pub(crate) const fn new(lock: &'l mut Lock, locks: bool) -> Self {
        Self { lock, locks }
    }

    /// The lock.
    #[inline]
    pub(crate) const fn lock(&mut self) -> &mut Lock {
        self.lock
    }

    /// Leaves the lock as it is.
    #[inline]
    pub(crate) const fn done(&mut self) {
        self.locks = false;
    }
}

impl Drop for UndoLock<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.locks {
            self.lock.unlock();
        }
    }
}

/// An extent that one operation at a time may claim and use, or that any number may use.
///
/// # Invariants
///
/// As long as this is used, the chain of the extent is there, and as the [`SendBuffer`](crate::SendBuffer) that has this promises.
pub(super) struct Alone {
    extent: Extent,
    /// Whether only one operation at a time may use it.
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

    pub(super) const fn extent(&self) -> Extent {
        self.extent
    }

    /// The place of the extent, for an operation that owns it: no other operation can use it.
    pub(super) const fn owned(&self) -> &Extent {
        &self.extent
    }

    /// Changes the extent. No operation may use it.
    pub(super) const fn set(&mut self, extent: Extent) {
        self.extent = extent;
    }

    /// The flag by which an operation claims the extent, unless any number may use it. An extent without bytes need not be claimed.
    #[inline]
    pub(super) const fn to_claim(&self) -> Option<&AtomicBool> {
        if self.for_one && !self.extent.is_empty() {
            Some(&self.in_use)
        } else {
            None
        }
    }
}
