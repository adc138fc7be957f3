//! [`Messages`]: several datagrams in one request (`WSK_BUF_LIST`).

use core::cell::Cell;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_sys::WSK_BUF_LIST;

use crate::buffer::{Control, ControlMessage, Extent, Lock, UndoLock};
use crate::error::{Error, Memory};
use crate::memory::{Row, RowHead};

/// A list of datagrams that one request sends to one address, with [control information](Self::control_mut) for all of them. It may be dropped
/// at any IRQL up to `DISPATCH_LEVEL`, if the buffers may be.
///
/// The list has a fixed [capacity](Self::with_capacity). Fill it, send it and empty it as often as you want, without another allocation; it may
/// come from a [pool](crate::BufferPool). For a driver's own `WSK_BUF_LIST`, use a [`DriverList`](crate::DriverList).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// use wsk::{Messages, NonPagedBuffer};
///
/// let (first, second) = (NonPagedBuffer::copy_of(b"one")?, NonPagedBuffer::copy_of(b"three")?);
/// let mut messages = Messages::new([&first, &second])?;
/// assert_eq!(socket.send_messages(&mut messages, to).wait()?, 8);
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
/// The buffers of the last `locked` nodes are locked, each by its node's lock. While the list is in flight nothing touches the nodes.
#[doc(alias = "WSK_BUF_LIST")]
pub struct Messages<B> {
    list: Row<ListHead, Message<B>>,
}

/// The head of the pool block behind [`Messages`]; the nodes lie behind it. Nonpaged, because WSK reads the block at up to
/// `DISPATCH_LEVEL`.
struct ListHead {
    control: Control<{ ControlMessage::SPACE_FOR_ALL }>,
    /// The number of nodes whose buffers are locked.
    locked: usize,
}

impl RowHead for ListHead {}

/// A datagram of a list.
struct Message<B> {
    entry: Cell<WSK_BUF_LIST>,
    /// A cell: while the lock holds something, WSK or the lock itself may refer to the buffer, so the node may only be shared.
    lock: Cell<Lock>,
    buffer: B,
}

/// A list that is ready to be sent.
///
/// # Invariants
///
/// As long as it is used, `first` heads a list of entries, and each of them has a length of 0, or describes bytes of a chain that is there.
#[derive(Debug, Clone, Copy)]
pub struct LockedList {
    /// Its first entry.
    pub(crate) first: NonNull<WSK_BUF_LIST>,
    /// The length of the longest datagram.
    pub(crate) longest: usize,
}

// SAFETY: the list is in memory that only this value has and that is bound to no thread; the buffers in it may be sent.
unsafe impl<B: Send> Send for Messages<B> {}
// SAFETY: through `&Messages` the buffers are only shared. The cells are used through `&mut Messages` only, and by WSK.
unsafe impl<B: Sync> Sync for Messages<B> {}

impl<B> Messages<B> {
    /// An empty list with room for `capacity` datagrams. IRQL: `<= DISPATCH_LEVEL`. Allocates the list.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn with_capacity(capacity: usize) -> Result<Self, Error> {
        let list = ListHead {
            control: Control::new(),
            locked: 0,
        };
        let list = Row::with_capacity(list, capacity).ok_or(Error::NoMemory(Memory::Buffer))?;
        Ok(Self { list })
    }

    /// A list of these datagrams, in the order in which they are sent. IRQL: `<= DISPATCH_LEVEL`. Allocates the list.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn new<const N: usize>(buffers: [B; N]) -> Result<Self, Error> {
        let mut messages = Self::with_capacity(N)?;
        for buffer in buffers {
            // There is room for all of them.
            let _ = messages.push(buffer);
        }
        Ok(messages)
    }

    /// Adds a datagram at the end.
    ///
    /// # Errors
    ///
    /// The buffer, when the list is full.
    pub fn push(&mut self, buffer: B) -> Result<(), B> {
        let node = Message {
            entry: Cell::new(WSK_BUF_LIST::default()),
            lock: Cell::new(Lock::new()),
            buffer,
        };
        self.list.push(node).map_err(|node| node.buffer)
    }

    /// Takes the last datagram out.
    pub fn pop(&mut self) -> Option<B> {
        self.list.pop().map(|node| node.buffer)
    }

    /// Removes all datagrams.
    pub fn clear(&mut self) {
        while self.pop().is_some() {}
    }

    /// The number of datagrams.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.values().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of datagrams that there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.list.capacity()
    }

    /// The buffer of a datagram.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&B> {
        self.list.values().get(index).map(|node| &node.buffer)
    }

    /// The buffer of a datagram, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut B> {
        let node = self.list.values_mut().get_mut(index)?;
        Some(&mut node.buffer)
    }

    /// The buffers, in the order in which they are sent.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &B> {
        self.list.values().iter().map(|node| &node.buffer)
    }

    /// The control information that goes with each of the datagrams; none at first.
    #[must_use]
    pub fn control_mut(&mut self) -> &mut Control<{ ControlMessage::SPACE_FOR_ALL }> {
        &mut self.list.control
    }
}

impl<B> Drop for Messages<B> {
    fn drop(&mut self) {
        // From the last datagram to the first. If the code of a buffer unwinds, the row drops the rest.
        self.clear();
    }
}

impl<B> fmt::Debug for Messages<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages")
            .field("length", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl<B> Messages<B> {
    /// Links the list, and calls `lock` to lock each of its buffers. If `locks`, it may lock something. If a call fails or unwinds, unlocks
    /// the buffers again.
    pub(super) fn link(
        &mut self,
        locks: bool,
        mut lock: impl FnMut(&B, &mut Lock) -> Result<Extent, Error>,
    ) -> Result<LockedList, Error> {
        let mut undo = UndoList {
            list: &mut self.list,
            locked: 0,
        };
        let (mut longest, mut first) = (0, None);
        // The nodes are only shared: while the list is locked, other threads may change the flag of a claimed buffer.
        for node in undo.list.values().iter().rev() {
            let mut its = Lock::new();
            let mut undo_one = UndoLock::new(&mut its, locks);
            let extent = lock(&node.buffer, undo_one.lock())?;
            undo_one.done();
            drop(undo_one);
            node.lock.set(its);
            longest = longest.max(extent.len());
            node.entry.set(WSK_BUF_LIST {
                Next: first.map_or(core::ptr::null_mut(), NonNull::as_ptr),
                Buffer: extent.as_wsk_buf(),
            });
            undo.locked += 1;
            first = Some(NonNull::from(&node.entry).cast());
        }
        let first = first.ok_or(Error::NoMessages)?;
        undo.done();
        Ok(LockedList { first, longest })
    }

    /// Unlocks the buffers.
    pub(super) fn unlock(&mut self) {
        // INVARIANT: no buffer is locked after this.
        let locked = core::mem::take(&mut self.list.locked);
        drop(UndoList {
            list: &mut self.list,
            locked,
        });
    }

    /// The bytes of the control information.
    pub(super) fn control(&self) -> &[u8] {
        self.list.control.as_bytes()
    }
}

/// Unlocks the buffers of the last nodes of a list when dropped.
struct UndoList<'l, B> {
    list: &'l mut Row<ListHead, Message<B>>,
    /// The number of these nodes.
    locked: usize,
}

impl<B> UndoList<'_, B> {
    /// Leaves the buffers as they are.
    fn done(self) {
        let mut undo = ManuallyDrop::new(self);
        // INVARIANT: the buffers of this many nodes are locked.
        undo.list.locked = undo.locked;
    }
}

impl<B> Drop for UndoList<'_, B> {
    fn drop(&mut self) {
        for node in self.list.values().iter().rev().take(self.locked) {
            node.lock.replace(Lock::new()).unlock();
        }
    }
}
