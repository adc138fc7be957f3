//! The callbacks of sockets with events (`WSK_CLIENT_DATAGRAM_DISPATCH`, `WSK_CLIENT_CONNECTION_DISPATCH`, `WSK_CLIENT_LISTEN_DISPATCH`,
//! `WSK_CLIENT_STREAM_DISPATCH`). They give types to WSK's arguments, and pass them on to the handler of the socket.

use core::cell::Cell;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

use wsk_macros::dispatch_events;
use wsk_sys::{
    CMSGHDR, NTSTATUS, PFN_WSK_RECEIVE_EX_EVENT, SOCKADDR, STATUS_DATA_NOT_ACCEPTED,
    STATUS_PENDING, STATUS_REQUEST_NOT_ACCEPTED, STATUS_SUCCESS, WSK_CLIENT_CONNECTION_DISPATCH,
    WSK_CLIENT_DATAGRAM_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH, WSK_CLIENT_STREAM_DISPATCH,
    WSK_DATA_INDICATION, WSK_DATAGRAM_INDICATION, WSK_INSPECT_ACTION, WSK_INSPECT_ID, WSK_SOCKET,
    WskClientConnectionDispatchEvents, WskClientDatagramDispatchEvents,
    WskClientListenDispatchEvents, WskClientStreamDispatchEvents,
    wsk_client_connection_dispatch_table, wsk_client_datagram_dispatch_table,
    wsk_client_listen_dispatch_table, wsk_client_stream_dispatch_table,
};

use crate::buffer::{Meanwhile, Payload};
use crate::error::Error;
use crate::memory::Shared;
use crate::registration::Brought;
use crate::socket::datagram_events::DatagramHandler;
use crate::socket::event_context::{Callbacks, Context, Events, Table};
use crate::socket::indicated_bytes::ByteList;
use crate::socket::inspection::InspectId;
use crate::socket::listen_events::{Ends, ListenHandler, Offer, Question};
use crate::socket::open::{Arrived, Chain, Fresh, Indicated, Linked};
use crate::socket::stream_events::{ConnectionHandler, StreamVerdict};
use crate::socket::{
    Arriving, Category, ConnectionCategory, DatagramCategory, ListenCategory, Socket,
};

/// The events of a datagram socket, for this handler.
pub(crate) fn of_datagrams<T: DatagramHandler>(
    handler: T,
) -> Result<Events<WSK_CLIENT_DATAGRAM_DISPATCH>, Error> {
    Events::new::<DatagramCallbacks<T>>(handler)
}

/// The events of a connection, for this handler.
pub(crate) fn of_connection<T: ConnectionHandler>(
    handler: T,
) -> Result<Events<WSK_CLIENT_CONNECTION_DISPATCH>, Error> {
    Events::new::<ConnectionCallbacks<T>>(handler)
}

/// The events of a listening socket, for this handler.
pub(crate) fn of_listener<T: ListenHandler>(
    handler: T,
) -> Result<Events<WSK_CLIENT_LISTEN_DISPATCH>, Error> {
    Events::new::<ListenCallbacks<T>>(handler)
}

/// The events of a stream socket, for this handler, whatever it becomes.
pub(crate) fn of_stream<T: ConnectionHandler + ListenHandler>(
    handler: T,
) -> Result<Events<WSK_CLIENT_STREAM_DISPATCH>, Error> {
    Events::new::<StreamCallbacks<T>>(handler)
}

/// The handler and the socket that a callback finds by its context. There is no socket before it has its first handle.
struct Found<T, C: Category> {
    context: ManuallyDrop<Shared<Context<T>>>,
    socket: Option<ManuallyDrop<Shared<Socket<C>>>>,
}

impl<T, C: Category> Found<T, C> {
    /// # Safety
    ///
    /// The context, if there is one, is that of events for a `T`, of a socket of this category that was made with it. Both live until its
    /// close has completed, which waits for the callback, and the result is not used after that.
    unsafe fn by(context: Option<NonNull<c_void>>) -> Option<Self> {
        let context = context?;
        // SAFETY: the pointer is that of `Events` for a `T`. They own the reference, whose pointer `into_raw` gave for this type. By the
        // invariant of the context the other pointer is that of a socket that is still there, and as the caller says of this category. Both
        // values are not dropped, so the references stay with their owners.
        unsafe {
            let context = ManuallyDrop::new(Shared::<Context<T>>::from_raw(context));
            let socket = context.socket();
            let socket = socket.map(|socket| ManuallyDrop::new(Shared::from_raw(socket)));
            Some(Self { context, socket })
        }
    }

    fn handler(&self) -> &T {
        self.context.handler()
    }

    fn socket(&self) -> Option<&Shared<Socket<C>>> {
        self.socket.as_deref()
    }
}

// SAFETY: `Next` links the lists of WSK. Indications are memory that is bound to no thread.
unsafe impl Linked for WSK_DATAGRAM_INDICATION {
    type Seen<'s> = Indicated<'s>;

    fn next(&self) -> *mut Self {
        self.Next
    }

    fn cut(&mut self) -> *mut Self {
        core::mem::replace(&mut self.Next, core::ptr::null_mut())
    }

    #[inline]
    unsafe fn seen(&self) -> Indicated<'_> {
        // SAFETY: as the caller says, the MDL chain is valid as long as this is borrowed. So are the address, and the control information of
        // this length, if there is any.
        unsafe {
            Indicated {
                payload: Payload::of(self.Buffer),
                control: if self.ControlInfo.is_null() {
                    &[]
                } else {
                    let length = self.ControlInfoLength as usize;
                    core::slice::from_raw_parts(self.ControlInfo.cast(), length)
                },
                remote: Brought::new(self.RemoteAddress),
            }
        }
    }
}

// SAFETY: as for datagrams.
unsafe impl Linked for WSK_DATA_INDICATION {
    type Seen<'s> = Payload<'s>;

    fn next(&self) -> *mut Self {
        self.Next
    }

    fn cut(&mut self) -> *mut Self {
        core::mem::replace(&mut self.Next, core::ptr::null_mut())
    }

    #[inline]
    unsafe fn seen(&self) -> Payload<'_> {
        // SAFETY: as the caller says, the MDL chain is valid as long as this is borrowed.
        unsafe { Payload::of(self.Buffer) }
    }
}

/// The callbacks of datagram sockets for handlers of type `T`.
struct DatagramCallbacks<T>(PhantomData<T>);

// SAFETY: the callback below does so.
unsafe impl<T: DatagramHandler> Callbacks for DatagramCallbacks<T> {
    type Handler = T;
    type Table = WSK_CLIENT_DATAGRAM_DISPATCH;

    fn table() -> Table {
        Table {
            datagrams: *wsk_client_datagram_dispatch_table::<Self>(),
        }
    }
}

// SAFETY: the callback does what WSK documents: it returns `STATUS_PENDING` exactly where the indications were kept, and neither
// blocks nor keeps anything else.
#[dispatch_events]
unsafe impl<T: DatagramHandler> WskClientDatagramDispatchEvents for DatagramCallbacks<T> {
    unsafe fn wsk_receive_from_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
        data_indication: Option<NonNull<WSK_DATAGRAM_INDICATION>>,
    ) -> NTSTATUS {
        // SAFETY: the context is the one that WSK was given with the socket, and this is a callback. The list is the callback's.
        let (found, list) = unsafe {
            let found = Found::<T, DatagramCategory>::by(socket_context);
            let socket = found.as_ref().and_then(Found::socket);
            let list = socket.zip(data_indication);
            let list = list.map(|(socket, first)| Arrived::new(Chain::new(first), socket));
            (found, list)
        };
        let Some(found) = found else {
            return STATUS_DATA_NOT_ACCEPTED;
        };
        if data_indication.is_none() {
            found.handler().died();
            return STATUS_SUCCESS;
        }
        let (Some(socket), Some(mut list)) = (found.socket(), list) else {
            return STATUS_DATA_NOT_ACCEPTED;
        };
        match found.handler().arrived(&mut list, flags, socket) {
            _ if list.is_kept() => STATUS_PENDING,
            true => STATUS_SUCCESS,
            false => STATUS_DATA_NOT_ACCEPTED,
        }
    }
}

/// The callbacks of connections for handlers of type `T`.
struct ConnectionCallbacks<T>(PhantomData<T>);

// SAFETY: the callbacks below do so.
unsafe impl<T: ConnectionHandler> Callbacks for ConnectionCallbacks<T> {
    type Handler = T;
    type Table = WSK_CLIENT_CONNECTION_DISPATCH;
    const RECEIVE_EX: PFN_WSK_RECEIVE_EX_EVENT = Some(receive_ex_event::<T>);

    fn table() -> Table {
        let table = wsk_client_connection_dispatch_table::<Self>();
        Table {
            connection: WSK_CLIENT_CONNECTION_DISPATCH {
                WskReceiveEvent: table.WskReceiveEvent,
                WskDisconnectEvent: table.WskDisconnectEvent,
                WskSendBacklogEvent: table.WskSendBacklogEvent,
            },
        }
    }
}

/// `WskReceiveExEvent` for a handler of type `T`. It is `WskReceiveEvent` with control information, if there is any. Returns
/// `STATUS_PENDING` exactly if the indications were retained.
///
/// # Safety
///
/// WSK calls it, for a socket that was made with a context of such a `T`.
unsafe extern "system" fn receive_ex_event<T: ConnectionHandler>(
    socket_context: *mut c_void,
    flags: u32,
    data_indication: *mut WSK_DATA_INDICATION,
    control: *mut CMSGHDR,
    control_length: u32,
    bytes_indicated: usize,
    bytes_accepted: *mut usize,
) -> NTSTATUS {
    // A raw pointer, not a reference: the memory may be freed before this returns, with bytes that were retained and released.
    let control = NonNull::new(control.cast());
    let control =
        control.map(|control| NonNull::slice_from_raw_parts(control, control_length as usize));
    let data_indication = NonNull::new(data_indication);
    // SAFETY: the context is the one that WSK was given with the socket, and this is a callback. The list is the callback's, and so
    // is the control information; WSK gives a place for the number.
    let (found, list, accepted) = unsafe {
        let found = Found::<T, ConnectionCategory>::by(NonNull::new(socket_context));
        let socket = found.as_ref().and_then(Found::socket);
        let list = socket.zip(data_indication).map(|(socket, first)| {
            ByteList::new(
                Arrived::new(Chain::new(first), socket),
                Meanwhile::new(control),
            )
        });
        let accepted = bytes_accepted.cast::<MaybeUninit<usize>>().as_mut();
        (found, list, accepted)
    };
    let Some(found) = found else {
        return STATUS_DATA_NOT_ACCEPTED;
    };
    if data_indication.is_none() {
        found.handler().died();
        return STATUS_SUCCESS;
    }
    let (Some(socket), Some(mut list)) = (found.socket(), list) else {
        return STATUS_DATA_NOT_ACCEPTED;
    };
    let handler = found.handler();
    match handler.arrived(&mut list, bytes_indicated, flags, socket) {
        _ if list.is_retained() => STATUS_PENDING,
        StreamVerdict::Consumed => STATUS_SUCCESS,
        StreamVerdict::ConsumedPart(0) | StreamVerdict::NotAccepted => STATUS_DATA_NOT_ACCEPTED,
        StreamVerdict::ConsumedPart(part) => {
            if let Some(accepted) = accepted {
                accepted.write(part.min(bytes_indicated));
            }
            STATUS_SUCCESS
        }
    }
}

/// A pointer as C has it.
fn raw<T>(pointer: Option<NonNull<T>>) -> *mut T {
    pointer.map_or(core::ptr::null_mut(), NonNull::as_ptr)
}

// SAFETY: the callbacks do what WSK documents: a receive event returns `STATUS_PENDING` exactly where the indications were
// retained, and neither blocks nor keeps anything else.
#[dispatch_events]
unsafe impl<T: ConnectionHandler> WskClientConnectionDispatchEvents for ConnectionCallbacks<T> {
    unsafe fn wsk_receive_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
        data_indication: Option<NonNull<WSK_DATA_INDICATION>>,
        bytes_indicated: usize,
        bytes_accepted: Option<NonNull<usize>>,
    ) -> NTSTATUS {
        // SAFETY: WSK gives what is documented, which is the same but for the control information.
        unsafe {
            receive_ex_event::<T>(
                raw(socket_context),
                flags,
                raw(data_indication),
                core::ptr::null_mut(),
                0,
                bytes_indicated,
                raw(bytes_accepted),
            )
        }
    }

    unsafe fn wsk_disconnect_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
    ) -> NTSTATUS {
        // SAFETY: the context is the one that WSK was given with the socket, and this is a callback.
        if let Some(found) = unsafe { Found::<T, _>::by(socket_context) } {
            found.handler().disconnected(flags, found.socket());
        }
        STATUS_SUCCESS
    }

    unsafe fn wsk_send_backlog_event(
        socket_context: Option<NonNull<c_void>>,
        ideal_backlog_size: usize,
    ) -> NTSTATUS {
        // SAFETY: as for `wsk_disconnect_event`.
        if let Some(found) = unsafe { Found::<T, _>::by(socket_context) } {
            let handler = found.handler();
            handler.send_backlog_changed(ideal_backlog_size, found.socket());
        }
        STATUS_SUCCESS
    }
}

/// The callbacks of listening sockets for handlers of type `T`.
struct ListenCallbacks<T>(PhantomData<T>);

// SAFETY: the callbacks below do so.
unsafe impl<T: ListenHandler> Callbacks for ListenCallbacks<T> {
    type Handler = T;
    type Table = WSK_CLIENT_LISTEN_DISPATCH;

    fn table() -> Table {
        let table = wsk_client_listen_dispatch_table::<Self>();
        Table {
            listener: WSK_CLIENT_LISTEN_DISPATCH {
                WskAcceptEvent: table.WskAcceptEvent,
                WskInspectEvent: table.WskInspectEvent,
                WskAbortEvent: table.WskAbortEvent,
            },
        }
    }
}

// SAFETY: the callbacks do what WSK documents: an accept event returns `STATUS_SUCCESS` exactly where the socket was taken, whose
// context and callbacks it has written then, an inspect event returns `WskInspectPend` exactly where it is answered later, and none
// blocks.
#[dispatch_events]
unsafe impl<T: ListenHandler> WskClientListenDispatchEvents for ListenCallbacks<T> {
    unsafe fn wsk_accept_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
        local_address: Option<NonNull<SOCKADDR>>,
        remote_address: Option<NonNull<SOCKADDR>>,
        accept_socket: Option<NonNull<WSK_SOCKET>>,
        accept_socket_context: Option<NonNull<*mut c_void>>,
        accept_socket_dispatch: Option<NonNull<*const WSK_CLIENT_CONNECTION_DISPATCH>>,
    ) -> NTSTATUS {
        // SAFETY: the context is the one that WSK was given with the socket, and this is a callback. Nobody has the accepted socket yet. If it is
        // taken, it gets what is in the two places when the callback returns. Nobody else uses the places meanwhile, and they are written
        // before they are read. The addresses are valid for the time of the callback.
        let (found, socket, context, callbacks, local, remote) = unsafe {
            (
                Found::<T, ListenCategory>::by(socket_context),
                accept_socket.map(|socket| Fresh::new(socket)),
                accept_socket_context.map(|place| {
                    place.write(core::ptr::null_mut());
                    place.cast::<Cell<*mut c_void>>().as_ref()
                }),
                accept_socket_dispatch.map(|place| {
                    place.write(core::ptr::null());
                    place
                        .cast::<Cell<*const WSK_CLIENT_CONNECTION_DISPATCH>>()
                        .as_ref()
                }),
                Brought::new(raw(local_address)),
                Brought::new(raw(remote_address)),
            )
        };
        let Some(found) = found else {
            return STATUS_REQUEST_NOT_ACCEPTED;
        };
        let Some(socket) = socket else {
            found.handler().died();
            return STATUS_REQUEST_NOT_ACCEPTED;
        };
        let (Some(listener), Some(context), Some(callbacks)) = (found.socket(), context, callbacks)
        else {
            return STATUS_REQUEST_NOT_ACCEPTED;
        };
        let arriving = Arriving::new(listener, socket, context, callbacks);
        found
            .handler()
            .came(Offer::new(&arriving, local, remote, flags));
        if arriving.is_taken() {
            STATUS_SUCCESS
        } else {
            STATUS_REQUEST_NOT_ACCEPTED
        }
    }

    unsafe fn wsk_inspect_event(
        socket_context: Option<NonNull<c_void>>,
        local_address: Option<NonNull<SOCKADDR>>,
        remote_address: Option<NonNull<SOCKADDR>>,
        inspect_id: Option<NonNull<WSK_INSPECT_ID>>,
    ) -> WSK_INSPECT_ACTION {
        // SAFETY: as for the accept event; WSK gives an identifier for the time of the callback.
        let (found, local, remote, id) = unsafe {
            (
                Found::<T, ListenCategory>::by(socket_context),
                Brought::new(raw(local_address)),
                Brought::new(raw(remote_address)),
                inspect_id.map(|id| InspectId::new(id.as_ref())),
            )
        };
        let answer = Cell::new(WSK_INSPECT_ACTION::WskInspectReject);
        if let Some(found) = found {
            match (id, found.socket()) {
                (None, _) => found.handler().died(),
                (Some(id), Some(listener)) => {
                    let ends = Ends::new(listener, local, remote);
                    found.handler().asked(Question::new(ends, id, &answer));
                }
                _ => {}
            }
        }
        answer.get()
    }

    unsafe fn wsk_abort_event(
        socket_context: Option<NonNull<c_void>>,
        inspect_id: NonNull<WSK_INSPECT_ID>,
    ) -> NTSTATUS {
        // SAFETY: as for the inspect event.
        let (found, id) = unsafe {
            (
                Found::<T, ListenCategory>::by(socket_context),
                InspectId::new(inspect_id.as_ref()),
            )
        };
        if let Some(found) = found {
            found.handler().aborted(id);
        }
        STATUS_SUCCESS
    }
}

/// The callbacks of stream sockets for handlers of type `T`: those of connections, and those of listening sockets.
struct StreamCallbacks<T>(PhantomData<T>);

// SAFETY: they are the callbacks of connections and of listening sockets, for the same handler.
unsafe impl<T: ConnectionHandler + ListenHandler> Callbacks for StreamCallbacks<T> {
    type Handler = T;
    type Table = WSK_CLIENT_STREAM_DISPATCH;
    const RECEIVE_EX: PFN_WSK_RECEIVE_EX_EVENT = ConnectionCallbacks::<T>::RECEIVE_EX;

    fn table() -> Table {
        Table {
            stream: *wsk_client_stream_dispatch_table::<Self>(),
        }
    }
}

// SAFETY: both tables are for the same context, and WSK calls those of what the socket has become.
#[dispatch_events]
unsafe impl<T: ConnectionHandler + ListenHandler> WskClientStreamDispatchEvents
    for StreamCallbacks<T>
{
    const LISTEN: Option<&'static WSK_CLIENT_LISTEN_DISPATCH> =
        Some(wsk_client_listen_dispatch_table::<ListenCallbacks<T>>());
    const CONNECT: Option<&'static WSK_CLIENT_CONNECTION_DISPATCH> =
        Some(wsk_client_connection_dispatch_table::<ConnectionCallbacks<T>>());
}
