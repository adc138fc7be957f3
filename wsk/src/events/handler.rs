//! [`Handler`]: a driver's handler as its socket keeps it; and the flag that events of all sockets have.

#![forbid(unsafe_code)]

use wsk_sys::WSK_FLAG_AT_DISPATCH_LEVEL;

/// The flag, among the others.
pub(super) const AT_DISPATCH_LEVEL: u32 = WSK_FLAG_AT_DISPATCH_LEVEL as u32;

/// A driver's handler, as the socket has it: one type for all that may be told to it, so that a stream socket has one context whatever it
/// becomes.
pub(crate) struct Handler<H>(pub(super) H);
