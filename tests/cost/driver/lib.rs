//! The driver: the Rust side of the comparison, through `wsk`, and the C side, which is linked into it. Built as a driver
//! would be, as one object with only the kernel's functions left to import.

use core::ffi::c_void;
use core::net::{Ipv4Addr, SocketAddr};

use wsk::{
    DatagramSocket, Error, Family, NonPagedBuffer, Pool, Pooled, Provider, ReceiveFrom, Receiver,
    Receivers, Receiving, Registration, SendTo, Sender, Senders, Sending, Wait,
};

/// The bytes of each datagram.
const LENGTH: usize = 512;

/// What is done again and again; the numbers are those in `c/driver.c`, which does the same for the later ones as for the earlier.
mod scenario {
    pub(crate) const SEND_TO: u32 = 0;
    pub(crate) const START_SEND_TO: u32 = 1;
    pub(crate) const START_SEND_TO_WAIT: u32 = 2;
    pub(crate) const RECEIVE_FROM: u32 = 3;
    pub(crate) const START_RECEIVE_FROM_WAIT: u32 = 4;
    pub(crate) const SEND: u32 = 5;
    pub(crate) const START_SEND: u32 = 6;
    pub(crate) const START_SEND_WAIT: u32 = 7;
    pub(crate) const RECEIVE: u32 = 8;
    pub(crate) const START_RECEIVE_WAIT: u32 = 9;
}

type Buffer = Pooled<NonPagedBuffer>;

/// A driver that sends to one peer and receives from it.
struct Driver {
    socket: DatagramSocket,
    peer: SocketAddr,
    buffer: NonPagedBuffer,
    pool: Pool<NonPagedBuffer>,
    sends: Vec<SendTo<Buffer>>,
    receives: Vec<ReceiveFrom<Buffer>>,
    sender: Sender,
    senders: Senders,
    sending: Vec<Sending>,
    receiver: Receiver,
    receivers: Receivers,
    receiving: Vec<Receiving>,
    failed: Option<Error>,
    scenario: u32,
    depth: u32,
    // Last, so that they are dropped after the socket.
    _provider: Provider,
    _registration: Registration,
}

impl Driver {
    fn open(scenario: u32, depth: u32, port: u16) -> Result<Self, Error> {
        let registration = Registration::new()?;
        let provider = registration.capture(Wait::Forever)?;
        let socket = DatagramSocket::open(&provider, Family::V4)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let peer = (Ipv4Addr::LOCALHOST, port).into();
        let buffer = |_| NonPagedBuffer::new(LENGTH);
        let pool = Pool::new(depth, buffer)?;
        Ok(Self {
            sender: socket.sender(buffer(0)?, peer)?,
            senders: socket.senders(depth, peer, buffer)?,
            sending: Vec::with_capacity(depth as usize),
            receiver: socket.receiver(buffer(0)?)?,
            receivers: socket.receivers(depth, buffer)?,
            receiving: Vec::with_capacity(depth as usize),
            socket,
            peer,
            buffer: NonPagedBuffer::new(LENGTH)?,
            pool,
            sends: Vec::with_capacity(depth as usize),
            receives: Vec::with_capacity(depth as usize),
            failed: None,
            scenario,
            depth,
            _provider: provider,
            _registration: registration,
        })
    }

    #[cold]
    fn fail(&mut self, error: Error) -> usize {
        self.failed = Some(error);
        0
    }

    // The operations. They are not inlined, so that nothing is carried over from one to the next.

    #[inline(never)]
    fn send_to(&mut self) -> usize {
        match self.socket.send_to(&self.buffer, self.peer) {
            Ok(sent) => sent,
            Err(error) => self.fail(error),
        }
    }

    #[inline(never)]
    fn start_send_to(&mut self) -> usize {
        let Some(buffer) = self.pool.take() else {
            return self.fail(Error::PoolEmpty);
        };
        match self.socket.start_send_to(buffer, self.peer) {
            Ok(sending) => {
                // The buffer goes back to the pool when the datagram has been sent.
                drop(sending);
                1
            }
            Err(refused) => self.fail(refused.error),
        }
    }

    #[inline(never)]
    fn start_send_to_wait(&mut self) {
        let Some(buffer) = self.pool.take() else {
            self.fail(Error::PoolEmpty);
            return;
        };
        match self.socket.start_send_to(buffer, self.peer) {
            Ok(sending) => self.sends.push(sending),
            Err(refused) => {
                self.fail(refused.error);
            }
        }
    }

    #[inline(never)]
    fn finish_send_to(&mut self, sending: SendTo<Buffer>) -> usize {
        match sending.wait() {
            Ok(finished) => match finished.result {
                Ok(sent) => sent,
                Err(error) => self.fail(error),
            },
            Err((error, _)) => self.fail(error),
        }
    }

    #[inline(never)]
    fn receive_from(&mut self) -> usize {
        match self.socket.receive_from(&mut self.buffer) {
            Ok(received) if !received.truncated && received.from == self.peer => received.length,
            Ok(_) => self.fail(Error::Taken),
            Err(error) => self.fail(error),
        }
    }

    #[inline(never)]
    fn start_receive_from_wait(&mut self) {
        let Some(buffer) = self.pool.take() else {
            self.fail(Error::PoolEmpty);
            return;
        };
        match self.socket.start_receive_from(buffer) {
            Ok(receiving) => self.receives.push(receiving),
            Err(refused) => {
                self.fail(refused.error);
            }
        }
    }

    #[inline(never)]
    fn finish_receive_from(&mut self, receiving: ReceiveFrom<Buffer>) -> usize {
        match receiving.wait() {
            Ok(finished) => match finished.result {
                Ok(received) if !received.truncated && received.from == self.peer => {
                    received.length
                }
                Ok(_) => self.fail(Error::Taken),
                Err(error) => self.fail(error),
            },
            Err((error, _)) => self.fail(error),
        }
    }

    #[inline(never)]
    fn send(&mut self) -> usize {
        match self.sender.send() {
            Ok(sent) => sent,
            Err(error) => self.fail(error),
        }
    }

    #[inline(never)]
    fn start_send(&mut self) -> usize {
        let Some(sender) = self.senders.take() else {
            return self.fail(Error::PoolEmpty);
        };
        match sender.start() {
            Ok(sending) => {
                // The sender goes back to the pool when the datagram has been sent.
                drop(sending);
                1
            }
            Err(refused) => self.fail(refused.error),
        }
    }

    #[inline(never)]
    fn start_send_wait(&mut self) -> Option<Sending> {
        let Some(sender) = self.senders.take() else {
            self.fail(Error::PoolEmpty);
            return None;
        };
        match sender.start() {
            Ok(sending) => Some(sending),
            Err(refused) => {
                self.fail(refused.error);
                None
            }
        }
    }

    #[inline(never)]
    fn finish_send(&mut self, sending: Sending) -> usize {
        match sending.wait() {
            Ok(ended) => match ended.result() {
                Ok(sent) => sent,
                Err(error) => self.fail(error),
            },
            Err(refused) => self.fail(refused.0),
        }
    }

    #[inline(never)]
    fn receive(&mut self) -> usize {
        match self.receiver.receive() {
            Ok(arrival) if !arrival.is_truncated() && arrival.is_from(&self.peer) => {
                arrival.length()
            }
            Ok(_) => self.fail(Error::Taken),
            Err(error) => self.fail(error),
        }
    }

    #[inline(never)]
    fn start_receive_wait(&mut self) -> Option<Receiving> {
        let Some(receiver) = self.receivers.take() else {
            self.fail(Error::PoolEmpty);
            return None;
        };
        match receiver.start() {
            Ok(receiving) => Some(receiving),
            Err(refused) => {
                self.fail(refused.error);
                None
            }
        }
    }

    #[inline(never)]
    fn finish_receive(&mut self, receiving: Receiving) -> usize {
        match receiving.wait() {
            Ok(ended) => match ended.arrival() {
                Ok(arrival) if !arrival.is_truncated() && arrival.is_from(&self.peer) => {
                    arrival.length()
                }
                Ok(_) => self.fail(Error::Taken),
                Err(error) => self.fail(error),
            },
            Err(refused) => self.fail(refused.0),
        }
    }

    fn run(&mut self, operations: usize, settle: Option<extern "C" fn()>) -> usize {
        let mut sum = 0;
        let batches = operations / self.depth as usize;
        match self.scenario {
            scenario::SEND_TO => (0..operations).for_each(|_| sum += self.send_to()),
            scenario::START_SEND_TO => (0..operations).for_each(|_| sum += self.start_send_to()),
            scenario::RECEIVE_FROM => (0..operations).for_each(|_| sum += self.receive_from()),
            scenario::START_SEND_TO_WAIT => {
                for _ in 0..batches {
                    (0..self.depth).for_each(|_| self.start_send_to_wait());
                    if let Some(settle) = settle {
                        settle();
                    }
                    while let Some(sending) = self.sends.pop() {
                        sum += self.finish_send_to(sending);
                    }
                }
            }
            scenario::START_RECEIVE_FROM_WAIT => {
                for _ in 0..batches {
                    (0..self.depth).for_each(|_| self.start_receive_from_wait());
                    if let Some(settle) = settle {
                        settle();
                    }
                    while let Some(receiving) = self.receives.pop() {
                        sum += self.finish_receive_from(receiving);
                    }
                }
            }
            scenario::SEND => (0..operations).for_each(|_| sum += self.send()),
            scenario::START_SEND => (0..operations).for_each(|_| sum += self.start_send()),
            scenario::RECEIVE => (0..operations).for_each(|_| sum += self.receive()),
            scenario::START_SEND_WAIT => {
                let mut sending = std::mem::take(&mut self.sending);
                for _ in 0..batches {
                    for _ in 0..self.depth {
                        if let Some(started) = self.start_send_wait() {
                            sending.push(started);
                        }
                    }
                    if let Some(settle) = settle {
                        settle();
                    }
                    while let Some(started) = sending.pop() {
                        sum += self.finish_send(started);
                    }
                }
                self.sending = sending;
            }
            scenario::START_RECEIVE_WAIT => {
                let mut receiving = std::mem::take(&mut self.receiving);
                for _ in 0..batches {
                    for _ in 0..self.depth {
                        if let Some(started) = self.start_receive_wait() {
                            receiving.push(started);
                        }
                    }
                    if let Some(settle) = settle {
                        settle();
                    }
                    while let Some(started) = receiving.pop() {
                        sum += self.finish_receive(started);
                    }
                }
                self.receiving = receiving;
            }
            _ => {}
        }
        match &self.failed {
            None => sum,
            Some(error) => {
                eprintln!("error: {error}");
                0
            }
        }
    }
}

/// Makes a driver for a scenario with a pool of `depth`; null on failure.
#[unsafe(no_mangle)]
pub extern "C" fn wsk_cost_rust_open(scenario: u32, depth: u32, port: u16) -> *mut c_void {
    match Driver::open(scenario, depth, port) {
        Ok(driver) => Box::into_raw(Box::new(driver)).cast(),
        Err(error) => {
            eprintln!("error: {error}");
            core::ptr::null_mut()
        }
    }
}

/// Carries out operations of the driver's scenario, as many at a time as it is deep; between starting these and waiting for
/// them calls `settle`, if there is one. Returns the sum of what the operations return, or 0 on failure.
///
/// # Safety
///
/// `driver` came from [`wsk_cost_rust_open`], was not closed, and is not used by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsk_cost_rust_run(
    driver: *mut c_void,
    operations: usize,
    settle: Option<extern "C" fn()>,
) -> usize {
    // SAFETY: the caller vouches for the driver.
    unsafe { &mut *driver.cast::<Driver>() }.run(operations, settle)
}

/// Closes the driver.
///
/// # Safety
///
/// `driver` came from [`wsk_cost_rust_open`] and is closed once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsk_cost_rust_close(driver: *mut c_void) {
    // SAFETY: the caller vouches for the driver.
    drop(unsafe { Box::from_raw(driver.cast::<Driver>()) });
}

/// The C side, exported with the rest under names of its own.
#[cfg(not(without_clang))]
pub mod clang {
    use core::ffi::c_void;

    #[link(name = "wsk_cost_in_c", kind = "static")]
    unsafe extern "C" {
        fn wsk_cost_c_open(scenario: u32, depth: u32, port: u16) -> *mut c_void;
        fn wsk_cost_c_run(
            driver: *mut c_void,
            operations: usize,
            settle: Option<extern "C" fn()>,
        ) -> usize;
        fn wsk_cost_c_close(driver: *mut c_void);
    }

    /// As [`wsk_cost_rust_open`](super::wsk_cost_rust_open), in C.
    #[unsafe(no_mangle)]
    pub extern "C" fn wsk_cost_clang_open(scenario: u32, depth: u32, port: u16) -> *mut c_void {
        // SAFETY: has no precondition but a booted kernel, without which the host kernel ends the process.
        unsafe { wsk_cost_c_open(scenario, depth, port) }
    }

    /// As [`wsk_cost_rust_run`](super::wsk_cost_rust_run), in C.
    ///
    /// # Safety
    ///
    /// `driver` came from [`wsk_cost_clang_open`], was not closed, and is not used by another thread.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn wsk_cost_clang_run(
        driver: *mut c_void,
        operations: usize,
        settle: Option<extern "C" fn()>,
    ) -> usize {
        // SAFETY: the caller vouches for the driver.
        unsafe { wsk_cost_c_run(driver, operations, settle) }
    }

    /// As [`wsk_cost_rust_close`](super::wsk_cost_rust_close), in C.
    ///
    /// # Safety
    ///
    /// `driver` came from [`wsk_cost_clang_open`] and is closed once.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn wsk_cost_clang_close(driver: *mut c_void) {
        // SAFETY: the caller vouches for the driver.
        unsafe { wsk_cost_c_close(driver) }
    }
}
