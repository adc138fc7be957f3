//! Several datagrams in one request: the `WSK_BUF_LIST` of `WskSendMessages`.

use core::alloc::Layout;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use wsk_sys::WSK_BUF_LIST;

use crate::buffer::{Held, Lock, SendBuffer};
use crate::error::{Error, Memory};
use crate::memory;

/// `N` datagrams that are sent to one address by one request, without control information.
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
/// The first `locked` of `locks` are initialised, and borrow from the buffers of the same numbers. `nodes` is a pool block of `N`
/// list entries of this value's own, unless `N` is 0.
pub struct Messages<B, const N: usize> {
    // Before the buffers, so that they are dropped first.
    locks: Locks<N>,
    nodes: Nodes<N>,
    buffers: [B; N],
}

/// The list: WSK reads it at up to `DISPATCH_LEVEL`, so it lies in nonpaged pool.
struct Nodes<const N: usize>(NonNull<WSK_BUF_LIST>);

impl<const N: usize> Nodes<N> {
    fn new() -> Result<Self, Error> {
        if N == 0 {
            return Ok(Self(NonNull::dangling()));
        }
        let block = memory::allocate(Layout::new::<[WSK_BUF_LIST; N]>());
        let block = block
            .ok_or(Error::NoMemory(Memory::Buffer))?
            .cast::<WSK_BUF_LIST>();
        // SAFETY: the block has room for so many entries, for which zero is a valid value.
        unsafe { block.write_bytes(0, N) };
        Ok(Self(block))
    }
}

impl<const N: usize> Drop for Nodes<N> {
    fn drop(&mut self) {
        if N > 0 {
            // SAFETY: the block came from `allocate`, and nothing reads the list any more.
            unsafe { memory::free(self.0.cast()) };
        }
    }
}

// SAFETY: the nodes are only used while their buffers are locked, and point at these and at each other.
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
                // SAFETY: it was initialised, and no longer counts as such.
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
        // SAFETY: the caller has `this` alone; each part is borrowed for itself, and the locks for no longer than it says.
        unsafe {
            let locks = &mut (*this.as_ptr()).locks;
            locks.clear();
            let nodes = (*this.as_ptr()).nodes.0.as_ptr();
            let mut longest = 0;
            for (index, place) in locks.locks.iter_mut().enumerate() {
                let buffer = (&raw const (*this.as_ptr()).buffers).cast::<B>().add(index);
                let lock = core::mem::transmute::<Lock<'_>, Lock<'static>>((*buffer).lock()?);
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
                locks.locked = index + 1;
            }
            Ok((NonNull::new_unchecked(nodes), longest))
        }
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
