//! [`Segments`]: datagrams that the network has coalesced into one (URO, `UDP_COALESCED_INFO`), each by itself again.

#![forbid(unsafe_code)]

use core::fmt;
use core::iter::FusedIterator;

use crate::buffer::{Pieces, pieces};

/// Iterates over the segments of a payload. All have the same size, except the last, which may be shorter.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::mpsc::channel;
/// use wsk::DatagramSocket;
/// use wsk::events::{Indication, Verdict};
///
/// let (told, heard) = channel();
/// let handler = move |indication: &mut Indication<'_>| {
///     for datagram in indication.datagrams() {
///         // As they were sent, should the network have coalesced them.
///         let _ = told.send(datagram.segments().len());
///     }
///     Verdict::Consumed
/// };
/// let socket = DatagramSocket::open_with_events(&provider, wsk::Family::V4, handler)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// # socket.enable_receive_events()?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// # assert_eq!(heard.recv(), Ok(1));
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Segments<'d> {
    /// All of the payload.
    pieces: Pieces<'d>,
    from: usize,
    /// `None` when all of it was given.
    left: Option<usize>,
    size: usize,
}

impl<'d> Segments<'d> {
    /// The segments of `length` bytes; with a size of 0 there is one.
    pub(crate) fn new(pieces: Pieces<'d>, length: usize, size: usize) -> Self {
        Self {
            pieces,
            from: 0,
            left: Some(length),
            size: if size == 0 { length } else { size },
        }
    }
}

impl<'d> Iterator for Segments<'d> {
    type Item = Segment<'d>;

    fn next(&mut self) -> Option<Segment<'d>> {
        let left = self.left?;
        let length = left.min(self.size);
        let segment = Segment {
            pieces: self.pieces.clone().part(self.from, length),
            length,
        };
        // No more than the payload.
        self.from = self.from.wrapping_add(length);
        self.left = left.checked_sub(length).filter(|&left| left > 0);
        Some(segment)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = match self.left {
            None => 0,
            Some(left) => left.div_ceil(self.size.max(1)).max(1),
        };
        (count, Some(count))
    }
}

impl ExactSizeIterator for Segments<'_> {}

impl FusedIterator for Segments<'_> {}

/// A segment of a payload, such as one of several coalesced datagrams.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::mpsc::channel;
/// use wsk::DatagramSocket;
/// use wsk::events::{Indication, Verdict};
///
/// let (told, heard) = channel();
/// let handler = move |indication: &mut Indication<'_>| {
///     for datagram in indication.datagrams() {
///         // Records of four bytes, the last of which may be shorter.
///         for record in datagram.segments_of(4) {
///             let mut bytes = [0; 4];
///             let count = record.copy_to(&mut bytes);
///             let _ = told.send((bytes, count));
///         }
///     }
///     Verdict::Consumed
/// };
/// let socket = DatagramSocket::open_with_events(&provider, wsk::Family::V4, handler)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// # socket.enable_receive_events()?;
/// # peer.send_to(b"onetwo", socket.local_address()?).unwrap();
/// # assert_eq!(heard.recv(), Ok((*b"onet", 4)));
/// # assert_eq!(heard.recv().unwrap().1, 2);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Clone)]
pub struct Segment<'d> {
    pieces: Pieces<'d>,
    length: usize,
}

impl<'d> Segment<'d> {
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

    /// The bytes, piece by piece as they lie in the MDL chain.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'d> {
        self.pieces.clone()
    }

    /// Copies the bytes to `to`, as many as fit, and returns their number. It stops early at memory that cannot be mapped.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces(), to)
    }

    /// Copies the bytes after the first `offset` to `to`, as many as fit, and returns their number.
    pub fn copy_from(&self, offset: usize, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces().part(offset, usize::MAX), to)
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
