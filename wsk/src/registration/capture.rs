//! What keeps a client registered, and its provider captured.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::time::Duration;

use wsk_sys::{
    NTSTATUS, OSVERSIONINFOW, RtlGetVersion, WSK_PROVIDER_NPI, WSK_REGISTRATION,
    WskProviderDispatch, WskReleaseProviderNPI,
};

use crate::error::Error;
use crate::irp::Observer;
use crate::irql::AtPassiveLevel;
use crate::memory::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use crate::memory::event::{Event, pause};
use crate::memory::shared::{Counted, Shared};

/// What WSK keeps pointers to while a client is registered, and what deregistering waits for.
///
/// # Invariants
///
/// It is in nonpaged memory and does not move. `count` is one for the registration, until that is being dropped, and one for each
/// capture. `put_off` heads a list of what was [put off](PutOff).
pub(super) struct Client {
    pub(super) registration: UnsafeCell<WSK_REGISTRATION>,
    pub(super) count: AtomicUsize,
    pub(super) put_off: AtomicPtr<PutOff>,
    /// Whether it deregisters: then nothing is looked up any more.
    pub(super) leaving: AtomicBool,
    /// Set when the last capture has gone, or something was put off.
    pub(super) event: Event,
    /// Set by whoever has counted to 0, as the last thing that it does with the client.
    pub(super) done: AtomicBool,
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

/// Where a client is, for whoever is counted by it, and for the registration.
///
/// # Invariants
///
/// The client is there as long as this is used: until a capture, or the registration, has been counted off, and until `done` is set.
#[derive(Clone, Copy)]
pub(super) struct ClientRef(NonNull<Client>);

impl ClientRef {
    /// # Safety
    ///
    /// The client is there as long as the result, and what is made of it, is used.
    pub(super) const unsafe fn of(client: NonNull<Client>) -> Self {
        // INVARIANT: the caller says so.
        Self(client)
    }

    pub(super) const fn as_ptr(self) -> NonNull<Client> {
        self.0
    }
}

impl Deref for ClientRef {
    type Target = Client;

    #[inline]
    fn deref(&self) -> &Client {
        // SAFETY: by the invariant the client is there; what changes in it is atomic, or WSK's and the kernel's.
        unsafe { self.0.as_ref() }
    }
}

impl Client {
    /// Counts off a capture, or the registration. The last of them tells who waits.
    fn one_less(client: ClientRef) {
        // Not borrowed for the whole call: the client may be gone before that returns.
        if client.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            client.event.set();
            client.done.store(true, Ordering::Release);
        }
    }

    /// Frees what was put off. IRQL: `PASSIVE_LEVEL`.
    fn free_put_off(&self, _: AtPassiveLevel) {
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
    pub(super) fn wait_for_captures(client: ClientRef, passive: AtPassiveLevel) {
        let this: &Self = &client;
        this.leaving.store(true, Ordering::Relaxed);
        Self::one_less(client);
        loop {
            this.free_put_off(passive);
            if this.count.load(Ordering::Acquire) == 0 {
                break;
            }
            this.event.wait(passive.may_wait(), None);
        }
        // Whoever gave up the last capture is about to be done with the client.
        while !this.done.load(Ordering::Acquire) {
            pause(passive.may_wait(), Duration::from_micros(50));
        }
    }
}

/// # Invariants
///
/// `npi` was captured from WSK and is released by `release`, so its pointers are valid until then, and so is the client.
pub struct Capture {
    pub(super) npi: WSK_PROVIDER_NPI,
    pub(super) ntddi: u32,
    pub(super) client: ClientRef,
    pub(super) release: ManuallyDrop<Release>,
}

/// Releases a capture when dropped. That is the last thing that happens: deregistering goes on from there, and the driver may be
/// unloaded.
///
/// # Invariants
///
/// A capture of this client is outstanding, for which deregistering waits.
pub struct Release {
    pub(super) client: ClientRef,
}

impl Drop for Release {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant a capture is outstanding, which this releases; until then deregistering waits, and the registration
        // is there.
        unsafe { WskReleaseProviderNPI(self.client.registration.get()) };
        Client::one_less(self.client);
    }
}

// SAFETY: dropping it does nothing.
unsafe impl Counted for Capture {
    type Last = Release;

    fn last(&mut self) -> Option<&mut ManuallyDrop<Release>> {
        Some(&mut self.release)
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
        let client: &Client = &self.client;
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
    pub(crate) fn free_put_off(&self, passive: AtPassiveLevel) {
        self.client.free_put_off(passive);
    }

    /// Whether the client deregisters, which waits for this capture.
    pub(crate) fn is_leaving(&self) -> bool {
        self.client.leaving.load(Ordering::Relaxed)
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
pub(super) fn running_ntddi() -> u32 {
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
