//! A driver that answers each datagram with itself, as RFC 862 has it: it is called when datagrams arrive, and sends from pools of
//! buffers, with their MDLs, and of operations, with their IRPs, which are made once.
//!
//! The value `Listen` of its `Parameters` key, such as `192.0.2.1:7`, says where. Two echo services in an open network can be made to
//! talk to each other for ever: this one is for tests.

#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddrV4};

use wsk::events::{Datagram, Indication, ReceiveFromEvent, Verdict};
use wsk::operation::Operations;
use wsk::{
    BufferPool, DatagramSocket, DriverState, Error, Family, NTSTATUS, NonPagedBuffer, PooledBuffer,
    Registration, Wait,
};
use wsk_driver::{Parameters, driver_entry, report};
use wsk_sys::STATUS_DEVICE_BUSY;

/// Where it listens unless it is told otherwise: the echo port of this machine.
const LISTEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7);
/// How many answers may be on their way at a time.
const DEPTH: u32 = 64;
/// The longest datagram that is answered: what an Ethernet frame holds.
const LONGEST: usize = 1472;

static ECHO: DriverState<Echo> = DriverState::new();

/// What the driver has while it is loaded. Dropped in this order: deregistering waits for all that came of the registration.
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

/// Answers what arrives.
struct Answers {
    buffers: BufferPool<NonPagedBuffer>,
    operations: Operations<PooledBuffer<NonPagedBuffer>>,
}

impl ReceiveFromEvent for Answers {
    /// IRQL: `<= DISPATCH_LEVEL`.
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        if let Some(socket) = indication.socket() {
            for datagram in indication.datagrams() {
                // With every buffer on its way the datagram goes unanswered, as on any busy network.
                let _ = self.answer(&socket, datagram);
            }
        }
        Verdict::Consumed
    }
}

impl Answers {
    fn answer(&self, socket: &DatagramSocket, datagram: Datagram<'_>) -> Result<(), Error> {
        let mut buffer = self.buffers.take().ok_or(Error::PoolEmpty)?;
        buffer.set_len(datagram.len())?;
        datagram.copy_to(buffer.as_mut_slice());
        // Nobody waits for the result: when the datagram has been sent, buffer and operation go back to their pools.
        let answer = socket.send_to(buffer, datagram.remote_address()?);
        answer.from(&self.operations).start_with(drop)?;
        Ok(())
    }
}

driver_entry!(load, unload);

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let listen = parameters.address("Listen", LISTEN)?;
    let echo = Echo::start(listen).map_err(|error| report(c"udp-echo", error))?;
    // It is loaded once: no other is there.
    ECHO.put(echo).map_err(|_| STATUS_DEVICE_BUSY)
}

/// Called before the driver is unloaded, at `PASSIVE_LEVEL`.
fn unload() {
    drop(ECHO.take());
}
