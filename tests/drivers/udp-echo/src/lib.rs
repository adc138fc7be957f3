//! A driver that returns each datagram to its sender (RFC 862). WSK calls it when datagrams arrive. It sends from pools of
//! buffers with their MDLs, and of operations with their IRPs, which are allocated when it is loaded.
//!
//! The value `Listen` of its `Parameters` key, such as `192.0.2.1:7`, sets the address. In an open network somebody can make two
//! echo services answer each other for ever: this one is for tests.

#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use wsk::events::{Datagram, Indication, ReceiveFromEvent, Verdict};
use wsk::operation::Operations;
use wsk::{
    BufferPool, DatagramSocket, DriverState, Error, Family, NTSTATUS, NonPagedBuffer, PooledBuffer,
    Registration, Wait,
};
use wsk_driver::{Parameters, driver_entry, report};
use wsk_sys::STATUS_DEVICE_BUSY;

/// The address if `Listen` is not set: the echo port of this machine.
const LISTEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7);
/// How many answers may be in flight.
const DEPTH: u32 = 64;
/// The longest datagram that is answered: the most that an Ethernet frame holds.
const LONGEST: usize = 1472;

static ECHO: DriverState<Echo> = DriverState::new();

/// The state of the driver while it is loaded. Fields are dropped in this order: deregistering waits for everything made with the
/// registration.
struct Echo {
    _socket: DatagramSocket,
    _registration: Registration,
}

impl Echo {
    fn start(listen: SocketAddrV4) -> Result<Self, Error> {
        let registration = Registration::new()?;
        let provider = registration.capture(Wait::Milliseconds(1000))?;
        let answers = Answers {
            buffers: BufferPool::new(DEPTH, |_| NonPagedBuffer::new(LONGEST))?,
            operations: Operations::new(&provider, DEPTH)?,
        };
        let socket = DatagramSocket::open_with_events(&provider, Family::V4, answers)?;
        socket.bind(listen)?;
        socket.enable_receive_events()?;
        Ok(Self {
            _socket: socket,
            _registration: registration,
        })
    }
}

/// Answers the datagrams that arrive.
struct Answers {
    buffers: BufferPool<NonPagedBuffer>,
    operations: Operations<PooledBuffer<NonPagedBuffer>>,
}

impl ReceiveFromEvent for Answers {
    /// IRQL: `<= DISPATCH_LEVEL`.
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        if let Some(socket) = indication.socket() {
            for datagram in indication.datagrams() {
                if let Ok(from) = &datagram.remote_address() {
                    // If all buffers are in flight, the datagram is not answered, as on any busy network.
                    let _ = self.answer(&socket, datagram, from);
                }
            }
        }
        Verdict::Consumed
    }
}

impl Answers {
    fn answer(
        &self,
        socket: &DatagramSocket,
        datagram: Datagram<'_>,
        to: &SocketAddr,
    ) -> Result<(), Error> {
        let mut buffer = self.buffers.take().ok_or(Error::PoolEmpty)?;
        buffer.set_len(datagram.len())?;
        datagram.copy_to(buffer.as_mut_slice());
        // Nobody waits for the result: after the send, buffer and operation return to their pools.
        let answer = socket.send_to(buffer, to);
        answer.from(&self.operations).start_with(drop)?;
        Ok(())
    }
}

driver_entry!(load, unload);

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let listen = parameters.address("Listen", LISTEN)?;
    let echo = Echo::start(listen).map_err(|error| report(c"udp-echo", error))?;
    // A driver is loaded once, so there is no other state.
    ECHO.put(echo).map_err(|_| STATUS_DEVICE_BUSY)
}

/// Called before the driver is unloaded, at `PASSIVE_LEVEL`.
fn unload() {
    drop(ECHO.take());
}
