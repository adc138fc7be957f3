//! Tells the author of a test that the test does not link `wsk-host`.
//!
//! The linker of such a test lists the functions of the kernel that it does not find, or the first twenty of them. This module
//! adds one more missing function, whose name says what to do. Two places call it, so that it is early in the list: linkers
//! process files from the first one, which is the test's own, or from the last one, which is this crate's, or several at a time.

// A build that unwinds is a test. Miri looks for functions only when they are called.
#[cfg(all(panic = "unwind", not(miri)))]
unsafe extern "C" {
    safe fn wsk_host_is_missing__a_test_needs_it_in_dev_dependencies_and_use_wsk_host_as_underscore__a_driver_needs_panic_abort()
    ;
}

/// Makes the linker of a test look for `wsk-host`. In a driver this does nothing.
#[inline]
pub fn host_kernel() {
    #[cfg(all(panic = "unwind", not(miri)))]
    {
        wsk_host_is_missing__a_test_needs_it_in_dev_dependencies_and_use_wsk_host_as_underscore__a_driver_needs_panic_abort();
        #[cfg(not(windows))]
        host_kernel_again();
    }
}

/// The same call from this crate, because it is not inlined. Windows linkers list all missing functions, and do not need it.
#[cfg(all(panic = "unwind", not(any(miri, windows))))]
#[inline(never)]
fn host_kernel_again() {
    wsk_host_is_missing__a_test_needs_it_in_dev_dependencies_and_use_wsk_host_as_underscore__a_driver_needs_panic_abort();
}
