//! A group membership is read as if it were a value.
//! Options that can only be set do not implement `ReadableOption`.

use std::net::{Ipv4Addr, SocketAddr};
use wsk::{DatagramSocket, Error, option};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let (group, interface) = (Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::LOCALHOST);
    let joined: option::JoinV4 = socket.option().wait()?;
    assert_eq!((joined.group, joined.interface), (group, interface));
    Ok(())
}

fn main() {
    let _ = program;
}
