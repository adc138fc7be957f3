//! I/O control operations of sockets (`SIO_…`). Each operation is a type, which contains the input.
//!
//! [`DatagramSocket::ioctl`](crate::DatagramSocket::ioctl), and the same method of other sockets, runs one. They correspond to `WskIoctl`
//! of `WskControlSocket`.
//!
//! To fix a remote address or destination, use the [method](crate::DatagramSocket::fix_remote_address) of the socket, which gives a socket of
//! another type. For other codes there is [`control_raw`](crate::DatagramSocket::control_raw).
//!
//! ```
//! # let kernel = wsk_host::Kernel::boot();
//! # let registration = wsk::Registration::new()?;
//! # let provider = registration.capture(wsk::Wait::Forever)?;
//! # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
//! use wsk::ioctl::RoutingInterface;
//!
//! let remote = ([127, 0, 0, 1], 9);
//! let local = socket.ioctl(RoutingInterface(remote)).wait()?;
//! assert!(local.ip().is_loopback());
//! # drop((socket, provider, registration));
//! # kernel.shutdown();
//! # Ok::<(), wsk::Error>(())
//! ```

use core::ffi::c_void;
use core::mem::offset_of;
use core::net::SocketAddr;
use core::ptr::NonNull;
use core::time::Duration;

use wsk_sys::{
    NPIID, PROCESSOR_NUMBER, SIO_CPU_AFFINITY, SIO_QUERY_RSS_PROCESSOR_INFO,
    SIO_QUERY_RSS_SCALABILITY_INFO, SIO_ROUTING_INTERFACE_QUERY, SIO_TCP_INFO,
    SIO_WSK_QUERY_IDEAL_SEND_BACKLOG, SIO_WSK_QUERY_INSPECT_ID, SIO_WSK_QUERY_RECEIVE_BACKLOG,
    SIO_WSK_SET_TCP_SILENT_MODE, SOCKET_PROCESSOR_AFFINITY, TCP_INFO_v0, TCP_INFO_v1,
    WSK_CONTROL_SOCKET_TYPE, WSK_INSPECT_ID,
};

use crate::address::{self, ToSocketAddr, UnknownFamily};
use crate::buffer::carry::Ingredient;
use crate::error::{Error, Memory};
use crate::memory::{self, Values};
use crate::socket::inspection::InspectId;

/// Input or output that is not an address.
pub(crate) type Value = [u8; 8];

/// The input of a control operation, as it is passed to WSK.
#[derive(Debug)]
pub enum Input {
    /// The first bytes of the value, and their number.
    Bytes(Value, usize),
    /// An address, in the form of the socket's family.
    Address(Result<SocketAddr, UnknownFamily>),
}

/// The output of a control operation, as WSK gave it.
#[derive(Debug)]
pub struct Output<'o> {
    pub(crate) bytes: &'o [u8],
}

impl Output<'_> {
    /// The bytes from an offset on; zeros where there are none.
    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        rest.first_chunk().copied().unwrap_or([0; N])
    }
}

mod sealed {
    pub trait Sealed {}
}

/// An I/O control operation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an I/O control operation",
    label = "not an operation",
    note = "the operations are the types of `wsk::ioctl`"
)]
pub trait Ioctl: sealed::Sealed + Sized {
    /// The output.
    type Output;
    #[doc(hidden)]
    const CODE: u32;
    /// The number of bytes of the output, unless the output is an address.
    #[doc(hidden)]
    const GIVES: usize;
    #[doc(hidden)]
    fn input(&self) -> Input {
        Input::Bytes([0; 8], 0)
    }
    #[doc(hidden)]
    fn output(output: &Output<'_>) -> Result<Self::Output, Error>;
}

/// The local address from which datagrams to a remote address are sent. The port of the answer has no meaning.
#[doc(alias = "SIO_ROUTING_INTERFACE_QUERY")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoutingInterface<A = SocketAddr>(
    /// The remote address: a `SocketAddr`, or [another address](ToSocketAddr).
    pub A,
);

impl<A> sealed::Sealed for RoutingInterface<A> {}

impl<A: ToSocketAddr + Copy> Ioctl for RoutingInterface<A> {
    type Output = SocketAddr;
    const CODE: u32 = SIO_ROUTING_INTERFACE_QUERY;
    const GIVES: usize = 0;

    fn input(&self) -> Input {
        Input::Address(self.0.decoded())
    }

    fn output(output: &Output<'_>) -> Result<SocketAddr, Error> {
        address::read_bytes(output.bytes)
    }
}

/// Processes received datagrams on one processor. Run it before the socket is bound. Windows 10, version 2004, and later.
#[doc(alias = "SIO_CPU_AFFINITY")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CpuAffinity(
    /// The processor's number.
    pub u16,
);

impl sealed::Sealed for CpuAffinity {}

impl Ioctl for CpuAffinity {
    type Output = ();
    const CODE: u32 = SIO_CPU_AFFINITY;
    const GIVES: usize = 0;

    fn input(&self) -> Input {
        let mut value = [0; 8];
        let [low, high] = self.0.to_ne_bytes();
        (value[0], value[1]) = (low, high);
        Input::Bytes(value, size_of::<u16>())
    }

    fn output(_: &Output<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Whether network adapters distribute received packets over processors (RSS), so that one socket for each processor is useful. Windows 8
/// and later.
#[doc(alias("SIO_QUERY_RSS_SCALABILITY_INFO", "RSS_SCALABILITY_INFO"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RssScalability;

impl sealed::Sealed for RssScalability {}

impl Ioctl for RssScalability {
    type Output = bool;
    const CODE: u32 = SIO_QUERY_RSS_SCALABILITY_INFO;
    const GIVES: usize = size_of::<wsk_sys::RSS_SCALABILITY_INFO>();

    fn output(output: &Output<'_>) -> Result<bool, Error> {
        Ok(output.at(0) != [0])
    }
}

/// The processor on which received segments of a connection are processed. Windows 8 and later.
#[doc(alias = "SIO_QUERY_RSS_PROCESSOR_INFO")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RssProcessor;

/// A processor and its NUMA node.
#[doc(alias("SOCKET_PROCESSOR_AFFINITY", "PROCESSOR_NUMBER"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ProcessorAffinity {
    /// The group of the processor.
    pub group: u16,
    /// Its number in the group.
    pub number: u8,
    /// The NUMA node.
    pub numa_node: u16,
}

impl sealed::Sealed for RssProcessor {}

impl Ioctl for RssProcessor {
    type Output = ProcessorAffinity;
    const CODE: u32 = SIO_QUERY_RSS_PROCESSOR_INFO;
    const GIVES: usize = size_of::<SOCKET_PROCESSOR_AFFINITY>();

    fn output(output: &Output<'_>) -> Result<ProcessorAffinity, Error> {
        let [number] = output.at(offset_of!(PROCESSOR_NUMBER, Number));
        Ok(ProcessorAffinity {
            group: u16::from_ne_bytes(output.at(offset_of!(PROCESSOR_NUMBER, Group))),
            number,
            numa_node: u16::from_ne_bytes(
                output.at(offset_of!(SOCKET_PROCESSOR_AFFINITY, NumaNodeId)),
            ),
        })
    }
}

/// Makes a connection silent: TCP sends no more segments, not even acknowledgements or a FIN, and discards what it receives. After that the
/// socket can only be closed: sends and disconnects fail. Windows 8 and later; not over loopback.
///
/// It is for a driver that continues the connection elsewhere, so that the peer must not learn that this socket closes.
///
/// ```
/// # let kernel = wsk_host::Kernel::builder().loopback_is_remote().boot();
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::ConnectedSocket::connect(&provider, peer.local_addr().unwrap()).wait()?;
/// use wsk::ioctl::SilentMode;
///
/// socket.send(b"the last").wait()?;
/// // SAFETY: nothing else sends or disconnects, and the send has completed.
/// let silent = unsafe { SilentMode::new() };
/// socket.ioctl(silent).wait()?;
/// socket.close()?;
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// [`SIO_WSK_SET_TCP_SILENT_MODE`](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-set-tcp-silent-mode).
///
/// # Invariants
///
/// While the operation is in flight, no send and no disconnect is in flight on its connection.
#[doc(alias = "SIO_WSK_SET_TCP_SILENT_MODE")]
#[derive(Debug)]
pub struct SilentMode(());

impl SilentMode {
    /// The operation, for one connection.
    ///
    /// # Safety
    ///
    /// From the start of the request to its completion, no send and no disconnect is in flight on that connection. Microsoft demands this, and
    /// does not say what happens otherwise. An operation whose handle was dropped, or that was abandoned, may still be in flight.
    #[must_use]
    pub const unsafe fn new() -> Self {
        // INVARIANT: by the contract of this function.
        Self(())
    }
}

impl sealed::Sealed for SilentMode {}

impl Ioctl for SilentMode {
    type Output = ();
    const CODE: u32 = SIO_WSK_SET_TCP_SILENT_MODE;
    const GIVES: usize = 0;

    fn output(_: &Output<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// An extension interface to [register a socket for](crate::DatagramSocket::register_extension), with the callbacks that the driver
/// implements.
///
/// [`WSK_EXTENSION_CONTROL_IN`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_extension_control_in).
///
/// # Invariants
///
/// The table and the context are as the interface requires for one socket, and stay until the socket's close has completed.
#[doc(alias = "WSK_EXTENSION_CONTROL_IN")]
#[derive(Debug)]
pub struct Extension {
    pub(crate) interface: &'static NPIID,
    pub(crate) context: *mut c_void,
    pub(crate) dispatch: *const c_void,
}

impl Extension {
    /// The interface of this identifier, with the context and the table of the driver's callbacks.
    ///
    /// # Safety
    ///
    /// * The table is the one that the interface defines for clients, and its callbacks do what it asks of them with this context, for
    ///   one socket.
    /// * Table, callbacks and context stay until that socket's close has completed, which dropping the
    ///   [`Registration`](crate::Registration) waits for.
    /// * The driver's use of the table that [it is given](ExtensionProvider) changes nothing that this crate keeps account of, as
    ///   [`RawControl::new`](crate::raw::RawControl::new) says.
    #[must_use]
    pub const unsafe fn new(
        interface: &'static NPIID,
        context: *mut c_void,
        dispatch: *const c_void,
    ) -> Self {
        // INVARIANT: by the contract of this function.
        Self {
            interface,
            context,
            dispatch,
        }
    }
}

/// The functions of an extension interface that WSK implements, for one socket.
///
/// [`WSK_EXTENSION_CONTROL_OUT`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_extension_control_out).
#[doc(alias = "WSK_EXTENSION_CONTROL_OUT")]
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ExtensionProvider {
    /// The context to pass to the functions of the table.
    pub context: *mut c_void,
    /// The table of functions that the interface defines.
    pub dispatch: *const c_void,
}

/// Statistics of a connection. Windows 10, version 1703, and later.
///
/// [`SIO_TCP_INFO`](https://learn.microsoft.com/windows/win32/winsock/sio-tcp-info) of version 0.
#[doc(alias("SIO_TCP_INFO", "TCP_INFO_v0"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcpInfo;

/// Statistics of a connection, with the reasons that delayed its sends. Windows 10, version 1809, and later.
///
/// [`SIO_TCP_INFO`](https://learn.microsoft.com/windows/win32/winsock/sio-tcp-info) of version 1.
#[doc(alias("SIO_TCP_INFO", "TCP_INFO_v1"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcpInfoWithLimits;

/// Defines a structure with the members of a C structure, and reads it from the bytes of the C structure.
macro_rules! members {
    ($(#[$doc:meta])* $name:ident of $of:ident { $($(#[$member_doc:meta])* $member:ident: $ty:ident = $from:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$member_doc])* pub $member: members!(@type $ty),)*
        }

        impl $name {
            fn read(output: &Output<'_>) -> Self {
                Self {
                    $($member: members!(@read $ty, output.at(offset_of!($of, $from))),)*
                }
            }
        }
    };
    (@type micros) => { Duration };
    (@type millis) => { Duration };
    (@type millis32) => { Duration };
    (@type flag) => { bool };
    (@type $ty:ident) => { $ty };
    (@read micros, $bytes:expr) => { Duration::from_micros(u32::from_ne_bytes($bytes).into()) };
    (@read millis, $bytes:expr) => { Duration::from_millis(u64::from_ne_bytes($bytes)) };
    (@read millis32, $bytes:expr) => { Duration::from_millis(u32::from_ne_bytes($bytes).into()) };
    (@read flag, $bytes:expr) => { $bytes != [0] };
    (@read $ty:ident, $bytes:expr) => { $ty::from_ne_bytes($bytes) };
}

members! {
    /// Statistics of a connection. Sizes are in bytes.
    ConnectionInfo of TCP_INFO_v0 {
        /// The state, as C's `TCPSTATE` numbers it: 4 is established.
        state: u32 = State,
        /// The maximum segment size (MSS).
        largest_segment: u32 = Mss,
        /// The time since the connection was made.
        connected_for: millis = ConnectionTimeMs,
        /// Whether segments have time stamps.
        has_timestamps: flag = TimestampsEnabled,
        /// The round-trip time.
        round_trip: micros = RttUs,
        /// The shortest round-trip time so far.
        shortest_round_trip: micros = MinRttUs,
        /// The bytes that were sent and are not acknowledged.
        in_flight: u32 = BytesInFlight,
        /// The congestion window.
        congestion_window: u32 = Cwnd,
        /// The send window, which the peer advertises.
        send_window: u32 = SndWnd,
        /// The receive window, which is advertised to the peer.
        receive_window: u32 = RcvWnd,
        /// The bytes in the receive buffer.
        receive_backlog: u32 = RcvBuf,
        /// The bytes that were sent.
        sent: u64 = BytesOut,
        /// The bytes that were received.
        received: u64 = BytesIn,
        /// The bytes that arrived out of order.
        reordered: u32 = BytesReordered,
        /// The bytes that were retransmitted.
        retransmitted: u32 = BytesRetrans,
        /// The number of fast retransmissions.
        fast_retransmits: u32 = FastRetrans,
        /// The number of duplicate acknowledgements.
        duplicate_acknowledgements: u32 = DupAcksIn,
        /// The number of time-outs that caused a retransmission.
        timeouts: u32 = TimeoutEpisodes,
        /// The number of SYN segments that were retransmitted.
        connect_retransmits: u8 = SynRetrans,
    }
}

members! {
    /// What delayed the sends of a connection: how often, for how long, and how many bytes were sent meanwhile.
    SendLimits of TCP_INFO_v1 {
        /// By the peer's window: how often.
        by_peer: u32 = SndLimTransRwin,
        /// By the peer's window: for how long.
        time_by_peer: millis32 = SndLimTimeRwin,
        /// By the peer's window: the bytes.
        bytes_by_peer: u64 = SndLimBytesRwin,
        /// By the congestion window: how often.
        by_congestion: u32 = SndLimTransCwnd,
        /// By the congestion window: for how long.
        time_by_congestion: millis32 = SndLimTimeCwnd,
        /// By the congestion window: the bytes.
        bytes_by_congestion: u64 = SndLimBytesCwnd,
        /// The driver sent nothing: how often.
        by_sender: u32 = SndLimTransSnd,
        /// The driver sent nothing: for how long.
        time_by_sender: millis32 = SndLimTimeSnd,
        /// The driver sent nothing: the bytes.
        bytes_by_sender: u64 = SndLimBytesSnd,
    }
}

/// The input of `SIO_TCP_INFO`: the version of the structure.
fn version(version: u32) -> Input {
    let mut value = [0; 8];
    memory::copy(&version.to_ne_bytes(), &mut value);
    Input::Bytes(value, size_of::<u32>())
}

impl sealed::Sealed for TcpInfo {}

impl Ioctl for TcpInfo {
    type Output = ConnectionInfo;
    const CODE: u32 = SIO_TCP_INFO;
    const GIVES: usize = size_of::<TCP_INFO_v0>();

    fn input(&self) -> Input {
        version(0)
    }

    fn output(output: &Output<'_>) -> Result<ConnectionInfo, Error> {
        Ok(ConnectionInfo::read(output))
    }
}

impl sealed::Sealed for TcpInfoWithLimits {}

impl Ioctl for TcpInfoWithLimits {
    type Output = (ConnectionInfo, SendLimits);
    const CODE: u32 = SIO_TCP_INFO;
    const GIVES: usize = size_of::<TCP_INFO_v1>();

    fn input(&self) -> Input {
        version(1)
    }

    fn output(output: &Output<'_>) -> Result<(ConnectionInfo, SendLimits), Error> {
        // Version 1 begins with all members of version 0.
        const { assert!(offset_of!(TCP_INFO_v1, SynRetrans) == offset_of!(TCP_INFO_v0, SynRetrans)) };
        Ok((ConnectionInfo::read(output), SendLimits::read(output)))
    }
}

macro_rules! queries {
    ($($(#[$doc:meta])* $name:ident = $code:expr, $alias:literal;)*) => {$(
        $(#[$doc])*
        #[doc(alias = $alias)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name;

        impl sealed::Sealed for $name {}

        impl Ioctl for $name {
            type Output = usize;
            const CODE: u32 = $code;
            const GIVES: usize = size_of::<usize>();

            fn output(output: &Output<'_>) -> Result<usize, Error> {
                Ok(usize::from_ne_bytes(output.at(0)))
            }
        }
    )*};
}

queries! {
    /// The number of bytes that have arrived on a connection and that no receive has taken.
    ReceiveBacklog = SIO_WSK_QUERY_RECEIVE_BACKLOG, "SIO_WSK_QUERY_RECEIVE_BACKLOG";
    /// The ideal send backlog of a connection: how many bytes in sends that have not completed give the best throughput.
    IdealSendBacklog = SIO_WSK_QUERY_IDEAL_SEND_BACKLOG, "SIO_WSK_QUERY_IDEAL_SEND_BACKLOG";
}

/// The identifier that an accepted connection had when it was inspected. An error for a socket that was not accepted after an inspection.
///
/// [`SIO_WSK_QUERY_INSPECT_ID`](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-query-inspect-id).
#[doc(alias = "SIO_WSK_QUERY_INSPECT_ID")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QueryInspectId;

impl sealed::Sealed for QueryInspectId {}

impl Ioctl for QueryInspectId {
    type Output = InspectId;
    const CODE: u32 = SIO_WSK_QUERY_INSPECT_ID;
    const GIVES: usize = InspectId::SIZE;

    fn output(output: &Output<'_>) -> Result<InspectId, Error> {
        Ok(InspectId::from_parts(
            usize::from_ne_bytes(output.at(offset_of!(WSK_INSPECT_ID, Key))),
            u32::from_ne_bytes(output.at(offset_of!(WSK_INSPECT_ID, SerialNumber))),
        ))
    }
}

/// What a [`RawControl`](crate::raw::RawControl) asks of `WskControlSocket`.
#[doc(alias = "WSK_CONTROL_SOCKET_TYPE")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlRequest {
    /// Set an option.
    #[doc(alias = "WskSetOption")]
    SetOption {
        /// `SOL_SOCKET`, `IPPROTO_IP` and their like.
        level: u32,
        /// The option.
        option: u32,
    },
    /// Read an option.
    #[doc(alias = "WskGetOption")]
    GetOption {
        /// `SOL_SOCKET`, `IPPROTO_IP` and their like.
        level: u32,
        /// The option.
        option: u32,
    },
    /// Run an I/O control operation.
    #[doc(alias = "WskIoctl")]
    Ioctl {
        /// `SIO_…`.
        code: u32,
    },
}

impl ControlRequest {
    /// The request's type, code and level.
    pub(crate) const fn parts(self) -> (WSK_CONTROL_SOCKET_TYPE, u32, u32) {
        match self {
            Self::SetOption { level, option } => {
                (WSK_CONTROL_SOCKET_TYPE::WskSetOption, option, level)
            }
            Self::GetOption { level, option } => {
                (WSK_CONTROL_SOCKET_TYPE::WskGetOption, option, level)
            }
            Self::Ioctl { code } => (WSK_CONTROL_SOCKET_TYPE::WskIoctl, code, 0),
        }
    }
}

/// Nonpaged copies of the input and the output of a request.
#[derive(Default)]
pub struct Copies {
    input: Option<Values<u8>>,
    output: Option<Values<u8>>,
}

impl Copies {
    /// Copies the input, and makes room for the output. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn make(&mut self, input: &[u8], output: usize) -> Result<(), Error> {
        let none = Error::NoMemory(Memory::Buffer);
        let mut copy = Values::zeroed(input.len()).ok_or(none)?;
        memory::copy(input, &mut copy);
        self.input = Some(copy);
        self.output = Some(Values::zeroed(output).ok_or(none)?);
        Ok(())
    }

    /// The input, if there is any.
    pub(crate) fn input(&self) -> Option<NonNull<[u8]>> {
        let input = self.input.as_ref().map(Values::place)?;
        (!input.is_empty()).then_some(input)
    }

    /// The room for the output, if there is any.
    pub(crate) fn output(&self) -> Option<NonNull<[u8]>> {
        let output = self.output.as_ref().map(Values::place)?;
        (!output.is_empty()).then_some(output)
    }

    /// Copies the output.
    pub(crate) fn read(&self, to: &mut [u8]) {
        if let Some(output) = &self.output {
            memory::copy(output, to);
        }
    }
}

impl Ingredient for Copies {}

impl core::fmt::Debug for Copies {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Copies").finish_non_exhaustive()
    }
}
