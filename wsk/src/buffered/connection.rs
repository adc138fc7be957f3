//! [`BufferedConnection`]: a connection as a stream of bytes of the crate `embedded-io-async`.

use core::future::{Future, IntoFuture};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use embedded_io_async::{BufRead, ErrorType, Read, ReadReady, Write, WriteReady};
use wsk_sys::STATUS_UNEXPECTED_NETWORK_ERROR;

use super::repeated::Repeated;
use super::until_over::until_over;
use crate::buffer::NonPagedBuffer;
use crate::error::{Call, Error};
use crate::memory;
use crate::request::{Receiving, Sending};
use crate::socket::ConnectedSocket;

/// A connection with a buffer for each direction, which implements the traits of
/// [`embedded-io-async`](https://docs.rs/embedded-io-async), for crates that speak a protocol over any stream.
///
/// Reads return what is in the receive buffer, or wait until the peer has sent something. Writes gather bytes in the send buffer,
/// so that the small pieces that protocols write go out as one. The bytes are sent when the buffer is full, when a read of the
/// whole connection begins, and by [`flush`](Write::flush), which waits until the peer's transport has them. After an error of
/// the connection, the next write or flush fails, and so do all that follow, because it is unknown how many bytes have gone out.
///
/// Every future may be dropped or forgotten at any moment: [a table](crate::buffered) says what happens to the bytes. `write_all` and
/// `read_exact` make several writes or reads. When one of them is dropped, some of these are done already.
///
/// Dropping the connection discards the bytes that were not flushed, and closes the socket when the rest is sent. That aborts the connection
/// unless it was [disconnected](Self::disconnect).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let address = server.local_addr().unwrap();
/// # let answers = std::thread::spawn(move || {
/// #     use std::io::{Read, Write};
/// #     let (mut client, _) = server.accept().unwrap();
/// #     let mut question = [0; 4];
/// #     client.read_exact(&mut question).unwrap();
/// #     client.write_all(&question.map(|byte| byte.to_ascii_uppercase())).unwrap();
/// # });
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
/// use embedded_io_async::{Read, Write};
/// use wsk::buffered::BufferedConnection;
/// use wsk::{ConnectedSocket, Registration, Wait};
///
/// /// Knows nothing of WSK.
/// async fn ask<S: Read + Write>(stream: &mut S, question: &[u8]) -> Option<[u8; 4]> {
///     let mut answer = [0; 4];
///     stream.write_all(question).await.ok()?;
///     stream.flush().await.ok()?;
///     stream.read_exact(&mut answer).await.ok()?;
///     Some(answer)
/// }
///
/// let registration = Registration::new()?;
/// let provider = registration.capture(Wait::No)?;
/// let answer = block_on(async {
///     let socket = ConnectedSocket::connect(&provider, address).await?;
///     let mut connection = BufferedConnection::new(socket, 1024, 1024)?;
///     let answer = ask(&mut connection, b"ping").await;
///     connection.disconnect().await?;
///     Ok::<_, wsk::Error>(answer)
/// });
/// assert_eq!(answer, Ok(Some(*b"PING")));
/// # answers.join().unwrap();
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct BufferedConnection {
    reader: ReadHalf,
    writer: WriteHalf,
}

impl BufferedConnection {
    /// Makes a connection over a connected socket, with buffers of `receive` and `send` bytes. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Allocates the buffers, of one byte at least, and two operations; nothing is allocated after that. Other handles of the socket
    /// should not be used to send or receive at the same time: the bytes would be mixed.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn new(socket: ConnectedSocket, receive: usize, send: usize) -> Result<Self, Error> {
        let receiving = socket.receive(NonPagedBuffer::new(receive.max(1))?);
        let sending = socket.send(NonPagedBuffer::new(send.max(1))?);
        let room = send.max(1);
        let reader = ReadHalf {
            run: Repeated::AtRest(receiving.prepare()?),
            next: 0,
            end: 0,
        };
        let run = Repeated::AtRest(sending.prepare()?);
        // INVARIANT: the buffer has its whole length, and no bytes are gathered.
        let writer = WriteHalf {
            run,
            gathered: 0,
            room,
            failed: None,
            socket,
        };
        Ok(Self { reader, writer })
    }

    /// Splits the two directions: for two tasks, or for a protocol that reads and writes at the same time.
    #[must_use]
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        (self.reader, self.writer)
    }

    /// The socket. Bytes that you receive with it are missing from the stream, and bytes that you send with it go between those of the stream.
    #[must_use]
    pub const fn socket(&self) -> &ConnectedSocket {
        &self.writer.socket
    }

    /// Sends the gathered bytes, unless a send is in flight.
    fn push(&mut self) {
        if self.writer.failed.is_none() && self.writer.run.is_at_rest() {
            self.writer.failed = self.writer.start().err();
        }
    }

    /// Calls [`push`](Self::push) in the first poll of a future.
    fn push_once(&mut self, pushed: &mut bool) {
        if !core::mem::replace(pushed, true) {
            self.push();
        }
    }

    /// As [`WriteHalf::disconnect`].
    ///
    /// # Errors
    ///
    /// Those of [`WriteHalf::disconnect`].
    pub fn disconnect(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.writer.disconnect()
    }
}

/// The receiving half of a [`BufferedConnection`].
///
/// ```
/// # let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let address = server.local_addr().unwrap();
/// # let answers = std::thread::spawn(move || {
/// #     use std::io::{Read, Write};
/// #     let (mut client, _) = server.accept().unwrap();
/// #     let mut question = [0; 4];
/// #     client.read_exact(&mut question).unwrap();
/// #     client.write_all(&question.map(|byte| byte.to_ascii_uppercase())).unwrap();
/// # });
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
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
/// use embedded_io_async::{Read, Write};
/// use wsk::ConnectedSocket;
/// use wsk::buffered::{BufferedConnection, ReadHalf};
///
/// /// Reads four bytes, in a task of its own.
/// async fn answer(reader: &mut ReadHalf) -> Option<[u8; 4]> {
///     let mut bytes = [0; 4];
///     reader.read_exact(&mut bytes).await.ok()?;
///     Some(bytes)
/// }
///
/// let socket = ConnectedSocket::connect(&provider, address).await?;
/// let (mut reader, mut writer) = BufferedConnection::new(socket, 1024, 1024)?.split();
/// writer.write_all(b"ping").await?;
/// writer.flush().await?;
/// assert_eq!(answer(&mut reader).await, Some(*b"PING"));
/// # Ok::<_, wsk::Error>(())
/// # })?;
/// # answers.join().unwrap();
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct ReadHalf {
    run: Repeated<Receiving>,
    /// The part of the buffer with received bytes that were not read yet.
    next: usize,
    end: usize,
}

impl ReadHalf {
    /// Waits until there are bytes to read, or until no more can arrive.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.next < self.end {
            return Poll::Ready(Ok(()));
        }
        // An earlier read, whose future is gone, may have started it.
        if !ready!(self.run.poll_end(context)) {
            self.run.start()?;
            ready!(self.run.poll_end(context));
        }
        (self.next, self.end) = (0, self.run.at_rest()?.seen()?.length());
        Poll::Ready(Ok(()))
    }

    /// The received bytes that were not read yet.
    fn filled(&mut self) -> Result<&[u8], Error> {
        if self.next == self.end {
            return Ok(&[]);
        }
        let (next, end) = (self.next, self.end);
        let bytes = self.run.at_rest()?.as_slice();
        Ok(bytes.get(next..end).unwrap_or_default())
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        to: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        if to.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_fill(context))?;
        Poll::Ready(self.read_filled(to))
    }

    fn read_filled(&mut self, to: &mut [u8]) -> Result<usize, Error> {
        let length = memory::copy(self.filled()?, to);
        self.next += length;
        Ok(length)
    }
}

impl ErrorType for ReadHalf {
    type Error = Error;
}

/// If a read is dropped, nothing is lost: the next read returns what arrives. IRQL: `<= DISPATCH_LEVEL`.
impl Read for ReadHalf {
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, Error>> {
        until_over(move |context| self.poll_read(context, buffer))
    }
}

/// Returns the bytes in the connection's own buffer, without a copy.
impl BufRead for ReadHalf {
    fn fill_buf(&mut self) -> impl Future<Output = Result<&[u8], Error>> {
        let mut this = Some(self);
        until_over(move |context| {
            // The returned slice must outlive this poll, so the half is moved out of the closure. The future ends here.
            let half = this.take().ok_or(Error::Taken)?;
            match half.poll_fill(context) {
                Poll::Pending => {
                    this = Some(half);
                    Poll::Pending
                }
                Poll::Ready(filled) => Poll::Ready(filled.and_then(|()| half.filled())),
            }
        })
    }

    fn consume(&mut self, amount: usize) {
        self.next = self.next.saturating_add(amount).min(self.end);
    }
}

/// Makes WSK receive, if no receive is in flight.
impl ReadReady for ReadHalf {
    fn read_ready(&mut self) -> Result<bool, Error> {
        if self.next < self.end {
            return Ok(true);
        }
        self.run.start()?;
        Ok(self.run.is_ready())
    }
}

/// The sending half of a [`BufferedConnection`].
///
/// ```
/// # let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let address = server.local_addr().unwrap();
/// # let answers = std::thread::spawn(move || {
/// #     use std::io::{Read, Write};
/// #     let (mut client, _) = server.accept().unwrap();
/// #     let mut question = [0; 4];
/// #     client.read_exact(&mut question).unwrap();
/// #     client.write_all(&question.map(|byte| byte.to_ascii_uppercase())).unwrap();
/// # });
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
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
/// use embedded_io_async::{Read, Write};
/// use wsk::ConnectedSocket;
/// use wsk::buffered::{BufferedConnection, WriteHalf};
///
/// /// Asks, in a task of its own.
/// async fn ask(writer: &mut WriteHalf) -> Result<(), wsk::Error> {
///     writer.write_all(b"pi").await?;
///     writer.write_all(b"ng").await?;
///     // Both as one piece.
///     writer.flush().await
/// }
///
/// let socket = ConnectedSocket::connect(&provider, address).await?;
/// let (mut reader, mut writer) = BufferedConnection::new(socket, 1024, 1024)?.split();
/// ask(&mut writer).await?;
/// let mut bytes = [0; 4];
/// assert!(reader.read_exact(&mut bytes).await.is_ok());
/// writer.disconnect().await?;
/// # assert_eq!(&bytes, b"PING");
/// # Ok::<_, wsk::Error>(())
/// # })?;
/// # answers.join().unwrap();
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// While no send is in flight, the buffer's length is `room`, and its first `gathered` bytes wait to be sent. While one is in
/// flight, `gathered` is 0.
#[derive(Debug)]
pub struct WriteHalf {
    run: Repeated<Sending>,
    gathered: usize,
    room: usize,
    /// The reason why nothing can be sent any more.
    failed: Option<Error>,
    socket: ConnectedSocket,
}

impl WriteHalf {
    /// Waits until no send is in flight.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(error) = self.failed {
            return Poll::Ready(Err(error));
        }
        while ready!(self.run.poll_end(context)) {
            if let Err(error) = self.send_rest() {
                self.failed = Some(error);
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// After a send, sends the bytes that it did not send, if there are any.
    fn send_rest(&mut self) -> Result<(), Error> {
        let operation = self.run.at_rest()?;
        let sent = operation.seen()?;
        let bytes = operation.as_mut_slice();
        let rest = bytes.len().saturating_sub(sent);
        if rest > 0 && sent == 0 {
            // A send of no bytes would repeat for ever.
            return Err(Error::Call {
                call: Call::WskSend,
                status: STATUS_UNEXPECTED_NETWORK_ERROR,
            });
        }
        for place in 0..rest {
            let byte = bytes.get(place + sent).copied();
            if let (Some(to), Some(byte)) = (bytes.get_mut(place), byte) {
                *to = byte;
            }
        }
        operation.set_len(self.room)?;
        // INVARIANT: the bytes to send were moved to the start, and the buffer has its whole length.
        self.gathered = rest;
        self.start()
    }

    /// Sends the gathered bytes, if there are any. No send may be in flight.
    fn start(&mut self) -> Result<(), Error> {
        if self.gathered == 0 {
            return Ok(());
        }
        self.run.at_rest()?.set_len(self.gathered)?;
        self.run.start()?;
        // INVARIANT: the send is in flight.
        self.gathered = 0;
        Ok(())
    }

    /// Takes as many bytes as fit, and sends them when the buffer is full.
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_rest(context))?;
        let buffer = self.run.at_rest()?.as_mut_slice();
        let free = buffer.get_mut(self.gathered..).unwrap_or_default();
        let taken = memory::copy(bytes, free);
        self.gathered += taken;
        if self.gathered == self.room {
            // These bytes were taken, so this write succeeds. The next one reports the error.
            self.failed = self.start().err();
        }
        Poll::Ready(Ok(taken))
    }

    /// Waits until everything that was written is sent.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_rest(context))?;
        self.failed = self.start().err();
        self.poll_rest(context)
    }

    /// Sends the bytes that were written, and [disconnects gracefully](ConnectedSocket::disconnect): after that nothing can be written,
    /// and bytes that the peer still sends can be read. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// If the future is dropped after the disconnect has begun, the disconnect continues. It begins when all bytes are sent.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], the error of an earlier write, or the error of WSK.
    pub fn disconnect(&mut self) -> impl Future<Output = Result<(), Error>> {
        let mut disconnecting = None;
        until_over(move |context| {
            let disconnecting = match &mut disconnecting {
                Some(disconnecting) => disconnecting,
                none => {
                    ready!(self.poll_flush(context))?;
                    none.insert(self.socket.disconnect().into_future())
                }
            };
            Pin::new(disconnecting).poll(context)
        })
    }
}

impl ErrorType for WriteHalf {
    type Error = Error;
}

/// A write that is dropped before it ends takes no bytes. Bytes that were taken are sent when the buffer is full, or by a flush.
/// A flush that is dropped continues. IRQL: `<= DISPATCH_LEVEL`.
impl Write for WriteHalf {
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, Error>> {
        until_over(move |context| self.poll_write(context, bytes))
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), Error>> {
        until_over(move |context| self.poll_flush(context))
    }
}

impl WriteReady for WriteHalf {
    fn write_ready(&mut self) -> Result<bool, Error> {
        Ok(self.failed.is_some() || self.run.is_ready())
    }
}

impl ErrorType for BufferedConnection {
    type Error = Error;
}

/// Like [`ReadHalf`]. It also sends what was written before, because the peer may wait for it.
impl Read for BufferedConnection {
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, Error>> {
        let mut pushed = false;
        until_over(move |context| {
            self.push_once(&mut pushed);
            self.reader.poll_read(context, buffer)
        })
    }
}

/// Like [`ReadHalf`].
impl BufRead for BufferedConnection {
    fn fill_buf(&mut self) -> impl Future<Output = Result<&[u8], Error>> {
        let (mut this, mut pushed) = (Some(self), false);
        until_over(move |context| {
            // As in [`ReadHalf`], the returned slice must outlive this poll.
            let connection = this.take().ok_or(Error::Taken)?;
            connection.push_once(&mut pushed);
            match connection.reader.poll_fill(context) {
                Poll::Pending => {
                    this = Some(connection);
                    Poll::Pending
                }
                Poll::Ready(filled) => {
                    Poll::Ready(filled.and_then(|()| connection.reader.filled()))
                }
            }
        })
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

/// Like [`ReadHalf`].
impl ReadReady for BufferedConnection {
    fn read_ready(&mut self) -> Result<bool, Error> {
        self.push();
        self.reader.read_ready()
    }
}

/// Like [`WriteHalf`].
impl Write for BufferedConnection {
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, Error>> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.writer.flush()
    }
}

/// Like [`WriteHalf`].
impl WriteReady for BufferedConnection {
    fn write_ready(&mut self) -> Result<bool, Error> {
        self.writer.write_ready()
    }
}
