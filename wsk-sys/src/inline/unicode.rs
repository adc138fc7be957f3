//! Counted strings over literals and over memory. Stands for `RTL_CONSTANT_STRING` of `ntdef.h`, and for functions of `wdm.h`.

use crate::{STRING, UNICODE_STRING};

/// Counted string over a string literal, encoded at compile time: `RTL_CONSTANT_STRING!("\\Device\\Echo")`.
///
/// The text may be any constant `&str`. It is followed by a zero, which is not counted, and must be shorter than 32,767
/// UTF-16 units: a longer one does not compile. Nothing may write through the result.
///
/// ```
/// use wsk_sys::{RTL_CONSTANT_STRING, UNICODE_STRING};
///
/// let name: UNICODE_STRING = RTL_CONSTANT_STRING!("päge");
/// assert_eq!((name.Length, name.MaximumLength), (8, 10));
/// ```
///
/// IRQL: any. Header: `ntdef.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows/win32/api/ntdef/ns-ntdef-_unicode_string).
#[macro_export]
macro_rules! RTL_CONSTANT_STRING {
    ($text:expr) => {{
        const TEXT: &str = $text;
        const UNITS: usize = $crate::utf16_length(TEXT) + 1;
        static BUFFER: [u16; UNITS] = $crate::utf16::<UNITS>(TEXT);
        $crate::constant_string(&BUFFER)
    }};
}

/// UTF-16 units of a text.
#[doc(hidden)]
#[must_use]
pub const fn utf16_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut units = 0;
    let mut at = 0;
    while at < bytes.len() {
        // Each character has one byte that is not a continuation byte. Characters of four bytes take two units.
        units += (bytes[at] & 0xC0 != 0x80) as usize + (bytes[at] >= 0xF0) as usize;
        at += 1;
    }
    units
}

/// The text in UTF-16, with a zero after it.
#[doc(hidden)]
#[must_use]
pub const fn utf16<const UNITS: usize>(text: &str) -> [u16; UNITS] {
    let bytes = text.as_bytes();
    let mut units = [0; UNITS];
    let (mut at, mut to) = (0, 0);
    while at < bytes.len() {
        let lead = bytes[at] as u32;
        let (mut character, length) = match lead {
            0..0x80 => (lead, 1),
            0x80..0xE0 => (lead & 0x1F, 2),
            0xE0..0xF0 => (lead & 0x0F, 3),
            _ => (lead & 0x07, 4),
        };
        let mut next = 1;
        while next < length {
            character = character << 6 | (bytes[at + next] & 0x3F) as u32;
            next += 1;
        }
        at += length;
        if character < 0x1_0000 {
            units[to] = character as u16;
            to += 1;
        } else {
            units[to] = 0xD800 | ((character - 0x1_0000) >> 10) as u16;
            units[to + 1] = 0xDC00 | (character & 0x3FF) as u16;
            to += 2;
        }
    }
    units
}

/// The counted string over these UTF-16 units. The last unit is a zero, which does not count.
#[doc(hidden)]
#[must_use]
pub const fn constant_string<const UNITS: usize>(buffer: &'static [u16; UNITS]) -> UNICODE_STRING {
    const {
        assert!(
            0 < UNITS && UNITS <= 0x7FFF,
            "the text is too long for a UNICODE_STRING"
        );
    }
    let bytes = UNITS as u16 * 2;
    UNICODE_STRING {
        Length: bytes - 2,
        MaximumLength: bytes,
        Buffer: buffer.as_ptr().cast_mut(),
    }
}

/// Makes an empty counted string over memory of so many bytes.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlinitemptyunicodestring).
///
/// # Safety
///
/// `UnicodeString` may be written.
#[inline]
pub unsafe fn RtlInitEmptyUnicodeString(
    UnicodeString: *mut UNICODE_STRING,
    Buffer: *mut u16,
    BufferSize: u16,
) {
    // SAFETY: the caller says that the string may be written. Its padding is left alone.
    unsafe {
        (*UnicodeString).Length = 0;
        (*UnicodeString).MaximumLength = BufferSize;
        (*UnicodeString).Buffer = Buffer;
    }
}

/// Makes an empty counted string over memory of so many bytes.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlinitemptyansistring).
///
/// # Safety
///
/// `AnsiString` may be written.
#[inline]
pub unsafe fn RtlInitEmptyAnsiString(AnsiString: *mut STRING, Buffer: *mut i8, BufferSize: u16) {
    // SAFETY: the caller says that the string may be written. Its padding is left alone.
    unsafe {
        (*AnsiString).Length = 0;
        (*AnsiString).MaximumLength = BufferSize;
        (*AnsiString).Buffer = Buffer;
    }
}
