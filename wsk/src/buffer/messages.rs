//! [`Messages`]: several datagrams in one request (`WSK_BUF_LIST`).

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use wsk_sys::WSK_BUF_LIST;

use crate::buffer::lock::Undo;
use crate::buffer::{Control, ControlMessage, Lock, PooledBuffer, SendBuffer};
use crate::error::{Error, Memory};
use crate::memory::{self, Owned, Room};

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
/// Behind `list` is room for `capacity` nodes, of which the first `length` are initialised. While the list is in flight the nodes are not
/// touched; else nothing is locked.
#[doc(alias = "WSK_BUF_LIST")]
pub struct Messages<B> {
    list: Owned<List>,
    buffers: PhantomData<B>,
}

/// What the pool block behind [`Messages`] begins with; the nodes lie behind it. Nonpaged, because WSK reads it at up to
/// `DISPATCH_LEVEL`.
#[repr(C, align(16))]
struct List {
    control: Control<{ ControlMessage::SPACE_FOR_ALL }>,
    capacity: usize,
    length: usize,
    /// Of how many nodes the buffers are locked.
    locked: usize,
}

/// A datagram of a list.
#[repr(C)]
struct Node<B> {
    entry: WSK_BUF_LIST,
    lock: Lock,
    buffer: B,
}

/// A list that is ready to be sent.
#[derive(Debug, Clone, Copy)]
pub struct LockedList {
    /// Its first entry.
    pub(crate) first: NonNull<WSK_BUF_LIST>,
    /// The length of the longest datagram.
    pub(crate) longest: usize,
}

// SAFETY: the list is this value's own memory, bound to no thread, and so are the buffers in it.
unsafe impl<B: Send> Send for Messages<B> {}
// SAFETY: through `&Messages` the buffers are only shared.
unsafe impl<B: Sync> Sync for Messages<B> {}

impl<B> Messages<B> {
    /// An empty list with room for `capacity` datagrams. IRQL: `<= DISPATCH_LEVEL`. Allocates the list.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn with_capacity(capacity: usize) -> Result<Self, Error> {
        // Does not compile for buffers that want more alignment than the pool gives.
        let _ = memory::layout::<Node<B>>();
        let none = Error::NoMemory(Memory::Buffer);
        let nodes = Layout::array::<Node<B>>(capacity).map_err(|_| none)?;
        // INVARIANT: no node is initialised.
        let list = Room::reserve_with(nodes).ok_or(none)?.fill(List {
            control: Control::new(),
            capacity,
            length: 0,
            locked: 0,
        });
        Ok(Self {
            list,
            buffers: PhantomData,
        })
    }

    /// A list of these datagrams, in the order in which they are sent. IRQL: `<= DISPATCH_LEVEL`. Allocates the list.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub fn new<const N: usize>(buffers: [B; N]) -> Result<Self, Error> {
        let mut messages = Self::with_capacity(N)?;
        for buffer in buffers {
            // There is room for all.
            let _ = messages.push(buffer);
        }
        Ok(messages)
    }

    /// The node of a number, if there is one.
    fn node(list: &Owned<List>, index: usize) -> *mut Node<B> {
        list.behind::<Node<B>>().wrapping_add(index)
    }

    fn nodes(&self) -> &[Node<B>] {
        // SAFETY: by the invariant so many nodes are initialised, and nobody writes them while this is borrowed.
        unsafe { core::slice::from_raw_parts(Self::node(&self.list, 0), self.list.length) }
    }

    fn nodes_mut(&mut self) -> &mut [Node<B>] {
        // SAFETY: by the invariant so many nodes are initialised; they are this value's own, which is borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(Self::node(&self.list, 0), self.list.length) }
    }

    /// Adds a datagram at the end.
    ///
    /// # Errors
    ///
    /// The buffer, when the list is full.
    pub fn push(&mut self, buffer: B) -> Result<(), B> {
        let length = self.list.length;
        if length == self.list.capacity {
            return Err(buffer);
        }
        let node = Node {
            entry: WSK_BUF_LIST::default(),
            lock: Lock::new(),
            buffer,
        };
        // SAFETY: by the invariant there is room for this node, which is not initialised.
        unsafe { Self::node(&self.list, length).write(node) };
        // INVARIANT: one more is initialised.
        self.list.length = length + 1;
        Ok(())
    }

    /// Takes the last datagram out.
    pub fn pop(&mut self) -> Option<B> {
        let last = self.list.length.checked_sub(1)?;
        // INVARIANT: one less is initialised.
        self.list.length = last;
        // SAFETY: by the invariant the node was, and no longer counts as that.
        let node = unsafe { Self::node(&self.list, last).read() };
        Some(node.buffer)
    }

    /// Removes all datagrams.
    pub fn clear(&mut self) {
        while self.pop().is_some() {}
    }

    /// The number of datagrams.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of datagrams that there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.list.capacity
    }

    /// The buffer of a datagram.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&B> {
        self.nodes().get(index).map(|node| &node.buffer)
    }

    /// The buffer of a datagram, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut B> {
        self.nodes_mut().get_mut(index).map(|node| &mut node.buffer)
    }

    /// The buffers, in the order in which they are sent.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &B> {
        self.nodes().iter().map(|node| &node.buffer)
    }

    /// The control information that goes with each of the datagrams; none at first.
    #[must_use]
    pub fn control_mut(&mut self) -> &mut Control<{ ControlMessage::SPACE_FOR_ALL }> {
        &mut self.list.control
    }
}

impl<B> Drop for Messages<B> {
    fn drop(&mut self) {
        /// Those before one whose code has unwound.
        struct Rest<'m, B>(&'m mut Messages<B>);

        impl<B> Drop for Rest<'_, B> {
            fn drop(&mut self) {
                self.0.clear();
            }
        }

        Rest(self).0.clear();
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

/// A list of datagrams to send: [`Messages`], a driver's own [`DriverList`](crate::DriverList), either of them from a
/// [pool](crate::BufferPool), or a `&mut` reference to any of these.
///
/// # Safety
///
/// From a call of [`lock_list`](Self::lock_list) to [`unlock_list`](Self::unlock_list) the list stays as it is, and so does what its
/// entries describe, as [`SendBuffer`] says.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of datagrams",
    label = "not `Messages`",
    note = "give `Messages`, or `&mut Messages` in a request that waits or is started in a scope"
)]
pub unsafe trait SendList {
    /// Locks the buffers and links the list.
    ///
    /// # Safety
    ///
    /// `this` is where the list is until it is unlocked, which happens once; nothing else uses it meanwhile.
    #[doc(hidden)]
    unsafe fn lock_list(this: NonNull<Self>) -> Result<LockedList, Error>;

    /// Unlocks the buffers.
    ///
    /// # Safety
    ///
    /// The list is there, and its request over, or not begun.
    #[doc(hidden)]
    unsafe fn unlock_list(this: NonNull<Self>);

    /// The control information that goes with each datagram.
    #[doc(hidden)]
    fn control(&self) -> &[u8];
}

// SAFETY: the list lies in memory of its own; its buffers keep their promise while they are locked.
unsafe impl<B: SendBuffer> SendList for Messages<B> {
    unsafe fn lock_list(this: NonNull<Self>) -> Result<LockedList, Error> {
        // SAFETY: the caller gives the list, which nothing else uses. The first `length` nodes have buffers, which stay until they are
        // unlocked.
        unsafe {
            let list = &mut (*this.as_ptr()).list;
            let length = list.length;
            // Unlocks what was locked when a lock fails, or unwinds.
            let undo = UndoList::<B>(list, PhantomData);
            let (mut longest, mut first) = (0, None);
            for index in (0..length).rev() {
                let node = Self::node(undo.0, index);
                let buffer = &(*node).buffer;
                if !buffer.control().is_empty() {
                    return Err(Error::ControlOfOne);
                }
                let mut lock = Undo::new(&mut (*node).lock, B::LOCKS);
                let extent = buffer.lock(lock.lock())?;
                longest = longest.max(extent.len());
                (*node).entry = WSK_BUF_LIST {
                    Next: first.map_or(core::ptr::null_mut(), NonNull::as_ptr),
                    Buffer: extent.as_wsk_buf(),
                };
                lock.done();
                undo.0.locked += 1;
                first = NonNull::new(&raw mut (*node).entry);
            }
            let first = first.ok_or(Error::NoMessages)?;
            undo.done();
            Ok(LockedList { first, longest })
        }
    }

    unsafe fn unlock_list(this: NonNull<Self>) {
        // SAFETY: the caller gives the list.
        let list = unsafe { &mut (*this.as_ptr()).list };
        drop(UndoList::<B>(list, PhantomData));
    }

    fn control(&self) -> &[u8] {
        self.list.control.as_bytes()
    }
}

/// Unlocks the buffers of a list when dropped: those at its end, of which the list knows how many they are.
///
/// # Invariants
///
/// The list is one of [`Messages<B>`](Messages), whose nodes nobody else uses.
struct UndoList<'l, B>(&'l mut Owned<List>, PhantomData<B>);

impl<B> UndoList<'_, B> {
    /// Leaves the buffers as they are.
    fn done(self) {
        core::mem::forget(self);
    }
}

impl<B> Drop for UndoList<'_, B> {
    fn drop(&mut self) {
        let List { length, locked, .. } = **self.0;
        self.0.locked = 0;
        for index in length - locked..length {
            // SAFETY: by the invariant the last `locked` nodes of the list have a lock, which is touched by nobody else.
            unsafe { (*Messages::<B>::node(self.0, index)).lock.unlock() };
        }
    }
}

/// What leads to a list passes its promise on.
macro_rules! passes_on {
    ($Owner:ty) => {
        // SAFETY: the owner is the one way to the list, which it has, or borrows exclusively, at least as long as it is there.
        unsafe impl<L: SendList> SendList for $Owner {
            unsafe fn lock_list(this: NonNull<Self>) -> Result<LockedList, Error> {
                // SAFETY: the caller keeps the same contract for the owner.
                unsafe { L::lock_list(NonNull::from(&mut **this.as_ptr())) }
            }

            unsafe fn unlock_list(this: NonNull<Self>) {
                // SAFETY: the caller keeps the same contract for the owner.
                unsafe { L::unlock_list(NonNull::from(&mut **this.as_ptr())) };
            }

            fn control(&self) -> &[u8] {
                (**self).control()
            }
        }
    };
}

passes_on!(&mut L);
passes_on!(PooledBuffer<L>);
