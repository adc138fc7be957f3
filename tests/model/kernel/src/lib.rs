//! `wsk-sys` for the model: the same types, and functions made of loom's objects, so that loom knows the order of events. Freed
//! memory stays until the execution ends, and every later use of it is reported.

// The functions have C signatures. A panic in one of them means that an exploration has found something.
#![allow(non_snake_case, clippy::must_use_candidate, clippy::missing_panics_doc)]

mod dispatcher;
mod irp;
mod mdl;
mod memory;
pub mod mistake;
mod provider;

pub use dispatcher::{
    KeAcquireSpinLock, KeCancelTimer, KeClearEvent, KeDelayExecutionThread, KeFlushQueuedDpcs,
    KeGetCurrentIrql, KeInitializeDpc, KeInitializeEvent, KeInitializeTimerEx,
    KeQueryInterruptTime, KeReleaseSpinLock, KeSetEvent, KeSetTimer, KeWaitForMultipleObjects,
    KeWaitForSingleObject, RtlGetVersion, Signal, be_impatient,
};
pub use irp::{IoCancelIrp, IoInitializeIrp, IoReuseIrp};
pub use mdl::{
    IoAllocateMdl, IoFreeMdl, MmBuildMdlForNonPagedPool, MmGetSystemAddressForMdlSafe,
    MmUnlockPages, TryProbeAndLockPages,
};
pub use memory::{ExAllocatePoolWithTag, ExFreePoolWithTag, left, read, touch, write};
pub use provider::{
    Request, WskCaptureProviderNPI, WskDeregister, WskQueryProviderCharacteristics, WskRegister,
    WskReleaseProviderNPI, closed, next_request, tell,
};
// The names above hide the same names here.
pub use real::*;

/// Begins an execution. Nothing of the last one is left.
pub fn begin() {
    memory::begin();
    dispatcher::begin();
    irp::begin();
    provider::begin();
}
