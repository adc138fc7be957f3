//! Receiving datagrams: `WskReceiveFrom`, and what the host has received.

use core::mem::MaybeUninit;
use core::ops::Range;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::SockAddr;
use wsk_sys::{
    CMSGHDR, IRP, MSG_CTRUNC, MSG_TRUNC, NTSTATUS, SOCKADDR, STATUS_BUFFER_OVERFLOW,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS, WSK_BUF,
    WSK_SOCKET,
};

use super::{MAXIMUM_V6, State, part, watch};
use crate::faults::{self, Fate};
use crate::schedule::{self, Plan};
use crate::trace;
use crate::wsk::address::{self, Family};
use crate::wsk::ancillary::{self, Told};
use crate::wsk::indication::Message;
use crate::wsk::pending::waiting;
use crate::wsk::request::{Request, Uses};
use crate::wsk::socket::{self, Socket};
use crate::wsk::{deviation, host, is_null_provider};

/// A pending `WskReceiveFrom`.
pub(super) struct Receive {
    pub(super) request: Request,
    data: Vec<Range<usize>>,
    outputs: Outputs,
}

/// The driver's places for the results of a `WskReceiveFrom`, except the data.
#[derive(Clone, Copy)]
struct Outputs {
    remote: *mut SOCKADDR,
    /// The room for control information; NULL when the driver gives none.
    control: *mut u8,
    control_room: usize,
    control_length: *mut u32,
    control_flags: *mut u32,
}

// SAFETY: the driver keeps the places until the IRP is completed, on whatever thread.
unsafe impl Send for Outputs {}

dispatched! {
    /// Receives a datagram.
    fn WskReceiveFrom(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        RemoteAddress: *mut SOCKADDR,
        ControlLength: *mut u32,
        ControlInfo: *mut CMSGHDR,
        ControlFlags: *mut u32,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskReceiveFrom", Socket);
        socket.datagram("WskReceiveFrom");
        // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
        let uses = unsafe { Uses::room("WskReceiveFrom", Buffer) }
            .memory(
                RemoteAddress,
                socket.family.size(),
                "the place for the remote address",
            )
            .memory(
                ControlLength,
                size_of::<u32>(),
                "the place for the length of the control information",
            )
            .memory(
                ControlFlags,
                size_of::<u32>(),
                "the place for the control flags",
            );
        let control_room = if ControlLength.is_null() || ControlInfo.is_null() {
            0
        } else {
            // SAFETY: the driver gives the length of its buffer there.
            unsafe { ControlLength.read_unaligned() as usize }
        };
        let uses = uses.memory(
            ControlInfo,
            control_room,
            "the place for the control information",
        );
        let data = uses.data();
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, uses, Some(&socket)) };
        let outputs = Outputs {
            remote: RemoteAddress,
            control: ControlInfo.cast(),
            control_room,
            control_length: ControlLength,
            control_flags: ControlFlags,
        };
        trace::returned(
            "WskReceiveFrom",
            receive(
                &socket,
                Receive {
                    request,
                    data,
                    outputs,
                },
                Flags,
            ),
        )
    }
}

fn receive(socket: &Arc<Socket>, receive: Receive, flags: u32) -> NTSTATUS {
    let datagram = part(socket);
    let refusal = receive.request.refusal().or_else(|| {
        if flags != 0 {
            Some(STATUS_INVALID_PARAMETER)
        } else if datagram.state.lock().local.is_none() {
            Some(STATUS_INVALID_DEVICE_STATE)
        } else {
            None
        }
    });
    let plan = schedule::plan();
    if let Some(status) = refusal {
        return receive.request.finish(plan, status, 0);
    }
    if is_null_provider() {
        let length = receive.data.iter().map(Range::len).sum();
        receive.sent_by_nobody(socket.family);
        return receive.request.finish(plan, STATUS_SUCCESS, length);
    }
    let mut state = datagram.state.lock();
    if plan == Plan::Now
        && state.receives.is_empty()
        && let Some(message) = next_coalesced(socket, &mut state)
    {
        drop(state);
        let (status, length) = receive.fill(socket.family, &message);
        receive.request.complete(status, length);
        return status;
    }
    state.receives.push_or_cancel(socket, receive);
    drop(state);
    watch(socket);
    STATUS_PENDING
}

waiting!(Receive);

impl Receive {
    /// Writes the sender that the null provider reports: this machine, port 9.
    fn sent_by_nobody(&self, family: Family) {
        if self.outputs.remote.is_null() {
            return;
        }
        let from = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 9));
        // SAFETY: the driver keeps the place writable until the IRP is completed.
        unsafe { address::write(self.outputs.remote, from, family) };
    }

    /// Writes a datagram to the driver's buffer and places.
    pub(super) fn fill(&self, family: Family, message: &Message) -> (NTSTATUS, usize) {
        let mut rest = message.bytes.as_slice();
        for piece in &self.data {
            let (now, later) = rest.split_at(rest.len().min(piece.len()));
            // SAFETY: the driver keeps the buffer writable until the IRP is completed; freeing it stops the system.
            unsafe {
                core::ptr::copy_nonoverlapping(now.as_ptr(), piece.start as *mut u8, now.len());
            };
            rest = later;
        }
        let Outputs {
            remote,
            control,
            control_room,
            control_length,
            control_flags,
        } = self.outputs;
        let truncated = !rest.is_empty();
        let told = ancillary::fitting(&message.control, control_room);
        // Control information is only cut off where the driver asks for it.
        let cut = told < message.control.len() && !control_length.is_null();
        // SAFETY: the driver keeps the places it gave writable until the IRP is completed.
        unsafe {
            if !remote.is_null() {
                address::write(remote, message.from, family);
            }
            if !control_length.is_null() {
                core::ptr::copy_nonoverlapping(message.control.as_ptr(), control, told);
                if let Some(length) = deviation::control_length(told, message.control.len()) {
                    control_length.write_unaligned(length);
                }
            }
            if !control_flags.is_null() {
                let flag = |set: bool, flag: u32| if set { flag } else { 0 };
                control_flags.write_unaligned(flag(truncated, MSG_TRUNC) | flag(cut, MSG_CTRUNC));
            }
        }
        let status = if truncated {
            STATUS_BUFFER_OVERFLOW
        } else {
            STATUS_SUCCESS
        };
        (status, message.bytes.len() - rest.len())
    }
}

/// The next datagram: one that was put back, or a new one. `None` when none has arrived.
fn next_message(socket: &Socket, state: &mut State) -> Option<Message> {
    if let Some(message) = state.refused.pop_front() {
        return Some(message);
    }
    loop {
        let message = arrived(socket, state)?;
        match faults::fate() {
            Fate::Lost => continue,
            Fate::Delivered => {}
            Fate::Duplicated => state.refused.push_front(message.clone()),
            Fate::Reordered => {
                if let Some(next) = arrived(socket, state) {
                    state.refused.push_front(message);
                    return Some(next);
                }
            }
        }
        return Some(message);
    }
}

/// As [`next_message`], but joins several datagrams of one size from one sender, if the driver asks for that.
pub(super) fn next_coalesced(socket: &Socket, state: &mut State) -> Option<Message> {
    let mut message = next_message(socket, state)?;
    let most = socket.options.lock().coalesced();
    let Some(most) = most.filter(|_| !message.whole) else {
        return Some(message);
    };
    let size = message.bytes.len();
    let mut count = 1;
    while size > 0 && message.bytes.len() + size <= most.min(MAXIMUM_V6) {
        let Some(next) = next_message(socket, state) else {
            break;
        };
        let length = next.bytes.len();
        let belongs = !next.whole
            && next.from == message.from
            && next.control == message.control
            && (1..=size).contains(&length);
        if !belongs {
            state.refused.push_front(next);
            break;
        }
        message.bytes.extend(next.bytes);
        count += 1;
        // Only the last datagram may be shorter.
        if length < size {
            break;
        }
    }
    if count > 1 {
        message.whole = true;
        ancillary::put_coalesced(&mut message.control, u32::try_from(size).ok()?);
    }
    Some(message)
}

/// The next datagram that the host has received and that the socket accepts.
fn arrived(socket: &Socket, state: &State) -> Option<Message> {
    loop {
        let told = socket.options.lock().told();
        let message = socket.with_real(|real| from_host(real, told))??;
        // Documented: datagrams from other addresses than the fixed remote address are discarded.
        if state
            .fixed_remote
            .is_none_or(|remote| same(remote, message.from))
        {
            return Some(message);
        }
    }
}

fn same(left: SocketAddr, right: SocketAddr) -> bool {
    left.port() == right.port() && left.ip().to_canonical() == right.ip().to_canonical()
}

fn from_host(real: &socket2::Socket, told: Told) -> Option<Message> {
    std::thread_local! {
        static SCRATCH: core::cell::RefCell<Vec<MaybeUninit<u8>>> = const { core::cell::RefCell::new(Vec::new()) };
    }
    if let Some((from, bytes, control)) = host::receive_error(real, told) {
        return Some(Message {
            bytes,
            from,
            control,
            whole: true,
        });
    }
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.resize(1 << 16, MaybeUninit::uninit());
        loop {
            let mut from = SockAddr::from(SocketAddr::from(([0; 16], 0)));
            let mut room = ancillary::Room::new();
            match host::receive(real, &mut from, scratch, room.bytes()) {
                Ok((length, length_of_control)) => {
                    // SAFETY: the host has written as many bytes of each.
                    let (bytes, control) = unsafe {
                        (
                            ancillary::written(&scratch[..length]).to_vec(),
                            room.written(length_of_control),
                        )
                    };
                    if let Some(from) = from.as_socket() {
                        return Some(Message {
                            bytes,
                            from,
                            control: host::translate(told, control),
                            whole: false,
                        });
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted
                            | io::ErrorKind::ConnectionRefused
                            | io::ErrorKind::ConnectionReset
                    ) => {}
                Err(_) => return None,
            }
        }
    })
}
