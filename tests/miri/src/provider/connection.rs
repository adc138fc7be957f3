//! Connections.

use core::ffi::c_void;

use wsk_sys::{
    CMSGHDR, EPROCESS, ETHREAD, IRP, NTSTATUS, SOCKADDR, STATUS_CANCELLED,
    STATUS_CONNECTION_REFUSED, STATUS_CONNECTION_RESET, STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING,
    STATUS_SUCCESS, WSK_BUF, WSK_CLIENT_CONNECTION_DISPATCH, WSK_DATA_INDICATION,
    WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE, WSK_FLAG_ABORTIVE, WSK_FLAG_DRAIN,
    WSK_PROVIDER_CONNECTION_DISPATCH, WSK_SOCKET,
};

use crate::dispatcher::raised;
use crate::irp::Irp;
use crate::mdl;
use crate::provider::request::{
    Described, What, claim, complete, done, take_on, take_on_always, wait,
};
use crate::provider::{Kind, Locked, Place, basic, listening, port_of, world, write_address};

pub(super) static DISPATCH: WSK_PROVIDER_CONNECTION_DISPATCH = WSK_PROVIDER_CONNECTION_DISPATCH {
    Basic: basic::DISPATCH,
    WskBind: Some(basic::bind),
    WskConnect: Some(connect),
    WskGetLocalAddress: Some(basic::local_address),
    WskGetRemoteAddress: Some(remote_address),
    WskSend: Some(send),
    WskReceive: Some(receive),
    WskDisconnect: Some(disconnect),
    WskRelease: Some(release),
    WskConnectEx: Some(connect_ex),
    WskSendEx: Some(send_ex),
    WskReceiveEx: Some(receive_ex),
};

/// `WskConnect`.
pub(super) unsafe extern "system" fn connect(
    socket: *mut WSK_SOCKET,
    to: *mut SOCKADDR,
    _: u32,
    irp: *mut IRP,
) -> NTSTATUS {
    let (number, to) = (socket.addr(), Place(to));
    take_on(number, irp, move |irp| {
        let to = to;
        // SAFETY: the client keeps the address until the request has completed.
        let port = unsafe { port_of(to.0) }.unwrap_or(0);
        let status = if listening::arrive(number, port) {
            STATUS_SUCCESS
        } else {
            STATUS_CONNECTION_REFUSED
        };
        complete(irp, number, status, 0);
    })
}

/// `WskConnectEx`.
unsafe extern "system" fn connect_ex(
    socket: *mut WSK_SOCKET,
    to: *mut SOCKADDR,
    buffer: *mut WSK_BUF,
    _: u32,
    irp: *mut IRP,
) -> NTSTATUS {
    let (number, to, buffer) = (socket.addr(), Place(to), Place(buffer));
    take_on(number, irp, move |irp| {
        let (to, buffer) = (to, buffer);
        // SAFETY: the client keeps the address and the buffer until the request has completed.
        let (port, bytes) = unsafe { (port_of(to.0).unwrap_or(0), mdl::read(buffer.0)) };
        if !listening::arrive(number, port) {
            complete(irp, number, STATUS_CONNECTION_REFUSED, 0);
            return;
        }
        let status = pass(number, bytes);
        complete(irp, number, status, 0);
    })
}

/// `WskSocketConnect`.
pub(super) unsafe extern "system" fn socket_connect(
    _: *mut c_void,
    _: u16,
    _: u32,
    local: *mut SOCKADDR,
    to: *mut SOCKADDR,
    _: u32,
    context: *mut c_void,
    callbacks: *const WSK_CLIENT_CONNECTION_DISPATCH,
    _: *mut EPROCESS,
    _: *mut ETHREAD,
    _: *mut c_void,
    irp: *mut IRP,
) -> NTSTATUS {
    let (local, to) = (Place(local), Place(to));
    let (context, callbacks) = (Place(context), Place(callbacks.cast_mut().cast()));
    take_on(0, irp, move |irp| {
        let (local, to) = (local, to);
        // SAFETY: the client keeps the addresses until the request has completed.
        let (local, port) = unsafe { (port_of(local.0), port_of(to.0).unwrap_or(0)) };
        let mut here = world();
        let number = basic::open(&mut here, Kind::Connection, context, callbacks);
        let port_of_its_own = here.next_port();
        here.socket(number).port = local.filter(|port| *port > 0).unwrap_or(port_of_its_own);
        drop(here);
        if listening::arrive(number, port) {
            complete(irp, 0, STATUS_SUCCESS, number);
        } else {
            basic::free(&mut world(), number);
            complete(irp, 0, STATUS_CONNECTION_REFUSED, 0);
        }
    })
}

/// `WskGetRemoteAddress`.
pub(super) unsafe extern "system" fn remote_address(
    socket: *mut WSK_SOCKET,
    address: *mut SOCKADDR,
    irp: *mut IRP,
) -> NTSTATUS {
    let (number, address) = (socket.addr(), Place(address));
    take_on_always(number, irp, move |irp| {
        let address = address;
        let port = world().socket(number).fixed;
        // SAFETY: the client's place is valid until the request has completed.
        unsafe { write_address(address.0, port) };
        complete(irp, number, STATUS_SUCCESS, 0);
    })
}

/// Ends the bytes for this end of a connection.
pub(super) fn end(here: &mut Locked, number: Option<usize>, reset: bool) {
    if let Some(socket) = number.and_then(|number| here.sockets.get_mut(&number)) {
        socket.ended = true;
        socket.reset |= reset;
    }
}

/// This end of a connection has lost its peer.
pub(super) fn unpair(here: &mut Locked, number: Option<usize>, reset: bool) {
    end(here, number, reset);
    if let Some(socket) = number.and_then(|number| here.sockets.get_mut(&number)) {
        socket.peer = None;
    }
}

/// `WskSend`.
pub(super) unsafe extern "system" fn send(
    socket: *mut WSK_SOCKET,
    buffer: *mut WSK_BUF,
    _: u32,
    irp: *mut IRP,
) -> NTSTATUS {
    let (number, buffer) = (socket.addr(), Place(buffer));
    take_on(number, irp, move |irp| {
        let buffer = buffer;
        // SAFETY: the client keeps the buffer until the request has completed.
        let bytes = unsafe { mdl::read(buffer.0) };
        let length = bytes.len();
        let status = pass(number, bytes);
        let information = if status == STATUS_SUCCESS { length } else { 0 };
        complete(irp, number, status, information);
    })
}

/// Delivers bytes to the other end of a connection.
fn pass(number: usize, bytes: Vec<u8>) -> NTSTATUS {
    let mut here = world();
    let this = here.socket(number);
    let Some(peer) = this.peer.filter(|_| !this.reset) else {
        return STATUS_CONNECTION_RESET;
    };
    here.socket(peer).bytes.extend(bytes);
    drop(here);
    satisfy(peer);
    STATUS_SUCCESS
}

/// `WskSendEx`. The control information is read, and otherwise ignored.
unsafe extern "system" fn send_ex(
    socket: *mut WSK_SOCKET,
    buffer: *mut WSK_BUF,
    _: u32,
    control_length: u32,
    control: *mut CMSGHDR,
    irp: *mut IRP,
) -> NTSTATUS {
    let (number, buffer, control) = (socket.addr(), Place(buffer), Place(control));
    take_on(number, irp, move |irp| {
        let (buffer, control) = (buffer, control);
        // SAFETY: the client keeps the buffer and the control information until the request has completed.
        let bytes = unsafe {
            for index in 0..control_length as usize {
                core::hint::black_box(control.0.cast::<u8>().add(index).read());
            }
            mdl::read(buffer.0)
        };
        let length = bytes.len();
        let status = pass(number, bytes);
        let information = if status == STATUS_SUCCESS { length } else { 0 };
        complete(irp, number, status, information);
    })
}

/// `WskReceive`. It returns the bytes that are available, and never waits to fill the buffer, even if the client asks for that.
pub(super) unsafe extern "system" fn receive(
    socket: *mut WSK_SOCKET,
    buffer: *mut WSK_BUF,
    flags: u32,
    irp: *mut IRP,
) -> NTSTATUS {
    receive_with(socket, buffer, flags, None, irp)
}

/// `WskReceiveEx`, which reports [`CONTROL`].
unsafe extern "system" fn receive_ex(
    socket: *mut WSK_SOCKET,
    buffer: *mut WSK_BUF,
    flags: u32,
    control_length: *mut u32,
    control: *mut CMSGHDR,
    control_flags: *mut u32,
    irp: *mut IRP,
) -> NTSTATUS {
    assert!(control_flags.is_null());
    let control = (!control_length.is_null()).then_some((Place(control_length), Place(control)));
    receive_with(socket, buffer, flags, control, irp)
}

fn receive_with(
    socket: *mut WSK_SOCKET,
    buffer: *mut WSK_BUF,
    flags: u32,
    control: Option<(Place<u32>, Place<CMSGHDR>)>,
    irp: *mut IRP,
) -> NTSTATUS {
    let (number, buffer) = (socket.addr(), Place(buffer));
    let longer = world().receives_take;
    let status = take_on(number, irp, move |irp: Irp| {
        let (buffer, control) = (buffer, control);
        // SAFETY: the client keeps the buffer until the request has completed.
        let length = unsafe { (*buffer.0).Length };
        let here = world();
        if flags & WSK_FLAG_DRAIN != 0 {
            wait(here, irp, number, What::End);
        } else if length == 0 {
            drop(here);
            complete(irp, number, STATUS_SUCCESS, 0);
        } else {
            wait(here, irp, number, What::Bytes { buffer, control });
        }
        satisfy(number);
    });
    crate::sleep(longer);
    status
}

/// Gives the bytes that have arrived at an end of a connection to waiting requests, or indicates them. One thread does so at a
/// time.
pub(super) fn satisfy(number: usize) {
    {
        let mut here = world();
        let Some(socket) = here.sockets.get_mut(&number) else {
            return;
        };
        if socket.serving {
            socket.more = true;
            return;
        }
        socket.serving = true;
        socket.busy += 1;
    }
    loop {
        while serve(number) {}
        let mut here = world();
        let socket = here.socket(number);
        if !core::mem::take(&mut socket.more) {
            socket.serving = false;
            break;
        }
    }
    done(number);
}

/// Serves one request or indication. Returns whether there may be more to do.
fn serve(number: usize) -> bool {
    let mut here = world();
    let socket = here.socket(number);
    let (ended, reset) = (socket.ended, socket.reset);
    let closing = socket.closing.is_some();
    if socket.bytes.is_empty() && !ended && !closing {
        return false;
    }
    let drain = claim(&mut here, |waiting| {
        waiting.socket == number && matches!(waiting.what, What::End)
    });
    if let Some(drain) = drain {
        here.socket(number).bytes.clear();
        if ended || closing {
            drop(here);
            complete(drain.irp, number, STATUS_SUCCESS, 0);
            return true;
        }
        wait(here, drain.irp, number, drain.what);
        return false;
    }
    let receive = claim(&mut here, |waiting| {
        waiting.socket == number && matches!(waiting.what, What::Bytes { .. })
    });
    let Some(receive) = receive else {
        return indicate(here, number);
    };
    let bytes: Vec<u8> = core::mem::take(&mut here.socket(number).bytes).into();
    drop(here);
    let What::Bytes { buffer, control } = receive.what else {
        return true;
    };
    if closing {
        complete(receive.irp, number, STATUS_CANCELLED, 0);
        return true;
    }
    if reset {
        complete(receive.irp, number, STATUS_CONNECTION_RESET, 0);
        return true;
    }
    // SAFETY: the client keeps the buffer until the request has completed.
    let written = unsafe { mdl::write(buffer.0, &bytes) };
    if let Some((length, place)) = control {
        // SAFETY: the client keeps the places until the request has completed, and has stated the room.
        unsafe {
            let room = (*length.0 as usize).min(size_of_val(&CONTROL));
            core::ptr::copy_nonoverlapping(CONTROL.as_ptr().cast(), place.0.cast::<u8>(), room);
            *length.0 = u32::try_from(room).unwrap();
        }
    }
    push_front(number, &bytes[written..]);
    complete(receive.irp, number, STATUS_SUCCESS, written);
    true
}

/// Puts bytes back that nobody has taken.
fn push_front(number: usize, bytes: &[u8]) {
    let mut here = world();
    for byte in bytes.iter().rev() {
        here.socket(number).bytes.push_front(*byte);
    }
}

/// The control information of all bytes: a message of four bytes.
const CONTROL: [u64; 3] = [size_of::<CMSGHDR>() as u64 + 4, 0, 7];

/// Indicated bytes. The indication is the first field, so that its address is that of the whole.
#[repr(C)]
struct Indicated {
    indication: WSK_DATA_INDICATION,
    described: Described,
    /// The control information of the bytes.
    control: [u64; 3],
}

/// Indicates bytes that have arrived, if the event is enabled. Returns whether there may be more to indicate.
fn indicate(here: Locked, number: usize) -> bool {
    let mut here = here;
    let socket = here.socket(number);
    let (context, callbacks) = (socket.context, socket.callbacks);
    if socket.closing.is_some() || callbacks.0.is_null() {
        return false;
    }
    if socket.bytes.is_empty() {
        if !socket.ended || socket.events & WSK_EVENT_DISCONNECT == 0 {
            return false;
        }
        socket.events &= !WSK_EVENT_DISCONNECT;
        let flags = if socket.reset { WSK_FLAG_ABORTIVE } else { 0 };
        socket.busy += 1;
        drop(here);
        // SAFETY: context and callbacks belong to the socket, which is open.
        unsafe {
            let callbacks = callbacks.0.cast::<WSK_CLIENT_CONNECTION_DISPATCH>();
            let event = (*callbacks).WskDisconnectEvent.expect("an event");
            let _ = raised(|| event(context.0, flags));
        }
        done(number);
        return false;
    }
    if socket.events & WSK_EVENT_RECEIVE == 0 {
        return false;
    }
    socket.busy += 1;
    let receive_ex = socket.receive_ex;
    let bytes: Vec<u8> = core::mem::take(&mut socket.bytes).into();
    drop(here);
    let length = bytes.len();
    let place = Box::into_raw(Box::new(Indicated {
        indication: WSK_DATA_INDICATION::default(),
        described: Described::new(bytes.clone()),
        control: CONTROL,
    }));
    let mut accepted = length;
    // SAFETY: the place belongs to this function until the callback has it. Context and callbacks belong to the socket, which is
    // open.
    let status = unsafe {
        (*place).indication.Buffer = WSK_BUF {
            Mdl: &raw mut (*place).described.mdl,
            Offset: 0,
            Length: length,
        };
        if let Some(event) = receive_ex {
            let (control, size) = (&raw mut (*place).control, 24);
            raised(|| {
                event(
                    context.0,
                    0,
                    place.cast(),
                    control.cast(),
                    size,
                    length,
                    &raw mut accepted,
                )
            })
        } else {
            let callbacks = callbacks.0.cast::<WSK_CLIENT_CONNECTION_DISPATCH>();
            let event = (*callbacks).WskReceiveEvent.expect("an event");
            raised(|| event(context.0, 0, place.cast(), length, &raw mut accepted))
        }
    };
    if status == STATUS_PENDING {
        done(number);
        return true;
    }
    // SAFETY: the client no longer uses it.
    drop(unsafe { Box::from_raw(place) });
    if status == STATUS_DATA_NOT_ACCEPTED {
        accepted = 0;
    }
    push_front(number, &bytes[accepted..]);
    done(number);
    accepted > 0
}

/// `WskDisconnect`.
pub(super) unsafe extern "system" fn disconnect(
    socket: *mut WSK_SOCKET,
    buffer: *mut WSK_BUF,
    flags: u32,
    irp: *mut IRP,
) -> NTSTATUS {
    let (number, buffer) = (socket.addr(), Place(buffer));
    take_on(number, irp, move |irp| {
        let buffer = buffer;
        let last = if buffer.0.is_null() {
            Vec::new()
        } else {
            // SAFETY: the client keeps the buffer until the request has completed.
            unsafe { mdl::read(buffer.0) }
        };
        let reset = flags & WSK_FLAG_ABORTIVE != 0;
        let mut here = world();
        let this = here.socket(number);
        let peer = this.peer;
        if reset {
            this.ended = true;
            this.reset = true;
        }
        if let Some(peer) = peer.and_then(|peer| here.sockets.get_mut(&peer)) {
            peer.bytes.extend(last);
        }
        end(&mut here, peer, reset);
        drop(here);
        if let Some(peer) = peer {
            satisfy(peer);
        }
        satisfy(number);
        complete(irp, number, STATUS_SUCCESS, 0);
    })
}

/// `WskRelease`.
pub(super) unsafe extern "system" fn release(
    _: *mut WSK_SOCKET,
    indication: *mut WSK_DATA_INDICATION,
) -> NTSTATUS {
    let place = indication.cast::<Indicated>();
    // SAFETY: the client returns an indication that it has retained.
    let indicated = unsafe { Box::from_raw(place) };
    assert!(!indicated.described.bytes.is_empty());
    STATUS_SUCCESS
}
