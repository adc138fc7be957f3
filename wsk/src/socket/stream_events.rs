//! The events of `WSK_CLIENT_CONNECTION_DISPATCH`, for whoever is to be told of them.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_macros::dispatch_events;
use wsk_sys::{
    CMSGHDR, NTSTATUS, STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING, STATUS_SUCCESS,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_DATA_INDICATION, WskClientConnectionDispatchEvents,
    wsk_client_connection_dispatch_table,
};

use crate::error::Error;
use crate::memory::shared::Shared;
#[cfg(doc)]
use crate::socket::ConnectedSocket;
use crate::socket::event_context::{Context, Events};
use crate::socket::indicated_bytes::ByteList;
use crate::socket::{ConnectionCategory, Socket};

/// A handler's answer about bytes that it has not retained.
///
/// ```
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::ConnectedSocket;
/// use wsk::events::{StreamIndication, StreamVerdict};
///
/// // Takes a header of four bytes, and leaves the rest for a receive.
/// let header = |indication: &mut StreamIndication<'_>| {
///     if indication.len() < 4 {
///         return StreamVerdict::NotAccepted;
///     }
///     StreamVerdict::ConsumedPart(4)
/// };
/// let socket = ConnectedSocket::connect(&provider, remote).with_events(header).wait()?;
/// socket.enable_events()?;
/// # let (mut peer, _) = peer.accept().unwrap();
/// # std::io::Write::write_all(&mut peer, b"headbody").unwrap();
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StreamVerdict {
    /// The handler has processed all of them.
    #[default]
    Consumed,
    /// The handler has processed this many of them, from the first on. WSK buffers the rest, and indicates nothing until a receive, or
    /// [`resume_events`](ConnectedSocket::resume_events).
    ConsumedPart(usize),
    /// The handler accepts none of them: WSK buffers them, and indicates nothing until a receive, or
    /// [`resume_events`](ConnectedSocket::resume_events).
    NotAccepted,
}

/// Who is told of the events of a connection, at up to `DISPATCH_LEVEL`.
pub(crate) trait Told: Send + Sync + 'static {
    /// So many bytes have arrived, which are `list`; what becomes of them. What is taken out of it is kept beyond this call.
    fn arrived(
        &self,
        list: &mut Option<ByteList>,
        length: usize,
        flags: u32,
        socket: &Shared<Socket<ConnectionCategory>>,
    ) -> StreamVerdict;

    /// The peer has disconnected; with the socket, unless that is about to go.
    fn disconnected(&self, flags: u32, socket: Option<&Shared<Socket<ConnectionCategory>>>);

    /// The number of bytes that should be in flight has changed; with the socket, unless that is about to go.
    fn send_backlog_changed(
        &self,
        ideal: usize,
        socket: Option<&Shared<Socket<ConnectionCategory>>>,
    );

    /// The socket is dead.
    fn died(&self);
}

/// The events of a connection that are told to somebody.
pub(crate) fn of_connection<T: Told>(
    told: T,
) -> Result<Events<WSK_CLIENT_CONNECTION_DISPATCH>, Error> {
    Ok(told_control::<T, _>(Events::new(told, callbacks::<T>())?))
}

/// The callbacks of sockets whose context is that of events for a `T`.
pub(crate) const fn callbacks<T: Told>() -> &'static WSK_CLIENT_CONNECTION_DISPATCH {
    wsk_client_connection_dispatch_table::<Thunks<T>>()
}

/// Events that were made for a `T`, with the callback that no table has.
pub(crate) fn told_control<T: Told, U>(events: Events<U>) -> Events<U> {
    // INVARIANT: the callback is for a context of the same type.
    events.with_receive_ex(Some(receive_ex_event::<T>))
}

/// The callbacks of connections for somebody of type `T`.
struct Thunks<T>(PhantomData<T>);

/// Who is told by a callback, and the socket, unless that is about to go.
type Callback<T> = (
    ManuallyDrop<Shared<Context<T>>>,
    Option<ManuallyDrop<Shared<Socket<ConnectionCategory>>>>,
);

/// What a callback finds by its context.
///
/// # Safety
///
/// The context is the one that the socket was made with. Both live until its close has completed, which waits for the callback, and the
/// result is not used after that.
unsafe fn of_callback<T: Told>(context: Option<NonNull<c_void>>) -> Option<Callback<T>> {
    // SAFETY: the caller keeps the same contract.
    context.map(|context| unsafe { Context::<T>::of_callback(context) })
}

/// `WskReceiveExEvent`, for somebody of type `T`: `WskReceiveEvent` with control information.
///
/// # Safety
///
/// WSK calls it, for a socket that was made with a context of such a `T`.
unsafe extern "system" fn receive_ex_event<T: Told>(
    socket_context: *mut c_void,
    flags: u32,
    data_indication: *mut WSK_DATA_INDICATION,
    control: *mut CMSGHDR,
    control_length: u32,
    bytes_indicated: usize,
    bytes_accepted: *mut usize,
) -> NTSTATUS {
    // No reference: it may go before this returns, with bytes that were retained.
    let control = NonNull::new(control.cast());
    let control =
        control.map(|control| NonNull::slice_from_raw_parts(control, control_length as usize));
    // SAFETY: WSK gives what is documented.
    unsafe {
        received::<T>(
            NonNull::new(socket_context),
            flags,
            NonNull::new(data_indication),
            control,
            bytes_indicated,
            NonNull::new(bytes_accepted),
        )
    }
}

/// Tells somebody what has arrived, and WSK what is answered: `STATUS_PENDING` exactly where the indications were retained.
///
/// # Safety
///
/// The parameters are those of `WskReceiveEvent`, or of `WskReceiveExEvent`, for a socket that was made with a context of such a `T`.
unsafe fn received<T: Told>(
    socket_context: Option<NonNull<c_void>>,
    flags: u32,
    data_indication: Option<NonNull<WSK_DATA_INDICATION>>,
    control: Option<NonNull<[u8]>>,
    bytes_indicated: usize,
    bytes_accepted: Option<NonNull<usize>>,
) -> NTSTATUS {
    // SAFETY: the context is the one that WSK was given with the socket, and this is a callback. The list is the callback's, and so
    // is the control information.
    let (found, mut list) = unsafe {
        (
            of_callback::<T>(socket_context),
            data_indication.map(|list| ByteList::new(list, control)),
        )
    };
    let Some((context, socket)) = found else {
        return STATUS_DATA_NOT_ACCEPTED;
    };
    if list.is_none() {
        context.handler().died();
        return STATUS_SUCCESS;
    }
    let Some(socket) = socket else {
        return STATUS_DATA_NOT_ACCEPTED;
    };
    let told = context.handler();
    match told.arrived(&mut list, bytes_indicated, flags, &socket) {
        _ if list.is_none() => STATUS_PENDING,
        StreamVerdict::Consumed => STATUS_SUCCESS,
        StreamVerdict::ConsumedPart(0) | StreamVerdict::NotAccepted => STATUS_DATA_NOT_ACCEPTED,
        StreamVerdict::ConsumedPart(part) => {
            if let Some(bytes_accepted) = bytes_accepted {
                // SAFETY: WSK gives a place for the number.
                unsafe { bytes_accepted.write(part.min(bytes_indicated)) };
            }
            STATUS_SUCCESS
        }
    }
}

// SAFETY: the callbacks do what WSK documents: a receive event returns `STATUS_PENDING` exactly where the indications were
// retained, and neither blocks nor keeps anything else.
#[dispatch_events]
unsafe impl<T: Told> WskClientConnectionDispatchEvents for Thunks<T> {
    unsafe fn wsk_receive_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
        data_indication: Option<NonNull<WSK_DATA_INDICATION>>,
        bytes_indicated: usize,
        bytes_accepted: Option<NonNull<usize>>,
    ) -> NTSTATUS {
        // SAFETY: WSK gives what is documented.
        unsafe {
            received::<T>(
                socket_context,
                flags,
                data_indication,
                None,
                bytes_indicated,
                bytes_accepted,
            )
        }
    }

    unsafe fn wsk_disconnect_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
    ) -> NTSTATUS {
        // SAFETY: the context is the one that WSK was given with the socket, and this is a callback.
        if let Some((context, socket)) = unsafe { of_callback::<T>(socket_context) } {
            context.handler().disconnected(flags, socket.as_deref());
        }
        STATUS_SUCCESS
    }

    unsafe fn wsk_send_backlog_event(
        socket_context: Option<NonNull<c_void>>,
        ideal_backlog_size: usize,
    ) -> NTSTATUS {
        // SAFETY: as for `wsk_disconnect_event`.
        if let Some((context, socket)) = unsafe { of_callback::<T>(socket_context) } {
            let told = context.handler();
            told.send_backlog_changed(ideal_backlog_size, socket.as_deref());
        }
        STATUS_SUCCESS
    }
}
