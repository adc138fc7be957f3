//! Sockets of every category: making, finding and closing them.

use core::cell::RefCell;
use core::ffi::c_void;
use core::ops::Deref;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use wsk_sys::{
    AF_INET, AF_INET6, EPROCESS, ETHREAD, GUID, IPPROTO, IRP, NTSTATUS, SOCK_DGRAM,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
    WSK_CLIENT_DATAGRAM_DISPATCH, WSK_FLAG_BASIC_SOCKET, WSK_FLAG_CONNECTION_SOCKET,
    WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_STREAM_SOCKET,
    WSK_PROVIDER_BASIC_DISPATCH, WSK_SOCKET, WSK_TRANSPORT,
};

use super::address::Family;
use super::control::{Options, WskControlSocket};
use super::datagram::{self, Datagram};
use super::registration::{self, Client};
use super::request::{Request, Uses};
use super::{client, indication, network};
use crate::bugcheck::{bugcheck, violation};
use crate::origin::Origin;
use crate::pool::Counter;
use crate::schedule::{self, Plan};
use crate::table::Table;
use crate::trace;

/// Sockets made and closed.
pub(crate) static SOCKETS: Counter = Counter::new();
static NUMBERS: AtomicUsize = AtomicUsize::new(0);
static OPEN: Table<Arc<Socket>> = Table::new();
/// The last sockets that were closed, kept in memory so that a use of one is told by name.
static CLOSED: Mutex<BTreeMap<usize, Arc<Socket>>> = Mutex::new(BTreeMap::new());
const REMEMBERED: usize = 4096;

/// The functions of a basic socket.
static BASIC_DISPATCH: WSK_PROVIDER_BASIC_DISPATCH = BASIC;

/// The functions that every socket has.
pub(crate) const BASIC: WSK_PROVIDER_BASIC_DISPATCH = WSK_PROVIDER_BASIC_DISPATCH {
    WskControlSocket: Some(WskControlSocket),
    WskCloseSocket: Some(WskCloseSocket),
};

std::thread_local! {
    /// The sockets whose functions this thread is in.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// What only sockets of one category have.
#[allow(
    clippy::large_enum_variant,
    reason = "a socket is one allocation, and basic ones are rare"
)]
pub(crate) enum Category {
    Basic,
    Datagram(Datagram),
}

/// A socket. Its memory starts with what drivers see of it.
#[repr(C)]
pub(crate) struct Socket {
    wsk: WSK_SOCKET,
    number: usize,
    pub(crate) family: Family,
    pub(crate) category: Category,
    pub(crate) options: Mutex<Options>,
    client: Arc<Client>,
    /// The host's socket; gone once the socket is closed.
    real: RwLock<Option<socket2::Socket>>,
    /// How many calls of its functions haven't returned yet.
    calls: AtomicU32,
    forced_closed: AtomicBool,
    life: Mutex<Life>,
    origin: Origin,
}

// SAFETY: the raw pointers inside are the driver's context and tables, which it keeps for as long as the socket is open and
// which are given back to it only; all else is synchronised.
unsafe impl Send for Socket {}
// SAFETY: as for `Send`.
unsafe impl Sync for Socket {}

#[derive(Default)]
struct Life {
    /// IRPs in flight, all but that of the close, and event callbacks that run.
    flights: usize,
    closing: bool,
    /// The close, once it waits for nothing but the flights.
    close: Option<Request>,
}

/// A call of one of a socket's functions, for as long as it lasts.
pub(crate) struct Entered(Arc<Socket>);

impl Deref for Entered {
    type Target = Arc<Socket>;

    fn deref(&self) -> &Arc<Socket> {
        &self.0
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
        INSIDE.with_borrow_mut(|inside| {
            inside.pop();
        });
    }
}

/// Finds the socket that a function is called for; stops when there is none, or it is closed.
#[inline]
pub(crate) fn enter(function: &'static str, socket: *mut WSK_SOCKET) -> Entered {
    let address = socket as usize;
    let found = OPEN.lock(address).get(address).cloned();
    let Some(found) = found else {
        unknown(function, address)
    };
    found.calls.fetch_add(1, Ordering::SeqCst);
    INSIDE.with_borrow_mut(|inside| inside.push(address));
    if found.life.lock().closing {
        closed(function, &found);
    }
    Entered(found)
}

#[cold]
fn unknown(function: &'static str, address: usize) -> ! {
    if let Some(socket) = CLOSED.lock().get(&address) {
        closed(function, socket);
    }
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, address, 0, 0),
        [],
        "{function} was called for {address:#x}, which isn't a socket"
    )
}

#[cold]
fn closed(function: &'static str, socket: &Socket) -> ! {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(
            violation::WSK_CONTRACT,
            &raw const *socket as usize,
            0,
            0
        ),
        [format!(
            "socket#{} made by {}",
            socket.number, socket.origin
        )],
        "{function} was called for a socket after WskCloseSocket"
    )
}

impl Socket {
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn is_forced_closed(&self) -> bool {
        self.forced_closed.load(Ordering::SeqCst)
    }

    /// The datagram part; stops when the socket is of another category.
    pub(crate) fn datagram(&self, function: &'static str) -> &Datagram {
        match &self.category {
            Category::Datagram(datagram) => datagram,
            Category::Basic => bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::WSK_CONTRACT,
                    &raw const *self as usize,
                    0,
                    0
                ),
                [format!("socket#{} made by {}", self.number, self.origin)],
                "{function} was called for a socket of another category"
            ),
        }
    }

    /// Uses the host's socket; `None` once the socket is closed.
    pub(crate) fn with_real<R>(&self, body: impl FnOnce(&socket2::Socket) -> R) -> Option<R> {
        self.real.read().as_ref().map(body)
    }

    /// Watches for the next arrival.
    pub(crate) fn watch(&self) {
        self.with_real(|real| network::watch(self.number, real));
    }

    /// Something has arrived.
    pub(crate) fn readable(self: &Arc<Self>) {
        match &self.category {
            Category::Datagram(_) => datagram::readable(self),
            Category::Basic => {}
        }
    }

    /// An IRP is in flight, or an event callback begins.
    pub(crate) fn took_off(&self) {
        self.life.lock().flights += 1;
    }

    /// As [`took_off`](Self::took_off), unless the socket is being closed.
    pub(crate) fn take_off_unless_closing(&self) -> bool {
        let mut life = self.life.lock();
        life.flights += usize::from(!life.closing);
        !life.closing
    }

    /// An IRP was completed, or an event callback has ended.
    pub(crate) fn landed(self: &Arc<Self>) {
        let close = {
            let mut life = self.life.lock();
            life.flights -= 1;
            if life.flights == 0 {
                life.close.take()
            } else {
                None
            }
        };
        if let Some(close) = close {
            self.finish_close(close);
        }
    }

    fn finish_close(self: &Arc<Self>, close: Request) {
        if let Some(real) = self.real.write().take() {
            network::remove(self.number, &real);
        }
        let address = Arc::as_ptr(self) as usize;
        let _ = OPEN.lock(address).remove(address);
        {
            let mut closed = CLOSED.lock();
            if closed.len() >= REMEMBERED {
                closed.pop_first();
            }
            closed.insert(address, self.clone());
        }
        SOCKETS.down();
        registration::socket_closed(&self.client);
        close.complete(STATUS_SUCCESS, 0);
    }

    /// Makes the socket useless.
    fn force_close(self: &Arc<Self>) {
        self.forced_closed.store(true, Ordering::SeqCst);
        if let Category::Datagram(_) = &self.category {
            datagram::force_close(self);
        }
    }
}

/// Makes every open socket useless.
pub(crate) fn force_close_all() {
    let mut open = Vec::new();
    OPEN.each(|_, socket| open.push(socket.clone()));
    for socket in open {
        socket.force_close();
    }
}

/// Waits for sockets that are being closed.
pub(crate) fn settle(deadline: Instant) {
    while OPEN
        .find(|_, socket| socket.life.lock().closing.then_some(()))
        .is_some()
        && Instant::now() < deadline
    {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sockets that are open, as lines of a leak report.
pub(crate) fn leaks() -> Vec<String> {
    let mut lines = Vec::new();
    OPEN.each(|address, socket| {
        let state = if socket.life.lock().closing {
            "is being closed"
        } else {
            "was never closed"
        };
        lines.push(format!(
            "socket#{} at {address:#x} that {state}\n    made by {}",
            socket.number, socket.origin
        ));
    });
    lines
}

/// Closes what is left, and forgets it.
pub(crate) fn reset() {
    for (_, socket) in OPEN.extract(|_, _| true) {
        // Requests that are still queued are never completed: their IRPs are the driver's leaks.
        if let Category::Datagram(datagram) = &socket.category {
            core::mem::forget(datagram.abandon());
        }
        core::mem::forget(socket.life.lock().close.take());
        *socket.real.write() = None;
    }
    CLOSED.lock().clear();
    indication::reset();
    NUMBERS.store(0, Ordering::Relaxed);
    SOCKETS.reset();
}

/// The transports that there are.
pub(crate) fn transports() -> [WSK_TRANSPORT; 2] {
    [AF_INET, AF_INET6].map(|family| WSK_TRANSPORT {
        Version: registration::VERSION,
        SocketType: SOCK_DGRAM,
        Protocol: IPPROTO::IPPROTO_UDP.0.cast_unsigned(),
        AddressFamily: family,
        ProviderId: GUID::default(),
    })
}

dispatched! {
    /// Makes a socket. The host has basic and datagram sockets so far.
    fn WskSocket(
        Client: *mut c_void,
        AddressFamily: u16,
        SocketType: u16,
        Protocol: u32,
        Flags: u32,
        SocketContext: *mut c_void,
        Dispatch: *const c_void,
        OwningProcess: *mut EPROCESS,
        OwningThread: *mut ETHREAD,
        SecurityDescriptor: *mut c_void,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let client = registration::client("WskSocket", Client);
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, Uses::nothing("WskSocket"), None) };
        let made = check_kind(AddressFamily, SocketType, Protocol, Flags);
        let pointers = Pointers {
            context: SocketContext,
            dispatch: Dispatch.cast(),
        };
        let origin = Origin::here("WskSocket");
        let mut making = Some((client, pointers, origin));
        let status = request.carry_out(move || {
            use super::request::Outcome::Done;
            let (Ok((family, flags)), Some((client, pointers, origin))) = (made, making.take())
            else {
                return Done(made.err().unwrap_or(STATUS_INVALID_PARAMETER), 0);
            };
            match make(family, flags, client, pointers, origin) {
                Ok(address) => Done(STATUS_SUCCESS, address),
                Err(status) => Done(status, 0),
            }
        });
        trace::returned("WskSocket", status)
    }
}

/// What a driver gives for the callbacks of a socket.
pub(crate) struct Pointers {
    pub(crate) context: *mut c_void,
    pub(crate) dispatch: *const WSK_CLIENT_DATAGRAM_DISPATCH,
}

// SAFETY: the pointers are only handed back to the driver, which has to expect that on any thread.
unsafe impl Send for Pointers {}

fn check_kind(
    family: u16,
    kind: u16,
    protocol: u32,
    flags: u32,
) -> Result<(Family, u32), NTSTATUS> {
    const UDP: u32 = IPPROTO::IPPROTO_UDP.0.cast_unsigned();
    let family = Family::new(family).ok_or(STATUS_NOT_SUPPORTED)?;
    match flags {
        WSK_FLAG_DATAGRAM_SOCKET | WSK_FLAG_BASIC_SOCKET
            if kind == SOCK_DGRAM && protocol == UDP =>
        {
            Ok((family, flags))
        }
        WSK_FLAG_DATAGRAM_SOCKET if kind == SOCK_DGRAM => Err(STATUS_INVALID_PARAMETER),
        WSK_FLAG_DATAGRAM_SOCKET
        | WSK_FLAG_BASIC_SOCKET
        | WSK_FLAG_LISTEN_SOCKET
        | WSK_FLAG_CONNECTION_SOCKET
        | WSK_FLAG_STREAM_SOCKET => Err(STATUS_NOT_SUPPORTED),
        _ => Err(STATUS_INVALID_PARAMETER),
    }
}

fn make(
    family: Family,
    flags: u32,
    client: Arc<Client>,
    pointers: Pointers,
    origin: Origin,
) -> Result<usize, NTSTATUS> {
    let real = socket2::Socket::new(
        family.domain(),
        socket2::Type::DGRAM,
        Some(socket2::Protocol::UDP),
    )
    .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    real.set_nonblocking(true)
        .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    if family == Family::V6 {
        // On Windows a socket is for IPv6 only until told otherwise; hosts differ.
        real.set_only_v6(true)
            .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    }
    let static_events = client.static_events.load(Ordering::SeqCst);
    let (dispatch, category) = if flags == WSK_FLAG_BASIC_SOCKET {
        (
            (&raw const BASIC_DISPATCH).cast::<c_void>(),
            Category::Basic,
        )
    } else {
        let events = client::enables_receive_from(static_events);
        (
            (&raw const datagram::DISPATCH).cast::<c_void>(),
            Category::Datagram(Datagram::new(pointers, events)),
        )
    };
    client.sockets.fetch_add(1, Ordering::SeqCst);
    SOCKETS.up();
    let socket = Arc::new(Socket {
        wsk: WSK_SOCKET { Dispatch: dispatch },
        number: NUMBERS.fetch_add(1, Ordering::Relaxed) + 1,
        family,
        category,
        options: Mutex::new(Options::default()),
        client,
        real: RwLock::new(None),
        calls: AtomicU32::new(0),
        forced_closed: AtomicBool::new(false),
        life: Mutex::new(Life::default()),
        origin,
    });
    debug_assert!(!socket.wsk.Dispatch.is_null());
    if network::add(&socket, &real).is_err() {
        SOCKETS.down();
        registration::socket_closed(&socket.client);
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    *socket.real.write() = Some(real);
    let address = Arc::as_ptr(&socket) as usize;
    let _ = CLOSED.lock().remove(&address);
    let _ = OPEN.lock(address).insert(address, socket);
    Ok(address)
}

dispatched! {
    /// Closes a socket: cancels what is pending on it, waits for what is under way, and frees it.
    fn WskCloseSocket(Socket: *mut WSK_SOCKET, Irp: *mut IRP) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = enter("WskCloseSocket", Socket);
        let own = INSIDE.with_borrow(|inside| {
            inside
                .iter()
                .filter(|&&address| address == Socket as usize)
                .count()
        });
        let calls = socket.calls.load(Ordering::SeqCst) as usize;
        if calls > own {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::WSK_CONTRACT,
                    Socket as usize,
                    calls - own,
                    0
                ),
                [format!(
                    "socket#{} made by {}",
                    socket.number, socket.origin
                )],
                "WskCloseSocket was called while another thread is inside a function of the same socket"
            )
        }
        if let Some(retained) = indication::retained(Socket as usize) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, Socket as usize, 0, 0),
                [retained],
                "WskCloseSocket was called while datagram indications are retained: WskRelease can't be called any more"
            )
        }
        // SAFETY: the driver gives the IRP.
        let close = unsafe { Request::start(Irp, Uses::nothing("WskCloseSocket"), None) };
        socket.life.lock().closing = true;
        let plan = schedule::plan();
        if plan != Plan::Now {
            close.pend();
        }
        if let Category::Datagram(_) = &socket.category {
            datagram::cancel_all(&socket);
        }
        let socket = Arc::clone(&socket);
        let status = match plan {
            Plan::Now => shut(&socket, close, true),
            Plan::DoLater(when) | Plan::CompleteLater(when) => {
                schedule::later(when, move || {
                    let _ = shut(&socket, close, false);
                });
                wsk_sys::STATUS_PENDING
            }
        };
        trace::returned("WskCloseSocket", status)
    }
}

/// Finishes a close, or leaves that to the last flight.
fn shut(socket: &Arc<Socket>, close: Request, inline: bool) -> NTSTATUS {
    {
        let mut life = socket.life.lock();
        if life.flights > 0 {
            if inline {
                close.pend();
            }
            life.close = Some(close);
            return wsk_sys::STATUS_PENDING;
        }
    }
    socket.finish_close(close);
    STATUS_SUCCESS
}
