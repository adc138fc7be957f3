//! How far addresses reach, and the scope identifiers of IPv6. Stands for the scope functions of `mswsockdef.h`,
//! `mstcpip.h` and `ws2ipdef.h`.

use super::address::{IN4_IS_ADDR_LOOPBACK, IN6_IS_ADDR_LOOPBACK, bytes6};
use crate::{
    IN_ADDR, IN6_ADDR, SCOPE_ID, SCOPE_ID_Anonymous1, SCOPE_ID_Anonymous1_Anonymous1, SCOPE_LEVEL,
};

/// Whether an IPv6 address is multicast on this machine only.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_mc_nodelocal).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub unsafe fn IN6_IS_ADDR_MC_NODELOCAL(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    multicast_reach(unsafe { &*a }) == Some(SCOPE_LEVEL::ScopeLevelInterface.0)
}

/// Whether an IPv6 address is multicast on one link only.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_mc_linklocal).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub unsafe fn IN6_IS_ADDR_MC_LINKLOCAL(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    multicast_reach(unsafe { &*a }) == Some(SCOPE_LEVEL::ScopeLevelLink.0)
}

/// Whether an IPv6 address is multicast on one site only.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_mc_sitelocal).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub unsafe fn IN6_IS_ADDR_MC_SITELOCAL(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    multicast_reach(unsafe { &*a }) == Some(SCOPE_LEVEL::ScopeLevelSite.0)
}

/// Whether an IPv6 address is multicast in one organization only.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_mc_orglocal).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub unsafe fn IN6_IS_ADDR_MC_ORGLOCAL(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    multicast_reach(unsafe { &*a }) == Some(SCOPE_LEVEL::ScopeLevelOrganization.0)
}

/// Whether an IPv6 address is multicast everywhere.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/nf-ws2ipdef-in6_is_addr_mc_global).
///
/// # Safety
///
/// `a` points to an initialised address.
#[inline]
#[must_use]
pub unsafe fn IN6_IS_ADDR_MC_GLOBAL(a: *const IN6_ADDR) -> bool {
    // SAFETY: the caller's address is initialised.
    multicast_reach(unsafe { &*a }) == Some(SCOPE_LEVEL::ScopeLevelGlobal.0)
}

/// The scope of a multicast IPv6 address, as a number; `None` for any other address.
const fn multicast_reach(a: &IN6_ADDR) -> Option<i32> {
    match bytes6(a) {
        [0xFF, flags_and_reach, ..] => Some((flags_and_reach & 0x0F) as i32),
        _ => None,
    }
}

/// How far the area that a scope identifier names reaches.
///
/// IRQL: any. Header: `mswsockdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ne-ws2def-scope_level).
#[inline]
#[must_use]
pub const fn ScopeLevel(ScopeId: SCOPE_ID) -> SCOPE_LEVEL {
    SCOPE_LEVEL(number(ScopeId).Level() as i32)
}

/// The two parts of a scope identifier.
const fn number(id: SCOPE_ID) -> SCOPE_ID_Anonymous1_Anonymous1 {
    // SAFETY: both members of the union cover all of it, so whichever was written all bits are initialised.
    unsafe { id.Anonymous1.Anonymous1 }
}

/// How far an IPv4 address reaches.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ne-ws2def-scope_level).
///
/// # Safety
///
/// `Address` points to the four bytes of an address.
#[inline]
#[must_use]
pub const unsafe fn Ipv4AddressScope(Address: *const u8) -> SCOPE_LEVEL {
    // SAFETY: the caller's four bytes may be read, and bytes are always aligned.
    match unsafe { Address.cast::<[u8; 4]>().read() } {
        [224, 0, 0, _] | [127, ..] | [255, 255, 255, 255] | [169, 254, ..] => {
            SCOPE_LEVEL::ScopeLevelLink
        }
        [239, 255, ..] => SCOPE_LEVEL::ScopeLevelAdmin,
        [239, ..] => SCOPE_LEVEL::ScopeLevelSite,
        _ => SCOPE_LEVEL::ScopeLevelGlobal,
    }
}

/// How far an IPv6 address reaches.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ne-ws2def-scope_level).
///
/// # Safety
///
/// `Address` points to the sixteen bytes of an address.
#[inline]
#[must_use]
pub const unsafe fn Ipv6AddressScope(Address: *const u8) -> SCOPE_LEVEL {
    // SAFETY: the caller's sixteen bytes may be read, and bytes are always aligned.
    let bytes = unsafe { Address.cast::<[u8; 16]>().read() };
    if u128::from_be_bytes(bytes) == 1 {
        return SCOPE_LEVEL::ScopeLevelLink;
    }
    match bytes {
        [0xFF, flags_and_reach, ..] => SCOPE_LEVEL((flags_and_reach & 0x0F) as i32),
        [0xFE, 0x80..0xC0, ..] => SCOPE_LEVEL::ScopeLevelLink,
        [0xFE, 0xC0..=0xFF, ..] => SCOPE_LEVEL::ScopeLevelSite,
        _ => SCOPE_LEVEL::ScopeLevelGlobal,
    }
}

/// Removes from a scope identifier what follows from the IPv4 address anyway.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in4_uncanonicalize_scope_id).
///
/// # Safety
///
/// `Address` points to an initialised address, `ScopeId` to an initialised scope identifier that may be written.
#[inline]
pub const unsafe fn IN4_UNCANONICALIZE_SCOPE_ID(Address: *const IN_ADDR, ScopeId: *mut SCOPE_ID) {
    // SAFETY: the caller's address and scope identifier are initialised.
    unsafe {
        let loopback = IN4_IS_ADDR_LOOPBACK(Address);
        *ScopeId = uncanonicalized(Ipv4AddressScope(Address.cast()), loopback, *ScopeId);
    }
}

/// Removes from a scope identifier what follows from the IPv6 address anyway.
///
/// IRQL: any. Header: `mstcpip.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/mstcpip/nf-mstcpip-in6_uncanonicalize_scope_id).
///
/// # Safety
///
/// `Address` points to an initialised address, `ScopeId` to an initialised scope identifier that may be written.
#[inline]
pub const unsafe fn IN6_UNCANONICALIZE_SCOPE_ID(Address: *const IN6_ADDR, ScopeId: *mut SCOPE_ID) {
    // SAFETY: the caller's address and scope identifier are initialised.
    unsafe {
        let loopback = IN6_IS_ADDR_LOOPBACK(Address);
        *ScopeId = uncanonicalized(Ipv6AddressScope(Address.cast()), loopback, *ScopeId);
    }
}

/// The scope identifier without what follows from the level of an address anyway.
const fn uncanonicalized(reach: SCOPE_LEVEL, loopback: bool, id: SCOPE_ID) -> SCOPE_ID {
    let mut parts = number(id);
    if loopback || reach.0 == SCOPE_LEVEL::ScopeLevelGlobal.0 {
        parts.set_Zone(0);
        parts.set_Level(0);
    }
    if parts.Level() as i32 == reach.0 {
        parts.set_Level(0);
    }
    SCOPE_ID {
        Anonymous1: SCOPE_ID_Anonymous1 { Anonymous1: parts },
    }
}
