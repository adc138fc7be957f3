//! [`WskGetNameInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_name_info): looks up the
//! names of an address.

use core::fmt;
use core::net::SocketAddr;

use wsk_sys::{NI_DGRAM, NI_MAXHOST, NI_MAXSERV, NI_NAMEREQD, NI_NUMERICHOST, NI_NUMERICSERV};

use crate::address::{Family, UnknownFamily};
use crate::buffer::carry::{Ingredient, Lending};
use crate::error::{Call, Error, Memory};
use crate::irp::{Arguments, Outcome, Places};
use crate::memory::Shared;
use crate::memory::unicode::UnicodeString;
use crate::registration::{Capture, Provider};
use crate::request::sealed::Sealed;
use crate::request::{Function, Operation, Own, Owning, Request};
use crate::socket::calls::{Bound, NameInfoCall, OfProvider};

/// The request of [`name_of`](crate::Provider::name_of): the names of an address.
#[derive(Debug)]
pub struct NameOf {
    address: Result<SocketAddr, UnknownFamily>,
    flags: u32,
}

/// The operation of [`name_of`](crate::Provider::name_of), which the types of handles name.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::operation::InFlight;
/// use wsk::request::{GettingName, NameRoom};
///
/// let getting: InFlight<GettingName, NameRoom> = provider.name_of(([127, 0, 0, 1], 80)).numeric().start()?;
/// let names = getting.wait().map_err(|(error, _)| error)??;
/// assert_eq!(names.to_string(), "127.0.0.1:80");
/// # drop((names, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct GettingName;

pub(crate) fn name_of(
    provider: &Provider,
    address: Result<SocketAddr, UnknownFamily>,
) -> Request<'_, NameOf, NameRoom> {
    Request {
        target: provider,
        function: NameOf { address, flags: 0 },
        carried: NameRoom {
            names: None,
            _capture: provider.capture().clone(),
        },
    }
}

impl Request<'_, NameOf, NameRoom> {
    fn flagged(self, flag: u32) -> Self {
        let NameOf { address, flags } = self.function;
        let flags = flags | flag;
        Self {
            function: NameOf { address, flags },
            ..self
        }
    }

    /// Gives both in digits, so that no name server is asked (`NI_NUMERICHOST`, `NI_NUMERICSERV`).
    #[doc(alias("NI_NUMERICHOST", "NI_NUMERICSERV"))]
    pub fn numeric(self) -> Self {
        self.flagged(NI_NUMERICHOST | NI_NUMERICSERV)
    }

    /// Makes an address without a name an error (`NI_NAMEREQD`). By default it is given in digits.
    #[doc(alias = "NI_NAMEREQD")]
    pub fn must_have_name(self) -> Self {
        self.flagged(NI_NAMEREQD)
    }

    /// Gives the service of the port for datagrams (`NI_DGRAM`).
    #[doc(alias = "NI_DGRAM")]
    pub fn for_datagrams(self) -> Self {
        self.flagged(NI_DGRAM)
    }
}

/// The room into which a lookup writes the names, until the lookup is over.
pub struct NameRoom {
    names: Option<NameInfo>,
    /// Keeps the client for which WSK works. The operation may come from the pool of another client.
    _capture: Shared<Capture>,
}

impl fmt::Debug for NameRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameRoom")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// The names of an address: that of its host, and that of the service of its port. May be dropped at any IRQL up to `DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::net::{Ipv4Addr, SocketAddr};
///
/// let names = provider.name_of(SocketAddr::from((Ipv4Addr::LOCALHOST, 80))).wait()?;
/// // UTF-16, as Windows has it; `Display` where it is shown.
/// assert!(!names.host().is_empty());
/// println!("{names}");
/// # drop((names, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct NameInfo {
    host: UnicodeString,
    service: UnicodeString,
}

impl NameInfo {
    /// Allocates empty room for names.
    fn reserve() -> Result<Self, Error> {
        /// The documented limits, some thousand units at most.
        #[allow(clippy::cast_possible_truncation)]
        const LENGTHS: [u16; 2] = [NI_MAXHOST as u16, NI_MAXSERV as u16];
        let room = |units| UnicodeString::room(units).ok_or(Error::NoMemory(Memory::Buffer));
        Ok(Self {
            host: room(LENGTHS[0])?,
            service: room(LENGTHS[1])?,
        })
    }

    /// The name of the host, in UTF-16.
    #[must_use]
    pub fn host(&self) -> &[u16] {
        self.host.units()
    }

    /// The name of the service, in UTF-16.
    #[must_use]
    pub fn service(&self) -> &[u16] {
        self.service.units()
    }
}

impl fmt::Debug for NameInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameInfo").finish_non_exhaustive()
    }
}

/// The host, a colon, and the service.
impl fmt::Display for NameInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.host().iter().chain(&[0x3A]).chain(self.service());
        for unit in char::decode_utf16(units.copied()) {
            fmt::Write::write_char(f, unit.unwrap_or(char::REPLACEMENT_CHARACTER))?;
        }
        Ok(())
    }
}

impl Ingredient for NameRoom {}

impl Sealed for NameOf {}

impl Function<NameRoom> for NameOf {
    type Operation = GettingName;

    fn put<'x>(
        self,
        provider: &'x Provider,
        mut lent: Lending<'x, NameRoom>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, NameInfoCall>, Error> {
        provider.capture().before_look_up(Call::WskGetNameInfo)?;
        let address = self.address?;
        lent.names = Some(NameInfo::reserve()?);
        Family::of(&address).write(address, &mut arguments.address);
        let names = lent.lend();
        let names = names.try_part(|room| room.names.as_ref().ok_or(Error::Taken))?;
        let (host, service) = (
            names.part(|names| &names.host),
            names.part(|names| &names.service),
        );
        NameInfoCall::new(provider, host, service, self.flags, arguments, places)
    }
}

impl Sealed for GettingName {}

impl Operation<NameRoom> for GettingName {
    type Way = Own;
    type Output = NameInfo;
    type Asked = OfProvider;
    type Parameters = NameInfoCall;
    const CALL: Call = Call::WskGetNameInfo;
    const CANCEL_ON_DROP: bool = true;
    type Run = Owning;

    fn read(
        outcome: Outcome,
        _: &mut Arguments,
        carried: &mut NameRoom,
    ) -> Result<NameInfo, Error> {
        outcome.check(Call::WskGetNameInfo)?;
        carried.names.take().ok_or(Error::Taken)
    }
}
