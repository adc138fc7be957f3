//! Many threads do to operations, pools and sockets whatever the interface allows, in an order that follows from a seed, while
//! completions come at any time. Everything that they started with returns or is dropped, once, and nothing is left behind.
//!
//! Each run starts at another seed, which it prints. `WSK_SEED=n` runs schedule `n` alone, or `WSK_SCHEDULES=n` times if that is
//! set, too. By itself, `WSK_SCHEDULES=n` sets the number of schedules of an ordinary run.
//!
//! The choices of each thread follow from the seed. When one schedule is replayed alone, so do the completion policy and its
//! choices. The interleaving of the host's threads does not.

mod connections;
mod datagrams;
mod events;
mod listening;
mod prepared;
mod resolution;
mod underway;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wsk::Provider;
use wsk_host::{Completion, Deviation, Kernel, What};
use wsk_schedules::{Dice, PATIENCE, client, dawdle, new_seed, number};

/// The number of schedules in a run.
const SCHEDULES: u64 = 100_000;
/// How many schedules share a kernel.
const BATCH: u64 = 2_000;
/// The most bytes that some providers receive at a time.
const PIECE: NonZeroUsize = NonZeroUsize::new(5).expect("it is not zero");
/// How many schedules run at the same time: they mostly wait for completions.
const LANES: usize = 12;

#[test]
fn schedules() {
    let start = Instant::now();
    let seed = number("WSK_SEED");
    let count = number("WSK_SCHEDULES");
    if let Some(seed) = seed {
        let count = count.unwrap_or(1);
        for _ in 0..count {
            batch(seed..seed + 1, policy(seed));
        }
        return;
    }
    let count = count.unwrap_or(SCHEDULES);
    let first = new_seed();
    say(&format!("{count} schedules from seed {first}"));
    let mut next = first;
    while next < first + count {
        let end = (next + BATCH).min(first + count);
        batch(next..end, policy(next));
        next = end;
    }
    say(&format!("{count} schedules in {:?}", start.elapsed()));
}

/// When completions come: mostly at any moment.
fn policy(seed: u64) -> Completion {
    match Dice::new(seed / BATCH).below(6) {
        0 => Completion::Inline,
        1 => Completion::Deferred,
        _ => Completion::Seeded,
    }
}

/// Bypasses the capture of the test harness, so that the text is printed even if a bug check stops the process.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Runs schedules on their own kernel.
fn batch(seeds: std::ops::Range<u64>, policy: Completion) {
    say(&format!(
        "schedules {} to {}, {policy:?}",
        seeds.start,
        seeds.end - 1
    ));
    let mut kernel = Kernel::builder()
        .completion(policy)
        .seed(seeds.start)
        .backtraces(false);
    if (seeds.start / BATCH).is_multiple_of(3) {
        // Requests to fill a buffer continue piece by piece.
        kernel = kernel.deviation(Deviation::ShortReceives(PIECE));
    }
    let kernel = kernel.boot();
    if (seeds.start / BATCH).is_multiple_of(2) {
        // Mainly between a completion and its event. Listening to events costs time, so not always.
        kernel.on_event(|event| match event.what {
            What::Called {
                function: "KeSetEvent" | "KeWaitForSingleObject",
                ..
            } => {
                (0..8).for_each(|_| dawdle());
            }
            _ => dawdle(),
        });
    }
    let (registration, provider) = client().unwrap();
    let next = AtomicU64::new(seeds.start);
    let lanes = LANES.min(usize::try_from(seeds.end - seeds.start).unwrap());
    // The schedule that each lane runs now; zero for none.
    let doing: Vec<AtomicU64> = (0..lanes).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|threads| {
        let lanes: Vec<_> = doing
            .iter()
            .map(|doing| {
                threads.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            break;
                        }
                        doing.store(seed, Ordering::Relaxed);
                        if catch_unwind(AssertUnwindSafe(|| schedule(seed, &provider))).is_err() {
                            say(&format!(
                                "schedule {seed} failed; WSK_SEED={seed} replays it"
                            ));
                            std::process::exit(101);
                        }
                    }
                    doing.store(0, Ordering::Relaxed);
                })
            })
            .collect();
        // A schedule without progress for longer than the time limit hangs.
        let mut seen = (Instant::now(), Vec::new());
        while lanes.iter().any(|lane| !lane.is_finished()) {
            std::thread::sleep(Duration::from_millis(5));
            let now: Vec<_> = doing
                .iter()
                .map(|doing| doing.load(Ordering::Relaxed))
                .collect();
            if seen.1 != now {
                seen = (Instant::now(), now);
            } else if seen.0.elapsed() > 2 * PATIENCE {
                say(&format!("of these, some hang: {now:?}"));
                std::process::exit(101);
            }
        }
    });
    drop(provider);
    drop(registration);
    if let Err(leaks) = kernel.finish() {
        panic!("schedules {seeds:?}: {leaks}");
    }
}

/// Runs one schedule.
fn schedule(seed: u64, provider: &Provider) {
    let mut dice = Dice::new(seed);
    match dice.below(64) {
        0..=5 => events::schedule(&mut dice, provider),
        6..=24 => prepared::schedule(&mut dice, provider),
        25..=29 => connections::schedule(&mut dice, provider),
        30..=32 => listening::schedule(&mut dice, provider),
        33..=36 => resolution::schedule(&mut dice),
        _ => datagrams::schedule(&mut dice, provider),
    }
}
