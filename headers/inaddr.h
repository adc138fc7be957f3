// IPv4 address.
// Stands for the kit's inaddr.h.

#ifndef WSK_HEADERS_INADDR_H
#define WSK_HEADERS_INADDR_H

#include <ntdef.h>

/// IPv4 address, in network byte order.
typedef struct in_addr {
    /// The address, by bytes, words or whole.
    union {
        /// By bytes.
        struct {
            /// First byte.
            UCHAR s_b1;
            /// Second byte.
            UCHAR s_b2;
            /// Third byte.
            UCHAR s_b3;
            /// Fourth byte.
            UCHAR s_b4;
        }
        /// By bytes.
        S_un_b;
        /// By words.
        struct {
            /// First two bytes.
            USHORT s_w1;
            /// Last two bytes.
            USHORT s_w2;
        }
        /// By words.
        S_un_w;
        /// Whole.
        ULONG S_addr;
    }
    /// The address, by bytes, words or whole.
    S_un;
} IN_ADDR, *PIN_ADDR, *LPIN_ADDR;

#ifndef s_addr
/// Whole address, as if it were a member of `IN_ADDR`.
#define s_addr S_un.S_addr
/// Host on an interface message processor, the second byte of the address.
#define s_host S_un.S_un_b.s_b2
/// Network, the first byte of the address.
#define s_net S_un.S_un_b.s_b1
/// Interface message processor, the last two bytes of the address.
#define s_imp S_un.S_un_w.s_w2
/// Number of an interface message processor, the fourth byte of the address.
#define s_impno S_un.S_un_b.s_b4
/// Logical host, the third byte of the address.
#define s_lh S_un.S_un_b.s_b3
#endif

#endif // WSK_HEADERS_INADDR_H
