//! Bytes that have arrived at a connection, as WSK tells of them (`WSK_DATA_INDICATION`), until the driver gives them back
//! (`WskRelease`).

use core::fmt;
use core::ptr::NonNull;

use wsk_sys::WSK_DATA_INDICATION;

use crate::buffer::{ControlMessages, Pieces, pieces};
use crate::socket::ConnectedSocket;

/// Indications of bytes, as WSK gives them to a callback.
///
/// # Invariants
///
/// `first` begins a list of valid indications, to which nothing else refers, and which stays until whoever has this gives it back.
/// `control` is there as long, until the callback returns, after which nobody has it.
pub(crate) struct ByteList {
    first: NonNull<WSK_DATA_INDICATION>,
    /// What was told with the bytes. It is not documented to stay longer than the callback takes.
    control: Option<NonNull<[u8]>>,
}

impl ByteList {
    /// What WSK has given.
    ///
    /// # Safety
    ///
    /// It is a list of valid indications, the caller's until it is given back, as it is not before the result is used no more; and
    /// control information that is there as long, but no longer than until the callback returns.
    pub(crate) const unsafe fn new(
        first: NonNull<WSK_DATA_INDICATION>,
        control: Option<NonNull<[u8]>>,
    ) -> Self {
        // INVARIANT: the caller says so.
        Self { first, control }
    }

    /// The control information that came with the bytes.
    pub(crate) const fn control(&self) -> ControlMessages<'_> {
        ControlMessages::new(match &self.control {
            // SAFETY: by the invariant it is there while this is borrowed.
            Some(control) => unsafe { control.as_ref() },
            None => &[],
        })
    }

    /// The bytes, piece by piece.
    pub(crate) const fn pieces(&self) -> StreamPieces<'_> {
        // INVARIANT: the list is valid as long as this is borrowed.
        StreamPieces {
            next: self.first.as_ptr(),
            pieces: None,
            skip: 0,
        }
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
///
/// # Invariants
///
/// What is in the list was retained from the socket, and not released. It is not `Sync`: to look at the bytes may be to map their MDLs,
/// which writes them.
#[doc(alias = "WskRelease")]
pub struct RetainedBytes {
    list: ByteList,
    length: usize,
    socket: ConnectedSocket,
}

// SAFETY: the indications are memory that belongs to this value, not to a thread.
unsafe impl Send for RetainedBytes {}

impl RetainedBytes {
    /// Bytes that a callback says to WSK are retained, with the socket that they came to.
    pub(crate) const fn new(mut list: ByteList, length: usize, socket: ConnectedSocket) -> Self {
        // INVARIANT: the caller says so. The control information stays with the callback.
        list.control = None;
        Self {
            list,
            length,
            socket,
        }
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
        self.list.pieces()
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

impl Drop for RetainedBytes {
    fn drop(&mut self) {
        let socket = &self.socket.handle;
        // SAFETY: by the invariant the list was retained from this socket, which is open while there is a handle, and is released
        // this once. A provider without the entry gave no indications.
        let _ = unsafe {
            socket
                .dispatch()
                .wsk_release(socket.as_ptr(), self.list.first)
        };
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
///
/// # Invariants
///
/// `next` is null, or a list of indications that are valid for `'i`.
#[derive(Debug, Clone)]
pub struct StreamPieces<'i> {
    next: *const WSK_DATA_INDICATION,
    pieces: Option<Pieces<'i>>,
    /// So many bytes of what is next are left out.
    skip: usize,
}

impl StreamPieces<'_> {
    /// None.
    pub(crate) const fn none() -> Self {
        // INVARIANT: null.
        Self {
            next: core::ptr::null(),
            pieces: None,
            skip: 0,
        }
    }

    /// Those of the bytes from `offset` on, of what has not been begun.
    pub(crate) const fn from(self, offset: usize) -> Self {
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
                    // It cannot be mapped: what follows would be taken for what is missing.
                    self.next = core::ptr::null();
                }
                self.pieces = None;
            }
            // SAFETY: by the invariant it is null or valid for `'i`, and so is its buffer.
            let (next, length, pieces) = unsafe {
                let indication = self.next.as_ref()?;
                let pieces = Pieces::of(&indication.Buffer);
                (indication.Next, indication.Buffer.Length, pieces)
            };
            self.next = next;
            self.pieces = Some(pieces.part(self.skip, usize::MAX));
            self.skip = self.skip.saturating_sub(length);
        }
    }
}

impl core::iter::FusedIterator for StreamPieces<'_> {}
