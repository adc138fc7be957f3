//! [`WskSendMessages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_messages): several datagrams
//! are sent to one address.

use core::ptr::NonNull;

use wsk_sys::{SOCKADDR, WSK_SOCKET, WskProviderDatagramDispatch};

use crate::address::{Destination, RemoteAddress, Sender};
use crate::buffer::{LockedList, SendList};
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::send_to::{put_control, why_not};
use crate::request::submitted;
use crate::request::way::SentList;
use crate::request::{
    Function, InPlace, List, Operation, Repeat, Request, Shown, held_by_handle, of_datagrams,
};
use crate::socket::{DatagramCategory, Handle};

/// The request of [`send_messages`](crate::DatagramSocket::send_messages): several datagrams to one address.
#[derive(Debug)]
pub struct SendMessages<D> {
    to: D,
    /// Whether the address is passed on, or the one that is fixed.
    fixed: bool,
}

/// The operation of [`send_messages`](crate::DatagramSocket::send_messages), in the types of handles.
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

/// The parameters of `WskSendMessages`.
#[derive(Clone, Copy)]
pub struct Parameters {
    table: WskProviderDatagramDispatch,
    socket: NonNull<WSK_SOCKET>,
    list: LockedList,
    address: Option<NonNull<SOCKADDR>>,
    control: Option<NonNull<[u8]>>,
}

// SAFETY: parameters are numbers and addresses, which are used by the call alone.
unsafe impl Send for Parameters {}
// SAFETY: as above.
unsafe impl Sync for Parameters {}

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

    fn put(
        self,
        socket: &Handle<DatagramCategory>,
        lent: SentList,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        let longest = lent.list.longest;
        if !self.to.put(socket.ready(), longest, &mut arguments.address) {
            return Err(why_not(socket, &self.to, longest));
        }
        let (length, _) = put_control(lent.control, arguments, places)?;
        Ok(Parameters {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
            list: lent.list,
            address: (!self.fixed).then(|| places.address()),
            control: (length > 0).then(|| places.control(length as usize)),
        })
    }
}

impl Sealed for SendingMessages {}

// SAFETY: one call is made, whose parameters point at the arguments and at what is lent; the socket is the target's.
unsafe impl<L: SendList> Operation<L> for SendingMessages {
    type Way = List;
    type Run = InPlace;
    type Output = usize;
    type Parameters = Parameters;
    const CALL: Call = Call::WskSendMessages;
    const CANCEL_ON_DROP: bool = false;

    of_datagrams!(L);

    // List, address and control information are as `WskSendMessages` asks.
    submitted!(Parameters: p => p.table.wsk_send_messages(
        p.socket, p.list.first, p.address, p.control
    ));

    unsafe fn read(outcome: Outcome, _: &mut Arguments, _: &mut L) -> Result<usize, Error> {
        outcome.check(Call::WskSendMessages)?;
        Ok(outcome.information)
    }
}

// SAFETY: `WskSendMessages` reads what its parameters point at.
unsafe impl<L: SendList> Repeat<L> for SendingMessages {
    held_by_handle!(DatagramCategory);

    type Seen<'a>
        = usize
    where
        L: 'a;

    fn renew(
        parameters: &mut Parameters,
        socket: &Handle<DatagramCategory>,
        lent: SentList,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<(), Error> {
        let function = SendMessages {
            to: Sender::of(&arguments.address).remote(),
            fixed: parameters.address.is_none(),
        };
        *parameters = Function::<L>::put(function, socket, lent, arguments, places)?;
        Ok(())
    }

    fn look<'a>(outcome: Outcome, _: &'a Arguments, _: Shown<'a, L>) -> Result<usize, Error> {
        outcome.check(Call::WskSendMessages)?;
        Ok(outcome.information)
    }
}
