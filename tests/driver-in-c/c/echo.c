// A driver that accepts connections over TCP and returns the bytes that it receives. Completion routines and the accept event may
// run at DISPATCH_LEVEL and on any thread, so they only put an operation on a list. One worker thread carries the operations out,
// so that a connection needs no lock.

#include <ntddk.h>
#include <wsk.h>

DRIVER_INITIALIZE DriverEntry;

#define ECHO_TAG 'ohcE'
#define BUFFER_LENGTH 2048
// The time that the worker waits for the provider, in milliseconds.
#define CAPTURE_TIMEOUT 1000

typedef struct _OPERATION OPERATION, *POPERATION;
typedef struct _CONNECTION CONNECTION, *PCONNECTION;

// The worker's next step with an operation.
typedef VOID HANDLER(POPERATION Operation);

// A task for the worker. It is on the list, or the worker or the provider has it.
struct _OPERATION {
    SLIST_ENTRY Entry;
    HANDLER *Handler;
    // The IRP of the provider's part, if there is one.
    PIRP Irp;
    // NULL if the operation does not concern a connection.
    PCONNECTION Connection;
};

struct _CONNECTION {
    // The list of open connections, which only the worker uses.
    LIST_ENTRY Links;
    PWSK_SOCKET Socket;
    // Receiving and sending, one after the other.
    OPERATION Data;
    // Disconnecting and closing.
    OPERATION Control;
    PMDL Mdl;
    // Operations that the provider has, or that are on their way back to the worker.
    ULONG Outstanding;
    BOOLEAN Closing;
    BOOLEAN Closed;
    UCHAR Buffer[BUFFER_LENGTH];
};

// The list of tasks, the last one first.
static SLIST_HEADER Work;
static KEVENT WorkArrived;
static volatile LONG StopWorking;
static PVOID Worker;

static WSK_REGISTRATION Registration;
static LOOKASIDE_LIST_EX Connections;
// Only the worker uses the rest, except that the driver's entry and unload routines use it before the worker starts and after it
// has ended.
static LIST_ENTRY Open;
static PWSK_SOCKET Listener;
static OPERATION Listening;
static OPERATION Stopping;
static BOOLEAN Stopped;
// Set when nothing is open any more, after the driver was asked to stop.
static KEVENT Drained;

static VOID Enqueue(POPERATION Operation, HANDLER *Handler)
{
    Operation->Handler = Handler;
    // The thread that finds the list empty wakes the worker, which takes the whole list.
    if (InterlockedPushEntrySList(&Work, &Operation->Entry) == NULL) {
        KeSetEvent(&WorkArrived, IO_NO_INCREMENT, FALSE);
    }
}

// The completion routine of every request. The worker does the next step.
static NTSTATUS Completed(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    POPERATION Operation = Context;
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    Enqueue(Operation, Operation->Handler);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

// Prepares a request. `Handler` is called after its completion.
static PIRP Prepare(POPERATION Operation, HANDLER *Handler)
{
    IoReuseIrp(Operation->Irp, STATUS_UNSUCCESSFUL);
    Operation->Handler = Handler;
    IoSetCompletionRoutine(Operation->Irp, Completed, Operation, TRUE, TRUE, TRUE);
    return Operation->Irp;
}

// Connections.

static const WSK_PROVIDER_CONNECTION_DISPATCH *Of(PCONNECTION Connection)
{
    return Connection->Socket->Dispatch;
}

static PCONNECTION AllocateConnection(VOID)
{
    PCONNECTION Connection = ExAllocateFromLookasideListEx(&Connections);
    if (Connection == NULL) {
        return NULL;
    }
    RtlZeroMemory(Connection, FIELD_OFFSET(CONNECTION, Buffer));
    Connection->Data.Connection = Connection;
    Connection->Control.Connection = Connection;
    Connection->Data.Irp = IoAllocateIrp(1, FALSE);
    Connection->Control.Irp = IoAllocateIrp(1, FALSE);
    Connection->Mdl = IoAllocateMdl(Connection->Buffer, BUFFER_LENGTH, FALSE, FALSE, NULL);
    if (Connection->Data.Irp == NULL || Connection->Control.Irp == NULL || Connection->Mdl == NULL) {
        return Connection;
    }
    MmBuildMdlForNonPagedPool(Connection->Mdl);
    return Connection;
}

static BOOLEAN IsWhole(PCONNECTION Connection)
{
    return Connection->Data.Irp != NULL && Connection->Control.Irp != NULL && Connection->Mdl != NULL;
}

static VOID FreeConnection(PCONNECTION Connection)
{
    if (Connection->Mdl != NULL) {
        IoFreeMdl(Connection->Mdl);
    }
    if (Connection->Data.Irp != NULL) {
        IoFreeIrp(Connection->Data.Irp);
    }
    if (Connection->Control.Irp != NULL) {
        IoFreeIrp(Connection->Control.Irp);
    }
    ExFreeToLookasideListEx(&Connections, Connection);
}

static VOID TellWhenDrained(VOID)
{
    if (Stopped && Listener == NULL && IsListEmpty(&Open)) {
        KeSetEvent(&Drained, IO_NO_INCREMENT, FALSE);
    }
}

// An operation of a connection has returned. FALSE if the connection is gone or closing: nothing may be started then.
static BOOLEAN CameBack(PCONNECTION Connection)
{
    Connection->Outstanding--;
    if (Connection->Closed && Connection->Outstanding == 0) {
        RemoveEntryList(&Connection->Links);
        FreeConnection(Connection);
        TellWhenDrained();
        return FALSE;
    }
    return !Connection->Closing;
}

static VOID OnClosed(POPERATION Operation)
{
    Operation->Connection->Closed = TRUE;
    CameBack(Operation->Connection);
}

static VOID CloseConnection(PCONNECTION Connection)
{
    Connection->Closing = TRUE;
    Connection->Outstanding++;
    Of(Connection)->WskCloseSocket(Connection->Socket, Prepare(&Connection->Control, OnClosed));
}

static VOID OnDisconnected(POPERATION Operation)
{
    // Whether it succeeded or not. The connection may have been asked to stop meanwhile.
    PCONNECTION Connection = Operation->Connection;
    Connection->Outstanding--;
    CloseConnection(Connection);
}

static HANDLER OnReceived;

static VOID Receive(PCONNECTION Connection)
{
    WSK_BUF Buffer = {Connection->Mdl, 0, BUFFER_LENGTH};
    Connection->Outstanding++;
    Of(Connection)->WskReceive(Connection->Socket, &Buffer, 0, Prepare(&Connection->Data, OnReceived));
}

static VOID OnSent(POPERATION Operation)
{
    PCONNECTION Connection = Operation->Connection;
    NTSTATUS Status = Operation->Irp->IoStatus.Status;
    if (!CameBack(Connection)) {
        return;
    }
    if (NT_SUCCESS(Status)) {
        Receive(Connection);
    } else {
        CloseConnection(Connection);
    }
}

static VOID OnReceived(POPERATION Operation)
{
    PCONNECTION Connection = Operation->Connection;
    NTSTATUS Status = Operation->Irp->IoStatus.Status;
    SIZE_T Length = Operation->Irp->IoStatus.Information;
    if (!CameBack(Connection)) {
        return;
    }
    if (!NT_SUCCESS(Status)) {
        CloseConnection(Connection);
    } else if (Length == 0) {
        // The peer has sent everything.
        Connection->Closing = TRUE;
        Connection->Outstanding++;
        Of(Connection)->WskDisconnect(Connection->Socket, NULL, 0, Prepare(&Connection->Control, OnDisconnected));
    } else {
        WSK_BUF Buffer = {Connection->Mdl, 0, Length};
        Connection->Outstanding++;
        Of(Connection)->WskSend(Connection->Socket, &Buffer, 0, Prepare(&Connection->Data, OnSent));
    }
}

static VOID OnAccepted(POPERATION Operation)
{
    PCONNECTION Connection = Operation->Connection;
    InsertTailList(&Open, &Connection->Links);
    if (Stopped) {
        CloseConnection(Connection);
    } else {
        Receive(Connection);
    }
}

static NTSTATUS WSKAPI AcceptEvent(PVOID SocketContext, ULONG Flags, PSOCKADDR LocalAddress, PSOCKADDR RemoteAddress,
    PWSK_SOCKET AcceptSocket, PVOID *AcceptSocketContext, CONST WSK_CLIENT_CONNECTION_DISPATCH **AcceptSocketDispatch)
{
    UNREFERENCED_PARAMETER(SocketContext);
    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(LocalAddress);
    UNREFERENCED_PARAMETER(RemoteAddress);
    if (AcceptSocket == NULL) {
        // The listening socket is dead. Unloading closes it.
        return STATUS_REQUEST_NOT_ACCEPTED;
    }
    PCONNECTION Connection = AllocateConnection();
    if (Connection == NULL || !IsWhole(Connection)) {
        if (Connection != NULL) {
            FreeConnection(Connection);
        }
        return STATUS_REQUEST_NOT_ACCEPTED;
    }
    Connection->Socket = AcceptSocket;
    // Without events: the worker asks for data.
    *AcceptSocketContext = NULL;
    *AcceptSocketDispatch = NULL;
    Enqueue(&Connection->Data, OnAccepted);
    return STATUS_SUCCESS;
}

// Listening.

static const WSK_CLIENT_LISTEN_DISPATCH ListenDispatch = {AcceptEvent, NULL, NULL};
static const WSK_CLIENT_DISPATCH ClientDispatch = {MAKE_WSK_VERSION(1, 0), 0, NULL};

static NTSTATUS CompletedWaited(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static PIRP PrepareWaited(PKEVENT Event)
{
    IoReuseIrp(Listening.Irp, STATUS_UNSUCCESSFUL);
    IoSetCompletionRoutine(Listening.Irp, CompletedWaited, Event, TRUE, TRUE, TRUE);
    return Listening.Irp;
}

static NTSTATUS WaitFor(PKEVENT Event)
{
    KeWaitForSingleObject(Event, Executive, KernelMode, FALSE, NULL);
    return Listening.Irp->IoStatus.Status;
}

static NTSTATUS Listen(PWSK_PROVIDER_NPI Provider)
{
    WSK_EVENT_CALLBACK_CONTROL Accepts = {&NPI_WSK_INTERFACE_ID, WSK_EVENT_ACCEPT};
    SOCKADDR_IN Address = {.sin_family = AF_INET};
    KEVENT Event;

    KeInitializeEvent(&Event, SynchronizationEvent, FALSE);
    // From the start, every listening socket of this client has its accept event enabled.
    NTSTATUS Status = Provider->Dispatch->WskControlClient(Provider->Client, WSK_SET_STATIC_EVENT_CALLBACKS, sizeof(Accepts),
        &Accepts, 0, NULL, NULL, NULL);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Provider->Dispatch->WskSocket(Provider->Client, AF_INET, SOCK_STREAM, IPPROTO_TCP, WSK_FLAG_LISTEN_SOCKET, NULL,
        &ListenDispatch, NULL, NULL, NULL, PrepareWaited(&Event));
    Status = WaitFor(&Event);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Listener = (PWSK_SOCKET)Listening.Irp->IoStatus.Information;
    const WSK_PROVIDER_LISTEN_DISPATCH *Dispatch = Listener->Dispatch;
    // Only on this machine, at a port that the provider chooses.
    Address.sin_addr = in4addr_loopback;
    Dispatch->WskBind(Listener, (PSOCKADDR)&Address, 0, PrepareWaited(&Event));
    Status = WaitFor(&Event);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Dispatch->WskGetLocalAddress(Listener, (PSOCKADDR)&Address, PrepareWaited(&Event));
    Status = WaitFor(&Event);
    if (NT_SUCCESS(Status)) {
        DbgPrint("echo: listening on port %u\n", RtlUshortByteSwap(Address.sin_port));
    }
    return Status;
}

static VOID OnStart(POPERATION Operation)
{
    WSK_PROVIDER_NPI Provider;
    UNREFERENCED_PARAMETER(Operation);
    NTSTATUS Status = WskCaptureProviderNPI(&Registration, CAPTURE_TIMEOUT, &Provider);
    if (NT_SUCCESS(Status)) {
        Status = Listen(&Provider);
        // The sockets stay. The provider is not asked for more of them.
        WskReleaseProviderNPI(&Registration);
    }
    if (!NT_SUCCESS(Status)) {
        DbgPrint("echo: not listening, %x\n", Status);
    }
}

static VOID OnListenerClosed(POPERATION Operation)
{
    UNREFERENCED_PARAMETER(Operation);
    Listener = NULL;
    TellWhenDrained();
}

static VOID OnStop(POPERATION Operation)
{
    UNREFERENCED_PARAMETER(Operation);
    Stopped = TRUE;
    for (PLIST_ENTRY Entry = Open.Flink; Entry != &Open; Entry = Entry->Flink) {
        PCONNECTION Connection = CONTAINING_RECORD(Entry, CONNECTION, Links);
        if (!Connection->Closing) {
            CloseConnection(Connection);
        }
    }
    if (Listener != NULL) {
        const WSK_PROVIDER_LISTEN_DISPATCH *Dispatch = Listener->Dispatch;
        Dispatch->WskCloseSocket(Listener, Prepare(&Listening, OnListenerClosed));
    }
    TellWhenDrained();
}

// The worker.

static VOID WorkerThread(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    for (;;) {
        PSLIST_ENTRY Entry = InterlockedFlushSList(&Work);
        PSLIST_ENTRY First = NULL;
        if (Entry == NULL) {
            if (InterlockedCompareExchange(&StopWorking, 0, 0) != 0) {
                break;
            }
            KeWaitForSingleObject(&WorkArrived, Executive, KernelMode, FALSE, NULL);
            continue;
        }
        // The task that arrived first is the last of the list.
        while (Entry != NULL) {
            PSLIST_ENTRY Next = Entry->Next;
            Entry->Next = First;
            First = Entry;
            Entry = Next;
        }
        while (First != NULL) {
            POPERATION Operation = CONTAINING_RECORD(First, OPERATION, Entry);
            First = First->Next;
            Operation->Handler(Operation);
        }
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS StartWorker(VOID)
{
    HANDLE Thread;
    NTSTATUS Status = PsCreateSystemThread(&Thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, WorkerThread, NULL);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = ObReferenceObjectByHandle(Thread, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, &Worker, NULL);
    // The handle was just returned, and is that of a thread.
    NT_ASSERT(NT_SUCCESS(Status));
    ZwClose(Thread);
    return Status;
}

static VOID StopWorker(VOID)
{
    InterlockedExchange(&StopWorking, 1);
    KeSetEvent(&WorkArrived, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(Worker, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Worker);
}

static VOID Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    Enqueue(&Stopping, OnStop);
    KeWaitForSingleObject(&Drained, Executive, KernelMode, FALSE, NULL);
    WskDeregister(&Registration);
    StopWorker();
    IoFreeIrp(Listening.Irp);
    ExDeleteLookasideListEx(&Connections);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WSK_CLIENT_NPI Client = {NULL, &ClientDispatch};
    UNREFERENCED_PARAMETER(RegistryPath);
    ExInitializeDriverRuntime(DrvRtPoolNxOptIn);

    // A driver that is loaded again starts in the same state as before.
    RtlZeroMemory(&Listening, sizeof(Listening));
    RtlZeroMemory(&Stopping, sizeof(Stopping));
    InitializeListHead(&Open);
    InitializeSListHead(&Work);
    KeInitializeEvent(&WorkArrived, SynchronizationEvent, FALSE);
    KeInitializeEvent(&Drained, NotificationEvent, FALSE);
    Listener = NULL;
    Stopped = FALSE;
    StopWorking = 0;

    NTSTATUS Status =
        ExInitializeLookasideListEx(&Connections, NULL, NULL, NonPagedPoolNx, 0, sizeof(CONNECTION), ECHO_TAG, 0);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Listening.Irp = IoAllocateIrp(1, FALSE);
    if (Listening.Irp == NULL) {
        Status = STATUS_INSUFFICIENT_RESOURCES;
        goto NoIrp;
    }
    Status = WskRegister(&Client, &Registration);
    if (!NT_SUCCESS(Status)) {
        goto NotRegistered;
    }
    Status = StartWorker();
    if (!NT_SUCCESS(Status)) {
        goto NoWorker;
    }
    Enqueue(&Listening, OnStart);
    DriverObject->DriverUnload = Unload;
    return STATUS_SUCCESS;

NoWorker:
    WskDeregister(&Registration);
NotRegistered:
    IoFreeIrp(Listening.Irp);
NoIrp:
    ExDeleteLookasideListEx(&Connections);
    return Status;
}
