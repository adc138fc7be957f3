//! [`Endpoint`]: an address of any family, and the types for `AF_UNIX` and `AF_HYPERV`.

#![forbid(unsafe_code)]

use core::fmt;
use core::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

use wsk_sys::{AF_HYPERV, AF_UNIX};

use crate::address::{
    Destination, Local, ReadAddress, RemoteAddress, Storage, ToSocketAddr, UnknownFamily, decode,
    encoded, sealed,
};
use crate::error::Error;
use crate::family::{Family, OtherFamily};

/// The largest size of an address in bytes.
const STORAGE_SIZE: usize = size_of::<Storage>();

/// A socket address of any family: a `SocketAddr`, or the bytes of a `SOCKADDR_STORAGE`, which begin with the family.
///
/// A `SocketAddr` in an endpoint is checked like any other.
#[doc(alias("SOCKADDR", "SOCKADDR_STORAGE"))]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Ip(SocketAddr),
    /// The bytes, of which the first `length` count. The others are zero.
    Other {
        bytes: [u8; STORAGE_SIZE],
        length: usize,
    },
    /// An encoded address of another family, which lacks the end of its bytes.
    Unknown(UnknownFamily),
}

/// Copies as many bytes as both slices have.
fn fill(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Zeroed bytes for an address that begin with its family.
fn begin(family: u16) -> [u8; STORAGE_SIZE] {
    let mut bytes = [0; STORAGE_SIZE];
    fill(&mut bytes, &family.to_ne_bytes());
    bytes
}

impl Endpoint {
    /// An address from the bytes of a `SOCKADDR`: the family in the first two, then the rest. `None` for fewer than two bytes, for more
    /// than `SOCKADDR_STORAGE` has, and for an address of IPv4 or IPv6, which is a `SocketAddr`.
    ///
    /// ```
    /// use wsk::Endpoint;
    ///
    /// // A family with the number 40.
    /// let endpoint = Endpoint::from_bytes(&[40, 0, 1, 2, 3, 4]).unwrap();
    /// assert_eq!(endpoint.family(), 40);
    /// ```
    #[must_use]
    pub fn from_bytes(address: &[u8]) -> Option<Self> {
        let number = u16::from_ne_bytes(*address.first_chunk()?);
        OtherFamily::new(number, 0)?;
        let mut bytes = [0; STORAGE_SIZE];
        let place = bytes.get_mut(..address.len())?;
        fill(place, address);
        Some(Self(Kind::Other {
            bytes,
            length: address.len(),
        }))
    }

    /// The unnamed address of a family, to which a socket is bound before it connects if it needs no particular address.
    #[must_use]
    pub fn unnamed(family: OtherFamily) -> Self {
        Self(Kind::Other {
            bytes: begin(family.number()),
            length: STORAGE_SIZE,
        })
    }

    /// An IP address. One of another family leads to an error where it is used.
    pub(crate) fn of(address: impl ToSocketAddr) -> Self {
        Self(address.decoded().map_or_else(Kind::Unknown, Kind::Ip))
    }

    /// The number of its family, as `AF_UNIX`.
    #[must_use]
    pub fn family(&self) -> u16 {
        match self.0 {
            Kind::Ip(address) => Family::of(&address).number(),
            Kind::Other {
                bytes: [low, high, ..],
                ..
            } => u16::from_ne_bytes([low, high]),
            Kind::Unknown(UnknownFamily(family)) => family,
        }
    }

    /// The address, if it is of IPv4 or IPv6.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self.0 {
            Kind::Ip(address) => Some(address),
            Kind::Other { .. } | Kind::Unknown(_) => None,
        }
    }

    /// The bytes of the `SOCKADDR`, unless it is of IPv4 or IPv6, or was made from a [`RemoteAddress`]. An address from WSK has all bytes of
    /// a `SOCKADDR_STORAGE`.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Ip(_) | Kind::Unknown(_) => None,
            Kind::Other { bytes, length } => bytes.get(..*length),
        }
    }

    /// Writes the address for a socket of a family that binds to it or, if it is `remote`, connects or sends to it.
    pub(crate) fn put(&self, family: Family, remote: bool, to: &mut Storage) -> Result<(), Error> {
        match &self.0 {
            Kind::Ip(address) => {
                if remote {
                    family.check_remote(address)?;
                } else {
                    family.check(address)?;
                }
                family.write_longer(address, to);
                Ok(())
            }
            Kind::Other { bytes, .. } => {
                if family.number() != self.family() {
                    return Err(Error::WrongFamily {
                        socket: family,
                        address: OtherFamily::new(self.family(), 0).map_or(family, Family::Other),
                    });
                }
                *to.bytes_mut() = *bytes;
                Ok(())
            }
            Kind::Unknown(family) => Err((*family).into()),
        }
    }

    /// Reads an address that WSK has written.
    pub(crate) fn read(from: &Storage) -> Self {
        match decode(&encoded(from)) {
            Ok(address) => Self(Kind::Ip(address)),
            Err(_) => Self(Kind::Other {
                bytes: *from.bytes(),
                length: STORAGE_SIZE,
            }),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Ip(address) => address.fmt(f),
            Kind::Other { .. } | Kind::Unknown(_) => f
                .debug_struct("Endpoint")
                .field("family", &self.family())
                .finish_non_exhaustive(),
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self(Kind::Ip(address))
    }
}

impl From<SocketAddrV4> for Endpoint {
    fn from(address: SocketAddrV4) -> Self {
        SocketAddr::from(address).into()
    }
}

impl From<SocketAddrV6> for Endpoint {
    fn from(address: SocketAddrV6) -> Self {
        SocketAddr::from(address).into()
    }
}

/// An IP address with a port.
impl<I: Into<IpAddr>> From<(I, u16)> for Endpoint {
    fn from(address: (I, u16)) -> Self {
        SocketAddr::from(address).into()
    }
}

impl Local for Endpoint {
    fn put(&self, family: Family, to: &mut Storage) -> Result<(), Error> {
        Self::put(self, family, false, to)
    }
}

/// An IP address. If it is an address of another family, which WSK gave, a function that is given the endpoint fails with
/// [`Error::UnknownAddress`].
impl From<RemoteAddress> for Endpoint {
    fn from(address: RemoteAddress) -> Self {
        Self::of(address)
    }
}

/// As for the address itself.
impl From<&RemoteAddress> for Endpoint {
    fn from(address: &RemoteAddress) -> Self {
        Self::of(address)
    }
}

impl sealed::Sealed for Endpoint {}

impl Destination for Endpoint {
    fn put(&self, ready: u8, length: usize, to: &mut Storage) -> bool {
        if let Some(address) = self.ip() {
            return Destination::put(&address, ready, length, to);
        }
        // There is one bit for all other families. WSK checks whether the address has the family of the socket.
        OtherFamily::new(self.family(), 0).is_some_and(|other| {
            let family = Family::Other(other);
            ready & family.bit() != 0 && Self::put(self, family, true, to).is_ok()
        })
    }

    #[cold]
    #[inline(never)]
    fn why_not(&self, family: Family, length: usize) -> Error {
        if let Kind::Unknown(unknown) = self.0 {
            return unknown.into();
        }
        match (self.ip(), OtherFamily::new(self.family(), 0)) {
            (None, Some(other)) if !matches!(family, Family::Other(_)) => Error::WrongFamily {
                socket: family,
                address: Family::Other(other),
            },
            (address, _) => address
                .and_then(|address| family.check_datagram(length, &address).err())
                .unwrap_or(Error::NotBound),
        }
    }
}

/// Reads an address of any family.
impl ReadAddress for Endpoint {
    fn read(from: &Storage) -> Result<Self, Error> {
        Ok(Self::read(from))
    }
}

/// An address of `AF_UNIX`: the path of a socket's file.
///
/// ```
/// use wsk::{Endpoint, UnixAddress};
///
/// let address = UnixAddress::new(br"C:\Windows\Temp\service.sock").unwrap();
/// assert_eq!(address.path(), br"C:\Windows\Temp\service.sock");
/// assert_eq!(Endpoint::from(address).family(), 1);
/// ```
///
/// [`SOCKADDR_UN`](https://learn.microsoft.com/windows/win32/api/afunix/ns-afunix-sockaddr_un).
#[doc(alias("SOCKADDR_UN", "AF_UNIX"))]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnixAddress {
    path: [u8; Self::LONGEST + 1],
    length: usize,
}

impl UnixAddress {
    /// The most bytes that a path has: `UNIX_PATH_MAX` without the zero at the end.
    #[doc(alias = "UNIX_PATH_MAX")]
    pub const LONGEST: usize = 107;

    /// The address of a path in UTF-8. `None` for a path that is empty, longer than [`LONGEST`](Self::LONGEST), or contains a zero.
    #[must_use]
    pub fn new(path: &[u8]) -> Option<Self> {
        if path.is_empty() || path.len() > Self::LONGEST || path.contains(&0) {
            return None;
        }
        let mut room = [0; Self::LONGEST + 1];
        fill(&mut room, path);
        Some(Self {
            path: room,
            length: path.len(),
        })
    }

    /// The address in an endpoint, if it is of this family and has a path.
    #[must_use]
    pub fn of(endpoint: &Endpoint) -> Option<Self> {
        let bytes = endpoint
            .as_bytes()
            .filter(|_| endpoint.family() == AF_UNIX)?;
        let path = bytes.get(2..)?;
        let path = path.split(|byte| *byte == 0).next()?;
        Self::new(path)
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.path.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path().escape_ascii())
    }
}

impl From<UnixAddress> for Endpoint {
    fn from(address: UnixAddress) -> Self {
        let mut endpoint = begin(AF_UNIX);
        fill(&mut endpoint[2..], &address.path);
        Self(Kind::Other {
            bytes: endpoint,
            length: 2 + address.path.len(),
        })
    }
}

/// An address of `AF_HYPERV`: a service of a partition, which is a virtual machine or its host.
///
/// The identifiers are `GUID`s as they lie in memory: the first three fields in the order of the machine, the last eight bytes as they
/// are written.
///
/// ```
/// use wsk::{Endpoint, HypervAddress};
///
/// let address = HypervAddress { partition: HypervAddress::PARENT, service: *b"0123456789abcdef" };
/// let endpoint = Endpoint::from(address);
/// assert_eq!(endpoint.family(), 34);
/// assert_eq!(HypervAddress::of(&endpoint), Some(address));
/// ```
///
/// [`SOCKADDR_HV`](https://learn.microsoft.com/virtualization/hyper-v-on-windows/user-guide/make-integration-service).
#[doc(alias("SOCKADDR_HV", "AF_HYPERV"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HypervAddress {
    /// The partition (`VmId`).
    pub partition: [u8; 16],
    /// The service (`ServiceId`).
    pub service: [u8; 16],
}

impl HypervAddress {
    /// Any partition, to listen for.
    #[doc(alias = "HV_GUID_WILDCARD")]
    pub const ANY: [u8; 16] = [0; 16];
    /// The partition of the host of this one.
    #[doc(alias = "HV_GUID_PARENT")]
    pub const PARENT: [u8; 16] = [
        0xDA, 0x7C, 0x2E, 0xA4, 0x3F, 0xD0, 0x0C, 0x48, 0x9C, 0xC2, 0xA4, 0xDE, 0x20, 0xAB, 0xB8,
        0x78,
    ];
    /// The size of `SOCKADDR_HV`: family, a reserved word, and two identifiers.
    const SIZE: usize = 4 + 16 + 16;

    /// The address in an endpoint, if it is of this family.
    #[must_use]
    pub fn of(endpoint: &Endpoint) -> Option<Self> {
        let bytes = endpoint
            .as_bytes()
            .filter(|_| endpoint.family() == AF_HYPERV)?;
        Some(Self {
            partition: *bytes.get(4..)?.first_chunk()?,
            service: *bytes.get(20..)?.first_chunk()?,
        })
    }
}

impl From<HypervAddress> for Endpoint {
    fn from(address: HypervAddress) -> Self {
        let mut bytes = begin(AF_HYPERV);
        fill(&mut bytes[4..20], &address.partition);
        fill(&mut bytes[20..HypervAddress::SIZE], &address.service);
        Self(Kind::Other {
            bytes,
            length: HypervAddress::SIZE,
        })
    }
}
