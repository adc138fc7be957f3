//! The categories of sockets, each with the table of functions that WSK has for it and the table of callbacks that it takes.

#![forbid(unsafe_code)]

use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, IPPROTO, IRP, NTSTATUS, SOCK_DGRAM, SOCK_STREAM, SOCKADDR,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_DATAGRAM_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH,
    WSK_CLIENT_STREAM_DISPATCH, WSK_FLAG_BASIC_SOCKET, WSK_FLAG_CONNECTION_SOCKET,
    WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_STREAM_SOCKET,
    WSK_PROVIDER_BASIC_DISPATCH, WSK_PROVIDER_CONNECTION_DISPATCH, WSK_PROVIDER_DATAGRAM_DISPATCH,
    WSK_PROVIDER_LISTEN_DISPATCH, WSK_PROVIDER_STREAM_DISPATCH, WSK_SOCKET,
    WskProviderBasicDispatch, WskProviderConnectionDispatch, WskProviderDatagramDispatch,
    WskProviderListenDispatch, WskProviderStreamDispatch,
};

use crate::address::Storage;

/// A category of sockets: its constants, its table of functions, and the functions that each category has in a table of its own.
pub trait Category: Copy + 'static {
    /// `SOCK_…`.
    const KIND: u16;
    /// `IPPROTO_…`.
    const PROTOCOL: u32;
    /// `WSK_FLAG_…_SOCKET`.
    const FLAG: u32;
    /// The provider's functions.
    type Dispatch: Copy;
    /// The functions that are called for each datagram, read from the table once.
    type Entries: Entries;
    /// The table of the client's callbacks.
    type Callbacks: 'static;
    /// The parameters for making a socket that only this category has.
    type OwnParameters: OwnParameters;
    /// Whether a socket stays of this category, so that events may be enabled.
    const COMMITTED: bool;

    /// The table itself.
    type Table;

    /// Wraps the table of a socket of this category, on a Windows of an `NTDDI_VERSION`.
    const TYPED: unsafe fn(NonNull<Self::Table>, u32) -> Self::Dispatch;

    /// Reads the entries of the same table.
    const ENTRIES: unsafe fn(NonNull<Self::Table>, u32) -> Self::Entries;

    /// `WskBind`, of the categories that have it.
    const BIND: Option<OnAddress<Self::Dispatch>>;

    /// `WskGetLocalAddress`, of the categories that have it.
    const LOCAL_ADDRESS: Option<OnAddress<Self::Dispatch>>;
}

/// A function of a table that takes a pointer to an address.
pub(crate) type OnAddress<D> = unsafe fn(
    D,
    NonNull<WSK_SOCKET>,
    NonNull<SOCKADDR>,
    NonNull<IRP>,
) -> Result<NTSTATUS, DispatchError>;

/// A category whose sockets stay of this category. They may have several handles.
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

/// Implements [`Category`] with a provider's table. The sockets can be bound (`somewhere`), or not (`nowhere`).
macro_rules! category {
    (
        $(#[$doc:meta])* $name:ident: $kind:expr, $protocol:expr, $flag:expr, $dispatch:ident($table:ident), $callbacks:ty,
        $entries:ty, $read:expr, $own:ty, $bound:ident
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
            type OwnParameters = $own;
            const COMMITTED: bool = $flag != WSK_FLAG_STREAM_SOCKET;
            type Table = $table;
            const TYPED: unsafe fn(NonNull<$table>, u32) -> $dispatch = $dispatch::new;
            const ENTRIES: unsafe fn(NonNull<$table>, u32) -> $entries = $read;

            category!(@$bound $dispatch);
        }
    };
    (@somewhere $dispatch:ident) => {
        const BIND: Option<OnAddress<$dispatch>> = Some($dispatch::wsk_bind);
        const LOCAL_ADDRESS: Option<OnAddress<$dispatch>> = Some($dispatch::wsk_get_local_address);
    };
    (@nowhere $dispatch:ident) => {
        const BIND: Option<OnAddress<$dispatch>> = None;
        const LOCAL_ADDRESS: Option<OnAddress<$dispatch>> = None;
    };
}

category! {
    /// Datagram sockets, for UDP.
    DatagramCategory: SOCK_DGRAM, IPPROTO::IPPROTO_UDP, WSK_FLAG_DATAGRAM_SOCKET,
    WskProviderDatagramDispatch(WSK_PROVIDER_DATAGRAM_DISPATCH), WSK_CLIENT_DATAGRAM_DISPATCH, DatagramEntries,
    DatagramEntries::read, (), somewhere
}

category! {
    /// Connection sockets, for TCP.
    ConnectionCategory: SOCK_STREAM, IPPROTO::IPPROTO_TCP, WSK_FLAG_CONNECTION_SOCKET,
    WskProviderConnectionDispatch(WSK_PROVIDER_CONNECTION_DISPATCH), WSK_CLIENT_CONNECTION_DISPATCH, (), |_, _| (),
    Storage, somewhere
}

category! {
    /// Listening sockets, for TCP.
    ListenCategory: SOCK_STREAM, IPPROTO::IPPROTO_TCP, WSK_FLAG_LISTEN_SOCKET,
    WskProviderListenDispatch(WSK_PROVIDER_LISTEN_DISPATCH), WSK_CLIENT_LISTEN_DISPATCH, (), |_, _| (), (), somewhere
}

category! {
    /// Stream sockets, for TCP, until they connect or listen.
    StreamCategory: SOCK_STREAM, IPPROTO::IPPROTO_TCP, WSK_FLAG_STREAM_SOCKET,
    WskProviderStreamDispatch(WSK_PROVIDER_STREAM_DISPATCH), WSK_CLIENT_STREAM_DISPATCH, StreamEntries,
    StreamEntries::read, (), somewhere
}

category! {
    /// Basic sockets, for options and I/O control operations of a transport; usually that of UDP.
    BasicCategory: SOCK_DGRAM, IPPROTO::IPPROTO_UDP, WSK_FLAG_BASIC_SOCKET,
    WskProviderBasicDispatch(WSK_PROVIDER_BASIC_DISPATCH), (), (), |_, _| (), OverStreams, nowhere
}

/// The parameters for making a socket that only one category has.
pub trait OwnParameters: Default + Send + Sync {
    /// Whether the transport is that of streams, instead of the category's.
    fn over_streams(&self) -> bool {
        false
    }
}

impl OwnParameters for () {}

/// The local address for `WskSocketConnect`.
impl OwnParameters for Storage {}

/// The choice of a transport that basic sockets have.
#[derive(Debug, Default)]
pub struct OverStreams(pub(crate) bool);

impl OwnParameters for OverStreams {
    fn over_streams(&self) -> bool {
        self.0
    }
}

/// Entries that are read from a table once.
pub trait Entries: Copy {
    /// The name of an entry that is missing.
    fn missing(&self) -> Option<&'static str>;
}

impl Entries for () {
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

/// The functions of a stream socket, in the tables of the categories that it may become.
#[derive(Debug, Clone, Copy)]
pub struct StreamEntries {
    pub(super) connection: WSK_PROVIDER_CONNECTION_DISPATCH,
    pub(super) listening: WSK_PROVIDER_LISTEN_DISPATCH,
}

impl Entries for StreamEntries {
    fn missing(&self) -> Option<&'static str> {
        None
    }
}

/// A category that stream sockets become.
pub(crate) trait OfStream: Committed<Entries = ()> {
    /// The table of its functions, of full length.
    fn table(entries: &StreamEntries) -> &Self::Table;
}

impl OfStream for ConnectionCategory {
    fn table(entries: &StreamEntries) -> &WSK_PROVIDER_CONNECTION_DISPATCH {
        &entries.connection
    }
}

impl OfStream for ListenCategory {
    fn table(entries: &StreamEntries) -> &WSK_PROVIDER_LISTEN_DISPATCH {
        &entries.listening
    }
}
