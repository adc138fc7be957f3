//! The driver: the Rust side of the comparison, through `wsk`, and the C side, which is linked into it. It is built like a
//! driver, as one object that imports only the kernel's functions.

use core::cell::Cell;
use core::ffi::c_void;
use core::net::{Ipv4Addr, SocketAddr};
use core::ptr::NonNull;

use wsk::operation::{InFlight, Operations, Prepared, PreparedPool, Started};
use wsk::request::{ReceivingFrom, SendingTo};
use wsk::{
    BufferPool, Control, ControlMessage, DatagramSocket, DriverMdl, Error, Extent, Family, Framed,
    Lock, NonPagedBuffer, PooledBuffer, Provider, ReceiveBuffer, Registration, RemoteAddress,
    SendBuffer, Wait, WithControl,
};
use wsk_sys::{
    ExAllocatePoolWithTag, ExFreePoolWithTag, IoAllocateMdl, IoFreeMdl, MDL,
    MmBuildMdlForNonPagedPool, POOL_TYPE,
};

/// The bytes of each datagram.
const LENGTH: usize = 512;

/// The operations that are repeated. The numbers are those of the Rust side in `src/lib.rs`.
mod scenario {
    pub(crate) const SEND_PREPARED: u32 = 0;
    pub(crate) const START_PREPARED_SEND: u32 = 1;
    pub(crate) const START_PREPARED_SEND_WAIT: u32 = 2;
    pub(crate) const RECEIVE_PREPARED: u32 = 3;
    pub(crate) const START_PREPARED_RECEIVE_WAIT: u32 = 4;
    pub(crate) const SEND_ENCODED: u32 = 5;
    pub(crate) const SEND_VALUE: u32 = 6;
    pub(crate) const RECEIVE: u32 = 7;
    pub(crate) const START_SEND: u32 = 8;
    pub(crate) const START_SEND_WAIT: u32 = 9;
    pub(crate) const START_SEND_CALLBACK: u32 = 10;
    pub(crate) const START_RECEIVE_WAIT: u32 = 11;
    pub(crate) const TUNNEL_SEND: u32 = 12;
}

/// Memory that belongs to somebody else, such as a packet of another layer. Dropping it returns it to its owner.
struct Packet(NonNull<Foreign>);

/// The owner's part of a packet.
struct Foreign {
    extent: Extent,
    /// How often the packet was returned.
    back: Cell<usize>,
    memory: NonNull<c_void>,
    mdl: NonNull<MDL>,
}

// SAFETY: a packet is used on one thread at a time; in the deep measurements it returns on another thread, while its owner waits.
unsafe impl Send for Packet {}

impl Drop for Packet {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the owner's part outlives the packet.
        let back = unsafe { &self.0.as_ref().back };
        back.set(back.get() + 1);
    }
}

// SAFETY: the memory is nonpaged and stays; nobody writes it while a packet is in use.
unsafe impl SendBuffer for Packet {
    const LOCKS: bool = false;

    #[inline]
    unsafe fn lock<'l>(&'l self, _: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: packets outlive their use.
        Ok(&unsafe { self.0.as_ref() }.extent)
    }
}

// SAFETY: as above; nobody reads the memory either.
unsafe impl ReceiveBuffer for Packet {
    const LOCKS: bool = false;

    #[inline]
    unsafe fn lock_mut<'l>(&'l mut self, _: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: packets outlive their use.
        Ok(&unsafe { self.0.as_ref() }.extent)
    }
}

/// The place where a callback stores an error.
#[derive(Clone, Copy)]
struct Failed(*mut Option<Error>);

// SAFETY: the driver waits for its operations, and does not read the place meanwhile.
unsafe impl Send for Failed {}

impl Failed {
    #[cold]
    fn set(self, error: Error) {
        // SAFETY: the driver stays until its operations have completed.
        unsafe { *self.0 = Some(error) };
    }
}

/// A tunnel's header, and its contents.
const HEADER: usize = 4;
const KEY: [u8; HEADER] = [0x2A, 0, 0, 0];
/// The room for the source address of a tunnel.
const PIN: usize = ControlMessage::space(8);

/// A header in front of somebody else's packet, with the source address.
type Frame = WithControl<Framed<Packet>, PIN>;

type SendInFlight = InFlight<SendingTo, Packet>;
type ReceiveInFlight = InFlight<ReceivingFrom, Packet>;

/// A driver that sends to one peer and receives from it.
struct Driver {
    socket: DatagramSocket,
    peer: SocketAddr,
    remote: RemoteAddress,
    buffer: NonPagedBuffer,
    operations: Operations<Packet>,
    frames: BufferPool<Frame>,
    framed: Operations<PooledBuffer<Frame>>,
    pin: Control<PIN>,
    sends: Vec<SendInFlight>,
    receives: Vec<ReceiveInFlight>,
    sender: Prepared<SendingTo, NonPagedBuffer>,
    senders: PreparedPool<SendingTo, NonPagedBuffer>,
    sending: Vec<Started<SendingTo, NonPagedBuffer>>,
    receiver: Prepared<ReceivingFrom, NonPagedBuffer>,
    receivers: PreparedPool<ReceivingFrom, NonPagedBuffer>,
    receiving: Vec<Started<ReceivingFrom, NonPagedBuffer>>,
    /// One for each operation. Sends share the first one; receives use them in turn.
    // Boxed, so that each is somewhere else in memory, as with packets of another owner.
    #[allow(clippy::vec_box)]
    packets: Vec<Box<Foreign>>,
    next: usize,
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
        socket.bind((Ipv4Addr::LOCALHOST, 0))?;
        let peer = (Ipv4Addr::LOCALHOST, port).into();
        let remote = RemoteAddress::new(Family::V4, peer)?;
        let buffer = || NonPagedBuffer::new(LENGTH);
        let mut pin = Control::new();
        pin.push(ControlMessage::PacketInfoV4 {
            address: Ipv4Addr::LOCALHOST,
            interface: 0,
        })?;
        let mut packets = Vec::with_capacity(depth as usize);
        for _ in 0..depth {
            packets.push(foreign().ok_or(Error::NoMessages)?);
        }
        Ok(Self {
            sender: socket.send_to(buffer()?, peer).prepare()?,
            senders: PreparedPool::new(depth, |_| Ok(socket.send_to(buffer()?, peer)))?,
            sending: Vec::with_capacity(depth as usize),
            receiver: socket.receive_from(buffer()?).prepare()?,
            receivers: PreparedPool::new(depth, |_| Ok(socket.receive_from(buffer()?)))?,
            receiving: Vec::with_capacity(depth as usize),
            operations: Operations::new(&provider, depth)?,
            frames: BufferPool::new(depth, |_| {
                let header = NonPagedBuffer::new(HEADER)?;
                Ok(WithControl::new(Framed::new(header)?, Control::new()))
            })?,
            framed: Operations::new(&provider, depth)?,
            pin,
            socket,
            peer,
            remote,
            buffer: buffer()?,
            sends: Vec::with_capacity(depth as usize),
            receives: Vec::with_capacity(depth as usize),
            packets,
            next: 0,
            failed: None,
            scenario,
            depth,
            _provider: provider,
            _registration: registration,
        })
    }

    #[cold]
    #[inline(never)]
    fn fail(&mut self, error: Error) -> usize {
        self.failed = Some(error);
        0
    }

    #[inline]
    fn next_packet(&mut self) -> Packet {
        let next = self.next;
        self.next = if next + 1 == self.packets.len() {
            0
        } else {
            next + 1
        };
        Packet(NonNull::from(&*self.packets[next]))
    }

    // The operations. They are not inlined, so that the compiler cannot carry anything over from one to the next.

    #[inline(never)]
    fn send_prepared(&mut self) -> usize {
        match self.sender.wait() {
            Ok(sent) => sent,
            Err(error) => self.fail(error),
        }
    }

    #[inline(never)]
    fn start_prepared_send(&mut self) -> usize {
        let Some(sender) = self.senders.take() else {
            return self.fail(Error::PoolEmpty);
        };
        match sender.start() {
            Ok(sending) => {
                // The sender returns to the pool when the datagram has been sent.
                drop(sending);
                1
            }
            Err(refused) => self.fail(refused.error),
        }
    }

    #[inline(never)]
    fn start_prepared_send_wait(&mut self) -> Option<Started<SendingTo, NonPagedBuffer>> {
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
    fn finish_prepared_send(&mut self, sending: Started<SendingTo, NonPagedBuffer>) -> usize {
        match sending.wait() {
            Ok(ended) => match ended.result() {
                Ok(sent) => sent,
                Err(error) => self.fail(error),
            },
            Err(refused) => self.fail(refused.0),
        }
    }

    #[inline(never)]
    fn receive_prepared(&mut self) -> usize {
        match self.receiver.wait() {
            Ok(arrival) if !arrival.is_truncated() && arrival.is_from(&self.peer) => {
                arrival.length()
            }
            Ok(_) => self.fail(Error::Taken),
            Err(error) => self.fail(error),
        }
    }

    #[inline(never)]
    fn start_prepared_receive_wait(&mut self) -> Option<Started<ReceivingFrom, NonPagedBuffer>> {
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
    fn finish_prepared_receive(
        &mut self,
        receiving: Started<ReceivingFrom, NonPagedBuffer>,
    ) -> usize {
        match receiving.wait() {
            Ok(ended) => match ended.result() {
                Ok(arrival) if !arrival.is_truncated() && arrival.is_from(&self.peer) => {
                    arrival.length()
                }
                Ok(_) => self.fail(Error::Taken),
                Err(error) => self.fail(error),
            },
            Err(refused) => self.fail(refused.0),
        }
    }

    #[inline(never)]
    fn send_encoded(&mut self) -> usize {
        match self.socket.send_to(&self.buffer, &self.remote).wait() {
            Ok(sent) => sent,
            Err(error) => self.fail(error),
        }
    }

    #[inline(never)]
    fn send_value(&mut self) -> usize {
        match self.socket.send_to(&self.buffer, self.peer).wait() {
            Ok(sent) => sent,
            Err(error) => self.fail(error),
        }
    }

    #[inline(never)]
    fn receive(&mut self) -> usize {
        match self.socket.receive_from(&mut self.buffer).wait() {
            Ok(received) if !received.is_truncated() && received.is_from(&self.peer) => {
                received.length()
            }
            Ok(_) => self.fail(Error::Taken),
            Err(error) => self.fail(error),
        }
    }

    #[inline(never)]
    fn start_send(&mut self) -> usize {
        let packet = Packet(NonNull::from(&*self.packets[0]));
        let request = self.socket.send_to(packet, &self.remote);
        match request.from(&self.operations).start() {
            Ok(send) => {
                // The packet returns to its owner when the datagram has been sent.
                drop(send);
                1
            }
            Err(refused) => self.fail(refused.error),
        }
    }

    #[inline(never)]
    fn start_send_callback(&mut self) -> usize {
        let packet = Packet(NonNull::from(&*self.packets[0]));
        let request = self.socket.send_to(packet, &self.remote);
        let failed = Failed(&raw mut self.failed);
        let started = request.from(&self.operations).start_with(move |finished| {
            if let Err(error) = finished.result {
                failed.set(error);
            }
        });
        match started {
            Ok(()) => 1,
            Err(refused) => self.fail(refused.error),
        }
    }

    #[inline(never)]
    fn tunnel_send(&mut self) -> usize {
        match self.try_tunnel_send() {
            Ok(()) => 1,
            Err(error) => self.fail(error),
        }
    }

    // A function of its own, so that it can use `?`.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn try_tunnel_send(&mut self) -> Result<(), Error> {
        let mut frame = self.frames.take().ok_or(Error::PoolEmpty)?;
        let foreign = &*self.packets[0];
        let packet = Packet(NonNull::from(foreign));
        // SAFETY: the MDL was built for nonpaged pool and stays; nothing else uses it until the packet is returned.
        let packet = unsafe { DriverMdl::with_owner(Extent::new(foreign.mdl, 0, LENGTH)?, packet) };
        frame.buffer.put(packet)?;
        frame.buffer.header_mut().copy_from_slice(&KEY);
        frame.control.clone_from(&self.pin);
        let failed = Failed(&raw mut self.failed);
        let sending = self.socket.send_to(frame, &self.remote).from(&self.framed);
        sending.start_with(move |finished| {
            if let Err(error) = finished.result {
                failed.set(error);
            }
            // The packet returns to its owner, and the frame to its pool.
            if let Some(mut frame) = finished.buffer {
                drop(frame.buffer.take());
            }
        })?;
        Ok(())
    }

    #[inline(never)]
    fn start_send_wait(&mut self) -> Option<SendInFlight> {
        let packet = Packet(NonNull::from(&*self.packets[0]));
        let request = self.socket.send_to(packet, &self.remote);
        match request.from(&self.operations).start() {
            Ok(send) => Some(send),
            Err(refused) => {
                self.fail(refused.error);
                None
            }
        }
    }

    #[inline(never)]
    fn finish_send(&mut self, in_flight: SendInFlight) -> usize {
        match in_flight.wait() {
            Ok(finished) => match finished.result {
                Ok(sent) => sent,
                Err(error) => self.fail(error),
            },
            Err((error, _)) => self.fail(error),
        }
    }

    #[inline(never)]
    fn start_receive_wait(&mut self) -> Option<ReceiveInFlight> {
        let packet = self.next_packet();
        match self
            .socket
            .receive_from(packet)
            .from(&self.operations)
            .start()
        {
            Ok(receive) => Some(receive),
            Err(refused) => {
                self.fail(refused.error);
                None
            }
        }
    }

    #[inline(never)]
    fn finish_receive(&mut self, receive: ReceiveInFlight) -> usize {
        match receive.wait() {
            Ok(finished) => match finished.result {
                Ok(received) if !received.is_truncated() && received.is_from(&self.peer) => {
                    received.length()
                }
                Ok(_) => self.fail(Error::Taken),
                Err(error) => self.fail(error),
            },
            Err((error, _)) => self.fail(error),
        }
    }

    /// Starts as many operations as the driver's depth, lets them settle, and finishes them. Repeats this.
    fn in_batches<T>(
        &mut self,
        operations: usize,
        settle: Option<extern "C" fn()>,
        started: &mut Vec<T>,
        start: fn(&mut Self) -> Option<T>,
        finish: fn(&mut Self, T) -> usize,
    ) -> usize {
        let mut sum = 0;
        for _ in 0..operations / self.depth as usize {
            for _ in 0..self.depth {
                if let Some(one) = start(self) {
                    started.push(one);
                }
            }
            if let Some(settle) = settle {
                settle();
            }
            while let Some(one) = started.pop() {
                sum += finish(self, one);
            }
        }
        sum
    }

    fn run(&mut self, operations: usize, settle: Option<extern "C" fn()>) -> usize {
        let mut sum = 0;
        let each = 0..operations;
        match self.scenario {
            scenario::SEND_PREPARED => each.for_each(|_| sum += self.send_prepared()),
            scenario::START_PREPARED_SEND => each.for_each(|_| sum += self.start_prepared_send()),
            scenario::RECEIVE_PREPARED => each.for_each(|_| sum += self.receive_prepared()),
            scenario::SEND_ENCODED => each.for_each(|_| sum += self.send_encoded()),
            scenario::SEND_VALUE => each.for_each(|_| sum += self.send_value()),
            scenario::RECEIVE => each.for_each(|_| sum += self.receive()),
            scenario::START_SEND => each.for_each(|_| sum += self.start_send()),
            scenario::TUNNEL_SEND => each.for_each(|_| sum += self.tunnel_send()),
            scenario::START_SEND_CALLBACK => each.for_each(|_| sum += self.start_send_callback()),
            scenario::START_PREPARED_SEND_WAIT => {
                let mut sending = std::mem::take(&mut self.sending);
                let (start, finish) = (Self::start_prepared_send_wait, Self::finish_prepared_send);
                sum = self.in_batches(operations, settle, &mut sending, start, finish);
                self.sending = sending;
            }
            scenario::START_PREPARED_RECEIVE_WAIT => {
                let mut receiving = std::mem::take(&mut self.receiving);
                let start = Self::start_prepared_receive_wait;
                let finish = Self::finish_prepared_receive;
                sum = self.in_batches(operations, settle, &mut receiving, start, finish);
                self.receiving = receiving;
            }
            scenario::START_SEND_WAIT => {
                let mut sends = std::mem::take(&mut self.sends);
                let (start, finish) = (Self::start_send_wait, Self::finish_send);
                sum = self.in_batches(operations, settle, &mut sends, start, finish);
                self.sends = sends;
            }
            scenario::START_RECEIVE_WAIT => {
                let mut receives = std::mem::take(&mut self.receives);
                let (start, finish) = (Self::start_receive_wait, Self::finish_receive);
                sum = self.in_batches(operations, settle, &mut receives, start, finish);
                self.receives = receives;
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

const TAG: u32 = 0x7473_6f43;

/// Memory of another owner, with an MDL.
fn foreign() -> Option<Box<Foreign>> {
    // SAFETY: the memory and the MDL belong to this function, and stay until they are dropped.
    unsafe {
        let memory = NonNull::new(ExAllocatePoolWithTag(
            POOL_TYPE::NonPagedPoolNx,
            LENGTH,
            TAG,
        ))?;
        memory.cast::<u8>().write_bytes(0, LENGTH);
        let length = u32::try_from(LENGTH).ok()?;
        let mdl = IoAllocateMdl(memory.as_ptr(), length, 0, 0, core::ptr::null_mut());
        let mdl = NonNull::new(mdl)?;
        MmBuildMdlForNonPagedPool(mdl.as_ptr());
        Some(Box::new(Foreign {
            extent: Extent::new(mdl, 0, LENGTH).ok()?,
            back: Cell::new(0),
            memory,
            mdl,
        }))
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // SAFETY: `foreign` made them; no packet is in use any more.
        unsafe {
            IoFreeMdl(self.mdl.as_ptr());
            ExFreePoolWithTag(self.memory.as_ptr(), TAG);
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

/// Runs operations of the driver's scenario, as many at a time as the driver's depth. Between starting and finishing them, it
/// calls `settle`, if there is one. Returns the sum of the operations' results, or 0 on failure.
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

/// The C side, exported with the rest under its own names.
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
        // SAFETY: it has no precondition except a booted kernel. Without one, the host kernel ends the process.
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
