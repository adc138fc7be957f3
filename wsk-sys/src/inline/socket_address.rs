//! Functions that test and make socket addresses. They replace the inline functions of `mstcpip.h` and `ws2ipdef.h`. Addresses
//! and ports are in network byte order unless a function says otherwise.

use core::ffi::c_void;
use core::mem::{offset_of, size_of};

use super::address::{
    IN4_ADDR_EQUAL, IN4_IS_ADDR_LOOPBACK, IN4_IS_ADDR_UNSPECIFIED, IN6_ADDR_EQUAL,
    IN6_IS_ADDR_LOOPBACK, IN6_IS_ADDR_UNSPECIFIED, IN6_IS_ADDR_V4MAPPED, IN6_SET_ADDR_V4MAPPED,
    address6,
};
use super::scope::{IN4_UNCANONICALIZE_SCOPE_ID, IN6_UNCANONICALIZE_SCOPE_ID};
use crate::{
    ADDRESS_FAMILY, AF_INET, AF_INET6, IN_ADDR, IN_ADDR_S_un, IN4ADDR_ANY, IN4ADDR_LOOPBACK,
    IN6_ADDR, SCOPE_ID, SCOPE_ID_Anonymous1, SOCKADDR, SOCKADDR_IN, SOCKADDR_IN6,
    SOCKADDR_IN6_Anonymous1, SOCKADDR_STORAGE,
};

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

/// Sets an IPv4 socket address to the wildcard address and port 0.
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

/// Sets an IPv4 socket address to the loopback address and port 0.
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

/// Whether an IPv4 socket address has the wildcard address.
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

/// Whether an IPv4 socket address has the wildcard address.
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

/// Whether an IPv4 socket address has a loopback address.
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

/// Sets an IPv6 socket address to the wildcard address and port 0.
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

/// Sets an IPv6 socket address to the loopback address and port 0.
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
/// The scope identifier loses what follows from the address anyway.
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

/// Whether an IPv6 socket address has the wildcard address.
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

/// Whether an IPv6 socket address has the wildcard address, without a scope.
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

/// Whether an IPv6 socket address has the loopback address.
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

/// Whether a socket address has the wildcard address.
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

/// Whether a socket address has a loopback address.
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

/// Sets a socket address, whose family is set, to the wildcard address and port 0.
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

/// Sets a socket address, whose family is set, to the loopback address and port 0.
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
