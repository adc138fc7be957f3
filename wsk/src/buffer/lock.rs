//! [`Lock`]: the description of a buffer for one operation, and the pages that are locked for it (`MmProbeAndLockPages`).

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use wsk_sys::{IoAllocateMdl, IoFreeMdl, LOCK_OPERATION, MDL, MmUnlockPages, TryProbeAndLockPages};

use crate::buffer::Extent;
use crate::error::{Call, Error, Memory};
use crate::irp::Locked;
use crate::irql::may_touch_pageable;
use crate::memory::atomic::{AtomicBool, Ordering};
use crate::memory::event::KERNEL_MODE;

/// The place in an operation for its buffer: room for an [`Extent`], and the pages that were locked for it.
///
/// Implementations of [`SendBuffer`](crate::SendBuffer) and [`ReceiveBuffer`](crate::ReceiveBuffer) get one, and either pass it on
/// to a buffer inside them or [put an extent into it](Self::describe).
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
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
/// use core::ptr::NonNull;
/// use wsk::{Error, Extent, Lock, SendBuffer};
/// use wsk_sys::MDL;
///
/// /// Memory of a driver's, under an MDL that was built for nonpaged pool.
/// ///
/// /// # Invariants
/// ///
/// /// The MDL and its memory stay as they are while this exists.
/// struct Memory(NonNull<MDL>);
///
/// // SAFETY: by the invariant the extent stays valid. An MDL for nonpaged pool is mapped, so several operations may share it.
/// unsafe impl SendBuffer for Memory {
///     unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
///         // SAFETY: by the invariant the chain is valid, also until the operation is over, which borrows this or owns it.
///         unsafe {
///             let extent = Extent::new(self.0, 0, 18)?;
///             Ok(lock.describe(extent))
///         }
///     }
/// }
///
/// let memory = Memory(mdl);
/// assert_eq!(socket.send_to(&memory, to).wait()?, 18);
/// # assert_eq!(peer.recv(&mut [0; 32]).unwrap(), 18);
/// # drop(bytes);
/// # unsafe { wsk_sys::IoFreeMdl(mdl.as_ptr()) };
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[repr(transparent)]
pub struct Lock {
    locked: Locked,
}

impl Lock {
    /// What an operation has of a lock.
    #[inline]
    pub(crate) fn of(locked: &mut Locked) -> &mut Self {
        // SAFETY: the same layout, by `transparent`, with the same invariants.
        unsafe { &mut *core::ptr::from_mut(locked).cast() }
    }

    /// A lock that holds nothing.
    pub(crate) const fn new() -> Self {
        Self {
            locked: Locked {
                buffer: Extent::empty().as_wsk_buf(),
                pages: core::ptr::null_mut(),
                claimed: core::ptr::null(),
            },
        }
    }

    /// Describes memory that stays locked or is nonpaged.
    ///
    /// # Safety
    ///
    /// The extent is valid until the operation is over.
    #[inline]
    pub unsafe fn describe(&mut self, extent: Extent) -> &Extent {
        self.locked.buffer = extent.as_wsk_buf();
        // SAFETY: the place has what an extent is made of, by `transparent`; the caller vouches for it.
        unsafe { &*(&raw const self.locked.buffer).cast() }
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
        self.locked.claimed = in_use;
        Ok(())
    }

    /// Locks `length` bytes at `start`. IRQL: `<= APC_LEVEL`.
    ///
    /// # Safety
    ///
    /// Until the lock is unlocked the memory is valid for reads, for writes too with `IoWriteAccess`, and is neither freed nor
    /// unmapped.
    pub(super) unsafe fn pages(
        &mut self,
        start: NonNull<u8>,
        length: usize,
        access: LOCK_OPERATION,
    ) -> Result<&Extent, Error> {
        // SAFETY: the caller keeps the same contract, for one place.
        unsafe { self.pages_of(core::iter::once((start, length)), access, 0, length) }
    }

    /// Locks the bytes of several places, each given by start and length, as one chain, of which `length` bytes from `offset` on
    /// are used. IRQL: `<= APC_LEVEL`.
    ///
    /// # Safety
    ///
    /// As for [`pages`](Self::pages), for each place.
    pub(super) unsafe fn pages_of(
        &mut self,
        places: impl Iterator<Item = (NonNull<u8>, usize)>,
        access: LOCK_OPERATION,
        offset: usize,
        length: usize,
    ) -> Result<&Extent, Error> {
        let mut last: Option<NonNull<MDL>> = None;
        // Nothing is locked for nothing.
        for (start, length) in places.filter(|_| length > 0).filter(|place| place.1 > 0) {
            // SAFETY: the caller vouches for the memory of each place.
            let mdl = match unsafe { lock_pages(start, length, access) } {
                Ok(mdl) => mdl,
                Err(error) => {
                    self.unlock();
                    return Err(error);
                }
            };
            match last {
                // SAFETY: both MDLs were made here, are this lock's own, and nobody uses them yet.
                Some(last) => unsafe { (*last.as_ptr()).Next = mdl.as_ptr() },
                // INVARIANT: they head the chain, which is this lock's own.
                None => self.locked.pages = mdl.as_ptr(),
            }
            last = Some(mdl);
        }
        let extent = match NonNull::new(self.locked.pages) {
            // SAFETY: the chain was made and locked above, and stays until this is unlocked.
            Some(mdl) => match unsafe { Extent::new(mdl, offset, length) } {
                Ok(extent) => extent,
                Err(error) => {
                    self.unlock();
                    return Err(error);
                }
            },
            None => Extent::empty(),
        };
        // SAFETY: as above.
        Ok(unsafe { self.describe(extent) })
    }

    /// Unlocks what was locked. The operation is over, or was not begun.
    #[inline]
    pub(crate) fn unlock(&mut self) {
        if let Some(pages) = NonNull::new(self.locked.pages) {
            self.locked.pages = core::ptr::null_mut();
            // SAFETY: by the invariant the chain is this lock's own and locked, and no longer is in it. Who unlocks is done with it.
            unsafe { unlock_pages(pages) };
        }
        let claimed = core::mem::replace(&mut self.locked.claimed, core::ptr::null());
        // SAFETY: by the invariant it is null, or a flag that is still there.
        if let Some(in_use) = unsafe { claimed.as_ref() } {
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

/// An MDL of its own for the bytes, which are locked.
///
/// # Safety
///
/// As for [`Lock::pages`]. There are some bytes.
unsafe fn lock_pages(
    start: NonNull<u8>,
    length: usize,
    access: LOCK_OPERATION,
) -> Result<NonNull<MDL>, Error> {
    may_touch_pageable()?;
    let described = u32::try_from(length).map_err(|_| Error::NoMemory(Memory::Mdl))?;
    // SAFETY: the MDL is this function's own, and describes memory that the caller vouches for; it is locked at an IRQL that was
    // checked. Where that fails it is as it was before, has nothing to unlock, and is freed once.
    unsafe {
        let mdl = IoAllocateMdl(
            start.as_ptr().cast(),
            described,
            0,
            0,
            core::ptr::null_mut(),
        );
        let mdl = NonNull::new(mdl).ok_or(Error::NoMemory(Memory::Mdl))?;
        let status = TryProbeAndLockPages(mdl.as_ptr(), KERNEL_MODE, access);
        if status.is_success() {
            return Ok(mdl);
        }
        IoFreeMdl(mdl.as_ptr());
        Err(Error::Call {
            call: Call::MmProbeAndLockPages,
            status,
        })
    }
}

/// # Safety
///
/// The chain is the caller's own, with its pages locked, and what used it is done.
#[cold]
#[inline(never)]
unsafe fn unlock_pages(pages: NonNull<MDL>) {
    let mut next = pages.as_ptr();
    while !next.is_null() {
        let mdl = next;
        // SAFETY: the caller gives the chain, of which this MDL is a part, locked and not freed yet; its `Next` is read before it is.
        unsafe {
            next = (*mdl).Next;
            MmUnlockPages(mdl);
            IoFreeMdl(mdl);
        }
    }
}
