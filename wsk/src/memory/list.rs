//! Lists of structures that somebody else has made, as C does: each structure points at the next one.

use core::marker::PhantomData;
use core::ptr::NonNull;

/// A structure that leads to the next of its kind, as those of C's lists do.
///
/// # Safety
///
/// `next` and `cut` are about the same member. Any thread may have the structure, with what it leads to.
pub(crate) unsafe trait Linked: Sized + 'static {
    /// What is seen of it.
    type Seen<'s>;

    /// The next one, or null.
    fn next(&self) -> *mut Self;

    /// Ends a list with it; what came next, or null.
    fn cut(&mut self) -> *mut Self;

    /// What is seen of it.
    ///
    /// # Safety
    ///
    /// All that it leads to is valid as long as this is borrowed, and only read.
    unsafe fn seen(&self) -> Self::Seen<'_>;
}

/// A list that somebody else has made of structures of its own.
///
/// # Invariants
///
/// `first` heads a list of valid structures, with all that they lead to. Nobody else uses them as long as this is borrowed.
pub(crate) struct Chain<N: Linked> {
    first: NonNull<N>,
}

// SAFETY: any thread may have the structures.
unsafe impl<N: Linked> Send for Chain<N> {}

impl<N: Linked> Chain<N> {
    /// # Safety
    ///
    /// As the invariant asks.
    #[inline]
    pub(crate) const unsafe fn new(first: NonNull<N>) -> Self {
        // INVARIANT: the caller says so.
        Self { first }
    }

    /// Where the first is.
    #[inline]
    pub(crate) const fn place(&self) -> NonNull<N> {
        self.first
    }

    /// What is seen of the first.
    pub(crate) fn first(&self) -> N::Seen<'_> {
        // SAFETY: by the invariant the first is valid with all that it leads to, as long as this is borrowed.
        unsafe { self.first.as_ref().seen() }
    }

    /// What is seen of each, from the first on.
    #[inline]
    pub(crate) const fn iter(&self) -> Chained<'_, N> {
        // INVARIANT: the list is valid as long as this is borrowed.
        Chained {
            next: self.first.as_ptr(),
            chain: PhantomData,
        }
    }

    /// Takes all but the first out, if there are others.
    pub(crate) fn split(&mut self) -> Option<Self> {
        // SAFETY: by the invariant the first is valid, and nobody else uses it.
        let next = unsafe { self.first.as_mut() }.cut();
        // INVARIANT: what comes next is a list, to which nothing leads from here any more.
        Some(Self {
            first: NonNull::new(next)?,
        })
    }
}

/// Iterates over what is seen of a list's structures.
///
/// # Invariants
///
/// `next` is null, or heads a list that is valid for `'s`, and only read meanwhile.
pub(crate) struct Chained<'s, N: Linked> {
    next: *mut N,
    chain: PhantomData<&'s Chain<N>>,
}

impl<N: Linked> Chained<'_, N> {
    /// None.
    pub(crate) const fn none() -> Self {
        // INVARIANT: null.
        Self {
            next: core::ptr::null_mut(),
            chain: PhantomData,
        }
    }
}

impl<N: Linked> Clone for Chained<'_, N> {
    #[inline]
    fn clone(&self) -> Self {
        // INVARIANT: the same.
        Self {
            next: self.next,
            chain: PhantomData,
        }
    }
}

impl<'s, N: Linked> Iterator for Chained<'s, N> {
    type Item = N::Seen<'s>;

    #[inline]
    fn next(&mut self) -> Option<N::Seen<'s>> {
        // SAFETY: by the invariant it is null, or valid for `'s` with all that it leads to.
        let (seen, next) = unsafe {
            let this = self.next.cast_const().as_ref()?;
            (this.seen(), this.next())
        };
        self.next = next;
        Some(seen)
    }
}
