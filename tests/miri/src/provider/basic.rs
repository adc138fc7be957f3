//! What all sockets share: opening, binding, controlling and closing.

use core::ffi::c_void;
use std::collections::VecDeque;

use wsk_sys::{
    IRP, NTSTATUS, PFN_WSK_RECEIVE_EX_EVENT, SIO_WSK_SET_RECEIVE_EX_CALLBACK,
    SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS, SO_CONDITIONAL_ACCEPT,
    SO_WSK_EVENT_CALLBACK, SOCKADDR, STATUS_CANCELLED, STATUS_PENDING, STATUS_SUCCESS,
    WSK_CONTROL_SOCKET_TYPE, WSK_EVENT_CALLBACK_CONTROL, WSK_EVENT_DISABLE,
    WSK_PROVIDER_BASIC_DISPATCH, WSK_SOCKET,
};

use crate::irp::Irp;
use crate::provider::request::{claim, complete, take_on_always};
use crate::provider::{
    Kind, Locked, Place, Socket, connection, datagram, listening, port_of, world, write_address,
};

pub(super) const DISPATCH: WSK_PROVIDER_BASIC_DISPATCH = WSK_PROVIDER_BASIC_DISPATCH {
    WskControlSocket: Some(control),
    WskCloseSocket: Some(close),
};

/// Opens a socket. Returns its number.
pub(super) fn open(
    here: &mut Locked,
    kind: Kind,
    context: Place<c_void>,
    callbacks: Place<c_void>,
) -> usize {
    let dispatch: *const c_void = match kind {
        Kind::Datagram => (&raw const datagram::DISPATCH).cast(),
        Kind::Connection => (&raw const connection::DISPATCH).cast(),
        Kind::Listening => (&raw const listening::DISPATCH).cast(),
        Kind::Stream => (&raw const listening::STREAM_DISPATCH).cast(),
    };
    let memory = Box::into_raw(Box::new(WSK_SOCKET { Dispatch: dispatch }));
    // A client turns this number into an address.
    let number = memory.expose_provenance();
    here.sockets.insert(
        number,
        Socket {
            memory: Place(memory),
            kind,
            context,
            callbacks,
            events: 0,
            port: 0,
            fixed: 0,
            busy: 0,
            closing: None,
            datagrams: VecDeque::new(),
            bytes: VecDeque::new(),
            ended: false,
            reset: false,
            peer: None,
            receive_ex: None,
            serving: false,
            more: false,
            backlog: VecDeque::new(),
            conditional: false,
            pended: Vec::new(),
        },
    );
    number
}

/// Frees a socket that nobody uses.
pub(super) fn free(here: &mut Locked, number: usize) {
    let socket = here.sockets.remove(&number).expect("an open socket");
    // SAFETY: `open` made it, and it was removed from the table.
    drop(unsafe { Box::from_raw(socket.memory.0) });
}

/// `WskCloseSocket`.
unsafe extern "system" fn close(socket: *mut WSK_SOCKET, irp: *mut IRP) -> NTSTATUS {
    let number = socket.addr();
    let irp = Irp(irp);
    let mut here = world();
    let this = here.socket(number);
    assert!(this.closing.is_none(), "closed twice");
    this.closing = Some(irp);
    // Keeps the socket open until the work below is done.
    this.busy += 1;
    let mut backlog = core::mem::take(&mut this.backlog);
    backlog.extend(core::mem::take(&mut this.pended));
    let peer = this.peer.take();
    for waiting in backlog {
        let client = here.socket(waiting).peer;
        free(&mut here, waiting);
        connection::unpair(&mut here, client, true);
    }
    connection::unpair(&mut here, peer, false);
    drop(here);
    loop {
        let waiting = claim(&mut world(), |waiting| waiting.socket == number);
        let Some(waiting) = waiting else { break };
        complete(waiting.irp, number, STATUS_CANCELLED, 0);
    }
    if let Some(peer) = peer {
        connection::satisfy(peer);
    }
    super::request::done(number);
    STATUS_PENDING
}

/// Frees a socket that has nothing left to do, and completes the request to close it.
pub(super) fn finish_closing(here: Locked, number: usize, irp: Irp) {
    let mut here = here;
    free(&mut here, number);
    drop(here);
    irp.complete(STATUS_SUCCESS, 0);
}

/// `WskBind`.
pub(super) unsafe extern "system" fn bind(
    socket: *mut WSK_SOCKET,
    address: *mut SOCKADDR,
    _: u32,
    irp: *mut IRP,
) -> NTSTATUS {
    let (number, address) = (socket.addr(), Place(address));
    take_on_always(number, irp, move |irp| {
        let address = address;
        // SAFETY: the client's address is valid until the request has completed.
        let port = unsafe { port_of(address.0) }.unwrap_or(0);
        let mut here = world();
        let port = if port == 0 { here.next_port() } else { port };
        here.socket(number).port = port;
        drop(here);
        complete(irp, number, STATUS_SUCCESS, 0);
    })
}

/// `WskGetLocalAddress`.
pub(super) unsafe extern "system" fn local_address(
    socket: *mut WSK_SOCKET,
    address: *mut SOCKADDR,
    irp: *mut IRP,
) -> NTSTATUS {
    let (number, address) = (socket.addr(), Place(address));
    take_on_always(number, irp, move |irp| {
        let address = address;
        let port = world().socket(number).port;
        // SAFETY: the client's place is valid until the request has completed.
        unsafe { write_address(address.0, port) };
        complete(irp, number, STATUS_SUCCESS, 0);
    })
}

/// `WskControlSocket`.
unsafe extern "system" fn control(
    socket: *mut WSK_SOCKET,
    kind: WSK_CONTROL_SOCKET_TYPE,
    code: u32,
    _: u32,
    input_size: usize,
    input: *mut c_void,
    output_size: usize,
    output: *mut c_void,
    _: *mut usize,
    irp: *mut IRP,
) -> NTSTATUS {
    let number = socket.addr();
    if kind == WSK_CONTROL_SOCKET_TYPE::WskSetOption && code == SO_WSK_EVENT_CALLBACK {
        // SAFETY: the client passes the structure.
        let mask = unsafe { (*input.cast::<WSK_EVENT_CALLBACK_CONTROL>()).EventMask };
        let mut here = world();
        let socket = here.socket(number);
        if mask & WSK_EVENT_DISABLE == 0 {
            socket.events |= mask;
            let kind = socket.kind;
            drop(here);
            if irp.is_null() {
                match kind {
                    Kind::Datagram => datagram::indicate(number),
                    Kind::Connection => connection::satisfy(number),
                    Kind::Listening | Kind::Stream => {}
                }
                return STATUS_SUCCESS;
            }
        } else {
            socket.events &= !mask;
            drop(here);
        }
        return take_on_always(number, irp, move |irp| {
            complete(irp, number, STATUS_SUCCESS, 0);
        });
    }
    let (input, output) = (Place(input), Place(output));
    take_on_always(number, irp, move |irp| {
        let (input, output) = (input, output);
        if code == SIO_WSK_SET_REMOTE_ADDRESS || code == SIO_WSK_SET_SENDTO_ADDRESS {
            // SAFETY: the client's address is valid until the request has completed.
            let port = unsafe { port_of(input.0.cast()) };
            world().socket(number).fixed = port.unwrap_or(0);
        }
        if kind == WSK_CONTROL_SOCKET_TYPE::WskSetOption && code == SO_CONDITIONAL_ACCEPT {
            world().socket(number).conditional = true;
        }
        if code == SIO_WSK_SET_RECEIVE_EX_CALLBACK {
            // SAFETY: the client passes the address of a callback, or NULL, as a number.
            let callback = unsafe { input.0.cast::<usize>().read_unaligned() };
            let callback = core::ptr::with_exposed_provenance::<c_void>(callback);
            // SAFETY: the same address, as the type of the callback.
            world().socket(number).receive_ex = unsafe {
                core::mem::transmute::<*const c_void, PFN_WSK_RECEIVE_EX_EVENT>(callback)
            };
        }
        // SAFETY: the client's input and the room for its output are valid until the request has completed.
        unsafe {
            for index in 0..input_size {
                core::hint::black_box(input.0.cast::<u8>().add(index).read());
            }
            if !output.0.is_null() {
                output.0.cast::<u8>().write_bytes(1, output_size);
            }
        }
        complete(irp, number, STATUS_SUCCESS, output_size);
    })
}
