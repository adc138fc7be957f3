//! Datagram sockets: `WSK_PROVIDER_DATAGRAM_DISPATCH` over the host's UDP sockets.

mod receiving;
mod sending;

use core::ffi::c_void;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use wsk_sys::{
    IRP, NTSTATUS, STATUS_ADDRESS_ALREADY_ASSOCIATED, STATUS_CANCELLED, STATUS_DATA_NOT_ACCEPTED,
    STATUS_FILE_FORCED_CLOSED, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_PENDING, STATUS_SUCCESS, WSK_CLIENT_DATAGRAM_DISPATCH, WSK_DATAGRAM_INDICATION,
    WSK_EVENT_RECEIVE_FROM, WSK_FLAG_AT_DISPATCH_LEVEL, WSK_PROVIDER_DATAGRAM_DISPATCH, WSK_SOCKET,
};

use receiving::{Receive, WskReceiveFrom, next_coalesced};
use sending::{WskSendMessages, WskSendTo};

use super::binding::{WskBind, WskGetLocalAddress};
use super::callbacks::{self, Callbacks, Disabled, WrongAnswer};
use super::indication::{self, Message};
use super::pending::{Pending, complete_all};
use super::pointers::Pointers;
use super::request::Request;
use super::socket::{self, Socket};
use crate::schedule::{self, SOON};
use crate::trace;

/// The table that `WSK_SOCKET::Dispatch` of a datagram socket points at.
pub(crate) static DISPATCH: WSK_PROVIDER_DATAGRAM_DISPATCH = WSK_PROVIDER_DATAGRAM_DISPATCH {
    Basic: socket::BASIC,
    WskBind: Some(WskBind),
    WskSendTo: Some(WskSendTo),
    WskReceiveFrom: Some(WskReceiveFrom),
    WskRelease: Some(WskRelease),
    WskGetLocalAddress: Some(WskGetLocalAddress),
    WskSendMessages: Some(WskSendMessages),
};

/// The most bytes that a datagram carries over IPv6.
const MAXIMUM_V6: usize = 65_527;
/// The most datagrams that one call of the event callback gets.
const INDICATED_AT_ONCE: usize = 16;

/// The part that only datagram sockets have.
pub(crate) struct Datagram {
    pointers: Pointers,
    state: Mutex<State>,
}

// SAFETY: the pointers are the driver's, which has to expect their use on any thread; the state is locked.
unsafe impl Sync for Datagram {}

struct State {
    local: Option<SocketAddr>,
    /// The only address that datagrams go to and come from: `SIO_WSK_SET_REMOTE_ADDRESS`.
    fixed_remote: Option<SocketAddr>,
    /// The address that datagrams go to by default: `SIO_WSK_SET_SENDTO_ADDRESS`.
    fixed_destination: Option<SocketAddr>,
    receives: Pending<Receive>,
    /// The state of `WskReceiveFromEvent`.
    callbacks: Callbacks,
    /// Datagrams to hand out before new ones, such as those that an event callback has refused.
    refused: VecDeque<Message>,
}

impl Datagram {
    pub(crate) fn new(pointers: Pointers, static_events: u32) -> Self {
        let state = State {
            local: None,
            fixed_remote: None,
            fixed_destination: None,
            receives: Pending::new(),
            callbacks: Callbacks::new(static_events & WSK_EVENT_RECEIVE_FROM),
            refused: VecDeque::new(),
        };
        Self {
            pointers,
            state: Mutex::new(state),
        }
    }

    /// Gives up the pending requests when the kernel shuts down.
    pub(crate) fn abandon(&self) -> impl Sized + use<> {
        let mut state = self.state.lock();
        (state.receives.abandon(), state.callbacks.abandon())
    }

    pub(crate) fn pointers(&self) -> Pointers {
        self.pointers
    }

    /// Whether the event callback is enabled, or running.
    pub(crate) fn may_call_back(&self) -> bool {
        self.state.lock().callbacks.are_active()
    }

    fn callback(
        &self,
    ) -> Option<unsafe extern "system" fn(*mut c_void, u32, *mut WSK_DATAGRAM_INDICATION) -> NTSTATUS>
    {
        // SAFETY: it is the table of a datagram socket.
        let table = unsafe { self.pointers.table::<WSK_CLIENT_DATAGRAM_DISPATCH>() };
        table?.WskReceiveFromEvent
    }

    /// Whether the socket is bound.
    pub(crate) fn is_bound(&self) -> bool {
        self.state.lock().local.is_some()
    }

    /// Fixes the address that datagrams go to; with `remote` also the address that they come from.
    pub(crate) fn fix(&self, address: Option<SocketAddr>, remote: bool) -> NTSTATUS {
        let mut state = self.state.lock();
        if state.local.is_none() {
            return STATUS_INVALID_DEVICE_STATE;
        }
        if remote {
            state.fixed_remote = address;
        } else {
            state.fixed_destination = address;
        }
        STATUS_SUCCESS
    }

    /// Enables the event callback.
    pub(crate) fn enable_events(&self) -> NTSTATUS {
        let mut state = self.state.lock();
        if state.local.is_none() {
            return STATUS_INVALID_DEVICE_STATE;
        }
        if self.callback().is_none() {
            return STATUS_INVALID_PARAMETER;
        }
        state.callbacks.enable(WSK_EVENT_RECEIVE_FROM);
        STATUS_SUCCESS
    }

    /// Disables the event callback.
    pub(crate) fn disable_events(&self, request: Option<Request>) -> Disabled {
        self.state
            .lock()
            .callbacks
            .disable(WSK_EVENT_RECEIVE_FROM, request)
    }

    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.state.lock().local
    }
}

fn part(socket: &Socket) -> &Datagram {
    socket.datagram("the network")
}

/// Binds a socket to a local address.
pub(crate) fn bind(socket: &Socket, address: SocketAddr) -> NTSTATUS {
    let mut state = part(socket).state.lock();
    if state.local.is_some() {
        return STATUS_ADDRESS_ALREADY_ASSOCIATED;
    }
    match socket.bind_real(address) {
        Ok(local) => {
            state.local = Some(local);
            let watch = state.callbacks.is_enabled(WSK_EVENT_RECEIVE_FROM);
            drop(state);
            if watch {
                socket.watch();
            }
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// Hands out the datagrams that wait here, and those that arrive from now on.
pub(crate) fn watch(socket: &Arc<Socket>) {
    if !part(socket).state.lock().refused.is_empty() {
        let socket = Arc::clone(socket);
        schedule::later(SOON, move || readable(&socket));
    }
    socket.watch();
}

/// Hands out arrived datagrams, on the network's thread.
pub(crate) fn readable(socket: &Arc<Socket>) {
    let datagram = part(socket);
    loop {
        let mut state = datagram.state.lock();
        if !state.receives.is_empty() {
            let Some(message) = next_coalesced(socket, &mut state) else {
                break;
            };
            if let Some(receive) = state.receives.claim_first() {
                drop(state);
                let (status, length) = receive.fill(socket.family, &message);
                let when = schedule::plan().when();
                receive.request.complete_later(when, status, length);
            } else {
                // All pending receives are being cancelled.
                state.refused.push_front(message);
                break;
            }
        } else if state.callbacks.is_enabled(WSK_EVENT_RECEIVE_FROM) {
            let mut messages = Vec::new();
            while messages.len() < INDICATED_AT_ONCE
                && let Some(message) = next_coalesced(socket, &mut state)
            {
                messages.push(message);
            }
            if messages.is_empty() || !socket.take_off_unless_closing() {
                break;
            }
            state.callbacks.begin(WSK_EVENT_RECEIVE_FROM);
            drop(state);
            indicate(socket, messages);
        } else {
            // Nobody wants datagrams now: they stay in the host's buffer, unwatched.
            return;
        }
    }
    socket.watch();
}

/// Calls the driver's event callback with datagrams.
fn indicate(socket: &Arc<Socket>, messages: Vec<Message>) {
    let datagram = part(socket);
    let address = socket.address();
    let list = indication::build(address, socket.family, &messages);
    if let (Some(callback), Some(list)) = (datagram.callback(), list) {
        let count = messages.len();
        let told = format_args!("{count} datagrams");
        // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for
        // this call.
        let status = callbacks::call("WskReceiveFromEvent", told, || unsafe {
            callback(
                datagram.pointers.context,
                u32::from(WSK_FLAG_AT_DISPATCH_LEVEL),
                list,
            )
        });
        if !matches!(
            status,
            STATUS_SUCCESS | STATUS_PENDING | STATUS_DATA_NOT_ACCEPTED
        ) {
            WrongAnswer::status(
                status,
                "STATUS_SUCCESS, STATUS_PENDING or STATUS_DATA_NOT_ACCEPTED",
            )
            .report(socket, "WskReceiveFromEvent");
        }
        if status == STATUS_PENDING {
            indication::retain(list.cast(), "WskReceiveFromEvent");
        } else {
            indication::take_back("WskReceiveFromEvent", list.cast());
        }
        if status == STATUS_DATA_NOT_ACCEPTED {
            let mut state = datagram.state.lock();
            // A static callback loses the refused datagrams; otherwise they wait until the driver enables the callback again.
            if !state.callbacks.is_fixed(WSK_EVENT_RECEIVE_FROM) {
                state.callbacks.silence(WSK_EVENT_RECEIVE_FROM);
                for message in messages.into_iter().rev() {
                    state.refused.push_front(message);
                }
            }
        }
    }
    datagram.state.lock().callbacks.end(WSK_EVENT_RECEIVE_FROM);
    socket.landed();
}

/// Takes out a receive that is being cancelled.
pub(crate) fn cancelled(socket: &Socket, irp: *mut IRP) -> Option<Request> {
    part(socket)
        .state
        .lock()
        .receives
        .take(irp)
        .map(|receive| receive.request)
}

/// Cancels the pending requests of a socket that is being closed.
pub(crate) fn cancel_all(socket: &Arc<Socket>) {
    let pending = {
        let mut state = part(socket).state.lock();
        state.callbacks.silence(WSK_EVENT_RECEIVE_FROM);
        state.receives.claim_all()
    };
    complete_all(pending, STATUS_CANCELLED);
}

/// Completes the pending requests of a socket that is force-closed, and tells the event callback.
pub(crate) fn force_close(socket: &Arc<Socket>) {
    let datagram = part(socket);
    let pending = datagram.state.lock().receives.claim_all();
    for receive in pending {
        receive
            .request
            .complete_later(SOON, STATUS_FILE_FORCED_CLOSED, 0);
    }
    drop(socket.take_real());
    let mut state = datagram.state.lock();
    if state.callbacks.is_enabled(WSK_EVENT_RECEIVE_FROM)
        && let Some(callback) = datagram.callback()
        && socket.take_off_unless_closing()
    {
        state.callbacks.begin(WSK_EVENT_RECEIVE_FROM);
        drop(state);
        let flags = u32::from(WSK_FLAG_AT_DISPATCH_LEVEL);
        socket.tell_useless(
            "WskReceiveFromEvent",
            datagram.pointers,
            // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for
            // this call.
            move |context| unsafe {
                WrongAnswer::unless_one_of(
                    callback(context, flags, core::ptr::null_mut()),
                    &[STATUS_SUCCESS, STATUS_DATA_NOT_ACCEPTED],
                    "STATUS_SUCCESS or STATUS_DATA_NOT_ACCEPTED",
                )
            },
            |socket| {
                let mut state = part(socket).state.lock();
                state.callbacks.end(WSK_EVENT_RECEIVE_FROM);
            },
        );
    }
}

dispatched! {
    /// Takes back datagram indications that an event callback has retained.
    fn WskRelease(
        Socket: *mut WSK_SOCKET,
        DatagramIndication: *mut WSK_DATAGRAM_INDICATION,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskRelease", Socket);
        socket.datagram("WskRelease");
        // SAFETY: the driver gives the list back.
        let status = unsafe {
            indication::release("WskRelease", Socket as usize, DatagramIndication.cast())
        };
        trace::returned("WskRelease", status)
    }
}
