//! Intrusive lists: what is in one has the links in itself, so that to put it there cannot fail. Stands for `LIST_ENTRY`.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

/// The links of something that can be in a list.
///
/// # Invariants
///
/// While it is in a list it neither moves nor goes, and the list alone touches it.
pub(crate) struct Links {
    before: Cell<Option<Held>>,
    after: Cell<Option<Held>>,
}

/// The links of something that is in a list.
///
/// # Invariants
///
/// They are there as long as this is used.
#[derive(Clone, Copy)]
struct Held(NonNull<Links>);

impl Deref for Held {
    type Target = Links;

    fn deref(&self) -> &Links {
        // SAFETY: by the invariant the links are there; what changes in them are cells, which one thread at a time has.
        unsafe { self.0.as_ref() }
    }
}

impl Links {
    /// The links of what is in no list.
    pub(crate) const fn new() -> Self {
        Self {
            before: Cell::new(None),
            after: Cell::new(None),
        }
    }

    /// What comes after something in its list.
    ///
    /// # Safety
    ///
    /// `links` are there, and their list is not changed meanwhile.
    pub(crate) unsafe fn after(links: NonNull<Self>) -> Option<NonNull<Self>> {
        // INVARIANT: the caller says so.
        Held(links).after.get().map(|after| after.0)
    }
}

/// A list that one thread at a time has.
///
/// # Invariants
///
/// `first` heads a list of links that are there, each of which knows those beside it.
pub(crate) struct List {
    first: Cell<Option<Held>>,
}

impl List {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self {
            first: Cell::new(None),
        }
    }

    /// The first, which was put there last.
    pub(crate) fn first(&self) -> Option<NonNull<Links>> {
        self.first.get().map(|first| first.0)
    }

    /// Puts something at the head of the list.
    ///
    /// # Safety
    ///
    /// `links` are those of something that is in no list; it stays where it is until it is [removed](Self::remove).
    pub(crate) unsafe fn push(&self, links: NonNull<Links>) {
        // INVARIANT: the caller says so, until it is removed.
        let links = Held(links);
        let after = self.first.replace(Some(links));
        links.before.set(None);
        links.after.set(after);
        if let Some(after) = after {
            after.before.set(Some(links));
        }
    }

    /// Takes something out of the list.
    ///
    /// # Safety
    ///
    /// It is in this list.
    pub(crate) unsafe fn remove(&self, links: NonNull<Links>) {
        // INVARIANT: they are in the list.
        let links = Held(links);
        let (before, after) = (links.before.take(), links.after.take());
        match before {
            Some(before) => before.after.set(after),
            None => self.first.set(after),
        }
        if let Some(after) = after {
            after.before.set(before);
        }
    }

    /// Whether `holds` of everything in the list.
    pub(crate) fn all(&self, holds: impl Fn(NonNull<Links>) -> bool) -> bool {
        core::iter::successors(self.first.get(), |links| links.after.get())
            .all(|links| holds(links.0))
    }

    /// Moves everything to another list.
    pub(crate) fn take(&self) -> Self {
        // INVARIANT: the links are those of the other list from here on.
        Self {
            first: Cell::new(self.first.take()),
        }
    }
}

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
