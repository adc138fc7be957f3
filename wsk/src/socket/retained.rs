//! [`Retained`]: datagrams that a driver keeps after their event, together or each by itself, until it releases them (`WskRelease`).

use core::fmt;
use core::iter::FusedIterator;

use crate::buffer::DriverMdl;
use crate::error::Error;
use crate::memory::Shared;
use crate::socket::indicated::{Datagram, Datagrams};
use crate::socket::open::{Arrived, KeptIndications, Owns, into_mdl};
use crate::socket::{DatagramCategory, DatagramSocket, Socket};

/// Indicated datagrams that a driver keeps after the callback. Dropping them releases them together, at any IRQL up to `DISPATCH_LEVEL`.
///
/// [`into_datagrams`](Self::into_datagrams) splits them, so that different threads can have and release them.
///
/// [`WskRelease`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_release_datagram_indication_list).
#[doc(alias = "WskRelease")]
pub struct Retained {
    kept: KeptIndications<DatagramCategory>,
}

impl Retained {
    /// Retains the datagrams, which the callback then tells WSK; `None` if they were retained before, or the socket is being closed.
    pub(crate) fn of(
        list: &mut Arrived<DatagramCategory>,
        socket: &Shared<Socket<DatagramCategory>>,
    ) -> Option<Self> {
        let kept = list.keep(socket)?;
        Some(Self { kept })
    }

    /// The datagrams, in the order in which they arrived.
    #[must_use]
    pub fn datagrams(&self) -> Datagrams<'_> {
        Datagrams::of(self.kept.list().iter())
    }

    /// Splits the datagrams. Each can go to another thread, and is released when it is dropped. IRQL: `<= DISPATCH_LEVEL`. Allocates
    /// nothing.
    ///
    /// Each of them keeps the socket open. Dropping the iterator releases the datagrams that remain, together.
    ///
    /// The documentation of [`WskRelease`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_release_datagram_indication_list)
    /// speaks of the list of the callback; the comment in `wsk.h` speaks of any list of indications. Windows accepts parts of a list:
    /// Microsoft's own [MsQuic](https://github.com/microsoft/msquic) releases lists that it has linked itself, and `WireGuard` for NT
    /// releases one indication at a time. If you want to follow the page to the letter, drop the list as a whole.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use std::sync::mpsc::{Sender, channel}; // A driver has queues of its own.
    /// use wsk::events::{Indication, ReceiveFromEvent, RetainedDatagram, Verdict};
    /// use wsk::{DatagramSocket, Family};
    ///
    /// /// Hands each datagram to one of the threads that work on them.
    /// struct Dealer([Sender<RetainedDatagram>; 2]);
    ///
    /// impl ReceiveFromEvent for Dealer {
    ///     fn received(&self, indication: &mut Indication<'_>) -> Verdict {
    ///         if let Some(retained) = indication.retain() {
    ///             for (datagram, queue) in retained.into_datagrams().zip(self.0.iter().cycle()) {
    ///                 // One that nobody takes is given back at once.
    ///                 let _ = queue.send(datagram);
    ///             }
    ///         }
    ///         Verdict::Consumed
    ///     }
    /// }
    ///
    /// let ((one, first), (other, _second)) = (channel(), channel());
    /// let socket = DatagramSocket::open_with_events(&provider, Family::V4, Dealer([one, other]))?;
    /// socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    /// socket.enable_receive_events()?;
    /// # peer.send_to(b"hello", socket.local_address()?).unwrap();
    /// let worker = std::thread::spawn(move || first.recv().map(|taken| taken.datagram().len()));
    /// # assert_eq!(worker.join().unwrap(), Ok(5));
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    #[must_use]
    pub fn into_datagrams(self) -> RetainedDatagrams {
        RetainedDatagrams { rest: Some(self) }
    }

    /// The first of the datagrams by itself, and the others, if there are any.
    fn split_first(mut self) -> (RetainedDatagram, Option<Self>) {
        let rest = self.kept.split().map(|kept| Self { kept });
        (RetainedDatagram { one: self }, rest)
    }
}

impl fmt::Debug for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.datagrams()).finish()
    }
}

/// Each by itself, as [`into_datagrams`](Retained::into_datagrams) gives them.
impl IntoIterator for Retained {
    type Item = RetainedDatagram;
    type IntoIter = RetainedDatagrams;

    fn into_iter(self) -> RetainedDatagrams {
        self.into_datagrams()
    }
}

/// Iterates over retained datagrams, by value. Dropping it releases those that remain.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::mpsc::channel; // A driver has a queue of its own.
/// use wsk::DatagramSocket;
/// use wsk::events::{Indication, RetainedDatagrams, Verdict};
///
/// let (queue, work) = channel::<RetainedDatagrams>();
/// let handler = move |indication: &mut Indication<'_>| {
///     if let Some(retained) = indication.retain() {
///         let _ = queue.send(retained.into_datagrams());
///     }
///     Verdict::Consumed
/// };
/// let socket = DatagramSocket::open_with_events(&provider, wsk::Family::V4, handler)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// # socket.enable_receive_events()?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// # let mut lengths = Vec::new();
/// // On another thread:
/// # let datagrams = work.recv().unwrap();
/// for datagram in datagrams {
///     lengths.push(datagram.datagram().len());
///     // Released here, each by itself.
/// }
/// # assert_eq!(lengths, [5]);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct RetainedDatagrams {
    rest: Option<Retained>,
}

impl Iterator for RetainedDatagrams {
    type Item = RetainedDatagram;

    fn next(&mut self) -> Option<RetainedDatagram> {
        let (first, rest) = self.rest.take()?.split_first();
        self.rest = rest;
        Some(first)
    }
}

impl FusedIterator for RetainedDatagrams {}

/// One retained datagram. Dropping it releases it, at any IRQL up to `DISPATCH_LEVEL`.
///
/// [`WskRelease`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_release_datagram_indication_list).
#[doc(alias("WskRelease", "WSK_DATAGRAM_INDICATION"))]
pub struct RetainedDatagram {
    /// A list of one.
    one: Retained,
}

impl RetainedDatagram {
    /// The datagram.
    #[must_use]
    pub fn datagram(&self) -> Datagram<'_> {
        Datagram::of(self.one.kept.list().first())
    }

    /// A handle of the socket at which it arrived, to answer with.
    #[must_use]
    pub fn socket(&self) -> DatagramSocket {
        let handle = self.one.kept.socket().clone();
        DatagramSocket { handle }
    }

    /// The payload from byte `from` on, to be sent without copying it: the send uses the MDLs that WSK has
    /// indicated. IRQL: `<= DISPATCH_LEVEL`. Allocates nothing.
    ///
    /// The datagram is the [owner](DriverMdl::into_owner) of the `DriverMdl`. Dropping that, as the completion of an operation does, gives the
    /// datagram back to WSK. Until then it holds memory of the network stack, perhaps of a network card: if sending can take long, copy
    /// the payload instead.
    ///
    /// To put a header in front of it, use a [`DriverChain`](crate::DriverChain), which needs whole MDLs behind the first part. Windows
    /// often describes a whole frame by one MDL, and the payload begins inside it. Then the chain fails with [`Error::OutOfBounds`], and
    /// gives the parts back, for you to copy.
    ///
    /// A [`WSK_BUF`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_buf) is the same thing whether it is sent or
    /// indicated: a chain of MDLs over locked or nonpaged memory, and an offset inside the first of them. A retained one is the driver's
    /// until it is released, and WSK only reads what it sends.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// # peer.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use wsk::events::{Indication, ReceiveFromEvent, RetainedDatagram, Verdict};
    /// use wsk::operation::Operations;
    /// use wsk::{DatagramSocket, DriverMdl, Family};
    ///
    /// /// Sends each datagram back without its first four bytes.
    /// struct Strip(Operations<DriverMdl<RetainedDatagram>>);
    ///
    /// impl ReceiveFromEvent for Strip {
    ///     fn received(&self, indication: &mut Indication<'_>) -> Verdict {
    ///         for retained in indication.retain().into_iter().flat_map(|all| all.into_datagrams()) {
    ///             let (socket, from) = (retained.socket(), retained.datagram().remote_address());
    ///             if let (Ok(payload), Ok(from)) = (retained.into_mdl(4), from) {
    ///                 // Released when it has been sent, or could not be.
    ///                 let _ = socket.send_to(payload, from).from(&self.0).start_with(drop);
    ///             }
    ///         }
    ///         Verdict::Consumed
    ///     }
    /// }
    ///
    /// let strip = Strip(Operations::new(&provider, 16)?);
    /// let socket = DatagramSocket::open_with_events(&provider, Family::V4, strip)?;
    /// socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    /// socket.enable_receive_events()?;
    /// # peer.send_to(b"key:payload", socket.local_address()?).unwrap();
    /// # let mut payload = [0; 16];
    /// # assert_eq!(peer.recv(&mut payload).unwrap(), 7);
    /// # assert_eq!(&payload[..7], b"payload");
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when there are not that many bytes, with the datagram.
    #[doc(alias = "WSK_BUF")]
    pub fn into_mdl(self, from: usize) -> Result<DriverMdl<Self>, (Error, Self)> {
        into_mdl(self, from)
    }
}

// SAFETY: there is one in its list, which nothing else has.
unsafe impl Owns for RetainedDatagram {
    fn kept(&self) -> &KeptIndications<DatagramCategory> {
        &self.one.kept
    }
}

impl fmt::Debug for RetainedDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.datagram().fmt(f)
    }
}
