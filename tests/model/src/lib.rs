//! `wsk`, its own sources, on loom's atomics and on a kernel of loom's objects: loom runs what is done with it in every interleaving,
//! with every value that an atomic may have on a machine with a weak memory model.
//!
//! Everything that two threads may not touch at the same time is in cells that loom looks at, memory that is freed included: an
//! access that the protocol does not order is a data race, and loom reports it.
//!
//! The build puts [mistakes](explore_mistaken) into the sources, which are made on demand: each has to be found, or the model would
//! prove nothing.

// The sources of `wsk` are looked at where they are.
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    unexpected_cfgs,
    unused,
    unreachable_pub
)]

include!(concat!(env!("OUT_DIR"), "/wsk/root.rs"));

pub use wsk_sys::{
    Request as Made, Signal, be_impatient, closed, left, next_request, read, tell, write,
};

/// Explores every interleaving of `body`; with `preemptions`, those with at most so many switches away from a thread that could
/// go on.
///
/// # Panics
///
/// When `body` panics, deadlocks or races in one of them.
pub fn explore(preemptions: Option<usize>, body: impl Fn() + Sync + Send + 'static) {
    explore_mistaken(None, preemptions, body);
}

/// As [`explore`], of code that makes a mistake.
///
/// # Panics
///
/// As for `explore`.
pub fn explore_mistaken(
    mistake: Option<&'static str>,
    preemptions: Option<usize>,
    body: impl Fn() + Sync + Send + 'static,
) {
    wsk_sys::mistake::make(mistake);
    end_at_a_panic();
    EXPLORES.set(true);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    // A few scenarios with three threads need more than the thousand that is usual.
    builder.max_branches = 10_000;
    builder.check(move || {
        wsk_sys::begin();
        body();
    });
    EXPLORES.set(false);
}

std::thread_local! {
    static EXPLORES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Has the process end where an exploration panics. To unwind would be to drop what the panic has left half done, by code that waits
/// for others.
fn end_at_a_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if EXPLORES.get() {
                use std::io::Write;
                let thread = std::thread::current();
                let name = thread.name().unwrap_or("a thread");
                // Not by a macro, whose output tests keep back.
                let _ = writeln!(std::io::stderr(), "{name}: {panic}");
                if std::env::var_os("WSK_MODEL_BACKTRACE").is_some() {
                    let _ = writeln!(
                        std::io::stderr(),
                        "{}",
                        std::backtrace::Backtrace::force_capture()
                    );
                }
                std::process::exit(101);
            }
            usual(panic);
        }));
    });
}
