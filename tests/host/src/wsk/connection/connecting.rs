//! Connecting: `WskConnect`, `WskConnectEx` and `WskSocketConnect`. Stands for the handshake of
//! `tcpip.sys`.

use core::ffi::c_void;
use core::ops::Range;
use std::io;
use std::sync::Arc;

use wsk_sys::{
    EPROCESS, ETHREAD, IRP, NTSTATUS, SOCKADDR, STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED,
    STATUS_CONNECTION_ABORTED, STATUS_CONNECTION_ACTIVE, STATUS_FILE_FORCED_CLOSED,
    STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_PENDING, STATUS_SUCCESS, WSK_BUF, WSK_CLIENT_CONNECTION_DISPATCH,
    WSK_FLAG_CONNECTION_SOCKET, WSK_SOCKET,
};

use super::sending::{length_of, transmit_now};
use super::{
    Connect, EVENTS, MAXIMUM_WITH_CONNECT, Phase, Purpose, State, Transmit, bind, ideal, kick, pump,
};
use crate::origin::Origin;
use crate::schedule::{self, Plan, SOON};
use crate::trace;
use crate::wsk::pointers::Pointers;
use crate::wsk::request::{Request, Uses};
use crate::wsk::socket::{self, Socket};
use crate::wsk::{address, host, is_null_provider, registration, security};

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
        let uses = if Buffer.is_null() {
            Uses::nothing("WskConnectEx")
        } else {
            // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
            unsafe { Uses::buffer("WskConnectEx", Buffer) }
        };
        let uses = uses.memory(RemoteAddress, 2, "the remote address");
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
    /// Connects the host's socket; `None` while the connect is under way.
    fn attempt(&mut self, socket: &Socket) -> Option<NTSTATUS> {
        if is_null_provider() {
            return Some(STATUS_SUCCESS);
        }
        let to = match socket.family.to_host(self.to) {
            Ok(to) => to,
            Err(error) => return Some(address::connection_status(&error)),
        };
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
                    // After an attempt has failed, Linux returns this error once.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                        real.connect(&to)
                    }
                    outcome => outcome,
                };
                match outcome {
                    Ok(()) => Ok(true),
                    Err(error) if host::in_progress(&error) => Ok(false),
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

    /// Completes a connect that has failed.
    fn give_up(self, socket: &Arc<Socket>, plan: Plan, status: NTSTATUS) -> NTSTATUS {
        self.discard_socket(socket);
        self.request.finish(plan, status, 0)
    }

    /// Frees a socket that the call has made and can't give to the driver.
    pub(super) fn discard_socket(&self, socket: &Arc<Socket>) {
        if self.made {
            socket.discard();
        }
    }
}

impl State {
    /// Resets the state after a cancelled connect. The host may have carried out half of it, so the socket is of no more use.
    pub(super) fn give_up_connecting(&mut self) {
        self.phase = Phase::New;
        self.broken = Some(STATUS_CONNECTION_ABORTED);
    }
}

/// Finishes a connect that has succeeded or failed. `waited` tells whether the IRP is marked pending already.
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
    state.ideal = Some(ideal(socket));
    if let Some(Ok(local)) = socket.with_real(socket2::Socket::local_addr)
        && let Some(local) = socket.family.of_host(&local)
    {
        state.local = Some(local);
    }
    let has_events = state.callbacks.is_enabled(EVENTS);
    if has_events {
        kick(socket);
    }
    if connect.data.is_empty() {
        drop(state);
        let information = if connect.made { socket.address() } else { 0 };
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
        urgent: false,
        ripe: true,
    };
    transmit_now(socket, transmit, plan, waited)
}

pub(super) fn advance_connect(socket: &Arc<Socket>) {
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
        let security = security::read("WskSocketConnect", SecurityDescriptor);
        let length = security.as_ref().map_or(0, Vec::len);
        let uses = Uses::nothing("WskSocketConnect")
            .memory(SecurityDescriptor, length, "the security descriptor")
            .memory(LocalAddress, 2, "the local address")
            .memory(RemoteAddress, 2, "the remote address");
        // SAFETY: the driver gives the IRP.
        let mut request = unsafe { Request::start(Irp, uses, None) };
        // SAFETY: the driver gives the table of a connection socket.
        let pointers =
            unsafe { Pointers::given("WskSocketConnect", SocketContext, Dispatch) };
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
                *socket.security.lock() = security;
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
