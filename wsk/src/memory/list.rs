//! Intrusive lists: what is in one has the links in itself, so that to put it there cannot fail. Stands for `LIST_ENTRY`.

use core::cell::Cell;
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
