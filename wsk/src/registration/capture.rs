//! What keeps a client registered, and its provider captured; what the client asks of the provider without an IRP, and what goes back to
//! it.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::net::SocketAddr;
use core::ops::Deref;
use core::ptr::NonNull;
use core::time::Duration;

use wsk_sys::{
    ADDRINFOEXW, NPI_WSK_INTERFACE_ID, NTSTATUS, OSVERSIONINFOW, RtlGetVersion, SOCKADDR,
    STATUS_DEVICE_NOT_READY, STATUS_NOT_IMPLEMENTED, WSK_CACHE_SD, WSK_CLIENT_DISPATCH,
    WSK_CLIENT_NPI, WSK_EVENT_CALLBACK_CONTROL, WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_NPI,
    WSK_REGISTRATION, WSK_RELEASE_SD, WSK_SET_STATIC_EVENT_CALLBACKS, WSK_TDI_BEHAVIOR,
    WSK_TDI_BEHAVIOR_BYPASS_TDI, WSK_TDI_DEVICENAME_MAPPING, WSK_TDI_MAP_INFO,
    WSK_TRANSPORT_LIST_QUERY, WskCaptureProviderNPI, WskDeregister, WskProviderDispatch,
    WskQueryProviderCharacteristics, WskRegister, WskReleaseProviderNPI,
};

use crate::address::{self, Brought};
use crate::error::{Call, Error, Memory};
use crate::irp::{Observer, Tells};
use crate::irql::{AtPassiveLevel, at_passive_level};
use crate::memory::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use crate::memory::event::pause;
use crate::memory::shared::{Counted, Shared, Signalled};
use crate::memory::{Owned, Room};
use crate::registration::transport::{TdiDevice, Transport};

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

/// What WSK gives by a pointer, to be used on any thread, and takes back at `PASSIVE_LEVEL` only.
pub(crate) trait GoesBack: Send + Sync + Sized + 'static {
    /// What the pointer leads to.
    type Given;

    /// Has WSK take it back.
    fn take_back(capture: &Capture, given: Back<Self::Given>);
}

/// A pointer to what WSK is to take back.
///
/// # Invariants
///
/// WSK has given it through the capture that this is used with, and has not taken it back. Nobody uses it any more, and the IRQL is
/// `PASSIVE_LEVEL`.
pub(crate) struct Back<T>(NonNull<T>);

/// A place where WSK puts a pointer, with what is there beside it for WSK to read.
///
/// # Invariants
///
/// `given` is null, or what WSK has given through the capture and has not taken back. WSK writes it while it is only shared. This is dropped
/// at `PASSIVE_LEVEL`, or when it is null.
pub(crate) struct Place<K: GoesBack> {
    /// An atomic of the core, whatever the crate's own are, as WSK writes a pointer.
    given: core::sync::atomic::AtomicPtr<K::Given>,
    pub(super) beside: K,
    capture: Shared<Capture>,
}

impl<K: GoesBack> Place<K> {
    /// A place with nothing in it.
    pub(super) fn new(capture: &Shared<Capture>, beside: K) -> Self {
        // INVARIANT: null.
        Self {
            given: core::sync::atomic::AtomicPtr::new(core::ptr::null_mut()),
            beside,
            capture: capture.clone(),
        }
    }

    /// Where WSK, and nobody else, is to put the pointer.
    pub(super) fn place(&self) -> NonNull<*mut K::Given> {
        NonNull::from(&self.given).cast()
    }

    /// What WSK has put there.
    pub(super) fn get(&self) -> *mut K::Given {
        self.given.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// WSK has put nothing there: its answer was an error.
    pub(super) fn clear(&self) {
        // INVARIANT: null.
        let none = core::ptr::null_mut();
        self.given
            .store(none, core::sync::atomic::Ordering::Relaxed);
    }
}

impl<K: GoesBack> Drop for Place<K> {
    fn drop(&mut self) {
        if let Some(given) = NonNull::new(self.get()) {
            // INVARIANT: by that of this value, which is dropped.
            K::take_back(&self.capture, Back(given));
        }
    }
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
pub(crate) struct Late<K: GoesBack> {
    block: ManuallyDrop<Owned<Block<Place<K>>>>,
}

impl<K: GoesBack> Late<K> {
    /// Moves a place into nonpaged pool, unless there is none.
    pub(super) fn new(place: Place<K>) -> Option<Self> {
        let room = Room::reserve()?;
        // INVARIANT: of the type of the block.
        let put_off = PutOff {
            next: core::ptr::null_mut(),
            free: free::<Place<K>>,
        };
        Some(Self {
            block: ManuallyDrop::new(room.fill(Block {
                put_off,
                value: place,
            })),
        })
    }
}

impl<K: GoesBack> Deref for Late<K> {
    type Target = Place<K>;

    fn deref(&self) -> &Place<K> {
        &self.block.value
    }
}

impl<K: GoesBack> Drop for Late<K> {
    fn drop(&mut self) {
        // SAFETY: this is dropped, and the block used no more in it.
        let block = unsafe { ManuallyDrop::take(&mut self.block) };
        if block.value.get().is_null() || at_passive_level().is_ok() {
            // The memory first: with the capture, which the value drops last, may go what waits for it.
            drop(block.into_inner().value);
        } else {
            // Kept meanwhile: the block may be freed as soon as it is put off.
            let capture = Shared::clone(&block.value.capture);
            capture.put_off(block);
        }
    }
}

/// Addresses that WSK gives for hints.
pub(crate) struct Addresses {
    hints: ADDRINFOEXW,
}

// SAFETY: the hints are numbers: there is nothing that their pointers lead to.
unsafe impl Send for Addresses {}
// SAFETY: as for `Send`.
unsafe impl Sync for Addresses {}

impl Addresses {
    /// Those for hints that are numbers.
    pub(super) fn of(hints: ADDRINFOEXW) -> Self {
        // INVARIANT: nothing else of them is used.
        Self {
            hints: ADDRINFOEXW {
                ai_flags: hints.ai_flags,
                ai_family: hints.ai_family,
                ai_socktype: hints.ai_socktype,
                ai_protocol: hints.ai_protocol,
                ..ADDRINFOEXW::default()
            },
        }
    }

    /// Where the hints are.
    pub(super) fn hints(&self) -> NonNull<ADDRINFOEXW> {
        NonNull::from(&self.hints)
    }
}

impl GoesBack for Addresses {
    type Given = ADDRINFOEXW;

    fn take_back(capture: &Capture, given: Back<ADDRINFOEXW>) {
        if let Ok(table) = capture.dispatch() {
            // SAFETY: by the invariant the list is WSK's to take back, at this IRQL, once. A provider without the entry gave no list.
            let _ = unsafe { table.wsk_free_address_info(capture.client(), given.0) };
        }
    }
}

impl Place<Addresses> {
    /// The addresses, in the order in which WSK gave them.
    pub(super) fn iter(&self) -> AddressesOf<'_> {
        // INVARIANT: the list stays as long as this.
        AddressesOf {
            next: self.get(),
            list: PhantomData,
        }
    }
}

/// Iterates over the addresses of a list. Those that are neither IPv4 nor IPv6 are left out.
///
/// # Invariants
///
/// `next` is null, or a list that is valid for `'i`.
#[derive(Debug, Clone)]
pub(crate) struct AddressesOf<'i> {
    next: *const ADDRINFOEXW,
    list: PhantomData<&'i ADDRINFOEXW>,
}

impl Iterator for AddressesOf<'_> {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        loop {
            // SAFETY: by the invariant it is null, or an entry of a list that is valid for `'i`. An entry that WSK gave has an address of
            // so many bytes, which begins with its family; no more of them are read than there are.
            unsafe {
                let info = self.next.as_ref()?;
                self.next = info.ai_next;
                if info.ai_addr.is_null() || info.ai_addrlen < size_of::<SOCKADDR>() {
                    continue;
                }
                let size = address::size_of_family((*info.ai_addr).sa_family);
                if size.is_ok_and(|size| size <= info.ai_addrlen)
                    && let Ok(address) = Brought::new(info.ai_addr).read()
                {
                    return Some(address);
                }
            }
        }
    }
}

/// An operation on the client that takes no IRP.
pub(crate) enum AtOnce<'a> {
    /// `WSK_TDI_BEHAVIOR`, to bypass TDI.
    BypassTdi,
    /// `WSK_TDI_DEVICENAME_MAPPING`.
    MapTdiDevices(&'static [TdiDevice]),
    /// `WSK_TRANSPORT_LIST_QUERY`, into this room; the size is that of the list.
    Transports(&'a mut [Transport]),
    /// `WSK_CACHE_SD`: what is cached goes into the place, of the same client.
    Cache(Vouched<OfDriver>, &'a Place<Cached>),
    /// `WSK_RELEASE_SD`.
    Release(Back<c_void>),
    /// `WSK_SET_STATIC_EVENT_CALLBACKS`.
    StaticEvents(Vouched<StaticEvents>),
    /// What has no type here, with its input and the room for its output; the size is that of the output.
    Raw(Vouched<ClientCode>, &'a [u8], &'a mut [u8]),
}

/// What a driver vouches for by calling an unsafe function.
///
/// # Invariants
///
/// It is as the type of what is vouched for asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vouched<R>(R);

impl<R> Vouched<R> {
    /// # Safety
    ///
    /// As the invariant asks.
    pub(crate) const unsafe fn new(what: R) -> Self {
        // INVARIANT: the caller says so.
        Self(what)
    }
}

impl<R: Copy> Vouched<R> {
    /// What was vouched for.
    pub(crate) const fn get(self) -> R {
        self.0
    }
}

/// A security descriptor. Vouched for, it is valid, and nobody changes it as long as this is used.
pub(crate) struct OfDriver(pub(crate) NonNull<c_void>);

/// A mask of events. Vouched for, no socket that is made for the client by this crate has them, now or later.
pub(crate) struct StaticEvents(pub(crate) u32);

/// A code of `WskControlClient`. Vouched for, the operation touches no memory but its input, its output and what stays as long as it needs
/// that, which are what it asks for; it takes an IRP where it is given one, and changes nothing that this crate keeps account of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientCode(pub(crate) u32);

impl AtOnce<'_> {
    /// Carries the operation out, for a client; `size` is that of what was asked for.
    pub(crate) fn carry_out(self, capture: &Capture, size: &mut usize) -> Result<(), Error> {
        let (flags, map, descriptor, events);
        let mut returned = None;
        let (code, input, output) = match self {
            Self::BypassTdi => {
                flags = WSK_TDI_BEHAVIOR_BYPASS_TDI;
                (WSK_TDI_BEHAVIOR, Some(bytes(NonNull::from(&flags))), None)
            }
            Self::MapTdiDevices(devices) => {
                map = WSK_TDI_MAP_INFO {
                    ElementCount: u32::try_from(devices.len()).unwrap_or(u32::MAX),
                    Map: devices.as_ptr().cast(),
                };
                let map = bytes(NonNull::from(&map));
                (WSK_TDI_DEVICENAME_MAPPING, Some(map), None)
            }
            Self::Transports(room) => {
                returned = Some(NonNull::from(size));
                let place = NonNull::from(&mut *room).cast();
                let place = NonNull::slice_from_raw_parts(place, size_of_val(room));
                let room = (!room.is_empty()).then_some(place);
                (WSK_TRANSPORT_LIST_QUERY, None, room)
            }
            Self::Cache(Vouched(OfDriver(of_driver)), cached) => {
                descriptor = of_driver.as_ptr();
                let descriptor = bytes(NonNull::from(&descriptor));
                (WSK_CACHE_SD, Some(descriptor), Some(bytes(cached.place())))
            }
            Self::Release(Back(cached)) => {
                descriptor = cached.as_ptr();
                let descriptor = bytes(NonNull::from(&descriptor));
                (WSK_RELEASE_SD, Some(descriptor), None)
            }
            Self::StaticEvents(Vouched(StaticEvents(mask))) => {
                events = WSK_EVENT_CALLBACK_CONTROL {
                    NpiId: &raw const NPI_WSK_INTERFACE_ID,
                    EventMask: mask,
                };
                let events = bytes(NonNull::from(&events));
                (WSK_SET_STATIC_EVENT_CALLBACKS, Some(events), None)
            }
            Self::Raw(Vouched(ClientCode(code)), input, output) => {
                let given = (!input.is_empty()).then(|| NonNull::from(input));
                let room = (!output.is_empty()).then(|| NonNull::from(output));
                returned = room.map(|_| NonNull::from(size));
                (code, given, room)
            }
        };
        let table = capture.dispatch()?;
        // SAFETY: table and client are those of the capture. What goes in, and the room for what comes out, is there for the call, and what
        // the operation takes:
        // * flags;
        // * a structure that leads to static ones, should WSK keep that, with events that the driver vouches for;
        // * the room of as many structures as its size says, of which every value is valid, or none, and the place of the list's size;
        // * a pointer to a valid descriptor, and a place for one, of nobody else's, in nonpaged memory;
        // * a pointer to a descriptor that is cached, to be released once, as it is given away;
        // * what the driver vouches for, and the place of a size.
        let answer = unsafe {
            table.wsk_control_client(capture.client(), code, input, output, returned, None)
        };
        Call::WskControlClient.succeeded(answer?)
    }
}

/// A security descriptor that WSK caches.
pub(crate) struct Cached;

impl GoesBack for Cached {
    type Given = c_void;

    fn take_back(capture: &Capture, given: Back<c_void>) {
        // There is nothing to be done about an error.
        let _ = AtOnce::Release(given).carry_out(capture, &mut 0);
    }
}

/// The bytes of a value.
pub(crate) const fn bytes<T>(value: NonNull<T>) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(value.cast(), size_of::<T>())
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
    fn put_off<T>(&self, mut block: Owned<Block<T>>) {
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
