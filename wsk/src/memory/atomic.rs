//! The atomics, and the cells beside them, that everything above is made of. A model checker puts its own in their place.

#![forbid(unsafe_code)]

use core::cell::UnsafeCell;
use core::ptr::NonNull;

pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// The value of a flag that is this party's alone at the moment: an ordinary access.
#[inline]
pub(crate) fn read_alone(flag: &mut AtomicBool) -> bool {
    *flag.get_mut()
}

/// A place that belongs to one party at a time, which a protocol of atomics says.
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

    /// The place, for what looks at its address only, or hands it on.
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
