//! The reason why a typed call through a dispatch table was not made. The result of a call is its own status. This error is known
//! before the call: WSK's provider tables differ between versions of Windows, and C's lengths are narrower than Rust's.

use core::fmt;

/// The reason why a call through a dispatch table was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DispatchError {
    /// The table has NULL where the function should be.
    Absent {
        /// The entry's name in C.
        entry: &'static str,
    },
    /// The running Windows is older than the entry: its table ends before it.
    TooNew {
        /// The entry's name in C.
        entry: &'static str,
        /// `NTDDI_VERSION` of the first Windows that has it.
        since: u32,
        /// `NTDDI_VERSION` of the running Windows.
        running: u32,
    },
    /// The length of a buffer doesn't fit the parameter that carries it.
    TooLong {
        /// The entry's name in C.
        entry: &'static str,
        /// The buffer's name in C.
        parameter: &'static str,
        /// The buffer's length, in the unit that the entry counts.
        length: usize,
    },
}

impl fmt::Display for DispatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Absent { entry } => write!(
                f,
                "{entry} is absent: its place in the provider's table is NULL; \
                 check that the object is of a kind that has it, or do without the call"
            ),
            Self::TooNew {
                entry,
                since,
                running,
            } => write!(
                f,
                "{entry} is too new: it needs a Windows of NTDDI_VERSION {since:#010x}, and {running:#010x} is running; \
                 do without the call there, or require the newer Windows"
            ),
            Self::TooLong {
                entry,
                parameter,
                length,
            } => write!(
                f,
                "{entry} can't take {parameter} with a length of {length}: \
                 the parameter for it is narrower; pass a shorter buffer"
            ),
        }
    }
}

impl core::error::Error for DispatchError {}
