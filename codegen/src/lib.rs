//! Generates `wsk-sys` from the Winsock Kernel headers.
//!
//! The generator reads either this repository's `headers` or those of a Windows Driver Kit. It runs in passes, one module
//! each:
//!
//! 1. Find the kit: [`kit`] finds kits and the SDK, [`source`] says which headers are read and how clang is told to,
//!    `overlay` makes their names mean the same in whatever case, [`libclang`] finds clang itself.
//! 2. Parse: one parse of everything for each architecture. [`facts`] takes from it what bindgen does not carry;
//!    [`directives`] reads from the text what clang does not tell, the `NTDDI_VERSION` that introduced an item.
//! 3. Evaluate macros: [`macros`], through constants behind the headers in the same parse.
//! 4. Read SAL: [`sal`], with the [`corrections`] of what headers have wrong.
//! 5. Run bindgen: [`bindings`], as C++ for the Windows target, sorted by kind of item.
//! 6. Transform by kind of item: [`prune`] leaves out what clients never touch, [`names`] and [`types`] give public names
//!    instead of tags and fixed-width Rust integers instead of C's, [`constants`] the types of constants,
//!    [`function_macros`] functions for macros.
//! 7. Document: [`document`], with [`releases`] for what is newer than the oldest kit.
//! 8. Emit: [`emit`] writes one file per kind of item, formatted, in a stable order, into an [`Output`].
//! 9. Check the result: [`verify`] compares it with clang's own numbers through rustc, [`coverage`] with the names that
//!    the header declares, [`diff`] with another release's, by way of their [`interface`]s; [`report`] writes it down.
//!
//! ```no_run
//! let source = wsk_codegen::Source::headers("headers".as_ref())?;
//! let output = wsk_codegen::generate(&source, &wsk_codegen::Options::default())?;
//! output.write("wsk-sys/src/generated".as_ref())?;
//! # Ok::<(), wsk_codegen::Error>(())
//! ```

mod adopt;
pub mod bindings;
pub mod checksum;
pub mod constants;
pub mod corrections;
pub mod coverage;
pub mod diff;
pub mod directives;
pub mod document;
pub mod emit;
mod error;
pub mod facts;
pub mod function_macros;
#[doc(hidden)]
pub mod fuzz;
pub mod interface;
pub mod kit;
mod layout;
pub mod libclang;
pub mod macros;
pub mod names;
pub mod ntddi;
pub mod output;
mod overlay;
mod parse;
pub mod prune;
pub mod releases;
pub mod report;
pub mod sal;
mod shape;
pub mod source;
pub mod types;
pub mod verify;

use std::collections::BTreeSet;

use clang::Clang;

pub use error::Error;
pub use output::Output;
pub use source::{Arch, Source};

use bindings::Bindings;
use emit::Run;
use facts::Reading;

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
        let headers = Source::headers(&Source::shipped())?;
        let reading = facts::read(&clang, &headers, Arch::X86_64, None)?;
        std::thread::scope(|scope| {
            let binding = scope.spawn(|| bindings::run(&headers, Arch::X86_64, &reading.facts));
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
    let output = emit::emit(&runs, source.is_kit(), &options.by_hand)?;
    match source.include() {
        [folder] if !source.is_kit() => {
            Ok(output.with_note(&format!("The headers' checksum: {}", checksum::of(folder)?)))
        }
        _ => Ok(output),
    }
}

/// Reads the headers for each architecture. bindgen runs for the first, beside the reading of the others, and again only
/// for one to whose compiler the declarations look different. `ours` is what our own headers say, and what bindgen makes
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
    let reading = facts::read(clang, source, *first, ours)?;
    let (bound, read) = std::thread::scope(|scope| {
        let binding = scope.spawn(|| bindings::run(source, *first, &reading.facts));
        let read: Result<Vec<Reading>, Error> = others
            .iter()
            .map(|arch| facts::read(clang, source, *arch, ours))
            .collect();
        (join(binding), read)
    });
    let our_bindings = our_bindings
        .map(|bound| bindings::sort(&bound()?))
        .transpose()?;
    let ours = ours.zip(our_bindings.as_ref());
    let bindings = transform(&bound?, &reading, ours)?;
    let mut runs = vec![Run {
        arch: *first,
        reading,
        bindings,
    }];
    for (arch, reading) in others.iter().zip(read?) {
        let bindings = if reading.shapes == runs[0].reading.shapes {
            runs[0].bindings.clone()
        } else {
            let bound = bindings::run(source, *arch, &reading.facts)?;
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
    let mut bindings = bindings::sort(bound)?;
    if let Some((ours, our_bindings)) = ours {
        let adopted = adopt::adopt(&mut bindings, &reading.facts, our_bindings)?;
        prune::prune(&mut bindings, &reading.facts, &ours.facts, &adopted)?;
    }
    Ok(bindings)
}

/// What a thread gives; its panic is ours.
fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
