//! Listening sockets, and stream sockets, which listen or connect.

use core::ffi::c_void;

use wsk_sys::{
    IRP, NTSTATUS, SOCKADDR, STATUS_CANCELLED, STATUS_NOT_FOUND, STATUS_SUCCESS,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH, WSK_CLIENT_STREAM_DISPATCH,
    WSK_EVENT_ACCEPT, WSK_INSPECT_ACTION, WSK_INSPECT_ID, WSK_PROVIDER_LISTEN_DISPATCH,
    WSK_PROVIDER_STREAM_DISPATCH, WSK_SOCKET,
};

use crate::dispatcher::raised;
use crate::irp::Irp;
use crate::provider::request::{
    Waiting, What, claim, complete, done, take_on, take_on_always, wait,
};
use crate::provider::{Kind, Locked, Place, address, basic, connection, world, write_address};

pub(super) static DISPATCH: WSK_PROVIDER_LISTEN_DISPATCH = WSK_PROVIDER_LISTEN_DISPATCH {
    Basic: basic::DISPATCH,
    WskBind: Some(basic::bind),
    WskAccept: Some(accept),
    WskInspectComplete: Some(inspect_complete),
    WskGetLocalAddress: Some(basic::local_address),
};

pub(super) static STREAM_DISPATCH: WSK_PROVIDER_STREAM_DISPATCH = WSK_PROVIDER_STREAM_DISPATCH {
    Basic: basic::DISPATCH,
    WskBind: Some(basic::bind),
    WskAccept: Some(accept),
    WskConnect: Some(stream_connect),
    WskListen: Some(listen),
    WskSend: Some(connection::send),
    WskReceive: Some(connection::receive),
    WskDisconnect: Some(connection::disconnect),
    WskRelease: Some(connection::release),
    WskGetLocalAddress: Some(basic::local_address),
    WskGetRemoteAddress: Some(connection::remote_address),
    WskConnectEx: None,
    WskSendEx: None,
    WskReceiveEx: None,
};

/// Turns a stream socket into a listening or a connection socket, with the callbacks for that.
fn become_of(number: usize, kind: Kind) {
    let mut here = world();
    let socket = here.socket(number);
    assert_eq!(
        socket.kind,
        Kind::Stream,
        "the socket listens or connects already"
    );
    socket.kind = kind;
    // SAFETY: the client has passed the table of a stream socket, or none.
    let table = unsafe {
        socket
            .callbacks
            .0
            .cast::<WSK_CLIENT_STREAM_DISPATCH>()
            .as_ref()
    };
    if let Some(table) = table {
        socket.callbacks = Place(match kind {
            Kind::Listening => table.Listen.cast_mut().cast(),
            _ => table.Connect.cast_mut().cast(),
        });
    }
}

/// `WskListen`.
unsafe extern "system" fn listen(socket: *mut WSK_SOCKET, irp: *mut IRP) -> NTSTATUS {
    let number = socket.addr();
    take_on_always(number, irp, move |irp| {
        become_of(number, Kind::Listening);
        complete(irp, number, STATUS_SUCCESS, 0);
    })
}

/// `WskConnect` of a stream socket.
unsafe extern "system" fn stream_connect(
    socket: *mut WSK_SOCKET,
    to: *mut SOCKADDR,
    flags: u32,
    irp: *mut IRP,
) -> NTSTATUS {
    become_of(socket.addr(), Kind::Connection);
    // SAFETY: the caller keeps the same contract.
    unsafe { connection::connect(socket, to, flags, irp) }
}

/// A connection arrives at a port. Returns `false` if nobody listens there.
pub(super) fn arrive(client: usize, port: u16) -> bool {
    let mut here = world();
    let Some(listener) = here.at_port(Kind::Listening, port) else {
        return false;
    };
    let null = Place(core::ptr::null_mut());
    let server = basic::open(&mut here, Kind::Connection, null, null);
    let from = here.socket(client).port;
    here.socket(client).peer = Some(server);
    here.socket(client).fixed = port;
    let socket = here.socket(server);
    (socket.peer, socket.port, socket.fixed) = (Some(client), port, from);
    if here.socket(listener).conditional {
        inspect(here, listener, server);
    } else {
        come(here, listener, server);
    }
    true
}

/// Asks the client whether to make a connection.
fn inspect(here: Locked, listener: usize, server: usize) {
    let mut here = here;
    let socket = here.socket(server);
    let (mut local, mut remote) = (address(socket.port), address(socket.fixed));
    let socket = here.socket(listener);
    socket.busy += 1;
    // This comes before the callback, because the client may answer before it returns.
    socket.pended.push(server);
    let (context, callbacks) = (socket.context, socket.callbacks);
    drop(here);
    let mut id = WSK_INSPECT_ID {
        Key: server,
        SerialNumber: 7,
    };
    // SAFETY: context and callbacks belong to the socket, which is open; addresses and identifier outlive the callback.
    let action = unsafe {
        let callbacks = callbacks.0.cast::<WSK_CLIENT_LISTEN_DISPATCH>();
        let event = (*callbacks).WskInspectEvent.expect("an event");
        raised(|| {
            event(
                context.0,
                (&raw mut local).cast(),
                (&raw mut remote).cast(),
                &raw mut id,
            )
        })
    };
    if action != WSK_INSPECT_ACTION::WskInspectPend {
        decide(listener, server, action);
    }
    done(listener);
}

/// Makes or rejects a connection that was inspected. Returns `false` if the connection is gone.
fn decide(listener: usize, server: usize, action: WSK_INSPECT_ACTION) -> bool {
    let mut here = world();
    let pended = &mut here.socket(listener).pended;
    let Some(index) = pended.iter().position(|pended| *pended == server) else {
        return false;
    };
    pended.swap_remove(index);
    if action == WSK_INSPECT_ACTION::WskInspectAccept {
        come(here, listener, server);
    } else {
        let client = here.socket(server).peer;
        basic::free(&mut here, server);
        connection::unpair(&mut here, client, true);
        drop(here);
        if let Some(client) = client {
            connection::satisfy(client);
        }
    }
    true
}

/// `WskInspectComplete`.
unsafe extern "system" fn inspect_complete(
    socket: *mut WSK_SOCKET,
    id: *mut WSK_INSPECT_ID,
    action: WSK_INSPECT_ACTION,
    irp: *mut IRP,
) -> NTSTATUS {
    let (number, id) = (socket.addr(), Place(id));
    take_on_always(number, irp, move |irp| {
        let id = id;
        // SAFETY: the client keeps the identifier until the request has completed.
        let id = unsafe { id.0.read() };
        assert_eq!(id.SerialNumber, 7);
        let status = if decide(number, id.Key, action) {
            STATUS_SUCCESS
        } else {
            STATUS_NOT_FOUND
        };
        complete(irp, number, status, 0);
    })
}

/// Makes a connection.
fn come(here: Locked, listener: usize, server: usize) {
    let mut here = here;
    let accept = claim(&mut here, |waiting| {
        waiting.socket == listener && matches!(waiting.what, What::Connection { .. })
    });
    let events = here.socket(listener).events & WSK_EVENT_ACCEPT != 0;
    if let Some(accept) = accept {
        give(here, accept, server);
    } else if events {
        indicate(here, listener, server);
    } else {
        here.socket(listener).backlog.push_back(server);
    }
}

/// Completes an accept with a connection.
#[allow(clippy::needless_pass_by_value)]
fn give(here: Locked, accept: Waiting, server: usize) {
    let mut here = here;
    let What::Connection {
        context,
        callbacks,
        from,
    } = accept.what
    else {
        return;
    };
    let socket = here.socket(server);
    (socket.context, socket.callbacks) = (context, callbacks);
    let port = socket.fixed;
    drop(here);
    // SAFETY: the client keeps the place until the request has completed.
    unsafe { write_address(from.0, port) };
    complete(accept.irp, accept.socket, STATUS_SUCCESS, server);
}

/// Indicates a connection.
fn indicate(here: Locked, listener: usize, server: usize) {
    let mut here = here;
    let socket = here.socket(server);
    // The socket stays, although the client may close it in the callback.
    socket.busy += 1;
    let (client, memory) = (socket.peer, socket.memory);
    let (mut local, mut remote) = (address(socket.port), address(socket.fixed));
    let socket = here.socket(listener);
    socket.busy += 1;
    let (context, callbacks) = (socket.context, socket.callbacks);
    drop(here);
    let (mut new_context, mut new_callbacks) = (core::ptr::null_mut(), core::ptr::null());
    // SAFETY: context and callbacks belong to the socket, which is open; the places outlive the callback.
    let status = unsafe {
        let callbacks = callbacks.0.cast::<WSK_CLIENT_LISTEN_DISPATCH>();
        let event = (*callbacks).WskAcceptEvent.expect("an event");
        raised(|| {
            event(
                context.0,
                0,
                (&raw mut local).cast(),
                (&raw mut remote).cast(),
                memory.0,
                &raw mut new_context,
                &raw mut new_callbacks,
            )
        })
    };
    let mut here = world();
    if status == STATUS_SUCCESS {
        let socket = here.socket(server);
        socket.context = Place(new_context);
        socket.callbacks = Place(new_callbacks.cast_mut().cast());
        drop(here);
        done(server);
    } else {
        basic::free(&mut here, server);
        connection::unpair(&mut here, client, true);
        drop(here);
    }
    done(listener);
}

/// `WskAccept`.
unsafe extern "system" fn accept(
    socket: *mut WSK_SOCKET,
    _: u32,
    context: *mut c_void,
    callbacks: *const WSK_CLIENT_CONNECTION_DISPATCH,
    _: *mut SOCKADDR,
    from: *mut SOCKADDR,
    irp: *mut IRP,
) -> NTSTATUS {
    let number = socket.addr();
    let what = What::Connection {
        context: Place(context),
        callbacks: Place(callbacks.cast_mut().cast()),
        from: Place(from),
    };
    take_on(number, irp, move |irp: Irp| {
        let mut here = world();
        let this = here.socket(number);
        if let Some(server) = this.backlog.pop_front() {
            let accept = Waiting {
                irp,
                socket: number,
                what,
            };
            give(here, accept, server);
        } else if this.closing.is_some() {
            drop(here);
            complete(irp, number, STATUS_CANCELLED, 0);
        } else {
            wait(here, irp, number, what);
        }
    })
}
