//! The right form of `told_too_much`.

use std::net::SocketAddr;
use std::sync::Arc;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let names = [1_usize; 5];
    let shared = Arc::new(names);
    socket.send_to(*b"report", to).start_with(move |finished| {
        assert!(finished.result.is_err() || shared[0] == 1);
    })?;
    Ok(())
}
