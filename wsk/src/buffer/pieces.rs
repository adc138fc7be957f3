//! [`Pieces`]: indicated bytes as they lie in an MDL chain.

#![forbid(unsafe_code)]

use wsk_sys::MdlMappingNoWrite;

use crate::buffer::mdl::{Payload, Readable};
use crate::memory;

/// Iterates over the pieces of a payload as they lie in its MDL chain.
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
///         // Reads the bytes in their place, without a copy.
///         let sum: u32 = datagram.pieces().flatten().map(|&byte| u32::from(byte)).sum();
///         let _ = told.send(sum);
///     }
///     Verdict::Consumed
/// };
/// let socket = DatagramSocket::open_with_events(&provider, wsk::Family::V4, handler)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// # socket.enable_receive_events()?;
/// # peer.send_to(&[1, 2, 3], socket.local_address()?).unwrap();
/// # assert_eq!(heard.recv(), Ok(6));
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// `rest` bytes of the chain at `mdl`, from `offset` on, belong to the datagram. There are none where the chain ends.
#[derive(Debug, Clone)]
pub struct Pieces<'d> {
    mdl: Option<Readable<'d>>,
    offset: usize,
    rest: usize,
    mapped: bool,
}

impl Pieces<'_> {
    /// At most `length` of the remaining bytes, from `from` on.
    pub(crate) fn part(self, from: usize, length: usize) -> Self {
        // INVARIANT: no more than the rest. Where the chain ends there are no pieces.
        Self {
            offset: self.offset.saturating_add(from),
            rest: self.rest.saturating_sub(from).min(length),
            ..self
        }
    }

    /// Whether all requested bytes could be mapped.
    pub(crate) fn is_complete(&self) -> bool {
        self.mapped
    }
}

impl<'d> Iterator for Pieces<'d> {
    type Item = &'d [u8];

    fn next(&mut self) -> Option<&'d [u8]> {
        while self.rest > 0 {
            let mdl = self.mdl?;
            let (count, next) = mdl.look();
            let skip = self.offset.min(count);
            let length = (count - skip).min(self.rest);
            self.mdl = next;
            self.offset -= skip;
            if length == 0 {
                continue;
            }
            let piece = mdl.bytes(skip, length, MdlMappingNoWrite);
            if piece.is_none() {
                // The MDL cannot be mapped. Stops here, because the bytes behind it would be taken for the missing ones.
                self.rest = 0;
                self.mapped = false;
                return None;
            }
            self.rest -= length;
            return piece;
        }
        None
    }
}

impl core::iter::FusedIterator for Pieces<'_> {}

/// Copies pieces to `to`, as much as fits. Returns the number of copied bytes.
pub(crate) fn copy<'p>(pieces: impl Iterator<Item = &'p [u8]>, to: &mut [u8]) -> usize {
    let mut copied = 0;
    for piece in pieces {
        let Some(room) = to.get_mut(copied..).filter(|room| !room.is_empty()) else {
            break;
        };
        copied += memory::copy(piece, room);
    }
    copied
}

impl<'d> Payload<'d> {
    /// The bytes, piece by piece, as they lie in the MDL chain.
    pub(crate) fn pieces(self) -> Pieces<'d> {
        let buffer = self.buffer();
        // INVARIANT: by the invariant of the payload.
        Pieces {
            mdl: self.first(),
            offset: buffer.Offset as usize,
            rest: buffer.Length,
            mapped: true,
        }
    }
}
