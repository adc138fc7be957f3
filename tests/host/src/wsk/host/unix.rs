//! Hosts with BSD sockets: Linux, macOS and their kin.

use core::mem::MaybeUninit;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{MaybeUninitSlice, MsgHdrMut, SockAddr, Socket};
use wsk_sys::{
    AF_INET, AF_INET6, AF_UNSPEC, AI_ADDRCONFIG, AI_ALL, AI_CANONNAME, AI_FQDN, AI_NUMERICHOST,
    AI_NUMERICSERV, AI_PASSIVE, AI_V4MAPPED, IP_ECN, IP_HOPLIMIT, IP_PKTINFO, IP_TOS, IPPROTO_IP,
    IPV6_ECN, IPV6_HOPLIMIT, IPV6_PKTINFO, IPV6_TCLASS, NI_DGRAM, NI_NAMEREQD, NI_NOFQDN,
    NI_NUMERICHOST, NI_NUMERICSERV, SOCK_DGRAM, SOCK_STREAM,
};

use super::more;
use crate::wsk::address::Family;
use crate::wsk::ancillary::{Ancillary, CONGESTION, IPV6, Told, Wanted, put};

/// A send to a peer that is gone gives an error instead of a signal.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const SEND_FLAGS: i32 = 0;
/// Makes the last byte of a send urgent.
pub(crate) const URGENT: i32 = libc::MSG_OOB;
/// The size that a socket's send buffer needs for datagrams of the largest size; `None` where the default is enough.
pub(crate) const ROOM_FOR_DATAGRAMS: Option<usize> = if cfg!(target_vendor = "apple") {
    Some(1 << 16)
} else {
    None
};

/// Whether closed connections block their port for a listener for a while.
pub(crate) const OLD_CONNECTIONS_BLOCK: bool = true;

/// Errors without a kind in the standard library.
pub(crate) const MESSAGE_TOO_LONG: i32 = libc::EMSGSIZE;
pub(crate) const NO_SUCH_OPTION: i32 = libc::ENOPROTOOPT;
pub(crate) const NO_BUFFERS: i32 = libc::ENOBUFS;
/// The resolver's error for a name that has no address of the requested family.
pub(crate) const ADDRESS_FAMILY_UNKNOWN: i32 = if cfg!(target_os = "linux") { -9 } else { 1 };

/// Flags for the resolver: each of Windows with the host's.
pub(crate) const RESOLVER_FLAGS: [(u32, i32); 8] = [
    (AI_PASSIVE, libc::AI_PASSIVE),
    (AI_CANONNAME, libc::AI_CANONNAME),
    (AI_FQDN, libc::AI_CANONNAME),
    (AI_NUMERICHOST, libc::AI_NUMERICHOST),
    (AI_NUMERICSERV, libc::AI_NUMERICSERV),
    (AI_ALL, libc::AI_ALL),
    (AI_V4MAPPED, libc::AI_V4MAPPED),
    (AI_ADDRCONFIG, libc::AI_ADDRCONFIG),
];

/// Flags for names of addresses: each of Windows with the host's.
pub(crate) const NAME_FLAGS: [(u32, i32); 5] = [
    (NI_NOFQDN, libc::NI_NOFQDN),
    (NI_NUMERICHOST, libc::NI_NUMERICHOST),
    (NI_NAMEREQD, libc::NI_NAMEREQD),
    (NI_NUMERICSERV, libc::NI_NUMERICSERV),
    (NI_DGRAM, libc::NI_DGRAM),
];

/// The host's number of an address family.
pub(crate) fn family(family: u16) -> Option<i32> {
    match family {
        AF_UNSPEC => Some(libc::AF_UNSPEC),
        AF_INET => Some(libc::AF_INET),
        AF_INET6 => Some(libc::AF_INET6),
        _ => None,
    }
}

/// The host's number of a kind of sockets. 0 leaves the kind open.
pub(crate) fn kind(kind: u16) -> Option<i32> {
    match kind {
        0 => Some(0),
        SOCK_STREAM => Some(libc::SOCK_STREAM),
        SOCK_DGRAM => Some(libc::SOCK_DGRAM),
        _ => None,
    }
}

/// The path of an address of `AF_UNIX`; empty for a socket without a name.
pub(crate) fn path(address: &SockAddr) -> String {
    let path = address.as_pathname();
    path.map(|path| path.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Whether the error says that the connect goes on in the background.
pub(crate) fn in_progress(error: &io::Error) -> bool {
    // EINPROGRESS has no kind of its own everywhere.
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// The number of bytes that the peer hasn't acknowledged. The end of the stream counts too.
#[cfg(target_vendor = "apple")]
pub(crate) fn unacknowledged(real: &Socket) -> i32 {
    /// `TCPS_FIN_WAIT_1`, `TCPS_CLOSING`, `TCPS_LAST_ACK`
    const END_NOT_ACKNOWLEDGED: [u8; 3] = [6, 7, 8];

    fn option<T>(real: &Socket, level: libc::c_int, name: libc::c_int) -> Option<MaybeUninit<T>> {
        let mut told = MaybeUninit::<T>::zeroed();
        let mut length = size_of::<T>() as libc::socklen_t;
        // SAFETY: the socket is open while it is borrowed, and there is room for as many bytes.
        let failed = unsafe {
            libc::getsockopt(
                real.as_raw_fd(),
                level,
                name,
                told.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        (failed == 0).then_some(told)
    }

    let bytes = option::<libc::c_int>(real, libc::SOL_SOCKET, libc::SO_NWRITE);
    let info =
        option::<libc::tcp_connection_info>(real, libc::IPPROTO_TCP, libc::TCP_CONNECTION_INFO);
    // SAFETY: both were zeroed, which is such a number and such a structure of numbers, and the host has written no less.
    let (bytes, state) = unsafe {
        (
            bytes.map_or(0, |bytes| bytes.assume_init()),
            info.map(|info| info.assume_init().tcpi_state),
        )
    };
    let end = state.is_some_and(|state| END_NOT_ACKNOWLEDGED.contains(&state));
    bytes + i32::from(end)
}

/// The number of bytes that the peer hasn't acknowledged. The end of the stream counts too.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn unacknowledged(real: &Socket) -> i32 {
    let mut bytes = 0;
    // SAFETY: the descriptor is open, and the request writes one integer there.
    let failed = unsafe { libc::ioctl(real.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) } != 0;
    if failed { 0 } else { bytes }
}

pub(crate) fn tcp_keepalive_time(real: &Socket) -> io::Result<Duration> {
    real.tcp_keepalive_time()
}

pub(crate) fn tcp_keepalive_interval(real: &Socket) -> io::Result<Duration> {
    real.tcp_keepalive_interval()
}

pub(crate) fn tclass(real: &Socket) -> io::Result<u32> {
    real.tclass_v6()
}

pub(crate) fn set_tclass(real: &Socket, class: u32) -> io::Result<()> {
    real.set_tclass_v6(class)
}

/// Receives a datagram with its ancillary data; returns the sizes of both.
pub(crate) fn receive(
    real: &Socket,
    from: &mut SockAddr,
    data: &mut [MaybeUninit<u8>],
    control: &mut [MaybeUninit<u8>],
) -> io::Result<(usize, usize)> {
    let mut data = [MaybeUninitSlice::new(data)];
    let mut header = MsgHdrMut::new()
        .with_addr(from)
        .with_buffers(&mut data)
        .with_control(control);
    let length = real.recvmsg(&mut header, 0)?;
    Ok((length, header.control_len()))
}

/// Translates a driver's control information to ancillary data. Parts that the host's socket handles by itself are left out.
pub(crate) fn ancillary(wanted: &Wanted) -> Ancillary {
    let mut host = Ancillary::default();
    if let Some((address, interface)) = wanted.source_v4 {
        // SAFETY: all-zero bytes are such a structure of plain numbers.
        let mut info: libc::in_pktinfo = unsafe { core::mem::zeroed() };
        info.ipi_spec_dst.s_addr = u32::from_ne_bytes(address.octets());
        info.ipi_ifindex = interface as _;
        push(&mut host, libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
    }
    if let Some((address, interface)) = wanted.source_v6 {
        // SAFETY: all-zero bytes are such a structure of plain numbers.
        let mut info: libc::in6_pktinfo = unsafe { core::mem::zeroed() };
        info.ipi6_addr.s6_addr = address.octets();
        info.ipi6_ifindex = interface as _;
        push(&mut host, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
    }
    if let Some(tos) = wanted.service_v4.byte() {
        push(&mut host, libc::IPPROTO_IP, libc::IP_TOS, &tos);
    }
    if let Some(class) = wanted.service_v6.byte() {
        push(&mut host, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &class);
    }
    if let Some(hops) = wanted.hops_v4 {
        push(&mut host, libc::IPPROTO_IP, libc::IP_TTL, &hops);
    }
    if let Some(hops) = wanted.hops_v6 {
        push(&mut host, libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &hops);
    }
    host
}

/// Adds a message in the host's layout.
fn push<T: Copy>(ancillary: &mut Ancillary, level: i32, kind: i32, data: &T) {
    let size = u32::try_from(size_of::<T>()).expect("messages are small");
    // SAFETY: these compute sizes, and nothing else.
    let (length, space) = unsafe { (libc::CMSG_LEN(size), libc::CMSG_SPACE(size)) };
    // SAFETY: all-zero bytes are a header of plain numbers.
    let mut header: libc::cmsghdr = unsafe { core::mem::zeroed() };
    header.cmsg_len = length as _;
    header.cmsg_level = level;
    header.cmsg_type = kind;
    let message = ancillary.grow(space as usize).as_mut_ptr();
    // SAFETY: there is room for the message, as the host counts it.
    unsafe {
        message.cast::<libc::cmsghdr>().write_unaligned(header);
        message
            .add(libc::CMSG_LEN(0) as usize)
            .cast::<T>()
            .write_unaligned(*data);
    }
}

/// Makes the host's socket give exactly the control information that the driver has asked for.
pub(crate) fn apply(told: Told, real: &Socket, family: Family) -> io::Result<()> {
    let v4 = [
        (libc::IP_PKTINFO, told.info_v4),
        (libc::IP_RECVTOS, told.tos || told.ecn_v4),
        (libc::IP_RECVTTL, told.hops_v4),
    ];
    let v6 = [
        (libc::IPV6_RECVPKTINFO, told.info_v6),
        (libc::IPV6_RECVTCLASS, told.class || told.ecn_v6),
        (libc::IPV6_RECVHOPLIMIT, told.hops_v6),
    ];
    for (name, on) in v4 {
        // Not every host has these options for IPv6 sockets, which need them for mapped addresses only.
        match switch(real, libc::IPPROTO_IP, name, on) {
            Err(error) if family == Family::V4 || on => return Err(error),
            _ => {}
        }
    }
    if family == Family::V6 {
        for (name, on) in v6 {
            switch(real, libc::IPPROTO_IPV6, name, on)?;
        }
    }
    more::tell_errors(told, real, family)
}

/// Turns an option of the host's socket on or off.
pub(super) fn switch(real: &Socket, level: i32, name: i32, on: bool) -> io::Result<()> {
    set(real, level, name, libc::c_int::from(on))
}

/// Sets an option of the host's socket.
pub(super) fn set(real: &Socket, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the socket is open while it is borrowed, and the value is an int of that size.
    let failed = unsafe {
        libc::setsockopt(
            real.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Translates the ancillary data of a datagram to the control information of Windows.
pub(crate) fn translate(told: Told, ancillary: &[u8]) -> Vec<u8> {
    let mut control = Vec::new();
    for (level, kind, data) in messages(ancillary) {
        let number = match data {
            [byte] => i32::from(*byte),
            bytes => bytes
                .first_chunk()
                .map_or(0, |four| i32::from_ne_bytes(*four)),
        };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if told.info_v4 => {
                if let Some(info) = read::<libc::in_pktinfo>(data) {
                    let mut data = [0; 8];
                    data[..4].copy_from_slice(&info.ipi_addr.s_addr.to_ne_bytes());
                    data[4..].copy_from_slice(&(info.ipi_ifindex as u32).to_ne_bytes());
                    put(&mut control, IPPROTO_IP, IP_PKTINFO, &data);
                }
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if told.info_v6 => {
                if let Some(info) = read::<libc::in6_pktinfo>(data)
                    // Datagrams that came over IPv4 have an `IP_PKTINFO` instead, if the driver wants it.
                    && Ipv6Addr::from(info.ipi6_addr.s6_addr).to_ipv4_mapped().is_none()
                {
                    let mut data = [0; 20];
                    data[..16].copy_from_slice(&info.ipi6_addr.s6_addr);
                    data[16..].copy_from_slice(&(info.ipi6_ifindex as u32).to_ne_bytes());
                    put(&mut control, IPV6, IPV6_PKTINFO, &data);
                }
            }
            (libc::IPPROTO_IP, libc::IP_TOS | libc::IP_RECVTOS) => {
                if told.tos {
                    put(&mut control, IPPROTO_IP, IP_TOS, &number.to_ne_bytes());
                }
                if told.ecn_v4 {
                    let bits = number & CONGESTION;
                    put(&mut control, IPPROTO_IP, IP_ECN, &bits.to_ne_bytes());
                }
            }
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                if told.class {
                    put(&mut control, IPV6, IPV6_TCLASS, &number.to_ne_bytes());
                }
                if told.ecn_v6 {
                    let bits = number & CONGESTION;
                    put(&mut control, IPV6, IPV6_ECN, &bits.to_ne_bytes());
                }
            }
            (libc::IPPROTO_IP, libc::IP_TTL | libc::IP_RECVTTL) if told.hops_v4 => {
                put(&mut control, IPPROTO_IP, IP_HOPLIMIT, &number.to_ne_bytes());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) if told.hops_v6 => {
                put(&mut control, IPV6, IPV6_HOPLIMIT, &number.to_ne_bytes());
            }
            _ => {}
        }
    }
    control
}

/// The messages that the host has written: the level, type and data of each.
pub(super) fn messages(ancillary: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    // SAFETY: this computes a size, and nothing else.
    let header = unsafe { libc::CMSG_LEN(0) } as usize;
    let mut rest = ancillary;
    core::iter::from_fn(move || {
        let now = read::<libc::cmsghdr>(rest)?;
        let length = now.cmsg_len as usize;
        let data = rest.get(header..length)?;
        // SAFETY: this computes a size, and nothing else.
        let space = unsafe { libc::CMSG_SPACE(u32::try_from(data.len()).ok()?) } as usize;
        rest = rest.get(space..).unwrap_or(&[]);
        Some((now.cmsg_level, now.cmsg_type, data))
    })
}

/// Reads a structure of plain numbers from the start of `bytes`, if there are enough bytes.
pub(super) fn read<T: Copy>(bytes: &[u8]) -> Option<T> {
    (bytes.len() >= size_of::<T>()).then(|| {
        // SAFETY: there are as many bytes; the structures of the host that are read here hold numbers only.
        unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
    })
}
