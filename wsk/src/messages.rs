//! Several datagrams in one request: the `WSK_BUF_LIST` of `WskSendMessages`.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use wsk_sys::WSK_BUF_LIST;

use crate::buffer::{Held, Lock, SendBuffer, lend};
use crate::control::{Control, ControlMessage};
use crate::error::{Call, Error, Memory};
use crate::in_flight::{Finished, InFlight, Operation, sealed};
use crate::memory;
use crate::operation::{Arguments, CONTROL_ROOM, Outcome, Payload};

/// `N` datagrams that are sent to one address by one request, with [control information](Self::control_mut) for all of them.
/// May be dropped at any IRQL up to `DISPATCH_LEVEL`, if the buffers may be.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind("127.0.0.1:0".parse().unwrap())?;
/// use wsk::{Messages, NonPagedBuffer};
///
/// let (first, second) = (NonPagedBuffer::copy_of(b"one")?, NonPagedBuffer::copy_of(b"three")?);
/// let mut messages = Messages::new([&first, &second])?;
/// assert_eq!(socket.send_messages(&mut messages, to)?, 8);
/// # let mut bytes = [0; 8];
/// # assert_eq!(peer.recv(&mut bytes).unwrap(), 3);
/// # assert_eq!(peer.recv(&mut bytes).unwrap(), 5);
/// # drop(messages);
/// # drop((first, second, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The first `locked` of `locks` are initialised, and borrow from the buffers of the same numbers. `nodes` is a pool block of this
/// value's own.
pub struct Messages<B, const N: usize> {
    // Before the buffers, so that they are dropped first.
    locks: Locks<N>,
    nodes: Nodes<N>,
    buffers: [B; N],
}

/// The list: WSK reads it at up to `DISPATCH_LEVEL`, so it lies in nonpaged pool.
struct Nodes<const N: usize>(NonNull<List<N>>);

/// What lies there.
#[repr(C)]
struct List<const N: usize> {
    nodes: [WSK_BUF_LIST; N],
    control: Control<CONTROL_ROOM>,
}

impl<const N: usize> Nodes<N> {
    fn new() -> Result<Self, Error> {
        let block = memory::allocate(Layout::new::<List<N>>());
        let list = block
            .ok_or(Error::NoMemory(Memory::Buffer))?
            .cast::<List<N>>();
        // SAFETY: the block has room for a list, for whose entries zero is a valid value.
        unsafe {
            list.write_bytes(0, 1);
            (&raw mut (*list.as_ptr()).control).write(Control::new());
        }
        Ok(Self(list))
    }

    /// The first entry, if there is one.
    fn first(&self) -> NonNull<WSK_BUF_LIST> {
        // What a list begins with.
        self.0.cast()
    }
}

impl<const N: usize> Drop for Nodes<N> {
    fn drop(&mut self) {
        // SAFETY: the block came from `allocate`, is this value's own, and is freed once. While a request reads the list the messages
        // are borrowed or owned by it, so that this is not dropped.
        unsafe { memory::free(self.0.cast()) };
    }
}

// SAFETY: the list is this value's own memory, bound to no thread; locks and buffers are `Send`.
unsafe impl<B: Send, const N: usize> Send for Messages<B, N> {}

struct Locks<const N: usize> {
    locks: [MaybeUninit<Lock<'static>>; N],
    locked: usize,
}

impl<const N: usize> Locks<N> {
    fn clear(&mut self) {
        while let Some(last) = self.locked.checked_sub(1) {
            self.locked = last;
            if let Some(lock) = self.locks.get_mut(last) {
                // SAFETY: it counted as initialised, by the invariant, and no longer does: it is dropped once.
                unsafe { lock.assume_init_drop() };
            }
        }
    }
}

impl<const N: usize> Drop for Locks<N> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<B, const N: usize> Messages<B, N> {
    /// The datagrams, in the order in which they are sent. IRQL: `<= DISPATCH_LEVEL`. Allocates the list.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn new(buffers: [B; N]) -> Result<Self, Error> {
        let locks = Locks {
            locks: [const { MaybeUninit::uninit() }; N],
            locked: 0,
        };
        // INVARIANT: nothing is locked.
        Ok(Self {
            locks,
            nodes: Nodes::new()?,
            buffers,
        })
    }

    /// The buffers.
    #[must_use]
    pub const fn buffers(&self) -> &[B; N] {
        &self.buffers
    }

    /// The buffers, to be changed.
    #[must_use]
    pub const fn buffers_mut(&mut self) -> &mut [B; N] {
        &mut self.buffers
    }

    /// The buffers back.
    #[must_use]
    pub fn into_buffers(self) -> [B; N] {
        self.buffers
    }

    /// The control information that goes with each of the datagrams; none at first.
    #[must_use]
    pub fn control_mut(&mut self) -> &mut Control<{ ControlMessage::SPACE_FOR_ALL }> {
        // SAFETY: the list is this value's own, which is borrowed exclusively and not in flight.
        unsafe { &mut (*self.nodes.0.as_ptr()).control }
    }

    /// Copies the control information into `arguments`; how many bytes there are.
    pub(crate) fn lend_control(&self, arguments: &mut Arguments) -> Result<usize, Error> {
        // SAFETY: the list is this value's own, and nothing writes the control information while this is borrowed.
        lend(
            unsafe { (*self.nodes.0.as_ptr()).control.as_bytes() },
            arguments,
        )
    }

    /// Unlocks the buffers.
    pub(crate) fn unlock(&mut self) {
        self.locks.clear();
    }
}

impl<B: SendBuffer, const N: usize> Messages<B, N> {
    /// Locks the buffers where they are and links the list; its head, and the length of the longest datagram.
    ///
    /// # Safety
    ///
    /// Until [`unlock`](Self::unlock), `this` is neither moved nor used, and the buffers outlive that.
    pub(crate) unsafe fn lock(
        this: NonNull<Self>,
    ) -> Result<(NonNull<WSK_BUF_LIST>, usize), Error> {
        // SAFETY: the caller has `this` alone; each part is borrowed for itself. The locks are dropped by `unlock`, or before this fails,
        // until when the buffers stay, as the caller says, so their lifetime may be extended. There are `N` nodes, and an `N`th buffer.
        unsafe {
            // Clears what was locked when a lock fails, or unwinds.
            let undo = Undo(&mut (*this.as_ptr()).locks);
            undo.0.clear();
            let nodes = (*this.as_ptr()).nodes.first().as_ptr();
            let mut longest = 0;
            let Locks { locks, locked } = &mut *undo.0;
            for (index, place) in locks.iter_mut().enumerate() {
                let buffer = (&raw const (*this.as_ptr()).buffers).cast::<B>().add(index);
                let lock = core::mem::transmute::<Lock<'_>, Lock<'static>>((*buffer).lock()?);
                if lock.has_control() {
                    return Err(Error::ControlOfOne);
                }
                longest = longest.max(lock.extent().len());
                let node = nodes.add(index);
                (*node).Buffer = lock.extent().as_wsk_buf();
                (*node).Next = if index + 1 < N {
                    node.add(1)
                } else {
                    core::ptr::null_mut()
                };
                place.write(lock);
                // INVARIANT: one more is initialised.
                *locked = index + 1;
            }
            core::mem::forget(undo);
            Ok((NonNull::new_unchecked(nodes), longest))
        }
    }
}

/// Clears the locks when dropped.
struct Undo<'l, const N: usize>(&'l mut Locks<N>);

impl<const N: usize> Drop for Undo<'_, N> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// A list that an operation in flight owns.
///
/// # Invariants
///
/// While the locks are there the messages neither move nor are touched.
pub struct CarriedMessages<B, const N: usize> {
    messages: Messages<B, N>,
}

impl<B, const N: usize> CarriedMessages<B, N> {
    pub(crate) fn new(messages: Messages<B, N>) -> Self {
        Self { messages }
    }

    /// The messages of an operation that is over, or was not started.
    pub(crate) fn into_messages(self) -> Messages<B, N> {
        self.messages
    }
}

impl<B: SendBuffer, const N: usize> CarriedMessages<B, N> {
    /// Locks the buffers in place, and puts the control information into `arguments`: the head of the list, the length of the
    /// longest datagram, and that of the control information.
    ///
    /// # Safety
    ///
    /// `this` is where the payload stays until it is settled, and nothing else refers to it.
    pub(crate) unsafe fn lock(
        this: NonNull<Self>,
        arguments: &mut Arguments,
    ) -> Result<(NonNull<WSK_BUF_LIST>, usize, usize), Error> {
        // SAFETY: the caller gives the place, where the messages stay until the payload is settled, which unlocks them.
        unsafe {
            let messages = NonNull::new_unchecked(&raw mut (*this.as_ptr()).messages);
            let control = messages.as_ref().lend_control(arguments)?;
            let (list, longest) = Messages::lock(messages)?;
            Ok((list, longest, control))
        }
    }
}

impl<B, const N: usize> Payload for CarriedMessages<B, N> {
    unsafe fn settle(this: NonNull<Self>, _: Option<Outcome>, _: &Arguments) {
        // SAFETY: the caller gives the payload, which nothing else uses; only the locks are borrowed.
        // INVARIANT: unlocked before the messages move.
        unsafe { (*this.as_ptr()).messages.locks.clear() };
    }
}

/// Several datagrams being sent.
pub type SendMessages<B, const N: usize> = InFlight<SendingMessages<B, N>>;

/// [`SendMessages`] as an [`Operation`].
pub struct SendingMessages<B, const N: usize>(PhantomData<fn() -> B>);

impl<B, const N: usize> sealed::Sealed for SendingMessages<B, N> {}

impl<B, const N: usize> Operation for SendingMessages<B, N> {
    type Output = Finished<usize, Messages<B, N>>;
    type Payload = CarriedMessages<B, N>;
    const CALL: Call = Call::WskSendMessages;
    const CANCEL_ON_DROP: bool = false;

    fn end(payload: Self::Payload, call: Call, outcome: Outcome, _: &Arguments) -> Self::Output {
        Finished {
            result: outcome.check(call).map(|()| outcome.information),
            buffer: Some(payload.into_messages()),
        }
    }

    fn lost(error: Error) -> Self::Output {
        Finished {
            result: Err(error),
            buffer: None,
        }
    }
}

impl<B, const N: usize> fmt::Debug for SendingMessages<B, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendingMessages")
    }
}

/// Stands for a list in flight: borrowed memory, which the provider may read as long as it likes.
pub(crate) struct ListInFlight;

impl Held for ListInFlight {
    fn can_keep(&self) -> bool {
        false
    }

    fn keep(&self) {}
}

impl<B, const N: usize> fmt::Debug for Messages<B, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages")
            .field("count", &N)
            .finish_non_exhaustive()
    }
}
