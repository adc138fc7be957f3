//! Listening sockets on the host kernel: accepting with each finisher and through events, and connections that nobody takes.

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Waker};

use wsk::events::{
    AcceptEvent, ConnectionEvent, ConnectionEvents, Disconnection, Incoming, RetainedBytes,
    SendBacklog, StreamIndication, StreamVerdict,
};
use wsk::ioctl::{IdealSendBacklog, RoutingInterface};
use wsk::option::SendBufferSize;
use wsk::{ConnectedSocket, Error, Family, ListenSocket, NonPagedBuffer, Provider};
use wsk_host::{DISPATCH_LEVEL, Kernel, Resource, at_irql};
use wsk_sys::STATUS_CANCELLED;

use crate::setting::{
    FAST, LOOPBACK, MOMENT, PATIENCE, block_on, client, is_reset, on_each_seeded_kernel,
    seeded_kernels, until,
};

fn listen(provider: &Provider) -> (ListenSocket, SocketAddr) {
    let listener = ListenSocket::open(provider, Family::V4).unwrap();
    listener
        .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
        .unwrap();
    let local = listener.local_address().unwrap();
    (listener, local)
}

fn connect(to: SocketAddr) -> TcpStream {
    let peer = TcpStream::connect(to).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

#[test]
fn connections_are_accepted_in_each_shape() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local) = listen(provider);
        let peer = connect(local);
        let (socket, from) = listener.accept().wait().unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        assert_eq!(socket.remote_address().unwrap(), from);
        assert_eq!(socket.local_address().unwrap(), local);

        let accept = at_irql(DISPATCH_LEVEL, || listener.accept().start()).unwrap();
        let accept = accept.try_take().unwrap_err();
        let mut peer = connect(local);
        let (socket, from) = accept.wait().unwrap().unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        socket.send(b"welcome").wait().unwrap();
        let mut got = [0; 7];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"welcome");

        let mut accept = pin!(listener.accept().start().unwrap());
        let mut context = Context::from_waker(Waker::noop());
        assert!(accept.as_mut().poll(&mut context).is_pending());
        let peer = connect(local);
        let (_, from) = block_on(accept).unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        // Connections stay open when the listener is closed.
        listener.close().unwrap();
        socket.send(b"still").wait().unwrap();
    });
}

#[test]
fn listeners_take_control_operations() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local) = listen(provider);
        let from = listener.ioctl(RoutingInterface(local)).wait().unwrap();
        assert_eq!(from.ip(), local.ip());
    });
}

#[test]
fn nobody_comes() {
    on_each_seeded_kernel(|kernel, provider| {
        let unbound = ListenSocket::open(provider, Family::V4).unwrap();
        assert_eq!(unbound.accept().wait().unwrap_err(), Error::NotBound);
        assert_eq!(unbound.accept().start().unwrap_err(), Error::NotBound);
        let (listener, _) = listen(provider);
        let error = listener.accept().wait_timeout(MOMENT).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        let error = at_irql(DISPATCH_LEVEL, || listener.accept().wait()).unwrap_err();
        assert!(matches!(error, Error::WrongIrql { .. }), "{error}");
        let accept = listener.accept().start().unwrap();
        accept.cancel();
        let error = accept.wait().unwrap().unwrap_err();
        assert_eq!(error.status(), Some(STATUS_CANCELLED));
        let accept = listener.accept().start().unwrap();
        listener.close().unwrap();
        assert!(accept.wait().unwrap().is_err());
        assert_eq!(kernel.counts().in_flight, 0);
    });
}

#[test]
fn a_connection_that_nobody_takes_is_closed() {
    on_each_seeded_kernel(|kernel, provider| {
        let (listener, local) = listen(provider);
        // The accept completes with a connection, and then its handle is dropped.
        let accept = listener.accept().start().unwrap();
        let mut peer = connect(local);
        until("the connection", || accept.is_completed());
        at_irql(DISPATCH_LEVEL, || drop(accept));
        assert!(is_reset(&mut peer));
        // Dropping the handle cancels the accept while a connection arrives. In both cases nothing is left.
        for _ in 0..20 {
            let accept = listener.accept().start().unwrap();
            let connecting = std::thread::spawn(move || connect(local));
            drop(accept);
            let _peer = connecting.join().unwrap();
        }
        drop(listener);
        until("the closes", || kernel.counts().sockets.live == 0);
    });
}

/// Accepting with a handler has the same finishers.
#[test]
fn accepting_with_events_has_a_limit_and_a_scope() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local) = listen(provider);
        let (quiet, told, drops) = handler(Habit::Take);
        let accept = listener.accept().with_events(quiet);
        let error = accept.wait_timeout(MOMENT).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        // No socket was made, so the handler is dropped.
        until("the drop", || drops.load(Ordering::SeqCst) == 1);
        assert!(told.recv().is_err(), "the handler must not be called");

        let mut peer = connect(local);
        let (taker, told, drops) = handler(Habit::Take);
        let accept = listener.accept().with_events(taker);
        let (socket, _) = accept.wait_timeout(PATIENCE).unwrap();
        socket.enable_events().unwrap();
        peer.write_all(b"limited").unwrap();
        assert_eq!(collect(&told, 7), b"limited");
        drop(socket);
        until("the drop", || drops.load(Ordering::SeqCst) == 1);

        let (taker, told, _) = handler(Habit::Take);
        let (nobody, _, unused) = handler(Habit::Take);
        let (socket, mut peer) = wsk::scope(|scope| {
            let accept = listener.accept().with_events(taker).start_in(scope);
            let second = listener.accept().with_events(nobody).start_in(scope);
            let peer = connect(local);
            let (socket, from) = accept.unwrap().wait().unwrap();
            assert_eq!(from, peer.local_addr().unwrap());
            let second = second.unwrap();
            assert!(!second.is_completed());
            second.cancel();
            let error = second.wait().unwrap_err();
            assert_eq!(error.status(), Some(STATUS_CANCELLED));
            (socket, peer)
        })
        .unwrap();
        assert_eq!(unused.load(Ordering::SeqCst), 1);
        socket.enable_events().unwrap();
        peer.write_all(b"scoped").unwrap();
        assert_eq!(collect(&told, 6), b"scoped");

        // A listener that serves from completions: each completion reports its connection, and starts the next accept.
        let (sender, accepted) = channel();
        let (taker, _told, _) = handler(Habit::Take);
        let accept = listener.accept().with_events(taker);
        accept
            .start_with(move |accepted| drop(sender.send(accepted)))
            .unwrap();
        let peer = connect(local);
        let (_, from) = accepted.recv_timeout(PATIENCE).unwrap().unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        assert!(accepted.recv().is_err(), "once");
    });
}

#[test]
fn dual_mode_listeners_take_either_family() {
    on_each_seeded_kernel(|_, provider| {
        let listener = ListenSocket::open(provider, Family::Dual).unwrap();
        listener.bind(Family::Dual.any()).unwrap();
        let port = listener.local_address().unwrap().port();
        let peer = connect(SocketAddr::from(([127, 0, 0, 1], port)));
        let (_, from) = listener.accept().wait().unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        let peer = TcpStream::connect(("::1", port)).unwrap();
        let (_, from) = listener.accept().wait().unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
    });
}

#[test]
fn a_listener_that_is_forced_closed_says_so_and_closes() {
    on_each_seeded_kernel(|kernel, provider| {
        let (listener, _) = listen(provider);
        let accept = listener.accept().start().unwrap();
        kernel.force_close_sockets();
        assert!(accept.wait().unwrap().unwrap_err().must_close());
        assert!(listener.accept().wait().unwrap_err().must_close());
        listener.close().unwrap();
    });
}

/// How a connection's handler answers.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    Take,
    TakeOne,
    Refuse,
    Retain,
}

#[derive(Debug)]
enum Told {
    Bytes(Vec<u8>),
    Retained(RetainedBytes),
    Disconnected { abortive: bool },
    Closed,
}

struct Handler {
    habit: Habit,
    tell: Mutex<Sender<Told>>,
    drops: Arc<AtomicUsize>,
}

impl ConnectionEvent for Handler {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        assert!(indication.at_dispatch_level());
        let mut bytes = vec![0; indication.len()];
        assert_eq!(indication.copy_to(&mut bytes), bytes.len());
        assert_eq!(
            indication.pieces().flatten().copied().collect::<Vec<_>>(),
            bytes
        );
        copies_from_anywhere(&bytes, |offset, to| indication.copy_from(offset, to));
        let (told, verdict) = match self.habit {
            Habit::Take => (Told::Bytes(bytes), StreamVerdict::Consumed),
            Habit::TakeOne => (
                Told::Bytes(bytes[..1].to_vec()),
                StreamVerdict::ConsumedPart(1),
            ),
            Habit::Refuse => (Told::Bytes(Vec::new()), StreamVerdict::NotAccepted),
            Habit::Retain => {
                let Some(retained) = indication.retain() else {
                    // The socket is being closed.
                    return StreamVerdict::NotAccepted;
                };
                assert!(indication.retain().is_none(), "once");
                assert_eq!(
                    indication.pieces().count(),
                    0,
                    "retained bytes are not shown"
                );
                (Told::Retained(retained), StreamVerdict::NotAccepted)
            }
        };
        self.tell.lock().unwrap().send(told).unwrap();
        verdict
    }

    fn disconnected(&self, disconnection: &Disconnection<'_>) {
        assert!(disconnection.at_dispatch_level());
        let abortive = disconnection.is_abortive();
        if let Some(socket) = disconnection.socket() {
            drop(socket.disconnect().start().unwrap());
        }
        let told = Told::Disconnected { abortive };
        let _ = self.tell.lock().unwrap().send(told);
    }

    fn closed(&self) {
        let _ = self.tell.lock().unwrap().send(Told::Closed);
    }
}

/// Copies from several offsets of bytes that are in several segments.
fn copies_from_anywhere(bytes: &[u8], copy: impl Fn(usize, &mut [u8]) -> usize) {
    for offset in [0, 1, 1459, 1460, 1461, bytes.len() / 2, bytes.len()] {
        let (mut room, expected) = ([0; 3000], bytes.get(offset..).unwrap_or(&[]));
        let expected = &expected[..expected.len().min(room.len())];
        assert_eq!(copy(offset, &mut room), expected.len());
        assert_eq!(&room[..expected.len()], expected);
    }
    assert_eq!(copy(usize::MAX, &mut [0; 8]), 0);
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

fn handler(habit: Habit) -> (Handler, Receiver<Told>, Arc<AtomicUsize>) {
    let (sender, told) = channel();
    let drops = Arc::new(AtomicUsize::new(0));
    let handler = Handler {
        habit,
        tell: Mutex::new(sender),
        drops: drops.clone(),
    };
    (handler, told, drops)
}

/// Receives `length` bytes through events.
fn collect(told: &Receiver<Told>, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < length {
        match told.recv_timeout(PATIENCE).unwrap() {
            Told::Bytes(bytes) => all.extend(bytes),
            Told::Retained(retained) => {
                let mut bytes = vec![0; retained.len()];
                assert_eq!(retained.copy_to(&mut bytes), bytes.len());
                copies_from_anywhere(&bytes, |offset, to| retained.copy_from(offset, to));
                all.extend(bytes);
            }
            other => panic!("{other:?}"),
        }
    }
    all
}

#[test]
fn bytes_and_ends_are_indicated() {
    on_each_seeded_kernel(|_, provider| {
        for habit in [Habit::Take, Habit::Retain] {
            let (listener, local) = listen(provider);
            let (handler, told, drops) = handler(habit);
            let mut peer = connect(local);
            let (socket, _) = listener.accept().with_events(handler).wait().unwrap();
            socket.enable_events().unwrap();
            peer.write_all(b"first").unwrap();
            assert_eq!(collect(&told, 5), b"first");
            let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
            let sending = std::thread::spawn({
                let bytes = bytes.clone();
                move || {
                    peer.write_all(&bytes).unwrap();
                    peer.shutdown(std::net::Shutdown::Write).unwrap();
                    peer
                }
            });
            assert_eq!(collect(&told, bytes.len()), bytes);
            let peer = sending.join().unwrap();
            let end = told.recv_timeout(PATIENCE).unwrap();
            assert!(matches!(end, Told::Disconnected { abortive: false }));
            assert_eq!(drops.load(Ordering::SeqCst), 0);
            drop(told);
            socket.disable_events().unwrap();
            socket.close().unwrap();
            until("the handler's drop", || drops.load(Ordering::SeqCst) == 1);
            drop(peer);
        }
    });
}

#[test]
fn what_is_not_accepted_is_kept_for_a_receive() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local) = listen(provider);
        let (taker, told, _) = handler(Habit::TakeOne);
        let mut peer = connect(local);
        let (socket, _) = listener.accept().with_events(taker).wait().unwrap();
        socket.enable_events().unwrap();
        peer.write_all(b"abc").unwrap();
        assert_eq!(collect(&told, 1), b"a");
        socket.resume_events().unwrap();
        assert_eq!(collect(&told, 1), b"b");
        // The handler has taken the last byte.
        socket.resume_events().unwrap();
        assert_eq!(collect(&told, 1), b"c");

        let (refuser, told, _) = handler(Habit::Refuse);
        let mut peer = connect(local);
        let (socket, _) = listener.accept().with_events(refuser).wait().unwrap();
        socket.enable_events().unwrap();
        peer.write_all(b"kept").unwrap();
        assert!(matches!(
            told.recv_timeout(PATIENCE).unwrap(),
            Told::Bytes(_)
        ));
        let mut bytes = [0; 4];
        assert_eq!(socket.receive_all(&mut bytes).wait().unwrap(), 4);
        assert_eq!(&bytes, b"kept");
    });
}

#[test]
fn the_connecting_side_has_events_too() {
    on_each_seeded_kernel(|kernel, provider| {
        let (listener, local) = listen(provider);
        let (quiet, told, drops) = handler(Habit::Take);
        let socket = ConnectedSocket::connect(provider, local)
            .with_events(quiet)
            .wait()
            .unwrap();
        socket.enable_events().unwrap();
        let (other, _) = listener.accept().wait().unwrap();
        other.send(b"hello").wait().unwrap();
        assert_eq!(collect(&told, 5), b"hello");
        other.abort().wait().unwrap();
        let end = told.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(end, Told::Disconnected { abortive: true }));
        drop((socket, other));
        until("the handler's drop", || drops.load(Ordering::SeqCst) == 1);

        let (dying, told, _) = handler(Habit::Take);
        let open = ConnectedSocket::connect(provider, local)
            .with_events(dying)
            .start()
            .unwrap();
        let socket = open.wait().unwrap().unwrap();
        socket.enable_events().unwrap();
        kernel.force_close_sockets();
        loop {
            match told.recv_timeout(PATIENCE).unwrap() {
                Told::Closed => break,
                Told::Disconnected { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(socket.send(b"x").wait().unwrap_err().must_close());
    });
}

/// A handler that learns the ideal send backlog, and sends some bytes in reply.
struct Window(Mutex<Sender<usize>>);

impl ConnectionEvent for Window {
    fn send_backlog_changed(&self, backlog: &SendBacklog<'_>) {
        self.0.lock().unwrap().send(backlog.ideal()).unwrap();
        if let Some(socket) = backlog.socket() {
            let more = NonPagedBuffer::copy_of(b"more").unwrap();
            drop(socket.send(more).start().unwrap());
        }
    }
}

#[test]
fn a_handler_is_told_how_much_should_be_in_flight_where_that_is_enabled() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local) = listen(provider);
        let mut peer = connect(local);
        let (sender, told) = channel();
        let accept = listener.accept().with_events(Window(Mutex::new(sender)));
        let (socket, _) = accept.wait().unwrap();
        let ideal = || socket.ioctl(IdealSendBacklog).wait().unwrap();
        // This event is only sent if it is enabled by name.
        socket.enable_events().unwrap();
        socket.set_option(SendBufferSize(20_000)).wait().unwrap();
        assert!(told.recv_timeout(MOMENT).is_err());
        socket.enable(ConnectionEvents::SEND_BACKLOG).unwrap();
        socket.set_option(SendBufferSize(40_000)).wait().unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(ideal()));
        let mut got = [0; 4];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"more");
        socket.disable(ConnectionEvents::SEND_BACKLOG).unwrap();
        socket.set_option(SendBufferSize(60_000)).wait().unwrap();
        assert!(told.recv_timeout(MOMENT).is_err());
        // Disables the events while one may be on its way.
        socket.enable(ConnectionEvents::ALL).unwrap();
        socket.set_option(SendBufferSize(40_000)).wait().unwrap();
        socket.disable_events().unwrap();
    });
}

/// A handler for disconnects only.
#[derive(Default)]
struct Gone(AtomicBool);

impl ConnectionEvent for Gone {
    fn disconnected(&self, _: &Disconnection<'_>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn the_end_alone_is_told_where_it_alone_is_enabled() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local) = listen(provider);
        let mut peer = connect(local);
        let accept = listener.accept().with_events(Gone::default());
        let (socket, _) = accept.wait().unwrap();
        socket.enable(ConnectionEvents::DISCONNECT).unwrap();
        peer.write_all(b"received").unwrap();
        // If the bytes were indicated, the receive would not get them.
        std::thread::sleep(MOMENT);
        let mut bytes = [0; 8];
        assert_eq!(socket.receive_all(&mut bytes).wait().unwrap(), 8);
        assert_eq!(&bytes, b"received");
        let gone = || socket.handler::<Gone>().unwrap().0.load(Ordering::SeqCst);
        assert!(!gone());
        drop(peer);
        until("the end", gone);
        assert!(
            socket.handler::<Handler>().is_none(),
            "the handler has another type"
        );
        socket.disable(ConnectionEvents::DISCONNECT).unwrap();
        socket.close().unwrap();

        // A handler for received bytes only. It is disabled later.
        let mut peer = connect(local);
        let (taker, told, _) = handler(Habit::Take);
        let (socket, _) = listener.accept().with_events(taker).wait().unwrap();
        socket.enable(ConnectionEvents::RECEIVE).unwrap();
        peer.write_all(b"told").unwrap();
        assert_eq!(collect(&told, 4), b"told");
        socket.disable(ConnectionEvents::RECEIVE).unwrap();
        peer.write_all(b"kept").unwrap();
        let mut bytes = [0; 4];
        assert_eq!(socket.receive_all(&mut bytes).wait().unwrap(), 4);
        socket.enable(ConnectionEvents::DISCONNECT).unwrap();
        drop(peer);
        let end = told.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(end, Told::Disconnected { abortive: false }));
        assert!(socket.handler::<Gone>().is_none());
    });
}

#[test]
fn a_handler_without_received_leaves_the_bytes_to_a_receive() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local) = listen(provider);
        let mut peer = connect(local);
        let accept = listener.accept().with_events(Gone::default());
        let (socket, _) = accept.wait().unwrap();
        socket.enable_events().unwrap();
        peer.write_all(b"received").unwrap();
        let mut bytes = [0; 8];
        assert_eq!(socket.receive_all(&mut bytes).wait().unwrap(), 8);
        drop(peer);
    });
}

#[test]
fn closures_are_handlers_of_connections() {
    on_each_seeded_kernel(|_, provider| {
        let (connections, come) = channel();
        let (bytes, told) = channel();
        let (connections, bytes) = (Mutex::new(connections), Mutex::new(bytes));
        let accepted = move |incoming: Incoming<'_>| {
            assert!(incoming.at_dispatch_level());
            assert!(incoming.listener().is_some());
            let bytes = Mutex::new(bytes.lock().unwrap().clone());
            let received = move |indication: &mut StreamIndication<'_>| {
                let mut room = vec![0; indication.len()];
                indication.copy_to(&mut room);
                bytes.lock().unwrap().send(room).unwrap();
                StreamVerdict::Consumed
            };
            let socket = incoming.accept_with_events(received).unwrap();
            connections.lock().unwrap().send(socket).unwrap();
        };
        let listener = ListenSocket::open_with_events(provider, Family::V4, accepted).unwrap();
        let local = LOOPBACK.parse::<SocketAddr>().unwrap();
        listener.bind(local).unwrap();
        listener.enable_accept_events().unwrap();
        let mut peer = connect(listener.local_address().unwrap());
        let socket = come.recv_timeout(PATIENCE).unwrap();
        // WSK knows the connection's handler only after the callback has returned, which may be later.
        until("events that are enabled", || socket.enable_events().is_ok());
        peer.write_all(b"hi").unwrap();
        let mut got = Vec::new();
        while got.len() < 2 {
            got.extend(told.recv_timeout(PATIENCE).unwrap());
        }
        assert_eq!(got, b"hi");
    });
}

#[test]
fn events_need_a_handler() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local) = listen(provider);
        assert_eq!(listener.enable_accept_events(), Err(Error::NoEvents));
        let _peer = connect(local);
        let (socket, _) = listener.accept().wait().unwrap();
        assert_eq!(socket.enable_events(), Err(Error::NoEvents));
        assert_eq!(socket.disable_events(), Err(Error::NoEvents));
    });
}

/// Accepts or rejects each connection.
struct Doorkeeper {
    open: Arc<AtomicBool>,
    accepted: Mutex<Sender<ConnectedSocket>>,
    closed: Arc<AtomicUsize>,
}

impl AcceptEvent for Doorkeeper {
    fn accepted(&self, incoming: Incoming<'_>) {
        let remote = incoming.remote_address().unwrap();
        assert!(remote.ip().is_loopback() && remote.port() != 0);
        assert_ne!(incoming.local_address().unwrap(), remote);
        if !self.open.load(Ordering::SeqCst) {
            return;
        }
        let (handler, _, _) = handler(Habit::Take);
        let socket = incoming.accept_with_events(handler).unwrap();
        // Operations can be started at once.
        drop(
            socket
                .send(NonPagedBuffer::copy_of(b"in").unwrap())
                .start()
                .unwrap(),
        );
        let _ = self.accepted.lock().unwrap().send(socket);
    }

    fn closed(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn connections_come_as_events() {
    on_each_seeded_kernel(|kernel, provider| {
        let (sender, accepted) = channel();
        let (open, closed) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let keeper = Doorkeeper {
            open: Arc::clone(&open),
            accepted: Mutex::new(sender),
            closed: Arc::clone(&closed),
        };
        let listener = ListenSocket::open_with_events(provider, Family::V4, keeper).unwrap();
        listener
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let local = listener.local_address().unwrap();
        listener.enable_accept_events().unwrap();
        for _ in 0..4 {
            let mut peer = connect(local);
            let socket = accepted.recv_timeout(PATIENCE).unwrap();
            let mut got = [0; 2];
            peer.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"in");
            assert_eq!(socket.remote_address().unwrap(), peer.local_addr().unwrap());
            drop(socket);
            assert!(is_reset(&mut peer));
        }
        // Nobody keeps this connection, so it is closed inside the callback.
        drop(accepted);
        let mut peer = connect(local);
        until("the close", || {
            peer.set_nonblocking(true).unwrap();
            let alive =
                matches!(peer.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
            peer.set_nonblocking(false).unwrap();
            !alive
        });
        let _ = is_reset(&mut peer);
        open.store(false, Ordering::SeqCst);
        let mut peer = connect(local);
        assert!(
            peer.read(&mut [0; 8]).map_or(true, |length| length == 0),
            "turned down"
        );
        until("the end of what was accepted", || {
            kernel.counts().sockets.live == 1
        });
        listener.disable_accept_events().unwrap();
        listener.enable_accept_events().unwrap();
        kernel.force_close_sockets();
        until("the end", || closed.load(Ordering::SeqCst) == 1);
        listener.close().unwrap();
    });
}

#[test]
fn deregistering_waits_for_listeners() {
    for kernel in seeded_kernels() {
        let (registration, provider) = client();
        let (listener, _) = listen(&provider);
        let accept = listener.accept().start().unwrap();
        drop(provider);
        let thread = std::thread::spawn(move || drop(registration));
        std::thread::sleep(MOMENT);
        assert!(!thread.is_finished(), "a socket is still open");
        drop(listener);
        assert!(accept.wait().unwrap().is_err());
        thread.join().unwrap();
        kernel.shutdown();
    }
}

#[test]
fn a_provider_that_keeps_what_it_has_refused_hangs_nobody() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let (registration, provider) = client();
    let (listener, local) = listen(&provider);
    let abandoned = |error: Error| assert!(matches!(error, Error::Abandoned { .. }), "{error}");
    kernel.fail_nth(Resource::Completion, 1);
    let accept = listener.accept().start().unwrap();
    kernel.fail_nth(Resource::Completion, 1);
    abandoned(listener.accept().wait().unwrap_err());
    abandoned(accept.wait().unwrap().unwrap_err());
    assert_eq!(kernel.complete_withheld(), 2);
    // Only the two requests were lost.
    let peer = connect(local);
    assert_eq!(
        listener.accept().wait().unwrap().1,
        peer.local_addr().unwrap()
    );
    drop(listener);
    drop((provider, registration));
    kernel.shutdown();
}
