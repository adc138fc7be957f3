//! Intrusive lists: what is in one has the links in itself, so that putting it there cannot fail. Stands for `LIST_ENTRY`.

#![forbid(unsafe_code)]

use core::cell::Cell;

use crate::memory::Pinned;

/// The links of something that can be in a list.
pub(crate) struct Links {
    before: Cell<Option<Pinned<Links>>>,
    after: Cell<Option<Pinned<Links>>>,
}

impl Links {
    /// The links of what is in no list.
    pub(crate) const fn new() -> Self {
        Self {
            before: Cell::new(None),
            after: Cell::new(None),
        }
    }
}

/// A list that one thread at a time has. It uses what is in it: who frees that has [removed](Self::remove) it before.
pub(crate) struct LinkedList {
    first: Cell<Option<Pinned<Links>>>,
}

impl LinkedList {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self {
            first: Cell::new(None),
        }
    }

    /// The first, which was put there last.
    pub(crate) fn first(&self) -> Option<Pinned<Links>> {
        self.first.get()
    }

    /// Puts something that is in no list at the head of this one, which uses it until it is [removed](Self::remove).
    pub(crate) fn push(&self, links: Pinned<Links>) {
        let after = self.first.replace(Some(links));
        links.before.set(None);
        links.after.set(after);
        if let Some(after) = after {
            after.before.set(Some(links));
        }
    }

    /// Takes something out of this list.
    pub(crate) fn remove(&self, links: Pinned<Links>) {
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
    pub(crate) fn all(&self, holds: impl Fn(Pinned<Links>) -> bool) -> bool {
        core::iter::successors(self.first.get(), |links| links.after.get()).all(holds)
    }

    /// Moves everything to another list.
    pub(crate) fn take(&self) -> Self {
        Self {
            first: Cell::new(self.first.take()),
        }
    }
}
