//! [`Lock`]: the description of a buffer for one operation, and what holds it meanwhile: locked pages, or a claim.

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
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// Unlocks when dropped: for code of others that may fail, or unwind.
///
/// It is not moved once it has locked something: to move the reference would end what an extent in the lock is pointed at by.
pub(crate) struct UndoLock<'l> {
    lock: &'l mut Lock,
    locks: bool,
}

impl<'l> UndoLock<'l> {
    /// Of a buffer that may lock something, or does not.
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

    /// The flag that an operation claims it by, unless any number may use it. No bytes are nobody's.
    #[inline]
    pub(super) const fn to_claim(&self) -> Option<&AtomicBool> {
        if self.for_one && !self.extent.is_empty() {
            Some(&self.in_use)
        } else {
            None
        }
    }
}
