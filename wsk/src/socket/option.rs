//! Socket options. Each option is a type, which contains the value.
//!
//! [`DatagramSocket::set_option`](crate::DatagramSocket::set_option) sets an option, and
//! [`DatagramSocket::option`](crate::DatagramSocket::option) reads one; the other sockets have the same methods. They correspond to
//! `WskSetOption` and `WskGetOption` of `WskControlSocket`.
//!
//! ```
//! # let kernel = wsk_host::Kernel::boot();
//! # let registration = wsk::Registration::new()?;
//! # let provider = registration.capture(wsk::Wait::Forever)?;
//! # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
//! use wsk::option::{Broadcast, ReuseAddress};
//!
//! socket.set_option(ReuseAddress(true)).wait()?;
//! socket.set_option(Broadcast(true)).wait()?;
//! assert_eq!(socket.option::<ReuseAddress>().wait()?, ReuseAddress(true));
//! # drop((socket, provider, registration));
//! # kernel.shutdown();
//! # Ok::<(), wsk::Error>(())
//! ```

#![forbid(unsafe_code)]

use core::net::{Ipv4Addr, Ipv6Addr};

use wsk_sys::{
    IP_ADD_MEMBERSHIP, IP_DONTFRAGMENT, IP_DROP_MEMBERSHIP, IP_HOPLIMIT, IP_MTU_DISCOVER,
    IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_PKTINFO, IP_PROTECTION_LEVEL, IP_RECVECN, IP_RECVERR,
    IP_RECVTOS, IP_TOS, IP_TTL, IP_UNICAST_IF, IP_UNSPECIFIED_USER_MTU, IP_USER_MTU, IPPROTO,
    IPPROTO_IP, IPV6_ADD_MEMBERSHIP, IPV6_DONTFRAG, IPV6_DROP_MEMBERSHIP, IPV6_HOPLIMIT,
    IPV6_MTU_DISCOVER, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_PKTINFO,
    IPV6_PROTECTION_LEVEL, IPV6_RECVECN, IPV6_RECVERR, IPV6_RECVTCLASS, IPV6_TCLASS,
    IPV6_UNICAST_HOPS, IPV6_UNICAST_IF, IPV6_USER_MTU, IPV6_V6ONLY, PMTUD_STATE,
    PROTECTION_LEVEL_DEFAULT, PROTECTION_LEVEL_EDGERESTRICTED, PROTECTION_LEVEL_RESTRICTED,
    PROTECTION_LEVEL_UNRESTRICTED, SO_BROADCAST, SO_CONDITIONAL_ACCEPT, SO_EXCLUSIVEADDRUSE,
    SO_KEEPALIVE, SO_RANDOMIZE_PORT, SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SO_WSK_EVENT_CALLBACK,
    SO_WSK_SECURITY, SOL_SOCKET, TCP_FASTOPEN, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_MAXRT,
    TCP_NODELAY, UDP_RECV_MAX_COALESCED_SIZE, UDP_SEND_MSG_SIZE,
};

const IP: u32 = IPPROTO_IP;
const IPV6: u32 = IPPROTO::IPPROTO_IPV6.0.cast_unsigned();
const TCP: u32 = IPPROTO::IPPROTO_TCP.0.cast_unsigned();
const UDP: u32 = IPPROTO::IPPROTO_UDP.0.cast_unsigned();

/// The greatest size of a value.
pub(crate) const LARGEST: usize = 64;

mod sealed {
    pub trait Sealed {}
}

/// An option with its value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a socket option",
    label = "not an option",
    note = "the options are the types of `wsk::option`, each with its value in it"
)]
pub trait SocketOption: sealed::Sealed + Sized {
    #[doc(hidden)]
    const LEVEL: u32;
    #[doc(hidden)]
    const NAME: u32;
    /// Writes the value in C's representation. Returns its size.
    #[doc(hidden)]
    fn write(&self, to: &mut [u8; LARGEST]) -> usize;
}

/// An option that can be read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read",
    label = "an option that can only be set, or none"
)]
pub trait ReadableOption: SocketOption {
    /// The size of the value.
    #[doc(hidden)]
    const SIZE: usize;
    /// Reads the value in C's representation.
    #[doc(hidden)]
    fn read(from: &[u8; LARGEST]) -> Self;
}

fn put<const N: usize>(to: &mut [u8; LARGEST], at: usize, bytes: [u8; N]) {
    if let Some(place) = to.get_mut(at..).and_then(|to| to.first_chunk_mut::<N>()) {
        *place = bytes;
    }
}

fn number(from: &[u8; LARGEST]) -> u32 {
    u32::from_ne_bytes([from[0], from[1], from[2], from[3]])
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident($value:ident) = $level:expr, $option:expr, $alias:literal;)*) => {$(
        $(#[$doc])*
        #[doc(alias = $alias)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(
            /// The value.
            pub $value,
        );

        impl sealed::Sealed for $name {}

        impl SocketOption for $name {
            const LEVEL: u32 = $level;
            // `SO_EXCLUSIVEADDRUSE` is the complement of another option, and so a negative number.
            #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
            const NAME: u32 = $option as u32;
            fn write(&self, to: &mut [u8; LARGEST]) -> usize {
                put(to, 0, u32::from(self.0).to_ne_bytes());
                size_of::<u32>()
            }
        }

        impl ReadableOption for $name {
            const SIZE: usize = size_of::<u32>();
            fn read(from: &[u8; LARGEST]) -> Self {
                Self(options!(@value $value, number(from)))
            }
        }
    )*};
    (@value bool, $number:expr) => { $number != 0 };
    (@value u32, $number:expr) => { $number };
}

options! {
    /// Whether another socket may bind to the same address.
    ReuseAddress(bool) = SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR";
    /// Whether no other socket may bind to the same address, even with [`ReuseAddress`].
    ExclusiveAddress(bool) = SOL_SOCKET, SO_EXCLUSIVEADDRUSE, "SO_EXCLUSIVEADDRUSE";
    /// Whether datagrams may be sent to broadcast addresses.
    Broadcast(bool) = SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST";
    /// The size of the stack's receive buffer for this socket, in bytes.
    ReceiveBufferSize(u32) = SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF";
    /// The size of the stack's send buffer for this socket, in bytes.
    SendBufferSize(u32) = SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF";
    /// Whether WSK chooses a random port when the socket is bound to port 0.
    RandomPort(bool) = SOL_SOCKET, SO_RANDOMIZE_PORT, "SO_RANDOMIZE_PORT";
    /// The time without traffic, in seconds, after which the first keep-alive probe is sent. Windows 10, version 1709, and later.
    KeepAliveIdle(u32) = TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE";
    /// The time between two keep-alive probes that are not answered, in seconds. Windows 10, version 1709, and later.
    KeepAliveInterval(u32) = TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL";
    /// The number of keep-alive probes without an answer after which the connection ends. Windows 10, version 1703, and later.
    KeepAliveCount(u32) = TCP, TCP_KEEPCNT, "TCP_KEEPCNT";
    /// Whether small segments are sent at once: the Nagle algorithm is off. Some versions of Windows refuse this option for WSK sockets. Use
    /// [`set_no_delay`](crate::ConnectedSocket::set_no_delay) instead, which sets `WSK_FLAG_NODELAY` on every send of the socket.
    NoDelay(bool) = TCP, TCP_NODELAY, "TCP_NODELAY";
    /// Whether [first data](crate::operation::Request::with_first_data) may go with the first packet of a connection (TCP Fast Open), on
    /// a socket that is not connected yet. Windows 10, version 1607, and later.
    FastOpen(bool) = TCP, TCP_FASTOPEN, "TCP_FASTOPEN";
    /// The time to live of IPv4 datagrams.
    TimeToLive(u32) = IP, IP_TTL, "IP_TTL";
    /// The type of service of IPv4 datagrams.
    TypeOfService(u32) = IP, IP_TOS, "IP_TOS";
    /// Whether IPv4 datagrams must not be fragmented.
    DontFragmentV4(bool) = IP, IP_DONTFRAGMENT, "IP_DONTFRAGMENT";
    /// The time to live of IPv4 multicast datagrams.
    MulticastTimeToLive(u32) = IP, IP_MULTICAST_TTL, "IP_MULTICAST_TTL";
    /// Whether IPv4 multicast datagrams come back to sockets of this machine.
    MulticastLoopV4(bool) = IP, IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP";
    /// Whether received IPv4 datagrams come with their destination address and interface, as a
    /// [`ControlMessage::PacketInfoV4`](crate::ControlMessage::PacketInfoV4). If a TDI filter driver is installed, they do so only when TDI
    /// is [bypassed](crate::Provider::bypass_tdi). When memory is short, a datagram may come without the message.
    ReceivePacketInfoV4(bool) = IP, IP_PKTINFO, "IP_PKTINFO";
    /// Whether received IPv4 datagrams come with their ECN bits.
    ReceiveEcnV4(bool) = IP, IP_RECVECN, "IP_RECVECN";
    /// Whether received IPv4 datagrams come with their type of service.
    ReceiveTypeOfService(bool) = IP, IP_RECVTOS, "IP_RECVTOS";
    /// Whether received IPv4 datagrams come with their time to live.
    ReceiveTimeToLive(bool) = IP, IP_HOPLIMIT, "IP_RECVTTL";
    /// Whether an IPv6 socket neither sends nor receives IPv4 datagrams. [`Family`](crate::Family) sets this option.
    V6Only(bool) = IPV6, IPV6_V6ONLY, "IPV6_V6ONLY";
    /// The hop limit of IPv6 datagrams.
    HopLimit(u32) = IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS";
    /// Whether IPv6 datagrams must not be fragmented.
    DontFragmentV6(bool) = IPV6, IPV6_DONTFRAG, "IPV6_DONTFRAG";
    /// The traffic class of IPv6 datagrams.
    TrafficClass(u32) = IPV6, IPV6_TCLASS, "IPV6_TCLASS";
    /// The hop limit of IPv6 multicast datagrams.
    MulticastHopLimit(u32) = IPV6, IPV6_MULTICAST_HOPS, "IPV6_MULTICAST_HOPS";
    /// Whether IPv6 multicast datagrams come back to sockets of this machine.
    MulticastLoopV6(bool) = IPV6, IPV6_MULTICAST_LOOP, "IPV6_MULTICAST_LOOP";
    /// Whether received IPv6 datagrams come with their destination address and interface; see [`ReceivePacketInfoV4`].
    ReceivePacketInfoV6(bool) = IPV6, IPV6_PKTINFO, "IPV6_PKTINFO";
    /// Whether received IPv6 datagrams come with their hop limit.
    ReceiveHopLimit(bool) = IPV6, IPV6_HOPLIMIT, "IPV6_HOPLIMIT";
    /// Whether received IPv6 datagrams come with their ECN bits.
    ReceiveEcnV6(bool) = IPV6, IPV6_RECVECN, "IPV6_RECVECN";
    /// Whether received IPv6 datagrams come with their traffic class.
    ReceiveTrafficClass(bool) = IPV6, IPV6_RECVTCLASS, "IPV6_RECVTCLASS";
    /// Whether the socket receives ICMP errors about the IPv4 datagrams that it sent: each as a datagram with a
    /// [`ControlMessage::ErrorV4`](crate::ControlMessage::ErrorV4). Windows 10, version 2004, and later.
    ReceiveErrorsV4(bool) = IP, IP_RECVERR, "IP_RECVERR";
    /// Whether the socket receives ICMP errors about the IPv6 datagrams that it sent: each as a datagram with a
    /// [`ControlMessage::ErrorV6`](crate::ControlMessage::ErrorV6). Windows 10, version 2004, and later.
    ReceiveErrorsV6(bool) = IPV6, IPV6_RECVERR, "IPV6_RECVERR";
    /// The index of the interface from which IPv6 datagrams and connections leave; with 0 the stack chooses one.
    UnicastInterfaceV6(u32) = IPV6, IPV6_UNICAST_IF, "IPV6_UNICAST_IF";
    /// Send segmentation (USO): a longer buffer is sent as datagrams of this many bytes; 0 turns segmentation off.
    SegmentSize(u32) = UDP, UDP_SEND_MSG_SIZE, "UDP_SEND_MSG_SIZE";
    /// Receive coalescing (URO): datagrams of one size are received as one of up to this many bytes; 0 turns coalescing off.
    MaxCoalescedSize(u32) = UDP, UDP_RECV_MAX_COALESCED_SIZE, "UDP_RECV_MAX_COALESCED_SIZE";
}

/// Options whose values are numbers in C, and other types here.
macro_rules! values {
    ($(
        $(#[$doc:meta])* $name:ident($value:ty) = $level:expr, $option:expr, $alias:literal,
        $number:ident: $write:expr, $read:expr;
    )*) => {$(
        $(#[$doc])*
        #[doc(alias = $alias)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(
            /// The value.
            pub $value,
        );

        impl sealed::Sealed for $name {}

        impl SocketOption for $name {
            const LEVEL: u32 = $level;
            const NAME: u32 = $option;
            fn write(&self, to: &mut [u8; LARGEST]) -> usize {
                let number: $number = ($write)(self.0);
                put(to, 0, number.to_ne_bytes());
                size_of::<$number>()
            }
        }

        impl ReadableOption for $name {
            const SIZE: usize = size_of::<$number>();
            fn read(from: &[u8; LARGEST]) -> Self {
                let number = from.first_chunk().map_or(0, |bytes| $number::from_ne_bytes(*bytes));
                Self(($read)(number))
            }
        }
    )*};
}

values! {
    /// Whether keep-alive probes are sent on a connection without traffic, so that it ends when the peer has disappeared. Its value is one
    /// byte: Microsoft's page says `ULONG`, but Windows accepts and writes one byte.
    KeepAlive(bool) = SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE", u8: u8::from, |value| value != 0;
    /// The index of the interface from which IPv4 datagrams and connections leave; with 0 the stack chooses one. The index is in the byte
    /// order of the processor; this type converts it for Windows, which sets it in network byte order.
    UnicastInterfaceV4(u32) = IP, IP_UNICAST_IF, "IP_UNICAST_IF", u32: u32::to_be, |index| index;
    /// Path MTU discovery of IPv4.
    MtuDiscoveryV4(MtuDiscovery) = IP, IP_MTU_DISCOVER, "IP_MTU_DISCOVER", u32: MtuDiscovery::number, MtuDiscovery::of;
    /// Path MTU discovery of IPv6.
    MtuDiscoveryV6(MtuDiscovery) = IPV6, IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER",
        u32: MtuDiscovery::number, MtuDiscovery::of;
    /// The maximum size of IPv4 packets in bytes, where the path allows larger ones; `None` sets no limit.
    UserMtuV4(Option<u32>) = IP, IP_USER_MTU, "IP_USER_MTU", u32: mtu_number, mtu_of;
    /// The maximum size of IPv6 packets in bytes, where the path allows larger ones; `None` sets no limit.
    UserMtuV6(Option<u32>) = IPV6, IPV6_USER_MTU, "IPV6_USER_MTU", u32: mtu_number, mtu_of;
    /// From where an IPv4 socket receives. Set it before the socket is bound.
    ProtectionLevelV4(ProtectionLevel) = IP, IP_PROTECTION_LEVEL, "IP_PROTECTION_LEVEL",
        u32: ProtectionLevel::number, ProtectionLevel::of;
    /// From where an IPv6 socket receives. Set it before the socket is bound.
    ProtectionLevelV6(ProtectionLevel) = IPV6, IPV6_PROTECTION_LEVEL, "IPV6_PROTECTION_LEVEL",
        u32: ProtectionLevel::number, ProtectionLevel::of;
    /// How long a segment is retransmitted before the connection is aborted, in seconds; `None` is without end. It also limits connecting.
    MaxRetransmitTime(Option<u32>) = TCP, TCP_MAXRT, "TCP_MAXRT",
        u32: |seconds: Option<u32>| seconds.unwrap_or(NEVER), |number| (number != NEVER).then_some(number);
}

/// Whether connections are inspected before they are accepted. Set on a listening socket with a handler that inspects, before it is bound.
pub(crate) struct ConditionalAccept;

impl sealed::Sealed for ConditionalAccept {}

impl SocketOption for ConditionalAccept {
    const LEVEL: u32 = SOL_SOCKET;
    const NAME: u32 = SO_CONDITIONAL_ACCEPT;

    fn write(&self, to: &mut [u8; LARGEST]) -> usize {
        put(to, 0, 1_u32.to_ne_bytes());
        size_of::<u32>()
    }
}

/// The value of `TCP_MAXRT` that means never.
const NEVER: u32 = u32::MAX;

fn mtu_number(mtu: Option<u32>) -> u32 {
    mtu.unwrap_or(IP_UNSPECIFIED_USER_MTU)
}

fn mtu_of(number: u32) -> Option<u32> {
    (number != IP_UNSPECIFIED_USER_MTU).then_some(number)
}

/// Path MTU discovery: how the stack finds the size of the largest packet that a path allows.
#[doc(alias = "PMTUD_STATE")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MtuDiscovery {
    /// The default of the system.
    #[default]
    #[doc(alias = "IP_PMTUDISC_NOT_SET")]
    NotSet,
    /// Packets are not fragmented. A send that is larger than the known path MTU fails.
    #[doc(alias = "IP_PMTUDISC_DO")]
    Always,
    /// No discovery: packets may be fragmented.
    #[doc(alias = "IP_PMTUDISC_DONT")]
    Never,
    /// Packets are not fragmented, and may be larger than the known path MTU. For drivers that do their own discovery.
    #[doc(alias = "IP_PMTUDISC_PROBE")]
    Probe,
}

impl MtuDiscovery {
    fn number(self) -> u32 {
        let state = match self {
            Self::NotSet => PMTUD_STATE::IP_PMTUDISC_NOT_SET,
            Self::Always => PMTUD_STATE::IP_PMTUDISC_DO,
            Self::Never => PMTUD_STATE::IP_PMTUDISC_DONT,
            Self::Probe => PMTUD_STATE::IP_PMTUDISC_PROBE,
        };
        state.0.cast_unsigned()
    }

    fn of(number: u32) -> Self {
        match PMTUD_STATE(number.cast_signed()) {
            PMTUD_STATE::IP_PMTUDISC_DO => Self::Always,
            PMTUD_STATE::IP_PMTUDISC_DONT => Self::Never,
            PMTUD_STATE::IP_PMTUDISC_PROBE => Self::Probe,
            _ => Self::NotSet,
        }
    }
}

/// From where a socket receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ProtectionLevel {
    /// The default of the system: nothing was set. WSK gives this value, and does not accept it.
    #[default]
    #[doc(alias = "PROTECTION_LEVEL_DEFAULT")]
    Default,
    /// From everywhere, also through tunnels that traverse NAT (Teredo).
    #[doc(alias = "PROTECTION_LEVEL_UNRESTRICTED")]
    Unrestricted,
    /// From everywhere, except through such tunnels.
    #[doc(alias = "PROTECTION_LEVEL_EDGERESTRICTED")]
    EdgeRestricted,
    /// From the own site only.
    #[doc(alias = "PROTECTION_LEVEL_RESTRICTED")]
    Restricted,
}

impl ProtectionLevel {
    fn number(self) -> u32 {
        match self {
            Self::Default => PROTECTION_LEVEL_DEFAULT,
            Self::Unrestricted => PROTECTION_LEVEL_UNRESTRICTED,
            Self::EdgeRestricted => PROTECTION_LEVEL_EDGERESTRICTED,
            Self::Restricted => PROTECTION_LEVEL_RESTRICTED,
        }
    }

    fn of(number: u32) -> Self {
        match number {
            PROTECTION_LEVEL_UNRESTRICTED => Self::Unrestricted,
            PROTECTION_LEVEL_EDGERESTRICTED => Self::EdgeRestricted,
            PROTECTION_LEVEL_RESTRICTED => Self::Restricted,
            _ => Self::Default,
        }
    }
}

/// Any other option: its level and name, with a plain value.
///
/// Three names do not compile, because their value is a pointer, or because the crate relies on the option: `SO_WSK_SECURITY` (use
/// [`set_security_descriptor`](crate::DatagramSocket::set_security_descriptor)), `SO_WSK_EVENT_CALLBACK` (enable the events), and
/// `SO_CONDITIONAL_ACCEPT` (use [`ListenSocket::open_conditional`](crate::ListenSocket::open_conditional)). For values of more than 64
/// bytes use [`control_raw`](crate::DatagramSocket::control_raw).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::ConnectionSocket::open(&provider, wsk::Family::V4)?;
/// use wsk::option::Other;
///
/// /// `TCP_TIMESTAMPS` of `IPPROTO_TCP`.
/// type Timestamps = Other<6, 10, u32>;
///
/// socket.set_option(Other::<6, 10, u32>(1)).wait()?;
/// assert_eq!(socket.option::<Timestamps>().wait()?.0, 1);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// ```compile_fail
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new().unwrap();
/// # let provider = registration.capture(wsk::Wait::Forever).unwrap();
/// # let socket = wsk::ConnectionSocket::open(&provider, wsk::Family::V4).unwrap();
/// // The value of SO_WSK_SECURITY is a pointer.
/// socket.set_option(wsk::option::Other::<0xFFFF, 0x4001, u64>(1)).wait();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Other<const LEVEL: u32, const NAME: u32, T>(
    /// The value.
    pub T,
);

impl<const LEVEL: u32, const NAME: u32, T> sealed::Sealed for Other<LEVEL, NAME, T> {}

/// Whether only this crate may set the option.
const fn is_kept(level: u32, name: u32) -> bool {
    level == SOL_SOCKET
        && matches!(
            name,
            SO_WSK_SECURITY | SO_WSK_EVENT_CALLBACK | SO_CONDITIONAL_ACCEPT
        )
}

impl<const LEVEL: u32, const NAME: u32, T: PlainValue> SocketOption for Other<LEVEL, NAME, T> {
    const LEVEL: u32 = LEVEL;
    const NAME: u32 = {
        assert!(
            !is_kept(LEVEL, NAME),
            "the value of this option is no plain one, or `wsk` keeps account of it"
        );
        NAME
    };

    fn write(&self, to: &mut [u8; LARGEST]) -> usize {
        self.0.put(to)
    }
}

impl<const LEVEL: u32, const NAME: u32, T: PlainValue> ReadableOption for Other<LEVEL, NAME, T> {
    const SIZE: usize = T::SIZE;

    fn read(from: &[u8; LARGEST]) -> Self {
        Self(T::get(from))
    }
}

/// A value without pointers or padding: a number, `bool`, or an array of up to 64 bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plain value",
    label = "neither a number, nor `bool`, nor an array of bytes"
)]
pub trait PlainValue: sealed::Sealed + Copy {
    /// The size of the value.
    #[doc(hidden)]
    const SIZE: usize;
    #[doc(hidden)]
    fn put(self, to: &mut [u8; LARGEST]) -> usize;
    #[doc(hidden)]
    fn get(from: &[u8; LARGEST]) -> Self;
}

macro_rules! plain {
    ($($number:ty),*) => {$(
        impl sealed::Sealed for $number {}

        impl PlainValue for $number {
            const SIZE: usize = size_of::<$number>();

            fn put(self, to: &mut [u8; LARGEST]) -> usize {
                put(to, 0, self.to_ne_bytes());
                Self::SIZE
            }

            fn get(from: &[u8; LARGEST]) -> Self {
                from.first_chunk().map_or(0, |bytes| Self::from_ne_bytes(*bytes))
            }
        }
    )*};
}

plain!(u8, u16, u32, u64, i8, i16, i32, i64);

impl sealed::Sealed for bool {}

/// Four bytes, as C's `BOOL` and `DWORD`.
impl PlainValue for bool {
    const SIZE: usize = size_of::<u32>();

    fn put(self, to: &mut [u8; LARGEST]) -> usize {
        u32::from(self).put(to)
    }

    fn get(from: &[u8; LARGEST]) -> Self {
        number(from) != 0
    }
}

impl<const N: usize> sealed::Sealed for [u8; N] {}

impl<const N: usize> PlainValue for [u8; N] {
    const SIZE: usize = {
        assert!(N <= LARGEST, "no more than 64 bytes");
        N
    };

    fn put(self, to: &mut [u8; LARGEST]) -> usize {
        put(to, 0, self);
        Self::SIZE
    }

    fn get(from: &[u8; LARGEST]) -> Self {
        from.first_chunk().copied().unwrap_or([0; N])
    }
}

macro_rules! memberships {
    ($($(#[$doc:meta])* $name:ident = $option:expr, $alias:literal, $address:ident $level:expr;)*) => {$(
        $(#[$doc])*
        #[doc(alias = $alias)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name {
            /// The group's address.
            pub group: $address,
            /// The interface: for IPv4 its address, for IPv6 its index.
            pub interface: memberships!(@interface $address),
        }

        impl sealed::Sealed for $name {}

        impl SocketOption for $name {
            const LEVEL: u32 = $level;
            const NAME: u32 = $option;
            fn write(&self, to: &mut [u8; LARGEST]) -> usize {
                let group = self.group.octets();
                put(to, 0, group);
                put(to, group.len(), memberships!(@bytes $address, self.interface));
                group.len() + size_of::<u32>()
            }
        }
    )*};
    (@interface Ipv4Addr) => { Ipv4Addr };
    (@interface Ipv6Addr) => { u32 };
    (@bytes Ipv4Addr, $interface:expr) => { $interface.octets() };
    (@bytes Ipv6Addr, $interface:expr) => { $interface.to_ne_bytes() };
}

memberships! {
    /// Joins an IPv4 multicast group, on the interface with this address; with the unspecified address the stack chooses one.
    JoinV4 = IP_ADD_MEMBERSHIP, "IP_ADD_MEMBERSHIP", Ipv4Addr IP;
    /// Leaves an IPv4 multicast group.
    LeaveV4 = IP_DROP_MEMBERSHIP, "IP_DROP_MEMBERSHIP", Ipv4Addr IP;
    /// Joins an IPv6 multicast group, on the interface with this index; with 0 the stack chooses one.
    JoinV6 = IPV6_ADD_MEMBERSHIP, "IPV6_ADD_MEMBERSHIP", Ipv6Addr IPV6;
    /// Leaves an IPv6 multicast group.
    LeaveV6 = IPV6_DROP_MEMBERSHIP, "IPV6_DROP_MEMBERSHIP", Ipv6Addr IPV6;
}
