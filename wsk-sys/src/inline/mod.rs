//! The functions that C code gets from the headers as macros or inline functions, in Rust and under the same names. They replace
//! the parts of `wdm.h`, `ntdef.h`, the Winsock headers and `wsk.h` that have no symbol to import.
//!
//! The parameters are those of C: a pointer in C is a raw pointer here, `BOOLEAN` is `bool`, and the type argument of a macro is
//! a type parameter. None of these functions panics.

// C cuts and reinterprets numbers silently. These functions do so where C's do.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod address;
mod bits;
mod clock;
mod cmsg;
mod guarded;
mod guid;
mod interlocked;
mod ioctl;
mod irp;
mod irql;
mod list;
mod lock;
mod mdl;
mod memory;
mod object;
mod pool;
mod record;
mod scope;
mod size;
mod slist;
mod socket_address;
mod status;
mod unicode;
mod version;
mod wsk;

pub use address::*;
pub use bits::*;
pub use clock::*;
pub use cmsg::*;
pub use guarded::*;
pub use guid::*;
pub use interlocked::*;
pub use ioctl::*;
pub use irp::*;
pub use irql::*;
pub use list::*;
pub use lock::*;
pub use mdl::*;
pub use memory::*;
pub use object::*;
pub use pool::*;
pub use scope::*;
pub use size::*;
pub use slist::*;
pub use socket_address::*;
pub use status::*;
pub use unicode::*;
pub use version::*;
pub use wsk::*;
