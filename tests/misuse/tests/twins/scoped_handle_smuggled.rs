//! The right form of `scoped_handle_smuggled`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let mut later = None;
    wsk::scope(|s| {
        later = Some(socket.send_to(&buffer, to).start_in(s)?.wait()?.0);
        Ok::<_, Error>(())
    })??;
    assert_eq!(later, Some(6));
    Ok(())
}
