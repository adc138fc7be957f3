//! Registration with WSK and capture of its provider NPI, the table through which sockets are made.

mod client_control;
mod owner;

pub(crate) use client_control::ClientControl;
pub use client_control::{SecurityDescriptor, TdiDevice, Transport};
pub(crate) use owner::{Owner, OwnerPointers};

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;
use core::time::Duration;

use wsk_sys::{
    NTSTATUS, OSVERSIONINFOW, RtlGetVersion, STATUS_NOT_IMPLEMENTED, WSK_CLIENT_DISPATCH,
    WSK_CLIENT_NPI, WSK_INFINITE_WAIT, WSK_NO_WAIT, WSK_PROVIDER_NPI, WSK_REGISTRATION,
    WSK_PROVIDER_CHARACTERISTICS, WskCaptureProviderNPI, WskDeregister, WskProviderDispatch,
    WskQueryProviderCharacteristics, WskRegister, WskReleaseProviderNPI,
};

use crate::error::{Call, Error, Memory};
use crate::irp::{Observer, alarm};
use crate::irql::{MayWait, may_wait};
use crate::memory;
use crate::memory::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use crate::memory::event::{Event, pause};
use crate::memory::shared::{Counted, Shared};

/// The time to wait for the WSK provider, which may not be there yet while the system starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    #[doc(alias = "WSK_NO_WAIT")]
    No,
    /// At most so many milliseconds.
    Milliseconds(u32),
    /// Until it is there.
    #[doc(alias = "WSK_INFINITE_WAIT")]
    Forever,
}

/// What WSK keeps pointers to while a client is registered, and what deregistering waits for.
///
/// # Invariants
///
/// It is in nonpaged memory and does not move. `count` is one for the registration, until that is being dropped, and one for each
/// capture. `put_off` heads a list of what was [put off](PutOff).
struct Client {
    registration: UnsafeCell<WSK_REGISTRATION>,
    count: AtomicUsize,
    put_off: AtomicPtr<PutOff>,
    /// Whether it deregisters: then nothing is looked up any more.
    leaving: AtomicBool,
    /// Set when the last capture has gone, or something was put off.
    event: Event,
    /// Set by whoever has counted to 0, as the last thing that it does with the client.
    done: AtomicBool,
}

/// What begins a pool block that is to be freed at `PASSIVE_LEVEL`, and came to its end above that.
///
/// # Invariants
///
/// `free` may be called with the block, once, at `PASSIVE_LEVEL`. The block has a capture until then.
#[repr(C)]
pub(crate) struct PutOff {
    next: *mut PutOff,
    free: unsafe fn(NonNull<PutOff>),
}

impl PutOff {
    /// What is put off by [`Capture::put_off`], if it has to be.
    ///
    /// # Safety
    ///
    /// `free` may be called with the block that this begins, once, at `PASSIVE_LEVEL`, after it was put off.
    pub(crate) const unsafe fn new(free: unsafe fn(NonNull<Self>)) -> Self {
        // INVARIANT: the caller says so.
        Self {
            next: core::ptr::null_mut(),
            free,
        }
    }
}

impl Client {
    /// Counts off a capture, or the registration. The last of them tells who waits.
    fn one_less(client: NonNull<Self>) {
        // SAFETY: the client is there as long as it is counted, or until `done` is set.
        unsafe {
            let client = client.as_ptr();
            if (*client).count.fetch_sub(1, Ordering::AcqRel) == 1 {
                (*client).event.set();
                (*client).done.store(true, Ordering::Release);
            }
        }
    }

    /// Frees what was put off. IRQL: `PASSIVE_LEVEL`.
    fn free_put_off(&self, _: MayWait) {
        let head = self.put_off.swap(core::ptr::null_mut(), Ordering::Acquire);
        let mut next = NonNull::new(head);
        while let Some(block) = next {
            // SAFETY: the blocks of the list were put off, and were taken out of it: each is freed once.
            unsafe {
                next = NonNull::new((*block.as_ptr()).next);
                ((*block.as_ptr()).free)(block);
            }
        }
    }

    /// Waits until every capture has gone, freeing meanwhile what is put off.
    fn wait_for_captures(client: NonNull<Self>, may_wait: MayWait) {
        // SAFETY: the client is there until it is done, and freed after this only.
        let this = unsafe { client.as_ref() };
        this.leaving.store(true, Ordering::Relaxed);
        Self::one_less(client);
        loop {
            this.free_put_off(may_wait);
            if this.count.load(Ordering::Acquire) == 0 {
                break;
            }
            this.event.wait(may_wait, None);
        }
        // Whoever gave up the last capture is about to be done with the client.
        while !this.done.load(Ordering::Acquire) {
            pause(may_wait, Duration::from_micros(50));
        }
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
/// Dropping it deregisters, which waits until every socket is closed, every [`Provider`] dropped and every operation over,
/// whether the provider itself waits for that or not. Drop these first, at the latest in `DriverUnload`: a thread that waits for
/// handles of its own waits for ever. Dropping it above `PASSIVE_LEVEL`, which is a mistake, leaves the client registered for good:
/// the driver must then never be unloaded.
///
/// [`WskRegister`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskregister),
/// [`WskDeregister`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskderegister).
///
/// # Invariants
///
/// The client is registered with WSK, and its block is this value's own.
#[doc(alias("WskDeregister", "WSK_REGISTRATION"))]
#[must_use = "dropping a registration deregisters at once"]
pub struct Registration {
    client: NonNull<Client>,
}

// SAFETY: the client is nonpaged memory, bound to no thread.
unsafe impl Send for Registration {}
// SAFETY: the registration structure belongs to WSK, which synchronises its own use of it; this side only passes its address. The
// rest is atomic, or an event, which the kernel synchronises.
unsafe impl Sync for Registration {}

impl Registration {
    /// Registers. IRQL: `PASSIVE_LEVEL`. Allocates the registration.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or what `WskRegister` says.
    #[doc(alias("WskRegister", "WSK_CLIENT_NPI"))]
    pub fn new() -> Result<Self, Error> {
        may_wait()?;
        let client = memory::allocate(memory::layout::<Client>())
            .ok_or(Error::NoMemory(Memory::Registration))?
            .cast::<Client>();
        // SAFETY: freshly allocated nonpaged memory, where the client stays.
        unsafe {
            client.write(Client {
                registration: WSK_REGISTRATION::default().into(),
                count: AtomicUsize::new(1),
                put_off: AtomicPtr::new(core::ptr::null_mut()),
                event: Event::room(),
                leaving: AtomicBool::new(false),
                done: AtomicBool::new(false),
            });
            Event::initialise(&raw mut (*client.as_ptr()).event, false);
        }
        let mut npi = WSK_CLIENT_NPI {
            ClientContext: core::ptr::null_mut(),
            Dispatch: &raw const CLIENT_DISPATCH,
        };
        // SAFETY: the dispatch table is static, and the registration stays where it is until it is deregistered. The NPI is
        // copied by the call. PASSIVE_LEVEL was checked.
        let status = unsafe { WskRegister(&raw mut npi, client.as_ref().registration.get()) };
        if !status.is_success() {
            // SAFETY: it was allocated above, and WSK has not taken the registration.
            unsafe { memory::free(client.cast()) };
            return Err(Error::Call {
                call: Call::WskRegister,
                status,
            });
        }
        alarm::enter();
        // INVARIANT: registered.
        Ok(Self { client })
    }

    /// Captures the provider, waiting for it as told. IRQL: `PASSIVE_LEVEL`. Allocates the provider's state.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or what `WskCaptureProviderNPI` says: `STATUS_DEVICE_NOT_READY` when the
    /// provider is not there in time, `STATUS_NOINTERFACE` when it does not speak this version.
    #[doc(alias = "WskCaptureProviderNPI")]
    pub fn capture(&self, wait: Wait) -> Result<Provider, Error> {
        may_wait()?;
        let wait = match wait {
            Wait::No => WSK_NO_WAIT,
            // The greatest number means for ever.
            Wait::Milliseconds(milliseconds) => milliseconds.min(WSK_INFINITE_WAIT - 1),
            Wait::Forever => WSK_INFINITE_WAIT,
        };
        let mut npi = MaybeUninit::<WSK_PROVIDER_NPI>::zeroed();
        // SAFETY: by the invariant the client is there; only the address of its structure is taken.
        let (client, registration) = unsafe {
            let client = self.client.as_ref();
            (client, client.registration.get())
        };
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
        client.count.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: captured, and counted.
        let capture = Capture {
            npi,
            ntddi: running_ntddi(),
            client: self.client,
            release: ManuallyDrop::new(Release {
                client: self.client,
            }),
        };
        match Shared::new(capture) {
            Ok(capture) => Ok(Provider {
                capture,
                owner: Owner::default(),
            }),
            Err(capture) => {
                drop(ManuallyDrop::into_inner(capture.release));
                Err(Error::NoMemory(Memory::Socket))
            }
        }
    }
}

/// The versions of WSK's interface that its provider speaks: the high byte is the major number, and `0x0100` is 1.0.
#[doc(alias = "WSK_PROVIDER_CHARACTERISTICS")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderCharacteristics {
    /// The lowest.
    pub lowest_version: u16,
    /// The highest.
    pub highest_version: u16,
}

impl Registration {
    /// Which versions of WSK's interface the provider speaks. This crate speaks 1.0, the only one that there is so far. IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// assert!(registration.provider_characteristics()?.highest_version >= 0x0100);
    /// # drop(registration);
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskQueryProviderCharacteristics`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskqueryprovidercharacteristics).
    ///
    /// # Errors
    ///
    /// What WSK says: `STATUS_DEVICE_NOT_READY` when the provider is not there yet.
    #[doc(alias = "WskQueryProviderCharacteristics")]
    pub fn provider_characteristics(&self) -> Result<ProviderCharacteristics, Error> {
        let mut told = WSK_PROVIDER_CHARACTERISTICS::default();
        // SAFETY: by the invariant the client is registered; there is room for what is told.
        let status = unsafe {
            WskQueryProviderCharacteristics(self.client.as_ref().registration.get(), &raw mut told)
        };
        if status.is_success() {
            Ok(ProviderCharacteristics {
                lowest_version: told.LowestVersion,
                highest_version: told.HighestVersion,
            })
        } else {
            Err(Error::Call {
                call: Call::WskQueryProviderCharacteristics,
                status,
            })
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Ok(may_wait) = may_wait() else {
            // WSK cannot be told here: the registration, which it goes on using, stays for ever.
            return;
        };
        // Not every provider waits for it, and what was found for a name goes back to WSK before its capture is released.
        Client::wait_for_captures(self.client, may_wait);
        // SAFETY: the client is registered, and waiting is allowed. When the call returns WSK has finished with the registration, and
        // nobody else knows the client, which is freed this once.
        unsafe {
            WskDeregister(self.client.as_ref().registration.get());
            memory::free(self.client.cast());
        }
        // A completion routine that gave the last capture back may still be on its way out of the driver.
        alarm::leave(may_wait);
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
#[doc(alias("WskReleaseProviderNPI", "WSK_PROVIDER_NPI", "PWSK_CLIENT"))]
pub struct Provider {
    capture: Shared<Capture>,
    owner: Owner,
}

impl Provider {
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        &self.capture
    }

    /// What the provider's table is, and what WSK calls the client, for functions of WSK that have nothing here: those of
    /// [`wsk_sys::WSK_PROVIDER_DISPATCH`]. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Reading it is safe; what is done with it is what is unsafe. Whoever uses its pointers:
    ///
    /// * uses them while this provider, a clone of it or a socket that was made through it is there, which keeps the capture;
    /// * calls nothing that the table is too short for: it ends where that of the running Windows ends;
    /// * closes every socket that it makes before the last of these goes, and leaves the sockets of this crate to it;
    /// * does not release the capture (`WskReleaseProviderNPI`), and keeps what
    ///   [`control_client_raw`](Self::control_client_raw) asks.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// let npi = provider.npi();
    /// // SAFETY: the provider is there, and every table begins with its version.
    /// assert_eq!(unsafe { (*npi.Dispatch).Version }, 0x0100);
    /// # drop((provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WSK_PROVIDER_NPI`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_provider_npi).
    #[doc(alias("WSK_PROVIDER_NPI", "WSK_PROVIDER_DISPATCH", "PWSK_CLIENT"))]
    #[must_use]
    pub fn npi(&self) -> WSK_PROVIDER_NPI {
        self.capture.npi
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
/// `npi` was captured from WSK and is released by `release`, so its pointers are valid until then, and so is the client.
pub struct Capture {
    npi: WSK_PROVIDER_NPI,
    ntddi: u32,
    client: NonNull<Client>,
    release: ManuallyDrop<Release>,
}

/// Releases a capture when dropped. That is the last thing that happens: deregistering goes on from there, and the driver may be
/// unloaded.
///
/// # Invariants
///
/// A capture of this client is outstanding, for which deregistering waits.
pub struct Release {
    client: NonNull<Client>,
}

impl Drop for Release {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant a capture is outstanding, which this releases; until then deregistering waits, and the registration
        // is there.
        unsafe { WskReleaseProviderNPI(self.client.as_ref().registration.get()) };
        Client::one_less(self.client);
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
    /// What WSK calls the client: its own business, and nothing with some providers.
    pub(crate) fn client(&self) -> Option<NonNull<c_void>> {
        NonNull::new(self.npi.Client.cast())
    }

    /// The provider's table.
    pub(crate) fn dispatch(&self) -> Result<WskProviderDispatch, Error> {
        let table = NonNull::new(self.npi.Dispatch.cast_mut()).ok_or(Error::NoEntry {
            entry: "WSK_PROVIDER_NPI::Dispatch",
        })?;
        // SAFETY: by the invariant the table is valid, as long as it is on this Windows, until the capture is released.
        Ok(unsafe { WskProviderDispatch::new(table, self.ntddi) })
    }

    /// Has a block be freed at `PASSIVE_LEVEL`: when [`free_put_off`](Self::free_put_off) is called, at the latest when the client
    /// deregisters. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// The block is the caller's, begins with this, and is given away. It has a capture of this client until it is freed, and the
    /// caller has another one meanwhile.
    pub(crate) unsafe fn put_off(&self, block: NonNull<PutOff>) {
        // SAFETY: by the invariant the client is there.
        let client = unsafe { self.client.as_ref() };
        let mut head = client.put_off.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller gives the block away, and nobody else has it before it is in the list.
            unsafe { (*block.as_ptr()).next = head };
            match client.put_off.compare_exchange_weak(
                head,
                block.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        client.event.set();
    }

    /// Frees what was put off.
    pub(crate) fn free_put_off(&self, may_wait: MayWait) {
        // SAFETY: by the invariant the client is there.
        unsafe { self.client.as_ref() }.free_put_off(may_wait);
    }

    /// Whether the client deregisters, which waits for this capture.
    pub(crate) fn is_leaving(&self) -> bool {
        // SAFETY: by the invariant the client is there.
        unsafe { self.client.as_ref() }
            .leaving
            .load(Ordering::Relaxed)
    }

    /// The `NTDDI_VERSION` of the running Windows.
    pub(crate) fn ntddi(&self) -> u32 {
        self.ntddi
    }
}

/// An observer that keeps the capture until the completion routine is done with everything else: until then the driver cannot be
/// unloaded, whatever becomes of the operation and its handle.
#[inline]
pub(crate) fn hold(capture: &Shared<Capture>) -> Observer {
    /// # Safety
    ///
    /// `context` came from `Shared::<Capture>::into_raw` and is used this once.
    unsafe fn release(context: NonNull<c_void>, _: NTSTATUS) {
        // SAFETY: the caller gives the reference that `into_raw` made the context of, this once.
        drop(unsafe { Shared::<Capture>::from_raw(context) });
    }
    // SAFETY: the observer is told once, and a capture is released at any IRQL up to DISPATCH_LEVEL on any thread.
    unsafe { Observer::new(release, Shared::into_raw(Shared::clone(capture))) }
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
    if status.is_success() {
        wsk_sys::ntddi_of_build(version.dwBuildNumber)
    } else {
        // Only what every table has.
        0
    }
}
