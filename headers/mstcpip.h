// Control codes of TCP/IP sockets, and small functions on IPv4 and IPv6 addresses.
// Stands for the kit's mstcpip.h, for Windows 7 and later.

#ifndef _MSTCPIP_
#define _MSTCPIP_

#include <ws2def.h>
#include <ws2ipdef.h>
#include <ip2string.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Receives every packet of the interface, as an `RCVALL_VALUE`.
#define SIO_RCVALL _WSAIOW(IOC_VENDOR, 1)
/// Receives every multicast packet of the interface.
#define SIO_RCVALL_MCAST _WSAIOW(IOC_VENDOR, 2)
/// Receives every group management packet of the interface.
#define SIO_RCVALL_IGMPMCAST _WSAIOW(IOC_VENDOR, 3)
/// When an idle connection is probed, as a `tcp_keepalive`.
#define SIO_KEEPALIVE_VALS _WSAIOW(IOC_VENDOR, 4)
/// Receives packets with the router alert option, and keeps them.
#define SIO_ABSORB_RTRALERT _WSAIOW(IOC_VENDOR, 5)
/// Interface on which packets other than multicast are sent.
#define SIO_UCAST_IF _WSAIOW(IOC_VENDOR, 6)
/// Broadcasts go out on one interface only.
#define SIO_LIMIT_BROADCASTS _WSAIOW(IOC_VENDOR, 7)
/// Binds the socket to an interface by its index.
#define SIO_INDEX_BIND _WSAIOW(IOC_VENDOR, 8)
/// Interface that multicast is sent on, by its index.
#define SIO_INDEX_MCASTIF _WSAIOW(IOC_VENDOR, 9)
/// Joins a multicast group on an interface, by its index.
#define SIO_INDEX_ADD_MCAST _WSAIOW(IOC_VENDOR, 10)
/// Leaves a multicast group on an interface, by its index.
#define SIO_INDEX_DEL_MCAST _WSAIOW(IOC_VENDOR, 11)
/// Receives every multicast packet of an interface.
#define SIO_RCVALL_MCAST_IF _WSAIOW(IOC_VENDOR, 13)
/// Receives every packet of an interface.
#define SIO_RCVALL_IF _WSAIOW(IOC_VENDOR, 14)
/// Shortens the path of connections within this machine.
#define SIO_LOOPBACK_FAST_PATH _WSAIOW(IOC_VENDOR, 16)
/// First time-outs of a connection, as `TCP_INITIAL_RTO_PARAMETERS`.
#define SIO_TCP_INITIAL_RTO _WSAIOW(IOC_VENDOR, 17)
/// Applies a transport setting.
#define SIO_APPLY_TRANSPORT_SETTING _WSAIOW(IOC_VENDOR, 19)
/// Asks for a transport setting.
#define SIO_QUERY_TRANSPORT_SETTING _WSAIOW(IOC_VENDOR, 20)
/// First congestion window of a connection, as `TCP_ICW_PARAMETERS`.
#define SIO_TCP_SET_ICW _WSAIOW(IOC_VENDOR, 22)
/// How many segments one acknowledgement covers, as `TCP_ACK_FREQUENCY_PARAMETERS`.
#define SIO_TCP_SET_ACK_FREQUENCY _WSAIOW(IOC_VENDOR, 23)
#if (NTDDI_VERSION >= NTDDI_WIN10_RS3)
/// How much the traffic of the socket matters.
#define SIO_SET_PRIORITY_HINT _WSAIOW(IOC_VENDOR, 24)
#endif
#if (NTDDI_VERSION >= NTDDI_WIN10_FE)
/// How much the traffic of the socket matters.
#define SIO_PRIORITY_HINT SIO_SET_PRIORITY_HINT
#endif
#if (NTDDI_VERSION >= NTDDI_WIN10_RS2)
/// Asks how a connection is doing, as a `TCP_INFO_v0` or `TCP_INFO_v1`.
#define SIO_TCP_INFO _WSAIORW(IOC_VENDOR, 39)
#endif
#if (NTDDI_VERSION >= NTDDI_WIN10_VB)
/// Processor that is to serve a datagram socket.
#define SIO_CPU_AFFINITY _WSAIOW(IOC_VENDOR, 21)
#endif
/// Reserves ports, as an `INET_PORT_RANGE`.
#define SIO_ACQUIRE_PORT_RESERVATION _WSAIOW(IOC_VENDOR, 100)
/// Gives reserved ports back, by their token.
#define SIO_RELEASE_PORT_RESERVATION _WSAIOW(IOC_VENDOR, 101)
/// Lets the socket bind to a reserved port, by its token.
#define SIO_ASSOCIATE_PORT_RESERVATION _WSAIOW(IOC_VENDOR, 102)
/// Sets how the traffic of the socket is secured.
#define SIO_SET_SECURITY _WSAIOW(IOC_VENDOR, 200)
/// Asks how the traffic of the socket is secured.
#define SIO_QUERY_SECURITY _WSAIORW(IOC_VENDOR, 201)
/// Sets the name that the other side must prove.
#define SIO_SET_PEER_TARGET_NAME _WSAIOW(IOC_VENDOR, 202)
/// Takes the name back that the other side must prove.
#define SIO_DELETE_PEER_TARGET_NAME _WSAIOW(IOC_VENDOR, 203)
/// States the purpose of the socket.
#define SIO_SOCKET_USAGE_NOTIFICATION _WSAIOW(IOC_VENDOR, 204)
/// Asks for the handle that the filtering platform knows the socket by.
#define SIO_QUERY_WFP_ALE_ENDPOINT_HANDLE _WSAIOR(IOC_VENDOR, 205)
/// Asks whether adapters distribute received packets among processors.
#define SIO_QUERY_RSS_SCALABILITY_INFO _WSAIOR(IOC_VENDOR, 210)
/// Asks for the records of a redirection.
#define SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS _WSAIOW(IOC_VENDOR, 220)
/// Asks for the context of a redirection.
#define SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT _WSAIOW(IOC_VENDOR, 221)
/// Sets the records of a redirection on the connection that takes its place.
#define SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS _WSAIOW(IOC_VENDOR, 222)

/// When an idle connection is probed, for `SIO_KEEPALIVE_VALS`.
struct tcp_keepalive {
    /// Whether it is.
    ULONG onoff;
    /// Milliseconds that it is idle before.
    ULONG keepalivetime;
    /// Milliseconds between probes.
    ULONG keepaliveinterval;
};

/// Which packets of an interface are received.
typedef enum {
    /// Those for this socket.
    RCVALL_OFF = 0,
    /// All of them.
    RCVALL_ON = 1,
    /// All that come up to the socket layer.
    RCVALL_SOCKETLEVELONLY = 2,
    /// All that come up to the IP layer.
    RCVALL_IPLEVEL = 3
} RCVALL_VALUE, *PRCVALL_VALUE;
/// Last of the `RCVALL_…` values.
#define RCVALL_MAX RCVALL_IPLEVEL

/// Selects the packets that are received, and the interface.
typedef struct {
    /// Which packets.
    RCVALL_VALUE Mode;
    /// Index of the interface.
    ULONG Interface;
} RCVALL_IF, *PRCVALL_IF;

/// First round-trip time as the system is set.
#define TCP_INITIAL_RTO_UNSPECIFIED_RTT ((USHORT)-1)
/// Attempts to connect as the system is set.
#define TCP_INITIAL_RTO_UNSPECIFIED_MAX_SYN_RETRANSMISSIONS ((UCHAR)-1)
/// First round-trip time by default.
#define TCP_INITIAL_RTO_DEFAULT_RTT (0)
/// Attempts to connect by default.
#define TCP_INITIAL_RTO_DEFAULT_MAX_SYN_RETRANSMISSIONS (0)
/// One attempt to connect.
#define TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS ((UCHAR)-2)

/// First time-outs of a connection.
typedef struct _TCP_INITIAL_RTO_PARAMETERS {
    /// First round-trip time, in milliseconds.
    USHORT Rtt;
    /// How often connecting is tried again.
    UCHAR MaxSynRetransmissions;
} TCP_INITIAL_RTO_PARAMETERS, *PTCP_INITIAL_RTO_PARAMETERS;

/// First congestion window of a connection.
typedef enum {
    /// As the system is set.
    TCP_ICW_LEVEL_DEFAULT = 0,
    /// Large.
    TCP_ICW_LEVEL_HIGH = 1,
    /// Larger.
    TCP_ICW_LEVEL_VERY_HIGH = 2,
    /// Very large.
    TCP_ICW_LEVEL_AGGRESSIVE = 3,
    /// For trying out.
    TCP_ICW_LEVEL_EXPERIMENTAL = 4,
    /// As older systems had it.
    TCP_ICW_LEVEL_COMPAT = 254,
    /// End of the levels.
    TCP_ICW_LEVEL_MAX = 255
} TCP_ICW_LEVEL, *PTCP_ICW_LEVEL;

/// First congestion window of a connection, for `SIO_TCP_SET_ICW`.
typedef struct _TCP_ICW_PARAMETERS {
    /// How large it is.
    TCP_ICW_LEVEL Level;
} TCP_ICW_PARAMETERS, *PTCP_ICW_PARAMETERS;

/// How many segments one acknowledgement covers, for `SIO_TCP_SET_ACK_FREQUENCY`.
typedef struct _TCP_ACK_FREQUENCY_PARAMETERS {
    /// Number of segments.
    UCHAR TcpDelayedAckFrequency;
} TCP_ACK_FREQUENCY_PARAMETERS, *PTCP_ACK_FREQUENCY_PARAMETERS;

/// Whether adapters distribute received packets among processors.
typedef struct _RSS_SCALABILITY_INFO {
    /// Whether they do.
    BOOLEAN RssEnabled;
} RSS_SCALABILITY_INFO, *PRSS_SCALABILITY_INFO;

/// Ports that follow each other.
typedef struct _INET_PORT_RANGE {
    /// First port, in network byte order.
    USHORT StartPort;
    /// Number of ports.
    USHORT NumberOfPorts;
} INET_PORT_RANGE, *PINET_PORT_RANGE;
/// Ports that are reserved.
typedef struct _INET_PORT_RANGE INET_PORT_RESERVATION, *PINET_PORT_RESERVATION;

/// Names ports that are reserved.
typedef struct {
    /// The name.
    ULONG64 Token;
} INET_PORT_RESERVATION_TOKEN, *PINET_PORT_RESERVATION_TOKEN;
/// Names no reserved ports.
#define INVALID_PORT_RESERVATION_TOKEN ((ULONG64)0)

/// Reserved ports with their name.
typedef struct {
#ifdef __cplusplus
    /// The ports.
    INET_PORT_RESERVATION Reservation;
    /// Their name.
    INET_PORT_RESERVATION_TOKEN Token;
#else
    struct {
        /// First port, in network byte order.
        USHORT StartPort;
        /// Number of ports.
        USHORT NumberOfPorts;
    };
    struct {
        /// The name.
        ULONG64 Token;
    };
#endif
} INET_PORT_RESERVATION_INSTANCE, *PINET_PORT_RESERVATION_INSTANCE;

/// The owner of reserved ports.
typedef struct {
    /// Identifier of the process.
    ULONG OwningPid;
} INET_PORT_RESERVATION_INFORMATION, *PINET_PORT_RESERVATION_INFORMATION;

/// The protocol that secures the traffic of a socket.
typedef enum _SOCKET_SECURITY_PROTOCOL {
    /// As the system is set.
    SOCKET_SECURITY_PROTOCOL_DEFAULT,
    /// IPsec.
    SOCKET_SECURITY_PROTOCOL_IPSEC,
    /// IPsec with its settings in the filtering platform.
    SOCKET_SECURITY_PROTOCOL_IPSEC2,
    /// End of the protocols.
    SOCKET_SECURITY_PROTOCOL_INVALID
} SOCKET_SECURITY_PROTOCOL;

/// Traffic is encrypted or not sent.
#define SOCKET_SETTINGS_GUARANTEE_ENCRYPTION 0x1
/// Traffic may go unsecured where the other side cannot do it.
#define SOCKET_SETTINGS_ALLOW_INSECURE 0x2
/// The connection is secured.
#define SOCKET_INFO_CONNECTION_SECURED 0x1
/// The connection is encrypted.
#define SOCKET_INFO_CONNECTION_ENCRYPTED 0x2
/// The other side may be acted for.
#define SOCKET_INFO_CONNECTION_IMPERSONATED 0x4

/// How the traffic of a socket is secured, for `SIO_SET_SECURITY`.
typedef struct _SOCKET_SECURITY_SETTINGS {
    /// The protocol that secures it.
    SOCKET_SECURITY_PROTOCOL SecurityProtocol;
    /// `SOCKET_SETTINGS_…` flags.
    ULONG SecurityFlags;
} SOCKET_SECURITY_SETTINGS;

/// Whose traffic is asked about, for `SIO_QUERY_SECURITY`.
typedef struct _SOCKET_SECURITY_QUERY_TEMPLATE {
    /// The protocol that secures it.
    SOCKET_SECURITY_PROTOCOL SecurityProtocol;
    /// The other side, of a socket without a connection.
    SOCKADDR_STORAGE PeerAddress;
    /// Rights that the peer's token must have, zero for none.
    ULONG PeerTokenAccessMask;
} SOCKET_SECURITY_QUERY_TEMPLATE;

/// How the traffic is secured, as `SIO_QUERY_SECURITY` gives it.
typedef struct _SOCKET_SECURITY_QUERY_INFO {
    /// The protocol that secures it.
    SOCKET_SECURITY_PROTOCOL SecurityProtocol;
    /// `SOCKET_INFO_…` flags.
    ULONG Flags;
    /// Token of the other side's user.
    UINT64 PeerApplicationAccessTokenHandle;
    /// Token of the other side's machine.
    UINT64 PeerMachineAccessTokenHandle;
} SOCKET_SECURITY_QUERY_INFO;

/// The purpose of a socket.
typedef enum _SOCKET_USAGE_TYPE {
    /// The system cannot do without it.
    SYSTEM_CRITICAL_SOCKET = 1
} SOCKET_USAGE_TYPE;

#if (NTDDI_VERSION >= NTDDI_WIN10_RS2)
/// State of a connection.
typedef enum _TCPSTATE {
    /// Closed.
    TCPSTATE_CLOSED,
    /// Waits for connections.
    TCPSTATE_LISTEN,
    /// Has asked to connect.
    TCPSTATE_SYN_SENT,
    /// Has been asked to connect.
    TCPSTATE_SYN_RCVD,
    /// Connected.
    TCPSTATE_ESTABLISHED,
    /// This side has ended, and waits for that to be acknowledged.
    TCPSTATE_FIN_WAIT_1,
    /// This side has ended, and waits for the other.
    TCPSTATE_FIN_WAIT_2,
    /// The other side has ended.
    TCPSTATE_CLOSE_WAIT,
    /// Both sides have ended at once.
    TCPSTATE_CLOSING,
    /// This side has ended last, and waits for that to be acknowledged.
    TCPSTATE_LAST_ACK,
    /// Over, but late segments may still come.
    TCPSTATE_TIME_WAIT,
    /// Number of states.
    TCPSTATE_MAX
} TCPSTATE;

/// How a connection is doing.
typedef struct _TCP_INFO_v0 {
    /// State of the connection.
    TCPSTATE State;
    /// Largest segment.
    ULONG Mss;
    /// Milliseconds since it was made.
    ULONG64 ConnectionTimeMs;
    /// Whether segments carry time stamps.
    BOOLEAN TimestampsEnabled;
    /// Round-trip time, in microseconds.
    ULONG RttUs;
    /// Shortest round-trip time, in microseconds.
    ULONG MinRttUs;
    /// Bytes sent and not yet acknowledged.
    ULONG BytesInFlight;
    /// Congestion window.
    ULONG Cwnd;
    /// Window for sending.
    ULONG SndWnd;
    /// Window for receiving.
    ULONG RcvWnd;
    /// Bytes received and not yet taken.
    ULONG RcvBuf;
    /// Bytes sent.
    ULONG64 BytesOut;
    /// Bytes received.
    ULONG64 BytesIn;
    /// Bytes that came out of order.
    ULONG BytesReordered;
    /// Bytes sent again.
    ULONG BytesRetrans;
    /// Times that segments were sent again without a time-out.
    ULONG FastRetrans;
    /// Acknowledgements that came twice.
    ULONG DupAcksIn;
    /// Times that segments were sent again after a time-out.
    ULONG TimeoutEpisodes;
    /// How often connecting was tried again.
    UCHAR SynRetrans;
} TCP_INFO_v0, *PTCP_INFO_v0;
#endif

#if (NTDDI_VERSION >= NTDDI_WIN10_RS5)
/// Statistics of a connection, with the reasons that delay its sending.
typedef struct _TCP_INFO_v1 {
    /// State of the connection.
    TCPSTATE State;
    /// Largest segment.
    ULONG Mss;
    /// Milliseconds since it was made.
    ULONG64 ConnectionTimeMs;
    /// Whether segments carry time stamps.
    BOOLEAN TimestampsEnabled;
    /// Round-trip time, in microseconds.
    ULONG RttUs;
    /// Shortest round-trip time, in microseconds.
    ULONG MinRttUs;
    /// Bytes sent and not yet acknowledged.
    ULONG BytesInFlight;
    /// Congestion window.
    ULONG Cwnd;
    /// Window for sending.
    ULONG SndWnd;
    /// Window for receiving.
    ULONG RcvWnd;
    /// Bytes received and not yet taken.
    ULONG RcvBuf;
    /// Bytes sent.
    ULONG64 BytesOut;
    /// Bytes received.
    ULONG64 BytesIn;
    /// Bytes that came out of order.
    ULONG BytesReordered;
    /// Bytes sent again.
    ULONG BytesRetrans;
    /// Times that segments were sent again without a time-out.
    ULONG FastRetrans;
    /// Acknowledgements that came twice.
    ULONG DupAcksIn;
    /// Times that segments were sent again after a time-out.
    ULONG TimeoutEpisodes;
    /// How often connecting was tried again.
    UCHAR SynRetrans;
    /// Times that the other side's window held up sending.
    ULONG SndLimTransRwin;
    /// Milliseconds that the other side's window held up sending.
    ULONG SndLimTimeRwin;
    /// Bytes sent while the other side's window held up sending.
    ULONG64 SndLimBytesRwin;
    /// Times that the congestion window held up sending.
    ULONG SndLimTransCwnd;
    /// Milliseconds that the congestion window held up sending.
    ULONG SndLimTimeCwnd;
    /// Bytes sent while the congestion window held up sending.
    ULONG64 SndLimBytesCwnd;
    /// Times that there was nothing to send.
    ULONG SndLimTransSnd;
    /// Milliseconds that there was nothing to send.
    ULONG SndLimTimeSnd;
    /// Bytes sent while there was little to send.
    ULONG64 SndLimBytesSnd;
} TCP_INFO_v1, *PTCP_INFO_v1;
#endif

#if (NTDDI_VERSION >= NTDDI_WIN10_FE)
/// Which datagrams get time stamps, as a `TIMESTAMPING_CONFIG`.
#define SIO_TIMESTAMPING _WSAIOW(IOC_VENDOR, 235)
/// Asks when a datagram was sent, by its number.
#define SIO_GET_TX_TIMESTAMP _WSAIOW(IOC_VENDOR, 234)
/// When a datagram arrived, as control information: a ULONG64.
#define SO_TIMESTAMP 0x300A
/// Number that the time stamp of a sent datagram is asked for by, as control information: a ULONG.
#define SO_TIMESTAMP_ID 0x300B
/// Datagrams get time stamps when they arrive.
#define TIMESTAMPING_FLAG_RX 0x1
/// Datagrams get time stamps when they are sent.
#define TIMESTAMPING_FLAG_TX 0x2

/// Which datagrams get time stamps.
typedef struct _TIMESTAMPING_CONFIG {
    /// `TIMESTAMPING_FLAG_…` bits.
    ULONG Flags;
    /// How many time stamps of sent datagrams are kept.
    USHORT TxTimestampsBuffered;
} TIMESTAMPING_CONFIG, *PTIMESTAMPING_CONFIG;

/// How much the traffic of a socket matters.
typedef enum {
    /// Least.
    SocketPriorityHintVeryLow = 0,
    /// Little.
    SocketPriorityHintLow,
    /// As other traffic.
    SocketPriorityHintNormal,
    /// Number of degrees.
    SocketMaximumPriorityHintType
} SOCKET_PRIORITY_HINT, *PSOCKET_PRIORITY_HINT;

/// How much the traffic of a socket matters, each way.
typedef struct _PRIORITY_STATUS {
    /// Priority of sent traffic.
    SOCKET_PRIORITY_HINT Sender;
    /// Priority of received traffic.
    SOCKET_PRIORITY_HINT Receiver;
} PRIORITY_STATUS, *PPRIORITY_STATUS;
#endif

// IPv4 addresses, in network byte order.

/// Whether an IPv4 address, in network byte order, is of class A.
#define IN4_CLASSA(i) (((LONG)(i) & 0x00000080) == 0)
/// Whether an IPv4 address, in network byte order, is of class B.
#define IN4_CLASSB(i) (((LONG)(i) & 0x000000c0) == 0x00000080)
/// Whether an IPv4 address, in network byte order, is of class C.
#define IN4_CLASSC(i) (((LONG)(i) & 0x000000e0) == 0x000000c0)
/// Whether an IPv4 address, in network byte order, is of class D.
#define IN4_CLASSD(i) (((LONG)(i) & 0x000000f0) == 0x000000e0)
/// Whether an IPv4 address, in network byte order, is multicast.
#define IN4_MULTICAST(i) IN4_CLASSD(i)
/// IPv4 wildcard address: any local address.
#define IN4ADDR_ANY INADDR_ANY
/// IPv4 loopback address, 127.0.0.1, in network byte order.
#define IN4ADDR_LOOPBACK 0x0100007f
/// IPv4 address that reaches everyone on the link.
#define IN4ADDR_BROADCAST INADDR_BROADCAST
/// No IPv4 address.
#define IN4ADDR_NONE INADDR_NONE
/// Bits of the prefix of the IPv4 loopback addresses.
#define IN4ADDR_LOOPBACKPREFIX_LENGTH 8
/// Bits of the prefix of link-local IPv4 addresses.
#define IN4ADDR_LINKLOCALPREFIX_LENGTH 16
/// Bits of the prefix of IPv4 groups.
#define IN4ADDR_MULTICASTPREFIX_LENGTH 4

/// Whether two IPv4 addresses are the same.
FORCEINLINE BOOLEAN IN4_ADDR_EQUAL(_In_ CONST IN_ADDR *a, _In_ CONST IN_ADDR *b)
{
    return (BOOLEAN)(a->s_addr == b->s_addr);
}

/// Whether an IPv4 address is the wildcard address.
FORCEINLINE BOOLEAN IN4_IS_ADDR_UNSPECIFIED(_In_ CONST IN_ADDR *a)
{
    return (BOOLEAN)(a->s_addr == IN4ADDR_ANY);
}

/// Whether an IPv4 address is a loopback address.
FORCEINLINE BOOLEAN IN4_IS_ADDR_LOOPBACK(_In_ CONST IN_ADDR *a)
{
    return (BOOLEAN)(a->S_un.S_un_b.s_b1 == 127);
}

/// Whether an IPv4 address reaches everyone on the link.
FORCEINLINE BOOLEAN IN4_IS_ADDR_BROADCAST(_In_ CONST IN_ADDR *a)
{
    return (BOOLEAN)(a->s_addr == IN4ADDR_BROADCAST);
}

/// Whether an IPv4 address is multicast.
FORCEINLINE BOOLEAN IN4_IS_ADDR_MULTICAST(_In_ CONST IN_ADDR *a)
{
    return (BOOLEAN)IN4_MULTICAST(a->s_addr);
}

/// Whether an IPv4 address is for one link only.
FORCEINLINE BOOLEAN IN4_IS_ADDR_LINKLOCAL(_In_ CONST IN_ADDR *a)
{
    return (BOOLEAN)(a->S_un.S_un_b.s_b1 == 169 && a->S_un.S_un_b.s_b2 == 254);
}

/// Whether an IPv4 address is for private networks.
FORCEINLINE BOOLEAN IN4_IS_ADDR_RFC1918(_In_ CONST IN_ADDR *a)
{
    UCHAR First = a->S_un.S_un_b.s_b1;
    UCHAR Second = a->S_un.S_un_b.s_b2;
    return (BOOLEAN)(First == 10 || (First == 172 && (Second & 0xf0) == 16) || (First == 192 && Second == 168));
}

/// Makes an IPv4 socket address.
FORCEINLINE VOID IN4ADDR_SETSOCKADDR(_Out_ PSOCKADDR_IN a, _In_ CONST IN_ADDR *addr, _In_ USHORT port)
{
    __builtin_memset(a, 0, sizeof(*a));
    a->sin_family = AF_INET;
    a->sin_port = port;
    a->sin_addr = *addr;
}

/// Sets an IPv4 socket address to the wildcard address and port 0.
FORCEINLINE VOID IN4ADDR_SETANY(_Out_ PSOCKADDR_IN a)
{
    __builtin_memset(a, 0, sizeof(*a));
    a->sin_family = AF_INET;
}

/// Sets an IPv4 socket address to the loopback address and port 0.
FORCEINLINE VOID IN4ADDR_SETLOOPBACK(_Out_ PSOCKADDR_IN a)
{
    IN4ADDR_SETANY(a);
    a->sin_addr.s_addr = IN4ADDR_LOOPBACK;
}

/// Whether an IPv4 socket address has the wildcard address.
FORCEINLINE BOOLEAN IN4ADDR_ISANY(_In_ CONST SOCKADDR_IN *a)
{
    return IN4_IS_ADDR_UNSPECIFIED(&a->sin_addr);
}

/// Whether an IPv4 socket address has a loopback address.
FORCEINLINE BOOLEAN IN4ADDR_ISLOOPBACK(_In_ CONST SOCKADDR_IN *a)
{
    return IN4_IS_ADDR_LOOPBACK(&a->sin_addr);
}

/// Whether two IPv4 socket addresses are the same apart from the port.
FORCEINLINE BOOLEAN IN4ADDR_ISEQUAL(_In_ CONST SOCKADDR_IN *a, _In_ CONST SOCKADDR_IN *b)
{
    return IN4_ADDR_EQUAL(&a->sin_addr, &b->sin_addr);
}

/// Whether an IPv4 socket address has the wildcard address.
FORCEINLINE BOOLEAN IN4ADDR_ISUNSPECIFIED(_In_ CONST SOCKADDR_IN *a)
{
    return IN4_IS_ADDR_UNSPECIFIED(&a->sin_addr);
}

/// How far an IPv4 address reaches.
FORCEINLINE SCOPE_LEVEL Ipv4AddressScope(_In_reads_(_Inexpressible_("Varies")) CONST UCHAR *Address)
{
    IN_ADDR a;
    __builtin_memcpy(&a, Address, sizeof(a));
    if (IN4_IS_ADDR_MULTICAST(&a)) {
        UCHAR First = a.S_un.S_un_b.s_b1;
        UCHAR Second = a.S_un.S_un_b.s_b2;
        if (First == 224 && Second == 0 && a.S_un.S_un_b.s_b3 == 0) {
            return ScopeLevelLink;
        }
        if (First == 239) {
            return Second == 255 ? ScopeLevelAdmin : ScopeLevelSite;
        }
        return ScopeLevelGlobal;
    }
    if (IN4_IS_ADDR_BROADCAST(&a) || IN4_IS_ADDR_LINKLOCAL(&a) || IN4_IS_ADDR_LOOPBACK(&a)) {
        return ScopeLevelLink;
    }
    return ScopeLevelGlobal;
}

/// How far an IPv6 address reaches.
FORCEINLINE SCOPE_LEVEL Ipv6AddressScope(_In_reads_(_Inexpressible_("Varies")) CONST UCHAR *Address)
{
    IN6_ADDR a;
    __builtin_memcpy(&a, Address, sizeof(a));
    if (IN6_IS_ADDR_MULTICAST(&a)) {
        return WskIn6MulticastScope(&a);
    }
    if (IN6_IS_ADDR_LINKLOCAL(&a) || IN6_IS_ADDR_LOOPBACK(&a)) {
        return ScopeLevelLink;
    }
    return IN6_IS_ADDR_SITELOCAL(&a) ? ScopeLevelSite : ScopeLevelGlobal;
}

/// Removes from a scope identifier what follows from the level of the address anyway.
FORCEINLINE VOID WskUncanonicalizeScopeId(_In_ SCOPE_LEVEL AddressLevel, _In_ BOOLEAN Loopback,
    _Inout_ SCOPE_ID *ScopeId)
{
    if (Loopback || AddressLevel == ScopeLevelGlobal) {
        ScopeId->Value = 0;
    }
    if (ScopeId->Level == (ULONG)AddressLevel) {
        ScopeId->Level = 0;
    }
}

/// Removes from a scope identifier what follows from the IPv4 address anyway.
FORCEINLINE VOID IN4_UNCANONICALIZE_SCOPE_ID(_In_ CONST IN_ADDR *Address, _Inout_ SCOPE_ID *ScopeId)
{
    WskUncanonicalizeScopeId(Ipv4AddressScope((CONST UCHAR *)Address), IN4_IS_ADDR_LOOPBACK(Address), ScopeId);
}

/// Removes from a scope identifier what follows from the IPv6 address anyway.
FORCEINLINE VOID IN6_UNCANONICALIZE_SCOPE_ID(_In_ CONST IN6_ADDR *Address, _Inout_ SCOPE_ID *ScopeId)
{
    WskUncanonicalizeScopeId(Ipv6AddressScope((CONST UCHAR *)Address), IN6_IS_ADDR_LOOPBACK(Address), ScopeId);
}

/// Makes an IPv6 socket address.
FORCEINLINE VOID IN6ADDR_SETSOCKADDR(_Out_ PSOCKADDR_IN6 a, _In_ CONST IN6_ADDR *addr, _In_ SCOPE_ID scope,
    _In_ USHORT port)
{
    a->sin6_family = AF_INET6;
    a->sin6_port = port;
    a->sin6_flowinfo = 0;
    a->sin6_addr = *addr;
    a->sin6_scope_struct = scope;
    IN6_UNCANONICALIZE_SCOPE_ID(&a->sin6_addr, &a->sin6_scope_struct);
}

// Mapped addresses.

/// Whether an IPv6 socket address is a mapped IPv4 one.
FORCEINLINE BOOLEAN IN6ADDR_ISV4MAPPED(_In_ CONST SOCKADDR_IN6 *a)
{
    return IN6_IS_ADDR_V4MAPPED(&a->sin6_addr);
}

/// IPv4 address in a mapped IPv6 one.
FORCEINLINE CONST UCHAR *IN6_GET_ADDR_V4MAPPED(_In_ CONST IN6_ADDR *Ipv6Address)
{
    return &Ipv6Address->s6_bytes[12];
}

/// Makes an IPv6 address a mapped IPv4 one.
FORCEINLINE VOID IN6_SET_ADDR_V4MAPPED(_Out_ PIN6_ADDR a6, _In_ CONST IN_ADDR *a4)
{
    __builtin_memset(a6->s6_bytes, 0, 10);
    __builtin_memset(&a6->s6_bytes[10], 0xff, 2);
    __builtin_memcpy(&a6->s6_bytes[12], a4, sizeof(*a4));
}

/// Makes an IPv6 socket address a mapped IPv4 one, as dual-mode sockets take it.
FORCEINLINE VOID IN6ADDR_SETV4MAPPED(_Out_ PSOCKADDR_IN6 a6, _In_ CONST IN_ADDR *a4, _In_ SCOPE_ID scope,
    _In_ USHORT port)
{
    a6->sin6_family = AF_INET6;
    a6->sin6_port = port;
    a6->sin6_flowinfo = 0;
    IN6_SET_ADDR_V4MAPPED(&a6->sin6_addr, a4);
    a6->sin6_scope_struct = scope;
    IN4_UNCANONICALIZE_SCOPE_ID(a4, &a6->sin6_scope_struct);
}

// Socket addresses of either family.

/// Whether a socket address has the wildcard address.
FORCEINLINE BOOLEAN INETADDR_ISANY(_In_ CONST SOCKADDR *a)
{
    return a->sa_family == AF_INET6 ? IN6ADDR_ISANY((CONST SOCKADDR_IN6 *)(CONST VOID *)a) :
                                      IN4ADDR_ISANY((CONST SOCKADDR_IN *)(CONST VOID *)a);
}

/// Whether a socket address has a loopback address.
FORCEINLINE BOOLEAN INETADDR_ISLOOPBACK(_In_ CONST SOCKADDR *a)
{
    return a->sa_family == AF_INET6 ? IN6ADDR_ISLOOPBACK((CONST SOCKADDR_IN6 *)(CONST VOID *)a) :
                                      IN4ADDR_ISLOOPBACK((CONST SOCKADDR_IN *)(CONST VOID *)a);
}

/// Whether a socket address is a mapped IPv4 one.
FORCEINLINE BOOLEAN INETADDR_ISV4MAPPED(_In_ CONST SOCKADDR *a)
{
    return a->sa_family == AF_INET6 ? IN6ADDR_ISV4MAPPED((CONST SOCKADDR_IN6 *)(CONST VOID *)a) : FALSE;
}

/// Whether two socket addresses are the same apart from the port.
FORCEINLINE BOOLEAN INETADDR_ISEQUAL(_In_ CONST SOCKADDR *a, _In_ CONST SOCKADDR *b)
{
    return a->sa_family == AF_INET6 ?
        (BOOLEAN)(b->sa_family == AF_INET6 &&
            IN6ADDR_ISEQUAL((CONST SOCKADDR_IN6 *)(CONST VOID *)a, (CONST SOCKADDR_IN6 *)(CONST VOID *)b)) :
        (BOOLEAN)(b->sa_family == AF_INET &&
            IN4ADDR_ISEQUAL((CONST SOCKADDR_IN *)(CONST VOID *)a, (CONST SOCKADDR_IN *)(CONST VOID *)b));
}

/// Makes a socket address of a family, IPv4 or IPv6, from an address.
FORCEINLINE VOID INETADDR_SETSOCKADDR(_In_ ADDRESS_FAMILY af, _Out_ PSOCKADDR a, _In_ CONST VOID *addr,
    _In_ SCOPE_ID scope, _In_ USHORT port)
{
    if (af == AF_INET6) {
        IN6ADDR_SETSOCKADDR((PSOCKADDR_IN6)(PVOID)a, (CONST IN6_ADDR *)addr, scope, port);
    } else {
        IN4ADDR_SETSOCKADDR((PSOCKADDR_IN)(PVOID)a, (CONST IN_ADDR *)addr, port);
    }
}

/// Sets a socket address, whose family is set, to the wildcard address and port 0.
FORCEINLINE VOID INETADDR_SETANY(_Inout_ PSOCKADDR a)
{
    if (a->sa_family == AF_INET6) {
        IN6ADDR_SETANY((PSOCKADDR_IN6)(PVOID)a);
    } else {
        IN4ADDR_SETANY((PSOCKADDR_IN)(PVOID)a);
    }
}

/// Sets a socket address, whose family is set, to the loopback address and port 0.
FORCEINLINE VOID INETADDR_SETLOOPBACK(_Inout_ PSOCKADDR a)
{
    if (a->sa_family == AF_INET6) {
        IN6ADDR_SETLOOPBACK((PSOCKADDR_IN6)(PVOID)a);
    } else {
        IN4ADDR_SETLOOPBACK((PSOCKADDR_IN)(PVOID)a);
    }
}

/// Port of a socket address, in network byte order.
FORCEINLINE USHORT INETADDR_PORT(_In_ CONST SOCKADDR *a)
{
    return ((CONST SOCKADDR_IN *)(CONST VOID *)a)->sin_port;
}

/// Sets the port of a socket address, in network byte order.
FORCEINLINE VOID INETADDR_SET_PORT(_Inout_ PSOCKADDR a, _In_ USHORT Port)
{
    ((PSOCKADDR_IN)(PVOID)a)->sin_port = Port;
}

/// Address in a socket address.
FORCEINLINE PUCHAR INETADDR_ADDRESS(_In_ CONST SOCKADDR *a)
{
    return a->sa_family == AF_INET6 ? (PUCHAR)&((PSOCKADDR_IN6)(ULONG_PTR)a)->sin6_addr :
                                      (PUCHAR)&((PSOCKADDR_IN)(ULONG_PTR)a)->sin_addr;
}

/// Bytes of an address of a family, IPv4 or IPv6.
FORCEINLINE SIZE_T INET_ADDR_LENGTH(_In_ ADDRESS_FAMILY af)
{
    return af == AF_INET6 ? sizeof(IN6_ADDR) : sizeof(IN_ADDR);
}

/// Bytes of a socket address of a family, IPv4 or IPv6.
FORCEINLINE SIZE_T INET_SOCKADDR_LENGTH(_In_ ADDRESS_FAMILY af)
{
    return af == AF_INET6 ? sizeof(SOCKADDR_IN6) : sizeof(SOCKADDR_IN);
}

#ifdef __cplusplus
}
#endif

#endif // _MSTCPIP_
