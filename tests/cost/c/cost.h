// The code that the files of the C side share: the driver, and the operations of lean.c and careful.c.

#ifndef COST_H
#define COST_H

#include <ntddk.h>
#include <wsk.h>

// The numbers of the scenarios, as in driver/lib.rs and src/lib.rs.
enum {
    SEND_TO,
    START_SEND_TO,
    START_SEND_TO_WAIT,
    RECEIVE_FROM,
    START_RECEIVE_FROM_WAIT,
    CAREFUL_SEND_TO,
    CAREFUL_SEND_TO_VALUE,
    CAREFUL_RECEIVE_FROM,
    CAREFUL_START_SEND_TO,
    CAREFUL_START_SEND_TO_WAIT,
    CAREFUL_START_SEND_TO_CALLBACK,
    CAREFUL_START_RECEIVE_FROM_WAIT,
    TUNNEL_SEND,
    CAREFUL_TUNNEL_SEND,
};

#define TAG 0x74736f43
#define LENGTH 512
// The size of a tunnel's header, and its contents.
#define HEADER_LENGTH 4
#define HEADER_KEY 0x2A
// The room for the source address of a tunnel.
#define PIN_ROOM WSA_CMSG_SPACE(sizeof(IN_PKTINFO))

typedef struct _DRIVER DRIVER, *PDRIVER;

// The free operations, without a lock: a count of changes in the upper half, and in the lower half the number of the first one
// plus one.
typedef struct _FREE_LIST {
    ULONGLONG Head;
} FREE_LIST, *PFREE_LIST;

// The link of a free operation.
typedef struct _FREE_LINK {
    // Its number plus one. While it is free, also that of the next free one, or zero.
    ULONG Number;
    ULONG Next;
} FREE_LINK, *PFREE_LINK;

// Takes an operation out of an array. The links are at an offset in the operations. NULL if none is free.
FORCEINLINE PVOID FreeListPop(PFREE_LIST List, PVOID Operations, SIZE_T Size, SIZE_T LinkOffset)
{
    ULONGLONG Head = __atomic_load_n(&List->Head, __ATOMIC_ACQUIRE);
    for (;;) {
        ULONG First = (ULONG)Head;
        if (First == 0) {
            return NULL;
        }
        PUCHAR Operation = (PUCHAR)Operations + (First - 1) * Size;
        PFREE_LINK Link = (PFREE_LINK)(Operation + LinkOffset);
        ULONG Next = __atomic_load_n(&Link->Next, __ATOMIC_RELAXED);
        ULONGLONG New = ((Head >> 32) + 1) << 32 | Next;
        if (__atomic_compare_exchange_n(&List->Head, &Head, New, TRUE, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
            return Operation;
        }
    }
}

FORCEINLINE VOID FreeListPush(PFREE_LIST List, PFREE_LINK Link)
{
    ULONG Number = Link->Number;
    ULONGLONG Head = __atomic_load_n(&List->Head, __ATOMIC_RELAXED);
    ULONGLONG New;
    do {
        __atomic_store_n(&Link->Next, (ULONG)Head, __ATOMIC_RELAXED);
        New = ((Head >> 32) + 1) << 32 | Number;
    } while (!__atomic_compare_exchange_n(&List->Head, &Head, New, TRUE, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

// An IRP of lean.c with everything that it needs, made once and used again and again.
typedef struct _OPERATION {
    PIRP Irp;
    PDRIVER Driver;
    WSK_BUF Buffer;
    // Lets one waiter through, so that nothing has to clear it. Set only if the call has returned STATUS_PENDING.
    KEVENT Done;
    NTSTATUS Returned;
    ULONG ControlFlags;
    SOCKADDR_INET From;
    PVOID Memory;
    // A tunnel's header: its own MDL for the start of the memory, and the bytes from there on, followed by those of the packet.
    PMDL Header;
    WSK_BUF Framed;
    FREE_LINK Link;
} OPERATION, *POPERATION;

// The memory with which careful.c's driver sends and receives.
typedef struct _FOREIGN FOREIGN, *PFOREIGN;
// The state of careful.c.
typedef struct _CAREFUL CAREFUL, *PCAREFUL;

struct _DRIVER {
    PWSK_SOCKET Socket;
    const WSK_PROVIDER_DATAGRAM_DISPATCH *Dispatch;
    // The peer's address. It stays in place, so that sends can point at it.
    SOCKADDR_INET Peer;
    // The source address of a tunnel, which stays in place, too.
    DECLSPEC_ALIGN(8) UCHAR Pin[PIN_ROOM];
    OPERATION Single;
    FREE_LIST Free;
    POPERATION Operations;
    // The operations that were started and must be waited for.
    PVOID *Started;
    PCAREFUL Careful;
    ULONG Scenario;
    ULONG Depth;
    NTSTATUS Failed;
    WSK_REGISTRATION Registration;
    WSK_PROVIDER_NPI Npi;
};

// One file calls the functions of another directly, as within a driver.
#pragma GCC visibility push(hidden)

// driver.c

PVOID Allocate(SIZE_T Size);
VOID PinTo(PUCHAR Control, const IN_ADDR *Local);

// lean.c. The operations of a scenario. On failure they return NULL or 0, and keep everything in the driver.

NTSTATUS MakeOperation(PDRIVER Driver, POPERATION Operation);
VOID FreeOperation(POPERATION Operation);
NTSTATUS Completed(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context);
NTSTATUS Wait(POPERATION Operation, NTSTATUS Status);
SIZE_T SendTo(PDRIVER Driver);
SIZE_T StartSendTo(PDRIVER Driver);
PVOID StartSendToWait(PDRIVER Driver);
SIZE_T FinishSendTo(PDRIVER Driver, PVOID Started);
SIZE_T ReceiveFrom(PDRIVER Driver);
PVOID StartReceiveFromWait(PDRIVER Driver);
SIZE_T FinishReceiveFrom(PDRIVER Driver, PVOID Started);
SIZE_T TunnelSend(PDRIVER Driver);

// careful.c

NTSTATUS CarefulOpen(PDRIVER Driver);
VOID CarefulClose(PDRIVER Driver);
SIZE_T CarefulSendTo(PDRIVER Driver);
SIZE_T CarefulSendToValue(PDRIVER Driver);
SIZE_T CarefulReceiveFrom(PDRIVER Driver);
SIZE_T CarefulStartSendTo(PDRIVER Driver);
SIZE_T CarefulStartSendToCallback(PDRIVER Driver);
PVOID CarefulStartSendToWait(PDRIVER Driver);
SIZE_T CarefulFinishSendTo(PDRIVER Driver, PVOID Started);
PVOID CarefulStartReceiveFromWait(PDRIVER Driver);
SIZE_T CarefulFinishReceiveFrom(PDRIVER Driver, PVOID Started);
SIZE_T CarefulTunnelSend(PDRIVER Driver);

#pragma GCC visibility pop

#endif
