//! [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to): one datagram is sent.

use core::ptr::NonNull;

use wsk_sys::{CMSGHDR, DispatchError, IRP, NTSTATUS, SOCKADDR, WSK_BUF};

use crate::address::{Destination, RemoteAddress, Sender};
use crate::buffer::SendBuffer;
use crate::error::{Call, Error};
use crate::irp::{Arguments, CONTROL_ROOM, Outcome, Places};
use crate::memory;
use crate::request::sealed::Sealed;
use crate::request::way::{Loan, Sent};
use crate::request::{
    Function, InPlace, Operation, Outgoing, Repeat, Request, Shown, held_by_handle, of_datagrams,
};
use crate::socket::{DatagramCategory, Handle, Socket};

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
/// [`FixedDatagramSocket::send`](crate::FixedDatagramSocket::send), in the types of handles.
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

/// The parameters of `WskSendTo`.
#[derive(Debug, Clone, Copy)]
pub struct Parameters {
    /// Ready, so that it has the entry.
    socket: NonNull<Socket<DatagramCategory>>,
    buffer: NonNull<WSK_BUF>,
    address: *mut SOCKADDR,
    control_length: u32,
    control: *mut CMSGHDR,
}

// SAFETY: parameters are numbers and addresses, which are used by the call alone.
unsafe impl Send for Parameters {}
// SAFETY: as above.
unsafe impl Sync for Parameters {}

impl Parameters {
    /// Another address, for a buffer that is ready.
    ///
    /// # Safety
    ///
    /// The parameters are those of an operation at rest, whose the arguments are.
    pub(crate) unsafe fn set_address(
        &mut self,
        socket: &Handle<DatagramCategory>,
        to: impl Destination,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<(), Error> {
        // SAFETY: the buffer is ready, so its `WSK_BUF` is there.
        let length = unsafe { self.buffer.as_ref() }.Length;
        if to.put(socket.ready(), length, &mut arguments.address) {
            // Passed on from now on, if it was the socket's before.
            self.address = places.address().as_ptr();
            Ok(())
        } else {
            Err(why_not(socket, &to, length))
        }
    }
}

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

/// Copies control information to send into the arguments: its length, and where it is.
pub(super) fn put_control(
    control: Loan<[u8]>,
    arguments: &mut Arguments,
    places: Places,
) -> Result<(u32, *mut CMSGHDR), Error> {
    let control = control.get();
    if control.is_empty() {
        return Ok((0, core::ptr::null_mut()));
    }
    if control.len() > CONTROL_ROOM {
        return Err(Error::ControlFull {
            needed: control.len(),
            room: CONTROL_ROOM,
        });
    }
    memory::copy(control, &mut arguments.control.0);
    // No more than there is room for.
    #[allow(clippy::cast_possible_truncation)]
    let length = control.len() as u32;
    Ok((length, places.control_room().1.as_ptr()))
}

/// What both have in common: `address` is where the address is, or null.
#[inline]
fn parameters(
    socket: &Handle<DatagramCategory>,
    lent: Sent,
    address: *mut SOCKADDR,
    arguments: &mut Arguments,
    places: Places,
) -> Result<Parameters, Error> {
    let (control_length, control) = put_control(lent.control, arguments, places)?;
    Ok(Parameters {
        socket: NonNull::from(&**socket),
        buffer: lent.buffer,
        address,
        control_length,
        control,
    })
}

/// Why a datagram cannot be sent.
#[cold]
#[inline(never)]
pub(super) fn why_not<D: Destination>(
    socket: &Handle<DatagramCategory>,
    to: &D,
    length: usize,
) -> Error {
    match socket.require_bound() {
        Ok(()) => to.why_not(socket.family(), length),
        Err(error) => error,
    }
}

impl<D> Sealed for SendTo<D> {}

impl<B: SendBuffer, D: Destination> Function<B> for SendTo<D> {
    type Operation = SendingTo;

    #[inline]
    fn put(
        self,
        socket: &Handle<DatagramCategory>,
        lent: Sent,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        if !self
            .to
            .put(socket.ready(), lent.length, &mut arguments.address)
        {
            return Err(why_not(socket, &self.to, lent.length));
        }
        let address = places.address().as_ptr();
        parameters(socket, lent, address, arguments, places)
    }
}

impl Sealed for SendFixed {}

impl<B: SendBuffer> Function<B> for SendFixed {
    type Operation = SendingTo;

    #[inline]
    fn put(
        self,
        socket: &Handle<DatagramCategory>,
        lent: Sent,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        // The address is written too, but not passed on.
        let to = &self.length_of;
        if !to.put(socket.ready(), lent.length, &mut arguments.address) {
            return Err(why_not(socket, to, lent.length));
        }
        parameters(socket, lent, core::ptr::null_mut(), arguments, places)
    }
}

impl Sealed for SendingTo {}

// SAFETY: one call is made, whose parameters point at the arguments and at what is lent; the socket is the target's.
unsafe impl<B: SendBuffer> Operation<B> for SendingTo {
    type Way = Outgoing;
    type Run = InPlace;
    type Output = usize;
    type Parameters = Parameters;
    const CALL: Call = Call::WskSendTo;
    const CANCEL_ON_DROP: bool = false;

    of_datagrams!(B);

    #[inline]
    unsafe fn submit(p: &Parameters, irp: NonNull<IRP>) -> Result<NTSTATUS, DispatchError> {
        // SAFETY: the caller gives the IRP; the socket is open and ready, so that its entries are there, and what the parameters point at is
        // as `WskSendTo` asks.
        Ok(unsafe {
            let socket = p.socket.as_ref();
            (socket.entries().send_to.unwrap_unchecked())(
                socket.as_ptr().as_ptr(),
                p.buffer.as_ptr(),
                0,
                p.address,
                p.control_length,
                p.control,
                irp.as_ptr(),
            )
        })
    }

    #[inline]
    unsafe fn read(outcome: Outcome, _: &mut Arguments, _: &mut B) -> Result<usize, Error> {
        outcome.check(Call::WskSendTo)?;
        Ok(outcome.information)
    }
}

// SAFETY: `WskSendTo` reads what its parameters point at.
unsafe impl<B: SendBuffer> Repeat<B> for SendingTo {
    held_by_handle!(DatagramCategory);

    type Seen<'a>
        = usize
    where
        B: 'a;

    fn renew(
        parameters: &mut Parameters,
        socket: &Handle<DatagramCategory>,
        lent: Sent,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<(), Error> {
        let to = Sender::of(&arguments.address).remote();
        if !to.put(socket.ready(), lent.length, &mut arguments.address) {
            return Err(why_not(socket, &to, lent.length));
        }
        *parameters = self::parameters(socket, lent, parameters.address, arguments, places)?;
        Ok(())
    }

    #[inline]
    fn look<'a>(outcome: Outcome, _: &'a Arguments, _: Shown<'a, B>) -> Result<usize, Error> {
        outcome.check(Call::WskSendTo)?;
        Ok(outcome.information)
    }
}
