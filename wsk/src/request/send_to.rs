//! [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to): sends one datagram.

use crate::address::{Destination, RemoteAddress, Sender};
use crate::buffer::SendBuffer;
use crate::buffer::carry::Sent;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, Operation, Repeat, Request, SendsTo, Shown, ToSend};
use crate::socket::calls::{Bound, OfSocket, Renewed, SendToCall};
use crate::socket::{DatagramCategory, Handle};

/// The request of [`send_to`](crate::DatagramSocket::send_to): one datagram to an address.
#[derive(Debug)]
pub struct SendTo<D> {
    to: D,
}

/// The request of [`FixedDatagramSocket::send`](crate::FixedDatagramSocket::send): one datagram to the fixed address.
#[derive(Debug)]
pub struct SendFixed {
    pub(crate) length_of: RemoteAddress,
}

/// The operation of [`send_to`](crate::DatagramSocket::send_to) and
/// [`FixedDatagramSocket::send`](crate::FixedDatagramSocket::send), which the types of handles name.
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
/// use wsk::request::SendingTo;
/// use wsk::NonPagedBuffer;
///
/// let packet = NonPagedBuffer::copy_of(b"hello")?;
/// let sending: InFlight<SendingTo, NonPagedBuffer> = socket.send_to(packet, to).start()?;
/// let finished = sending.wait().map_err(|(error, _)| error)?;
/// assert_eq!(finished.result, Ok(5));
/// # assert_eq!(peer.recv(&mut [0; 16]).unwrap(), 5);
/// # drop((finished.buffer, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct SendingTo;

pub(crate) fn send_to<B: SendBuffer, D: Destination>(
    socket: &Handle<DatagramCategory>,
    buffer: B,
    to: D,
) -> Request<'_, SendTo<D>, B> {
    Request {
        target: socket,
        function: SendTo { to },
        carried: buffer,
    }
}

pub(crate) fn send_fixed<B: SendBuffer>(
    socket: &Handle<DatagramCategory>,
    buffer: B,
    to: RemoteAddress,
) -> Request<'_, SendFixed, B> {
    Request {
        target: socket,
        function: SendFixed { length_of: to },
        carried: buffer,
    }
}

impl<D> Sealed for SendTo<D> {}

impl<B: SendBuffer, D: Destination> Function<B> for SendTo<D> {
    type Operation = SendingTo;

    #[inline]
    fn put<'x>(
        self,
        socket: &'x Handle<DatagramCategory>,
        lent: Sent<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, SendToCall>, Error> {
        SendToCall::new(socket, lent, self.to, false, arguments, places)
    }
}

impl Sealed for SendFixed {}

impl<B: SendBuffer> Function<B> for SendFixed {
    type Operation = SendingTo;

    #[inline]
    fn put<'x>(
        self,
        socket: &'x Handle<DatagramCategory>,
        lent: Sent<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, SendToCall>, Error> {
        // The address is stored in the arguments, but WSK does not get it.
        SendToCall::new(socket, lent, self.length_of, true, arguments, places)
    }
}

impl Sealed for SendingTo {}

impl<B: SendBuffer> Operation<B> for SendingTo {
    type Way = ToSend;
    type Run = InPlace;
    type Output = usize;
    type Asked = OfSocket<DatagramCategory>;
    type Parameters = SendToCall;
    const CALL: Call = Call::WskSendTo;
    const CANCEL_ON_DROP: bool = false;

    #[inline]
    fn read(outcome: Outcome, _: &mut Arguments, _: &mut B) -> Result<usize, Error> {
        outcome.check(Call::WskSendTo)?;
        Ok(outcome.information)
    }
}

impl<B: SendBuffer> Repeat<B> for SendingTo {
    type Seen<'a>
        = usize
    where
        B: 'a;

    fn renew<'x>(
        before: &SendToCall,
        socket: &'x Handle<DatagramCategory>,
        lent: Sent<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Renewed<'x, SendToCall>, Error> {
        let to = Sender::of(&arguments.address).remote();
        SendToCall::new(socket, lent, to, before.is_fixed(), arguments, places).map(Renewed::from)
    }

    #[inline]
    fn look<'a>(outcome: Outcome, _: &'a Arguments, _: Shown<'a, B>) -> Result<usize, Error> {
        outcome.check(Call::WskSendTo)?;
        Ok(outcome.information)
    }
}

impl<B: SendBuffer> SendsTo<B> for SendingTo {
    fn send_to<'x>(
        before: Bound<'x, SendToCall>,
        socket: &'x Handle<DatagramCategory>,
        to: impl Destination,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, SendToCall>, Error> {
        before.sent_to(socket, to, arguments, places)
    }
}
