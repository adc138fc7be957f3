//! The right form of `told_borrows`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    socket.send_to(*b"report", to).start_with(|finished| {
        SENT.fetch_add(finished.result.unwrap_or(0), Ordering::Relaxed);
    })?;
    Ok(())
}
