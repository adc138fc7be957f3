//! [`WskGetNameInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_name_info): the names of an
//! address are looked up.

use core::alloc::Layout;
use core::ffi::c_void;
use core::fmt;
use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_sys::{
    NI_DGRAM, NI_MAXHOST, NI_MAXSERV, NI_NAMEREQD, NI_NUMERICHOST, NI_NUMERICSERV, SOCKADDR,
    STATUS_DEVICE_NOT_READY, UNICODE_STRING, WskProviderDispatch,
};

use crate::address::{self, Family};
use crate::error::{Call, Error, Memory};
use crate::irp::{Arguments, Outcome, Places};
use crate::irql::at_passive_level;
use crate::memory;
use crate::memory::shared::Shared;
use crate::registration::{Capture, Provider};
use crate::request::sealed::Sealed;
use crate::request::submitted;
use crate::request::way::{Ingredient, Loan};
use crate::request::{Function, Operation, Own, Owning, Request, of_provider};

/// The request of [`name_of`](crate::Provider::name_of): the names of an address.
#[derive(Debug)]
pub struct NameOf {
    address: SocketAddr,
    flags: u32,
}

/// The operation of [`name_of`](crate::Provider::name_of), in the types of handles.
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

/// The parameters of `WskGetNameInfo`.
#[derive(Clone, Copy)]
pub struct Parameters {
    table: WskProviderDispatch,
    client: Option<NonNull<c_void>>,
    address: NonNull<SOCKADDR>,
    length: u32,
    host: NonNull<UNICODE_STRING>,
    service: NonNull<UNICODE_STRING>,
    flags: u32,
}

pub(crate) fn name_of(provider: &Provider, address: SocketAddr) -> Request<'_, NameOf, NameRoom> {
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

    /// Both in digits: nobody is asked for a name.
    #[doc(alias("NI_NUMERICHOST", "NI_NUMERICSERV"))]
    pub fn numeric(self) -> Self {
        self.flagged(NI_NUMERICHOST | NI_NUMERICSERV)
    }

    /// An address that has no name is an error; else it is given in digits.
    #[doc(alias = "NI_NAMEREQD")]
    pub fn must_have_name(self) -> Self {
        self.flagged(NI_NAMEREQD)
    }

    /// The service is that of datagram sockets.
    #[doc(alias = "NI_DGRAM")]
    pub fn for_datagrams(self) -> Self {
        self.flagged(NI_DGRAM)
    }
}

/// The room for names that a lookup writes to until it is over.
pub struct NameRoom {
    names: Option<NameInfo>,
    /// Keeps the client that WSK works for, also where the operation is one of another client's pool.
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
///
/// # Invariants
///
/// `block` is a pool block that nobody else has, initialised, whose strings lie in it.
pub struct NameInfo {
    block: NonNull<Names>,
}

/// The pool block behind [`NameInfo`].
struct Names {
    host: UNICODE_STRING,
    service: UNICODE_STRING,
    host_units: [u16; NI_MAXHOST as usize],
    service_units: [u16; NI_MAXSERV as usize],
}

// SAFETY: the block is memory that this value alone has, bound to no thread.
unsafe impl Send for NameInfo {}
// SAFETY: through `&NameInfo` the block is only read.
unsafe impl Sync for NameInfo {}

impl NameInfo {
    /// Room for names, none yet.
    fn reserve() -> Result<Self, Error> {
        let memory = memory::allocate(Layout::new::<Names>());
        let block = memory
            .ok_or(Error::NoMemory(Memory::Buffer))?
            .cast::<Names>();
        let string = |units: *mut u16, size: usize| UNICODE_STRING {
            Length: 0,
            // Some thousand at most.
            #[allow(clippy::cast_possible_truncation)]
            MaximumLength: size as u16,
            Buffer: units,
        };
        // SAFETY: freshly allocated with that layout, for which zeroes are valid; its strings are given their places in it.
        unsafe {
            block.write_bytes(0, 1);
            let names = block.as_ptr();
            let (host, service) = (
                &raw mut (*names).host_units,
                &raw mut (*names).service_units,
            );
            (*names).host = string(host.cast(), size_of_val(&*host));
            (*names).service = string(service.cast(), size_of_val(&*service));
        }
        // INVARIANT: initialised, and ours alone.
        Ok(Self { block })
    }

    /// The name of the host, in UTF-16.
    #[must_use]
    pub fn host(&self) -> &[u16] {
        // SAFETY: by the invariant the block is there.
        let names = unsafe { self.block.as_ref() };
        written(&names.host, &names.host_units)
    }

    /// The name of the service, in UTF-16.
    #[must_use]
    pub fn service(&self) -> &[u16] {
        // SAFETY: as above.
        let names = unsafe { self.block.as_ref() };
        written(&names.service, &names.service_units)
    }
}

/// The units that were written, without a zero at their end.
fn written<'u>(string: &UNICODE_STRING, units: &'u [u16]) -> &'u [u16] {
    let length = usize::from(string.Length) / size_of::<u16>();
    let units = units.get(..length).unwrap_or(units);
    units.split(|unit| *unit == 0).next().unwrap_or_default()
}

impl Drop for NameInfo {
    fn drop(&mut self) {
        // SAFETY: by the invariant the block came from `allocate`, and is freed once.
        unsafe { memory::free(self.block.cast()) };
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

    fn put(
        self,
        provider: &Provider,
        lent: Loan<NameRoom>,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        // The function itself is for this level.
        let passive = at_passive_level()?;
        let capture = provider.capture();
        capture.free_put_off(passive);
        if capture.is_leaving() {
            // Whoever looks up in a loop is not to keep the driver for ever.
            return Err(Error::Call {
                call: Call::WskGetNameInfo,
                status: STATUS_DEVICE_NOT_READY,
            });
        }
        let names = NameInfo::reserve()?;
        let family = Family::of(&self.address);
        family.write(self.address, &mut arguments.address);
        let length = address::size_of_family(arguments.address.ss_family)?;
        let block = names.block.as_ptr();
        // SAFETY: what is lent is there, stays where it is, and nobody else uses it. Of the block only the addresses of members are
        // taken, which are not null.
        let (host, service) = unsafe {
            (*lent.place().as_ptr()).names = Some(names);
            (
                NonNull::new_unchecked(&raw mut (*block).host),
                NonNull::new_unchecked(&raw mut (*block).service),
            )
        };
        Ok(Parameters {
            table: capture.dispatch()?,
            client: capture.client(),
            address: places.address(),
            // That of a socket address.
            #[allow(clippy::cast_possible_truncation)]
            length: length as u32,
            host,
            service,
            flags: self.flags,
        })
    }
}

impl Sealed for GettingName {}

// SAFETY: one call is made, whose parameters point at the arguments and at the block of what is carried; client and table are the
// captured provider's.
unsafe impl Operation<NameRoom> for GettingName {
    type Way = Own;
    type Output = NameInfo;
    type Parameters = Parameters;
    const CALL: Call = Call::WskGetNameInfo;
    const CANCEL_ON_DROP: bool = true;
    type Run = Owning;

    of_provider!(NameRoom);

    // The address is in the arguments, the strings in what is carried.
    submitted!(Parameters: p => p.table.wsk_get_name_info(
        p.client, p.address, p.length, Some(p.host), Some(p.service), p.flags, None, None
    ));

    unsafe fn read(
        outcome: Outcome,
        _: &mut Arguments,
        carried: &mut NameRoom,
    ) -> Result<NameInfo, Error> {
        outcome.check(Call::WskGetNameInfo)?;
        carried.names.take().ok_or(Error::Taken)
    }
}
