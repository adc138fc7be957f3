// Winsock Kernel: sockets for drivers. Registration, the tables of functions that client and provider exchange, and all their
// structures, flags and control codes. Stands for the kit's wsk.h as of 10.0.22621.

#ifndef _WSK_
#define _WSK_

#include <wdm.h>
#include <netioddk.h>
#include <ws2def.h>
#include <ws2ipdef.h>
#include <mswsockdef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Objects and versions.

/// Calling convention of every function between client and provider.
#define WSKAPI NTAPI

/// Socket, as its client sees it.
///
/// The table is that of the socket's kind: basic, listening, datagram, connection or stream.
typedef struct _WSK_SOCKET {
    /// Table of functions for this kind of socket.
    CONST VOID *Dispatch;
} WSK_SOCKET, *PWSK_SOCKET;

/// Client, as the provider knows it; only carried around.
typedef PVOID PWSK_CLIENT;

/// Identifier of the Winsock Kernel interface.
extern CONST NPIID NPI_WSK_INTERFACE_ID;

/// Version of the interface, from its two parts.
#define MAKE_WSK_VERSION(Mj, Mn) ((USHORT)(((Mj) << 8) | ((Mn) & 0xff)))
/// Major part of a version.
#define WSK_MAJOR_VERSION(V) ((UCHAR)((V) >> 8))
/// Minor part of a version.
#define WSK_MINOR_VERSION(V) ((UCHAR)(V))

/// Range of versions that the provider speaks.
typedef struct _WSK_PROVIDER_CHARACTERISTICS {
    /// Newest version.
    USHORT HighestVersion;
    /// Oldest version.
    USHORT LowestVersion;
} WSK_PROVIDER_CHARACTERISTICS, *PWSK_PROVIDER_CHARACTERISTICS;

/// Transport that sockets can be made for.
typedef struct _WSK_TRANSPORT {
    /// Version of the transport.
    USHORT Version;
    /// Kind of socket, such as `SOCK_DGRAM`.
    USHORT SocketType;
    /// Protocol, such as `IPPROTO_UDP`.
    ULONG Protocol;
    /// Address family, such as `AF_INET`.
    ADDRESS_FAMILY AddressFamily;
    /// Identifier of the transport's provider.
    GUID ProviderId;
} WSK_TRANSPORT, *PWSK_TRANSPORT;

// Data.

/// Part of a chain of locked MDLs that data is sent from or received into.
typedef struct _WSK_BUF {
    /// Locked chain that describes the memory.
    PMDL Mdl;
    /// Where the data starts, within the first MDL of the chain.
    ULONG Offset;
    /// Bytes of data.
    SIZE_T Length;
} WSK_BUF, *PWSK_BUF;

/// Data that has arrived on a connection.
typedef struct _WSK_DATA_INDICATION {
    /// Further data, or NULL.
    struct _WSK_DATA_INDICATION *Next;
    /// The data.
    WSK_BUF Buffer;
} WSK_DATA_INDICATION, *PWSK_DATA_INDICATION;

/// Datagram that has arrived.
typedef struct _WSK_DATAGRAM_INDICATION {
    /// Further datagram, or NULL.
    struct _WSK_DATAGRAM_INDICATION *Next;
    /// Payload of the datagram.
    WSK_BUF Buffer;
    /// Control information that came with it, or NULL.
    _Field_size_bytes_(ControlInfoLength) PCMSGHDR ControlInfo;
    /// Bytes of control information.
    ULONG ControlInfoLength;
    /// Sender of the datagram.
    PSOCKADDR RemoteAddress;
} WSK_DATAGRAM_INDICATION, *PWSK_DATAGRAM_INDICATION;

/// Names a request for a connection that is being inspected.
///
/// The contents name it, not the address of the structure, so it may be copied.
typedef struct _WSK_INSPECT_ID {
    /// First part of the name.
    ULONG_PTR Key;
    /// Second part of the name.
    ULONG SerialNumber;
} WSK_INSPECT_ID, *PWSK_INSPECT_ID;

/// Answer to a request for a connection.
typedef enum {
    /// Refuse it.
    WskInspectReject,
    /// Go on with accepting it.
    WskInspectAccept,
    /// Decide later, with `WskInspectComplete`.
    WskInspectPend,
    /// Number of actions.
    WskInspectMax
} WSK_INSPECT_ACTION, *PWSK_INSPECT_ACTION;

// Flags. The same bit has different meanings in different calls.

/// Event callback: it runs at DISPATCH_LEVEL.
#define WSK_FLAG_AT_DISPATCH_LEVEL 0x00000008
/// Receive event: buffers that are kept must be released soon.
#define WSK_FLAG_RELEASE_ASAP 0x00000002
/// Receive event: the indicated data is a whole message.
#define WSK_FLAG_ENTIRE_MESSAGE 0x00000004
/// Disconnects abruptly, and discards unsent data.
#define WSK_FLAG_ABORTIVE 0x00000001

// Event callbacks of the client.

/// Tells the client of an event that concerns it as a whole.
///
/// No event types are defined so far.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_CLIENT_EVENT)(
    _In_opt_ PVOID ClientContext,
    _In_ ULONG EventType,
    _In_reads_bytes_opt_(InformationLength) PVOID Information,
    _In_ SIZE_T InformationLength);

/// Tells that datagrams have arrived.
///
/// `Flags` may have `MSG_BCAST`, `MSG_MCAST` and `WSK_FLAG_AT_DISPATCH_LEVEL`. A NULL `DataIndication` means that the
/// socket is dead and must be closed. STATUS_PENDING keeps the datagrams until `WskRelease`; STATUS_DATA_NOT_ACCEPTED
/// leaves them to the provider, and no further event comes until it is enabled again.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) _Must_inspect_result_ NTSTATUS(WSKAPI *PFN_WSK_RECEIVE_FROM_EVENT)(
    _In_opt_ PVOID SocketContext,
    _In_ ULONG Flags,
    _In_opt_ PWSK_DATAGRAM_INDICATION DataIndication);

/// Event callbacks of a connection socket.
typedef struct _WSK_CLIENT_CONNECTION_DISPATCH WSK_CLIENT_CONNECTION_DISPATCH, *PWSK_CLIENT_CONNECTION_DISPATCH;

/// Tells a listening socket that a connection has been made.
///
/// A NULL `AcceptSocket` means that the listening socket must be closed. STATUS_REQUEST_NOT_ACCEPTED refuses the
/// connection, and the provider closes its socket.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) _Must_inspect_result_ _At_(AcceptSocket, __drv_aliasesMem)
    NTSTATUS(WSKAPI *PFN_WSK_ACCEPT_EVENT)(
        _In_opt_ PVOID SocketContext,
        _In_ ULONG Flags,
        _In_ PSOCKADDR LocalAddress,
        _In_ PSOCKADDR RemoteAddress,
        _In_opt_ PWSK_SOCKET AcceptSocket,
        _Outptr_result_maybenull_ PVOID *AcceptSocketContext,
        _Outptr_result_maybenull_ CONST WSK_CLIENT_CONNECTION_DISPATCH **AcceptSocketDispatch);

/// Asks for the answer to a request for a connection, on a socket that accepts conditionally.
///
/// A NULL `InspectID` means that the listening socket must be closed.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) _Must_inspect_result_ WSK_INSPECT_ACTION(WSKAPI *PFN_WSK_INSPECT_EVENT)(
    _In_opt_ PVOID SocketContext,
    _In_ PSOCKADDR LocalAddress,
    _In_ PSOCKADDR RemoteAddress,
    _In_opt_ PWSK_INSPECT_ID InspectID);

/// Tells that a request for a connection, which was inspected before, has been dropped.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_ABORT_EVENT)(
    _In_opt_ PVOID SocketContext,
    _In_ PWSK_INSPECT_ID InspectID);

/// Tells how much unsent data now keeps a connection busiest.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_SEND_BACKLOG_EVENT)(
    _In_opt_ PVOID SocketContext,
    _In_ SIZE_T IdealBacklogSize);

/// Tells that data has arrived on a connection.
///
/// A NULL `DataIndication` means that the socket is dead and must be closed. With STATUS_SUCCESS the client has taken
/// everything, or as many bytes as it has stored in `BytesAccepted`; STATUS_PENDING keeps the data until `WskRelease`;
/// STATUS_DATA_NOT_ACCEPTED leaves it to the provider until the next `WskReceive`.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) _Must_inspect_result_ NTSTATUS(WSKAPI *PFN_WSK_RECEIVE_EVENT)(
    _In_opt_ PVOID SocketContext,
    _In_ ULONG Flags,
    _In_opt_ PWSK_DATA_INDICATION DataIndication,
    _In_ SIZE_T BytesIndicated,
    _Inout_ SIZE_T *BytesAccepted);

/// Tells that data has arrived on a connection, with its control information.
///
/// Set with `SIO_WSK_SET_RECEIVE_EX_CALLBACK`; otherwise as the plain receive event.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) _Must_inspect_result_ NTSTATUS(WSKAPI *PFN_WSK_RECEIVE_EX_EVENT)(
    _In_opt_ PVOID SocketContext,
    _In_ ULONG Flags,
    _In_opt_ PWSK_DATA_INDICATION DataIndication,
    _In_reads_bytes_opt_(ControlInfoLength) PCMSGHDR ControlInfo,
    _In_ ULONG ControlInfoLength,
    _In_ SIZE_T BytesIndicated,
    _Inout_ SIZE_T *BytesAccepted);

/// Tells that the other side disconnects, in an orderly way or abruptly.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_DISCONNECT_EVENT)(
    _In_opt_ PVOID SocketContext,
    _In_ ULONG Flags);

// Functions of the provider, on the client.

/// Kind of socket: for control only.
#define WSK_FLAG_BASIC_SOCKET 0x00000000
/// Kind of socket: waits for connections.
#define WSK_FLAG_LISTEN_SOCKET 0x00000001
/// Kind of socket: connects, sends and receives.
#define WSK_FLAG_CONNECTION_SOCKET 0x00000002
/// Kind of socket: sends and receives datagrams.
#define WSK_FLAG_DATAGRAM_SOCKET 0x00000004
/// Kind of socket: becomes a listening or a connection socket with its first such call.
#define WSK_FLAG_STREAM_SOCKET 0x00000008

/// Makes a socket.
///
/// On success `Irp->IoStatus.Information` is the new socket. `Flags` is the kind of socket, and `Dispatch` the client's
/// table of callbacks for that kind. `OwningThread` and `OwningProcess` say in whose name the socket is bound.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) _When_(return >= 0 && Irp->IoStatus.Status >= 0,
    _At_((void *)Irp->IoStatus.Information, __drv_allocatesMem(Mem))) NTSTATUS(WSKAPI *PFN_WSK_SOCKET)(
    _In_ PWSK_CLIENT Client,
    _In_ ADDRESS_FAMILY AddressFamily,
    _In_ USHORT SocketType,
    _In_ ULONG Protocol,
    _In_ ULONG Flags,
    _In_opt_ PVOID SocketContext,
    _In_opt_ CONST VOID *Dispatch,
    _In_opt_ PEPROCESS OwningProcess,
    _In_opt_ PETHREAD OwningThread,
    _In_opt_ PSECURITY_DESCRIPTOR SecurityDescriptor,
    _Inout_ PIRP Irp);

/// Makes a connection socket, binds and connects it.
///
/// On success `Irp->IoStatus.Information` is the new socket.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) _At_(Irp->IoStatus.Information, __drv_allocatesMem(Mem))
    NTSTATUS(WSKAPI *PFN_WSK_SOCKET_CONNECT)(
        _In_ PWSK_CLIENT Client,
        _In_ USHORT SocketType,
        _In_ ULONG Protocol,
        _In_ PSOCKADDR LocalAddress,
        _In_ PSOCKADDR RemoteAddress,
        _Reserved_ ULONG Flags,
        _In_opt_ PVOID SocketContext,
        _In_opt_ CONST WSK_CLIENT_CONNECTION_DISPATCH *Dispatch,
        _In_opt_ PEPROCESS OwningProcess,
        _In_opt_ PETHREAD OwningThread,
        _In_opt_ PSECURITY_DESCRIPTOR SecurityDescriptor,
        _Inout_ PIRP Irp);

/// Control of a client: lists the transports.
#define WSK_TRANSPORT_LIST_QUERY 2
/// Control of a client: completes when a transport comes or goes.
#define WSK_TRANSPORT_LIST_CHANGE 3
/// Control of a client: gives the cached form of a security descriptor.
#define WSK_CACHE_SD 4
/// Control of a client: gives a cached security descriptor back.
#define WSK_RELEASE_SD 5
/// Control of a client: maps kinds of socket to older transports.
#define WSK_TDI_DEVICENAME_MAPPING 6
/// Control of a client: enables event callbacks on every new socket.
#define WSK_SET_STATIC_EVENT_CALLBACKS 7
/// Control of a client: says whether older transports may be used.
#define WSK_TDI_BEHAVIOR 8

/// Maps a kind of socket to an older transport.
typedef struct _WSK_TDI_MAP {
    /// Kind of socket, such as `SOCK_DGRAM`.
    USHORT SocketType;
    /// Address family, such as `AF_INET`.
    ADDRESS_FAMILY AddressFamily;
    /// Protocol, such as `IPPROTO_UDP`.
    ULONG Protocol;
    /// Device name of the transport.
    PCWSTR TdiDeviceName;
} WSK_TDI_MAP, *PWSK_TDI_MAP;

/// Maps kinds of socket to older transports, for `WSK_TDI_DEVICENAME_MAPPING`.
typedef struct _WSK_TDI_MAP_INFO {
    /// Number of entries.
    CONST ULONG ElementCount;
    /// The entries.
    _Field_size_(ElementCount) CONST WSK_TDI_MAP *Map;
} WSK_TDI_MAP_INFO, *PWSK_TDI_MAP_INFO;

/// Older transports are passed by, for `WSK_TDI_BEHAVIOR`.
#define WSK_TDI_BEHAVIOR_BYPASS_TDI 0x00000001

/// Carries out a control request on a client.
///
/// Whether an IRP is needed, allowed or forbidden depends on the control code.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_CONTROL_CLIENT)(
    _In_ PWSK_CLIENT Client,
    _In_ ULONG ControlCode,
    _In_ SIZE_T InputSize,
    _In_reads_bytes_opt_(InputSize) PVOID InputBuffer,
    _In_ SIZE_T OutputSize,
    _Out_writes_bytes_opt_(OutputSize) PVOID OutputBuffer,
    _Out_opt_ SIZE_T *OutputSizeReturned,
    _Inout_opt_ PIRP Irp);

#if (NTDDI_VERSION >= NTDDI_WIN7)

/// Looks up the addresses of a host or service name.
///
/// The list that `Result` gets is freed with `WskFreeAddressInfo`. One of `NodeName` and `ServiceName` must be given.
typedef _IRQL_requires_max_(PASSIVE_LEVEL) _At_(*Result, __drv_allocatesMem(Mem))
    NTSTATUS(WSKAPI *PFN_WSK_GET_ADDRESS_INFO)(
        _In_ PWSK_CLIENT Client,
        _In_opt_ PUNICODE_STRING NodeName,
        _In_opt_ PUNICODE_STRING ServiceName,
        _In_opt_ ULONG NameSpace,
        _In_opt_ GUID *Provider,
        _In_opt_ PADDRINFOEXW Hints,
        _Outptr_ PADDRINFOEXW *Result,
        _In_opt_ PEPROCESS OwningProcess,
        _In_opt_ PETHREAD OwningThread,
        _Inout_ PIRP Irp);

/// Looks up the host and service name of an address.
///
/// One of `NodeName` and `ServiceName` must be given; `Flags` has `NI_…` flags.
typedef _IRQL_requires_max_(PASSIVE_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_GET_NAME_INFO)(
    _In_ PWSK_CLIENT Client,
    _In_ PSOCKADDR SockAddr,
    _In_ ULONG SockAddrLength,
    _Out_opt_ PUNICODE_STRING NodeName,
    _Out_opt_ PUNICODE_STRING ServiceName,
    _In_ ULONG Flags,
    _In_opt_ PEPROCESS OwningProcess,
    _In_opt_ PETHREAD OwningThread,
    _Inout_ PIRP Irp);

/// Frees the list that `WskGetAddressInfo` gave.
typedef _IRQL_requires_max_(PASSIVE_LEVEL) _At_(AddrInfo, __drv_freesMem(Mem)) VOID(WSKAPI *PFN_WSK_FREE_ADDRESS_INFO)(
    _In_ PWSK_CLIENT Client,
    _In_ PADDRINFOEXW AddrInfo);

#endif // NTDDI_WIN7

// Functions of the provider, on a socket.

/// Binds a socket to a local address.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_BIND)(
    _In_ PWSK_SOCKET Socket,
    _In_ PSOCKADDR LocalAddress,
    _Reserved_ ULONG Flags,
    _Inout_ PIRP Irp);

/// Connects a socket to a remote address.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_CONNECT)(
    _In_ PWSK_SOCKET Socket,
    _In_ PSOCKADDR RemoteAddress,
    _Reserved_ ULONG Flags,
    _Inout_ PIRP Irp);

/// Connects a socket to a remote address and sends data with that.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_CONNECT_EX)(
    _In_ PWSK_SOCKET Socket,
    _In_ PSOCKADDR RemoteAddress,
    _In_opt_ PWSK_BUF Buffer,
    _Reserved_ ULONG Flags,
    _Inout_ PIRP Irp);

/// Socket option: cached security descriptor that the socket is bound with.
#define SO_WSK_SECURITY (WSK_SO_BASE + 1)
/// Socket option: enables and disables event callbacks.
#define SO_WSK_EVENT_CALLBACK (WSK_SO_BASE + 2)

/// Event callback of datagram sockets: datagrams have arrived.
#define WSK_EVENT_RECEIVE_FROM 0x00000100
/// Event callback of listening sockets: a connection has been made.
#define WSK_EVENT_ACCEPT 0x00000200
/// Event callback of connection sockets: the best backlog has changed.
#define WSK_EVENT_SEND_BACKLOG 0x00000010
/// Event callback of connection sockets: data has arrived.
#define WSK_EVENT_RECEIVE 0x00000040
/// Event callback of connection sockets: the other side disconnects.
#define WSK_EVENT_DISCONNECT 0x00000080
/// Disables the event callback that it is given with.
#define WSK_EVENT_DISABLE 0x80000000

/// Which event callbacks to enable or disable, for `SO_WSK_EVENT_CALLBACK`.
typedef struct _WSK_EVENT_CALLBACK_CONTROL {
    /// Interface that the callbacks belong to, `NPI_WSK_INTERFACE_ID` for those of this file.
    PNPIID NpiId;
    /// `WSK_EVENT_…` bits.
    ULONG EventMask;
} WSK_EVENT_CALLBACK_CONTROL, *PWSK_EVENT_CALLBACK_CONTROL;

/// Control of a socket: sets the address that a datagram socket sends to and receives from.
#define SIO_WSK_SET_REMOTE_ADDRESS _WSAIOW(IOC_WSK, 0x1)
/// Control of a socket: registers for an extension interface.
#define SIO_WSK_REGISTER_EXTENSION _WSAIORW(IOC_WSK, 0x2)
/// Control of a socket: returns how much unsent data keeps a connection busiest.
#define SIO_WSK_QUERY_IDEAL_SEND_BACKLOG _WSAIOR(IOC_WSK, 0x3)
/// Control of a socket: returns how much received data waits.
#define SIO_WSK_QUERY_RECEIVE_BACKLOG _WSAIOR(IOC_WSK, 0x4)
/// Control of a socket: returns the inspected request from which an accepted socket comes.
#define SIO_WSK_QUERY_INSPECT_ID _WSAIOR(IOC_WSK, 0x5)
/// Control of a socket: sets the address that a datagram socket sends to, and still receives from anyone.
#define SIO_WSK_SET_SENDTO_ADDRESS _WSAIOW(IOC_WSK, 0x6)
/// Control of a socket: makes a connection stay silent when it is torn down.
#define SIO_WSK_SET_TCP_SILENT_MODE _WSAIO(IOC_WSK, 0x7)
/// Control of a socket: sets the receive callback that also gets control information; NULL takes it away.
#define SIO_WSK_SET_RECEIVE_EX_CALLBACK _WSAIOW(IOC_WSK, 0x8)

/// Extension interface to register for, with the client's part.
typedef struct _WSK_EXTENSION_CONTROL_IN {
    /// Identifier of the extension interface.
    PNPIID NpiId;
    /// Context for the client's callbacks.
    PVOID ClientContext;
    /// The client's table of callbacks.
    CONST VOID *ClientDispatch;
} WSK_EXTENSION_CONTROL_IN, *PWSK_EXTENSION_CONTROL_IN;

/// The provider's part of an extension interface.
typedef struct _WSK_EXTENSION_CONTROL_OUT {
    /// Context for the provider's functions.
    PVOID ProviderContext;
    /// The provider's table of functions.
    CONST VOID *ProviderDispatch;
} WSK_EXTENSION_CONTROL_OUT, *PWSK_EXTENSION_CONTROL_OUT;

/// Kind of control request on a socket.
typedef enum {
    /// Sets an option.
    WskSetOption,
    /// Gets an option.
    WskGetOption,
    /// Carries out a control code.
    WskIoctl,
    /// Number of kinds.
    WskControlMax
} WSK_CONTROL_SOCKET_TYPE, *PWSK_CONTROL_SOCKET_TYPE;

/// Sets or gets an option of a socket, or carries out a control code on it.
///
/// Whether an IRP is needed, allowed or forbidden depends on the option or code; without one the request is over on
/// return and `OutputSizeReturned` gets the bytes written.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_CONTROL_SOCKET)(
    _In_ PWSK_SOCKET Socket,
    _In_ WSK_CONTROL_SOCKET_TYPE RequestType,
    _In_ ULONG ControlCode,
    _In_ ULONG Level,
    _In_ SIZE_T InputSize,
    _In_reads_bytes_opt_(InputSize) PVOID InputBuffer,
    _In_ SIZE_T OutputSize,
    _Out_writes_bytes_opt_(OutputSize) PVOID OutputBuffer,
    _Out_opt_ SIZE_T *OutputSizeReturned,
    _Inout_opt_ PIRP Irp);

/// Closes a socket, and cancels outstanding requests on it.
///
/// No call on the socket may be running, and none may follow.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) _At_(Socket, __drv_freesMem(Mem)) NTSTATUS(WSKAPI *PFN_WSK_CLOSE_SOCKET)(
    _In_ PWSK_SOCKET Socket,
    _Inout_ PIRP Irp);

/// Takes the next connection of a listening socket, or waits for one.
///
/// On success `Irp->IoStatus.Information` is the new socket.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) _At_(Irp->IoStatus.Information, __drv_allocatesMem(Mem))
    NTSTATUS(WSKAPI *PFN_WSK_ACCEPT)(
        _In_ PWSK_SOCKET ListenSocket,
        _Reserved_ ULONG Flags,
        _In_opt_ PVOID AcceptSocketContext,
        _In_opt_ CONST WSK_CLIENT_CONNECTION_DISPATCH *AcceptSocketDispatch,
        _Out_opt_ PSOCKADDR LocalAddress,
        _Out_opt_ PSOCKADDR RemoteAddress,
        _Inout_ PIRP Irp);

/// Decides about a request for a connection whose inspection was put off.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_INSPECT_COMPLETE)(
    _In_ PWSK_SOCKET ListenSocket,
    _In_ PWSK_INSPECT_ID InspectID,
    _In_ WSK_INSPECT_ACTION Action,
    _Inout_ PIRP Irp);

/// Sends a datagram.
///
/// `RemoteAddress` may be NULL only once the socket has a fixed one. The memory of the buffer and of the control
/// information must stay valid until the IRP completes.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_SEND_TO)(
    _In_ PWSK_SOCKET Socket,
    _In_ PWSK_BUF Buffer,
    _Reserved_ ULONG Flags,
    _In_opt_ PSOCKADDR RemoteAddress,
    _In_ ULONG ControlInfoLength,
    _In_reads_bytes_opt_(ControlInfoLength) PCMSGHDR ControlInfo,
    _Inout_ PIRP Irp);

#if (NTDDI_VERSION >= NTDDI_WIN8)

/// Datagrams to send with one call.
typedef struct _WSK_BUF_LIST {
    /// Further datagram, or NULL.
    struct _WSK_BUF_LIST *Next;
    /// Payload of the datagram.
    WSK_BUF Buffer;
} WSK_BUF_LIST, *PWSK_BUF_LIST;

/// Sends several datagrams to one address.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_SEND_MESSAGES)(
    _In_ PWSK_SOCKET Socket,
    _In_ PWSK_BUF_LIST BufferList,
    _Reserved_ ULONG Flags,
    _In_opt_ PSOCKADDR RemoteAddress,
    _In_ ULONG ControlInfoLength,
    _In_reads_bytes_opt_(ControlInfoLength) PCMSGHDR ControlInfo,
    _Inout_ PIRP Irp);

#endif // NTDDI_WIN8

// The kit marks ControlLength as required. The documentation lets it be NULL, and then ignores the two parameters after it. The
// annotation here is the kit's, because the two headers are compared by their annotations.

/// Takes the next datagram, or waits for one.
///
/// `ControlLength` holds the size of `ControlInfo` before and the bytes written after; where it is NULL no control
/// information is asked for. `ControlFlags` gets `MSG_BCAST`, `MSG_MCAST`, `MSG_TRUNC` and `MSG_CTRUNC`. All of them
/// must stay valid until the IRP completes.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_RECEIVE_FROM)(
    _In_ PWSK_SOCKET Socket,
    _In_ PWSK_BUF Buffer,
    _Reserved_ ULONG Flags,
    _Out_opt_ PSOCKADDR RemoteAddress,
    _Inout_ PULONG ControlLength,
    _Out_writes_bytes_opt_(*ControlLength) PCMSGHDR ControlInfo,
    _Out_opt_ PULONG ControlFlags,
    _Inout_ PIRP Irp);

/// Tells the address that a socket is bound to.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_GET_LOCAL_ADDRESS)(
    _In_ PWSK_SOCKET Socket,
    _Out_ PSOCKADDR LocalAddress,
    _Inout_ PIRP Irp);

/// Tells the address that a socket is connected to.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_GET_REMOTE_ADDRESS)(
    _In_ PWSK_SOCKET Socket,
    _Out_ PSOCKADDR RemoteAddress,
    _Inout_ PIRP Irp);

/// Gives back data that a receive event has kept.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_RELEASE_DATA_INDICATION_LIST)(
    _In_ PWSK_SOCKET Socket,
    _In_ PWSK_DATA_INDICATION DataIndication);

/// Gives back datagrams that a receive event has kept.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_RELEASE_DATAGRAM_INDICATION_LIST)(
    _In_ PWSK_SOCKET Socket,
    _In_ PWSK_DATAGRAM_INDICATION DatagramIndication);

/// Sending: as out-of-band data.
#define WSK_FLAG_OOB 0x00000001
/// Sends at once, together with queued data.
#define WSK_FLAG_NODELAY 0x00000002

/// Sends data on a connection.
///
/// `Flags` may have `WSK_FLAG_NODELAY` and `WSK_FLAG_OOB`.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_SEND)(
    _In_ PWSK_SOCKET Socket,
    _In_ PWSK_BUF Buffer,
    _In_ ULONG Flags,
    _Inout_ PIRP Irp);

/// Sends data on a connection, with control information.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_SEND_EX)(
    _In_ PWSK_SOCKET Socket,
    _In_ PWSK_BUF Buffer,
    _In_ ULONG Flags,
    _In_ ULONG ControlInfoLength,
    _In_reads_bytes_opt_(ControlInfoLength) PCMSGHDR ControlInfo,
    _Inout_ PIRP Irp);

/// Receiving: completes only when the buffer is full.
#define WSK_FLAG_WAITALL 0x00000002
/// Receives and discards all data that has arrived or will arrive.
#define WSK_FLAG_DRAIN 0x00000004

/// Takes data of a connection, or waits for it.
///
/// `Flags` may have `WSK_FLAG_WAITALL` and `WSK_FLAG_DRAIN`.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_RECEIVE)(
    _In_ PWSK_SOCKET Socket,
    _In_ PWSK_BUF Buffer,
    _In_ ULONG Flags,
    _Inout_ PIRP Irp);

/// Takes data of a connection with its control information, or waits for it.
///
/// `ControlInfoLength` holds the size of `ControlInfo` before and the bytes written after; both must stay valid until
/// the IRP completes.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_RECEIVE_EX)(
    _In_ PWSK_SOCKET Socket,
    _In_ PWSK_BUF Buffer,
    _In_ ULONG Flags,
    _Inout_opt_ PULONG ControlInfoLength,
    _Out_writes_bytes_opt_(*ControlInfoLength) PCMSGHDR ControlInfo,
    _Reserved_ PULONG ControlFlags,
    _Inout_ PIRP Irp);

/// Ends a connection, in an orderly way with last data, or abruptly.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_DISCONNECT)(
    _In_ PWSK_SOCKET Socket,
    _In_opt_ PWSK_BUF Buffer,
    _In_ ULONG Flags,
    _Inout_ PIRP Irp);

#if (NTDDI_VERSION >= NTDDI_WIN10_RS2)
/// Makes a bound stream socket wait for connections.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS(WSKAPI *PFN_WSK_LISTEN)(
    _In_ PWSK_SOCKET Socket,
    _Inout_ PIRP Irp);
#endif // NTDDI_WIN10_RS2

// Tables of the client.

/// What the client offers the provider as a whole.
typedef struct _WSK_CLIENT_DISPATCH {
    /// Version of the interface that the client speaks, from `MAKE_WSK_VERSION`.
    USHORT Version;
    /// Zero.
    USHORT Reserved;
    /// Tells of an event that concerns the client as a whole, or NULL.
    PFN_WSK_CLIENT_EVENT WskClientEvent;
} WSK_CLIENT_DISPATCH, *PWSK_CLIENT_DISPATCH;

/// Event callbacks of a listening socket.
typedef struct _WSK_CLIENT_LISTEN_DISPATCH {
    /// A connection has been made.
    PFN_WSK_ACCEPT_EVENT WskAcceptEvent;
    /// A request for a connection is to be inspected.
    PFN_WSK_INSPECT_EVENT WskInspectEvent;
    /// An inspected request has been dropped.
    PFN_WSK_ABORT_EVENT WskAbortEvent;
} WSK_CLIENT_LISTEN_DISPATCH, *PWSK_CLIENT_LISTEN_DISPATCH;

/// Event callbacks of a datagram socket.
typedef struct _WSK_CLIENT_DATAGRAM_DISPATCH {
    /// Datagrams have arrived.
    PFN_WSK_RECEIVE_FROM_EVENT WskReceiveFromEvent;
} WSK_CLIENT_DATAGRAM_DISPATCH, *PWSK_CLIENT_DATAGRAM_DISPATCH;

/// Event callbacks of a connection socket.
struct _WSK_CLIENT_CONNECTION_DISPATCH {
    /// Data has arrived.
    PFN_WSK_RECEIVE_EVENT WskReceiveEvent;
    /// The other side disconnects.
    PFN_WSK_DISCONNECT_EVENT WskDisconnectEvent;
    /// The best backlog has changed.
    PFN_WSK_SEND_BACKLOG_EVENT WskSendBacklogEvent;
};

#if (NTDDI_VERSION >= NTDDI_WIN10_RS2)
/// Event callbacks of a stream socket, for either thing it may become.
typedef struct _WSK_CLIENT_STREAM_DISPATCH {
    /// Callbacks once it listens, or NULL.
    CONST WSK_CLIENT_LISTEN_DISPATCH *Listen;
    /// Callbacks once it connects, or NULL.
    CONST WSK_CLIENT_CONNECTION_DISPATCH *Connect;
} WSK_CLIENT_STREAM_DISPATCH, *PWSK_CLIENT_STREAM_DISPATCH;
#endif // NTDDI_WIN10_RS2

// Tables of the provider. The basic functions come first in each table of a socket: in C++ as the member Basic, in C as if they
// were members of the table itself. New functions come last, and the table of an older Windows ends before them. The kit puts a
// condition on only some of them, so the documentation of the others names their first version.

/// Functions of the provider on a client.
typedef struct _WSK_PROVIDER_DISPATCH {
    /// Version of the interface that the provider speaks.
    USHORT Version;
    /// Zero.
    USHORT Reserved;
    /// Makes a socket.
    PFN_WSK_SOCKET WskSocket;
    /// Makes a connection socket, binds and connects it.
    PFN_WSK_SOCKET_CONNECT WskSocketConnect;
    /// Carries out a control request on the client.
    PFN_WSK_CONTROL_CLIENT WskControlClient;
#if (NTDDI_VERSION >= NTDDI_WIN7)
    /// Looks up the addresses of a name.
    PFN_WSK_GET_ADDRESS_INFO WskGetAddressInfo;
    /// Frees the addresses that were looked up.
    PFN_WSK_FREE_ADDRESS_INFO WskFreeAddressInfo;
    /// Looks up the name of an address.
    PFN_WSK_GET_NAME_INFO WskGetNameInfo;
#endif // NTDDI_WIN7
} WSK_PROVIDER_DISPATCH, *PWSK_PROVIDER_DISPATCH;

/// Functions that every kind of socket has.
typedef struct _WSK_PROVIDER_BASIC_DISPATCH {
    /// Sets or gets an option, or carries out a control code.
    PFN_WSK_CONTROL_SOCKET WskControlSocket;
    /// Closes the socket.
    PFN_WSK_CLOSE_SOCKET WskCloseSocket;
} WSK_PROVIDER_BASIC_DISPATCH, *PWSK_PROVIDER_BASIC_DISPATCH;

/// Functions of a listening socket.
typedef struct _WSK_PROVIDER_LISTEN_DISPATCH {
#ifdef __cplusplus
    /// Functions that every kind of socket has.
    WSK_PROVIDER_BASIC_DISPATCH Basic;
#else
    struct {
        /// Sets or gets an option, or carries out a control code.
        PFN_WSK_CONTROL_SOCKET WskControlSocket;
        /// Closes the socket.
        PFN_WSK_CLOSE_SOCKET WskCloseSocket;
    };
#endif
    /// Binds the socket to a local address.
    PFN_WSK_BIND WskBind;
    /// Takes the next connection.
    PFN_WSK_ACCEPT WskAccept;
    /// Decides about a request whose inspection was put off.
    PFN_WSK_INSPECT_COMPLETE WskInspectComplete;
    /// Tells the address that the socket is bound to.
    PFN_WSK_GET_LOCAL_ADDRESS WskGetLocalAddress;
} WSK_PROVIDER_LISTEN_DISPATCH, *PWSK_PROVIDER_LISTEN_DISPATCH;

/// Functions of a datagram socket.
typedef struct _WSK_PROVIDER_DATAGRAM_DISPATCH {
#ifdef __cplusplus
    /// Functions that every kind of socket has.
    WSK_PROVIDER_BASIC_DISPATCH Basic;
#else
    struct {
        /// Sets or gets an option, or carries out a control code.
        PFN_WSK_CONTROL_SOCKET WskControlSocket;
        /// Closes the socket.
        PFN_WSK_CLOSE_SOCKET WskCloseSocket;
    };
#endif
    /// Binds the socket to a local address.
    PFN_WSK_BIND WskBind;
    /// Sends a datagram.
    PFN_WSK_SEND_TO WskSendTo;
    /// Takes the next datagram.
    PFN_WSK_RECEIVE_FROM WskReceiveFrom;
    /// Gives back datagrams that a receive event has kept.
    PFN_WSK_RELEASE_DATAGRAM_INDICATION_LIST WskRelease;
    /// Tells the address that the socket is bound to.
    PFN_WSK_GET_LOCAL_ADDRESS WskGetLocalAddress;
#if (NTDDI_VERSION >= NTDDI_WIN8)
    /// Sends several datagrams.
    PFN_WSK_SEND_MESSAGES WskSendMessages;
#endif // NTDDI_WIN8
} WSK_PROVIDER_DATAGRAM_DISPATCH, *PWSK_PROVIDER_DATAGRAM_DISPATCH;

/// Functions of a connection socket.
typedef struct _WSK_PROVIDER_CONNECTION_DISPATCH {
#ifdef __cplusplus
    /// Functions that every kind of socket has.
    WSK_PROVIDER_BASIC_DISPATCH Basic;
#else
    struct {
        /// Sets or gets an option, or carries out a control code.
        PFN_WSK_CONTROL_SOCKET WskControlSocket;
        /// Closes the socket.
        PFN_WSK_CLOSE_SOCKET WskCloseSocket;
    };
#endif
    /// Binds the socket to a local address.
    PFN_WSK_BIND WskBind;
    /// Connects the socket.
    PFN_WSK_CONNECT WskConnect;
    /// Tells the address that the socket is bound to.
    PFN_WSK_GET_LOCAL_ADDRESS WskGetLocalAddress;
    /// Tells the address that the socket is connected to.
    PFN_WSK_GET_REMOTE_ADDRESS WskGetRemoteAddress;
    /// Sends data.
    PFN_WSK_SEND WskSend;
    /// Takes data.
    PFN_WSK_RECEIVE WskReceive;
    /// Ends the connection.
    PFN_WSK_DISCONNECT WskDisconnect;
    /// Gives back data that a receive event has kept.
    PFN_WSK_RELEASE_DATA_INDICATION_LIST WskRelease;
    /// Connects the socket and sends data with that.
    ///
    /// In the tables of Windows 10 1703 (`NTDDI_WIN10_RS2`) and later.
    PFN_WSK_CONNECT_EX WskConnectEx;
    /// Sends data with control information.
    ///
    /// In the tables of Windows 10 1803 (`NTDDI_WIN10_RS4`) and later.
    PFN_WSK_SEND_EX WskSendEx;
    /// Takes data with its control information.
    ///
    /// In the tables of Windows 10 1803 (`NTDDI_WIN10_RS4`) and later.
    PFN_WSK_RECEIVE_EX WskReceiveEx;
} WSK_PROVIDER_CONNECTION_DISPATCH, *PWSK_PROVIDER_CONNECTION_DISPATCH;

#if (NTDDI_VERSION >= NTDDI_WIN10_RS2)
/// Functions of a stream socket.
typedef struct _WSK_PROVIDER_STREAM_DISPATCH {
#ifdef __cplusplus
    /// Functions that every kind of socket has.
    WSK_PROVIDER_BASIC_DISPATCH Basic;
#else
    struct {
        /// Sets or gets an option, or carries out a control code.
        PFN_WSK_CONTROL_SOCKET WskControlSocket;
        /// Closes the socket.
        PFN_WSK_CLOSE_SOCKET WskCloseSocket;
    };
#endif
    /// Binds the socket to a local address.
    PFN_WSK_BIND WskBind;
    /// Takes the next connection.
    PFN_WSK_ACCEPT WskAccept;
    /// Connects the socket.
    PFN_WSK_CONNECT WskConnect;
    /// Makes the socket wait for connections.
    PFN_WSK_LISTEN WskListen;
    /// Sends data.
    PFN_WSK_SEND WskSend;
    /// Takes data.
    PFN_WSK_RECEIVE WskReceive;
    /// Ends the connection.
    PFN_WSK_DISCONNECT WskDisconnect;
    /// Gives back data that a receive event has kept.
    PFN_WSK_RELEASE_DATA_INDICATION_LIST WskRelease;
    /// Tells the address that the socket is bound to.
    PFN_WSK_GET_LOCAL_ADDRESS WskGetLocalAddress;
    /// Tells the address that the socket is connected to.
    PFN_WSK_GET_REMOTE_ADDRESS WskGetRemoteAddress;
    /// Connects the socket and sends data with that.
    ///
    /// In the tables of Windows 10 1703 (`NTDDI_WIN10_RS2`) and later.
    PFN_WSK_CONNECT_EX WskConnectEx;
    /// Sends data with control information.
    ///
    /// In the tables of Windows 10 1803 (`NTDDI_WIN10_RS4`) and later.
    PFN_WSK_SEND_EX WskSendEx;
    /// Takes data with its control information.
    ///
    /// In the tables of Windows 10 1803 (`NTDDI_WIN10_RS4`) and later.
    PFN_WSK_RECEIVE_EX WskReceiveEx;
} WSK_PROVIDER_STREAM_DISPATCH, *PWSK_PROVIDER_STREAM_DISPATCH;
#endif // NTDDI_WIN10_RS2

// Registration.

/// Data with which a client registers.
typedef struct _WSK_CLIENT_NPI {
    /// Context for the client's callbacks.
    PVOID ClientContext;
    /// The client's table.
    CONST WSK_CLIENT_DISPATCH *Dispatch;
} WSK_CLIENT_NPI, *PWSK_CLIENT_NPI;

/// The provider's table, and the client to pass to it.
typedef struct _WSK_PROVIDER_NPI {
    /// The client, as the provider knows it.
    PWSK_CLIENT Client;
    /// The provider's table.
    CONST WSK_PROVIDER_DISPATCH *Dispatch;
} WSK_PROVIDER_NPI, *PWSK_PROVIDER_NPI;

/// Registration of a client; its contents are the system's own, and it must not move.
typedef struct _WSK_REGISTRATION {
    /// Kept by the system.
    ULONGLONG ReservedRegistrationState;
    /// Kept by the system.
    PVOID ReservedRegistrationContext;
    /// Kept by the system.
    KSPIN_LOCK ReservedRegistrationLock;
} WSK_REGISTRATION, *PWSK_REGISTRATION;

/// Registers a client.
///
/// Each success is followed by one `WskDeregister` with the same registration.
_IRQL_requires_max_(PASSIVE_LEVEL)
_Must_inspect_result_ NTSTATUS WskRegister(
    _In_ PWSK_CLIENT_NPI WskClientNpi,
    _Out_ PWSK_REGISTRATION WskRegistration);

/// Does not wait for the provider.
#define WSK_NO_WAIT 0
/// Waits for the provider for ever.
#define WSK_INFINITE_WAIT 0xffffffff

/// Gets the provider's table, waiting for the provider as many milliseconds as it may.
///
/// Each success is followed by one `WskReleaseProviderNPI`. Waiting needs PASSIVE_LEVEL; `WSK_NO_WAIT` is allowed up to
/// DISPATCH_LEVEL. STATUS_NOINTERFACE: the provider does not speak the client's version. STATUS_DEVICE_NOT_READY: it
/// was not there in time, or the client is being deregistered.
_IRQL_requires_max_(DISPATCH_LEVEL)
_Must_inspect_result_ NTSTATUS WskCaptureProviderNPI(
    _In_ PWSK_REGISTRATION WskRegistration,
    _In_ ULONG WaitTimeout,
    _Out_ PWSK_PROVIDER_NPI WskProviderNpi);

/// Gives the provider's table back.
_IRQL_requires_max_(DISPATCH_LEVEL)
VOID WskReleaseProviderNPI(
    _In_ PWSK_REGISTRATION WskRegistration);

/// Tells which versions the provider speaks.
_IRQL_requires_max_(DISPATCH_LEVEL)
_Must_inspect_result_ NTSTATUS WskQueryProviderCharacteristics(
    _In_ PWSK_REGISTRATION WskRegistration,
    _Out_ PWSK_PROVIDER_CHARACTERISTICS WskProviderCharacteristics);

/// Ends a registration, after the provider's table was released and every socket was closed.
_IRQL_requires_max_(PASSIVE_LEVEL)
VOID WskDeregister(
    _In_ PWSK_REGISTRATION WskRegistration);

#ifdef __cplusplus
}
#endif

#endif // _WSK_
