//! A buffer is read while the provider may still write it.
//! The scope borrows the buffer exclusively; waiting gives it back.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 8];
    wsk::scope(|s| {
        let receive = socket.receive(&mut room).start_in(s)?;
        receive.cancel();
        assert_eq!(room[0], 0);
        drop(receive.wait());
        Ok::<_, Error>(())
    })?
}

fn main() {
    let _ = program;
}
