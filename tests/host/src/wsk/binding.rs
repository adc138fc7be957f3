//! Functions of all sockets but basic ones: `WskBind` and `WskGetLocalAddress`. Also `WskGetRemoteAddress` of connected sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use wsk_sys::{
    IRP, NTSTATUS, SOCKADDR, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
    WSK_SOCKET,
};

use super::request::{Outcome, Request, Uses};
use super::socket::{self, Category, Socket};
use super::{address, connection, datagram, listen};
use crate::irp;

/// The driver's place for an address; NULL when the driver wants none.
#[derive(Clone, Copy)]
pub(crate) struct Place(*mut SOCKADDR);

// SAFETY: the driver keeps the place until the IRP is completed, on whatever thread.
unsafe impl Send for Place {}

impl Place {
    /// The driver's place for an address, which has to stay writable while the request is in flight.
    pub(crate) fn new(
        place: *mut SOCKADDR,
        request: &Request,
        socket: &Socket,
        what: &'static str,
    ) -> Self {
        irp::with_flight(request.irp(), |flight| {
            flight.pin(place as usize, socket.family.size(), what);
        });
        Self(place)
    }

    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Writes an address, if the driver wants it.
    pub(crate) fn put(self, address: SocketAddr, family: address::Family) {
        if !self.0.is_null() {
            // SAFETY: the driver keeps the place writable until the IRP is completed, and the flight judges that.
            unsafe { address::write(self.0, address, family) };
        }
    }
}

dispatched! {
    /// Binds a socket to a local address.
    fn WskBind(
        Socket: *mut WSK_SOCKET,
        LocalAddress: *mut SOCKADDR,
        Flags: u32,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskBind", Socket);
        let uses = Uses::nothing("WskBind").memory(LocalAddress, 2, "the local address");
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, uses, Some(&socket)) };
        let address = if LocalAddress.is_null() || Flags != 0 {
            Err(STATUS_INVALID_PARAMETER)
        } else {
            // SAFETY: the driver gives the address.
            unsafe { address::read(LocalAddress, socket.family) }
        };
        let socket = Arc::clone(&socket);
        let status = request.carry_out(move || {
            Outcome::Done(
                address.map_or_else(|status| status, |address| bind(&socket, address)),
                0,
            )
        });
        crate::trace::returned("WskBind", status)
    }
}

fn bind(socket: &Arc<Socket>, address: SocketAddr) -> NTSTATUS {
    match &socket.category {
        Category::Basic => socket.of_another_category("WskBind"),
        Category::Datagram(_) => datagram::bind(socket, address),
        Category::Connection(_) | Category::Stream(..) => connection::bind(socket, address),
        Category::Listen(_) => listen::bind(socket, address),
    }
}

dispatched! {
    /// Gives the local address of a bound socket.
    fn WskGetLocalAddress(
        Socket: *mut WSK_SOCKET,
        LocalAddress: *mut SOCKADDR,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskGetLocalAddress", Socket);
        let uses = Uses::nothing("WskGetLocalAddress");
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, uses, Some(&socket)) };
        let place = Place::new(
            LocalAddress,
            &request,
            &socket,
            "the place for the local address",
        );
        let socket = Arc::clone(&socket);
        let status = request.carry_out(move || {
            let local = match &socket.category {
                Category::Basic => socket.of_another_category("WskGetLocalAddress"),
                Category::Datagram(datagram) => datagram.local(),
                Category::Connection(connection) | Category::Stream(connection, _) => {
                    connection.local()
                }
                Category::Listen(listening) => listening.local(),
            };
            Outcome::Done(give(place, local, &socket), 0)
        });
        crate::trace::returned("WskGetLocalAddress", status)
    }
}

dispatched! {
    /// Gives the remote address of a connected socket.
    fn WskGetRemoteAddress(
        Socket: *mut WSK_SOCKET,
        RemoteAddress: *mut SOCKADDR,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskGetRemoteAddress", Socket);
        socket.connection("WskGetRemoteAddress");
        let uses = Uses::nothing("WskGetRemoteAddress");
        // SAFETY: the driver gives the IRP.
        let request = unsafe { Request::start(Irp, uses, Some(&socket)) };
        let place = Place::new(
            RemoteAddress,
            &request,
            &socket,
            "the place for the remote address",
        );
        let socket = Arc::clone(&socket);
        let status = request.carry_out(move || {
            let remote = socket.connection("WskGetRemoteAddress").remote();
            Outcome::Done(give(place, remote, &socket), 0)
        });
        crate::trace::returned("WskGetRemoteAddress", status)
    }
}

fn give(place: Place, address: Option<SocketAddr>, socket: &Socket) -> NTSTATUS {
    match address {
        Some(_) if place.is_null() => STATUS_INVALID_PARAMETER,
        Some(address) => {
            place.put(address, socket.family);
            STATUS_SUCCESS
        }
        None => STATUS_INVALID_DEVICE_STATE,
    }
}
