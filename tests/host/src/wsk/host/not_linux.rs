//! What hosts with the sockets of BSD that are not Linux do instead of what only Linux has.

use std::io;

use socket2::Socket;
use wsk_sys::TCP_INFO_v1;

use super::unix::NO_SUCH_OPTION;
use crate::wsk::address::Family;
use crate::wsk::ancillary::Told;

/// Other hosts do not tell them to sockets that are not connected.
pub(super) fn tell_errors(told: Told, _: &Socket, _: Family) -> io::Result<()> {
    if told.errors_v4 || told.errors_v6 {
        Err(io::Error::from_raw_os_error(NO_SUCH_OPTION))
    } else {
        Ok(())
    }
}

/// There are none.
pub(crate) fn receive_error(
    _: &Socket,
    _: Told,
) -> Option<(std::net::SocketAddr, Vec<u8>, Vec<u8>)> {
    None
}

/// Other hosts have other ways: it is kept, and does nothing.
#[allow(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
pub(crate) fn set_dont_fragment(_: &Socket, _: bool, _: bool) -> io::Result<()> {
    Ok(())
}

/// Other hosts have other ways: it is kept, and does nothing.
#[allow(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
pub(crate) fn set_mtu_discovery(_: &Socket, _: bool, _: u32) -> io::Result<()> {
    Ok(())
}

/// As `IP_BOUND_IF` does it where there is no such option.
pub(crate) fn set_unicast_interface(_: &Socket, _: bool, index: u32) -> io::Result<()> {
    if index == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(NO_SUCH_OPTION))
    }
}

/// Other hosts have other structures.
pub(crate) fn tcp_info(_: &Socket) -> io::Result<TCP_INFO_v1> {
    Err(io::Error::from_raw_os_error(NO_SUCH_OPTION))
}
