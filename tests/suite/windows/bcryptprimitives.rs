//! `bcryptprimitives.dll` for Wine, which has none before version 9: the one function that Rust's standard library imports from there
//! on Windows, by way of one that Wine has.

#![no_std]

use core::ffi::c_void;

#[link(name = "advapi32.dll", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    /// `RtlGenRandom`, under the name that it is exported by.
    fn SystemFunction036(buffer: *mut u8, length: u32) -> u8;
}

/// Fills a buffer with random bytes.
///
/// # Safety
///
/// `buffer` may be written for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ProcessPrng(mut buffer: *mut u8, mut length: usize) -> i32 {
    while length > 0 {
        let part = u32::try_from(length).unwrap_or(u32::MAX);
        // SAFETY: the caller gives the buffer, of which this is a part.
        unsafe {
            if SystemFunction036(buffer, part) == 0 {
                return 0;
            }
            buffer = buffer.add(part as usize);
        }
        length -= part as usize;
    }
    1
}

/// What a DLL is told.
#[unsafe(no_mangle)]
pub extern "system" fn DllMain(_: *mut c_void, _: u32, _: *mut c_void) -> i32 {
    1
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
