//! The events of `WSK_CLIENT_CONNECTION_DISPATCH`, for whoever is to be told of them.

#![forbid(unsafe_code)]

use crate::memory::shared::Shared;
#[cfg(doc)]
use crate::socket::ConnectedSocket;
use crate::socket::indicated_bytes::ByteList;
use crate::socket::{ConnectionCategory, Socket};

/// A handler's answer about bytes that it has not retained.
///
/// ```
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::ConnectedSocket;
/// use wsk::events::{StreamIndication, StreamVerdict};
///
/// // Takes a header of four bytes, and leaves the rest for a receive.
/// let header = |indication: &mut StreamIndication<'_>| {
///     if indication.len() < 4 {
///         return StreamVerdict::NotAccepted;
///     }
///     StreamVerdict::ConsumedPart(4)
/// };
/// let socket = ConnectedSocket::connect(&provider, remote).with_events(header).wait()?;
/// socket.enable_events()?;
/// # let (mut peer, _) = peer.accept().unwrap();
/// # std::io::Write::write_all(&mut peer, b"headbody").unwrap();
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StreamVerdict {
    /// The handler has processed all of them.
    #[default]
    Consumed,
    /// The handler has processed this many of them, from the first on. WSK buffers the rest, and indicates nothing until a receive, or
    /// [`resume_events`](ConnectedSocket::resume_events).
    ConsumedPart(usize),
    /// The handler accepts none of them: WSK buffers them, and indicates nothing until a receive, or
    /// [`resume_events`](ConnectedSocket::resume_events).
    NotAccepted,
}

/// Who is told of the events of a connection, at up to `DISPATCH_LEVEL`.
pub(crate) trait Told: Send + Sync + 'static {
    /// So many bytes have arrived, which are `list`; what becomes of them. What is taken out of it is kept beyond this call.
    fn arrived(
        &self,
        list: &mut ByteList,
        length: usize,
        flags: u32,
        socket: &Shared<Socket<ConnectionCategory>>,
    ) -> StreamVerdict;

    /// The peer has disconnected; with the socket, unless that is about to go.
    fn disconnected(&self, flags: u32, socket: Option<&Shared<Socket<ConnectionCategory>>>);

    /// The number of bytes that should be in flight has changed; with the socket, unless that is about to go.
    fn send_backlog_changed(
        &self,
        ideal: usize,
        socket: Option<&Shared<Socket<ConnectionCategory>>>,
    );

    /// The socket is dead.
    fn died(&self);
}
