// Sends and receives datagrams through WSK, and keeps the promises that `wsk` keeps: any buffer and any address, checked each
// time; operations that any thread may use at any moment; memory that WSK uses while an IRP is in flight does not change,
// whatever the caller does. Anything that no promise needs is left out, as in lean.c.

#include "cost.h"

// The promises.

// The room for control information in an operation, in bytes.
#define CONTROL_ROOM 256
// The time for a provider that has returned an error to complete the IRP, in units of 100 ns.
#define GRACE 20000000LL
// The greatest payload of a datagram with IPv4, and with IPv6.
#define LONGEST_IPV4 (65535 - 20 - 8)
#define LONGEST_IPV6 (65535 - 8)

typedef struct _BUFFER BUFFER, *PBUFFER;

// Memory of the caller. It was checked when this was made: its pages stay, the offset is in the first MDL, the length is in the
// chain.
struct _BUFFER {
    WSK_BUF Buffer;
    // Control information to send, or room to receive it; none if the length is 0. It may be anywhere in memory.
    PVOID Control;
    ULONG ControlLength;
    // Returns the buffer when the operation that owned it has ended. IRQL: <= DISPATCH_LEVEL.
    VOID (*Return)(PBUFFER Buffer, NTSTATUS Status, SIZE_T Length);
};

// An address that was encoded and checked once: its family is one of the two, and its port is not 0.
typedef struct _ADDRESS {
    SOCKADDR_INET Address;
    // The greatest payload of a datagram to it.
    SIZE_T Longest;
} ADDRESS, *PADDRESS;

// An address as a value: everything except the IP address is in host order.
typedef struct _ADDRESS_VALUE {
    USHORT Family;
    USHORT Port;
    union {
        UCHAR Ipv4[4];
        UCHAR Ipv6[16];
    };
    ULONG FlowInfo;
    ULONG ScopeId;
} ADDRESS_VALUE;

// A received datagram.
typedef struct _RECEIVED {
    SIZE_T Length;
    SOCKADDR_INET From;
    // MSG_TRUNC, MSG_CTRUNC, MSG_BCAST and MSG_MCAST.
    ULONG Flags;
} RECEIVED, *PRECEIVED;

// The owner of an operation that is not at rest.
enum {
    // The holder, who will check whether it has completed.
    IN_FLIGHT,
    // The holder, who waits for the event.
    WAITING,
    // The completion routine: the holder has dropped the operation.
    DETACHED,
    // The holder, who may read the result.
    COMPLETED,
};

typedef struct _POOL POOL, *PPOOL;
typedef struct _REQUEST REQUEST, *PREQUEST;

typedef VOID CALLBACK(PVOID Context, PBUFFER Buffer, NTSTATUS Status, SIZE_T Length);
typedef CALLBACK *PCALLBACK;

// An operation: an IRP with everything that WSK uses while it is in flight.
struct _REQUEST {
    PIRP Irp;
    LONG State;
    ULONG ControlFlags;
    NTSTATUS Returned;
    ULONG ControlLength;
    // Lets one waiter through. Set only in the state WAITING.
    KEVENT Event;
    SOCKADDR_INET Address;
    DECLSPEC_ALIGN(8) UCHAR Control[CONTROL_ROOM];
    // An operation of a pool owns a buffer while it is not at rest.
    PBUFFER Buffer;
    PCALLBACK Callback;
    PVOID Context;
    PPOOL Pool;
    FREE_LINK Link;
};

// Operations for buffers of any owner. The pool holds one capture of the provider for all of them. Closing it waits until all
// operations are back.
struct _POOL {
    FREE_LIST Free;
    PREQUEST Requests;
    ULONG Depth;
};

typedef struct _SOCKET {
    PWSK_SOCKET Socket;
    const WSK_PROVIDER_DATAGRAM_DISPATCH *Dispatch;
    // The address family after binding. Before that 0, which is the family of no address.
    ADDRESS_FAMILY Bound;
    // Whether it is an IPv6 socket that also takes IPv4 addresses.
    BOOLEAN Dual;
    // An operation for blocking calls; NULL while another thread has it.
    PREQUEST Spare;
} SOCKET, *PSOCKET;

static __attribute__((noinline)) VOID FreeRequest(PREQUEST Request)
{
    if (Request->Irp != NULL) {
        IoFreeIrp(Request->Irp);
    }
    ExFreePoolWithTag(Request, TAG);
}

static NTSTATUS InitializeRequest(PREQUEST Request)
{
    KeInitializeEvent(&Request->Event, SynchronizationEvent, FALSE);
    Request->Irp = IoAllocateIrp(1, FALSE);
    return Request->Irp == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static __attribute__((noinline, cold)) PREQUEST AllocateRequest(VOID)
{
    PREQUEST Request = Allocate(sizeof(*Request));
    if (Request != NULL && !NT_SUCCESS(InitializeRequest(Request))) {
        FreeRequest(Request);
        return NULL;
    }
    return Request;
}

// The operation for a blocking call: the socket's own, unless another thread has it.
FORCEINLINE PREQUEST TakeSpare(PSOCKET Socket)
{
    PREQUEST Request = __atomic_exchange_n(&Socket->Spare, NULL, __ATOMIC_ACQUIRE);
    return Request != NULL ? Request : AllocateRequest();
}

FORCEINLINE VOID PutSpare(PSOCKET Socket, PREQUEST Request)
{
    PREQUEST Before = __atomic_exchange_n(&Socket->Spare, Request, __ATOMIC_ACQ_REL);
    if (Before != NULL) {
        FreeRequest(Before);
    }
}

// Completion routines. When the state says that an operation has completed, the holder owns it.

static NTSTATUS CompletedWaited(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    PREQUEST Request = Context;
    if (__atomic_exchange_n(&Request->State, COMPLETED, __ATOMIC_ACQ_REL) != IN_FLIGHT) {
        KeSetEvent(&Request->Event, IO_NO_INCREMENT, FALSE);
    }
    return STATUS_MORE_PROCESSING_REQUIRED;
}

// Returns the buffer, and then the operation. Until then the pool cannot be closed, so the driver stays loaded.
FORCEINLINE VOID Release(PREQUEST Request, PIRP Irp)
{
    PBUFFER Buffer = Request->Buffer;
    Buffer->Return(Buffer, Irp->IoStatus.Status, Irp->IoStatus.Information);
    FreeListPush(&Request->Pool->Free, &Request->Link);
}

static NTSTATUS CompletedHeld(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    PREQUEST Request = Context;
    LONG Before = __atomic_exchange_n(&Request->State, COMPLETED, __ATOMIC_ACQ_REL);
    if (Before == WAITING) {
        KeSetEvent(&Request->Event, IO_NO_INCREMENT, FALSE);
    } else if (Before == DETACHED) {
        Release(Request, Irp);
    }
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS CompletedDropped(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    Release(Context, Irp);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS CompletedTold(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    PREQUEST Request = Context;
    Request->Callback(Request->Context, Request->Buffer, Irp->IoStatus.Status, Irp->IoStatus.Information);
    FreeListPush(&Request->Pool->Free, &Request->Link);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

// Waits for an operation that had not completed. FALSE if the time runs out first.
static __attribute__((noinline)) BOOLEAN WaitPending(PREQUEST Request, PLARGE_INTEGER Limit)
{
    LONG Before = IN_FLIGHT;
    if (!__atomic_compare_exchange_n(&Request->State, &Before, WAITING, FALSE, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        return TRUE;
    }
    if (KeWaitForSingleObject(&Request->Event, Executive, KernelMode, FALSE, Limit) != STATUS_TIMEOUT) {
        return TRUE;
    }
    Before = WAITING;
    if (__atomic_compare_exchange_n(&Request->State, &Before, IN_FLIGHT, FALSE, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        return FALSE;
    }
    // It has completed at the last moment: the event is set, or will be set.
    KeWaitForSingleObject(&Request->Event, Executive, KernelMode, FALSE, NULL);
    return TRUE;
}

FORCEINLINE BOOLEAN IsCompleted(PREQUEST Request)
{
    return __atomic_load_n(&Request->State, __ATOMIC_ACQUIRE) == COMPLETED;
}

// Waits for an operation that uses the caller's memory, however long that takes.
FORCEINLINE VOID WaitBorrowed(PREQUEST Request)
{
    if (!IsCompleted(Request)) {
        WaitPending(Request, NULL);
    }
}

// Drops an operation. Its buffer is returned when it has completed.
static VOID DropRequest(PREQUEST Request)
{
    LONG Before = IN_FLIGHT;
    if (!__atomic_compare_exchange_n(&Request->State, &Before, DETACHED, FALSE, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        Release(Request, Request->Irp);
    }
}

static __attribute__((noinline)) BOOLEAN WaitOwnedPending(PREQUEST Request)
{
    LARGE_INTEGER Grace = {.QuadPart = -GRACE};
    if (WaitPending(Request, NT_ERROR(Request->Returned) ? &Grace : NULL)) {
        return TRUE;
    }
    DropRequest(Request);
    return FALSE;
}

// Waits for an operation that owns its memory. If the provider has returned an error and does not complete the IRP either, the
// operation is dropped after some time, and FALSE is returned.
FORCEINLINE BOOLEAN WaitOwned(PREQUEST Request)
{
    return IsCompleted(Request) || WaitOwnedPending(Request);
}

// The reason why as many bytes cannot be sent to the caller's address.
static __attribute__((noinline, cold)) NTSTATUS RefuseSend(PSOCKET Socket, ADDRESS_FAMILY Family, USHORT Port)
{
    if (__atomic_load_n(&Socket->Bound, __ATOMIC_ACQUIRE) == 0) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    if (Family != Socket->Bound && !(Socket->Dual && Family == AF_INET)) {
        return STATUS_INVALID_ADDRESS;
    }
    return Port == 0 ? STATUS_INVALID_ADDRESS_COMPONENT : STATUS_INVALID_BUFFER_SIZE;
}

FORCEINLINE NTSTATUS CheckSend(PSOCKET Socket, PBUFFER Buffer, const ADDRESS *To)
{
    // Equal only if the socket is bound.
    if (To->Address.si_family != __atomic_load_n(&Socket->Bound, __ATOMIC_ACQUIRE) ||
        Buffer->Buffer.Length > To->Longest) {
        return RefuseSend(Socket, To->Address.si_family, 1);
    }
    return STATUS_SUCCESS;
}

static __attribute__((noinline)) BOOLEAN CopyControl(PREQUEST Request, PBUFFER Buffer)
{
    if (Buffer->ControlLength > CONTROL_ROOM) {
        return FALSE;
    }
    RtlCopyMemory(Request->Control, Buffer->Control, Buffer->ControlLength);
    return TRUE;
}

// Copies the control information to send, if there is any. FALSE if it does not fit.
FORCEINLINE BOOLEAN PrepareControl(PREQUEST Request, PBUFFER Buffer, PCMSGHDR *Control)
{
    *Control = NULL;
    if (Buffer->ControlLength != 0) {
        if (!CopyControl(Request, Buffer)) {
            return FALSE;
        }
        *Control = (PCMSGHDR)Request->Control;
    }
    return TRUE;
}

// Passes on a send whose address and control information are in the operation. The operation may be gone afterwards, unless
// somebody holds it.
FORCEINLINE NTSTATUS PassOnSend(PSOCKET Socket, PREQUEST Request, PBUFFER Buffer, PCMSGHDR Control,
    PIO_COMPLETION_ROUTINE Routine)
{
    PIRP Irp = Request->Irp;
    IoReuseIrp(Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Irp, Routine, Request, TRUE, TRUE, TRUE);
    return Socket->Dispatch->WskSendTo(Socket->Socket, &Buffer->Buffer, 0, (PSOCKADDR)&Request->Address,
        Buffer->ControlLength, Control, Irp);
}

// Sends to the address that is in the operation, and waits.
FORCEINLINE NTSTATUS WaitForSend(PSOCKET Socket, PREQUEST Request, PBUFFER Buffer, SIZE_T *Sent)
{
    NTSTATUS Status = STATUS_INVALID_BUFFER_SIZE;
    PCMSGHDR Control;
    if (PrepareControl(Request, Buffer, &Control)) {
        __atomic_store_n(&Request->State, IN_FLIGHT, __ATOMIC_RELAXED);
        PassOnSend(Socket, Request, Buffer, Control, CompletedWaited);
        WaitBorrowed(Request);
        Status = Request->Irp->IoStatus.Status;
        *Sent = Request->Irp->IoStatus.Information;
    }
    PutSpare(Socket, Request);
    return Status;
}

// Sends a datagram to an encoded address, and waits until it has been sent. IRQL: PASSIVE_LEVEL.
FORCEINLINE NTSTATUS SendAndWait(PSOCKET Socket, PBUFFER Buffer, const ADDRESS *To, SIZE_T *Sent)
{
    if (KeGetCurrentIrql() != PASSIVE_LEVEL) {
        return STATUS_INVALID_LEVEL;
    }
    NTSTATUS Status = CheckSend(Socket, Buffer, To);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    PREQUEST Request = TakeSpare(Socket);
    if (Request == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Request->Address = To->Address;
    return WaitForSend(Socket, Request, Buffer, Sent);
}

FORCEINLINE USHORT Swapped(USHORT Value)
{
    return (USHORT)(Value << 8 | Value >> 8);
}

// Checks an address, and encodes it for an IPv6 socket.
static __attribute__((noinline)) NTSTATUS EncodeIpv6(PSOCKET Socket, const ADDRESS_VALUE *To, SIZE_T Length,
    PSOCKADDR_INET Address)
{
    BOOLEAN Mapped = To->Family == AF_INET && Socket->Dual;
    SIZE_T Longest = Mapped ? LONGEST_IPV4 : LONGEST_IPV6;
    if (__atomic_load_n(&Socket->Bound, __ATOMIC_ACQUIRE) != AF_INET6 || (To->Family != AF_INET6 && !Mapped) ||
        To->Port == 0 || Length > Longest) {
        return RefuseSend(Socket, To->Family, To->Port);
    }
    RtlZeroMemory(&Address->Ipv6, sizeof(Address->Ipv6));
    Address->Ipv6.sin6_family = AF_INET6;
    Address->Ipv6.sin6_port = Swapped(To->Port);
    if (Mapped) {
        Address->Ipv6.sin6_addr.u.Word[5] = 0xFFFF;
        RtlCopyMemory(&Address->Ipv6.sin6_addr.u.Byte[12], To->Ipv4, sizeof(To->Ipv4));
    } else {
        RtlCopyMemory(&Address->Ipv6.sin6_addr, To->Ipv6, sizeof(To->Ipv6));
        Address->Ipv6.sin6_flowinfo = To->FlowInfo;
        Address->Ipv6.sin6_scope_id = To->ScopeId;
    }
    return STATUS_SUCCESS;
}

// Like SendAndWait, for an address that is a value. IRQL: PASSIVE_LEVEL.
FORCEINLINE NTSTATUS SendToValueAndWait(PSOCKET Socket, PBUFFER Buffer, ADDRESS_VALUE To, SIZE_T *Sent)
{
    if (KeGetCurrentIrql() != PASSIVE_LEVEL) {
        return STATUS_INVALID_LEVEL;
    }
    PREQUEST Request = TakeSpare(Socket);
    if (Request == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    PSOCKADDR_INET Address = &Request->Address;
    if (To.Family == AF_INET && __atomic_load_n(&Socket->Bound, __ATOMIC_ACQUIRE) == AF_INET && To.Port != 0 &&
        Buffer->Buffer.Length <= LONGEST_IPV4) {
        RtlZeroMemory(&Address->Ipv4, sizeof(Address->Ipv4));
        Address->Ipv4.sin_family = AF_INET;
        Address->Ipv4.sin_port = Swapped(To.Port);
        RtlCopyMemory(&Address->Ipv4.sin_addr, To.Ipv4, sizeof(To.Ipv4));
    } else {
        NTSTATUS Status = EncodeIpv6(Socket, &To, Buffer->Buffer.Length, Address);
        if (!NT_SUCCESS(Status)) {
            PutSpare(Socket, Request);
            return Status;
        }
    }
    return WaitForSend(Socket, Request, Buffer, Sent);
}

// Prepares an operation to receive into a buffer. Room for control information beyond that of an operation is not used.
FORCEINLINE NTSTATUS PassOnReceive(PSOCKET Socket, PREQUEST Request, PBUFFER Buffer, PIO_COMPLETION_ROUTINE Routine)
{
    PULONG ControlLength = NULL;
    PCMSGHDR Control = NULL;
    Request->ControlFlags = 0;
    if (Buffer->ControlLength != 0) {
        Request->ControlLength = Buffer->ControlLength < CONTROL_ROOM ? Buffer->ControlLength : CONTROL_ROOM;
        ControlLength = &Request->ControlLength;
        Control = (PCMSGHDR)Request->Control;
    }
    PIRP Irp = Request->Irp;
    IoReuseIrp(Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Irp, Routine, Request, TRUE, TRUE, TRUE);
    return Socket->Dispatch->WskReceiveFrom(Socket->Socket, &Buffer->Buffer, 0, (PSOCKADDR)&Request->Address,
        ControlLength, Control, &Request->ControlFlags, Irp);
}

// Reads the result of a completed receive.
FORCEINLINE NTSTATUS ReadReceived(PREQUEST Request, PBUFFER Buffer, PRECEIVED Received)
{
    NTSTATUS Status = Request->Irp->IoStatus.Status;
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    if (Buffer->ControlLength != 0) {
        RtlCopyMemory(Buffer->Control, Request->Control, Request->ControlLength);
    }
    Received->Length = Request->Irp->IoStatus.Information;
    Received->From = Request->Address;
    Received->Flags = Request->ControlFlags;
    return Status;
}

// Waits for a datagram and receives it. Its sender's address stays encoded. IRQL: PASSIVE_LEVEL.
FORCEINLINE NTSTATUS ReceiveAndWait(PSOCKET Socket, PBUFFER Buffer, PRECEIVED Received)
{
    if (KeGetCurrentIrql() != PASSIVE_LEVEL) {
        return STATUS_INVALID_LEVEL;
    }
    if (__atomic_load_n(&Socket->Bound, __ATOMIC_ACQUIRE) == 0) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    PREQUEST Request = TakeSpare(Socket);
    if (Request == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    __atomic_store_n(&Request->State, IN_FLIGHT, __ATOMIC_RELAXED);
    PassOnReceive(Socket, Request, Buffer, CompletedWaited);
    WaitBorrowed(Request);
    NTSTATUS Status = ReadReceived(Request, Buffer, Received);
    PutSpare(Socket, Request);
    return Status;
}

FORCEINLINE PREQUEST TakeRequest(PPOOL Pool)
{
    return FreeListPop(&Pool->Free, Pool->Requests, sizeof(REQUEST), FIELD_OFFSET(REQUEST, Link));
}

// Takes an operation from a pool for a checked send. On failure the caller keeps the buffer.
FORCEINLINE NTSTATUS TakeForSend(PSOCKET Socket, PPOOL Pool, PBUFFER Buffer, const ADDRESS *To, PREQUEST *Taken,
    PCMSGHDR *Control)
{
    NTSTATUS Status = CheckSend(Socket, Buffer, To);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    PREQUEST Request = TakeRequest(Pool);
    if (Request == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!PrepareControl(Request, Buffer, Control)) {
        FreeListPush(&Pool->Free, &Request->Link);
        return STATUS_INVALID_BUFFER_SIZE;
    }
    Request->Buffer = Buffer;
    Request->Address = To->Address;
    *Taken = Request;
    return STATUS_SUCCESS;
}

// Starts to send a datagram that nobody waits for: the buffer is returned when it has been sent. IRQL: <= DISPATCH_LEVEL.
FORCEINLINE NTSTATUS StartSend(PSOCKET Socket, PPOOL Pool, PBUFFER Buffer, const ADDRESS *To)
{
    PREQUEST Request;
    PCMSGHDR Control;
    NTSTATUS Status = TakeForSend(Socket, Pool, Buffer, To, &Request, &Control);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    PassOnSend(Socket, Request, Buffer, Control, CompletedDropped);
    return STATUS_SUCCESS;
}

// Like StartSend. The callback gets the buffer and the result. IRQL: <= DISPATCH_LEVEL.
FORCEINLINE NTSTATUS StartSendTold(PSOCKET Socket, PPOOL Pool, PBUFFER Buffer, const ADDRESS *To, PCALLBACK Callback, PVOID Context)
{
    PREQUEST Request;
    PCMSGHDR Control;
    NTSTATUS Status = TakeForSend(Socket, Pool, Buffer, To, &Request, &Control);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Request->Callback = Callback;
    Request->Context = Context;
    PassOnSend(Socket, Request, Buffer, Control, CompletedTold);
    return STATUS_SUCCESS;
}

// Like StartSend. Returns a handle, to be waited for or dropped. IRQL: <= DISPATCH_LEVEL.
FORCEINLINE NTSTATUS StartSendHeld(PSOCKET Socket, PPOOL Pool, PBUFFER Buffer, const ADDRESS *To, PREQUEST *Started)
{
    PREQUEST Request;
    PCMSGHDR Control;
    NTSTATUS Status = TakeForSend(Socket, Pool, Buffer, To, &Request, &Control);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    __atomic_store_n(&Request->State, IN_FLIGHT, __ATOMIC_RELAXED);
    Request->Returned = PassOnSend(Socket, Request, Buffer, Control, CompletedHeld);
    *Started = Request;
    return STATUS_SUCCESS;
}

// Starts to receive a datagram. IRQL: <= DISPATCH_LEVEL.
FORCEINLINE NTSTATUS StartReceiveHeld(PSOCKET Socket, PPOOL Pool, PBUFFER Buffer, PREQUEST *Started)
{
    if (__atomic_load_n(&Socket->Bound, __ATOMIC_ACQUIRE) == 0) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    PREQUEST Request = TakeRequest(Pool);
    if (Request == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Request->Buffer = Buffer;
    __atomic_store_n(&Request->State, IN_FLIGHT, __ATOMIC_RELAXED);
    Request->Returned = PassOnReceive(Socket, Request, Buffer, CompletedHeld);
    *Started = Request;
    return STATUS_SUCCESS;
}

// Waits until a send has completed, and takes the buffer back. IRQL: PASSIVE_LEVEL; above that, the operation continues.
FORCEINLINE NTSTATUS FinishSend(PREQUEST Request, PBUFFER *Buffer, SIZE_T *Sent)
{
    if (KeGetCurrentIrql() != PASSIVE_LEVEL) {
        return STATUS_INVALID_LEVEL;
    }
    NTSTATUS Returned = Request->Returned;
    if (!WaitOwned(Request)) {
        return Returned;
    }
    NTSTATUS Status = Request->Irp->IoStatus.Status;
    *Sent = Request->Irp->IoStatus.Information;
    *Buffer = Request->Buffer;
    FreeListPush(&Request->Pool->Free, &Request->Link);
    return Status;
}

// The same for a receive. IRQL: PASSIVE_LEVEL; above that, the operation continues.
FORCEINLINE NTSTATUS FinishReceive(PREQUEST Request, PBUFFER *Buffer, PRECEIVED Received)
{
    if (KeGetCurrentIrql() != PASSIVE_LEVEL) {
        return STATUS_INVALID_LEVEL;
    }
    NTSTATUS Returned = Request->Returned;
    if (!WaitOwned(Request)) {
        return Returned;
    }
    NTSTATUS Status = ReadReceived(Request, Request->Buffer, Received);
    *Buffer = Request->Buffer;
    FreeListPush(&Request->Pool->Free, &Request->Link);
    return Status;
}

static NTSTATUS EncodeAddress(const SOCKADDR_INET *Address, PADDRESS Encoded)
{
    // The port is at the same offset in both.
    if ((Address->si_family != AF_INET && Address->si_family != AF_INET6) || Address->Ipv4.sin_port == 0) {
        return STATUS_INVALID_ADDRESS;
    }
    Encoded->Address = *Address;
    Encoded->Longest = Address->si_family == AF_INET ? LONGEST_IPV4 : LONGEST_IPV6;
    return STATUS_SUCCESS;
}

static NTSTATUS OpenPool(PPOOL Pool, ULONG Depth)
{
    Pool->Requests = Allocate(Depth * sizeof(REQUEST));
    if (Pool->Requests == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (ULONG Index = 0; Index < Depth; Index++) {
        PREQUEST Request = &Pool->Requests[Index];
        NTSTATUS Status = InitializeRequest(Request);
        if (!NT_SUCCESS(Status)) {
            return Status;
        }
        Request->Pool = Pool;
        Request->Link.Number = Index + 1;
        FreeListPush(&Pool->Free, &Request->Link);
        Pool->Depth++;
    }
    return STATUS_SUCCESS;
}

// Waits until all operations are back, and frees them. IRQL: PASSIVE_LEVEL.
static VOID ClosePool(PPOOL Pool)
{
    LARGE_INTEGER Pause = {.QuadPart = -10000};
    for (ULONG Left = Pool->Depth; Left > 0;) {
        PREQUEST Request = TakeRequest(Pool);
        if (Request == NULL) {
            // Closing may be slow. A count or an event would cost every operation something.
            KeDelayExecutionThread(KernelMode, FALSE, &Pause);
            continue;
        }
        IoFreeIrp(Request->Irp);
        Left--;
    }
    ExFreePoolWithTag(Pool->Requests, TAG);
}

// A driver that uses these functions.

struct _FOREIGN {
    BUFFER Buffer;
    PDRIVER Driver;
    PVOID Memory;
    // How often it was returned from a frame.
    SIZE_T Back;
};

struct _CAREFUL {
    SOCKET Socket;
    POOL Pool;
    ADDRESS Peer;
    ADDRESS_VALUE PeerValue;
    // One for each operation. Sends share the first; receives use them in turn.
    PFOREIGN Buffers;
    ULONG Next;
    // Frames, one for each operation.
    struct _FRAME *Frames;
    FREE_LIST FreeFrames;
    // The source address of the frames.
    DECLSPEC_ALIGN(8) UCHAR Pin[PIN_ROOM];
};

// A frame of a tunnel: a header with its own MDL, in front of somebody else's packet. Only the operation that has the frame uses
// it.
typedef struct _FRAME {
    BUFFER Buffer;
    PMDL Header;
    PUCHAR Bytes;
    PFOREIGN Packet;
    PCAREFUL Careful;
    FREE_LINK Link;
} FRAME, *PFRAME;

static VOID FailWith(PDRIVER Driver, NTSTATUS Status)
{
    Driver->Failed = Status;
}

FORCEINLINE PBUFFER NextBuffer(PDRIVER Driver)
{
    PCAREFUL Careful = Driver->Careful;
    ULONG Next = Careful->Next;
    Careful->Next = Next + 1 == Driver->Depth ? 0 : Next + 1;
    return &Careful->Buffers[Next].Buffer;
}

static VOID ReturnBuffer(PBUFFER Buffer, NTSTATUS Status, SIZE_T Length)
{
    UNREFERENCED_PARAMETER(Length);
    if (!NT_SUCCESS(Status)) {
        FailWith(CONTAINING_RECORD(Buffer, FOREIGN, Buffer)->Driver, Status);
    }
}

static VOID Told(PVOID Context, PBUFFER Buffer, NTSTATUS Status, SIZE_T Length)
{
    UNREFERENCED_PARAMETER(Buffer);
    UNREFERENCED_PARAMETER(Length);
    if (!NT_SUCCESS(Status)) {
        FailWith(Context, Status);
    }
}

SIZE_T CarefulSendTo(PDRIVER Driver)
{
    PCAREFUL Careful = Driver->Careful;
    SIZE_T Sent;
    NTSTATUS Status = SendAndWait(&Careful->Socket, &Careful->Buffers[0].Buffer, &Careful->Peer, &Sent);
    if (!NT_SUCCESS(Status)) {
        FailWith(Driver, Status);
        return 0;
    }
    return Sent;
}

SIZE_T CarefulSendToValue(PDRIVER Driver)
{
    PCAREFUL Careful = Driver->Careful;
    SIZE_T Sent;
    NTSTATUS Status = SendToValueAndWait(&Careful->Socket, &Careful->Buffers[0].Buffer, Careful->PeerValue, &Sent);
    if (!NT_SUCCESS(Status)) {
        FailWith(Driver, Status);
        return 0;
    }
    return Sent;
}

// The length of a datagram that was received whole and from the peer.
FORCEINLINE SIZE_T FromPeer(PDRIVER Driver, NTSTATUS Status, const RECEIVED *Received)
{
    if (!NT_SUCCESS(Status)) {
        FailWith(Driver, Status);
        return 0;
    }
    if (Received->Flags & MSG_TRUNC) {
        FailWith(Driver, STATUS_BUFFER_OVERFLOW);
        return 0;
    }
    if (Received->From.si_family != AF_INET || Received->From.Ipv4.sin_port != Driver->Peer.Ipv4.sin_port ||
        Received->From.Ipv4.sin_addr.S_un.S_addr != Driver->Peer.Ipv4.sin_addr.S_un.S_addr) {
        FailWith(Driver, STATUS_INVALID_ADDRESS);
        return 0;
    }
    return Received->Length;
}

SIZE_T CarefulReceiveFrom(PDRIVER Driver)
{
    PCAREFUL Careful = Driver->Careful;
    RECEIVED Received;
    NTSTATUS Status = ReceiveAndWait(&Careful->Socket, &Careful->Buffers[0].Buffer, &Received);
    return FromPeer(Driver, Status, &Received);
}

SIZE_T CarefulStartSendTo(PDRIVER Driver)
{
    PCAREFUL Careful = Driver->Careful;
    NTSTATUS Status = StartSend(&Careful->Socket, &Careful->Pool, &Careful->Buffers[0].Buffer, &Careful->Peer);
    if (!NT_SUCCESS(Status)) {
        FailWith(Driver, Status);
        return 0;
    }
    return 1;
}

SIZE_T CarefulStartSendToCallback(PDRIVER Driver)
{
    PCAREFUL Careful = Driver->Careful;
    NTSTATUS Status =
        StartSendTold(&Careful->Socket, &Careful->Pool, &Careful->Buffers[0].Buffer, &Careful->Peer, Told, Driver);
    if (!NT_SUCCESS(Status)) {
        FailWith(Driver, Status);
        return 0;
    }
    return 1;
}

PVOID CarefulStartSendToWait(PDRIVER Driver)
{
    PCAREFUL Careful = Driver->Careful;
    PREQUEST Started;
    NTSTATUS Status =
        StartSendHeld(&Careful->Socket, &Careful->Pool, &Careful->Buffers[0].Buffer, &Careful->Peer, &Started);
    if (!NT_SUCCESS(Status)) {
        FailWith(Driver, Status);
        return NULL;
    }
    return Started;
}

SIZE_T CarefulFinishSendTo(PDRIVER Driver, PVOID Started)
{
    PBUFFER Buffer;
    SIZE_T Sent;
    NTSTATUS Status = FinishSend(Started, &Buffer, &Sent);
    if (!NT_SUCCESS(Status)) {
        FailWith(Driver, Status);
        return 0;
    }
    return Sent;
}

PVOID CarefulStartReceiveFromWait(PDRIVER Driver)
{
    PCAREFUL Careful = Driver->Careful;
    PREQUEST Started;
    NTSTATUS Status = StartReceiveHeld(&Careful->Socket, &Careful->Pool, NextBuffer(Driver), &Started);
    if (!NT_SUCCESS(Status)) {
        FailWith(Driver, Status);
        return NULL;
    }
    return Started;
}

SIZE_T CarefulFinishReceiveFrom(PDRIVER Driver, PVOID Started)
{
    PBUFFER Buffer;
    RECEIVED Received;
    NTSTATUS Status = FinishReceive(Started, &Buffer, &Received);
    return FromPeer(Driver, Status, &Received);
}

// Whether a chain has this many bytes from an offset in its first MDL.
FORCEINLINE BOOLEAN HasBytes(PMDL Mdl, SIZE_T Offset, SIZE_T Length)
{
    SIZE_T Total = MmGetMdlByteCount(Mdl);
    SIZE_T End = Offset + Length;
    if (End < Offset || Offset > Total || (Offset == Total && Length > 0)) {
        return FALSE;
    }
    while (Total < End) {
        Mdl = Mdl->Next;
        if (Mdl == NULL) {
            return FALSE;
        }
        Total += MmGetMdlByteCount(Mdl);
    }
    return TRUE;
}

// Takes a frame apart, which returns the packet to its owner, and returns the frame.
FORCEINLINE VOID ReturnFrame(PFRAME Frame)
{
    Frame->Header->Next = NULL;
    Frame->Packet->Back++;
    FreeListPush(&Frame->Careful->FreeFrames, &Frame->Link);
}

static VOID FrameSent(PVOID Context, PBUFFER Buffer, NTSTATUS Status, SIZE_T Length)
{
    UNREFERENCED_PARAMETER(Length);
    if (!NT_SUCCESS(Status)) {
        FailWith(Context, Status);
    }
    ReturnFrame(CONTAINING_RECORD(Buffer, FRAME, Buffer));
}

SIZE_T CarefulTunnelSend(PDRIVER Driver)
{
    PCAREFUL Careful = Driver->Careful;
    PFRAME Frame = FreeListPop(&Careful->FreeFrames, Careful->Frames, sizeof(FRAME), FIELD_OFFSET(FRAME, Link));
    if (Frame == NULL) {
        FailWith(Driver, STATUS_INSUFFICIENT_RESOURCES);
        return 0;
    }
    PFOREIGN Packet = &Careful->Buffers[0];
    const WSK_BUF *Bytes = &Packet->Buffer.Buffer;
    Frame->Packet = Packet;
    *(PULONG)Frame->Bytes = HEADER_KEY;
    // A header can only be in front of whole MDLs.
    if (Bytes->Offset != 0 || !HasBytes(Bytes->Mdl, Bytes->Offset, Bytes->Length)) {
        ReturnFrame(Frame);
        FailWith(Driver, STATUS_INVALID_PARAMETER);
        return 0;
    }
    Frame->Header->Next = Bytes->Mdl;
    Frame->Buffer.Buffer.Length = HEADER_LENGTH + Bytes->Length;
    NTSTATUS Status = StartSendTold(&Careful->Socket, &Careful->Pool, &Frame->Buffer, &Careful->Peer, FrameSent, Driver);
    if (!NT_SUCCESS(Status)) {
        ReturnFrame(Frame);
        FailWith(Driver, Status);
        return 0;
    }
    return 1;
}

// Making and closing everything, which is not measured.

static NTSTATUS OpenFrames(PCAREFUL Careful, ULONG Depth)
{
    Careful->Frames = Allocate(Depth * sizeof(FRAME));
    if (Careful->Frames == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (ULONG Index = 0; Index < Depth; Index++) {
        PFRAME Frame = &Careful->Frames[Index];
        Frame->Careful = Careful;
        Frame->Bytes = Allocate(HEADER_LENGTH);
        if (Frame->Bytes == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        Frame->Header = IoAllocateMdl(Frame->Bytes, HEADER_LENGTH, FALSE, FALSE, NULL);
        if (Frame->Header == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        MmBuildMdlForNonPagedPool(Frame->Header);
        Frame->Buffer.Buffer.Mdl = Frame->Header;
        // Copied to the operation, like all control information.
        Frame->Buffer.Control = Careful->Pin;
        Frame->Buffer.ControlLength = sizeof(Careful->Pin);
        Frame->Link.Number = Index + 1;
        FreeListPush(&Careful->FreeFrames, &Frame->Link);
    }
    return STATUS_SUCCESS;
}

NTSTATUS CarefulOpen(PDRIVER Driver)
{
    PCAREFUL Careful = Allocate(sizeof(*Careful));
    if (Careful == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Driver->Careful = Careful;
    Careful->Socket.Socket = Driver->Socket;
    Careful->Socket.Dispatch = Driver->Dispatch;
    Careful->Socket.Bound = AF_INET;
    Careful->Socket.Spare = AllocateRequest();
    Careful->PeerValue.Family = AF_INET;
    Careful->PeerValue.Port = Swapped(Driver->Peer.Ipv4.sin_port);
    RtlCopyMemory(Careful->PeerValue.Ipv4, &Driver->Peer.Ipv4.sin_addr, sizeof(Careful->PeerValue.Ipv4));
    NTSTATUS Status = EncodeAddress(&Driver->Peer, &Careful->Peer);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = OpenPool(&Careful->Pool, Driver->Depth);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    PinTo(Careful->Pin, &Driver->Peer.Ipv4.sin_addr);
    Status = OpenFrames(Careful, Driver->Depth);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Careful->Buffers = Allocate(Driver->Depth * sizeof(FOREIGN));
    if (Careful->Buffers == NULL || Careful->Socket.Spare == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // A provider that does nothing does not report the sender of a datagram either.
    Careful->Socket.Spare->Address = Driver->Peer;
    for (ULONG Index = 0; Index < Driver->Depth; Index++) {
        Careful->Pool.Requests[Index].Address = Driver->Peer;
        PFOREIGN Foreign = &Careful->Buffers[Index];
        Foreign->Driver = Driver;
        Foreign->Buffer.Return = ReturnBuffer;
        Foreign->Buffer.Buffer.Length = LENGTH;
        Foreign->Memory = Allocate(LENGTH);
        if (Foreign->Memory == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        Foreign->Buffer.Buffer.Mdl = IoAllocateMdl(Foreign->Memory, LENGTH, FALSE, FALSE, NULL);
        if (Foreign->Buffer.Buffer.Mdl == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        MmBuildMdlForNonPagedPool(Foreign->Buffer.Buffer.Mdl);
    }
    return STATUS_SUCCESS;
}

VOID CarefulClose(PDRIVER Driver)
{
    PCAREFUL Careful = Driver->Careful;
    ClosePool(&Careful->Pool);
    FreeRequest(Careful->Socket.Spare);
    for (ULONG Index = 0; Index < Driver->Depth; Index++) {
        IoFreeMdl(Careful->Frames[Index].Header);
        ExFreePoolWithTag(Careful->Frames[Index].Bytes, TAG);
        IoFreeMdl(Careful->Buffers[Index].Buffer.Buffer.Mdl);
        ExFreePoolWithTag(Careful->Buffers[Index].Memory, TAG);
    }
    ExFreePoolWithTag(Careful->Frames, TAG);
    ExFreePoolWithTag(Careful->Buffers, TAG);
    ExFreePoolWithTag(Careful, TAG);
}
