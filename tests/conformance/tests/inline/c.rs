//! The inline functions and macros of the headers as clang compiled them, see `c/inline.c`.

use std::ffi::c_void;

use wsk_sys::{
    ADDRESS_FAMILY, DEVICE_OBJECT, FAST_MUTEX, GUID, IN_ADDR, IN6_ADDR, IO_STACK_LOCATION, IRP,
    LARGE_INTEGER, LIST_ENTRY, LOOKASIDE_LIST_EX, MDL, NPAGED_LOOKASIDE_LIST, NPI_MODULEID,
    NTSTATUS, OBJECT_ATTRIBUTES, PAGED_LOOKASIDE_LIST, PDRIVER_CANCEL, PIO_COMPLETION_ROUTINE,
    POOL_TYPE, SCOPE_ID, SCOPE_LEVEL, SLIST_ENTRY, SLIST_HEADER, SOCKADDR, SOCKADDR_IN,
    SOCKADDR_IN6, SOCKADDR_STORAGE, STRING, UNICODE_STRING, WSACMSGHDR, WSAMSG,
};

unsafe extern "C" {
    #[link_name = "c_IoSizeOfIrp"]
    pub(crate) fn IoSizeOfIrp(a: i8) -> u16;
    #[link_name = "c_IoGetCurrentIrpStackLocation"]
    pub(crate) fn IoGetCurrentIrpStackLocation(a: *mut IRP) -> *mut IO_STACK_LOCATION;
    #[link_name = "c_IoGetNextIrpStackLocation"]
    pub(crate) fn IoGetNextIrpStackLocation(a: *mut IRP) -> *mut IO_STACK_LOCATION;
    #[link_name = "c_IoSetNextIrpStackLocation"]
    pub(crate) fn IoSetNextIrpStackLocation(a: *mut IRP);
    #[link_name = "c_IoSkipCurrentIrpStackLocation"]
    pub(crate) fn IoSkipCurrentIrpStackLocation(a: *mut IRP);
    #[link_name = "c_IoCopyCurrentIrpStackLocationToNext"]
    pub(crate) fn IoCopyCurrentIrpStackLocationToNext(a: *mut IRP);
    #[link_name = "c_IoSetCompletionRoutine"]
    pub(crate) fn IoSetCompletionRoutine(
        a: *mut IRP,
        b: PIO_COMPLETION_ROUTINE,
        c: *mut c_void,
        d: u8,
        e: u8,
        f: u8,
    );
    #[link_name = "c_IoSetCancelRoutine"]
    pub(crate) fn IoSetCancelRoutine(a: *mut IRP, b: PDRIVER_CANCEL) -> PDRIVER_CANCEL;
    #[link_name = "c_IoMarkIrpPending"]
    pub(crate) fn IoMarkIrpPending(a: *mut IRP);
    #[link_name = "c_IoCompleteRequest"]
    pub(crate) fn IoCompleteRequest(a: *mut IRP, b: i8);
    #[link_name = "c_IoCallDriver"]
    pub(crate) fn IoCallDriver(a: *mut DEVICE_OBJECT, b: *mut IRP) -> NTSTATUS;
    #[link_name = "c_MmGetMdlByteCount"]
    pub(crate) fn MmGetMdlByteCount(a: *mut MDL) -> u32;
    #[link_name = "c_MmGetMdlByteOffset"]
    pub(crate) fn MmGetMdlByteOffset(a: *mut MDL) -> u32;
    #[link_name = "c_MmGetMdlBaseVa"]
    pub(crate) fn MmGetMdlBaseVa(a: *mut MDL) -> *mut c_void;
    #[link_name = "c_MmGetMdlVirtualAddress"]
    pub(crate) fn MmGetMdlVirtualAddress(a: *mut MDL) -> *mut c_void;
    #[link_name = "c_MmGetMdlPfnArray"]
    pub(crate) fn MmGetMdlPfnArray(a: *mut MDL) -> *mut usize;
    #[link_name = "c_MmInitializeMdl"]
    pub(crate) fn MmInitializeMdl(a: *mut MDL, b: *mut c_void, c: usize);
    #[link_name = "c_MmGetSystemAddressForMdlSafe"]
    pub(crate) fn MmGetSystemAddressForMdlSafe(a: *mut MDL, b: u32) -> *mut c_void;
    #[link_name = "c_MmPrepareMdlForReuse"]
    pub(crate) fn MmPrepareMdlForReuse(a: *mut MDL);
    #[link_name = "c_BYTE_OFFSET"]
    pub(crate) fn BYTE_OFFSET(a: *mut c_void) -> u32;
    #[link_name = "c_PAGE_ALIGN"]
    pub(crate) fn PAGE_ALIGN(a: *mut c_void) -> *mut c_void;
    #[link_name = "c_ADDRESS_AND_SIZE_TO_SPAN_PAGES"]
    pub(crate) fn ADDRESS_AND_SIZE_TO_SPAN_PAGES(a: *mut c_void, b: usize) -> usize;
    #[link_name = "c_BYTES_TO_PAGES"]
    pub(crate) fn BYTES_TO_PAGES(a: usize) -> usize;
    #[link_name = "c_ROUND_TO_PAGES"]
    pub(crate) fn ROUND_TO_PAGES(a: usize) -> usize;
    #[link_name = "c_KeRaiseIrql"]
    pub(crate) fn KeRaiseIrql(a: u8, b: *mut u8);
    #[link_name = "c_KeInitializeSpinLock"]
    pub(crate) fn KeInitializeSpinLock(a: *mut usize);
    #[link_name = "c_KeAcquireSpinLock"]
    pub(crate) fn KeAcquireSpinLock(a: *mut usize, b: *mut u8);
    #[link_name = "c_InitializeListHead"]
    pub(crate) fn InitializeListHead(a: *mut LIST_ENTRY);
    #[link_name = "c_IsListEmpty"]
    pub(crate) fn IsListEmpty(a: *mut LIST_ENTRY) -> bool;
    #[link_name = "c_InsertTailList"]
    pub(crate) fn InsertTailList(a: *mut LIST_ENTRY, b: *mut LIST_ENTRY);
    #[link_name = "c_InsertHeadList"]
    pub(crate) fn InsertHeadList(a: *mut LIST_ENTRY, b: *mut LIST_ENTRY);
    #[link_name = "c_RemoveEntryList"]
    pub(crate) fn RemoveEntryList(a: *mut LIST_ENTRY) -> bool;
    #[link_name = "c_RemoveHeadList"]
    pub(crate) fn RemoveHeadList(a: *mut LIST_ENTRY) -> *mut LIST_ENTRY;
    #[link_name = "c_RemoveTailList"]
    pub(crate) fn RemoveTailList(a: *mut LIST_ENTRY) -> *mut LIST_ENTRY;
    #[link_name = "c_InterlockedIncrement"]
    pub(crate) fn InterlockedIncrement(a: *mut i32) -> i32;
    #[link_name = "c_InterlockedDecrement"]
    pub(crate) fn InterlockedDecrement(a: *mut i32) -> i32;
    #[link_name = "c_InterlockedExchangeAdd"]
    pub(crate) fn InterlockedExchangeAdd(a: *mut i32, b: i32) -> i32;
    #[link_name = "c_InterlockedAdd"]
    pub(crate) fn InterlockedAdd(a: *mut i32, b: i32) -> i32;
    #[link_name = "c_InterlockedExchange"]
    pub(crate) fn InterlockedExchange(a: *mut i32, b: i32) -> i32;
    #[link_name = "c_InterlockedCompareExchange"]
    pub(crate) fn InterlockedCompareExchange(a: *mut i32, b: i32, c: i32) -> i32;
    #[link_name = "c_InterlockedOr"]
    pub(crate) fn InterlockedOr(a: *mut i32, b: i32) -> i32;
    #[link_name = "c_InterlockedAnd"]
    pub(crate) fn InterlockedAnd(a: *mut i32, b: i32) -> i32;
    #[link_name = "c_InterlockedExchangePointer"]
    pub(crate) fn InterlockedExchangePointer(a: *mut *mut c_void, b: *mut c_void) -> *mut c_void;
    #[link_name = "c_InterlockedCompareExchangePointer"]
    pub(crate) fn InterlockedCompareExchangePointer(
        a: *mut *mut c_void,
        b: *mut c_void,
        c: *mut c_void,
    ) -> *mut c_void;
    #[link_name = "c_RtlCopyMemory"]
    pub(crate) fn RtlCopyMemory(a: *mut c_void, b: *const c_void, c: usize);
    #[link_name = "c_RtlMoveMemory"]
    pub(crate) fn RtlMoveMemory(a: *mut c_void, b: *const c_void, c: usize);
    #[link_name = "c_RtlFillMemory"]
    pub(crate) fn RtlFillMemory(a: *mut c_void, b: usize, c: u8);
    #[link_name = "c_RtlZeroMemory"]
    pub(crate) fn RtlZeroMemory(a: *mut c_void, b: usize);
    #[link_name = "c_RtlEqualMemory"]
    pub(crate) fn RtlEqualMemory(a: *const c_void, b: *const c_void, c: usize) -> bool;
    #[link_name = "c_RtlUshortByteSwap"]
    pub(crate) fn RtlUshortByteSwap(a: u16) -> u16;
    #[link_name = "c_RtlUlongByteSwap"]
    pub(crate) fn RtlUlongByteSwap(a: u32) -> u32;
    #[link_name = "c_RtlUlonglongByteSwap"]
    pub(crate) fn RtlUlonglongByteSwap(a: u64) -> u64;
    #[link_name = "c_InitializeObjectAttributes"]
    pub(crate) fn InitializeObjectAttributes(
        a: *mut OBJECT_ATTRIBUTES,
        b: *mut UNICODE_STRING,
        c: u32,
        d: *mut c_void,
        e: *mut c_void,
    );
    #[link_name = "c_NtCurrentProcess"]
    pub(crate) fn NtCurrentProcess() -> *mut c_void;
    #[link_name = "c_NtCurrentThread"]
    pub(crate) fn NtCurrentThread() -> *mut c_void;
    #[link_name = "c_ObReferenceObject"]
    pub(crate) fn ObReferenceObject(a: *mut c_void) -> isize;
    #[link_name = "c_ObDereferenceObject"]
    pub(crate) fn ObDereferenceObject(a: *mut c_void) -> isize;
    #[link_name = "c_IsEqualGUID"]
    pub(crate) fn IsEqualGUID(a: *const GUID, b: *const GUID) -> bool;
    #[link_name = "c_InlineIsEqualGUID"]
    pub(crate) fn InlineIsEqualGUID(a: *const GUID, b: *const GUID) -> bool;
    #[link_name = "c_NmrIsEqualNpiModuleId"]
    pub(crate) fn NmrIsEqualNpiModuleId(a: *const NPI_MODULEID, b: *const NPI_MODULEID) -> bool;
    #[link_name = "c_NT_SUCCESS"]
    pub(crate) fn NT_SUCCESS(a: NTSTATUS) -> bool;
    #[link_name = "c_NT_INFORMATION"]
    pub(crate) fn NT_INFORMATION(a: NTSTATUS) -> bool;
    #[link_name = "c_NT_WARNING"]
    pub(crate) fn NT_WARNING(a: NTSTATUS) -> bool;
    #[link_name = "c_NT_ERROR"]
    pub(crate) fn NT_ERROR(a: NTSTATUS) -> bool;
    #[link_name = "c_OSVER"]
    pub(crate) fn OSVER(a: u32) -> u32;
    #[link_name = "c_SPVER"]
    pub(crate) fn SPVER(a: u32) -> u32;
    #[link_name = "c_SUBVER"]
    pub(crate) fn SUBVER(a: u32) -> u32;
    #[link_name = "c_MAKE_WSK_VERSION"]
    pub(crate) fn MAKE_WSK_VERSION(a: u8, b: u8) -> u16;
    #[link_name = "c_WSK_MAJOR_VERSION"]
    pub(crate) fn WSK_MAJOR_VERSION(a: u16) -> u8;
    #[link_name = "c_WSK_MINOR_VERSION"]
    pub(crate) fn WSK_MINOR_VERSION(a: u16) -> u8;
    #[link_name = "c_CTL_CODE"]
    pub(crate) fn CTL_CODE(a: u32, b: u32, c: u32, d: u32) -> u32;
    #[link_name = "c__IO"]
    pub(crate) fn _IO(a: u32, b: u32) -> u32;
    #[link_name = "c__WSAIO"]
    pub(crate) fn _WSAIO(a: u32, b: u32) -> u32;
    #[link_name = "c__WSAIOR"]
    pub(crate) fn _WSAIOR(a: u32, b: u32) -> u32;
    #[link_name = "c__WSAIOW"]
    pub(crate) fn _WSAIOW(a: u32, b: u32) -> u32;
    #[link_name = "c__WSAIORW"]
    pub(crate) fn _WSAIORW(a: u32, b: u32) -> u32;
    #[link_name = "c_WSA_CMSGHDR_ALIGN"]
    pub(crate) fn WSA_CMSGHDR_ALIGN(a: usize) -> usize;
    #[link_name = "c_WSA_CMSGDATA_ALIGN"]
    pub(crate) fn WSA_CMSGDATA_ALIGN(a: usize) -> usize;
    #[link_name = "c_WSA_CMSG_SPACE"]
    pub(crate) fn WSA_CMSG_SPACE(a: usize) -> usize;
    #[link_name = "c_WSA_CMSG_LEN"]
    pub(crate) fn WSA_CMSG_LEN(a: usize) -> usize;
    #[link_name = "c_WSA_CMSG_FIRSTHDR"]
    pub(crate) fn WSA_CMSG_FIRSTHDR(a: *mut WSAMSG) -> *mut WSACMSGHDR;
    #[link_name = "c_WSA_CMSG_NXTHDR"]
    pub(crate) fn WSA_CMSG_NXTHDR(a: *mut WSAMSG, b: *mut WSACMSGHDR) -> *mut WSACMSGHDR;
    #[link_name = "c_WSA_CMSG_DATA"]
    pub(crate) fn WSA_CMSG_DATA(a: *mut WSACMSGHDR) -> *mut u8;
    #[link_name = "c_SIZEOF_SOCKET_ADDRESS_LIST"]
    pub(crate) fn SIZEOF_SOCKET_ADDRESS_LIST(a: usize) -> usize;
    #[link_name = "c_IP_MSFILTER_SIZE"]
    pub(crate) fn IP_MSFILTER_SIZE(a: usize) -> usize;
    #[link_name = "c_GROUP_FILTER_SIZE"]
    pub(crate) fn GROUP_FILTER_SIZE(a: usize) -> usize;
    #[link_name = "c_IN_CLASSA"]
    pub(crate) fn IN_CLASSA(a: u32) -> bool;
    #[link_name = "c_IN_CLASSB"]
    pub(crate) fn IN_CLASSB(a: u32) -> bool;
    #[link_name = "c_IN_CLASSC"]
    pub(crate) fn IN_CLASSC(a: u32) -> bool;
    #[link_name = "c_IN_CLASSD"]
    pub(crate) fn IN_CLASSD(a: u32) -> bool;
    #[link_name = "c_IN_MULTICAST"]
    pub(crate) fn IN_MULTICAST(a: u32) -> bool;
    #[link_name = "c_IN4_CLASSA"]
    pub(crate) fn IN4_CLASSA(a: u32) -> bool;
    #[link_name = "c_IN4_CLASSB"]
    pub(crate) fn IN4_CLASSB(a: u32) -> bool;
    #[link_name = "c_IN4_CLASSC"]
    pub(crate) fn IN4_CLASSC(a: u32) -> bool;
    #[link_name = "c_IN4_CLASSD"]
    pub(crate) fn IN4_CLASSD(a: u32) -> bool;
    #[link_name = "c_IN4_MULTICAST"]
    pub(crate) fn IN4_MULTICAST(a: u32) -> bool;
    #[link_name = "c_IN4_ADDR_EQUAL"]
    pub(crate) fn IN4_ADDR_EQUAL(a: *const IN_ADDR, b: *const IN_ADDR) -> bool;
    #[link_name = "c_IN4_IS_ADDR_UNSPECIFIED"]
    pub(crate) fn IN4_IS_ADDR_UNSPECIFIED(a: *const IN_ADDR) -> bool;
    #[link_name = "c_IN4_IS_ADDR_LOOPBACK"]
    pub(crate) fn IN4_IS_ADDR_LOOPBACK(a: *const IN_ADDR) -> bool;
    #[link_name = "c_IN4_IS_ADDR_BROADCAST"]
    pub(crate) fn IN4_IS_ADDR_BROADCAST(a: *const IN_ADDR) -> bool;
    #[link_name = "c_IN4_IS_ADDR_MULTICAST"]
    pub(crate) fn IN4_IS_ADDR_MULTICAST(a: *const IN_ADDR) -> bool;
    #[link_name = "c_IN4_IS_ADDR_LINKLOCAL"]
    pub(crate) fn IN4_IS_ADDR_LINKLOCAL(a: *const IN_ADDR) -> bool;
    #[link_name = "c_IN4_IS_ADDR_RFC1918"]
    pub(crate) fn IN4_IS_ADDR_RFC1918(a: *const IN_ADDR) -> bool;
    #[link_name = "c_IN4ADDR_SETSOCKADDR"]
    pub(crate) fn IN4ADDR_SETSOCKADDR(a: *mut SOCKADDR_IN, b: *const IN_ADDR, c: u16);
    #[link_name = "c_IN4ADDR_SETANY"]
    pub(crate) fn IN4ADDR_SETANY(a: *mut SOCKADDR_IN);
    #[link_name = "c_IN4ADDR_SETLOOPBACK"]
    pub(crate) fn IN4ADDR_SETLOOPBACK(a: *mut SOCKADDR_IN);
    #[link_name = "c_IN4ADDR_ISANY"]
    pub(crate) fn IN4ADDR_ISANY(a: *const SOCKADDR_IN) -> bool;
    #[link_name = "c_IN4ADDR_ISUNSPECIFIED"]
    pub(crate) fn IN4ADDR_ISUNSPECIFIED(a: *const SOCKADDR_IN) -> bool;
    #[link_name = "c_IN4ADDR_ISLOOPBACK"]
    pub(crate) fn IN4ADDR_ISLOOPBACK(a: *const SOCKADDR_IN) -> bool;
    #[link_name = "c_IN4ADDR_ISEQUAL"]
    pub(crate) fn IN4ADDR_ISEQUAL(a: *const SOCKADDR_IN, b: *const SOCKADDR_IN) -> bool;
    #[link_name = "c_IN6_ADDR_EQUAL"]
    pub(crate) fn IN6_ADDR_EQUAL(a: *const IN6_ADDR, b: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_UNSPECIFIED"]
    pub(crate) fn IN6_IS_ADDR_UNSPECIFIED(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_LOOPBACK"]
    pub(crate) fn IN6_IS_ADDR_LOOPBACK(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_MULTICAST"]
    pub(crate) fn IN6_IS_ADDR_MULTICAST(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_LINKLOCAL"]
    pub(crate) fn IN6_IS_ADDR_LINKLOCAL(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_SITELOCAL"]
    pub(crate) fn IN6_IS_ADDR_SITELOCAL(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_V4MAPPED"]
    pub(crate) fn IN6_IS_ADDR_V4MAPPED(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_MC_NODELOCAL"]
    pub(crate) fn IN6_IS_ADDR_MC_NODELOCAL(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_MC_LINKLOCAL"]
    pub(crate) fn IN6_IS_ADDR_MC_LINKLOCAL(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_MC_SITELOCAL"]
    pub(crate) fn IN6_IS_ADDR_MC_SITELOCAL(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_MC_ORGLOCAL"]
    pub(crate) fn IN6_IS_ADDR_MC_ORGLOCAL(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_IS_ADDR_MC_GLOBAL"]
    pub(crate) fn IN6_IS_ADDR_MC_GLOBAL(a: *const IN6_ADDR) -> bool;
    #[link_name = "c_IN6_SET_ADDR_UNSPECIFIED"]
    pub(crate) fn IN6_SET_ADDR_UNSPECIFIED(a: *mut IN6_ADDR);
    #[link_name = "c_IN6_SET_ADDR_LOOPBACK"]
    pub(crate) fn IN6_SET_ADDR_LOOPBACK(a: *mut IN6_ADDR);
    #[link_name = "c_IN6_SET_ADDR_V4MAPPED"]
    pub(crate) fn IN6_SET_ADDR_V4MAPPED(a: *mut IN6_ADDR, b: *const IN_ADDR);
    #[link_name = "c_IN6_GET_ADDR_V4MAPPED"]
    pub(crate) fn IN6_GET_ADDR_V4MAPPED(a: *const IN6_ADDR) -> *const u8;
    #[link_name = "c_IN6ADDR_SETANY"]
    pub(crate) fn IN6ADDR_SETANY(a: *mut SOCKADDR_IN6);
    #[link_name = "c_IN6ADDR_SETLOOPBACK"]
    pub(crate) fn IN6ADDR_SETLOOPBACK(a: *mut SOCKADDR_IN6);
    #[link_name = "c_IN6ADDR_SETSOCKADDR"]
    pub(crate) fn IN6ADDR_SETSOCKADDR(
        a: *mut SOCKADDR_IN6,
        b: *const IN6_ADDR,
        c: SCOPE_ID,
        d: u16,
    );
    #[link_name = "c_IN6ADDR_SETV4MAPPED"]
    pub(crate) fn IN6ADDR_SETV4MAPPED(a: *mut SOCKADDR_IN6, b: *const IN_ADDR, c: SCOPE_ID, d: u16);
    #[link_name = "c_IN6ADDR_ISANY"]
    pub(crate) fn IN6ADDR_ISANY(a: *const SOCKADDR_IN6) -> bool;
    #[link_name = "c_IN6ADDR_ISUNSPECIFIED"]
    pub(crate) fn IN6ADDR_ISUNSPECIFIED(a: *const SOCKADDR_IN6) -> bool;
    #[link_name = "c_IN6ADDR_ISLOOPBACK"]
    pub(crate) fn IN6ADDR_ISLOOPBACK(a: *const SOCKADDR_IN6) -> bool;
    #[link_name = "c_IN6ADDR_ISV4MAPPED"]
    pub(crate) fn IN6ADDR_ISV4MAPPED(a: *const SOCKADDR_IN6) -> bool;
    #[link_name = "c_IN6ADDR_ISEQUAL"]
    pub(crate) fn IN6ADDR_ISEQUAL(a: *const SOCKADDR_IN6, b: *const SOCKADDR_IN6) -> bool;
    #[link_name = "c_INETADDR_ISANY"]
    pub(crate) fn INETADDR_ISANY(a: *const SOCKADDR) -> bool;
    #[link_name = "c_INETADDR_ISLOOPBACK"]
    pub(crate) fn INETADDR_ISLOOPBACK(a: *const SOCKADDR) -> bool;
    #[link_name = "c_INETADDR_ISV4MAPPED"]
    pub(crate) fn INETADDR_ISV4MAPPED(a: *const SOCKADDR) -> bool;
    #[link_name = "c_INETADDR_ISEQUAL"]
    pub(crate) fn INETADDR_ISEQUAL(a: *const SOCKADDR, b: *const SOCKADDR) -> bool;
    #[link_name = "c_INETADDR_SETSOCKADDR"]
    pub(crate) fn INETADDR_SETSOCKADDR(
        a: ADDRESS_FAMILY,
        b: *mut SOCKADDR,
        c: *const c_void,
        d: SCOPE_ID,
        e: u16,
    );
    #[link_name = "c_INETADDR_SETANY"]
    pub(crate) fn INETADDR_SETANY(a: *mut SOCKADDR);
    #[link_name = "c_INETADDR_SETLOOPBACK"]
    pub(crate) fn INETADDR_SETLOOPBACK(a: *mut SOCKADDR);
    #[link_name = "c_INETADDR_PORT"]
    pub(crate) fn INETADDR_PORT(a: *const SOCKADDR) -> u16;
    #[link_name = "c_INETADDR_SET_PORT"]
    pub(crate) fn INETADDR_SET_PORT(a: *mut SOCKADDR, b: u16);
    #[link_name = "c_INETADDR_ADDRESS"]
    pub(crate) fn INETADDR_ADDRESS(a: *const SOCKADDR) -> *mut u8;
    #[link_name = "c_INET_ADDR_LENGTH"]
    pub(crate) fn INET_ADDR_LENGTH(a: ADDRESS_FAMILY) -> usize;
    #[link_name = "c_INET_SOCKADDR_LENGTH"]
    pub(crate) fn INET_SOCKADDR_LENGTH(a: ADDRESS_FAMILY) -> usize;
    #[link_name = "c_ScopeLevel"]
    pub(crate) fn ScopeLevel(a: SCOPE_ID) -> SCOPE_LEVEL;
    #[link_name = "c_Ipv4AddressScope"]
    pub(crate) fn Ipv4AddressScope(a: *const u8) -> SCOPE_LEVEL;
    #[link_name = "c_Ipv6AddressScope"]
    pub(crate) fn Ipv6AddressScope(a: *const u8) -> SCOPE_LEVEL;
    #[link_name = "c_IN4_UNCANONICALIZE_SCOPE_ID"]
    pub(crate) fn IN4_UNCANONICALIZE_SCOPE_ID(a: *const IN_ADDR, b: *mut SCOPE_ID);
    #[link_name = "c_IN6_UNCANONICALIZE_SCOPE_ID"]
    pub(crate) fn IN6_UNCANONICALIZE_SCOPE_ID(a: *const IN6_ADDR, b: *mut SCOPE_ID);
    #[link_name = "c__IOR"]
    pub(crate) fn _IOR(which: i32, x: u32, y: u32) -> u32;
    #[link_name = "c__IOW"]
    pub(crate) fn _IOW(which: i32, x: u32, y: u32) -> u32;
    #[link_name = "c_NTDDI_VERSION_FROM_WIN32_WINNT"]
    pub(crate) fn NTDDI_VERSION_FROM_WIN32_WINNT() -> u32;
    #[link_name = "c_SS_PORT"]
    pub(crate) fn SS_PORT(address: *mut SOCKADDR_STORAGE) -> *mut u16;
    #[link_name = "c_FIELD_OFFSET"]
    pub(crate) fn FIELD_OFFSET() -> i32;
    #[link_name = "c_UFIELD_OFFSET"]
    pub(crate) fn UFIELD_OFFSET() -> u32;
    #[link_name = "c_RTL_FIELD_SIZE"]
    pub(crate) fn RTL_FIELD_SIZE() -> usize;
    #[link_name = "c_InterlockedIncrement64"]
    pub(crate) fn InterlockedIncrement64(a: *mut i64) -> i64;
    #[link_name = "c_InterlockedDecrement64"]
    pub(crate) fn InterlockedDecrement64(a: *mut i64) -> i64;
    #[link_name = "c_InterlockedExchangeAdd64"]
    pub(crate) fn InterlockedExchangeAdd64(a: *mut i64, b: i64) -> i64;
    #[link_name = "c_InterlockedAdd64"]
    pub(crate) fn InterlockedAdd64(a: *mut i64, b: i64) -> i64;
    #[link_name = "c_InterlockedExchange64"]
    pub(crate) fn InterlockedExchange64(a: *mut i64, b: i64) -> i64;
    #[link_name = "c_InterlockedCompareExchange64"]
    pub(crate) fn InterlockedCompareExchange64(a: *mut i64, b: i64, c: i64) -> i64;
    #[link_name = "c_InterlockedOr64"]
    pub(crate) fn InterlockedOr64(a: *mut i64, b: i64) -> i64;
    #[link_name = "c_InterlockedAnd64"]
    pub(crate) fn InterlockedAnd64(a: *mut i64, b: i64) -> i64;
    #[link_name = "c_InterlockedXor64"]
    pub(crate) fn InterlockedXor64(a: *mut i64, b: i64) -> i64;
    #[link_name = "c_InterlockedXor"]
    pub(crate) fn InterlockedXor(a: *mut i32, b: i32) -> i32;
    #[link_name = "c_InterlockedIncrement16"]
    pub(crate) fn InterlockedIncrement16(a: *mut i16) -> i16;
    #[link_name = "c_InterlockedDecrement16"]
    pub(crate) fn InterlockedDecrement16(a: *mut i16) -> i16;
    #[link_name = "c_InterlockedCompareExchange16"]
    pub(crate) fn InterlockedCompareExchange16(a: *mut i16, b: i16, c: i16) -> i16;
    #[link_name = "c_InterlockedIncrementNoFence"]
    pub(crate) fn InterlockedIncrementNoFence(a: *mut i32) -> i32;
    #[link_name = "c_InterlockedIncrementNoFence64"]
    pub(crate) fn InterlockedIncrementNoFence64(a: *mut i64) -> i64;
    #[link_name = "c_InterlockedDecrementNoFence"]
    pub(crate) fn InterlockedDecrementNoFence(a: *mut i32) -> i32;
    #[link_name = "c_InterlockedDecrementNoFence64"]
    pub(crate) fn InterlockedDecrementNoFence64(a: *mut i64) -> i64;
    #[link_name = "c_InterlockedExchangeAddNoFence"]
    pub(crate) fn InterlockedExchangeAddNoFence(a: *mut i32, b: i32) -> i32;
    #[link_name = "c_InterlockedExchangeAddNoFence64"]
    pub(crate) fn InterlockedExchangeAddNoFence64(a: *mut i64, b: i64) -> i64;
    #[link_name = "c_InterlockedBitTestAndSet"]
    pub(crate) fn InterlockedBitTestAndSet(a: *mut i32, b: i32) -> bool;
    #[link_name = "c_InterlockedBitTestAndReset"]
    pub(crate) fn InterlockedBitTestAndReset(a: *mut i32, b: i32) -> bool;
    #[link_name = "c_InterlockedBitTestAndSet64"]
    pub(crate) fn InterlockedBitTestAndSet64(a: *mut i64, b: i64) -> bool;
    #[link_name = "c_InterlockedBitTestAndReset64"]
    pub(crate) fn InterlockedBitTestAndReset64(a: *mut i64, b: i64) -> bool;
    #[link_name = "c_BitTest"]
    pub(crate) fn BitTest(a: *mut i32, b: i32) -> bool;
    #[link_name = "c_BitTestAndSet"]
    pub(crate) fn BitTestAndSet(a: *mut i32, b: i32) -> bool;
    #[link_name = "c_BitTestAndReset"]
    pub(crate) fn BitTestAndReset(a: *mut i32, b: i32) -> bool;
    #[link_name = "c_BitTestAndComplement"]
    pub(crate) fn BitTestAndComplement(a: *mut i32, b: i32) -> bool;
    #[link_name = "c_InterlockedPushEntrySList"]
    pub(crate) fn InterlockedPushEntrySList(
        a: *mut SLIST_HEADER,
        b: *mut SLIST_ENTRY,
    ) -> *mut SLIST_ENTRY;
    #[link_name = "c_InterlockedPopEntrySList"]
    pub(crate) fn InterlockedPopEntrySList(a: *mut SLIST_HEADER) -> *mut SLIST_ENTRY;
    #[link_name = "c_InterlockedFlushSList"]
    pub(crate) fn InterlockedFlushSList(a: *mut SLIST_HEADER) -> *mut SLIST_ENTRY;
    #[link_name = "c_ExInitializeFastMutex"]
    pub(crate) fn ExInitializeFastMutex(a: *mut FAST_MUTEX);
    #[link_name = "c_ExAcquirePushLockShared"]
    pub(crate) fn ExAcquirePushLockShared(a: *mut usize);
    #[link_name = "c_ExAcquirePushLockExclusive"]
    pub(crate) fn ExAcquirePushLockExclusive(a: *mut usize);
    #[link_name = "c_ExReleasePushLockShared"]
    pub(crate) fn ExReleasePushLockShared(a: *mut usize);
    #[link_name = "c_ExReleasePushLockExclusive"]
    pub(crate) fn ExReleasePushLockExclusive(a: *mut usize);
    #[link_name = "c_ExAllocatePoolZero"]
    pub(crate) fn ExAllocatePoolZero(a: POOL_TYPE, b: usize, c: u32) -> *mut c_void;
    #[link_name = "c_ExAllocatePoolUninitialized"]
    pub(crate) fn ExAllocatePoolUninitialized(a: POOL_TYPE, b: usize, c: u32) -> *mut c_void;
    #[link_name = "c_ExAllocateFromNPagedLookasideList"]
    pub(crate) fn ExAllocateFromNPagedLookasideList(a: *mut NPAGED_LOOKASIDE_LIST) -> *mut c_void;
    #[link_name = "c_ExFreeToNPagedLookasideList"]
    pub(crate) fn ExFreeToNPagedLookasideList(a: *mut NPAGED_LOOKASIDE_LIST, b: *mut c_void);
    #[link_name = "c_ExAllocateFromPagedLookasideList"]
    pub(crate) fn ExAllocateFromPagedLookasideList(a: *mut PAGED_LOOKASIDE_LIST) -> *mut c_void;
    #[link_name = "c_ExFreeToPagedLookasideList"]
    pub(crate) fn ExFreeToPagedLookasideList(a: *mut PAGED_LOOKASIDE_LIST, b: *mut c_void);
    #[link_name = "c_ExAllocateFromLookasideListEx"]
    pub(crate) fn ExAllocateFromLookasideListEx(a: *mut LOOKASIDE_LIST_EX) -> *mut c_void;
    #[link_name = "c_ExFreeToLookasideListEx"]
    pub(crate) fn ExFreeToLookasideListEx(a: *mut LOOKASIDE_LIST_EX, b: *mut c_void);
    #[link_name = "c_KeQuerySystemTime"]
    pub(crate) fn KeQuerySystemTime(a: *mut LARGE_INTEGER);
    #[link_name = "c_RtlInitEmptyUnicodeString"]
    pub(crate) fn RtlInitEmptyUnicodeString(a: *mut UNICODE_STRING, b: *mut u16, c: u16);
    #[link_name = "c_RtlInitEmptyAnsiString"]
    pub(crate) fn RtlInitEmptyAnsiString(a: *mut STRING, b: *mut i8, c: u16);
    #[link_name = "c_Int32x32To64"]
    pub(crate) fn Int32x32To64(a: i32, b: i32) -> i64;
    #[link_name = "c_UInt32x32To64"]
    pub(crate) fn UInt32x32To64(a: u32, b: u32) -> u64;
    #[link_name = "c_FIELD_SIZE"]
    pub(crate) fn FIELD_SIZE() -> usize;
    #[link_name = "c_RTL_SIZEOF_THROUGH_FIELD"]
    pub(crate) fn RTL_SIZEOF_THROUGH_FIELD() -> usize;
    #[link_name = "c_CONTAINING_RECORD"]
    pub(crate) fn CONTAINING_RECORD(entry: *mut LIST_ENTRY) -> *mut IRP;
    #[link_name = "c_RTL_CONSTANT_STRING"]
    pub(crate) fn RTL_CONSTANT_STRING(name: *mut UNICODE_STRING);
}
