//! [`WskDisconnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect): a connection is ended,
//! gracefully, perhaps after last bytes, or by aborting it.

use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, IRP, NTSTATUS, WSK_BUF, WSK_FLAG_ABORTIVE, WSK_SOCKET,
    WskProviderConnectionDispatch,
};

use crate::buffer::SendBuffer;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Flight, Idle, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::send::refuse_control;
use crate::request::submitted;
use crate::request::way::Sent;
use crate::request::{Function, InPlace, Nothing, Operation, Outgoing, Request, of_connection};
use crate::socket::{ConnectionCategory, Handle};

/// The request of [`disconnect`](crate::ConnectedSocket::disconnect): a graceful end of the connection.
#[derive(Debug)]
pub struct Disconnect;

/// The request of [`disconnect_after`](crate::ConnectedSocket::disconnect_after): last bytes, and a graceful end of the connection.
#[derive(Debug)]
pub struct DisconnectAfter;

/// The operation of [`disconnect`](crate::ConnectedSocket::disconnect), in the types of handles.
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

/// The operation of [`abort`](crate::ConnectedSocket::abort), in the types of handles.
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

/// The parameters of `WskDisconnect`.
#[derive(Clone, Copy)]
pub struct Parameters {
    table: WskProviderConnectionDispatch,
    socket: NonNull<WSK_SOCKET>,
    buffer: Option<NonNull<WSK_BUF>>,
    flags: u32,
}

impl Parameters {
    fn new(
        socket: &Handle<ConnectionCategory>,
        buffer: Option<NonNull<WSK_BUF>>,
        flags: u32,
    ) -> Self {
        Self {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
            buffer,
            flags,
        }
    }

    /// # Safety
    ///
    /// As for [`Operation::submit`].
    unsafe fn submit(self, irp: NonNull<IRP>) -> Result<NTSTATUS, DispatchError> {
        // SAFETY: the caller gives the IRP; the socket is open, and the buffer is as `WskDisconnect` asks.
        unsafe {
            self.table
                .wsk_disconnect(self.socket, self.buffer, self.flags, irp)
        }
    }
}

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

/// What graceful ends have in common: they take as long as the peer does, so time that is up aborts the connection.
macro_rules! aborted_when_time_is_up {
    () => {
        type Output = ();
        type Parameters = Parameters;
        const CALL: Call = Call::WskDisconnect;
        const CANCEL_ON_DROP: bool = false;

        // There is no buffer.
        submitted!(Parameters: p => p.table.wsk_disconnect(p.socket, p.buffer, p.flags));

        fn before_time_out(_: &Handle<ConnectionCategory>) -> Result<Option<Idle<()>>, Error> {
            Idle::new().map(Some)
        }

        fn time_out(
            socket: &Handle<ConnectionCategory>,
            flight: &Flight<()>,
            means: Option<Idle<()>>,
        ) {
            if let Some(operation) = means {
                let p = Parameters::new(socket, None, WSK_FLAG_ABORTIVE);
                // SAFETY: the socket is open, and there is no buffer; the capture is kept until the routine is done. What the request says does
                // not matter: the one that it ends says what became of the connection.
                let launched = unsafe {
                    operation.launch_observed(hold(socket.capture()), |irp| p.submit(irp))
                };
                if let Ok(abort) = launched {
                    abort.leave();
                }
            }
            flight.cancel();
        }

        fn is_timed_out(status: NTSTATUS) -> bool {
            !status.is_success()
        }
    };
}

use crate::registration::hold;

impl Sealed for Disconnect {}

impl Function<()> for Disconnect {
    type Operation = Disconnecting;

    fn put(
        self,
        socket: &Handle<ConnectionCategory>,
        (): (),
        _: &mut Arguments,
        _: Places,
    ) -> Result<Parameters, Error> {
        Ok(Parameters::new(socket, None, 0))
    }
}

impl Sealed for DisconnectAfter {}

impl<B: SendBuffer> Function<B> for DisconnectAfter {
    type Operation = DisconnectingAfter;

    fn put(
        self,
        socket: &Handle<ConnectionCategory>,
        lent: Sent,
        _: &mut Arguments,
        _: Places,
    ) -> Result<Parameters, Error> {
        refuse_control(lent)?;
        Ok(Parameters::new(socket, Some(lent.buffer), 0))
    }
}

impl Sealed for Disconnecting {}

// SAFETY: one call is made, with no buffer; the socket is the target's.
unsafe impl Operation<()> for Disconnecting {
    type Way = Nothing;
    type Run = InPlace;

    of_connection!(());
    aborted_when_time_is_up!();

    unsafe fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskDisconnect)
    }
}

/// The operation of [`disconnect_after`](crate::ConnectedSocket::disconnect_after), in the types of handles.
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

// SAFETY: one call is made, whose parameters point at what is lent; the socket is the target's.
unsafe impl<B: SendBuffer> Operation<B> for DisconnectingAfter {
    type Way = Outgoing;
    type Run = InPlace;

    of_connection!(B);
    aborted_when_time_is_up!();

    unsafe fn read(outcome: Outcome, _: &mut Arguments, _: &mut B) -> Result<(), Error> {
        outcome.check(Call::WskDisconnect)
    }
}

impl Sealed for Abort {}

impl Function<()> for Abort {
    type Operation = Aborting;

    fn put(
        self,
        socket: &Handle<ConnectionCategory>,
        (): (),
        _: &mut Arguments,
        _: Places,
    ) -> Result<Parameters, Error> {
        Ok(Parameters::new(socket, None, WSK_FLAG_ABORTIVE))
    }
}

impl Sealed for Aborting {}

// SAFETY: one call is made, with no buffer; the socket is the target's.
unsafe impl Operation<()> for Aborting {
    type Way = Nothing;
    type Run = InPlace;
    type Output = ();
    type Parameters = Parameters;
    const CALL: Call = Call::WskDisconnect;
    const CANCEL_ON_DROP: bool = false;

    of_connection!(());

    // The buffer is as `WskDisconnect` asks.
    submitted!(Parameters: p => p.table.wsk_disconnect(p.socket, p.buffer, p.flags));

    unsafe fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskDisconnect)
    }
}
