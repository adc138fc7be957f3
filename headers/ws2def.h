// Socket addresses, options, control codes, control information and name lookup, as sockets of every kind know them.
// Stands for the kit's ws2def.h, for Windows 7 and later.

#ifndef _WS2DEF_
#define _WS2DEF_

#include <ntdef.h>
#include <inaddr.h>

#ifdef __cplusplus
extern "C" {
#endif

// Address families.

/// Address family: which kind of address and network.
typedef USHORT ADDRESS_FAMILY;

/// Any address family, or none yet.
#define AF_UNSPEC 0
/// Sockets of this machine, named by files.
#define AF_UNIX 1
/// IPv4.
#define AF_INET 2
/// Addresses of the ARPANET's message processors.
#define AF_IMPLINK 3
/// Xerox PARC Universal Packet.
#define AF_PUP 4
/// Chaosnet.
#define AF_CHAOS 5
/// Xerox Network Systems.
#define AF_NS 6
/// Novell's Internetwork Packet Exchange.
#define AF_IPX AF_NS
/// Protocols of the ISO.
#define AF_ISO 7
/// Protocols of the ISO, under their other name.
#define AF_OSI AF_ISO
/// European Computer Manufacturers Association.
#define AF_ECMA 8
/// Datakit.
#define AF_DATAKIT 9
/// Protocols of the CCITT, such as X.25.
#define AF_CCITT 10
/// IBM's Systems Network Architecture.
#define AF_SNA 11
/// DECnet.
#define AF_DECnet 12
/// Direct use of the data link.
#define AF_DLI 13
/// Local Area Transport.
#define AF_LAT 14
/// NSC Hyperchannel.
#define AF_HYLINK 15
/// AppleTalk.
#define AF_APPLETALK 16
/// NetBIOS.
#define AF_NETBIOS 17
/// VoiceView.
#define AF_VOICEVIEW 18
/// Protocols of Firefox, the networking company.
#define AF_FIREFOX 19
/// Not known.
#define AF_UNKNOWN1 20
/// Banyan.
#define AF_BAN 21
/// Asynchronous Transfer Mode.
#define AF_ATM 22
/// IPv6.
#define AF_INET6 23
/// Clusters of Microsoft Windows.
#define AF_CLUSTER 24
/// IEEE 1284.4.
#define AF_12844 25
/// Infrared.
#define AF_IRDA 26
/// Network Designers' OSI gateway.
#define AF_NETDES 28
/// Processes on a TCN.
#define AF_TCNPROCESS 29
/// Messages on a TCN.
#define AF_TCNMESSAGE 30
/// ICL's FXBM.
#define AF_ICLFXBM 31
/// Bluetooth.
#define AF_BTH 32
/// Addresses of the data link.
#define AF_LINK 33
#if (_WIN32_WINNT < 0x0604)
/// Number of address families.
#define AF_MAX 34
#else
/// Sockets between a Hyper-V host and its guests.
#define AF_HYPERV 34
/// Number of address families.
#define AF_MAX 35
#endif

// Kinds of socket.

/// Stream of bytes over a connection.
#define SOCK_STREAM 1
/// Datagrams.
#define SOCK_DGRAM 2
/// Packets of the network protocol itself.
#define SOCK_RAW 3
/// Datagrams that arrive.
#define SOCK_RDM 4
/// Datagrams that arrive, and in order.
#define SOCK_SEQPACKET 5

// Options of sockets, at level SOL_SOCKET.

/// Level of the options that every socket has.
#define SOL_SOCKET 0xffff
/// Level of options of IPv4, under the name of other systems.
#define SOL_IP (SOL_SOCKET - 4)
/// Level of options of IPv6, under the name of other systems.
#define SOL_IPV6 (SOL_SOCKET - 5)

/// Records the activity of the socket.
#define SO_DEBUG 0x0001
/// Whether the socket listens.
#define SO_ACCEPTCONN 0x0002
/// Allows binding to an address that is in use.
#define SO_REUSEADDR 0x0004
/// Probes whether an idle connection is still there.
#define SO_KEEPALIVE 0x0008
/// Sends to directly connected networks only.
#define SO_DONTROUTE 0x0010
/// Allows sending to broadcast addresses.
#define SO_BROADCAST 0x0020
/// Goes around the hardware where that is possible.
#define SO_USELOOPBACK 0x0040
/// Treatment of unsent data on closing, as a `LINGER`.
#define SO_LINGER 0x0080
/// Gives out-of-band data along with the rest.
#define SO_OOBINLINE 0x0100
/// Closing never waits for data that has not been sent.
#define SO_DONTLINGER (int)(~SO_LINGER)
/// Keeps others from binding to the address.
#define SO_EXCLUSIVEADDRUSE ((int)(~SO_REUSEADDR))
/// Bytes that are buffered for sending.
#define SO_SNDBUF 0x1001
/// Bytes that are buffered when received.
#define SO_RCVBUF 0x1002
/// Bytes that must fit before sending is possible.
#define SO_SNDLOWAT 0x1003
/// Bytes that must be there before receiving is possible.
#define SO_RCVLOWAT 0x1004
/// Milliseconds that sending may take.
#define SO_SNDTIMEO 0x1005
/// Milliseconds that receiving may take.
#define SO_RCVTIMEO 0x1006
/// Last error of the socket, which asking clears.
#define SO_ERROR 0x1007
/// Kind of the socket, such as `SOCK_DGRAM`.
#define SO_TYPE 0x1008
/// Addresses, kind and protocol of the socket.
#define SO_BSP_STATE 0x1009
/// Group of sockets that the socket belongs to.
#define SO_GROUP_ID 0x2001
/// Priority of the socket in its group.
#define SO_GROUP_PRIORITY 0x2002
/// Largest datagram that can be sent.
#define SO_MAX_MSG_SIZE 0x2003
/// Lets the application decide about each connection before it is made.
#define SO_CONDITIONAL_ACCEPT 0x3002
/// Stops taking connections for a while.
#define SO_PAUSE_ACCEPT 0x3003
/// Network compartment of the socket.
#define SO_COMPARTMENT_ID 0x3004
/// Takes a random port when bound to port zero.
#define SO_RANDOMIZE_PORT 0x3005
/// Lets several local addresses share one port when bound to port zero.
#define SO_PORT_SCALABILITY 0x3006
/// Takes the local port only when connecting.
#define SO_REUSE_UNICASTPORT 0x3007
/// Lets several sockets share a port for multicast.
#define SO_REUSE_MULTICASTPORT 0x3008
/// Destination of a connection before it was redirected.
#define SO_ORIGINAL_DST 0x300F
/// Destination of a connection before it was redirected, for IPv6.
#define IP6T_SO_ORIGINAL_DST SO_ORIGINAL_DST
/// First number of the options that only Winsock Kernel has.
#define WSK_SO_BASE 0x4000

/// Sends small segments at once instead of collecting them, at level `IPPROTO_TCP`.
#define TCP_NODELAY 0x0001

// Socket addresses.

/// Socket address of any family, as far as all have in common.
typedef struct sockaddr {
    /// Address family, which determines the rest.
    ADDRESS_FAMILY sa_family;
    /// The address, at least this long.
    CHAR sa_data[14];
} SOCKADDR, *PSOCKADDR, *LPSOCKADDR;

/// Socket address with its length.
typedef struct _SOCKET_ADDRESS {
    /// The address.
    _Field_size_bytes_(iSockaddrLength) LPSOCKADDR lpSockaddr;
    /// Bytes of the address.
    INT iSockaddrLength;
} SOCKET_ADDRESS, *PSOCKET_ADDRESS, *LPSOCKET_ADDRESS;

/// List of socket addresses, as `SIO_ADDRESS_LIST_QUERY` gives it.
typedef struct _SOCKET_ADDRESS_LIST {
    /// Number of addresses.
    INT iAddressCount;
    /// First of the addresses.
    SOCKET_ADDRESS Address[1];
} SOCKET_ADDRESS_LIST, *PSOCKET_ADDRESS_LIST, *LPSOCKET_ADDRESS_LIST;

/// Bytes of a list with this many socket addresses.
#define SIZEOF_SOCKET_ADDRESS_LIST(AddressCount) \
    (FIELD_OFFSET(SOCKET_ADDRESS_LIST, Address) + (AddressCount) * sizeof(SOCKET_ADDRESS))

/// Local and remote address of a socket with its kind, as `SO_BSP_STATE` gives it.
typedef struct _CSADDR_INFO {
    /// Local address.
    SOCKET_ADDRESS LocalAddr;
    /// Remote address.
    SOCKET_ADDRESS RemoteAddr;
    /// Kind of socket.
    INT iSocketType;
    /// Protocol.
    INT iProtocol;
} CSADDR_INFO, *PCSADDR_INFO, *LPCSADDR_INFO;

/// Bytes of a `SOCKADDR_STORAGE`.
#define _SS_MAXSIZE 128
/// Alignment of a `SOCKADDR_STORAGE`.
#define _SS_ALIGNSIZE (sizeof(LONGLONG))
/// Bytes between the family and the aligned part of a `SOCKADDR_STORAGE`.
#define _SS_PAD1SIZE (_SS_ALIGNSIZE - sizeof(USHORT))
/// Bytes after the aligned part of a `SOCKADDR_STORAGE`.
#define _SS_PAD2SIZE (_SS_MAXSIZE - (sizeof(USHORT) + _SS_PAD1SIZE + _SS_ALIGNSIZE))

/// Room for a socket address of any family.
typedef struct sockaddr_storage {
    /// Address family, which determines the rest.
    ADDRESS_FAMILY ss_family;
    /// Padding.
    CHAR __ss_pad1[_SS_PAD1SIZE];
    /// Makes the structure aligned.
    LONGLONG __ss_align;
    /// Padding.
    CHAR __ss_pad2[_SS_PAD2SIZE];
} SOCKADDR_STORAGE_LH, *PSOCKADDR_STORAGE_LH, *LPSOCKADDR_STORAGE_LH;

/// Room for a socket address of any family, as Windows XP declared it.
typedef struct sockaddr_storage_xp {
    /// Address family, which determines the rest.
    short ss_family;
    /// Padding.
    CHAR __ss_pad1[_SS_PAD1SIZE];
    /// Makes the structure aligned.
    LONGLONG __ss_align;
    /// Padding.
    CHAR __ss_pad2[_SS_PAD2SIZE];
} SOCKADDR_STORAGE_XP, *PSOCKADDR_STORAGE_XP, *LPSOCKADDR_STORAGE_XP;

/// Room for a socket address of any family.
typedef SOCKADDR_STORAGE_LH SOCKADDR_STORAGE, *PSOCKADDR_STORAGE, *LPSOCKADDR_STORAGE;

#if (_WIN32_WINNT >= 0x0602)
/// Processor that serves a socket.
typedef struct _SOCKET_PROCESSOR_AFFINITY {
    /// The processor.
    PROCESSOR_NUMBER Processor;
    /// NUMA node of the processor.
    USHORT NumaNodeId;
    /// Unused.
    USHORT Reserved;
} SOCKET_PROCESSOR_AFFINITY, *PSOCKET_PROCESSOR_AFFINITY;
#endif

/// How far an address reaches.
typedef enum {
    /// One interface.
    ScopeLevelInterface = 1,
    /// One link.
    ScopeLevelLink = 2,
    /// One subnet.
    ScopeLevelSubnet = 3,
    /// Set by an administrator.
    ScopeLevelAdmin = 4,
    /// One site.
    ScopeLevelSite = 5,
    /// One organization.
    ScopeLevelOrganization = 8,
    /// Everywhere.
    ScopeLevelGlobal = 14,
    /// Number of levels.
    ScopeLevelCount = 16
} SCOPE_LEVEL;

/// Which of several areas of the same reach an address belongs to.
typedef struct {
    union {
        struct {
            /// Number of the area.
            ULONG Zone : 28;
            /// How far it reaches, as a `SCOPE_LEVEL`.
            ULONG Level : 4;
        };
        /// Both at once.
        ULONG Value;
    };
} SCOPE_ID, *PSCOPE_ID;

/// Initialiser of a scope identifier that names no area.
#define SCOPEID_UNSPECIFIED_INIT {{{0, 0}}}

/// IPv4 socket address.
typedef struct sockaddr_in {
    /// `AF_INET`.
    ADDRESS_FAMILY sin_family;
    /// Port, in network byte order.
    USHORT sin_port;
    /// Address, in network byte order.
    IN_ADDR sin_addr;
    /// Zero.
    CHAR sin_zero[8];
} SOCKADDR_IN, *PSOCKADDR_IN;

/// Data-link socket address.
typedef struct sockaddr_dl {
    /// `AF_LINK`.
    ADDRESS_FAMILY sdl_family;
    /// The address.
    UCHAR sdl_data[8];
    /// Zero.
    UCHAR sdl_zero[4];
} SOCKADDR_DL, *PSOCKADDR_DL;

/// Whether an IPv4 address, in host byte order, is of class A.
#define IN_CLASSA(i) (((LONG)(i) & 0x80000000) == 0)
/// Network bits of a class A address.
#define IN_CLASSA_NET 0xff000000
/// Host bits of a class A address, as a number.
#define IN_CLASSA_NSHIFT 24
/// Host bits of a class A address.
#define IN_CLASSA_HOST 0x00ffffff
/// Number of class A networks.
#define IN_CLASSA_MAX 128
/// Whether an IPv4 address, in host byte order, is of class B.
#define IN_CLASSB(i) (((LONG)(i) & 0xc0000000) == 0x80000000)
/// Network bits of a class B address.
#define IN_CLASSB_NET 0xffff0000
/// Host bits of a class B address, as a number.
#define IN_CLASSB_NSHIFT 16
/// Host bits of a class B address.
#define IN_CLASSB_HOST 0x0000ffff
/// End of the class B networks.
#define IN_CLASSB_MAX 65536
/// Whether an IPv4 address, in host byte order, is of class C.
#define IN_CLASSC(i) (((LONG)(i) & 0xe0000000) == 0xc0000000)
/// Network bits of a class C address.
#define IN_CLASSC_NET 0xffffff00
/// Host bits of a class C address, as a number.
#define IN_CLASSC_NSHIFT 8
/// Host bits of a class C address.
#define IN_CLASSC_HOST 0x000000ff
/// Whether an IPv4 address, in host byte order, is of class D, which is multicast.
#define IN_CLASSD(i) (((LONG)(i) & 0xf0000000) == 0xe0000000)
/// Bits that make an address one of class D.
#define IN_CLASSD_NET 0xf0000000
/// Remaining bits of a class D address, as a number.
#define IN_CLASSD_NSHIFT 28
/// Remaining bits of a class D address.
#define IN_CLASSD_HOST 0x0fffffff
/// Whether an IPv4 address, in host byte order, is multicast.
#define IN_MULTICAST(i) IN_CLASSD(i)
/// IPv4 wildcard address: any local address.
#define INADDR_ANY (ULONG)0x00000000
/// IPv4 loopback address, 127.0.0.1, in host byte order.
#define INADDR_LOOPBACK 0x7f000001
/// IPv4 address that reaches everyone on the link.
#define INADDR_BROADCAST (ULONG)0xffffffff
/// No IPv4 address.
#define INADDR_NONE 0xffffffff

// Control codes.

/// Largest parameter that a control code of Unix can name.
#define IOCPARM_MASK 0x7f
/// Control code: no parameters.
#define IOC_VOID 0x20000000
/// Control code: parameters come out.
#define IOC_OUT 0x40000000
/// Control code: parameters go in.
#define IOC_IN 0x80000000
/// Control code: parameters go in and come out.
#define IOC_INOUT (IOC_IN | IOC_OUT)
/// Control code of Unix without parameters.
#define _IO(x, y) (IOC_VOID | ((x) << 8) | (y))
/// Control code of Unix whose parameter comes out.
#define _IOR(x, y, t) (IOC_OUT | (((ULONG)sizeof(t) & IOCPARM_MASK) << 16) | ((x) << 8) | (y))
/// Control code of Unix whose parameter goes in.
#define _IOW(x, y, t) (IOC_IN | (((ULONG)sizeof(t) & IOCPARM_MASK) << 16) | ((x) << 8) | (y))
/// Control codes of Unix.
#define IOC_UNIX 0x00000000
/// Control codes of Windows Sockets 2.
#define IOC_WS2 0x08000000
/// Control codes of an address family.
#define IOC_PROTOCOL 0x10000000
/// Control codes of a vendor.
#define IOC_VENDOR 0x18000000
/// Control codes of Winsock Kernel.
#define IOC_WSK (IOC_WS2 | 0x07000000)
/// Control code of a family without parameters.
#define _WSAIO(x, y) (IOC_VOID | (x) | (y))
/// Control code of a family whose parameters come out.
#define _WSAIOR(x, y) (IOC_OUT | (x) | (y))
/// Control code of a family whose parameters go in.
#define _WSAIOW(x, y) (IOC_IN | (x) | (y))
/// Control code of a family whose parameters go in and come out.
#define _WSAIORW(x, y) (IOC_INOUT | (x) | (y))

/// Associates the socket with a handle of another interface.
#define SIO_ASSOCIATE_HANDLE _WSAIOW(IOC_WS2, 1)
/// Drops the oldest datagram instead of the newest when the buffer is full.
#define SIO_ENABLE_CIRCULAR_QUEUEING _WSAIO(IOC_WS2, 2)
/// Asks for a route to an address.
#define SIO_FIND_ROUTE _WSAIOR(IOC_WS2, 3)
/// Discards data that is queued for sending.
#define SIO_FLUSH _WSAIO(IOC_WS2, 4)
/// Asks for the broadcast address.
#define SIO_GET_BROADCAST_ADDRESS _WSAIOR(IOC_WS2, 5)
/// Asks for an extension function.
#define SIO_GET_EXTENSION_FUNCTION_POINTER _WSAIORW(IOC_WS2, 6)
/// Asks for the quality of service.
#define SIO_GET_QOS _WSAIORW(IOC_WS2, 7)
/// Asks for the quality of service of the group.
#define SIO_GET_GROUP_QOS _WSAIORW(IOC_WS2, 8)
/// Whether multicast datagrams come back to the sender.
#define SIO_MULTIPOINT_LOOPBACK _WSAIOW(IOC_WS2, 9)
/// How far multicast datagrams reach.
#define SIO_MULTICAST_SCOPE _WSAIOW(IOC_WS2, 10)
/// Sets the quality of service.
#define SIO_SET_QOS _WSAIOW(IOC_WS2, 11)
/// Sets the quality of service of the group.
#define SIO_SET_GROUP_QOS _WSAIOW(IOC_WS2, 12)
/// Gives a handle that stands for the socket in another interface.
#define SIO_TRANSLATE_HANDLE _WSAIORW(IOC_WS2, 13)
/// Asks which local address would reach a remote one.
#define SIO_ROUTING_INTERFACE_QUERY _WSAIORW(IOC_WS2, 20)
/// Completes when the route to an address changes.
#define SIO_ROUTING_INTERFACE_CHANGE _WSAIOW(IOC_WS2, 21)
/// Asks for the local addresses of the socket's family.
#define SIO_ADDRESS_LIST_QUERY _WSAIOR(IOC_WS2, 22)
/// Completes when the local addresses of the socket's family change.
#define SIO_ADDRESS_LIST_CHANGE _WSAIO(IOC_WS2, 23)
/// Asks for the device that the socket is bound to.
#define SIO_QUERY_TARGET_PNP_HANDLE _WSAIOR(IOC_WS2, 24)
/// Sorts addresses by which is best to use.
#define SIO_ADDRESS_LIST_SORT _WSAIORW(IOC_WS2, 25)
/// Reserved.
#define SIO_RESERVED_1 _WSAIOW(IOC_WS2, 26)
/// Reserved.
#define SIO_RESERVED_2 _WSAIOW(IOC_WS2, 33)
/// Asks for several extension functions.
#define SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER _WSAIORW(IOC_WS2, 36)
/// Asks which processor serves the socket.
#define SIO_QUERY_RSS_PROCESSOR_INFO _WSAIOR(IOC_WS2, 37)

// Protocols and ports.

/// Level of the options of IPv4, and any protocol when a socket is made.
#define IPPROTO_IP 0

/// Protocols over IP, which are also levels of options.
typedef enum {
    /// Options of IPv6, hop by hop.
    IPPROTO_HOPOPTS = 0,
    /// Control messages of IPv4.
    IPPROTO_ICMP = 1,
    /// Group management of IPv4.
    IPPROTO_IGMP = 2,
    /// Gateway to gateway.
    IPPROTO_GGP = 3,
    /// IPv4 in IP.
    IPPROTO_IPV4 = 4,
    /// Stream protocol.
    IPPROTO_ST = 5,
    /// Transmission Control Protocol.
    IPPROTO_TCP = 6,
    /// Core-based trees.
    IPPROTO_CBT = 7,
    /// Exterior gateways.
    IPPROTO_EGP = 8,
    /// Interior gateways.
    IPPROTO_IGP = 9,
    /// PARC Universal Packet.
    IPPROTO_PUP = 12,
    /// User Datagram Protocol.
    IPPROTO_UDP = 17,
    /// Xerox internet datagrams.
    IPPROTO_IDP = 22,
    /// Reliable data.
    IPPROTO_RDP = 27,
    /// IPv6.
    IPPROTO_IPV6 = 41,
    /// Routing header of IPv6.
    IPPROTO_ROUTING = 43,
    /// Fragment header of IPv6.
    IPPROTO_FRAGMENT = 44,
    /// Encrypted payload.
    IPPROTO_ESP = 50,
    /// Authenticated payload.
    IPPROTO_AH = 51,
    /// Control messages of IPv6.
    IPPROTO_ICMPV6 = 58,
    /// No further header of IPv6.
    IPPROTO_NONE = 59,
    /// Options of IPv6 for the destination.
    IPPROTO_DSTOPTS = 60,
    /// Net disk.
    IPPROTO_ND = 77,
    /// ICL's FXBM.
    IPPROTO_ICLFXBM = 78,
    /// Protocol-independent multicast.
    IPPROTO_PIM = 103,
    /// Reliable multicast.
    IPPROTO_PGM = 113,
    /// Tunnels of layer 2.
    IPPROTO_L2TP = 115,
    /// Stream Control Transmission Protocol.
    IPPROTO_SCTP = 132,
    /// IP itself.
    IPPROTO_RAW = 255,
    /// End of the protocols that the network knows.
    IPPROTO_MAX = 256,
    /// Kept by the system, for raw packets.
    IPPROTO_RESERVED_RAW = 257,
    /// Kept by the system, for IPsec.
    IPPROTO_RESERVED_IPSEC = 258,
    /// Kept by the system, for IPsec in hardware.
    IPPROTO_RESERVED_IPSECOFFLOAD = 259,
    /// Kept by the system, for network virtualization.
    IPPROTO_RESERVED_WNV = 260,
    /// End of the ports that the system keeps.
    IPPROTO_RESERVED_MAX = 261
} IPPROTO, *PIPROTO;

/// Port of the TCP multiplexer.
#define IPPORT_TCPMUX 1
/// Port of the echo service.
#define IPPORT_ECHO 7
/// Port of the discard service.
#define IPPORT_DISCARD 9
/// Port of the list of users.
#define IPPORT_SYSTAT 11
/// Port of the time of day.
#define IPPORT_DAYTIME 13
/// Port of the network's state.
#define IPPORT_NETSTAT 15
/// Port of the quote of the day.
#define IPPORT_QOTD 17
/// Port of the message service.
#define IPPORT_MSP 18
/// Port of the character generator.
#define IPPORT_CHARGEN 19
/// Port of file transfers, data.
#define IPPORT_FTP_DATA 20
/// Port of file transfers, control.
#define IPPORT_FTP 21
/// Port of terminals.
#define IPPORT_TELNET 23
/// Port of mail.
#define IPPORT_SMTP 25
/// Port of the time.
#define IPPORT_TIMESERVER 37
/// Port of host names.
#define IPPORT_NAMESERVER 42
/// Port of the directory of names.
#define IPPORT_WHOIS 43
/// Port of an older mail service.
#define IPPORT_MTP 57
/// Port of trivial file transfers.
#define IPPORT_TFTP 69
/// Port of remote jobs.
#define IPPORT_RJE 77
/// Port of information about users.
#define IPPORT_FINGER 79
/// Port of terminal links.
#define IPPORT_TTYLINK 87
/// Port of an older terminal service.
#define IPPORT_SUPDUP 95
/// Port of mailboxes.
#define IPPORT_POP3 110
/// Port of network time.
#define IPPORT_NTP 123
/// Port of the endpoint mapper.
#define IPPORT_EPMAP 135
/// Port of NetBIOS names.
#define IPPORT_NETBIOS_NS 137
/// Port of NetBIOS datagrams.
#define IPPORT_NETBIOS_DGM 138
/// Port of NetBIOS sessions.
#define IPPORT_NETBIOS_SSN 139
/// Port of mailboxes on a server.
#define IPPORT_IMAP 143
/// Port of network management.
#define IPPORT_SNMP 161
/// Port of network management, notifications.
#define IPPORT_SNMP_TRAP 162
/// Port of mailboxes on a server, an older version.
#define IPPORT_IMAP3 220
/// Port of directories.
#define IPPORT_LDAP 389
/// Port of the encrypted web.
#define IPPORT_HTTPS 443
/// Port of file sharing.
#define IPPORT_MICROSOFT_DS 445
/// Port of remote execution, over TCP.
#define IPPORT_EXECSERVER 512
/// Port of remote login, over TCP.
#define IPPORT_LOGINSERVER 513
/// Port of the remote shell, over TCP.
#define IPPORT_CMDSERVER 514
/// Port of the extended file server, over TCP.
#define IPPORT_EFSSERVER 520
/// Port of mail notices, over UDP.
#define IPPORT_BIFFUDP 512
/// Port of the service that lists active users, over UDP.
#define IPPORT_WHOSERVER 513
/// Port of routing, over UDP.
#define IPPORT_ROUTESERVER 520
/// End of the ports that need a privilege on some systems.
#define IPPORT_RESERVED 1024
/// First of the registered ports.
#define IPPORT_REGISTERED_MIN IPPORT_RESERVED
/// Last of the registered ports.
#define IPPORT_REGISTERED_MAX 0xbfff
/// First of the ports that are given out.
#define IPPORT_DYNAMIC_MIN 0xc000
/// Last of the ports that are given out.
#define IPPORT_DYNAMIC_MAX 0xffff

// Control information, and messages that carry it.

/// Buffer with its length.
typedef struct _WSABUF {
    /// Bytes of the buffer.
    ULONG len;
    /// The buffer.
    _Field_size_bytes_(len) CHAR *buf;
} WSABUF, *LPWSABUF;

/// Message with its address and control information.
typedef struct _WSAMSG {
    /// Remote address.
    _Field_size_bytes_(namelen) LPSOCKADDR name;
    /// Bytes of the remote address.
    INT namelen;
    /// Buffers of the message.
    LPWSABUF lpBuffers;
    /// Number of buffers.
    ULONG dwBufferCount;
    /// Control information.
    WSABUF Control;
    /// `MSG_…` flags.
    ULONG dwFlags;
} WSAMSG, *PWSAMSG, *LPWSAMSG;

/// Header of one piece of control information; its data follows.
typedef struct cmsghdr {
    /// Bytes of this header and of its data, without the padding after it.
    SIZE_T cmsg_len;
    /// Protocol that the piece belongs to, such as `IPPROTO_IP`.
    INT cmsg_level;
    /// Type of the piece, by protocol, such as `IP_PKTINFO`.
    INT cmsg_type;
} WSACMSGHDR, *PWSACMSGHDR, *LPWSACMSGHDR;
/// Tag of the header of a piece of control information.
#define _WSACMSGHDR cmsghdr
/// Header of one piece of control information; its data follows.
typedef WSACMSGHDR CMSGHDR, *PCMSGHDR;

/// Rounds a length up to where a header may start.
#define WSA_CMSGHDR_ALIGN(length) (((length) + TYPE_ALIGNMENT(WSACMSGHDR) - 1) & ~(TYPE_ALIGNMENT(WSACMSGHDR) - 1))
/// Rounds a length up to where data may start.
#define WSA_CMSGDATA_ALIGN(length) (((length) + MAX_NATURAL_ALIGNMENT - 1) & ~(MAX_NATURAL_ALIGNMENT - 1))
/// First header of the control information of a message, or NULL.
#define WSA_CMSG_FIRSTHDR(msg) \
    ((msg)->Control.len < sizeof(WSACMSGHDR) ? (LPWSACMSGHDR)NULL : (LPWSACMSGHDR)(PVOID)(msg)->Control.buf)
/// Header after this one in the control information of a message, or NULL; the first one after NULL.
#define WSA_CMSG_NXTHDR(msg, cmsg) \
    ((cmsg) == NULL ? WSA_CMSG_FIRSTHDR(msg) : \
        ((PUCHAR)(cmsg) + WSA_CMSGHDR_ALIGN((cmsg)->cmsg_len) + sizeof(WSACMSGHDR) > \
            (PUCHAR)(msg)->Control.buf + (msg)->Control.len) ? (LPWSACMSGHDR)NULL : \
        (LPWSACMSGHDR)(PVOID)((PUCHAR)(cmsg) + WSA_CMSGHDR_ALIGN((cmsg)->cmsg_len)))
/// Data that follows a header.
#define WSA_CMSG_DATA(cmsg) ((PUCHAR)(cmsg) + WSA_CMSGDATA_ALIGN(sizeof(WSACMSGHDR)))
/// Bytes that a piece takes with this much data, with its padding.
#define WSA_CMSG_SPACE(length) (WSA_CMSGDATA_ALIGN(sizeof(WSACMSGHDR) + WSA_CMSGHDR_ALIGN(length)))
/// Length to write in the header of a piece with this much data.
#define WSA_CMSG_LEN(length) (WSA_CMSGDATA_ALIGN(sizeof(WSACMSGHDR)) + (length))
/// Rounds a length up to where a header may start.
#define CMSGHDR_ALIGN WSA_CMSGHDR_ALIGN
/// Rounds a length up to where data may start.
#define CMSGDATA_ALIGN WSA_CMSGDATA_ALIGN
/// First header of the control information of a message, or NULL.
#define CMSG_FIRSTHDR WSA_CMSG_FIRSTHDR
/// Header after this one in the control information of a message, or NULL.
#define CMSG_NXTHDR WSA_CMSG_NXTHDR
/// Bytes that a piece takes with this much data, with its padding.
#define CMSG_SPACE WSA_CMSG_SPACE
/// Length to write in the header of a piece with this much data.
#define CMSG_LEN WSA_CMSG_LEN

/// The datagram did not fit in the buffer, which has the part that fitted.
#define MSG_TRUNC 0x0100
/// The control information did not fit in the buffer, which has the part that fitted.
#define MSG_CTRUNC 0x0200
/// The datagram was a broadcast.
#define MSG_BCAST 0x0400
/// The datagram was multicast.
#define MSG_MCAST 0x0800
/// The received data is an error of an earlier datagram.
#define MSG_ERRQUEUE 0x1000

// Looking up names.

/// Lookup: addresses to bind to.
#define AI_PASSIVE 0x00000001
/// Lookup: with the canonical name.
#define AI_CANONNAME 0x00000002
/// Lookup: the name is an address in writing.
#define AI_NUMERICHOST 0x00000004
/// Lookup: the service is a number in writing.
#define AI_NUMERICSERV 0x00000008
/// Lookup: by DNS only.
#define AI_DNS_ONLY 0x00000010
/// Lookup: unencrypted only.
#define AI_FORCE_CLEAR_TEXT 0x00000020
/// Lookup: without the DNS cache.
#define AI_BYPASS_DNS_CACHE 0x00000040
/// Lookup: with the time that the answer is good for.
#define AI_RETURN_TTL 0x00000080
/// Lookup: IPv6 addresses, and IPv4 ones mapped to IPv6.
#define AI_ALL 0x00000100
/// Lookup: only families of which this machine has an address.
#define AI_ADDRCONFIG 0x00000400
/// Lookup: IPv4 addresses mapped to IPv6 where there are no others.
#define AI_V4MAPPED 0x00000800
/// Lookup: answers without authority will do.
#define AI_NON_AUTHORITATIVE 0x00004000
/// Lookup: by a secure channel only.
#define AI_SECURE 0x00008000
/// Lookup: with the preferred names.
#define AI_RETURN_PREFERRED_NAMES 0x00010000
/// Lookup: with the full name.
#define AI_FQDN 0x00020000
/// Lookup: for a file server.
#define AI_FILESERVER 0x00040000
/// Lookup: names are not encoded for international characters.
#define AI_DISABLE_IDN_ENCODING 0x00080000
/// Lookup: by a secure channel, or without one where that fails.
#define AI_SECURE_WITH_FALLBACK 0x00100000
/// Lookup: by the given servers only.
#define AI_EXCLUSIVE_CUSTOM_SERVERS 0x00200000
/// Lookup: with flags of the answer.
#define AI_RETURN_RESPONSE_FLAGS 0x10000000
/// Lookup: answers must be secure.
#define AI_REQUIRE_SECURE 0x20000000
/// Lookup: with a handle of the lookup.
#define AI_RESOLUTION_HANDLE 0x40000000
/// Lookup: the structure is a newer one.
#define AI_EXTENDED 0x80000000

/// Address that a lookup gave, with byte strings.
typedef struct addrinfo {
    /// `AI_…` flags.
    int ai_flags;
    /// Address family.
    int ai_family;
    /// Kind of socket.
    int ai_socktype;
    /// Protocol.
    int ai_protocol;
    /// Bytes of the address.
    size_t ai_addrlen;
    /// Canonical name, or NULL.
    char *ai_canonname;
    /// The address.
    _Field_size_bytes_(ai_addrlen) struct sockaddr *ai_addr;
    /// Next address, or NULL.
    struct addrinfo *ai_next;
} ADDRINFOA, *PADDRINFOA;

/// Address that a lookup gave.
typedef struct addrinfoW {
    /// `AI_…` flags.
    int ai_flags;
    /// Address family.
    int ai_family;
    /// Kind of socket.
    int ai_socktype;
    /// Protocol.
    int ai_protocol;
    /// Bytes of the address.
    size_t ai_addrlen;
    /// Canonical name, or NULL.
    PWSTR ai_canonname;
    /// The address.
    _Field_size_bytes_(ai_addrlen) struct sockaddr *ai_addr;
    /// Next address, or NULL.
    struct addrinfoW *ai_next;
} ADDRINFOW, *PADDRINFOW;

/// Address that a lookup has returned, with its source. As input, the wanted addresses.
typedef struct addrinfoexW {
    /// `AI_…` flags.
    int ai_flags;
    /// Address family.
    int ai_family;
    /// Kind of socket.
    int ai_socktype;
    /// Protocol.
    int ai_protocol;
    /// Bytes of the address.
    size_t ai_addrlen;
    /// Canonical name, or NULL.
    PWSTR ai_canonname;
    /// The address.
    _Field_size_bytes_(ai_addrlen) struct sockaddr *ai_addr;
    /// Information of the provider's own, or NULL.
    _Field_size_(ai_bloblen) void *ai_blob;
    /// Bytes of that information.
    size_t ai_bloblen;
    /// Identifier of the provider that gave the address.
    LPGUID ai_provider;
    /// Next address, or NULL.
    struct addrinfoexW *ai_next;
} ADDRINFOEXW, *PADDRINFOEXW, *LPADDRINFOEXW;

/// Namespace: all of them.
#define NS_ALL (0)
/// Namespace: Service Advertising Protocol.
#define NS_SAP (1)
/// Namespace: NetWare Directory Services.
#define NS_NDS (2)
/// Namespace: browsing among peers.
#define NS_PEER_BROWSE (3)
/// Namespace: Service Location Protocol.
#define NS_SLP (5)
/// Namespace: DHCP.
#define NS_DHCP (6)
/// Namespace: names of this machine.
#define NS_TCPIP_LOCAL (10)
/// Namespace: the hosts file.
#define NS_TCPIP_HOSTS (11)
/// Namespace: DNS.
#define NS_DNS (12)
/// Namespace: NetBIOS over TCP/IP.
#define NS_NETBT (13)
/// Namespace: WINS.
#define NS_WINS (14)
/// Namespace: Network Location Awareness.
#define NS_NLA (15)
/// Namespace: Bluetooth.
#define NS_BTH (16)
/// Namespace: AppleTalk names.
#define NS_NBP (20)
/// Namespace: Microsoft's.
#define NS_MS (30)
/// Namespace: StreetTalk Directory Assistance.
#define NS_STDA (31)
/// Namespace: Active Directory.
#define NS_NTDS (32)
/// Namespace: e-mail.
#define NS_EMAIL (37)
/// Namespace: names of the Peer Name Resolution Protocol.
#define NS_PNRPNAME (38)
/// Namespace: clouds of the Peer Name Resolution Protocol.
#define NS_PNRPCLOUD (39)
/// Namespace: X.500.
#define NS_X500 (40)
/// Namespace: Network Information Service.
#define NS_NIS (41)
/// Namespace: Network Information Service Plus.
#define NS_NISPLUS (42)
/// Namespace: WRQ.
#define NS_WRQ (50)
/// Namespace: Network Designers.
#define NS_NETDES (60)

/// Naming an address: only the host's part of the name.
#define NI_NOFQDN 0x01
/// Naming an address: the address in writing.
#define NI_NUMERICHOST 0x02
/// Naming an address: fail where it has no name.
#define NI_NAMEREQD 0x04
/// Naming an address: the port in writing.
#define NI_NUMERICSERV 0x08
/// Naming an address: the service of the port is that of datagrams.
#define NI_DGRAM 0x10
/// Characters of the longest host name, with the ending zero.
#define NI_MAXHOST 1025
/// Characters of the longest service name, with the ending zero.
#define NI_MAXSERV 32

// What closing does with data that has not been sent; the kit has it in winsock2.h, which is for user mode.
#ifndef _WINSOCK2API_
/// Treatment of unsent data on closing, for `SO_LINGER`.
typedef struct linger {
    /// Whether closing waits.
    USHORT l_onoff;
    /// Seconds that it waits.
    USHORT l_linger;
} LINGER, *PLINGER, *LPLINGER;
#endif

#ifdef __cplusplus
}
#endif

#endif // _WS2DEF_
