//! A program without a mistake, which is built and run as those with one would be.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    assert_eq!(socket.send_to(b"report", to).wait()?, 6);
    Ok(())
}

fn main() {
    wsk_misuse::on_each_machine(|machine| program(&machine.socket, machine.to));
}
