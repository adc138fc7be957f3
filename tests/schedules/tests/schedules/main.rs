//! Many threads do to operations, pools and sockets whatever the interface allows, in an order that follows from a seed, while
//! completions come when they like. What they started with comes back or is dropped, once each, and nothing is left behind.
//!
//! Each run begins at another seed, which it prints. `WSK_SEED=n` runs schedule `n`, alone and again and again if
//! `WSK_SCHEDULES=n` asks for more; that variable also changes the count of an ordinary run.
//!
//! The choices of each thread follow from the seed, and so do the completion policy and its choices when one schedule is
//! replayed alone; how the host's threads are interleaved does not.

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

/// How many schedules a run consists of.
const SCHEDULES: u64 = 100_000;
/// How many of them share a kernel.
const BATCH: u64 = 2_000;
/// What some providers receive at a time.
const PIECE: NonZeroUsize = NonZeroUsize::new(5).expect("it is not zero");
/// How many of them go on at the same time: most of the time they wait for a completion.
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

/// When completions come: most often at any moment.
fn policy(seed: u64) -> Completion {
    match Dice::new(seed / BATCH).below(6) {
        0 => Completion::Inline,
        1 => Completion::Deferred,
        _ => Completion::Seeded,
    }
}

/// Past the capture of the test harness, so that it is there too when the process is stopped by a bug check.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Runs the schedules on a kernel of their own.
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
        // What is to be received in full goes on, piece by piece.
        kernel = kernel.deviation(Deviation::ShortReceives(PIECE));
    }
    let kernel = kernel.boot();
    if (seeds.start / BATCH).is_multiple_of(2) {
        // Between a completion and the event that tells of it, above all. Listening costs time: not always.
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
    // What each lane does now; zero for nothing.
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
        // What has not gone on for as long as anything may take hangs.
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
