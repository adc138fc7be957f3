//! The WSK subsystem: registration of clients, capture of the provider, and the functions that it offers. Stands for
//! `netio.sys` and `afd.sys`.

mod address;
mod ancillary;
mod binding;
mod callbacks;
mod client;
mod connection;
mod control;
mod datagram;
mod deviation;
mod extension;
mod host;
mod indication;
mod listen;
mod network;
mod pending;
mod pointers;
mod registration;
mod request;
mod resolution;
mod security;
mod socket;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::origin::Whose;
use crate::pool::{self, Use};
use crate::{irp, waits};

pub(crate) use callbacks::calls as callbacks_called;
pub(crate) use client::{PROVIDER_DISPATCH, change_transports};
pub(crate) use connection::{set_control, set_ideal, set_loopback_is_remote};
pub use deviation::Deviation;
pub(crate) use deviation::{Deviations, ignores_cancel};
pub(crate) use extension::offer as offer_extension;
pub(crate) use registration::{VERSION, attach, detach, is_registered, set_available};
pub(crate) use request::{complete_withheld, require_irp};
pub use resolution::UnknownName;
pub(crate) use resolution::set_unknown_name;
pub(crate) use socket::{SOCKETS, force_close_all};

/// Whether sockets send and receive nothing.
static NULL: AtomicBool = AtomicBool::new(false);

/// Whether indications describe their data in several pieces.
static SCATTERED: AtomicBool = AtomicBool::new(false);

/// Starts the subsystem.
pub(crate) fn start(null_provider: bool, scattered: bool, patience: Duration) {
    SCATTERED.store(scattered, Ordering::Relaxed);
    waits::set_patience(patience);
    NULL.store(null_provider, Ordering::Relaxed);
    registration::set_available(true);
    network::start();
}

/// Whether sockets send and receive nothing.
#[inline]
pub(crate) fn is_null_provider() -> bool {
    NULL.load(Ordering::Relaxed)
}

/// Stops the system when a block that is being freed holds memory that WSK keeps a pointer to.
pub(crate) fn memory_freed(block: &pool::Block) {
    registration::memory_freed(block);
    socket::memory_freed(block);
}

/// Frees blocks that a driver got and has given back.
fn free(blocks: Vec<usize>, usage: Use, function: &'static str) {
    for block in blocks {
        if let Some(block) = pool::take(block, |block| block.usage() == usage) {
            irp::memory_freed(&block);
            pool::release(block, function);
        }
    }
}

/// Waits until no socket is being closed and no name is being looked up; returns whether there was anything to wait for.
pub(crate) fn settle(deadline: Instant) -> bool {
    socket::settle(deadline) | resolution::settle(deadline)
}

/// The objects that a driver has left behind, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    let mut lines = socket::leaks(whose);
    lines.extend(registration::leaks(whose));
    lines
}

/// Stops the subsystem's own thread.
pub(crate) fn stop() {
    network::stop();
}

/// Closes all sockets, and forgets their IRPs and everything else.
pub(crate) fn reset() {
    request::reset();
    client::reset();
    socket::reset();
    resolution::reset();
    registration::reset();
}
