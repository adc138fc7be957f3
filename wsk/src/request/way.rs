//! The ways in which requests carry a value and give it back: memory to send from or receive into, several datagrams, a value of the
//! request's own, or nothing.

use core::fmt;

use crate::buffer::carry::{Carry, Ingredient};
pub use crate::buffer::carry::{List, Nothing, Own, ToReceive, ToSend};
use crate::buffer::{ReceiveBuffer, SendBuffer, SendList};
use crate::error::Error;

/// A way to carry `B`, and to return it.
pub trait Way<B>: 'static {
    /// How `B` is carried and lent.
    #[doc(hidden)]
    type Carry: Carry<B>;
    /// The result of a blocking call, for a function with the result `T`.
    type Waited<T>;
    /// The result of an owned operation.
    type Finished<T>;
    /// The result of an operation of a scope.
    type Scoped<T>;
    /// What is returned if the operation was not started.
    type NotStarted;

    /// Makes the result of a blocking call.
    #[doc(hidden)]
    fn waited<T>(result: Result<T, Error>, carried: B) -> Self::Waited<T>;

    /// Makes the result of an owned operation, with the buffer that it carried. The buffer is missing only after
    /// [`Error::Abandoned`] and [`Error::Taken`].
    #[doc(hidden)]
    fn finished<T>(result: Result<T, Error>, carried: Option<B>) -> Self::Finished<T>;

    /// Makes the result of an operation in a scope, with the buffer that it carried, unless the scope keeps it after an error.
    #[doc(hidden)]
    fn scoped<T>(result: Result<T, Error>, carried: Option<B>) -> Self::Scoped<T>;

    /// Makes the result of a blocking call whose operation was [abandoned](Carry::abandon).
    #[doc(hidden)]
    fn lost<T>(error: Error, carried: B) -> Self::Waited<T>
    where
        Self: Sized;

    /// Makes the result for an operation that was not started.
    #[doc(hidden)]
    fn not_started(error: Error, carried: B) -> Self::NotStarted;
}

/// A way to carry the buffer of a [prepared](crate::operation::Prepared) operation.
pub trait HasBuffer<B>: Way<B> {
    /// The buffer that the operation was made with.
    type Buffer;

    /// The buffer in the carried value.
    #[doc(hidden)]
    fn buffer(carried: &B) -> &Self::Buffer;

    /// As [`buffer`](Self::buffer), to be changed.
    #[doc(hidden)]
    fn buffer_mut(carried: &mut B) -> &mut Self::Buffer;
}

/// The end of an operation that owned its buffer: its result, and the buffer.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::NonPagedBuffer;
///
/// let packet = NonPagedBuffer::copy_of(b"hello")?;
/// let sending = socket.send_to(packet, to).start()?;
/// let finished = sending.wait()?;
/// assert_eq!(finished.result?, 5);
/// let packet = finished.buffer;
/// assert!(packet.is_some(), "to be used again");
/// # assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
/// # drop((packet, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the result may be an error"]
pub struct Finished<T, B> {
    /// The result.
    pub result: Result<T, Error>,
    /// The buffer; `None` only after [`Error::Abandoned`], when the provider may still use it, and [`Error::Taken`], when it was
    /// returned before.
    pub buffer: Option<B>,
}

/// A request that could not be started: the error, and the buffer.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::{Error, NonPagedBuffer};
///
/// # let mut to = to;
/// to.set_port(0);
/// let packet = NonPagedBuffer::copy_of(b"hello")?;
/// let refused = socket.send_to(packet, to).start().map(drop).unwrap_err();
/// assert_eq!(refused.error, Error::PortZero);
/// // Nothing was lost.
/// assert_eq!(refused.buffer.as_slice(), b"hello");
/// # drop(refused);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct NotStarted<B> {
    /// The reason.
    pub error: Error,
    /// The buffer.
    pub buffer: B,
}

impl<B> fmt::Debug for NotStarted<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotStarted")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<B> fmt::Display for NotStarted<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B> core::error::Error for NotStarted<B> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<NotStarted<B>> for Error {
    fn from(not_started: NotStarted<B>) -> Self {
        not_started.error
    }
}

/// The results of a way that carries a buffer: a blocking call drops the buffer, other operations return it.
macro_rules! buffer_comes_back {
    () => {
        type Waited<T> = Result<T, Error>;
        type Finished<T> = Finished<T, B>;
        type Scoped<T> = Result<(T, B), Error>;
        type NotStarted = NotStarted<B>;

        #[inline]
        fn waited<T>(result: Result<T, Error>, _: B) -> Result<T, Error> {
            result
        }

        #[inline]
        fn finished<T>(result: Result<T, Error>, carried: Option<B>) -> Finished<T, B> {
            Finished {
                result,
                buffer: carried,
            }
        }

        #[inline]
        fn scoped<T>(result: Result<T, Error>, carried: Option<B>) -> Result<(T, B), Error> {
            result.and_then(|output| Ok((output, carried.ok_or(Error::Taken)?)))
        }

        fn lost<T>(error: Error, carried: B) -> Result<T, Error> {
            core::mem::forget(carried);
            Err(error)
        }

        fn not_started(error: Error, carried: B) -> NotStarted<B> {
            NotStarted {
                error,
                buffer: carried,
            }
        }
    };
}

/// The buffer is all that is carried.
macro_rules! the_buffer_itself {
    ($B:ty) => {
        type Buffer = $B;

        #[inline]
        fn buffer(carried: &$B) -> &$B {
            carried
        }

        #[inline]
        fn buffer_mut(carried: &mut $B) -> &mut $B {
            carried
        }
    };
}

impl<B: SendBuffer> Way<B> for ToSend {
    type Carry = Self;

    buffer_comes_back!();
}

impl<B: SendBuffer> HasBuffer<B> for ToSend {
    the_buffer_itself!(B);
}

impl<B: ReceiveBuffer> Way<B> for ToReceive {
    type Carry = Self;

    buffer_comes_back!();
}

impl<B: ReceiveBuffer> HasBuffer<B> for ToReceive {
    the_buffer_itself!(B);
}

impl<B: SendList> Way<B> for List {
    type Carry = Self;

    buffer_comes_back!();
}

impl<B: SendList> HasBuffer<B> for List {
    the_buffer_itself!(B);
}

/// Fails if a buffer that stays locked must not be received into again: a request may have sent from it through a shared
/// reference, and left it to the provider.
#[inline]
pub(crate) fn not_lost<B: ReceiveBuffer>(buffer: &B) -> Result<(), Error> {
    if buffer.was_abandoned() {
        return Err(Error::BufferLost);
    }
    Ok(())
}

/// The results of a way that carries nothing that is returned.
macro_rules! nothing_comes_back {
    ($B:ty, $leak:expr) => {
        type Waited<T> = Result<T, Error>;
        type Finished<T> = Result<T, Error>;
        type Scoped<T> = Result<T, Error>;
        type NotStarted = Error;

        #[inline]
        fn waited<T>(result: Result<T, Error>, _: $B) -> Result<T, Error> {
            result
        }

        fn finished<T>(result: Result<T, Error>, _: Option<$B>) -> Result<T, Error> {
            result
        }

        fn scoped<T>(result: Result<T, Error>, _: Option<$B>) -> Result<T, Error> {
            result
        }

        fn lost<T>(error: Error, carried: $B) -> Result<T, Error> {
            let leak: fn($B) = $leak;
            leak(carried);
            Err(error)
        }

        fn not_started(error: Error, _: $B) -> Error {
            error
        }
    };
}

pub(super) use nothing_comes_back;

impl Way<()> for Nothing {
    type Carry = Self;

    nothing_comes_back!((), |()| ());
}

impl HasBuffer<()> for Nothing {
    the_buffer_itself!(());
}

/// Carries something of the request's own, which becomes its result.
impl<B: Ingredient> Way<B> for Own {
    type Carry = Self;

    nothing_comes_back!(B, core::mem::forget);
}

impl<B: Ingredient> HasBuffer<B> for Own {
    the_buffer_itself!(B);
}
