//! Information about the system. Stands for `RtlGetVersion` and a few more.

use wsk_sys::{
    NTSTATUS, PROCESSOR_NUMBER, RTL_OSVERSIONINFOW, STATUS_NOT_IMPLEMENTED, STATUS_SUCCESS,
    UNICODE_STRING,
};

use crate::{bugcheck, kernel, origin};

export! {
    /// Gives the version of Windows that the host kernel was booted as; fails if it was booted as one without a version.
    fn RtlGetVersion(lpVersionInformation: *mut RTL_OSVERSIONINFOW) -> NTSTATUS, at most PASSIVE_LEVEL {
        let (major, minor, build) = kernel::windows_version();
        if build == 0 {
            return STATUS_NOT_IMPLEMENTED;
        }
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
    /// Makes a counted string from a zero-terminated string.
    fn RtlInitUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *const u16), at most HIGH_LEVEL {
        let mut length = 0_usize;
        // SAFETY: the driver gives a string that ends with a zero, or NULL.
        unsafe {
            if !SourceString.is_null() {
                while SourceString.add(length).read() != 0 {
                    length += 1;
                }
            }
            // As in NT, a string that is too long for the counts is cut off.
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
    /// Gives the number of the processor: every host thread is one of eight.
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
