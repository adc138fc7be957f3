//! Stream sockets: WSK's category behind `WSK_PROVIDER_STREAM_DISPATCH`, which connect or listen.

#![forbid(unsafe_code)]

use core::net::SocketAddr;

use wsk_sys::NTDDI_WIN10_RS2;

use crate::address::{Family, ToSocketAddr};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::events::{self, AcceptEvent, ConnectionEvent};
use crate::methods::{bound_by_address, closed, open_socket};
use crate::registration::Provider;
use crate::request::{self, Connect, Request};
use crate::socket::stream::SocketMemory;
use crate::socket::{ConnectionSocket, ListenSocket, Making, StreamCategory, StreamSocket};

bound_by_address!(StreamSocket);
closed!(StreamSocket);

impl StreamSocket {
    /// Opens a socket, which has to be bound before it can connect or listen. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// Allocates the state of the socket, also for the listener or the connection that it becomes, and operations. One operation
    /// is for closing, which can therefore not fail for lack of memory.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`]; [`Error::NoEntry`] on a Windows without such sockets; or the error of WSK.
    #[doc(alias = "WskSocket")]
    pub fn open(provider: &Provider, family: Family) -> Result<Self, Error> {
        Self::make(provider, Making::of(provider, family, false, None))
    }

    /// Opens a socket with a handler of its events, which WSK calls once they are enabled: those of a connection when it has
    /// [connected](crate::ConnectedSocket::enable_events), those of a listening socket when it
    /// [listens](ListenSocket::enable_accept_events). IRQL: `<= APC_LEVEL`; waits.
    ///
    /// Allocates what [`open`](Self::open) does, and room for the handler. The handler is dropped when the socket's close has
    /// completed, at up to `DISPATCH_LEVEL`.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let remote = peer.local_addr().unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use core::sync::atomic::{AtomicUsize, Ordering};
    /// use wsk::events::{AcceptEvent, ConnectionEvent, Incoming, StreamIndication, StreamVerdict};
    /// use wsk::{Family, StreamSocket};
    ///
    /// /// Counts what comes, whatever it is.
    /// #[derive(Default)]
    /// struct Counter(AtomicUsize);
    ///
    /// impl ConnectionEvent for Counter {
    ///     fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
    ///         self.0.fetch_add(indication.len(), Ordering::Relaxed);
    ///         StreamVerdict::Consumed
    ///     }
    /// }
    ///
    /// impl AcceptEvent for Counter {
    ///     fn accepted(&self, _: Incoming<'_>) {
    ///         self.0.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// }
    ///
    /// let socket = StreamSocket::open_with_events(&provider, Family::V4, Counter::default())?;
    /// socket.bind(Family::V4.any())?;
    /// let connected = socket.connect(remote).wait()?;
    /// connected.enable_events()?;
    /// # let (mut peer, _) = peer.accept().unwrap();
    /// # std::io::Write::write_all(&mut peer, b"hello").unwrap();
    /// # let count = || connected.handler::<Counter>().map(|counter| counter.0.load(Ordering::Relaxed));
    /// # while count() != Some(5) { std::thread::yield_now() }
    /// # drop((connected, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    #[doc(alias("WskSocket", "WSK_CLIENT_STREAM_DISPATCH"))]
    pub fn open_with_events<H: ConnectionEvent + AcceptEvent>(
        provider: &Provider,
        family: Family,
        handler: H,
    ) -> Result<Self, Error> {
        let events = Some(events::of_stream(handler)?);
        Self::make(provider, Making::of(provider, family, false, events))
    }

    fn make(provider: &Provider, making: Making<StreamCategory>) -> Result<Self, Error> {
        // An older Windows might ignore the flag, and make a socket of another category.
        if provider.capture().ntddi() < NTDDI_WIN10_RS2 {
            return Err(Error::NoEntry { entry: "WskListen" });
        }
        let room = SocketMemory::new()?;
        let handle = open_socket(making)?;
        Ok(Self { handle, room })
    }

    /// Connects. The request takes the socket. Its result is a [`ConnectedSocket`](crate::ConnectedSocket), or an error [with a
    /// socket](crate::operation::NotConnected) that can still be connected, but can no longer listen.
    ///
    /// All else is as for [`ConnectionSocket::connect`].
    ///
    /// [`WskConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect).
    ///
    /// # Errors
    ///
    /// Of the request: those of [`ConnectionSocket::connect`].
    #[doc(alias = "WskConnect")]
    pub fn connect(self, remote: impl ToSocketAddr) -> Request<'static, Connect, ConnectionSocket> {
        self.into_connection().connect(remote)
    }

    /// [`connect`](Self::connect) to an address of any family.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    #[doc(alias = "WskConnect")]
    pub fn connect_to(
        self,
        remote: impl Into<Endpoint>,
    ) -> Request<'static, Connect, ConnectionSocket> {
        self.into_connection().connect_to(remote)
    }

    /// Turns the socket into one that connects, and never listens. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn into_connection(self) -> ConnectionSocket {
        let handle = self.handle.into_connection(self.room);
        ConnectionSocket::new(handle)
    }

    /// Makes the socket listen: connections can be accepted from then on. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// [`WskListen`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_listen).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], [`Error::NotBound`], or the error of WSK; with the socket.
    #[doc(alias = "WskListen")]
    pub fn listen(self) -> Result<ListenSocket, (Error, Self)> {
        match request::listen(&self.handle) {
            Ok(()) => {
                let handle = self.handle.into_listening(self.room);
                Ok(ListenSocket { handle })
            }
            Err(error) => Err((error, self)),
        }
    }
}
