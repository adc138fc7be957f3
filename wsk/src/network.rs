//! [`Network`]: a provider as a network of the crate `embedded-nal-async`. Needs the feature `embedded-nal-async`.

#![forbid(unsafe_code)]

use core::future::{Future, IntoFuture};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::Pin;
use core::task::{Poll, ready};

use embedded_nal_async::{AddrType, Dns, TcpConnect, UdpStack};

use crate::address::Family;
use crate::buffer::NonPagedBuffer;
use crate::buffered::{BufferedConnection, BufferedSocket, Repeated, until_over};
use crate::error::Error;
use crate::registration::Provider;
use crate::request::Lookup;
use crate::socket::{ConnectionSocket, DatagramSocket};

/// The default size of each buffer: enough for a datagram that fits an Ethernet frame.
const BUFFER: usize = 2048;

/// A provider as a network of [`embedded-nal-async`](https://docs.rs/embedded-nal-async), for crates that connect, send datagrams or look names
/// up by themselves.
///
/// Its sockets [have buffers of their own](crate::buffered), with the sizes that are set here.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let address = server.local_addr().unwrap();
/// # let answers = std::thread::spawn(move || {
/// #     let mut question = [0; 16];
/// #     let (length, from) = server.recv_from(&mut question).unwrap();
/// #     question[..length].make_ascii_uppercase();
/// #     server.send_to(&question[..length], from).unwrap();
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
/// use core::net::SocketAddr;
/// use embedded_nal_async::{ConnectedUdp, UdpStack};
/// use wsk::{Network, Registration, Wait};
///
/// /// Knows nothing of WSK.
/// async fn ask<N: UdpStack>(network: &N, server: SocketAddr) -> Result<[u8; 4], N::Error> {
///     let (_, mut socket) = network.connect(server).await?;
///     let mut answer = [0; 4];
///     socket.send(b"ping").await?;
///     socket.receive_into(&mut answer).await?;
///     Ok(answer)
/// }
///
/// let registration = Registration::new()?;
/// let network = Network::new(&registration.capture(Wait::No)?);
/// assert_eq!(block_on(ask(&network, address)), Ok(*b"PING"));
/// # answers.join().unwrap();
/// # drop((network, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Network {
    provider: Provider,
    receive: usize,
    send: usize,
}

impl Network {
    /// Makes a network of a provider. Its sockets have buffers of 2,048 bytes for each direction.
    #[must_use]
    pub fn new(provider: &Provider) -> Self {
        Self {
            provider: provider.clone(),
            receive: BUFFER,
            send: BUFFER,
        }
    }

    /// Sets the sizes of the buffers, in nonpaged memory, of sockets that are made from now on: `receive` and `send` bytes. A datagram
    /// that is longer can be neither received nor sent.
    #[must_use]
    pub fn with_buffers(self, receive: usize, send: usize) -> Self {
        Self {
            receive,
            send,
            ..self
        }
    }

    /// Opens a socket and binds it. Returns the socket, and its address with the port.
    fn bound(&self, local: SocketAddr) -> Result<(DatagramSocket, SocketAddr), Error> {
        let socket = DatagramSocket::open(&self.provider, Family::of(&local))?;
        socket.bind(local)?;
        let local = socket.local_address()?;
        Ok((socket, local))
    }

    fn connected(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(SocketAddr, BufferedSocket), Error> {
        let (socket, local) = self.bound(local)?;
        let socket = socket
            .fix_remote_address(remote)
            .map_err(|(error, _)| error)?;
        let sending = socket.send(NonPagedBuffer::new(self.send)?);
        let receiving = socket.receive_from(NonPagedBuffer::new(self.receive)?);
        let socket = BufferedSocket {
            sending: Repeated::AtRest(sending.prepare()?),
            receiving: Repeated::AtRest(receiving.prepare()?),
            local,
        };
        Ok((local, socket))
    }

    fn unconnected(&self, local: SocketAddr) -> Result<BufferedSocket, Error> {
        let (socket, local) = self.bound(local)?;
        let loopback = match local {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        // Each send names its address, so this one is never used.
        let nobody = SocketAddr::new(loopback, 1);
        let sending = socket.send_to(NonPagedBuffer::new(self.send)?, nobody);
        let receiving = socket.receive_from(NonPagedBuffer::new(self.receive)?);
        Ok(BufferedSocket {
            sending: Repeated::AtRest(sending.prepare()?),
            receiving: Repeated::AtRest(receiving.prepare()?),
            local,
        })
    }
}

/// Opens a socket, binds it and connects it, and gives the connection its buffers. Opening and binding wait. IRQL: `<=
/// APC_LEVEL`. If the future is dropped, nothing gets connected.
impl TcpConnect for Network {
    type Error = Error;
    type Connection<'a> = BufferedConnection;

    fn connect(
        &self,
        remote: SocketAddr,
    ) -> impl Future<Output = Result<BufferedConnection, Error>> {
        let mut connecting = None;
        until_over(move |context| {
            let connecting = match &mut connecting {
                Some(connecting) => connecting,
                none => {
                    // Some providers have no `WskSocketConnect`.
                    let family = Family::of(&remote);
                    let socket = ConnectionSocket::open(&self.provider, family)?;
                    socket.bind(family.any())?;
                    none.insert(socket.connect(remote).into_future())
                }
            };
            let socket = ready!(Pin::new(connecting).poll(context))?;
            let connection = BufferedConnection::new(socket, self.receive, self.send);
            Poll::Ready(connection)
        })
    }
}

/// Opening and binding wait, so that these futures are ready in the first poll. IRQL: `<= APC_LEVEL`.
impl UdpStack for Network {
    type Error = Error;
    type Connected = BufferedSocket;
    type UniquelyBound = BufferedSocket;
    type MultiplyBound = BufferedSocket;

    fn connect_from(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> impl Future<Output = Result<(SocketAddr, BufferedSocket), Error>> {
        until_over(move |_| Poll::Ready(self.connected(local, remote)))
    }

    fn bind_single(
        &self,
        local: SocketAddr,
    ) -> impl Future<Output = Result<(SocketAddr, BufferedSocket), Error>> {
        until_over(move |_| {
            let socket = self.unconnected(local)?;
            Poll::Ready(Ok((socket.local, socket)))
        })
    }

    fn bind_multiple(
        &self,
        local: SocketAddr,
    ) -> impl Future<Output = Result<BufferedSocket, Error>> {
        until_over(move |_| Poll::Ready(self.unconnected(local)))
    }
}

/// Looks names up with `WskGetAddressInfo` and `WskGetNameInfo`. IRQL: `PASSIVE_LEVEL`. Dropping the future cancels the lookup.
impl Dns for Network {
    type Error = Error;

    /// The first address of the wanted type. [`Error::UnknownAddress`] if there is none.
    fn get_host_by_name(
        &self,
        host: &str,
        addr_type: AddrType,
    ) -> impl Future<Output = Result<IpAddr, Error>> {
        let mut looking = None;
        until_over(move |context| {
            let looking = looking.get_or_insert_with(|| {
                let lookup = Lookup::new(host).family(match addr_type {
                    AddrType::IPv4 => Family::V4,
                    AddrType::IPv6 => Family::V6,
                    AddrType::Either => Family::Dual,
                });
                self.provider.resolve(lookup).into_future()
            });
            let found = ready!(Pin::new(looking).poll(context))?;
            let first = found.iter().next();
            let first = first.ok_or(Error::UnknownAddress { family: 0 });
            Poll::Ready(first.map(|first| first.ip()))
        })
    }

    /// The name, in UTF-8. The address in digits if it has no name. [`Error::OutOfBounds`] if it does not fit.
    fn get_host_by_address(
        &self,
        addr: IpAddr,
        result: &mut [u8],
    ) -> impl Future<Output = Result<usize, Error>> {
        let mut looking = None;
        until_over(move |context| {
            let looking = looking.get_or_insert_with(|| {
                let address = SocketAddr::new(addr, 0);
                self.provider.name_of(address).into_future()
            });
            let names = ready!(Pin::new(looking).poll(context))?;
            Poll::Ready(put_name(names.host(), result))
        })
    }
}

/// Writes a name in UTF-8. Returns the number of bytes.
fn put_name(name: &[u16], to: &mut [u8]) -> Result<usize, Error> {
    let mut length = 0;
    for character in char::decode_utf16(name.iter().copied()) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut utf8 = [0; 4];
        for &byte in character.encode_utf8(&mut utf8).as_bytes() {
            if let Some(place) = to.get_mut(length) {
                *place = byte;
            }
            length += 1;
        }
    }
    if length > to.len() {
        return Err(Error::OutOfBounds {
            end: length,
            length: to.len(),
        });
    }
    Ok(length)
}
