//! Operations on the client without an IRP, and the security descriptors that WSK caches by one.

use core::cell::Cell;
use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, IRP, NTSTATUS, WSK_CACHE_SD, WSK_RELEASE_SD, WSK_TDI_BEHAVIOR,
    WSK_TDI_BEHAVIOR_BYPASS_TDI, WSK_TDI_DEVICENAME_MAPPING, WSK_TDI_MAP_INFO,
    WSK_TRANSPORT_LIST_QUERY,
};

use crate::error::{Call, Error, Memory};
use crate::irql::at_passive_level;
use crate::memory::shared::{Counted, Shared};
use crate::registration::capture::{Capture, GoesBack, Late};
use crate::registration::transport::{TdiDevice, Transport};

/// The parameters of `WskControlClient`.
#[derive(Clone, Copy)]
pub(crate) struct ClientControl<'i> {
    table: wsk_sys::WskProviderDispatch,
    client: Option<NonNull<c_void>>,
    code: u32,
    input: Option<NonNull<[u8]>>,
    output: Option<NonNull<[u8]>>,
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
    pub(crate) fn with_input<T>(self, input: &T) -> ClientControl<'_> {
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
}

/// What an operation without an IRP said.
pub(crate) fn check(answer: Result<NTSTATUS, DispatchError>) -> Result<(), Error> {
    Call::WskControlClient.succeeded(answer?)
}

/// An operation on the client that takes no IRP.
pub(super) enum AtOnce<'a> {
    /// `WSK_TDI_BEHAVIOR`, to bypass TDI.
    BypassTdi,
    /// `WSK_TDI_DEVICENAME_MAPPING`.
    MapTdiDevices(&'static [TdiDevice]),
    /// `WSK_TRANSPORT_LIST_QUERY`, into this room; the size is that of the list.
    Transports(&'a mut [Transport]),
    /// `WSK_CACHE_SD`: what is cached goes into the room, of the same client.
    Cache(Valid, &'a DescriptorRoom),
    /// `WSK_RELEASE_SD`.
    Release(Given),
}

/// A security descriptor of the caller's.
///
/// # Invariants
///
/// It is valid, and nobody changes it as long as this is used.
pub(super) struct Valid(*mut c_void);

/// A security descriptor that WSK has cached.
///
/// # Invariants
///
/// It was cached for the client that this is used with, was not released, and nobody uses it any more. The IRQL is `PASSIVE_LEVEL`.
pub(super) struct Given(*mut c_void);

impl AtOnce<'_> {
    /// Carries the operation out, for a client; `size` is that of what was asked for.
    pub(super) fn carry_out(self, capture: &Capture, size: &mut usize) -> Result<(), Error> {
        let (flags, map, descriptor);
        let mut returned = None;
        let new = |code| ClientControl::new(capture, code);
        let control = match self {
            Self::BypassTdi => {
                flags = WSK_TDI_BEHAVIOR_BYPASS_TDI;
                new(WSK_TDI_BEHAVIOR)?.with_input(&flags)
            }
            Self::MapTdiDevices(devices) => {
                map = WSK_TDI_MAP_INFO {
                    ElementCount: u32::try_from(devices.len()).unwrap_or(u32::MAX),
                    Map: devices.as_ptr().cast(),
                };
                new(WSK_TDI_DEVICENAME_MAPPING)?.with_input(&map)
            }
            Self::Transports(room) => {
                returned = Some(NonNull::from(size));
                let place = NonNull::from(&mut *room).cast();
                let place = NonNull::slice_from_raw_parts(place, size_of_val(room));
                new(WSK_TRANSPORT_LIST_QUERY)?.with(None, (!room.is_empty()).then_some(place))
            }
            Self::Cache(Valid(of_caller), room) => {
                descriptor = of_caller;
                ClientControl {
                    output: room.place(),
                    ..new(WSK_CACHE_SD)?.with_input(&descriptor)
                }
            }
            Self::Release(Given(cached)) => {
                descriptor = cached;
                new(WSK_RELEASE_SD)?.with_input(&descriptor)
            }
        };
        // SAFETY: what goes in, and the room for what comes out, is there for the call, and what the operation takes:
        // * flags;
        // * a structure that leads to static ones, should WSK keep that;
        // * the room of as many structures as its size says, of which every value is valid, or none, and the place of the list's size;
        // * a pointer to a valid descriptor, and a place for one, of nobody else's, in nonpaged memory;
        // * a pointer to a descriptor that is cached, to be released once, as it is given away.
        check(unsafe { control.submit(returned, None) })
    }
}

/// The bytes of a value.
pub(crate) fn bytes<T>(value: NonNull<T>) -> NonNull<[u8]> {
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
struct Cached(ManuallyDrop<Late<Descriptor>>);

/// A descriptor that WSK has cached, or none.
///
/// # Invariants
///
/// `descriptor` is null, or one that WSK has cached for the client of the capture and not released. It is dropped at `PASSIVE_LEVEL`, or when
/// it is null.
struct Descriptor {
    descriptor: Cell<*mut c_void>,
    capture: Shared<Capture>,
}

// SAFETY: WSK takes a descriptor on any thread, and nobody looks into it.
unsafe impl Send for Descriptor {}
// SAFETY: it is written as long as one room has it alone, and then only read.
unsafe impl Sync for Descriptor {}

impl GoesBack for Descriptor {
    fn is_there(&self) -> bool {
        !self.descriptor.get().is_null()
    }

    fn capture(&self) -> &Shared<Capture> {
        &self.capture
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.is_there() {
            // INVARIANT: by that of this value, which is dropped.
            let given = Given(self.descriptor.get());
            // There is nothing to be done about an error.
            let _ = AtOnce::Release(given).carry_out(&self.capture, &mut 0);
        }
    }
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
        let none = Error::NoMemory(Memory::Registration);
        // INVARIANT: null.
        let descriptor = Descriptor {
            descriptor: Cell::new(core::ptr::null_mut()),
            capture: self.capture.clone(),
        };
        let cached = Late::new(descriptor).map_err(|_| none)?;
        let cached = Shared::new(Cached(ManuallyDrop::new(cached))).map_err(|cached| {
            drop(ManuallyDrop::into_inner(cached.0));
            none
        })?;
        self.cached = Some(cached);
        Ok(())
    }

    /// Where WSK is to put a pointer to a descriptor that it has cached, in nonpaged memory, and nobody anything else.
    pub(crate) fn place(&self) -> Option<NonNull<[u8]>> {
        let cached = self.cached.as_ref()?;
        Some(bytes(NonNull::from(&cached.0.descriptor)))
    }

    /// WSK has put nothing there: its answer was an error.
    pub(crate) fn clear(&mut self) {
        if let Some(cached) = &self.cached {
            // INVARIANT: null.
            cached.0.descriptor.set(core::ptr::null_mut());
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

// SAFETY: dropping it does nothing.
unsafe impl Counted for Cached {
    type Last = Late<Descriptor>;

    fn last(&mut self) -> Option<&mut ManuallyDrop<Late<Descriptor>>> {
        Some(&mut self.0)
    }
}

impl SecurityDescriptor {
    /// Has WSK cache a descriptor. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Safety
    ///
    /// The descriptor is valid, and nobody changes it during the call.
    pub(crate) unsafe fn cache(
        capture: &Shared<Capture>,
        descriptor: NonNull<c_void>,
    ) -> Result<Self, Error> {
        at_passive_level()?;
        let mut room = DescriptorRoom::new(capture);
        room.reserve()?;
        // INVARIANT: the caller says so, and the descriptor is used in this call alone.
        let descriptor = Valid(descriptor.as_ptr());
        if let Err(error) = AtOnce::Cache(descriptor, &room).carry_out(capture, &mut 0) {
            room.clear();
            return Err(error);
        }
        room.take().ok_or(Error::Taken)
    }

    /// The cached descriptor, which stays as long as this. To be given to WSK alone.
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.cached.0.descriptor.get()
    }
}

impl fmt::Debug for SecurityDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityDescriptor").finish_non_exhaustive()
    }
}
