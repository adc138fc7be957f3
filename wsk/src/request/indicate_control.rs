//! `SIO_WSK_SET_RECEIVE_EX_CALLBACK` of
//! [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket): whether WSK
//! indicates data of a connection together with its control information.

use wsk_sys::NTDDI_WIN10_RS4;

use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::memory::atomic::Ordering;
use crate::request::control::{control, repeated_as_it_is};
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, Nothing, Operation, Repeat, Request, Shown, Takes};
use crate::socket::calls::{Bound, ControlCall};
use crate::socket::{ConnectionCategory, Handle};

/// The request of [`indicate_control`](crate::ConnectedSocket::indicate_control).
#[derive(Debug)]
pub struct IndicateControl {
    on: bool,
}

/// The operation of [`indicate_control`](crate::ConnectedSocket::indicate_control), which the types of handles name.
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

    fn put<'x>(
        self,
        socket: &'x Handle<ConnectionCategory>,
        (): (),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ControlCall>, Error> {
        let call = ControlCall::indicate_control(socket, self.on, arguments, places)?;
        // The Windows of this check introduced the code, together with the functions for control information. An older one may
        // use it for something else.
        if socket.capture().ntddi() < NTDDI_WIN10_RS4 {
            let entry = "WskReceiveExEvent";
            return Err(Error::NoEntry { entry });
        }
        // This comes before the call, because a handler that does not accept the indicated bytes may resume receiving at once.
        if self.on {
            socket.indicates_control.store(true, Ordering::Relaxed);
        }
        Ok(call)
    }
}

impl Sealed for IndicatingControl {}

impl Operation<()> for IndicatingControl {
    type Way = Nothing;
    type Run = InPlace;

    control!(ConnectionCategory, ControlCall, ());

    fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

impl Repeat<()> for IndicatingControl {
    repeated_as_it_is!(ConnectionCategory, ControlCall);

    type Seen<'a> = ();

    fn look<'a>(outcome: Outcome, _: &'a Arguments, _: Shown<'a, ()>) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

impl Takes<bool> for IndicatingControl {
    fn take<'x>(
        on: bool,
        socket: &'x Handle<ConnectionCategory>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ControlCall>, Error> {
        IndicateControl { on }.put(socket, (), arguments, places)
    }
}
