//! A started receive is cancelled after its wait, when its IRP may be in flight again.
//! Waiting takes the operation.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket.send_to(b"hello", socket.local_address()?).wait()?;
    let receiving = socket
        .receive_from(NonPagedBuffer::new(64)?)
        .prepare()?
        .start()?;
    let ended = receiving.wait().map_err(|(error, _)| error)?;
    receiving.cancel();
    assert_eq!(ended.result()?.length(), 5);
    Ok(())
}

fn main() {
    let _ = program;
}
