//! Name resolution: the addresses of a host's name, by `WskGetAddressInfo`, and their release by `WskFreeAddressInfo`.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::net::SocketAddr;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use core::time::Duration;

use wsk_sys::{
    ADDRINFOEXW, AF_INET, AF_INET6, AF_UNSPEC, EVENT_TYPE, IO_NO_INCREMENT, IPPROTO, KEVENT,
    KWAIT_REASON, KeInitializeEvent, KeSetEvent, KeWaitForSingleObject, NTSTATUS, SOCK_DGRAM,
    SOCK_STREAM, SOCKADDR, STATUS_DEVICE_NOT_READY, STATUS_NOT_FOUND, UNICODE_STRING,
};

use crate::address::{self, Family};
use crate::error::{Call, Error, Memory};
use crate::in_flight::{InFlight, Operation, sealed};
use crate::irql::require_passive;
use crate::memory;
use crate::operation::{Arguments, Idle, KERNEL_MODE, Outcome, Payload};
use crate::registration::{Capture, Provider};
use crate::shared::Shared;
use crate::socket::hold;

/// What is looked up: the name of a host, or an address in digits; perhaps with a service, and the kind of socket it is for.
///
/// ```
/// use wsk::{Family, Lookup};
///
/// let web = Lookup::new("example.org").service("80");
/// let time = Lookup::new("192.0.2.1").service("ntp").family(Family::V4).for_datagrams();
/// # let _ = (web, time);
/// ```
#[doc(alias = "ADDRINFOEXW")]
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'n> {
    name: &'n str,
    service: &'n str,
    family: u16,
    datagrams: bool,
}

/// The most UTF-16 units that a name or a service can have.
const LONGEST: usize = 1024;

impl<'n> Lookup<'n> {
    /// The addresses of a host, of any family, for connections to port 0.
    #[must_use]
    pub const fn new(name: &'n str) -> Self {
        Self {
            name,
            service: "",
            family: AF_UNSPEC,
            datagrams: false,
        }
    }

    /// With the port of a service, by its name or number.
    #[must_use]
    pub const fn service(self, service: &'n str) -> Self {
        Self { service, ..self }
    }

    /// Only addresses that a socket of this family can use.
    #[must_use]
    pub const fn family(self, family: Family) -> Self {
        let family = match family {
            Family::V4 => AF_INET,
            Family::V6 => AF_INET6,
            Family::Dual => AF_UNSPEC,
        };
        Self { family, ..self }
    }

    /// For datagram sockets.
    #[must_use]
    pub const fn for_datagrams(self) -> Self {
        Self {
            datagrams: true,
            ..self
        }
    }
}

impl<'n> From<&'n str> for Lookup<'n> {
    fn from(name: &'n str) -> Self {
        Self::new(name)
    }
}

/// A name and a service.
impl<'n> From<(&'n str, &'n str)> for Lookup<'n> {
    fn from((name, service): (&'n str, &'n str)) -> Self {
        Self::new(name).service(service)
    }
}

/// A name being looked up.
pub type Resolve = InFlight<Resolving>;

impl Provider {
    /// Looks up the addresses of a name, and waits for them. IRQL: `PASSIVE_LEVEL`.
    ///
    /// Allocates an operation, and room for the name.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// let found = provider.resolve(("localhost", "80"))?;
    /// for address in &found {
    ///     assert!(address.ip().is_loopback());
    ///     assert_eq!(address.port(), 80);
    /// }
    /// # assert!(found.iter().count() > 0);
    /// # drop((found, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskGetAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_address_info).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], [`Error::BadName`], or what WSK says, such as `STATUS_NO_MATCH` or
    /// `STATUS_NOT_FOUND` for a name that is unknown. `STATUS_DEVICE_NOT_READY` when the
    /// [`Registration`](crate::Registration) is being dropped.
    #[doc(alias = "WskGetAddressInfo")]
    pub fn resolve<'n>(&self, lookup: impl Into<Lookup<'n>>) -> Result<AddressInfo, Error> {
        match self.start_resolve(lookup)?.wait() {
            Ok(result) => result,
            Err((error, _)) => Err(error),
        }
    }

    /// [`resolve`](Self::resolve), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// Not every provider can give up looking: a cancelled request is not waited for. It goes on by itself, with all that it
    /// uses, and dropping the [`Registration`](crate::Registration) waits for it.
    ///
    /// # Errors
    ///
    /// Besides those of `resolve`, [`Error::TimedOut`].
    #[doc(alias = "WskGetAddressInfo")]
    pub fn resolve_timeout<'n>(
        &self,
        lookup: impl Into<Lookup<'n>>,
        limit: Duration,
    ) -> Result<AddressInfo, Error> {
        match self.start_resolve(lookup)?.wait_timeout(limit) {
            Ok(result) => result,
            // Dropping the operation cancels it.
            Err((error, _)) => Err(error),
        }
    }

    /// Starts to look up the addresses of a name, without waiting. IRQL: `PASSIVE_LEVEL`. Allocates what
    /// [`resolve`](Self::resolve) does.
    ///
    /// The operation is a future, and can be waited for, polled, cancelled, dropped or forgotten. Dropping it cancels it.
    ///
    /// [`WskGetAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_address_info).
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve) that are found before WSK has taken the request.
    #[doc(alias = "WskGetAddressInfo")]
    pub fn start_resolve<'n>(&self, lookup: impl Into<Lookup<'n>>) -> Result<Resolve, Error> {
        require_passive()?;
        let capture = self.capture();
        capture.lookups().free_all();
        let (client, table) = (capture.client()?, capture.dispatch()?);
        let payload = Looking::new(capture, lookup.into())?;
        let operation = Idle::new()?;
        // SAFETY: the client and table are the captured provider's. What the parameters point at is in the payload, where it
        // stays until the request is over, and in the block of names that the payload owns.
        let started = unsafe {
            operation.start(payload, Some(hold(capture)), |irp, _, payload| {
                let places = Looking::places(payload);
                Ok(table.wsk_get_address_info(
                    client,
                    places.name,
                    places.service,
                    wsk_sys::NS_ALL,
                    None,
                    Some(places.hints),
                    places.result,
                    None,
                    None,
                    irp,
                )?)
            })
        };
        match started {
            Ok(flight) => {
                if flight.returned().is_error() && !flight.is_completed() {
                    // It may never complete, against the provider's contract: nobody waits for it.
                    // SAFETY: the flight is held here, so nobody takes its payload, of which the provider knows this part not.
                    unsafe { Looking::write_off(flight.payload()) };
                }
                Ok(InFlight::started(flight))
            }
            Err(refused) => Err(refused.error),
        }
    }
}

/// [`Resolve`] as an [`Operation`].
#[derive(Debug)]
pub struct Resolving(());

impl sealed::Sealed for Resolving {}

impl Operation for Resolving {
    type Output = Result<AddressInfo, Error>;
    type Payload = Looking;
    const CALL: Call = Call::WskGetAddressInfo;
    const CANCEL_ON_DROP: bool = true;

    fn end(payload: Looking, call: Call, outcome: Outcome, _: &Arguments) -> Self::Output {
        let mut payload = payload;
        outcome.check(call)?;
        // The documentation has the status in `Information` too.
        #[allow(clippy::cast_possible_truncation)]
        let said = NTSTATUS((outcome.information as u32).cast_signed());
        let status = if said.is_error() {
            said
        } else {
            STATUS_NOT_FOUND
        };
        payload.found().ok_or(Error::Call { call, status })
    }

    fn lost(error: Error) -> Self::Output {
        Err(error)
    }
}

/// What a request to look a name up uses until it is over.
pub struct Looking {
    names: Names,
    name: UNICODE_STRING,
    service: UNICODE_STRING,
    hints: ADDRINFOEXW,
    result: *mut ADDRINFOEXW,
    /// Whether `result` is a list that WSK has given.
    given: bool,
    info: Option<AddressInfo>,
}

// SAFETY: the pointers are to the names, which are this value's own, and to a list that it alone has of WSK: memory that is bound to
// no thread.
unsafe impl Send for Looking {}

/// What `WskGetAddressInfo` gets of a payload.
struct LookupPlaces {
    name: Option<NonNull<UNICODE_STRING>>,
    service: Option<NonNull<UNICODE_STRING>>,
    hints: NonNull<ADDRINFOEXW>,
    result: NonNull<*mut ADDRINFOEXW>,
}

impl Looking {
    fn new(capture: &Shared<Capture>, lookup: Lookup<'_>) -> Result<Self, Error> {
        let (name_length, service_length) = (length(lookup.name)?, length(lookup.service)?);
        let names = Names::new(name_length + service_length)?;
        let kind = if lookup.datagrams {
            (SOCK_DGRAM, IPPROTO::IPPROTO_UDP)
        } else {
            (SOCK_STREAM, IPPROTO::IPPROTO_TCP)
        };
        let hints = ADDRINFOEXW {
            ai_family: lookup.family.into(),
            ai_socktype: kind.0.into(),
            ai_protocol: kind.1.0,
            ..ADDRINFOEXW::default()
        };
        Ok(Self {
            name: names.write(0, lookup.name, name_length),
            service: names.write(name_length, lookup.service, service_length),
            names,
            hints,
            result: core::ptr::null_mut(),
            given: false,
            info: Some(AddressInfo::reserve(capture)?),
        })
    }

    /// # Safety
    ///
    /// `this` is where the payload stays until the request is over, and nothing else uses it yet.
    unsafe fn places(this: NonNull<Self>) -> LookupPlaces {
        let this = this.as_ptr();
        // SAFETY: the caller gives the payload, of which the addresses of members are taken, and lengths read.
        unsafe {
            LookupPlaces {
                name: string(&raw mut (*this).name),
                service: string(&raw mut (*this).service),
                hints: NonNull::new_unchecked(&raw mut (*this).hints),
                result: NonNull::new_unchecked(&raw mut (*this).result),
            }
        }
    }

    /// Takes the room for what is found from the count of those that are waited for.
    ///
    /// # Safety
    ///
    /// `this` is a payload in flight that nobody takes meanwhile.
    unsafe fn write_off(this: NonNull<Self>) {
        // SAFETY: the caller gives the payload; only this part is borrowed, which the provider does not know.
        if let Some(info) = unsafe { &mut (*this.as_ptr()).info } {
            // SAFETY: by the invariant of `AddressInfo` the block is its own, which is borrowed exclusively.
            let found = unsafe { &mut *info.block.as_ptr() };
            found.counted = false;
            found.capture.lookups().one_less();
        }
    }

    /// What the completed request has found.
    fn found(&mut self) -> Option<AddressInfo> {
        let list = NonNull::new(self.result).filter(|_| self.given)?;
        self.given = false;
        let mut info = self.info.take()?;
        // SAFETY: WSK gave the list, for the request that this was the payload of, and it is taken from here once.
        unsafe { info.take_over(list) };
        Some(info)
    }
}

impl Payload for Looking {
    unsafe fn settle(this: NonNull<Self>, outcome: Option<Outcome>, _: &Arguments) {
        let given = outcome.is_some_and(|outcome| outcome.status.is_success());
        // SAFETY: the caller gives the payload.
        unsafe { (*this.as_ptr()).given = given };
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        drop(self.found());
    }
}

impl fmt::Debug for Looking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looking")
            .field("units", &self.names.units)
            .finish_non_exhaustive()
    }
}

/// # Safety
///
/// `place` is that of an initialised string.
unsafe fn string(place: *mut UNICODE_STRING) -> Option<NonNull<UNICODE_STRING>> {
    // SAFETY: the caller's place may be read, and so is not null.
    unsafe { ((*place).Length > 0).then(|| NonNull::new_unchecked(place)) }
}

/// The UTF-16 units of a name with a zero behind, or 0 for none.
fn length(name: &str) -> Result<usize, Error> {
    let length = name.encode_utf16().count();
    if length > LONGEST || name.contains('\0') {
        return Err(Error::BadName { length });
    }
    Ok(if length == 0 { 0 } else { length + 1 })
}

/// Room for names, in nonpaged pool.
///
/// # Invariants
///
/// A pool block of `units` 16-bit units, unless there are none.
struct Names {
    block: NonNull<u16>,
    units: usize,
}

impl Names {
    fn new(units: usize) -> Result<Self, Error> {
        if units == 0 {
            return Ok(Self {
                block: NonNull::dangling(),
                units,
            });
        }
        let block = Layout::array::<u16>(units)
            .ok()
            .and_then(memory::allocate)
            .ok_or(Error::NoMemory(Memory::Buffer))?
            .cast::<u16>();
        // SAFETY: the block has just been allocated for so many.
        unsafe { block.write_bytes(0, units) };
        Ok(Self { block, units })
    }

    /// Writes a name, and a zero, to `room` units from `start` on.
    fn write(&self, start: usize, name: &str, room: usize) -> UNICODE_STRING {
        let room = room.min(self.units.saturating_sub(start));
        let Some(length) = room.checked_sub(1) else {
            return UNICODE_STRING {
                Length: 0,
                MaximumLength: 0,
                Buffer: core::ptr::null_mut(),
            };
        };
        // SAFETY: `room` units from `start` on are inside the block, which is this value's own.
        let first = unsafe {
            let first = self.block.add(start);
            for (at, unit) in name.encode_utf16().take(length).enumerate() {
                first.add(at).write(unit);
            }
            first
        };
        // No more than `LONGEST`.
        #[allow(clippy::cast_possible_truncation)]
        UNICODE_STRING {
            Length: (length * size_of::<u16>()) as u16,
            MaximumLength: (room * size_of::<u16>()) as u16,
            Buffer: first.as_ptr(),
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if self.units > 0 {
            // SAFETY: by the invariant the block came from `allocate`, and is freed once.
            unsafe { memory::free(self.block.cast()) };
        }
    }
}

/// The addresses that a name has.
///
/// May be dropped at any IRQL up to `DISPATCH_LEVEL`. WSK takes them back at `PASSIVE_LEVEL` only: dropped above that, they are
/// given back when the next name is looked up, or the [`Registration`](crate::Registration) is dropped, which waits for all of
/// them.
///
/// [`WskFreeAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_free_address_info).
///
/// # Invariants
///
/// `block` is a pool block that nobody else has, initialised and, if it says so, counted among the lookups of its capture.
#[doc(alias("WskFreeAddressInfo", "ADDRINFOEXW"))]
pub struct AddressInfo {
    block: NonNull<Found>,
}

/// # Invariants
///
/// `list` is null, or a list that WSK gave through the capture and has not taken back.
struct Found {
    list: *mut ADDRINFOEXW,
    capture: ManuallyDrop<Shared<Capture>>,
    /// Whether it is one of those that are waited for.
    counted: bool,
    /// Another one that waits to be given back.
    next: *mut Found,
}

// SAFETY: block and list are memory that this value alone has, bound to no thread; WSK takes the list back on any.
unsafe impl Send for AddressInfo {}
// SAFETY: through `&AddressInfo` block and list are only read.
unsafe impl Sync for AddressInfo {}

impl AddressInfo {
    /// Room for addresses, none yet.
    fn reserve(capture: &Shared<Capture>) -> Result<Self, Error> {
        let memory = memory::allocate(Layout::new::<Found>());
        let memory = memory.ok_or(Error::NoMemory(Memory::Buffer))?;
        if !capture.lookups().one_more() {
            // SAFETY: it was just allocated, and nothing is in it.
            unsafe { memory::free(memory) };
            return Err(Error::Call {
                call: Call::WskGetAddressInfo,
                status: STATUS_DEVICE_NOT_READY,
            });
        }
        let block = memory.cast();
        let found = Found {
            list: core::ptr::null_mut(),
            capture: ManuallyDrop::new(capture.clone()),
            counted: true,
            next: core::ptr::null_mut(),
        };
        // SAFETY: freshly allocated with that layout.
        unsafe { block.write(found) };
        // INVARIANT: initialised, ours alone, and counted.
        Ok(Self { block })
    }

    /// Takes over the list that a lookup has given.
    ///
    /// # Safety
    ///
    /// It is a list of `WskGetAddressInfo` of the same client, which nobody else frees, and there is none here yet.
    unsafe fn take_over(&mut self, list: NonNull<ADDRINFOEXW>) {
        // SAFETY: by the invariant the block is ours; the caller gives the list away.
        unsafe { (*self.block.as_ptr()).list = list.as_ptr() };
    }

    /// The addresses, in the order in which WSK advises to try them. Those that are neither IPv4 nor IPv6 are left out.
    #[must_use]
    pub fn iter(&self) -> Addresses<'_> {
        // SAFETY: by the invariant the block is ours.
        let next = unsafe { (*self.block.as_ptr()).list };
        // INVARIANT: the list stays as long as this.
        Addresses {
            next,
            info: PhantomData,
        }
    }
}

impl<'i> IntoIterator for &'i AddressInfo {
    type Item = SocketAddr;
    type IntoIter = Addresses<'i>;

    fn into_iter(self) -> Addresses<'i> {
        self.iter()
    }
}

impl Drop for AddressInfo {
    fn drop(&mut self) {
        // SAFETY: by the invariant the block is ours, and is given away once.
        unsafe {
            if (*self.block.as_ptr()).list.is_null() || require_passive().is_ok() {
                free(self.block);
            } else {
                let capture = &(*self.block.as_ptr()).capture;
                // The block, which the lookups get, may be freed at once, and the capture with it.
                let capture = Shared::clone(capture);
                capture.lookups().put_off(self.block);
            }
        }
    }
}

impl fmt::Debug for AddressInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Gives a list back, if there is one, and frees its block. IRQL: `PASSIVE_LEVEL` with a list, else `<= DISPATCH_LEVEL`.
///
/// # Safety
///
/// The block is the caller's, initialised and, if it says so, counted among the lookups of its capture.
unsafe fn free(block: NonNull<Found>) {
    // SAFETY: the caller gives the block away; by its invariant the list is WSK's to take back, once.
    let (capture, counted) = unsafe {
        let found = block.read();
        memory::free(block.cast());
        let capture = ManuallyDrop::into_inner(found.capture);
        if let (Some(list), Ok(client), Ok(table)) = (
            NonNull::new(found.list),
            capture.client(),
            capture.dispatch(),
        ) {
            // A provider without the entry gave no list.
            let _ = table.wsk_free_address_info(client, list);
        }
        (capture, found.counted)
    };
    if counted {
        capture.lookups().one_less();
    }
}

/// Iterates over the addresses of a name.
///
/// # Invariants
///
/// `next` is null, or a list that is valid for `'i`.
#[derive(Debug, Clone)]
pub struct Addresses<'i> {
    next: *const ADDRINFOEXW,
    info: PhantomData<&'i AddressInfo>,
}

impl Iterator for Addresses<'_> {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        loop {
            // SAFETY: by the invariant it is null, or an entry of a list that is valid for `'i`.
            let info = unsafe { self.next.as_ref() }?;
            self.next = info.ai_next;
            if info.ai_addr.is_null() || info.ai_addrlen < size_of::<SOCKADDR>() {
                continue;
            }
            // SAFETY: an entry of a list that WSK gave has an address of so many bytes, which begins with its family.
            let family = unsafe { (*info.ai_addr).sa_family };
            if address::size_of_family(family).is_ok_and(|size| size <= info.ai_addrlen)
                // SAFETY: there are at least as many bytes as the address's family says.
                && let Ok(address) = unsafe { address::read_raw(info.ai_addr) }
            {
                return Some(address);
            }
        }
    }
}

impl core::iter::FusedIterator for Addresses<'_> {}

/// The requests to look a name up, and the addresses found, that a registration has out.
///
/// # Invariants
///
/// `put_off` heads a list of blocks that were given away at a higher IRQL than they may be freed at. `count` is the number of
/// counted blocks, there and elsewhere, or [`ENDED`](Self::ENDED), after which there are none.
pub(crate) struct Lookups {
    count: AtomicUsize,
    put_off: AtomicPtr<Found>,
    /// Set when the last is gone, or one is put off.
    event: UnsafeCell<KEVENT>,
}

impl Lookups {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            put_off: AtomicPtr::new(core::ptr::null_mut()),
            event: UnsafeCell::new(KEVENT::default()),
        }
    }

    /// Makes the event ready for use.
    ///
    /// # Safety
    ///
    /// `self` is in nonpaged memory and does not move any more; nobody uses it yet.
    pub(crate) unsafe fn initialise(&self) {
        // SAFETY: the caller says that the memory is nonpaged and stays, and that nobody uses the event yet.
        unsafe { KeInitializeEvent(self.event.get(), EVENT_TYPE::SynchronizationEvent, 0) };
    }

    /// Takes a block that cannot be freed here. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// As for [`free`], at `PASSIVE_LEVEL`.
    unsafe fn put_off(&self, block: NonNull<Found>) {
        let mut head = self.put_off.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller gives the block away, and nobody else has it before it is in the list.
            unsafe { (*block.as_ptr()).next = head };
            match self.put_off.compare_exchange_weak(
                head,
                block.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        self.announce();
    }

    /// Instead of a count: nobody frees what would be put off from now on.
    const ENDED: usize = usize::MAX;

    /// Counts one block more; `false` when the driver is deregistering and has seen the last of them.
    #[must_use]
    fn one_more(&self) -> bool {
        let more = |count| (count != Self::ENDED).then(|| count + 1);
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    /// One block is no more.
    fn one_less(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.announce();
        }
    }

    fn announce(&self) {
        // SAFETY: lookups are those of a client, which are initialised before there is a capture of it, and lie in nonpaged memory
        // that the caller's capture keeps.
        unsafe { KeSetEvent(self.event.get(), IO_NO_INCREMENT.into(), 0) };
    }

    /// Frees what was put off. IRQL: `PASSIVE_LEVEL`.
    pub(crate) fn free_all(&self) {
        let head = self.put_off.swap(core::ptr::null_mut(), Ordering::Acquire);
        let mut next = NonNull::new(head);
        while let Some(block) = next {
            // SAFETY: by the invariant the blocks of the list were given away; they were taken out, so each is freed once.
            unsafe {
                next = NonNull::new((*block.as_ptr()).next);
                free(block);
            }
        }
    }

    /// Waits until there is nothing more, and frees what is put off meanwhile; after that there is nothing for ever. IRQL:
    /// `PASSIVE_LEVEL`.
    pub(crate) fn finish(&self) {
        loop {
            self.free_all();
            let ended =
                self.count
                    .compare_exchange(0, Self::ENDED, Ordering::Acquire, Ordering::Relaxed);
            if ended.is_ok() {
                return;
            }
            // SAFETY: lookups are those of a registered client, so the event is initialised and in nonpaged memory, which the
            // registration keeps. It is dropped at PASSIVE_LEVEL only.
            let _ = unsafe {
                let event = self.event.get().cast();
                let forever = core::ptr::null_mut();
                KeWaitForSingleObject(event, KWAIT_REASON::Executive, KERNEL_MODE, 0, forever)
            };
        }
    }
}
