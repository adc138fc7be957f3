//! [`Arguments`]: the memory that the parameters of a request point at. It is in the request's block, nonpaged, and stays until the IRP
//! has completed.

use core::marker::PhantomData;
use core::mem::offset_of;

use wsk_sys::{MDL, NPI_WSK_INTERFACE_ID, WSK_BUF, WSK_EVENT_CALLBACK_CONTROL};

use crate::address::Storage;
use crate::memory;
use crate::memory::atomic::AtomicBool;

/// The room in an operation that control information and output share: the most bytes of either.
pub(crate) const SHARED_ROOM: usize = 256;

/// Bytes with the alignment of control information.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Aligned<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Aligned<N> {
    pub(crate) const ZERO: Self = Self([0; N]);
}

/// The place in an operation for its buffer: room for an [`Extent`](crate::Extent), and the pages that were locked for it.
///
/// Implementations of [`SendBuffer`](crate::SendBuffer) and [`ReceiveBuffer`](crate::ReceiveBuffer) get one, and either pass it on
/// to a buffer inside them or [put an extent into it](Self::describe).
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(([127, 0, 0, 1], 0))?;
/// # let bytes = wsk::NonPagedBuffer::copy_of(b"a request's memory")?;
/// # let mdl = unsafe {
/// #     let mdl = wsk_sys::IoAllocateMdl(bytes.as_slice().as_ptr().cast_mut().cast(), 18, 0, 0, core::ptr::null_mut());
/// #     wsk_sys::MmBuildMdlForNonPagedPool(mdl);
/// #     core::ptr::NonNull::new(mdl).unwrap()
/// # };
/// use core::ptr::NonNull;
/// use wsk::{Error, Extent, Lock, SendBuffer};
/// use wsk_sys::MDL;
///
/// /// Memory of a driver's, under an MDL that was built for nonpaged pool.
/// ///
/// /// # Invariants
/// ///
/// /// The MDL and its memory stay as they are while this exists.
/// struct Memory(NonNull<MDL>);
///
/// // SAFETY: by the invariant the extent stays valid. An MDL for nonpaged pool is mapped, so several operations may share it.
/// unsafe impl SendBuffer for Memory {
///     unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
///         // SAFETY: by the invariant the chain is valid, also until the operation is over, which borrows this or owns it.
///         unsafe {
///             let extent = Extent::new(self.0, 0, 18)?;
///             Ok(lock.describe(extent))
///         }
///     }
/// }
///
/// let memory = Memory(mdl);
/// assert_eq!(socket.send_to(&memory, to).wait()?, 18);
/// # assert_eq!(peer.recv(&mut [0; 32]).unwrap(), 18);
/// # drop(bytes);
/// # unsafe { wsk_sys::IoFreeMdl(mdl.as_ptr()) };
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// `pages`, if it is not null, heads a chain of MDLs whose pages were locked for this operation, and which nobody else has.
/// `claimed`, if it is not null, is a flag of the buffer, which says that the buffer is locked, and stays where it is that long.
#[repr(C)]
pub struct Lock {
    /// Room for the `WSK_BUF` of a buffer that has none of its own in nonpaged memory.
    pub(crate) buffer: WSK_BUF,
    pub(crate) pages: *mut MDL,
    pub(crate) claimed: *const AtomicBool,
}

/// The arguments of a request: what its parameters point at, besides the buffer.
///
/// # Invariants
///
/// Pointers in them are as those say who have set them. `control_length` is at most the room, where WSK is told that there is room.
#[repr(C)]
pub struct Arguments {
    /// The bytes of the buffer.
    pub(crate) length: usize,
    /// All of the buffer, of a request that may go on with the rest of it.
    whole: WSK_BUF,
    /// A buffer that is not locked: the rest that the last request was for, or none.
    buffer: WSK_BUF,
    pub(crate) address: Storage,
    pub(crate) control_flags: u32,
    /// How many bytes of control information there are, or room for.
    control_length: u32,
    /// The control information or the output of the request, which has at most one of them. See the functions below.
    shared: Aligned<SHARED_ROOM>,
    /// The events to disable; or a pointer, which is its first member.
    events: WSK_EVENT_CALLBACK_CONTROL,
    /// The bytes of an option or of a control code, where they are few.
    pub(crate) value: Aligned<64>,
}

/// The structure by which WSK enables or disables the events in `mask`.
pub(crate) const fn event_control(mask: u32) -> WSK_EVENT_CALLBACK_CONTROL {
    WSK_EVENT_CALLBACK_CONTROL {
        NpiId: &raw const NPI_WSK_INTERFACE_ID,
        EventMask: mask,
    }
}

impl core::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Arguments").finish_non_exhaustive()
    }
}

impl Arguments {
    // Where those members lie that are set by the functions below alone.
    pub(super) const BUFFER: usize = offset_of!(Self, buffer);
    pub(super) const CONTROL_LENGTH: usize = offset_of!(Self, control_length);
    pub(super) const SHARED: usize = offset_of!(Self, shared);
    pub(super) const EVENTS: usize = offset_of!(Self, events);

    /// Sets the first bytes of the value.
    pub(crate) fn set_value<const N: usize>(&mut self, bytes: &[u8; N]) {
        const { assert!(N <= size_of::<Aligned<64>>()) };
        if let Some(first) = self.value.0.first_chunk_mut() {
            *first = *bytes;
        }
    }

    /// The first bytes of the value.
    pub(crate) fn value<const N: usize>(&self) -> [u8; N] {
        const { assert!(N <= size_of::<Aligned<64>>()) };
        self.value.0.first_chunk().map_or([0; N], |first| *first)
    }

    /// All of the buffer, of a request that may go on with the rest of it.
    pub(crate) const fn whole(&self) -> WSK_BUF {
        self.whole
    }

    /// Sets all of the buffer, for requests that [begin](Self::begin_again) later. The result of the last one can still be read.
    ///
    /// # Safety
    ///
    /// It is the extent of the buffer that is lent.
    pub(crate) const unsafe fn set_whole(&mut self, whole: WSK_BUF) {
        self.whole = whole;
    }

    /// Makes the rest all of the buffer.
    pub(crate) const fn begin_again(&mut self) {
        self.length = self.whole.Length;
        self.buffer = self.whole;
    }

    /// Sets the rest of the buffer.
    ///
    /// # Safety
    ///
    /// It is the end of the buffer that is lent.
    pub(crate) const unsafe fn set_rest(&mut self, rest: WSK_BUF) {
        self.buffer = rest;
    }

    /// The bytes before the rest.
    pub(crate) const fn before_rest(&self) -> usize {
        self.length.saturating_sub(self.buffer.Length)
    }

    /// Sets that there is no buffer besides the locked one.
    pub(crate) const fn set_no_buffer(&mut self) {
        self.buffer = WSK_BUF {
            Mdl: core::ptr::null_mut(),
            Offset: 0,
            Length: 0,
        };
    }

    /// Sets the events to disable.
    pub(crate) const fn set_events(&mut self, mask: u32) {
        self.events = event_control(mask);
    }

    /// Sets a pointer.
    ///
    /// # Safety
    ///
    /// It points at what those ask for who are told of the pointer.
    pub(crate) const unsafe fn set_pointer<T>(&mut self, pointer: *const T) {
        const { assert!(offset_of!(WSK_EVENT_CALLBACK_CONTROL, NpiId) == 0) };
        self.events.NpiId = pointer.cast();
    }

    /// Copies control information to send, as much as fits: that of the caller may be in pageable memory.
    pub(crate) fn put_control(&mut self, control: &[u8]) {
        memory::copy(control, &mut self.shared.0);
    }

    /// Makes `room` for control information that is received, unless it is 0. Clears the bytes of an earlier request: a provider may write
    /// none.
    #[inline]
    pub(crate) fn make_control_ready(&mut self, room: usize) {
        if room > 0 {
            // The room fits 32 bits.
            #[allow(clippy::cast_possible_truncation)]
            {
                self.control_length = room.min(SHARED_ROOM) as u32;
            }
            self.shared = Aligned::ZERO;
        }
    }

    /// The control information that was received, of a request for which this much [room](Self::make_control_ready) was made. The bytes of
    /// other requests mean something else.
    #[inline]
    pub(crate) fn received_control(&self, room: usize) -> &[u8] {
        // The provider may claim more than there is room for.
        let length = (self.control_length as usize).min(room).min(SHARED_ROOM);
        self.shared.0.split_at(length).0
    }

    /// Clears the room for the output of an I/O control operation: a provider may write less than the operation gives.
    pub(crate) const fn make_output_ready(&mut self) {
        self.shared = Aligned::ZERO;
    }

    /// The output of an I/O control operation for which the room was [made ready](Self::make_output_ready), and zeros behind it.
    pub(crate) const fn output(&self) -> &[u8; SHARED_ROOM] {
        &self.shared.0
    }
}

/// The name of one operation in types: an invariant lifetime that nothing else has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brand<'x>(PhantomData<fn(&'x ()) -> &'x ()>);

impl Brand<'_> {
    pub(crate) const NEW: Self = Self(PhantomData);
}
