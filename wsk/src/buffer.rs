//! Buffers that WSK can send from and receive into: memory that is nonpaged, or locked for the operation, described by an MDL
//! chain.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Bound, RangeBounds};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use wsk_sys::{
    IoAllocateMdl, IoFreeMdl, LOCK_OPERATION, MDL, MmBuildMdlForNonPagedPool, MmGetMdlByteCount,
    MmUnlockPages, TryProbeAndLockPages, WSK_BUF,
};

use crate::error::{Call, Error, Memory};
use crate::irql::require_apc;
use crate::memory;
use crate::operation::{Arguments, CONTROL_ROOM, KERNEL_MODE, Outcome};

/// A part of an MDL chain, as WSK takes it.
///
/// # Invariants
///
/// With a length of zero the MDL is NULL; else it heads a chain of locked or nonpaged memory, the offset lies inside its first
/// MDL, and offset and length together inside the chain.
#[derive(Clone, Copy)]
pub struct Extent {
    buffer: WSK_BUF,
}

impl Extent {
    /// The part of the chain at `mdl` that starts at `offset` and is `length` bytes long.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the offset is not inside the first MDL, or the chain ends before the part does.
    ///
    /// # Safety
    ///
    /// `mdl` heads a valid chain of MDLs over locked or nonpaged memory, which outlives the extent's use.
    pub unsafe fn new(mdl: NonNull<MDL>, offset: usize, length: usize) -> Result<Self, Error> {
        // SAFETY: the caller vouches for the chain, which begins with this MDL.
        let first = unsafe { MmGetMdlByteCount(mdl.as_ptr()) } as usize;
        let Some(end) = offset.checked_add(length) else {
            return Err(Error::OutOfBounds {
                end: usize::MAX,
                length: first,
            });
        };
        if offset > first || (offset == first && length > 0) {
            return Err(Error::OutOfBounds {
                end: offset,
                length: first,
            });
        }
        let mut total = first;
        // SAFETY: as for the byte count: the MDL is initialised, and `Next` NULL or another one of the chain.
        let mut next = unsafe { (*mdl.as_ptr()).Next };
        while total < end {
            let Some(mdl) = NonNull::new(next) else {
                return Err(Error::OutOfBounds { end, length: total });
            };
            // SAFETY: it is not NULL, and so the next MDL of the chain that the caller vouches for.
            unsafe {
                total += MmGetMdlByteCount(mdl.as_ptr()) as usize;
                next = (*mdl.as_ptr()).Next;
            }
        }
        if length == 0 {
            // Where nothing is used the chain stays its owner's, whatever becomes of the operation.
            return Ok(Self::empty());
        }
        // An offset inside one MDL fits its 32-bit byte count.
        #[allow(clippy::cast_possible_truncation)]
        let buffer = WSK_BUF {
            Mdl: mdl.as_ptr(),
            Offset: offset as u32,
            Length: length,
        };
        // INVARIANT: checked above.
        Ok(Self { buffer })
    }

    /// No bytes at all, as for an empty datagram.
    #[must_use]
    pub const fn empty() -> Self {
        // INVARIANT: the length is zero.
        Self {
            buffer: WSK_BUF {
                Mdl: core::ptr::null_mut(),
                Offset: 0,
                Length: 0,
            },
        }
    }

    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.buffer.Length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.buffer.Length == 0
    }

    /// The structure that WSK takes.
    #[must_use]
    pub const fn as_wsk_buf(&self) -> WSK_BUF {
        self.buffer
    }
}

impl fmt::Debug for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extent")
            .field("offset", &self.buffer.Offset)
            .field("length", &self.buffer.Length)
            .finish()
    }
}

/// Keeps the memory of an operation locked; unlocks it when dropped, at any IRQL up to `DISPATCH_LEVEL`.
///
/// # Invariants
///
/// As long as this exists the extent is valid. `locked`, if there is one, heads a chain of MDLs of its own whose pages it has
/// locked.
pub struct Lock<'b> {
    extent: Extent,
    locked: Option<NonNull<MDL>>,
    /// Control information to send, in what `'b` borrows.
    control: Option<NonNull<[u8]>>,
    /// Room for control information that is received: its length, and its bytes.
    room: Option<(NonNull<u32>, NonNull<[u8]>)>,
    /// A flag in what `'b` borrows.
    kept: Option<NonNull<AtomicBool>>,
    borrow: PhantomData<&'b ()>,
}

// SAFETY: MDLs are unlocked and freed on any thread. What is borrowed is bytes, a number and an atomic flag, all of which may be
// used on any thread too, and nothing else refers to those that are written.
unsafe impl Send for Lock<'_> {}

impl Lock<'_> {
    /// The lock of memory that needs none, because it stays locked or nonpaged.
    ///
    /// # Safety
    ///
    /// The extent is valid until the result is dropped.
    #[must_use]
    pub const unsafe fn none(extent: Extent) -> Self {
        // INVARIANT: the caller vouches for the extent.
        Self {
            extent,
            locked: None,
            control: None,
            room: None,
            kept: None,
            borrow: PhantomData,
        }
    }

    /// What is locked.
    #[must_use]
    pub const fn extent(&self) -> Extent {
        self.extent
    }
}

/// Copies control information to send into `arguments`; how many bytes there are.
#[inline]
pub(crate) fn lend(control: &[u8], arguments: &mut Arguments) -> Result<usize, Error> {
    let needed = control.len();
    if needed > CONTROL_ROOM {
        return Err(Error::ControlFull {
            needed,
            room: CONTROL_ROOM,
        });
    }
    // SAFETY: `needed` bytes are there to be read, and room for as many was just checked. What is borrowed exclusively does not
    // overlap them.
    unsafe {
        let to = (&raw mut arguments.control).cast::<u8>();
        to.copy_from_nonoverlapping(control.as_ptr(), needed);
    }
    Ok(needed)
}

/// What an operation holds on to until it has completed.
pub(crate) trait Held {
    /// Whether the owner of the memory could keep it for ever.
    fn can_keep(&self) -> bool;

    /// Has the owner of the memory keep it for ever, because the provider may go on using it.
    fn keep(&self);

    /// Takes from the arguments of the completed operation what belongs to the memory's owner.
    fn settle(&self, _: Outcome, _: &Arguments) {}
}

impl Held for () {
    fn can_keep(&self) -> bool {
        true
    }

    fn keep(&self) {}
}

impl Held for Lock<'_> {
    fn can_keep(&self) -> bool {
        self.extent.is_empty() || self.kept.is_some()
    }

    fn keep(&self) {
        if let Some(kept) = self.kept {
            // SAFETY: a lock with a flag borrows from what the flag is part of, and so outlives it nowhere.
            unsafe { kept.as_ref() }.store(true, Ordering::Relaxed);
        }
    }

    #[inline]
    fn settle(&self, outcome: Outcome, arguments: &Arguments) {
        if let Some((length, bytes)) = self.room {
            if outcome.status.is_error() {
                // Nothing was received, whatever stands in the arguments: the length stays 0.
                return;
            }
            let written = (arguments.control_length as usize)
                .min(bytes.len())
                .min(CONTROL_ROOM);
            // SAFETY: length and bytes are those of `with_room`, borrowed exclusively as long as the lock exists; no more is copied
            // than there is room for, and than the arguments have.
            unsafe {
                let from = (&raw const arguments.control).cast::<u8>();
                bytes
                    .cast::<u8>()
                    .as_ptr()
                    .copy_from_nonoverlapping(from, written);
                #[allow(clippy::cast_possible_truncation)]
                length.as_ptr().write(written as u32);
            }
        }
    }
}

impl<'b> Lock<'b> {
    /// The lock with control information to send: whole `CMSGHDR` objects. None leaves what there was.
    pub(crate) fn with_control(self, control: &'b [u8]) -> Self {
        let mut this = self;
        if !control.is_empty() {
            this.control = Some(NonNull::from(control));
        }
        this
    }

    /// The lock with room for received control information: its length, and its bytes.
    pub(crate) fn with_room(self, length: &'b mut u32, bytes: &'b mut [u8]) -> Self {
        let mut this = self;
        this.room = Some((NonNull::from(length), NonNull::from(bytes)));
        this
    }

    /// Copies the control information to send into `arguments`; how many bytes there are.
    #[inline]
    pub(crate) fn lend_control(&self, arguments: &mut Arguments) -> Result<usize, Error> {
        let Some(control) = self.control else {
            return Ok(0);
        };
        // SAFETY: it is that of `with_control`, borrowed as long as the lock exists.
        lend(unsafe { control.as_ref() }, arguments)
    }

    /// Whether there is control information to send.
    pub(crate) fn has_control(&self) -> bool {
        self.control.is_some()
    }

    /// Makes room in `arguments` for control information to receive; whether there is any.
    #[inline]
    pub(crate) fn lend_room(&self, arguments: &mut Arguments) -> bool {
        let Some((_, bytes)) = self.room else {
            return false;
        };
        // No more than fits 32 bits.
        #[allow(clippy::cast_possible_truncation)]
        let length = bytes.len().min(CONTROL_ROOM) as u32;
        arguments.control_length = length;
        // A provider that writes nothing has not written what was there before.
        arguments.control = [0; CONTROL_ROOM / 8];
        length > 0
    }

    /// The lock of memory that needs none, and whose owner keeps it for ever when `kept` is set.
    ///
    /// # Safety
    ///
    /// The extent is valid as long as the flag is borrowed, and once that is set for ever.
    #[inline]
    pub(crate) const unsafe fn keeping(extent: Extent, kept: &'b AtomicBool) -> Self {
        // INVARIANT: the caller vouches for the extent.
        Self {
            extent,
            locked: None,
            control: None,
            room: None,
            kept: Some(NonNull::from_ref(kept)),
            borrow: PhantomData,
        }
    }

    /// Locks the bytes of several places, each given by start and length, as one chain, of which `length` bytes from `offset` on
    /// are used. IRQL: `<= APC_LEVEL`.
    ///
    /// # Safety
    ///
    /// As for [`pages`](Self::pages), for each place.
    pub(crate) unsafe fn pages_of(
        places: impl Iterator<Item = (NonNull<u8>, usize)>,
        access: LOCK_OPERATION,
        offset: usize,
        length: usize,
    ) -> Result<Self, Error> {
        let mut chain: Option<(Self, NonNull<MDL>)> = None;
        // Nothing is locked for nothing.
        for (start, length) in places.filter(|_| length > 0) {
            // SAFETY: the caller vouches for the memory of each place.
            let lock = unsafe { Self::pages(start, length, access) }?;
            let Some(mdl) = lock.locked else {
                continue;
            };
            chain = Some(match chain {
                None => (lock, mdl),
                Some((first, last)) => {
                    // Of the first lock from here on.
                    core::mem::forget(lock);
                    // SAFETY: both MDLs were made above, are this function's own, and nobody uses them yet.
                    unsafe { (*last.as_ptr()).Next = mdl.as_ptr() };
                    (first, mdl)
                }
            });
        }
        let Some((mut lock, _)) = chain else {
            // SAFETY: an extent of no bytes names no memory: it is valid for ever.
            return Ok(unsafe { Self::none(Extent::empty()) });
        };
        if let Some(mdl) = lock.locked {
            // SAFETY: this heads the chain that was made and locked above, which the lock that gets the extent owns.
            lock.extent = unsafe { Extent::new(mdl, offset, length) }?;
        }
        Ok(lock)
    }

    /// Locks `length` bytes at `start`. IRQL: `<= APC_LEVEL`.
    ///
    /// # Safety
    ///
    /// For `'b` the memory is valid for reads, for writes too with `IoWriteAccess`, and is neither freed nor unmapped.
    unsafe fn pages(
        start: NonNull<u8>,
        length: usize,
        access: LOCK_OPERATION,
    ) -> Result<Self, Error> {
        if length == 0 {
            // SAFETY: an extent of no bytes names no memory: it is valid for ever.
            return Ok(unsafe { Self::none(Extent::empty()) });
        }
        require_apc()?;
        let described = u32::try_from(length).map_err(|_| Error::NoMemory(Memory::Mdl))?;
        // SAFETY: the MDL is this function's own, and describes memory that the caller vouches for; it is locked at an IRQL that was
        // checked. Where that fails it is as it was before, has nothing to unlock, and is freed once.
        unsafe {
            let mdl = IoAllocateMdl(
                start.as_ptr().cast(),
                described,
                0,
                0,
                core::ptr::null_mut(),
            );
            let mdl = NonNull::new(mdl).ok_or(Error::NoMemory(Memory::Mdl))?;
            let status = TryProbeAndLockPages(mdl.as_ptr(), KERNEL_MODE, access);
            if !status.is_success() {
                IoFreeMdl(mdl.as_ptr());
                return Err(Error::Call {
                    call: Call::MmProbeAndLockPages,
                    status,
                });
            }
            let buffer = WSK_BUF {
                Mdl: mdl.as_ptr(),
                Offset: 0,
                Length: length,
            };
            // INVARIANT: locked above; the extent is the whole MDL.
            Ok(Self {
                extent: Extent { buffer },
                locked: Some(mdl),
                control: None,
                room: None,
                kept: None,
                borrow: PhantomData,
            })
        }
    }
}

impl fmt::Debug for Lock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("extent", &self.extent)
            .finish_non_exhaustive()
    }
}

impl Drop for Lock<'_> {
    #[inline]
    fn drop(&mut self) {
        /// # Safety
        ///
        /// The chain is the lock's own, with its pages locked, and what used it is done.
        #[inline(never)]
        unsafe fn unlock(mdl: NonNull<MDL>) {
            let mut next = mdl.as_ptr();
            while !next.is_null() {
                let mdl = next;
                // SAFETY: the caller gives the chain, of which this MDL is a part, locked and not freed yet; its `Next` is read
                // before it is.
                unsafe {
                    next = (*mdl).Next;
                    MmUnlockPages(mdl);
                    IoFreeMdl(mdl);
                }
            }
        }
        if let Some(mdl) = self.locked {
            // SAFETY: by the invariant the chain is this lock's own and locked. Who drops it, or lets it be dropped, is done with it.
            unsafe { unlock(mdl) };
        }
    }
}

/// What only this crate can say, so that only its buffers can be asked for operations of their own.
#[derive(Debug)]
pub struct Inside(pub(crate) ());

/// Memory that datagrams, or bytes of a connection, can be sent from.
///
/// # Safety
///
/// As long as the [`Lock`] exists its extent is valid: the MDL chain is neither changed nor unlocked nor freed, the bytes it
/// describes are not written. Locks that exist at the same time, of this or any other buffer, share an MDL only where that is
/// mapped into system space already, or was built for nonpaged pool: else WSK may map it, which changes it, for each of them.
/// Moving `Self` is not possible while the lock borrows from it, and need not be allowed for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not memory that WSK can send from",
    label = "not a `SendBuffer`",
    note = "bytes are sent from slices and arrays in a call that waits or in a scope, and from `NonPagedBuffer`",
    note = "operations that are started own their buffer: a `NonPagedBuffer`, an array, or what a `Pool` gave"
)]
pub unsafe trait SendBuffer {
    /// Locks the bytes to send. IRQL: `<= DISPATCH_LEVEL` if the memory is nonpaged, else `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] for the MDL; [`Error::WrongIrql`]; or why pages cannot be locked.
    fn lock(&self) -> Result<Lock<'_>, Error>;

    /// The block of the operations that carry this buffer, where it brings one: a `Block<Carried<Self>>` that stays as long as the
    /// buffer does, is idle, and is used by nothing but the operation that the buffer is moved into next. Nobody else can name
    /// `Inside`, so buffers of other crates bring none.
    #[doc(hidden)]
    fn operation(&mut self, _: Inside) -> Option<NonNull<()>> {
        None
    }
}

/// Memory that datagrams, or bytes of a connection, can be received into.
///
/// # Safety
///
/// As long as the [`Lock`] exists its extent is valid: the MDL chain is neither changed nor unlocked nor freed, no MDL of it is
/// part of the extent of another lock, and the bytes it describes may be written and are neither read nor written by anything
/// else. Moving `Self` is not possible while the lock borrows from it, and need not be allowed for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not memory that WSK can receive into",
    label = "not a `ReceiveBuffer`",
    note = "what is received into is owned or borrowed exclusively: `&mut` slices and arrays in a call that waits or in a scope, \
            and `NonPagedBuffer`",
    note = "operations that are started own their buffer: a `NonPagedBuffer`, an array, or what a `Pool` gave"
)]
pub unsafe trait ReceiveBuffer {
    /// Locks the room to receive into. IRQL: `<= DISPATCH_LEVEL` if the memory is nonpaged, else `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] for the MDL; [`Error::WrongIrql`]; or why pages cannot be locked.
    fn lock_mut(&mut self) -> Result<Lock<'_>, Error>;

    /// The block of the operations that carry this buffer, where it brings one: a `Block<Carried<Self>>` that stays as long as the
    /// buffer does, is idle, and is used by nothing but the operation that the buffer is moved into next. Nobody else can name
    /// `Inside`, so buffers of other crates bring none.
    #[doc(hidden)]
    fn operation(&mut self, _: Inside) -> Option<NonNull<()>> {
        None
    }
}

// SAFETY: the buffer is borrowed at least as long as the reference to it.
unsafe impl<B: SendBuffer + ?Sized> SendBuffer for &B {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        (**self).lock()
    }
}

// SAFETY: the buffer is borrowed exclusively at least as long as the reference to it.
unsafe impl<B: ReceiveBuffer + ?Sized> ReceiveBuffer for &mut B {
    fn lock_mut(&mut self) -> Result<Lock<'_>, Error> {
        (**self).lock_mut()
    }
}

/// Bytes anywhere, whose pages are locked for the operation, at up to `APC_LEVEL`.
///
/// [`MmProbeAndLockPages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmprobeandlockpages) raises an
/// exception when there is nothing to lock pages with; it is caught, and becomes an error. A page can be locked some tens of
/// thousands of times at once, no more. Use a [`NonPagedBuffer`], which is locked for good, for what is sent often or many times
/// at once.
// SAFETY: the slice is borrowed as long as the lock exists, so nothing writes or frees it; its pages are locked, by an MDL of the
// lock's own.
unsafe impl SendBuffer for [u8] {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        // SAFETY: a slice is valid for reads while it is borrowed, which is as long as the lock exists.
        unsafe {
            Lock::pages(
                NonNull::from(self).cast(),
                self.len(),
                LOCK_OPERATION::IoReadAccess,
            )
        }
    }
}

// SAFETY: the lock is that of all its bytes as a slice, which promises the same.
unsafe impl<const N: usize> SendBuffer for [u8; N] {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        self.as_slice().lock()
    }
}

// SAFETY: the slice is borrowed exclusively as long as the lock exists; its pages are locked, by an MDL of the lock's own.
unsafe impl ReceiveBuffer for [u8] {
    fn lock_mut(&mut self) -> Result<Lock<'_>, Error> {
        let length = self.len();
        // SAFETY: a slice is valid for reads and writes while it is borrowed exclusively, which is as long as the lock exists.
        unsafe {
            Lock::pages(
                NonNull::from(self).cast(),
                length,
                LOCK_OPERATION::IoWriteAccess,
            )
        }
    }
}

// SAFETY: the lock is that of all its bytes as a slice, which promises the same.
unsafe impl<const N: usize> ReceiveBuffer for [u8; N] {
    fn lock_mut(&mut self) -> Result<Lock<'_>, Error> {
        self.as_mut_slice().lock_mut()
    }
}

/// Bytes in nonpaged pool with their MDL, built once and used any number of times. May be dropped at any IRQL up to
/// `DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// let mut buffer = wsk::NonPagedBuffer::new(1500)?;
/// buffer.as_mut_slice()[..5].copy_from_slice(b"hello");
/// assert_eq!(buffer.slice(1..5)?.len(), 4);
/// # drop(buffer);
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// With a capacity of zero there is neither block nor MDL. Else `block` is a pool block of `capacity` initialised bytes, and
/// `mdl` describes exactly these and is alone in its chain; `length` is no more than `capacity`. Both are this buffer's own; once `kept` is set a provider may read
/// or write the bytes for ever, and this side neither touches nor frees them.
pub struct NonPagedBuffer {
    block: NonNull<u8>,
    capacity: usize,
    length: usize,
    mdl: *mut MDL,
    kept: AtomicBool,
}

// SAFETY: the buffer owns its block and MDL, which are not bound to a thread.
unsafe impl Send for NonPagedBuffer {}
// SAFETY: through `&NonPagedBuffer` the bytes are only read, by this side and by the provider, and the flag is atomic.
unsafe impl Sync for NonPagedBuffer {}

impl NonPagedBuffer {
    /// Allocates `length` bytes of zeroes. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] when there is no memory for the bytes or for the MDL, or `length` is more than one MDL can
    /// describe.
    pub fn new(length: usize) -> Result<Self, Error> {
        let mut buffer = Self {
            block: NonNull::dangling(),
            capacity: 0,
            length: 0,
            mdl: core::ptr::null_mut(),
            kept: AtomicBool::new(false),
        };
        if length == 0 {
            return Ok(buffer);
        }
        let (Ok(layout), Ok(described)) = (Layout::array::<u8>(length), u32::try_from(length))
        else {
            return Err(Error::NoMemory(Memory::Buffer));
        };
        let block = memory::allocate(layout).ok_or(Error::NoMemory(Memory::Buffer))?;
        // SAFETY: the block is `length` bytes, ours alone, and nonpaged, as the MDL functions here ask; when the MDL cannot be
        // allocated nothing else refers to the block, which is freed.
        unsafe {
            block.write_bytes(0, length);
            let mdl = IoAllocateMdl(
                block.as_ptr().cast(),
                described,
                0,
                0,
                core::ptr::null_mut(),
            );
            if mdl.is_null() {
                memory::free(block);
                return Err(Error::NoMemory(Memory::Mdl));
            }
            MmBuildMdlForNonPagedPool(mdl);
            // INVARIANT: a block of `length` initialised bytes, and the MDL over it.
            buffer.block = block;
            buffer.capacity = length;
            buffer.length = length;
            buffer.mdl = mdl;
        }
        Ok(buffer)
    }

    /// Allocates a buffer that holds a copy of `bytes`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn copy_of(bytes: &[u8]) -> Result<Self, Error> {
        let mut buffer = Self::new(bytes.len())?;
        buffer.assign(bytes)?;
        Ok(buffer)
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.kept.load(Ordering::Relaxed) {
            0
        } else {
            self.length
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of bytes that were allocated.
    #[must_use]
    pub fn capacity(&self) -> usize {
        if self.kept.load(Ordering::Relaxed) {
            0
        } else {
            self.capacity
        }
    }

    /// Sets the number of bytes that are sent, or that there is room for, up to the capacity; the bytes stay as they are.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// let mut buffer = wsk::NonPagedBuffer::new(1500)?;
    /// buffer.as_mut_slice()[..5].copy_from_slice(b"short");
    /// buffer.set_len(5)?;
    /// assert_eq!(buffer.as_slice(), b"short");
    /// buffer.set_len(buffer.capacity())?;
    /// # drop(buffer);
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] beyond the capacity.
    pub fn set_len(&mut self, length: usize) -> Result<(), Error> {
        let capacity = self.capacity();
        if length > capacity {
            return Err(Error::OutOfBounds {
                end: length,
                length: capacity,
            });
        }
        self.length = length;
        Ok(())
    }

    /// Makes the buffer hold a copy of `bytes`, and no more; allocates nothing.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// let mut buffer = wsk::NonPagedBuffer::new(1500)?;
    /// buffer.assign(b"hello")?;
    /// assert_eq!(buffer.as_slice(), b"hello");
    /// # drop(buffer);
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] for more than the capacity.
    pub fn assign(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.set_len(bytes.len())?;
        memory::copy(bytes, self.as_mut_slice());
        Ok(())
    }

    /// The bytes.
    ///
    /// There are none any more when a provider that broke its contract has kept the buffer; see [`Error::Abandoned`].
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: by the invariant there are at least `length` initialised bytes (none at a dangling pointer), which nothing writes
        // while the buffer is borrowed, unless it was kept.
        unsafe { core::slice::from_raw_parts(self.block.as_ptr(), self.len()) }
    }

    /// The bytes, to be written. None any more in the case of [`as_slice`](Self::as_slice).
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: by the invariant there are at least `length` initialised bytes (none at a dangling pointer), which are borrowed
        // exclusively with the buffer, unless it was kept.
        unsafe { core::slice::from_raw_parts_mut(self.block.as_ptr(), self.len()) }
    }

    /// The part of the buffer in `range`, to be sent.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the range is not inside the buffer.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<BufferSlice<'_>, Error> {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.len(),
        };
        if start > end || end > self.len() {
            return Err(Error::OutOfBounds {
                end: end.max(start),
                length: self.len(),
            });
        }
        // INVARIANT: the range was checked.
        Ok(BufferSlice {
            buffer: self,
            start,
            length: end - start,
        })
    }

    /// The MDL, if there are bytes.
    pub(crate) fn mdl(&self) -> Option<NonNull<MDL>> {
        NonNull::new(self.mdl).filter(|_| !self.is_empty())
    }

    /// Has the MDL describe the bytes up to the length alone, with `next` behind it in a chain; `None`, and nothing done, when
    /// there are no bytes.
    ///
    /// Callers have nothing use the buffer by itself until [`unchain`](Self::unchain).
    pub(crate) fn chain_to(&mut self, next: *mut MDL) -> Option<NonNull<MDL>> {
        let mdl = self.mdl()?;
        // SAFETY: the MDL is the buffer's own, which is not in use. To describe fewer bytes leaves it valid; they fit 32 bits.
        #[allow(clippy::cast_possible_truncation)]
        unsafe {
            (*mdl.as_ptr()).Next = next;
            (*mdl.as_ptr()).ByteCount = self.length as u32;
        }
        Some(mdl)
    }

    /// Undoes [`chain_to`](Self::chain_to).
    pub(crate) fn unchain(&mut self) {
        if !self.mdl.is_null() && !*self.kept.get_mut() {
            // SAFETY: by the invariant the MDL is the buffer's own, which is borrowed exclusively: nothing uses it. It was made for the
            // whole capacity, which fits 32 bits.
            // INVARIANT: it describes exactly that, and is alone.
            #[allow(clippy::cast_possible_truncation)]
            unsafe {
                (*self.mdl).Next = core::ptr::null_mut();
                (*self.mdl).ByteCount = self.capacity as u32;
            }
        }
    }

    /// Leaves block and MDL to a provider that may use them for ever.
    pub(crate) fn leave(&mut self) {
        *self.kept.get_mut() = true;
    }

    /// All of it, valid as long as the buffer is there and has this length.
    pub(crate) fn extent(&self) -> Extent {
        self.part(0, self.length).extent
    }

    #[inline]
    fn part(&self, start: usize, length: usize) -> Lock<'_> {
        let buffer = if length == 0 || self.kept.load(Ordering::Relaxed) {
            WSK_BUF {
                Mdl: core::ptr::null_mut(),
                Offset: 0,
                Length: 0,
            }
        } else {
            // `NonPagedBuffer::new` lets no more than 32 bits of length pass.
            #[allow(clippy::cast_possible_truncation)]
            let offset = start as u32;
            WSK_BUF {
                Mdl: self.mdl,
                Offset: offset,
                Length: length,
            }
        };
        // INVARIANT: the MDL describes the whole buffer, in which callers' parts lie, and stays while the buffer is borrowed.
        Lock {
            extent: Extent { buffer },
            locked: None,
            control: None,
            room: None,
            kept: Some(NonNull::from(&self.kept)),
            borrow: PhantomData,
        }
    }
}

impl Drop for NonPagedBuffer {
    fn drop(&mut self) {
        if !self.mdl.is_null() && !*self.kept.get_mut() {
            // SAFETY: by the invariant the MDL and the block are the buffer's own; nothing has kept them. An MDL built for
            // nonpaged pool has nothing to unlock.
            unsafe {
                IoFreeMdl(self.mdl);
                memory::free(self.block);
            }
        }
    }
}

impl fmt::Debug for NonPagedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonPagedBuffer")
            .field("length", &self.len())
            .finish_non_exhaustive()
    }
}

// SAFETY: while the buffer is borrowed its MDL, which was built for nonpaged pool, and its bytes stay as they are; those that are
// kept stay for ever.
unsafe impl SendBuffer for NonPagedBuffer {
    #[inline]
    fn lock(&self) -> Result<Lock<'_>, Error> {
        Ok(self.part(0, self.length))
    }
}

// SAFETY: the exclusive borrow keeps everything else away from the bytes; those that are kept are not looked at again.
unsafe impl ReceiveBuffer for NonPagedBuffer {
    #[inline]
    fn lock_mut(&mut self) -> Result<Lock<'_>, Error> {
        Ok(self.part(0, self.length))
    }
}

/// A part of a [`NonPagedBuffer`], to be sent.
///
/// # Invariants
///
/// `start` and `length` lie inside the buffer.
#[derive(Debug, Clone, Copy)]
pub struct BufferSlice<'b> {
    buffer: &'b NonPagedBuffer,
    start: usize,
    length: usize,
}

impl BufferSlice<'_> {
    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

// SAFETY: the slice borrows the buffer, whose promise it passes on.
unsafe impl SendBuffer for BufferSlice<'_> {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        Ok(self.buffer.part(self.start, self.length))
    }
}
