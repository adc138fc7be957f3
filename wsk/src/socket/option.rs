//! Socket options, each a type that knows its level, its name and the C type of its value; set and read with
//! [`DatagramSocket::set_option`](crate::DatagramSocket::set_option) and
//! [`DatagramSocket::option`](crate::DatagramSocket::option), which stand for `WskSetOption` and `WskGetOption` of
//! `WskControlSocket`.
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

use core::net::{Ipv4Addr, Ipv6Addr};

use wsk_sys::{
    IP_ADD_MEMBERSHIP, IP_DONTFRAGMENT, IP_DROP_MEMBERSHIP, IP_HOPLIMIT, IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL, IP_PKTINFO, IP_RECVECN, IP_RECVTOS, IP_TOS, IP_TTL, IPPROTO, IPPROTO_IP,
    IPV6_ADD_MEMBERSHIP, IPV6_DONTFRAG, IPV6_DROP_MEMBERSHIP, IPV6_HOPLIMIT, IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_LOOP, IPV6_PKTINFO, IPV6_RECVECN, IPV6_RECVTCLASS, IPV6_TCLASS,
    IPV6_UNICAST_HOPS, IPV6_V6ONLY, SO_BROADCAST, SO_EXCLUSIVEADDRUSE, SO_KEEPALIVE,
    SO_RANDOMIZE_PORT, SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SOL_SOCKET, TCP_KEEPCNT, TCP_KEEPIDLE,
    TCP_KEEPINTVL, TCP_NODELAY, UDP_RECV_MAX_COALESCED_SIZE, UDP_SEND_MSG_SIZE,
};

const IP: u32 = IPPROTO_IP;
const IPV6: u32 = IPPROTO::IPPROTO_IPV6.0.cast_unsigned();
const TCP: u32 = IPPROTO::IPPROTO_TCP.0.cast_unsigned();
const UDP: u32 = IPPROTO::IPPROTO_UDP.0.cast_unsigned();

/// The greatest size of a value.
pub(crate) const LARGEST: usize = 20;

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
    /// Writes the value as C has it; its size.
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
    /// Reads the value as C has it.
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
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(
            /// The value.
            pub $value,
        );

        impl sealed::Sealed for $name {}

        impl SocketOption for $name {
            const LEVEL: u32 = $level;
            // `SO_EXCLUSIVEADDRUSE` is the complement of another option, and negative.
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
    /// Whether no other socket may bind to the same address, whatever it allows itself.
    ExclusiveAddress(bool) = SOL_SOCKET, SO_EXCLUSIVEADDRUSE, "SO_EXCLUSIVEADDRUSE";
    /// Whether datagrams may be sent to broadcast addresses.
    Broadcast(bool) = SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST";
    /// The bytes that the stack buffers for this socket to receive.
    ReceiveBufferSize(u32) = SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF";
    /// The bytes that the stack buffers for this socket to send.
    SendBufferSize(u32) = SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF";
    /// Whether a port that WSK chooses is random.
    RandomPort(bool) = SOL_SOCKET, SO_RANDOMIZE_PORT, "SO_RANDOMIZE_PORT";
    /// Whether a connection that is silent is probed, so that it ends when the peer is no more.
    KeepAlive(bool) = SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE";
    /// The seconds of silence after which a connection is probed. Windows 10 1709 and later.
    KeepAliveIdle(u32) = TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE";
    /// The seconds between probes that are not answered. Windows 10 1709 and later.
    KeepAliveInterval(u32) = TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL";
    /// How many probes may stay without answer. Windows 10 1703 and later.
    KeepAliveCount(u32) = TCP, TCP_KEEPCNT, "TCP_KEEPCNT";
    /// Whether small amounts of bytes are sent at once rather than gathered; see also
    /// [`set_no_delay`](crate::ConnectedSocket::set_no_delay).
    NoDelay(bool) = TCP, TCP_NODELAY, "TCP_NODELAY";
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
    /// Whether received IPv4 datagrams say which address they came to.
    ReceivePacketInfoV4(bool) = IP, IP_PKTINFO, "IP_PKTINFO";
    /// Whether received IPv4 datagrams say their ECN bits.
    ReceiveEcnV4(bool) = IP, IP_RECVECN, "IP_RECVECN";
    /// Whether received IPv4 datagrams say their type of service.
    ReceiveTypeOfService(bool) = IP, IP_RECVTOS, "IP_RECVTOS";
    /// Whether received IPv4 datagrams say their time to live.
    ReceiveTimeToLive(bool) = IP, IP_HOPLIMIT, "IP_RECVTTL";
    /// Whether an IPv6 socket leaves IPv4 alone; [`Family`](crate::Family) sets it.
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
    /// Whether received IPv6 datagrams say which address they came to.
    ReceivePacketInfoV6(bool) = IPV6, IPV6_PKTINFO, "IPV6_PKTINFO";
    /// Whether received IPv6 datagrams say their hop limit.
    ReceiveHopLimit(bool) = IPV6, IPV6_HOPLIMIT, "IPV6_HOPLIMIT";
    /// Whether received IPv6 datagrams say their ECN bits.
    ReceiveEcnV6(bool) = IPV6, IPV6_RECVECN, "IPV6_RECVECN";
    /// Whether received IPv6 datagrams say their traffic class.
    ReceiveTrafficClass(bool) = IPV6, IPV6_RECVTCLASS, "IPV6_RECVTCLASS";
    /// The size of the datagrams that a long buffer is cut into; 0 cuts nothing.
    SegmentSize(u32) = UDP, UDP_SEND_MSG_SIZE, "UDP_SEND_MSG_SIZE";
    /// How many bytes of datagrams of one size may be received as one; 0 is none.
    MaxCoalescedSize(u32) = UDP, UDP_RECV_MAX_COALESCED_SIZE, "UDP_RECV_MAX_COALESCED_SIZE";
}

macro_rules! memberships {
    ($($(#[$doc:meta])* $name:ident = $option:expr, $alias:literal, $address:ident $level:expr;)*) => {$(
        $(#[$doc])*
        #[doc(alias = $alias)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            /// The group's address.
            pub group: $address,
            /// Where: see the fields of `IP_MREQ` and `IPV6_MREQ`.
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
    /// Joins an IPv4 multicast group on the interface of an address; unspecified leaves the choice to the stack.
    JoinV4 = IP_ADD_MEMBERSHIP, "IP_ADD_MEMBERSHIP", Ipv4Addr IP;
    /// Leaves an IPv4 multicast group.
    LeaveV4 = IP_DROP_MEMBERSHIP, "IP_DROP_MEMBERSHIP", Ipv4Addr IP;
    /// Joins an IPv6 multicast group on an interface by index; 0 leaves the choice to the stack.
    JoinV6 = IPV6_ADD_MEMBERSHIP, "IPV6_ADD_MEMBERSHIP", Ipv6Addr IPV6;
    /// Leaves an IPv6 multicast group.
    LeaveV6 = IPV6_DROP_MEMBERSHIP, "IPV6_DROP_MEMBERSHIP", Ipv6Addr IPV6;
}
