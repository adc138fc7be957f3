//! A registered client, the capture of its provider, and what the client exchanges with the provider without an IRP: the operations of
//! `WskControlClient`, and the pointers that the provider hands out and takes back.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::net::SocketAddr;
use core::ops::Deref;
use core::ptr::NonNull;
use core::time::Duration;

use wsk_sys::{
    ADDRINFOEXW, AF_INET, AF_INET6, DispatchError, NTSTATUS, OSVERSIONINFOW, RtlGetVersion,
    SOCKADDR, STATUS_DEVICE_NOT_READY, WSK_CACHE_SD, WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI,
    WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_NPI, WSK_REGISTRATION, WSK_RELEASE_SD,
    WSK_SET_STATIC_EVENT_CALLBACKS, WSK_TDI_BEHAVIOR, WSK_TDI_BEHAVIOR_BYPASS_TDI,
    WSK_TDI_DEVICENAME_MAPPING, WSK_TDI_MAP_INFO, WSK_TRANSPORT_LIST_QUERY, WskCaptureProviderNPI,
    WskDeregister, WskProviderDispatch, WskQueryProviderCharacteristics, WskRegister,
    WskReleaseProviderNPI,
};

use crate::address::{self, Known};
use crate::error::{Call, Error, Memory};
use crate::irp::{Notified, Observer, event_control};
use crate::irql::{AtPassiveLevel, at_passive_level};
use crate::memory::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use crate::memory::{Counted, Owned, Shared, Signalled, Uninit};
use crate::registration::transport::{TdiDevice, Transport};
use crate::system::pause;

/// The client's part of a registration: the structure that WSK points to, and the count that deregistering waits for. The event beside it
/// is set when the last capture has gone, and when a block was put off.
///
/// # Invariants
///
/// `count` is one for each capture, and one for the registration until that is being dropped. `put_off` heads a list of blocks that were
/// [put off](PutOff). Their owners have given them away.
pub(super) struct Client {
    registration: UnsafeCell<WSK_REGISTRATION>,
    count: AtomicUsize,
    put_off: AtomicPtr<PutOff>,
    /// Whether the client is deregistering. Lookups fail from then on.
    leaving: AtomicBool,
}

// SAFETY: it is memory that is bound to no thread.
unsafe impl Send for Client {}
// SAFETY: the registration structure belongs to WSK, which synchronises its own use of it; this side only passes its address. The rest is
// atomic.
unsafe impl Sync for Client {}

/// The callbacks of the client as a whole. No event of this kind is defined, so there is no callback.
static CLIENT_DISPATCH: WSK_CLIENT_DISPATCH = WSK_CLIENT_DISPATCH {
    Version: 0x0100,
    Reserved: 0,
    WskClientEvent: None,
};

/// A client that is registered with WSK, until it [deregisters](Self::deregister).
///
/// # Invariants
///
/// The client is registered until this is used for the last time.
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

    /// Captures the provider. Waits for it up to `wait` milliseconds.
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

    /// The versions that the provider supports.
    pub(super) fn characteristics(&self) -> Result<WSK_PROVIDER_CHARACTERISTICS, Error> {
        let mut told = WSK_PROVIDER_CHARACTERISTICS::default();
        let registration = self.client.registration.get();
        // SAFETY: by the invariant the client is registered; there is room for what is told.
        let status = unsafe { WskQueryProviderCharacteristics(registration, &raw mut told) };
        Call::WskQueryProviderCharacteristics.succeeded(status)?;
        Ok(told)
    }

    /// Waits until every capture has gone, and deregisters. Nothing else may be done with this afterwards.
    pub(super) fn deregister(&mut self, passive: AtPassiveLevel) {
        // Not every provider waits for the captures. And the addresses found for a name go back to WSK before their capture is released.
        self.wait_for_captures(passive);
        // SAFETY: by the invariant the client is registered, and waiting is allowed, as the proof says.
        unsafe { WskDeregister(self.client.registration.get()) };
    }

    /// Leaves the client registered for ever. Its memory stays, as WSK still uses it.
    pub(super) fn leave(&self) {
        core::mem::forget(self.client.clone());
    }

    /// Waits until every capture has gone. Frees the blocks that are put off meanwhile.
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
        // The thread that gave up the last capture may still use the client for a moment.
        while !Shared::is_unique(client) {
            pause(passive.may_wait(), Duration::from_micros(50));
        }
    }
}

impl Signalled<Client> {
    /// Counts off a capture, or the registration. The last of them wakes the thread that waits.
    fn one_less(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.event().set();
        }
    }
}

impl Client {
    /// Frees the blocks that were put off. IRQL: `PASSIVE_LEVEL`.
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

/// A kind of memory that WSK hands out by a pointer, for use on any thread, and takes back at `PASSIVE_LEVEL` only.
pub(crate) trait GoesBack: Send + Sync + Sized + 'static {
    /// The type that the pointer points to.
    type Given;

    /// Gives it back to WSK.
    fn give_back(capture: &Capture, given: Back<Self::Given>);
}

/// A pointer that WSK is about to take back.
///
/// # Invariants
///
/// WSK has handed the pointer out through the capture that this is used with, and has not taken it back. Nobody else uses it, and the IRQL
/// is `PASSIVE_LEVEL`.
pub(crate) struct Back<T>(NonNull<T>);

/// The place where WSK writes a pointer that it hands out. Beside it is the input of the request for it, if there is any.
///
/// # Invariants
///
/// `given` is null, or a pointer that WSK has handed out through the capture and has not taken back. WSK may write it while there are
/// shared references. This is dropped at `PASSIVE_LEVEL`, unless `given` is null.
pub(crate) struct PointerPlace<K: GoesBack> {
    /// An atomic of `core`, not of [`memory`](crate::memory): it has to be a plain pointer, because WSK writes it.
    given: core::sync::atomic::AtomicPtr<K::Given>,
    pub(super) beside: K,
    capture: Shared<Capture>,
}

impl<K: GoesBack> PointerPlace<K> {
    /// An empty place.
    pub(super) fn new(capture: &Shared<Capture>, beside: K) -> Self {
        // INVARIANT: null.
        Self {
            given: core::sync::atomic::AtomicPtr::new(core::ptr::null_mut()),
            beside,
            capture: capture.clone(),
        }
    }

    /// The address to which WSK, and nobody else, writes the pointer.
    pub(super) fn place(&self) -> NonNull<*mut K::Given> {
        NonNull::from(&self.given).cast()
    }

    /// The pointer, or null.
    pub(super) fn get(&self) -> *mut K::Given {
        self.given.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Empties the place. Comes after a request that has failed: what WSK has written then is no pointer.
    pub(super) fn clear(&self) {
        // INVARIANT: null.
        let none = core::ptr::null_mut();
        self.given
            .store(none, core::sync::atomic::Ordering::Relaxed);
    }
}

impl<K: GoesBack> Drop for PointerPlace<K> {
    fn drop(&mut self) {
        if let Some(given) = NonNull::new(self.get()) {
            // INVARIANT: that of this value, which is dropped.
            K::give_back(&self.capture, Back(given));
        }
    }
}

/// The header of a pool block that has to be freed at `PASSIVE_LEVEL`, and whose owner was dropped above that.
///
/// # Invariants
///
/// It is the header of a [`LateBlock`] of a type that `free` is for.
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
struct LateBlock<T> {
    put_off: PutOff,
    value: T,
}

/// A [`PointerPlace`] in nonpaged pool, which may be dropped at any IRQL up to `DISPATCH_LEVEL`. Dropped above `PASSIVE_LEVEL`, it gives the
/// pointer back later: at the next lookup of a name, or when the client deregisters.
///
/// # Invariants
///
/// `block` is there until this is dropped.
pub(crate) struct Late<K: GoesBack> {
    block: ManuallyDrop<Owned<LateBlock<PointerPlace<K>>>>,
}

impl<K: GoesBack> Late<K> {
    /// Moves a place into nonpaged pool, unless there is none.
    pub(super) fn new(place: PointerPlace<K>) -> Option<Self> {
        let room = Uninit::reserve()?;
        // INVARIANT: of the type of the block.
        let put_off = PutOff {
            next: core::ptr::null_mut(),
            free: free::<PointerPlace<K>>,
        };
        Some(Self {
            block: ManuallyDrop::new(room.fill(LateBlock {
                put_off,
                value: place,
            })),
        })
    }
}

impl<K: GoesBack> Deref for Late<K> {
    type Target = PointerPlace<K>;

    fn deref(&self) -> &PointerPlace<K> {
        &self.block.value
    }
}

impl<K: GoesBack> Drop for Late<K> {
    fn drop(&mut self) {
        // SAFETY: this is dropped, and the block used no more in it.
        let block = unsafe { ManuallyDrop::take(&mut self.block) };
        if block.value.get().is_null() || at_passive_level().is_ok() {
            // The memory is freed first. The value drops its capture last, and the driver may be unloaded then.
            drop(block.into_inner().value);
        } else {
            // The block may be freed as soon as it is put off, so another reference keeps the capture.
            let capture = Shared::clone(&block.value.capture);
            capture.put_off(block);
        }
    }
}

/// The list of addresses that WSK hands out for a name. The place has the hints beside it.
pub(crate) struct FoundAddresses {
    hints: ADDRINFOEXW,
}

// SAFETY: the hints are numbers. Their pointers are null.
unsafe impl Send for FoundAddresses {}
// SAFETY: as for `Send`.
unsafe impl Sync for FoundAddresses {}

impl FoundAddresses {
    /// The addresses for these hints, of which the numbers are used.
    pub(super) fn of(hints: ADDRINFOEXW) -> Self {
        // INVARIANT: the pointers are null.
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

    /// The address of the hints.
    pub(super) fn hints(&self) -> NonNull<ADDRINFOEXW> {
        NonNull::from(&self.hints)
    }
}

impl GoesBack for FoundAddresses {
    type Given = ADDRINFOEXW;

    fn give_back(capture: &Capture, given: Back<ADDRINFOEXW>) {
        if let Ok(table) = capture.dispatch() {
            // SAFETY: by the invariant the list is WSK's to take back, at this IRQL, once. A provider without the entry gave no list.
            let _ = unsafe { table.wsk_free_address_info(capture.client(), given.0) };
        }
    }
}

impl PointerPlace<FoundAddresses> {
    /// The addresses, in the order in which WSK gave them.
    pub(super) fn iter(&self) -> AddressesOf<'_> {
        // INVARIANT: the list stays as long as this.
        AddressesOf {
            next: self.get(),
            list: PhantomData,
        }
    }
}

/// Iterates over the IPv4 and IPv6 addresses of a list.
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
            // so many bytes, unless it has none.
            let address = unsafe {
                let info = self.next.as_ref()?;
                self.next = info.ai_next;
                if info.ai_addr.is_null() {
                    continue;
                }
                core::slice::from_raw_parts(info.ai_addr.cast::<u8>(), info.ai_addrlen)
            };
            if let Ok(address) = address::read_bytes(address) {
                return Some(address);
            }
        }
    }
}

/// An address that WSK gives, or none.
///
/// # Invariants
///
/// `place` is null, or a socket address, which is as long as its family says, valid for `'i`.
#[derive(Clone, Copy)]
pub(crate) struct Brought<'i> {
    place: *const SOCKADDR,
    address: PhantomData<&'i SOCKADDR>,
}

impl Brought<'_> {
    /// # Safety
    ///
    /// As the invariant asks.
    #[inline]
    pub(crate) const unsafe fn new(place: *const SOCKADDR) -> Self {
        // INVARIANT: the caller says so.
        Self {
            place,
            address: PhantomData,
        }
    }

    /// Reads it. Out of line: a result of this size is written to memory anyway.
    #[inline(never)]
    pub(crate) fn read(self) -> Result<SocketAddr, Error> {
        if self.place.is_null() {
            return Err(Error::UnknownAddress { family: 0 });
        }
        // SAFETY: by the invariant it is a socket address, which is as long as its family says.
        let known = unsafe {
            match (*self.place).sa_family {
                AF_INET => Known::V4(&*self.place.cast()),
                AF_INET6 => Known::V6(&*self.place.cast()),
                family => return Err(Error::UnknownAddress { family }),
            }
        };
        Ok(known.address())
    }
}

/// An operation on the client that takes no IRP.
pub(crate) enum ClientAtOnce<'a> {
    /// `WSK_TDI_BEHAVIOR`, to bypass TDI.
    BypassTdi,
    /// `WSK_TDI_DEVICENAME_MAPPING`.
    MapTdiDevices(&'static [TdiDevice]),
    /// `WSK_TRANSPORT_LIST_QUERY`. WSK writes the list to this room, and its size.
    Transports(&'a mut [Transport]),
    /// `WSK_CACHE_SD`. WSK writes a pointer to the cached descriptor to the place, which is of the same client.
    Cache(RawDescriptor, &'a PointerPlace<Cached>),
    /// `WSK_RELEASE_SD`.
    Release(Back<c_void>),
    /// `WSK_SET_STATIC_EVENT_CALLBACKS`.
    StaticEvents(StaticEvents),
    /// An operation that has no type here, with the room for its output. WSK writes the size of the output.
    Raw(RawClientControl<'a>, &'a mut [u8]),
}

/// A security descriptor (`SECURITY_DESCRIPTOR`) of the driver, absolute or self-relative.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # #[repr(C)]
/// # struct Absolute { revision: u8, zero: u8, control: u16, rest: [usize; 4] }
/// # // A descriptor that lets everybody: SE_DACL_PRESENT with a null list.
/// # let absolute = Absolute { revision: 1, zero: 0, control: 4, rest: [0; 4] };
/// # let place = core::ptr::NonNull::from(&absolute).cast();
/// use wsk::raw::RawDescriptor;
///
/// // SAFETY: the driver has built the descriptor with RtlCreateSecurityDescriptor and its kin, and changes it no more.
/// let descriptor = unsafe { RawDescriptor::new(place) };
/// let cached = provider.cache_security_descriptor(descriptor)?;
/// # drop((cached, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// As the contract of [`new`](Self::new) says.
#[doc(alias = "PSECURITY_DESCRIPTOR")]
#[derive(Debug)]
pub struct RawDescriptor(NonNull<c_void>);

impl RawDescriptor {
    /// The descriptor at this place.
    ///
    /// # Safety
    ///
    /// A valid security descriptor lies there, which nobody changes or frees as long as the result exists.
    #[must_use]
    pub const unsafe fn new(descriptor: NonNull<c_void>) -> Self {
        // INVARIANT: by the contract of this function.
        Self(descriptor)
    }
}

/// A mask of the events whose callbacks WSK enables on every socket of a client.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Milliseconds(10_000))?;
/// use wsk::raw::StaticEvents;
/// use wsk_sys::WSK_EVENT_RECEIVE_FROM;
///
/// // SAFETY: this driver makes all its sockets by `WskSocket` itself, with a table that has this callback.
/// let events = unsafe { StaticEvents::new(WSK_EVENT_RECEIVE_FROM) };
/// provider.enable_static_event_callbacks(events)?;
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// As the contract of [`new`](Self::new) says.
#[doc(alias = "WSK_EVENT_CALLBACK_CONTROL")]
#[derive(Debug, Clone, Copy)]
pub struct StaticEvents(u32);

impl StaticEvents {
    /// The mask. Its flags are [`WSK_EVENT_RECEIVE_FROM`](wsk_sys::WSK_EVENT_RECEIVE_FROM),
    /// [`WSK_EVENT_ACCEPT`](wsk_sys::WSK_EVENT_ACCEPT), [`WSK_EVENT_RECEIVE`](wsk_sys::WSK_EVENT_RECEIVE),
    /// [`WSK_EVENT_DISCONNECT`](wsk_sys::WSK_EVENT_DISCONNECT) and [`WSK_EVENT_SEND_BACKLOG`](wsk_sys::WSK_EVENT_SEND_BACKLOG).
    ///
    /// # Safety
    ///
    /// Of the client for which the events are enabled: of the kinds of sockets that have these events, none that this crate has made is
    /// there, and the driver makes every one without this crate from then on, with a table that has the callbacks. What this crate makes has
    /// no such callbacks, or counts on being able to disable them.
    #[must_use]
    pub const unsafe fn new(mask: u32) -> Self {
        // INVARIANT: by the contract of this function.
        Self(mask)
    }
}

/// An operation of `WskControlClient` that has no type in this crate, with its input. To be carried out once.
///
/// [`control_client_raw`](crate::Provider::control_client_raw) and
/// [`control_client_raw_request`](crate::Provider::control_client_raw_request) take it.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::raw::RawClientControl;
/// use wsk_sys::WSK_TRANSPORT_LIST_QUERY;
///
/// // SAFETY: it takes neither input nor an IRP, and writes the list of transports, as far as there is room.
/// let query = unsafe { RawClientControl::new(WSK_TRANSPORT_LIST_QUERY, &[]) };
/// let mut list = [0; 28 * 16];
/// assert!(provider.control_client_raw(query, &mut list)? > 0);
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// As the contract of [`new`](Self::new) says.
#[doc(alias = "WskControlClient")]
#[derive(Debug)]
pub struct RawClientControl<'b> {
    code: ClientCode,
    input: &'b [u8],
}

/// The code of a [`RawClientControl`].
///
/// # Invariants
///
/// The driver vouches for it, with the input that it comes with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientCode(u32);

impl<'b> RawClientControl<'b> {
    /// The operation with this code.
    ///
    /// # Safety
    ///
    /// The value is used once, for the client of the provider that it is given to. When that happens:
    ///
    /// * The input is what the operation asks for. It writes no more output than there is room for.
    /// * The IRQL is one at which the operation may be carried out.
    /// * If it takes an IRP, it completes that when it is cancelled, and the value is given to
    ///   [`control_client_raw_request`](crate::Provider::control_client_raw_request) only. If it takes none, to
    ///   [`control_client_raw`](crate::Provider::control_client_raw) only.
    /// * WSK touches, for this operation, no memory but the input, the output, and what pointers in the input lead to. The last stays
    ///   valid as long as the operation asks, and for ever when a request ends in [`Error::Abandoned`] or WSK keeps such a pointer.
    /// * A security descriptor that it caches or releases is none of a [`SecurityDescriptor`](crate::SecurityDescriptor).
    /// * Of event callbacks that it enables for every socket: what [`StaticEvents::new`] asks.
    #[must_use]
    pub const unsafe fn new(code: u32, input: &'b [u8]) -> Self {
        // INVARIANT: by the contract of this function.
        Self {
            code: ClientCode(code),
            input,
        }
    }

    /// The code, and the input that it comes with.
    pub(crate) const fn into_parts(self) -> (ClientCode, &'b [u8]) {
        (self.code, self.input)
    }
}

impl ClientCode {
    /// The number.
    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl ClientAtOnce<'_> {
    /// Carries out the operation for a client. WSK may write the size of its output to `size`.
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
            Self::Cache(RawDescriptor(of_driver), cached) => {
                descriptor = of_driver.as_ptr();
                let descriptor = bytes(NonNull::from(&descriptor));
                (WSK_CACHE_SD, Some(descriptor), Some(bytes(cached.place())))
            }
            Self::Release(Back(cached)) => {
                descriptor = cached.as_ptr();
                let descriptor = bytes(NonNull::from(&descriptor));
                (WSK_RELEASE_SD, Some(descriptor), None)
            }
            Self::StaticEvents(StaticEvents(mask)) => {
                events = event_control(mask);
                let events = bytes(NonNull::from(&events));
                (WSK_SET_STATIC_EVENT_CALLBACKS, Some(events), None)
            }
            Self::Raw(raw, output) => {
                let (code, input) = (raw.code.get(), raw.input);
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
        Call::WskControlClient.answered(&answer)
    }
}

/// A security descriptor that WSK has cached.
pub(crate) struct Cached;

impl GoesBack for Cached {
    type Given = c_void;

    fn give_back(capture: &Capture, given: Back<c_void>) {
        // Nobody can do anything about an error.
        let _ = ClientAtOnce::Release(given).carry_out(capture, &mut 0);
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
/// `put_off` begins a [`LateBlock`] of this type, which its owner gave away by its place.
unsafe fn free<T>(put_off: NonNull<PutOff>) {
    // SAFETY: the caller gives the block away.
    let block = unsafe { Owned::<LateBlock<T>>::from_raw(put_off.cast()) };
    drop(block.into_inner().value);
}

/// A capture of the provider NPI.
///
/// # Invariants
///
/// `npi` was captured from WSK. Its pointers are valid until `release` releases it.
pub struct Capture {
    npi: WSK_PROVIDER_NPI,
    ntddi: u32,
    release: ManuallyDrop<Release>,
}

/// Releases a capture when dropped. This must be dropped last: deregistering goes on from there, and the driver may be unloaded.
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

    /// WSK's handle of the client. Some providers have none.
    pub(crate) fn client(&self) -> Option<NonNull<c_void>> {
        NonNull::new(self.npi.Client.cast())
    }

    /// The provider's table.
    pub(crate) fn dispatch(&self) -> Result<WskProviderDispatch, DispatchError> {
        let table = NonNull::new(self.npi.Dispatch.cast_mut()).ok_or(DispatchError::Absent {
            entry: "WSK_PROVIDER_NPI::Dispatch",
        })?;
        // SAFETY: by the invariant the table is valid, as long as it is on this Windows, until the capture is released.
        Ok(unsafe { WskProviderDispatch::new(table, self.ntddi) })
    }

    /// Puts off a block, to be freed at `PASSIVE_LEVEL`: at the next [lookup](Self::before_look_up), or when the client deregisters. IRQL:
    /// `<= DISPATCH_LEVEL`. The caller holds another reference to the capture meanwhile.
    fn put_off<T>(&self, mut block: Owned<LateBlock<T>>) {
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

    /// Comes before a lookup by `call`. Frees the blocks that were put off.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`] above `PASSIVE_LEVEL`; `STATUS_DEVICE_NOT_READY` while the client deregisters, which waits for this capture.
    pub(crate) fn before_look_up(&self, call: Call) -> Result<(), Error> {
        // WSK's function needs this level.
        let passive = at_passive_level()?;
        let client = &self.release.client;
        client.free_put_off(passive);
        if client.leaving.load(Ordering::Relaxed) {
            // A thread that looks up names in a loop must not keep the driver for ever.
            let status = STATUS_DEVICE_NOT_READY;
            return Err(Error::Call { call, status });
        }
        Ok(())
    }

    /// The `NTDDI_VERSION` of the running Windows, or an older one with the same entries in its tables.
    pub(crate) fn ntddi(&self) -> u32 {
        self.ntddi
    }
}

/// An observer that keeps the capture until the completion routine has done everything else. The driver cannot be unloaded before, whatever
/// becomes of the operation and its handle.
#[inline]
pub(crate) fn hold(capture: &Shared<Capture>) -> Observer {
    /// Releases the reference, which may be done at any IRQL up to `DISPATCH_LEVEL`.
    struct KeepsLoaded;

    impl Notified<Capture> for KeepsLoaded {
        unsafe fn notified(capture: Shared<Capture>, _: NTSTATUS) {
            drop(capture);
        }
    }

    Observer::of::<KeepsLoaded, Capture>(Shared::clone(capture))
}

/// The `NTDDI_VERSION` that says which entries the dispatch tables of the running Windows have.
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
        wsk_sys::tables_of_build(version.dwBuildNumber)
    } else {
        // Only what every table has.
        0
    }
}
