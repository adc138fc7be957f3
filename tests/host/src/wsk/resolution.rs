//! Name resolution: `WskGetAddressInfo`, `WskFreeAddressInfo` and `WskGetNameInfo`, over the host's resolver. Stands for the
//! part of `afd.sys` that asks the DNS client.

use core::ffi::{CStr, c_void};
use core::ptr;
use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use wsk_sys::{
    ADDRINFOEXW, AF_INET, AF_INET6, AF_UNSPEC, AI_ADDRCONFIG, AI_ALL, AI_CANONNAME, AI_FQDN,
    AI_NUMERICHOST, AI_NUMERICSERV, AI_PASSIVE, AI_V4MAPPED, EPROCESS, ETHREAD, GUID, IRP,
    NI_DGRAM, NI_NAMEREQD, NI_NOFQDN, NI_NUMERICHOST, NI_NUMERICSERV, NS_ALL, NS_DNS, NTSTATUS,
    SOCK_DGRAM, SOCK_STREAM, SOCKADDR, STATUS_BUFFER_TOO_SMALL, STATUS_CANCELLED,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_NO_MATCH, STATUS_NOT_SUPPORTED,
    STATUS_PENDING, STATUS_SUCCESS, STATUS_UNSUCCESSFUL, UNICODE_STRING,
};

use super::address::{self, Family};
use super::pending::{Pending, waiting};
use super::registration;
use super::request::{Request, Uses};
use crate::bugcheck::{bugcheck, violation};
use crate::flight::Flight;
use crate::origin::Origin;
use crate::pool::{self, Use};
use crate::schedule::{self, Plan, SOON};
use crate::table::Table;
use crate::trace;

/// Calls whose answer the host's resolver is looking for.
static WAITING: Mutex<Pending<Resolving>> = Mutex::new(Pending::new());
/// How many answers are being handed to their calls, which have been taken out of [`WAITING`]; changed while that is locked.
static HANDING: AtomicUsize = AtomicUsize::new(0);
/// Told when there are fewer of either.
static CHANGED: Condvar = Condvar::new();
static NUMBERS: AtomicU64 = AtomicU64::new(0);
/// What was given out, by the address of the first entry of each list: the blocks.
static LISTS: Table<Vec<usize>> = Table::new();

/// Where the parts of a block are: an entry, its address, its name.
const ADDRESS_AT: usize = size_of::<ADDRINFOEXW>();
const NAME_AT: usize = ADDRESS_AT + size_of::<wsk_sys::SOCKADDR_IN6>().next_multiple_of(8);

/// A call that waits for the host's resolver. The number tells it from another call with the same IRP.
struct Resolving {
    request: Request,
    number: u64,
}

waiting!(Resolving);

/// Takes a request that is being cancelled. What the resolver finds after all is thrown away.
pub(crate) fn cancelled(irp: *mut IRP) -> Option<Request> {
    let taken = WAITING.lock().take(irp);
    CHANGED.notify_all();
    Some(taken?.request)
}

/// Waits until every call has its answer; says whether there was anything to wait for.
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

/// Forgets everything. What the resolver still finds is thrown away.
pub(crate) fn reset() {
    let mut waiting = WAITING.lock();
    core::mem::forget(waiting.abandon());
    while HANDING.load(Ordering::Relaxed) > 0 {
        CHANGED.wait(&mut waiting);
    }
    LISTS.clear();
}

/// Hands an answer to the call with a number, unless that was cancelled or forgotten meanwhile.
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

/// Completes a request of name resolution; the information is the status once more, as documented.
fn complete(request: Request, plan: Plan, status: NTSTATUS, pending: bool) -> NTSTATUS {
    let information = status.0.cast_unsigned() as usize;
    if pending {
        request.complete_later(plan.when(), status, information);
        STATUS_PENDING
    } else {
        request.finish(plan, status, information)
    }
}

/// Asks the resolver with `ask`, here or on a thread of its own, and hands what it found out with `give`.
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
    let asking = resolver.spawn(move || {
        let found = ask();
        hand_over(number, |request| {
            let _ = complete(request, plan, answer(found), true);
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

/// What a call asks for, as the host's resolver takes it.
struct Question {
    node: Option<CString>,
    service: Option<CString>,
    flags: i32,
    family: i32,
    kind: i32,
    protocol: i32,
    /// Whether the driver left open what kind of socket the addresses are for: hosts list every address once for each.
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
) -> Result<Option<CString>, NTSTATUS> {
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
    CString::new(text)
        .map(Some)
        .map_err(|_| STATUS_INVALID_PARAMETER)
}

type Name = Result<Option<CString>, NTSTATUS>;

fn question(names: (Name, Name), hints: Option<&ADDRINFOEXW>) -> Result<Question, NTSTATUS> {
    let (node, service) = (names.0?, names.1?);
    if node.is_none() && service.is_none() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let mut question = Question {
        node,
        service,
        flags: 0,
        family: libc::AF_UNSPEC,
        kind: libc::SOCK_STREAM,
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
    let flags = [
        (AI_PASSIVE, libc::AI_PASSIVE),
        (AI_CANONNAME, libc::AI_CANONNAME),
        (AI_FQDN, libc::AI_CANONNAME),
        (AI_NUMERICHOST, libc::AI_NUMERICHOST),
        (AI_NUMERICSERV, libc::AI_NUMERICSERV),
        (AI_ALL, libc::AI_ALL),
        (AI_V4MAPPED, libc::AI_V4MAPPED),
        (AI_ADDRCONFIG, libc::AI_ADDRCONFIG),
    ];
    question.flags = translate(hints.ai_flags.cast_unsigned(), flags);
    question.family = match u16::try_from(hints.ai_family) {
        Ok(AF_UNSPEC) => libc::AF_UNSPEC,
        Ok(AF_INET) => libc::AF_INET,
        Ok(AF_INET6) => libc::AF_INET6,
        _ => return Err(STATUS_NOT_SUPPORTED),
    };
    question.protocol = hints.ai_protocol;
    question.any_kind = hints.ai_socktype == 0 && hints.ai_protocol == 0;
    question.kind = match u16::try_from(hints.ai_socktype) {
        Ok(0) if question.any_kind => libc::SOCK_STREAM,
        Ok(0) => 0,
        Ok(SOCK_STREAM) => libc::SOCK_STREAM,
        Ok(SOCK_DGRAM) => libc::SOCK_DGRAM,
        _ => return Err(STATUS_NOT_SUPPORTED),
    };
    Ok(question)
}

/// Flags of Windows as those of the host; what the host doesn't know has no effect.
fn translate<const N: usize>(flags: u32, known: [(u32, i32); N]) -> i32 {
    known
        .into_iter()
        .filter(|(windows, _)| flags & windows != 0)
        .fold(0, |host, (_, flag)| host | flag)
}

impl Question {
    /// Whether the name is this machine's, whatever its resolver is told.
    fn is_localhost(&self) -> bool {
        self.node
            .as_deref()
            .is_some_and(|node| node.to_bytes().eq_ignore_ascii_case(b"localhost"))
            && self.flags & libc::AI_NUMERICHOST == 0
    }

    /// Whether it can be answered without asking anybody.
    fn needs_nobody(&self) -> bool {
        let numeric = self
            .node
            .as_deref()
            .and_then(|node| node.to_str().ok())
            .is_none_or(|node| node.parse::<IpAddr>().is_ok());
        numeric || self.is_localhost() || self.flags & libc::AI_NUMERICHOST != 0
    }

    /// Whether the name is of the domain that is set aside for names that don't exist.
    fn is_invalid(&self) -> bool {
        let node = self.node.as_deref().map_or(&[][..], CStr::to_bytes);
        node.to_ascii_lowercase().ends_with(b".invalid")
    }

    fn ask(&self) -> Result<Vec<Found>, NTSTATUS> {
        if self.is_invalid() {
            return Err(STATUS_NO_MATCH);
        }
        // SAFETY: all-zero bytes are such a structure of numbers and null pointers.
        let mut hints: libc::addrinfo = unsafe { core::mem::zeroed() };
        hints.ai_flags = self.flags;
        hints.ai_family = self.family;
        hints.ai_socktype = self.kind;
        hints.ai_protocol = self.protocol;
        let mut node = self.node.as_deref().map_or(ptr::null(), CStr::as_ptr);
        // A host gives the loopback addresses for no name, and wants a service then.
        let localhost = self.is_localhost();
        let mut service = self.service.as_deref().map_or(ptr::null(), CStr::as_ptr);
        if localhost {
            node = ptr::null();
            hints.ai_flags &= !(libc::AI_PASSIVE | libc::AI_CANONNAME);
            if service.is_null() {
                service = c"0".as_ptr();
            }
        }
        let mut first = ptr::null_mut();
        // SAFETY: the names are null or end with a zero, and the hints are complete.
        let error = unsafe { libc::getaddrinfo(node, service, &raw const hints, &raw mut first) };
        if error != 0 {
            return Err(status_of(error));
        }
        let mut found = Vec::new();
        let mut next = first;
        // SAFETY: the host gives a list of entries, each with its address.
        while let Some(entry) = unsafe { next.as_ref() } {
            next = entry.ai_next;
            // SAFETY: the entry's address is the host's, until the list is given back.
            let address = unsafe { host_address(entry.ai_addr) };
            let Some(address) = address else { continue };
            let name = if entry.ai_canonname.is_null() {
                None
            } else {
                // SAFETY: it is not null, so the host has written a name that ends with a zero.
                let name = unsafe { CStr::from_ptr(entry.ai_canonname) };
                Some(name.to_string_lossy().encode_utf16().collect())
            };
            found.push(Found {
                address,
                kind: if self.any_kind { 0 } else { entry.ai_socktype },
                protocol: if self.any_kind { 0 } else { entry.ai_protocol },
                name,
            });
        }
        // SAFETY: this is the list, of which nothing is used any more.
        unsafe { libc::freeaddrinfo(first) };
        if found.is_empty() {
            return Err(STATUS_NO_MATCH);
        }
        if localhost
            && self.flags & libc::AI_CANONNAME != 0
            && let Some(first) = found.first_mut()
        {
            first.name = Some("localhost".encode_utf16().collect());
        }
        Ok(found)
    }
}

/// # Safety
///
/// `address` is readable as what its family says, or null.
unsafe fn host_address(address: *const libc::sockaddr) -> Option<SocketAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: the caller says so.
    unsafe {
        match i32::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddr::new(ip.into(), u16::from_be(v4.sin_port)))
            }
            libc::AF_INET6 => {
                let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// The status for what the host's resolver says.
fn status_of(error: i32) -> NTSTATUS {
    /// The name has no address of the family that was asked for.
    const EAI_ADDRFAMILY: i32 = if cfg!(target_os = "linux") { -9 } else { 1 };
    match error {
        // That a name doesn't exist can't always be told from that nobody could be asked.
        libc::EAI_NONAME
        | libc::EAI_NODATA
        | libc::EAI_SERVICE
        | libc::EAI_AGAIN
        | libc::EAI_FAIL
        | EAI_ADDRFAMILY => STATUS_NO_MATCH,
        libc::EAI_BADFLAGS => STATUS_INVALID_PARAMETER,
        libc::EAI_FAMILY | libc::EAI_SOCKTYPE => STATUS_NOT_SUPPORTED,
        libc::EAI_MEMORY => STATUS_INSUFFICIENT_RESOURCES,
        libc::EAI_OVERFLOW => STATUS_BUFFER_TOO_SMALL,
        _ => STATUS_UNSUCCESSFUL,
    }
}

/// The place of the driver's for a result.
struct ResultPlace(*mut *mut ADDRINFOEXW);

// SAFETY: the driver keeps the place until the IRP is completed, on whatever thread.
unsafe impl Send for ResultPlace {}

impl ResultPlace {
    /// Gives out what was found, as a list that only `WskFreeAddressInfo` frees.
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
            // The first is what a driver knows the list by.
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
                        Family::V6 => i32::from(AF_INET6),
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
    /// Frees what `WskGetAddressInfo` gave.
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

/// A string of the driver's that a name goes to.
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

    /// Writes a name with a zero behind it, which isn't counted.
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
        // Less than MaximumLength.
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

/// The name of an address and that of its port.
fn names_of(address: SocketAddr, flags: u32) -> Result<(String, String), NTSTATUS> {
    let known = [
        (NI_NOFQDN, libc::NI_NOFQDN),
        (NI_NUMERICHOST, libc::NI_NUMERICHOST),
        (NI_NAMEREQD, libc::NI_NAMEREQD),
        (NI_NUMERICSERV, libc::NI_NUMERICSERV),
        (NI_DGRAM, libc::NI_DGRAM),
    ];
    let flags = translate(flags, known);
    let address = socket2::SockAddr::from(address);
    let (mut node, mut service) = ([0; 1025], [0; 32]);
    // SAFETY: the address has as many bytes as it says, and so have the two places.
    let error = unsafe {
        libc::getnameinfo(
            address.as_ptr().cast(),
            address.len(),
            node.as_mut_ptr(),
            node.len() as libc::socklen_t,
            service.as_mut_ptr(),
            service.len() as libc::socklen_t,
            flags,
        )
    };
    if error != 0 {
        return Err(status_of(error));
    }
    let text = |bytes: &[libc::c_char]| {
        // SAFETY: the host has written a string that ends with a zero.
        let text = unsafe { CStr::from_ptr(bytes.as_ptr()) };
        text.to_string_lossy().into_owned()
    };
    Ok((text(&node), text(&service)))
}
