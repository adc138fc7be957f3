//! Functions that only Linux has, in addition to those of all hosts with BSD sockets.

use core::mem::{MaybeUninit, offset_of};
use std::io;
use std::os::fd::AsRawFd;

use socket2::{MaybeUninitSlice, MsgHdrMut, SockAddr, Socket};
use wsk_sys::{
    IN_RECVERR, IP_RECVERR, IPPROTO, IPPROTO_IP, IPV6_RECVERR, PMTUD_STATE, TCP_INFO_v1, TCPSTATE,
};

use super::unix::{messages, read, set, switch};
use crate::wsk::address::Family;
use crate::wsk::ancillary::{self, IPV6, Told, put};

/// Makes the host's socket keep the errors that the network reports.
pub(super) fn tell_errors(told: Told, real: &Socket, family: Family) -> io::Result<()> {
    switch(real, libc::IPPROTO_IP, libc::IP_RECVERR, told.errors_v4)?;
    if family == Family::V6 {
        switch(real, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, told.errors_v6)?;
    }
    Ok(())
}

/// Receives an error that the network has reported: the destination of the datagram, its bytes, and the report in the layout of
/// Windows.
pub(crate) fn receive_error(
    real: &Socket,
    told: Told,
) -> Option<(std::net::SocketAddr, Vec<u8>, Vec<u8>)> {
    if !told.errors_v4 && !told.errors_v6 {
        return None;
    }
    let mut from = SockAddr::from(std::net::SocketAddr::from(([0; 16], 0)));
    let mut data = vec![MaybeUninit::uninit(); 1 << 16];
    let mut room = ancillary::Room::new();
    let (length, length_of_control) = {
        let mut slices = [MaybeUninitSlice::new(&mut data)];
        let mut header = MsgHdrMut::new()
            .with_addr(&mut from)
            .with_buffers(&mut slices)
            .with_control(room.bytes());
        let length = real.recvmsg(&mut header, libc::MSG_ERRQUEUE).ok()?;
        (length, header.control_len())
    };
    // SAFETY: the host has written as many bytes of each.
    let (bytes, ancillary) = unsafe {
        (
            ancillary::written(&data[..length]).to_vec(),
            room.written(length_of_control),
        )
    };
    let mut control = Vec::new();
    for (level, kind, data) in messages(ancillary) {
        let of_v4 = (level, kind) == (libc::IPPROTO_IP, libc::IP_RECVERR);
        let of_v6 = (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR);
        if let Some(error) = read::<libc::sock_extended_err>(data)
            && (of_v4 || of_v6)
        {
            let protocol = match error.ee_origin {
                libc::SO_EE_ORIGIN_ICMP => IPPROTO::IPPROTO_ICMP,
                libc::SO_EE_ORIGIN_ICMP6 => IPPROTO::IPPROTO_ICMPV6,
                // An error of this host, which Windows reports as a status.
                _ => continue,
            };
            let mut report = [0; size_of::<IN_RECVERR>()];
            let mut member =
                |at: usize, bytes: &[u8]| report[at..at + bytes.len()].copy_from_slice(bytes);
            member(offset_of!(IN_RECVERR, protocol), &protocol.0.to_ne_bytes());
            member(offset_of!(IN_RECVERR, info), &error.ee_info.to_ne_bytes());
            member(offset_of!(IN_RECVERR, type_), &[error.ee_type]);
            member(offset_of!(IN_RECVERR, code), &[error.ee_code]);
            let (level, kind) = if of_v4 {
                (IPPROTO_IP, IP_RECVERR)
            } else {
                (IPV6, IPV6_RECVERR)
            };
            put(&mut control, level, kind, &report);
        }
    }
    Some((from.as_socket()?, bytes, control))
}

/// Chooses whether packets must not be fragmented on their way.
pub(crate) fn set_dont_fragment(real: &Socket, v6: bool, on: bool) -> io::Result<()> {
    if v6 {
        switch(real, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, on)
    } else {
        let discovery = if on {
            libc::IP_PMTUDISC_DO
        } else {
            libc::IP_PMTUDISC_DONT
        };
        set(real, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, discovery)
    }
}

/// Chooses how the host discovers the path MTU, by the number of Windows.
pub(crate) fn set_mtu_discovery(real: &Socket, v6: bool, state: u32) -> io::Result<()> {
    let discovery = match PMTUD_STATE(state.cast_signed()) {
        PMTUD_STATE::IP_PMTUDISC_DO => libc::IP_PMTUDISC_DO,
        PMTUD_STATE::IP_PMTUDISC_DONT => libc::IP_PMTUDISC_DONT,
        PMTUD_STATE::IP_PMTUDISC_PROBE => libc::IP_PMTUDISC_PROBE,
        _ => libc::IP_PMTUDISC_WANT,
    };
    if v6 {
        // IPv6 uses the same numbers as IPv4.
        set(real, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, discovery)
    } else {
        set(real, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, discovery)
    }
}

/// Chooses the interface that packets leave by, by its index.
pub(crate) fn set_unicast_interface(real: &Socket, v6: bool, index: u32) -> io::Result<()> {
    // Both options take network byte order.
    let index = index.to_be().cast_signed();
    if v6 {
        set(real, libc::IPPROTO_IPV6, IPV6_UNICAST_IF, index)
    } else {
        set(real, libc::IPPROTO_IP, IP_UNICAST_IF, index)
    }
}

/// Linux's numbers of these options. `libc` does not have them for every target.
const IP_UNICAST_IF: libc::c_int = 50;
const IPV6_UNICAST_IF: libc::c_int = 76;

/// The state of a connection, as far as the host reports it.
pub(crate) fn tcp_info(real: &Socket) -> io::Result<TCP_INFO_v1> {
    // SAFETY: all-zero bytes are such a structure of plain numbers.
    let mut told: libc::tcp_info = unsafe { core::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the socket is open while it is borrowed, and there is room for as many bytes.
    let failed = unsafe {
        libc::getsockopt(
            real.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut told).cast(),
            &raw mut length,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(TCP_INFO_v1 {
        // Translates the states of Linux to those of Windows, which have another order: closed is 7 on Linux, and established 1.
        State: TCPSTATE(match told.tcpi_state {
            1 => 4,
            2 => 2,
            3 => 3,
            4 => 5,
            5 => 6,
            6 => 10,
            8 => 7,
            9 => 9,
            10 => 1,
            11 => 8,
            _ => 0,
        }),
        Mss: told.tcpi_snd_mss,
        TimestampsEnabled: u8::from(told.tcpi_options & 1 != 0),
        RttUs: told.tcpi_rtt,
        BytesInFlight: told.tcpi_unacked.saturating_mul(told.tcpi_snd_mss),
        Cwnd: told.tcpi_snd_cwnd.saturating_mul(told.tcpi_snd_mss),
        RcvWnd: told.tcpi_rcv_space,
        BytesRetrans: told.tcpi_total_retrans.saturating_mul(told.tcpi_snd_mss),
        ..TCP_INFO_v1::default()
    })
}
