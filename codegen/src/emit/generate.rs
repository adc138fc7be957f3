//! Runs the passes up to this one.

use std::collections::BTreeSet;

use clang::Clang;

use crate::bind::bindings::Bindings;
use crate::bind::sort::sort;
use crate::bind::{adopt, fit, prune, retarget, run};
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
    /// Names that the crate around the files has by hand. They are not generated again.
    pub by_hand: BTreeSet<String>,
}

impl Default for Options {
    /// Every architecture, and every item.
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
        let readings = options.arches.iter();
        let readings: Vec<Reading> = readings
            .map(|arch| reader::read_ours(&clang, &headers, *arch))
            .collect::<Result<_, _>>()?;
        let library = clang_sys::get_library();
        std::thread::scope(|scope| {
            let binding = scope.spawn(|| {
                // libclang is already loaded. This makes it the library of this thread, too.
                clang_sys::set_library(library);
                let first = options.arches.iter().zip(&readings).next();
                first
                    .map(|(arch, reading)| run::run(&headers, *arch, &reading.facts))
                    .transpose()
            });
            let bound = || join(binding).map(Option::unwrap_or_default);
            read_and_bind_kit(
                &clang,
                source,
                &options.arches,
                (&headers, &readings, bound),
            )
        })?
    } else {
        read_and_bind(&clang, source, &options.arches)?
    };
    let output = files::emit(&runs, source.is_kit(), &options.by_hand)?;
    match source.include() {
        [folder] if !source.is_kit() => {
            Ok(output.with_note(&format!("The headers' checksum: {}", checksum::of(folder)?)))
        }
        _ => Ok(output),
    }
}

/// Reads headers that are laid out like ours, for each architecture. bindgen runs for the first architecture. It runs again only
/// if the declarations look different to the compiler for another one.
fn read_and_bind(clang: &Clang, source: &Source, arches: &[Arch]) -> Result<Vec<Run>, Error> {
    let mut runs: Vec<Run> = Vec::new();
    for arch in arches {
        let reading = reader::read(clang, source, *arch, None)?;
        let bindings = match runs.first() {
            Some(first) if first.reading.shapes == reading.shapes => first.bindings.clone(),
            _ => {
                let bindings = bind(source, *arch, &reading)?;
                fit::check(&bindings)?;
                bindings
            }
        };
        runs.push(Run {
            arch: *arch,
            reading,
            bindings,
        });
    }
    Ok(runs)
}

/// Reads a kit for each architecture. `ours` are our own headers, their reading, and their bindings for the first architecture.
fn read_and_bind_kit(
    clang: &Clang,
    source: &Source,
    arches: &[Arch],
    (headers, ours, bound): (&Source, &[Reading], impl FnOnce() -> Result<String, Error>),
) -> Result<Vec<Run>, Error> {
    // The architectures are read one after the other, to reuse the memory.
    let read: Vec<Reading> = arches
        .iter()
        .zip(ours)
        .map(|(arch, ours)| reader::read(clang, source, *arch, Some(ours)))
        .collect::<Result<_, _>>()?;
    let Some(first) = read.first() else {
        return Ok(Vec::new());
    };
    let theirs = run::run(source, arches[0], &first.facts)?;
    let ours_bound = for_all(headers, arches, ours, &bound()?)?;
    let bound = for_all(source, arches, &read, &theirs)?;
    let mut runs = Vec::new();
    let parts = arches.iter().zip(read).zip(bound);
    for (((arch, reading), mut bindings), (ours, our_bindings)) in
        parts.zip(ours.iter().zip(&ours_bound))
    {
        let adopted = adopt::adopt(&mut bindings, &reading.facts, our_bindings)?;
        prune::prune(&mut bindings, &reading.facts, &ours.facts, &adopted)?;
        fit::check(&bindings)?;
        runs.push(Run {
            arch: *arch,
            reading,
            bindings,
        });
    }
    Ok(runs)
}

/// The bindings for each architecture, derived from those of the first. bindgen runs again only for a difference that needs it.
fn for_all(
    source: &Source,
    arches: &[Arch],
    readings: &[Reading],
    bound: &str,
) -> Result<Vec<Bindings>, Error> {
    let sorted = sort(bound)?;
    let mut all = Vec::new();
    for (arch, reading) in arches.iter().zip(readings).skip(1) {
        all.push(match retarget::retarget(&sorted, &readings[0], reading) {
            Some(bindings) => bindings,
            None => bind(source, *arch, reading)?,
        });
    }
    let mut first = sorted;
    fit::fit(&mut first, &readings[0].facts)?;
    all.insert(0, first);
    Ok(all)
}

/// Runs bindgen, sorts its items, and gives them clang's layout.
fn bind(source: &Source, arch: Arch, reading: &Reading) -> Result<Bindings, Error> {
    let mut bindings = sort(&run::run(source, arch, &reading.facts)?)?;
    fit::fit(&mut bindings, &reading.facts)?;
    Ok(bindings)
}

/// The result of a thread. Its panic continues here.
fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
