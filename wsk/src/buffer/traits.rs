//! [`SendBuffer`], [`ReceiveBuffer`] and [`SendList`]: memory that WSK can send from or receive into. The implementations for the buffers
//! and lists of this crate say why each of them is such memory.

use core::ptr::NonNull;

use wsk_sys::{LOCK_OPERATION, WSK_BUF_LIST};

use crate::buffer::driver_chain::OwnPart;
use crate::buffer::{
    Alone, BufferSlice, DriverChain, DriverList, DriverMdl, DriverMdlMut, Extent, Framed, Lock,
    LockedList, MdlChain, Messages, NonPagedBuffer, PooledBuffer, Readable, SliceChain,
    WithControl,
};
use crate::error::{Error, Memory};

/// Memory that datagrams, or bytes of a connection, can be sent from.
///
/// | buffer | in which requests | comes back as |
/// |---|---|---|
/// | `&[u8]`, `&[u8; N]`, a [`SliceChain`] of `&[u8]` | a request that waits in the call, or is started in a scope | itself |
/// | `[u8; N]` of up to 1,024 bytes | any | itself |
/// | `Vec<u8>`, `Box<[u8]>`, with the feature `alloc` | any | itself |
/// | a [`NonPagedBuffer`], an [`MdlChain`], a [`DriverMdl`], a [`DriverChain`], a [`Framed`], a [`PooledBuffer`] | any | itself |
/// | a reference to any of these | a request that waits in the call, or is started in a scope; `&'static` in any | the reference |
/// | any of these in a [`WithControl`] | the same | itself |
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use wsk::{Error, Extent, Lock, NonPagedBuffer, SendBuffer};
///
/// /// A packet of a driver's, with what the driver knows about it.
/// struct Packet {
///     bytes: NonPagedBuffer,
///     number: u64,
/// }
///
/// // SAFETY: keeps the promise of the buffer inside.
/// unsafe impl SendBuffer for Packet {
///     unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
///         // SAFETY: the caller keeps the same contract.
///         unsafe { self.bytes.lock(lock) }
///     }
///
///     fn abandon(&self) -> bool {
///         self.bytes.abandon()
///     }
/// }
///
/// let packet = Packet { bytes: NonPagedBuffer::copy_of(b"seven")?, number: 7 };
/// socket.send_to(packet, to).start_with(|finished| {
///     let number = finished.buffer.map(|packet| packet.number);
///     assert_eq!(number, Some(7));
/// })?;
/// # assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Safety
///
/// From a call of [`lock`](Self::lock) until the lock's owner says that the operation is over, however the buffer is used
/// meanwhile through `&self`: the extent stays valid, and so do the MDLs of its chain, unchanged, locked or nonpaged; the bytes that
/// it describes are not written. Extents that are in use at the same time, of this or any other buffer, share an MDL only where
/// that is mapped into system space already, or was built for nonpaged pool: else WSK may map it, which changes it, for each of
/// them. A buffer that says it was [abandoned](Self::abandon) keeps all of this up for ever, whatever becomes of it.
///
/// [`MdlChain`]: crate::MdlChain
/// [`DriverChain`]: crate::DriverChain
/// [`DriverMdl`]: crate::DriverMdl
/// [`Framed`]: crate::Framed
/// [`NonPagedBuffer`]: crate::NonPagedBuffer
/// [`PooledBuffer`]: crate::PooledBuffer
/// [`SliceChain`]: crate::SliceChain
/// [`WithControl`]: crate::WithControl
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not memory that WSK can send from",
    label = "not a `SendBuffer`",
    note = "a request that waits, or is started in a scope, sends from slices, arrays and references to buffers",
    note = "a request that is started owns its buffer: a `NonPagedBuffer`, an array, a `PooledBuffer`",
    note = "send the bytes of a `Vec` as `&v[..]`"
)]
pub unsafe trait SendBuffer {
    /// Whether [`lock`](Self::lock) may lock something that must be unlocked.
    #[doc(hidden)]
    const LOCKS: bool = true;

    /// Describes the bytes to send, and locks them if they need it. IRQL: `<= DISPATCH_LEVEL` if the memory is nonpaged, else
    /// `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] for the MDL; [`Error::WrongIrql`]; the error of locking the pages; [`Error::BufferLost`].
    ///
    /// # Safety
    ///
    /// `lock` holds nothing. It is in nonpaged memory, or on the stack of a thread that waits; or it may be moved, and the extent is copied,
    /// before WSK gets that. Before the buffer is moved, changed or its borrow ends the caller unlocks it, unless the buffer says that it was
    /// abandoned.
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error>;

    /// Whether [`lock_owned`](Self::lock_owned) may lock something that must be unlocked.
    #[doc(hidden)]
    const OWNED_LOCKS: bool = Self::LOCKS;

    /// As [`lock`](Self::lock), for a buffer that an operation owns. Such a buffer need not be claimed, and its extent need not be copied.
    ///
    /// # Errors
    ///
    /// Those of `lock`.
    ///
    /// # Safety
    ///
    /// As for `lock`. The buffer lies in nonpaged memory, and nobody else refers to it until it is unlocked. The extent may lie in the buffer
    /// itself, which so stays as long as a provider keeps the request, even one that breaks its contract.
    #[doc(hidden)]
    #[inline]
    unsafe fn lock_owned<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.lock(lock) }
    }

    /// The control information that goes with the bytes: whole `CMSGHDR` objects.
    #[doc(hidden)]
    #[inline]
    fn control(&self) -> &[u8] {
        &[]
    }

    /// Leaves the memory for ever to a provider that may still use it, because it has broken its contract. From then on the buffer
    /// answers [`Error::BufferLost`]. `false` where the memory cannot be left, because it is only borrowed; that is the default.
    fn abandon(&self) -> bool {
        false
    }

    /// [Abandons](Self::abandon) the memory of the buffer at this place. Takes a pointer: no reference may exist to memory that WSK may
    /// write.
    ///
    /// # Safety
    ///
    /// The buffer is there, and locked.
    #[doc(hidden)]
    #[must_use]
    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        // SAFETY: the caller passes a buffer that is there; the memory that WSK may use is not inside it.
        unsafe { this.as_ref() }.abandon()
    }
}

/// Memory that datagrams, or bytes of a connection, can be received into.
///
/// | buffer | in which requests | comes back as |
/// |---|---|---|
/// | `&mut [u8]`, `&mut [u8; N]`, a [`SliceChain`] of `&mut [u8]` | a request that waits in the call, or is started in a scope | itself |
/// | `[u8; N]` of up to 1,024 bytes | any | itself |
/// | `Vec<u8>`, `Box<[u8]>`, with the feature `alloc` | any | itself |
/// | a [`NonPagedBuffer`], an [`MdlChain`], a [`DriverMdlMut`], a [`DriverChain`], a [`PooledBuffer`] | any | itself |
/// | a `&mut` reference to any of these | a request that waits in the call, or is started in a scope | the reference |
/// | any of these in a [`WithControl`] | the same | itself |
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
/// // On the stack, for as long as the call waits. Or owned by the operation, which gives it back.
/// let mut room = [0; 1500];
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// let length = socket.receive_from(&mut room).wait()?.length();
/// assert_eq!(&room[..length], b"hello");
/// let receiving = socket.receive_from(NonPagedBuffer::new(1500)?).start()?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// let finished = receiving.wait()?;
/// assert!(finished.result.is_ok() && finished.buffer.is_some());
/// # drop((finished, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Safety
///
/// From a call of [`lock_mut`](Self::lock_mut) until the lock's owner says that the operation is over: the extent stays valid,
/// and so do the MDLs of its chain, unchanged, locked for writing or nonpaged; none of them is part of another extent that is in
/// use; the bytes that it describes may be written and are neither read nor written by anything else. A buffer that says it was
/// [abandoned](Self::abandon) keeps all of this up for ever, whatever becomes of it.
///
/// [`MdlChain`]: crate::MdlChain
/// [`DriverChain`]: crate::DriverChain
/// [`DriverMdlMut`]: crate::DriverMdlMut
/// [`NonPagedBuffer`]: crate::NonPagedBuffer
/// [`PooledBuffer`]: crate::PooledBuffer
/// [`SliceChain`]: crate::SliceChain
/// [`WithControl`]: crate::WithControl
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not memory that WSK can receive into",
    label = "not a `ReceiveBuffer`",
    note = "a request that waits, or is started in a scope, receives into `&mut` slices, arrays and buffers",
    note = "a request that is started owns its buffer: a `NonPagedBuffer`, an array, a `PooledBuffer`",
    note = "receive into the bytes of a `Vec` as `&mut v[..]`"
)]
pub unsafe trait ReceiveBuffer {
    /// Whether [`lock_mut`](Self::lock_mut) may lock something that must be unlocked.
    #[doc(hidden)]
    const LOCKS: bool = true;

    /// The number of bytes of control information that there is room for. A constant, so that it is the same when a receive completes as when
    /// it was made: an operation that lent no room still has the bytes of an earlier request.
    #[doc(hidden)]
    const CONTROL_ROOM: usize = 0;

    /// Describes the room to receive into, and locks it if it needs that. IRQL: `<= DISPATCH_LEVEL` if the memory is nonpaged, else
    /// `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] for the MDL; [`Error::WrongIrql`]; the error of locking the pages; [`Error::BufferLost`].
    ///
    /// # Safety
    ///
    /// As for [`SendBuffer::lock`].
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error>;

    /// Takes the control information of the received bytes: no more than there is room for.
    #[doc(hidden)]
    fn set_control(&mut self, control: &[u8]) {
        let _ = control;
    }

    /// As [`SendBuffer::abandon`].
    fn abandon(&self) -> bool {
        false
    }

    /// [Abandons](Self::abandon) the memory of the buffer at this place. Takes a pointer: no reference may exist to memory that WSK may
    /// write.
    ///
    /// # Safety
    ///
    /// The buffer is there, and locked.
    #[doc(hidden)]
    #[must_use]
    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        // SAFETY: the caller passes a buffer that is there; the memory that WSK may use is not inside it.
        unsafe { this.as_ref() }.abandon()
    }

    /// Whether the buffer was abandoned, even as a buffer to send from, through a shared reference, while it was locked for receiving.
    #[doc(hidden)]
    #[inline]
    fn was_abandoned(&self) -> bool {
        false
    }
}

/// The methods of a buffer whose memory stays for ever if it is left to a provider.
macro_rules! stays_when_abandoned {
    (SendBuffer) => {
        fn abandon(&self) -> bool {
            self.lose();
            true
        }
    };
    (ReceiveBuffer) => {
        stays_when_abandoned!(SendBuffer);

        #[inline]
        fn was_abandoned(&self) -> bool {
            self.is_lost()
        }
    };
}

// SAFETY: the extent and its MDL, which was built for nonpaged pool, lie in the buffer's own memory, and while the buffer is borrowed its
// bytes stay as they are; a lost buffer's memory stays for ever.
unsafe impl SendBuffer for NonPagedBuffer {
    const LOCKS: bool = false;

    #[inline]
    unsafe fn lock<'l>(&'l self, _: &'l mut Lock) -> Result<&'l Extent, Error> {
        self.extent()
    }

    stays_when_abandoned!(SendBuffer);
}

// SAFETY: as for sending; the exclusive borrow keeps everything else away from the bytes.
unsafe impl ReceiveBuffer for NonPagedBuffer {
    const LOCKS: bool = false;

    #[inline]
    unsafe fn lock_mut<'l>(&'l mut self, _: &'l mut Lock) -> Result<&'l Extent, Error> {
        self.extent()
    }

    stays_when_abandoned!(ReceiveBuffer);
}

// SAFETY: by its invariant the slice is a part of the buffer. It borrows the buffer and keeps the buffer's promise.
unsafe impl SendBuffer for BufferSlice<'_> {
    const LOCKS: bool = false;

    #[inline]
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        Ok(lock.put(self.extent()?))
    }

    stays_when_abandoned!(SendBuffer);
}

// SAFETY: while the chain is borrowed its MDLs, which were built for nonpaged pool, and its bytes stay as they are; a lost chain's memory
// stays for ever.
unsafe impl<const N: usize> SendBuffer for MdlChain<N> {
    const LOCKS: bool = false;

    #[inline]
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        Ok(lock.put(self.extent()?))
    }

    stays_when_abandoned!(SendBuffer);
}

// SAFETY: as for sending; the exclusive borrow keeps everything else away from the bytes.
unsafe impl<const N: usize> ReceiveBuffer for MdlChain<N> {
    const LOCKS: bool = false;

    #[inline]
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        Ok(lock.put(self.extent()?))
    }

    stays_when_abandoned!(ReceiveBuffer);
}

// SAFETY: by the contract of its constructor the chain stays as it is until this is dropped, and nothing else uses its bytes while an
// operation has this, which the operation borrows exclusively.
unsafe impl<O> ReceiveBuffer for DriverMdlMut<O> {
    const LOCKS: bool = false;

    #[inline]
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        Ok(lock.put(self.extent()))
    }

    /// Only if there are no bytes: otherwise WSK has a pointer to the chain, which belongs to the driver.
    fn abandon(&self) -> bool {
        self.is_empty()
    }
}

// SAFETY: by the invariant the extent lies in the chain, which is borrowed exclusively. Its MDLs and its bytes stay as they are while it is
// borrowed, by the contracts of the constructors of the driver's parts.
unsafe impl<O, const N: usize, H: OwnPart> ReceiveBuffer for DriverChain<DriverMdlMut<O>, N, H> {
    const LOCKS: bool = false;

    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        Ok(lock.put(self.alone().extent()))
    }

    /// Only if there are no bytes: otherwise WSK has a pointer to the chain, which belongs to the driver.
    fn abandon(&self) -> bool {
        self.is_empty()
    }
}

impl Alone {
    /// Maps the MDLs of the extent that are not mapped yet.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] if one cannot be mapped.
    pub(super) fn map(&self) -> Result<(), Error> {
        let buffer = self.extent().as_wsk_buf();
        let end = (buffer.Offset as usize).saturating_add(buffer.Length);
        // SAFETY: by the contract under which this was made the chain is there, its pages are locked or nonpaged, and nobody else maps it or
        // writes its bytes.
        let mut next = NonNull::new(buffer.Mdl).map(|place| unsafe { Readable::of(place) });
        let mut seen = 0_usize;
        while let Some(mdl) = next
            && seen < end
        {
            mdl.map(0).ok_or(Error::NoMemory(Memory::Mapping))?;
            let (count, behind) = mdl.look();
            seen = seen.saturating_add(count);
            next = behind;
        }
        Ok(())
    }
}

// SAFETY: while this is borrowed the memory that it describes stays as it is, by the contract under which it was made; one lock at a time
// has it, unless it is mapped and any number may use it.
unsafe impl SendBuffer for Alone {
    #[inline]
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        if let Some(in_use) = self.to_claim() {
            // SAFETY: the flag stays until the lock is unlocked: the caller unlocks it before this is moved or its borrow ends.
            unsafe { lock.claim(in_use) }?;
        }
        Ok(lock.put(self.extent()))
    }

    const OWNED_LOCKS: bool = false;

    #[inline]
    unsafe fn lock_owned<'l>(&'l self, _: &'l mut Lock) -> Result<&'l Extent, Error> {
        Ok(self.owned())
    }

    fn abandon(&self) -> bool {
        self.extent().is_empty()
    }
}

/// Locks the pages of bytes. The arguments: how the bytes are borrowed, the access, the part that is used, and the places of the bytes.
macro_rules! locks_pages {
    ($lock:ident($($receiver:tt)*), $access:ident, ($offset:expr, $length:expr) => $places:expr) => {
        unsafe fn $lock<'l>($($receiver)*, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
            let (offset, length) = ($offset, $length);
            let places = $places;
            // SAFETY: slices are valid for reads while they are borrowed, and for writes while they are borrowed exclusively. By the
            // caller's contract they are borrowed until they are unlocked.
            unsafe { lock.pages(places, LOCK_OPERATION::$access, offset, length) }
        }

        /// Only if there are no bytes: nothing is locked then.
        fn abandon(&self) -> bool {
            self.is_empty()
        }
    };
}

/// Bytes in any memory. Their pages are locked for the operation, at up to `APC_LEVEL`.
///
/// [`MmProbeAndLockPages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmprobeandlockpages) raises an exception
/// when there is nothing to lock pages with; it is caught, and becomes an error. A page can be locked some tens of thousands of times at
/// once, no more. For bytes that are sent often, or many times at once, use a [`NonPagedBuffer`](crate::NonPagedBuffer), which needs no
/// lock.
// SAFETY: the slice is borrowed until the operation is over, so nothing writes or frees it; its pages are locked, by an MDL of the lock's
// own.
unsafe impl SendBuffer for [u8] {
    locks_pages! {
        lock(&'l self), IoReadAccess, (0, self.len()) =>
        core::iter::once((NonNull::from(self).cast(), self.len()))
    }

    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        this.is_empty()
    }
}

// SAFETY: the slice is borrowed exclusively until the operation is over; its pages are locked, by an MDL of the lock's own.
unsafe impl ReceiveBuffer for [u8] {
    locks_pages! {
        lock_mut(&'l mut self), IoWriteAccess, (0, self.len()) =>
        core::iter::once((NonNull::from(&mut *self).cast(), self.len()))
    }

    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        this.is_empty()
    }
}

// SAFETY: the slices are borrowed until the operation is over, so nothing writes or frees them; their pages are locked, by MDLs of
// the lock's own.
unsafe impl<const N: usize> SendBuffer for SliceChain<&[u8], N> {
    locks_pages! {
        lock(&'l self), IoReadAccess, (self.offset(), self.len()) =>
        self.slices().iter().map(|slice| (NonNull::from(*slice).cast(), slice.len()))
    }
}

// SAFETY: the slices are borrowed exclusively until the operation is over; their pages are locked, by MDLs of the lock's own.
unsafe impl<const N: usize> ReceiveBuffer for SliceChain<&mut [u8], N> {
    locks_pages! {
        lock_mut(&'l mut self), IoWriteAccess, (self.offset(), self.len()) =>
        self.slices_mut().iter_mut().map(|slice| {
            let length = slice.len();
            (NonNull::from(&mut **slice).cast(), length)
        })
    }
}

/// Keeps the promise of a buffer that only its owner refers to. The arguments: the buffer's type, and the reference to it that is locked.
macro_rules! passes_on_owned {
    ($Buffer:ty: ($lock:ident: $($receiver:tt)*) => $buffer:expr) => {
        const OWNED_LOCKS: bool = <$Buffer as SendBuffer>::OWNED_LOCKS;

        #[inline]
        unsafe fn lock_owned<'l>($($receiver)*, $lock: &'l mut Lock) -> Result<&'l Extent, Error> {
            let buffer = $buffer;
            // SAFETY: the caller keeps the same contract: the buffer is part of this one, or in nonpaged memory that belongs to this one.
            unsafe { buffer.lock_owned($lock) }
        }
    };
}

/// Keeps the promise of a buffer. The arguments: the buffer's type, the reference to it that is locked, and its place.
macro_rules! passes_on {
    (
        $Buffer:ty as $Trait:ident:
        $lock:ident($its_lock:ident: $($receiver:tt)*) $($before:block)? => $buffer:expr,
        at($place:ident) => $at:expr
    ) => {
        const LOCKS: bool = <$Buffer as $Trait>::LOCKS;

        #[inline]
        unsafe fn $lock<'l>($($receiver)*, $its_lock: &'l mut Lock) -> Result<&'l Extent, Error> {
            $($before)?
            let buffer = $buffer;
            // SAFETY: the caller keeps the same contract.
            unsafe { buffer.$lock($its_lock) }
        }

        unsafe fn abandon_at($place: NonNull<Self>) -> bool {
            // SAFETY: the caller passes the owner, which has the buffer. Only the address is taken of memory that WSK may write.
            unsafe { <$Buffer as $Trait>::abandon_at($at) }
        }
    };
}

/// The remaining methods of an owner that dereferences to a buffer.
macro_rules! leads_to {
    (SendBuffer) => {
        #[inline]
        fn control(&self) -> &[u8] {
            (**self).control()
        }

        fn abandon(&self) -> bool {
            (**self).abandon()
        }
    };
    (ReceiveBuffer) => {
        const CONTROL_ROOM: usize = <B as ReceiveBuffer>::CONTROL_ROOM;

        fn set_control(&mut self, control: &[u8]) {
            (**self).set_control(control);
        }

        fn abandon(&self) -> bool {
            (**self).abandon()
        }

        #[inline]
        fn was_abandoned(&self) -> bool {
            (**self).was_abandoned()
        }
    };
}

// SAFETY: the buffer is borrowed at least as long as the reference to it.
unsafe impl<B: SendBuffer + ?Sized> SendBuffer for &B {
    passes_on!(B as SendBuffer: lock(lock: &'l self) => &**self, at(this) => this.cast::<NonNull<B>>().read());
    leads_to!(SendBuffer);
}

// SAFETY: the buffer is borrowed exclusively at least as long as the reference to it.
unsafe impl<B: ReceiveBuffer + ?Sized> ReceiveBuffer for &mut B {
    passes_on!(B as ReceiveBuffer: lock_mut(lock: &'l mut self) => &mut **self, at(this) => this.cast::<NonNull<B>>().read());
    leads_to!(ReceiveBuffer);
}

// SAFETY: this is the one holder of the buffer, and keeps the buffer's promise.
unsafe impl<B: SendBuffer> SendBuffer for PooledBuffer<B> {
    passes_on!(B as SendBuffer: lock(lock: &'l self) => &**self, at(this) => this.as_ref().0.as_raw());
    passes_on_owned!(B: (lock: &'l self) => &**self);
    leads_to!(SendBuffer);
}

// SAFETY: as for sending; the holder is borrowed exclusively.
unsafe impl<B: ReceiveBuffer> ReceiveBuffer for PooledBuffer<B> {
    passes_on!(B as ReceiveBuffer: lock_mut(lock: &'l mut self) => &mut **self, at(this) => this.as_ref().0.as_raw());
    leads_to!(ReceiveBuffer);
}

// SAFETY: keeps the promise of the buffer inside.
unsafe impl<B: SendBuffer, const N: usize> SendBuffer for WithControl<B, N> {
    passes_on!(
        B as SendBuffer: lock(lock: &'l self) => &self.buffer,
        at(this) => NonNull::new_unchecked(&raw mut (*this.as_ptr()).buffer)
    );
    passes_on_owned!(B: (lock: &'l self) => &self.buffer);

    /// The control information here. If there is none, the buffer's own.
    fn control(&self) -> &[u8] {
        match self.control.as_bytes() {
            [] => self.buffer.control(),
            control => control,
        }
    }

    fn abandon(&self) -> bool {
        self.buffer.abandon()
    }
}

// SAFETY: keeps the promise of the buffer inside.
unsafe impl<B: ReceiveBuffer, const N: usize> ReceiveBuffer for WithControl<B, N> {
    const CONTROL_ROOM: usize = if N > B::CONTROL_ROOM {
        N
    } else {
        B::CONTROL_ROOM
    };

    passes_on!(
        B as ReceiveBuffer: lock_mut(lock: &'l mut self) { self.control.clear() } => &mut self.buffer,
        at(this) => NonNull::new_unchecked(&raw mut (*this.as_ptr()).buffer)
    );

    fn set_control(&mut self, control: &[u8]) {
        self.control.set(control);
        self.buffer.set_control(control);
    }

    fn abandon(&self) -> bool {
        self.buffer.abandon()
    }

    #[inline]
    fn was_abandoned(&self) -> bool {
        self.buffer.was_abandoned()
    }
}

/// Keeps the promise of an extent that one operation at a time uses.
macro_rules! passes_on_alone {
    () => {
        passes_on!(
            Alone as SendBuffer: lock(lock: &'l self) => self.alone(),
            at(this) => NonNull::from(this.as_ref().alone())
        );
        passes_on_owned!(Alone: (lock: &'l self) => self.alone());
    };
}

// SAFETY: by the contract of its constructor the chain and its bytes stay as they are until this is dropped, and so while it is borrowed;
// it is mapped, and may be shared, or one lock at a time claims it.
unsafe impl<O> SendBuffer for DriverMdl<O> {
    passes_on_alone!();

    /// Only if there are no bytes: otherwise WSK has a pointer to the chain, which belongs to the driver.
    fn abandon(&self) -> bool {
        self.is_empty()
    }
}

// SAFETY: while the chain is borrowed its MDLs and its bytes stay as they are, by the contracts of the constructors of the driver's parts;
// one lock at a time has them.
unsafe impl<O, const N: usize, H: OwnPart> SendBuffer for DriverChain<DriverMdl<O>, N, H> {
    passes_on_alone!();

    /// Only if there are no bytes: otherwise WSK has a pointer to the chain, which belongs to the driver.
    fn abandon(&self) -> bool {
        self.is_empty()
    }
}

// SAFETY: while the frame is borrowed its MDLs and its bytes stay as they are, by the contract of the packet's constructor; one lock at a
// time has them.
unsafe impl<O> SendBuffer for Framed<O> {
    passes_on_alone!();
}

/// A buffer that is locked as a slice of all of its bytes.
macro_rules! as_slice {
    ($(#[$attribute:meta])* [$($generics:tt)*] $Owner:ty, at($this:ident) => $at:expr) => {
        $(#[$attribute])*
        // SAFETY: the lock is that of all its bytes as a slice, which promises the same. They stay where they are until the owner is
        // moved, changed or dropped, which is after it is unlocked.
        unsafe impl<$($generics)*> SendBuffer for $Owner {
            passes_on!([u8] as SendBuffer: lock(lock: &'l self) => &self[..], at($this) => $at);

            /// Only if there are no bytes: nothing is locked then.
            fn abandon(&self) -> bool {
                self.is_empty()
            }
        }

        $(#[$attribute])*
        // SAFETY: as for sending; the owner is borrowed exclusively.
        unsafe impl<$($generics)*> ReceiveBuffer for $Owner {
            passes_on!([u8] as ReceiveBuffer: lock_mut(lock: &'l mut self) => &mut self[..], at($this) => $at);

            /// Only if there are no bytes: nothing is locked then.
            fn abandon(&self) -> bool {
                self.is_empty()
            }
        }
    };
}

as_slice!([const N: usize] [u8; N], at(this) => NonNull::slice_from_raw_parts(this.cast(), N));

as_slice! {
    /// The bytes of a vector, from the global allocator; the vector does not grow. With the feature `alloc`.
    ///
    /// Their pages are locked for each operation, as those of a slice, at up to `APC_LEVEL`: the allocator may give memory of any kind, and
    /// only that of a [`NonPagedBuffer`](crate::NonPagedBuffer) needs no lock. If nobody takes the vector back from its operation, it is
    /// dropped at up to `DISPATCH_LEVEL`, where the allocator must be able to free it.
    #[cfg(feature = "alloc")]
    [] alloc::vec::Vec<u8>,
    at(this) => {
        let this = this.as_ref();
        let bytes = this.as_ptr().cast_mut();
        NonNull::slice_from_raw_parts(NonNull::new_unchecked(bytes), this.len())
    }
}

as_slice! {
    /// Bytes from the global allocator. Everything else is as for a vector.
    #[cfg(feature = "alloc")]
    [] alloc::boxed::Box<[u8]>,
    at(this) => this.cast::<NonNull<[u8]>>().read()
}

/// A list of datagrams to send: [`Messages`], a driver's own [`DriverList`](crate::DriverList), either of them from a
/// [pool](crate::BufferPool), or a `&mut` reference to any of these.
///
/// [`Messages`]: crate::Messages
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
    /// # Errors
    ///
    /// [`Error::NoMessages`], [`Error::ControlOfOne`], and those of the buffers.
    ///
    /// # Safety
    ///
    /// The list stays where it is until it is unlocked, which happens once. Nothing else uses it meanwhile.
    #[doc(hidden)]
    unsafe fn lock_list(&mut self) -> Result<LockedList, Error>;

    /// Unlocks the buffers. The request is over, or was not made.
    #[doc(hidden)]
    fn unlock_list(&mut self);

    /// The control information that goes with each datagram.
    #[doc(hidden)]
    fn control(&self) -> &[u8];
}

// SAFETY: the list lies in memory of its own; its buffers keep their promise while they are locked.
unsafe impl<B: SendBuffer> SendList for Messages<B> {
    unsafe fn lock_list(&mut self) -> Result<LockedList, Error> {
        self.link(B::LOCKS, |buffer, lock| {
            if !buffer.control().is_empty() {
                return Err(Error::ControlOfOne);
            }
            // SAFETY: the caller keeps the list, with its buffers, and unlocks it. Each lock holds nothing: it is that of one buffer, which
            // is not locked. The extent that it returns is copied.
            unsafe { buffer.lock(lock) }.copied()
        })
    }

    fn unlock_list(&mut self) {
        self.unlock();
    }

    fn control(&self) -> &[u8] {
        Self::control(self)
    }
}

impl LockedList {
    /// The list of somebody else, with the length of its longest datagram.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the offset of a datagram is not inside its first MDL, or its chain ends before the datagram does.
    pub(super) fn checked(self) -> Result<Self, Error> {
        let (mut longest, mut next) = (0_usize, Some(self.first));
        while let Some(entry) = next {
            // SAFETY: by the invariant this is an entry of the list, and what it describes is there.
            unsafe {
                let WSK_BUF_LIST { Next, Buffer } = entry.read();
                match NonNull::new(Buffer.Mdl) {
                    Some(mdl) => {
                        Extent::new(mdl, Buffer.Offset as usize, Buffer.Length)?;
                    }
                    None if Buffer.Length == 0 => {}
                    None => {
                        return Err(Error::OutOfBounds {
                            end: Buffer.Length,
                            length: 0,
                        });
                    }
                }
                longest = longest.max(Buffer.Length);
                next = NonNull::new(Next);
            }
        }
        // INVARIANT: the same list.
        Ok(Self { longest, ..self })
    }
}

// SAFETY: by the contract of `from_raw` the list and what it describes stay as they are until this is dropped.
unsafe impl<O> SendList for DriverList<O> {
    unsafe fn lock_list(&mut self) -> Result<LockedList, Error> {
        Ok(self.list())
    }

    fn unlock_list(&mut self) {}

    fn control(&self) -> &[u8] {
        Self::control(self)
    }
}

/// An owner that dereferences to a list keeps the list's promise.
macro_rules! leads_to_list {
    ($Owner:ty) => {
        // SAFETY: the owner is the only way to the list, which it owns, or borrows exclusively, at least as long as the owner exists.
        unsafe impl<L: SendList> SendList for $Owner {
            unsafe fn lock_list(&mut self) -> Result<LockedList, Error> {
                // SAFETY: the caller keeps the same contract for the owner.
                unsafe { (**self).lock_list() }
            }

            fn unlock_list(&mut self) {
                (**self).unlock_list();
            }

            fn control(&self) -> &[u8] {
                (**self).control()
            }
        }
    };
}

leads_to_list!(&mut L);
leads_to_list!(PooledBuffer<L>);
