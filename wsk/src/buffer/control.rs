//! Control information: the `CMSGHDR` objects that travel with a datagram, to be sent or as they were received.

#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{Hash, Hasher};
use core::mem::offset_of;
use core::net::{Ipv4Addr, Ipv6Addr};
use wsk_sys::{
    CMSGHDR, IN_RECVERR, IP_ECN, IP_HOPLIMIT, IP_PKTINFO, IP_RECVERR, IP_TOS,
    IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO, IPPROTO_IP, IPV6_ECN, IPV6_HOPLIMIT,
    IPV6_PKTINFO, IPV6_RECVERR, IPV6_TCLASS, IPV6_WFP_REDIRECT_CONTEXT, IPV6_WFP_REDIRECT_RECORDS,
    UDP_COALESCED_INFO, UDP_SEND_MSG_SIZE,
};

use crate::error::Error;
use crate::irp::SHARED_ROOM;
use crate::memory;

/// `sizeof(CMSGHDR)`: what each message begins with.
const HEADER: usize = size_of::<CMSGHDR>();

/// The alignment of headers, and of the data behind them.
const HEADER_ALIGNMENT: usize = align_of::<CMSGHDR>();

const _: () = assert!(HEADER.is_multiple_of(HEADER_ALIGNMENT));

const IP: i32 = IPPROTO_IP.cast_signed();
const IPV6: i32 = IPPROTO::IPPROTO_IPV6.0;
const UDP: i32 = IPPROTO::IPPROTO_UDP.0;

/// One control message (`CMSGHDR`).
///
/// The messages of IPv4 go with datagrams to and from IPv4 addresses, also on a dual-mode socket, which maps these into IPv6.
///
/// ```
/// use wsk::{Control, ControlMessage};
///
/// let mut control = Control::<{ ControlMessage::SPACE_FOR_ALL }>::new();
/// control.push(ControlMessage::EcnV4(1))?;
/// control.push(ControlMessage::SegmentSize(1200))?;
/// let messages: Vec<_> = control.messages().collect();
/// assert_eq!(messages, [ControlMessage::EcnV4(1), ControlMessage::SegmentSize(1200)]);
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ControlMessage<'c> {
    /// The local address and interface from which an IPv4 datagram is sent, or at which it arrived.
    #[doc(alias = "IP_PKTINFO")]
    PacketInfoV4 {
        /// The address; unspecified leaves the choice to the stack.
        address: Ipv4Addr,
        /// The interface's index; 0 leaves the choice to the stack.
        interface: u32,
    },
    /// The local address and interface from which an IPv6 datagram is sent, or at which it arrived.
    #[doc(alias = "IPV6_PKTINFO")]
    PacketInfoV6 {
        /// The address; unspecified leaves the choice to the stack.
        address: Ipv6Addr,
        /// The interface's index; 0 leaves the choice to the stack.
        interface: u32,
    },
    /// The two ECN bits of an IPv4 datagram.
    #[doc(alias = "IP_ECN")]
    EcnV4(i32),
    /// The two ECN bits of an IPv6 datagram.
    #[doc(alias = "IPV6_ECN")]
    EcnV6(i32),
    /// The type of service of an IPv4 datagram.
    #[doc(alias = "IP_TOS")]
    TypeOfService(i32),
    /// The traffic class of an IPv6 datagram.
    #[doc(alias = "IPV6_TCLASS")]
    TrafficClass(i32),
    /// The time to live of an IPv4 datagram.
    #[doc(alias("IP_TTL", "IP_HOPLIMIT"))]
    TimeToLive(i32),
    /// The hop limit of an IPv6 datagram.
    #[doc(alias = "IPV6_HOPLIMIT")]
    HopLimit(i32),
    /// Sent: the buffer is sent as datagrams of this many bytes, the last of which may be shorter (USO).
    #[doc(alias = "UDP_SEND_MSG_SIZE")]
    SegmentSize(u32),
    /// Received: the buffer holds several datagrams of this many bytes, the last of which may be shorter (URO).
    #[doc(alias = "UDP_COALESCED_INFO")]
    CoalescedSize(u32),
    /// Received: an ICMP error about an IPv4 datagram that the socket sent, with [`ReceiveErrorsV4`](crate::option::ReceiveErrorsV4). The
    /// remote address is that to which the datagram was sent, and the bytes are not from the peer.
    #[doc(alias("IP_RECVERR", "IN_RECVERR"))]
    ErrorV4(IcmpError),
    /// Received: an ICMP error about an IPv6 datagram that the socket sent; see [`ErrorV4`](Self::ErrorV4).
    #[doc(alias("IPV6_RECVERR", "IN_RECVERR"))]
    ErrorV6(IcmpError),
    /// The redirect records of an IPv4 datagram from the Windows Filtering Platform, to be passed on unchanged.
    #[doc(alias = "IP_WFP_REDIRECT_RECORDS")]
    RedirectRecordsV4(&'c [u8]),
    /// The redirect context of an IPv4 datagram from the Windows Filtering Platform.
    #[doc(alias = "IP_WFP_REDIRECT_CONTEXT")]
    RedirectContextV4(&'c [u8]),
    /// The redirect records of an IPv6 datagram from the Windows Filtering Platform, to be passed on unchanged.
    #[doc(alias = "IPV6_WFP_REDIRECT_RECORDS")]
    RedirectRecordsV6(&'c [u8]),
    /// The redirect context of an IPv6 datagram from the Windows Filtering Platform.
    #[doc(alias = "IPV6_WFP_REDIRECT_CONTEXT")]
    RedirectContextV6(&'c [u8]),
    /// Any other message.
    Other {
        /// `cmsg_level`.
        level: i32,
        /// `cmsg_type`.
        kind: i32,
        /// The data after the header.
        data: &'c [u8],
    },
}

/// An ICMP error about a datagram that the socket sent.
///
/// [`IN_RECVERR`](https://learn.microsoft.com/windows/win32/winsock/ipproto-ip-socket-options).
///
/// ```
/// use wsk::{ControlMessage, IcmpError};
///
/// /// Whether the network tells that nobody listens at the peer's port, or that the peer cannot be reached.
/// fn is_unreachable(message: &ControlMessage<'_>) -> bool {
///     match message {
///         ControlMessage::ErrorV4(error) | ControlMessage::ErrorV6(error) => error.is_unreachable(),
///         _ => false,
///     }
/// }
///
/// // ICMP's "port unreachable".
/// let error = IcmpError { protocol: 1, info: 0, kind: 3, code: 3 };
/// assert!(is_unreachable(&ControlMessage::ErrorV4(error)));
/// assert!(!error.is_too_big());
/// ```
#[doc(alias = "IN_RECVERR")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IcmpError {
    /// The protocol: 1 is `IPPROTO_ICMP`, 58 is `IPPROTO_ICMPV6`.
    pub protocol: i32,
    /// More information, such as the largest packet on the path (`info` of `IN_RECVERR`).
    pub info: u32,
    /// The type: "destination unreachable" is 3 of ICMP, and 1 of `ICMPv6`.
    pub kind: u8,
    /// The code: "port unreachable" is 3 of ICMP, and 4 of `ICMPv6`.
    pub code: u8,
}

/// The bytes of [`IcmpError`] as C has it.
const ERROR: usize = size_of::<IN_RECVERR>();

impl IcmpError {
    const ICMP: i32 = IPPROTO::IPPROTO_ICMP.0;
    const ICMP_V6: i32 = IPPROTO::IPPROTO_ICMPV6.0;

    /// Whether the type is "destination unreachable": of the port, the host or the network, or because it was prohibited.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(
            (self.protocol, self.kind),
            (Self::ICMP, 3) | (Self::ICMP_V6, 1)
        )
    }

    /// Whether the datagram was larger than the path MTU.
    #[must_use]
    pub const fn is_too_big(&self) -> bool {
        matches!(
            (self.protocol, self.kind, self.code),
            (Self::ICMP, 3, 4) | (Self::ICMP_V6, 2, _)
        )
    }

    fn bytes(self) -> [u8; ERROR] {
        let mut bytes = [0; ERROR];
        memory::copy(&self.protocol.to_ne_bytes(), &mut bytes);
        memory::copy(
            &self.info.to_ne_bytes(),
            &mut bytes[offset_of!(IN_RECVERR, info)..],
        );
        bytes[offset_of!(IN_RECVERR, type_)] = self.kind;
        bytes[offset_of!(IN_RECVERR, code)] = self.code;
        bytes
    }

    fn of(data: &[u8]) -> Option<Self> {
        // The padding at the end may be missing.
        let number = |at: usize| data.get(at..)?.first_chunk::<4>().copied();
        Some(Self {
            protocol: i32::from_ne_bytes(number(offset_of!(IN_RECVERR, protocol))?),
            info: u32::from_ne_bytes(number(offset_of!(IN_RECVERR, info))?),
            kind: *data.get(offset_of!(IN_RECVERR, type_))?,
            code: *data.get(offset_of!(IN_RECVERR, code))?,
        })
    }
}

impl ControlMessage<'_> {
    /// The room for a message with this many bytes of data, as C's `WSA_CMSG_SPACE`.
    #[doc(alias = "WSA_CMSG_SPACE")]
    #[must_use]
    pub const fn space(data: usize) -> usize {
        HEADER
            .saturating_add(data)
            .saturating_add(HEADER_ALIGNMENT - 1)
            / HEADER_ALIGNMENT
            * HEADER_ALIGNMENT
    }

    /// The room for one of each typed message, which is more than any datagram has. Redirect records are not included: the Windows
    /// Filtering Platform determines their length.
    pub const SPACE_FOR_ALL: usize = Self::space(8) + Self::space(20) + 8 * Self::space(4);
}

const _: () = assert!(ControlMessage::SPACE_FOR_ALL <= SHARED_ROOM);

/// Room for `N` bytes of control information, aligned for it.
///
/// ```
/// use wsk::{Control, ControlMessage};
///
/// let mut control = Control::<{ ControlMessage::space(4) }>::new();
/// control.push(ControlMessage::TimeToLive(3))?;
/// assert_eq!(control.messages().next(), Some(ControlMessage::TimeToLive(3)));
/// assert!(control.push(ControlMessage::EcnV4(1)).is_err(), "there is room for one");
/// # Ok::<(), wsk::Error>(())
/// ```
#[repr(C, align(8))]
#[derive(Clone)]
pub struct Control<const N: usize> {
    bytes: [u8; N],
    length: u32,
}

impl<const N: usize> Control<N> {
    /// No control information.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }

    /// Adds a message.
    ///
    /// # Errors
    ///
    /// [`Error::ControlFull`] when it does not fit.
    pub fn push(&mut self, message: ControlMessage<'_>) -> Result<(), Error> {
        match message {
            ControlMessage::PacketInfoV4 { address, interface } => {
                let mut data = [0; 8];
                memory::copy(&address.octets(), &mut data[..4]);
                memory::copy(&interface.to_ne_bytes(), &mut data[4..]);
                self.put(IP, IP_PKTINFO.cast_signed(), &data)
            }
            ControlMessage::PacketInfoV6 { address, interface } => {
                let mut data = [0; 20];
                memory::copy(&address.octets(), &mut data[..16]);
                memory::copy(&interface.to_ne_bytes(), &mut data[16..]);
                self.put(IPV6, IPV6_PKTINFO.cast_signed(), &data)
            }
            ControlMessage::EcnV4(value) => {
                self.put(IP, IP_ECN.cast_signed(), &value.to_ne_bytes())
            }
            ControlMessage::EcnV6(value) => {
                self.put(IPV6, IPV6_ECN.cast_signed(), &value.to_ne_bytes())
            }
            ControlMessage::TypeOfService(value) => {
                self.put(IP, IP_TOS.cast_signed(), &value.to_ne_bytes())
            }
            ControlMessage::TrafficClass(value) => {
                self.put(IPV6, IPV6_TCLASS.cast_signed(), &value.to_ne_bytes())
            }
            ControlMessage::TimeToLive(value) => {
                self.put(IP, IP_HOPLIMIT.cast_signed(), &value.to_ne_bytes())
            }
            ControlMessage::HopLimit(value) => {
                self.put(IPV6, IPV6_HOPLIMIT.cast_signed(), &value.to_ne_bytes())
            }
            ControlMessage::SegmentSize(value) => {
                self.put(UDP, UDP_SEND_MSG_SIZE.cast_signed(), &value.to_ne_bytes())
            }
            ControlMessage::CoalescedSize(value) => {
                self.put(UDP, UDP_COALESCED_INFO.cast_signed(), &value.to_ne_bytes())
            }
            ControlMessage::ErrorV4(error) => {
                self.put(IP, IP_RECVERR.cast_signed(), &error.bytes())
            }
            ControlMessage::ErrorV6(error) => {
                self.put(IPV6, IPV6_RECVERR.cast_signed(), &error.bytes())
            }
            ControlMessage::RedirectRecordsV4(data) => {
                self.put(IP, IP_WFP_REDIRECT_RECORDS.cast_signed(), data)
            }
            ControlMessage::RedirectContextV4(data) => {
                self.put(IP, IP_WFP_REDIRECT_CONTEXT.cast_signed(), data)
            }
            ControlMessage::RedirectRecordsV6(data) => {
                self.put(IPV6, IPV6_WFP_REDIRECT_RECORDS.cast_signed(), data)
            }
            ControlMessage::RedirectContextV6(data) => {
                self.put(IPV6, IPV6_WFP_REDIRECT_CONTEXT.cast_signed(), data)
            }
            ControlMessage::Other { level, kind, data } => self.put(level, kind, data),
        }
    }

    /// Removes all messages.
    pub const fn clear(&mut self) {
        self.length = 0;
    }

    /// Takes a copy of `CMSGHDR` objects, up to the room that there is.
    pub(super) fn set(&mut self, control: &[u8]) {
        // No more than fits 32 bits, as an operation's room does.
        #[allow(clippy::cast_possible_truncation)]
        {
            self.length = memory::copy(control, &mut self.bytes) as u32;
        }
    }

    /// The messages.
    #[must_use]
    pub fn messages(&self) -> ControlMessages<'_> {
        ControlMessages::new(self.as_bytes())
    }

    /// The `CMSGHDR` objects.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        // A length that the provider wrote is not trusted.
        self.bytes
            .get(..self.length as usize)
            .unwrap_or(&self.bytes)
    }

    fn put(&mut self, level: i32, kind: i32, data: &[u8]) -> Result<(), Error> {
        // What was received may end inside the padding.
        let start = (self.length as usize).next_multiple_of(HEADER_ALIGNMENT);
        let space = ControlMessage::space(data.len());
        let full = Error::ControlFull {
            needed: start.saturating_add(space),
            room: N,
        };
        let Some(place) = start
            .checked_add(space)
            .and_then(|end| self.bytes.get_mut(start..end))
        else {
            return Err(full);
        };
        let length = u32::try_from(start + space).map_err(|_| full)?;
        place.fill(0);
        // `space` is never less than these two together.
        let Some((header, rest)) = place.split_first_chunk_mut::<HEADER>() else {
            return Err(full);
        };
        let Some(rest) = rest.get_mut(..data.len()) else {
            return Err(full);
        };
        memory::copy(
            &HEADER.wrapping_add(data.len()).to_ne_bytes(),
            &mut header[..8],
        );
        memory::copy(&level.to_ne_bytes(), &mut header[8..12]);
        memory::copy(&kind.to_ne_bytes(), &mut header[12..]);
        memory::copy(data, rest);
        if let Some(padding) = self.bytes.get_mut(self.length as usize..start) {
            padding.fill(0);
        }
        self.length = length;
        Ok(())
    }
}

impl<const N: usize> Default for Control<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> PartialEq for Control<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Eq for Control<N> {}

impl<const N: usize> Hash for Control<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl<const N: usize> fmt::Debug for Control<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.messages()).finish()
    }
}

/// Iterates over control information. Any bytes are safe: it ends at a header that is truncated, too short or too long.
///
/// ```
/// use wsk::{Control, ControlMessage, ControlMessages};
///
/// /// The time to live that a datagram had left.
/// fn time_to_live(mut messages: ControlMessages<'_>) -> Option<i32> {
///     messages.find_map(|message| match message {
///         ControlMessage::TimeToLive(value) => Some(value),
///         _ => None,
///     })
/// }
///
/// let mut control = Control::<{ ControlMessage::SPACE_FOR_ALL }>::new();
/// control.push(ControlMessage::EcnV4(1))?;
/// control.push(ControlMessage::TimeToLive(64))?;
/// assert_eq!(time_to_live(control.messages()), Some(64));
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ControlMessages<'c> {
    rest: &'c [u8],
}

impl<'c> ControlMessages<'c> {
    /// The messages in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'c [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'c> Iterator for ControlMessages<'c> {
    type Item = ControlMessage<'c>;

    fn next(&mut self) -> Option<ControlMessage<'c>> {
        let rest = core::mem::take(&mut self.rest);
        let (length, after) = rest.split_first_chunk::<8>()?;
        let (level, after) = after.split_first_chunk::<4>()?;
        let (kind, _) = after.split_first_chunk::<4>()?;
        let length = usize::from_ne_bytes(*length);
        let data = rest.get(HEADER..length)?;
        // A length that is whole but not aligned up to the end is that of the last message.
        self.rest = length
            .checked_next_multiple_of(HEADER_ALIGNMENT)
            .and_then(|end| rest.get(end..))
            .unwrap_or(&[]);
        Some(message(
            i32::from_ne_bytes(*level),
            i32::from_ne_bytes(*kind),
            data,
        ))
    }
}

impl core::iter::FusedIterator for ControlMessages<'_> {}

/// The message of a level and type, if its data is what it should be.
fn message(level: i32, kind: i32, data: &[u8]) -> ControlMessage<'_> {
    let number = || {
        data.first_chunk::<4>()
            .filter(|_| data.len() == 4)
            .map(|bytes| i32::from_ne_bytes(*bytes))
    };
    let interface = |at: usize| {
        data.get(at..)?
            .first_chunk::<4>()
            .map(|bytes| u32::from_ne_bytes(*bytes))
    };
    let of = |constant: u32| kind == constant.cast_signed();
    let typed = match level {
        IP if of(IP_PKTINFO) => data.first_chunk::<4>().and_then(|octets| {
            let (address, interface) = (Ipv4Addr::from(*octets), interface(4)?);
            Some(ControlMessage::PacketInfoV4 { address, interface })
        }),
        IPV6 if of(IPV6_PKTINFO) => data.first_chunk::<16>().and_then(|octets| {
            let (address, interface) = (Ipv6Addr::from(*octets), interface(16)?);
            Some(ControlMessage::PacketInfoV6 { address, interface })
        }),
        IP if of(IP_ECN) => number().map(ControlMessage::EcnV4),
        IPV6 if of(IPV6_ECN) => number().map(ControlMessage::EcnV6),
        IP if of(IP_TOS) => number().map(ControlMessage::TypeOfService),
        IPV6 if of(IPV6_TCLASS) => number().map(ControlMessage::TrafficClass),
        IP if of(IP_HOPLIMIT) => number().map(ControlMessage::TimeToLive),
        IPV6 if of(IPV6_HOPLIMIT) => number().map(ControlMessage::HopLimit),
        IP if of(IP_RECVERR) => IcmpError::of(data).map(ControlMessage::ErrorV4),
        IPV6 if of(IPV6_RECVERR) => IcmpError::of(data).map(ControlMessage::ErrorV6),
        IP if of(IP_WFP_REDIRECT_RECORDS) => Some(ControlMessage::RedirectRecordsV4(data)),
        IP if of(IP_WFP_REDIRECT_CONTEXT) => Some(ControlMessage::RedirectContextV4(data)),
        IPV6 if of(IPV6_WFP_REDIRECT_RECORDS) => Some(ControlMessage::RedirectRecordsV6(data)),
        IPV6 if of(IPV6_WFP_REDIRECT_CONTEXT) => Some(ControlMessage::RedirectContextV6(data)),
        UDP if of(UDP_SEND_MSG_SIZE) => {
            number().map(|size| ControlMessage::SegmentSize(size.cast_unsigned()))
        }
        UDP if of(UDP_COALESCED_INFO) => {
            number().map(|size| ControlMessage::CoalescedSize(size.cast_unsigned()))
        }
        _ => None,
    };
    typed.unwrap_or(ControlMessage::Other { level, kind, data })
}

/// A buffer with control information, which is sent with the bytes, or received with them.
///
/// The control information is copied to and from the operation, which has room for [`ControlMessage::SPACE_FOR_ALL`] bytes. When you take the
/// result of the operation, received control information is copied back; if the handle was dropped, it is lost.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::option::ReceiveTimeToLive;
/// use wsk::{Control, ControlMessage, WithControl};
///
/// socket.set_option(ReceiveTimeToLive(true)).wait()?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// let mut room = WithControl::new([0; 1500], Control::<{ ControlMessage::SPACE_FOR_ALL }>::new());
/// let received = socket.receive_from(&mut room).wait()?;
/// assert_eq!(&room.buffer[..received.length()], b"hello");
/// for message in room.control.messages() {
///     if let ControlMessage::TimeToLive(hops) = message {
///         println!("it may go over {hops} more routers");
///     }
/// }
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct WithControl<B, const N: usize> {
    /// The buffer.
    pub buffer: B,
    /// The control information. A receive overwrites it.
    pub control: Control<N>,
}

impl<B, const N: usize> WithControl<B, N> {
    /// Puts the two together.
    pub const fn new(buffer: B, control: Control<N>) -> Self {
        Self { buffer, control }
    }
}
