//! [`Handler`]: a driver's handler, as its socket has it.

#![forbid(unsafe_code)]

/// A driver's handler, as the socket has it: one type for all that may be told to it, so that a stream socket has one context whatever it
/// becomes.
pub(crate) struct Handler<H>(pub(super) H);
