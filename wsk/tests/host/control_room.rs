//! Operations that are used again: a receive hands over control information only if it lent room for it, and none of an earlier request.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::channel;

use wsk::ioctl::{IdealSendBacklog, RoutingInterface};
use wsk::operation::Operations;
use wsk::option::{KeepAliveIdle, ReceiveTimeToLive};
use wsk::{
    ConnectedSocket, Control, ControlMessage, ControlMessages, DatagramSocket, Error, Extent,
    Family, Lock, NonPagedBuffer, Provider, ReceiveBuffer, Registration, WithControl,
};
use wsk_host::{Builder, Completion, Deviation, Kernel};

use crate::setting::{self, LOOPBACK, PATIENCE, bound, client};

/// The time to live that connections of the host kernel report. Datagrams report another one.
const OF_BYTES: ControlMessage<'static> = ControlMessage::TimeToLive(9);

/// The control information that a buffer was given; `None` if it was given none.
type Got = Option<Vec<u8>>;

/// A buffer with `ROOM` bytes of room for control information. It stores all that it is given, even if it has no room.
struct Told<const ROOM: usize> {
    bytes: NonPagedBuffer,
    told: Got,
}

impl<const ROOM: usize> Told<ROOM> {
    fn new() -> Self {
        Self {
            bytes: NonPagedBuffer::new(16).unwrap(),
            told: None,
        }
    }
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl<const ROOM: usize> ReceiveBuffer for Told<ROOM> {
    const CONTROL_ROOM: usize = ROOM;

    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        self.told = None;
        // SAFETY: the caller's promise holds for the buffer inside.
        unsafe { self.bytes.lock_mut(lock) }
    }

    fn set_control(&mut self, control: &[u8]) {
        assert!(control.len() <= ROOM, "there is no more room");
        self.told = Some(control.to_vec());
    }
}

/// Room for more than a time to live.
const ROOM: usize = 200;

/// The sockets of a driver and their peers. Fields are dropped in this order, as a driver unloads.
struct Both {
    datagrams: DatagramSocket,
    connection: ConnectedSocket,
    provider: Provider,
    _registration: Registration,
    from: UdpSocket,
    stream: TcpStream,
}

impl Both {
    fn new() -> Self {
        let (registration, provider) = client();
        let datagrams = bound(&provider, Family::V4, LOOPBACK);
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let remote = listener.local_addr().unwrap();
        let connection = ConnectedSocket::connect(&provider, remote).wait().unwrap();
        Self {
            datagrams,
            connection,
            provider,
            _registration: registration,
            from: setting::peer(LOOPBACK).0,
            stream: listener.accept().unwrap().0,
        }
    }

    /// A datagram arrives, with its time to live or without.
    fn says(&self, tells: bool) {
        let option = ReceiveTimeToLive(tells);
        self.datagrams.set_option(option).wait().unwrap();
        let to = self.datagrams.local_address().unwrap();
        self.from.send_to(b"datagram", to).unwrap();
    }

    /// The control information that a buffer gets with a datagram.
    fn datagram<const N: usize>(&self, tells: bool) -> Got {
        self.says(tells);
        let mut buffer = Told::<N>::new();
        let received = self.datagrams.receive_from(&mut buffer).wait();
        assert_eq!(received.unwrap().length(), 8);
        buffer.told
    }

    /// The control information that a buffer gets with bytes of the connection.
    fn bytes<const N: usize>(&self) -> Got {
        (&self.stream).write_all(b"bytes").unwrap();
        let mut buffer = Told::<N>::new();
        assert_eq!(self.connection.receive(&mut buffer).wait(), Ok(5));
        buffer.told
    }

    /// I/O control operations whose output is where control information is.
    fn ioctls(&self) {
        assert!(self.connection.ioctl(IdealSendBacklog).wait().unwrap() > 0);
        let to = self.from.local_addr().unwrap();
        let from = self.datagrams.ioctl(RoutingInterface(to)).wait().unwrap();
        assert_eq!(from.ip(), to.ip());
    }
}

/// The messages that a buffer with room got.
fn messages(told: Option<&Vec<u8>>) -> Vec<ControlMessage<'_>> {
    let told = told.expect("a buffer with room is given what there is");
    ControlMessages::new(told).collect()
}

fn is_of_a_datagram(told: Option<&Vec<u8>>) -> bool {
    let is_one_message = told.is_some_and(|told| told.len() <= 24);
    is_one_message && matches!(messages(told)[..], [ControlMessage::TimeToLive(hops)] if hops != 9)
}

/// Kernels whose connections report control information, or none, and whose providers differ.
fn kernels() -> impl Iterator<Item = (Kernel, bool)> {
    let deviations = [
        None,
        Some(Deviation::LeavesControlLength),
        Some(Deviation::OverstatesControlLength),
    ];
    let kernels = deviations.into_iter().flat_map(|deviation| {
        [true, false].map(|of_bytes| {
            let builder = Kernel::builder().completion(Completion::Seeded).seed(5);
            let builder = deviation.into_iter().fold(builder, Builder::deviation);
            (builder, of_bytes)
        })
    });
    kernels.map(|(builder, of_bytes)| {
        let mut control = Control::<24>::new();
        if of_bytes {
            control.push(OF_BYTES).unwrap();
        }
        let builder = builder.control_on_connections(control.as_bytes());
        (builder.boot(), of_bytes)
    })
}

/// All requests on one socket that are waited for use the same operation.
#[test]
fn a_wait_gets_only_its_own_control_information() {
    for (kernel, of_bytes) in kernels() {
        let s = Both::new();
        let own: &[_] = if of_bytes { &[OF_BYTES] } else { &[] };
        for _ in 0..2 {
            assert!(is_of_a_datagram(s.datagram::<ROOM>(true).as_ref()));
            assert_eq!(s.datagram::<0>(true), None);
            assert_eq!(messages(s.datagram::<ROOM>(false).as_ref()), []);
            assert!(is_of_a_datagram(s.datagram::<ROOM>(true).as_ref()));
            assert_eq!(s.datagram::<0>(false), None);
            assert_eq!(
                messages(s.datagram::<16>(true).as_ref()),
                [],
                "too little room"
            );
            assert_eq!(messages(s.bytes::<ROOM>().as_ref()), own);
            assert_eq!(s.bytes::<0>(), None);
            assert_eq!(messages(s.bytes::<ROOM>().as_ref()), own);
            assert_eq!(messages(s.bytes::<16>().as_ref()), [], "too little room");
            s.ioctls();
            assert_eq!(messages(s.datagram::<ROOM>(false).as_ref()), []);
            assert_eq!(messages(s.bytes::<ROOM>().as_ref()), own);
            s.ioctls();
            assert_eq!(s.datagram::<0>(false), None);
            assert_eq!(s.bytes::<0>(), None);
        }
        drop(s);
        kernel.shutdown();
    }
}

/// The output of an I/O control operation, and the value of an option, are where earlier requests have left their bytes.
#[test]
fn output_that_a_provider_does_not_write_is_zero() {
    let builder = Kernel::builder().deviation(Deviation::LeavesOutput);
    let mut control = Control::<24>::new();
    control.push(OF_BYTES).unwrap();
    let kernel = builder.control_on_connections(control.as_bytes()).boot();
    let s = Both::new();
    assert_eq!(messages(s.bytes::<ROOM>().as_ref()), [OF_BYTES]);
    assert_eq!(s.connection.ioctl(IdealSendBacklog).wait(), Ok(0));
    s.connection.set_option(KeepAliveIdle(77)).wait().unwrap();
    assert_eq!(s.connection.option().wait(), Ok(KeepAliveIdle(0)));
    let mut backlog = s.connection.ioctl(IdealSendBacklog).prepare().unwrap();
    assert_eq!((backlog.wait(), backlog.wait()), (Ok(0), Ok(0)));
    drop((backlog, s));
    kernel.shutdown();
}

/// Requests of several kinds and sockets use the one operation of a pool.
fn with_pools<const N: usize>(test: impl Fn(&dyn Fn(bool) -> Got, &dyn Fn() -> Got, bool)) {
    for (kernel, of_bytes) in kernels() {
        let s = Both::new();
        let operations = Operations::<Told<N>>::new(&s.provider, 1).unwrap();
        let datagram = |tells| {
            s.says(tells);
            let receive = s.datagrams.receive_from(Told::new());
            let finished = receive.from(&operations).start().unwrap().wait();
            let finished = finished.unwrap();
            assert_eq!(finished.result.unwrap().length(), 8);
            finished.buffer.unwrap().told
        };
        let bytes = || {
            (&s.stream).write_all(b"bytes").unwrap();
            let receive = s.connection.receive(Told::new()).from(&operations);
            let (sender, told) = channel();
            receive
                .start_with(move |finished| sender.send(finished).unwrap())
                .unwrap();
            let finished = told.recv_timeout(PATIENCE).unwrap();
            assert_eq!(finished.result, Ok(5));
            finished.buffer.unwrap().told
        };
        test(&datagram, &bytes, of_bytes);
        drop((operations, s));
        kernel.shutdown();
    }
}

#[test]
fn a_pooled_receive_gets_only_its_own_control_information() {
    with_pools::<ROOM>(|datagram, bytes, of_bytes| {
        let own: &[_] = if of_bytes { &[OF_BYTES] } else { &[] };
        for _ in 0..2 {
            assert!(is_of_a_datagram(datagram(true).as_ref()));
            assert_eq!(messages(bytes().as_ref()), own);
            assert_eq!(messages(datagram(false).as_ref()), []);
            assert_eq!(messages(bytes().as_ref()), own);
            assert!(is_of_a_datagram(datagram(true).as_ref()));
            assert_eq!(messages(datagram(false).as_ref()), []);
        }
    });
    with_pools::<0>(|datagram, bytes, _| {
        assert_eq!(
            (datagram(true), bytes(), datagram(false)),
            (None, None, None)
        );
    });
}

/// A prepared operation clears the control information of its earlier runs.
#[test]
fn runs_of_a_prepared_receive_get_only_their_own_control_information() {
    for (kernel, of_bytes) in kernels() {
        let mut s = Both::new();
        let room = || WithControl::new(NonPagedBuffer::new(16).unwrap(), Control::<ROOM>::new());
        let mut datagrams = s.datagrams.receive_from(room()).prepare().unwrap();
        let mut bytes = s.connection.receive(room()).prepare().unwrap();
        for tells in [true, false, true, false, false] {
            s.says(tells);
            let arrival = datagrams.wait().unwrap();
            assert_eq!(arrival.control().count(), usize::from(tells));
            s.stream.write_all(b"bytes").unwrap();
            let arrival = bytes.wait().unwrap();
            assert_eq!(arrival.control().count(), usize::from(of_bytes));
        }
        // The end of the connection has no control information.
        s.stream.shutdown(Shutdown::Write).unwrap();
        let arrival = bytes.wait().unwrap();
        assert_eq!((arrival.length(), arrival.control().count()), (0, 0));
        drop((datagrams, bytes, s));
        kernel.shutdown();
    }
}
