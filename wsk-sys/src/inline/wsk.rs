//! The version of the WSK interface: major part in the high byte, minor part in the low one. Stands for the version macros
//! of `wsk.h`.

/// Version of the interface, from its two parts.
///
/// ```
/// assert_eq!(wsk_sys::MAKE_WSK_VERSION(1, 0), 0x0100);
/// ```
///
/// IRQL: any. Header: `wsk.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_client_dispatch).
#[inline]
#[must_use]
pub const fn MAKE_WSK_VERSION(Mj: u8, Mn: u8) -> u16 {
    u16::from_be_bytes([Mj, Mn])
}

/// Major part of a version.
///
/// IRQL: any. Header: `wsk.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_client_dispatch).
#[inline]
#[must_use]
pub const fn WSK_MAJOR_VERSION(V: u16) -> u8 {
    V.to_be_bytes()[0]
}

/// Minor part of a version.
///
/// IRQL: any. Header: `wsk.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_client_dispatch).
#[inline]
#[must_use]
pub const fn WSK_MINOR_VERSION(V: u16) -> u8 {
    V.to_be_bytes()[1]
}
