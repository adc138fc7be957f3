//! Sending datagrams: `WskSendTo`, `WskSendMessages`.

use core::ops::Range;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::MsgHdr;
use wsk_sys::{
    CMSGHDR, IRP, NTSTATUS, SOCKADDR, STATUS_FILE_FORCED_CLOSED, STATUS_INVALID_ADDRESS_COMPONENT,
    STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS, WSK_BUF, WSK_BUF_LIST, WSK_SOCKET,
};

use super::{MAXIMUM_V6, part};
use crate::bugcheck::{bugcheck, violation};
use crate::faults::{self, Fate};
use crate::flight::{Circle, Flight};
use crate::wsk::ancillary::{Ancillary, Wanted};
use crate::wsk::request::{Outcome, Request, Uses};
use crate::wsk::socket::{self, Socket};
use crate::wsk::{address, host, is_null_provider};
use crate::{pool, trace};

/// The most bytes that a datagram carries over IPv4; over IPv6 there are 20 more.
const MAXIMUM_V4: usize = 65_507;

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
        if is_null_provider() {
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
    let null = is_null_provider();
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
