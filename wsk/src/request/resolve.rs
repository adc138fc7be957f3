//! [`WskGetAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_address_info): the addresses
//! of a name are looked up.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::ptr::NonNull;

use wsk_sys::{
    ADDRINFOEXW, AF_INET, AF_INET6, AF_UNSPEC, AI_ADDRCONFIG, AI_NUMERICHOST, AI_PASSIVE, IPPROTO,
    NS_ALL, NTSTATUS, SOCK_DGRAM, SOCK_STREAM, STATUS_DEVICE_NOT_READY, STATUS_NOT_FOUND,
    UNICODE_STRING, WskProviderDispatch,
};

use crate::address::Family;
use crate::error::{Call, Error, Memory};
use crate::irp::{Arguments, Outcome, Places};
use crate::irql::at_passive_level;
use crate::memory;
use crate::memory::shared::Shared;
use crate::registration::{Capture, Provider};
use crate::request::address_info::AddressInfo;
use crate::request::sealed::Sealed;
use crate::request::submitted;
use crate::request::way::Ingredient;
use crate::request::way::Loan;
use crate::request::{Function, Operation, Own, Owning, Request, of_provider};

/// The request of [`resolve`](crate::Provider::resolve): the addresses of a name.
#[derive(Debug)]
pub struct Resolve<'n> {
    lookup: Lookup<'n>,
}

/// The operation of [`resolve`](crate::Provider::resolve), in the types of handles.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::operation::InFlight;
/// use wsk::request::{Looking, Resolving};
///
/// let resolving: InFlight<Resolving, Looking> = provider.resolve("localhost").start()?;
/// let found = resolving.wait().map_err(|(error, _)| error)??;
/// assert!(found.iter().next().is_some());
/// # drop((found, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct Resolving;

/// The parameters of `WskGetAddressInfo`.
#[derive(Clone, Copy)]
pub struct Parameters {
    table: WskProviderDispatch,
    client: Option<NonNull<c_void>>,
    name: Option<NonNull<UNICODE_STRING>>,
    name_space: u32,
    service: Option<NonNull<UNICODE_STRING>>,
    hints: NonNull<ADDRINFOEXW>,
    result: NonNull<*mut ADDRINFOEXW>,
}

pub(crate) fn resolve<'s, 'n>(
    provider: &'s Provider,
    lookup: Lookup<'n>,
) -> Request<'s, Resolve<'n>, Looking> {
    Request {
        target: provider,
        function: Resolve { lookup },
        carried: Looking { use_: None },
    }
}

/// A name to be looked up: that of a host, or an address in digits; perhaps with a service, and the kind of socket it is for.
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
    name: Text<'n>,
    service: Text<'n>,
    family: u16,
    datagrams: bool,
    flags: u32,
    name_space: u32,
}

/// A name or a service.
#[derive(Debug, Clone, Copy)]
enum Text<'n> {
    Utf8(&'n str),
    Utf16(&'n [u16]),
}

impl Text<'_> {
    /// Its UTF-16 units.
    fn units(self) -> impl Iterator<Item = u16> {
        let (text, units) = match self {
            Self::Utf8(text) => (text, &[][..]),
            Self::Utf16(units) => ("", units),
        };
        text.encode_utf16().chain(units.iter().copied())
    }
}

/// The most UTF-16 units that a name or a service can have.
const LONGEST: usize = 1024;

impl<'n> Lookup<'n> {
    /// The addresses of a host, of any family, for connections to port 0.
    #[must_use]
    pub const fn new(name: &'n str) -> Self {
        Self::of(Text::Utf8(name))
    }

    /// The same, of a name in UTF-16, as the kernel's strings have it.
    #[doc(alias = "UNICODE_STRING")]
    #[must_use]
    pub const fn utf16(name: &'n [u16]) -> Self {
        Self::of(Text::Utf16(name))
    }

    const fn of(name: Text<'n>) -> Self {
        Self {
            name,
            service: Text::Utf8(""),
            family: AF_UNSPEC,
            datagrams: false,
            flags: 0,
            name_space: NS_ALL,
        }
    }

    /// With the port of a service, by its name or number.
    #[must_use]
    pub const fn service(self, service: &'n str) -> Self {
        let service = Text::Utf8(service);
        Self { service, ..self }
    }

    /// The same, of a service in UTF-16.
    #[must_use]
    pub const fn service_utf16(self, service: &'n [u16]) -> Self {
        let service = Text::Utf16(service);
        Self { service, ..self }
    }

    /// Only an address in digits: nobody is asked for a name.
    #[doc(alias = "AI_NUMERICHOST")]
    #[must_use]
    pub const fn numeric(self) -> Self {
        self.flagged(AI_NUMERICHOST)
    }

    /// Addresses to bind a socket to: without a name, that of any interface.
    #[doc(alias = "AI_PASSIVE")]
    #[must_use]
    pub const fn to_bind(self) -> Self {
        self.flagged(AI_PASSIVE)
    }

    /// Only addresses of a family that this machine has an address of.
    #[doc(alias = "AI_ADDRCONFIG")]
    #[must_use]
    pub const fn only_configured(self) -> Self {
        self.flagged(AI_ADDRCONFIG)
    }

    /// Only in this name space (`NS_DNS`, say), instead of in all that there are.
    #[doc(alias("NS_ALL", "NS_DNS", "NS_NETBT"))]
    #[must_use]
    pub const fn name_space(self, name_space: u32) -> Self {
        Self { name_space, ..self }
    }

    const fn flagged(self, flag: u32) -> Self {
        Self {
            flags: self.flags | flag,
            ..self
        }
    }

    /// Only addresses that a socket of this family can use.
    #[must_use]
    pub const fn family(self, family: Family) -> Self {
        let family = match family {
            Family::V4 => AF_INET,
            Family::V6 => AF_INET6,
            Family::Dual => AF_UNSPEC,
            Family::Other(other) => other.number(),
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

/// The strings and the room for addresses that a lookup uses until it is over.
pub struct Looking {
    use_: Option<InUse>,
}

/// What WSK uses of a lookup.
struct InUse {
    _names: Names,
    name: UNICODE_STRING,
    service: UNICODE_STRING,
    hints: ADDRINFOEXW,
    /// Written by WSK, while what it lies in is only shared.
    result: UnsafeCell<*mut ADDRINFOEXW>,
    info: AddressInfo,
}

// SAFETY: the pointers are to the names, which are this value's own: memory that is bound to no thread.
unsafe impl Send for Looking {}
// SAFETY: through `&Looking` nothing is done.
unsafe impl Sync for Looking {}

impl fmt::Debug for Looking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looking").finish_non_exhaustive()
    }
}

impl Ingredient for Looking {}

impl InUse {
    fn new(capture: &Shared<Capture>, lookup: Lookup<'_>) -> Result<Self, Error> {
        let (name_length, service_length) = (length(lookup.name)?, length(lookup.service)?);
        let names = Names::new(name_length + service_length)?;
        let kind = if lookup.datagrams {
            (SOCK_DGRAM, IPPROTO::IPPROTO_UDP)
        } else {
            (SOCK_STREAM, IPPROTO::IPPROTO_TCP)
        };
        let hints = ADDRINFOEXW {
            ai_flags: lookup.flags.cast_signed(),
            ai_family: lookup.family.into(),
            ai_socktype: kind.0.into(),
            ai_protocol: kind.1.0,
            ..ADDRINFOEXW::default()
        };
        Ok(Self {
            name: names.write(0, lookup.name, name_length),
            service: names.write(name_length, lookup.service, service_length),
            _names: names,
            hints,
            result: UnsafeCell::new(core::ptr::null_mut()),
            info: AddressInfo::reserve(capture)?,
        })
    }
}

impl Sealed for Resolve<'_> {}

impl Function<Looking> for Resolve<'_> {
    type Operation = Resolving;

    fn put(
        self,
        provider: &Provider,
        lent: Loan<Looking>,
        _: &mut Arguments,
        _: Places,
    ) -> Result<Parameters, Error> {
        // The function itself is for this level.
        let passive = at_passive_level()?;
        let capture = provider.capture();
        capture.free_put_off(passive);
        if capture.is_leaving() {
            // Whoever looks up in a loop is not to keep the driver for ever.
            return Err(Error::Call {
                call: Call::WskGetAddressInfo,
                status: STATUS_DEVICE_NOT_READY,
            });
        }
        let name_space = self.lookup.name_space;
        let in_use = InUse::new(capture, self.lookup)?;
        // SAFETY: what is lent is there, stays where it is, and nobody else uses it. It is shared from here on, as it is with WSK.
        let in_use = unsafe {
            (*lent.place().as_ptr()).use_ = Some(in_use);
            &(*lent.place().as_ptr()).use_
        };
        let in_use = in_use.as_ref().ok_or(Error::Taken)?;
        Ok(Parameters {
            table: capture.dispatch()?,
            client: capture.client(),
            name: string(&in_use.name),
            name_space,
            service: string(&in_use.service),
            hints: NonNull::from(&in_use.hints),
            // SAFETY: the place of a cell is not null.
            result: unsafe { NonNull::new_unchecked(in_use.result.get()) },
        })
    }
}

impl Sealed for Resolving {}

// SAFETY: one call is made, whose parameters point at what is carried; client and table are the captured provider's.
unsafe impl Operation<Looking> for Resolving {
    type Way = Own;
    type Output = AddressInfo;
    type Parameters = Parameters;
    const CALL: Call = Call::WskGetAddressInfo;
    const CANCEL_ON_DROP: bool = true;
    type Run = Owning;

    of_provider!(Looking);

    // Names, hints and the place of the result are in what is carried.
    submitted!(Parameters: p => p.table.wsk_get_address_info(
        p.client, p.name, p.service, p.name_space, None, Some(p.hints), p.result, None, None
    ));

    unsafe fn read(
        outcome: Outcome,
        _: &mut Arguments,
        carried: &mut Looking,
    ) -> Result<AddressInfo, Error> {
        let call = Call::WskGetAddressInfo;
        outcome.check(call)?;
        let in_use = carried.use_.take().ok_or(Error::Taken)?;
        // The documentation has the status in `Information` too.
        #[allow(clippy::cast_possible_truncation)]
        let said = NTSTATUS((outcome.information as u32).cast_signed());
        let status = if said.is_error() {
            said
        } else {
            STATUS_NOT_FOUND
        };
        let list = NonNull::new(in_use.result.into_inner()).ok_or(Error::Call { call, status })?;
        let mut info = in_use.info;
        // SAFETY: WSK gave the list for this request, which is over, and it is taken over once.
        unsafe { info.take_over(list) };
        Ok(info)
    }

    /// Addresses that nobody takes go back to WSK.
    unsafe fn unread(outcome: Outcome, carried: &mut Looking) {
        if outcome.status.is_success() {
            // SAFETY: the caller gives what is carried; WSK gave the list, if there is one, for this request.
            unsafe {
                if let Some(in_use) = carried.use_.take()
                    && let Some(list) = NonNull::new(in_use.result.into_inner())
                {
                    let mut info = in_use.info;
                    info.take_over(list);
                }
            }
        }
    }
}

/// The place of a string that is not empty.
fn string(string: &UNICODE_STRING) -> Option<NonNull<UNICODE_STRING>> {
    (string.Length > 0).then(|| NonNull::from(string))
}

/// The UTF-16 units of a name with a zero behind, or 0 for none.
fn length(name: Text<'_>) -> Result<usize, Error> {
    let length = name.units().count();
    if length > LONGEST || name.units().any(|unit| unit == 0) {
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
    fn write(&self, start: usize, name: Text<'_>, room: usize) -> UNICODE_STRING {
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
            for (at, unit) in name.units().take(length).enumerate() {
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
