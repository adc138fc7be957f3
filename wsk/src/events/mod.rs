//! Events: what WSK calls a driver for when something happens to a socket, and the handlers that a driver gives it.

mod datagram;
mod pieces;
mod stream;

pub(crate) use datagram::of_datagrams;
pub use datagram::{Datagram, Datagrams, Indication, ReceiveFromEvent, Retained, Verdict};
pub use pieces::Pieces;
pub use stream::{
    AcceptEvent, ConnectionEvent, Disconnection, Incoming, RetainedBytes, StreamIndication,
    StreamPieces, StreamVerdict,
};
pub(crate) use stream::{of_connection, of_listener};
