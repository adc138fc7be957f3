// The C side of the comparison: a driver that sends and receives datagrams through WSK by hand, as lean as possible (lean.c), and
// with the promises that `wsk` keeps (careful.c).

#include "cost.h"

// Runs the operations of a scenario one after the other.
FORCEINLINE SIZE_T Repeat(PDRIVER Driver, SIZE_T Operations, SIZE_T (*Operation)(PDRIVER))
{
    SIZE_T Sum = 0;
    for (SIZE_T Left = Operations; Left > 0; Left--) {
        Sum += Operation(Driver);
    }
    return Sum;
}

// Starts as many operations as the driver's depth, calls `Settle`, if there is one, and waits for them, last in, first out.
// Repeats this.
FORCEINLINE SIZE_T RepeatDeep(PDRIVER Driver, SIZE_T Operations,
    VOID (*Settle)(VOID), PVOID (*Start)(PDRIVER), SIZE_T (*Finish)(PDRIVER, PVOID))
{
    SIZE_T Sum = 0;
    for (SIZE_T Left = Operations / Driver->Depth; Left > 0; Left--) {
        for (ULONG Index = 0; Index < Driver->Depth; Index++) {
            Driver->Started[Index] = Start(Driver);
        }
        if (Settle != NULL) {
            Settle();
        }
        for (ULONG Index = Driver->Depth; Index > 0; Index--) {
            // An operation that could not be started is NULL, which ends the process.
            Sum += Finish(Driver, Driver->Started[Index - 1]);
        }
    }
    return Sum;
}

/// Runs operations of the driver's scenario, as many at a time as the driver's depth. Between starting and finishing them, it
/// calls `Settle`, if there is one. Returns the sum of the operations' results, or 0 on failure.
SIZE_T wsk_cost_c_run(PDRIVER Driver, SIZE_T Operations, VOID (*Settle)(VOID));
SIZE_T wsk_cost_c_run(PDRIVER Driver, SIZE_T Operations, VOID (*Settle)(VOID))
{
    SIZE_T Sum = 0;
    switch (Driver->Scenario) {
    case SEND_TO:
        Sum = Repeat(Driver, Operations, SendTo);
        break;
    case START_SEND_TO:
        Sum = Repeat(Driver, Operations, StartSendTo);
        break;
    case RECEIVE_FROM:
        Sum = Repeat(Driver, Operations, ReceiveFrom);
        break;
    case CAREFUL_SEND_TO:
        Sum = Repeat(Driver, Operations, CarefulSendTo);
        break;
    case CAREFUL_SEND_TO_VALUE:
        Sum = Repeat(Driver, Operations, CarefulSendToValue);
        break;
    case CAREFUL_RECEIVE_FROM:
        Sum = Repeat(Driver, Operations, CarefulReceiveFrom);
        break;
    case CAREFUL_START_SEND_TO:
        Sum = Repeat(Driver, Operations, CarefulStartSendTo);
        break;
    case TUNNEL_SEND:
        Sum = Repeat(Driver, Operations, TunnelSend);
        break;
    case CAREFUL_TUNNEL_SEND:
        Sum = Repeat(Driver, Operations, CarefulTunnelSend);
        break;
    case CAREFUL_START_SEND_TO_CALLBACK:
        Sum = Repeat(Driver, Operations, CarefulStartSendToCallback);
        break;
    case START_SEND_TO_WAIT:
        Sum = RepeatDeep(Driver, Operations, Settle, StartSendToWait, FinishSendTo);
        break;
    case CAREFUL_START_SEND_TO_WAIT:
        Sum = RepeatDeep(Driver, Operations, Settle, CarefulStartSendToWait, CarefulFinishSendTo);
        break;
    case START_RECEIVE_FROM_WAIT:
        Sum = RepeatDeep(Driver, Operations, Settle, StartReceiveFromWait, FinishReceiveFrom);
        break;
    case CAREFUL_START_RECEIVE_FROM_WAIT:
        Sum = RepeatDeep(Driver, Operations, Settle, CarefulStartReceiveFromWait, CarefulFinishReceiveFrom);
        break;
    }
    return NT_SUCCESS(Driver->Failed) ? Sum : 0;
}

// Making and closing everything, which is not measured.

static const WSK_CLIENT_DISPATCH ClientDispatch = {MAKE_WSK_VERSION(1, 0), 0, NULL};

VOID PinTo(PUCHAR Control, const IN_ADDR *Local)
{
    PWSACMSGHDR Message = (PWSACMSGHDR)Control;
    IN_PKTINFO Info = {*Local, 0};
    Message->cmsg_len = WSA_CMSG_LEN(sizeof(Info));
    Message->cmsg_level = IPPROTO_IP;
    Message->cmsg_type = IP_PKTINFO;
    RtlCopyMemory(WSA_CMSG_DATA(Message), &Info, sizeof(Info));
}

PVOID Allocate(SIZE_T Size)
{
    PVOID Memory = ExAllocatePoolWithTag(NonPagedPoolNx, Size, TAG);
    if (Memory != NULL) {
        RtlZeroMemory(Memory, Size);
    }
    return Memory;
}

/// Makes a driver for a scenario with this many pooled operations, all of which can be in flight at once. NULL on failure, which
/// ends the measurement.
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
    PinTo(Driver->Pin, &Driver->Peer.Ipv4.sin_addr);

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
    Driver->Started = Allocate(Depth * sizeof(PVOID));
    if (Driver->Operations == NULL || Driver->Started == NULL) {
        return NULL;
    }
    for (ULONG Index = 0; Index < Depth; Index++) {
        if (!NT_SUCCESS(MakeOperation(Driver, &Driver->Operations[Index]))) {
            return NULL;
        }
        Driver->Operations[Index].Link.Number = Index + 1;
        FreeListPush(&Driver->Free, &Driver->Operations[Index].Link);
    }
    return NT_SUCCESS(CarefulOpen(Driver)) ? Driver : NULL;
}

/// Closes the driver. Nothing may be in flight.
VOID wsk_cost_c_close(PDRIVER Driver);
VOID wsk_cost_c_close(PDRIVER Driver)
{
    POPERATION Single = &Driver->Single;
    IoReuseIrp(Single->Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Single->Irp, Completed, Single, TRUE, TRUE, TRUE);
    (VOID)Wait(Single, Driver->Dispatch->WskCloseSocket(Driver->Socket, Single->Irp));
    CarefulClose(Driver);
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
