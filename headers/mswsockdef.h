// Extensions that Microsoft's sockets have beyond Windows Sockets 2.
// Stands for the kit's mswsockdef.h, without registered I/O, which is for user mode.

#ifndef _MSWSOCKDEF_
#define _MSWSOCKDEF_

#include <ws2def.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Bytes of a socket address by address family, in a table of the kit's libraries.
extern CONST UCHAR sockaddr_size[AF_MAX];

/// Bytes of a socket address of this family.
FORCEINLINE UCHAR SOCKADDR_SIZE(_In_ ADDRESS_FAMILY af)
{
    return sockaddr_size[af < AF_MAX ? af : AF_UNSPEC];
}

/// How far the area that a scope identifier names reaches.
FORCEINLINE SCOPE_LEVEL ScopeLevel(_In_ SCOPE_ID ScopeId)
{
    return (SCOPE_LEVEL)ScopeId.Level;
}

/// Makes the socket behave as on an older Windows, as a `WSA_COMPATIBILITY_MODE`.
#define SIO_SET_COMPATIBILITY_MODE _WSAIOW(IOC_VENDOR, 300)

/// A behavior that can be that of an older Windows.
typedef enum _WSA_COMPATIBILITY_BEHAVIOR_ID {
    /// Everything.
    WsaBehaviorAll = 0,
    /// Buffering of received data.
    WsaBehaviorReceiveBuffering,
    /// Tuning of the receive window.
    WsaBehaviorAutoTuning
} WSA_COMPATIBILITY_BEHAVIOR_ID, *PWSA_COMPATIBILITY_BEHAVIOR_ID;

/// A behavior, and the older Windows whose behavior it is.
typedef struct _WSA_COMPATIBILITY_MODE {
    /// The behavior.
    WSA_COMPATIBILITY_BEHAVIOR_ID BehaviorId;
    /// `NTDDI_VERSION` of the older Windows.
    ULONG TargetOsVersion;
} WSA_COMPATIBILITY_MODE, *PWSA_COMPATIBILITY_MODE;

#ifdef __cplusplus
}
#endif

#endif // _MSWSOCKDEF_
