//! Datagram sockets: WSK's category behind `WSK_PROVIDER_DATAGRAM_DISPATCH`, for UDP.

#![forbid(unsafe_code)]

use core::net::SocketAddr;
use core::ops::Deref;

use wsk_sys::WSK_EVENT_RECEIVE_FROM;

use crate::address::{Destination, Family, RemoteAddress, ToSocketAddr, UnknownFamily};
use crate::buffer::{ReceiveBuffer, SendBuffer, SendList};
use crate::error::Error;
use crate::events::{self, ReceiveFromEvent};
use crate::memory::atomic::Ordering;
use crate::methods::{bound_by_address, closed, open_socket};
use crate::registration::Provider;
use crate::request::{self, ReceiveFrom, Request, SendFixed, SendMessages, SendTo};
use crate::socket::{DatagramSocket, Making};

bound_by_address!(DatagramSocket);
closed!(DatagramSocket);

impl DatagramSocket {
    /// Opens a socket, which has to be bound before it can send or receive. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// Allocates the socket's state and three operations, one of them for closing, which can therefore not fail for want of
    /// memory.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of WSK.
    #[doc(alias = "WskSocket")]
    pub fn open(provider: &Provider, family: Family) -> Result<Self, Error> {
        Self::open_within(Making::of(provider, family, false, None))
    }

    /// Opens a socket with a handler of arriving datagrams, which WSK calls once events are [enabled](Self::enable_receive_events).
    /// IRQL: `<= APC_LEVEL`; waits.
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
    pub fn open_with_events<H: ReceiveFromEvent>(
        provider: &Provider,
        family: Family,
        handler: H,
    ) -> Result<Self, Error> {
        let events = Some(events::of_datagrams(handler)?);
        Self::open_within(Making::of(provider, family, false, events))
    }

    fn open_within(making: Making<crate::socket::DatagramCategory>) -> Result<Self, Error> {
        let handle = open_socket(making)?;
        Ok(Self { handle })
    }

    /// Enables receive events: WSK calls the handler when datagrams arrive, perhaps before this returns. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// [`Error::NoEvents`] when the socket was opened without a handler; [`Error::NotBound`]; or the error of WSK.
    #[doc(alias("SO_WSK_EVENT_CALLBACK", "WSK_EVENT_RECEIVE_FROM"))]
    pub fn enable_receive_events(&self) -> Result<(), Error> {
        request::enable_events(&self.handle, WSK_EVENT_RECEIVE_FROM)
    }

    /// Disables receive events, and waits until calls of the handler have returned. So it must not be called from the handler. IRQL:
    /// `<= APC_LEVEL`.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`]; [`Error::NoEvents`] when the socket was opened without a handler;
    /// [`Error::NotBound`]; or the error of WSK.
    #[doc(alias("SO_WSK_EVENT_CALLBACK", "WSK_EVENT_DISABLE"))]
    pub fn disable_receive_events(&self) -> Result<(), Error> {
        request::disable_events(&self.handle, WSK_EVENT_RECEIVE_FROM).wait()
    }

    /// Sends a datagram. The result is the number of bytes sent, which is the length of the buffer.
    ///
    /// WSK does not buffer: the request is over when the datagram has left, or failed to. Dropping an operation that was started lets
    /// the datagram be sent all the same.
    ///
    /// [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NotBound`], [`Error::WrongFamily`], [`Error::DatagramTooLong`], [`Error::PortZero`],
    /// [`Error::ControlFull`]; or the error of WSK.
    #[doc(alias = "WskSendTo")]
    #[inline]
    pub fn send_to<B: SendBuffer, D: Destination>(
        &self,
        buffer: B,
        to: D,
    ) -> Request<'_, SendTo<D>, B> {
        request::send_to(&self.handle, buffer, to)
    }

    /// Sends several datagrams to one address. The result is the number of bytes of all of them.
    ///
    /// Dropping an operation that was started lets the datagrams be sent all the same.
    ///
    /// [`WskSendMessages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_messages).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NoMessages`] for none, [`Error::ControlOfOne`] and those of [`send_to`](Self::send_to), the length
    /// being that of the longest.
    #[doc(alias = "WskSendMessages")]
    pub fn send_messages<L: SendList, D: Destination>(
        &self,
        messages: L,
        to: D,
    ) -> Request<'_, SendMessages<D>, L> {
        request::send_messages(&self.handle, messages, to)
    }

    /// Receives the next datagram.
    ///
    /// One that is longer than the buffer fills it, and [`Received::is_truncated`](crate::Received::is_truncated) says so. Dropping an
    /// operation that was started cancels it.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
    /// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    /// # peer.send_to(b"hello", socket.local_address()?).unwrap();
    /// let mut room = [0; 1500];
    /// let received = socket.receive_from(&mut room).wait()?;
    /// assert_eq!(&room[..received.length()], b"hello");
    /// // The sender's address can be sent to as it came.
    /// socket.send_to(&room[..received.length()], received.remote()).wait()?;
    /// # assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskReceiveFrom`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NotBound`]; or the error of WSK.
    #[doc(alias = "WskReceiveFrom")]
    #[inline]
    pub fn receive_from<B: ReceiveBuffer>(&self, buffer: B) -> Request<'_, ReceiveFrom, B> {
        request::receive_from(&self.handle, buffer)
    }

    /// Fixes the remote address: datagrams without an address go there, and only datagrams from there are received. IRQL: `<=
    /// APC_LEVEL`; waits.
    ///
    /// [`SIO_WSK_SET_REMOTE_ADDRESS`](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-set-remote-address).
    ///
    /// # Errors
    ///
    /// With the socket as it was: [`Error::AlreadyFixed`] when this or another handle has fixed an address, [`Error::WrongIrql`],
    /// [`Error::NoMemory`], [`Error::NotBound`], [`Error::WrongFamily`], [`Error::PortZero`], or the error of WSK.
    #[doc(alias = "SIO_WSK_SET_REMOTE_ADDRESS")]
    pub fn fix_remote_address(
        self,
        remote: impl ToSocketAddr,
    ) -> Result<FixedDatagramSocket, (Error, Self)> {
        self.fix(false, remote.decoded())
    }

    /// Fixes the destination: datagrams without an address go there. Datagrams from anywhere are received. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// [`SIO_WSK_SET_SENDTO_ADDRESS`](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-set-sendto-address).
    ///
    /// # Errors
    ///
    /// As for [`fix_remote_address`](Self::fix_remote_address).
    #[doc(alias = "SIO_WSK_SET_SENDTO_ADDRESS")]
    pub fn fix_destination(
        self,
        remote: impl ToSocketAddr,
    ) -> Result<FixedDatagramSocket, (Error, Self)> {
        self.fix(true, remote.decoded())
    }

    fn fix(
        self,
        destination: bool,
        remote: Result<SocketAddr, UnknownFamily>,
    ) -> Result<FixedDatagramSocket, (Error, Self)> {
        // The flag is shared: an address that one handle fixes is fixed for all handles.
        if self.handle.fixed.swap(true, Ordering::Relaxed) {
            return Err((Error::AlreadyFixed, self));
        }
        let fixed = request::fix(&self.handle, destination, remote)
            .wait()
            .and_then(|()| {
                let remote = remote?;
                let encoded = RemoteAddress::new(self.handle.family(), remote)?;
                Ok((remote, encoded))
            });
        match fixed {
            // INVARIANT: the address is fixed, and nothing changes it.
            Ok((remote, encoded)) => Ok(FixedDatagramSocket {
                socket: self,
                remote,
                encoded,
            }),
            Err(error) => {
                self.handle.fixed.store(false, Ordering::Relaxed);
                Err((error, self))
            }
        }
    }
}

/// A datagram socket whose remote address or destination is fixed, so that it can send without an address.
///
/// All else is that of [`DatagramSocket`], to which it derefs.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// // From here on it sends to one address, which nobody has to name.
/// let socket = socket.fix_destination(to)?;
/// assert_eq!(socket.send(b"hello").wait()?, 5);
/// # assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The socket's remote address or destination was fixed as `remote`. `encoded` is the same address.
#[derive(Debug, Clone)]
pub struct FixedDatagramSocket {
    socket: DatagramSocket,
    remote: SocketAddr,
    encoded: RemoteAddress,
}

impl FixedDatagramSocket {
    /// The fixed address.
    #[must_use]
    pub const fn remote_address(&self) -> SocketAddr {
        self.remote
    }

    /// Closes the socket, as [`DatagramSocket::close`] does. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// # Errors
    ///
    /// Those of [`DatagramSocket::close`].
    #[doc(alias = "WskCloseSocket")]
    pub fn close(self) -> Result<(), Error> {
        self.socket.close()
    }

    /// Sends a datagram to the fixed address. All else is as for [`DatagramSocket::send_to`].
    ///
    /// [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to) with no
    /// `RemoteAddress`.
    ///
    /// # Errors
    ///
    /// Of the request: those of [`DatagramSocket::send_to`].
    #[doc(alias = "WskSendTo")]
    pub fn send<B: SendBuffer>(&self, buffer: B) -> Request<'_, SendFixed, B> {
        request::send_fixed(&self.socket.handle, buffer, self.encoded)
    }

    /// Sends several datagrams to the fixed address. All else is as for [`DatagramSocket::send_messages`].
    ///
    /// [`WskSendMessages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_messages) with no
    /// `RemoteAddress`.
    ///
    /// # Errors
    ///
    /// Of the request: those of [`DatagramSocket::send_messages`].
    #[doc(alias = "WskSendMessages")]
    pub fn send_all<L: SendList>(
        &self,
        messages: L,
    ) -> Request<'_, SendMessages<RemoteAddress>, L> {
        request::send_messages_fixed(&self.socket.handle, messages, self.encoded)
    }
}

impl Deref for FixedDatagramSocket {
    type Target = DatagramSocket;

    fn deref(&self) -> &DatagramSocket {
        &self.socket
    }
}
