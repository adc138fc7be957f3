//! What a request carries, and what becomes of it: memory to send from or receive into, several datagrams, something of its own, or
//! nothing.

use core::fmt;
use core::ptr::NonNull;

use wsk_sys::WSK_BUF;

use crate::buffer::{Extent, Lock, LockedList, ReceiveBuffer, SendBuffer, SendList, UndoLock};
use crate::error::Error;

/// A way to carry `B`.
///
/// # Safety
///
/// What `lend` gives is valid until `take_back`, or for ever once `abandon` has said so.
pub unsafe trait Way<B>: 'static {
    /// What a function gets of it.
    #[doc(hidden)]
    type Lent: Copy;
    /// What waiting gives for a function that gives a `T`.
    type Waited<T>;
    /// What an operation that owns it ends in.
    type Finished<T>;
    /// What an operation of a scope ends in.
    type Scoped<T>;
    /// What is given back when it was not started.
    type NotStarted;

    /// Locks it for an operation.
    ///
    /// # Safety
    ///
    /// `carried` stays where it is, and is not used, until it is [taken back](Self::take_back); `lock` is the operation's, and holds
    /// nothing.
    #[doc(hidden)]
    unsafe fn lend(carried: NonNull<B>, lock: &mut Lock) -> Result<Self::Lent, Error>;

    /// Unlocks it.
    ///
    /// # Safety
    ///
    /// It was lent with this lock, and the operation is over, or was not begun.
    #[doc(hidden)]
    unsafe fn take_back(carried: NonNull<B>, lock: &mut Lock);

    /// Leaves it to a provider for ever; `false` when that cannot be. It is not borrowed where the provider may write into it.
    ///
    /// # Safety
    ///
    /// It is there, and lent.
    #[doc(hidden)]
    unsafe fn abandon(carried: NonNull<B>) -> bool;

    /// Whether what a scope has left to a provider is dropped once the IRP has completed after all, by whoever completes it: then it
    /// borrows nothing, and may be sent.
    #[doc(hidden)]
    const DROPPED_LATE: bool = false;

    /// Drops the part that borrows nothing and may be sent, where the whole may not be [dropped late](Self::DROPPED_LATE).
    ///
    /// # Safety
    ///
    /// The operation has completed, and what it carries is neither used again nor dropped.
    #[doc(hidden)]
    #[inline]
    unsafe fn drop_part(carried: NonNull<B>) {
        let _ = carried;
    }

    /// The result of waiting.
    #[doc(hidden)]
    fn waited<T>(result: Result<T, Error>, carried: B) -> Self::Waited<T>;

    /// The end of an owned operation: its result, with what it carried. That is missing only after [`Error::Abandoned`] and [`Error::Taken`].
    #[doc(hidden)]
    fn finished<T>(result: Result<T, Error>, carried: Option<B>) -> Self::Finished<T>;

    /// The end of an operation in a scope: its result, with what it carried, unless that stays with the scope after an error.
    #[doc(hidden)]
    fn scoped<T>(result: Result<T, Error>, carried: Option<B>) -> Self::Scoped<T>;

    /// The result of waiting for an operation that was [abandoned](Self::abandon).
    #[doc(hidden)]
    fn lost<T>(error: Error, carried: B) -> Self::Waited<T>
    where
        Self: Sized;

    /// What is given back when it was not started.
    #[doc(hidden)]
    fn not_started(error: Error, carried: B) -> Self::NotStarted;

    /// The result of waiting for an owned operation.
    #[doc(hidden)]
    fn into_waited<T>(finished: Self::Finished<T>) -> Self::Waited<T>;
}

/// The end of an operation that owned its buffer: its result, and the buffer.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::NonPagedBuffer;
///
/// let packet = NonPagedBuffer::copy_of(b"hello")?;
/// let sending = socket.send_to(packet, to).start()?;
/// let finished = sending.wait()?;
/// assert_eq!(finished.result?, 5);
/// let packet = finished.buffer;
/// assert!(packet.is_some(), "to be used again");
/// # assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
/// # drop((packet, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the result may be an error"]
pub struct Finished<T, B> {
    /// The result.
    pub result: Result<T, Error>,
    /// The buffer; `None` only after [`Error::Abandoned`], when the provider may still use it, and [`Error::Taken`], when it was given
    /// back before.
    pub buffer: Option<B>,
}

/// An operation that was not started.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::{Error, NonPagedBuffer};
///
/// # let mut to = to;
/// to.set_port(0);
/// let packet = NonPagedBuffer::copy_of(b"hello")?;
/// let refused = socket.send_to(packet, to).start().map(drop).unwrap_err();
/// assert_eq!(refused.error, Error::PortZero);
/// // Nothing was lost.
/// assert_eq!(refused.buffer.as_slice(), b"hello");
/// # drop(refused);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct NotStarted<B> {
    /// Why.
    pub error: Error,
    /// The buffer.
    pub buffer: B,
}

impl<B> fmt::Debug for NotStarted<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotStarted")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<B> fmt::Display for NotStarted<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B> core::error::Error for NotStarted<B> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<NotStarted<B>> for Error {
    fn from(not_started: NotStarted<B>) -> Self {
        not_started.error
    }
}

/// What becomes of a buffer, whichever way it is carried: waiting drops it, other operations give it back.
macro_rules! buffer_comes_back {
    () => {
        type Waited<T> = Result<T, Error>;
        type Finished<T> = Finished<T, B>;
        type Scoped<T> = Result<(T, B), Error>;
        type NotStarted = NotStarted<B>;

        #[inline]
        fn waited<T>(result: Result<T, Error>, _: B) -> Result<T, Error> {
            result
        }

        #[inline]
        fn finished<T>(result: Result<T, Error>, carried: Option<B>) -> Finished<T, B> {
            Finished {
                result,
                buffer: carried,
            }
        }

        #[inline]
        fn scoped<T>(result: Result<T, Error>, carried: Option<B>) -> Result<(T, B), Error> {
            result.and_then(|output| Ok((output, carried.ok_or(Error::Taken)?)))
        }

        fn lost<T>(error: Error, carried: B) -> Result<T, Error> {
            core::mem::forget(carried);
            Err(error)
        }

        fn into_waited<T>(finished: Finished<T, B>) -> Result<T, Error> {
            finished.result
        }

        fn not_started(error: Error, carried: B) -> NotStarted<B> {
            NotStarted {
                error,
                buffer: carried,
            }
        }
    };
}

/// Something that lies still until the loan ends.
///
/// # Invariants
///
/// It is there, and nobody writes it, until it is taken back, which is when this is used no more.
#[derive(Debug)]
pub struct Loan<T: ?Sized>(NonNull<T>);

impl<T: ?Sized> Loan<T> {
    /// What lies there.
    ///
    /// # Safety
    ///
    /// It is there until it is taken back, and nobody writes it meanwhile but whoever gets this.
    #[inline]
    pub(crate) const unsafe fn new(place: NonNull<T>) -> Self {
        // INVARIANT: the caller says so.
        Self(place)
    }

    /// What it is.
    #[inline]
    pub(crate) const fn get(&self) -> &T {
        // SAFETY: by the invariant it is there, and not written.
        unsafe { self.0.as_ref() }
    }

    /// Where it lies.
    #[inline]
    pub(crate) const fn place(&self) -> NonNull<T> {
        self.0
    }
}

impl<T: ?Sized> Clone for Loan<T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Loan<T> {}

/// Bytes are sent from a buffer.
#[derive(Debug)]
pub struct Outgoing;

/// A buffer to send from, as a function gets it.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub(crate) buffer: NonNull<WSK_BUF>,
    pub(crate) length: usize,
    pub(crate) control: Loan<[u8]>,
}

// SAFETY: the buffer keeps its promise from when it is locked to when it is unlocked.
unsafe impl<B: SendBuffer> Way<B> for Outgoing {
    type Lent = Sent;

    buffer_comes_back!();

    #[inline]
    unsafe fn lend(carried: NonNull<B>, lock: &mut Lock) -> Result<Sent, Error> {
        // Unlocks when the buffer fails, or unwinds.
        let mut undo = UndoLock::new(lock, B::LOCKS);
        // SAFETY: the caller keeps the buffer where it is, unused, and unlocks it.
        let (extent, control) = unsafe {
            let buffer = &*carried.as_ptr();
            let extent = buffer.lock(undo.lock())?;
            (extent, Loan::new(NonNull::from(buffer.control())))
        };
        let sent = Sent {
            buffer: extent.place(),
            length: extent.len(),
            control,
        };
        undo.done();
        Ok(sent)
    }

    #[inline]
    unsafe fn take_back(_: NonNull<B>, lock: &mut Lock) {
        if B::LOCKS {
            lock.unlock();
        }
    }

    unsafe fn abandon(carried: NonNull<B>) -> bool {
        // SAFETY: the caller keeps the same contract.
        unsafe { B::abandon_at(carried) }
    }
}

/// Bytes are received into a buffer.
#[derive(Debug)]
pub struct Incoming;

/// A buffer to receive into, as a function gets it.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub(crate) buffer: NonNull<WSK_BUF>,
    pub(crate) extent: Extent,
    pub(crate) control: usize,
}

// SAFETY: the buffer keeps its promise from when it is locked to when it is unlocked.
unsafe impl<B: ReceiveBuffer> Way<B> for Incoming {
    type Lent = Room;

    buffer_comes_back!();

    #[inline]
    unsafe fn lend(carried: NonNull<B>, lock: &mut Lock) -> Result<Room, Error> {
        // Unlocks when the buffer fails, or unwinds.
        let mut undo = UndoLock::new(lock, B::LOCKS);
        // SAFETY: the caller keeps the buffer where it is, unused, and unlocks it.
        let (control, extent) = unsafe {
            let buffer = &mut *carried.as_ptr();
            (buffer.control_room(), buffer.lock_mut(undo.lock())?)
        };
        let room = Room {
            buffer: extent.place(),
            extent: *extent,
            control,
        };
        undo.done();
        Ok(room)
    }

    #[inline]
    unsafe fn take_back(_: NonNull<B>, lock: &mut Lock) {
        if B::LOCKS {
            lock.unlock();
        }
    }

    unsafe fn abandon(carried: NonNull<B>) -> bool {
        // SAFETY: the caller keeps the same contract.
        unsafe { B::abandon_at(carried) }
    }
}

/// Whether a buffer that stays locked may be received into once more: by a shared reference it may have been sent from meanwhile, and
/// left to the provider.
#[inline]
pub(crate) fn not_lost<B: ReceiveBuffer>(buffer: &B) -> Result<(), Error> {
    if buffer.was_abandoned() {
        return Err(Error::BufferLost);
    }
    Ok(())
}

/// Several datagrams are sent.
#[derive(Debug)]
pub struct List;

/// A list of datagrams, as a function gets it.
#[derive(Debug, Clone, Copy)]
pub struct SentList {
    pub(crate) list: LockedList,
    pub(crate) control: Loan<[u8]>,
}

// SAFETY: the list keeps its promise from when it is locked to when it is unlocked.
unsafe impl<B: SendList> Way<B> for List {
    type Lent = SentList;

    buffer_comes_back!();

    unsafe fn lend(carried: NonNull<B>, _: &mut Lock) -> Result<SentList, Error> {
        /// Unlocks a list, should it not get further than that.
        struct Locked<B: SendList>(NonNull<B>);

        impl<B: SendList> Drop for Locked<B> {
            fn drop(&mut self) {
                // SAFETY: the list was just locked, and nothing was begun.
                unsafe { B::unlock_list(self.0) };
            }
        }

        // SAFETY: the caller keeps the list where it is, unused, and unlocks it. The control information is looked at once it is locked,
        // for which it is borrowed exclusively.
        unsafe {
            let list = B::lock_list(carried)?;
            let locked = Locked(carried);
            let control = Loan::new(NonNull::from(carried.as_ref().control()));
            core::mem::forget(locked);
            Ok(SentList { list, control })
        }
    }

    unsafe fn take_back(carried: NonNull<B>, _: &mut Lock) {
        // SAFETY: the caller has lent the list, whose operation is over.
        unsafe { B::unlock_list(carried) };
    }

    /// The list is the owner's own memory, which may be lent again.
    unsafe fn abandon(_: NonNull<B>) -> bool {
        false
    }
}

/// What comes of a request that carries nothing that is given back.
macro_rules! nothing_comes_back {
    ($B:ty, $leak:expr) => {
        type Waited<T> = Result<T, Error>;
        type Finished<T> = Result<T, Error>;
        type Scoped<T> = Result<T, Error>;
        type NotStarted = Error;

        #[inline]
        fn waited<T>(result: Result<T, Error>, _: $B) -> Result<T, Error> {
            result
        }

        fn finished<T>(result: Result<T, Error>, _: Option<$B>) -> Result<T, Error> {
            result
        }

        fn scoped<T>(result: Result<T, Error>, _: Option<$B>) -> Result<T, Error> {
            result
        }

        fn lost<T>(error: Error, carried: $B) -> Result<T, Error> {
            let leak: fn($B) = $leak;
            leak(carried);
            Err(error)
        }

        fn not_started(error: Error, _: $B) -> Error {
            error
        }

        fn into_waited<T>(finished: Result<T, Error>) -> Result<T, Error> {
            finished
        }
    };
}

/// Nothing is carried.
#[derive(Debug)]
pub struct Nothing;

// SAFETY: nothing is lent.
unsafe impl Way<()> for Nothing {
    type Lent = ();

    nothing_comes_back!((), |()| ());

    #[inline]
    unsafe fn lend(_: NonNull<()>, _: &mut Lock) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    unsafe fn take_back(_: NonNull<()>, _: &mut Lock) {}

    #[inline]
    unsafe fn abandon(_: NonNull<()>) -> bool {
        true
    }
}

/// Something of the request's own is carried, which becomes its result.
#[derive(Debug)]
pub struct Own;

/// Something that a request makes its result of: it is in an operation that owns it.
pub trait Ingredient: Sized + Send + 'static {
    /// Makes it ready.
    #[doc(hidden)]
    fn get_ready(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

// SAFETY: what is lent is where it lies, which the caller keeps.
unsafe impl<B: Ingredient> Way<B> for Own {
    type Lent = Loan<B>;

    nothing_comes_back!(B, core::mem::forget);

    unsafe fn lend(carried: NonNull<B>, _: &mut Lock) -> Result<Loan<B>, Error> {
        // SAFETY: the caller gives it, which nothing else uses until it is taken back.
        unsafe {
            (*carried.as_ptr()).get_ready()?;
            Ok(Loan::new(carried))
        }
    }

    unsafe fn take_back(_: NonNull<B>, _: &mut Lock) {}

    const DROPPED_LATE: bool = true;

    /// It lies in the operation, which stays.
    unsafe fn abandon(_: NonNull<B>) -> bool {
        true
    }
}
