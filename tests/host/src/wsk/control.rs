//! Options and I/O control operations of sockets: `WskControlSocket`.

mod options;

use core::ffi::c_void;
use core::ptr;
use std::net::SocketAddr;
use std::sync::Arc;

use wsk_sys::{
    GUID, IRP, NPI_WSK_INTERFACE_ID, NTSTATUS, PFN_WSK_RECEIVE_EX_EVENT, SIO_CPU_AFFINITY,
    SIO_QUERY_RSS_PROCESSOR_INFO, SIO_QUERY_RSS_SCALABILITY_INFO,
    SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT, SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
    SIO_ROUTING_INTERFACE_QUERY, SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS, SIO_TCP_INFO,
    SIO_WSK_QUERY_IDEAL_SEND_BACKLOG, SIO_WSK_QUERY_INSPECT_ID, SIO_WSK_QUERY_RECEIVE_BACKLOG,
    SIO_WSK_REGISTER_EXTENSION, SIO_WSK_SET_RECEIVE_EX_CALLBACK, SIO_WSK_SET_REMOTE_ADDRESS,
    SIO_WSK_SET_SENDTO_ADDRESS, SIO_WSK_SET_TCP_SILENT_MODE, SO_CONDITIONAL_ACCEPT,
    SO_WSK_EVENT_CALLBACK, SO_WSK_SECURITY, SOCKET_PROCESSOR_AFFINITY, SOL_SOCKET,
    STATUS_BUFFER_TOO_SMALL, STATUS_EVENT_PENDING, STATUS_FILE_FORCED_CLOSED,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS, TCP_INFO_v0,
    TCP_INFO_v1, WSK_CONTROL_SOCKET_TYPE, WSK_EVENT_ACCEPT, WSK_EVENT_CALLBACK_CONTROL,
    WSK_EVENT_DISABLE, WSK_EVENT_RECEIVE_FROM, WSK_EXTENSION_CONTROL_IN, WSK_EXTENSION_CONTROL_OUT,
    WSK_INSPECT_ID, WSK_SOCKET,
};

use super::callbacks::Disabled;
use super::connection::Connection;
use super::deviation::leaves_output;
use super::host;
use super::listen::Listening;
use super::request::{Outcome, Request, Uses};
use super::socket::{self, Category, Socket};
use super::{address, connection, datagram, extension, listen, security};
use crate::trace;

pub(crate) use options::Options;

/// The parameters of a call of `WskControlSocket`, except the IRP.
struct Control {
    socket: Arc<Socket>,
    kind: WSK_CONTROL_SOCKET_TYPE,
    code: u32,
    level: u32,
    input: Buffer,
    output: Buffer,
}

/// A buffer of the driver's.
#[derive(Clone, Copy)]
struct Buffer {
    start: *mut u8,
    length: usize,
}

// SAFETY: the driver keeps the buffers until the IRP is completed, on whatever thread.
unsafe impl Send for Buffer {}

impl Buffer {
    fn new(start: *mut c_void, length: usize) -> Self {
        Self {
            start: start.cast(),
            length: if start.is_null() { 0 } else { length },
        }
    }

    fn bytes(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: the driver keeps as many bytes readable until the call, or its IRP, is completed.
        unsafe { core::slice::from_raw_parts(self.start, self.length) }
    }

    /// Writes bytes to the driver's buffer, if they fit; returns the status and their number.
    fn put(&self, bytes: &[u8]) -> (NTSTATUS, usize) {
        if self.length < bytes.len() {
            return (STATUS_BUFFER_TOO_SMALL, 0);
        }
        if leaves_output() {
            return (STATUS_SUCCESS, 0);
        }
        // SAFETY: the driver keeps as many bytes writable until the call, or its IRP, is completed; `bytes` are the provider's own.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start, bytes.len()) };
        (STATUS_SUCCESS, bytes.len())
    }
}

dispatched! {
    /// Carries out an operation on a socket.
    fn WskControlSocket(
        Socket: *mut WSK_SOCKET,
        RequestType: WSK_CONTROL_SOCKET_TYPE,
        ControlCode: u32,
        Level: u32,
        InputSize: usize,
        InputBuffer: *mut c_void,
        OutputSize: usize,
        OutputBuffer: *mut c_void,
        OutputSizeReturned: *mut usize,
        Irp: *mut IRP,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let socket = socket::enter("WskControlSocket", Socket);
        let control = Control {
            socket: Arc::clone(&socket),
            kind: RequestType,
            code: ControlCode,
            level: Level,
            input: Buffer::new(InputBuffer, InputSize),
            output: Buffer::new(OutputBuffer, OutputSize),
        };
        let descriptor = control.descriptor();
        let uses = || {
            Uses::nothing("WskControlSocket")
                .memory(InputBuffer, InputSize, "the input")
                .memory(descriptor.0, descriptor.1, "the security descriptor")
        };
        let status = if control.is_event_callback() {
            // SAFETY: the driver gives the IRP, if any.
            let request =
                (!Irp.is_null()).then(|| unsafe { Request::start(Irp, uses(), Some(&socket)) });
            control.event_callback(request)
        } else if Irp.is_null() {
            let (status, returned) = if control.needs_irp() {
                (STATUS_INVALID_PARAMETER, 0)
            } else {
                control.carry_out()
            };
            if !OutputSizeReturned.is_null() {
                // SAFETY: the driver gives the place, if it wants the size there.
                unsafe { OutputSizeReturned.write(returned) };
            }
            status
        } else {
            // SAFETY: the driver gives the IRP.
            let request = unsafe { Request::start(Irp, uses(), Some(&socket)) };
            if control.is_extension() {
                // Documented: registering takes no IRP.
                let status = request.conclude(STATUS_INVALID_PARAMETER, 0);
                return trace::returned("WskControlSocket", status);
            }
            crate::irp::with_flight(Irp, |flight| {
                flight.pin(OutputBuffer as usize, OutputSize, "the output");
            });
            request.carry_out(move || {
                let (status, returned) = control.carry_out();
                Outcome::Done(status, returned)
            })
        };
        trace::returned("WskControlSocket", status)
    }
}

impl Control {
    fn is_event_callback(&self) -> bool {
        self.kind == WSK_CONTROL_SOCKET_TYPE::WskSetOption
            && self.level == SOL_SOCKET
            && self.code == SO_WSK_EVENT_CALLBACK
    }

    /// Documented: these operations always take an IRP.
    fn needs_irp(&self) -> bool {
        let option = matches!(
            self.kind,
            WSK_CONTROL_SOCKET_TYPE::WskSetOption | WSK_CONTROL_SOCKET_TYPE::WskGetOption
        );
        option && (self.conditional().is_some() || self.is_security())
            || self.kind == WSK_CONTROL_SOCKET_TYPE::WskIoctl
                && matches!(
                    self.code,
                    SIO_WSK_SET_REMOTE_ADDRESS
                        | SIO_WSK_SET_SENDTO_ADDRESS
                        | SIO_WSK_QUERY_IDEAL_SEND_BACKLOG
                        | SIO_WSK_QUERY_RECEIVE_BACKLOG
                        | SIO_WSK_SET_TCP_SILENT_MODE
                )
    }

    fn is_extension(&self) -> bool {
        self.kind == WSK_CONTROL_SOCKET_TYPE::WskIoctl && self.code == SIO_WSK_REGISTER_EXTENSION
    }

    /// Whether the call sets or gets `SO_WSK_SECURITY`.
    fn is_security(&self) -> bool {
        self.level == SOL_SOCKET && self.code == SO_WSK_SECURITY
    }

    /// The security descriptor in the input, and its length; NULL when there is none.
    fn descriptor(&self) -> (*mut c_void, usize) {
        let sets = self.kind == WSK_CONTROL_SOCKET_TYPE::WskSetOption && self.is_security();
        let given = self.input.bytes().first_chunk();
        let Some(given) = given.filter(|_| sets) else {
            return (ptr::null_mut(), 0);
        };
        let descriptor = usize::from_ne_bytes(*given) as *mut c_void;
        (
            descriptor,
            security::require_cached("SO_WSK_SECURITY", descriptor),
        )
    }

    /// Whether the socket can have its own security descriptor, according to the documentation.
    fn has_security(&self) -> bool {
        matches!(
            self.socket.category,
            Category::Datagram(_) | Category::Connection(_) | Category::Listen(_)
        )
    }

    /// Gives the socket a security descriptor.
    fn set_security(&self) -> NTSTATUS {
        if !self.has_security() {
            return STATUS_NOT_SUPPORTED;
        }
        let (descriptor, _) = self.descriptor();
        let Some(copy) = security::read("SO_WSK_SECURITY", descriptor) else {
            return STATUS_INVALID_PARAMETER;
        };
        let bound = match &self.socket.category {
            Category::Datagram(datagram) => datagram.local(),
            Category::Connection(connection) => connection.local(),
            Category::Listen(listening) => listening.local(),
            _ => None,
        };
        if bound.is_some() {
            // Documented: the driver has to set the descriptor before it binds the socket.
            return STATUS_INVALID_DEVICE_STATE;
        }
        *self.socket.security.lock() = Some(copy);
        STATUS_SUCCESS
    }

    /// Gives a cached copy of the socket's security descriptor.
    fn get_security(&self) -> (NTSTATUS, usize) {
        if !self.has_security() {
            return (STATUS_NOT_SUPPORTED, 0);
        }
        if self.output.length < size_of::<*mut c_void>() {
            return (STATUS_BUFFER_TOO_SMALL, 0);
        }
        let cached = security::cache_again(self.socket.security.lock().as_deref());
        match cached {
            Ok(cached) => self.output.put(&(cached as usize).to_ne_bytes()),
            Err(status) => (status, 0),
        }
    }

    /// Registers the driver for an extension interface.
    fn register_extension(&self) -> (NTSTATUS, usize) {
        if self.input.length < size_of::<WSK_EXTENSION_CONTROL_IN>() {
            return (STATUS_INVALID_PARAMETER, 0);
        }
        // SAFETY: the driver gives as many bytes, and the identifier that they point at.
        let (id, context, dispatch) = unsafe {
            let given = self
                .input
                .start
                .cast::<WSK_EXTENSION_CONTROL_IN>()
                .read_unaligned();
            (
                given.NpiId.as_ref().copied(),
                given.ClientContext,
                given.ClientDispatch,
            )
        };
        let Some(id) = id else {
            return (STATUS_INVALID_PARAMETER, 0);
        };
        if self.output.length < size_of::<WSK_EXTENSION_CONTROL_OUT>() {
            return (STATUS_BUFFER_TOO_SMALL, 0);
        }
        let Some((context, dispatch)) = extension::register(id, context, dispatch) else {
            // Documented.
            return (STATUS_NOT_SUPPORTED, 0);
        };
        let given = WSK_EXTENSION_CONTROL_OUT {
            ProviderContext: context,
            ProviderDispatch: dispatch,
        };
        // SAFETY: the driver gives as many bytes.
        unsafe {
            self.output
                .start
                .cast::<WSK_EXTENSION_CONTROL_OUT>()
                .write_unaligned(given);
        };
        (STATUS_SUCCESS, size_of::<WSK_EXTENSION_CONTROL_OUT>())
    }

    /// Sets the callback that replaces `WskReceiveEvent`. The input is a pointer to the function, or NULL, or empty.
    fn set_receive_ex(&self) -> NTSTATUS {
        let Some(connection) = self.socket.category.connection() else {
            return STATUS_NOT_SUPPORTED;
        };
        let callback = match self.input.length {
            0 => None,
            length if length < size_of::<PFN_WSK_RECEIVE_EX_EVENT>() => {
                return STATUS_INVALID_PARAMETER;
            }
            // SAFETY: the driver gives as many bytes, which are a pointer to a function or NULL.
            _ => unsafe {
                self.input
                    .start
                    .cast::<PFN_WSK_RECEIVE_EX_EVENT>()
                    .read_unaligned()
            },
        };
        connection.set_receive_ex(callback);
        connection::kick(&self.socket);
        STATUS_SUCCESS
    }

    fn carry_out(&self) -> (NTSTATUS, usize) {
        if self.socket.is_forced_closed() {
            return (STATUS_FILE_FORCED_CLOSED, 0);
        }
        match self.kind {
            WSK_CONTROL_SOCKET_TYPE::WskSetOption => (self.change_option(), 0),
            WSK_CONTROL_SOCKET_TYPE::WskGetOption => self.get_option(),
            WSK_CONTROL_SOCKET_TYPE::WskIoctl => self.ioctl(),
            _ => (STATUS_INVALID_PARAMETER, 0),
        }
    }

    /// `SO_WSK_EVENT_CALLBACK`.
    fn event_callback(&self, request: Option<Request>) -> NTSTATUS {
        let finish = |request: Option<Request>, status: NTSTATUS| match request {
            Some(request) => request.conclude(status, 0),
            None => status,
        };
        if self.socket.is_forced_closed() {
            return finish(request, STATUS_FILE_FORCED_CLOSED);
        }
        if let Category::Basic = &self.socket.category {
            return finish(request, STATUS_NOT_SUPPORTED);
        }
        if self.input.length < size_of::<WSK_EVENT_CALLBACK_CONTROL>() {
            return finish(request, STATUS_INVALID_PARAMETER);
        }
        // SAFETY: the driver gives as many bytes, and the id that they point at.
        let (id, mask) = unsafe {
            let control = self
                .input
                .start
                .cast::<WSK_EVENT_CALLBACK_CONTROL>()
                .read_unaligned();
            (control.NpiId.as_ref().copied(), control.EventMask)
        };
        let fields = |id: &GUID| (id.Data1, id.Data2, id.Data3, id.Data4);
        if id.as_ref().map(fields) != Some(fields(&NPI_WSK_INTERFACE_ID)) {
            return finish(request, STATUS_INVALID_PARAMETER);
        }
        let event = mask & !WSK_EVENT_DISABLE;
        if mask & WSK_EVENT_DISABLE == 0 {
            if request.is_some() {
                // Documented: enabling takes no IRP.
                return finish(request, STATUS_INVALID_PARAMETER);
            }
            return self.enable_events(event);
        }
        // Documented: one call disables one callback.
        if !event.is_power_of_two() {
            return finish(request, STATUS_INVALID_PARAMETER);
        }
        let disabled = match &self.socket.category {
            Category::Datagram(datagram) if event == WSK_EVENT_RECEIVE_FROM => {
                datagram.disable_events(request)
            }
            Category::Connection(connection) | Category::Stream(connection, _)
                if event & connection::EVENTS != 0 =>
            {
                connection.disable_events(event, request)
            }
            Category::Listen(listening) | Category::Stream(_, listening)
                if event == WSK_EVENT_ACCEPT =>
            {
                listening.disable_events(request)
            }
            // Documented: a listening socket can't disable the callbacks that it enables on accepted sockets.
            _ => return finish(request, STATUS_INVALID_PARAMETER),
        };
        match disabled {
            Disabled::Now(request) => finish(request, STATUS_SUCCESS),
            Disabled::Pending => STATUS_PENDING,
            Disabled::EventPending => STATUS_EVENT_PENDING,
        }
    }

    fn enable_events(&self, events: u32) -> NTSTATUS {
        let socket = &self.socket;
        let status = match &socket.category {
            Category::Datagram(datagram) if events == WSK_EVENT_RECEIVE_FROM => {
                datagram.enable_events()
            }
            Category::Connection(connection) => connection.enable_events(events),
            Category::Listen(listening) => listening.enable_events(events),
            Category::Stream(connection, listening) => {
                if listening.is_listening() {
                    listening.enable_events(events)
                } else {
                    connection.enable_events(events)
                }
            }
            _ => STATUS_INVALID_PARAMETER,
        };
        if status == STATUS_SUCCESS {
            if socket.category.datagram().is_some() {
                datagram::watch(socket);
            }
            if socket.category.connection().is_some() {
                connection::kick(socket);
            }
            if socket.category.listening().is_some() {
                listen::kick(socket);
            }
        }
        status
    }

    fn ioctl(&self) -> (NTSTATUS, usize) {
        match self.code {
            SIO_WSK_SET_REMOTE_ADDRESS => (self.fix(true), 0),
            SIO_WSK_SET_SENDTO_ADDRESS => (self.fix(false), 0),
            SIO_WSK_QUERY_IDEAL_SEND_BACKLOG => {
                self.query_connection(|_, socket| connection::ideal(socket))
            }
            SIO_WSK_SET_TCP_SILENT_MODE => (connection::silence(&self.socket), 0),
            SIO_WSK_SET_RECEIVE_EX_CALLBACK => (self.set_receive_ex(), 0),
            SIO_WSK_REGISTER_EXTENSION => self.register_extension(),
            SIO_WSK_QUERY_RECEIVE_BACKLOG => self.query_connection(Connection::backlog),
            SIO_WSK_QUERY_INSPECT_ID => self.query_inspection(),
            SIO_ROUTING_INTERFACE_QUERY => self.query_route(),
            SIO_CPU_AFFINITY => (self.set_processor(), 0),
            // The host distributes its receives in its own way: that is not RSS.
            SIO_QUERY_RSS_SCALABILITY_INFO => self.output.put(&[0]),
            SIO_QUERY_RSS_PROCESSOR_INFO => self.query_processor(),
            SIO_TCP_INFO => self.query_tcp_info(),
            SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS
            | SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT => self.query_redirection(),
            SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS => (self.set_redirection(), 0),
            _ => (STATUS_NOT_SUPPORTED, 0),
        }
    }

    /// Gives the local address from which the host reaches a remote address.
    fn query_route(&self) -> (NTSTATUS, usize) {
        let family = self.socket.family;
        if family == address::Family::Unix {
            return (STATUS_NOT_SUPPORTED, 0);
        }
        let remote = match self.address() {
            Ok(remote) => remote,
            Err(status) => return (status, 0),
        };
        // The host chooses the local address when a UDP socket connects, which sends nothing. A socket can't connect to port 0.
        let remote = SocketAddr::new(remote.ip(), remote.port().max(1));
        let local =
            socket2::Socket::new(family.domain(), socket2::Type::DGRAM, None).and_then(|probe| {
                if family == address::Family::V6 {
                    // Not every host makes sockets for both families by default.
                    probe.set_only_v6(false)?;
                }
                probe.connect(&remote.into())?;
                probe.local_addr()
            });
        match local.map(|local| local.as_socket()) {
            Ok(Some(local)) => {
                let (bytes, length) = address::encode(SocketAddr::new(local.ip(), 0), family);
                self.output.put(&bytes[..length])
            }
            Ok(None) => (STATUS_NOT_SUPPORTED, 0),
            Err(error) => (address::status(&error), 0),
        }
    }

    /// Hosts choose the processor themselves: the input is checked, and has no effect.
    fn set_processor(&self) -> NTSTATUS {
        let Category::Datagram(datagram) = &self.socket.category else {
            return STATUS_NOT_SUPPORTED;
        };
        let Some(processor) = self.input.bytes().first_chunk::<2>() else {
            return STATUS_INVALID_PARAMETER;
        };
        let there = std::thread::available_parallelism().map_or(1, usize::from);
        if usize::from(u16::from_ne_bytes(*processor)) >= there {
            STATUS_INVALID_PARAMETER
        } else if datagram.is_bound() {
            STATUS_INVALID_DEVICE_STATE
        } else {
            STATUS_SUCCESS
        }
    }

    /// Checks that the socket is connected; otherwise returns the status for that.
    fn require_connected(&self) -> Result<(), NTSTATUS> {
        match self.socket.category.connection() {
            Some(connection) if connection.is_connected() => Ok(()),
            Some(_) => Err(STATUS_INVALID_DEVICE_STATE),
            None => Err(STATUS_NOT_SUPPORTED),
        }
    }

    /// Hosts do not report which processor serves a connection: the answer is the first processor.
    fn query_processor(&self) -> (NTSTATUS, usize) {
        match self.require_connected() {
            Ok(()) => self
                .output
                .put(&[0; size_of::<SOCKET_PROCESSOR_AFFINITY>()]),
            Err(status) => (status, 0),
        }
    }

    /// Gives the state of a connection, as far as the host reports it.
    fn query_tcp_info(&self) -> (NTSTATUS, usize) {
        if let Err(status) = self.require_connected() {
            return (status, 0);
        }
        let size = match self.number() {
            Some(0) => size_of::<TCP_INFO_v0>(),
            Some(1) => size_of::<TCP_INFO_v1>(),
            _ => return (STATUS_INVALID_PARAMETER, 0),
        };
        if self.output.length < size {
            return (STATUS_INVALID_PARAMETER, 0);
        }
        let Some(info) = self.socket.with_real(host::tcp_info) else {
            return (STATUS_INVALID_DEVICE_STATE, 0);
        };
        let mut info = match info {
            Ok(info) => info,
            Err(error) => return (address::status(&error), 0),
        };
        let age = self.socket.made.elapsed().as_millis();
        // Not every host reports the connection's age.
        if info.ConnectionTimeMs == 0 {
            info.ConnectionTimeMs = u64::try_from(age).unwrap_or(u64::MAX);
        }
        // SAFETY: the driver gives room for as many bytes, which is no more than the structure has; version 1 begins with all of
        // version 0.
        unsafe {
            let info = (&raw const info).cast::<u8>();
            ptr::copy_nonoverlapping(info, self.output.start, size);
        }
        (STATUS_SUCCESS, size)
    }

    /// The provider never redirects connections.
    fn query_redirection(&self) -> (NTSTATUS, usize) {
        match self.require_connected() {
            Ok(()) => (STATUS_NOT_FOUND, 0),
            Err(status) => (status, 0),
        }
    }

    /// Checks a redirection record, which has no effect.
    fn set_redirection(&self) -> NTSTATUS {
        match self.require_connected() {
            Err(STATUS_NOT_SUPPORTED) => STATUS_NOT_SUPPORTED,
            Ok(()) => STATUS_INVALID_DEVICE_STATE,
            Err(_) if self.input.length == 0 => STATUS_INVALID_PARAMETER,
            Err(_) => STATUS_SUCCESS,
        }
    }

    /// Gives a number that only a connected socket has.
    fn query_connection(
        &self,
        query: impl FnOnce(&Connection, &Socket) -> usize,
    ) -> (NTSTATUS, usize) {
        let Some(connection) = self.socket.category.connection() else {
            return (STATUS_NOT_SUPPORTED, 0);
        };
        if !connection.is_connected() {
            return (STATUS_INVALID_DEVICE_STATE, 0);
        }
        self.output
            .put(&query(connection, &self.socket).to_ne_bytes())
    }

    /// Gives the identifier under which the driver inspected the connection.
    fn query_inspection(&self) -> (NTSTATUS, usize) {
        let inspected = match &self.socket.category {
            Category::Connection(connection) => connection.inspected,
            _ => None,
        };
        let Some(id) = inspected else {
            return (STATUS_INVALID_DEVICE_REQUEST, 0);
        };
        let size = size_of::<WSK_INSPECT_ID>();
        if self.output.length < size {
            return (STATUS_BUFFER_TOO_SMALL, 0);
        }
        // SAFETY: the driver gives as many bytes.
        unsafe {
            self.output
                .start
                .cast::<WSK_INSPECT_ID>()
                .write_unaligned(id);
        };
        (STATUS_SUCCESS, size)
    }

    /// The listening part of the socket, if the option is `SO_CONDITIONAL_ACCEPT`.
    fn conditional(&self) -> Option<&Listening> {
        let asked = self.level == SOL_SOCKET && self.code == SO_CONDITIONAL_ACCEPT;
        match &self.socket.category {
            Category::Listen(listening) if asked => Some(listening),
            _ => None,
        }
    }

    /// Fixes the address that a socket's datagrams go to; with `remote` also the address that they come from.
    fn fix(&self, remote: bool) -> NTSTATUS {
        let Category::Datagram(datagram) = &self.socket.category else {
            return STATUS_NOT_SUPPORTED;
        };
        if self.input.length == 0 {
            return datagram.fix(None, remote);
        }
        match self.address() {
            Ok(address) if address.port() == 0 || address.ip().is_unspecified() => {
                wsk_sys::STATUS_INVALID_ADDRESS_COMPONENT
            }
            Ok(address) => datagram.fix(Some(address), remote),
            Err(status) => status,
        }
    }

    /// The input as an address.
    fn address(&self) -> Result<SocketAddr, NTSTATUS> {
        let family = self.socket.family;
        if self.input.length < family.size() {
            return Err(STATUS_INVALID_PARAMETER);
        }
        // SAFETY: the driver gives as many bytes as the family's type has.
        unsafe { address::read(self.input.start.cast(), family) }
    }

    /// The input as a number: four bytes, or one.
    fn number(&self) -> Option<u32> {
        match self.input.bytes() {
            [only] => Some(u32::from(*only)),
            bytes => bytes.first_chunk().map(|first| u32::from_ne_bytes(*first)),
        }
    }
}
