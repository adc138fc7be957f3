//! `SIO_WSK_SET_RECEIVE_EX_CALLBACK` of
//! [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket): whether a handler is
//! told the control information of what arrives on a connection.

use core::ptr::NonNull;

use wsk_sys::{DispatchError, IRP, NTDDI_WIN10_RS4, NTSTATUS, SIO_WSK_SET_RECEIVE_EX_CALLBACK};

use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::memory::atomic::Ordering;
use crate::request::control::{IOCTL, Parameters, control, repeated_as_it_is};
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, Nothing, Operation, Repeat, Request, Shown, of_socket};
use crate::socket::{ConnectionCategory, Handle};

/// The request of [`indicate_control`](crate::ConnectedSocket::indicate_control).
#[derive(Debug)]
pub struct IndicateControl {
    on: bool,
}

/// The operation of [`indicate_control`](crate::ConnectedSocket::indicate_control), in the types of handles.
///
/// ```
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let ignore = |_: &mut wsk::events::StreamIndication<'_>| wsk::events::StreamVerdict::Consumed;
/// # let socket = wsk::ConnectedSocket::connect(&provider, remote).with_events(ignore).wait()?;
/// use wsk::operation::InFlight;
/// use wsk::request::IndicatingControl;
///
/// let setting: InFlight<IndicatingControl, ()> = socket.indicate_control(true).start()?;
/// setting.wait().map_err(|(error, _)| error)??;
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct IndicatingControl;

pub(crate) fn indicate_control(
    socket: &Handle<ConnectionCategory>,
    on: bool,
) -> Request<'_, IndicateControl, ()> {
    Request {
        target: socket,
        function: IndicateControl { on },
        carried: (),
    }
}

impl Sealed for IndicateControl {}

impl Function<()> for IndicateControl {
    type Operation = IndicatingControl;

    fn put(
        self,
        socket: &Handle<ConnectionCategory>,
        (): (),
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        let callback = socket.events().ok_or(Error::NoEvents)?.receive_ex();
        // An older Windows may know the code as another's; this one has brought it with the functions that give control information.
        if socket.capture().ntddi() < NTDDI_WIN10_RS4 {
            let entry = "WskReceiveExEvent";
            return Err(Error::NoEntry { entry });
        }
        let callback = callback.filter(|_| self.on);
        // INVARIANT: the callback is for the context that the socket was made with, and a static as all functions; NULL takes it away.
        let address = callback.map_or(0, |callback| callback as usize);
        arguments.set_value(&address.to_ne_bytes());
        // Before WSK calls it: whoever does not accept what it tells may resume at once.
        if callback.is_some() {
            socket.indicates_control.store(true, Ordering::Relaxed);
        }
        let mut parameters = Parameters::new(socket, IOCTL, SIO_WSK_SET_RECEIVE_EX_CALLBACK, 0);
        parameters.input = Some(places.value(size_of::<usize>()));
        Ok(parameters)
    }
}

impl Sealed for IndicatingControl {}

// SAFETY: one call is made, whose parameters point at the arguments, with the address of a callback for the socket's context; the socket
// is the target's.
unsafe impl Operation<()> for IndicatingControl {
    type Way = Nothing;
    type Run = InPlace;

    control!(ConnectionCategory, (), ());

    unsafe fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

// SAFETY: the address is only read.
unsafe impl Repeat<()> for IndicatingControl {
    repeated_as_it_is!(ConnectionCategory);

    type Seen<'a> = ();

    fn look<'a>(outcome: Outcome, _: &'a Arguments, _: Shown<'a, ()>) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}
