//! [`Answer`]: what a function of WSK returned.

#![forbid(unsafe_code)]

use wsk_sys::NTSTATUS;

/// The status that a call returned, and the time at which somebody first asked in vain whether the request was over. Both are in one
/// word, because most answers are never looked at. By default success.
#[derive(Clone, Copy, Default)]
pub(super) struct Answer(u64);

impl Answer {
    /// The answer of a call that nobody has asked about yet.
    #[inline]
    pub(super) const fn new(returned: NTSTATUS) -> Self {
        Self(returned.0.cast_unsigned() as u64)
    }

    /// The status that the call returned.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(super) const fn returned(self) -> NTSTATUS {
        NTSTATUS((self.0 as u32).cast_signed())
    }

    /// The time when somebody first asked, in milliseconds; 0 for never.
    pub(super) const fn asked(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The same answer, first asked about at this time.
    pub(super) const fn first_asked(self, asked: u32) -> Self {
        Self(self.0 | (asked as u64) << 32)
    }
}
