//! [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive) and
//! [`WskReceiveEx`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_ex): bytes of a connection are
//! received, perhaps with control information; or until a buffer is full; or thrown away.

use core::fmt;
use core::ptr::NonNull;

use wsk_sys::{
    CMSGHDR, DispatchError, IRP, NTSTATUS, STATUS_CANCELLED, STATUS_END_OF_FILE, WSK_BUF,
    WSK_FLAG_DRAIN, WSK_FLAG_WAITALL, WSK_SOCKET, WskProviderConnectionDispatch,
};

use crate::buffer::{ControlMessages, Extent, Lock, NonPagedBuffer, ReceiveBuffer};
use crate::error::{Call, Error};
use crate::irp::{Arguments, Idle, Outcome, Places};
use crate::memory::atomic::Ordering;
use crate::memory::shared::Shared;
use crate::registration::hold;
use crate::request::more::More;
use crate::request::sealed::Sealed;
use crate::request::send::moved;
use crate::request::submitted;
use crate::request::way::{Finished, Incoming, NotStarted, Room, not_lost};
use crate::request::{
    CutShort, Function, InPlace, Nothing, Operation, Repeat, Request, Shown, Way, held_by_handle,
    of_connection,
};
use crate::socket::{ConnectionCategory, Handle, Socket};

/// The request of [`receive`](crate::ConnectedSocket::receive): the bytes that have arrived.
#[derive(Debug)]
pub struct Receive;

/// The operation of [`receive`](crate::ConnectedSocket::receive), in the types of handles.
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

/// The operation of [`receive_all`](crate::ConnectedSocket::receive_all), in the types of handles.
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

/// The operation of [`receive_exact`](crate::ConnectedSocket::receive_exact), in the types of handles.
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

/// The request of [`drain`](crate::ConnectedSocket::drain): all that still arrives is discarded.
#[derive(Debug)]
pub struct Drain;

/// The operation of [`drain`](crate::ConnectedSocket::drain), in the types of handles.
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

/// The parameters of `WskReceive`, or of `WskReceiveEx`, which gives control information.
#[derive(Clone, Copy)]
pub struct Parameters {
    table: WskProviderConnectionDispatch,
    socket: NonNull<WSK_SOCKET>,
    buffer: NonNull<WSK_BUF>,
    flags: u32,
    /// The room for it: the place of the length, and of the bytes.
    control: Option<(NonNull<u32>, NonNull<CMSGHDR>)>,
}

// SAFETY: parameters are numbers and addresses, which are used by the call alone.
unsafe impl Send for Parameters {}
// SAFETY: as above.
unsafe impl Sync for Parameters {}

impl Parameters {
    fn new(
        socket: &Handle<ConnectionCategory>,
        room: Room,
        flags: u32,
        arguments: &mut Arguments,
    ) -> Self {
        arguments.length = room.extent.len();
        Self {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
            buffer: room.buffer,
            flags,
            control: None,
        }
    }

    /// # Safety
    ///
    /// As for [`Operation::submit`].
    unsafe fn submit(self, irp: NonNull<IRP>) -> Result<NTSTATUS, DispatchError> {
        let Self {
            table,
            socket,
            buffer,
            flags,
            control,
        } = self;
        // SAFETY: the caller gives the IRP; the socket is open, and the buffer and the room for control information are as `WskReceive`
        // and `WskReceiveEx` ask.
        unsafe {
            match control {
                None => table.wsk_receive(socket, buffer, flags, irp),
                Some((length, control)) => {
                    table.wsk_receive_ex(socket, buffer, flags, Some(length), Some(control), irp)
                }
            }
        }
    }
}

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
        carried: All::new(socket, buffer),
    }
}

pub(crate) fn receive_exact<B: ReceiveBuffer>(
    socket: &Handle<ConnectionCategory>,
    buffer: B,
) -> Request<'_, ReceiveExact, All<B>> {
    Request {
        target: socket,
        function: ReceiveExact,
        carried: All::new(socket, buffer),
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

    fn put(
        self,
        socket: &Handle<ConnectionCategory>,
        lent: Room,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        arguments.make_control_ready(lent.control);
        Ok(Parameters {
            control: (lent.control > 0).then(|| places.control_room()),
            ..Parameters::new(socket, lent, 0, arguments)
        })
    }
}

impl Sealed for Receiving {}

// SAFETY: one call is made, whose parameters point at the arguments and at what is lent; the socket is the target's.
unsafe impl<B: ReceiveBuffer> Operation<B> for Receiving {
    type Way = Incoming;
    type Run = InPlace;
    type Output = usize;
    type Parameters = Parameters;
    const CALL: Call = Call::WskReceive;
    const CANCEL_ON_DROP: bool = true;

    of_connection!(B);

    // The buffer is as `WskReceive` asks, and the room for control information as `WskReceiveEx` does.
    submitted!(Parameters: p => Parameters::submit(*p));

    unsafe fn read(
        outcome: Outcome,
        arguments: &mut Arguments,
        carried: &mut B,
    ) -> Result<usize, Error> {
        let length = moved(Call::WskReceive, outcome, arguments)?;
        let room = carried.control_room();
        if room > 0 {
            carried.set_control(arguments.received_control(room));
        }
        Ok(length)
    }
}

// SAFETY: what the parameters point at is written anew by each run; `again` clears what a provider may leave as it was.
unsafe impl<B: ReceiveBuffer> Repeat<B> for Receiving {
    held_by_handle!(ConnectionCategory);

    type Seen<'a>
        = StreamArrival<'a, B>
    where
        B: 'a;

    #[inline]
    fn again(arguments: &mut Arguments, carried: &B) {
        arguments.make_control_ready(carried.control_room());
    }

    fn may_run(carried: &B) -> Result<(), Error> {
        not_lost(carried)
    }

    fn renew(
        parameters: &mut Parameters,
        socket: &Handle<ConnectionCategory>,
        lent: Room,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<(), Error> {
        *parameters = Function::<B>::put(Receive, socket, lent, arguments, places)?;
        Ok(())
    }

    fn look<'a>(
        outcome: Outcome,
        arguments: &'a Arguments,
        carried: Shown<'a, B>,
    ) -> Result<StreamArrival<'a, B>, Error> {
        Ok(StreamArrival {
            length: moved(Call::WskReceive, outcome, arguments)?,
            arguments,
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
/// /// Counts the lines in what has come.
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
    arguments: &'a Arguments,
    buffer: Shown<'a, B>,
}

impl<'a, B> StreamArrival<'a, B> {
    /// The number of bytes that were received: 0 is the end.
    #[must_use]
    #[inline]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The buffer that they are in.
    #[must_use]
    pub fn buffer(&self) -> &'a B {
        self.buffer.given()
    }
}

impl<'a, B: ReceiveBuffer> StreamArrival<'a, B> {
    /// The control information that came with them, if the buffer has room for any.
    #[must_use]
    pub fn control(&self) -> ControlMessages<'a> {
        let room = self.buffer.looked_at().control_room();
        ControlMessages::new(self.arguments.received_control(room))
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

/// A buffer that is to be filled, with what has come so far: not every provider waits until it is full.
#[derive(Debug)]
pub struct All<B> {
    buffer: B,
    /// The socket, which may be closed meanwhile.
    socket: Shared<Socket<ConnectionCategory>>,
    received: usize,
}

impl<B> All<B> {
    fn new(socket: &Handle<ConnectionCategory>, buffer: B) -> Self {
        Self {
            buffer,
            socket: socket.share(),
            received: 0,
        }
    }
}

impl fmt::Debug for Shared<Socket<ConnectionCategory>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

/// A buffer that is to be filled is carried.
#[derive(Debug)]
pub struct Filling;

// SAFETY: the buffer keeps its promise from when it is locked to when it is unlocked.
unsafe impl<B: ReceiveBuffer> Way<All<B>> for Filling {
    type Lent = Room;
    type Waited<T> = Result<T, Error>;
    type Finished<T> = Finished<T, B>;
    type Scoped<T> = Result<(T, B), Error>;
    type NotStarted = NotStarted<B>;

    unsafe fn lend(carried: NonNull<All<B>>, lock: &mut Lock) -> Result<Room, Error> {
        // SAFETY: the caller gives it; only the buffer is lent.
        unsafe {
            let buffer = NonNull::new_unchecked(&raw mut (*carried.as_ptr()).buffer);
            Incoming::lend(buffer, lock)
        }
    }

    unsafe fn take_back(_: NonNull<All<B>>, lock: &mut Lock) {
        lock.unlock();
    }

    unsafe fn abandon(carried: NonNull<All<B>>) -> bool {
        // SAFETY: the caller gives it.
        unsafe {
            let buffer = NonNull::new_unchecked(&raw mut (*carried.as_ptr()).buffer);
            Incoming::abandon(buffer)
        }
    }

    /// The socket's share, which would keep the capture.
    unsafe fn drop_part(carried: NonNull<All<B>>) {
        // SAFETY: the caller gives what is carried away, so the share is dropped once; the buffer, which may borrow, is left alone.
        unsafe { core::ptr::drop_in_place(&raw mut (*carried.as_ptr()).socket) };
    }

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
        // The socket is not the provider's: it goes when its handles have gone.
        core::mem::forget(carried.buffer);
        Err(error)
    }

    fn into_waited<T>(finished: Finished<T, B>) -> Result<T, Error> {
        finished.result
    }

    fn not_started(error: Error, carried: All<B>) -> NotStarted<B> {
        NotStarted {
            error,
            buffer: carried.buffer,
        }
    }
}

/// What has come of a buffer that is to be filled: the bytes, and how many there were to be.
///
/// # Errors
///
/// Why there are no more, and then [`Error::Short`] if there are any.
fn filled<B>(
    outcome: Outcome,
    arguments: &Arguments,
    carried: &All<B>,
) -> Result<(usize, usize), Error> {
    let length = arguments.whole.Length;
    // A request that failed may have got some.
    let received = carried.received.saturating_add(outcome.information);
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

/// Writes a function that fills a buffer, and what it makes of the bytes that have come.
macro_rules! fills {
    ($Function:ident, $Operation:ident: $Output:ty, $read:expr) => {
        impl Sealed for $Function {}

        impl<B: ReceiveBuffer> Function<All<B>> for $Function {
            type Operation = $Operation;

            fn put(
                self,
                socket: &Handle<ConnectionCategory>,
                lent: Room,
                arguments: &mut Arguments,
                _: Places,
            ) -> Result<Parameters, Error> {
                // The rest is a part of this, wherever that lies: see `goes_on`.
                arguments.whole = lent.extent.as_wsk_buf();
                Ok(Parameters::new(socket, lent, WSK_FLAG_WAITALL, arguments))
            }
        }

        impl Sealed for $Operation {}

        // SAFETY: one call is made, whose parameters point at the arguments and at what is lent; the socket is the target's.
        unsafe impl<B: ReceiveBuffer> Operation<All<B>> for $Operation {
            type Way = Filling;
            type Run = InPlace;
            type Output = $Output;
            type Parameters = Parameters;
            const CALL: Call = Call::WskReceive;
            const CANCEL_ON_DROP: bool = true;
            const GOES_ON: bool = true;

            of_connection!(All<B>);

            // The buffer is as `WskReceive` asks.
            submitted!(Parameters: p => p.table.wsk_receive(p.socket, p.buffer, p.flags));

            unsafe fn read(
                outcome: Outcome,
                arguments: &mut Arguments,
                carried: &mut All<B>,
            ) -> Result<$Output, Error> {
                let read: fn(usize, usize) -> Result<$Output, Error> = $read;
                let (received, length) = filled(outcome, arguments, carried)?;
                read(received, length)
            }

            unsafe fn cut_short(
                why: CutShort,
                outcome: Outcome,
                arguments: &mut Arguments,
                carried: &mut All<B>,
            ) -> Error {
                match filled(outcome, arguments, carried) {
                    Err(Error::Short { received, .. }) => short(received, why.status()),
                    _ => why.error(Call::WskReceive),
                }
            }

            /// It is not documented what becomes of the bytes that have come for a request that waits for all and is cancelled: this one
            /// asks for what there is, again and again.
            fn may_end_early(parameters: &mut Parameters) {
                parameters.flags = 0;
            }

            unsafe fn goes_on(
                outcome: Outcome,
                arguments: &mut Arguments,
                places: Places,
                carried: NonNull<All<B>>,
            ) -> Option<Result<More, NTSTATUS>> {
                // SAFETY: the caller gives what is carried, of which the number and the socket are no part that is lent; the whole buffer is
                // still locked.
                unsafe { go_on(outcome, arguments, places, carried) }
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

/// With what a receive goes on that has not filled its buffer.
///
/// # Safety
///
/// `carried` is there, with its buffer lent and locked as the arguments say, which are those of the request that has completed so.
unsafe fn go_on<B>(
    outcome: Outcome,
    arguments: &mut Arguments,
    places: Places,
    carried: NonNull<All<B>>,
) -> Option<Result<More, NTSTATUS>> {
    // SAFETY: the caller gives what is carried.
    let (before, socket) = unsafe { ((*carried.as_ptr()).received, &(*carried.as_ptr()).socket) };
    let whole = arguments.whole;
    let received = before.saturating_add(outcome.information);
    // Nothing is the end, and full is full.
    if !outcome.status.is_success() || outcome.information == 0 || received >= whole.Length {
        return None;
    }
    let handle = Handle::from_open(socket);
    // SAFETY: the extent of the buffer, which is still locked; the caller gives what is carried, of which the number is no part that is
    // lent.
    let rest = unsafe {
        (*carried.as_ptr()).received = received;
        Extent::from_wsk_buf(whole).rest(received)
    };
    // Fewer bytes than asked for would be the end.
    let Some(handle) = handle else {
        return Some(Err(STATUS_CANCELLED));
    };
    arguments.buffer = rest.as_wsk_buf();
    Some(Ok(More::new(handle, places.buffer())))
}

impl Sealed for Drain {}

impl Function<()> for Drain {
    type Operation = Draining;

    fn put(
        self,
        socket: &Handle<ConnectionCategory>,
        (): (),
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        let nothing = Extent::empty();
        arguments.buffer = nothing.as_wsk_buf();
        let room = Room {
            buffer: places.buffer(),
            extent: nothing,
            control: 0,
        };
        Ok(Parameters::new(socket, room, WSK_FLAG_DRAIN, arguments))
    }
}

impl Sealed for Draining {}

// SAFETY: one call is made, whose parameters point at the arguments; the socket is the target's.
unsafe impl Operation<()> for Draining {
    type Way = Nothing;
    type Run = InPlace;
    type Output = ();
    type Parameters = Parameters;
    const CALL: Call = Call::WskReceive;
    const CANCEL_ON_DROP: bool = true;

    of_connection!(());

    // It is given no buffer.
    submitted!(Parameters: p => p.table.wsk_receive(p.socket, p.buffer, p.flags));

    unsafe fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskReceive)
    }
}

/// Has WSK indicate what comes again, by a receive of no bytes that nobody waits for. IRQL: `<= DISPATCH_LEVEL`. Allocates an operation.
pub(crate) fn resume_events(socket: &Handle<ConnectionCategory>) -> Result<(), Error> {
    let mut operation = Idle::<()>::new()?;
    let nothing = Extent::empty();
    operation.arguments().buffer = nothing.as_wsk_buf();
    let room = Room {
        buffer: operation.places().buffer(),
        extent: nothing,
        control: 0,
    };
    // What an event with control information has not accepted is asked for by the function that gives control information.
    let extended = socket.indicates_control.load(Ordering::Relaxed);
    let p = Parameters::new(socket, room, 0, operation.arguments());
    // SAFETY: the socket is open, and the buffer, of no bytes, is in the arguments; the capture is kept until the routine is done.
    let launched = unsafe {
        operation.launch_observed(hold(socket.capture()), |irp| {
            if extended {
                let table = p.table;
                table.wsk_receive_ex(p.socket, p.buffer, p.flags, None, None, irp)
            } else {
                p.submit(irp)
            }
        })
    };
    let flight = launched.map_err(|refused| refused.error)?;
    let status = flight.returned();
    flight.leave();
    if status.is_error() {
        let call = Call::WskReceive;
        return Err(Error::Call { call, status });
    }
    Ok(())
}
