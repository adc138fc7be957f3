//! `wsk-sys` as the model has it: the same types, and functions that are made of loom's objects, so that loom knows what orders
//! what. Memory that is freed stays until the execution ends, and whoever uses it still is found.

// The functions are C's. Where one panics, an exploration has found something.
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
// What is named above takes the place of what has the same name here.
pub use real::*;

/// Begins an execution: nothing is left of the one before.
pub fn begin() {
    memory::begin();
    dispatcher::begin();
    irp::begin();
    provider::begin();
}
