//! The sources of `wsk` on loom's atomics and a kernel of loom's objects. Loom runs a scenario in every interleaving, with every
//! value that an atomic may have on a machine with a weak memory model.
//!
//! Everything that two threads must not touch at the same time is in cells that loom checks, including freed memory. Loom reports
//! an access that the protocol does not order as a data race.
//!
//! The build puts [mistakes](explore_mistaken) into the sources. They are made on demand. The model must find each one, or it
//! would prove nothing.

// The sources are linted in `wsk` itself.
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

/// Explores every interleaving of `body`. With `preemptions`, only those with at most so many switches away from a thread that
/// could continue.
///
/// # Panics
///
/// When `body` panics, deadlocks or races in one of them.
pub fn explore(preemptions: Option<usize>, body: impl Fn() + Sync + Send + 'static) {
    explore_mistaken(None, preemptions, body);
}

/// Like [`explore`], for code that makes a mistake.
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
    // A few scenarios with three threads need more than the usual thousand branches.
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

/// Ends the process when an exploration panics. Unwinding would run destructors that wait for other threads.
fn end_at_a_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if EXPLORES.get() {
                use std::io::Write;
                let thread = std::thread::current();
                let name = thread.name().unwrap_or("a thread");
                // Not with a macro, because tests capture its output.
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
