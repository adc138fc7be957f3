//! One request to WSK: its IRP and everything that the provider may touch until the IRP has completed, in one block of nonpaged
//! memory. Stands for the allocated IRP with its completion routine that C code passes to each function of WSK.
//!
//! A block changes hands. Types say who holds it:
//!
//! * [`Idle`]: nothing is in flight.
//! * [`Flight`]: the IRP was passed on. The holder may look whether it has completed, wait, cancel, take the block back once it has
//!   completed, or leave it to the completion routine, which then ends what the block carries.
//!
//! Forgetting a `Flight` leaks the block with what it carries, and nothing else: they are never freed early. Who may touch the block
//! when is said by [`State`](state::State).

pub(crate) mod alarm;
mod answer;
mod arguments;
mod block;
mod flight;
mod launch;
mod outcome;
mod routine;
mod state;

pub use arguments::Lock;
pub(crate) use arguments::{Arguments, Brand, SHARED_ROOM, event_control};
pub(crate) use block::{
    Block, Discard, Flight, Header, Idle, InArena, Notified, Observer, Places, Spares, Unheld,
    initialise_in,
};
pub(crate) use flight::{Passed, Polled};
pub(crate) use launch::NotLaunched;
pub(crate) use outcome::Outcome;
