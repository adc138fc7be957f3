//! The errors of this crate: which call failed, its `NTSTATUS`, and what that means for the socket.

#![forbid(unsafe_code)]

use core::ffi::CStr;
use core::fmt;

use wsk_sys::{
    APC_LEVEL, DISPATCH_LEVEL, DispatchError, NTSTATUS, PASSIVE_LEVEL, STATUS_BUFFER_TOO_SMALL,
    STATUS_CANCELLED, STATUS_DEVICE_NOT_READY, STATUS_FILE_FORCED_CLOSED,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_IO_TIMEOUT, STATUS_NOT_SUPPORTED, STATUS_TIMEOUT,
    STATUS_WORKING_SET_QUOTA,
};

use crate::family::Family;

/// A function of WSK or of the kernel that can fail.
///
/// ```
/// use wsk::{Call, Error};
///
/// /// A line for the driver's log.
/// fn line(error: Error) -> String {
///     match error {
///         Error::Call { call, status } => format!("{} failed: {status}", call.name().to_string_lossy()),
///         other => other.to_string(),
///     }
/// }
///
/// let error = Error::Call { call: Call::WskBind, status: wsk_sys::STATUS_ADDRESS_ALREADY_EXISTS };
/// assert!(line(error).starts_with("WskBind failed: "));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// [`WskRegister`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskregister).
    WskRegister,
    /// [`WskCaptureProviderNPI`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskcaptureprovidernpi).
    WskCaptureProviderNPI,
    /// [`WskQueryProviderCharacteristics`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskqueryprovidercharacteristics).
    WskQueryProviderCharacteristics,
    /// [`WskControlClient`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_client).
    WskControlClient,
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    WskSocket,
    /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
    WskControlSocket,
    /// [`WskBind`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_bind).
    WskBind,
    /// [`WskGetLocalAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_local_address).
    WskGetLocalAddress,
    /// [`WskSendTo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to).
    WskSendTo,
    /// [`WskSendMessages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_messages).
    WskSendMessages,
    /// [`WskReceiveFrom`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from).
    WskReceiveFrom,
    /// [`WskSocketConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket_connect).
    WskSocketConnect,
    /// [`WskConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect).
    WskConnect,
    /// [`WskConnectEx`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect_ex).
    WskConnectEx,
    /// [`WskAccept`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept).
    WskAccept,
    /// [`WskGetRemoteAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_remote_address).
    WskGetRemoteAddress,
    /// [`WskSend`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send).
    WskSend,
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive).
    WskReceive,
    /// [`WskDisconnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect).
    WskDisconnect,
    /// [`WskListen`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_listen).
    WskListen,
    /// [`WskInspectComplete`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_inspect_complete).
    WskInspectComplete,
    /// [`WskGetAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_address_info).
    WskGetAddressInfo,
    /// [`WskGetNameInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_name_info).
    WskGetNameInfo,
    /// [`WskCloseSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket).
    WskCloseSocket,
    /// [`MmProbeAndLockPages`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmprobeandlockpages), whose
    /// exceptions are caught.
    MmProbeAndLockPages,
}

impl Call {
    /// Turns the status that the function returned into a result.
    #[inline]
    pub(crate) fn succeeded(self, status: NTSTATUS) -> Result<(), Error> {
        if status.is_success() {
            Ok(())
        } else {
            Err(self.failed(status))
        }
    }

    /// Turns the answer of a function that takes no IRP into a result. Out of line, as the error of a table is long.
    pub(crate) fn answered(self, answer: &Result<NTSTATUS, DispatchError>) -> Result<(), Error> {
        match answer {
            Ok(status) => self.succeeded(*status),
            Err(error) => Err(Error::of_dispatch(error)),
        }
    }

    #[cold]
    const fn failed(self, status: NTSTATUS) -> Error {
        Error::Call { call: self, status }
    }

    /// The name of the function, as `%s` of `DbgPrint` takes it.
    #[must_use]
    pub const fn name(self) -> &'static CStr {
        match self {
            Self::WskRegister => c"WskRegister",
            Self::WskCaptureProviderNPI => c"WskCaptureProviderNPI",
            Self::WskQueryProviderCharacteristics => c"WskQueryProviderCharacteristics",
            Self::WskControlClient => c"WskControlClient",
            Self::WskSocket => c"WskSocket",
            Self::WskControlSocket => c"WskControlSocket",
            Self::WskBind => c"WskBind",
            Self::WskGetLocalAddress => c"WskGetLocalAddress",
            Self::WskSendTo => c"WskSendTo",
            Self::WskSendMessages => c"WskSendMessages",
            Self::WskReceiveFrom => c"WskReceiveFrom",
            Self::WskSocketConnect => c"WskSocketConnect",
            Self::WskConnect => c"WskConnect",
            Self::WskConnectEx => c"WskConnectEx",
            Self::WskAccept => c"WskAccept",
            Self::WskGetRemoteAddress => c"WskGetRemoteAddress",
            Self::WskSend => c"WskSend",
            Self::WskReceive => c"WskReceive",
            Self::WskDisconnect => c"WskDisconnect",
            Self::WskListen => c"WskListen",
            Self::WskInspectComplete => c"WskInspectComplete",
            Self::WskGetAddressInfo => c"WskGetAddressInfo",
            Self::WskGetNameInfo => c"WskGetNameInfo",
            Self::WskCloseSocket => c"WskCloseSocket",
            Self::MmProbeAndLockPages => c"MmProbeAndLockPages",
        }
    }
}

/// The purpose of an allocation that failed.
///
/// ```
/// use wsk::{Error, Memory, NonPagedBuffer};
///
/// # let kernel = wsk_host::Kernel::boot();
/// # kernel.fail_nth_allocation(1);
/// // There is no nonpaged pool left.
/// assert_eq!(NonPagedBuffer::new(1500).err(), Some(Error::NoMemory(Memory::Buffer)));
/// # kernel.shutdown();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Memory {
    /// The registration with WSK.
    Registration,
    /// The state of a captured provider or of a socket.
    Socket,
    /// The event of a [`Cancel`](crate::Cancel).
    Event,
    /// An operation with its IRP.
    Irp,
    /// A memory descriptor list.
    Mdl,
    /// Addresses to map an MDL's pages at.
    Mapping,
    /// The bytes of a buffer.
    Buffer,
}

/// Why a call failed.
///
/// The page [errors](crate::guide::errors) tells which errors are mistakes of the caller, found before WSK is called, when the others
/// are found, and what to do.
///
/// ```
/// use std::time::Duration;
/// use wsk::{Call, DatagramSocket, Error};
///
/// /// The length of a datagram, or nothing when none arrives in time.
/// fn hear(socket: &DatagramSocket, room: &mut [u8]) -> Result<Option<usize>, Error> {
///     match socket.receive_from(room).wait_timeout(Duration::from_millis(20)) {
///         Ok(received) => Ok(Some(received.length())),
///         Err(Error::TimedOut { call: Call::WskReceiveFrom }) => Ok(None),
///         // The socket is of no use any more: close it, and open another.
///         Err(error) if error.must_close() => Err(error),
///         Err(error) if error.is_transient() => Ok(None),
///         Err(error) => Err(error),
///     }
/// }
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// # assert_eq!(hear(&socket, &mut [0; 8]), Ok(None));
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// WSK or the kernel returned an error.
    Call {
        /// The function.
        call: Call,
        /// Its status: that of the completed IRP, if the function takes one.
        status: NTSTATUS,
    },
    /// There was not enough nonpaged pool.
    NoMemory(Memory),
    /// The provider broke its contract: it returned an error, or was asked to cancel, and did not complete the IRP. Memory that it might still
    /// use is not freed before the IRP completes, if it ever does. A nonpaged buffer that was borrowed [is lost](Self::BufferLost).
    Abandoned {
        /// The function.
        call: Call,
        /// The status that it returned: `STATUS_PENDING`, which is not an error, if the provider was asked to cancel.
        status: NTSTATUS,
    },
    /// The provider's dispatch table does not have the function, because this Windows is too old.
    NoEntry {
        /// The entry's name.
        entry: &'static str,
    },
    /// A length does not fit the function's parameter for it.
    TooLong {
        /// The function's name.
        entry: &'static str,
    },
    /// The function was called at a higher IRQL than it is allowed at.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// use wsk::Registration;
    /// # use wsk_host::{DISPATCH_LEVEL, at_irql};
    ///
    /// # at_irql(DISPATCH_LEVEL, || {
    /// // In an event handler, say.
    /// let error = Registration::new().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "called at DISPATCH_LEVEL (2), and allowed up to PASSIVE_LEVEL (0): call from a thread at PASSIVE_LEVEL"
    /// );
    /// # });
    /// # kernel.shutdown();
    /// ```
    WrongIrql {
        /// The IRQL at the time of the call.
        current: u8,
        /// The highest that is allowed: `APC_LEVEL` for calls that wait or touch pageable memory, `PASSIVE_LEVEL` for registering, looking
        /// names up and caching security descriptors.
        limit: u8,
    },
    /// The address is not of the socket's family.
    WrongFamily {
        /// The socket's family.
        socket: Family,
        /// The address's family.
        address: Family,
    },
    /// The remote address has port 0, and nothing can be sent there.
    PortZero,
    /// The socket has to be bound before it can send or receive.
    NotBound,
    /// The datagram is longer than a datagram of this family can be.
    DatagramTooLong {
        /// The length that was asked for.
        length: usize,
        /// The greatest length.
        limit: usize,
    },
    /// A part of a buffer does not lie inside the buffer.
    OutOfBounds {
        /// The end of the part.
        end: usize,
        /// The length of the buffer.
        length: usize,
    },
    /// A control message does not fit the room for control information.
    ControlFull {
        /// The number of bytes that are needed.
        needed: usize,
        /// The number of bytes of the room.
        room: usize,
    },
    /// A buffer in a list of datagrams has control information of its own. A request has control information for the whole list:
    /// [`Messages::control_mut`](crate::Messages::control_mut).
    ControlOfOne,
    /// A socket address from WSK is neither IPv4 nor IPv6.
    UnknownAddress {
        /// Its `sa_family`.
        family: u16,
    },
    /// The time given for the operation ran out.
    TimedOut {
        /// The function.
        call: Call,
    },
    /// The wait was ended by [`Cancel::cancel`](crate::Cancel::cancel).
    Cancelled {
        /// The function.
        call: Call,
    },
    /// Fewer bytes arrived than the buffer has room for. They are at the start of the buffer, and no longer in the socket.
    ///
    /// [`receive_all`](crate::ConnectedSocket::receive_all) fails like this when some bytes have arrived, and then the wait is cancelled, the
    /// time runs out or the connection breaks. [`receive_exact`](crate::ConnectedSocket::receive_exact) does so at the end of the connection
    /// too.
    Short {
        /// The function.
        call: Call,
        /// The number of bytes that arrived.
        received: usize,
        /// Why no more arrived: `STATUS_END_OF_FILE` if the peer has disconnected gracefully, `STATUS_IO_TIMEOUT` if the time ran out,
        /// `STATUS_CANCELLED`, or the status from WSK.
        status: NTSTATUS,
    },
    /// The socket was opened without a handler for events.
    NoEvents,
    /// There are no datagrams to send.
    NoMessages,
    /// The depth of a pool is 0.
    NoOperations,
    /// The socket's remote address or destination has been fixed already.
    AlreadyFixed,
    /// Everything in the pool is taken.
    PoolEmpty,
    /// A provider that broke its contract may still use the buffer: see [`Abandoned`](Self::Abandoned). The buffer cannot be used any more.
    BufferLost,
    /// Another operation is using the buffer, which can be used by one operation at a time.
    BufferInUse,
    /// The name to look up is too long, or has a NUL in it.
    BadName {
        /// Its length in UTF-16 units.
        length: usize,
    },
    /// The result of the operation was already taken.
    Taken,
    /// The [`scope`](crate::scope) has ended. A value that is dropped at its end tried to start an operation in it.
    ScopeEnded,
    /// The socket has other handles, and closes when the last is dropped.
    InUse,
    /// The listening socket has been closed, which rejected the [pended](crate::events::Pended) connection.
    Closed,
}

impl Error {
    /// The kernel's status, if the error has one:
    ///
    /// * for [`Call`](Self::Call) and [`Abandoned`](Self::Abandoned), the status that the function gave, which for `Abandoned` may be
    ///   `STATUS_PENDING`;
    /// * for [`Short`](Self::Short), why no more bytes arrived;
    /// * for [`NoMemory`](Self::NoMemory), `STATUS_INSUFFICIENT_RESOURCES`.
    ///
    /// `None` for all other errors, also for a call that [`TimedOut`](Self::TimedOut). `NTSTATUS::from` gives a status for every error.
    #[must_use]
    pub const fn status(&self) -> Option<NTSTATUS> {
        match self {
            Self::Call { status, .. }
            | Self::Abandoned { status, .. }
            | Self::Short { status, .. } => Some(*status),
            Self::NoMemory(_) => Some(STATUS_INSUFFICIENT_RESOURCES),
            _ => None,
        }
    }

    /// The function that failed, or took too long, if one was called.
    #[must_use]
    pub const fn call(&self) -> Option<Call> {
        match self {
            Self::Call { call, .. }
            | Self::Abandoned { call, .. }
            | Self::TimedOut { call }
            | Self::Cancelled { call }
            | Self::Short { call, .. } => Some(*call),
            _ => None,
        }
    }

    /// Whether the socket is dead (`STATUS_FILE_FORCED_CLOSED`): the driver can only close it.
    #[doc(alias = "STATUS_FILE_FORCED_CLOSED")]
    #[must_use]
    pub fn must_close(&self) -> bool {
        self.status() == Some(STATUS_FILE_FORCED_CLOSED)
    }

    /// Whether the same call may succeed later. `false` for [`Short`](Self::Short): receive the rest behind the bytes that have arrived, and not
    /// the same again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        if matches!(self, Self::Short { .. }) {
            return false;
        }
        matches!(
            self,
            Self::TimedOut { .. } | Self::PoolEmpty | Self::BufferInUse
        ) || matches!(
            self.status(),
            Some(
                STATUS_INSUFFICIENT_RESOURCES
                    | STATUS_TIMEOUT
                    | STATUS_CANCELLED
                    | STATUS_DEVICE_NOT_READY
                    | STATUS_WORKING_SET_QUOTA
            )
        )
    }
}

/// The status for an error, to return from `DriverEntry` and other functions that return an `NTSTATUS`. It is the kernel's own status, if that
/// is an error, and otherwise one that means the same as the error.
///
/// ```
/// use wsk::{Call, Error, NTSTATUS};
///
/// let call = Call::WskReceiveFrom;
/// // Cancelled, and not completed: the call itself had not failed.
/// let abandoned = Error::Abandoned { call, status: wsk_sys::STATUS_PENDING };
/// assert_eq!(abandoned.status(), Some(wsk_sys::STATUS_PENDING));
/// assert!(NTSTATUS::from(abandoned).is_error());
/// ```
impl From<Error> for NTSTATUS {
    fn from(error: Error) -> Self {
        match error {
            Error::Call { status, .. } | Error::Short { status, .. } => status,
            Error::Abandoned { status, .. } if status.is_error() => status,
            Error::NoMemory(_) | Error::PoolEmpty => STATUS_INSUFFICIENT_RESOURCES,
            Error::TimedOut { .. } | Error::Abandoned { .. } => STATUS_IO_TIMEOUT,
            Error::Cancelled { .. } => STATUS_CANCELLED,
            Error::NoEntry { .. } => STATUS_NOT_SUPPORTED,
            Error::WrongIrql { .. }
            | Error::NotBound
            | Error::NoEvents
            | Error::AlreadyFixed
            | Error::BufferLost
            | Error::BufferInUse
            | Error::Taken
            | Error::ScopeEnded
            | Error::InUse
            | Error::Closed => STATUS_INVALID_DEVICE_STATE,
            Error::TooLong { .. }
            | Error::WrongFamily { .. }
            | Error::PortZero
            | Error::OutOfBounds { .. }
            | Error::UnknownAddress { .. }
            | Error::BadName { .. }
            | Error::ControlOfOne
            | Error::NoMessages
            | Error::NoOperations => STATUS_INVALID_PARAMETER,
            Error::DatagramTooLong { .. } => STATUS_INVALID_BUFFER_SIZE,
            Error::ControlFull { .. } => STATUS_BUFFER_TOO_SMALL,
        }
    }
}

impl Error {
    /// Makes it the error of another call. In place, as errors are long.
    pub(crate) const fn set_call(&mut self, other: Call) {
        if let Self::Call { call, .. } | Self::Abandoned { call, .. } = self {
            *call = other;
        }
    }
}

/// Some functions return their arguments together with the error: [`DriverMdl`](crate::DriverMdl) returns the owner, a wait
/// returns its operation, a method that takes the socket returns it. `?` drops that value, and keeps the error.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::net::Ipv4Addr;
/// use wsk::{DatagramSocket, Error, Family, FixedDatagramSocket, Provider};
///
/// fn open(provider: &Provider, server: Ipv4Addr) -> Result<FixedDatagramSocket, Error> {
///     let socket = DatagramSocket::open(provider, Family::V4)?;
///     socket.bind(Family::V4.any())?;
///     Ok(socket.fix_destination((server, 514))?)
/// }
/// # drop((open(&provider, Ipv4Addr::LOCALHOST)?, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), Error>(())
/// ```
impl<T> From<(Self, T)> for Error {
    fn from((error, _): (Self, T)) -> Self {
        error
    }
}

impl From<DispatchError> for Error {
    fn from(error: DispatchError) -> Self {
        Self::of_dispatch(&error)
    }
}

impl Error {
    // Not inlined, so that functions that differ in types only are the same code, which the linker folds.
    #[cold]
    #[inline(never)]
    pub(crate) fn of_dispatch(error: &DispatchError) -> Self {
        match *error {
            DispatchError::Absent { entry } | DispatchError::TooNew { entry, .. } => {
                Self::NoEntry { entry }
            }
            DispatchError::TooLong { entry, .. } => Self::TooLong { entry },
        }
    }
}

/// Displays an IRQL by its name.
struct Level(u8);

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            PASSIVE_LEVEL => "PASSIVE_LEVEL",
            APC_LEVEL => "APC_LEVEL",
            DISPATCH_LEVEL => "DISPATCH_LEVEL",
            _ => "IRQL",
        };
        write!(f, "{name} ({})", self.0)
    }
}

impl fmt::Display for Error {
    // The match has one arm for each error.
    #[allow(clippy::too_many_lines)]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { call, status } => {
                write!(f, "{call:?} failed with {status}")?;
                if self.must_close() {
                    f.write_str("; the socket is dead, close it")?;
                }
                Ok(())
            }
            Self::NoMemory(memory) => {
                let what = match memory {
                    Memory::Registration => "the registration",
                    Memory::Socket => "the socket",
                    Memory::Event => "the event",
                    Memory::Irp => "the IRP",
                    Memory::Mdl => "the MDL",
                    Memory::Mapping => "mapping the MDL",
                    Memory::Buffer => "the buffer",
                };
                write!(
                    f,
                    "no nonpaged memory for {what}; try again when some has been freed"
                )
            }
            Self::Abandoned { call, status } => write!(
                f,
                "{call:?} returned {status} and did not complete its IRP; memory that the provider may still use stays allocated"
            ),
            Self::NoEntry { entry } => write!(
                f,
                "this Windows is too old to have {entry}: do without it there"
            ),
            Self::TooLong { entry } => write!(
                f,
                "{entry} cannot take a buffer of that length: pass a shorter one"
            ),
            Self::WrongIrql { current, limit } => {
                let instead = if *limit == PASSIVE_LEVEL {
                    "call from a thread at PASSIVE_LEVEL"
                } else {
                    "start the request instead of waiting, over a NonPagedBuffer instead of pageable memory"
                };
                write!(
                    f,
                    "called at {}, and allowed up to {}: {instead}",
                    Level(*current),
                    Level(*limit)
                )
            }
            Self::WrongFamily { socket, address } => {
                write!(f, "the socket is {socket}, and the address {address}: give an address of the socket's family")
            }
            Self::PortZero => f.write_str("port 0 cannot be sent to: give the receiver's port"),
            Self::NotBound => f.write_str("the socket is not bound: call bind first"),
            Self::DatagramTooLong { length, limit } => {
                write!(
                    f,
                    "a datagram of {length} bytes is too long: at most {limit} fit"
                )
            }
            Self::OutOfBounds { end, length } => {
                write!(
                    f,
                    "the part ends at byte {end}, but the buffer has only {length} bytes"
                )
            }
            Self::ControlFull { needed, room } => {
                write!(
                    f,
                    "control information of {needed} bytes does not fit into {room}: make more room"
                )
            }
            Self::ControlOfOne => f.write_str(
                "a buffer in a list of datagrams cannot have control information of its own: give it to the list",
            ),
            Self::UnknownAddress { family } => {
                write!(
                    f,
                    "WSK gave an address of family {family}, which is neither IPv4 nor IPv6"
                )
            }
            Self::TimedOut { call } => {
                write!(f, "{call:?} did not complete in the time given for it")
            }
            Self::Cancelled { call } => {
                write!(f, "{call:?} had not completed when the wait for it was cancelled")
            }
            Self::Short {
                call,
                received,
                status,
            } => {
                write!(
                    f,
                    "{call:?} ended with {status} after {received} bytes, which are in the buffer"
                )
            }
            Self::NoEvents => {
                f.write_str("the socket has no handler for events: open it with open_with_events")
            }
            Self::NoOperations => f.write_str("a pool of depth 0 has nothing to take: give it a depth"),
            Self::BufferLost => f.write_str(
                "the provider did not complete an IRP and may still use the buffer: use another one",
            ),
            Self::BufferInUse => f.write_str(
                "another operation is using the buffer: use it for one at a time",
            ),
            Self::NoMessages => {
                f.write_str("there are no datagrams to send: put at least one into the list")
            }
            Self::AlreadyFixed => f.write_str(
                "the socket's remote address or destination is fixed already: open another socket for another address",
            ),
            Self::PoolEmpty => {
                f.write_str("everything in the pool is taken: wait, or make a deeper pool")
            }
            Self::BadName { length } => write!(
                f,
                "a name of {length} UTF-16 units cannot be resolved: at most 1024, and none of them NUL"
            ),
            Self::Taken => {
                f.write_str("the result of the operation was taken already: do not poll it again")
            }
            Self::ScopeEnded => {
                f.write_str("the scope has ended: nothing can be started in it any more")
            }
            Self::InUse => {
                f.write_str("other handles of the socket exist: it closes when the last is dropped")
            }
            Self::Closed => {
                f.write_str("the listening socket has been closed, which rejected the connection")
            }
        }
    }
}

impl core::error::Error for Error {}

// Results are returned by value, even where nothing went wrong, so errors must be small.
const _: () = assert!(size_of::<Error>() <= 24);
