//! The atomics that this crate uses, and cells for the data that they protect. A model checker replaces both by its own.

#![forbid(unsafe_code)]

use core::cell::UnsafeCell;
use core::ptr::NonNull;

pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// Reads a flag that nobody else has at the moment, by an ordinary access.
#[inline]
pub(crate) fn read_alone(flag: &mut AtomicBool) -> bool {
    *flag.get_mut()
}

/// A place that belongs to one party at a time. A protocol of atomics says to which.
#[repr(transparent)]
pub(crate) struct Cell<T>(UnsafeCell<T>);

impl<T> Cell<T> {
    /// A place with a value in it.
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Gives the place to `read`, which does not write to it.
    #[inline]
    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// The place, for callers that look at its address only, or hand it on.
    #[inline]
    pub(crate) fn place(&self) -> NonNull<T> {
        // The cell is transparent.
        NonNull::from(&self.0).cast()
    }

    /// Gives the place to `write`.
    #[inline]
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}
