//! Ranges of addresses.

use core::ops::Range;

/// The range of `length` bytes at `start`. It ends at the last address if a driver gives a greater length.
pub(crate) fn of(start: usize, length: usize) -> Range<usize> {
    start..start.saturating_add(length)
}

/// The bytes that two ranges have in common. If there are none, the result is empty.
pub(crate) fn common(one: &Range<usize>, other: &Range<usize>) -> Range<usize> {
    one.start.max(other.start)..one.end.min(other.end)
}

/// Whether two ranges have a byte in common.
pub(crate) fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    !common(one, other).is_empty()
}

#[cfg(test)]
mod tests {
    use super::{common, of, overlap};

    #[test]
    fn only_common_bytes_overlap() {
        let range = of(100, 100);
        assert_eq!(common(&range, &of(150, 10)), 150..160);
        assert_eq!(common(&range, &of(0, 101)), 100..101);
        assert_eq!(common(&of(199, usize::MAX), &range), 199..200);
        for apart in [of(0, 100), of(200, 1), of(150, 0), of(0, 0)] {
            assert!(!overlap(&range, &apart) && !overlap(&apart, &range));
        }
    }
}
