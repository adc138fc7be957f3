//! An operation that owns its buffer gets a chain of slices of the stack, which may be gone before it completes.
//! A started operation owns its buffers. Slices can be chained in a call that waits, or in a scope.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, SliceChain};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let (header, body) = ([1; 4], [2; 40]);
    let chain = SliceChain::new([&header[..], &body]);
    let send = socket.send_to(chain, to).start()?;
    let finished = send.wait().map_err(|(error, _)| error)?;
    assert_eq!(finished.result?, 44);
    Ok(())
}

fn main() {
    let _ = program;
}
