//! Registration with WSK and capture of its provider NPI, the table through which sockets are made.

use core::ffi::c_void;
use core::fmt;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

use wsk_sys::{
    KeFlushQueuedDpcs, NTSTATUS, OSVERSIONINFOW, RtlGetVersion, STATUS_NOT_IMPLEMENTED,
    WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI, WSK_INFINITE_WAIT, WSK_NO_WAIT, WSK_PROVIDER_NPI,
    WSK_REGISTRATION, WskCaptureProviderNPI, WskDeregister, WskProviderDispatch, WskRegister,
    WskReleaseProviderNPI,
};

use crate::error::{Call, Error, Memory};
use crate::irql::require_passive;
use crate::resolution::Lookups;
use crate::shared::{Counted, Shared};

/// How long to wait for the WSK provider, which may not be there yet while the system starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// At most so many milliseconds.
    Milliseconds(u32),
    /// Until it is there.
    Forever,
}

/// The structures that WSK keeps pointers to while a client is registered.
struct Client {
    registration: core::cell::UnsafeCell<WSK_REGISTRATION>,
    lookups: Lookups,
}

// SAFETY: the registration structure belongs to WSK, which synchronises its own use of it; this side only passes its address.
// The lookups are atomic, and an event that the kernel synchronises. None of it is bound to a thread.
unsafe impl Send for Client {}
// SAFETY: as for `Send`: all use through `&Client` is atomic, WSK's or the kernel's.
unsafe impl Sync for Client {}

impl Counted for Client {
    type Last = ();
    unsafe fn last(&mut self) {}
}

impl Client {
    fn registration(&self) -> *mut WSK_REGISTRATION {
        self.registration.get()
    }
}

/// What WSK may call back at the level of the whole client: it has no events to tell.
static CLIENT_DISPATCH: WSK_CLIENT_DISPATCH = WSK_CLIENT_DISPATCH {
    Version: 0x0100,
    Reserved: 0,
    WskClientEvent: Some(client_event),
};

unsafe extern "system" fn client_event(
    _: *mut c_void,
    _: u32,
    _: *mut c_void,
    _: usize,
) -> NTSTATUS {
    STATUS_NOT_IMPLEMENTED
}

/// A registration as a WSK client: the first thing a driver makes, and the last it drops.
///
/// Dropping it deregisters, which waits until every socket is closed and every [`Provider`] dropped. Drop these first, at the
/// latest in `DriverUnload`: a thread that waits for handles of its own waits for ever. Dropping it above `PASSIVE_LEVEL`, which is
/// a mistake, leaves the client registered for good: the driver must then never be unloaded.
///
/// [`WskRegister`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskregister),
/// [`WskDeregister`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskderegister).
///
/// # Invariants
///
/// The client is registered with WSK.
#[doc(alias = "WskDeregister")]
pub struct Registration {
    client: ManuallyDrop<Shared<Client>>,
}

impl Registration {
    /// Registers. IRQL: `PASSIVE_LEVEL`. Allocates the registration.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or what `WskRegister` says.
    #[doc(alias = "WskRegister")]
    pub fn new() -> Result<Self, Error> {
        require_passive()?;
        let client = Client {
            registration: WSK_REGISTRATION::default().into(),
            lookups: Lookups::new(),
        };
        let client = Shared::new(client).map_err(|_| Error::NoMemory(Memory::Registration))?;
        // SAFETY: it is in nonpaged memory that does not move, and nobody uses it yet.
        unsafe { client.lookups.initialise() };
        let mut npi = WSK_CLIENT_NPI {
            ClientContext: core::ptr::null_mut(),
            Dispatch: &raw const CLIENT_DISPATCH,
        };
        // SAFETY: the dispatch table is static, and the registration stays where it is until it is deregistered. The NPI is
        // copied by the call. PASSIVE_LEVEL was checked.
        let status = unsafe { WskRegister(&raw mut npi, client.registration()) };
        if !status.is_success() {
            return Err(Error::Call {
                call: Call::WskRegister,
                status,
            });
        }
        // INVARIANT: registered.
        Ok(Self {
            client: ManuallyDrop::new(client),
        })
    }

    /// Captures the provider, waiting for it as told. IRQL: `PASSIVE_LEVEL`. Allocates the provider's state.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or what `WskCaptureProviderNPI` says: `STATUS_DEVICE_NOT_READY` when the
    /// provider is not there in time, `STATUS_NOINTERFACE` when it does not speak this version.
    #[doc(alias = "WskCaptureProviderNPI")]
    pub fn capture(&self, wait: Wait) -> Result<Provider, Error> {
        require_passive()?;
        let wait = match wait {
            Wait::No => WSK_NO_WAIT,
            // The greatest number means for ever.
            Wait::Milliseconds(milliseconds) => milliseconds.min(WSK_INFINITE_WAIT - 1),
            Wait::Forever => WSK_INFINITE_WAIT,
        };
        let mut npi = MaybeUninit::<WSK_PROVIDER_NPI>::zeroed();
        let registration = self.client.registration();
        // SAFETY: by the invariant the client is registered. There is room for the NPI; PASSIVE_LEVEL was checked.
        let status = unsafe { WskCaptureProviderNPI(registration, wait, npi.as_mut_ptr()) };
        if !status.is_success() {
            return Err(Error::Call {
                call: Call::WskCaptureProviderNPI,
                status,
            });
        }
        // SAFETY: every byte was zeroed, and every bit pattern is an NPI of raw pointers.
        let npi = unsafe { npi.assume_init() };
        // INVARIANT: captured.
        let capture = Capture {
            npi,
            ntddi: running_ntddi(),
            client: Shared::clone(&self.client),
            release: ManuallyDrop::new(Release { registration }),
        };
        match Shared::new(capture) {
            Ok(capture) => Ok(Provider { capture }),
            Err(capture) => {
                drop(ManuallyDrop::into_inner(capture.release));
                Err(Error::NoMemory(Memory::Socket))
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if require_passive().is_err() {
            // WSK cannot be told here: the registration, which it goes on using, stays for ever.
            return;
        }
        // What was found for a name goes back to WSK at this level only, before its capture is released.
        self.client.lookups.finish();
        // SAFETY: the client is registered, and PASSIVE_LEVEL was just checked. When the call returns WSK has finished with
        // the registration, which is dropped this once.
        unsafe {
            WskDeregister(self.client.registration());
            // A completion routine that gave the last capture back may still be on its way out of the driver.
            KeFlushQueuedDpcs();
            ManuallyDrop::drop(&mut self.client);
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}

/// The captured WSK provider, through which sockets are made.
///
/// A handle: clones stand for the same capture, which ends when the last of them and of the sockets is gone. May be dropped at
/// any IRQL up to `DISPATCH_LEVEL`.
#[derive(Clone)]
#[doc(alias = "WskReleaseProviderNPI")]
pub struct Provider {
    capture: Shared<Capture>,
}

impl Provider {
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        &self.capture
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("ntddi", &format_args!("{:#010x}", self.capture.ntddi))
            .finish_non_exhaustive()
    }
}

/// # Invariants
///
/// `npi` was captured from WSK and is released by `release`, so its pointers are valid until then.
pub(crate) struct Capture {
    npi: WSK_PROVIDER_NPI,
    ntddi: u32,
    client: Shared<Client>,
    release: ManuallyDrop<Release>,
}

/// Releases a capture when dropped. That is the last thing that happens: deregistering goes on from there, and the driver may be
/// unloaded.
///
/// # Invariants
///
/// A capture of this registration is outstanding, for which deregistering waits.
pub(crate) struct Release {
    registration: *mut WSK_REGISTRATION,
}

impl Drop for Release {
    fn drop(&mut self) {
        // SAFETY: by the invariant a capture is outstanding, which this releases; until then deregistering waits, and the registration
        // is there.
        unsafe { WskReleaseProviderNPI(self.registration) };
    }
}

impl Counted for Capture {
    type Last = Release;

    unsafe fn last(&mut self) -> Release {
        // SAFETY: the caller does nothing more with the value but to drop it, which leaves this field alone: it is taken once.
        unsafe { ManuallyDrop::take(&mut self.release) }
    }
}

// SAFETY: WSK's functions may be called on any thread; the pointers are only passed to it, or to its table, which nothing writes.
unsafe impl Send for Capture {}
// SAFETY: WSK's functions may be called at the same time too, and through `&Capture` the pointers are only read.
unsafe impl Sync for Capture {}

impl Capture {
    /// What WSK calls the client.
    pub(crate) fn client(&self) -> Result<NonNull<c_void>, Error> {
        NonNull::new(self.npi.Client.cast()).ok_or(Error::NoEntry {
            entry: "WSK_PROVIDER_NPI::Client",
        })
    }

    /// The provider's table.
    pub(crate) fn dispatch(&self) -> Result<WskProviderDispatch, Error> {
        let table = NonNull::new(self.npi.Dispatch.cast_mut()).ok_or(Error::NoEntry {
            entry: "WSK_PROVIDER_NPI::Dispatch",
        })?;
        // SAFETY: by the invariant the table is valid, as long as it is on this Windows, until the capture is released.
        Ok(unsafe { WskProviderDispatch::new(table, self.ntddi) })
    }

    /// The names being looked up for the client.
    pub(crate) fn lookups(&self) -> &Lookups {
        &self.client.lookups
    }

    /// The `NTDDI_VERSION` of the running Windows.
    pub(crate) fn ntddi(&self) -> u32 {
        self.ntddi
    }
}

/// The `NTDDI_VERSION` of the running Windows: which entries its dispatch tables have.
fn running_ntddi() -> u32 {
    /// The structure says its own size.
    #[allow(clippy::cast_possible_truncation)]
    const SIZE: u32 = size_of::<OSVERSIONINFOW>() as u32;
    let mut version = OSVERSIONINFOW {
        dwOSVersionInfoSize: SIZE,
        ..OSVERSIONINFOW::default()
    };
    // SAFETY: the structure is there for the call, and says its own size.
    let status = unsafe { RtlGetVersion(&raw mut version) };
    if !status.is_success() {
        return NTDDI_FLOOR;
    }
    NTDDI_BY_BUILD
        .iter()
        .rev()
        .find(|(build, _)| version.dwBuildNumber >= *build)
        .map_or(NTDDI_FLOOR, |(_, ntddi)| *ntddi)
}

/// The oldest Windows that the crate supports, 10.0.14393.
const NTDDI_FLOOR: u32 = wsk_sys::NTDDI_WIN10_RS1;

/// Build numbers from which on a version of the interface is there.
const NTDDI_BY_BUILD: &[(u32, u32)] = &[
    (14_393, wsk_sys::NTDDI_WIN10_RS1),
    (15_063, wsk_sys::NTDDI_WIN10_RS2),
    (16_299, wsk_sys::NTDDI_WIN10_RS3),
    (17_134, wsk_sys::NTDDI_WIN10_RS4),
    (17_763, wsk_sys::NTDDI_WIN10_RS5),
    (18_362, wsk_sys::NTDDI_WIN10_19H1),
    (19_041, wsk_sys::NTDDI_WIN10_VB),
    (20_348, wsk_sys::NTDDI_WIN10_FE),
    (22_000, wsk_sys::NTDDI_WIN10_CO),
    (22_621, wsk_sys::NTDDI_WIN10_NI),
];
