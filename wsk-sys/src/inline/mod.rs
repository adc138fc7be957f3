//! The functions that C code gets from the headers as macros or inline functions, in Rust and under the same names.
//! They stand for the parts of `wdm.h`, `ntdef.h`, the Winsock headers and `wsk.h` that have no symbol to import.
//!
//! Parameters are C's: what is a pointer there is a raw pointer here. `BOOLEAN` is `bool`, and a macro's type argument is a
//! type parameter. None of these functions panics.

mod irp;
mod irql;
mod list;
mod mdl;

pub use irp::*;
pub use irql::*;
pub use list::*;
pub use mdl::*;
