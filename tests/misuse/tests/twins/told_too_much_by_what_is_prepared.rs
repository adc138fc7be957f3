//! The right form of `told_too_much_by_what_is_prepared`.

use std::net::SocketAddr;
use std::sync::Arc;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let names = [1_usize; 5];
    let shared = Arc::new(names);
    let sender = socket.send_to(*b"report", to).prepare()?;
    sender.start_with(move |ended| {
        assert!(ended.result().is_err() || shared[0] == 1);
    })?;
    Ok(())
}
