//! The right form of `stream_scoped_room_read_early`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 8];
    wsk::scope(|s| {
        let receive = socket.receive(&mut room).start_in(s)?;
        receive.cancel();
        drop(receive.wait());
        Ok::<_, Error>(())
    })??;
    assert_eq!(room[0], 0);
    Ok(())
}
