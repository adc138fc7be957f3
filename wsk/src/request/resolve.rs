//! [`WskGetAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_address_info): looks up
//! the addresses of a name.

use core::fmt;

use wsk_sys::{
    ADDRINFOEXW, AF_INET, AF_INET6, AF_UNSPEC, AI_ADDRCONFIG, AI_NUMERICHOST, AI_PASSIVE, IPPROTO,
    NS_ALL, NTSTATUS, SOCK_DGRAM, SOCK_STREAM, STATUS_NOT_FOUND,
};

use crate::address::Family;
use crate::buffer::carry::{Ingredient, Lending};
use crate::error::{Call, Error, Memory};
use crate::irp::{Arguments, Outcome, Places};
use crate::memory::Shared;
use crate::memory::unicode::UnicodeString;
use crate::registration::{AddressList, Capture, Provider};
use crate::request::address_info::AddressInfo;
use crate::request::sealed::Sealed;
use crate::request::{Function, Operation, Own, Owning, Request};
use crate::socket::calls::{AddressInfoCall, Bound, OfProvider};

/// The request of [`resolve`](crate::Provider::resolve): the addresses of a name.
#[derive(Debug)]
pub struct Resolve<'n> {
    lookup: Lookup<'n>,
}

/// The operation of [`resolve`](crate::Provider::resolve), which the types of handles name.
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

/// A lookup: the name of a host, or an address in digits, with hints such as a service and the kind of socket.
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
    /// A lookup of the addresses of a host, of any family, for connections, with port 0.
    #[must_use]
    pub const fn new(name: &'n str) -> Self {
        Self::of(Text::Utf8(name))
    }

    /// As [`new`](Self::new), with a name in UTF-16, as in the strings of the kernel.
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

    /// Adds a service, by its name or number: the addresses have its port.
    #[must_use]
    pub const fn service(self, service: &'n str) -> Self {
        let service = Text::Utf8(service);
        Self { service, ..self }
    }

    /// As [`service`](Self::service), in UTF-16.
    #[must_use]
    pub const fn service_utf16(self, service: &'n [u16]) -> Self {
        let service = Text::Utf16(service);
        Self { service, ..self }
    }

    /// Accepts only an address in digits, so that no name server is asked (`AI_NUMERICHOST`).
    #[doc(alias = "AI_NUMERICHOST")]
    #[must_use]
    pub const fn numeric(self) -> Self {
        self.flagged(AI_NUMERICHOST)
    }

    /// Gives addresses to bind a socket to; without a name, the unspecified one (`AI_PASSIVE`).
    #[doc(alias = "AI_PASSIVE")]
    #[must_use]
    pub const fn to_bind(self) -> Self {
        self.flagged(AI_PASSIVE)
    }

    /// Gives only addresses of families that this machine has an address of (`AI_ADDRCONFIG`).
    #[doc(alias = "AI_ADDRCONFIG")]
    #[must_use]
    pub const fn only_configured(self) -> Self {
        self.flagged(AI_ADDRCONFIG)
    }

    /// Searches only this name space, such as `NS_DNS`, instead of all.
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

    /// Gives only addresses that a socket of this family can use.
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

    /// Gives addresses for datagram sockets.
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

/// The memory that WSK uses during a lookup.
struct InUse {
    name: Option<UnicodeString>,
    service: Option<UnicodeString>,
    list: AddressList,
}

impl fmt::Debug for Looking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looking").finish_non_exhaustive()
    }
}

impl Ingredient for Looking {}

impl InUse {
    fn new(capture: &Shared<Capture>, lookup: Lookup<'_>) -> Result<Self, Error> {
        let lengths = (length(lookup.name)?, length(lookup.service)?);
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
            name: copy(lookup.name, lengths.0)?,
            service: copy(lookup.service, lengths.1)?,
            list: AddressList::reserve(capture, hints)?,
        })
    }
}

impl Sealed for Resolve<'_> {}

impl Function<Looking> for Resolve<'_> {
    type Operation = Resolving;

    fn put<'x>(
        self,
        provider: &'x Provider,
        mut lent: Lending<'x, Looking>,
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Bound<'x, AddressInfoCall>, Error> {
        let capture = provider.capture();
        capture.before_look_up(Call::WskGetAddressInfo)?;
        let name_space = self.lookup.name_space;
        lent.use_ = Some(InUse::new(capture, self.lookup)?);
        let in_use = lent.lend();
        let in_use = in_use.try_part(|looking| looking.use_.as_ref().ok_or(Error::Taken))?;
        let name = in_use.try_part(|in_use| in_use.name.as_ref().ok_or(()));
        let service = in_use.try_part(|in_use| in_use.service.as_ref().ok_or(()));
        let list = in_use.part(|in_use| &in_use.list);
        AddressInfoCall::new(provider, name.ok(), name_space, service.ok(), list)
    }
}

impl Sealed for Resolving {}

impl Operation<Looking> for Resolving {
    type Way = Own;
    type Output = AddressInfo;
    type Asked = OfProvider;
    type Parameters = AddressInfoCall;
    const CALL: Call = Call::WskGetAddressInfo;
    const CANCEL_ON_DROP: bool = true;
    type Run = Owning;

    fn read(
        outcome: Outcome,
        _: &mut Arguments,
        carried: &mut Looking,
    ) -> Result<AddressInfo, Error> {
        let call = Call::WskGetAddressInfo;
        carried.clear_unless_given(outcome);
        outcome.check(call)?;
        let list = carried.use_.take().ok_or(Error::Taken)?.list;
        // According to the documentation, the status is also in `Information`.
        #[allow(clippy::cast_possible_truncation)]
        let said = NTSTATUS((outcome.information as u32).cast_signed());
        let status = if said.is_error() {
            said
        } else {
            STATUS_NOT_FOUND
        };
        if list.is_empty() {
            return Err(Error::Call { call, status });
        }
        Ok(AddressInfo { list })
    }

    /// If nobody takes the addresses, they return to WSK with the carried memory.
    fn unread(outcome: Outcome, carried: &mut Looking) {
        carried.clear_unless_given(outcome);
    }
}

impl Looking {
    /// Clears the list unless the request succeeded: after a failure its contents mean nothing.
    fn clear_unless_given(&mut self, outcome: Outcome) {
        if let Some(in_use) = &mut self.use_
            && !outcome.status.is_success()
        {
            in_use.list.clear();
        }
    }
}

/// A copy of a name of `length` units with a terminating zero. `None` for an empty name.
fn copy(name: Text<'_>, length: u16) -> Result<Option<UnicodeString>, Error> {
    if length == 0 {
        return Ok(None);
    }
    let copy = UnicodeString::copy_of(name.units(), length);
    copy.map(Some).ok_or(Error::NoMemory(Memory::Buffer))
}

/// The number of UTF-16 units in a name.
fn length(name: Text<'_>) -> Result<u16, Error> {
    let length = name.units().count();
    match u16::try_from(length) {
        Ok(units) if length <= LONGEST && name.units().all(|unit| unit != 0) => Ok(units),
        _ => Err(Error::BadName { length }),
    }
}
