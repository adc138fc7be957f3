//! A datapath as a QUIC stack has one: datagrams of one sender that have arrived one behind the other are received as one (URO), what
//! goes out is handed over as one and cut by the network stack or its adapter (USO), and the ECN bits are seen and set.
//!
//! What it does with all this is small: it acknowledges. Each datagram that it is sent begins with a number; it answers each with that
//! number, the ECN bits that it came with, and its length, in an acknowledgement of eight bytes. Those for datagrams that came as one
//! leave as one. Whatever marks its datagrams with ECT(1) gets acknowledgements that are marked so.
//!
//! Everything happens in the receive event, at `DISPATCH_LEVEL`. What a send takes, its buffer with the control information and its
//! operation, comes from pools that are made when the driver is loaded; a completion gives it back.
//!
//! The value `Listen` of its `Parameters` key, such as `192.0.2.1:4433`, says where.

#![cfg_attr(not(test), no_std)]

#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicU64, Ordering};

use wsk::events::{Datagram, Indication, ReceiveFromEvent, Segment, Verdict};
use wsk::operation::Operations;
use wsk::option::{MaxCoalescedSize, ReceiveEcnV4};
use wsk::{
    BufferPool, Control, ControlMessage, DatagramSocket, DriverState, Error, Family, NTSTATUS,
    NonPagedBuffer, PooledBuffer, Registration, Wait, WithControl,
};
use wsk_driver::{Parameters, driver_entry, report, report_count};
use wsk_sys::STATUS_DEVICE_BUSY;

/// Where it listens unless it is told otherwise.
const LISTEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4433);
/// How many answers may be on their way at a time.
const DEPTH: u32 = 64;
/// The longest that datagrams may be together that are received as one: what an IPv4 datagram could hold.
const COALESCED: u32 = 65_507;
/// How many acknowledgements leave as one. What comes beyond that follows in the next send.
const BATCH: usize = 64;
/// An acknowledgement: the number in network order, the ECN bits, a zero, and the length in network order.
const ACKNOWLEDGEMENT: usize = SEGMENT as usize;
const SEGMENT: u32 = 8;
/// Room for the ECN bits and the segment size.
const ALONG: usize = 2 * ControlMessage::space(4);

/// Acknowledgements, with what goes along with them.
type Answer = WithControl<PooledBuffer<NonPagedBuffer>, ALONG>;

static PATH: DriverState<Path> = DriverState::new();

/// What was done: datagrams, how many of them had come with others, marks of congestion, and answers that could not be sent.
static DATAGRAMS: AtomicU64 = AtomicU64::new(0);
static COALESCED_DATAGRAMS: AtomicU64 = AtomicU64::new(0);
static CONGESTION: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

/// The ECN bits: an endpoint that reacts as L4S asks, and congestion.
const ECT_1: i32 = 1;
const CE: i32 = 3;

/// What the driver has while it is loaded. Dropped in this order: deregistering waits for all that came of the registration.
struct Path {
    _socket: DatagramSocket,
    _registration: Registration,
}

impl Path {
    fn start(listen: SocketAddrV4) -> Result<Self, Error> {
        let registration = Registration::new()?;
        let provider = registration.capture(Wait::Milliseconds(1000))?;
        let receiver = Receiver {
            buffers: BufferPool::new(DEPTH, |_| NonPagedBuffer::new(BATCH * ACKNOWLEDGEMENT))?,
            operations: Operations::new(&provider, DEPTH)?,
        };
        let socket = DatagramSocket::open_with_events(&provider, Family::V4, receiver)?;
        socket.set_option(ReceiveEcnV4(true)).wait()?;
        // Windows before 10.0.19041 does not know it, and receives datagrams one by one.
        let _ = socket.set_option(MaxCoalescedSize(COALESCED)).wait();
        socket.bind(listen)?;
        socket.enable_receive_events()?;
        Ok(Self {
            _socket: socket,
            _registration: registration,
        })
    }
}

/// Acknowledges what arrives.
struct Receiver {
    buffers: BufferPool<NonPagedBuffer>,
    operations: Operations<Answer>,
}

impl ReceiveFromEvent for Receiver {
    /// IRQL: `<= DISPATCH_LEVEL`.
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        if let Some(socket) = indication.socket() {
            for datagram in indication.datagrams() {
                if self.acknowledge(&socket, datagram).is_err() {
                    // With every buffer on its way it goes unacknowledged, and is sent again.
                    LOST.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Verdict::Consumed
    }
}

impl Receiver {
    /// Acknowledges a datagram, or each of those that came as one.
    fn acknowledge(&self, socket: &DatagramSocket, datagram: Datagram<'_>) -> Result<(), Error> {
        let mark = datagram.control().find_map(ecn).unwrap_or(0);
        let mut segments = datagram.segments();
        let count = segments.len();
        DATAGRAMS.fetch_add(count as u64, Ordering::Relaxed);
        if count > 1 {
            COALESCED_DATAGRAMS.fetch_add(count as u64, Ordering::Relaxed);
        }
        if mark == CE {
            CONGESTION.fetch_add(count as u64, Ordering::Relaxed);
        }
        while segments.len() > 0 {
            let mut buffer = self.buffers.take().ok_or(Error::PoolEmpty)?;
            buffer.set_len(segments.len().min(BATCH) * ACKNOWLEDGEMENT)?;
            let places = buffer.as_mut_slice().as_chunks_mut().0;
            // By the places, so that none is left without a segment.
            for place in places {
                if let Some(segment) = segments.next() {
                    *place = acknowledgement(&segment, mark);
                }
            }
            let mut control = Control::new();
            if buffer.len() > ACKNOWLEDGEMENT {
                control.push(ControlMessage::SegmentSize(SEGMENT))?;
            }
            if mark == ECT_1 {
                control.push(ControlMessage::EcnV4(ECT_1))?;
            }
            let answer = WithControl::new(buffer, control);
            // Nobody waits for the result: when it has been sent, buffer and operation go back to their pools.
            let sending = socket.send_to(answer, datagram.remote_address()?);
            sending.from(&self.operations).start_with(drop)?;
        }
        Ok(())
    }
}

/// The ECN bits, if this tells them.
fn ecn(message: ControlMessage<'_>) -> Option<i32> {
    match message {
        ControlMessage::EcnV4(mark) => Some(mark),
        _ => None,
    }
}

fn acknowledgement(segment: &Segment<'_>, mark: i32) -> [u8; ACKNOWLEDGEMENT] {
    let mut number = [0; 4];
    segment.copy_to(&mut number);
    let [a, b, c, d] = number;
    let [mark, ..] = mark.to_le_bytes();
    let [high, low] = u16::try_from(segment.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    [a, b, c, d, mark, 0, high, low]
}

driver_entry!(load, unload);

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let listen = parameters.address("Listen", LISTEN)?;
    let path = Path::start(listen).map_err(|error| report(c"udp-segments", error))?;
    // It is loaded once: no other is there.
    PATH.put(path).map_err(|_| STATUS_DEVICE_BUSY)
}

/// Called before the driver is unloaded, at `PASSIVE_LEVEL`.
fn unload() {
    drop(PATH.take());
    for (count, of) in [
        (&DATAGRAMS, c"datagrams"),
        (&COALESCED_DATAGRAMS, c"of them with others"),
        (&CONGESTION, c"of them marked"),
        (&LOST, c"not acknowledged"),
    ] {
        report_count(c"udp-segments", count.swap(0, Ordering::Relaxed), of);
    }
}
