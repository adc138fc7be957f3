//! How a test that does not link `wsk-host` is told so.
//!
//! The linker of such a test lists the functions of the kernel that it misses, or the first twenty of them. One more function is missed
//! then, whose name says what to do. It is called at two places, so that it is early in that list: linkers go through what they link from
//! the first file on, which is the test's own, or from the last on, which is this crate's, or both at a time.

// A build that unwinds is a test. Miri looks for functions when they are called.
#[cfg(all(panic = "unwind", not(miri)))]
unsafe extern "C" {
    safe fn wsk_host_is_missing__a_test_needs_it_in_dev_dependencies_and_use_wsk_host_as_underscore__a_driver_needs_panic_abort()
    ;
}

/// Has `wsk-host` looked for in a test. In a driver this is nothing.
#[inline]
pub fn host_kernel() {
    #[cfg(all(panic = "unwind", not(miri)))]
    {
        wsk_host_is_missing__a_test_needs_it_in_dev_dependencies_and_use_wsk_host_as_underscore__a_driver_needs_panic_abort();
        #[cfg(not(windows))]
        host_kernel_again();
    }
}

/// The same from this crate, as it is not inlined. Linkers of Windows list all that they miss.
#[cfg(all(panic = "unwind", not(any(miri, windows))))]
#[inline(never)]
fn host_kernel_again() {
    wsk_host_is_missing__a_test_needs_it_in_dev_dependencies_and_use_wsk_host_as_underscore__a_driver_needs_panic_abort();
}
