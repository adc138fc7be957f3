//! [`UnicodeString`]: a `UNICODE_STRING` with its characters, which others read or write.

use core::cell::Cell;
use core::ptr::NonNull;

use wsk_sys::UNICODE_STRING;

use crate::memory::Values;

/// A counted string with its units in nonpaged pool.
pub(crate) struct UnicodeString {
    /// Points at the units. Others may write its length.
    string: Cell<UNICODE_STRING>,
    units: Values<u16>,
}

// SAFETY: the pointer is to memory that this value alone has, bound to no thread.
unsafe impl Send for UnicodeString {}
// SAFETY: through `&UnicodeString` string and units are only read.
unsafe impl Sync for UnicodeString {}

impl UnicodeString {
    /// Allocates room for `units` units, of which none is used. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn room(units: u16) -> Option<Self> {
        Self::of(Values::zeroed(units.into())?, 0)
    }

    /// Copies `count` units, and puts a zero behind them. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn copy_of(units: impl Iterator<Item = u16>, count: u16) -> Option<Self> {
        let mut copy = Values::zeroed(usize::from(count) + 1)?;
        for (place, unit) in copy.iter_mut().zip(units.take(count.into())) {
            *place = unit;
        }
        Self::of(copy, count)
    }

    fn of(units: Values<u16>, used: u16) -> Option<Self> {
        let bytes = |units: usize| u16::try_from(units * size_of::<u16>()).ok();
        let string = UNICODE_STRING {
            Length: bytes(used.into())?,
            MaximumLength: bytes(units.len())?,
            Buffer: units.place().cast().as_ptr(),
        };
        let string = Cell::new(string);
        Some(Self { string, units })
    }

    /// The structure, which others may write.
    pub(crate) fn string(&self) -> NonNull<UNICODE_STRING> {
        NonNull::from(&self.string).cast()
    }

    /// The used units, up to the first zero.
    pub(crate) fn units(&self) -> &[u16] {
        let length = usize::from(self.string.get().Length) / size_of::<u16>();
        let units = self.units.get(..length).unwrap_or(&self.units);
        units.split(|unit| *unit == 0).next().unwrap_or_default()
    }
}
