//! Sockets with buffers of their own, for futures that borrow what they read into and write from. The features `embedded-io-async` and
//! `embedded-nal-async`.
//!
//! A future that borrows memory may be dropped or forgotten while it waits, and WSK would go on using the memory. So the future
//! never gives it to WSK. A [`BufferedConnection`] has a nonpaged buffer for each direction, and two prepared operations: one
//! receives into the first buffer, the other sends from the second. A future only copies, and waits for these operations. They
//! stay when the future is dropped:
//!
//! | dropped while it waits | what happens to the bytes |
//! |---|---|
//! | a read | the next read returns what arrives: no byte is lost or returned twice |
//! | a write | it has taken none; a write that has ended has taken as many as it returned |
//! | a flush | the send that it started continues; the next flush waits for it, and sends the rest |
//! | a receive of a datagram | the datagram is kept for the next receive |
//! | a send of a datagram | the datagram is sent, unless an earlier one is still in flight |
//!
//! The cost is one copy of each byte. An operation that runs again allocates nothing, takes no lock, and checks only what has changed.
//!
//! IRQL: `<= DISPATCH_LEVEL` for making them over a socket, for reading, writing, sending, receiving, and for dropping them. No
//! executor is involved: completion routines wake wakers, at up to `DISPATCH_LEVEL`. A future that is polled after its end
//! returns [`Error::Taken`](crate::Error::Taken), and does nothing.

#![forbid(unsafe_code)]

mod connection;
#[cfg(feature = "embedded-nal-async")]
mod datagrams;
mod repeated;
mod until_over;

pub use connection::{BufferedConnection, ReadHalf, WriteHalf};
#[cfg(feature = "embedded-nal-async")]
pub use datagrams::BufferedSocket;

#[cfg(feature = "embedded-nal-async")]
pub(crate) use repeated::Repeated;
#[cfg(feature = "embedded-nal-async")]
pub(crate) use until_over::until_over;
