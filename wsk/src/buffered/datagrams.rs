//! [`BufferedSocket`]: a datagram socket of the crate `embedded-nal-async`.

use core::future::Future;
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};

use embedded_nal_async::{ConnectedUdp, UnconnectedUdp};
use wsk_sys::STATUS_BUFFER_OVERFLOW;

use super::repeated::Repeated;
use super::until_over::until_over;
use crate::error::{Call, Error};
use crate::memory;
use crate::request::{ReceivingFrom, SendingTo};

/// A datagram socket with a buffer for each direction, made by [`Network`](crate::Network), which implements the traits of
/// [`embedded-nal-async`](https://docs.rs/embedded-nal-async) for sockets that have a remote address, and for those that have none.
///
/// Every future may be dropped or forgotten at any moment: [a table](crate::buffered) says what happens to the datagram.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
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
/// use core::net::{Ipv4Addr, SocketAddr};
/// use embedded_nal_async::{UdpStack, UnconnectedUdp};
/// use wsk::Network;
/// use wsk::buffered::BufferedSocket;
///
/// let network = Network::new(&provider);
/// let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
/// let (_, mut socket): (_, BufferedSocket) = network.bind_single(local).await?;
/// # peer.send_to(b"hello", socket.local_address()).unwrap();
/// let mut bytes = [0; 64];
/// let (length, local, remote) = socket.receive_into(&mut bytes).await?;
/// socket.send(local, remote, &bytes[..length]).await?;
/// # assert_eq!(peer.recv(&mut [0; 16]).unwrap(), 5);
/// # Ok::<_, wsk::Error>(())
/// # })?;
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct BufferedSocket {
    pub(crate) receiving: Repeated<ReceivingFrom>,
    pub(crate) sending: Repeated<SendingTo>,
    /// The address that the socket is bound to.
    pub(crate) local: SocketAddr,
}

impl BufferedSocket {
    /// The address that the socket is bound to, with its port.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn send_one(
        &mut self,
        to: Option<SocketAddr>,
        data: &[u8],
    ) -> impl Future<Output = Result<(), Error>> {
        let mut begun = false;
        until_over(move |context| {
            // A send of this future, or of an earlier one that was dropped.
            ready!(self.sending.poll_end(context));
            if !begun {
                self.begin_sending(to, data)?;
                begun = true;
                ready!(self.sending.poll_end(context));
            }
            Poll::Ready(self.sending.at_rest()?.seen().map(|_| ()))
        })
    }

    /// Copies the datagram, and starts to send the copy.
    fn begin_sending(&mut self, to: Option<SocketAddr>, data: &[u8]) -> Result<(), Error> {
        let operation = self.sending.at_rest()?;
        operation.set_len(data.len())?;
        memory::copy(data, operation.as_mut_slice());
        if let Some(to) = to {
            operation.set_remote_address(to)?;
        }
        self.sending.start()
    }

    /// Waits for a datagram, and copies what fits. Returns the datagram's length and its sender.
    fn poll_one(
        &mut self,
        context: &mut Context<'_>,
        to: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), Error>> {
        // An earlier receive, whose future is gone, may have started it.
        if !ready!(self.receiving.poll_end(context)) {
            self.receiving.start()?;
            ready!(self.receiving.poll_end(context));
        }
        let arrival = self.receiving.at_rest()?.seen()?;
        if arrival.is_truncated() {
            return Poll::Ready(Err(Error::Call {
                call: Call::WskReceiveFrom,
                status: STATUS_BUFFER_OVERFLOW,
            }));
        }
        memory::copy(arrival.bytes(), to);
        Poll::Ready(Ok((arrival.length(), arrival.remote_address()?)))
    }
}

/// Sends to the address that the socket was connected to, and receives datagrams from there. IRQL: `<= DISPATCH_LEVEL`.
///
/// A datagram that is longer than the socket's own buffer is discarded, with the error of `STATUS_BUFFER_OVERFLOW`.
impl ConnectedUdp for BufferedSocket {
    type Error = Error;

    fn send(&mut self, data: &[u8]) -> impl Future<Output = Result<(), Error>> {
        self.send_one(None, data)
    }

    fn receive_into(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, Error>> {
        until_over(move |context| {
            let (length, _) = ready!(self.poll_one(context, buffer))?;
            Poll::Ready(Ok(length))
        })
    }
}

/// Sends to any address, from the one that the socket is bound to, whatever `local` says. IRQL: `<= DISPATCH_LEVEL`.
///
/// The local address given for a received datagram is the one that the socket is bound to, which may be the unspecified address. Otherwise
/// this is like a socket that has a remote address.
impl UnconnectedUdp for BufferedSocket {
    type Error = Error;

    fn send(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        data: &[u8],
    ) -> impl Future<Output = Result<(), Error>> {
        let _ = local;
        self.send_one(Some(remote), data)
    }

    fn receive_into(
        &mut self,
        buffer: &mut [u8],
    ) -> impl Future<Output = Result<(usize, SocketAddr, SocketAddr), Error>> {
        until_over(move |context| {
            let (length, remote) = ready!(self.poll_one(context, buffer))?;
            Poll::Ready(Ok((length, self.local, remote)))
        })
    }
}
