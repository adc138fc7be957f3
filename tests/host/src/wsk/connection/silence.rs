//! Connections that fall silent: `SIO_WSK_SET_TCP_SILENT_MODE`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use wsk_sys::{NTSTATUS, STATUS_INVALID_DEVICE_STATE, STATUS_NOT_SUPPORTED, STATUS_SUCCESS};

use super::Phase;
use crate::bugcheck::{bugcheck, violation};
use crate::wsk::socket::Socket;

/// The host's sockets of silent connections that are closed. They stay open here, so that the peer sees no end.
static KEPT: Mutex<Vec<socket2::Socket>> = Mutex::new(Vec::new());

/// Whether loopback counts as a network with other machines.
static REMOTE: AtomicBool = AtomicBool::new(false);

/// Chooses whether loopback counts as a network with other machines.
pub(crate) fn set_loopback_is_remote(remote: bool) {
    REMOTE.store(remote, Ordering::Relaxed);
}

/// Closes the host's sockets of the silent connections: their peers see the end.
pub(crate) fn forget_silent() {
    KEPT.lock().clear();
}

fn is_loopback(address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
    }
}

/// Makes a connection silent: it sends nothing more, not even when it is closed, and throws away all bytes that arrive.
pub(crate) fn silence(socket: &Arc<Socket>) -> NTSTATUS {
    let Some(connection) = socket.category.connection() else {
        return STATUS_NOT_SUPPORTED;
    };
    if !socket.family.is_ip() {
        return STATUS_NOT_SUPPORTED;
    }
    let mut state = connection.state.lock();
    let (Phase::Connected, None, Some(remote)) = (state.phase, state.broken, state.remote) else {
        return STATUS_INVALID_DEVICE_STATE;
    };
    if is_loopback(remote) && !REMOTE.load(Ordering::Relaxed) {
        // Documented.
        return STATUS_NOT_SUPPORTED;
    }
    if !state.transmits.is_empty() {
        drop(state);
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, socket.address(), 0, 0),
            [socket.story()],
            "SIO_WSK_SET_TCP_SILENT_MODE was called while a send or a disconnect is pending"
        )
    }
    state.silent = true;
    state.unread.clear();
    STATUS_SUCCESS
}

/// Keeps the host's socket of a silent connection open when its socket is closed, so that the peer does not see the close. Returns
/// whether the connection is silent.
pub(crate) fn keep_silent(socket: &Socket) -> bool {
    let Some(connection) = socket.category.connection() else {
        return false;
    };
    if !connection.state.lock().silent {
        return false;
    }
    if let Some(real) = socket.take_real() {
        KEPT.lock().push(real);
    }
    true
}
