//! The threads that hold each lock. The word in the driver's memory says only whether the lock is held.

use core::fmt::{self, Display};

use crate::bugcheck::{bugcheck, violation};
use crate::lock_order;
use crate::origin::{self, Origin, Whose};
use crate::pool;
use crate::table::Table;
use crate::waits::Polling;

/// The locks of one kind that are held.
pub(crate) struct Holders {
    /// The kind, as reports name it.
    kind: &'static str,
    held: Table<Vec<Holder>>,
}

/// A thread that holds a lock.
pub(crate) struct Holder {
    thread: u32,
    exclusive: bool,
    origin: Origin,
}

impl Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.exclusive {
            "alone"
        } else {
            "as a reader"
        };
        write!(f, "held {how} since {}", self.origin)
    }
}

impl Holders {
    pub(crate) const fn new(kind: &'static str) -> Self {
        Self {
            kind,
            held: Table::new(),
        }
    }

    /// Acquires the lock if it is free. `update` changes the driver's word: it gets the number of holders so far and whether the new one
    /// is exclusive, and returns whether the word was as expected.
    ///
    /// Stops when the thread would wait for itself.
    pub(crate) fn try_acquire(
        &self,
        function: &'static str,
        address: usize,
        exclusive: bool,
        update: impl FnOnce(usize, bool) -> bool,
    ) -> bool {
        let own = origin::thread_number();
        let mut locked = self.held.lock(address);
        let holders = locked.get_or_insert_with(address, Vec::new);
        if let Some(holder) = holders.iter().find(|holder| holder.thread == own)
            && (exclusive || holder.exclusive)
        {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::SELF_DEADLOCK, address, 0, 0),
                [holder],
                "{function} was called for a {} that this thread holds already: it would wait for itself for ever",
                self.kind
            )
        }
        if holders.iter().any(|holder| exclusive || holder.exclusive) {
            return false;
        }
        if !update(holders.len(), exclusive) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::UNINITIALIZED_RESOURCE,
                    address,
                    0,
                    0
                ),
                [pool::story(address)],
                "{function} was given memory that isn't an initialised {}, or is written by somebody else",
                self.kind
            )
        }
        holders.push(Holder {
            thread: own,
            exclusive,
            origin: Origin::here(function),
        });
        drop(locked);
        lock_order::taken(address, self.kind);
        true
    }

    /// Acquires the lock, and waits for it if needed. With `spin` the thread does not sleep meanwhile.
    pub(crate) fn acquire(
        &self,
        function: &'static str,
        address: usize,
        exclusive: bool,
        spin: bool,
        update: impl Fn(usize, bool) -> bool,
    ) {
        lock_order::taking(function, address);
        let mut polling = Polling::new(function, address);
        while !self.try_acquire(function, address, exclusive, &update) {
            polling.pause(!spin, || self.told(address));
        }
    }

    /// A line for each holder of a lock, for a report.
    pub(crate) fn told(&self, address: usize) -> String {
        let mut locked = self.held.lock(address);
        let holders = locked.get(address).map_or(&[][..], |holders| holders);
        let told: Vec<String> = holders.iter().map(Holder::to_string).collect();
        told.join("\n")
    }

    /// Releases the lock. `update` changes the driver's word: it gets the number of holders that are left.
    pub(crate) fn release(
        &self,
        function: &'static str,
        address: usize,
        exclusive: bool,
        update: impl FnOnce(usize),
    ) {
        let own = origin::thread_number();
        let mut locked = self.held.lock(address);
        let place = locked.get(address).and_then(|holders| {
            let place = holders
                .iter()
                .position(|holder| holder.thread == own && holder.exclusive == exclusive)?;
            holders.swap_remove(place);
            Some(holders.len())
        });
        let Some(left) = place else {
            let holders: Vec<Holder> = locked.remove(address).unwrap_or_default();
            drop(locked);
            self.not_held(function, address, exclusive, &holders)
        };
        lock_order::given_back(address);
        update(left);
        if left == 0 {
            locked.remove(address);
        }
    }

    #[cold]
    fn not_held(
        &self,
        function: &'static str,
        address: usize,
        exclusive: bool,
        holders: &[Holder],
    ) -> ! {
        let how = if exclusive { "alone" } else { "as a reader" };
        let story: String = match holders {
            [] => pool::story(address),
            holders => {
                let told: Vec<String> = holders.iter().map(Holder::to_string).collect();
                told.join("\n")
            }
        };
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::UNEXPECTED_RELEASE, address, 0, 0),
            [story],
            "{function} was called for a {} that {} doesn't hold {how}",
            self.kind,
            origin::current_thread()
        )
    }

    /// Makes this thread hold the lock exclusively, if it is the only reader. Returns whether it is.
    pub(crate) fn upgrade(
        &self,
        function: &'static str,
        address: usize,
        update: impl FnOnce(),
    ) -> bool {
        let own = origin::thread_number();
        let mut locked = self.held.lock(address);
        let only = match locked.get(address) {
            Some(holders) => {
                let mine = |holder: &Holder| holder.thread == own && !holder.exclusive;
                match holders.as_mut_slice() {
                    [holder] if mine(holder) => {
                        holder.exclusive = true;
                        Some(true)
                    }
                    holders if holders.iter().any(mine) => Some(false),
                    _ => None,
                }
            }
            None => None,
        };
        match only {
            Some(true) => {
                update();
                true
            }
            Some(false) => false,
            None => {
                let holders: Vec<Holder> = locked.remove(address).unwrap_or_default();
                drop(locked);
                self.not_held(function, address, false, &holders)
            }
        }
    }

    /// Called when this thread is about to end. Stops when it holds a lock of this kind.
    pub(crate) fn thread_ends(&self) {
        let own = origin::thread_number();
        let held = self.held.find(|address, holders| {
            let holder = holders.iter().find(|holder| holder.thread == own)?;
            Some((address, holder.to_string()))
        });
        if let Some((address, holder)) = held {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::THREAD_HOLDS_RESOURCES,
                    address,
                    0,
                    0
                ),
                [holder],
                "a system thread ended that holds a {}: nobody can give it back",
                self.kind
            )
        }
    }

    /// The locks that are held, as lines of a leak report.
    pub(crate) fn leaks(&self, whose: Whose) -> Vec<String> {
        let mut lines = Vec::new();
        self.held.each(|address, holders| {
            for holder in holders
                .iter()
                .filter(|holder| whose.is(holder.origin.driver()))
            {
                lines.push(format!("{} at {address:#x}, {holder}", self.kind));
            }
        });
        lines
    }

    pub(crate) fn reset(&self) {
        self.held.clear();
    }
}
