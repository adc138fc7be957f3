//! Socket options of `WskControlSocket`.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use socket2::TcpKeepalive;
use wsk_sys::{
    IP_ADD_MEMBERSHIP, IP_DONTFRAGMENT, IP_DROP_MEMBERSHIP, IP_MTU_DISCOVER, IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL, IP_OPTIONS, IP_PROTECTION_LEVEL, IP_TOS, IP_TTL, IP_UNICAST_IF,
    IP_UNSPECIFIED_USER_MTU, IP_USER_MTU, IPPROTO, IPPROTO_IP, IPV6_ADD_MEMBERSHIP, IPV6_DONTFRAG,
    IPV6_DROP_MEMBERSHIP, IPV6_MTU_DISCOVER, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP,
    IPV6_PROTECTION_LEVEL, IPV6_TCLASS, IPV6_UNICAST_HOPS, IPV6_UNICAST_IF, IPV6_USER_MTU,
    IPV6_V6ONLY, NTSTATUS, PMTUD_STATE, PROTECTION_LEVEL_DEFAULT, PROTECTION_LEVEL_EDGERESTRICTED,
    PROTECTION_LEVEL_RESTRICTED, PROTECTION_LEVEL_UNRESTRICTED, SO_ACCEPTCONN, SO_BROADCAST,
    SO_CONDITIONAL_ACCEPT, SO_EXCLUSIVEADDRUSE, SO_KEEPALIVE, SO_OOBINLINE, SO_RANDOMIZE_PORT,
    SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SO_TYPE, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET,
    STATUS_FILE_FORCED_CLOSED, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED, STATUS_SUCCESS, TCP_EXPEDITED_1122, TCP_FASTOPEN, TCP_KEEPCNT,
    TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_MAXRT, TCP_NODELAY, TCP_TIMESTAMPS,
    UDP_RECV_MAX_COALESCED_SIZE, UDP_SEND_MSG_SIZE,
};

use super::Control;
use crate::wsk::ancillary::Told;
use crate::wsk::listen::Listening;
use crate::wsk::socket::Category;
use crate::wsk::{address, connection, host};

const IPV6: u32 = IPPROTO::IPPROTO_IPV6.0.cast_unsigned();
const UDP: u32 = IPPROTO::IPPROTO_UDP.0.cast_unsigned();
const TCP: u32 = IPPROTO::IPPROTO_TCP.0.cast_unsigned();
/// The number of ways to discover the path MTU.
const PMTUD_STATES: u32 = PMTUD_STATE::IP_PMTUDISC_MAX.0.cast_unsigned();
const EXCLUSIVE: u32 = SO_EXCLUSIVEADDRUSE.cast_unsigned();

/// The option values that the driver has set. The host's socket may keep other values, or none.
#[derive(Default)]
pub(crate) struct Options {
    set: BTreeMap<(u32, u32), u32>,
    told: Told,
}

impl Options {
    /// The control information that received datagrams come with.
    pub(crate) fn told(&self) -> Told {
        self.told
    }

    /// Whether the driver has set `SO_REUSEADDR`.
    pub(crate) fn shares(&self) -> bool {
        self.set
            .get(&(SOL_SOCKET, SO_REUSEADDR))
            .is_some_and(|on| *on != 0)
    }

    /// The most bytes that a receive of joined datagrams gives; `None` when the driver receives each datagram separately.
    pub(crate) fn coalesced(&self) -> Option<usize> {
        let most = *self.set.get(&(UDP, UDP_RECV_MAX_COALESCED_SIZE))?;
        (most > 0).then_some(most as usize)
    }

    /// The size of the datagrams that longer data is cut into; `None` when data is not cut.
    pub(crate) fn segment(&self) -> Option<usize> {
        let size = *self.set.get(&(UDP, UDP_SEND_MSG_SIZE))?;
        (size > 0).then_some(size as usize)
    }
}

fn seconds(value: u32) -> Duration {
    Duration::from_secs(u64::from(value))
}

impl Control {
    /// Sets an option, and carries out what follows from the new value.
    pub(super) fn change_option(&self) -> NTSTATUS {
        if self.is_security() {
            return self.set_security();
        }
        if let Some(joined) = self.membership() {
            return joined;
        }
        let status = self.set_option();
        if status == STATUS_SUCCESS
            && (self.level, self.code) == (SOL_SOCKET, SO_SNDBUF)
            && self.socket.category.connection().is_some()
        {
            // The ideal send backlog may have changed.
            connection::kick(&self.socket);
        }
        status
    }

    /// Sets an option whose value is a number.
    fn set_option(&self) -> NTSTATUS {
        if (self.level, self.code) == (IPPROTO_IP, IP_OPTIONS) && self.input.length == 0 {
            // Setting no IP options succeeds: the socket has none.
            return STATUS_SUCCESS;
        }
        let Some(value) = self.number() else {
            return STATUS_INVALID_PARAMETER;
        };
        let on = value != 0;
        if let Some(listening) = self.conditional() {
            return listening.set_conditional(on);
        }
        // Seen in drivers that read the option back: the driver sets the interface index in network byte order.
        let value = if (self.level, self.code) == (IPPROTO_IP, IP_UNICAST_IF) {
            u32::from_be(value)
        } else {
            value
        };
        let mut options = self.socket.options.lock();
        let mut told = options.told;
        let telling = told
            .switch(self.level, self.code)
            .map(|switch| *switch = on)
            .is_some();
        let done = self.socket.with_real(|real| {
            if telling {
                host::apply(told, real, self.socket.family).map(Some)
            } else {
                self.write_option(real, value)
            }
        });
        match done {
            Some(Ok(Some(()))) => {
                options.told = told;
                options.set.insert((self.level, self.code), value);
                STATUS_SUCCESS
            }
            Some(Ok(None)) => STATUS_NOT_SUPPORTED,
            Some(Err(error)) => address::status(&error),
            None => STATUS_INVALID_DEVICE_STATE,
        }
    }

    /// Sets an option of the host's socket; `None` for an option that the socket lacks.
    fn write_option(&self, real: &socket2::Socket, value: u32) -> io::Result<Option<()>> {
        let (on, connects) = (value != 0, self.connects(real));
        let done = match (self.level, self.code) {
            (SOL_SOCKET, SO_REUSEADDR) => real.set_reuse_address(on),
            // Hosts have no such options. Without SO_REUSEADDR an address is exclusive anyway, and hosts choose random ports.
            // The provider cuts data into datagrams, and joins datagrams, itself.
            (SOL_SOCKET, EXCLUSIVE | SO_RANDOMIZE_PORT)
            | (UDP, UDP_SEND_MSG_SIZE | UDP_RECV_MAX_COALESCED_SIZE)
            | (IPPROTO_IP, IP_USER_MTU)
            | (IPV6, IPV6_USER_MTU) => Ok(()),
            (IPPROTO_IP, IP_PROTECTION_LEVEL) | (IPV6, IPV6_PROTECTION_LEVEL) => match value {
                PROTECTION_LEVEL_UNRESTRICTED
                | PROTECTION_LEVEL_EDGERESTRICTED
                | PROTECTION_LEVEL_RESTRICTED => Ok(()),
                _ => Err(io::ErrorKind::InvalidInput.into()),
            },
            (IPPROTO_IP, IP_DONTFRAGMENT) => host::set_dont_fragment(real, false, on),
            (IPV6, IPV6_DONTFRAG) => host::set_dont_fragment(real, true, on),
            (IPPROTO_IP, IP_MTU_DISCOVER) if value < PMTUD_STATES => {
                host::set_mtu_discovery(real, false, value)
            }
            (IPV6, IPV6_MTU_DISCOVER) if value < PMTUD_STATES => {
                host::set_mtu_discovery(real, true, value)
            }
            (IPPROTO_IP, IP_MTU_DISCOVER) | (IPV6, IPV6_MTU_DISCOVER) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
            (IPPROTO_IP, IP_UNICAST_IF) => host::set_unicast_interface(real, false, value),
            (IPV6, IPV6_UNICAST_IF) => host::set_unicast_interface(real, true, value),
            (SOL_SOCKET, SO_BROADCAST) => real.set_broadcast(on),
            (SOL_SOCKET, SO_RCVBUF) => real.set_recv_buffer_size(value as usize),
            (SOL_SOCKET, SO_SNDBUF) => real.set_send_buffer_size(value as usize),
            (SOL_SOCKET, SO_KEEPALIVE) if connects => real.set_keepalive(on),
            (SOL_SOCKET, SO_OOBINLINE) if connects && self.socket.family.is_ip() => {
                real.set_out_of_band_inline(on)
            }
            (TCP, TCP_NODELAY) if connects => real.set_tcp_nodelay(on),
            (TCP, TCP_KEEPIDLE) if connects => {
                real.set_tcp_keepalive(&TcpKeepalive::new().with_time(seconds(value)))
            }
            (TCP, TCP_KEEPINTVL) if connects => {
                real.set_tcp_keepalive(&TcpKeepalive::new().with_interval(seconds(value)))
            }
            (TCP, TCP_KEEPCNT) if connects => {
                real.set_tcp_keepalive(&TcpKeepalive::new().with_retries(value))
            }
            // Hosts have no such options, or different ones: the provider keeps the values, which have no effect.
            (TCP, TCP_EXPEDITED_1122 | TCP_MAXRT | TCP_FASTOPEN | TCP_TIMESTAMPS) if connects => {
                Ok(())
            }
            (IPPROTO_IP, IP_TTL) => real.set_ttl_v4(value),
            (IPPROTO_IP, IP_TOS) => real.set_tos_v4(value),
            (IPPROTO_IP, IP_MULTICAST_TTL) => real.set_multicast_ttl_v4(value),
            (IPPROTO_IP, IP_MULTICAST_LOOP) => real.set_multicast_loop_v4(on),
            (IPV6, IPV6_V6ONLY) => real.set_only_v6(on),
            (IPV6, IPV6_UNICAST_HOPS) => real.set_unicast_hops_v6(value),
            (IPV6, IPV6_TCLASS) => host::set_tclass(real, value),
            (IPV6, IPV6_MULTICAST_HOPS) => real.set_multicast_hops_v6(value),
            (IPV6, IPV6_MULTICAST_LOOP) => real.set_multicast_loop_v6(on),
            _ => return Ok(None),
        };
        done.map(Some)
    }

    /// Whether the socket is a TCP socket.
    fn connects(&self, real: &socket2::Socket) -> bool {
        match self.socket.category {
            Category::Connection(_) | Category::Listen(_) | Category::Stream(..) => true,
            Category::Datagram(_) => false,
            Category::Basic => matches!(real.r#type(), Ok(socket2::Type::STREAM)),
        }
    }

    /// Joins or leaves a multicast group, if the option asks for that.
    fn membership(&self) -> Option<NTSTATUS> {
        let bytes = self.input.bytes();
        let done = match (self.level, self.code) {
            (IPPROTO_IP, IP_ADD_MEMBERSHIP | IP_DROP_MEMBERSHIP) => {
                let Some(request) = bytes.first_chunk::<8>() else {
                    return Some(STATUS_INVALID_PARAMETER);
                };
                let [g0, g1, g2, g3, i0, i1, i2, i3] = *request;
                let (group, interface) =
                    (Ipv4Addr::new(g0, g1, g2, g3), Ipv4Addr::new(i0, i1, i2, i3));
                self.socket.with_real(|real| {
                    if self.code == IP_ADD_MEMBERSHIP {
                        real.join_multicast_v4(&group, &interface)
                    } else {
                        real.leave_multicast_v4(&group, &interface)
                    }
                })
            }
            (IPV6, IPV6_ADD_MEMBERSHIP | IPV6_DROP_MEMBERSHIP) => {
                let (Some(group), Some(interface)) = (
                    bytes.first_chunk::<16>(),
                    bytes.get(16..).and_then(<[u8]>::first_chunk),
                ) else {
                    return Some(STATUS_INVALID_PARAMETER);
                };
                let (group, interface) = (Ipv6Addr::from(*group), u32::from_ne_bytes(*interface));
                self.socket.with_real(|real| {
                    if self.code == IPV6_ADD_MEMBERSHIP {
                        real.join_multicast_v6(&group, interface)
                    } else {
                        real.leave_multicast_v6(&group, interface)
                    }
                })
            }
            _ => return None,
        };
        Some(match done {
            Some(Ok(())) => STATUS_SUCCESS,
            Some(Err(error)) => address::status(&error),
            None => STATUS_FILE_FORCED_CLOSED,
        })
    }

    /// Gives the value of an option.
    pub(super) fn get_option(&self) -> (NTSTATUS, usize) {
        if self.is_security() {
            return self.get_security();
        }
        if (self.level, self.code) == (IPPROTO_IP, IP_OPTIONS) {
            return self.output.put(&[]);
        }
        let set = self
            .socket
            .options
            .lock()
            .set
            .get(&(self.level, self.code))
            .copied();
        let value = match set {
            Some(value) => Some(Ok(Some(value))),
            None => self.socket.with_real(|real| self.read_option(real)),
        };
        match value {
            // Seen on Windows: one byte, though a ULONG is documented.
            Some(Ok(Some(value))) if (self.level, self.code) == (SOL_SOCKET, SO_KEEPALIVE) => {
                self.output.put(&[u8::from(value != 0)])
            }
            Some(Ok(Some(value))) => self.output.put(&value.to_ne_bytes()),
            Some(Ok(None)) => (STATUS_NOT_SUPPORTED, 0),
            Some(Err(error)) => (address::status(&error), 0),
            None => (STATUS_INVALID_DEVICE_STATE, 0),
        }
    }

    /// Reads an option of the host's socket; `None` for an option that the socket lacks.
    fn read_option(&self, real: &socket2::Socket) -> io::Result<Option<u32>> {
        let connects = self.connects(real);
        let in_seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        if Told::default().switch(self.level, self.code).is_some() {
            return Ok(Some(0));
        }
        Ok(Some(match (self.level, self.code) {
            (SOL_SOCKET, SO_REUSEADDR | EXCLUSIVE | SO_RANDOMIZE_PORT)
            | (UDP, UDP_SEND_MSG_SIZE | UDP_RECV_MAX_COALESCED_SIZE)
            | (IPPROTO_IP, IP_DONTFRAGMENT | IP_MTU_DISCOVER | IP_UNICAST_IF)
            | (IPV6, IPV6_DONTFRAG | IPV6_MTU_DISCOVER | IPV6_UNICAST_IF) => 0,
            (IPPROTO_IP, IP_USER_MTU) | (IPV6, IPV6_USER_MTU) => IP_UNSPECIFIED_USER_MTU,
            (IPPROTO_IP, IP_PROTECTION_LEVEL) | (IPV6, IPV6_PROTECTION_LEVEL) => {
                PROTECTION_LEVEL_DEFAULT
            }
            (SOL_SOCKET, SO_TYPE) if connects => u32::from(SOCK_STREAM),
            (SOL_SOCKET, SO_TYPE) => u32::from(SOCK_DGRAM),
            (SOL_SOCKET, SO_KEEPALIVE) if connects => u32::from(real.keepalive()?),
            (SOL_SOCKET, SO_ACCEPTCONN) if connects => {
                let listening = self.socket.category.listening();
                u32::from(listening.is_some_and(Listening::is_listening))
            }
            (SOL_SOCKET, SO_CONDITIONAL_ACCEPT) if self.conditional().is_some() => {
                u32::from(self.conditional().is_some_and(Listening::is_conditional))
            }
            (SOL_SOCKET, SO_OOBINLINE) if connects && self.socket.family.is_ip() => {
                u32::from(real.out_of_band_inline()?)
            }
            (TCP, TCP_NODELAY) if connects => u32::from(real.tcp_nodelay()?),
            (TCP, TCP_KEEPIDLE) if connects => in_seconds(host::tcp_keepalive_time(real)?),
            (TCP, TCP_KEEPINTVL) if connects => in_seconds(host::tcp_keepalive_interval(real)?),
            (TCP, TCP_KEEPCNT) if connects => real.tcp_keepalive_retries()?,
            (TCP, TCP_EXPEDITED_1122 | TCP_MAXRT | TCP_FASTOPEN | TCP_TIMESTAMPS) if connects => 0,
            (SOL_SOCKET, SO_BROADCAST) => u32::from(real.broadcast()?),
            (SOL_SOCKET, SO_RCVBUF) => size(real.recv_buffer_size()?),
            (SOL_SOCKET, SO_SNDBUF) => size(real.send_buffer_size()?),
            (IPPROTO_IP, IP_TTL) => real.ttl_v4()?,
            (IPPROTO_IP, IP_TOS) => real.tos_v4()?,
            (IPPROTO_IP, IP_MULTICAST_TTL) => real.multicast_ttl_v4()?,
            (IPPROTO_IP, IP_MULTICAST_LOOP) => u32::from(real.multicast_loop_v4()?),
            (IPV6, IPV6_V6ONLY) => u32::from(real.only_v6()?),
            (IPV6, IPV6_UNICAST_HOPS) => real.unicast_hops_v6()?,
            (IPV6, IPV6_TCLASS) => host::tclass(real)?,
            (IPV6, IPV6_MULTICAST_HOPS) => real.multicast_hops_v6()?,
            (IPV6, IPV6_MULTICAST_LOOP) => u32::from(real.multicast_loop_v6()?),
            _ => return Ok(None),
        }))
    }
}
