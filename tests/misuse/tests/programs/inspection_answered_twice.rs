//! A pended connection is accepted and rejected.
//! Each answer takes the pended connection.

use std::net::SocketAddr;
use wsk::events::{AcceptEvent, Inspection};
use wsk::{Error, Family, ListenSocket, Provider};

struct Guard;

impl AcceptEvent for Guard {
    fn inspect(&self, inspection: Inspection<'_>) {
        let Ok(pended) = inspection.pend() else { return };
        drop(pended.accept().start());
        drop(pended.reject().start());
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    ListenSocket::open_conditional(provider, Family::V4, Guard)?.close()
}

fn main() {
    let _ = program;
}
