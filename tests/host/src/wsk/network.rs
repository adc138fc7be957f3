//! The thread that watches the host's sockets and hands their events to the provider. Stands for the network's receive interrupts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use polling::{Event, Events, Poller};

use super::socket::Socket;
use crate::waits;

struct Network {
    poller: Poller,
    watched: Mutex<HashMap<usize, Weak<Socket>>>,
    stopping: AtomicBool,
}

static NETWORK: RwLock<Option<Arc<Network>>> = RwLock::new(None);
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

fn network() -> Option<Arc<Network>> {
    NETWORK.read().clone()
}

/// Starts the thread.
pub(crate) fn start() {
    let poller = Poller::new().expect("the host has a way to poll");
    let network = Arc::new(Network {
        poller,
        watched: Mutex::new(HashMap::new()),
        stopping: AtomicBool::new(false),
    });
    *NETWORK.write() = Some(network.clone());
    let thread = std::thread::Builder::new()
        .name("network".into())
        .spawn(move || run(&network))
        .expect("the host has threads");
    *THREAD.lock() = Some(thread);
}

fn run(network: &Network) {
    let mut events = Events::new();
    while !network.stopping.load(Ordering::SeqCst) {
        events.clear();
        if network.poller.wait(&mut events, None).is_err() {
            continue;
        }
        for event in events.iter() {
            let socket = network
                .watched
                .lock()
                .get(&event.key)
                .and_then(Weak::upgrade);
            if let Some(socket) = socket {
                socket.ready(event.is_interrupt() || event.is_err() == Some(true));
            }
        }
    }
}

/// Stops the thread.
pub(crate) fn stop() {
    let Some(network) = NETWORK.write().take() else {
        return;
    };
    network.stopping.store(true, Ordering::SeqCst);
    let _ = network.poller.notify();
    if let Some(thread) = THREAD.lock().take() {
        waits::join(thread, "an event callback");
    }
}

/// Adds a socket to the poller, which does not watch it yet.
pub(crate) fn add(socket: &Arc<Socket>, real: &socket2::Socket) -> std::io::Result<()> {
    let Some(network) = network() else {
        return Ok(());
    };
    let key = socket.number();
    network.watched.lock().insert(key, Arc::downgrade(socket));
    // SAFETY: `remove` is called before the host's socket is closed.
    unsafe { network.poller.add(real, Event::none(key)) }
}

/// The events to watch a socket for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Interest {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The connection breaks, even while the socket is not watched for reading or writing.
    pub(crate) breaking: bool,
}

/// Watches a socket, until the next event.
pub(crate) fn watch(key: usize, real: &socket2::Socket, interest: Interest) {
    let Some(network) = network() else { return };
    let mut event = Event::new(key, interest.readable, interest.writable);
    event.set_interrupt(interest.breaking);
    let _ = network.poller.modify(real, event);
}

/// Forgets a socket that is about to be closed.
pub(crate) fn remove(key: usize, real: &socket2::Socket) {
    if let Some(network) = network()
        && network.watched.lock().remove(&key).is_some()
    {
        let _ = network.poller.delete(real);
    }
}
