//! Intrusive lists: what is in one has the links in itself, so that to put it there cannot fail. Stands for `LIST_ENTRY`.

use core::cell::Cell;
use core::ptr::NonNull;

/// The links of something that can be in a list.
///
/// # Invariants
///
/// While it is in a list it neither moves nor goes, and the list alone touches it.
#[derive(Default)]
pub(crate) struct Links {
    before: Option<NonNull<Links>>,
    after: Option<NonNull<Links>>,
}

impl Links {
    /// The links of what is in no list.
    pub(crate) const fn new() -> Self {
        Self {
            before: None,
            after: None,
        }
    }
}

impl Links {
    /// What comes after something in its list.
    ///
    /// # Safety
    ///
    /// `links` are there, and their list is not changed meanwhile.
    pub(crate) unsafe fn after(links: NonNull<Self>) -> Option<NonNull<Self>> {
        // SAFETY: the caller gives the links.
        unsafe { (*links.as_ptr()).after }
    }
}

/// A list that one thread at a time has.
///
/// # Invariants
///
/// `first` heads a list of links that are there, each of which knows those beside it.
pub(crate) struct List {
    first: Cell<Option<NonNull<Links>>>,
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
        self.first.get()
    }

    /// Puts something at the head of the list.
    ///
    /// # Safety
    ///
    /// `links` are those of something that is in no list; it stays where it is until it is [removed](Self::remove).
    pub(crate) unsafe fn push(&self, links: NonNull<Links>) {
        let after = self.first.replace(Some(links));
        // SAFETY: the caller gives the links, and by the invariant those of the list are there; nobody else touches either.
        unsafe {
            links.write(Links {
                before: None,
                after,
            });
            if let Some(after) = after {
                (*after.as_ptr()).before = Some(links);
            }
        }
    }

    /// Takes something out of the list.
    ///
    /// # Safety
    ///
    /// It is in this list.
    pub(crate) unsafe fn remove(&self, links: NonNull<Links>) {
        // SAFETY: by the invariant the links of the list are there, and nobody else touches them; the caller's are in it.
        unsafe {
            let Links { before, after } = links.replace(Links::new());
            match before {
                Some(before) => (*before.as_ptr()).after = after,
                None => self.first.set(after),
            }
            if let Some(after) = after {
                (*after.as_ptr()).before = before;
            }
        }
    }

    /// Whether `holds` of everything in the list.
    pub(crate) fn all(&self, holds: impl Fn(NonNull<Links>) -> bool) -> bool {
        // SAFETY: by the invariant the links are there; `holds` gets them by their address only.
        let after = |links: &NonNull<Links>| unsafe { Links::after(*links) };
        core::iter::successors(self.first.get(), after).all(holds)
    }

    /// Moves everything to another list.
    pub(crate) fn take(&self) -> Self {
        // INVARIANT: the links are those of the other list from here on.
        Self {
            first: Cell::new(self.first.take()),
        }
    }
}
