// IPv6 address.
// Stands for the kit's in6addr.h.

#ifndef WSK_HEADERS_IN6ADDR_H
#define WSK_HEADERS_IN6ADDR_H

#include <ntdef.h>

/// IPv6 address, in network byte order.
typedef struct in6_addr {
    /// The address, by bytes or words.
    union {
        /// By bytes.
        UCHAR Byte[16];
        /// By words.
        USHORT Word[8];
    }
    /// The address, by bytes or words.
    u;
} IN6_ADDR, *PIN6_ADDR, *LPIN6_ADDR;

#ifndef s6_addr
#define in_addr6 in6_addr
#define _S6_un u
#define _S6_u8 Byte
/// Bytes of the address, as if they were a member of `IN6_ADDR`.
#define s6_addr _S6_un._S6_u8
/// Bytes of the address, as if they were a member of `IN6_ADDR`.
#define s6_bytes u.Byte
/// Words of the address, as if they were a member of `IN6_ADDR`.
#define s6_words u.Word
#endif

#endif // WSK_HEADERS_IN6ADDR_H
