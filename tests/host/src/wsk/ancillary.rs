//! Control information of datagrams: translates between the `CMSGHDR` objects of Windows and the ancillary data of the host's
//! sockets. Stands for what the TCP/IP driver does with `WSASendMsg` and `WSARecvMsg`.

use core::mem::{MaybeUninit, offset_of};
use std::net::{Ipv4Addr, Ipv6Addr};

use wsk_sys::{
    CMSGHDR, IP_ECN, IP_HOPLIMIT, IP_PKTINFO, IP_RECVECN, IP_RECVERR, IP_RECVTOS, IP_TOS, IP_TTL,
    IPPROTO, IPPROTO_IP, IPV6_ECN, IPV6_HOPLIMIT, IPV6_PKTINFO, IPV6_RECVECN, IPV6_RECVERR,
    IPV6_RECVTCLASS, IPV6_TCLASS, NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED,
    UDP_COALESCED_INFO, UDP_SEND_MSG_SIZE,
};

use super::address::Family;

pub(super) const IPV6: u32 = IPPROTO::IPPROTO_IPV6.0.cast_unsigned();
#[cfg(windows)]
pub(super) const TCP: u32 = IPPROTO::IPPROTO_TCP.0.cast_unsigned();
const UDP: u32 = IPPROTO::IPPROTO_UDP.0.cast_unsigned();

/// The size of a header of Windows, and the alignment of its data and of the next header.
const HEADER: usize = size_of::<CMSGHDR>();
const ALIGNMENT: usize = align_of::<CMSGHDR>();
/// The congestion bits of a type of service or traffic class.
pub(super) const CONGESTION: i32 = 3;
/// Room for all ancillary data that a host's socket may give for one datagram.
pub(crate) const HOST_ROOM: usize = 512;

/// The control information that a driver gives with one datagram.
#[derive(Clone, Default)]
pub(crate) struct Wanted {
    pub(super) source_v4: Option<(Ipv4Addr, u32)>,
    pub(super) source_v6: Option<(Ipv6Addr, u32)>,
    pub(super) service_v4: Service,
    pub(super) service_v6: Service,
    pub(super) hops_v4: Option<i32>,
    pub(super) hops_v6: Option<i32>,
    /// The size of the datagrams that the data is cut into.
    pub(crate) segment: Option<usize>,
}

/// A type of service or traffic class, and the congestion bits in it.
#[derive(Clone, Copy, Default)]
pub(super) struct Service {
    pub(super) class: Option<i32>,
    pub(super) congestion: Option<i32>,
}

impl Service {
    /// The whole byte, if the driver gives any part of it.
    #[cfg(not(windows))]
    pub(super) fn byte(self) -> Option<i32> {
        match (self.class, self.congestion) {
            (None, None) => None,
            (class, None) => class,
            (class, Some(bits)) => Some(class.unwrap_or(0) & !CONGESTION | bits),
        }
    }
}

impl Wanted {
    /// Reads the control information that a driver gives with a datagram on a socket of `family`.
    ///
    /// # Errors
    ///
    /// `STATUS_INVALID_PARAMETER` for what isn't whole messages with data that they can have, `STATUS_NOT_SUPPORTED` for
    /// messages that this transport doesn't know.
    pub(crate) fn read(bytes: &[u8], family: Family) -> Result<Self, NTSTATUS> {
        let mut wanted = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (level, kind, data, behind) = first(rest).ok_or(STATUS_INVALID_PARAMETER)?;
            if level == IPV6 && family == Family::V4 {
                return Err(STATUS_INVALID_PARAMETER);
            }
            wanted.take(level, kind, data)?;
            rest = behind;
        }
        Ok(wanted)
    }

    fn take(&mut self, level: u32, kind: u32, data: &[u8]) -> Result<(), NTSTATUS> {
        let within = |range: core::ops::RangeInclusive<i32>| {
            let number = i32::from_ne_bytes(data.try_into().ok()?);
            range.contains(&number).then_some(number)
        };
        let known = match (level, kind) {
            (IPPROTO_IP, IP_PKTINFO) => <&[u8; 8]>::try_from(data).ok().map(|data| {
                let address = Ipv4Addr::from(part::<4>(data, 0));
                self.source_v4 = Some((address, u32::from_ne_bytes(part(data, 4))));
            }),
            (IPV6, IPV6_PKTINFO) => <&[u8; 20]>::try_from(data).ok().map(|data| {
                let address = Ipv6Addr::from(part::<16>(data, 0));
                self.source_v6 = Some((address, u32::from_ne_bytes(part(data, 16))));
            }),
            (IPPROTO_IP, IP_ECN) => {
                within(0..=CONGESTION).map(|bits| self.service_v4.congestion = Some(bits))
            }
            (IPV6, IPV6_ECN) => {
                within(0..=CONGESTION).map(|bits| self.service_v6.congestion = Some(bits))
            }
            (IPPROTO_IP, IP_TOS) => within(0..=255).map(|tos| self.service_v4.class = Some(tos)),
            (IPV6, IPV6_TCLASS) => within(0..=255).map(|class| self.service_v6.class = Some(class)),
            (IPPROTO_IP, IP_HOPLIMIT | IP_TTL) => {
                within(1..=255).map(|hops| self.hops_v4 = Some(hops))
            }
            (IPV6, IPV6_HOPLIMIT) => within(0..=255).map(|hops| self.hops_v6 = Some(hops)),
            (UDP, UDP_SEND_MSG_SIZE) => within(0..=i32::MAX)
                .map(|size| self.segment = usize::try_from(size).ok().filter(|&size| size > 0)),
            _ => return Err(STATUS_NOT_SUPPORTED),
        };
        known.ok_or(STATUS_INVALID_PARAMETER)
    }
}

/// The first message in the layout of Windows, if it is whole: its level, type and data, and the bytes behind it.
fn first(control: &[u8]) -> Option<(u32, u32, &[u8], &[u8])> {
    let header = control.first_chunk::<HEADER>()?;
    let length = usize::from_ne_bytes(part(header, offset_of!(CMSGHDR, cmsg_len)));
    let level = u32::from_ne_bytes(part(header, offset_of!(CMSGHDR, cmsg_level)));
    let kind = u32::from_ne_bytes(part(header, offset_of!(CMSGHDR, cmsg_type)));
    let data = control.get(HEADER..length)?;
    let behind = length
        .checked_next_multiple_of(ALIGNMENT)
        .and_then(|end| control.get(end..))
        .unwrap_or(&[]);
    Some((level, kind, data, behind))
}

fn part<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[offset..offset + N]);
    part
}

/// Whether the bytes are whole messages and nothing else.
pub(crate) fn is_whole(control: &[u8]) -> bool {
    let mut rest = control;
    while !rest.is_empty() {
        let Some((.., behind)) = first(rest) else {
            return false;
        };
        rest = behind;
    }
    true
}

/// Ancillary data in the host's layout, aligned for it.
#[derive(Default)]
pub(crate) struct Ancillary {
    words: Vec<u64>,
    length: usize,
}

impl Ancillary {
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the words are initialised, and `length` bytes lie inside them.
        unsafe { core::slice::from_raw_parts(self.words.as_ptr().cast(), self.length) }
    }

    /// Adds `by` zero bytes, and returns them.
    pub(super) fn grow(&mut self, by: usize) -> &mut [u8] {
        let start = self.length;
        self.length += by;
        self.words.resize(self.length.div_ceil(8), 0);
        // SAFETY: the words are initialised, and as many bytes lie inside them.
        unsafe {
            let bytes = self.words.as_mut_ptr().cast::<u8>();
            core::slice::from_raw_parts_mut(bytes.add(start), by)
        }
    }
}

/// The control information that a socket gives with received datagrams.
#[derive(Clone, Copy, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Told {
    pub(crate) info_v4: bool,
    pub(crate) info_v6: bool,
    pub(crate) tos: bool,
    pub(crate) class: bool,
    pub(crate) ecn_v4: bool,
    pub(crate) ecn_v6: bool,
    pub(crate) hops_v4: bool,
    pub(crate) hops_v6: bool,
    pub(crate) errors_v4: bool,
    pub(crate) errors_v6: bool,
}

impl Told {
    /// The switch for an option of Windows.
    pub(crate) fn switch(&mut self, level: u32, code: u32) -> Option<&mut bool> {
        Some(match (level, code) {
            (IPPROTO_IP, IP_PKTINFO) => &mut self.info_v4,
            (IPV6, IPV6_PKTINFO) => &mut self.info_v6,
            (IPPROTO_IP, IP_RECVTOS) => &mut self.tos,
            (IPV6, IPV6_RECVTCLASS) => &mut self.class,
            (IPPROTO_IP, IP_RECVECN) => &mut self.ecn_v4,
            (IPV6, IPV6_RECVECN) => &mut self.ecn_v6,
            (IPPROTO_IP, IP_HOPLIMIT) => &mut self.hops_v4,
            (IPV6, IPV6_HOPLIMIT) => &mut self.hops_v6,
            (IPPROTO_IP, IP_RECVERR) => &mut self.errors_v4,
            (IPV6, IPV6_RECVERR) => &mut self.errors_v6,
            _ => return None,
        })
    }
}

/// The number of bytes of control information that fit into `room`: whole messages, without the padding behind the last.
pub(crate) fn fitting(control: &[u8], room: usize) -> usize {
    let mut end = 0;
    let mut rest = control;
    while let Some(header) = rest.first_chunk::<HEADER>() {
        let length = usize::from_ne_bytes(part(header, offset_of!(CMSGHDR, cmsg_len)));
        let start = control.len() - rest.len();
        if start.saturating_add(length) > room {
            break;
        }
        rest = rest
            .get(length.next_multiple_of(ALIGNMENT)..)
            .unwrap_or(&[]);
        end = (control.len() - rest.len()).min(room);
    }
    end
}

/// Adds a message in the layout of Windows.
pub(super) fn put(control: &mut Vec<u8>, level: u32, kind: u32, data: &[u8]) {
    let start = control.len();
    control.resize(start + (HEADER + data.len()).next_multiple_of(ALIGNMENT), 0);
    let message = &mut control[start..];
    let mut member =
        |offset: usize, bytes: &[u8]| message[offset..offset + bytes.len()].copy_from_slice(bytes);
    let length = HEADER + data.len();
    member(offset_of!(CMSGHDR, cmsg_len), &length.to_ne_bytes());
    member(offset_of!(CMSGHDR, cmsg_level), &level.to_ne_bytes());
    member(offset_of!(CMSGHDR, cmsg_type), &kind.to_ne_bytes());
    member(HEADER, data);
}

/// Adds the message that the data joins several datagrams of `size` bytes.
pub(super) fn put_coalesced(control: &mut Vec<u8>, size: u32) {
    put(control, UDP, UDP_COALESCED_INFO, &size.to_ne_bytes());
}

/// The messages in the layout of Windows: the level, type and data of each. They end before the first incomplete message.
#[cfg(windows)]
pub(super) fn split(control: &[u8]) -> impl Iterator<Item = (u32, u32, &[u8])> {
    let mut rest = control;
    core::iter::from_fn(move || {
        let (level, kind, data, behind) = first(rest)?;
        rest = behind;
        Some((level, kind, data))
    })
}

/// Room for ancillary data, aligned as the host needs it.
pub(crate) struct Room(pub(crate) [MaybeUninit<u64>; HOST_ROOM / 8]);

impl Room {
    pub(crate) fn new() -> Self {
        Self([MaybeUninit::uninit(); HOST_ROOM / 8])
    }

    pub(crate) fn bytes(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: eight times as many bytes, which need not be initialised.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), HOST_ROOM) }
    }

    /// The first `length` bytes.
    ///
    /// # Safety
    ///
    /// They were written.
    pub(crate) unsafe fn written(&self, length: usize) -> &[u8] {
        // SAFETY: the caller says so, and no more than there are.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast(), length.min(HOST_ROOM)) }
    }
}

/// Bytes that the host has written.
///
/// # Safety
///
/// It has written all of them.
pub(crate) unsafe fn written(bytes: &[MaybeUninit<u8>]) -> &[u8] {
    // SAFETY: as many bytes, initialised, as the caller says, and borrowed for as long.
    unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wsk_sys::{STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED};

    use super::{Family, IPPROTO_IP, IPV6, Wanted, fitting, put};

    #[test]
    fn what_is_not_whole_messages_is_invalid() {
        let mut control = Vec::new();
        put(
            &mut control,
            IPPROTO_IP,
            super::IP_TOS,
            &5_i32.to_ne_bytes(),
        );
        assert!(Wanted::read(&control, Family::V4).is_ok());
        assert!(Wanted::read(&control[..20], Family::V4).is_ok(), "padding");
        for end in 1..20 {
            let status = Wanted::read(&control[..end], Family::V4).err();
            assert_eq!(status, Some(STATUS_INVALID_PARAMETER), "cut at {end}");
        }
        let refused = |level: u32, kind: u32, data: &[u8]| {
            let mut control = Vec::new();
            put(&mut control, level, kind, data);
            Wanted::read(&control, Family::V4).err()
        };
        let invalid = Some(STATUS_INVALID_PARAMETER);
        assert_eq!(refused(IPPROTO_IP, super::IP_TOS, &[1, 0]), invalid);
        assert_eq!(
            refused(IPPROTO_IP, super::IP_TOS, &256_i32.to_ne_bytes()),
            invalid
        );
        assert_eq!(
            refused(IPPROTO_IP, super::IP_ECN, &4_i32.to_ne_bytes()),
            invalid
        );
        assert_eq!(refused(IPPROTO_IP, super::IP_PKTINFO, &[0; 12]), invalid);
        assert_eq!(
            refused(IPV6, super::IPV6_ECN, &1_i32.to_ne_bytes()),
            invalid
        );
        assert_eq!(refused(77, 1, &[]), Some(STATUS_NOT_SUPPORTED));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Wanted::read(&bytes, Family::V6);
        }

        #[test]
        fn only_whole_messages_fit(data in 0_usize..20, room in 0_usize..120) {
            let mut control = Vec::new();
            for _ in 0..3 {
                put(&mut control, IPPROTO_IP, 1, &vec![7; data]);
            }
            let end = fitting(&control, room);
            prop_assert!(end <= room);
            let one = control.len() / 3;
            let whole = (0..=3).rev().find(|&count| count == 0 || (count - 1) * one + 16 + data <= room);
            prop_assert_eq!(end.div_ceil(one), whole.unwrap_or(0));
        }
    }
}
