//! [`Pieces`]: indicated bytes as they lie in an MDL chain.

use core::marker::PhantomData;
use core::ptr::NonNull;

use wsk_sys::{
    MDL, MM_PAGE_PRIORITY, MdlMappingNoExecute, MdlMappingNoWrite, MmGetMdlByteCount,
    MmGetSystemAddressForMdlSafe, WSK_BUF,
};

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
///         // The bytes where they lie, without a copy.
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
/// `mdl` is null or heads a chain that is valid for `'d`, of which `rest` bytes behind `offset` are the datagram's.
#[derive(Debug, Clone)]
pub struct Pieces<'d> {
    mdl: *mut MDL,
    offset: usize,
    rest: usize,
    mapped: bool,
    datagram: PhantomData<&'d [u8]>,
}

impl Pieces<'_> {
    /// What is left of `length` bytes from `from` on.
    pub(crate) fn part(self, from: usize, length: usize) -> Self {
        // INVARIANT: no more than the rest, and where the chain ends there are no pieces.
        Self {
            offset: self.offset.saturating_add(from),
            rest: self.rest.saturating_sub(from).min(length),
            ..self
        }
    }

    /// Whether all that was asked for could be mapped.
    pub(crate) fn is_complete(&self) -> bool {
        self.mapped
    }
}

impl<'d> Iterator for Pieces<'d> {
    type Item = &'d [u8];

    fn next(&mut self) -> Option<&'d [u8]> {
        while self.rest > 0 && !self.mdl.is_null() {
            // SAFETY: by the invariant the chain is valid for `'d`, locked or nonpaged.
            let (mdl, count, next) = unsafe {
                (
                    self.mdl,
                    MmGetMdlByteCount(self.mdl) as usize,
                    (*self.mdl).Next,
                )
            };
            let (skip, offset) = (self.offset.min(count), self.offset);
            let length = (count - skip).min(self.rest);
            self.mdl = next;
            self.offset = offset - skip;
            if length == 0 {
                continue;
            }
            let priority = MM_PAGE_PRIORITY::NormalPagePriority.0.cast_unsigned()
                | MdlMappingNoExecute
                | MdlMappingNoWrite;
            // SAFETY: the MDL's pages are locked or nonpaged, by the invariant, and nobody else maps it: what was indicated is one
            // callback's, or one value's that is not `Sync`. It describes `count` bytes from `start` on, and this part lies inside.
            let piece = unsafe {
                let start = MmGetSystemAddressForMdlSafe(mdl, priority).cast::<u8>();
                (!start.is_null()).then(|| core::slice::from_raw_parts(start.add(skip), length))
            };
            if piece.is_none() {
                // It cannot be mapped: what follows would be taken for what is missing.
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

/// Copies pieces to `to`, as much as fits; the number of bytes that were copied.
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

/// Indicated bytes, as a `WSK_BUF` describes them.
///
/// # Invariants
///
/// The chain is valid for `'d`, as [`Pieces`] asks.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'d> {
    buffer: WSK_BUF,
    bytes: PhantomData<&'d [u8]>,
}

impl<'d> Payload<'d> {
    /// # Safety
    ///
    /// As the invariant asks.
    #[inline]
    pub(crate) const unsafe fn of(buffer: WSK_BUF) -> Self {
        // INVARIANT: the caller says so.
        Self {
            buffer,
            bytes: PhantomData,
        }
    }

    /// The number of bytes.
    #[inline]
    pub(crate) const fn len(self) -> usize {
        self.buffer.Length
    }

    /// The structure.
    pub(crate) const fn buffer(self) -> WSK_BUF {
        self.buffer
    }

    /// The bytes, piece by piece as they lie in the MDL chain.
    pub(crate) const fn pieces(self) -> Pieces<'d> {
        // INVARIANT: that of this.
        Pieces {
            mdl: self.buffer.Mdl,
            offset: self.buffer.Offset as usize,
            rest: self.buffer.Length,
            mapped: true,
            datagram: PhantomData,
        }
    }
}

/// Bytes that are valid while a callback runs, unless the indications that they belong to are released before.
///
/// # Invariants
///
/// The bytes are valid while this is borrowed. This has no reference to them, because they may be freed before the callback returns.
pub(crate) struct Meanwhile(Option<NonNull<[u8]>>);

impl Meanwhile {
    /// # Safety
    ///
    /// As the invariant asks.
    pub(crate) const unsafe fn new(bytes: Option<NonNull<[u8]>>) -> Self {
        // INVARIANT: the caller says so.
        Self(bytes)
    }

    pub(crate) const fn get(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: by the invariant they are valid while this is borrowed.
            Some(bytes) => unsafe { bytes.as_ref() },
            None => &[],
        }
    }
}
