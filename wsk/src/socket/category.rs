//! The categories of sockets, each with the table of functions that WSK has for it and the table of callbacks that it takes.

use core::ffi::c_void;
use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, IPPROTO, IRP, NTDDI_WIN10_RS4, NTSTATUS, SOCK_DGRAM, SOCK_STREAM, SOCKADDR,
    SOCKADDR_STORAGE, WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_DATAGRAM_DISPATCH,
    WSK_CLIENT_LISTEN_DISPATCH, WSK_CLIENT_STREAM_DISPATCH, WSK_FLAG_BASIC_SOCKET,
    WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET,
    WSK_FLAG_STREAM_SOCKET, WSK_PROVIDER_CONNECTION_DISPATCH, WSK_PROVIDER_DATAGRAM_DISPATCH,
    WSK_PROVIDER_LISTEN_DISPATCH, WSK_PROVIDER_STREAM_DISPATCH, WSK_SOCKET,
    WskProviderBasicDispatch, WskProviderConnectionDispatch, WskProviderDatagramDispatch,
    WskProviderListenDispatch, WskProviderStreamDispatch,
};

/// A category of sockets: which table of functions they have, and what every category has in its own table.
pub trait Category: Copy + 'static {
    /// `SOCK_…`.
    const KIND: u16;
    /// `IPPROTO_…`.
    const PROTOCOL: u32;
    /// `WSK_FLAG_…_SOCKET`.
    const FLAG: u32;
    /// The provider's functions.
    type Dispatch: Copy;
    /// The functions that are called most, read from the table once.
    type Entries: Entries;
    /// The table of the client's callbacks.
    type Callbacks: 'static;
    /// The local address that a socket is made with, of the categories that `WskSocketConnect` makes.
    type Local: Default + Send;
    /// Whether a socket is of this category for good, so that events may come to it.
    const COMMITTED: bool;

    /// # Safety
    ///
    /// `table` is the table of a socket of this category, readable up to what a Windows of version `ntddi` has, as long as the
    /// result is used.
    unsafe fn dispatch(table: NonNull<c_void>, ntddi: u32) -> Self::Dispatch;

    /// The functions that every socket has.
    fn basic(dispatch: Self::Dispatch) -> WskProviderBasicDispatch;

    /// # Safety
    ///
    /// As `WskBind` asks.
    unsafe fn bind(
        dispatch: Self::Dispatch,
        socket: NonNull<WSK_SOCKET>,
        address: NonNull<SOCKADDR>,
        irp: NonNull<IRP>,
    ) -> Result<NTSTATUS, DispatchError>;

    /// # Safety
    ///
    /// As `WskGetLocalAddress` asks.
    unsafe fn local_address(
        dispatch: Self::Dispatch,
        socket: NonNull<WSK_SOCKET>,
        address: NonNull<SOCKADDR>,
        irp: NonNull<IRP>,
    ) -> Result<NTSTATUS, DispatchError>;
}

/// A category that sockets are of for good: they may have several handles.
#[diagnostic::on_unimplemented(
    message = "a stream socket has one handle until it connects or listens",
    label = "would keep another handle of the socket",
    note = "prepare this for the socket that it becomes"
)]
pub trait Committed: Category {}

impl Committed for BasicCategory {}
impl Committed for ConnectionCategory {}
impl Committed for DatagramCategory {}
impl Committed for ListenCategory {}

/// Implements [`Category`] with a provider's table, of sockets that are bound somewhere or nowhere.
macro_rules! category {
    (
        $(#[$doc:meta])* $name:ident: $kind:expr, $protocol:expr, $flag:expr, $dispatch:ident, $callbacks:ty,
        $entries:ty, $local:ty, $bound:ident
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Category for $name {
            const KIND: u16 = $kind;
            const PROTOCOL: u32 = $protocol.0.cast_unsigned();
            const FLAG: u32 = $flag;
            type Dispatch = $dispatch;
            type Entries = $entries;
            type Callbacks = $callbacks;
            type Local = $local;
            const COMMITTED: bool = $flag != WSK_FLAG_STREAM_SOCKET;

            #[inline]
            unsafe fn dispatch(table: NonNull<c_void>, ntddi: u32) -> $dispatch {
                // SAFETY: the caller gives a table of this category, readable up to what such a Windows has.
                unsafe { $dispatch::new(table.cast(), ntddi) }
            }

            category!(@$bound $dispatch);
        }
    };
    (@somewhere $dispatch:ident) => {
        #[inline]
        fn basic(dispatch: $dispatch) -> WskProviderBasicDispatch {
            dispatch.basic()
        }

        unsafe fn bind(
            dispatch: $dispatch,
            socket: NonNull<WSK_SOCKET>,
            address: NonNull<SOCKADDR>,
            irp: NonNull<IRP>,
        ) -> Result<NTSTATUS, DispatchError> {
            // SAFETY: the caller does what `WskBind` asks.
            unsafe { dispatch.wsk_bind(socket, address, irp) }
        }

        unsafe fn local_address(
            dispatch: $dispatch,
            socket: NonNull<WSK_SOCKET>,
            address: NonNull<SOCKADDR>,
            irp: NonNull<IRP>,
        ) -> Result<NTSTATUS, DispatchError> {
            // SAFETY: the caller does what `WskGetLocalAddress` asks.
            unsafe { dispatch.wsk_get_local_address(socket, address, irp) }
        }
    };
    (@nowhere $dispatch:ident) => {
        #[inline]
        fn basic(dispatch: $dispatch) -> WskProviderBasicDispatch {
            dispatch
        }

        unsafe fn bind(
            _: $dispatch,
            _: NonNull<WSK_SOCKET>,
            _: NonNull<SOCKADDR>,
            _: NonNull<IRP>,
        ) -> Result<NTSTATUS, DispatchError> {
            let entry = "WskBind";
            Err(DispatchError::Absent { entry })
        }

        unsafe fn local_address(
            _: $dispatch,
            _: NonNull<WSK_SOCKET>,
            _: NonNull<SOCKADDR>,
            _: NonNull<IRP>,
        ) -> Result<NTSTATUS, DispatchError> {
            let entry = "WskGetLocalAddress";
            Err(DispatchError::Absent { entry })
        }
    };
}

category! {
    /// Datagram sockets, for UDP.
    DatagramCategory: SOCK_DGRAM, IPPROTO::IPPROTO_UDP, WSK_FLAG_DATAGRAM_SOCKET, WskProviderDatagramDispatch,
    WSK_CLIENT_DATAGRAM_DISPATCH, DatagramEntries, (), somewhere
}

category! {
    /// Connection sockets, for TCP.
    ConnectionCategory: SOCK_STREAM, IPPROTO::IPPROTO_TCP, WSK_FLAG_CONNECTION_SOCKET, WskProviderConnectionDispatch,
    WSK_CLIENT_CONNECTION_DISPATCH, (), SOCKADDR_STORAGE, somewhere
}

category! {
    /// Listening sockets, for TCP.
    ListenCategory: SOCK_STREAM, IPPROTO::IPPROTO_TCP, WSK_FLAG_LISTEN_SOCKET, WskProviderListenDispatch,
    WSK_CLIENT_LISTEN_DISPATCH, (), (), somewhere
}

category! {
    /// Stream sockets, for TCP, until they connect or listen.
    StreamCategory: SOCK_STREAM, IPPROTO::IPPROTO_TCP, WSK_FLAG_STREAM_SOCKET, WskProviderStreamDispatch,
    WSK_CLIENT_STREAM_DISPATCH, StreamEntries, (), somewhere
}

category! {
    /// Basic sockets, for options and I/O control operations of a transport; usually that of UDP.
    BasicCategory: SOCK_DGRAM, IPPROTO::IPPROTO_UDP, WSK_FLAG_BASIC_SOCKET, WskProviderBasicDispatch, (), (), (), nowhere
}

/// Entries that are read from a table once.
pub trait Entries: Copy {
    /// # Safety
    ///
    /// `table` is the table of a socket of the category that has these entries, readable up to what a Windows of version `ntddi` has.
    unsafe fn read(table: NonNull<c_void>, ntddi: u32) -> Self;

    /// The name of one that is not there.
    fn missing(&self) -> Option<&'static str>;
}

impl Entries for () {
    unsafe fn read(_: NonNull<c_void>, _: u32) {}

    fn missing(&self) -> Option<&'static str> {
        None
    }
}

/// The entries of a datagram socket that are called for each datagram.
#[derive(Debug, Clone, Copy)]
pub struct DatagramEntries {
    pub(crate) send_to: wsk_sys::PFN_WSK_SEND_TO,
    pub(crate) receive_from: wsk_sys::PFN_WSK_RECEIVE_FROM,
}

impl Entries for DatagramEntries {
    unsafe fn read(table: NonNull<c_void>, _: u32) -> Self {
        let table = table.cast::<WSK_PROVIDER_DATAGRAM_DISPATCH>().as_ptr();
        // SAFETY: the caller gives the table of a datagram socket, which every Windows makes at least this long.
        unsafe {
            Self {
                send_to: (&raw const (*table).WskSendTo).read(),
                receive_from: (&raw const (*table).WskReceiveFrom).read(),
            }
        }
    }

    fn missing(&self) -> Option<&'static str> {
        if self.send_to.is_none() {
            Some("WskSendTo")
        } else if self.receive_from.is_none() {
            Some("WskReceiveFrom")
        } else {
            None
        }
    }
}

/// The functions of a stream socket, as the tables of what it may become have them.
#[derive(Debug, Clone, Copy)]
pub struct StreamEntries {
    connection: WSK_PROVIDER_CONNECTION_DISPATCH,
    listening: WSK_PROVIDER_LISTEN_DISPATCH,
}

/// A category that stream sockets become.
///
/// # Safety
///
/// The table is one of sockets of this category, as long as any, and in the entries.
pub(crate) unsafe trait OfStream: Committed<Entries = ()> {
    /// The functions of its table.
    fn table(entries: &StreamEntries) -> NonNull<c_void>;
}

// SAFETY: so it is.
unsafe impl OfStream for ConnectionCategory {
    fn table(entries: &StreamEntries) -> NonNull<c_void> {
        NonNull::from(&entries.connection).cast()
    }
}

// SAFETY: so it is.
unsafe impl OfStream for ListenCategory {
    fn table(entries: &StreamEntries) -> NonNull<c_void> {
        NonNull::from(&entries.listening).cast()
    }
}

impl Entries for StreamEntries {
    unsafe fn read(table: NonNull<c_void>, ntddi: u32) -> Self {
        let table = table.cast::<WSK_PROVIDER_STREAM_DISPATCH>().as_ptr();
        /// Reads an entry, or what stands before it.
        macro_rules! entry {
            ($entry:ident) => {
                (&raw const (*table).$entry).read()
            };
        }
        // SAFETY: the caller gives the table of a stream socket, which every Windows that has such sockets makes as long as the entries that
        // are read unasked; the others are read where it is longer.
        unsafe {
            let (send_ex, receive_ex) = if ntddi >= NTDDI_WIN10_RS4 {
                (entry!(WskSendEx), entry!(WskReceiveEx))
            } else {
                (None, None)
            };
            Self {
                connection: WSK_PROVIDER_CONNECTION_DISPATCH {
                    Basic: entry!(Basic),
                    WskBind: entry!(WskBind),
                    WskConnect: entry!(WskConnect),
                    WskGetLocalAddress: entry!(WskGetLocalAddress),
                    WskGetRemoteAddress: entry!(WskGetRemoteAddress),
                    WskSend: entry!(WskSend),
                    WskReceive: entry!(WskReceive),
                    WskDisconnect: entry!(WskDisconnect),
                    WskRelease: entry!(WskRelease),
                    WskConnectEx: entry!(WskConnectEx),
                    WskSendEx: send_ex,
                    WskReceiveEx: receive_ex,
                },
                listening: WSK_PROVIDER_LISTEN_DISPATCH {
                    Basic: entry!(Basic),
                    WskBind: entry!(WskBind),
                    WskAccept: entry!(WskAccept),
                    // Stream sockets have no conditional accept.
                    WskInspectComplete: None,
                    WskGetLocalAddress: entry!(WskGetLocalAddress),
                },
            }
        }
    }

    fn missing(&self) -> Option<&'static str> {
        None
    }
}
