//! `WskReceiveFromEvent` of `WSK_CLIENT_DATAGRAM_DISPATCH`, for whoever is to be told of it.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::NonNull;

use wsk_macros::dispatch_events;
use wsk_sys::{
    NTSTATUS, STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING, STATUS_SUCCESS,
    WSK_CLIENT_DATAGRAM_DISPATCH, WSK_DATAGRAM_INDICATION, WskClientDatagramDispatchEvents,
    wsk_client_datagram_dispatch_table,
};

use crate::error::Error;
use crate::memory::shared::Shared;
use crate::socket::event_context::{Context, Events};
use crate::socket::indicated::List;
use crate::socket::{DatagramCategory, Socket};

/// Who is told of the datagrams that arrive at a socket.
pub(crate) trait Told: Send + Sync + 'static {
    /// Datagrams have arrived. Who keeps them takes them out, and gives them back to this socket.
    ///
    /// Says whether those that are left have been dealt with.
    fn arrived(
        &self,
        list: &mut Option<List>,
        flags: u32,
        socket: &Shared<Socket<DatagramCategory>>,
    ) -> bool;

    /// The socket is dead.
    fn died(&self);
}

/// The events of a datagram socket that are told to `told`.
pub(crate) fn of_datagrams<T: Told>(
    told: T,
) -> Result<Events<WSK_CLIENT_DATAGRAM_DISPATCH>, Error> {
    Events::new(told, wsk_client_datagram_dispatch_table::<Thunks<T>>())
}

/// The callbacks for those of type `T`.
struct Thunks<T>(PhantomData<T>);

// SAFETY: the callback does what WSK documents: it returns `STATUS_PENDING` exactly where the indications were kept, and neither
// blocks nor keeps anything else.
#[dispatch_events]
unsafe impl<T: Told> WskClientDatagramDispatchEvents for Thunks<T> {
    unsafe fn wsk_receive_from_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
        data_indication: Option<NonNull<WSK_DATAGRAM_INDICATION>>,
    ) -> NTSTATUS {
        let Some(context) = socket_context else {
            return STATUS_DATA_NOT_ACCEPTED;
        };
        // SAFETY: the context is the one that the socket was made with; both live until its close has completed, which waits for
        // this callback. The list is the callback's.
        let ((context, socket), mut list) = unsafe {
            (
                Context::<T>::of_callback::<Socket<DatagramCategory>>(context),
                data_indication.map(|list| List::new(list)),
            )
        };
        if list.is_none() {
            context.handler().died();
            return STATUS_SUCCESS;
        }
        let Some(socket) = socket else {
            return STATUS_DATA_NOT_ACCEPTED;
        };
        let dealt_with = context.handler().arrived(&mut list, flags, &socket);
        match list {
            None => STATUS_PENDING,
            Some(_) if dealt_with => STATUS_SUCCESS,
            Some(_) => STATUS_DATA_NOT_ACCEPTED,
        }
    }
}
