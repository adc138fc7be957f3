//! Pages for driver authors, about more than one type.
//!
//! * [A driver without a WDK](without_wdk): from an empty folder to a driver that is tested, signed and loaded.
//! * [One send](one_send): who owns what while a datagram is being sent.
//! * [Which finisher](shapes): to wait, in a scope, owned, told by a completion, from a pool, prepared; with examples.
//! * [Three drivers](three_drivers), a tunnel endpoint, a QUIC-like datapath and a client of a block device, and the parts of this crate that
//!   each uses.
//! * [Requests](requests): which finishers each request has, and why it lacks others.
//! * [IRQL](irql): what may be called at which IRQL, function by function.
//! * [Errors](errors): what they say, when they are found, and what to do about them.
//! * [From the C you know](from_c): what replaces each function of WSK here.
//! * [Closing and unloading](closing): in which order, what waits for what, and what hangs.
//! * [Testing](testing) a driver with `wsk-host`, on any machine.
//! * [Beside `wdk`](beside_wdk): in a driver that is built with a WDK and Microsoft's crates.
//! * [The `no_std` network ecosystem](no_std_network): which crates run in a driver over this one, and what to check first.
//! * [Security](security): what arrives from the network, and what is trusted.

#![forbid(unsafe_code)]

#[doc = include_str!("guide/without_wdk.md")]
pub mod without_wdk {}

#[doc = include_str!("guide/one_send.md")]
pub mod one_send {}

#[doc = include_str!("guide/shapes.md")]
pub mod shapes {}

#[doc = include_str!("guide/three_drivers.md")]
pub mod three_drivers {}

#[doc = include_str!("guide/requests.md")]
pub mod requests {}

#[doc = include_str!("guide/irql.md")]
pub mod irql {}

#[doc = include_str!("guide/errors.md")]
pub mod errors {}

#[doc = include_str!("guide/from_c.md")]
pub mod from_c {}

#[doc = include_str!("guide/closing.md")]
pub mod closing {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/no_std_network.md")]
pub mod no_std_network {}

#[doc = include_str!("guide/beside_wdk.md")]
pub mod beside_wdk {}

#[doc = include_str!("guide/security.md")]
pub mod security {}
