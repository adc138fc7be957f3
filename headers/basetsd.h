// Integer types of a stated width, and those as wide as a pointer.
// Stands for the kit's basetsd.h on 64-bit Windows.

#ifndef _BASETSD_H_
#define _BASETSD_H_

#if __SIZEOF_POINTER__ != 8
#error "these headers describe 64-bit Windows only"
#endif

/// Signed 8-bit integer.
typedef signed char INT8, *PINT8;
/// Signed 16-bit integer.
typedef signed short INT16, *PINT16;
/// Signed 32-bit integer.
typedef signed int INT32, *PINT32;
/// Signed 64-bit integer.
typedef signed long long INT64, *PINT64;
/// Unsigned 8-bit integer.
typedef unsigned char UINT8, *PUINT8;
/// Unsigned 16-bit integer.
typedef unsigned short UINT16, *PUINT16;
/// Unsigned 32-bit integer.
typedef unsigned int UINT32, *PUINT32;
/// Unsigned 64-bit integer.
typedef unsigned long long UINT64, *PUINT64;
/// Signed 32-bit integer.
typedef signed int LONG32, *PLONG32;
/// Unsigned 32-bit integer.
typedef unsigned int ULONG32, *PULONG32;
/// Unsigned 32-bit integer.
typedef unsigned int DWORD32, *PDWORD32;
/// Signed 64-bit integer.
typedef signed long long LONG64, *PLONG64;
/// Unsigned 64-bit integer.
typedef unsigned long long ULONG64, *PULONG64;
/// Unsigned 64-bit integer.
typedef unsigned long long DWORD64, *PDWORD64;

/// Signed integer as wide as a pointer.
typedef __INTPTR_TYPE__ INT_PTR, *PINT_PTR;
/// Unsigned integer as wide as a pointer.
typedef __UINTPTR_TYPE__ UINT_PTR, *PUINT_PTR;
/// Signed integer as wide as a pointer.
typedef __INTPTR_TYPE__ LONG_PTR, *PLONG_PTR;
/// Unsigned integer as wide as a pointer.
typedef __UINTPTR_TYPE__ ULONG_PTR, *PULONG_PTR;
/// Unsigned integer as wide as a pointer.
typedef ULONG_PTR DWORD_PTR, *PDWORD_PTR;
/// Number of bytes.
typedef ULONG_PTR SIZE_T, *PSIZE_T;
/// Number of bytes, or a negative one.
typedef LONG_PTR SSIZE_T, *PSSIZE_T;
/// Set of processors, one bit each.
typedef ULONG_PTR KAFFINITY, *PKAFFINITY;

/// Largest value of a `UINT8`.
#define MAXUINT8 0xff
/// Largest value of a `UINT16`.
#define MAXUINT16 0xffff
/// Largest value of a `UINT32`.
#define MAXUINT32 0xffffffffU

#endif // _BASETSD_H_
