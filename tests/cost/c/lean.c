// Sends and receives datagrams through WSK as well as it can be written by hand, without anything that can be left out.
// Everything that can be made once is made once: the IRP, the MDL, the buffer, the event. The dispatch table is read from the
// socket once. The address and the memory never change.

#include "cost.h"

// The free operations.

FORCEINLINE POPERATION Take(PDRIVER Driver)
{
    return FreeListPop(&Driver->Free, Driver->Operations, sizeof(OPERATION), FIELD_OFFSET(OPERATION, Link));
}

FORCEINLINE VOID GiveBack(PDRIVER Driver, POPERATION Operation)
{
    FreeListPush(&Driver->Free, &Operation->Link);
}

// Completion routines.

NTSTATUS Completed(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    // The caller waits only if the call has returned STATUS_PENDING.
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

// The operations. They are not inlined, so that the compiler cannot carry anything over from one to the next.

NTSTATUS Wait(POPERATION Operation, NTSTATUS Status)
{
    if (Status == STATUS_PENDING) {
        KeWaitForSingleObject(&Operation->Done, Executive, KernelMode, FALSE, NULL);
        Status = Operation->Irp->IoStatus.Status;
    }
    return Status;
}

SIZE_T SendTo(PDRIVER Driver)
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

SIZE_T StartSendTo(PDRIVER Driver)
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

PVOID StartSendToWait(PDRIVER Driver)
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

// A header in front of somebody else's packet, from an address of this machine. What is the same for each packet was prepared
// before. When the operation is back, the packet belongs to the caller again.
SIZE_T TunnelSend(PDRIVER Driver)
{
    POPERATION Operation = Take(Driver);
    if (Operation == NULL) {
        Driver->Failed = STATUS_INSUFFICIENT_RESOURCES;
        return 0;
    }
    const WSK_BUF *Packet = &Driver->Single.Buffer;
    *(PULONG)Operation->Memory = HEADER_KEY;
    Operation->Header->Next = Packet->Mdl;
    Operation->Framed.Length = HEADER_LENGTH + Packet->Length;
    PIRP Irp = Operation->Irp;
    IoReuseIrp(Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Irp, CompletedForgotten, Operation, TRUE, TRUE, TRUE);
    NTSTATUS Status = Driver->Dispatch->WskSendTo(Driver->Socket, &Operation->Framed, 0, (PSOCKADDR)&Driver->Peer,
        PIN_ROOM, (PCMSGHDR)Driver->Pin, Irp);
    if (!NT_SUCCESS(Status)) {
        Driver->Failed = Status;
        return 0;
    }
    return 1;
}

SIZE_T FinishSendTo(PDRIVER Driver, PVOID Started)
{
    POPERATION Operation = Started;
    NTSTATUS Status = Wait(Operation, Operation->Returned);
    SIZE_T Sent = Operation->Irp->IoStatus.Information;
    GiveBack(Driver, Operation);
    if (!NT_SUCCESS(Status)) {
        Driver->Failed = Status;
        return 0;
    }
    return Sent;
}

// The length of a datagram that was received whole and from the peer.
FORCEINLINE SIZE_T Received(PDRIVER Driver, POPERATION Operation, NTSTATUS Status)
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

SIZE_T ReceiveFrom(PDRIVER Driver)
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

PVOID StartReceiveFromWait(PDRIVER Driver)
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

SIZE_T FinishReceiveFrom(PDRIVER Driver, PVOID Started)
{
    POPERATION Operation = Started;
    NTSTATUS Status = Wait(Operation, Operation->Returned);
    SIZE_T Length = Received(Driver, Operation, Status);
    GiveBack(Driver, Operation);
    return Length;
}

// Making an operation, which is not measured.

NTSTATUS MakeOperation(PDRIVER Driver, POPERATION Operation)
{
    Operation->Driver = Driver;
    // A provider that does nothing does not report the sender of a datagram either.
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
    Operation->Header = IoAllocateMdl(Operation->Memory, HEADER_LENGTH, FALSE, FALSE, NULL);
    if (Operation->Header == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmBuildMdlForNonPagedPool(Operation->Header);
    Operation->Framed.Mdl = Operation->Header;
    return STATUS_SUCCESS;
}

VOID FreeOperation(POPERATION Operation)
{
    if (Operation->Header != NULL) {
        IoFreeMdl(Operation->Header);
    }
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
