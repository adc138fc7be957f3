//! [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive) and
//! [`WskReceiveEx`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_ex): receive bytes of a
//! connection, perhaps with control information, or until a buffer is full, or discard them.

use core::fmt;

use wsk_sys::{NTSTATUS, STATUS_END_OF_FILE};

use crate::buffer::carry::{Beside, Lending, Room, With};
use crate::buffer::{ControlMessages, NonPagedBuffer, ReceiveBuffer};
use crate::error::{Call, Error};
use crate::irp::{Arguments, Idle, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::send::moved;
use crate::request::way::{Finished, HasBuffer, NotStarted, ToReceive, not_lost};
use crate::request::{
    CutShort, Function, InPlace, Nothing, Operation, Repeat, Request, Shown, Way,
};
use crate::socket::calls::{
    Bound, OfSocket, Progress, ReceiveAllCall, ReceiveCall, Renewed, launch,
};
use crate::socket::{ConnectionCategory, Handle};

/// The request of [`receive`](crate::ConnectedSocket::receive): the bytes that have arrived.
#[derive(Debug)]
pub struct Receive;

/// The operation of [`receive`](crate::ConnectedSocket::receive), which the types of handles name.
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
/// use wsk::request::Receiving;
/// use wsk::NonPagedBuffer;
///
/// let receiving: InFlight<Receiving, NonPagedBuffer> = socket.receive(NonPagedBuffer::new(1500)?).start()?;
/// # std::io::Write::write_all(&mut peer, b"hello").unwrap();
/// let finished = receiving.wait().map_err(|(error, _)| error)?;
/// assert!((1..=5).contains(&finished.result?));
/// # drop((finished.buffer, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct Receiving;

/// The request of [`receive_all`](crate::ConnectedSocket::receive_all): bytes until the buffer is full, or the connection ends.
#[derive(Debug)]
pub struct ReceiveAll;

/// The operation of [`receive_all`](crate::ConnectedSocket::receive_all), which the types of handles name.
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
/// use wsk::request::{All, ReceivingAll};
/// use wsk::NonPagedBuffer;
///
/// let receiving: InFlight<ReceivingAll, All<NonPagedBuffer>> = socket.receive_all(NonPagedBuffer::new(5)?).start()?;
/// # std::io::Write::write_all(&mut peer, b"hello").unwrap();
/// let finished = receiving.wait().map_err(|(error, _)| error)?;
/// finished.result?;
/// assert_eq!(finished.buffer.as_ref().map(|bytes| bytes.as_slice()), Some(&b"hello"[..]));
/// # drop((finished.buffer, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct ReceivingAll;

/// The request of [`receive_exact`](crate::ConnectedSocket::receive_exact): bytes until the buffer is full, and no fewer.
#[derive(Debug)]
pub struct ReceiveExact;

/// The operation of [`receive_exact`](crate::ConnectedSocket::receive_exact), which the types of handles name.
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
/// use wsk::request::{All, ReceivingExact};
/// use wsk::NonPagedBuffer;
///
/// let receiving: InFlight<ReceivingExact, All<NonPagedBuffer>> = socket.receive_exact(NonPagedBuffer::new(5)?).start()?;
/// # std::io::Write::write_all(&mut peer, b"hello").unwrap();
/// let finished = receiving.wait().map_err(|(error, _)| error)?;
/// finished.result?;
/// assert_eq!(finished.buffer.as_ref().map(|bytes| bytes.as_slice()), Some(&b"hello"[..]));
/// # drop((finished.buffer, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct ReceivingExact;

/// The request of [`drain`](crate::ConnectedSocket::drain): discards everything that still arrives.
#[derive(Debug)]
pub struct Drain;

/// The operation of [`drain`](crate::ConnectedSocket::drain), which the types of handles name.
///
/// ```
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = listener.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::ConnectedSocket::connect(&provider, remote).wait()?;
/// # let (peer, _) = listener.accept().unwrap();
/// use wsk::operation::InFlight;
/// use wsk::request::Draining;
///
/// let draining: InFlight<Draining, ()> = socket.drain().start()?;
/// # drop(peer);
/// draining.wait().map_err(|(error, _)| error)??;
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct Draining;

pub(crate) fn receive<B: ReceiveBuffer>(
    socket: &Handle<ConnectionCategory>,
    buffer: B,
) -> Request<'_, Receive, B> {
    Request {
        target: socket,
        function: Receive,
        carried: buffer,
    }
}

pub(crate) fn receive_all<B: ReceiveBuffer>(
    socket: &Handle<ConnectionCategory>,
    buffer: B,
) -> Request<'_, ReceiveAll, All<B>> {
    Request {
        target: socket,
        function: ReceiveAll,
        carried: all(socket, buffer),
    }
}

pub(crate) fn receive_exact<B: ReceiveBuffer>(
    socket: &Handle<ConnectionCategory>,
    buffer: B,
) -> Request<'_, ReceiveExact, All<B>> {
    Request {
        target: socket,
        function: ReceiveExact,
        carried: all(socket, buffer),
    }
}

pub(crate) fn drain(socket: &Handle<ConnectionCategory>) -> Request<'_, Drain, ()> {
    Request {
        target: socket,
        function: Drain,
        carried: (),
    }
}

impl Sealed for Receive {}

impl<B: ReceiveBuffer> Function<B> for Receive {
    type Operation = Receiving;

    fn put<'x>(
        self,
        socket: &'x Handle<ConnectionCategory>,
        lent: Room<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ReceiveCall>, Error> {
        arguments.length = lent.extent().len();
        Ok(ReceiveCall::new(socket, lent, arguments, places))
    }
}

impl Sealed for Receiving {}

impl<B: ReceiveBuffer> Operation<B> for Receiving {
    type Way = ToReceive;
    type Run = InPlace;
    type Output = usize;
    type Asked = OfSocket<ConnectionCategory>;
    type Parameters = ReceiveCall;
    const CALL: Call = Call::WskReceive;
    const CANCEL_ON_DROP: bool = true;

    fn read(outcome: Outcome, arguments: &mut Arguments, carried: &mut B) -> Result<usize, Error> {
        let length = moved(Call::WskReceive, outcome, arguments)?;
        // As `put` has lent it: the room is part of the type.
        if B::CONTROL_ROOM > 0 {
            carried.set_control(arguments.received_control(B::CONTROL_ROOM));
        }
        Ok(length)
    }
}

impl<B: ReceiveBuffer> Repeat<B> for Receiving {
    type Seen<'a>
        = StreamArrival<'a, B>
    where
        B: 'a;

    #[inline]
    fn again(arguments: &mut Arguments) {
        arguments.make_control_ready(B::CONTROL_ROOM);
    }

    fn may_run(carried: &B) -> Result<(), Error> {
        not_lost(carried)
    }

    fn renew<'x>(
        _: &ReceiveCall,
        socket: &'x Handle<ConnectionCategory>,
        lent: Room<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Renewed<'x, ReceiveCall>, Error> {
        Function::<B>::put(Receive, socket, lent, arguments, places).map(Renewed::from)
    }

    fn look<'a>(
        outcome: Outcome,
        arguments: &'a Arguments,
        carried: Shown<'a, B>,
    ) -> Result<StreamArrival<'a, B>, Error> {
        Ok(StreamArrival {
            length: moved(Call::WskReceive, outcome, arguments)?,
            control: arguments.received_control(B::CONTROL_ROOM),
            buffer: carried,
        })
    }
}

/// Bytes of a connection in the buffer of a prepared receive.
///
/// ```
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::ConnectedSocket::connect(&provider, remote).wait()?;
/// # let (mut peer, _) = peer.accept().unwrap();
/// # std::io::Write::write_all(&mut peer, b"!").unwrap();
/// use wsk::NonPagedBuffer;
/// use wsk::operation::StreamArrival;
///
/// /// Counts the lines in the received bytes.
/// fn lines(arrival: StreamArrival<'_, NonPagedBuffer>) -> usize {
///     arrival.bytes().iter().filter(|&&byte| byte == b'\n').count()
/// }
///
/// let mut receiving = socket.receive(NonPagedBuffer::new(1500)?).prepare()?;
/// let arrival = receiving.wait()?;
/// assert_eq!((arrival.length(), lines(arrival)), (1, 0));
/// # drop(receiving);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct StreamArrival<'a, B> {
    length: usize,
    control: &'a [u8],
    buffer: Shown<'a, B>,
}

impl<'a, B> StreamArrival<'a, B> {
    /// The number of bytes that were received; 0 at the end of the connection.
    #[must_use]
    #[inline]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The buffer with the bytes.
    #[must_use]
    pub fn buffer(&self) -> &'a B {
        self.buffer.given()
    }
}

impl<'a, B: ReceiveBuffer> StreamArrival<'a, B> {
    /// The control information of the bytes, if the buffer has room for any. A receive that fills its buffer asks for none.
    #[must_use]
    pub fn control(&self) -> ControlMessages<'a> {
        ControlMessages::new(self.control)
    }
}

impl<'a> StreamArrival<'a, NonPagedBuffer> {
    /// The bytes that were received.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        let bytes = self.buffer.looked_at().as_slice();
        bytes.get(..self.length).unwrap_or(bytes)
    }
}

impl<B> fmt::Debug for StreamArrival<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamArrival")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// A buffer to be filled, with the progress so far.
pub type All<B> = Beside<Progress, B>;

fn all<B>(socket: &Handle<ConnectionCategory>, buffer: B) -> All<B> {
    Beside {
        ingredient: Progress::on(socket),
        buffer,
    }
}

/// Carries a buffer to be filled.
#[derive(Debug)]
pub struct Filling;

impl<B: ReceiveBuffer> Way<All<B>> for Filling {
    type Carry = With<ToReceive>;
    type Waited<T> = Result<T, Error>;
    type Finished<T> = Finished<T, B>;
    type Scoped<T> = Result<(T, B), Error>;
    type NotStarted = NotStarted<B>;

    fn waited<T>(result: Result<T, Error>, _: All<B>) -> Result<T, Error> {
        result
    }

    fn finished<T>(result: Result<T, Error>, carried: Option<All<B>>) -> Finished<T, B> {
        Finished {
            result,
            buffer: carried.map(|all| all.buffer),
        }
    }

    fn scoped<T>(result: Result<T, Error>, carried: Option<All<B>>) -> Result<(T, B), Error> {
        result.and_then(|output| Ok((output, carried.ok_or(Error::Taken)?.buffer)))
    }

    fn lost<T>(error: Error, carried: All<B>) -> Result<T, Error> {
        // The provider may still use the buffer, so it leaks. The provider does not own the socket, which closes with its last
        // handle.
        core::mem::forget(carried.buffer);
        Err(error)
    }

    fn not_started(error: Error, carried: All<B>) -> NotStarted<B> {
        NotStarted {
            error,
            buffer: carried.buffer,
        }
    }
}

impl<B: ReceiveBuffer> HasBuffer<All<B>> for Filling {
    type Buffer = B;

    fn buffer(carried: &All<B>) -> &B {
        &carried.buffer
    }

    fn buffer_mut(carried: &mut All<B>) -> &mut B {
        &mut carried.buffer
    }
}

/// The number of bytes received into a buffer to be filled, and the number wanted.
///
/// # Errors
///
/// The reason why no more bytes arrive. It is [`Error::Short`] if some bytes have arrived.
fn filled(outcome: Outcome, arguments: &Arguments) -> Result<(usize, usize), Error> {
    let length = arguments.length;
    // A failed request may have received some bytes.
    let received = arguments.before_rest().saturating_add(outcome.information);
    let received = received.min(length);
    match outcome.check(Call::WskReceive) {
        Err(_) if received > 0 => Err(short(received, outcome.status)),
        checked => checked.map(|()| (received, length)),
    }
}

const fn short(received: usize, status: NTSTATUS) -> Error {
    Error::Short {
        call: Call::WskReceive,
        received,
        status,
    }
}

/// Implements a function that fills a buffer. `$read` makes its result from the received bytes, and from those wanted.
macro_rules! fills {
    ($Function:ident, $Operation:ident: $Output:ty, $read:expr) => {
        impl Sealed for $Function {}

        impl<B: ReceiveBuffer> Function<All<B>> for $Function {
            type Operation = $Operation;

            fn put<'x>(
                self,
                socket: &'x Handle<ConnectionCategory>,
                (_, room): (Lending<'x, Progress>, Room<'x>),
                arguments: &mut Arguments,
                _: Places<'x>,
            ) -> Result<Bound<'x, ReceiveAllCall>, Error> {
                Ok(ReceiveAllCall::new(socket, room, arguments))
            }
        }

        impl Sealed for $Operation {}

        impl<B: ReceiveBuffer> Operation<All<B>> for $Operation {
            type Way = Filling;
            type Run = InPlace;
            type Output = $Output;
            type Asked = OfSocket<ConnectionCategory>;
            type Parameters = ReceiveAllCall;
            const CALL: Call = Call::WskReceive;
            const CANCEL_ON_DROP: bool = true;

            fn read(
                outcome: Outcome,
                arguments: &mut Arguments,
                _: &mut All<B>,
            ) -> Result<$Output, Error> {
                let read: fn(usize, usize) -> Result<$Output, Error> = $read;
                let (received, length) = filled(outcome, arguments)?;
                read(received, length)
            }

            fn cut_short(why: CutShort, outcome: Outcome, arguments: &Arguments) -> Error {
                match filled(outcome, arguments) {
                    Err(Error::Short { received, .. }) => short(received, why.status()),
                    _ => why.error(Call::WskReceive),
                }
            }
        }

        impl<B: ReceiveBuffer> Repeat<All<B>> for $Operation {
            type Seen<'a>
                = StreamArrival<'a, B>
            where
                B: 'a;

            #[inline]
            fn again(arguments: &mut Arguments) {
                arguments.begin_again();
            }

            fn may_run(carried: &All<B>) -> Result<(), Error> {
                not_lost(&carried.buffer)
            }

            fn renew<'x>(
                _: &ReceiveAllCall,
                socket: &'x Handle<ConnectionCategory>,
                (_, room): (Lending<'x, Progress>, Room<'x>),
                arguments: &mut Arguments,
                _: Places<'x>,
            ) -> Result<Renewed<'x, ReceiveAllCall>, Error> {
                let bound = ReceiveAllCall::renewed(socket, room, arguments);
                Ok(Renewed::from(bound))
            }

            fn look<'a>(
                outcome: Outcome,
                arguments: &'a Arguments,
                carried: Shown<'a, All<B>>,
            ) -> Result<StreamArrival<'a, B>, Error> {
                let read: fn(usize, usize) -> Result<$Output, Error> = $read;
                let (received, length) = filled(outcome, arguments)?;
                read(received, length)?;
                Ok(StreamArrival {
                    length: received,
                    control: &[],
                    buffer: carried.part(|all| &all.buffer),
                })
            }
        }
    };
}

fills!(ReceiveAll, ReceivingAll: usize, |received, _| Ok(received));

fills!(ReceiveExact, ReceivingExact: (), |received, length| {
    if received < length {
        return Err(short(received, STATUS_END_OF_FILE));
    }
    Ok(())
});

impl Sealed for Drain {}

impl Function<()> for Drain {
    type Operation = Draining;

    fn put<'x>(
        self,
        socket: &'x Handle<ConnectionCategory>,
        (): (),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ReceiveCall>, Error> {
        Ok(ReceiveCall::drain(socket, arguments, places))
    }
}

impl Sealed for Draining {}

impl Operation<()> for Draining {
    type Way = Nothing;
    type Run = InPlace;
    type Output = ();
    type Asked = OfSocket<ConnectionCategory>;
    type Parameters = ReceiveCall;
    const CALL: Call = Call::WskReceive;
    const CANCEL_ON_DROP: bool = true;

    fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskReceive)
    }
}

/// Makes WSK indicate data again, by a receive of zero bytes that nobody waits for. IRQL: `<= DISPATCH_LEVEL`. Allocates an
/// operation.
pub(crate) fn resume_events(socket: &Handle<ConnectionCategory>) -> Result<(), Error> {
    let flight = launch(Idle::new()?, socket, ReceiveCall::nothing)?;
    let status = flight.returned();
    flight.detach();
    if status.is_error() {
        let call = Call::WskReceive;
        return Err(Error::Call { call, status });
    }
    Ok(())
}
