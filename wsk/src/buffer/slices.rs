//! Bytes anywhere, whose pages are locked for the operation: slices, arrays, and several slices as one buffer.

use core::ptr::NonNull;

use wsk_sys::LOCK_OPERATION;

use crate::buffer::{Extent, Lock, ReceiveBuffer, SendBuffer};
use crate::error::Error;

/// Bytes anywhere, whose pages are locked for the operation, at up to `APC_LEVEL`.
///
/// [`MmProbeAndLockPages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmprobeandlockpages) raises an
/// exception when there is nothing to lock pages with; it is caught, and becomes an error. A page can be locked some tens of
/// thousands of times at once, no more. Use a [`NonPagedBuffer`](crate::NonPagedBuffer), which needs no lock, for what is sent often
/// or many times at once.
// SAFETY: the slice is borrowed until the operation is over, so nothing writes or frees it; its pages are locked, by an MDL of the
// lock's own.
unsafe impl SendBuffer for [u8] {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        let start = NonNull::from(self).cast();
        // SAFETY: a slice is valid for reads while it is borrowed, which is until it is unlocked, as the caller says.
        unsafe { lock.pages(start, self.len(), LOCK_OPERATION::IoReadAccess) }
    }

    /// Nothing is locked for nothing.
    fn abandon(&self) -> bool {
        self.is_empty()
    }

    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        this.is_empty()
    }
}

// SAFETY: the slice is borrowed exclusively until the operation is over; its pages are locked, by an MDL of the lock's own.
unsafe impl ReceiveBuffer for [u8] {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        let length = self.len();
        let start = NonNull::from(self).cast();
        // SAFETY: a slice is valid for reads and writes while it is borrowed exclusively, which is until it is unlocked, as the caller
        // says.
        unsafe { lock.pages(start, length, LOCK_OPERATION::IoWriteAccess) }
    }

    /// Nothing is locked for nothing.
    fn abandon(&self) -> bool {
        self.is_empty()
    }

    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        this.is_empty()
    }
}

/// What is locked as all of its bytes are, as a slice.
macro_rules! as_slice {
    ($(#[$attribute:meta])* [$($generics:tt)*] $Owner:ty { $($abandon:tt)* }) => {
        $(#[$attribute])*
        // SAFETY: the lock is that of all its bytes as a slice, which promises the same. They stay where they are until the owner is
        // moved, changed or dropped, which is after it is unlocked.
        unsafe impl<$($generics)*> SendBuffer for $Owner {
            unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
                // SAFETY: the caller keeps the same contract.
                unsafe { self[..].lock(lock) }
            }

            $($abandon)*
        }

        $(#[$attribute])*
        // SAFETY: as for sending; the owner is borrowed exclusively.
        unsafe impl<$($generics)*> ReceiveBuffer for $Owner {
            unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
                // SAFETY: the caller keeps the same contract.
                unsafe { self[..].lock_mut(lock) }
            }

            $($abandon)*
        }
    };
}

as_slice!([const N: usize] [u8; N] {
    /// Nothing is locked for nothing.
    fn abandon(&self) -> bool {
        N == 0
    }

    unsafe fn abandon_at(_: NonNull<Self>) -> bool {
        N == 0
    }
});

as_slice! {
    /// Bytes from the global allocator, as many as there are; a vector does not grow. With the feature `alloc`.
    ///
    /// Their pages are locked for each operation, as those of a slice, at up to `APC_LEVEL`: the allocator may give memory of any kind,
    /// and only that of a [`NonPagedBuffer`](crate::NonPagedBuffer) needs no lock. What an operation owns that nobody takes back is
    /// dropped at up to `DISPATCH_LEVEL`, where the allocator has to be able to free it.
    #[cfg(feature = "alloc")]
    [] alloc::vec::Vec<u8> {
        /// Nothing is locked for nothing.
        fn abandon(&self) -> bool {
            self.is_empty()
        }
    }
}

as_slice! {
    /// Bytes from the global allocator. All else is as for a vector.
    #[cfg(feature = "alloc")]
    [] alloc::boxed::Box<[u8]> {
        /// Nothing is locked for nothing.
        fn abandon(&self) -> bool {
            self.is_empty()
        }
    }
}

/// `N` slices as one buffer: `&[u8]` to send, `&mut [u8]` to receive into. Each slice gets an MDL, and its pages are locked for the operation, at
/// up to `APC_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// use wsk::SliceChain;
///
/// let (header, body) = ([1, 2, 3], [4; 100]);
/// let sent = socket.send_to(SliceChain::new([&header[..], &body]), to).wait()?;
/// assert_eq!(sent, 103);
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
    /// As [`MdlChain::set_range`](crate::MdlChain::set_range).
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

// SAFETY: the slices are borrowed until the operation is over, so nothing writes or frees them; their pages are locked, by MDLs of
// the lock's own.
unsafe impl<const N: usize> SendBuffer for SliceChain<&[u8], N> {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        let places = self
            .slices
            .iter()
            .map(|slice| (NonNull::from(*slice).cast(), slice.len()));
        let read = LOCK_OPERATION::IoReadAccess;
        // SAFETY: slices are valid for reads while they are borrowed, which is until they are unlocked, as the caller says.
        unsafe { lock.pages_of(places, read, self.offset, self.length) }
    }

    /// Nothing is locked for nothing.
    fn abandon(&self) -> bool {
        self.is_empty()
    }
}

// SAFETY: the slices are borrowed exclusively until the operation is over; their pages are locked, by MDLs of the lock's own.
unsafe impl<const N: usize> ReceiveBuffer for SliceChain<&mut [u8], N> {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        let (offset, length) = (self.offset, self.length);
        let places = self.slices.iter_mut().map(|slice| {
            let length = slice.len();
            (NonNull::from(&mut **slice).cast(), length)
        });
        let write = LOCK_OPERATION::IoWriteAccess;
        // SAFETY: slices are valid for reads and writes while they are borrowed exclusively, which is until they are unlocked, as the
        // caller says.
        unsafe { lock.pages_of(places, write, offset, length) }
    }

    /// Nothing is locked for nothing.
    fn abandon(&self) -> bool {
        self.is_empty()
    }
}
