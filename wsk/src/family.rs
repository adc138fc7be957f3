//! [`Family`]: IPv4, IPv6, both, or another address family.

#![forbid(unsafe_code)]

use core::fmt;

use wsk_sys::{AF_HYPERV, AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC};

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
    /// Another family, whose addresses are [`Endpoint`](crate::Endpoint)s.
    Other(OtherFamily),
}

impl Family {
    /// `AF_UNIX`: sockets of this machine, with names of files as addresses.
    pub const UNIX: Self = Self::Other(OtherFamily::UNIX);
    /// `AF_HYPERV`: sockets between virtual machines and their host.
    pub const HYPERV: Self = Self::Other(OtherFamily::HYPERV);
}

/// An address family other than IPv4 and IPv6, with the protocol of its sockets.
///
/// ```
/// use wsk::{Family, OtherFamily};
///
/// // AF_BTH with BTHPROTO_RFCOMM. A socket of it opens where WSK has such a transport.
/// let family = OtherFamily::new(32, 3).map(Family::Other);
/// assert_eq!(family.map(|family| family.to_string()).as_deref(), Some("address family 32"));
/// assert_eq!(OtherFamily::UNIX.number(), 1);
/// // IPv4 has a name of its own.
/// assert_eq!(OtherFamily::new(2, 0), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OtherFamily {
    number: u16,
    protocol: u16,
}

impl OtherFamily {
    /// `AF_UNIX`, which has no protocol to choose.
    #[doc(alias = "AF_UNIX")]
    pub const UNIX: Self = Self {
        number: AF_UNIX,
        protocol: 0,
    };
    /// `AF_HYPERV` with `HV_PROTOCOL_RAW`.
    #[doc(alias("AF_HYPERV", "HV_PROTOCOL_RAW"))]
    pub const HYPERV: Self = Self {
        number: AF_HYPERV,
        protocol: 1,
    };

    /// A family by its number (`AF_…`), and a protocol; `None` for `AF_INET`, `AF_INET6` and `AF_UNSPEC`.
    #[must_use]
    pub const fn new(number: u16, protocol: u16) -> Option<Self> {
        match number {
            AF_UNSPEC | AF_INET | AF_INET6 => None,
            _ => Some(Self { number, protocol }),
        }
    }

    /// The number of the family, as `AF_UNIX`.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.number
    }

    /// The number of the protocol.
    #[must_use]
    pub const fn protocol(self) -> u16 {
        self.protocol
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4 => f.write_str("IPv4"),
            Self::V6 => f.write_str("IPv6"),
            Self::Dual => f.write_str("dual-mode"),
            Self::Other(other) => write!(f, "address family {}", other.number),
        }
    }
}
