//! A correct program, which is built and run, as the programs with mistakes would be.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    assert_eq!(socket.send_to(b"report", to).wait()?, 6);
    Ok(())
}

fn main() {
    wsk_misuse::on_each_machine(|machine| program(&machine.socket, machine.to));
}
