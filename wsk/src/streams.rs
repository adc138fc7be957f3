//! Streams of the crate `futures-core`: of the datagrams that arrive at a socket, and of connections. Needs the feature `futures-core`.
//!
//! A stream keeps its operation when the future that waits for the next item is dropped or forgotten, so that nothing is lost.
//! Only dropping the stream itself loses an item that it has not returned yet. IRQL: `<= DISPATCH_LEVEL`. No executor is
//! involved: completion routines wake wakers, at up to `DISPATCH_LEVEL`.

#![forbid(unsafe_code)]

use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use crate::buffer::ReceiveBuffer;
use crate::error::Error;
use crate::operation::{Finished, InFlight};
use crate::request::{Accepting, NewConnection, Received, ReceivingFrom};
use crate::socket::{ConnectedSocket, DatagramSocket, ListenSocket};

/// A stream of the datagrams that arrive at a socket, each in its own buffer: see [`datagrams`](DatagramSocket::datagrams).
///
/// An error ends the stream when the socket is [dead](Error::must_close); after any other one it goes on. Dropping it cancels the
/// receive; a datagram that came first is lost.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// # struct Unpark(std::thread::Thread);
/// # impl std::task::Wake for Unpark {
/// #     fn wake(self: std::sync::Arc<Self>) { self.0.unpark() }
/// # }
/// # fn block_on<F: Future>(future: F) -> F::Output {
/// #     let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
/// #     let mut context = std::task::Context::from_waker(&waker);
/// #     let mut future = std::pin::pin!(future);
/// #     loop {
/// #         match future.as_mut().poll(&mut context) {
/// #             std::task::Poll::Ready(output) => return output,
/// #             std::task::Poll::Pending => std::thread::park(),
/// #         }
/// #     }
/// # }
/// # block_on(async {
/// use core::future::poll_fn;
/// use core::pin::Pin;
/// use futures_core::Stream;
/// use wsk::streams::DatagramStream;
/// use wsk::{Error, NonPagedBuffer};
///
/// /// How many bytes the next datagram has.
/// async fn next<M>(datagrams: &mut DatagramStream<NonPagedBuffer, M>) -> Result<Option<usize>, Error>
/// where
///     M: FnMut() -> Result<NonPagedBuffer, Error>,
/// {
///     let next = poll_fn(|context| Pin::new(&mut *datagrams).poll_next(context)).await;
///     Ok(next.transpose()?.map(|(received, _buffer)| received.length()))
/// }
///
/// let mut datagrams = socket.datagrams(|| NonPagedBuffer::new(1500));
/// assert_eq!(next(&mut datagrams).await?, Some(5));
/// # Ok::<_, wsk::Error>(())
/// # })?;
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct DatagramStream<B: ReceiveBuffer, M> {
    socket: DatagramSocket,
    buffers: M,
    receiving: Option<InFlight<ReceivingFrom, B>>,
    ended: bool,
}

impl DatagramSocket {
    /// A stream of the datagrams that arrive. From the first poll on, one receive at a time is in flight, with a buffer from `buffers`.
    /// IRQL: `<= DISPATCH_LEVEL`; for polling that of the [buffers](crate::operation::Request::start).
    ///
    /// An error of `buffers` is an item of the stream. The next poll asks `buffers` again.
    ///
    /// Each receive allocates its operation.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
    /// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    /// # for number in 0..3 { peer.send_to(&[number], socket.local_address()?).unwrap(); }
    /// # struct Unpark(std::thread::Thread);
    /// # impl std::task::Wake for Unpark {
    /// #     fn wake(self: std::sync::Arc<Self>) { self.0.unpark() }
    /// # }
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    /// #     let mut context = std::task::Context::from_waker(&waker);
    /// #     let mut future = std::pin::pin!(future);
    /// #     loop {
    /// #         match future.as_mut().poll(&mut context) {
    /// #             std::task::Poll::Ready(output) => return output,
    /// #             std::task::Poll::Pending => std::thread::park(),
    /// #         }
    /// #     }
    /// # }
    /// # block_on(async {
    /// use core::future::poll_fn;
    /// use core::pin::Pin;
    /// use futures_core::Stream;
    /// use wsk::{BufferPool, Error, NonPagedBuffer};
    ///
    /// let pool = BufferPool::new(16, |_| NonPagedBuffer::new(1500))?;
    /// let mut datagrams = socket.datagrams(|| pool.take().ok_or(Error::PoolEmpty));
    /// for number in 0..3 {
    ///     // `datagrams.next().await` with the crate `futures-util`.
    ///     let next = poll_fn(|context| Pin::new(&mut datagrams).poll_next(context)).await;
    ///     let Some((received, buffer)) = next.transpose()? else { break };
    ///     assert_eq!(&buffer.as_slice()[..received.length()], [number]);
    /// }
    /// # Ok::<(), wsk::Error>(())
    /// # })?;
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    pub fn datagrams<B, M>(&self, buffers: M) -> DatagramStream<B, M>
    where
        B: ReceiveBuffer + Send + 'static,
        M: FnMut() -> Result<B, Error>,
    {
        DatagramStream {
            socket: self.clone(),
            buffers,
            receiving: None,
            ended: false,
        }
    }
}

// The operation is not stored inside the stream, and `buffers` is not pinned.
impl<B: ReceiveBuffer, M> Unpin for DatagramStream<B, M> {}

impl<B, M> Stream for DatagramStream<B, M>
where
    B: ReceiveBuffer + Send + 'static,
    M: FnMut() -> Result<B, Error>,
{
    type Item = Result<(Received, B), Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self {
            socket,
            buffers,
            receiving,
            ended,
        } = self.get_mut();
        let start = || buffers().and_then(|buffer| Ok(socket.receive_from(buffer).start()?));
        poll_next(receiving, ended, context, start, |finished| {
            let Finished { result, buffer } = finished;
            result.and_then(|received| Ok((received, buffer.ok_or(Error::Taken)?)))
        })
    }
}

impl<B, M> FusedStream for DatagramStream<B, M>
where
    B: ReceiveBuffer + Send + 'static,
    M: FnMut() -> Result<B, Error>,
{
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<B: ReceiveBuffer, M> fmt::Debug for DatagramStream<B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramStream")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The next item of a stream: the result of the operation in flight, or of a new one.
fn poll_next<R: Future + Unpin, T>(
    in_flight: &mut Option<R>,
    ended: &mut bool,
    context: &mut Context<'_>,
    start: impl FnOnce() -> Result<R, Error>,
    item: impl FnOnce(R::Output) -> Result<T, Error>,
) -> Poll<Option<Result<T, Error>>> {
    if *ended {
        return Poll::Ready(None);
    }
    let running = match &mut *in_flight {
        Some(running) => running,
        nothing => match start() {
            Ok(started) => nothing.insert(started),
            Err(error) => return Poll::Ready(Some(Err(noted(error, ended)))),
        },
    };
    let output = ready!(Pin::new(running).poll(context));
    *in_flight = None;
    Poll::Ready(Some(item(output).map_err(|error| noted(error, ended))))
}

/// Notes whether an error ends the stream.
fn noted(error: Error, ended: &mut bool) -> Error {
    *ended = error.must_close();
    error
}

/// A stream of the connections of a listening socket, with the addresses of the peers: see [`connections`](ListenSocket::connections).
///
/// An error ends the stream when the socket is [dead](Error::must_close); after any other one it goes on. Dropping it cancels the
/// accept; a connection that came first is closed.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let listener = wsk::ListenSocket::open(&provider, wsk::Family::V4)?;
/// # listener.bind(([127, 0, 0, 1], 0))?;
/// # let peer = std::net::TcpStream::connect(listener.local_address()?).unwrap();
/// # struct Unpark(std::thread::Thread);
/// # impl std::task::Wake for Unpark {
/// #     fn wake(self: std::sync::Arc<Self>) { self.0.unpark() }
/// # }
/// # fn block_on<F: Future>(future: F) -> F::Output {
/// #     let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
/// #     let mut context = std::task::Context::from_waker(&waker);
/// #     let mut future = std::pin::pin!(future);
/// #     loop {
/// #         match future.as_mut().poll(&mut context) {
/// #             std::task::Poll::Ready(output) => return output,
/// #             std::task::Poll::Pending => std::thread::park(),
/// #         }
/// #     }
/// # }
/// # block_on(async {
/// use core::future::poll_fn;
/// use core::pin::Pin;
/// use futures_core::Stream;
/// use wsk::streams::ConnectionStream;
/// use wsk::{ConnectedSocket, Error};
///
/// /// The next connection from this machine; others are closed.
/// async fn next_local(connections: &mut ConnectionStream) -> Result<Option<ConnectedSocket>, Error> {
///     loop {
///         let next = poll_fn(|context| Pin::new(&mut *connections).poll_next(context)).await;
///         match next.transpose()? {
///             Some((socket, from)) if from.ip().is_loopback() => return Ok(Some(socket)),
///             Some(_) => {}
///             None => return Ok(None),
///         }
///     }
/// }
///
/// assert!(next_local(&mut listener.connections()).await?.is_some());
/// # Ok::<_, wsk::Error>(())
/// # })?;
/// # drop((listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct ConnectionStream {
    listener: ListenSocket,
    accepting: Option<InFlight<Accepting, NewConnection>>,
    ended: bool,
}

impl ListenSocket {
    /// A stream of the connections that arrive. From the first poll on, one accept at a time is in flight. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Each accept allocates its operation, and what [`accept`](Self::accept) does.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let listener = wsk::ListenSocket::open(&provider, wsk::Family::V4)?;
    /// # listener.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    /// # let peer = std::net::TcpStream::connect(listener.local_address()?).unwrap();
    /// # struct Unpark(std::thread::Thread);
    /// # impl std::task::Wake for Unpark {
    /// #     fn wake(self: std::sync::Arc<Self>) { self.0.unpark() }
    /// # }
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    /// #     let mut context = std::task::Context::from_waker(&waker);
    /// #     let mut future = std::pin::pin!(future);
    /// #     loop {
    /// #         match future.as_mut().poll(&mut context) {
    /// #             std::task::Poll::Ready(output) => return output,
    /// #             std::task::Poll::Pending => std::thread::park(),
    /// #         }
    /// #     }
    /// # }
    /// # block_on(async {
    /// use core::future::poll_fn;
    /// use core::pin::Pin;
    /// use futures_core::Stream;
    ///
    /// let mut connections = listener.connections();
    /// let next = poll_fn(|context| Pin::new(&mut connections).poll_next(context)).await;
    /// if let Some((socket, from)) = next.transpose()? {
    ///     assert_eq!(socket.remote_address()?, from);
    /// #   assert_eq!(peer.local_addr().unwrap(), from);
    /// }
    /// # Ok::<(), wsk::Error>(())
    /// # })?;
    /// # drop((listener, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    #[must_use]
    pub fn connections(&self) -> ConnectionStream {
        ConnectionStream {
            listener: self.clone(),
            accepting: None,
            ended: false,
        }
    }
}

impl Stream for ConnectionStream {
    type Item = Result<(ConnectedSocket, SocketAddr), Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self {
            listener,
            accepting,
            ended,
        } = self.get_mut();
        let start = || listener.accept().start();
        poll_next(accepting, ended, context, start, |accepted| accepted)
    }
}

impl FusedStream for ConnectionStream {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}
