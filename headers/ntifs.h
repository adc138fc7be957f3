// The kernel's functions for file systems that drivers with Winsock Kernel also use. Stands for the kit's ntifs.h.

#ifndef _NTIFS_
#define _NTIFS_

#include <ntddk.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Waits until the object of a handle is signalled or a time has passed.
///
/// For drivers in C: `wsk-sys` does not bind it.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI ZwWaitForSingleObject(_In_ HANDLE Handle, _In_ BOOLEAN Alertable,
    _In_opt_ PLARGE_INTEGER Timeout);

#ifdef __cplusplus
}
#endif

#endif // _NTIFS_
