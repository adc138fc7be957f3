// Identifiers of network interfaces and modules.
// Stands for the part of the kit's netiodef.h that registering with the network module registrar needs.

#ifndef _NETIODEF_
#define _NETIODEF_

#include <ws2def.h>
#include <ws2ipdef.h>
#include <mswsockdef.h>
#include <mstcpip.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Identifier of a network programming interface.
typedef GUID NPIID;
/// Identifier of a network programming interface that is only read.
typedef CONST NPIID *PNPIID;

/// How a network module is named.
typedef enum _NPI_MODULEID_TYPE {
    /// By an identifier of its own.
    MIT_GUID = 1,
    /// By its network interface.
    MIT_IF_LUID
} NPI_MODULEID_TYPE;

/// Identifier of a network module.
typedef struct _NPI_MODULEID {
    /// Size of this structure.
    USHORT Length;
    /// Which of the two it is.
    NPI_MODULEID_TYPE Type;
    union {
        /// Identifier of the module's own.
        GUID Guid;
        /// Identifier of its network interface.
        LUID IfLuid;
    };
} NPI_MODULEID;
/// Identifier of a network module that is only read.
typedef CONST NPI_MODULEID *PNPI_MODULEID;

/// Identifier of the network module registrar itself.
extern CONST NPI_MODULEID NPI_MS_NMR_MODULEID;

/// Whether two network modules are the same.
FORCEINLINE BOOLEAN NmrIsEqualNpiModuleId(_In_ PNPI_MODULEID ModuleId1, _In_ PNPI_MODULEID ModuleId2)
{
    if (ModuleId1->Type != ModuleId2->Type) {
        return FALSE;
    }
    switch (ModuleId1->Type) {
    case MIT_GUID:
        return (BOOLEAN)(__builtin_memcmp(&ModuleId1->Guid, &ModuleId2->Guid, sizeof(GUID)) == 0);
    case MIT_IF_LUID:
        return (BOOLEAN)(__builtin_memcmp(&ModuleId1->IfLuid, &ModuleId2->IfLuid, sizeof(LUID)) == 0);
    default:
        return FALSE;
    }
}

#ifdef __cplusplus
}
#endif

#endif // _NETIODEF_
