//! Generates `wsk-sys` from the Winsock Kernel headers: the library behind `cargo codegen`.
//!
//! The generator reads either our own headers or those of a Windows Driver Kit. It runs in passes, each a folder that imports
//! from those before it and never from one behind it:
//!
//! 1. `find`: the kit and the SDK ([`kit`]), the headers and how clang is told to read them ([`Source`]), libclang itself.
//! 2. `read`: one parse of everything for each architecture, from which comes what bindgen does not carry: SAL with the
//!    corrections of what headers have wrong, documentation, the `NTDDI_VERSION` that introduced an item, values of macros.
//! 3. `bind`: bindgen, as C++ for the Windows target, its output sorted by kind of item; what clients never touch is left out.
//! 4. `emit`: public names instead of tags, fixed-width integers instead of C's, documentation, and one file per kind of item,
//!    in a stable order, as an [`Output`]. [`generate`] runs the passes up to here.
//! 5. `check`: [`verify`] compares the result with clang's own numbers through rustc, [`coverage`] with the names that the
//!    header declares, [`diff`] with another release's, by way of their [`interface`]s; [`report`] writes it down.
//! 6. `update`: takes over what a new kit has into our own headers, as a [`plan`].
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
