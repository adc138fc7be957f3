//! Listening sockets and stream sockets: accepting, events, inspection, closing.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use driver::*;
use wsk_host::Kernel;
use wsk_host::testing::expect_bugcheck;
use wsk_sys::*;

fn connect(to: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(to).unwrap())
}

/// Sees that a connection was reset.
fn assert_reset(mut peer: TcpStream) {
    let error = peer.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn accepting() {
    each_policy(|kernel, client| {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let listener = client.listening(local);
            let to = listener.local().unwrap();
            // One that has come already, and one that is waited for.
            let mut peer = connect(to);
            let (socket, at, from) = listener.accept().unwrap();
            assert_eq!(at, to);
            assert_eq!(from, peer.local_addr().unwrap());
            assert_eq!(socket.local(), Ok(to));
            assert_eq!(socket.remote(), Ok(from));
            let accepting = listener.start_accept();
            assert_eq!(accepting.returned, STATUS_PENDING);
            let other = connect(to);
            let second = accepting.finish().unwrap();
            assert_eq!(second.remote(), Ok(other.local_addr().unwrap()));

            peer.write_all(b"hello").unwrap();
            let buffer = Buffer::new(64);
            assert_eq!(socket.receive(&buffer), (STATUS_SUCCESS, 5));
            let answer = Buffer::of(b"hi");
            assert_eq!(socket.send(&answer), (STATUS_SUCCESS, 2));
            let mut bytes = [0; 2];
            peer.read_exact(&mut bytes).unwrap();
            // Accepted sockets live on without the listening one.
            listener.close();
            peer.write_all(b"bye").unwrap();
            assert_eq!(socket.receive(&buffer), (STATUS_SUCCESS, 3));
            buffer.free();
            answer.free();
            socket.close();
            second.close();
        }
        assert_eq!(kernel.counts().sockets.live, 0);
    });
}

#[test]
fn wrong_states() {
    each_policy(|_, client| {
        let listener = client.listener(AF_INET, Callbacks::none());
        assert_eq!(listener.local(), Err(STATUS_INVALID_DEVICE_STATE));
        assert_eq!(
            listener.accept().err(),
            Some(STATUS_INVALID_DEVICE_STATE),
            "not bound"
        );
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        assert_eq!(listener.bind(local), STATUS_SUCCESS);
        assert_eq!(listener.bind(local), STATUS_ADDRESS_ALREADY_ASSOCIATED);
        assert_eq!(
            listener.events(WSK_EVENT_ACCEPT),
            STATUS_INVALID_PARAMETER,
            "no callback"
        );
        assert_eq!(listener.get_option(SOL_SOCKET, SO_ACCEPTCONN), Ok(1));
        let second = client.listener(AF_INET, Callbacks::none());
        assert_eq!(
            second.bind(listener.local().unwrap()),
            STATUS_ADDRESS_ALREADY_EXISTS
        );
        second.close();
        listener.close();
    });
}

#[test]
fn accepts_are_cancelled_and_closed_and_forced() {
    each_policy(|kernel, client| {
        let listener = client.listening("127.0.0.1:0");
        let mut calls: Vec<Accepting> = (0..4).map(|_| listener.start_accept()).collect();
        for call in &calls {
            assert_eq!(call.returned, STATUS_PENDING);
        }
        calls[1].cancel();
        assert_eq!(calls[1].wait().err(), Some(STATUS_CANCELLED));
        let peer = connect(listener.local().unwrap());
        calls[0].wait().unwrap().close();
        assert_reset(peer);
        let close = Call::new();
        let _ = listener.start_close(&close);
        assert_eq!(close.finish(), (STATUS_SUCCESS, 0));
        assert!(calls[2].is_done() && calls[3].is_done());
        assert_eq!(calls[2].wait().err(), Some(STATUS_CANCELLED));
        assert_eq!(calls[3].wait().err(), Some(STATUS_CANCELLED));
        calls.into_iter().for_each(Accepting::free);

        let listener = client.listening("127.0.0.1:0");
        let call = listener.start_accept();
        assert_eq!(call.returned, STATUS_PENDING);
        kernel.force_close_sockets();
        assert_eq!(call.finish().err(), Some(STATUS_FILE_FORCED_CLOSED));
        assert_eq!(listener.accept().err(), Some(STATUS_FILE_FORCED_CLOSED));
        listener.close();

        // A connection that nobody has accepted is reset.
        let listener = client.listening("127.0.0.1:0");
        let peer = connect(listener.local().unwrap());
        kernel.force_close_sockets();
        assert_reset(peer);
        listener.close();
    });
}

#[test]
fn a_listener_that_is_forced_closed_listens_no_more() {
    each_policy(|kernel, client| {
        let listener = client.listening("127.0.0.1:0");
        let local = listener.local().unwrap();
        kernel.force_close_sockets();
        let refused = TcpStream::connect(local).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        // The port is free, though the driver has not closed its socket yet.
        let next = client.listener(AF_INET, Callbacks::none());
        assert_eq!(next.bind(local), STATUS_SUCCESS);
        next.close();
        listener.close();
    });
}

#[test]
fn a_planned_failure() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let listener = client.listening("127.0.0.1:0");
    let peer = connect(listener.local().unwrap());
    kernel.fail_nth_call(1);
    assert_eq!(listener.accept().err(), Some(STATUS_INSUFFICIENT_RESOURCES));
    let (socket, ..) = listener.accept().unwrap();
    assert_eq!(socket.remote(), Ok(peer.local_addr().unwrap()));
    socket.close();
    listener.close();
    client.leave();
    kernel.shutdown();
}

/// What the callbacks of a listening socket have seen, and what they answer.
#[derive(Default)]
struct Seen {
    sockets: Mutex<Vec<Connection>>,
    answer: AtomicI32,
    dead: AtomicUsize,
    data: Mutex<Vec<u8>>,
    ended: AtomicUsize,
    action: AtomicI32,
    inspected: Mutex<Vec<(usize, u32)>>,
    aborted: Mutex<Vec<(usize, u32)>>,
    answer_to_abort: AtomicI32,
    /// While it is set the accept event does not return.
    hold: AtomicBool,
}

impl Seen {
    /// Leaked: a callback may be late.
    fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn callbacks(&'static self) -> Callbacks<WSK_CLIENT_LISTEN_DISPATCH> {
        // SAFETY: the callbacks of the table take their context for this type.
        unsafe { Callbacks::new(self, &TABLE) }
    }

    fn take_socket(&self) -> Connection {
        wait_until("a connection", || !self.sockets.lock().unwrap().is_empty());
        self.sockets.lock().unwrap().remove(0)
    }

    fn take_inspected(&self) -> WSK_INSPECT_ID {
        wait_until("an inspection", || {
            !self.inspected.lock().unwrap().is_empty()
        });
        let (key, serial) = self.inspected.lock().unwrap().remove(0);
        WSK_INSPECT_ID {
            Key: key,
            SerialNumber: serial,
        }
    }
}

unsafe extern "system" fn accepted(
    context: *mut c_void,
    flags: u32,
    local: *mut SOCKADDR,
    remote: *mut SOCKADDR,
    socket: *mut WSK_SOCKET,
    accept_context: *mut *mut c_void,
    accept_dispatch: *mut *const WSK_CLIENT_CONNECTION_DISPATCH,
) -> NTSTATUS {
    // SAFETY: the context of every socket with `TABLE` or `CONNECTION_TABLE`, see `Seen::callbacks`.
    let seen: &Seen = unsafe { &*context.cast() };
    assert_eq!(flags, u32::from(WSK_FLAG_AT_DISPATCH_LEVEL));
    assert_eq!(wsk_host::current_irql(), wsk_host::DISPATCH_LEVEL);
    if socket.is_null() {
        seen.dead.fetch_add(1, Ordering::SeqCst);
        return STATUS_REQUEST_NOT_ACCEPTED;
    }
    let answer = NTSTATUS(seen.answer.load(Ordering::SeqCst));
    // SAFETY: the kernel tells a new connection socket, two addresses, and places for what the socket is to have. The
    // callbacks of that take this context, too.
    let (socket, local, remote) = unsafe {
        *accept_context = context;
        *accept_dispatch = &raw const CONNECTION_TABLE;
        (
            Connection::of(socket.expose_provenance()),
            Address::read(local),
            Address::read(remote),
        )
    };
    assert!(local.is_ipv4() && remote.is_ipv4());
    seen.sockets.lock().unwrap().push(socket);
    while seen.hold.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    answer
}

unsafe extern "system" fn received(
    context: *mut c_void,
    _flags: u32,
    list: *mut WSK_DATA_INDICATION,
    indicated: usize,
    _accepted: *mut usize,
) -> NTSTATUS {
    // SAFETY: the context of every socket with `TABLE` or `CONNECTION_TABLE`, see `Seen::callbacks`.
    let seen: &Seen = unsafe { &*context.cast() };
    // SAFETY: the kernel tells a list.
    let bytes = unsafe { indicated_bytes(list) };
    assert_eq!(bytes.len(), indicated);
    seen.data.lock().unwrap().extend(bytes);
    STATUS_SUCCESS
}

unsafe extern "system" fn disconnected(context: *mut c_void, _flags: u32) -> NTSTATUS {
    // SAFETY: the context of every socket with `TABLE` or `CONNECTION_TABLE`, see `Seen::callbacks`.
    let seen: &Seen = unsafe { &*context.cast() };
    seen.ended.fetch_add(1, Ordering::SeqCst);
    STATUS_SUCCESS
}

unsafe extern "system" fn inspect(
    context: *mut c_void,
    _local: *mut SOCKADDR,
    _remote: *mut SOCKADDR,
    id: *mut WSK_INSPECT_ID,
) -> WSK_INSPECT_ACTION {
    // SAFETY: the context of every socket with `TABLE` or `CONNECTION_TABLE`, see `Seen::callbacks`.
    let seen: &Seen = unsafe { &*context.cast() };
    // SAFETY: the kernel tells an id, or none when the socket was closed by force.
    match unsafe { id.as_ref() } {
        None => {
            seen.dead.fetch_add(1, Ordering::SeqCst);
            WSK_INSPECT_ACTION::WskInspectReject
        }
        Some(id) => {
            let known = (id.Key, id.SerialNumber);
            seen.inspected.lock().unwrap().push(known);
            WSK_INSPECT_ACTION(seen.action.load(Ordering::SeqCst))
        }
    }
}

unsafe extern "system" fn aborted(context: *mut c_void, id: *mut WSK_INSPECT_ID) -> NTSTATUS {
    // SAFETY: the context of every socket with `TABLE` or `CONNECTION_TABLE`, see `Seen::callbacks`.
    let seen: &Seen = unsafe { &*context.cast() };
    // SAFETY: the kernel tells an id.
    let id = unsafe { *id };
    let known = (id.Key, id.SerialNumber);
    seen.aborted.lock().unwrap().push(known);
    NTSTATUS(seen.answer_to_abort.load(Ordering::SeqCst))
}

static CONNECTION_TABLE: WSK_CLIENT_CONNECTION_DISPATCH = WSK_CLIENT_CONNECTION_DISPATCH {
    WskReceiveEvent: Some(received),
    WskDisconnectEvent: Some(disconnected),
    WskSendBacklogEvent: None,
};

static TABLE: WSK_CLIENT_LISTEN_DISPATCH = WSK_CLIENT_LISTEN_DISPATCH {
    WskAcceptEvent: Some(accepted),
    WskInspectEvent: Some(inspect),
    WskAbortEvent: Some(aborted),
};

/// What the accept event has given to another thread may be closed there at once: that lasts until the event has returned.
#[test]
fn closing_an_accepted_socket_waits_for_the_accept_event() {
    each_policy(|_, client| {
        let seen = Seen::new();
        let listener = client.listener(AF_INET, seen.callbacks());
        let local = "127.0.0.1:0".parse().unwrap();
        assert_eq!(listener.bind(local), STATUS_SUCCESS);
        assert_eq!(listener.events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        seen.hold.store(true, Ordering::SeqCst);
        let _peer = connect(listener.local().unwrap());
        let socket = seen.take_socket();
        let call = Call::new();
        assert_eq!(socket.start_close(&call), STATUS_PENDING);
        std::thread::sleep(Duration::from_millis(20));
        assert!(!call.is_done(), "the accept event has not returned yet");
        seen.hold.store(false, Ordering::SeqCst);
        assert_eq!(call.finish(), (STATUS_SUCCESS, 0));
        listener.close();
    });
}

#[test]
fn accept_events() {
    each_policy(|_, client| {
        let seen = Seen::new();
        let listener = client.listener(AF_INET, seen.callbacks());
        assert_eq!(
            listener.events(WSK_EVENT_ACCEPT),
            STATUS_INVALID_DEVICE_STATE,
            "not bound"
        );
        assert_eq!(
            listener.bind("127.0.0.1:0".parse().unwrap()),
            STATUS_SUCCESS
        );
        let to = listener.local().unwrap();
        assert_eq!(
            listener.events(WSK_EVENT_RECEIVE_FROM),
            STATUS_INVALID_PARAMETER
        );
        // What has come before is indicated too, with the events that are to be enabled on it.
        let mut early = connect(to);
        early.write_all(b"early").unwrap();
        let events = WSK_EVENT_ACCEPT | WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT;
        assert_eq!(listener.events(events), STATUS_SUCCESS);
        let socket = seen.take_socket();
        assert_eq!(socket.remote(), Ok(early.local_addr().unwrap()));
        wait_until("data", || *seen.data.lock().unwrap() == b"early");
        drop(early);
        wait_until("the end", || seen.ended.load(Ordering::SeqCst) == 1);
        socket.close();
        assert_eq!(
            listener.events(WSK_EVENT_RECEIVE | WSK_EVENT_DISABLE),
            STATUS_INVALID_PARAMETER,
            "what accepted sockets have can't be disabled here"
        );

        // A refused one is closed.
        seen.answer
            .store(STATUS_REQUEST_NOT_ACCEPTED.0, Ordering::SeqCst);
        assert_reset(connect(to));
        seen.sockets.lock().unwrap().clear();
        seen.answer.store(0, Ordering::SeqCst);

        // A pending WskAccept goes before the callback, and its socket has no events.
        let call = listener.start_accept();
        assert_eq!(call.returned, STATUS_PENDING);
        let mut peer = connect(to);
        let socket = call.finish().unwrap();
        peer.write_all(b"mine").unwrap();
        let buffer = Buffer::new(8);
        assert_eq!(socket.receive(&buffer), (STATUS_SUCCESS, 4));
        buffer.free();
        socket.close();
        assert!(seen.sockets.lock().unwrap().is_empty());

        // Disabled, connections wait in the backlog.
        assert!(
            listener
                .events(WSK_EVENT_ACCEPT | WSK_EVENT_DISABLE)
                .is_success()
        );
        let waiting = connect(to);
        std::thread::sleep(Duration::from_millis(10));
        assert!(seen.sockets.lock().unwrap().is_empty());
        assert_eq!(listener.events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        seen.take_socket().close();
        assert_reset(waiting);
        listener.close();
    });
}

#[test]
fn forcing_closed_tells_the_callbacks() {
    each_policy(|kernel, client| {
        let seen = Seen::new();
        let listener = client.listener(AF_INET, seen.callbacks());
        assert_eq!(
            listener.bind("127.0.0.1:0".parse().unwrap()),
            STATUS_SUCCESS
        );
        assert_eq!(listener.events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        kernel.force_close_sockets();
        listener.close();
        assert_eq!(seen.dead.load(Ordering::SeqCst), 1);
    });
}

fn inspecting(client: &Client, seen: &'static Seen) -> Listener {
    let listener = client.listener(AF_INET, seen.callbacks());
    let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
    let on = &mut 1_u32.to_ne_bytes();
    assert_eq!(
        listener.set_option(SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1),
        STATUS_INVALID_PARAMETER,
        "an IRP is required"
    );
    assert_eq!(
        listener.control_by_irp(set, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, on, &mut []),
        STATUS_SUCCESS
    );
    assert_eq!(
        listener.bind("127.0.0.1:0".parse().unwrap()),
        STATUS_SUCCESS
    );
    assert_eq!(
        listener.control_by_irp(set, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, on, &mut []),
        STATUS_INVALID_DEVICE_STATE,
        "bound"
    );
    let get = WSK_CONTROL_SOCKET_TYPE::WskGetOption;
    let mut value = [9; 4];
    assert_eq!(
        listener.control_by_irp(get, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, &mut [], &mut value),
        STATUS_SUCCESS
    );
    assert_eq!(u32::from_ne_bytes(value), 1);
    listener
}

#[test]
fn inspection() {
    each_policy(|_, client| {
        let seen = Seen::new();
        let listener = inspecting(client, seen);
        let to = listener.local().unwrap();
        let act = |action: WSK_INSPECT_ACTION| seen.action.store(action.0, Ordering::SeqCst);

        act(WSK_INSPECT_ACTION::WskInspectAccept);
        let peer = connect(to);
        let (socket, _, from) = listener.accept().unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        let known = seen.take_inspected();
        let mut id = [0; size_of::<WSK_INSPECT_ID>()];
        let (status, length) = socket.control(
            WSK_CONTROL_SOCKET_TYPE::WskIoctl,
            0,
            SIO_WSK_QUERY_INSPECT_ID,
            &mut [],
            &mut id,
        );
        assert_eq!((status, length), (STATUS_SUCCESS, id.len()));
        assert_eq!(id[..8], known.Key.to_ne_bytes());
        assert_eq!(id[8..12], known.SerialNumber.to_ne_bytes());
        socket.close();

        act(WSK_INSPECT_ACTION::WskInspectReject);
        assert_reset(connect(to));
        let _ = seen.take_inspected();

        act(WSK_INSPECT_ACTION::WskInspectPend);
        let peer = connect(to);
        let call = listener.start_accept();
        assert_eq!(call.returned, STATUS_PENDING);
        let known = seen.take_inspected();
        assert_eq!(
            listener.inspected(known, WSK_INSPECT_ACTION::WskInspectPend),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            listener.inspected(known, WSK_INSPECT_ACTION::WskInspectAccept),
            STATUS_SUCCESS
        );
        let socket = call.finish().unwrap();
        assert_eq!(socket.remote(), Ok(peer.local_addr().unwrap()));
        socket.close();
        assert_eq!(
            listener.inspected(known, WSK_INSPECT_ACTION::WskInspectAccept),
            STATUS_NOT_FOUND
        );

        // Given up by the peer in the meantime.
        let peer = connect(to);
        let known = seen.take_inspected();
        reset(peer);
        std::thread::sleep(Duration::from_millis(5));
        // Whether the driver was told already or is only now.
        let status = listener.inspected(known, WSK_INSPECT_ACTION::WskInspectAccept);
        assert!(
            matches!(status, STATUS_SUCCESS | STATUS_NOT_FOUND),
            "{status:?}"
        );
        wait_until("the abort", || {
            *seen.aborted.lock().unwrap() == [(known.Key, known.SerialNumber)]
        });
        // Left to be inspected.
        let peer = connect(to);
        let _ = seen.take_inspected();
        listener.close();
        assert_reset(peer);
    });
}

/// The driver has pended the inspection and is told without ending it.
#[test]
fn a_pended_inspection_is_aborted_by_the_peer() {
    each_policy(|_, client| {
        let seen = Seen::new();
        let listener = inspecting(client, seen);
        let pend = WSK_INSPECT_ACTION::WskInspectPend;
        seen.action.store(pend.0, Ordering::SeqCst);
        let to = listener.local().unwrap();
        let (first, second) = (connect(to), connect(to));
        wait_until("inspections", || seen.inspected.lock().unwrap().len() == 2);
        reset(first);
        wait_until("the abort", || seen.aborted.lock().unwrap().len() == 1);
        let gone = seen.aborted.lock().unwrap()[0];
        let id = |(key, serial)| WSK_INSPECT_ID {
            Key: key,
            SerialNumber: serial,
        };
        let accept = WSK_INSPECT_ACTION::WskInspectAccept;
        assert_eq!(listener.inspected(id(gone), accept), STATUS_NOT_FOUND);
        // The other one isn't touched by that; it is given up after it has passed.
        let inspected = seen.inspected.lock().unwrap().clone();
        let other = *inspected.iter().find(|&&known| known != gone).unwrap();
        assert_eq!(listener.inspected(id(other), accept), STATUS_SUCCESS);
        reset(second);
        wait_until("the abort", || {
            *seen.aborted.lock().unwrap() == [gone, other]
        });
        listener.close();
    });
}

#[test]
fn inspection_that_was_not_asked_for() {
    each_policy(|_, client| {
        let listener = client.listening("127.0.0.1:0");
        let id = WSK_INSPECT_ID {
            Key: 1,
            SerialNumber: 1,
        };
        assert_eq!(
            listener.inspected(id, WSK_INSPECT_ACTION::WskInspectAccept),
            STATUS_INVALID_DEVICE_STATE
        );
        let peer = connect(listener.local().unwrap());
        let (socket, ..) = listener.accept().unwrap();
        let (status, _) = socket.control(
            WSK_CONTROL_SOCKET_TYPE::WskIoctl,
            0,
            SIO_WSK_QUERY_INSPECT_ID,
            &mut [],
            &mut [0; 16],
        );
        assert_eq!(status, STATUS_INVALID_DEVICE_REQUEST);
        drop(peer);
        socket.close();
        listener.close();
    });
}

#[test]
fn stream_sockets() {
    each_policy(|_, client| {
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (server, user) = (client.stream(AF_INET), client.stream(AF_INET));
        assert_eq!(server.listen(), STATUS_INVALID_DEVICE_STATE, "not bound");
        assert_eq!(server.bind(local), STATUS_SUCCESS);
        assert_eq!(user.bind(local), STATUS_SUCCESS);
        assert_eq!(server.listen(), STATUS_SUCCESS);
        let to = server.local().unwrap();
        assert_eq!(user.connect(to), STATUS_SUCCESS);
        assert_eq!(
            server.connect(to),
            STATUS_INVALID_DEVICE_STATE,
            "it listens"
        );
        assert_eq!(
            user.listen(),
            STATUS_INVALID_DEVICE_STATE,
            "it is connected"
        );
        let accepted = server.accept().unwrap();
        let buffer = Buffer::of(b"over a stream");
        assert_eq!(user.send(buffer.all()), (STATUS_SUCCESS, 13));
        assert_eq!(
            accepted.receive_with(&buffer, WSK_FLAG_WAITALL),
            (STATUS_SUCCESS, 13)
        );
        buffer.free();
        accepted.close();
        user.close();
        server.close();
    });
}

#[test]
fn no_stream_sockets_on_an_older_windows() {
    let kernel = Kernel::builder().windows(10, 0, 14393).boot();
    let client = Client::new();
    let call = Call::new();
    let _ = client.start_socket(&call, Kind::tcp(AF_INET, WSK_FLAG_STREAM_SOCKET));
    assert_eq!(call.finish(), (STATUS_INVALID_PARAMETER, 0));
    client.leave();
    kernel.shutdown();
}

// What the judges see.

#[test]
fn listening_socket_taken_for_a_connection() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let listener = client.listening("127.0.0.1:0");
        let connection = client.connection(AF_INET);
        let buffer = Buffer::new(8);
        let _ = connection
            .taken_for(listener.raw())
            .start_receive(&Call::new(), buffer.all(), 0);
    })
    .tells("WskReceive was called for a socket of another category");
}

#[test]
fn place_for_an_address_freed() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let listener = client.listening("127.0.0.1:0");
        let place = Buffer::new(64);
        let call = Call::new();
        // SAFETY: the block has room for an address. Freeing it below breaks the rule; the kernel knows that the call
        // uses it, and stops before it is freed.
        let _ = unsafe {
            listener.start_accept_into(&call, core::ptr::null_mut(), place.memory().cast())
        };
        place.free();
    })
    .tells("the place for the remote address of a call in flight (WskAccept)");
}

#[test]
fn wrong_answer_to_an_accept_event() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let seen = Seen::new();
        seen.answer.store(STATUS_PENDING.0, Ordering::SeqCst);
        let listener = client.listener(AF_INET, seen.callbacks());
        let _ = listener.bind("127.0.0.1:0".parse().unwrap());
        let _ = listener.events(WSK_EVENT_ACCEPT);
        let _peer = connect(listener.local().unwrap());
        std::thread::sleep(Duration::from_secs(50));
    })
    .tells("WskAcceptEvent returned something else than");
}

#[test]
fn wrong_answer_to_an_inspection() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let seen = Seen::new();
        seen.action.store(77, Ordering::SeqCst);
        let listener = inspecting(&client, seen);
        let _peer = connect(listener.local().unwrap());
        std::thread::sleep(Duration::from_secs(50));
    })
    .tells("WskInspectEvent returned something else than");
}

#[test]
fn wrong_answer_to_an_abort_event() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let seen = Seen::new();
        seen.answer_to_abort
            .store(STATUS_UNSUCCESSFUL.0, Ordering::SeqCst);
        seen.action
            .store(WSK_INSPECT_ACTION::WskInspectPend.0, Ordering::SeqCst);
        let listener = inspecting(&client, seen);
        let peer = connect(listener.local().unwrap());
        // Somebody has to wait for the connection, so that it is inspected.
        let _waiting = listener.start_accept();
        let known = seen.take_inspected();
        reset(peer);
        std::thread::sleep(Duration::from_millis(200));
        let _ = listener.inspected(known, WSK_INSPECT_ACTION::WskInspectAccept);
        std::thread::sleep(Duration::from_secs(50));
    })
    .tells("WskAbortEvent returned something else than STATUS_SUCCESS");
}

#[test]
fn accepted_socket_left_open() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let listener = client.listening("127.0.0.1:0");
    let _peer = connect(listener.local().unwrap());
    let _ = listener.accept().unwrap();
    listener.close();
    let leaks = kernel.finish().unwrap_err().to_string();
    assert!(leaks.contains("socket#2"), "{leaks}");
    assert!(leaks.contains("accepting a connection"), "{leaks}");
}
