// The inline functions and macros of the headers as functions with symbols (c_ and the name), which the tests call. Replaces the
// code that a C driver compiles into itself.

#include <ntddk.h>
#include <wsk.h>

// By number of parameters: result, name, types of the parameters. A predicate returns 0 or 1, whatever its type in C.
#define F0(R, N) R c_##N(void); R c_##N(void) { return (R)N(); }
#define F1(R, N, A) R c_##N(A a); R c_##N(A a) { return (R)N(a); }
#define F2(R, N, A, B) R c_##N(A a, B b); R c_##N(A a, B b) { return (R)N(a, b); }
#define F3(R, N, A, B, C) R c_##N(A a, B b, C c); R c_##N(A a, B b, C c) { return (R)N(a, b, c); }
#define F4(R, N, A, B, C, D) R c_##N(A a, B b, C c, D d); R c_##N(A a, B b, C c, D d) { return (R)N(a, b, c, d); }
#define P1(N, A) BOOLEAN c_##N(A a); BOOLEAN c_##N(A a) { return (N(a)) ? 1 : 0; }
#define P2(N, A, B) BOOLEAN c_##N(A a, B b); BOOLEAN c_##N(A a, B b) { return (N(a, b)) ? 1 : 0; }
#define P3(N, A, B, C) BOOLEAN c_##N(A a, B b, C c); BOOLEAN c_##N(A a, B b, C c) { return (N(a, b, c)) ? 1 : 0; }
#define V1(N, A) VOID c_##N(A a); VOID c_##N(A a) { N(a); }
#define V2(N, A, B) VOID c_##N(A a, B b); VOID c_##N(A a, B b) { N(a, b); }
#define V3(N, A, B, C) VOID c_##N(A a, B b, C c); VOID c_##N(A a, B b, C c) { N(a, b, c); }
#define V4(N, A, B, C, D) VOID c_##N(A a, B b, C c, D d); VOID c_##N(A a, B b, C c, D d) { N(a, b, c, d); }
#define V5(N, A, B, C, D, E) \
    VOID c_##N(A a, B b, C c, D d, E e); \
    VOID c_##N(A a, B b, C c, D d, E e) { N(a, b, c, d, e); }
#define V6(N, A, B, C, D, E, F) \
    VOID c_##N(A a, B b, C c, D d, E e, F f); \
    VOID c_##N(A a, B b, C c, D d, E e, F f) { N(a, b, c, d, e, f); }

// IRPs.
F1(USHORT, IoSizeOfIrp, CHAR)
F1(PIO_STACK_LOCATION, IoGetCurrentIrpStackLocation, PIRP)
F1(PIO_STACK_LOCATION, IoGetNextIrpStackLocation, PIRP)
V1(IoSetNextIrpStackLocation, PIRP)
V1(IoSkipCurrentIrpStackLocation, PIRP)
V1(IoCopyCurrentIrpStackLocationToNext, PIRP)
V6(IoSetCompletionRoutine, PIRP, PIO_COMPLETION_ROUTINE, PVOID, BOOLEAN, BOOLEAN, BOOLEAN)
F2(PDRIVER_CANCEL, IoSetCancelRoutine, PIRP, PDRIVER_CANCEL)
V1(IoMarkIrpPending, PIRP)
V2(IoCompleteRequest, PIRP, CCHAR)
F2(NTSTATUS, IoCallDriver, PDEVICE_OBJECT, PIRP)

// Memory descriptor lists and pages.
F1(ULONG, MmGetMdlByteCount, PMDL)
F1(ULONG, MmGetMdlByteOffset, PMDL)
F1(PVOID, MmGetMdlBaseVa, PMDL)
F1(PVOID, MmGetMdlVirtualAddress, PMDL)
F1(PPFN_NUMBER, MmGetMdlPfnArray, PMDL)
V3(MmInitializeMdl, PMDL, PVOID, SIZE_T)
F2(PVOID, MmGetSystemAddressForMdlSafe, PMDL, ULONG)
V1(MmPrepareMdlForReuse, PMDL)
F1(ULONG, BYTE_OFFSET, PVOID)
F1(PVOID, PAGE_ALIGN, PVOID)
F2(SIZE_T, ADDRESS_AND_SIZE_TO_SPAN_PAGES, PVOID, SIZE_T)
F1(SIZE_T, BYTES_TO_PAGES, SIZE_T)
F1(SIZE_T, ROUND_TO_PAGES, SIZE_T)

// Levels and locks.
V2(KeRaiseIrql, KIRQL, PKIRQL)
V1(KeInitializeSpinLock, PKSPIN_LOCK)
V2(KeAcquireSpinLock, PKSPIN_LOCK, PKIRQL)

// Lists.
V1(InitializeListHead, PLIST_ENTRY)
P1(IsListEmpty, PLIST_ENTRY)
V2(InsertTailList, PLIST_ENTRY, PLIST_ENTRY)
V2(InsertHeadList, PLIST_ENTRY, PLIST_ENTRY)
P1(RemoveEntryList, PLIST_ENTRY)
F1(PLIST_ENTRY, RemoveHeadList, PLIST_ENTRY)
F1(PLIST_ENTRY, RemoveTailList, PLIST_ENTRY)

// Atomic operations.
F1(LONG, InterlockedIncrement, LONG *)
F1(LONG, InterlockedDecrement, LONG *)
F2(LONG, InterlockedExchangeAdd, LONG *, LONG)
F2(LONG, InterlockedAdd, LONG *, LONG)
F2(LONG, InterlockedExchange, LONG *, LONG)
F3(LONG, InterlockedCompareExchange, LONG *, LONG, LONG)
F2(LONG, InterlockedOr, LONG *, LONG)
F2(LONG, InterlockedAnd, LONG *, LONG)
F2(PVOID, InterlockedExchangePointer, PVOID *, PVOID)
F3(PVOID, InterlockedCompareExchangePointer, PVOID *, PVOID, PVOID)

// More atomic operations, bits, lists without a lock, locks, pool, strings, the time.
F1(LONG64, InterlockedIncrement64, LONG64 *)
F1(LONG64, InterlockedDecrement64, LONG64 *)
F2(LONG64, InterlockedExchangeAdd64, LONG64 *, LONG64)
F2(LONG64, InterlockedAdd64, LONG64 *, LONG64)
F2(LONG64, InterlockedExchange64, LONG64 *, LONG64)
F3(LONG64, InterlockedCompareExchange64, LONG64 *, LONG64, LONG64)
F2(LONG64, InterlockedOr64, LONG64 *, LONG64)
F2(LONG64, InterlockedAnd64, LONG64 *, LONG64)
F2(LONG64, InterlockedXor64, LONG64 *, LONG64)
F2(LONG, InterlockedXor, LONG *, LONG)
F1(SHORT, InterlockedIncrement16, SHORT *)
F1(SHORT, InterlockedDecrement16, SHORT *)
F3(SHORT, InterlockedCompareExchange16, SHORT *, SHORT, SHORT)
F1(LONG, InterlockedIncrementNoFence, LONG *)
F1(LONG64, InterlockedIncrementNoFence64, LONG64 *)
F1(LONG, InterlockedDecrementNoFence, LONG *)
F1(LONG64, InterlockedDecrementNoFence64, LONG64 *)
F2(LONG, InterlockedExchangeAddNoFence, LONG *, LONG)
F2(LONG64, InterlockedExchangeAddNoFence64, LONG64 *, LONG64)
P2(InterlockedBitTestAndSet, LONG *, LONG)
P2(InterlockedBitTestAndReset, LONG *, LONG)
P2(InterlockedBitTestAndSet64, LONG64 *, LONG64)
P2(InterlockedBitTestAndReset64, LONG64 *, LONG64)
P2(BitTest, LONG *, LONG)
P2(BitTestAndSet, LONG *, LONG)
P2(BitTestAndReset, LONG *, LONG)
P2(BitTestAndComplement, LONG *, LONG)
F2(PSLIST_ENTRY, InterlockedPushEntrySList, PSLIST_HEADER, PSLIST_ENTRY)
F1(PSLIST_ENTRY, InterlockedPopEntrySList, PSLIST_HEADER)
F1(PSLIST_ENTRY, InterlockedFlushSList, PSLIST_HEADER)
V1(ExInitializeFastMutex, PFAST_MUTEX)
V1(ExAcquirePushLockShared, PEX_PUSH_LOCK)
V1(ExAcquirePushLockExclusive, PEX_PUSH_LOCK)
V1(ExReleasePushLockShared, PEX_PUSH_LOCK)
V1(ExReleasePushLockExclusive, PEX_PUSH_LOCK)
F3(PVOID, ExAllocatePoolZero, POOL_TYPE, SIZE_T, ULONG)
F3(PVOID, ExAllocatePoolUninitialized, POOL_TYPE, SIZE_T, ULONG)
F1(PVOID, ExAllocateFromNPagedLookasideList, PNPAGED_LOOKASIDE_LIST)
V2(ExFreeToNPagedLookasideList, PNPAGED_LOOKASIDE_LIST, PVOID)
F1(PVOID, ExAllocateFromPagedLookasideList, PPAGED_LOOKASIDE_LIST)
V2(ExFreeToPagedLookasideList, PPAGED_LOOKASIDE_LIST, PVOID)
F1(PVOID, ExAllocateFromLookasideListEx, PLOOKASIDE_LIST_EX)
V2(ExFreeToLookasideListEx, PLOOKASIDE_LIST_EX, PVOID)
V1(KeQuerySystemTime, PLARGE_INTEGER)
V3(RtlInitEmptyUnicodeString, PUNICODE_STRING, PWCHAR, USHORT)
V3(RtlInitEmptyAnsiString, PANSI_STRING, PCHAR, USHORT)
F2(LONGLONG, Int32x32To64, LONG, LONG)
F2(ULONGLONG, UInt32x32To64, ULONG, ULONG)

// Memory and bytes.
V3(RtlCopyMemory, PVOID, PCVOID, SIZE_T)
V3(RtlMoveMemory, PVOID, PCVOID, SIZE_T)
V3(RtlFillMemory, PVOID, SIZE_T, UCHAR)
V2(RtlZeroMemory, PVOID, SIZE_T)
P3(RtlEqualMemory, PCVOID, PCVOID, SIZE_T)
F1(USHORT, RtlUshortByteSwap, USHORT)
F1(ULONG, RtlUlongByteSwap, ULONG)
F1(ULONGLONG, RtlUlonglongByteSwap, ULONGLONG)

// Objects, identifiers, status values, versions.
V5(InitializeObjectAttributes, POBJECT_ATTRIBUTES, PUNICODE_STRING, ULONG, HANDLE, PVOID)
F0(HANDLE, NtCurrentProcess)
F0(HANDLE, NtCurrentThread)
F1(LONG_PTR, ObReferenceObject, PVOID)
F1(LONG_PTR, ObDereferenceObject, PVOID)
P2(IsEqualGUID, const GUID *, const GUID *)
P2(InlineIsEqualGUID, const GUID *, const GUID *)
P2(NmrIsEqualNpiModuleId, PNPI_MODULEID, PNPI_MODULEID)
P1(NT_SUCCESS, NTSTATUS)
P1(NT_INFORMATION, NTSTATUS)
P1(NT_WARNING, NTSTATUS)
P1(NT_ERROR, NTSTATUS)
F1(ULONG, OSVER, ULONG)
F1(ULONG, SPVER, ULONG)
F1(ULONG, SUBVER, ULONG)
F2(USHORT, MAKE_WSK_VERSION, UCHAR, UCHAR)
F1(UCHAR, WSK_MAJOR_VERSION, USHORT)
F1(UCHAR, WSK_MINOR_VERSION, USHORT)

ULONG c_NTDDI_VERSION_FROM_WIN32_WINNT(void);
ULONG c_NTDDI_VERSION_FROM_WIN32_WINNT(void)
{
    // The argument is pasted, so it must be a literal.
    return NTDDI_VERSION_FROM_WIN32_WINNT(0x0A00);
}

// Control codes.
F4(ULONG, CTL_CODE, ULONG, ULONG, ULONG, ULONG)
F2(ULONG, _IO, ULONG, ULONG)
F2(ULONG, _WSAIO, ULONG, ULONG)
F2(ULONG, _WSAIOR, ULONG, ULONG)
F2(ULONG, _WSAIOW, ULONG, ULONG)
F2(ULONG, _WSAIORW, ULONG, ULONG)
typedef struct _HUNDRED_BYTES {
    CHAR Bytes[100];
} HUNDRED_BYTES;
typedef struct _MANY_BYTES {
    CHAR Bytes[200];
} MANY_BYTES;
#define UNIX(N, X) \
    ULONG c_##N(int Which, ULONG x, ULONG y); \
    ULONG c_##N(int Which, ULONG x, ULONG y) \
    { \
        return Which == 0 ? X(x, y, ULONG) : Which == 1 ? X(x, y, HUNDRED_BYTES) : X(x, y, MANY_BYTES); \
    }
UNIX(_IOR, _IOR)
UNIX(_IOW, _IOW)

// Control information.
F1(SIZE_T, WSA_CMSGHDR_ALIGN, SIZE_T)
F1(SIZE_T, WSA_CMSGDATA_ALIGN, SIZE_T)
F1(SIZE_T, WSA_CMSG_SPACE, SIZE_T)
F1(SIZE_T, WSA_CMSG_LEN, SIZE_T)
F1(PWSACMSGHDR, WSA_CMSG_FIRSTHDR, PWSAMSG)
F2(PWSACMSGHDR, WSA_CMSG_NXTHDR, PWSAMSG, PWSACMSGHDR)
F1(PUCHAR, WSA_CMSG_DATA, PWSACMSGHDR)

// Sizes that depend on a count.
F1(SIZE_T, SIZEOF_SOCKET_ADDRESS_LIST, SIZE_T)
F1(SIZE_T, IP_MSFILTER_SIZE, SIZE_T)
F1(SIZE_T, GROUP_FILTER_SIZE, SIZE_T)

// Addresses.
P1(IN_CLASSA, ULONG)
P1(IN_CLASSB, ULONG)
P1(IN_CLASSC, ULONG)
P1(IN_CLASSD, ULONG)
P1(IN_MULTICAST, ULONG)
P1(IN4_CLASSA, ULONG)
P1(IN4_CLASSB, ULONG)
P1(IN4_CLASSC, ULONG)
P1(IN4_CLASSD, ULONG)
P1(IN4_MULTICAST, ULONG)
P2(IN4_ADDR_EQUAL, const IN_ADDR *, const IN_ADDR *)
P1(IN4_IS_ADDR_UNSPECIFIED, const IN_ADDR *)
P1(IN4_IS_ADDR_LOOPBACK, const IN_ADDR *)
P1(IN4_IS_ADDR_BROADCAST, const IN_ADDR *)
P1(IN4_IS_ADDR_MULTICAST, const IN_ADDR *)
P1(IN4_IS_ADDR_LINKLOCAL, const IN_ADDR *)
P1(IN4_IS_ADDR_RFC1918, const IN_ADDR *)
V3(IN4ADDR_SETSOCKADDR, PSOCKADDR_IN, const IN_ADDR *, USHORT)
V1(IN4ADDR_SETANY, PSOCKADDR_IN)
V1(IN4ADDR_SETLOOPBACK, PSOCKADDR_IN)
P1(IN4ADDR_ISANY, const SOCKADDR_IN *)
P1(IN4ADDR_ISUNSPECIFIED, const SOCKADDR_IN *)
P1(IN4ADDR_ISLOOPBACK, const SOCKADDR_IN *)
P2(IN4ADDR_ISEQUAL, const SOCKADDR_IN *, const SOCKADDR_IN *)
P2(IN6_ADDR_EQUAL, const IN6_ADDR *, const IN6_ADDR *)
P1(IN6_IS_ADDR_UNSPECIFIED, const IN6_ADDR *)
P1(IN6_IS_ADDR_LOOPBACK, const IN6_ADDR *)
P1(IN6_IS_ADDR_MULTICAST, const IN6_ADDR *)
P1(IN6_IS_ADDR_LINKLOCAL, const IN6_ADDR *)
P1(IN6_IS_ADDR_SITELOCAL, const IN6_ADDR *)
P1(IN6_IS_ADDR_V4MAPPED, const IN6_ADDR *)
P1(IN6_IS_ADDR_MC_NODELOCAL, const IN6_ADDR *)
P1(IN6_IS_ADDR_MC_LINKLOCAL, const IN6_ADDR *)
P1(IN6_IS_ADDR_MC_SITELOCAL, const IN6_ADDR *)
P1(IN6_IS_ADDR_MC_ORGLOCAL, const IN6_ADDR *)
P1(IN6_IS_ADDR_MC_GLOBAL, const IN6_ADDR *)
V1(IN6_SET_ADDR_UNSPECIFIED, PIN6_ADDR)
V1(IN6_SET_ADDR_LOOPBACK, PIN6_ADDR)
V2(IN6_SET_ADDR_V4MAPPED, PIN6_ADDR, const IN_ADDR *)
F1(const UCHAR *, IN6_GET_ADDR_V4MAPPED, const IN6_ADDR *)
V1(IN6ADDR_SETANY, PSOCKADDR_IN6)
V1(IN6ADDR_SETLOOPBACK, PSOCKADDR_IN6)
V4(IN6ADDR_SETSOCKADDR, PSOCKADDR_IN6, const IN6_ADDR *, SCOPE_ID, USHORT)
V4(IN6ADDR_SETV4MAPPED, PSOCKADDR_IN6, const IN_ADDR *, SCOPE_ID, USHORT)
P1(IN6ADDR_ISANY, const SOCKADDR_IN6 *)
P1(IN6ADDR_ISUNSPECIFIED, const SOCKADDR_IN6 *)
P1(IN6ADDR_ISLOOPBACK, const SOCKADDR_IN6 *)
P1(IN6ADDR_ISV4MAPPED, const SOCKADDR_IN6 *)
P2(IN6ADDR_ISEQUAL, const SOCKADDR_IN6 *, const SOCKADDR_IN6 *)
P1(INETADDR_ISANY, const SOCKADDR *)
P1(INETADDR_ISLOOPBACK, const SOCKADDR *)
P1(INETADDR_ISV4MAPPED, const SOCKADDR *)
P2(INETADDR_ISEQUAL, const SOCKADDR *, const SOCKADDR *)
V5(INETADDR_SETSOCKADDR, ADDRESS_FAMILY, PSOCKADDR, const VOID *, SCOPE_ID, USHORT)
V1(INETADDR_SETANY, PSOCKADDR)
V1(INETADDR_SETLOOPBACK, PSOCKADDR)
F1(USHORT, INETADDR_PORT, const SOCKADDR *)
V2(INETADDR_SET_PORT, PSOCKADDR, USHORT)
F1(PUCHAR, INETADDR_ADDRESS, const SOCKADDR *)
F1(SIZE_T, INET_ADDR_LENGTH, ADDRESS_FAMILY)
F1(SIZE_T, INET_SOCKADDR_LENGTH, ADDRESS_FAMILY)
F1(SCOPE_LEVEL, ScopeLevel, SCOPE_ID)
F1(SCOPE_LEVEL, Ipv4AddressScope, const UCHAR *)
F1(SCOPE_LEVEL, Ipv6AddressScope, const UCHAR *)
V2(IN4_UNCANONICALIZE_SCOPE_ID, const IN_ADDR *, SCOPE_ID *)
V2(IN6_UNCANONICALIZE_SCOPE_ID, const IN6_ADDR *, SCOPE_ID *)

USHORT *c_SS_PORT(PSOCKADDR_STORAGE Address);
USHORT *c_SS_PORT(PSOCKADDR_STORAGE Address)
{
    return &SS_PORT(Address);
}

// Structures: a macro that takes the name of a member has one function for each member.
LONG c_FIELD_OFFSET(void);
LONG c_FIELD_OFFSET(void)
{
    return FIELD_OFFSET(IRP, Tail.Overlay.ListEntry);
}
ULONG c_UFIELD_OFFSET(void);
ULONG c_UFIELD_OFFSET(void)
{
    return UFIELD_OFFSET(IRP, Tail.Overlay.ListEntry);
}
SIZE_T c_RTL_FIELD_SIZE(void);
SIZE_T c_RTL_FIELD_SIZE(void)
{
    return RTL_FIELD_SIZE(SOCKADDR_STORAGE, __ss_pad2);
}
SIZE_T c_FIELD_SIZE(void);
SIZE_T c_FIELD_SIZE(void)
{
    return FIELD_SIZE(SOCKADDR_STORAGE, __ss_pad2);
}
SIZE_T c_RTL_SIZEOF_THROUGH_FIELD(void);
SIZE_T c_RTL_SIZEOF_THROUGH_FIELD(void)
{
    return RTL_SIZEOF_THROUGH_FIELD(MDL, ByteCount);
}
PIRP c_CONTAINING_RECORD(PLIST_ENTRY Entry);
PIRP c_CONTAINING_RECORD(PLIST_ENTRY Entry)
{
    return CONTAINING_RECORD(Entry, IRP, Tail.Overlay.ListEntry);
}
VOID c_RTL_CONSTANT_STRING(PUNICODE_STRING Name);
VOID c_RTL_CONSTANT_STRING(PUNICODE_STRING Name)
{
    static const UNICODE_STRING Constant = RTL_CONSTANT_STRING(u"\\Device\\\u00e9\u20ac\U0001F600");
    *Name = Constant;
}
