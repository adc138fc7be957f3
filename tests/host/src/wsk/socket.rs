//! Sockets of every category: how the provider makes, finds and closes them.

use core::cell::RefCell;
use core::ffi::c_void;
use core::ops::Deref;
use core::ptr;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use wsk_sys::{
    AF_INET, AF_INET6, EPROCESS, ETHREAD, GUID, IPPROTO, IRP, NTSTATUS, SOCK_DGRAM, SOCK_STREAM,
    STATUS_FILE_FORCED_CLOSED, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS, WSK_FLAG_BASIC_SOCKET,
    WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET,
    WSK_FLAG_STREAM_SOCKET, WSK_PROVIDER_BASIC_DISPATCH, WSK_SOCKET, WSK_TRANSPORT,
};

use super::address::{self, Family};
use super::callbacks::{self, WrongAnswer};
use super::connection::{self, Connection};
use super::control::{Options, WskControlSocket};
use super::datagram::{self, Datagram};
use super::listen::{self, Listening};
use super::network::Interest;
use super::pointers::Pointers;
use super::registration::{self, Client};
use super::request::{Request, Uses};
use super::{deviation, extension, host, indication, network, pointers, security};
use crate::bugcheck::{bugcheck, violation};
use crate::kernel::windows_version;
use crate::origin::{self, Origin, Whose};
use crate::pool::{self, Block, Counter, Use};
use crate::schedule::{self, Plan, SOON};
use crate::table::{Recent, Table};
use crate::trace;

/// Sockets made and closed.
pub(crate) static SOCKETS: Counter = Counter::new();
static NUMBERS: AtomicUsize = AtomicUsize::new(0);
static OPEN: Table<Arc<Socket>> = Table::new();
/// The sockets that were closed last. A report of a later use names them.
static CLOSED: Mutex<Recent<Arc<Socket>, 4096>> = Mutex::new(Recent::new());

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

/// The part of a socket that depends on its category.
#[allow(
    clippy::large_enum_variant,
    reason = "a socket is one allocation, and basic ones are rare"
)]
pub(crate) enum Category {
    Basic,
    Datagram(Datagram),
    Connection(Connection),
    Listen(Listening),
    /// `WskConnect` makes it connect, or `WskListen` makes it listen.
    Stream(Connection, Listening),
}

impl Category {
    /// The datagram part, if there is one.
    pub(crate) fn datagram(&self) -> Option<&Datagram> {
        match self {
            Self::Datagram(datagram) => Some(datagram),
            _ => None,
        }
    }

    /// The connection-oriented part, if there is one.
    pub(crate) fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Connection(connection) | Self::Stream(connection, _) => Some(connection),
            _ => None,
        }
    }

    /// The listening part, if there is one.
    pub(crate) fn listening(&self) -> Option<&Listening> {
        match self {
            Self::Listen(listening) | Self::Stream(_, listening) => Some(listening),
            _ => None,
        }
    }

    /// The driver's pointers for the callbacks of each part.
    fn pointers(&self) -> impl Iterator<Item = Pointers> + '_ {
        let datagram = self.datagram().map(Datagram::pointers);
        let connection = self.connection().map(Connection::pointers);
        let listening = self.listening().map(Listening::pointers);
        [datagram, connection, listening].into_iter().flatten()
    }

    /// Whether an event callback is enabled, or running.
    fn may_call_back(&self) -> bool {
        self.datagram().is_some_and(Datagram::may_call_back)
            || self.connection().is_some_and(Connection::may_call_back)
            || self.listening().is_some_and(Listening::may_call_back)
    }

    /// Keeps queued requests from being completed: their IRPs are the driver's leaks.
    fn abandon(&self) {
        core::mem::forget((
            self.datagram().map(Datagram::abandon),
            self.connection().map(Connection::abandon),
            self.listening().map(Listening::abandon),
        ));
    }
}

/// A socket.
pub(crate) struct Socket {
    /// The driver's `WSK_SOCKET`, in a block that is freed when the socket is closed. The driver cannot access it after that.
    handle: *mut WSK_SOCKET,
    number: usize,
    pub(crate) family: Family,
    pub(crate) category: Category,
    pub(crate) options: Mutex<Options>,
    /// The security descriptor that the driver gave the socket, as a self-relative copy.
    pub(crate) security: Mutex<Option<Vec<u8>>>,
    client: Arc<Client>,
    /// The host's socket; `None` once the socket is closed.
    real: RwLock<Option<socket2::Socket>>,
    /// The number of calls of the socket's functions that have not returned yet.
    calls: AtomicU32,
    forced_closed: AtomicBool,
    life: Mutex<Life>,
    origin: Origin,
    /// The time at which the socket was made.
    pub(crate) made: Instant,
}

// SAFETY: the raw pointers inside are the driver's context and tables, which it keeps for as long as the socket is open and
// which are given back to it only; all else is synchronised.
unsafe impl Send for Socket {}
// SAFETY: through `&Socket` the raw pointers are only copied; all else is synchronised.
unsafe impl Sync for Socket {}

#[derive(Default)]
struct Life {
    /// The number of IRPs in flight, except that of the close, plus the number of running event callbacks.
    flights: usize,
    closing: bool,
    /// The close, once it only waits for the flights to end.
    close: Option<Request>,
}

/// A running call of one of a socket's functions.
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

/// Finds the socket that the driver calls a function for; stops the system when there is none, or it is closed.
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
    if let Some(socket) = CLOSED.lock().get(address) {
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
        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, socket.address(), 0, 0),
        [socket.story()],
        "{function} was called for a socket after WskCloseSocket"
    )
}

impl Socket {
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// The address of the driver's `WSK_SOCKET`.
    pub(crate) fn address(&self) -> usize {
        self.handle as usize
    }

    /// The driver's `WSK_SOCKET`.
    pub(crate) fn handle(&self) -> *mut WSK_SOCKET {
        self.handle
    }

    pub(crate) fn is_forced_closed(&self) -> bool {
        self.forced_closed.load(Ordering::SeqCst)
    }

    /// The datagram part; stops the system when the socket is of another category.
    pub(crate) fn datagram(&self, function: &'static str) -> &Datagram {
        self.category
            .datagram()
            .unwrap_or_else(|| self.of_another_category(function))
    }

    /// The connection-oriented part; stops the system when the socket is of another category.
    pub(crate) fn connection(&self, function: &'static str) -> &Connection {
        self.category
            .connection()
            .unwrap_or_else(|| self.of_another_category(function))
    }

    /// The listening part; stops the system when the socket is of another category.
    pub(crate) fn listening(&self, function: &'static str) -> &Listening {
        self.category
            .listening()
            .unwrap_or_else(|| self.of_another_category(function))
    }

    /// Stops the system: the driver called a function that sockets of this category don't have.
    #[cold]
    pub(crate) fn of_another_category(&self, function: &'static str) -> ! {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, self.address(), 0, 0),
            [self.story()],
            "{function} was called for a socket of another category"
        )
    }

    /// Describes the socket for a report.
    pub(crate) fn story(&self) -> String {
        format!("socket#{} made by {}", self.number, self.origin)
    }

    /// The event callbacks that are enabled on every new socket of the client.
    pub(crate) fn static_events(&self) -> u32 {
        self.client.static_events.load(Ordering::SeqCst)
    }

    /// Binds the host's socket, and returns the address that it is bound to.
    pub(crate) fn bind_real(&self, address: SocketAddr) -> Result<SocketAddr, NTSTATUS> {
        let shares = self.options.lock().shares();
        let connects = !matches!(self.category, Category::Basic | Category::Datagram(_));
        if self.family == Family::Unix && address::unix::is_unnamed(address) {
            // The socket stays without a name.
            return Ok(address);
        }
        let to = self
            .family
            .to_host(address)
            .map_err(|error| address::bind_status(&error, shares))?;
        let bound = self.with_real(|real| {
            match real.bind(&to) {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse
                        && connects
                        && host::OLD_CONNECTIONS_BLOCK =>
                {
                    // On Windows the remains of an earlier listener's connections don't block the port.
                    real.set_reuse_address(true)?;
                    if let Err(error) = real.bind(&to) {
                        real.set_reuse_address(shares)?;
                        return Err(error);
                    }
                }
                outcome => outcome?,
            }
            self.family
                .of_host(&real.local_addr()?)
                .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
        });
        match bound {
            Some(Ok(local)) => Ok(local),
            Some(Err(error)) => Err(address::bind_status(&error, shares)),
            None => Err(STATUS_FILE_FORCED_CLOSED),
        }
    }

    /// Closes the host's socket; the peer of a connection sees a reset.
    pub(crate) fn reset_real(&self) {
        if let Some(real) = self.take_real() {
            let _ = real.set_linger(Some(Duration::ZERO));
        }
    }

    /// Frees a socket that the driver does not keep.
    pub(crate) fn discard(self: &Arc<Self>) {
        self.life.lock().closing = true;
        self.reset_real();
        let address = self.address();
        let _ = OPEN.lock(address).remove(address);
        SOCKETS.down();
        self.free_handle();
        registration::socket_closed(&self.client);
    }

    /// Frees the driver's `WSK_SOCKET`, and forgets the driver's table and context. The driver must not access the `WSK_SOCKET` any
    /// more.
    fn free_handle(&self) {
        for pointers in self.category.pointers() {
            // SAFETY: the socket is only just being closed.
            unsafe { pointers.require_unchanged(self) };
            pointers::forget(&pointers);
        }
        if let Some(block) = pool::take(self.address(), |block| block.usage() == Use::Socket) {
            pool::release(block, "WskCloseSocket");
        }
    }

    /// Takes a request that is being cancelled out of its queue.
    pub(crate) fn cancelled(self: &Arc<Self>, irp: *mut IRP) -> Option<Request> {
        let category = &self.category;
        let datagram = category.datagram();
        let connection = category.connection();
        let listening = category.listening();
        datagram
            .and_then(|_| datagram::cancelled(self, irp))
            .or_else(|| connection.and_then(|_| connection::cancelled(self, irp)))
            .or_else(|| listening.and_then(|_| listen::cancelled(self, irp)))
    }

    /// Uses the host's socket; `None` once the socket is closed.
    pub(crate) fn with_real<R>(&self, body: impl FnOnce(&socket2::Socket) -> R) -> Option<R> {
        self.real.read().as_ref().map(body)
    }

    /// Watches the host's socket for the next arrival.
    pub(crate) fn watch(&self) {
        self.watch_for(Interest {
            readable: true,
            ..Interest::default()
        });
    }

    pub(crate) fn watch_for(&self, interest: Interest) {
        self.with_real(|real| network::watch(self.number, real, interest));
    }

    /// Handles an event of the host's socket. `breaks` tells that the connection is ending abnormally.
    pub(crate) fn ready(self: &Arc<Self>, breaks: bool) {
        origin::for_driver(self.origin.driver(), || self.advance(breaks));
    }

    fn advance(self: &Arc<Self>, breaks: bool) {
        if self.category.datagram().is_some() {
            datagram::readable(self);
        }
        if self.category.connection().is_some() {
            if breaks {
                connection::alarm(self);
            }
            connection::pump(self);
        }
        if self.category.listening().is_some() {
            listen::pump(self);
        }
    }

    /// Counts an IRP in flight, or an event callback that begins.
    pub(crate) fn took_off(&self) {
        self.life.lock().flights += 1;
    }

    /// As [`took_off`](Self::took_off), unless the socket is being closed.
    pub(crate) fn take_off_unless_closing(&self) -> bool {
        let mut life = self.life.lock();
        life.flights += usize::from(!life.closing);
        !life.closing
    }

    /// Stops counting an IRP that was completed, or an event callback that has ended. The last one finishes the close.
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

    /// Takes the host's socket out, and stops watching it.
    pub(crate) fn take_real(&self) -> Option<socket2::Socket> {
        let real = self.real.write().take()?;
        network::remove(self.number, &real);
        Some(real)
    }

    fn finish_close(self: &Arc<Self>, close: Request) {
        // Documented: closing aborts a connection that isn't disconnected in both directions.
        if connection::keep_silent(self) {
            // A silent connection: its peer must not see the close.
        } else if self.category.connection().is_some() && connection::closing_aborts(self) {
            self.reset_real();
        } else {
            drop(self.take_real());
        }
        let address = self.address();
        let _ = OPEN.lock(address).remove(address);
        let replaced = CLOSED.lock().insert(address, self.clone());
        drop(replaced);
        self.free_handle();
        SOCKETS.down();
        close.complete(STATUS_SUCCESS, 0);
        // Last, because the driver may be unloaded once its sockets are closed. Its completion routine may have to free what it
        // kept for the socket first.
        registration::socket_closed(&self.client);
    }

    /// Force-closes the socket: it is no longer functional.
    fn force_close(self: &Arc<Self>) {
        self.forced_closed.store(true, Ordering::SeqCst);
        if self.category.datagram().is_some() {
            datagram::force_close(self);
        }
        if self.category.connection().is_some() {
            connection::force_close(self);
        }
        if self.category.listening().is_some() {
            listen::force_close(self);
        }
    }

    /// Cancels the pending requests: the socket is being closed.
    fn cancel_all(self: &Arc<Self>) {
        if self.category.datagram().is_some() {
            datagram::cancel_all(self);
        }
        if self.category.connection().is_some() {
            connection::cancel_all(self);
        }
        if self.category.listening().is_some() {
            listen::cancel_all(self);
        }
    }

    /// Soon tells an event callback that the socket is no longer functional. The caller has
    /// [counted](Self::take_off_unless_closing) the callback as a flight. `call` gets the driver's context and calls the callback;
    /// its `Err` says how the callback's answer breaks the contract. `end` follows.
    pub(crate) fn tell_useless(
        self: &Arc<Self>,
        callback: &'static str,
        pointers: Pointers,
        call: impl FnOnce(*mut c_void) -> Result<(), WrongAnswer> + Send + 'static,
        end: impl FnOnce(&Self) + Send + 'static,
    ) {
        let socket = Arc::clone(self);
        schedule::later(SOON, move || {
            // Moves the whole `Pointers` into the closure: it is `Send`, its fields are not.
            let Pointers { context, .. } = { pointers };
            let told = format_args!("NULL: the socket is no longer functional");
            if let Err(wrong) = callbacks::call(callback, told, || call(context)) {
                wrong.report(&socket, callback);
            }
            end(&socket);
            socket.landed();
        });
    }
}

/// The sockets that are, or may become, connections.
pub(crate) fn connections() -> Vec<Arc<Socket>> {
    let mut connections = Vec::new();
    OPEN.each(|_, socket| {
        if socket.category.connection().is_some() {
            connections.push(socket.clone());
        }
    });
    connections
}

/// Force-closes every open socket.
pub(crate) fn force_close_all() {
    let mut open = Vec::new();
    OPEN.each(|_, socket| open.push(socket.clone()));
    for socket in open {
        socket.force_close();
    }
}

/// Waits for the sockets that are being closed; returns whether there were any.
pub(crate) fn settle(deadline: Instant) -> bool {
    let mut waited = false;
    while OPEN
        .find(|_, socket| socket.life.lock().closing.then_some(()))
        .is_some()
        && Instant::now() < deadline
    {
        waited = true;
        std::thread::sleep(Duration::from_millis(1));
    }
    waited
}

/// Sockets that are open, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    let mut lines = Vec::new();
    OPEN.each(|address, socket| {
        if !whose.is(socket.origin.driver()) {
            return;
        }
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

/// Closes the remaining sockets, and forgets everything about sockets.
pub(crate) fn reset() {
    for (_, socket) in OPEN.extract(|_, _| true) {
        socket.category.abandon();
        core::mem::forget(socket.life.lock().close.take());
        *socket.real.write() = None;
    }
    *CLOSED.lock() = Recent::new();
    pointers::reset();
    extension::reset();
    connection::forget_silent();
    connection::set_ideal(0);
    indication::reset();
    NUMBERS.store(0, Ordering::Relaxed);
    SOCKETS.reset();
}

const UDP: u32 = IPPROTO::IPPROTO_UDP.0.cast_unsigned();
const TCP: u32 = IPPROTO::IPPROTO_TCP.0.cast_unsigned();

/// The transports that the provider has.
pub(crate) fn transports() -> [WSK_TRANSPORT; 4] {
    [
        (SOCK_DGRAM, UDP, AF_INET),
        (SOCK_DGRAM, UDP, AF_INET6),
        (SOCK_STREAM, TCP, AF_INET),
        (SOCK_STREAM, TCP, AF_INET6),
    ]
    .map(|(kind, protocol, family)| WSK_TRANSPORT {
        Version: registration::VERSION,
        SocketType: kind,
        Protocol: protocol,
        AddressFamily: family,
        ProviderId: GUID::default(),
    })
}

dispatched! {
    /// Makes a socket.
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
        let security = security::read("WskSocket", SecurityDescriptor);
        let length = security.as_ref().map_or(0, Vec::len);
        let uses = Uses::nothing("WskSocket").memory(
            SecurityDescriptor,
            length,
            "the security descriptor",
        );
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, uses, None) };
        let made = check_kind(AddressFamily, SocketType, Protocol, Flags);
        // SAFETY: the driver gives the table of the category that it asks for.
        let pointers =
            unsafe { Pointers::of_category("WskSocket", Flags, SocketContext, Dispatch) };
        let origin = Origin::here("WskSocket");
        let mut making = Some((client, pointers, origin));
        let status = request.carry_out(move || {
            use super::request::Outcome::Done;
            let (Ok((family, flags)), Some((client, pointers, origin))) = (made, making.take())
            else {
                return Done(made.err().unwrap_or(STATUS_INVALID_PARAMETER), 0);
            };
            match make(family, flags, client, pointers, origin) {
                Ok(socket) => {
                    socket.security.lock().clone_from(&security);
                    Done(STATUS_SUCCESS, socket.address())
                }
                Err(status) => Done(status, 0),
            }
        });
        trace::returned("WskSocket", status)
    }
}

/// Stops the system when a block that is being freed holds a table of an open socket, or a context that an event callback may get.
pub(crate) fn memory_freed(block: &Block) {
    let range = block.range();
    if !pointers::are_kept_in(&range) {
        return;
    }
    OPEN.each(|_, socket| {
        for pointers in socket.category.pointers() {
            let [table, context] = pointers.lie_in(&range);
            let what = if table {
                "the table of event callbacks of an open socket"
            } else if context && socket.category.may_call_back() {
                "the context of a socket whose event callbacks are enabled or running"
            } else {
                continue;
            };
            bugcheck!(
                PAGE_FAULT_IN_FREED_SPECIAL_POOL(range.start, socket.address(), range.len(), 0),
                [block, socket.story()],
                "memory was freed that holds {what}"
            )
        }
    });
}

/// Used like the flag of a category: a listening socket over UDP, which can be made and not bound.
const LISTEN_FOR_DATAGRAMS: u32 = 1 << 31 | WSK_FLAG_LISTEN_SOCKET;
/// Used like the flag of a category: a basic socket over TCP.
const BASIC_FOR_STREAMS: u32 = 1 << 31 | WSK_FLAG_BASIC_SOCKET;

/// Checks which kind of socket a driver asks for.
pub(crate) fn check_kind(
    family: u16,
    kind: u16,
    protocol: u32,
    flags: u32,
) -> Result<(Family, u32), NTSTATUS> {
    let family = Family::new(family).ok_or(STATUS_NOT_SUPPORTED)?;
    let wanted = match flags {
        // Documented: Windows has this category from Windows 10, version 1703, on.
        WSK_FLAG_STREAM_SOCKET if windows_version().2 < 15063 => None,
        // Seen on Windows: a driver can make such a socket, but not bind it.
        WSK_FLAG_LISTEN_SOCKET if kind == SOCK_DGRAM => {
            return if protocol == UDP {
                Ok((family, LISTEN_FOR_DATAGRAMS))
            } else {
                Err(STATUS_INVALID_PARAMETER)
            };
        }
        WSK_FLAG_LISTEN_SOCKET | WSK_FLAG_CONNECTION_SOCKET | WSK_FLAG_STREAM_SOCKET => {
            // `AF_UNIX` has one protocol, which has no number.
            Some((SOCK_STREAM, if family == Family::Unix { 0 } else { TCP }))
        }
        WSK_FLAG_BASIC_SOCKET | WSK_FLAG_DATAGRAM_SOCKET if family == Family::Unix => {
            // Windows has only streams of `AF_UNIX`.
            return Err(STATUS_NOT_SUPPORTED);
        }
        WSK_FLAG_BASIC_SOCKET if kind == SOCK_STREAM => Some((SOCK_STREAM, TCP)),
        WSK_FLAG_BASIC_SOCKET | WSK_FLAG_DATAGRAM_SOCKET => Some((SOCK_DGRAM, UDP)),
        _ => None,
    };
    match wanted {
        Some((SOCK_STREAM, TCP))
            if flags == WSK_FLAG_BASIC_SOCKET && (kind, protocol) == (SOCK_STREAM, TCP) =>
        {
            Ok((family, BASIC_FOR_STREAMS))
        }
        Some(wanted) if wanted == (kind, protocol) => Ok((family, flags)),
        Some((wanted, _)) if wanted == kind => Err(STATUS_INVALID_PARAMETER),
        Some(_) => Err(STATUS_NOT_SUPPORTED),
        None => Err(STATUS_INVALID_PARAMETER),
    }
}

/// Makes a socket, and the host's socket for it.
pub(crate) fn make(
    family: Family,
    flags: u32,
    client: Arc<Client>,
    pointers: Pointers,
    origin: Origin,
) -> Result<Arc<Socket>, NTSTATUS> {
    let datagrams = matches!(flags, WSK_FLAG_DATAGRAM_SOCKET | WSK_FLAG_BASIC_SOCKET);
    let (kind, protocol) = if datagrams {
        (socket2::Type::DGRAM, socket2::Protocol::UDP)
    } else {
        (socket2::Type::STREAM, socket2::Protocol::TCP)
    };
    let protocol = Some(protocol).filter(|_| family != Family::Unix);
    let real = socket2::Socket::new(family.domain(), kind, protocol)
        .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    if family == Family::V6 {
        // On Windows an IPv6 socket is for IPv6 only unless the driver changes that; hosts differ.
        real.set_only_v6(true)
            .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    }
    if let Some(room) = host::ROOM_FOR_DATAGRAMS.filter(|_| datagrams) {
        real.set_send_buffer_size(room)
            .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    }
    let events = client.static_events.load(Ordering::SeqCst);
    let (dispatch, category) = match flags {
        WSK_FLAG_BASIC_SOCKET | BASIC_FOR_STREAMS => (
            (&raw const BASIC_DISPATCH).cast::<c_void>(),
            Category::Basic,
        ),
        WSK_FLAG_DATAGRAM_SOCKET => (
            (&raw const datagram::DISPATCH).cast(),
            Category::Datagram(Datagram::new(pointers, events)),
        ),
        WSK_FLAG_LISTEN_SOCKET | LISTEN_FOR_DATAGRAMS => (
            (&raw const listen::DISPATCH).cast(),
            Category::Listen(Listening::new(
                pointers,
                events,
                flags == LISTEN_FOR_DATAGRAMS,
            )),
        ),
        WSK_FLAG_STREAM_SOCKET => {
            let (connect, listen) = listen::stream_pointers(pointers);
            (
                (&raw const listen::STREAM_DISPATCH).cast(),
                Category::Stream(
                    Connection::new(connect, events),
                    Listening::new(listen, events, false),
                ),
            )
        }
        _ => (
            (&raw const connection::DISPATCH).cast(),
            Category::Connection(Connection::new(pointers, events)),
        ),
    };
    open(family, dispatch, category, client, real, origin)
}

/// Makes the socket of a connection that the host has accepted.
pub(crate) fn make_accepted(
    listening: &Socket,
    connection: Connection,
    real: socket2::Socket,
) -> Result<Arc<Socket>, NTSTATUS> {
    let dispatch = if deviation::no_table() {
        ptr::null()
    } else {
        (&raw const connection::DISPATCH).cast()
    };
    open(
        listening.family,
        dispatch,
        Category::Connection(connection),
        Arc::clone(&listening.client),
        real,
        Origin::here("accepting a connection"),
    )
}

fn open(
    family: Family,
    dispatch: *const c_void,
    category: Category,
    client: Arc<Client>,
    real: socket2::Socket,
    origin: Origin,
) -> Result<Arc<Socket>, NTSTATUS> {
    real.set_nonblocking(true)
        .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    if family.is_ip() && category.connection().is_some() {
        // WSK has no function that receives urgent data separately.
        real.set_out_of_band_inline(true)
            .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    }
    let handle = pool::allocate(
        size_of::<WSK_SOCKET>(),
        u32::from_le_bytes(*b"WskS"),
        Use::Socket,
        true,
        Origin::here("the provider"),
    )
    .ok_or(STATUS_INSUFFICIENT_RESOURCES)?
    .cast::<WSK_SOCKET>();
    // SAFETY: the block has room for it, and belongs to nobody yet.
    unsafe { handle.write(WSK_SOCKET { Dispatch: dispatch }) };
    client.sockets.fetch_add(1, Ordering::SeqCst);
    SOCKETS.up();
    let socket = Arc::new(Socket {
        handle,
        number: NUMBERS.fetch_add(1, Ordering::Relaxed) + 1,
        family,
        category,
        options: Mutex::new(Options::default()),
        security: Mutex::new(None),
        client,
        real: RwLock::new(None),
        calls: AtomicU32::new(0),
        forced_closed: AtomicBool::new(false),
        life: Mutex::new(Life::default()),
        origin,
        made: Instant::now(),
    });
    for pointers in socket.category.pointers() {
        pointers::keep(&pointers);
    }
    if network::add(&socket, &real).is_err() {
        socket.free_handle();
        SOCKETS.down();
        registration::socket_closed(&socket.client);
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    *socket.real.write() = Some(real);
    connection::note_ideal(&socket);
    let address = socket.address();
    let _ = CLOSED.lock().remove(address);
    let _ = OPEN.lock(address).insert(address, Arc::clone(&socket));
    Ok(socket)
}

dispatched! {
    /// Closes a socket: cancels its pending requests, waits for those that are under way, and frees it.
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
                [socket.story()],
                "WskCloseSocket was called while another thread is inside a function of the same socket"
            )
        }
        if let Some(retained) = indication::retained(Socket as usize) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, Socket as usize, 0, 0),
                [retained],
                "WskCloseSocket was called while indications are retained: WskRelease can't be called any more"
            )
        }
        // SAFETY: the driver gives the IRP.
        let close = unsafe { Request::start(Irp, Uses::nothing("WskCloseSocket"), None) };
        socket.life.lock().closing = true;
        let plan = schedule::plan();
        if plan != Plan::Now {
            close.pend();
        }
        socket.cancel_all();
        let socket = Arc::clone(&socket);
        let status = match plan {
            Plan::Now => shut(&socket, close, true),
            Plan::DoLater(when) | Plan::CompleteLater(when) => {
                schedule::later(when, move || {
                    let _ = shut(&socket, close, false);
                });
                STATUS_PENDING
            }
        };
        trace::returned("WskCloseSocket", status)
    }
}

/// Finishes a close, or leaves the close to the last flight.
fn shut(socket: &Arc<Socket>, close: Request, inline: bool) -> NTSTATUS {
    {
        let mut life = socket.life.lock();
        if life.flights > 0 {
            if inline {
                close.pend();
            }
            life.close = Some(close);
            return STATUS_PENDING;
        }
    }
    socket.finish_close(close);
    STATUS_SUCCESS
}
