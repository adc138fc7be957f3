//! Control codes from their parts. Stands for `CTL_CODE` of `wdm.h` and the `_IO…` and `_WSAIO…` macros of `ws2def.h`.

use core::mem::size_of;

use crate::{IOC_IN, IOC_INOUT, IOC_OUT, IOC_VOID, IOCPARM_MASK};

/// Control code of a device.
///
/// Nothing keeps a part within its bits, as in C: a function above 0xFFF runs into the access.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/defining-i-o-control-codes).
#[inline]
#[must_use]
pub const fn CTL_CODE(DeviceType: u32, Function: u32, Method: u32, Access: u32) -> u32 {
    (DeviceType << 16) | (Access << 14) | (Function << 2) | Method
}

/// Control code of Unix without parameters.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winsock/winsock-ioctls).
#[inline]
#[must_use]
pub const fn _IO(x: u32, y: u32) -> u32 {
    IOC_VOID | (x << 8) | y
}

/// Control code of Unix whose parameter, of type `T`, comes out.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winsock/winsock-ioctls).
#[inline]
#[must_use]
pub const fn _IOR<T>(x: u32, y: u32) -> u32 {
    IOC_OUT | parameter::<T>() | (x << 8) | y
}

/// Control code of Unix whose parameter, of type `T`, goes in.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winsock/winsock-ioctls).
#[inline]
#[must_use]
pub const fn _IOW<T>(x: u32, y: u32) -> u32 {
    IOC_IN | parameter::<T>() | (x << 8) | y
}

/// The bits with the size of a parameter.
const fn parameter<T>() -> u32 {
    (size_of::<T>() as u32 & IOCPARM_MASK) << 16
}

/// Control code of a family without parameters.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winsock/winsock-ioctls).
#[inline]
#[must_use]
pub const fn _WSAIO(x: u32, y: u32) -> u32 {
    IOC_VOID | x | y
}

/// Control code of a family whose parameters come out.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winsock/winsock-ioctls).
#[inline]
#[must_use]
pub const fn _WSAIOR(x: u32, y: u32) -> u32 {
    IOC_OUT | x | y
}

/// Control code of a family whose parameters go in.
///
/// ```
/// use wsk_sys::{_WSAIOW, IOC_WSK, SIO_WSK_SET_REMOTE_ADDRESS};
///
/// assert_eq!(_WSAIOW(IOC_WSK, 0x1), SIO_WSK_SET_REMOTE_ADDRESS);
/// ```
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winsock/winsock-ioctls).
#[inline]
#[must_use]
pub const fn _WSAIOW(x: u32, y: u32) -> u32 {
    IOC_IN | x | y
}

/// Control code of a family whose parameters go in and come out.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/winsock/winsock-ioctls).
#[inline]
#[must_use]
pub const fn _WSAIORW(x: u32, y: u32) -> u32 {
    IOC_INOUT | x | y
}
