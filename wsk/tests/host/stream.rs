//! Stream sockets on the host kernel: a socket is opened and bound, and then connects or listens.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use wsk::events::{
    AcceptEvent, ConnectionEvent, Disconnection, Incoming, StreamIndication, StreamVerdict,
};
use wsk::ioctl::TcpInfo;
use wsk::option::{KeepAlive, V6Only};
use wsk::{Call, ConnectedSocket, Error, Family, Memory, NonPagedBuffer, Provider, StreamSocket};
use wsk_host::{DISPATCH_LEVEL, Kernel, Resource, at_irql};

use crate::setting::{
    FAST, LOOPBACK, PATIENCE, block_on, client, is_reset, kernels_at, on_each_kernel,
    on_each_seeded_kernel, until,
};

fn local() -> SocketAddr {
    LOOPBACK.parse().unwrap()
}

fn bound(provider: &Provider) -> StreamSocket {
    let socket = StreamSocket::open(provider, Family::V4).unwrap();
    socket.bind(local()).unwrap();
    socket
}

/// Checks that bytes travel in both directions.
fn talk(one: &ConnectedSocket, other: &ConnectedSocket) {
    for (from, to) in [(one, other), (other, one)] {
        assert_eq!(from.send(b"hello").wait(), Ok(5));
        let mut got = NonPagedBuffer::new(5).unwrap();
        assert_eq!(to.receive_all(&mut got).wait(), Ok(5));
        assert_eq!(got.as_slice(), b"hello");
    }
}

#[test]
fn one_listens_and_another_connects() {
    on_each_seeded_kernel(|kernel, provider| {
        let (server, user) = (bound(provider), bound(provider));
        server.set_option(KeepAlive(true)).wait().unwrap();
        assert_eq!(user.local_address().unwrap().ip(), local().ip());
        let to = server.local_address().unwrap();
        let listener = server.listen().unwrap();
        assert_eq!(listener.local_address(), Ok(to));
        assert_eq!(listener.option().wait(), Ok(KeepAlive(true)));
        let accept = listener.accept().start().unwrap();
        let connected = user.connect(to).wait().unwrap();
        let (accepted, from) = accept.wait().unwrap().unwrap();
        assert_eq!(connected.local_address(), Ok(from));
        assert_eq!(connected.remote_address(), Ok(to));
        assert!(connected.ioctl(TcpInfo).wait().is_ok());
        talk(&connected, &accepted);
        // Afterwards the handles behave like those of other sockets.
        let again = connected.clone();
        assert_eq!(connected.close(), Err(Error::InUse));
        talk(&again, &accepted);
        again.disconnect().wait().unwrap();
        accepted.disconnect().wait().unwrap();
        let mut rest = [0; 1];
        assert_eq!(again.receive(&mut rest).wait(), Ok(0));
        again.close().unwrap();
        let other = listener.clone();
        drop(listener);
        let _peer = TcpStream::connect(to).unwrap();
        other.accept().wait().unwrap();
        other.close().unwrap();
        drop(accepted);
        until("the closes", || kernel.counts().sockets.live == 0);
    });
}

#[test]
fn a_stream_socket_connects_with_each_finisher() {
    on_each_seeded_kernel(|_, provider| {
        let peer = TcpListener::bind(LOOPBACK).unwrap();
        let to = peer.local_addr().unwrap();
        let connected = bound(provider).connect(to).wait_timeout(PATIENCE).unwrap();
        assert_eq!(connected.remote_address(), Ok(to));
        let started = at_irql(DISPATCH_LEVEL, || {
            bound_elsewhere(provider).connect(to).start()
        });
        assert!(started.unwrap().wait().unwrap().is_ok());
        assert!(block_on(async { bound(provider).connect(to).await }).is_ok());
        let (sender, ended) = channel();
        bound(provider)
            .connect(to)
            .start_with(move |end| drop(sender.send(end.map(|_| ()))))
            .unwrap();
        assert!(ended.recv_timeout(PATIENCE).unwrap().is_ok());
        let scoped = wsk::scope(|s| {
            let started = bound(provider).connect(to).start_in(s).unwrap();
            started.wait().is_ok()
        });
        assert_eq!(scoped, Ok(true));
        let sent = bound(provider).connect(to).with_first_data(b"first").wait();
        assert!(sent.is_ok());
    });
}

/// A socket that another thread has bound at `PASSIVE_LEVEL`, whatever the caller's IRQL.
fn bound_elsewhere(provider: &Provider) -> StreamSocket {
    std::thread::scope(|threads| threads.spawn(|| bound(provider)).join().unwrap())
}

#[test]
fn what_fails_gives_the_socket_back() {
    on_each_seeded_kernel(|kernel, provider| {
        let socket = StreamSocket::open(provider, Family::V4).unwrap();
        let (error, socket) = socket.listen().unwrap_err();
        assert_eq!(error, Error::NotBound);
        let (error, socket) = at_irql(DISPATCH_LEVEL, || socket.listen()).unwrap_err();
        assert!(matches!(error, Error::WrongIrql { .. }));
        socket.bind(local()).unwrap();
        let listener = socket.listen().unwrap();
        listener.close().unwrap();

        let socket = StreamSocket::open(provider, Family::V4).unwrap();
        let refused = socket.connect(local()).wait().unwrap_err();
        assert_eq!(refused.error, Error::NotBound);
        // The socket can still connect, but not listen.
        let socket = refused.socket.unwrap();
        socket.bind(local()).unwrap();
        let refused = socket.connect(local()).wait().unwrap_err();
        assert_eq!(refused.error, Error::PortZero);
        let peer = TcpListener::bind(LOOPBACK).unwrap();
        let to = peer.local_addr().unwrap();
        assert!(refused.socket.unwrap().connect(to).wait().is_ok());
        until("the closes", || kernel.counts().sockets.live == 0);
    });
}

#[test]
fn what_becomes_nothing_is_closed() {
    on_each_seeded_kernel(|kernel, provider| {
        bound(provider).close().unwrap();
        at_irql(DISPATCH_LEVEL, || drop(bound_elsewhere(provider)));
        drop(bound(provider).into_connection());
        let dual = StreamSocket::open(provider, Family::Dual).unwrap();
        assert_eq!(dual.option().wait(), Ok(V6Only(false)));
        // The socket is forced closed before it connects or listens.
        kernel.force_close_sockets();
        assert!(dual.bind(Family::Dual.any()).unwrap_err().must_close());
        let error = dual.listen().map(drop).unwrap_err().0;
        assert!(error.must_close() || error == Error::NotBound);
        until("the closes", || kernel.counts().sockets.live == 0);
    });
}

/// A request of a stream socket may complete after the socket has started to connect or listen.
#[test]
fn operations_in_flight_outlast_what_the_socket_was() {
    on_each_seeded_kernel(|_, provider| {
        let socket = bound(provider);
        let started = socket.option::<KeepAlive>().start().unwrap();
        let connection = socket.into_connection();
        assert_eq!(started.wait().unwrap(), Ok(KeepAlive(false)));
        connection.set_option(KeepAlive(true)).wait().unwrap();
        let mut prepared = connection.option::<KeepAlive>().prepare().unwrap();
        assert_eq!(prepared.wait(), Ok(KeepAlive(true)));
        drop(connection);
        assert_eq!(prepared.wait(), Ok(KeepAlive(true)));
    });
}

#[derive(Debug, PartialEq)]
enum Told {
    Bytes(Vec<u8>),
    Gone,
    Came(SocketAddr),
    Closed,
}

/// A handler of both kinds of events.
struct Handler {
    tell: Mutex<Sender<Told>>,
    accepted: Mutex<Vec<ConnectedSocket>>,
    drops: Arc<AtomicUsize>,
}

impl Handler {
    fn tell(&self, told: Told) {
        let _ = self.tell.lock().unwrap().send(told);
    }
}

impl ConnectionEvent for Handler {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        assert!(
            indication
                .socket()
                .is_none_or(|socket| socket.handler::<Self>().is_some())
        );
        let mut bytes = vec![0; indication.len()];
        indication.copy_to(&mut bytes);
        self.tell(Told::Bytes(bytes));
        StreamVerdict::Consumed
    }

    fn disconnected(&self, _: &Disconnection<'_>) {
        self.tell(Told::Gone);
    }

    fn closed(&self) {
        self.tell(Told::Closed);
    }
}

impl AcceptEvent for Handler {
    fn accepted(&self, incoming: Incoming<'_>) {
        let listener = incoming.listener();
        assert!(listener.is_none_or(|listener| listener.handler::<Self>().is_some()));
        let from = incoming.remote_address().unwrap();
        let socket = incoming.accept().unwrap();
        self.accepted.lock().unwrap().push(socket);
        self.tell(Told::Came(from));
    }

    fn closed(&self) {
        self.tell(Told::Closed);
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

fn told(provider: &Provider) -> (StreamSocket, Receiver<Told>, Arc<AtomicUsize>) {
    let (sender, told) = channel();
    let drops = Arc::new(AtomicUsize::new(0));
    let handler = Handler {
        tell: Mutex::new(sender),
        accepted: Mutex::default(),
        drops: drops.clone(),
    };
    let socket = StreamSocket::open_with_events(provider, Family::V4, handler).unwrap();
    assert!(socket.handler::<Handler>().is_some());
    socket.bind(local()).unwrap();
    (socket, told, drops)
}

#[test]
fn events_are_those_of_what_the_socket_has_become() {
    on_each_seeded_kernel(|kernel, provider| {
        let peer = TcpListener::bind(LOOPBACK).unwrap();
        let (socket, heard, drops) = told(provider);
        let connected = socket.connect(peer.local_addr().unwrap()).wait().unwrap();
        connected.enable_events().unwrap();
        let (mut peer, _) = peer.accept().unwrap();
        peer.write_all(b"hello").unwrap();
        let first = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(first, Told::Bytes(b"hello".to_vec()));
        drop(peer);
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(Told::Gone));
        assert!(connected.handler::<Handler>().is_some());
        connected.close().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);

        let (socket, heard, drops) = told(provider);
        let listener = socket.listen().unwrap();
        listener.enable_accept_events().unwrap();
        let mut peer = TcpStream::connect(listener.local_address().unwrap()).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let came = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(came, Told::Came(peer.local_addr().unwrap()));
        let accepted = {
            let handler = listener.handler::<Handler>().unwrap();
            handler.accepted.lock().unwrap().pop().unwrap()
        };
        accepted.send(b"hi").wait().unwrap();
        let mut got = [0; 2];
        peer.read_exact(&mut got).unwrap();
        drop(accepted);
        assert!(is_reset(&mut peer));
        drop(listener);
        until("the handler's drop", || drops.load(Ordering::SeqCst) == 1);

        // The other events are never called, and the handler is dropped.
        let (socket, heard, drops) = told(provider);
        drop(socket);
        until("the handler's drop", || drops.load(Ordering::SeqCst) == 1);
        assert!(heard.recv().is_err());

        let (socket, heard, _) = told(provider);
        let listener = socket.listen().unwrap();
        listener.enable_accept_events().unwrap();
        kernel.force_close_sockets();
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(Told::Closed));
        listener.close().unwrap();
    });
}

#[test]
fn an_older_windows_has_none() {
    let kernel = Kernel::builder().windows(10, 0, 14393).boot();
    let (registration, provider) = client();
    let error = StreamSocket::open(&provider, Family::V4).unwrap_err();
    assert_eq!(error, Error::NoEntry { entry: "WskListen" });
    drop((provider, registration));
    kernel.shutdown();
}

/// One table has `WskSendEx` and `WskReceiveEx`, the other ends before them.
#[test]
fn the_first_windows_with_stream_sockets_has_fewer_functions() {
    for build in [15063, 17134] {
        let kernel = Kernel::builder().windows(10, 0, build).boot();
        let (registration, provider) = client();
        let (server, user) = (bound(&provider), bound(&provider));
        let listener = server.listen().unwrap();
        let accept = listener.accept().start().unwrap();
        let to = listener.local_address().unwrap();
        let connected = user.connect(to).wait().unwrap();
        let (accepted, _) = accept.wait().unwrap().unwrap();
        talk(&connected, &accepted);
        drop((connected, accepted, listener, provider, registration));
        kernel.shutdown();
    }
}

#[test]
fn all_that_a_stream_socket_needs_is_there_when_it_is_opened() {
    on_each_kernel(|kernel, provider| {
        let mut failures = 0;
        let socket = loop {
            kernel.fail_nth_allocation(failures + 1);
            let opened = StreamSocket::open(provider, Family::V4);
            kernel.fail_nth_allocation(u64::MAX);
            match opened {
                Ok(socket) => break socket,
                Err(error) => assert!(matches!(error, Error::NoMemory(_)), "{error}"),
            }
            failures += 1;
        };
        assert!(failures >= 6, "only {failures} allocations");
        socket.bind(local()).unwrap();
        kernel.fail_nth_allocation(1);
        let listener = socket.listen().unwrap();
        kernel.fail_nth_allocation(u64::MAX);
        listener.close().unwrap();
        // A failed connect returns the socket, which can only connect from then on.
        let peer = TcpListener::bind(LOOPBACK).unwrap();
        let to = peer.local_addr().unwrap();
        let connection = bound(provider).into_connection();
        kernel.fail_nth_allocation(1);
        let refused = connection.connect(to).start().unwrap_err();
        assert_eq!(refused.error, Error::NoMemory(Memory::Irp));
        assert!(refused.socket.unwrap().connect(to).wait().is_ok());
        // The same holds if WSK refuses the call.
        let socket = bound(provider);
        kernel.fail_nth_call(1);
        let (error, socket) = socket.listen().unwrap_err();
        assert_eq!(error.call(), Some(Call::WskListen));
        socket.listen().unwrap().close().unwrap();
    });
}

#[test]
fn a_provider_that_keeps_the_irp_of_listening() {
    for kernel in kernels_at(FAST) {
        let (registration, provider) = client();
        let socket = bound(&provider);
        kernel.fail_nth(Resource::Completion, 1);
        let (error, socket) = socket.listen().unwrap_err();
        assert!(matches!(error, Error::Abandoned { .. }), "{error}");
        // The socket starts to connect or listen while the provider still has the IRP.
        let connection = socket.into_connection();
        assert_eq!(kernel.complete_withheld(), 1);
        drop((connection, provider, registration));
        kernel.shutdown();
    }
}
