//! Connection-oriented sockets: `WSK_PROVIDER_CONNECTION_DISPATCH` over the host's TCP sockets. Stands for the part of
//! `afd.sys` and `tcpip.sys` that has one connection.

use core::ffi::c_void;
use core::ops::Range;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wsk_sys::{
    CMSGHDR, EPROCESS, ETHREAD, IRP, NTSTATUS, SOCKADDR, STATUS_ADDRESS_ALREADY_ASSOCIATED,
    STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED, STATUS_CONNECTION_ABORTED, STATUS_CONNECTION_ACTIVE,
    STATUS_CONNECTION_DISCONNECTED, STATUS_DATA_NOT_ACCEPTED, STATUS_FILE_FORCED_CLOSED,
    STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS, WSK_BUF, WSK_CLIENT_CONNECTION_DISPATCH,
    WSK_DATA_INDICATION, WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE, WSK_EVENT_SEND_BACKLOG,
    WSK_FLAG_ABORTIVE, WSK_FLAG_AT_DISPATCH_LEVEL, WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DRAIN,
    WSK_FLAG_NODELAY, WSK_FLAG_WAITALL, WSK_INSPECT_ID, WSK_PROVIDER_CONNECTION_DISPATCH,
    WSK_SOCKET,
};

use super::binding::{WskBind, WskGetLocalAddress, WskGetRemoteAddress};
use super::callbacks::{self, Callbacks, Disabled};
use super::network::Interest;
use super::pending::{Pending, Waiting};
use super::request::{Request, Uses};
use super::socket::{self, Pointers, Socket};
use super::{address, indication, registration};
use crate::bugcheck::{bugcheck, violation};
use crate::flight::Flight;
use crate::origin::Origin;
use crate::schedule::{self, Plan, SOON, When};
use crate::trace;

/// What `WSK_SOCKET::Dispatch` of a connection socket points at.
pub(crate) static DISPATCH: WSK_PROVIDER_CONNECTION_DISPATCH = WSK_PROVIDER_CONNECTION_DISPATCH {
    Basic: socket::BASIC,
    WskBind: Some(WskBind),
    WskConnect: Some(WskConnect),
    WskGetLocalAddress: Some(WskGetLocalAddress),
    WskGetRemoteAddress: Some(WskGetRemoteAddress),
    WskSend: Some(WskSend),
    WskReceive: Some(WskReceive),
    WskDisconnect: Some(WskDisconnect),
    WskRelease: Some(WskRelease),
    WskConnectEx: Some(WskConnectEx),
    WskSendEx: Some(WskSendEx),
    WskReceiveEx: Some(WskReceiveEx),
};

/// The event callbacks that a connection has.
pub(crate) const EVENTS: u32 = WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT | WSK_EVENT_SEND_BACKLOG;
/// How much is taken from the host's socket at once, and so the most that one indication describes.
const CHUNK: usize = 1 << 16;
/// How much is taken from the host's socket to see how much there is.
const BACKLOG: usize = 1 << 20;
/// The most that `WskConnectEx` sends.
const MAXIMUM_WITH_CONNECT: usize = 65_535;
/// How many pieces of memory go to the host at once.
const PIECES: usize = 64;
/// How often the end of a graceful disconnect is looked for.
const DRAINING: Duration = Duration::from_millis(1);

/// What only connection-oriented sockets have.
pub(crate) struct Connection {
    pointers: Mutex<Pointers>,
    /// What the driver knew it by when it inspected it.
    pub(crate) inspected: Option<WSK_INSPECT_ID>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It isn't connected, and perhaps not bound either.
    New,
    /// A connect is under way.
    Connecting,
    Connected,
    /// A stream socket that listens: it will never be connected.
    Listening,
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "each direction ends by itself, and each event comes by itself"
)]
struct State {
    phase: Phase,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    connects: Pending<Connect>,
    /// What is to be sent, in order: data, and a graceful disconnect as the last.
    transmits: Pending<Transmit>,
    receives: Pending<Receive>,
    /// A graceful disconnect was asked for: nothing more can be sent.
    finishing: bool,
    /// It is done: the peer has everything.
    finished: bool,
    /// Whether the end of a graceful disconnect is being looked for.
    draining: bool,
    /// What has come from the host's socket and nobody has received yet.
    unread: Vec<u8>,
    /// The peer has disconnected gracefully: nothing more will come.
    ended: bool,
    /// The connection is gone: what everything fails with.
    broken: Option<NTSTATUS>,
    /// The host has told that the connection breaks, so that it isn't watched for any more.
    alarmed: bool,
    callbacks: Callbacks,
    /// The driver hasn't accepted all it was indicated: nothing is indicated until it calls `WskReceive`.
    stalled: bool,
    /// `WskReceiveEvent` is being called: what has arrived since waits until it is known what was accepted.
    indicating: bool,
    /// `WskDisconnectEvent` was called.
    told: bool,
}

/// A pending `WskConnect`, `WskConnectEx` or `WskSocketConnect`.
struct Connect {
    request: Request,
    to: SocketAddr,
    /// What is sent first.
    data: Vec<Range<usize>>,
    /// The call made the socket and gives it out, or does away with it.
    made: bool,
    /// Whether the host was told already.
    started: bool,
    /// Whether the policy of the kernel lets it begin.
    ripe: bool,
}

/// A pending `WskSend` or graceful `WskDisconnect`.
struct Transmit {
    request: Request,
    data: Vec<Range<usize>>,
    sent: usize,
    purpose: Purpose,
    no_delay: bool,
    ripe: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Send,
    /// Data of `WskConnectEx`.
    Connect,
    Disconnect {
        /// Whether the host was told.
        shut: bool,
    },
}

/// A pending `WskReceive`.
struct Receive {
    request: Request,
    data: Vec<Range<usize>>,
    until: Until,
    control: Control,
}

/// When a receive is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Something,
    /// `WSK_FLAG_WAITALL`
    Full,
    /// `WSK_FLAG_DRAIN`
    End,
}

/// Where `WskReceiveEx` puts the length of control information. There is none so far.
#[derive(Clone, Copy)]
struct Control(*mut u32);

// SAFETY: the driver keeps the place until the IRP is completed, on whatever thread.
unsafe impl Send for Control {}

impl Waiting for Connect {
    fn request(&self) -> &Request {
        &self.request
    }
}

impl Waiting for Transmit {
    fn request(&self) -> &Request {
        &self.request
    }
}

impl Waiting for Receive {
    fn request(&self) -> &Request {
        &self.request
    }
}

impl Connection {
    /// A socket that isn't bound.
    pub(crate) fn new(pointers: Pointers, static_events: u32) -> Self {
        Self {
            pointers: Mutex::new(pointers),
            inspected: None,
            state: Mutex::new(State {
                phase: Phase::New,
                local: None,
                remote: None,
                connects: Pending::new(),
                transmits: Pending::new(),
                receives: Pending::new(),
                finishing: false,
                finished: false,
                draining: false,
                unread: Vec::new(),
                ended: false,
                broken: None,
                alarmed: false,
                callbacks: Callbacks::new(static_events & EVENTS),
                stalled: false,
                indicating: false,
                told: false,
            }),
        }
    }

    /// A socket that a listening one has accepted.
    pub(crate) fn accepted(
        pointers: Pointers,
        static_events: u32,
        local: SocketAddr,
        remote: SocketAddr,
        inspected: Option<WSK_INSPECT_ID>,
    ) -> Self {
        let connection = Self {
            inspected,
            ..Self::new(pointers, static_events)
        };
        {
            let mut state = connection.state.lock();
            state.phase = Phase::Connected;
            state.local = Some(local);
            state.remote = Some(remote);
        }
        connection
    }

    /// What the driver gives for the callbacks only once it has accepted the socket.
    pub(crate) fn set_pointers(&self, pointers: Pointers) {
        *self.pointers.lock() = pointers;
    }

    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.state.lock().local
    }

    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        let state = self.state.lock();
        (state.phase == Phase::Connected).then_some(state.remote)?
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state.lock().phase == Phase::Connected
    }

    /// How many bytes have arrived and weren't received yet.
    pub(crate) fn backlog(&self, socket: &Socket) -> usize {
        let mut state = self.state.lock();
        state.read_host(socket, BACKLOG);
        state.unread.len()
    }

    /// A stream socket begins to listen: gives the address that it is bound to.
    pub(crate) fn commit_to_listening(&self) -> Result<SocketAddr, NTSTATUS> {
        let mut state = self.state.lock();
        match (state.phase, state.local) {
            (Phase::New, Some(local)) => {
                state.phase = Phase::Listening;
                Ok(local)
            }
            _ => Err(STATUS_INVALID_DEVICE_STATE),
        }
    }

    /// Gives up what is pending, when the kernel is shut down.
    pub(crate) fn abandon(&self) -> impl Sized + use<> {
        let mut state = self.state.lock();
        (
            state.connects.abandon(),
            state.transmits.abandon(),
            state.receives.abandon(),
            state.callbacks.abandon(),
        )
    }

    /// The driver's table and context.
    fn table(&self) -> (Option<WSK_CLIENT_CONNECTION_DISPATCH>, *mut c_void) {
        let pointers = self.pointers.lock();
        // SAFETY: the driver keeps its dispatch table while the socket is open.
        let table = unsafe {
            pointers
                .dispatch
                .cast::<WSK_CLIENT_CONNECTION_DISPATCH>()
                .as_ref()
        };
        (table.copied(), pointers.context)
    }

    /// Whether the driver has given a callback for each of `events`.
    pub(crate) fn has_callbacks(&self, events: u32) -> bool {
        let (table, _) = self.table();
        let Some(table) = table else {
            return events == 0;
        };
        (events & WSK_EVENT_RECEIVE == 0 || table.WskReceiveEvent.is_some())
            && (events & WSK_EVENT_DISCONNECT == 0 || table.WskDisconnectEvent.is_some())
            && (events & WSK_EVENT_SEND_BACKLOG == 0 || table.WskSendBacklogEvent.is_some())
    }

    /// Enables event callbacks.
    pub(crate) fn enable_events(&self, events: u32) -> NTSTATUS {
        if events & !EVENTS != 0 || !self.has_callbacks(events) {
            return STATUS_INVALID_PARAMETER;
        }
        let mut state = self.state.lock();
        if state.phase != Phase::Connected {
            return STATUS_INVALID_DEVICE_STATE;
        }
        state.callbacks.enable(events);
        STATUS_SUCCESS
    }

    /// Enables those event callbacks that a listening socket, or the client, has enabled for it.
    pub(crate) fn inherit_events(&self, events: u32) {
        self.state.lock().callbacks.enable(events & EVENTS);
    }

    /// Disables an event callback.
    pub(crate) fn disable_events(&self, event: u32, request: Option<Request>) -> Disabled {
        self.state.lock().callbacks.disable(event, request)
    }
}

impl State {
    /// Whether data can go through the connection now.
    fn usable(&self) -> Result<(), NTSTATUS> {
        match (self.phase, self.broken) {
            (_, Some(broken)) => Err(broken),
            (Phase::Connected, None) => Ok(()),
            _ => Err(STATUS_INVALID_DEVICE_STATE),
        }
    }

    /// Takes what has arrived from the host's socket, until there are `wanted` bytes or there is no more.
    fn read_host(&mut self, socket: &Socket, wanted: usize) {
        if self.phase != Phase::Connected {
            return;
        }
        while self.unread.len() < wanted && !self.ended && self.broken.is_none() {
            let start = self.unread.len();
            self.unread.reserve(CHUNK);
            let room = &mut self.unread.spare_capacity_mut()[..CHUNK];
            match socket.with_real(|real| real.recv(room)) {
                Some(Ok(0)) => self.ended = true,
                // SAFETY: the host has written as many bytes.
                Some(Ok(length)) => unsafe { self.unread.set_len(start + length) },
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
                Some(Err(error)) => self.broken = Some(address::connection_status(&error)),
                None => return,
            }
        }
    }

    /// What is worth being woken for.
    fn interest(&self) -> Interest {
        let mut interest = Interest::default();
        match self.phase {
            Phase::Connecting => {
                interest.writable = self.connects.front().is_some_and(|first| first.started);
            }
            Phase::Connected if self.broken.is_none() => {
                let drains = matches!(
                    self.transmits.front().map(|first| first.purpose),
                    Some(Purpose::Disconnect { shut: true })
                );
                interest.writable =
                    !drains && self.transmits.front().is_some_and(|first| first.ripe);
                let telling = self.callbacks.is_enabled(WSK_EVENT_DISCONNECT) && !self.told;
                let indicates = self.callbacks.is_enabled(WSK_EVENT_RECEIVE) && !self.stalled;
                interest.readable = !self.ended
                    && !self.indicating
                    && (!self.receives.is_empty()
                        || indicates
                        || telling && self.unread.is_empty());
                // Behind what nobody reads an end isn't seen; that the connection breaks is.
                interest.breaking = telling && !self.alarmed && !interest.readable && !self.ended;
            }
            _ => {}
        }
        interest
    }

    fn watch(&self, socket: &Socket) {
        let interest = self.interest();
        if interest != Interest::default() {
            socket.watch_for(interest);
        }
    }
}

/// Looks at everything that waits, when the host's socket may be ready for it or something else has changed.
pub(crate) fn pump(socket: &Arc<Socket>) {
    advance_connect(socket);
    advance_transmits(socket);
    advance_receives(socket);
    let connection = socket.connection("the network");
    let state = connection.state.lock();
    state.watch(socket);
}

/// The host tells that the connection breaks.
pub(crate) fn alarm(socket: &Socket) {
    let mut state = socket.connection("the network").state.lock();
    if state.phase != Phase::Connected {
        return;
    }
    state.alarmed = true;
    if state.unread.is_empty() {
        // Whoever reads will learn it.
        return;
    }
    if let Some(Ok(Some(error))) = socket.with_real(socket2::Socket::take_error) {
        state.broken = Some(address::connection_status(&error));
    }
}

/// Does [`pump`] soon, on the thread that does deferred work.
pub(crate) fn kick(socket: &Arc<Socket>) {
    kick_at(socket, SOON);
}

fn kick_at(socket: &Arc<Socket>, when: When) {
    let socket = Arc::clone(socket);
    schedule::later(when, move || pump(&socket));
}

/// Binds a socket to a local address.
pub(crate) fn bind(socket: &Socket, address: SocketAddr) -> NTSTATUS {
    let mut state = socket.connection("WskBind").state.lock();
    if state.local.is_some() {
        return STATUS_ADDRESS_ALREADY_ASSOCIATED;
    }
    match socket.bind_real(address) {
        Ok(local) => {
            state.local = Some(local);
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

// Connecting.

dispatched! {
    /// Connects a bound socket to a remote address.
    fn WskConnect(
        Socket: *mut WSK_SOCKET,
        RemoteAddress: *mut SOCKADDR,
        Flags: u32,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskConnect", Socket);
        socket.connection("WskConnect");
        let uses = Uses::nothing("WskConnect").memory(RemoteAddress, 2, "the remote address");
        // SAFETY: the driver gives the IRP and the address.
        let status = unsafe {
            let request = Request::start(Irp, uses, Some(&socket));
            connect_to(&socket, request, RemoteAddress, Flags, Vec::new())
        };
        trace::returned("WskConnect", status)
    }
}

dispatched! {
    /// Connects a bound socket to a remote address and sends data at once.
    fn WskConnectEx(
        Socket: *mut WSK_SOCKET,
        RemoteAddress: *mut SOCKADDR,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskConnectEx", Socket);
        socket.connection("WskConnectEx");
        let mut flight = Flight::new("WskConnectEx");
        if !Buffer.is_null() {
            // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
            unsafe { flight.pin_buffer(Buffer, &"the WSK_BUF of WskConnectEx") };
        }
        let uses = Uses::of(flight).memory(RemoteAddress, 2, "the remote address");
        let data = uses.data();
        // SAFETY: the driver gives the IRP and the address.
        let status = unsafe {
            let request = Request::start(Irp, uses, Some(&socket));
            connect_to(&socket, request, RemoteAddress, Flags, data)
        };
        trace::returned("WskConnectEx", status)
    }
}

/// # Safety
///
/// `remote` is readable, if it isn't null.
unsafe fn connect_to(
    socket: &Arc<Socket>,
    request: Request,
    remote: *const SOCKADDR,
    flags: u32,
    data: Vec<Range<usize>>,
) -> NTSTATUS {
    let to = if let Some(status) = request.refusal() {
        Err(status)
    } else if remote.is_null() || flags != 0 {
        Err(STATUS_INVALID_PARAMETER)
    } else if length_of(&data) > MAXIMUM_WITH_CONNECT {
        Err(STATUS_BUFFER_OVERFLOW)
    } else {
        // SAFETY: the caller says so.
        unsafe { address::read(remote, socket.family) }
    };
    let plan = schedule::plan();
    match to {
        Ok(to) => connect(
            socket,
            Connect {
                request,
                to,
                data,
                made: false,
                started: false,
                ripe: false,
            },
            plan,
        ),
        Err(status) => request.finish(plan, status, 0),
    }
}

fn connect(socket: &Arc<Socket>, mut connect: Connect, plan: Plan) -> NTSTATUS {
    let mut state = socket.connection("WskConnect").state.lock();
    let refused = if connect.to.port() == 0 || connect.to.ip().is_unspecified() {
        Some(STATUS_INVALID_ADDRESS_COMPONENT)
    } else if let Some(broken) = state.broken {
        Some(broken)
    } else {
        match state.phase {
            Phase::New if state.local.is_some() => None,
            Phase::New | Phase::Listening => Some(STATUS_INVALID_DEVICE_STATE),
            Phase::Connecting | Phase::Connected => Some(STATUS_CONNECTION_ACTIVE),
        }
    };
    if let Some(status) = refused {
        drop(state);
        return connect.give_up(socket, plan, status);
    }
    state.phase = Phase::Connecting;
    if plan != Plan::Now {
        connect.request.freeze();
    }
    if !matches!(plan, Plan::DoLater(_)) {
        connect.ripe = true;
        if let Some(status) = connect.attempt(socket) {
            return finish_connect(socket, state, connect, status, plan, false);
        }
        connect.request.freeze();
    }
    let irp = connect.request.irp();
    let cancelled = state.connects.push(socket, connect);
    if let Some(connect) = cancelled {
        state.give_up_connecting();
        drop(state);
        connect.discard_socket(socket);
        connect.request.complete_later(SOON, STATUS_CANCELLED, 0);
        return STATUS_PENDING;
    }
    state.watch(socket);
    drop(state);
    if let Plan::DoLater(when) = plan {
        let irp = irp as usize;
        let socket = Arc::clone(socket);
        schedule::later(when, move || {
            let connection = socket.connection("WskConnect");
            if let Some(connect) = connection.state.lock().connects.find(irp as *mut IRP) {
                connect.ripe = true;
            }
            pump(&socket);
        });
    }
    STATUS_PENDING
}

impl Connect {
    /// Connects the host's socket; `None` while that lasts.
    fn attempt(&mut self, socket: &Socket) -> Option<NTSTATUS> {
        if super::is_null_provider() {
            return Some(STATUS_SUCCESS);
        }
        let to = self.to.into();
        let begun = core::mem::replace(&mut self.started, true);
        let outcome = socket.with_real(|real| {
            if begun {
                if let Some(error) = real.take_error()? {
                    return Err(error);
                }
                match real.peer_addr() {
                    Ok(_) => Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
                    Err(error) => Err(error),
                }
            } else {
                let outcome = match real.connect(&to) {
                    // Linux says this once after an attempt that has failed.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                        real.connect(&to)
                    }
                    outcome => outcome,
                };
                match outcome {
                    Ok(()) => Ok(true),
                    Err(error) if in_progress(&error) => Ok(false),
                    Err(error) => Err(error),
                }
            }
        });
        match outcome {
            None => Some(STATUS_FILE_FORCED_CLOSED),
            Some(Ok(true)) => Some(STATUS_SUCCESS),
            Some(Ok(false)) => None,
            Some(Err(error)) => Some(address::connection_status(&error)),
        }
    }

    /// Completes a call that has failed.
    fn give_up(self, socket: &Arc<Socket>, plan: Plan, status: NTSTATUS) -> NTSTATUS {
        self.discard_socket(socket);
        self.request.finish(plan, status, 0)
    }

    /// Does away with a socket that the call has made and can't give out.
    fn discard_socket(&self, socket: &Arc<Socket>) {
        if self.made {
            socket.discard();
        }
    }
}

fn in_progress(error: &io::Error) -> bool {
    // EINPROGRESS has no kind of its own everywhere.
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::EINPROGRESS)
}

impl State {
    /// A connect was cancelled: the host may have got half of it done, so that the socket is good for nothing.
    fn give_up_connecting(&mut self) {
        self.phase = Phase::New;
        self.broken = Some(STATUS_CONNECTION_ABORTED);
    }
}

/// The host has connected, or hasn't. `waited` tells whether the IRP is marked pending already.
fn finish_connect(
    socket: &Arc<Socket>,
    mut state: parking_lot::MutexGuard<'_, State>,
    connect: Connect,
    status: NTSTATUS,
    plan: Plan,
    waited: bool,
) -> NTSTATUS {
    if status != STATUS_SUCCESS {
        state.phase = Phase::New;
        drop(state);
        connect.discard_socket(socket);
        if waited {
            connect.request.complete_later(plan.when(), status, 0);
            return STATUS_PENDING;
        }
        return connect.request.finish(plan, status, 0);
    }
    state.phase = Phase::Connected;
    state.remote = Some(connect.to);
    if let Some(Ok(local)) = socket.with_real(socket2::Socket::local_addr)
        && let Some(local) = local.as_socket()
    {
        state.local = Some(local);
    }
    let has_events = state.callbacks.is_enabled(EVENTS);
    if has_events {
        kick(socket);
    }
    if connect.data.is_empty() {
        drop(state);
        let information = if connect.made {
            Arc::as_ptr(socket) as usize
        } else {
            0
        };
        if waited {
            connect
                .request
                .complete_later(plan.when(), status, information);
            return STATUS_PENDING;
        }
        return connect.request.finish(plan, status, information);
    }
    drop(state);
    let transmit = Transmit {
        request: connect.request,
        data: connect.data,
        sent: 0,
        purpose: Purpose::Connect,
        no_delay: false,
        ripe: true,
    };
    transmit_now(socket, transmit, plan, waited)
}

fn advance_connect(socket: &Arc<Socket>) {
    let connection = socket.connection("the network");
    let mut state = connection.state.lock();
    if !state.connects.front().is_some_and(|connect| connect.ripe) {
        return;
    }
    let Some(mut connect) = state.connects.claim_first() else {
        return;
    };
    match connect.attempt(socket) {
        Some(status) => {
            let plan = schedule::plan();
            let _ = finish_connect(socket, state, connect, status, plan, true);
        }
        None => {
            if let Some(connect) = state.connects.put_back(socket, connect) {
                state.give_up_connecting();
                drop(state);
                connect.discard_socket(socket);
                connect.request.complete_later(SOON, STATUS_CANCELLED, 0);
            }
        }
    }
}

dispatched! {
    /// Makes, binds and connects a connection socket.
    fn WskSocketConnect(
        Client: *mut c_void,
        SocketType: u16,
        Protocol: u32,
        LocalAddress: *mut SOCKADDR,
        RemoteAddress: *mut SOCKADDR,
        Flags: u32,
        SocketContext: *mut c_void,
        Dispatch: *const WSK_CLIENT_CONNECTION_DISPATCH,
        OwningProcess: *mut EPROCESS,
        OwningThread: *mut ETHREAD,
        SecurityDescriptor: *mut c_void,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let client = registration::client("WskSocketConnect", Client);
        let uses = Uses::nothing("WskSocketConnect")
            .memory(LocalAddress, 2, "the local address")
            .memory(RemoteAddress, 2, "the remote address");
        // SAFETY: the driver gives the IRP.
        let mut request = unsafe { Request::start(Irp, uses, None) };
        let pointers = Pointers {
            context: SocketContext,
            dispatch: Dispatch.cast(),
        };
        let origin = Origin::here("WskSocketConnect");
        let addresses = || {
            if let Some(status) = request.refusal() {
                return Err(status);
            }
            if LocalAddress.is_null() || RemoteAddress.is_null() || Flags != 0 {
                return Err(STATUS_INVALID_PARAMETER);
            }
            // SAFETY: the driver gives the addresses; the local one says what family the socket is of.
            unsafe {
                let family = LocalAddress.cast::<u16>().read_unaligned();
                let (family, _) =
                    socket::check_kind(family, SocketType, Protocol, WSK_FLAG_CONNECTION_SOCKET)?;
                let local = address::read(LocalAddress, family)?;
                Ok((family, local, address::read(RemoteAddress, family)?))
            }
        };
        let plan = schedule::plan();
        let made = addresses().and_then(|(family, local, remote)| {
            let socket = socket::make(
                family,
                WSK_FLAG_CONNECTION_SOCKET,
                client,
                pointers,
                origin,
            )?;
            match bind(&socket, local) {
                STATUS_SUCCESS => Ok((socket, remote)),
                status => {
                    socket.discard();
                    Err(status)
                }
            }
        });
        let status = match made {
            Err(status) => request.finish(plan, status, 0),
            Ok((socket, to)) => {
                request.belongs_to(&socket);
                connect(
                    &socket,
                    Connect {
                        request,
                        to,
                        data: Vec::new(),
                        made: true,
                        started: false,
                        ripe: false,
                    },
                    plan,
                )
            }
        };
        trace::returned("WskSocketConnect", status)
    }
}

// Sending and disconnecting.

dispatched! {
    /// Sends data.
    fn WskSend(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskSend", Socket);
        socket.connection("WskSend");
        let mut flight = Flight::new("WskSend");
        // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
        unsafe { flight.pin_buffer(Buffer, &"the WSK_BUF of WskSend") };
        // SAFETY: the driver gives the IRP.
        let status = unsafe { send(&socket, Irp, Uses::of(flight), Flags, 0) };
        trace::returned("WskSend", status)
    }
}

dispatched! {
    /// Sends data with control information.
    fn WskSendEx(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        ControlInfoLength: u32,
        ControlInfo: *mut CMSGHDR,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskSendEx", Socket);
        socket.connection("WskSendEx");
        let mut flight = Flight::new("WskSendEx");
        // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
        unsafe { flight.pin_buffer(Buffer, &"the WSK_BUF of WskSendEx") };
        let uses = Uses::of(flight).contents(
            ControlInfo,
            ControlInfoLength as usize,
            "the control information",
        );
        // SAFETY: the driver gives the IRP.
        let status = unsafe { send(&socket, Irp, uses, Flags, ControlInfoLength) };
        trace::returned("WskSendEx", status)
    }
}

/// # Safety
///
/// The driver gave the IRP for this call.
unsafe fn send(
    socket: &Arc<Socket>,
    irp: *mut IRP,
    uses: Uses,
    flags: u32,
    control_length: u32,
) -> NTSTATUS {
    let data = uses.data();
    // SAFETY: the caller says so.
    let request = unsafe { Request::start(irp, uses, Some(socket)) };
    let refused = request.refusal().or_else(|| {
        // Documented: not every transport supports every flag. Control information isn't supported either so far.
        if flags & !WSK_FLAG_NODELAY != 0 || control_length != 0 {
            return Some(STATUS_NOT_SUPPORTED);
        }
        let state = socket.connection("WskSend").state.lock();
        match state.usable() {
            Ok(()) if state.finishing => Some(STATUS_CONNECTION_DISCONNECTED),
            Ok(()) => None,
            Err(status) => Some(status),
        }
    });
    let plan = schedule::plan();
    if let Some(status) = refused {
        return request.finish(plan, status, 0);
    }
    let transmit = Transmit {
        request,
        data,
        sent: 0,
        purpose: Purpose::Send,
        no_delay: flags & WSK_FLAG_NODELAY != 0,
        ripe: false,
    };
    transmit_now(socket, transmit, plan, false)
}

dispatched! {
    /// Disconnects: gracefully, perhaps with some last data, or abortively.
    fn WskDisconnect(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskDisconnect", Socket);
        let connection = socket.connection("WskDisconnect");
        let mut flight = Flight::new("WskDisconnect");
        if !Buffer.is_null() {
            // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
            unsafe { flight.pin_buffer(Buffer, &"the WSK_BUF of WskDisconnect") };
        }
        let uses = Uses::of(flight);
        let data = uses.data();
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, uses, Some(&socket)) };
        let abortive = Flags & WSK_FLAG_ABORTIVE != 0;
        let refused = request.refusal().or_else(|| {
            if Flags & !WSK_FLAG_ABORTIVE != 0 || abortive && !Buffer.is_null() {
                return Some(STATUS_INVALID_PARAMETER);
            }
            let mut state = connection.state.lock();
            match state.usable() {
                Err(status) => Some(status),
                Ok(()) if abortive => None,
                Ok(()) if state.finishing => Some(STATUS_CONNECTION_DISCONNECTED),
                Ok(()) => {
                    state.finishing = true;
                    None
                }
            }
        });
        let plan = schedule::plan();
        let status = match refused {
            Some(status) => request.finish(plan, status, 0),
            None if abortive => {
                abort(&socket);
                request.finish(plan, STATUS_SUCCESS, 0)
            }
            None => {
                let transmit = Transmit {
                    request,
                    data,
                    sent: 0,
                    purpose: Purpose::Disconnect { shut: false },
                    no_delay: false,
                    ripe: false,
                };
                transmit_now(&socket, transmit, plan, false)
            }
        };
        trace::returned("WskDisconnect", status)
    }
}

/// Breaks the connection from this side: what is to be sent is cancelled, what is to be received fails, and the peer sees a
/// reset.
fn abort(socket: &Arc<Socket>) {
    let (transmits, receives) = {
        let mut state = socket.connection("WskDisconnect").state.lock();
        if state.broken.is_some() {
            return;
        }
        state.broken = Some(STATUS_CONNECTION_ABORTED);
        state.unread.clear();
        socket.reset_real();
        (state.transmits.claim_all(), state.receives.claim_all())
    };
    for transmit in transmits {
        transmit
            .request
            .complete_by(schedule::plan(), STATUS_CANCELLED, 0);
    }
    for receive in receives {
        receive
            .request
            .complete_by(schedule::plan(), STATUS_CONNECTION_ABORTED, 0);
    }
}

fn length_of(data: &[Range<usize>]) -> usize {
    data.iter().map(Range::len).sum()
}

/// Sends, or queues behind what is being sent. `waited` tells whether the IRP is marked pending already.
fn transmit_now(
    socket: &Arc<Socket>,
    mut transmit: Transmit,
    plan: Plan,
    waited: bool,
) -> NTSTATUS {
    let mut state = socket.connection("WskSend").state.lock();
    if plan != Plan::Now {
        transmit.request.freeze();
    }
    transmit.ripe = waited || !matches!(plan, Plan::DoLater(_));
    if transmit.ripe
        && state.transmits.is_empty()
        && let Some((status, information)) = transmit.advance(socket, &mut state)
    {
        drop(state);
        if waited {
            transmit
                .request
                .complete_later(plan.when(), status, information);
            return STATUS_PENDING;
        }
        return transmit.request.finish(plan, status, information);
    }
    transmit.request.freeze();
    let (ripe, irp) = (transmit.ripe, transmit.request.irp() as usize);
    if let Some(transmit) = state.transmits.push(socket, transmit) {
        drop(state);
        finish_cancelled(socket, transmit);
        return STATUS_PENDING;
    }
    state.watch(socket);
    state.drain(socket);
    drop(state);
    if let (Plan::DoLater(when), false) = (plan, ripe) {
        let socket = Arc::clone(socket);
        schedule::later(when, move || {
            let connection = socket.connection("WskSend");
            if let Some(transmit) = connection.state.lock().transmits.find(irp as *mut IRP) {
                transmit.ripe = true;
            }
            pump(&socket);
        });
    }
    STATUS_PENDING
}

/// Completes a transmit whose IRP was cancelled. When a part of it is sent already, what follows would be taken for the rest
/// of it: the connection is aborted.
fn finish_cancelled(socket: &Arc<Socket>, transmit: Transmit) {
    transmit.after_cancel(socket);
    transmit
        .request
        .complete_by(schedule::plan(), STATUS_CANCELLED, 0);
}

impl Transmit {
    fn after_cancel(&self, socket: &Arc<Socket>) {
        let begun = self.sent > 0 || self.purpose == Purpose::Disconnect { shut: true };
        if begun && self.purpose != (Purpose::Disconnect { shut: true }) {
            abort(socket);
        } else {
            if let Purpose::Disconnect { shut: false } = self.purpose {
                socket.connection("WskDisconnect").state.lock().finishing = false;
            }
            // What is behind it can go on.
            kick(socket);
        }
    }

    /// Sends as much as the host takes; `None` when that isn't all.
    fn advance(&mut self, socket: &Socket, state: &mut State) -> Option<(NTSTATUS, usize)> {
        let total = length_of(&self.data);
        if super::is_null_provider() {
            return Some((STATUS_SUCCESS, total));
        }
        while self.sent < total {
            if let Some(broken) = state.broken {
                return Some((broken, 0));
            }
            let slices = self.rest();
            match socket.with_real(|real| send_to_host(real, &slices, self.no_delay)) {
                None => return Some((STATUS_FILE_FORCED_CLOSED, 0)),
                Some(Ok(sent)) => self.sent += sent,
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Some(Err(error)) => {
                    let status = address::connection_status(&error);
                    state.broken = Some(status);
                    return Some((status, 0));
                }
            }
        }
        let Purpose::Disconnect { shut } = self.purpose else {
            return Some((STATUS_SUCCESS, total));
        };
        if let Some(broken) = state.broken {
            return Some((broken, 0));
        }
        if !shut {
            self.purpose = Purpose::Disconnect { shut: true };
            socket.with_real(|real| real.shutdown(Shutdown::Write));
        }
        // Documented: it is completed only when the transport is done with it, that is when the peer has acknowledged.
        match socket.with_real(unacknowledged) {
            None => Some((STATUS_FILE_FORCED_CLOSED, 0)),
            Some(0) => {
                state.finished = true;
                Some((STATUS_SUCCESS, 0))
            }
            Some(_) => match socket.with_real(socket2::Socket::take_error) {
                Some(Ok(Some(error))) => {
                    let status = address::connection_status(&error);
                    state.broken = Some(status);
                    Some((status, 0))
                }
                _ => None,
            },
        }
    }

    /// What isn't sent yet.
    fn rest(&self) -> Vec<IoSlice<'_>> {
        let mut skip = self.sent;
        let mut slices = Vec::new();
        for piece in &self.data {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            if skipped < piece.len() && slices.len() < PIECES {
                let start = (piece.start + skipped) as *const u8;
                // SAFETY: the driver keeps the data readable until the IRP is completed; freeing it stops the system.
                let bytes = unsafe { core::slice::from_raw_parts(start, piece.len() - skipped) };
                slices.push(IoSlice::new(bytes));
            }
        }
        slices
    }
}

fn send_to_host(
    real: &socket2::Socket,
    slices: &[IoSlice<'_>],
    no_delay: bool,
) -> io::Result<usize> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const FLAGS: i32 = libc::MSG_NOSIGNAL;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const FLAGS: i32 = 0;
    if !no_delay || real.tcp_nodelay()? {
        return real.send_vectored_with_flags(slices, FLAGS);
    }
    real.set_tcp_nodelay(true)?;
    let sent = real.send_vectored_with_flags(slices, FLAGS);
    real.set_tcp_nodelay(false)?;
    sent
}

/// How many bytes the peer hasn't acknowledged, its end of the stream included.
fn unacknowledged(real: &socket2::Socket) -> i32 {
    use std::os::fd::AsRawFd;
    let mut bytes = 0;
    // SAFETY: the descriptor is open, and the request writes one integer there.
    let failed = unsafe { libc::ioctl(real.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) } != 0;
    if failed { 0 } else { bytes }
}

impl State {
    /// Looks again for the end of a graceful disconnect, in a while: hosts don't tell of it.
    fn drain(&mut self, socket: &Arc<Socket>) {
        let drains = matches!(
            self.transmits.front().map(|first| first.purpose),
            Some(Purpose::Disconnect { shut: true })
        );
        if drains && !self.draining {
            self.draining = true;
            let socket = Arc::clone(socket);
            schedule::later(SOON.after(DRAINING), move || {
                socket.connection("WskDisconnect").state.lock().draining = false;
                pump(&socket);
            });
        }
    }
}

fn advance_transmits(socket: &Arc<Socket>) {
    let connection = socket.connection("the network");
    loop {
        let mut state = connection.state.lock();
        if state.phase != Phase::Connected
            || !state.transmits.front().is_some_and(|first| first.ripe)
        {
            return;
        }
        let Some(mut transmit) = state.transmits.claim_first() else {
            return;
        };
        if let Some((status, information)) = transmit.advance(socket, &mut state) {
            drop(state);
            let when = schedule::plan().when();
            transmit.request.complete_later(when, status, information);
            continue;
        }
        let cancelled = state.transmits.put_back(socket, transmit);
        state.drain(socket);
        drop(state);
        if let Some(transmit) = cancelled {
            finish_cancelled(socket, transmit);
        }
        return;
    }
}

// Receiving.

dispatched! {
    /// Receives data.
    fn WskReceive(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskReceive", Socket);
        socket.connection("WskReceive");
        let mut flight = Flight::new("WskReceive");
        // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
        unsafe { flight.pin_buffer(Buffer, &"the WSK_BUF of WskReceive") };
        // SAFETY: the driver gives the IRP.
        let status = unsafe {
            receive(
                &socket,
                Irp,
                Uses::of(flight),
                Flags,
                Control(core::ptr::null_mut()),
            )
        };
        trace::returned("WskReceive", status)
    }
}

dispatched! {
    /// Receives data with control information.
    fn WskReceiveEx(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        ControlInfoLength: *mut u32,
        ControlInfo: *mut CMSGHDR,
        ControlFlags: *mut u32,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskReceiveEx", Socket);
        socket.connection("WskReceiveEx");
        let mut flight = Flight::new("WskReceiveEx");
        // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
        unsafe { flight.pin_buffer(Buffer, &"the WSK_BUF of WskReceiveEx") };
        if !ControlInfoLength.is_null() {
            flight.pin(
                ControlInfoLength as usize,
                size_of::<u32>(),
                "the place for the length of the control information",
            );
            // SAFETY: the driver gives the place, with the length of the buffer in it.
            let length = unsafe { ControlInfoLength.read_unaligned() };
            flight.pin(
                ControlInfo as usize,
                length as usize,
                "the place for the control information",
            );
        }
        // Documented: the parameter is reserved and has to be NULL.
        let flags = if ControlFlags.is_null() { Flags } else { u32::MAX };
        // SAFETY: the driver gives the IRP.
        let status = unsafe {
            receive(
                &socket,
                Irp,
                Uses::of(flight),
                flags,
                Control(ControlInfoLength),
            )
        };
        trace::returned("WskReceiveEx", status)
    }
}

/// # Safety
///
/// The driver gave the IRP for this call.
unsafe fn receive(
    socket: &Arc<Socket>,
    irp: *mut IRP,
    uses: Uses,
    flags: u32,
    control: Control,
) -> NTSTATUS {
    let data = uses.data();
    // SAFETY: the caller says so.
    let request = unsafe { Request::start(irp, uses, Some(socket)) };
    let connection = socket.connection("WskReceive");
    let until = match flags {
        0 => Ok(Until::Something),
        WSK_FLAG_WAITALL => Ok(Until::Full),
        // Documented: the length has to be zero.
        WSK_FLAG_DRAIN if data.is_empty() => Ok(Until::End),
        WSK_FLAG_DRAIN | u32::MAX => Err(STATUS_INVALID_PARAMETER),
        _ if flags == WSK_FLAG_DRAIN | WSK_FLAG_WAITALL => Err(STATUS_INVALID_PARAMETER),
        _ => Err(STATUS_NOT_SUPPORTED),
    };
    let refused = request.refusal().map_or(until, Err);
    let plan = schedule::plan();
    let mut state = connection.state.lock();
    let usable = refused.and_then(|until| match state.phase {
        Phase::Connected => Ok(until),
        _ => Err(state.broken.unwrap_or(STATUS_INVALID_DEVICE_STATE)),
    });
    let until = match usable {
        Ok(until) => until,
        Err(status) => {
            drop(state);
            return request.finish(plan, status, 0);
        }
    };
    if super::is_null_provider() {
        drop(state);
        return request.finish(plan, STATUS_SUCCESS, length_of(&data));
    }
    // Documented: any call of it lets indications go on.
    let stalled = core::mem::take(&mut state.stalled);
    let mut receive = Receive {
        request,
        data,
        until,
        control,
    };
    if plan == Plan::Now
        && state.receives.is_empty()
        && !state.indicating
        && let Some((status, length)) = receive.fill(socket, &mut state)
    {
        if stalled {
            kick(socket);
        }
        drop(state);
        receive.request.complete(status, length);
        return status;
    }
    let cancelled = state.receives.push(socket, receive);
    drop(state);
    if let Some(receive) = cancelled {
        receive.request.complete_later(SOON, STATUS_CANCELLED, 0);
    }
    // There may be something already, here or in the host's socket.
    kick(socket);
    STATUS_PENDING
}

impl Receive {
    /// Puts what has arrived where the driver wants it; `None` when it has to wait for more.
    fn fill(&mut self, socket: &Socket, state: &mut State) -> Option<(NTSTATUS, usize)> {
        let room = length_of(&self.data);
        match self.until {
            Until::Something if room == 0 => return Some(self.done(STATUS_SUCCESS, 0)),
            Until::Something => state.read_host(socket, 1),
            Until::Full => state.read_host(socket, room),
            Until::End => {
                while !state.ended && state.broken.is_none() {
                    state.unread.clear();
                    state.read_host(socket, 1);
                    if state.unread.is_empty() {
                        break;
                    }
                }
                state.unread.clear();
            }
        }
        let length = room.min(state.unread.len());
        let over = state.ended || state.broken.is_some();
        match (self.until, state.broken) {
            (Until::Something, _) if length > 0 => {}
            (Until::Full, _) if length == room => {}
            (_, Some(broken)) => return Some(self.done(broken, 0)),
            _ if over => {}
            _ => return None,
        }
        let mut from = 0;
        for piece in &self.data {
            let now = piece.len().min(length - from);
            // SAFETY: the driver keeps the buffer writable until the IRP is completed; freeing it stops the system.
            unsafe {
                core::ptr::copy_nonoverlapping(
                    state.unread.as_ptr().add(from),
                    piece.start as *mut u8,
                    now,
                );
            };
            from += now;
        }
        state.unread.drain(..length);
        Some(self.done(STATUS_SUCCESS, length))
    }

    fn done(&self, status: NTSTATUS, length: usize) -> (NTSTATUS, usize) {
        let Control(place) = self.control;
        if !place.is_null() {
            // SAFETY: the driver keeps the place writable until the IRP is completed.
            unsafe { place.write_unaligned(0) };
        }
        (status, length)
    }
}

/// What is to be done with what has arrived.
enum Arrived {
    Received(Receive, NTSTATUS, usize),
    Indicate(Vec<u8>),
    Tell { abortive: bool },
    Nothing,
}

impl State {
    fn arrived(&mut self, socket: &Arc<Socket>) -> Arrived {
        if self.phase != Phase::Connected || self.indicating {
            return Arrived::Nothing;
        }
        if !self.receives.is_empty() {
            let Some(mut receive) = self.receives.claim_first() else {
                return Arrived::Nothing;
            };
            if let Some((status, length)) = receive.fill(socket, self) {
                return Arrived::Received(receive, status, length);
            }
            return match self.receives.put_back(socket, receive) {
                Some(cancelled) => Arrived::Received(cancelled, STATUS_CANCELLED, 0),
                None => Arrived::Nothing,
            };
        }
        let indicates = self.callbacks.is_enabled(WSK_EVENT_RECEIVE) && !self.stalled;
        let tells = self.callbacks.is_enabled(WSK_EVENT_DISCONNECT) && !self.told;
        if indicates || tells {
            self.read_host(socket, 1);
        }
        if indicates && !self.unread.is_empty() {
            let length = self.unread.len().min(CHUNK);
            return Arrived::Indicate(self.unread.drain(..length).collect());
        }
        let over = self.ended && self.unread.is_empty();
        match self.broken {
            // Documented: it is for what the peer does.
            Some(broken) if tells && broken != STATUS_CONNECTION_ABORTED => {
                Arrived::Tell { abortive: true }
            }
            None if tells && over => Arrived::Tell { abortive: false },
            _ => Arrived::Nothing,
        }
    }
}

fn advance_receives(socket: &Arc<Socket>) {
    let connection = socket.connection("the network");
    loop {
        let mut state = connection.state.lock();
        match state.arrived(socket) {
            Arrived::Received(receive, status, length) => {
                drop(state);
                let when = schedule::plan().when();
                receive.request.complete_later(when, status, length);
            }
            Arrived::Indicate(bytes) => {
                if socket.is_forced_closed() || !socket.take_off_unless_closing() {
                    return;
                }
                state.indicating = true;
                state.callbacks.begin(WSK_EVENT_RECEIVE);
                drop(state);
                indicate(socket, bytes);
                socket.landed();
            }
            Arrived::Tell { abortive } => {
                if socket.is_forced_closed() || !socket.take_off_unless_closing() {
                    return;
                }
                state.told = true;
                state.callbacks.begin(WSK_EVENT_DISCONNECT);
                drop(state);
                tell(socket, abortive);
                socket.landed();
            }
            Arrived::Nothing => return,
        }
    }
}

/// Calls the driver's `WskReceiveEvent` with data.
fn indicate(socket: &Arc<Socket>, mut bytes: Vec<u8>) {
    let connection = socket.connection("WskReceiveEvent");
    let address = Arc::as_ptr(socket) as usize;
    let (table, context) = connection.table();
    let mut left = Vec::new();
    if let Some(callback) = table.and_then(|table| table.WskReceiveEvent)
        && let Some(list) = indication::build_stream(address, &bytes)
    {
        let indicated = bytes.len();
        let mut accepted = indicated;
        let told = format_args!("{indicated} bytes");
        // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for
        // this call.
        let answer = callbacks::call("WskReceiveEvent", told, || unsafe {
            callback(
                context,
                u32::from(WSK_FLAG_AT_DISPATCH_LEVEL),
                list,
                indicated,
                &raw mut accepted,
            )
        });
        match answer {
            STATUS_PENDING => indication::retain(list.cast(), "WskReceiveEvent"),
            STATUS_SUCCESS => {
                if accepted > indicated {
                    wrong_answer(
                        socket,
                        "WskReceiveEvent",
                        accepted,
                        "set BytesAccepted to more than it was given",
                    );
                }
                left = bytes.split_off(accepted);
                let _ = indication::release("WskReceiveEvent", address, list.cast());
            }
            STATUS_DATA_NOT_ACCEPTED => {
                left = bytes;
                let _ = indication::release("WskReceiveEvent", address, list.cast());
            }
            other => wrong_answer(
                socket,
                "WskReceiveEvent",
                other.0 as usize,
                "returned something else than STATUS_SUCCESS, STATUS_PENDING or STATUS_DATA_NOT_ACCEPTED",
            ),
        }
    }
    let mut state = connection.state.lock();
    state.indicating = false;
    if !left.is_empty() {
        // A WskReceive that was called meanwhile has lifted the stall already.
        state.stalled = state.receives.is_empty();
        left.append(&mut state.unread);
        state.unread = left;
    }
    state.callbacks.end(WSK_EVENT_RECEIVE);
}

/// Calls the driver's `WskDisconnectEvent`.
fn tell(socket: &Arc<Socket>, abortive: bool) {
    let connection = socket.connection("WskDisconnectEvent");
    let (table, context) = connection.table();
    if let Some(callback) = table.and_then(|table| table.WskDisconnectEvent) {
        let flags =
            u32::from(WSK_FLAG_AT_DISPATCH_LEVEL) | if abortive { WSK_FLAG_ABORTIVE } else { 0 };
        let told = format_args!("{}", if abortive { "abortive" } else { "graceful" });
        // SAFETY: as in `indicate`.
        let answer = callbacks::call("WskDisconnectEvent", told, || unsafe {
            callback(context, flags)
        });
        if answer != STATUS_SUCCESS {
            wrong_answer(
                socket,
                "WskDisconnectEvent",
                answer.0 as usize,
                "returned something else than STATUS_SUCCESS",
            );
        }
    }
    connection.state.lock().callbacks.end(WSK_EVENT_DISCONNECT);
}

/// Stops: an event callback has answered what the documentation doesn't allow.
#[cold]
pub(crate) fn wrong_answer(socket: &Arc<Socket>, callback: &str, answer: usize, what: &str) -> ! {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(
            violation::WSK_CONTRACT,
            Arc::as_ptr(socket) as usize,
            answer,
            0
        ),
        [socket.story()],
        "the driver's {callback} {what}"
    )
}

dispatched! {
    /// Takes back data indications that an event callback has retained.
    fn WskRelease(
        Socket: *mut WSK_SOCKET,
        DataIndication: *mut WSK_DATA_INDICATION,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskRelease", Socket);
        socket.connection("WskRelease");
        trace::returned(
            "WskRelease",
            indication::release("WskRelease", Socket as usize, DataIndication.cast()),
        )
    }
}

// The end.

/// Takes a request that is being cancelled.
pub(crate) fn cancelled(socket: &Arc<Socket>, irp: *mut IRP) -> Option<Request> {
    let mut state = socket.connection("IoCancelIrp").state.lock();
    if let Some(receive) = state.receives.take(irp) {
        drop(state);
        // An event callback may be next.
        kick(socket);
        return Some(receive.request);
    }
    if let Some(transmit) = state.transmits.take(irp) {
        drop(state);
        transmit.after_cancel(socket);
        return Some(transmit.request);
    }
    let connect = state.connects.take(irp)?;
    state.give_up_connecting();
    drop(state);
    connect.discard_socket(socket);
    Some(connect.request)
}

/// Ends everything that is pending, each call once.
fn end_all(socket: &Arc<Socket>, status: NTSTATUS) {
    let (connects, transmits, receives) = {
        let mut state = socket.connection("WskCloseSocket").state.lock();
        (
            state.connects.claim_all(),
            state.transmits.claim_all(),
            state.receives.claim_all(),
        )
    };
    for connect in &connects {
        connect.discard_socket(socket);
    }
    let requests = connects
        .into_iter()
        .map(|connect| connect.request)
        .chain(transmits.into_iter().map(|transmit| transmit.request))
        .chain(receives.into_iter().map(|receive| receive.request));
    for request in requests {
        request.complete_by(schedule::plan(), status, 0);
    }
}

/// The socket is being closed: cancels what is pending.
pub(crate) fn cancel_all(socket: &Arc<Socket>) {
    socket
        .connection("WskCloseSocket")
        .state
        .lock()
        .callbacks
        .silence(EVENTS);
    end_all(socket, STATUS_CANCELLED);
}

/// Whether closing the socket has to abort the connection: it isn't disconnected in both directions.
pub(crate) fn closing_aborts(socket: &Socket) -> bool {
    let mut state = socket.connection("WskCloseSocket").state.lock();
    state.read_host(socket, 1);
    !(state.finished && state.ended)
}

/// The socket is made useless: completes what is pending and tells the event callback.
pub(crate) fn force_close(socket: &Arc<Socket>) {
    end_all(socket, STATUS_FILE_FORCED_CLOSED);
    let connection = socket.connection("WskReceiveEvent");
    let (table, context) = connection.table();
    let mut state = connection.state.lock();
    if state.phase == Phase::Connected {
        socket.with_real(|real| real.shutdown(Shutdown::Both));
    }
    let Some(callback) = table.and_then(|table| table.WskReceiveEvent) else {
        return;
    };
    if state.phase == Phase::Connected
        && state.callbacks.is_enabled(WSK_EVENT_RECEIVE)
        && socket.take_off_unless_closing()
    {
        state.callbacks.begin(WSK_EVENT_RECEIVE);
        drop(state);
        let context = Context(context);
        let socket = Arc::clone(socket);
        schedule::later(SOON, move || {
            let Context(context) = { context };
            let mut accepted = 0;
            let told = format_args!("NULL: the socket is no longer functional");
            // SAFETY: as in `indicate`.
            let _ = callbacks::call("WskReceiveEvent", told, || unsafe {
                callback(
                    context,
                    u32::from(WSK_FLAG_AT_DISPATCH_LEVEL),
                    core::ptr::null_mut(),
                    0,
                    &raw mut accepted,
                )
            });
            let connection = socket.connection("WskReceiveEvent");
            connection.state.lock().callbacks.end(WSK_EVENT_RECEIVE);
            socket.landed();
        });
    }
}

/// The driver's context of a callback.
#[derive(Clone, Copy)]
pub(crate) struct Context(pub(crate) *mut c_void);

// SAFETY: the pointer is only handed back to the driver, which has to expect that on any thread.
unsafe impl Send for Context {}
