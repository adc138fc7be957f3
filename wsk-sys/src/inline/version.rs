//! The parts of an `NTDDI_VERSION`. Stands for the macros of `sdkddkver.h`.

use crate::{OSVERSION_MASK, SPVERSION_MASK, SUBVERSION_MASK};

/// Operating system that an `NTDDI_VERSION` names.
///
/// IRQL: any. Header: `sdkddkver.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winprog/using-the-windows-headers).
#[inline]
#[must_use]
pub const fn OSVER(Version: u32) -> u32 {
    Version & OSVERSION_MASK
}

/// Service pack that an `NTDDI_VERSION` names.
///
/// IRQL: any. Header: `sdkddkver.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winprog/using-the-windows-headers).
#[inline]
#[must_use]
pub const fn SPVER(Version: u32) -> u32 {
    (Version & SPVERSION_MASK) >> 8
}

/// Update that an `NTDDI_VERSION` names.
///
/// IRQL: any. Header: `sdkddkver.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winprog/using-the-windows-headers).
#[inline]
#[must_use]
pub const fn SUBVER(Version: u32) -> u32 {
    Version & SUBVERSION_MASK
}

/// `NTDDI_VERSION` of the Windows that a `_WIN32_WINNT` value names.
///
/// IRQL: any. Header: `sdkddkver.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winprog/using-the-windows-headers).
#[inline]
#[must_use]
pub const fn NTDDI_VERSION_FROM_WIN32_WINNT(Version: u16) -> u32 {
    (Version as u32) << 16
}
