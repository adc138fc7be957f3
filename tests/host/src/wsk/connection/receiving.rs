//! Receiving: `WskReceive`, `WskReceiveEx`, `WskReceiveEvent`, `WskDisconnectEvent` and `WskRelease`. Stands
//! for the receiving half of a connection in `tcpip.sys`.

use core::ffi::c_void;
use std::sync::Arc;

use wsk_sys::{
    CMSGHDR, IRP, NTSTATUS, STATUS_CANCELLED, STATUS_CONNECTION_ABORTED, STATUS_DATA_NOT_ACCEPTED,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_PENDING,
    STATUS_SUCCESS, WSACMSGHDR, WSK_BUF, WSK_DATA_INDICATION, WSK_EVENT_DISCONNECT,
    WSK_EVENT_RECEIVE, WSK_FLAG_ABORTIVE, WSK_FLAG_AT_DISPATCH_LEVEL, WSK_FLAG_DRAIN,
    WSK_FLAG_WAITALL, WSK_SOCKET,
};

use super::sending::length_of;
use super::{CHUNK, CONTROL, Control, Phase, Receive, State, Until, kick};
use crate::schedule::{self, Plan};
use crate::trace;
use crate::wsk::callbacks::{self, WrongAnswer};
use crate::wsk::deviation::{self, cancel_tells_bytes, short_receives, takes_bytes_at_once};
use crate::wsk::request::{Request, Uses};
use crate::wsk::socket::{self, Socket};
use crate::wsk::{ancillary, indication, is_null_provider};

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
        // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed, and the IRP.
        let status = unsafe {
            let uses = Uses::room("WskReceive", Buffer);
            receive(&socket, Irp, uses, Flags, Control::NONE)
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
        // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
        let mut uses = unsafe { Uses::room("WskReceiveEx", Buffer) };
        let mut control = Control::NONE;
        if !ControlInfoLength.is_null() {
            uses = uses.memory(
                ControlInfoLength,
                size_of::<u32>(),
                "the place for the length of the control information",
            );
            // SAFETY: the driver gives the place, with the length of the buffer in it.
            let length = unsafe { ControlInfoLength.read_unaligned() } as usize;
            uses = uses.memory(ControlInfo, length, "the place for the control information");
            control = Control {
                length: ControlInfoLength,
                start: ControlInfo.cast(),
                room: if ControlInfo.is_null() { 0 } else { length },
            };
        }
        // Documented: the parameter is reserved and has to be NULL.
        let flags = if ControlFlags.is_null() { Flags } else { u32::MAX };
        // SAFETY: the driver gives the IRP.
        let status = unsafe { receive(&socket, Irp, uses, flags, control) };
        trace::returned("WskReceiveEx", status)
    }
}

/// When a receive with these flags is complete.
fn until(flags: u32, into_nothing: bool) -> Result<Until, NTSTATUS> {
    match flags {
        0 => Ok(Until::Something),
        WSK_FLAG_WAITALL if short_receives().is_some() => Ok(Until::Something),
        WSK_FLAG_WAITALL => Ok(Until::Full),
        // Documented: the length has to be zero.
        WSK_FLAG_DRAIN if into_nothing => Ok(Until::End),
        WSK_FLAG_DRAIN | u32::MAX => Err(STATUS_INVALID_PARAMETER),
        _ if flags == WSK_FLAG_DRAIN | WSK_FLAG_WAITALL => Err(STATUS_INVALID_PARAMETER),
        _ => Err(STATUS_NOT_SUPPORTED),
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
    let refused = request
        .refusal()
        .map_or_else(|| until(flags, data.is_empty()), Err);
    let plan = schedule::plan();
    let mut state = connection.state.lock();
    let usable = refused.and_then(|until| match state.phase {
        Phase::Connected if !state.silent => Ok(until),
        _ => Err(state.broken.unwrap_or(STATUS_INVALID_DEVICE_STATE)),
    });
    let until = match usable {
        Ok(until) => until,
        Err(status) => {
            drop(state);
            return request.finish(plan, status, 0);
        }
    };
    if is_null_provider() {
        drop(state);
        return request.finish(plan, STATUS_SUCCESS, length_of(&data));
    }
    // Documented: every call of `WskReceive` lets indications go on.
    let stalled = core::mem::take(&mut state.stalled);
    let mut receive = Receive {
        request,
        data,
        until,
        taken: 0,
        control,
    };
    if plan == Plan::Now
        && state.receives.is_empty()
        && !state.indicating
        && let Some((status, length)) = receive.fill(socket, &mut state)
    {
        // The receive may have taken the last bytes before the end of the stream, which `WskDisconnectEvent` reports.
        let tells = state.callbacks.is_enabled(WSK_EVENT_DISCONNECT) && !state.told;
        if stalled || tells {
            kick(socket);
        }
        drop(state);
        receive.request.complete(status, length);
        return status;
    }
    state.receives.push_or_cancel(socket, receive);
    drop(state);
    // Bytes may have arrived already, here or in the host's socket.
    kick(socket);
    STATUS_PENDING
}

impl Receive {
    /// Moves arrived bytes to the driver's buffer; `None` when the receive has to wait for more.
    fn fill(&mut self, socket: &Socket, state: &mut State) -> Option<(NTSTATUS, usize)> {
        let room = length_of(&self.data) - self.taken;
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
        let length = room
            .min(state.unread.len())
            .min(short_receives().unwrap_or(usize::MAX));
        let over = state.ended || state.broken.is_some();
        match (self.until, state.broken) {
            (Until::Something, _) if length > 0 => {}
            (Until::Full, _) if length == room => {}
            (_, Some(broken)) => return Some(self.done(broken, self.request.so_far())),
            _ if over => {}
            (Until::Full, _) if takes_bytes_at_once() => {
                self.take(state, length);
                return None;
            }
            _ => return None,
        }
        self.take(state, length);
        Some(self.done(STATUS_SUCCESS, self.taken))
    }

    /// Moves `length` bytes into the buffer, behind those that it holds already.
    fn take(&mut self, state: &mut State, length: usize) {
        let mut from = 0;
        let mut skip = self.taken;
        for piece in &self.data {
            let skipped = piece.len().min(skip);
            skip -= skipped;
            let now = (piece.len() - skipped).min(length - from);
            // SAFETY: the driver keeps the buffer writable until the IRP is completed; freeing it stops the system.
            unsafe {
                core::ptr::copy_nonoverlapping(
                    state.unread.as_ptr().add(from),
                    (piece.start + skipped) as *mut u8,
                    now,
                );
            };
            from += now;
        }
        state.unread.drain(..length);
        self.taken += length;
        if cancel_tells_bytes() {
            self.request.done_so_far(self.taken);
        }
    }

    fn done(&self, status: NTSTATUS, length: usize) -> (NTSTATUS, usize) {
        let place = self.control;
        if !place.length.is_null() {
            let told = CONTROL.lock();
            let fits = if length > 0 {
                ancillary::fitting(&told, place.room)
            } else {
                0
            };
            // SAFETY: the driver keeps the places writable until the IRP is completed, and has said how much room there is.
            unsafe {
                core::ptr::copy_nonoverlapping(told.as_ptr(), place.start, fits);
                if let Some(length) = deviation::control_length(fits, told.len()) {
                    place.length.write_unaligned(length);
                }
            };
        }
        (status, length)
    }
}

/// The next action of the receiving half.
enum Arrived {
    Received(Receive, NTSTATUS, usize),
    Indicate(Vec<u8>),
    Tell { abortive: bool },
    Nothing,
}

impl State {
    fn arrived(&mut self, socket: &Arc<Socket>) -> Arrived {
        if self.phase != Phase::Connected || self.indicating || self.silent {
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
                Some(cancelled) => {
                    let so_far = cancelled.request.so_far();
                    Arrived::Received(cancelled, STATUS_CANCELLED, so_far)
                }
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
            // Documented: the event reports only what the peer does.
            Some(broken) if tells && broken != STATUS_CONNECTION_ABORTED => {
                Arrived::Tell { abortive: true }
            }
            None if tells && over => Arrived::Tell { abortive: false },
            _ => Arrived::Nothing,
        }
    }
}

pub(super) fn advance_receives(socket: &Arc<Socket>) {
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

/// The event callback for data.
#[derive(Clone, Copy)]
pub(super) enum ReceiveEvent {
    /// `WskReceiveEvent`
    Plain(Plain),
    /// The callback of `SIO_WSK_SET_RECEIVE_EX_CALLBACK`.
    Extended(Extended),
}

type Plain = unsafe extern "system" fn(
    *mut c_void,
    u32,
    *mut WSK_DATA_INDICATION,
    usize,
    *mut usize,
) -> NTSTATUS;
type Extended = unsafe extern "system" fn(
    *mut c_void,
    u32,
    *mut WSK_DATA_INDICATION,
    *mut WSACMSGHDR,
    u32,
    usize,
    *mut usize,
) -> NTSTATUS;

impl ReceiveEvent {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain(_) => "WskReceiveEvent",
            Self::Extended(_) => "WskReceiveExEvent",
        }
    }

    /// Calls the callback with `length` bytes of data, and with control information if it takes that.
    ///
    /// # Safety
    ///
    /// The driver gave the callback and the context, and still keeps both. The list and the place for the bytes that it accepts are
    /// there for the call, or NULL.
    pub(super) unsafe fn call(
        self,
        context: *mut c_void,
        list: *mut WSK_DATA_INDICATION,
        control: &mut [u8],
        length: usize,
        accepted: *mut usize,
    ) -> NTSTATUS {
        let flags = u32::from(WSK_FLAG_AT_DISPATCH_LEVEL);
        // SAFETY: the caller says so.
        unsafe {
            match self {
                Self::Plain(callback) => callback(context, flags, list, length, accepted),
                Self::Extended(callback) => {
                    let start = if control.is_empty() {
                        core::ptr::null_mut()
                    } else {
                        control.as_mut_ptr().cast()
                    };
                    let control = control.len() as u32;
                    callback(context, flags, list, start, control, length, accepted)
                }
            }
        }
    }
}

/// Calls the driver's `WskReceiveEvent` with data.
fn indicate(socket: &Arc<Socket>, mut bytes: Vec<u8>) {
    let connection = socket.connection("WskReceiveEvent");
    let address = socket.address();
    let (_, context) = connection.table();
    let mut left = Vec::new();
    if let Some(callback) = connection.receive_event()
        && let Some(list) = indication::build_stream(address, &bytes)
    {
        let (name, indicated) = (callback.name(), bytes.len());
        let mut accepted = indicated;
        let told = format_args!("{indicated} bytes");
        let mut control = CONTROL.lock().clone();
        // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for this
        // call.
        let answer = callbacks::call(name, told, || unsafe {
            callback.call(context, list, &mut control, indicated, &raw mut accepted)
        });
        match answer {
            STATUS_PENDING => indication::retain(list.cast(), name),
            STATUS_SUCCESS => {
                if accepted > indicated {
                    let answer = WrongAnswer {
                        answer: accepted,
                        did: "set BytesAccepted to more than it was given",
                        allowed: "",
                    };
                    answer.report(socket, name);
                }
                left = bytes.split_off(accepted);
                indication::take_back(name, list.cast());
            }
            STATUS_DATA_NOT_ACCEPTED => {
                left = bytes;
                indication::take_back(name, list.cast());
            }
            other => WrongAnswer::status(
                other,
                "STATUS_SUCCESS, STATUS_PENDING or STATUS_DATA_NOT_ACCEPTED",
            )
            .report(socket, name),
        }
    }
    let mut state = connection.state.lock();
    state.indicating = false;
    if !left.is_empty() {
        // A `WskReceive` that the driver called meanwhile has ended the stall already.
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
        let how = if abortive { "abortive" } else { "graceful" };
        let told = format_args!("{how}");
        // SAFETY: the driver gave the callback and its context, and keeps both until the socket is closed, which waits for
        // this call.
        let answer = callbacks::call("WskDisconnectEvent", told, || unsafe {
            callback(context, flags)
        });
        if answer != STATUS_SUCCESS {
            WrongAnswer::status(answer, "STATUS_SUCCESS").report(socket, "WskDisconnectEvent");
        }
    }
    connection.state.lock().callbacks.end(WSK_EVENT_DISCONNECT);
}

dispatched! {
    /// Takes back data indications that an event callback has retained.
    fn WskRelease(
        Socket: *mut WSK_SOCKET,
        DataIndication: *mut WSK_DATA_INDICATION,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskRelease", Socket);
        socket.connection("WskRelease");
        // SAFETY: the driver gives the list back.
        let status =
            unsafe { indication::release("WskRelease", Socket as usize, DataIndication.cast()) };
        trace::returned("WskRelease", status)
    }
}
