//! Sending and disconnecting: `WskSend`, `WskSendEx` and `WskDisconnect`. Stands for the sending half of a connection in
//! `tcpip.sys`.

use core::ops::Range;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;

use wsk_sys::{
    CMSGHDR, IRP, NTSTATUS, STATUS_CANCELLED, STATUS_CONNECTION_ABORTED,
    STATUS_CONNECTION_DISCONNECTED, STATUS_FILE_FORCED_CLOSED, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS, WSK_BUF, WSK_FLAG_ABORTIVE,
    WSK_FLAG_NODELAY, WSK_FLAG_OOB, WSK_SOCKET,
};

use super::{DRAINING, PIECES, Phase, Purpose, State, Transmit, kick, pump, tells_control};
use crate::schedule::{self, Plan, SOON};
use crate::trace;
use crate::wsk::deviation::short_sends;
use crate::wsk::pending::complete_all;
use crate::wsk::request::{Request, Uses};
use crate::wsk::socket::{self, Socket};
use crate::wsk::{address, ancillary, host, is_null_provider};

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
        // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed, and the IRP.
        let status = unsafe { send(&socket, Irp, Uses::buffer("WskSend", Buffer), Flags, &[]) };
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
        // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
        let uses = unsafe { Uses::buffer("WskSendEx", Buffer) }.contents(
            ControlInfo,
            ControlInfoLength as usize,
            "the control information",
        );
        let length = if ControlInfo.is_null() { 0 } else { ControlInfoLength as usize };
        // SAFETY: the driver gives the IRP, and keeps as many bytes readable until it is completed.
        let status = unsafe {
            let control: &[u8] = if length == 0 {
                &[]
            } else {
                core::slice::from_raw_parts(ControlInfo.cast(), length)
            };
            send(&socket, Irp, uses, Flags, control)
        };
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
    control: &[u8],
) -> NTSTATUS {
    let mut data = uses.data();
    if short_sends() {
        halve(&mut data);
    }
    // SAFETY: the caller says so.
    let request = unsafe { Request::start(irp, uses, Some(socket)) };
    let refused = request.refusal().or_else(|| {
        let urgent = flags & WSK_FLAG_OOB != 0;
        // Documented: not every transport supports every flag.
        if flags & !(WSK_FLAG_NODELAY | WSK_FLAG_OOB) != 0 || urgent && !socket.family.is_ip() {
            return Some(STATUS_NOT_SUPPORTED);
        }
        if !control.is_empty() {
            if !tells_control() {
                return Some(STATUS_NOT_SUPPORTED);
            }
            if !ancillary::is_whole(control) {
                return Some(STATUS_INVALID_PARAMETER);
            }
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
        urgent: flags & WSK_FLAG_OOB != 0,
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
        let uses = if Buffer.is_null() {
            Uses::nothing("WskDisconnect")
        } else {
            // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
            unsafe { Uses::buffer("WskDisconnect", Buffer) }
        };
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
                    urgent: false,
                    ripe: false,
                };
                transmit_now(&socket, transmit, plan, false)
            }
        };
        trace::returned("WskDisconnect", status)
    }
}

/// Aborts the connection from this side: queued sends are cancelled, receives fail, and the peer sees a reset.
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
    complete_all(transmits, STATUS_CANCELLED);
    complete_all(receives, STATUS_CONNECTION_ABORTED);
}

/// Keeps the first half of the bytes, rounded up.
fn halve(data: &mut [Range<usize>]) {
    let mut left = length_of(data).div_ceil(2);
    for piece in data {
        piece.end = piece.start + piece.len().min(left);
        left -= piece.len();
    }
}

pub(super) fn length_of(data: &[Range<usize>]) -> usize {
    data.iter().map(Range::len).sum()
}

/// Sends, or queues behind the sends in progress. `waited` tells whether the IRP is marked pending already.
pub(super) fn transmit_now(
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

/// Completes a transmit whose IRP was cancelled. When a part of it has been sent, the peer would take the next bytes for the rest,
/// so the connection is aborted.
fn finish_cancelled(socket: &Arc<Socket>, transmit: Transmit) {
    transmit.after_cancel(socket);
    transmit
        .request
        .complete_by(schedule::plan(), STATUS_CANCELLED, 0);
}

impl Transmit {
    pub(super) fn after_cancel(&self, socket: &Arc<Socket>) {
        let begun = self.sent > 0 || self.purpose == Purpose::Disconnect { shut: true };
        if begun && self.purpose != (Purpose::Disconnect { shut: true }) {
            abort(socket);
        } else {
            if let Purpose::Disconnect { shut: false } = self.purpose {
                socket.connection("WskDisconnect").state.lock().finishing = false;
            }
            // The sends behind it can go on.
            kick(socket);
        }
    }

    /// Sends as much as the host takes; `None` when bytes remain.
    fn advance(&mut self, socket: &Socket, state: &mut State) -> Option<(NTSTATUS, usize)> {
        let total = length_of(&self.data);
        if is_null_provider() {
            return Some((STATUS_SUCCESS, total));
        }
        while self.sent < total {
            if let Some(broken) = state.broken {
                return Some((broken, 0));
            }
            let slices = self.rest();
            match socket.with_real(|real| send_to_host(real, &slices, self.no_delay, self.urgent)) {
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
        // Documented: the disconnect completes only when the transport is done with it, which is when the peer has acknowledged all
        // bytes.
        match socket.with_real(host::unacknowledged) {
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

    /// The bytes that are not sent yet.
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
    urgent: bool,
) -> io::Result<usize> {
    let flags = host::SEND_FLAGS | if urgent { host::URGENT } else { 0 };
    if !no_delay || real.tcp_nodelay()? {
        return real.send_vectored_with_flags(slices, flags);
    }
    real.set_tcp_nodelay(true)?;
    let sent = real.send_vectored_with_flags(slices, flags);
    real.set_tcp_nodelay(false)?;
    sent
}

impl State {
    /// Schedules another look for the end of a graceful disconnect: hosts don't report it.
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

pub(super) fn advance_transmits(socket: &Arc<Socket>) {
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
