//! `WSK_CLIENT_STREAM_DISPATCH`: the events of a connection and of a listening socket, for whoever is to be told of either.

use core::marker::PhantomData;

use wsk_macros::dispatch_events;
use wsk_sys::{
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH, WSK_CLIENT_STREAM_DISPATCH,
    WskClientStreamDispatchEvents, wsk_client_stream_dispatch_table,
};

use crate::error::Error;
use crate::socket::event_context::Events;
use crate::socket::{listen_events, stream_events};

/// The events of a stream socket that are told to `told`, whatever it becomes.
pub(crate) fn of_stream<T: stream_events::Told + listen_events::Told>(
    told: T,
) -> Result<Events<WSK_CLIENT_STREAM_DISPATCH>, Error> {
    let events = Events::new(told, wsk_client_stream_dispatch_table::<Thunks<T>>())?;
    Ok(stream_events::told_control::<T, _>(events))
}

/// The callbacks of stream sockets for those of type `T`: once they have connected, and once they listen.
struct Thunks<T>(PhantomData<T>);

// SAFETY: both tables are for the same context, and WSK calls those of what the socket has become.
#[dispatch_events]
unsafe impl<T: stream_events::Told + listen_events::Told> WskClientStreamDispatchEvents
    for Thunks<T>
{
    const LISTEN: Option<&'static WSK_CLIENT_LISTEN_DISPATCH> =
        Some(listen_events::callbacks::<T>());
    const CONNECT: Option<&'static WSK_CLIENT_CONNECTION_DISPATCH> =
        Some(stream_events::callbacks::<T>());
}
