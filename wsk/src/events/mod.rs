//! Events: what WSK calls a driver for when something happens to a socket, and the handlers that a driver gives it.
//!
//! A handler that panics aborts: in a driver, which is built with `panic = "abort"`, as its panic handler says, which should be a
//! bugcheck; on a host the process ends.

mod datagram;
mod indicated;
mod pieces;
mod retained;
mod segments;
mod stream;

pub(crate) use datagram::of_datagrams;
pub use datagram::{Indication, ReceiveFromEvent, Verdict};
pub use indicated::{Datagram, Datagrams};
pub use pieces::Pieces;
pub use retained::{Retained, RetainedDatagram, RetainedDatagrams};
pub use segments::{Segment, Segments};
pub use stream::{
    AcceptEvent, ConnectionEvent, Disconnection, Incoming, RetainedBytes, StreamIndication,
    StreamPieces, StreamVerdict,
};
pub(crate) use stream::{of_connection, of_listener};
