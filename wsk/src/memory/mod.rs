//! Nonpaged memory and what threads share in it: pool blocks, reference counts, events, lists, and slots that are taken and given
//! back without a lock. Stands for the executive's pool and the dispatcher's events.

pub(crate) mod arena;
pub(crate) mod atomic;
pub(crate) mod links;
pub(crate) mod objects;
mod pool;
pub(crate) mod rundown;
pub(crate) mod shared;
pub(crate) mod stack;
pub(crate) mod unicode;

pub(crate) use pool::{Head, Owned, Room, Row, Values, allocate, copy, free, layout};
