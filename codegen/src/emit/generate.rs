//! Generates: runs the passes up to this one.

use std::collections::BTreeSet;

use clang::Clang;

use crate::bind::bindings::Bindings;
use crate::bind::sort::sort;
use crate::bind::{adopt, fit, prune, run};
use crate::emit::files::{self, Run};
use crate::emit::output::Output;
use crate::error::Error;
use crate::find::source::{Arch, Source};
use crate::find::{checksum, libclang};
use crate::read::facts::Reading;
use crate::read::reader;

/// What to generate.
#[derive(Debug, Clone)]
pub struct Options {
    /// The architectures, the reference first.
    pub arches: Vec<Arch>,
    /// Names that the crate around the files has by hand, and that are not generated again.
    pub by_hand: BTreeSet<String>,
}

impl Default for Options {
    /// Every architecture, and everything generated.
    fn default() -> Self {
        Self {
            arches: Arch::ALL.to_vec(),
            by_hand: BTreeSet::new(),
        }
    }
}

/// Generates the contents of `wsk-sys/src/generated` from `source`.
///
/// Nothing is written: see [`Output::write`].
///
/// # Errors
///
/// When libclang is missing or too old, when the headers do not parse, or when they hold something that the generator
/// does not understand.
pub fn generate(source: &Source, options: &Options) -> Result<Output, Error> {
    let clang = libclang::load()?;
    let runs = if source.is_kit() {
        let headers = Source::ours()?;
        let reading = reader::read_ours(&clang, &headers)?;
        let library = clang_sys::get_library();
        std::thread::scope(|scope| {
            let binding = scope.spawn(|| {
                // This thread's libclang is the one that is loaded already.
                clang_sys::set_library(library);
                run::run(&headers, Arch::X86_64, &reading.facts)
            });
            let bound = || join(binding);
            read_and_bind(&clang, source, &options.arches, Some((&reading, bound)))
        })?
    } else {
        read_and_bind(
            &clang,
            source,
            &options.arches,
            None::<(&Reading, fn() -> Result<String, Error>)>,
        )?
    };
    let output = files::emit(&runs, source.is_kit(), &options.by_hand)?;
    match source.include() {
        [folder] if !source.is_kit() => {
            Ok(output.with_note(&format!("The headers' checksum: {}", checksum::of(folder)?)))
        }
        _ => Ok(output),
    }
}

/// Reads the headers for each architecture. bindgen runs for the first, and again only for one to whose compiler the
/// declarations look different. `ours` is what our own headers say, and what bindgen makes
/// of them, where others are read.
fn read_and_bind(
    clang: &Clang,
    source: &Source,
    arches: &[Arch],
    ours: Option<(&Reading, impl FnOnce() -> Result<String, Error>)>,
) -> Result<Vec<Run>, Error> {
    let [first, others @ ..] = arches else {
        return Ok(Vec::new());
    };
    let (ours, our_bindings) = ours.unzip();
    let reading = reader::read(clang, source, *first, ours)?;
    // One view of a kit after the other, in memory that serves all of them.
    let read: Vec<Reading> = others
        .iter()
        .map(|arch| reader::read(clang, source, *arch, ours))
        .collect::<Result<_, _>>()?;
    let bound = run::run(source, *first, &reading.facts)?;
    let our_bindings = match (ours, our_bindings) {
        (Some(ours), Some(bound)) => {
            let mut bindings = sort(&bound()?)?;
            fit::fit(&mut bindings, &ours.facts)?;
            Some(bindings)
        }
        _ => None,
    };
    let ours = ours.zip(our_bindings.as_ref());
    let bindings = transform(&bound, &reading, ours)?;
    drop(bound);
    let mut runs = vec![Run {
        arch: *first,
        reading,
        bindings,
    }];
    for (arch, reading) in others.iter().zip(read) {
        let bindings = if reading.shapes == runs[0].reading.shapes {
            runs[0].bindings.clone()
        } else {
            let bound = run::run(source, *arch, &reading.facts)?;
            transform(&bound, &reading, ours)?
        };
        runs.push(Run {
            arch: *arch,
            reading,
            bindings,
        });
    }
    Ok(runs)
}

/// Sorts what bindgen wrote and, for a kit, gives the kernel's own structures our form and leaves out what clients never
/// touch.
fn transform(
    bound: &str,
    reading: &Reading,
    ours: Option<(&Reading, &Bindings)>,
) -> Result<Bindings, Error> {
    let mut bindings = sort(bound)?;
    fit::fit(&mut bindings, &reading.facts)?;
    if let Some((ours, our_bindings)) = ours {
        let adopted = adopt::adopt(&mut bindings, &reading.facts, our_bindings)?;
        prune::prune(&mut bindings, &reading.facts, &ours.facts, &adopted)?;
    }
    fit::check(&bindings)?;
    Ok(bindings)
}

/// What a thread gives; its panic is ours.
fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
