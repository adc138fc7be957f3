//! Windows. Its user-mode sockets use the same layouts, numbers and options as drivers, so most values pass through unchanged.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;
use std::io;
use std::os::windows::io::AsRawSocket;
use std::sync::OnceLock;
use std::time::Duration;

use socket2::{SockAddr, SockAddrStorage, Socket};
use windows_sys::Win32::Networking::WinSock::{
    LPFN_WSARECVMSG, SIO_GET_EXTENSION_FUNCTION_POINTER, SIO_TCP_INFO, SOCKET, TCP_INFO_v0,
    TCPSTATE_CLOSED, TCPSTATE_FIN_WAIT_2, TCPSTATE_TIME_WAIT, WSABUF, WSAEMSGSIZE, WSAENOBUFS,
    WSAENOPROTOOPT, WSAID_WSARECVMSG, WSAIoctl, WSAMSG, getsockopt, setsockopt,
};
use wsk_sys::{
    AF_INET, AF_INET6, AF_UNSPEC, AI_ADDRCONFIG, AI_ALL, AI_CANONNAME, AI_FQDN, AI_NUMERICHOST,
    AI_NUMERICSERV, AI_PASSIVE, AI_V4MAPPED, IP_DONTFRAGMENT, IP_ECN, IP_HOPLIMIT, IP_MTU_DISCOVER,
    IP_PKTINFO, IP_RECVECN, IP_RECVERR, IP_RECVTOS, IP_TOS, IP_TTL, IP_UNICAST_IF, IPPROTO_IP,
    IPV6_DONTFRAG, IPV6_ECN, IPV6_HOPLIMIT, IPV6_MTU_DISCOVER, IPV6_PKTINFO, IPV6_RECVECN,
    IPV6_RECVERR, IPV6_RECVTCLASS, IPV6_TCLASS, IPV6_UNICAST_IF, NI_DGRAM, NI_NAMEREQD, NI_NOFQDN,
    NI_NUMERICHOST, NI_NUMERICSERV, SOCK_DGRAM, SOCK_STREAM, TCP_KEEPIDLE, TCP_KEEPINTVL,
};

use crate::wsk::address::Family;
use crate::wsk::ancillary::{Ancillary, IPV6, TCP, Told, Wanted, put, split};

pub(crate) const SEND_FLAGS: i32 = 0;
/// Makes the last byte of a send urgent.
pub(crate) const URGENT: i32 = windows_sys::Win32::Networking::WinSock::MSG_OOB;
/// The size that a socket's send buffer needs for datagrams of the largest size: the default is enough.
pub(crate) const ROOM_FOR_DATAGRAMS: Option<usize> = None;

/// Whether closed connections block their port for a listener for a while.
pub(crate) const OLD_CONNECTIONS_BLOCK: bool = false;

/// Errors without a kind in the standard library.
pub(crate) const MESSAGE_TOO_LONG: i32 = WSAEMSGSIZE;
pub(crate) const NO_SUCH_OPTION: i32 = WSAENOPROTOOPT;
pub(crate) const NO_BUFFERS: i32 = WSAENOBUFS;
/// The resolver's error for a name that has no address of the requested family. Windows reports that there is no such host instead;
/// Wine gives this number, which other hosts use.
pub(crate) const ADDRESS_FAMILY_UNKNOWN: i32 = -9;

/// Flags for the resolver, unchanged.
pub(crate) const RESOLVER_FLAGS: [(u32, i32); 8] = same([
    AI_PASSIVE,
    AI_CANONNAME,
    // Only the wide functions know this flag; the name is the same.
    AI_FQDN,
    AI_NUMERICHOST,
    AI_NUMERICSERV,
    AI_ALL,
    AI_V4MAPPED,
    AI_ADDRCONFIG,
]);

/// Flags for names of addresses, unchanged.
pub(crate) const NAME_FLAGS: [(u32, i32); 5] = same([
    NI_NOFQDN,
    NI_NUMERICHOST,
    NI_NAMEREQD,
    NI_NUMERICSERV,
    NI_DGRAM,
]);

const fn same<const N: usize>(flags: [u32; N]) -> [(u32, i32); N] {
    let mut same = [(0, 0); N];
    let mut index = 0;
    while index < N {
        let flag = flags[index];
        let own = if flag == AI_FQDN { AI_CANONNAME } else { flag };
        same[index] = (flag, own.cast_signed());
        index += 1;
    }
    same
}

/// The number of an address family.
pub(crate) fn family(family: u16) -> Option<i32> {
    matches!(family, AF_UNSPEC | AF_INET | AF_INET6).then(|| family.into())
}

/// The number of a kind of sockets. 0 leaves the kind open.
pub(crate) fn kind(kind: u16) -> Option<i32> {
    matches!(kind, 0 | SOCK_STREAM | SOCK_DGRAM).then(|| kind.into())
}

/// The provider has no sockets of `AF_UNIX` on Windows.
pub(crate) fn path(_: &SockAddr) -> String {
    String::new()
}

/// Whether the error says that the connect goes on in the background.
pub(crate) fn in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn raw(real: &Socket) -> SOCKET {
    real.as_raw_socket() as SOCKET
}

fn outcome(failed: i32) -> io::Result<()> {
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Carries out a control operation on the host's socket, with its input and the place for its output.
fn control<I, O>(
    real: &Socket,
    code: u32,
    input: &I,
    output: &mut MaybeUninit<O>,
) -> io::Result<()> {
    let mut returned = 0;
    // SAFETY: the socket is open while it is borrowed, and both places have the sizes that are told.
    outcome(unsafe {
        WSAIoctl(
            raw(real),
            code,
            ptr::from_ref(input).cast(),
            size_of::<I>() as u32,
            output.as_mut_ptr().cast(),
            size_of::<O>() as u32,
            &raw mut returned,
            ptr::null_mut(),
            None,
        )
    })
}

fn set_option(real: &Socket, level: u32, name: u32, value: u32) -> io::Result<()> {
    // SAFETY: the socket is open while it is borrowed, and the value is a number of that size.
    outcome(unsafe {
        setsockopt(
            raw(real),
            level.cast_signed(),
            name.cast_signed(),
            (&raw const value).cast(),
            size_of::<u32>() as i32,
        )
    })
}

fn option(real: &Socket, level: u32, name: u32) -> io::Result<u32> {
    let (mut value, mut size) = (0_u32, size_of::<u32>() as i32);
    // SAFETY: the socket is open while it is borrowed, and the place has the size that is told.
    outcome(unsafe {
        getsockopt(
            raw(real),
            level.cast_signed(),
            name.cast_signed(),
            (&raw mut value).cast(),
            &raw mut size,
        )
    })?;
    Ok(value)
}

/// The number of bytes that the peer hasn't acknowledged. The end of the stream counts too.
pub(crate) fn unacknowledged(real: &Socket) -> i32 {
    let version = 0_u32;
    let mut info = MaybeUninit::<TCP_INFO_v0>::uninit();
    // Windows has this operation from Windows 10, version 1703, on.
    if control(real, SIO_TCP_INFO, &version, &mut info).is_err() {
        return 0;
    }
    // SAFETY: the host has filled it in.
    let info = unsafe { info.assume_init() };
    let acknowledged = matches!(
        info.State,
        TCPSTATE_CLOSED | TCPSTATE_FIN_WAIT_2 | TCPSTATE_TIME_WAIT
    );
    // The number of bytes does not include the end of the stream.
    if acknowledged {
        0
    } else {
        info.BytesInFlight.max(1).cast_signed()
    }
}

pub(crate) fn tcp_keepalive_time(real: &Socket) -> io::Result<Duration> {
    option(real, TCP, TCP_KEEPIDLE).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(crate) fn tcp_keepalive_interval(real: &Socket) -> io::Result<Duration> {
    option(real, TCP, TCP_KEEPINTVL).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(crate) fn tclass(real: &Socket) -> io::Result<u32> {
    option(real, IPV6, IPV6_TCLASS)
}

pub(crate) fn set_tclass(real: &Socket, class: u32) -> io::Result<()> {
    set_option(real, IPV6, IPV6_TCLASS, class)
}

/// On Windows the errors arrive with the received datagrams.
pub(crate) fn receive_error(
    _: &Socket,
    _: Told,
) -> Option<(std::net::SocketAddr, Vec<u8>, Vec<u8>)> {
    None
}

/// Chooses whether packets must not be fragmented on their way.
pub(crate) fn set_dont_fragment(real: &Socket, v6: bool, on: bool) -> io::Result<()> {
    let (level, name) = if v6 {
        (IPV6, IPV6_DONTFRAG)
    } else {
        (IPPROTO_IP, IP_DONTFRAGMENT)
    };
    set_option(real, level, name, u32::from(on))
}

/// Chooses how the host discovers the path MTU.
pub(crate) fn set_mtu_discovery(real: &Socket, v6: bool, state: u32) -> io::Result<()> {
    let (level, name) = if v6 {
        (IPV6, IPV6_MTU_DISCOVER)
    } else {
        (IPPROTO_IP, IP_MTU_DISCOVER)
    };
    set_option(real, level, name, state)
}

/// Chooses the interface that packets leave by, by its index.
pub(crate) fn set_unicast_interface(real: &Socket, v6: bool, index: u32) -> io::Result<()> {
    if v6 {
        set_option(real, IPV6, IPV6_UNICAST_IF, index)
    } else {
        set_option(real, IPPROTO_IP, IP_UNICAST_IF, index.to_be())
    }
}

/// The state of a connection.
pub(crate) fn tcp_info(real: &Socket) -> io::Result<wsk_sys::TCP_INFO_v1> {
    let mut info = MaybeUninit::<wsk_sys::TCP_INFO_v1>::zeroed();
    control(real, SIO_TCP_INFO, &1_u32, &mut info)?;
    // SAFETY: every byte was zeroed, and every bit pattern is such a structure of numbers.
    Ok(unsafe { info.assume_init() })
}

/// The function that receives with control information. Windows gives its address on request.
fn receive_function(real: &Socket) -> io::Result<LPFN_WSARECVMSG> {
    static FUNCTION: OnceLock<usize> = OnceLock::new();
    let address = if let Some(address) = FUNCTION.get() {
        *address
    } else {
        let mut function = MaybeUninit::<usize>::uninit();
        let code = SIO_GET_EXTENSION_FUNCTION_POINTER;
        control(real, code, &WSAID_WSARECVMSG, &mut function)?;
        // SAFETY: the host has filled it in.
        *FUNCTION.get_or_init(|| unsafe { function.assume_init() })
    };
    // SAFETY: the host gave the address of this very function, and an optional function pointer is as large as an address.
    Ok(unsafe {
        core::mem::transmute::<*const c_void, LPFN_WSARECVMSG>(ptr::with_exposed_provenance(
            address,
        ))
    })
}

/// Receives a datagram with its control information; returns the sizes of both.
pub(crate) fn receive(
    real: &Socket,
    from: &mut SockAddr,
    data: &mut [MaybeUninit<u8>],
    control: &mut [MaybeUninit<u8>],
) -> io::Result<(usize, usize)> {
    let function = receive_function(real)?.ok_or(io::ErrorKind::Unsupported)?;
    let mut buffer = WSABUF {
        len: data.len() as u32,
        buf: data.as_mut_ptr().cast(),
    };
    let mut storage = SockAddrStorage::zeroed();
    let mut message = WSAMSG {
        name: (&raw mut storage).cast(),
        namelen: storage.size_of(),
        lpBuffers: &raw mut buffer,
        dwBufferCount: 1,
        Control: WSABUF {
            len: control.len() as u32,
            buf: control.as_mut_ptr().cast(),
        },
        dwFlags: 0,
    };
    let mut length = 0;
    // SAFETY: the socket is open while it is borrowed, and all places have the sizes that are told.
    outcome(unsafe {
        function(
            raw(real),
            &raw mut message,
            &raw mut length,
            ptr::null_mut(),
            None,
        )
    })?;
    // SAFETY: the host has written an address of that length.
    *from = unsafe { SockAddr::new(storage, message.namelen) };
    Ok((length as usize, message.Control.len as usize))
}

/// Gives the host the driver's control information: the same messages, except those that the provider handles.
pub(crate) fn ancillary(wanted: &Wanted) -> Ancillary {
    let mut control = Vec::new();
    if let Some((address, interface)) = wanted.source_v4 {
        let mut data = [0; 8];
        data[..4].copy_from_slice(&address.octets());
        data[4..].copy_from_slice(&interface.to_ne_bytes());
        put(&mut control, IPPROTO_IP, IP_PKTINFO, &data);
    }
    if let Some((address, interface)) = wanted.source_v6 {
        let mut data = [0; 20];
        data[..16].copy_from_slice(&address.octets());
        data[16..].copy_from_slice(&interface.to_ne_bytes());
        put(&mut control, IPV6, IPV6_PKTINFO, &data);
    }
    let numbers = [
        (IPPROTO_IP, IP_TOS, wanted.service_v4.class),
        (IPPROTO_IP, IP_ECN, wanted.service_v4.congestion),
        (IPV6, IPV6_TCLASS, wanted.service_v6.class),
        (IPV6, IPV6_ECN, wanted.service_v6.congestion),
        (IPPROTO_IP, IP_TTL, wanted.hops_v4),
        (IPV6, IPV6_HOPLIMIT, wanted.hops_v6),
    ];
    for (level, kind, number) in numbers {
        if let Some(number) = number {
            put(&mut control, level, kind, &number.to_ne_bytes());
        }
    }
    let mut host = Ancillary::default();
    host.grow(control.len()).copy_from_slice(&control);
    host
}

/// Makes the host's socket give exactly the control information that the driver has asked for.
pub(crate) fn apply(told: Told, real: &Socket, family: Family) -> io::Result<()> {
    let v4 = [
        (IPPROTO_IP, IP_PKTINFO, told.info_v4),
        (IPPROTO_IP, IP_RECVTOS, told.tos),
        (IPPROTO_IP, IP_RECVECN, told.ecn_v4),
        (IPPROTO_IP, IP_HOPLIMIT, told.hops_v4),
        (IPPROTO_IP, IP_RECVERR, told.errors_v4),
    ];
    let v6 = [
        (IPV6, IPV6_PKTINFO, told.info_v6),
        (IPV6, IPV6_RECVTCLASS, told.class),
        (IPV6, IPV6_RECVECN, told.ecn_v6),
        (IPV6, IPV6_HOPLIMIT, told.hops_v6),
        (IPV6, IPV6_RECVERR, told.errors_v6),
    ];
    let of_v6 = v6.iter().filter(|_| family == Family::V6);
    for &(level, name, on) in v4.iter().chain(of_v6) {
        match set_option(real, level, name, u32::from(on)) {
            // An option that this version of Windows doesn't have is off.
            Err(error) if on => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The messages of the host that the driver has asked for.
pub(crate) fn translate(mut told: Told, ancillary: &[u8]) -> Vec<u8> {
    let mut control = Vec::new();
    for (level, kind, data) in split(ancillary) {
        // Some messages have another number than the option that asks for them.
        let switch = match (level, kind) {
            (IPPROTO_IP, IP_TOS) => IP_RECVTOS,
            (IPV6, IPV6_TCLASS) => IPV6_RECVTCLASS,
            (_, kind) => kind,
        };
        if told.switch(level, switch).is_some_and(|on| *on) {
            put(&mut control, level, kind, data);
        }
    }
    control
}
