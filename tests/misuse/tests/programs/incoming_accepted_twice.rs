//! A connection is accepted twice, and so would be closed twice.
//! Accepting takes the incoming connection.

use std::net::SocketAddr;
use std::sync::Mutex;
use wsk::events::{AcceptEvent, Incoming};
use wsk::{ConnectedSocket, Error, Family, ListenSocket, Provider};

struct Porter(Mutex<Vec<ConnectedSocket>>);

impl AcceptEvent for Porter {
    fn accepted(&self, incoming: Incoming<'_>) {
        self.0.lock().unwrap().extend(incoming.accept());
        self.0.lock().unwrap().extend(incoming.accept());
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let porter = Porter(Mutex::default());
    ListenSocket::open_with_events(provider, Family::V4, porter)?.close()
}

fn main() {
    let _ = program;
}
