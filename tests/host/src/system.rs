//! What the system says about itself, and the debugger's output. Stands for `RtlGetVersion`, `DbgPrint` and a few more.

use core::ffi::{CStr, c_char};

use wsk_sys::{NTSTATUS, PROCESSOR_NUMBER, RTL_OSVERSIONINFOW, STATUS_SUCCESS, UNICODE_STRING};

use crate::{bugcheck, kernel, origin, trace};

export! {
    /// The version of Windows that the host kernel was booted as.
    fn RtlGetVersion(lpVersionInformation: *mut RTL_OSVERSIONINFOW) -> NTSTATUS, at most PASSIVE_LEVEL {
        let (major, minor, build) = kernel::windows_version();
        // SAFETY: the driver gives the structure.
        unsafe {
            let information = lpVersionInformation;
            (*information).dwMajorVersion = major;
            (*information).dwMinorVersion = minor;
            (*information).dwBuildNumber = build;
            // VER_PLATFORM_WIN32_NT.
            (*information).dwPlatformId = 2;
            (*information).szCSDVersion[0] = 0;
        }
        STATUS_SUCCESS
    }
}

export! {
    /// Makes a counted string of one that ends with a zero.
    fn RtlInitUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *const u16), at most HIGH_LEVEL {
        let mut length = 0_usize;
        // SAFETY: the driver gives a string that ends with a zero, or NULL.
        unsafe {
            if !SourceString.is_null() {
                while SourceString.add(length).read() != 0 {
                    length += 1;
                }
            }
            // As in NT, what is too long for the counts is cut off.
            let bytes = u16::try_from(length * 2).unwrap_or(u16::MAX - 3);
            DestinationString.write(UNICODE_STRING {
                Length: bytes,
                MaximumLength: if SourceString.is_null() { 0 } else { bytes + 2 },
                Buffer: SourceString.cast_mut(),
            });
        }
    }
}

export! {
    /// The number of the processor: every host thread is one of eight.
    fn KeGetCurrentProcessorNumberEx(ProcNumber: *mut PROCESSOR_NUMBER) -> u32, at most HIGH_LEVEL {
        let number = origin::thread_number() % 8;
        if !ProcNumber.is_null() {
            #[allow(clippy::cast_possible_truncation, reason = "below eight")]
            // SAFETY: the driver gives the place, if it wants the number there.
            unsafe {
                ProcNumber.write(PROCESSOR_NUMBER {
                    Group: 0,
                    Number: number as u8,
                    Reserved: 0,
                });
            }
        }
        number
    }
}

/// # Safety
///
/// `format` is a string that ends with a zero.
unsafe fn print(format: *const c_char) {
    if trace::listening() {
        // SAFETY: the caller says so.
        trace::print(&unsafe { CStr::from_ptr(format) }.to_string_lossy());
    }
}

/// Tells the listeners of the format string.
///
/// The routine takes more arguments after the format. Functions with a variable number of arguments can't be defined in
/// Rust, so they aren't read; on every calling convention that the host kernel runs on, a callee may ignore them.
///
/// # Safety
///
/// The caller keeps what the documentation of the routine asks for.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the name is that of the routine")]
pub(crate) unsafe extern "C" fn DbgPrint(Format: *const c_char) -> u32 {
    // SAFETY: the driver gives a string.
    unsafe { print(Format) };
    0
}

/// As [`DbgPrint`]; nothing is filtered out.
///
/// # Safety
///
/// The caller keeps what the documentation of the routine asks for.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the name is that of the routine")]
pub(crate) unsafe extern "C" fn DbgPrintEx(
    ComponentId: u32,
    Level: u32,
    Format: *const c_char,
) -> u32 {
    let _ = (ComponentId, Level);
    // SAFETY: the driver gives a string.
    unsafe { print(Format) };
    0
}

export! {
    /// Stops the system on the driver's own request.
    fn KeBugCheckEx(
        BugCheckCode: u32,
        BugCheckParameter1: usize,
        BugCheckParameter2: usize,
        BugCheckParameter3: usize,
        BugCheckParameter4: usize,
    ) -> !, at most HIGH_LEVEL {
        bugcheck::stop(
            bugcheck::BugCheckCode(BugCheckCode),
            [
                BugCheckParameter1,
                BugCheckParameter2,
                BugCheckParameter3,
                BugCheckParameter4,
            ],
            &"the driver called KeBugCheckEx",
            &[],
        )
    }
}
