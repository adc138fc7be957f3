// Basic types of the NT kernel: integers, strings, lists, and the macros that every declaration is written with.
// Stands for the kit's ntdef.h. Windows is LLP64, so ULONG is 32 bits wide on every host, whatever `long` is there.

#ifndef _NTDEF_
#define _NTDEF_

#include <sal.h>
#include <sdkddkver.h>
#include <basetsd.h>
#include <guiddef.h>

#if !defined(_WIN64)
#define _WIN64 1
#endif
#if defined(__x86_64__) || defined(_M_X64)
#ifndef _AMD64_
#define _AMD64_ 1
#endif
#elif defined(__aarch64__) || defined(_M_ARM64)
#ifndef _ARM64_
#define _ARM64_ 1
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Keywords of declarations.

/// Marks a parameter that the callee reads, in older code.
#define IN
/// Marks a parameter that the callee writes, in older code.
#define OUT
/// Marks a parameter that may be NULL, in older code.
#define OPTIONAL

#if defined(_WIN32)
/// Calling convention of system functions, which every 64-bit Windows shares with C.
#define NTAPI __stdcall
/// Calling convention of fast kernel functions, which every 64-bit Windows shares with C.
#define FASTCALL __fastcall
#else
#define NTAPI
#define FASTCALL
#ifndef __cdecl
#define __cdecl
#endif
#endif

#if defined(_WIN32)
#define DECLSPEC_IMPORT __attribute__((dllimport))
#else
#define DECLSPEC_IMPORT
#endif
// _NTSYSTEM_ says that the code is the kernel itself, or stands in for it.
#ifndef NTSYSAPI
#ifdef _NTSYSTEM_
#define NTSYSAPI
#else
#define NTSYSAPI DECLSPEC_IMPORT
#endif
#endif
#ifndef NTKERNELAPI
#define NTKERNELAPI NTSYSAPI
#endif
#ifndef NTHALAPI
#define NTHALAPI NTSYSAPI
#endif

#define DECLSPEC_NORETURN __attribute__((noreturn))
#define DECLSPEC_ALIGN(Alignment) __attribute__((aligned(Alignment)))
#define POINTER_ALIGNMENT DECLSPEC_ALIGN(8)
#define FORCEINLINE static inline __attribute__((always_inline, unused))
#define CFORCEINLINE FORCEINLINE
// C libraries in C++ state that their functions do not throw.
#if defined(__cplusplus) && defined(__GLIBC__)
#define WSK_C_LIBRARY noexcept(true)
#else
#define WSK_C_LIBRARY
#endif
// A keyword of Microsoft's compiler, and of clang's with -fms-extensions.
#if !defined(_MSC_EXTENSIONS) && !defined(__forceinline)
#define __forceinline __inline__ __attribute__((always_inline))
#endif
// Structured exceptions. If the compiler has none, the host kernel provides them.
/// The exception is handled by the block that follows.
#define EXCEPTION_EXECUTE_HANDLER 1
/// Somebody else may handle the exception.
#define EXCEPTION_CONTINUE_SEARCH 0
/// The program continues where the exception was raised.
#define EXCEPTION_CONTINUE_EXECUTION (-1)
#if defined(_WIN32) && !(defined(__MINGW32__) && defined(_NTSYSTEM_))
/// Status that was raised.
#define GetExceptionCode() ((NTSTATUS)_exception_code())
/// Whether a block with `__finally` was left before its end.
#define AbnormalTermination() _abnormal_termination()
#else
// A frame on the stack for each block, in a chain that the host kernel keeps for each thread. The frame leaves the chain however
// the block is left. A function that raises jumps back into the function of the innermost frame, which then calls the filter.
struct _SEH_FRAME {
    struct _SEH_FRAME *Outer;
    unsigned int Depth;
    int State;
    int Kind;
    int Code;
    __attribute__((aligned(16))) unsigned char Registers[512];
};
// How a block with `__finally` was left.
struct _SEH_ENDING {
    int Again;
    int Abnormal;
    int Code;
};
#define _SEH_TEXT_OF(Name) #Name
#define _SEH_SYMBOL_OF(Prefix, Name) _SEH_TEXT_OF(Prefix) Name
#define _SEH_SYMBOL(Name) __asm__(_SEH_SYMBOL_OF(__USER_LABEL_PREFIX__, Name))
#ifdef __cplusplus
extern "C" {
#endif
void _SehEnter(struct _SEH_FRAME *Frame);
void _SehLeave(struct _SEH_FRAME *Frame);
void _SehDone(struct _SEH_FRAME *Frame);
__attribute__((noreturn)) void _SehKind(struct _SEH_FRAME *Frame, int Kind);
void _SehFilter(struct _SEH_FRAME *Frame, int Filter);
void _SehUnwound(struct _SEH_FRAME *Frame);
int _SehCaught(void);
int _SehCode(void);
struct _SEH_ENDING _SehBegin(void);
void _SehEnd(struct _SEH_ENDING *Ending);
#if defined(_WIN32)
__attribute__((returns_twice)) int _SehRemember(void *Registers, void *Frame) _SEH_SYMBOL("_setjmp");
#define _SEH_REMEMBER(Registers) _SehRemember(Registers, 0)
#else
__attribute__((returns_twice)) int _SehRemember(void *Registers) _SEH_SYMBOL("_setjmp");
#define _SEH_REMEMBER(Registers) _SehRemember(Registers)
#endif
#ifdef __cplusplus
}
#endif
// A block runs after the second return of `_SehRemember`. The first return finds out what follows the block, a filter or
// `__finally`.
#if defined(__OPTIMIZE__) && !defined(SEH_LOCALS_ARE_VOLATILE)
#define _SEH_LOCALS_SURVIVE 0
#else
#define _SEH_LOCALS_SURVIVE 1
#endif
#ifdef __cplusplus
#define _SEH_ASSERT static_assert
#else
#define _SEH_ASSERT _Static_assert
#endif
#define __try \
    { \
        __label__ _SehOut; \
        _SEH_ASSERT(_SEH_LOCALS_SURVIVE, \
            "compile without optimisation, or make variables that handlers read volatile and define SEH_LOCALS_ARE_VOLATILE"); \
        struct _SEH_FRAME _SehFrame __attribute__((cleanup(_SehLeave))); \
        _SehEnter(&_SehFrame); \
        if (_SEH_REMEMBER(_SehFrame.Registers) == 1)
#define __except(Filter) \
        else if (_SehFrame.State == 0) \
            _SehKind(&_SehFrame, 1); \
        else \
            _SehFilter(&_SehFrame, (Filter)); \
    _SehOut: __attribute__((unused)); \
        _SehDone(&_SehFrame); \
    } \
    if (!_SehCaught()) { \
    } else
#define __finally \
        else if (_SehFrame.State == 0) \
            _SehKind(&_SehFrame, 2); \
        else \
            _SehUnwound(&_SehFrame); \
    _SehOut: __attribute__((unused)); \
        _SehDone(&_SehFrame); \
    } \
    for (struct _SEH_ENDING _SehEnding = _SehBegin(); _SehEnding.Again; _SehEnd(&_SehEnding))
#define __leave goto _SehOut
/// Status that was raised: in a filter, and in the block of `__except` until another exception is caught there.
#define GetExceptionCode() ((NTSTATUS)_SehCode())
/// Whether a block with `__finally` was left by an exception.
#define AbnormalTermination() (_SehEnding.Abnormal)
#endif
#if defined(_WIN32)
#define DECLSPEC_SELECTANY __declspec(selectany)
#else
#define DECLSPEC_SELECTANY __attribute__((weak))
#endif
#ifdef _ARM64_
/// Alignment that keeps two objects in different lines of the processor's cache.
#define SYSTEM_CACHE_ALIGNMENT_SIZE 128
#else
/// Alignment that keeps two objects in different lines of the processor's cache.
#define SYSTEM_CACHE_ALIGNMENT_SIZE 64
#endif
#define DECLSPEC_CACHEALIGN DECLSPEC_ALIGN(SYSTEM_CACHE_ALIGNMENT_SIZE)
#if defined(_MSC_VER)
#define UNALIGNED __unaligned
#else
#define UNALIGNED
#endif
#define FAR
#define NEAR
#define CONST const
#ifdef __cplusplus
#define EXTERN_C extern "C"
#define C_ASSERT(Condition) static_assert(Condition, #Condition)
#else
#define EXTERN_C extern
#define C_ASSERT(Condition) _Static_assert(Condition, #Condition)
#endif

/// Offset of a member in its structure.
#define FIELD_OFFSET(Type, Member) ((LONG)__builtin_offsetof(Type, Member))
/// Offset of a member in its structure, unsigned.
#define UFIELD_OFFSET(Type, Member) ((ULONG)__builtin_offsetof(Type, Member))
/// Size of a member of a structure.
#define RTL_FIELD_SIZE(Type, Member) (sizeof(((Type *)0)->Member))
/// Size of a member of a structure.
#define FIELD_SIZE(Type, Member) RTL_FIELD_SIZE(Type, Member)
/// Size of a structure up to the end of a member.
#define RTL_SIZEOF_THROUGH_FIELD(Type, Member) (__builtin_offsetof(Type, Member) + RTL_FIELD_SIZE(Type, Member))
/// Structure that a member at this address belongs to.
#define CONTAINING_RECORD(Address, Type, Member) ((Type *)((PCHAR)(Address) - __builtin_offsetof(Type, Member)))
/// Number of elements of an array.
#define RTL_NUMBER_OF(Array) (sizeof(Array) / sizeof((Array)[0]))
/// Number of elements of an array.
#define ARRAYSIZE(Array) RTL_NUMBER_OF(Array)
/// Number of bits of a type.
#define RTL_BITS_OF(Type) (sizeof(Type) * 8)
#ifdef __cplusplus
/// Alignment of a type.
#define TYPE_ALIGNMENT(Type) alignof(Type)
#else
/// Alignment of a type.
#define TYPE_ALIGNMENT(Type) _Alignof(Type)
#endif
/// Strictest alignment that an ordinary type asks for.
#define MAX_NATURAL_ALIGNMENT sizeof(ULONGLONG)
/// Alignment of pool allocations, and of the structures that are allocated there.
#define MEMORY_ALLOCATION_ALIGNMENT 16
/// Says that a parameter is unused on purpose.
#define UNREFERENCED_PARAMETER(Parameter) ((void)(Parameter))
/// Says that a variable is unused on purpose.
#define UNREFERENCED_LOCAL_VARIABLE(Variable) ((void)(Variable))

#ifndef NULL
#ifdef __cplusplus
#define NULL nullptr
#else
#define NULL ((void *)0)
#endif
#endif
/// False, as a `BOOLEAN`.
#define FALSE 0
/// True, as a `BOOLEAN`.
#define TRUE 1

#if !defined(NOMINMAX) && !defined(WSK_SAL_ANNOTATE)
#ifndef min
/// The smaller of two numbers.
#define min(Left, Right) (((Left) < (Right)) ? (Left) : (Right))
#endif
#ifndef max
/// The greater of two numbers.
#define max(Left, Right) (((Left) > (Right)) ? (Left) : (Right))
#endif
#endif

// Names of members that may be unnamed.
#ifndef DUMMYUNIONNAME
#define DUMMYUNIONNAME
#define DUMMYUNIONNAME2
#define DUMMYUNIONNAME3
#endif
#ifndef DUMMYSTRUCTNAME
#define DUMMYSTRUCTNAME
#define DUMMYSTRUCTNAME2
#define DUMMYSTRUCTNAME3
#endif

// Integers and pointers.

/// Nothing, or memory of unknown type.
#define VOID void
/// Pointer to memory of unknown type.
typedef void *PVOID;
/// Pointer to memory of unknown type that is only read.
typedef const void *PCVOID;
/// Character of a byte string.
typedef char CHAR, *PCHAR, *PSZ, *LPSTR, *PSTR;
/// Byte string that is only read.
typedef const char *PCSZ, *PCSTR, *LPCSTR, *PCCH, *LPCCH;
/// Small signed number.
typedef char CCHAR, *PCCHAR;
/// Byte.
typedef unsigned char UCHAR, *PUCHAR;
/// Signed 16-bit integer.
typedef short SHORT, *PSHORT, CSHORT;
/// Unsigned 16-bit integer.
typedef unsigned short USHORT, *PUSHORT;
/// Signed 32-bit integer.
typedef int INT, *PINT;
/// Unsigned 32-bit integer.
typedef unsigned int UINT, *PUINT;
#if defined(_WIN32)
/// Signed 32-bit integer.
typedef long LONG, *PLONG;
/// Unsigned 32-bit integer.
typedef unsigned long ULONG, *PULONG;
#else
/// Signed 32-bit integer.
typedef int LONG, *PLONG;
/// Unsigned 32-bit integer.
typedef unsigned int ULONG, *PULONG;
#endif
/// Unsigned 32-bit integer.
typedef ULONG DWORD, *PDWORD, CLONG;
/// Signed 64-bit integer.
typedef long long LONGLONG, *PLONGLONG;
/// Unsigned 64-bit integer.
typedef unsigned long long ULONGLONG, *PULONGLONG;
/// Truth value, zero or not.
typedef UCHAR BOOLEAN, *PBOOLEAN;
/// Truth value in 32 bits.
typedef ULONG LOGICAL, *PLOGICAL;
/// Number of bytes, as C's own declarations have it.
typedef __SIZE_TYPE__ size_t;
/// Difference of two addresses, as C's own declarations have it.
typedef __PTRDIFF_TYPE__ ptrdiff_t;
/// Signed integer as wide as a pointer, as C's own declarations have it.
typedef __INTPTR_TYPE__ intptr_t;
/// Unsigned integer as wide as a pointer, as C's own declarations have it.
typedef __UINTPTR_TYPE__ uintptr_t;
/// Largest value of a `ULONG`.
#define MAXULONG 0xffffffff
/// Largest value of a `USHORT`.
#define MAXUSHORT 0xffff
/// Largest value of a `LONG`.
#define MAXLONG 0x7fffffff
/// Product of two 32-bit integers, in 64 bits.
#define Int32x32To64(Left, Right) ((LONGLONG)(LONG)(Left) * (LONGLONG)(LONG)(Right))
/// Product of two unsigned 32-bit integers, in 64 bits.
#define UInt32x32To64(Left, Right) ((ULONGLONG)(ULONG)(Left) * (ULONGLONG)(ULONG)(Right))

// UTF-16 everywhere: where the host's wchar_t is wider, wide string literals are spelt u"..." instead of L"...".
#if __SIZEOF_WCHAR_T__ == 2
#ifdef __cplusplus
/// UTF-16 code unit.
typedef wchar_t WCHAR;
#else
/// UTF-16 code unit.
typedef __WCHAR_TYPE__ WCHAR;
#endif
#elif defined(__cplusplus)
/// UTF-16 code unit.
typedef char16_t WCHAR;
#else
/// UTF-16 code unit.
typedef __CHAR16_TYPE__ WCHAR;
#endif
/// UTF-16 string.
typedef WCHAR *PWCHAR, *LPWSTR, *PWSTR, *PWCH;
/// UTF-16 string that is only read.
typedef const WCHAR *LPCWSTR, *PCWSTR, *PCWCH;

/// Handle to an object of the kernel.
typedef void *HANDLE, **PHANDLE;
/// Declares a type of handles of its own.
#define DECLARE_HANDLE(Name) typedef struct Name##__ { int unused; } *Name
/// Rights to an object, one bit each.
typedef ULONG ACCESS_MASK, *PACCESS_MASK;
/// Physical address of memory or of a device.
typedef union _LARGE_INTEGER PHYSICAL_ADDRESS, *PPHYSICAL_ADDRESS;
/// Interrupt request level of a processor.
typedef UCHAR KIRQL, *PKIRQL;
/// Scheduling priority, or an increment of one.
typedef LONG KPRIORITY;
/// Number of a page of physical memory.
typedef ULONG_PTR PFN_NUMBER, *PPFN_NUMBER;
/// Spin lock, zero when nobody holds it.
typedef ULONG_PTR KSPIN_LOCK, *PKSPIN_LOCK;
/// Security descriptor, in the form the kernel keeps it.
typedef PVOID PSECURITY_DESCRIPTOR;
/// Security identifier.
typedef PVOID PSID;

// Status values.

/// Result of a kernel function: negative for errors, otherwise success or information.
typedef LONG NTSTATUS, *PNTSTATUS;
/// Whether a status is success or information.
#define NT_SUCCESS(Status) (((NTSTATUS)(Status)) >= 0)
/// Whether a status is information.
#define NT_INFORMATION(Status) ((((ULONG)(Status)) >> 30) == 1)
/// Whether a status is a warning.
#define NT_WARNING(Status) ((((ULONG)(Status)) >> 30) == 2)
/// Whether a status is an error.
#define NT_ERROR(Status) ((((ULONG)(Status)) >> 30) == 3)

// Structures.

/// 64-bit signed integer, whole or in halves.
typedef union _LARGE_INTEGER {
    struct {
        /// Low half.
        ULONG LowPart;
        /// High half.
        LONG HighPart;
    };
    /// Both halves by name.
    struct {
        /// Low half.
        ULONG LowPart;
        /// High half.
        LONG HighPart;
    }
    /// Both halves by name.
    u;
    /// Whole value.
    LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

/// 64-bit unsigned integer, whole or in halves.
typedef union _ULARGE_INTEGER {
    struct {
        /// Low half.
        ULONG LowPart;
        /// High half.
        ULONG HighPart;
    };
    /// Both halves by name.
    struct {
        /// Low half.
        ULONG LowPart;
        /// High half.
        ULONG HighPart;
    }
    /// Both halves by name.
    u;
    /// Whole value.
    ULONGLONG QuadPart;
} ULARGE_INTEGER, *PULARGE_INTEGER;

/// Identifier that is unique on this machine until it restarts.
typedef struct _LUID {
    /// Low half.
    ULONG LowPart;
    /// High half.
    LONG HighPart;
} LUID, *PLUID;

/// Counted UTF-16 string; it need not end in a zero.
typedef struct _UNICODE_STRING {
    /// Bytes of the string, without an ending zero.
    USHORT Length;
    /// Bytes that the buffer has room for.
    USHORT MaximumLength;
    /// The string.
    _Field_size_bytes_part_opt_(MaximumLength, Length) PWCH Buffer;
} UNICODE_STRING, *PUNICODE_STRING;
/// Counted UTF-16 string that is only read.
typedef const UNICODE_STRING *PCUNICODE_STRING;

/// Counted byte string.
typedef struct _STRING {
    /// Bytes of the string, without an ending zero.
    USHORT Length;
    /// Bytes that the buffer has room for.
    USHORT MaximumLength;
    /// The string.
    _Field_size_bytes_part_opt_(MaximumLength, Length) PCHAR Buffer;
} STRING, *PSTRING, ANSI_STRING, *PANSI_STRING;
/// Counted byte string that is only read.
typedef const STRING *PCSTRING, *PCANSI_STRING;

/// Links of a doubly linked list, in its head and in each entry.
typedef struct _LIST_ENTRY {
    /// Next entry, or the first one in a head.
    struct _LIST_ENTRY *Flink;
    /// Previous entry, or the last one in a head.
    struct _LIST_ENTRY *Blink;
} LIST_ENTRY, *PLIST_ENTRY;

/// Link of a singly linked list.
typedef struct _SINGLE_LIST_ENTRY {
    /// Next entry, or NULL.
    struct _SINGLE_LIST_ENTRY *Next;
} SINGLE_LIST_ENTRY, *PSINGLE_LIST_ENTRY;

/// Names an object that is to be opened or created, and how.
typedef struct _OBJECT_ATTRIBUTES {
    /// Size of this structure.
    ULONG Length;
    /// Directory that the name starts at, or NULL.
    HANDLE RootDirectory;
    /// Name of the object.
    PUNICODE_STRING ObjectName;
    /// `OBJ_…` flags.
    ULONG Attributes;
    /// Security descriptor of a new object, or NULL.
    PVOID SecurityDescriptor;
    /// Quality of service of a new object, or NULL.
    PVOID SecurityQualityOfService;
} OBJECT_ATTRIBUTES, *POBJECT_ATTRIBUTES;

/// Handle is inherited by child processes.
#define OBJ_INHERIT 0x00000002
/// Object outlives its last handle.
#define OBJ_PERMANENT 0x00000010
/// Object may have one handle only.
#define OBJ_EXCLUSIVE 0x00000020
/// Name is compared without regard to case.
#define OBJ_CASE_INSENSITIVE 0x00000040
/// Creating opens the object where it already exists.
#define OBJ_OPENIF 0x00000080
/// Name is that of a symbolic link, which is opened itself.
#define OBJ_OPENLINK 0x00000100
/// Handle is the kernel's own, in whatever process it is made.
#define OBJ_KERNEL_HANDLE 0x00000200
/// Access is checked even though the kernel asks.
#define OBJ_FORCE_ACCESS_CHECK 0x00000400

/// Fills in the attributes of an object that is to be opened or created.
#define InitializeObjectAttributes(Object, Name, Flags, Root, Security) \
    do { \
        (Object)->Length = sizeof(OBJECT_ATTRIBUTES); \
        (Object)->RootDirectory = (Root); \
        (Object)->Attributes = (Flags); \
        (Object)->ObjectName = (Name); \
        (Object)->SecurityDescriptor = (Security); \
        (Object)->SecurityQualityOfService = NULL; \
    } while (0)

// Counted strings are made of byte strings and of UTF-16. A wide literal of another width would pass for one.
#if !defined(__cplusplus)
#define WSK_STRING_CHECKED(Literal) \
    (0 * sizeof(struct { \
        int Unused; \
        _Static_assert(sizeof((Literal)[0]) == sizeof(CHAR) || sizeof((Literal)[0]) == sizeof(WCHAR), \
            "L\"...\" is not UTF-16 here: compile with -fshort-wchar"); \
    }))
/// Counted string over a string literal, as an initialiser.
#define RTL_CONSTANT_STRING(Literal) \
    {sizeof(Literal) - sizeof((Literal)[0]) + WSK_STRING_CHECKED(Literal), sizeof(Literal), (PVOID)(Literal)}
#else
extern "C++" {
constexpr PCHAR WskStringPointer(const CHAR *Literal)
{
    return const_cast<PCHAR>(Literal);
}
template <typename Character> constexpr PWCH WskStringPointer(const Character *Literal)
{
    static_assert(sizeof(Character) == sizeof(WCHAR), "L\"...\" is not UTF-16 here: compile with -fshort-wchar");
    return (PWCH)Literal;
}
}
/// Counted string over a string literal, as an initialiser.
#define RTL_CONSTANT_STRING(Literal) \
    {sizeof(Literal) - sizeof((Literal)[0]), sizeof(Literal), WskStringPointer(Literal)}
#endif
/// Declares a constant `UNICODE_STRING` over a string literal.
#define DECLARE_CONST_UNICODE_STRING(Name, Literal) const UNICODE_STRING Name = RTL_CONSTANT_STRING(Literal)
/// Declares an empty `UNICODE_STRING` with room for so many units.
#define DECLARE_UNICODE_STRING_SIZE(Name, Size) \
    WCHAR Name##_buffer[Size]; \
    UNICODE_STRING Name = {0, (Size) * sizeof(WCHAR), Name##_buffer}

/// Processor by its group and its number there.
typedef struct _PROCESSOR_NUMBER {
    /// Group of the processor.
    USHORT Group;
    /// Number of the processor in its group.
    UCHAR Number;
    /// Zero.
    UCHAR Reserved;
} PROCESSOR_NUMBER, *PPROCESSOR_NUMBER;

/// How an event behaves when it is signalled.
typedef enum _EVENT_TYPE {
    /// Stays signalled, releasing every waiter, until it is reset.
    NotificationEvent,
    /// Releases one waiter and resets itself.
    SynchronizationEvent
} EVENT_TYPE;

/// How a timer behaves when it expires.
typedef enum _TIMER_TYPE {
    /// Stays signalled, releasing every waiter.
    NotificationTimer,
    /// Releases one waiter and resets itself.
    SynchronizationTimer
} TIMER_TYPE;

/// How many of several objects a wait needs.
typedef enum _WAIT_TYPE {
    /// All of them.
    WaitAll,
    /// Any one of them.
    WaitAny
} WAIT_TYPE;

#ifdef __cplusplus
}
#endif

#endif // _NTDEF_
