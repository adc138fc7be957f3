//! Nonpaged memory and what threads share in it: pool blocks, reference counts, lists, and slots that are taken and given
//! back without a lock. Stands for the pool of the executive.

pub(crate) mod arena;
pub(crate) mod atomic;
pub(crate) mod links;
mod pool;
mod rare;
pub(crate) mod stack;
pub(crate) mod unicode;

pub(crate) use pool::{
    Counted, Last, Owned, Pinned, Reserved, Row, RowHead, Rundown, Shared, Signalled, Uninit,
    Untyped, Used, Values, allocate, allocate_bytes, copy, free, layout,
};
pub(crate) use rare::Rare;
