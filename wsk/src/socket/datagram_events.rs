//! The event of `WSK_CLIENT_DATAGRAM_DISPATCH` for a handler: `WskReceiveFromEvent`.

#![forbid(unsafe_code)]

use crate::memory::Shared;
use crate::socket::open::Arrived;
use crate::socket::{DatagramCategory, Socket};

/// A handler of the datagrams that arrive at a socket.
pub(crate) trait DatagramHandler: Send + Sync + 'static {
    /// Datagrams have arrived, which may be kept. Returns whether those that were not kept have been processed.
    fn arrived(
        &self,
        list: &mut Arrived<DatagramCategory>,
        flags: u32,
        socket: &Shared<Socket<DatagramCategory>>,
    ) -> bool;

    /// The socket no longer works. It has to be closed.
    fn died(&self);
}
