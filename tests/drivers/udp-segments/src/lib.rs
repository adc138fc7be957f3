//! A datapath like that of a QUIC stack. Datagrams of one sender that arrive one after the other are received as one (URO).
//! Outgoing datagrams are sent as one, and the network stack or its adapter splits them (USO). The driver reads and sets ECN
//! bits.
//!
//! Its task is small: it acknowledges datagrams. Each datagram begins with a number. The answer is an acknowledgement of eight
//! bytes with that number, the ECN bits of the datagram, and its length. Acknowledgements of datagrams that were received as one
//! are sent as one. Datagrams with ECT(1) get acknowledgements with ECT(1).
//!
//! Everything happens in the receive event, at `DISPATCH_LEVEL`. The buffer of a send with its control information, and its
//! operation, come from pools that are made when the driver is loaded, and return to them at completion.
//!
//! The value `Listen` of its `Parameters` key, such as `192.0.2.1:4433`, sets the address.

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

/// The address if `Listen` is not set.
const LISTEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4433);
/// How many answers may be in flight.
const DEPTH: u32 = 64;
/// The greatest length of datagrams that are received as one: the most that an IPv4 datagram could hold.
const COALESCED: u32 = 65_507;
/// How many acknowledgements are sent as one. The others follow in the next send.
const BATCH: usize = 64;
/// An acknowledgement: the number in network order, the ECN bits, a zero, and the length in network order.
const ACKNOWLEDGEMENT: usize = SEGMENT as usize;
const SEGMENT: u32 = 8;
/// Room for the ECN bits and the segment size.
const ALONG: usize = 2 * ControlMessage::space(4);

/// Acknowledgements, with their control information.
type Answer = WithControl<PooledBuffer<NonPagedBuffer>, ALONG>;

static PATH: DriverState<Path> = DriverState::new();

/// Counters: datagrams, datagrams received together with others, marks of congestion, and answers that could not be sent.
static DATAGRAMS: AtomicU64 = AtomicU64::new(0);
static COALESCED_DATAGRAMS: AtomicU64 = AtomicU64::new(0);
static CONGESTION: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

/// The ECN bits: of an endpoint that reacts as L4S requires, and of congestion.
const ECT_1: i32 = 1;
const CE: i32 = 3;

/// The state of the driver while it is loaded. Fields are dropped in this order: deregistering waits for everything made with the
/// registration.
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
        // Windows before 10.0.19041 lacks the option, and receives datagrams one by one.
        let _ = socket.set_option(MaxCoalescedSize(COALESCED)).wait();
        socket.bind(listen)?;
        socket.enable_receive_events()?;
        Ok(Self {
            _socket: socket,
            _registration: registration,
        })
    }
}

/// Acknowledges the datagrams that arrive.
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
                    // If all buffers are in flight, the datagram is not acknowledged, and its sender repeats it.
                    LOST.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Verdict::Consumed
    }
}

impl Receiver {
    /// Acknowledges a datagram, or each of several that were received as one.
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
            // By offset, so that no part is left out.
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
            // Nobody waits for the result: after the send, buffer and operation return to their pools.
            let sending = socket.send_to(answer, datagram.remote_address()?);
            sending.from(&self.operations).start_with(drop)?;
        }
        Ok(())
    }
}

/// The ECN bits, if the message contains them.
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
    // A driver is loaded once, so there is no other state.
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
