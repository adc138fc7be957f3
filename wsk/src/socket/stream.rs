//! How a stream socket becomes a connection or a listening socket: with other functions of its table, and room for another state that
//! was allocated when it was made.

#![forbid(unsafe_code)]

use crate::error::{Error, Memory};
use crate::memory::shared::Reserved;
use crate::socket::{Category, ConnectionCategory, Handle, ListenCategory, Socket, StreamCategory};

/// Room for the state of what a stream socket becomes.
pub(crate) struct Room {
    connection: Reserved<Socket<ConnectionCategory>>,
    listening: Reserved<Socket<ListenCategory>>,
}

impl Room {
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
    /// The socket connects, or is about to: it never listens.
    pub(crate) fn into_connection(self, room: Room) -> Handle<ConnectionCategory> {
        self.become_of(room.connection)
    }

    /// The socket listens.
    pub(crate) fn into_listening(self, room: Room) -> Handle<ListenCategory> {
        self.become_of(room.listening)
    }
}

const _: () = assert!(!StreamCategory::COMMITTED);
