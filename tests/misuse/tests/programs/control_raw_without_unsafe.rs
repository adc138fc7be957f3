//! A socket makes a request with any control code, whatever the input means to WSK.
//! With `unsafe`, the driver promises that the input is right and that its pointers stay valid.

use std::net::SocketAddr;
use wsk::ioctl::ControlRequest;
use wsk::raw::RawControl;
use wsk::{DatagramSocket, Error};
use wsk_sys::{IP_TTL, IPPROTO_IP};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let (level, option) = (IPPROTO_IP, IP_TTL);
    let set = ControlRequest::SetOption { level, option };
    let hops = 9_u32.to_ne_bytes();
    let set = RawControl::new(set, &hops);
    let length = socket.control_raw(set, &mut []).wait()?;
    assert_eq!(length, 0);
    Ok(())
}

fn main() {
    let _ = program;
}
