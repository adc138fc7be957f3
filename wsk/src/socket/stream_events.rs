//! The events of `WSK_CLIENT_CONNECTION_DISPATCH` for a handler.

#![forbid(unsafe_code)]

use crate::memory::Shared;
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

/// A handler of the events of a connection. IRQL: `<= DISPATCH_LEVEL`.
pub(crate) trait ConnectionHandler: Send + Sync + 'static {
    /// `length` bytes have arrived, in `list`. Returns what becomes of them, unless they were retained.
    fn arrived(
        &self,
        list: &mut ByteList,
        length: usize,
        flags: u32,
        socket: &Shared<Socket<ConnectionCategory>>,
    ) -> StreamVerdict;

    /// The peer has disconnected. `socket` is `None` before the socket has its first handle.
    fn disconnected(&self, flags: u32, socket: Option<&Shared<Socket<ConnectionCategory>>>);

    /// The number of bytes that should be in flight has changed. `socket` is `None` before the socket has its first handle.
    fn send_backlog_changed(
        &self,
        ideal: usize,
        socket: Option<&Shared<Socket<ConnectionCategory>>>,
    );

    /// The socket no longer works. It has to be closed.
    fn died(&self);
}
