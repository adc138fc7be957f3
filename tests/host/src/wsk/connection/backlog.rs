//! The amount of unsent data that keeps a connection busy: `SIO_WSK_QUERY_IDEAL_SEND_BACKLOG` and `WskSendBacklogEvent`. Stands for
//! the part of `tcpip.sys` that follows the window of the peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wsk_sys::{STATUS_SUCCESS, WSK_EVENT_SEND_BACKLOG};

use super::{Phase, kick};
use crate::wsk::callbacks::{self, WrongAnswer};
use crate::wsk::socket::{self, Socket};

/// The ideal backlog that the test has chosen for all connections; 0 stands for the host's.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// The ideal send backlog of a connection: the test's choice, or the size of the send buffer of the host's socket, which the host
/// may tune.
pub(crate) fn ideal(socket: &Socket) -> usize {
    match CHOSEN.load(Ordering::Relaxed) {
        0 => socket
            .with_real(socket2::Socket::send_buffer_size)
            .and_then(Result::ok)
            .unwrap_or_default(),
        chosen => chosen,
    }
}

/// Chooses the ideal send backlog of all connections, 0 for the host's.
pub(crate) fn set_ideal(bytes: usize) {
    CHOSEN.store(bytes, Ordering::Relaxed);
    for socket in socket::connections() {
        kick(&socket);
    }
}

/// Records the ideal backlog that a socket begins with, which is no change that the driver hears of.
pub(crate) fn note_ideal(socket: &Socket) {
    if let Some(connection) = socket.category.connection() {
        let now = ideal(socket);
        connection.state.lock().ideal = Some(now);
    }
}

/// Calls the driver's `WskSendBacklogEvent` when the ideal backlog has changed.
pub(super) fn advance(socket: &Arc<Socket>) {
    let connection = socket.connection("WskSendBacklogEvent");
    {
        let mut state = connection.state.lock();
        let connected = state.phase == Phase::Connected && state.broken.is_none() && !state.silent;
        if !connected || socket.is_forced_closed() {
            return;
        }
        let now = ideal(socket);
        let before = state.ideal.replace(now);
        // Zero means that the socket is being closed.
        if before.is_none_or(|before| before == now)
            || now == 0
            || !state.callbacks.is_enabled(WSK_EVENT_SEND_BACKLOG)
            || !socket.take_off_unless_closing()
        {
            return;
        }
        state.callbacks.begin(WSK_EVENT_SEND_BACKLOG);
        drop(state);
        tell(socket, now);
    }
    let mut state = connection.state.lock();
    state.callbacks.end(WSK_EVENT_SEND_BACKLOG);
    drop(state);
    socket.landed();
}

fn tell(socket: &Arc<Socket>, now: usize) {
    let (table, context) = socket.connection("WskSendBacklogEvent").table();
    let Some(callback) = table.and_then(|table| table.WskSendBacklogEvent) else {
        return;
    };
    let told = format_args!("{now} bytes");
    // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for this
    // call.
    let answer = callbacks::call("WskSendBacklogEvent", told, || unsafe {
        callback(context, now)
    });
    if answer != STATUS_SUCCESS {
        WrongAnswer::status(answer, "STATUS_SUCCESS").report(socket, "WskSendBacklogEvent");
    }
}
