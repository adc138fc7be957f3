//! Registration with WSK, and the functions of the provider that aren't about one socket.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr;
use std::net::SocketAddr;

use wsk_sys::*;

use super::address::{Address, any};
use super::call::{Call, conclude};
use super::sockets::{Connection, Listener, Socket, Stream};

pub static CLIENT_DISPATCH: WSK_CLIENT_DISPATCH = client_dispatch(0x0100);
static OF_ANOTHER_VERSION: WSK_CLIENT_DISPATCH = client_dispatch(0x0900);

const fn client_dispatch(version: u16) -> WSK_CLIENT_DISPATCH {
    WSK_CLIENT_DISPATCH {
        Version: version,
        Reserved: 0,
        WskClientEvent: None,
    }
}

/// What `WskRegister` is called with.
///
/// # Invariants
///
/// Both are leaked, so they may be given to the kernel in every order and on every thread.
#[derive(Clone, Copy)]
pub struct Registration {
    raw: *mut WSK_REGISTRATION,
    npi: *mut WSK_CLIENT_NPI,
}

// SAFETY: only the kernel looks at what it points at, under a lock.
unsafe impl Send for Registration {}
// SAFETY: as for `Send`.
unsafe impl Sync for Registration {}

impl Registration {
    pub fn new() -> Self {
        Self::with(&CLIENT_DISPATCH)
    }

    /// For a version that there isn't.
    pub fn of_another_version() -> Self {
        Self::with(&OF_ANOTHER_VERSION)
    }

    fn with(dispatch: &'static WSK_CLIENT_DISPATCH) -> Self {
        let npi = WSK_CLIENT_NPI {
            ClientContext: ptr::null_mut(),
            Dispatch: dispatch,
        };
        // INVARIANT: nobody frees them.
        Self {
            raw: Box::into_raw(Box::new(WSK_REGISTRATION::default())),
            npi: Box::into_raw(Box::new(npi)),
        }
    }

    pub fn register(self) -> NTSTATUS {
        // SAFETY: by the invariant.
        unsafe { WskRegister(self.npi, self.raw) }
    }

    pub fn capture(self, timeout: u32) -> Result<Provider, NTSTATUS> {
        let mut npi = WSK_PROVIDER_NPI::default();
        // SAFETY: the kernel knows what is registered; the place is there for the call.
        match unsafe { WskCaptureProviderNPI(self.raw, timeout, &raw mut npi) } {
            // SAFETY: the provider was captured just now.
            STATUS_SUCCESS => Ok(unsafe { Provider::of(npi) }),
            status => Err(status),
        }
    }

    pub fn characteristics(self) -> Result<WSK_PROVIDER_CHARACTERISTICS, NTSTATUS> {
        let mut characteristics = WSK_PROVIDER_CHARACTERISTICS::default();
        // SAFETY: the kernel knows what is registered; the place is there for the call.
        match unsafe { WskQueryProviderCharacteristics(self.raw, &raw mut characteristics) } {
            STATUS_SUCCESS => Ok(characteristics),
            status => Err(status),
        }
    }

    pub fn release(self) {
        // SAFETY: by the invariant; the kernel knows what is registered, and captured.
        unsafe { WskReleaseProviderNPI(self.raw) };
    }

    pub fn deregister(self) {
        // SAFETY: by the invariant; the kernel knows what is registered.
        unsafe { WskDeregister(self.raw) };
    }
}

/// A registered client that has captured the provider.
pub struct Client {
    registration: Registration,
    provider: Provider,
}

impl Client {
    pub fn new() -> Self {
        let registration = Registration::new();
        assert_eq!(registration.register(), STATUS_SUCCESS);
        let provider = registration.capture(WSK_INFINITE_WAIT).unwrap();
        Self {
            registration,
            provider,
        }
    }

    pub fn registration(&self) -> Registration {
        self.registration
    }

    pub fn leave(self) {
        self.registration.release();
        self.registration.deregister();
    }
}

impl Deref for Client {
    type Target = Provider;

    fn deref(&self) -> &Provider {
        &self.provider
    }
}

/// What kind of socket to make.
#[derive(Clone, Copy)]
pub struct Kind {
    pub family: u16,
    pub kind: u16,
    pub protocol: u32,
    pub flags: u32,
}

impl Kind {
    pub const fn datagram(family: u16) -> Self {
        Self {
            family,
            kind: SOCK_DGRAM,
            protocol: IPPROTO::IPPROTO_UDP.0.cast_unsigned(),
            flags: WSK_FLAG_DATAGRAM_SOCKET,
        }
    }

    /// Over TCP, of the category that the flags tell.
    pub const fn tcp(family: u16, flags: u32) -> Self {
        Self {
            family,
            kind: SOCK_STREAM,
            protocol: IPPROTO::IPPROTO_TCP.0.cast_unsigned(),
            flags,
        }
    }
}

/// The event callbacks of a socket, and their context.
///
/// # Invariants
///
/// The callbacks of the table may be called with this context as long as the program runs.
#[derive(Clone, Copy)]
pub struct Callbacks<D: 'static> {
    context: *mut c_void,
    table: *const D,
    category: PhantomData<&'static D>,
}

impl<D> Callbacks<D> {
    /// # Safety
    ///
    /// The callbacks of the table want a `T` as their context.
    pub unsafe fn new<T: Sync>(context: &'static T, table: &'static D) -> Self {
        // INVARIANT: the caller says so, and neither is ever freed.
        Self {
            context: ptr::from_ref(context).cast_mut().cast(),
            table,
            category: PhantomData,
        }
    }

    pub const fn none() -> Self {
        // INVARIANT: there are no callbacks.
        Self {
            context: ptr::null_mut(),
            table: ptr::null(),
            category: PhantomData,
        }
    }
}

/// The provider, for one client.
///
/// # Invariants
///
/// The table is the provider's. The client is given to its functions only.
pub struct Provider {
    client: *mut c_void,
    table: &'static WSK_PROVIDER_DISPATCH,
}

impl Provider {
    /// # Safety
    ///
    /// The provider was captured, or attached to.
    pub unsafe fn of(npi: WSK_PROVIDER_NPI) -> Self {
        // SAFETY: the caller says so; the provider's table is a static.
        let table = unsafe { &*npi.Dispatch };
        // INVARIANT: it is the provider's.
        Self {
            client: npi.Client,
            table,
        }
    }

    pub fn client(&self) -> *mut c_void {
        self.client
    }

    pub fn table(&self) -> &'static WSK_PROVIDER_DISPATCH {
        self.table
    }

    /// `WskSocket`.
    ///
    /// # Safety
    ///
    /// The table fits the category; its callbacks may be called with the context as long as the socket is open. The IRP
    /// belongs to the caller until it comes back, or is nothing that the kernel knows.
    pub unsafe fn make(
        &self,
        kind: Kind,
        context: *mut c_void,
        dispatch: *const c_void,
        irp: *mut IRP,
    ) -> NTSTATUS {
        // SAFETY: the kernel knows its clients and IRPs; the caller answers for the callbacks; all else is optional.
        unsafe {
            self.table.WskSocket.unwrap()(
                self.client,
                kind.family,
                kind.kind,
                kind.protocol,
                kind.flags,
                context,
                dispatch,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                irp,
            )
        }
    }

    /// Starts `WskSocket`; the outcome's information is the socket.
    pub fn start_socket(&self, call: &Call, kind: Kind) -> NTSTATUS {
        // SAFETY: there are no callbacks; the IRP of a call is alive.
        unsafe { self.make(kind, ptr::null_mut(), ptr::null(), call.irp()) }
    }

    /// The address of a new socket, whose category `D` belongs to.
    fn made<D>(&self, kind: Kind, callbacks: Callbacks<D>) -> usize {
        let (status, socket) = conclude(|call| {
            // SAFETY: by the invariant of the callbacks; the IRP of a call is alive.
            unsafe { self.make(kind, callbacks.context, callbacks.table.cast(), call.irp()) }
        });
        assert_eq!(status, STATUS_SUCCESS);
        socket
    }

    pub fn socket(&self, family: u16) -> Socket {
        self.socket_with(family, Callbacks::none())
    }

    pub fn socket_with(
        &self,
        family: u16,
        callbacks: Callbacks<WSK_CLIENT_DATAGRAM_DISPATCH>,
    ) -> Socket {
        let made = self.made(Kind::datagram(family), callbacks);
        // SAFETY: the socket was made just now, of this category.
        unsafe { Socket::of(made) }
    }

    /// A datagram socket that is bound to a port of the loopback address.
    pub fn bound(&self, local: &str) -> Socket {
        let local: SocketAddr = local.parse().unwrap();
        let socket = self.socket(family(local));
        assert_eq!(socket.bind(local), STATUS_SUCCESS);
        socket
    }

    /// A connection socket that isn't bound.
    pub fn connection(&self, family: u16) -> Connection {
        self.connection_with(family, Callbacks::none())
    }

    pub fn connection_with(
        &self,
        family: u16,
        callbacks: Callbacks<WSK_CLIENT_CONNECTION_DISPATCH>,
    ) -> Connection {
        let made = self.made(Kind::tcp(family, WSK_FLAG_CONNECTION_SOCKET), callbacks);
        // SAFETY: the socket was made just now, of this category.
        unsafe { Connection::of(made) }
    }

    /// A connection socket that is bound to a local address.
    pub fn bound_connection(&self, local: &str) -> Connection {
        let local: SocketAddr = local.parse().unwrap();
        let socket = self.connection(family(local));
        assert_eq!(socket.bind(local), STATUS_SUCCESS);
        socket
    }

    /// A connection socket that is connected.
    pub fn connected(&self, to: SocketAddr) -> Connection {
        self.connected_with(to, Callbacks::none())
    }

    pub fn connected_with(
        &self,
        to: SocketAddr,
        callbacks: Callbacks<WSK_CLIENT_CONNECTION_DISPATCH>,
    ) -> Connection {
        let socket = self.connection_with(family(to), callbacks);
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
        let (mut local, mut to) = (Address::new(local), Address::new(to));
        let (status, socket) = conclude(|call| {
            // SAFETY: the addresses live until the call is concluded; there are no callbacks.
            unsafe {
                self.table.WskSocketConnect.unwrap()(
                    self.client,
                    SOCK_STREAM,
                    IPPROTO::IPPROTO_TCP.0.cast_unsigned(),
                    local.raw(),
                    to.raw(),
                    0,
                    ptr::null_mut(),
                    ptr::null(),
                    ptr::null_mut(),
                    ptr::null_mut(),
                    ptr::null_mut(),
                    call.irp(),
                )
            }
        });
        if status == STATUS_SUCCESS {
            // SAFETY: the socket was made just now, of this category.
            Ok(unsafe { Connection::of(socket) })
        } else {
            assert_eq!(socket, 0);
            Err(status)
        }
    }

    /// A listening socket that isn't bound.
    pub fn listener(
        &self,
        family: u16,
        callbacks: Callbacks<WSK_CLIENT_LISTEN_DISPATCH>,
    ) -> Listener {
        let made = self.made(Kind::tcp(family, WSK_FLAG_LISTEN_SOCKET), callbacks);
        // SAFETY: the socket was made just now, of this category.
        unsafe { Listener::of(made) }
    }

    /// A listening socket that listens.
    pub fn listening(&self, local: &str) -> Listener {
        let local: SocketAddr = local.parse().unwrap();
        let socket = self.listener(family(local), Callbacks::none());
        assert_eq!(socket.bind(local), STATUS_SUCCESS);
        socket
    }

    pub fn stream(&self, family: u16) -> Stream {
        let none = Callbacks::<WSK_CLIENT_STREAM_DISPATCH>::none();
        let made = self.made(Kind::tcp(family, WSK_FLAG_STREAM_SOCKET), none);
        // SAFETY: the socket was made just now, of this category.
        unsafe { Stream::of(made) }
    }

    /// `WSK_SET_STATIC_EVENT_CALLBACKS`.
    pub fn static_events(&self, mask: u32) -> NTSTATUS {
        let mut control = WSK_EVENT_CALLBACK_CONTROL {
            NpiId: &raw const NPI_WSK_INTERFACE_ID,
            EventMask: mask,
        };
        // SAFETY: the input lives until the call returns, which is its end without an IRP.
        unsafe {
            self.table.WskControlClient.unwrap()(
                self.client,
                WSK_SET_STATIC_EVENT_CALLBACKS,
                size_of::<WSK_EVENT_CALLBACK_CONTROL>(),
                (&raw mut control).cast(),
                0,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        }
    }

    /// `WSK_CACHE_SD`, for a descriptor with offsets instead of pointers.
    pub fn cache_descriptor(&self, descriptor: &[u8]) -> *mut c_void {
        let mut given = descriptor.as_ptr();
        let mut cached = ptr::null_mut::<c_void>();
        // SAFETY: input, descriptor and output live until the call returns, which is its end without an IRP.
        let status = unsafe {
            self.table.WskControlClient.unwrap()(
                self.client,
                WSK_CACHE_SD,
                size_of::<*mut c_void>(),
                (&raw mut given).cast(),
                size_of::<*mut c_void>(),
                (&raw mut cached).cast(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        assert_eq!(status, STATUS_SUCCESS);
        cached
    }

    /// `WSK_RELEASE_SD`.
    pub fn release_descriptor(&self, mut cached: *mut c_void) {
        // SAFETY: the input lives until the call returns; the kernel knows the descriptors that are cached.
        let status = unsafe {
            self.table.WskControlClient.unwrap()(
                self.client,
                WSK_RELEASE_SD,
                size_of::<*mut c_void>(),
                (&raw mut cached).cast(),
                0,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        assert_eq!(status, STATUS_SUCCESS);
    }

    /// `WSK_TRANSPORT_LIST_QUERY` with room for so many bytes, which may be less than there is.
    pub fn transports(&self, transports: &mut [WSK_TRANSPORT], room: usize) -> (NTSTATUS, usize) {
        assert!(room <= size_of_val(transports));
        let mut returned = 0;
        // SAFETY: the output has as much room, until the call returns, which is its end without an IRP.
        let status = unsafe {
            self.table.WskControlClient.unwrap()(
                self.client,
                WSK_TRANSPORT_LIST_QUERY,
                0,
                ptr::null_mut(),
                room,
                transports.as_mut_ptr().cast(),
                &raw mut returned,
                ptr::null_mut(),
            )
        };
        (status, returned)
    }
}

fn family(address: SocketAddr) -> u16 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}
