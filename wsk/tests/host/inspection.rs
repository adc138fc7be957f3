//! Conditional accept on the host kernel: the driver inspects connections before it accepts them.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use socket2::SockRef;
use wsk::events::{AcceptEvent, Incoming, InspectId, Inspection, Pended};
use wsk::ioctl::QueryInspectId;
use wsk::{Call, ConnectedSocket, Error, Family, ListenSocket, Memory, NTSTATUS, Provider};
use wsk_host::{DISPATCH_LEVEL, Kernel, Resource, at_irql, current_irql};
use wsk_sys::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_DEVICE_STATE,
};

use crate::setting::{
    FAST, LOOPBACK, MOMENT, PATIENCE, client, is_reset, kernels_at, on_each_kernel,
    on_each_seeded_kernel, until,
};

/// How a guard answers an inspection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    Accept,
    Reject,
    /// Returns without an answer.
    Ignore,
    /// Pends the connection, and sends it to the test.
    Pend,
    /// Pends the connection, and keeps it in the handler.
    Keep,
    /// Pends the connection, and drops it in the callback.
    PendAndDrop,
    /// Fails to pend the connection, because memory runs out.
    Starve,
}

#[derive(Debug)]
enum Told {
    Asked(InspectId),
    Pended(Pended, SocketAddr),
    Aborted(InspectId),
    Came(ConnectedSocket),
    Closed,
}

struct Guard {
    habit: Mutex<Habit>,
    kept: Mutex<Vec<Pended>>,
    tell: Mutex<Sender<Told>>,
    drops: Arc<AtomicUsize>,
}

impl Guard {
    fn tell(&self, told: Told) {
        let _ = self.tell.lock().unwrap().send(told);
    }
}

impl AcceptEvent for Guard {
    fn accepted(&self, incoming: Incoming<'_>) {
        self.tell(Told::Came(incoming.accept().unwrap()));
    }

    fn inspect(&self, inspection: Inspection<'_>) {
        assert_eq!(current_irql(), DISPATCH_LEVEL);
        let listener = inspection.listener().map(|listener| listener.share());
        assert_ne!(listener, Some(false), "the handle must be of the listener");
        assert!(inspection.remote_address().unwrap().ip().is_loopback());
        assert!(inspection.local_address().unwrap().ip().is_loopback());
        let habit = *self.habit.lock().unwrap();
        let (id, from) = (inspection.id(), inspection.remote_address().unwrap());
        match habit {
            Habit::Accept => inspection.accept(),
            Habit::Reject => inspection.reject(),
            Habit::Ignore => {}
            Habit::Pend => {
                let pended = inspection.pend().unwrap();
                assert_eq!(pended.id(), id);
                return self.tell(Told::Pended(pended, from));
            }
            Habit::Keep => self.kept.lock().unwrap().push(inspection.pend().unwrap()),
            Habit::PendAndDrop => drop(inspection.pend()),
            Habit::Starve => {
                let error = inspection.pend().unwrap_err();
                assert_eq!(error, Error::NoMemory(Memory::Irp));
            }
        }
        self.tell(Told::Asked(id));
    }

    fn aborted(&self, id: InspectId) {
        self.kept.lock().unwrap().retain(|kept| kept.id() != id);
        self.tell(Told::Aborted(id));
    }

    fn closed(&self) {
        self.tell(Told::Closed);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

/// Tests whether a listener has a guard as its handler.
trait Share {
    fn share(&self) -> bool;
}

impl Share for ListenSocket {
    fn share(&self) -> bool {
        self.handler::<Guard>().is_some()
    }
}

fn guarded(
    provider: &Provider,
    habit: Habit,
) -> (ListenSocket, SocketAddr, Receiver<Told>, Arc<AtomicUsize>) {
    let (sender, told) = channel();
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = Guard {
        habit: Mutex::new(habit),
        kept: Mutex::new(Vec::new()),
        tell: Mutex::new(sender),
        drops: drops.clone(),
    };
    let listener = ListenSocket::open_conditional(provider, Family::V4, guard).unwrap();
    listener
        .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
        .unwrap();
    let local = listener.local_address().unwrap();
    (listener, local, told, drops)
}

fn connect(to: SocketAddr) -> TcpStream {
    let peer = TcpStream::connect(to).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

fn asked(told: &Receiver<Told>) -> InspectId {
    match told.recv_timeout(PATIENCE).unwrap() {
        Told::Asked(id) => id,
        other => panic!("{other:?}"),
    }
}

fn pended(told: &Receiver<Told>) -> Pended {
    match told.recv_timeout(PATIENCE).unwrap() {
        Told::Pended(pended, _) => pended,
        other => panic!("{other:?}"),
    }
}

/// Resets the connection, like a peer that gives up.
fn give_up(peer: TcpStream) {
    SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(peer);
}

#[test]
fn connections_are_accepted_or_rejected_before_they_are_made() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local, told, drops) = guarded(provider, Habit::Accept);
        let accept = listener.accept().start().unwrap();
        let peer = connect(local);
        let id = asked(&told);
        let (socket, from) = accept.wait().unwrap().unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        assert_eq!(socket.ioctl(QueryInspectId).wait(), Ok(id));

        *listener.handler::<Guard>().unwrap().habit.lock().unwrap() = Habit::Reject;
        let mut accept = listener.accept().start().unwrap();
        for habit in [Habit::Reject, Habit::Ignore, Habit::PendAndDrop] {
            *listener.handler::<Guard>().unwrap().habit.lock().unwrap() = habit;
            let mut peer = connect(local);
            assert_ne!(
                asked(&told),
                id,
                "each connection has an identifier of its own"
            );
            assert!(is_reset(&mut peer), "{habit:?}");
            accept = accept.try_take().unwrap_err();
        }
        // Accept events get accepted connections, too.
        accept.cancel();
        assert!(accept.wait().unwrap().is_err());
        *listener.handler::<Guard>().unwrap().habit.lock().unwrap() = Habit::Accept;
        listener.enable_accept_events().unwrap();
        let peer = connect(local);
        let id = asked(&told);
        let Told::Came(socket) = told.recv_timeout(PATIENCE).unwrap() else {
            panic!("an accepted connection must arrive after its inspection");
        };
        assert_eq!(socket.remote_address(), Ok(peer.local_addr().unwrap()));
        assert_eq!(socket.ioctl(QueryInspectId).wait(), Ok(id));
        listener.close().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn what_is_pended_is_answered_from_anywhere() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local, told, _) = guarded(provider, Habit::Pend);
        let accept = listener.accept().start().unwrap();
        let (accepted, mut rejected, mut dropped) =
            (connect(local), connect(local), connect(local));
        let mut waiting = HashMap::new();
        while waiting.len() < 3 {
            match told.recv_timeout(PATIENCE).unwrap() {
                Told::Pended(pended, from) => _ = waiting.insert(from, pended),
                other => panic!("{other:?}"),
            }
        }
        assert!(!accept.is_completed());
        let mut of = |peer: &TcpStream| waiting.remove(&peer.local_addr().unwrap()).unwrap();
        let (first, second, third) = (of(&accepted), of(&rejected), of(&dropped));
        at_irql(DISPATCH_LEVEL, || drop(third));
        let answer = std::thread::spawn(move || {
            let id = first.id();
            let started = at_irql(DISPATCH_LEVEL, || first.accept().start()).unwrap();
            started.wait().map_err(|(error, _)| error).unwrap().unwrap();
            id
        });
        second.reject().wait().unwrap();
        let id = answer.join().unwrap();
        let (socket, from) = accept.wait().unwrap().unwrap();
        assert_eq!(from, accepted.local_addr().unwrap());
        assert_eq!(socket.ioctl(QueryInspectId).wait(), Ok(id));
        assert!(is_reset(&mut rejected));
        assert!(is_reset(&mut dropped));
    });
}

#[test]
fn an_answer_goes_on_when_its_operation_is_dropped_and_rejects_when_it_is_cancelled() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local, told, _) = guarded(provider, Habit::Pend);
        let accept = listener.accept().start().unwrap();
        let peer = connect(local);
        drop(pended(&told).accept().start().unwrap());
        let (_socket, from) = accept.wait().unwrap().unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        // In both cases the connection gets an answer.
        let accept = listener.accept().start().unwrap();
        let mut peer = connect(local);
        let answer = pended(&told).accept().start().unwrap();
        answer.cancel();
        match answer.wait().unwrap() {
            Ok(()) => drop(accept.wait().unwrap().unwrap()),
            Err(_) => assert!(is_reset(&mut peer)),
        }
    });
}

#[test]
fn a_peer_that_gives_up_is_told() {
    on_each_seeded_kernel(|_, provider| {
        let (listener, local, told, _) = guarded(provider, Habit::Pend);
        let accept = listener.accept().start().unwrap();
        let peer = connect(local);
        let pended = pended(&told);
        let id = pended.id();
        give_up(peer);
        std::thread::sleep(MOMENT);
        // The provider decides whether that is an error.
        let _ = pended.accept().wait();
        match told.recv_timeout(PATIENCE).unwrap() {
            Told::Aborted(aborted) => assert_eq!(aborted, id),
            other => panic!("{other:?}"),
        }
        assert!(!accept.is_completed());
    });
}

#[test]
fn a_listener_closes_though_connections_are_pended() {
    on_each_seeded_kernel(|kernel, provider| {
        // The test holds the pended connections.
        let (listener, local, told, drops) = guarded(provider, Habit::Pend);
        let accept = listener.accept().start().unwrap();
        let (mut first, mut second) = (connect(local), connect(local));
        let (one, other) = (pended(&told), pended(&told));
        listener.close().unwrap();
        assert!(accept.wait().unwrap().is_err());
        assert!(is_reset(&mut first) && is_reset(&mut second));
        assert_eq!(
            drops.load(Ordering::SeqCst),
            1,
            "closing has dropped the handler"
        );
        assert_eq!(one.accept().wait(), Err(Error::Closed));
        assert_eq!(
            NTSTATUS::from(Error::Closed),
            STATUS_INVALID_DEVICE_STATE,
            "{}",
            Error::Closed
        );
        drop(other);

        // The handler holds them, and nobody waits.
        let (listener, local, told, drops) = guarded(provider, Habit::Keep);
        let accept = listener.accept().start().unwrap();
        let mut peer = connect(local);
        asked(&told);
        drop(listener);
        assert!(accept.wait().unwrap().is_err());
        assert!(is_reset(&mut peer));
        until("the handler's drop", || drops.load(Ordering::SeqCst) == 1);
        until("the closes", || kernel.counts().sockets.live == 0);
    });
}

#[test]
fn answers_race_with_closing() {
    on_each_seeded_kernel(|kernel, provider| {
        for _ in 0..20 {
            let (listener, local, told, _) = guarded(provider, Habit::Pend);
            let accept = listener.accept().start().unwrap();
            let _peers = [connect(local), connect(local)];
            let (one, other) = (pended(&told), pended(&told));
            let answers = std::thread::spawn(move || {
                drop(other);
                one.accept().wait()
            });
            drop(listener);
            // The answer comes in time, or the connection is closed, or closing cancels the answer.
            let _ = answers.join().unwrap();
            drop(accept);
        }
        until("the closes", || kernel.counts().sockets.live == 0);
    });
}

#[test]
fn a_conditional_listener_that_is_forced_closed_says_so() {
    on_each_seeded_kernel(|kernel, provider| {
        let (listener, local, told, _) = guarded(provider, Habit::Pend);
        let accept = listener.accept().start().unwrap();
        let _peer = connect(local);
        let pended = pended(&told);
        kernel.force_close_sockets();
        assert!(matches!(told.recv_timeout(PATIENCE).unwrap(), Told::Closed));
        assert!(accept.wait().unwrap().unwrap_err().must_close());
        assert!(pended.accept().wait().unwrap_err().must_close());
        listener.close().unwrap();
    });
}

#[test]
fn nothing_is_inspected_unless_it_is_asked_for() {
    on_each_seeded_kernel(|_, provider| {
        let (sender, told) = channel();
        let guard = Guard {
            habit: Mutex::new(Habit::Reject),
            kept: Mutex::new(Vec::new()),
            tell: Mutex::new(sender),
            drops: Arc::default(),
        };
        let listener = ListenSocket::open_with_events(provider, Family::V4, guard).unwrap();
        listener
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let _peer = connect(listener.local_address().unwrap());
        let (socket, _) = listener.accept().wait().unwrap();
        assert!(told.recv_timeout(MOMENT).is_err());
        let error = socket.ioctl(QueryInspectId).wait().unwrap_err();
        assert_eq!(error.status(), Some(STATUS_INVALID_DEVICE_REQUEST));
    });
}

#[test]
fn without_memory_a_connection_is_rejected() {
    on_each_kernel(|kernel, provider| {
        let (listener, local, told, _) = guarded(provider, Habit::Starve);
        let accept = listener.accept().start().unwrap();
        kernel.fail_nth(Resource::Pool, 1);
        let mut peer = connect(local);
        asked(&told);
        assert!(is_reset(&mut peer));
        // Rejecting a pended connection needs no memory.
        *listener.handler::<Guard>().unwrap().habit.lock().unwrap() = Habit::Pend;
        for how in 0..2 {
            let mut peer = connect(local);
            let pended = pended(&told);
            kernel.fail_nth(Resource::Pool, 1);
            if how == 0 {
                drop(pended);
                kernel.fail_nth(Resource::Pool, u64::MAX);
            } else {
                // The answer needs an operation. Without one, the connection is rejected.
                let error = pended.accept().start().unwrap_err();
                assert_eq!(error, Error::NoMemory(Memory::Irp));
            }
            assert!(is_reset(&mut peer));
        }
        assert!(!accept.is_completed());
        // If the provider refuses an answer, nothing is left behind.
        let _peer = connect(local);
        let pended = pended(&told);
        kernel.fail_nth_call(1);
        assert_eq!(
            pended.accept().wait(),
            Err(Error::Call {
                call: Call::WskInspectComplete,
                status: STATUS_INSUFFICIENT_RESOURCES
            })
        );
    });
}

fn opens(provider: &Provider) -> Result<(), Error> {
    let quiet = |_: Incoming<'_>| {};
    ListenSocket::open_conditional(provider, Family::V4, quiet).map(drop)
}

#[test]
fn a_conditional_listener_is_opened_whole_or_not_at_all() {
    on_each_kernel(|kernel, provider| {
        let mut failures = 0;
        for nth in 1.. {
            kernel.fail_nth_allocation(nth);
            let opened = opens(provider);
            kernel.fail_nth_allocation(u64::MAX);
            match opened {
                Ok(()) => break,
                Err(error) => assert!(matches!(error, Error::NoMemory(_)), "{error}"),
            }
            failures += 1;
        }
        assert!(failures >= 4, "only {failures} allocations");
        for (nth, call) in [(1, Call::WskSocket), (2, Call::WskControlSocket)] {
            kernel.fail_nth_call(nth);
            assert_eq!(opens(provider).unwrap_err().call(), Some(call));
        }
        until("the closes", || kernel.counts().sockets.live == 0);
    });
}

#[test]
fn a_provider_that_keeps_the_irp_of_an_answer() {
    for kernel in kernels_at(FAST) {
        let (registration, provider) = client();
        let (listener, local, told, _) = guarded(&provider, Habit::Pend);
        let accept = listener.accept().start().unwrap();
        let _peers = [connect(local), connect(local)];
        let (one, other) = (pended(&told), pended(&told));
        keeps_the_next(&kernel);
        drop(one);
        keeps_the_next(&kernel);
        let error = other.accept().wait().unwrap_err();
        assert!(matches!(error, Error::Abandoned { .. }), "{error}");
        // Requests that are not over hold the listener.
        assert_eq!(listener.close(), Err(Error::InUse));
        assert_eq!(kernel.complete_withheld(), 2);
        assert!(
            accept.wait().unwrap().is_err(),
            "the last handle was dropped"
        );
        drop((provider, registration));
        kernel.shutdown();
    }
}

/// Makes the provider keep the next IRP.
fn keeps_the_next(kernel: &Kernel) {
    kernel.fail_nth(Resource::Completion, 1);
}

/// A handler that closes its listener in the callback, and answers afterwards.
struct Leaver {
    own: Arc<Mutex<Option<ListenSocket>>>,
    said: Mutex<Sender<Option<Error>>>,
    drops: Arc<AtomicUsize>,
}

impl AcceptEvent for Leaver {
    fn inspect(&self, inspection: Inspection<'_>) {
        let listener = inspection.listener();
        let pended = inspection.pend().unwrap();
        drop(listener);
        drop(self.own.lock().unwrap().take());
        let answered = pended.accept().start();
        let _ = self.said.lock().unwrap().send(answered.map(drop).err());
    }
}

impl Drop for Leaver {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_handler_may_close_its_listener_while_it_inspects() {
    on_each_seeded_kernel(|kernel, provider| {
        let (said, heard) = channel();
        let (own, drops) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
        let handler = Leaver {
            own: own.clone(),
            said: Mutex::new(said),
            drops: drops.clone(),
        };
        let listener = ListenSocket::open_conditional(provider, Family::V4, handler).unwrap();
        listener
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let local = listener.local_address().unwrap();
        let accept = listener.accept().start().unwrap();
        *own.lock().unwrap() = Some(listener);
        let mut peer = connect(local);
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), Some(Error::Closed));
        assert!(is_reset(&mut peer));
        assert!(accept.wait().unwrap().is_err());
        until("the handler's drop", || drops.load(Ordering::SeqCst) == 1);
        until("the close", || kernel.counts().sockets.live == 0);
    });
}

#[test]
fn an_answer_that_is_waited_for_allocates_its_operation() {
    on_each_kernel(|kernel, provider| {
        let (listener, local, told, _) = guarded(provider, Habit::Pend);
        let accept = listener.accept().start().unwrap();
        let _peer = connect(local);
        let pended = pended(&told);
        let before = kernel.counts().allocations();
        pended.reject().wait().unwrap();
        assert_eq!(kernel.counts().allocations() - before, 1);
        drop((accept, listener));
    });
}
