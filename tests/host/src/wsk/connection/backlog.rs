//! `WskSendBacklogEvent`: the ideal send backlog of a connection has changed.

use std::sync::Arc;

use wsk_sys::{STATUS_SUCCESS, WSK_EVENT_SEND_BACKLOG};

use crate::schedule::{self, SOON};
use crate::wsk::callbacks::{self, WrongAnswer};
use crate::wsk::socket::Socket;

/// The ideal send backlog: what the host's socket buffers.
pub(crate) fn ideal_backlog(socket: &Socket) -> usize {
    socket
        .with_real(socket2::Socket::send_buffer_size)
        .and_then(Result::ok)
        .unwrap_or_default()
}

/// Tells the driver of a new ideal backlog, on the thread that does deferred work.
pub(crate) fn backlog_changed(socket: &Arc<Socket>) {
    let socket = Arc::clone(socket);
    schedule::later(SOON, move || tell(&socket));
}

/// Calls the driver's `WskSendBacklogEvent`.
fn tell(socket: &Arc<Socket>) {
    let connection = socket.connection("WskSendBacklogEvent");
    let (table, context) = connection.table();
    let Some(callback) = table.and_then(|table| table.WskSendBacklogEvent) else {
        return;
    };
    let mut state = connection.state.lock();
    if !state.callbacks.is_enabled(WSK_EVENT_SEND_BACKLOG)
        || socket.is_forced_closed()
        || !socket.take_off_unless_closing()
    {
        return;
    }
    state.callbacks.begin(WSK_EVENT_SEND_BACKLOG);
    drop(state);
    let ideal = ideal_backlog(socket);
    let told = format_args!("{ideal} bytes");
    // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for this
    // call.
    let answer = callbacks::call("WskSendBacklogEvent", told, || unsafe {
        callback(context, ideal)
    });
    if answer != STATUS_SUCCESS {
        WrongAnswer::status(answer, "STATUS_SUCCESS").report(socket, "WskSendBacklogEvent");
    }
    let mut state = connection.state.lock();
    state.callbacks.end(WSK_EVENT_SEND_BACKLOG);
    drop(state);
    socket.landed();
}
