//! Stream sockets, which listen or connect, and connections that are inspected before they are made.

use std::sync::{Arc, Mutex};

use wsk::events::{
    AcceptEvent, ConnectionEvent, Incoming, Inspection, Pended, StreamIndication, StreamVerdict,
};
use wsk::option::KeepAlive;
use wsk::{ConnectedSocket, Error, Family, ListenSocket, Provider, StreamSocket};

use crate::everywhere;

fn stream(provider: &Provider) -> StreamSocket {
    let socket = StreamSocket::open(provider, Family::V4).unwrap();
    socket.bind(Family::V4.any()).unwrap();
    socket
}

#[test]
fn streams_become_something_else() {
    everywhere(|_, provider| {
        let (server, user) = (stream(provider), stream(provider));
        let started = server.set_option(KeepAlive(true)).start().unwrap();
        let listener = server.listen().unwrap();
        started.wait().unwrap().unwrap();
        let accept = listener.accept().start().unwrap();
        let to = listener.local_address().unwrap();
        let connected = user.connect(to).wait().unwrap();
        let (accepted, _) = accept.wait().unwrap().unwrap();
        connected.send(b"hello").wait().unwrap();
        let mut got = [0; 5];
        accepted.receive_all(&mut got).wait().unwrap();
        assert_eq!(&got, b"hello");
        let again = connected.clone();
        drop((connected, listener));
        again.close().unwrap();
        drop(accepted);
        // These neither listen nor connect.
        stream(provider).close().unwrap();
        drop(stream(provider));
        drop(stream(provider).into_connection());
        let unbound = StreamSocket::open(provider, Family::V4).unwrap();
        let (error, unbound) = unbound.listen().unwrap_err();
        assert_eq!(error, Error::NotBound);
        drop(unbound);
    });
}

/// A handler of both kinds of events, which keeps what it receives.
#[derive(Default)]
struct Both {
    bytes: Mutex<Vec<u8>>,
    accepted: Mutex<Vec<ConnectedSocket>>,
}

impl ConnectionEvent for Both {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        let mut bytes = vec![0; indication.len()];
        indication.copy_to(&mut bytes);
        self.bytes.lock().unwrap().extend(bytes);
        StreamVerdict::Consumed
    }
}

impl AcceptEvent for Both {
    fn accepted(&self, incoming: Incoming<'_>) {
        self.accepted.lock().unwrap().extend(incoming.accept());
    }
}

#[test]
fn handlers_of_streams_are_told_of_what_they_become() {
    everywhere(|_, provider| {
        let server = StreamSocket::open_with_events(provider, Family::V4, Both::default()).unwrap();
        server.bind(Family::V4.any()).unwrap();
        let listener = server.listen().unwrap();
        listener.enable_accept_events().unwrap();
        let user = StreamSocket::open_with_events(provider, Family::V4, Both::default()).unwrap();
        user.bind(Family::V4.any()).unwrap();
        let connected = user
            .connect(listener.local_address().unwrap())
            .wait()
            .unwrap();
        let accepted = &listener.handler::<Both>().unwrap().accepted;
        let accepted = accepted.lock().unwrap().pop().unwrap();
        connected.enable_events().unwrap();
        accepted.send(b"hello").wait().unwrap();
        connected.disable_events().unwrap();
        let both = connected.handler::<Both>().unwrap();
        assert_eq!(*both.bytes.lock().unwrap(), b"hello");
        drop((accepted, connected));
        listener.close().unwrap();
    });
}

/// A handler that keeps pended connections, in itself and elsewhere.
#[derive(Default)]
struct Guard {
    own: Mutex<Vec<Pended>>,
    others: Arc<Mutex<Vec<Pended>>>,
    next: Mutex<usize>,
}

impl AcceptEvent for Guard {
    fn inspect(&self, inspection: Inspection<'_>) {
        let mut next = self.next.lock().unwrap();
        *next += 1;
        match *next {
            1 => inspection.accept(),
            2 => inspection.reject(),
            3 => drop(inspection.pend().unwrap()),
            4 => self.own.lock().unwrap().extend(inspection.pend()),
            _ => self.others.lock().unwrap().extend(inspection.pend()),
        }
    }
}

#[test]
fn inspections_are_answered_or_dropped() {
    everywhere(|_, provider| {
        let others = Arc::<Mutex<Vec<Pended>>>::default();
        let guard = Guard {
            others: Arc::clone(&others),
            ..Guard::default()
        };
        let listener = ListenSocket::open_conditional(provider, Family::V4, guard).unwrap();
        listener.bind(Family::V4.any()).unwrap();
        let to = listener.local_address().unwrap();
        let connect = || ConnectedSocket::connect(provider, to).wait().unwrap();
        let accept = listener.accept().start().unwrap();
        let clients: Vec<_> = (0..8).map(|_| connect()).collect();
        let (socket, _) = accept.wait().unwrap().unwrap();
        socket.send(b"one").wait().unwrap();
        let waiting = || others.lock().unwrap().pop().unwrap();
        // Each answer is given. The last two connections outlive the listener.
        waiting().accept().wait().unwrap();
        let (socket, _) = listener.accept().wait().unwrap();
        drop(socket);
        waiting().reject().start().unwrap().wait().unwrap().unwrap();
        drop(listener);
        let error = waiting().accept().wait().unwrap_err();
        assert_eq!(error, Error::Closed);
        drop((waiting(), clients));
    });
}
