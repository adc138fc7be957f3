//! Sockets with buffers of their own, for futures that borrow what they read into and write from. The features `embedded-io-async` and
//! `embedded-nal-async`.
//!
//! A future that borrows memory may be dropped or forgotten while it waits, and WSK would go on using the memory. So the future never
//! gives it to WSK. A [`BufferedConnection`] has a nonpaged buffer for each direction, and the operations to receive into the one and
//! to send from the other, prepared once. A future only copies, and waits for these operations. Where it goes, they stay:
//!
//! | what is dropped while it waits | what becomes of the bytes |
//! |---|---|
//! | a read | what comes is kept for the next read: none is lost, none comes twice |
//! | a write | it has taken none; one that has ended has taken as many as it says |
//! | a flush | what it has begun to send goes on; the next flush waits for it, and sends what is left |
//! | a receive of a datagram | the datagram is kept for the next receive |
//! | a send of a datagram | the datagram is sent, unless one before it is still on its way |
//!
//! The cost is one copy of each byte. An operation that runs again allocates nothing, takes no lock, and checks only what has changed.
//!
//! IRQL: `<= DISPATCH_LEVEL` for making them over a socket, for reading, writing, sending, receiving, and for dropping them. No
//! executor is involved: wakers are woken by completion routines, at up to `DISPATCH_LEVEL`. A future that is polled after its end says
//! [`Error::Taken`](crate::Error::Taken), and does nothing.

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
