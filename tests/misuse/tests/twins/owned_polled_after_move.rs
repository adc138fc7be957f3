//! The right form of `owned_polled_after_move`.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Waker};
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut send = socket
        .send_to(NonPagedBuffer::copy_of(b"report")?, to)
        .start()?;
    let polled = Pin::new(&mut send);
    let poll = polled.poll(&mut Context::from_waker(Waker::noop()));
    if poll.is_ready() {
        return Ok(());
    }
    let finished = send.wait().map_err(|(error, _)| error)?;
    assert_eq!(finished.result, Ok(6));
    Ok(())
}
