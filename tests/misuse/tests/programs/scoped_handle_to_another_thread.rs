//! The handle of a scoped operation is used by another thread.
//! A scope's list of operations belongs to its thread: handles are not `Send`. Owned operations are.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};
use wsk_misuse::on_another_thread;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    wsk::scope(|s| {
        let send = socket.send_to(&buffer, to).start_in(s)?;
        on_another_thread(|| send.wait().map(drop))
    })?
}

fn main() {
    let _ = program;
}
