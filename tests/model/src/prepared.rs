//! Operations that are kept ready, by the rules of `wsk/src/prepared.rs`: slots with a block and a buffer each, which go from
//! holder to holder, and the memory that they share.

use std::sync::Arc;
use std::thread::panicking;

use loom::sync::atomic::{AtomicUsize, Ordering, fence};

use crate::kernel::{Cell, Event, Limit, Memory, Status};
use crate::operation::{Block, Flight, Payload};
use crate::rules::{Head, Number, Rules};
use crate::socket::Socket;
use crate::stack::Stack;

/// The slots of one allocation, and which of them are free. Whoever holds a slot has a reference, and so does each handle of the
/// pool.
pub struct Home<R: Rules> {
    /// That of the list and its event; that of the slots is their blocks'.
    memory: Memory,
    references: AtomicUsize,
    slots: Vec<Slot<R>>,
    free: Stack<Head<R>, Number<R>>,
    available: Event,
    /// Goes last.
    socket: Cell<Option<Socket<R>>>,
}

struct Slot<R: Rules> {
    block: Arc<Block<R>>,
    link: Number<R>,
    /// Whether the provider has broken its contract and may still use the slot.
    abandoned: Cell<bool>,
}

impl<R: Rules> core::fmt::Debug for Home<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Home").finish_non_exhaustive()
    }
}

impl<R: Rules> Home<R> {
    fn slot(&self, index: u32) -> &Slot<R> {
        let slot = &self.slots[index as usize];
        slot.block.memory.touch();
        slot
    }

    fn refer(&self) {
        self.memory.touch();
        self.references.fetch_add(1, Ordering::Relaxed);
    }

    fn release(&self) {
        self.memory.touch();
        if self.references.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let socket = self.socket.replace(None);
        for slot in &self.slots {
            slot.block.memory.free();
        }
        self.memory.free();
        drop(socket);
    }

    /// Gives a slot back, with the holder's reference.
    fn give_back(&self, index: u32) {
        if !R::HOME_KEPT {
            self.release();
        }
        self.memory.touch();
        if self.free.push(index, &self.slot(index).link) {
            self.memory.touch();
            self.available.set();
        }
        if R::HOME_KEPT {
            self.release();
        }
    }

    /// Takes a slot back that was left to the routine, or given up.
    pub(crate) fn discard(&self, index: u32) {
        if R::TAKEN_UP_AGAIN {
            self.slot(index).abandoned.replace(false);
        }
        self.give_back(index);
    }

    /// Ends the holding of a slot that may be in flight.
    fn let_go(&self, index: u32, flight: &Flight<R>) {
        let left = flight.leave();
        if !left || !R::GIVEN_BACK_ONCE {
            self.give_back(index);
        }
    }
}

/// A handle of a pool of prepared operations.
#[derive(Debug)]
pub struct PreparedPool<R: Rules> {
    home: Arc<Home<R>>,
}

impl<R: Rules> PreparedPool<R> {
    /// A pool of `depth` operations, all of them free, which is a handle of the socket, if there is one.
    ///
    /// # Panics
    ///
    /// When there are more than 32 bits can count.
    #[must_use]
    pub fn new(depth: u32, socket: Option<Socket<R>>) -> Self {
        let home = Arc::new_cyclic(|home| Home {
            memory: Memory::default(),
            references: AtomicUsize::new(1),
            slots: (0..depth)
                .map(|index| Slot {
                    block: Block::at_rest(home.clone(), index, Payload::new(&Arc::default())),
                    link: Number::default(),
                    abandoned: Cell::new(false),
                })
                .collect(),
            free: Stack::new(Head::default(), Number::default()),
            available: Event::synchronisation(),
            socket: Cell::new(socket),
        });
        for index in 0..depth {
            assert!(!home.free.push(index, &home.slots[index as usize].link));
        }
        Self { home }
    }

    /// Whether the memory is gone, when nothing runs any more.
    ///
    /// # Panics
    ///
    /// When some of it is.
    pub fn observer(&self) -> impl Fn() -> bool + use<R> {
        let home = self.home.clone();
        move || {
            let slots = &home.slots;
            let gone = home.memory.is_freed();
            assert!(
                slots
                    .iter()
                    .all(|slot| slot.block.memory.is_freed() == gone)
            );
            gone
        }
    }

    /// Takes an operation, if one is free.
    #[must_use]
    pub fn take(&self) -> Option<Prepared<R>> {
        let home = &self.home;
        home.memory.touch();
        let index = home.free.pop(|index| &home.slots[index as usize].link)?;
        home.refer();
        Some(Prepared {
            home: home.clone(),
            index,
        })
    }

    /// Takes an operation, waiting until one is free, or the limit.
    #[must_use]
    pub fn take_within(&self, limit: Limit) -> Option<Prepared<R>> {
        if let Some(prepared) = self.take() {
            return Some(prepared);
        }
        let home = &self.home;
        home.free.wait();
        let taken = loop {
            if let Some(prepared) = self.take() {
                break Some(prepared);
            }
            if !home.available.wait(limit) {
                break self.take();
            }
        };
        if home.free.waited() {
            home.available.set();
        }
        taken
    }
}

impl<R: Rules> Clone for PreparedPool<R> {
    fn clone(&self) -> Self {
        self.home.refer();
        Self {
            home: self.home.clone(),
        }
    }
}

impl<R: Rules> Drop for PreparedPool<R> {
    fn drop(&mut self) {
        if panicking() {
            return;
        }
        self.home.release();
    }
}

/// A prepared operation that nobody else has; at rest, unless it was given up.
#[derive(Debug)]
pub struct Prepared<R: Rules> {
    home: Arc<Home<R>>,
    index: u32,
}

impl<R: Rules> Prepared<R> {
    fn slot(&self) -> &Slot<R> {
        self.home.slot(self.index)
    }

    /// The slot's block, for the provider.
    #[must_use]
    pub fn block(&self) -> Arc<Block<R>> {
        self.slot().block.clone()
    }

    /// Writes the buffer, as the one holder may.
    ///
    /// # Panics
    ///
    /// When the slot was given up.
    pub fn write(&mut self, value: u32) {
        assert!(!self.is_abandoned(), "nobody touches what was given up");
        self.slot().block.buffer(|buffer| *buffer = value);
    }

    /// What is in the buffer, and how the last request ended.
    ///
    /// # Panics
    ///
    /// When the slot was given up.
    #[must_use]
    pub fn read(&self) -> (u32, Status) {
        assert!(!self.is_abandoned(), "nobody touches what was given up");
        let block = &self.slot().block;
        (block.buffer(|buffer| *buffer), block.status())
    }

    /// Whether the slot was given up.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.slot().abandoned.read(|abandoned| *abandoned)
    }

    /// Makes a request, to be waited for here.
    pub fn launch(&mut self) -> Flight<R> {
        self.slot().block.launch()
    }

    /// Gives up a request that a provider has refused and not completed.
    #[allow(clippy::needless_pass_by_value)]
    pub fn give_up(&mut self, flight: Flight<R>) {
        drop(flight);
        self.slot().abandoned.replace(true);
    }

    /// Makes a request, into which the operation moves.
    pub fn start(self) -> Started<R> {
        let flight = self.slot().block.launch();
        let this = core::mem::ManuallyDrop::new(self);
        Started {
            flight: Some(flight),
            // SAFETY: the field of a value that is not dropped is read once.
            home: unsafe { core::ptr::read(&raw const this.home) },
            index: this.index,
        }
    }
}

impl<R: Rules> Drop for Prepared<R> {
    fn drop(&mut self) {
        if panicking() {
            return;
        }
        if !self.is_abandoned() {
            self.home.give_back(self.index);
        } else if !self.slot().block.flight().leave() {
            self.home.discard(self.index);
        }
    }
}

/// A prepared operation in flight.
#[derive(Debug)]
#[must_use]
pub struct Started<R: Rules> {
    flight: Option<Flight<R>>,
    home: Arc<Home<R>>,
    index: u32,
}

impl<R: Rules> Started<R> {
    /// The flight, until the end is taken.
    ///
    /// # Panics
    ///
    /// After that.
    pub fn flight(&mut self) -> &mut Flight<R> {
        self.flight.as_mut().expect("in flight")
    }

    /// The operation, whose request has completed.
    ///
    /// # Panics
    ///
    /// When it was taken before.
    #[must_use]
    pub fn finish(mut self) -> Prepared<R> {
        let flight = self.flight.take().expect("in flight");
        assert!(flight.is_completed());
        Prepared {
            home: self.home.clone(),
            index: self.index,
        }
    }

    /// Drops the handle of a receive: that cancels it.
    ///
    /// # Panics
    ///
    /// Never: it is in flight.
    pub fn cancel_and_drop(mut self) {
        let flight = self.flight.take().expect("in flight");
        let completed = flight.is_completed();
        if !completed && R::CANCELS_FIRST {
            flight.silence();
            flight.cancel();
        }
        self.home.let_go(self.index, &flight);
        if !completed && !R::CANCELS_FIRST {
            flight.cancel();
        }
    }
}

impl<R: Rules> Drop for Started<R> {
    fn drop(&mut self) {
        if panicking() {
            return;
        }
        if let Some(flight) = self.flight.take() {
            self.home.let_go(self.index, &flight);
        }
    }
}
