//! IPv4 and IPv6 addresses and socket addresses: what they are, and making them. Stands for the inline functions and the
//! class macros of `mstcpip.h`, `ws2def.h` and `ws2ipdef.h`. Addresses and ports are in network byte order unless said.

use core::ffi::c_void;
use core::mem::{offset_of, size_of};

use super::scope::{IN4_UNCANONICALIZE_SCOPE_ID, IN6_UNCANONICALIZE_SCOPE_ID};
use crate::{
    ADDRESS_FAMILY, AF_INET, AF_INET6, IN_ADDR, IN_ADDR_S_un, IN4ADDR_ANY, IN4ADDR_BROADCAST,
    IN4ADDR_LOOPBACK, IN6_ADDR, IN6_ADDR_u, SCOPE_ID, SCOPE_ID_Anonymous1, SOCKADDR, SOCKADDR_IN,
    SOCKADDR_IN6, SOCKADDR_IN6_Anonymous1, SOCKADDR_STORAGE,
};

/// Whether an IPv4 address, in host byte order, is of class A.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/).
#[inline]
#[must_use]
pub const fn IN_CLASSA(i: u32) -> bool {
    i & 0x8000_0000 == 0
}

/// Whether an IPv4 address, in host byte order, is of class B.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/).
#[inline]
#[must_use]
pub const fn IN_CLASSB(i: u32) -> bool {
    i & 0xC000_0000 == 0x8000_0000
}

/// Whether an IPv4 address, in host byte order, is of class C.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/).
#[inline]
#[must_use]
pub const fn IN_CLASSC(i: u32) -> bool {
    i & 0xE000_0000 == 0xC000_0000
}

/// Whether an IPv4 address, in host byte order, is of class D. These are the multicast ones.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/).
#[inline]
#[must_use]
pub const fn IN_CLASSD(i: u32) -> bool {
    i & 0xF000_0000 == 0xE000_0000
}

/// Whether an IPv4 address, in host byte order, is multicast.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/).
#[inline]
#[must_use]
pub const fn IN_MULTICAST(i: u32) -> bool {
    IN_CLASSD(i)
}

/// Whether an IPv4 address, in network byte order, is of class A.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_classa).
#[inline]
#[must_use]
pub const fn IN4_CLASSA(i: u32) -> bool {
    i & 0x0000_0080 == 0
}

/// Whether an IPv4 address, in network byte order, is of class B.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_classb).
#[inline]
#[must_use]
pub const fn IN4_CLASSB(i: u32) -> bool {
    i & 0x0000_00C0 == 0x0000_0080
}

/// Whether an IPv4 address, in network byte order, is of class C.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_classc).
#[inline]
#[must_use]
pub const fn IN4_CLASSC(i: u32) -> bool {
    i & 0x0000_00E0 == 0x0000_00C0
}

/// Whether an IPv4 address, in network byte order, is of class D. These are the multicast ones.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_classd).
#[inline]
#[must_use]
pub const fn IN4_CLASSD(i: u32) -> bool {
    i & 0x0000_00F0 == 0x0000_00E0
}

/// Whether an IPv4 address, in network byte order, is multicast.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_multicast).
#[inline]
#[must_use]
pub const fn IN4_MULTICAST(i: u32) -> bool {
    IN4_CLASSD(i)
}

/// Whether two IPv4 addresses are the same.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_addr_equal).
///
/// # Safety
///
/// Both point to initialised addresses.
#[inline]
#[must_use]
pub const unsafe fn IN4_ADDR_EQUAL(a: *const IN_ADDR, b: *const IN_ADDR) -> bool {
    // SAFETY: the caller's addresses are initialised.
    unsafe { (*a).S_un.S_addr == (*b).S_un.S_addr }
}

/// Whether an IPv4 address stands for any local one.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_is_addr_unspecified).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN4_IS_ADDR_UNSPECIFIED(a: *const IN_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    unsafe { (*a).S_un.S_addr == IN4ADDR_ANY }
}

/// Whether an IPv4 address is one of this machine's own: 127.0.0.0/8.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_is_addr_loopback).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN4_IS_ADDR_LOOPBACK(a: *const IN_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    unsafe { (*a).S_un.S_un_b.s_b1 == 127 }
}

/// Whether an IPv4 address reaches everyone on the link.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_is_addr_broadcast).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN4_IS_ADDR_BROADCAST(a: *const IN_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    unsafe { (*a).S_un.S_addr == IN4ADDR_BROADCAST }
}

/// Whether an IPv4 address is multicast.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_is_addr_multicast).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN4_IS_ADDR_MULTICAST(a: *const IN_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    IN4_MULTICAST(unsafe { (*a).S_un.S_addr })
}

/// Whether an IPv4 address is for one link only: 169.254.0.0/16.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_is_addr_linklocal).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN4_IS_ADDR_LINKLOCAL(a: *const IN_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    matches!(bytes4(unsafe { *a }), [169, 254, ..])
}

/// Whether an IPv4 address is for private networks: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_is_addr_rfc1918).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN4_IS_ADDR_RFC1918(a: *const IN_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    let bytes = bytes4(unsafe { *a });
    matches!(bytes, [10, ..] | [172, 16..32, ..] | [192, 168, ..])
}

/// The bytes of an IPv4 address in their order.
pub(super) const fn bytes4(a: IN_ADDR) -> [u8; 4] {
    // SAFETY: every member of the union covers all of it, so whichever was written all four bytes are initialised.
    unsafe { a.S_un.S_addr }.to_ne_bytes()
}

/// Makes an IPv4 socket address. The port is in network byte order.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4addr_setsockaddr).
///
/// # Safety
///
/// `a` points to memory for a socket address that may be written. `addr` points to an initialised address.
#[inline]
pub const unsafe fn IN4ADDR_SETSOCKADDR(a: *mut SOCKADDR_IN, addr: *const IN_ADDR, port: u16) {
    // SAFETY: the caller's memory may be written, and its address is initialised.
    unsafe {
        a.write(SOCKADDR_IN {
            sin_family: AF_INET,
            sin_port: port,
            sin_addr: *addr,
            sin_zero: [0; 8],
        });
    }
}

/// Makes an IPv4 socket address one that stands for any local address and port.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4addr_setany).
///
/// # Safety
///
/// `a` points to memory for a socket address that may be written.
#[inline]
pub const unsafe fn IN4ADDR_SETANY(a: *mut SOCKADDR_IN) {
    // SAFETY: the caller's memory may be written.
    unsafe { IN4ADDR_SETSOCKADDR(a, &address4(IN4ADDR_ANY), 0) }
}

/// Makes an IPv4 socket address that of this machine itself, any port.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4addr_setloopback).
///
/// # Safety
///
/// `a` points to memory for a socket address that may be written.
#[inline]
pub const unsafe fn IN4ADDR_SETLOOPBACK(a: *mut SOCKADDR_IN) {
    // SAFETY: the caller's memory may be written.
    unsafe { IN4ADDR_SETSOCKADDR(a, &address4(IN4ADDR_LOOPBACK), 0) }
}

/// An IPv4 address from its number in network byte order.
const fn address4(S_addr: u32) -> IN_ADDR {
    IN_ADDR {
        S_un: IN_ADDR_S_un { S_addr },
    }
}

/// Whether an IPv4 socket address stands for any local address.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4addr_isany).
///
/// # Safety
///
/// `a` points to an initialised socket address.
#[inline]
#[must_use]
pub const unsafe fn IN4ADDR_ISANY(a: *const SOCKADDR_IN) -> bool {
    // SAFETY: the caller's socket address is initialised.
    unsafe { IN4_IS_ADDR_UNSPECIFIED(&raw const (*a).sin_addr) }
}

/// Whether an IPv4 socket address stands for any local address.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4addr_isunspecified).
///
/// # Safety
///
/// `a` points to an initialised socket address.
#[inline]
#[must_use]
pub const unsafe fn IN4ADDR_ISUNSPECIFIED(a: *const SOCKADDR_IN) -> bool {
    // SAFETY: the caller's socket address is initialised.
    unsafe { IN4_IS_ADDR_UNSPECIFIED(&raw const (*a).sin_addr) }
}

/// Whether an IPv4 socket address is one of this machine's own.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4addr_isloopback).
///
/// # Safety
///
/// `a` points to an initialised socket address.
#[inline]
#[must_use]
pub const unsafe fn IN4ADDR_ISLOOPBACK(a: *const SOCKADDR_IN) -> bool {
    // SAFETY: the caller's socket address is initialised.
    unsafe { IN4_IS_ADDR_LOOPBACK(&raw const (*a).sin_addr) }
}

/// Whether two IPv4 socket addresses are the same apart from the port.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4addr_isequal).
///
/// # Safety
///
/// Both point to initialised socket addresses.
#[inline]
#[must_use]
pub const unsafe fn IN4ADDR_ISEQUAL(a: *const SOCKADDR_IN, b: *const SOCKADDR_IN) -> bool {
    // SAFETY: the caller's socket addresses are initialised.
    unsafe { IN4_ADDR_EQUAL(&raw const (*a).sin_addr, &raw const (*b).sin_addr) }
}

/// The bytes of an IPv6 address in their order.
pub(super) const fn bytes6(a: &IN6_ADDR) -> [u8; 16] {
    // SAFETY: both members of the union cover all of it, so whichever was written all bytes are initialised.
    unsafe { a.u.Byte }
}

/// Whether two IPv6 addresses are the same.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_addr_equal).
///
/// # Safety
///
/// Both point to initialised addresses.
#[inline]
#[must_use]
#[doc(alias = "IN6_ARE_ADDR_EQUAL")]
pub const unsafe fn IN6_ADDR_EQUAL(x: *const IN6_ADDR, y: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's addresses are initialised.
    let (x, y) = unsafe { (&*x, &*y) };
    u128::from_ne_bytes(bytes6(x)) == u128::from_ne_bytes(bytes6(y))
}

pub use self::IN6_ADDR_EQUAL as IN6_ARE_ADDR_EQUAL;

/// Whether an IPv6 address stands for any local one.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_unspecified).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN6_IS_ADDR_UNSPECIFIED(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    u128::from_be_bytes(bytes6(unsafe { &*a })) == 0
}

/// Whether an IPv6 address is that of this machine itself.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_loopback).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN6_IS_ADDR_LOOPBACK(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    u128::from_be_bytes(bytes6(unsafe { &*a })) == 1
}

/// Whether an IPv6 address is multicast.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_multicast).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN6_IS_ADDR_MULTICAST(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    bytes6(unsafe { &*a })[0] == 0xFF
}

/// Whether an IPv6 address is for one link only.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_linklocal).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN6_IS_ADDR_LINKLOCAL(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    matches!(bytes6(unsafe { &*a }), [0xFE, 0x80..0xC0, ..])
}

/// Whether an IPv6 address is for one site only.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_sitelocal).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN6_IS_ADDR_SITELOCAL(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    matches!(bytes6(unsafe { &*a }), [0xFE, 0xC0..=0xFF, ..])
}

/// Whether an IPv6 address is a mapped IPv4 one.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_v4mapped).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub const unsafe fn IN6_IS_ADDR_V4MAPPED(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    u128::from_be_bytes(bytes6(unsafe { &*a })) >> 32 == 0xFFFF
}

/// Makes an IPv6 address the one that stands for any local one.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_set_addr_unspecified).
///
/// # Safety
///
/// `a` points to memory for an address that may be written.
#[inline]
pub const unsafe fn IN6_SET_ADDR_UNSPECIFIED(a: *mut IN6_ADDR) {
    // SAFETY: the caller's memory may be written.
    unsafe { a.write(address6(0)) }
}

/// Makes an IPv6 address that of this machine itself.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_set_addr_loopback).
///
/// # Safety
///
/// `a` points to memory for an address that may be written.
#[inline]
pub const unsafe fn IN6_SET_ADDR_LOOPBACK(a: *mut IN6_ADDR) {
    // SAFETY: the caller's memory may be written.
    unsafe { a.write(address6(1)) }
}

/// Makes an IPv6 address a mapped IPv4 one.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in6_set_addr_v4mapped).
///
/// # Safety
///
/// `a6` points to memory for an address that may be written, `a4` to an initialised address.
#[inline]
pub const unsafe fn IN6_SET_ADDR_V4MAPPED(a6: *mut IN6_ADDR, a4: *const IN_ADDR) {
    // SAFETY: the caller's memory may be written, and its address is initialised.
    unsafe {
        a6.write(address6(
            0xFFFF << 32 | u32::from_be_bytes(bytes4(*a4)) as u128,
        ));
    }
}

/// An IPv6 address from its number.
const fn address6(number: u128) -> IN6_ADDR {
    IN6_ADDR {
        u: IN6_ADDR_u {
            Byte: number.to_be_bytes(),
        },
    }
}

/// IPv4 address in a mapped IPv6 one: its last four bytes.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in6_get_addr_v4mapped).
///
/// # Safety
///
/// `Ipv6Address` points to an address. The result may be read for four bytes if that may.
#[inline]
#[must_use]
pub const unsafe fn IN6_GET_ADDR_V4MAPPED(Ipv6Address: *const IN6_ADDR) -> *const u8 {
    Ipv6Address.cast::<u8>().wrapping_add(12)
}

/// Makes an IPv6 socket address one that stands for any local address and port.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6addr_setany).
///
/// # Safety
///
/// `a` points to memory for a socket address that may be written.
#[inline]
pub const unsafe fn IN6ADDR_SETANY(a: *mut SOCKADDR_IN6) {
    // SAFETY: the caller's memory may be written.
    unsafe { a.write(socket_address6(address6(0), SCOPE_ID_NONE, 0)) }
}

/// Makes an IPv6 socket address that of this machine itself, any port.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6addr_setloopback).
///
/// # Safety
///
/// `a` points to memory for a socket address that may be written.
#[inline]
pub const unsafe fn IN6ADDR_SETLOOPBACK(a: *mut SOCKADDR_IN6) {
    // SAFETY: the caller's memory may be written.
    unsafe { a.write(socket_address6(address6(1), SCOPE_ID_NONE, 0)) }
}

/// Makes an IPv6 socket address. The port is in network byte order.
///
/// What the reach of the address says already is left out of the scope identifier.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in6addr_setsockaddr).
///
/// # Safety
///
/// `a` points to memory for a socket address that may be written. `addr` points to an initialised address.
#[inline]
pub unsafe fn IN6ADDR_SETSOCKADDR(
    a: *mut SOCKADDR_IN6,
    addr: *const IN6_ADDR,
    scope: SCOPE_ID,
    port: u16,
) {
    // SAFETY: the caller's memory may be written, and its address is initialised.
    unsafe {
        let mut scope = scope;
        IN6_UNCANONICALIZE_SCOPE_ID(addr, &raw mut scope);
        a.write(socket_address6(*addr, scope, port));
    }
}

/// Makes an IPv6 socket address a mapped IPv4 one, as dual-mode sockets take it. The port is in network byte order.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in6addr_setv4mapped).
///
/// # Safety
///
/// `a6` points to memory for a socket address that may be written, `a4` to an initialised address.
#[inline]
pub unsafe fn IN6ADDR_SETV4MAPPED(
    a6: *mut SOCKADDR_IN6,
    a4: *const IN_ADDR,
    scope: SCOPE_ID,
    port: u16,
) {
    // SAFETY: the caller's memory may be written, and its address is initialised.
    unsafe {
        let mut scope = scope;
        IN4_UNCANONICALIZE_SCOPE_ID(a4, &raw mut scope);
        let mut mapped = address6(0);
        IN6_SET_ADDR_V4MAPPED(&raw mut mapped, a4);
        a6.write(socket_address6(mapped, scope, port));
    }
}

const SCOPE_ID_NONE: SCOPE_ID = SCOPE_ID {
    Anonymous1: SCOPE_ID_Anonymous1 { Value: 0 },
};

const fn socket_address6(
    sin6_addr: IN6_ADDR,
    sin6_scope_struct: SCOPE_ID,
    sin6_port: u16,
) -> SOCKADDR_IN6 {
    SOCKADDR_IN6 {
        sin6_family: AF_INET6,
        sin6_port,
        sin6_flowinfo: 0,
        sin6_addr,
        Anonymous1: SOCKADDR_IN6_Anonymous1 { sin6_scope_struct },
    }
}

/// Whether an IPv6 socket address stands for any local address.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6addr_isany).
///
/// # Safety
///
/// `a` points to an initialised socket address.
#[inline]
#[must_use]
pub const unsafe fn IN6ADDR_ISANY(a: *const SOCKADDR_IN6) -> bool {
    // SAFETY: the caller's socket address is initialised.
    unsafe { IN6_IS_ADDR_UNSPECIFIED(&raw const (*a).sin6_addr) }
}

/// Whether an IPv6 socket address stands for any local address, of no area in particular.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6addr_isunspecified).
///
/// # Safety
///
/// `a` points to an initialised socket address.
#[inline]
#[must_use]
pub const unsafe fn IN6ADDR_ISUNSPECIFIED(a: *const SOCKADDR_IN6) -> bool {
    // SAFETY: the caller's socket address is initialised.
    unsafe { (*a).Anonymous1.sin6_scope_id == 0 && IN6ADDR_ISANY(a) }
}

/// Whether an IPv6 socket address is that of this machine itself.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6addr_isloopback).
///
/// # Safety
///
/// `a` points to an initialised socket address.
#[inline]
#[must_use]
pub const unsafe fn IN6ADDR_ISLOOPBACK(a: *const SOCKADDR_IN6) -> bool {
    // SAFETY: the caller's socket address is initialised.
    unsafe { IN6_IS_ADDR_LOOPBACK(&raw const (*a).sin6_addr) }
}

/// Whether an IPv6 socket address is a mapped IPv4 one.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in6addr_isv4mapped).
///
/// # Safety
///
/// `a` points to an initialised socket address.
#[inline]
#[must_use]
pub const unsafe fn IN6ADDR_ISV4MAPPED(a: *const SOCKADDR_IN6) -> bool {
    // SAFETY: the caller's socket address is initialised.
    unsafe { IN6_IS_ADDR_V4MAPPED(&raw const (*a).sin6_addr) }
}

/// Whether two IPv6 socket addresses are the same, in the same area, apart from the port.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6addr_isequal).
///
/// # Safety
///
/// Both point to initialised socket addresses.
#[inline]
#[must_use]
pub const unsafe fn IN6ADDR_ISEQUAL(a: *const SOCKADDR_IN6, b: *const SOCKADDR_IN6) -> bool {
    // SAFETY: the caller's socket addresses are initialised.
    unsafe {
        (*a).Anonymous1.sin6_scope_id == (*b).Anonymous1.sin6_scope_id
            && IN6_ADDR_EQUAL(&raw const (*a).sin6_addr, &raw const (*b).sin6_addr)
    }
}

/// Whether a socket address stands for any local address.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
///
/// # Safety
///
/// `a` points to an initialised `SOCKADDR_IN6` if its family is `AF_INET6`, otherwise to an initialised `SOCKADDR_IN`.
#[inline]
#[must_use]
pub const unsafe fn INETADDR_ISANY(a: *const SOCKADDR) -> bool {
    // SAFETY: the caller's socket address is initialised and as large as its family says.
    unsafe {
        if (*a).sa_family == AF_INET6 {
            IN6ADDR_ISANY(a.cast())
        } else {
            IN4ADDR_ISANY(a.cast())
        }
    }
}

/// Whether a socket address is that of this machine itself.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
///
/// # Safety
///
/// `a` points to an initialised `SOCKADDR_IN6` if its family is `AF_INET6`, otherwise to an initialised `SOCKADDR_IN`.
#[inline]
#[must_use]
pub const unsafe fn INETADDR_ISLOOPBACK(a: *const SOCKADDR) -> bool {
    // SAFETY: the caller's socket address is initialised and as large as its family says.
    unsafe {
        if (*a).sa_family == AF_INET6 {
            IN6ADDR_ISLOOPBACK(a.cast())
        } else {
            IN4ADDR_ISLOOPBACK(a.cast())
        }
    }
}

/// Whether a socket address is a mapped IPv4 one.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
///
/// # Safety
///
/// `a` points to an initialised `SOCKADDR_IN6` if its family is `AF_INET6`, otherwise to an initialised `SOCKADDR_IN`.
#[inline]
#[must_use]
pub const unsafe fn INETADDR_ISV4MAPPED(a: *const SOCKADDR) -> bool {
    // SAFETY: the caller's socket address is initialised and as large as its family says.
    unsafe { (*a).sa_family == AF_INET6 && IN6ADDR_ISV4MAPPED(a.cast()) }
}

/// Whether two socket addresses are the same apart from the port.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
///
/// # Safety
///
/// Each points to an initialised `SOCKADDR_IN6` if its family is `AF_INET6`, otherwise to an initialised `SOCKADDR_IN`.
#[inline]
#[must_use]
pub const unsafe fn INETADDR_ISEQUAL(a: *const SOCKADDR, b: *const SOCKADDR) -> bool {
    // SAFETY: the caller's socket addresses are initialised and as large as their families say.
    unsafe {
        if (*a).sa_family == AF_INET6 {
            (*b).sa_family == AF_INET6 && IN6ADDR_ISEQUAL(a.cast(), b.cast())
        } else {
            (*b).sa_family == AF_INET && IN4ADDR_ISEQUAL(a.cast(), b.cast())
        }
    }
}

/// Makes a socket address of a family, IPv4 or IPv6, from an address. The port is in network byte order.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
///
/// # Safety
///
/// `a` points to memory for a socket address of the family that may be written, `addr` to an initialised address of it; any
/// family but `AF_INET6` means `AF_INET`.
#[inline]
pub unsafe fn INETADDR_SETSOCKADDR(
    af: ADDRESS_FAMILY,
    a: *mut SOCKADDR,
    addr: *const c_void,
    scope: SCOPE_ID,
    port: u16,
) {
    // SAFETY: the caller's memory may be written, and its address is initialised; both are of the family.
    unsafe {
        if af == AF_INET6 {
            IN6ADDR_SETSOCKADDR(a.cast(), addr.cast(), scope, port);
        } else {
            IN4ADDR_SETSOCKADDR(a.cast(), addr.cast(), port);
        }
    }
}

/// Makes a socket address, whose family is set, one that stands for any local address and port.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
///
/// # Safety
///
/// `a` points to a socket address whose family is set, and which may be written: a `SOCKADDR_IN6` if that is `AF_INET6`,
/// otherwise a `SOCKADDR_IN`.
#[inline]
pub const unsafe fn INETADDR_SETANY(a: *mut SOCKADDR) {
    // SAFETY: the caller's memory may be written and is as large as its family says.
    unsafe {
        if (*a).sa_family == AF_INET6 {
            IN6ADDR_SETANY(a.cast());
        } else {
            IN4ADDR_SETANY(a.cast());
        }
    }
}

/// Makes a socket address, whose family is set, that of this machine itself, any port.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
///
/// # Safety
///
/// `a` points to a socket address whose family is set, and which may be written: a `SOCKADDR_IN6` if that is `AF_INET6`,
/// otherwise a `SOCKADDR_IN`.
#[inline]
pub const unsafe fn INETADDR_SETLOOPBACK(a: *mut SOCKADDR) {
    // SAFETY: the caller's memory may be written and is as large as its family says.
    unsafe {
        if (*a).sa_family == AF_INET6 {
            IN6ADDR_SETLOOPBACK(a.cast());
        } else {
            IN4ADDR_SETLOOPBACK(a.cast());
        }
    }
}

/// Port of a socket address, in network byte order.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
///
/// # Safety
///
/// `a` points to an initialised socket address, IPv4 or IPv6.
#[inline]
#[must_use]
pub const unsafe fn INETADDR_PORT(a: *const SOCKADDR) -> u16 {
    // SAFETY: the port is in the same place in both families, and the caller's is initialised.
    unsafe { *SS_PORT(a.cast_mut().cast()) }
}

/// Sets the port of a socket address, in network byte order.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
///
/// # Safety
///
/// `a` points to a socket address, IPv4 or IPv6, that may be written.
#[inline]
pub const unsafe fn INETADDR_SET_PORT(a: *mut SOCKADDR, Port: u16) {
    // SAFETY: the port is in the same place in both families, and the caller's may be written.
    unsafe { *SS_PORT(a.cast()) = Port }
}

/// Address in a socket address: 16 bytes for `AF_INET6`, otherwise 4.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
///
/// # Safety
///
/// `a` points to a socket address whose family is set. The result may be read, or written, if the socket address may.
#[inline]
#[must_use]
pub const unsafe fn INETADDR_ADDRESS(a: *const SOCKADDR) -> *mut u8 {
    // SAFETY: the caller's family is set.
    let offset = if unsafe { (*a).sa_family } == AF_INET6 {
        offset_of!(SOCKADDR_IN6, sin6_addr)
    } else {
        offset_of!(SOCKADDR_IN, sin_addr)
    };
    a.cast::<u8>().wrapping_add(offset).cast_mut()
}

/// Port of an IPv4 or IPv6 socket address, as a place in it.
///
/// C's macro is the place itself, to be read or assigned to.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/).
///
/// # Safety
///
/// `ssp` points to a socket address. The result may be read, or written, if the socket address may.
#[inline]
#[must_use]
pub const unsafe fn SS_PORT(ssp: *mut SOCKADDR_STORAGE) -> *mut u16 {
    ssp.cast::<u8>()
        .wrapping_add(offset_of!(SOCKADDR_IN, sin_port))
        .cast()
}

/// Bytes of an address of a family, IPv4 or IPv6.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
#[inline]
#[must_use]
pub const fn INET_ADDR_LENGTH(af: ADDRESS_FAMILY) -> usize {
    if af == AF_INET6 {
        size_of::<IN6_ADDR>()
    } else {
        size_of::<IN_ADDR>()
    }
}

/// Bytes of a socket address of a family, IPv4 or IPv6.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/).
#[inline]
#[must_use]
pub const fn INET_SOCKADDR_LENGTH(af: ADDRESS_FAMILY) -> usize {
    if af == AF_INET6 {
        size_of::<SOCKADDR_IN6>()
    } else {
        size_of::<SOCKADDR_IN>()
    }
}
