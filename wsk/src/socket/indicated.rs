//! [`Datagram`]: a datagram that has arrived, as WSK tells of it (`WSK_DATAGRAM_INDICATION`).

use core::fmt;
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_sys::{WSK_BUF, WSK_DATAGRAM_INDICATION};

use crate::address;
use crate::buffer::{ControlMessage, ControlMessages, Pieces, Segments, pieces};
use crate::error::Error;

/// A list of indications that is the driver's.
///
/// # Invariants
///
/// `first` heads a list of valid indications, which nothing else refers to and WSK leaves alone until they are released, or the event
/// that brought them returns; neither happens while this is borrowed.
pub(crate) struct List {
    first: NonNull<WSK_DATAGRAM_INDICATION>,
}

impl List {
    /// The list of an event.
    ///
    /// # Safety
    ///
    /// As the invariant asks.
    pub(crate) const unsafe fn new(first: NonNull<WSK_DATAGRAM_INDICATION>) -> Self {
        // INVARIANT: the caller says so.
        Self { first }
    }

    /// Where it begins, to be released.
    pub(crate) const fn as_ptr(&self) -> NonNull<WSK_DATAGRAM_INDICATION> {
        self.first
    }

    pub(crate) const fn datagrams(&self) -> Datagrams<'_> {
        // INVARIANT: the list is valid as long as this is borrowed.
        Datagrams {
            next: self.first.as_ptr(),
            indication: PhantomData,
        }
    }

    pub(crate) const fn first(&self) -> Datagram<'_> {
        // SAFETY: by the invariant the indication is valid as long as this is borrowed.
        let indication = unsafe { self.first.as_ref() };
        Datagram { indication }
    }

    /// Takes all but the first out, if there are others.
    pub(crate) const fn split(&mut self) -> Option<Self> {
        // SAFETY: by the invariant the indication is valid, and nothing else refers to it.
        let next = unsafe { &mut (*self.first.as_ptr()).Next };
        // INVARIANT: what comes next is a list, to which nothing leads from here any more.
        match NonNull::new(core::mem::replace(next, core::ptr::null_mut())) {
            Some(first) => Some(Self { first }),
            None => None,
        }
    }
}

/// Iterates over indicated datagrams.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::mpsc::channel; // A driver has a queue of its own.
/// use wsk::DatagramSocket;
/// use wsk::events::{Datagrams, Indication, Verdict};
///
/// /// How many bytes the datagrams have together.
/// fn bytes(datagrams: Datagrams<'_>) -> usize {
///     datagrams.map(|datagram| datagram.len()).sum()
/// }
///
/// let (told, counts) = channel();
/// let handler = move |indication: &mut Indication<'_>| {
///     let _ = told.send(bytes(indication.datagrams()));
///     Verdict::Consumed
/// };
/// let socket = DatagramSocket::open_with_events(&provider, wsk::Family::V4, handler)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// # socket.enable_receive_events()?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// # assert_eq!(counts.recv(), Ok(5));
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// `next` is null, or a list of indications that are valid for `'i`.
#[derive(Clone)]
pub struct Datagrams<'i> {
    next: *const WSK_DATAGRAM_INDICATION,
    indication: PhantomData<&'i WSK_DATAGRAM_INDICATION>,
}

impl Datagrams<'_> {
    pub(crate) const fn none() -> Self {
        // INVARIANT: null.
        Self {
            next: core::ptr::null(),
            indication: PhantomData,
        }
    }
}

impl<'i> Iterator for Datagrams<'i> {
    type Item = Datagram<'i>;

    fn next(&mut self) -> Option<Datagram<'i>> {
        // SAFETY: by the invariant it is null or valid for `'i`.
        let indication = unsafe { self.next.as_ref() }?;
        self.next = indication.Next;
        Some(Datagram { indication })
    }
}

impl core::iter::FusedIterator for Datagrams<'_> {}

impl fmt::Debug for Datagrams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// An indicated datagram.
///
/// # Invariants
///
/// The indication, its MDL chain, address and control information are valid for `'i`.
#[derive(Clone, Copy)]
pub struct Datagram<'i> {
    indication: &'i WSK_DATAGRAM_INDICATION,
}

impl<'i> Datagram<'i> {
    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.indication.Buffer.Length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the payload lies.
    pub(crate) const fn buffer(self) -> WSK_BUF {
        self.indication.Buffer
    }

    /// The address of the sender.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] for what is neither an IPv4 nor an IPv6 address.
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        // SAFETY: by the invariant this is a socket address, or null.
        unsafe { address::read_raw(self.indication.RemoteAddress) }
    }

    /// The payload, piece by piece as it lies in the MDL chain.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'i> {
        // SAFETY: by the invariant the chain is valid for `'i`.
        unsafe { Pieces::of(&self.indication.Buffer) }
    }

    /// Copies the payload to `to`, as much as fits, and returns the number of bytes. It stops early at memory that cannot be mapped.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces(), to)
    }

    /// Copies the payload after the first `offset` bytes to `to`, as much as fits, and returns the number of bytes.
    pub fn copy_from(&self, offset: usize, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces().part(offset, usize::MAX), to)
    }

    /// The length of the datagrams that were coalesced into this one (URO), the last of which may be shorter; `None` if none were.
    ///
    /// [`UDP_COALESCED_INFO`](https://learn.microsoft.com/windows/win32/winsock/ipproto-udp-socket-options).
    #[doc(alias = "UDP_COALESCED_INFO")]
    #[must_use]
    pub fn segment_size(&self) -> Option<usize> {
        self.control().find_map(|message| match message {
            ControlMessage::CoalescedSize(size) => usize::try_from(size).ok(),
            _ => None,
        })
    }

    /// The datagrams as they were sent: those that were coalesced into this one, or this one alone.
    ///
    /// Only a socket with [`MaxCoalescedSize`](crate::option::MaxCoalescedSize) receives coalesced datagrams.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// # peer.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use wsk::events::{Indication, ReceiveFromEvent, Verdict};
    /// use wsk::{DatagramSocket, Family, NonPagedBuffer};
    ///
    /// /// Answers each datagram with its length and first byte, however many have arrived as one.
    /// struct Lengths;
    ///
    /// impl ReceiveFromEvent for Lengths {
    ///     fn received(&self, indication: &mut Indication<'_>) -> Verdict {
    ///         let Some(socket) = indication.socket() else {
    ///             return Verdict::Consumed;
    ///         };
    ///         for datagram in indication.datagrams() {
    ///             let Ok(from) = datagram.remote_address() else { continue };
    ///             for segment in datagram.segments() {
    ///                 let mut answer = [u8::try_from(segment.len()).unwrap_or(u8::MAX), 0];
    ///                 segment.copy_to(&mut answer[1..]);
    ///                 if let Ok(answer) = NonPagedBuffer::copy_of(&answer) {
    ///                     drop(socket.send_to(answer, from).start());
    ///                 }
    ///             }
    ///         }
    ///         Verdict::Consumed
    ///     }
    /// }
    ///
    /// let socket = DatagramSocket::open_with_events(&provider, Family::V4, Lengths)?;
    /// socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    /// socket.enable_receive_events()?;
    /// # peer.send_to(b"hello", socket.local_address()?).unwrap();
    /// # let mut answer = [0; 2];
    /// # assert_eq!(peer.recv(&mut answer).unwrap(), 2);
    /// # assert_eq!(answer, [5, b'h']);
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    #[must_use]
    pub fn segments(&self) -> Segments<'i> {
        let size = self.segment_size().filter(|&size| size > 0);
        self.segments_of(size.unwrap_or(self.len()).max(1))
    }

    /// The payload in segments of `size` bytes; the last may be shorter. An empty payload is one empty segment.
    #[must_use]
    pub fn segments_of(&self, size: usize) -> Segments<'i> {
        Segments::new(self.pieces(), self.len(), size)
    }

    /// The control information.
    #[must_use]
    pub fn control(&self) -> ControlMessages<'i> {
        let (bytes, length) = (
            self.indication.ControlInfo,
            self.indication.ControlInfoLength,
        );
        if bytes.is_null() {
            return ControlMessages::new(&[]);
        }
        // SAFETY: by the invariant there are that many bytes, for `'i`.
        ControlMessages::new(unsafe { core::slice::from_raw_parts(bytes.cast(), length as usize) })
    }
}

impl fmt::Debug for Datagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("length", &self.len())
            .field("from", &self.remote_address())
            .finish()
    }
}
