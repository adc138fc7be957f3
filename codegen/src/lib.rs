//! Generates `wsk-sys` from the Winsock Kernel headers: the library behind `cargo codegen`.
//!
//! The generator reads either our own headers or those of a Windows Driver Kit. It runs in passes. Each pass is a folder, which
//! imports from earlier passes only:
//!
//! 1. `find`: the kit and the SDK ([`kit`]), the headers and how clang is told to read them ([`Source`]), libclang itself.
//! 2. `read`: parses everything once for each architecture, and collects what bindgen does not pass on: SAL, with corrections of
//!    mistakes in the headers, documentation, the `NTDDI_VERSION` that introduced an item, values of macros.
//! 3. `bind`: runs bindgen, as C++ for the Windows target, sorts its output by kind of item, and leaves out what clients never
//!    use.
//! 4. `emit`: public names instead of tags, fixed-width integers instead of C's, documentation, and one file per kind of item,
//!    in a stable order, as an [`Output`]. [`generate`] runs the passes up to here.
//! 5. `check`: [`verify`] compares the result with clang's own numbers through rustc, [`coverage`] with the names that the header
//!    declares, [`diff`] with another release, by comparing their [`interface`]s. [`report`] writes the reports.
//! 6. `update`: adds what a new kit has to our own headers, following a [`plan`].
//!
//! ```no_run
//! let source = wsk_codegen::Source::headers("headers".as_ref())?;
//! let output = wsk_codegen::generate(&source, &wsk_codegen::Options::default())?;
//! output.write("wsk-sys/src/generated".as_ref())?;
//! # Ok::<(), wsk_codegen::Error>(())
//! ```

mod bind;
mod check;
mod emit;
mod error;
mod find;
#[doc(hidden)]
pub mod fuzz;
mod read;
mod update;

pub use check::{coverage, diff, interface, report, verify};
pub use emit::generate::{Options, generate};
pub use emit::output::{self, Output};
pub use emit::releases;
pub use error::Error;
pub use find::corrections;
pub use find::kit;
pub use find::ntddi;
pub use find::shipped::repository;
pub use find::source::{Arch, Language, Source};
pub use update::plan;
