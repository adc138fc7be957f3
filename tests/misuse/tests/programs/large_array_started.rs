//! A large array is moved into an operation, and a kernel stack has 24 KiB in all.
//! Up to 1,024 bytes can be moved. Larger data is in nonpaged memory, or borrowed by a request that waits.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = [7_u8; 1025];
    assert_eq!(NonPagedBuffer::copy_of(&bytes)?.len(), 1025);
    drop(socket.send_to(bytes, to).start()?);
    Ok(())
}

fn main() {
    let _: fn(&_, _) -> _ = program;
}
