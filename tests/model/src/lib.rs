//! A model of the operations and pools of `wsk` for loom, which runs it in every interleaving, with every value that an atomic
//! may have on a machine with a weak memory model. The state word and the free list are the very files that `wsk` is made of;
//! what is around them is written anew here, with the kernel's objects as loom sees them.
//!
//! Everything that two threads may not touch at the same time is in loom's cells, memory that is freed included: an access
//! that the protocol does not order is a data race, and loom reports it.
//!
//! [`Rules`] bends single rules of the protocol: each mistake has to be found, or the model would prove nothing.

pub mod kernel;
pub mod operation;
pub mod pool;
pub mod prepared;
pub mod rules;
pub mod scope;
pub mod socket;
#[path = "../../../wsk/src/stack.rs"]
mod stack;
#[path = "../../../wsk/src/state.rs"]
mod state;

pub use rules::{Faithful, Rules};

/// Explores every interleaving of `body`; with `preemptions`, those with at most so many switches away from a thread that could
/// go on.
///
/// # Panics
///
/// When `body` panics, deadlocks or races in one of them.
pub fn explore(preemptions: Option<usize>, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    // A few scenarios with three threads need more than the thousand that is usual.
    builder.max_branches = 10_000;
    builder.check(body);
}
