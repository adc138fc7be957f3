//! Operations that are kept ready: IRP, buffer, MDL, `WSK_BUF` and remote address are put together once and used again and
//! again, with nothing left to check or to copy for each datagram. They stand for the preallocated send and receive contexts of
//! C drivers.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::net::SocketAddr;
use core::pin::Pin;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::task::{Context, Poll};
use core::time::Duration;

use wsk_sys::{
    IRP, MSG_BCAST, MSG_MCAST, MSG_TRUNC, NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED,
    STATUS_SUCCESS, WSK_PROVIDER_DATAGRAM_DISPATCH, WSK_SOCKET,
};

use crate::address::{self, Family};
use crate::buffer::NonPagedBuffer;
use crate::datagram::DatagramSocket;
use crate::error::{Call, Error, Memory};
use crate::in_flight::NotStarted;
use crate::irql::{require_apc, require_passive};
use crate::operation::{Answer, Arguments, Block, Flight, Observer, Outcome};
use crate::shared::{Counted, Reserved, Shared};
use crate::slots::{Linked, Slots};

/// A datagram that is ready to be sent to one address, as often as wanted.
///
/// Made by [`DatagramSocket::sender`], or taken from [`Senders`].
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind("127.0.0.1:0".parse().unwrap())?;
/// use wsk::NonPagedBuffer;
///
/// let mut sender = socket.sender(NonPagedBuffer::new(4)?, to)?;
/// for number in 0..3_u32 {
///     sender.as_mut_slice().copy_from_slice(&number.to_be_bytes());
///     assert_eq!(sender.send()?, 4);
/// }
/// # let mut got = [9; 8];
/// # for number in 0..3 { assert_eq!((peer.recv(&mut got).unwrap(), got[3]), (4, number)); }
/// # drop((sender, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub type Sender = Prepared<Outbound>;

/// Room that is ready to receive one datagram after the other.
///
/// Made by [`DatagramSocket::receiver`], or taken from [`Receivers`].
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind("127.0.0.1:0".parse().unwrap())?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// use wsk::NonPagedBuffer;
///
/// let mut receiver = socket.receiver(NonPagedBuffer::new(1500)?)?;
/// let arrival = receiver.receive()?;
/// assert_eq!(arrival.bytes(), b"hello");
/// assert_eq!(arrival.remote_address()?, peer.local_addr().unwrap());
/// # drop((receiver, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub type Receiver = Prepared<Inbound>;

/// A [`Sender`] whose datagram is being sent.
pub type Sending = Started<Outbound>;

/// A [`Receiver`] that waits for its datagram.
pub type Receiving = Started<Inbound>;

/// A fixed number of [`Sender`]s.
pub type Senders = PreparedPool<Outbound>;

/// A fixed number of [`Receiver`]s.
pub type Receivers = PreparedPool<Inbound>;

/// Which way the datagrams go.
pub trait Direction: sealed::Sealed {}

/// Datagrams are sent.
#[derive(Debug)]
pub enum Outbound {}

/// Datagrams are received.
#[derive(Debug)]
pub enum Inbound {}

impl Direction for Outbound {}
impl Direction for Inbound {}

mod sealed {
    use super::Slot;
    use crate::error::Call;
    use core::ptr::NonNull;
    use wsk_sys::{IRP, NTSTATUS};

    pub trait Sealed {
        #[doc(hidden)]
        const CALL: Call;
        #[doc(hidden)]
        const CANCEL_ON_DROP: bool;
        /// Passes the IRP on.
        ///
        /// # Safety
        ///
        /// The slot's operation is being launched, with its own IRP.
        #[doc(hidden)]
        #[allow(private_interfaces)]
        unsafe fn pass_on(slot: &Slot, irp: NonNull<IRP>) -> NTSTATUS;
    }
}

impl sealed::Sealed for Outbound {
    const CALL: Call = Call::WskSendTo;
    const CANCEL_ON_DROP: bool = false;

    #[inline]
    #[allow(private_interfaces)]
    unsafe fn pass_on(slot: &Slot, irp: NonNull<IRP>) -> NTSTATUS {
        let arguments = slot.block.arguments().as_ptr();
        // SAFETY: the socket is open, as the slot's home has a handle. `WSK_BUF` and address are in the arguments; the MDL is the
        // slot's buffer's. All of it stays as it is until the completion was seen.
        unsafe {
            (slot.entries.send_to)(
                slot.socket.as_ptr(),
                &raw mut (*arguments).buffer,
                0,
                (&raw mut (*arguments).address).cast(),
                0,
                core::ptr::null_mut(),
                irp.as_ptr(),
            )
        }
    }
}

impl sealed::Sealed for Inbound {
    const CALL: Call = Call::WskReceiveFrom;
    const CANCEL_ON_DROP: bool = true;

    #[inline]
    #[allow(private_interfaces)]
    unsafe fn pass_on(slot: &Slot, irp: NonNull<IRP>) -> NTSTATUS {
        let arguments = slot.block.arguments().as_ptr();
        // SAFETY: the socket is open, as the slot's home has a handle; `WSK_BUF`, address and flags are in the arguments, which nobody
        // else touches before the IRP is passed on, and which stay as they are until the completion was seen.
        unsafe {
            // A provider that writes none of them has not written those of the datagram before.
            (*arguments).control_flags = 0;
            (*arguments).address.ss_family = 0;
            (slot.entries.receive_from)(
                slot.socket.as_ptr(),
                &raw mut (*arguments).buffer,
                0,
                (&raw mut (*arguments).address).cast(),
                core::ptr::null_mut(),
                core::ptr::null_mut(),
                &raw mut (*arguments).control_flags,
                irp.as_ptr(),
            )
        }
    }
}

/// The entries of the provider's dispatch table that operations here call, which are there.
#[derive(Clone, Copy)]
struct Entries {
    send_to: SendTo,
    receive_from: ReceiveFrom,
}

type SendTo = unsafe extern "system" fn(
    *mut WSK_SOCKET,
    *mut wsk_sys::WSK_BUF,
    u32,
    *mut wsk_sys::SOCKADDR,
    u32,
    *mut wsk_sys::CMSGHDR,
    *mut IRP,
) -> NTSTATUS;

type ReceiveFrom = unsafe extern "system" fn(
    *mut WSK_SOCKET,
    *mut wsk_sys::WSK_BUF,
    u32,
    *mut wsk_sys::SOCKADDR,
    *mut u32,
    *mut wsk_sys::CMSGHDR,
    *mut u32,
    *mut IRP,
) -> NTSTATUS;

impl Entries {
    fn of(socket: &DatagramSocket) -> Result<Self, Error> {
        let absent = |entry| Error::NoEntry { entry };
        let socket = socket.shared().socket.as_ptr();
        // SAFETY: the socket is open and of the datagram category, whose table every Windows makes at least this long and keeps
        // while the socket is open.
        let (send_to, receive_from) = unsafe {
            let table = (*socket).Dispatch.cast::<WSK_PROVIDER_DATAGRAM_DISPATCH>();
            (
                (&raw const (*table).WskSendTo).read(),
                (&raw const (*table).WskReceiveFrom).read(),
            )
        };
        Ok(Self {
            send_to: send_to.ok_or_else(|| absent("WskSendTo"))?,
            receive_from: receive_from.ok_or_else(|| absent("WskReceiveFrom"))?,
        })
    }
}

/// One operation with all that it needs.
///
/// # Invariants
///
/// The slot is number `index` of the [`Home`] behind `home`. While its block is at rest it is in the home's list of free slots
/// or has one holder, which alone touches what is in cells. While its block is in flight nobody but the provider touches the
/// arguments and the buffer. The `WSK_BUF` in the arguments is the buffer, from its start up to its length.
#[repr(C)]
struct Slot {
    block: Block<()>,
    /// What the holder's reference to the home is made of.
    home: UnsafeCell<NonNull<c_void>>,
    index: u32,
    /// The link of this slot in the list of free ones.
    link: AtomicU32,
    socket: NonNull<WSK_SOCKET>,
    entries: Entries,
    remote: UnsafeCell<Option<SocketAddr>>,
    /// What the provider has answered to the last call.
    answer: UnsafeCell<Answer>,
    /// Whether a provider that broke its contract may still use the slot, which its holder then leaves alone.
    abandoned: UnsafeCell<bool>,
    buffer: UnsafeCell<NonPagedBuffer>,
}

impl Slot {
    /// What the IRP says.
    ///
    /// # Safety
    ///
    /// The slot is at rest.
    #[inline]
    unsafe fn outcome(&self) -> Outcome {
        // SAFETY: at rest, the IRP is the holder's.
        unsafe { Flight::<()>::from_raw(NonNull::from(self).cast()).outcome() }
    }
}

// SAFETY: what is in cells is touched by the slot's one holder only, on whatever thread; the addresses of socket and home may be
// used on any.
unsafe impl Send for Slot {}
// SAFETY: a shared slot is touched by its one holder only, but for the link, which is atomic.
unsafe impl Sync for Slot {}

impl Linked for Slot {
    fn link(&self) -> &AtomicU32 {
        &self.link
    }
}

/// The slots for one socket. Each holder of a slot has a reference to this.
struct Home {
    /// Keeps the socket open. Taken out to be dropped last.
    socket: Option<DatagramSocket>,
    handle: NonNull<WSK_SOCKET>,
    family: Family,
    entries: Entries,
    slots: Slots<Slot>,
}

// SAFETY: the socket's handle may be used and dropped on any thread, and the rest may be sent.
unsafe impl Send for Home {}
// SAFETY: the socket's handle may be used by any number of threads, and the rest may be shared.
unsafe impl Sync for Home {}

impl Home {
    /// An empty home, and memory for it to stay in.
    fn reserve(socket: &DatagramSocket, depth: u32) -> Result<(Reserved<Self>, Self), Error> {
        socket.shared().require_bound()?;
        let entries = Entries::of(socket)?;
        let place = Reserved::new().ok_or(Error::NoMemory(Memory::Irp))?;
        let home = Self {
            socket: Some(socket.clone()),
            handle: socket.shared().socket,
            family: socket.shared().family,
            entries,
            slots: Slots::reserve(depth)?,
        };
        Ok((place, home))
    }

    /// Makes the next slot, in the list of free ones, to be sent to `to`, which was checked.
    fn add(&mut self, buffer: NonPagedBuffer, to: Option<SocketAddr>) {
        let (handle, family, entries) = (self.handle, self.family, self.entries);
        let make = |slot: NonNull<Slot>, index| {
            let place = slot.as_ptr();
            // SAFETY: this is memory for a slot, which nothing refers to yet. The routine discards the block of a slot by giving it
            // back, and holds what the socket of its home does.
            unsafe {
                Block::initialise_at_rest(slot.cast(), discard, hold_driver);
                (&raw mut (*place).home).write(UnsafeCell::new(NonNull::dangling()));
                (&raw mut (*place).index).write(index);
                (&raw mut (*place).link).write(AtomicU32::new(0));
                (&raw mut (*place).socket).write(handle);
                (&raw mut (*place).entries).write(entries);
                (&raw mut (*place).remote).write(UnsafeCell::new(to));
                let arguments = (*place).block.arguments().as_ptr();
                if let Some(to) = to {
                    family.write(to, &mut (*arguments).address);
                }
                (*arguments).buffer = buffer.extent().as_wsk_buf();
                (&raw mut (*place).answer).write(UnsafeCell::new(Answer::new(STATUS_SUCCESS)));
                (&raw mut (*place).abandoned).write(UnsafeCell::new(false));
                (&raw mut (*place).buffer).write(UnsafeCell::new(buffer));
            }
        };
        // SAFETY: all of the slot is initialised.
        unsafe { self.slots.add(make) };
    }

    /// Moves the home to where it stays.
    fn settle(self, place: Reserved<Self>) -> Shared<Self> {
        let home = place.fill(self);
        for slot in home.slots.iter() {
            // SAFETY: nobody has taken a slot yet.
            unsafe { *slot.home.get() = Shared::as_raw(&home) };
        }
        // SAFETY: the slots are in pool memory that no longer moves, and nobody waits yet.
        unsafe { home.slots.settle() };
        home
    }
}

impl Counted for Home {
    /// The handle goes last: with it, perhaps, the provider's capture, and with that the driver.
    type Last = Option<DatagramSocket>;

    unsafe fn last(&mut self) -> Option<DatagramSocket> {
        self.socket.take()
    }
}

/// Notes what the completed IRP says about the datagram, before it is looked at by any number of threads.
///
/// # Safety
///
/// The slot is at rest, and touched by nobody but the caller.
#[inline]
unsafe fn settle<D: Direction>(slot: NonNull<Slot>) {
    // The documented answer to a datagram that does not fit is a warning, with the bytes that did; the flag says so in any case.
    // SAFETY: at rest, the arguments are the holder's.
    unsafe {
        if D::CALL == Call::WskReceiveFrom
            && slot.as_ref().outcome().status == STATUS_BUFFER_OVERFLOW
        {
            (*slot.as_ref().block.arguments().as_ptr()).control_flags |= MSG_TRUNC;
        }
    }
}

/// Gives a slot back to its home.
///
/// # Safety
///
/// The slot is at rest, and the caller, its one holder, does nothing more with it.
#[inline]
unsafe fn give_back(slot: NonNull<Slot>) {
    // SAFETY: the holder's reference to the home is taken back once. As long as it is there the slot is.
    unsafe {
        let home = Shared::<Home>::from_raw(*slot.as_ref().home.get());
        home.slots.push(slot.as_ref().index, slot.as_ref());
    }
}

/// Takes a slot back that was left to the completion routine.
///
/// # Safety
///
/// `block` begins a slot at rest that nobody has any more.
unsafe fn discard(block: NonNull<c_void>) {
    let slot = block.cast::<Slot>();
    // SAFETY: the routine is the slot's one holder, with the reference to the home that the flight had.
    unsafe {
        *slot.as_ref().abandoned.get() = false;
        give_back(slot);
    }
}

/// Keeps the provider's capture, and with it the driver, while the routine wakes somebody or gives a slot back: with the slot the
/// last handle of the socket may go.
///
/// # Safety
///
/// `block` begins a slot that the routine has, or whose holder has not seen its completion.
unsafe fn hold_driver(block: NonNull<c_void>) -> Option<Observer> {
    // SAFETY: whoever holds the slot has a reference to its home, which is neither dropped here nor meanwhile.
    let home = unsafe {
        let home = *block.cast::<Slot>().as_ref().home.get();
        ManuallyDrop::new(Shared::<Home>::from_raw(home))
    };
    let socket = home.socket.as_ref();
    socket.map(|socket| socket.shared().hold_capture())
}

/// Ends the holding of a slot that may be in flight: then it is left to the routine.
///
/// # Safety
///
/// As for [`give_back`], but that the slot may be in flight.
#[inline]
unsafe fn let_go(slot: NonNull<Slot>) {
    // SAFETY: the caller, its one holder, does nothing more with the slot: it is left to the routine, or has completed, is at rest
    // and goes back.
    unsafe {
        if !Flight::<()>::from_raw(slot.cast()).leave() {
            give_back(slot);
        }
    }
}

/// As [`let_go`], of a slot that was abandoned.
///
/// # Safety
///
/// As for `let_go`.
#[cold]
#[inline(never)]
unsafe fn let_go_abandoned(slot: NonNull<Slot>) {
    // SAFETY: the caller, its one holder, does nothing more with the slot: it is left to the routine, or has completed after all, is
    // at rest and goes back.
    unsafe {
        if !Flight::<()>::from_raw(slot.cast()).leave() {
            discard(slot.cast());
        }
    }
}

/// An operation that is kept ready: a [`Sender`] or a [`Receiver`].
///
/// It holds the socket as a handle of it does: the socket closes when the last of them is dropped. Dropping it gives it back to
/// the pool that it came from, or frees it, at any IRQL up to `DISPATCH_LEVEL`.
///
/// # Invariants
///
/// This is the slot's one holder, and has a reference to its home. The slot is at rest, unless it says that it was abandoned: then
/// a provider that broke its contract may still use it, and nothing of it is touched.
pub struct Prepared<D: Direction> {
    slot: NonNull<Slot>,
    direction: PhantomData<fn() -> D>,
}

// SAFETY: whoever holds a slot may use it on any thread.
unsafe impl<D: Direction> Send for Prepared<D> {}
// SAFETY: through `&Prepared` the slot, which is at rest, is only read, by this side alone.
unsafe impl<D: Direction> Sync for Prepared<D> {}

impl<D: Direction> Prepared<D> {
    #[inline]
    fn slot(&self) -> &Slot {
        // SAFETY: by the invariant the slot is there; what changes in it is in cells.
        unsafe { self.slot.as_ref() }
    }

    /// The buffer, unless the provider may still use it.
    fn buffer(&self) -> Option<&NonPagedBuffer> {
        // SAFETY: at rest, the slot is touched by its holder only, which is borrowed.
        let buffer = || unsafe { &*self.slot().buffer.get() };
        (!self.is_abandoned()).then(buffer)
    }

    fn buffer_mut(&mut self) -> Option<&mut NonPagedBuffer> {
        // SAFETY: at rest, the slot is touched by its holder only, which is borrowed exclusively.
        let buffer = || unsafe { &mut *self.slot().buffer.get() };
        (!self.is_abandoned()).then(buffer)
    }

    /// The bytes of the buffer.
    ///
    /// There are none any more when a provider that broke its contract may still use them; see [`Error::Abandoned`].
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.buffer().map_or(&[], NonPagedBuffer::as_slice)
    }

    /// The bytes of the buffer, to be written. None any more in the case of [`as_slice`](Self::as_slice).
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.buffer_mut()
            .map_or(&mut [], NonPagedBuffer::as_mut_slice)
    }

    /// The number of bytes that were allocated.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer().map_or(0, NonPagedBuffer::capacity)
    }

    /// Sets the number of bytes that are sent, or that there is room for, up to the capacity; the bytes stay as they are.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] beyond the capacity; [`Error::DatagramTooLong`] where no datagram to the remote address can be that
    /// long; [`Error::Abandoned`].
    pub fn set_len(&mut self, length: usize) -> Result<(), Error> {
        let abandoned = self.abandoned();
        // SAFETY: the cell is the holder's, which is borrowed exclusively and writes it only when the reference is gone.
        if let Some(remote) = unsafe { &*self.slot().remote.get() } {
            check_length(length, remote)?;
        }
        let buffer = self.buffer_mut().ok_or(abandoned)?;
        buffer.set_len(length)?;
        let described = buffer.extent().as_wsk_buf();
        // SAFETY: at rest, the arguments are the holder's, which is borrowed exclusively.
        unsafe { (*self.slot().block.arguments().as_ptr()).buffer = described };
        Ok(())
    }

    #[inline]
    fn is_abandoned(&self) -> bool {
        // SAFETY: the cell is the holder's, which is borrowed.
        unsafe { *self.slot().abandoned.get() }
    }

    #[cold]
    #[inline(never)]
    fn abandoned(&self) -> Error {
        Error::Abandoned {
            call: D::CALL,
            // SAFETY: the cell is the holder's, which is borrowed.
            status: unsafe { *self.slot().answer.get() }.returned(),
        }
    }

    /// Passes the IRP on.
    #[inline]
    fn launch(&mut self) -> Result<Flight<()>, Error> {
        if self.is_abandoned() {
            return Err(self.abandoned());
        }
        // SAFETY: the slot is at rest and this is its one holder. What the parameters point at is in the slot, which stays as long
        // as there is a holder: this, the flight's, or the routine.
        Ok(unsafe { Block::launch(self.slot.cast(), |irp| D::pass_on(self.slot(), irp)) })
    }

    /// Carries out the operation and waits for it.
    #[inline]
    fn run(&mut self, limit: Option<Duration>) -> Result<usize, Error> {
        require_passive()?;
        let flight = self.launch()?;
        if !flight.is_completed() {
            return self.outlast(flight, limit);
        }
        // SAFETY: it has completed, and the slot is the holder's, which is borrowed exclusively.
        let outcome = unsafe {
            settle::<D>(self.slot);
            flight.outcome()
        };
        Self::read(outcome)
    }

    /// Waits for a flight that had not completed when the call returned.
    #[inline(never)]
    #[allow(clippy::needless_pass_by_value)]
    fn outlast(&mut self, flight: Flight<()>, limit: Option<Duration>) -> Result<usize, Error> {
        let timed_out = limit.is_some_and(|limit| !flight.wait(Some(limit)));
        if timed_out {
            flight.cancel();
        }
        if !flight.wait_or_give_up() {
            // SAFETY: the cell is the holder's, which is borrowed exclusively.
            unsafe {
                *self.slot().answer.get() = flight.answer();
                *self.slot().abandoned.get() = true;
            }
            return Err(self.abandoned());
        }
        // SAFETY: a wait said that it has completed, and the slot is the holder's, which is borrowed exclusively.
        let outcome = unsafe {
            settle::<D>(self.slot);
            flight.outcome()
        };
        if timed_out && outcome.status == STATUS_CANCELLED {
            return Err(Error::TimedOut { call: D::CALL });
        }
        Self::read(outcome)
    }

    /// The bytes that a completed operation has sent or received.
    #[inline]
    fn read(outcome: Outcome) -> Result<usize, Error> {
        if outcome.status.is_success() {
            Ok(outcome.information)
        } else {
            Self::read_failed(outcome)
        }
    }

    #[cold]
    #[inline(never)]
    fn read_failed(outcome: Outcome) -> Result<usize, Error> {
        if D::CALL == Call::WskReceiveFrom && outcome.status == STATUS_BUFFER_OVERFLOW {
            return Ok(outcome.information);
        }
        Err(Error::Call {
            call: D::CALL,
            status: outcome.status,
        })
    }

    /// Passes the IRP on and leaves the operation to what is returned.
    #[inline]
    fn start_within(self) -> Result<Started<D>, NotStarted<Self>> {
        let mut this = ManuallyDrop::new(self);
        match this.launch() {
            Ok(flight) => {
                // SAFETY: the cell is the holder's.
                unsafe { *this.slot().answer.get() = flight.answer() };
                // INVARIANT: the one holder of the slot, whose operation is in flight.
                Ok(Started {
                    slot: Some(this.slot),
                    direction: PhantomData,
                })
            }
            Err(error) => Err(NotStarted {
                error,
                buffer: Some(ManuallyDrop::into_inner(this)),
            }),
        }
    }
}

impl Prepared<Outbound> {
    /// Sends the datagram and waits until it has been sent; the number of bytes that were. IRQL: `PASSIVE_LEVEL`.
    ///
    /// WSK does not buffer: the call returns when the datagram has left, or failed to. Allocates nothing.
    ///
    /// [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`]; what WSK says; [`Error::Abandoned`], after which this sender can send no more.
    #[doc(alias = "WskSendTo")]
    #[inline]
    pub fn send(&mut self) -> Result<usize, Error> {
        self.run(None)
    }

    /// [`send`](Self::send), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `send`, [`Error::TimedOut`]. A cancelled send is waited for too; if it was done at the last moment that
    /// is no error.
    #[doc(alias = "WskSendTo")]
    pub fn send_timeout(&mut self, limit: Duration) -> Result<usize, Error> {
        self.run(Some(limit))
    }

    /// Starts to send the datagram, without waiting. IRQL: `<= DISPATCH_LEVEL`. Allocates nothing.
    ///
    /// The sender moves into the operation and comes back with the result; the operation is a future, and can be waited for,
    /// polled, cancelled, dropped or forgotten. Dropping it lets the datagram be sent all the same, after which the sender goes
    /// back to its pool.
    ///
    /// [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to).
    ///
    /// # Errors
    ///
    /// [`Error::Abandoned`] when the provider has never completed an earlier send; with the sender.
    #[doc(alias = "WskSendTo")]
    #[inline]
    pub fn start(self) -> Result<Sending, NotStarted<Self>> {
        self.start_within()
    }

    /// Where the datagram is sent.
    #[must_use]
    pub fn remote_address(&self) -> Option<SocketAddr> {
        // SAFETY: the cell is the holder's, which is borrowed.
        unsafe { *self.slot().remote.get() }
    }

    /// Sends to another address from now on. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongFamily`], [`Error::PortZero`], [`Error::DatagramTooLong`], [`Error::Abandoned`]; the address stays as it was.
    pub fn set_remote_address(&mut self, to: SocketAddr) -> Result<(), Error> {
        let Some(buffer) = self.buffer() else {
            return Err(self.abandoned());
        };
        check_length(buffer.len(), &to)?;
        // SAFETY: by the invariant there is a reference to the home behind the pointer, which is borrowed only here.
        let home = unsafe { self.home() };
        let family = home.family;
        family.check(&to)?;
        if to.port() == 0 {
            return Err(Error::PortZero);
        }
        // SAFETY: at rest, the arguments and the cell are the holder's, which is borrowed exclusively.
        unsafe {
            let arguments = self.slot().block.arguments().as_ptr();
            family.write(to, &mut (*arguments).address);
            *self.slot().remote.get() = Some(to);
        }
        Ok(())
    }
}

fn check_length(length: usize, to: &SocketAddr) -> Result<(), Error> {
    let limit = Family::limit(to);
    if length > limit {
        return Err(Error::DatagramTooLong { length, limit });
    }
    Ok(())
}

impl Prepared<Inbound> {
    /// Waits for a datagram and receives it. IRQL: `PASSIVE_LEVEL`. Allocates nothing.
    ///
    /// A datagram that is longer than the buffer fills it, and [`Arrival::is_truncated`] says so.
    ///
    /// [`WskReceiveFrom`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`]; what WSK says; [`Error::Abandoned`], after which this receiver can receive no more.
    #[doc(alias = "WskReceiveFrom")]
    #[inline]
    pub fn receive(&mut self) -> Result<Arrival<'_>, Error> {
        self.run(None)?;
        // INVARIANT: it has completed, so the slot is at rest.
        Ok(Arrival { slot: self.slot() })
    }

    /// [`receive`](Self::receive), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `receive`, [`Error::TimedOut`]. A cancelled receive is waited for too; if a datagram came at the last
    /// moment it is returned.
    #[doc(alias = "WskReceiveFrom")]
    pub fn receive_timeout(&mut self, limit: Duration) -> Result<Arrival<'_>, Error> {
        self.run(Some(limit))?;
        // INVARIANT: it has completed, so the slot is at rest.
        Ok(Arrival { slot: self.slot() })
    }

    /// Starts to receive a datagram, without waiting. IRQL: `<= DISPATCH_LEVEL`. Allocates nothing.
    ///
    /// The receiver moves into the operation and comes back with the result, and with the datagram as its
    /// [`arrival`](Self::arrival); the operation is a future, and can be waited for, polled, cancelled, dropped or forgotten.
    /// Dropping it cancels it.
    ///
    /// [`WskReceiveFrom`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from).
    ///
    /// # Errors
    ///
    /// [`Error::Abandoned`] when the provider has never completed an earlier receive; with the receiver.
    #[doc(alias = "WskReceiveFrom")]
    #[inline]
    pub fn start(self) -> Result<Receiving, NotStarted<Self>> {
        self.start_within()
    }

    /// The datagram that was received last; before the first, and after an error, there is nothing worth reading in it. `None`
    /// when a provider that broke its contract may still use the buffer; see [`Error::Abandoned`].
    #[must_use]
    #[inline]
    pub fn arrival(&self) -> Option<Arrival<'_>> {
        // INVARIANT: the slot is at rest, and launching it takes the receiver exclusively.
        let arrival = || Arrival { slot: self.slot() };
        (!self.is_abandoned()).then(arrival)
    }
}

impl<D: Direction> Prepared<D> {
    /// The home of the slot.
    ///
    /// # Safety
    ///
    /// The result is not used longer than the holder is borrowed.
    unsafe fn home(&self) -> ManuallyDrop<Shared<Home>> {
        // SAFETY: the pointer is that of a reference, which the holder has, and which is not dropped here.
        ManuallyDrop::new(unsafe { Shared::from_raw(*self.slot().home.get()) })
    }
}

impl<D: Direction> Drop for Prepared<D> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this was the slot's one holder; unless it was abandoned it is at rest.
        unsafe {
            if self.is_abandoned() {
                let_go_abandoned(self.slot);
            } else {
                give_back(self.slot);
            }
        }
    }
}

impl<D: Direction> fmt::Debug for Prepared<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("call", &D::CALL)
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// A datagram in the buffer of a [`Receiver`].
///
/// # Invariants
///
/// The slot is at rest, and its holder, a [`Receiver`], is borrowed.
#[derive(Clone, Copy)]
pub struct Arrival<'r> {
    slot: &'r Slot,
}

impl<'r> Arrival<'r> {
    /// The bytes that were received.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &'r [u8] {
        // SAFETY: at rest, by the invariant, the buffer is the holder's, which is borrowed.
        let bytes = unsafe { &*self.slot.buffer.get() }.as_slice();
        bytes.get(..self.length()).unwrap_or(bytes)
    }

    /// The number of bytes that were received.
    #[must_use]
    #[inline]
    pub fn length(&self) -> usize {
        // SAFETY: the slot is at rest, by the invariant.
        let received = unsafe { self.slot.outcome() }.information;
        received.min(self.arguments().buffer.Length)
    }

    /// Who sent the datagram.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] when WSK gave no IPv4 or IPv6 address.
    #[inline]
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        address::read(&self.arguments().address)
    }

    /// Whether the datagram came from this address and port.
    #[must_use]
    #[inline]
    pub fn is_from(&self, address: &SocketAddr) -> bool {
        address::is(&self.arguments().address, address)
    }

    /// Whether the datagram was longer than the buffer, and its end is lost.
    #[must_use]
    #[inline]
    pub fn is_truncated(&self) -> bool {
        self.arguments().control_flags & MSG_TRUNC != 0
    }

    /// Whether it was sent to a broadcast address.
    #[must_use]
    #[inline]
    pub fn is_broadcast(&self) -> bool {
        self.arguments().control_flags & MSG_BCAST != 0
    }

    /// Whether it was sent to a multicast address.
    #[must_use]
    #[inline]
    pub fn is_multicast(&self) -> bool {
        self.arguments().control_flags & MSG_MCAST != 0
    }

    #[inline]
    fn arguments(self) -> &'r Arguments {
        // SAFETY: at rest, by the invariant, the arguments are the holder's, which is borrowed.
        unsafe { self.slot.block.arguments().as_ref() }
    }
}

impl fmt::Debug for Arrival<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("length", &self.length())
            .field("remote_address", &self.remote_address())
            .field("truncated", &self.is_truncated())
            .finish_non_exhaustive()
    }
}

/// A prepared operation in flight: a [`Sending`] or a [`Receiving`].
///
/// It is a [`Future`], and needs no particular executor. It may be dropped or forgotten at any moment, at any IRQL up to
/// `DISPATCH_LEVEL`: dropping a `Sending` lets the datagram go, dropping a `Receiving` cancels it, and in either case the
/// operation goes back to its pool when its IRP has completed. Forgetting it keeps it, and the socket open, for ever.
///
/// # Invariants
///
/// The slot, until it was taken out, is in flight or has completed; this is its one holder, with a reference to its home.
#[must_use = "dropping a `Receiving` cancels it"]
pub struct Started<D: Direction> {
    slot: Option<NonNull<Slot>>,
    direction: PhantomData<fn() -> D>,
}

// SAFETY: whoever holds a slot may use it on any thread.
unsafe impl<D: Direction> Send for Started<D> {}
// SAFETY: shared, an operation can be looked at and cancelled, which the kernel allows on any thread; all else needs it whole.
unsafe impl<D: Direction> Sync for Started<D> {}

impl<D: Direction> Started<D> {
    /// Whether the operation has completed. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.flight().is_none_or(|flight| flight.is_completed())
    }

    /// Asks the provider to cancel the operation, which then completes soon, perhaps with success all the same. IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// [`IoCancelIrp`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocancelirp).
    #[doc(alias = "IoCancelIrp")]
    pub fn cancel(&self) {
        if let Some(flight) = self.flight() {
            flight.cancel();
        }
    }

    /// Waits until the operation has completed; its result is the number of bytes sent or received. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`] above `PASSIVE_LEVEL`, with the operation, which goes on.
    #[inline]
    pub fn wait(self) -> Result<Ended<D>, (Error, Self)> {
        if let Err(error) = require_passive() {
            return Err((error, self));
        }
        Ok(match self.into_slot() {
            // SAFETY: the slot's holder was this; the wait says whether it has completed.
            Some(slot) if unsafe { wait_or_give_up(slot) } => unsafe { completed(slot) },
            // SAFETY: nor does anything else use it.
            Some(slot) => unsafe { abandon(slot) },
            None => Ended::taken(),
        })
    }

    /// Waits until the operation has completed, at most for `limit`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] or [`Error::WrongIrql`], with the operation, which goes on.
    pub fn wait_timeout(self, limit: Duration) -> Result<Ended<D>, (Error, Self)> {
        if let Err(error) = require_passive() {
            return Err((error, self));
        }
        if self.flight().is_none_or(|flight| flight.wait(Some(limit))) {
            // SAFETY: the wait said that it has completed.
            Ok(unsafe { self.into_ended() })
        } else {
            Err((Error::TimedOut { call: D::CALL }, self))
        }
    }

    /// The end of the operation, if it has completed; else the operation. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The operation, which is still in flight.
    pub fn try_take(self) -> Result<Ended<D>, Self> {
        if self.is_completed() {
            // SAFETY: it has completed.
            return Ok(unsafe { self.into_ended() });
        }
        let mut this = self;
        // SAFETY: this is the slot's one holder.
        match this.slot.take_if(|slot| unsafe { is_given_up(*slot) }) {
            // SAFETY: it was the slot's one holder, and has it no more.
            Some(slot) => Ok(unsafe { abandon(slot) }),
            None => Err(this),
        }
    }

    /// Polls when it has not completed. If the provider has answered with an error it may never tell that it has.
    fn poll_refused(&mut self, context: &Context<'_>) -> Poll<Ended<D>> {
        let Some(slot) = self.slot else {
            return Poll::Ready(Ended::taken());
        };
        // SAFETY: this is the slot's one holder, whose the cell is.
        if !unsafe { *slot.as_ref().answer.get() }.returned().is_error() {
            return Poll::Pending;
        }
        // SAFETY: this is the slot's one holder.
        if unsafe { is_given_up(slot) } {
            self.slot = None;
            // SAFETY: it was the slot's one holder, and has it no more.
            return Poll::Ready(unsafe { abandon(slot) });
        }
        // Asked again at once, so that the time is looked at; not in a DPC, which might keep the completion from coming.
        if require_apc().is_ok() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// The slot's flight, to be looked at.
    #[inline]
    fn flight(&self) -> Option<Flight<()>> {
        // SAFETY: by the invariant this is the holder of the slot's flight; what is made here only looks at it meanwhile.
        self.slot
            .map(|slot| unsafe { Flight::from_raw(slot.cast()) })
    }

    /// Takes the slot out, after which nothing is left to drop.
    #[inline]
    fn into_slot(self) -> Option<NonNull<Slot>> {
        ManuallyDrop::new(self).slot.take()
    }

    /// The end of an operation that has completed.
    ///
    /// # Safety
    ///
    /// As for [`completed`], unless the slot was taken out before.
    unsafe fn into_ended(self) -> Ended<D> {
        // SAFETY: the caller has seen that it has completed; this was the slot's one holder.
        let end = |slot| unsafe { completed(slot) };
        self.into_slot().map_or(Ended::taken(), end)
    }
}

/// Waits as [`Flight::wait_or_give_up`] does.
///
/// # Safety
///
/// The caller holds the slot, which is in flight or has completed.
#[inline]
unsafe fn wait_or_give_up(slot: NonNull<Slot>) -> bool {
    /// # Safety
    ///
    /// As for the function around it.
    #[inline(never)]
    unsafe fn wait_longer(slot: NonNull<Slot>) -> bool {
        // SAFETY: the caller holds the slot; the cell is the holder's.
        unsafe {
            let mut flight = Flight::<()>::from_raw(slot.cast());
            flight.set_answer(*slot.as_ref().answer.get());
            flight.wait_or_give_up()
        }
    }
    // SAFETY: the caller holds the slot.
    unsafe { slot.as_ref().block.is_at_rest() || wait_longer(slot) }
}

/// Asks as [`Flight::is_given_up`] does.
///
/// # Safety
///
/// The caller holds the slot, which is in flight or has completed.
unsafe fn is_given_up(slot: NonNull<Slot>) -> bool {
    // SAFETY: the caller holds the slot, whose flight is only looked at; the cell is the holder's.
    unsafe {
        let mut flight = Flight::<()>::from_raw(slot.cast());
        flight.set_answer(*slot.as_ref().answer.get());
        let given_up = flight.is_given_up();
        *slot.as_ref().answer.get() = flight.answer();
        given_up
    }
}

/// The end of an operation that has completed.
///
/// # Safety
///
/// It has completed, and the caller, the slot's one holder, gives the slot away.
#[inline]
unsafe fn completed<D: Direction>(slot: NonNull<Slot>) -> Ended<D> {
    // SAFETY: it has completed, so the slot is at rest, and the caller gives it away.
    unsafe { settle::<D>(slot) };
    // INVARIANT: it has completed.
    Ended {
        operation: Some(Prepared {
            slot,
            direction: PhantomData,
        }),
        returned: STATUS_SUCCESS,
    }
}

/// Gives up a slot whose provider has answered with an error and keeps the IRP, against its contract. Should it complete the IRP
/// after all, the routine puts the slot back.
///
/// # Safety
///
/// The caller, the slot's one holder, gives the slot away.
#[cold]
unsafe fn abandon<D: Direction>(slot: NonNull<Slot>) -> Ended<D> {
    // SAFETY: the caller was the slot's one holder, whose the cell is.
    let returned = unsafe {
        let returned = (*slot.as_ref().answer.get()).returned();
        let_go(slot);
        returned
    };
    Ended {
        operation: None,
        returned,
    }
}

/// The end of a prepared operation: its result, and the operation to be used again.
///
/// # Invariants
///
/// The operation, if there is one, is at rest.
#[derive(Debug)]
pub struct Ended<D: Direction> {
    operation: Option<Prepared<D>>,
    /// Where there is none, what the provider has answered; success if the end was taken before.
    returned: NTSTATUS,
}

impl<D: Direction> Ended<D> {
    #[inline]
    const fn taken() -> Self {
        Self {
            operation: None,
            returned: STATUS_SUCCESS,
        }
    }

    /// The number of bytes that were sent or received.
    ///
    /// # Errors
    ///
    /// What WSK says; [`Error::Abandoned`]; [`Error::Taken`] from a future that was polled after its end.
    #[inline]
    pub fn result(&self) -> Result<usize, Error> {
        match &self.operation {
            // SAFETY: at rest, by the invariant.
            Some(prepared) => Prepared::<D>::read(unsafe { prepared.slot().outcome() }),
            None => Err(Self::lost(self.returned)),
        }
    }

    /// Why there is no operation. Gets what it looks at by itself, so that what has one never has to be in memory.
    #[cold]
    fn lost(returned: NTSTATUS) -> Error {
        if returned.is_error() {
            Error::Abandoned {
                call: D::CALL,
                status: returned,
            }
        } else {
            Error::Taken
        }
    }

    /// The operation; `None` only after [`Error::Abandoned`], when the provider may still use it, and [`Error::Taken`].
    #[must_use]
    #[inline]
    pub fn into_operation(self) -> Option<Prepared<D>> {
        self.operation
    }
}

impl Ended<Inbound> {
    /// The datagram that was received.
    ///
    /// # Errors
    ///
    /// Those of [`result`](Self::result).
    #[inline]
    pub fn arrival(&self) -> Result<Arrival<'_>, Error> {
        match &self.operation {
            Some(receiver) => {
                // SAFETY: at rest, by the invariant.
                Receiver::read(unsafe { receiver.slot().outcome() })?;
                // INVARIANT: the slot is at rest, and launching it takes the receiver exclusively.
                Ok(Arrival {
                    slot: receiver.slot(),
                })
            }
            None => Err(Self::lost(self.returned)),
        }
    }
}

impl<D: Direction> Future for Started<D> {
    type Output = Ended<D>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(mut flight) = this.flight()
            && flight.poll(context).is_pending()
        {
            return this.poll_refused(context);
        }
        // SAFETY: polling it said that it has completed; this was the slot's one holder.
        let end = |slot| unsafe { completed(slot) };
        Poll::Ready(this.slot.take().map_or(Ended::taken(), end))
    }
}

impl<D: Direction> Drop for Started<D> {
    #[inline]
    fn drop(&mut self) {
        // Where it has completed there is nothing to cancel.
        if D::CANCEL_ON_DROP
            && let Some(flight) = self.flight()
            && !flight.is_completed()
        {
            flight.silence();
            flight.cancel();
        }
        if let Some(slot) = self.slot.take() {
            // SAFETY: this was the slot's one holder.
            unsafe { let_go(slot) };
        }
    }
}

impl<D: Direction> fmt::Debug for Started<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started")
            .field("call", &D::CALL)
            .field("completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}

/// A fixed number of prepared operations of one socket: [`Senders`] or [`Receivers`].
///
/// Made by [`DatagramSocket::senders`] and [`DatagramSocket::receivers`]. Taking one and giving it back take no lock. One
/// that was given back is taken again as it was left: with its bytes, its length and its address. The memory goes, and the
/// handle of the socket with it, when the pool and everything taken from it has been dropped.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind("127.0.0.1:0".parse().unwrap())?;
/// use wsk::NonPagedBuffer;
///
/// let senders = socket.senders(16, to, |_| NonPagedBuffer::new(1024))?;
/// if let Some(mut sender) = senders.take() {
///     sender.as_mut_slice().fill(7);
///     // The sender goes back to the pool when the datagram has been sent.
///     drop(sender.start());
/// }
/// # assert_eq!(peer.recv(&mut [0; 1500]).unwrap(), 1024);
/// # drop((senders, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct PreparedPool<D: Direction> {
    home: Shared<Home>,
    direction: PhantomData<fn() -> D>,
}

// SAFETY: it is a reference to a home, which may be sent and shared; the direction is in its type only.
unsafe impl<D: Direction> Send for PreparedPool<D> {}
// SAFETY: slots are taken and given back by atomic exchange, on any thread, and `Prepared` may be sent.
unsafe impl<D: Direction> Sync for PreparedPool<D> {}

impl<D: Direction> PreparedPool<D> {
    /// Takes an operation, if one is there. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    #[inline]
    pub fn take(&self) -> Option<Prepared<D>> {
        let index = self.home.slots.pop()?;
        // The reference of the holder.
        let _ = Shared::into_raw(Shared::clone(&self.home));
        // INVARIANT: the slot was popped, so this is its one holder.
        Some(Prepared {
            // SAFETY: the number was popped.
            slot: NonNull::from(unsafe { self.home.slots.slot(index) }),
            direction: PhantomData,
        })
    }

    /// Takes an operation, waiting until one is there or `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::PoolEmpty`] when the time ran out; [`Error::WrongIrql`].
    pub fn take_timeout(&self, limit: Duration) -> Result<Prepared<D>, Error> {
        self.home.slots.take_within(Some(limit), || self.take())
    }

    /// Takes an operation, waiting until one is there. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub fn take_or_wait(&self) -> Result<Prepared<D>, Error> {
        self.home.slots.take_within(None, || self.take())
    }

    /// The number of operations, taken or not.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.home.slots.depth()
    }
}

impl<D: Direction> Clone for PreparedPool<D> {
    fn clone(&self) -> Self {
        Self {
            home: self.home.clone(),
            direction: PhantomData,
        }
    }
}

impl<D: Direction> fmt::Debug for PreparedPool<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedPool")
            .field("call", &D::CALL)
            .field("depth", &self.home.slots.depth())
            .finish_non_exhaustive()
    }
}

impl DatagramSocket {
    /// Makes a sender of what is in `buffer` to `to`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Allocates the operation, after which sending allocates nothing. The sender is a handle of the socket.
    ///
    /// # Errors
    ///
    /// [`Error::NotBound`], [`Error::WrongFamily`], [`Error::PortZero`], [`Error::DatagramTooLong`], [`Error::NoMemory`]; with
    /// the buffer.
    pub fn sender(
        &self,
        buffer: NonPagedBuffer,
        to: SocketAddr,
    ) -> Result<Sender, NotStarted<NonPagedBuffer>> {
        single(self, buffer, Some(to))
    }

    /// Makes a receiver into `buffer`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Allocates the operation, after which receiving allocates nothing. The receiver is a handle of the socket.
    ///
    /// # Errors
    ///
    /// [`Error::NotBound`], [`Error::NoMemory`]; with the buffer.
    pub fn receiver(&self, buffer: NonPagedBuffer) -> Result<Receiver, NotStarted<NonPagedBuffer>> {
        single(self, buffer, None)
    }

    /// Makes `depth` senders to `to`, over buffers that `make` makes, which is told their numbers. IRQL: `<= DISPATCH_LEVEL`,
    /// if `make` may be called there.
    ///
    /// # Errors
    ///
    /// [`Error::NoBuffers`] for a depth of 0, those of [`sender`](Self::sender), and what `make` says.
    pub fn senders(
        &self,
        depth: u32,
        to: SocketAddr,
        make: impl FnMut(u32) -> Result<NonPagedBuffer, Error>,
    ) -> Result<Senders, Error> {
        several(self, depth, Some(to), make)
    }

    /// Makes `depth` receivers, over buffers that `make` makes, which is told their numbers. IRQL: `<= DISPATCH_LEVEL`, if `make`
    /// may be called there.
    ///
    /// # Errors
    ///
    /// [`Error::NoBuffers`] for a depth of 0, those of [`receiver`](Self::receiver), and what `make` says.
    pub fn receivers(
        &self,
        depth: u32,
        make: impl FnMut(u32) -> Result<NonPagedBuffer, Error>,
    ) -> Result<Receivers, Error> {
        several(self, depth, None, make)
    }
}

/// What can be wrong with a datagram from `buffer` to `to`.
fn check(
    socket: &DatagramSocket,
    buffer: &NonPagedBuffer,
    to: Option<SocketAddr>,
) -> Result<(), Error> {
    match to {
        Some(to) => DatagramSocket::check_datagram(socket.shared().family, buffer.len(), to),
        None => Ok(()),
    }
}

/// A home with one slot, which is given to the caller.
fn single<D: Direction>(
    socket: &DatagramSocket,
    buffer: NonPagedBuffer,
    to: Option<SocketAddr>,
) -> Result<Prepared<D>, NotStarted<NonPagedBuffer>> {
    match check(socket, &buffer, to).and_then(|()| Home::reserve(socket, 1)) {
        Ok((place, mut home)) => {
            home.add(buffer, to);
            let pool = PreparedPool {
                home: home.settle(place),
                direction: PhantomData,
            };
            pool.take().ok_or(NotStarted {
                error: Error::PoolEmpty,
                buffer: None,
            })
        }
        Err(error) => Err(NotStarted::new(error, buffer)),
    }
}

/// A home with several slots.
fn several<D: Direction>(
    socket: &DatagramSocket,
    depth: u32,
    to: Option<SocketAddr>,
    make: impl FnMut(u32) -> Result<NonPagedBuffer, Error>,
) -> Result<PreparedPool<D>, Error> {
    let mut make = make;
    let (place, mut home) = Home::reserve(socket, depth)?;
    for number in 0..depth {
        let buffer = make(number)?;
        check(socket, &buffer, to)?;
        home.add(buffer, to);
    }
    Ok(PreparedPool {
        home: home.settle(place),
        direction: PhantomData,
    })
}
