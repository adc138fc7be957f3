// The C side of the comparison: a driver that sends and receives datagrams through WSK as well as it can be written by hand.
// What can be made once is made once: the IRP, the MDL, the buffer, the event; the dispatch table is read from the socket once.

#include <ntddk.h>
#include <wsk.h>

// Numbers of the scenarios, as in driver/lib.rs.
enum {
    SEND_TO,
    START_SEND_TO,
    START_SEND_TO_WAIT,
    RECEIVE_FROM,
    START_RECEIVE_FROM_WAIT,
};

#define TAG 0x74736f43
#define LENGTH 512

typedef struct _DRIVER DRIVER, *PDRIVER;

// An IRP with what it needs, made once and used again and again.
typedef struct _OPERATION {
    PIRP Irp;
    PDRIVER Driver;
    WSK_BUF Buffer;
    // Lets one waiter through, so that nothing has to clear it. Set only where the call has returned STATUS_PENDING.
    KEVENT Done;
    NTSTATUS Returned;
    ULONG ControlFlags;
    SOCKADDR_INET From;
    PVOID Memory;
    // Its number plus one, and while it is free that of the next free one, or zero.
    ULONG Number;
    ULONG Next;
} OPERATION, *POPERATION;

struct _DRIVER {
    PWSK_SOCKET Socket;
    const WSK_PROVIDER_DATAGRAM_DISPATCH *Dispatch;
    // The peer, which stays where it is, so that sends can point at it.
    SOCKADDR_INET Peer;
    OPERATION Single;
    // The free operations: a count of changes in the upper half, the number of the first plus one in the lower.
    ULONGLONG Free;
    POPERATION Operations;
    POPERATION *Started;
    ULONG Scenario;
    ULONG Depth;
    NTSTATUS Failed;
    WSK_REGISTRATION Registration;
    WSK_PROVIDER_NPI Npi;
};

// The free list, without a lock.

static inline POPERATION Take(PDRIVER Driver)
{
    ULONGLONG Head = __atomic_load_n(&Driver->Free, __ATOMIC_ACQUIRE);
    for (;;) {
        ULONG First = (ULONG)Head;
        if (First == 0) {
            return NULL;
        }
        POPERATION Operation = &Driver->Operations[First - 1];
        ULONG Next = __atomic_load_n(&Operation->Next, __ATOMIC_RELAXED);
        ULONGLONG New = ((Head >> 32) + 1) << 32 | Next;
        if (__atomic_compare_exchange_n(&Driver->Free, &Head, New, TRUE, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
            return Operation;
        }
    }
}

static inline VOID GiveBack(PDRIVER Driver, POPERATION Operation)
{
    ULONG Number = Operation->Number;
    ULONGLONG Head = __atomic_load_n(&Driver->Free, __ATOMIC_RELAXED);
    ULONGLONG New;
    do {
        __atomic_store_n(&Operation->Next, (ULONG)Head, __ATOMIC_RELAXED);
        New = ((Head >> 32) + 1) << 32 | Number;
    } while (!__atomic_compare_exchange_n(&Driver->Free, &Head, New, TRUE, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

// Completion routines.

static NTSTATUS Completed(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    // The caller waits only for what was pending.
    if (Irp->PendingReturned) {
        KeSetEvent(&((POPERATION)Context)->Done, IO_NO_INCREMENT, FALSE);
    }
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS CompletedForgotten(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    POPERATION Operation = Context;
    GiveBack(Operation->Driver, Operation);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

// The operations. They are not inlined, so that nothing is carried over from one to the next.

static inline NTSTATUS Wait(POPERATION Operation, NTSTATUS Status)
{
    if (Status == STATUS_PENDING) {
        KeWaitForSingleObject(&Operation->Done, Executive, KernelMode, FALSE, NULL);
        Status = Operation->Irp->IoStatus.Status;
    }
    return Status;
}

static __attribute__((noinline)) SIZE_T SendTo(PDRIVER Driver)
{
    POPERATION Operation = &Driver->Single;
    PIRP Irp = Operation->Irp;
    IoReuseIrp(Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Irp, Completed, Operation, TRUE, TRUE, TRUE);
    NTSTATUS Status = Wait(Operation, Driver->Dispatch->WskSendTo(Driver->Socket, &Operation->Buffer, 0,
        (PSOCKADDR)&Driver->Peer, 0, NULL, Irp));
    if (!NT_SUCCESS(Status)) {
        Driver->Failed = Status;
        return 0;
    }
    return Irp->IoStatus.Information;
}

static __attribute__((noinline)) SIZE_T StartSendTo(PDRIVER Driver)
{
    POPERATION Operation = Take(Driver);
    if (Operation == NULL) {
        Driver->Failed = STATUS_INSUFFICIENT_RESOURCES;
        return 0;
    }
    PIRP Irp = Operation->Irp;
    IoReuseIrp(Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Irp, CompletedForgotten, Operation, TRUE, TRUE, TRUE);
    NTSTATUS Status = Driver->Dispatch->WskSendTo(Driver->Socket, &Operation->Buffer, 0, (PSOCKADDR)&Driver->Peer, 0,
        NULL, Irp);
    if (!NT_SUCCESS(Status)) {
        Driver->Failed = Status;
        return 0;
    }
    return 1;
}

static __attribute__((noinline)) POPERATION StartSendToWait(PDRIVER Driver)
{
    POPERATION Operation = Take(Driver);
    if (Operation == NULL) {
        Driver->Failed = STATUS_INSUFFICIENT_RESOURCES;
        return NULL;
    }
    PIRP Irp = Operation->Irp;
    IoReuseIrp(Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Irp, Completed, Operation, TRUE, TRUE, TRUE);
    Operation->Returned = Driver->Dispatch->WskSendTo(Driver->Socket, &Operation->Buffer, 0, (PSOCKADDR)&Driver->Peer, 0,
        NULL, Irp);
    return Operation;
}

static __attribute__((noinline)) SIZE_T FinishSendTo(PDRIVER Driver, POPERATION Operation)
{
    NTSTATUS Status = Wait(Operation, Operation->Returned);
    SIZE_T Sent = Operation->Irp->IoStatus.Information;
    GiveBack(Driver, Operation);
    if (!NT_SUCCESS(Status)) {
        Driver->Failed = Status;
        return 0;
    }
    return Sent;
}

// The length of what was received whole and from the peer.
static inline SIZE_T Received(PDRIVER Driver, POPERATION Operation, NTSTATUS Status)
{
    if (!NT_SUCCESS(Status)) {
        Driver->Failed = Status;
        return 0;
    }
    if (Operation->ControlFlags & MSG_TRUNC) {
        Driver->Failed = STATUS_BUFFER_OVERFLOW;
        return 0;
    }
    if (Operation->From.si_family != AF_INET || Operation->From.Ipv4.sin_port != Driver->Peer.Ipv4.sin_port ||
        Operation->From.Ipv4.sin_addr.S_un.S_addr != Driver->Peer.Ipv4.sin_addr.S_un.S_addr) {
        Driver->Failed = STATUS_INVALID_ADDRESS;
        return 0;
    }
    return Operation->Irp->IoStatus.Information;
}

static __attribute__((noinline)) SIZE_T ReceiveFrom(PDRIVER Driver)
{
    POPERATION Operation = &Driver->Single;
    PIRP Irp = Operation->Irp;
    Operation->ControlFlags = 0;
    IoReuseIrp(Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Irp, Completed, Operation, TRUE, TRUE, TRUE);
    NTSTATUS Status = Wait(Operation, Driver->Dispatch->WskReceiveFrom(Driver->Socket, &Operation->Buffer, 0,
        (PSOCKADDR)&Operation->From, NULL, NULL, &Operation->ControlFlags, Irp));
    return Received(Driver, Operation, Status);
}

static __attribute__((noinline)) POPERATION StartReceiveFromWait(PDRIVER Driver)
{
    POPERATION Operation = Take(Driver);
    if (Operation == NULL) {
        Driver->Failed = STATUS_INSUFFICIENT_RESOURCES;
        return NULL;
    }
    PIRP Irp = Operation->Irp;
    Operation->ControlFlags = 0;
    IoReuseIrp(Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Irp, Completed, Operation, TRUE, TRUE, TRUE);
    Operation->Returned = Driver->Dispatch->WskReceiveFrom(Driver->Socket, &Operation->Buffer, 0,
        (PSOCKADDR)&Operation->From, NULL, NULL, &Operation->ControlFlags, Irp);
    return Operation;
}

static __attribute__((noinline)) SIZE_T FinishReceiveFrom(PDRIVER Driver, POPERATION Operation)
{
    NTSTATUS Status = Wait(Operation, Operation->Returned);
    SIZE_T Length = Received(Driver, Operation, Status);
    GiveBack(Driver, Operation);
    return Length;
}

/// Carries out operations of the driver's scenario, as many at a time as the driver is deep; between starting these and
/// waiting for them calls `Settle`, if there is one. Returns the sum of what the operations return, or 0 on failure.
SIZE_T wsk_cost_c_run(PDRIVER Driver, SIZE_T Operations, VOID (*Settle)(VOID));
SIZE_T wsk_cost_c_run(PDRIVER Driver, SIZE_T Operations, VOID (*Settle)(VOID))
{
    SIZE_T Sum = 0;
    switch (Driver->Scenario) {
    case SEND_TO:
        for (SIZE_T Left = Operations; Left > 0; Left--) {
            Sum += SendTo(Driver);
        }
        break;
    case START_SEND_TO:
        for (SIZE_T Left = Operations; Left > 0; Left--) {
            Sum += StartSendTo(Driver);
        }
        break;
    case RECEIVE_FROM:
        for (SIZE_T Left = Operations; Left > 0; Left--) {
            Sum += ReceiveFrom(Driver);
        }
        break;
    case START_SEND_TO_WAIT:
        for (SIZE_T Left = Operations / Driver->Depth; Left > 0; Left--) {
            for (ULONG Index = 0; Index < Driver->Depth; Index++) {
                Driver->Started[Index] = StartSendToWait(Driver);
            }
            if (Settle != NULL) {
                Settle();
            }
            for (ULONG Index = Driver->Depth; Index > 0; Index--) {
                Sum += FinishSendTo(Driver, Driver->Started[Index - 1]);
            }
        }
        break;
    case START_RECEIVE_FROM_WAIT:
        for (SIZE_T Left = Operations / Driver->Depth; Left > 0; Left--) {
            for (ULONG Index = 0; Index < Driver->Depth; Index++) {
                Driver->Started[Index] = StartReceiveFromWait(Driver);
            }
            if (Settle != NULL) {
                Settle();
            }
            for (ULONG Index = Driver->Depth; Index > 0; Index--) {
                Sum += FinishReceiveFrom(Driver, Driver->Started[Index - 1]);
            }
        }
        break;
    }
    return NT_SUCCESS(Driver->Failed) ? Sum : 0;
}

// Making and closing it all, which is not measured.

static const WSK_CLIENT_DISPATCH ClientDispatch = {MAKE_WSK_VERSION(1, 0), 0, NULL};

static PVOID Allocate(SIZE_T Size)
{
    PVOID Memory = ExAllocatePoolWithTag(NonPagedPoolNx, Size, TAG);
    if (Memory != NULL) {
        RtlZeroMemory(Memory, Size);
    }
    return Memory;
}

static NTSTATUS MakeOperation(PDRIVER Driver, POPERATION Operation)
{
    Operation->Driver = Driver;
    // The provider that does nothing does not say who sent a datagram either.
    Operation->From = Driver->Peer;
    KeInitializeEvent(&Operation->Done, SynchronizationEvent, FALSE);
    Operation->Irp = IoAllocateIrp(1, FALSE);
    Operation->Memory = Allocate(LENGTH);
    if (Operation->Irp == NULL || Operation->Memory == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Operation->Buffer.Mdl = IoAllocateMdl(Operation->Memory, LENGTH, FALSE, FALSE, NULL);
    if (Operation->Buffer.Mdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmBuildMdlForNonPagedPool(Operation->Buffer.Mdl);
    Operation->Buffer.Length = LENGTH;
    return STATUS_SUCCESS;
}

static VOID FreeOperation(POPERATION Operation)
{
    if (Operation->Buffer.Mdl != NULL) {
        IoFreeMdl(Operation->Buffer.Mdl);
    }
    if (Operation->Memory != NULL) {
        ExFreePoolWithTag(Operation->Memory, TAG);
    }
    if (Operation->Irp != NULL) {
        IoFreeIrp(Operation->Irp);
    }
}

/// Makes a driver for a scenario with so many pooled operations, all of which can be in flight at once; NULL on failure,
/// which ends the measurement.
PDRIVER wsk_cost_c_open(ULONG Scenario, ULONG Depth, USHORT Port);
PDRIVER wsk_cost_c_open(ULONG Scenario, ULONG Depth, USHORT Port)
{
    PDRIVER Driver = Allocate(sizeof(*Driver));
    if (Driver == NULL) {
        return NULL;
    }
    Driver->Scenario = Scenario;
    Driver->Depth = Depth;
    Driver->Peer.Ipv4.sin_family = AF_INET;
    Driver->Peer.Ipv4.sin_addr.S_un.S_addr = 0x0100007F;
    Driver->Peer.Ipv4.sin_port = (USHORT)(Port << 8 | Port >> 8);

    WSK_CLIENT_NPI Client = {NULL, &ClientDispatch};
    if (!NT_SUCCESS(WskRegister(&Client, &Driver->Registration)) ||
        !NT_SUCCESS(WskCaptureProviderNPI(&Driver->Registration, WSK_INFINITE_WAIT, &Driver->Npi)) ||
        !NT_SUCCESS(MakeOperation(Driver, &Driver->Single))) {
        return NULL;
    }

    POPERATION Single = &Driver->Single;
    IoSetCompletionRoutine(Single->Irp, Completed, Single, TRUE, TRUE, TRUE);
    NTSTATUS Status = Wait(Single, Driver->Npi.Dispatch->WskSocket(Driver->Npi.Client, AF_INET, SOCK_DGRAM, IPPROTO_UDP,
        WSK_FLAG_DATAGRAM_SOCKET, NULL, NULL, NULL, NULL, NULL, Single->Irp));
    if (!NT_SUCCESS(Status)) {
        return NULL;
    }
    Driver->Socket = (PWSK_SOCKET)Single->Irp->IoStatus.Information;
    Driver->Dispatch = Driver->Socket->Dispatch;

    SOCKADDR_IN Local = {0};
    Local.sin_family = AF_INET;
    Local.sin_addr = Driver->Peer.Ipv4.sin_addr;
    IoReuseIrp(Single->Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Single->Irp, Completed, Single, TRUE, TRUE, TRUE);
    Status = Wait(Single, Driver->Dispatch->WskBind(Driver->Socket, (PSOCKADDR)&Local, 0, Single->Irp));
    if (!NT_SUCCESS(Status)) {
        return NULL;
    }

    Driver->Operations = Allocate(Depth * sizeof(OPERATION));
    Driver->Started = Allocate(Depth * sizeof(POPERATION));
    if (Driver->Operations == NULL || Driver->Started == NULL) {
        return NULL;
    }
    for (ULONG Index = 0; Index < Depth; Index++) {
        if (!NT_SUCCESS(MakeOperation(Driver, &Driver->Operations[Index]))) {
            return NULL;
        }
        Driver->Operations[Index].Number = Index + 1;
        GiveBack(Driver, &Driver->Operations[Index]);
    }
    return Driver;
}

/// Closes the driver; nothing is in flight.
VOID wsk_cost_c_close(PDRIVER Driver);
VOID wsk_cost_c_close(PDRIVER Driver)
{
    POPERATION Single = &Driver->Single;
    IoReuseIrp(Single->Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Single->Irp, Completed, Single, TRUE, TRUE, TRUE);
    (VOID)Wait(Single, Driver->Dispatch->WskCloseSocket(Driver->Socket, Single->Irp));
    FreeOperation(Single);
    for (ULONG Index = 0; Index < Driver->Depth; Index++) {
        FreeOperation(&Driver->Operations[Index]);
    }
    ExFreePoolWithTag(Driver->Operations, TAG);
    ExFreePoolWithTag(Driver->Started, TAG);
    WskReleaseProviderNPI(&Driver->Registration);
    WskDeregister(&Driver->Registration);
    ExFreePoolWithTag(Driver, TAG);
}
