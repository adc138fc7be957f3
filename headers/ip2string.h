// Internet addresses as text, and text as internet addresses.
// Stands for the kit's ip2string.h.

#ifndef _IP2STRING_
#define _IP2STRING_

#include <ntdef.h>
#include <inaddr.h>
#include <in6addr.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Writes an IPv4 address as a byte string that ends in a zero, at most 16 characters, and gives where that zero is.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI PSTR NTAPI RtlIpv4AddressToStringA(_In_ CONST IN_ADDR *Addr, _Out_writes_(16) PSTR S);

/// Writes an IPv4 address, with its port unless that is zero, as a byte string that ends in a zero. Returns the length with the
/// zero.
///
/// The port is in network order. Gives `STATUS_INVALID_PARAMETER` with the length that is needed where there is no room.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv4AddressToStringExA(_In_ CONST IN_ADDR *Address, _In_ USHORT Port,
    _Out_writes_to_(*AddressStringLength, *AddressStringLength) PSTR AddressString, _Inout_ PULONG AddressStringLength);

/// Reads an IPv4 address out of a byte string, and gives where reading ended.
///
/// Strict: four numbers in decimal; else also fewer, in octal and hexadecimal.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv4StringToAddressA(_In_ PCSTR S, _In_ BOOLEAN Strict, _Out_ PCSTR *Terminator, _Out_ IN_ADDR *Addr);

/// Reads an IPv4 address with its port, if they are there, out of a byte string. The port is in network order.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv4StringToAddressExA(_In_ PCSTR AddressString, _In_ BOOLEAN Strict, _Out_ IN_ADDR *Address,
    _Out_ PUSHORT Port);

/// Writes an IPv4 address as UTF-16 that ends in a zero, at most 16 characters, and gives where that zero is.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI PWSTR NTAPI RtlIpv4AddressToStringW(_In_ CONST IN_ADDR *Addr, _Out_writes_(16) PWSTR S);

/// Writes an IPv4 address, with its port unless that is zero, as UTF-16 that ends in a zero. Returns the length with the zero.
///
/// The port is in network order. Gives `STATUS_INVALID_PARAMETER` with the length that is needed where there is no room.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv4AddressToStringExW(_In_ CONST IN_ADDR *Address, _In_ USHORT Port,
    _Out_writes_to_(*AddressStringLength, *AddressStringLength) PWSTR AddressString, _Inout_ PULONG AddressStringLength);

/// Reads an IPv4 address out of UTF-16, and gives where reading ended.
///
/// Strict: four numbers in decimal; else also fewer, in octal and hexadecimal.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv4StringToAddressW(_In_ PCWSTR S, _In_ BOOLEAN Strict, _Out_ PCWSTR *Terminator, _Out_ IN_ADDR *Addr);

/// Reads an IPv4 address with its port, if they are there, out of UTF-16. The port is in network order.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv4StringToAddressExW(_In_ PCWSTR AddressString, _In_ BOOLEAN Strict, _Out_ IN_ADDR *Address,
    _Out_ PUSHORT Port);

/// Writes an IPv6 address as a byte string that ends in a zero, at most 46 characters, and gives where that zero is.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI PSTR NTAPI RtlIpv6AddressToStringA(_In_ CONST IN6_ADDR *Addr, _Out_writes_(46) PSTR S);

/// Writes an IPv6 address, with its scope and port unless they are zero, as a byte string that ends in a zero. Returns the length
/// with the zero.
///
/// The port is in network order. Gives `STATUS_INVALID_PARAMETER` with the length that is needed where there is no room.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv6AddressToStringExA(_In_ CONST IN6_ADDR *Address, _In_ ULONG ScopeId, _In_ USHORT Port,
    _Out_writes_to_(*AddressStringLength, *AddressStringLength) PSTR AddressString, _Inout_ PULONG AddressStringLength);

/// Reads an IPv6 address out of a byte string, and gives where reading ended.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv6StringToAddressA(_In_ PCSTR S, _Out_ PCSTR *Terminator, _Out_ IN6_ADDR *Addr);

/// Reads an IPv6 address with its scope and port, if they are there, out of a byte string. The port is in network order.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv6StringToAddressExA(_In_ PCSTR AddressString, _Out_ IN6_ADDR *Address, _Out_ PULONG ScopeId,
    _Out_ PUSHORT Port);

/// Writes an IPv6 address as UTF-16 that ends in a zero, at most 46 characters, and gives where that zero is.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI PWSTR NTAPI RtlIpv6AddressToStringW(_In_ CONST IN6_ADDR *Addr, _Out_writes_(46) PWSTR S);

/// Writes an IPv6 address, with its scope and port unless they are zero, as UTF-16 that ends in a zero. Returns the length with
/// the zero.
///
/// The port is in network order. Gives `STATUS_INVALID_PARAMETER` with the length that is needed where there is no room.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv6AddressToStringExW(_In_ CONST IN6_ADDR *Address, _In_ ULONG ScopeId, _In_ USHORT Port,
    _Out_writes_to_(*AddressStringLength, *AddressStringLength) PWSTR AddressString, _Inout_ PULONG AddressStringLength);

/// Reads an IPv6 address out of UTF-16, and gives where reading ended.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv6StringToAddressW(_In_ PCWSTR S, _Out_ PCWSTR *Terminator, _Out_ IN6_ADDR *Addr);

/// Reads an IPv6 address with its scope and port, if they are there, out of UTF-16. The port is in network order.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlIpv6StringToAddressExW(_In_ PCWSTR AddressString, _Out_ IN6_ADDR *Address, _Out_ PULONG ScopeId,
    _Out_ PUSHORT Port);

#ifdef UNICODE
#define RtlIpv4AddressToString RtlIpv4AddressToStringW
#define RtlIpv4AddressToStringEx RtlIpv4AddressToStringExW
#define RtlIpv4StringToAddress RtlIpv4StringToAddressW
#define RtlIpv4StringToAddressEx RtlIpv4StringToAddressExW
#define RtlIpv6AddressToString RtlIpv6AddressToStringW
#define RtlIpv6AddressToStringEx RtlIpv6AddressToStringExW
#define RtlIpv6StringToAddress RtlIpv6StringToAddressW
#define RtlIpv6StringToAddressEx RtlIpv6StringToAddressExW
#else
#define RtlIpv4AddressToString RtlIpv4AddressToStringA
#define RtlIpv4AddressToStringEx RtlIpv4AddressToStringExA
#define RtlIpv4StringToAddress RtlIpv4StringToAddressA
#define RtlIpv4StringToAddressEx RtlIpv4StringToAddressExA
#define RtlIpv6AddressToString RtlIpv6AddressToStringA
#define RtlIpv6AddressToStringEx RtlIpv6AddressToStringExA
#define RtlIpv6StringToAddress RtlIpv6StringToAddressA
#define RtlIpv6StringToAddressEx RtlIpv6StringToAddressExA
#endif

#ifdef __cplusplus
}
#endif

#endif // _IP2STRING_
