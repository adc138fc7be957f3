//! Counted strings, of bytes and of UTF-16. Stands for `RtlInitAnsiString`, `RtlAnsiStringToUnicodeString` and their kin.
//!
//! Bytes are characters of code page 1252, the most common one of Windows.

use core::ptr;
use core::slice;

use wsk_sys::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER,
    STATUS_INVALID_PARAMETER_2, STATUS_NAME_TOO_LONG, STATUS_NO_MEMORY, STATUS_SOME_NOT_MAPPED,
    STATUS_SUCCESS, STRING, UNICODE_STRING,
};

/// The tag of the strings that the run-time library allocates: `grtS`, as in NT.
const TAG: u32 = u32::from_le_bytes(*b"Strg");

/// The characters 0x80 to 0x9F of code page 1252. Undefined ones keep their number.
const CODE_PAGE: [u16; 32] = [
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039,
    0x0152, 0x008D, 0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
    0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178,
];

fn wide(byte: u8) -> u16 {
    match byte {
        0x80..=0x9F => CODE_PAGE[usize::from(byte - 0x80)],
        _ => byte.into(),
    }
}

/// The byte for a unit of UTF-16; a question mark if there is none.
fn narrow(unit: u16) -> u8 {
    match CODE_PAGE.iter().position(|mapped| *mapped == unit) {
        Some(place) => 0x80 + place as u8,
        None => u8::try_from(unit).unwrap_or(b'?'),
    }
}

/// The number of units before the terminating zero of a string.
///
/// # Safety
///
/// `string` ends with a zero.
unsafe fn length<U: Default + PartialEq>(string: *const U) -> usize {
    let mut length = 0;
    // SAFETY: the caller says so.
    while unsafe { *string.add(length) != U::default() } {
        length += 1;
    }
    length
}

/// Memory for a string that the run-time library frees.
///
/// # Safety
///
/// The caller is at `PASSIVE_LEVEL`.
unsafe fn allocate(bytes: usize) -> *mut u8 {
    // SAFETY: paged pool, at PASSIVE_LEVEL.
    unsafe { wsk_sys::ExAllocatePoolWithTag(wsk_sys::POOL_TYPE::PagedPool, bytes, TAG) }.cast()
}

/// Initialises a counted byte string; returns whether the source fits.
///
/// # Safety
///
/// The source is a string that ends with a zero, or null; the destination is writable.
unsafe fn init_bytes(destination: *mut STRING, source: *const i8, most: usize) -> bool {
    // SAFETY: the caller says so.
    unsafe {
        let length = if source.is_null() { 0 } else { length(source) };
        if length > most && most < 0xFFFE {
            return false;
        }
        let bytes = u16::try_from(length.min(0xFFFE)).unwrap_or(0xFFFE);
        destination.write(STRING {
            Length: bytes,
            MaximumLength: if source.is_null() { 0 } else { bytes + 1 },
            Buffer: source.cast_mut(),
        });
        length <= most
    }
}

export! {
    /// Makes a counted byte string from a zero-terminated string.
    fn RtlInitString(DestinationString: *mut STRING, SourceString: *const i8), at most HIGH_LEVEL {
        // SAFETY: the driver gives a string that ends with a zero, or NULL. What is too long is cut off, as in NT.
        let _ = unsafe { init_bytes(DestinationString, SourceString, 0xFFFE) };
    }
}

export! {
    /// Makes a counted byte string from a zero-terminated string.
    fn RtlInitAnsiString(DestinationString: *mut STRING, SourceString: *const i8), at most HIGH_LEVEL {
        // SAFETY: the driver gives a string that ends with a zero, or NULL. What is too long is cut off, as in NT.
        let _ = unsafe { init_bytes(DestinationString, SourceString, 0xFFFE) };
    }
}

export! {
    /// Makes a counted byte string from a zero-terminated string, unless that is too long.
    fn RtlInitAnsiStringEx(DestinationString: *mut STRING, SourceString: *const i8) -> NTSTATUS, at most HIGH_LEVEL {
        // SAFETY: the driver gives a string that ends with a zero, or NULL.
        if unsafe { init_bytes(DestinationString, SourceString, 0xFFFE - 1) } {
            STATUS_SUCCESS
        } else {
            STATUS_NAME_TOO_LONG
        }
    }
}

export! {
    /// Makes a counted string from a zero-terminated string, unless that is too long.
    fn RtlInitUnicodeStringEx(DestinationString: *mut UNICODE_STRING, SourceString: *const u16) -> NTSTATUS, at most HIGH_LEVEL {
        let mut units = 0;
        if !SourceString.is_null() {
            // SAFETY: the driver gives a string that ends with a zero.
            units = unsafe { length(SourceString) };
        }
        let bytes = units * 2;
        let Some(bytes) = u16::try_from(bytes).ok().filter(|bytes| *bytes < 0xFFFE) else {
            return STATUS_NAME_TOO_LONG;
        };
        // SAFETY: the driver gives the place.
        unsafe {
            DestinationString.write(UNICODE_STRING {
                Length: bytes,
                MaximumLength: if SourceString.is_null() { 0 } else { bytes + 2 },
                Buffer: SourceString.cast_mut(),
            });
        }
        STATUS_SUCCESS
    }
}

/// The units of a counted string.
///
/// # Safety
///
/// The buffer has so many units.
unsafe fn units<'u, U>(buffer: *const U, bytes: u16) -> &'u [U] {
    let count = usize::from(bytes) / size_of::<U>();
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller says so.
    unsafe { slice::from_raw_parts(buffer, count) }
}

export! {
    /// Turns a byte string into UTF-16.
    fn RtlAnsiStringToUnicodeString(
        DestinationString: *mut UNICODE_STRING,
        SourceString: *const STRING,
        AllocateDestinationString: u8,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        // SAFETY: the driver gives a string.
        let source = unsafe { units((*SourceString).Buffer.cast::<u8>(), (*SourceString).Length) };
        let bytes = source.len() * 2;
        let Ok(with_end) = u16::try_from(bytes + 2) else {
            return STATUS_INVALID_PARAMETER_2;
        };
        // SAFETY: the driver gives the destination, and memory for it unless it wants that allocated.
        unsafe {
            if AllocateDestinationString != 0 {
                let memory = allocate(with_end.into());
                if memory.is_null() {
                    return STATUS_NO_MEMORY;
                }
                (*DestinationString).Buffer = memory.cast();
                (*DestinationString).MaximumLength = with_end;
            } else if usize::from((*DestinationString).MaximumLength) < bytes {
                return STATUS_BUFFER_OVERFLOW;
            }
            (*DestinationString).Length = with_end - 2;
            let to = (*DestinationString).Buffer;
            for (index, byte) in source.iter().enumerate() {
                to.add(index).write(wide(*byte));
            }
            // Writes a terminating zero where there is room.
            if (*DestinationString).MaximumLength >= with_end {
                to.add(source.len()).write(0);
            }
        }
        STATUS_SUCCESS
    }
}

export! {
    /// Turns UTF-16 into a byte string.
    fn RtlUnicodeStringToAnsiString(
        DestinationString: *mut STRING,
        SourceString: *const UNICODE_STRING,
        AllocateDestinationString: u8,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        // SAFETY: the driver gives a string.
        let source = unsafe { units((*SourceString).Buffer.cast_const(), (*SourceString).Length) };
        let with_end = source.len() as u16 + 1;
        // SAFETY: the driver gives the destination, and memory for it unless it wants that allocated.
        unsafe {
            let mut fits = source.len();
            if AllocateDestinationString != 0 {
                let memory = allocate(with_end.into());
                if memory.is_null() {
                    return STATUS_NO_MEMORY;
                }
                (*DestinationString).Buffer = memory.cast();
                (*DestinationString).MaximumLength = with_end;
            } else if (*DestinationString).MaximumLength < with_end {
                // As in NT: as many bytes as fit, with the zero.
                let Some(room) = (*DestinationString).MaximumLength.checked_sub(1) else {
                    return STATUS_BUFFER_OVERFLOW;
                };
                fits = room.into();
            }
            let to = (*DestinationString).Buffer.cast::<u8>();
            for (index, unit) in source.iter().take(fits).enumerate() {
                to.add(index).write(narrow(*unit));
            }
            to.add(fits).write(0);
            (*DestinationString).Length = fits as u16;
            if fits < source.len() {
                return STATUS_BUFFER_OVERFLOW;
            }
        }
        STATUS_SUCCESS
    }
}

export! {
    /// Frees the memory of a string that the run-time library has allocated.
    fn RtlFreeUnicodeString(UnicodeString: *mut UNICODE_STRING), at most PASSIVE_LEVEL {
        // SAFETY: the driver gives a string whose memory came from here.
        unsafe {
            if !(*UnicodeString).Buffer.is_null() {
                wsk_sys::ExFreePoolWithTag((*UnicodeString).Buffer.cast(), TAG);
            }
            *UnicodeString = UNICODE_STRING { Length: 0, MaximumLength: 0, Buffer: ptr::null_mut() };
        }
    }
}

export! {
    /// Frees the memory of a byte string that the run-time library has allocated.
    fn RtlFreeAnsiString(AnsiString: *mut STRING), at most PASSIVE_LEVEL {
        // SAFETY: the driver gives a string whose memory came from here.
        unsafe {
            if !(*AnsiString).Buffer.is_null() {
                wsk_sys::ExFreePoolWithTag((*AnsiString).Buffer.cast(), TAG);
            }
            *AnsiString = STRING { Length: 0, MaximumLength: 0, Buffer: ptr::null_mut() };
        }
    }
}

export! {
    /// Copies as much of a counted string as there is room for.
    fn RtlCopyUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *const UNICODE_STRING), at most DISPATCH_LEVEL {
        // SAFETY: the driver gives a destination with its memory, and a string or NULL.
        unsafe {
            let source: &[u16] = if SourceString.is_null() {
                &[]
            } else {
                units((*SourceString).Buffer, (*SourceString).Length)
            };
            let room = usize::from((*DestinationString).MaximumLength) / 2;
            let copied = source.len().min(room);
            let to = (*DestinationString).Buffer;
            // The buffers may overlap.
            source.as_ptr().copy_to(to, copied);
            (*DestinationString).Length = (copied * 2) as u16;
            if copied < room {
                to.add(copied).write(0);
            }
        }
    }
}

export! {
    /// Turns UTF-8 into UTF-16.
    fn RtlUTF8ToUnicodeN(
        UnicodeStringDestination: *mut u16,
        UnicodeStringMaxByteCount: u32,
        UnicodeStringActualByteCount: *mut u32,
        UTF8StringSource: *const i8,
        UTF8StringByteCount: u32,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        if UTF8StringSource.is_null()
            || UnicodeStringDestination.is_null() && UnicodeStringActualByteCount.is_null()
        {
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: the driver gives so many bytes.
        let source = unsafe { slice::from_raw_parts(UTF8StringSource.cast::<u8>(), UTF8StringByteCount as usize) };
        let text = String::from_utf8_lossy(source);
        let valid = matches!(text, std::borrow::Cow::Borrowed(_));
        let room = UnicodeStringMaxByteCount as usize / 2;
        let mut written = 0;
        let mut fits = true;
        for character in text.chars() {
            let mut encoded = [0; 2];
            let encoded = character.encode_utf16(&mut encoded);
            if !UnicodeStringDestination.is_null() {
                // A character that doesn't fit whole is left out.
                if written + encoded.len() > room {
                    fits = false;
                    break;
                }
                for (index, unit) in encoded.iter().enumerate() {
                    // SAFETY: there is room.
                    unsafe { UnicodeStringDestination.add(written + index).write(*unit) };
                }
            }
            written += encoded.len();
        }
        if !UnicodeStringActualByteCount.is_null() {
            // SAFETY: the driver gives the place.
            unsafe { UnicodeStringActualByteCount.write(written as u32 * 2) };
        }
        match (fits, valid) {
            (false, _) => STATUS_BUFFER_TOO_SMALL,
            (true, true) => STATUS_SUCCESS,
            (true, false) => STATUS_SOME_NOT_MAPPED,
        }
    }
}
