//! [`WskSendMessages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_messages): sends several
//! datagrams to one address.

use crate::address::{Destination, RemoteAddress, Sender};
use crate::buffer::SendList;
use crate::buffer::carry::SentList;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, List, Operation, Repeat, Request, SendsTo, Shown};
use crate::socket::calls::{Bound, OfSocket, Renewed, SendMessagesCall, why_not};
use crate::socket::{DatagramCategory, Handle};

/// The request of [`send_messages`](crate::DatagramSocket::send_messages): several datagrams to one address.
#[derive(Debug)]
pub struct SendMessages<D> {
    to: D,
    /// Whether the socket has a fixed remote address, so that WSK gets no address.
    fixed: bool,
}

/// The operation of [`send_messages`](crate::DatagramSocket::send_messages), which the types of handles name.
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
/// use wsk::request::SendingMessages;
/// use wsk::{Messages, NonPagedBuffer};
///
/// let messages = Messages::new([NonPagedBuffer::copy_of(b"one")?, NonPagedBuffer::copy_of(b"two")?])?;
/// let sending: InFlight<SendingMessages, Messages<NonPagedBuffer>> = socket.send_messages(messages, to).start()?;
/// let finished = sending.wait().map_err(|(error, _)| error)?;
/// finished.result?;
/// # peer.recv(&mut [0; 16]).unwrap();
/// # peer.recv(&mut [0; 16]).unwrap();
/// # drop((finished.buffer, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct SendingMessages;

pub(crate) fn send_messages<L: SendList, D: Destination>(
    socket: &Handle<DatagramCategory>,
    messages: L,
    to: D,
) -> Request<'_, SendMessages<D>, L> {
    Request {
        target: socket,
        function: SendMessages { to, fixed: false },
        carried: messages,
    }
}

pub(crate) fn send_messages_fixed<L: SendList>(
    socket: &Handle<DatagramCategory>,
    messages: L,
    to: RemoteAddress,
) -> Request<'_, SendMessages<RemoteAddress>, L> {
    Request {
        target: socket,
        function: SendMessages { to, fixed: true },
        carried: messages,
    }
}

impl<D> Sealed for SendMessages<D> {}

impl<L: SendList, D: Destination> Function<L> for SendMessages<D> {
    type Operation = SendingMessages;

    fn put<'x>(
        self,
        socket: &'x Handle<DatagramCategory>,
        lent: SentList<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, SendMessagesCall>, Error> {
        let longest = lent.list().longest;
        if !self.to.put(socket.ready(), longest, &mut arguments.address) {
            return Err(why_not(socket, &self.to, longest));
        }
        SendMessagesCall::new(socket, lent, self.fixed, arguments, places)
    }
}

impl Sealed for SendingMessages {}

impl<L: SendList> Operation<L> for SendingMessages {
    type Way = List;
    type Run = InPlace;
    type Output = usize;
    type Asked = OfSocket<DatagramCategory>;
    type Parameters = SendMessagesCall;
    const CALL: Call = Call::WskSendMessages;
    const CANCEL_ON_DROP: bool = false;

    fn read(outcome: Outcome, _: &mut Arguments, _: &mut L) -> Result<usize, Error> {
        outcome.check(Call::WskSendMessages)?;
        Ok(outcome.information)
    }
}

impl<L: SendList> Repeat<L> for SendingMessages {
    type Seen<'a>
        = usize
    where
        L: 'a;

    fn renew<'x>(
        before: &SendMessagesCall,
        socket: &'x Handle<DatagramCategory>,
        lent: SentList<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Renewed<'x, SendMessagesCall>, Error> {
        let function = SendMessages {
            to: Sender::of(&arguments.address).remote(),
            fixed: before.is_fixed(),
        };
        Function::<L>::put(function, socket, lent, arguments, places).map(Renewed::from)
    }

    fn look<'a>(outcome: Outcome, _: &'a Arguments, _: Shown<'a, L>) -> Result<usize, Error> {
        outcome.check(Call::WskSendMessages)?;
        Ok(outcome.information)
    }
}

impl<L: SendList> SendsTo<L> for SendingMessages {
    fn send_to<'x>(
        before: Bound<'x, SendMessagesCall>,
        socket: &'x Handle<DatagramCategory>,
        to: impl Destination,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, SendMessagesCall>, Error> {
        before.sent_to(socket, to, arguments, places)
    }
}
