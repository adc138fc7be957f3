//! [`SendBuffer`] and [`ReceiveBuffer`]: memory that WSK can send from, or receive into.

use core::ptr::NonNull;

use crate::buffer::{Extent, Lock};
use crate::error::Error;

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
/// // SAFETY: the buffer's promise is passed on.
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
    /// Whether [`lock`](Self::lock) may lock anything, which has to be unlocked.
    #[doc(hidden)]
    const LOCKS: bool = true;

    /// Describes the bytes to send, and locks them if they need it. IRQL: `<= DISPATCH_LEVEL` if the memory is nonpaged, else
    /// `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] for the MDL; [`Error::WrongIrql`]; why pages cannot be locked; [`Error::BufferLost`].
    ///
    /// # Safety
    ///
    /// `lock` is in nonpaged memory, or on the stack of a thread that waits, and holds nothing. Before the buffer is moved, changed or
    /// its borrow ends the caller unlocks it, unless the buffer says that it was abandoned.
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error>;

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

    /// [Abandons](Self::abandon) the memory of the buffer that lies there. Memory that WSK may write meanwhile is not borrowed for it.
    ///
    /// # Safety
    ///
    /// It is there, and locked.
    #[doc(hidden)]
    #[must_use]
    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        // SAFETY: the caller gives it, whose memory is not inside.
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
/// // On the stack, for as long as the call waits; or owned by the operation, which gives it back.
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
    /// Whether [`lock_mut`](Self::lock_mut) may lock anything, which has to be unlocked.
    #[doc(hidden)]
    const LOCKS: bool = true;

    /// Describes the room to receive into, and locks it if it needs that. IRQL: `<= DISPATCH_LEVEL` if the memory is nonpaged, else
    /// `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] for the MDL; [`Error::WrongIrql`]; why pages cannot be locked; [`Error::BufferLost`].
    ///
    /// # Safety
    ///
    /// As for [`SendBuffer::lock`].
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error>;

    /// The bytes of control information that there is room for.
    #[doc(hidden)]
    #[inline]
    fn control_room(&self) -> usize {
        0
    }

    /// Takes the control information of what was received: no more than there is room for.
    #[doc(hidden)]
    fn set_control(&mut self, control: &[u8]) {
        let _ = control;
    }

    /// As [`SendBuffer::abandon`].
    fn abandon(&self) -> bool {
        false
    }

    /// [Abandons](Self::abandon) the memory of the buffer that lies there. Memory that WSK may write meanwhile is not borrowed for it.
    ///
    /// # Safety
    ///
    /// It is there, and locked.
    #[doc(hidden)]
    #[must_use]
    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        // SAFETY: the caller gives it, whose memory is not inside.
        unsafe { this.as_ref() }.abandon()
    }

    /// Whether it was abandoned: also as a buffer to send from, by a shared reference, while it was locked to be received into.
    #[doc(hidden)]
    #[inline]
    fn was_abandoned(&self) -> bool {
        false
    }
}

// SAFETY: the buffer is borrowed at least as long as the reference to it.
unsafe impl<B: SendBuffer + ?Sized> SendBuffer for &B {
    const LOCKS: bool = B::LOCKS;

    #[inline]
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { (**self).lock(lock) }
    }

    #[inline]
    fn control(&self) -> &[u8] {
        (**self).control()
    }

    fn abandon(&self) -> bool {
        (**self).abandon()
    }

    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        // SAFETY: the caller gives the reference, which is read as a pointer; what it leads to is borrowed as long.
        unsafe { B::abandon_at(this.cast::<NonNull<B>>().read()) }
    }
}

// SAFETY: the buffer is borrowed exclusively at least as long as the reference to it.
unsafe impl<B: ReceiveBuffer + ?Sized> ReceiveBuffer for &mut B {
    const LOCKS: bool = B::LOCKS;

    #[inline]
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { (**self).lock_mut(lock) }
    }

    #[inline]
    fn control_room(&self) -> usize {
        (**self).control_room()
    }

    fn set_control(&mut self, control: &[u8]) {
        (**self).set_control(control);
    }

    fn abandon(&self) -> bool {
        (**self).abandon()
    }

    unsafe fn abandon_at(this: NonNull<Self>) -> bool {
        // SAFETY: the caller gives the reference, which is read as a pointer; what it leads to is borrowed as long.
        unsafe { B::abandon_at(this.cast::<NonNull<B>>().read()) }
    }

    #[inline]
    fn was_abandoned(&self) -> bool {
        (**self).was_abandoned()
    }
}
