//! Generates `wsk-sys` from the Winsock Kernel headers.
//!
//! The generator reads either this repository's `headers` or those of a Windows Driver Kit. It runs in passes, one module
//! each:
//!
//! 1. [`source`]: which headers are read, and how clang is told to find them.
//! 2. [`libclang`]: finds a usable libclang, or says how to get one.
//! 3. [`facts`]: asks clang for what bindgen does not carry: SAL annotations, documentation, the `NTDDI_VERSION` that
//!    introduced an item, the typedef names of records.
//! 4. [`macros`]: evaluates every macro with a value, through one extra parse of a small generated file.
//! 5. [`bindings`]: runs bindgen, as C++ for the Windows target, and sorts its output by kind of item.
//! 6. [`names`], [`types`]: public names instead of tags, fixed-width Rust integers instead of C's.
//! 7. [`document`]: the documentation of every item.
//! 8. [`emit`]: one file per kind of item, formatted, in a stable order.
//!
//! ```no_run
//! let source = wsk_codegen::Source::headers("headers".as_ref())?;
//! let output = wsk_codegen::generate(&source)?;
//! output.write("wsk-sys/src/generated".as_ref())?;
//! # Ok::<(), wsk_codegen::Error>(())
//! ```

pub mod bindings;
pub mod constants;
pub mod corrections;
pub mod document;
pub mod emit;
mod error;
pub mod facts;
pub mod libclang;
pub mod macros;
pub mod names;
pub mod output;
pub mod source;
pub mod types;

pub use error::Error;
pub use output::Output;
pub use source::{Arch, Source};

/// Generates the contents of `wsk-sys/src/generated` from `source`, for every architecture that `wsk-sys` supports.
///
/// Nothing is written: see [`Output::write`].
///
/// # Errors
///
/// When libclang is missing or too old, when the headers do not parse, or when they hold something that the generator
/// does not understand.
pub fn generate(source: &Source) -> Result<Output, Error> {
    let clang = libclang::load()?;
    let facts = facts::read(&clang, source, Arch::X86_64)?;
    let constants = macros::evaluate(&clang, source, Arch::X86_64, &facts)?;
    let mut per_arch = Vec::new();
    for arch in Arch::ALL {
        let raw = bindings::run(source, arch, &facts)?;
        per_arch.push((arch, raw));
    }
    emit::emit(&facts, &constants, per_arch)
}
