//! Connections that fall silent: `SIO_WSK_SET_TCP_SILENT_MODE`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use wsk_sys::{NTSTATUS, STATUS_INVALID_DEVICE_STATE, STATUS_NOT_SUPPORTED, STATUS_SUCCESS};

use super::Phase;
use crate::bugcheck::{bugcheck, violation};
use crate::wsk::socket::Socket;

/// The host's sockets of silent connections that are closed: while they are kept, the peer sees no end.
static KEPT: Mutex<Vec<socket2::Socket>> = Mutex::new(Vec::new());

/// Whether loopback is taken for a network with other machines in it.
static REMOTE: AtomicBool = AtomicBool::new(false);

/// Chooses whether loopback is taken for a network with other machines in it.
pub(crate) fn set_loopback_is_remote(remote: bool) {
    REMOTE.store(remote, Ordering::Relaxed);
}

/// Forgets the connections: their peers see the end.
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

/// Makes a connection silent: it sends nothing any more, not even when it is closed, and what arrives is thrown away.
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

/// Takes the host's socket of a silent connection away without its peer seeing it; says whether it is one.
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
