//! Tests of the sockets on the host kernel, which stops at the first broken rule and reports leaks. All of them are in one
//! program, and each boots a kernel of its own, one at a time.

// Only the list of files is used.
#[allow(dead_code)]
#[path = "../../../codegen/tests/imports/mod.rs"]
mod imports;
#[path = "../public_items/mod.rs"]
mod public_items;
mod setting;

mod addresses;
#[cfg(feature = "alloc")]
mod allocated;
mod basic;
#[cfg(feature = "embedded-io-async")]
mod buffered;
mod chain;
mod client;
mod connection;
mod connection_ex;
mod control;
mod control_room;
mod datagram;
mod deviations;
mod driver_state;
mod events;
mod families;
mod in_flight;
mod inspection;
#[cfg(feature = "embedded-io")]
mod io;
mod listening;
mod lost;
mod messages;
#[cfg(feature = "embedded-nal-async")]
mod nal;
mod network;
mod network_options;
mod older;
mod options;
mod pools;
mod prepared;
mod prepared_filling;
mod refused;
mod requests;
mod resolution;
mod scope;
mod stream;
#[cfg(feature = "futures-core")]
mod streams;
mod traits;
mod unloading;
mod unwinding;
mod waiting;
mod wakers;
