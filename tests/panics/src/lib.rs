//! Uses the generic functions of `wsk` with the types that drivers use them with, so that they are compiled, and what they call
//! can be looked at. Never run: `tests/none.rs` reads the object files.

#![no_std]
#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_safety_doc,
    clippy::must_use_candidate
)]

use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use wsk::ioctl::{ControlRequest, CpuAffinity, RoutingInterface};
use wsk::option::{SocketOption, TypeOfService, V6Only};
use wsk::{
    AddressInfo, ConnectedSocket, Control, ControlMessage, ControlMessages, Datagram,
    DatagramSocket, DriverMdl, Error, Finished, FixedDatagramSocket, Indication, ListenSocket,
    MdlChain, Messages, NonPagedBuffer, Pool, Pooled, Provider, ReceiveFrom, ReceiveFromEvent,
    Receiver, Receivers, Receiving, Registration, SendTo, Sender, Senders, Sending, SliceChain,
    Verdict, Wait, WithControl,
};

type Buffer = Pooled<NonPagedBuffer>;

pub fn load(wait: Wait) -> Result<(Registration, Provider), Error> {
    let registration = Registration::new()?;
    let provider = registration.capture(wait)?;
    Ok((registration, provider))
}

pub fn blocking(socket: &DatagramSocket, to: SocketAddr, bytes: &mut [u8]) -> Result<usize, Error> {
    let limit = Duration::from_millis(100);
    let buffer = NonPagedBuffer::copy_of(bytes)?;
    let mut sent = socket.send_to(&buffer, to)?;
    sent += socket.send_to(bytes, to)?;
    sent += socket.send_to_timeout(&buffer.slice(1..)?, to, limit)?;
    sent += socket.receive_from(bytes)?.length;
    let mut control = Control::<64>::new();
    control.push(ControlMessage::TypeOfService(3))?;
    sent += socket.send_to(&WithControl::new(&buffer, control), to)?;
    let mut chain = MdlChain::new([buffer, NonPagedBuffer::new(4)?]);
    chain.set_range(1, 5)?;
    sent += socket.send_to(&chain, to)?;
    sent += socket.receive_from_timeout(&mut chain, limit)?.length;
    if let Some(part) = chain.part_mut(1) {
        part.fill(0);
    }
    let [one, other] = chain.into_parts();
    let mut messages = Messages::new([one, other])?;
    sent += socket.send_messages(&mut messages, to)?;
    let chain = SliceChain::new([&bytes[..0], bytes]);
    sent += socket.send_to(&chain, to)?;
    Ok(sent)
}

pub fn fixed(socket: &FixedDatagramSocket, mdl: &DriverMdl) -> Result<usize, Error> {
    socket.send(mdl)
}

pub fn scoped(
    socket: &DatagramSocket,
    to: SocketAddr,
    bytes: &[u8],
    room: &mut [u8],
) -> Result<usize, Error> {
    wsk::scope(|scope| {
        let send = scope.send_to(socket, bytes, to)?;
        let receive = scope.receive_from(socket, room)?;
        let (received, room) = receive.wait()?;
        Ok::<_, Error>(send.wait()? + received.length.min(room.len()))
    })?
}

pub fn lists(
    socket: &DatagramSocket,
    to: SocketAddr,
    list: Messages<NonPagedBuffer, 2>,
) -> Result<usize, Error> {
    let mut list = list;
    list.control_mut().push(ControlMessage::TimeToLive(3))?;
    let length = wsk::scope(|scope| {
        let send = scope.send_messages(socket, &mut list, to)?;
        match send.wait_timeout(Duration::from_millis(1)) {
            Ok(length) => length,
            Err((_, send)) => send
                .try_take()
                .unwrap_or_else(|send| Err(send.wait().err().unwrap_or(Error::Taken))),
        }
    })??;
    let finished = socket.start_send_messages(list, to)?.wait();
    let finished = finished.map_err(|(error, _)| error)?;
    Ok(length + finished.result?)
}

pub fn requests(socket: &DatagramSocket, to: SocketAddr, bytes: &mut [u8]) -> Result<usize, Error> {
    let local = socket.ioctl(RoutingInterface(to))?;
    socket.ioctl(CpuAffinity(local.port()))?;
    let get = ControlRequest::GetOption {
        level: 0,
        option: 4,
    };
    // SAFETY: a plain number comes out.
    unsafe { socket.control_raw(get, &[], bytes) }
}

pub fn pool(depth: u32) -> Result<Pool<NonPagedBuffer>, Error> {
    Pool::new(depth, |_| NonPagedBuffer::new(1500))
}

pub fn owned(
    socket: &DatagramSocket,
    pool: &Pool<NonPagedBuffer>,
    to: SocketAddr,
) -> Result<SendTo<Buffer>, Error> {
    let buffer = pool.take_timeout(Duration::from_secs(1))?;
    Ok(socket.start_send_to(buffer, to)?)
}

pub fn receive(
    socket: &DatagramSocket,
    pool: &Pool<NonPagedBuffer>,
) -> Result<ReceiveFrom<Buffer>, Error> {
    let buffer = pool.take_or_wait()?;
    Ok(socket.start_receive_from(buffer)?)
}

pub fn poll(operation: Pin<&mut ReceiveFrom<Buffer>>, context: &mut Context<'_>) -> Poll<bool> {
    operation
        .poll(context)
        .map(|finished| finished.result.is_ok())
}

pub fn end(operation: SendTo<Buffer>) -> Result<Finished<usize, Buffer>, Error> {
    let operation = match operation.try_take() {
        Ok(finished) => return Ok(finished),
        Err(operation) => operation,
    };
    operation.cancel();
    let operation = match operation.wait_timeout(Duration::from_secs(1)) {
        Ok(finished) => return Ok(finished),
        Err((_, operation)) => operation,
    };
    operation.wait().map_err(|(error, _)| error)
}

pub fn prepared(socket: &DatagramSocket, to: SocketAddr) -> Result<(Senders, Receivers), Error> {
    let senders = socket.senders(4, to, |_| NonPagedBuffer::new(8))?;
    let receivers = socket.receivers(4, |_| NonPagedBuffer::new(8))?;
    Ok((senders, receivers))
}

pub fn single(socket: &DatagramSocket, to: SocketAddr) -> Result<(Sender, Receiver), Error> {
    let sender = socket.sender(NonPagedBuffer::new(8)?, to)?;
    let receiver = socket.receiver(NonPagedBuffer::new(8)?)?;
    Ok((sender, receiver))
}

pub fn send(sender: &mut Sender, to: SocketAddr) -> Result<usize, Error> {
    sender.set_remote_address(to)?;
    sender.set_len(3)?;
    sender.as_mut_slice().fill(1);
    sender.send()
}

pub fn arrival(receiver: &mut Receiver, from: &SocketAddr) -> Result<usize, Error> {
    let arrival = receiver.receive_timeout(Duration::from_secs(1))?;
    if arrival.is_from(from) || arrival.is_truncated() {
        return Ok(arrival.length());
    }
    arrival.remote_address().map(|_| arrival.bytes().len())
}

pub fn start(senders: &Senders, receivers: &Receivers) -> Option<(Sending, Receiving)> {
    Some((
        senders.take()?.start().ok()?,
        receivers.take()?.start().ok()?,
    ))
}

pub fn poll_prepared(operation: Pin<&mut Receiving>, context: &mut Context<'_>) -> Poll<bool> {
    operation.poll(context).map(|ended| ended.arrival().is_ok())
}

pub fn wait_prepared(operation: Sending) -> Result<usize, Error> {
    operation.wait().map_err(|(error, _)| error)?.result()
}

pub fn options(socket: &DatagramSocket) -> Result<(), Error> {
    fn both<O: SocketOption>(socket: &DatagramSocket, option: O) -> Result<(), Error> {
        socket.set_option(option)
    }
    both(socket, V6Only(true))?;
    both(socket, TypeOfService(3))
}

pub fn stream(socket: &ConnectedSocket, room: &mut [u8]) -> Result<usize, Error> {
    let limit = Duration::from_secs(1);
    let mut count = socket.send(room)?;
    count += socket.receive(room)?;
    count += socket.receive_all_timeout(room, limit)?;
    let sending = socket.start_send(NonPagedBuffer::copy_of(room)?)?;
    let receiving = socket.start_receive(NonPagedBuffer::new(8)?)?;
    count += sending.wait().map_err(|(error, _)| error)?.result?;
    count += receiving.wait().map_err(|(error, _)| error)?.result?;
    wsk::scope(|scope| {
        let sending = scope.send(socket, &*room)?;
        sending.wait()
    })??;
    socket.disconnect_after_timeout(room, limit)?;
    socket.abort()?;
    Ok(count)
}

pub fn accept(socket: &ListenSocket) -> Result<ConnectedSocket, Error> {
    let accepting = socket.start_accept()?;
    let accepted = accepting.wait().map_err(|(error, _)| error)?;
    accepted.map(|(socket, _)| socket)
}

pub fn resolve(provider: &Provider, name: &str) -> Result<AddressInfo, Error> {
    let resolving = provider.start_resolve((name, "80"))?;
    drop(resolving);
    let info = provider.resolve_timeout(name, Duration::from_secs(1))?;
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
            datagram.copy_to(&mut [0; 64]) + messages
        };
        if indication.datagrams().map(copied).sum::<usize>() > 3 {
            drop(indication.retain());
        }
        Verdict::Consumed
    }
}

pub fn with_events(provider: &Provider) -> Result<DatagramSocket, Error> {
    let socket = DatagramSocket::open_with_events(provider, wsk::Family::Dual, Handler)?;
    socket.enable_receive_events()?;
    socket.disable_receive_events()?;
    Ok(socket)
}
