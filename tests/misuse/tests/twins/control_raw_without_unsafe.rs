//! The right form of `control_raw_without_unsafe`.

use std::net::SocketAddr;
use wsk::ioctl::ControlRequest;
use wsk::{DatagramSocket, Error};
use wsk_sys::{IP_TTL, IPPROTO_IP};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let (level, option) = (IPPROTO_IP, IP_TTL);
    let set = ControlRequest::SetOption { level, option };
    // SAFETY: the option's value is a number of 32 bits.
    let length = unsafe {
        socket
            .control_raw(set, &9_u32.to_ne_bytes(), &mut [])
            .wait()
    }?;
    assert_eq!(length, 0);
    Ok(())
}
