//! The right form of `inspection_accepted_and_pended`.

use std::net::SocketAddr;
use wsk::events::{AcceptEvent, Inspection};
use wsk::{Error, Family, ListenSocket, Provider};

struct Guard;

impl AcceptEvent for Guard {
    fn inspect(&self, inspection: Inspection<'_>) {
        inspection.accept();
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    ListenSocket::open_conditional(provider, Family::V4, Guard)?.close()
}
