//! Lists of structures that somebody else has made, as C does: each structure points at the next one.

use core::marker::PhantomData;
use core::ptr::NonNull;

/// A structure of a singly linked list in C.
///
/// # Safety
///
/// `next` and `cut` use the same member. Any thread may have the structure and the memory that it points to.
pub(crate) unsafe trait Linked: Sized + 'static {
    /// A view of the structure and the memory that it points to.
    type Seen<'s>;

    /// The next structure, or null.
    fn next(&self) -> *mut Self;

    /// Ends the list with this structure. Returns the next one, or null.
    fn cut(&mut self) -> *mut Self;

    /// The view.
    ///
    /// # Safety
    ///
    /// The memory that the structure points to is valid, and only read, as long as this is borrowed.
    unsafe fn seen(&self) -> Self::Seen<'_>;
}

/// A list in memory of somebody else, such as WSK.
///
/// # Invariants
///
/// `first` heads a list of valid structures. The memory that they point to is valid too. Nobody else uses either as long as this is
/// borrowed.
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

    /// The address of the first structure.
    #[inline]
    pub(crate) const fn place(&self) -> NonNull<N> {
        self.first
    }

    /// The view of the first structure.
    pub(crate) fn first(&self) -> N::Seen<'_> {
        // SAFETY: by the invariant the first is valid with all that it leads to, as long as this is borrowed.
        unsafe { self.first.as_ref().seen() }
    }

    /// The views of all structures.
    #[inline]
    pub(crate) const fn iter(&self) -> Chained<'_, N> {
        // INVARIANT: the list is valid as long as this is borrowed.
        Chained {
            next: self.first.as_ptr(),
            chain: PhantomData,
        }
    }

    /// Takes out all structures but the first; `None` if there is only one.
    pub(crate) fn split(&mut self) -> Option<Self> {
        // SAFETY: by the invariant the first is valid, and nobody else uses it.
        let next = unsafe { self.first.as_mut() }.cut();
        // INVARIANT: what comes next is a list, to which nothing leads from here any more.
        Some(Self {
            first: NonNull::new(next)?,
        })
    }
}

/// Iterates over views of a list's structures.
///
/// # Invariants
///
/// `next` is null, or heads a list that is valid for `'s`, with the memory that it points to. Nobody writes to it for `'s`.
pub(crate) struct Chained<'s, N: Linked> {
    next: *mut N,
    chain: PhantomData<&'s Chain<N>>,
}

impl<N: Linked> Chained<'_, N> {
    /// An iterator over nothing.
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
