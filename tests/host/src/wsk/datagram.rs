//! Datagram sockets: `WSK_PROVIDER_DATAGRAM_DISPATCH` over the host's UDP sockets.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ops::Range;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use socket2::{MsgHdr, SockAddr};
use wsk_sys::{
    CMSGHDR, IRP, MSG_CTRUNC, MSG_TRUNC, NTSTATUS, SOCKADDR, STATUS_ADDRESS_ALREADY_ASSOCIATED,
    STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED, STATUS_DATA_NOT_ACCEPTED, STATUS_FILE_FORCED_CLOSED,
    STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS, WSK_BUF, WSK_BUF_LIST,
    WSK_CLIENT_DATAGRAM_DISPATCH, WSK_DATAGRAM_INDICATION, WSK_EVENT_RECEIVE_FROM,
    WSK_FLAG_AT_DISPATCH_LEVEL, WSK_PROVIDER_DATAGRAM_DISPATCH, WSK_SOCKET,
};

use super::address::{self, Family};
use super::ancillary::{self, Ancillary, Told, Wanted};
use super::binding::{WskBind, WskGetLocalAddress};
use super::callbacks::{self, Callbacks, Disabled, WrongAnswer};
use super::host;
use super::indication::{self, Message};
use super::pending::{Pending, complete_all, waiting};
use super::pointers::Pointers;
use super::request::{Outcome, Request, Uses};
use super::socket::{self, Socket};
use crate::bugcheck::{bugcheck, violation};
use crate::faults::{self, Fate};
use crate::flight::{Circle, Flight};
use crate::pool;
use crate::schedule::{self, Plan, SOON};
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

/// The most bytes that a datagram carries over IPv4; over IPv6 there are 20 more.
const MAXIMUM_V4: usize = 65_507;
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

/// A pending `WskReceiveFrom`.
struct Receive {
    request: Request,
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

/// The parameters of a send, except the data.
struct Sending {
    socket: Arc<Socket>,
    address: Result<Option<SocketAddr>, NTSTATUS>,
    /// The control information, or the status that the send fails with before any other check.
    wanted: Result<Wanted, NTSTATUS>,
    ancillary: Ancillary,
}

impl Sending {
    /// # Safety
    ///
    /// `remote` is readable, if it isn't null, and so are `control_length` bytes of `control`.
    unsafe fn new(
        socket: &Arc<Socket>,
        flags: u32,
        remote: *const SOCKADDR,
        control: *const CMSGHDR,
        control_length: u32,
    ) -> Self {
        let address = if remote.is_null() {
            Ok(None)
        } else {
            // SAFETY: the caller says so.
            unsafe { address::read(remote, socket.family) }.map(Some)
        };
        let length = control_length as usize;
        let wanted = if flags != 0 || (control.is_null() && length != 0) {
            Err(STATUS_INVALID_PARAMETER)
        } else if length == 0 {
            Ok(Wanted::default())
        } else {
            // SAFETY: the caller says so.
            let bytes = unsafe { core::slice::from_raw_parts(control.cast::<u8>(), length) };
            Wanted::read(bytes, socket.family)
        };
        let ancillary = wanted.as_ref().map(host::ancillary).unwrap_or_default();
        Self {
            socket: socket.clone(),
            address,
            wanted,
            ancillary,
        }
    }

    /// Cuts the data into datagrams, if the driver asks for that.
    fn cut(&self, data: Vec<Range<usize>>) -> VecDeque<Vec<Range<usize>>> {
        let given = self.wanted.as_ref().ok().and_then(|wanted| wanted.segment);
        match given.or_else(|| self.socket.options.lock().segment()) {
            None => VecDeque::from([data]),
            Some(size) => segments(&data, size),
        }
    }

    fn destination(&self) -> Result<SocketAddr, NTSTATUS> {
        self.wanted.as_ref().map_err(|status| *status)?;
        let given = self.address?;
        let state = part(&self.socket).state.lock();
        if state.local.is_none() {
            return Err(STATUS_INVALID_DEVICE_STATE);
        }
        let address = given
            .or(state.fixed_remote)
            .or(state.fixed_destination)
            .ok_or(STATUS_INVALID_PARAMETER)?;
        if address.port() == 0 {
            Err(STATUS_INVALID_ADDRESS_COMPONENT)
        } else {
            Ok(address)
        }
    }

    /// Sends one datagram; `None` when the host can't send now.
    fn one(&self, to: SocketAddr, data: &[Range<usize>]) -> Option<Result<usize, NTSTATUS>> {
        let length: usize = data.iter().map(Range::len).sum();
        let v4 = match to {
            SocketAddr::V4(_) => true,
            SocketAddr::V6(to) => to.ip().to_ipv4_mapped().is_some(),
        };
        if length > if v4 { MAXIMUM_V4 } else { MAXIMUM_V6 } {
            return Some(Err(STATUS_INVALID_BUFFER_SIZE));
        }
        let slices: Vec<IoSlice<'_>> = data
            .iter()
            .map(|piece| {
                let start = piece.start as *const u8;
                // SAFETY: the driver keeps the data readable until the IRP is completed; freeing it stops the system.
                IoSlice::new(unsafe { core::slice::from_raw_parts(start, piece.len()) })
            })
            .collect();
        let address = to.into();
        let message = MsgHdr::new()
            .with_addr(&address)
            .with_buffers(&slices)
            .with_control(self.ancillary.bytes());
        match faults::fate() {
            Fate::Lost => return Some(Ok(length)),
            Fate::Duplicated => {
                let _ = self.socket.with_real(|real| real.sendmsg(&message, 0));
            }
            Fate::Delivered | Fate::Reordered => {}
        }
        match self.socket.with_real(|real| real.sendmsg(&message, 0)) {
            None => Some(Err(STATUS_FILE_FORCED_CLOSED)),
            Some(Ok(sent)) => Some(Ok(sent)),
            Some(Err(error)) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => None,
                // The error is about an earlier datagram that its destination refused. Windows doesn't report that to senders.
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                    self.one(to, data)
                }
                _ => Some(Err(address::status(&error))),
            },
        }
    }
}

dispatched! {
    /// Sends a datagram.
    fn WskSendTo(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        RemoteAddress: *mut SOCKADDR,
        ControlInfoLength: u32,
        ControlInfo: *mut CMSGHDR,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskSendTo", Socket);
        socket.datagram("WskSendTo");
        // SAFETY: the driver gives the buffer, whose MDL chain it keeps until the IRP is completed.
        let uses = unsafe { Uses::buffer("WskSendTo", Buffer) }.contents(
            ControlInfo,
            ControlInfoLength as usize,
            "the control information",
        );
        if super::is_null_provider() {
            // SAFETY: the driver gives the buffer and the IRP.
            unsafe {
                let length = (*Buffer).Length;
                return trace::returned(
                    "WskSendTo",
                    Request::start(Irp, uses, Some(&socket)).conclude(STATUS_SUCCESS, length),
                );
            }
        }
        let data = uses.data();
        // SAFETY: the driver gives the address and the IRP.
        let (send, request) = unsafe {
            (
                Sending::new(&socket, Flags, RemoteAddress, ControlInfo, ControlInfoLength),
                Request::start(Irp, uses, Some(&socket)),
            )
        };
        let messages = send.cut(data);
        let status = send_all(request, send, messages);
        trace::returned("WskSendTo", status)
    }
}

/// Carries out a send of datagrams to one address.
fn send_all(
    request: Request,
    send: Sending,
    mut messages: VecDeque<Vec<Range<usize>>>,
) -> NTSTATUS {
    let null = super::is_null_provider();
    let mut total = 0;
    request.carry_out(move || {
        let to = match send.destination() {
            Ok(to) => to,
            Err(status) => return Outcome::Done(status, 0),
        };
        while let Some(data) = messages.front() {
            let length: usize = data.iter().map(Range::len).sum();
            match if null {
                Some(Ok(length))
            } else {
                send.one(to, data)
            } {
                None => return Outcome::Again,
                Some(Ok(sent)) => total += sent,
                Some(Err(status)) => return Outcome::Done(status, total),
            }
            messages.pop_front();
        }
        Outcome::Done(STATUS_SUCCESS, total)
    })
}

/// Cuts data into pieces of `size` bytes, the last of which may be shorter.
fn segments(data: &[Range<usize>], size: usize) -> VecDeque<Vec<Range<usize>>> {
    let mut segments = VecDeque::from([Vec::new()]);
    let mut room = size;
    for range in data {
        let mut range = range.clone();
        while !range.is_empty() {
            if room == 0 {
                segments.push_back(Vec::new());
                room = size;
            }
            let end = range.end.min(range.start + room);
            room -= end - range.start;
            if let Some(segment) = segments.back_mut() {
                segment.push(range.start..end);
            }
            range.start = end;
        }
    }
    segments
}

dispatched! {
    /// Sends several datagrams to one address.
    fn WskSendMessages(
        Socket: *mut WSK_SOCKET,
        BufferList: *mut WSK_BUF_LIST,
        Flags: u32,
        RemoteAddress: *mut SOCKADDR,
        ControlInfoLength: u32,
        ControlInfo: *mut CMSGHDR,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskSendMessages", Socket);
        socket.datagram("WskSendMessages");
        let mut flight = Flight::new("WskSendMessages");
        let mut messages: Vec<Vec<Range<usize>>> = Vec::new();
        let mut seen = 0;
        let mut next = BufferList;
        let mut circle = Circle::default();
        while !next.is_null() {
            if circle.closes(next as usize) {
                bugcheck!(
                    DRIVER_VERIFIER_DETECTED_VIOLATION(
                        violation::WSK_CONTRACT,
                        BufferList as usize,
                        next as usize,
                        0
                    ),
                    [pool::story(next as usize)],
                    "WskSendMessages was given a list of WSK_BUF_LISTs that runs in a circle"
                )
            }
            // SAFETY: the driver gives the list, whose MDL chains it keeps until the IRP is completed.
            unsafe {
                flight.pin(next as usize, size_of::<WSK_BUF_LIST>(), "the WSK_BUF_LIST");
                flight.pin_buffer(&raw const (*next).Buffer, &"a WSK_BUF of WskSendMessages");
                next = (*next).Next;
            }
            messages.push(flight.data().skip(seen).collect());
            seen = flight.data().count();
        }
        let uses = Uses::of(flight).contents(
            ControlInfo,
            ControlInfoLength as usize,
            "the control information",
        );
        // SAFETY: the driver gives the address and the IRP.
        let (send, request) = unsafe {
            (
                Sending::new(&socket, Flags, RemoteAddress, ControlInfo, ControlInfoLength),
                Request::start(Irp, uses, Some(&socket)),
            )
        };
        let messages = messages.into_iter().flat_map(|data| send.cut(data)).collect();
        let status = send_all(request, send, messages);
        trace::returned("WskSendMessages", status)
    }
}

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
    if super::is_null_provider() {
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

/// Takes out a receive that is being cancelled.
pub(crate) fn cancelled(socket: &Socket, irp: *mut IRP) -> Option<Request> {
    part(socket)
        .state
        .lock()
        .receives
        .take(irp)
        .map(|receive| receive.request)
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
    fn fill(&self, family: Family, message: &Message) -> (NTSTATUS, usize) {
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
                control_length.write_unaligned(told as u32);
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
fn next_coalesced(socket: &Socket, state: &mut State) -> Option<Message> {
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

/// Hands out the datagrams that wait here, and those that arrive from now on.
pub(crate) fn watch(socket: &Arc<Socket>) {
    if !part(socket).state.lock().refused.is_empty() {
        let socket = Arc::clone(socket);
        schedule::later(SOON, move || readable(&socket));
    }
    socket.watch();
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
