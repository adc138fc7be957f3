//! What keeps a client registered, and its provider captured.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::time::Duration;

use wsk_sys::{
    NTSTATUS, OSVERSIONINFOW, RtlGetVersion, STATUS_DEVICE_NOT_READY, STATUS_NOT_IMPLEMENTED,
    WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI, WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_NPI,
    WSK_REGISTRATION, WskCaptureProviderNPI, WskDeregister, WskProviderDispatch,
    WskQueryProviderCharacteristics, WskRegister, WskReleaseProviderNPI,
};

use crate::error::{Call, Error, Memory};
use crate::irp::{Observer, Tells};
use crate::irql::{AtPassiveLevel, at_passive_level};
use crate::memory::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use crate::memory::event::pause;
use crate::memory::shared::{Counted, Shared, Signalled};
use crate::memory::{Owned, Room};

/// What WSK keeps pointers to while a client is registered, and what deregistering waits for. Beside it is an event, which is set when the
/// last capture has gone, or something was put off.
///
/// # Invariants
///
/// `count` is one for the registration, until that is being dropped, and one for each capture. `put_off` heads a list of what was
/// [put off](PutOff), each given away by its owner.
pub(super) struct Client {
    registration: UnsafeCell<WSK_REGISTRATION>,
    count: AtomicUsize,
    put_off: AtomicPtr<PutOff>,
    /// Whether it deregisters: then nothing is looked up any more.
    leaving: AtomicBool,
}

// SAFETY: it is memory that is bound to no thread.
unsafe impl Send for Client {}
// SAFETY: the registration structure belongs to WSK, which synchronises its own use of it; this side only passes its address. The rest is
// atomic.
unsafe impl Sync for Client {}

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

/// A client that is registered with WSK, until it [deregisters](Self::deregister).
///
/// # Invariants
///
/// The client is registered, and not deregistered unless this is used no more.
pub(super) struct Registered {
    client: Shared<Signalled<Client>>,
}

impl Registered {
    /// Registers a client.
    pub(super) fn new(_: AtPassiveLevel) -> Result<Self, Error> {
        let client = Client {
            registration: WSK_REGISTRATION::default().into(),
            count: AtomicUsize::new(1),
            put_off: AtomicPtr::new(core::ptr::null_mut()),
            leaving: AtomicBool::new(false),
        };
        let client = Shared::beside_event(client, false)
            .map_err(|_| Error::NoMemory(Memory::Registration))?;
        let mut npi = WSK_CLIENT_NPI {
            ClientContext: core::ptr::null_mut(),
            Dispatch: &raw const CLIENT_DISPATCH,
        };
        // SAFETY: the dispatch table is static, and the registration, in nonpaged memory, stays where it is until it is deregistered. The
        // NPI is copied by the call. The IRQL is PASSIVE_LEVEL, as the proof says.
        let status = unsafe { WskRegister(&raw mut npi, client.registration.get()) };
        Call::WskRegister.succeeded(status)?;
        // INVARIANT: just registered.
        Ok(Self { client })
    }

    /// Captures the provider, waiting so many milliseconds for it.
    pub(super) fn capture(&self, wait: u32, passive: AtPassiveLevel) -> Result<Capture, Error> {
        let mut npi = WSK_PROVIDER_NPI::default();
        let registration = self.client.registration.get();
        // SAFETY: by the invariant the client is registered. There is room for the NPI; the IRQL is PASSIVE_LEVEL, as the proof says.
        let status = unsafe { WskCaptureProviderNPI(registration, wait, &raw mut npi) };
        Call::WskCaptureProviderNPI.succeeded(status)?;
        self.client.count.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: captured, and counted.
        Ok(Capture {
            npi,
            ntddi: running_ntddi(passive),
            release: ManuallyDrop::new(Release {
                client: self.client.clone(),
            }),
        })
    }

    /// What the provider says of itself.
    pub(super) fn characteristics(&self) -> Result<WSK_PROVIDER_CHARACTERISTICS, Error> {
        let mut told = WSK_PROVIDER_CHARACTERISTICS::default();
        let registration = self.client.registration.get();
        // SAFETY: by the invariant the client is registered; there is room for what is told.
        let status = unsafe { WskQueryProviderCharacteristics(registration, &raw mut told) };
        Call::WskQueryProviderCharacteristics.succeeded(status)?;
        Ok(told)
    }

    /// Deregisters, once every capture has gone. Nothing else is done with this from then on.
    pub(super) fn deregister(&mut self, passive: AtPassiveLevel) {
        // Not every provider waits for it, and what was found for a name goes back to WSK before its capture is released.
        self.wait_for_captures(passive);
        // SAFETY: by the invariant the client is registered, and waiting is allowed, as the proof says.
        unsafe { WskDeregister(self.client.registration.get()) };
    }

    /// Leaves the client registered for good: WSK goes on using it.
    pub(super) fn leave(&self) {
        core::mem::forget(self.client.clone());
    }

    /// Waits until every capture has gone, freeing meanwhile what is put off.
    fn wait_for_captures(&self, passive: AtPassiveLevel) {
        let client = &self.client;
        client.leaving.store(true, Ordering::Relaxed);
        client.one_less();
        loop {
            client.free_put_off(passive);
            if client.count.load(Ordering::Acquire) == 0 {
                break;
            }
            client.event().wait(passive.may_wait(), None);
        }
        // Whoever gave up the last capture is about to be done with the client.
        while !Shared::is_unique(client) {
            pause(passive.may_wait(), Duration::from_micros(50));
        }
    }
}

impl Signalled<Client> {
    /// Counts off a capture, or the registration. The last of them tells who waits.
    fn one_less(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.event().set();
        }
    }
}

impl Client {
    /// Frees what was put off. IRQL: `PASSIVE_LEVEL`.
    fn free_put_off(&self, _: AtPassiveLevel) {
        let head = self.put_off.swap(core::ptr::null_mut(), Ordering::Acquire);
        let mut next = NonNull::new(head);
        while let Some(block) = next {
            // SAFETY: by the invariant the blocks of the list were given away, and were taken out of it: each is freed once.
            unsafe {
                next = NonNull::new(block.as_ref().next);
                (block.as_ref().free)(block);
            }
        }
    }
}

/// What WSK takes back at `PASSIVE_LEVEL` only, when it is dropped, with the capture by which WSK gave it.
pub(crate) trait GoesBack: Send + 'static {
    /// Whether there is anything that WSK has to take back.
    fn is_there(&self) -> bool;

    /// The capture, which is dropped last.
    fn capture(&self) -> &Shared<Capture>;
}

/// What begins a pool block that is to be freed at `PASSIVE_LEVEL`, and came to its end above that.
///
/// # Invariants
///
/// It begins a [`Block`] of a type that `free` is for.
struct PutOff {
    next: *mut PutOff,
    free: unsafe fn(NonNull<PutOff>),
}

// SAFETY: the pointer is used by who has the block alone, on any thread.
unsafe impl Send for PutOff {}
// SAFETY: through `&PutOff` nothing is changed.
unsafe impl Sync for PutOff {}

/// The pool block behind [`Late`].
#[repr(C)]
struct Block<T> {
    put_off: PutOff,
    value: T,
}

/// A value that [goes back](GoesBack) to WSK. Dropped above `PASSIVE_LEVEL` it does so later: when a name is looked up, at the latest when
/// the client deregisters. May be dropped at any IRQL up to `DISPATCH_LEVEL`.
///
/// # Invariants
///
/// `block` is there until this is dropped.
pub(crate) struct Late<T: GoesBack> {
    block: ManuallyDrop<Owned<Block<T>>>,
}

impl<T: GoesBack> Late<T> {
    /// Moves a value into nonpaged pool, or gives it back when there is none.
    pub(crate) fn new(value: T) -> Result<Self, T> {
        let Some(room) = Room::reserve() else {
            return Err(value);
        };
        // INVARIANT: of the type of the block.
        let put_off = PutOff {
            next: core::ptr::null_mut(),
            free: free::<T>,
        };
        Ok(Self {
            block: ManuallyDrop::new(room.fill(Block { put_off, value })),
        })
    }
}

impl<T: GoesBack> Deref for Late<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.block.value
    }
}

impl<T: GoesBack> DerefMut for Late<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.block.value
    }
}

impl<T: GoesBack> Drop for Late<T> {
    fn drop(&mut self) {
        // SAFETY: this is dropped, and the block used no more in it.
        let block = unsafe { ManuallyDrop::take(&mut self.block) };
        if !block.value.is_there() || at_passive_level().is_ok() {
            // The memory first: with the capture, which the value drops last, may go what waits for it.
            drop(block.into_inner().value);
        } else {
            // Kept meanwhile: the block may be freed as soon as it is put off.
            let capture = Shared::clone(block.value.capture());
            capture.put_off(block);
        }
    }
}

/// Drops a value that was put off, and frees its block. IRQL: `PASSIVE_LEVEL`.
///
/// # Safety
///
/// `put_off` begins a [`Block`] of this type, which its owner gave away by its place.
unsafe fn free<T>(put_off: NonNull<PutOff>) {
    // SAFETY: the caller gives the block away.
    let block = unsafe { Owned::<Block<T>>::from_raw(put_off.cast()) };
    drop(block.into_inner().value);
}

/// # Invariants
///
/// `npi` was captured from WSK and is released by `release`, so its pointers are valid until then.
pub struct Capture {
    npi: WSK_PROVIDER_NPI,
    ntddi: u32,
    release: ManuallyDrop<Release>,
}

/// Releases a capture when dropped. That is the last thing that happens: deregistering goes on from there, and the driver may be
/// unloaded.
///
/// # Invariants
///
/// A capture of this client is outstanding, for which deregistering waits.
pub struct Release {
    client: Shared<Signalled<Client>>,
}

impl Drop for Release {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant a capture is outstanding, which this releases; until then deregistering waits.
        unsafe { WskReleaseProviderNPI(self.client.registration.get()) };
        self.client.one_less();
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
    /// The provider's NPI.
    pub(super) fn npi(&self) -> WSK_PROVIDER_NPI {
        self.npi
    }

    /// Ends a capture that is not shared.
    pub(super) fn end(self) {
        drop(ManuallyDrop::into_inner(self.release));
    }

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

    /// Has a block be freed at `PASSIVE_LEVEL`: when a [look-up](Self::before_look_up) begins, at the latest when the client
    /// deregisters. IRQL: `<= DISPATCH_LEVEL`. The caller has a capture meanwhile besides that of the block.
    fn put_off<T: GoesBack>(&self, mut block: Owned<Block<T>>) {
        let client = &self.release.client;
        let mut head = client.put_off.load(Ordering::Relaxed);
        loop {
            block.put_off.next = head;
            match client.put_off.compare_exchange_weak(
                head,
                block.as_raw().as_ptr().cast(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        // INVARIANT: it is in the list, which it was given away for.
        let _ = block.into_raw();
        client.event().set();
    }

    /// Comes before a look-up by `call`: it is for `PASSIVE_LEVEL`, at which what was put off is freed, and not for a client that
    /// deregisters, which waits for this capture.
    pub(crate) fn before_look_up(&self, call: Call) -> Result<(), Error> {
        // The function itself is for this level.
        let passive = at_passive_level()?;
        let client = &self.release.client;
        client.free_put_off(passive);
        if client.leaving.load(Ordering::Relaxed) {
            // Whoever looks up in a loop is not to keep the driver for ever.
            let status = STATUS_DEVICE_NOT_READY;
            return Err(Error::Call { call, status });
        }
        Ok(())
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
    /// Releases the reference, which may be done at any IRQL up to `DISPATCH_LEVEL`.
    struct Held;

    impl Tells<Capture> for Held {
        unsafe fn tell(capture: Shared<Capture>, _: NTSTATUS) {
            drop(capture);
        }
    }

    Observer::of::<Held, Capture>(Shared::clone(capture))
}

/// The `NTDDI_VERSION` of the running Windows: which entries its dispatch tables have.
fn running_ntddi(_: AtPassiveLevel) -> u32 {
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
