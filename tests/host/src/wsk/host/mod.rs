//! The parts of the provider that differ from host to host: control information of datagrams, options, and numbers of the resolver
//! and of errors. The rest uses `socket2`, `polling` and `dns-lookup`.

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "linux.rs"]
mod more;
#[cfg(all(not(windows), not(any(target_os = "linux", target_os = "android"))))]
#[path = "not_linux.rs"]
mod more;
#[cfg(not(windows))]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(not(windows))]
use unix as this;
#[cfg(windows)]
use windows as this;

#[cfg(not(windows))]
pub(super) use more::{
    receive_error, set_dont_fragment, set_mtu_discovery, set_unicast_interface, tcp_info,
};
pub(super) use this::{
    ADDRESS_FAMILY_UNKNOWN, MESSAGE_TOO_LONG, NAME_FLAGS, NO_BUFFERS, NO_SUCH_OPTION,
    OLD_CONNECTIONS_BLOCK, RESOLVER_FLAGS, ROOM_FOR_DATAGRAMS, SEND_FLAGS, URGENT, ancillary,
    apply, family, in_progress, kind, path, receive, set_tclass, tclass, tcp_keepalive_interval,
    tcp_keepalive_time, translate, unacknowledged,
};
#[cfg(windows)]
pub(super) use windows::{
    receive_error, set_dont_fragment, set_mtu_discovery, set_unicast_interface, tcp_info,
};
