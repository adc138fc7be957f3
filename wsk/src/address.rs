//! Socket addresses: `core::net`'s on the outside, `SOCKADDR_IN` and `SOCKADDR_IN6` for WSK.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use wsk_sys::{
    AF_INET, AF_INET6, IN_ADDR, IN6_ADDR, SOCKADDR, SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_STORAGE,
};

use crate::Error;

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

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    /// The address to bind to when any will do: of every interface, with a port that WSK chooses.
    ///
    /// ```
    /// assert_eq!(wsk::Family::V4.any().to_string(), "0.0.0.0:0");
    /// ```
    #[must_use]
    pub const fn any(self) -> SocketAddr {
        match self {
            Self::V4 => SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
            Self::V6 | Self::Dual => {
                SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0))
            }
        }
    }

    /// The `ADDRESS_FAMILY` that the socket is made with.
    pub(crate) const fn number(self) -> u16 {
        match self {
            Self::V4 => AF_INET,
            Self::V6 | Self::Dual => AF_INET6,
        }
    }

    /// The greatest payload of one datagram over IPv4: 65,535 bytes less an IP header of 20 and a UDP header of 8, which count.
    pub(crate) const LIMIT_V4: usize = 65_535 - 20 - 8;

    /// The greatest payload of one datagram to `address`.
    pub(crate) const fn limit(address: &SocketAddr) -> usize {
        match address {
            SocketAddr::V4(_) => Self::LIMIT_V4,
            // IPv6 counts only what follows its header.
            SocketAddr::V6(_) => 65_535 - 8,
        }
    }

    /// The size of the addresses of a socket of this family.
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::V4 => size_of::<SOCKADDR_IN>(),
            Self::V6 | Self::Dual => size_of::<SOCKADDR_IN6>(),
        }
    }

    /// Fails when a socket of this family cannot use `address`.
    pub(crate) const fn check(self, address: &SocketAddr) -> Result<(), Error> {
        match (self, address) {
            (Self::V4, SocketAddr::V4(_)) | (Self::V6, SocketAddr::V6(_)) | (Self::Dual, _) => {
                Ok(())
            }
            _ => Err(Error::WrongFamily {
                socket: self,
                address: match address {
                    SocketAddr::V4(_) => Self::V4,
                    SocketAddr::V6(_) => Self::V6,
                },
            }),
        }
    }

    /// Writes `address`, which was checked, as a socket of this family expects it.
    #[inline]
    pub(crate) fn write(self, address: SocketAddr, to: &mut SOCKADDR_STORAGE) {
        match (self, &address) {
            (Self::V4, SocketAddr::V4(v4)) => write_v4(v4, to),
            _ => self.write_longer(&address, to),
        }
    }

    /// As [`write`](Self::write), where an IPv6 address may be written.
    #[inline(never)]
    fn write_longer(self, address: &SocketAddr, to: &mut SOCKADDR_STORAGE) {
        match (self, address) {
            (Self::Dual, SocketAddr::V4(v4)) => {
                // The wildcard of both families is the IPv6 one.
                let wildcard = v4.ip().is_unspecified();
                let ip = if wildcard {
                    Ipv6Addr::UNSPECIFIED
                } else {
                    v4.ip().to_ipv6_mapped()
                };
                write_v6(&SocketAddrV6::new(ip, v4.port(), 0, 0), to);
            }
            (_, SocketAddr::V4(v4)) => write_v4(v4, to),
            (_, SocketAddr::V6(v6)) => write_v6(v6, to),
        }
    }
}

#[inline]
fn write_v4(address: &SocketAddrV4, to: &mut SOCKADDR_STORAGE) {
    let mut v4 = SOCKADDR_IN {
        sin_family: AF_INET,
        sin_port: address.port().to_be(),
        ..SOCKADDR_IN::default()
    };
    v4.sin_addr = ipv4(*address.ip());
    // SAFETY: the storage is larger and more aligned than `SOCKADDR_IN`, by the assertion below.
    unsafe { core::ptr::from_mut(to).cast::<SOCKADDR_IN>().write(v4) };
}

fn write_v6(address: &SocketAddrV6, to: &mut SOCKADDR_STORAGE) {
    let mut v6 = SOCKADDR_IN6 {
        sin6_family: AF_INET6,
        ..SOCKADDR_IN6::default()
    };
    v6.sin6_port = address.port().to_be();
    v6.sin6_flowinfo = address.flowinfo();
    v6.sin6_addr = ipv6(*address.ip());
    v6.Anonymous1.sin6_scope_id = address.scope_id();
    // SAFETY: the storage is larger and more aligned than `SOCKADDR_IN6`, by the assertion below.
    unsafe { core::ptr::from_mut(to).cast::<SOCKADDR_IN6>().write(v6) };
}

const _: () = assert!(size_of::<SOCKADDR_STORAGE>() >= size_of::<SOCKADDR_IN6>());
const _: () = assert!(align_of::<SOCKADDR_STORAGE>() >= align_of::<SOCKADDR_IN6>());
const _: () = assert!(align_of::<SOCKADDR_STORAGE>() >= align_of::<SOCKADDR_IN>());

fn ipv4(address: Ipv4Addr) -> IN_ADDR {
    // SAFETY: `IN_ADDR` is four bytes in network order; every value of them is valid.
    unsafe { core::mem::transmute(address.octets()) }
}

fn ipv6(address: Ipv6Addr) -> IN6_ADDR {
    // SAFETY: `IN6_ADDR` is sixteen bytes in network order; every value of them is valid.
    unsafe { core::mem::transmute(address.octets()) }
}

/// The size of an address that says it is of `family`.
pub(crate) const fn size_of_family(family: u16) -> Result<usize, Error> {
    match family {
        AF_INET => Ok(size_of::<SOCKADDR_IN>()),
        AF_INET6 => Ok(size_of::<SOCKADDR_IN6>()),
        _ => Err(Error::UnknownAddress { family }),
    }
}

/// Whether an address that WSK wrote has the IP address and the port of `address`.
#[inline]
pub(crate) fn is(from: &SOCKADDR_STORAGE, address: &SocketAddr) -> bool {
    match address {
        SocketAddr::V4(v4) if from.ss_family == AF_INET => {
            // SAFETY: the storage is larger and more aligned than `SOCKADDR_IN`, of which every value is valid.
            let from = unsafe { &*core::ptr::from_ref(from).cast::<SOCKADDR_IN>() };
            // SAFETY: four bytes in network order, whatever their value.
            let octets: [u8; 4] = unsafe { core::mem::transmute(from.sin_addr) };
            octets == v4.ip().octets() && from.sin_port == v4.port().to_be()
        }
        _ => is_after_all(from, address),
    }
}

/// As [`is`], where the families are not both IPv4.
#[cold]
fn is_after_all(from: &SOCKADDR_STORAGE, address: &SocketAddr) -> bool {
    read(from).is_ok_and(|from| from.ip() == address.ip() && from.port() == address.port())
}

/// Reads an address that WSK gives.
///
/// # Safety
///
/// `from` is null, or a socket address, which is as long as its family says.
pub(crate) unsafe fn read_raw(from: *const SOCKADDR) -> Result<SocketAddr, Error> {
    if from.is_null() {
        return Err(Error::UnknownAddress { family: 0 });
    }
    let mut storage = SOCKADDR_STORAGE::default();
    // SAFETY: the caller gives an address; no more is copied than its family says.
    unsafe {
        let length = size_of_family((*from).sa_family)?;
        let to = (&raw mut storage).cast::<u8>();
        core::ptr::copy_nonoverlapping(from.cast::<u8>(), to, length);
    }
    read(&storage)
}

/// Reads an address that WSK wrote; v4-mapped IPv6 addresses become IPv4 ones.
pub(crate) fn read(from: &SOCKADDR_STORAGE) -> Result<SocketAddr, Error> {
    let storage = core::ptr::from_ref(from);
    match from.ss_family {
        AF_INET => {
            // SAFETY: the storage is larger and more aligned than `SOCKADDR_IN`, of which every value is valid.
            let v4 = unsafe { &*storage.cast::<SOCKADDR_IN>() };
            // SAFETY: four bytes in network order, whatever their value.
            let octets: [u8; 4] = unsafe { core::mem::transmute(v4.sin_addr) };
            Ok(SocketAddr::from((octets, u16::from_be(v4.sin_port))))
        }
        AF_INET6 => {
            // SAFETY: the storage is larger and more aligned than `SOCKADDR_IN6`, of which every value is valid.
            let v6 = unsafe { &*storage.cast::<SOCKADDR_IN6>() };
            // SAFETY: sixteen bytes in network order, whatever their value.
            let octets: [u8; 16] = unsafe { core::mem::transmute(v6.sin6_addr) };
            // SAFETY: both members of the union are 32 bits of which every value is valid.
            let scope = unsafe { v6.Anonymous1.sin6_scope_id };
            let (ip, port) = (Ipv6Addr::from(octets), u16::from_be(v6.sin6_port));
            Ok(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddr::from((v4, port)),
                None => SocketAddrV6::new(ip, port, v6.sin6_flowinfo, scope).into(),
            })
        }
        family => Err(Error::UnknownAddress { family }),
    }
}
