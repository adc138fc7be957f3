//! The types of sockets: what a driver has of them are handles.

#![forbid(unsafe_code)]

use core::fmt;

use crate::socket::stream::SocketMemory;
use crate::socket::{
    BasicCategory, ConnectionCategory, DatagramCategory, Handle, ListenCategory, StreamCategory,
};

/// Writes the debugging output of a socket.
macro_rules! shows_family {
    ($($Socket:ident),*) => {$(
        impl fmt::Debug for $Socket {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Socket))
                    .field("family", &self.handle.family())
                    .finish_non_exhaustive()
            }
        }
    )*};
}

shows_family!(
    BasicSocket,
    DatagramSocket,
    ConnectionSocket,
    ConnectedSocket,
    ListenSocket,
    StreamSocket
);

/// A basic socket: it sets and reads [options](crate::option) and runs [I/O control operations](crate::ioctl) of a transport, and
/// sends and receives nothing.
///
/// This is a handle. Clones refer to the same socket, which closes when the last handle is dropped. Dropping never waits, and is allowed at
/// any IRQL up to `DISPATCH_LEVEL`. [`close`](Self::close) waits until the socket has closed.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::ioctl::RoutingInterface;
/// use wsk::{BasicSocket, Family};
///
/// // Which address would datagrams to this one be sent from?
/// let socket = BasicSocket::open_datagram(&provider, Family::V4)?;
/// let local = socket.ioctl(RoutingInterface(([127, 0, 0, 1], 9))).wait()?;
/// assert!(local.ip().is_loopback());
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias("WSK_FLAG_BASIC_SOCKET", "WSK_SOCKET"))]
#[derive(Clone)]
pub struct BasicSocket {
    pub(crate) handle: Handle<BasicCategory>,
}

/// A UDP socket.
///
/// This is a handle. Clones refer to the same socket, which closes when the last handle is dropped. Dropping never waits, and is allowed at
/// any IRQL up to `DISPATCH_LEVEL`. [`close`](Self::close) waits until the socket has closed.
///
/// Sends and receives may run at the same time, on any threads. Operations in flight do not keep the socket open: closing it completes them,
/// those that were not done with `STATUS_CANCELLED`.
#[doc(alias("WSK_FLAG_DATAGRAM_SOCKET", "WSK_SOCKET"))]
#[derive(Clone)]
pub struct DatagramSocket {
    pub(crate) handle: Handle<DatagramCategory>,
}

/// A TCP socket that is not connected yet.
///
/// [`connect`](Self::connect) turns it into a [`ConnectedSocket`], which can send and receive. If you set no options before,
/// [`ConnectedSocket::connect`] opens, binds and connects in one call.
///
/// Dropping it closes it, without waiting, at any IRQL up to `DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use core::net::{Ipv4Addr, SocketAddr};
/// use wsk::{ConnectionSocket, Family, NonPagedBuffer};
///
/// let socket = ConnectionSocket::open(&provider, Family::V4)?;
/// socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
/// let connected = socket.connect(remote).wait()?;
/// # let (mut peer, _) = peer.accept().unwrap();
///
/// connected.send(NonPagedBuffer::copy_of(b"hello")?).wait()?;
/// connected.disconnect().wait()?;
/// # let mut got = Vec::new();
/// # std::io::Read::read_to_end(&mut peer, &mut got).unwrap();
/// # assert_eq!(got, b"hello");
/// # drop((connected, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias("WSK_FLAG_CONNECTION_SOCKET", "WSK_SOCKET"))]
pub struct ConnectionSocket {
    pub(crate) handle: Handle<ConnectionCategory>,
    /// Whether WSK has connected the socket, which then becomes a [`ConnectedSocket`].
    connected: bool,
}

impl ConnectionSocket {
    /// A socket that is not connected.
    pub(crate) const fn new(handle: Handle<ConnectionCategory>) -> Self {
        Self {
            handle,
            connected: false,
        }
    }

    /// Notes that WSK has connected the socket.
    pub(crate) const fn set_connected(&mut self) {
        self.connected = true;
    }

    /// The connected socket. Returns the socket itself where WSK has not connected it.
    pub(crate) fn into_connected(self) -> Result<ConnectedSocket, Self> {
        if self.connected {
            // INVARIANT: WSK has connected the socket.
            Ok(ConnectedSocket {
                handle: self.handle,
            })
        } else {
            Err(self)
        }
    }
}

/// A TCP socket that is, or was, connected.
///
/// This is a handle. Clones refer to the same socket, which closes when the last handle is dropped. Dropping never waits, and is allowed at
/// any IRQL up to `DISPATCH_LEVEL`. [`close`](Self::close) waits until the socket has closed. Closing
/// a socket that is not disconnected in both directions aborts the connection: sent bytes may be lost, and the peer sees a reset. To end it
/// gracefully, [`disconnect`](Self::disconnect), and receive until the end.
///
/// Sends and receives may run at the same time, on any threads. Several sends, and several receives, are carried out in the order in which
/// they were started. Operations in flight do not keep the socket open: closing it completes them, those that were not done with
/// `STATUS_CANCELLED`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let peer = std::thread::spawn(move || {
/// #     use std::io::{Read, Write};
/// #     let (mut peer, _) = peer.accept().unwrap();
/// #     peer.write_all(b"welcome").unwrap();
/// #     assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
/// # });
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::{ConnectedSocket, NonPagedBuffer};
///
/// let socket = ConnectedSocket::connect(&provider, remote).wait()?;
/// socket.disconnect().wait()?;
/// let mut buffer = NonPagedBuffer::new(512)?;
/// let mut greeting = 0;
/// loop {
///     match socket.receive(&mut buffer).wait()? {
///         0 => break,
///         more => greeting += more,
///     }
/// }
/// assert_eq!(greeting, 7);
/// socket.close()?;
/// # peer.join().unwrap();
/// # drop((buffer, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// WSK has connected the socket, or accepted it.
#[doc(alias("WSK_FLAG_CONNECTION_SOCKET", "WSK_SOCKET"))]
#[derive(Clone)]
pub struct ConnectedSocket {
    pub(crate) handle: Handle<ConnectionCategory>,
}

/// A socket that accepts TCP connections. It listens once it is bound.
///
/// This is a handle. Clones refer to the same socket, which closes when the last handle is dropped. Dropping never waits, and is allowed at
/// any IRQL up to `DISPATCH_LEVEL`. [`close`](Self::close) waits until the socket has closed. Accepted
/// connections are sockets of their own, and stay open.
///
/// [`accept`](Self::accept) accepts one connection. With [events](crate::events::AcceptEvent), WSK calls a handler for each.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use core::net::{Ipv4Addr, SocketAddr};
/// use wsk::{Family, ListenSocket, NonPagedBuffer};
///
/// let listener = ListenSocket::open(&provider, Family::V4)?;
/// listener.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
/// let local = listener.local_address()?;
/// # let peer = std::net::TcpStream::connect(local).unwrap();
///
/// let (socket, from) = listener.accept().wait()?;
/// # assert_eq!(from, peer.local_addr().unwrap());
/// socket.send(NonPagedBuffer::copy_of(b"welcome")?).wait()?;
/// # let mut got = [0; 7];
/// # std::io::Read::read_exact(&mut &peer, &mut got).unwrap();
/// # assert_eq!(&got, b"welcome");
/// # drop((socket, listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias("WSK_FLAG_LISTEN_SOCKET", "WSK_SOCKET"))]
#[derive(Clone)]
pub struct ListenSocket {
    pub(crate) handle: Handle<ListenCategory>,
}

/// A stream socket: a TCP socket that neither connects nor listens yet. Windows 10, version 1703, and later.
///
/// Bind it, set its options, and decide later: [`connect`](Self::connect) turns it into a [`ConnectedSocket`], [`listen`](Self::listen) into a
/// [`ListenSocket`]. Everything that these need is allocated when the stream socket is opened.
///
/// Dropping it closes it, without waiting, at any IRQL up to `DISPATCH_LEVEL`. It has one handle, so its requests cannot be prepared; those of
/// the later socket can.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use core::net::{Ipv4Addr, SocketAddr};
/// use wsk::{Family, StreamSocket};
///
/// let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
/// let (server, client) = (StreamSocket::open(&provider, Family::V4)?, StreamSocket::open(&provider, Family::V4)?);
/// server.bind(local)?;
/// client.bind(local)?;
///
/// let listener = server.listen().map_err(|(error, _)| error)?;
/// let accept = listener.accept().start()?;
/// let connected = client.connect(listener.local_address()?).wait()?;
/// let (accepted, from) = accept.wait().map_err(|(error, _)| error)??;
/// assert_eq!(from, connected.local_address()?);
/// # drop((accepted, connected, listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias("WSK_FLAG_STREAM_SOCKET", "WSK_PROVIDER_STREAM_DISPATCH", "WSK_SOCKET"))]
pub struct StreamSocket {
    pub(crate) handle: Handle<StreamCategory>,
    /// The room for the state of the listening or connected socket that it becomes.
    pub(crate) room: SocketMemory,
}
