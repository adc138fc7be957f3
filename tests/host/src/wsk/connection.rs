//! Connection-oriented sockets: `WSK_PROVIDER_CONNECTION_DISPATCH` over the host's TCP sockets. Stands for the part of `afd.sys`
//! and `tcpip.sys` that handles one connection.

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

use super::binding::{WskBind, WskGetLocalAddress, WskGetRemoteAddress};
use super::callbacks::{Callbacks, Disabled, WrongAnswer};
use super::network::Interest;
use super::pending::{Pending, complete_all, waiting};
use super::pointers::Pointers;
use super::request::Request;
use super::socket::{self, Socket};
use super::{address, pointers};
use crate::schedule::{self, SOON};
pub(crate) use backlog::{ideal, note_ideal, set_ideal};
use connecting::advance_connect;
pub(crate) use connecting::{WskConnect, WskConnectEx, WskSocketConnect};
use receiving::{ReceiveEvent, advance_receives};
pub(crate) use receiving::{WskReceive, WskReceiveEx, WskRelease};
use sending::advance_transmits;
pub(crate) use sending::{WskDisconnect, WskSend, WskSendEx};
pub(crate) use silence::{forget_silent, keep_silent, set_loopback_is_remote, silence};

/// The table that `WSK_SOCKET::Dispatch` of a connection socket points at.
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
/// The most bytes that one read takes from the host's socket, and the most that one indication describes.
const CHUNK: usize = 1 << 16;
/// The most bytes that the provider reads from the host's socket to count those that have arrived.
const BACKLOG: usize = 1 << 20;
/// The most bytes that `WskConnectEx` sends.
const MAXIMUM_WITH_CONNECT: usize = 65_535;
/// The most pieces of memory that one send passes to the host.
const PIECES: usize = 64;
/// The interval between two looks for the end of a graceful disconnect.
const DRAINING: Duration = Duration::from_millis(1);

/// The part that only connection-oriented sockets have.
pub(crate) struct Connection {
    pointers: Mutex<Pointers>,
    /// The identifier under which the driver inspected the connection.
    pub(crate) inspected: Option<WSK_INSPECT_ID>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The socket isn't connected, and perhaps not bound either.
    New,
    /// A connect is under way.
    Connecting,
    Connected,
    /// The stream socket listens, so it will never be connected.
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
    /// Queued sends, in order. A graceful disconnect comes last.
    transmits: Pending<Transmit>,
    receives: Pending<Receive>,
    /// The driver asked for a graceful disconnect, and can't send any more.
    finishing: bool,
    /// The graceful disconnect is done: the peer has all bytes.
    finished: bool,
    /// Whether a look for the end of a graceful disconnect is scheduled.
    draining: bool,
    /// Bytes that were read from the host's socket and that the driver has not received yet.
    unread: Vec<u8>,
    /// The peer has disconnected gracefully: no more bytes will come.
    ended: bool,
    /// The connection is gone: all requests fail with this status.
    broken: Option<NTSTATUS>,
    /// The host has reported that the connection breaks, so the provider no longer watches for that.
    alarmed: bool,
    callbacks: Callbacks,
    /// The callback that replaces `WskReceiveEvent`: `SIO_WSK_SET_RECEIVE_EX_CALLBACK`.
    receive_ex: PFN_WSK_RECEIVE_EX_EVENT,
    /// The ideal send backlog that the driver knows of.
    ideal: Option<usize>,
    /// `SIO_WSK_SET_TCP_SILENT_MODE`: the connection sends and receives no more bytes.
    silent: bool,
    /// The driver has not accepted all indicated bytes. The provider indicates no more until the driver calls `WskReceive`.
    stalled: bool,
    /// A call of `WskReceiveEvent` is running. Bytes that have arrived since wait until the callback says how many it has accepted.
    indicating: bool,
    /// `WskDisconnectEvent` was called.
    told: bool,
}

/// A pending `WskConnect`, `WskConnectEx` or `WskSocketConnect`.
struct Connect {
    request: Request,
    to: SocketAddr,
    /// The data of `WskConnectEx`, which is sent first.
    data: Vec<Range<usize>>,
    /// Whether the call made the socket. The call then gives the socket to the driver, or frees it.
    made: bool,
    /// Whether the host has begun to connect.
    started: bool,
    /// Whether the kernel's policy lets the connect begin.
    ripe: bool,
}

/// A pending `WskSend` or graceful `WskDisconnect`.
struct Transmit {
    request: Request,
    data: Vec<Range<usize>>,
    sent: usize,
    purpose: Purpose,
    no_delay: bool,
    /// Send the last byte as urgent: `WSK_FLAG_OOB`.
    urgent: bool,
    ripe: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Send,
    /// Data of `WskConnectEx`.
    Connect,
    Disconnect {
        /// Whether the host's socket was shut down for sending.
        shut: bool,
    },
}

/// A pending `WskReceive`.
struct Receive {
    request: Request,
    data: Vec<Range<usize>>,
    until: Until,
    /// The number of bytes that the buffer holds so far.
    taken: usize,
    control: Control,
}

/// The condition that ends a receive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Something,
    /// `WSK_FLAG_WAITALL`
    Full,
    /// `WSK_FLAG_DRAIN`
    End,
}

/// The driver's places for the control information of `WskReceiveEx` and its length.
#[derive(Clone, Copy)]
struct Control {
    length: *mut u32,
    start: *mut u8,
    room: usize,
}

// SAFETY: the driver keeps the places until the IRP is completed, on whatever thread.
unsafe impl Send for Control {}

impl Control {
    /// The driver wants no control information.
    const NONE: Self = Self {
        length: core::ptr::null_mut(),
        start: core::ptr::null_mut(),
        room: 0,
    };
}

/// The control information that comes with all data of connections, as whole messages; empty when the transport has none.
static CONTROL: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Chooses the control information that comes with all data of connections.
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

    /// A socket that a listening socket has accepted.
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

    /// Sets the driver's pointers for the callbacks, which the driver gives only once it has accepted the socket.
    pub(crate) fn set_pointers(&self, pointers: Pointers) {
        pointers::keep(&pointers);
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

    /// The number of bytes that have arrived and that the driver has not received yet.
    pub(crate) fn backlog(&self, socket: &Socket) -> usize {
        let mut state = self.state.lock();
        state.read_host(socket, BACKLOG);
        state.unread.len()
    }

    /// Makes a stream socket listen; returns the address that it is bound to.
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

    /// Gives up the pending requests when the kernel shuts down.
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

    /// The callback for data, if the driver has given one.
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

    /// Enables the event callbacks that the listening socket or the client has enabled for accepted sockets.
    pub(crate) fn inherit_events(&self, events: u32) {
        self.state.lock().callbacks.enable(events & EVENTS);
    }

    /// Disables an event callback.
    pub(crate) fn disable_events(&self, event: u32, request: Option<Request>) -> Disabled {
        self.state.lock().callbacks.disable(event, request)
    }
}

impl State {
    /// Whether the connection can send and receive now.
    fn usable(&self) -> Result<(), NTSTATUS> {
        match (self.phase, self.broken) {
            (_, Some(broken)) => Err(broken),
            (Phase::Connected, None) if !self.silent => Ok(()),
            _ => Err(STATUS_INVALID_DEVICE_STATE),
        }
    }

    /// Reads from the host's socket until there are `wanted` bytes, or no more have arrived.
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

    /// The events of the host's socket that the provider has to react to.
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
                // While unread bytes remain, the host shows no graceful end, but it does report that the connection breaks.
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

/// Advances all waiting requests and events. Called when the host's socket may be ready or another change may let them go on.
pub(crate) fn pump(socket: &Arc<Socket>) {
    advance_connect(socket);
    advance_transmits(socket);
    advance_receives(socket);
    backlog::advance(socket);
    let connection = socket.connection("the network");
    let state = connection.state.lock();
    state.watch(socket);
}

/// Takes note of the host's report that the connection breaks.
pub(crate) fn alarm(socket: &Socket) {
    let mut state = socket.connection("the network").state.lock();
    if state.phase != Phase::Connected || state.silent {
        return;
    }
    state.alarmed = true;
    if state.unread.is_empty() {
        // The next read gets the error.
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

/// Takes out a request that is being cancelled.
pub(crate) fn cancelled(socket: &Arc<Socket>, irp: *mut IRP) -> Option<Request> {
    let mut state = socket.connection("IoCancelIrp").state.lock();
    if let Some(receive) = state.receives.take(irp) {
        drop(state);
        // An event callback may now get the bytes.
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

/// Completes all pending requests with `status`.
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

/// Cancels the pending requests of a socket that is being closed.
pub(crate) fn cancel_all(socket: &Arc<Socket>) {
    socket
        .connection("WskCloseSocket")
        .state
        .lock()
        .callbacks
        .silence(EVENTS);
    end_all(socket, STATUS_CANCELLED);
}

/// Whether closing the socket has to abort the connection, because it isn't disconnected in both directions.
pub(crate) fn closing_aborts(socket: &Socket) -> bool {
    let mut state = socket.connection("WskCloseSocket").state.lock();
    state.read_host(socket, 1);
    !(state.finished && state.ended)
}

/// Completes the pending requests of a socket that is force-closed, and tells the event callback.
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
