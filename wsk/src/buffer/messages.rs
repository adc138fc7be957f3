//! [`Messages`]: several datagrams in one request (`WSK_BUF_LIST`).

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use wsk_sys::WSK_BUF_LIST;

use crate::buffer::lock::Undo;
use crate::buffer::{Control, ControlMessage, Lock, PooledBuffer, SendBuffer};
use crate::error::{Error, Memory};
use crate::memory;

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
/// `list` begins a pool block of this value's own, with room behind it for `capacity` nodes, of which the first `length` have a
/// buffer. While the list is in flight it is not touched; else nothing is locked.
#[doc(alias = "WSK_BUF_LIST")]
pub struct Messages<B> {
    list: NonNull<List>,
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
    buffer: MaybeUninit<B>,
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
        let layout = Layout::array::<Node<B>>(capacity)
            .and_then(|nodes| Layout::new::<List>().extend(nodes))
            .map_err(|_| Error::NoMemory(Memory::Buffer))?
            .0;
        let block = memory::allocate(layout).ok_or(Error::NoMemory(Memory::Buffer))?;
        let list = block.cast::<List>();
        // SAFETY: freshly allocated, with room for this.
        unsafe {
            list.write(List {
                control: Control::new(),
                capacity,
                length: 0,
                locked: 0,
            });
        }
        // INVARIANT: no node has a buffer.
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

    #[inline]
    fn list(&self) -> &List {
        // SAFETY: by the invariant the list is there, and written only while this is borrowed exclusively.
        unsafe { self.list.as_ref() }
    }

    #[inline]
    fn list_mut(&mut self) -> &mut List {
        // SAFETY: by the invariant the list is this value's own, which is borrowed exclusively.
        unsafe { self.list.as_mut() }
    }

    /// The node of a number.
    fn node(list: NonNull<List>, index: usize) -> *mut Node<B> {
        const { assert!(size_of::<List>().is_multiple_of(align_of::<Node<B>>())) };
        list.as_ptr()
            .wrapping_add(1)
            .cast::<Node<B>>()
            .wrapping_add(index)
    }

    /// Adds a datagram at the end.
    ///
    /// # Errors
    ///
    /// The buffer, when the list is full.
    pub fn push(&mut self, buffer: B) -> Result<(), B> {
        let (length, capacity) = (self.list().length, self.list().capacity);
        if length == capacity {
            return Err(buffer);
        }
        // SAFETY: by the invariant there is room for this node, which has no buffer.
        unsafe {
            Self::node(self.list, length).write(Node {
                entry: WSK_BUF_LIST::default(),
                lock: Lock::new(),
                buffer: MaybeUninit::new(buffer),
            });
        }
        // INVARIANT: one more has a buffer.
        self.list_mut().length = length + 1;
        Ok(())
    }

    /// Takes the last datagram out.
    pub fn pop(&mut self) -> Option<B> {
        let last = self.list().length.checked_sub(1)?;
        // INVARIANT: one less has a buffer.
        self.list_mut().length = last;
        // SAFETY: by the invariant the node had a buffer, and no longer has.
        Some(unsafe { (*Self::node(self.list, last)).buffer.assume_init_read() })
    }

    /// Removes all datagrams.
    pub fn clear(&mut self) {
        while self.pop().is_some() {}
    }

    /// The number of datagrams.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list().length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of datagrams that there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.list().capacity
    }

    /// The buffer of a datagram.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&B> {
        // SAFETY: by the invariant the node has a buffer, which is borrowed with this.
        (index < self.len())
            .then(|| unsafe { (*Self::node(self.list, index)).buffer.assume_init_ref() })
    }

    /// The buffer of a datagram, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut B> {
        // SAFETY: by the invariant the node has a buffer, which is borrowed exclusively with this.
        (index < self.len())
            .then(|| unsafe { (*Self::node(self.list, index)).buffer.assume_init_mut() })
    }

    /// The buffers, in the order in which they are sent.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &B> {
        let list = self.list;
        // SAFETY: by the invariant so many nodes have a buffer, which is borrowed with this.
        (0..self.len())
            .map(move |index| unsafe { (*Self::node(list, index)).buffer.assume_init_ref() })
    }

    /// The control information that goes with each of the datagrams; none at first.
    #[must_use]
    pub fn control_mut(&mut self) -> &mut Control<{ ControlMessage::SPACE_FOR_ALL }> {
        &mut self.list_mut().control
    }
}

impl<B> Drop for Messages<B> {
    fn drop(&mut self) {
        struct Free<'m, B>(&'m mut Messages<B>);

        impl<B> Drop for Free<'_, B> {
            fn drop(&mut self) {
                // Those before one whose code has unwound.
                self.0.clear();
                // SAFETY: the block came from `allocate`, is the messages' own, which are being dropped, and is freed once. While a
                // request reads the list the messages are borrowed or owned by it, so that they are not dropped.
                unsafe { memory::free(self.0.list.cast()) };
            }
        }

        Free(self).0.clear();
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
            let list = (*this.as_ptr()).list;
            let length = list.as_ref().length;
            if length == 0 {
                return Err(Error::NoMessages);
            }
            // Unlocks what was locked when a lock fails, or unwinds.
            let undo = UndoList::<B>(list, PhantomData);
            let (mut longest, mut next) = (0, core::ptr::null_mut());
            for index in (0..length).rev() {
                let node = Self::node(list, index);
                let buffer = (*node).buffer.assume_init_ref();
                if !buffer.control().is_empty() {
                    return Err(Error::ControlOfOne);
                }
                let mut lock = Undo::new(&mut (*node).lock, B::LOCKS);
                let extent = buffer.lock(lock.lock())?;
                longest = longest.max(extent.len());
                (*node).entry = WSK_BUF_LIST {
                    Next: next,
                    Buffer: extent.as_wsk_buf(),
                };
                lock.done();
                (*list.as_ptr()).locked += 1;
                next = &raw mut (*node).entry;
            }
            core::mem::forget(undo);
            Ok(LockedList {
                first: NonNull::new_unchecked(next),
                longest,
            })
        }
    }

    unsafe fn unlock_list(this: NonNull<Self>) {
        // SAFETY: the caller gives the list.
        drop(UndoList::<B>(unsafe { (*this.as_ptr()).list }, PhantomData));
    }

    fn control(&self) -> &[u8] {
        self.list().control.as_bytes()
    }
}

/// Unlocks the buffers of a list when dropped: those at its end, of which the list knows how many they are.
struct UndoList<B>(NonNull<List>, PhantomData<B>);

impl<B> Drop for UndoList<B> {
    fn drop(&mut self) {
        // SAFETY: who made this has the list, whose last `locked` nodes have a lock.
        unsafe {
            let List { length, locked, .. } = *self.0.as_ptr();
            (*self.0.as_ptr()).locked = 0;
            for index in length - locked..length {
                (*Messages::<B>::node(self.0, index)).lock.unlock();
            }
        }
    }
}

// SAFETY: the list is borrowed exclusively at least as long as the reference to it.
unsafe impl<L: SendList> SendList for &mut L {
    unsafe fn lock_list(this: NonNull<Self>) -> Result<LockedList, Error> {
        // SAFETY: the caller keeps the same contract for the reference, which is the one way to the list.
        unsafe { L::lock_list(NonNull::from(&mut **this.as_ptr())) }
    }

    unsafe fn unlock_list(this: NonNull<Self>) {
        // SAFETY: the caller keeps the same contract for the reference.
        unsafe { L::unlock_list(NonNull::from(&mut **this.as_ptr())) };
    }

    fn control(&self) -> &[u8] {
        (**self).control()
    }
}

// SAFETY: the list is this holder's, as long as it has it.
unsafe impl<L: SendList> SendList for PooledBuffer<L> {
    unsafe fn lock_list(this: NonNull<Self>) -> Result<LockedList, Error> {
        // SAFETY: the caller keeps the same contract for the holder, which is the one way to the list.
        unsafe { L::lock_list(NonNull::from(&mut **this.as_ptr())) }
    }

    unsafe fn unlock_list(this: NonNull<Self>) {
        // SAFETY: the caller keeps the same contract for the holder.
        unsafe { L::unlock_list(NonNull::from(&mut **this.as_ptr())) };
    }

    fn control(&self) -> &[u8] {
        (**self).control()
    }
}
