//! Runs the code of `wsk` over the small kernel: under `cargo miri test -p wsk-miri`, Miri checks each memory access. Each test
//! runs for each manner in which a provider may complete a request.

mod callbacks;
mod chains;
mod connections;
mod datagrams;
mod events;
mod extended;
mod futures;
mod listeners;
mod lost;
mod pools;
mod prepared;
mod resolution;
mod scopes;
mod state;

use std::env::VarError;
use std::future::IntoFuture;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use wsk::{DatagramSocket, Family, ListenSocket, Provider, Registration, Wait};
use wsk_miri::{Kernel, Manner};

/// Names the manners of a run: `fixed` or `mixed`. All are run without it.
const VARIABLE: &str = "WSK_MIRI_MANNERS";

/// The manners in which requests complete without the test's help. The mixture differs each time, or with each seed of Miri: so one seed is
/// enough for the manners that are fixed, and each further one runs the mixture only.
fn manners() -> Vec<Manner> {
    let fixed = [Manner::Inline, Manner::Thread];
    let mixed = || {
        let seed = RandomState::new().build_hasher().finish();
        println!("mixed by {seed}");
        Manner::Mixed(seed)
    };
    match std::env::var(VARIABLE).as_deref() {
        Ok("fixed") => fixed.into(),
        Ok("mixed") => vec![mixed()],
        Err(VarError::NotPresent) => fixed.into_iter().chain([mixed()]).collect(),
        other => panic!("{VARIABLE} names no manners: {other:?}"),
    }
}

/// Runs a test in a manner, with a kernel, and the provider captured from it.
fn within(manner: Manner, test: impl FnOnce(&Kernel, &Provider)) {
    leaving(0, manner, test);
}

/// Like [`within`], for tests that leave `blocks` blocks of pool behind.
fn leaving(blocks: usize, manner: Manner, test: impl FnOnce(&Kernel, &Provider)) {
    let kernel = Kernel::boot(manner);
    let registration = Registration::new().unwrap();
    let provider = registration.capture(Wait::Forever).unwrap();
    test(&kernel, &provider);
    drop((provider, registration));
    kernel.shutdown_with(blocks);
}

/// Runs a test in every manner in which requests complete without its help.
fn everywhere(test: impl Fn(&Kernel, &Provider)) {
    for manner in manners() {
        within(manner, &test);
    }
}

/// A socket with its own port, and its address.
fn socket(provider: &Provider) -> (DatagramSocket, SocketAddr) {
    let socket = DatagramSocket::open(provider, Family::V4).unwrap();
    socket.bind(Family::V4.any()).unwrap();
    let address = socket.local_address().unwrap();
    (socket, address)
}

/// A listening socket with its own port, and its address.
fn listener(provider: &Provider) -> (ListenSocket, SocketAddr) {
    let listener = ListenSocket::open(provider, Family::V4).unwrap();
    listener.bind(Family::V4.any()).unwrap();
    let address = listener.local_address().unwrap();
    (listener, address)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn waker() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

/// Waits for a future.
fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    let waker = waker();
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls a future once.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(&waker()))
}
