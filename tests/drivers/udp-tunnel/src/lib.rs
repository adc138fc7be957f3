//! A tunnel endpoint, like those in drivers of virtual private networks: it takes packets from a client on this machine, and
//! sends each behind a header to a peer. Packets of the peer go the other way.
//!
//! - Both sides receive datagrams through events, and send from pools of operations: after loading, the driver allocates nothing.
//!   A completion counts the packets that were sent.
//! - Packets of the peer are forwarded without a copy: the datagram is retained, and an operation sends it without its header,
//!   and then returns it to WSK. Packets of the client are copied behind a header into a buffer of a pool: if Windows describes a
//!   whole frame with one MDL, the payload begins inside that MDL, and nothing can be linked before it.
//! - The peer may use IPv4 or IPv6, and may roam: its datagrams show its address, and the address of this machine to which they
//!   were sent. Answers are sent from that address.
//! - The key in the header protects a test from strangers, but not a network: a real endpoint authenticates its packets.
//!
//! Values of its `Parameters` key: `Inside`, the address for the client's packets; `Outside`, the port for the peer's packets in
//! both families; `Peer`, the peer's first IPv4 address, if it is known; and `Key`.

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

/// The address for the client's packets if `Inside` is not set.
const INSIDE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 51_819);
/// The port for the peer's datagrams if `Outside` is not set.
const OUTSIDE: u32 = 51_820;
/// The peer's address if `Peer` is not set.
const UNKNOWN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
/// How many packets may be in flight.
const DEPTH: u32 = 64;
/// The longest packet: with the headers of IPv6, UDP and the tunnel it fills an Ethernet frame.
const LONGEST: usize = 1448;
/// The tunnel's header: the key, in network order.
const HEADER: usize = 4;
/// Room for the source address of a packet.
const PIN: usize = ControlMessage::space(20);

/// A packet of the client behind its header, with its control information.
type Outward = WithControl<PooledBuffer<NonPagedBuffer>, PIN>;
/// A packet of the peer: the retained datagram without its header.
type Inward = DriverMdl<RetainedDatagram>;

static TUNNEL: DriverState<Tunnel> = DriverState::new();

/// Counters of packets that were sent, and of those that could not be sent.
static SENT: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

/// The state of the driver while it is loaded. Fields are dropped in this order: deregistering waits for everything made with the
/// registration.
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

/// The peer's address.
#[derive(Clone, Copy)]
struct Peer {
    remote: SocketAddr,
    /// The address of this machine to which the peer sends, if it has sent anything yet.
    local: Option<ControlMessage<'static>>,
}

/// Receives the client's packets.
struct Inside;

/// Receives the peer's packets.
struct Outside;

impl ReceiveFromEvent for Inside {
    /// IRQL: `<= DISPATCH_LEVEL`.
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        // Before the driver is set up, and while it is being unloaded, there is no tunnel.
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
            // The socket is being closed.
            let retained = indication.retain().into_iter();
            for datagram in retained.flat_map(Retained::into_datagrams) {
                count(tunnel.take_in(datagram));
            }
        });
        Verdict::Consumed
    }
}

/// Counts a packet whose send was not started.
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
        // If a call below fails, the tunnel is dropped, and its registration waits for every capture.
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

    /// Starts to receive packets.
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
        // If all buffers are in flight, the packet is lost, as on any busy network.
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
        // When the completion drops the buffer, it returns to its pool. The operation follows.
        let packet = WithControl::new(buffer, control);
        let sending = socket.send_to(packet, peer.remote).from(&self.outward);
        sending.start_with(|finished| count_sent(finished.result))?;
        Ok(())
    }

    /// Forwards the packet in a datagram of the peer to the client. A sender that has the key is the peer, wherever it is now.
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
        // When the completion drops the packet, its memory returns to WSK.
        let sending = self.inside.send_to(packet, client).from(&self.inward);
        sending.start_with(|finished| count_sent(finished.result))?;
        Ok(())
    }
}

/// Counts a packet that is no longer in flight.
fn count_sent(result: Result<usize, Error>) {
    let count = if result.is_ok() { &SENT } else { &LOST };
    count.fetch_add(1, Ordering::Relaxed);
}

/// The control message that sends a packet from the address to which a datagram came. The stack chooses the interface.
fn from_here(message: ControlMessage<'_>) -> Option<ControlMessage<'static>> {
    match message {
        ControlMessage::PacketInfoV4 { address, .. } => Some(ControlMessage::PacketInfoV4 {
            address,
            interface: 0,
        }),
        ControlMessage::PacketInfoV6 { address, interface } => Some(ControlMessage::PacketInfoV6 {
            address,
            // A link-local address means nothing without its interface.
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
    // A driver is loaded once, so there is no other tunnel.
    TUNNEL.put(tunnel).map_err(|_| STATUS_DEVICE_BUSY)?;
    let enabled = TUNNEL.with(Tunnel::enable);
    if let Some(Err(error)) = enabled {
        end();
        return Err(failed(error));
    }
    Ok(())
}

/// Waits for the handlers that use the tunnel, closes it, and prints its counters. IRQL: `PASSIVE_LEVEL`.
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
