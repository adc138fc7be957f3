//! The right form of `scoped_handle_to_another_thread`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};
use wsk_misuse::on_another_thread;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let send = socket.send_to(buffer, to).start()?;
    on_another_thread(|| send.wait().map(drop).map_err(|(error, _)| error))
}
