//! Conditional acceptance: the driver inspects every connection before it is accepted (`SO_CONDITIONAL_ACCEPT`).

use core::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use wsk_sys::{
    IRP, NTSTATUS, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_FOUND,
    STATUS_SUCCESS, WSK_INSPECT_ACTION, WSK_INSPECT_ID, WSK_SOCKET,
};

use super::{State, kick, pump};
use crate::schedule::{self, SOON};
use crate::trace;
use crate::wsk::address;
use crate::wsk::callbacks::{self, WrongAnswer};
use crate::wsk::request::{Outcome, Request, Uses};
use crate::wsk::socket::{self, Socket};

/// The serial number of the next inspected connection.
static SERIAL_NUMBERS: AtomicU32 = AtomicU32::new(1);
/// The actions that `WskInspectEvent` may return.
const INSPECT_ACTIONS: &str = "WskInspectAccept, WskInspectReject or WskInspectPend";
/// The interval between two looks for connections that the peer has given up.
const LOOKING: Duration = Duration::from_millis(5);

/// Calls the driver's `WskInspectEvent` for the connections that have come in.
pub(super) fn inspect(socket: &Arc<Socket>) {
    let listening = socket.listening("WskInspectEvent");
    let Some(callback) = listening.table().and_then(|table| table.WskInspectEvent) else {
        return;
    };
    loop {
        let mut state = listening.state.lock();
        if socket.is_forced_closed() {
            return;
        }
        let Some(mut incoming) = state.next_from_host(socket) else {
            socket.watch();
            return;
        };
        if !socket.take_off_unless_closing() {
            return;
        }
        let serial = SERIAL_NUMBERS.fetch_add(1, Ordering::Relaxed);
        let id = WSK_INSPECT_ID {
            Key: socket.address(),
            SerialNumber: serial,
        };
        incoming.inspected = Some(id);
        let (local, remote) = (incoming.local, incoming.remote);
        // Record the connection before the driver hears of it: another thread of the driver may end the inspection before the
        // callback returns.
        state.inspecting.push(incoming);
        drop(state);
        let (mut local_bytes, _) = address::encode(local, socket.family);
        let (mut remote_bytes, _) = address::encode(remote, socket.family);
        let mut given = id;
        let told = format_args!("a connection from {remote}");
        // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for
        // this call.
        let action = callbacks::call("WskInspectEvent", told, || unsafe {
            callback(
                listening.pointers.context,
                local_bytes.as_mut_ptr().cast(),
                remote_bytes.as_mut_ptr().cast(),
                &raw mut given,
            )
        });
        match action {
            WSK_INSPECT_ACTION::WskInspectAccept | WSK_INSPECT_ACTION::WskInspectReject => {
                let mut state = listening.state.lock();
                let _ = state.decide(id, action);
            }
            WSK_INSPECT_ACTION::WskInspectPend => {}
            other => WrongAnswer {
                answer: other.0 as usize,
                did: WrongAnswer::RETURNED,
                allowed: INSPECT_ACTIONS,
            }
            .report(socket, "WskInspectEvent"),
        }
        socket.landed();
    }
}

impl State {
    /// Ends an inspection.
    fn decide(&mut self, id: WSK_INSPECT_ID, action: WSK_INSPECT_ACTION) -> NTSTATUS {
        let Some(index) = self.inspecting.iter().position(|incoming| incoming.is(id)) else {
            return STATUS_NOT_FOUND;
        };
        let incoming = self.inspecting.swap_remove(index);
        if incoming.is_gone() {
            self.aborted.push(id);
        } else if action == WSK_INSPECT_ACTION::WskInspectAccept {
            self.passed.push_back(incoming);
        } else {
            incoming.reject();
        }
        STATUS_SUCCESS
    }
}

/// Finds the connections that the peer has given up among those that wait for the driver, and schedules the next look: hosts don't
/// report them.
pub(super) fn look_for_aborted(socket: &Arc<Socket>) {
    let mut state = socket.listening("WskAbortEvent").state.lock();
    let waiting = &mut *state;
    waiting.aborted.extend(
        waiting
            .inspecting
            .extract_if(.., |incoming| incoming.is_gone())
            .filter_map(|gone| gone.inspected),
    );
    waiting.passed.retain(|incoming| {
        let gone = incoming.is_gone();
        if gone {
            waiting.aborted.extend(incoming.inspected);
        }
        !gone
    });
    let waits = !(waiting.inspecting.is_empty() && waiting.passed.is_empty());
    if !waits || core::mem::replace(&mut waiting.looking, true) {
        return;
    }
    let socket = Arc::clone(socket);
    schedule::later(SOON.after(LOOKING), move || {
        socket.listening("WskAbortEvent").state.lock().looking = false;
        if !socket.is_forced_closed() {
            pump(&socket);
        }
    });
}

/// Calls the driver's `WskAbortEvent` for connections that the peer gave up during or after their inspection.
pub(super) fn tell_aborted(socket: &Arc<Socket>) {
    let listening = socket.listening("WskAbortEvent");
    let Some(callback) = listening.table().and_then(|table| table.WskAbortEvent) else {
        return;
    };
    loop {
        let mut state = listening.state.lock();
        if state.aborted.is_empty() || !socket.take_off_unless_closing() {
            return;
        }
        let mut id = state.aborted.remove(0);
        drop(state);
        let serial = id.SerialNumber;
        let told = format_args!("connection {serial}");
        // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for
        // this call.
        let answer = callbacks::call("WskAbortEvent", told, || unsafe {
            callback(listening.pointers.context, &raw mut id)
        });
        if answer != STATUS_SUCCESS {
            WrongAnswer::status(answer, "STATUS_SUCCESS").report(socket, "WskAbortEvent");
        }
        socket.landed();
    }
}

dispatched! {
    /// Ends the inspection of an incoming connection.
    fn WskInspectComplete(
        ListenSocket: *mut WSK_SOCKET,
        InspectID: *mut WSK_INSPECT_ID,
        Action: WSK_INSPECT_ACTION,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskInspectComplete", ListenSocket);
        socket.listening("WskInspectComplete");
        let uses = Uses::nothing("WskInspectComplete").memory(
            InspectID,
            size_of::<WSK_INSPECT_ID>(),
            "the WSK_INSPECT_ID",
        );
        // SAFETY: the driver gives the IRP, and the identifier if it isn't null.
        let (request, id) = unsafe {
            (
                Request::start(Irp, uses, Some(&socket)),
                InspectID.as_ref().copied(),
            )
        };
        let decides = matches!(
            Action,
            WSK_INSPECT_ACTION::WskInspectAccept | WSK_INSPECT_ACTION::WskInspectReject
        );
        let socket = Arc::clone(&socket);
        let status = request.carry_out(move || {
            let mut state = socket.listening("WskInspectComplete").state.lock();
            let status = match id {
                Some(id) if decides && state.conditional => state.decide(id, Action),
                Some(_) if decides => STATUS_INVALID_DEVICE_STATE,
                _ => STATUS_INVALID_PARAMETER,
            };
            drop(state);
            kick(&socket);
            Outcome::Done(status, 0)
        });
        trace::returned("WskInspectComplete", status)
    }
}

/// Tells the driver's `WskInspectEvent` that the socket is no longer functional.
pub(super) fn tell_inspector(socket: &Arc<Socket>) {
    let listening = socket.listening("WskInspectEvent");
    let Some(callback) = listening.table().and_then(|table| table.WskInspectEvent) else {
        return;
    };
    if !listening.is_conditional() || !socket.take_off_unless_closing() {
        return;
    }
    socket.tell_useless(
        "WskInspectEvent",
        listening.pointers,
        // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for
        // this call.
        move |context| unsafe {
            let action = callback(context, ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            if (0..3).contains(&action.0) {
                Ok(())
            } else {
                Err(WrongAnswer {
                    answer: action.0 as usize,
                    did: WrongAnswer::RETURNED,
                    allowed: INSPECT_ACTIONS,
                })
            }
        },
        |_| {},
    );
}
