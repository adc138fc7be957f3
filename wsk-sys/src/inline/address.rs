//! Functions that test and make IPv4 and IPv6 addresses. They replace the inline functions and the class macros of `mstcpip.h`,
//! `ws2def.h` and `ws2ipdef.h`. Addresses are in network byte order unless a function says otherwise.

use crate::{IN_ADDR, IN4ADDR_ANY, IN4ADDR_BROADCAST, IN6_ADDR, IN6_ADDR_u};

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

/// Whether an IPv4 address is the wildcard address.
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

/// Whether an IPv4 address is a loopback address: 127.0.0.0/8.
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

/// Whether an IPv6 address is the wildcard address.
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

/// Whether an IPv6 address is the loopback address.
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

/// Makes an IPv6 address the wildcard address.
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

/// Makes an IPv6 address the loopback address.
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
pub(super) const fn address6(number: u128) -> IN6_ADDR {
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
