//! [`WskDisconnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect): ends a connection,
//! gracefully, perhaps after last bytes, or by aborting it.

use wsk_sys::{NTSTATUS, WSK_FLAG_ABORTIVE};

use crate::buffer::SendBuffer;
use crate::buffer::carry::Sent;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Flight, Idle, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::send::refuse_control;
use crate::request::{Function, InPlace, Nothing, Operation, Request, ToSend};
use crate::socket::calls::{Bound, DisconnectCall, OfSocket, launch};
use crate::socket::{ConnectionCategory, Handle};

/// The request of [`disconnect`](crate::ConnectedSocket::disconnect): ends the connection gracefully.
#[derive(Debug)]
pub struct Disconnect;

/// The request of [`disconnect_after`](crate::ConnectedSocket::disconnect_after): sends last bytes, and ends the connection
/// gracefully.
#[derive(Debug)]
pub struct DisconnectAfter;

/// The operation of [`disconnect`](crate::ConnectedSocket::disconnect), which the types of handles name.
///
/// ```
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = listener.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::ConnectedSocket::connect(&provider, remote).wait()?;
/// # let (mut peer, _) = listener.accept().unwrap();
/// use wsk::operation::InFlight;
/// use wsk::request::Disconnecting;
///
/// let disconnecting: InFlight<Disconnecting, ()> = socket.disconnect().start()?;
/// # assert_eq!(std::io::Read::read(&mut peer, &mut [0]).unwrap(), 0);
/// disconnecting.wait().map_err(|(error, _)| error)??;
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct Disconnecting;

/// The request of [`abort`](crate::ConnectedSocket::abort).
#[derive(Debug)]
pub struct Abort;

/// The operation of [`abort`](crate::ConnectedSocket::abort), which the types of handles name.
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
/// use wsk::request::Aborting;
///
/// let aborting: InFlight<Aborting, ()> = socket.abort().start()?;
/// aborting.wait().map_err(|(error, _)| error)??;
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct Aborting;

pub(crate) fn disconnect(socket: &Handle<ConnectionCategory>) -> Request<'_, Disconnect, ()> {
    Request {
        target: socket,
        function: Disconnect,
        carried: (),
    }
}

pub(crate) fn disconnect_after<B: SendBuffer>(
    socket: &Handle<ConnectionCategory>,
    last: B,
) -> Request<'_, DisconnectAfter, B> {
    Request {
        target: socket,
        function: DisconnectAfter,
        carried: last,
    }
}

pub(crate) fn abort(socket: &Handle<ConnectionCategory>) -> Request<'_, Abort, ()> {
    Request {
        target: socket,
        function: Abort,
        carried: (),
    }
}

/// The items that graceful disconnects share. They take as long as the peer does, so a timeout aborts the connection.
macro_rules! aborted_when_time_is_up {
    () => {
        type Output = ();
        type Asked = OfSocket<ConnectionCategory>;
        type Parameters = DisconnectCall;
        const CALL: Call = Call::WskDisconnect;
        const CANCEL_ON_DROP: bool = false;

        fn before_time_out(_: &Handle<ConnectionCategory>) -> Result<Option<Idle<()>>, Error> {
            Idle::new().map(Some)
        }

        fn time_out(
            socket: &Handle<ConnectionCategory>,
            flight: &Flight<()>,
            means: Option<Idle<()>>,
        ) {
            if let Some(operation) = means {
                // The status of this request does not matter. The graceful disconnect, which it ends, reports the result.
                let launched = launch(operation, socket, |socket, _, _| {
                    DisconnectCall::new(socket, None, WSK_FLAG_ABORTIVE)
                });
                if let Ok(abort) = launched {
                    abort.detach();
                }
            }
            flight.cancel();
        }

        fn is_timed_out(status: NTSTATUS) -> bool {
            !status.is_success()
        }
    };
}

impl Sealed for Disconnect {}

impl Function<()> for Disconnect {
    type Operation = Disconnecting;

    fn put<'x>(
        self,
        socket: &'x Handle<ConnectionCategory>,
        (): (),
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Bound<'x, DisconnectCall>, Error> {
        Ok(DisconnectCall::new(socket, None, 0))
    }
}

impl Sealed for DisconnectAfter {}

impl<B: SendBuffer> Function<B> for DisconnectAfter {
    type Operation = DisconnectingAfter;

    fn put<'x>(
        self,
        socket: &'x Handle<ConnectionCategory>,
        lent: Sent<'x>,
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Bound<'x, DisconnectCall>, Error> {
        refuse_control(lent)?;
        Ok(DisconnectCall::new(socket, Some(lent), 0))
    }
}

impl Sealed for Disconnecting {}

impl Operation<()> for Disconnecting {
    type Way = Nothing;
    type Run = InPlace;

    aborted_when_time_is_up!();

    fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskDisconnect)
    }
}

/// The operation of [`disconnect_after`](crate::ConnectedSocket::disconnect_after), which the types of handles name.
///
/// ```
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = listener.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::ConnectedSocket::connect(&provider, remote).wait()?;
/// # let (mut peer, _) = listener.accept().unwrap();
/// use wsk::operation::InFlight;
/// use wsk::request::DisconnectingAfter;
/// use wsk::NonPagedBuffer;
///
/// let bytes = NonPagedBuffer::copy_of(b"bye")?;
/// let disconnecting: InFlight<DisconnectingAfter, NonPagedBuffer> = socket.disconnect_after(bytes).start()?;
/// # let mut got = Vec::new();
/// # std::io::Read::read_to_end(&mut peer, &mut got).unwrap();
/// # assert_eq!(got, b"bye");
/// disconnecting.wait().map_err(|(error, _)| error)?.result?;
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct DisconnectingAfter;

impl Sealed for DisconnectingAfter {}

impl<B: SendBuffer> Operation<B> for DisconnectingAfter {
    type Way = ToSend;
    type Run = InPlace;

    aborted_when_time_is_up!();

    fn read(outcome: Outcome, _: &mut Arguments, _: &mut B) -> Result<(), Error> {
        outcome.check(Call::WskDisconnect)
    }
}

impl Sealed for Abort {}

impl Function<()> for Abort {
    type Operation = Aborting;

    fn put<'x>(
        self,
        socket: &'x Handle<ConnectionCategory>,
        (): (),
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Bound<'x, DisconnectCall>, Error> {
        Ok(DisconnectCall::new(socket, None, WSK_FLAG_ABORTIVE))
    }
}

impl Sealed for Aborting {}

impl Operation<()> for Aborting {
    type Way = Nothing;
    type Run = InPlace;
    type Output = ();
    type Asked = OfSocket<ConnectionCategory>;
    type Parameters = DisconnectCall;
    const CALL: Call = Call::WskDisconnect;
    const CANCEL_ON_DROP: bool = false;

    fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskDisconnect)
    }
}
