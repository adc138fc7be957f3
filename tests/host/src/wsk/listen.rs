//! Listening sockets: `WSK_PROVIDER_LISTEN_DISPATCH` over the host's listening TCP sockets. Also the table of stream sockets, which
//! listen or connect.

mod inspection;

use core::ffi::c_void;
use core::ptr;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wsk_sys::{
    IRP, NTSTATUS, SOCKADDR, STATUS_ADDRESS_ALREADY_ASSOCIATED, STATUS_CANCELLED,
    STATUS_FILE_FORCED_CLOSED, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_NOT_IMPLEMENTED, STATUS_PENDING, STATUS_REQUEST_NOT_ACCEPTED, STATUS_SUCCESS,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH, WSK_CLIENT_STREAM_DISPATCH,
    WSK_EVENT_ACCEPT, WSK_FLAG_AT_DISPATCH_LEVEL, WSK_INSPECT_ID, WSK_PROVIDER_LISTEN_DISPATCH,
    WSK_PROVIDER_STREAM_DISPATCH, WSK_SOCKET,
};

use inspection::{WskInspectComplete, inspect, look_for_aborted, tell_aborted, tell_inspector};

use super::address;
use super::binding::{Place, WskBind, WskGetLocalAddress, WskGetRemoteAddress};
use super::callbacks::{self, Callbacks, Disabled, WrongAnswer};
use super::connection::{self, Connection};
use super::host;
use super::pending::{Pending, complete_all, waiting};
use super::pointers::Pointers;
use super::request::{Outcome, Request, Uses};
use super::socket::{self, Socket};
use crate::bugcheck::{bugcheck, violation};
use crate::schedule::{self, Plan, SOON};
use crate::{stack_places, trace};

/// The table that `WSK_SOCKET::Dispatch` of a listening socket points at.
pub(crate) static DISPATCH: WSK_PROVIDER_LISTEN_DISPATCH = WSK_PROVIDER_LISTEN_DISPATCH {
    Basic: socket::BASIC,
    WskBind: Some(WskBind),
    WskAccept: Some(WskAccept),
    WskInspectComplete: Some(WskInspectComplete),
    WskGetLocalAddress: Some(WskGetLocalAddress),
};

/// The table that `WSK_SOCKET::Dispatch` of a stream socket points at.
pub(crate) static STREAM_DISPATCH: WSK_PROVIDER_STREAM_DISPATCH = WSK_PROVIDER_STREAM_DISPATCH {
    Basic: socket::BASIC,
    WskBind: Some(WskBind),
    WskAccept: Some(WskAccept),
    WskConnect: Some(connection::WskConnect),
    WskListen: Some(WskListen),
    WskSend: Some(connection::WskSend),
    WskReceive: Some(connection::WskReceive),
    WskDisconnect: Some(connection::WskDisconnect),
    WskRelease: Some(connection::WskRelease),
    WskGetLocalAddress: Some(WskGetLocalAddress),
    WskGetRemoteAddress: Some(WskGetRemoteAddress),
    WskConnectEx: Some(connection::WskConnectEx),
    WskSendEx: Some(connection::WskSendEx),
    WskReceiveEx: Some(connection::WskReceiveEx),
};

/// The statuses that `WskAcceptEvent` may return.
const ACCEPT_STATUSES: &str = "STATUS_SUCCESS or STATUS_REQUEST_NOT_ACCEPTED";
/// The number of connections that the host keeps for a listener until they are accepted.
const BACKLOG: i32 = 200;

/// The part that only listening sockets have.
pub(crate) struct Listening {
    pointers: Pointers,
    /// Whether the socket was made over UDP, so that it can't be bound.
    for_datagrams: bool,
    state: Mutex<State>,
}

// SAFETY: the pointers are the driver's, which has to expect their use on any thread; the state is locked.
unsafe impl Sync for Listening {}

struct State {
    local: Option<SocketAddr>,
    accepts: Pending<Accept>,
    callbacks: Callbacks,
    /// Event callbacks to enable on every socket that `WskAcceptEvent` accepts.
    inherited: u32,
    /// `SO_CONDITIONAL_ACCEPT`: the driver inspects every connection before it is accepted.
    conditional: bool,
    /// Connections that are being inspected.
    inspecting: Vec<Incoming>,
    /// Connections that have passed the inspection and wait to be accepted.
    passed: VecDeque<Incoming>,
    /// Connections that the peer gave up before they were accepted, and that the driver has not heard of yet.
    aborted: Vec<WSK_INSPECT_ID>,
    /// Whether a look for connections that the peer has given up is scheduled.
    looking: bool,
}

/// A connection that has come in.
struct Incoming {
    real: socket2::Socket,
    local: SocketAddr,
    remote: SocketAddr,
    /// The identifier of the connection, if the driver inspects it.
    inspected: Option<WSK_INSPECT_ID>,
}

impl Incoming {
    fn is(&self, id: WSK_INSPECT_ID) -> bool {
        self.inspected.map(number) == Some(number(id))
    }

    /// Whether the peer has given up.
    fn is_gone(&self) -> bool {
        matches!(self.real.take_error(), Ok(Some(_)))
    }

    /// Closes the connection; the peer sees a reset.
    fn reject(self) {
        let _ = self.real.set_linger(Some(Duration::ZERO));
    }
}

fn number(id: WSK_INSPECT_ID) -> (usize, u32) {
    (id.Key, id.SerialNumber)
}

/// A pending `WskAccept`.
struct Accept {
    request: Request,
    pointers: Pointers,
    local: Place,
    remote: Place,
}

waiting!(Accept);

/// The two tables in the driver's table for a stream socket: for connecting, and for listening.
pub(crate) fn stream_pointers(pointers: Pointers) -> (Pointers, Pointers) {
    // SAFETY: the driver gives the table of the socket's category.
    let table = unsafe { pointers.table::<WSK_CLIENT_STREAM_DISPATCH>() };
    let (connect, listen) = table.map_or((ptr::null(), ptr::null()), |table| {
        (table.Connect, table.Listen)
    });
    // SAFETY: the driver gives both tables with the one for the socket.
    unsafe {
        (
            Pointers::given("WskSocket", pointers.context, connect),
            Pointers::given("WskSocket", pointers.context, listen),
        )
    }
}

impl Listening {
    pub(crate) fn new(pointers: Pointers, static_events: u32, for_datagrams: bool) -> Self {
        let state = State {
            local: None,
            accepts: Pending::new(),
            callbacks: Callbacks::new(static_events & WSK_EVENT_ACCEPT),
            inherited: 0,
            conditional: false,
            inspecting: Vec::new(),
            passed: VecDeque::new(),
            aborted: Vec::new(),
            looking: false,
        };
        Self {
            pointers,
            for_datagrams,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.state.lock().local
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.local().is_some()
    }

    /// `SO_CONDITIONAL_ACCEPT`.
    pub(crate) fn is_conditional(&self) -> bool {
        self.state.lock().conditional
    }

    /// Sets `SO_CONDITIONAL_ACCEPT`.
    pub(crate) fn set_conditional(&self, conditional: bool) -> NTSTATUS {
        let callback = self.table().and_then(|table| table.WskInspectEvent);
        if conditional && callback.is_none() {
            return STATUS_INVALID_PARAMETER;
        }
        let mut state = self.state.lock();
        if state.local.is_some() {
            // Documented: the driver has to set the option before it binds the socket.
            return STATUS_INVALID_DEVICE_STATE;
        }
        state.conditional = conditional;
        STATUS_SUCCESS
    }

    /// Gives up the pending requests when the kernel shuts down.
    pub(crate) fn abandon(&self) -> impl Sized + use<> {
        let mut state = self.state.lock();
        (state.accepts.abandon(), state.callbacks.abandon())
    }

    pub(crate) fn pointers(&self) -> Pointers {
        self.pointers
    }

    /// Whether an event callback is enabled, or running.
    pub(crate) fn may_call_back(&self) -> bool {
        let state = self.state.lock();
        state.callbacks.are_active() || state.conditional && state.local.is_some()
    }

    fn table(&self) -> Option<WSK_CLIENT_LISTEN_DISPATCH> {
        // SAFETY: it is the table of a listening socket.
        unsafe { self.pointers.table() }
    }

    /// Enables the event callback, and the event callbacks of accepted sockets.
    pub(crate) fn enable_events(&self, events: u32) -> NTSTATUS {
        let known = WSK_EVENT_ACCEPT | connection::EVENTS;
        let accepts = events & WSK_EVENT_ACCEPT != 0;
        let callback = self.table().and_then(|table| table.WskAcceptEvent);
        if events == 0 || events & !known != 0 || accepts && callback.is_none() {
            return STATUS_INVALID_PARAMETER;
        }
        let mut state = self.state.lock();
        if state.local.is_none() {
            return STATUS_INVALID_DEVICE_STATE;
        }
        state.callbacks.enable(events & WSK_EVENT_ACCEPT);
        state.inherited |= events & connection::EVENTS;
        STATUS_SUCCESS
    }

    /// Disables the event callback.
    pub(crate) fn disable_events(&self, request: Option<Request>) -> Disabled {
        self.state
            .lock()
            .callbacks
            .disable(WSK_EVENT_ACCEPT, request)
    }
}

/// Binds a listening socket to a local address, and makes it listen there.
pub(crate) fn bind(socket: &Arc<Socket>, address: SocketAddr) -> NTSTATUS {
    let listening = socket.listening("WskBind");
    let mut state = listening.state.lock();
    if listening.for_datagrams {
        return STATUS_NOT_IMPLEMENTED;
    }
    if state.local.is_some() {
        return STATUS_ADDRESS_ALREADY_ASSOCIATED;
    }
    let status = match socket.bind_real(address) {
        Ok(local) => state.listen(socket, local),
        Err(status) => status,
    };
    drop(state);
    kick(socket);
    status
}

impl State {
    /// Rejects the connections that wait to be inspected or accepted.
    fn reject_waiting(&mut self) {
        core::mem::take(&mut self.inspecting)
            .into_iter()
            .chain(core::mem::take(&mut self.passed))
            .for_each(Incoming::reject);
    }

    fn listen(&mut self, socket: &Socket, local: SocketAddr) -> NTSTATUS {
        let listens = socket.with_real(|real| {
            if host::OLD_CONNECTIONS_BLOCK {
                // Accepted connections inherit the option, so their remains don't block the next listener.
                real.set_reuse_address(true)?;
            }
            real.listen(BACKLOG)
        });
        match listens {
            Some(Ok(())) => {
                self.local = Some(local);
                STATUS_SUCCESS
            }
            Some(Err(error)) => address::bind_status(&error, false),
            None => STATUS_FILE_FORCED_CLOSED,
        }
    }
}

dispatched! {
    /// Makes a bound stream socket listen.
    fn WskListen(Socket: *mut WSK_SOCKET, Irp: *mut IRP) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskListen", Socket);
        socket.listening("WskListen");
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, Uses::nothing("WskListen"), Some(&socket)) };
        let socket = Arc::clone(&socket);
        let status = request.carry_out(move || {
            let listening = socket.listening("WskListen");
            let mut state = listening.state.lock();
            let status = match socket.connection("WskListen").commit_to_listening() {
                Ok(local) => state.listen(&socket, local),
                Err(status) => status,
            };
            drop(state);
            kick(&socket);
            Outcome::Done(status, 0)
        });
        trace::returned("WskListen", status)
    }
}

dispatched! {
    /// Accepts an incoming connection.
    fn WskAccept(
        ListenSocket: *mut WSK_SOCKET,
        Flags: u32,
        AcceptSocketContext: *mut c_void,
        AcceptSocketDispatch: *const WSK_CLIENT_CONNECTION_DISPATCH,
        LocalAddress: *mut SOCKADDR,
        RemoteAddress: *mut SOCKADDR,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskAccept", ListenSocket);
        let listening = socket.listening("WskAccept");
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, Uses::nothing("WskAccept"), Some(&socket)) };
        let accept = Accept {
            local: Place::new(
                LocalAddress,
                &request,
                &socket,
                "the place for the local address",
            ),
            remote: Place::new(
                RemoteAddress,
                &request,
                &socket,
                "the place for the remote address",
            ),
            request,
            // SAFETY: the driver gives the table of a connection socket.
            pointers: unsafe {
                Pointers::given("WskAccept", AcceptSocketContext, AcceptSocketDispatch)
            },
        };
        let refused = accept.request.refusal().or_else(|| {
            if Flags != 0 {
                Some(STATUS_INVALID_PARAMETER)
            } else if listening.is_listening() {
                None
            } else {
                Some(STATUS_INVALID_DEVICE_STATE)
            }
        });
        let plan = schedule::plan();
        if let Some(status) = refused {
            return trace::returned("WskAccept", accept.request.finish(plan, status, 0));
        }
        let mut state = listening.state.lock();
        if plan == Plan::Now
            && state.accepts.is_empty()
            && let Some(incoming) = state.next(&socket)
        {
            drop(state);
            let (status, information) = accept.give(&socket, incoming);
            accept.request.complete(status, information);
            return trace::returned("WskAccept", status);
        }
        state.accepts.push_or_cancel(&socket, accept);
        drop(state);
        kick(&socket);
        trace::returned("WskAccept", STATUS_PENDING)
    }
}

impl Accept {
    /// Makes the accepted socket, and writes its addresses.
    fn give(&self, socket: &Arc<Socket>, incoming: Incoming) -> (NTSTATUS, usize) {
        let Incoming {
            real,
            local,
            remote,
            inspected,
        } = incoming;
        let events = socket.static_events();
        let connection = Connection::accepted(self.pointers, events, local, remote, inspected);
        match socket::make_accepted(socket, connection, real) {
            Ok(accepted) => {
                self.local.put(local, socket.family);
                self.remote.put(remote, socket.family);
                connection::kick(&accepted);
                (STATUS_SUCCESS, accepted.address())
            }
            Err(status) => (status, 0),
        }
    }
}

impl State {
    /// The next connection that can be accepted.
    fn next(&mut self, socket: &Socket) -> Option<Incoming> {
        if !self.conditional {
            return self.next_from_host(socket);
        }
        loop {
            let incoming = self.passed.pop_front()?;
            if !incoming.is_gone() {
                return Some(incoming);
            }
            self.aborted.extend(incoming.inspected);
        }
    }

    /// The next connection that has come in.
    fn next_from_host(&mut self, socket: &Socket) -> Option<Incoming> {
        self.local?;
        loop {
            match socket.with_real(socket2::Socket::accept)? {
                Ok((real, remote)) => {
                    let family = socket.family;
                    let local = real.local_addr().ok();
                    let local = local.and_then(|local| family.of_host(&local));
                    if let (Some(local), Some(remote)) = (local, family.of_host(&remote)) {
                        return Some(Incoming {
                            real,
                            local,
                            remote,
                            inspected: None,
                        });
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(_) => return None,
            }
        }
    }
}

/// Does [`pump`] soon, on the thread that does deferred work.
pub(crate) fn kick(socket: &Arc<Socket>) {
    let socket = Arc::clone(socket);
    schedule::later(SOON, move || pump(&socket));
}

/// Hands out the connections that have come in.
pub(crate) fn pump(socket: &Arc<Socket>) {
    let listening = socket.listening("the network");
    if listening.is_conditional() {
        inspect(socket);
        look_for_aborted(socket);
        tell_aborted(socket);
    }
    loop {
        let mut state = listening.state.lock();
        if state.local.is_none() {
            return;
        }
        if !state.accepts.is_empty() {
            let Some(accept) = state.accepts.claim_first() else {
                return;
            };
            if let Some(incoming) = state.next(socket) {
                drop(state);
                let (status, information) = accept.give(socket, incoming);
                let when = schedule::plan().when();
                accept.request.complete_later(when, status, information);
                continue;
            }
            if let Some(accept) = state.accepts.put_back(socket, accept) {
                accept.request.complete_later(SOON, STATUS_CANCELLED, 0);
                continue;
            }
            socket.watch();
            return;
        }
        if !state.callbacks.is_enabled(WSK_EVENT_ACCEPT) || socket.is_forced_closed() {
            // Nobody wants connections now: they stay in the host's backlog, unwatched.
            return;
        }
        let Some(incoming) = state.next(socket) else {
            socket.watch();
            return;
        };
        if !socket.take_off_unless_closing() {
            return;
        }
        state.callbacks.begin(WSK_EVENT_ACCEPT);
        let inherited = state.inherited;
        drop(state);
        indicate(socket, incoming, inherited);
        listening.state.lock().callbacks.end(WSK_EVENT_ACCEPT);
        socket.landed();
    }
}

/// Calls the driver's `WskAcceptEvent` with a new socket.
fn indicate(socket: &Arc<Socket>, incoming: Incoming, inherited: u32) {
    let listening = socket.listening("WskAcceptEvent");
    let Some(callback) = listening.table().and_then(|table| table.WskAcceptEvent) else {
        return;
    };
    let Incoming {
        real,
        local,
        remote,
        inspected,
    } = incoming;
    let connection = Connection::accepted(Pointers::none(), 0, local, remote, inspected);
    let Ok(accepted) = socket::make_accepted(socket, connection, real) else {
        return;
    };
    let (mut local_bytes, _) = address::encode(local, socket.family);
    let (mut remote_bytes, _) = address::encode(remote, socket.family);
    let mut context = ptr::null_mut();
    let mut dispatch = ptr::null();
    let told = format_args!("a connection from {remote}");
    // Another thread of the driver may close the socket meanwhile: the close then waits until the callback has returned.
    accepted.took_off();
    // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for this
    // call.
    let answer = callbacks::call("WskAcceptEvent", told, || unsafe {
        callback(
            listening.pointers.context,
            u32::from(WSK_FLAG_AT_DISPATCH_LEVEL),
            local_bytes.as_mut_ptr().cast(),
            remote_bytes.as_mut_ptr().cast(),
            accepted.handle(),
            &raw mut context,
            &raw mut dispatch,
        )
    });
    match answer {
        STATUS_SUCCESS => {
            if stack_places::is_gone(dispatch as usize, &raw const dispatch) {
                table_on_the_stack(socket, &accepted, dispatch);
            }
            let connection = accepted.connection("WskAcceptEvent");
            // SAFETY: the driver gives the table of a connection socket.
            connection
                .set_pointers(unsafe { Pointers::given("WskAcceptEvent", context, dispatch) });
            connection.inherit_events(inherited | socket.static_events());
            connection::kick(&accepted);
            accepted.landed();
        }
        // Documented: the subsystem closes the socket on the driver's behalf.
        STATUS_REQUEST_NOT_ACCEPTED => {
            accepted.landed();
            connection::cancel_all(&accepted);
            accepted.discard();
        }
        other => WrongAnswer::status(other, ACCEPT_STATUSES).report(socket, "WskAcceptEvent"),
    }
}

#[cold]
fn table_on_the_stack(
    socket: &Socket,
    accepted: &Socket,
    dispatch: *const WSK_CLIENT_CONNECTION_DISPATCH,
) -> ! {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(
            violation::WSK_CONTRACT,
            accepted.address(),
            dispatch as usize,
            0
        ),
        [socket.story()],
        "the driver's WskAcceptEvent gave a table of event callbacks at {dispatch:p}, on the stack of a function that has returned"
    )
}

/// Takes out a request that is being cancelled.
pub(crate) fn cancelled(socket: &Socket, irp: *mut IRP) -> Option<Request> {
    let listening = socket.listening("IoCancelIrp");
    let accept = listening.state.lock().accepts.take(irp)?;
    Some(accept.request)
}

/// Cancels the pending requests of a socket that is being closed.
pub(crate) fn cancel_all(socket: &Socket) {
    let accepts = {
        let mut state = socket.listening("WskCloseSocket").state.lock();
        state.callbacks.silence(WSK_EVENT_ACCEPT);
        state.aborted.clear();
        state.reject_waiting();
        state.accepts.claim_all()
    };
    complete_all(accepts, STATUS_CANCELLED);
}

/// Completes the pending requests of a socket that is force-closed, and tells the event callback.
pub(crate) fn force_close(socket: &Arc<Socket>) {
    let listening = socket.listening("WskAcceptEvent");
    let accepts = listening.state.lock().accepts.claim_all();
    for accept in accepts {
        accept
            .request
            .complete_later(SOON, STATUS_FILE_FORCED_CLOSED, 0);
    }
    if listening.is_listening() {
        socket.reset_real();
        listening.state.lock().reject_waiting();
    }
    tell_inspector(socket);
    let mut state = listening.state.lock();
    let Some(callback) = listening.table().and_then(|table| table.WskAcceptEvent) else {
        return;
    };
    if state.callbacks.is_enabled(WSK_EVENT_ACCEPT) && socket.take_off_unless_closing() {
        state.callbacks.begin(WSK_EVENT_ACCEPT);
        drop(state);
        socket.tell_useless(
            "WskAcceptEvent",
            listening.pointers,
            // The other pointers are NULL: there is no connection, and the documentation promises nothing of them.
            // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for
            // this call.
            move |context| unsafe {
                WrongAnswer::unless_one_of(
                    callback(
                        context,
                        u32::from(WSK_FLAG_AT_DISPATCH_LEVEL),
                        ptr::null_mut(),
                        ptr::null_mut(),
                        ptr::null_mut(),
                        ptr::null_mut(),
                        ptr::null_mut(),
                    ),
                    &[STATUS_SUCCESS, STATUS_REQUEST_NOT_ACCEPTED],
                    ACCEPT_STATUSES,
                )
            },
            |socket| {
                let listening = socket.listening("WskAcceptEvent");
                listening.state.lock().callbacks.end(WSK_EVENT_ACCEPT);
            },
        );
    }
}
