//! The right form of `control_raw_twice`.

use std::net::SocketAddr;
use wsk::ioctl::ControlRequest;
use wsk::raw::RawControl;
use wsk::{DatagramSocket, Error};
use wsk_sys::{IP_TTL, IPPROTO_IP};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let (level, option) = (IPPROTO_IP, IP_TTL);
    let set = ControlRequest::SetOption { level, option };
    let hops = 9_u32.to_ne_bytes();
    // SAFETY: the option's value is a number of 32 bits.
    let (first, second) = unsafe { (RawControl::new(set, &hops), RawControl::new(set, &hops)) };
    socket.control_raw(first, &mut []).wait()?;
    socket.control_raw(second, &mut []).wait()?;
    Ok(())
}
