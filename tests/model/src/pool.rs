//! Pools, by the rules of `wsk/src/pool.rs`.

use std::sync::Arc;

use crate::kernel::{Cell, Event, Limit};
use crate::operation::{Block, Flight, Payload};
use crate::rules::{Head, Number, Rules};
use crate::stack::Stack;

/// The slots of a pool: in each a buffer, here a number, and the block of its operation.
pub struct Pool<R: Rules> {
    slots: Vec<Slot<R>>,
    free: Stack<Head<R>, Number<R>>,
    available: Event,
}

struct Slot<R: Rules> {
    block: Arc<Block<R>>,
    buffer: Cell<u32>,
    link: Number<R>,
}

impl<R: Rules> core::fmt::Debug for Pool<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl<R: Rules> Pool<R> {
    /// A pool of `depth` slots, all of them free.
    ///
    /// # Panics
    ///
    /// When there are more than 32 bits can count.
    #[must_use]
    pub fn new(depth: u32) -> Arc<Self> {
        let slot = |_| Slot {
            block: Block::new(false),
            buffer: Cell::new(0),
            link: Number::default(),
        };
        let pool = Self {
            slots: (0..depth).map(slot).collect(),
            free: Stack::new(Head::default(), Number::default()),
            available: Event::synchronisation(),
        };
        for index in 0..depth {
            assert!(!pool.free.push(index, &pool.slots[index as usize].link));
        }
        Arc::new(pool)
    }

    /// Takes a slot, if one is free.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Option<Pooled<R>> {
        let index = self.free.pop(|index| &self.slots[index as usize].link)?;
        Some(Pooled {
            pool: self.clone(),
            index,
        })
    }

    /// Takes a slot, waiting until one is free, or the limit.
    #[must_use]
    pub fn take_within(self: &Arc<Self>, limit: Limit) -> Option<Pooled<R>> {
        if let Some(pooled) = self.take() {
            return Some(pooled);
        }
        if !R::WAITER_COUNTED_FIRST {
            if let Some(pooled) = self.take() {
                return Some(pooled);
            }
            self.free.wait();
            self.available.wait(limit);
            let _ = self.free.waited();
            return self.take();
        }
        self.free.wait();
        let taken = loop {
            if let Some(pooled) = self.take() {
                break Some(pooled);
            }
            if !self.available.wait(limit) {
                break self.take();
            }
        };
        if self.free.waited() && R::PASSED_ON {
            self.available.set();
        }
        taken
    }

    fn give_back(&self, index: u32) {
        if self.free.push(index, &self.slots[index as usize].link) {
            self.available.set();
        }
    }
}

/// A slot that was taken.
#[derive(Debug)]
pub struct Pooled<R: Rules> {
    pool: Arc<Pool<R>>,
    index: u32,
}

impl<R: Rules> Pooled<R> {
    /// Uses the buffer as its only holder does.
    pub fn write(&mut self) {
        self.pool.slots[self.index as usize]
            .buffer
            .write(|buffer| *buffer += 1);
    }

    /// The slot's block.
    #[must_use]
    pub fn block(&self) -> Arc<Block<R>> {
        self.pool.slots[self.index as usize].block.clone()
    }

    /// Starts a request with the slot's block; the slot moves into it.
    pub fn start(self, payload: Payload<R>) -> Flight<R> {
        let mut payload = payload;
        let block = self.block();
        payload.slot = Some(self);
        block.start(payload, None)
    }
}

impl<R: Rules> Drop for Pooled<R> {
    fn drop(&mut self) {
        self.pool.give_back(self.index);
    }
}
