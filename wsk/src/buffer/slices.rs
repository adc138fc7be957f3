//! [`SliceChain`]: several slices of bytes anywhere as one buffer.

#![forbid(unsafe_code)]

use crate::error::Error;

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

    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    pub(super) const fn slices(&self) -> &[S; N] {
        &self.slices
    }

    pub(super) const fn slices_mut(&mut self) -> &mut [S; N] {
        &mut self.slices
    }

    /// Gives the slices back.
    #[must_use]
    pub fn into_parts(self) -> [S; N] {
        self.slices
    }
}
