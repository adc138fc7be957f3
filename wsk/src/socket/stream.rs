//! The change of a stream socket into a connection or a listening socket. The memory for it was allocated when the socket was opened.

#![forbid(unsafe_code)]

use crate::error::{Error, Memory};
use crate::memory::Reserved;
use crate::socket::{Category, ConnectionCategory, Handle, ListenCategory, Socket, StreamCategory};

/// Memory for the socket that a stream socket becomes.
pub(crate) struct SocketMemory {
    connection: Reserved<Socket<ConnectionCategory>>,
    listening: Reserved<Socket<ListenCategory>>,
}

impl SocketMemory {
    /// Allocates it. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn new() -> Result<Self, Error> {
        let none = Error::NoMemory(Memory::Socket);
        Ok(Self {
            connection: Reserved::new().ok_or(none)?,
            listening: Reserved::new().ok_or(none)?,
        })
    }
}

impl Handle<StreamCategory> {
    /// The socket as one that connects, and never listens.
    pub(crate) fn into_connection(self, room: SocketMemory) -> Handle<ConnectionCategory> {
        self.become_of(room.connection)
    }

    /// The socket as one that listens.
    pub(crate) fn into_listening(self, room: SocketMemory) -> Handle<ListenCategory> {
        self.become_of(room.listening)
    }
}

const _: () = assert!(!StreamCategory::COMMITTED);
