//! An extent, a part of an MDL chain, is made of any pointer.
//! With `unsafe`, the driver promises that the chain is valid and stays locked.

use std::net::SocketAddr;
use std::ptr::NonNull;
use wsk::{DatagramSocket, Error, Extent};
use wsk_sys::MDL;

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mdl = NonNull::<MDL>::dangling();
    let part = Extent::new(mdl, 0, 16)?;
    assert_eq!(part.len(), 16);
    Ok(())
}

fn main() {
    let _ = program;
}
