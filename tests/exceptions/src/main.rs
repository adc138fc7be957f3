//! Raises exceptions in a stand-in for `MmProbeAndLockPages`, and checks that the guarded call of `wsk-sys` catches them. These
//! are the same instructions and tables as in drivers, but in a program, where an exception does no harm. Ends with 42 if
//! everything is right. It is for Windows only; elsewhere it does nothing.

#![cfg_attr(windows, no_std, no_main)]

#[cfg(not(windows))]
fn main() {}

#[cfg(windows)]
mod guarded {
    #![allow(non_camel_case_types, non_snake_case, unreachable_pub)]

    include!(concat!(env!("OUT_DIR"), "/guarded.rs"));
}

#[cfg(windows)]
use windows::{KPROCESSOR_MODE, LOCK_OPERATION, MDL, MmProbeAndLockPages, NTSTATUS};

#[cfg(windows)]
mod windows {
    #![allow(non_camel_case_types, non_snake_case, unreachable_pub)]

    use crate::guarded::TryProbeAndLockPages;

    #[repr(C)]
    pub struct MDL {
        number: u64,
    }
    pub type KPROCESSOR_MODE = i8;
    #[repr(transparent)]
    pub struct LOCK_OPERATION(pub i32);
    #[repr(transparent)]
    pub struct NTSTATUS(pub i32);

    const SUCCESS: i32 = 0;
    const ACCESS_VIOLATION: i32 = 0xC000_0005_u32.cast_signed();
    const QUOTA: i32 = 0xC000_00A1_u32.cast_signed();
    /// The status that an unwinder returns if it loses the exception code.
    const UNSUCCESSFUL: i32 = 0xC000_0001_u32.cast_signed();

    #[link(name = "kernel32.dll", kind = "raw-dylib", modifiers = "+verbatim")]
    unsafe extern "system" {
        fn ExitProcess(code: u32) -> !;
        fn RaiseException(code: u32, flags: u32, count: u32, arguments: *const usize);
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // SAFETY: there is no precondition.
        unsafe { ExitProcess(1) }
    }

    /// By the mode, does nothing, writes where there is no memory, or raises what the memory manager raises.
    #[unsafe(no_mangle)]
    pub unsafe extern "system" fn MmProbeAndLockPages(
        mdl: *mut MDL,
        mode: KPROCESSOR_MODE,
        operation: LOCK_OPERATION,
    ) {
        // SAFETY: an exception is intended.
        unsafe {
            match mode {
                0 => {}
                1 => (&raw mut (*mdl).number).write_volatile(operation.0.cast_unsigned().into()),
                _ => RaiseException(QUOTA.cast_unsigned(), 0, 0, core::ptr::null()),
            }
        }
    }

    #[unsafe(no_mangle)]
    unsafe extern "system" fn start() -> ! {
        let nowhere = core::ptr::without_provenance_mut(16);
        let caught = |mode, expected| {
            // SAFETY: the exception is caught.
            let status = unsafe { TryProbeAndLockPages(nowhere, mode, LOCK_OPERATION(0)) };
            status.0 == expected || (expected != SUCCESS && status.0 == UNSUCCESSFUL)
        };
        // Many times, because each frame that is not unwound would be left behind.
        let well = (0..10_000)
            .all(|_| caught(0, SUCCESS) && caught(1, ACCESS_VIOLATION) && caught(2, QUOTA));
        // SAFETY: there is no precondition.
        unsafe { ExitProcess(if well { 42 } else { 1 }) }
    }
}
