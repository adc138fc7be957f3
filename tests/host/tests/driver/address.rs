//! Addresses of sockets in the layout that Windows has: `SOCKADDR_INET`.

use core::ptr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use wsk_sys::*;

/// An address, or the place for one.
///
/// # Invariants
///
/// Every byte is initialised.
pub struct Address(SOCKADDR_INET);

impl Address {
    pub fn new(address: SocketAddr) -> Self {
        // INVARIANT: the default is zero throughout, and no member has padding.
        let mut raw = SOCKADDR_INET::default();
        match address {
            SocketAddr::V4(address) => {
                let mut v4 = SOCKADDR_IN {
                    sin_family: AF_INET,
                    sin_port: address.port().to_be(),
                    ..Default::default()
                };
                v4.sin_addr.S_un.S_addr = u32::from_ne_bytes(address.ip().octets());
                raw.Ipv4 = v4;
            }
            SocketAddr::V6(address) => {
                let mut v6 = SOCKADDR_IN6 {
                    sin6_family: AF_INET6,
                    sin6_port: address.port().to_be(),
                    ..Default::default()
                };
                v6.sin6_addr.u.Byte = address.ip().octets();
                v6.Anonymous1.sin6_scope_id = address.scope_id();
                raw.Ipv6 = v6;
            }
        }
        Self(raw)
    }

    /// The place for an address that the kernel is going to tell.
    pub fn blank() -> Self {
        // INVARIANT: as above.
        Self(SOCKADDR_INET::default())
    }

    /// An address that is never freed, for a call that may last.
    pub fn lasting(address: SocketAddr) -> *mut SOCKADDR {
        Box::leak(Box::new(Self::new(address))).raw()
    }

    /// Reads the address that the kernel tells a callback.
    ///
    /// # Safety
    ///
    /// An IPv4 or IPv6 address is readable there.
    pub unsafe fn read(at: *const SOCKADDR) -> SocketAddr {
        let mut address = Self::blank();
        // SAFETY: the caller says so: the family tells the length. There is room for either.
        unsafe {
            let length = match at.cast::<u16>().read_unaligned() {
                AF_INET => size_of::<SOCKADDR_IN>(),
                _ => size_of::<SOCKADDR_IN6>(),
            };
            ptr::copy_nonoverlapping(at.cast::<u8>(), address.raw().cast(), length);
        }
        address.get()
    }

    pub fn raw(&mut self) -> *mut SOCKADDR {
        (&raw mut self.0).cast()
    }

    /// Back to what Rust has.
    pub fn get(&self) -> SocketAddr {
        let Self(raw) = self;
        // SAFETY: the members are numbers, and initialised by the invariant.
        unsafe {
            match raw.si_family {
                AF_INET => SocketAddrV4::new(
                    Ipv4Addr::from(raw.Ipv4.sin_addr.S_un.S_addr.to_ne_bytes()),
                    u16::from_be(raw.Ipv4.sin_port),
                )
                .into(),
                AF_INET6 => SocketAddrV6::new(
                    Ipv6Addr::from(raw.Ipv6.sin6_addr.u.Byte),
                    u16::from_be(raw.Ipv6.sin6_port),
                    raw.Ipv6.sin6_flowinfo,
                    raw.Ipv6.Anonymous1.sin6_scope_id,
                )
                .into(),
                other => panic!("address family {other}"),
            }
        }
    }
}

/// Any address of the family of another one.
pub fn any(like: SocketAddr) -> SocketAddr {
    let any = if like.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    any.parse().unwrap()
}
