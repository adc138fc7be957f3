//! [`DriverList`]: a list of datagrams that a driver has made itself (`WSK_BUF_LIST`).

use core::fmt;
use core::ptr::NonNull;

use wsk_sys::WSK_BUF_LIST;

use crate::buffer::{Control, ControlMessage, Extent, LockedList, SendList};
use crate::error::Error;

/// A driver's own `WSK_BUF_LIST` to send, for one operation at a time.
///
/// It keeps the owner of the list, which [comes back](Self::into_owner) when the operation has completed, and has [control
/// information](Self::control_mut) for all of the datagrams. To make a list from buffers, use [`Messages`](crate::Messages).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// # let bytes = wsk::NonPagedBuffer::copy_of(b"two packets")?;
/// # let mdl = unsafe {
/// #     let mdl = wsk_sys::IoAllocateMdl(bytes.as_slice().as_ptr().cast_mut().cast(), 11, 0, 0, core::ptr::null_mut());
/// #     wsk_sys::MmBuildMdlForNonPagedPool(mdl);
/// #     mdl
/// # };
/// use core::ptr::NonNull;
/// use wsk::DriverList;
/// use wsk_sys::{WSK_BUF, WSK_BUF_LIST};
///
/// let mut second = WSK_BUF_LIST {
///     Next: core::ptr::null_mut(),
///     Buffer: WSK_BUF { Mdl: mdl, Offset: 4, Length: 7 },
/// };
/// let mut first = WSK_BUF_LIST {
///     Next: &raw mut second,
///     Buffer: WSK_BUF { Mdl: mdl, Offset: 0, Length: 3 },
/// };
/// // SAFETY: the list and its MDL, which is built for nonpaged pool, stay as they are until the list was sent.
/// let list = unsafe { DriverList::from_raw(NonNull::from(&mut first), ()) };
/// let mut list = list.map_err(|(error, ())| error)?;
/// assert_eq!(socket.send_messages(&mut list, to).wait()?, 10);
/// # let mut got = [0; 16];
/// # assert_eq!(peer.recv(&mut got).unwrap(), 3);
/// # assert_eq!(peer.recv(&mut got).unwrap(), 7);
/// # unsafe { wsk_sys::IoFreeMdl(mdl) };
/// # drop((bytes, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// The list, and what it describes, are as [`from_raw`](Self::from_raw) asks, whatever thread has this; `longest` is the length of its
/// longest datagram. Through a shared reference neither the list nor the owner is used.
#[doc(alias = "WSK_BUF_LIST")]
pub struct DriverList<O = ()> {
    first: NonNull<WSK_BUF_LIST>,
    longest: usize,
    control: Control<{ ControlMessage::SPACE_FOR_ALL }>,
    owner: O,
}

// SAFETY: whoever made this has said that the list and the owner may be on any thread.
unsafe impl<O> Send for DriverList<O> {}
// SAFETY: through `&DriverList` neither the list nor the owner is used.
unsafe impl<O> Sync for DriverList<O> {}

impl<O> DriverList<O> {
    /// The list that begins at `first`, with what owns it. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// With the owner: [`Error::OutOfBounds`] when the offset of a datagram is not inside its first MDL, or its chain ends before the
    /// datagram does.
    ///
    /// # Safety
    ///
    /// `first` begins a list in nonpaged memory whose last `Next` is NULL. Each `Buffer` in it has a length of 0, or `Mdl` heads a chain
    /// of MDLs whose pages are locked for reading, or which were built for nonpaged pool; only the latter, and those that are mapped,
    /// are in more than one `Buffer`. From now until the result is dropped, or [gives its owner back](Self::into_owner), which
    /// the completion of the operation that owns it may do on any thread at up to `DISPATCH_LEVEL`:
    ///
    /// * neither the list nor an MDL is changed, linked elsewhere, mapped, unlocked, unmapped or freed by anything else;
    /// * the bytes are not written.
    ///
    /// The owner may be given to any thread, and dropped there, even where its type does not say so. A result that is forgotten, or
    /// that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    pub unsafe fn from_raw(first: NonNull<WSK_BUF_LIST>, owner: O) -> Result<Self, (Error, O)> {
        let (mut longest, mut next) = (0_usize, Some(first));
        while let Some(entry) = next {
            // SAFETY: the caller vouches for the list, of which this is an entry, and for the chain, if there is one.
            let checked = unsafe {
                let WSK_BUF_LIST { Next, Buffer } = entry.read();
                next = NonNull::new(Next);
                longest = longest.max(Buffer.Length);
                match NonNull::new(Buffer.Mdl) {
                    Some(mdl) => Extent::new(mdl, Buffer.Offset as usize, Buffer.Length).map(drop),
                    None if Buffer.Length == 0 => Ok(()),
                    None => Err(Error::OutOfBounds {
                        end: Buffer.Length,
                        length: 0,
                    }),
                }
            };
            if let Err(error) = checked {
                return Err((error, owner));
            }
        }
        // INVARIANT: the caller says so.
        Ok(Self {
            first,
            longest,
            control: Control::new(),
            owner,
        })
    }

    /// Gives the owner back: the list is no longer used.
    #[must_use]
    pub fn into_owner(self) -> O {
        self.owner
    }

    /// The control information that goes with each of the datagrams; none at first.
    #[must_use]
    pub const fn control_mut(&mut self) -> &mut Control<{ ControlMessage::SPACE_FOR_ALL }> {
        &mut self.control
    }
}

impl<O> fmt::Debug for DriverList<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverList")
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

// SAFETY: by the contract of `from_raw` the list and what it describes stay as they are until this is dropped.
unsafe impl<O> SendList for DriverList<O> {
    unsafe fn lock_list(this: NonNull<Self>) -> Result<LockedList, Error> {
        // SAFETY: the caller gives the list, which nothing else uses.
        let Self { first, longest, .. } = unsafe { this.as_ref() };
        Ok(LockedList {
            first: *first,
            longest: *longest,
        })
    }

    unsafe fn unlock_list(_: NonNull<Self>) {}

    fn control(&self) -> &[u8] {
        self.control.as_bytes()
    }
}
