//! Operations on the client without an IRP, and the security descriptors that WSK caches by one.

use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_sys::{DispatchError, IRP, NTSTATUS, WSK_CACHE_SD, WSK_RELEASE_SD};

use crate::error::{Call, Error, Memory};
use crate::irql::at_passive_level;
use crate::memory;
use crate::memory::shared::{Counted, Shared};
use crate::registration::capture::{Capture, PutOff};

/// The parameters of `WskControlClient`.
#[derive(Clone, Copy)]
pub(crate) struct ClientControl<'i> {
    table: wsk_sys::WskProviderDispatch,
    client: Option<NonNull<c_void>>,
    code: u32,
    input: Option<NonNull<[u8]>>,
    pub(super) output: Option<NonNull<[u8]>>,
    borrowed: PhantomData<&'i ()>,
}

impl ClientControl<'static> {
    /// An operation with neither input nor output.
    pub(crate) fn new(capture: &Capture, code: u32) -> Result<Self, Error> {
        Ok(Self {
            table: capture.dispatch()?,
            client: capture.client(),
            code,
            input: None,
            output: None,
            borrowed: PhantomData,
        })
    }
}

impl ClientControl<'_> {
    /// The operation with this input and output.
    pub(crate) fn with(self, input: Option<NonNull<[u8]>>, output: Option<NonNull<[u8]>>) -> Self {
        Self {
            input,
            output,
            ..self
        }
    }

    /// The operation with this value as its input, which it borrows.
    pub(super) fn with_input<T>(self, input: &T) -> ClientControl<'_> {
        ClientControl {
            input: Some(bytes(NonNull::from(input))),
            borrowed: PhantomData,
            ..self
        }
    }

    /// # Safety
    ///
    /// As `WskControlClient` asks for the code: input and output are what it takes, and stay until the call has returned, or until
    /// the IRP has completed.
    pub(crate) unsafe fn submit(
        &self,
        returned: Option<NonNull<usize>>,
        irp: Option<NonNull<IRP>>,
    ) -> Result<NTSTATUS, DispatchError> {
        // SAFETY: table and client are those of a capture, which the caller has; the rest is as the caller says.
        unsafe {
            self.table.wsk_control_client(
                self.client,
                self.code,
                self.input,
                self.output,
                returned,
                irp,
            )
        }
    }

    /// Carries the operation out without an IRP.
    ///
    /// # Safety
    ///
    /// As for [`submit`](Self::submit).
    pub(super) unsafe fn at_once(&self, returned: Option<NonNull<usize>>) -> Result<(), Error> {
        // SAFETY: the caller keeps the same contract.
        let status = unsafe { self.submit(returned, None) }?;
        if status.is_success() {
            Ok(())
        } else {
            Err(Error::Call {
                call: Call::WskControlClient,
                status,
            })
        }
    }
}

/// The bytes of a value.
fn bytes<T>(value: NonNull<T>) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(value.cast(), size_of::<T>())
}

/// A security descriptor that WSK has cached, for sockets: it determines who may share the local address of a socket.
///
/// This is a handle. Clones refer to the same descriptor, which WSK releases (`WSK_RELEASE_SD`) when the last handle is dropped, at any IRQL up
/// to `DISPATCH_LEVEL`. If that is above `PASSIVE_LEVEL`, WSK releases it later: when a name is looked up, or at the latest when the
/// [`Registration`](crate::Registration) is dropped, which waits for all handles.
///
/// [`WSK_CACHE_SD`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-cache-sd),
/// [`WSK_RELEASE_SD`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-release-sd).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # #[repr(C)]
/// # struct Raw { revision: u8, zero: u8, control: u16, rest: [usize; 4] }
/// # // A descriptor that lets everybody: SE_DACL_PRESENT with a null list.
/// # let raw = Raw { revision: 1, zero: 0, control: 4, rest: [0; 4] };
/// # let descriptor = core::ptr::NonNull::from(&raw).cast();
/// use wsk::{DatagramSocket, Family};
///
/// // SAFETY: the driver has built the descriptor with RtlCreateSecurityDescriptor and its kin, and changes it no more.
/// let descriptor = unsafe { provider.cache_security_descriptor(descriptor) }?;
/// // Every socket that is opened with this has the descriptor.
/// let socket = DatagramSocket::open(&provider.secured_by(&descriptor), Family::V4)?;
/// # drop((descriptor, socket));
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias("WSK_CACHE_SD", "WSK_RELEASE_SD", "PSECURITY_DESCRIPTOR"))]
#[derive(Clone)]
pub struct SecurityDescriptor {
    cached: Shared<Cached>,
}

/// What the handles of a cached security descriptor share.
struct Cached(ManuallyDrop<Release>);

/// Releases a cached security descriptor when it is dropped.
///
/// # Invariants
///
/// `block` is initialised, and nobody else's.
struct Release {
    block: NonNull<Block>,
}

// SAFETY: the block is memory of this value alone, bound to no thread; WSK takes the descriptor back on any.
unsafe impl Send for Release {}
// SAFETY: through `&Release` the block is only read.
unsafe impl Sync for Release {}

/// The pool block behind [`Release`].
///
/// # Invariants
///
/// `descriptor` is null, or one that WSK has cached for the client of the capture and not released.
#[repr(C)]
struct Block {
    put_off: PutOff,
    descriptor: *mut c_void,
    capture: ManuallyDrop<Shared<Capture>>,
}

/// Room for a security descriptor that WSK is asked for. What WSK has put there by the time it is dropped is released.
///
/// # Invariants
///
/// Nobody else has `cached`. Its block holds what WSK has put there, a descriptor that is cached for the client of `capture`, or null.
pub struct DescriptorRoom {
    cached: Option<Shared<Cached>>,
    capture: Shared<Capture>,
}

impl DescriptorRoom {
    /// None yet.
    pub(crate) fn new(capture: &Shared<Capture>) -> Self {
        Self {
            cached: None,
            capture: capture.clone(),
        }
    }

    /// Allocates it.
    pub(crate) fn reserve(&mut self) -> Result<(), Error> {
        let release = ManuallyDrop::new(Release::reserve(&self.capture)?);
        let cached = Shared::new(Cached(release)).map_err(|cached| {
            drop(ManuallyDrop::into_inner(cached.0));
            Error::NoMemory(Memory::Registration)
        })?;
        self.cached = Some(cached);
        Ok(())
    }

    /// Where WSK is to put a pointer to a descriptor that it has cached, in nonpaged memory, and nobody anything else.
    pub(crate) fn place(&self) -> Option<NonNull<[u8]>> {
        let block = self.cached.as_ref()?.0.block;
        // SAFETY: by the invariant of what is reserved the block is there; only the address of a member is taken, which is not null.
        let place = unsafe { NonNull::new_unchecked(&raw mut (*block.as_ptr()).descriptor) };
        Some(bytes(place))
    }

    /// WSK has put nothing there: its answer was an error.
    pub(crate) fn clear(&mut self) {
        if let Some(cached) = &self.cached {
            // SAFETY: by the invariant nobody else has the block, and WSK is done with it.
            // INVARIANT: null.
            unsafe { (*cached.0.block.as_ptr()).descriptor = core::ptr::null_mut() };
        }
    }

    /// The descriptor that WSK has put there.
    pub(crate) fn take(&mut self) -> Option<SecurityDescriptor> {
        let cached = self.cached.take()?;
        Some(SecurityDescriptor { cached })
    }
}

impl fmt::Debug for DescriptorRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DescriptorRoom").finish_non_exhaustive()
    }
}

impl Release {
    /// Room for a descriptor, none yet.
    fn reserve(capture: &Shared<Capture>) -> Result<Self, Error> {
        let block = memory::allocate(memory::layout::<Block>())
            .ok_or(Error::NoMemory(Memory::Registration))?
            .cast();
        // SAFETY: freshly allocated with that layout. The block is given away when it is put off, and freed as `free` asks.
        unsafe {
            block.write(Block {
                put_off: PutOff::new(free),
                descriptor: core::ptr::null_mut(),
                capture: ManuallyDrop::new(capture.clone()),
            });
        }
        // INVARIANT: initialised, and ours alone.
        Ok(Self { block })
    }

    fn descriptor(&self) -> *mut c_void {
        // SAFETY: by the invariant the block is ours.
        unsafe { (*self.block.as_ptr()).descriptor }
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        // SAFETY: by the invariant the block is ours, and is given away once. It may be freed as soon as it is put off, and so the
        // capture is kept meanwhile.
        unsafe {
            if self.descriptor().is_null() || at_passive_level().is_ok() {
                free(self.block.cast());
            } else {
                let capture = Shared::clone(&(*self.block.as_ptr()).capture);
                capture.put_off(self.block.cast());
            }
        }
    }
}

/// Has WSK release a descriptor, if there is one, and frees its block. IRQL: `PASSIVE_LEVEL` with a descriptor, else
/// `<= DISPATCH_LEVEL`.
///
/// # Safety
///
/// `put_off` begins a [`Block`] that is the caller's, who gives it away.
unsafe fn free(put_off: NonNull<PutOff>) {
    let block = put_off.cast::<Block>();
    // SAFETY: the caller gives the block away; by its invariant the descriptor is WSK's to release, once. A pointer goes in, and nothing
    // comes out.
    let capture = unsafe {
        let Block {
            descriptor,
            capture,
            ..
        } = block.read();
        memory::free(block.cast());
        let capture = ManuallyDrop::into_inner(capture);
        if !descriptor.is_null()
            && let Ok(control) = ClientControl::new(&capture, WSK_RELEASE_SD)
        {
            // There is nothing to be done about an error.
            let _ = control.with_input(&descriptor).at_once(None);
        }
        capture
    };
    drop(capture);
}

// SAFETY: dropping it does nothing.
unsafe impl Counted for Cached {
    type Last = Release;

    fn last(&mut self) -> Option<&mut ManuallyDrop<Release>> {
        Some(&mut self.0)
    }
}

impl SecurityDescriptor {
    /// Has WSK cache a descriptor. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Safety
    ///
    /// The descriptor is valid, and nobody changes it during the call.
    pub(super) unsafe fn cache(
        capture: &Shared<Capture>,
        descriptor: NonNull<c_void>,
    ) -> Result<Self, Error> {
        at_passive_level()?;
        let mut room = DescriptorRoom::new(capture);
        room.reserve()?;
        let descriptor = descriptor.as_ptr();
        let mut control = ClientControl::new(capture, WSK_CACHE_SD)?.with_input(&descriptor);
        control.output = room.place();
        // SAFETY: a pointer goes in, which the caller gives, and one comes out, into the room; both places are there for the call.
        let cached = unsafe { control.at_once(None) };
        if cached.is_err() {
            room.clear();
        }
        cached?;
        room.take().ok_or(Error::Taken)
    }

    /// The cached descriptor, which stays as long as this. To be given to WSK alone.
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.cached.0.descriptor()
    }
}

impl fmt::Debug for SecurityDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityDescriptor").finish_non_exhaustive()
    }
}
