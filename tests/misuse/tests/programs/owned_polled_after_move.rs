//! An operation is polled through a pinned reference after it was moved and waited for.
//! The reference borrows the operation, and a borrowed value cannot be moved.

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
    let finished = send.wait().map_err(|(error, _)| error)?;
    let _ = polled.poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(finished.result, Ok(6));
    Ok(())
}

fn main() {
    let _ = program;
}
