// What a driver does with structured exceptions. Each function reports by its result and in a trace which blocks ran in which
// order.

#include <ntddk.h>

// "Wexp"
#define TAG 0x70786557

// The steps so far, a character for each.
CHAR Trace[64];
ULONG TraceLength;

static void Step(CHAR What)
{
    if (TraceLength < sizeof(Trace) - 1) {
        Trace[TraceLength++] = What;
        Trace[TraceLength] = 0;
    }
}

static PMDL Mdl;
static LOCK_OPERATION Wanted;

// The memory that the tests lock: absent memory, or memory that cannot be written.
void Choose(PMDL Chosen, LOCK_OPERATION Operation);
void Choose(PMDL Chosen, LOCK_OPERATION Operation)
{
    Mdl = Chosen;
    Wanted = Operation;
    TraceLength = 0;
    Trace[0] = 0;
}

// The usual code of drivers.
NTSTATUS Lock(void);
NTSTATUS Lock(void)
{
    NTSTATUS Status = STATUS_SUCCESS;
    __try {
        Step('t');
        MmProbeAndLockPages(Mdl, KernelMode, Wanted);
        Step('l');
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = GetExceptionCode();
        Step('e');
    }
    Step('.');
    return Status;
}

static void Deeper(ULONG Depth)
{
    if (Depth == 0) {
        MmProbeAndLockPages(Mdl, KernelMode, Wanted);
    } else {
        Deeper(Depth - 1);
    }
    Step('!');
}

static LONG Only(NTSTATUS Code, NTSTATUS Wish)
{
    Step('?');
    return Code == Wish ? EXCEPTION_EXECUTE_HANDLER : EXCEPTION_CONTINUE_SEARCH;
}

// The inner filter accepts another status only. The outer one is in the calling function.
static void Inner(void)
{
    __try {
        __try {
            Deeper(5);
        } __finally {
            Step(AbnormalTermination() ? 'A' : 'N');
        }
        Step('!');
    } __except (Only(GetExceptionCode(), STATUS_DATATYPE_MISALIGNMENT)) {
        Step('i');
    }
    Step('!');
}

NTSTATUS Nested(void);
NTSTATUS Nested(void)
{
    NTSTATUS Status = STATUS_SUCCESS;
    __try {
        Inner();
    } __except (Only(GetExceptionCode(), STATUS_ACCESS_VIOLATION)) {
        Status = GetExceptionCode();
        Step('o');
    }
    // No frame is left.
    __try {
        Step('n');
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Step('!');
    }
    return Status;
}

// The block of __finally runs at the end and after __leave, and is told that the block ended normally.
NTSTATUS Finally(BOOLEAN Leaves);
NTSTATUS Finally(BOOLEAN Leaves)
{
    __try {
        Step('t');
        if (Leaves) {
            __leave;
        }
        Step('u');
    } __finally {
        Step(AbnormalTermination() ? 'A' : 'N');
    }
    Step('.');
    return STATUS_SUCCESS;
}

// The next outer frame gets exceptions in blocks of __except, and in blocks of __finally.
NTSTATUS RaisedAgain(void);
NTSTATUS RaisedAgain(void)
{
    NTSTATUS Status = STATUS_SUCCESS;
    __try {
        __try {
            ExRaiseStatus(STATUS_CANCELLED);
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            Step('1');
            if (GetExceptionCode() != STATUS_CANCELLED) {
                Step('!');
            }
            ExRaiseAccessViolation();
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Step('2');
        if (GetExceptionCode() != STATUS_ACCESS_VIOLATION) {
            Step('!');
        }
    }
    __try {
        __try {
            Step('3');
        } __finally {
            ExRaiseDatatypeMisalignment();
        }
        Step('!');
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = GetExceptionCode();
        Step('4');
    }
    return Status;
}

// Leaves the block from inside, in each way that C has.
static ULONG Early(ULONG How)
{
    ULONG Rounds = 0;
    for (ULONG Round = 0; Round < 4; ++Round) {
        __try {
            ++Rounds;
            if (How == 0) {
                return 10;
            }
            if (How == 1) {
                break;
            }
            if (How == 2 && Round < 3) {
                continue;
            }
            if (How == 3) {
                goto Out;
            }
            if (How == 4) {
                __leave;
            }
            ExRaiseStatus(STATUS_CANCELLED);
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            Step('e');
            continue;
        }
        Step('n');
    }
Out:
    return Rounds;
}

ULONG LeftEarly(ULONG How);
ULONG LeftEarly(ULONG How)
{
    return Early(How);
}

// Afterwards only the outer frame catches.
NTSTATUS LeftEarlyThenRaised(ULONG How);
NTSTATUS LeftEarlyThenRaised(ULONG How)
{
    NTSTATUS Status = STATUS_SUCCESS;
    __try {
        (void)Early(How);
        ExRaiseStatus(STATUS_TIMEOUT);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = GetExceptionCode();
        Step('o');
    }
    return Status;
}

void LeftEarlyThenRaisedOutside(ULONG How);
void LeftEarlyThenRaisedOutside(ULONG How)
{
    (void)Early(How);
    ExRaiseStatus(STATUS_TIMEOUT);
}

// Other functions that raise exceptions.
NTSTATUS Probe(PVOID Address, SIZE_T Length, ULONG Alignment, BOOLEAN Write);
NTSTATUS Probe(PVOID Address, SIZE_T Length, ULONG Alignment, BOOLEAN Write)
{
    NTSTATUS Status = STATUS_SUCCESS;
    __try {
        if (Write) {
            ProbeForWrite(Address, Length, Alignment);
        } else {
            ProbeForRead(Address, Length, Alignment);
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = GetExceptionCode();
    }
    return Status;
}

NTSTATUS Allocate(ULONG How);
NTSTATUS Allocate(ULONG How)
{
    NTSTATUS Status = STATUS_SUCCESS;
    PVOID Block = NULL;
    LOOKASIDE_LIST_EX List;
    if (How == 2) {
        Status = ExInitializeLookasideListEx(&List, NULL, NULL, NonPagedPoolNx, EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL, 64,
            TAG, 0);
        if (!NT_SUCCESS(Status)) {
            return Status;
        }
    }
    __try {
        if (How == 0) {
            Block = ExAllocatePoolWithTag(NonPagedPoolNx | POOL_RAISE_IF_ALLOCATION_FAILURE, 64, TAG);
        } else if (How == 1) {
            Block = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_RAISE_ON_FAILURE, 64, TAG);
        } else {
            Block = ExAllocateFromLookasideListEx(&List);
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = GetExceptionCode();
    }
    if (Block != NULL) {
        ExFreePoolWithTag(Block, TAG);
    }
    if (How == 2) {
        ExDeleteLookasideListEx(&List);
    }
    return Status;
}

// A callback that raises: the outer frame is not its own, because the kernel's functions are between them.
static ULONG NTAPI Raises(PRTL_RUN_ONCE Once, PVOID Parameter, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Once);
    UNREFERENCED_PARAMETER(Context);
    if (Parameter == NULL) {
        ExRaiseStatus(STATUS_CANCELLED);
    }
    __try {
        ExRaiseStatus(STATUS_CANCELLED);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Step('c');
    }
    return TRUE;
}

NTSTATUS CallsBack(BOOLEAN Catches);
NTSTATUS CallsBack(BOOLEAN Catches)
{
    NTSTATUS Status = STATUS_UNSUCCESSFUL;
    RTL_RUN_ONCE Once = RTL_RUN_ONCE_INIT;
    __try {
        Status = RtlRunOnceExecuteOnce(&Once, Raises, Catches ? &Once : NULL, NULL);
        Step('b');
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Step('!');
    }
    return Status;
}

// What the macros cannot do.
void Continues(void);
void Continues(void)
{
    __try {
        ExRaiseStatus(STATUS_CANCELLED);
    } __except (EXCEPTION_CONTINUE_EXECUTION) {
        Step('!');
    }
}

NTSTATUS ReturnsPastFinally(void);
NTSTATUS ReturnsPastFinally(void)
{
    __try {
        return STATUS_SUCCESS;
    } __finally {
        Step('f');
    }
    return STATUS_UNSUCCESSFUL;
}
