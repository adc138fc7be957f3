//! [`WskSend`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send) and
//! [`WskSendEx`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_ex): bytes are sent over a
//! connection, perhaps with control information.

use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, IRP, NTSTATUS, WSK_BUF, WSK_FLAG_OOB, WSK_SOCKET, WskProviderConnectionDispatch,
};

use crate::buffer::SendBuffer;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::memory::atomic::Ordering;
use crate::request::sealed::Sealed;
use crate::request::send_to::put_control;
use crate::request::way::Sent;
use crate::request::{
    Function, InPlace, Operation, Outgoing, Repeat, Request, Shown, held_by_handle, of_connection,
};
use crate::socket::{ConnectionCategory, Handle};

/// The request of [`send`](crate::ConnectedSocket::send): bytes over a connection.
#[derive(Debug)]
pub struct Send {
    /// What goes beside the flags of the socket.
    flags: u32,
}

/// The operation of [`send`](crate::ConnectedSocket::send), in the types of handles.
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

/// The parameters of `WskSend`, or of `WskSendEx`, which takes control information.
#[derive(Clone, Copy)]
pub struct Parameters {
    table: WskProviderConnectionDispatch,
    socket: NonNull<WSK_SOCKET>,
    buffer: NonNull<WSK_BUF>,
    flags: u32,
    control: Option<NonNull<[u8]>>,
}

// SAFETY: parameters are numbers and addresses, which are used by the call alone.
unsafe impl core::marker::Send for Parameters {}
// SAFETY: as above.
unsafe impl Sync for Parameters {}

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

/// Last data takes no control information.
pub(super) fn refuse_control(lent: Sent) -> Result<(), Error> {
    match lent.control.get().len() {
        0 => Ok(()),
        needed => Err(Error::ControlFull { needed, room: 0 }),
    }
}

impl Sealed for Send {}

impl<B: SendBuffer> Function<B> for Send {
    type Operation = Sending;

    fn put(
        self,
        socket: &Handle<ConnectionCategory>,
        lent: Sent,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        let (length, _) = put_control(lent.control, arguments, places)?;
        arguments.length = lent.length;
        Ok(Parameters {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
            buffer: lent.buffer,
            flags: socket.send_flags.load(Ordering::Relaxed) | self.flags,
            control: (length > 0).then(|| places.control(length as usize)),
        })
    }
}

/// The number of bytes of a completed send or receive.
pub(super) fn moved(call: Call, outcome: Outcome, arguments: &Arguments) -> Result<usize, Error> {
    outcome.check(call)?;
    Ok(outcome.information.min(arguments.length))
}

impl Sealed for Sending {}

// SAFETY: one call is made, whose parameters point at the arguments and at what is lent; the socket is the target's.
unsafe impl<B: SendBuffer> Operation<B> for Sending {
    type Way = Outgoing;
    type Run = InPlace;
    type Output = usize;
    type Parameters = Parameters;
    const CALL: Call = Call::WskSend;
    const CANCEL_ON_DROP: bool = false;

    of_connection!(B);

    unsafe fn submit(p: &Parameters, irp: NonNull<IRP>) -> Result<NTSTATUS, DispatchError> {
        // SAFETY: the caller gives the IRP; the socket is open, and buffer and control information are as `WskSend` and `WskSendEx` ask.
        unsafe {
            match p.control {
                None => p.table.wsk_send(p.socket, p.buffer, p.flags, irp),
                control => p
                    .table
                    .wsk_send_ex(p.socket, p.buffer, p.flags, control, irp),
            }
        }
    }

    unsafe fn read(outcome: Outcome, arguments: &mut Arguments, _: &mut B) -> Result<usize, Error> {
        moved(Call::WskSend, outcome, arguments)
    }
}

// SAFETY: `WskSend` reads what its parameters point at.
unsafe impl<B: SendBuffer> Repeat<B> for Sending {
    held_by_handle!(ConnectionCategory);

    type Seen<'a>
        = usize
    where
        B: 'a;

    fn renew(
        parameters: &mut Parameters,
        socket: &Handle<ConnectionCategory>,
        lent: Sent,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<(), Error> {
        let function = Send {
            flags: parameters.flags & WSK_FLAG_OOB,
        };
        *parameters = Function::<B>::put(function, socket, lent, arguments, places)?;
        Ok(())
    }

    fn look<'a>(
        outcome: Outcome,
        arguments: &'a Arguments,
        _: Shown<'a, B>,
    ) -> Result<usize, Error> {
        moved(Call::WskSend, outcome, arguments)
    }
}
