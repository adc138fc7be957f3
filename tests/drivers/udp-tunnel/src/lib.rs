//! A tunnel endpoint, as drivers of virtual private networks have one: it takes packets from a client on this machine, and sends each
//! behind a header to a peer; what the peer sends goes the other way.
//!
//! - Both sides are told of datagrams by receive events, and send from pools of operations: once it is loaded, the driver allocates
//!   nothing. A completion counts what was sent.
//! - What the peer sends goes to the client where it lies, without the header in front of it: the datagram is retained, rides in an
//!   operation, and goes back to WSK when that is done. What the client sends is copied behind a header, into a buffer of a pool: where
//!   Windows describes a whole frame by one MDL the payload begins inside it, and nothing can be linked in front of it.
//! - The peer may be reached over IPv4 or IPv6, and may roam: its datagrams say where it is, and to which of this machine's addresses
//!   they came. Answers are sent from that address.
//! - The key of the header keeps strangers out of a test, not out of a network: a real endpoint authenticates what it takes.
//!
//! Values of its `Parameters` key: `Inside`, where the client's packets come to; `Outside`, the port of both families that the peer's come
//! to; `Peer`, its IPv4 address at first, if that is known; and `Key`.

#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::sync::atomic::{AtomicU64, Ordering};

use wsk::events::{Datagram, Indication, ReceiveFromEvent, Retained, RetainedDatagram, Verdict};
use wsk::operation::Operations;
use wsk::option::{ReceivePacketInfoV4, ReceivePacketInfoV6};
use wsk::{
    BufferPool, Control, ControlMessage, DatagramSocket, DriverMdl, DriverState, Error, Family,
    NTSTATUS, NonPagedBuffer, PooledBuffer, Registration, Wait, WithControl,
};
use wsk_driver::{Parameters, SpinLock, driver_entry, report, report_count};
use wsk_sys::{STATUS_DEVICE_BUSY, STATUS_INVALID_PARAMETER};

/// Where the client's packets come to, unless it is told otherwise.
const INSIDE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 51_819);
/// The port that the peer's datagrams come to, unless it is told otherwise.
const OUTSIDE: u32 = 51_820;
/// Where the peer is, unless it is told otherwise.
const UNKNOWN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
/// How many packets may be on their way at a time.
const DEPTH: u32 = 64;
/// The longest packet: with the headers of IPv6, UDP and the tunnel it fills an Ethernet frame.
const LONGEST: usize = 1448;
/// The tunnel's header: the key, in network order.
const HEADER: usize = 4;
/// Room for the address that a packet is sent from.
const PIN: usize = ControlMessage::space(20);

/// A packet of the client's behind its header, with what goes along with it.
type Outward = WithControl<PooledBuffer<NonPagedBuffer>, PIN>;
/// A packet of the peer's: what was retained, but for its header.
type Inward = DriverMdl<RetainedDatagram>;

static TUNNEL: DriverState<Tunnel> = DriverState::new();

/// What was sent, and what could not be.
static SENT: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

/// What the driver has while it is loaded. Dropped in this order: deregistering waits for all that came of the registration.
struct Tunnel {
    inside: DatagramSocket,
    outside: [DatagramSocket; 2],
    key: [u8; HEADER],
    client: SpinLock<Option<SocketAddr>>,
    peer: SpinLock<Option<Peer>>,
    buffers: BufferPool<NonPagedBuffer>,
    outward: Operations<Outward>,
    inward: Operations<Inward>,
    _registration: Registration,
}

/// Where the peer is.
#[derive(Clone, Copy)]
struct Peer {
    remote: SocketAddr,
    /// The address of this machine that it sends to, if it has sent anything yet.
    local: Option<ControlMessage<'static>>,
}

/// Takes what the client sends.
struct Inside;

/// Takes what the peer sends.
struct Outside;

impl ReceiveFromEvent for Inside {
    /// IRQL: `<= DISPATCH_LEVEL`.
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        // Before the driver is set up, and while it is unloaded, there is no tunnel.
        TUNNEL.with(|tunnel| {
            for packet in indication.datagrams() {
                count(tunnel.send_out(packet));
            }
        });
        Verdict::Consumed
    }
}

impl ReceiveFromEvent for Outside {
    /// IRQL: `<= DISPATCH_LEVEL`.
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        TUNNEL.with(|tunnel| {
            // Not while the socket is being closed.
            let retained = indication.retain().into_iter();
            for datagram in retained.flat_map(Retained::into_datagrams) {
                count(tunnel.take_in(datagram));
            }
        });
        Verdict::Consumed
    }
}

/// Counts a packet that was not even started.
fn count(result: Result<(), Error>) {
    if result.is_err() {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

impl Tunnel {
    fn open(
        inside: SocketAddrV4,
        port: u16,
        peer: Option<SocketAddr>,
        key: u32,
    ) -> Result<Self, Error> {
        let registration = Registration::new()?;
        let provider = registration.capture(Wait::Milliseconds(1000))?;
        let outside = |family| DatagramSocket::open_with_events(&provider, family, Outside);
        let tunnel = Self {
            inside: DatagramSocket::open_with_events(&provider, Family::V4, Inside)?,
            outside: [outside(Family::V4)?, outside(Family::V6)?],
            key: key.to_be_bytes(),
            client: SpinLock::new(None),
            peer: SpinLock::new(peer.map(|remote| Peer {
                remote,
                local: None,
            })),
            buffers: BufferPool::new(DEPTH, |_| NonPagedBuffer::new(HEADER + LONGEST))?,
            outward: Operations::new(&provider, DEPTH)?,
            inward: Operations::new(&provider, DEPTH)?,
            _registration: registration,
        };
        // What fails from here on drops the tunnel, whose registration waits for every capture.
        drop(provider);
        let [v4, v6] = &tunnel.outside;
        v4.set_option(ReceivePacketInfoV4(true)).wait()?;
        v6.set_option(ReceivePacketInfoV6(true)).wait()?;
        for (socket, family) in [(v4, Family::V4), (v6, Family::V6)] {
            let mut any = family.any();
            any.set_port(port);
            socket.bind(any)?;
        }
        tunnel.inside.bind(inside)?;
        Ok(tunnel)
    }

    /// From here on packets are taken.
    fn enable(&self) -> Result<(), Error> {
        let [v4, v6] = &self.outside;
        [&self.inside, v4, v6]
            .into_iter()
            .try_for_each(DatagramSocket::enable_receive_events)
    }

    /// Sends a packet of the client's to the peer.
    fn send_out(&self, packet: Datagram<'_>) -> Result<(), Error> {
        let client = packet.remote_address()?;
        self.client.with(|known| *known = Some(client));
        let Some(peer) = self.peer.with(|peer| *peer) else {
            return Err(Error::UnknownAddress { family: 0 });
        };
        // With all of them on their way the packet is lost, as on any busy network.
        let mut buffer = self.buffers.take().ok_or(Error::PoolEmpty)?;
        buffer.set_len(HEADER + packet.len())?;
        if let Some((header, payload)) = buffer.as_mut_slice().split_first_chunk_mut() {
            *header = self.key;
            packet.copy_to(payload);
        }
        let mut control = Control::new();
        if let Some(local) = peer.local {
            control.push(local)?;
        }
        let [v4, v6] = &self.outside;
        let socket = if peer.remote.is_ipv4() { v4 } else { v6 };
        // The buffer goes back to its pool when the completion has dropped it, and the operation after that.
        let packet = WithControl::new(buffer, control);
        let sending = socket.send_to(packet, peer.remote).from(&self.outward);
        sending.start_with(|finished| count_sent(finished.result))?;
        Ok(())
    }

    /// Gives the client what is in a datagram of the peer's. Who has the key is the peer, wherever it is now.
    fn take_in(&self, retained: RetainedDatagram) -> Result<(), Error> {
        let datagram = retained.datagram();
        let mut key = [0; HEADER];
        if datagram.copy_to(&mut key) < HEADER || key != self.key {
            return Ok(());
        }
        let remote = datagram.remote_address()?;
        let local = datagram.control().find_map(from_here);
        self.peer.with(|peer| *peer = Some(Peer { remote, local }));
        let Some(client) = self.client.with(|client| *client) else {
            return Err(Error::UnknownAddress { family: 0 });
        };
        let packet = retained.into_mdl(HEADER)?;
        // WSK has its memory back when the completion has dropped the packet.
        let sending = self.inside.send_to(packet, client).from(&self.inward);
        sending.start_with(|finished| count_sent(finished.result))?;
        Ok(())
    }
}

/// Counts a packet that is on its way no more.
fn count_sent(result: Result<usize, Error>) {
    let count = if result.is_ok() { &SENT } else { &LOST };
    count.fetch_add(1, Ordering::Relaxed);
}

/// What says that a packet is to be sent from the address that a datagram came to. The stack chooses the interface.
fn from_here(message: ControlMessage<'_>) -> Option<ControlMessage<'static>> {
    match message {
        ControlMessage::PacketInfoV4 { address, .. } => Some(ControlMessage::PacketInfoV4 {
            address,
            interface: 0,
        }),
        ControlMessage::PacketInfoV6 { address, interface } => Some(ControlMessage::PacketInfoV6 {
            address,
            // An address of a link says nothing without it.
            interface: if address.is_unicast_link_local() {
                interface
            } else {
                0
            },
        }),
        _ => None,
    }
}

driver_entry!(load, unload);

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let inside = parameters.address("Inside", INSIDE)?;
    let port = u16::try_from(parameters.number("Outside", OUTSIDE)?)
        .map_err(|_| STATUS_INVALID_PARAMETER)?;
    let peer = match parameters.address("Peer", UNKNOWN)? {
        UNKNOWN => None,
        known => Some(known.into()),
    };
    let failed = |error| report(c"udp-tunnel", error);
    let tunnel = Tunnel::open(inside, port, peer, parameters.number("Key", 0)?).map_err(failed)?;
    // It is loaded once: no other is there.
    TUNNEL.put(tunnel).map_err(|_| STATUS_DEVICE_BUSY)?;
    let enabled = TUNNEL.with(Tunnel::enable);
    if let Some(Err(error)) = enabled {
        end();
        return Err(failed(error));
    }
    Ok(())
}

/// Waits for the handlers that use the tunnel, closes it, and says what it has done. IRQL: `PASSIVE_LEVEL`.
fn end() {
    drop(TUNNEL.take());
    let (sent, lost) = (
        SENT.swap(0, Ordering::Relaxed),
        LOST.swap(0, Ordering::Relaxed),
    );
    report_count(c"udp-tunnel", sent, c"packets sent");
    report_count(c"udp-tunnel", lost, c"packets lost");
}

/// Called before the driver is unloaded, at `PASSIVE_LEVEL`.
fn unload() {
    end();
}
