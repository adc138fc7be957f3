// Declarations of the kernel for drivers beyond the Windows Driver Model: initialisation that runs once, and trees.
// Stands for the kit's ntddk.h; the rest that Winsock Kernel clients need of it is in wdm.h.

#ifndef _NTDDK_
#define _NTDDK_

#include <wdm.h>

#ifdef __cplusplus
extern "C" {
#endif

// Initialisation that runs once, whichever thread comes first.

/// Initialisation that runs once.
typedef union _RTL_RUN_ONCE {
    /// State in the low two bits, and above it the result of the initialisation.
    PVOID Ptr;
} RTL_RUN_ONCE, *PRTL_RUN_ONCE;

/// Value of an initialisation that has not run, as an initialiser.
#define RTL_RUN_ONCE_INIT {0}
/// Low bits that the result of the initialisation leaves free.
#define RTL_RUN_ONCE_CTX_RESERVED_BITS 2
/// Only checks whether the initialisation has run.
#define RTL_RUN_ONCE_CHECK_ONLY 0x00000001
/// Several threads may run the initialisation, and one of them succeeds.
#define RTL_RUN_ONCE_ASYNC 0x00000002
/// The initialisation has failed, and may be tried again.
#define RTL_RUN_ONCE_INIT_FAILED 0x00000004

/// Initialises something, once, and returns whether it succeeded. The result, whose low two bits are zero, is stored in the
/// context.
typedef _IRQL_requires_max_(APC_LEVEL) ULONG NTAPI RTL_RUN_ONCE_INIT_FN(_Inout_ PRTL_RUN_ONCE RunOnce,
    _Inout_opt_ PVOID Parameter, _Inout_opt_ PVOID *Context);
/// Pointer to a function that initialises something once.
typedef RTL_RUN_ONCE_INIT_FN *PRTL_RUN_ONCE_INIT_FN;

/// Makes an initialisation one that has not run.
_IRQL_requires_max_(APC_LEVEL)
NTSYSAPI VOID NTAPI RtlRunOnceInitialize(_Out_ PRTL_RUN_ONCE RunOnce);

/// Runs an initialisation if it has not succeeded yet, or waits for the thread that runs it.
_IRQL_requires_max_(APC_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlRunOnceExecuteOnce(_Inout_ PRTL_RUN_ONCE RunOnce, _In_ PRTL_RUN_ONCE_INIT_FN InitFn,
    _Inout_opt_ PVOID Parameter, _Outptr_opt_result_maybenull_ PVOID *Context);

/// Begins an initialisation: `STATUS_PENDING` asks the caller to carry it out and to call `RtlRunOnceComplete`.
_IRQL_requires_max_(APC_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlRunOnceBeginInitialize(_Inout_ PRTL_RUN_ONCE RunOnce, _In_ ULONG Flags,
    _Outptr_opt_result_maybenull_ PVOID *Context);

/// Ends an initialisation that was begun, with success or, if the flags say so, without.
_IRQL_requires_max_(APC_LEVEL)
NTSYSAPI NTSTATUS NTAPI RtlRunOnceComplete(_Inout_ PRTL_RUN_ONCE RunOnce, _In_ ULONG Flags, _In_opt_ PVOID Context);

// Balanced trees.

/// Outcome of comparing two elements.
typedef enum _RTL_GENERIC_COMPARE_RESULTS {
    /// The first comes before the second.
    GenericLessThan,
    /// The first comes after the second.
    GenericGreaterThan,
    /// They are the same.
    GenericEqual
} RTL_GENERIC_COMPARE_RESULTS;

/// Links of an element of a balanced tree.
typedef struct _RTL_BALANCED_LINKS {
    /// Element above.
    struct _RTL_BALANCED_LINKS *Parent;
    /// Element below that comes before.
    struct _RTL_BALANCED_LINKS *LeftChild;
    /// Element below that comes after.
    struct _RTL_BALANCED_LINKS *RightChild;
    /// How much deeper the right side is.
    CHAR Balance;
    /// Unused.
    UCHAR Reserved[3];
} RTL_BALANCED_LINKS, *PRTL_BALANCED_LINKS;

struct _RTL_AVL_TABLE;

/// Compares two elements, or one with a description of another.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) RTL_GENERIC_COMPARE_RESULTS NTAPI RTL_AVL_COMPARE_ROUTINE(
    _In_ struct _RTL_AVL_TABLE *Table, _In_ PVOID FirstStruct, _In_ PVOID SecondStruct);
/// Pointer to a function that compares two elements.
typedef RTL_AVL_COMPARE_ROUTINE *PRTL_AVL_COMPARE_ROUTINE;

/// Allocates memory for an element with its links.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) PVOID NTAPI RTL_AVL_ALLOCATE_ROUTINE(_In_ struct _RTL_AVL_TABLE *Table,
    _In_ CLONG ByteSize);
/// Pointer to a function that allocates memory for an element.
typedef RTL_AVL_ALLOCATE_ROUTINE *PRTL_AVL_ALLOCATE_ROUTINE;

/// Frees the memory of an element.
typedef _IRQL_requires_max_(DISPATCH_LEVEL) VOID NTAPI RTL_AVL_FREE_ROUTINE(_In_ struct _RTL_AVL_TABLE *Table,
    _In_ __drv_freesMem(Mem) PVOID Buffer);
/// Pointer to a function that frees the memory of an element.
typedef RTL_AVL_FREE_ROUTINE *PRTL_AVL_FREE_ROUTINE;

/// Balanced tree, whose users see to it that one thread at a time touches it.
typedef struct _RTL_AVL_TABLE {
    /// Links of the tree itself: the root is the right child.
    RTL_BALANCED_LINKS BalancedRoot;
    /// Element that was found last by number.
    PVOID OrderedPointer;
    /// Its number, from 1.
    ULONG WhichOrderedElement;
    /// Number of elements.
    ULONG NumberGenericTableElements;
    /// Depth of the tree.
    ULONG DepthOfTree;
    /// Element that an enumeration has come to.
    PRTL_BALANCED_LINKS RestartKey;
    /// Number of elements that were deleted.
    ULONG DeleteCount;
    /// Compares two elements.
    PRTL_AVL_COMPARE_ROUTINE CompareRoutine;
    /// Allocates memory for an element.
    PRTL_AVL_ALLOCATE_ROUTINE AllocateRoutine;
    /// Frees the memory of an element.
    PRTL_AVL_FREE_ROUTINE FreeRoutine;
    /// Pointer of the user's own.
    PVOID TableContext;
} RTL_AVL_TABLE, *PRTL_AVL_TABLE;

/// Initialises an empty tree.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI VOID NTAPI RtlInitializeGenericTableAvl(_Out_ PRTL_AVL_TABLE Table,
    _In_ PRTL_AVL_COMPARE_ROUTINE CompareRoutine, _In_opt_ PRTL_AVL_ALLOCATE_ROUTINE AllocateRoutine,
    _In_opt_ PRTL_AVL_FREE_ROUTINE FreeRoutine, _In_opt_ PVOID TableContext);

/// Copies an element into a tree, unless there is an equal one, and gives the one in the tree, or NULL without memory.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI PVOID NTAPI RtlInsertElementGenericTableAvl(_In_ PRTL_AVL_TABLE Table, _In_reads_bytes_(BufferSize) PVOID Buffer,
    _In_ CLONG BufferSize, _Out_opt_ PBOOLEAN NewElement);

/// Deletes the element that equals a description, and returns whether there was one.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI BOOLEAN NTAPI RtlDeleteElementGenericTableAvl(_In_ PRTL_AVL_TABLE Table, _In_ PVOID Buffer);

/// Finds the element that is equal to a description, or gives NULL.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI PVOID NTAPI RtlLookupElementGenericTableAvl(_In_ PRTL_AVL_TABLE Table, _In_ PVOID Buffer);

/// Gives the element of a number in the order of the tree, from 0, or NULL.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI PVOID NTAPI RtlGetElementGenericTableAvl(_In_ PRTL_AVL_TABLE Table, _In_ ULONG I);

/// Gives the first element, or that after the one which was given last, or NULL.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI PVOID NTAPI RtlEnumerateGenericTableAvl(_In_ PRTL_AVL_TABLE Table, _In_ BOOLEAN Restart);

/// Tells the number of elements.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI ULONG NTAPI RtlNumberGenericTableElementsAvl(_In_ PRTL_AVL_TABLE Table);

/// Returns whether there are no elements.
_IRQL_requires_max_(DISPATCH_LEVEL)
NTSYSAPI BOOLEAN NTAPI RtlIsGenericTableEmptyAvl(_In_ PRTL_AVL_TABLE Table);

#ifdef __cplusplus
}
#endif

#endif // _NTDDK_
