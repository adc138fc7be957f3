//! What the compiler expects of a program without a standard library. C drivers get it from `ntoskrnl.exe`, too, in place of
//! Visual C++'s runtime.

/// Stops the system, because a driver that has panicked must not continue.
#[cfg(feature = "panic-handler")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    crate::stop()
}

#[cfg(feature = "memory-functions")]
mod memory {
    use core::ffi::{c_int, c_void};

    #[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
    #[allow(dead_code, reason = "the compiler calls them, by their names")]
    unsafe extern "C" {
        fn memcpy(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
        fn memmove(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
        fn memset(to: *mut c_void, value: c_int, count: usize) -> *mut c_void;
        fn memcmp(left: *const c_void, right: *const c_void, count: usize) -> c_int;
    }
}
