// What the kernel has for file systems, as far as drivers of Winsock Kernel have asked for it. Stands for the kit's ntifs.h.

#ifndef _NTIFS_
#define _NTIFS_

#include <ntddk.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Waits until what a handle stands for is signalled or a time has passed.
///
/// For drivers in C: `wsk-sys` does not bind it.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI ZwWaitForSingleObject(_In_ HANDLE Handle, _In_ BOOLEAN Alertable,
    _In_opt_ PLARGE_INTEGER Timeout);

#ifdef __cplusplus
}
#endif

#endif // _NTIFS_
