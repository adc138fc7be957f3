//! Listening sockets: WSK's category behind `WSK_PROVIDER_LISTEN_DISPATCH`, which accepts TCP connections.

#![forbid(unsafe_code)]

use core::net::SocketAddr;

use wsk_sys::WSK_EVENT_ACCEPT;

use crate::address::Family;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::events::{self, AcceptEvent, ConnectionEvent};
use crate::methods::{bound_by_address, closed, open_socket};
use crate::registration::Provider;
use crate::request::{self, Accept, Function, Request};
use crate::socket::option::ConditionalAccept;
use crate::socket::{ConnectionCategory, ListenSocket, Making};

bound_by_address! {
    /// The socket listens there from then on.
    ListenSocket
}
closed! {
    /// Connections that were not accepted yet are aborted.
    ListenSocket
}

impl ListenSocket {
    /// Opens a socket, which listens once it is bound. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// Allocates the socket's state and operations, one of them for closing, which can therefore not fail for lack of memory.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of WSK.
    #[doc(alias = "WskSocket")]
    pub fn open(provider: &Provider, family: Family) -> Result<Self, Error> {
        let handle = open_socket(Making::of(provider, family, false, None))?;
        Ok(Self { handle })
    }

    /// Opens a socket with a handler, which WSK calls for each connection once events are [enabled](Self::enable_accept_events). IRQL:
    /// `<= APC_LEVEL`; waits.
    ///
    /// Allocates what [`open`](Self::open) does, and room for the handler. The handler is dropped when the socket's close has
    /// completed, at up to `DISPATCH_LEVEL`.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    #[doc(alias = "WskSocket")]
    pub fn open_with_events<H: AcceptEvent>(
        provider: &Provider,
        family: Family,
        handler: H,
    ) -> Result<Self, Error> {
        let events = Some(events::of_listener(handler)?);
        let handle = open_socket(Making::of(provider, family, false, events))?;
        Ok(Self { handle })
    }

    /// Opens a socket with conditional accept: `handler` [inspects](AcceptEvent::inspect) each connection before it is made, and accepts or
    /// rejects it, at once or later. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// An accepted connection goes to [`accept`](Self::accept), or to [`AcceptEvent::accepted`] if accept events are
    /// [enabled](Self::enable_accept_events). Allocates what [`open_with_events`](Self::open_with_events) does.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use std::sync::mpsc::{Sender, channel}; // A driver has a queue of its own.
    /// use wsk::events::{AcceptEvent, Inspection, Pended};
    /// use wsk::{Family, ListenSocket};
    ///
    /// /// Lets nobody in but this machine, and has somebody else decide about that.
    /// struct Guard(Sender<Pended>);
    ///
    /// impl AcceptEvent for Guard {
    ///     fn inspect(&self, inspection: Inspection<'_>) {
    ///         let is_local = inspection.remote_address().is_ok_and(|from| from.ip().is_loopback());
    ///         if is_local && let Ok(pended) = inspection.pend() {
    ///             // What cannot be queued is dropped, and so rejected.
    ///             let _ = self.0.send(pended);
    ///         }
    ///     }
    /// }
    ///
    /// let (queue, waiting) = channel();
    /// let listener = ListenSocket::open_conditional(&provider, Family::V4, Guard(queue))?;
    /// listener.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    /// let accept = listener.accept().start()?;
    /// # let peer = std::net::TcpStream::connect(listener.local_address()?).unwrap();
    ///
    /// // Elsewhere, and at leisure.
    /// let pended = waiting.recv().unwrap();
    /// pended.accept().wait()?;
    /// let (socket, from) = accept.wait()??;
    /// # assert_eq!(from, peer.local_addr().unwrap());
    /// # drop((socket, listener, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`SO_CONDITIONAL_ACCEPT`](https://learn.microsoft.com/windows-hardware/drivers/network/so-conditional-accept).
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open). WSK fails the call if the transport does not support conditional accept.
    #[doc(alias("WskSocket", "SO_CONDITIONAL_ACCEPT"))]
    pub fn open_conditional<H: AcceptEvent>(
        provider: &Provider,
        family: Family,
        handler: H,
    ) -> Result<Self, Error> {
        let socket = Self::open_with_events(provider, family, handler)?;
        request::set_option(&socket.handle, ConditionalAccept).wait()?;
        Ok(socket)
    }

    /// Accepts the next connection. The result is its socket, and the address of the peer.
    ///
    /// [`with_events`](Request::with_events) adds a handler for the connection's events. Allocates the socket's state and operations.
    /// Dropping an operation that was started cancels it; if a connection arrives nevertheless, it is closed.
    ///
    /// [`WskAccept`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NoMemory`], [`Error::NotBound`]; or the error of WSK.
    #[doc(alias = "WskAccept")]
    pub fn accept(&self) -> Request<'_, Accept, Making<ConnectionCategory>> {
        request::accept(&self.handle)
    }

    /// [`accept`](Self::accept) on a socket of any family.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    #[doc(alias = "WskAccept")]
    pub fn accept_from_any(&self) -> Request<'_, Accept<Endpoint>, Making<ConnectionCategory>> {
        request::accept(&self.handle)
    }

    /// Enables accept events: WSK calls the handler when a connection arrives that no [`accept`](Self::accept) waits for, perhaps
    /// before this returns. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// [`Error::NoEvents`] when the socket was opened without a handler; [`Error::NotBound`]; or the error of WSK.
    #[doc(alias("SO_WSK_EVENT_CALLBACK", "WSK_EVENT_ACCEPT"))]
    pub fn enable_accept_events(&self) -> Result<(), Error> {
        request::enable_events(&self.handle, WSK_EVENT_ACCEPT)
    }

    /// Disables accept events, and waits until calls of the handler have returned. IRQL: `<= APC_LEVEL`.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`]; [`Error::NoEvents`] when the socket was opened without a handler;
    /// [`Error::NotBound`]; or the error of WSK.
    #[doc(alias("SO_WSK_EVENT_CALLBACK", "WSK_EVENT_DISABLE"))]
    pub fn disable_accept_events(&self) -> Result<(), Error> {
        request::disable_events(&self.handle, WSK_EVENT_ACCEPT).wait()
    }
}

impl<F: Function<Making<ConnectionCategory>>> Request<'_, F, Making<ConnectionCategory>> {
    /// Adds a handler for the connection's events, which WSK calls once they are [enabled](crate::ConnectedSocket::enable_events). IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// Allocates memory for the handler; if that fails, the request fails with [`Error::NoMemory`].
    pub fn with_events<H: ConnectionEvent>(self, handler: H) -> Self {
        Self {
            carried: self.carried.with_events(events::of_connection(handler)),
            ..self
        }
    }
}
