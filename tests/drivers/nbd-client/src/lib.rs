//! A client of a network block device, as a disk driver over a network is one: it connects with a limit, agrees on the device, and then
//! sends requests and receives their replies over TCP.
//!
//! - The bytes of a write follow its header from the memory of the request, whose MDL is not the sockets' business; those of a read are
//!   received into it. Nothing is copied, and once it is loaded the driver allocates nothing.
//! - Replies are received exactly. A server that ends in between is noticed by whoever waits, and between two requests by the
//!   disconnect event; one that is gone without a word, by keep-alive.
//! - Unloading aborts the connection, which ends whatever waits for it.
//!
//! The requests are its own: when it is loaded, a thread writes blocks and reads them back, and prints how many came back as they were.
//! A disk driver takes them from a queue.
//!
//! Values of its `Parameters` key: `Server`, such as `192.0.2.1:10809`; `Blocks`, how many; `KeepAlive`, the seconds of silence after which
//! the server is asked whether it is there, or 0 for never; and `Whole`: 0 for a system whose WSK lacks things, which
//! Wine's does. There the header and the bytes of a write are sent one after the other, and unloading waits for what is under way.

#![cfg_attr(not(test), no_std)]

mod block;
mod protocol;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use wsk::events::{ConnectionEvent, ConnectionEvents, Disconnection};
use wsk::option::{KeepAlive, KeepAliveIdle};
use wsk::{
    ChainPart, ConnectedSocket, ConnectionSocket, DriverChain, DriverState, Error, Family,
    NTSTATUS, NonPagedBuffer, Registration, Wait,
};
use wsk_driver::{
    Parameters, SpinLock, Stop, Worker, driver_entry, report, report_count, report_status,
};
use wsk_sys::{
    STATUS_CONNECTION_DISCONNECTED, STATUS_DEVICE_BUSY, STATUS_INVALID_NETWORK_RESPONSE,
    STATUS_IO_DEVICE_ERROR,
};

use crate::block::Block;
use crate::protocol::Command;

/// The server that is asked, unless it is told otherwise: one on this machine.
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 10_809);
/// How many blocks are written and read back.
const BLOCKS: u32 = 16;
/// After how many seconds of silence the server is asked whether it is there.
const KEEP_ALIVE: u32 = 30;
/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The length of a block.
const BLOCK: usize = LENGTH as usize;
const LENGTH: u32 = 4096;

static CLIENT: DriverState<Client> = DriverState::new();

/// What the driver has while it is loaded. Dropped in this order: first the thread ends, last the registration.
struct Client {
    _worker: Worker<Disk>,
    socket: ConnectedSocket,
    whole: bool,
    _registration: Registration,
}

/// What the driver is told.
struct Settings {
    server: SocketAddr,
    blocks: u32,
    keep_alive: u32,
    whole: bool,
}

/// Notes that the server has ended the connection.
#[derive(Default)]
struct Ended(AtomicBool);

impl ConnectionEvent for Ended {
    /// IRQL: `<= DISPATCH_LEVEL`.
    fn disconnected(&self, _: &Disconnection<'_>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A device, and what its thread needs to use it.
struct Disk {
    socket: ConnectedSocket,
    /// The number of bytes that it has.
    size: u64,
    blocks: u32,
    /// Whether the system sends chains of MDLs.
    chains: bool,
    room: SpinLock<Option<Room>>,
}

/// The memory of one request.
struct Room {
    header: NonPagedBuffer,
    /// Lent to a chain while that is sent.
    framing: Option<NonPagedBuffer>,
    reply: NonPagedBuffer,
    block: Block<BLOCK>,
}

impl Room {
    fn new() -> Result<Self, NTSTATUS> {
        Ok(Self {
            header: NonPagedBuffer::new(protocol::REQUEST)?,
            framing: Some(NonPagedBuffer::new(protocol::REQUEST)?),
            reply: NonPagedBuffer::new(protocol::ZEROES.max(protocol::REPLY))?,
            block: Block::new()?,
        })
    }
}

/// Sends bytes, by way of a buffer that has room for them.
fn send(socket: &ConnectedSocket, buffer: &mut NonPagedBuffer, bytes: &[u8]) -> Result<(), Error> {
    buffer.assign(bytes)?;
    socket.send(&*buffer).wait_timeout(PATIENCE)?;
    Ok(())
}

/// Receives so many bytes, by way of a buffer that has room for them.
fn receive<const LENGTH: usize>(
    socket: &ConnectedSocket,
    buffer: &mut NonPagedBuffer,
) -> Result<[u8; LENGTH], NTSTATUS> {
    buffer.set_len(LENGTH)?;
    socket.receive_exact(&mut *buffer).wait_timeout(PATIENCE)?;
    let bytes = buffer.as_slice().first_chunk();
    bytes.copied().ok_or(STATUS_INVALID_NETWORK_RESPONSE)
}

/// Agrees with the server on its default device; the number of bytes that it has.
fn negotiate(socket: &ConnectedSocket, room: &mut Room) -> Result<u64, NTSTATUS> {
    let greeting = receive(socket, &mut room.reply)?;
    let answer = protocol::answer(&greeting).ok_or(STATUS_INVALID_NETWORK_RESPONSE)?;
    let (flags, no_zeros) = answer;
    send(socket, &mut room.header, &flags)?;
    send(socket, &mut room.header, &protocol::export())?;
    let size = u64::from_be_bytes(receive(socket, &mut room.reply)?);
    // What it can do: reading and writing is all that is asked.
    receive::<2>(socket, &mut room.reply)?;
    if !no_zeros {
        receive::<{ protocol::ZEROES }>(socket, &mut room.reply)?;
    }
    Ok(size)
}

impl Disk {
    /// Carries out a request on the block at `offset`.
    fn request(
        &self,
        room: &mut Room,
        command: Command,
        cookie: u64,
        offset: u64,
    ) -> Result<(), NTSTATUS> {
        let ended = self.socket.handler::<Ended>();
        if ended.is_some_and(|ended| ended.0.load(Ordering::Relaxed)) {
            return Err(STATUS_CONNECTION_DISCONNECTED);
        }
        let socket = &self.socket;
        let length = if command == Command::Flush { 0 } else { LENGTH };
        let header = protocol::request(command, cookie, offset, length);
        match command {
            Command::Write if self.chains => self.send_write(room, &header)?,
            Command::Write => {
                send(socket, &mut room.header, &header)?;
                socket.send(&room.block.sending()?).wait_timeout(PATIENCE)?;
            }
            Command::Read | Command::Flush => send(socket, &mut room.header, &header)?,
        }
        let reply = receive(socket, &mut room.reply)?;
        match protocol::error(&reply, cookie) {
            Some(0) => {}
            Some(_) => return Err(STATUS_IO_DEVICE_ERROR),
            None => return Err(STATUS_INVALID_NETWORK_RESPONSE),
        }
        if command == Command::Read {
            let mut block = room.block.receiving()?;
            socket.receive_exact(&mut block).wait_timeout(PATIENCE)?;
        }
        Ok(())
    }

    /// Sends the header of a write and the block as one.
    fn send_write(&self, room: &mut Room, header: &[u8]) -> Result<(), Error> {
        let Some(mut framing) = room.framing.take() else {
            return Err(Error::BufferLost);
        };
        framing.assign(header)?;
        let parts = [
            ChainPart::Own(framing),
            ChainPart::Driver(room.block.sending()?),
        ];
        let (sent, parts) = match DriverChain::new(parts) {
            Ok(chain) => (
                self.socket.send(&chain).wait_timeout(PATIENCE),
                chain.into_parts(),
            ),
            Err((error, parts)) => (Err(error), parts),
        };
        if let [ChainPart::Own(framing), _] = parts {
            room.framing = Some(framing);
        }
        sent.map(|_| ())
    }

    /// Writes blocks and reads them back; how many came back as they were.
    fn exercise(&self, room: &mut Room, stop: &Stop) -> Result<u64, NTSTATUS> {
        let mut same = 0;
        for number in 0..self.blocks {
            let offset = u64::from(number) * u64::from(LENGTH);
            let fits = offset.checked_add(LENGTH.into());
            if stop.asked() || fits.is_none_or(|end| end > self.size) {
                break;
            }
            let cookie = u64::from(number) << 32;
            let [byte, ..] = number.wrapping_mul(0x9D).to_le_bytes();
            room.block.bytes_mut().fill(byte);
            self.request(room, Command::Write, cookie, offset)?;
            self.request(room, Command::Flush, cookie | 1, 0)?;
            room.block.bytes_mut().fill(!byte);
            self.request(room, Command::Read, cookie | 2, offset)?;
            if room.block.bytes().iter().all(|read| *read == byte) {
                same += 1;
            }
        }
        Ok(same)
    }

    /// What the thread does.
    fn work(&self, stop: &Stop) {
        let Some(mut room) = self.room.with(Option::take) else {
            return;
        };
        match self.exercise(&mut room, stop) {
            Ok(same) => report_count(
                c"nbd-client",
                same,
                c"blocks came back as they were written",
            ),
            Err(status) => report_status(c"nbd-client", c"a request", status),
        }
    }
}

fn start(settings: &Settings) -> Result<Client, NTSTATUS> {
    let failed = |error| report(c"nbd-client", error);
    let registration = Registration::new().map_err(failed)?;
    let provider = registration
        .capture(Wait::Milliseconds(1000))
        .map_err(failed)?;
    let family = Family::of(&settings.server);
    let socket = ConnectionSocket::open_with_events(&provider, family, Ended::default());
    let socket = socket.map_err(failed)?;
    socket.bind(family.any()).map_err(failed)?;
    let socket = match socket.connect(settings.server).wait_timeout(PATIENCE) {
        Ok(socket) => socket,
        Err(not_connected) => return Err(failed(not_connected.error)),
    };
    if settings.keep_alive > 0 {
        socket.set_option(KeepAlive(true)).wait().map_err(failed)?;
        let idle = KeepAliveIdle(settings.keep_alive);
        socket.set_option(idle).wait().map_err(failed)?;
    }
    if settings.whole {
        // Of the bytes it wants to hear nothing: it asks for them.
        socket
            .enable(ConnectionEvents::DISCONNECT)
            .map_err(failed)?;
    }
    let mut room = Room::new()?;
    let size = negotiate(&socket, &mut room)?;
    let disk = Disk {
        socket: socket.clone(),
        size,
        blocks: settings.blocks,
        chains: settings.whole,
        room: SpinLock::new(Some(room)),
    };
    Ok(Client {
        _worker: Worker::start(disk, Disk::work)?,
        socket,
        whole: settings.whole,
        _registration: registration,
    })
}

driver_entry!(load, unload);

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let client = start(&Settings {
        server: parameters.address("Server", SERVER)?.into(),
        blocks: parameters.number("Blocks", BLOCKS)?,
        keep_alive: parameters.number("KeepAlive", KEEP_ALIVE)?,
        whole: parameters.number("Whole", 1)? != 0,
    })?;
    // It is loaded once: no other is there.
    CLIENT.put(client).map_err(|_| STATUS_DEVICE_BUSY)
}

/// Called before the driver is unloaded, at `PASSIVE_LEVEL`.
fn unload() {
    let Ok(Some(client)) = CLIENT.take() else {
        return;
    };
    if client.whole {
        // Whatever waits for the server waits no longer. How the abort itself ends makes no difference.
        let _ = client.socket.abort().wait_timeout(PATIENCE);
    }
    drop(client);
}
