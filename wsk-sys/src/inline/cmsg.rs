//! Control information of a message: its sizes, and walking from one header to the next.
//! Stands for the `WSA_CMSG_…` macros of `ws2def.h`.
//!
//! Where a length is so large that C's arithmetic wraps, these functions saturate: no result is smaller than the data needs, and
//! no header beyond the end of the buffer is returned.

use core::mem::{align_of, size_of};
use core::ptr::null_mut;

use crate::{WSACMSGHDR, WSAMSG};

/// Bytes from a header to its data.
const DATA_OFFSET: usize = WSA_CMSGDATA_ALIGN(size_of::<WSACMSGHDR>());

/// Rounds a length up to where a header may start.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-wsacmsghdr).
#[inline]
#[must_use]
pub const fn WSA_CMSGHDR_ALIGN(length: usize) -> usize {
    round_up(length, align_of::<WSACMSGHDR>())
}

/// Rounds a length up to where data may start.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-wsacmsghdr).
#[inline]
#[must_use]
pub const fn WSA_CMSGDATA_ALIGN(length: usize) -> usize {
    round_up(length, align_of::<u64>())
}

/// Bytes that a piece takes with this much data, with its padding.
///
/// ```
/// use wsk_sys::{IN_PKTINFO, WSA_CMSG_SPACE};
///
/// const ROOM: usize = WSA_CMSG_SPACE(size_of::<IN_PKTINFO>());
/// assert_eq!(ROOM, 24);
/// ```
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-wsacmsghdr).
#[inline]
#[must_use]
#[doc(alias = "CMSG_SPACE")]
pub const fn WSA_CMSG_SPACE(length: usize) -> usize {
    WSA_CMSGDATA_ALIGN(size_of::<WSACMSGHDR>().saturating_add(WSA_CMSGHDR_ALIGN(length)))
}

/// Length to write in the header of a piece with this much data.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-wsacmsghdr).
#[inline]
#[must_use]
#[doc(alias = "CMSG_LEN")]
pub const fn WSA_CMSG_LEN(length: usize) -> usize {
    DATA_OFFSET.saturating_add(length)
}

/// First header of the control information of a message, or NULL.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-wsacmsghdr).
///
/// # Safety
///
/// `msg` points to an initialised message. The header may be read if `Control` describes memory that may.
#[inline]
#[must_use]
#[doc(alias = "CMSG_FIRSTHDR")]
pub unsafe fn WSA_CMSG_FIRSTHDR(msg: *const WSAMSG) -> *mut WSACMSGHDR {
    // SAFETY: the caller's message is initialised.
    let control = unsafe { (*msg).Control };
    if (control.len as usize) < size_of::<WSACMSGHDR>() {
        null_mut()
    } else {
        control.buf.cast()
    }
}

/// Header after this one in the control information of a message, or NULL; the first one after NULL.
///
/// As in C, a length is only checked against the end of the buffer: after a header with length zero comes the same header again.
/// Code that reads control information from others checks `cmsg_len` before it continues.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-wsacmsghdr).
///
/// # Safety
///
/// `msg` points to an initialised message. `cmsg` is NULL or points to a header in the control information of the message,
/// which may be read.
#[inline]
#[must_use]
#[doc(alias = "CMSG_NXTHDR")]
pub unsafe fn WSA_CMSG_NXTHDR(msg: *const WSAMSG, cmsg: *const WSACMSGHDR) -> *mut WSACMSGHDR {
    // SAFETY: the caller's message is initialised, and its header may be read; nothing says that it is aligned.
    let (control, length) = unsafe {
        if cmsg.is_null() {
            return WSA_CMSG_FIRSTHDR(msg);
        }
        (
            (*msg).Control,
            (&raw const (*cmsg).cmsg_len).read_unaligned(),
        )
    };
    let start = cmsg.addr().saturating_sub(control.buf.addr());
    let next = start.saturating_add(WSA_CMSGHDR_ALIGN(length));
    if next.saturating_add(size_of::<WSACMSGHDR>()) > control.len as usize {
        return null_mut();
    }
    control.buf.wrapping_add(next).cast()
}

/// Data that follows a header.
///
/// IRQL: any. Header: `ws2def.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-wsacmsghdr).
///
/// # Safety
///
/// `cmsg` points to a header. As many bytes may be read through the result as `cmsg_len` truthfully says.
#[inline]
#[must_use]
#[doc(alias = "CMSG_DATA")]
pub unsafe fn WSA_CMSG_DATA(cmsg: *const WSACMSGHDR) -> *mut u8 {
    cmsg.cast::<u8>().cast_mut().wrapping_add(DATA_OFFSET)
}

/// Rounds up to a multiple of a power of two, or gives the largest number where there is no such multiple.
const fn round_up(length: usize, alignment: usize) -> usize {
    match length.checked_add(alignment - 1) {
        Some(sum) => sum & !(alignment - 1),
        None => usize::MAX,
    }
}

pub use self::{
    WSA_CMSG_DATA as CMSG_DATA, WSA_CMSG_FIRSTHDR as CMSG_FIRSTHDR, WSA_CMSG_LEN as CMSG_LEN,
    WSA_CMSG_NXTHDR as CMSG_NXTHDR, WSA_CMSG_SPACE as CMSG_SPACE,
    WSA_CMSGDATA_ALIGN as CMSGDATA_ALIGN, WSA_CMSGHDR_ALIGN as CMSGHDR_ALIGN,
};
