//! Transport addresses in the layout of Windows, and the statuses for errors of the host's sockets.

use core::mem::offset_of;
use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use socket2::SockAddr;
use wsk_sys::{
    AF_INET, AF_INET6, AF_UNIX, NTSTATUS, SOCKADDR, SOCKADDR_IN, SOCKADDR_IN6,
    STATUS_ACCESS_DENIED, STATUS_ADDRESS_ALREADY_EXISTS, STATUS_CONNECTION_ABORTED,
    STATUS_CONNECTION_REFUSED, STATUS_CONNECTION_RESET, STATUS_HOST_UNREACHABLE,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_ADDRESS, STATUS_INVALID_ADDRESS_COMPONENT,
    STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_PARAMETER, STATUS_IO_TIMEOUT,
    STATUS_NETWORK_UNREACHABLE, STATUS_NOT_SUPPORTED, STATUS_PORT_UNREACHABLE, STATUS_UNSUCCESSFUL,
};

use super::host;

/// The address family of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    V4,
    V6,
    /// `AF_UNIX`: sockets of this machine, named by paths, where the host has them. IP addresses [stand in](unix) for the paths.
    Unix,
}

impl Family {
    pub(crate) fn new(family: u16) -> Option<Self> {
        match family {
            AF_INET => Some(Self::V4),
            AF_INET6 => Some(Self::V6),
            AF_UNIX if cfg!(unix) => Some(Self::Unix),
            _ => None,
        }
    }

    /// Whether TCP and UDP use this family.
    pub(crate) fn is_ip(self) -> bool {
        self != Self::Unix
    }

    /// The size of the family's `SOCKADDR` type.
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::V4 => size_of::<SOCKADDR_IN>(),
            Self::V6 => size_of::<SOCKADDR_IN6>(),
            Self::Unix => unix::SIZE,
        }
    }

    pub(crate) const fn domain(self) -> socket2::Domain {
        match self {
            Self::V4 => socket2::Domain::IPV4,
            Self::V6 => socket2::Domain::IPV6,
            Self::Unix => socket2::Domain::UNIX,
        }
    }

    /// Converts an address for the host's sockets.
    pub(crate) fn to_host(self, address: SocketAddr) -> io::Result<SockAddr> {
        match self {
            Self::V4 | Self::V6 => Ok(address.into()),
            Self::Unix => SockAddr::unix(OsStr::new(&unix::path(address))),
        }
    }

    /// Converts an address of the host's sockets.
    pub(crate) fn of_host(self, address: &SockAddr) -> Option<SocketAddr> {
        match self {
            Self::V4 | Self::V6 => address.as_socket(),
            Self::Unix => Some(unix::stand_in(&host::path(address))),
        }
    }
}

/// Addresses of `AF_UNIX`. The rest of the provider uses IP addresses, so an IP address that no host has stands in for each path.
pub(crate) mod unix {
    use std::net::{Ipv6Addr, SocketAddr};

    use parking_lot::Mutex;

    /// The size of the longest path with its terminating zero.
    pub(super) const PATH: usize = 108;
    /// The bytes of `SOCKADDR_UN`.
    pub(super) const SIZE: usize = size_of::<u16>() + PATH;
    /// The stand-in addresses, in the range that is reserved for documentation.
    const RANGE: u128 = 0x2001_0DB8_0000_A0F1 << 64;

    static PATHS: Mutex<Vec<String>> = Mutex::new(Vec::new());

    /// The address that stands in for a path. The empty path is that of a socket without a name.
    pub(super) fn stand_in(path: &str) -> SocketAddr {
        let mut paths = PATHS.lock();
        let index = paths
            .iter()
            .position(|known| known == path)
            .unwrap_or_else(|| {
                paths.push(path.to_owned());
                paths.len() - 1
            });
        (Ipv6Addr::from(RANGE + index as u128), 1).into()
    }

    /// The path that an address stands in for.
    pub(super) fn path(address: SocketAddr) -> String {
        let SocketAddr::V6(address) = address else {
            return String::new();
        };
        let index = u128::from(*address.ip()).wrapping_sub(RANGE);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        PATHS.lock().get(index).cloned().unwrap_or_default()
    }

    /// Whether the address stands in for the empty path.
    pub(crate) fn is_unnamed(address: SocketAddr) -> bool {
        path(address).is_empty()
    }
}

/// Reads the address of a driver.
///
/// # Errors
///
/// `STATUS_INVALID_ADDRESS` when it isn't of the socket's family.
///
/// # Safety
///
/// `address` is readable: two bytes, and when these say the socket's family, as many as its type has.
pub(crate) unsafe fn read(
    address: *const SOCKADDR,
    family: Family,
) -> Result<SocketAddr, NTSTATUS> {
    // SAFETY: the caller says so; nothing about alignment is assumed.
    let found = unsafe { address.cast::<u16>().read_unaligned() };
    if Family::new(found) != Some(family) {
        return Err(STATUS_INVALID_ADDRESS);
    }
    // SAFETY: the family is that of the socket, so the bytes are there.
    let bytes = unsafe { core::slice::from_raw_parts(address.cast::<u8>(), family.size()) };
    if family == Family::Unix {
        let path = bytes[size_of::<u16>()..].split(|byte| *byte == 0).next();
        let path = path.and_then(|path| str::from_utf8(path).ok());
        return path.map(unix::stand_in).ok_or(STATUS_INVALID_ADDRESS);
    }
    let port = u16::from_be_bytes(part(bytes, offset_of!(SOCKADDR_IN, sin_port)));
    Ok(match family {
        Family::Unix => return Err(STATUS_INVALID_ADDRESS),
        Family::V4 => SocketAddrV4::new(
            Ipv4Addr::from(part::<4>(bytes, offset_of!(SOCKADDR_IN, sin_addr))),
            port,
        )
        .into(),
        Family::V6 => SocketAddrV6::new(
            Ipv6Addr::from(part::<16>(bytes, offset_of!(SOCKADDR_IN6, sin6_addr))),
            port,
            u32::from_ne_bytes(part(bytes, offset_of!(SOCKADDR_IN6, sin6_flowinfo))),
            u32::from_ne_bytes(part(bytes, offset_of!(SOCKADDR_IN6, Anonymous1))),
        )
        .into(),
    })
}

fn part<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[offset..offset + N]);
    part
}

/// An address in the layout of the family's type, and the number of its bytes. With IPv6, IPv4 addresses become mapped addresses.
pub(crate) fn encode(address: SocketAddr, family: Family) -> ([u8; unix::SIZE], usize) {
    let mut bytes = [0; unix::SIZE];
    if family == Family::Unix {
        let path = unix::path(address);
        bytes[..2].copy_from_slice(&AF_UNIX.to_ne_bytes());
        bytes[2..2 + path.len()].copy_from_slice(path.as_bytes());
        return (bytes, family.size());
    }
    let mut put =
        |offset: usize, part: &[u8]| bytes[offset..offset + part.len()].copy_from_slice(part);
    put(
        offset_of!(SOCKADDR_IN, sin_port),
        &address.port().to_be_bytes(),
    );
    match (family, address.ip()) {
        (Family::V4, ip) => {
            put(0, &AF_INET.to_ne_bytes());
            let ip = match ip {
                IpAddr::V4(ip) => ip,
                IpAddr::V6(ip) => ip.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED),
            };
            put(offset_of!(SOCKADDR_IN, sin_addr), &ip.octets());
        }
        (_, ip) => {
            put(0, &AF_INET6.to_ne_bytes());
            let ip = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            put(offset_of!(SOCKADDR_IN6, sin6_addr), &ip.octets());
            if let SocketAddr::V6(address) = address {
                put(
                    offset_of!(SOCKADDR_IN6, sin6_flowinfo),
                    &address.flowinfo().to_ne_bytes(),
                );
                put(
                    offset_of!(SOCKADDR_IN6, Anonymous1),
                    &address.scope_id().to_ne_bytes(),
                );
            }
        }
    }
    (bytes, family.size())
}

/// Writes an address for a driver.
///
/// # Safety
///
/// `out` is writable for the bytes of the family's type.
pub(crate) unsafe fn write(out: *mut SOCKADDR, address: SocketAddr, family: Family) {
    let (bytes, length) = encode(address, family);
    // SAFETY: the caller says so.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), out.cast::<u8>(), length) };
}

/// The status of Windows for an error of a bind. `shares` tells whether the driver has set `SO_REUSEADDR`.
pub(crate) fn bind_status(error: &io::Error, shares: bool) -> NTSTATUS {
    match error.kind() {
        // Documented: the address belongs to a socket that doesn't share it.
        io::ErrorKind::AddrInUse if shares => STATUS_ACCESS_DENIED,
        io::ErrorKind::AddrInUse => STATUS_ADDRESS_ALREADY_EXISTS,
        io::ErrorKind::AddrNotAvailable => STATUS_INVALID_ADDRESS_COMPONENT,
        _ => status(error),
    }
}

/// The status of Windows for an error of a send or of an option.
pub(crate) fn status(error: &io::Error) -> NTSTATUS {
    match error.kind() {
        io::ErrorKind::PermissionDenied => STATUS_ACCESS_DENIED,
        io::ErrorKind::AddrNotAvailable => STATUS_INVALID_ADDRESS_COMPONENT,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            STATUS_NETWORK_UNREACHABLE
        }
        io::ErrorKind::HostUnreachable => STATUS_HOST_UNREACHABLE,
        io::ErrorKind::ConnectionRefused => STATUS_PORT_UNREACHABLE,
        io::ErrorKind::InvalidInput => STATUS_INVALID_PARAMETER,
        io::ErrorKind::OutOfMemory => STATUS_INSUFFICIENT_RESOURCES,
        _ => match error.raw_os_error() {
            Some(host::MESSAGE_TOO_LONG) => STATUS_INVALID_BUFFER_SIZE,
            Some(host::NO_SUCH_OPTION) => STATUS_NOT_SUPPORTED,
            Some(host::NO_BUFFERS) => STATUS_INSUFFICIENT_RESOURCES,
            _ => STATUS_UNSUCCESSFUL,
        },
    }
}

/// The status of Windows for an error of a connection.
pub(crate) fn connection_status(error: &io::Error) -> NTSTATUS {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => STATUS_CONNECTION_REFUSED,
        // Hosts report a reset once, and a broken pipe from then on.
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => STATUS_CONNECTION_RESET,
        io::ErrorKind::ConnectionAborted => STATUS_CONNECTION_ABORTED,
        io::ErrorKind::TimedOut => STATUS_IO_TIMEOUT,
        io::ErrorKind::AddrInUse => STATUS_ADDRESS_ALREADY_EXISTS,
        _ => status(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::{Family, encode, read};

    proptest! {
        #[test]
        fn addresses_survive_the_layout(ip in any::<std::net::IpAddr>(), port: u16) {
            let address = SocketAddr::new(ip, port);
            let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
            let (bytes, length) = encode(address, family);
            // SAFETY: the bytes are there.
            prop_assert_eq!(unsafe { read(bytes.as_ptr().cast(), family) }, Ok(address));
            prop_assert_eq!(length, family.size());
            let other = if address.is_ipv4() { Family::V6 } else { Family::V4 };
            // SAFETY: the bytes are there.
            let misread = unsafe { read(bytes.as_ptr().cast(), other) };
            prop_assert!(misread.is_err());
        }
    }

    #[test]
    fn the_bytes_are_those_of_windows() {
        let (bytes, length) = encode("127.0.0.1:9".parse().unwrap(), Family::V4);
        assert_eq!(
            bytes[..length],
            [2, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        let (bytes, _) = encode("1.2.3.4:256".parse().unwrap(), Family::V6);
        assert_eq!(bytes[..8], [23, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[18..24], [0xFF, 0xFF, 1, 2, 3, 4]);
    }
}
