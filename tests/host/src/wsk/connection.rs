//! Connection-oriented sockets: `WSK_PROVIDER_CONNECTION_DISPATCH` over the host's TCP sockets. Stands for the part of
//! `afd.sys` and `tcpip.sys` that has one connection.

mod backlog;
mod connecting;
mod receiving;
mod sending;
mod silence;

use core::ffi::c_void;
use core::ops::Range;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wsk_sys::{
    IRP, NTSTATUS, PFN_WSK_RECEIVE_EX_EVENT, STATUS_ADDRESS_ALREADY_ASSOCIATED, STATUS_CANCELLED,
    STATUS_DATA_NOT_ACCEPTED, STATUS_FILE_FORCED_CLOSED, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_SUCCESS, WSK_CLIENT_CONNECTION_DISPATCH, WSK_EVENT_DISCONNECT,
    WSK_EVENT_RECEIVE, WSK_EVENT_SEND_BACKLOG, WSK_INSPECT_ID, WSK_PROVIDER_CONNECTION_DISPATCH,
};

use super::address;
use super::binding::{WskBind, WskGetLocalAddress, WskGetRemoteAddress};
use super::callbacks::{Callbacks, Disabled, WrongAnswer};
use super::network::Interest;
use super::pending::{Pending, complete_all, waiting};
use super::request::Request;
use super::socket::{self, Pointers, Socket};
use crate::schedule::{self, SOON};
pub(crate) use backlog::{ideal, note_ideal, set_ideal};
use connecting::advance_connect;
pub(crate) use connecting::{WskConnect, WskConnectEx, WskSocketConnect};
use receiving::{ReceiveEvent, advance_receives};
pub(crate) use receiving::{WskReceive, WskReceiveEx, WskRelease};
use sending::advance_transmits;
pub(crate) use sending::{WskDisconnect, WskSend, WskSendEx};
pub(crate) use silence::{forget_silent, keep_silent, set_loopback_is_remote, silence};

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
    /// What is called instead of `WskReceiveEvent`: `SIO_WSK_SET_RECEIVE_EX_CALLBACK`.
    receive_ex: PFN_WSK_RECEIVE_EX_EVENT,
    /// The ideal send backlog that the driver knows of.
    ideal: Option<usize>,
    /// `SIO_WSK_SET_TCP_SILENT_MODE`: nothing is sent any more, and nothing received.
    silent: bool,
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
    /// The last byte is sent as urgent: `WSK_FLAG_OOB`.
    urgent: bool,
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
    /// How many bytes were taken before the buffer is full.
    taken: usize,
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

/// Where `WskReceiveEx` puts control information and its length.
#[derive(Clone, Copy)]
struct Control {
    length: *mut u32,
    start: *mut u8,
    room: usize,
}

// SAFETY: the driver keeps the places until the IRP is completed, on whatever thread.
unsafe impl Send for Control {}

impl Control {
    /// None is wanted.
    const NONE: Self = Self {
        length: core::ptr::null_mut(),
        start: core::ptr::null_mut(),
        room: 0,
    };
}

/// What the transport tells with all data of connections, as whole messages; nothing where it has no control information.
static CONTROL: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Chooses what the transport tells with all data of connections.
pub(crate) fn set_control(bytes: Vec<u8>) {
    *CONTROL.lock() = bytes;
}

/// Whether connections have control information.
fn tells_control() -> bool {
    !CONTROL.lock().is_empty()
}

waiting!(Connect, Transmit, Receive);

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
                receive_ex: None,
                ideal: None,
                silent: false,
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
        socket::keep(&pointers);
        *self.pointers.lock() = pointers;
    }

    pub(crate) fn pointers(&self) -> Pointers {
        *self.pointers.lock()
    }

    /// Whether an event callback is enabled, or running.
    pub(crate) fn may_call_back(&self) -> bool {
        self.state.lock().callbacks.are_active()
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
        // SAFETY: it is the table of a connection.
        (unsafe { pointers.table() }, pointers.context)
    }

    /// The callback that is called with data, if the driver has given one.
    fn receive_event(&self) -> Option<ReceiveEvent> {
        if let Some(callback) = self.state.lock().receive_ex {
            return Some(ReceiveEvent::Extended(callback));
        }
        let (table, _) = self.table();
        Some(ReceiveEvent::Plain(table?.WskReceiveEvent?))
    }

    /// Whether the driver has given a callback for each of `events`.
    pub(crate) fn has_callbacks(&self, events: u32) -> bool {
        let (table, _) = self.table();
        let table = table.unwrap_or_default();
        let is_there = |event, callback| events & event == 0 || callback;
        is_there(WSK_EVENT_RECEIVE, self.receive_event().is_some())
            && is_there(WSK_EVENT_DISCONNECT, table.WskDisconnectEvent.is_some())
            && is_there(WSK_EVENT_SEND_BACKLOG, table.WskSendBacklogEvent.is_some())
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

    /// `SIO_WSK_SET_RECEIVE_EX_CALLBACK`.
    pub(crate) fn set_receive_ex(&self, callback: PFN_WSK_RECEIVE_EX_EVENT) {
        self.state.lock().receive_ex = callback;
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
            (Phase::Connected, None) if !self.silent => Ok(()),
            _ => Err(STATUS_INVALID_DEVICE_STATE),
        }
    }

    /// Takes what has arrived from the host's socket, until there are `wanted` bytes or there is no more.
    fn read_host(&mut self, socket: &Socket, wanted: usize) {
        if self.phase != Phase::Connected || self.silent {
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
            Phase::Connected if self.broken.is_none() && !self.silent => {
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
    backlog::advance(socket);
    let connection = socket.connection("the network");
    let state = connection.state.lock();
    state.watch(socket);
}

/// The host tells that the connection breaks.
pub(crate) fn alarm(socket: &Socket) {
    let mut state = socket.connection("the network").state.lock();
    if state.phase != Phase::Connected || state.silent {
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
    let socket = Arc::clone(socket);
    schedule::later(SOON, move || pump(&socket));
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
    complete_all(connects, status);
    complete_all(transmits, status);
    complete_all(receives, status);
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
    let callback = connection.receive_event();
    let mut state = connection.state.lock();
    if state.phase == Phase::Connected && !state.silent {
        socket.with_real(|real| real.shutdown(Shutdown::Both));
    }
    let Some(callback) = callback else { return };
    if state.phase == Phase::Connected
        && state.callbacks.is_enabled(WSK_EVENT_RECEIVE)
        && socket.take_off_unless_closing()
    {
        state.callbacks.begin(WSK_EVENT_RECEIVE);
        drop(state);
        let pointers = *connection.pointers.lock();
        socket.tell_useless(
            callback.name(),
            pointers,
            // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for
            // this call.
            move |context| unsafe {
                let none = core::ptr::null_mut();
                let answer = callback.call(context, none, &mut [], 0, core::ptr::null_mut());
                WrongAnswer::unless_one_of(
                    answer,
                    &[STATUS_SUCCESS, STATUS_DATA_NOT_ACCEPTED],
                    "STATUS_SUCCESS or STATUS_DATA_NOT_ACCEPTED",
                )
            },
            |socket| {
                let connection = socket.connection("WskReceiveEvent");
                connection.state.lock().callbacks.end(WSK_EVENT_RECEIVE);
            },
        );
    }
}
