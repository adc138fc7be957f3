//! [`Family`]: IPv4, IPv6 or both.

use core::fmt;

/// The address family of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// IPv6 and IPv4 on one socket: `IPV6_V6ONLY` is off, and IPv4 addresses travel as v4-mapped IPv6 addresses, which this
    /// crate maps both ways.
    Dual,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
            Self::Dual => "dual-mode",
        })
    }
}
