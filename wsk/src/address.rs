//! Socket addresses: `core::net`'s on the outside, `SOCKADDR_IN` and `SOCKADDR_IN6` for WSK; and [`RemoteAddress`], one that is
//! encoded once.

#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{Hash, Hasher};
use core::mem::offset_of;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use wsk_sys::{AF_INET, AF_INET6, SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_STORAGE};

use crate::error::Error;
pub use crate::family::Family;

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    /// The unspecified address with port 0, to bind to: every interface, and a port that WSK chooses. For families other than IPv4 and
    /// IPv6, an address that their sockets refuse.
    ///
    /// ```
    /// assert_eq!(wsk::Family::V4.any().to_string(), "0.0.0.0:0");
    /// ```
    #[must_use]
    pub const fn any(self) -> SocketAddr {
        match self {
            Self::V4 | Self::Other(_) => {
                SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))
            }
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
            Self::Other(other) => other.number(),
        }
    }

    /// The greatest payload of one datagram over IPv4: 65,535 bytes less an IP header of 20 and a UDP header of 8, which count.
    pub(crate) const LIMIT_V4: usize = 65_535 - 20 - 8;

    /// The same over IPv6, which counts only what follows its header.
    const LIMIT_V6: usize = 65_535 - 8;

    /// The greatest payload of one datagram to `address`.
    const fn limit(address: &SocketAddr) -> usize {
        if is_v4(address) {
            Self::LIMIT_V4
        } else {
            Self::LIMIT_V6
        }
    }

    /// Fails when a datagram of so many bytes cannot be sent to `address` by a socket of this family.
    #[cold]
    pub(crate) fn check_datagram(self, length: usize, address: &SocketAddr) -> Result<(), Error> {
        self.check(address)?;
        let limit = Self::limit(address);
        if length > limit {
            return Err(Error::DatagramTooLong { length, limit });
        }
        check_port(address)
    }

    /// Fails when a socket of this family cannot connect or send to `address`.
    pub(crate) fn check_remote(self, address: &SocketAddr) -> Result<(), Error> {
        self.check(address)?;
        check_port(address)
    }

    /// Its bit in the families that can use an encoded address.
    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
            Self::Dual => 4,
            Self::Other(_) => 8,
        }
    }

    /// The size of the addresses of a socket of this family.
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::V4 => size_of::<SOCKADDR_IN>(),
            Self::V6 | Self::Dual => size_of::<SOCKADDR_IN6>(),
            Self::Other(_) => size_of::<SOCKADDR_STORAGE>(),
        }
    }

    /// Fails when a socket of this family cannot use `address`.
    pub(crate) const fn check(self, address: &SocketAddr) -> Result<(), Error> {
        match (self, address) {
            // A mapped address is of IPv4, which sockets of IPv6 alone do not speak.
            (Self::V6, SocketAddr::V6(_)) if is_v4(address) => Err(Error::WrongFamily {
                socket: self,
                address: Self::V4,
            }),
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
    pub(crate) fn write(self, address: SocketAddr, to: &mut Storage) {
        match (self, &address) {
            (Self::V4, SocketAddr::V4(v4)) => write_v4(*v4, to),
            _ => self.write_longer(&address, to),
        }
    }

    /// As [`write`](Self::write), where an IPv6 address may be written.
    #[inline(never)]
    pub(crate) fn write_longer(self, address: &SocketAddr, to: &mut Storage) {
        match address {
            SocketAddr::V4(v4) if self == Self::Dual => write_mapped(*v4, to),
            SocketAddr::V4(v4) => write_v4(*v4, to),
            SocketAddr::V6(v6) => write_v6(v6, to),
        }
    }
}

/// Fails for the port that nothing can be sent to.
const fn check_port(address: &SocketAddr) -> Result<(), Error> {
    if address.port() == 0 {
        return Err(Error::PortZero);
    }
    Ok(())
}

/// Whether an IPv6 address is a mapped one of IPv4: as `to_ipv4_mapped` has it, whose comparisons of bytes are several times as much
/// code.
const fn is_mapped(bits: u128) -> bool {
    bits >> 32 == 0xFFFF
}

/// Whether an address is one of IPv4, mapped or not.
const fn is_v4(address: &SocketAddr) -> bool {
    match address {
        SocketAddr::V4(_) => true,
        SocketAddr::V6(v6) => is_mapped(v6.ip().to_bits()),
    }
}

#[inline]
fn write_v4(address: SocketAddrV4, to: &mut Storage) {
    to.put(0, AF_INET.to_ne_bytes());
    to.put(PORT, address.port().to_be_bytes());
    to.put(V4, address.ip().octets());
    to.put(V4_PADDING, [0; 8]);
}

/// Writes the IPv6 address that an IPv4 one is mapped to. The wildcard of both families is the IPv6 one.
fn write_mapped(address: SocketAddrV4, to: &mut Storage) {
    let wildcard = address.ip().is_unspecified();
    let prefix = if wildcard { [0; 4] } else { [0, 0, 0xFF, 0xFF] };
    to.put(0, AF_INET6.to_ne_bytes());
    to.put(PORT, address.port().to_be_bytes());
    to.put(FLOW_INFO, [0; 4]);
    to.put(V6, [0; 8]);
    to.put(V6 + 8, prefix);
    to.put(V6_MAPPED, address.ip().octets());
    to.put(SCOPE, [0; 4]);
}

fn write_v6(address: &SocketAddrV6, to: &mut Storage) {
    to.put(0, AF_INET6.to_ne_bytes());
    to.put(PORT, address.port().to_be_bytes());
    to.put(FLOW_INFO, address.flowinfo().to_ne_bytes());
    to.put(V6, address.ip().octets());
    to.put(SCOPE, address.scope_id().to_ne_bytes());
}

/// The bytes of a socket address, which begin with its family: zeros at first.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct Sockaddr<const N: usize>([u8; N]);

/// The bytes of an address of any family: a `SOCKADDR_STORAGE`.
pub(crate) type Storage = Sockaddr<{ size_of::<SOCKADDR_STORAGE>() }>;

/// The bytes of an address of the families that this crate knows: a `SOCKADDR_IN6`, or a `SOCKADDR_IN`, and what is behind.
pub(crate) type Encoded = Sockaddr<{ size_of::<SOCKADDR_IN6>().next_multiple_of(8) }>;

const _: () = assert!(size_of::<Storage>() == size_of::<SOCKADDR_STORAGE>());
const _: () = assert!(align_of::<Storage>() == align_of::<SOCKADDR_STORAGE>());

/// Where the port is, in network order.
const PORT: usize = offset_of!(SOCKADDR_IN, sin_port);
/// Where an IPv4 address is, in network order, and its padding.
const V4: usize = offset_of!(SOCKADDR_IN, sin_addr);
const V4_PADDING: usize = offset_of!(SOCKADDR_IN, sin_zero);
/// Where an IPv6 address is, in network order, its flow information and its scope.
const V6: usize = offset_of!(SOCKADDR_IN6, sin6_addr);
const FLOW_INFO: usize = offset_of!(SOCKADDR_IN6, sin6_flowinfo);
const SCOPE: usize = offset_of!(SOCKADDR_IN6, Anonymous1);
/// Where the IPv4 address is in a v4-mapped IPv6 address.
const V6_MAPPED: usize = V6 + 12;

const _: () = assert!(PORT == offset_of!(SOCKADDR_IN6, sin6_port));
const _: () = assert!(V4_PADDING + 8 == size_of::<SOCKADDR_IN>());

impl<const N: usize> Default for Sockaddr<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Sockaddr<N> {
    /// The bytes.
    pub(crate) const fn bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes, to be written.
    pub(crate) const fn bytes_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }

    /// The bytes of a member. Callers give its offset: where there is no room for it they get zeros.
    #[inline]
    fn at<const M: usize>(&self, offset: usize) -> [u8; M] {
        member(&self.0, offset)
    }

    /// Sets the bytes of a member. Callers give its offset, where there is room for it.
    #[inline]
    fn put<const M: usize>(&mut self, offset: usize, member: [u8; M]) {
        let place = self.0.get_mut(offset..);
        if let Some(place) = place.and_then(<[u8]>::first_chunk_mut) {
            *place = member;
        }
    }

    /// The family.
    #[inline]
    pub(crate) fn family(&self) -> u16 {
        u16::from_ne_bytes(self.at(0))
    }

    /// Sets the family to 0: what is behind it is no address.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.put(0, [0; 2]);
    }
}

/// The address at the beginning of a storage.
#[inline]
pub(crate) fn encoded(storage: &Storage) -> Encoded {
    Sockaddr(storage.at(0))
}

/// The address of a peer, checked and encoded for WSK once.
///
/// It can be given wherever a `SocketAddr` can, as a value or as a reference (`is_from` takes references only):
///
/// | given to | through | what becomes of it |
/// |---|---|---|
/// | [`send_to`](crate::DatagramSocket::send_to), [`send_messages`](crate::DatagramSocket::send_messages), [`set_remote_address`](crate::operation::Prepared::set_remote_address) | [`Destination`] | it is copied as it is, and need not be checked and encoded for each datagram |
/// | [`is_from`](crate::Received::is_from) of what was received | [`Origin`] | an IPv4 address is compared as it is |
/// | `bind`, `connect`, [`fix_destination`](crate::DatagramSocket::fix_destination), [`fix_remote_address`](crate::DatagramSocket::fix_remote_address), [`name_of`](crate::Provider::name_of), [`new`](Self::new), [`RoutingInterface`](crate::ioctl::RoutingInterface) (as a value) | [`ToSocketAddr`] | it is decoded, and checked like a `SocketAddr` |
/// | `bind_to`, `connect_to`, [`bound_to`](crate::operation::Request::bound_to) | [`Endpoint`](crate::Endpoint) | the same |
///
/// A socket of another family than the one it was encoded for, if it can send there, encodes it again for each datagram. Only
/// [`Family::of`], which runs in constants, and the traits of other crates, such as those of `embedded-nal-async`, need its
/// [`address`](Self::address).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// # let address = peer.local_addr().unwrap();
/// use wsk::{Family, RemoteAddress};
///
/// let remote = RemoteAddress::new(Family::V4, address)?;
/// for _ in 0..3 {
///     socket.send_to(b"again", &remote).wait()?;
/// }
/// assert_eq!(remote.address(), Ok(address));
/// # for _ in 0..3 { assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5); }
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// `encoded` is an address as sockets of the families in `usable` take it, to which they can send datagrams of up to `limit` bytes.
#[doc(alias("SOCKADDR", "SOCKADDR_IN", "SOCKADDR_IN6"))]
#[derive(Clone, Copy)]
pub struct RemoteAddress {
    encoded: Encoded,
    limit: usize,
    usable: u8,
}

impl RemoteAddress {
    /// Encodes an address for sockets of a family. One that is encoded for another family is encoded anew.
    ///
    /// # Errors
    ///
    /// [`Error::WrongFamily`], [`Error::PortZero`]; [`Error::UnknownAddress`] as for [`address`](Self::address).
    pub fn new(family: Family, address: impl ToSocketAddr) -> Result<Self, Error> {
        let address = address.decoded()?;
        family.check_remote(&address)?;
        let mut storage = Storage::default();
        family.write(address, &mut storage);
        Ok(Self::of(encoded(&storage)))
    }

    /// The address in a storage, whatever it is.
    fn of(encoded: Encoded) -> Self {
        let (usable, limit) = match decode(&encoded) {
            Ok(address) if address.port() == 0 => (0, 0),
            Ok(SocketAddr::V4(_)) if encoded.family() == AF_INET => {
                (Family::V4.bit(), Family::LIMIT_V4)
            }
            Ok(SocketAddr::V4(_)) => (Family::Dual.bit(), Family::LIMIT_V4),
            Ok(SocketAddr::V6(_)) => (Family::V6.bit() | Family::Dual.bit(), Family::LIMIT_V6),
            Err(_) => (0, 0),
        };
        // INVARIANT: by what the address is.
        Self {
            encoded,
            limit,
            usable,
        }
    }

    /// Writes the address as sockets of another family take it than the one that it was encoded for, if they can send there.
    #[cold]
    #[inline(never)]
    fn put_anew(&self, ready: u8, length: usize, to: &mut Storage) -> bool {
        self.address()
            .is_ok_and(|address| put_longer(&address, ready, length, to))
    }

    /// The address.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] for one that WSK gave and that is neither an IPv4 nor an IPv6 address.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        decode(&self.encoded)
    }
}

impl PartialEq for RemoteAddress {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for RemoteAddress {}

impl Hash for RemoteAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl fmt::Debug for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Ok(address) => address.fmt(f),
            Err(_) => f.write_str("unknown"),
        }
    }
}

/// The address of whoever sent a datagram, as WSK wrote it.
#[derive(Clone, Copy)]
pub(crate) struct Sender(Encoded);

impl Sender {
    #[inline]
    pub(crate) fn of(storage: &Storage) -> Self {
        Self(encoded(storage))
    }

    /// The address.
    pub(crate) fn address(&self) -> Result<SocketAddr, Error> {
        decode(&self.0)
    }

    /// The address, to be sent to.
    pub(crate) fn remote(&self) -> RemoteAddress {
        RemoteAddress::of(self.0)
    }

    /// Whether it is this address and port.
    #[inline]
    pub(crate) fn is(&self, address: &impl Origin) -> bool {
        address.is(&self.0)
    }
}

pub(crate) mod sealed {
    pub trait Sealed {}

    impl<S: Sealed> Sealed for &S {}
}

/// The family of an address that is neither an IPv4 nor an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnknownFamily(pub(crate) u16);

impl From<UnknownFamily> for Error {
    fn from(UnknownFamily(family): UnknownFamily) -> Self {
        Self::UnknownAddress { family }
    }
}

/// An IP address with a port: all that is `Into<SocketAddr>`; or a [`RemoteAddress`], or a reference to one.
///
/// A `RemoteAddress` that is neither an IPv4 nor an IPv6 address leads to [`Error::UnknownAddress`] wherever it is given.
///
/// ```
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let server = listener.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::{ConnectedSocket, Family, RemoteAddress};
///
/// let encoded = RemoteAddress::new(Family::V4, server)?;
/// let one = ConnectedSocket::connect(&provider, server).wait()?;
/// let other = ConnectedSocket::connect(&provider, &encoded).wait()?;
/// assert_eq!(one.remote_address()?, other.remote_address()?);
/// # drop((one, other, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub trait ToSocketAddr: to_socket_addr::Sealed {
    /// The address.
    #[doc(hidden)]
    fn decoded(self) -> Result<SocketAddr, UnknownFamily>;
}

mod to_socket_addr {
    use super::{RemoteAddress, SocketAddr};

    pub trait Sealed {}

    impl<A: Into<SocketAddr>> Sealed for A {}
    impl Sealed for RemoteAddress {}
    impl Sealed for &RemoteAddress {}
}

impl<A: Into<SocketAddr>> ToSocketAddr for A {
    #[inline]
    fn decoded(self) -> Result<SocketAddr, UnknownFamily> {
        Ok(self.into())
    }
}

impl ToSocketAddr for RemoteAddress {
    fn decoded(self) -> Result<SocketAddr, UnknownFamily> {
        (&self).decoded()
    }
}

impl ToSocketAddr for &RemoteAddress {
    fn decoded(self) -> Result<SocketAddr, UnknownFamily> {
        let family = UnknownFamily(self.encoded.family());
        self.address().map_err(|_| family)
    }
}

/// An address that a datagram may have come from: a `SocketAddr`, a [`RemoteAddress`], or a reference to one of them.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// # let known = peer.local_addr().unwrap();
/// use wsk::{Family, RemoteAddress};
///
/// let received = socket.receive_from(&mut [0; 8]).wait()?;
/// assert!(received.is_from(&known));
/// assert!(received.is_from(&RemoteAddress::new(Family::V4, known)?));
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an address that a datagram can come from",
    label = "not a sender",
    note = "give a `SocketAddr`, a `RemoteAddress`, or a reference to one of them"
)]
pub trait Origin: sealed::Sealed {
    /// Whether an address that WSK wrote has the same IP address and port.
    #[doc(hidden)]
    fn is(&self, from: &Encoded) -> bool;
}

impl Origin for SocketAddr {
    #[inline]
    fn is(&self, from: &Encoded) -> bool {
        is_encoded(from, self)
    }
}

impl Origin for RemoteAddress {
    #[inline]
    fn is(&self, from: &Encoded) -> bool {
        if from.family() == AF_INET && self.encoded.family() == AF_INET {
            return from.at::<8>(0) == self.encoded.at::<8>(0);
        }
        self.address()
            .is_ok_and(|address| is_longer(*from, &address))
    }
}

impl<S: Origin> Origin for &S {
    #[inline]
    fn is(&self, from: &Encoded) -> bool {
        (**self).is(from)
    }
}

/// An address to send a datagram to: a `SocketAddr`, which is checked and encoded for each, or a [`RemoteAddress`], which was; an
/// [`Endpoint`](crate::Endpoint), of whatever family; or a reference to one of them.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::{Family, RemoteAddress};
///
/// // As a value; or encoded once, for many datagrams.
/// socket.send_to(b"first", to).wait()?;
/// let encoded = RemoteAddress::new(Family::V4, to)?;
/// socket.send_to(b"second", &encoded).wait()?;
/// # for length in [5, 6] {
/// #     assert_eq!(peer.recv(&mut [0; 8]).unwrap(), length);
/// # }
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an address that datagrams can be sent to",
    label = "not a destination",
    note = "give a `SocketAddr`, a `RemoteAddress`, an `Endpoint`, or a reference to one of them; parse text first, or resolve the name"
)]
pub trait Destination: sealed::Sealed {
    /// Writes the address, if sockets of the families in `ready` can send so many bytes there.
    #[doc(hidden)]
    fn put(&self, ready: u8, length: usize, to: &mut Storage) -> bool;

    /// Why a socket of this family cannot send so many bytes there.
    #[doc(hidden)]
    fn why_not(&self, family: Family, length: usize) -> Error;
}

impl sealed::Sealed for RemoteAddress {}

impl Destination for RemoteAddress {
    #[inline]
    fn put(&self, ready: u8, length: usize, to: &mut Storage) -> bool {
        if self.usable & ready == 0 {
            return self.put_anew(ready, length, to);
        }
        if length > self.limit {
            return false;
        }
        to.put(0, self.encoded.0);
        true
    }

    #[cold]
    #[inline(never)]
    fn why_not(&self, family: Family, length: usize) -> Error {
        self.address()
            .and_then(|address| family.check_datagram(length, &address))
            .err()
            .unwrap_or(Error::NotBound)
    }
}

impl sealed::Sealed for SocketAddr {}

impl Destination for SocketAddr {
    #[inline]
    fn put(&self, ready: u8, length: usize, to: &mut Storage) -> bool {
        match self {
            Self::V4(v4)
                if ready == Family::V4.bit() && length <= Family::LIMIT_V4 && v4.port() != 0 =>
            {
                write_v4(*v4, to);
                true
            }
            _ => put_longer(self, ready, length, to),
        }
    }

    #[allow(
        clippy::inline_always,
        reason = "one function asks, which is seldom run"
    )]
    #[inline(always)]
    fn why_not(&self, family: Family, length: usize) -> Error {
        match family.check_datagram(length, self) {
            Err(error) => error,
            Ok(()) => Error::NotBound,
        }
    }
}

/// As [`Destination::put`], where the address is not an IPv4 one for an IPv4 socket, or something is wrong.
#[inline(never)]
fn put_longer(address: &SocketAddr, ready: u8, length: usize, to: &mut Storage) -> bool {
    let family = if ready & Family::V4.bit() != 0 {
        Family::V4
    } else if ready & Family::V6.bit() != 0 {
        Family::V6
    } else if ready & Family::Dual.bit() != 0 {
        Family::Dual
    } else {
        return false;
    };
    if family.check_datagram(length, address).is_err() {
        return false;
    }
    family.write_longer(address, to);
    true
}

impl<D: Destination> Destination for &D {
    #[inline]
    fn put(&self, ready: u8, length: usize, to: &mut Storage) -> bool {
        (**self).put(ready, length, to)
    }

    fn why_not(&self, family: Family, length: usize) -> Error {
        (**self).why_not(family, length)
    }
}

/// An address to bind a socket to: a `SocketAddr` or an [`Endpoint`](crate::Endpoint).
pub(crate) trait Local {
    /// Writes the address for a socket of a family.
    ///
    /// # Errors
    ///
    /// [`Error::WrongFamily`].
    fn put(&self, family: Family, to: &mut Storage) -> Result<(), Error>;
}

impl Local for SocketAddr {
    fn put(&self, family: Family, to: &mut Storage) -> Result<(), Error> {
        family.check(self)?;
        family.write_longer(self, to);
        Ok(())
    }
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
pub(crate) fn is(from: &Storage, address: &impl Origin) -> bool {
    address.is(&encoded(from))
}

#[inline]
fn is_encoded(from: &Encoded, address: &SocketAddr) -> bool {
    match address {
        SocketAddr::V4(v4) if u64::from_ne_bytes(from.at(0)) == first_word(*v4) => true,
        SocketAddr::V4(_) if from.family() == AF_INET => false,
        _ => is_longer(*from, address),
    }
}

/// The first eight bytes of an IPv4 address: all that says which one it is.
#[inline]
const fn first_word(address: SocketAddrV4) -> u64 {
    let [high, low] = address.port().to_be_bytes();
    let [a, b, c, d] = address.ip().octets();
    let [first, second] = AF_INET.to_ne_bytes();
    u64::from_ne_bytes([first, second, high, low, a, b, c, d])
}

/// As [`is_encoded`], where the families are not both IPv4. By value, so that what is usual does not need the bytes in memory.
#[cold]
#[inline(never)]
fn is_longer(from: Encoded, address: &SocketAddr) -> bool {
    decode(&from).is_ok_and(|from| from.ip() == address.ip() && from.port() == address.port())
}

/// Reads an address from its bytes, which begin with the family.
///
/// # Errors
///
/// [`Error::UnknownAddress`] for another family, or where there are fewer bytes than an address of the family has.
pub(crate) fn read_bytes(bytes: &[u8]) -> Result<SocketAddr, Error> {
    let family = bytes.first_chunk().copied().map_or(0, u16::from_ne_bytes);
    let known = match family {
        AF_INET => bytes.first_chunk().map(Known::V4),
        AF_INET6 => bytes.first_chunk().map(Known::V6),
        _ => None,
    };
    let known = known.ok_or(Error::UnknownAddress { family })?;
    Ok(known.address())
}

/// The bytes of a member of an address. Callers give its offset: where there is no room for it they get zeros.
#[inline]
fn member<const M: usize>(bytes: &[u8], offset: usize) -> [u8; M] {
    let member = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    member.copied().unwrap_or([0; M])
}

/// The port of an address of either family.
fn decode_port(bytes: &[u8]) -> u16 {
    u16::from_be_bytes(member(bytes, PORT))
}

/// The bytes of an address of a family that this crate knows.
#[derive(Clone, Copy)]
pub(crate) enum Known<'b> {
    V4(&'b [u8; size_of::<SOCKADDR_IN>()]),
    V6(&'b [u8; size_of::<SOCKADDR_IN6>()]),
}

impl Known<'_> {
    /// The address. A v4-mapped IPv6 address becomes an IPv4 one.
    pub(crate) fn address(self) -> SocketAddr {
        let (port, ip) = match self {
            Self::V4(bytes) => (decode_port(bytes), member::<4>(bytes, V4)),
            Self::V6(bytes) => {
                let octets = member(bytes, V6);
                if !is_mapped(u128::from_be_bytes(octets)) {
                    let flow_info = u32::from_ne_bytes(member(bytes, FLOW_INFO));
                    let scope = u32::from_ne_bytes(member(bytes, SCOPE));
                    let v6 = SocketAddrV6::new(octets.into(), decode_port(bytes), flow_info, scope);
                    return v6.into();
                }
                (decode_port(bytes), member::<4>(bytes, V6_MAPPED))
            }
        };
        SocketAddrV4::new(ip.into(), port).into()
    }
}

/// The type that an address from WSK is read as.
pub trait ReadAddress: sealed::Sealed + Sized + Send + 'static {
    #[doc(hidden)]
    fn read(from: &Storage) -> Result<Self, Error>;
}

/// Of IP; v4-mapped IPv6 addresses are IPv4 ones.
impl ReadAddress for SocketAddr {
    fn read(from: &Storage) -> Result<Self, Error> {
        read(from)
    }
}

/// Reads an address that WSK wrote; v4-mapped IPv6 addresses become IPv4 ones.
pub(crate) fn read(from: &Storage) -> Result<SocketAddr, Error> {
    decode(&encoded(from))
}

/// As [`read`], of the bytes.
#[inline]
pub(crate) fn decode(from: &Encoded) -> Result<SocketAddr, Error> {
    read_bytes(&from.0)
}

#[cfg(test)]
mod tests {
    use wsk_host::Kernel;
    use wsk_sys::AF_UNIX;

    use super::{Destination, Sender, Storage};
    use crate::ioctl::RoutingInterface;
    use crate::{
        ConnectedSocket, ConnectionSocket, DatagramSocket, Endpoint, Error, Family, Registration,
        RemoteAddress, Wait,
    };

    /// An address of another family has only its first bytes here: no function may use them, or another address, instead.
    #[test]
    fn a_sender_of_another_family_is_refused_wherever_it_is_given() {
        let mut storage = Storage::default();
        storage.put(0, AF_UNIX.to_ne_bytes());
        storage.put(2, *b"/tmp/name");
        let sender = Sender::of(&storage).remote();
        let unknown = Error::UnknownAddress { family: AF_UNIX };
        let endpoint = Endpoint::from(sender);
        assert_eq!(endpoint.family(), AF_UNIX);
        assert_eq!((endpoint.ip(), endpoint.as_bytes()), (None, None));
        assert_eq!(
            Endpoint::put(&endpoint, Family::UNIX, true, &mut storage),
            Err(unknown)
        );
        assert!(!Destination::put(
            &endpoint,
            Family::UNIX.bit(),
            1,
            &mut storage
        ));
        assert_eq!(endpoint.why_not(Family::UNIX, 1), unknown);
        assert_eq!(RemoteAddress::new(Family::V4, sender), Err(unknown));

        let kernel = Kernel::boot();
        let registration = Registration::new().unwrap();
        let provider = registration.capture(Wait::Forever).unwrap();
        let socket = || DatagramSocket::open(&provider, Family::V4).unwrap();
        let datagrams = socket();
        assert_eq!(datagrams.bind(sender), Err(unknown));
        assert_eq!(datagrams.bind_to(sender), Err(unknown));
        datagrams.bind(Family::V4.any()).unwrap();
        assert_eq!(datagrams.send_to(b"bytes", sender).wait(), Err(unknown));
        assert_eq!(datagrams.send_to(b"bytes", endpoint).wait(), Err(unknown));
        let interface = datagrams.ioctl(RoutingInterface(sender)).wait();
        assert_eq!(interface, Err(unknown));
        let (error, datagrams) = datagrams.fix_destination(sender).unwrap_err();
        assert_eq!(error, unknown);
        let (error, datagrams) = datagrams.fix_remote_address(sender).unwrap_err();
        assert_eq!(error, unknown);
        assert_eq!(provider.name_of(sender).wait().unwrap_err(), unknown);
        let connection = ConnectionSocket::open(&provider, Family::V4).unwrap();
        connection.bind(Family::V4.any()).unwrap();
        let refused = connection.connect(sender).wait().unwrap_err();
        assert_eq!(refused.error, unknown);
        let opened = ConnectedSocket::connect(&provider, sender).wait();
        assert_eq!(opened.unwrap_err(), unknown);
        drop((datagrams, refused, provider, registration));
        kernel.shutdown();
    }
}
