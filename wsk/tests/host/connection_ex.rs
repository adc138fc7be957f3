//! Functions for connections that newer versions of Windows have, on the host kernel: control information of sent and received
//! bytes, and first data that is sent with the connection.

use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use wsk::events::{ConnectionEvent, StreamIndication, StreamVerdict};
use wsk::ioctl::SilentMode;
use wsk::operation::{NotConnectedWithData, Operations};
use wsk::option::FastOpen;
use wsk::{
    Call, ConnectedSocket, ConnectionSocket, Control, ControlMessage, Error, Extent, Family,
    ListenSocket, Lock, NonPagedBuffer, SendBuffer, WithControl,
};
use wsk_host::{Completion, DISPATCH_LEVEL, Kernel, Resource, at_irql};
use wsk_sys::{
    STATUS_CANCELLED, STATUS_CONNECTION_REFUSED, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_IMPLEMENTED,
    STATUS_NOT_SUPPORTED,
};

use crate::connection::{Setting, exactly, on_each_kernel};
use crate::setting::{Counted, FAST, MOMENT, PATIENCE, block_on, deaf, until};

const HOPS: ControlMessage<'static> = ControlMessage::TimeToLive(9);
const ALL: usize = ControlMessage::SPACE_FOR_ALL;

fn control(message: ControlMessage<'_>) -> Control<ALL> {
    let mut control = Control::new();
    control.push(message).unwrap();
    control
}

/// A connection in kernels whose transport reports a time to live with received bytes.
fn telling(test: impl Fn(&Kernel, &Setting, &ConnectedSocket, &mut TcpStream)) {
    let policies = [Completion::Inline, Completion::Deferred, Completion::Seeded];
    for (seed, policy) in (1..).zip(policies) {
        let builder = Kernel::builder().control_on_connections(control(HOPS).as_bytes());
        let kernel = builder.completion(policy).seed(seed).boot();
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        test(&kernel, &s, &socket, &mut peer);
        drop((socket, s));
        kernel.shutdown();
    }
}

fn messages<const N: usize>(control: &Control<N>) -> Vec<ControlMessage<'_>> {
    control.messages().collect()
}

/// A buffer with control information to send.
fn owned(bytes: &[u8]) -> WithControl<NonPagedBuffer, ALL> {
    WithControl::new(NonPagedBuffer::copy_of(bytes).unwrap(), control(HOPS))
}

/// The control information that `WskSendEx` gets while `send` runs.
fn given(kernel: &Kernel, send: impl FnOnce()) -> Vec<String> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = told.clone();
    kernel.on_event(move |event| {
        let line = event.to_string();
        if line.contains("WskSend") && line.contains("ControlInfoLength") {
            list.lock().unwrap().push(line);
        }
    });
    send();
    kernel.on_event(|_| ());
    std::mem::take(&mut told.lock().unwrap())
}

#[test]
fn control_information_goes_with_what_is_sent() {
    telling(|kernel, s, socket, peer| {
        let operations = Operations::new(&s.provider, 2).unwrap();
        let bytes = owned(b"bytes");
        let lines = given(kernel, || {
            assert_eq!(socket.send(&bytes).wait(), Ok(5));
            assert_eq!(socket.send(&bytes).wait_timeout(PATIENCE), Ok(5));
            let sent = socket.send(owned(b"bytes")).start().unwrap();
            assert_eq!(sent.wait().unwrap().result, Ok(5));
            let sent = socket.send(owned(b"bytes")).from(&operations).start();
            assert_eq!(sent.unwrap().wait().unwrap().result, Ok(5));
            wsk::scope(|scope| {
                let sent = socket.send(&bytes).start_in(scope).unwrap();
                assert_eq!(sent.wait().unwrap().0, 5);
            })
            .unwrap();
            let mut sender = socket.send(owned(b"bytes")).prepare().unwrap();
            assert_eq!(sender.wait(), Ok(5));
            // The next run sends the control information that the buffer has by then.
            sender.buffer_mut().unwrap().control.clear();
            assert_eq!(sender.wait(), Ok(5));
            let both = &mut sender.buffer_mut().unwrap().control;
            both.push(HOPS).unwrap();
            both.push(ControlMessage::EcnV4(1)).unwrap();
            assert_eq!(sender.wait(), Ok(5));
        });
        let lengths: Vec<_> = lines
            .iter()
            .map(|line| {
                let rest = line.split("ControlInfoLength").nth(1).unwrap();
                let digits = rest.trim_start_matches([' ', '=', ':']);
                digits.split(|c: char| !c.is_ascii_digit()).next().unwrap()
            })
            .collect();
        assert_eq!(
            lengths,
            ["24"; 6].into_iter().chain(["48"]).collect::<Vec<_>>(),
            "{lines:#?}"
        );
        assert_eq!(exactly(peer, 40), b"bytes".repeat(8));
        operations.wait_until_idle().unwrap();
        // The provider refuses a message that is not whole.
        let broken = Broken(NonPagedBuffer::copy_of(b"x").unwrap());
        let refused = Error::Call {
            call: Call::WskSend,
            status: STATUS_INVALID_PARAMETER,
        };
        assert_eq!(socket.send(&broken).wait(), Err(refused));
    });
}

#[test]
fn control_information_is_received_with_bytes() {
    telling(|_, s, socket, peer| {
        let room = || WithControl::new(NonPagedBuffer::new(16).unwrap(), Control::<ALL>::new());
        let mut here = WithControl::new([0; 16], Control::<ALL>::new());
        peer.write_all(b"waited").unwrap();
        assert_eq!(socket.receive(&mut here).wait(), Ok(6));
        assert_eq!(&here.buffer[..6], b"waited");
        assert_eq!(messages(&here.control), [HOPS]);
        let receiving = socket.receive(room()).start().unwrap();
        peer.write_all(b"started").unwrap();
        let finished = receiving.wait().unwrap();
        assert_eq!(finished.result, Ok(7));
        assert_eq!(messages(&finished.buffer.unwrap().control), [HOPS]);
        let operations = Operations::new(&s.provider, 1).unwrap();
        let receiving = socket.receive(room()).from(&operations).start().unwrap();
        peer.write_all(b"pooled").unwrap();
        let finished = receiving.wait().unwrap();
        assert_eq!(messages(&finished.buffer.unwrap().control), [HOPS]);
        operations.wait_until_idle().unwrap();
        let mut receiver = socket.receive(room()).prepare().unwrap();
        for _ in 0..2 {
            peer.write_all(b"prepared").unwrap();
            let seen = receiver.wait().unwrap();
            assert_eq!(seen.length(), 8);
            assert_eq!(seen.control().collect::<Vec<_>>(), [HOPS]);
            assert_eq!(seen.buffer().buffer.as_slice()[..8], *b"prepared");
        }
        wsk::scope(|scope| {
            peer.write_all(b"scoped").unwrap();
            let receiving = socket.receive(&mut here).start_in(scope).unwrap();
            let (length, here) = receiving.wait().unwrap();
            assert_eq!(&here.buffer[..length], b"scoped");
            assert_eq!(messages(&here.control), [HOPS]);
        })
        .unwrap();
        // Too little room; no room; a buffer that takes no control information.
        let mut little = WithControl::new([0; 16], Control::<16>::new());
        peer.write_all(b"1").unwrap();
        assert_eq!(socket.receive(&mut little).wait(), Ok(1));
        assert_eq!(messages(&little.control), []);
        let mut none = WithControl::new([0; 16], Control::<0>::new());
        peer.write_all(b"2").unwrap();
        assert_eq!(socket.receive(&mut none).wait(), Ok(1));
        let mut plain = [0; 16];
        peer.write_all(b"3").unwrap();
        assert_eq!(socket.receive(&mut plain).wait(), Ok(1));
        // Filling a buffer takes several receives. It reports no control information, and clears the old one.
        let mut full = WithControl::new([0; 4], control(HOPS));
        peer.write_all(b"full").unwrap();
        assert_eq!(socket.receive_all(&mut full).wait(), Ok(4));
        assert_eq!(messages(&full.control), []);
    });
}

/// A buffer with invalid control information.
struct Broken(NonPagedBuffer);

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Broken {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller's promise holds for the buffer inside.
        unsafe { self.0.lock(lock) }
    }

    fn control(&self) -> &[u8] {
        &[7; 21]
    }
}

#[test]
fn a_transport_without_control_information_refuses_it() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        let refused = Error::Call {
            call: Call::WskSend,
            status: STATUS_NOT_SUPPORTED,
        };
        let buffer = WithControl::new(*b"bytes", control(HOPS));
        assert_eq!(socket.send(&buffer).wait(), Err(refused));
        // There is room, but no control information arrives.
        let mut room = WithControl::new([0; 8], control(HOPS));
        peer.write_all(b"bytes").unwrap();
        assert_eq!(socket.receive(&mut room).wait(), Ok(5));
        assert_eq!(messages(&room.control), []);
    });
}

/// Version 1607. Its tables end before the newer entries.
fn old() -> Kernel {
    Kernel::builder().windows(10, 0, 14393).boot()
}

#[test]
fn an_older_windows_sends_and_receives_without_control_information() {
    let kernel = old();
    let s = Setting::new();
    let (socket, mut peer) = s.connection();
    let calls = kernel.counts().calls;
    let missing = |entry| Error::NoEntry { entry };
    let with_control = || {
        let buffer = NonPagedBuffer::copy_of(b"kept").unwrap();
        WithControl::new(buffer, control(HOPS))
    };
    let mut room = WithControl::new([0; 8], Control::<ALL>::new());
    let error = socket.send(&with_control()).wait().unwrap_err();
    assert_eq!(error, missing("WskSendEx"));
    let error = socket.receive(&mut room).wait().unwrap_err();
    assert_eq!(error, missing("WskReceiveEx"));
    let refused = socket.send(with_control()).start().unwrap_err();
    assert_eq!(refused.error, missing("WskSendEx"));
    assert_eq!(refused.buffer.buffer.as_slice(), b"kept");
    drop(refused);
    let refused = socket.receive(room).start_with(drop).unwrap_err();
    assert_eq!(refused.error, missing("WskReceiveEx"));
    let operations = Operations::new(&s.provider, 1).unwrap();
    let refused = socket.send(with_control()).from(&operations).start();
    assert_eq!(refused.unwrap_err().error, missing("WskSendEx"));
    assert!(operations.is_idle());
    let mut sender = socket.send(with_control()).prepare().unwrap();
    assert_eq!(sender.wait(), Err(missing("WskSendEx")));
    assert_eq!(kernel.counts().calls, calls, "nothing was called");
    // The connection still works.
    let none = WithControl::new(*b"none", Control::<ALL>::new());
    assert_eq!(socket.send(&none).wait(), Ok(4));
    assert_eq!(exactly(&mut peer, 4), b"none");
    drop((sender, operations, socket, s));
    kernel.shutdown();
}

#[test]
fn an_older_windows_connects_without_first_data() {
    let kernel = old();
    let s = Setting::new();
    let buffer = NonPagedBuffer::copy_of(b"first").unwrap();
    let refused = s.bound().connect(s.remote).with_first_data(buffer).start();
    let NotConnectedWithData {
        error,
        socket,
        buffer,
    } = refused.unwrap_err();
    let entry = "WskConnectEx";
    assert_eq!(error, Error::NoEntry { entry });
    // Both are returned, and work with what this Windows has.
    let socket = socket.unwrap().connect(s.remote).wait().unwrap();
    assert_eq!(socket.send(buffer.unwrap()).wait(), Ok(5));
    let (mut peer, _) = s.listener.accept().unwrap();
    assert_eq!(exactly(&mut peer, 5), b"first");
    drop((socket, s));
    kernel.shutdown();
}

#[test]
fn a_connection_takes_no_control_information_with_its_ends() {
    on_each_kernel(|kernel, s| {
        let (socket, _peer) = s.connection();
        let bound = s.bound();
        let calls = kernel.counts().calls;
        let buffer = WithControl::new(*b"bytes", control(HOPS));
        let full = |error: Error| assert!(matches!(error, Error::ControlFull { room: 0, .. }));
        full(socket.disconnect_after(&buffer).wait().unwrap_err());
        let refused = bound.connect(s.remote).with_first_data(&buffer).wait();
        full(refused.unwrap_err().error);
        assert_eq!(kernel.counts().calls, calls);
    });
}

#[test]
fn first_data_goes_with_the_connection() {
    on_each_kernel(|_, s| {
        let arrives = |expected: &[u8]| {
            let (mut peer, _) = s.listener.accept().unwrap();
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            assert_eq!(exactly(&mut peer, expected.len()), expected);
            peer
        };
        // Borrowed, from the stack.
        let socket = s.bound();
        socket.set_option(FastOpen(true)).wait().unwrap();
        assert_eq!(socket.option().wait(), Ok(FastOpen(true)));
        let connecting = socket.connect(s.remote).with_first_data(b"on the stack");
        let socket = connecting.wait().unwrap();
        let mut peer = arrives(b"on the stack");
        // The result is an ordinary connection.
        assert_eq!(socket.send(b", more").wait(), Ok(6));
        assert_eq!(exactly(&mut peer, 6), b", more");
        peer.write_all(b"answer").unwrap();
        let mut answer = [0; 6];
        socket.receive_exact(&mut answer).wait().unwrap();
        assert_eq!(&answer, b"answer");
        socket.close().unwrap();
        // Owned, and returned together with the socket.
        let buffer = NonPagedBuffer::copy_of(b"owned").unwrap();
        let started = s.bound().connect(s.remote).with_first_data(buffer).start();
        let finished = started.unwrap().wait().map_err(|(error, _)| error);
        let (socket, buffer) = finished.unwrap().unwrap();
        assert_eq!(buffer.as_slice(), b"owned");
        let _peer = arrives(b"owned");
        drop(socket);
        // Borrowed for a scope.
        let bytes = *b"in a scope";
        let socket = wsk::scope(|scope| {
            let connecting = s.bound().connect(s.remote).with_first_data(&bytes);
            let (socket, back) = connecting.start_in(scope).unwrap().wait().unwrap();
            assert_eq!(back, &bytes);
            socket
        })
        .unwrap();
        let _peer = arrives(b"in a scope");
        drop(socket);
        // No bytes at all.
        let socket = s.bound().connect(s.remote).with_first_data(b"").wait();
        drop(socket.unwrap());
        let (mut peer, _) = s.listener.accept().unwrap();
        let ended = peer.read(&mut [0; 8]);
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    });
}

#[test]
fn a_socket_that_is_not_connected_comes_back_with_its_first_data() {
    on_each_kernel(|kernel, s| {
        let (_deaf, nobody) = deaf();
        let call = |status| Error::Call {
            call: Call::WskConnectEx,
            status,
        };
        let first = || NonPagedBuffer::copy_of(b"first").unwrap();
        let started = s.bound().connect(nobody).with_first_data(first()).start();
        let refused = block_on(started.unwrap()).unwrap_err();
        assert_eq!(refused.error, call(STATUS_CONNECTION_REFUSED));
        assert!(refused.socket.is_some());
        assert_eq!(refused.buffer.unwrap().as_slice(), b"first");
        let refused = s.bound().connect(nobody).with_first_data(b"x").wait();
        let refused = refused.unwrap_err();
        assert_eq!(refused.error, call(STATUS_CONNECTION_REFUSED));
        drop(refused);
        let bound = s.bound();
        kernel.fail_nth_call(1);
        let started = bound.connect(s.remote).with_first_data(first()).start();
        let refused = block_on(started.unwrap()).unwrap_err();
        assert_eq!(refused.error, call(STATUS_INSUFFICIENT_RESOURCES));
        drop(refused);
        // Mistakes are found before WSK is called.
        let socket = ConnectionSocket::open(&s.provider, Family::V4).unwrap();
        let bound = s.bound();
        let calls = kernel.counts().calls;
        let refused = socket.connect(s.remote).with_first_data(first()).start();
        let refused = refused.unwrap_err();
        assert_eq!(refused.error, Error::NotBound);
        assert_eq!(refused.buffer.unwrap().as_slice(), b"first");
        let long = NonPagedBuffer::new(65_536).unwrap();
        let entry = "WskConnectEx";
        let refused = bound.connect(s.remote).with_first_data(long).start();
        let refused = refused.unwrap_err();
        assert_eq!(refused.error, Error::TooLong { entry });
        let (bound, mut long) = (refused.socket.unwrap(), refused.buffer.unwrap());
        let request = at_irql(DISPATCH_LEVEL, || {
            bound.connect(s.remote).with_first_data(&long).wait()
        });
        let refused = request.unwrap_err();
        assert!(matches!(refused.error, Error::WrongIrql { .. }));
        assert_eq!(kernel.counts().calls, calls);
        // The most bytes that are allowed.
        long.set_len(65_535).unwrap();
        let bound = refused.socket.unwrap();
        let (socket, peer) = std::thread::scope(|threads| {
            let taking = threads.spawn(|| {
                let (mut peer, _) = s.listener.accept().unwrap();
                assert_eq!(exactly(&mut peer, 65_535).len(), 65_535);
                peer
            });
            let socket = bound.connect(s.remote).with_first_data(&long).wait();
            (socket.unwrap(), taking.join().unwrap())
        });
        drop((socket, peer));
    });
}

#[test]
fn first_data_of_a_connection_that_is_given_up_is_dropped_once() {
    on_each_kernel(|kernel, s| {
        let drops = Arc::new(AtomicUsize::new(0));
        let first = || Counted::new(b"first", &drops);
        let connect = || s.bound().connect(s.remote).with_first_data(first());
        // Nobody takes the socket, so it is closed after the completion.
        drop(connect().start().unwrap());
        drop(connect().start_with(drop));
        let cancelled = connect().start().unwrap();
        cancelled.cancel();
        match block_on(cancelled) {
            Ok((socket, buffer)) => drop((socket, buffer)),
            Err(refused) => {
                let call = Call::WskConnectEx;
                let status = STATUS_CANCELLED;
                assert_eq!(refused.error, Error::Call { call, status });
                drop(refused);
            }
        }
        until("all drops", || drops.load(Ordering::SeqCst) == 3);
        kernel.fail_nth(Resource::Irp, 1);
        let refused = connect().start();
        drop(refused);
        until("all drops", || drops.load(Ordering::SeqCst) == 4);
    });
}

#[test]
fn first_data_that_a_provider_keeps_is_left_to_it() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let s = Setting::new();
    let abandoned = Error::Abandoned {
        call: Call::WskConnectEx,
        status: STATUS_NOT_IMPLEMENTED,
    };
    // By reference: the buffer is lost, and the socket comes back.
    let buffer = NonPagedBuffer::copy_of(b"first").unwrap();
    let bound = s.bound();
    kernel.fail_nth(Resource::Completion, 1);
    let refused = bound.connect(s.remote).with_first_data(&buffer).wait();
    let refused = refused.unwrap_err();
    assert_eq!(refused.error, abandoned);
    assert!(buffer.is_lost());
    drop(refused.socket.unwrap());
    assert_eq!(kernel.complete_withheld(), 1);
    // Owned by the operation, which keeps it until the IRP has completed.
    let drops = Arc::new(AtomicUsize::new(0));
    let bound = s.bound();
    kernel.fail_nth(Resource::Completion, 1);
    let connecting = bound.connect(s.remote);
    let started = connecting.with_first_data(Counted::new(b"first", &drops));
    let refused = block_on(started.start().unwrap()).unwrap_err();
    assert_eq!(refused.error, abandoned);
    assert!(refused.socket.is_none() && refused.buffer.is_none());
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    assert_eq!(kernel.complete_withheld(), 1);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    // Borrowed for a scope: the scope waits, or keeps it.
    let bytes = NonPagedBuffer::copy_of(b"first").unwrap();
    let bound = s.bound();
    kernel.fail_nth(Resource::Completion, 1);
    let _ = wsk::scope(|scope| {
        let connecting = bound.connect(s.remote).with_first_data(&bytes);
        let refused = connecting.start_in(scope).unwrap().wait().unwrap_err();
        assert_eq!(refused.error, abandoned);
    });
    assert!(bytes.is_lost());
    assert_eq!(kernel.complete_withheld(), 1);
    drop((bytes, buffer, s));
    let _ = kernel.finish();
}

#[test]
fn bytes_are_sent_out_of_band() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        let urgent = |peer: &TcpStream| {
            let peer = socket2::SockRef::from(peer);
            until("urgent data", || {
                let got = peer.recv_out_of_band(&mut [MaybeUninit::new(0)]);
                matches!(got, Ok(1))
            });
        };
        assert_eq!(socket.send(b"with").wait(), Ok(4));
        assert_eq!(socket.send(b"in!").out_of_band().wait(), Ok(3));
        assert_eq!(exactly(&mut peer, 6), b"within");
        urgent(&peer);
        let buffer = NonPagedBuffer::copy_of(b"x!").unwrap();
        let mut sender = socket.send(buffer).out_of_band().prepare().unwrap();
        assert_eq!(sender.wait(), Ok(2));
        assert_eq!(exactly(&mut peer, 1), b"x");
        urgent(&peer);
        // The next run is out of band, too.
        sender.buffer_mut().unwrap().as_mut_slice()[0] = b'y';
        assert_eq!(sender.wait(), Ok(2));
        assert_eq!(exactly(&mut peer, 1), b"y");
        urgent(&peer);
        // The driver receives urgent data with the other bytes.
        socket2::SockRef::from(&peer)
            .send_out_of_band(b"?")
            .unwrap();
        peer.write_all(b"!").unwrap();
        let mut both = [0; 2];
        socket.receive_exact(&mut both).wait().unwrap();
        assert_eq!(&both, b"?!");
    });
}

fn silent_mode() -> SilentMode {
    // SAFETY: earlier sends have completed, and later ones are refused.
    unsafe { SilentMode::new() }
}

#[test]
fn a_connection_goes_silent() {
    let refused = |status| {
        let call = Call::WskControlSocket;
        Err(Error::Call { call, status })
    };
    on_each_kernel(|_, s| {
        let (socket, _peer) = s.connection();
        let silent = socket.ioctl(silent_mode()).wait();
        assert_eq!(silent, refused(STATUS_NOT_SUPPORTED), "over loopback");
        let bound = s.bound();
        let silent = bound.ioctl(silent_mode()).wait();
        assert_eq!(
            silent,
            refused(STATUS_INVALID_DEVICE_STATE),
            "no connection"
        );
    });
    for policy in [Completion::Inline, Completion::Deferred] {
        let builder = Kernel::builder().loopback_is_remote();
        let kernel = builder.completion(policy).boot();
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        assert_eq!(socket.send(b"before").wait(), Ok(6));
        assert_eq!(socket.ioctl(silent_mode()).wait(), Ok(()));
        let late = socket.send(b"after").wait();
        let (call, status) = (Call::WskSend, STATUS_INVALID_DEVICE_STATE);
        assert_eq!(late, Err(Error::Call { call, status }));
        socket.close().unwrap();
        // The peer sees neither an end nor a reset.
        assert_eq!(exactly(&mut peer, 6), b"before");
        peer.set_read_timeout(Some(MOMENT)).unwrap();
        let error = peer.read(&mut [0; 8]).unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut
        ));
        drop((peer, s));
        kernel.shutdown();
    }
}

/// What a handler received: bytes with control information, or the news that the socket is dead.
#[derive(Debug, PartialEq)]
enum Told {
    Bytes(Vec<u8>, Vec<ControlMessage<'static>>),
    Closed,
}

/// Reports each indication to the test, and returns the answer that the test has set.
struct Teller {
    tell: Mutex<Sender<Told>>,
    answer: Mutex<StreamVerdict>,
    keeps: AtomicBool,
}

impl Teller {
    fn new() -> (Self, Receiver<Told>) {
        let (tell, told) = channel();
        let teller = Self {
            tell: Mutex::new(tell),
            answer: Mutex::new(StreamVerdict::Consumed),
            keeps: AtomicBool::new(false),
        };
        (teller, told)
    }

    fn tell(&self, told: Told) {
        self.tell.lock().unwrap().send(told).unwrap();
    }
}

impl ConnectionEvent for Teller {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        let mut bytes = vec![0; indication.len()];
        indication.copy_to(&mut bytes);
        let control = indication.control().filter_map(|message| match message {
            ControlMessage::TimeToLive(hops) => Some(ControlMessage::TimeToLive(hops)),
            _ => None,
        });
        let control = control.collect();
        if self.keeps.load(Ordering::Relaxed) {
            let kept = indication.retain().unwrap();
            assert_eq!(
                indication.control().count(),
                0,
                "retained bytes have no control information"
            );
            drop(kept);
        }
        // Reads the answer before the test gets the report and sets another one.
        let answer = *self.answer.lock().unwrap();
        self.tell(Told::Bytes(bytes, control));
        answer
    }

    fn closed(&self) {
        self.tell(Told::Closed);
    }
}

#[test]
fn a_handler_is_told_control_information() {
    telling(|kernel, s, _, _| {
        let (teller, told) = Teller::new();
        let told = || told.recv_timeout(PATIENCE).unwrap();
        let bytes = |bytes: &[u8]| Told::Bytes(bytes.to_vec(), vec![HOPS]);
        let without = |bytes: &[u8]| Told::Bytes(bytes.to_vec(), vec![]);
        let connecting = ConnectedSocket::connect(&s.provider, s.remote).with_events(teller);
        let socket = connecting.wait().unwrap();
        let (mut peer, _) = s.listener.accept().unwrap();
        socket.enable_events().unwrap();
        peer.write_all(b"plain").unwrap();
        assert_eq!(told(), without(b"plain"));
        assert_eq!(socket.indicate_control(true).wait(), Ok(()));
        peer.write_all(b"extended").unwrap();
        assert_eq!(told(), bytes(b"extended"));
        // Bytes that were not accepted are indicated again when the driver resumes.
        let teller = socket.handler::<Teller>().unwrap();
        for answer in [StreamVerdict::NotAccepted, StreamVerdict::ConsumedPart(3)] {
            *teller.answer.lock().unwrap() = answer;
            peer.write_all(b"twice").unwrap();
            assert_eq!(told(), bytes(b"twice"));
            *teller.answer.lock().unwrap() = StreamVerdict::Consumed;
            socket.resume_events().unwrap();
            let again = match answer {
                StreamVerdict::ConsumedPart(part) => &b"twice"[part..],
                _ => b"twice",
            };
            assert_eq!(told(), bytes(again));
        }
        teller.keeps.store(true, Ordering::Relaxed);
        peer.write_all(b"kept").unwrap();
        assert_eq!(told(), bytes(b"kept"));
        teller.keeps.store(false, Ordering::Relaxed);
        // A waiting receive gets the bytes first.
        let receiving = socket.receive(NonPagedBuffer::new(8).unwrap()).start();
        peer.write_all(b"receive").unwrap();
        assert_eq!(receiving.unwrap().wait().unwrap().result, Ok(7));
        // Switched off, and then switched on twice by a prepared request.
        assert_eq!(socket.indicate_control(false).wait(), Ok(()));
        peer.write_all(b"plain").unwrap();
        assert_eq!(told(), without(b"plain"));
        let mut setting = socket.indicate_control(true).prepare().unwrap();
        assert_eq!((setting.wait(), setting.wait()), (Ok(()), Ok(())));
        peer.write_all(b"extended").unwrap();
        assert_eq!(told(), bytes(b"extended"));
        // The same request switches it off, and on again.
        setting.set_value(false).unwrap();
        assert_eq!(setting.wait(), Ok(()));
        peer.write_all(b"plain").unwrap();
        assert_eq!(told(), without(b"plain"));
        setting.set_value(true).unwrap();
        assert_eq!(setting.wait(), Ok(()));
        peer.write_all(b"extended").unwrap();
        assert_eq!(told(), bytes(b"extended"));
        // Disabled events stay disabled.
        socket.disable_events().unwrap();
        assert_eq!(socket.indicate_control(true).wait(), Ok(()));
        peer.write_all(b"nobody").unwrap();
        std::thread::sleep(MOMENT);
        socket.enable_events().unwrap();
        assert_eq!(told(), bytes(b"nobody"));
        kernel.force_close_sockets();
        assert_eq!(told(), Told::Closed);
        drop((setting, socket));
    });
}

#[test]
fn an_accepted_connection_begins_without_control_information() {
    telling(|_, s, _, _| {
        let listener = ListenSocket::open(&s.provider, Family::V4).unwrap();
        listener.bind(Family::V4.any()).unwrap();
        let port = listener.local_address().unwrap().port();
        let (teller, told) = Teller::new();
        let mut peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (socket, _) = listener.accept().with_events(teller).wait().unwrap();
        socket.enable_events().unwrap();
        peer.write_all(b"plain").unwrap();
        let expected = Told::Bytes(b"plain".to_vec(), vec![]);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), expected);
        assert_eq!(socket.indicate_control(true).wait(), Ok(()));
        peer.write_all(b"extended").unwrap();
        let expected = Told::Bytes(b"extended".to_vec(), vec![HOPS]);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), expected);
        drop((socket, listener));
    });
}

#[test]
fn control_information_needs_a_handler_and_a_newer_windows() {
    on_each_kernel(|kernel, s| {
        let (socket, _peer) = s.connection();
        let calls = kernel.counts().calls;
        let refused = socket.indicate_control(true).wait();
        assert_eq!(refused, Err(Error::NoEvents));
        assert_eq!(kernel.counts().calls, calls);
    });
    let kernel = old();
    let s = Setting::new();
    let (teller, told) = Teller::new();
    let connecting = ConnectedSocket::connect(&s.provider, s.remote).with_events(teller);
    let socket = connecting.wait().unwrap();
    let (mut peer, _) = s.listener.accept().unwrap();
    let entry = "WskReceiveExEvent";
    let refused = socket.indicate_control(true).wait();
    assert_eq!(refused, Err(Error::NoEntry { entry }));
    socket.enable_events().unwrap();
    socket.resume_events().unwrap();
    peer.write_all(b"plain").unwrap();
    let expected = Told::Bytes(b"plain".to_vec(), vec![]);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), expected);
    drop((socket, s));
    kernel.shutdown();
}
