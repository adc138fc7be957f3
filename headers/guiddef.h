// Globally unique identifiers.
// Stands for the kit's guiddef.h.

#ifndef WSK_HEADERS_GUIDDEF_H
#define WSK_HEADERS_GUIDDEF_H

#ifndef GUID_DEFINED
#define GUID_DEFINED
/// Globally unique identifier.
typedef struct _GUID {
#if defined(_WIN32)
    /// First eight hexadecimal digits.
    unsigned long Data1;
#else
    /// First eight hexadecimal digits.
    unsigned int Data1;
#endif
    /// First group of four digits.
    unsigned short Data2;
    /// Second group of four digits.
    unsigned short Data3;
    /// Remaining sixteen digits.
    unsigned char Data4[8];
} GUID;
#endif

/// Pointer to an identifier.
typedef GUID *LPGUID;
/// Pointer to an identifier that is only read.
typedef const GUID *LPCGUID;
/// Identifier of an interface.
typedef GUID IID;
/// Identifier of a class.
typedef GUID CLSID;

#ifdef __cplusplus
#define WSK_EXTERN_C extern "C"
#else
#define WSK_EXTERN_C extern
#endif

// INITGUID makes the one file that defines it hold the identifiers; every other only refers to them.
#ifdef INITGUID
#ifdef __cplusplus
/// Names an identifier, and defines it where `INITGUID` is defined.
#define DEFINE_GUID(Name, L, W1, W2, B1, B2, B3, B4, B5, B6, B7, B8) \
    extern "C" const GUID __attribute__((weak)) Name = {L, W1, W2, {B1, B2, B3, B4, B5, B6, B7, B8}}
#else
/// Names an identifier, and defines it where `INITGUID` is defined.
#define DEFINE_GUID(Name, L, W1, W2, B1, B2, B3, B4, B5, B6, B7, B8) \
    const GUID __attribute__((weak)) Name = {L, W1, W2, {B1, B2, B3, B4, B5, B6, B7, B8}}
#endif
#else
/// Names an identifier, and defines it where `INITGUID` is defined.
#define DEFINE_GUID(Name, L, W1, W2, B1, B2, B3, B4, B5, B6, B7, B8) WSK_EXTERN_C const GUID Name
#endif

#ifdef __cplusplus
/// Identifier passed by reference in C++, by pointer in C.
#define REFGUID const GUID &
/// Whether two identifiers are the same.
#define IsEqualGUID(Left, Right) (__builtin_memcmp(&(Left), &(Right), sizeof(GUID)) == 0)
#else
/// Identifier passed by reference in C++, by pointer in C.
#define REFGUID const GUID *
/// Whether two identifiers are the same.
#define IsEqualGUID(Left, Right) (__builtin_memcmp((Left), (Right), sizeof(GUID)) == 0)
#endif
/// Whether two identifiers are the same.
#define InlineIsEqualGUID(Left, Right) IsEqualGUID(Left, Right)

#endif // WSK_HEADERS_GUIDDEF_H
