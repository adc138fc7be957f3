//! Name resolution: `WskGetAddressInfo`, `WskFreeAddressInfo` and `WskGetNameInfo`, over the host's resolver. Stands for the
//! part of `afd.sys` that asks the DNS client.

use core::ffi::c_void;
use core::ptr;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, getaddrinfo, getnameinfo};
use parking_lot::{Condvar, Mutex};
use wsk_sys::{
    ADDRINFOEXW, AF_INET, AF_INET6, AI_CANONNAME, AI_FQDN, AI_NUMERICHOST, AI_PASSIVE, EPROCESS,
    ETHREAD, GUID, IRP, NI_NUMERICHOST, NI_NUMERICSERV, NS_ALL, NS_DNS, NTSTATUS, SOCK_STREAM,
    SOCKADDR, STATUS_BUFFER_TOO_SMALL, STATUS_CANCELLED, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER, STATUS_NO_MATCH, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED,
    STATUS_PENDING, STATUS_SUCCESS, STATUS_UNSUCCESSFUL, UNICODE_STRING,
};

use super::address::{self, Family};
use super::host;
use super::pending::{Pending, waiting};
use super::registration;
use super::request::{Request, Uses};
use crate::bugcheck::{bugcheck, violation};
use crate::flight::Flight;
use crate::origin::{self, Origin};
use crate::pool::{self, Use};
use crate::schedule::{self, Plan, SOON};
use crate::table::Table;
use crate::trace;

/// Calls that the host's resolver has not answered yet.
static WAITING: Mutex<Pending<Resolving>> = Mutex::new(Pending::new());
/// The number of calls that were taken out of [`WAITING`] and are getting their answers. It changes only while [`WAITING`] is
/// locked.
static HANDING: AtomicUsize = AtomicUsize::new(0);
/// Notified when a call leaves [`WAITING`], or when [`HANDING`] shrinks.
static CHANGED: Condvar = Condvar::new();
static NUMBERS: AtomicU64 = AtomicU64::new(0);
/// The blocks of each list that a driver has, by the address of the list's first entry.
static LISTS: Table<Vec<usize>> = Table::new();

/// The flags that ask for a name beside the first address.
const NAMED: u32 = AI_CANONNAME | AI_FQDN;

/// The offsets of the parts of a block: the entry is at 0, its address and its name follow.
const ADDRESS_AT: usize = size_of::<ADDRINFOEXW>();
const NAME_AT: usize = ADDRESS_AT + size_of::<wsk_sys::SOCKADDR_IN6>().next_multiple_of(8);

/// A call that waits for the host's resolver. Its number distinguishes it from a later call with the same IRP.
struct Resolving {
    request: Request,
    number: u64,
}

waiting!(Resolving);

/// Takes out a request that is being cancelled. The resolver's answer to it is thrown away.
pub(crate) fn cancelled(irp: *mut IRP) -> Option<Request> {
    let taken = WAITING.lock().take(irp);
    CHANGED.notify_all();
    Some(taken?.request)
}

/// Waits until every call has its answer; returns whether there was anything to wait for.
pub(crate) fn settle(deadline: Instant) -> bool {
    let mut waiting = WAITING.lock();
    let mut waited = false;
    while !waiting.is_empty() || HANDING.load(Ordering::Relaxed) > 0 {
        waited = true;
        if CHANGED.wait_until(&mut waiting, deadline).timed_out() {
            break;
        }
    }
    waited
}

/// Forgets all calls and lists. Answers of the resolver that still come are thrown away.
pub(crate) fn reset() {
    let mut waiting = WAITING.lock();
    core::mem::forget(waiting.abandon());
    while HANDING.load(Ordering::Relaxed) > 0 {
        CHANGED.wait(&mut waiting);
    }
    LISTS.clear();
}

/// Hands an answer to the call with this number, unless the call was cancelled or forgotten meanwhile.
fn hand_over(number: u64, answer: impl FnOnce(Request)) {
    let taken = {
        let mut waiting = WAITING.lock();
        let taken = waiting.claim_that(|waiting| waiting.number == number);
        HANDING.fetch_add(usize::from(taken.is_some()), Ordering::Relaxed);
        taken
    };
    if let Some(Resolving { request, .. }) = taken {
        answer(request);
        let waiting = WAITING.lock();
        HANDING.fetch_sub(1, Ordering::Relaxed);
        drop(waiting);
        CHANGED.notify_all();
    }
}

/// The error of `WskGetAddressInfo` for a name that does not exist.
///
/// ```
/// use wsk_host::{Kernel, UnknownName};
///
/// for unknown in [UnknownName::NoMatch, UnknownName::NotFound] {
///     let kernel = Kernel::builder().unknown_name(unknown).boot();
///     // ... code of the driver that looks up a name under `invalid` ...
///     kernel.shutdown();
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownName {
    /// `STATUS_NO_MATCH`, as documented. `IoStatus.Information` is the status too.
    #[default]
    NoMatch,
    /// `STATUS_NOT_FOUND`, as was seen on Windows 8 and later. `IoStatus.Information` is 0.
    NotFound,
}

static NOT_FOUND: AtomicBool = AtomicBool::new(false);

/// Chooses how queries for names that do not exist fail.
pub(crate) fn set_unknown_name(unknown: UnknownName) {
    NOT_FOUND.store(unknown == UnknownName::NotFound, Ordering::Relaxed);
}

/// The status for a name that does not exist.
fn unknown_name() -> NTSTATUS {
    if NOT_FOUND.load(Ordering::Relaxed) {
        STATUS_NOT_FOUND
    } else {
        STATUS_NO_MATCH
    }
}

/// Completes a request of name resolution. Documented: the information is the status.
fn complete(request: Request, plan: Plan, status: NTSTATUS, pending: bool) -> NTSTATUS {
    let information = if status == STATUS_NOT_FOUND {
        0
    } else {
        status.0.cast_unsigned() as usize
    };
    if pending {
        request.complete_later(plan.when(), status, information);
        STATUS_PENDING
    } else {
        request.finish(plan, status, information)
    }
}

/// Asks the resolver with `ask`, on this thread or one of its own, and passes what the resolver found to `give`.
fn resolve<T: Send + 'static>(
    request: Request,
    at_once: bool,
    ask: impl FnOnce() -> Result<T, NTSTATUS> + Send + 'static,
    give: impl FnOnce(T) -> NTSTATUS + Send + 'static,
) -> NTSTATUS {
    let plan = schedule::plan();
    let answer = |found: Result<T, NTSTATUS>| found.map_or_else(|status| status, give);
    if at_once && plan == Plan::Now {
        return complete(request, plan, answer(ask()), false);
    }
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    request.freeze();
    let cancelled = WAITING.lock().push(None, Resolving { request, number });
    if let Some(Resolving { request, .. }) = cancelled {
        return complete(request, Plan::DoLater(SOON), STATUS_CANCELLED, true);
    }
    let resolver = std::thread::Builder::new().name("resolver".into());
    let driver = origin::driver();
    let asking = resolver.spawn(move || {
        let found = ask();
        origin::for_driver(driver, || {
            hand_over(number, |request| {
                let _ = complete(request, plan, answer(found), true);
            });
        });
    });
    if asking.is_err() {
        hand_over(number, |request| {
            let _ = complete(request, plan, STATUS_INSUFFICIENT_RESOURCES, true);
        });
    }
    STATUS_PENDING
}

// From names to addresses.

/// The query of a call.
struct Question {
    node: Option<String>,
    service: Option<String>,
    /// The driver's flags, as Windows numbers them; the other numbers are those of the host.
    flags: u32,
    family: i32,
    kind: i32,
    protocol: i32,
    /// Whether the driver left the kind of socket open. Hosts then list every address once for each kind.
    any_kind: bool,
}

/// One address that was found.
struct Found {
    address: SocketAddr,
    kind: i32,
    protocol: i32,
    name: Option<Vec<u16>>,
}

dispatched! {
    /// Finds the addresses of a name.
    fn WskGetAddressInfo(
        Client: *mut c_void,
        NodeName: *mut UNICODE_STRING,
        ServiceName: *mut UNICODE_STRING,
        NameSpace: u32,
        Provider: *mut GUID,
        Hints: *mut ADDRINFOEXW,
        Result: *mut *mut ADDRINFOEXW,
        OwningProcess: *mut EPROCESS,
        OwningThread: *mut ETHREAD,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        let _ = registration::client("WskGetAddressInfo", Client);
        let mut flight = Flight::new("WskGetAddressInfo");
        flight.may_be_paged();
        // SAFETY: the driver gives the names.
        let names = unsafe {
            (
                read_name(&mut flight, NodeName, "the node name"),
                read_name(&mut flight, ServiceName, "the service name"),
            )
        };
        flight.pin_contents(Hints as usize, size_of::<ADDRINFOEXW>(), "the hints");
        flight.pin(Provider as usize, size_of::<GUID>(), "the provider's identifier");
        flight.pin(Result as usize, size_of::<*mut ADDRINFOEXW>(), "the place for the result");
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, Uses::of(flight), None) };
        // SAFETY: the driver gives the hints, if it has any.
        let hints = unsafe { Hints.as_ref() };
        let question = if let Some(status) = request.refusal() {
            Err(status)
        } else if Result.is_null()
            || OwningProcess.is_null() && !OwningThread.is_null()
            || !matches!(NameSpace, NS_ALL | NS_DNS)
        {
            Err(STATUS_INVALID_PARAMETER)
        } else {
            question(names, hints)
        };
        let status = match question {
            Err(status) => complete(request, schedule::plan(), status, false),
            Ok(question) => {
                let origin = Origin::here("WskGetAddressInfo");
                let place = ResultPlace(Result);
                resolve(
                    request,
                    question.needs_nobody(),
                    move || question.ask(),
                    move |found| place.give(&found, origin),
                )
            }
        };
        trace::returned("WskGetAddressInfo", status)
    }
}

/// Reads a counted string; `Err` when it can't be a name.
///
/// # Safety
///
/// `name` is readable with its buffer, if it isn't null.
unsafe fn read_name(
    flight: &mut Flight,
    name: *const UNICODE_STRING,
    what: &'static str,
) -> Result<Option<String>, NTSTATUS> {
    // SAFETY: the caller says so.
    let Some(name) = (unsafe { name.as_ref() }) else {
        return Ok(None);
    };
    let length = usize::from(name.Length);
    flight.pin(
        ptr::from_ref(name) as usize,
        size_of::<UNICODE_STRING>(),
        what,
    );
    flight.pin_contents(name.Buffer as usize, length, what);
    if name.Buffer.is_null() || length % 2 != 0 || name.Length > name.MaximumLength {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: the caller says so; nothing about alignment is assumed.
    let units: Vec<u16> = (0..length / 2)
        .map(|index| unsafe { name.Buffer.add(index).read_unaligned() })
        .collect();
    let text = String::from_utf16(&units).map_err(|_| STATUS_INVALID_PARAMETER)?;
    if text.contains('\0') {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(Some(text))
}

type Name = Result<Option<String>, NTSTATUS>;

fn question(names: (Name, Name), hints: Option<&ADDRINFOEXW>) -> Result<Question, NTSTATUS> {
    let (node, service) = (names.0?, names.1?);
    if node.is_none() && service.is_none() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let stream = host::kind(SOCK_STREAM).ok_or(STATUS_NOT_SUPPORTED)?;
    let mut question = Question {
        node,
        service,
        flags: 0,
        family: 0,
        kind: stream,
        protocol: 0,
        any_kind: true,
    };
    let Some(hints) = hints else {
        return Ok(question);
    };
    // Documented: all other members of hints have to be zero.
    if hints.ai_addrlen != 0
        || !hints.ai_canonname.is_null()
        || !hints.ai_addr.is_null()
        || !hints.ai_next.is_null()
    {
        return Err(STATUS_INVALID_PARAMETER);
    }
    question.flags = hints.ai_flags.cast_unsigned();
    question.family = u16::try_from(hints.ai_family)
        .ok()
        .and_then(host::family)
        .ok_or(STATUS_NOT_SUPPORTED)?;
    question.protocol = hints.ai_protocol;
    question.any_kind = hints.ai_socktype == 0 && hints.ai_protocol == 0;
    question.kind = u16::try_from(hints.ai_socktype)
        .ok()
        .and_then(host::kind)
        .ok_or(STATUS_NOT_SUPPORTED)?;
    if question.any_kind {
        question.kind = stream;
    }
    Ok(question)
}

/// Translates flags of Windows to those of the host. Flags that the host doesn't know have no effect.
fn translate<const N: usize>(flags: u32, known: [(u32, i32); N]) -> i32 {
    known
        .into_iter()
        .filter(|(windows, _)| flags & windows != 0)
        .fold(0, |host, (_, flag)| host | flag)
}

impl Question {
    /// Whether the name is `localhost`, which is always this machine, whatever the host's resolver would say.
    fn is_localhost(&self) -> bool {
        self.node
            .as_deref()
            .is_some_and(|node| node.eq_ignore_ascii_case("localhost"))
            && self.flags & AI_NUMERICHOST == 0
    }

    /// Whether the host answers the query without asking a server.
    fn needs_nobody(&self) -> bool {
        let numeric = self
            .node
            .as_deref()
            .is_none_or(|node| node.parse::<IpAddr>().is_ok());
        numeric || self.is_localhost() || self.flags & AI_NUMERICHOST != 0
    }

    /// Whether the name is in `.invalid`, the domain that is reserved for names that don't exist.
    fn is_invalid(&self) -> bool {
        let node = self.node.as_deref().unwrap_or_default();
        node.to_ascii_lowercase().ends_with(".invalid")
    }

    fn ask(&self) -> Result<Vec<Found>, NTSTATUS> {
        if self.is_invalid() {
            return Err(unknown_name());
        }
        let (mut node, mut service) = (self.node.as_deref(), self.service.as_deref());
        let mut flags = self.flags;
        // Hosts answer a query without a name with the loopback addresses, but such a query needs a service.
        let localhost = self.is_localhost();
        if localhost {
            node = None;
            flags &= !(AI_PASSIVE | NAMED);
            service = service.or(Some("0"));
        }
        let hints = AddrInfoHints {
            flags: translate(flags, host::RESOLVER_FLAGS),
            address: self.family,
            socktype: self.kind,
            protocol: self.protocol,
        };
        let entries = getaddrinfo(node, service, Some(hints)).map_err(|error| status_of(&error))?;
        // Entries of families other than IPv4 and IPv6 are left out.
        let mut found: Vec<Found> = entries
            .flatten()
            .map(|entry| Found {
                address: entry.sockaddr,
                kind: if self.any_kind { 0 } else { entry.socktype },
                protocol: if self.any_kind { 0 } else { entry.protocol },
                name: entry.canonname.map(|name| name.encode_utf16().collect()),
            })
            .collect();
        if found.is_empty() {
            return Err(unknown_name());
        }
        if localhost
            && self.flags & NAMED != 0
            && let Some(first) = found.first_mut()
        {
            first.name = Some("localhost".encode_utf16().collect());
        }
        Ok(found)
    }
}

/// The status for an error of the host's resolver.
fn status_of(error: &LookupError) -> NTSTATUS {
    use LookupErrorKind as Kind;
    match error.kind() {
        // The errors don't always show whether the name does not exist or no server could be asked.
        Kind::NoName | Kind::NoData | Kind::Service | Kind::Again | Kind::Fail => unknown_name(),
        Kind::Badflags => STATUS_INVALID_PARAMETER,
        Kind::Family | Kind::Socktype => STATUS_NOT_SUPPORTED,
        Kind::Memory => STATUS_INSUFFICIENT_RESOURCES,
        _ if error.error_num() == host::ADDRESS_FAMILY_UNKNOWN => unknown_name(),
        _ => STATUS_UNSUCCESSFUL,
    }
}

/// The driver's variable for the result.
struct ResultPlace(*mut *mut ADDRINFOEXW);

// SAFETY: the driver keeps the place until the IRP is completed, on whatever thread.
unsafe impl Send for ResultPlace {}

impl ResultPlace {
    /// Gives the driver a list of the addresses that were found. Only `WskFreeAddressInfo` frees it.
    fn give(self, found: &[Found], origin: Origin) -> NTSTATUS {
        let mut next: *mut ADDRINFOEXW = ptr::null_mut();
        let mut blocks = Vec::new();
        let mut origin = Some(origin);
        for (index, found) in found.iter().enumerate().rev() {
            let family = if found.address.is_ipv4() {
                Family::V4
            } else {
                Family::V6
            };
            let name = found.name.as_deref().unwrap_or_default();
            let length = NAME_AT + (name.len() + 1) * 2;
            // The driver knows the list by its first entry, so a leak report shows the origin there.
            let origin = if index == 0 { origin.take() } else { None };
            let Some(block) = pool::allocate(
                length,
                u32::from_le_bytes(*b"WskA"),
                Use::AddressInfo,
                true,
                origin.unwrap_or_else(|| Origin::here("the provider")),
            ) else {
                free(blocks);
                return STATUS_INSUFFICIENT_RESOURCES;
            };
            let entry = block.cast::<ADDRINFOEXW>();
            // SAFETY: the block has room for the parts at their offsets, which are aligned for them.
            unsafe {
                let place = block.add(ADDRESS_AT).cast::<SOCKADDR>();
                address::write(place, found.address, family);
                let name_place = block.add(NAME_AT).cast::<u16>();
                ptr::copy_nonoverlapping(name.as_ptr(), name_place, name.len());
                entry.write(ADDRINFOEXW {
                    ai_flags: 0,
                    ai_family: match family {
                        Family::V4 => i32::from(AF_INET),
                        _ => i32::from(AF_INET6),
                    },
                    ai_socktype: found.kind,
                    ai_protocol: found.protocol,
                    ai_addrlen: family.size(),
                    ai_canonname: if found.name.is_some() {
                        name_place
                    } else {
                        ptr::null_mut()
                    },
                    ai_addr: place,
                    ai_blob: ptr::null_mut(),
                    ai_bloblen: 0,
                    ai_provider: ptr::null_mut(),
                    ai_next: next,
                });
            }
            next = entry;
            blocks.push(block as usize);
        }
        let _ = LISTS.lock(next as usize).insert(next as usize, blocks);
        // SAFETY: the driver keeps the place writable until the IRP is completed.
        unsafe { self.0.write_unaligned(next) };
        STATUS_SUCCESS
    }
}

fn free(blocks: Vec<usize>) {
    super::free(blocks, Use::AddressInfo, "WskFreeAddressInfo");
}

dispatched! {
    /// Frees a list of `WskGetAddressInfo`.
    fn WskFreeAddressInfo(Client: *mut c_void, AddrInfo: *mut ADDRINFOEXW), at most PASSIVE_LEVEL {
        let _ = registration::client("WskFreeAddressInfo", Client);
        let address = AddrInfo as usize;
        let blocks = LISTS.lock(address).remove(address);
        match blocks {
            Some(blocks) => free(blocks),
            None => bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, address, 0, 0),
                [pool::story(address)],
                "WskFreeAddressInfo was called for something that isn't a list of WskGetAddressInfo (any more)"
            ),
        }
    }
}

// From addresses to names.

/// The driver's string for a name.
struct NamePlace(*mut UNICODE_STRING);

// SAFETY: the driver keeps the string until the IRP is completed, on whatever thread.
unsafe impl Send for NamePlace {}

impl NamePlace {
    /// # Safety
    ///
    /// `place` is readable, if it isn't null.
    unsafe fn new(flight: &mut Flight, place: *mut UNICODE_STRING, what: &'static str) -> Self {
        flight.pin(place as usize, size_of::<UNICODE_STRING>(), what);
        // SAFETY: the caller says so.
        if let Some(string) = unsafe { place.as_ref() } {
            flight.pin(
                string.Buffer as usize,
                usize::from(string.MaximumLength),
                what,
            );
        }
        Self(place)
    }

    /// Writes a name and a terminating zero, which the length doesn't count.
    fn put(&self, name: &str) -> NTSTATUS {
        // SAFETY: the driver keeps the string and its buffer writable until the IRP is completed.
        let Some(string) = (unsafe { self.0.as_mut() }) else {
            return STATUS_SUCCESS;
        };
        let units: Vec<u16> = name.encode_utf16().chain([0]).collect();
        if string.Buffer.is_null() || units.len() * 2 > usize::from(string.MaximumLength) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        for (index, unit) in units.iter().enumerate() {
            // SAFETY: the driver keeps the string's buffer writable until the IRP is completed, and the units were found to fit.
            unsafe { string.Buffer.add(index).write_unaligned(*unit) };
        }
        // Does not overflow: it is less than `MaximumLength`.
        string.Length = ((units.len() - 1) * 2) as u16;
        STATUS_SUCCESS
    }
}

dispatched! {
    /// Finds the name of an address.
    fn WskGetNameInfo(
        Client: *mut c_void,
        SockAddr: *mut SOCKADDR,
        SockAddrLength: u32,
        NodeName: *mut UNICODE_STRING,
        ServiceName: *mut UNICODE_STRING,
        Flags: u32,
        OwningProcess: *mut EPROCESS,
        OwningThread: *mut ETHREAD,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        let _ = registration::client("WskGetNameInfo", Client);
        let mut flight = Flight::new("WskGetNameInfo");
        flight.may_be_paged();
        flight.pin_contents(SockAddr as usize, SockAddrLength as usize, "the address");
        // SAFETY: the driver gives the strings.
        let (node, service) = unsafe {
            (
                NamePlace::new(&mut flight, NodeName, "the place for the node name"),
                NamePlace::new(&mut flight, ServiceName, "the place for the service name"),
            )
        };
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, Uses::of(flight), None) };
        let nothing_wanted = NodeName.is_null() && ServiceName.is_null();
        let address = if let Some(status) = request.refusal() {
            Err(status)
        } else if nothing_wanted || OwningProcess.is_null() && !OwningThread.is_null() {
            Err(STATUS_INVALID_PARAMETER)
        } else {
            // SAFETY: the driver gives as many bytes.
            unsafe { sized_address(SockAddr, SockAddrLength) }
        };
        let status = match address {
            Err(status) => complete(request, schedule::plan(), status, false),
            Ok(address) => {
                let numeric = NI_NUMERICHOST | NI_NUMERICSERV;
                resolve(
                    request,
                    Flags & numeric == numeric,
                    move || names_of(address, Flags),
                    move |(node_name, service_name): (String, String)| {
                        match node.put(&node_name) {
                            STATUS_SUCCESS => service.put(&service_name),
                            status => status,
                        }
                    },
                )
            }
        };
        trace::returned("WskGetNameInfo", status)
    }
}

/// # Safety
///
/// `address` has `length` readable bytes, or is null.
unsafe fn sized_address(address: *const SOCKADDR, length: u32) -> Result<SocketAddr, NTSTATUS> {
    if address.is_null() || length < 2 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: two bytes are there.
    let family = unsafe { address.cast::<u16>().read_unaligned() };
    let family = Family::new(family).ok_or(STATUS_NOT_SUPPORTED)?;
    if (length as usize) < family.size() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: as many bytes are there as the family's type has.
    unsafe { address::read(address, family) }
}

/// The name of an address, and the name of its port.
fn names_of(address: SocketAddr, flags: u32) -> Result<(String, String), NTSTATUS> {
    let flags = translate(flags, host::NAME_FLAGS);
    getnameinfo(&address, flags).map_err(|error| status_of(&error))
}
