//! [`Rare`]: a value that few drivers have.

#![forbid(unsafe_code)]

use core::mem::ManuallyDrop;

/// A value, or none. The code that drops the value is reached through a pointer, which comes with the value. So it is only in drivers that
/// make such a value.
#[derive(Clone)]
pub(crate) struct Rare<T>(Option<(ManuallyDrop<T>, DropValue<T>)>);

/// Drops a value.
type DropValue<T> = fn(ManuallyDrop<T>);

impl<T> Rare<T> {
    /// No value.
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn some(value: T) -> Self {
        let release = |value| drop(ManuallyDrop::into_inner(value));
        Self(Some((ManuallyDrop::new(value), release)))
    }

    /// The value, if there is one.
    pub(crate) fn get(&self) -> Option<&T> {
        match &self.0 {
            Some((value, _)) => Some(value),
            None => None,
        }
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<T> Drop for Rare<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some((value, release)) = self.0.take() {
            release(value);
        }
    }
}
