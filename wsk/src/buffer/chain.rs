//! [`MdlChain`]: several nonpaged buffers as one, for scatter and gather.

#![forbid(unsafe_code)]

use core::fmt;

use crate::buffer::{Extent, NonPagedBuffer};
use crate::error::Error;
use crate::memory::atomic::{AtomicBool, Ordering};

/// `N` nonpaged buffers as one buffer: a chain of their MDLs, which is linked once and used any number of times.
///
/// Linking writes the MDLs, so the chain owns the buffers; [`into_parts`](Self::into_parts) gives them back, unlinked. Each part has the length
/// that its buffer had when the chain was made. The chain may be dropped at any IRQL up to `DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// use wsk::{MdlChain, NonPagedBuffer};
///
/// let (header, body) = (NonPagedBuffer::copy_of(b"head")?, NonPagedBuffer::copy_of(b"and body")?);
/// let mut chain = MdlChain::new([header, body]);
/// assert_eq!(socket.send_to(&chain, to).wait()?, 12);
/// chain.set_range(2, 5)?;
/// assert_eq!(socket.send_to(&chain, to).wait()?, 5);
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
/// The MDLs of the parts that are not empty are linked in order, with a null `Next` at the end, and each describes its part's length. The
/// extent lies in this chain. Once `lost` is set a provider may use the chain for ever, and this crate neither touches nor frees it: the
/// parts are lost too.
pub struct MdlChain<const N: usize> {
    parts: [NonPagedBuffer; N],
    extent: Extent,
    lost: AtomicBool,
    has_lost_part: bool,
}

impl<const N: usize> MdlChain<N> {
    /// Links the buffers in this order; all of their bytes are in range. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn new(parts: [NonPagedBuffer; N]) -> Self {
        // INVARIANT: the empty extent is valid; the links are made below.
        let mut chain = Self {
            parts,
            extent: Extent::empty(),
            lost: AtomicBool::new(false),
            has_lost_part: false,
        };
        chain.has_lost_part = chain.parts.iter().any(NonPagedBuffer::is_lost);
        let mut next = core::ptr::null_mut();
        for part in chain.parts.iter_mut().rev() {
            if let Ok(Some((mdl, _))) = part.chain_to(next) {
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
    /// before the range does; [`Error::BufferLost`]. The range is as it was.
    pub fn set_range(&mut self, offset: usize, length: usize) -> Result<(), Error> {
        if self.is_lost() {
            return Err(Error::BufferLost);
        }
        let first = self.parts.iter().find_map(NonPagedBuffer::mdl);
        let (mdl, first) = first.map_or((core::ptr::null_mut(), 0), |(mdl, count)| {
            (mdl.as_ptr(), count)
        });
        // By the invariant the MDLs of the chain describe so many bytes.
        self.extent = Extent::within(mdl, first, offset, length, |_| self.capacity())?;
        Ok(())
    }

    /// The number of bytes in range.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.is_lost() { 0 } else { self.extent.len() }
    }

    /// Whether there are no bytes in range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of bytes of all parts.
    #[must_use]
    pub fn capacity(&self) -> usize {
        if self.is_lost() {
            return 0;
        }
        self.parts.iter().map(NonPagedBuffer::len).sum()
    }

    /// Whether a provider that broke its contract may still use the chain, or a part that was lost before: see [`Error::Abandoned`].
    #[must_use]
    #[inline]
    pub fn is_lost(&self) -> bool {
        self.has_lost_part || self.lost.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn extent(&self) -> Result<Extent, Error> {
        if self.is_lost() {
            return Err(Error::BufferLost);
        }
        Ok(self.extent)
    }

    /// The bytes of a part, in range or not; `None` if there is no such part.
    ///
    /// There are no bytes any more when the chain [is lost](Self::is_lost).
    #[must_use]
    pub fn part(&self, index: usize) -> Option<&[u8]> {
        let part = self.parts.get(index)?;
        Some(if self.is_lost() { &[] } else { part.as_slice() })
    }

    /// The bytes of a part, to be written; as [`part`](Self::part).
    #[must_use]
    pub fn part_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let lost = self.is_lost();
        let part = self.parts.get_mut(index)?;
        Some(if lost { &mut [] } else { part.as_mut_slice() })
    }

    /// Gives the buffers back, unlinked, or lost.
    #[must_use]
    pub fn into_parts(self) -> [NonPagedBuffer; N] {
        let mut parts = self.parts;
        for part in &mut parts {
            part.unchain();
        }
        parts
    }

    /// Leaves the chain and its parts to a provider that may use them for ever.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
        for part in &self.parts {
            part.lose();
        }
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
