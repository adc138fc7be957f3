//! The completion of a prepared request is larger than the room for it.
//! There is room for four words. Share larger data by a reference or a count.

use std::net::SocketAddr;
use std::sync::Arc;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let names = [1_usize; 5];
    let shared = Arc::new(names);
    let sender = socket.send_to(*b"report", to).prepare()?;
    sender.start_with(move |ended| {
        assert!(ended.result().is_err() || names[0] == 1);
    })?;
    drop(shared);
    Ok(())
}

fn main() {
    let _: fn(&_, _) -> _ = program;
}
