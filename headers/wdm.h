// The part of the Windows Driver Model that Winsock Kernel clients touch: IRPs, MDLs, events, spin locks, pool,
// threads. Stands for the kit's wdm.h on 64-bit Windows. Structures that a client only carries around stay opaque;
// those that it reads or builds have the real layout, at least up to the last member that a driver uses.

#ifndef _WDMDDK_
#define _WDMDDK_

#include <ntdef.h>
#include <ntstatus.h>

#ifdef __cplusplus
extern "C" {
#endif

// Opaque kernel objects.

/// Process, as the kernel keeps it.
typedef struct _EPROCESS *PEPROCESS;
/// Thread, as the kernel keeps it.
typedef struct _ETHREAD *PETHREAD;
/// Thread, as the scheduler keeps it.
typedef struct _KTHREAD *PKTHREAD, *PRKTHREAD;
/// Process, as the scheduler keeps it.
typedef struct _KPROCESS *PKPROCESS, *PRKPROCESS;
/// Type of the objects that a handle can stand for.
typedef struct _OBJECT_TYPE *POBJECT_TYPE;
/// Fast entry points of a file system.
typedef struct _FAST_IO_DISPATCH *PFAST_IO_DISPATCH;
/// Volume parameter block of a file system.
typedef struct _VPB *PVPB;
/// Timer of a device object.
typedef struct _IO_TIMER *PIO_TIMER;
/// Security context of an open request.
typedef struct _IO_SECURITY_CONTEXT *PIO_SECURITY_CONTEXT;
/// Where a section of a file is kept.
typedef struct _SECTION_OBJECT_POINTERS *PSECTION_OBJECT_POINTERS;
/// Completion port that a file reports to.
typedef struct _IO_COMPLETION_CONTEXT *PIO_COMPLETION_CONTEXT;

/// Loaded driver.
typedef struct _DRIVER_OBJECT *PDRIVER_OBJECT;
/// Device that requests can be sent to.
typedef struct _DEVICE_OBJECT *PDEVICE_OBJECT;
/// Open file.
typedef struct _FILE_OBJECT *PFILE_OBJECT;
/// I/O request packet.
typedef struct _IRP *PIRP;
/// One driver's part of a request.
typedef struct _IO_STACK_LOCATION *PIO_STACK_LOCATION;

// Interrupt request levels.

/// Ordinary code: may wait, and may touch pageable memory.
#define PASSIVE_LEVEL 0
/// Lowest level, under its other name.
#define LOW_LEVEL 0
/// Asynchronous procedure calls are held off; page faults are still served.
#define APC_LEVEL 1
/// The scheduler is held off: no waiting, no pageable memory.
#define DISPATCH_LEVEL 2
/// Interrupts of the clock.
#define CLOCK_LEVEL 13
/// Interrupts between processors.
#define IPI_LEVEL 14
/// Power failure.
#define POWER_LEVEL 14
/// Profiling interrupts.
#define PROFILE_LEVEL 15
/// Highest level: every interrupt is held off.
#define HIGH_LEVEL 15

// Modes and memory.

/// The origin of a request: the kernel, or a user-mode program, which must not be trusted.
typedef enum _MODE {
    /// The kernel.
    KernelMode,
    /// A user-mode program.
    UserMode,
    /// Number of modes.
    MaximumMode
} MODE;
/// The origin of a request, one byte wide: `KernelMode` or `UserMode`.
typedef CCHAR KPROCESSOR_MODE;

/// Kind of memory that a pool allocation gets.
typedef enum _POOL_TYPE {
    /// Memory that is always present and may hold code.
    NonPagedPool,
    /// Memory that is always present and may hold code.
    NonPagedPoolExecute = NonPagedPool,
    /// Memory that may be paged out.
    PagedPool,
    /// Obsolete: allocations that may not fail.
    NonPagedPoolMustSucceed = NonPagedPool + 2,
    /// Never used.
    DontUseThisType,
    /// Memory that is always present, aligned to cache lines.
    NonPagedPoolCacheAligned = NonPagedPool + 4,
    /// Memory that may be paged out, aligned to cache lines.
    PagedPoolCacheAligned,
    /// Obsolete: aligned allocations that may not fail.
    NonPagedPoolCacheAlignedMustS = NonPagedPool + 6,
    /// Number of basic pool types.
    MaxPoolType,
    /// Base of the nonpaged types.
    NonPagedPoolBase = 0,
    /// Base of the nonpaged types that may not fail.
    NonPagedPoolBaseMustSucceed = NonPagedPoolBase + 2,
    /// Base of the nonpaged types aligned to cache lines.
    NonPagedPoolBaseCacheAligned = NonPagedPoolBase + 4,
    /// Base of the aligned nonpaged types that may not fail.
    NonPagedPoolBaseCacheAlignedMustS = NonPagedPoolBase + 6,
    /// Nonpaged memory of a session.
    NonPagedPoolSession = 32,
    /// Paged memory of a session.
    PagedPoolSession = NonPagedPoolSession + 1,
    /// Obsolete: session allocations that may not fail.
    NonPagedPoolMustSucceedSession = PagedPoolSession + 1,
    /// Never used.
    DontUseThisTypeSession = NonPagedPoolMustSucceedSession + 1,
    /// Nonpaged memory of a session, aligned to cache lines.
    NonPagedPoolCacheAlignedSession = DontUseThisTypeSession + 1,
    /// Paged memory of a session, aligned to cache lines.
    PagedPoolCacheAlignedSession = NonPagedPoolCacheAlignedSession + 1,
    /// Obsolete: aligned session allocations that may not fail.
    NonPagedPoolCacheAlignedMustSSession = PagedPoolCacheAlignedSession + 1,
    /// Memory that is always present and holds no code; what drivers use.
    NonPagedPoolNx = 512,
    /// Memory that is always present and holds no code, aligned to cache lines.
    NonPagedPoolNxCacheAligned = NonPagedPoolNx + 4,
    /// Memory of a session that is always present and holds no code.
    NonPagedPoolSessionNx = NonPagedPoolNx + 32
} POOL_TYPE;

/// Kind of memory that `ExAllocatePool2` gives, and how.
typedef ULONG64 POOL_FLAGS;
/// Charges the allocation to the quota of the current process.
#define POOL_FLAG_USE_QUOTA 0x0000000000000001ULL
/// Leaves the memory uninitialised instead of zeroing it.
#define POOL_FLAG_UNINITIALIZED 0x0000000000000002ULL
/// Allocates from the pool of the session.
#define POOL_FLAG_SESSION 0x0000000000000004ULL
/// Aligns the allocation to cache lines.
#define POOL_FLAG_CACHE_ALIGNED 0x0000000000000008ULL
/// Raises an exception instead of returning NULL.
#define POOL_FLAG_RAISE_ON_FAILURE 0x0000000000000020ULL
/// Memory that is always present and holds no code.
#define POOL_FLAG_NON_PAGED 0x0000000000000040ULL
/// Memory that is always present and may hold code.
#define POOL_FLAG_NON_PAGED_EXECUTE 0x0000000000000080ULL
/// Memory that may be paged out.
#define POOL_FLAG_PAGED 0x0000000000000100ULL
/// Allocates from special pool, where overruns are caught.
#define POOL_FLAG_SPECIAL_POOL 0x0000000100000000ULL

/// The access for which memory is locked.
typedef enum _LOCK_OPERATION {
    /// The memory will be read.
    IoReadAccess,
    /// The memory will be written.
    IoWriteAccess,
    /// The memory will be read and written.
    IoModifyAccess
} LOCK_OPERATION;

/// How processors may cache memory, under an older enumeration.
typedef enum _MEMORY_CACHING_TYPE_ORIG {
    /// Writes may be combined, as a frame buffer wants it.
    MmFrameBufferCached = 2
} MEMORY_CACHING_TYPE_ORIG;

/// How processors may cache mapped memory.
typedef enum _MEMORY_CACHING_TYPE {
    /// Not at all.
    MmNonCached = FALSE,
    /// As ordinary memory.
    MmCached = TRUE,
    /// Writes may be combined.
    MmWriteCombined = MmFrameBufferCached,
    /// Cached, and kept coherent by the hardware.
    MmHardwareCoherentCached,
    /// Not at all, and accesses may be reordered.
    MmNonCachedUnordered,
    /// Writes may be combined, for user mode.
    MmUSWCCached,
    /// Number of caching types.
    MmMaximumCacheType,
    /// Memory is not mapped.
    MmNotMapped = -1
} MEMORY_CACHING_TYPE;

/// How hard the system tries to map memory when it is short of resources.
typedef enum _MM_PAGE_PRIORITY {
    /// May fail although much is left.
    LowPagePriority,
    /// May fail when little is left.
    NormalPagePriority = 16,
    /// May fail only when nothing is left.
    HighPagePriority = 32
} MM_PAGE_PRIORITY;
/// Maps the pages read-only, together with a page priority.
#define MdlMappingNoWrite 0x80000000
/// Maps the pages so that no code runs from them, together with a page priority.
#define MdlMappingNoExecute 0x40000000
/// Puts a guard page after the mapping, together with a page priority.
#define MdlMappingWithGuardPtes 0x20000000

/// Bytes of a page of memory.
#define PAGE_SIZE 0x1000
/// Base-2 logarithm of the size of a page.
#define PAGE_SHIFT 12
/// Offset of an address in its page.
#define BYTE_OFFSET(Address) ((ULONG)((ULONG_PTR)(Address) & (PAGE_SIZE - 1)))
/// First address of the page that an address lies in.
#define PAGE_ALIGN(Address) ((PVOID)((ULONG_PTR)(Address) & ~(ULONG_PTR)(PAGE_SIZE - 1)))
/// Number of pages that a range of memory touches.
#define ADDRESS_AND_SIZE_TO_SPAN_PAGES(Address, Size) \
    (((SIZE_T)BYTE_OFFSET(Address) + (SIZE_T)(Size) + (PAGE_SIZE - 1)) >> PAGE_SHIFT)
/// Number of pages that hold this many bytes.
#define BYTES_TO_PAGES(Size) (((Size) >> PAGE_SHIFT) + (((Size) & (PAGE_SIZE - 1)) != 0))
/// Rounds a number of bytes up to whole pages.
#define ROUND_TO_PAGES(Size) (((ULONG_PTR)(Size) + PAGE_SIZE - 1) & ~(ULONG_PTR)(PAGE_SIZE - 1))

#if !defined(WSK_SAL_ANNOTATE)
// Functions of every C library, for drivers that rely on them. They are not part of the kernel's interface.

/// Copies memory that does not overlap.
void *__cdecl memcpy(void *Destination, const void *Source, size_t Length) WSK_C_LIBRARY;
/// Copies memory that may overlap.
void *__cdecl memmove(void *Destination, const void *Source, size_t Length) WSK_C_LIBRARY;
/// Fills memory with a byte.
void *__cdecl memset(void *Destination, int Fill, size_t Length) WSK_C_LIBRARY;
/// Compares memory.
int __cdecl memcmp(const void *Left, const void *Right, size_t Length) WSK_C_LIBRARY;
/// Bytes of a string that ends in a zero.
size_t __cdecl strlen(const char *String) WSK_C_LIBRARY;
/// Compares strings that end in a zero.
int __cdecl strcmp(const char *Left, const char *Right) WSK_C_LIBRARY;
/// Compares strings that end in a zero, at most so many characters.
int __cdecl strncmp(const char *Left, const char *Right, size_t Length) WSK_C_LIBRARY;
/// Copies a string that ends in a zero.
char *__cdecl strcpy(char *Destination, const char *Source) WSK_C_LIBRARY;
/// Copies a string that ends in a zero, at most so many characters.
char *__cdecl strncpy(char *Destination, const char *Source, size_t Length) WSK_C_LIBRARY;
/// Puts a string behind another.
char *__cdecl strcat(char *Destination, const char *Source) WSK_C_LIBRARY;
#endif

/// Copies memory that does not overlap.
#define RtlCopyMemory(Destination, Source, Length) __builtin_memcpy((Destination), (Source), (Length))
/// Copies memory that may overlap.
#define RtlMoveMemory(Destination, Source, Length) __builtin_memmove((Destination), (Source), (Length))
/// Fills memory with a byte.
#define RtlFillMemory(Destination, Length, Fill) __builtin_memset((Destination), (Fill), (Length))
/// Fills memory with zeroes.
#define RtlZeroMemory(Destination, Length) __builtin_memset((Destination), 0, (Length))
/// Whether two ranges of memory are the same.
#define RtlEqualMemory(Left, Right, Length) (__builtin_memcmp((Left), (Right), (Length)) == 0)
/// Reverses the bytes of a 16-bit number, as between host and network order.
#define RtlUshortByteSwap(Value) __builtin_bswap16((USHORT)(Value))
/// Reverses the bytes of a 32-bit number, as between host and network order.
#define RtlUlongByteSwap(Value) __builtin_bswap32((ULONG)(Value))
/// Reverses the bytes of a 64-bit number, as between host and network order.
#define RtlUlonglongByteSwap(Value) __builtin_bswap64((ULONGLONG)(Value))

// Checks of a checked build; a free build leaves them out but still compiles them.
#if defined(DBG) && DBG
#define NT_ASSERT(Condition) ((Condition) ? (void)0 : __builtin_trap())
/// Says that a condition holds, which a free build evaluates too, and gives it.
#define NT_VERIFY(Condition) ((Condition) ? TRUE : (__builtin_trap(), FALSE))
#else
#define NT_ASSERT(Condition) ((void)sizeof(!(Condition)))
/// Says that a condition holds, which a free build evaluates too, and gives it.
#define NT_VERIFY(Condition) ((Condition) ? TRUE : FALSE)
#endif
#ifndef ASSERT
#define ASSERT(Condition) NT_ASSERT(Condition)
#endif
/// Says that a function may only run below DISPATCH_LEVEL.
#define PAGED_CODE() NT_ASSERT(KeGetCurrentIrql() <= APC_LEVEL)

// Lists.

/// Makes a list empty.
FORCEINLINE VOID InitializeListHead(_Out_ PLIST_ENTRY ListHead)
{
    ListHead->Blink = ListHead;
    ListHead->Flink = ListHead;
}

/// Whether a list has no entries.
FORCEINLINE BOOLEAN IsListEmpty(_In_ const LIST_ENTRY *ListHead)
{
    return (BOOLEAN)(ListHead == ListHead->Flink);
}

/// Puts an entry at the end of a list.
FORCEINLINE VOID InsertTailList(_Inout_ PLIST_ENTRY ListHead, _Out_ PLIST_ENTRY Entry)
{
    PLIST_ENTRY Last = ListHead->Blink;
    Entry->Blink = Last;
    Entry->Flink = ListHead;
    Last->Flink = Entry;
    ListHead->Blink = Entry;
}

/// Puts an entry at the start of a list.
FORCEINLINE VOID InsertHeadList(_Inout_ PLIST_ENTRY ListHead, _Out_ PLIST_ENTRY Entry)
{
    PLIST_ENTRY First = ListHead->Flink;
    Entry->Blink = ListHead;
    Entry->Flink = First;
    First->Blink = Entry;
    ListHead->Flink = Entry;
}

/// Takes an entry out of its list, and returns whether the list is then empty.
FORCEINLINE BOOLEAN RemoveEntryList(_In_ PLIST_ENTRY Entry)
{
    PLIST_ENTRY Before = Entry->Blink;
    PLIST_ENTRY After = Entry->Flink;
    After->Blink = Before;
    Before->Flink = After;
    return (BOOLEAN)(Before == After);
}

/// Takes the first entry out of a list; of an empty list it gives the head.
FORCEINLINE PLIST_ENTRY RemoveHeadList(_Inout_ PLIST_ENTRY ListHead)
{
    PLIST_ENTRY First = ListHead->Flink;
    (void)RemoveEntryList(First);
    return First;
}

/// Takes the last entry out of a list; of an empty list it gives the head.
FORCEINLINE PLIST_ENTRY RemoveTailList(_Inout_ PLIST_ENTRY ListHead)
{
    PLIST_ENTRY Last = ListHead->Blink;
    (void)RemoveEntryList(Last);
    return Last;
}

// Atomic operations, each a full barrier.

/// Adds one and gives the new value.
FORCEINLINE LONG InterlockedIncrement(_Inout_ LONG volatile *Target)
{
    return __atomic_add_fetch(Target, 1, __ATOMIC_SEQ_CST);
}

/// Takes one away and gives the new value.
FORCEINLINE LONG InterlockedDecrement(_Inout_ LONG volatile *Target)
{
    return __atomic_sub_fetch(Target, 1, __ATOMIC_SEQ_CST);
}

/// Adds a number and gives the old value.
FORCEINLINE LONG InterlockedExchangeAdd(_Inout_ LONG volatile *Target, _In_ LONG Value)
{
    return __atomic_fetch_add(Target, Value, __ATOMIC_SEQ_CST);
}

/// Adds a number and gives the new value.
FORCEINLINE LONG InterlockedAdd(_Inout_ LONG volatile *Target, _In_ LONG Value)
{
    return __atomic_add_fetch(Target, Value, __ATOMIC_SEQ_CST);
}

/// Sets a value and gives the old one.
FORCEINLINE LONG InterlockedExchange(_Inout_ LONG volatile *Target, _In_ LONG Value)
{
    return __atomic_exchange_n(Target, Value, __ATOMIC_SEQ_CST);
}

/// Sets a value if the old one is as expected, and gives the old one.
FORCEINLINE LONG InterlockedCompareExchange(_Inout_ LONG volatile *Target, _In_ LONG Value, _In_ LONG Expected)
{
    __atomic_compare_exchange_n(Target, &Expected, Value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return Expected;
}

/// Sets bits and gives the old value.
FORCEINLINE LONG InterlockedOr(_Inout_ LONG volatile *Target, _In_ LONG Value)
{
    return __atomic_fetch_or(Target, Value, __ATOMIC_SEQ_CST);
}

/// Clears the bits that are not given and gives the old value.
FORCEINLINE LONG InterlockedAnd(_Inout_ LONG volatile *Target, _In_ LONG Value)
{
    return __atomic_fetch_and(Target, Value, __ATOMIC_SEQ_CST);
}

/// Sets a pointer and gives the old one.
FORCEINLINE PVOID InterlockedExchangePointer(_Inout_ PVOID volatile *Target, _In_opt_ PVOID Value)
{
    return __atomic_exchange_n(Target, Value, __ATOMIC_SEQ_CST);
}

/// Sets a pointer if the old one is as expected, and gives the old one.
FORCEINLINE PVOID InterlockedCompareExchangePointer(_Inout_ PVOID volatile *Target, _In_opt_ PVOID Value,
    _In_opt_ PVOID Expected)
{
    __atomic_compare_exchange_n(Target, &Expected, Value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return Expected;
}

/// Adds one and gives the new value.
FORCEINLINE LONG64 InterlockedIncrement64(_Inout_ LONG64 volatile *Target)
{
    return __atomic_add_fetch(Target, 1, __ATOMIC_SEQ_CST);
}

/// Takes one away and gives the new value.
FORCEINLINE LONG64 InterlockedDecrement64(_Inout_ LONG64 volatile *Target)
{
    return __atomic_sub_fetch(Target, 1, __ATOMIC_SEQ_CST);
}

/// Adds a number and gives the old value.
FORCEINLINE LONG64 InterlockedExchangeAdd64(_Inout_ LONG64 volatile *Target, _In_ LONG64 Value)
{
    return __atomic_fetch_add(Target, Value, __ATOMIC_SEQ_CST);
}

/// Adds a number and gives the new value.
FORCEINLINE LONG64 InterlockedAdd64(_Inout_ LONG64 volatile *Target, _In_ LONG64 Value)
{
    return __atomic_add_fetch(Target, Value, __ATOMIC_SEQ_CST);
}

/// Sets a value and gives the old one.
FORCEINLINE LONG64 InterlockedExchange64(_Inout_ LONG64 volatile *Target, _In_ LONG64 Value)
{
    return __atomic_exchange_n(Target, Value, __ATOMIC_SEQ_CST);
}

/// Sets a value if the old one is as expected, and gives the old one.
FORCEINLINE LONG64 InterlockedCompareExchange64(_Inout_ LONG64 volatile *Target, _In_ LONG64 Value, _In_ LONG64 Expected)
{
    __atomic_compare_exchange_n(Target, &Expected, Value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return Expected;
}

/// Sets bits and gives the old value.
FORCEINLINE LONG64 InterlockedOr64(_Inout_ LONG64 volatile *Target, _In_ LONG64 Value)
{
    return __atomic_fetch_or(Target, Value, __ATOMIC_SEQ_CST);
}

/// Clears the bits that are not given and gives the old value.
FORCEINLINE LONG64 InterlockedAnd64(_Inout_ LONG64 volatile *Target, _In_ LONG64 Value)
{
    return __atomic_fetch_and(Target, Value, __ATOMIC_SEQ_CST);
}

/// Flips bits and gives the old value.
FORCEINLINE LONG InterlockedXor(_Inout_ LONG volatile *Target, _In_ LONG Value)
{
    return __atomic_fetch_xor(Target, Value, __ATOMIC_SEQ_CST);
}

/// Flips bits and gives the old value.
FORCEINLINE LONG64 InterlockedXor64(_Inout_ LONG64 volatile *Target, _In_ LONG64 Value)
{
    return __atomic_fetch_xor(Target, Value, __ATOMIC_SEQ_CST);
}

/// Sets a value if the old one is as expected, and gives the old one.
FORCEINLINE SHORT InterlockedCompareExchange16(_Inout_ SHORT volatile *Target, _In_ SHORT Value, _In_ SHORT Expected)
{
    __atomic_compare_exchange_n(Target, &Expected, Value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return Expected;
}

/// Adds one and gives the new value.
FORCEINLINE SHORT InterlockedIncrement16(_Inout_ SHORT volatile *Target)
{
    return (SHORT)__atomic_add_fetch(Target, 1, __ATOMIC_SEQ_CST);
}

/// Takes one away and gives the new value.
FORCEINLINE SHORT InterlockedDecrement16(_Inout_ SHORT volatile *Target)
{
    return (SHORT)__atomic_sub_fetch(Target, 1, __ATOMIC_SEQ_CST);
}

/// Sets a bit and returns whether it was set.
///
/// The bit may lie behind the first 32; bit 0 is the lowest of the first number.
FORCEINLINE BOOLEAN InterlockedBitTestAndSet(_Inout_ LONG volatile *Base, _In_ LONG Bit)
{
    LONG Mask = (LONG)(1U << (Bit & 31));
    return (BOOLEAN)((__atomic_fetch_or(&Base[Bit >> 5], Mask, __ATOMIC_SEQ_CST) & Mask) != 0);
}

/// Clears a bit and returns whether it was set.
///
/// The bit may lie behind the first 32; bit 0 is the lowest of the first number.
FORCEINLINE BOOLEAN InterlockedBitTestAndReset(_Inout_ LONG volatile *Base, _In_ LONG Bit)
{
    LONG Mask = (LONG)(1U << (Bit & 31));
    return (BOOLEAN)((__atomic_fetch_and(&Base[Bit >> 5], ~Mask, __ATOMIC_SEQ_CST) & Mask) != 0);
}

/// Sets a bit and returns whether it was set.
///
/// The bit may lie behind the first 64; bit 0 is the lowest of the first number.
FORCEINLINE BOOLEAN InterlockedBitTestAndSet64(_Inout_ LONG64 volatile *Base, _In_ LONG64 Bit)
{
    LONG64 Mask = (LONG64)(1ULL << (Bit & 63));
    return (BOOLEAN)((__atomic_fetch_or(&Base[Bit >> 6], Mask, __ATOMIC_SEQ_CST) & Mask) != 0);
}

/// Clears a bit and returns whether it was set.
///
/// The bit may lie behind the first 64; bit 0 is the lowest of the first number.
FORCEINLINE BOOLEAN InterlockedBitTestAndReset64(_Inout_ LONG64 volatile *Base, _In_ LONG64 Bit)
{
    LONG64 Mask = (LONG64)(1ULL << (Bit & 63));
    return (BOOLEAN)((__atomic_fetch_and(&Base[Bit >> 6], ~Mask, __ATOMIC_SEQ_CST) & Mask) != 0);
}

// Bits, not atomically.

/// Returns whether a bit is set.
///
/// The bit may lie behind the first 32; bit 0 is the lowest of the first number.
FORCEINLINE BOOLEAN BitTest(_In_ const LONG *Base, _In_ LONG Bit)
{
    return (BOOLEAN)((ULONG)Base[Bit >> 5] >> (Bit & 31) & 1);
}

/// Sets a bit and returns whether it was set.
///
/// The bit may lie behind the first 32; bit 0 is the lowest of the first number.
FORCEINLINE BOOLEAN BitTestAndSet(_Inout_ LONG *Base, _In_ LONG Bit)
{
    LONG Mask = (LONG)(1U << (Bit & 31));
    BOOLEAN Before = BitTest(Base, Bit);
    Base[Bit >> 5] |= Mask;
    return Before;
}

/// Clears a bit and returns whether it was set.
///
/// The bit may lie behind the first 32; bit 0 is the lowest of the first number.
FORCEINLINE BOOLEAN BitTestAndReset(_Inout_ LONG *Base, _In_ LONG Bit)
{
    LONG Mask = (LONG)(1U << (Bit & 31));
    BOOLEAN Before = BitTest(Base, Bit);
    Base[Bit >> 5] &= ~Mask;
    return Before;
}

/// Flips a bit and returns whether it was set.
///
/// The bit may lie behind the first 32; bit 0 is the lowest of the first number.
FORCEINLINE BOOLEAN BitTestAndComplement(_Inout_ LONG *Base, _In_ LONG Bit)
{
    LONG Mask = (LONG)(1U << (Bit & 31));
    BOOLEAN Before = BitTest(Base, Bit);
    Base[Bit >> 5] ^= Mask;
    return Before;
}

// Atomic operations without a barrier.

/// Adds one and gives the new value.
FORCEINLINE LONG InterlockedIncrementNoFence(_Inout_ LONG volatile *Target)
{
    return __atomic_add_fetch(Target, 1, __ATOMIC_RELAXED);
}

/// Takes one away and gives the new value.
FORCEINLINE LONG InterlockedDecrementNoFence(_Inout_ LONG volatile *Target)
{
    return __atomic_sub_fetch(Target, 1, __ATOMIC_RELAXED);
}

/// Adds a number and gives the old value.
FORCEINLINE LONG InterlockedExchangeAddNoFence(_Inout_ LONG volatile *Target, _In_ LONG Value)
{
    return __atomic_fetch_add(Target, Value, __ATOMIC_RELAXED);
}

/// Adds one and gives the new value.
FORCEINLINE LONG64 InterlockedIncrementNoFence64(_Inout_ LONG64 volatile *Target)
{
    return __atomic_add_fetch(Target, 1, __ATOMIC_RELAXED);
}

/// Takes one away and gives the new value.
FORCEINLINE LONG64 InterlockedDecrementNoFence64(_Inout_ LONG64 volatile *Target)
{
    return __atomic_sub_fetch(Target, 1, __ATOMIC_RELAXED);
}

/// Adds a number and gives the old value.
FORCEINLINE LONG64 InterlockedExchangeAddNoFence64(_Inout_ LONG64 volatile *Target, _In_ LONG64 Value)
{
    return __atomic_fetch_add(Target, Value, __ATOMIC_RELAXED);
}

// Singly linked lists that any thread may use without a lock.

/// Link of a sequenced list, in each entry; entries are aligned to 16 bytes.
typedef struct DECLSPEC_ALIGN(16) _SLIST_ENTRY {
    /// Next entry, or NULL.
    struct _SLIST_ENTRY *Next;
} SLIST_ENTRY, *PSLIST_ENTRY;

/// Head of a sequenced list.
typedef union DECLSPEC_ALIGN(16) _SLIST_HEADER {
    struct {
        /// Number of entries in the low 16 bits, above that a count of changes.
        ULONGLONG Alignment;
        /// First entry, in the high 60 bits.
        ULONGLONG Region;
    };
} SLIST_HEADER, *PSLIST_HEADER;

/// Makes a sequenced list empty.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI VOID InitializeSListHead(_Out_ PSLIST_HEADER SListHead);

/// First entry of a sequenced list, or NULL; it may be gone by then.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI PSLIST_ENTRY FirstEntrySList(_In_ const SLIST_HEADER *SListHead);

/// Number of entries of a sequenced list, in 16 bits.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI USHORT ExQueryDepthSList(_In_ PSLIST_HEADER SListHead);

/// Puts an entry at the start of a sequenced list, and gives the one that was there, or NULL.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI PSLIST_ENTRY FASTCALL ExpInterlockedPushEntrySList(_Inout_ PSLIST_HEADER ListHead,
    _Inout_ __drv_aliasesMem PSLIST_ENTRY ListEntry);

/// Takes the first entry out of a sequenced list, or gives NULL.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI PSLIST_ENTRY FASTCALL ExpInterlockedPopEntrySList(_Inout_ PSLIST_HEADER ListHead);

/// Takes all entries out of a sequenced list: gives the first, which links to the others, or NULL.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI PSLIST_ENTRY FASTCALL ExpInterlockedFlushSList(_Inout_ PSLIST_HEADER ListHead);

/// Puts an entry at the start of a sequenced list, and gives the one that was there, or NULL.
FORCEINLINE PSLIST_ENTRY InterlockedPushEntrySList(_Inout_ PSLIST_HEADER ListHead,
    _Inout_ __drv_aliasesMem PSLIST_ENTRY ListEntry)
{
    return ExpInterlockedPushEntrySList(ListHead, ListEntry);
}

/// Takes the first entry out of a sequenced list, or gives NULL.
FORCEINLINE PSLIST_ENTRY InterlockedPopEntrySList(_Inout_ PSLIST_HEADER ListHead)
{
    return ExpInterlockedPopEntrySList(ListHead);
}

/// Takes all entries out of a sequenced list: gives the first, which links to the others, or NULL.
FORCEINLINE PSLIST_ENTRY InterlockedFlushSList(_Inout_ PSLIST_HEADER ListHead)
{
    return ExpInterlockedFlushSList(ListHead);
}

// The documented names. The lock protected the list when processors could not exchange two words at once. It is no longer used.
/// Makes a sequenced list empty.
#define ExInitializeSListHead InitializeSListHead
/// Puts an entry at the start of a sequenced list, and gives the one that was there, or NULL.
#define ExInterlockedPushEntrySList(ListHead, ListEntry, Lock) ExpInterlockedPushEntrySList(ListHead, ListEntry)
/// Takes the first entry out of a sequenced list, or gives NULL.
#define ExInterlockedPopEntrySList(ListHead, Lock) ExpInterlockedPopEntrySList(ListHead)
/// Takes all entries out of a sequenced list: gives the first, which links to the others, or NULL.
#define ExInterlockedFlushSList(ListHead) ExpInterlockedFlushSList(ListHead)

// Objects that threads wait for.

/// Start of every object that a thread can wait for.
typedef struct _DISPATCHER_HEADER {
    union {
        /// All four bytes, which the kernel uses as a lock.
        volatile LONG Lock;
        struct {
            /// Kind of the object; for an event, its `EVENT_TYPE`.
            UCHAR Type;
            /// Whether the object is being signalled.
            UCHAR Signalling;
            /// Size of the object in 32-bit words.
            UCHAR Size;
            /// Kept by the kernel.
            UCHAR Reserved1;
        };
    };
    /// Not zero while the object is signalled.
    LONG SignalState;
    /// Waits for the object.
    LIST_ENTRY WaitListHead;
} DISPATCHER_HEADER, *PDISPATCHER_HEADER;

/// Event: threads wait until it is signalled.
typedef struct _KEVENT {
    /// The header of every such object.
    DISPATCHER_HEADER Header;
} KEVENT, *PKEVENT, *PRKEVENT;

/// Deferred procedure call.
typedef struct _KDPC *PKDPC, *PRKDPC;

/// Deferred procedure: work that an interrupt or timer leaves for DISPATCH_LEVEL.
typedef _IRQL_requires_(DISPATCH_LEVEL) VOID KDEFERRED_ROUTINE(_In_ struct _KDPC *Dpc, _In_opt_ PVOID DeferredContext,
    _In_opt_ PVOID SystemArgument1, _In_opt_ PVOID SystemArgument2);
/// Pointer to a deferred procedure.
typedef KDEFERRED_ROUTINE *PKDEFERRED_ROUTINE;

/// Deferred procedure call, which runs once for each time it is queued.
typedef struct _KDPC {
    union {
        /// The four bytes at once.
        ULONG TargetInfoAsUlong;
        struct {
            /// Kind of the object.
            UCHAR Type;
            /// Where in the queue it goes.
            UCHAR Importance;
            /// Processor that it runs on.
            volatile USHORT Number;
        };
    };
    /// Link in the queue.
    SINGLE_LIST_ENTRY DpcListEntry;
    /// Processors that it has run on.
    KAFFINITY ProcessorHistory;
    /// Procedure to call.
    PKDEFERRED_ROUTINE DeferredRoutine;
    /// First argument after the object itself.
    PVOID DeferredContext;
    /// Second argument.
    PVOID SystemArgument1;
    /// Third argument.
    PVOID SystemArgument2;
    /// Queue that it is in, or NULL.
    PVOID volatile DpcData;
} KDPC;

/// Timer: signalled when a time has passed, and then queues a deferred procedure call.
typedef struct _KTIMER {
    /// The header of every such object.
    DISPATCHER_HEADER Header;
    /// When it expires.
    ULARGE_INTEGER DueTime;
    /// Link in the table of timers.
    LIST_ENTRY TimerListEntry;
    /// Deferred procedure call to queue, or NULL.
    struct _KDPC *Dpc;
    /// Processor that keeps the timer.
    USHORT Processor;
    /// Kind of the timer.
    USHORT TimerType;
    /// Milliseconds between expirations, zero for one expiration.
    ULONG Period;
} KTIMER, *PKTIMER, *PRKTIMER;

/// Why a thread waits, as tools show it.
typedef enum _KWAIT_REASON {
    /// A driver waits for an object of its own; the usual value in drivers.
    Executive,
    /// A free page.
    FreePage,
    /// A page to be read in.
    PageIn,
    /// Pool memory.
    PoolAllocation,
    /// Time to pass.
    DelayExecution,
    /// To be resumed.
    Suspended,
    /// On behalf of a user.
    UserRequest,
    /// As `Executive`, in a queue.
    WrExecutive,
    /// As `FreePage`, in a queue.
    WrFreePage,
    /// As `PageIn`, in a queue.
    WrPageIn,
    /// As `PoolAllocation`, in a queue.
    WrPoolAllocation,
    /// As `DelayExecution`, in a queue.
    WrDelayExecution,
    /// As `Suspended`, in a queue.
    WrSuspended,
    /// As `UserRequest`, in a queue.
    WrUserRequest,
    /// Unused.
    WrSpare0,
    /// Entry of a queue.
    WrQueue,
    /// Message from a local procedure call.
    WrLpcReceive,
    /// Answer to a local procedure call.
    WrLpcReply,
    /// Virtual memory.
    WrVirtualMemory,
    /// A page to be written out.
    WrPageOut,
    /// Other threads to arrive.
    WrRendezvous,
    /// Keyed event.
    WrKeyedEvent,
    /// The end of a thread.
    WrTerminated,
    /// A process to be swapped in.
    WrProcessInSwap,
    /// Processor time within its limit.
    WrCpuRateControl,
    /// A callout stack.
    WrCalloutStack,
    /// The kernel itself.
    WrKernel,
    /// A resource lock.
    WrResource,
    /// A push lock.
    WrPushLock,
    /// A mutex.
    WrMutex,
    /// The end of its time slice.
    WrQuantumEnd,
    /// Dispatch interrupt.
    WrDispatchInt,
    /// Preempted by another thread.
    WrPreempted,
    /// Yielded to another thread.
    WrYieldExecution,
    /// A fast mutex.
    WrFastMutex,
    /// A guarded mutex.
    WrGuardedMutex,
    /// Rundown protection.
    WrRundown,
    /// An alert by thread identifier.
    WrAlertByThreadId,
    /// Preemption that was put off.
    WrDeferredPreempt,
    /// A fault in physical memory.
    WrPhysicalFault,
    /// I/O ring.
    WrIoRing,
    /// Cache of MDLs.
    WrMdlCache,
    /// Number of reasons.
    MaximumWaitReason
} KWAIT_REASON;

/// Initialises an event.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI VOID KeInitializeEvent(_Out_ PRKEVENT Event, _In_ EVENT_TYPE Type, _In_ BOOLEAN State);

/// Signals an event and gives its earlier state.
///
/// With `Wait` true the caller must wait at once, and be at or below APC_LEVEL.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI LONG KeSetEvent(_Inout_ PRKEVENT Event, _In_ KPRIORITY Increment, _In_ BOOLEAN Wait);

/// Ends the signal of an event and gives its earlier state.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI LONG KeResetEvent(_Inout_ PRKEVENT Event);

/// Ends the signal of an event.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID KeClearEvent(_Inout_ PRKEVENT Event);

/// Returns whether an event is signalled.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI LONG KeReadStateEvent(_In_ PRKEVENT Event);

/// Waits until an object is signalled or a time has passed.
///
/// At DISPATCH_LEVEL only with a time-out of zero, which does not wait. A negative time-out counts from now, in units
/// of 100 nanoseconds; without one the wait has no end.
_IRQL_requires_min_(PASSIVE_LEVEL)
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI NTSTATUS KeWaitForSingleObject(_In_ _Points_to_data_ PVOID Object,
    _In_ _Strict_type_match_ KWAIT_REASON WaitReason, _In_ KPROCESSOR_MODE WaitMode, _In_ BOOLEAN Alertable,
    _In_opt_ PLARGE_INTEGER Timeout);

/// Room for one object of a wait for several, which the kernel uses while the wait lasts.
typedef struct _KWAIT_BLOCK {
    /// Link in the list of the object's waits.
    LIST_ENTRY WaitListEntry;
    /// Kind of the wait.
    UCHAR WaitType;
    /// Kept by the kernel.
    volatile UCHAR BlockState;
    /// Which of the objects it is.
    USHORT WaitKey;
    /// Kept by the kernel.
    LONG SpareLong;
    /// Thread that waits.
    PKTHREAD Thread;
    /// Object that is waited for.
    PVOID Object;
    /// Kept by the kernel.
    PVOID SparePtr;
} KWAIT_BLOCK, *PKWAIT_BLOCK, *PRKWAIT_BLOCK;

/// Most objects of a wait that brings no room of its own.
#define THREAD_WAIT_OBJECTS 3
/// Most objects of a wait.
#define MAXIMUM_WAIT_OBJECTS 64

/// Waits until one of several objects, or each of them, is signalled or a time has passed.
///
/// Gives `STATUS_WAIT_0` and the number of the object that ended a wait for one. More than `THREAD_WAIT_OBJECTS` need room for
/// as many blocks, nonpaged. At DISPATCH_LEVEL only with a time-out of zero, which does not wait.
_IRQL_requires_min_(PASSIVE_LEVEL)
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI NTSTATUS KeWaitForMultipleObjects(_In_ ULONG Count, _In_reads_(Count) PVOID Object[],
    _In_ _Strict_type_match_ WAIT_TYPE WaitType, _In_ _Strict_type_match_ KWAIT_REASON WaitReason,
    _In_ KPROCESSOR_MODE WaitMode, _In_ BOOLEAN Alertable, _In_opt_ PLARGE_INTEGER Timeout,
    _Out_writes_opt_(Count) PKWAIT_BLOCK WaitBlockArray);

/// Waits until a time has passed.
_IRQL_requires_min_(PASSIVE_LEVEL)
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI NTSTATUS KeDelayExecutionThread(_In_ KPROCESSOR_MODE WaitMode, _In_ BOOLEAN Alertable,
    _In_ PLARGE_INTEGER Interval);

/// Initialises a deferred procedure call.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI VOID KeInitializeDpc(_Out_ __drv_aliasesMem PRKDPC Dpc, _In_ PKDEFERRED_ROUTINE DeferredRoutine,
    _In_opt_ __drv_aliasesMem PVOID DeferredContext);

/// Queues a deferred procedure call, unless it is queued already.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI BOOLEAN KeInsertQueueDpc(_Inout_ PRKDPC Dpc, _In_opt_ PVOID SystemArgument1,
    _In_opt_ __drv_aliasesMem PVOID SystemArgument2);

/// Waits until every deferred procedure call that is queued has run.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID KeFlushQueuedDpcs(VOID);

/// Initialises a timer.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID KeInitializeTimerEx(_Out_ PKTIMER Timer, _In_ TIMER_TYPE Type);

/// Starts a timer, and returns whether it was running.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI BOOLEAN KeSetTimer(_Inout_ PKTIMER Timer, _In_ LARGE_INTEGER DueTime, _In_opt_ PKDPC Dpc);

/// Stops a timer, and returns whether it was running.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI BOOLEAN KeCancelTimer(_Inout_ PKTIMER Timer);

// Interrupt request level and spin locks.

/// Tells the interrupt request level of the current processor.
///
/// A driver for x64 may also read it inline, from register CR8; on arm64 it is always a function of the kernel.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI KIRQL KeGetCurrentIrql(VOID);

/// Raises the interrupt request level and gives the earlier one.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI KIRQL FASTCALL KfRaiseIrql(_In_ KIRQL NewIrql);

#ifdef _ARM64_
/// Lowers the interrupt request level to an earlier one.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI VOID KfLowerIrql(_In_ _Notliteral_ _IRQL_restores_ KIRQL NewIrql);

/// Lowers the interrupt request level to an earlier one.
#define KeLowerIrql(NewIrql) KfLowerIrql(NewIrql)
#else
/// Lowers the interrupt request level to an earlier one.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI VOID KeLowerIrql(_In_ _Notliteral_ _IRQL_restores_ KIRQL NewIrql);
#endif

/// Raises the interrupt request level and stores the earlier one.
#define KeRaiseIrql(NewIrql, OldIrql) ((void)(*(OldIrql) = KfRaiseIrql(NewIrql)))

/// Initialises a spin lock.
FORCEINLINE VOID KeInitializeSpinLock(_Out_ PKSPIN_LOCK SpinLock)
{
    *(volatile KSPIN_LOCK *)SpinLock = 0;
}

/// Raises to DISPATCH_LEVEL, takes a spin lock and gives the earlier level.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI KIRQL KeAcquireSpinLockRaiseToDpc(_Inout_ PKSPIN_LOCK SpinLock);

/// Gives a spin lock back and lowers to the earlier level.
_IRQL_requires_(DISPATCH_LEVEL)
NTKERNELAPI VOID KeReleaseSpinLock(_Inout_ PKSPIN_LOCK SpinLock, _In_ _IRQL_restores_ KIRQL NewIrql);

/// Takes a spin lock, already at DISPATCH_LEVEL or above.
_IRQL_requires_min_(DISPATCH_LEVEL)
NTKERNELAPI VOID KeAcquireSpinLockAtDpcLevel(_Inout_ PKSPIN_LOCK SpinLock);

/// Gives a spin lock back and stays at the level.
_IRQL_requires_min_(DISPATCH_LEVEL)
NTKERNELAPI VOID KeReleaseSpinLockFromDpcLevel(_Inout_ PKSPIN_LOCK SpinLock);

/// Raises to DISPATCH_LEVEL, takes a spin lock and stores the earlier level.
#define KeAcquireSpinLock(SpinLock, OldIrql) ((void)(*(OldIrql) = KeAcquireSpinLockRaiseToDpc(SpinLock)))

// Spin locks with many readers and one writer.

/// Executive spin lock, zero when nobody holds it.
typedef volatile LONG EX_SPIN_LOCK, *PEX_SPIN_LOCK;

/// Raises to DISPATCH_LEVEL, takes an executive spin lock together with other readers, and gives the earlier level.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI KIRQL ExAcquireSpinLockShared(_Inout_ PEX_SPIN_LOCK SpinLock);

/// Takes an executive spin lock together with other readers, already at DISPATCH_LEVEL.
_IRQL_requires_(DISPATCH_LEVEL)
NTKERNELAPI VOID ExAcquireSpinLockSharedAtDpcLevel(_Inout_ PEX_SPIN_LOCK SpinLock);

/// Gives a reader's executive spin lock back and lowers to the earlier level.
_IRQL_requires_(DISPATCH_LEVEL)
NTKERNELAPI VOID ExReleaseSpinLockShared(_Inout_ PEX_SPIN_LOCK SpinLock, _In_ _IRQL_restores_ KIRQL OldIrql);

/// Gives a reader's executive spin lock back and stays at the level.
_IRQL_requires_(DISPATCH_LEVEL)
NTKERNELAPI VOID ExReleaseSpinLockSharedFromDpcLevel(_Inout_ PEX_SPIN_LOCK SpinLock);

/// Raises to DISPATCH_LEVEL, takes an executive spin lock alone, and gives the earlier level.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI KIRQL ExAcquireSpinLockExclusive(_Inout_ PEX_SPIN_LOCK SpinLock);

/// Takes an executive spin lock alone, already at DISPATCH_LEVEL.
_IRQL_requires_(DISPATCH_LEVEL)
NTKERNELAPI VOID ExAcquireSpinLockExclusiveAtDpcLevel(_Inout_ PEX_SPIN_LOCK SpinLock);

/// Gives a writer's executive spin lock back and lowers to the earlier level.
_IRQL_requires_(DISPATCH_LEVEL)
NTKERNELAPI VOID ExReleaseSpinLockExclusive(_Inout_ PEX_SPIN_LOCK SpinLock, _In_ _IRQL_restores_ KIRQL OldIrql);

/// Gives a writer's executive spin lock back and stays at the level.
_IRQL_requires_(DISPATCH_LEVEL)
NTKERNELAPI VOID ExReleaseSpinLockExclusiveFromDpcLevel(_Inout_ PEX_SPIN_LOCK SpinLock);

/// Makes the only reader of an executive spin lock its writer, and returns whether that was possible.
_IRQL_requires_(DISPATCH_LEVEL)
NTKERNELAPI LOGICAL ExTryConvertSharedSpinLockExclusive(_Inout_ PEX_SPIN_LOCK SpinLock);

// Locks whose owners may be paged out and wait.

/// Fast mutex: held by one thread, at APC_LEVEL.
typedef struct _FAST_MUTEX {
    /// One when nobody holds it, less for each thread that holds it or waits.
    LONG Count;
    /// Thread that holds it.
    PVOID Owner;
    /// How often a thread has had to wait.
    ULONG Contention;
    /// The event on which threads wait.
    KEVENT Event;
    /// Level from before it was taken.
    ULONG OldIrql;
} FAST_MUTEX, *PFAST_MUTEX;

/// One when nobody holds a fast mutex.
#define FM_LOCK_BIT 0x1

/// Initialises a fast mutex, in nonpaged memory.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE VOID ExInitializeFastMutex(_Out_ PFAST_MUTEX FastMutex)
{
    FastMutex->Count = FM_LOCK_BIT;
    FastMutex->Owner = NULL;
    FastMutex->Contention = 0;
    KeInitializeEvent(&FastMutex->Event, SynchronizationEvent, FALSE);
}

/// Takes a fast mutex, waiting for it, and raises to APC_LEVEL.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID FASTCALL ExAcquireFastMutex(_Inout_ PFAST_MUTEX FastMutex);

/// Takes a fast mutex if nobody holds it, and returns whether it did. If so, also raises to APC_LEVEL.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI BOOLEAN FASTCALL ExTryToAcquireFastMutex(_Inout_ PFAST_MUTEX FastMutex);

/// Gives a fast mutex back and lowers to the earlier level.
_IRQL_requires_(APC_LEVEL)
NTKERNELAPI VOID FASTCALL ExReleaseFastMutex(_Inout_ PFAST_MUTEX FastMutex);

/// Holds off the delivery of normal kernel calls to the thread, as taking a push lock asks for.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID KeEnterCriticalRegion(VOID);

/// Ends the region that `KeEnterCriticalRegion` began.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID KeLeaveCriticalRegion(VOID);

/// Push lock: many readers or one writer, which may wait.
typedef ULONG_PTR EX_PUSH_LOCK, *PEX_PUSH_LOCK;

/// Flags of a push lock when nothing else is asked for.
#define EX_DEFAULT_PUSH_LOCK_FLAGS 0

/// Initialises a push lock.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI VOID FASTCALL ExInitializePushLock(_Out_ PEX_PUSH_LOCK PushLock);

/// Takes a push lock together with other readers, waiting for it, in a critical region.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID FASTCALL ExAcquirePushLockSharedEx(_Inout_ PEX_PUSH_LOCK Lock, _In_ ULONG Flags);

/// Takes a push lock alone, waiting for it, in a critical region.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID FASTCALL ExAcquirePushLockExclusiveEx(_Inout_ PEX_PUSH_LOCK Lock, _In_ ULONG Flags);

/// Gives a reader's push lock back.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID FASTCALL ExReleasePushLockSharedEx(_Inout_ PEX_PUSH_LOCK Lock, _In_ ULONG Flags);

/// Gives a writer's push lock back.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID FASTCALL ExReleasePushLockExclusiveEx(_Inout_ PEX_PUSH_LOCK Lock, _In_ ULONG Flags);

/// Takes a push lock together with other readers, waiting for it, in a critical region.
FORCEINLINE VOID ExAcquirePushLockShared(_Inout_ PEX_PUSH_LOCK Lock)
{
    ExAcquirePushLockSharedEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS);
}

/// Takes a push lock alone, waiting for it, in a critical region.
FORCEINLINE VOID ExAcquirePushLockExclusive(_Inout_ PEX_PUSH_LOCK Lock)
{
    ExAcquirePushLockExclusiveEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS);
}

/// Gives a reader's push lock back.
FORCEINLINE VOID ExReleasePushLockShared(_Inout_ PEX_PUSH_LOCK Lock)
{
    ExReleasePushLockSharedEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS);
}

/// Gives a writer's push lock back.
FORCEINLINE VOID ExReleasePushLockExclusive(_Inout_ PEX_PUSH_LOCK Lock)
{
    ExReleasePushLockExclusiveEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS);
}

/// Rundown protection: counts the users of an object, and lets a thread wait for them before the object goes away.
typedef struct _EX_RUNDOWN_REF {
    union {
        /// Number of users.
        ULONG_PTR Count;
        /// Kept by the kernel while it waits.
        PVOID Ptr;
    };
} EX_RUNDOWN_REF, *PEX_RUNDOWN_REF;

/// Initialises rundown protection: nobody uses the object yet.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI VOID FASTCALL ExInitializeRundownProtection(_Out_ PEX_RUNDOWN_REF RunRef);

/// Makes rundown protection that has run down ready to be used again.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI VOID FASTCALL ExReInitializeRundownProtection(_Inout_ PEX_RUNDOWN_REF RunRef);

/// Begins to use the object, and returns whether that is still allowed.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI BOOLEAN FASTCALL ExAcquireRundownProtection(_Inout_ PEX_RUNDOWN_REF RunRef);

/// Ends a use of the object.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID FASTCALL ExReleaseRundownProtection(_Inout_ PEX_RUNDOWN_REF RunRef);

/// Allows no further use of the object, and waits until every one has ended.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID FASTCALL ExWaitForRundownProtectionRelease(_Inout_ PEX_RUNDOWN_REF RunRef);

/// Says that the object has run down, which was waited for.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID FASTCALL ExRundownCompleted(_Out_ PEX_RUNDOWN_REF RunRef);

// The system.

/// Tells the number of the current processor, and stores its group.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI ULONG KeGetCurrentProcessorNumberEx(_Out_opt_ PPROCESSOR_NUMBER ProcNumber);

/// Tells the time since the system started, without the time it slept, in units of 100 ns.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI ULONGLONG KeQueryUnbiasedInterruptTime(VOID);

/// Tells the system time in units of 100 ns since 1601, as exactly as the system knows it.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI VOID KeQuerySystemTimePrecise(_Out_ PLARGE_INTEGER CurrentTime);

/// Tells the system time in units of 100 ns since 1601.
FORCEINLINE VOID KeQuerySystemTime(_Out_ PLARGE_INTEGER CurrentTime)
{
    KeQuerySystemTimePrecise(CurrentTime);
}

/// Tells the value of a counter that runs all the time, and its ticks in a second.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI LARGE_INTEGER KeQueryPerformanceCounter(_Out_opt_ PLARGE_INTEGER PerformanceFrequency);

/// Stops the whole system with a stop code.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI DECLSPEC_NORETURN VOID NTAPI KeBugCheckEx(_In_ ULONG BugCheckCode, _In_ ULONG_PTR BugCheckParameter1,
    _In_ ULONG_PTR BugCheckParameter2, _In_ ULONG_PTR BugCheckParameter3, _In_ ULONG_PTR BugCheckParameter4);

// Exceptions, which drivers in C catch with `__try` and `__except`.

/// Raises an exception with a status.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI DECLSPEC_NORETURN VOID NTAPI ExRaiseStatus(_In_ NTSTATUS Status);

/// Raises `STATUS_ACCESS_VIOLATION`.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI DECLSPEC_NORETURN VOID NTAPI ExRaiseAccessViolation(VOID);

/// Raises `STATUS_DATATYPE_MISALIGNMENT`.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI DECLSPEC_NORETURN VOID NTAPI ExRaiseDatatypeMisalignment(VOID);

/// Raises an exception where a buffer isn't one of user mode, or isn't aligned. The memory isn't touched.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID NTAPI ProbeForRead(_In_reads_bytes_(Length) CONST volatile VOID *Address, _In_ SIZE_T Length, _In_ ULONG Alignment);

/// Raises an exception where a buffer isn't one of user mode, isn't aligned or can't be written.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID NTAPI ProbeForWrite(_Inout_updates_bytes_(Length) volatile VOID *Address, _In_ SIZE_T Length, _In_ ULONG Alignment);

// Pool memory.

/// Allocates memory from a pool; it isn't zeroed.
///
/// Nonpaged memory up to DISPATCH_LEVEL, paged memory up to APC_LEVEL. The tag says in tools whose the memory is.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI PVOID NTAPI ExAllocatePoolWithTag(_In_ POOL_TYPE PoolType, _In_ SIZE_T NumberOfBytes, _In_ ULONG Tag);

#if (NTDDI_VERSION >= NTDDI_WIN10_VB)
/// Allocates memory from a pool, zeroed unless the flags say otherwise.
///
/// Nonpaged memory up to DISPATCH_LEVEL, paged memory up to APC_LEVEL. The tag says in tools whose the memory is.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI PVOID NTAPI ExAllocatePool2(_In_ POOL_FLAGS Flags, _In_ SIZE_T NumberOfBytes, _In_ ULONG Tag);
#endif

/// Frees memory that was allocated with a tag.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID ExFreePoolWithTag(_Pre_notnull_ __drv_freesMem(Mem) PVOID P, _In_ ULONG Tag);

/// Frees pool memory.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID NTAPI ExFreePool(_Pre_notnull_ __drv_freesMem(Mem) PVOID P);

/// Allocates memory from a pool without a tag; it isn't zeroed.
///
/// Deprecated. Nonpaged memory up to DISPATCH_LEVEL, paged memory up to APC_LEVEL.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI PVOID NTAPI ExAllocatePool(_In_ POOL_TYPE PoolType, _In_ SIZE_T NumberOfBytes);

/// Bit of a pool type: memory that holds no code.
#define POOL_NX_ALLOCATION 512
/// Bit of a pool type: an exception is raised instead of returning NULL.
#define POOL_RAISE_IF_ALLOCATION_FAILURE 16

/// `ExInitializeDriverRuntime`: `NonPagedPool` holds no code in this driver, if it was compiled with `POOL_NX_OPTIN`.
#define DrvRtPoolNxOptIn 0x00000001

#if defined(POOL_NX_OPTIN_AUTO) && POOL_NX_OPTIN_AUTO
#define NonPagedPool NonPagedPoolNx
#elif defined(POOL_NX_OPTIN) && POOL_NX_OPTIN
/// The meaning of `NonPagedPool` in this driver.
DECLSPEC_SELECTANY POOL_TYPE ExDefaultNonPagedPoolType = NonPagedPoolExecute;
#define NonPagedPool (ExDefaultNonPagedPoolType)
#endif

/// Makes the driver's choices known that it was compiled with; called first of all in its `DriverEntry`.
_IRQL_requires_max_(PASSIVE_LEVEL)
FORCEINLINE VOID ExInitializeDriverRuntime(_In_ ULONG RuntimeFlags)
{
#if defined(POOL_NX_OPTIN) && POOL_NX_OPTIN && !(defined(POOL_NX_OPTIN_AUTO) && POOL_NX_OPTIN_AUTO)
    if (RuntimeFlags & DrvRtPoolNxOptIn) {
        ExDefaultNonPagedPoolType = NonPagedPoolNx;
    }
#else
    (void)RuntimeFlags;
#endif
}

/// Allocates memory from a pool and fills it with zeroes.
///
/// Nonpaged memory up to DISPATCH_LEVEL, paged memory up to APC_LEVEL. The tag says in tools whose the memory is.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE PVOID ExAllocatePoolZero(_In_ POOL_TYPE PoolType, _In_ SIZE_T NumberOfBytes, _In_ ULONG Tag)
{
    PVOID Memory = ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag);
    if (Memory != NULL) {
        RtlZeroMemory(Memory, NumberOfBytes);
    }
    return Memory;
}

/// Allocates memory from a pool and leaves it uninitialised.
///
/// Nonpaged memory up to DISPATCH_LEVEL, paged memory up to APC_LEVEL. The tag says in tools whose the memory is.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE PVOID ExAllocatePoolUninitialized(_In_ POOL_TYPE PoolType, _In_ SIZE_T NumberOfBytes, _In_ ULONG Tag)
{
    return ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag);
}

// Lookaside lists: blocks of one size. Some freed blocks are kept for the next allocations.

/// Allocates a block for a lookaside list.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) PVOID NTAPI ALLOCATE_FUNCTION(_In_ POOL_TYPE PoolType,
    _In_ SIZE_T NumberOfBytes, _In_ ULONG Tag);
/// Pointer to a function that allocates a block for a lookaside list.
typedef ALLOCATE_FUNCTION *PALLOCATE_FUNCTION;

/// Frees a block of a lookaside list.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) VOID NTAPI FREE_FUNCTION(_In_ PVOID Buffer);
/// Pointer to a function that frees a block of a lookaside list.
typedef FREE_FUNCTION *PFREE_FUNCTION;

struct _LOOKASIDE_LIST_EX;

/// Allocates a block for a lookaside list, which is the last argument.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) PVOID NTAPI ALLOCATE_FUNCTION_EX(_In_ POOL_TYPE PoolType,
    _In_ SIZE_T NumberOfBytes, _In_ ULONG Tag, _Inout_ struct _LOOKASIDE_LIST_EX *Lookaside);
/// Pointer to a function that allocates a block for a lookaside list, which is the last argument.
typedef ALLOCATE_FUNCTION_EX *PALLOCATE_FUNCTION_EX;

/// Frees a block of a lookaside list, which is the last argument.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) VOID NTAPI FREE_FUNCTION_EX(_In_ PVOID Buffer,
    _Inout_ struct _LOOKASIDE_LIST_EX *Lookaside);
/// Pointer to a function that frees a block of a lookaside list, which is the last argument.
typedef FREE_FUNCTION_EX *PFREE_FUNCTION_EX;

/// The contents of lookaside lists of nonpaged and of paged blocks.
typedef struct DECLSPEC_CACHEALIGN _GENERAL_LOOKASIDE {
    /// Blocks that are kept.
    SLIST_HEADER ListHead;
    /// How many are kept at most, at the moment.
    USHORT Depth;
    /// How many are ever kept.
    USHORT MaximumDepth;
    /// Number of allocations.
    ULONG TotalAllocates;
    /// Number of allocations for which no block was kept.
    ULONG AllocateMisses;
    /// Number of blocks that were freed.
    ULONG TotalFrees;
    /// Number of blocks that were freed and not kept.
    ULONG FreeMisses;
    /// Pool that blocks come from.
    POOL_TYPE Type;
    /// Tag of the blocks.
    ULONG Tag;
    /// Bytes of each.
    ULONG Size;
    union {
        /// Allocates a block, in a list of the extended kind.
        PALLOCATE_FUNCTION_EX AllocateEx;
        /// Allocates a block.
        PALLOCATE_FUNCTION Allocate;
    };
    union {
        /// Frees a block, in a list of the extended kind.
        PFREE_FUNCTION_EX FreeEx;
        /// Frees a block.
        PFREE_FUNCTION Free;
    };
    /// Link in the list of all lookaside lists.
    LIST_ENTRY ListEntry;
    /// Kept by the system.
    ULONG LastTotalAllocates;
    /// Kept by the system.
    ULONG LastAllocateMisses;
    /// Kept by the system.
    ULONG Future[2];
} GENERAL_LOOKASIDE, *PGENERAL_LOOKASIDE;

/// The contents of lookaside lists of the extended kind.
typedef struct _GENERAL_LOOKASIDE_POOL {
    /// Blocks that are kept.
    SLIST_HEADER ListHead;
    /// How many are kept at most, at the moment.
    USHORT Depth;
    /// How many are ever kept.
    USHORT MaximumDepth;
    /// Number of allocations.
    ULONG TotalAllocates;
    /// Number of allocations for which no block was kept.
    ULONG AllocateMisses;
    /// Number of blocks that were freed.
    ULONG TotalFrees;
    /// Number of blocks that were freed and not kept.
    ULONG FreeMisses;
    /// Pool that blocks come from.
    POOL_TYPE Type;
    /// Tag of the blocks.
    ULONG Tag;
    /// Bytes of each.
    ULONG Size;
    union {
        /// Allocates a block, in a list of the extended kind.
        PALLOCATE_FUNCTION_EX AllocateEx;
        /// Allocates a block.
        PALLOCATE_FUNCTION Allocate;
    };
    union {
        /// Frees a block, in a list of the extended kind.
        PFREE_FUNCTION_EX FreeEx;
        /// Frees a block.
        PFREE_FUNCTION Free;
    };
    /// Link in the list of all lookaside lists.
    LIST_ENTRY ListEntry;
    /// Kept by the system.
    ULONG LastTotalAllocates;
    /// Kept by the system.
    ULONG LastAllocateMisses;
    /// Kept by the system.
    ULONG Future[2];
} GENERAL_LOOKASIDE_POOL, *PGENERAL_LOOKASIDE_POOL;

/// Alignment of lookaside lists.
#define LOOKASIDE_ALIGN DECLSPEC_CACHEALIGN

/// Lookaside list of nonpaged blocks.
typedef struct LOOKASIDE_ALIGN _NPAGED_LOOKASIDE_LIST {
    /// The contents that all these lists share.
    GENERAL_LOOKASIDE L;
} NPAGED_LOOKASIDE_LIST, *PNPAGED_LOOKASIDE_LIST;

/// Lookaside list of paged blocks. The list itself is in nonpaged memory.
typedef struct LOOKASIDE_ALIGN _PAGED_LOOKASIDE_LIST {
    /// The contents that all these lists share.
    GENERAL_LOOKASIDE L;
} PAGED_LOOKASIDE_LIST, *PPAGED_LOOKASIDE_LIST;

/// Lookaside list of paged or nonpaged memory.
typedef struct _LOOKASIDE_LIST_EX {
    /// The contents that all these lists share.
    GENERAL_LOOKASIDE_POOL L;
} LOOKASIDE_LIST_EX, *PLOOKASIDE_LIST_EX;

/// `ExInitializeLookasideListEx`: allocations raise an exception where they fail.
#define EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL 0x00000001
/// `ExInitializeLookasideListEx`: allocations fail where they would have to wait for memory.
#define EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE 0x00000002

/// Initialises a lookaside list of nonpaged blocks, in nonpaged memory. The depth is not used.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID NTAPI ExInitializeNPagedLookasideList(_Out_ PNPAGED_LOOKASIDE_LIST Lookaside,
    _In_opt_ PALLOCATE_FUNCTION Allocate, _In_opt_ PFREE_FUNCTION Free, _In_ ULONG Flags, _In_ SIZE_T Size, _In_ ULONG Tag,
    _In_ USHORT Depth);

/// Frees the blocks that a lookaside list of nonpaged blocks keeps, and ends it.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID NTAPI ExDeleteNPagedLookasideList(_Inout_ PNPAGED_LOOKASIDE_LIST Lookaside);

/// Initialises a lookaside list of paged blocks, in nonpaged memory. The depth is not used.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID NTAPI ExInitializePagedLookasideList(_Out_ PPAGED_LOOKASIDE_LIST Lookaside,
    _In_opt_ PALLOCATE_FUNCTION Allocate, _In_opt_ PFREE_FUNCTION Free, _In_ ULONG Flags, _In_ SIZE_T Size, _In_ ULONG Tag,
    _In_ USHORT Depth);

/// Frees the blocks that a lookaside list of paged blocks keeps, and ends it.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID NTAPI ExDeletePagedLookasideList(_Inout_ PPAGED_LOOKASIDE_LIST Lookaside);

/// Initialises a lookaside list, in nonpaged memory. The depth is not used.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI NTSTATUS NTAPI ExInitializeLookasideListEx(_Out_ PLOOKASIDE_LIST_EX Lookaside,
    _In_opt_ PALLOCATE_FUNCTION_EX Allocate, _In_opt_ PFREE_FUNCTION_EX Free, _In_ POOL_TYPE PoolType, _In_ ULONG Flags,
    _In_ SIZE_T Size, _In_ ULONG Tag, _In_ USHORT Depth);

/// Frees the blocks that a lookaside list keeps, and ends it.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID NTAPI ExDeleteLookasideListEx(_Inout_ PLOOKASIDE_LIST_EX Lookaside);

/// Frees the blocks that a lookaside list keeps.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID NTAPI ExFlushLookasideListEx(_Inout_ PLOOKASIDE_LIST_EX Lookaside);

/// Takes a block out of a lookaside list, or allocates one, or gives NULL.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE PVOID ExAllocateFromNPagedLookasideList(_Inout_ PNPAGED_LOOKASIDE_LIST Lookaside)
{
    ++Lookaside->L.TotalAllocates;
    PVOID Block = ExpInterlockedPopEntrySList(&Lookaside->L.ListHead);
    if (Block == NULL) {
        ++Lookaside->L.AllocateMisses;
        Block = Lookaside->L.Allocate(Lookaside->L.Type, Lookaside->L.Size, Lookaside->L.Tag);
    }
    return Block;
}

/// Gives a block back to its lookaside list, which keeps or frees it.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE VOID ExFreeToNPagedLookasideList(_Inout_ PNPAGED_LOOKASIDE_LIST Lookaside, _In_ PVOID Entry)
{
    ++Lookaside->L.TotalFrees;
    if (ExQueryDepthSList(&Lookaside->L.ListHead) >= Lookaside->L.Depth) {
        ++Lookaside->L.FreeMisses;
        Lookaside->L.Free(Entry);
    } else {
        ExpInterlockedPushEntrySList(&Lookaside->L.ListHead, (PSLIST_ENTRY)Entry);
    }
}

/// Takes a block out of a lookaside list of paged blocks, or allocates one, or gives NULL.
_IRQL_requires_max_(APC_LEVEL)
FORCEINLINE PVOID ExAllocateFromPagedLookasideList(_Inout_ PPAGED_LOOKASIDE_LIST Lookaside)
{
    ++Lookaside->L.TotalAllocates;
    PVOID Block = ExpInterlockedPopEntrySList(&Lookaside->L.ListHead);
    if (Block == NULL) {
        ++Lookaside->L.AllocateMisses;
        Block = Lookaside->L.Allocate(Lookaside->L.Type, Lookaside->L.Size, Lookaside->L.Tag);
    }
    return Block;
}

/// Gives a block back to its lookaside list of paged blocks, which keeps or frees it.
_IRQL_requires_max_(APC_LEVEL)
FORCEINLINE VOID ExFreeToPagedLookasideList(_Inout_ PPAGED_LOOKASIDE_LIST Lookaside, _In_ PVOID Entry)
{
    ++Lookaside->L.TotalFrees;
    if (ExQueryDepthSList(&Lookaside->L.ListHead) >= Lookaside->L.Depth) {
        ++Lookaside->L.FreeMisses;
        Lookaside->L.Free(Entry);
    } else {
        ExpInterlockedPushEntrySList(&Lookaside->L.ListHead, (PSLIST_ENTRY)Entry);
    }
}

/// Takes a block out of a lookaside list, or allocates one, or gives NULL.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE PVOID ExAllocateFromLookasideListEx(_Inout_ PLOOKASIDE_LIST_EX Lookaside)
{
    ++Lookaside->L.TotalAllocates;
    PVOID Block = ExpInterlockedPopEntrySList(&Lookaside->L.ListHead);
    if (Block == NULL) {
        ++Lookaside->L.AllocateMisses;
        Block = Lookaside->L.AllocateEx(Lookaside->L.Type, Lookaside->L.Size, Lookaside->L.Tag, Lookaside);
    }
    return Block;
}

/// Gives a block back to its lookaside list, which keeps or frees it.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE VOID ExFreeToLookasideListEx(_Inout_ PLOOKASIDE_LIST_EX Lookaside, _In_ PVOID Entry)
{
    ++Lookaside->L.TotalFrees;
    if (ExQueryDepthSList(&Lookaside->L.ListHead) >= Lookaside->L.Depth) {
        ++Lookaside->L.FreeMisses;
        Lookaside->L.FreeEx(Entry, Lookaside);
    } else {
        ExpInterlockedPushEntrySList(&Lookaside->L.ListHead, (PSLIST_ENTRY)Entry);
    }
}

// Memory descriptor lists.

/// Describes a buffer by its pages; the numbers of the pages follow the structure.
typedef struct _MDL {
    /// Next list of a chain, or NULL.
    struct _MDL *Next;
    /// Bytes of this structure with the page numbers.
    CSHORT Size;
    /// `MDL_…` flags.
    CSHORT MdlFlags;
    /// Process that the buffer belongs to, or NULL.
    struct _EPROCESS *Process;
    /// Where the pages are mapped in system space, when they are.
    PVOID MappedSystemVa;
    /// Start of the first page of the buffer.
    PVOID StartVa;
    /// Bytes of the buffer.
    ULONG ByteCount;
    /// Where in the first page the buffer starts.
    ULONG ByteOffset;
} MDL, *PMDL;
/// Memory descriptor list followed by its page numbers.
typedef MDL *PMDLX;

/// The pages are mapped in system space.
#define MDL_MAPPED_TO_SYSTEM_VA 0x0001
/// The pages are locked in memory.
#define MDL_PAGES_LOCKED 0x0002
/// The buffer is nonpaged pool, always present and mapped.
#define MDL_SOURCE_IS_NONPAGED_POOL 0x0004
/// The list was allocated with a size of the system's own.
#define MDL_ALLOCATED_FIXED_SIZE 0x0008
/// The list describes a part of another one's buffer.
#define MDL_PARTIAL 0x0010
/// The list describes a part of another one's buffer, and has been mapped.
#define MDL_PARTIAL_HAS_BEEN_MAPPED 0x0020
/// The pages are being read in.
#define MDL_IO_PAGE_READ 0x0040
/// The pages were locked in order to be written.
#define MDL_WRITE_OPERATION 0x0080
/// The page tables are locked.
#define MDL_LOCKED_PAGE_TABLES 0x0100
/// The list that this is a part of is mapped in system space.
#define MDL_PARENT_MAPPED_SYSTEM_VA MDL_LOCKED_PAGE_TABLES
/// The mapping uses more page-table entries than it needs.
#define MDL_FREE_EXTRA_PTES 0x0200
/// The pages are of an address windowing extension.
#define MDL_DESCRIBES_AWE 0x0400
/// The pages are device memory.
#define MDL_IO_SPACE 0x0800
/// The list describes the header of a network packet.
#define MDL_NETWORK_HEADER 0x1000
/// Mapping the pages may fail.
#define MDL_MAPPING_CAN_FAIL 0x2000
/// The contents of the pages do not change while they are locked.
#define MDL_PAGE_CONTENTS_INVARIANT 0x4000
/// Obsolete: the allocation was not to fail.
#define MDL_ALLOCATED_MUST_SUCCEED MDL_PAGE_CONTENTS_INVARIANT
/// Kept by the kernel.
#define MDL_INTERNAL 0x8000
/// Flags that say how the pages are mapped.
#define MDL_MAPPING_FLAGS \
    (MDL_MAPPED_TO_SYSTEM_VA | MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL | MDL_PARTIAL_HAS_BEEN_MAPPED | \
        MDL_PARENT_MAPPED_SYSTEM_VA | MDL_IO_SPACE)

/// Allocates a list for a buffer, and may put it in a request.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI PMDL IoAllocateMdl(_In_opt_ __drv_aliasesMem PVOID VirtualAddress, _In_ ULONG Length,
    _In_ BOOLEAN SecondaryBuffer, _In_ BOOLEAN ChargeQuota, _Inout_opt_ PIRP Irp);

/// Frees a list.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID IoFreeMdl(PMDL Mdl);

/// Makes a list describe a part of another one's buffer.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID IoBuildPartialMdl(_In_ PMDL SourceMdl, _Inout_ PMDL TargetMdl, _Inout_ PVOID VirtualAddress,
    _In_ ULONG Length);

/// Fills in the pages of a list whose buffer is nonpaged memory.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID MmBuildMdlForNonPagedPool(_Inout_ PMDL MemoryDescriptorList);

/// Checks that the buffer may be used so, locks its pages and fills them in.
///
/// Raises an exception where the memory is not valid. Memory that may be paged out needs APC_LEVEL or below.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID MmProbeAndLockPages(_Inout_ PMDL MemoryDescriptorList, _In_ KPROCESSOR_MODE AccessMode,
    _In_ LOCK_OPERATION Operation);

/// Unlocks the pages of a list, and unmaps them.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID MmUnlockPages(_Inout_ PMDL MemoryDescriptorList);

/// Maps the locked pages of a list, or gives NULL.
///
/// Mapping into user space raises exceptions and needs APC_LEVEL or below.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI PVOID MmMapLockedPagesSpecifyCache(_Inout_ PMDL MemoryDescriptorList, _In_ KPROCESSOR_MODE AccessMode,
    _In_ MEMORY_CACHING_TYPE CacheType, _In_opt_ PVOID RequestedAddress, _In_ ULONG BugCheckOnFailure,
    _In_ ULONG Priority);

/// Takes back the mapping of a list.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID MmUnmapLockedPages(_In_ PVOID BaseAddress, _Inout_ PMDL MemoryDescriptorList);

/// Tells how many bytes a list for such a buffer takes.
_IRQL_requires_max_(HIGH_LEVEL)
NTKERNELAPI SIZE_T MmSizeOfMdl(_In_reads_bytes_opt_(Length) PVOID Base, _In_ SIZE_T Length);

/// Bytes of the buffer that a list describes.
FORCEINLINE ULONG MmGetMdlByteCount(_In_ const MDL *Mdl)
{
    return Mdl->ByteCount;
}

/// Where in its first page the buffer of a list starts.
FORCEINLINE ULONG MmGetMdlByteOffset(_In_ const MDL *Mdl)
{
    return Mdl->ByteOffset;
}

/// Start of the first page of the buffer of a list.
FORCEINLINE PVOID MmGetMdlBaseVa(_In_ const MDL *Mdl)
{
    return Mdl->StartVa;
}

/// Address of the buffer in the process that it belongs to.
FORCEINLINE PVOID MmGetMdlVirtualAddress(_In_ const MDL *Mdl)
{
    return (PVOID)((PCHAR)Mdl->StartVa + Mdl->ByteOffset);
}

/// Numbers of the pages, which follow the list.
FORCEINLINE PPFN_NUMBER MmGetMdlPfnArray(_In_ const MDL *Mdl)
{
    return (PPFN_NUMBER)(ULONG_PTR)(Mdl + 1);
}

/// Makes a list in the caller's own memory describe a buffer, without its pages yet.
FORCEINLINE VOID MmInitializeMdl(_Out_ PMDL MemoryDescriptorList, _In_opt_ PVOID BaseVa, _In_ SIZE_T Length)
{
    SIZE_T Pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(BaseVa, Length);
    MemoryDescriptorList->Next = NULL;
    MemoryDescriptorList->Size = (CSHORT)(sizeof(MDL) + Pages * sizeof(PFN_NUMBER));
    MemoryDescriptorList->MdlFlags = 0;
    MemoryDescriptorList->StartVa = PAGE_ALIGN(BaseVa);
    MemoryDescriptorList->ByteOffset = BYTE_OFFSET(BaseVa);
    MemoryDescriptorList->ByteCount = (ULONG)Length;
}

/// Address of the buffer in system space, which maps the pages where that has not been done, or NULL.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE PVOID MmGetSystemAddressForMdlSafe(_Inout_ PMDL Mdl, _In_ ULONG Priority)
{
    if ((Mdl->MdlFlags & (MDL_SOURCE_IS_NONPAGED_POOL | MDL_MAPPED_TO_SYSTEM_VA)) == 0) {
        return MmMapLockedPagesSpecifyCache(Mdl, KernelMode, MmCached, NULL, FALSE, Priority);
    }
    return Mdl->MappedSystemVa;
}

/// Releases the mapping of a partial list, so that the list can be built again.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE VOID MmPrepareMdlForReuse(_Inout_ PMDL Mdl)
{
    if (Mdl->MdlFlags & MDL_PARTIAL_HAS_BEEN_MAPPED) {
        NT_ASSERT(Mdl->MdlFlags & MDL_PARTIAL);
        MmUnmapLockedPages(Mdl->MappedSystemVa, Mdl);
    } else {
        NT_ASSERT((Mdl->MdlFlags & MDL_PARTIAL) || !(Mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA));
    }
}

// I/O requests.

/// How a request ended.
typedef struct _IO_STATUS_BLOCK {
    union {
        /// Status of the request.
        NTSTATUS Status;
        /// Kept by the system.
        PVOID Pointer;
    };
    /// Result of the request, most often a number of bytes.
    ULONG_PTR Information;
} IO_STATUS_BLOCK, *PIO_STATUS_BLOCK;

/// Called when an asynchronous user request has completed.
typedef _IRQL_requires_max_(PASSIVE_LEVEL) VOID(NTAPI *PIO_APC_ROUTINE)(_In_ PVOID ApcContext,
    _In_ PIO_STATUS_BLOCK IoStatusBlock, _In_ ULONG Reserved);

/// Initialises a driver that has been loaded.
typedef _IRQL_requires_(PASSIVE_LEVEL) NTSTATUS DRIVER_INITIALIZE(_In_ struct _DRIVER_OBJECT *DriverObject,
    _In_ PUNICODE_STRING RegistryPath);
/// Pointer to the routine that initialises a driver.
typedef DRIVER_INITIALIZE *PDRIVER_INITIALIZE;

/// Undoes what the driver has done, before it is unloaded.
typedef _IRQL_requires_(PASSIVE_LEVEL) VOID DRIVER_UNLOAD(_In_ struct _DRIVER_OBJECT *DriverObject);
/// Pointer to the routine that prepares a driver to be unloaded.
typedef DRIVER_UNLOAD *PDRIVER_UNLOAD;

/// Cancels a request that is waiting.
typedef _IRQL_requires_(DISPATCH_LEVEL) VOID DRIVER_CANCEL(_Inout_ struct _DEVICE_OBJECT *DeviceObject,
    _Inout_ _IRQL_uses_cancel_ struct _IRP *Irp);
/// Pointer to the routine that cancels a request.
typedef DRIVER_CANCEL *PDRIVER_CANCEL;

/// Carries out a request of one major function code.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS DRIVER_DISPATCH(_In_ struct _DEVICE_OBJECT *DeviceObject,
    _Inout_ struct _IRP *Irp);
/// Pointer to a routine that carries out requests.
typedef DRIVER_DISPATCH *PDRIVER_DISPATCH;

/// Starts the next request of a device.
typedef _IRQL_requires_(DISPATCH_LEVEL) VOID DRIVER_STARTIO(_Inout_ struct _DEVICE_OBJECT *DeviceObject,
    _Inout_ struct _IRP *Irp);
/// Pointer to the routine that starts the next request.
typedef DRIVER_STARTIO *PDRIVER_STARTIO;

/// Makes a device object for a device that has been found.
typedef _IRQL_requires_(PASSIVE_LEVEL) NTSTATUS DRIVER_ADD_DEVICE(_In_ struct _DRIVER_OBJECT *DriverObject,
    _In_ struct _DEVICE_OBJECT *PhysicalDeviceObject);
/// Pointer to the routine that makes device objects.
typedef DRIVER_ADD_DEVICE *PDRIVER_ADD_DEVICE;

/// Called when a request completes, for the driver that sent it.
///
/// Returns STATUS_MORE_PROCESSING_REQUIRED to keep the request, anything else to let completion go on.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS IO_COMPLETION_ROUTINE(_In_ PDEVICE_OBJECT DeviceObject,
    _In_ PIRP Irp, _In_reads_opt_(_Inexpressible_("varies")) PVOID Context);
/// Pointer to a routine that is called when a request completes.
typedef IO_COMPLETION_ROUTINE *PIO_COMPLETION_ROUTINE;

/// Entry of a device queue.
typedef struct _KDEVICE_QUEUE_ENTRY {
    /// Link in the queue.
    LIST_ENTRY DeviceListEntry;
    /// Where in a sorted queue it goes.
    ULONG SortKey;
    /// Whether it is in a queue.
    BOOLEAN Inserted;
} KDEVICE_QUEUE_ENTRY, *PKDEVICE_QUEUE_ENTRY, *PRKDEVICE_QUEUE_ENTRY;

/// Requests that wait for a device.
typedef struct _KDEVICE_QUEUE {
    /// Kind of the object.
    CSHORT Type;
    /// Bytes of the object.
    CSHORT Size;
    /// Waiting requests.
    LIST_ENTRY DeviceListHead;
    /// Protects the queue.
    KSPIN_LOCK Lock;
#ifdef _ARM64_
    /// Whether the device is busy.
    BOOLEAN Busy;
#else
    union {
        /// Whether the device is busy.
        BOOLEAN Busy;
        struct {
            /// Where `Busy` lies.
            LONG64 Reserved : 8;
            /// Kept by the kernel.
            LONG64 Hint : 56;
        };
    };
#endif
} KDEVICE_QUEUE, *PKDEVICE_QUEUE, *PRKDEVICE_QUEUE;

/// Asynchronous procedure call of a thread.
typedef struct _KAPC {
    /// Kind of the object.
    UCHAR Type;
    /// Kept by the kernel.
    UCHAR AllFlags;
    /// Bytes of the object.
    UCHAR Size;
    /// Unused.
    UCHAR SpareByte1;
    /// Unused.
    ULONG SpareLong0;
    /// Thread that it runs in.
    struct _KTHREAD *Thread;
    /// Link in the queue of the thread.
    LIST_ENTRY ApcListEntry;
    /// Kept by the kernel.
    PVOID Reserved[3];
    /// First argument.
    PVOID NormalContext;
    /// Second argument.
    PVOID SystemArgument1;
    /// Third argument.
    PVOID SystemArgument2;
    /// Kept by the kernel.
    CCHAR ApcStateIndex;
    /// Mode that it runs in.
    KPROCESSOR_MODE ApcMode;
    /// Whether it is queued.
    BOOLEAN Inserted;
} KAPC, *PKAPC, *PRKAPC;

/// One driver's part of a request, and the routine to call when that part has completed.
typedef struct _IO_STACK_LOCATION {
    /// `IRP_MJ_…` code of the request.
    UCHAR MajorFunction;
    /// `IRP_MN_…` code of the request.
    UCHAR MinorFunction;
    /// Flags that depend on the major function.
    UCHAR Flags;
    /// When the completion routine is called, and whether the request is pending: `SL_…` bits.
    UCHAR Control;
    /// Parameters, by major function.
    union {
        /// Opening a file.
        struct {
            /// The opener and its access.
            PIO_SECURITY_CONTEXT SecurityContext;
            /// Options and disposition.
            ULONG Options;
            /// Attributes of a new file.
            USHORT POINTER_ALIGNMENT FileAttributes;
            /// How the file may be shared.
            USHORT ShareAccess;
            /// Bytes of extended attributes.
            ULONG POINTER_ALIGNMENT EaLength;
        }
        /// Opening a file.
        Create;
        /// Reading.
        struct {
            /// Bytes to read.
            ULONG Length;
            /// Key of a byte-range lock.
            ULONG POINTER_ALIGNMENT Key;
            /// Flags of the read.
            ULONG Flags;
            /// Where to read.
            LARGE_INTEGER ByteOffset;
        }
        /// Reading.
        Read;
        /// Writing.
        struct {
            /// Bytes to write.
            ULONG Length;
            /// Key of a byte-range lock.
            ULONG POINTER_ALIGNMENT Key;
            /// Flags of the write.
            ULONG Flags;
            /// Where to write.
            LARGE_INTEGER ByteOffset;
        }
        /// Writing.
        Write;
        /// Control of a file system.
        struct {
            /// Bytes of the output buffer.
            ULONG OutputBufferLength;
            /// Bytes of the input buffer.
            ULONG POINTER_ALIGNMENT InputBufferLength;
            /// Control code.
            ULONG POINTER_ALIGNMENT FsControlCode;
            /// Input buffer of requests that are not buffered.
            PVOID Type3InputBuffer;
        }
        /// Control of a file system.
        FileSystemControl;
        /// Control of a device.
        struct {
            /// Bytes of the output buffer.
            ULONG OutputBufferLength;
            /// Bytes of the input buffer.
            ULONG POINTER_ALIGNMENT InputBufferLength;
            /// Control code.
            ULONG POINTER_ALIGNMENT IoControlCode;
            /// Input buffer of requests that are not buffered.
            PVOID Type3InputBuffer;
        }
        /// Control of a device.
        DeviceIoControl;
        /// Any other request.
        struct {
            /// First parameter.
            PVOID Argument1;
            /// Second parameter.
            PVOID Argument2;
            /// Third parameter.
            PVOID Argument3;
            /// Fourth parameter.
            PVOID Argument4;
        }
        /// Any other request.
        Others;
    }
    /// Parameters, by major function.
    Parameters;
    /// Device that is asked.
    PDEVICE_OBJECT DeviceObject;
    /// File that the request is about, or NULL.
    PFILE_OBJECT FileObject;
    /// Completion routine of the next higher driver.
    PIO_COMPLETION_ROUTINE CompletionRoutine;
    /// Third argument of the completion routine.
    PVOID Context;
} IO_STACK_LOCATION;

/// I/O request packet; its stack locations follow the structure.
typedef struct DECLSPEC_ALIGN(MEMORY_ALLOCATION_ALIGNMENT) _IRP {
    /// `IO_TYPE_IRP`.
    CSHORT Type;
    /// Bytes of this structure with the stack locations.
    USHORT Size;
    /// Buffer of the request, or NULL.
    PMDL MdlAddress;
    /// `IRP_…` flags.
    ULONG Flags;
    /// Data of the request.
    union {
        /// Request that this is a part of.
        struct _IRP *MasterIrp;
        /// Number of requests that this one was split into.
        LONG volatile IrpCount;
        /// Buffer in system space.
        PVOID SystemBuffer;
    }
    /// Data of the request.
    AssociatedIrp;
    /// Link in the list of the thread.
    LIST_ENTRY ThreadListEntry;
    /// How the request ended.
    IO_STATUS_BLOCK IoStatus;
    /// Origin of the request.
    KPROCESSOR_MODE RequestorMode;
    /// Whether the driver below has marked the request as pending.
    BOOLEAN PendingReturned;
    /// Number of stack locations.
    CHAR StackCount;
    /// Number of the current stack location; one above the count before the request is sent.
    CHAR CurrentLocation;
    /// Whether cancelling has been asked for.
    BOOLEAN Cancel;
    /// Level to return to when the cancel lock is released.
    KIRQL CancelIrql;
    /// Kept by the kernel.
    CCHAR ApcEnvironment;
    /// How the packet was allocated.
    UCHAR AllocationFlags;
    union {
        /// Where the user wants the status.
        PIO_STATUS_BLOCK UserIosb;
        /// Context of an I/O ring.
        PVOID IoRingContext;
    };
    /// Event to signal on completion, or NULL.
    PKEVENT UserEvent;
    /// Data of this kind of request.
    union {
        /// An asynchronous request.
        struct {
            union {
                /// Procedure that the user wants called.
                PIO_APC_ROUTINE UserApcRoutine;
                /// Process that made the request.
                PVOID IssuingProcess;
            };
            union {
                /// Argument of that procedure.
                PVOID UserApcContext;
                /// I/O ring that the request came from.
                struct _IORING_OBJECT *IoRing;
            };
        }
        /// An asynchronous request.
        AsynchronousParameters;
        /// Size of a file that is created.
        LARGE_INTEGER AllocationSize;
    }
    /// Data of this kind of request.
    Overlay;
    /// Routine that cancels the request, or NULL.
    PDRIVER_CANCEL volatile CancelRoutine;
    /// The user's own buffer.
    PVOID UserBuffer;
    /// Data of the request's owner.
    union {
        /// While drivers work on the request.
        struct {
            union {
                /// Link in a device queue.
                KDEVICE_QUEUE_ENTRY DeviceQueueEntry;
                /// For the driver that owns the request.
                PVOID DriverContext[4];
            };
            /// Thread that made the request.
            PETHREAD Thread;
            /// Further buffer.
            PCHAR AuxiliaryBuffer;
            /// Link in a queue of the driver that owns the request.
            LIST_ENTRY ListEntry;
            union {
                /// Current stack location.
                struct _IO_STACK_LOCATION *CurrentStackLocation;
                /// Kind of packet on a completion port.
                ULONG PacketType;
            };
            /// File that the request was made for.
            PFILE_OBJECT OriginalFileObject;
        }
        /// While drivers work on the request.
        Overlay;
        /// While the request completes in the thread that made it.
        KAPC Apc;
        /// While it waits on a completion port.
        PVOID CompletionKey;
    }
    /// Data of the request's owner.
    Tail;
} IRP;

/// Kind of an object: device.
#define IO_TYPE_DEVICE 0x00000003
/// Kind of an object: driver.
#define IO_TYPE_DRIVER 0x00000004
/// Kind of an object: open file.
#define IO_TYPE_FILE 0x00000005
/// Kind of an object: request packet.
#define IO_TYPE_IRP 0x00000006

/// Marks the request as pending in its stack location.
#define SL_PENDING_RETURNED 0x01
/// A driver below has failed the request.
#define SL_ERROR_RETURNED 0x02
/// Calls the completion routine when the request was cancelled.
#define SL_INVOKE_ON_CANCEL 0x20
/// Calls the completion routine when the request succeeded.
#define SL_INVOKE_ON_SUCCESS 0x40
/// Calls the completion routine when the request failed.
#define SL_INVOKE_ON_ERROR 0x80

/// No rise of priority for the thread that waits.
#define IO_NO_INCREMENT 0
/// Rise of priority that suits a CD-ROM.
#define IO_CD_ROM_INCREMENT 1
/// Rise of priority that suits a disk.
#define IO_DISK_INCREMENT 1
/// Rise of priority that suits a keyboard.
#define IO_KEYBOARD_INCREMENT 6
/// Rise of priority that suits a mailslot.
#define IO_MAILSLOT_INCREMENT 2
/// Rise of priority that suits a mouse.
#define IO_MOUSE_INCREMENT 6
/// Rise of priority that suits a named pipe.
#define IO_NAMED_PIPE_INCREMENT 2
/// Rise of priority that suits the network.
#define IO_NETWORK_INCREMENT 2
/// Rise of priority that suits a parallel port.
#define IO_PARALLEL_INCREMENT 1
/// Rise of priority that suits a serial port.
#define IO_SERIAL_INCREMENT 2
/// Rise of priority that suits sound.
#define IO_SOUND_INCREMENT 8
/// Rise of priority that suits video.
#define IO_VIDEO_INCREMENT 1
/// Rise of priority for the thread that waits for an event.
#define EVENT_INCREMENT 1

/// Opens or creates.
#define IRP_MJ_CREATE 0x00
/// Creates a named pipe.
#define IRP_MJ_CREATE_NAMED_PIPE 0x01
/// The last reference to an open file is gone.
#define IRP_MJ_CLOSE 0x02
/// Reads.
#define IRP_MJ_READ 0x03
/// Writes.
#define IRP_MJ_WRITE 0x04
/// Asks about a file.
#define IRP_MJ_QUERY_INFORMATION 0x05
/// Changes a file's information.
#define IRP_MJ_SET_INFORMATION 0x06
/// Asks for extended attributes.
#define IRP_MJ_QUERY_EA 0x07
/// Sets extended attributes.
#define IRP_MJ_SET_EA 0x08
/// Flushes buffered data.
#define IRP_MJ_FLUSH_BUFFERS 0x09
/// Asks about a volume.
#define IRP_MJ_QUERY_VOLUME_INFORMATION 0x0a
/// Changes a volume's information.
#define IRP_MJ_SET_VOLUME_INFORMATION 0x0b
/// Lists or watches a directory.
#define IRP_MJ_DIRECTORY_CONTROL 0x0c
/// Control of a file system.
#define IRP_MJ_FILE_SYSTEM_CONTROL 0x0d
/// Control of a device, from anyone.
#define IRP_MJ_DEVICE_CONTROL 0x0e
/// Control of a device, from other drivers.
#define IRP_MJ_INTERNAL_DEVICE_CONTROL 0x0f
/// The system shuts down.
#define IRP_MJ_SHUTDOWN 0x10
/// Locks a range of bytes.
#define IRP_MJ_LOCK_CONTROL 0x11
/// The last handle of an open file is closed.
#define IRP_MJ_CLEANUP 0x12
/// Creates a mailslot.
#define IRP_MJ_CREATE_MAILSLOT 0x13
/// Asks for a security descriptor.
#define IRP_MJ_QUERY_SECURITY 0x14
/// Sets a security descriptor.
#define IRP_MJ_SET_SECURITY 0x15
/// Power management.
#define IRP_MJ_POWER 0x16
/// Windows Management Instrumentation.
#define IRP_MJ_SYSTEM_CONTROL 0x17
/// A device has changed.
#define IRP_MJ_DEVICE_CHANGE 0x18
/// Asks for quotas.
#define IRP_MJ_QUERY_QUOTA 0x19
/// Sets quotas.
#define IRP_MJ_SET_QUOTA 0x1a
/// Plug and Play.
#define IRP_MJ_PNP 0x1b
/// Highest major function code.
#define IRP_MJ_MAXIMUM_FUNCTION 0x1b

/// Kind of a device, and the access that one of its control codes needs.
typedef ULONG DEVICE_TYPE;
/// Device of no other kind.
#define FILE_DEVICE_UNKNOWN 0x00000022
/// Network device.
#define FILE_DEVICE_NETWORK 0x00000012
/// Device object does not allow names below its own.
#define FILE_DEVICE_SECURE_OPEN 0x00000100
/// Control code whose buffers are copied.
#define METHOD_BUFFERED 0
/// Control code whose output buffer comes as an MDL to be read.
#define METHOD_IN_DIRECT 1
/// Control code whose output buffer comes as an MDL to be written.
#define METHOD_OUT_DIRECT 2
/// Control code whose buffers are passed unchanged.
#define METHOD_NEITHER 3
/// Control code that any opener may send.
#define FILE_ANY_ACCESS 0
/// Control code that needs the right to read.
#define FILE_READ_ACCESS 0x0001
/// Control code that needs the right to write.
#define FILE_WRITE_ACCESS 0x0002
/// Control code from its parts.
#define CTL_CODE(DeviceType, Function, Method, Access) \
    (((DeviceType) << 16) | ((Access) << 14) | ((Function) << 2) | (Method))

/// Data of a driver in addition to its driver object.
typedef struct _DRIVER_EXTENSION {
    /// Driver object that it belongs to.
    struct _DRIVER_OBJECT *DriverObject;
    /// Routine that makes device objects.
    PDRIVER_ADD_DEVICE AddDevice;
    /// How often the driver's reinitialisation routines have been called.
    ULONG Count;
    /// Name of the driver's key in the registry.
    UNICODE_STRING ServiceKeyName;
} DRIVER_EXTENSION, *PDRIVER_EXTENSION;

/// Loaded driver.
typedef struct _DRIVER_OBJECT {
    /// `IO_TYPE_DRIVER`.
    CSHORT Type;
    /// Bytes of this structure.
    CSHORT Size;
    /// First of the driver's device objects.
    PDEVICE_OBJECT DeviceObject;
    /// Kept by the system.
    ULONG Flags;
    /// Where the driver was loaded.
    PVOID DriverStart;
    /// Bytes of the loaded driver.
    ULONG DriverSize;
    /// Kept by the system.
    PVOID DriverSection;
    /// More data of the driver.
    PDRIVER_EXTENSION DriverExtension;
    /// Name of the driver.
    UNICODE_STRING DriverName;
    /// Path of the hardware description in the registry.
    PUNICODE_STRING HardwareDatabase;
    /// Fast entry points of a file system.
    PFAST_IO_DISPATCH FastIoDispatch;
    /// Entry point of the driver.
    PDRIVER_INITIALIZE DriverInit;
    /// Routine that starts the next request, or NULL.
    PDRIVER_STARTIO DriverStartIo;
    /// Routine that prepares for unloading; without one the driver cannot be unloaded.
    PDRIVER_UNLOAD DriverUnload;
    /// Routines that carry out requests, by major function code.
    PDRIVER_DISPATCH MajorFunction[IRP_MJ_MAXIMUM_FUNCTION + 1];
} DRIVER_OBJECT;

/// The next step of an adapter or controller with a device that waits for it.
typedef enum _IO_ALLOCATION_ACTION {
    /// Keeps the adapter and its map registers.
    KeepObject = 1,
    /// Gives everything back.
    DeallocateObject,
    /// Gives the adapter back and keeps the map registers.
    DeallocateObjectKeepRegisters
} IO_ALLOCATION_ACTION, *PIO_ALLOCATION_ACTION;

/// Called when the adapter or controller that a device waited for is free.
typedef _IRQL_requires_(DISPATCH_LEVEL) IO_ALLOCATION_ACTION DRIVER_CONTROL(_In_ struct _DEVICE_OBJECT *DeviceObject,
    _Inout_ struct _IRP *Irp, _In_ PVOID MapRegisterBase, _In_ PVOID Context);
/// Pointer to a routine that is called when an adapter or controller is free.
typedef DRIVER_CONTROL *PDRIVER_CONTROL;

/// Device that waits for an adapter or controller.
typedef struct _WAIT_CONTEXT_BLOCK {
    /// Link in the queue.
    KDEVICE_QUEUE_ENTRY WaitQueueEntry;
    /// Routine to call when the wait is over.
    PDRIVER_CONTROL DeviceRoutine;
    /// Its last argument.
    PVOID DeviceContext;
    /// How many map registers are needed.
    ULONG NumberOfMapRegisters;
    /// Device that waits.
    PVOID DeviceObject;
    /// Its current request.
    PVOID CurrentIrp;
    /// Kept by the system.
    PKDPC BufferChainingDpc;
} WAIT_CONTEXT_BLOCK, *PWAIT_CONTEXT_BLOCK;

/// Device that requests can be sent to.
typedef struct DECLSPEC_ALIGN(MEMORY_ALLOCATION_ALIGNMENT) _DEVICE_OBJECT {
    /// `IO_TYPE_DEVICE`.
    CSHORT Type;
    /// Bytes of this structure with the device extension.
    USHORT Size;
    /// Number of references.
    LONG ReferenceCount;
    /// Driver that made it.
    struct _DRIVER_OBJECT *DriverObject;
    /// Next device object of that driver.
    struct _DEVICE_OBJECT *NextDevice;
    /// Device object that is attached on top.
    struct _DEVICE_OBJECT *AttachedDevice;
    /// Request that is being carried out.
    struct _IRP *CurrentIrp;
    /// Timer of the device.
    PIO_TIMER Timer;
    /// `DO_…` flags.
    ULONG Flags;
    /// `FILE_…` characteristics.
    ULONG Characteristics;
    /// Volume parameter block, or NULL.
    PVPB volatile Vpb;
    /// Memory of the driver's own.
    PVOID DeviceExtension;
    /// Kind of the device.
    DEVICE_TYPE DeviceType;
    /// Stack locations that a request to it needs.
    CCHAR StackSize;
    /// Where it waits.
    union {
        /// Link in a list of the file system.
        LIST_ENTRY ListEntry;
        /// Wait for an adapter.
        WAIT_CONTEXT_BLOCK Wcb;
    }
    /// Where it waits.
    Queue;
    /// Alignment that its buffers need, less one.
    ULONG AlignmentRequirement;
    /// Requests that wait for it.
    KDEVICE_QUEUE DeviceQueue;
    /// Deferred procedure call of its interrupts.
    KDPC Dpc;
    /// Kept by the system.
    ULONG ActiveThreadCount;
    /// Who may open it.
    PSECURITY_DESCRIPTOR SecurityDescriptor;
    /// Kept by the system.
    KEVENT DeviceLock;
    /// Bytes of a sector.
    USHORT SectorSize;
    /// Unused.
    USHORT Spare1;
    /// Kept by the system.
    struct _DEVOBJ_EXTENSION *DeviceObjectExtension;
    /// Kept by the system.
    PVOID Reserved;
} DEVICE_OBJECT;

/// Requests copy their buffers.
#define DO_BUFFERED_IO 0x00000004
/// One opener at a time.
#define DO_EXCLUSIVE 0x00000008
/// Requests bring their buffers as MDLs.
#define DO_DIRECT_IO 0x00000010
/// The device is still being initialised.
#define DO_DEVICE_INITIALIZING 0x00000080

/// Makes a device object, which has memory of the driver's own behind it.
///
/// Its `Flags` have `DO_DEVICE_INITIALIZING` set; a driver that makes one outside of its `DriverEntry` clears that.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI NTSTATUS IoCreateDevice(_In_ PDRIVER_OBJECT DriverObject, _In_ ULONG DeviceExtensionSize,
    _In_opt_ PUNICODE_STRING DeviceName, _In_ DEVICE_TYPE DeviceType, _In_ ULONG DeviceCharacteristics,
    _In_ BOOLEAN Exclusive, _Outptr_ PDEVICE_OBJECT *DeviceObject);

/// Takes a device object away, whose memory goes with the last reference.
_IRQL_requires_max_(APC_LEVEL)
NTKERNELAPI VOID IoDeleteDevice(_In_ __drv_freesMem(Mem) PDEVICE_OBJECT DeviceObject);

/// Gives a device a further name.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTKERNELAPI NTSTATUS IoCreateSymbolicLink(_In_ PUNICODE_STRING SymbolicLinkName, _In_ PUNICODE_STRING DeviceName);

/// Takes a further name of a device away.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTKERNELAPI NTSTATUS IoDeleteSymbolicLink(_In_ PUNICODE_STRING SymbolicLinkName);

/// Allocates a request with this many stack locations, or gives NULL.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI PIRP IoAllocateIrp(_In_ CCHAR StackSize, _In_ BOOLEAN ChargeQuota);

/// Frees a request that `IoAllocateIrp` gave.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID IoFreeIrp(_In_ __drv_freesMem(Mem) PIRP Irp);

/// Ends the use of a request that `IoInitializeIrp` initialised.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID IoCleanupIrp(_Inout_ PIRP Irp);

/// Makes a completed request ready to be sent again.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID IoReuseIrp(_Inout_ PIRP Irp, _In_ NTSTATUS Iostatus);

/// Initialises a request in the caller's own memory.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID IoInitializeIrp(_Inout_ PIRP Irp, _In_ USHORT PacketSize, _In_ CCHAR StackSize);

/// Results of a completion routine, under other names.
typedef enum _IO_COMPLETION_ROUTINE_RESULT {
    /// The completion continues with the driver above.
    ContinueCompletion = STATUS_SUCCESS,
    /// The request stays with this driver.
    StopCompletion = STATUS_MORE_PROCESSING_REQUIRED
} IO_COMPLETION_ROUTINE_RESULT, *PIO_COMPLETION_ROUTINE_RESULT;

/// Requests that a request be cancelled, and returns whether a cancel routine was called.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI BOOLEAN IoCancelIrp(_In_ PIRP Irp);

/// Raises to DISPATCH_LEVEL, takes the lock that the cancelling of requests goes under, and stores the earlier level.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID IoAcquireCancelSpinLock(_Out_ PKIRQL Irql);

/// Gives the lock back that the cancelling of requests goes under, and lowers to the earlier level.
_IRQL_requires_(DISPATCH_LEVEL)
NTKERNELAPI VOID IoReleaseCancelSpinLock(_In_ _IRQL_restores_ KIRQL Irql);

/// Completes a request and calls the completion routines on its way up.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI VOID FASTCALL IofCompleteRequest(_In_ PIRP Irp, _In_ CCHAR PriorityBoost);

/// Sends a request to a device.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI NTSTATUS FASTCALL IofCallDriver(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ __drv_aliasesMem PIRP Irp);

/// Bytes of a request with this many stack locations.
#define IoSizeOfIrp(StackSize) ((USHORT)(sizeof(IRP) + (StackSize) * sizeof(IO_STACK_LOCATION)))

/// Completes a request and calls the completion routines on its way up.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE VOID IoCompleteRequest(_In_ PIRP Irp, _In_ CCHAR PriorityBoost)
{
    IofCompleteRequest(Irp, PriorityBoost);
}

/// Sends a request to a device.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE NTSTATUS IoCallDriver(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ __drv_aliasesMem PIRP Irp)
{
    return IofCallDriver(DeviceObject, Irp);
}

/// Stack location of the driver that has the request.
FORCEINLINE PIO_STACK_LOCATION IoGetCurrentIrpStackLocation(_In_ PIRP Irp)
{
    NT_ASSERT(Irp->CurrentLocation <= Irp->StackCount + 1);
    return Irp->Tail.Overlay.CurrentStackLocation;
}

/// Stack location of the driver that gets the request next.
FORCEINLINE PIO_STACK_LOCATION IoGetNextIrpStackLocation(_In_ PIRP Irp)
{
    NT_ASSERT(Irp->CurrentLocation > 0);
    return Irp->Tail.Overlay.CurrentStackLocation - 1;
}

/// Makes the next stack location the current one.
FORCEINLINE VOID IoSetNextIrpStackLocation(_Inout_ PIRP Irp)
{
    NT_ASSERT(Irp->CurrentLocation > 0);
    --Irp->Tail.Overlay.CurrentStackLocation;
    --Irp->CurrentLocation;
}

/// Passes the current stack location to the next driver unchanged.
FORCEINLINE VOID IoSkipCurrentIrpStackLocation(_Inout_ PIRP Irp)
{
    NT_ASSERT(Irp->CurrentLocation <= Irp->StackCount);
    ++Irp->Tail.Overlay.CurrentStackLocation;
    ++Irp->CurrentLocation;
}

/// Copies the current stack location for the next driver, without the completion routine.
FORCEINLINE VOID IoCopyCurrentIrpStackLocationToNext(_Inout_ PIRP Irp)
{
    PIO_STACK_LOCATION Next = IoGetNextIrpStackLocation(Irp);
    RtlCopyMemory(Next, IoGetCurrentIrpStackLocation(Irp), __builtin_offsetof(IO_STACK_LOCATION, CompletionRoutine));
    Next->Control = 0;
}

/// Sets the routine to call when the request completes, and the outcomes for which it is called.
_IRQL_requires_max_(DISPATCH_LEVEL)
FORCEINLINE VOID IoSetCompletionRoutine(_In_ PIRP Irp, _In_opt_ PIO_COMPLETION_ROUTINE CompletionRoutine,
    _In_opt_ __drv_aliasesMem PVOID Context, _In_ BOOLEAN InvokeOnSuccess, _In_ BOOLEAN InvokeOnError,
    _In_ BOOLEAN InvokeOnCancel)
{
    PIO_STACK_LOCATION Next = IoGetNextIrpStackLocation(Irp);
    NT_ASSERT(CompletionRoutine != NULL || !(InvokeOnSuccess || InvokeOnError || InvokeOnCancel));
    Next->Context = Context;
    Next->CompletionRoutine = CompletionRoutine;
    Next->Control = (UCHAR)((InvokeOnSuccess ? SL_INVOKE_ON_SUCCESS : 0) | (InvokeOnError ? SL_INVOKE_ON_ERROR : 0) |
        (InvokeOnCancel ? SL_INVOKE_ON_CANCEL : 0));
}

/// Sets the routine that cancels the request, and gives the earlier one.
FORCEINLINE PDRIVER_CANCEL IoSetCancelRoutine(_Inout_ PIRP Irp, _In_opt_ PDRIVER_CANCEL CancelRoutine)
{
    return __atomic_exchange_n(&Irp->CancelRoutine, CancelRoutine, __ATOMIC_SEQ_CST);
}

/// Marks the request as pending in the current stack location.
FORCEINLINE VOID IoMarkIrpPending(_Inout_ PIRP Irp)
{
    IoGetCurrentIrpStackLocation(Irp)->Control |= SL_PENDING_RETURNED;
}

// Threads, objects and handles.

/// Identifiers of a thread and of its process.
typedef struct _CLIENT_ID {
    /// Identifier of the process.
    HANDLE UniqueProcess;
    /// Identifier of the thread.
    HANDLE UniqueThread;
} CLIENT_ID, *PCLIENT_ID;

/// The access that a handle grants.
typedef struct _OBJECT_HANDLE_INFORMATION {
    /// `OBJ_…` flags of the handle.
    ULONG HandleAttributes;
    /// Rights of the handle.
    ACCESS_MASK GrantedAccess;
} OBJECT_HANDLE_INFORMATION, *POBJECT_HANDLE_INFORMATION;

/// Routine of a system thread.
typedef _IRQL_requires_(PASSIVE_LEVEL) VOID KSTART_ROUTINE(_In_ PVOID StartContext);
/// Pointer to a routine of a system thread.
typedef KSTART_ROUTINE *PKSTART_ROUTINE;

/// Right to delete an object.
#define DELETE 0x00010000
/// Right to read the security descriptor.
#define READ_CONTROL 0x00020000
/// Right to wait for an object.
#define SYNCHRONIZE 0x00100000
/// Rights that every kind of object has.
#define STANDARD_RIGHTS_ALL 0x001F0000
/// The standard rights that reading requires.
#define STANDARD_RIGHTS_READ READ_CONTROL
/// Every right to a thread.
#define THREAD_ALL_ACCESS 0x001FFFFF
/// Right to read a value of a registry key.
#define KEY_QUERY_VALUE 0x0001
/// Right to enumerate the keys below a registry key.
#define KEY_ENUMERATE_SUB_KEYS 0x0008
/// Right to be notified when a registry key changes.
#define KEY_NOTIFY 0x0010
/// Every right that reading a registry key needs.
#define KEY_READ 0x00020019
/// Right to read.
#define GENERIC_READ 0x80000000
/// Right to write.
#define GENERIC_WRITE 0x40000000

/// Pseudo-handle of the current process.
#define NtCurrentProcess() ((HANDLE)(LONG_PTR)-1)
/// Pseudo-handle of the current thread.
#define NtCurrentThread() ((HANDLE)(LONG_PTR)-2)

/// Starts a thread of the kernel.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTKERNELAPI NTSTATUS PsCreateSystemThread(_Out_ PHANDLE ThreadHandle, _In_ ULONG DesiredAccess,
    _In_opt_ POBJECT_ATTRIBUTES ObjectAttributes, _In_opt_ HANDLE ProcessHandle, _Out_opt_ PCLIENT_ID ClientId,
    _In_ PKSTART_ROUTINE StartRoutine, _In_opt_ PVOID StartContext);

/// Ends the current thread of the kernel.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTKERNELAPI NTSTATUS PsTerminateSystemThread(_In_ NTSTATUS ExitStatus);

/// Type of thread objects, as `ObReferenceObjectByHandle` takes it.
extern POBJECT_TYPE *PsThreadType;

/// Takes a reference to the object of a handle.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTKERNELAPI NTSTATUS ObReferenceObjectByHandle(_In_ HANDLE Handle, _In_ ACCESS_MASK DesiredAccess,
    _In_opt_ POBJECT_TYPE ObjectType, _In_ KPROCESSOR_MODE AccessMode, _Out_ PVOID *Object,
    _Out_opt_ POBJECT_HANDLE_INFORMATION HandleInformation);

/// Takes a further reference to an object.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI LONG_PTR FASTCALL ObfReferenceObject(_In_ PVOID Object);

/// Gives a reference to an object back.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTKERNELAPI LONG_PTR FASTCALL ObfDereferenceObject(_In_ PVOID Object);

/// Takes a further reference to an object.
#define ObReferenceObject(Object) ObfReferenceObject(Object)
/// Gives a reference to an object back.
#define ObDereferenceObject(Object) ObfDereferenceObject(Object)

/// Closes a handle.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI ZwClose(_In_ HANDLE Handle);

// Registry.

/// Value of a registry key with its kind and data.
typedef struct _KEY_VALUE_PARTIAL_INFORMATION {
    /// Unused.
    ULONG TitleIndex;
    /// `REG_…` kind of the data.
    ULONG Type;
    /// Bytes of the data.
    ULONG DataLength;
    /// First byte of the data.
    _Field_size_bytes_(DataLength) UCHAR Data[1];
} KEY_VALUE_PARTIAL_INFORMATION, *PKEY_VALUE_PARTIAL_INFORMATION;

/// The information to return about a value of a registry key.
typedef enum _KEY_VALUE_INFORMATION_CLASS {
    /// Name and kind.
    KeyValueBasicInformation,
    /// Name, kind and data.
    KeyValueFullInformation,
    /// Kind and data.
    KeyValuePartialInformation,
    /// Name, kind and data, aligned to eight bytes.
    KeyValueFullInformationAlign64,
    /// Kind and data, aligned to eight bytes.
    KeyValuePartialInformationAlign64,
    /// Layer that the value comes from.
    KeyValueLayerInformation,
    /// Number of classes.
    MaxKeyValueInfoClass
} KEY_VALUE_INFORMATION_CLASS;

/// Data without a kind.
#define REG_NONE 0
/// String that ends in a zero.
#define REG_SZ 1
/// String with environment variables in it.
#define REG_EXPAND_SZ 2
/// Bytes.
#define REG_BINARY 3
/// 32-bit number.
#define REG_DWORD 4
/// Several strings, each ending in a zero.
#define REG_MULTI_SZ 7
/// 64-bit number.
#define REG_QWORD 11

/// Opens a registry key.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI ZwOpenKey(_Out_ PHANDLE KeyHandle, _In_ ACCESS_MASK DesiredAccess,
    _In_ POBJECT_ATTRIBUTES ObjectAttributes);

/// Reads a value of a registry key.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI ZwQueryValueKey(_In_ HANDLE KeyHandle, _In_ PUNICODE_STRING ValueName,
    _In_ KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass,
    _Out_writes_bytes_to_opt_(Length, *ResultLength) PVOID KeyValueInformation, _In_ ULONG Length,
    _Out_ PULONG ResultLength);

// Run-time library and debugger.

/// Which Windows is running.
typedef struct _OSVERSIONINFOW {
    /// Size of this structure, set by the caller.
    ULONG dwOSVersionInfoSize;
    /// Major version.
    ULONG dwMajorVersion;
    /// Minor version.
    ULONG dwMinorVersion;
    /// Build.
    ULONG dwBuildNumber;
    /// Platform, 2 for NT.
    ULONG dwPlatformId;
    /// Name of the service pack.
    WCHAR szCSDVersion[128];
} OSVERSIONINFOW, *POSVERSIONINFOW, *LPOSVERSIONINFOW, RTL_OSVERSIONINFOW, *PRTL_OSVERSIONINFOW;

/// Tells which Windows is running.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlGetVersion(_Out_ PRTL_OSVERSIONINFOW lpVersionInformation);

/// Makes a counted string over a string that ends in a zero.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI VOID NTAPI RtlInitUnicodeString(_Out_ PUNICODE_STRING DestinationString,
    _In_opt_z_ __drv_aliasesMem PCWSTR SourceString);

/// Makes a counted string over a string that ends in a zero, or fails if that is too long.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlInitUnicodeStringEx(_Out_ PUNICODE_STRING DestinationString,
    _In_opt_z_ __drv_aliasesMem PCWSTR SourceString);

#if !defined(__cplusplus) && __SIZEOF_WCHAR_T__ != 2
// C only warns about a pointer to other characters.
#define WSK_UTF16_CHECKED(String) \
    ((void)sizeof(struct { \
        int Unused; \
        _Static_assert(sizeof(*(String)) != __SIZEOF_WCHAR_T__, "L\"...\" is not UTF-16 here: compile with -fshort-wchar"); \
    }), (String))
#define RtlInitUnicodeString(Destination, Source) RtlInitUnicodeString((Destination), WSK_UTF16_CHECKED(Source))
#define RtlInitUnicodeStringEx(Destination, Source) RtlInitUnicodeStringEx((Destination), WSK_UTF16_CHECKED(Source))
#endif

/// Makes a counted byte string over a string that ends in a zero.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI VOID NTAPI RtlInitString(_Out_ PSTRING DestinationString, _In_opt_z_ __drv_aliasesMem PCSZ SourceString);

/// Makes a counted byte string over a string that ends in a zero.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI VOID NTAPI RtlInitAnsiString(_Out_ PANSI_STRING DestinationString, _In_opt_z_ __drv_aliasesMem PCSZ SourceString);

/// Makes a counted byte string over a string that ends in a zero, or fails if that is too long.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlInitAnsiStringEx(_Out_ PANSI_STRING DestinationString,
    _In_opt_z_ __drv_aliasesMem PCSZ SourceString);

/// Makes an empty counted string over memory.
FORCEINLINE VOID RtlInitEmptyUnicodeString(_Out_ PUNICODE_STRING UnicodeString, _In_opt_ __drv_aliasesMem PWCHAR Buffer,
    _In_ USHORT BufferSize)
{
    UnicodeString->Length = 0;
    UnicodeString->MaximumLength = BufferSize;
    UnicodeString->Buffer = Buffer;
}

/// Makes an empty counted byte string over memory.
FORCEINLINE VOID RtlInitEmptyAnsiString(_Out_ PANSI_STRING AnsiString, _In_opt_ __drv_aliasesMem PCHAR Buffer,
    _In_ USHORT BufferSize)
{
    AnsiString->Length = 0;
    AnsiString->MaximumLength = BufferSize;
    AnsiString->Buffer = Buffer;
}

/// Turns a byte string into UTF-16, in memory of the caller's or in memory that `RtlFreeUnicodeString` frees.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlAnsiStringToUnicodeString(_Inout_ PUNICODE_STRING DestinationString,
    _In_ PCANSI_STRING SourceString, _In_ BOOLEAN AllocateDestinationString);

/// Turns UTF-16 into a byte string, in memory of the caller's or in memory that `RtlFreeAnsiString` frees.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlUnicodeStringToAnsiString(_Inout_ PANSI_STRING DestinationString,
    _In_ PCUNICODE_STRING SourceString, _In_ BOOLEAN AllocateDestinationString);

/// Frees the memory of a string that a function of the run-time library has allocated, and makes the string empty.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI VOID NTAPI RtlFreeUnicodeString(_Inout_ PUNICODE_STRING UnicodeString);

/// Frees the memory of a byte string that a function of the run-time library has allocated, and makes the string empty.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI VOID NTAPI RtlFreeAnsiString(_Inout_ PANSI_STRING AnsiString);

/// Copies a counted string as far as there is room.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI VOID NTAPI RtlCopyUnicodeString(_Inout_ PUNICODE_STRING DestinationString,
    _In_opt_ PCUNICODE_STRING SourceString);

/// Converts UTF-8 to UTF-16, and returns the number of bytes that takes. Without a destination it only returns the number.
_IRQL_requires_max_(PASSIVE_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlUTF8ToUnicodeN(
    _Out_writes_bytes_to_opt_(UnicodeStringMaxByteCount, *UnicodeStringActualByteCount) PWSTR UnicodeStringDestination,
    _In_ ULONG UnicodeStringMaxByteCount, _Out_opt_ PULONG UnicodeStringActualByteCount,
    _In_reads_bytes_(UTF8StringByteCount) PCCH UTF8StringSource, _In_ ULONG UTF8StringByteCount);

/// Sends a message to the debugger.
_IRQL_requires_max_(HIGH_LEVEL)
NTSYSAPI ULONG __cdecl DbgPrint(_In_z_ _Printf_format_string_ PCSTR Format, ...);

/// Sends a message to the debugger, if its component and level are wanted there.
_IRQL_requires_max_(HIGH_LEVEL)
NTSYSAPI ULONG __cdecl DbgPrintEx(_In_ ULONG ComponentId, _In_ ULONG Level, _In_z_ _Printf_format_string_ PCSTR Format,
    ...);

/// Component of debugger messages: drivers that are not Microsoft's.
#define DPFLTR_IHVDRIVER_ID 77
/// Component of debugger messages: network drivers that are not Microsoft's.
#define DPFLTR_IHVNETWORK_ID 80
/// Component of debugger messages: anything else.
#define DPFLTR_DEFAULT_ID 101
/// Level of debugger messages: error.
#define DPFLTR_ERROR_LEVEL 0
/// Level of debugger messages: warning.
#define DPFLTR_WARNING_LEVEL 1
/// Level of debugger messages: course of events.
#define DPFLTR_TRACE_LEVEL 2
/// Level of debugger messages: details.
#define DPFLTR_INFO_LEVEL 3

#if defined(DBG) && DBG
/// Sends a message to the debugger, in a checked build; the arguments are in parentheses of their own.
#define KdPrint(Arguments) DbgPrint Arguments
/// Sends a message to the debugger if it is wanted there, in a checked build; the arguments are in parentheses of their
/// own.
#define KdPrintEx(Arguments) DbgPrintEx Arguments
#else
/// Sends a message to the debugger, in a checked build; the arguments are in parentheses of their own.
#define KdPrint(Arguments) ((void)0)
/// Sends a message to the debugger if it is wanted there, in a checked build; the arguments are in parentheses of their
/// own.
#define KdPrintEx(Arguments) ((void)0)
#endif

#ifdef __cplusplus
}
#endif

#endif // _WDMDDK_
