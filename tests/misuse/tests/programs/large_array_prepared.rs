//! A large array is moved into an operation, over a kernel stack of 24 KiB in all.
//! Up to 1,024 bytes are: what is larger is nonpaged memory, or borrowed by a request that is waited for.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = [7_u8; 1025];
    assert_eq!(NonPagedBuffer::copy_of(&bytes)?.len(), 1025);
    drop(socket.send_to(bytes, to).prepare()?);
    Ok(())
}

fn main() {
    let _: fn(&_, _) -> _ = program;
}
