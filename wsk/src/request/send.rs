//! [`WskSend`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send) and
//! [`WskSendEx`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_ex): send bytes over a
//! connection, perhaps with control information.

use wsk_sys::WSK_FLAG_OOB;

use crate::buffer::SendBuffer;
use crate::buffer::carry::Sent;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, Operation, Repeat, Request, Shown, ToSend};
use crate::socket::calls::{Bound, OfSocket, Renewed, SendCall};
use crate::socket::{ConnectionCategory, Handle};

/// The request of [`send`](crate::ConnectedSocket::send): bytes over a connection.
#[derive(Debug)]
pub struct Send {
    /// Flags of this request, in addition to those of the socket.
    flags: u32,
}

/// The operation of [`send`](crate::ConnectedSocket::send), which the types of handles name.
///
/// ```
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = listener.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::ConnectedSocket::connect(&provider, remote).wait()?;
/// # let (_peer, _) = listener.accept().unwrap();
/// use wsk::operation::InFlight;
/// use wsk::request::Sending;
/// use wsk::NonPagedBuffer;
///
/// let sending: InFlight<Sending, NonPagedBuffer> = socket.send(NonPagedBuffer::copy_of(b"hello")?).start()?;
/// let finished = sending.wait().map_err(|(error, _)| error)?;
/// assert_eq!(finished.result, Ok(5));
/// # drop((finished.buffer, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct Sending;

pub(crate) fn send<B: SendBuffer>(
    socket: &Handle<ConnectionCategory>,
    buffer: B,
) -> Request<'_, Send, B> {
    Request {
        target: socket,
        function: Send { flags: 0 },
        carried: buffer,
    }
}

impl<B: SendBuffer> Request<'_, Send, B> {
    /// Sends the bytes out of band: as urgent data, which for TCP is the last of them.
    ///
    /// Nothing of WSK receives urgent data by itself: it comes with the other bytes. `wsk.h` has the flag, but Microsoft's pages of
    /// `WskSend` and `WskSendEx` do not list it: expect `STATUS_NOT_SUPPORTED` from a transport that does not know it.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::ConnectedSocket::connect(&provider, peer.local_addr().unwrap()).wait()?;
    /// socket.send(b"!").out_of_band().wait()?;
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    #[doc(alias = "WSK_FLAG_OOB")]
    pub fn out_of_band(self) -> Self {
        let flags = self.function.flags | WSK_FLAG_OOB;
        Self {
            function: Send { flags },
            ..self
        }
    }
}

/// Fails if the last data has control information, which `WskDisconnect` does not take.
pub(super) fn refuse_control(lent: Sent<'_>) -> Result<(), Error> {
    match lent.control().len() {
        0 => Ok(()),
        needed => Err(Error::ControlFull { needed, room: 0 }),
    }
}

impl Sealed for Send {}

impl<B: SendBuffer> Function<B> for Send {
    type Operation = Sending;

    fn put<'x>(
        self,
        socket: &'x Handle<ConnectionCategory>,
        lent: Sent<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, SendCall>, Error> {
        let call = SendCall::new(socket, lent, self.flags, arguments, places)?;
        arguments.length = lent.length();
        Ok(call)
    }
}

/// The number of bytes that a completed send or receive has transferred.
pub(super) fn moved(call: Call, outcome: Outcome, arguments: &Arguments) -> Result<usize, Error> {
    outcome.check(call)?;
    Ok(outcome.information.min(arguments.length))
}

impl Sealed for Sending {}

impl<B: SendBuffer> Operation<B> for Sending {
    type Way = ToSend;
    type Run = InPlace;
    type Output = usize;
    type Asked = OfSocket<ConnectionCategory>;
    type Parameters = SendCall;
    const CALL: Call = Call::WskSend;
    const CANCEL_ON_DROP: bool = false;

    fn read(outcome: Outcome, arguments: &mut Arguments, _: &mut B) -> Result<usize, Error> {
        moved(Call::WskSend, outcome, arguments)
    }
}

impl<B: SendBuffer> Repeat<B> for Sending {
    type Seen<'a>
        = usize
    where
        B: 'a;

    fn renew<'x>(
        before: &SendCall,
        socket: &'x Handle<ConnectionCategory>,
        lent: Sent<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Renewed<'x, SendCall>, Error> {
        let function = Send {
            flags: before.flags() & WSK_FLAG_OOB,
        };
        Function::<B>::put(function, socket, lent, arguments, places).map(Renewed::from)
    }

    fn look<'a>(
        outcome: Outcome,
        arguments: &'a Arguments,
        _: Shown<'a, B>,
    ) -> Result<usize, Error> {
        moved(Call::WskSend, outcome, arguments)
    }
}
