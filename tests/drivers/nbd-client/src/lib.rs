//! A client of a network block device, like a disk driver over a network: it connects within a time limit, negotiates the device,
//! and then sends requests and receives replies over TCP.
//!
//! - The bytes of a write follow its header directly from the memory of the request, which the sockets do not own. The bytes of a
//!   read are received into that memory. Nothing is copied, and after loading the driver allocates nothing.
//! - Replies are received exactly. If the server disconnects, a waiting request notices it, or between two requests the
//!   disconnect event does. Keep-alive notices a server that vanishes silently.
//! - Unloading aborts the connection, which ends every wait for it.
//!
//! The driver makes its own requests: when it is loaded, a thread writes blocks and reads them back, and prints how many of them
//! are unchanged. A disk driver would take requests from a queue.
//!
//! Values of its `Parameters` key: `Server`, such as `192.0.2.1:10809`; `Blocks`, the number of blocks; `KeepAlive`, the seconds
//! of silence after which the connection is probed, or 0 for never; and `Whole`: 0 for a system whose WSK lacks functions, such
//! as Wine. There the header and the bytes of a write are sent separately, and unloading waits for the requests in flight.

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

/// The server if `Server` is not set: this machine.
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 10_809);
/// How many blocks are written and read back if `Blocks` is not set.
const BLOCKS: u32 = 16;
/// The seconds of silence before a probe if `KeepAlive` is not set.
const KEEP_ALIVE: u32 = 30;
/// The time limit for each answer of the server.
const PATIENCE: Duration = Duration::from_secs(10);
/// The length of a block.
const BLOCK: usize = LENGTH as usize;
const LENGTH: u32 = 4096;

static CLIENT: DriverState<Client> = DriverState::new();

/// The state of the driver while it is loaded. Fields are dropped in this order: first the thread ends, last the registration is
/// dropped.
struct Client {
    _worker: Worker<Disk>,
    socket: ConnectedSocket,
    whole: bool,
    _registration: Registration,
}

/// The parameters of the driver.
struct Settings {
    server: SocketAddr,
    blocks: u32,
    keep_alive: u32,
    whole: bool,
}

/// Records that the server has ended the connection.
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
    /// The size of the device in bytes.
    size: u64,
    blocks: u32,
    /// Whether the system can send chains of MDLs.
    chains: bool,
    room: SpinLock<Option<Room>>,
}

/// The memory of one request.
struct Room {
    header: NonPagedBuffer,
    /// `None` while a chain that is being sent has it.
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

/// Sends bytes through a buffer that has room for them.
fn send(socket: &ConnectedSocket, buffer: &mut NonPagedBuffer, bytes: &[u8]) -> Result<(), Error> {
    buffer.assign(bytes)?;
    socket.send(&*buffer).wait_timeout(PATIENCE)?;
    Ok(())
}

/// Receives as many bytes as `bytes` has, through a buffer that has room for them.
fn receive<const LENGTH: usize>(
    socket: &ConnectedSocket,
    buffer: &mut NonPagedBuffer,
) -> Result<[u8; LENGTH], NTSTATUS> {
    buffer.set_len(LENGTH)?;
    socket.receive_exact(&mut *buffer).wait_timeout(PATIENCE)?;
    let bytes = buffer.as_slice().first_chunk();
    bytes.copied().ok_or(STATUS_INVALID_NETWORK_RESPONSE)
}

/// Negotiates the server's default device. Returns its size in bytes.
fn negotiate(socket: &ConnectedSocket, room: &mut Room) -> Result<u64, NTSTATUS> {
    let greeting = receive(socket, &mut room.reply)?;
    let answer = protocol::answer(&greeting).ok_or(STATUS_INVALID_NETWORK_RESPONSE)?;
    let (flags, no_zeros) = answer;
    send(socket, &mut room.header, &flags)?;
    send(socket, &mut room.header, &protocol::export())?;
    let size = u64::from_be_bytes(receive(socket, &mut room.reply)?);
    // The device's flags are ignored: the driver only reads and writes.
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

    /// Writes blocks and reads them back. Returns how many of them are unchanged.
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

    /// The work of the thread.
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
        // Bytes are received by requests, so the receive event stays disabled.
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
    // A driver is loaded once, so there is no other client.
    CLIENT.put(client).map_err(|_| STATUS_DEVICE_BUSY)
}

/// Called before the driver is unloaded, at `PASSIVE_LEVEL`.
fn unload() {
    let Ok(Some(client)) = CLIENT.take() else {
        return;
    };
    if client.whole {
        // This ends every wait for the server. The result of the abort does not matter.
        let _ = client.socket.abort().wait_timeout(PATIENCE);
    }
    drop(client);
}
