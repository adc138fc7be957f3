//! Locks pages without the exception that C code catches with `__try` and `__except`. Replaces `MmProbeAndLockPages` inside such
//! a statement, the only function of WDM here that reports errors by raising an exception.
//!
//! Rust has no structured exception handling. But a C compiler turns the statement into data beside the code: unwind information
//! that names `__C_specific_handler`, which the kernel exports, and a table of the guarded instructions with the address at which
//! to continue. An assembler can write both.

use crate::{KPROCESSOR_MODE, LOCK_OPERATION, MDL, NTSTATUS};

#[cfg(all(
    windows,
    any(docsrs, not(panic = "unwind")),
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    /// The handler of frames with `__try`. Only the system's unwinder calls it, so its parameters do not matter here.
    fn __C_specific_handler();
}

// The frame on x64: 32 bytes for the callee's parameters and 8 for alignment. After an exception the unwinder restores the frame
// and continues at the landing with the exception's code in RAX. A success code there counts as STATUS_UNSUCCESSFUL, because some
// unwinders (Wine 8's) leave the code out. The guarded range ends after the call's return address.
#[cfg(all(windows, target_arch = "x86_64", any(docsrs, not(panic = "unwind"))))]
core::arch::global_asm!(
    ".section .text$wsk_sys,\"xr\",one_only,TryProbeAndLockPages",
    ".globl TryProbeAndLockPages",
    ".def TryProbeAndLockPages",
    ".scl 2",
    ".type 32",
    ".endef",
    ".p2align 4",
    "TryProbeAndLockPages:",
    ".seh_proc TryProbeAndLockPages",
    ".seh_handler {handler}, @except",
    "sub rsp, 40",
    ".seh_stackalloc 40",
    ".seh_endprologue",
    ".Lwsk_sys_guarded:",
    "call {lock}",
    "nop",
    ".Lwsk_sys_guarded_end:",
    "xor eax, eax",
    "jmp .Lwsk_sys_out",
    ".Lwsk_sys_landing:",
    "test eax, eax",
    "js .Lwsk_sys_out",
    "mov eax, 0xC0000001",
    ".Lwsk_sys_out:",
    "add rsp, 40",
    "ret",
    ".seh_handlerdata",
    ".long 1",
    ".long .Lwsk_sys_guarded@IMGREL",
    ".long .Lwsk_sys_guarded_end@IMGREL",
    // EXCEPTION_EXECUTE_HANDLER, whatever the exception.
    ".long 1",
    ".long .Lwsk_sys_landing@IMGREL",
    ".section .text$wsk_sys,\"xr\",one_only,TryProbeAndLockPages",
    ".seh_endproc",
    ".text",
    handler = sym __C_specific_handler,
    lock = sym crate::MmProbeAndLockPages,
);

// The same for arm64, where the code is in X0.
#[cfg(all(windows, target_arch = "aarch64", any(docsrs, not(panic = "unwind"))))]
core::arch::global_asm!(
    ".section .text$wsk_sys,\"xr\",one_only,TryProbeAndLockPages",
    ".globl TryProbeAndLockPages",
    ".def TryProbeAndLockPages",
    ".scl 2",
    ".type 32",
    ".endef",
    ".p2align 2",
    "TryProbeAndLockPages:",
    ".seh_proc TryProbeAndLockPages",
    ".seh_handler {handler}, @except",
    "stp x29, x30, [sp, #-16]!",
    ".seh_save_fplr_x 16",
    "mov x29, sp",
    ".seh_set_fp",
    ".seh_endprologue",
    ".Lwsk_sys_guarded:",
    "bl {lock}",
    "nop",
    ".Lwsk_sys_guarded_end:",
    "mov w0, wzr",
    "b .Lwsk_sys_out",
    ".Lwsk_sys_landing:",
    "tbnz w0, #31, .Lwsk_sys_out",
    "mov w0, #0x1",
    "movk w0, #0xC000, lsl #16",
    ".Lwsk_sys_out:",
    ".seh_startepilogue",
    "ldp x29, x30, [sp], #16",
    ".seh_save_fplr_x 16",
    ".seh_endepilogue",
    "ret",
    ".seh_handlerdata",
    ".word 1",
    ".word .Lwsk_sys_guarded@IMGREL",
    ".word .Lwsk_sys_guarded_end@IMGREL",
    // EXCEPTION_EXECUTE_HANDLER, whatever the exception.
    ".word 1",
    ".word .Lwsk_sys_landing@IMGREL",
    ".section .text$wsk_sys,\"xr\",one_only,TryProbeAndLockPages",
    ".seh_endproc",
    ".text",
    handler = sym __C_specific_handler,
    lock = sym crate::MmProbeAndLockPages,
);

// A driver has the code that is assembled above. In a program the host kernel provides the function.
unsafe extern "system" {
    /// [`MmProbeAndLockPages`](crate::MmProbeAndLockPages), with a status instead of an exception: its code, such as
    /// `STATUS_ACCESS_VIOLATION`, `STATUS_WORKING_SET_QUOTA` or `STATUS_INSUFFICIENT_RESOURCES`. After an error the MDL is as
    /// it was before.
    ///
    /// IRQL: `<= DISPATCH_LEVEL` for memory that is nonpaged, else `<= APC_LEVEL`. Header: none; C code has `__try` and
    /// `__except`.
    /// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmprobeandlockpages).
    ///
    /// # Safety
    ///
    /// As for `MmProbeAndLockPages`, except that the memory need not be accessible where a process's own addresses are meant.
    pub fn TryProbeAndLockPages(
        MemoryDescriptorList: *mut MDL,
        AccessMode: KPROCESSOR_MODE,
        Operation: LOCK_OPERATION,
    ) -> NTSTATUS;
}
