//! A small driver in raw `wsk-sys` code, as the tests of the host kernel need it: registration, sockets, buffers, and
//! calls that wait for their IRP.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of what is here"
)]

use core::ffi::c_void;
use core::ptr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use wsk_sys::*;

pub const TAG: u32 = u32::from_le_bytes(*b"Test");

/// The completion routine of every IRP here: signals the event that is its context and keeps the IRP.
pub unsafe extern "system" fn signal(
    _device: *mut DEVICE_OBJECT,
    _irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    if !context.is_null() {
        unsafe { KeSetEvent(context.cast(), 0, 0) };
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

/// As the macro `IoSetCompletionRoutine`, for success, error and cancel.
pub unsafe fn set_routine(irp: *mut IRP, routine: PIO_COMPLETION_ROUTINE, context: *mut c_void) {
    unsafe {
        let next = (*irp).Tail.Overlay.Anonymous2.CurrentStackLocation.sub(1);
        (*next).CompletionRoutine = routine;
        (*next).Context = context;
        (*next).Control = SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL;
    }
}

/// An IRP with the event that its completion signals.
pub struct Call {
    pub irp: *mut IRP,
    event: Box<KEVENT>,
}

unsafe impl Send for Call {}

impl Call {
    pub fn new() -> Self {
        let irp = unsafe { IoAllocateIrp(1, 0) };
        assert!(!irp.is_null());
        Self::with(irp)
    }

    /// Uses an IRP that exists.
    pub fn with(irp: *mut IRP) -> Self {
        let mut event = Box::new(unsafe { core::mem::zeroed::<KEVENT>() });
        unsafe {
            KeInitializeEvent(&raw mut *event, EVENT_TYPE::SynchronizationEvent, 0);
            set_routine(irp, Some(signal), (&raw mut *event).cast());
        }
        Self { irp, event }
    }

    /// Makes the IRP ready for the next call.
    pub fn again(&mut self) {
        unsafe {
            IoReuseIrp(self.irp, STATUS_UNSUCCESSFUL);
            set_routine(self.irp, Some(signal), (&raw mut *self.event).cast());
        }
    }

    pub fn is_done(&mut self) -> bool {
        unsafe { KeReadStateEvent(&raw mut *self.event) != 0 }
    }

    pub fn wait(&mut self) -> (NTSTATUS, usize) {
        let status = unsafe {
            KeWaitForSingleObject(
                (&raw mut *self.event).cast(),
                KWAIT_REASON::Executive,
                0,
                0,
                ptr::null_mut(),
            )
        };
        assert_eq!(status, STATUS_SUCCESS);
        unsafe {
            (
                (*self.irp).IoStatus.Anonymous1.Status,
                (*self.irp).IoStatus.Information,
            )
        }
    }

    pub fn free(self) {
        unsafe { IoFreeIrp(self.irp) };
    }

    /// Waits, frees, and gives the outcome.
    pub fn finish(mut self) -> (NTSTATUS, usize) {
        let outcome = self.wait();
        self.free();
        outcome
    }
}

pub static CLIENT_DISPATCH: WSK_CLIENT_DISPATCH = WSK_CLIENT_DISPATCH {
    Version: 0x0100,
    Reserved: 0,
    WskClientEvent: None,
};

/// A registered client that has captured the provider.
pub struct Client {
    registration: Box<WSK_REGISTRATION>,
    npi: Box<WSK_CLIENT_NPI>,
    pub provider: WSK_PROVIDER_NPI,
}

impl Client {
    pub fn new() -> Self {
        let mut registration = Box::new(unsafe { core::mem::zeroed::<WSK_REGISTRATION>() });
        let mut npi = Box::new(WSK_CLIENT_NPI {
            ClientContext: ptr::null_mut(),
            Dispatch: &raw const CLIENT_DISPATCH,
        });
        let mut provider = unsafe { core::mem::zeroed::<WSK_PROVIDER_NPI>() };
        unsafe {
            assert_eq!(
                WskRegister(&raw mut *npi, &raw mut *registration),
                STATUS_SUCCESS
            );
            assert_eq!(
                WskCaptureProviderNPI(&raw mut *registration, WSK_INFINITE_WAIT, &raw mut provider),
                STATUS_SUCCESS
            );
        }
        Self {
            registration,
            npi,
            provider,
        }
    }

    pub fn registration(&mut self) -> *mut WSK_REGISTRATION {
        &raw mut *self.registration
    }

    pub fn leave(mut self) {
        unsafe {
            WskReleaseProviderNPI(&raw mut *self.registration);
            WskDeregister(&raw mut *self.registration);
        }
        let _ = &self.npi;
    }

    /// Starts `WskSocket`; the outcome's information is the socket.
    pub fn start_socket(
        &self,
        call: &Call,
        family: u16,
        context: *mut c_void,
        dispatch: *const WSK_CLIENT_DATAGRAM_DISPATCH,
    ) -> NTSTATUS {
        unsafe {
            let make = (*self.provider.Dispatch).WskSocket.unwrap();
            make(
                self.provider.Client,
                family,
                SOCK_DGRAM,
                IPPROTO::IPPROTO_UDP.0.cast_unsigned(),
                WSK_FLAG_DATAGRAM_SOCKET,
                context,
                dispatch.cast(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                call.irp,
            )
        }
    }

    pub fn socket(&self, family: u16) -> Socket {
        self.socket_with(family, ptr::null_mut(), ptr::null())
    }

    pub fn socket_with(
        &self,
        family: u16,
        context: *mut c_void,
        dispatch: *const WSK_CLIENT_DATAGRAM_DISPATCH,
    ) -> Socket {
        let call = Call::new();
        let returned = self.start_socket(&call, family, context, dispatch);
        let (status, socket) = call.finish();
        assert!(returned == status || returned == STATUS_PENDING);
        assert_eq!(status, STATUS_SUCCESS);
        Socket {
            raw: ptr::with_exposed_provenance_mut(socket),
        }
    }

    /// A datagram socket that is bound to a port of the loopback address.
    pub fn bound(&self, local: &str) -> Socket {
        let local: SocketAddr = local.parse().unwrap();
        let socket = self.socket(if local.is_ipv4() { AF_INET } else { AF_INET6 });
        assert_eq!(socket.bind(local), STATUS_SUCCESS);
        socket
    }
}

impl Client {
    #[allow(
        clippy::too_many_arguments,
        reason = "as many as the function of the provider has"
    )]
    /// Starts `WskSocket` for any category; the outcome's information is the socket.
    pub fn start_any(
        &self,
        call: &Call,
        family: u16,
        kind: u16,
        protocol: u32,
        flags: u32,
        context: *mut c_void,
        dispatch: *const c_void,
    ) -> NTSTATUS {
        unsafe {
            (*self.provider.Dispatch).WskSocket.unwrap()(
                self.provider.Client,
                family,
                kind,
                protocol,
                flags,
                context,
                dispatch,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                call.irp,
            )
        }
    }

    /// A socket over TCP.
    pub fn tcp(
        &self,
        family: u16,
        flags: u32,
        context: *mut c_void,
        dispatch: *const c_void,
    ) -> *mut WSK_SOCKET {
        let call = Call::new();
        let protocol = IPPROTO::IPPROTO_TCP.0.cast_unsigned();
        let returned = self.start_any(
            &call,
            family,
            SOCK_STREAM,
            protocol,
            flags,
            context,
            dispatch,
        );
        let (status, socket) = call.finish();
        assert!(returned == status || returned == STATUS_PENDING);
        assert_eq!(status, STATUS_SUCCESS);
        ptr::with_exposed_provenance_mut(socket)
    }

    /// A connection socket that isn't bound.
    pub fn connection(&self, family: u16) -> Connection {
        self.connection_with(family, ptr::null_mut(), ptr::null())
    }

    pub fn connection_with(
        &self,
        family: u16,
        context: *mut c_void,
        dispatch: *const WSK_CLIENT_CONNECTION_DISPATCH,
    ) -> Connection {
        Connection {
            raw: self.tcp(family, WSK_FLAG_CONNECTION_SOCKET, context, dispatch.cast()),
        }
    }

    /// A connection socket that is bound to a local address.
    pub fn bound_connection(&self, local: &str) -> Connection {
        let local: SocketAddr = local.parse().unwrap();
        let socket = self.connection(if local.is_ipv4() { AF_INET } else { AF_INET6 });
        assert_eq!(socket.bind(local), STATUS_SUCCESS);
        socket
    }

    /// A connection socket that is connected.
    pub fn connected(&self, to: SocketAddr) -> Connection {
        self.connected_with(to, ptr::null_mut(), ptr::null())
    }

    pub fn connected_with(
        &self,
        to: SocketAddr,
        context: *mut c_void,
        dispatch: *const WSK_CLIENT_CONNECTION_DISPATCH,
    ) -> Connection {
        let family = if to.is_ipv4() { AF_INET } else { AF_INET6 };
        let socket = self.connection_with(family, context, dispatch);
        assert_eq!(socket.bind(any(to)), STATUS_SUCCESS);
        assert_eq!(socket.connect(to), STATUS_SUCCESS);
        socket
    }

    /// `WskSocketConnect`.
    pub fn socket_connect(
        &self,
        local: SocketAddr,
        to: SocketAddr,
    ) -> Result<Connection, NTSTATUS> {
        let (mut local, mut to) = (sockaddr(local), sockaddr(to));
        let call = Call::new();
        let returned = unsafe {
            (*self.provider.Dispatch).WskSocketConnect.unwrap()(
                self.provider.Client,
                SOCK_STREAM,
                IPPROTO::IPPROTO_TCP.0.cast_unsigned(),
                (&raw mut local).cast(),
                (&raw mut to).cast(),
                0,
                ptr::null_mut(),
                ptr::null(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                call.irp,
            )
        };
        let (status, socket) = call.finish();
        assert!(returned == status || returned == STATUS_PENDING);
        if status == STATUS_SUCCESS {
            let raw = ptr::with_exposed_provenance_mut(socket);
            Ok(Connection { raw })
        } else {
            assert_eq!(socket, 0);
            Err(status)
        }
    }

    /// A listening socket that isn't bound.
    pub fn listener(
        &self,
        family: u16,
        context: *mut c_void,
        dispatch: *const WSK_CLIENT_LISTEN_DISPATCH,
    ) -> Listener {
        Listener {
            raw: self.tcp(family, WSK_FLAG_LISTEN_SOCKET, context, dispatch.cast()),
        }
    }

    /// A listening socket that listens.
    pub fn listening(&self, local: &str) -> Listener {
        let local: SocketAddr = local.parse().unwrap();
        let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
        let socket = self.listener(family, ptr::null_mut(), ptr::null());
        assert_eq!(socket.bind(local), STATUS_SUCCESS);
        socket
    }
}

/// Any address of the family of another one.
pub fn any(like: SocketAddr) -> SocketAddr {
    let any = if like.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    any.parse().unwrap()
}

/// An address in the layout that Windows has.
pub fn sockaddr(address: SocketAddr) -> SOCKADDR_INET {
    let mut raw = SOCKADDR_INET::default();
    match address {
        SocketAddr::V4(address) => {
            let mut v4 = SOCKADDR_IN::default();
            v4.sin_family = AF_INET;
            v4.sin_port = address.port().to_be();
            v4.sin_addr.S_un.S_addr = u32::from_ne_bytes(address.ip().octets());
            raw.Ipv4 = v4;
        }
        SocketAddr::V6(address) => {
            let mut v6 = SOCKADDR_IN6::default();
            v6.sin6_family = AF_INET6;
            v6.sin6_port = address.port().to_be();
            v6.sin6_addr.u.Byte = address.ip().octets();
            v6.Anonymous1.sin6_scope_id = address.scope_id();
            raw.Ipv6 = v6;
        }
    }
    raw
}

/// Back to what Rust has.
pub fn address(raw: &SOCKADDR_INET) -> SocketAddr {
    unsafe {
        match raw.si_family {
            AF_INET => SocketAddrV4::new(
                Ipv4Addr::from(raw.Ipv4.sin_addr.S_un.S_addr.to_ne_bytes()),
                u16::from_be(raw.Ipv4.sin_port),
            )
            .into(),
            AF_INET6 => SocketAddrV6::new(
                Ipv6Addr::from(raw.Ipv6.sin6_addr.u.Byte),
                u16::from_be(raw.Ipv6.sin6_port),
                raw.Ipv6.sin6_flowinfo,
                raw.Ipv6.Anonymous1.sin6_scope_id,
            )
            .into(),
            other => panic!("address family {other}"),
        }
    }
}

/// A datagram socket.
#[derive(Clone, Copy)]
pub struct Socket {
    pub raw: *mut WSK_SOCKET,
}

unsafe impl Send for Socket {}
unsafe impl Sync for Socket {}

impl Socket {
    pub fn table(&self) -> &'static WSK_PROVIDER_DATAGRAM_DISPATCH {
        unsafe { &*(*self.raw).Dispatch.cast() }
    }

    pub fn start_send(
        &self,
        call: &Call,
        buffer: &mut WSK_BUF,
        to: Option<&mut SOCKADDR_INET>,
    ) -> NTSTATUS {
        let to = to.map_or(ptr::null_mut(), |to| (&raw mut *to).cast());
        unsafe {
            self.table().WskSendTo.unwrap()(self.raw, buffer, 0, to, 0, ptr::null_mut(), call.irp)
        }
    }

    pub fn send(&self, buffer: &Buffer, to: Option<SocketAddr>) -> (NTSTATUS, usize) {
        let mut to = to.map(sockaddr);
        let mut described = buffer.all();
        let call = Call::new();
        let returned = self.start_send(&call, &mut described, to.as_mut());
        let outcome = call.finish();
        assert!(
            returned == outcome.0 || returned == STATUS_PENDING,
            "{returned:?} {outcome:?}"
        );
        outcome
    }

    pub fn start_receive(
        &self,
        call: &Call,
        buffer: &mut WSK_BUF,
        outputs: Option<&mut Received>,
    ) -> NTSTATUS {
        let (remote, length, flags) = match outputs {
            Some(outputs) => (
                (&raw mut outputs.remote).cast(),
                &raw mut outputs.control_length,
                &raw mut outputs.flags,
            ),
            None => (ptr::null_mut(), ptr::null_mut(), ptr::null_mut()),
        };
        unsafe {
            self.table().WskReceiveFrom.unwrap()(
                self.raw,
                buffer,
                0,
                remote,
                length,
                ptr::null_mut(),
                flags,
                call.irp,
            )
        }
    }

    pub fn receive(&self, buffer: &Buffer) -> (NTSTATUS, usize, Box<Received>) {
        let mut received = Box::new(Received::new());
        let call = Call::new();
        let mut described = buffer.all();
        let returned = self.start_receive(&call, &mut described, Some(&mut received));
        let (status, length) = call.finish();
        assert!(returned == status || returned == STATUS_PENDING);
        (status, length, received)
    }
}

/// What sockets of every category have, by the name of the type here.
macro_rules! every_category {
    ($name:ident) => {
        impl $name {
            pub fn start_close(&self, call: &Call) -> NTSTATUS {
                unsafe { self.table().Basic.WskCloseSocket.unwrap()(self.raw, call.irp) }
            }

            pub fn close(self) {
                let call = Call::new();
                let returned = self.start_close(&call);
                assert!(matches!(returned, STATUS_SUCCESS | STATUS_PENDING));
                assert_eq!(call.finish(), (STATUS_SUCCESS, 0));
            }

            pub fn bind(&self, local: SocketAddr) -> NTSTATUS {
                let mut local = sockaddr(local);
                let call = Call::new();
                let returned = unsafe {
                    self.table().WskBind.unwrap()(self.raw, (&raw mut local).cast(), 0, call.irp)
                };
                let (status, _) = call.finish();
                assert!(returned == status || returned == STATUS_PENDING);
                status
            }

            pub fn local(&self) -> Result<SocketAddr, NTSTATUS> {
                let mut local = sockaddr("[::]:0".parse().unwrap());
                let call = Call::new();
                let _ = unsafe {
                    self.table().WskGetLocalAddress.unwrap()(
                        self.raw,
                        (&raw mut local).cast(),
                        call.irp,
                    )
                };
                match call.finish() {
                    (STATUS_SUCCESS, _) => Ok(address(&local)),
                    (status, _) => Err(status),
                }
            }

            /// `WskControlSocket` without an IRP.
            pub fn control(
                &self,
                kind: WSK_CONTROL_SOCKET_TYPE,
                level: u32,
                code: u32,
                input: &mut [u8],
                output: &mut [u8],
            ) -> (NTSTATUS, usize) {
                let mut returned = 0;
                let status = unsafe {
                    self.table().Basic.WskControlSocket.unwrap()(
                        self.raw,
                        kind,
                        code,
                        level,
                        input.len(),
                        if input.is_empty() {
                            ptr::null_mut()
                        } else {
                            input.as_mut_ptr().cast()
                        },
                        output.len(),
                        if output.is_empty() {
                            ptr::null_mut()
                        } else {
                            output.as_mut_ptr().cast()
                        },
                        &raw mut returned,
                        ptr::null_mut(),
                    )
                };
                (status, returned)
            }

            pub fn set_option(&self, level: u32, code: u32, value: u32) -> NTSTATUS {
                self.control(
                    WSK_CONTROL_SOCKET_TYPE::WskSetOption,
                    level,
                    code,
                    &mut value.to_ne_bytes(),
                    &mut [],
                )
                .0
            }

            pub fn get_option(&self, level: u32, code: u32) -> Result<u32, NTSTATUS> {
                let mut value = [0; 4];
                match self.control(
                    WSK_CONTROL_SOCKET_TYPE::WskGetOption,
                    level,
                    code,
                    &mut [],
                    &mut value,
                ) {
                    (STATUS_SUCCESS, 4) => Ok(u32::from_ne_bytes(value)),
                    (status, _) => Err(status),
                }
            }

            /// `SO_WSK_EVENT_CALLBACK`, without an IRP.
            pub fn events(&self, mask: u32) -> NTSTATUS {
                let control = WSK_EVENT_CALLBACK_CONTROL {
                    NpiId: &raw const NPI_WSK_INTERFACE_ID,
                    EventMask: mask,
                };
                let mut bytes = [0; size_of::<WSK_EVENT_CALLBACK_CONTROL>()];
                unsafe {
                    ptr::copy_nonoverlapping(
                        (&raw const control).cast::<u8>(),
                        bytes.as_mut_ptr(),
                        bytes.len(),
                    )
                };
                self.control(
                    WSK_CONTROL_SOCKET_TYPE::WskSetOption,
                    SOL_SOCKET,
                    SO_WSK_EVENT_CALLBACK,
                    &mut bytes,
                    &mut [],
                )
                .0
            }
        }
    };
}

every_category!(Socket);
every_category!(Connection);
every_category!(Listener);

impl Socket {
    /// `SIO_WSK_SET_REMOTE_ADDRESS` or `SIO_WSK_SET_SENDTO_ADDRESS`.
    pub fn fix(&self, code: u32, address: Option<SocketAddr>) -> NTSTATUS {
        let mut address = address.map(sockaddr);
        let (size, input) = address.as_mut().map_or((0, ptr::null_mut()), |address| {
            (size_of::<SOCKADDR_INET>(), (&raw mut *address).cast())
        });
        let call = Call::new();
        let returned = unsafe {
            self.table().Basic.WskControlSocket.unwrap()(
                self.raw,
                WSK_CONTROL_SOCKET_TYPE::WskIoctl,
                code,
                0,
                size,
                input,
                0,
                ptr::null_mut(),
                ptr::null_mut(),
                call.irp,
            )
        };
        let (status, _) = call.finish();
        assert!(returned == status || returned == STATUS_PENDING);
        status
    }
}

/// A connection socket.
#[derive(Clone, Copy)]
pub struct Connection {
    pub raw: *mut WSK_SOCKET,
}

unsafe impl Send for Connection {}
unsafe impl Sync for Connection {}

impl Connection {
    pub fn table(&self) -> &'static WSK_PROVIDER_CONNECTION_DISPATCH {
        unsafe { &*(*self.raw).Dispatch.cast() }
    }

    pub fn start_connect(&self, call: &Call, to: &mut SOCKADDR_INET) -> NTSTATUS {
        unsafe { self.table().WskConnect.unwrap()(self.raw, (&raw mut *to).cast(), 0, call.irp) }
    }

    pub fn connect(&self, to: SocketAddr) -> NTSTATUS {
        let mut to = sockaddr(to);
        let call = Call::new();
        let returned = self.start_connect(&call, &mut to);
        let (status, _) = call.finish();
        assert!(returned == status || returned == STATUS_PENDING);
        status
    }

    pub fn remote(&self) -> Result<SocketAddr, NTSTATUS> {
        let mut remote = sockaddr("[::]:0".parse().unwrap());
        let call = Call::new();
        let _ = unsafe {
            self.table().WskGetRemoteAddress.unwrap()(self.raw, (&raw mut remote).cast(), call.irp)
        };
        match call.finish() {
            (STATUS_SUCCESS, _) => Ok(address(&remote)),
            (status, _) => Err(status),
        }
    }

    pub fn start_send(&self, call: &Call, buffer: &mut WSK_BUF, flags: u32) -> NTSTATUS {
        unsafe { self.table().WskSend.unwrap()(self.raw, buffer, flags, call.irp) }
    }

    pub fn send_with(&self, buffer: &Buffer, flags: u32) -> (NTSTATUS, usize) {
        let mut described = buffer.all();
        let call = Call::new();
        let returned = self.start_send(&call, &mut described, flags);
        let outcome = call.finish();
        assert!(
            returned == outcome.0 || returned == STATUS_PENDING,
            "{returned:?} {outcome:?}"
        );
        outcome
    }

    pub fn send(&self, buffer: &Buffer) -> (NTSTATUS, usize) {
        self.send_with(buffer, 0)
    }

    pub fn start_receive(&self, call: &Call, buffer: &mut WSK_BUF, flags: u32) -> NTSTATUS {
        unsafe { self.table().WskReceive.unwrap()(self.raw, buffer, flags, call.irp) }
    }

    pub fn receive_with(&self, buffer: &Buffer, flags: u32) -> (NTSTATUS, usize) {
        let mut described = buffer.all();
        let call = Call::new();
        let returned = self.start_receive(&call, &mut described, flags);
        let outcome = call.finish();
        assert!(
            returned == outcome.0 || returned == STATUS_PENDING,
            "{returned:?} {outcome:?}"
        );
        outcome
    }

    pub fn receive(&self, buffer: &Buffer) -> (NTSTATUS, usize) {
        self.receive_with(buffer, 0)
    }

    pub fn start_disconnect(
        &self,
        call: &Call,
        buffer: Option<&mut WSK_BUF>,
        flags: u32,
    ) -> NTSTATUS {
        let buffer = buffer.map_or(ptr::null_mut(), |buffer| &raw mut *buffer);
        unsafe { self.table().WskDisconnect.unwrap()(self.raw, buffer, flags, call.irp) }
    }

    pub fn disconnect(&self, buffer: Option<&Buffer>, flags: u32) -> NTSTATUS {
        let mut described = buffer.map(Buffer::all);
        let call = Call::new();
        let returned = self.start_disconnect(&call, described.as_mut(), flags);
        let (status, _) = call.finish();
        assert!(returned == status || returned == STATUS_PENDING);
        status
    }

    pub fn release(&self, list: *mut WSK_DATA_INDICATION) -> NTSTATUS {
        unsafe { self.table().WskRelease.unwrap()(self.raw, list) }
    }
}

/// A listening socket.
#[derive(Clone, Copy)]
pub struct Listener {
    pub raw: *mut WSK_SOCKET,
}

unsafe impl Send for Listener {}
unsafe impl Sync for Listener {}

impl Listener {
    pub fn table(&self) -> &'static WSK_PROVIDER_LISTEN_DISPATCH {
        unsafe { &*(*self.raw).Dispatch.cast() }
    }

    pub fn start_accept(
        &self,
        call: &Call,
        local: Option<&mut SOCKADDR_INET>,
        remote: Option<&mut SOCKADDR_INET>,
    ) -> NTSTATUS {
        let place = |place: Option<&mut SOCKADDR_INET>| {
            place.map_or(ptr::null_mut(), |place| (&raw mut *place).cast())
        };
        unsafe {
            self.table().WskAccept.unwrap()(
                self.raw,
                0,
                ptr::null_mut(),
                ptr::null(),
                place(local),
                place(remote),
                call.irp,
            )
        }
    }

    /// The accepted socket with its local and its remote address.
    pub fn accept(&self) -> Result<(Connection, SocketAddr, SocketAddr), NTSTATUS> {
        let mut local = sockaddr("[::]:0".parse().unwrap());
        let mut remote = local;
        let call = Call::new();
        let returned = self.start_accept(&call, Some(&mut local), Some(&mut remote));
        let (status, socket) = call.finish();
        assert!(returned == status || returned == STATUS_PENDING);
        if status == STATUS_SUCCESS {
            let raw = ptr::with_exposed_provenance_mut(socket);
            Ok((Connection { raw }, address(&local), address(&remote)))
        } else {
            Err(status)
        }
    }
}

/// What `WskReceiveFrom` tells besides the data.
pub struct Received {
    pub remote: SOCKADDR_INET,
    pub control_length: u32,
    pub flags: u32,
}

impl Received {
    pub fn new() -> Self {
        Self {
            remote: unsafe { core::mem::zeroed() },
            control_length: 77,
            flags: 77,
        }
    }

    pub fn from(&self) -> SocketAddr {
        address(&self.remote)
    }
}

/// Nonpaged pool with its MDL.
pub struct Buffer {
    pub memory: *mut u8,
    pub length: usize,
    pub mdl: *mut MDL,
}

unsafe impl Send for Buffer {}

impl Buffer {
    pub fn new(length: usize) -> Self {
        unsafe {
            let memory = ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, length, TAG).cast::<u8>();
            assert!(!memory.is_null());
            let mdl = IoAllocateMdl(memory.cast(), length as u32, 0, 0, ptr::null_mut());
            assert!(!mdl.is_null());
            MmBuildMdlForNonPagedPool(mdl);
            Self {
                memory,
                length,
                mdl,
            }
        }
    }

    pub fn of(bytes: &[u8]) -> Self {
        let mut buffer = Self::new(bytes.len().max(1));
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.memory, bytes.len()) };
        buffer.length = bytes.len();
        buffer
    }

    pub fn bytes(&self) -> &[u8] {
        unsafe { core::slice::from_raw_parts(self.memory, self.length) }
    }

    pub fn all(&self) -> WSK_BUF {
        WSK_BUF {
            Mdl: self.mdl,
            Offset: 0,
            Length: self.length,
        }
    }

    pub fn free(self) {
        unsafe {
            IoFreeMdl(self.mdl);
            ExFreePoolWithTag(self.memory.cast(), TAG);
        }
    }
}

/// The bytes of a list of data indications.
pub unsafe fn indicated_bytes(list: *mut WSK_DATA_INDICATION) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut next = list;
    while let Some(indication) = unsafe { next.as_ref() } {
        let buffer = indication.Buffer;
        unsafe {
            let start = (*buffer.Mdl).MappedSystemVa.cast::<u8>();
            let data = start.add(buffer.Offset as usize);
            bytes.extend_from_slice(core::slice::from_raw_parts(data, buffer.Length));
        }
        next = indication.Next;
    }
    bytes
}
