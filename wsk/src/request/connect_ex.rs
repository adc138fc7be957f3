//! [`WskConnectEx`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect_ex): connects a bound
//! socket, and sends the first data.

use core::fmt;

use crate::buffer::SendBuffer;
use crate::buffer::carry::{Beside, Lending, Sent, With};
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::connect::{Connect, NotConnected};
use crate::request::sealed::Sealed;
use crate::request::send::refuse_control;
use crate::request::{Function, InPlace, Operation, Request, ToSend, Way};
use crate::socket::calls::{Bound, ConnectExCall, OfCarried};
use crate::socket::{ConnectedSocket, ConnectionSocket};

/// The most bytes of first data.
const LONGEST_FIRST_DATA: usize = 65_535;

/// The request of [`with_first_data`](Request::with_first_data): a connection, and the first data that is sent over it.
#[derive(Debug)]
pub struct ConnectWithData(Connect);

/// The operation of [`with_first_data`](Request::with_first_data), which the types of handles name.
///
/// ```
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = listener.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::operation::InFlight;
/// use wsk::request::{ConnectingWithData, FirstData};
/// use wsk::{ConnectionSocket, Family, NonPagedBuffer};
///
/// let socket = ConnectionSocket::open(&provider, Family::V4)?;
/// socket.bind(Family::V4.any())?;
/// let data = NonPagedBuffer::copy_of(b"hello")?;
/// let connecting: InFlight<ConnectingWithData, FirstData<NonPagedBuffer>> =
///     socket.connect(remote).with_first_data(data).start()?;
/// let (connected, _data) = connecting.wait().map_err(|(error, _)| error)??;
/// # drop((connected, _data, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct ConnectingWithData;

impl Request<'static, Connect, ConnectionSocket> {
    /// Sends the bytes of a buffer, of 65,535 bytes at most, when the connection is made: the request is over when the socket is
    /// connected and WSK is done with the buffer.
    ///
    /// They may go with the first packet where [`FastOpen`](crate::option::FastOpen) was set before, else they go right after the
    /// handshake. How many of them have gone out is not told. Windows 10, version 1703, and later.
    ///
    /// Operations that own the buffer give it back beside the connected socket.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let remote = peer.local_addr().unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use wsk::{ConnectionSocket, Family};
    ///
    /// let socket = ConnectionSocket::open(&provider, Family::V4)?;
    /// socket.bind(Family::V4.any())?;
    /// let connected = socket.connect(remote).with_first_data(b"GET / HTTP/1.0\r\n\r\n").wait()?;
    /// # let (mut peer, _) = peer.accept().unwrap();
    /// # let mut got = [0; 18];
    /// # std::io::Read::read_exact(&mut peer, &mut got).unwrap();
    /// # assert_eq!(&got, b"GET / HTTP/1.0\r\n\r\n");
    /// # drop((connected, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskConnectEx`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect_ex).
    ///
    /// # Errors
    ///
    /// Of the request, besides those of [`connect`](ConnectionSocket::connect): [`Error::ControlFull`] for a buffer with control
    /// information, which first data takes none of; [`Error::TooLong`]; [`Error::NoEntry`] on an older Windows. Socket and buffer are
    /// given back [with the error](crate::operation::NotConnectedWithData).
    #[doc(alias = "WskConnectEx")]
    pub fn with_first_data<B: SendBuffer>(
        self,
        buffer: B,
    ) -> Request<'static, ConnectWithData, FirstData<B>> {
        Request {
            target: (),
            function: ConnectWithData(self.function),
            carried: Beside {
                ingredient: self.carried,
                buffer,
            },
        }
    }
}

/// The socket that connects, and the first data that it sends: what [`with_first_data`](Request::with_first_data) carries.
pub type FirstData<B> = Beside<ConnectionSocket, B>;

/// A socket that was not connected, the first data that it was to send, and why not.
///
/// ```
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # drop(peer);
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::{ConnectionSocket, Family, NonPagedBuffer};
///
/// let socket = ConnectionSocket::open(&provider, Family::V4)?;
/// socket.bind(Family::V4.any())?;
/// let data = NonPagedBuffer::copy_of(b"hello")?;
/// // Nobody listens there.
/// let connecting = socket.connect(remote).with_first_data(data).start()?;
/// match connecting.wait().map_err(|(error, _connecting)| error)? {
///     Ok((_connected, _data)) => unreachable!("somebody listens"),
///     Err(failed) => {
///         println!("{}", failed.error);
///         assert_eq!(failed.buffer.as_ref().map(|data| data.len()), Some(5));
///         // The socket closes when `failed` is dropped.
///     }
/// }
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct NotConnectedWithData<B> {
    /// The reason.
    pub error: Error,
    /// The socket; `None` in the same cases as in [`NotConnected`].
    pub socket: Option<ConnectionSocket>,
    /// The buffer; `None` where there is no socket.
    pub buffer: Option<B>,
}

impl<B> fmt::Debug for NotConnectedWithData<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotConnectedWithData")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<B> fmt::Display for NotConnectedWithData<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B> core::error::Error for NotConnectedWithData<B> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<NotConnectedWithData<B>> for Error {
    fn from(not_connected: NotConnectedWithData<B>) -> Self {
        not_connected.error
    }
}

/// The result for callers who do not get the buffer back.
fn without_buffer<B>(
    finished: Result<(ConnectedSocket, B), NotConnectedWithData<B>>,
) -> Result<ConnectedSocket, NotConnected> {
    match finished {
        Ok((socket, _)) => Ok(socket),
        Err(NotConnectedWithData { error, socket, .. }) => Err(NotConnected { error, socket }),
    }
}

/// Carries a socket and a buffer, and returns them with the socket connected, or with an error.
#[derive(Debug)]
pub struct SocketAndBuffer;

impl<B: SendBuffer> Way<FirstData<B>> for SocketAndBuffer {
    type Carry = With<ToSend>;
    type Waited<T> = Result<ConnectedSocket, NotConnected>;
    type Finished<T> = Result<(ConnectedSocket, B), NotConnectedWithData<B>>;
    type Scoped<T> = Result<(ConnectedSocket, B), NotConnectedWithData<B>>;
    type NotStarted = NotConnectedWithData<B>;

    fn waited<T>(result: Result<T, Error>, carried: FirstData<B>) -> Self::Waited<T> {
        without_buffer(Self::finished(result, Some(carried)))
    }

    fn finished<T>(result: Result<T, Error>, carried: Option<FirstData<B>>) -> Self::Finished<T> {
        match (result, carried) {
            (Ok(_), Some(Beside { ingredient, buffer })) => match ingredient.into_connected() {
                Ok(socket) => Ok((socket, buffer)),
                Err(socket) => Err(NotConnectedWithData {
                    error: Error::Taken,
                    socket: Some(socket),
                    buffer: Some(buffer),
                }),
            },
            (Ok(_), None) => Err(NotConnectedWithData {
                error: Error::Taken,
                socket: None,
                buffer: None,
            }),
            (Err(error), carried) => {
                let (socket, buffer) = carried
                    .map(|Beside { ingredient, buffer }| (ingredient, buffer))
                    .unzip();
                Err(NotConnectedWithData {
                    error,
                    socket,
                    buffer,
                })
            }
        }
    }

    fn scoped<T>(result: Result<T, Error>, carried: Option<FirstData<B>>) -> Self::Scoped<T> {
        Self::finished(result, carried)
    }

    fn lost<T>(error: Error, carried: FirstData<B>) -> Self::Waited<T> {
        // The provider may still use the buffer, so it leaks. The provider does not own the socket, which closes with its last
        // handle.
        core::mem::forget(carried.buffer);
        Err(NotConnected {
            error,
            socket: Some(carried.ingredient),
        })
    }

    fn not_started(error: Error, carried: FirstData<B>) -> NotConnectedWithData<B> {
        NotConnectedWithData {
            error,
            socket: Some(carried.ingredient),
            buffer: Some(carried.buffer),
        }
    }
}

impl Sealed for ConnectWithData {}

impl<B: SendBuffer> Function<FirstData<B>> for ConnectWithData {
    type Operation = ConnectingWithData;

    fn put<'x>(
        self,
        (): (),
        (socket, sent): (Lending<'x, ConnectionSocket>, Sent<'x>),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ConnectExCall>, Error> {
        self.0.put_address(&socket.handle, arguments)?;
        refuse_control(sent)?;
        if sent.length() > LONGEST_FIRST_DATA {
            return Err(Error::TooLong {
                entry: "WskConnectEx",
            });
        }
        Ok(ConnectExCall::new(socket.lend(), sent, places))
    }
}

impl Sealed for ConnectingWithData {}

impl<B: SendBuffer> Operation<FirstData<B>> for ConnectingWithData {
    type Way = SocketAndBuffer;
    type Run = InPlace;
    type Output = ();
    type Asked = OfCarried;
    type Parameters = ConnectExCall;
    const CALL: Call = Call::WskConnectEx;
    const CANCEL_ON_DROP: bool = true;

    fn read(outcome: Outcome, _: &mut Arguments, carried: &mut FirstData<B>) -> Result<(), Error> {
        outcome.check(Call::WskConnectEx)?;
        carried.ingredient.set_connected();
        Ok(())
    }
}
