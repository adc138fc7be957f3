//! Datagram sockets: WSK's category behind `WSK_PROVIDER_DATAGRAM_DISPATCH`, for UDP.

use core::net::SocketAddr;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use core::time::Duration;

use wsk_sys::{
    IRP, MSG_BCAST, MSG_CTRUNC, MSG_MCAST, MSG_TRUNC, NTSTATUS, SIO_WSK_SET_REMOTE_ADDRESS,
    SIO_WSK_SET_SENDTO_ADDRESS, STATUS_BUFFER_OVERFLOW, WSK_CLIENT_DATAGRAM_DISPATCH,
    WSK_CONTROL_SOCKET_TYPE, WSK_EVENT_RECEIVE_FROM, WSK_SOCKET, WskProviderDatagramDispatch,
};

use crate::address::{self, Family};
use crate::buffer::{Extent, Inside, Lock, ReceiveBuffer, SendBuffer};
use crate::error::{Call, Error};
use crate::event_context::Events;
use crate::events::{self, ReceiveFromEvent};
use crate::in_flight::{Carried, InFlight, NotStarted, ReceiveFrom, SendTo};
use crate::irql::require_passive;
use crate::messages::{CarriedMessages, ListInFlight, Messages, SendMessages};
use crate::operation::{Arguments, Idle, Outcome};
use crate::registration::Provider;
use crate::shared::Shared;
use crate::socket::{
    Handle, Socket, address_of, bound_by_address, buffer_of, control_flags_of, control_of,
    controlled, room_of,
};

/// A datagram socket for UDP.
///
/// A handle: clones stand for the same socket, which closes when the last of them is dropped. Dropping never waits and is
/// allowed at any IRQL up to `DISPATCH_LEVEL`; [`close`](Self::close) waits until WSK is done with the socket.
///
/// Sends and receives may run at the same time, on any threads. Operations in flight do not keep the socket open: closing
/// it completes them, with `STATUS_CANCELLED` where they were not done.
pub struct DatagramSocket {
    socket: Handle,
}

/// A datagram that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Received {
    /// The number of bytes that were written to the buffer.
    pub length: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whether the datagram was longer than the buffer, and its end is lost.
    pub truncated: bool,
    /// Whether there was more control information than room for it.
    pub control_truncated: bool,
    /// Whether it was sent to a broadcast address.
    pub broadcast: bool,
    /// Whether it was sent to a multicast address.
    pub multicast: bool,
}

bound_by_address!(DatagramSocket);
controlled!(DatagramSocket);

impl DatagramSocket {
    /// Opens a socket, which has to be bound before it can send or receive. IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// Allocates the socket's state and two operations, one of them for closing, which can therefore not fail for want of
    /// memory.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or what WSK says.
    #[doc(alias = "WskSocket")]
    pub fn open(provider: &Provider, family: Family) -> Result<Self, Error> {
        Self::open_within(provider, family, None)
    }

    /// Opens a socket whose arriving datagrams are told to `handler`, once events are
    /// [enabled](Self::enable_receive_events). IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// Allocates what [`open`](Self::open) does, and room for the handler. The handler is dropped when the socket's close has
    /// completed and its last operation is gone, at up to `DISPATCH_LEVEL`.
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
        require_passive()?;
        let events = events::of_datagrams(handler)?;
        Self::open_within(provider, family, Some(events))
    }

    /// Another handle of a socket that is still open.
    pub(crate) fn from_open(socket: &Shared<Socket>) -> Option<Self> {
        Some(Self {
            socket: Handle::from_open(socket)?,
        })
    }

    /// Has WSK call the handler when datagrams arrive, which may be before this returns. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// [`Error::NoEvents`] when the socket was opened without a handler; [`Error::NotBound`]; or what WSK says.
    #[doc(alias = "SO_WSK_EVENT_CALLBACK")]
    pub fn enable_receive_events(&self) -> Result<(), Error> {
        self.socket.enable_events(WSK_EVENT_RECEIVE_FROM)
    }

    /// Has WSK no longer call the handler; waits until calls that are under way have returned, so it must not be called from the
    /// handler. IRQL: `PASSIVE_LEVEL`.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// [`Error::NoEvents`] when the socket was opened without a handler; [`Error::NotBound`], [`Error::WrongIrql`],
    /// [`Error::NoMemory`]; or what WSK says.
    #[doc(alias = "SO_WSK_EVENT_CALLBACK")]
    pub fn disable_receive_events(&self) -> Result<(), Error> {
        self.socket.disable_events(WSK_EVENT_RECEIVE_FROM)
    }

    fn open_within(
        provider: &Provider,
        family: Family,
        events: Option<Events<WSK_CLIENT_DATAGRAM_DISPATCH>>,
    ) -> Result<Self, Error> {
        let socket = Handle::open(provider, family, events)?;
        Ok(Self { socket })
    }

    /// Sends a datagram and waits until it has been sent. IRQL: `PASSIVE_LEVEL`.
    ///
    /// WSK does not buffer: the call returns when the datagram has left, or failed to. The number of bytes sent is that of the
    /// buffer. Allocates an operation only when another thread is using the socket's own at that moment, and an MDL for memory
    /// that has none.
    ///
    /// [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to).
    ///
    /// # Errors
    ///
    /// Before the kernel is called: [`Error::WrongIrql`], [`Error::NotBound`], [`Error::WrongFamily`], [`Error::PortZero`],
    /// [`Error::DatagramTooLong`], [`Error::NoMemory`]. Else what WSK says.
    #[doc(alias = "WskSendTo")]
    pub fn send_to<B: SendBuffer + ?Sized>(
        &self,
        buffer: &B,
        to: SocketAddr,
    ) -> Result<usize, Error> {
        self.send_within(buffer, to, false, None)
    }

    /// [`send_to`](Self::send_to), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `send_to`, [`Error::TimedOut`]. A cancelled send is waited for too, so that nothing is in flight
    /// afterwards; if it was done at the last moment that is no error.
    #[doc(alias = "WskSendTo")]
    pub fn send_to_timeout<B: SendBuffer + ?Sized>(
        &self,
        buffer: &B,
        to: SocketAddr,
        limit: Duration,
    ) -> Result<usize, Error> {
        self.send_within(buffer, to, false, Some(limit))
    }

    #[inline]
    fn send_within<B: SendBuffer + ?Sized>(
        &self,
        buffer: &B,
        to: SocketAddr,
        fixed: bool,
        limit: Option<Duration>,
    ) -> Result<usize, Error> {
        require_passive()?;
        self.socket.require_bound()?;
        let lock = buffer.lock()?;
        let extent = lock.extent();
        Self::check_send(self.socket.family, extent, to)?;
        let mut operation = self.socket.operation()?;
        let arguments = operation.arguments();
        self.socket.family.write(to, &mut arguments.address);
        arguments.buffer = extent.as_wsk_buf();
        let control = lock.lend_control(arguments)?;
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and `WSK_BUF` and address are in the arguments. The extent is valid
        // until the lock is dropped, and so is the control information, by the buffer's promise.
        unsafe {
            self.socket.request(
                operation,
                Call::WskSendTo,
                lock,
                limit,
                |irp, arguments| {
                    let address = (!fixed).then(|| address_of(arguments));
                    let control = control_of(arguments, control);
                    Ok(table.wsk_send_to(socket, buffer_of(arguments), address, control, irp)?)
                },
                |outcome, _| sent(outcome),
            )
        }
    }

    /// Sends several datagrams to one address and waits until they have been sent. IRQL: `PASSIVE_LEVEL`.
    ///
    /// The result is the number of bytes of all of them. Allocates as [`send_to`](Self::send_to) does.
    ///
    /// [`WskSendMessages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_messages).
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](Self::send_to); [`Error::NoMessages`] for none.
    #[doc(alias = "WskSendMessages")]
    pub fn send_messages<B: SendBuffer, const N: usize>(
        &self,
        messages: &mut Messages<B, N>,
        to: SocketAddr,
    ) -> Result<usize, Error> {
        self.send_messages_within(messages, to, None)
    }

    /// [`send_messages`](Self::send_messages), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `send_messages`, [`Error::TimedOut`].
    #[doc(alias = "WskSendMessages")]
    pub fn send_messages_timeout<B: SendBuffer, const N: usize>(
        &self,
        messages: &mut Messages<B, N>,
        to: SocketAddr,
        limit: Duration,
    ) -> Result<usize, Error> {
        self.send_messages_within(messages, to, Some(limit))
    }

    fn send_messages_within<B: SendBuffer, const N: usize>(
        &self,
        messages: &mut Messages<B, N>,
        to: SocketAddr,
        limit: Option<Duration>,
    ) -> Result<usize, Error> {
        require_passive()?;
        self.socket.require_bound()?;
        if N == 0 {
            return Err(Error::NoMessages);
        }
        let place = NonNull::from(&mut *messages);
        // SAFETY: the messages are borrowed exclusively for this call, which does nothing with them before they are unlocked but
        // to pass their list on.
        let result = unsafe {
            Messages::lock(place).and_then(|(list, longest)| {
                Self::check_datagram(self.socket.family, longest, to)?;
                let mut operation = self.socket.operation()?;
                let arguments = operation.arguments();
                self.socket.family.write(to, &mut arguments.address);
                let control = place.as_ref().lend_control(arguments)?;
                let (socket, table) = (self.socket.socket, self.socket.dispatch());
                self.socket.request(
                    operation,
                    Call::WskSendMessages,
                    ListInFlight,
                    limit,
                    |irp, arguments| {
                        let address = Some(address_of(arguments));
                        let control = control_of(arguments, control);
                        Ok(table.wsk_send_messages(socket, list, address, control, irp)?)
                    },
                    |outcome, _| {
                        outcome.check(Call::WskSendMessages)?;
                        Ok(outcome.information)
                    },
                )
            })
        };
        messages.unlock();
        result
    }

    /// Waits for a datagram and receives it. IRQL: `PASSIVE_LEVEL`.
    ///
    /// A datagram that is longer than the buffer fills it, and [`Received::truncated`] is set. Allocates an operation only when
    /// another thread is using the socket's own at that moment, and an MDL for memory that has none.
    ///
    /// [`WskReceiveFrom`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from).
    ///
    /// # Errors
    ///
    /// Before the kernel is called: [`Error::WrongIrql`], [`Error::NotBound`], [`Error::NoMemory`]. Else what WSK says.
    #[doc(alias = "WskReceiveFrom")]
    pub fn receive_from<B: ReceiveBuffer + ?Sized>(
        &self,
        buffer: &mut B,
    ) -> Result<Received, Error> {
        self.receive_from_within(buffer, None)
    }

    /// [`receive_from`](Self::receive_from), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `receive_from`, [`Error::TimedOut`]. A cancelled receive is waited for too, so that nothing is in
    /// flight afterwards; if a datagram came at the last moment it is returned.
    #[doc(alias = "WskReceiveFrom")]
    pub fn receive_from_timeout<B: ReceiveBuffer + ?Sized>(
        &self,
        buffer: &mut B,
        limit: Duration,
    ) -> Result<Received, Error> {
        self.receive_from_within(buffer, Some(limit))
    }

    #[inline]
    fn receive_from_within<B: ReceiveBuffer + ?Sized>(
        &self,
        buffer: &mut B,
        limit: Option<Duration>,
    ) -> Result<Received, Error> {
        require_passive()?;
        self.socket.require_bound()?;
        let lock = buffer.lock_mut()?;
        let mut operation = self.socket.operation()?;
        let wanted = receive_into(&lock, operation.arguments());
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and all that the parameters point at is in the arguments. The extent
        // is valid until the lock is dropped.
        unsafe {
            self.socket.request(
                operation,
                Call::WskReceiveFrom,
                lock,
                limit,
                |irp, arguments| pass_on_receive(table, socket, arguments, wanted, irp),
                |outcome, arguments| received(outcome, arguments),
            )
        }
    }

    /// Starts to send a datagram, without waiting. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// The buffer moves into the operation and comes back with the result; the operation is a future, and can be waited for,
    /// polled, cancelled, dropped or forgotten. Dropping it lets the datagram be sent all the same.
    ///
    /// Allocates an operation, unless the buffer comes from a [`Pool`](crate::Pool).
    ///
    /// [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to).
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](Self::send_to) that are found before WSK has taken the request, with the buffer.
    #[doc(alias = "WskSendTo")]
    pub fn start_send_to<B>(&self, buffer: B, to: SocketAddr) -> Result<SendTo<B>, NotStarted<B>>
    where
        B: SendBuffer + Send + 'static,
    {
        self.start_send_within(buffer, to, false)
    }

    fn start_send_within<B>(
        &self,
        buffer: B,
        to: SocketAddr,
        fixed: bool,
    ) -> Result<SendTo<B>, NotStarted<B>>
    where
        B: SendBuffer + Send + 'static,
    {
        if let Err(error) = self.socket.require_bound() {
            return Err(NotStarted::new(error, buffer));
        }
        let mut buffer = buffer;
        let own = buffer.operation(Inside(()));
        let (socket, family, table) = (
            self.socket.socket,
            self.socket.family,
            self.socket.dispatch(),
        );
        // SAFETY: the socket is open while this handle is. The payload holds the buffer, whose extent is valid until its lock is
        // dropped, which is when the payload is; so is the control information, by the buffer's promise.
        unsafe {
            self.socket
                .start_carrying(buffer, own, |irp, arguments, carried| {
                    let lock = Carried::lock(carried)?;
                    Self::check_send(family, lock.extent(), to)?;
                    family.write(to, &mut (*arguments.as_ptr()).address);
                    (*arguments.as_ptr()).buffer = lock.extent().as_wsk_buf();
                    let control = lock.lend_control(&mut *arguments.as_ptr())?;
                    let address = (!fixed).then(|| address_of(arguments));
                    let control = control_of(arguments, control);
                    Ok(table.wsk_send_to(socket, buffer_of(arguments), address, control, irp)?)
                })
        }
    }

    /// Starts to send several datagrams to one address, without waiting. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// The messages move into the operation and come back with the result; the operation is a future, and can be waited for,
    /// polled, cancelled, dropped or forgotten. Dropping it lets the datagrams be sent all the same. Allocates an operation.
    ///
    /// [`WskSendMessages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_messages).
    ///
    /// # Errors
    ///
    /// Those of [`send_messages`](Self::send_messages) that are found before WSK has taken the request, with the messages.
    #[doc(alias = "WskSendMessages")]
    pub fn start_send_messages<B, const N: usize>(
        &self,
        messages: Messages<B, N>,
        to: SocketAddr,
    ) -> Result<SendMessages<B, N>, NotStarted<Messages<B, N>>>
    where
        B: SendBuffer + Send + 'static,
    {
        if let Err(error) = self.may_send_messages::<N>(to) {
            return Err(NotStarted::new(error, messages));
        }
        let mut operation = match Idle::new() {
            Ok(operation) => operation,
            Err(error) => return Err(NotStarted::new(error, messages)),
        };
        self.socket
            .family
            .write(to, &mut operation.arguments().address);
        let carried = CarriedMessages::new(messages);
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is. The payload holds the messages, which stay locked until it is settled,
        // and what else the parameters point at is in the arguments.
        let started = unsafe {
            let observer = self.socket.hold_capture();
            operation.start(carried, Some(observer), |irp, arguments, carried| {
                let (list, longest, control) =
                    CarriedMessages::lock(carried, &mut *arguments.as_ptr())?;
                Self::check_datagram(self.socket.family, longest, to)?;
                let control = control_of(arguments, control);
                let address = Some(address_of(arguments));
                Ok(table.wsk_send_messages(socket, list, address, control, irp)?)
            })
        };
        match started {
            Ok(flight) => Ok(InFlight::started(flight)),
            Err(refused) => Err(NotStarted::new(
                refused.error,
                refused.payload.into_messages(),
            )),
        }
    }

    /// What can be wrong with sending `N` datagrams before they are looked at.
    pub(crate) fn may_send_messages<const N: usize>(&self, to: SocketAddr) -> Result<(), Error> {
        self.socket.require_bound()?;
        self.socket.family.check(&to)?;
        if N == 0 {
            return Err(Error::NoMessages);
        }
        Ok(())
    }

    /// Starts to receive a datagram, without waiting. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// The buffer moves into the operation and comes back with the result; the operation is a future, and can be waited for,
    /// polled, cancelled, dropped or forgotten. Dropping it cancels it.
    ///
    /// Allocates an operation, unless the buffer comes from a [`Pool`](crate::Pool).
    ///
    /// [`WskReceiveFrom`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from).
    ///
    /// # Errors
    ///
    /// Those of [`receive_from`](Self::receive_from) that are found before WSK has taken the request, with the buffer.
    #[doc(alias = "WskReceiveFrom")]
    pub fn start_receive_from<B>(&self, buffer: B) -> Result<ReceiveFrom<B>, NotStarted<B>>
    where
        B: ReceiveBuffer + Send + 'static,
    {
        if let Err(error) = self.socket.require_bound() {
            return Err(NotStarted::new(error, buffer));
        }
        let mut buffer = buffer;
        let own = buffer.operation(Inside(()));
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is. The payload holds the buffer, whose extent is valid until its lock is
        // dropped, which is when the payload is.
        unsafe {
            self.socket
                .start_carrying(buffer, own, |irp, arguments, carried| {
                    let lock = Carried::lock_mut(carried)?;
                    let wanted = receive_into(lock, &mut *arguments.as_ptr());
                    pass_on_receive(table, socket, arguments, wanted, irp)
                })
        }
    }

    /// Closes the socket and waits until WSK is done with it, and so until event handlers have returned: it must not be called from
    /// one. IRQL: `PASSIVE_LEVEL`.
    ///
    /// [`WskCloseSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket).
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] when there are other handles: the socket closes when the last is dropped. [`Error::WrongIrql`]: it
    /// closes without being waited for. Else what WSK says; the socket is gone in any case.
    #[doc(alias = "WskCloseSocket")]
    pub fn close(self) -> Result<(), Error> {
        self.socket.close()
    }

    /// What the handles share.
    pub(crate) fn shared(&self) -> &Socket {
        &self.socket
    }

    /// What can be wrong with a datagram before WSK is asked.
    #[inline]
    pub(crate) fn check_send(family: Family, extent: Extent, to: SocketAddr) -> Result<(), Error> {
        Self::check_datagram(family, extent.len(), to)
    }

    #[inline]
    pub(crate) fn check_datagram(
        family: Family,
        length: usize,
        to: SocketAddr,
    ) -> Result<(), Error> {
        match (family, &to) {
            (Family::V4, SocketAddr::V4(v4)) if length <= Family::LIMIT_V4 && v4.port() != 0 => {
                Ok(())
            }
            _ => Self::check_datagram_longer(family, length, &to),
        }
    }

    /// As [`check_datagram`](Self::check_datagram), where something may be wrong.
    #[inline(never)]
    fn check_datagram_longer(family: Family, length: usize, to: &SocketAddr) -> Result<(), Error> {
        family.check(to)?;
        let limit = Family::limit(to);
        if length > limit {
            return Err(Error::DatagramTooLong { length, limit });
        }
        if to.port() == 0 {
            return Err(Error::PortZero);
        }
        Ok(())
    }

    /// Fixes the remote address: datagrams are sent there unless they have an address of their own, and only those that come
    /// from there are received. IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// [`SIO_WSK_SET_REMOTE_ADDRESS`](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-set-remote-address).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NotBound`], [`Error::WrongFamily`], [`Error::PortZero`], [`Error::NoMemory`],
    /// [`Error::AlreadyFixed`] when this or another handle has fixed an address, or what WSK says; with the socket as it was.
    #[doc(alias = "SIO_WSK_SET_REMOTE_ADDRESS")]
    pub fn fix_remote_address(
        self,
        remote: SocketAddr,
    ) -> Result<FixedDatagramSocket, (Error, Self)> {
        self.fix(SIO_WSK_SET_REMOTE_ADDRESS, remote)
    }

    /// Fixes the destination: datagrams are sent there unless they have an address of their own; they are received from
    /// anywhere. IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// [`SIO_WSK_SET_SENDTO_ADDRESS`](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-set-sendto-address).
    ///
    /// # Errors
    ///
    /// As for [`fix_remote_address`](Self::fix_remote_address).
    #[doc(alias = "SIO_WSK_SET_SENDTO_ADDRESS")]
    pub fn fix_destination(self, remote: SocketAddr) -> Result<FixedDatagramSocket, (Error, Self)> {
        self.fix(SIO_WSK_SET_SENDTO_ADDRESS, remote)
    }

    fn fix(self, code: u32, remote: SocketAddr) -> Result<FixedDatagramSocket, (Error, Self)> {
        // Once for all handles: the address of one is the address of all.
        if self.socket.fixed.swap(true, Ordering::Relaxed) {
            return Err((Error::AlreadyFixed, self));
        }
        match self.set_address(code, remote) {
            // INVARIANT: the address is fixed, and nothing changes it.
            Ok(()) => Ok(FixedDatagramSocket {
                socket: self,
                remote,
            }),
            Err(error) => {
                self.socket.fixed.store(false, Ordering::Relaxed);
                Err((error, self))
            }
        }
    }

    fn set_address(&self, code: u32, remote: SocketAddr) -> Result<(), Error> {
        require_passive()?;
        self.socket.require_bound()?;
        Self::check_send(self.socket.family, Extent::empty(), remote)?;
        let mut operation = self.socket.operation()?;
        self.socket
            .family
            .write(remote, &mut operation.arguments().address);
        let size = self.socket.family.size();
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and the address is in the arguments.
        unsafe {
            self.socket.request(
                operation,
                Call::WskControlSocket,
                (),
                None,
                |irp, arguments| {
                    let address = NonNull::slice_from_raw_parts(address_of(arguments).cast(), size);
                    Ok(table.basic().wsk_control_socket(
                        socket,
                        WSK_CONTROL_SOCKET_TYPE::WskIoctl,
                        code,
                        0,
                        Some(address),
                        None,
                        None,
                        Some(irp),
                    )?)
                },
                |outcome, _| outcome.check(Call::WskControlSocket),
            )
        }
    }
}

/// A datagram socket whose remote address or destination is fixed, so that it can send without an address.
///
/// All else is that of [`DatagramSocket`], to which it derefs.
///
/// # Invariants
///
/// The socket's remote address or destination was fixed as `remote`.
#[derive(Debug, Clone)]
pub struct FixedDatagramSocket {
    socket: DatagramSocket,
    remote: SocketAddr,
}

impl FixedDatagramSocket {
    /// The address that was fixed.
    #[must_use]
    pub const fn remote_address(&self) -> SocketAddr {
        self.remote
    }

    /// Closes the socket, as [`DatagramSocket::close`] does. IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// # Errors
    ///
    /// Those of [`DatagramSocket::close`].
    #[doc(alias = "WskCloseSocket")]
    pub fn close(self) -> Result<(), Error> {
        self.socket.close()
    }

    /// Sends a datagram to the fixed address and waits until it has been sent. IRQL: `PASSIVE_LEVEL`.
    ///
    /// [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to) with no
    /// `RemoteAddress`.
    ///
    /// # Errors
    ///
    /// Those of [`DatagramSocket::send_to`].
    #[doc(alias = "WskSendTo")]
    pub fn send<B: SendBuffer + ?Sized>(&self, buffer: &B) -> Result<usize, Error> {
        self.socket.send_within(buffer, self.remote, true, None)
    }

    /// [`send`](Self::send), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Those of [`DatagramSocket::send_to_timeout`].
    #[doc(alias = "WskSendTo")]
    pub fn send_timeout<B: SendBuffer + ?Sized>(
        &self,
        buffer: &B,
        limit: Duration,
    ) -> Result<usize, Error> {
        self.socket
            .send_within(buffer, self.remote, true, Some(limit))
    }

    /// Starts to send a datagram to the fixed address, without waiting. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// Those of [`DatagramSocket::start_send_to`].
    #[doc(alias = "WskSendTo")]
    pub fn start_send<B>(&self, buffer: B) -> Result<SendTo<B>, NotStarted<B>>
    where
        B: SendBuffer + Send + 'static,
    {
        self.socket.start_send_within(buffer, self.remote, true)
    }
}

impl Deref for FixedDatagramSocket {
    type Target = DatagramSocket;

    fn deref(&self) -> &DatagramSocket {
        &self.socket
    }
}

/// The bytes of a completed send.
#[inline]
pub(crate) fn sent(outcome: Outcome) -> Result<usize, Error> {
    outcome.check(Call::WskSendTo)?;
    Ok(outcome.information)
}

/// Has the next datagram be received into what is locked; whether control information is wanted too. A provider that writes no
/// address, or no flags, has not written those that were there before.
#[inline]
pub(crate) fn receive_into(lock: &Lock<'_>, arguments: &mut Arguments) -> bool {
    arguments.buffer = lock.extent().as_wsk_buf();
    arguments.control_flags = 0;
    arguments.address.ss_family = 0;
    lock.lend_room(arguments)
}

/// Passes a receive on to WSK, after [`receive_into`], which has said whether control information is wanted.
///
/// # Safety
///
/// As `WskReceiveFrom` asks: the socket is open, the arguments and what is locked stay as they are until the IRP has completed.
#[inline]
pub(crate) unsafe fn pass_on_receive(
    table: WskProviderDatagramDispatch,
    socket: NonNull<WSK_SOCKET>,
    arguments: NonNull<Arguments>,
    wanted: bool,
    irp: NonNull<IRP>,
) -> Result<NTSTATUS, Error> {
    // SAFETY: the caller keeps what the call asks for; its parameters point at the arguments.
    unsafe {
        let (length, control) = room_of(arguments, wanted);
        let (address, flags) = (address_of(arguments), control_flags_of(arguments));
        let buffer = buffer_of(arguments);
        Ok(table.wsk_receive_from(
            socket,
            buffer,
            Some(address),
            length,
            control,
            Some(flags),
            irp,
        )?)
    }
}

/// The datagram of a completed receive.
#[inline]
pub(crate) fn received(outcome: Outcome, arguments: &Arguments) -> Result<Received, Error> {
    let flags = arguments.control_flags;
    // The documented answer to a datagram that does not fit is a warning, with the bytes that did.
    let overflow = outcome.status == STATUS_BUFFER_OVERFLOW;
    if !overflow {
        outcome.check(Call::WskReceiveFrom)?;
    }
    Ok(Received {
        length: outcome.information.min(arguments.buffer.Length),
        from: address::read(&arguments.address)?,
        // The flag says what was cut off, where there is one.
        truncated: flags & MSG_TRUNC != 0 || (overflow && flags & MSG_CTRUNC == 0),
        control_truncated: flags & MSG_CTRUNC != 0,
        broadcast: flags & MSG_BCAST != 0,
        multicast: flags & MSG_MCAST != 0,
    })
}

impl Clone for DatagramSocket {
    fn clone(&self) -> Self {
        Self {
            socket: self.socket.clone(),
        }
    }
}
