//! Bytes that WSK indicates to a connection (`WSK_DATA_INDICATION`), until they are released (`WskRelease`).

#![forbid(unsafe_code)]

use core::fmt;

use wsk_sys::WSK_DATA_INDICATION;

use crate::buffer::{ControlMessages, Meanwhile, Pieces, pieces};
use crate::memory::Shared;
use crate::socket::open::Chained;
use crate::socket::open::{Arrived, KeptIndications};
use crate::socket::{ConnectionCategory, Socket};

/// The bytes of an event, with their control information. Its memory is not documented to stay longer than the callback runs.
pub(crate) struct ByteList {
    list: Arrived<ConnectionCategory>,
    control: Meanwhile,
}

impl ByteList {
    /// The arguments of the event.
    pub(crate) const fn new(list: Arrived<ConnectionCategory>, control: Meanwhile) -> Self {
        Self { list, control }
    }

    /// Whether the bytes were retained.
    pub(crate) const fn is_retained(&self) -> bool {
        self.list.is_kept()
    }

    /// The control information of the bytes. None once they were retained: it may be freed with them at any moment.
    pub(crate) const fn control(&self) -> ControlMessages<'_> {
        ControlMessages::new(if self.is_retained() {
            &[]
        } else {
            self.control.get()
        })
    }

    /// The bytes, piece by piece. None once they were retained.
    pub(crate) fn pieces(&self) -> StreamPieces<'_> {
        StreamPieces::of(self.list.iter())
    }
}

/// Indicated bytes that a driver keeps after the callback. Dropping them releases them, at any IRQL up to `DISPATCH_LEVEL`.
///
/// [`WskRelease`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_release_data_indication_list).
///
/// ```
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::mpsc::channel; // A driver has a queue of its own.
/// use wsk::ConnectedSocket;
/// use wsk::events::{RetainedBytes, StreamIndication, StreamVerdict};
///
/// let (queue, work) = channel::<RetainedBytes>();
/// let handler = move |indication: &mut StreamIndication<'_>| {
///     if let Some(retained) = indication.retain() {
///         let _ = queue.send(retained);
///     }
///     StreamVerdict::Consumed
/// };
/// let socket = ConnectedSocket::connect(&provider, remote).with_events(handler).wait()?;
/// socket.enable_events()?;
/// # let (mut peer, _) = peer.accept().unwrap();
/// # std::io::Write::write_all(&mut peer, b"!").unwrap();
/// // On another thread, which may wait:
/// # let retained = work.recv().unwrap();
/// let mut bytes = [0; 16];
/// let count = retained.copy_to(&mut bytes);
/// assert_eq!(count, retained.len());
/// drop(retained); // One call of WskRelease.
/// # assert_eq!(&bytes[..count], b"!");
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias = "WskRelease")]
pub struct RetainedBytes {
    kept: KeptIndications<ConnectionCategory>,
    length: usize,
}

impl RetainedBytes {
    /// Retains the bytes, which the callback then tells WSK; `None` if they were retained before, or the socket is being closed.
    pub(crate) fn of(
        bytes: &mut ByteList,
        length: usize,
        socket: &Shared<Socket<ConnectionCategory>>,
    ) -> Option<Self> {
        let kept = bytes.list.keep(socket)?;
        Some(Self { kept, length })
    }

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

    /// The bytes, piece by piece as they lie in memory.
    #[must_use]
    pub fn pieces(&self) -> StreamPieces<'_> {
        StreamPieces::of(self.kept.list().iter())
    }

    /// Copies the bytes to `to`, as many as fit, and returns their number. It stops early at memory that cannot be mapped.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces(), to)
    }

    /// Copies the bytes after the first `offset` to `to`, as many as fit, and returns their number.
    pub fn copy_from(&self, offset: usize, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces().from(offset), to)
    }
}

impl fmt::Debug for RetainedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetainedBytes")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Iterates over the pieces of indicated bytes.
///
/// ```
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::mpsc::channel;
/// use wsk::ConnectedSocket;
/// use wsk::events::{StreamIndication, StreamVerdict};
///
/// let (told, sums) = channel();
/// // Sums the bytes where they lie, without a copy.
/// let handler = move |indication: &mut StreamIndication<'_>| {
///     let bytes = indication.pieces().flatten();
///     let _ = told.send(bytes.map(|&byte| u32::from(byte)).sum::<u32>());
///     StreamVerdict::Consumed
/// };
/// let socket = ConnectedSocket::connect(&provider, remote).with_events(handler).wait()?;
/// socket.enable_events()?;
/// # let (mut peer, _) = peer.accept().unwrap();
/// # std::io::Write::write_all(&mut peer, &[1, 2, 3]).unwrap();
/// # let mut sum = 0;
/// # while sum < 6 { sum += sums.recv().unwrap(); }
/// # assert_eq!(sum, 6);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Clone)]
pub struct StreamPieces<'i> {
    indications: Chained<'i, WSK_DATA_INDICATION>,
    pieces: Option<Pieces<'i>>,
    /// The number of bytes to leave out of what comes next.
    skip: usize,
}

impl<'i> StreamPieces<'i> {
    const fn of(indications: Chained<'i, WSK_DATA_INDICATION>) -> Self {
        Self {
            indications,
            pieces: None,
            skip: 0,
        }
    }

    /// The pieces from byte `offset` on, of an iterator that has not begun.
    pub(crate) fn from(self, offset: usize) -> Self {
        Self {
            skip: offset,
            ..self
        }
    }
}

impl<'i> Iterator for StreamPieces<'i> {
    type Item = &'i [u8];

    fn next(&mut self) -> Option<&'i [u8]> {
        loop {
            if let Some(pieces) = &mut self.pieces {
                if let Some(piece) = pieces.next() {
                    return Some(piece);
                }
                if !pieces.is_complete() {
                    // A piece cannot be mapped. The iterator ends, so that the next piece is not taken for the missing one.
                    self.indications = Chained::none();
                }
                self.pieces = None;
            }
            let indicated = self.indications.next()?;
            self.pieces = Some(indicated.pieces().part(self.skip, usize::MAX));
            self.skip = self.skip.saturating_sub(indicated.len());
        }
    }
}

impl core::iter::FusedIterator for StreamPieces<'_> {}

impl fmt::Debug for StreamPieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamPieces").finish_non_exhaustive()
    }
}
