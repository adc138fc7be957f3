//! [`Datagram`]: a datagram that has arrived, as WSK tells of it (`WSK_DATAGRAM_INDICATION`).

#![forbid(unsafe_code)]

use core::fmt;
use core::net::SocketAddr;

use wsk_sys::WSK_DATAGRAM_INDICATION;

use crate::buffer::{ControlMessage, ControlMessages, Pieces, Segments, pieces};
use crate::error::Error;

use crate::socket::open::{Chained, Indicated};

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
#[derive(Clone)]
pub struct Datagrams<'i>(Chained<'i, WSK_DATAGRAM_INDICATION>);

impl<'i> Datagrams<'i> {
    pub(crate) const fn of(indications: Chained<'i, WSK_DATAGRAM_INDICATION>) -> Self {
        Self(indications)
    }
}

impl<'i> Iterator for Datagrams<'i> {
    type Item = Datagram<'i>;

    fn next(&mut self) -> Option<Datagram<'i>> {
        self.0.next().map(Datagram::of)
    }
}

impl core::iter::FusedIterator for Datagrams<'_> {}

impl fmt::Debug for Datagrams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// An indicated datagram.
#[derive(Clone, Copy)]
pub struct Datagram<'i> {
    indication: Indicated<'i>,
}

impl<'i> Datagram<'i> {
    pub(crate) const fn of(indication: Indicated<'i>) -> Self {
        Self { indication }
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indication.payload.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address of the sender.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] for what is neither an IPv4 nor an IPv6 address.
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        self.indication.remote.read()
    }

    /// The payload, piece by piece as it lies in the MDL chain.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'i> {
        self.indication.payload.pieces()
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
        ControlMessages::new(self.indication.control)
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
