//! The count of a scope's operations, by the rules of `wsk/src/scope.rs`.

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};

use crate::kernel::{Event, Limit, Memory};

/// How many operations of a scope have not completed, plus one until the scope's end.
#[derive(Debug)]
pub struct Pending {
    /// That of the count.
    pub memory: Memory,
    count: AtomicUsize,
    event: Event,
}

impl Pending {
    /// The count of a scope without operations.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::default(),
            count: AtomicUsize::new(1),
            event: Event::notification(),
        })
    }

    /// Scope: one more operation is going to be started.
    pub fn one_more(&self) {
        self.memory.touch();
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Routine: one operation has completed.
    pub(crate) fn one_less(&self) {
        self.memory.touch();
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.memory.touch();
            self.event.set();
        }
    }

    /// Scope: waits until every operation has completed, and frees the count.
    pub fn settle(&self) {
        self.memory.touch();
        if self.count.fetch_sub(1, Ordering::AcqRel) != 1 {
            self.event.wait(Limit::Never);
        }
        self.memory.free();
    }
}
