//! The environment of the tests: kernels, a driver on each, sockets of the host that it talks to, and waiting for conditions.

use std::future::Future;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use wsk::{
    DatagramSocket, Error, Extent, Family, Lock, NonPagedBuffer, Provider, ReceiveBuffer,
    Registration, SendBuffer, Wait,
};
use wsk_host::{Completion, Kernel};

/// The address to which sockets are bound.
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

/// The time within which something that must happen has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The time for which a test waits to see that something does not happen.
pub(crate) const MOMENT: Duration = Duration::from_millis(30);

/// Speeds up time in tests where an IRP never completes, so that the crate gives up soon.
pub(crate) const FAST: u32 = 20;

/// A kernel that completes IRPs inline, then one that defers completions.
pub(crate) fn kernels() -> impl Iterator<Item = Kernel> {
    kernels_at(1)
}

/// The same kernels, with time that runs `lapse` times as fast.
pub(crate) fn kernels_at(speed: u32) -> impl Iterator<Item = Kernel> {
    [Completion::Inline, Completion::Deferred]
        .into_iter()
        .map(move |policy| {
            Kernel::builder()
                .completion(policy)
                .time_lapse(speed)
                .boot()
        })
}

/// These kernels, and then kernels whose completions depend on a seed.
pub(crate) fn seeded_kernels() -> impl Iterator<Item = Kernel> {
    let seeded = (1..4).map(|seed| Kernel::builder().completion(Completion::Seeded).seed(seed));
    kernels().chain(seeded.map(wsk_host::Builder::boot))
}

/// A registration, and a provider, which must be dropped first.
pub(crate) fn client() -> (Registration, Provider) {
    let registration = Registration::new().unwrap();
    let provider = registration.capture(Wait::Forever).unwrap();
    (registration, provider)
}

/// Runs `test` on each of [`kernels`], and checks for leaks.
pub(crate) fn on_each_kernel(test: impl Fn(&Kernel, &Provider)) {
    kernels().for_each(|kernel| on(kernel, &test));
}

/// Runs `test` on each of [`seeded_kernels`], and checks for leaks.
pub(crate) fn on_each_seeded_kernel(test: impl Fn(&Kernel, &Provider)) {
    seeded_kernels().for_each(|kernel| on(kernel, &test));
}

/// Runs `test` on one kernel, and checks for leaks.
pub(crate) fn on(kernel: Kernel, test: impl Fn(&Kernel, &Provider)) {
    let (registration, provider) = client();
    test(&kernel, &provider);
    drop((provider, registration));
    kernel.shutdown();
}

/// A driver's datagram socket, and a socket of the host that it talks to. Fields are dropped in this order, as a driver unloads.
pub(crate) struct Setting {
    pub(crate) socket: DatagramSocket,
    pub(crate) provider: Provider,
    pub(crate) registration: Registration,
    pub(crate) peer: UdpSocket,
    pub(crate) to: SocketAddr,
}

impl Setting {
    pub(crate) fn new(family: Family, local: &str) -> Self {
        let (registration, provider) = client();
        let socket = bound(&provider, family, local);
        let (peer, to) = peer(LOOPBACK);
        Self {
            socket,
            provider,
            registration,
            peer,
            to,
        }
    }

    /// The peer receives `expected`.
    #[track_caller]
    pub(crate) fn says(&self, expected: &[u8]) {
        arrives(&self.peer, expected);
    }

    /// The peer sends `bytes`.
    pub(crate) fn hears(&self, bytes: &[u8]) {
        let local = self.socket.local_address().unwrap();
        self.peer.send_to(bytes, local).unwrap();
    }
}

/// Runs `test` in a setting on each of [`kernels`], and checks for leaks.
pub(crate) fn in_each_setting(test: impl Fn(&Kernel, &Setting)) {
    in_settings_of(kernels(), test);
}

/// Runs `test` in a setting on each of `kernels`, and checks for leaks.
pub(crate) fn in_settings_of(
    kernels: impl Iterator<Item = Kernel>,
    test: impl Fn(&Kernel, &Setting),
) {
    for kernel in kernels {
        let setting = Setting::new(Family::V4, LOOPBACK);
        test(&kernel, &setting);
        drop(setting);
        kernel.shutdown();
    }
}

/// Like [`in_each_setting`], for tests that only need the sockets.
pub(crate) fn with_sockets(test: impl Fn(&Kernel, &DatagramSocket, &UdpSocket, SocketAddr)) {
    in_each_setting(|kernel, s| test(kernel, &s.socket, &s.peer, s.to));
}

pub(crate) fn bound(provider: &Provider, family: Family, local: &str) -> DatagramSocket {
    let socket = DatagramSocket::open(provider, family).unwrap();
    socket.bind(local.parse::<SocketAddr>().unwrap()).unwrap();
    socket
}

/// A socket of the host, and its address.
pub(crate) fn peer(local: &str) -> (UdpSocket, SocketAddr) {
    let peer = UdpSocket::bind(local).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = peer.local_addr().unwrap();
    (peer, address)
}

/// A socket of the host that is bound, so that nobody else gets the port, and never listens; and its address.
pub(crate) fn deaf() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let local: SocketAddr = LOOPBACK.parse().unwrap();
    socket.bind(&local.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[track_caller]
pub(crate) fn arrives(peer: &UdpSocket, expected: &[u8]) {
    let mut bytes = [0; 256];
    let length = peer.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], expected);
}

/// Whether the peer sees a reset instead of a graceful end.
pub(crate) fn is_reset(peer: &mut TcpStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match peer.read(&mut bytes) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// A buffer that counts how often it was dropped.
#[derive(Debug)]
pub(crate) struct Counted(NonPagedBuffer, Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn new(bytes: &[u8], drops: &Arc<AtomicUsize>) -> Self {
        Self(NonPagedBuffer::copy_of(bytes).unwrap(), drops.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Counted {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller's promise holds for the buffer inside.
        unsafe { self.0.lock(lock) }
    }

    fn abandon(&self) -> bool {
        SendBuffer::abandon(&self.0)
    }
}

// SAFETY: as above.
unsafe impl ReceiveBuffer for Counted {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller's promise holds for the buffer inside.
        unsafe { self.0.lock_mut(lock) }
    }

    fn abandon(&self) -> bool {
        ReceiveBuffer::abandon(&self.0)
    }
}

/// Counts how often a waker was woken.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    /// A count, and its waker.
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (count.clone(), Waker::from(count))
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls a future only when it has been woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let (count, waker) = Wakes::new();
    let mut context = Context::from_waker(&waker);
    for polls in 1.. {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        until("a wake", || count.get() >= polls);
    }
    unreachable!()
}

/// Waits for a condition.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}
