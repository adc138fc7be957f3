//! Shared code of the tests of this crate: a driver on the host kernel, buffers that are counted, and numbers that follow from a
//! seed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use wsk::{
    ConnectedSocket, DatagramSocket, Error, Extent, Family, ListenSocket, Lock, MdlChain,
    NonPagedBuffer, Provider, ReceiveBuffer, Registration, SendBuffer, Wait,
};
use wsk_host::{Completion, Kernel};

/// The address to which sockets of tests are bound.
pub const LOOPBACK: &str = "127.0.0.1:0";

/// The time limit for anything that must happen.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A kernel for each completion policy.
pub fn kernels(seed: u64) -> impl Iterator<Item = Kernel> {
    [Completion::Inline, Completion::Deferred, Completion::Seeded]
        .into_iter()
        .map(move |policy| Kernel::builder().completion(policy).seed(seed).boot())
}

/// The number in an environment variable.
///
/// # Panics
///
/// When it has another value.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// A seed that no other run starts with.
///
/// # Panics
///
/// Before 1970.
#[must_use]
pub fn new_seed() -> u64 {
    let time = SystemTime::UNIX_EPOCH.elapsed().expect("it is later");
    time.as_secs() * 1_000_000
}

/// Numbers that follow from a seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always give the same numbers for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number of the `SplitMix64` generator.
    pub const fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not zero.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.throw() % limit
    }

    /// An index below `limit`, which is not zero.
    #[allow(clippy::cast_possible_truncation)]
    pub const fn index(&mut self, limit: usize) -> usize {
        self.below(limit as u64) as usize
    }

    /// Heads or tails.
    pub const fn toss(&mut self) -> bool {
        self.throw() & 1 == 0
    }
}

/// Sometimes yields or sleeps inside a driver's own code in the middle of an operation. Threads then meet there that would
/// otherwise do so once in a million times.
pub fn dawdle() {
    std::thread_local! {
        static DICE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    let mut dice = Dice::new(DICE.get());
    let number = dice.throw();
    DICE.set(number);
    match number % 16 {
        0 => std::thread::yield_now(),
        1 => (0..number >> 32 & 0x3FF).for_each(|_| std::hint::spin_loop()),
        _ => {}
    }
}

/// Counts the buffers that were made, and those that were dropped.
#[derive(Debug, Default)]
pub struct Ledger {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

impl Ledger {
    /// A ledger without buffers.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The number of buffers that exist.
    ///
    /// # Panics
    ///
    /// When more buffers were dropped than made.
    #[must_use]
    pub fn live(&self) -> usize {
        let dropped = self.dropped.load(Ordering::SeqCst);
        let made = self.made.load(Ordering::SeqCst);
        made.checked_sub(dropped)
            .expect("a buffer was dropped twice")
    }

    /// Waits until only `left` buffers exist.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub fn settle(&self, left: usize) {
        until("the drop of every buffer", || self.live() == left);
    }
}

/// A counted buffer that knows its content.
#[derive(Debug)]
pub struct Counted {
    bytes: NonPagedBuffer,
    ledger: Arc<Ledger>,
    number: u8,
}

impl Counted {
    /// `length` bytes of `number`.
    ///
    /// # Errors
    ///
    /// Those of [`NonPagedBuffer::new`].
    pub fn new(length: usize, number: u8, ledger: &Arc<Ledger>) -> Result<Self, Error> {
        let mut bytes = NonPagedBuffer::new(length)?;
        bytes.as_mut_slice().fill(number);
        ledger.made.fetch_add(1, Ordering::SeqCst);
        Ok(Self {
            bytes,
            ledger: ledger.clone(),
            number,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut_slice()
    }

    /// The number that it was made with.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        dawdle();
        self.ledger.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Counted {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        dawdle();
        // SAFETY: the caller keeps the same contract.
        unsafe { self.bytes.lock(lock) }
    }
}

// SAFETY: as above.
unsafe impl ReceiveBuffer for Counted {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        dawdle();
        // SAFETY: the caller keeps the same contract.
        unsafe { self.bytes.lock_mut(lock) }
    }
}

/// A counted chain of two buffers, like [`Counted`].
#[derive(Debug)]
pub struct CountedChain {
    chain: MdlChain<2>,
    start: usize,
    ledger: Arc<Ledger>,
    number: u8,
}

impl CountedChain {
    /// Two buffers of these lengths, full of `number`.
    ///
    /// # Errors
    ///
    /// Those of [`NonPagedBuffer::new`].
    pub fn new(lengths: [usize; 2], number: u8, ledger: &Arc<Ledger>) -> Result<Self, Error> {
        let full = |length| {
            let mut bytes = NonPagedBuffer::new(length)?;
            bytes.as_mut_slice().fill(number);
            Ok::<_, Error>(bytes)
        };
        let chain = MdlChain::new([full(lengths[0])?, full(lengths[1])?]);
        ledger.made.fetch_add(1, Ordering::SeqCst);
        Ok(Self {
            chain,
            start: 0,
            ledger: ledger.clone(),
            number,
        })
    }

    /// Leaves out the first bytes, which must be in the first buffer.
    ///
    /// # Panics
    ///
    /// When they are not.
    pub fn set_range(&mut self, start: usize) {
        let length = self.chain.capacity() - start;
        self.chain.set_range(start, length).expect("in the first");
        self.start = start;
    }

    /// The number of bytes that are left out.
    #[must_use]
    pub const fn start(&self) -> usize {
        self.start
    }

    /// The number of bytes that are sent, or can be received.
    #[must_use]
    pub fn length(&self) -> usize {
        self.chain.len()
    }

    /// All the bytes.
    ///
    /// # Panics
    ///
    /// Never: there are two parts.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 2] {
        [0, 1].map(|index| self.chain.part(index).expect("one of two"))
    }

    /// The number that it was made with.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }
}

impl Drop for CountedChain {
    fn drop(&mut self) {
        dawdle();
        self.ledger.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: the chain inside keeps the promise.
unsafe impl SendBuffer for CountedChain {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        dawdle();
        // SAFETY: the caller keeps the same contract.
        unsafe { self.chain.lock(lock) }
    }
}

// SAFETY: as above.
unsafe impl ReceiveBuffer for CountedChain {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        dawdle();
        // SAFETY: the caller keeps the same contract.
        unsafe { self.chain.lock_mut(lock) }
    }
}

/// A driver's device extension, with its own socket. Fields are dropped in this order, as a driver unloads.
#[derive(Debug)]
pub struct Driver {
    /// A bound socket.
    pub socket: DatagramSocket,
    /// Its address.
    pub address: SocketAddr,
    /// The provider, to open more sockets.
    pub provider: Provider,
    /// The registration.
    pub registration: Registration,
}

impl Driver {
    /// Registers, and opens a socket.
    ///
    /// # Errors
    ///
    /// The first error.
    pub fn load() -> Result<Self, Error> {
        let (registration, provider) = client()?;
        let (socket, address) = bound(&provider)?;
        Ok(Self {
            socket,
            address,
            provider,
            registration,
        })
    }
}

/// A registration, and a provider, which must be dropped first.
///
/// # Errors
///
/// The first error.
pub fn client() -> Result<(Registration, Provider), Error> {
    let registration = Registration::new()?;
    let provider = registration.capture(Wait::Forever)?;
    Ok((registration, provider))
}

/// A listening socket that is bound to the loopback address, and its address.
///
/// # Errors
///
/// The first error.
///
/// # Panics
///
/// Never: the loopback address is valid.
pub fn listener(provider: &Provider) -> Result<(ListenSocket, SocketAddr), Error> {
    let listener = ListenSocket::open(provider, Family::V4)?;
    listener.bind(LOOPBACK.parse::<SocketAddr>().expect("an address"))?;
    let local = listener.local_address()?;
    Ok((listener, local))
}

/// Both ends of a connection: the one that connected, and the one that was accepted.
///
/// # Errors
///
/// The first error.
///
/// # Panics
///
/// When the ends do not agree on their addresses.
pub fn connection(provider: &Provider) -> Result<(ConnectedSocket, ConnectedSocket), Error> {
    let (listener, local) = listener(provider)?;
    let accept = listener.accept().start()?;
    let client = ConnectedSocket::connect(provider, local).wait()?;
    let (server, from) = accept.wait().map_err(|(error, _)| error)??;
    assert_eq!(from, client.local_address()?);
    assert_eq!(local, client.remote_address()?);
    listener.close()?;
    Ok((client, server))
}

/// A socket that is bound to the loopback address, and its address.
///
/// # Errors
///
/// The first error.
///
/// # Panics
///
/// Never: the loopback address is valid.
pub fn bound(provider: &Provider) -> Result<(DatagramSocket, SocketAddr), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind(LOOPBACK.parse::<SocketAddr>().expect("an address"))?;
    let address = socket.local_address()?;
    Ok((socket, address))
}

/// Waits for a condition.
///
/// # Panics
///
/// When it takes too long.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "{what} took more than {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
}
