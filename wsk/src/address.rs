//! Socket addresses: `core::net`'s on the outside, `SOCKADDR_IN` and `SOCKADDR_IN6` for WSK; and [`RemoteAddress`], one that is
//! encoded once.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use wsk_sys::{
    AF_INET, AF_INET6, IN_ADDR, IN6_ADDR, SOCKADDR, SOCKADDR_IN, SOCKADDR_IN6,
    SOCKADDR_IN6_Anonymous1, SOCKADDR_STORAGE,
};

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
    pub(crate) fn write(self, address: SocketAddr, to: &mut SOCKADDR_STORAGE) {
        match (self, &address) {
            (Self::V4, SocketAddr::V4(v4)) => write_v4(*v4, to),
            _ => self.write_longer(&address, to),
        }
    }

    /// As [`write`](Self::write), where an IPv6 address may be written.
    #[inline(never)]
    pub(crate) fn write_longer(self, address: &SocketAddr, to: &mut SOCKADDR_STORAGE) {
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
            (_, SocketAddr::V4(v4)) => write_v4(*v4, to),
            (_, SocketAddr::V6(v6)) => write_v6(v6, to),
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
fn write_v4(address: SocketAddrV4, to: &mut SOCKADDR_STORAGE) {
    let mut v4 = SOCKADDR_IN {
        sin_family: AF_INET,
        sin_port: address.port().to_be(),
        ..SOCKADDR_IN::default()
    };
    *seen_mut(&mut v4.sin_addr) = address.ip().octets();
    *seen_mut(to) = v4;
}

fn write_v6(address: &SocketAddrV6, to: &mut SOCKADDR_STORAGE) {
    let mut v6 = SOCKADDR_IN6 {
        sin6_family: AF_INET6,
        ..SOCKADDR_IN6::default()
    };
    v6.sin6_port = address.port().to_be();
    v6.sin6_flowinfo = address.flowinfo();
    *seen_mut(&mut v6.sin6_addr) = address.ip().octets();
    v6.Anonymous1.sin6_scope_id = address.scope_id();
    *seen_mut(to) = v6;
}

/// A number, an address, or a part of one, which may be looked at as another.
///
/// # Safety
///
/// It has no padding and no cell, and any bytes are a value of it.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: sixteen bytes and no more: family, port, address, and eight of padding that are a member.
unsafe impl Plain for SOCKADDR_IN {}
// SAFETY: 28 bytes and no more: family, port, flow information, address, and the scope, of which any member is 32 bits.
unsafe impl Plain for SOCKADDR_IN6 {}
// SAFETY: what the members leave between themselves are members.
unsafe impl Plain for SOCKADDR_STORAGE {}
// SAFETY: four bytes in network order.
unsafe impl Plain for IN_ADDR {}
// SAFETY: sixteen bytes in network order.
unsafe impl Plain for IN6_ADDR {}
// SAFETY: 32 bits, whichever member they are.
unsafe impl Plain for SOCKADDR_IN6_Anonymous1 {}
// SAFETY: a number.
unsafe impl Plain for u8 {}
// SAFETY: a number.
unsafe impl Plain for u16 {}
// SAFETY: a number.
unsafe impl Plain for u32 {}
// SAFETY: a number.
unsafe impl Plain for u64 {}
// SAFETY: nothing is between the elements of an array.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

const _: () = assert!(size_of::<SOCKADDR_IN>() == 2 + 2 + 4 + 8);
const _: () = assert!(size_of::<SOCKADDR_IN6>() == 2 + 2 + 4 + 16 + 4);
const _: () = assert!(size_of::<SOCKADDR_STORAGE>() == 2 + 6 + 8 + 112);

/// Does not compile unless what one type has begins with what the other has.
const fn begins_with<A, B>() {
    const {
        assert!(size_of::<A>() >= size_of::<B>());
        assert!(align_of::<A>() >= align_of::<B>());
    }
}

/// The beginning of something, looked at as another type.
#[inline]
pub(crate) const fn seen<A: Plain, B: Plain>(as_it_is: &A) -> &B {
    begins_with::<A, B>();
    // SAFETY: it is large and aligned enough, and by the promises of both its bytes are initialised and a value of the other.
    unsafe { &*core::ptr::from_ref(as_it_is).cast() }
}

/// As [`seen`], to be written.
#[inline]
pub(crate) const fn seen_mut<A: Plain, B: Plain>(as_it_is: &mut A) -> &mut B {
    begins_with::<A, B>();
    // SAFETY: as for `seen`; and whatever is written there is a value of the first type.
    unsafe { &mut *core::ptr::from_mut(as_it_is).cast() }
}

/// The bytes of an address as WSK takes it, of the families that this crate knows.
pub(crate) type Encoded = [u64; 4];

const _: () = begins_with::<Encoded, SOCKADDR_IN6>();

/// The address at the beginning of a storage.
#[inline]
pub(crate) fn encoded(storage: &SOCKADDR_STORAGE) -> &Encoded {
    seen(storage)
}

/// The address of a peer, checked and encoded for WSK once.
///
/// Datagram sockets take it wherever they take a `SocketAddr`, and need not check and encode it for each datagram. A socket of another family
/// than the one it was encoded for, if it can send there, encodes it again for each.
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
    /// Encodes an address for sockets of a family.
    ///
    /// # Errors
    ///
    /// [`Error::WrongFamily`], [`Error::PortZero`].
    pub fn new(family: Family, address: impl Into<SocketAddr>) -> Result<Self, Error> {
        let address = address.into();
        family.check_remote(&address)?;
        let mut storage = SOCKADDR_STORAGE::default();
        family.write(address, &mut storage);
        Ok(Self::of(*encoded(&storage)))
    }

    /// The address in a storage, whatever it is.
    fn of(encoded: Encoded) -> Self {
        let (usable, limit) = match decode(&encoded) {
            Ok(address) if address.port() == 0 => (0, 0),
            Ok(SocketAddr::V4(_)) if family(&encoded) == AF_INET => {
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
    fn put_anew(&self, ready: u8, length: usize, to: &mut SOCKADDR_STORAGE) -> bool {
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
    pub(crate) fn of(storage: &SOCKADDR_STORAGE) -> Self {
        Self(*encoded(storage))
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
    pub(crate) fn is(&self, address: &SocketAddr) -> bool {
        is_encoded(&self.0, address)
    }
}

pub(crate) mod sealed {
    pub trait Sealed {}
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
    fn put(&self, ready: u8, length: usize, to: &mut SOCKADDR_STORAGE) -> bool;

    /// Why a socket of this family cannot send so many bytes there.
    #[doc(hidden)]
    fn why_not(&self, family: Family, length: usize) -> Error;
}

impl sealed::Sealed for RemoteAddress {}

impl Destination for RemoteAddress {
    #[inline]
    fn put(&self, ready: u8, length: usize, to: &mut SOCKADDR_STORAGE) -> bool {
        if self.usable & ready == 0 {
            return self.put_anew(ready, length, to);
        }
        if length > self.limit {
            return false;
        }
        *seen_mut(to) = self.encoded;
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
    fn put(&self, ready: u8, length: usize, to: &mut SOCKADDR_STORAGE) -> bool {
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
        family
            .check_datagram(length, self)
            .err()
            .unwrap_or(Error::NotBound)
    }
}

/// As [`Destination::put`], where the address is not an IPv4 one for an IPv4 socket, or something is wrong.
#[inline(never)]
fn put_longer(address: &SocketAddr, ready: u8, length: usize, to: &mut SOCKADDR_STORAGE) -> bool {
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

impl<D: Destination> sealed::Sealed for &D {}

impl<D: Destination> Destination for &D {
    #[inline]
    fn put(&self, ready: u8, length: usize, to: &mut SOCKADDR_STORAGE) -> bool {
        (**self).put(ready, length, to)
    }

    fn why_not(&self, family: Family, length: usize) -> Error {
        (**self).why_not(family, length)
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
pub(crate) fn is(from: &SOCKADDR_STORAGE, address: &SocketAddr) -> bool {
    is_encoded(encoded(from), address)
}

#[inline]
fn is_encoded(from: &Encoded, address: &SocketAddr) -> bool {
    match address {
        SocketAddr::V4(v4) if from[0] == first_word(*v4) => true,
        SocketAddr::V4(_) if family(from) == AF_INET => false,
        _ => is_longer(*from, address),
    }
}

/// The first word of an IPv4 address: all of it that says which one it is.
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

/// An address that WSK gives, or none.
///
/// # Invariants
///
/// `place` is null, or a socket address, which is as long as its family says, valid for `'i`.
#[derive(Clone, Copy)]
pub(crate) struct Brought<'i> {
    place: *const SOCKADDR,
    address: PhantomData<&'i SOCKADDR>,
}

impl Brought<'_> {
    /// # Safety
    ///
    /// As the invariant asks.
    #[inline]
    pub(crate) const unsafe fn new(place: *const SOCKADDR) -> Self {
        // INVARIANT: the caller says so.
        Self {
            place,
            address: PhantomData,
        }
    }

    /// Reads it.
    pub(crate) fn read(self) -> Result<SocketAddr, Error> {
        let from = self.place;
        if from.is_null() {
            return Err(Error::UnknownAddress { family: 0 });
        }
        let mut bytes = Encoded::default();
        // SAFETY: by the invariant it is an address; no more is copied than its family says, for which there is room.
        unsafe {
            let length = size_of_family((*from).sa_family)?;
            let to = (&raw mut bytes).cast::<u8>();
            core::ptr::copy_nonoverlapping(from.cast::<u8>(), to, length);
        }
        decode(&bytes)
    }
}

/// The type that an address from WSK is read as.
pub trait ReadAddress: sealed::Sealed + Sized + Send + 'static {
    #[doc(hidden)]
    fn read(from: &SOCKADDR_STORAGE) -> Result<Self, Error>;
}

/// Of IP; v4-mapped IPv6 addresses are IPv4 ones.
impl ReadAddress for SocketAddr {
    fn read(from: &SOCKADDR_STORAGE) -> Result<Self, Error> {
        read(from)
    }
}

/// Reads an address that WSK wrote; v4-mapped IPv6 addresses become IPv4 ones.
pub(crate) fn read(from: &SOCKADDR_STORAGE) -> Result<SocketAddr, Error> {
    decode(encoded(from))
}

/// The family of an address.
#[inline]
#[allow(clippy::cast_possible_truncation)]
const fn family(from: &Encoded) -> u16 {
    // The first two bytes, on the machines that there are.
    from[0].to_le() as u16
}

/// The bytes as an IPv4 address.
#[inline]
fn v4_of(from: &Encoded) -> SocketAddrV4 {
    let v4: &SOCKADDR_IN = seen(from);
    let octets: [u8; 4] = *seen(&v4.sin_addr);
    SocketAddrV4::new(octets.into(), u16::from_be(v4.sin_port))
}

/// As [`read`], of the bytes.
#[inline(never)]
pub(crate) fn decode(from: &Encoded) -> Result<SocketAddr, Error> {
    match family(from) {
        AF_INET => Ok(v4_of(from).into()),
        AF_INET6 => {
            let v6: &SOCKADDR_IN6 = seen(from);
            let octets: [u8; 16] = *seen(&v6.sin6_addr);
            let scope: u32 = *seen(&v6.Anonymous1);
            let (ip, port) = (u128::from_be_bytes(octets), u16::from_be(v6.sin6_port));
            #[allow(
                clippy::cast_possible_truncation,
                reason = "the address is in the last bits"
            )]
            Ok(if is_mapped(ip) {
                SocketAddrV4::new(Ipv4Addr::from_bits(ip as u32), port).into()
            } else {
                SocketAddrV6::new(Ipv6Addr::from_bits(ip), port, v6.sin6_flowinfo, scope).into()
            })
        }
        family => Err(Error::UnknownAddress { family }),
    }
}
