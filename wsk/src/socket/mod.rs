//! Sockets: their categories and handles, how they are made, what WSK's functions are called with, and what WSK tells of in events.

pub(crate) mod callbacks;
pub(crate) mod calls;
mod category;
pub(crate) mod datagram_events;
pub(crate) mod event_context;
pub(crate) mod indicated;
pub(crate) mod indicated_bytes;
pub(crate) mod inspection;
pub mod ioctl;
pub(crate) mod listen_events;
mod making;
pub(crate) mod open;
pub mod option;
pub(crate) mod retained;
mod sockets;
pub(crate) mod stream;
pub(crate) mod stream_events;

pub(crate) use category::{
    BasicCategory, Category, Committed, ConnectionCategory, DatagramCategory, ListenCategory,
    OverStreams, OwnParameters, StreamCategory,
};
pub(crate) use making::{Arriving, Making};
pub(crate) use open::{CallHandle, Handle, NearHandle, Socket};
pub use sockets::{
    BasicSocket, ConnectedSocket, ConnectionSocket, DatagramSocket, ListenSocket, StreamSocket,
};
