//! [`BufferedSocket`]: a datagram socket of the crate `embedded-nal-async`.

use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};

use embedded_nal_async::{ConnectedUdp, UnconnectedUdp};
use wsk_sys::STATUS_BUFFER_OVERFLOW;

use super::repeated::Repeated;
use crate::error::{Call, Error};
use crate::memory;
use crate::request::{ReceivingFrom, SendingTo};

/// A datagram socket with a buffer for each direction, made by [`Network`](crate::Network), which implements the traits of
/// [`embedded-nal-async`](https://docs.rs/embedded-nal-async) for sockets that have a remote address, and for those that have none.
///
/// Every future may be dropped or forgotten at any moment: [a table](crate::buffered) says what becomes of the datagram.
#[derive(Debug)]
pub struct BufferedSocket {
    pub(crate) receiving: Repeated<ReceivingFrom>,
    pub(crate) sending: Repeated<SendingTo>,
    /// What it is bound to.
    pub(crate) local: SocketAddr,
}

impl BufferedSocket {
    /// The address that it is bound to, with its port.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }

    async fn send_one(&mut self, to: Option<SocketAddr>, data: &[u8]) -> Result<(), Error> {
        // One whose future is gone.
        poll_fn(|context| self.sending.poll_end(context)).await;
        let operation = self.sending.at_rest()?;
        operation.set_len(data.len())?;
        memory::copy(data, operation.as_mut_slice());
        if let Some(to) = to {
            operation.set_remote_address(to)?;
        }
        self.sending.start()?;
        poll_fn(|context| self.sending.poll_end(context)).await;
        self.sending.at_rest()?.seen().map(|_| ())
    }

    /// Waits for a datagram, and copies what fits; its length, and who sent it.
    fn poll_one(
        &mut self,
        context: &mut Context<'_>,
        to: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), Error>> {
        // A receive before this one may have begun it.
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

    async fn receive_one(&mut self, to: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        poll_fn(|context| self.poll_one(context, to)).await
    }
}

/// Sends to the address that the socket was connected to, and receives what comes from there. IRQL: `<= DISPATCH_LEVEL`.
///
/// A datagram that is longer than the socket's own buffer is thrown away, with the error of `STATUS_BUFFER_OVERFLOW`.
impl ConnectedUdp for BufferedSocket {
    type Error = Error;

    async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        self.send_one(None, data).await
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Ok(self.receive_one(buffer).await?.0)
    }
}

/// Sends to any address, from the one that the socket is bound to, whatever `local` says. IRQL: `<= DISPATCH_LEVEL`.
///
/// The local address of what comes is that which the socket is bound to: the unspecified address, where it is bound to that. All else
/// is as for sockets that have a remote address.
impl UnconnectedUdp for BufferedSocket {
    type Error = Error;

    async fn send(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        data: &[u8],
    ) -> Result<(), Error> {
        let _ = local;
        self.send_one(Some(remote), data).await
    }

    async fn receive_into(
        &mut self,
        buffer: &mut [u8],
    ) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        let (length, remote) = self.receive_one(buffer).await?;
        Ok((length, self.local, remote))
    }
}
