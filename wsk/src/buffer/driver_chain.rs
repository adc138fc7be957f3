//! [`DriverChain`]: buffers and a driver's own MDL chains as one buffer, such as a header before the memory of a request. [`Framed`]: a
//! header that a pool keeps and that is put in front of one packet after another.

use core::fmt;
use core::ptr::NonNull;

use crate::buffer::mdl::{Leading, LinkedParts, Part};
use crate::buffer::{Alone, DriverMdl, DriverMdlMut, Extent, NonPagedBuffer, PooledBuffer};
use crate::error::Error;

/// A part of a [`DriverChain`].
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let bytes = wsk::NonPagedBuffer::copy_of(b"a request's memory")?;
/// # let mdl = unsafe {
/// #     let mdl = wsk_sys::IoAllocateMdl(bytes.as_slice().as_ptr().cast_mut().cast(), 18, 0, 0, core::ptr::null_mut());
/// #     wsk_sys::MmBuildMdlForNonPagedPool(mdl);
/// #     core::ptr::NonNull::new(mdl).unwrap()
/// # };
/// use wsk::{ChainPart, DriverChain, DriverMdl, Extent, NonPagedBuffer};
///
/// let header = NonPagedBuffer::copy_of(b"header")?;
/// // SAFETY: the MDL is locked, and this driver's alone.
/// let body = unsafe { DriverMdl::with_owner(Extent::new(mdl, 0, 18)?, ()) };
/// let chain = DriverChain::new([ChainPart::Own(header), ChainPart::Driver(body)]).map_err(|(error, _)| error)?;
/// for part in chain.into_parts() {
///     match part {
///         ChainPart::Own(buffer) => assert_eq!(buffer.as_slice(), b"header"),
///         ChainPart::Driver(body) => assert_eq!(body.len(), 18),
///     }
/// }
/// # drop(bytes);
/// # unsafe { wsk_sys::IoFreeMdl(mdl.as_ptr()) };
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub enum ChainPart<D, H = NonPagedBuffer> {
    /// A buffer: a [`NonPagedBuffer`], or one of a pool.
    Own(H),
    /// The driver's own MDLs: a [`DriverMdl`] to send from, or a [`DriverMdlMut`] to receive into.
    Driver(D),
}

mod sealed {
    use super::{DriverMdl, DriverMdlMut, Extent, NonPagedBuffer, PooledBuffer};

    /// A buffer with an MDL of its own.
    pub trait OwnPart {
        fn buffer(&self) -> &NonPagedBuffer;
        fn buffer_mut(&mut self) -> &mut NonPagedBuffer;
    }

    impl OwnPart for NonPagedBuffer {
        fn buffer(&self) -> &NonPagedBuffer {
            self
        }

        fn buffer_mut(&mut self) -> &mut NonPagedBuffer {
            self
        }
    }

    impl OwnPart for PooledBuffer<NonPagedBuffer> {
        fn buffer(&self) -> &NonPagedBuffer {
            self
        }

        fn buffer_mut(&mut self) -> &mut NonPagedBuffer {
            self
        }
    }

    /// MDLs of the driver's.
    pub trait DriverPart {
        fn extent(&self) -> Extent;
    }

    impl<O> DriverPart for DriverMdl<O> {
        fn extent(&self) -> Extent {
            self.extent()
        }
    }

    impl<O> DriverPart for DriverMdlMut<O> {
        fn extent(&self) -> Extent {
            self.extent()
        }
    }
}

use sealed::DriverPart;
pub(super) use sealed::OwnPart;

// SAFETY: the buffer owns its MDL.
unsafe impl Part for NonPagedBuffer {
    fn extent(&self) -> Result<Extent, Error> {
        Self::extent(self).copied()
    }

    fn may_be_cut(&self) -> bool {
        true
    }

    #[inline]
    fn own_bytes_mut(&mut self) -> Option<&mut [u8]> {
        Some(self.as_mut_slice())
    }
}

// SAFETY: a buffer owns its MDL. The MDLs of a driver's part are there by the contract of the part's constructor. Nothing else uses either
// while the part is linked.
unsafe impl<D: DriverPart, H: OwnPart> Part for ChainPart<D, H> {
    fn extent(&self) -> Result<Extent, Error> {
        match self {
            Self::Own(own) => own.buffer().extent().copied(),
            Self::Driver(driver) => Ok(driver.extent()),
        }
    }

    fn may_be_cut(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    fn own_bytes_mut(&mut self) -> Option<&mut [u8]> {
        match self {
            Self::Own(own) => Some(own.buffer_mut().as_mut_slice()),
            Self::Driver(_) => None,
        }
    }
}

/// Buffers and a driver's own MDL chains as one buffer, to send from or to receive into: for example a header, the memory of a request and
/// a trailer. One operation at a time uses it, so that the driver's MDLs need not be mapped.
///
/// Linking writes `Next` of the last MDL of each part. Dropping the chain, or [taking it apart](Self::into_parts), restores `Next` of the
/// driver's MDLs; the latter also gives back the buffers and [the owners](DriverMdl::into_owner). Allocates nothing.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// # let bytes = wsk::NonPagedBuffer::copy_of(b"a request's memory")?;
/// # let mdl = unsafe {
/// #     let mdl = wsk_sys::IoAllocateMdl(bytes.as_slice().as_ptr().cast_mut().cast(), 18, 0, 0, core::ptr::null_mut());
/// #     wsk_sys::MmBuildMdlForNonPagedPool(mdl);
/// #     core::ptr::NonNull::new(mdl).unwrap()
/// # };
/// # let request = 7;
/// use wsk::{ChainPart, DriverChain, DriverMdl, Extent, NonPagedBuffer};
///
/// let header = NonPagedBuffer::copy_of(&18_u16.to_be_bytes())?;
/// // SAFETY: the MDL is locked, and this driver's alone until it completes the request, which is the owner.
/// let body = unsafe { DriverMdl::with_owner(Extent::new(mdl, 0, 18)?, request) };
/// let parts = [ChainPart::Own(header), ChainPart::Driver(body)];
/// let framed = DriverChain::new(parts)?;
///
/// let started = socket.send_to(framed, to).start_with(|done| {
///     let parts = done.buffer.map(DriverChain::into_parts);
///     if let Some([_header, ChainPart::Driver(body)]) = parts {
///         let request = body.into_owner();
/// #       assert_eq!(request, 7);
///         // Now the request can be completed.
///     }
/// });
/// started?;
/// # let mut got = [0; 32];
/// # assert_eq!(peer.recv(&mut got).unwrap(), 20);
/// # assert_eq!(&got[..20], b"\x00\x12a request's memory");
/// # drop((socket, provider, registration, bytes));
/// # unsafe { wsk_sys::IoFreeMdl(mdl.as_ptr()) };
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The MDLs of the parts that have bytes form a chain in the order of the parts, and the extent is all of their bytes. Through a shared
/// reference only the operation that has claimed the chain uses them.
#[doc(alias = "MDL")]
pub struct DriverChain<D: DriverPart, const N: usize, H: OwnPart = NonPagedBuffer> {
    parts: LinkedParts<ChainPart<D, H>, N>,
    alone: Alone,
}

impl<D: DriverPart, const N: usize, H: OwnPart> DriverChain<D, N, H> {
    /// Links the parts in this order; a buffer is as long as its length is now. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// With the parts, unchanged: [`Error::OutOfBounds`] for a driver's part that begins inside an MDL, unless it comes first, or that ends
    /// inside one, unless it comes last: a chain has whole MDLs in its middle. Describe such a part with a
    /// [partial MDL](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iobuildpartialmdl). [`Error::BufferLost`].
    pub fn new(parts: [ChainPart<D, H>; N]) -> Result<Self, (Error, [ChainPart<D, H>; N])> {
        // INVARIANT: nothing is linked yet, and no bytes are used.
        let mut chain = Self {
            parts: LinkedParts::new(parts),
            alone: Alone::new(Extent::empty()),
        };
        match chain.link() {
            Ok(()) => Ok(chain),
            Err(error) => Err((error, chain.into_parts())),
        }
    }

    /// Establishes the invariant. If this fails, some parts are linked.
    fn link(&mut self) -> Result<(), Error> {
        // From the last part to the first.
        for index in (0..N).rev() {
            let behind = self.alone.extent().as_wsk_buf();
            let part = self.parts.get(index).map(Part::extent);
            let extent = part.unwrap_or(Ok(Extent::empty()))?;
            if extent.is_empty() {
                continue;
            }
            let first = extent.as_wsk_buf();
            if let Some(next) = NonNull::new(behind.Mdl) {
                if behind.Offset > 0 {
                    return Err(Error::OutOfBounds {
                        end: behind.Offset as usize,
                        length: 0,
                    });
                }
                self.parts.link_to(index, next)?;
            }
            let length = first.Length.saturating_add(behind.Length);
            // INVARIANT: the bytes of this part, and those behind them, to which the part is linked.
            self.alone.set(Extent::of(first.Mdl, first.Offset, length));
        }
        Ok(())
    }

    /// Gives the parts back, unlinked.
    #[must_use]
    pub fn into_parts(self) -> [ChainPart<D, H>; N] {
        self.parts.into_parts()
    }

    #[inline]
    pub(super) const fn alone(&self) -> &Alone {
        &self.alone
    }

    /// The number of bytes of all parts.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.alone.extent().len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.alone.extent().is_empty()
    }

    /// The bytes of a part that is a buffer.
    #[must_use]
    pub fn own(&self, index: usize) -> Option<&[u8]> {
        match self.parts.get(index)? {
            ChainPart::Own(own) => Some(own.buffer().as_slice()),
            ChainPart::Driver(_) => None,
        }
    }

    /// The bytes of a part that is a buffer, to be written.
    #[must_use]
    pub fn own_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        self.parts.own_bytes_mut(index)
    }
}

impl<D: DriverPart, const N: usize, H: OwnPart> fmt::Debug for DriverChain<D, N, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverChain")
            .field("parts", &N)
            .field("extent", &self.alone.extent())
            .finish_non_exhaustive()
    }
}

/// A header in front of a driver's own MDL chain, for one packet after another, each with its owner.
///
/// The header remains, so a pool can keep it. Putting a packet behind it writes one pointer. A [`DriverChain`] has any number of parts in any
/// order, but is made for one operation.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// # let bytes = wsk::NonPagedBuffer::copy_of(b"a packet")?;
/// # let mdl = unsafe {
/// #     let mdl = wsk_sys::IoAllocateMdl(bytes.as_slice().as_ptr().cast_mut().cast(), 8, 0, 0, core::ptr::null_mut());
/// #     wsk_sys::MmBuildMdlForNonPagedPool(mdl);
/// #     core::ptr::NonNull::new(mdl).unwrap()
/// # };
/// # let packet = 7;
/// use wsk::operation::Operations;
/// use wsk::{BufferPool, DriverMdl, Extent, Framed, NonPagedBuffer};
///
/// let frames = BufferPool::new(16, |_| Framed::<u32>::new(NonPagedBuffer::new(4)?))?;
/// let operations = Operations::new(&provider, 16)?;
///
/// if let Some(mut frame) = frames.take() {
///     frame.header_mut().copy_from_slice(b"key:");
///     // SAFETY: the MDL is locked, and this driver's alone until the packet, which owns it, is given back.
///     let packet = unsafe { DriverMdl::with_owner(Extent::new(mdl, 0, 8)?, packet) };
///     frame.put(packet)?;
///     socket.send_to(frame, to).from(&operations).start_with(|finished| {
///         // The frame goes back to its pool when it is dropped.
///         if let Some(packet) = finished.buffer.and_then(|mut frame| frame.take()) {
///             let packet = packet.into_owner();
/// #           assert_eq!(packet, 7);
///             // Now the packet can be given back.
///         }
///     })?;
/// }
/// # let mut got = [0; 16];
/// # assert_eq!(peer.recv(&mut got).unwrap(), 12);
/// # assert_eq!(&got[..12], b"key:a packet");
/// # drop((frames, operations, socket, provider, registration, bytes));
/// # unsafe { wsk_sys::IoFreeMdl(mdl.as_ptr()) };
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The header is linked to the first MDL of the packet, if there is one, and the extent is the bytes of both. Through a shared reference
/// only the operation that has claimed the frame uses them.
#[doc(alias("MDL", "NET_BUFFER_LIST"))]
pub struct Framed<O = ()> {
    header: Leading<NonPagedBuffer>,
    /// The number of bytes of the header.
    length: usize,
    packet: Option<DriverMdl<O>>,
    alone: Alone,
}

impl<O> Framed<O> {
    /// A header with the length that the buffer has now, and no packet. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] for a header without bytes; [`Error::BufferLost`].
    pub fn new(header: NonPagedBuffer) -> Result<Self, Error> {
        let head = *header.extent()?;
        if head.is_empty() {
            return Err(Error::OutOfBounds { end: 1, length: 0 });
        }
        // INVARIANT: there is no packet.
        Ok(Self {
            header: Leading::new(header)?,
            length: head.len(),
            packet: None,
            alone: Alone::new(head),
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.header.part().as_slice()
    }

    /// The header, to be written.
    #[must_use]
    #[inline]
    pub fn header_mut(&mut self) -> &mut [u8] {
        self.header.own_bytes_mut().unwrap_or_default()
    }

    /// Puts a packet behind the header, and drops the packet that was there. IRQL: `<= DISPATCH_LEVEL`. Allocates nothing.
    ///
    /// # Errors
    ///
    /// With the packet: [`Error::OutOfBounds`] if it begins inside an MDL, because it cannot follow another MDL then. Describe such a
    /// packet with a [partial MDL](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iobuildpartialmdl).
    #[inline]
    pub fn put(&mut self, packet: DriverMdl<O>) -> Result<(), (Error, DriverMdl<O>)> {
        let extent = packet.extent();
        let end = extent.as_wsk_buf().Offset as usize;
        if end > 0 {
            return Err((Error::OutOfBounds { end, length: 0 }, packet));
        }
        self.lead_to(extent);
        self.packet = Some(packet);
        Ok(())
    }

    /// Takes the packet out, if there is one. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub fn take(&mut self) -> Option<DriverMdl<O>> {
        self.lead_to(Extent::empty());
        self.packet.take()
    }

    /// Links the header to the bytes of a packet, and sets the extent to both.
    #[inline]
    fn lead_to(&mut self, packet: Extent) {
        self.header.lead_to(packet.as_wsk_buf().Mdl);
        // INVARIANT: the bytes of the header, and those behind them, to which the header is linked. No memory is so large that the sum
        // wraps.
        let length = self.length.wrapping_add(packet.len());
        self.alone.set(self.alone.extent().of_length(length));
    }

    /// The number of bytes of header and packet.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.alone.extent().len()
    }

    #[inline]
    pub(super) const fn alone(&self) -> &Alone {
        &self.alone
    }

    /// Always `false`: there is a header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.alone.extent().is_empty()
    }
}

impl<O> fmt::Debug for Framed<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framed")
            .field("header", &self.header())
            .field("packet", &self.packet)
            .finish_non_exhaustive()
    }
}
