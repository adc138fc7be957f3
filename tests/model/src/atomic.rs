//! Replaces `memory/atomic.rs`: loom's atomics, and cells that loom checks. Each use of one is also a use of the memory that
//! contains it, which may have been freed.
//!
//! Loom treats sequentially consistent accesses as acquiring and releasing ones, but knows sequentially consistent fences. A
//! fence before each such load and after each such change gives loads and changes the single order that they must have.

use core::cell::UnsafeCell;
use core::ptr::NonNull;

use loom::sync::atomic;
pub(crate) use loom::sync::atomic::{Ordering, fence};

/// A place that belongs to one party at a time, according to a protocol of atomics.
#[repr(transparent)]
pub(crate) struct Cell<T>(UnsafeCell<T>);

impl<T> Cell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        let place = self.0.get();
        wsk_sys::read(place.addr(), || {});
        read(place)
    }

    pub(crate) fn place(&self) -> NonNull<T> {
        let place = NonNull::from(&self.0).cast();
        wsk_sys::touch(place.addr().get());
        place
    }

    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        let place = self.0.get();
        wsk_sys::write(place.addr(), || {});
        write(place)
    }
}

fn before_load(order: Ordering) -> Ordering {
    if order == Ordering::SeqCst {
        fence(Ordering::SeqCst);
        Ordering::Acquire
    } else {
        order
    }
}

fn change<T>(order: Ordering, change: impl FnOnce(Ordering) -> T) -> T {
    if order == Ordering::SeqCst {
        let result = change(Ordering::AcqRel);
        fence(Ordering::SeqCst);
        result
    } else {
        change(order)
    }
}

fn weaker(order: Ordering) -> Ordering {
    if order == Ordering::SeqCst {
        Ordering::Acquire
    } else {
        order
    }
}

macro_rules! atomic {
    ($name:ident<$value:ty> $(, $generic:ident)?) => {
        pub(crate) struct $name $(<$generic>)? (atomic::$name $(<$generic>)?);

        impl $(<$generic>)? $name $(<$generic>)? {
            pub(crate) fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            fn touched(&self) -> &atomic::$name $(<$generic>)? {
                wsk_sys::touch(core::ptr::from_ref(self).addr());
                &self.0
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                let atomic = self.touched();
                atomic.load(before_load(order))
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                let atomic = self.touched();
                change(order, |order| {
                    let order = if order == Ordering::AcqRel { Ordering::Release } else { order };
                    atomic.store(value, order);
                });
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                let atomic = self.touched();
                change(order, |order| atomic.swap(value, order))
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let atomic = self.touched();
                change(success, |success| {
                    atomic.compare_exchange(current, new, success, weaker(failure))
                })
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }

            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                change: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                self.touched().fetch_update(success, failure, change)
            }
        }
    };
}

macro_rules! number {
    ($name:ident<$value:ty>) => {
        atomic!($name<$value>);

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }

        impl $name {
            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                let atomic = self.touched();
                change(order, |order| atomic.fetch_add(value, order))
            }

            pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                let atomic = self.touched();
                change(order, |order| atomic.fetch_sub(value, order))
            }
        }
    };
}

atomic!(AtomicBool<bool>);

impl AtomicBool {
    pub(crate) fn fetch_or(&self, value: bool, order: Ordering) -> bool {
        let atomic = self.touched();
        change(order, |order| atomic.fetch_or(value, order))
    }
}

/// As in the crate.
pub(crate) fn read_alone(flag: &mut AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

atomic!(AtomicPtr<*mut T>, T);
number!(AtomicU8<u8>);
number!(AtomicU32<u32>);
number!(AtomicU64<u64>);
number!(AtomicUsize<usize>);
