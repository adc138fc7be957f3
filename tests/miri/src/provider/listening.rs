//! Listening sockets.

use core::ffi::c_void;

use wsk_sys::{
    IRP, NTSTATUS, SOCKADDR, STATUS_CANCELLED, STATUS_SUCCESS, WSK_CLIENT_CONNECTION_DISPATCH,
    WSK_CLIENT_LISTEN_DISPATCH, WSK_EVENT_ACCEPT, WSK_PROVIDER_LISTEN_DISPATCH, WSK_SOCKET,
};

use crate::dispatcher::raised;
use crate::irp::Irp;
use crate::provider::request::{Waiting, What, claim, complete, done, take_on, wait};
use crate::provider::{Kind, Locked, Place, address, basic, connection, world, write_address};

pub(super) static DISPATCH: WSK_PROVIDER_LISTEN_DISPATCH = WSK_PROVIDER_LISTEN_DISPATCH {
    Basic: basic::DISPATCH,
    WskBind: Some(basic::bind),
    WskAccept: Some(accept),
    WskInspectComplete: None,
    WskGetLocalAddress: Some(basic::local_address),
};

/// A connection arrives at a port; `false` when nobody listens there.
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
    true
}

/// Ends an accept with a connection.
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

/// Tells of a connection.
fn indicate(here: Locked, listener: usize, server: usize) {
    let mut here = here;
    let socket = here.socket(server);
    // It stays, though the client may close it in the callback.
    socket.busy += 1;
    let (client, memory) = (socket.peer, socket.memory);
    let (mut local, mut remote) = (address(socket.port), address(socket.fixed));
    let socket = here.socket(listener);
    socket.busy += 1;
    let (context, callbacks) = (socket.context, socket.callbacks);
    drop(here);
    let (mut new_context, mut new_callbacks) = (core::ptr::null_mut(), core::ptr::null());
    // SAFETY: context and callbacks are the socket's, which is open; the places are there for the callback.
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
