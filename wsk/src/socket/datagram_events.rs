//! `WskReceiveFromEvent` of `WSK_CLIENT_DATAGRAM_DISPATCH`, for whoever is to be told of it.

#![forbid(unsafe_code)]

use crate::memory::shared::Shared;
use crate::socket::open::Arrived;
use crate::socket::{DatagramCategory, Socket};

/// Who is told of the datagrams that arrive at a socket.
pub(crate) trait Told: Send + Sync + 'static {
    /// Datagrams have arrived, which may be kept.
    ///
    /// Says whether those that are left have been dealt with.
    fn arrived(
        &self,
        list: &mut Arrived<DatagramCategory>,
        flags: u32,
        socket: &Shared<Socket<DatagramCategory>>,
    ) -> bool;

    /// The socket is dead.
    fn died(&self);
}
