// Sockets over IPv4 and IPv6: addresses, options of IP, TCP and UDP, and the control information of datagrams.
// Stands for the kit's ws2ipdef.h, for Windows 7 and later.

#ifndef _WS2IPDEF_
#define _WS2IPDEF_

#include <ws2def.h>
#include <in6addr.h>

#ifdef __cplusplus
extern "C" {
#endif

// Socket addresses.

/// IPv6 socket address.
typedef struct sockaddr_in6 {
    /// `AF_INET6`.
    ADDRESS_FAMILY sin6_family;
    /// Port, in network byte order.
    USHORT sin6_port;
    /// Flow label and traffic class.
    ULONG sin6_flowinfo;
    /// Address, in network byte order.
    IN6_ADDR sin6_addr;
    union {
        /// Which area the address belongs to; for link-local addresses, the interface.
        ULONG sin6_scope_id;
        /// The same by its parts.
        SCOPE_ID sin6_scope_struct;
    };
} SOCKADDR_IN6_LH, *PSOCKADDR_IN6_LH, *LPSOCKADDR_IN6_LH;

/// IPv6 socket address, as Windows 2000 declared it.
typedef struct sockaddr_in6_w2ksp1 {
    /// `AF_INET6`.
    short sin6_family;
    /// Port, in network byte order.
    USHORT sin6_port;
    /// Flow label and traffic class.
    ULONG sin6_flowinfo;
    /// Address, in network byte order.
    struct in6_addr sin6_addr;
    /// Which area the address belongs to; for link-local addresses, the interface.
    ULONG sin6_scope_id;
} SOCKADDR_IN6_W2KSP1, *PSOCKADDR_IN6_W2KSP1, *LPSOCKADDR_IN6_W2KSP1;

/// IPv6 socket address.
typedef SOCKADDR_IN6_LH SOCKADDR_IN6, *PSOCKADDR_IN6, *LPSOCKADDR_IN6;

/// IPv4 or IPv6 socket address.
typedef union _SOCKADDR_INET {
    /// As an IPv4 one.
    SOCKADDR_IN Ipv4;
    /// As an IPv6 one.
    SOCKADDR_IN6 Ipv6;
    /// Address family, which says which of the two it is.
    ADDRESS_FAMILY si_family;
} SOCKADDR_INET, *PSOCKADDR_INET;

/// Pair of IPv6 socket addresses.
typedef struct _sockaddr_in6_pair {
    /// Where from.
    PSOCKADDR_IN6 SourceAddress;
    /// Where to.
    PSOCKADDR_IN6 DestinationAddress;
} SOCKADDR_IN6_PAIR, *PSOCKADDR_IN6_PAIR;

/// IPv6 socket address, as drafts of the standard had it.
struct sockaddr_in6_old {
    /// `AF_INET6`.
    SHORT sin6_family;
    /// Port, in network byte order.
    USHORT sin6_port;
    /// Flow label and traffic class.
    ULONG sin6_flowinfo;
    /// Address, in network byte order.
    IN6_ADDR sin6_addr;
};

/// Address of an interface, as `SIO_GET_INTERFACE_LIST` gives it.
typedef union sockaddr_gen {
    /// As any address.
    struct sockaddr Address;
    /// As an IPv4 one.
    struct sockaddr_in AddressIn;
    /// As an older IPv6 one.
    struct sockaddr_in6_old AddressIn6;
} sockaddr_gen;

/// Interface, as `SIO_GET_INTERFACE_LIST` gives it.
typedef struct _INTERFACE_INFO {
    /// `IFF_…` flags.
    ULONG iiFlags;
    /// Its address.
    sockaddr_gen iiAddress;
    /// Its broadcast address.
    sockaddr_gen iiBroadcastAddress;
    /// Its network mask.
    sockaddr_gen iiNetmask;
} INTERFACE_INFO, *LPINTERFACE_INFO;

/// Interface, as `SIO_GET_INTERFACE_LIST_EX` gives it.
typedef struct _INTERFACE_INFO_EX {
    /// `IFF_…` flags.
    ULONG iiFlags;
    /// Its address.
    SOCKET_ADDRESS iiAddress;
    /// Its broadcast address.
    SOCKET_ADDRESS iiBroadcastAddress;
    /// Its network mask.
    SOCKET_ADDRESS iiNetmask;
} INTERFACE_INFO_EX, *LPINTERFACE_INFO_EX;

/// Interface: it is running.
#define IFF_UP 0x00000001
/// Interface: it has broadcasts.
#define IFF_BROADCAST 0x00000002
/// Interface: it leads back to this machine.
#define IFF_LOOPBACK 0x00000004
/// Interface: it leads to one other machine.
#define IFF_POINTTOPOINT 0x00000008
/// Interface: it has multicast.
#define IFF_MULTICAST 0x00000010

/// Port of an IPv4 or IPv6 socket address, as a member of it.
#define SS_PORT(ssp) (((PSOCKADDR_IN)(ssp))->sin_port)

// Options and control information of IPv4, at level IPPROTO_IP.

/// How a socket finds out the largest packet on its path.
typedef enum _PMTUD_STATE {
    /// As the system is set.
    IP_PMTUDISC_NOT_SET,
    /// Finds it out, and never fragments.
    IP_PMTUDISC_DO,
    /// Doesn't, and fragments.
    IP_PMTUDISC_DONT,
    /// Sends packets of any requested size, and never fragments them.
    IP_PMTUDISC_PROBE,
    /// Number of ways.
    IP_PMTUDISC_MAX
} PMTUD_STATE, *PPMTUD_STATE;

/// IP options of sent packets.
#define IP_OPTIONS 1
/// Data starts with the IP header.
#define IP_HDRINCL 2
/// Type of service of sent packets, as an option or as control information.
#define IP_TOS 3
/// Time to live of sent packets, as an option or as control information.
#define IP_TTL 4
/// Interface that multicast is sent on.
#define IP_MULTICAST_IF 9
/// Time to live of multicast that is sent.
#define IP_MULTICAST_TTL 10
/// Whether multicast comes back to this machine.
#define IP_MULTICAST_LOOP 11
/// Joins a multicast group, as an `IP_MREQ`.
#define IP_ADD_MEMBERSHIP 12
/// Leaves a multicast group, as an `IP_MREQ`.
#define IP_DROP_MEMBERSHIP 13
/// Forbids fragmenting sent packets.
#define IP_DONTFRAGMENT 14
/// Joins a multicast group for one sender, as an `IP_MREQ_SOURCE`.
#define IP_ADD_SOURCE_MEMBERSHIP 15
/// Leaves a multicast group for one sender, as an `IP_MREQ_SOURCE`.
#define IP_DROP_SOURCE_MEMBERSHIP 16
/// Shuts out a sender of a multicast group, as an `IP_MREQ_SOURCE`.
#define IP_BLOCK_SOURCE 17
/// Lets a sender of a multicast group in again, as an `IP_MREQ_SOURCE`.
#define IP_UNBLOCK_SOURCE 18
/// Asks for the local address and interface of each datagram; as control information, an `IN_PKTINFO`.
#define IP_PKTINFO 19
/// Asks for the time to live of each datagram; as control information, an INT.
#define IP_HOPLIMIT 21
/// Asks for the time to live of each datagram.
#define IP_RECVTTL 21
/// Whether broadcasts are received.
#define IP_RECEIVE_BROADCAST 22
/// Asks for the interface of each datagram; as control information, a ULONG.
#define IP_RECVIF 24
/// Asks for the destination of each datagram; as control information, an `IN_ADDR`.
#define IP_RECVDSTADDR 25
/// Whether the list of interfaces is kept to.
#define IP_IFLIST 28
/// Adds an interface to the list.
#define IP_ADD_IFLIST 29
/// Takes an interface off the list.
#define IP_DEL_IFLIST 30
/// Interface on which packets other than multicast are sent, in network byte order.
#define IP_UNICAST_IF 31
/// Routing header of sent packets, as control information.
#define IP_RTHDR 32
/// Asks for the list of interfaces.
#define IP_GET_IFLIST 33
/// Asks for the routing header of each datagram.
#define IP_RECVRTHDR 38
/// Traffic class of a datagram, as control information.
#define IP_TCLASS 39
/// Asks for the traffic class of each datagram.
#define IP_RECVTCLASS 40
/// Asks for the type of service of each datagram.
#define IP_RECVTOS 40
/// Asks for the interface that each datagram first arrived on; as control information, a ULONG.
#define IP_ORIGINAL_ARRIVAL_IF 47
/// Congestion notification bits of a datagram, as control information.
#define IP_ECN 50
/// Asks for the congestion notification bits of each datagram.
#define IP_RECVECN 50
/// Local address, interface and scope of a datagram, as control information: an `IN_PKTINFO_EX`.
#define IP_PKTINFO_EX 51
/// Records of a redirection, as control information.
#define IP_WFP_REDIRECT_RECORDS 60
/// Context of a redirection, as control information.
#define IP_WFP_REDIRECT_CONTEXT 70
/// How the largest packet on the path is found out, as a `PMTUD_STATE`.
#define IP_MTU_DISCOVER 71
/// Largest packet on the path of a connected socket.
#define IP_MTU 73
/// Interface for traffic that need not be in real time.
#define IP_NRT_INTERFACE 74
/// Asks for errors of datagrams that were sent; as control information, an `IN_RECVERR`.
#define IP_RECVERR 75
/// Upper limit of the largest packet on the path.
#define IP_USER_MTU 76
/// No type of service in particular.
#define IP_UNSPECIFIED_TYPE_OF_SERVICE -1
/// No upper limit of the largest packet on the path.
#define IP_UNSPECIFIED_USER_MTU MAXULONG
/// No hop limit in particular.
#define IP_UNSPECIFIED_HOP_LIMIT -1
/// How far away senders may be, for IPv4.
#define IP_PROTECTION_LEVEL IPV6_PROTECTION_LEVEL

// Options and control information of IPv6, at level IPPROTO_IPV6.

/// Hop-by-hop options, as control information.
#define IPV6_HOPOPTS 1
/// Data starts with the IP header.
#define IPV6_HDRINCL 2
/// Hop limit of sent packets other than multicast.
#define IPV6_UNICAST_HOPS 4
/// Interface that multicast is sent on.
#define IPV6_MULTICAST_IF 9
/// Hop limit of multicast that is sent.
#define IPV6_MULTICAST_HOPS 10
/// Whether multicast comes back to this machine.
#define IPV6_MULTICAST_LOOP 11
/// Joins a multicast group, as an `IPV6_MREQ`.
#define IPV6_ADD_MEMBERSHIP 12
/// Joins a multicast group, as an `IPV6_MREQ`.
#define IPV6_JOIN_GROUP IPV6_ADD_MEMBERSHIP
/// Leaves a multicast group, as an `IPV6_MREQ`.
#define IPV6_DROP_MEMBERSHIP 13
/// Leaves a multicast group, as an `IPV6_MREQ`.
#define IPV6_LEAVE_GROUP IPV6_DROP_MEMBERSHIP
/// Forbids fragmenting sent packets.
#define IPV6_DONTFRAG 14
/// Asks for the local address and interface of each datagram; as control information, an `IN6_PKTINFO`.
#define IPV6_PKTINFO 19
/// Asks for the hop limit of each datagram. As control information, an INT, also the hop limit of a sent datagram.
#define IPV6_HOPLIMIT 21
/// How far away senders may be, as a `PROTECTION_LEVEL_…`.
#define IPV6_PROTECTION_LEVEL 23
/// Asks for the interface of each datagram; as control information, a ULONG.
#define IPV6_RECVIF 24
/// Asks for the destination of each datagram; as control information, an `IN6_ADDR`.
#define IPV6_RECVDSTADDR 25
/// Where in a raw packet the checksum is.
#define IPV6_CHECKSUM 26
/// Whether the socket is for IPv6 alone, and not for IPv4 as mapped addresses too.
#define IPV6_V6ONLY 27
/// Whether the list of interfaces is kept to.
#define IPV6_IFLIST 28
/// Adds an interface to the list.
#define IPV6_ADD_IFLIST 29
/// Takes an interface off the list.
#define IPV6_DEL_IFLIST 30
/// Interface on which packets other than multicast are sent.
#define IPV6_UNICAST_IF 31
/// Routing header of sent packets, as control information.
#define IPV6_RTHDR 32
/// Asks for the list of interfaces.
#define IPV6_GET_IFLIST 33
/// Asks for the routing header of each datagram.
#define IPV6_RECVRTHDR 38
/// Traffic class of a datagram, as an option or as control information.
#define IPV6_TCLASS 39
/// Asks for the traffic class of each datagram.
#define IPV6_RECVTCLASS 40
/// Congestion notification bits of a datagram, as control information.
#define IPV6_ECN 50
/// Asks for the congestion notification bits of each datagram.
#define IPV6_RECVECN 50
/// Local address, interface and scope of a datagram, as control information: an `IN6_PKTINFO_EX`.
#define IPV6_PKTINFO_EX 51
/// Records of a redirection, as control information.
#define IPV6_WFP_REDIRECT_RECORDS 60
/// Context of a redirection, as control information.
#define IPV6_WFP_REDIRECT_CONTEXT 70
/// How the largest packet on the path is found out, as a `PMTUD_STATE`.
#define IPV6_MTU_DISCOVER 71
/// Largest packet on the path of a connected socket.
#define IPV6_MTU 72
/// Interface for traffic that need not be in real time.
#define IPV6_NRT_INTERFACE 74
/// Asks for errors of datagrams that were sent; as control information, an `IN_RECVERR`.
#define IPV6_RECVERR 75
/// Upper limit of the largest packet on the path.
#define IPV6_USER_MTU 76

/// Senders may be anywhere, also behind a Teredo relay.
#define PROTECTION_LEVEL_UNRESTRICTED 10
/// Senders may be anywhere, but not behind a Teredo relay.
#define PROTECTION_LEVEL_EDGERESTRICTED 20
/// Senders must be on the same network.
#define PROTECTION_LEVEL_RESTRICTED 30
/// As the system is set.
#define PROTECTION_LEVEL_DEFAULT ((UINT)-1)

// Multicast.

/// Joins a multicast group, as a `GROUP_REQ`.
#define MCAST_JOIN_GROUP 41
/// Leaves a multicast group, as a `GROUP_REQ`.
#define MCAST_LEAVE_GROUP 42
/// Shuts out a sender of a multicast group, as a `GROUP_SOURCE_REQ`.
#define MCAST_BLOCK_SOURCE 43
/// Lets a sender of a multicast group in again, as a `GROUP_SOURCE_REQ`.
#define MCAST_UNBLOCK_SOURCE 44
/// Joins a multicast group for one sender, as a `GROUP_SOURCE_REQ`.
#define MCAST_JOIN_SOURCE_GROUP 45
/// Leaves a multicast group for one sender, as a `GROUP_SOURCE_REQ`.
#define MCAST_LEAVE_SOURCE_GROUP 46

/// Whether a list of senders names those to hear, or those to shut out.
typedef enum {
    /// Those to hear.
    MCAST_INCLUDE = 0,
    /// Those to shut out.
    MCAST_EXCLUDE
} MULTICAST_MODE_TYPE;

/// IPv4 multicast group to join or leave.
typedef struct ip_mreq {
    /// The group.
    IN_ADDR imr_multiaddr;
    /// Address of the interface.
    IN_ADDR imr_interface;
} IP_MREQ, *PIP_MREQ;

/// IPv4 multicast group and one sender.
typedef struct ip_mreq_source {
    /// The group.
    IN_ADDR imr_multiaddr;
    /// The sender.
    IN_ADDR imr_sourceaddr;
    /// Address of the interface.
    IN_ADDR imr_interface;
} IP_MREQ_SOURCE, *PIP_MREQ_SOURCE;

/// IPv4 multicast group and a list of senders.
typedef struct ip_msfilter {
    /// The group.
    IN_ADDR imsf_multiaddr;
    /// Address of the interface.
    IN_ADDR imsf_interface;
    /// Meaning of the list.
    MULTICAST_MODE_TYPE imsf_fmode;
    /// Number of senders.
    ULONG imsf_numsrc;
    /// First of the senders.
    IN_ADDR imsf_slist[1];
} IP_MSFILTER, *PIP_MSFILTER;

/// Bytes of a filter with this many IPv4 senders.
#define IP_MSFILTER_SIZE(NumSources) (sizeof(IP_MSFILTER) - sizeof(IN_ADDR) + (NumSources) * sizeof(IN_ADDR))

/// IPv6 multicast group to join or leave.
typedef struct ipv6_mreq {
    /// The group.
    IN6_ADDR ipv6mr_multiaddr;
    /// Index of the interface, or zero.
    ULONG ipv6mr_interface;
} IPV6_MREQ, *PIPV6_MREQ;

/// Multicast group of either family to join or leave.
typedef struct group_req {
    /// Index of the interface, or zero.
    ULONG gr_interface;
    /// The group.
    SOCKADDR_STORAGE gr_group;
} GROUP_REQ, *PGROUP_REQ;

/// Multicast group of either family and one sender.
typedef struct group_source_req {
    /// Index of the interface, or zero.
    ULONG gsr_interface;
    /// The group.
    SOCKADDR_STORAGE gsr_group;
    /// The sender.
    SOCKADDR_STORAGE gsr_source;
} GROUP_SOURCE_REQ, *PGROUP_SOURCE_REQ;

/// Multicast group of either family and a list of senders.
typedef struct group_filter {
    /// Index of the interface, or zero.
    ULONG gf_interface;
    /// The group.
    SOCKADDR_STORAGE gf_group;
    /// Meaning of the list.
    MULTICAST_MODE_TYPE gf_fmode;
    /// Number of senders.
    ULONG gf_numsrc;
    /// First of the senders.
    SOCKADDR_STORAGE gf_slist[1];
} GROUP_FILTER, *PGROUP_FILTER;

/// Bytes of a filter with this many senders.
#define GROUP_FILTER_SIZE(numsrc) \
    (sizeof(GROUP_FILTER) - sizeof(SOCKADDR_STORAGE) + (numsrc) * sizeof(SOCKADDR_STORAGE))

/// Asks for the interfaces with their addresses.
#define SIO_GET_INTERFACE_LIST _IOR('t', 127, ULONG)
/// Asks for the interfaces with their addresses of either family.
#define SIO_GET_INTERFACE_LIST_EX _IOR('t', 126, ULONG)
/// Sets the senders of an IPv4 multicast group.
#define SIO_SET_MULTICAST_FILTER _IOW('t', 125, ULONG)
/// Asks for the senders of an IPv4 multicast group.
#define SIO_GET_MULTICAST_FILTER _IOW('t', 124 | IOC_IN, ULONG)
/// Sets the senders of an IPv4 multicast group.
#define SIOCSIPMSFILTER SIO_SET_MULTICAST_FILTER
/// Asks for the senders of an IPv4 multicast group.
#define SIOCGIPMSFILTER SIO_GET_MULTICAST_FILTER
/// Sets the senders of a multicast group.
#define SIOCSMSFILTER _IOW('t', 126, ULONG)
/// Asks for the senders of a multicast group.
#define SIOCGMSFILTER _IOW('t', 127 | IOC_IN, ULONG)
/// Asks how much unsent data keeps a connection busiest.
#define SIO_IDEAL_SEND_BACKLOG_QUERY _IOR('t', 123, ULONG)
/// Completes when that changes.
#define SIO_IDEAL_SEND_BACKLOG_CHANGE _IO('t', 122)

// Control information.

/// Local address and interface of an IPv4 datagram.
typedef struct in_pktinfo {
    /// Where a received datagram was sent to, or where one is sent from.
    IN_ADDR ipi_addr;
    /// Index of the interface, or zero.
    ULONG ipi_ifindex;
} IN_PKTINFO, *PIN_PKTINFO;
C_ASSERT(sizeof(IN_PKTINFO) == 8);

/// Local address and interface of an IPv6 datagram.
typedef struct in6_pktinfo {
    /// Where a received datagram was sent to, or where one is sent from.
    IN6_ADDR ipi6_addr;
    /// Index of the interface, or zero.
    ULONG ipi6_ifindex;
} IN6_PKTINFO, *PIN6_PKTINFO;
C_ASSERT(sizeof(IN6_PKTINFO) == 20);

/// Local address, interface and scope of an IPv4 datagram.
typedef struct in_pktinfo_ex {
    /// Address and interface.
    IN_PKTINFO pkt_info;
    /// Scope of the address.
    SCOPE_ID scope_id;
} IN_PKTINFO_EX, *PIN_PKTINFO_EX;
C_ASSERT(sizeof(IN_PKTINFO_EX) == 12);

/// Local address, interface and scope of an IPv6 datagram.
typedef struct in6_pktinfo_ex {
    /// Address and interface.
    IN6_PKTINFO pkt_info;
    /// Scope of the address.
    SCOPE_ID scope_id;
} IN6_PKTINFO_EX, *PIN6_PKTINFO_EX;
C_ASSERT(sizeof(IN6_PKTINFO_EX) == 24);

/// Error that the network reported for a datagram that was sent.
typedef struct in_recverr {
    /// Protocol of the report, `IPPROTO_ICMP` or `IPPROTO_ICMPV6`.
    IPPROTO protocol;
    /// More information in the report, such as the largest packet on the path.
    ULONG info;
    /// Type of the report.
    UINT8 type;
    /// Code of the report.
    UINT8 code;
} IN_RECVERR, *PIN_RECVERR;

/// Error that the network reported for a connection.
typedef struct icmp_error_info {
    /// Sender of the report.
    SOCKADDR_INET srcaddress;
    /// Protocol of the report, `IPPROTO_ICMP` or `IPPROTO_ICMPV6`.
    IPPROTO protocol;
    /// Type of the report.
    UINT8 type;
    /// Code of the report.
    UINT8 code;
} ICMP_ERROR_INFO, *PICMP_ERROR_INFO;

// Options of TCP, at level IPPROTO_TCP.

/// Connection may be handed to the network adapter.
#define TCP_OFFLOAD_NO_PREFERENCE 0
/// Connection should not be handed to the network adapter.
#define TCP_OFFLOAD_NOT_PREFERRED 1
/// Connection should be handed to the network adapter.
#define TCP_OFFLOAD_PREFERRED 2
/// Urgent data as RFC 1122 has it.
#define TCP_EXPEDITED_1122 0x0002
/// Seconds that a connection is idle before it is probed.
#define TCP_KEEPALIVE 3
/// Largest segment of the connection.
#define TCP_MAXSEG 4
/// Seconds that a segment is sent again and again before the connection is given up.
#define TCP_MAXRT 5
/// Urgent data as the standard has it.
#define TCP_STDURG 6
/// Urgent data is not treated as such.
#define TCP_NOURG 7
/// Whether urgent data comes next.
#define TCP_ATMARK 8
/// Connecting is tried once.
#define TCP_NOSYNRETRIES 9
/// Segments carry time stamps.
#define TCP_TIMESTAMPS 10
/// Whether the connection should be handed to the network adapter.
#define TCP_OFFLOAD_PREFERENCE 11
/// How congestion is avoided.
#define TCP_CONGESTION_ALGORITHM 12
/// The end of the connection is acknowledged late.
#define TCP_DELAY_FIN_ACK 13
/// Milliseconds that a segment is sent again and again before the connection is given up.
#define TCP_MAXRTMS 14
/// Data may go with the first segment of the connection.
#define TCP_FASTOPEN 15
/// Probes that may stay unanswered.
#define TCP_KEEPCNT 16
/// Seconds that a connection is idle before it is probed.
#define TCP_KEEPIDLE TCP_KEEPALIVE
/// Seconds between probes.
#define TCP_KEEPINTVL 17
/// Connecting fails as soon as the network reports an error.
#define TCP_FAIL_CONNECT_ON_ICMP_ERROR 18
/// Error that the network reported, as an `ICMP_ERROR_INFO`.
#define TCP_ICMP_ERROR_INFO 19

// Options and control information of UDP, at level IPPROTO_UDP. The kit has the first and the last in ws2tcpip.h, which
// is for user mode.

/// Datagrams are sent without a checksum.
#define UDP_NOCHECKSUM 1
/// Bytes of each datagram that a larger buffer is sent as, as an option or as control information.
#define UDP_SEND_MSG_SIZE 2
/// Bytes up to which datagrams are received in one buffer.
#define UDP_RECV_MAX_COALESCED_SIZE 3
/// Bytes of each datagram in a buffer that holds several, as control information: a ULONG.
#define UDP_COALESCED_INFO 3
/// Datagrams are sent with a checksum.
#define UDP_CHECKSUM_COVERAGE 20

// Well-known addresses.

/// Characters of the longest IPv4 address and port in writing, with the ending zero.
#define INET_ADDRSTRLEN 22
/// Characters of the longest IPv6 address and port in writing, with the ending zero.
#define INET6_ADDRSTRLEN 65
/// Bits of an IPv6 address.
#define IPV6_ADDRESS_BITS RTL_BITS_OF(IN6_ADDR)
/// Initialiser of the IPv6 wildcard address: any local address.
#define IN6ADDR_ANY_INIT {{{0}}}
/// Initialiser of the IPv6 loopback address.
#define IN6ADDR_LOOPBACK_INIT {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}}
/// Initialiser of the IPv6 group of all nodes on this machine.
#define IN6ADDR_ALLNODESONNODE_INIT {{{0xff, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01}}}
/// Initialiser of the IPv6 group of every machine on the link.
#define IN6ADDR_ALLNODESONLINK_INIT {{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01}}}
/// Initialiser of the IPv6 group of every router on the link.
#define IN6ADDR_ALLROUTERSONLINK_INIT {{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02}}}
/// Initialiser of the prefix of link-local IPv6 addresses.
#define IN6ADDR_LINKLOCALPREFIX_INIT {{{0xfe, 0x80}}}
/// Initialiser of the prefix of IPv6 groups.
#define IN6ADDR_MULTICASTPREFIX_INIT {{{0xff, 0x00}}}
/// Initialiser of the prefix of mapped IPv4 addresses.
#define IN6ADDR_V4MAPPEDPREFIX_INIT {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}}}
/// Bits of the prefix of link-local IPv6 addresses.
#define IN6ADDR_LINKLOCALPREFIX_LENGTH 64
/// Bits of the prefix of IPv6 groups.
#define IN6ADDR_MULTICASTPREFIX_LENGTH 8
/// Bits of the prefix of solicited-node groups.
#define IN6ADDR_SOLICITEDNODEMULTICASTPREFIX_LENGTH 104
/// Bits of the prefix of mapped IPv4 addresses.
#define IN6ADDR_V4MAPPEDPREFIX_LENGTH 96
/// Bits of the prefix of 6to4 addresses.
#define IN6ADDR_6TO4PREFIX_LENGTH 16
/// Bits of the prefix of Teredo addresses.
#define IN6ADDR_TEREDOPREFIX_LENGTH 32

/// Scope identifier that names no area.
extern CONST SCOPE_ID scopeid_unspecified;
/// IPv4 wildcard address: any local address.
extern CONST IN_ADDR in4addr_any;
/// IPv4 loopback address.
extern CONST IN_ADDR in4addr_loopback;
/// IPv4 address that reaches everyone on the link.
extern CONST IN_ADDR in4addr_broadcast;
/// IPv6 wildcard address: any local address.
extern CONST IN6_ADDR in6addr_any;
/// IPv6 loopback address.
extern CONST IN6_ADDR in6addr_loopback;

/// Whether two IPv6 addresses are the same.
FORCEINLINE BOOLEAN IN6_ADDR_EQUAL(CONST IN6_ADDR *x, CONST IN6_ADDR *y)
{
    return (BOOLEAN)(__builtin_memcmp(x, y, sizeof(IN6_ADDR)) == 0);
}
/// Whether two IPv6 addresses are the same.
#define IN6_ARE_ADDR_EQUAL IN6_ADDR_EQUAL

/// Whether the first bytes of an IPv6 address, as many as are counted, are all zero.
FORCEINLINE BOOLEAN WskIn6StartsWithZeroes(CONST IN6_ADDR *a, ULONG Count)
{
    ULONG i;
    for (i = 0; i < Count; ++i) {
        if (a->s6_bytes[i] != 0) {
            return FALSE;
        }
    }
    return TRUE;
}

/// Whether an IPv6 address is the wildcard address.
FORCEINLINE BOOLEAN IN6_IS_ADDR_UNSPECIFIED(CONST IN6_ADDR *a)
{
    return WskIn6StartsWithZeroes(a, 16);
}

/// Whether an IPv6 address is the loopback address.
FORCEINLINE BOOLEAN IN6_IS_ADDR_LOOPBACK(CONST IN6_ADDR *a)
{
    return (BOOLEAN)(WskIn6StartsWithZeroes(a, 15) && a->s6_bytes[15] == 1);
}

/// Whether an IPv6 address is multicast.
FORCEINLINE BOOLEAN IN6_IS_ADDR_MULTICAST(CONST IN6_ADDR *a)
{
    return (BOOLEAN)(a->s6_bytes[0] == 0xff);
}

/// Whether an IPv6 address is for one link only.
FORCEINLINE BOOLEAN IN6_IS_ADDR_LINKLOCAL(CONST IN6_ADDR *a)
{
    return (BOOLEAN)(a->s6_bytes[0] == 0xfe && (a->s6_bytes[1] & 0xc0) == 0x80);
}

/// Whether an IPv6 address is for one site only.
FORCEINLINE BOOLEAN IN6_IS_ADDR_SITELOCAL(CONST IN6_ADDR *a)
{
    return (BOOLEAN)(a->s6_bytes[0] == 0xfe && (a->s6_bytes[1] & 0xc0) == 0xc0);
}

/// Whether an IPv6 address is a mapped IPv4 one.
FORCEINLINE BOOLEAN IN6_IS_ADDR_V4MAPPED(CONST IN6_ADDR *a)
{
    return (BOOLEAN)(WskIn6StartsWithZeroes(a, 10) && a->s6_bytes[10] == 0xff && a->s6_bytes[11] == 0xff);
}

/// How far a multicast IPv6 address reaches, as four bits of it say.
FORCEINLINE SCOPE_LEVEL WskIn6MulticastScope(CONST IN6_ADDR *a)
{
    return (SCOPE_LEVEL)(a->s6_bytes[1] & 0x0f);
}

/// Whether an IPv6 address is multicast on this machine only.
FORCEINLINE BOOLEAN IN6_IS_ADDR_MC_NODELOCAL(CONST IN6_ADDR *a)
{
    return (BOOLEAN)(IN6_IS_ADDR_MULTICAST(a) && WskIn6MulticastScope(a) == ScopeLevelInterface);
}

/// Whether an IPv6 address is multicast on one link only.
FORCEINLINE BOOLEAN IN6_IS_ADDR_MC_LINKLOCAL(CONST IN6_ADDR *a)
{
    return (BOOLEAN)(IN6_IS_ADDR_MULTICAST(a) && WskIn6MulticastScope(a) == ScopeLevelLink);
}

/// Whether an IPv6 address is multicast on one site only.
FORCEINLINE BOOLEAN IN6_IS_ADDR_MC_SITELOCAL(CONST IN6_ADDR *a)
{
    return (BOOLEAN)(IN6_IS_ADDR_MULTICAST(a) && WskIn6MulticastScope(a) == ScopeLevelSite);
}

/// Whether an IPv6 address is multicast in one organization only.
FORCEINLINE BOOLEAN IN6_IS_ADDR_MC_ORGLOCAL(CONST IN6_ADDR *a)
{
    return (BOOLEAN)(IN6_IS_ADDR_MULTICAST(a) && WskIn6MulticastScope(a) == ScopeLevelOrganization);
}

/// Whether an IPv6 address is multicast everywhere.
FORCEINLINE BOOLEAN IN6_IS_ADDR_MC_GLOBAL(CONST IN6_ADDR *a)
{
    return (BOOLEAN)(IN6_IS_ADDR_MULTICAST(a) && WskIn6MulticastScope(a) == ScopeLevelGlobal);
}

/// Makes an IPv6 address the wildcard address.
FORCEINLINE VOID IN6_SET_ADDR_UNSPECIFIED(PIN6_ADDR a)
{
    __builtin_memset(a, 0, sizeof(*a));
}

/// Makes an IPv6 address the loopback address.
FORCEINLINE VOID IN6_SET_ADDR_LOOPBACK(PIN6_ADDR a)
{
    IN6_SET_ADDR_UNSPECIFIED(a);
    a->s6_bytes[15] = 1;
}

/// Sets an IPv6 socket address to the wildcard address and port 0.
FORCEINLINE VOID IN6ADDR_SETANY(PSOCKADDR_IN6 a)
{
    __builtin_memset(a, 0, sizeof(*a));
    a->sin6_family = AF_INET6;
}

/// Sets an IPv6 socket address to the loopback address and port 0.
FORCEINLINE VOID IN6ADDR_SETLOOPBACK(PSOCKADDR_IN6 a)
{
    IN6ADDR_SETANY(a);
    a->sin6_addr.s6_bytes[15] = 1;
}

/// Whether an IPv6 socket address has the wildcard address.
FORCEINLINE BOOLEAN IN6ADDR_ISANY(CONST SOCKADDR_IN6 *a)
{
    return IN6_IS_ADDR_UNSPECIFIED(&a->sin6_addr);
}

/// Whether an IPv6 socket address has the loopback address.
FORCEINLINE BOOLEAN IN6ADDR_ISLOOPBACK(CONST SOCKADDR_IN6 *a)
{
    return IN6_IS_ADDR_LOOPBACK(&a->sin6_addr);
}

/// Whether two IPv6 socket addresses are the same apart from the port.
FORCEINLINE BOOLEAN IN6ADDR_ISEQUAL(CONST SOCKADDR_IN6 *a, CONST SOCKADDR_IN6 *b)
{
    return (BOOLEAN)(a->sin6_scope_id == b->sin6_scope_id && IN6_ADDR_EQUAL(&a->sin6_addr, &b->sin6_addr));
}

/// Whether an IPv6 socket address has the wildcard address, without a scope.
FORCEINLINE BOOLEAN IN6ADDR_ISUNSPECIFIED(CONST SOCKADDR_IN6 *a)
{
    return (BOOLEAN)(a->sin6_scope_id == 0 && IN6_IS_ADDR_UNSPECIFIED(&a->sin6_addr));
}

#ifdef __cplusplus
}
#endif

#endif // _WS2IPDEF_
