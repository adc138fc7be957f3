//! A connection request is accepted and pended.
//! Each answer takes the inspection.

use std::net::SocketAddr;
use wsk::events::{AcceptEvent, Inspection};
use wsk::{Error, Family, ListenSocket, Provider};

struct Guard;

impl AcceptEvent for Guard {
    fn inspect(&self, inspection: Inspection<'_>) {
        inspection.accept();
        drop(inspection.pend());
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    ListenSocket::open_conditional(provider, Family::V4, Guard)?.close()
}

fn main() {
    let _ = program;
}
