//! A request of any code is made of a socket, whatever its input means to WSK.
//! That its input is right, and points at nothing that goes, is for the driver to say, with `unsafe`.

use std::net::SocketAddr;
use wsk::ioctl::ControlRequest;
use wsk::{DatagramSocket, Error};
use wsk_sys::{IP_TTL, IPPROTO_IP};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let (level, option) = (IPPROTO_IP, IP_TTL);
    let set = ControlRequest::SetOption { level, option };
    let length = socket
        .control_raw(set, &9_u32.to_ne_bytes(), &mut [])
        .wait()?;
    assert_eq!(length, 0);
    Ok(())
}

fn main() {
    let _ = program;
}
