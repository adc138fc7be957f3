//! Replacements for the functions of `linux.rs`, for other hosts with BSD sockets.

use std::io;

use socket2::Socket;
use wsk_sys::TCP_INFO_v1;

use super::unix::NO_SUCH_OPTION;
use crate::wsk::address::Family;
use crate::wsk::ancillary::Told;

/// Other hosts do not report such errors to sockets that are not connected.
pub(super) fn tell_errors(told: Told, _: &Socket, _: Family) -> io::Result<()> {
    if told.errors_v4 || told.errors_v6 {
        Err(io::Error::from_raw_os_error(NO_SUCH_OPTION))
    } else {
        Ok(())
    }
}

/// Other hosts have no such errors.
pub(crate) fn receive_error(
    _: &Socket,
    _: Told,
) -> Option<(std::net::SocketAddr, Vec<u8>, Vec<u8>)> {
    None
}

/// Other hosts do this in other ways: the provider keeps the value, which has no effect.
#[allow(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
pub(crate) fn set_dont_fragment(_: &Socket, _: bool, _: bool) -> io::Result<()> {
    Ok(())
}

/// Other hosts do this in other ways: the provider keeps the value, which has no effect.
#[allow(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
pub(crate) fn set_mtu_discovery(_: &Socket, _: bool, _: u32) -> io::Result<()> {
    Ok(())
}

/// Fails for all indices but 0: these hosts have no such option.
pub(crate) fn set_unicast_interface(_: &Socket, _: bool, index: u32) -> io::Result<()> {
    if index == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(NO_SUCH_OPTION))
    }
}

/// Other hosts have other structures, which the provider does not read.
pub(crate) fn tcp_info(_: &Socket) -> io::Result<TCP_INFO_v1> {
    Err(io::Error::from_raw_os_error(NO_SUCH_OPTION))
}
