//! [`Handler`]: the form in which a socket stores a driver's handler. Also the flag that all event callbacks share.

#![forbid(unsafe_code)]

use wsk_sys::WSK_FLAG_AT_DISPATCH_LEVEL;

/// `WSK_FLAG_AT_DISPATCH_LEVEL` with the type of the other flags.
pub(super) const AT_DISPATCH_LEVEL: u32 = WSK_FLAG_AT_DISPATCH_LEVEL as u32;

/// A driver's handler in the form in which the socket stores it. All event traits are implemented for this one type, so that a
/// stream socket keeps the same context when it turns into a listening or a connected one.
pub(crate) struct Handler<H>(pub(super) H);
