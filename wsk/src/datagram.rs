//! Datagram sockets: WSK's category behind `WSK_PROVIDER_DATAGRAM_DISPATCH`, for UDP.

use core::ffi::c_void;
use core::fmt;
use core::mem::ManuallyDrop;
use core::net::SocketAddr;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

use wsk_sys::{
    IPPROTO, IPV6_V6ONLY, IRP, MSG_BCAST, MSG_MCAST, MSG_TRUNC, NTSTATUS, SOCK_DGRAM,
    STATUS_BUFFER_OVERFLOW, WSK_CONTROL_SOCKET_TYPE, WSK_FLAG_DATAGRAM_SOCKET, WSK_SOCKET,
    WskProviderDatagramDispatch,
};

use crate::address::{self, Family};
use crate::buffer::{ReceiveBuffer, SendBuffer};
use crate::error::{Call, Error, Memory};
use crate::irql::require_passive;
use crate::operation::{Arguments, Operation, Outcome, Release, Spare};
use crate::registration::{Capture, Provider};
use crate::shared::{Reserved, Shared};

/// A datagram socket for UDP.
///
/// A handle: clones stand for the same socket, which closes when the last of them is dropped. Dropping never waits and is
/// allowed at any IRQL up to `DISPATCH_LEVEL`; [`close`](Self::close) waits until WSK is done with the socket.
///
/// Sends and receives may run at the same time, on any threads.
pub struct DatagramSocket {
    socket: ManuallyDrop<Shared<Socket>>,
}

/// A datagram that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The number of bytes that were written to the buffer.
    pub length: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whether the datagram was longer than the buffer, and its end is lost.
    pub truncated: bool,
    /// Whether it was sent to a broadcast address.
    pub broadcast: bool,
    /// Whether it was sent to a multicast address.
    pub multicast: bool,
}

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
        require_passive()?;
        let capture = provider.capture();
        let (client, table) = (capture.client()?, capture.dispatch()?);
        let reserved = Reserved::<Socket>::new().ok_or(Error::NoMemory(Memory::Socket))?;
        let closing = Operation::new()?;
        let operation = Operation::new()?;
        // SAFETY: the client and table are the captured provider's, the socket has no events (neither context nor dispatch
        // table), and there is nothing else for the parameters to point at.
        let (operation, outcome) = unsafe {
            operation.run(Call::WskSocket, |irp, _| {
                Ok(table.wsk_socket(
                    client,
                    family.number(),
                    SOCK_DGRAM,
                    IPPROTO::IPPROTO_UDP.0.cast_unsigned(),
                    WSK_FLAG_DATAGRAM_SOCKET,
                    None,
                    None,
                    None,
                    None,
                    None,
                    irp,
                )?)
            })
        }?;
        outcome.check(Call::WskSocket)?;
        let nothing = Error::Call {
            call: Call::WskSocket,
            status: outcome.status,
        };
        let socket = NonNull::new(core::ptr::with_exposed_provenance_mut(outcome.information))
            .ok_or(nothing)?;
        // INVARIANT: the socket is open and of the datagram category.
        let socket = reserved.fill(Socket {
            socket,
            capture: capture.clone(),
            family,
            handles: AtomicUsize::new(1),
            bound: AtomicBool::new(false),
            closing: Spare::new(Some(closing)),
            spare: Spare::new(Some(operation)),
        });
        let socket = Self {
            socket: ManuallyDrop::new(socket),
        };
        if family == Family::Dual {
            socket.set_dual_mode()?;
        }
        Ok(socket)
    }

    /// Gives the socket a local address; port 0 lets WSK choose one. IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// [`WskBind`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_bind).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::WrongFamily`], [`Error::NoMemory`], or what WSK says, such as
    /// `STATUS_SHARING_VIOLATION` or `STATUS_ADDRESS_ALREADY_EXISTS` for an address in use.
    #[doc(alias = "WskBind")]
    pub fn bind(&self, local: SocketAddr) -> Result<(), Error> {
        require_passive()?;
        let mut operation = self.socket.operation()?;
        self.socket
            .family
            .write(local, &mut operation.arguments().address)?;
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and the address is in the operation.
        let outcome = unsafe {
            self.socket.run(operation, Call::WskBind, |irp, arguments| {
                Ok(table.wsk_bind(socket, address_of(arguments), irp)?)
            })
        }?;
        outcome.check(Call::WskBind)?;
        self.socket.bound.store(true, Ordering::Release);
        Ok(())
    }

    /// The local address that the socket is bound to. IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// [`WskGetLocalAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_local_address).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NotBound`], [`Error::NoMemory`], or what WSK says.
    #[doc(alias = "WskGetLocalAddress")]
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        require_passive()?;
        self.socket.require_bound()?;
        let operation = self.socket.operation()?;
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and the address is written into the operation.
        let (mut operation, outcome) = unsafe {
            operation.run(Call::WskGetLocalAddress, |irp, arguments| {
                Ok(table.wsk_get_local_address(socket, address_of(arguments), irp)?)
            })
        }?;
        let address = outcome
            .check(Call::WskGetLocalAddress)
            .and_then(|()| address::read(&operation.arguments().address));
        self.socket.spare.put(operation);
        address
    }

    /// Sends a datagram and waits until it has been sent. IRQL: `PASSIVE_LEVEL`.
    ///
    /// WSK does not buffer: the call returns when the datagram has left, or failed to. The number of bytes sent is that of the
    /// buffer. Allocates an operation only when another thread is using the socket's own at that moment.
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
        require_passive()?;
        self.socket.require_bound()?;
        let extent = buffer.extent();
        let limit = self.socket.family.limit(&to);
        if extent.len() > limit {
            return Err(Error::DatagramTooLong {
                length: extent.len(),
                limit,
            });
        }
        if to.port() == 0 {
            return Err(Error::PortZero);
        }
        let mut operation = self.socket.operation()?;
        let arguments = operation.arguments();
        self.socket.family.write(to, &mut arguments.address)?;
        arguments.buffer = extent.as_wsk_buf();
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and `WSK_BUF` and address are in the operation. The extent is valid
        // while the buffer is borrowed, which is until the IRP has completed; if it never does, the buffer is told.
        let outcome = unsafe {
            self.socket
                .run(operation, Call::WskSendTo, |irp, arguments| {
                    Ok(table.wsk_send_to(
                        socket,
                        buffer_of(arguments),
                        Some(address_of(arguments)),
                        None,
                        irp,
                    )?)
                })
        };
        if matches!(outcome, Err(Error::Abandoned { .. })) {
            buffer.abandon();
        }
        let outcome = outcome?;
        outcome.check(Call::WskSendTo)?;
        Ok(outcome.information)
    }

    /// Waits for a datagram and receives it. IRQL: `PASSIVE_LEVEL`.
    ///
    /// A datagram that is longer than the buffer fills it, and [`Received::truncated`] is set. Allocates an operation only when
    /// another thread is using the socket's own at that moment.
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
        require_passive()?;
        self.socket.require_bound()?;
        let mut operation = self.socket.operation()?;
        let arguments = operation.arguments();
        arguments.buffer = buffer.extent_mut().as_wsk_buf();
        arguments.control_flags = 0;
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and all that the parameters point at is in the operation. The extent
        // is valid while the buffer is borrowed, which is until the IRP has completed; if it never does, the buffer is told.
        let completed = unsafe {
            operation.run(Call::WskReceiveFrom, |irp, arguments| {
                let (address, flags) = (address_of(arguments), control_flags_of(arguments));
                let buffer = buffer_of(arguments);
                Ok(table.wsk_receive_from(
                    socket,
                    buffer,
                    Some(address),
                    None,
                    None,
                    Some(flags),
                    irp,
                )?)
            })
        };
        if matches!(completed, Err(Error::Abandoned { .. })) {
            buffer.abandon_mut();
        }
        let (mut operation, outcome) = completed?;
        let arguments = operation.arguments();
        let (from, flags) = (address::read(&arguments.address), arguments.control_flags);
        self.socket.spare.put(operation);
        // The documented answer to a datagram that does not fit is a warning, with the bytes that did.
        let truncated = outcome.status == STATUS_BUFFER_OVERFLOW || flags & MSG_TRUNC != 0;
        if outcome.status != STATUS_BUFFER_OVERFLOW {
            outcome.check(Call::WskReceiveFrom)?;
        }
        Ok(Received {
            length: outcome.information,
            from: from?,
            truncated,
            broadcast: flags & MSG_BCAST != 0,
            multicast: flags & MSG_MCAST != 0,
        })
    }

    /// Closes the socket and waits until WSK is done with it. IRQL: `PASSIVE_LEVEL`.
    ///
    /// [`WskCloseSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket).
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] when there are other handles: the socket closes when the last is dropped. [`Error::WrongIrql`]: it
    /// closes without being waited for. Else what WSK says; the socket is gone in any case.
    #[doc(alias = "WskCloseSocket")]
    pub fn close(self) -> Result<(), Error> {
        require_passive()?;
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so the reference is taken out once.
        let socket = unsafe { core::ptr::read(&raw const *this.socket) };
        if socket.handles.fetch_sub(1, Ordering::Release) != 1 {
            return Err(Error::InUse);
        }
        fence(Ordering::Acquire);
        let Some(operation) = socket.closing.take() else {
            return Ok(());
        };
        let (handle, table) = (socket.socket, socket.dispatch());
        // SAFETY: that was the last handle, so nothing calls the socket now or later, and it is closed once.
        let (_, outcome) = unsafe {
            operation.run(Call::WskCloseSocket, |irp, _| {
                Ok(table.basic().wsk_close_socket(handle, irp)?)
            })
        }?;
        outcome.check(Call::WskCloseSocket)
    }

    /// Lets an IPv6 socket carry IPv4 too.
    fn set_dual_mode(&self) -> Result<(), Error> {
        let mut operation = self.socket.operation()?;
        operation.arguments().value = 0;
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and the option's value is in the operation.
        let outcome = unsafe {
            self.socket
                .run(operation, Call::WskControlSocket, |irp, arguments| {
                    let value = value_of(arguments);
                    Ok(table.basic().wsk_control_socket(
                        socket,
                        WSK_CONTROL_SOCKET_TYPE::WskSetOption,
                        IPV6_V6ONLY,
                        IPPROTO::IPPROTO_IPV6.0.cast_unsigned(),
                        Some(value),
                        None,
                        None,
                        Some(irp),
                    )?)
                })
        }?;
        outcome.check(Call::WskControlSocket)
    }
}

impl Clone for DatagramSocket {
    fn clone(&self) -> Self {
        self.socket.handles.fetch_add(1, Ordering::Relaxed);
        Self {
            socket: self.socket.clone(),
        }
    }
}

impl Drop for DatagramSocket {
    fn drop(&mut self) {
        // SAFETY: the reference is taken out once, here.
        let socket = unsafe { ManuallyDrop::take(&mut self.socket) };
        if socket.handles.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            Socket::close_without_waiting(socket);
        }
    }
}

impl fmt::Debug for DatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramSocket")
            .field("family", &self.socket.family)
            .finish_non_exhaustive()
    }
}

/// What the handles of a socket share.
///
/// # Invariants
///
/// `socket` is an open socket of the datagram category, made through `capture`, from when this is made until `handles` is
/// zero; then it is closed with the operation in `closing`, once.
struct Socket {
    socket: NonNull<WSK_SOCKET>,
    capture: Shared<Capture>,
    family: Family,
    handles: AtomicUsize,
    bound: AtomicBool,
    /// Closes the socket. Taken once.
    closing: Spare,
    /// The operation of the blocking calls, when none of them is using it.
    spare: Spare,
}

// SAFETY: WSK's functions may be called on any thread, at the same time; the pointer is only passed to them.
unsafe impl Send for Socket {}
// SAFETY: as above.
unsafe impl Sync for Socket {}

impl Socket {
    fn dispatch(&self) -> WskProviderDatagramDispatch {
        // SAFETY: by the invariant the socket is open and of the datagram category, whose table is as long as this Windows
        // makes it, and stays while the socket is open.
        unsafe {
            let table = (*self.socket.as_ptr()).Dispatch.cast_mut().cast();
            WskProviderDatagramDispatch::new(NonNull::new_unchecked(table), self.capture.ntddi())
        }
    }

    fn require_bound(&self) -> Result<(), Error> {
        if self.bound.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err(Error::NotBound)
        }
    }

    fn operation(&self) -> Result<Operation, Error> {
        self.spare.take().map_or_else(Operation::new, Ok)
    }

    /// [`Operation::run`], after which the operation is the spare one again.
    ///
    /// # Safety
    ///
    /// As there.
    unsafe fn run(
        &self,
        operation: Operation,
        call: Call,
        invoke: impl FnOnce(NonNull<IRP>, NonNull<Arguments>) -> Result<NTSTATUS, Error>,
    ) -> Result<Outcome, Error> {
        // SAFETY: the caller vouches for `invoke`.
        let (operation, outcome) = unsafe { operation.run(call, invoke) }?;
        self.spare.put(operation);
        Ok(outcome)
    }

    /// Closes the socket; its memory and the capture go when WSK has done so. IRQL: `<= DISPATCH_LEVEL`.
    fn close_without_waiting(this: Shared<Self>) {
        let Some(operation) = this.closing.take() else {
            return;
        };
        let (socket, table) = (this.socket, this.dispatch());
        let release = Release {
            run: release,
            context: Shared::into_raw(this),
        };
        // SAFETY: the last handle is gone, so nothing calls the socket now or later, and it is closed once. `release` takes
        // the reference, once. A close that cannot even be called leaves everything as it is, for ever.
        let _ = unsafe {
            operation.run_detached(release, |irp, _| {
                Ok(table.basic().wsk_close_socket(socket, irp)?)
            })
        };
    }
}

/// Drops a reference that was turned into `context`.
///
/// # Safety
///
/// `context` came from `Shared::<Socket>::into_raw` and is used this once.
unsafe fn release(context: NonNull<c_void>) {
    // SAFETY: the caller vouches for it.
    drop(unsafe { Shared::<Socket>::from_raw(context) });
}

/// The address in `arguments`, as WSK takes it.
fn address_of(arguments: NonNull<Arguments>) -> NonNull<wsk_sys::SOCKADDR> {
    // SAFETY: a place inside the arguments, which are not read.
    unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).address) }.cast()
}

/// The buffer in `arguments`.
fn buffer_of(arguments: NonNull<Arguments>) -> NonNull<wsk_sys::WSK_BUF> {
    // SAFETY: as for `address_of`.
    unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).buffer) }
}

/// The flags of a received datagram in `arguments`.
fn control_flags_of(arguments: NonNull<Arguments>) -> NonNull<u32> {
    // SAFETY: as for `address_of`.
    unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).control_flags) }
}

/// The value of an option in `arguments`, as bytes.
fn value_of(arguments: NonNull<Arguments>) -> NonNull<[u8]> {
    // SAFETY: as for `address_of`.
    let value = unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).value) };
    NonNull::slice_from_raw_parts(value.cast(), size_of::<u32>())
}
