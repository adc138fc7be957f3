// Network module registrar: how clients and providers of a network programming interface find each other.
// Stands for the kit's netioddk.h.

#ifndef _NETIODDK_
#define _NETIODDK_

#include <netiodef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A client's data for the registrar. It is only read, and is valid as long as the client is registered.
typedef CONST struct _NPI_CLIENT_CHARACTERISTICS *PNPI_CLIENT_CHARACTERISTICS;
/// A provider's data for the registrar. It is only read, and is valid as long as the provider is registered.
typedef CONST struct _NPI_PROVIDER_CHARACTERISTICS *PNPI_PROVIDER_CHARACTERISTICS;
/// The data that both sides receive about each other. It is only read, and is valid as long as they are registered.
typedef CONST struct _NPI_REGISTRATION_INSTANCE *PNPI_REGISTRATION_INSTANCE;

/// One implementation of a network programming interface by one module.
typedef struct _NPI_REGISTRATION_INSTANCE {
    /// Zero.
    USHORT Version;
    /// Size of this structure.
    USHORT Size;
    /// Identifier of the interface.
    PNPIID NpiId;
    /// Identifier of the module.
    PNPI_MODULEID ModuleId;
    /// Number of the implementation in its module.
    ULONG Number;
    /// More data that the interface requires, or NULL.
    CONST VOID *NpiSpecificCharacteristics OPTIONAL;
} NPI_REGISTRATION_INSTANCE;

/// Table of a network programming interface with the handle that its functions take.
typedef struct _NPI {
    /// The handle.
    HANDLE Handle;
    /// The table.
    CONST VOID *Dispatch;
} NPI;

/// Tells a client of a provider, which it may attach to.
typedef _IRQL_requires_max_(PASSIVE_LEVEL) NTSTATUS(NTAPI NPI_CLIENT_ATTACH_PROVIDER_FN)(
    _In_ HANDLE NmrBindingHandle,
    _In_ PVOID ClientContext,
    _In_ PNPI_REGISTRATION_INSTANCE ProviderRegistrationInstance);
/// Pointer to a function that tells a client of a provider.
typedef NPI_CLIENT_ATTACH_PROVIDER_FN *PNPI_CLIENT_ATTACH_PROVIDER_FN;

/// Asks a client to detach from a provider.
typedef _IRQL_requires_max_(PASSIVE_LEVEL) NTSTATUS(NTAPI NPI_CLIENT_DETACH_PROVIDER_FN)(
    _In_ PVOID ClientBindingContext);
/// Pointer to a function that asks a client to detach.
typedef NPI_CLIENT_DETACH_PROVIDER_FN *PNPI_CLIENT_DETACH_PROVIDER_FN;

/// Tells a client that its context for a provider is no longer used.
typedef _IRQL_requires_max_(PASSIVE_LEVEL) VOID(NTAPI NPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN)(
    _In_ PVOID ClientBindingContext);
/// Pointer to a function that tells a client that its context is no longer used.
typedef NPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN *PNPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN;

/// A client's data for the registrar.
typedef struct _NPI_CLIENT_CHARACTERISTICS {
    /// Zero.
    USHORT Version;
    /// Size of this structure.
    USHORT Length;
    /// Tells of a provider.
    PNPI_CLIENT_ATTACH_PROVIDER_FN ClientAttachProvider;
    /// Asks to detach from a provider.
    PNPI_CLIENT_DETACH_PROVIDER_FN ClientDetachProvider;
    /// Tells that a context is no longer used, or NULL.
    PNPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN ClientCleanupBindingContext;
    /// The implementation of the client.
    NPI_REGISTRATION_INSTANCE ClientRegistrationInstance;
} NPI_CLIENT_CHARACTERISTICS;

/// Tells a provider of a client that attaches to it.
typedef _IRQL_requires_max_(PASSIVE_LEVEL) NTSTATUS(NTAPI NPI_PROVIDER_ATTACH_CLIENT_FN)(
    _In_ HANDLE NmrBindingHandle,
    _In_ PVOID ProviderContext,
    _In_ PNPI_REGISTRATION_INSTANCE ClientRegistrationInstance,
    _In_ PVOID ClientBindingContext,
    _In_ CONST VOID *ClientDispatch,
    _Out_ PVOID *ProviderBindingContext,
    _Out_ CONST VOID **ProviderDispatch);
/// Pointer to a function that tells a provider of a client.
typedef NPI_PROVIDER_ATTACH_CLIENT_FN *PNPI_PROVIDER_ATTACH_CLIENT_FN;

/// Asks a provider to detach from a client.
typedef _IRQL_requires_max_(PASSIVE_LEVEL) NTSTATUS(NTAPI NPI_PROVIDER_DETACH_CLIENT_FN)(
    _In_ PVOID ProviderBindingContext);
/// Pointer to a function that asks a provider to detach.
typedef NPI_PROVIDER_DETACH_CLIENT_FN *PNPI_PROVIDER_DETACH_CLIENT_FN;

/// Tells a provider that its context for a client is no longer used.
typedef _IRQL_requires_max_(PASSIVE_LEVEL) VOID(NTAPI NPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN)(
    _In_ PVOID ProviderBindingContext);
/// Pointer to a function that tells a provider that its context is no longer used.
typedef NPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN *PNPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN;

/// A provider's data for the registrar.
typedef struct _NPI_PROVIDER_CHARACTERISTICS {
    /// Zero.
    USHORT Version;
    /// Size of this structure.
    USHORT Length;
    /// Tells of a client.
    PNPI_PROVIDER_ATTACH_CLIENT_FN ProviderAttachClient;
    /// Asks to detach from a client.
    PNPI_PROVIDER_DETACH_CLIENT_FN ProviderDetachClient;
    /// Tells that a context is no longer used, or NULL.
    PNPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN ProviderCleanupBindingContext;
    /// The implementation of the provider.
    NPI_REGISTRATION_INSTANCE ProviderRegistrationInstance;
} NPI_PROVIDER_CHARACTERISTICS;

/// Registers a client.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSTATUS NmrRegisterClient(_In_ PNPI_CLIENT_CHARACTERISTICS ClientCharacteristics,
    _In_opt_ __drv_aliasesMem PVOID ClientContext, _Out_ PHANDLE NmrClientHandle);

/// Begins to deregister a client.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSTATUS NmrDeregisterClient(_In_ HANDLE NmrClientHandle);

/// Waits until a client is deregistered.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSTATUS NmrWaitForClientDeregisterComplete(_In_ HANDLE NmrClientHandle);

/// Attaches a client to a provider.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSTATUS NmrClientAttachProvider(_In_ HANDLE NmrBindingHandle, _In_ __drv_aliasesMem PVOID ClientBindingContext,
    _In_ CONST VOID *ClientDispatch, _Out_ PVOID *ProviderBindingContext, _Out_ CONST VOID **ProviderDispatch);

/// Says that a client has detached from a provider.
_IRQL_requires_max_(DISPATCH_LEVEL)
VOID NmrClientDetachProviderComplete(_In_ HANDLE NmrBindingHandle);

/// Registers a provider.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSTATUS NmrRegisterProvider(_In_ PNPI_PROVIDER_CHARACTERISTICS ProviderCharacteristics,
    _In_opt_ __drv_aliasesMem PVOID ProviderContext, _Out_ PHANDLE NmrProviderHandle);

/// Begins to deregister a provider.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSTATUS NmrDeregisterProvider(_In_ HANDLE NmrProviderHandle);

/// Waits until a provider is deregistered.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSTATUS NmrWaitForProviderDeregisterComplete(_In_ HANDLE NmrProviderHandle);

/// Says that a provider has detached from a client.
_IRQL_requires_max_(DISPATCH_LEVEL)
VOID NmrProviderDetachClientComplete(_In_ HANDLE NmrBindingHandle);

#ifdef __cplusplus
}
#endif

#endif // _NETIODDK_
