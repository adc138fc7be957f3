//! Sizes of records that end in an array of addresses. These functions replace the size macros of `ws2def.h` and `ws2ipdef.h`.
//! Where C's arithmetic wraps because the count is too large, they saturate, so that no size is smaller than its contents.

use core::mem::{offset_of, size_of};

use crate::{
    GROUP_FILTER, IN_ADDR, IP_MSFILTER, SOCKADDR_STORAGE, SOCKET_ADDRESS, SOCKET_ADDRESS_LIST,
};

/// Bytes of a list with this many socket addresses.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-socket_address_list).
#[inline]
#[must_use]
pub const fn SIZEOF_SOCKET_ADDRESS_LIST(AddressCount: usize) -> usize {
    array(
        offset_of!(SOCKET_ADDRESS_LIST, Address),
        AddressCount,
        size_of::<SOCKET_ADDRESS>(),
    )
}

/// Bytes of a filter with this many IPv4 senders.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/ns-ws2ipdef-ip_msfilter).
#[inline]
#[must_use]
pub const fn IP_MSFILTER_SIZE(NumSources: usize) -> usize {
    array(
        size_of::<IP_MSFILTER>() - size_of::<IN_ADDR>(),
        NumSources,
        size_of::<IN_ADDR>(),
    )
}

/// Bytes of a filter with this many senders.
///
/// IRQL: any. Header: `ws2ipdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2ipdef/ns-ws2ipdef-group_filter).
#[inline]
#[must_use]
pub const fn GROUP_FILTER_SIZE(numsrc: usize) -> usize {
    array(
        size_of::<GROUP_FILTER>() - size_of::<SOCKADDR_STORAGE>(),
        numsrc,
        size_of::<SOCKADDR_STORAGE>(),
    )
}

/// The size of a record that ends in an array.
const fn array(before: usize, count: usize, each: usize) -> usize {
    count.saturating_mul(each).saturating_add(before)
}

/// Product of two 32-bit integers, in 64 bits.
///
/// IRQL: any. Header: `ntdef.h`.
#[inline]
#[must_use]
pub const fn Int32x32To64(Left: i32, Right: i32) -> i64 {
    // Never more than 63 bits.
    (Left as i64).wrapping_mul(Right as i64)
}

/// Product of two unsigned 32-bit integers, in 64 bits.
///
/// IRQL: any. Header: `ntdef.h`.
#[inline]
#[must_use]
pub const fn UInt32x32To64(Left: u32, Right: u32) -> u64 {
    // Never more than 64 bits.
    (Left as u64).wrapping_mul(Right as u64)
}
