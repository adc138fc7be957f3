//! A completion borrows a variable of the function that starts the operation, which may return before the operation ends.
//! Completions are `'static`: they own or share what they use.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let sent = AtomicUsize::new(0);
    socket.send_to(*b"report", to).start_with(|finished| {
        sent.fetch_add(finished.result.unwrap_or(0), Ordering::Relaxed);
    })?;
    Ok(())
}

fn main() {
    let _ = program;
}
