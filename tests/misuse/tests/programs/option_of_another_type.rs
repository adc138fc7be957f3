//! An option gets a value of another type than in C: a flag where a number is expected.
//! Each option is a type that knows the type of its value.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, option};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket.set_option(option::TimeToLive(true)).wait()
}

fn main() {
    let _ = program;
}
