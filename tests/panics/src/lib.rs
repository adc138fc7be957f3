//! Uses the generic functions of `wsk` with the types that drivers use, so that they are compiled and their calls can be checked.
//! This code never runs: `tests/none.rs` reads the object files.

#![no_std]
#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_safety_doc,
    clippy::must_use_candidate
)]

extern crate alloc;

use alloc::vec::Vec;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use core::time::Duration;

use embedded_io_async::{BufRead, Read, ReadReady, Write, WriteReady};
use embedded_nal_async::{AddrType, ConnectedUdp, Dns, TcpConnect, UdpStack, UnconnectedUdp};
use futures_core::Stream;
use wsk::buffered::BufferedConnection;
use wsk::events::{
    AcceptEvent, ConnectionEvent, ConnectionEvents, Datagram, Incoming, Indication, Inspection,
    ReceiveFromEvent, RetainedDatagram, StreamIndication, StreamVerdict, Verdict,
};
use wsk::ioctl::{ControlRequest, CpuAffinity, RoutingInterface};
use wsk::operation::{
    Ended, Finished, InFlight, Operations, Prepared, PreparedPool, Scoped, Started,
};
use wsk::option::{SocketOption, TypeOfService, V6Only};
use wsk::raw::RawControl;
use wsk::request::{ReceivingFrom, SendingTo};
use wsk::{
    AddressInfo, BufferPool, ChainPart, ConnectedSocket, ConnectionSocket, Control, ControlMessage,
    ControlMessages, DatagramSocket, DriverChain, DriverList, DriverMdl, Error, Family,
    FixedDatagramSocket, Framed, ListenSocket, MdlChain, Messages, Network, NonPagedBuffer,
    PooledBuffer, Provider, Registration, RemoteAddress, SliceChain, StreamSocket, Wait,
    WithControl,
};

type Buffer = PooledBuffer<NonPagedBuffer>;
type Sending = InFlight<SendingTo, Buffer>;
type Receiving = InFlight<ReceivingFrom, Buffer>;
type Sender = Prepared<SendingTo, NonPagedBuffer>;
type Receiver = Prepared<ReceivingFrom, NonPagedBuffer>;
type Senders = PreparedPool<SendingTo, NonPagedBuffer>;
type Receivers = PreparedPool<ReceivingFrom, NonPagedBuffer>;

pub fn load(wait: Wait) -> Result<(Registration, Provider), Error> {
    let registration = Registration::new()?;
    let provider = registration.capture(wait)?;
    Ok((registration, provider))
}

pub fn blocking(socket: &DatagramSocket, to: SocketAddr, bytes: &mut [u8]) -> Result<usize, Error> {
    let limit = Duration::from_millis(100);
    let buffer = NonPagedBuffer::copy_of(bytes)?;
    let mut sent = socket.send_to(&buffer, to).wait()?;
    sent += socket.send_to(&*bytes, &to).wait()?;
    sent += socket.send_to(buffer.slice(1..)?, to).wait_timeout(limit)?;
    let received = socket.receive_from(&mut *bytes).wait()?;
    sent += received.length() + usize::from(received.is_from(&to));
    sent += socket.send_to(&*bytes, received.remote()).wait()?;
    let mut control = Control::<64>::new();
    control.push(ControlMessage::TypeOfService(3))?;
    let with_control = WithControl::new(&buffer, control);
    sent += socket.send_to(&with_control, to).wait()?;
    let mut chain = MdlChain::new([buffer, NonPagedBuffer::new(4)?]);
    chain.set_range(1, 5)?;
    sent += socket.send_to(&chain, to).wait()?;
    let received = socket.receive_from(&mut chain).wait_timeout(limit)?;
    sent += received.length();
    if let Some(part) = chain.part_mut(1) {
        part.fill(0);
    }
    let [one, other] = chain.into_parts();
    let mut messages = Messages::new([one, other])?;
    sent += socket.send_messages(&mut messages, to).wait()?;
    let chain = SliceChain::new([&[][..], &*bytes]);
    sent += socket.send_to(&chain, to).wait()?;
    Ok(sent)
}

pub fn fixed(
    socket: &FixedDatagramSocket,
    mdl: &DriverMdl,
    list: &mut Messages<NonPagedBuffer>,
) -> Result<usize, Error> {
    Ok(socket.send(mdl).wait()? + socket.send_all(list).wait()?)
}

pub fn scoped(
    socket: &DatagramSocket,
    to: SocketAddr,
    bytes: &[u8],
    room: &mut [u8],
) -> Result<usize, Error> {
    wsk::scope(|scope| {
        let send = socket.send_to(bytes, to).start_in(scope)?;
        let receive = socket.receive_from(room).start_in(scope)?;
        let (received, room) = receive.wait()?;
        Ok::<_, Error>(send.wait()?.0 + received.length().min(room.len()))
    })?
}

pub fn lists(
    socket: &DatagramSocket,
    to: SocketAddr,
    list: Messages<NonPagedBuffer>,
) -> Result<usize, Error> {
    let mut list = list;
    list.control_mut().push(ControlMessage::TimeToLive(3))?;
    let length = wsk::scope(|scope| {
        let send = socket.send_messages(&mut list, to).start_in(scope)?;
        let ended = match send.wait_timeout(Duration::from_millis(1)) {
            Ok(ended) => ended,
            Err((_, send)) => send.try_take().unwrap_or_else(Scoped::wait),
        };
        ended.map(|(length, _)| length)
    })??;
    let finished = socket.send_messages(list, to).start()?.wait();
    let finished = finished.map_err(|(error, _)| error)?;
    Ok(length + finished.result?)
}

pub fn requests(socket: &DatagramSocket, to: SocketAddr, bytes: &mut [u8]) -> Result<usize, Error> {
    let local = socket.ioctl(RoutingInterface(to)).wait()?;
    socket.ioctl(CpuAffinity(local.port())).wait()?;
    let get = ControlRequest::GetOption {
        level: 0,
        option: 4,
    };
    // SAFETY: a plain number comes out.
    unsafe { socket.control_raw(RawControl::new(get, &[]), bytes) }.wait()
}

pub fn pool(depth: u32) -> Result<BufferPool<NonPagedBuffer>, Error> {
    BufferPool::new(depth, |_| NonPagedBuffer::new(1500))
}

pub fn operations(provider: &Provider, depth: u32) -> Result<Operations<Buffer>, Error> {
    Operations::new(provider, depth)
}

pub fn owned(
    socket: &DatagramSocket,
    pool: &BufferPool<NonPagedBuffer>,
    to: SocketAddr,
) -> Result<Sending, Error> {
    let buffer = pool.take_timeout(Duration::from_secs(1))?;
    Ok(socket.send_to(buffer, to).start()?)
}

pub fn pooled(
    socket: &DatagramSocket,
    operations: &Operations<Buffer>,
    pool: &BufferPool<NonPagedBuffer>,
    to: &RemoteAddress,
) -> Result<Sending, Error> {
    let told = |finished: Finished<usize, Buffer>| drop(finished);
    let buffer = || pool.take().ok_or(Error::PoolEmpty);
    socket.send_to(buffer()?, to).start_with(told)?;
    socket
        .send_to(buffer()?, to)
        .from(operations)
        .start_with(told)?;
    let operation = operations.take_timeout(Duration::from_secs(1))?;
    let sending = socket.send_to(buffer()?, to).from(operation).start()?;
    operations.wait_until_idle()?;
    Ok(sending)
}

pub fn receive(
    socket: &DatagramSocket,
    pool: &BufferPool<NonPagedBuffer>,
) -> Result<Receiving, Error> {
    let buffer = pool.take_or_wait()?;
    Ok(socket.receive_from(buffer).start()?)
}

pub fn poll(operation: Pin<&mut Receiving>, context: &mut Context<'_>) -> Poll<bool> {
    operation
        .poll(context)
        .map(|finished| finished.result.is_ok())
}

pub async fn awaited(socket: &DatagramSocket, buffer: NonPagedBuffer, to: SocketAddr) -> bool {
    socket.send_to(buffer, to).await.result.is_ok()
}

pub fn poll_awaited(
    socket: &DatagramSocket,
    buffer: NonPagedBuffer,
    to: SocketAddr,
    context: &mut Context<'_>,
) -> Poll<bool> {
    core::pin::pin!(awaited(socket, buffer, to)).poll(context)
}

pub fn end(operation: Sending) -> Result<Finished<usize, Buffer>, Error> {
    let operation = match operation.try_take() {
        Ok(finished) => return Ok(finished),
        Err(operation) => operation,
    };
    operation.cancel();
    let operation = match operation.wait_timeout(Duration::from_secs(1)) {
        Ok(finished) => return Ok(finished),
        Err((_, operation)) => operation,
    };
    let operation = match operation.give_up() {
        Ok(finished) => return Ok(finished),
        Err((_, operation)) => operation,
    };
    operation.wait().map_err(|(error, _)| error)
}

pub fn prepared(socket: &DatagramSocket, to: SocketAddr) -> Result<(Senders, Receivers), Error> {
    let senders = PreparedPool::new(4, |_| Ok(socket.send_to(NonPagedBuffer::new(8)?, to)))?;
    let receivers = PreparedPool::new(4, |_| Ok(socket.receive_from(NonPagedBuffer::new(8)?)))?;
    Ok((senders, receivers))
}

pub fn single(socket: &DatagramSocket, to: SocketAddr) -> Result<(Sender, Receiver), Error> {
    let sender = socket.send_to(NonPagedBuffer::new(8)?, to).prepare()?;
    let receiver = socket.receive_from(NonPagedBuffer::new(8)?).prepare()?;
    Ok((sender, receiver))
}

pub fn send(sender: &mut Sender, to: SocketAddr) -> Result<usize, Error> {
    sender.set_remote_address(to)?;
    sender.set_len(3)?;
    sender.as_mut_slice().fill(1);
    sender.buffer_mut()?.assign(b"new")?;
    sender.wait()
}

pub fn arrival(receiver: &mut Receiver, from: &SocketAddr) -> Result<usize, Error> {
    let arrival = receiver.wait_timeout(Duration::from_secs(1))?;
    if arrival.is_from(from) || arrival.is_truncated() {
        return Ok(arrival.length());
    }
    arrival.remote_address().map(|_| arrival.bytes().len())
}

pub type StartedBoth = (
    Started<SendingTo, NonPagedBuffer>,
    Started<ReceivingFrom, NonPagedBuffer>,
);

pub fn start(senders: &Senders, receivers: &Receivers) -> Option<StartedBoth> {
    senders
        .take()?
        .start_with(|ended: Ended<SendingTo, NonPagedBuffer>| drop(ended))
        .ok()?;
    Some((
        senders.take()?.start().ok()?,
        receivers.take()?.start().ok()?,
    ))
}

pub fn poll_prepared(
    operation: Pin<&mut Started<ReceivingFrom, NonPagedBuffer>>,
    context: &mut Context<'_>,
) -> Poll<bool> {
    operation.poll(context).map(|ended| ended.result().is_ok())
}

pub fn wait_prepared(operation: Started<SendingTo, NonPagedBuffer>) -> Result<usize, Error> {
    operation.wait().map_err(|(error, _)| error)?.result()
}

pub fn options(socket: &DatagramSocket) -> Result<(), Error> {
    fn both<O: SocketOption>(socket: &DatagramSocket, option: O) -> Result<(), Error> {
        socket.set_option(option).wait()
    }
    both(socket, V6Only(true))?;
    both(socket, TypeOfService(3))
}

pub fn stream(socket: &ConnectedSocket, room: &mut [u8]) -> Result<usize, Error> {
    let limit = Duration::from_secs(1);
    let mut count = socket.send(&*room).wait()?;
    count += socket.receive(&mut *room).wait()?;
    count += socket.receive_all(&mut *room).wait_timeout(limit)?;
    let sending = socket.send(NonPagedBuffer::copy_of(room)?).start()?;
    let receiving = socket.receive(NonPagedBuffer::new(8)?).start()?;
    count += sending.wait().map_err(|(error, _)| error)?.result?;
    count += receiving.wait().map_err(|(error, _)| error)?.result?;
    let receiving = socket.receive_all(NonPagedBuffer::new(8)?).start()?;
    count += receiving.wait().map_err(|(error, _)| error)?.result?;
    socket
        .receive_all(NonPagedBuffer::new(8)?)
        .start_with(drop)?;
    wsk::scope(|scope| {
        let sending = socket.send(&*room).start_in(scope)?;
        sending.wait().map(|(count, _)| count)
    })??;
    socket.drain().wait_timeout(limit)?;
    socket.disconnect_after(&*room).wait_timeout(limit)?;
    socket.abort().wait()?;
    Ok(count)
}

pub fn connect(socket: ConnectionSocket, to: SocketAddr) -> Result<ConnectedSocket, Error> {
    let connecting = socket.connect(to).start()?;
    let connected = connecting.wait().map_err(|(error, _)| error)?;
    Ok(connected?)
}

pub fn connect_at_once(provider: &Provider, to: SocketAddr) -> Result<ConnectedSocket, Error> {
    ConnectedSocket::connect(provider, to).wait_timeout(Duration::from_secs(1))
}

pub fn accept(socket: &ListenSocket) -> Result<ConnectedSocket, Error> {
    socket.accept().start_with(drop)?;
    let accepting = socket.accept().start()?;
    let accepted = accepting.wait().map_err(|(error, _)| error)?;
    accepted.map(|(socket, _)| socket)
}

pub fn resolve(provider: &Provider, name: &str) -> Result<AddressInfo, Error> {
    let resolving = provider.resolve((name, "80")).start()?;
    drop(resolving);
    let info = provider
        .resolve(name)
        .wait_timeout(Duration::from_secs(1))?;
    for address in &info {
        if address.port() == 0 {
            break;
        }
    }
    Ok(info)
}

pub fn control(bytes: &[u8]) -> usize {
    ControlMessages::new(bytes).count()
}

/// An event handler.
#[derive(Debug)]
pub struct Handler;

impl ReceiveFromEvent for Handler {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        let copied = |datagram: Datagram<'_>| {
            let messages = datagram.control().count();
            let segments = datagram.segments().map(|segment| {
                let mut room = [0; 64];
                segment.copy_to(&mut room) + segment.copy_from(3, &mut room)
            });
            let segments: usize = segments.sum();
            datagram.copy_from(segments, &mut [0; 64]) + messages
        };
        if indication.datagrams().map(copied).sum::<usize>() > 3
            && let Some(retained) = indication.retain()
        {
            let of = |one: RetainedDatagram| drop((one.datagram().copy_to(&mut [0; 4]), one));
            retained.into_datagrams().for_each(of);
        }
        Verdict::Consumed
    }
}

pub fn with_events(provider: &Provider) -> Result<DatagramSocket, Error> {
    let socket = DatagramSocket::open_with_events(provider, wsk::Family::Dual, Handler)?;
    socket.enable_receive_events()?;
    socket.disable_receive_events()?;
    if socket.handler::<Handler>().is_none() {
        return Err(Error::NoEvents);
    }
    Ok(socket)
}

pub fn some_events(socket: &ConnectedSocket) -> Result<(), Error> {
    socket.enable(ConnectionEvents::DISCONNECT)?;
    socket.disable(ConnectionEvents::RECEIVE | ConnectionEvents::DISCONNECT)
}

pub fn framed(
    socket: &DatagramSocket,
    to: SocketAddr,
    header: NonPagedBuffer,
    body: DriverMdl<u64>,
) -> Result<u64, Error> {
    let mut frame = Framed::new(header)?;
    frame.put(body).map_err(|(error, _)| error)?;
    frame.header_mut().fill(1);
    let sent = socket.send_to(&frame, to).wait()?;
    Ok(frame.take().map_or(0, DriverMdl::into_owner) + sent as u64)
}

/// A driver's own MDLs and list.
pub fn chained(
    socket: &DatagramSocket,
    to: SocketAddr,
    header: Buffer,
    body: DriverMdl<u64>,
    list: &mut DriverList<u64>,
) -> Result<u64, Error> {
    let mut sent = socket.send_messages(list, to).wait()?;
    let parts = [ChainPart::Own(header), ChainPart::Driver(body)];
    let mut chain = DriverChain::new(parts).map_err(|(error, _)| error)?;
    if let Some(header) = chain.own_mut(0) {
        header.fill(0);
    }
    sent += socket.send_to(&chain, to).wait()?;
    match chain.into_parts() {
        [_, ChainPart::Driver(body)] => Ok(body.into_owner() + sent as u64),
        _ => Ok(0),
    }
}

/// Conditional accept.
pub fn conditional(provider: &Provider, family: Family) -> Result<ListenSocket, Error> {
    struct Guard;

    impl AcceptEvent for Guard {
        fn accepted(&self, incoming: Incoming<'_>) {
            drop(incoming.accept_with_events(Quiet));
        }

        fn inspect(&self, inspection: Inspection<'_>) {
            if inspection.remote_address().is_ok()
                && let Ok(pended) = inspection.pend()
            {
                drop(pended.accept().start());
            }
        }
    }

    ListenSocket::open_conditional(provider, family, Guard)
}

/// Reads its indications, and retains them.
pub struct Quiet;

impl ConnectionEvent for Quiet {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        let mut room = [0; 8];
        let control = indication.control().count();
        let length = indication.copy_from(control, &mut room);
        if let Some(retained) = indication.retain() {
            retained.copy_to(&mut room);
        }
        StreamVerdict::ConsumedPart(length)
    }
}

impl AcceptEvent for Quiet {
    fn accepted(&self, incoming: Incoming<'_>) {
        drop(incoming.accept());
    }
}

pub fn stream_socket(
    provider: &Provider,
    to: SocketAddr,
    family: Family,
) -> Result<ConnectedSocket, Error> {
    let socket = StreamSocket::open_with_events(provider, family, Quiet)?;
    socket.bind(family.any())?;
    let socket = match socket.listen() {
        Ok(listener) => return Ok(listener.accept().wait()?.0),
        Err((_, socket)) => socket,
    };
    let connected = socket.connect(to).with_first_data(b"first").wait()?;
    connected.indicate_control(true).wait()?;
    connected.enable_events()?;
    connected.resume_events()?;
    connected.security_descriptor().wait()?;
    Ok(connected)
}

pub fn first_data(
    socket: ConnectionSocket,
    to: SocketAddr,
    data: Vec<u8>,
) -> Result<ConnectedSocket, Error> {
    Ok(socket
        .connect(to)
        .with_first_data(data)
        .start()?
        .wait()
        .map_err(|(error, _)| error)??
        .0)
}

/// Futures that borrow. They are polled by hand, because a function that waits for them may itself panic.
pub fn buffered(
    connection: &mut BufferedConnection,
    bytes: &mut [u8],
    context: &mut Context<'_>,
) -> Poll<Result<usize, Error>> {
    let mut done = ready!(pin!(connection.read(bytes)).poll(context))?;
    done += ready!(pin!(connection.fill_buf()).poll(context))?.len();
    connection.consume(done);
    done += ready!(pin!(connection.write(bytes)).poll(context))?;
    ready!(pin!(connection.flush()).poll(context))?;
    ready!(pin!(connection.disconnect()).poll(context))?;
    done += usize::from(connection.read_ready()?) + usize::from(connection.write_ready()?);
    Poll::Ready(Ok(done))
}

pub fn halves(
    connection: BufferedConnection,
    bytes: &mut [u8],
    context: &mut Context<'_>,
) -> Poll<Result<usize, Error>> {
    let (mut reader, mut writer) = connection.split();
    let mut done = ready!(pin!(reader.read(bytes)).poll(context))?;
    done += ready!(pin!(reader.fill_buf()).poll(context))?.len();
    done += ready!(pin!(writer.write(bytes)).poll(context))?;
    ready!(pin!(writer.flush()).poll(context))?;
    ready!(pin!(writer.disconnect()).poll(context))?;
    Poll::Ready(Ok(done))
}

pub fn network(
    network: &Network,
    to: SocketAddr,
    bytes: &mut [u8],
    context: &mut Context<'_>,
) -> Poll<Result<BufferedConnection, Error>> {
    let (_, mut socket) = ready!(pin!(network.connect_from(to, to)).poll(context))?;
    ready!(pin!(ConnectedUdp::send(&mut socket, bytes)).poll(context))?;
    ready!(pin!(ConnectedUdp::receive_into(&mut socket, bytes)).poll(context))?;
    let (_, mut socket) = ready!(pin!(network.bind_single(to)).poll(context))?;
    ready!(pin!(UnconnectedUdp::send(&mut socket, to, to, bytes)).poll(context))?;
    ready!(pin!(UnconnectedUdp::receive_into(&mut socket, bytes)).poll(context))?;
    ready!(pin!(network.bind_multiple(to)).poll(context))?;
    ready!(pin!(network.get_host_by_name("host", AddrType::Either)).poll(context))?;
    ready!(pin!(network.get_host_by_address(to.ip(), bytes)).poll(context))?;
    pin!(TcpConnect::connect(network, to)).poll(context)
}

pub fn streams(
    socket: &DatagramSocket,
    listener: &ListenSocket,
    context: &mut Context<'_>,
) -> Poll<Option<Result<usize, Error>>> {
    let mut datagrams = socket.datagrams(|| NonPagedBuffer::new(1500));
    let arrived = ready!(Pin::new(&mut datagrams).poll_next(context));
    if let Some(accepted) = ready!(Pin::new(&mut listener.connections()).poll_next(context)) {
        drop(accepted?);
    }
    Poll::Ready(arrived.map(|arrived| Ok(arrived?.0.length())))
}
