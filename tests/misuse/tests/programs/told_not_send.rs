//! A completion owns a value that is tied to its thread, but is called on another thread.
//! Completions are `Send`.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let sent = Rc::new(Cell::new(0));
    let told = sent.clone();
    socket.send_to(*b"report", to).start_with(move |finished| {
        told.set(finished.result.unwrap_or(0));
    })?;
    drop(sent);
    Ok(())
}

fn main() {
    let _ = program;
}
