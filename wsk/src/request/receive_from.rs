//! [`WskReceiveFrom`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from): receives one
//! datagram.

use core::fmt;
use core::net::SocketAddr;

use wsk_sys::{MSG_BCAST, MSG_CTRUNC, MSG_MCAST, MSG_TRUNC, STATUS_BUFFER_OVERFLOW};

use crate::address::{Origin, RemoteAddress, Sender};
use crate::buffer::carry::Room;
use crate::buffer::{ControlMessages, NonPagedBuffer, ReceiveBuffer};
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::way::not_lost;
use crate::request::{Function, InPlace, Operation, Repeat, Request, Shown, ToReceive};
use crate::socket::calls::{Bound, OfSocket, ReceiveFromCall, Renewed};
use crate::socket::{DatagramCategory, Handle};

/// The request of [`receive_from`](crate::DatagramSocket::receive_from): the next datagram.
#[derive(Debug)]
pub struct ReceiveFrom;

/// The operation of [`receive_from`](crate::DatagramSocket::receive_from), which the types of handles name.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// use wsk::operation::InFlight;
/// use wsk::request::ReceivingFrom;
/// use wsk::NonPagedBuffer;
///
/// let receiving: InFlight<ReceivingFrom, NonPagedBuffer> = socket.receive_from(NonPagedBuffer::new(1500)?).start()?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// let finished = receiving.wait().map_err(|(error, _)| error)?;
/// assert_eq!(finished.result?.length(), 5);
/// # drop((finished.buffer, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct ReceivingFrom;

pub(crate) fn receive_from<B: ReceiveBuffer>(
    socket: &Handle<DatagramCategory>,
    buffer: B,
) -> Request<'_, ReceiveFrom, B> {
    Request {
        target: socket,
        function: ReceiveFrom,
        carried: buffer,
    }
}

/// A datagram that was received.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// let mut room = [0; 4];
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// let received = socket.receive_from(&mut room).wait()?;
/// if received.is_truncated() {
///     println!("more than {} bytes from {}", received.length(), received.remote_address()?);
/// }
/// // Answered without decoding the address.
/// socket.send_to(b"what?", received.remote()).wait()?;
/// # assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
// With the fields in this order, the address is copied at once.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Received {
    length: usize,
    sender: Sender,
    flags: u32,
}

impl Received {
    /// The number of bytes that were written to the buffer.
    #[must_use]
    #[inline]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The address of the sender.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] when WSK gave no IPv4 or IPv6 address.
    #[inline]
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        self.sender.address()
    }

    /// The address of the sender as WSK encoded it, to answer without decoding it.
    #[must_use]
    pub fn remote(&self) -> RemoteAddress {
        self.sender.remote()
    }

    /// Whether it came from this address and port.
    #[must_use]
    #[inline]
    pub fn is_from(&self, address: &impl Origin) -> bool {
        self.sender.is(address)
    }

    /// Whether the datagram was longer than the buffer, and its end is lost.
    #[must_use]
    #[inline]
    pub const fn is_truncated(&self) -> bool {
        self.flags & MSG_TRUNC != 0
    }

    /// Whether there was more control information than room for it.
    #[must_use]
    #[inline]
    pub const fn is_control_truncated(&self) -> bool {
        self.flags & MSG_CTRUNC != 0
    }

    /// Whether it was sent to a broadcast address.
    #[must_use]
    #[inline]
    pub const fn is_broadcast(&self) -> bool {
        self.flags & MSG_BCAST != 0
    }

    /// Whether it was sent to a multicast address.
    #[must_use]
    #[inline]
    pub const fn is_multicast(&self) -> bool {
        self.flags & MSG_MCAST != 0
    }
}

/// The flags of a received datagram.
#[inline]
fn flags(outcome: Outcome, arguments: &Arguments) -> Result<u32, Error> {
    if outcome.status.is_success() {
        Ok(arguments.control_flags)
    } else {
        flags_of_failed(outcome, arguments.control_flags)
    }
}

/// For a datagram that does not fit, WSK documents a warning and the bytes that fit.
#[cold]
#[inline(never)]
fn flags_of_failed(outcome: Outcome, flags: u32) -> Result<u32, Error> {
    if outcome.status != STATUS_BUFFER_OVERFLOW {
        return Err(Error::Call {
            call: Call::WskReceiveFrom,
            status: outcome.status,
        });
    }
    // `MSG_CTRUNC` says that only control information was cut off. Without it, the datagram was.
    let truncated = if flags & MSG_CTRUNC == 0 {
        MSG_TRUNC
    } else {
        0
    };
    Ok(flags | truncated)
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("length", &self.length)
            .field("remote_address", &self.remote_address())
            .field("truncated", &self.is_truncated())
            .finish_non_exhaustive()
    }
}

impl Sealed for ReceiveFrom {}

impl<B: ReceiveBuffer> Function<B> for ReceiveFrom {
    type Operation = ReceivingFrom;

    #[inline]
    fn put<'x>(
        self,
        socket: &'x Handle<DatagramCategory>,
        lent: Room<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ReceiveFromCall>, Error> {
        let call = ReceiveFromCall::new(socket, lent, arguments, places)?;
        arguments.length = lent.extent().len();
        Ok(call)
    }
}

impl Sealed for ReceivingFrom {}

impl<B: ReceiveBuffer> Operation<B> for ReceivingFrom {
    type Way = ToReceive;
    type Run = InPlace;
    type Output = Received;
    type Asked = OfSocket<DatagramCategory>;
    type Parameters = ReceiveFromCall;
    const CALL: Call = Call::WskReceiveFrom;
    const CANCEL_ON_DROP: bool = true;

    #[inline]
    fn read(
        outcome: Outcome,
        arguments: &mut Arguments,
        carried: &mut B,
    ) -> Result<Received, Error> {
        let flags = flags(outcome, arguments)?;
        // As `put` has lent it: the room is part of the type.
        if B::CONTROL_ROOM > 0 {
            carried.set_control(arguments.received_control(B::CONTROL_ROOM));
        }
        Ok(Received {
            length: outcome.information.min(arguments.length),
            sender: Sender::of(&arguments.address),
            flags,
        })
    }
}

impl<B: ReceiveBuffer> Repeat<B> for ReceivingFrom {
    type Seen<'a>
        = Arrival<'a, B>
    where
        B: 'a;

    #[inline]
    fn again(arguments: &mut Arguments) {
        ReceiveFromCall::make_ready(B::CONTROL_ROOM, arguments);
    }

    fn may_run(carried: &B) -> Result<(), Error> {
        not_lost(carried)
    }

    fn renew<'x>(
        _: &ReceiveFromCall,
        socket: &'x Handle<DatagramCategory>,
        lent: Room<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Renewed<'x, ReceiveFromCall>, Error> {
        Function::<B>::put(ReceiveFrom, socket, lent, arguments, places).map(Renewed::from)
    }

    #[inline]
    fn look<'a>(
        outcome: Outcome,
        arguments: &'a Arguments,
        carried: Shown<'a, B>,
    ) -> Result<Arrival<'a, B>, Error> {
        Ok(Arrival {
            information: outcome.information,
            flags: flags(outcome, arguments)?,
            arguments,
            buffer: carried,
        })
    }
}

/// A datagram in the buffer of a prepared receive.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::NonPagedBuffer;
///
/// let mut receiver = socket.receive_from(NonPagedBuffer::new(1500)?).prepare()?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// let arrival = receiver.wait()?;
/// assert_eq!(arrival.bytes(), b"hello");
/// assert!(arrival.is_from(&to));
/// # drop((receiver, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Arrival<'a, B> {
    information: usize,
    flags: u32,
    arguments: &'a Arguments,
    buffer: Shown<'a, B>,
}

impl<'a, B> Arrival<'a, B> {
    /// The number of bytes that were received.
    #[must_use]
    #[inline]
    pub fn length(&self) -> usize {
        self.information.min(self.arguments.length)
    }

    /// The buffer that they are in.
    #[must_use]
    pub fn buffer(&self) -> &'a B {
        self.buffer.given()
    }

    /// The address of the sender.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] when WSK gave no IPv4 or IPv6 address.
    #[inline]
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        Sender::of(&self.arguments.address).address()
    }

    /// The address of the sender as WSK encoded it, to answer without decoding it.
    #[must_use]
    pub fn remote(&self) -> RemoteAddress {
        Sender::of(&self.arguments.address).remote()
    }

    /// Whether the datagram came from this address and port.
    #[must_use]
    #[inline]
    pub fn is_from(&self, address: &impl Origin) -> bool {
        crate::address::is(&self.arguments.address, address)
    }

    /// Whether the datagram was longer than the buffer, and its end is lost.
    #[must_use]
    #[inline]
    pub const fn is_truncated(&self) -> bool {
        self.flags & MSG_TRUNC != 0
    }

    /// Whether there was more control information than room for it.
    #[must_use]
    pub const fn is_control_truncated(&self) -> bool {
        self.flags & MSG_CTRUNC != 0
    }

    /// Whether it was sent to a broadcast address.
    #[must_use]
    pub const fn is_broadcast(&self) -> bool {
        self.flags & MSG_BCAST != 0
    }

    /// Whether it was sent to a multicast address.
    #[must_use]
    pub const fn is_multicast(&self) -> bool {
        self.flags & MSG_MCAST != 0
    }
}

impl<'a, B: ReceiveBuffer> Arrival<'a, B> {
    /// The control information that came with it, if the buffer has room for any.
    #[must_use]
    pub fn control(&self) -> ControlMessages<'a> {
        ControlMessages::new(self.arguments.received_control(B::CONTROL_ROOM))
    }
}

impl<'a> Arrival<'a, NonPagedBuffer> {
    /// The bytes that were received.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        let bytes = self.buffer.looked_at().as_slice();
        bytes.get(..self.length()).unwrap_or(bytes)
    }
}

impl<B> fmt::Debug for Arrival<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("length", &self.length())
            .field("remote_address", &self.remote_address())
            .field("truncated", &self.is_truncated())
            .finish_non_exhaustive()
    }
}
