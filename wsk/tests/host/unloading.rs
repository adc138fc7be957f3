//! The table of the page `closing`, row by row: for each thing that may be left, a probe leaves it and drops the registration, and the
//! test sees whether that waits.
//!
//! Each probe runs in a child process, because a process with a registration that hangs never ends by itself.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wsk::events::{
    AcceptEvent, Indication, Inspection, Pended, ReceiveFromEvent, Retained, Verdict,
};
use wsk::operation::{Operations, PreparedPool};
use wsk::raw::RawClientControl;
use wsk::{
    BufferPool, Cancel, ConnectedSocket, ConnectionSocket, DatagramSocket, DriverState, Error,
    Extent, Family, ListenSocket, Lock, NonPagedBuffer, Provider, ReceiveBuffer, Registration,
};
use wsk_host::{Deviation, Kernel, Resource};
use wsk_sys::WSK_TRANSPORT_LIST_CHANGE;

use crate::client::cached;
use crate::setting::{FAST, LOOPBACK, MOMENT, PATIENCE, bound, client, until};

/// Tells a child which probe to run: the row, and the place in the row.
const VARIABLE: &str = "WSK_UNLOADING_PROBE";

/// Begins the line in which a child says what it has seen.
const SIGN: &str = "unloading: ";

/// How long a child waits to see that dropping the registration does not return.
const QUIET: Duration = Duration::from_millis(250);

/// How many children run at the same time.
const CHILDREN: usize = 8;

/// What dropping the registration does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    /// It returns when the probe ends what it has left, and not before.
    WaitUntil,
    /// It does not return.
    Hang,
    /// It returns, though nothing is ended.
    NotWait,
}

impl Does {
    /// What the second cell of a row says.
    fn read(cell: &str) -> Option<Self> {
        let begins = |word: &str| cell.starts_with(word);
        if begins("waits until") || begins("hangs until") {
            Some(Self::WaitUntil)
        } else if begins("hangs") {
            Some(Self::Hang)
        } else {
            begins("does not wait").then_some(Self::NotWait)
        }
    }
}

/// What a probe leaves.
enum Left {
    /// Something that nobody ends.
    ForGood,
    /// Something that this ends.
    Until(Box<dyn FnOnce() + Send>),
    /// Something that the thread has that drops the registration, which this does.
    With(Box<dyn FnOnce(Registration) + Send>),
}

fn until_called(end: impl FnOnce() + Send + 'static) -> Left {
    Left::Until(Box::new(end))
}

fn kept<T: Send + 'static>(value: T) -> Left {
    until_called(move || drop(value))
}

fn forgotten<T>(value: T) -> Left {
    std::mem::forget(value);
    Left::ForGood
}

fn with(end: impl FnOnce(Registration) + Send + 'static) -> Left {
    Left::With(Box::new(end))
}

/// Leaves something. The provider is dropped at the end, unless the probe keeps it.
type Probe = fn(&'static Kernel, Provider) -> Left;

/// A row: the words of its first cell, each with a probe, and what its second cell says.
struct Row {
    does: Does,
    deviation: Option<Deviation>,
    probes: Vec<(&'static str, Probe)>,
}

fn row<const N: usize>(does: Does, probes: [(&'static str, Probe); N]) -> Row {
    Row {
        does,
        deviation: None,
        probes: probes.into(),
    }
}

/// A row for a provider that ignores cancelling.
fn ignoring<const N: usize>(does: Does, probes: [(&'static str, Probe); N]) -> Row {
    Row {
        deviation: Some(Deviation::IgnoresCancel),
        ..row(does, probes)
    }
}

/// The words that join the others in the first cell of a row.
const JOINING: [&str; 10] = [
    "or",
    "in",
    "flight",
    "forgotten",
    "with",
    "such",
    "a",
    "provider",
    "before",
    "it",
];

fn room() -> NonPagedBuffer {
    NonPagedBuffer::new(8).unwrap()
}

fn here() -> SocketAddr {
    LOOPBACK.parse().unwrap()
}

fn socket(provider: &Provider) -> DatagramSocket {
    bound(provider, Family::V4, LOOPBACK)
}

/// Sends a datagram to a socket.
fn tell(to: SocketAddr) {
    let peer = UdpSocket::bind(LOOPBACK).unwrap();
    peer.send_to(b"told", to).unwrap();
}

/// A server of the host. It stays for as long as the process.
fn server() -> (&'static TcpListener, SocketAddr) {
    let server = Box::leak(Box::new(TcpListener::bind(LOOPBACK).unwrap()));
    (server, server.local_addr().unwrap())
}

/// A connection, whose peer stays for as long as the process.
fn connection(provider: &Provider) -> ConnectedSocket {
    let (server, address) = server();
    let socket = ConnectedSocket::connect(provider, address).wait().unwrap();
    std::mem::forget(server.accept().unwrap());
    socket
}

fn listener(provider: &Provider) -> ListenSocket {
    let listener = ListenSocket::open(provider, Family::V4).unwrap();
    listener.bind(here()).unwrap();
    listener
}

/// A handler that sends what it pends and retains.
struct Keeper<T>(Mutex<Sender<T>>);

impl AcceptEvent for Keeper<Pended> {
    fn inspect(&self, inspection: Inspection<'_>) {
        let pended = inspection.pend().unwrap();
        self.0.lock().unwrap().send(pended).unwrap();
    }
}

impl ReceiveFromEvent for Keeper<Retained> {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        if let Some(retained) = indication.retain() {
            self.0.lock().unwrap().send(retained).unwrap();
        }
        Verdict::Consumed
    }
}

fn keeper<T>() -> (Keeper<T>, Receiver<T>) {
    let (sender, kept) = channel();
    (Keeper(Mutex::new(sender)), kept)
}

/// A connection that is pended, and its listening socket with what accepts it.
fn pended(provider: &Provider) -> (Pended, impl Sized) {
    let (handler, pended) = keeper();
    let listener = ListenSocket::open_conditional(provider, Family::V4, handler).unwrap();
    listener.bind(here()).unwrap();
    let local = listener.local_address().unwrap();
    let accept = listener.accept().start().unwrap();
    std::mem::forget(TcpStream::connect(local).unwrap());
    (pended.recv_timeout(PATIENCE).unwrap(), (accept, listener))
}

/// Datagrams that are retained.
fn retained(provider: &Provider) -> Retained {
    let (handler, retained) = keeper();
    let socket = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
    socket.bind(here()).unwrap();
    socket.enable_receive_events().unwrap();
    tell(socket.local_address().unwrap());
    retained.recv_timeout(PATIENCE).unwrap()
}

/// A handler that keeps a handle of its socket, or what it retains.
#[derive(Default)]
struct Selfish {
    own: Mutex<Option<DatagramSocket>>,
    retained: Mutex<Option<Retained>>,
}

impl ReceiveFromEvent for Selfish {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        *self.retained.lock().unwrap() = indication.retain();
        Verdict::Consumed
    }
}

fn selfish(provider: &Provider) -> DatagramSocket {
    let handler = Selfish::default();
    let socket = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
    socket.bind(here()).unwrap();
    socket
}

/// A handler that stays in its callback until it is told.
struct Slow(Mutex<Sender<()>>, Mutex<Receiver<()>>);

impl ReceiveFromEvent for Slow {
    fn received(&self, _: &mut Indication<'_>) -> Verdict {
        self.0.lock().unwrap().send(()).unwrap();
        let _ = self.1.lock().unwrap().recv();
        Verdict::Consumed
    }
}

/// A socket whose handler is called, and what ends the call when it is dropped.
fn slow(provider: &Provider) -> (DatagramSocket, Sender<()>) {
    let ((in_it, is_in_it), (go, goes)) = (channel(), channel());
    let slow = Slow(Mutex::new(in_it), Mutex::new(goes));
    let socket = DatagramSocket::open_with_events(provider, Family::V4, slow).unwrap();
    socket.bind(here()).unwrap();
    socket.enable_receive_events().unwrap();
    tell(socket.local_address().unwrap());
    is_in_it.recv_timeout(PATIENCE).unwrap();
    (socket, go)
}

/// A buffer that keeps a handle.
struct Holding(NonPagedBuffer, #[expect(dead_code)] DatagramSocket);

// SAFETY: the buffer inside keeps the promise.
unsafe impl ReceiveBuffer for Holding {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller's promise holds for the buffer inside.
        unsafe { self.0.lock_mut(lock) }
    }

    fn abandon(&self) -> bool {
        ReceiveBuffer::abandon(&self.0)
    }
}

/// A task that keeps a handle.
struct Task(#[expect(dead_code)] DatagramSocket);

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// The request of a raw operation on the client.
macro_rules! raw {
    ($provider:expr) => {
        // SAFETY: the operation takes an IRP, and has neither input nor output.
        unsafe {
            $provider.control_client_raw_request(
                RawClientControl::new(WSK_TRANSPORT_LIST_CHANGE, &[]),
                &mut [],
            )
        }
    };
}

/// The state of a driver, which takes its registration out of it.
static STATE: DriverState<Registration> = DriverState::new();

fn stated(end: impl FnOnce() + Send + 'static) -> Left {
    with(move |registration| {
        assert!(STATE.put(registration).is_ok());
        end();
    })
}

/// The rows of the table, in their order.
#[allow(clippy::too_many_lines, reason = "each line is a probe")]
fn rows() -> Vec<Row> {
    vec![
        row(
            Does::WaitUntil,
            [
                ("a Provider", |_, p| kept(p)),
                ("a Network", |_, p| brought::kept_network(&p)),
                ("a socket", |_, p| kept(socket(&p))),
                ("a socket", |_, p| kept(connection(&p))),
                ("a socket", |_, p| kept(listener(&p))),
                ("one of buffered", |_, p| brought::kept_connection(&p)),
                ("a stream of streams", |_, p| brought::kept_stream(&p)),
                ("a prepared operation", |_, p| {
                    kept(socket(&p).receive_from(room()).prepare().unwrap())
                }),
                ("a prepared operation", |_, p| {
                    kept(p.transport_change().prepare().unwrap())
                }),
                ("a pool of operations", |_, p| {
                    kept(Operations::<NonPagedBuffer>::new(&p, 1).unwrap())
                }),
                ("of prepared ones", |_, p| {
                    let socket = socket(&p);
                    kept(PreparedPool::new(1, |_| Ok(socket.receive_from(room()))).unwrap())
                }),
                ("an AddressInfo", |_, p| {
                    kept(p.resolve("127.0.0.1").wait().unwrap())
                }),
                ("a SecurityDescriptor", |_, p| kept(cached(&p))),
                ("a connection that is pended", |_, p| kept(pended(&p).0)),
                ("what was retained of an indication", |_, p| {
                    kept(retained(&p))
                }),
            ],
        ),
        row(
            Does::WaitUntil,
            [
                ("a thread that waits in wait", |kernel, p| {
                    let socket = socket(&p);
                    let to = socket.local_address().unwrap();
                    thread::spawn(move || socket.receive_from(room()).wait().map(drop));
                    until("the receive", || kernel.counts().in_flight == 1);
                    until_called(move || tell(to))
                }),
                ("at the end of a scope", |kernel, p| {
                    let socket = socket(&p);
                    let to = socket.local_address().unwrap();
                    thread::spawn(move || {
                        let mut room = room();
                        wsk::scope(|scope| {
                            let receiving = socket.receive_from(&mut room).start_in(scope);
                            forgotten(receiving.unwrap());
                        })
                    });
                    until("the receive", || kernel.counts().in_flight == 1);
                    until_called(move || tell(to))
                }),
            ],
        ),
        row(
            Does::WaitUntil,
            [
                ("an operation in flight on a socket", |_, p| {
                    let socket = socket(&p);
                    let receiving = socket.receive_from(room()).start().unwrap();
                    until_called(move || {
                        drop(socket);
                        std::mem::forget(receiving);
                    })
                }),
                ("an operation in flight on a socket", |_, p| {
                    let listener = listener(&p);
                    listener.accept().start_with(|_| ()).unwrap();
                    kept(listener)
                }),
            ],
        ),
        row(
            Does::WaitUntil,
            [
                ("a connect", |_, p| {
                    let connecting = ConnectedSocket::connect(&p, server().1).start();
                    kept(connecting.unwrap())
                }),
                ("a transport_change", |_, p| {
                    kept(p.transport_change().start().unwrap())
                }),
                ("a control_client_raw_request", |_, p| {
                    kept(raw!(p).start().unwrap())
                }),
            ],
        ),
        row(
            Does::WaitUntil,
            [
                ("an event handler", |_, p| {
                    let (socket, go) = slow(&p);
                    drop(socket);
                    kept(go)
                }),
                ("a completion that runs", |_, p| {
                    let ((in_it, is_in_it), (go, goes)) = (channel(), channel::<()>());
                    let socket = socket(&p);
                    let to = socket.local_address().unwrap();
                    thread::spawn(move || {
                        let sending = socket.send_to(room(), to);
                        let completion = move |_| {
                            in_it.send(()).unwrap();
                            let _ = goes.recv();
                        };
                        assert!(sending.start_with(completion).is_ok());
                    });
                    is_in_it.recv_timeout(PATIENCE).unwrap();
                    kept(go)
                }),
                ("a socket that is closing", |_, p| {
                    let (socket, go) = slow(&p);
                    let closing = thread::spawn(move || socket.close());
                    until_called(move || {
                        drop(go);
                        assert!(closing.join().unwrap().is_ok());
                    })
                }),
            ],
        ),
        row(
            Does::WaitUntil,
            [
                ("a lookup whose handle was dropped", |kernel, p| {
                    kernel.fail_nth(Resource::Completion, 1);
                    drop(p.resolve("127.0.0.1").start().unwrap());
                    until_called(|| assert_eq!(kernel.complete_withheld(), 1))
                }),
                ("whose time ran out", |kernel, p| {
                    kernel.fail_nth(Resource::Completion, 1);
                    assert!(p.resolve("127.0.0.1").wait_timeout(MOMENT).is_err());
                    until_called(|| assert_eq!(kernel.complete_withheld(), 1))
                }),
            ],
        ),
        row(
            Does::Hang,
            [
                ("a DriverStateRef", |_, _| {
                    stated(|| {
                        std::mem::forget(STATE.get());
                        drop(STATE.take());
                    })
                }),
                ("held by the thread that takes the state", |_, _| {
                    stated(|| {
                        let held = STATE.get();
                        drop(STATE.take());
                        drop(held);
                    })
                }),
            ],
        ),
        row(
            Does::NotWait,
            [
                ("a buffer", |_, _| forgotten(room())),
                ("a BufferPool", |_, _| {
                    forgotten(BufferPool::new(1, |_| NonPagedBuffer::new(8)).unwrap())
                }),
                ("a Cancel", |_, _| forgotten(Cancel::new().unwrap())),
            ],
        ),
        row(
            Does::NotWait,
            [("a handle of a scope", |_, p| {
                let socket = socket(&p);
                let to = socket.local_address().unwrap();
                wsk::scope(|scope| forgotten(socket.send_to(b"sent", to).start_in(scope).unwrap()))
                    .unwrap()
            })],
        ),
        row(
            Does::NotWait,
            [
                ("an operation in flight on a socket", |_, p| {
                    forgotten(socket(&p).receive_from(room()).start().unwrap())
                }),
                ("an operation in flight on a socket", |_, p| {
                    forgotten(connection(&p).receive(room()).start().unwrap())
                }),
                ("except those below", |_, p| {
                    forgotten(connection(&p).drain().start().unwrap())
                }),
            ],
        ),
        row(
            Does::Hang,
            [
                ("a socket", |_, p| forgotten(socket(&p))),
                ("a Provider", |_, p| forgotten(p)),
                ("a Network", |_, p| brought::forgotten_network(&p)),
                ("one of buffered", |_, p| brought::forgotten_connection(&p)),
                ("a stream of streams", |_, p| brought::forgotten_stream(&p)),
                ("an AddressInfo", |_, p| {
                    forgotten(p.resolve("127.0.0.1").wait().unwrap())
                }),
                ("a SecurityDescriptor", |_, p| forgotten(cached(&p))),
                ("something pended", |_, p| forgotten(pended(&p).0)),
                ("retained", |_, p| forgotten(retained(&p))),
            ],
        ),
        row(
            Does::Hang,
            [
                ("a Prepared", |_, p| {
                    forgotten(socket(&p).receive_from(room()).prepare().unwrap())
                }),
                ("a Prepared", |_, p| {
                    forgotten(p.transport_change().prepare().unwrap())
                }),
                ("a Started", |_, p| {
                    let prepared = socket(&p).receive_from(room()).prepare().unwrap();
                    forgotten(prepared.start().unwrap())
                }),
                ("an Ended", |_, p| {
                    let socket = socket(&p);
                    let to = socket.local_address().unwrap();
                    let prepared = socket.send_to(room(), to).prepare().unwrap();
                    forgotten(prepared.start().unwrap().wait().unwrap())
                }),
                ("a PreparedPool", |_, p| {
                    let socket = socket(&p);
                    forgotten(PreparedPool::new(1, |_| Ok(socket.receive_from(room()))).unwrap())
                }),
            ],
        ),
        row(
            Does::Hang,
            [
                ("Operations", |_, p| {
                    forgotten(Operations::<NonPagedBuffer>::new(&p, 1).unwrap())
                }),
                ("a PooledOperation", |_, p| {
                    let operations = Operations::<NonPagedBuffer>::new(&p, 1).unwrap();
                    forgotten(operations.take().unwrap())
                }),
                ("an operation that came from them", |_, p| {
                    let operations = Operations::new(&p, 1).unwrap();
                    let socket = socket(&p);
                    let receiving = socket.receive_from(room()).from(&operations);
                    forgotten(receiving.start().unwrap())
                }),
            ],
        ),
        row(
            Does::Hang,
            [
                ("an accept", |_, p| {
                    forgotten(listener(&p).accept().start().unwrap())
                }),
                ("a connect", |_, p| {
                    forgotten(ConnectedSocket::connect(&p, server().1).start().unwrap())
                }),
                ("a connect", |_, p| {
                    let socket = ConnectionSocket::open(&p, Family::V4).unwrap();
                    socket.bind(here()).unwrap();
                    forgotten(socket.connect(server().1).start().unwrap())
                }),
                ("a receive_all", |_, p| {
                    forgotten(connection(&p).receive_all(room()).start().unwrap())
                }),
                ("receive_exact", |_, p| {
                    forgotten(connection(&p).receive_exact(room()).start().unwrap())
                }),
                ("a name_of", |_, p| {
                    forgotten(p.name_of(here()).numeric().start().unwrap())
                }),
                ("the answer to an inspection", |_, p| {
                    let (pended, _listener) = pended(&p);
                    forgotten(pended.reject().start().unwrap())
                }),
                (
                    "a request that sets or reads a security descriptor",
                    |_, p| {
                        let socket = DatagramSocket::open(&p, Family::V4).unwrap();
                        let setting = socket.set_security_descriptor(&cached(&p)).start();
                        forgotten(setting.unwrap())
                    },
                ),
                (
                    "a request that sets or reads a security descriptor",
                    |_, p| {
                        let socket = DatagramSocket::open(&p, Family::V4).unwrap();
                        forgotten(socket.security_descriptor().start().unwrap())
                    },
                ),
                ("was run", |_, p| forgotten(listener(&p).accept())),
                ("was run", |_, p| {
                    forgotten(ConnectedSocket::connect(&p, here()))
                }),
                ("was run", |_, p| {
                    let socket = ConnectionSocket::open(&p, Family::V4).unwrap();
                    forgotten(socket.connect(here()))
                }),
                ("was run", |_, p| {
                    forgotten(connection(&p).receive_all(room()))
                }),
                ("was run", |_, p| {
                    forgotten(connection(&p).receive_exact(room()))
                }),
                ("was run", |_, p| forgotten(p.name_of(here()).numeric())),
                ("was run", |_, p| forgotten(pended(&p).0.accept())),
                ("was run", |_, p| {
                    forgotten(socket(&p).set_security_descriptor(&cached(&p)))
                }),
                ("was run", |_, p| {
                    forgotten(socket(&p).security_descriptor())
                }),
                ("a resolve", |_, p| {
                    forgotten(p.resolve("127.0.0.1").start().unwrap())
                }),
            ],
        ),
        row(
            Does::WaitUntil,
            [
                ("a transport_change", |kernel, p| {
                    std::mem::forget(p.transport_change().start().unwrap());
                    until_called(|| assert_eq!(kernel.change_transports(), 1))
                }),
                ("a control_client_raw_request", |kernel, p| {
                    std::mem::forget(raw!(p).start().unwrap());
                    until_called(|| assert_eq!(kernel.change_transports(), 1))
                }),
                ("started with a completion", |kernel, p| {
                    p.transport_change().start_with(|_| ()).unwrap();
                    until_called(|| assert_eq!(kernel.change_transports(), 1))
                }),
                ("started with a completion", |kernel, p| {
                    raw!(p).start_with(|_| ()).unwrap();
                    until_called(|| assert_eq!(kernel.change_transports(), 1))
                }),
            ],
        ),
        row(
            Does::Hang,
            [
                (
                    "an event handler that keeps a handle of its own socket",
                    |_, p| {
                        let socket = selfish(&p);
                        let handler = socket.handler::<Selfish>().unwrap();
                        *handler.own.lock().unwrap() = Some(socket.clone());
                        Left::ForGood
                    },
                ),
                ("something retained from it", |_, p| {
                    let socket = selfish(&p);
                    socket.enable_receive_events().unwrap();
                    tell(socket.local_address().unwrap());
                    let handler = socket.handler::<Selfish>().unwrap();
                    until("the event", || handler.retained.lock().unwrap().is_some());
                    Left::ForGood
                }),
            ],
        ),
        row(
            Does::WaitUntil,
            [
                ("a completion", |_, p| {
                    let socket = socket(&p);
                    let own = socket.clone();
                    let to = socket.local_address().unwrap();
                    let receiving = socket.receive_from(room());
                    assert!(receiving.start_with(move |_| drop(own)).is_ok());
                    until_called(move || tell(to))
                }),
                ("a buffer", |_, p| {
                    let socket = socket(&p);
                    let holding = Holding(room(), socket.clone());
                    let Ok(receiving) = socket.receive_from(holding).start() else {
                        panic!("it is not started");
                    };
                    kept(receiving)
                }),
                (
                    "a waiting task that keeps a handle of its own operation's socket",
                    |_, p| {
                        let socket = socket(&p);
                        let waker = Waker::from(Arc::new(Task(socket.clone())));
                        let mut receiving = socket.receive_from(room()).start().unwrap();
                        let polled = std::pin::pin!(&mut receiving)
                            .poll(&mut Context::from_waker(&waker))
                            .is_pending();
                        assert!(polled, "nothing has come");
                        kept(receiving)
                    },
                ),
            ],
        ),
        row(
            Does::Hang,
            [
                (
                    "handles of the thread that drops the registration",
                    |_, p| {
                        with(|registration| {
                            drop(registration);
                            drop(p);
                        })
                    },
                ),
                (
                    "the event handler or completion at PASSIVE_LEVEL that drops it",
                    |_, p| {
                        let socket = socket(&p);
                        let to = socket.local_address().unwrap();
                        with(move |registration| {
                            let sending = socket.send_to(room(), to);
                            assert!(sending.start_with(move |_| drop(registration)).is_ok());
                        })
                    },
                ),
            ],
        ),
        row(
            Does::Hang,
            [
                (
                    "an operation that the provider never completes, not even when its socket is closed",
                    |kernel, p| {
                        let socket = socket(&p);
                        kernel.fail_nth(Resource::Completion, 1);
                        drop(socket.receive_from(room()).start().unwrap());
                        Left::ForGood
                    },
                ),
                (
                    "an operation that the provider never completes, not even when its socket is closed",
                    |kernel, p| {
                        let socket = socket(&p);
                        kernel.fail_nth(Resource::Completion, 1);
                        forgotten(socket.receive_from(room()).start().unwrap())
                    },
                ),
            ],
        ),
        ignoring(
            Does::Hang,
            [
                ("a prepared operation that was given up", |_, p| {
                    let prepared = socket(&p).receive_from(room()).prepare().unwrap();
                    drop(prepared.start().unwrap().give_up());
                    Left::ForGood
                }),
                ("timed out", |_, p| {
                    let mut prepared = socket(&p).receive_from(room()).prepare().unwrap();
                    assert!(prepared.wait_timeout(MOMENT).is_err());
                    Left::ForGood
                }),
                (
                    "dropped while it was started, with a provider that ignores cancelling",
                    |_, p| {
                        let prepared = socket(&p).receive_from(room()).prepare().unwrap();
                        drop(prepared.start().unwrap());
                        Left::ForGood
                    },
                ),
            ],
        ),
        ignoring(
            Does::WaitUntil,
            [
                ("a connect", |kernel, p| {
                    kernel.fail_nth(Resource::Completion, 1);
                    drop(ConnectedSocket::connect(&p, server().1).start().unwrap());
                    until_called(|| assert_eq!(kernel.complete_withheld(), 1))
                }),
                ("a resolve", |kernel, p| {
                    kernel.fail_nth(Resource::Completion, 1);
                    drop(p.resolve("127.0.0.1").start().unwrap());
                    until_called(|| assert_eq!(kernel.complete_withheld(), 1))
                }),
                ("a transport_change", |kernel, p| {
                    drop(p.transport_change().start().unwrap());
                    until_called(|| assert_eq!(kernel.change_transports(), 1))
                }),
                (
                    "a control_client_raw_request that was given up",
                    |kernel, p| {
                        assert!(raw!(p).start().unwrap().give_up().is_ok());
                        until_called(|| assert_eq!(kernel.change_transports(), 1))
                    },
                ),
                ("timed out", |kernel, p| {
                    assert!(p.transport_change().wait_timeout(MOMENT).is_err());
                    until_called(|| assert_eq!(kernel.change_transports(), 1))
                }),
                ("dropped", |kernel, p| {
                    drop(raw!(p).start().unwrap());
                    until_called(|| assert_eq!(kernel.change_transports(), 1))
                }),
            ],
        ),
        ignoring(
            Does::WaitUntil,
            [
                ("any other operation that was given up", |_, p| {
                    let socket = socket(&p);
                    let receiving = socket.receive_from(room()).start().unwrap();
                    drop(receiving.give_up());
                    kept(socket)
                }),
                ("timed out", |_, p| {
                    let socket = socket(&p);
                    assert!(socket.receive_from(room()).wait_timeout(MOMENT).is_err());
                    kept(socket)
                }),
                ("dropped", |_, p| {
                    let socket = socket(&p);
                    drop(socket.receive_from(room()).start().unwrap());
                    kept(socket)
                }),
            ],
        ),
    ]
}

/// Probes of what features bring. Without these, the provider stands for them.
mod brought {
    use super::{Left, Provider, forgotten, kept};

    #[cfg(feature = "embedded-nal-async")]
    fn network(provider: &Provider) -> wsk::Network {
        wsk::Network::new(provider)
    }

    #[cfg(not(feature = "embedded-nal-async"))]
    fn network(provider: &Provider) -> Provider {
        provider.clone()
    }

    #[cfg(feature = "embedded-io-async")]
    fn connection(provider: &Provider) -> wsk::buffered::BufferedConnection {
        wsk::buffered::BufferedConnection::new(super::connection(provider), 8, 8).unwrap()
    }

    #[cfg(not(feature = "embedded-io-async"))]
    fn connection(provider: &Provider) -> Provider {
        provider.clone()
    }

    #[cfg(feature = "futures-core")]
    fn stream(provider: &Provider) -> wsk::streams::ConnectionStream {
        super::listener(provider).connections()
    }

    #[cfg(not(feature = "futures-core"))]
    fn stream(provider: &Provider) -> Provider {
        provider.clone()
    }

    pub(super) fn kept_network(provider: &Provider) -> Left {
        kept(network(provider))
    }

    pub(super) fn kept_connection(provider: &Provider) -> Left {
        kept(connection(provider))
    }

    pub(super) fn kept_stream(provider: &Provider) -> Left {
        kept(stream(provider))
    }

    pub(super) fn forgotten_network(provider: &Provider) -> Left {
        forgotten(network(provider))
    }

    pub(super) fn forgotten_connection(provider: &Provider) -> Left {
        forgotten(connection(provider))
    }

    pub(super) fn forgotten_stream(provider: &Provider) -> Left {
        forgotten(stream(provider))
    }
}

/// Whether a thread ends within `limit`.
fn ends(thread: &JoinHandle<()>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while !thread.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    thread.is_finished()
}

/// Runs a probe, and says what dropping the registration does. What nobody ends is left, so that the process has to exit.
fn run(row: &Row, probe: Probe) -> Does {
    let mut builder = Kernel::builder().time_lapse(FAST);
    if let Some(deviation) = row.deviation {
        builder = builder.deviation(deviation);
    }
    let kernel = Box::leak(Box::new(builder.boot()));
    let (registration, provider) = client();
    let (end, unload): (_, Box<dyn FnOnce(Registration) + Send>) = match probe(kernel, provider) {
        Left::ForGood => (None, Box::new(drop)),
        Left::Until(end) => (Some(end), Box::new(drop)),
        Left::With(unload) => (None, unload),
    };
    let thread = thread::spawn(move || unload(registration));
    // What is not to wait has all the time that a busy machine may take.
    let limit = if row.does == Does::NotWait {
        PATIENCE
    } else {
        QUIET
    };
    let does = if ends(&thread, limit) {
        Does::NotWait
    } else if let Some(end) = end {
        end();
        if ends(&thread, PATIENCE) {
            Does::WaitUntil
        } else {
            Does::Hang
        }
    } else {
        return Does::Hang;
    };
    if does != Does::Hang {
        thread.join().unwrap();
    }
    does
}

/// Runs a probe in a child, and returns the last line that it prints of what it has seen, or all its output.
fn seen_by_child(row: usize, probe: usize) -> String {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "unloading::the_table_is_true", "--nocapture"])
        .env(VARIABLE, format!("{row} {probe}"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let seen = said.lines().find_map(|line| Some(line.split_once(SIGN)?.1));
    seen.map_or_else(
        || format!("{said}\n{}", String::from_utf8_lossy(&child.stderr)),
        str::to_owned,
    )
}

/// The rows of the page: the text of the first cell, and the second cell.
fn page() -> Vec<(String, String)> {
    let page = include_str!("../../src/guide/closing.md");
    let table = page.lines().filter(|line| line.starts_with("| "));
    table
        .skip(1)
        .map(|line| {
            let (left, right) = line[2..].split_once(" | ").unwrap();
            (text(left), right.to_owned())
        })
        .collect()
}

/// The text of a cell, without the marks of code and of links.
fn text(cell: &str) -> String {
    let mut text = cell.replace('`', "");
    while let Some((before, behind)) = text.split_once("](") {
        let (before, (_, after)) = (before.replace('[', ""), behind.split_once(')').unwrap());
        text = before + after;
    }
    text
}

#[test]
fn the_table_is_true() {
    let rows = rows();
    if let Ok(wanted) = std::env::var(VARIABLE) {
        let (row, probe) = wanted.split_once(' ').unwrap();
        let row = &rows[row.parse::<usize>().unwrap()];
        let does = run(row, row.probes[probe.parse::<usize>().unwrap()].1);
        println!("\n{SIGN}{does:?}");
        std::process::exit(0);
    }
    let page = page();
    assert_eq!(
        page.len(),
        rows.len(),
        "each row of the page has its probes"
    );
    for (row, (left, right)) in rows.iter().zip(&page) {
        assert_eq!(Does::read(right), Some(row.does), "{left} | {right}");
        // The longest words first, because they may contain others.
        let mut words: Vec<_> = row.probes.iter().map(|(words, _)| *words).collect();
        words.sort_by_key(|words| std::cmp::Reverse(words.len()));
        words.dedup();
        let mut rest = left.clone();
        for words in words {
            assert!(rest.contains(words), "`{words}` is not in the row: {left}");
            rest = rest.replacen(words, "", 1);
        }
        let mut unprobed = rest.split([' ', ',', ';']).filter(|word| !word.is_empty());
        let unprobed = unprobed.find(|word| !JOINING.contains(word));
        assert_eq!(
            unprobed, None,
            "no probe is for this word of the row: {left}"
        );
    }
    let all: Vec<_> = { rows.iter().enumerate() }
        .flat_map(|(index, row)| (0..row.probes.len()).map(move |probe| (index, probe)))
        .collect();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|threads| {
        for _ in 0..CHILDREN {
            threads.spawn(|| {
                while let Some(&(index, probe)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (seen, does) = (seen_by_child(index, probe), rows[index].does);
                    if seen != format!("{does:?}") {
                        let words = rows[index].probes[probe].0;
                        let line =
                            format!("{words}, probe {probe} of row {index} ({does:?}): {seen}");
                        wrong.lock().unwrap().push(line);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
