//! `NTSTATUS`, the result of nearly every kernel function: a newtype that knows the names and meanings of its values.

use core::fmt;

use crate::generated::NAMED;

/// The status of a kernel call or of a completed IRP.
///
/// The two highest bits are the severity. Values are compared as they are; [`name`](Self::name) and
/// [`meaning`](Self::meaning) say what a value documented for WSK stands for, and `Display` prints all of it.
///
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values).
///
/// ```
/// use wsk_sys::{NTSTATUS, STATUS_PENDING};
///
/// assert!(STATUS_PENDING.is_success());
/// assert_eq!(STATUS_PENDING.name(), Some("STATUS_PENDING"));
/// assert_eq!(NTSTATUS(0x103), STATUS_PENDING);
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[must_use = "a status may be an error"]
pub struct NTSTATUS(pub i32);

impl NTSTATUS {
    /// Whether the value is a success or informational value, as the C macro `NT_SUCCESS` tells.
    #[doc(alias = "NT_SUCCESS")]
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// Whether the value is informational, as the C macro `NT_INFORMATION` tells.
    #[doc(alias = "NT_INFORMATION")]
    #[must_use]
    pub const fn is_information(self) -> bool {
        self.severity() == 1
    }

    /// Whether the value is a warning, as the C macro `NT_WARNING` tells.
    #[doc(alias = "NT_WARNING")]
    #[must_use]
    pub const fn is_warning(self) -> bool {
        self.severity() == 2
    }

    /// Whether the value is an error, as the C macro `NT_ERROR` tells.
    #[doc(alias = "NT_ERROR")]
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.severity() == 3
    }

    /// The value's name in `ntstatus.h`, if it is one that Winsock Kernel's documentation speaks of.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|entry| entry.1)
    }

    /// What the value means, in a sentence without a full stop.
    #[must_use]
    pub fn meaning(self) -> Option<&'static str> {
        self.entry().map(|entry| entry.2)
    }

    const fn severity(self) -> u32 {
        self.0.cast_unsigned() >> 30
    }

    fn entry(self) -> Option<&'static (NTSTATUS, &'static str, &'static str)> {
        let value = self.0.cast_unsigned();
        let index = NAMED
            .binary_search_by_key(&value, |entry| entry.0.0.cast_unsigned())
            .ok()?;
        NAMED.get(index)
    }
}

impl fmt::Display for NTSTATUS {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some((_, name, meaning)) => {
                write!(f, "{name} ({:#010X}): {meaning}", self.0.cast_unsigned())
            }
            None => write!(f, "NTSTATUS {:#010X}", self.0.cast_unsigned()),
        }
    }
}

impl fmt::Debug for NTSTATUS {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "NTSTATUS({:#010X})", self.0.cast_unsigned()),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::*;

    #[test]
    fn every_named_status_is_found() {
        assert!(NAMED.is_sorted_by_key(|entry| entry.0.0.cast_unsigned()));
        for (status, name, meaning) in NAMED {
            assert_eq!(status.name(), Some(*name));
            assert_eq!(status.meaning(), Some(*meaning));
            assert!(!meaning.is_empty(), "{name} has no meaning");
        }
    }

    #[test]
    fn severities() {
        let severities = |status: NTSTATUS| {
            [
                status.is_success(),
                status.is_information(),
                status.is_warning(),
                status.is_error(),
            ]
        };
        assert_eq!(severities(NTSTATUS(0)), [true, false, false, false]);
        assert_eq!(
            severities(NTSTATUS(0x4000_0000)),
            [true, true, false, false]
        );
        assert_eq!(
            severities(NTSTATUS(0x8000_0005_u32.cast_signed())),
            [false, false, true, false]
        );
        assert_eq!(
            severities(NTSTATUS(0xC000_0001_u32.cast_signed())),
            [false, false, false, true]
        );
    }

    #[test]
    fn display_names_or_numbers() {
        assert!(format!("{}", crate::STATUS_PENDING).starts_with("STATUS_PENDING (0x00000103): "));
        assert_eq!(format!("{}", NTSTATUS(0x2345_6789)), "NTSTATUS 0x23456789");
    }
}
