//! The right form of `told_not_send`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let sent = Arc::new(AtomicUsize::new(0));
    let told = sent.clone();
    socket.send_to(*b"report", to).start_with(move |finished| {
        told.store(finished.result.unwrap_or(0), Ordering::Relaxed);
    })?;
    drop(sent);
    Ok(())
}
